//! `train.head`.

use std::cell::Cell;

use pipe_core::{Artifact, Demand, Failure, Inputs, Job, Kind, Meta, Records, Split, Whole};
use pipe_nn::{Adam, ComputeDevice, Head, HeadTraining, Rows, train_head};
use pipe_spec::types;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::failure::of_device;
use super::history::History;
use super::model;
use super::rows::refuse_gaps;
use crate::device;
use crate::features::decode_features;

/// Trains a dense layer on features: the head of a classifier.
///
/// Two classes have one output, a sigmoid and binary cross-entropy; more have an output each, a
/// softmax and categorical cross-entropy. Learns from the train rows, and tells after each epoch
/// the loss and accuracy on the train rows (mean over the epoch's steps, as Keras counts) and on
/// the validation rows.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainHead {
    /// How often the train rows are gone through.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// Rows a step; the last step of an epoch takes what is left.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch_size: u32,
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Where chance starts: the first weights, and the order of the rows in each epoch.
    pub seed: u32,
}

impl Default for TrainHead {
    fn default() -> Self {
        Self { epochs: 10, batch_size: 512, optimizer: Optimizer::default(), seed: 0 }
    }
}

/// How weights follow gradients.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Kingma and Ba 2015, with PyTorch's defaults.
    Adam {
        /// Learning rate.
        #[serde(default = "default_lr")]
        #[schemars(range(max = 10.0), extend("exclusiveMinimum" = 0))]
        lr: f64,
        /// Decay of the running means of the gradient and of its square.
        #[serde(default = "default_betas")]
        betas: [Beta; 2],
        /// Added to the denominator.
        #[serde(default = "default_eps")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        eps: f64,
    },
}

/// A decay in 0..1.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Beta(#[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1))] pub f64);

impl Optimizer {
    /// Adam with this learning rate, the rest as PyTorch has it.
    pub fn adam(lr: f64) -> Self {
        Self::Adam { lr, betas: default_betas(), eps: default_eps() }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::adam(default_lr())
    }
}

fn default_lr() -> f64 {
    0.001
}

pub(super) fn default_betas() -> [Beta; 2] {
    [Beta(0.9), Beta(0.999)]
}

pub(super) fn default_eps() -> f64 {
    1e-8
}

impl Kind for TrainHead {
    const NAME: &'static str = "train.head";
    const VERSION: u32 = 2;
    type Inputs = types::Features;
    const INPUTS: &'static [&'static str] = &["features"];
    type Outputs = (types::Model, types::Metrics);
    const OUTPUTS: &'static [&'static str] = &["model", "history"];
    const NUMERIC: Option<&'static str> = Some("f32");

    fn demand(&self) -> Demand {
        Demand::Device
    }
}

impl Whole for TrainHead {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let collection = inputs.collection("features")?;
        let items = inputs.items("features")?;
        let records = &collection.records;
        let train = Part::new(records, &items, Split::Train);
        let validation = Part::new(records, &items, Split::Validation);
        refuse_gaps(records, &train.labels)?;
        let features = items.first().map_or(0, |item| item.len() / 4);
        if let Some(other) = items.iter().position(|item| item.len() / 4 != features) {
            let (first, other) = (&records.rows[0].id, &records.rows[other].id);
            let message = format!("`{first}` and `{other}` have different numbers of features");
            return Err(Failure::new("pipe::data", message).help("every row needs as many features as the others"));
        }
        let mut random = ChaCha8Rng::seed_from_u64(u64::from(self.seed));
        let initial = initial(records.classes.len(), features, &mut random);
        let Optimizer::Adam { lr, betas: [Beta(beta_1), Beta(beta_2)], eps } = self.optimizer;
        let training = HeadTraining {
            batch_size: self.batch_size as usize,
            adam: Adam { lr, betas: (beta_1, beta_2), eps },
            train: train.rows(),
            validation: validation.rows(),
        };
        let rows = train.labels.len();
        let mut orders = (0..self.epochs).map(|_| {
            let mut order: Vec<usize> = (0..rows).collect();
            order.shuffle(&mut random);
            order
        });
        let mut history = History::default();
        let diverged = Cell::new(false);
        let device = device::resolve(job)?.first().copied().unwrap_or(ComputeDevice::Cpu);
        let head = train_head(device, initial, &training, &mut orders, &mut |epoch| {
            diverged.set(!epoch.train_loss.is_finite());
            let values = history.add(epoch);
            job.epoch(history.epochs(), self.epochs as usize, values);
            job.checkpoint().is_ok() && !diverged.get()
        })
        .map_err(of_device)?;
        job.checkpoint()?;
        if diverged.get() {
            return Err(diverged_after(history.epochs()));
        }
        let origin = json!({ "params": self, "rows": { "train": rows, "validation": validation.labels.len() } });
        let features = Meta { json: collection.meta.clone(), parts: collection.parts.clone() };
        let model = model::write(&head, &records.classes, &features, origin, job)?;
        Ok(vec![Artifact::Document(model), history.artifact(history.epochs().saturating_sub(1))])
    }
}

/// The rows of one split, features one after another.
struct Part {
    features: Vec<f32>,
    labels: Vec<usize>,
}

impl Part {
    fn new(records: &Records, items: &[Vec<u8>], split: Split) -> Self {
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for ((row, item), label) in records.rows.iter().zip(items).zip(records.labels()) {
            if row.split == Some(split) {
                features.extend(decode_features(item));
                labels.push(label);
            }
        }
        Self { features, labels }
    }

    fn rows(&self) -> Rows<'_> {
        Rows { features: &self.features, labels: &self.labels }
    }
}

/// Weights and biases uniform within `1 / sqrt(features)`, as PyTorch's `Linear` starts.
pub(super) fn initial(classes: usize, features: usize, random: &mut ChaCha8Rng) -> Head {
    let bound = 1.0 / (features.max(1) as f32).sqrt();
    let mut head = Head::zeros(classes, features);
    for number in head.weight.iter_mut().chain(&mut head.bias) {
        *number = bound * (2.0 * random.random::<f32>() - 1.0);
    }
    head
}

/// Training went nowhere.
pub(super) fn diverged_after(epoch: usize) -> Failure {
    let message = format!("the loss is no longer a number after epoch {epoch}");
    Failure::new("pipe::training", message).param("optimizer").help("lower the learning rate `lr`")
}
