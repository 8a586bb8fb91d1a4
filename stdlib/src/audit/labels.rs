//! `audit.labels`.

use std::collections::BTreeMap;

use pipe_core::{Artifact, Document, Failure, Inputs, Job, Kind, Split, Whole};
use pipe_spec::types;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Finds items whose label is probably wrong, the most certain first.
///
/// Confident learning: an item is suspect where the model predicts another class than its label and
/// is at least as sure of it as it is, on average, of the items with that label. Rows that the model
/// was trained on are left out unless asked for: it has learned their labels, right or wrong.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditLabels {
    /// The rows that are looked at.
    pub splits: Vec<Split>,
}

impl Default for AuditLabels {
    fn default() -> Self {
        Self { splits: vec![Split::Validation, Split::Test] }
    }
}

impl Kind for AuditLabels {
    const NAME: &'static str = "audit.labels";
    const VERSION: u32 = 1;
    type Inputs = types::Predictions;
    const INPUTS: &'static [&'static str] = &["predictions"];
    type Outputs = types::Report;
    const OUTPUTS: &'static [&'static str] = &["report"];
}

/// One row of predictions.
#[derive(Deserialize)]
struct Row {
    #[serde(rename = "objectId")]
    id: String,
    value: String,
    #[serde(rename = "type")]
    split: Option<Split>,
    probabilities: Vec<f64>,
}

impl Whole for AuditLabels {
    fn run(&self, inputs: &Inputs<'_>, _: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let json = &inputs.document("predictions")?.json;
        let not_predictions = |_| Failure::new("pipe::data", "the input does not hold a classifier's predictions");
        let classes: Vec<String> = serde_json::from_value(json["classes"].clone()).map_err(not_predictions)?;
        let mut rows: Vec<Row> = serde_json::from_value(json["rows"].clone()).map_err(not_predictions)?;
        rows.retain(|row| row.split.is_some_and(|split| self.splits.contains(&split)));
        let labels: Option<Vec<usize>> =
            rows.iter().map(|row| classes.iter().position(|class| *class == row.value)).collect();
        let labels = labels.filter(|labels| !labels.is_empty()).ok_or_else(|| {
            Failure::new("pipe::data", "there are no predictions to look at")
                .param("splits")
                .help("give the split node larger shares, or name other splits")
        })?;
        let probabilities: Vec<&[f64]> = rows.iter().map(|row| row.probabilities.as_slice()).collect();
        let suspects: Vec<Value> = suspects(&labels, &probabilities, classes.len())
            .into_iter()
            .map(|Suspect { row, class }| {
                let (row, label) = (&rows[row], labels[row]);
                json!({
                    "objectId": row.id, "value": row.value, "type": row.split, "suggested": classes[class],
                    "p(value)": row.probabilities[label], "p(suggested)": row.probabilities[class],
                })
            })
            .collect();
        let json = json!({ "rows_looked_at": rows.len(), "suspects_found": suspects.len(), "suspects": suspects });
        Ok(vec![Artifact::Document(Document { json, parts: BTreeMap::new() })])
    }
}

/// A row whose label is probably wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Its index.
    pub row: usize,
    /// The class that it probably has.
    pub class: usize,
}

/// The rows whose class index in `labels` is probably wrong, by `probabilities` `[rows][classes]`.
///
/// They are those off the diagonal of the confident joint whose label is not the most probable class, by
/// rising probability of their label (Northcutt, Jiang and Chuang, "Confident Learning", JAIR 70,
/// 2021; cleanlab's `filter_by="confident_learning"`, `rank_by="self_confidence"`).
pub fn suspects(labels: &[usize], probabilities: &[&[f64]], classes: usize) -> Vec<Suspect> {
    let thresholds: Vec<f64> = (0..classes)
        .map(|class| {
            let of_class = labels.iter().zip(probabilities).filter(|(label, _)| **label == class);
            let (sum, count) = of_class.fold((0.0, 0), |(sum, count), (_, row)| (sum + row[class], count + 1));
            // A class that no row is labelled as is never suggested.
            if count == 0 { f64::INFINITY } else { sum / f64::from(count) }
        })
        .collect();
    let most = |row: &[f64], among: &dyn Fn(usize) -> bool| {
        (0..classes).rev().filter(|&class| among(class)).max_by(|&one, &other| row[one].total_cmp(&row[other]))
    };
    let mut found: Vec<Suspect> = (0..labels.len())
        .filter_map(|row| {
            let each = probabilities[row];
            // Rounding must not keep a row out that lies on the threshold.
            let class = most(each, &|class| each[class] >= thresholds[class] - 1e-6)?;
            (class != labels[row] && most(each, &|_| true) != Some(labels[row])).then_some(Suspect { row, class })
        })
        .collect();
    found.sort_by(|one, other| {
        let confidence = |suspect: &Suspect| probabilities[suspect.row][labels[suspect.row]];
        confidence(one).total_cmp(&confidence(other))
    });
    found
}
