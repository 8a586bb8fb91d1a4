//! Runs what the plan says: independent nodes side by side, within the machine's slots.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use petgraph::graph::NodeIndex;
use pipe_lang::{Pipeline, Problems};
use pipe_spec::ArtifactType;
use pipe_store::{Digest, Store};

use crate::history::{self, NodeRecord, Run, RunNode};
use crate::kind::Demand;
use crate::plan::{Graph, Known, encode};
use crate::work::{Done, work};
use crate::{Artifact, Device, Event, Failure, Interrupt, Job, Kinds, Manifest, NodeReport, NodeStatus};

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only these nodes and what they need; all when empty.
    pub targets: Vec<NodeIndex>,
    /// The device to compute on.
    pub device: Device,
    /// Threads to use in all.
    pub threads: usize,
    /// Whether nodes that do not need a failed one still run.
    pub keep_going: bool,
    /// Stops the run when set.
    pub interrupt: Interrupt,
    /// What the run is recorded under: the file's place relative to the store.
    pub file: String,
    /// The settings given with `--set`, for the record.
    pub settings: Vec<String>,
    /// The folder that relative paths in the settings start at.
    pub here: String,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Whether every node gave its outputs.
    pub ok: bool,
    /// Whether it was stopped.
    pub interrupted: bool,
    /// The nodes that failed.
    pub failures: Vec<(NodeIndex, Failure)>,
}

/// What came of a node's work.
struct Finished {
    index: NodeIndex,
    /// A chain's failure names the stage that it belongs to.
    result: Result<Done, (NodeIndex, Failure)>,
    seconds: f64,
}

enum Message {
    Event(Event),
    Finished(Box<Finished>),
}

/// Runs a pipeline and records the run. `on_event` hears everything, in order.
///
/// # Errors
/// Params that do not fit one another. All that goes wrong later is in the [`Outcome`].
pub fn run(
    pipeline: &Pipeline,
    kinds: &Kinds,
    store: &Store,
    options: &Options,
    mut on_event: impl FnMut(&Event),
) -> Result<Outcome, Problems> {
    let began = Instant::now();
    let graph = Graph::new(pipeline, kinds, store, &options.targets)?;
    let names = graph.needed.iter().map(|&index| graph.name(index).to_owned()).collect();
    on_event(&Event::Started { pipeline: pipeline.name.clone(), nodes: names });
    let mut scheduler = Scheduler {
        graph: &graph,
        options,
        known: vec![Known::default(); pipeline.graph.node_count()],
        manifests: BTreeMap::new(),
        reports: BTreeMap::new(),
        failures: Vec::new(),
        running: BTreeMap::new(),
        last: history::last_run(store, &options.file),
        computed_at: BTreeMap::new(),
        on_event: &mut on_event,
    };
    scheduler.all();
    let Scheduler { known, manifests, reports, failures, computed_at, last, .. } = scheduler;
    let before = |index: NodeIndex| last.as_ref()?.nodes.get(graph.name(index))?.manifest.as_ref();
    let ok = reports.values().all(|report| report.status.is_done());
    let count = |wanted: &[NodeStatus]| reports.values().filter(|report| wanted.contains(&report.status)).count();
    let nodes = reports.iter().map(|(&index, report)| (graph.name(index).to_owned(), report.clone())).collect();
    let record = Run {
        id: format!("{}-{}", history::now().replace([':', '-'], ""), std::process::id()),
        pipeline: pipeline.name.clone(),
        settings: options.settings.clone(),
        here: options.here.clone(),
        params: pipeline.params.clone(),
        device: options.device.to_string(),
        ok,
        seconds: began.elapsed().as_secs_f64(),
        nodes: reports
            .iter()
            .map(|(&index, report)| {
                let node = RunNode {
                    status: report.status,
                    manifest: manifests.get(&index).cloned(),
                    outputs: known[index.index()].outputs.clone(),
                    computed_at: computed_at.get(&index).cloned(),
                    changes: manifests
                        .get(&index)
                        .zip(before(index))
                        .map(|(now, before)| now.changes_since(before))
                        .unwrap_or_default(),
                };
                (graph.name(index).to_owned(), node)
            })
            .collect(),
    };
    let mut outcome = Outcome { ok, interrupted: options.interrupt.is_set(), failures };
    if let (Err(error), Some(&first)) = (history::record_run(store, &options.file, &record), graph.needed.first()) {
        outcome.ok = false;
        outcome.failures.push((first, error.into()));
    }
    on_event(&Event::Finished {
        ok: outcome.ok,
        ran: count(&[NodeStatus::Ran, NodeStatus::Unchanged]),
        reused: count(&[NodeStatus::Reused]),
        seconds: began.elapsed().as_secs_f64(),
        nodes,
    });
    Ok(outcome)
}

struct Scheduler<'a> {
    graph: &'a Graph<'a>,
    options: &'a Options,
    known: Vec<Known>,
    manifests: BTreeMap<NodeIndex, Manifest>,
    reports: BTreeMap<NodeIndex, NodeReport>,
    failures: Vec<(NodeIndex, Failure)>,
    /// What each running node holds: threads, and whether the device.
    running: BTreeMap<NodeIndex, (usize, bool)>,
    last: Option<Run>,
    computed_at: BTreeMap<NodeIndex, String>,
    on_event: &'a mut dyn FnMut(&Event),
}

impl<'a> Scheduler<'a> {
    fn all(&mut self) {
        let (send, receive) = channel();
        thread::scope(|scope| {
            loop {
                self.start_ready(scope, &send);
                if self.running.is_empty() {
                    break;
                }
                // Only a node that is done makes others ready; events alone change nothing. The
                // sender lives as long as this loop, so a message always comes.
                for message in &receive {
                    match message {
                        Message::Event(event) => (self.on_event)(&event),
                        Message::Finished(finished) => {
                            self.finished(*finished);
                            break;
                        }
                    }
                }
            }
        });
        for index in self.graph.needed.clone() {
            if !self.reports.contains_key(&index) {
                self.report(index, NodeReport::new(NodeStatus::Interrupted, None, 0.0));
            }
        }
    }

    /// Settles and starts nodes until nothing more can be started.
    fn start_ready<'scope>(&mut self, scope: &'scope thread::Scope<'scope, 'a>, send: &Sender<Message>)
    where
        'a: 'scope,
    {
        let order: Vec<_> =
            self.graph.pipeline.order().into_iter().filter(|index| self.graph.needed.contains(index)).collect();
        for index in order {
            if self.reports.contains_key(&index) || self.running.contains_key(&index) || self.options.interrupt.is_set()
            {
                continue;
            }
            let inputs = self.graph.pipeline.inputs(index);
            let failed = inputs
                .iter()
                .find(|(_, from, _)| self.reports.get(from).is_some_and(|report| !report.status.is_done()));
            if let Some((_, from, _)) = failed {
                let reason = self.graph.name(*from).to_owned();
                self.report(index, NodeReport::new(NodeStatus::Blocked, None, 0.0).because(reason));
                continue;
            }
            if !self.failures.is_empty() && !self.options.keep_going {
                continue;
            }
            let Some(manifest) = self.graph.manifest(index, &self.known) else { continue };
            match manifest {
                Err(failure) => self.fail(index, failure, 0.0),
                Ok(manifest) => {
                    self.known[index.index()].key = Some(manifest.key());
                    self.manifests.insert(index, manifest.clone());
                    if self.graph.streams_into(index).is_none() && !self.reuse(index, &manifest) {
                        self.start(index, scope, send);
                    }
                }
            }
        }
        if !self.failures.is_empty() && !self.options.keep_going && self.running.is_empty() {
            let blamed = self.failures.first().map(|(index, _)| self.graph.name(*index).to_owned());
            for index in self.graph.needed.clone() {
                if !self.reports.contains_key(&index) {
                    let report = NodeReport::new(NodeStatus::Blocked, None, 0.0);
                    self.report(index, report.because(blamed.clone().unwrap_or_default()));
                }
            }
        }
    }

    /// Takes a node's result from the store, where it is there.
    fn reuse(&mut self, index: NodeIndex, manifest: &Manifest) -> bool {
        let Some(record) = self.graph.record(index, manifest) else { return false };
        let mut report = NodeReport::new(NodeStatus::Reused, self.main_output(index, &record.outputs), 0.0);
        report.items_reused = record.items;
        report.items_skipped = record.skipped;
        report.metrics = self.metrics(index, &record.outputs);
        self.known[index.index()].outputs = record.outputs;
        self.computed_at.insert(index, record.time);
        for stage in self.streamed_before(index) {
            let mut report = NodeReport::new(NodeStatus::Reused, None, 0.0);
            report.items_reused = record.items;
            self.report(stage, report);
        }
        self.report(index, report);
        true
    }

    fn start<'scope>(&mut self, index: NodeIndex, scope: &'scope thread::Scope<'scope, 'a>, send: &Sender<Message>)
    where
        'a: 'scope,
    {
        let used: usize = self.running.values().map(|(threads, _)| threads).sum();
        let free = self.options.threads.saturating_sub(used);
        let chain = self.streamed_before(index);
        let demands = || chain.iter().chain([&index]).map(|&stage| self.graph.work(stage).bound.demand);
        let device = demands().any(|demand| demand == Demand::Device);
        let wide = device || demands().any(|demand| demand == Demand::Cores);
        if free == 0 || (device && self.running.values().any(|(_, device)| *device)) {
            return;
        }
        let threads = if wide { free } else { 1 };
        self.running.insert(index, (threads, device));
        for &node in chain.iter().chain([&index]) {
            (self.on_event)(&Event::NodeStarted { node: self.graph.name(node).to_owned() });
        }
        let (graph, options, known, send) = (self.graph, self.options, self.known.clone(), send.clone());
        scope.spawn(move || {
            let began = Instant::now();
            let (events, heard) = channel();
            let job = Job {
                store: graph.store,
                device: options.device,
                threads,
                node: graph.name(index).to_owned(),
                events,
                interrupt: options.interrupt.clone(),
                files: &graph.files,
            };
            let result = thread::scope(|inner| {
                let forward = send.clone();
                inner.spawn(move || {
                    for event in heard {
                        let _ = forward.send(Message::Event(event));
                    }
                });
                let result = work(graph, index, &known, &job);
                drop(job);
                result
            });
            let seconds = began.elapsed().as_secs_f64();
            let _ = send.send(Message::Finished(Box::new(Finished { index, result, seconds })));
        });
    }

    fn finished(&mut self, finished: Finished) {
        let Finished { index, result, seconds } = finished;
        self.running.remove(&index);
        let done = match result {
            Ok(done) => done,
            Err((_, failure)) if failure.is_interrupt() => {
                return self.report(index, NodeReport::new(NodeStatus::Interrupted, None, seconds));
            }
            Err((stage, failure)) => return self.fail_chain(index, stage, failure, seconds),
        };
        match self.store_outputs(index, &done, seconds) {
            Ok(outputs) => self.settle(index, &done, outputs, seconds),
            Err(failure) => self.fail(index, failure, seconds),
        }
    }

    fn settle(&mut self, index: NodeIndex, done: &Done, outputs: BTreeMap<String, Digest>, seconds: f64) {
        let before = self.last.as_ref().and_then(|run| run.nodes.get(self.graph.name(index))).map(|node| &node.outputs);
        let status = if before == Some(&outputs) { NodeStatus::Unchanged } else { NodeStatus::Ran };
        let total = match done.artifacts.first() {
            Some(Artifact::Collection(collection)) => collection.items.len(),
            _ => 0,
        };
        for &(stage, computed) in &done.stages {
            let main = stage == index;
            let mut report = NodeReport::new(status, None, seconds);
            report.items_computed = computed;
            report.items_reused = if main { done.reused } else { total.saturating_sub(computed) };
            if !main {
                if self.graph.streams_into(stage).is_none() || self.reports.contains_key(&stage) {
                    continue;
                }
                report.status = if computed == 0 { NodeStatus::Reused } else { NodeStatus::Ran };
                self.report(stage, report);
            }
        }
        let mut report = NodeReport::new(status, self.main_output(index, &outputs), seconds);
        report.metrics = self.metrics(index, &outputs);
        if let Some(Artifact::Collection(collection)) = done.artifacts.first() {
            report.items_computed = done.stages.last().map_or(0, |(_, computed)| *computed);
            report.items_reused = done.reused;
            report.items_skipped = collection.skipped.len();
        }
        self.known[index.index()].outputs = outputs;
        self.computed_at.insert(index, history::now());
        self.report(index, report);
    }

    /// Stores what a node gave and records it under its key.
    fn store_outputs(&self, index: NodeIndex, done: &Done, seconds: f64) -> Result<BTreeMap<String, Digest>, Failure> {
        let ports = self.graph.pipeline.graph[index].kind.outputs;
        if ports.len() != done.artifacts.len() {
            return Err(Failure::new(
                "pipe::internal",
                format!("gave {} outputs of {}", done.artifacts.len(), ports.len()),
            ));
        }
        let mut outputs = BTreeMap::new();
        for (port, artifact) in ports.iter().zip(&done.artifacts) {
            outputs.insert(port.name.to_owned(), self.graph.store.put(&encode(artifact)?)?);
        }
        let (items, skipped) = match done.artifacts.first() {
            Some(Artifact::Collection(collection)) => (collection.items.len(), collection.skipped.len()),
            _ => (0, 0),
        };
        if let Some(manifest) = self.manifests.get(&index) {
            let device = self.options.device.to_string();
            let record = NodeRecord {
                manifest: manifest.clone(),
                outputs: outputs.clone(),
                items,
                skipped,
                seconds,
                device,
                time: history::now(),
            };
            history::put_node_record(self.graph.store, &record)?;
        }
        Ok(outputs)
    }

    /// The maps whose items pass through this node without being stored.
    fn streamed_before(&self, index: NodeIndex) -> Vec<NodeIndex> {
        if !self.graph.is_map(index) {
            return Vec::new();
        }
        let stages = self.graph.chain(index).map(|chain| chain.stages).unwrap_or_default();
        stages.into_iter().filter(|&stage| stage != index && self.graph.streams_into(stage).is_some()).collect()
    }

    fn main_output(&self, index: NodeIndex, outputs: &BTreeMap<String, Digest>) -> Option<Digest> {
        outputs.get(self.graph.pipeline.graph[index].kind.outputs.first()?.name).copied()
    }

    /// The numbers at the top level of a node's metrics.
    fn metrics(&self, index: NodeIndex, outputs: &BTreeMap<String, Digest>) -> BTreeMap<String, f64> {
        let ports = self.graph.pipeline.graph[index].kind.outputs.iter();
        let digests =
            ports.filter(|port| port.artifact == ArtifactType::Metrics).filter_map(|port| outputs.get(port.name));
        let mut metrics = BTreeMap::new();
        for &digest in digests {
            let Some(Artifact::Document(document)) = Artifact::load(self.graph.store, digest) else { continue };
            let numbers = document.json.as_object().into_iter().flatten().filter(|(_, value)| value.is_f64());
            metrics.extend(numbers.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))));
        }
        metrics
    }

    /// A node of a chain failed, and the chain's other nodes with it.
    fn fail_chain(&mut self, index: NodeIndex, stage: NodeIndex, failure: Failure, seconds: f64) {
        let blamed = self.graph.name(stage).to_owned();
        for node in self.streamed_before(index).into_iter().chain([index]) {
            if node != stage {
                self.report(node, NodeReport::new(NodeStatus::Blocked, None, 0.0).because(blamed.clone()));
            }
        }
        self.fail(stage, failure, seconds);
    }

    fn fail(&mut self, index: NodeIndex, failure: Failure, seconds: f64) {
        self.report(index, NodeReport::new(NodeStatus::Failed, None, seconds).because(failure.message()));
        self.failures.push((index, failure));
    }

    fn report(&mut self, index: NodeIndex, report: NodeReport) {
        let node = self.graph.name(index).to_owned();
        (self.on_event)(&Event::NodeFinished { node, report: report.clone() });
        self.reports.insert(index, report);
    }
}
