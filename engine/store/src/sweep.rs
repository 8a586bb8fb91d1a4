//! How large the store is, and taking away what nobody needs.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::files::names;
use crate::index::ItemEntry;
use crate::lock::PART;
use crate::verify::{blob_of, pack_of, remove};
use crate::{Digest, Store, StoreError, UseLock};

/// A pack is written anew when more than this part of its bytes is dead.
const DEAD: f64 = 0.25;

/// What lies in a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Artifacts and other files by their digest.
    pub blobs: usize,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Different items.
    pub items: usize,
    /// Packs that they lie in.
    pub packs: usize,
    /// The packs' bytes.
    pub pack_bytes: u64,
    /// Records, indexes and what was seen of the world, in bytes.
    pub other_bytes: u64,
}

impl Usage {
    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.blob_bytes + self.pack_bytes + self.other_bytes
    }
}

/// What was taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs.
    pub blobs: usize,
    /// Items.
    pub items: usize,
    /// Records of nodes.
    pub records: usize,
    /// Bytes that are free now.
    pub bytes: u64,
}

impl Store {
    /// What lies in it.
    pub fn usage(&self) -> Usage {
        let size = |paths: &[PathBuf]| paths.iter().map(|path| length(path)).sum();
        let (blobs, packs) = (self.files_under("blobs"), self.files_under("packs"));
        let contents: HashSet<Digest> = self.entries().1.into_iter().map(|(_, entry)| entry.content).collect();
        let other = ["documents", "index", "world", "tmp"].map(|folder| size(&self.files_under(folder)));
        Usage {
            blobs: blobs.len(),
            blob_bytes: size(&blobs),
            items: contents.len(),
            packs: packs.len(),
            pack_bytes: size(&packs),
            other_bytes: other.iter().sum(),
        }
    }

    /// Takes away every blob and item whose digest is not in `live` and every record of a node
    /// whose key is not. With `dry`, only tells what it would take. `_alone` shows that nobody else
    /// uses the store.
    ///
    /// Whatever is written comes before what is removed, so it may be stopped at any instant.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn sweep(&self, live: &HashSet<Digest>, dry: bool, _alone: &UseLock) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let take = |path: &Path, swept: &mut Swept| -> Result<(), StoreError> {
            swept.bytes += length(path);
            if dry { Ok(()) } else { remove(path) }
        };
        for path in self.files_under("blobs") {
            if blob_of(&path).is_none_or(|digest| !live.contains(&digest)) {
                swept.blobs += 1;
                take(&path, &mut swept)?;
            }
        }
        for name in self.documents("nodes") {
            if name.parse().is_ok_and(|key: Digest| !live.contains(&key)) {
                swept.records += 1;
                take(&self.root.join("documents/nodes").join(format!("{name}.json")), &mut swept)?;
            }
        }
        // Nobody else is there who could still write them; what was fetched in part may be gone on with.
        for name in names(&self.root.join("tmp")).into_iter().filter(|name| !name.starts_with(PART)) {
            let path = self.root.join("tmp").join(name);
            if !dry {
                let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            }
        }
        self.sweep_items(live, dry, &mut swept)?;
        Ok(swept)
    }

    fn sweep_items(&self, live: &HashSet<Digest>, dry: bool, swept: &mut Swept) -> Result<(), StoreError> {
        let (_, entries) = self.entries();
        let mut packs: BTreeMap<Digest, Vec<(Digest, ItemEntry)>> = BTreeMap::new();
        for &(key, entry) in &entries {
            packs.entry(entry.pack).or_default().push((key, entry));
        }
        let all: HashSet<Digest> = entries.iter().map(|(_, entry)| entry.content).collect();
        let dead = all.iter().filter(|content| !live.contains(content)).count();
        swept.items += dead;
        let mut gone = Vec::new();
        let mut writer = self.item_writer();
        for path in self.files_under("packs") {
            let held = pack_of(&path).and_then(|pack| packs.remove(&pack)).unwrap_or_default();
            let alive: Vec<_> = held.into_iter().filter(|(_, entry)| live.contains(&entry.content)).collect();
            let contents: BTreeMap<Digest, u64> =
                alive.iter().map(|(_, entry)| (entry.content, u64::from(entry.length))).collect();
            let (size, alive_bytes) = (length(&path), contents.values().sum::<u64>());
            if size.saturating_sub(alive_bytes) as f64 <= DEAD * size as f64 {
                continue;
            }
            swept.bytes += size.saturating_sub(alive_bytes);
            gone.push(path);
            if dry {
                continue;
            }
            for (key, entry) in &alive {
                if let Some(bytes) = self.item(entry) {
                    writer.put(*key, &bytes)?;
                }
            }
        }
        if dry || (gone.is_empty() && dead == 0) {
            return Ok(());
        }
        writer.finish()?;
        self.sync()?;
        // The new packs have indexes by now; what was kept in old ones comes beside them.
        let gone_packs: HashSet<Digest> = gone.iter().filter_map(|path| pack_of(path)).collect();
        let (indexes, entries) = self.entries();
        let stays = |entry: &ItemEntry| !gone_packs.contains(&entry.pack) && live.contains(&entry.content);
        self.replace_indexes(&indexes, entries.into_iter().filter(|(_, entry)| stays(entry)).collect())?;
        self.sync()?;
        gone.iter().try_for_each(|path| remove(path))
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}
