//! What was computed and what was run, kept in the store.

use std::collections::BTreeMap;

use pipe_lang::Given;
use pipe_store::{Digest, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Change, Manifest, NodeReport};

/// A node's result: what it gave, and what must be in the store for that to be of use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeResult {
    /// The key of the manifest that decided it.
    pub key: Digest,
    /// The digests of its outputs. None where its items pass through without being stored.
    pub outputs: BTreeMap<String, Digest>,
    /// Blobs that the outputs are made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Digest>,
    /// The packs that its items lie in, with their sizes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packs: BTreeMap<Digest, u64>,
    /// Rows of the output, where it is a collection.
    #[serde(default)]
    pub items: usize,
    /// Rows that were left out as broken.
    #[serde(default)]
    pub skipped: usize,
    /// The numbers at the top level of its metrics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// How long it took.
    pub seconds: f64,
    /// The device that was asked for.
    pub device: String,
    /// When it was computed, UTC.
    pub time: String,
    /// What a command wrote to its terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
    /// Whether another try may compute items that were left out: it is no result to go by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsettled: bool,
}

impl NodeResult {
    /// What is known of a map whose items passed into the node of this result without being stored.
    pub(crate) fn passed_through(&self, key: Digest) -> Self {
        let (outputs, packs, metrics) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { key, outputs, parts: Vec::new(), packs, metrics, log: None, ..self.clone() }
    }
}

/// The record of a node's result, found by the key of its manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    pub(crate) manifest: Manifest,
    pub(crate) result: NodeResult,
}

/// The record of one run. Never rewritten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its name: the time it began, made unique.
    pub id: String,
    /// When it began, UTC.
    pub time: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's file, as seen from the store.
    pub file: String,
    /// What was given from outside.
    #[serde(default)]
    pub given: Given,
    /// The params after that.
    pub params: BTreeMap<String, Value>,
    /// The variables of the environment that the pipeline asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The device that was asked for.
    pub device: String,
    /// The version of the program.
    pub version: String,
    /// Whether every node gave its outputs.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// How many nodes gave their outputs without running.
    pub reused: usize,
    /// The nodes that did more than be reused.
    pub ran: BTreeMap<String, NodeReport>,
    /// The digest of the results of all nodes, [`run_nodes`]: runs with equal results share it.
    pub nodes: Digest,
}

/// What the last run of a pipeline's file left; a node that gave nothing then keeps what it gave
/// before, so that one can still ask what changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Last {
    /// What was given from outside.
    #[serde(default)]
    pub given: Given,
    /// Its nodes.
    pub nodes: BTreeMap<String, LastNode>,
}

/// A node in the last run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastNode {
    /// Its result.
    pub result: NodeResult,
    /// What differed from the run before, when its result last changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

pub(crate) fn node_record(store: &Store, key: Digest) -> Option<NodeRecord> {
    let record: NodeRecord = store.document("nodes", &key.to_string())?;
    (record.result.key == key && record.manifest.key() == key).then_some(record)
}

pub(crate) fn put_node_record(store: &Store, record: &NodeRecord) -> Result<(), StoreError> {
    store.put_document("nodes", &record.result.key.to_string(), record)
}

/// A name for a run that begins now: names of later runs come later in the order of letters.
pub(crate) fn new_run_id() -> String {
    format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%3f"), std::process::id())
}

/// The time now, UTC, to the second, as RFC 3339 has it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Stores the results of a run's nodes, and gives the digest that the run's record names.
pub(crate) fn put_run_nodes(store: &Store, nodes: &BTreeMap<String, NodeResult>) -> Result<Digest, StoreError> {
    store.put(serde_json::to_vec(nodes).unwrap_or_default().as_slice())
}

/// The results of a run's nodes; `None` when they are no longer in the store.
pub fn run_nodes(store: &Store, run: &Run) -> Option<BTreeMap<String, NodeResult>> {
    serde_json::from_slice(&store.get(run.nodes)?).ok()
}

pub(crate) fn put_run(store: &Store, run: &Run) -> Result<(), StoreError> {
    store.put_document("runs", &run.id, run)
}

/// Every run that the store knows, the oldest first; those whose record is damaged are left out.
pub fn runs(store: &Store) -> Vec<Run> {
    store.documents("runs").iter().filter_map(|id| store.document("runs", id)).collect()
}

/// Keeps what a run gave from being swept away, or no longer does.
///
/// # Errors
/// When the store cannot be written.
pub fn pin(store: &Store, run: &Run, pinned: bool) -> Result<(), StoreError> {
    if pinned {
        return store.put_document("pins", &run.id, &run.id);
    }
    store.remove_document("pins", &run.id);
    Ok(())
}

/// The ids of the pinned runs, sorted.
pub fn pins(store: &Store) -> Vec<String> {
    store.documents("pins")
}

/// The last run of a pipeline's file, told apart by where it lies relative to the store.
pub fn last(store: &Store, file: &str) -> Option<Last> {
    store.document("last", &last_name(file))
}

/// What the last run of every file left.
pub(crate) fn all_last(store: &Store) -> Vec<Last> {
    store.documents("last").iter().filter_map(|name| store.document("last", name)).collect()
}

/// What the last runs gave and is no longer in the store: the node, and the digest.
pub fn lost_results(store: &Store) -> Vec<(String, Digest)> {
    let nodes = all_last(store).into_iter().flat_map(|last| last.nodes);
    let mut lost: Vec<(String, Digest)> = nodes
        .flat_map(|(name, node)| {
            let NodeResult { outputs, parts, packs, .. } = node.result;
            let blobs = outputs.into_values().chain(parts).filter(|&blob| !store.has(blob));
            let packs = packs.into_keys().filter(|&pack| store.pack_length(pack) == 0);
            blobs.chain(packs).map(|digest| (name.clone(), digest)).collect::<Vec<_>>()
        })
        .collect();
    lost.sort();
    lost.dedup();
    lost
}

/// Replaces what the last run left by what this one did.
pub(crate) fn put_last(store: &Store, file: &str, before: Option<&Last>, mut now: Last) -> Result<(), StoreError> {
    for (name, old) in before.map(|last| &last.nodes).into_iter().flatten() {
        match now.nodes.get_mut(name) {
            // What a result came from is told until something else changes.
            Some(node) if node.changes.is_empty() => node.changes.clone_from(&old.changes),
            Some(_) => {}
            None => drop(now.nodes.insert(name.clone(), old.clone())),
        }
    }
    if before == Some(&now) {
        return Ok(());
    }
    store.put_document("last", &last_name(file), &now)
}

/// Forgets what the last run of a file left of a node.
pub(crate) fn forget_last(store: &Store, file: &str, node: &str) -> Result<(), StoreError> {
    let Some(mut last) = last(store, file) else { return Ok(()) };
    last.nodes.remove(node);
    store.put_document("last", &last_name(file), &last)
}

fn last_name(file: &str) -> String {
    Digest::of(file.as_bytes()).to_string()
}
