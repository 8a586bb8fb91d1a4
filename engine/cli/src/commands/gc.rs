//! `pipe gc`.

use pipe_core::{Keep, sweep};
use pipe_store::{Store, StoreError, UseLock};
use serde_json::json;

use crate::args::{Format, GcArgs};
use crate::number::{bytes, counted};
use crate::{Stop, diagnostic, output};

/// Runs that are kept where nothing else is said.
const KEEP_RUNS: usize = 10;

pub(crate) fn gc(args: &GcArgs) -> Result<(), Stop> {
    let place = super::store::place(args.info.file.as_ref())?;
    let keep = match (args.keep.keep_runs, args.keep.older_than, args.keep.max_size) {
        (_, Some(age), _) => Keep::Seconds(age),
        (_, _, Some(size)) => Keep::Bytes(size),
        (runs, None, None) => Keep::Runs(runs.unwrap_or(KEEP_RUNS)),
    };
    let swept = alone(&place.store, |alone| sweep(&place.store, keep, args.dry_run, alone))?;
    if args.info.format == Format::Json {
        let value = json!({
            "blobs": swept.blobs, "items": swept.items, "records": swept.records, "bytes": swept.bytes,
            "dry_run": args.dry_run,
        });
        return output::result(&format!("{value:#}\n"));
    }
    let would = if args.dry_run { "would take away" } else { "took away" };
    let (blobs, items, records) =
        (counted(swept.blobs, "blob"), counted(swept.items, "item"), counted(swept.records, "record"));
    output::result(&format!("{would} {blobs}, {items} and {records}: {}\n", bytes(swept.bytes)))
}

/// Does something while nobody else uses the store; says so when it must wait.
pub(super) fn alone<T>(store: &Store, act: impl FnOnce(&UseLock) -> Result<T, StoreError>) -> Result<T, Stop> {
    let mut told = false;
    let lock = store.lock_alone(|| {
        if !std::mem::replace(&mut told, true) {
            output::message("waiting: another pipe process uses the store\n");
        }
        true
    });
    let done = lock.and_then(|lock| lock.map(|lock| act(&lock)).transpose());
    done.map_err(|error| diagnostic::store(&error))?.ok_or(Stop::Interrupted)
}
