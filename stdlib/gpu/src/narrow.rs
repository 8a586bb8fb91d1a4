//! Convolutions of maps with few channels, as a network's first is: those have too few numbers below each place
//! for a product of matrices.
//!
//! A thread computes some outputs for a tile.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use pipe_network::Activation;

use crate::Window;
use crate::function::activate;
use crate::fused::Fused;
use crate::launch::threads;
use crate::maps::{Maps, outputs_last, tight, vector};
use crate::tile::{Spot, Tile, read_row, spot, summand};

/// Numbers below a place, at most: a thread goes through all of them for each of its outputs.
const FEW: usize = 32;

/// Whether it is for a convolution: `weight` is `[outputs, inputs, height, width]`.
pub(crate) fn is_narrow<R: CubeRuntime>(weight: &CubeTensor<R>) -> bool {
    let [_, inputs, height, width]: [usize; 4] = weight.meta.shape().dims();
    inputs < 4 && inputs * height * width <= FEW
}

#[cube(launch)]
fn narrow_kernel<F: Float, G: Float, N: Size>(
    x: &Array<F>,
    weight: &Array<Vector<F, N>>,
    bias: &ComptimeOption<Array<Vector<G, N>>>,
    rest: &ComptimeOption<Array<Vector<F, N>>>,
    out: &mut Array<Vector<F, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    tiles: usize,
    units: usize,
    #[comptime] inputs: usize,
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
            let length = comptime![tile.window.kernel[1] * inputs];
            let mut taps = Array::<Vector<f32, N>>::new(length);
            #[unroll]
            for tap in 0..length {
                taps[tap] = Vector::cast_from(weight.read_unchecked(comptime![row * length + tap] * lanes + lane));
            }
            #[unroll]
            for column in 0..comptime![tile.span()] {
                let x_ = start + column;
                #[unroll]
                for input in 0..inputs {
                    let mut value = 0_f32;
                    if x_ < width {
                        value = f32::cast_from(x.read_unchecked((below + x_) * inputs + input));
                    }
                    #[unroll]
                    for place in 0..comptime![tile.places()] {
                        if comptime![tile.tap(column, place).is_some()] {
                            let tap = comptime![tile.tap(column, place).unwrap_or_default() * inputs + input];
                            sums[place] += Vector::new(value) * taps[tap];
                        }
                    }
                }
            }
        }
    }
    #[unroll]
    for place in 0..comptime![tile.places()] {
        if first + place < out_width {
            let at = (line * out_width + first + place) * lanes + lane;
            let sum = sums[place];
            #[comptime]
            let sum = match rest {
                ComptimeOption::Some(rest) => sum + Vector::cast_from(rest.read_unchecked(at)),
                ComptimeOption::None => sum,
            };
            out[at] = Vector::cast_from(activate::<N>(sum, activation));
        }
    }
}

/// Such a convolution with what goes along with it, which is no gate.
pub(crate) fn narrow<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    window: Window,
    Fused { bias, rest, activation, .. }: Fused<R>,
) -> CubeTensor<R> {
    let [outputs, ..]: [usize; 4] = weight.meta.shape().dims();
    let x = Maps::of(x);
    let [height, width] = window.output([x.height, x.width]);
    let out = Maps::empty(&x.tensor, [x.count, height, width, outputs]);
    let tile = Tile { window, is_back: false };
    let tiles = width.div_ceil(tile.places());
    let units = x.count * height * tiles * out.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    let (numbers, of_bias) = (out.tensor.dtype, bias.as_ref().map_or(out.tensor.dtype, |bias| bias.dtype));
    narrow_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        vector(outputs),
        x.tensor.into_array_arg(),
        outputs_last(weight).into_array_arg(),
        bias.map(|bias| tight(bias).into_array_arg()).into(),
        rest.map(|rest| Maps::of(rest).tensor.into_array_arg()).into(),
        out.tensor.clone().into_array_arg(),
        x.height,
        x.width,
        height,
        width,
        out.lanes(),
        tiles,
        units,
        x.channels,
        tile,
        activation,
        numbers.into(),
        of_bias.into(),
    );
    out.into_tensor()
}
