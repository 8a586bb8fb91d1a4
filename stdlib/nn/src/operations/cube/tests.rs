//! Whether GPUs compute what the CPU does.

use std::collections::BTreeSet;

use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use pipe_gpu::{AdamWStep, Products, SgdStep, Window};
use pipe_network::{Activation, Block, Classifier, Conv, Linear, Network, Norm, Padding, SqueezeExcite, Weights};

use super::{cube, fused, tensor};
use crate::flat::Layout;
use crate::operations::{BatchNorm, Dense, Fused, Operations};
use crate::{Backbone, ComputeDevice, Descent, Head, Images, PixelScale, Precision, Step, Tuner, Tuning};

const FUNCTIONS: [Activation; 8] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Relu6,
    Activation::Silu,
    Activation::HardSwish,
    Activation::Gelu,
    Activation::Sigmoid,
    Activation::HardSigmoid,
];
/// Shapes of maps: channels that go in fours, in twos and one by one; more images and places than a
/// thread adds up.
const SHAPES: [[usize; 4]; 3] = [[2, 8, 13, 9], [3, 6, 5, 7], [1, 3, 4, 4]];

const ONE: Window = Window::ONE;

/// What each backend makes of the same numbers.
trait Case {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>>;
}

/// Numbers in -2..2 that look like chance.
fn maps<B: Backend, const D: usize>(seed: u32, shape: [usize; D], device: &B::Device) -> Tensor<B, D> {
    let mut state = seed.wrapping_mul(2_654_435_761) ^ 0x9e37_79b9;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        4.0 * (state >> 8) as f32 / (1 << 24) as f32 - 2.0
    };
    let numbers = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

fn numbers<B: Backend>(tensor: Tensor<B, 4>) -> ([usize; 4], Vec<f32>) {
    (tensor.dims(), tensor.into_data().convert::<f32>().into_vec().unwrap())
}

/// Whether a GPU makes of a case what the CPU does, one of NVIDIA and one that Vulkan or Metal know; a test
/// without says that it was skipped.
fn check(name: &str, case: &impl Case) {
    check_within(2e-5, name, case);
}

fn check_within(most: f32, name: &str, case: &impl Case) {
    check_cuda(most, name, case);
    #[cfg(feature = "wgpu")]
    match ComputeDevice::wgpu(0) {
        Ok(ComputeDevice::Wgpu(adapter)) => {
            compare(most, name, &expected_of(case), case.run::<burn::backend::Wgpu>(&adapter.device()));
        }
        _ => eprintln!("SKIPPED: no GPU is known to Vulkan or Metal"),
    }
}

/// On NVIDIA's alone: many kernels, each of which llvmpipe compiles for minutes.
fn check_cuda(most: f32, name: &str, case: &impl Case) {
    match ComputeDevice::cuda(0) {
        Ok(_) => compare(most, &format!("{name}, CUDA"), &expected_of(case), case.run::<Cuda>(&CudaDevice::new(0))),
        Err(missing) => eprintln!("SKIPPED: {missing}"),
    }
}

fn expected_of(case: &impl Case) -> Vec<([usize; 4], Vec<f32>)> {
    case.run::<Flex>(&Default::default()).into_iter().map(numbers).collect()
}

fn compare<B: Backend>(most: f32, name: &str, expected: &[([usize; 4], Vec<f32>)], found: Vec<Tensor<B, 4>>) {
    assert_eq!(expected.len(), found.len());
    for (at, ((shape, expected), found)) in expected.iter().zip(found).enumerate() {
        let (found_shape, found) = numbers(found);
        assert_eq!(*shape, found_shape, "{name}, {at}");
        let largest = expected.iter().fold(1e-3_f32, |largest, x| largest.max(x.abs()));
        for (place, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let off = (expected - found).abs() / largest;
            assert!(off < most, "{name}, {at}, {shape:?}, number {place}: {found}, the CPU has {expected}");
        }
    }
}

struct Line(Activation, [usize; 4]);

impl Case for Line {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let Self(function, shape) = *self;
        let x = || maps::<B, 4>(1, shape, device);
        let bias = || maps::<B, 4>(2, [1, shape[1], 1, 1], device);
        let [of_x, of_bias] = B::shift_backward(x(), bias(), function, maps(3, shape, device));
        let rest = || maps::<B, 4>(23, shape, device);
        let sums = [B::add(x(), rest(), function), B::shift_onto(x(), bias(), rest(), function)];
        [vec![B::shift(x(), bias(), function), of_x, of_bias], sums.to_vec()].concat()
    }
}

#[test]
fn summands_and_a_function() {
    for function in FUNCTIONS {
        check("shift", &Line(function, SHAPES[0]));
    }
    check("shift", &Line(Activation::Silu, SHAPES[1]));
    check("shift", &Line(Activation::Silu, SHAPES[2]));
}

struct Normalize(Activation, [usize; 4]);

impl Case for Normalize {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let Self(function, shape) = *self;
        let x = maps::<B, 4>(4, shape, device);
        let (mean, variance) = B::moments(x.clone());
        let each = |seed| maps::<B, 4>(seed, [1, shape[1], 1, 1], device);
        let norm =
            BatchNorm { weight: each(5), bias: each(6), mean: mean.clone(), variance: variance.clone(), epsilon: 1e-3 };
        let back = B::normalize_backward(x.clone(), &norm, function, maps(7, shape, device));
        [vec![mean, variance, B::normalize(x, &norm, function)], back.to_vec()].concat()
    }
}

#[test]
fn a_norm_and_a_function() {
    for shape in SHAPES {
        check("normalize", &Normalize(Activation::Silu, shape));
    }
    check("normalize", &Normalize(Activation::Relu, [40, 4, 9, 9]));
    // Several chunks, the last one shorter.
    check("normalize, many places", &Normalize(Activation::Silu, [7, 12, 23, 19]));
}

struct Weigh([usize; 4]);

impl Case for Weigh {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let Self(shape @ [count, channels, ..]) = *self;
        let x = || maps::<B, 4>(8, shape, device);
        let weights = || maps::<B, 4>(9, [count, channels, 1, 1], device);
        let back = B::weigh_backward(x(), weights(), maps(10, shape, device));
        let spread = || B::average_backward(weights(), [shape[2], shape[3]]);
        let sums = [B::add(x(), spread(), Activation::Silu), B::add(spread(), x(), Activation::Identity)];
        [vec![B::weigh(x(), weights()), B::average(x())], back.to_vec(), sums.to_vec()].concat()
    }
}

#[test]
fn means_and_weights() {
    for shape in SHAPES {
        check("weigh", &Weigh(shape));
    }
}

/// Maps, and how many numbers are between the layers.
struct Gate([usize; 4], usize);

impl Case for Gate {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let Self(shape @ [_, channels, ..], between) = *self;
        let dense = |seed, inputs, outputs, activation| Dense {
            weight: maps::<B, 4>(seed, [outputs, inputs, 1, 1], device),
            bias: maps(seed + 1, [1, outputs, 1, 1], device),
            activation,
            products: Products::Plain,
        };
        let squeeze = dense(33, channels, between, Activation::Silu);
        vec![B::gate(maps(37, shape, device), &squeeze, &dense(35, between, channels, Activation::HardSigmoid))]
    }
}

#[test]
fn squeeze_and_excitation() {
    for shape in SHAPES {
        check("gate", &Gate(shape, 2));
    }
    // More numbers than there are threads for them at once, and places that several cubes add up.
    check("gate, wide", &Gate([3, 72, 5, 4], 45));
    check("gate, many places", &Gate([2, 12, 47, 31], 9));
    // More of them than the threads of a cube can share.
    check("gate, too wide", &Gate([2, 24, 3, 3], 3000));
}

struct Depthwise([usize; 4], Window);

impl Case for Depthwise {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let Self(shape @ [count, channels, height, width], window) = *self;
        let x = || maps::<B, 4>(11, shape, device);
        let weight = || maps::<B, 4>(12, [channels, 1, window.kernel[0], window.kernel[1]], device);
        let [down, right] = window.output([height, width]);
        let gradient = || maps::<B, 4>(13, [count, channels, down, right], device);
        let bias = maps::<B, 4>(24, [1, channels, 1, 1], device);
        vec![
            B::depthwise(x(), weight(), window),
            B::depthwise_shift(x(), weight(), window, bias, Activation::Silu),
            B::depthwise_backward(x(), weight(), gradient(), window),
            B::depthwise_weight_backward(x(), gradient(), window),
        ]
    }
}

#[test]
fn depthwise_convolutions() {
    let square = |kernel, stride, padding| Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] };
    for shape in SHAPES {
        check("depthwise 3", &Depthwise(shape, square(3, 1, 1)));
    }
    check("depthwise 3 /2", &Depthwise(SHAPES[0], square(3, 2, 1)));
    check("depthwise 5", &Depthwise(SHAPES[1], square(5, 1, 2)));
    check("depthwise 5 /2, padded before", &Depthwise(SHAPES[0], square(5, 2, 0)));
    // More columns than a tile has places, and some left over.
    check("depthwise 5, wide", &Depthwise([2, 8, 5, 21], square(5, 1, 2)));
    check("depthwise 5 /2, wide", &Depthwise([2, 8, 6, 37], square(5, 2, 2)));
    check("depthwise 3 /3", &Depthwise([2, 4, 11, 31], square(3, 3, 1)));
    check("depthwise 7, padded too much", &Depthwise([1, 6, 9, 20], square(3, 1, 4)));
    let flat = Window { kernel: [1, 4], stride: [2, 3], padding: [0, 1] };
    check("depthwise 1 x 4", &Depthwise([2, 2, 5, 26], flat));
}

struct Convolve([usize; 4], usize, Window, Products);

impl Case for Convolve {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let Self(shape @ [count, inputs, height, width], outputs, window, products) = *self;
        let x = maps::<B, 4>(14, shape, device);
        let weight = maps::<B, 4>(15, [outputs, inputs, window.kernel[0], window.kernel[1]], device);
        let [down, right] = window.output([height, width]);
        let gradient = maps::<B, 4>(16, [count, outputs, down, right], device);
        let out = B::convolve(x.clone(), weight.clone(), window, products);
        let fused = Fused {
            gate: Some(maps(25, [count, inputs, 1, 1], device)),
            bias: maps(26, [1, outputs, 1, 1], device),
            rest: Some(maps(27, [count, outputs, down, right], device)),
            activation: Activation::Silu,
        };
        let few = Fused { gate: None, rest: None, ..fused.clone() };
        let fused = [fused, few].map(|fused| B::convolve_fused(x.clone(), weight.clone(), window, products, fused));
        let back = B::convolve_backward(x, weight, gradient, window, products, [true, true]);
        [vec![out], fused.to_vec(), back.into_iter().flatten().collect()].concat()
    }
}

#[test]
fn convolutions() {
    let plain = |shape, outputs, window| Convolve(shape, outputs, window, Products::Plain);
    check("convolution 1", &plain(SHAPES[0], 12, ONE));
    // As many places as take several products for the gradient of the weight.
    check("convolution 1, many places", &plain([4, 4, 48, 48], 8, ONE));
    let three = Window { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
    check("convolution 3 /2", &plain([2, 6, 13, 10], 8, three));
    check("convolution 3 /2, few channels", &plain([2, 3, 13, 10], 8, three));
    check("convolution 3 /2, few channels, wide", &plain([1, 3, 6, 51], 6, three));
    check("convolution 3, one channel", &plain([2, 1, 5, 9], 3, Window { stride: [1, 1], ..three }));
    check("convolution 1 /2", &plain(SHAPES[1], 4, Window { stride: [2, 2], ..ONE }));
    for shape in [SHAPES[0], SHAPES[1], [3, 40, 7, 5]] {
        check_cuda(2e-5, "convolution 1, exact", &Convolve(shape, 24, ONE, Products::Exact));
        check_cuda(4e-3, "convolution 1, rounded", &Convolve(shape, 24, ONE, Products::Rounded));
    }
    check_cuda(2e-5, "convolution 3 /2, exact", &Convolve([2, 6, 13, 10], 8, three, Products::Exact));
    check_cuda(4e-3, "convolution 3 /2, rounded", &Convolve([2, 6, 13, 10], 8, three, Products::Rounded));
}

/// Groups, rows, inner numbers and columns.
struct Multiply(Products, [usize; 4]);

impl Case for Multiply {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let Self(products, [groups, rows, inner, columns]) = *self;
        // The right one is laid out otherwise.
        let left = maps::<B, 3>(17, [groups, rows, inner], device);
        let right = maps::<B, 3>(18, [groups, columns, inner], device).swap_dims(1, 2);
        vec![B::multiply(left, right, products).reshape([groups, rows, columns, 1])]
    }
}

#[test]
fn products_of_matrices() {
    check("multiply", &Multiply(Products::Plain, [3, 10, 6, 5]));
    // Stages of inner numbers that are odd in number, even, and not whole.
    for inner in [6, 24, 40, 48, 100] {
        check("multiply", &Multiply(Products::Exact, [1, 200, inner, 72]));
        check_within(2e-3, "multiply, rounded", &Multiply(Products::Rounded, [1, 200, inner, 72]));
    }
    check("multiply", &Multiply(Products::Exact, [3, 10, 6, 5]));
    check("multiply", &Multiply(Products::Exact, [2, 64, 136, 30]));
}

/// A gated product with everything behind it: images, places, inner numbers and columns.
type Sizes = [usize; 4];

/// The factors `[1, rows, inner]` and `[1, inner, columns]`, and what goes along.
fn factors<B: Backend>([count, places, inner, columns]: Sizes, device: &B::Device) -> ([Tensor<B, 3>; 2], Fused<B>) {
    let left = maps::<B, 3>(28, [1, count * places, inner], device);
    let right = maps::<B, 3>(29, [1, columns, inner], device).swap_dims(1, 2);
    let gate = Some(maps(30, [count, inner, 1, 1], device));
    let rest = Some(maps(31, [count, columns, places, 1], device));
    let bias = maps(32, [1, columns, 1, 1], device);
    ([left, right], Fused { gate, bias, rest, activation: Activation::HardSwish })
}

/// What the CPU makes of them: `[1, columns, rows, 1]`.
fn expected([count, places, inner, columns]: Sizes) -> ([usize; 4], Vec<f32>) {
    let device = Default::default();
    let ([left, right], fused) = factors::<Flex>([count, places, inner, columns], &device);
    let x = left.reshape([count, places, inner]).swap_dims(1, 2).reshape([count, inner, places, 1]);
    let weight = right.swap_dims(1, 2).reshape([columns, inner, 1, 1]);
    let out = Flex::convolve_fused(x, weight, ONE, Products::Exact, fused);
    numbers(out.permute([0, 2, 1, 3]).reshape([1, count * places, columns, 1]))
}

/// Backends that choose from kernels.
trait Kernels: Operations {
    fn each(left: Tensor<Self, 3>, right: Tensor<Self, 3>, along: Fused<Self>) -> Vec<(&'static str, Tensor<Self, 3>)>;
}

impl<R, F, I, B> Kernels for CubeBackend<R, F, I, B>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    B: BoolElement,
    Self: Operations<FloatTensorPrimitive = CubeTensor<R>>,
{
    fn each(left: Tensor<Self, 3>, right: Tensor<Self, 3>, along: Fused<Self>) -> Vec<(&'static str, Tensor<Self, 3>)> {
        let all = pipe_gpu::product_by_each(cube(left), cube(right), fused(along));
        all.into_iter().map(|(name, out)| (name, tensor(out))).collect()
    }
}

/// Holds each kernel that can against the CPU, `most` for those that round; gives their names.
fn check_each<B: Kernels>(most: [f32; 2], precision: Precision, sizes: Sizes, device: &B::Device) -> Vec<&'static str> {
    let expected = expected(sizes);
    let (factors, Fused { gate, bias, rest, activation }) = factors::<B>(sizes, device);
    let [left, right] = factors.map(|factor| precision.round(factor));
    let [gate, rest] = [gate, rest].map(|maps| maps.map(|maps| precision.round(maps)));
    let along = Fused { gate, bias: precision.round(bias), rest, activation };
    let all = B::each(left, right, along);
    let names = all.iter().map(|(name, _)| *name).collect();
    for (name, out) in all {
        let [_, rows, columns] = out.dims();
        let most = most[usize::from(name.contains("mma"))];
        compare(most, name, std::slice::from_ref(&expected), vec![out.reshape([1, rows, columns, 1])]);
    }
    names
}

#[test]
fn each_kernel_for_products() {
    // Inner numbers that are a whole number of stages and not, odd and even; columns that go one by one.
    let sizes = [[2, 100, 6, 72], [1, 200, 24, 40], [2, 49, 40, 72], [3, 50, 48, 5], [2, 80, 100, 96]];
    match ComputeDevice::cuda(0) {
        Ok(_) => {
            let device = CudaDevice::new(0);
            let mut ran = [const { BTreeSet::new() }; 3];
            for sizes in sizes {
                ran[0].extend(check_each::<Cuda>([2e-5, 2e-3], Precision::F32, sizes, &device));
                ran[1].extend(check_each::<Cuda>([2e-2, 2e-2], Precision::Bf16, sizes, &device));
                ran[2].extend(check_each::<Cuda>([4e-3, 4e-3], Precision::F16, sizes, &device));
            }
            assert!(ran.iter().all(|names| names.len() == 7), "{ran:?}");
        }
        Err(missing) => eprintln!("SKIPPED: {missing}"),
    }
    #[cfg(feature = "wgpu")]
    match ComputeDevice::wgpu(0) {
        Ok(ComputeDevice::Wgpu(adapter)) => {
            // Programs that play a GPU compile each kernel for minutes.
            check_each::<burn::backend::Wgpu>([2e-5, 2e-3], Precision::F32, sizes[2], &adapter.device());
        }
        _ => eprintln!("SKIPPED: no GPU is known to Vulkan or Metal"),
    }
}

struct Descend {
    shapes: Vec<[usize; 4]>,
    precision: Precision,
}

impl Case for Descend {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let layout = Layout::new(self.shapes.iter().copied());
        let flat = |seed: u32| {
            let each: Vec<Vec<f32>> = self
                .shapes
                .iter()
                .zip(seed..)
                .map(|(shape, seed)| numbers(maps::<B, 4>(seed, *shape, device)).1)
                .collect();
            layout.tensor::<B>(&each.iter().map(Vec::as_slice).collect::<Vec<_>>(), device)
        };
        let pieces = |factor| {
            let piece = |(at, shape): (usize, &[usize; 4])| {
                // Every third is in the numbers of maps.
                let tensor = maps::<B, 4>(100 + at as u32, *shape, device);
                let tensor = if at % 3 == 0 { self.precision.round(tensor) } else { tensor };
                layout.piece(at, tensor, factor)
            };
            self.shapes.iter().enumerate().map(piece).collect::<Vec<_>>()
        };
        let adamw = AdamWStep { keep: 0.99, betas: [0.9, 0.995], rate: 0.01, unbias: 20.0, eps: 1e-6 };
        let sgd = SgdStep { lr: 0.1, momentum: 0.9, weight_decay: 0.01 };
        let followed = B::adamw(flat(19), pieces(1.0), [flat(21), flat(22) + 2.0], adamw);
        let blended = B::blend(flat(19), 0.9, pieces(0.1));
        let all = [&followed[..], &B::sgd(flat(19), pieces(1.0), flat(21), sgd)[..], &[blended][..]].concat();
        let parts = |flat: &Tensor<B, 1>| (0..self.shapes.len()).map(|at| layout.part(flat, at)).collect::<Vec<_>>();
        all.iter().flat_map(parts).collect()
    }
}

#[test]
fn weights_follow_gradients() {
    let shapes = [[8, 6, 3, 3], [5, 1, 3, 3], [1, 10, 1, 1], [1, 64, 1, 1], [96, 40, 1, 1]];
    // More than a launch takes.
    let shapes: Vec<[usize; 4]> = shapes.into_iter().cycle().take(120).collect();
    check("descend", &Descend { shapes: shapes.clone(), precision: Precision::F32 });
    check_cuda(2e-5, "descend", &Descend { shapes, precision: Precision::Bf16 });
}

struct Pixels;

impl Case for Pixels {
    fn run<B: Operations>(&self, device: &B::Device) -> Vec<Tensor<B, 4>> {
        let scale = crate::PixelScale { mean: [0.5, 0.25, 0.125], std: [0.5, 1.0, 2.0] };
        // Not a whole number of words.
        let bytes: Vec<u8> = (0..2 * 3 * 5 * 3).map(|at| (at * 37 % 256) as u8).collect();
        vec![crate::pixels::images::<B>(&bytes, [2, 3, 5], &scale, Precision::F32, device)]
    }
}

#[test]
fn pixels_become_numbers() {
    check("pixels", &Pixels);
}

/// A network of a convolution, a depthwise one and squeeze-and-excitation, with norms or without, and its weights.
fn tiny(with_norms: bool) -> (Network, Weights) {
    let norm = |of: &str| with_norms.then(|| Norm { name: format!("{of}.norm"), epsilon: 1e-3 });
    let conv = Conv {
        name: "conv".to_owned(),
        inputs: 3,
        outputs: 8,
        kernel: 3,
        stride: 2,
        // One more behind than before.
        padding: Padding::Same,
        groups: 1,
        norm: norm("conv"),
        activation: Activation::Silu,
    };
    let depthwise =
        Conv { name: "depthwise".to_owned(), inputs: 8, stride: 1, groups: 8, norm: norm("depthwise"), ..conv.clone() };
    let squeeze = SqueezeExcite {
        name: "squeeze".to_owned(),
        channels: 8,
        squeezed: 4,
        activation: Activation::Silu,
        gate: Activation::Sigmoid,
    };
    let mut weights = Weights::default();
    let numbers = |count: usize| (0..count).map(|at| (at * 37 % 101) as f32 / 101.0).collect::<Vec<_>>();
    weights.insert("conv.weight", &conv.weight_shape(), numbers(216));
    weights.insert("depthwise.weight", &[8, 1, 3, 3], numbers(72));
    weights.insert("squeeze.fc1.weight", &[4, 8, 1, 1], numbers(32));
    weights.insert("squeeze.fc2.weight", &[8, 4, 1, 1], numbers(32));
    for (name, channels) in [("conv", 8), ("depthwise", 8), ("squeeze.fc1", 4), ("squeeze.fc2", 8)] {
        weights.insert(&format!("{name}.bias"), &[channels], vec![0.1; channels]);
    }
    for (name, number) in [("weight", 1.0), ("bias", 0.1), ("running_mean", 0.5), ("running_var", 2.0)] {
        for of in ["conv", "depthwise"] {
            weights.insert(&format!("{of}.norm.{name}"), &[8], vec![number; 8]);
        }
    }
    let network = Network {
        name: "tiny".to_owned(),
        input_size: 8,
        trunk: vec![Block::Conv(conv), Block::Conv(depthwise), Block::SqueezeExcite(squeeze)],
        units: vec![1; 3],
        head: vec![Block::Mean],
        features: 8,
        classifier: Classifier::Linear(Linear {
            name: "classifier".to_owned(),
            inputs: 8,
            outputs: 2,
            activation: Activation::Identity,
        }),
    };
    (network, weights)
}

#[test]
fn a_network_learns_what_it_learns_on_the_cpu() {
    let Ok(cuda) = ComputeDevice::cuda(0) else {
        eprintln!("SKIPPED: no GPU of NVIDIA's");
        return;
    };
    let (network, weights) = tiny(true);
    let pixels: Vec<u8> = (0..6 * 8 * 8 * 3).map(|at| (at * 41 % 256) as u8).collect();
    let dropout: Vec<f32> = (0..6 * 8).map(|at| if at % 5 == 0 { 0.0 } else { 1.25 }).collect();
    let learned = |device, precision, (descent, batch_statistics, freeze)| {
        let tuning = Tuning { descent, weight_decay: 0.01, batch_statistics, freeze, precision, threads: 1 };
        let scale = PixelScale { mean: [0.5; 3], std: [0.25; 3] };
        let head = Head { weight: (0..24).map(|at| (at * 29 % 31) as f32 / 31.0).collect(), ..Head::zeros(3, 8) };
        let mut tuner = Tuner::new(&network, &weights, &head, scale, &tuning, &[device]);
        for _ in 0..2 {
            let step = Step {
                images: Images::Pixels(&pixels),
                size: [6, 8, 8],
                labels: &[0, 1, 2, 2, 1, 0],
                weights: &[1.0, 2.0, 0.5, 1.0, 1.0, 3.0],
                dropout: Some(&dropout),
                lr: 0.05,
            };
            tuner.step(&step).unwrap();
        }
        let (after, after_head) = (tuner.weights(), tuner.head());
        let names = network.tensors().into_iter().map(|tensor| tensor.name);
        let moved = |now: &[f32], before: &[f32]| now.iter().zip(before).map(|(now, before)| now - before).collect();
        let moves = names.map(|name| moved(after.numbers(&name), weights.numbers(&name)));
        let of_head = [moved(&after_head.weight, &head.weight), moved(&after_head.bias, &head.bias)];
        moves.chain(of_head).collect::<Vec<Vec<f32>>>()
    };
    let adamw = Descent::AdamW { betas: (0.9, 0.999), eps: 1e-3 };
    let sgd = Descent::Sgd { momentum: 0.9 };
    for (precision, most) in [(Precision::F32, 1e-3), (Precision::Bf16, 0.1)] {
        for case in [(sgd, true, 0), (sgd, false, 0), (adamw, true, 0), (sgd, true, 1)] {
            let expected = learned(ComputeDevice::Cpu, Precision::F32, case);
            let found = learned(cuda, precision, case);
            for (at, (expected, found)) in expected.iter().zip(&found).enumerate() {
                let length = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>().sqrt();
                let off = length(&mut expected.iter().zip(found).map(|(one, other)| one - other));
                let most = most * length(&mut expected.iter().copied()) + 1e-6;
                assert!(off <= most, "{precision:?}, {case:?}, tensor {at}: {found:?} for {expected:?}");
            }
        }
    }
}

/// A device has its numbers from what uses it first, as far as Burn is concerned.
#[test]
fn the_numbers_of_one_network_are_not_those_of_the_next() {
    let Ok(cuda) = ComputeDevice::cuda(0) else {
        eprintln!("SKIPPED: no GPU of NVIDIA's");
        return;
    };
    let (network, weights) = tiny(false);
    let pixels: Vec<u8> = (0..2 * 8 * 8 * 3).map(|at| (at * 41 % 256) as u8).collect();
    let scale = PixelScale { mean: [0.5; 3], std: [0.25; 3] };
    let features = |device, precision| {
        let backbone = Backbone::new(&network, &weights, device, precision);
        backbone.features_of_pixels(&pixels, [2, 8, 8], &scale).unwrap()
    };
    let expected = features(ComputeDevice::Cpu, Precision::F32);
    let off = |precision| {
        let found = features(cuda, precision);
        expected.iter().zip(found).map(|(expected, found)| ((expected - found) / expected).abs()).fold(0.0, f32::max)
    };
    for (precision, least, most) in [
        (Precision::Bf16, 1e-4, 3e-2),
        (Precision::F32, 0.0, 1e-5),
        (Precision::F16, 1e-5, 4e-3),
        (Precision::F32, 0.0, 1e-5),
        (Precision::Bf16, 1e-4, 3e-2),
    ] {
        let off = off(precision);
        assert!((least..most).contains(&off), "{precision:?} is off by {off}");
    }
}
