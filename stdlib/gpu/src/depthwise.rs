//! Convolutions of each channel with a kernel of its own.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::{permute, reshape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::Window;
use crate::launch::threads;
use crate::maps::{Maps, empty, tight};
use crate::sums::total;
use crate::window::above;

/// Places side by side that one thread computes, so that it reads what they share once.
const TILE: usize = 4;
/// Rows of the output that one thread adds up for the gradient of the weight.
const ROWS: usize = 4;

/// All that decides how threads go over maps, known when the kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Plan {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    /// Whether the kernel's places are taken from the last to the first.
    is_turned: bool,
}

impl Plan {
    fn of(window: Window) -> Self {
        Self { kernel: window.kernel, stride: window.stride, padding: window.padding, is_turned: false }
    }

    /// Columns of the input that a tile of the output lies over.
    fn span(&self) -> usize {
        (TILE - 1) * self.stride[1] + self.kernel[1]
    }

    /// The place of the kernel at that row and column, with which a column of the input counts for a
    /// place of the tile; `None` where it doesn't.
    fn weight(&self, row: usize, column: usize, place: usize) -> Option<usize> {
        let at = column.checked_sub(place * self.stride[1]).filter(|at| *at < self.kernel[1])?;
        let [height, width] = self.kernel;
        Some(if self.is_turned { (height - 1 - row) * width + width - 1 - at } else { row * width + at })
    }

    fn weight_or_first(&self, row: usize, column: usize, place: usize) -> usize {
        self.weight(row, column, place).unwrap_or_default()
    }
}

#[cube(launch)]
fn depthwise_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    weight: &Array<Vector<F, N>>,
    out: &mut Array<Vector<F, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    tiles: usize,
    units: usize,
    #[comptime] plan: Plan,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let lane = ABSOLUTE_POS % lanes;
    let at = ABSOLUTE_POS / lanes;
    let first = at % tiles * TILE;
    let at = at / tiles;
    let (image, out_y) = (at / out_height, at % out_height);
    let mut sums = Array::<Vector<f32, N>>::new(TILE);
    #[unroll]
    for place in 0..TILE {
        sums[place] = Vector::new(0.0);
    }
    #[unroll]
    for row in 0..comptime![plan.kernel[0]] {
        let y = out_y * comptime![plan.stride[0]] + row;
        if y >= comptime![plan.padding[0]] && y < height + comptime![plan.padding[0]] {
            let line = (image * height + y - comptime![plan.padding[0]]) * width;
            #[unroll]
            for column in 0..comptime![plan.span()] {
                let below = first * comptime![plan.stride[1]] + column;
                if below >= comptime![plan.padding[1]] && below < width + comptime![plan.padding[1]] {
                    let read = x[(line + below - comptime![plan.padding[1]]) * lanes + lane];
                    let value = Vector::<f32, N>::cast_from(read);
                    #[unroll]
                    for place in 0..TILE {
                        if comptime![plan.weight(row, column, place).is_some()] {
                            let at = comptime![plan.weight_or_first(row, column, place)];
                            sums[place] += value * Vector::cast_from(weight[at * lanes + lane]);
                        }
                    }
                }
            }
        }
    }
    #[unroll]
    for place in 0..TILE {
        if first + place < out_width {
            let at = ((image * out_height + out_y) * out_width + first + place) * lanes + lane;
            out[at] = Vector::cast_from(sums[place]);
        }
    }
}

/// For each place of the maps, what the places of the output that it counts for send back.
#[cube(launch)]
fn depthwise_backward_kernel<F: Float, N: Size>(
    gradient: &Array<Vector<F, N>>,
    weight: &Array<Vector<F, N>>,
    out: &mut Array<Vector<F, N>>,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    lanes: usize,
    vectors: usize,
    #[comptime] plan: Plan,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let lane = ABSOLUTE_POS % lanes;
    let at = ABSOLUTE_POS / lanes;
    let x = at % width + comptime![plan.padding[1]];
    let at = at / width;
    let (image, y) = (at / height, at % height + comptime![plan.padding[0]]);
    let mut sum = Vector::<f32, N>::new(0.0);
    #[unroll]
    for row in 0..comptime![plan.kernel[0]] {
        #[unroll]
        for column in 0..comptime![plan.kernel[1]] {
            let out_y = above(y, row, out_height, comptime![plan.stride[0]]);
            let out_x = above(x, column, out_width, comptime![plan.stride[1]]);
            if out_y < out_height && out_x < out_width {
                let at = ((image * out_height + out_y) * out_width + out_x) * lanes + lane;
                let place = comptime![row * plan.kernel[1] + column];
                let product = Vector::<f32, N>::cast_from(gradient[at]);
                sum += product * Vector::cast_from(weight[place * lanes + lane]);
            }
        }
    }
    out[ABSOLUTE_POS] = Vector::cast_from(sum);
}

/// For each place of the kernel and a few rows of the output, the sum of the input below times the gradient.
#[cube(launch)]
fn depthwise_weight_kernel<F: Float, N: Size>(
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
    #[comptime] plan: Plan,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let lane = ABSOLUTE_POS % lanes;
    let chunk = ABSOLUTE_POS / lanes;
    let places = comptime![plan.kernel[0] * plan.kernel[1]];
    let mut sums = Array::<Vector<f32, N>>::new(places);
    #[unroll]
    for place in 0..places {
        sums[place] = Vector::new(0.0);
    }
    for line in chunk * ROWS..min(chunk * ROWS + ROWS, rows) {
        let (image, out_y) = (line / out_height, line % out_height);
        for out_x in 0..out_width {
            let behind = Vector::<f32, N>::cast_from(gradient[(line * out_width + out_x) * lanes + lane]);
            #[unroll]
            for row in 0..comptime![plan.kernel[0]] {
                let y = out_y * comptime![plan.stride[0]] + row;
                if y >= comptime![plan.padding[0]] && y < height + comptime![plan.padding[0]] {
                    let above = (image * height + y - comptime![plan.padding[0]]) * width;
                    #[unroll]
                    for column in 0..comptime![plan.kernel[1]] {
                        let below = out_x * comptime![plan.stride[1]] + column;
                        if below >= comptime![plan.padding[1]] && below < width + comptime![plan.padding[1]] {
                            let read = x[(above + below - comptime![plan.padding[1]]) * lanes + lane];
                            let place = comptime![row * plan.kernel[1] + column];
                            sums[place] += behind * Vector::cast_from(read);
                        }
                    }
                }
            }
        }
    }
    #[unroll]
    for place in 0..places {
        out[(chunk * places + place) * lanes + lane] = sums[place];
    }
}

/// Such a convolution: `weight` is `[channels, 1, height, width]`.
pub fn depthwise<R: CubeRuntime>(x: CubeTensor<R>, weight: CubeTensor<R>, window: Window) -> CubeTensor<R> {
    let x = Maps::of(x);
    let output = window.output([x.height, x.width]);
    tiles(&x, weight, Plan::of(window), output).into_tensor()
}

/// The gradient of the maps of [`depthwise`], which are of that height and width.
pub fn depthwise_backward<R: CubeRuntime>(
    weight: CubeTensor<R>,
    gradient: CubeTensor<R>,
    window: Window,
    [height, width]: [usize; 2],
) -> CubeTensor<R> {
    let gradient = Maps::of(gradient);
    let [down, right] = window.padding.map(|padding| padding + 1);
    if window.stride == [1, 1] && down <= window.kernel[0] && right <= window.kernel[1] {
        // A convolution of the gradient with the kernel turned around.
        let padding = [window.kernel[0] - down, window.kernel[1] - right];
        let plan = Plan { padding, is_turned: true, ..Plan::of(window) };
        return tiles(&gradient, weight, plan, [height, width]).into_tensor();
    }
    let out = Maps::empty(&gradient.tensor, [gradient.count, height, width, gradient.channels]);
    let (cubes, cube) = threads(&out.tensor, out.vectors());
    depthwise_backward_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        out.vector(),
        gradient.tensor.clone().into_array_arg(),
        channels_last(weight).into_array_arg(),
        out.tensor.clone().into_array_arg(),
        height,
        width,
        gradient.height,
        gradient.width,
        out.lanes(),
        out.vectors(),
        Plan::of(window),
        out.tensor.dtype.into(),
    );
    out.into_tensor()
}

/// The gradient of the weight of [`depthwise`].
pub fn depthwise_weight_backward<R: CubeRuntime>(
    x: CubeTensor<R>,
    gradient: CubeTensor<R>,
    window: Window,
) -> CubeTensor<R> {
    let (x, gradient) = (Maps::of(x), Maps::of(gradient));
    let places = window.kernel[0] * window.kernel[1];
    let rows = gradient.count * gradient.height;
    let chunks = rows.div_ceil(ROWS);
    let parts = empty(&x.tensor, [chunks, places * x.channels], DType::F32);
    let units = chunks * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    depthwise_weight_kernel::launch::<R>(
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
        Plan::of(window),
        x.tensor.dtype.into(),
    );
    let sum = total(parts, [1, chunks, places * x.channels], 1.0, x.tensor.dtype);
    let [height, width] = window.kernel;
    permute(reshape(sum, Shape::new([height, width, x.channels, 1])), &[2, 3, 0, 1])
}

/// Tiles of the output, a thread each.
fn tiles<R: CubeRuntime>(x: &Maps<R>, weight: CubeTensor<R>, plan: Plan, [height, width]: [usize; 2]) -> Maps<R> {
    let out = Maps::empty(&x.tensor, [x.count, height, width, x.channels]);
    let tiles = width.div_ceil(TILE);
    let units = x.count * height * tiles * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    depthwise_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        channels_last(weight).into_array_arg(),
        out.tensor.clone().into_array_arg(),
        x.height,
        x.width,
        height,
        width,
        x.lanes(),
        tiles,
        units,
        plan,
        out.tensor.dtype.into(),
    );
    out
}

/// `[channels, 1, height, width]` as `[height, width, 1, channels]`.
fn channels_last<R: CubeRuntime>(weight: CubeTensor<R>) -> CubeTensor<R> {
    tight(permute(weight, &[2, 3, 1, 0]))
}
