//! What was computed and what was run, kept in the store.

use std::collections::BTreeMap;

use pipe_store::{Digest, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Change, Manifest, NodeStatus};

/// The record of a node's result, found by the key of its manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    pub(crate) manifest: Manifest,
    pub(crate) outputs: BTreeMap<String, Digest>,
    /// Rows of the output, where it is a collection.
    pub(crate) items: usize,
    pub(crate) skipped: usize,
    pub(crate) seconds: f64,
    pub(crate) device: String,
    pub(crate) time: String,
}

/// The record of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Its name: the time it began, made unique.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The settings given with `--set`.
    pub settings: Vec<String>,
    /// The folder that relative paths in the settings start at.
    pub here: String,
    /// The params after the settings.
    pub params: BTreeMap<String, Value>,
    /// The device that was asked for.
    pub device: String,
    /// Whether every node gave its outputs.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// Its nodes.
    pub nodes: BTreeMap<String, RunNode>,
}

/// A node of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunNode {
    /// How it ended.
    pub status: NodeStatus,
    /// What decided its result, as far as that was known.
    pub manifest: Option<Manifest>,
    /// The digests of its outputs.
    pub outputs: BTreeMap<String, Digest>,
    /// When the result was computed.
    pub computed_at: Option<String>,
    /// What differed from the run before.
    #[serde(default)]
    pub changes: Vec<Change>,
}

pub(crate) fn node_record(store: &Store, key: Digest) -> Option<NodeRecord> {
    let record: NodeRecord = store.document("nodes", &key.to_string())?;
    (record.manifest.key() == key).then_some(record)
}

pub(crate) fn put_node_record(store: &Store, record: &NodeRecord) -> Result<(), StoreError> {
    store.put_document("nodes", &record.manifest.key().to_string(), record)
}

/// The time now, UTC, to the second, as RFC 3339 has it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Records a run under its own name and as the last of `file`.
///
/// A node that gave nothing keeps what it gave before, so that one can still ask what changed.
///
/// # Errors
/// When the store cannot be written.
pub fn record_run(store: &Store, file: &str, run: &Run) -> Result<(), StoreError> {
    store.put_document("runs", &run.id, run)?;
    let mut last = run.clone();
    for (name, before) in last_run(store, file).map(|run| run.nodes).unwrap_or_default() {
        match last.nodes.get_mut(&name) {
            // What a result came from is told until something else changes.
            Some(now) if now.status.is_done() => {
                if now.changes.is_empty() {
                    now.changes = before.changes;
                }
            }
            _ => drop(last.nodes.insert(name, before)),
        }
    }
    store.put_document("last", &Digest::of(file.as_bytes()).to_string(), &last)
}

/// The last run of a pipeline's file, told apart by where it lies relative to the store.
pub fn last_run(store: &Store, file: &str) -> Option<Run> {
    store.document("last", &Digest::of(file.as_bytes()).to_string())
}
