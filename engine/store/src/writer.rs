//! Writing items.

use std::path::PathBuf;
use std::time::Duration;

use crate::files::names;
use crate::pack::OpenPack;
use crate::{Digest, Store, StoreError};

/// A pack is sealed when it is larger than this, in bytes,
const SEAL_BYTES: u64 = 64 << 20;
/// or when it has been open for this long, so that others see its items.
const SEAL_AGE: Duration = Duration::from_secs(10);
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

    /// Makes an index visible under its name, and tells where.
    pub(crate) fn publish_index(&self, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        let path = self.root.join("index").join(Digest::of(bytes).to_string());
        self.publish(&path, bytes)?;
        Ok(path)
    }

    /// Puts all index files into one when there are many. Two processes may do so at once: each
    /// removes only what its own file covers.
    fn merge_indexes(&self) -> Result<(), StoreError> {
        if names(&self.root.join("index")).len() <= MAX_INDEXES {
            return Ok(());
        }
        let (indexes, entries) = self.entries();
        self.replace_indexes(&indexes, entries)
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
        let took = pack.since.elapsed();
        pack.seal(self.store)?;
        self.store.sync_after(took)
    }
}
