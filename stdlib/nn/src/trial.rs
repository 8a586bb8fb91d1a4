//! How long one operation takes on a device, for benchmarks.

use std::time::{Duration, Instant};

use burn::tensor::{Distribution, Tensor};
use pipe_gpu::{Products, Window};
use pipe_network::Activation;

use crate::failure::Moment;
use crate::operations::{BatchNorm, Dense, Fused, Operations};
use crate::work::{Work, work};
use crate::{ComputeDevice, DeviceFailure, Precision};

/// What is done to maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A convolution of each channel with a kernel of its own.
    Depthwise,
    /// The gradient of the maps of that.
    DepthwiseMaps,
    /// The gradient of the weight of that.
    DepthwiseWeight,
    /// A convolution without groups.
    Convolve,
    /// That of maps times a weight for each channel of each image where the kernel has one place, and a bias and SiLU
    /// behind it.
    ConvolveFused,
    /// Both gradients of a convolution without groups.
    ConvolveBackward,
    /// A bias and SiLU behind it.
    Shift,
    /// Both gradients of that.
    ShiftBackward,
    /// Mean and variance of each channel, a batch norm with them, and SiLU behind it.
    Normalize,
    /// The three gradients of that.
    NormalizeBackward,
    /// The mean over height and width, and a weight for each channel of each image.
    Weigh,
    /// The weights of squeeze-and-excitation, with as many numbers between its layers as there are outputs.
    Gate,
}

/// An operation on maps `[count, channels, side, side]`.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// What is done.
    pub operation: Operation,
    /// Images.
    pub count: usize,
    /// Channels that go in.
    pub channels: usize,
    /// Channels that come out of a convolution without groups.
    pub outputs: usize,
    /// Height and width.
    pub side: usize,
    /// Height and width of a convolution's kernel; half of it is padded.
    pub kernel: usize,
    /// Places from one to the next of a convolution.
    pub stride: usize,
}

impl Trial {
    /// How long it takes so many times, from the first start until the device has done all.
    ///
    /// # Errors
    /// When the device fails, or its memory is too small.
    pub fn time(&self, device: ComputeDevice, precision: Precision, times: usize) -> Result<Duration, DeviceFailure> {
        let precision = device.precision(precision);
        work(Timing { trial: *self, products: device.products(precision), precision, times }, device)
    }
}

struct Timing {
    trial: Trial,
    products: Products,
    precision: Precision,
    times: usize,
}

impl Work for Timing {
    type Out = Result<Duration, DeviceFailure>;

    fn on<B: Operations>(self, device: &B::Device) -> Self::Out {
        let moment = Moment::now();
        let run = operation::<B>(&self.trial, self.products, self.precision, device);
        let wait = || {
            B::sync(device).map_err(|error| moment.failure(&format!("{error:?}")))?;
            moment.check()
        };
        // Kernels are compiled and chosen.
        (0..3).for_each(|_| run());
        wait()?;
        let began = Instant::now();
        (0..self.times).for_each(|_| run());
        wait()?;
        Ok(began.elapsed())
    }
}

/// The operation on numbers of chance, laid out as they are within a network.
fn operation<B: Operations>(
    trial: &Trial,
    products: Products,
    precision: Precision,
    device: &B::Device,
) -> Box<dyn Fn()> {
    let Trial { operation, count, channels, outputs, side, kernel, stride } = *trial;
    let window = Window { kernel: [kernel; 2], stride: [stride; 2], padding: [kernel / 2; 2] };
    let numbers =
        |shape: [usize; 4]| precision.round(Tensor::<B, 4>::random(shape, Distribution::Uniform(-1.0, 1.0), device));
    let maps = |channels: usize, side: usize| numbers([count, side, side, channels]).permute([0, 3, 1, 2]);
    let x = maps(channels, side);
    let [behind, _] = window.output([side, side]);
    match operation {
        Operation::Depthwise => {
            let weight = numbers([channels, 1, kernel, kernel]);
            Box::new(move || drop(B::depthwise(x.clone(), weight.clone(), window)))
        }
        Operation::DepthwiseMaps => {
            let (weight, gradient) = (numbers([channels, 1, kernel, kernel]), maps(channels, behind));
            Box::new(move || drop(B::depthwise_backward(x.clone(), weight.clone(), gradient.clone(), window)))
        }
        Operation::DepthwiseWeight => {
            let gradient = maps(channels, behind);
            Box::new(move || drop(B::depthwise_weight_backward(x.clone(), gradient.clone(), window)))
        }
        Operation::Convolve => {
            let weight = numbers([outputs, channels, kernel, kernel]);
            Box::new(move || drop(B::convolve(x.clone(), weight.clone(), window, products)))
        }
        Operation::ConvolveFused => {
            let weight = numbers([outputs, channels, kernel, kernel]);
            let gate = (kernel == 1).then(|| numbers([count, channels, 1, 1]));
            let bias = numbers([1, outputs, 1, 1]);
            let fused = Fused { gate, bias, rest: None, activation: Activation::Silu };
            Box::new(move || drop(B::convolve_fused(x.clone(), weight.clone(), window, products, fused.clone())))
        }
        Operation::ConvolveBackward => {
            let (weight, gradient) = (numbers([outputs, channels, kernel, kernel]), maps(outputs, behind));
            let both = [true; 2];
            Box::new(move || {
                drop(B::convolve_backward(x.clone(), weight.clone(), gradient.clone(), window, products, both));
            })
        }
        Operation::Shift => {
            let bias = numbers([1, channels, 1, 1]);
            Box::new(move || drop(B::shift(x.clone(), bias.clone(), Activation::Silu)))
        }
        Operation::ShiftBackward => {
            let (bias, gradient) = (numbers([1, channels, 1, 1]), maps(channels, side));
            Box::new(move || drop(B::shift_backward(x.clone(), bias.clone(), Activation::Silu, gradient.clone())))
        }
        Operation::Normalize => {
            let [weight, bias] = [(); 2].map(|()| numbers([1, channels, 1, 1]));
            Box::new(move || {
                let (mean, variance) = B::moments(x.clone());
                let norm = BatchNorm { weight: weight.clone(), bias: bias.clone(), mean, variance, epsilon: 1e-3 };
                drop(B::normalize(x.clone(), &norm, Activation::Silu));
            })
        }
        Operation::NormalizeBackward => {
            let [weight, bias] = [(); 2].map(|()| numbers([1, channels, 1, 1]));
            let (mean, variance) = B::moments(x.clone());
            let norm = BatchNorm { weight, bias, mean, variance, epsilon: 1e-3 };
            let gradient = maps(channels, side);
            Box::new(move || drop(B::normalize_backward(x.clone(), &norm, Activation::Silu, gradient.clone())))
        }
        Operation::Gate => {
            let dense = |inputs: usize, outputs: usize, activation: Activation| Dense {
                weight: numbers([outputs, inputs, 1, 1]),
                bias: numbers([1, outputs, 1, 1]),
                activation,
                products,
            };
            let squeeze = dense(channels, outputs, Activation::Silu);
            let excite = dense(outputs, channels, Activation::Sigmoid);
            Box::new(move || drop(B::gate(x.clone(), &squeeze, &excite)))
        }
        Operation::Weigh => Box::new(move || drop(B::weigh(x.clone(), B::average(x.clone())))),
    }
}
