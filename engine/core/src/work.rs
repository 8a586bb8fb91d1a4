//! What one node does, or one chain of maps, once its inputs are known.
//!
//! Unaware of what runs beside it; the scheduler in `run` decides when.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use petgraph::graph::NodeIndex;

use crate::kind::Work;
use crate::plan::{Graph, Known};
use crate::stream::{self, Link};
use crate::{Artifact, Failure, Inputs, Job};

/// What a node gave: its artifacts, and for a chain how many items each stage computed.
pub(crate) struct Done {
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) reused: usize,
    pub(crate) stages: Vec<(NodeIndex, usize)>,
}

/// Does what a node does; a panic in it is a failure like any other.
pub(crate) fn work(
    graph: &Graph<'_>,
    index: NodeIndex,
    known: &[Known],
    job: &Job<'_>,
) -> Result<Done, (NodeIndex, Failure)> {
    let result = panic::catch_unwind(AssertUnwindSafe(|| match &graph.work(index).bound.work {
        Work::Map(_) => chain(graph, index, known, job),
        _ => single(graph, index, known, job).map_err(|failure| (index, failure)),
    }));
    result.unwrap_or_else(|panic| Err((index, panicked(&*panic))))
}

/// A node by itself: a source or a whole.
fn single(graph: &Graph<'_>, index: NodeIndex, known: &[Known], job: &Job<'_>) -> Result<Done, Failure> {
    match &graph.work(index).bound.work {
        Work::Source(_) => match &graph.work(index).reading {
            Some(Ok((bytes, _))) => {
                let artifact = Artifact::decode(bytes).ok_or_else(lost)?;
                Ok(Done { artifacts: vec![artifact], reused: 0, stages: Vec::new() })
            }
            Some(Err(failure)) => Err(failure.clone()),
            None => Err(lost()),
        },
        Work::Whole(whole) => {
            let mut artifacts = BTreeMap::new();
            for (port, from, output) in graph.pipeline.inputs(index) {
                let digest = known[from.index()].outputs.get(output.name).copied().ok_or_else(lost)?;
                let bytes = graph.store.get(digest).ok_or_else(lost)?;
                artifacts.insert(port.name, Artifact::decode(&bytes).ok_or_else(lost)?);
            }
            let artifacts = whole.run(&Inputs { store: graph.store, artifacts }, job)?;
            job.checkpoint()?;
            Ok(Done { artifacts, reused: 0, stages: Vec::new() })
        }
        Work::Map(_) => Err(Failure::new("pipe::internal", "a map runs as a chain")),
    }
}

/// A node and the maps whose items pass into it.
fn chain(graph: &Graph<'_>, index: NodeIndex, known: &[Known], job: &Job<'_>) -> Result<Done, (NodeIndex, Failure)> {
    let here = |failure: Failure| (index, failure);
    let chain = graph.chain(index).ok_or_else(|| here(lost()))?;
    let records = graph.root_records(&chain, known).ok_or_else(|| here(lost()))?;
    let mut links = Vec::new();
    for &stage in &chain.stages {
        let map = graph.map(stage).ok_or_else(|| here(lost()))?;
        links.push(Link { map, recipe: graph.recipe(stage).map_err(|failure| (stage, failure))? });
    }
    let streamed = stream::stream(&links, records, job).map_err(|(stage, failure)| (chain.stages[stage], failure))?;
    Ok(Done {
        artifacts: vec![Artifact::Collection(streamed.collection)],
        reused: streamed.reused,
        stages: chain.stages.into_iter().zip(streamed.computed).collect(),
    })
}

fn lost() -> Failure {
    Failure::new("pipe::store", "an input is lost or damaged").help("run again: it will be computed again")
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    Failure::new("pipe::internal", format!("an internal error: {text}")).help("this is a bug in pipe: please report it")
}
