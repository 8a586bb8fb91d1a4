//! The artifacts at a node's inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipe_spec::ArtifactType;
use pipe_store::Store;

use crate::{Artifact, Collection, Document, Failure, Kinds, Records, export};

/// The artifacts at a node's inputs, by name.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub(crate) store: &'a Store,
    pub(crate) threads: usize,
    pub(crate) kinds: &'a Kinds,
    pub(crate) artifacts: BTreeMap<Arc<str>, (ArtifactType, Arc<Artifact>)>,
}

impl Inputs<'_> {
    /// The names of the inputs, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.artifacts.keys().map(|name| &**name)
    }

    /// What is at an input that takes many: each one's label with the name that its part of the input
    /// is asked for by.
    pub fn many(&self, input: &str) -> Vec<(&str, &str)> {
        let label = |name: &'_ str| -> Option<(usize, usize)> {
            let rest = name.strip_prefix(input)?.strip_prefix('[')?;
            Some((name.len() - rest.len(), name.len() - 1))
        };
        self.names().filter_map(|name| label(name).map(|(from, to)| (&name[from..to], name))).collect()
    }

    /// Writes what is at an input into `folder`, as ordinary files, and tells where: a file of that
    /// name, with an ending, or a folder of files.
    ///
    /// # Errors
    /// When a part of it is lost or the file system refuses.
    pub fn place(&self, input: &str, folder: &Path, name: &str) -> Result<PathBuf, Failure> {
        let (artifact_type, artifact) = self.artifacts.get(input).ok_or_else(|| wrong(input, "connected"))?;
        let usual = export::default_name(*artifact_type, artifact, input);
        let ending = Path::new(&usual).extension().map(|ending| format!(".{}", ending.to_string_lossy()));
        let to = folder.join(format!("{name}{}", ending.unwrap_or_default()));
        export::write(self.kinds, self.store, *artifact_type, artifact, &to, export::Sharing::Lent)?;
        Ok(to)
    }

    /// The table at an input.
    ///
    /// # Errors
    /// When the input holds something else.
    pub fn records(&self, input: &str) -> Result<&Records, Failure> {
        match self.get(input) {
            Some(Artifact::Records(records)) => Ok(records),
            _ => Err(wrong(input, "records")),
        }
    }

    /// The collection at an input.
    ///
    /// # Errors
    /// When the input holds something else.
    pub fn collection(&self, input: &str) -> Result<&Collection, Failure> {
        match self.get(input) {
            Some(Artifact::Collection(collection)) => Ok(collection),
            _ => Err(wrong(input, "a collection")),
        }
    }

    /// The document at an input.
    ///
    /// # Errors
    /// When the input holds something else.
    pub fn document(&self, input: &str) -> Result<&Document, Failure> {
        match self.get(input) {
            Some(Artifact::Document(document)) => Ok(document),
            _ => Err(wrong(input, "a document")),
        }
    }

    /// The bytes of a part of the document at an input; `None` when it has no such part.
    ///
    /// # Errors
    /// When the input holds something else, or the part is lost or damaged.
    pub fn part(&self, input: &str, part: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(&digest) = self.document(input)?.parts.get(part) else { return Ok(None) };
        self.store.get(digest).map(Some).ok_or_else(|| Failure::lost(format!("the part `{part}` of `{input}`")))
    }

    /// The bytes of every item of the collection at an input, in the order of its rows.
    ///
    /// # Errors
    /// When the input holds something else, or an item is lost or damaged.
    pub fn items(&self, input: &str) -> Result<Vec<Vec<u8>>, Failure> {
        self.map_items(input, |_, bytes| bytes)
    }

    /// What `take` makes of the bytes of every item of the collection at an input, given with the
    /// number of its row; on all the node's threads, so that the bytes need not all be held.
    ///
    /// # Errors
    /// As [`Inputs::items`].
    pub fn map_items<T: Send>(
        &self,
        input: &str,
        take: impl Fn(usize, Vec<u8>) -> T + Sync,
    ) -> Result<Vec<T>, Failure> {
        self.collection(input)?.map_items(self.store, self.threads, take)
    }

    fn get(&self, input: &str) -> Option<&Artifact> {
        self.artifacts.get(input).map(|(_, artifact)| &**artifact)
    }
}

fn wrong(input: &str, wanted: &str) -> Failure {
    Failure::new("pipe::type_mismatch", format!("the input `{input}` is not {wanted}"))
}
