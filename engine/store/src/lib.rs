//! The store: bytes by the digest of their content, items by the key of their recipe.
//!
//! Knows nothing of pipelines. What is in it is written under a temporary name and renamed, is
//! never changed afterwards, and is held against its digest when it is read: what is lost or
//! damaged is a miss, never a wrong answer. Several processes may use a store at once.

mod blobs;
mod digest;
mod documents;
mod error;
pub mod fault;
mod files;
mod index;
mod items;
mod lock;
mod pack;
mod recover;
mod sweep;
mod verify;
mod work;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub use digest::{Digest, Hasher};
pub use error::StoreError;
pub use index::ItemEntry;
pub use lock::{KeyLock, PartLock, UseLock};
pub use sweep::{Swept, Usage};
pub use verify::{Damage, Verified};
pub use work::WorkFolder;
pub use writer::ItemWriter;

/// The folder of the present format.
const FORMAT: &str = "v1";
/// The number of the present format.
const VERSION: u32 = 1;
/// The folders of a store.
const FOLDERS: [&str; 7] = ["blobs", "documents", "index", "locks", "packs", "tmp", "world"];

/// A store in a folder.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    items: items::Items,
    /// Files that are whole and visible, but may not have reached the disk.
    unsynced: Mutex<Vec<PathBuf>>,
    /// Folders for work that are free.
    work: Mutex<Vec<PathBuf>>,
}

impl Store {
    /// Opens the store in `folder`, making it if it is not there. A store that may only be read
    /// can be opened too; writing to it then fails.
    ///
    /// # Errors
    /// When the folder cannot be made, or was written in a newer format.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        refuse_newer(folder)?;
        let root = folder.join(FORMAT);
        for part in FOLDERS {
            let part = root.join(part);
            if let Err(error) = fs::create_dir_all(&part) {
                // What is missing from a store that may only be read is empty.
                if root.is_dir() && is_refusal(&error) {
                    break;
                }
                return Err(StoreError::new("make the folder", &part, error));
            }
        }
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            // A store in a folder that may only be read does without.
            let _ = fs::write(&ignore, "*\n");
        }
        let store = Self { items: items::Items::new(&root), root, unsynced: Mutex::default(), work: Mutex::default() };
        // What cannot be taken over now stays where it is for the next one.
        let _ = store.recover();
        Ok(store)
    }

    /// The folder that everything of this format lies in.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Whether the file system forbids writing, rather than fails at it.
fn is_refusal(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

fn refuse_newer(folder: &Path) -> Result<(), StoreError> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let versions = names.filter_map(|name| name.to_str()?.strip_prefix('v')?.parse::<u32>().ok());
    match versions.max() {
        Some(newest) if newest > VERSION => Err(StoreError::newer(folder, newest)),
        _ => Ok(()),
    }
}
