//! What of a store is still of use.

use std::collections::{BTreeMap, HashSet};

use pipe_store::{Digest, Store, StoreError, Swept, UseLock};

use crate::history::{self, Run};
use crate::{NodeResult, run_nodes};

/// Which runs keep what they gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The last so many of each pipeline's file.
    Runs(usize),
    /// Those that began within so many seconds, and the last of each file.
    Seconds(u64),
    /// As many of the newest as fit into so many bytes, and the last of each file.
    Bytes(u64),
}

/// Takes away what no kept run gave. With `dry`, only tells what it would take. `alone` shows that
/// nobody else uses the store.
///
/// # Errors
/// When the file system refuses.
pub fn sweep(store: &Store, keep: Keep, dry: bool, alone: &UseLock) -> Result<Swept, StoreError> {
    let mut runs = history::runs(store);
    runs.reverse();
    let live = match keep {
        Keep::Runs(count) => live(store, &runs, &newest(&runs, count.max(1))),
        Keep::Seconds(age) => {
            let last = newest(&runs, 1);
            let now = jiff::Timestamp::now().as_second();
            let young =
                |run: &&Run| run.time.parse::<jiff::Timestamp>().is_ok_and(|time| now - time.as_second() <= age as i64);
            live(store, &runs, &runs.iter().filter(|run| young(run) || last.contains(run)).collect::<Vec<_>>())
        }
        Keep::Bytes(most) => {
            // The most runs first; what would be removed is only counted.
            let used = store.usage().bytes();
            let most_runs = runs.len().max(1);
            let fits = |count: &usize| {
                let live = live(store, &runs, &newest(&runs, *count));
                store.sweep(&live, true, alone).is_ok_and(|swept| used.saturating_sub(swept.bytes) <= most)
            };
            let count = (1..=most_runs).rev().find(fits).unwrap_or(1);
            live(store, &runs, &newest(&runs, count))
        }
    };
    store.sweep(&live, dry, alone)
}

/// The newest `count` runs of each file, of runs from the newest to the oldest.
fn newest(runs: &[Run], count: usize) -> Vec<&Run> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for run in runs {
        let seen = seen.entry(&run.file).or_insert(0);
        *seen += 1;
        if *seen <= count {
            kept.push(run);
        }
    }
    kept
}

/// Everything that the kept of all runs, the pinned ones and the last of each file gave, and all that
/// it refers to.
fn live(store: &Store, all: &[Run], kept: &[&Run]) -> HashSet<Digest> {
    let pins = history::pins(store);
    let pinned = all.iter().filter(|run| pins.contains(&run.id));
    let mut live = HashSet::new();
    let mut results: Vec<NodeResult> = Vec::new();
    for run in kept.iter().copied().chain(pinned) {
        live.extend(run.ran.values().filter_map(|report| report.log));
        if live.insert(run.nodes) {
            results.extend(run_nodes(store, run).unwrap_or_default().into_values());
        }
    }
    results.extend(history::all_last(store).into_iter().flat_map(|last| last.nodes).map(|(_, node)| node.result));
    // What a run measured stays in the log, however little of what it gave is kept.
    live.extend(all.iter().map(|run| run.nodes));
    for result in results {
        live.insert(result.key);
        live.extend(result.log);
        live.extend(result.parts);
        for output in result.outputs.into_values() {
            if live.insert(output) {
                live.extend(store.get(output).iter().flat_map(|bytes| mentioned(bytes)));
            }
        }
    }
    live
}

/// Every digest that an artifact mentions: 64 hex digits in a row. Too many do no harm.
fn mentioned(bytes: &[u8]) -> Vec<Digest> {
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let runs = bytes.split(|byte| !is_hex(byte)).filter(|run| run.len() == 64);
    runs.filter_map(|run| std::str::from_utf8(run).ok()?.parse().ok()).collect()
}
