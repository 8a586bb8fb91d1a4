//! Looking at the world, and remembering what was seen.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use pipe_store::Digest;

use crate::identity::named_digest;
use crate::stat::Stat;
use crate::trace::Seen;
use crate::{Identity, Trace};

/// Files that one thread looks at before it takes the next ones.
const PART: usize = 64;

/// Why a file has no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// It is at none of the places where it may be.
    Nowhere,
    /// It is there, but cannot be read.
    Unreadable(String),
    /// It is to be known by its name, which is no SHA-1.
    Unnamed,
}

/// Looks at the world and remembers what it saw.
#[derive(Debug)]
pub struct World {
    earlier: Option<Trace>,
    began: SystemTime,
    threads: usize,
    /// What was asked for one by one.
    seen: Mutex<HashMap<String, Seen>>,
    /// What was asked for in large numbers.
    found: Mutex<Vec<(String, Seen)>>,
    news: AtomicBool,
}

impl World {
    /// Knows what an earlier trace saw, as far as that can be trusted; nothing with `None`.
    pub fn new(earlier: Option<Trace>, threads: usize) -> Self {
        let (seen, found, news) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Self { earlier, began: SystemTime::now(), threads: threads.max(1), seen, found, news }
    }

    /// The earlier trace.
    pub fn earlier(&self) -> Option<&Trace> {
        self.earlier.as_ref()
    }

    /// What was seen, as a trace of how `result` came about.
    pub fn into_trace(self, result: Digest) -> Trace {
        let mut all = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.extend(self.seen.into_inner().unwrap_or_else(PoisonError::into_inner));
        Trace::new(self.began, result, all)
    }

    /// Whether something was seen that the earlier trace does not say.
    pub fn has_news(&self) -> bool {
        self.news.load(Ordering::Relaxed)
    }

    /// A file's bytes and their digest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &Path) -> io::Result<(Vec<u8>, Digest)> {
        let stat = Stat::of(&fs::metadata(path)?);
        let bytes = fs::read(path)?;
        let digest = Digest::of(&bytes);
        self.remember(path, Seen::File { stat, settled: stat.is_settled(self.began), digest });
        Ok((bytes, digest))
    }

    /// The digest of a file's bytes, which are read only when they may have changed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, path: &Path) -> io::Result<Digest> {
        // Many nodes may name the same file; it counts as it was when it was first looked at.
        if let Some(Seen::File { digest, .. }) = self.seen_at(path) {
            return Ok(digest);
        }
        let (seen, digest) = self.look(path, self.known(&key(path)), Stat::of(&fs::metadata(path)?), None)?;
        self.remember(path, seen);
        Ok(digest)
    }

    /// What lies in a folder, sorted by name.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let stat = Stat::of(&fs::metadata(path)?);
        let entries = fs::read_dir(path)?;
        let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        paths.sort_unstable();
        self.remember(path, Seen::Folder { stat, settled: stat.is_settled(self.began) });
        Ok(paths)
    }

    /// Finds `count` files on all threads: each the first of its `places` where there is one.
    pub fn find<P>(
        &self,
        count: usize,
        identity: Identity,
        places: impl Fn(usize) -> P + Sync,
    ) -> Vec<Result<Digest, Absent>>
    where
        P: IntoIterator<Item = PathBuf>,
    {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut parts = Vec::new();
            loop {
                let start = next.fetch_add(PART, Ordering::Relaxed);
                if start >= count {
                    return parts;
                }
                let mut all = Vec::with_capacity(PART);
                let digests: Vec<_> =
                    (start..(start + PART).min(count)).map(|at| self.first(places(at), identity, &mut all)).collect();
                parts.push((start, digests, all));
            }
        };
        let mut parts: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.min(count.div_ceil(PART))).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        // In the order that was asked for: often the paths' own, so that sorting them costs little.
        parts.sort_unstable_by_key(|(start, ..)| *start);
        let mut digests = Vec::with_capacity(count);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for (start, part, all) in parts {
            digests.resize(start, Err(Absent::Nowhere));
            digests.extend(part);
            found.extend(all);
        }
        digests.resize(count, Err(Absent::Nowhere));
        digests
    }

    fn first(
        &self,
        places: impl IntoIterator<Item = PathBuf>,
        identity: Identity,
        all: &mut Vec<(String, Seen)>,
    ) -> Result<Digest, Absent> {
        for path in places {
            let Ok(name) = path.into_os_string().into_string() else {
                return Err(Absent::Unreadable("its path is not Unicode".to_owned()));
            };
            let path = Path::new(&name);
            let known = self.known(&name);
            let looked = match (identity, known) {
                // What was read before is looked at before it is opened.
                (Identity::Name, _) | (_, Some(Seen::File { .. })) => fs::metadata(path).map(|file| (file, None)),
                _ => open_file(path).and_then(|open| Ok((open.metadata()?, Some(open)))),
            };
            let (seen, digest) = match looked {
                Ok((file, _)) if file.is_file() && identity == Identity::Name => {
                    let digest = named_digest(path).ok_or(Absent::Unnamed)?;
                    (Seen::Named { digest }, Some(digest))
                }
                Ok((file, open)) if file.is_file() => {
                    let looked = self.look(path, known, Stat::of(&file), open);
                    let (seen, digest) = looked.map_err(|error| Absent::Unreadable(error.to_string()))?;
                    (seen, Some(digest))
                }
                Err(error) if !is_absence(&error) => return Err(Absent::Unreadable(error.to_string())),
                _ => (Seen::Missing, None),
            };
            self.compare(known, seen);
            all.push((name, seen));
            if let Some(digest) = digest {
                return Ok(digest);
            }
        }
        Err(Absent::Nowhere)
    }

    /// What is at a file, read unless it is as it was.
    fn look(&self, path: &Path, known: Option<Seen>, stat: Stat, open: Option<File>) -> io::Result<(Seen, Digest)> {
        let settled = stat.is_settled(self.began);
        if let Some(Seen::File { stat: before, settled: true, digest }) = known
            && before == stat
        {
            return Ok((Seen::File { stat, settled, digest }, digest));
        }
        let mut file = open.map_or_else(|| open_file(path), Ok)?;
        let mut bytes = Vec::with_capacity(usize::try_from(stat.size).unwrap_or(0).saturating_add(1));
        file.read_to_end(&mut bytes)?;
        let digest = Digest::of(&bytes);
        Ok((Seen::File { stat, settled, digest }, digest))
    }

    /// What an earlier trace says of a path.
    fn known(&self, path: &str) -> Option<Seen> {
        self.earlier.as_ref()?.find(path)
    }

    pub(crate) fn seen_at(&self, path: &Path) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(path.to_str()?).copied()
    }

    fn compare(&self, known: Option<Seen>, seen: Seen) {
        if known != Some(seen) {
            self.news.store(true, Ordering::Relaxed);
        }
    }

    fn remember(&self, path: &Path, seen: Seen) {
        self.compare(self.known(&key(path)), seen);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key(path), seen);
    }
}

/// A path in a trace. One that is not Unicode is never found there, so its file is always read.
fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Opens a file to be read. What is no file, such as a pipe that nobody writes to, does not block.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.read(true).open(path)
}

/// Whether nothing is there, rather than something that cannot be had.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}
