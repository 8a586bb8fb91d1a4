//! A training, from the first step to what is kept of it.

use std::collections::BTreeMap;

use pipe_core::{Collection, Failure, Job, Meta, Records, Split, StoredItems};
use pipe_network::{Network, Weights};
use pipe_nn::{ComputeDevice, Descent, Epoch, Evaluation, Head, PixelScale, Rows, Step, Tuning};
use pipe_store::{Digest, Hasher};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde_json::json;

use super::meter::Meter;
use super::params::{ClassWeight, Finetune, Keep, Norms, Tuner};
use crate::features::{Pool, Precision, Variant, decode_features, run, side, stage};
use crate::train::batches::{Batch, Batches};
use crate::train::failure::of_device;
use crate::train::frozen::Frozen;
use crate::train::head::{Beta, diverged_after, initial};
use crate::train::history::History;

/// Photos whose features are in memory at once, at most.
const CHUNK: usize = 4096;

/// What gets features with their rows.
type Take<'a> = dyn FnMut(&[usize], Vec<Vec<u8>>) -> Result<(), Failure> + 'a;

/// The rows by what they are for, as numbers of items.
pub(super) struct Data {
    pub(super) train: Vec<usize>,
    pub(super) validation: Vec<usize>,
    labels: Vec<usize>,
}

impl Data {
    pub(super) fn new(records: &Records) -> Self {
        let of = |split: Split| -> Vec<usize> {
            (0..records.rows.len()).filter(|&row| records.rows[row].split == Some(split)).collect()
        };
        Self { train: of(Split::Train), validation: of(Split::Validation), labels: records.labels() }
    }

    pub(super) fn train_labels(&self) -> Vec<usize> {
        self.train.iter().map(|&row| self.labels[row]).collect()
    }
}

/// A network and its head after an epoch.
pub(super) struct Tuned {
    weights: Weights,
    pub(super) head: Head,
    /// From 0.
    pub(super) epoch: usize,
    validation_loss: f64,
}

/// All that a training is made of.
pub(super) struct Training<'a> {
    pub(super) params: &'a Finetune,
    pub(super) network: &'a Network,
    /// Which of the networks of that name it is.
    pub(super) variant: Variant,
    pub(super) devices: &'a [ComputeDevice],
    pub(super) data: &'a Data,
    pub(super) items: &'a StoredItems<'a>,
    pub(super) images: &'a Meta,
    pub(super) job: &'a Job<'a>,
}

impl Training<'_> {
    /// Trains, and gives the network of the epoch that is kept.
    pub(super) fn run(&self, records: &Records, weights: Weights) -> Result<(Tuned, History), Failure> {
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
        let frozen = self.frozen(&weights);
        let (network, tuning) = match &frozen {
            Some(frozen) => (&frozen.rest, Tuning { freeze: 0, ..tuning }),
            None => (self.network, tuning),
        };
        let mut tuner = pipe_nn::Tuner::new(network, &weights, &head, PixelScale { mean, std }, &tuning, self.devices);
        drop(weights);
        let class_weights = self.class_weights(records.classes.len());
        let batches = Batches {
            items: self.items,
            rows: &self.data.train,
            labels: &self.data.labels,
            class_weights: &class_weights,
            augment: params.augment,
            dropout: params.dropout,
            network: self.network,
            frozen: frozen.as_ref(),
            batch_size: params.batch_size as usize,
            seed: u64::from(params.seed),
            threads: self.job.threads,
        };
        let (epochs, steps) = (params.epochs as usize, batches.steps());
        let warmup = (params.warmup_epochs * steps as f64).round() as usize;
        let mut meter = Meter::new(self.devices);
        let mut history = History::default();
        let mut kept: Option<Tuned> = None;
        for epoch in 0..epochs {
            let mut at = 0;
            let mut failed = None;
            let mut learn = |batch: Batch| {
                let factor = params.schedule.factor(epoch * steps + at, epochs * steps, warmup);
                let done = tuner.step(&Step {
                    images: batch.images(),
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
            meter.epoch(&batches, epoch, self.job, &mut learn)?;
            self.job.checkpoint()?;
            let seen = failed.map_or_else(|| tuner.seen(), Err);
            let (train_loss, train_accuracy) = seen.map_err(of_device)?.unwrap_or_default();
            if !train_loss.is_finite() {
                return Err(diverged_after(epoch + 1));
            }
            let (weights, head) = (tuner.weights(), tuner.head());
            let weights = match &frozen {
                Some(frozen) => frozen.with(weights),
                None => weights,
            };
            let held_out = self.validate(&weights, &head)?;
            // The losses above are those before each step; the last one may have gone too far.
            let is_finite = head.weight.iter().chain(&head.bias).all(|number| number.is_finite());
            if !is_finite || held_out.is_some_and(|(loss, _)| !loss.is_finite()) {
                return Err(diverged_after(epoch + 1));
            }
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

    /// The blocks that stay as they are, where they need not go through training: on the CPU.
    fn frozen(&self, weights: &Weights) -> Option<Frozen> {
        let params = self.params;
        let side = side(self.images, self.network);
        let frozen = || Frozen::new(self.network, weights, &params.normalize, params.freeze as usize, side);
        (self.devices == [ComputeDevice::Cpu]).then(frozen).flatten()
    }

    /// Gives the features of some rows to `take`, in their order, with the rows: not all at once.
    fn apply(&self, weights: &Weights, rows: &[usize], take: &mut Take<'_>) -> Result<(), Failure> {
        let (network, side) = (self.network.clone(), side(self.images, self.network));
        let precision = pipe_nn::Precision::F32;
        let stage = stage(network, weights.clone(), &self.params.normalize, precision, self.devices, side)?;
        rows.chunks(CHUNK).try_for_each(|rows| take(rows, run(stage.as_ref(), self.items, rows, self.job)?))
    }

    /// Loss and accuracy on the validation rows.
    fn validate(&self, weights: &Weights, head: &Head) -> Result<Option<(f64, f64)>, Failure> {
        if self.data.validation.is_empty() {
            // No network need be put on a device for nothing.
            return Ok(None);
        }
        let mut evaluation = Evaluation::of(head);
        self.apply(weights, &self.data.validation, &mut |rows, items| {
            let features: Vec<f32> = items.iter().flat_map(|item| decode_features(item)).collect();
            let labels: Vec<usize> = rows.iter().map(|&row| self.data.labels[row]).collect();
            evaluation.add(Rows { features: &features, labels: &labels });
            Ok(())
        })?;
        Ok(evaluation.means())
    }

    /// The features of every row, and how they are made.
    pub(super) fn features(&self, tuned: &Tuned, images: &Collection) -> Result<(Collection, Meta), Failure> {
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
        let how = Digest::of(meta.json.to_string().as_bytes());
        let key = |image: &Digest| {
            Hasher::default().update(b"train.finetune").update(how.as_bytes()).update(image.as_bytes()).finish()
        };
        let rows: Vec<usize> = (0..images.items.len()).collect();
        let mut writer = self.job.store.item_writer();
        let mut items = Vec::with_capacity(rows.len());
        self.apply(&tuned.weights, &rows, &mut |rows, features| {
            for (features, &row) in features.iter().zip(rows) {
                items.push(writer.put(key(&images.items[row]), features)?);
            }
            Ok(())
        })?;
        writer.finish()?;
        let Collection { records, skipped, .. } = images.clone();
        let collection = Collection { records, items, meta: meta.json.clone(), skipped, parts: meta.parts.clone() };
        Ok((collection, meta))
    }
}
