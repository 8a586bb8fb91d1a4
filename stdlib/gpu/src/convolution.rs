//! Convolutions without groups, as products of matrices.

use std::fmt::Debug;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::conv::{ConvStrategy, conv_data_backward, conv_forward};
use burn_cubecl::ops::{permute, permute_nchw_to_nhwc, reshape};
use burn_cubecl::tensor::CubeTensor;

use crate::Window;
use crate::columns::{gather, spread};
use crate::fused::Fused;
use crate::line::sum;
use crate::maps::{Maps, tight};
use crate::narrow::{is_narrow, narrow};
use crate::product::{Products, fused_product, product};
use crate::sums::total;
use crate::tried::{Trial, card, one_at_a_time};
use crate::weights::weigh;

/// Rows that a gradient of a weight adds up within one product, at least; such products are computed side
/// by side and added afterwards.
const ROWS: usize = 2048;

/// A convolution: `weight` is `[outputs, inputs, height, width]`.
pub fn convolve<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    window: Window,
    products: Products,
) -> CubeTensor<R> {
    if is_narrow(&weight) {
        return narrow(x, weight, window, Fused::nothing());
    }
    if !is_product(&x, window, products) {
        let trial = trial(&x, "forward", weight.meta.shape().dims(), window);
        let run = || conv_forward(x, weight, None, options(window), ConvStrategy::default());
        return of_burn(trial, run);
    }
    let numbers = x.dtype;
    product_of(x, weight, window, |rows, weight| product(rows, weight, products, numbers))
}

/// A convolution with what goes along with it, in one kernel where it is a product here.
pub fn convolve_fused<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    window: Window,
    products: Products,
    fused: Fused<R>,
) -> CubeTensor<R> {
    let is_narrow = is_narrow(&weight);
    let (x, gate) = match fused.gate {
        // A gate is for each channel, and columns have more than those.
        Some(gate) if !is_plain(window) || is_narrow => (weigh(x, gate), None),
        gate => (x, gate),
    };
    let fused = Fused { gate, ..fused };
    if is_narrow {
        return narrow(x, weight, window, fused);
    }
    if !is_product(&x, window, products) {
        let x = convolve(x, weight, window, products);
        return sum(x, fused.bias, fused.rest, fused.activation);
    }
    product_of(x, weight, window, |rows, weight| fused_product(rows, weight, products, fused))
}

/// A convolution as that product of the numbers below each place and the weight.
fn product_of<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    window: Window,
    product: impl FnOnce(CubeTensor<R>, CubeTensor<R>) -> CubeTensor<R>,
) -> CubeTensor<R> {
    let [outputs, ..]: [usize; 4] = weight.meta.shape().dims();
    let x = Maps::of(x);
    let count = x.count;
    let [height, width] = window.output([x.height, x.width]);
    let out = product(rows_below(x, window), permute(matrix(weight), &[0, 2, 1]));
    maps(out, [count, height, width, outputs]).into_tensor()
}

/// The gradients of what went into [`convolve`]: of the maps and of the weight, where they are wanted.
pub fn convolve_backward<R: CubeRuntime>(
    x: CubeTensor<R>,
    weight: CubeTensor<R>,
    gradient: CubeTensor<R>,
    window: Window,
    products: Products,
    wants: [bool; 2],
) -> [Option<CubeTensor<R>>; 2] {
    let shape = weight.meta.shape().dims();
    let of_x = wants[0].then(|| maps_backward(&x, weight, gradient.clone(), window, products));
    [of_x, wants[1].then(|| weight_backward(x, gradient, shape, window, products))]
}

fn maps_backward<R: CubeRuntime>(
    x: &CubeTensor<R>,
    weight: CubeTensor<R>,
    gradient: CubeTensor<R>,
    window: Window,
    products: Products,
) -> CubeTensor<R> {
    if !is_product(x, window, products) {
        let (input, trial) = (x.meta.shape().clone(), trial(x, "maps", weight.meta.shape().dims(), window));
        return of_burn(trial, || {
            conv_data_backward(gradient, weight, input, options(window), ConvStrategy::default())
        });
    }
    let [count, channels, height, width]: [usize; 4] = x.meta.shape().dims();
    let dims = [count, height, width, channels];
    let columns = product(Maps::of(gradient).rows(), matrix(weight), products, x.dtype);
    match is_plain(window) {
        true => maps(columns, dims).into_tensor(),
        false => gather(&columns, window, dims).into_tensor(),
    }
}

/// Always a product of what lies below each place: Burn's kernels go along all places of all images on as many cubes
/// as the weight has tiles, which are few in a network's first layers.
fn weight_backward<R: CubeRuntime>(
    x: CubeTensor<R>,
    gradient: CubeTensor<R>,
    [outputs, inputs, height, width]: [usize; 4],
    window: Window,
    products: Products,
) -> CubeTensor<R> {
    let below = inputs * height * width;
    let (x, gradient) = (Maps::of(x), Maps::of(gradient));
    let numbers = x.tensor.dtype;
    let (count, places) = (gradient.count, gradient.places());
    let groups = groups(count, places);
    let rows = count * places / groups;
    let left = permute(reshape(gradient.rows(), Shape::new([groups, rows, outputs])), &[0, 2, 1]);
    let right = reshape(rows_below(x, window), Shape::new([groups, rows, below]));
    let parts = product(left, right, products, DType::F32);
    let sum = total(parts, [1, groups, outputs * below], 1.0, numbers);
    permute(reshape(sum, Shape::new([outputs, height, width, inputs])), &[0, 3, 1, 2])
}

/// What Burn's kernels are tried for.
fn trial<R: CubeRuntime>(x: &CubeTensor<R>, what: &'static str, weight: [usize; 4], window: Window) -> Trial {
    let shapes = [x.meta.shape().dims(), weight];
    Trial::Convolution { card: card(x), what, shapes, window, numbers: x.dtype }
}

/// What Burn's kernels compute.
fn of_burn<R: CubeRuntime, E: Debug>(trial: Trial, run: impl FnOnce() -> Result<CubeTensor<R>, E>) -> CubeTensor<R> {
    match one_at_a_time(trial, run) {
        Ok(out) => out,
        Err(error) => unreachable!("Burn has a kernel for every convolution: {error:?}"),
    }
}

/// Whether the numbers below each place are a row of the maps as they lie.
fn is_plain(window: Window) -> bool {
    window == Window::ONE
}

/// Whether it is computed as a product here. Burn's kernels gather rows as they go, but take the numbers
/// that tensor cores have.
fn is_product<R: CubeRuntime>(x: &CubeTensor<R>, window: Window, products: Products) -> bool {
    let is_exact = match products {
        Products::Exact => x.dtype == DType::F32,
        Products::Plain => true,
        Products::Rounded => false,
    };
    is_plain(window) || is_exact
}

fn rows_below<R: CubeRuntime>(x: Maps<R>, window: Window) -> CubeTensor<R> {
    if is_plain(window) { x.rows() } else { spread(&x, window) }
}

fn maps<R: CubeRuntime>(rows: CubeTensor<R>, [count, height, width, channels]: [usize; 4]) -> Maps<R> {
    let tensor = reshape(tight(rows), Shape::new([count, height, width, channels]));
    Maps { tensor, count, height, width, channels }
}

/// `[1, outputs, height * width * inputs]`.
fn matrix<R: CubeRuntime>(weight: CubeTensor<R>) -> CubeTensor<R> {
    let [outputs, inputs, height, width]: [usize; 4] = weight.meta.shape().dims();
    reshape(tight(permute_nchw_to_nhwc(weight)), Shape::new([1, outputs, inputs * height * width]))
}

/// Into how many groups images of so many places are put.
fn groups(count: usize, places: usize) -> usize {
    let size = (1..=count).find(|size| count.is_multiple_of(*size) && size * places >= ROWS);
    count / size.unwrap_or(count).max(1)
}

fn options(window: Window) -> ConvOptions<2> {
    ConvOptions::new(window.stride, window.padding, [1, 1], 1)
}
