//! Finding and reading items. Readers take no lock.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use crate::files::{names, read_exact_at};
use crate::index::{Index, ItemEntry};
use crate::{Digest, Store};

#[derive(Debug)]
pub(crate) struct Items {
    packs: PathBuf,
    indexes: PathBuf,
    /// Read when first asked for, so that a run without items pays nothing.
    loaded: RwLock<Loaded>,
    open: Mutex<HashMap<Digest, Arc<File>>>,
    /// Held while a damaged pack is written anew.
    salvage: Mutex<()>,
}

/// Index files in memory, by their names.
#[derive(Debug, Default)]
struct Loaded {
    indexes: Vec<(String, Arc<Index>)>,
    /// Whether these are the files that were there when last looked at.
    fresh: bool,
}

impl Items {
    pub(crate) fn new(root: &Path) -> Self {
        let (packs, indexes) = (root.join("packs"), root.join("index"));
        Self { packs, indexes, loaded: RwLock::default(), open: Mutex::default(), salvage: Mutex::default() }
    }

    fn indexes(&self) -> Vec<Arc<Index>> {
        let all = |loaded: &Loaded| loaded.indexes.iter().map(|(_, index)| index.clone()).collect();
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        if loaded.fresh {
            return all(&loaded);
        }
        drop(loaded);
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if !loaded.fresh {
            loaded.indexes = read_indexes(&self.indexes, &loaded.indexes);
            loaded.fresh = true;
        }
        all(&loaded)
    }

    /// Looks again at which index files there are before the next search.
    pub(crate) fn look_again(&self) {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).fresh = false;
    }

    pub(crate) fn forget(&self) {
        self.look_again();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn path(&self, pack: Digest) -> PathBuf {
        self.packs.join(pack.to_string())
    }

    fn pack(&self, pack: Digest) -> Option<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&pack) {
            return Some(file.clone());
        }
        let file = Arc::new(File::open(self.path(pack)).ok()?);
        open.insert(pack, file.clone());
        Some(file)
    }

    /// An item's bytes, `Err` when they are there but damaged.
    fn read(&self, entry: &ItemEntry) -> Result<Option<Vec<u8>>, Damaged> {
        let Some(file) = self.pack(entry.pack) else { return Ok(None) };
        let mut bytes = vec![0; entry.length as usize];
        if read_exact_at(&file, &mut bytes, entry.offset).is_err() {
            return Ok(None);
        }
        if Digest::of(&bytes) == entry.content { Ok(Some(bytes)) } else { Err(Damaged) }
    }
}

/// An item's bytes are not those of its digest.
struct Damaged;

/// All index files; those that are loaded are not read again. One that vanishes while they are read
/// has been merged into another, so they are listed anew.
fn read_indexes(folder: &Path, loaded: &[(String, Arc<Index>)]) -> Vec<(String, Arc<Index>)> {
    loop {
        let read = |name: String| -> io::Result<Option<(String, Arc<Index>)>> {
            let known = loaded.iter().find(|(known, _)| *known == name).map(|(_, index)| index.clone());
            let index = match known {
                Some(index) => Some(index),
                None => read_index(&folder.join(&name))?.map(Arc::new),
            };
            Ok(index.map(|index| (name, index)))
        };
        match names(folder).into_iter().map(read).collect::<io::Result<Vec<_>>>() {
            Ok(indexes) => return indexes.into_iter().flatten().collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Vec::new(),
        }
    }
}

/// An index file; `None` when it is not what its name, the digest of its bytes, says.
pub(crate) fn read_index(path: &Path) -> io::Result<Option<Index>> {
    let bytes = fs::read(path)?;
    let named =
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| Digest::of(&bytes).to_string() == name);
    Ok(if named { Index::parse(bytes) } else { None })
}

impl Store {
    /// Sees also what other processes have written since the items were first looked at.
    pub fn refresh_items(&self) {
        self.items.look_again();
    }

    /// Which of these keys have an item: an entry for each that has one.
    pub fn find_items(&self, keys: &[Digest]) -> Vec<Option<ItemEntry>> {
        let indexes = self.items.indexes();
        let mut lengths: HashMap<Digest, u64> = HashMap::new();
        let mut there = |entry: &ItemEntry| {
            let length = *lengths.entry(entry.pack).or_insert_with(|| self.pack_length(entry.pack));
            entry.offset.checked_add(u64::from(entry.length)).is_some_and(|whole| length >= whole)
        };
        keys.iter().map(|&key| indexes.iter().find_map(|index| index.find(key).filter(&mut there))).collect()
    }

    /// The bytes of a sealed pack; 0 when it is lost. Where it is what it was, so are its items.
    pub fn pack_length(&self, pack: Digest) -> u64 {
        fs::metadata(self.pack_path(pack)).map_or(0, |file| file.len())
    }

    pub(crate) fn pack_path(&self, pack: Digest) -> PathBuf {
        self.items.path(pack)
    }

    /// The item's bytes; `None` when they are lost or damaged.
    pub fn item(&self, entry: &ItemEntry) -> Option<Vec<u8>> {
        match self.items.read(entry) {
            Ok(bytes) => bytes,
            Err(Damaged) => {
                // From now on it is a miss, and computed again; what lies beside it is kept.
                let _one_at_a_time = self.items.salvage.lock().unwrap_or_else(PoisonError::into_inner);
                if self.pack_length(entry.pack) > 0 {
                    let _ = self.salvage(entry.pack);
                }
                None
            }
        }
    }

    /// What `take` makes of the bytes of many items, in their order, by `threads` threads; `None`
    /// where the bytes are lost or damaged.
    pub fn read_items<T: Send>(
        &self,
        entries: &[ItemEntry],
        threads: usize,
        take: impl Fn(usize, Vec<u8>) -> T + Sync,
    ) -> Vec<Option<T>> {
        // As they lie on the disk.
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by_key(|&at| (entries[at].pack, entries[at].offset));
        let part = order.len().div_ceil(threads.max(1)).max(1);
        let mut all: Vec<Option<T>> = entries.iter().map(|_| None).collect();
        let take = &take;
        thread::scope(|scope| {
            let read = |part: &[usize]| -> Vec<_> {
                part.iter().map(|&at| (at, self.item(&entries[at]).map(|bytes| take(at, bytes)))).collect()
            };
            let parts: Vec<_> = order.chunks(part).map(|part| scope.spawn(move || read(part))).collect();
            for (at, bytes) in parts.into_iter().flat_map(|part| part.join().unwrap_or_default()) {
                all[at] = bytes;
            }
        });
        all
    }
}
