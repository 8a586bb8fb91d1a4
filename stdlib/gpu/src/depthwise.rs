//! Convolutions of each channel with a kernel of its own.
//!
//! A thread computes a tile: it reads a row's taps once, and each place below once, where a place outside the
//! maps is a zero that no branch is taken for, so that reads don't wait for each other.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use pipe_network::Activation;

use crate::Window;
use crate::function::activate;
use crate::launch::threads;
use crate::maps::{Maps, outputs_last, tight};
use crate::tile::{Spot, Tile, read_row, spot, summand};

#[cube(launch)]
fn depthwise_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    weight: &Array<Vector<F, N>>,
    bias: &ComptimeOption<Array<Vector<G, N>>>,
    out: &mut Array<Vector<F, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    tiles: usize,
    units: usize,
    #[comptime] tile: Tile,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_bias: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let Spot { lane, image, line, row: out_y, first, start } = spot(lanes, tiles, out_height, tile);
    let summand = summand::<G, N>(bias, lane);
    let mut sums = Array::<Vector<f32, N>>::new(comptime![tile.places()]);
    #[unroll]
    for place in 0..comptime![tile.places()] {
        sums[place] = summand;
    }
    #[unroll]
    for row in 0..comptime![tile.window.kernel[0]] {
        let y = read_row(out_y, row, height, tile);
        if y < height {
            let below = (image * height + y) * width;
            // Reads are not checked: each lies within the maps or the kernel by what was asked above.
            let mut taps = Array::<Vector<f32, N>>::new(comptime![tile.window.kernel[1]]);
            #[unroll]
            for tap in 0..comptime![tile.window.kernel[1]] {
                let at = comptime![row * tile.window.kernel[1] + tap];
                taps[tap] = Vector::cast_from(weight.read_unchecked(at * lanes + lane));
            }
            #[unroll]
            for column in 0..comptime![tile.span()] {
                let x_ = start + column;
                let mut value = Vector::<f32, N>::new(0.0);
                if x_ < width {
                    value = Vector::cast_from(x.read_unchecked((below + x_) * lanes + lane));
                }
                #[unroll]
                for place in 0..comptime![tile.places()] {
                    if comptime![tile.tap(column, place).is_some()] {
                        sums[place] += value * taps[comptime![tile.tap(column, place).unwrap_or_default()]];
                    }
                }
            }
        }
    }
    #[unroll]
    for place in 0..comptime![tile.places()] {
        if first + place < out_width {
            let at = (line * out_width + first + place) * lanes + lane;
            out[at] = Vector::cast_from(activate::<N>(sums[place], activation));
        }
    }
}

/// Such a convolution: `weight` is `[channels, 1, height, width]`.
pub fn depthwise<R: CubeRuntime>(x: CubeTensor<R>, weight: CubeTensor<R>, window: Window) -> CubeTensor<R> {
    let x = Maps::of(x);
    let output = window.output([x.height, x.width]);
    tiles(&x, weight, None, Tile { window, is_back: false }, output).into_tensor()
}

/// Likewise, and [`shift`](crate::shift) behind it.
pub fn depthwise_shift<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    window: Window,
    bias: CubeTensor<R>,
    activation: Activation,
) -> CubeTensor<R> {
    let x = Maps::of(x);
    let output = window.output([x.height, x.width]);
    tiles(&x, weight, Some((bias, activation)), Tile { window, is_back: false }, output).into_tensor()
}

/// The gradient of the maps of [`depthwise`], which are of that height and width.
pub fn depthwise_backward<R: CubeRuntime>(
    weight: CubeTensor<R>,
    gradient: CubeTensor<R>,
    window: Window,
    input: [usize; 2],
) -> CubeTensor<R> {
    tiles(&Maps::of(gradient), weight, None, Tile { window, is_back: true }, input).into_tensor()
}

/// Tiles of the output, a thread each.
fn tiles<R: CubeRuntime>(
    x: &Maps<R>,
    weight: CubeTensor<R>,
    after: Option<(CubeTensor<R>, Activation)>,
    tile: Tile,
    [height, width]: [usize; 2],
) -> Maps<R> {
    let out = Maps::empty(&x.tensor, [x.count, height, width, x.channels]);
    let tiles = width.div_ceil(tile.places());
    let units = x.count * height * tiles * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    let (bias, activation) = after.map_or((None, Activation::Identity), |(bias, behind)| (Some(tight(bias)), behind));
    let of_bias = bias.as_ref().map_or(out.tensor.dtype, |bias| bias.dtype);
    depthwise_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        outputs_last(weight).into_array_arg(),
        bias.map(CubeTensor::into_array_arg).into(),
        out.tensor.clone().into_array_arg(),
        x.height,
        x.width,
        height,
        width,
        x.lanes(),
        tiles,
        units,
        tile,
        activation,
        out.tensor.dtype.into(),
        of_bias.into(),
    );
    out
}
