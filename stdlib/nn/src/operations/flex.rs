//! Operations on the CPU as loops over planes, the numbers of one channel of one image.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use pipe_gpu::{Products, Window};
use pipe_network::Activation;

use super::{BatchNorm, Operations};

/// Sums that are kept side by side, so that a loop need not wait for each.
const LANES: usize = 16;

type Map = Tensor<Flex, 4>;

impl Operations for Flex {
    fn activate(x: Map, activation: Activation) -> Map {
        match activation {
            Activation::Identity => x,
            activation => {
                let (dims, x) = (x.dims(), Numbers::of(x));
                let mut out = vec![0.0; x.all().len()];
                along(activation, x.all(), 1.0, 0.0, &mut out);
                map(out, dims)
            }
        }
    }

    fn shift(x: Map, bias: Map, activation: Activation) -> Map {
        let (dims @ [_, channels, height, width], x, bias) = (x.dims(), Numbers::of(x), Numbers::of(bias));
        let mut out = vec![0.0; x.all().len()];
        for (plane, (x, out)) in planes(x.all(), height * width).zip(out.chunks_exact_mut(height * width)).enumerate() {
            along(activation, x, 1.0, bias.all()[plane % channels], out);
        }
        map(out, dims)
    }

    fn normalize(x: Map, norm: &BatchNorm<Self>, activation: Activation) -> Map {
        let (dims @ [_, channels, height, width], norm, x) = (x.dims(), Lines::of(norm), Numbers::of(x));
        let mut out = vec![0.0; x.all().len()];
        for (plane, (x, out)) in planes(x.all(), height * width).zip(out.chunks_exact_mut(height * width)).enumerate() {
            let (factor, summand) = norm.line(plane % channels);
            along(activation, x, factor, summand, out);
        }
        map(out, dims)
    }

    fn weigh(x: Map, weights: Map) -> Map {
        let (dims @ [.., height, width], x, weights) = (x.dims(), Numbers::of(x), Numbers::of(weights));
        let planes = planes(x.all(), height * width).zip(weights.all());
        map(planes.flat_map(|(plane, weight)| plane.iter().map(move |x| x * weight)).collect(), dims)
    }

    fn average(x: Map) -> Map {
        let ([count, channels, height, width], x) = (x.dims(), Numbers::of(x));
        let places = (height * width) as f32;
        map(planes(x.all(), height * width).map(|plane| sum(plane) / places).collect(), [count, channels, 1, 1])
    }

    fn activate_backward(x: Map, gradient: Map, activation: Activation) -> Map {
        let (dims, x, gradient) = (x.dims(), Numbers::of(x), Numbers::of(gradient));
        let mut out = gradient.all().to_vec();
        back(activation, x.all(), 1.0, 0.0, &mut out);
        map(out, dims)
    }

    fn shift_backward(x: Map, bias: Map, activation: Activation, gradient: Map) -> [Map; 2] {
        let (dims @ [_, channels, height, width], x, bias) = (x.dims(), Numbers::of(x), Numbers::of(bias));
        let mut out = Numbers::of(gradient).all().to_vec();
        let mut of_bias = vec![0.0; channels];
        for (plane, (x, out)) in planes(x.all(), height * width).zip(out.chunks_exact_mut(height * width)).enumerate() {
            back(activation, x, 1.0, bias.all()[plane % channels], out);
            of_bias[plane % channels] += sum(out);
        }
        [map(out, dims), map(of_bias, [1, channels, 1, 1])]
    }

    fn normalize_backward(x: Map, norm: &BatchNorm<Self>, activation: Activation, gradient: Map) -> [Map; 3] {
        let (dims @ [count, channels, height, width], lines, x) = (x.dims(), Lines::of(norm), Numbers::of(x));
        let places = height * width;
        let mut out = Numbers::of(gradient).all().to_vec();
        let (mut of_weight, mut of_bias) = (vec![0.0; channels], vec![0.0; channels]);
        for (plane, (x, out)) in planes(x.all(), places).zip(out.chunks_exact_mut(places)).enumerate() {
            let channel = plane % channels;
            let (factor, summand) = lines.line(channel);
            back(activation, x, factor, summand, out);
            of_bias[channel] += sum(out);
            // The sum over gradient * (x - mean) / deviation.
            of_weight[channel] += sum_of_products(out, x, lines.mean[channel]) * lines.scale[channel];
        }
        let values = (count * places) as f32;
        for (plane, (x, out)) in planes(x.all(), places).zip(out.chunks_exact_mut(places)).enumerate() {
            let channel = plane % channels;
            let (mean, scale) = (lines.mean[channel], lines.scale[channel]);
            let factor = lines.weight[channel] * scale;
            let (by_bias, by_weight) = (of_bias[channel] / values, of_weight[channel] / values * scale);
            for (out, x) in out.iter_mut().zip(x) {
                *out = factor * (*out - by_bias - (x - mean) * by_weight);
            }
        }
        let each = [1, channels, 1, 1];
        [map(out, dims), map(of_weight, each), map(of_bias, each)]
    }

    fn weigh_backward(x: Map, weights: Map, gradient: Map) -> [Map; 2] {
        let ([count, channels, height, width], numbers) = (x.dims(), Numbers::of(x));
        let gradients = Numbers::of(gradient.clone());
        let pairs = planes(numbers.all(), height * width).zip(planes(gradients.all(), height * width));
        let of_weights = pairs.map(|(x, gradient)| sum_of_products(gradient, x, 0.0)).collect();
        [Self::weigh(gradient, weights), map(of_weights, [count, channels, 1, 1])]
    }

    fn average_backward(gradient: Map, [height, width]: [usize; 2]) -> Map {
        let ([count, channels, ..], gradient) = (gradient.dims(), Numbers::of(gradient));
        let places = height * width;
        let all = gradient.all().iter().flat_map(|gradient| std::iter::repeat_n(gradient / places as f32, places));
        map(all.collect(), [count, channels, height, width])
    }

    /// Products of matrices, an image at a time: the numbers below each place of the kernel make a row.
    fn convolve_backward(
        x: Map,
        weight: Map,
        gradient: Map,
        window: Window,
        _: Products,
        wants: [bool; 2],
    ) -> [Option<Map>; 2] {
        let ([outputs, inputs, kernel @ ..], dims @ [count, _, height, width]) = (weight.dims(), x.dims());
        let [.., out_height, out_width] = gradient.dims();
        let is_plain = window == Window::ONE;
        let window = Below::new(window, [height, width], [out_height, out_width]);
        let (below, places) = (inputs * kernel[0] * kernel[1], out_height * out_width);
        let gradient = gradient.reshape([count, outputs, places]);
        let of_x = || {
            let weight = weight.reshape([1, outputs, below]).swap_dims(1, 2);
            let columns = weight.matmul(gradient.clone()).reshape([count, below, places, 1]);
            if is_plain { columns.reshape(dims) } else { window.gather(&Numbers::of(columns), kernel, dims) }
        };
        let of_weight = || {
            let x = if is_plain { x } else { window.spread(&Numbers::of(x), kernel, [count, inputs]) };
            let columns = x.reshape([count, below, places]).swap_dims(1, 2);
            gradient.clone().matmul(columns).sum_dim(0).reshape([outputs, inputs, kernel[0], kernel[1]])
        };
        [wants[0].then(of_x), wants[1].then(of_weight)]
    }

    fn depthwise_backward(x: Map, weight: Map, gradient: Map, window: Window) -> Map {
        let dims @ [_, channels, height, width] = x.dims();
        let [.., kernel_height, kernel_width] = weight.dims();
        let [.., out_height, out_width] = gradient.dims();
        let window = Below::new(window, [height, width], [out_height, out_width]);
        let (weight, gradient) = (Numbers::of(weight), Numbers::of(gradient));
        let mut out = vec![0.0_f32; dims.iter().product()];
        let pairs = out.chunks_exact_mut(height * width).zip(planes(gradient.all(), out_height * out_width));
        for (plane, (out, gradient)) in pairs.enumerate() {
            let kernel = &weight.all()[plane % channels * kernel_height * kernel_width..];
            for (at, weight) in kernel[..kernel_height * kernel_width].iter().enumerate() {
                window.rows([at / kernel_width, at % kernel_width], |below, above| {
                    let (out, gradient) = (&mut out[below], &gradient[above]);
                    match window.stride[1] {
                        1 => out.iter_mut().zip(gradient).for_each(|(out, gradient)| *out += weight * gradient),
                        stride => {
                            let out = out.iter_mut().step_by(stride);
                            out.zip(gradient).for_each(|(out, gradient)| *out += weight * gradient);
                        }
                    }
                });
            }
        }
        map(out, dims)
    }

    fn depthwise_weight_backward(x: Map, gradient: Map, window: Window) -> Map {
        let kernel = window.kernel;
        let [_, channels, height, width] = x.dims();
        let [.., out_height, out_width] = gradient.dims();
        let window = Below::new(window, [height, width], [out_height, out_width]);
        let (x, gradient) = (Numbers::of(x), Numbers::of(gradient));
        let places = kernel[0] * kernel[1];
        let mut out = vec![0.0_f32; channels * places];
        let pairs = planes(x.all(), height * width).zip(planes(gradient.all(), out_height * out_width));
        for (plane, (x, gradient)) in pairs.enumerate() {
            for at in 0..places {
                let mut sum = 0.0;
                window.rows([at / kernel[1], at % kernel[1]], |below, above| {
                    let (x, gradient) = (&x[below], &gradient[above]);
                    sum += match window.stride[1] {
                        1 => sum_of_products(gradient, x, 0.0),
                        stride => x.iter().step_by(stride).zip(gradient).map(|(x, gradient)| x * gradient).sum(),
                    };
                });
                out[plane % channels * places + at] += sum;
            }
        }
        map(out, [channels, 1, kernel[0], kernel[1]])
    }
}

/// What a norm does to each channel, as a factor and a summand.
struct Lines {
    weight: Vec<f32>,
    bias: Vec<f32>,
    mean: Vec<f32>,
    /// One over the standard deviation.
    scale: Vec<f32>,
}

impl Lines {
    fn of(norm: &BatchNorm<Flex>) -> Self {
        let numbers = |tensor: &Map| Numbers::of(tensor.clone()).all().to_vec();
        let scale = numbers(&norm.variance).into_iter().map(|variance| 1.0 / (variance + norm.epsilon).sqrt());
        Self {
            weight: numbers(&norm.weight),
            bias: numbers(&norm.bias),
            mean: numbers(&norm.mean),
            scale: scale.collect(),
        }
    }

    fn line(&self, channel: usize) -> (f32, f32) {
        let factor = self.weight[channel] * self.scale[channel];
        (factor, self.bias[channel] - self.mean[channel] * factor)
    }
}

/// Which places of a plane a place of a kernel lies over.
struct Below {
    stride: [usize; 2],
    padding: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
}

impl Below {
    fn new(window: Window, input: [usize; 2], output: [usize; 2]) -> Self {
        Self { stride: window.stride, padding: window.padding, input, output }
    }

    /// Gives, for each row of the output, where the places below that place of the kernel lie in a plane
    /// of the input, and where those of the output do.
    fn rows(&self, [y, x]: [usize; 2], mut take: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>)) {
        let (columns, rows) = (self.range(1, x), self.range(0, y));
        if columns.is_empty() {
            return;
        }
        for row in rows {
            let below = (row * self.stride[0] + y - self.padding[0]) * self.input[1];
            let first = below + columns.start * self.stride[1] + x - self.padding[1];
            let last = below + (columns.end - 1) * self.stride[1] + x - self.padding[1];
            let above = row * self.output[1];
            take(first..last + 1, above + columns.start..above + columns.end);
        }
    }

    /// For every channel and every place of a kernel, what lies below it: `[count, channels * kernel,
    /// output, 1]`.
    fn spread(&self, x: &Numbers, kernel: [usize; 2], [count, channels]: [usize; 2]) -> Map {
        let (size, places) = (kernel[0] * kernel[1], self.output[0] * self.output[1]);
        let mut out = vec![0.0; count * channels * size * places];
        let all = planes(x.all(), self.input[0] * self.input[1]).zip(out.chunks_exact_mut(size * places));
        for (x, out) in all {
            for (at, out) in out.chunks_exact_mut(places).enumerate() {
                self.rows([at / kernel[1], at % kernel[1]], |below, above| {
                    let x = x[below].iter().step_by(self.stride[1]);
                    out[above].iter_mut().zip(x).for_each(|(out, x)| *out = *x);
                });
            }
        }
        map(out, [count, channels * size, places, 1])
    }

    /// The other way: what lies below each place, summed up.
    fn gather(&self, columns: &Numbers, kernel: [usize; 2], dims: [usize; 4]) -> Map {
        let (size, places) = (kernel[0] * kernel[1], self.output[0] * self.output[1]);
        let mut out = vec![0.0; dims.iter().product()];
        let all = out.chunks_exact_mut(self.input[0] * self.input[1]).zip(planes(columns.all(), size * places));
        for (out, columns) in all {
            for (at, column) in planes(columns, places).enumerate() {
                self.rows([at / kernel[1], at % kernel[1]], |below, above| {
                    let out = out[below].iter_mut().step_by(self.stride[1]);
                    out.zip(&column[above]).for_each(|(out, x)| *out += x);
                });
            }
        }
        map(out, dims)
    }

    /// The places of the output along one side for which a place of the kernel lies over the input.
    fn range(&self, side: usize, at: usize) -> std::ops::Range<usize> {
        let (stride, padding) = (self.stride[side], self.padding[side]);
        let first = padding.saturating_sub(at).div_ceil(stride);
        let end = (self.input[side] + padding).saturating_sub(at).div_ceil(stride);
        first..end.min(self.output[side]).max(first)
    }
}

/// A tensor's numbers, one behind the other.
struct Numbers(FlexTensor);

impl Numbers {
    fn of(tensor: Map) -> Self {
        Self(primitive(tensor).to_contiguous())
    }

    fn all(&self) -> &[f32] {
        self.0.as_slice::<f32>().unwrap_or_default()
    }
}

fn primitive(tensor: Map) -> FlexTensor {
    tensor.into_primitive().tensor()
}

fn map(numbers: Vec<f32>, dims: [usize; 4]) -> Map {
    let tensor = FlexTensor::from_data(TensorData::new(numbers, dims));
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}

fn planes(numbers: &[f32], places: usize) -> std::slice::ChunksExact<'_, f32> {
    numbers.chunks_exact(places.max(1))
}

/// `out = activation(factor * x + summand)`.
fn along(activation: Activation, x: &[f32], factor: f32, summand: f32, out: &mut [f32]) {
    let each = |out: &mut [f32], of: fn(f32) -> f32| {
        out.iter_mut().zip(x).for_each(|(out, x)| *out = of(factor * x + summand));
    };
    match activation {
        Activation::Identity => out.iter_mut().zip(x).for_each(|(out, x)| *out = factor * x + summand),
        // What is no number stays none.
        Activation::Relu => out.iter_mut().zip(x).for_each(|(out, x)| {
            let z = factor * x + summand;
            *out = if z < 0.0 { 0.0 } else { z };
        }),
        Activation::Relu6 => {
            out.iter_mut().zip(x).for_each(|(out, x)| *out = (factor * x + summand).clamp(0.0, 6.0));
        }
        Activation::Silu => out.iter_mut().zip(x).for_each(|(out, x)| {
            let z = factor * x + summand;
            *out = z * sigmoid(z);
        }),
        Activation::HardSwish => out.iter_mut().zip(x).for_each(|(out, x)| {
            let z = factor * x + summand;
            *out = z * (z + 3.0).clamp(0.0, 6.0) / 6.0;
        }),
        Activation::Gelu => each(out, gelu),
        Activation::Sigmoid => out.iter_mut().zip(x).for_each(|(out, x)| *out = sigmoid(factor * x + summand)),
        Activation::HardSigmoid => {
            out.iter_mut().zip(x).for_each(|(out, x)| *out = (factor * x + summand + 3.0).clamp(0.0, 6.0) / 6.0);
        }
    }
}

/// Multiplies each gradient with the slope of `activation` at `factor * x + summand`.
fn back(activation: Activation, x: &[f32], factor: f32, summand: f32, gradient: &mut [f32]) {
    let pairs = gradient.iter_mut().zip(x);
    match activation {
        Activation::Identity => {}
        Activation::Relu => pairs.for_each(|(gradient, x)| {
            *gradient = if factor * x + summand > 0.0 { *gradient } else { 0.0 };
        }),
        Activation::Relu6 => pairs.for_each(|(gradient, x)| {
            let z = factor * x + summand;
            *gradient = if z > 0.0 && z < 6.0 { *gradient } else { 0.0 };
        }),
        Activation::Silu => pairs.for_each(|(gradient, x)| {
            let z = factor * x + summand;
            let gate = sigmoid(z);
            *gradient *= gate * (1.0 + z * (1.0 - gate));
        }),
        Activation::HardSwish => pairs.for_each(|(gradient, x)| {
            let z = factor * x + summand;
            let slope = z / 3.0 + 0.5;
            let slope = if z > -3.0 { slope } else { 0.0 };
            *gradient *= if z < 3.0 { slope } else { 1.0 };
        }),
        Activation::Gelu => pairs.for_each(|(gradient, x)| *gradient *= gelu_slope(factor * x + summand)),
        Activation::Sigmoid => pairs.for_each(|(gradient, x)| {
            let gate = sigmoid(factor * x + summand);
            *gradient *= gate * (1.0 - gate);
        }),
        Activation::HardSigmoid => pairs.for_each(|(gradient, x)| {
            let z = factor * x + summand;
            *gradient *= if z > -3.0 && z < 3.0 { 1.0 / 6.0 } else { 0.0 };
        }),
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `e^x` within 2 units in the last place, without branches: the loops around it become vectors.
///
/// `e^x = 2^n e^r` with the nearest whole `n` to `x / ln 2`; `e^r` by the polynomial of Cephes' `expf`
/// (Moshier 1989).
fn exp(x: f32) -> f32 {
    /// What is added to round to a whole number, which then lies in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let power = f32::from_bits((shifted.to_bits().wrapping_add(127)) << 23);
    (p * r * r + r + 1.0) * power
}

/// `x` times the normal distribution's share below `x`.
fn gelu(x: f32) -> f32 {
    x * below(x)
}

fn gelu_slope(x: f32) -> f32 {
    below(x) + x * exp(-0.5 * x * x) * 0.398_942_3
}

fn below(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function within 1.5e-7: Abramowitz and Stegun 1964, 7.1.26.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let p = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - p * exp(-x * x)).copysign(x)
}

fn sum(numbers: &[f32]) -> f32 {
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, number)| *lane += number);
    }
    lanes.iter().chain(rest).sum()
}

/// The sum of `a * (b - mean)`.
fn sum_of_products(a: &[f32], b: &[f32], mean: f32) -> f32 {
    let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * (b[lane] - mean);
        }
    }
    lanes.iter().sum::<f32>() + rest_of_a.iter().zip(rest_of_b).map(|(a, b)| a * (b - mean)).sum::<f32>()
}
