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
        let time = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
        Self {
            size: file.len(),
            mtime: time(file.mtime(), file.mtime_nsec()),
            ctime: time(file.ctime(), file.ctime_nsec()),
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

/// Nanoseconds since 1970.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |before| -before),
    }
}
