//! The digest of a file, or of all that a folder holds.

use std::io;
use std::path::{Path, PathBuf};

use pipe_store::{Digest, Hasher};

use crate::trace::Seen;
use crate::{Absent, Identity, World};

impl World {
    /// The digest of a file's bytes, or of the names and bytes of every file below a folder.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn tree(&self, path: &Path) -> io::Result<Digest> {
        if matches!(self.seen_at(path), Some(Seen::File { .. })) || !path.is_dir() {
            return self.digest(path);
        }
        let mut files = Vec::new();
        self.walk(path, &mut files)?;
        let digests = self.find(files.len(), Identity::Content, |at| [files[at].clone()]);
        let mut all = Hasher::default();
        for (file, digest) in files.iter().zip(digests) {
            let digest = digest.map_err(|absent| match absent {
                Absent::Unreadable(reason) => io::Error::other(format!("{}: {reason}", file.display())),
                _ => io::Error::new(io::ErrorKind::NotFound, format!("{} is gone", file.display())),
            })?;
            let name = file.strip_prefix(path).unwrap_or(file).to_string_lossy().into_owned();
            all.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(digest.as_bytes());
        }
        Ok(all.finish())
    }

    fn walk(&self, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
        for path in self.list(folder)? {
            if path.is_dir() { self.walk(&path, files)? } else { files.push(path) }
        }
        Ok(())
    }
}
