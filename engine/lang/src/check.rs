//! From texts to a checked pipeline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipe_spec::KindSpec;

use crate::context::{Context, Environment};
use crate::elaborate::{Elaboration, Finished};
use crate::pipeline::{Declared, Pipeline};
use crate::problem::Problems;
use crate::{Sources, reader};

/// What is given to a pipeline from outside. What comes later overrides what comes before.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Given {
    /// The names of profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Files of params.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<PathBuf>,
    /// Settings, `NAME=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// The folder that relative paths in these start at.
    pub here: PathBuf,
}

impl Given {
    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty() && self.params.is_empty() && self.settings.is_empty()
    }

    /// As words of a command line.
    pub fn words(&self) -> Vec<String> {
        let profiles = self.profiles.iter().map(|name| format!("--profile {name}"));
        let params = self.params.iter().map(|file| format!("--params {}", file.display()));
        profiles.chain(params).chain(self.settings.iter().map(|setting| format!("--set {setting}"))).collect()
    }
}

/// Pipelines that come with the program, by the name that `uses:` calls them.
pub type Library = BTreeMap<&'static str, &'static str>;

/// What a pipeline is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Language<'a> {
    /// The kinds that there are.
    pub kinds: &'a [Arc<KindSpec>],
    /// The sub-pipelines that there are.
    pub library: &'a Library,
    /// How `${env:NAME}` is looked up.
    pub environment: Environment,
}

/// Reads and checks a pipeline.
///
/// `file` is what messages call the text; relative paths in it start at `folder`.
///
/// # Errors
/// All the mistakes in the text, in the sub-pipelines that it uses, and in what is given.
pub fn check(
    file: &str,
    text: &str,
    folder: &Path,
    given: &Given,
    language: Language<'_>,
) -> Result<Pipeline, Problems> {
    let mut sources = Sources::default();
    let id = sources.add(file, text, folder);
    let mut elaboration = Elaboration::new(Context::new(&mut sources, language.environment), language, folder);
    let root = reader::read(elaboration.cx.sources, id, &mut elaboration.cx.problems);
    let place = place(&folder.join(Path::new(file).file_name().unwrap_or_default()));
    let parts = root.and_then(|root| elaboration.pipeline(root, place, given));
    let Finished { problems, graph, off, environment, parts: of_parts } = elaboration.finish();
    match parts {
        Some(parts) if problems.is_empty() => {
            let stem = || Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Pipeline {
                name: parts.name.unwrap_or_else(stem),
                folder: folder.to_owned(),
                params: parts.values,
                graph,
                sources,
                doc: parts.doc,
                declared: parts.declared,
                profiles: parts.profiles,
                environment,
                off,
                parts: of_parts,
                takes: parts.takes,
            })
        }
        _ => Err(problems.finish(&sources)),
    }
}

/// What tells one file from another, however its path is written.
pub(crate) fn place(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// What a text says at its top, whatever mistakes it has elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    /// What the pipeline is for.
    pub doc: String,
    /// The params that it declares.
    pub params: Vec<Declared>,
    /// The names of its profiles.
    pub profiles: Vec<String>,
    /// The names of its nodes, a sub-pipeline or a matrix being one.
    pub nodes: Vec<String>,
}

/// What a text says at its top; nothing where it is not YAML.
pub fn outline(text: &str) -> Outline {
    let mut sources = Sources::default();
    let id = sources.add("", text, "");
    let nothing = Language { kinds: &[], library: &Library::new(), environment: |_| None };
    let mut elaboration = Elaboration::new(Context::new(&mut sources, nothing.environment), nothing, Path::new(""));
    let root = reader::read(elaboration.cx.sources, id, &mut elaboration.cx.problems);
    root.map(|root| elaboration.outline(root)).unwrap_or_default()
}
