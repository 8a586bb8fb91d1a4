//! A pipeline whose kinds have taken their params: manifests, keys, and what the store knows.
//!
//! One traversal, [`Graph::manifest`], makes the manifest that a key and an explanation come from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use petgraph::Direction;
use petgraph::graph::NodeIndex;
use pipe_lang::{Pipeline, Problems};
use pipe_store::{Digest, Store};
use pipe_world::{Located, Trace, World};

use crate::artifacts::Artifacts;
use crate::history::{self, NodeResult};
use crate::kind::{Bound, ErasedMap, ErasedSource, Work};
use crate::manifest::chain_key;
use crate::{Artifact, Context, Failure, Kinds, Manifest};

/// A pipeline whose kinds have taken their params.
pub(crate) struct Graph<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) store: &'a Store,
    pub(crate) artifacts: Artifacts<'a>,
    nodes: Vec<NodeWork>,
    /// The nodes that take part, each after all it needs.
    pub(crate) order: Vec<NodeIndex>,
    takes_part: Vec<bool>,
    targets: Vec<NodeIndex>,
    /// Blobs that were seen to be in the store.
    there: Mutex<HashSet<Digest>>,
    /// Where the bytes of each digest lie in the world, made when first asked for.
    files: OnceLock<HashMap<Digest, Located>>,
}

/// A node with what is known of it before anything runs.
pub(crate) struct NodeWork {
    pub(crate) bound: Bound,
    /// The manifest without inputs.
    pub(crate) base: Result<Manifest, Failure>,
    /// What a source saw of the world.
    pub(crate) reading: Option<Result<Trace, Failure>>,
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
    pub(crate) fn new(context: Context<'a>, targets: &[NodeIndex]) -> Result<Self, Problems> {
        let Context { pipeline, kinds, store, .. } = context;
        let mut takes_part = vec![targets.is_empty(); pipeline.graph.node_count()];
        pipeline.needed_by(targets).iter().for_each(|index| takes_part[index.index()] = true);
        let order = pipeline.order().into_iter().filter(|index| takes_part[index.index()]).collect();
        let name = Digest::of(format!("params of {}", context.file).as_bytes());
        let files = Observer::new(&context, name, Observer::earlier(&context, name));
        let mut nodes = Vec::new();
        for (index, bound) in pipeline.graph.node_indices().zip(bind(pipeline, kinds)?) {
            let base = match takes_part[index.index()] {
                true => base_manifest(pipeline, index, &bound, &files.world),
                false => Err(Failure::new("pipe::internal", "the node takes no part")),
            };
            nodes.push(NodeWork { bound, base, reading: None });
        }
        files.finish(&context, Digest::of(&[]));
        let artifacts = Artifacts::new(store);
        let (targets, there) = (targets.to_vec(), Mutex::default());
        let mut graph = Self {
            context,
            pipeline,
            store,
            artifacts,
            nodes,
            order,
            takes_part,
            targets,
            there,
            files: OnceLock::new(),
        };
        for index in graph.order.clone() {
            if let Work::Source(source) = &graph.work(index).bound.work {
                let reading = graph.read(index, source.as_ref());
                graph.nodes[index.index()].reading = Some(reading);
            }
        }
        Ok(graph)
    }

    /// What a source sees of the world. Its records need not be made again while all that it saw
    /// is as it was and they are in the store.
    fn read(&self, index: NodeIndex, source: &dyn ErasedSource) -> Result<Trace, Failure> {
        let node = &self.pipeline.graph[index];
        let name = format!("{} {} {}", node.kind.name, node.kind.version, node.params);
        let name = Digest::of(name.as_bytes());
        let mut earlier = Observer::earlier(&self.context, name);
        let holds = |earlier: &mut Trace| self.store.has(earlier.result) && earlier.holds(self.context.threads);
        if let Some(holding) = earlier.take_if(holds) {
            return Ok(holding);
        }
        let observer = Observer::new(&self.context, name, earlier);
        let records = source.read(&observer.world)?;
        let digest = self.artifacts.name(Artifact::Records(records))?;
        Ok(observer.finish(&self.context, digest))
    }

    /// A source's records, read again where they are neither at hand nor in the store.
    pub(crate) fn source_records(&self, index: NodeIndex) -> Result<Arc<Artifact>, Failure> {
        let node = self.work(index);
        let (Work::Source(source), Some(reading)) = (&node.bound.work, &node.reading) else {
            return Err(Failure::new("pipe::internal", "not a source"));
        };
        let trace = reading.as_ref().map_err(Clone::clone)?;
        if let Some(artifact) = self.artifacts.get(trace.result) {
            return Ok(artifact);
        }
        let records = source.read(&World::new(Some(trace.clone()), self.context.threads))?;
        let digest = self.artifacts.name(Artifact::Records(records))?;
        let changed = || Failure::new("pipe::data", "the files changed while the run was reading them");
        self.artifacts.get(digest).filter(|_| digest == trace.result).ok_or_else(changed)
    }

    /// Where the bytes of a digest lie in the world.
    pub(crate) fn located(&self, digest: Digest) -> Option<&Located> {
        let all = || {
            let traces = self.nodes.iter().filter_map(|node| node.reading.as_ref()?.as_ref().ok());
            traces.flat_map(Trace::files).collect()
        };
        self.files.get_or_init(all).get(&digest)
    }

    pub(crate) fn work(&self, index: NodeIndex) -> &NodeWork {
        &self.nodes[index.index()]
    }

    pub(crate) fn name(&self, index: NodeIndex) -> &str {
        &self.pipeline.graph[index].name
    }

    /// Why a node cannot run, where it needs one that is switched off.
    pub(crate) fn blocked(&self, index: NodeIndex) -> Option<String> {
        let off = self.pipeline.graph[index].blocked.as_ref()?;
        Some(format!("it needs `{off}`, which is switched off"))
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

    pub(crate) fn takes_part(&self, index: NodeIndex) -> bool {
        self.takes_part[index.index()]
    }

    /// The nodes that take part and read this one.
    pub(crate) fn readers(&self, index: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        let all = self.pipeline.graph.neighbors_directed(index, Direction::Outgoing);
        all.filter(|reader| self.takes_part[reader.index()])
    }

    /// The node that this one's items pass into without being stored: its only reader, when that
    /// works item by item too and nobody asked for the items themselves.
    pub(crate) fn streams_into(&self, index: NodeIndex) -> Option<NodeIndex> {
        if !self.is_map(index) {
            return None;
        }
        let mut readers = self.readers(index);
        let only = readers.next().filter(|_| readers.next().is_none())?;
        let node = &self.pipeline.graph[index];
        let asked_for = node.keep || !node.exports.is_empty() || self.targets.contains(&index);
        (self.is_map(only) && !asked_for).then_some(only)
    }

    /// All that decides a node's result, once its inputs are known; `None` before.
    pub(crate) fn manifest(&self, index: NodeIndex, known: &[Known]) -> Option<Result<Manifest, Failure>> {
        let work = self.work(index);
        let mut manifest = match &work.base {
            Ok(manifest) => manifest.clone(),
            Err(failure) => return Some(Err(failure.clone())),
        };
        match &work.reading {
            Some(Ok(trace)) => drop(manifest.inputs.insert("content".to_owned(), trace.result)),
            Some(Err(failure)) => return Some(Err(failure.clone())),
            None => {}
        }
        for input in self.pipeline.inputs(index) {
            let from = known.get(input.from.index())?;
            // Between maps the recipe stands for the items, which may never be stored.
            let digest = if self.is_map(index) && self.is_map(input.from) {
                from.key?
            } else {
                *from.outputs.get(input.output.name)?
            };
            manifest.inputs.insert(input.name.to_string(), digest);
        }
        Some(Ok(manifest))
    }

    /// The digest of all that decides a node's result besides what other nodes give.
    pub(crate) fn own(&self, index: NodeIndex) -> Option<Digest> {
        let work = self.work(index);
        let mut manifest = work.base.as_ref().ok()?.clone();
        if let Some(reading) = &work.reading {
            manifest.inputs.insert("content".to_owned(), reading.as_ref().ok()?.result);
        }
        Some(manifest.key())
    }

    /// The result of that key in the store, if every output is still there, the items of
    /// collections too.
    pub(crate) fn result(&self, index: NodeIndex, key: Digest) -> Option<NodeResult> {
        // What the last run left is at hand already and says the same as the record.
        let of_last = self.last_result(index).filter(|result| result.key == key);
        let result = match of_last {
            Some(result) => result.clone(),
            None => history::node_record(self.store, key)?.result,
        };
        self.is_there(index, result)
    }

    /// What a node gave in the last run.
    pub(crate) fn last_result(&self, index: NodeIndex) -> Option<&NodeResult> {
        Some(&self.context.last?.nodes.get(self.name(index))?.result)
    }

    /// Nothing is taken away from the store while it is in use, so once is enough.
    fn has(&self, blob: Digest) -> bool {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        there.contains(&blob) || (self.store.has(blob) && there.insert(blob))
    }

    /// Looks again at what is in the store: some of it turned out to be damaged.
    pub(crate) fn forget_there(&self) {
        self.there.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn is_there(&self, index: NodeIndex, mut result: NodeResult) -> Option<NodeResult> {
        let ports = &self.pipeline.graph[index].kind.outputs;
        let named = ports.len() == result.outputs.len() && !ports.is_empty() && !result.unsettled;
        let blobs = || result.outputs.values().chain(&result.parts).all(|&blob| self.has(blob));
        if !named || !blobs() {
            return None;
        }
        let packs_changed = result.packs.iter().any(|(&pack, &size)| self.store.pack_length(pack) != size);
        if packs_changed {
            // Items that were moved into other packs are as good.
            let digest = *result.outputs.values().next()?;
            let artifact = self.artifacts.get(digest)?;
            let Artifact::Collection(collection) = &*artifact else { return None };
            result.packs = packs_of(self.store, &collection.items)?;
        }
        Some(result)
    }

    /// The maps that the items of a map go through; `None` for other nodes.
    pub(crate) fn chain(&self, index: NodeIndex) -> Option<Chain> {
        if !self.is_map(index) {
            return None;
        }
        let mut stages = vec![index];
        loop {
            let input = self.pipeline.inputs(*stages.last()?).into_iter().next()?;
            if !self.is_map(input.from) {
                stages.reverse();
                return Some(Chain { root: input.from, output: input.output.name, stages });
            }
            stages.push(input.from);
        }
    }

    /// The table of that digest at the root of a chain.
    pub(crate) fn records_at(&self, chain: &Chain, digest: Digest) -> Option<Arc<Artifact>> {
        match self.work(chain.root).reading {
            Some(_) => self.source_records(chain.root).ok(),
            None => self.artifacts.get(digest),
        }
    }

    pub(crate) fn recipe(&self, index: NodeIndex) -> Result<Digest, Failure> {
        let work = self.work(index);
        work.base.as_ref().map(|base| base.recipe(work.bound.not_of_items)).map_err(Clone::clone)
    }

    /// The recipes of a chain's maps, in their order.
    pub(crate) fn recipes(&self, chain: &Chain) -> Result<Vec<Digest>, Failure> {
        chain.stages.iter().map(|&stage| self.recipe(stage)).collect()
    }

    /// What is done to an item on its way through a chain, whatever the item: chains with equal
    /// recipes compute the same items.
    pub(crate) fn chain_recipe(&self, chain: &Chain) -> Result<Digest, Failure> {
        Ok(chain_key(&self.recipes(chain)?, Digest::of(b"chain")))
    }

    /// Items in all and those of them in the store.
    pub(crate) fn count_items(&self, index: NodeIndex, known: &[Known]) -> Option<(usize, usize)> {
        let (rows, keys) = self.item_keys(index, known)?;
        Some((rows, self.store.find_items(&keys).iter().flatten().count()))
    }

    /// How many rows a map works on, and the keys of the items of those that have bytes.
    pub(crate) fn item_keys(&self, index: NodeIndex, known: &[Known]) -> Option<(usize, Vec<Digest>)> {
        let chain = self.chain(index)?;
        let digest = *known.get(chain.root.index())?.outputs.get(chain.output)?;
        let artifact = self.records_at(&chain, digest)?;
        let Artifact::Records(records) = &*artifact else { return None };
        let recipes = self.recipes(&chain).ok()?;
        let contents = records.rows.iter().filter_map(|row| row.content);
        Some((records.rows.len(), contents.map(|content| chain_key(&recipes, content)).collect()))
    }
}

/// The packs that items lie in, with their sizes; `None` when an item is not there.
pub(crate) fn packs_of(store: &Store, items: &[Digest]) -> Option<BTreeMap<Digest, u64>> {
    let mut packs = BTreeMap::new();
    for entry in store.find_items(items) {
        packs.entry(entry?.pack).or_insert(0);
    }
    packs.iter_mut().for_each(|(&pack, size)| *size = store.pack_length(pack));
    Some(packs)
}

/// Looks at the world with what an earlier look remembered.
struct Observer {
    name: Digest,
    world: World,
}

impl Observer {
    fn earlier(context: &Context<'_>, name: Digest) -> Option<Trace> {
        let bytes = if context.rehash { None } else { context.store.world(name) };
        Trace::decode(&bytes?)
    }

    fn new(context: &Context<'_>, name: Digest, earlier: Option<Trace>) -> Self {
        Self { name, world: World::new(earlier, context.threads) }
    }

    /// Remembers what was seen for the next time, where that can be written.
    fn finish(self, context: &Context<'_>, result: Digest) -> Trace {
        let news = self.world.has_news() || self.world.earlier().is_none_or(|earlier| earlier.result != result);
        let trace = self.world.into_trace(result);
        if news && !trace.is_empty() {
            // Without it the files are read again.
            let _ = context.store.put_world(self.name, trace.encode());
        }
        trace
    }
}

/// Ties every node to its kind.
pub(crate) fn bind(pipeline: &Pipeline, kinds: &Kinds) -> Result<Vec<Bound>, Problems> {
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

fn base_manifest(pipeline: &Pipeline, index: NodeIndex, bound: &Bound, world: &World) -> Result<Manifest, Failure> {
    let kind = &pipeline.graph[index].kind;
    let mut params = bound.params.clone();
    if let Some(params) = params.as_object_mut() {
        bound.not_of_key.iter().for_each(|name| drop(params.shift_remove(*name)));
    }
    let mut content = |path: &str| -> Result<serde_json::Value, Failure> {
        let digest = world.tree(Path::new(path));
        let digest =
            digest.map_err(|error| Failure::new("pipe::file_not_found", format!("cannot read {path}: {error}")))?;
        Ok(digest.to_string().into())
    };
    let params = kind.params.without_paths(&params, &mut content)?.unwrap_or_default();
    Ok(Manifest::new(kind.name, kind.version, params, bound.numeric))
}
