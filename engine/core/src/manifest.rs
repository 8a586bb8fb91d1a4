//! The manifest: all that decides a node's result, and the key that it hashes to.

use std::collections::BTreeMap;

use pipe_store::{Digest, Hasher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Raised when the meaning of a manifest's fields changes.
const FORMAT: u32 = 1;

/// All that decides a node's result. Two nodes with equal manifests give equal outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// What the node runs.
    pub kind: String,
    /// The version of the kind's code.
    pub version: u32,
    /// Its params, defaults filled in, files replaced by their content's digests, folders left out.
    pub params: Value,
    /// The numeric mode, where it computes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric: Option<String>,
    /// The digest of what is at each input.
    pub inputs: BTreeMap<String, Digest>,
}

/// A field in which two manifests differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The field: `params.epochs`, `inputs.features`.
    pub field: String,
    /// What it was; `None` where it was not there.
    pub old: Option<Value>,
    /// What it is; `None` where it no longer is.
    pub new: Option<Value>,
}

impl Manifest {
    pub(crate) fn new(kind: &str, version: u32, params: Value, numeric: Option<&str>) -> Self {
        let numeric = numeric.map(str::to_owned);
        Self { format: FORMAT, kind: kind.to_owned(), version, params, numeric, inputs: BTreeMap::new() }
    }

    /// BLAKE3 of the manifest's JSON.
    pub fn key(&self) -> Digest {
        // A plain struct of JSON values always has a JSON form.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The key of what a map does to each item: everything but the inputs and the params that
    /// only decide which items there are.
    pub(crate) fn recipe(&self, not_of_items: &[&str]) -> Digest {
        let mut recipe = Self { inputs: BTreeMap::new(), ..self.clone() };
        if let Some(params) = recipe.params.as_object_mut() {
            not_of_items.iter().for_each(|name| drop(params.shift_remove(*name)));
        }
        recipe.key()
    }

    /// The fields in which `self` differs from an older manifest.
    pub fn changes_since(&self, old: &Self) -> Vec<Change> {
        let (old, new) = (flat(&old.json()), flat(&self.json()));
        let fields: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        fields
            .into_iter()
            .filter(|field| old.get(*field) != new.get(*field))
            .map(|field| Change { field: field.clone(), old: old.get(field).cloned(), new: new.get(field).cloned() })
            .collect()
    }

    fn json(&self) -> Value {
        // A plain struct of JSON values always has a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The key of an item: what is done to it, and what it is done to.
pub(crate) fn item_key(recipe: Digest, input: Digest) -> Digest {
    Hasher::default().update(recipe.as_bytes()).update(input.as_bytes()).finish()
}

/// The key of an item after all of a chain's recipes.
pub(crate) fn chain_key(recipes: &[Digest], content: Digest) -> Digest {
    recipes.iter().fold(content, |input, &recipe| item_key(recipe, input))
}

/// The leaves of a JSON value by their paths; lists are leaves.
fn flat(value: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&path, value, leaves);
                }
            }
            leaf => drop(leaves.insert(path.to_owned(), leaf.clone())),
        }
    }
    let mut leaves = BTreeMap::new();
    walk("", value, &mut leaves);
    leaves
}
