//! The plan: for each node, whether its result is known, and why not.
//!
//! One traversal, [`Graph::manifest`], makes the manifest that a key and an explanation come from.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::NodeIndex;
use pipe_lang::{Pipeline, Problems};
use pipe_store::{Digest, Store};

use crate::history::{self, NodeRecord};
use crate::kind::{Bound, ErasedMap, Work};
use crate::manifest::{self, Change};
use crate::{Artifact, Failure, Kinds, Manifest, Records, Run};

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
    /// What differs from the manifest of the last run.
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
    /// A node that it needs cannot run.
    Blocked(String),
    /// It is known already that it cannot run.
    Failed(Failure),
}

/// A pipeline whose kinds have taken their params.
pub(crate) struct Graph<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) store: &'a Store,
    pub(crate) nodes: Vec<NodeWork>,
    pub(crate) needed: Vec<NodeIndex>,
    targets: Vec<NodeIndex>,
    /// Where the bytes that sources found lie.
    pub(crate) files: HashMap<Digest, PathBuf>,
}

pub(crate) struct NodeWork {
    pub(crate) bound: Bound,
    /// The manifest without inputs.
    pub(crate) base: Result<Manifest, Failure>,
    /// What a source read.
    pub(crate) reading: Option<Result<(Vec<u8>, Digest), Failure>>,
}

/// What is known of a node's result.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) key: Option<Digest>,
    pub(crate) outputs: BTreeMap<String, Digest>,
}

/// The maps that an item goes through, and where it starts.
pub(crate) struct Chain {
    pub(crate) root: NodeIndex,
    pub(crate) output: &'static str,
    pub(crate) stages: Vec<NodeIndex>,
}

impl<'a> Graph<'a> {
    /// Ties every node to its kind and reads the sources that are needed.
    ///
    /// # Errors
    /// Params that do not fit one another.
    pub(crate) fn new(
        pipeline: &'a Pipeline,
        kinds: &Kinds,
        store: &'a Store,
        targets: &[NodeIndex],
    ) -> Result<Self, Problems> {
        let needed =
            if targets.is_empty() { pipeline.graph.node_indices().collect() } else { pipeline.needed_by(targets) };
        let mut nodes = Vec::new();
        let mut files = HashMap::new();
        for (index, bound) in pipeline.graph.node_indices().zip(bind(pipeline, kinds)?) {
            let reading = match &bound.work {
                Work::Source(source) if needed.contains(&index) => Some(source.read().and_then(|reading| {
                    files.extend(reading.files);
                    let bytes = encode(&Artifact::Records(reading.records))?;
                    let digest = Digest::of(&bytes);
                    Ok((bytes, digest))
                })),
                _ => None,
            };
            let base = base_manifest(pipeline, index, &bound);
            nodes.push(NodeWork { bound, base, reading });
        }
        Ok(Self { pipeline, store, nodes, needed, targets: targets.to_vec(), files })
    }

    pub(crate) fn work(&self, index: NodeIndex) -> &NodeWork {
        &self.nodes[index.index()]
    }

    pub(crate) fn name(&self, index: NodeIndex) -> &str {
        &self.pipeline.graph[index].name
    }

    pub(crate) fn is_map(&self, index: NodeIndex) -> bool {
        matches!(self.work(index).bound.work, Work::Map(_))
    }

    pub(crate) fn map(&self, index: NodeIndex) -> Option<Arc<dyn ErasedMap>> {
        match &self.work(index).bound.work {
            Work::Map(map) => Some(map.clone()),
            _ => None,
        }
    }

    /// The node that this one's items pass into without being stored: its only reader, when that
    /// works item by item too and nobody asked for the items themselves.
    pub(crate) fn streams_into(&self, index: NodeIndex) -> Option<NodeIndex> {
        let mut readers =
            self.pipeline.graph.neighbors_directed(index, Direction::Outgoing).filter(|to| self.needed.contains(to));
        let only = readers.next().filter(|_| readers.next().is_none())?;
        let asked_for = self.pipeline.graph[index].keep || self.targets.contains(&index);
        (self.is_map(index) && self.is_map(only) && !asked_for).then_some(only)
    }

    /// All that decides a node's result, once its inputs are known; `None` before.
    pub(crate) fn manifest(&self, index: NodeIndex, known: &[Known]) -> Option<Result<Manifest, Failure>> {
        let work = self.work(index);
        let mut manifest = match &work.base {
            Ok(manifest) => manifest.clone(),
            Err(failure) => return Some(Err(failure.clone())),
        };
        match &work.reading {
            Some(Ok((_, digest))) => drop(manifest.inputs.insert("content".to_owned(), *digest)),
            Some(Err(failure)) => return Some(Err(failure.clone())),
            None => {}
        }
        for (port, from, output) in self.pipeline.inputs(index) {
            let from_known = known.get(from.index())?;
            // Between maps the recipe stands for the items, which may never be stored.
            let digest = if self.is_map(index) && self.is_map(from) {
                from_known.key?
            } else {
                *from_known.outputs.get(output.name)?
            };
            manifest.inputs.insert(port.name.to_owned(), digest);
        }
        Some(Ok(manifest))
    }

    /// The result in the store, if every output is still there, the items of collections too.
    pub(crate) fn record(&self, index: NodeIndex, manifest: &Manifest) -> Option<NodeRecord> {
        let record = history::node_record(self.store, manifest.key())?;
        for &digest in record.outputs.values() {
            let bytes = self.store.get(digest)?;
            if self.is_map(index) {
                let Some(Artifact::Collection(collection)) = Artifact::decode(&bytes) else { return None };
                if self.store.find_items(&collection.items).contains(&None) {
                    return None;
                }
            }
        }
        Some(record)
    }

    pub(crate) fn chain(&self, index: NodeIndex) -> Option<Chain> {
        let mut stages = vec![index];
        loop {
            let (_, from, output) = self.pipeline.inputs(*stages.first()?).into_iter().next()?;
            if !self.is_map(from) {
                return Some(Chain { root: from, output: output.name, stages });
            }
            stages.insert(0, from);
        }
    }

    /// The table at the root of a chain, once it is known.
    pub(crate) fn root_records(&self, chain: &Chain, known: &[Known]) -> Option<Records> {
        let digest = *known.get(chain.root.index())?.outputs.get(chain.output)?;
        let bytes = match &self.work(chain.root).reading {
            Some(Ok((bytes, _))) => bytes.clone(),
            _ => self.store.get(digest)?,
        };
        match Artifact::decode(&bytes)? {
            Artifact::Records(records) => Some(records),
            _ => None,
        }
    }

    pub(crate) fn recipe(&self, index: NodeIndex) -> Result<Digest, Failure> {
        self.work(index).base.as_ref().map(Manifest::recipe).map_err(Clone::clone)
    }

    /// Items in all and those of them in the store.
    fn count_items(&self, index: NodeIndex, known: &[Known]) -> Option<(usize, usize)> {
        let chain = self.chain(index)?;
        let records = self.root_records(&chain, known)?;
        let recipes: Vec<Digest> =
            chain.stages.iter().map(|&stage| self.recipe(stage)).collect::<Result<_, _>>().ok()?;
        let key = |content| recipes.iter().fold(content, |input, &recipe| manifest::item_key(recipe, input));
        let keys: Vec<Digest> = records.rows.iter().filter_map(|row| row.content).map(key).collect();
        let found = self.store.find_items(&keys);
        Some((records.rows.len(), found.iter().flatten().count()))
    }
}

impl Plan {
    /// Plans a pipeline. With `targets`, only what these need takes part.
    ///
    /// # Errors
    /// Params that do not fit one another. What is wrong with data is told node by node.
    pub fn new(
        pipeline: &Pipeline,
        kinds: &Kinds,
        store: &Store,
        targets: &[NodeIndex],
        last: Option<&Run>,
    ) -> Result<Self, Problems> {
        let graph = Graph::new(pipeline, kinds, store, targets)?;
        let mut known = vec![Known::default(); pipeline.graph.node_count()];
        let mut planned: HashMap<NodeIndex, PlannedNode> = HashMap::new();
        for index in pipeline.order().into_iter().filter(|index| graph.needed.contains(index)) {
            let node = graph.plan_node(index, &mut known, &planned, last);
            planned.insert(index, node);
        }
        // What streams into a node is as done as that node.
        for index in pipeline.order().into_iter().rev() {
            let Some(into) = graph.streams_into(index) else { continue };
            let status = match planned.get(&into).map(|node| &node.status) {
                Some(Status::Cached) => Status::Cached,
                _ => continue,
            };
            if let Some(node) = planned.get_mut(&index)
                && matches!(node.status, Status::Run(_))
            {
                node.status = status;
                node.items = None;
            }
        }
        let nodes = graph.needed.iter().filter_map(|index| planned.remove(index)).collect();
        Ok(Self { nodes })
    }
}

impl Graph<'_> {
    fn plan_node(
        &self,
        index: NodeIndex,
        known: &mut [Known],
        planned: &HashMap<NodeIndex, PlannedNode>,
        last: Option<&Run>,
    ) -> PlannedNode {
        let name = self.name(index).to_owned();
        let streams_into = self.streams_into(index);
        let mut node = PlannedNode {
            index,
            name: name.clone(),
            status: Status::Cached,
            manifest: None,
            changes: Vec::new(),
            items: None,
            streams_into: streams_into.map(|into| self.name(into).to_owned()),
            outputs: BTreeMap::new(),
            computed_at: None,
        };
        let stopped =
            self.pipeline.inputs(index).into_iter().find_map(|(_, from, _)| match &planned.get(&from)?.status {
                Status::Failed(_) | Status::Blocked(_) => Some(self.name(from).to_owned()),
                _ => None,
            });
        if let Some(stopped) = stopped {
            node.status = Status::Blocked(stopped);
            return node;
        }
        let last_manifest = last.and_then(|run| run.nodes.get(&name)).and_then(|node| node.manifest.as_ref());
        let manifest = match self.manifest(index, known) {
            Some(Ok(manifest)) => manifest,
            Some(Err(failure)) => {
                node.status = Status::Failed(failure);
                return node;
            }
            None => {
                let first = self
                    .pipeline
                    .inputs(index)
                    .into_iter()
                    .map(|(_, from, _)| from)
                    .find(|from| planned.get(from).is_some_and(|node| !matches!(node.status, Status::Cached)));
                let first =
                    first.map_or_else(|| "a node before it".to_owned(), |from| format!("`{}`", self.name(from)));
                node.status = Status::Run(format!("after {first}"));
                if let (Some(old), Ok(base)) = (last_manifest, &self.work(index).base) {
                    let old = Manifest { inputs: BTreeMap::new(), ..old.clone() };
                    node.changes = base.changes_since(&old);
                }
                return node;
            }
        };
        known[index.index()].key = Some(manifest.key());
        node.changes = last_manifest.map(|old| manifest.changes_since(old)).unwrap_or_default();
        let reason = match (last_manifest, node.changes.as_slice()) {
            (None, _) => "never run".to_owned(),
            (Some(_), []) => "its result is no longer in the store".to_owned(),
            (Some(_), changes) => {
                let fields: Vec<_> = changes.iter().map(|change| change.field.as_str()).collect();
                format!("changed: {}", fields.join(", "))
            }
        };
        match self.record(index, &manifest) {
            _ if streams_into.is_some() => node.status = Status::Run(reason),
            Some(record) => {
                known[index.index()].outputs.clone_from(&record.outputs);
                node.outputs = record.outputs;
                node.computed_at = Some(record.time);
            }
            None => {
                // A source has been read already, so what comes after it can be planned.
                if let (Some(Ok((_, digest))), Some(output)) =
                    (&self.work(index).reading, self.pipeline.graph[index].kind.outputs.first())
                {
                    known[index.index()].outputs.insert(output.name.to_owned(), *digest);
                }
                node.status = Status::Run(reason);
            }
        }
        if self.is_map(index) && matches!(node.status, Status::Run(_)) {
            node.items = self.count_items(index, known);
        }
        node.manifest = Some(manifest);
        node
    }
}

/// Checks every node's params against each other, without looking at any data.
///
/// # Errors
/// All that does not fit.
pub fn check_params(pipeline: &Pipeline, kinds: &Kinds) -> Result<(), Problems> {
    bind(pipeline, kinds).map(drop)
}

/// Ties every node to its kind.
fn bind(pipeline: &Pipeline, kinds: &Kinds) -> Result<Vec<Bound>, Problems> {
    let mut problems = Vec::new();
    let mut nodes = Vec::new();
    for index in pipeline.graph.node_indices() {
        let node = &pipeline.graph[index];
        match kinds.bind(node.kind.name, &node.params) {
            Ok(bound) => nodes.push(bound),
            Err(failure) => problems.push(failure.mistake(pipeline, index)),
        }
    }
    if problems.is_empty() { Ok(nodes) } else { Err(Problems(problems)) }
}

fn base_manifest(pipeline: &Pipeline, index: NodeIndex, bound: &Bound) -> Result<Manifest, Failure> {
    let kind = &pipeline.graph[index].kind;
    let mut content = |path: &str| -> Result<serde_json::Value, Failure> {
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::new("pipe::file_not_found", format!("cannot read {path}: {error}")))?;
        Ok(Digest::of(&bytes).to_string().into())
    };
    let params = kind.params.without_paths(&bound.params, &mut content)?.unwrap_or_default();
    Ok(Manifest::new(kind.name, kind.version, params, bound.numeric))
}

pub(crate) fn encode(artifact: &Artifact) -> Result<Vec<u8>, Failure> {
    artifact.encode().map_err(|error| Failure::new("pipe::internal", format!("an output has no JSON form: {error}")))
}
