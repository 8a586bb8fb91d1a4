//! A dense layer on features: training with Adam, and its predictions.
//!
//! Two classes have one output and a sigmoid, more have an output each and a softmax.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use pipe_gpu::Products;
use pipe_network::Activation;

use crate::descent::{Descent, Optimizer};
use crate::failure::Moment;
use crate::flat::Layout;
use crate::loss::{Sums, probabilities, slopes};
use crate::operations::Operations;
use crate::upload::{PART, joined};
use crate::work::{Work, work};
use crate::{ComputeDevice, DeviceFailure, Precision};

/// Bytes of memory, where a GPU does not say.
const USUAL: u64 = 1 << 30;
/// Bytes of features that stay on a GPU at most: kernels count numbers in 32 bits.
const LARGEST: u64 = 4 << 30;

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

/// Loss and accuracy of a head over rows that come in parts.
#[derive(Debug)]
pub struct Evaluation<'a> {
    head: &'a Head,
    sums: Sums,
}

impl<'a> Evaluation<'a> {
    /// Of no rows yet.
    pub fn of(head: &'a Head) -> Self {
        Self { head, sums: Sums::default() }
    }

    /// Counts rows in.
    pub fn add(&mut self, rows: Rows<'_>) {
        for (row, &label) in rows.features.chunks_exact(self.head.features).zip(rows.labels) {
            self.sums.add_row(&self.head.logits(row), label);
        }
    }

    /// Mean cross-entropy in nats, and accuracy; `None` without rows.
    pub fn means(&self) -> Option<(f64, f64)> {
        self.sums.means()
    }
}

/// Trains a head from `initial`, an epoch for each order of rows that `orders` gives, and hears
/// after each what it gave; `false` stops.
///
/// Not generic over what it calls, so that Burn is compiled into this crate alone.
///
/// # Errors
/// When the device fails, or its memory is too small.
pub fn train_head(
    device: ComputeDevice,
    initial: Head,
    training: &HeadTraining<'_>,
    orders: &mut dyn Iterator<Item = Vec<usize>>,
    on_epoch: &mut dyn FnMut(Epoch) -> bool,
) -> Result<Head, DeviceFailure> {
    let room = match device {
        ComputeDevice::Cpu => 0,
        // They lie there twice while they are put together.
        device => (device.memory().unwrap_or(USUAL) / 8).min(LARGEST),
    };
    let products = device.products(Precision::F32);
    Moment::now().guard(|| work(Course { initial, training, orders, on_epoch, room, products }, device))
}

/// What a training is given.
struct Course<'a> {
    initial: Head,
    training: &'a HeadTraining<'a>,
    orders: &'a mut dyn Iterator<Item = Vec<usize>>,
    on_epoch: &'a mut dyn FnMut(Epoch) -> bool,
    /// The bytes of features that may stay on the device.
    room: u64,
    products: Products,
}

impl Work for Course<'_> {
    type Out = Result<Head, DeviceFailure>;

    fn on<B: Operations>(self, device: &B::Device) -> Self::Out {
        let Self { initial, training, orders, on_epoch, room, products } = self;
        let (Adam { lr, betas, eps }, began) = (training.adam, Moment::now());
        let data = Data::<B>::new(training.train, initial.features, device, room);
        let held_out = Data::<B>::new(training.validation, initial.features, device, room);
        let mut dense = Dense::<B>::of(&initial, products, device);
        let mut optimizer = Optimizer::new(dense.layout.clone(), Descent::AdamW { betas, eps }, 0.0);
        for order in orders {
            let mut seen = Sums::default();
            let mut pending = None;
            for rows in order.chunks(training.batch_size) {
                let labels: Vec<usize> = rows.iter().map(|&row| training.train.labels[row]).collect();
                let features = data.some(rows);
                let logits = dense.logits(features.clone());
                let gradients = dense.gradients(features, slopes(logits.clone(), &labels) / rows.len() as f64);
                dense.flat = optimizer.step(dense.flat, gradients.to_vec(), lr);
                // The last step's, so that the device has this one to do meanwhile.
                if let Some((logits, labels)) = pending.replace((logits, labels)) {
                    seen.add(&began.read(logits)?, &labels);
                }
            }
            if let Some((logits, labels)) = pending {
                seen.add(&began.read(logits)?, &labels);
            }
            let held_out = dense.means(&held_out, began)?;
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
        let flat = began.read(dense.flat)?;
        let [weight, bias] = [0, 1].map(|at| dense.layout.numbers(&flat, at).to_vec());
        Ok(Head { weight, bias, ..initial })
    }
}

/// Rows, and where they lie.
struct Data<'a, B: Backend> {
    rows: Rows<'a>,
    features: usize,
    device: &'a B::Device,
    /// All features, where they fit; else each step uploads its own.
    uploaded: Option<Tensor<B, 2>>,
}

impl<'a, B: Backend> Data<'a, B> {
    fn new(rows: Rows<'a>, features: usize, device: &'a B::Device, room: u64) -> Self {
        let data = Self { rows, features, device, uploaded: None };
        let fits = !rows.labels.is_empty() && size_of_val(rows.features) as u64 <= room;
        let part = (PART / size_of::<f32>() / features.max(1)).max(1) * features.max(1);
        let all = || joined(rows.features.chunks(part).map(|part| data.upload(part.to_vec())).collect());
        Self { uploaded: fits.then(all), ..data }
    }

    fn upload(&self, features: Vec<f32>) -> Tensor<B, 2> {
        let rows = features.len() / self.features.max(1);
        Tensor::from_data(TensorData::new(features, [rows, self.features]), self.device)
    }

    /// The features of some rows.
    fn some(&self, rows: &[usize]) -> Tensor<B, 2> {
        if let Some(all) = &self.uploaded {
            let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
            let count = rows.len();
            return all.clone().select(0, Tensor::from_data(TensorData::new(rows, [count]), self.device));
        }
        let mut features = Vec::with_capacity(rows.len() * self.features);
        for row in rows {
            features.extend_from_slice(&self.rows.features[row * self.features..][..self.features]);
        }
        self.upload(features)
    }

    fn all(&self) -> Tensor<B, 2> {
        self.uploaded.clone().unwrap_or_else(|| self.upload(self.rows.features.to_vec()))
    }
}

/// A head on a device.
struct Dense<B: Backend> {
    /// The weight `[outputs, features, 1, 1]` and the bias `[1, outputs, 1, 1]`.
    flat: Tensor<B, 1>,
    layout: Layout,
    products: Products,
}

impl<B: Operations> Dense<B> {
    fn of(head: &Head, products: Products, device: &B::Device) -> Self {
        let outputs = head.outputs();
        let layout = Layout::new([[outputs, head.features, 1, 1], [1, outputs, 1, 1]]);
        Self { flat: layout.tensor(&[&head.weight, &head.bias], device), layout, products }
    }

    fn weight_and_bias(&self) -> [Tensor<B, 4>; 2] {
        [0, 1].map(|at| self.layout.part(&self.flat, at))
    }

    /// `[rows, outputs]` of features `[rows, features]`.
    fn logits(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        let [weight, bias] = self.weight_and_bias();
        let ([outputs, length, ..], [rows, _]) = (weight.dims(), features.dims());
        let products = B::dense(features, weight.reshape([outputs, length]).transpose(), self.products);
        B::shift(products.reshape([rows, outputs, 1, 1]), bias, Activation::Identity).reshape([rows, outputs])
    }

    /// Those of the tensors, from those of the logits.
    fn gradients(&self, features: Tensor<B, 2>, of_logits: Tensor<B, 2>) -> [Tensor<B, 4>; 2] {
        let [weight, bias] = self.weight_and_bias();
        let (dims, [rows, outputs]) = (weight.dims(), of_logits.dims());
        let of_weight = B::dense(of_logits.clone().transpose(), features, self.products).reshape(dims);
        let each = of_logits.reshape([rows, outputs, 1, 1]);
        let [_, of_bias] = B::shift_backward(each.clone(), bias, Activation::Identity, each);
        [of_weight, of_bias]
    }

    /// Mean loss and accuracy over rows, if there are any.
    fn means(&self, data: &Data<'_, B>, began: Moment) -> Result<Option<(f64, f64)>, DeviceFailure> {
        let mut sums = Sums::default();
        if !data.rows.labels.is_empty() {
            sums.add(&began.read(self.logits(data.all()))?, data.rows.labels);
        }
        Ok(sums.means())
    }
}
