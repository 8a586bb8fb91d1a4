//! Texts that a person wrote, and places in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

/// Which text of a [`Sources`] a place lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(usize);

/// A stretch of a source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// From the start of `self` to the end of `other`, of the same source.
    pub(crate) fn to(self, other: Span) -> Span {
        Span { end: other.end.max(self.start), ..self }
    }
}

/// Every text that a pipeline was read from: the file, and one for each `--set`.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

#[derive(Debug, Clone)]
struct Source {
    name: String,
    text: Arc<str>,
    base: PathBuf,
    path: Option<PathBuf>,
}

impl Sources {
    /// Adds a text. Relative paths written in it start at `base`.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>, base: impl Into<PathBuf>) -> SourceId {
        self.0.push(Source { name: name.into(), text: text.into(), base: base.into(), path: None });
        SourceId(self.0.len() - 1)
    }

    /// Reads a file; relative paths in it start at its folder. `shown` is what messages call it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open(&mut self, shown: impl Into<String>, path: &Path) -> std::io::Result<SourceId> {
        let text = std::fs::read_to_string(path)?;
        let id = self.add(shown, text, path.parent().unwrap_or(Path::new("")));
        if let Some(source) = self.0.get_mut(id.0) {
            source.path = Some(path.to_owned());
        }
        Ok(id)
    }

    /// The files that were read for others: sub-pipelines and files of params.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|source| source.path.as_deref())
    }

    /// What messages call the text.
    pub(crate) fn name(&self, id: SourceId) -> &str {
        self.0.get(id.0).map_or("", |source| &source.name)
    }

    /// The text itself.
    pub fn text(&self, id: SourceId) -> Arc<str> {
        self.0.get(id.0).map_or_else(|| "".into(), |source| source.text.clone())
    }

    /// The folder where relative paths written in the text start.
    pub(crate) fn base(&self, id: SourceId) -> &Path {
        self.0.get(id.0).map_or(Path::new(""), |source| &source.base)
    }

    /// The text with its name, as diagnostics want it.
    pub fn named(&self, id: SourceId) -> NamedSource<Arc<str>> {
        let (name, text) = match self.0.get(id.0) {
            Some(source) => (source.name.as_str(), source.text.clone()),
            None => ("", "".into()),
        };
        let named = NamedSource::new(name, text);
        let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        if is_yaml { named.with_language("yaml") } else { named }
    }

    /// `file:line:column` of the start of a span, counted from 1 in characters.
    pub fn place(&self, span: Span) -> String {
        let Some(source) = self.0.get(span.source.0) else { return String::new() };
        let before = source.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", source.name)
    }
}

/// What tells one file from another, however its path is written.
pub(crate) fn place(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}
