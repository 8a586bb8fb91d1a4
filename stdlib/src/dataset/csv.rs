//! `dataset.csv`.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use csv::ReaderBuilder;
use pipe_core::{Failure, ItemFailure, Kind, Reading, Record, Records, Source};
use pipe_spec::{ArtifactType, FilePath, FolderPath, Port};
use pipe_store::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fingerprint::fingerprint;

/// Reads a table of labels, and finds each row's file in one or more object trees.
///
/// An object tree holds every file at `xx/yy/NAME`, where `xx` and `yy` are the first four letters
/// of its name; a file that lies directly in the folder is found too. Several trees are overlaid:
/// a file is looked up in each in turn. Nothing is ever written into them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Csv {
    /// The table, with a header line.
    labels: FilePath,
    /// The object trees, in the order in which they are searched. Without any, the rows have
    /// labels but no files.
    #[serde(default)]
    objects: Vec<FolderPath>,
    /// The column that holds the file's name.
    #[serde(default = "default_id")]
    id: String,
    /// The column that holds the label.
    #[serde(default = "default_value")]
    value: String,
}

fn default_id() -> String {
    "objectId".into()
}

fn default_value() -> String {
    "value".into()
}

impl Kind for Csv {
    const NAME: &'static str = "dataset.csv";
    const VERSION: u32 = 1;
    const OUTPUTS: &'static [Port] = &[Port::new("records", ArtifactType::Records)];
}

impl Source for Csv {
    fn read(&self) -> Result<Reading, Failure> {
        let mut rows = self.rows()?;
        let mut files = HashMap::new();
        if !self.objects.is_empty() {
            let paths = self.find(&rows)?;
            let mut broken = Vec::new();
            for ((row, path), digest) in rows.iter_mut().zip(&paths).zip(fingerprint(&paths)) {
                match digest {
                    Ok(digest) => {
                        row.content = Some(digest);
                        files.insert(digest, path.clone());
                    }
                    Err(reason) => broken.push(ItemFailure { id: row.id.clone(), reason }),
                }
            }
            if !broken.is_empty() {
                return Err(Failure::items(format!("{} files cannot be read", broken.len()), broken).param("objects"));
            }
        }
        Ok(Reading { records: Records::new(rows), files })
    }
}

impl Csv {
    fn rows(&self) -> Result<Vec<Record>, Failure> {
        let path = self.labels.path();
        let name = path.display().to_string();
        let unreadable =
            |error: std::io::Error| Failure::new("pipe::data", format!("cannot read {name}: {error}")).param("labels");
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line =
                error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            Failure::new("pipe::data", format!("{name} is not UTF-8 text (line {line})"))
                .param("labels")
                .help("save it as UTF-8")
        })?;
        let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
        let broken = |error: csv::Error| {
            let at = error.position().map_or(0, |position| position.byte() as usize).min(text.len());
            let end = text[at..].find('\n').map_or(text.len(), |line| at + line);
            Failure::new("pipe::data", format!("{name}: {error}")).snippet(&name, &text, (at, end), "this line")
        };
        let header = reader.headers().map_err(broken)?.clone();
        let column = |wanted: &str| {
            let wanted_at = header.iter().position(|column| column.trim_start_matches('\u{feff}') == wanted);
            wanted_at.ok_or_else(|| {
                let end = text.find(['\r', '\n']).unwrap_or(text.len());
                let columns = header.iter().collect::<Vec<_>>().join("`, `");
                Failure::new("pipe::data", format!("{name} has no column `{wanted}`"))
                    .snippet(&name, &text, (0, end), "the header")
                    .help(format!("its columns are `{columns}`; name others with the params `id` and `value`"))
            })
        };
        let (id, value) = (column(&self.id)?, column(&self.value)?);
        let mut rows = Vec::new();
        for row in reader.records() {
            let row = row.map_err(broken)?;
            let cell = |at: usize, column: &str| match row.get(at).map(str::trim) {
                Some(cell) if !cell.is_empty() => Ok(cell.to_owned()),
                _ => {
                    let at = row.position().map_or(0, |position| position.byte() as usize).min(text.len());
                    let end = text[at..].find(['\r', '\n']).map_or(text.len(), |line| at + line);
                    Err(Failure::new("pipe::data", format!("{name} has a row without `{column}`"))
                        .snippet(&name, &text, (at, end), "this row")
                        .help("give it a value or remove the row"))
                }
            };
            rows.push(Record { id: cell(id, &self.id)?, value: cell(value, &self.value)?, split: None, content: None });
        }
        let mut labels: HashMap<&str, &str> = HashMap::new();
        for row in &rows {
            let label = labels.entry(&row.id).or_insert(&row.value);
            if *label != row.value {
                let message = format!("{name} gives `{}` two labels, `{label}` and `{}`", row.id, row.value);
                return Err(Failure::new("pipe::data", message)
                    .param("labels")
                    .help("keep the row with the right one"));
            }
        }
        if rows.is_empty() {
            return Err(Failure::new("pipe::data", format!("{name} has no rows"))
                .param("labels")
                .help("add a row for each photo"));
        }
        Ok(rows)
    }

    /// Every row's file.
    fn find(&self, rows: &[Record]) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = Vec::with_capacity(rows.len());
        let mut lost = Vec::new();
        for row in rows {
            let inside = Path::new(&row.id).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside {
                lost.push(ItemFailure { id: row.id.clone(), reason: "leads out of the object trees".into() });
                continue;
            }
            let place = |tree: &FolderPath| {
                let nested = match (row.id.get(..2), row.id.get(2..4)) {
                    (Some(first), Some(second)) => tree.path().join(first).join(second).join(&row.id),
                    _ => tree.path().join(&row.id),
                };
                if nested.is_file() {
                    Some(nested)
                } else {
                    Some(tree.path().join(&row.id)).filter(|flat| flat.is_file())
                }
            };
            match self.objects.iter().find_map(place) {
                Some(path) => paths.push(path),
                None => lost.push(ItemFailure { id: row.id.clone(), reason: "in no object tree".into() }),
            }
        }
        if lost.is_empty() {
            return Ok(paths);
        }
        let noun = if lost.len() == 1 { "row has" } else { "rows have" };
        let message = format!("{} {noun} no file", lost.len());
        Err(Failure::items(message, lost)
            .param("objects[0]")
            .help("a file lies at xx/yy/NAME, xx and yy being the first four letters of NAME"))
    }
}

/// Files by digest.
pub(super) type Files = HashMap<Digest, PathBuf>;
