//! Convolutions of each channel with a kernel of its own.
//!
//! A thread computes a tile of places side by side: it reads a row's taps once, and each place below once,
//! where a place outside the maps is a zero that no branch is taken for, so that reads don't wait for each
//! other.

use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use pipe_network::Activation;

use crate::Window;
use crate::function::activate;
use crate::launch::threads;
use crate::maps::{Maps, exact, tight};

/// Places of a tile.
const TILE: usize = 8;

/// All that decides how threads go over maps, known when the kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Plan {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    /// Whether gradients of the output are taken back to the input.
    is_back: bool,
}

impl Plan {
    fn new(window: Window, is_back: bool) -> Self {
        Self { kernel: window.kernel, stride: window.stride, padding: window.padding, is_back }
    }

    /// Places of a tile. Backwards the first lies where the kernel does for a place of the output.
    fn tile(&self) -> usize {
        if self.is_back { TILE.next_multiple_of(self.stride[1]) } else { TILE }
    }

    /// Columns that are read for a tile before the one which its first place lies at.
    fn before(&self) -> usize {
        match self.is_back {
            true => (self.kernel[1] - 1).saturating_sub(self.padding[1]) / self.stride[1],
            false => self.padding[1],
        }
    }

    /// Columns that are read for a tile.
    fn span(&self) -> usize {
        let last = self.tile() - 1;
        if self.is_back {
            (last + self.padding[1]) / self.stride[1] + self.before() + 1
        } else {
            last * self.stride[1] + self.kernel[1]
        }
    }

    /// The kernel's column with which a column that is read counts for a place of the tile, if it does.
    fn tap(&self, column: usize, place: usize) -> Option<usize> {
        let tap = if self.is_back {
            (place + self.padding[1] + self.before() * self.stride[1]).checked_sub(column * self.stride[1])
        } else {
            column.checked_sub(place * self.stride[1])
        };
        tap.filter(|tap| *tap < self.kernel[1])
    }
}

/// The row that counts with the kernel's `row` for the row `y`; where there is none, one that is not below
/// `height`: a difference below 0 wraps to a large number.
#[cube]
fn read_row(y: usize, #[comptime] row: usize, height: usize, #[comptime] plan: Plan) -> usize {
    let stride = comptime![plan.stride[0]];
    if comptime![plan.is_back] {
        let above = y + comptime![plan.padding[0]] - row;
        let place = above / stride;
        select(place * stride == above, place, height)
    } else {
        y * stride + row - comptime![plan.padding[0]]
    }
}

#[cube(launch)]
fn tile_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    weight: &Array<Vector<F, N>>,
    bias: &ComptimeOption<Array<Vector<f32, N>>>,
    out: &mut Array<Vector<F, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    tiles: usize,
    units: usize,
    #[comptime] plan: Plan,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let lane = ABSOLUTE_POS % lanes;
    let at = ABSOLUTE_POS / lanes;
    let first = at % tiles * comptime![plan.tile()];
    let line = at / tiles;
    let (image, out_y) = (line / out_height, line % out_height);
    let stride = comptime![plan.stride[1]];
    let start = if comptime![plan.is_back] { first / stride } else { first * stride };
    let mut sums = Array::<Vector<f32, N>>::new(comptime![plan.tile()]);
    #[unroll]
    for place in 0..comptime![plan.tile()] {
        sums[place] = Vector::new(0.0);
    }
    #[unroll]
    for row in 0..comptime![plan.kernel[0]] {
        let y = read_row(out_y, row, height, plan);
        if y < height {
            let below = (image * height + y) * width;
            // Reads are not checked: each lies within the maps or the kernel by what was asked above.
            let mut taps = Array::<Vector<f32, N>>::new(comptime![plan.kernel[1]]);
            #[unroll]
            for tap in 0..comptime![plan.kernel[1]] {
                let at = comptime![row * plan.kernel[1] + tap];
                taps[tap] = Vector::cast_from(weight.read_unchecked(at * lanes + lane));
            }
            #[unroll]
            for column in 0..comptime![plan.span()] {
                let x_ = start + column - comptime![plan.before()];
                let mut value = Vector::<f32, N>::new(0.0);
                if x_ < width {
                    value = Vector::cast_from(x.read_unchecked((below + x_) * lanes + lane));
                }
                #[unroll]
                for place in 0..comptime![plan.tile()] {
                    if comptime![plan.tap(column, place).is_some()] {
                        sums[place] += value * taps[comptime![plan.tap(column, place).unwrap_or_default()]];
                    }
                }
            }
        }
    }
    #[unroll]
    for place in 0..comptime![plan.tile()] {
        if first + place < out_width {
            #[comptime]
            let sum = match bias {
                ComptimeOption::Some(bias) => activate::<N>(sums[place] + bias[lane], activation),
                ComptimeOption::None => sums[place],
            };
            out[(line * out_width + first + place) * lanes + lane] = Vector::cast_from(sum);
        }
    }
}

/// Such a convolution: `weight` is `[channels, 1, height, width]`.
pub fn depthwise<R: CubeRuntime>(x: CubeTensor<R>, weight: CubeTensor<R>, window: Window) -> CubeTensor<R> {
    let x = Maps::of(x);
    let output = window.output([x.height, x.width]);
    tiles(&x, weight, None, Plan::new(window, false), output).into_tensor()
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
    tiles(&x, weight, Some((bias, activation)), Plan::new(window, false), output).into_tensor()
}

/// The gradient of the maps of [`depthwise`], which are of that height and width.
pub fn depthwise_backward<R: CubeRuntime>(
    weight: CubeTensor<R>,
    gradient: CubeTensor<R>,
    window: Window,
    input: [usize; 2],
) -> CubeTensor<R> {
    tiles(&Maps::of(gradient), weight, None, Plan::new(window, true), input).into_tensor()
}

/// Tiles of the output, a thread each.
fn tiles<R: CubeRuntime>(
    x: &Maps<R>,
    weight: CubeTensor<R>,
    after: Option<(CubeTensor<R>, Activation)>,
    plan: Plan,
    [height, width]: [usize; 2],
) -> Maps<R> {
    let out = Maps::empty(&x.tensor, [x.count, height, width, x.channels]);
    let tiles = width.div_ceil(plan.tile());
    let units = x.count * height * tiles * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    let (bias, activation) = after.map_or((None, Activation::Identity), |(bias, behind)| (Some(exact(bias)), behind));
    tile_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        channels_last(weight).into_array_arg(),
        bias.map(CubeTensor::into_array_arg).into(),
        out.tensor.clone().into_array_arg(),
        x.height,
        x.width,
        height,
        width,
        x.lanes(),
        tiles,
        units,
        plan,
        activation,
        out.tensor.dtype.into(),
    );
    out
}

/// `[channels, 1, height, width]` as `[height, width, 1, channels]`.
fn channels_last<R: CubeRuntime>(weight: CubeTensor<R>) -> CubeTensor<R> {
    tight(permute(weight, &[2, 3, 1, 0]))
}
