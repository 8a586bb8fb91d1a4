//! Values as an ordinary file: a line of JSON for each record.

use std::fs;
use std::path::Path;

use pipe_core::{Artifact, Failure};
use pipe_store::Store;
use serde_json::{Value, json};

/// Writes `{"objectId": ..., "value": ..., "type": ..., "result": ...}` for each record, in their order.
pub(crate) fn write(artifact: &Artifact, store: &Store, to: &Path) -> Result<(), Failure> {
    let Artifact::Collection(values) = artifact else {
        return Err(Failure::new("pipe::internal", "values are a collection"));
    };
    let line = |at: usize, item: Vec<u8>| {
        let row = &values.records.rows[at];
        let result: Value = serde_json::from_slice(&item).unwrap_or_default();
        format!("{}\n", json!({ "objectId": row.id, "value": row.value, "type": row.split, "result": result }))
    };
    let lines = values.map_items(store, 1, line)?.concat();
    let failed = |error| Failure::new("pipe::export", format!("cannot write {}: {error}", to.display()));
    fs::write(to, lines).map_err(failed)
}
