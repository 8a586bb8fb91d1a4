//! What happens during a run: the one source of everything that is shown of it.

use std::collections::BTreeMap;

use crate::{Load, NodeResult};
use pipe_store::Digest;
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins, with these nodes in the order of the file.
    Started {
        /// The pipeline's name.
        pipeline: String,
        /// Its nodes that take part.
        nodes: Vec<String>,
    },
    /// A node begins to compute.
    NodeStarted {
        /// The node.
        node: String,
    },
    /// Another process computes the same; the node waits for it.
    Waiting {
        /// The node.
        node: String,
    },
    /// A node over items has come so far.
    Progress {
        /// The node.
        node: String,
        /// Items done, those found in the store among them.
        done: usize,
        /// Items in all.
        total: usize,
        /// Items that were in the store.
        reused: usize,
    },
    /// A node works on devices.
    Load {
        /// The node.
        node: String,
        /// How busy they are.
        #[serde(flatten)]
        load: Load,
    },
    /// A node fetches a file from the web.
    Download {
        /// The node.
        node: String,
        /// The file, as the pipeline names it, without its digest.
        file: String,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all, where the host says so.
        total: Option<u64>,
    },
    /// A node that trains finished an epoch.
    Epoch {
        /// The node.
        node: String,
        /// The epoch, from 1.
        epoch: usize,
        /// Epochs in all.
        epochs: usize,
        /// Losses and accuracies by name.
        values: BTreeMap<String, f64>,
    },
    /// A node says something that a person should know.
    Note {
        /// The node.
        node: String,
        /// What it says.
        text: String,
    },
    /// A node is done, one way or another.
    NodeFinished {
        /// The node.
        node: String,
        /// How.
        #[serde(flatten)]
        report: NodeReport,
    },
    /// The run is over.
    Finished {
        /// Whether every node gave its outputs.
        ok: bool,
        /// How many nodes computed something.
        ran: usize,
        /// How many nodes were reused whole.
        reused: usize,
        /// How long it took.
        seconds: f64,
        /// Every node.
        nodes: BTreeMap<String, NodeReport>,
    },
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// It computed something new.
    Ran,
    /// It ran, and what it gave is what it gave before.
    Unchanged,
    /// Everything was in the store.
    Reused,
    /// It could not give its outputs.
    Failed,
    /// A node that it needs failed.
    Blocked,
    /// The run was stopped.
    Interrupted,
}

impl NodeStatus {
    /// `done`, `unchanged`, `reused`, `failed`, `blocked` or `interrupted`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ran => "done",
            Self::Unchanged => "unchanged",
            Self::Reused => "reused",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the node gave its outputs.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Ran | Self::Unchanged | Self::Reused)
    }
}

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// How it ended.
    pub status: NodeStatus,
    /// The digest of its main output; `None` where it has none, or its items only pass through.
    pub digest: Option<Digest>,
    /// Items that it computed.
    pub items_computed: usize,
    /// Items that did not need computing.
    pub items_reused: usize,
    /// Items that were left out as broken.
    pub items_skipped: usize,
    /// The numbers at the top level of its metrics, where it gives metrics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed or did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What its command wrote to its terminal, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
}

impl NodeReport {
    /// A node without items.
    pub(crate) fn new(status: NodeStatus, digest: Option<Digest>, seconds: f64) -> Self {
        let metrics = BTreeMap::new();
        let (reason, log) = (None, None);
        Self { status, digest, items_computed: 0, items_reused: 0, items_skipped: 0, metrics, seconds, reason, log }
    }

    /// With what its result says of its items and metrics.
    pub(crate) fn of(mut self, result: &NodeResult) -> Self {
        self.items_skipped = result.skipped;
        self.metrics.clone_from(&result.metrics);
        self
    }

    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
