//! The file that grows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::FetchError;

/// As much of a file as is there.
pub(crate) struct Part<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Part<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, FetchError> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(FetchError::Write { path: path.to_owned(), error }),
        }
    }

    pub(crate) fn length(&self) -> Result<u64, FetchError> {
        self.file.metadata().map(|file| file.len()).map_err(|error| self.unwritable(error))
    }

    /// Leaves the first `length` bytes; what is added next comes behind them.
    pub(crate) fn cut(&mut self, length: u64) -> Result<(), FetchError> {
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map(drop).map_err(|error| self.unwritable(error))
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file.write_all(bytes).map_err(|error| self.unwritable(error))
    }

    /// The digest of all that is there, in small hex digits.
    pub(crate) fn sha256(&mut self) -> Result<String, FetchError> {
        let digest = digest(&mut self.file).map_err(|error| self.unwritable(error))?;
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(crate) fn remove(self) {
        // One that cannot be removed is found to be wrong again.
        let _ = std::fs::remove_file(self.path);
    }

    fn unwritable(&self, error: io::Error) -> FetchError {
        FetchError::Write { path: self.path.to_owned(), error }
    }
}

fn digest(file: &mut File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hasher.finalize().to_vec()),
            read => hasher.update(&bytes[..read]),
        }
    }
}
