//! Weights as a forward pass wants them: norms folded into the convolutions before them.

use crate::block::{Conv, Linear};
use crate::weights::Weights;

/// Weights `[outputs, inputs / groups, kernel, kernel]` (a dense layer's: `[outputs, inputs]`),
/// row-major, and a bias for each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// The weights.
    pub weight: Vec<f32>,
    /// The bias.
    pub bias: Vec<f32>,
}

impl Folded {
    /// A convolution with the norm behind it.
    ///
    /// `norm(conv(x)) = conv'(x)`: the weights times `gamma / sqrt(var + eps)`, the bias
    /// `beta - mean * gamma / sqrt(var + eps)`. In `f64`, so that folding costs no accuracy.
    pub fn conv(conv: &Conv, weights: &Weights) -> Self {
        let weight = weights.numbers(&format!("{}.weight", conv.name)).to_vec();
        let Some(norm) = &conv.norm else {
            return Self { weight, bias: weights.numbers(&format!("{}.bias", conv.name)).to_vec() };
        };
        let part = |part: &str| weights.numbers(&format!("{}.{part}", norm.name)).iter().map(|&x| f64::from(x));
        let scales: Vec<f64> = part("weight")
            .zip(part("running_var"))
            .map(|(gamma, variance)| gamma / (variance + f64::from(norm.epsilon)).sqrt())
            .collect();
        let bias = part("bias").zip(part("running_mean")).zip(&scales).map(|((beta, mean), scale)| beta - mean * scale);
        let mut folded = Self { weight, bias: bias.map(|bias| bias as f32).collect() };
        folded.scale_weight(&scales);
        folded
    }

    /// A dense layer.
    pub fn linear(linear: &Linear, weights: &Weights) -> Self {
        let part = |part: &str| weights.numbers(&format!("{}.{part}", linear.name)).to_vec();
        Self { weight: part("weight"), bias: part("bias") }
    }

    /// Multiplies each output by a factor.
    pub fn scaled(mut self, factors: &[f32]) -> Self {
        let factors: Vec<f64> = factors.iter().map(|&factor| f64::from(factor)).collect();
        self.scale_weight(&factors);
        for (bias, factor) in self.bias.iter_mut().zip(&factors) {
            *bias = (f64::from(*bias) * factor) as f32;
        }
        self
    }

    fn scale_weight(&mut self, factors: &[f64]) {
        let each = (self.weight.len() / factors.len().max(1)).max(1);
        for (weights, factor) in self.weight.chunks_exact_mut(each).zip(factors) {
            weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
        }
    }
}
