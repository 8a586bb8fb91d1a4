//! Elementwise functions over vectors.

use pipe_network::Activation;

use super::simd::Simd;

/// 2^x for x <= 126; what is below -126 gives about 1e-38.
#[inline(always)]
unsafe fn exp2<S: Simd>(x: S) -> S {
    // 1.5 * 2^23: a number added to it is rounded to a whole one.
    const ROUND: f32 = 12_582_912.0;
    // A minimax polynomial of 2^f for f in -1/2..=1/2, relative error 8e-8 (made with the Remez
    // exchange algorithm).
    const POLYNOMIAL: [f32; 6] =
        [0.001_327_647_2, 0.009_675_542, 0.055_507_133, 0.240_221_2, 0.693_146_97, 1.000_000_1];
    let x = x.max(S::splat(-126.0));
    let shifted = x.add(S::splat(ROUND));
    let fraction = x.sub(shifted.sub(S::splat(ROUND)));
    let mut result = S::splat(POLYNOMIAL[0]);
    for coefficient in &POLYNOMIAL[1..] {
        result = result.mul_add(fraction, S::splat(*coefficient));
    }
    result.scale_by_power(shifted)
}

/// e^x for x <= 87.
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S) -> S {
    exp2(x.mul(S::splat(std::f32::consts::LOG2_E)))
}

/// `numerator / (1 + e^-x)`.
#[inline(always)]
unsafe fn times_sigmoid<S: Simd>(x: S, numerator: S) -> S {
    let power = x.mul(S::splat(-std::f32::consts::LOG2_E)).min(S::splat(126.0));
    numerator.div(exp2(power).add(S::splat(1.0)))
}

/// The error function: the rational approximation that Eigen uses for `f32`, within 3e-7.
#[inline(always)]
unsafe fn erf<S: Simd>(x: S) -> S {
    const ABOVE: [f32; 7] =
        [-2.726_142_4e-10, 2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2];
    const BELOW: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let x = x.max(S::splat(-4.0)).min(S::splat(4.0));
    let square = x.mul(x);
    let mut above = S::splat(ABOVE[0]);
    for coefficient in &ABOVE[1..] {
        above = above.mul_add(square, S::splat(*coefficient));
    }
    let mut below = S::splat(BELOW[0]);
    for coefficient in &BELOW[1..] {
        below = below.mul_add(square, S::splat(*coefficient));
    }
    x.mul(above).div(below)
}

/// `min(max(x + 3, 0), 6) / 6`.
#[inline(always)]
unsafe fn hard_sigmoid<S: Simd>(x: S) -> S {
    x.add(S::splat(3.0)).max(S::splat(0.0)).min(S::splat(6.0)).mul(S::splat(1.0 / 6.0))
}

/// An activation of each lane.
#[inline(always)]
pub(super) unsafe fn activate<S: Simd>(activation: Activation, x: S) -> S {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(S::splat(0.0)),
        Activation::Relu6 => x.max(S::splat(0.0)).min(S::splat(6.0)),
        Activation::Silu => times_sigmoid(x, x),
        Activation::HardSwish => x.mul(hard_sigmoid(x)),
        Activation::Gelu => {
            let half = x.mul(S::splat(0.5));
            half.mul_add(erf(x.mul(S::splat(std::f32::consts::FRAC_1_SQRT_2))), half)
        }
        Activation::Sigmoid => times_sigmoid(x, S::splat(1.0)),
        Activation::HardSigmoid => hard_sigmoid(x),
    }
}
