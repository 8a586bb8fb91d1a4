//! Looking at the world, and remembering what was seen.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use pipe_store::Digest;
use sha1::{Digest as _, Sha1};

use crate::Trace;
use crate::stat::Stat;
use crate::trace::Seen;

/// Files that one thread looks at before it takes the next ones.
const PART: usize = 64;

/// What a file is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identity {
    /// The BLAKE3 digest of its bytes.
    #[default]
    Content,
    /// The SHA-1 of its bytes, which is its name; checked when the bytes are read anyway.
    Name,
}

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
    known: HashMap<String, Seen>,
    began: SystemTime,
    threads: usize,
    seen: Mutex<BTreeMap<String, Seen>>,
    news: AtomicBool,
}

impl World {
    /// Knows what an earlier trace saw, as far as that can be trusted; nothing with `None`.
    pub fn new(earlier: Option<&Trace>, threads: usize) -> Self {
        let known = earlier.into_iter().flat_map(Trace::iter).map(|(path, seen)| (path.to_owned(), seen)).collect();
        Self { known, began: SystemTime::now(), threads: threads.max(1), seen: Mutex::default(), news: AtomicBool::new(false) }
    }

    /// What was seen, as a trace of how `result` came about.
    pub fn into_trace(self, result: Digest) -> Trace {
        Trace::new(self.began, result, &self.seen.into_inner().unwrap_or_else(PoisonError::into_inner))
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
        let (seen, digest) = self.look(path, Stat::of(&fs::metadata(path)?))?;
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
            let (mut found, mut all) = (Vec::new(), Vec::new());
            loop {
                let start = next.fetch_add(PART, Ordering::Relaxed);
                if start >= count {
                    break;
                }
                for at in start..(start + PART).min(count) {
                    found.push((at, self.first(places(at), identity, &mut all)));
                }
            }
            (found, all)
        };
        let mut digests = vec![Err(Absent::Nowhere); count];
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.threads.min(count.div_ceil(PART))).map(|_| scope.spawn(work)).collect();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for (found, all) in threads.into_iter().filter_map(|thread| thread.join().ok()) {
                found.into_iter().for_each(|(at, digest)| digests[at] = digest);
                for (path, what) in all {
                    self.compare(&path, &what);
                    seen.insert(path, what);
                }
            }
        });
        digests
    }

    fn first(
        &self,
        places: impl IntoIterator<Item = PathBuf>,
        identity: Identity,
        all: &mut Vec<(String, Seen)>,
    ) -> Result<Digest, Absent> {
        for path in places {
            let Some(name) = path.to_str().map(str::to_owned) else {
                return Err(Absent::Unreadable("its path is not Unicode".to_owned()));
            };
            let file = match fs::metadata(&path) {
                Ok(file) if file.is_file() => file,
                _ => {
                    all.push((name, Seen::Missing));
                    continue;
                }
            };
            if identity == Identity::Name {
                let digest = named_sha1(&path).map(|name| named_digest(&name)).ok_or(Absent::Unnamed)?;
                all.push((name, Seen::Named { digest }));
                return Ok(digest);
            }
            let looked = self.look(&path, Stat::of(&file));
            let (seen, digest) = looked.map_err(|error| Absent::Unreadable(error.to_string()))?;
            all.push((name, seen));
            return Ok(digest);
        }
        Err(Absent::Nowhere)
    }

    /// What is at a file, read unless it is as it was.
    fn look(&self, path: &Path, stat: Stat) -> io::Result<(Seen, Digest)> {
        let settled = stat.is_settled(self.began);
        if let Some(Seen::File { stat: before, settled: true, digest }) = self.known.get(key(path).as_str())
            && *before == stat
        {
            return Ok((Seen::File { stat, settled, digest: *digest }, *digest));
        }
        let digest = Digest::of(&fs::read(path)?);
        Ok((Seen::File { stat, settled, digest }, digest))
    }

    fn compare(&self, path: &str, seen: &Seen) {
        if self.known.get(path) != Some(seen) {
            self.news.store(true, Ordering::Relaxed);
        }
    }

    fn remember(&self, path: &Path, seen: Seen) {
        self.compare(&key(path), &seen);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key(path), seen);
    }
}

/// A path in a trace. One that is not Unicode is never found there, so its file is always read.
fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The SHA-1 that a file is named by, its ending aside: 40 hex digits in lower case.
pub fn named_sha1(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
    (stem.len() == 40 && stem.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(stem)
}

/// What stands for the content of a file that is known by its SHA-1.
fn named_digest(sha1: &str) -> Digest {
    Digest::of(format!("sha1 {sha1}").as_bytes())
}

pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
