//! What a node has at hand while it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pipe_store::{Digest, Store};

use crate::graph::Graph;
use crate::{Device, Event, Failure, Load};

/// Asks a run to stop. Clones share one switch.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks the run to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The node's side of the engine: the store, the device, and whom to tell.
#[derive(Clone)]
pub struct Job<'a> {
    /// Where blobs and items are kept.
    pub store: &'a Store,
    /// The device that was asked for.
    pub device: Device,
    /// How many threads the node may use.
    pub threads: usize,
    pub(crate) node: String,
    pub(crate) folder: &'a Path,
    pub(crate) tell: &'a (dyn Fn(Event) + Send + Sync),
    pub(crate) interrupt: Interrupt,
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) log: Arc<Mutex<Option<Digest>>>,
}

/// Why a row's bytes cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoBytes {
    /// They were in the store.
    Lost,
    /// A file of the world is not as it was, or cannot be read.
    Unreadable(String),
}

impl Job<'_> {
    /// Call it now and then in long work.
    ///
    /// # Errors
    /// When the run is to stop.
    pub fn checkpoint(&self) -> Result<(), Failure> {
        if self.interrupt.is_set() { Err(Failure::interrupted()) } else { Ok(()) }
    }

    /// Tells that `done` of `total` items are done, `reused` of them found in the store.
    pub fn progress(&self, done: usize, total: usize, reused: usize) {
        (self.tell)(Event::Progress { node: self.node.clone(), done, total, reused });
    }

    /// Tells how busy the devices are; a few times a second is often enough.
    pub fn load(&self, load: Load) {
        (self.tell)(Event::Load { node: self.node.clone(), load });
    }

    /// Tells what an epoch of training gave.
    pub fn epoch(&self, epoch: usize, epochs: usize, values: BTreeMap<String, f64>) {
        (self.tell)(Event::Epoch { node: self.node.clone(), epoch, epochs, values });
    }

    /// Tells something that a person should know.
    pub fn note(&self, text: impl Into<String>) {
        (self.tell)(Event::Note { node: self.node.clone(), text: text.into() });
    }

    /// Keeps what a command wrote to its terminal beside the node's result.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_log(&self, text: &[u8]) -> Result<(), Failure> {
        let digest = self.store.put(text)?;
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
        Ok(())
    }

    /// What asks the run to stop, for work that outlives this borrow.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    pub(crate) fn taken_log(&self) -> Option<Digest> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The folder of the file that the node is written in.
    pub fn folder(&self) -> &Path {
        self.folder
    }

    /// The bytes of that digest, from the world or from the store.
    pub(crate) fn bytes(&self, digest: Digest) -> Result<Vec<u8>, NoBytes> {
        match self.graph.located(digest) {
            Some(file) => file.read(digest).map_err(NoBytes::Unreadable),
            None => self.store.get(digest).ok_or(NoBytes::Lost),
        }
    }
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("node", &self.node).field("threads", &self.threads).finish_non_exhaustive()
    }
}
