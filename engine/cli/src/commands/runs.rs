//! Runs by the names that people give them.

use pipe_core::{Run, runs};
use pipe_store::Store;

use crate::{Stop, diagnostic};

/// The runs of a file, the newest first; of all files with `None`.
pub(super) fn of_file(store: &Store, file: Option<&str>) -> Vec<Run> {
    let mut runs = runs(store);
    runs.retain(|run| file.is_none_or(|file| run.file == file));
    runs.reverse();
    runs
}

/// The run that is meant by `last`, `last~2` or the beginning of an id; `None` when there is none.
pub(super) fn find<'a>(runs: &'a [Run], word: &str) -> Option<&'a Run> {
    if word == "last" {
        return runs.first();
    }
    if let Some(back) = word.strip_prefix("last~").and_then(|back| back.parse::<usize>().ok()) {
        return runs.get(back);
    }
    let mut named = runs.iter().filter(|run| run.id.starts_with(word));
    named.next().filter(|run| run.id == word || named.next().is_none())
}

/// As [`find`], and says so when there is none.
pub(super) fn wanted<'a>(runs: &'a [Run], word: &str) -> Result<&'a Run, Stop> {
    find(runs, word).ok_or_else(|| {
        let hint = "`pipe log` lists the runs; name one by the beginning of its id, or as last, last~1, …";
        diagnostic::error(&format!("there is no run `{word}`, or more than one"), Some(hint));
        Stop::Mistake
    })
}
