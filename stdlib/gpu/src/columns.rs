//! What lies below a kernel at each of its places, as a row of a matrix: im2col, and back.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::Window;
use crate::launch::threads;
use crate::maps::{Maps, empty};
use crate::window::above;

#[cube(launch)]
fn spread_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    out: &mut Array<Vector<F, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    vectors: usize,
    #[comptime] window: Window,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let places = comptime![window.kernel[0] * window.kernel[1]];
    let lane = ABSOLUTE_POS % lanes;
    let at = ABSOLUTE_POS / lanes;
    let (place, at) = (at % places, at / places);
    let (out_x, at) = (at % out_width, at / out_width);
    let (out_y, image) = (at % out_height, at / out_height);
    let y = out_y * comptime![window.stride[0]] + place / comptime![window.kernel[1]];
    let x_ = out_x * comptime![window.stride[1]] + place % comptime![window.kernel[1]];
    let (top, left) = (comptime![window.padding[0]], comptime![window.padding[1]]);
    let mut value = Vector::<F, N>::new(F::new(0.0));
    if y >= top && y < height + top && x_ >= left && x_ < width + left {
        value = x.read_unchecked(((image * height + y - top) * width + x_ - left) * lanes + lane);
    }
    out[ABSOLUTE_POS] = value;
}

#[cube(launch)]
fn gather_kernel<F: Float, N: Size>(
    columns: &Array<Vector<F, N>>,
    out: &mut Array<Vector<F, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    vectors: usize,
    #[comptime] window: Window,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let places = comptime![window.kernel[0] * window.kernel[1]];
    let lane = ABSOLUTE_POS % lanes;
    let at = ABSOLUTE_POS / lanes;
    let x = at % width + comptime![window.padding[1]];
    let at = at / width;
    let (image, y) = (at / height, at % height + comptime![window.padding[0]]);
    let mut sum = Vector::<f32, N>::new(0.0);
    for row in 0..comptime![window.kernel[0]] {
        for column in 0..comptime![window.kernel[1]] {
            let out_y = above(y, row, out_height, comptime![window.stride[0]]);
            let out_x = above(x, column, out_width, comptime![window.stride[1]]);
            if out_y < out_height && out_x < out_width {
                let at = (image * out_height + out_y) * out_width + out_x;
                let place = row * comptime![window.kernel[1]] + column;
                sum += Vector::cast_from(columns.read_unchecked((at * places + place) * lanes + lane));
            }
        }
    }
    out[ABSOLUTE_POS] = Vector::cast_from(sum);
}

/// A row for each place of the output: `[1, count * height * width, kernel * channels]`.
pub(crate) fn spread<R: CubeRuntime>(x: &Maps<R>, window: Window) -> CubeTensor<R> {
    let [height, width] = window.output([x.height, x.width]);
    let places = window.kernel[0] * window.kernel[1];
    let rows = x.count * height * width;
    let out = empty(&x.tensor, [1, rows, places * x.channels], x.tensor.dtype);
    let vectors = rows * places * x.lanes();
    let (cubes, cube) = threads(&x.tensor, vectors);
    spread_kernel::launch::<R>(
        &out.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        out.clone().into_array_arg(),
        x.height,
        x.width,
        height,
        width,
        x.lanes(),
        vectors,
        window,
        x.tensor.dtype.into(),
    );
    out
}

/// The other way: for each place of maps of those sizes the sum of what rows hold of it.
pub(crate) fn gather<R: CubeRuntime>(columns: &CubeTensor<R>, window: Window, dims: [usize; 4]) -> Maps<R> {
    let out = Maps::empty(columns, dims);
    let [out_height, out_width] = window.output([out.height, out.width]);
    let (cubes, cube) = threads(&out.tensor, out.vectors());
    gather_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        out.vector(),
        columns.clone().into_array_arg(),
        out.tensor.clone().into_array_arg(),
        out.height,
        out.width,
        out_height,
        out_width,
        out.lanes(),
        out.vectors(),
        window,
        columns.dtype.into(),
    );
    out
}
