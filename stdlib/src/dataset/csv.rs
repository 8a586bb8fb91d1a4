//! `dataset.csv`.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use csv::ReaderBuilder;
use pipe_core::{Failure, ItemFailure, Kind, Record, Records, Source};
use pipe_spec::{FilePath, FolderPath, types};
use pipe_world::{Absent, World};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reads a table of labels, and finds each row's file in one or more object trees.
///
/// An object tree holds every file at `xx/yy/NAME`, where `xx` and `yy` are the first four letters
/// of its name; a file that lies directly in the folder is found too. Several trees are overlaid:
/// a file is looked up in each in turn. Nothing is ever written into them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// The table, with a header line.
    pub labels: FilePath,
    /// The object trees, in the order in which they are searched. Without any, the rows have
    /// labels but no files.
    #[serde(default)]
    pub objects: Vec<FolderPath>,
    /// The column that holds the file's name.
    #[serde(default = "default_id")]
    pub id: String,
    /// The column that holds the label.
    #[serde(default = "default_value")]
    pub value: String,
    /// What a file is known by.
    #[serde(default)]
    pub identity: Identity,
}

/// What a file is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// Its bytes, which are read whenever they may have changed.
    #[default]
    Content,
    /// Its name, the SHA-1 of its bytes. So large trees need not be read to find that nothing
    /// changed; the SHA-1 is checked when the bytes are read anyway.
    Name,
}

impl Csv {
    /// A table of labels without files, its columns named as usual.
    pub fn new(labels: impl Into<FilePath>) -> Self {
        let (id, value) = (default_id(), default_value());
        Self { labels: labels.into(), objects: Vec::new(), id, value, identity: Identity::default() }
    }
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
    type Inputs = ();
    type Outputs = types::Records;
    const OUTPUTS: &'static [&'static str] = &["records"];
}

impl Source for Csv {
    fn read(&self, world: &World) -> Result<Records, Failure> {
        let mut rows = self.rows(world)?;
        if !self.objects.is_empty() {
            self.find(world, &mut rows)?;
        }
        Ok(Records::new(rows))
    }
}

impl Csv {
    fn rows(&self, world: &World) -> Result<Vec<Record>, Failure> {
        let path = self.labels.path();
        let name = path.display().to_string();
        let unreadable =
            |error: std::io::Error| Failure::new("pipe::data", format!("cannot read {name}: {error}")).param("labels");
        let (bytes, _) = world.read(path).map_err(unreadable)?;
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

    /// Gives every row the digest of its file.
    fn find(&self, world: &World, rows: &mut [Record]) -> Result<(), Failure> {
        let outside = |row: &Record| !Path::new(&row.id).components().all(|part| matches!(part, Component::Normal(_)));
        let identity = match self.identity {
            Identity::Content => pipe_world::Identity::Content,
            Identity::Name => pipe_world::Identity::Name,
        };
        let places = |at: usize| {
            let id = &rows[at].id;
            let nested = (id.get(..2), id.get(2..4));
            let trees = if outside(&rows[at]) { &[] } else { self.objects.as_slice() };
            trees.iter().flat_map(move |tree| {
                let join = |parts: &[&str]| {
                    // In one piece: there may be millions of them.
                    let mut path = PathBuf::with_capacity(tree.path().as_os_str().len() + id.len() + 8);
                    path.push(tree.path());
                    parts.iter().for_each(|part| path.push(part));
                    path
                };
                let nested = nested.0.zip(nested.1).map(|(first, second)| join(&[first, second, id]));
                nested.into_iter().chain(std::iter::once_with(move || join(&[id])))
            })
        };
        let found = world.find(rows.len(), identity, places);
        let (mut lost, mut unreadable) = (Vec::new(), Vec::new());
        for (row, found) in rows.iter_mut().zip(found) {
            let failure = |reason: String| ItemFailure { id: row.id.clone(), reason };
            match found {
                Ok(digest) => row.content = Some(digest),
                Err(Absent::Nowhere) if outside(row) => lost.push(failure("leads out of the object trees".into())),
                Err(Absent::Nowhere) => lost.push(failure("in no object tree".into())),
                Err(Absent::Unnamed) => unreadable.push(failure("its name is no SHA-1".into())),
                Err(Absent::Unreadable(reason)) => unreadable.push(failure(reason)),
            }
        }
        if !lost.is_empty() {
            let noun = if lost.len() == 1 { "row has" } else { "rows have" };
            let message = format!("{} {noun} no file", lost.len());
            return Err(Failure::items(message, lost)
                .param("objects[0]")
                .help("a file lies at xx/yy/NAME, xx and yy being the first four letters of NAME"));
        }
        if unreadable.is_empty() {
            return Ok(());
        }
        let noun = if unreadable.len() == 1 { "file" } else { "files" };
        Err(Failure::items(format!("{} {noun} cannot be used", unreadable.len()), unreadable).param("objects"))
    }
}
