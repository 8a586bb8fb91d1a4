//! From words on the command line to a checked pipeline and its store.

use std::env;
use std::path::{Path, PathBuf};
use std::thread;

use pipe_core::{Context, Last, last};
use pipe_lang::{Given, Pipeline, Problem, Problems, check};
use pipe_store::{Store, StoreError};

use crate::Program;
use crate::args::{FileArgs, GivenArgs};

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
    pub(crate) given: Given,
    pub(crate) last: Option<Last>,
}

/// Why there is no pipeline to work with.
pub(crate) enum Unusable {
    Problems(Problems),
    Message { message: String, hint: Option<String> },
    Store(StoreError),
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problems(problems) => problems.fmt(f),
            Self::Message { message, .. } => message.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
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
    pub(crate) fn open(program: &Program, args: &FileArgs, settings: Settings) -> Result<Self, Unusable> {
        let (file, nodes) = split_words(program, &args.words);
        Self::of_file(program, &file, nodes, &args.given, settings)
    }

    /// The project of a file, with these nodes named.
    pub(crate) fn of_file(
        program: &Program,
        file: &Path,
        nodes: Vec<String>,
        args: &GivenArgs,
        settings: Settings,
    ) -> Result<Self, Unusable> {
        let project = Self::part(program, file, nodes, args, settings)?;
        if let Some((input, artifact)) = project.pipeline.takes.first() {
            let message =
                format!("{} takes inputs (`{input}`: {artifact}): it is a part of other pipelines", file.display());
            let problem = Problem::placeless("pipe::missing_input", message);
            let help = "use it in one: `uses: ./FILE.yaml` with `from:`; `pipe check` reads it as it is";
            return Err(Unusable::Problems(Problems(vec![problem.help(help)])));
        }
        Ok(project)
    }

    /// As [`Project::of_file`], of a pipeline that may be a part of others.
    pub(crate) fn part(
        program: &Program,
        file: &Path,
        nodes: Vec<String>,
        args: &GivenArgs,
        settings: Settings,
    ) -> Result<Self, Unusable> {
        let text = match &program.built {
            Some(built) => built.text.clone(),
            None => text_of(file)?,
        };
        let Place { folder, store, id, .. } = Place::of(file)?;
        let here = env::current_dir().unwrap_or_default();
        let last = last(&store, &id);
        let given =
            Given { profiles: args.profile.clone(), params: args.params.clone(), settings: args.set.clone(), here };
        let given = match &last {
            Some(last) if settings == Settings::OrLast && given.is_empty() => last.given.clone(),
            _ => given,
        };
        let shown = program.built.as_ref().map_or_else(|| file.display().to_string(), |built| built.name.clone());
        let pipeline = check(&shown, &text, &folder, &given, program.kinds.language()).map_err(Unusable::Problems)?;
        Ok(Self { pipeline, store, id, nodes, given, last })
    }
}

/// What a pipeline's file says.
pub(crate) fn text_of(file: &Path) -> Result<String, Unusable> {
    std::fs::read_to_string(file).map_err(|error| {
        let name = file.display();
        match error.kind() {
            std::io::ErrorKind::NotFound => Unusable::Message {
                message: format!("there is no file {name}"),
                hint: Some("name a pipeline, or write one with `pipe init`".into()),
            },
            _ => Unusable::Message { message: format!("cannot read {name}: {error}"), hint: None },
        }
    })
}

impl Project {
    /// The project as planning and running want it.
    pub(crate) fn context<'a>(&'a self, program: &'a Program, rehash: bool) -> Context<'a> {
        let Self { pipeline, store, id, last, .. } = self;
        Context { pipeline, kinds: &program.kinds, store, file: id, last: last.as_ref(), threads: threads(), rehash }
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
        let folder = folder_of(file);
        let store_folder = store_folder(&folder);
        let store = Store::open(&store_folder).map_err(Unusable::Store)?;
        let name = folder.join(file.file_name().unwrap_or_default());
        let beside = store_folder.parent().unwrap_or(Path::new(""));
        let id = name.strip_prefix(beside).unwrap_or(&name).to_string_lossy().into_owned();
        Ok(Self { folder, store_folder, store, id })
    }
}

/// The folder that the store of a pipeline lies in, whether it is there or not.
pub(crate) fn store_folder_of(file: &Path) -> PathBuf {
    store_folder(&folder_of(file))
}

fn folder_of(file: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let folder = here.join(file.parent().unwrap_or(Path::new("")));
    folder.canonicalize().unwrap_or(folder)
}

/// The file, which is the first word that ends in `.yaml` or `.yml`, and the other words.
/// A program that is one pipeline has no files.
pub(crate) fn split_words(program: &Program, words: &[String]) -> (PathBuf, Vec<String>) {
    if let Some(built) = &program.built {
        return (built.folder.join(&built.name), words.to_vec());
    }
    let mut words = words.to_vec();
    let at = words.iter().position(|word| word.ends_with(".yaml") || word.ends_with(".yml"));
    let file = at.map_or_else(|| DEFAULT_FILE.into(), |at| words.remove(at).into());
    (file, words)
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
