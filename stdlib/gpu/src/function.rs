//! Activations and their slopes.

use cubecl::prelude::*;
use pipe_network::Activation;

/// An activation, number by number. What is no number stays none.
#[cube]
pub(crate) fn activate<N: Size>(z: Vector<f32, N>, #[comptime] activation: Activation) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0);
    match comptime![activation] {
        Activation::Identity => z,
        Activation::Relu => select_many(z.less_than(zero), zero, z),
        Activation::Relu6 => {
            let six = Vector::<f32, N>::new(6.0);
            let z = select_many(z.less_than(zero), zero, z);
            select_many(z.greater_than(six), six, z)
        }
        Activation::Silu => logistic::<N>(z, z),
        Activation::HardSwish => z * hard_sigmoid::<N>(z),
        Activation::Gelu => z * below::<N>(z),
        Activation::Sigmoid => sigmoid::<N>(z),
        Activation::HardSigmoid => hard_sigmoid::<N>(z),
    }
}

/// The slope of an activation.
#[cube]
pub(crate) fn slope<N: Size>(z: Vector<f32, N>, #[comptime] activation: Activation) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0);
    let one = Vector::<f32, N>::new(1.0);
    match comptime![activation] {
        Activation::Identity => one,
        Activation::Relu => select_many(z.greater_than(zero), one, zero),
        Activation::Relu6 => {
            let is_low = select_many(z.greater_than(zero), one, zero);
            select_many(z.less_than(Vector::new(6.0)), is_low, zero)
        }
        Activation::Silu => {
            let gate = sigmoid::<N>(z);
            gate * (one + z * (one - gate))
        }
        Activation::HardSwish => {
            let inner = z * Vector::new(1.0 / 3.0) + Vector::new(0.5);
            let inner = select_many(z.greater_than(Vector::new(-3.0)), inner, zero);
            select_many(z.less_than(Vector::new(3.0)), inner, one)
        }
        Activation::Sigmoid => {
            let gate = sigmoid::<N>(z);
            gate * (one - gate)
        }
        Activation::HardSigmoid => {
            let sixth = select_many(z.greater_than(Vector::new(-3.0)), Vector::new(1.0 / 6.0), zero);
            select_many(z.less_than(Vector::new(3.0)), sixth, zero)
        }
        Activation::Gelu => {
            // The density of the normal distribution: e^(-z^2 / 2) / sqrt(2 pi).
            let density = (z * z * Vector::new(-0.5)).exp() * Vector::new(0.398_942_3);
            below::<N>(z) + z * density
        }
    }
}

#[cube]
fn sigmoid<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    logistic::<N>(Vector::new(1.0), z)
}

/// `x * sigmoid(z)`, to some millionths of itself: CUDA's `__expf` and `__fdividef` take a few instructions, where
/// what they are for otherwise takes most of a kernel's. They have NaN and infinity as they are, though the flags
/// that ask for them allow otherwise.
#[cube(
    fast_math = FastMath::NotNaN | FastMath::NotInf | FastMath::UnsignedZero | FastMath::AllowReciprocal
        | FastMath::ReducedPrecision
)]
fn logistic<N: Size>(x: Vector<f32, N>, z: Vector<f32, N>) -> Vector<f32, N> {
    x / (Vector::new(1.0) + (z * Vector::new(-1.0)).exp())
}

#[cube]
fn hard_sigmoid<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0);
    let one = Vector::<f32, N>::new(1.0);
    let inner = z * Vector::new(1.0 / 6.0) + Vector::new(0.5);
    let inner = select_many(inner.less_than(zero), zero, inner);
    select_many(inner.greater_than(one), one, inner)
}

/// The normal distribution's share below `z`.
#[cube]
fn below<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    let scaled = z * Vector::new(std::f32::consts::FRAC_1_SQRT_2);
    (scaled.erf() + Vector::new(1.0)) * Vector::new(0.5)
}
