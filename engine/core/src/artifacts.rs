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

    /// Names an artifact by its digest without storing it, and gives its bytes.
    pub(crate) fn name(&self, artifact: Artifact) -> Result<(Digest, Vec<u8>), Failure> {
        let (digest, bytes) = Self::encode(&artifact)?;
        self.known().insert(digest, Arc::new(artifact));
        Ok((digest, bytes))
    }

    /// The digest and the bytes of an artifact.
    pub(crate) fn encode(artifact: &Artifact) -> Result<(Digest, Vec<u8>), Failure> {
        let bytes = artifact
            .encode()
            .map_err(|error| Failure::new("pipe::internal", format!("an output has no JSON form: {error}")))?;
        Ok((Digest::of(&bytes), bytes))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<Artifact>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
