//! What planning and running a pipeline have in common.

use pipe_lang::Pipeline;
use pipe_store::{Digest, Store};

use crate::{Artifact, Kinds, Last};

impl Context<'_> {
    /// The artifact of that digest; `None` when it is lost or damaged.
    pub fn artifact(&self, digest: Digest) -> Option<Artifact> {
        Artifact::decode(&self.store.get(digest)?)
    }
}

/// A pipeline, the kinds that it is made of, and the store that knows its past.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The kinds that the program knows.
    pub kinds: &'a Kinds,
    /// Where results are kept.
    pub store: &'a Store,
    /// What the pipeline's runs are recorded under: its file's place relative to the store.
    pub file: &'a str,
    /// What the last run left.
    pub last: Option<&'a Last>,
    /// Threads to use in all.
    pub threads: usize,
    /// Whether every file of the world is read anew, whatever its times say.
    pub rehash: bool,
}
