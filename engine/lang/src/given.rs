//! What is given to a pipeline from outside: profiles, files of params, and `--set`.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::head::Head;
use crate::params::Params;
use crate::problem::{Collector, Problem};
use crate::tree::{Key, Node, Tree};
use crate::{SourceId, Sources, Span, reader, suggest};

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

/// Overrides params by what is given.
pub(crate) fn apply(cx: &mut Context<'_>, params: &mut Params, head: &Head, given: &Given) {
    for (_, values) in &head.profiles {
        for (key, _) in values.iter().filter(|(key, _)| params.names().all(|name| name != key.text)) {
            unknown(cx, params, &key.text, key.span);
        }
    }
    for name in &given.profiles {
        let id = cx.sources.add(format!("--profile {name}"), name.as_str(), &given.here);
        let Some((_, values)) = head.profiles.iter().find(|(key, _)| key.text == *name) else {
            let help = suggest::help(name, "profiles", head.profiles.iter().map(|(key, _)| key.text.as_str()));
            let span = Span { source: id, start: 0, end: name.len() };
            let message = format!("the pipeline has no profile `{name}`");
            cx.problems.push(Problem::new("pipe::unknown_param", message, span, "not known").help(help));
            continue;
        };
        for (key, tree) in values {
            params.set(&key.text, tree.clone());
        }
    }
    for file in &given.params {
        params_file(cx, params, &file.display().to_string(), &given.here.join(file));
    }
    for text in &given.settings {
        let id = cx.sources.add(format!("--set {text}"), text.as_str(), &given.here);
        set(cx, params, text, id);
    }
}

fn params_file(cx: &mut Context<'_>, params: &mut Params, shown: &str, path: &Path) {
    let id = match cx.sources.open(shown, path) {
        Ok(id) => id,
        Err(error) => {
            let problem = Problem::placeless("pipe::file_not_found", format!("cannot read {shown}: {error}"));
            cx.problems.push(problem.help("`--params` names a YAML file of params and their values"));
            return;
        }
    };
    let Some(tree) = reader::read(cx.sources, id, &mut cx.problems) else { return };
    for (key, tree) in cx.entries(tree, "the file of params").unwrap_or_default() {
        if !params.set(&key.text, tree) {
            unknown(cx, params, &key.text, key.span);
        }
    }
}

fn set(cx: &mut Context<'_>, params: &mut Params, text: &str, id: SourceId) {
    let whole = Span { source: id, start: 0, end: text.len() };
    let Some((name, value)) = text.split_once('=') else {
        let problem = Problem::new("pipe::syntax", "a setting without a value", whole, "no `=` in it");
        cx.problems.push(problem.help("write --set NAME=VALUE"));
        return;
    };
    let Some(tree) = setting_value(cx, value, name.len() + 1, id) else { return };
    if !params.set(name.trim(), tree) {
        unknown(cx, params, name.trim(), Span { end: name.len(), ..whole });
    }
}

fn unknown(cx: &mut Context<'_>, params: &Params, name: &str, span: Span) {
    let help = suggest::help(name, "params", params.names());
    let message = format!("the pipeline has no param `{name}`");
    cx.problems.push(Problem::new("pipe::unknown_param", message, span, "not known").help(help));
}

/// Reads what stands behind `NAME=` as YAML, its spans moved to where it stands.
fn setting_value(cx: &mut Context<'_>, value: &str, offset: usize, id: SourceId) -> Option<Tree> {
    let mut alone = Sources::default();
    let inner = alone.add("", value, "");
    let mut found = Collector::default();
    let tree = reader::read(&alone, inner, &mut found);
    match tree {
        Some(tree) if found.is_empty() => Some(moved(tree, offset, id)),
        _ => {
            let span = Span { source: id, start: offset, end: offset + value.len() };
            let problem = Problem::new("pipe::syntax", "the value is not valid YAML", span, "this value");
            cx.problems.push(problem.help("put text in quotes"));
            None
        }
    }
}

fn moved(tree: Tree, offset: usize, source: SourceId) -> Tree {
    let shift = |span: Span| Span { source, start: span.start + offset, end: span.end + offset };
    let key = |key: Key| Key { span: shift(key.span), ..key };
    let node = match tree.node {
        Node::List(items) => Node::List(items.into_iter().map(|item| moved(item, offset, source)).collect()),
        Node::Map(entries) => {
            let entries = entries.into_iter().map(|(name, value)| (key(name), moved(value, offset, source)));
            Node::Map(entries.collect())
        }
        other => other,
    };
    Tree::new(node, shift(tree.span))
}
