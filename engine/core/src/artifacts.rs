//! The artifacts of one run, each read from the store once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pipe_store::{Digest, Store};

use crate::{Artifact, Failure};

/// Artifacts by digest: those that were made or read in this process, and those in the store.
#[derive(Debug)]
pub(crate) struct Artifacts<'a> {
    store: &'a Store,
    known: Mutex<HashMap<Digest, Arc<Artifact>>>,
}

impl<'a> Artifacts<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// The artifact of that digest; `None` when it is lost or damaged.
    pub(crate) fn get(&self, digest: Digest) -> Option<Arc<Artifact>> {
        if let Some(known) = self.known().get(&digest) {
            return Some(known.clone());
        }
        let artifact = Arc::new(Artifact::decode(&self.store.get(digest)?)?);
        self.known().insert(digest, artifact.clone());
        Some(artifact)
    }

    /// Names an artifact by its digest without storing it.
    pub(crate) fn name(&self, artifact: Artifact) -> Result<Digest, Failure> {
        let digest = Digest::of(&encode(&artifact)?);
        self.known().insert(digest, Arc::new(artifact));
        Ok(digest)
    }

    /// Stores an artifact.
    pub(crate) fn put(&self, artifact: Arc<Artifact>) -> Result<Digest, Failure> {
        let digest = self.store.put(&encode(&artifact)?)?;
        self.known().insert(digest, artifact);
        Ok(digest)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<Artifact>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(artifact: &Artifact) -> Result<Vec<u8>, Failure> {
    let no_form = |error| Failure::new("pipe::internal", format!("an output has no JSON form: {error}"));
    artifact.encode().map_err(no_form)
}
