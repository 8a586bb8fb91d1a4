//! What one node does, or one chain of maps, once its inputs are known.
//!
//! Unaware of what runs beside it in this process; the scheduler in `run` decides when. What runs
//! in other processes on the same store is kept apart by a lock.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use petgraph::graph::NodeIndex;
use pipe_spec::ArtifactType;
use pipe_store::{Digest, KeyLock};

use crate::graph::{Graph, packs_of};
use crate::history::{self, NodeRecord, NodeResult};
use crate::kind::{ErasedWhole, Work};
use crate::stream::{self, Link};
use crate::{Artifact, Event, Failure, Inputs, Job, Manifest};

/// What a node gave, and for a chain how many items each stage computed.
pub(crate) struct Done {
    pub(crate) result: NodeResult,
    /// Whether it was computed here, rather than by another process meanwhile.
    pub(crate) computed: bool,
    pub(crate) reused: usize,
    pub(crate) stages: Vec<(NodeIndex, usize)>,
}

/// A node's failure; a chain's names the stage that it belongs to.
pub(crate) type NodeFailure = (NodeIndex, Failure);

/// What a node is to do.
pub(crate) struct Task<'a> {
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) index: NodeIndex,
    /// Its manifest, and those of the maps whose items pass into it.
    pub(crate) manifests: Vec<(NodeIndex, Manifest)>,
    /// What is at its inputs; for a map, the table that its chain starts with.
    pub(crate) inputs: BTreeMap<Arc<str>, Digest>,
    /// Whether a result in the store is computed again.
    pub(crate) distrusted: bool,
}

impl Task<'_> {
    /// Does it and stores what it gave; a panic in it is a failure like any other.
    pub(crate) fn run(&self, job: &Job<'_>) -> Result<Done, NodeFailure> {
        let result = panic::catch_unwind(AssertUnwindSafe(|| self.locked(job)));
        result.unwrap_or_else(|panic| Err(self.here(panicked(&*panic))))
    }

    fn here(&self, failure: Failure) -> NodeFailure {
        (self.index, failure)
    }

    fn locked(&self, job: &Job<'_>) -> Result<Done, NodeFailure> {
        let manifest = self.manifests.last().map(|(_, manifest)| manifest);
        let manifest = manifest.ok_or_else(|| self.here(Failure::new("pipe::internal", "a node without manifest")))?;
        let key = manifest.key();
        let began = Instant::now();
        let _lock = self.lock(key, job).map_err(|failure| self.here(failure))?;
        if !self.distrusted
            && let Some(result) = self.graph.result(self.index, key)
        {
            let reused = result.items;
            return Ok(Done { result, computed: false, reused, stages: Vec::new() });
        }
        let result = NodeResult {
            key,
            outputs: BTreeMap::new(),
            parts: Vec::new(),
            packs: BTreeMap::new(),
            items: 0,
            skipped: 0,
            metrics: BTreeMap::new(),
            seconds: 0.0,
            device: job.device.to_string(),
            time: history::now(),
            log: None,
            unsettled: false,
        };
        let mut done = Done { result, computed: true, reused: 0, stages: Vec::new() };
        let artifacts = match &self.graph.work(self.index).bound.work {
            Work::Source(_) => {
                self.source(&mut done.result).map_err(|failure| self.here(failure))?;
                Vec::new()
            }
            Work::Whole(whole) => self.whole(whole.as_ref(), job).map_err(|failure| self.here(failure))?,
            Work::Map(_) => vec![Artifact::Collection(self.chain(&mut done, job)?)],
        };
        done.result.seconds = began.elapsed().as_secs_f64();
        done.result.log = job.taken_log();
        self.store(artifacts, manifest, &mut done.result).map_err(|failure| self.here(failure))?;
        self.graph.store.sync_after(began.elapsed()).map_err(|error| self.here(error.into()))?;
        Ok(done)
    }

    /// Waits while another process computes the same. Chains that compute the same items exclude
    /// each other even where their tables differ.
    fn lock(&self, key: Digest, job: &Job<'_>) -> Result<KeyLock, Failure> {
        let name = match self.graph.chain(self.index) {
            Some(chain) => self.graph.chain_recipe(&chain)?,
            None => key,
        };
        let mut told = false;
        let lock = self.graph.store.lock_key(name, || {
            if !std::mem::replace(&mut told, true) {
                (job.tell)(Event::Waiting { node: job.node.clone() });
            }
            !job.interrupt.is_set()
        })?;
        let lock = lock.ok_or_else(Failure::interrupted)?;
        // What the other has written since.
        self.graph.store.refresh_items();
        Ok(lock)
    }

    /// A source has been read already; its table goes into the store as it is.
    fn source(&self, result: &mut NodeResult) -> Result<(), Failure> {
        let digest = self.graph.artifacts.put(self.graph.source_records(self.index)?)?;
        let port = self.graph.pipeline.graph[self.index].kind.outputs.first();
        result.outputs.extend(port.map(|port| (port.name.to_owned(), digest)));
        Ok(())
    }

    fn whole(&self, whole: &dyn ErasedWhole, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let mut artifacts = BTreeMap::new();
        for input in self.graph.pipeline.inputs(self.index) {
            let lost = || Failure::lost(format!("what is at the input `{}`", input.name));
            let digest = self.inputs.get(&input.name).copied().ok_or_else(lost)?;
            let artifact = self.graph.artifacts.get(digest).ok_or_else(lost)?;
            artifacts.insert(input.name, (input.output.artifact, artifact));
        }
        let inputs =
            Inputs { store: self.graph.store, threads: job.threads, kinds: self.graph.context.kinds, artifacts };
        let artifacts = whole.run(&inputs, job)?;
        job.checkpoint()?;
        Ok(artifacts)
    }

    /// The node and the maps whose items pass into it.
    fn chain(&self, done: &mut Done, job: &Job<'_>) -> Result<crate::Collection, NodeFailure> {
        let graph = self.graph;
        let lost = || self.here(Failure::lost("the table of items"));
        let chain = graph.chain(self.index).ok_or_else(lost)?;
        let table = self.inputs.values().next().copied().ok_or_else(lost)?;
        let artifact = graph.records_at(&chain, table).ok_or_else(lost)?;
        let Artifact::Records(records) = &*artifact else { return Err(lost()) };
        let mut links = Vec::new();
        for &stage in &chain.stages {
            let map = graph.map(stage).ok_or_else(lost)?;
            let recipe = graph.recipe(stage).map_err(|failure| (stage, failure))?;
            links.push(Link { map, recipe, folder: &graph.pipeline.graph[stage].folder });
        }
        let streamed =
            stream::stream(&links, records, job).map_err(|(stage, failure)| (chain.stages[stage], failure))?;
        let collection = streamed.collection;
        done.reused = streamed.reused;
        done.stages = chain.stages.into_iter().zip(streamed.computed).collect();
        done.result.items = collection.items.len();
        done.result.skipped = collection.skipped.len();
        done.result.packs = streamed.packs;
        done.result.unsettled = streamed.unsettled;
        Ok(collection)
    }

    /// Stores what the node gave and records it under its key.
    fn store(&self, artifacts: Vec<Artifact>, manifest: &Manifest, result: &mut NodeResult) -> Result<(), Failure> {
        let graph = self.graph;
        let ports = &graph.pipeline.graph[self.index].kind.outputs;
        if ports.len() != artifacts.len() + result.outputs.len() {
            let message = format!("gave {} outputs of {}", artifacts.len(), ports.len());
            return Err(Failure::new("pipe::internal", message));
        }
        for (port, artifact) in ports.iter().zip(artifacts) {
            result.parts.extend(artifact.parts());
            // A map has counted its items.
            if let (Artifact::Collection(collection), true) = (&artifact, result.packs.is_empty()) {
                let lost = || Failure::lost("some items");
                result.packs = packs_of(graph.store, &collection.items).ok_or_else(lost)?;
            }
            if let (ArtifactType::Metrics, Artifact::Document(document)) = (port.artifact, &artifact) {
                let numbers = document.json.as_object().into_iter().flatten().filter(|(_, value)| value.is_f64());
                result.metrics.extend(numbers.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))));
            }
            result.outputs.insert(port.name.to_owned(), graph.artifacts.put(Arc::new(artifact))?);
        }
        let stages = self.manifests.iter().filter(|(stage, _)| *stage != self.index);
        for manifest in stages.map(|(_, manifest)| manifest) {
            let key = manifest.key();
            // What it would give if its items were kept is not known; only what decides it.
            if history::node_record(graph.store, key).is_none() {
                let passed = result.passed_through(key);
                history::put_node_record(graph.store, &NodeRecord { manifest: manifest.clone(), result: passed })?;
            }
        }
        history::put_node_record(graph.store, &NodeRecord { manifest: manifest.clone(), result: result.clone() })?;
        Ok(())
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    Failure::new("pipe::internal", format!("an internal error: {text}")).help("this is a bug in pipe: please report it")
}
