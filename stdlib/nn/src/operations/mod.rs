//! What networks compute beyond Burn's own operations, each with its gradient.
//!
//! The plain forms are here, made of Burn's operations. Burn would differentiate them too, but keeps
//! every number between, and has the weights of a depthwise convolution differentiated a channel at a
//! time; so `gradient` has gradients of its own, from the second half of the trait. `flex` has loops for
//! the CPU, where Burn's operations take numbers one by one as soon as shapes differ; `cube` hands them to
//! kernels for GPUs.

mod cube;
mod flex;
mod gradient;

use burn::tensor::activation::{gelu, hard_sigmoid, relu, sigmoid};
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{ElementConversion, FloatDType, Int, Slice, Tensor, TensorData, TensorPrimitive};
use pipe_gpu::{AdamWStep, Piece, Products, SgdStep, Window};
use pipe_network::Activation;

/// Batch normalisation of maps with their own statistics, each part `[1, channels, 1, 1]`.
#[derive(Debug, Clone)]
pub(crate) struct BatchNorm<B: Backend> {
    pub(crate) weight: Tensor<B, 4>,
    pub(crate) bias: Tensor<B, 4>,
    /// Without a gradient.
    pub(crate) mean: Tensor<B, 4>,
    /// Without a gradient.
    pub(crate) variance: Tensor<B, 4>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

impl<B: Backend> BatchNorm<B> {
    /// Maps of mean 0 and variance 1, and one over the standard deviation.
    fn standardize(&self, x: Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 4>) {
        let scale = (self.variance.clone() + self.epsilon).sqrt().recip();
        ((x - self.mean.clone()) * scale.clone(), scale)
    }
}

/// What goes along with a convolution: `activation(convolution(x * gate) + bias + rest)`.
#[derive(Debug, Clone)]
pub(crate) struct Fused<B: Backend> {
    /// A weight for each channel of each image, `[count, inputs, 1, 1]`.
    pub(crate) gate: Option<Tensor<B, 4>>,
    /// A summand for each channel, `[1, outputs, 1, 1]`.
    pub(crate) bias: Tensor<B, 4>,
    /// Of the shape of what comes out.
    pub(crate) rest: Option<Tensor<B, 4>>,
    pub(crate) activation: Activation,
}

/// A dense layer: a convolution of each place alone.
#[derive(Debug, Clone)]
pub(crate) struct Dense<B: Backend> {
    pub(crate) weight: Tensor<B, 4>,
    /// `[1, outputs, 1, 1]`.
    pub(crate) bias: Tensor<B, 4>,
    pub(crate) activation: Activation,
    pub(crate) products: Products,
}

impl<B: Operations> Dense<B> {
    pub(crate) fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let fused = Fused { gate: None, bias: self.bias.clone(), rest: None, activation: self.activation };
        B::convolve_fused(x, self.weight.clone(), Window::ONE, self.products, fused)
    }
}

/// Operations over maps `[count, channels, height, width]`, and how they pass gradients back.
pub(crate) trait Operations: Backend {
    /// Maps of pixels whose bytes lie four in each whole number, the first in the lowest, normalised with
    /// mean and standard deviation, a number for each channel, in such numbers.
    fn images(
        words: Tensor<Self, 1, Int>,
        [count, height, width]: [usize; 3],
        normalize: [[f32; 3]; 2],
        numbers: FloatDType,
    ) -> Tensor<Self, 4> {
        let ([length], device) = (words.dims(), words.device());
        let words = words.reshape([length, 1]).expand([length, 4]);
        let shifts = Tensor::<Self, 2, Int>::from_data(TensorData::new(vec![0_i32, 8, 16, 24], [1, 4]), &device);
        let byte = ElementConversion::elem::<Self::IntElem>(255_i32);
        let bytes = words.bitwise_right_shift(shifts.expand([length, 4])).bitwise_and_scalar(byte);
        let values = bytes.reshape([4 * length]).narrow(0, 0, count * height * width * 3).float();
        let values = values.reshape([count, height, width, 3]).permute([0, 3, 1, 2]);
        let [mean, deviation] =
            normalize.map(|of| Tensor::from_data(TensorData::new(of.to_vec(), [1, 3, 1, 1]), &device));
        ((values / 255.0 - mean) / deviation).cast(numbers)
    }

    /// An elementwise function.
    fn activate(x: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        match activation {
            Activation::Identity => x,
            Activation::Relu => relu(x),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Silu => x.clone() * sigmoid(x),
            Activation::HardSwish => x.clone() * hard_sigmoid(x, 1.0 / 6.0, 0.5),
            Activation::Gelu => gelu(x),
            Activation::Sigmoid => sigmoid(x),
            Activation::HardSigmoid => hard_sigmoid(x, 1.0 / 6.0, 0.5),
        }
    }

    /// A summand for each channel, `[1, channels, 1, 1]`, and the activation behind it.
    fn shift(x: Tensor<Self, 4>, bias: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        Self::activate(x + bias, activation)
    }

    /// The same maps for two that take them. Where gradients are wanted theirs are added by [`Operations::add`]:
    /// Burn would add them number by number in the order of their names, not of their places in memory. What is
    /// differentiated has to depend on both.
    fn fork(x: Tensor<Self, 4>) -> [Tensor<Self, 4>; 2] {
        [x.clone(), x]
    }

    /// The sum of two maps, and the activation behind it.
    fn add(x: Tensor<Self, 4>, rest: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        Self::activate(x + rest, activation)
    }

    /// [`Operations::shift`] without an activation, and [`Operations::add`] behind it.
    fn shift_onto(
        x: Tensor<Self, 4>,
        bias: Tensor<Self, 4>,
        rest: Tensor<Self, 4>,
        activation: Activation,
    ) -> Tensor<Self, 4> {
        Self::add(Self::shift(x, bias, Activation::Identity), rest, activation)
    }

    /// Batch normalisation and the activation behind it.
    fn normalize(x: Tensor<Self, 4>, norm: &BatchNorm<Self>, activation: Activation) -> Tensor<Self, 4> {
        let (standard, _) = norm.standardize(x);
        Self::activate(standard * norm.weight.clone() + norm.bias.clone(), activation)
    }

    /// A weight for each channel of each image, `[count, channels, 1, 1]`.
    fn weigh(x: Tensor<Self, 4>, weights: Tensor<Self, 4>) -> Tensor<Self, 4> {
        x * weights
    }

    /// The mean over height and width, `[count, channels, 1, 1]`.
    fn average(x: Tensor<Self, 4>) -> Tensor<Self, 4> {
        let [count, channels, height, width] = x.dims();
        x.reshape([count, channels, height * width]).mean_dim(2).reshape([count, channels, 1, 1])
    }

    /// What two dense layers make of the mean over height and width: the weights of squeeze-and-excitation.
    fn gate(x: Tensor<Self, 4>, squeeze: &Dense<Self>, excite: &Dense<Self>) -> Tensor<Self, 4> {
        layer_by_layer(x, squeeze, excite)
    }

    /// Mean and variance of each channel, `[1, channels, 1, 1]` in `f32`.
    fn moments(x: Tensor<Self, 4>) -> (Tensor<Self, 4>, Tensor<Self, 4>) {
        let [count, _, height, width] = x.dims();
        let values = (count * height * width) as f64;
        let x = x.cast(FloatDType::F32);
        let mean = sum_but_channels(x.clone()) / values;
        let variance = sum_but_channels((x - mean.clone()).powi_scalar(2)) / values;
        (mean, variance)
    }

    /// Products of matrices `[groups, rows, inner]` and `[groups, inner, columns]`.
    fn multiply(left: Tensor<Self, 3>, right: Tensor<Self, 3>, _: Products) -> Tensor<Self, 3> {
        left.matmul(right)
    }

    /// A dense layer without its bias: rows `[rows, inputs]` times `[inputs, outputs]`.
    fn dense(x: Tensor<Self, 2>, weight: Tensor<Self, 2>, products: Products) -> Tensor<Self, 2> {
        let ([rows, _], [_, outputs]) = (x.dims(), weight.dims());
        Self::multiply(x.unsqueeze(), weight.unsqueeze(), products).reshape([rows, outputs])
    }

    /// A convolution without groups, `weight` being `[outputs, inputs, height, width]`.
    fn convolve(x: Tensor<Self, 4>, weight: Tensor<Self, 4>, window: Window, _: Products) -> Tensor<Self, 4> {
        conv2d(x, weight, None, options(window, 1))
    }

    /// [`Operations::convolve`] with what goes along with it.
    fn convolve_fused(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        window: Window,
        products: Products,
        Fused { gate, bias, rest, activation }: Fused<Self>,
    ) -> Tensor<Self, 4> {
        let x = Self::convolve(weighed(x, gate), weight, window, products);
        match rest {
            Some(rest) => Self::shift_onto(x, bias, rest, activation),
            None => Self::shift(x, bias, activation),
        }
    }

    /// A convolution of each channel with a kernel of its own, `weight` being `[channels, 1, height, width]`.
    fn depthwise(x: Tensor<Self, 4>, weight: Tensor<Self, 4>, window: Window) -> Tensor<Self, 4> {
        let channels = x.dims()[1];
        conv2d(x, weight, None, options(window, channels))
    }

    /// [`Operations::depthwise`], and [`Operations::shift`] behind it.
    fn depthwise_shift(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        window: Window,
        bias: Tensor<Self, 4>,
        activation: Activation,
    ) -> Tensor<Self, 4> {
        Self::shift(Self::depthwise(x, weight, window), bias, activation)
    }

    /// The gradient of what went into [`Operations::activate`].
    fn activate_backward(x: Tensor<Self, 4>, gradient: Tensor<Self, 4>, activation: Activation) -> Tensor<Self, 4> {
        match activation {
            Activation::Identity => gradient,
            Activation::Relu => gradient.mask_fill(x.lower_equal_elem(0.0), 0.0),
            Activation::Relu6 => {
                let is_flat = x.clone().lower_equal_elem(0.0).bool_or(x.greater_equal_elem(6.0));
                gradient.mask_fill(is_flat, 0.0)
            }
            Activation::Silu => {
                let gate = sigmoid(x.clone());
                gradient * gate.clone() * (x * (gate.neg() + 1.0) + 1.0)
            }
            Activation::HardSwish => {
                let slope = x.clone() / 3.0 + 0.5;
                let slope = slope.mask_fill(x.clone().lower_equal_elem(-3.0), 0.0);
                gradient * slope.mask_fill(x.greater_equal_elem(3.0), 1.0)
            }
            Activation::Sigmoid => {
                let gate = sigmoid(x);
                gradient * gate.clone() * (gate.neg() + 1.0)
            }
            Activation::HardSigmoid => {
                let is_flat = x.clone().lower_equal_elem(-3.0).bool_or(x.greater_equal_elem(3.0));
                gradient.mask_fill(is_flat, 0.0) / 6.0
            }
            Activation::Gelu => {
                let (x, gradient) = (x.into_primitive().tensor(), gradient.into_primitive().tensor());
                Tensor::from_primitive(TensorPrimitive::Float(Self::gelu_backward(x, gradient)))
            }
        }
    }

    /// The gradients of what went into [`Operations::shift`]: of the maps and the bias.
    fn shift_backward(
        x: Tensor<Self, 4>,
        bias: Tensor<Self, 4>,
        activation: Activation,
        gradient: Tensor<Self, 4>,
    ) -> [Tensor<Self, 4>; 2] {
        let gradient = Self::activate_backward(x + bias, gradient, activation);
        [gradient.clone(), sum_but_channels(gradient)]
    }

    /// The gradients of what went into [`Operations::normalize`]: of the maps, the weight and the bias.
    ///
    /// Ioffe and Szegedy 2015, section 3, with their sums written as means.
    fn normalize_backward(
        x: Tensor<Self, 4>,
        norm: &BatchNorm<Self>,
        activation: Activation,
        gradient: Tensor<Self, 4>,
    ) -> [Tensor<Self, 4>; 3] {
        let [count, _, height, width] = x.dims();
        let (standard, scale) = norm.standardize(x);
        let before = standard.clone() * norm.weight.clone() + norm.bias.clone();
        let gradient = Self::activate_backward(before, gradient, activation);
        let of_bias = sum_but_channels(gradient.clone());
        let of_weight = sum_but_channels(gradient.clone() * standard.clone());
        let values = (count * height * width) as f64;
        let gradient = gradient - of_bias.clone() / values - standard * (of_weight.clone() / values);
        [gradient * (norm.weight.clone() * scale), of_weight, of_bias]
    }

    /// The gradients of what went into [`Operations::weigh`].
    fn weigh_backward(x: Tensor<Self, 4>, weights: Tensor<Self, 4>, gradient: Tensor<Self, 4>) -> [Tensor<Self, 4>; 2] {
        let [count, channels, height, width] = x.dims();
        let of_weights = (x * gradient.clone()).reshape([count, channels, height * width]).sum_dim(2);
        [gradient * weights, of_weights.reshape([count, channels, 1, 1])]
    }

    /// The gradient of what went into [`Operations::average`], of that height and width.
    fn average_backward(gradient: Tensor<Self, 4>, [height, width]: [usize; 2]) -> Tensor<Self, 4> {
        let [count, channels, ..] = gradient.dims();
        (gradient / (height * width) as f64).expand([count, channels, height, width])
    }

    /// The gradients of what went into [`Operations::convolve`]: of the maps, where that is wanted, and of
    /// the weight.
    fn convolve_backward(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        gradient: Tensor<Self, 4>,
        window: Window,
        _: Products,
        wants: [bool; 2],
    ) -> [Option<Tensor<Self, 4>>; 2] {
        let options = options(window, 1);
        let all = [x, weight, gradient].map(|tensor| tensor.into_primitive().tensor());
        let tensor = |primitive| Tensor::from_primitive(TensorPrimitive::Float(primitive));
        let of_x = |[x, weight, gradient]: [_; 3]| Self::conv2d_x_backward(x, weight, gradient, options.clone());
        let of_weight =
            |[x, weight, gradient]: [_; 3]| Self::conv2d_weight_backward(x, weight, gradient, options.clone());
        [wants[0].then(|| tensor(of_x(all.clone()))), wants[1].then(|| tensor(of_weight(all.clone())))]
    }

    /// The gradient of the maps of [`Operations::depthwise`].
    fn depthwise_backward(
        x: Tensor<Self, 4>,
        weight: Tensor<Self, 4>,
        gradient: Tensor<Self, 4>,
        window: Window,
    ) -> Tensor<Self, 4> {
        let channels = x.dims()[1];
        let [x, weight, gradient] = [x, weight, gradient].map(|tensor| tensor.into_primitive().tensor());
        let back = Self::conv2d_x_backward(x, weight, gradient, options(window, channels));
        Tensor::from_primitive(TensorPrimitive::Float(back))
    }

    /// The gradient of the weight of [`Operations::depthwise`].
    ///
    /// For each place of the kernel, the sum of the input below it times the gradient.
    fn depthwise_weight_backward(x: Tensor<Self, 4>, gradient: Tensor<Self, 4>, window: Window) -> Tensor<Self, 4> {
        let Window { kernel, stride: [stride_y, stride_x], padding: [pad_y, pad_x] } = window;
        let [_, channels, height, width] = gradient.dims();
        let x = x.pad((pad_x, pad_x, pad_y, pad_y), PadMode::Constant(0.0));
        let below = |from: usize, places: usize, stride: usize| {
            Slice::new(from as isize, Some((from + (places - 1) * stride + 1) as isize), stride as isize)
        };
        let place = |at: usize| {
            let (y, x_) = (at / kernel[1], at % kernel[1]);
            let seen =
                x.clone().slice([Slice::full(), Slice::full(), below(y, height, stride_y), below(x_, width, stride_x)]);
            sum_but_channels(seen * gradient.clone()).reshape([channels, 1, 1])
        };
        let places = (0..kernel[0] * kernel[1]).map(place).collect();
        Tensor::cat(places, 2).reshape([channels, 1, kernel[0], kernel[1]])
    }

    /// Numbers of a flat tensor from `start` on, as such a shape.
    fn part(flat: &Tensor<Self, 1>, start: usize, shape: [usize; 4]) -> Tensor<Self, 4> {
        flat.clone().narrow(0, start, shape.iter().product()).reshape(shape)
    }

    /// Weights in a flat tensor after a step of AdamW, with the running means of their gradients and of the gradients'
    /// squares. Of the gradients there is a piece for each weight.
    fn adamw(
        weights: Tensor<Self, 1>,
        gradients: Vec<Piece<Tensor<Self, 4>>>,
        [mean, square]: [Tensor<Self, 1>; 2],
        step: AdamWStep,
    ) -> [Tensor<Self, 1>; 3] {
        let gradient = flattened(gradients, &weights);
        let [of_mean, of_square] = step.betas;
        let mean = mean * of_mean + gradient.clone() * (1.0 - of_mean);
        let square = square * of_square + gradient.clone() * gradient * (1.0 - of_square);
        let deviation = (square.clone() * step.unbias).sqrt() + step.eps;
        [weights * step.keep - mean.clone() * step.rate / deviation, mean, square]
    }

    /// Weights in a flat tensor after a step of stochastic gradient descent, with their velocities.
    fn sgd(
        weights: Tensor<Self, 1>,
        gradients: Vec<Piece<Tensor<Self, 4>>>,
        velocity: Tensor<Self, 1>,
        step: SgdStep,
    ) -> [Tensor<Self, 1>; 2] {
        let gradient = flattened(gradients, &weights);
        let velocity = velocity * step.momentum + gradient + weights.clone() * step.weight_decay;
        [weights - velocity.clone() * step.lr, velocity]
    }

    /// A share of the numbers of a flat tensor, and pieces added to it, one for each of them.
    fn blend(numbers: Tensor<Self, 1>, share: f32, pieces: Vec<Piece<Tensor<Self, 4>>>) -> Tensor<Self, 1> {
        let pieces = flattened(pieces, &numbers);
        numbers * share + pieces
    }
}

/// What pieces make together, in `f32`: as much as `beside`, zeros where there is none.
fn flattened<B: Backend>(mut pieces: Vec<Piece<Tensor<B, 4>>>, beside: &Tensor<B, 1>) -> Tensor<B, 1> {
    let ([length], device) = (beside.dims(), beside.device());
    pieces.sort_by_key(|piece| piece.start);
    let mut parts = Vec::with_capacity(2 * pieces.len());
    let mut end = 0;
    for Piece { start, tensor, factor } in pieces {
        parts.push(Tensor::zeros([start - end], &device));
        let numbers = tensor.shape().num_elements();
        parts.push(tensor.cast(FloatDType::F32).reshape([numbers]) * factor);
        end = start + numbers;
    }
    parts.push(Tensor::zeros([length - end], &device));
    Tensor::cat(parts, 0)
}

/// Maps times a weight for each channel of each image, where there are such.
pub(crate) fn weighed<B: Operations>(x: Tensor<B, 4>, weights: Option<Tensor<B, 4>>) -> Tensor<B, 4> {
    match weights {
        Some(weights) => B::weigh(x, weights),
        None => x,
    }
}

/// [`Operations::gate`] by operations of their own.
fn layer_by_layer<B: Operations>(x: Tensor<B, 4>, squeeze: &Dense<B>, excite: &Dense<B>) -> Tensor<B, 4> {
    excite.apply(squeeze.apply(B::average(x)))
}

/// `[1, channels, 1, 1]`.
fn sum_but_channels<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [count, channels, height, width] = x.dims();
    x.reshape([count, channels, height * width]).sum_dim(2).sum_dim(0).reshape([1, channels, 1, 1])
}

fn options(window: Window, groups: usize) -> ConvOptions<2> {
    ConvOptions::new(window.stride, window.padding, [1; 2], groups)
}
