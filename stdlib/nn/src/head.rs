//! A dense layer on features: training with Adam, and its predictions.
//!
//! Two classes have one output and a sigmoid, more have an output each and a softmax.

use burn::backend::cuda::CudaDevice;
use burn::backend::{Autodiff, Cuda, Flex};
use burn::module::{AutodiffModule, Param};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};

use crate::ComputeDevice;

/// Feature vectors with their class indices.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// `[rows, features]`, row-major.
    pub features: &'a [f32],
    /// A class index a row.
    pub labels: &'a [usize],
}

/// Adam (Kingma and Ba 2015), with PyTorch's names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the running means of the gradient and of its square.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub eps: f64,
}

/// How to train a head.
#[derive(Debug, Clone)]
pub struct HeadTraining<'a> {
    /// Rows a step; the last step of an epoch takes what is left.
    pub batch_size: usize,
    /// The optimizer.
    pub adam: Adam,
    /// What is learned from.
    pub train: Rows<'a>,
    /// What only tells how well it goes; may be empty.
    pub validation: Rows<'a>,
}

/// A dense layer with the activation that its number of classes asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Classes, at least 2.
    pub classes: usize,
    /// Length of a feature vector.
    pub features: usize,
    /// `[outputs, features]`, row-major, as PyTorch has it; one output for two classes.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// What an epoch gave. Losses are means of binary or categorical cross-entropy in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Mean over the rows of the epoch, each before the step that it was part of.
    pub train_loss: f64,
    /// Likewise, in 0..=1.
    pub train_accuracy: f64,
    /// Over the validation rows after the epoch; `None` without validation rows.
    pub validation_loss: Option<f64>,
    /// Likewise, in 0..=1.
    pub validation_accuracy: Option<f64>,
}

impl Head {
    /// A head of zeros.
    pub fn zeros(classes: usize, features: usize) -> Self {
        let outputs = if classes == 2 { 1 } else { classes };
        Self { classes, features, weight: vec![0.0; outputs * features], bias: vec![0.0; outputs] }
    }

    /// How many outputs it has: 1 for two classes.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Class probabilities `[rows, classes]` in `f64`, row-major, of features `[rows, features]`.
    pub fn probabilities(&self, features: &[f32]) -> Vec<f64> {
        features.chunks_exact(self.features).flat_map(|row| probabilities(&self.logits(row))).collect()
    }

    fn logits(&self, row: &[f32]) -> Vec<f64> {
        let dot = |weight: &[f32]| -> f64 { weight.iter().zip(row).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum() };
        self.weight
            .chunks_exact(self.features)
            .zip(&self.bias)
            .map(|(weight, bias)| dot(weight) + f64::from(*bias))
            .collect()
    }
}

/// Trains a head from `initial`, an epoch for each order of rows that `orders` gives, and hears
/// after each what it gave; `false` stops.
///
/// Not generic over what it calls, so that Burn is compiled into this crate alone.
pub fn train_head(
    device: ComputeDevice,
    initial: Head,
    training: &HeadTraining<'_>,
    orders: &mut dyn Iterator<Item = Vec<usize>>,
    on_epoch: &mut dyn FnMut(Epoch) -> bool,
) -> Head {
    match device {
        ComputeDevice::Cpu => train::<Autodiff<Flex>>(&Default::default(), initial, training, orders, on_epoch),
        ComputeDevice::Cuda(number) => {
            train::<Autodiff<Cuda>>(&CudaDevice::new(number), initial, training, orders, on_epoch)
        }
        #[cfg(feature = "wgpu")]
        ComputeDevice::Wgpu(adapter) => {
            train::<Autodiff<burn::backend::Wgpu>>(&adapter.device(), initial, training, orders, on_epoch)
        }
    }
}

fn train<B: AutodiffBackend>(
    device: &B::Device,
    initial: Head,
    training: &HeadTraining<'_>,
    orders: &mut dyn Iterator<Item = Vec<usize>>,
    on_epoch: &mut dyn FnMut(Epoch) -> bool,
) -> Head {
    let Head { classes, features, .. } = initial;
    let adam = training.adam;
    let mut linear: Linear<B> = to_linear(&initial, device);
    let mut optimizer = AdamConfig::new()
        .with_beta_1(adam.betas.0 as f32)
        .with_beta_2(adam.betas.1 as f32)
        .with_epsilon(adam.eps as f32)
        .init();
    for order in orders {
        let mut seen = Sums::default();
        for rows in order.chunks(training.batch_size) {
            let (x, labels) = batch(training.train, rows, features);
            let x = Tensor::<B, 2>::from_data(TensorData::new(x, [rows.len(), features]), device);
            let logits = linear.forward(x);
            seen.add(&numbers(logits.clone().inner()), &labels);
            let gradients = loss(logits, &labels, classes, device).backward();
            let gradients = GradientsParams::from_grads(gradients, &linear);
            linear = optimizer.step(adam.lr, linear, gradients);
        }
        let held_out = validate(&linear.valid(), training.validation, features, device);
        let (train_loss, train_accuracy) = seen.means().unwrap_or_default();
        let go_on = on_epoch(Epoch {
            train_loss,
            train_accuracy,
            validation_loss: held_out.map(|(loss, _)| loss),
            validation_accuracy: held_out.map(|(_, accuracy)| accuracy),
        });
        if !go_on {
            break;
        }
    }
    from_linear(&linear.valid(), classes, features)
}

fn batch(data: Rows<'_>, rows: &[usize], features: usize) -> (Vec<f32>, Vec<usize>) {
    let x = rows.iter().flat_map(|&row| &data.features[row * features..(row + 1) * features]).copied().collect();
    (x, rows.iter().map(|&row| data.labels[row]).collect())
}

/// Mean cross-entropy as a tensor with a gradient.
fn loss<B: Backend>(logits: Tensor<B, 2>, labels: &[usize], classes: usize, device: &B::Device) -> Tensor<B, 1> {
    let rows = labels.len();
    if classes == 2 {
        // -log sigmoid(z) for class 1, -log sigmoid(-z) for class 0: no overflow, and the right
        // gradient at 0.
        let signs = labels.iter().map(|&label| if label == 1 { 1.0f32 } else { -1.0 }).collect();
        let signs = Tensor::<B, 2>::from_data(TensorData::new(signs, [rows, 1]), device);
        return log_sigmoid(logits * signs).mean().neg();
    }
    let labels = labels.iter().map(|&label| label as i32).collect();
    let labels = Tensor::<B, 2, Int>::from_data(TensorData::new(labels, [rows, 1]), device);
    log_softmax(logits, 1).gather(1, labels).mean().neg()
}

fn validate<B: Backend>(linear: &Linear<B>, rows: Rows<'_>, features: usize, device: &B::Device) -> Option<(f64, f64)> {
    if rows.labels.is_empty() {
        return None;
    }
    let x = TensorData::new(rows.features.to_vec(), [rows.labels.len(), features]);
    let mut sums = Sums::default();
    sums.add(&numbers(linear.forward(Tensor::<B, 2>::from_data(x, device))), rows.labels);
    sums.means()
}

fn to_linear<B: Backend>(head: &Head, device: &B::Device) -> Linear<B> {
    let outputs = head.outputs();
    let weight = TensorData::new(head.weight.clone(), [outputs, head.features]);
    let bias = TensorData::new(head.bias.clone(), [outputs]);
    Linear {
        weight: Param::from_tensor(Tensor::<B, 2>::from_data(weight, device).transpose()),
        bias: Some(Param::from_tensor(Tensor::from_data(bias, device))),
    }
}

fn from_linear<B: Backend>(linear: &Linear<B>, classes: usize, features: usize) -> Head {
    let bias = linear.bias.as_ref().map(|bias| bias.val().into_data().convert::<f32>().into_vec().unwrap_or_default());
    Head { classes, features, weight: numbers(linear.weight.val().transpose()), bias: bias.unwrap_or_default() }
}

fn numbers<B: Backend>(tensor: Tensor<B, 2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap_or_default()
}

/// Loss and hits over rows.
#[derive(Default)]
struct Sums {
    loss: f64,
    hits: usize,
    rows: usize,
}

impl Sums {
    fn add(&mut self, logits: &[f32], labels: &[usize]) {
        let outputs = logits.len() / labels.len().max(1);
        for (row, &label) in logits.chunks_exact(outputs.max(1)).zip(labels) {
            let row: Vec<f64> = row.iter().map(|&logit| f64::from(logit)).collect();
            self.loss += cross_entropy(&row, label);
            self.hits += usize::from(predicted(&row) == label);
            self.rows += 1;
        }
    }

    fn means(&self) -> Option<(f64, f64)> {
        let rows = self.rows as f64;
        (self.rows > 0).then(|| (self.loss / rows, self.hits as f64 / rows))
    }
}

/// `-log p(label)` from logits, without overflow.
fn cross_entropy(logits: &[f64], label: usize) -> f64 {
    match logits {
        [z] => {
            let z = if label == 1 { *z } else { -*z };
            (-z).max(0.0) + (-z.abs()).exp().ln_1p()
        }
        _ => {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|z| (z - most).exp()).sum();
            most + sum.ln() - logits[label]
        }
    }
}

/// The class of the greatest probability; for two classes, 1 from a probability of 0.5 on.
fn predicted(logits: &[f64]) -> usize {
    match logits {
        [z] => usize::from(*z >= 0.0),
        _ => (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or_default(),
    }
}

fn probabilities(logits: &[f64]) -> Vec<f64> {
    match logits {
        [z] => {
            let one = 1.0 / (1.0 + (-z).exp());
            vec![1.0 - one, one]
        }
        _ => {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let each: Vec<f64> = logits.iter().map(|z| (z - most).exp()).collect();
            let sum: f64 = each.iter().sum();
            each.iter().map(|p| p / sum).collect()
        }
    }
}
