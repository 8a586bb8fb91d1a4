//! An index file: where the items of some packs lie, by the key of their recipe and by the digest
//! of their content.
//!
//! As git has them: immutable, sorted behind a 256-way fan-out. All numbers are little endian.
//!
//! ```text
//! "pipeidx2" | packs u32 | contents u32 | keys u32
//! fan-out of the contents 256 x u32 | fan-out of the keys 256 x u32 | pack digests 32 B each
//! contents 32 B each, sorted | their places: pack u32, offset u64, length u32
//! keys 32 B each, sorted | the number of their content u32 each
//! ```

use std::collections::BTreeMap;

use crate::Digest;

const MAGIC: &[u8; 8] = b"pipeidx2";
const DIGEST: usize = 32;
const FAN_OUT: usize = 256 * 4;
const HEADER: usize = 8 + 3 * 4 + 2 * FAN_OUT;
const PLACE: usize = 4 + 8 + 4;

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
    contents: usize,
    keys: usize,
}

impl Index {
    /// Reads an index; `None` when it is of another form.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        if bytes.get(..8)? != MAGIC {
            return None;
        }
        let count = |at: usize| Some(u32_at(&bytes, at)? as usize);
        let (packs, contents, keys) = (count(8)?, count(12)?, count(16)?);
        let length = HEADER + packs * DIGEST + contents * (DIGEST + PLACE) + keys * (DIGEST + 4);
        (bytes.len() == length).then_some(Self { bytes, packs, contents, keys })
    }

    /// Writes an index over items by the keys of their recipes.
    pub(crate) fn build(mut entries: Vec<(Digest, ItemEntry)>) -> Vec<u8> {
        entries.sort_by_key(|(key, _)| *key);
        entries.dedup_by_key(|(key, _)| *key);
        let mut contents: Vec<ItemEntry> = entries.iter().map(|(_, entry)| *entry).collect();
        contents.sort_by_key(|entry| entry.content);
        contents.dedup_by_key(|entry| entry.content);
        let mut packs: BTreeMap<Digest, u32> = contents.iter().map(|entry| (entry.pack, 0)).collect();
        packs.values_mut().zip(0..).for_each(|(number, at)| *number = at);
        let mut bytes = MAGIC.to_vec();
        for count in [packs.len(), contents.len(), entries.len()] {
            bytes.extend((count as u32).to_le_bytes());
        }
        fan_out(&mut bytes, &contents, |entry| entry.content);
        fan_out(&mut bytes, &entries, |(key, _)| *key);
        bytes.extend(packs.keys().flat_map(|pack| *pack.as_bytes()));
        bytes.extend(contents.iter().flat_map(|entry| *entry.content.as_bytes()));
        for entry in &contents {
            bytes.extend(packs.get(&entry.pack).copied().unwrap_or_default().to_le_bytes());
            bytes.extend(entry.offset.to_le_bytes());
            bytes.extend(entry.length.to_le_bytes());
        }
        bytes.extend(entries.iter().flat_map(|(key, _)| *key.as_bytes()));
        for (_, entry) in &entries {
            let content = contents.partition_point(|other| other.content < entry.content);
            bytes.extend((content as u32).to_le_bytes());
        }
        bytes
    }

    /// Where the item of that key, or of that content, lies.
    pub(crate) fn find(&self, key: Digest) -> Option<ItemEntry> {
        let by_key = self.search(key, 20 + FAN_OUT, self.keys_at());
        match by_key {
            Some(at) => self.entry(u32_at(&self.bytes, self.keys_at() + self.keys * DIGEST + at * 4)? as usize),
            None => self.entry(self.search(key, 20, self.contents_at())?),
        }
    }

    /// Every key with its entry.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Digest, ItemEntry)> + '_ {
        (0..self.keys).filter_map(|at| {
            let key = digest_at(&self.bytes, self.keys_at() + at * DIGEST)?;
            let content = u32_at(&self.bytes, self.keys_at() + self.keys * DIGEST + at * 4)?;
            Some((key, self.entry(content as usize)?))
        })
    }

    /// The place of a digest in a sorted list of them at `list`, whose fan-out is at `fan_out`.
    fn search(&self, wanted: Digest, fan_out: usize, list: usize) -> Option<usize> {
        let first = usize::from(wanted.as_bytes()[0]);
        let mut low = if first == 0 { 0 } else { u32_at(&self.bytes, fan_out + (first - 1) * 4)? as usize };
        let mut high = u32_at(&self.bytes, fan_out + first * 4)? as usize;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.bytes.get(list + middle * DIGEST..)?.get(..DIGEST)?.cmp(wanted.as_bytes().as_slice()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    fn contents_at(&self) -> usize {
        HEADER + self.packs * DIGEST
    }

    fn keys_at(&self) -> usize {
        self.contents_at() + self.contents * (DIGEST + PLACE)
    }

    fn entry(&self, content: usize) -> Option<ItemEntry> {
        let place = self.contents_at() + self.contents * DIGEST + content * PLACE;
        let pack = u32_at(&self.bytes, place)? as usize;
        let offset = self.bytes.get(place + 4..place + 12)?;
        Some(ItemEntry {
            content: digest_at(&self.bytes, self.contents_at() + content * DIGEST)?,
            pack: digest_at(&self.bytes, HEADER + pack * DIGEST)?,
            offset: u64::from_le_bytes(offset.try_into().ok()?),
            length: u32_at(&self.bytes, place + 12)?,
        })
    }
}

/// For each first byte, how many of the sorted digests begin with it or with a lesser one.
fn fan_out<T>(bytes: &mut Vec<u8>, sorted: &[T], digest: impl Fn(&T) -> Digest) {
    for first in 0..=255u8 {
        let up_to = sorted.partition_point(|item| digest(item).as_bytes()[0] <= first);
        bytes.extend((up_to as u32).to_le_bytes());
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn digest_at(bytes: &[u8], at: usize) -> Option<Digest> {
    let bytes: [u8; DIGEST] = bytes.get(at..at + DIGEST)?.try_into().ok()?;
    Some(Digest::from(bytes))
}
