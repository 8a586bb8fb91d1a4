//! Reads everything and names what is damaged.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::blobs::digest_of_file;
use crate::documents::signed;
use crate::files::names;
use crate::index::{Index, ItemEntry};
use crate::items::read_index;
use crate::{Digest, Store, StoreError, UseLock, pack};

/// What a look at everything found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Files that were read.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is not as it was written.
    pub damage: Vec<Damage>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the store's folder.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl Store {
    /// Reads every file of the store on `threads` threads. With `repair`, what is damaged is
    /// dropped, so that it is a miss and computed again; items beside a damaged one are kept.
    ///
    /// # Errors
    /// When a repair is refused by the file system.
    pub fn verify(&self, threads: usize, repair: bool) -> Result<Verified, StoreError> {
        let mut found = Verified::default();
        let blobs = self.files_under("blobs");
        for path in self.unfit(&blobs, threads, &mut found, |path| is_named(path, blob_of(path))) {
            self.damaged(&mut found, &path, "its bytes are not those of its digest", repair)?;
        }
        for family in ["documents", "world"] {
            let documents = self.files_under(family);
            for path in self.unfit(&documents, threads, &mut found, |path| signed(path).is_some()) {
                self.damaged(&mut found, &path, "its bytes do not fit its digest", repair)?;
            }
        }
        let indexes = self.files_under("index");
        for path in self.unfit(&indexes, threads, &mut found, |path| matches!(read_index(path), Ok(Some(_)))) {
            self.damaged(&mut found, &path, "its bytes are not those of its digest", repair)?;
        }
        self.items.forget();
        let packs = self.files_under("packs");
        for path in self.unfit(&packs, threads, &mut found, |path| is_named(path, pack_of(path))) {
            let bytes = fs::read(&path).unwrap_or_default();
            let whole = pack::whole_items(&bytes).len();
            let what = format!("its bytes are not those of its digest; {whole} items in it are whole");
            found.damage.push(self.damage(&path, what));
            if repair {
                match pack_of(&path) {
                    Some(pack) => self.salvage(pack)?,
                    None => drop(fs::remove_file(&path)),
                }
            }
        }
        self.verify_coverage(&mut found, repair)?;
        Ok(found)
    }

    /// Makes the index again where all of it is lost.
    pub(crate) fn index_again(&self) -> Result<(), StoreError> {
        if !names(&self.root.join("index")).is_empty() || names(&self.root.join("packs")).is_empty() {
            return Ok(());
        }
        self.verify_coverage(&mut Verified::default(), true)
    }

    /// Packs that no index speaks of, and indexes that speak of packs that are not there.
    fn verify_coverage(&self, found: &mut Verified, repair: bool) -> Result<(), StoreError> {
        let (indexes, entries) = self.entries();
        let covered: BTreeSet<Digest> = entries.iter().map(|(_, entry)| entry.pack).collect();
        let there: BTreeSet<Digest> = self.files_under("packs").iter().filter_map(|path| pack_of(path)).collect();
        for &pack in there.difference(&covered) {
            let path = self.pack_path(pack);
            found.damage.push(self.damage(&path, "no index knows its items".to_owned()));
            if repair {
                let scanned = fs::File::open(&path).and_then(|mut file| pack::scan(&mut file));
                let (items, _) = scanned.map_err(|error| StoreError::new("read", &path, error))?;
                self.publish_index(&pack::index(pack, &items))?;
            }
        }
        for &pack in covered.difference(&there) {
            let path = self.pack_path(pack);
            found.damage.push(self.damage(&path, "lost, but an index knows its items".to_owned()));
        }
        if repair && covered.difference(&there).next().is_some() {
            let kept = entries.into_iter().filter(|(_, entry)| there.contains(&entry.pack)).collect();
            self.replace_indexes(&indexes, kept)?;
        }
        self.items.forget();
        Ok(())
    }

    /// Keeps what is whole of a damaged pack, in a new one, and drops the pack.
    pub(crate) fn salvage(&self, pack: Digest) -> Result<(), StoreError> {
        let path = self.pack_path(pack);
        let bytes = fs::read(&path).map_err(|error| StoreError::new("read", &path, error))?;
        let mut writer = self.item_writer();
        for (key, bytes) in pack::whole_items(&bytes) {
            writer.put(key, bytes)?;
        }
        writer.finish()?;
        let (indexes, entries) = self.entries();
        self.replace_indexes(&indexes, entries.into_iter().filter(|(_, entry)| entry.pack != pack).collect())?;
        // Another process that found the same damage may have removed it already.
        let _ = fs::remove_file(&path);
        self.items.forget();
        Ok(())
    }

    /// Every index file that is what it was, and every key in them with its entry.
    pub(crate) fn entries(&self) -> (Vec<PathBuf>, Vec<(Digest, ItemEntry)>) {
        let read = |path: PathBuf| read_index(&path).ok()?.map(|index| (path, index));
        let (files, indexes): (Vec<_>, Vec<_>) = self.files_under("index").into_iter().filter_map(read).unzip();
        (files, indexes.iter().flat_map(Index::entries).collect())
    }

    /// Puts one index in the place of those files. Files that were written since stay.
    pub(crate) fn replace_indexes(&self, old: &[PathBuf], entries: Vec<(Digest, ItemEntry)>) -> Result<(), StoreError> {
        let path = self.publish_index(&Index::build(entries))?;
        for old in old.iter().filter(|old| **old != path) {
            let _ = fs::remove_file(old);
        }
        self.items.forget();
        Ok(())
    }

    /// Forgets the items of these keys, so that they are computed again. `_alone` shows that nobody
    /// else uses the store.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn forget_items(&self, keys: &HashSet<Digest>, _alone: &UseLock) -> Result<usize, StoreError> {
        let (indexes, all) = self.entries();
        let contents: HashSet<Digest> =
            all.iter().filter(|(key, _)| keys.contains(key)).map(|(_, entry)| entry.content).collect();
        if !contents.is_empty() {
            let kept: Vec<_> = all.into_iter().filter(|(_, entry)| !contents.contains(&entry.content)).collect();
            let packs: HashSet<Digest> = kept.iter().map(|(_, entry)| entry.pack).collect();
            self.replace_indexes(&indexes, kept)?;
            for path in self.files_under("packs") {
                if pack_of(&path).is_none_or(|pack| !packs.contains(&pack)) {
                    remove(&path)?;
                }
            }
        }
        Ok(contents.len())
    }

    /// Those of the files that do not pass the test, which reads each.
    fn unfit(
        &self,
        paths: &[PathBuf],
        threads: usize,
        found: &mut Verified,
        fits: impl Fn(&PathBuf) -> bool + Sync,
    ) -> Vec<PathBuf> {
        found.files += paths.len();
        found.bytes += paths.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum::<u64>();
        let part = paths.len().div_ceil(threads.max(1)).max(1);
        thread::scope(|scope| {
            let fits = &fits;
            let look = move |part: &[PathBuf]| {
                part.iter().filter(|path| !fits(path) && path.exists()).cloned().collect::<Vec<_>>()
            };
            let parts: Vec<_> = paths.chunks(part).map(|part| scope.spawn(move || look(part))).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
        })
    }

    fn damaged(&self, found: &mut Verified, path: &Path, what: &str, repair: bool) -> Result<(), StoreError> {
        found.damage.push(self.damage(path, what.to_owned()));
        if repair {
            remove(path)?;
        }
        Ok(())
    }

    fn damage(&self, path: &Path, what: String) -> Damage {
        Damage { path: path.strip_prefix(&self.root).unwrap_or(path).display().to_string(), what }
    }

    /// Every file below a folder of the store.
    pub(crate) fn files_under(&self, folder: &str) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for name in names(folder) {
                let path = folder.join(name);
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(&self.root.join(folder), &mut found);
        found
    }
}

/// Whether a file's bytes are those of the digest that its path says.
fn is_named(path: &Path, named: Option<Digest>) -> bool {
    named.is_some() && digest_of_file(path).ok() == named
}

/// The digest that a blob's path says.
pub(crate) fn blob_of(path: &Path) -> Option<Digest> {
    let (name, folder) = (path.file_name()?.to_str()?, path.parent()?.file_name()?.to_str()?);
    format!("{folder}{name}").parse().ok()
}

/// The digest that a pack's path says.
pub(crate) fn pack_of(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.parse().ok()
}

/// Removes a file; one that is gone already is as it should be.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::new("remove", path, error)),
        _ => Ok(()),
    }
}
