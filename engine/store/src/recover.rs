//! Takes over what writers that are no more left behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::files::names;
use crate::pack::{OPEN, OpenPack};
use crate::{Store, StoreError};

/// A temporary file that is older than this has nobody who still writes it.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Seals the packs of writers that died, up to their last whole item, and removes temporary
    /// files that nobody writes any more.
    pub(crate) fn recover(&self) -> Result<(), StoreError> {
        let folder = self.root.join("tmp");
        for name in names(&folder) {
            let path = folder.join(&name);
            if name.starts_with(OPEN) {
                // One that is being sealed by its writer just now is gone.
                if let Ok(Some(pack)) = OpenPack::adopt(&path) {
                    pack.seal(self)?;
                }
            } else if is_older(&path, ABANDONED) {
                let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            }
        }
        self.index_again()
    }
}

fn is_older(path: &Path, age: Duration) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|file| file.modified());
    changed.ok().and_then(|changed| changed.elapsed().ok()).is_some_and(|elapsed| elapsed > age)
}
