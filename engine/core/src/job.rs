//! What a node has at hand while it runs.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use pipe_store::{Digest, Store};

use crate::{Device, Event, Failure};

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
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// Where blobs and items are kept.
    pub store: &'a Store,
    /// The device that was asked for.
    pub device: Device,
    /// How many threads the node may use.
    pub threads: usize,
    pub(crate) node: String,
    pub(crate) events: Sender<Event>,
    pub(crate) interrupt: Interrupt,
    /// Where the bytes that sources found lie.
    pub(crate) files: &'a HashMap<Digest, PathBuf>,
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
        self.tell(Event::Progress { node: self.node.clone(), done, total, reused });
    }

    /// Tells what an epoch of training gave.
    pub fn epoch(&self, epoch: usize, epochs: usize, values: BTreeMap<String, f64>) {
        self.tell(Event::Epoch { node: self.node.clone(), epoch, epochs, values });
    }

    /// Tells something that a person should know.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note { node: self.node.clone(), text: text.into() });
    }

    /// The bytes of that digest, from the world or from the store.
    ///
    /// # Errors
    /// Why they cannot be had; also when a file no longer holds what it held when it was hashed.
    pub fn bytes(&self, digest: Digest) -> Result<Vec<u8>, String> {
        let Some(path) = self.files.get(&digest) else {
            return self
                .store
                .get(digest)
                .ok_or_else(|| "its bytes are neither in a folder nor in the store".to_owned());
        };
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if Digest::of(&bytes) == digest {
            Ok(bytes)
        } else {
            Err("the file changed while the run was reading it".to_owned())
        }
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more when the run is over.
        let _ = self.events.send(event);
    }
}
