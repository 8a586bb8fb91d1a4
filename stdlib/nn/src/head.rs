//! A dense layer on features: training with Adam, and its predictions.
//!
//! Two classes have one output and a sigmoid, more have an output each and a softmax.

use burn::backend::cuda::CudaDevice;
use burn::backend::{Autodiff, Cuda, Flex};
use burn::module::{AutodiffModule, Param};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use crate::ComputeDevice;
use crate::loss::{Sums, losses, probabilities};

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

    /// Mean cross-entropy in nats, and accuracy; `None` without rows.
    pub fn mean_loss(&self, rows: Rows<'_>) -> Option<(f64, f64)> {
        let mut sums = Sums::default();
        for (row, &label) in rows.features.chunks_exact(self.features).zip(rows.labels) {
            sums.add_row(&self.logits(row), label);
        }
        sums.means()
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
            let gradients = losses(logits, &labels, device).mean().backward();
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
