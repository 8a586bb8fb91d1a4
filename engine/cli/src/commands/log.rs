//! `pipe log`.

use std::collections::BTreeMap;

use pipe_core::{NodeResult, NodeStatus, Run, pins, run_nodes};
use pipe_store::Store;
use serde_json::{Value, json};

use crate::args::{Format, LogArgs};
use crate::number::{count, seconds};
use crate::project::{Place, split_words};
use crate::{Program, Stop, diagnostic, output, table};

/// Metrics that the list shows.
const SHOWN: [&str; 2] = ["accuracy", "loss"];

pub(crate) fn log(program: &Program, args: &LogArgs) -> Result<(), Stop> {
    let (file, _) = split_words(program, &args.file.words);
    let place = Place::of(&file).map_err(|error| diagnostic::unusable(&error))?;
    let mut runs = super::runs::of_file(&place.store, if args.all { None } else { Some(&place.id) });
    runs.truncate(args.runs);
    if args.format == Format::Json {
        let runs: Vec<Value> = runs.iter().map(|run| as_json(&place.store, run)).collect();
        return output::result(&format!("{:#}\n", json!(runs)));
    }
    if runs.is_empty() {
        return output::result("no runs yet\n");
    }
    let pins = pins(&place.store);
    let rows = runs.iter().map(|run| {
        let mut row = row(&place.store, run);
        if pins.contains(&run.id) {
            row[1].push_str(", pinned");
        }
        if args.all {
            row.insert(1, run.pipeline.clone());
        }
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let mut header = vec!["run", "", "ran", "reused", "took", "settings", "metrics"];
    if args.all {
        header.insert(1, "pipeline");
    }
    output::result(&table::table(&header, &rows))
}

fn row(store: &Store, run: &Run) -> Vec<String> {
    let ran = run.ran.values().filter(|report| report.status.is_done()).count();
    let metrics = metrics(store, run);
    let mut shown = Vec::new();
    for name in SHOWN {
        // The first node in the order of names that has it: evaluation comes before training.
        let found = metrics.iter().find(|(metric, _)| metric.rsplit('.').next() == Some(name));
        shown.extend(found.map(|(_, value)| format!("{name} {value:.4}")));
    }
    vec![
        run.id.clone(),
        ending(run).to_owned(),
        count(ran),
        count(run.reused),
        seconds(run.seconds),
        run.given.words().join(" "),
        shown.join("  "),
    ]
}

/// `ok`, `failed` or `interrupted`.
pub(super) fn ending(run: &Run) -> &'static str {
    let interrupted = run.ran.values().any(|report| report.status == NodeStatus::Interrupted);
    match (run.ok, interrupted) {
        (true, _) => "ok",
        (false, true) => "interrupted",
        (false, false) => "failed",
    }
}

/// Every metric of a run as `node.metric`.
pub(super) fn metrics(store: &Store, run: &Run) -> BTreeMap<String, f64> {
    run_nodes(store, run).map(|nodes| metrics_of(&nodes)).unwrap_or_default()
}

fn metrics_of(nodes: &BTreeMap<String, NodeResult>) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for (node, result) in nodes {
        metrics.extend(result.metrics.iter().map(|(metric, &value)| (format!("{node}.{metric}"), value)));
    }
    metrics
}

pub(super) fn as_json(store: &Store, run: &Run) -> Value {
    let mut value = json!(run);
    let nodes = run_nodes(store, run);
    value["metrics"] = json!(nodes.as_ref().map(metrics_of).unwrap_or_default());
    value["nodes"] = json!(nodes);
    value["pinned"] = json!(pins(store).contains(&run.id));
    value
}
