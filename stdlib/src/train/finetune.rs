//! `train.finetune`.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use pipe_core::{Artifact, Collection, Demand, Failure, Inputs, Job, Kind, Meta, Records, Split, StoredItems, Whole};
use pipe_network::{Network, Weights};
use pipe_nn::{ComputeDevice, Descent, DeviceFailure, Epoch, Head, PixelScale, Rows, Step, Tuning};
use pipe_spec::types;
use pipe_store::{Digest, Hasher};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::augment::Augment;
use super::batches::{Batch, Batches};
use super::head::{Beta, default_betas, default_eps, diverged_after, initial};
use super::history::History;
use super::model;
use super::rows::refuse_gaps;
use super::schedule::Schedule;
use crate::device;
use crate::features::{Model, Normalize, Pool, Precision, Variant, WeightsFrom};
use crate::features::{decode_features, run, side, stage, warn};

/// Batches that wait for the device, at most.
const WAITING: usize = 2;

/// Trains a network with a head on photos: fine-tuning.
///
/// The head is as `train.head` has it: two classes have one output, a sigmoid and binary cross-entropy;
/// more have an output each, a softmax and categorical cross-entropy. Learns from the train rows, and
/// tells after each epoch the loss and accuracy on the train rows (mean over the epoch's steps) and on the
/// validation rows. The third output, `features`, holds what the tuned network makes of every photo, which
/// is what `eval.classifier` and `audit.labels` want beside the model.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// The network.
    pub model: Model,
    /// What training starts from: a file of weights, or `random`. As in `features.backbone`.
    pub weights: WeightsFrom,
    /// Whose version of the network the weights were trained as.
    #[serde(default)]
    pub variant: Variant,
    /// What is done to pixels in 0..=1 before they enter the network.
    #[serde(default)]
    pub normalize: Normalize,
    /// How often the train rows are gone through.
    #[serde(default = "default_epochs")]
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// Rows a step; the last step of an epoch takes what is left.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 65_536))]
    pub batch_size: u32,
    /// How weights follow gradients.
    #[serde(default)]
    pub optimizer: Tuner,
    /// How the learning rate goes on once it is reached.
    #[serde(default)]
    pub schedule: Schedule,
    /// Over how many epochs, from the first on, the learning rate rises to what it is.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub warmup_epochs: f64,
    /// Which statistics batch norms use.
    #[serde(default)]
    pub norms: Norms,
    /// How many of the network's first blocks stay as they are: its first convolution is one, and so is each
    /// pooling and each block (residual, fire, encoder) behind it.
    #[serde(default)]
    pub freeze: u32,
    /// What is done to photos of the train rows by chance, anew in each epoch.
    #[serde(default)]
    pub augment: Augment,
    /// The part of the features that each step leaves out.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// How much a row of each class counts.
    #[serde(default)]
    pub class_weight: ClassWeight,
    /// Which epoch's weights are kept.
    #[serde(default)]
    pub keep: Keep,
    /// The numbers of maps and their gradients while it trains; weights are `f32`, and so is all that is
    /// told of the tuned network. Half of the bits are faster on GPUs; the CPU has `f32` alone.
    #[serde(default)]
    pub precision: Precision,
    /// Where chance starts: the head's first weights, the order of the rows, what is done to photos.
    #[serde(default)]
    pub seed: u32,
}

/// How weights follow gradients.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tuner {
    /// Loshchilov and Hutter 2019.
    Adamw {
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
        /// The part of the weights, times the learning rate, that each step takes away; biases and norms
        /// keep all.
        #[serde(default = "default_decay")]
        #[schemars(range(min = 0.0, max = 1.0))]
        weight_decay: f64,
    },
    /// Stochastic gradient descent, as PyTorch has it.
    Sgd {
        /// Learning rate.
        #[serde(default = "default_sgd_lr")]
        #[schemars(range(max = 10.0), extend("exclusiveMinimum" = 0))]
        lr: f64,
        /// What stays of the last step.
        #[serde(default = "default_momentum")]
        momentum: Beta,
        /// The part of the weights that is added to their gradients; not to those of biases and norms.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        weight_decay: f64,
    },
}

impl Default for Tuner {
    fn default() -> Self {
        Self::Adamw { lr: default_lr(), betas: default_betas(), eps: default_eps(), weight_decay: default_decay() }
    }
}

/// Which statistics batch norms use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Norms {
    /// Those that came with the weights: what is trained is what is used afterwards, whatever the batch.
    #[default]
    Frozen,
    /// Those of each step's rows, from which running ones are learned: for large batches, or for weights
    /// that chance made.
    Batch,
}

/// How much a row of each class counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeight {
    /// All rows alike.
    #[default]
    None,
    /// All classes alike, however many rows they have: `rows / (classes * rows of the class)`, as in
    /// scikit-learn.
    Balanced,
}

/// Which epoch's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The last one's.
    #[default]
    Last,
    /// Those with the smallest loss on the validation rows.
    Best,
}

fn default_epochs() -> u32 {
    5
}

fn default_batch_size() -> u32 {
    32
}

fn default_lr() -> f64 {
    1e-4
}

fn default_sgd_lr() -> f64 {
    0.01
}

fn default_momentum() -> Beta {
    Beta(0.9)
}

fn default_decay() -> f64 {
    0.01
}

impl Kind for Finetune {
    const NAME: &'static str = "train.finetune";
    const VERSION: u32 = 1;
    type Inputs = types::Images;
    const INPUTS: &'static [&'static str] = &["images"];
    type Outputs = (types::Model, types::Metrics, types::Features);
    const OUTPUTS: &'static [&'static str] = &["model", "history", "features"];
    const NUMERIC: Option<&'static str> = Some("f32");

    fn demand(&self) -> Demand {
        Demand::Device
    }

    fn validate(&self) -> Result<(), Failure> {
        self.normalize.validate()?;
        if self.warmup_epochs <= f64::from(self.epochs) {
            return Ok(());
        }
        let message = format!("{} epochs of warm-up are more than the {} epochs", self.warmup_epochs, self.epochs);
        Err(Failure::new("pipe::invalid_param", message).param("warmup_epochs"))
    }
}

impl Whole for Finetune {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let devices = device::resolve(job)?;
        self.precision.check(&devices)?;
        let collection = inputs.collection("images")?;
        let images = Meta { json: collection.meta.clone(), ..Meta::default() };
        let data = Data::new(&collection.records);
        refuse_gaps(&collection.records, &data.train_labels())?;
        if self.keep == Keep::Best && data.validation.is_empty() {
            return Err(Failure::new("pipe::data", "there are no validation rows to tell the best epoch by")
                .param("keep")
                .help("give the split node a `validation`, or write `keep: last`"));
        }
        let network = self.model.network()?;
        let (weights, naming) = self.weights.read(&network, self.seed, job)?;
        let weights = weights.without_classifier(&network);
        warn(self.model, &self.weights, naming, &images, &self.normalize, job);
        let variant = self.variant.resolved(naming);
        let network = network.variant(variant.of(naming));
        if devices != [ComputeDevice::Cpu] {
            job.note(format!("on {}", device::names(&devices)));
        }
        let items = collection.stored(job.store)?;
        let training = Training {
            params: self,
            network: &network,
            variant,
            devices: &devices,
            data: &data,
            items: &items,
            job,
            images: &images,
        };
        let (tuned, history) = training.run(&collection.records, weights)?;
        let (features, meta) = training.features(&tuned, collection)?;
        let origin = json!({
            "params": self,
            "rows": { "train": data.train.len(), "validation": data.validation.len() },
            "epoch": tuned.epoch + 1,
        });
        let model = model::write(&tuned.head, &collection.records.classes, &meta, origin, job)?;
        Ok(vec![Artifact::Document(model), history.artifact(tuned.epoch), Artifact::Collection(features)])
    }
}

/// The rows by what they are for, as numbers of items.
struct Data {
    train: Vec<usize>,
    validation: Vec<usize>,
    labels: Vec<usize>,
}

impl Data {
    fn new(records: &Records) -> Self {
        let of = |split: Split| -> Vec<usize> {
            (0..records.rows.len()).filter(|&row| records.rows[row].split == Some(split)).collect()
        };
        Self { train: of(Split::Train), validation: of(Split::Validation), labels: records.labels() }
    }

    fn train_labels(&self) -> Vec<usize> {
        self.train.iter().map(|&row| self.labels[row]).collect()
    }
}

/// A network and its head after an epoch.
struct Tuned {
    weights: Weights,
    head: Head,
    epoch: usize,
    validation_loss: f64,
}

struct Training<'a> {
    params: &'a Finetune,
    network: &'a Network,
    /// Which of the networks of that name it is.
    variant: Variant,
    devices: &'a [ComputeDevice],
    data: &'a Data,
    items: &'a StoredItems<'a>,
    images: &'a Meta,
    job: &'a Job<'a>,
}

impl Training<'_> {
    /// Trains, and gives the network of the epoch that is kept.
    fn run(&self, records: &Records, weights: Weights) -> Result<(Tuned, History), Failure> {
        let params = self.params;
        let mut random = ChaCha8Rng::seed_from_u64(u64::from(params.seed));
        let head = initial(records.classes.len(), self.network.features, &mut random);
        let (mean, std) = params.normalize.mean_and_std();
        let (lr, descent, weight_decay) = match params.optimizer {
            Tuner::Adamw { lr, betas: [Beta(first), Beta(second)], eps, weight_decay } => {
                (lr, Descent::AdamW { betas: (first, second), eps }, weight_decay)
            }
            Tuner::Sgd { lr, momentum: Beta(momentum), weight_decay } => (lr, Descent::Sgd { momentum }, weight_decay),
        };
        let tuning = Tuning {
            descent,
            weight_decay,
            batch_statistics: params.norms == Norms::Batch,
            freeze: params.freeze as usize,
            precision: params.precision.of_network(),
            threads: self.job.threads,
        };
        let mut tuner =
            pipe_nn::Tuner::new(self.network, &weights, &head, PixelScale { mean, std }, &tuning, self.devices);
        drop(weights);
        let class_weights = self.class_weights(records.classes.len());
        let batches = Batches {
            items: self.items,
            rows: &self.data.train,
            labels: &self.data.labels,
            class_weights: &class_weights,
            augment: params.augment,
            dropout: params.dropout,
            features: self.network.features,
            batch_size: params.batch_size as usize,
            seed: u64::from(params.seed),
            threads: self.job.threads,
        };
        let (epochs, steps) = (params.epochs as usize, batches.steps());
        let warmup = (params.warmup_epochs * steps as f64).round() as usize;
        let mut meter = Meter::default();
        let mut history = History::default();
        let mut kept: Option<Tuned> = None;
        for epoch in 0..epochs {
            let mut at = 0;
            let mut failed = None;
            let mut learn = |batch: Batch| {
                let factor = params.schedule.factor(epoch * steps + at, epochs * steps, warmup);
                let done = tuner.step(&Step {
                    pixels: &batch.pixels,
                    size: batch.size,
                    labels: &batch.labels,
                    weights: &batch.weights,
                    dropout: batch.dropout.as_deref(),
                    lr: lr * factor,
                });
                at += 1;
                let rows = self.data.train.len();
                self.job.progress(epoch * rows + (at * batches.batch_size).min(rows), epochs * rows, 0);
                failed = done.err();
                failed.is_none() && self.job.checkpoint().is_ok()
            };
            meter.epoch(&batches, epoch, &mut learn)?;
            self.job.checkpoint()?;
            let seen = failed.map_or_else(|| tuner.seen(), Err);
            let (train_loss, train_accuracy) = seen.map_err(of_device)?.unwrap_or_default();
            if !train_loss.is_finite() {
                return Err(diverged_after(epoch + 1));
            }
            let (weights, head) = (tuner.weights(), tuner.head());
            let held_out = self.validate(&weights, &head)?;
            let values = history.add(Epoch {
                train_loss,
                train_accuracy,
                validation_loss: held_out.map(|(loss, _)| loss),
                validation_accuracy: held_out.map(|(_, accuracy)| accuracy),
            });
            self.job.epoch(epoch + 1, epochs, values);
            let validation_loss = held_out.map_or(f64::INFINITY, |(loss, _)| loss);
            let is_better = kept.as_ref().is_none_or(|kept| validation_loss < kept.validation_loss);
            if params.keep == Keep::Last || is_better {
                kept = Some(Tuned { weights, head, epoch, validation_loss });
            }
        }
        self.job.keep_log(meter.told(epochs * self.data.train.len()).as_bytes())?;
        let kept = kept.ok_or_else(|| Failure::new("pipe::internal", "no epoch was trained"))?;
        Ok((kept, history))
    }

    fn class_weights(&self, classes: usize) -> Vec<f32> {
        let rows = |class: usize| self.data.train.iter().filter(|&&row| self.data.labels[row] == class).count();
        match self.params.class_weight {
            ClassWeight::None => vec![1.0; classes],
            ClassWeight::Balanced => {
                let all = self.data.train.len() as f32 / classes as f32;
                (0..classes).map(|class| all / rows(class).max(1) as f32).collect()
            }
        }
    }

    /// The features of some rows.
    fn apply(&self, weights: &Weights, rows: &[usize]) -> Result<Vec<Vec<u8>>, Failure> {
        let (network, side) = (self.network.clone(), side(self.images, self.network));
        let precision = pipe_nn::Precision::F32;
        let stage = stage(network, weights.clone(), &self.params.normalize, precision, self.devices, side)?;
        run(stage.as_ref(), self.items, rows, self.job)
    }

    /// Loss and accuracy on the validation rows.
    fn validate(&self, weights: &Weights, head: &Head) -> Result<Option<(f64, f64)>, Failure> {
        let rows = &self.data.validation;
        let features: Vec<f32> = self.apply(weights, rows)?.iter().flat_map(|item| decode_features(item)).collect();
        let labels: Vec<usize> = rows.iter().map(|&row| self.data.labels[row]).collect();
        Ok(head.mean_loss(Rows { features: &features, labels: &labels }))
    }

    /// The features of every row, and how they are made.
    fn features(&self, tuned: &Tuned, images: &Collection) -> Result<(Collection, Meta), Failure> {
        let failed = |error| Failure::new("pipe::internal", format!("cannot write the weights: {error}"));
        let digest = self.job.store.put(&tuned.weights.to_safetensors().map_err(failed)?)?;
        let (mean, std) = self.params.normalize.mean_and_std();
        let json = json!({
            "image": images.meta.get("image"),
            "backbone": {
                "model": self.params.model, "weights": { "digest": digest },
                "variant": self.variant, "mean": mean, "std": std,
                "pool": Pool::Own, "precision": Precision::F32,
            },
        });
        let meta = Meta { json, parts: BTreeMap::from([("backbone".to_owned(), digest)]) };
        let rows: Vec<usize> = (0..images.items.len()).collect();
        let mut writer = self.job.store.item_writer();
        let mut items = Vec::with_capacity(rows.len());
        for (features, image) in self.apply(&tuned.weights, &rows)?.into_iter().zip(&images.items) {
            let key = |part: &str| {
                let how = Digest::of(meta.json.to_string().as_bytes());
                Hasher::default().update(part.as_bytes()).update(how.as_bytes()).update(image.as_bytes()).finish()
            };
            items.push(writer.put(key("train.finetune"), &features)?);
        }
        writer.finish()?;
        let Collection { records, skipped, .. } = images.clone();
        let collection = Collection { records, items, meta: meta.json.clone(), skipped, parts: meta.parts.clone() };
        Ok((collection, meta))
    }
}

fn of_device(failure: DeviceFailure) -> Failure {
    let told = Failure::new("pipe::device", failure.to_string());
    match failure {
        DeviceFailure::OutOfMemory => told.param("batch_size").help("lower `batch_size`, or run with --device cpu"),
        DeviceFailure::Other(_) => told.help("`pipe doctor` tries the device; --device cpu does without it"),
    }
}

/// How long training waited for photos.
#[derive(Default)]
struct Meter {
    waiting: Duration,
    working: Duration,
}

impl Meter {
    /// Goes through an epoch: one thread puts batches together, this one learns from them.
    fn epoch(
        &mut self,
        batches: &Batches<'_>,
        epoch: usize,
        learn: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<(), Failure> {
        let (send, receive) = sync_channel(WAITING);
        thread::scope(|scope| {
            let loader = scope.spawn(move || batches.each(epoch, &mut |batch| send.send(batch).is_ok()));
            let mut since = Instant::now();
            for batch in &receive {
                self.waiting += since.elapsed();
                since = Instant::now();
                let go_on = learn(batch);
                self.working += since.elapsed();
                if !go_on {
                    break;
                }
                since = Instant::now();
            }
            drop(receive);
            loader
                .join()
                .unwrap_or_else(|_| Err(Failure::new("pipe::internal", "the thread that reads photos panicked")))
        })
    }

    fn told(&self, photos: usize) -> String {
        let all = (self.waiting + self.working).as_secs_f64().max(f64::EPSILON);
        let waiting = 100.0 * self.waiting.as_secs_f64() / all;
        format!(
            "{photos} photos in {all:.1} s, {:.0} a second; training {:.0} % of the time, waiting for photos {waiting:.0} %\n",
            photos as f64 / all,
            100.0 - waiting
        )
    }
}
