//! What the file system says of a file.

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that changed less than this before it was looked at may change again unnoticed: file
/// systems count time in steps of up to two seconds (FAT). Git has the same rule for its index.
const STEP: Duration = Duration::from_secs(2);

/// What changes whenever a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) mtime: i64,
    /// Nanoseconds since 1970; cannot be set back by hand, unlike `mtime`.
    pub(crate) ctime: i64,
    pub(crate) inode: u64,
}

impl Stat {
    #[cfg(unix)]
    pub(crate) fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            size: file.len(),
            mtime: joined(file.mtime(), file.mtime_nsec()),
            ctime: joined(file.ctime(), file.ctime_nsec()),
            inode: file.ino(),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn of(file: &Metadata) -> Self {
        let time = |time: std::io::Result<SystemTime>| time.map_or(0, nanoseconds);
        Self { size: file.len(), mtime: time(file.modified()), ctime: time(file.created()), inode: 0 }
    }

    /// Whether any change after `now` must show.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        self.mtime.max(self.ctime) <= nanoseconds(now).saturating_sub(STEP.as_nanos() as i64)
    }
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    File,
    Folder,
    Other,
}

/// Looks at many paths below one folder. The system walks from that folder, not from the root: a
/// third of the time on deep trees.
pub(crate) struct Looker<'a> {
    folder: &'a str,
    #[cfg(unix)]
    open: Option<std::fs::File>,
}

impl<'a> Looker<'a> {
    pub(crate) fn new(folder: &'a str) -> Self {
        Self {
            folder,
            #[cfg(unix)]
            open: std::fs::File::open(folder).ok(),
        }
    }

    /// What lies at a path that begins with the folder; `None` where nothing does.
    pub(crate) fn look(&self, path: &str) -> Option<(Thing, Stat)> {
        #[cfg(unix)]
        if let (Some(open), Some(rest)) = (&self.open, path.strip_prefix(self.folder)) {
            use rustix::fs::{AtFlags, FileType, statat};
            let seen = statat(open, rest, AtFlags::empty()).ok()?;
            let thing = match FileType::from_raw_mode(seen.st_mode) {
                FileType::RegularFile => Thing::File,
                FileType::Directory => Thing::Folder,
                _ => Thing::Other,
            };
            let stat = Stat {
                size: seen.st_size.cast_unsigned(),
                mtime: joined(seen.st_mtime, seen.st_mtime_nsec as i64),
                ctime: joined(seen.st_ctime, seen.st_ctime_nsec as i64),
                inode: seen.st_ino,
            };
            return Some((thing, stat));
        }
        let file = std::fs::metadata(path).ok()?;
        let thing = match (file.is_file(), file.is_dir()) {
            (true, _) => Thing::File,
            (_, true) => Thing::Folder,
            _ => Thing::Other,
        };
        Some((thing, Stat::of(&file)))
    }
}

/// Seconds and nanoseconds as nanoseconds.
#[cfg(unix)]
fn joined(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// Nanoseconds since 1970.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |before| -before),
    }
}
