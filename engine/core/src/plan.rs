//! The plan: for each node, whether its result is known, and why not.

use std::collections::{BTreeMap, HashMap};

use petgraph::graph::NodeIndex;
use pipe_lang::{Pipeline, Problems};
use pipe_store::Digest;

use crate::graph::{Graph, Known};
use crate::history;
use crate::manifest::Change;
use crate::{Context, Failure, Kinds, Manifest};

/// What is known of every node before anything runs.
#[derive(Debug)]
pub struct Plan {
    /// The nodes that take part, in the order of the file.
    pub nodes: Vec<PlannedNode>,
}

/// One node of a plan.
#[derive(Debug)]
pub struct PlannedNode {
    /// The node in the pipeline.
    pub index: NodeIndex,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub status: Status,
    /// What decides its result; `None` while a node before it has yet to run.
    pub manifest: Option<Manifest>,
    /// The digest of all that decides its result besides what other nodes give; `None` where files that
    /// it reads cannot be read.
    pub own: Option<Digest>,
    /// What differs from the manifest of the last run, where it runs.
    pub changes: Vec<Change>,
    /// Items in all and items in the store, for a node over items whose inputs are known.
    pub items: Option<(usize, usize)>,
    /// The node that its items pass into without being stored.
    pub streams_into: Option<String>,
    /// The digests of its outputs, where they are known.
    pub outputs: BTreeMap<String, Digest>,
    /// When the result in the store was computed.
    pub computed_at: Option<String>,
}

/// Whether a node runs.
#[derive(Debug)]
pub enum Status {
    /// Its result is in the store.
    Cached,
    /// It runs, and why.
    Run(String),
    /// It cannot run because of another node, and why.
    Blocked(String),
    /// It is known already that it cannot run.
    Failed(Failure),
}

impl Status {
    /// `cached`, `run`, `blocked` or `failed`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Run(_) => "run",
            Self::Blocked(_) => "blocked",
            Self::Failed(_) => "failed",
        }
    }
}

impl Plan {
    /// Plans a pipeline. With `targets`, only what these need takes part.
    ///
    /// # Errors
    /// Params that do not fit one another. What is wrong with data is told node by node.
    pub fn new(context: Context<'_>, targets: &[NodeIndex]) -> Result<Self, Problems> {
        Ok(Self::of(&Graph::new(context, targets)?))
    }

    pub(crate) fn of(graph: &Graph<'_>) -> Self {
        let mut known = vec![Known::default(); graph.pipeline.graph.node_count()];
        let mut planned: HashMap<NodeIndex, PlannedNode> = HashMap::new();
        for &index in &graph.order {
            let node = plan_node(graph, index, &mut known, &planned);
            planned.insert(index, node);
        }
        // What streams into a node is as done as that node.
        for &index in graph.order.iter().rev() {
            let Some(into) = graph.streams_into(index) else { continue };
            if !matches!(planned.get(&into).map(|node| &node.status), Some(Status::Cached)) {
                continue;
            }
            if let Some(node) = planned.get_mut(&index)
                && matches!(node.status, Status::Run(_))
            {
                node.status = Status::Cached;
                node.items = None;
                node.changes.clear();
            }
        }
        let mut nodes: Vec<PlannedNode> = planned.into_values().collect();
        nodes.sort_by_key(|node| node.index);
        Self { nodes }
    }

    /// What is known of every node's result.
    pub(crate) fn known(&self, graph: &Graph<'_>) -> Vec<Known> {
        let mut known = vec![Known::default(); graph.pipeline.graph.node_count()];
        for node in &self.nodes {
            known[node.index.index()].outputs.clone_from(&node.outputs);
        }
        known
    }

    /// The plan of that node, where it takes part.
    pub fn node(&self, index: NodeIndex) -> Option<&PlannedNode> {
        self.nodes.iter().find(|node| node.index == index)
    }
}

fn plan_node(
    graph: &Graph<'_>,
    index: NodeIndex,
    known: &mut [Known],
    planned: &HashMap<NodeIndex, PlannedNode>,
) -> PlannedNode {
    let streams_into = graph.streams_into(index);
    let mut node = PlannedNode {
        index,
        name: graph.name(index).to_owned(),
        status: Status::Cached,
        manifest: None,
        own: graph.own(index),
        changes: Vec::new(),
        items: None,
        streams_into: streams_into.map(|into| graph.name(into).to_owned()),
        outputs: BTreeMap::new(),
        computed_at: None,
    };
    let inputs = graph.pipeline.inputs(index);
    let stopped = inputs.iter().find_map(|input| match &planned.get(&input.from)?.status {
        Status::Failed(_) | Status::Blocked(_) => Some(format!("`{}` cannot run", graph.name(input.from))),
        _ => None,
    });
    let stopped = graph.blocked(index).or(stopped);
    if let Some(stopped) = stopped {
        node.status = Status::Blocked(stopped);
        return node;
    }
    let last_manifest = || {
        let key = graph.last_result(index)?.key;
        history::node_record(graph.store, key).map(|record| record.manifest)
    };
    let manifest = match graph.manifest(index, known) {
        Some(Ok(manifest)) => manifest,
        Some(Err(failure)) => {
            node.status = Status::Failed(failure);
            return node;
        }
        None => {
            let waits = |from| planned.get(&from).is_some_and(|node| !matches!(node.status, Status::Cached));
            let first = inputs.iter().map(|input| input.from).find(|&from| waits(from));
            let first = first.map_or_else(|| "a node before it".to_owned(), |from| format!("`{}`", graph.name(from)));
            node.status = Status::Run(format!("after {first}"));
            if let (Some(old), Ok(base)) = (last_manifest(), &graph.work(index).base) {
                let old = Manifest { inputs: BTreeMap::new(), ..old };
                node.changes = base.changes_since(&old);
            }
            return node;
        }
    };
    let key = manifest.key();
    known[index.index()].key = Some(key);
    let result = if streams_into.is_some() { None } else { graph.result(index, key) };
    match result {
        Some(result) => {
            known[index.index()].outputs.clone_from(&result.outputs);
            node.outputs = result.outputs;
            node.computed_at = Some(result.time);
        }
        None => {
            // A source has been read already, so what comes after it can be planned.
            if let (Some(Ok(trace)), Some(output)) =
                (&graph.work(index).reading, graph.pipeline.graph[index].kind.outputs.first())
            {
                known[index.index()].outputs.insert(output.name.to_owned(), trace.result);
                node.outputs.insert(output.name.to_owned(), trace.result);
            }
            let last_manifest = last_manifest();
            node.changes = last_manifest.as_ref().map(|old| manifest.changes_since(old)).unwrap_or_default();
            node.status = Status::Run(reason(last_manifest.is_some(), &node.changes));
            if graph.is_map(index) {
                node.items = graph.count_items(index, known);
            }
        }
    }
    node.manifest = Some(manifest);
    node
}

fn reason(ran_before: bool, changes: &[Change]) -> String {
    match (ran_before, changes) {
        (false, _) => "never run".to_owned(),
        (true, []) => "its result is no longer in the store".to_owned(),
        (true, changes) => {
            let fields: Vec<_> = changes.iter().map(|change| change.field.as_str()).collect();
            format!("changed: {}", fields.join(", "))
        }
    }
}

/// Checks every node's params against each other, without looking at any data.
///
/// # Errors
/// All that does not fit.
pub fn check_params(pipeline: &Pipeline, kinds: &Kinds) -> Result<(), Problems> {
    let mut problems = Vec::new();
    for index in pipeline.graph.node_indices() {
        let node = &pipeline.graph[index];
        // A part that is checked alone may have params that only its users give.
        let unknown = node.params.is_null();
        if let Some(failure) = kinds.bind(node.kind.name, &node.params).err().filter(|_| !unknown) {
            problems.push(failure.mistake(pipeline, index));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}
