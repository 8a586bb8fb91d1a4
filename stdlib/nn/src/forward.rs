//! The forward pass of a described network, over any Burn backend.
//!
//! For frozen networks: batch normalisation is folded into the convolution before it, so a block
//! is a convolution with a bias and an activation.

use burn::tensor::activation::{gelu, hard_sigmoid, relu, sigmoid, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{Tensor, TensorData};
use pipe_network::{
    Activation, Attention, Block, Classifier, Conv, Folded, Gate, LayerNorm, Linear, MaxPool, Network, Residual,
    SqueezeExcite, Tokens, Weights,
};

use crate::{PixelScale, pixels};

/// A network with its weights on a device.
#[derive(Debug, Clone)]
pub(crate) struct Forward<B: Backend> {
    trunk: Vec<Layer<B>>,
    head: Vec<Layer<B>>,
    classifier: Option<Logits<B>>,
    device: B::Device,
}

#[derive(Debug, Clone)]
enum Layer<B: Backend> {
    Conv(Convolution<B>),
    Linear(Dense<B>),
    Norm(Scale<B>, f32),
    MaxPool(MaxPool),
    SqueezeExcite([Convolution<B>; 2], Gate),
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

#[derive(Debug, Clone)]
enum Logits<B: Backend> {
    Linear(Dense<B>),
    /// Of the last map, before the mean.
    Conv(Convolution<B>),
}

/// A convolution whose weights carry the normalisation behind it.
#[derive(Debug, Clone)]
struct Convolution<B: Backend> {
    conv: Conv,
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
}

/// A dense layer: a convolution of each place alone.
#[derive(Debug, Clone)]
struct Dense<B: Backend> {
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    activation: Activation,
}

/// A factor and a summand for each channel, `[1, channels, 1, 1]`.
#[derive(Debug, Clone)]
struct Scale<B: Backend> {
    weight: Tensor<B, 4>,
    bias: Tensor<B, 4>,
}

#[derive(Debug, Clone)]
struct Heads<B: Backend> {
    heads: usize,
    queries_keys_values: Dense<B>,
    after: Dense<B>,
}

impl<B: Backend> Forward<B> {
    pub(crate) fn new(network: &Network, weights: &Weights, device: &B::Device) -> Self {
        let builder = Builder { weights, device };
        let classifier = match &network.classifier {
            Classifier::Conv(conv) if weights.has(&format!("{}.weight", conv.name)) => {
                Some(Logits::Conv(builder.conv(conv)))
            }
            Classifier::Linear(linear) if weights.has(&format!("{}.weight", linear.name)) => {
                Some(Logits::Linear(builder.linear(linear)))
            }
            _ => None,
        };
        let (trunk, head) = (builder.layers(&network.trunk), builder.layers(&network.head));
        Self { trunk, head, classifier, device: device.clone() }
    }

    /// Images `[count, 3, height, width]` on the device.
    pub(crate) fn images(&self, images: Vec<f32>, shape: [usize; 4]) -> Tensor<B, 4> {
        Tensor::from_data(TensorData::new(images, shape), &self.device)
    }

    /// Images of pixels `[count, height, width, 3]`, normalised on the device.
    pub(crate) fn images_of_pixels(&self, pixels: &[u8], shape: [usize; 3], scale: &PixelScale) -> Tensor<B, 4> {
        pixels::images(pixels, shape, scale, &self.device)
    }

    /// Features `[count, features]` and, where the weights have a classifier, logits
    /// `[count, classes]` of images, all row-major.
    pub(crate) fn logits(&self, images: Tensor<B, 4>) -> (Vec<f32>, Option<Vec<f32>>) {
        let map = apply(&self.trunk, images);
        let features = apply(&self.head, map.clone());
        let logits = self.classifier.as_ref().map(|classifier| match classifier {
            Logits::Conv(conv) => numbers(average(conv.apply(map))),
            Logits::Linear(dense) => numbers(dense.apply(features.clone())),
        });
        (numbers(features), logits)
    }

    /// Features alone.
    pub(crate) fn features(&self, images: Tensor<B, 4>) -> Vec<f32> {
        numbers(apply(&self.head, apply(&self.trunk, images)))
    }
}

/// The numbers of a map, the channels of each place one after another.
fn numbers<B: Backend>(map: Tensor<B, 4>) -> Vec<f32> {
    map.permute([0, 2, 3, 1]).into_data().convert::<f32>().into_vec().unwrap_or_default()
}

/// The mean over height and width.
fn average<B: Backend>(maps: Tensor<B, 4>) -> Tensor<B, 4> {
    let [count, channels, height, width] = maps.dims();
    maps.reshape([count, channels, height * width]).mean_dim(2).reshape([count, channels, 1, 1])
}

/// Puts weights on a device.
struct Builder<'a, B: Backend> {
    weights: &'a Weights,
    device: &'a B::Device,
}

impl<B: Backend> Builder<'_, B> {
    fn tensor<const D: usize>(&self, numbers: Vec<f32>, shape: [usize; D]) -> Tensor<B, D> {
        Tensor::from_data(TensorData::new(numbers, shape), self.device)
    }

    fn named<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<B, D> {
        self.tensor(self.weights.numbers(name).to_vec(), shape)
    }

    fn layers(&self, blocks: &[Block]) -> Vec<Layer<B>> {
        blocks.iter().map(|block| self.layer(block)).collect()
    }

    fn layer(&self, block: &Block) -> Layer<B> {
        match block {
            Block::Conv(conv) => Layer::Conv(self.conv(conv)),
            Block::Linear(linear) => Layer::Linear(self.linear(linear)),
            Block::LayerNorm(norm) => Layer::Norm(self.scale(norm), norm.epsilon),
            Block::MaxPool(pool) => Layer::MaxPool(*pool),
            Block::SqueezeExcite(block) => self.squeeze_excite(block),
            Block::Attention(attention) => Layer::Attention(Box::new(self.heads(attention))),
            Block::Residual(residual) => self.residual(residual),
            Block::Concat(branches) => Layer::Concat(branches.iter().map(|branch| self.layers(branch)).collect()),
            Block::Tokens(tokens) => self.tokens(tokens),
            Block::FirstToken => Layer::FirstToken,
            Block::PatchTokens => Layer::PatchTokens,
            Block::Mean => Layer::Mean,
        }
    }

    fn conv(&self, conv: &Conv) -> Convolution<B> {
        let Folded { weight, bias } = Folded::conv(conv, self.weights);
        let shape = [conv.outputs, conv.inputs / conv.groups, conv.kernel, conv.kernel];
        Convolution { conv: conv.clone(), weight: self.tensor(weight, shape), bias: self.tensor(bias, [conv.outputs]) }
    }

    fn linear(&self, linear: &Linear) -> Dense<B> {
        let Folded { weight, bias } = Folded::linear(linear, self.weights);
        self.dense(weight, bias, linear)
    }

    fn dense(&self, weight: Vec<f32>, bias: Vec<f32>, linear: &Linear) -> Dense<B> {
        let weight = self.tensor(weight, [linear.outputs, linear.inputs, 1, 1]);
        Dense { weight, bias: self.tensor(bias, [linear.outputs]), activation: linear.activation }
    }

    fn scale(&self, norm: &LayerNorm) -> Scale<B> {
        let part = |part: &str| self.named(&format!("{}.{part}", norm.name), [1, norm.channels, 1, 1]);
        Scale { weight: part("weight"), bias: part("bias") }
    }

    fn squeeze_excite(&self, block: &SqueezeExcite) -> Layer<B> {
        Layer::SqueezeExcite(block.convs().map(|conv| self.conv(&conv)), block.gate)
    }

    fn heads(&self, attention: &Attention) -> Heads<B> {
        let (weight, bias, after) = attention.linears();
        let numbers = |name: &str| self.weights.numbers(name).to_vec();
        let all = Linear { outputs: 3 * attention.channels, ..after.clone() };
        Heads {
            heads: attention.heads,
            queries_keys_values: self.dense(numbers(&weight), numbers(&bias), &all),
            after: self.linear(&after),
        }
    }

    fn residual(&self, residual: &Residual) -> Layer<B> {
        let scale = residual.scale.as_ref().map(|name| {
            let channels = self.weights.numbers(name).len();
            self.named(name, [1, channels, 1, 1])
        });
        Layer::Residual {
            body: self.layers(&residual.body),
            shortcut: self.layers(&residual.shortcut),
            scale,
            activation: residual.activation,
        }
    }

    fn tokens(&self, tokens: &Tokens) -> Layer<B> {
        let channels = tokens.channels;
        let class = self.named(&tokens.class, [1, 1, channels, 1]).swap_dims(1, 2);
        let positions = self.named(&tokens.positions, [1, 1 + tokens.places, channels, 1]).swap_dims(1, 2);
        let first = positions.clone().narrow(2, 0, 1) + class;
        Layer::Tokens(first, positions.narrow(2, 1, tokens.places))
    }
}

fn activate<B: Backend>(activation: Activation, x: Tensor<B, 4>) -> Tensor<B, 4> {
    match activation {
        Activation::Identity => x,
        Activation::Relu => relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => x.clone() * sigmoid(x),
        Activation::HardSwish => x.clone() * hard_sigmoid(x, 1.0 / 6.0, 0.5),
        Activation::Gelu => gelu(x),
    }
}

impl<B: Backend> Convolution<B> {
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let conv = &self.conv;
        let [_, _, height, width] = x.dims();
        let ((top, bottom), (left, right)) = (conv.padding_of(height), conv.padding_of(width));
        let is_even = top == bottom && left == right;
        let (x, padding) = if is_even {
            (x, [top, left])
        } else {
            (x.pad((left, right, top, bottom), PadMode::Constant(0.0)), [0, 0])
        };
        let options = ConvOptions::new([conv.stride; 2], padding, [1; 2], conv.groups);
        activate(conv.activation, conv2d(x, self.weight.clone(), Some(self.bias.clone()), options))
    }
}

impl<B: Backend> Dense<B> {
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
        activate(self.activation, conv2d(x, self.weight.clone(), Some(self.bias.clone()), options))
    }
}

impl<B: Backend> Heads<B> {
    /// Of tokens `[count, channels, places, 1]`.
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [count, channels, places, _] = x.dims();
        let each = channels / self.heads;
        let all = self.queries_keys_values.apply(x).reshape([count, 3 * self.heads, each, places]);
        let part = |which: usize| all.clone().narrow(1, which * self.heads, self.heads);
        let (queries, keys, values) = (part(0).swap_dims(2, 3), part(1), part(2).swap_dims(2, 3));
        let scores = softmax(queries.matmul(keys) / (each as f64).sqrt(), 3);
        let mixed = scores.matmul(values).swap_dims(2, 3).reshape([count, channels, places, 1]);
        self.after.apply(mixed)
    }
}

fn apply<B: Backend>(layers: &[Layer<B>], x: Tensor<B, 4>) -> Tensor<B, 4> {
    layers.iter().fold(x, |x, layer| match layer {
        Layer::Conv(conv) => conv.apply(x),
        Layer::Linear(dense) => dense.apply(x),
        Layer::Norm(scale, epsilon) => {
            let off = x.clone() - x.mean_dim(1);
            let variance = off.clone().powi_scalar(2).mean_dim(1);
            off / (variance + *epsilon).sqrt() * scale.weight.clone() + scale.bias.clone()
        }
        Layer::MaxPool(pool) => max_pool2d(x, [pool.kernel; 2], [pool.stride; 2], [pool.padding; 2], [1; 2], pool.ceil),
        Layer::SqueezeExcite([squeeze, excite], gate) => {
            let gates = excite.apply(squeeze.apply(average(x.clone())));
            x * match gate {
                Gate::Sigmoid => sigmoid(gates),
                Gate::HardSigmoid => hard_sigmoid(gates, 1.0 / 6.0, 0.5),
            }
        }
        Layer::Attention(heads) => heads.apply(x),
        Layer::Residual { body, shortcut, scale, activation } => {
            let inner = apply(body, x.clone());
            let inner = match scale {
                Some(scale) => inner * scale.clone(),
                None => inner,
            };
            activate(*activation, apply(shortcut, x) + inner)
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
        Layer::Mean => average(x),
    })
}
