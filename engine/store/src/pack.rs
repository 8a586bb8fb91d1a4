//! A pack: items one after another, each behind a header that tells all of it.
//!
//! ```text
//! "item" | length u32 | key 32 B | digest of the content 32 B | the content
//! ```
//!
//! So a pack whose writer died can be read up to its last whole item, and an index that was lost
//! can be made again. A sealed pack is named by the digest of all its bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::blobs::hash;
use crate::digest::Hasher;
use crate::files::WRITABLE;
use crate::index::{Index, ItemEntry};
use crate::{Digest, Store, StoreError, fault};

const MAGIC: &[u8; 4] = b"item";
const HEADER: usize = 4 + 4 + 32 + 32;
/// How the names of open packs in the temporary folder begin.
pub(crate) const OPEN: &str = "pack-";

/// An item in a pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Framed {
    pub(crate) key: Digest,
    pub(crate) content: Digest,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

/// A pack that is being written, locked by its writer.
#[derive(Debug)]
pub(crate) struct OpenPack {
    file: File,
    path: PathBuf,
    digest: Hasher,
    pub(crate) size: u64,
    pub(crate) items: Vec<Framed>,
    pub(crate) since: Instant,
}

impl OpenPack {
    pub(crate) fn new(store: &Store) -> Result<Self, StoreError> {
        let folder = store.root.join("tmp");
        let refused = |error| StoreError::new("write in", &folder, error);
        let file = store.temporary(OPEN, WRITABLE).map_err(refused)?;
        file.as_file().lock().map_err(refused)?;
        let (file, path) = file.keep().map_err(|error| refused(error.error))?;
        Ok(Self { file, path, digest: Hasher::default(), size: 0, items: Vec::new(), since: Instant::now() })
    }

    /// Takes over the pack of a writer that is no more, up to its last whole item; `None` while
    /// its writer lives.
    pub(crate) fn adopt(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::options().read(true).write(true).open(path)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let (items, size) = scan(&mut file)?;
        file.set_len(size)?;
        file.rewind()?;
        let digest = hash(&mut file)?;
        Ok(Some(Self { file, path: path.to_owned(), digest, size, items, since: Instant::now() }))
    }

    pub(crate) fn put(&mut self, key: Digest, bytes: &[u8]) -> Result<Digest, StoreError> {
        let length =
            u32::try_from(bytes.len()).map_err(|_| self.refused(io::Error::other("an item of 4 GiB or more")))?;
        let content = Digest::of(bytes);
        let mut frame = Vec::with_capacity(HEADER + bytes.len());
        frame.extend(MAGIC);
        frame.extend(length.to_le_bytes());
        frame.extend(key.as_bytes());
        frame.extend(content.as_bytes());
        frame.extend(bytes);
        if let Err(error) = fault::point("pack: item").and_then(|()| self.file.write_all(&frame)) {
            // What is whole is kept: half an item behind it would spoil the digest.
            let _ = self.file.set_len(self.size).and_then(|()| self.file.seek(io::SeekFrom::End(0)));
            return Err(self.refused(error));
        }
        self.digest.update(&frame);
        self.items.push(Framed { key, content, offset: self.size + HEADER as u64, length });
        self.size += frame.len() as u64;
        Ok(content)
    }

    fn refused(&self, error: io::Error) -> StoreError {
        StoreError::new("write", &self.path, error)
    }

    /// Publishes the index, then the pack: a reader that sees the one without the other misses.
    /// What fails here stays where it is, and is taken over later.
    pub(crate) fn seal(self, store: &Store) -> Result<(), StoreError> {
        if self.items.is_empty() {
            let _ = std::fs::remove_file(&self.path);
            return Ok(());
        }
        let digest = self.digest.finish();
        let path = store.pack_path(digest);
        let index = index(digest, &self.items);
        store.publish_index(&index)?;
        fault::point("pack: rename")
            .and_then(|()| std::fs::rename(&self.path, &path))
            .map_err(|error| self.refused(error))?;
        store.remember_visible(path);
        store.items.look_again();
        Ok(())
    }
}

/// The index over one pack.
pub(crate) fn index(pack: Digest, items: &[Framed]) -> Vec<u8> {
    let entry = |item: &Framed| ItemEntry { content: item.content, pack, offset: item.offset, length: item.length };
    Index::build(items.iter().map(|item| (item.key, entry(item))).collect())
}

/// The whole items at the start of a pack, and how far they reach.
pub(crate) fn scan(file: &mut File) -> io::Result<(Vec<Framed>, u64)> {
    let total = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut items, mut size) = (Vec::new(), 0);
    let mut header = [0; HEADER];
    while total - size >= HEADER as u64 {
        reader.read_exact(&mut header)?;
        let offset = size + HEADER as u64;
        let Some(item) = framed(&header, offset).filter(|item| total - offset >= u64::from(item.length)) else { break };
        let mut bytes = vec![0; item.length as usize];
        reader.read_exact(&mut bytes)?;
        if Digest::of(&bytes) != item.content {
            break;
        }
        items.push(item);
        size = offset + u64::from(item.length);
    }
    Ok((items, size))
}

/// Every whole item of a pack that is damaged somewhere, with its bytes.
pub(crate) fn whole_items(pack: &[u8]) -> Vec<(Digest, &[u8])> {
    let (mut items, mut at) = (Vec::new(), 0);
    while let Some(header) = pack.get(at..at + HEADER) {
        let item = framed(header, (at + HEADER) as u64);
        let bytes = item.and_then(|item| pack.get(at + HEADER..at + HEADER + item.length as usize));
        match item.zip(bytes) {
            Some((item, bytes)) if Digest::of(bytes) == item.content => {
                items.push((item.key, bytes));
                at += HEADER + bytes.len();
            }
            // The next header is the next place that looks like one.
            _ => match pack[at + 1..].windows(MAGIC.len()).position(|window| window == MAGIC) {
                Some(next) => at += 1 + next,
                None => break,
            },
        }
    }
    items
}

/// Reads a header; `None` when it is none.
fn framed(header: &[u8], offset: u64) -> Option<Framed> {
    let digest = |at: usize| <[u8; 32]>::try_from(header.get(at..at + 32)?).ok().map(Digest::from);
    let length = u32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
    (header[..4] == *MAGIC).then_some(Framed { key: digest(8)?, content: digest(40)?, offset, length })
}
