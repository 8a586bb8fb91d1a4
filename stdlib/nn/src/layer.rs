//! The layers of a network on a device, and what comes out of them.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::module::max_pool2d;
use pipe_gpu::{Products, Window};
use pipe_network::{Activation, Conv, MaxPool, Norm};

use crate::operations::{BatchNorm, Dense, Fused, Operations, weighed};

#[derive(Debug, Clone)]
pub(crate) enum Layer<B: Backend> {
    Conv(Convolution<B>),
    Linear(Dense<B>),
    Norm(Scale<B>, f32),
    MaxPool(MaxPool),
    SqueezeExcite([Dense<B>; 2]),
    Attention(Box<Heads<B>>),
    Residual {
        body: Vec<Layer<B>>,
        shortcut: Vec<Layer<B>>,
        scale: Option<Tensor<B, 4>>,
        activation: Activation,
    },
    Concat(Vec<Vec<Layer<B>>>),
    /// The class token with its position, and the positions of the others.
    Tokens(Tensor<B, 4>, Tensor<B, 4>),
    FirstToken,
    PatchTokens,
    Mean,
}

/// A convolution with what follows it.
#[derive(Debug, Clone)]
pub(crate) struct Convolution<B: Backend> {
    pub(crate) conv: Conv,
    pub(crate) weight: Tensor<B, 4>,
    pub(crate) after: After<B>,
    pub(crate) products: Products,
}

/// What follows a convolution, before its activation.
#[derive(Debug, Clone)]
pub(crate) enum After<B: Backend> {
    /// A bias, `[1, channels, 1, 1]`.
    Shift(Tensor<B, 4>),
    /// A norm with the statistics of what comes, which are noted: its weight and bias.
    Norm([Tensor<B, 4>; 2], Norm, Noted<B>),
}

/// What the norm of that name saw: mean, variance and count of the values.
#[derive(Debug)]
pub(crate) struct Seen<B: Backend> {
    pub(crate) norm: String,
    pub(crate) mean: Tensor<B, 4>,
    pub(crate) variance: Tensor<B, 4>,
    pub(crate) values: usize,
}

/// Where norms note what they saw.
pub(crate) type Noted<B> = Arc<Mutex<Vec<Seen<B>>>>;

/// A factor and a summand for each channel, `[1, channels, 1, 1]`.
#[derive(Debug, Clone)]
pub(crate) struct Scale<B: Backend> {
    pub(crate) weight: Tensor<B, 4>,
    pub(crate) bias: Tensor<B, 4>,
}

#[derive(Debug, Clone)]
pub(crate) struct Heads<B: Backend> {
    pub(crate) heads: usize,
    pub(crate) queries_keys_values: Dense<B>,
    pub(crate) after: Dense<B>,
}

impl<B: Operations> Convolution<B> {
    pub(crate) fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.apply_gated(x, None)
    }

    /// Of maps times a weight for each channel of each image, where there are such.
    fn apply_gated(&self, x: Tensor<B, 4>, gate: Option<Tensor<B, 4>>) -> Tensor<B, 4> {
        let activation = self.conv.activation;
        match &self.after {
            After::Shift(bias) if self.conv.is_depthwise() => {
                let (x, window) = self.framed(weighed(x, gate));
                B::depthwise_shift(x, self.weight.clone(), window, bias.clone(), activation)
            }
            After::Shift(bias) => self.fused(x, Fused { gate, bias: bias.clone(), rest: None, activation }),
            After::Norm([weight, bias], norm, noted) => {
                let x = self.convolve(weighed(x, gate));
                let (mean, variance) = note(&x, &norm.name, noted);
                let (weight, bias) = (weight.clone(), bias.clone());
                B::normalize(x, &BatchNorm { weight, bias, mean, variance, epsilon: norm.epsilon }, activation)
            }
        }
    }

    /// What comes out, a shortcut added, and an activation behind that.
    fn apply_onto(
        &self,
        x: Tensor<B, 4>,
        gate: Option<Tensor<B, 4>>,
        shortcut: Tensor<B, 4>,
        activation: Activation,
    ) -> Tensor<B, 4> {
        let is_linear = self.conv.activation == Activation::Identity && !self.conv.is_depthwise();
        match &self.after {
            After::Shift(bias) if is_linear => {
                self.fused(x, Fused { gate, bias: bias.clone(), rest: Some(shortcut), activation })
            }
            _ => B::add(self.apply_gated(x, gate), shortcut, activation),
        }
    }

    fn fused(&self, x: Tensor<B, 4>, fused: Fused<B>) -> Tensor<B, 4> {
        let (x, window) = self.framed(x);
        B::convolve_fused(x, self.weight.clone(), window, self.products, fused)
    }

    /// The convolution without what follows it.
    fn convolve(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let (x, window) = self.framed(x);
        match self.conv.is_depthwise() {
            true => B::depthwise(x, self.weight.clone(), window),
            false => B::convolve(x, self.weight.clone(), window, self.products),
        }
    }

    /// Maps and the window that goes over them, which has no uneven padding.
    fn framed(&self, x: Tensor<B, 4>) -> (Tensor<B, 4>, Window) {
        let conv = &self.conv;
        let [_, _, height, width] = x.dims();
        let ((top, bottom), (left, right)) = (conv.padding_of(height), conv.padding_of(width));
        let is_even = top == bottom && left == right;
        let (x, padding) = if is_even { (x, [top, left]) } else { (padded(x, [top, bottom], [left, right]), [0, 0]) };
        (x, Window { kernel: [conv.kernel; 2], stride: [conv.stride; 2], padding })
    }
}

/// Maps with zeros around them, in the numbers that they have: those of Burn's `pad` are the device's.
fn padded<B: Backend>(x: Tensor<B, 4>, [top, bottom]: [usize; 2], [left, right]: [usize; 2]) -> Tensor<B, 4> {
    let [count, channels, height, width] = x.dims();
    // Channels last, as kernels for GPUs want them.
    let shape = [count, top + height + bottom, left + width + right, channels];
    let zeros = Tensor::zeros(shape, (&x.device(), x.dtype())).permute([0, 3, 1, 2]);
    zeros.slice_assign([0..count, 0..channels, top..top + height, left..left + width], x)
}

/// Mean and variance of maps before a norm, without a gradient.
fn note<B: Operations>(x: &Tensor<B, 4>, norm: &str, noted: &Noted<B>) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let [count, _, height, width] = x.dims();
    let (mean, variance) = B::moments(x.clone().detach());
    noted.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
        norm: norm.to_owned(),
        mean: mean.clone(),
        variance: variance.clone(),
        values: count * height * width,
    });
    (mean, variance)
}

impl<B: Operations> Heads<B> {
    /// Of tokens `[count, channels, places, 1]`.
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [count, channels, places, _] = x.dims();
        let each = channels / self.heads;
        let all = self.queries_keys_values.apply(x).reshape([count, 3 * self.heads, each, places]);
        let part = |which: usize| {
            let part = all.clone().narrow(1, which * self.heads, self.heads);
            part.reshape([count * self.heads, each, places])
        };
        let products = self.after.products;
        let (queries, keys, values) = (part(0).swap_dims(1, 2), part(1), part(2).swap_dims(1, 2));
        let scores = softmax(B::multiply(queries, keys, products) / (each as f64).sqrt(), 2);
        let mixed = B::multiply(scores, values, products).swap_dims(1, 2);
        self.after.apply(mixed.reshape([count, channels, places, 1]))
    }
}

/// What comes out of layers, one behind the other.
pub(crate) fn apply<B: Operations>(layers: &[Layer<B>], x: Tensor<B, 4>) -> Tensor<B, 4> {
    let (x, gate) = apply_to_gate(layers, x);
    weighed(x, gate)
}

/// Likewise; where squeeze-and-excitation is the last, its weights beside what they are for, so that a convolution
/// behind them takes both.
fn apply_to_gate<B: Operations>(layers: &[Layer<B>], x: Tensor<B, 4>) -> (Tensor<B, 4>, Option<Tensor<B, 4>>) {
    layers.iter().fold((x, None), |(x, gate), layer| apply_one(layer, x, gate))
}

fn apply_one<B: Operations>(
    layer: &Layer<B>,
    x: Tensor<B, 4>,
    gate: Option<Tensor<B, 4>>,
) -> (Tensor<B, 4>, Option<Tensor<B, 4>>) {
    let (x, gate) = match layer {
        Layer::Conv(_) => (x, gate),
        _ => (weighed(x, gate), None),
    };
    let out = match layer {
        Layer::Conv(conv) => conv.apply_gated(x, gate),
        Layer::SqueezeExcite([squeeze, excite]) => {
            let [x, seen] = B::fork(x);
            return (x, Some(B::gate(seen, squeeze, excite)));
        }
        Layer::Linear(dense) => dense.apply(x),
        Layer::Norm(scale, epsilon) => {
            let off = x.clone() - x.mean_dim(1);
            let variance = off.clone().powi_scalar(2).mean_dim(1);
            off / (variance + *epsilon).sqrt() * scale.weight.clone() + scale.bias.clone()
        }
        Layer::MaxPool(pool) => max_pool2d(x, [pool.kernel; 2], [pool.stride; 2], [pool.padding; 2], [1; 2], pool.ceil),
        Layer::Attention(heads) => heads.apply(x),
        Layer::Residual { body, shortcut, scale, activation } => {
            let [x, rest] = B::fork(x);
            let rest = apply(shortcut, rest);
            match (scale, body.as_slice()) {
                (Some(scale), body) => B::add(apply(body, x) * scale.clone(), rest, *activation),
                (None, [before @ .., Layer::Conv(last)]) => {
                    let (x, gate) = apply_to_gate(before, x);
                    last.apply_onto(x, gate, rest, *activation)
                }
                (None, body) => B::add(apply(body, x), rest, *activation),
            }
        }
        Layer::Concat(branches) => Tensor::cat(branches.iter().map(|branch| apply(branch, x.clone())).collect(), 1),
        Layer::Tokens(class, positions) => {
            let [count, channels, height, width] = x.dims();
            let x = x.reshape([count, channels, height * width, 1]) + positions.clone();
            Tensor::cat(vec![class.clone().repeat_dim(0, count), x], 2)
        }
        Layer::FirstToken => x.narrow(2, 0, 1),
        Layer::PatchTokens => {
            let places = x.dims()[2];
            x.narrow(2, 1, places - 1)
        }
        Layer::Mean => B::average(x),
    };
    (out, None)
}
