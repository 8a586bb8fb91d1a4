//! Digests of many files.

use std::path::PathBuf;
use std::thread;

use pipe_store::Digest;

/// The digest of every file's bytes, read on all cores, or why a file cannot be read.
pub(super) fn fingerprint(paths: &[PathBuf]) -> Vec<Result<Digest, String>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = paths.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> =
            paths.chunks(part).map(|part| scope.spawn(|| part.iter().map(digest).collect::<Vec<_>>())).collect();
        let join = |part: thread::ScopedJoinHandle<'_, Vec<_>>| part.join().unwrap_or_default();
        parts.into_iter().flat_map(join).collect()
    })
}

fn digest(path: &PathBuf) -> Result<Digest, String> {
    std::fs::read(path).map(|bytes| Digest::of(&bytes)).map_err(|error| error.to_string())
}
