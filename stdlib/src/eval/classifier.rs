//! `eval.classifier`.

use std::collections::BTreeMap;

use pipe_core::{Artifact, Demand, Document, Failure, Inputs, Job, Kind, Split, Whole};
use pipe_spec::types;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::metrics::{Metrics, predicted};
use crate::features::decode_features;
use crate::train::read_head;

/// Applies a model to features and tells how good it is.
///
/// Accuracy, loss, confusion matrix, precision, recall, F1 and ROC AUC: the test rows' at the top
/// level, those of train and validation beside them. The second output, `predictions`, holds every
/// row's probabilities.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalClassifier {}

impl Kind for EvalClassifier {
    const NAME: &'static str = "eval.classifier";
    const VERSION: u32 = 1;
    type Inputs = (types::Model, types::Features);
    const INPUTS: &'static [&'static str] = &["model", "data"];
    type Outputs = (types::Metrics, types::Predictions);
    const OUTPUTS: &'static [&'static str] = &["metrics", "predictions"];

    fn demand(&self) -> Demand {
        Demand::Cores
    }
}

impl Whole for EvalClassifier {
    fn run(&self, inputs: &Inputs<'_>, _: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let (head, classes) = read_head(inputs, "model")?;
        let rows = &inputs.collection("data")?.records.rows;
        let mut labels = Vec::with_capacity(rows.len());
        for row in rows {
            let class = classes.iter().position(|class| *class == row.value);
            labels.push(class.ok_or_else(|| {
                let message = format!("`{}` has the label `{}`, which the model does not know", row.id, row.value);
                Failure::new("pipe::data", message).help("train the model on the same classes")
            })?);
        }
        let of_item = |_, item: Vec<u8>| {
            let features: Vec<f32> = decode_features(&item).collect();
            (features.len() == head.features).then(|| head.probabilities(&features))
        };
        let each: Option<Vec<Vec<f64>>> = inputs.map_items("data", of_item)?.into_iter().collect();
        let probabilities = each.map(|each| each.concat()).ok_or_else(|| {
            let message = format!("the model takes {} features, the data has another number", head.features);
            Failure::new("pipe::data", message).help("evaluate with the features that it was trained on")
        })?;
        let of_split = |split: Split| -> Option<Value> {
            let chosen: Vec<usize> = (0..rows.len()).filter(|&row| rows[row].split == Some(split)).collect();
            let labels: Vec<usize> = chosen.iter().map(|&row| labels[row]).collect();
            let chosen = chosen.iter().flat_map(|&row| &probabilities[row * classes.len()..(row + 1) * classes.len()]);
            let probabilities: Vec<f64> = chosen.copied().collect();
            (!labels.is_empty()).then(|| json!(Metrics::new(&labels, &probabilities, classes.len())))
        };
        let mut metrics = of_split(Split::Test).ok_or_else(|| {
            Failure::new("pipe::data", "there are no test rows").help("give the split node a larger `test`")
        })?;
        metrics["classes_order"] = json!(classes);
        metrics["validation"] = json!(of_split(Split::Validation));
        metrics["train"] = json!(of_split(Split::Train));
        let table: Vec<Value> = rows
            .iter()
            .zip(probabilities.chunks_exact(classes.len()))
            .map(|(row, each)| {
                let predicted = &classes[predicted(each)];
                json!({ "objectId": row.id, "value": row.value, "type": row.split, "predicted": predicted, "probabilities": each })
            })
            .collect();
        let document = |json| Artifact::Document(Document { json, parts: BTreeMap::new() });
        let mut predictions = json!({ "classes": classes });
        // Moved in: `json!` would copy it.
        predictions["rows"] = Value::Array(table);
        Ok(vec![document(metrics), document(predictions)])
    }
}
