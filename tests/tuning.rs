//! Fine-tuning against PyTorch: gradients, losses, running statistics.

use std::sync::Arc;

use crate::common::hashed::uniform;
use crate::common::json_fixture;
use crate::networks::weights;
use pipe_cpu::{Isa, Plan, Worker};
use pipe_network::{Network, Weights, network};
use pipe_nn::{ComputeDevice, Descent, Head, Images, PixelScale, Precision, Step, Tuner, Tuning};

const ROWS: usize = 12;
const SIDE: usize = 64;
const CLASSES: usize = 3;
const SCALE: PixelScale = PixelScale { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const ADAMW: Descent = Descent::AdamW { betas: (0.9, 0.999), eps: 1e-8 };

/// Blocks that stay as they are, in the mode `partly`.
const FREEZE: usize = 3;

fn restored(model: &str) -> (Network, Weights) {
    let described = json_fixture("backbones.json");
    let network = network(model).unwrap();
    let (weights, _) = weights(model, &described["networks"][model], &network);
    let weights = weights.without_classifier(&network);
    (network, weights)
}

fn head(model: &str, features: usize) -> Head {
    let mut head = Head::zeros(CLASSES, features);
    let uniform = uniform(&format!("tuning/{model}/head"), head.weight.len());
    head.weight = uniform.into_iter().map(|u| (0.2 * (u - 0.5)) as f32).collect();
    head
}

fn tuning(descent: Descent, weight_decay: f64, batch_statistics: bool, freeze: usize, threads: usize) -> Tuning {
    Tuning { descent, weight_decay, batch_statistics, freeze, precision: Precision::F32, threads }
}

fn pixels(rows: usize) -> Vec<u8> {
    uniform("tuning/pixels", rows * SIDE * SIDE * 3).into_iter().map(|u| (256.0 * u) as u8).collect()
}

fn tuner(
    model: &str,
    mode: &str,
    descent: Descent,
    weight_decay: f64,
    devices: &[ComputeDevice],
    threads: usize,
) -> Tuner {
    let (network, weights) = restored(model);
    let freeze = if mode == "partly" { FREEZE } else { 0 };
    let tuning = tuning(descent, weight_decay, mode != "frozen", freeze, threads);
    Tuner::new(&network, &weights, &head(model, network.features), SCALE, &tuning, devices)
}

fn step(tuner: &mut Tuner, lr: f64) -> f64 {
    step_of(tuner, ROWS, lr)
}

/// A step of the first rows.
fn step_of(tuner: &mut Tuner, rows: usize, lr: f64) -> f64 {
    step_on(tuner, Images::Pixels(&pixels(rows)), [rows, SIDE, SIDE], lr)
}

/// A step of rows of that count, height and width.
fn step_on(tuner: &mut Tuner, images: Images<'_>, size: [usize; 3], lr: f64) -> f64 {
    let rows = size[0];
    let labels: Vec<usize> = (0..rows).map(|row| row % CLASSES).collect();
    let weights: Vec<f32> = uniform("tuning/weights", rows).into_iter().map(|u| (0.5 + u) as f32).collect();
    tuner.step(&Step { images, size, labels: &labels, weights: &weights, dropout: None, lr }).unwrap();
    tuner.seen().unwrap().unwrap().0
}

/// A tensor of the network or the head.
fn numbers(weights: &Weights, head: &Head, name: &str) -> Vec<f32> {
    match name {
        "head.weight" => head.weight.clone(),
        "head.bias" => head.bias.clone(),
        name => weights.numbers(name).to_vec(),
    }
}

fn dot(name: &str, numbers: &[f64]) -> f64 {
    uniform(&format!("tuning/dot/{name}"), numbers.len()).iter().zip(numbers).map(|(u, x)| (2.0 * u - 1.0) * x).sum()
}

/// The gradients at the first step, which a step of plain descent shows when it is long enough.
pub(crate) fn check_gradients(model: &str, mode: &str, devices: &[ComputeDevice]) {
    const LR: f64 = 4096.0;
    let expected = &json_fixture("fine_tuning.json")["cases"][model][mode];
    let mut tuner = tuner(model, mode, Descent::Sgd { momentum: 0.0 }, 0.0, devices, 2);
    let expected: Vec<(String, f64, f64)> = serde_json::from_value(expected["gradients"].clone()).unwrap();
    let (weights, head) = (tuner.weights(), tuner.head());
    step(&mut tuner, LR);
    let (tuned_weights, tuned_head) = (tuner.weights(), tuner.head());
    let largest = expected.iter().map(|(_, norm, _)| *norm).fold(0.0, f64::max);
    for (name, norm, product) in &expected {
        let (before, after) = (numbers(&weights, &head, name), numbers(&tuned_weights, &tuned_head, name));
        let moved = |(before, after): (&f32, &f32)| (f64::from(*before) - f64::from(*after)) / LR;
        let gradient: Vec<f64> = before.iter().zip(&after).map(moved).collect();
        let found = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A number that is nearly 0 before a ReLU may fall on either side.
        let allowed = 1e-2 * norm + 1e-6 * largest;
        assert!((found - norm).abs() <= allowed, "{model} {mode} {name}: norm {found}, PyTorch has {norm}");
        let found = dot(name, &gradient);
        assert!((found - product).abs() <= allowed, "{model} {mode} {name}: product {found}, PyTorch has {product}");
    }
}

fn check(model: &str, mode: &str, device: ComputeDevice) {
    let fixture = json_fixture("fine_tuning.json");
    let expected = &fixture["cases"][model][mode];
    check_gradients(model, mode, &[device]);
    let sgd = Descent::Sgd { momentum: 0.9 };
    for (key, descent, lr) in [("losses", ADAMW, 1e-5), ("sgd_losses", sgd, 1e-4)] {
        let mut tuner = tuner(model, mode, descent, 0.05, &[device], 2);
        let losses: Vec<f64> = serde_json::from_value(expected[key].clone()).unwrap();
        for (at, wanted) in losses.iter().enumerate() {
            let found = step(&mut tuner, lr);
            assert!(
                (found - wanted).abs() <= 2e-3 * wanted,
                "{model} {mode} {key} {at}: {found}, PyTorch has {wanted}"
            );
        }
        if key == "losses" {
            let statistics: Vec<(String, f64)> = serde_json::from_value(expected["statistics"].clone()).unwrap();
            let tuned = tuner.weights();
            for (name, wanted) in statistics {
                let numbers: Vec<f64> = tuned.numbers(&name).iter().copied().map(f64::from).collect();
                let found = dot(&name, &numbers);
                let size = numbers.iter().map(|x| x * x).sum::<f64>().sqrt();
                assert!((found - wanted).abs() <= 1e-3 * size, "{model} {name}: {found}, PyTorch has {wanted}");
            }
        }
    }
}

#[test]
fn mobilenet_tunes_as_in_pytorch() {
    check("mobilenet_v3_small", "frozen", ComputeDevice::Cpu);
    check("mobilenet_v3_small", "batch", ComputeDevice::Cpu);
}

#[test]
fn frozen_blocks_stay_as_in_pytorch() {
    check("mobilenet_v3_small", "partly", ComputeDevice::Cpu);
}

/// What frozen blocks give may be computed before: the rest learns from it what it learns within the whole.
#[test]
fn the_rest_of_a_network_learns_from_the_maps_before_it() {
    for (model, frozen) in [("mobilenet_v2", 8), ("mobilenet_v3_small", 3), ("squeezenet1_1", 4), ("convnext_tiny", 3)]
    {
        let (network, weights) = restored(model);
        let [first, rest] = network.cut(frozen);
        let plan = Plan::new(&first, &weights, SIDE, SIDE, Isa::best()).unwrap();
        let mut worker = Worker::new(Arc::new(plan), 1);
        let pixels = pixels(ROWS);
        let maps = pixels.chunks(SIDE * SIDE * 3).flat_map(|photo| {
            worker.features(|channel, y, row| {
                for (x, out) in row.iter_mut().enumerate() {
                    let value = f32::from(photo[(y * SIDE + x) * 3 + channel]) / 255.0;
                    *out = (value - SCALE.mean[channel]) / SCALE.std[channel];
                }
            })
        });
        let maps: Vec<f32> = maps.collect();
        let [_, height, width] = first.feature_map(SIDE, SIDE).unwrap();
        let losses = |network: &Network, freeze: usize, images: Images<'_>, [height, width]: [usize; 2]| -> Vec<f64> {
            let tuning = tuning(ADAMW, 0.05, false, freeze, 2);
            let head = head(model, network.features);
            let mut tuner = Tuner::new(network, &weights, &head, SCALE, &tuning, &[ComputeDevice::Cpu]);
            (0..3).map(|_| step_on(&mut tuner, images, [ROWS, height, width], 1e-5)).collect()
        };
        let whole = losses(&network, frozen, Images::Pixels(&pixels), [SIDE, SIDE]);
        let behind = losses(&rest, 0, Images::Maps(&maps), [height, width]);
        assert!((whole[2] - whole[0]).abs() > 1e-3, "{model}: {whole:?}");
        for (whole, behind) in whole.iter().zip(&behind) {
            assert!((whole - behind).abs() < 1e-4 * whole, "{model}: {behind}, as a whole {whole}");
        }
    }
}

#[test]
fn efficientnet_tunes_as_in_pytorch() {
    check("efficientnet_b0", "frozen", ComputeDevice::Cpu);
    check("efficientnet_b0", "batch", ComputeDevice::Cpu);
}

#[test]
fn resnet_tunes_as_in_pytorch() {
    check("resnet18", "frozen", ComputeDevice::Cpu);
    check("resnet18", "batch", ComputeDevice::Cpu);
}

#[test]
fn networks_without_batch_norms_tune_as_in_pytorch() {
    check("squeezenet1_1", "frozen", ComputeDevice::Cpu);
    check("convnext_tiny", "frozen", ComputeDevice::Cpu);
}

#[test]
fn tuned_weights_do_not_depend_on_the_threads() {
    let tuned = |threads| {
        let mut tuner = tuner("mobilenet_v3_small", "frozen", ADAMW, 0.05, &[ComputeDevice::Cpu], threads);
        step(&mut tuner, 1e-3);
        step(&mut tuner, 1e-3);
        (tuner.weights().to_safetensors().unwrap(), tuner.head())
    };
    let one = tuned(1);
    assert!(one == tuned(2) && one == tuned(5));
}

/// The first norm's statistics after a step of an odd number of rows, cut unevenly by two devices, are
/// those of all rows.
#[cfg(feature = "wgpu")]
pub(crate) fn check_statistics(model: &str, norm: &str, devices: &[ComputeDevice]) {
    let of = |devices: &[ComputeDevice], statistic: &str| {
        let mut tuner = tuner(model, "batch", ADAMW, 0.05, devices, 2);
        step_of(&mut tuner, 5, 1e-5);
        tuner.weights().numbers(&format!("{norm}.{statistic}")).to_vec()
    };
    for statistic in ["running_mean", "running_var"] {
        let (wanted, found) = (of(&[ComputeDevice::Cpu], statistic), of(devices, statistic));
        let largest = wanted.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        let off = wanted.iter().zip(&found).map(|(wanted, found)| (wanted - found).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5 * largest, "{model} {norm}.{statistic}: off by {off} of {largest}");
    }
}
