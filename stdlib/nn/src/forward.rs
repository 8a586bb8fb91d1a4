//! The forward pass of a frozen network, over any Burn backend.
//!
//! Batch normalisation is folded into the convolution before it, so a block is a convolution with a
//! bias and an activation.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use pipe_gpu::Products;
use pipe_network::{Classifier, Conv, Folded, Linear, Network, Weights};

use crate::failure::Moment;
use crate::layer::{After, Convolution, Layer, apply};
use crate::operations::{Dense, Operations};
use crate::parameters::Parameters;
use crate::{DeviceFailure, PixelScale, Precision, pixels};

/// A network with its weights on a device.
#[derive(Debug, Clone)]
pub(crate) struct Forward<B: Backend> {
    trunk: Vec<Layer<B>>,
    head: Vec<Layer<B>>,
    classifier: Option<Logits<B>>,
    precision: Precision,
    device: B::Device,
}

#[derive(Debug, Clone)]
enum Logits<B: Backend> {
    Linear(Dense<B>),
    /// Of the last map, before the mean.
    Conv(Convolution<B>),
}

impl<B: Operations> Forward<B> {
    /// A frozen network.
    pub(crate) fn new(
        network: &Network,
        weights: &Weights,
        device: &B::Device,
        products: Products,
        precision: Precision,
    ) -> Self {
        let frozen = Frozen { weights, device, products, precision };
        let classifier = match &network.classifier {
            Classifier::Conv(conv) if weights.has(&format!("{}.weight", conv.name)) => {
                Some(Logits::Conv(frozen.conv(conv)))
            }
            Classifier::Linear(linear) if weights.has(&format!("{}.weight", linear.name)) => {
                Some(Logits::Linear(frozen.linear(linear)))
            }
            _ => None,
        };
        let (trunk, head) = (frozen.layers(&network.trunk), frozen.layers(&network.head));
        Self { trunk, head, classifier, precision, device: device.clone() }
    }

    /// Images `[count, 3, height, width]` on the device.
    pub(crate) fn images(&self, images: Vec<f32>, shape: [usize; 4]) -> Tensor<B, 4> {
        self.precision.round(Tensor::from_data(TensorData::new(images, shape), &self.device))
    }

    /// Images of pixels `[count, height, width, 3]`, normalised on the device.
    pub(crate) fn images_of_pixels(&self, pixels: &[u8], shape: [usize; 3], scale: &PixelScale) -> Tensor<B, 4> {
        pixels::images(pixels, shape, scale, self.precision, &self.device)
    }

    /// Features `[count, features]` and, where the weights have a classifier, logits
    /// `[count, classes]` of images, all row-major.
    pub(crate) fn logits(&self, images: Tensor<B, 4>) -> Result<(Vec<f32>, Option<Vec<f32>>), DeviceFailure> {
        let moment = Moment::now();
        moment.guard(|| {
            let map = apply(&self.trunk, images);
            let features = apply(&self.head, map.clone());
            let logits = self.classifier.as_ref().map(|classifier| match classifier {
                Logits::Conv(conv) => numbers(B::average(conv.apply(map)), moment),
                Logits::Linear(dense) => numbers(dense.apply(features.clone()), moment),
            });
            Ok((numbers(features, moment)?, logits.transpose()?))
        })
    }

    /// Features alone.
    pub(crate) fn features(&self, images: Tensor<B, 4>) -> Result<Vec<f32>, DeviceFailure> {
        let moment = Moment::now();
        moment.guard(|| numbers(apply(&self.head, apply(&self.trunk, images)), moment))
    }
}

/// The numbers of a map, the channels of each place one after another.
fn numbers<B: Backend>(map: Tensor<B, 4>, since: Moment) -> Result<Vec<f32>, DeviceFailure> {
    since.read(map.permute([0, 2, 3, 1]))
}

/// Weights that stay as they are.
struct Frozen<'a, B: Backend> {
    weights: &'a Weights,
    device: &'a B::Device,
    products: Products,
    precision: Precision,
}

impl<B: Backend> Frozen<'_, B> {
    fn numbers<const D: usize>(&self, numbers: Vec<f32>, shape: [usize; D]) -> Tensor<B, D> {
        self.precision.round(Tensor::from_data(TensorData::new(numbers, shape), self.device))
    }
}

impl<B: Backend> Parameters<B> for Frozen<'_, B> {
    fn products(&self) -> Products {
        self.products
    }

    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<B, D> {
        self.numbers(self.weights.numbers(name).to_vec(), shape)
    }

    fn excite(&self, linear: &Linear) -> Dense<B> {
        let dense = self.linear(linear);
        Dense { weight: outputs_last(dense.weight), ..dense }
    }

    fn conv(&self, conv: &Conv) -> Convolution<B> {
        let Folded { weight, bias } = Folded::conv(conv, self.weights);
        let weight = self.numbers(weight, conv.weight_shape());
        let is_small = conv.is_depthwise() || conv.inputs < 4;
        let weight = if is_small { outputs_last(weight) } else { weight };
        let bias = self.numbers(bias, [1, conv.outputs, 1, 1]);
        Convolution { conv: conv.clone(), weight, after: After::Shift(bias), products: self.products }
    }
}

/// The same weight `[outputs, inputs, height, width]`, as kernels for GPUs read it where each output has few numbers:
/// `[height, width, inputs, outputs]`, so that no pass has to lay it out anew.
fn outputs_last<B: Backend>(weight: Tensor<B, 4>) -> Tensor<B, 4> {
    let [outputs, inputs, height, width] = weight.dims();
    // One side, so that they are laid out anew, and without gaps.
    let numbers = weight.permute([2, 3, 1, 0]).reshape([height * width * inputs * outputs]);
    numbers.reshape([height, width, inputs, outputs]).permute([3, 2, 0, 1])
}
