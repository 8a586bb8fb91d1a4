//! `split.hash`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use pipe_core::{Artifact, Failure, Inputs, ItemFailure, Job, Kind, Record, Records, Split, Whole};
use pipe_spec::types;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Splits records by a byte of a hash, so that an item keeps its place as the data grows.
///
/// The key is the last byte of the SHA-1 that the item is named by (the last two hex digits of
/// its id without the ending), or of its content's BLAKE3. With `balance: truncate`, test and
/// validation then keep, in the order of the table, as many rows of each class as their rarest
/// class has; the surplus goes to train.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HashSplit {
    /// The keys of test rows, such as `0..=24`.
    pub test: ByteRange,
    /// The keys of validation rows, such as `25..=49`.
    pub validation: ByteRange,
    /// What to do about classes of different sizes in test and validation.
    pub balance: Balance,
    /// Whose last byte the key is.
    pub by: By,
}

impl Default for HashSplit {
    fn default() -> Self {
        Self { test: (0..=24).into(), validation: (25..=49).into(), balance: Balance::None, by: By::Name }
    }
}

/// What to do about classes of different sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Leave them.
    #[default]
    None,
    /// Move the surplus to train.
    Truncate,
}

/// What the key is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The hex digits that the item is named by.
    #[default]
    Name,
    /// The BLAKE3 of its bytes, for items with names of any kind.
    Content,
}

/// Bytes from a first to a last, both included, written `0..=24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteRange {
    first: u8,
    last: u8,
}

impl ByteRange {
    fn contains(self, key: u8) -> bool {
        (self.first..=self.last).contains(&key)
    }
}

/// An empty range is refused with the other params.
impl From<RangeInclusive<u8>> for ByteRange {
    fn from(range: RangeInclusive<u8>) -> Self {
        Self { first: *range.start(), last: *range.end() }
    }
}

impl TryFrom<String> for ByteRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (first, last) = text.split_once("..=").ok_or("expected a range such as 0..=24")?;
        let byte = |text: &str| text.parse::<u8>().map_err(|_| format!("`{text}` is not a byte, 0 to 255"));
        let range = Self { first: byte(first)?, last: byte(last)? };
        if range.first > range.last { Err(format!("{} is more than {}", range.first, range.last)) } else { Ok(range) }
    }
}

impl From<ByteRange> for String {
    fn from(range: ByteRange) -> Self {
        format!("{}..={}", range.first, range.last)
    }
}

impl JsonSchema for ByteRange {
    fn schema_name() -> Cow<'static, str> {
        "ByteRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^\d{1,3}\.\.=\d{1,3}$", "examples": ["0..=24"] })
    }
}

impl Kind for HashSplit {
    const NAME: &'static str = "split.hash";
    const VERSION: u32 = 1;
    type Inputs = types::Records;
    const INPUTS: &'static [&'static str] = &["records"];
    type Outputs = types::Records;
    const OUTPUTS: &'static [&'static str] = &["records"];

    fn validate(&self) -> Result<(), Failure> {
        if self.test.last < self.validation.first || self.validation.last < self.test.first {
            return Ok(());
        }
        let message =
            format!("test {} and validation {} overlap", String::from(self.test), String::from(self.validation));
        Err(Failure::new("pipe::invalid_param", message).param("validation").help("give each key to one of them"))
    }
}

impl Whole for HashSplit {
    fn run(&self, inputs: &Inputs<'_>, _: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let mut records = inputs.records("records")?.clone();
        let mut unnamed = Vec::new();
        for row in &mut records.rows {
            match self.key(row) {
                Some(key) if self.test.contains(key) => row.split = Some(Split::Test),
                Some(key) if self.validation.contains(key) => row.split = Some(Split::Validation),
                Some(_) => row.split = Some(Split::Train),
                None => unnamed
                    .push(ItemFailure { id: row.id.clone(), reason: "its name does not end in two hex digits".into() }),
            }
        }
        if !unnamed.is_empty() {
            let message = format!("{} items are not named by a hash", unnamed.len());
            return Err(Failure::items(message, unnamed).param("by").help("split them by their bytes: `by: content`"));
        }
        if self.balance == Balance::Truncate {
            truncate(&mut records, Split::Test);
            truncate(&mut records, Split::Validation);
        }
        Ok(vec![Artifact::Records(records)])
    }
}

impl HashSplit {
    fn key(&self, row: &Record) -> Option<u8> {
        match self.by {
            By::Content => row.content.map(|digest| digest.as_bytes()[31]),
            By::Name => {
                let stem = row.id.rsplit_once('.').map_or(row.id.as_str(), |(stem, _)| stem);
                let digits = stem.get(stem.len().checked_sub(2)?..)?;
                u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            }
        }
    }
}

/// Keeps the first rows of each class, as many as the rarest has; the rest becomes train.
fn truncate(records: &mut Records, split: Split) {
    let mut counts: BTreeMap<&str, usize> = records.classes.iter().map(|class| (class.as_str(), 0)).collect();
    for row in records.rows.iter().filter(|row| row.split == Some(split)) {
        *counts.entry(row.value.as_str()).or_default() += 1;
    }
    let most = counts.values().copied().min().unwrap_or_default();
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for row in records.rows.iter_mut().filter(|row| row.split == Some(split)) {
        let kept = kept.entry(row.value.clone()).or_default();
        if *kept == most {
            row.split = Some(Split::Train);
        } else {
            *kept += 1;
        }
    }
}
