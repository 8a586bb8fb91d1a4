//! From words on the command line to a checked pipeline and its store.

use std::env;
use std::path::{Path, PathBuf};
use std::thread;

use pipe_core::{Context, Kinds, Last, last};
use pipe_lang::{Pipeline, Problems, Setting, check};
use pipe_store::{Store, StoreError};

use crate::args::FileArgs;

/// The file that is meant where none is named.
pub(crate) const DEFAULT_FILE: &str = "pipe.yaml";

/// A checked pipeline, and what the command line said of it.
pub(crate) struct Project {
    pub(crate) pipeline: Pipeline,
    pub(crate) store: Store,
    /// Where the file lies relative to the store: what its runs are recorded under.
    pub(crate) id: String,
    /// The words after the file.
    pub(crate) nodes: Vec<String>,
    pub(crate) settings: Vec<String>,
    pub(crate) here: PathBuf,
    pub(crate) last: Option<Last>,
}

/// Why there is no pipeline to work with.
pub(crate) enum Unusable {
    Problems(Problems),
    Message { message: String, hint: Option<String> },
    Store(StoreError),
}

/// Which settings hold where none are given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settings {
    /// Those that are given.
    Given,
    /// Those of the last run, for commands that look back.
    OrLast,
}

impl Project {
    pub(crate) fn open(kinds: &Kinds, args: &FileArgs, settings: Settings) -> Result<Self, Unusable> {
        let (file, nodes) = split_words(&args.words);
        Self::of_file(kinds, &file, nodes, &args.set, settings)
    }

    /// The project of a file, with these nodes named and these settings given.
    pub(crate) fn of_file(
        kinds: &Kinds,
        file: &Path,
        nodes: Vec<String>,
        set: &[String],
        settings: Settings,
    ) -> Result<Self, Unusable> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let name = file.display();
            match error.kind() {
                std::io::ErrorKind::NotFound => Unusable::Message {
                    message: format!("there is no file {name}"),
                    hint: Some("name a pipeline, or write one with `pipe init`".into()),
                },
                _ => Unusable::Message { message: format!("cannot read {name}: {error}"), hint: None },
            }
        })?;
        let Place { folder, store, id, .. } = Place::of(file)?;
        let here = env::current_dir().unwrap_or_default();
        let last = last(&store, &id);
        let (given, start) = match &last {
            Some(last) if settings == Settings::OrLast && set.is_empty() => {
                (last.settings.clone(), PathBuf::from(&last.here))
            }
            _ => (set.to_vec(), here),
        };
        let chosen: Vec<Setting> = given.iter().map(|text| Setting { text: text.clone() }).collect();
        let shown = file.display().to_string();
        let pipeline = check(&shown, &text, &folder, &chosen, &start, &kinds.specs()).map_err(Unusable::Problems)?;
        Ok(Self { pipeline, store, id, nodes, settings: given, here: start, last })
    }
}

impl Project {
    /// The project as planning and running want it.
    pub(crate) fn context<'a>(&'a self, kinds: &'a Kinds, rehash: bool) -> Context<'a> {
        let Self { pipeline, store, id, last, .. } = self;
        Context { pipeline, kinds, store, file: id, last: last.as_ref(), threads: threads(), rehash }
    }
}

/// One thread a core.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Where a pipeline's file lies, and the store that knows its past.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) store_folder: PathBuf,
    pub(crate) store: Store,
    pub(crate) id: String,
}

impl Place {
    pub(crate) fn of(file: &Path) -> Result<Self, Unusable> {
        let here = env::current_dir().unwrap_or_default();
        let folder = here.join(file.parent().unwrap_or(Path::new("")));
        let folder = folder.canonicalize().unwrap_or(folder);
        let store_folder = store_folder(&folder);
        let store = Store::open(&store_folder).map_err(Unusable::Store)?;
        let name = folder.join(file.file_name().unwrap_or_default());
        let beside = store_folder.parent().unwrap_or(Path::new(""));
        let id = name.strip_prefix(beside).unwrap_or(&name).to_string_lossy().into_owned();
        Ok(Self { folder, store_folder, store, id })
    }
}

/// The file and the nodes: a first word that ends in `.yaml` or `.yml` is the file.
pub(crate) fn split_words(words: &[String]) -> (PathBuf, Vec<String>) {
    match words.split_first() {
        Some((first, rest)) if first.ends_with(".yaml") || first.ends_with(".yml") => (first.into(), rest.to_vec()),
        _ => (DEFAULT_FILE.into(), words.to_vec()),
    }
}

/// `PIPE_STORE`, or `.pipe` in the nearest folder upwards that holds `.pipe` or `.git`, or `.pipe`
/// beside the pipeline.
fn store_folder(folder: &Path) -> PathBuf {
    if let Some(named) = env::var_os("PIPE_STORE").filter(|named| !named.is_empty()) {
        return PathBuf::from(named);
    }
    let holds = |folder: &&Path| folder.join(".pipe").is_dir() || folder.join(".git").exists();
    folder.ancestors().find(holds).unwrap_or(folder).join(".pipe")
}
