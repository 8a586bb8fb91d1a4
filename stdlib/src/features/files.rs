//! Features as an ordinary file: safetensors with one tensor, rows in the order of the records.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use pipe_core::{Artifact, Failure};
use pipe_store::Store;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use serde_json::json;

/// Writes `features` `[rows, features]`, f32; the metadata's `pipe` is JSON with each row's `id`, `value` and `type`
/// in `rows`, and in `meta` how the features were made.
pub(crate) fn write(artifact: &Artifact, store: &Store, to: &Path) -> Result<(), Failure> {
    let Artifact::Collection(features) = artifact else {
        return Err(Failure::new("pipe::internal", "features are a collection"));
    };
    let bytes = features.map_items(store, 1, |_, item| item)?.concat();
    let rows = features.records.rows.len();
    let shape = vec![rows, bytes.len() / 4 / rows.max(1)];
    let rows: Vec<_> = (features.records.rows.iter())
        .map(|row| json!({ "id": row.id, "value": row.value, "type": row.split }))
        .collect();
    // One entry: several would be written in an order of chance, and each time another file.
    let metadata = HashMap::from([("pipe".to_owned(), json!({ "rows": rows, "meta": features.meta }).to_string())]);
    let failed =
        |error: &dyn std::fmt::Display| Failure::new("pipe::export", format!("cannot write {}: {error}", to.display()));
    let view = TensorView::new(Dtype::F32, shape, &bytes).map_err(|error| failed(&error))?;
    let file = serialize([("features", view)], Some(metadata)).map_err(|error| failed(&error))?;
    fs::write(to, file).map_err(|error| failed(&error))
}
