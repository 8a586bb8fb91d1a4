//! Everything that was seen of the world while something was read, and what came of it.
//!
//! ```text
//! "pipewrl1" | seen at i64 | result 32 B | count u32
//! each, sorted by path: shared u16 | rest u16 | rest of the path | what u8, and for
//!   a file    size u64, mtime i64, ctime i64, inode u64, digest 32 B
//!   a folder  size u64, mtime i64, ctime i64, inode u64
//!   a name    digest 32 B
//! ```
//!
//! A path shares its first `shared` bytes with the one before it. All numbers are little endian.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use pipe_store::Digest;

use crate::Identity;
use crate::identity::has_named_bytes;
use crate::stat::{Looker, Stat, Thing, nanoseconds};

const MAGIC: &[u8; 8] = b"pipewrl1";
/// Paths that one thread looks at before it takes the next ones.
const PART: usize = 512;

/// What was seen at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A file that was read. `settled`: a later change must show in its stat.
    File { stat: Stat, settled: bool, digest: Digest },
    /// A folder that was listed.
    Folder { stat: Stat, settled: bool },
    /// A file that is identified by its name.
    Named { digest: Digest },
    /// Nothing.
    Missing,
}

/// What was seen of the world, and what came of it.
#[derive(Debug, Clone)]
pub struct Trace {
    seen_at: i64,
    /// The digest of what was made of it.
    pub result: Digest,
    /// Every path one after another.
    paths: String,
    seen: Vec<(std::ops::Range<usize>, Seen)>,
}

/// Where the bytes of a digest lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// What its bytes must fit.
    pub identity: Identity,
}

impl Trace {
    pub(crate) fn new(seen_at: SystemTime, result: Digest, mut all: Vec<(String, Seen)>) -> Self {
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Of a path that was looked at twice, what was seen first: a change between shows next time.
        all.dedup_by(|(one, _), (other, _)| one == other);
        let mut paths = String::with_capacity(all.iter().map(|(path, _)| path.len()).sum());
        let mut seen = Vec::with_capacity(all.len());
        for (path, what) in all {
            let start = paths.len();
            paths.push_str(&path);
            seen.push((start..paths.len(), what));
        }
        Self { seen_at: nanoseconds(seen_at), result, paths, seen }
    }

    /// What was seen at a path.
    pub(crate) fn find(&self, path: &str) -> Option<Seen> {
        let at = self.seen.binary_search_by(|(range, _)| self.paths[range.clone()].cmp(path));
        at.ok().map(|at| self.seen[at].1)
    }

    /// Whether nothing was looked at.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Seen)> {
        self.seen.iter().map(|(range, seen)| (&self.paths[range.clone()], *seen))
    }

    /// Whether everything is as it was seen, found out on `threads` threads. A clock that was set
    /// back tells nothing.
    pub fn holds(&self, threads: usize) -> bool {
        if nanoseconds(SystemTime::now()) < self.seen_at {
            return false;
        }
        let (next, changed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let look = || {
            while !changed.load(Ordering::Relaxed) {
                let start = next.fetch_add(PART, Ordering::Relaxed);
                match self.seen.get(start..(start + PART).min(self.seen.len())) {
                    Some(part) if !part.is_empty() => {
                        if !self.part_holds(part) {
                            changed.store(true, Ordering::Relaxed);
                        }
                    }
                    _ => return,
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.min(self.seen.len().div_ceil(PART)) {
                scope.spawn(look);
            }
            look();
        });
        !changed.into_inner()
    }

    fn part_holds(&self, part: &[(std::ops::Range<usize>, Seen)]) -> bool {
        let path = |range: &std::ops::Range<usize>| &self.paths[range.clone()];
        let ends = part.first().zip(part.last()).map(|((first, _), (last, _))| (path(first), path(last)));
        let (first, last) = ends.unwrap_or_default();
        // Paths are sorted, so what the first and the last share, all share.
        let shared = first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
        let folder = first.as_bytes()[..shared].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let looker = Looker::new(&first[..folder]);
        part.iter().all(|(range, seen)| match seen {
            Seen::File { settled: false, .. } | Seen::Folder { settled: false, .. } => false,
            Seen::File { stat, .. } => looker.look(path(range)) == Some((Thing::File, *stat)),
            Seen::Folder { stat, .. } => looker.look(path(range)) == Some((Thing::Folder, *stat)),
            Seen::Named { .. } => looker.look(path(range)).is_some_and(|(thing, _)| thing == Thing::File),
            Seen::Missing => looker.look(path(range)).is_none_or(|(thing, _)| thing != Thing::File),
        })
    }

    /// Where the bytes of each digest lie.
    pub fn files(&self) -> impl Iterator<Item = (Digest, Located)> {
        self.iter().filter_map(|(path, seen)| {
            let located = |identity| Located { path: PathBuf::from(path), identity };
            match seen {
                Seen::File { digest, .. } => Some((digest, located(Identity::Content))),
                Seen::Named { digest } => Some((digest, located(Identity::Name))),
                _ => None,
            }
        })
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.seen.len() * 120);
        bytes.extend(MAGIC);
        bytes.extend(self.seen_at.to_le_bytes());
        bytes.extend(self.result.as_bytes());
        bytes.extend((self.seen.len() as u32).to_le_bytes());
        let mut before: &[u8] = &[];
        for (path, seen) in self.iter() {
            let path = path.as_bytes();
            let most = before.len().min(path.len()).min(usize::from(u16::MAX));
            let shared = (0..most).find(|&at| before[at] != path[at]).unwrap_or(most);
            let rest = &path[shared..];
            bytes.extend((shared as u16).to_le_bytes());
            bytes.extend((rest.len() as u16).to_le_bytes());
            bytes.extend(rest);
            let stat = |bytes: &mut Vec<u8>, stat: &Stat| {
                bytes.extend(stat.size.to_le_bytes());
                bytes.extend(stat.mtime.to_le_bytes());
                bytes.extend(stat.ctime.to_le_bytes());
                bytes.extend(stat.inode.to_le_bytes());
            };
            match &seen {
                Seen::File { stat: of, settled, digest } => {
                    bytes.push(u8::from(*settled));
                    stat(&mut bytes, of);
                    bytes.extend(digest.as_bytes());
                }
                Seen::Folder { stat: of, settled } => {
                    bytes.push(2 + u8::from(*settled));
                    stat(&mut bytes, of);
                }
                Seen::Named { digest } => {
                    bytes.push(4);
                    bytes.extend(digest.as_bytes());
                }
                Seen::Missing => bytes.push(5),
            }
            before = path;
        }
        bytes
    }

    /// Reads it back; `None` when the bytes are of another form.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take(8)? != MAGIC {
            return None;
        }
        let (seen_at, result, count) = (reader.i64()?, reader.digest()?, reader.u32()? as usize);
        let mut paths: Vec<u8> = Vec::with_capacity(count.min(bytes.len()) * 64);
        let mut seen = Vec::with_capacity(count.min(bytes.len()));
        let mut before = 0..0;
        for _ in 0..count {
            let (shared, rest) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
            let rest = reader.take(rest)?;
            let start = paths.len();
            if shared > before.len() {
                return None;
            }
            paths.extend_from_within(before.start..before.start + shared);
            paths.extend_from_slice(rest);
            before = start..paths.len();
            let what = match reader.take(1)?[0] {
                settled @ 0..=1 => Seen::File { stat: reader.stat()?, settled: settled == 1, digest: reader.digest()? },
                settled @ 2..=3 => Seen::Folder { stat: reader.stat()?, settled: settled == 3 },
                4 => Seen::Named { digest: reader.digest()? },
                5 => Seen::Missing,
                _ => return None,
            };
            seen.push((before.clone(), what));
        }
        let paths = String::from_utf8(paths).ok()?;
        let whole = seen.iter().all(|(range, _): &(std::ops::Range<usize>, _)| paths.is_char_boundary(range.start));
        whole.then_some(Self { seen_at, result, paths, seen })
    }
}

impl Located {
    /// The bytes, when they still are those of `digest`.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, String> {
        let bytes = fs::read(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
        match self.identity {
            Identity::Content if Digest::of(&bytes) == digest => Ok(bytes),
            Identity::Content => Err("the file changed while the run was reading it".to_owned()),
            Identity::Name if has_named_bytes(&self.path, &bytes) => Ok(bytes),
            Identity::Name => Err("its bytes do not have the SHA-1 that its name says".to_owned()),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn digest(&mut self) -> Option<Digest> {
        self.array().map(Digest::from)
    }

    fn stat(&mut self) -> Option<Stat> {
        Some(Stat { size: self.u64()?, mtime: self.i64()?, ctime: self.i64()?, inode: self.u64()? })
    }
}
