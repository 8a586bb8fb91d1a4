//! The forward pass of a described network, over any Burn backend.
//!
//! For frozen networks: batch normalisation is folded into the convolution before it, so a block
//! is a convolution with a bias and an activation.

use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::backend::Backend;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};

use crate::network::{Activation, Block, Classifier, Conv, Network};
use crate::weights::Weights;

/// A network with its weights on a device.
#[derive(Debug, Clone)]
pub(crate) struct Forward<B: Backend> {
    layers: Vec<Layer<B>>,
    classifier: Option<Logits<B>>,
    device: B::Device,
}

#[derive(Debug, Clone)]
enum Layer<B: Backend> {
    Conv(Folded<B>),
    MaxPool { kernel: usize, stride: usize, ceil: bool },
    SqueezeExcite([Folded<B>; 2]),
    Residual(Vec<Layer<B>>),
    Concat(Vec<Vec<Layer<B>>>),
}

#[derive(Debug, Clone)]
enum Logits<B: Backend> {
    /// Weights `[features, classes]`, bias `[1, classes]`.
    Linear(Tensor<B, 2>, Tensor<B, 2>),
    Conv(Folded<B>),
}

/// A convolution whose weights carry the normalisation behind it.
#[derive(Debug, Clone)]
struct Folded<B: Backend> {
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    options: ConvOptions<2>,
    activation: Activation,
}

impl<B: Backend> Forward<B> {
    pub(crate) fn new(network: &Network, weights: &Weights, device: &B::Device) -> Self {
        let classifier = match &network.classifier {
            Classifier::Conv(conv) if weights.has(&format!("{}.weight", conv.name)) => {
                Some(Logits::Conv(fold(conv, weights, device)))
            }
            Classifier::Linear { name, outputs } if weights.has(&format!("{name}.weight")) => {
                let weight = weights.numbers(&format!("{name}.weight")).to_vec();
                let bias = weights.numbers(&format!("{name}.bias")).to_vec();
                let weight = Tensor::<B, 2>::from_data(TensorData::new(weight, [*outputs, network.features]), device);
                let bias = Tensor::from_data(TensorData::new(bias, [1, *outputs]), device);
                Some(Logits::Linear(weight.transpose(), bias))
            }
            _ => None,
        };
        Self { layers: layers(&network.blocks, weights, device), classifier, device: device.clone() }
    }

    /// Features `[count, features]` and, where the weights have a classifier, logits
    /// `[count, classes]` of images `[count, 3, height, width]`, all row-major.
    pub(crate) fn run(&self, images: Vec<f32>, shape: [usize; 4]) -> (Vec<f32>, Option<Vec<f32>>) {
        let images = Tensor::<B, 4>::from_data(TensorData::new(images, shape), &self.device);
        let maps = apply(&self.layers, images);
        let features = average(maps.clone());
        let logits = self.classifier.as_ref().map(|classifier| match classifier {
            Logits::Conv(conv) => numbers(average(conv.apply(maps))),
            Logits::Linear(weight, bias) => numbers(features.clone().matmul(weight.clone()) + bias.clone()),
        });
        (numbers(features), logits)
    }

    /// Features alone.
    pub(crate) fn features(&self, images: Vec<f32>, shape: [usize; 4]) -> Vec<f32> {
        let images = Tensor::<B, 4>::from_data(TensorData::new(images, shape), &self.device);
        numbers(average(apply(&self.layers, images)))
    }
}

fn numbers<B: Backend>(tensor: Tensor<B, 2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap_or_default()
}

/// The mean over height and width.
fn average<B: Backend>(maps: Tensor<B, 4>) -> Tensor<B, 2> {
    let [count, channels, height, width] = maps.dims();
    maps.reshape([count, channels, height * width]).mean_dim(2).reshape([count, channels])
}

fn layers<B: Backend>(blocks: &[Block], weights: &Weights, device: &B::Device) -> Vec<Layer<B>> {
    blocks
        .iter()
        .map(|block| match block {
            Block::Conv(conv) => Layer::Conv(fold(conv, weights, device)),
            Block::MaxPool { kernel, stride, ceil } => Layer::MaxPool { kernel: *kernel, stride: *stride, ceil: *ceil },
            Block::SqueezeExcite(block) => Layer::SqueezeExcite(block.convs().map(|conv| fold(&conv, weights, device))),
            Block::Residual(inner) => Layer::Residual(layers(inner, weights, device)),
            Block::Concat(branches) => {
                Layer::Concat(branches.iter().map(|branch| layers(branch, weights, device)).collect())
            }
        })
        .collect()
}

/// `norm(conv(x)) = conv'(x)`: the weights times `gamma / sqrt(var + eps)`, the bias
/// `beta - mean * gamma / sqrt(var + eps)`. In `f64`, so that folding costs no accuracy.
fn fold<B: Backend>(conv: &Conv, weights: &Weights, device: &B::Device) -> Folded<B> {
    let mut weight = weights.numbers(&format!("{}.weight", conv.name)).to_vec();
    let bias = match &conv.norm {
        None => weights.numbers(&format!("{}.bias", conv.name)).to_vec(),
        Some(norm) => {
            let part = |part: &str| weights.numbers(&format!("{}.{part}", norm.name));
            let (gamma, beta) = (part("weight"), part("bias"));
            let (mean, variance) = (part("running_mean"), part("running_var"));
            let per_channel = weight.len() / conv.outputs;
            let mut bias = Vec::with_capacity(conv.outputs);
            for channel in 0..conv.outputs {
                let scale = f64::from(gamma[channel]) / (f64::from(variance[channel]) + f64::from(norm.epsilon)).sqrt();
                for number in &mut weight[channel * per_channel..(channel + 1) * per_channel] {
                    *number = (f64::from(*number) * scale) as f32;
                }
                bias.push((f64::from(beta[channel]) - f64::from(mean[channel]) * scale) as f32);
            }
            bias
        }
    };
    let shape = [conv.outputs, conv.inputs / conv.groups, conv.kernel, conv.kernel];
    Folded {
        weight: Tensor::from_data(TensorData::new(weight, shape), device),
        bias: Tensor::from_data(TensorData::new(bias, [conv.outputs]), device),
        options: ConvOptions::new([conv.stride; 2], [conv.padding; 2], [1; 2], conv.groups),
        activation: conv.activation,
    }
}

impl<B: Backend> Folded<B> {
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = conv2d(x, self.weight.clone(), Some(self.bias.clone()), self.options.clone());
        match self.activation {
            Activation::Identity => x,
            Activation::Relu => relu(x),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Silu => x.clone() * sigmoid(x),
        }
    }
}

fn apply<B: Backend>(layers: &[Layer<B>], x: Tensor<B, 4>) -> Tensor<B, 4> {
    layers.iter().fold(x, |x, layer| match layer {
        Layer::Conv(conv) => conv.apply(x),
        Layer::MaxPool { kernel, stride, ceil } => max_pool2d(x, [*kernel; 2], [*stride; 2], [0; 2], [1; 2], *ceil),
        Layer::SqueezeExcite([squeeze, excite]) => {
            let [count, channels, ..] = x.dims();
            let means = average(x.clone()).reshape([count, channels, 1, 1]);
            x * sigmoid(excite.apply(squeeze.apply(means)))
        }
        Layer::Residual(inner) => x.clone() + apply(inner, x),
        Layer::Concat(branches) => Tensor::cat(branches.iter().map(|branch| apply(branch, x.clone())).collect(), 1),
    })
}
