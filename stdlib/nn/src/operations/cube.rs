//! Operations on GPUs: the kernels of `pipe-gpu`.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor, TensorPrimitive};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use pipe_gpu::{AdamWStep, Norm, Piece, Products, SgdStep, Window};
use pipe_network::Activation;

use super::{BatchNorm, Dense, Fused, Operations, layer_by_layer};

impl<R, F, I, B> Operations for CubeBackend<R, F, I, B>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    B: BoolElement,
    Self: Backend<FloatTensorPrimitive = CubeTensor<R>, IntTensorPrimitive = CubeTensor<R>>,
{
    fn images(
        words: Tensor<Self, 1, Int>,
        shape: [usize; 3],
        normalize: [[f32; 3]; 2],
        numbers: FloatDType,
    ) -> Tensor<Self, 4> {
        tensor(pipe_gpu::images(words.into_primitive(), shape, normalize, numbers.into()))
    }

    fn shift(x: Tensor<Self, 4>, bias: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        tensor(pipe_gpu::shift(cube(x), cube(bias), activation))
    }

    fn add(x: Tensor<Self, 4>, rest: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        tensor(pipe_gpu::add(cube(x), cube(rest), activation))
    }

    fn shift_onto(
        x: Tensor<Self, 4>,
        bias: Tensor<Self, 4>,
        rest: Tensor<Self, 4>,
        activation: Activation,
    ) -> Tensor<Self, 4> {
        tensor(pipe_gpu::shift_onto(cube(x), cube(bias), cube(rest), activation))
    }

    fn normalize(x: Tensor<Self, 4>, norm: &BatchNorm<Self>, activation: Activation) -> Tensor<Self, 4> {
        tensor(pipe_gpu::normalize(cube(x), norm_of(norm), activation))
    }

    fn weigh(x: Tensor<Self, 4>, weights: Tensor<Self, 4>) -> Tensor<Self, 4> {
        tensor(pipe_gpu::weigh(cube(x), cube(weights)))
    }

    fn average(x: Tensor<Self, 4>) -> Tensor<Self, 4> {
        tensor(pipe_gpu::average(cube(x)))
    }

    fn gate(x: Tensor<Self, 4>, squeeze: &Dense<Self>, excite: &Dense<Self>) -> Tensor<Self, 4> {
        match pipe_gpu::gate(cube(x.clone()), [squeeze, excite].map(dense)) {
            Some(gate) => tensor(gate),
            None => layer_by_layer(x, squeeze, excite),
        }
    }

    fn moments(x: Tensor<Self, 4>) -> (Tensor<Self, 4>, Tensor<Self, 4>) {
        let (mean, variance) = pipe_gpu::moments(cube(x));
        (tensor(mean), tensor(variance))
    }

    fn multiply(left: Tensor<Self, 3>, right: Tensor<Self, 3>, products: Products) -> Tensor<Self, 3> {
        let (left, right) = (cube(left), cube(right));
        let numbers = left.dtype;
        tensor(pipe_gpu::product(left, right, products, numbers))
    }

    fn convolve(x: Tensor<Self, 4>, weight: Tensor<Self, 4>, window: Window, products: Products) -> Tensor<Self, 4> {
        tensor(pipe_gpu::convolve(cube(x), cube(weight), window, products))
    }

    fn convolve_fused(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        window: Window,
        products: Products,
        along: Fused<Self>,
    ) -> Tensor<Self, 4> {
        tensor(pipe_gpu::convolve_fused(cube(x), cube(weight), window, products, fused(along)))
    }

    fn depthwise(x: Tensor<Self, 4>, weight: Tensor<Self, 4>, window: Window) -> Tensor<Self, 4> {
        tensor(pipe_gpu::depthwise(cube(x), cube(weight), window))
    }

    fn depthwise_shift(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        window: Window,
        bias: Tensor<Self, 4>,
        activation: Activation,
    ) -> Tensor<Self, 4> {
        tensor(pipe_gpu::depthwise_shift(cube(x), cube(weight), window, cube(bias), activation))
    }

    fn shift_backward(
        x: Tensor<Self, 4>,
        bias: Tensor<Self, 4>,
        activation: Activation,
        gradient: Tensor<Self, 4>,
    ) -> [Tensor<Self, 4>; 2] {
        pipe_gpu::shift_backward(cube(x), cube(bias), activation, cube(gradient)).map(tensor)
    }

    fn normalize_backward(
        x: Tensor<Self, 4>,
        norm: &BatchNorm<Self>,
        activation: Activation,
        gradient: Tensor<Self, 4>,
    ) -> [Tensor<Self, 4>; 3] {
        pipe_gpu::normalize_backward(cube(x), norm_of(norm), activation, cube(gradient)).map(tensor)
    }

    fn weigh_backward(x: Tensor<Self, 4>, weights: Tensor<Self, 4>, gradient: Tensor<Self, 4>) -> [Tensor<Self, 4>; 2] {
        pipe_gpu::weigh_backward(cube(x), cube(weights), cube(gradient)).map(tensor)
    }

    fn convolve_backward(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        gradient: Tensor<Self, 4>,
        window: Window,
        products: Products,
        wants: [bool; 2],
    ) -> [Option<Tensor<Self, 4>>; 2] {
        let all = pipe_gpu::convolve_backward(cube(x), cube(weight), cube(gradient), window, products, wants);
        all.map(|gradient| gradient.map(tensor))
    }

    fn depthwise_backward(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        gradient: Tensor<Self, 4>,
        window: Window,
    ) -> Tensor<Self, 4> {
        let [.., height, width] = x.dims();
        tensor(pipe_gpu::depthwise_backward(cube(weight), cube(gradient), window, [height, width]))
    }

    fn depthwise_weight_backward(x: Tensor<Self, 4>, gradient: Tensor<Self, 4>, window: Window) -> Tensor<Self, 4> {
        tensor(pipe_gpu::depthwise_weight_backward(cube(x), cube(gradient), window))
    }

    fn part(flat: &Tensor<Self, 1>, start: usize, shape: [usize; 4]) -> Tensor<Self, 4> {
        tensor(pipe_gpu::part(&cube(flat.clone()), start, shape))
    }

    fn adamw(
        weights: Tensor<Self, 1>,
        gradients: Vec<Piece<Tensor<Self, 4>>>,
        kept: [Tensor<Self, 1>; 2],
        step: AdamWStep,
    ) -> [Tensor<Self, 1>; 3] {
        pipe_gpu::adamw(cube(weights), pieces(gradients), kept.map(cube), step).map(tensor)
    }

    fn sgd(
        weights: Tensor<Self, 1>,
        gradients: Vec<Piece<Tensor<Self, 4>>>,
        velocity: Tensor<Self, 1>,
        step: SgdStep,
    ) -> [Tensor<Self, 1>; 2] {
        pipe_gpu::sgd(cube(weights), pieces(gradients), cube(velocity), step).map(tensor)
    }

    fn blend(numbers: Tensor<Self, 1>, share: f32, all: Vec<Piece<Tensor<Self, 4>>>) -> Tensor<Self, 1> {
        tensor(pipe_gpu::blend(cube(numbers), share, pieces(all)))
    }
}

fn pieces<R: CubeRuntime, B>(pieces: Vec<Piece<Tensor<B, 4>>>) -> Vec<Piece<CubeTensor<R>>>
where
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    let piece = |Piece { start, tensor, factor }| Piece { start, tensor: cube(tensor), factor };
    pieces.into_iter().map(piece).collect()
}

fn fused<R: CubeRuntime, B>(Fused { gate, bias, rest, activation }: Fused<B>) -> pipe_gpu::Fused<R>
where
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    pipe_gpu::Fused { gate: gate.map(cube), bias: Some(cube(bias)), rest: rest.map(cube), activation }
}

fn dense<R: CubeRuntime, B>(Dense { weight, bias, activation, .. }: &Dense<B>) -> pipe_gpu::Dense<R>
where
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    pipe_gpu::Dense { weight: cube(weight.clone()), bias: cube(bias.clone()), activation: *activation }
}

fn norm_of<R, F, I, B>(norm: &BatchNorm<CubeBackend<R, F, I, B>>) -> Norm<R>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    B: BoolElement,
    CubeBackend<R, F, I, B>: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    let part = |tensor: &Tensor<CubeBackend<R, F, I, B>, 4>| cube(tensor.clone());
    Norm {
        weight: part(&norm.weight),
        bias: part(&norm.bias),
        mean: part(&norm.mean),
        variance: part(&norm.variance),
        epsilon: norm.epsilon,
    }
}

fn cube<R: CubeRuntime, B, const D: usize>(tensor: Tensor<B, D>) -> CubeTensor<R>
where
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    tensor.into_primitive().tensor()
}

fn tensor<R: CubeRuntime, B, const D: usize>(cube: CubeTensor<R>) -> Tensor<B, D>
where
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    Tensor::from_primitive(TensorPrimitive::Float(cube))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stderr, reason = "what tests share is of tests too")]
mod tests;
