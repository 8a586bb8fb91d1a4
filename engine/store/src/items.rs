//! Items by the key of their recipe, many to a pack.
//!
//! A pack is a file of items one after another, named by the digest of its content. A writer
//! fills one, seals it and publishes an index file over it; readers take no lock.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use crate::digest::Hasher;
use crate::index::{Index, ItemEntry};
use crate::{Digest, Store, StoreError};

/// A pack is sealed when it is larger than this, in bytes,
const SEAL_BYTES: u64 = 64 << 20;
/// or when it has been open for this long, so that a crash loses little work.
const SEAL_AGE: Duration = Duration::from_secs(10);
/// More index files than this are merged into one.
const MAX_INDEXES: usize = 8;

#[derive(Debug)]
pub(crate) struct Items {
    packs: PathBuf,
    indexes: PathBuf,
    /// Read when first asked for, so that a run without items pays nothing.
    loaded: RwLock<Option<Vec<Arc<Index>>>>,
    open: Mutex<HashMap<Digest, File>>,
}

impl Items {
    pub(crate) fn new(root: &Path) -> Self {
        let (packs, indexes) = (root.join("packs"), root.join("index"));
        Self { packs, indexes, loaded: RwLock::new(None), open: Mutex::default() }
    }

    fn indexes(&self) -> Vec<Arc<Index>> {
        if let Some(loaded) = &*self.loaded.read().unwrap_or_else(PoisonError::into_inner) {
            return loaded.clone();
        }
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded
            .get_or_insert_with(|| index_files(&self.indexes).iter().filter_map(|path| read_index(path)).collect())
            .clone()
    }

    fn add(&self, index: Index) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &mut *loaded {
            loaded.push(Arc::new(index));
        }
    }

    fn read(&self, entry: &ItemEntry) -> Option<Vec<u8>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match open.entry(entry.pack) {
            std::collections::hash_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(File::open(self.packs.join(entry.pack.to_string())).ok()?)
            }
        };
        let mut bytes = vec![0; entry.length as usize];
        file.seek(SeekFrom::Start(entry.offset)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        if Digest::of(&bytes) == entry.content {
            return Some(bytes);
        }
        // Out of the way, so that its items are misses from now on and are computed again.
        open.remove(&entry.pack);
        let path = self.packs.join(entry.pack.to_string());
        let _ = fs::rename(&path, path.with_extension("damaged"));
        None
    }
}

fn index_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// An index file whose name is the digest of its bytes; anything else is passed over.
fn read_index(path: &Path) -> Option<Arc<Index>> {
    let bytes = fs::read(path).ok()?;
    let name = path.file_name()?.to_str()?;
    (Digest::of(&bytes).to_string() == name).then(|| Index::parse(bytes).map(Arc::new))?
}

impl Store {
    /// Which of these keys have an item: an entry for each that has one.
    pub fn find_items(&self, keys: &[Digest]) -> Vec<Option<ItemEntry>> {
        let indexes = self.items.indexes();
        let mut lengths: HashMap<Digest, u64> = HashMap::new();
        let length = |pack: Digest| fs::metadata(self.items.packs.join(pack.to_string())).map_or(0, |file| file.len());
        let mut there = |entry: &ItemEntry| {
            let whole = entry.offset + u64::from(entry.length);
            *lengths.entry(entry.pack).or_insert_with(|| length(entry.pack)) >= whole
        };
        keys.iter().map(|&key| indexes.iter().find_map(|index| index.find(key).filter(&mut there))).collect()
    }

    /// The item's bytes; `None` when they are lost or damaged.
    pub fn item(&self, entry: &ItemEntry) -> Option<Vec<u8>> {
        self.items.read(entry)
    }

    /// Starts writing items.
    ///
    /// # Errors
    /// When no temporary file can be made.
    pub fn item_writer(&self) -> Result<ItemWriter<'_>, StoreError> {
        Ok(ItemWriter { store: self, pack: OpenPack::new(self)? })
    }

    /// Puts all index files into one when there are many. Two processes may do so at once: each
    /// removes only what its own file covers.
    fn merge_indexes(&self) -> Result<(), StoreError> {
        let folder = self.root.join("index");
        let paths = index_files(&folder);
        if paths.len() <= MAX_INDEXES {
            return Ok(());
        }
        let indexes: Vec<_> = paths.iter().filter_map(|path| read_index(path)).collect();
        let merged = Index::build(indexes.iter().flat_map(|index| index.entries()).collect());
        let name = folder.join(Digest::of(&merged).to_string());
        self.publish(&name, &merged)?;
        for path in paths.iter().filter(|path| **path != name) {
            // A file that another process has removed already is as it should be.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

/// Writes items into packs; an item is visible to others once its pack is sealed.
#[derive(Debug)]
pub struct ItemWriter<'a> {
    store: &'a Store,
    pack: OpenPack,
}

#[derive(Debug)]
struct OpenPack {
    file: NamedTempFile,
    digest: Hasher,
    size: u64,
    entries: Vec<(Digest, Digest, u64, u32)>,
    since: Instant,
}

impl OpenPack {
    fn new(store: &Store) -> Result<Self, StoreError> {
        let folder = store.root.join("tmp");
        let file = NamedTempFile::new_in(&folder).map_err(|error| StoreError::new("write in", &folder, error))?;
        Ok(Self { file, digest: Hasher::default(), size: 0, entries: Vec::new(), since: Instant::now() })
    }
}

impl ItemWriter<'_> {
    /// Adds an item and returns the digest of its content.
    ///
    /// # Errors
    /// When the file system refuses, or an item has 4 GiB or more.
    pub fn put(&mut self, key: Digest, bytes: &[u8]) -> Result<Digest, StoreError> {
        let refused = |pack: &OpenPack, error| StoreError::new("write", pack.file.path(), error);
        let length = u32::try_from(bytes.len())
            .map_err(|_| refused(&self.pack, std::io::Error::other("an item of 4 GiB or more")))?;
        let content = Digest::of(bytes);
        self.pack.file.write_all(bytes).map_err(|error| refused(&self.pack, error))?;
        self.pack.digest.update(bytes);
        // Found by its recipe, and by its content.
        self.pack.entries.push((key, content, self.pack.size, length));
        self.pack.entries.push((content, content, self.pack.size, length));
        self.pack.size += u64::from(length);
        if self.pack.size >= SEAL_BYTES || self.pack.since.elapsed() >= SEAL_AGE {
            let pack = std::mem::replace(&mut self.pack, OpenPack::new(self.store)?);
            seal(self.store, pack)?;
        }
        Ok(content)
    }

    /// Seals the last pack.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(self) -> Result<(), StoreError> {
        seal(self.store, self.pack)?;
        self.store.merge_indexes()
    }
}

fn seal(store: &Store, pack: OpenPack) -> Result<(), StoreError> {
    if pack.entries.is_empty() {
        return Ok(());
    }
    let digest = pack.digest.finish();
    let path = store.root.join("packs").join(digest.to_string());
    let refused = |error| StoreError::new("write", &path, error);
    pack.file.as_file().sync_data().map_err(refused)?;
    pack.file.persist(&path).map_err(|error| refused(error.error))?;
    let place = |(key, content, offset, length)| (key, ItemEntry { content, pack: digest, offset, length });
    let bytes = Index::build(pack.entries.into_iter().map(place).collect());
    store.publish(&store.root.join("index").join(Digest::of(&bytes).to_string()), &bytes)?;
    if let Some(index) = Index::parse(bytes) {
        store.items.add(index);
    }
    Ok(())
}
