//! Runs what is not in the store: independent nodes side by side, within the machine's slots.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use petgraph::Direction;
use petgraph::graph::NodeIndex;
use pipe_store::Digest;

use crate::graph::{Graph, Known};
use crate::history::NodeResult;
use crate::kind::Demand;
use crate::work::{Done, NodeFailure, Task};
use crate::{Event, Failure, Job, Manifest, NodeReport, NodeStatus, Options};

/// What became of every node.
pub(crate) struct Scheduled {
    pub(crate) reports: BTreeMap<NodeIndex, NodeReport>,
    pub(crate) failures: Vec<(NodeIndex, Failure)>,
    pub(crate) results: BTreeMap<NodeIndex, NodeResult>,
}

/// What came of a node's work.
struct Finished {
    index: NodeIndex,
    done: Result<Done, NodeFailure>,
    seconds: f64,
    /// What a command wrote before the node failed.
    log: Option<Digest>,
}

enum Message {
    Event(Event),
    Finished(Box<Finished>),
}

pub(crate) struct Scheduler<'a> {
    graph: &'a Graph<'a>,
    options: &'a Options,
    /// Each node's place in an order in which it comes after all it needs.
    rank: Vec<usize>,
    /// The ranks of nodes whose inputs are known and that have not been looked at since.
    ready: BTreeSet<usize>,
    /// Nodes that are to run and wait for a free slot.
    parked: VecDeque<NodeIndex>,
    known: Vec<Known>,
    manifests: BTreeMap<NodeIndex, Manifest>,
    /// Nodes whose result in the store turned out to be damaged.
    distrusted: HashSet<NodeIndex>,
    /// Nodes whose inputs have been computed again once.
    mended: HashSet<NodeIndex>,
    /// What each running node holds: threads, and whether the device.
    running: BTreeMap<NodeIndex, (usize, bool)>,
    scheduled: Scheduled,
    on_event: &'a mut dyn FnMut(&Event),
}

impl<'a> Scheduler<'a> {
    pub(crate) fn new(graph: &'a Graph<'a>, options: &'a Options, on_event: &'a mut dyn FnMut(&Event)) -> Self {
        let count = graph.pipeline.graph.node_count();
        let mut rank = vec![0; count];
        graph.order.iter().enumerate().for_each(|(at, index)| rank[index.index()] = at);
        let is_first =
            |index: NodeIndex| graph.pipeline.graph.neighbors_directed(index, Direction::Incoming).next().is_none();
        Self {
            graph,
            options,
            ready: graph.order.iter().filter(|&&index| is_first(index)).map(|index| rank[index.index()]).collect(),
            rank,
            parked: VecDeque::new(),
            known: vec![Known::default(); count],
            manifests: BTreeMap::new(),
            distrusted: HashSet::new(),
            mended: HashSet::new(),
            running: BTreeMap::new(),
            scheduled: Scheduled { reports: BTreeMap::new(), failures: Vec::new(), results: BTreeMap::new() },
            on_event,
        }
    }

    /// Runs until nothing more can be run.
    pub(crate) fn all(mut self) -> Scheduled {
        let (send, receive) = channel();
        thread::scope(|scope| {
            loop {
                while let Some(rank) = self.ready.pop_first() {
                    self.advance(self.graph.order[rank]);
                }
                self.start_parked(scope, &send);
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
        let failed = !self.scheduled.failures.is_empty() && !self.options.interrupt.is_set();
        for &index in &self.graph.order {
            if self.scheduled.reports.contains_key(&index) {
                continue;
            }
            let status = if failed { NodeStatus::Blocked } else { NodeStatus::Interrupted };
            self.report(index, NodeReport::new(status, None, 0.0));
        }
        self.scheduled
    }

    /// Settles a node whose inputs are known, or lets it wait for a free slot.
    fn advance(&mut self, index: NodeIndex) {
        let under_way = self.running.contains_key(&index) || self.parked.contains(&index);
        if self.is_reported(index) || under_way || self.options.interrupt.is_set() {
            return;
        }
        let inputs = self.graph.pipeline.inputs(index);
        let failed = inputs
            .iter()
            .map(|input| input.from)
            .find(|from| self.scheduled.reports.get(from).is_some_and(|report| !report.status.is_done()));
        if let Some(from) = failed {
            let failed = self.scheduled.reports.get(&from).is_some_and(|report| report.status == NodeStatus::Failed);
            let how = if failed { "failed" } else { "cannot run" };
            let reason = format!("`{}` {how}", self.graph.name(from));
            self.report(index, NodeReport::new(NodeStatus::Blocked, None, 0.0).because(reason));
            return;
        }
        if let Some(reason) = self.graph.blocked(index) {
            self.report(index, NodeReport::new(NodeStatus::Blocked, None, 0.0).because(reason));
            return;
        }
        if self.has_failed() {
            return;
        }
        let Some(manifest) = self.graph.manifest(index, &self.known) else { return };
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(failure) => return self.fail(index, failure, (0.0, None)),
        };
        let key = manifest.key();
        self.known[index.index()].key = Some(key);
        self.manifests.insert(index, manifest);
        if self.graph.streams_into(index).is_some() {
            return self.wake_readers(index);
        }
        if !self.reuse(index, key) {
            self.parked.push_back(index);
        }
    }

    /// Starts as many of the waiting nodes as there are slots for.
    fn start_parked<'scope>(&mut self, scope: &'scope thread::Scope<'scope, 'a>, send: &Sender<Message>)
    where
        'a: 'scope,
    {
        let mut waiting = VecDeque::new();
        while let Some(index) = self.parked.pop_front() {
            if self.has_failed() || self.options.interrupt.is_set() {
                continue;
            }
            match self.free_threads() {
                0 => {
                    waiting.push_back(index);
                    break;
                }
                free if !self.start(index, free, scope, send) => waiting.push_back(index),
                _ => {}
            }
        }
        waiting.append(&mut self.parked);
        self.parked = waiting;
    }

    /// Whether nothing more is started because a node failed.
    fn has_failed(&self) -> bool {
        !self.scheduled.failures.is_empty() && !self.options.keep_going
    }

    fn free_threads(&self) -> usize {
        let used: usize = self.running.values().map(|(threads, _)| threads).sum();
        self.graph.context.threads.saturating_sub(used)
    }

    /// Takes a node's result from the store, where it is there.
    fn reuse(&mut self, index: NodeIndex, key: Digest) -> bool {
        if self.distrusted.contains(&index) {
            return false;
        }
        let Some(result) = self.graph.result(index, key) else { return false };
        self.reused(index, result);
        true
    }

    fn reused(&mut self, index: NodeIndex, result: NodeResult) {
        for stage in self.streamed_before(index) {
            let mut report = NodeReport::new(NodeStatus::Reused, None, 0.0);
            report.items_reused = result.items;
            self.passed_through(stage, &result);
            self.report(stage, report);
        }
        let report = NodeReport::new(NodeStatus::Reused, self.main_output(index, &result), 0.0).of(&result);
        let items = result.items;
        self.settle(index, result, NodeReport { items_reused: items, ..report });
    }

    /// Starts a node; `false` when another has the device that it wants.
    fn start<'scope>(
        &mut self,
        index: NodeIndex,
        free: usize,
        scope: &'scope thread::Scope<'scope, 'a>,
        send: &Sender<Message>,
    ) -> bool
    where
        'a: 'scope,
    {
        let chain = self.streamed_before(index);
        let demands = || chain.iter().chain([&index]).map(|&stage| self.graph.work(stage).bound.demand);
        let device = demands().any(|demand| demand == Demand::Device);
        let wide = device || demands().any(|demand| demand == Demand::Cores);
        if device && self.running.values().any(|(_, device)| *device) {
            return false;
        }
        let threads = if wide { free } else { 1 };
        self.running.insert(index, (threads, device));
        for &node in chain.iter().chain([&index]) {
            (self.on_event)(&Event::NodeStarted { node: self.graph.name(node).to_owned() });
        }
        let task = Task {
            graph: self.graph,
            index,
            manifests: chain.iter().chain([&index]).map(|&stage| (stage, self.manifests[&stage].clone())).collect(),
            inputs: self.inputs(index),
            distrusted: self.distrusted.contains(&index),
        };
        let (options, send) = (self.options, send.clone());
        scope.spawn(move || {
            let began = Instant::now();
            let tell = |event| drop(send.send(Message::Event(event)));
            let job = Job {
                store: task.graph.store,
                device: options.device,
                threads,
                node: task.graph.name(index).to_owned(),
                folder: &task.graph.pipeline.graph[index].folder,
                tell: &tell,
                interrupt: options.interrupt.clone(),
                graph: task.graph,
                log: std::sync::Arc::default(),
            };
            let done = task.run(&job);
            let seconds = began.elapsed().as_secs_f64();
            let log = job.taken_log();
            let _ = send.send(Message::Finished(Box::new(Finished { index, done, seconds, log })));
        });
        true
    }

    /// The digests of what is at a node's inputs; for a map, of the table that its chain starts with.
    fn inputs(&self, index: NodeIndex) -> BTreeMap<std::sync::Arc<str>, Digest> {
        let output = |from: NodeIndex, output: &str| self.known[from.index()].outputs.get(output).copied();
        match self.graph.chain(index) {
            Some(chain) => {
                output(chain.root, chain.output).map(|digest| ("table".into(), digest)).into_iter().collect()
            }
            None => {
                let inputs = self.graph.pipeline.inputs(index).into_iter();
                inputs.filter_map(|input| Some((input.name, output(input.from, input.output.name)?))).collect()
            }
        }
    }

    fn finished(&mut self, finished: Finished) {
        let Finished { index, done, seconds, log } = finished;
        self.running.remove(&index);
        match done {
            Ok(done) if !done.computed => self.reused(index, done.result),
            Ok(done) => self.computed(index, done, seconds),
            Err((_, failure)) if failure.is_interrupt() => {
                self.report(index, NodeReport::new(NodeStatus::Interrupted, None, seconds));
            }
            Err((_, failure)) if failure.is_lost() && self.mended.insert(index) => self.mend(index, &failure),
            Err((stage, failure)) => self.fail_chain(index, stage, failure, (seconds, log)),
        }
    }

    /// Computes again what a node reads, since some of it is lost or damaged; then the node.
    fn mend(&mut self, index: NodeIndex, failure: &Failure) {
        let text = format!("{}: computing it again", failure.message());
        (self.on_event)(&Event::Note { node: self.graph.name(index).to_owned(), text });
        let from = match self.graph.chain(index) {
            Some(chain) => vec![chain.root],
            None => self.graph.pipeline.inputs(index).into_iter().map(|input| input.from).collect(),
        };
        self.graph.forget_there();
        for producer in from {
            self.distrusted.insert(producer);
            for node in self.streamed_before(producer).into_iter().chain([producer]) {
                self.scheduled.reports.remove(&node);
                self.known[node.index()].outputs.clear();
                self.ready.insert(self.rank[node.index()]);
            }
        }
    }

    fn computed(&mut self, index: NodeIndex, done: Done, seconds: f64) {
        let before = self.graph.last_result(index).map(|result| &result.outputs);
        let status = if before == Some(&done.result.outputs) { NodeStatus::Unchanged } else { NodeStatus::Ran };
        for &(stage, computed) in done.stages.iter().filter(|(stage, _)| *stage != index) {
            if self.graph.streams_into(stage).is_none() || self.is_reported(stage) {
                continue;
            }
            let status = if computed == 0 { NodeStatus::Reused } else { NodeStatus::Ran };
            let mut report = NodeReport::new(status, None, seconds);
            report.items_computed = computed;
            report.items_reused = done.result.items.saturating_sub(computed);
            self.passed_through(stage, &done.result);
            self.report(stage, report);
        }
        let mut report = NodeReport::new(status, self.main_output(index, &done.result), seconds).of(&done.result);
        report.items_computed = done.stages.last().map_or(0, |(_, computed)| *computed);
        report.items_reused = done.reused;
        self.settle(index, done.result, report);
    }

    /// A node gave its outputs.
    fn settle(&mut self, index: NodeIndex, result: NodeResult, report: NodeReport) {
        self.known[index.index()].outputs.clone_from(&result.outputs);
        self.scheduled.results.insert(index, result);
        self.report(index, report);
    }

    /// Notes what is known of a map whose items passed into a node.
    fn passed_through(&mut self, stage: NodeIndex, result: &NodeResult) {
        if let Some(key) = self.known[stage.index()].key {
            self.scheduled.results.insert(stage, result.passed_through(key));
        }
    }

    /// The maps whose items pass through this node without being stored.
    fn streamed_before(&self, index: NodeIndex) -> Vec<NodeIndex> {
        let mut stages = self.graph.chain(index).map(|chain| chain.stages).unwrap_or_default();
        stages.retain(|&stage| stage != index && self.graph.streams_into(stage).is_some());
        stages
    }

    fn main_output(&self, index: NodeIndex, result: &NodeResult) -> Option<Digest> {
        result.outputs.get(self.graph.pipeline.graph[index].kind.outputs.first()?.name).copied()
    }

    /// A node of a chain failed, and the chain's other nodes with it.
    fn fail_chain(&mut self, index: NodeIndex, stage: NodeIndex, failure: Failure, end: (f64, Option<Digest>)) {
        let blamed = format!("`{}` failed", self.graph.name(stage));
        for node in self.streamed_before(index).into_iter().chain([index]) {
            if node != stage {
                self.report(node, NodeReport::new(NodeStatus::Blocked, None, 0.0).because(blamed.clone()));
            }
        }
        self.fail(stage, failure, end);
    }

    fn fail(&mut self, index: NodeIndex, failure: Failure, (seconds, log): (f64, Option<Digest>)) {
        self.scheduled.failures.push((index, failure.clone()));
        let report = NodeReport::new(NodeStatus::Failed, None, seconds).because(failure.message());
        self.report(index, NodeReport { log, ..report });
    }

    fn report(&mut self, index: NodeIndex, report: NodeReport) {
        let node = self.graph.name(index).to_owned();
        (self.on_event)(&Event::NodeFinished { node, report: report.clone() });
        self.scheduled.reports.insert(index, report);
        self.wake_readers(index);
    }

    fn is_reported(&self, index: NodeIndex) -> bool {
        self.scheduled.reports.contains_key(&index)
    }

    /// Looks again at the nodes that read this one, where everything they read is settled.
    fn wake_readers(&mut self, index: NodeIndex) {
        let settled = |from: NodeIndex| {
            self.is_reported(from)
                || (self.graph.streams_into(from).is_some() && self.known[from.index()].key.is_some())
        };
        let ready: Vec<usize> = self
            .graph
            .readers(index)
            .filter(|&reader| self.graph.pipeline.graph.neighbors_directed(reader, Direction::Incoming).all(settled))
            .map(|reader| self.rank[reader.index()])
            .collect();
        self.ready.extend(ready);
    }
}
