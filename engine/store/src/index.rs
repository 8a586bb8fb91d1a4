//! An index file: where the items of some packs lie.
//!
//! As git has them: immutable, the keys sorted behind a 256-way fan-out. All numbers are little
//! endian.
//!
//! ```text
//! magic "pipeidx1" | packs u32 | items u32 | fan-out 256 x u32 | pack digests 32 B each
//! keys 32 B each, sorted | entries: content 32 B, pack u32, offset u64, length u32
//! ```

use crate::Digest;

const MAGIC: &[u8; 8] = b"pipeidx1";
const HEADER: usize = 8 + 4 + 4 + 256 * 4;
/// The digest of the content, and where it lies.
const ENTRY: usize = 32 + 4 + 8 + 4;

/// Where an item lies and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemEntry {
    /// The digest of the item's bytes.
    pub content: Digest,
    /// The pack that it lies in.
    pub pack: Digest,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

/// An index file in memory.
#[derive(Debug)]
pub(crate) struct Index {
    bytes: Vec<u8>,
    packs: usize,
    items: usize,
}

impl Index {
    /// Reads an index; `None` when it is of another form.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        if bytes.get(..8)? != MAGIC {
            return None;
        }
        let packs = u32_at(&bytes, 8)? as usize;
        let items = u32_at(&bytes, 12)? as usize;
        (bytes.len() == HEADER + packs * 32 + items * (32 + ENTRY)).then_some(Self { bytes, packs, items })
    }

    /// Writes an index over entries with different keys.
    pub(crate) fn build(mut entries: Vec<(Digest, ItemEntry)>) -> Vec<u8> {
        entries.sort_by_key(|(key, _)| *key);
        entries.dedup_by_key(|(key, _)| *key);
        let mut packs: Vec<Digest> = entries.iter().map(|(_, entry)| entry.pack).collect();
        packs.sort();
        packs.dedup();
        let mut bytes = MAGIC.to_vec();
        bytes.extend((packs.len() as u32).to_le_bytes());
        bytes.extend((entries.len() as u32).to_le_bytes());
        for first in 0..=255u8 {
            let up_to = entries.partition_point(|(key, _)| key.as_bytes()[0] <= first);
            bytes.extend((up_to as u32).to_le_bytes());
        }
        bytes.extend(packs.iter().flat_map(|pack| *pack.as_bytes()));
        bytes.extend(entries.iter().flat_map(|(key, _)| *key.as_bytes()));
        for (_, entry) in &entries {
            let pack = packs.partition_point(|pack| *pack < entry.pack);
            bytes.extend(entry.content.as_bytes());
            bytes.extend((pack as u32).to_le_bytes());
            bytes.extend(entry.offset.to_le_bytes());
            bytes.extend(entry.length.to_le_bytes());
        }
        bytes
    }

    /// Where the item of that key lies.
    pub(crate) fn find(&self, key: Digest) -> Option<ItemEntry> {
        let first = usize::from(key.as_bytes()[0]);
        let mut low = if first == 0 { 0 } else { u32_at(&self.bytes, 16 + (first - 1) * 4)? as usize };
        let mut high = u32_at(&self.bytes, 16 + first * 4)? as usize;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle)?.cmp(&key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.entry(middle),
            }
        }
        None
    }

    /// Every key with its entry.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Digest, ItemEntry)> + '_ {
        (0..self.items).filter_map(|at| Some((self.key(at)?, self.entry(at)?)))
    }

    fn key(&self, at: usize) -> Option<Digest> {
        digest_at(&self.bytes, HEADER + self.packs * 32 + at * 32)
    }

    fn entry(&self, at: usize) -> Option<ItemEntry> {
        let start = HEADER + self.packs * 32 + self.items * 32 + at * ENTRY;
        let pack = u32_at(&self.bytes, start + 32)? as usize;
        let offset = self.bytes.get(start + 36..start + 44)?;
        Some(ItemEntry {
            content: digest_at(&self.bytes, start)?,
            pack: digest_at(&self.bytes, HEADER + pack * 32)?,
            offset: u64::from_le_bytes(offset.try_into().ok()?),
            length: u32_at(&self.bytes, start + 44)?,
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn digest_at(bytes: &[u8], at: usize) -> Option<Digest> {
    let bytes: [u8; 32] = bytes.get(at..at + 32)?.try_into().ok()?;
    Some(Digest::from(bytes))
}
