//! Runs a pipeline and records the run.

use std::collections::BTreeMap;
use std::time::Instant;

use petgraph::graph::NodeIndex;
use pipe_lang::Problems;
use pipe_store::StoreError;

use crate::graph::Graph;
use crate::history::{self, Last, LastNode, NodeRecord, NodeResult, Run};
use crate::scheduler::{Scheduled, Scheduler};
use crate::{Change, Context, Event, Failure, NodeStatus, Options, export};

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Whether every node gave its outputs.
    pub ok: bool,
    /// Whether it was stopped.
    pub interrupted: bool,
    /// The nodes that failed.
    pub failures: Vec<(NodeIndex, Failure)>,
    /// Why the run could not be recorded.
    pub unrecorded: Option<StoreError>,
}

/// Runs a pipeline and records the run. `on_event` hears everything, in order.
///
/// # Errors
/// Params that do not fit one another. All that goes wrong later is in the [`Outcome`].
pub fn run(context: Context<'_>, options: &Options, mut on_event: impl FnMut(&Event)) -> Result<Outcome, Problems> {
    let (began, time, id) = (Instant::now(), history::now(), history::new_run_id());
    let _in_use = context.store.lock_use();
    let graph = Graph::new(context, &options.targets)?;
    let names = graph.pipeline.graph.node_indices().filter(|&index| graph.takes_part(index));
    let names = names.map(|index| graph.name(index).to_owned()).collect();
    on_event(&Event::Started { pipeline: context.pipeline.name.clone(), nodes: names });
    let Scheduled { mut reports, mut failures, results } = Scheduler::new(&graph, options, &mut on_event).all();
    for (&index, result) in &results {
        for wanted in &context.pipeline.graph[index].exports {
            if let Err(failure) = export::leave(&graph, wanted, result) {
                if let Some(report) = reports.get_mut(&index) {
                    report.status = NodeStatus::Failed;
                    report.reason = Some(failure.message().to_owned());
                }
                failures.push((index, failure));
            }
        }
    }
    for index in graph.pipeline.graph.node_indices().filter(|&index| graph.takes_part(index)) {
        if let Some(reason) = graph.blocked(index) {
            let failure = Failure::new("pipe::switched_off", reason);
            failures.push((index, failure.help("give it the same `when`, or take its input from another node")));
        }
    }
    let ok = failures.is_empty() && reports.values().all(|report| report.status.is_done());
    let count = |wanted: &[NodeStatus]| reports.values().filter(|report| wanted.contains(&report.status)).count();
    let reused = count(&[NodeStatus::Reused]);
    let seconds = began.elapsed().as_secs_f64();
    let by_name = |index: &NodeIndex| graph.name(*index).to_owned();
    let nodes: BTreeMap<String, NodeResult> =
        results.iter().map(|(index, result)| (by_name(index), result.clone())).collect();
    let ran = reports.iter().filter(|(_, report)| report.status != NodeStatus::Reused);
    let record = || {
        let run = Run {
            id: id.clone(),
            time: time.clone(),
            pipeline: context.pipeline.name.clone(),
            file: context.file.to_owned(),
            given: options.given.clone(),
            params: context.pipeline.params.clone(),
            environment: context.pipeline.environment.clone(),
            device: options.device.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ok,
            seconds,
            reused,
            ran: ran.map(|(index, report)| (by_name(index), report.clone())).collect(),
            nodes: history::put_run_nodes(context.store, &nodes)?,
        };
        history::put_run(context.store, &run)?;
        let now = results.iter().map(|(&index, result)| {
            let changes = changes(&graph, index, result);
            (graph.name(index).to_owned(), LastNode { result: result.clone(), changes })
        });
        let now = Last { given: options.given.clone(), nodes: now.collect() };
        history::put_last(context.store, context.file, context.last, now)
    };
    let unrecorded = record().err();
    on_event(&Event::Finished {
        ok,
        ran: count(&[NodeStatus::Ran, NodeStatus::Unchanged]),
        reused,
        seconds: began.elapsed().as_secs_f64(),
        nodes: reports.iter().map(|(index, report)| (by_name(index), report.clone())).collect(),
    });
    Ok(Outcome { ok, interrupted: options.interrupt.is_set(), failures, unrecorded })
}

/// What differs between what decided a node's result and what decided it in the last run.
fn changes(graph: &Graph<'_>, index: NodeIndex, result: &NodeResult) -> Vec<Change> {
    let before = graph.last_result(index).filter(|before| before.key != result.key);
    let manifest = |key| history::node_record(graph.store, key).map(|NodeRecord { manifest, .. }| manifest);
    let both = before.and_then(|before| Some((manifest(before.key)?, manifest(result.key)?)));
    both.map(|(before, now)| now.changes_since(&before)).unwrap_or_default()
}
