//! How weights follow gradients, in one pass over all that an optimizer keeps of them. All numbers are `f32`.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::launch::threads;
use crate::maps::{empty, exact, vector};

/// A step of AdamW (Loshchilov and Hutter 2019) with its factors as they are at that step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// What weight decay leaves of the weight.
    pub keep: f32,
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f32; 2],
    /// The learning rate over what the mean of the gradients lacks at that step.
    pub rate: f32,
    /// One over what the mean of their squares lacks.
    pub unbias: f32,
    /// Added to the denominator.
    pub eps: f32,
}

/// A step of stochastic gradient descent, as PyTorch has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub lr: f32,
    /// What stays of the last step.
    pub momentum: f32,
    /// How much of the weight is added to its gradient.
    pub weight_decay: f32,
}

#[cube(launch)]
fn adamw_kernel<N: Size>(
    weight: &Array<Vector<f32, N>>,
    gradient: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    square: &Array<Vector<f32, N>>,
    weight_out: &mut Array<Vector<f32, N>>,
    mean_out: &mut Array<Vector<f32, N>>,
    square_out: &mut Array<Vector<f32, N>>,
    keep: f32,
    of_mean: f32,
    of_square: f32,
    rate: f32,
    unbias: f32,
    eps: f32,
    vectors: usize,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let slope = gradient[ABSOLUTE_POS];
    let mean = mean[ABSOLUTE_POS] * Vector::new(of_mean) + slope * Vector::new(1.0 - of_mean);
    let square = square[ABSOLUTE_POS] * Vector::new(of_square) + slope * slope * Vector::new(1.0 - of_square);
    let deviation = (square * Vector::new(unbias)).sqrt() + Vector::new(eps);
    weight_out[ABSOLUTE_POS] = weight[ABSOLUTE_POS] * Vector::new(keep) - mean * Vector::new(rate) / deviation;
    mean_out[ABSOLUTE_POS] = mean;
    square_out[ABSOLUTE_POS] = square;
}

#[cube(launch)]
fn sgd_kernel<N: Size>(
    weight: &Array<Vector<f32, N>>,
    gradient: &Array<Vector<f32, N>>,
    velocity: &Array<Vector<f32, N>>,
    weight_out: &mut Array<Vector<f32, N>>,
    velocity_out: &mut Array<Vector<f32, N>>,
    lr: f32,
    momentum: f32,
    weight_decay: f32,
    vectors: usize,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let before = weight[ABSOLUTE_POS];
    let slope = gradient[ABSOLUTE_POS] + before * Vector::new(weight_decay);
    let velocity = velocity[ABSOLUTE_POS] * Vector::new(momentum) + slope;
    weight_out[ABSOLUTE_POS] = before - velocity * Vector::new(lr);
    velocity_out[ABSOLUTE_POS] = velocity;
}

#[cube(launch)]
fn blend_kernel<N: Size>(
    one: &Array<Vector<f32, N>>,
    other: &Array<Vector<f32, N>>,
    out: &mut Array<Vector<f32, N>>,
    of_one: f32,
    of_other: f32,
    vectors: usize,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    out[ABSOLUTE_POS] = one[ABSOLUTE_POS] * Vector::new(of_one) + other[ABSOLUTE_POS] * Vector::new(of_other);
}

/// Numbers of one tensor as kernels see them, and how many vectors they are of how many numbers.
struct Numbers {
    shape: [usize; 4],
    size: usize,
    vectors: usize,
}

impl Numbers {
    fn of<R: CubeRuntime>(tensor: &CubeTensor<R>) -> Self {
        let shape: [usize; 4] = tensor.meta.shape().dims();
        let all: usize = shape.iter().product();
        let size = vector(all);
        Self { shape, size, vectors: all / size }
    }

    fn empty<R: CubeRuntime>(&self, beside: &CubeTensor<R>) -> CubeTensor<R> {
        empty(beside, self.shape, beside.dtype)
    }
}

/// A weight after a step of AdamW, with the running means of its gradient and of the gradient's square.
pub fn adamw<R: CubeRuntime>(
    weight: CubeTensor<R>,
    gradient: CubeTensor<R>,
    [mean, square]: [CubeTensor<R>; 2],
    step: AdamWStep,
) -> [CubeTensor<R>; 3] {
    let [weight, gradient, mean, square] = [weight, gradient, mean, square].map(exact);
    let numbers = Numbers::of(&weight);
    let out = [&weight, &mean, &square].map(|tensor| numbers.empty(tensor));
    let (cubes, cube) = threads(&weight, numbers.vectors);
    adamw_kernel::launch::<R>(
        &weight.client.clone(),
        cubes,
        cube,
        numbers.size,
        weight.into_array_arg(),
        gradient.into_array_arg(),
        mean.into_array_arg(),
        square.into_array_arg(),
        out[0].clone().into_array_arg(),
        out[1].clone().into_array_arg(),
        out[2].clone().into_array_arg(),
        step.keep,
        step.betas[0],
        step.betas[1],
        step.rate,
        step.unbias,
        step.eps,
        numbers.vectors,
    );
    out
}

/// A weight after a step of stochastic gradient descent, with its velocity.
pub fn sgd<R: CubeRuntime>(
    weight: CubeTensor<R>,
    gradient: CubeTensor<R>,
    velocity: CubeTensor<R>,
    step: SgdStep,
) -> [CubeTensor<R>; 2] {
    let [weight, gradient, velocity] = [weight, gradient, velocity].map(exact);
    let numbers = Numbers::of(&weight);
    let out = [&weight, &velocity].map(|tensor| numbers.empty(tensor));
    let (cubes, cube) = threads(&weight, numbers.vectors);
    sgd_kernel::launch::<R>(
        &weight.client.clone(),
        cubes,
        cube,
        numbers.size,
        weight.into_array_arg(),
        gradient.into_array_arg(),
        velocity.into_array_arg(),
        out[0].clone().into_array_arg(),
        out[1].clone().into_array_arg(),
        step.lr,
        step.momentum,
        step.weight_decay,
        numbers.vectors,
    );
    out
}

/// `of_one * one + of_other * other`, number by number.
pub fn blend<R: CubeRuntime>(one: CubeTensor<R>, other: CubeTensor<R>, [of_one, of_other]: [f32; 2]) -> CubeTensor<R> {
    let [one, other] = [one, other].map(exact);
    let numbers = Numbers::of(&one);
    let out = numbers.empty(&one);
    let (cubes, cube) = threads(&one, numbers.vectors);
    blend_kernel::launch::<R>(
        &one.client.clone(),
        cubes,
        cube,
        numbers.size,
        one.into_array_arg(),
        other.into_array_arg(),
        out.clone().into_array_arg(),
        of_one,
        of_other,
        numbers.vectors,
    );
    out
}
