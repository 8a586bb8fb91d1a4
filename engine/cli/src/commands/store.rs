//! `pipe store`.

use std::path::{Path, PathBuf};

use pipe_core::lost_results;
use serde_json::json;

use crate::args::{Format, InfoArgs, VerifyArgs};
use crate::number::{bytes, count, counted};
use crate::project::{DEFAULT_FILE, Place, threads};
use crate::{Stop, diagnostic, output, table};

/// The pipeline's file whose store is meant.
pub(super) fn file(args: &InfoArgs) -> &Path {
    args.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
}

/// The store of a pipeline's file.
pub(super) fn place(file: Option<&PathBuf>) -> Result<Place, Stop> {
    let file = file.map_or(Path::new(DEFAULT_FILE), |file| file);
    Place::of(file).map_err(|error| diagnostic::unusable(&error))
}

pub(crate) fn info(args: &InfoArgs) -> Result<(), Stop> {
    let place = place(args.file.as_ref())?;
    let usage = place.store.usage();
    let runs = super::runs::of_file(&place.store, None).len();
    if args.format == Format::Json {
        let value = json!({
            "path": place.store_folder,
            "bytes": usage.bytes(),
            "blobs": { "count": usage.blobs, "bytes": usage.blob_bytes },
            "items": usage.items,
            "packs": { "count": usage.packs, "bytes": usage.pack_bytes },
            "other_bytes": usage.other_bytes,
            "runs": runs,
        });
        return output::result(&format!("{value:#}\n"));
    }
    let row = |what: &str, number: usize, size: u64| vec![what.to_owned(), count(number), bytes(size)];
    let rows = [
        row("artifacts and files", usage.blobs, usage.blob_bytes),
        row("items, in packs", usage.items, usage.pack_bytes),
        row("runs, records, indexes", runs, usage.other_bytes),
        vec!["all".to_owned(), String::new(), bytes(usage.bytes())],
    ];
    output::result(&format!("{}\n{}", place.store_folder.display(), table::table(&["", "number", "size"], &rows)))
}

pub(crate) fn verify(args: &VerifyArgs) -> Result<(), Stop> {
    let place = place(args.info.file.as_ref())?;
    // Nothing is swept away meanwhile.
    let found = place.store.lock_use().and_then(|_in_use| place.store.verify(threads(), args.repair));
    let found = found.map_err(|error| diagnostic::store(&error))?;
    let lost = lost_results(&place.store);
    if args.info.format == Format::Json {
        let damage: Vec<_> =
            found.damage.iter().map(|damage| json!({ "path": damage.path, "what": damage.what })).collect();
        let lost: Vec<_> = lost.iter().map(|(node, digest)| json!({ "node": node, "digest": digest })).collect();
        let value = json!({
            "files": found.files, "bytes": found.bytes, "damage": damage, "repaired": args.repair, "lost": lost,
        });
        output::result(&format!("{value:#}\n"))?;
    } else {
        for damage in &found.damage {
            output::result(&format!("{}: {}\n", damage.path, damage.what))?;
        }
        for (node, digest) in &lost {
            output::result(&format!("{digest}: lost; `{node}` gave it, and the next run computes it again\n"))?;
        }
        let read = format!("{} read, {}", counted(found.files, "file"), bytes(found.bytes));
        output::result(&match (found.damage.len(), args.repair) {
            (0, _) => format!("{read}: no damage\n"),
            (damaged, true) => format!("{read}: {damaged} damaged and dropped; they are computed again when needed\n"),
            (damaged, false) => format!("{read}: {damaged} damaged; `pipe store verify --repair` drops them\n"),
        })?;
    }
    if found.damage.is_empty() || args.repair { Ok(()) } else { Err(Stop::Failed) }
}
