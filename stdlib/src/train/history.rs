//! What the epochs of training gave, as `metrics`.

use std::collections::BTreeMap;

use pipe_core::{Artifact, Document};
use pipe_nn::Epoch;
use serde_json::json;

/// What each epoch gave, in their order.
#[derive(Debug, Default)]
pub(super) struct History(Vec<BTreeMap<String, f64>>);

impl History {
    /// Adds an epoch and gives its values by name.
    pub(super) fn add(&mut self, epoch: Epoch) -> BTreeMap<String, f64> {
        let all = [
            ("loss", Some(epoch.train_loss)),
            ("accuracy", Some(epoch.train_accuracy)),
            ("val_loss", epoch.validation_loss),
            ("val_accuracy", epoch.validation_accuracy),
        ];
        let values: BTreeMap<String, f64> =
            all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        self.0.push(values.clone());
        values
    }

    pub(super) fn epochs(&self) -> usize {
        self.0.len()
    }

    /// The values of one epoch at the top level, those of every epoch beside them.
    pub(super) fn artifact(&self, epoch: usize) -> Artifact {
        let mut columns: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, &value) in self.0.iter().flatten() {
            columns.entry(name).or_default().push(value);
        }
        let mut json = json!(self.0.get(epoch));
        json["epochs"] = json!(columns);
        Artifact::Document(Document { json, parts: BTreeMap::new() })
    }
}
