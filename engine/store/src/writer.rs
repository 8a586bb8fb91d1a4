//! Writing items.

use std::fs;
use std::time::Duration;

use crate::files::names;
use crate::index::Index;
use crate::items::read_index;
use crate::pack::OpenPack;
use crate::{Digest, Store, StoreError};

/// A pack is sealed when it is larger than this, in bytes,
const SEAL_BYTES: u64 = 64 << 20;
/// or when it has been open for this long, so that others see its items.
const SEAL_AGE: Duration = Duration::from_secs(10);
/// What took longer than this to compute is worth waiting for the disk.
const DEAR: Duration = Duration::from_secs(1);
/// More index files than this are merged into one.
const MAX_INDEXES: usize = 8;

/// Writes items into packs. An item survives the death of the process as soon as it is put, and is
/// visible to others once its pack is sealed.
#[derive(Debug)]
pub struct ItemWriter<'a> {
    store: &'a Store,
    /// Made with the first item.
    pack: Option<OpenPack>,
}

impl Store {
    /// Starts writing items.
    pub fn item_writer(&self) -> ItemWriter<'_> {
        ItemWriter { store: self, pack: None }
    }

    pub(crate) fn publish_index(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.publish(&self.root.join("index").join(Digest::of(bytes).to_string()), bytes)
    }

    /// Puts all index files into one when there are many. Two processes may do so at once: each
    /// removes only what its own file covers.
    fn merge_indexes(&self) -> Result<(), StoreError> {
        let folder = self.root.join("index");
        let all = names(&folder);
        if all.len() <= MAX_INDEXES {
            return Ok(());
        }
        let read: Vec<_> = all.iter().filter_map(|name| Some((name, read_index(&folder.join(name)).ok()??))).collect();
        let merged = Index::build(read.iter().flat_map(|(_, index)| index.entries()).collect());
        let merged_name = Digest::of(&merged).to_string();
        self.publish_index(&merged)?;
        for (name, _) in read.iter().filter(|(name, _)| **name != merged_name) {
            // One that another process has removed already is as it should be.
            let _ = fs::remove_file(folder.join(name));
        }
        Ok(())
    }
}

impl ItemWriter<'_> {
    /// Adds an item and returns the digest of its content.
    ///
    /// # Errors
    /// When the file system refuses, or an item has 4 GiB or more.
    pub fn put(&mut self, key: Digest, bytes: &[u8]) -> Result<Digest, StoreError> {
        let pack = match &mut self.pack {
            Some(pack) => pack,
            none => none.insert(OpenPack::new(self.store)?),
        };
        let content = pack.put(key, bytes)?;
        if pack.size >= SEAL_BYTES || pack.since.elapsed() >= SEAL_AGE {
            self.seal()?;
        }
        Ok(content)
    }

    /// Seals the last pack.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.seal()?;
        self.store.merge_indexes()
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        let Some(pack) = self.pack.take() else { return Ok(()) };
        let dear = pack.since.elapsed() >= DEAR;
        pack.seal(self.store)?;
        if dear { self.store.sync() } else { Ok(()) }
    }
}
