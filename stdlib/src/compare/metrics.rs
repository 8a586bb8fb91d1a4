//! `compare.metrics`.

use std::collections::BTreeMap;

use pipe_core::{Artifact, Document, Failure, Files, Inputs, Job, Kind, Whole, table};
use pipe_spec::{Many, types};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::plot::{self, Point};

/// Puts metrics side by side, the best first.
///
/// `from: "eval[*]"` compares a node under every value of its matrix; a list or a mapping compares any
/// nodes that give metrics. The first output says which is the best, with a table of all;
/// `files` holds the table as `comparison.csv` and a plot as `comparison.svg`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareMetrics {
    /// The metric that decides: `accuracy`, or with dots one further inside, `validation.loss`.
    pub metric: String,
    /// What is better.
    pub goal: Goal,
}

impl Default for CompareMetrics {
    fn default() -> Self {
        Self { metric: "accuracy".to_owned(), goal: Goal::Auto }
    }
}

/// What is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Less, of metrics whose names hold `loss` or `error`; more, of all others.
    #[default]
    Auto,
    /// More.
    Max,
    /// Less.
    Min,
}

impl Kind for CompareMetrics {
    const NAME: &'static str = "compare.metrics";
    const VERSION: u32 = 1;
    type Inputs = Many<types::Metrics>;
    const INPUTS: &'static [&'static str] = &["metrics"];
    type Outputs = (types::Metrics, types::Files);
    const OUTPUTS: &'static [&'static str] = &["comparison", "files"];
}

/// One of the results.
struct Row<'a> {
    label: &'a str,
    value: f64,
    metrics: Map<String, Value>,
}

impl Whole for CompareMetrics {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let mut rows = Vec::new();
        for (label, name) in inputs.many("metrics") {
            let document = &inputs.document(name)?.json;
            let value = self.metric.split('.').try_fold(document, |json, key| json.get(key)).and_then(Value::as_f64);
            let numbers = document.as_object().into_iter().flatten().filter(|(_, value)| value.is_f64());
            let metrics: Map<String, Value> = numbers.map(|(name, value)| (name.clone(), value.clone())).collect();
            let value = value.ok_or_else(|| {
                let names: Vec<String> = metrics.keys().map(|name| format!("`{name}`")).collect();
                Failure::new("pipe::data", format!("the metrics of `{label}` have no number `{}`", self.metric))
                    .param("metric")
                    .help(format!("they have {}", names.join(", ")))
            })?;
            rows.push(Row { label, value, metrics });
        }
        let less = match self.goal {
            Goal::Auto => self.metric.contains("loss") || self.metric.contains("error"),
            Goal::Max => false,
            Goal::Min => true,
        };
        rows.sort_by(
            |one, other| if less { one.value.total_cmp(&other.value) } else { other.value.total_cmp(&one.value) },
        );
        let best = rows.first().ok_or_else(|| Failure::new("pipe::data", "there is nothing to compare"))?;
        let mut json = json!({ "best": best.label, "metric": self.metric, "goal": if less { "min" } else { "max" } });
        json[&self.metric] = json!(best.value);
        json["comparison"] = rows.iter().map(|row| self.json(row)).collect();
        let comparison = Artifact::Document(Document { json, parts: BTreeMap::new() });
        let mut files = BTreeMap::new();
        if let Some(csv) = table(&comparison).and_then(|table| table.to_csv()) {
            files.insert("comparison.csv".to_owned(), job.store.put(&csv)?);
        }
        let points: Vec<Point<'_>> = rows.iter().map(|row| Point { label: row.label, value: row.value }).collect();
        files.insert("comparison.svg".to_owned(), job.store.put(plot::svg(&self.metric, &points).as_bytes())?);
        Ok(vec![comparison, Artifact::Files(Files { files })])
    }
}

impl CompareMetrics {
    /// A row of the table: the values of the matrix, the metric that decides, then the others.
    fn json(&self, row: &Row<'_>) -> Value {
        let mut json = Map::new();
        for part in row.label.split(',') {
            let (axis, value) = part.split_once('=').unwrap_or(("node", part));
            json.insert(axis.to_owned(), value.into());
        }
        json.insert(self.metric.clone(), row.value.into());
        let others = row.metrics.iter().filter(|(name, _)| **name != self.metric);
        json.extend(others.map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(json)
    }
}
