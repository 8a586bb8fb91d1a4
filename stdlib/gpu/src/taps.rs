//! The gradient of the weight of a depthwise convolution.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::{permute, reshape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::Window;
use crate::launch::threads;
use crate::maps::{Maps, empty};
use crate::sums::total;
use crate::tile::{Tile, read_column};

/// Rows of the output that one thread adds up.
const ROWS: usize = 8;

/// For each row of the kernel and a few rows of the output, the sums of the input below times the gradient.
#[cube(launch)]
fn taps_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    gradient: &Array<Vector<F, N>>,
    out: &mut Array<Vector<f32, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    rows: usize,
    units: usize,
    #[comptime] tile: Tile,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let lane = ABSOLUTE_POS % lanes;
    let at = ABSOLUTE_POS / lanes;
    let (row, chunk) = (at % comptime![tile.window.kernel[0]], at / comptime![tile.window.kernel[0]]);
    let mut sums = Array::<Vector<f32, N>>::new(comptime![tile.window.kernel[1]]);
    #[unroll]
    for tap in 0..comptime![tile.window.kernel[1]] {
        sums[tap] = Vector::new(0.0);
    }
    for line in chunk * ROWS..min(chunk * ROWS + ROWS, rows) {
        // Above the maps the difference wraps to a large number.
        let y = line % out_height * comptime![tile.window.stride[0]] + row - comptime![tile.window.padding[0]];
        if y < height {
            let below = (line / out_height * height + y) * width;
            let mut first = 0_usize.runtime();
            while first < out_width {
                // Reads are not checked: each lies within the maps by what was asked before.
                let mut behind = Array::<Vector<f32, N>>::new(comptime![tile.places()]);
                #[unroll]
                for place in 0..comptime![tile.places()] {
                    behind[place] = Vector::new(0.0);
                    if first + place < out_width {
                        let at = (line * out_width + first + place) * lanes + lane;
                        behind[place] = Vector::cast_from(gradient.read_unchecked(at));
                    }
                }
                #[unroll]
                for column in 0..comptime![tile.span()] {
                    let x_ = read_column(first, tile) + column;
                    let mut value = Vector::<f32, N>::new(0.0);
                    if x_ < width {
                        value = Vector::cast_from(x.read_unchecked((below + x_) * lanes + lane));
                    }
                    #[unroll]
                    for place in 0..comptime![tile.places()] {
                        if comptime![tile.tap(column, place).is_some()] {
                            sums[comptime![tile.tap(column, place).unwrap_or_default()]] += behind[place] * value;
                        }
                    }
                }
                first += comptime![tile.places()];
            }
        }
    }
    #[unroll]
    for tap in 0..comptime![tile.window.kernel[1]] {
        let place = (chunk * comptime![tile.window.kernel[0]] + row) * comptime![tile.window.kernel[1]] + tap;
        out[place * lanes + lane] = sums[tap];
    }
}

/// The gradient of the weight of [`depthwise`](crate::depthwise).
pub fn depthwise_weight_backward<R: CubeRuntime>(
    x: CubeTensor<R>,
    gradient: CubeTensor<R>,
    window: Window,
) -> CubeTensor<R> {
    let (x, gradient) = (Maps::of(x), Maps::of(gradient));
    let [height, width] = window.kernel;
    let rows = gradient.count * gradient.height;
    let chunks = rows.div_ceil(ROWS);
    let parts = empty(&x.tensor, [chunks, height * width * x.channels], DType::F32);
    let units = chunks * height * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    taps_kernel::launch::<R>(
        &parts.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        gradient.tensor.clone().into_array_arg(),
        parts.clone().into_array_arg(),
        x.height,
        x.width,
        gradient.height,
        gradient.width,
        x.lanes(),
        rows,
        units,
        Tile { window, is_back: false },
        x.tensor.dtype.into(),
    );
    let sum = total(parts, [1, chunks, height * width * x.channels], 1.0, x.tensor.dtype);
    permute(reshape(sum, Shape::new([height, width, x.channels, 1])), &[2, 3, 0, 1])
}
