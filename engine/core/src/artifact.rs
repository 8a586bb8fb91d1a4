//! Artifacts: what nodes give one another.
//!
//! Every artifact is one JSON blob, named by its digest; items and large parts are further blobs
//! that it names by theirs. So equal content has an equal name, wherever it was made.

use std::collections::{BTreeMap, BTreeSet};

use pipe_store::{Digest, ItemEntry, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Failure;

/// About as many bytes as a row and its item take as JSON.
const ROW_BYTES: usize = 256;

/// What an output port holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Artifact {
    /// A table of items.
    Records(Records),
    /// Items computed from records, stored one by one.
    Collection(Collection),
    /// Anything else: a model, metrics.
    Document(Document),
    /// Ordinary files.
    Files(Files),
}

/// Ordinary files, each a blob.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Files {
    /// The digest of each file's bytes, by its path with `/` between folders.
    pub files: BTreeMap<String, Digest>,
}

/// A table of labelled items, in a fixed order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Records {
    /// The labels that occur, sorted: as numbers where all are numbers, as text otherwise.
    /// A row's class index is its label's place in this list.
    pub classes: Vec<String>,
    /// The rows.
    pub rows: Vec<Record>,
}

/// One row of [`Records`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name in the data set, such as `00002562….jpg`.
    pub id: String,
    /// Its label.
    pub value: String,
    /// The part of the data set that it was put into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The digest of its bytes, where the data set has bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What a model learns from.
    Train,
    /// What tells during training how well it learns.
    Validation,
    /// What tells at the end how well it learned.
    Test,
}

impl Split {
    /// `train`, `validation` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl Records {
    /// A table whose classes are the labels that occur in it.
    pub fn new(rows: Vec<Record>) -> Self {
        let classes: BTreeSet<&str> = rows.iter().map(|row| row.value.as_str()).collect();
        let mut classes: Vec<String> = classes.into_iter().map(str::to_owned).collect();
        let numbers: Option<Vec<i64>> = classes.iter().map(|class| class.parse().ok()).collect();
        if numbers.is_some() {
            classes.sort_by_key(|class| class.parse::<i64>().unwrap_or_default());
        }
        Self { classes, rows }
    }

    /// The class index of every row, `0..classes.len()`.
    pub fn labels(&self) -> Vec<usize> {
        let index: BTreeMap<&str, usize> =
            self.classes.iter().enumerate().map(|(at, class)| (class.as_str(), at)).collect();
        self.rows.iter().map(|row| index.get(row.value.as_str()).copied().unwrap_or_default()).collect()
    }
}

/// Items computed from records: pixels or feature vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    /// The rows that have an item.
    pub records: Records,
    /// The content digest of each row's item.
    pub items: Vec<Digest>,
    /// How the items were made, for whoever must make more of the same kind.
    pub meta: Value,
    /// The rows left out because they could not be computed.
    pub skipped: Vec<Skipped>,
    /// Blobs that `meta` tells of, by name: `weights` of a backbone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Digest>,
}

impl Collection {
    /// What `take` makes of the bytes of every item, given with the number of its row; on `threads`
    /// threads, so that the bytes need not all be held.
    ///
    /// # Errors
    /// When an item is lost or damaged.
    pub fn map_items<T: Send>(
        &self,
        store: &Store,
        threads: usize,
        take: impl Fn(usize, Vec<u8>) -> T + Sync,
    ) -> Result<Vec<T>, Failure> {
        let all: Vec<usize> = (0..self.items.len()).collect();
        self.stored(store)?.map(&all, threads, take)
    }

    /// Where its items lie, to read some of them again and again.
    ///
    /// # Errors
    /// When an item is lost.
    pub fn stored<'a>(&'a self, store: &'a Store) -> Result<StoredItems<'a>, Failure> {
        let found = store.find_items(&self.items).into_iter().enumerate();
        let entries = found.map(|(row, entry)| entry.ok_or_else(|| self.lost(row))).collect::<Result<_, _>>()?;
        Ok(StoredItems { collection: self, store, entries })
    }

    fn lost(&self, row: usize) -> Failure {
        let id = self.records.rows.get(row).map_or("", |row| &row.id);
        Failure::lost(format!("the stored item of `{id}`"))
    }
}

/// The items of a collection, found in the store.
#[derive(Debug)]
pub struct StoredItems<'a> {
    collection: &'a Collection,
    store: &'a Store,
    entries: Vec<ItemEntry>,
}

impl StoredItems<'_> {
    /// What `take` makes of the bytes of some rows' items, in the order of `rows`, given with the place
    /// in it; on `threads` threads.
    ///
    /// # Errors
    /// When an item is damaged.
    pub fn map<T: Send>(
        &self,
        rows: &[usize],
        threads: usize,
        take: impl Fn(usize, Vec<u8>) -> T + Sync,
    ) -> Result<Vec<T>, Failure> {
        let entries: Vec<ItemEntry> = rows.iter().map(|&row| self.entries[row]).collect();
        let read = self.store.read_items(&entries, threads, take);
        read.into_iter().zip(rows).map(|(item, &row)| item.ok_or_else(|| self.collection.lost(row))).collect()
    }
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The row's id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// A JSON document with large parts beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What it says.
    pub json: Value,
    /// Blobs that belong to it, by name: `weights` of a model.
    pub parts: BTreeMap<String, Digest>,
}

impl Artifact {
    /// Its bytes, the same for equal content.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let rows = match self {
            Self::Records(records) => records.rows.len(),
            Self::Collection(collection) => collection.records.rows.len(),
            Self::Document(_) | Self::Files(_) => 0,
        };
        let mut bytes = Vec::with_capacity(rows * ROW_BYTES);
        serde_json::to_writer(&mut bytes, self)?;
        Ok(bytes)
    }

    /// Reads it back; `None` when the bytes are of another form.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The blobs that it is made of besides its JSON; items aside.
    pub(crate) fn parts(&self) -> Vec<Digest> {
        match self {
            Self::Document(Document { parts, .. }) | Self::Collection(Collection { parts, .. }) => {
                parts.values().copied().collect()
            }
            Self::Files(files) => files.files.values().copied().collect(),
            Self::Records(_) => Vec::new(),
        }
    }
}
