//! From a spanned tree to a checked pipeline.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use petgraph::graph::{DiGraph, NodeIndex};
use pipe_spec::{KindSpec, Shape};
use serde_json::Value;

use crate::decode::Decoder;
use crate::params::Params;
use crate::pipeline::{Edge, Export, Node, Pipeline};
use crate::problem::{Collector, Problem, Problems};
use crate::tree::{self, Key, Tree};
use crate::{SourceId, Sources, Span, reader, suggest};

/// One `--set NAME=VALUE`.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The text as it was given, `NAME=VALUE`.
    pub text: String,
}

/// Reads and checks a pipeline.
///
/// `file` is what messages call the text; relative paths in it start at `folder`, those in
/// `settings` at `here`.
///
/// # Errors
/// All the mistakes in the text and the settings.
pub fn check(
    file: &str,
    text: &str,
    folder: &Path,
    settings: &[Setting],
    here: &Path,
    kinds: &[Arc<KindSpec>],
) -> Result<Pipeline, Problems> {
    let mut sources = Sources::default();
    let id = sources.add(file, text, folder);
    let set: Vec<SourceId> = settings
        .iter()
        .map(|setting| sources.add(format!("--set {}", setting.text), setting.text.as_str(), here))
        .collect();
    let mut problems = Collector::default();
    let checker = Checker { sources: &sources, problems: &mut problems, kinds };
    let parts = checker.pipeline(id, &set);
    match parts {
        Some((name, params, graph)) if problems.is_empty() => {
            let name =
                name.unwrap_or_else(|| Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned());
            Ok(Pipeline { name, folder: folder.to_owned(), params, graph, sources })
        }
        _ => Err(problems.finish(&sources)),
    }
}

type Parts = (Option<String>, BTreeMap<String, Value>, DiGraph<Node, Edge>);

pub(crate) struct Checker<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) problems: &'a mut Collector,
    kinds: &'a [Arc<KindSpec>],
}

/// A node before its inputs are known to exist.
pub(crate) struct Draft {
    pub(crate) index: NodeIndex,
    pub(crate) kind: Arc<KindSpec>,
    pub(crate) key: Key,
    pub(crate) from: Option<Tree>,
}

impl Checker<'_> {
    fn pipeline(mut self, id: SourceId, set: &[SourceId]) -> Option<Parts> {
        let root = reader::read(self.sources, id, self.problems)?;
        let whole = root.span;
        let mut parts = self.keys(root, "the pipeline", &["name", "params", "nodes"])?;
        let mut params = Params::new(match parts.remove("params") {
            Some((_, tree)) => self.entries(tree, "`params`").unwrap_or_default(),
            None => Vec::new(),
        });
        for &id in set {
            self.set(&mut params, id);
        }
        let values = params.resolve_all(self.problems);
        let name = parts.remove("name").and_then(|(_, tree)| self.word(&tree, "`name`"));
        let Some((nodes_key, nodes)) = parts.remove("nodes") else {
            self.problems.push(
                Problem::new("pipe::missing_param", "the pipeline has no `nodes`", whole, "needed here")
                    .help("add `nodes:` with at least one node; `pipe init` writes an example"),
            );
            return None;
        };
        let nodes = self.entries(nodes, "`nodes`")?;
        if nodes.is_empty() {
            self.problems.push(Problem::new(
                "pipe::missing_param",
                "`nodes` is empty",
                nodes_key.span,
                "add a node here",
            ));
        }
        let mut graph = DiGraph::new();
        let names: Vec<String> = nodes.iter().map(|(key, _)| key.text.clone()).collect();
        let filled: Vec<_> = nodes.into_iter().map(|(key, tree)| (key, params.fill(tree, self.problems))).collect();
        let drafts: Vec<Draft> =
            filled.into_iter().filter_map(|(key, tree)| self.node(key, tree, &mut graph)).collect();
        self.connect(&drafts, &names, &mut graph);
        self.refuse_shared_exports(&graph);
        let values = values.into_iter().map(|(name, tree)| (name, plain(&tree))).collect();
        Some((name, values, graph))
    }

    fn set(&mut self, params: &mut Params, id: SourceId) {
        let text = self.sources.text(id);
        let whole = Span { source: id, start: 0, end: text.len() };
        let Some((name, value)) = text.split_once('=') else {
            self.problems.push(
                Problem::new("pipe::syntax", "a setting without a value", whole, "no `=` in it")
                    .help("write --set NAME=VALUE"),
            );
            return;
        };
        let Some(mut tree) = self.setting_value(value, name.len() + 1, id) else { return };
        tree.used_at = None;
        if !params.set(name.trim(), tree) {
            let help = suggest::help(name.trim(), "params", params.names());
            let span = Span { end: name.len(), ..whole };
            self.problems.push(
                Problem::new(
                    "pipe::unknown_param",
                    format!("the pipeline has no param `{}`", name.trim()),
                    span,
                    "not known",
                )
                .help(help),
            );
        }
    }

    /// Reads what stands behind `NAME=` as YAML, its spans moved to where it stands.
    fn setting_value(&mut self, value: &str, offset: usize, id: SourceId) -> Option<Tree> {
        let mut alone = Sources::default();
        let inner = alone.add("", value, "");
        let mut found = Collector::default();
        let tree = reader::read(&alone, inner, &mut found);
        match tree {
            Some(tree) if found.is_empty() => Some(moved(tree, offset, id)),
            _ => {
                let span = Span { source: id, start: offset, end: offset + value.len() };
                self.problems.push(
                    Problem::new("pipe::syntax", "the value is not valid YAML", span, "this value")
                        .help("put text in quotes"),
                );
                None
            }
        }
    }

    fn node(&mut self, key: Key, tree: Tree, graph: &mut DiGraph<Node, Edge>) -> Option<Draft> {
        let valid = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if key.text.is_empty() || !key.text.chars().all(valid) {
            self.problems.push(
                Problem::new(
                    "pipe::syntax",
                    format!("`{}` cannot be the name of a node", key.text),
                    key.span,
                    "this name",
                )
                .help("a name is made of letters, digits, `_` and `-`"),
            );
            return None;
        }
        let mut parts =
            self.keys(tree, &format!("the node `{}`", key.text), &["kind", "with", "from", "keep", "export"])?;
        let from = parts.remove("from").map(|(_, tree)| tree);
        let export = parts.remove("export").map(|(_, tree)| tree);
        let keep = parts.remove("keep");
        let Some((_, kind_tree)) = parts.remove("kind") else {
            self.problems.push(
                Problem::new(
                    "pipe::missing_param",
                    format!("the node `{}` has no `kind`", key.text),
                    key.span,
                    "this node",
                )
                .help("add `kind:`; `pipe nodes` lists the kinds"),
            );
            return None;
        };
        let kind = self.kind(&kind_tree)?;
        let mut decoder = Decoder { sources: self.sources, problems: self.problems, spans: BTreeMap::new() };
        let keep = keep.and_then(|(_, tree)| decoder.decode(&tree, &Shape::Bool, "keep"));
        let with = parts.remove("with").map_or_else(|| empty(key.span), |(_, tree)| tree);
        let Shape::Struct(fields) = &kind.params else { return None };
        let params = decoder.fields(&with, fields, "");
        let spans = decoder.spans;
        let exports = export.map(|tree| self.exports(&tree, &kind)).unwrap_or_default();
        // A node with mistakes in its params still takes part in the checks of the edges.
        let index = graph.add_node(Node {
            name: key.text.clone(),
            kind: kind.clone(),
            params: params.unwrap_or(Value::Null),
            spans,
            span: Some(key.span),
            keep: keep == Some(Value::Bool(true)),
            exports,
        });
        Some(Draft { index, kind, key, from })
    }

    fn kind(&mut self, tree: &Tree) -> Option<Arc<KindSpec>> {
        let name = self.word(tree, "`kind`")?;
        let found = self.kinds.iter().find(|kind| kind.name == name);
        if found.is_none() {
            let help = suggest::help(&name, "kinds", self.kinds.iter().map(|kind| kind.name));
            self.problems.push(used(
                Problem::new("pipe::unknown_kind", format!("there is no kind `{name}`"), tree.span, "not known")
                    .help(help),
                tree,
            ));
        }
        found.cloned()
    }

    fn refuse_shared_exports(&mut self, graph: &DiGraph<Node, Edge>) {
        let mut seen: BTreeMap<&Path, Span> = BTreeMap::new();
        for export in graph.node_weights().flat_map(|node| &node.exports) {
            if let Some(first) = seen.insert(&export.path, export.span) {
                let message = format!("two outputs are exported to {}", export.path.display());
                let problem = Problem::new("pipe::duplicate_key", message, export.span, "again here");
                self.problems.push(problem.label(first, "first here").help("give each a place of its own"));
            }
        }
    }

    /// Where a node's outputs go: a path for the main one, or a mapping from outputs to paths.
    fn exports(&mut self, tree: &Tree, kind: &KindSpec) -> Vec<Export> {
        let written: Vec<(Option<Key>, Tree)> = match &tree.node {
            tree::Node::Map(entries) => entries.iter().cloned().map(|(key, tree)| (Some(key), tree)).collect(),
            _ => vec![(None, tree.clone())],
        };
        let mut exports = Vec::new();
        for (key, tree) in written {
            let output = match &key {
                None => kind.outputs.first(),
                Some(key) => kind.output(&key.text),
            };
            let Some(output) = output else {
                let key = key.unwrap_or(Key { text: String::new(), span: tree.span });
                let help = suggest::help(&key.text, "outputs", kind.outputs.iter().map(|port| port.name));
                let message = format!("`{}` has no output `{}`", kind.name, key.text);
                self.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
                continue;
            };
            let Some(path) = self.word(&tree, "`export`") else { continue };
            let path = self.sources.base(tree.span.source).join(path);
            exports.push(Export { output, path, span: tree.used_at.unwrap_or(tree.span) });
        }
        exports
    }

    /// The entries of a mapping whose keys are all known.
    fn keys(&mut self, tree: Tree, what: &str, known: &[&str]) -> Option<BTreeMap<String, (Key, Tree)>> {
        let entries = self.entries(tree, what)?;
        let mut parts = BTreeMap::new();
        for (key, value) in entries {
            if known.contains(&key.text.as_str()) {
                parts.insert(key.text.clone(), (key, value));
            } else {
                let help = suggest::help(&key.text, "keys", known.iter().copied());
                let message = format!("unknown key `{}` in {what}", key.text);
                self.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
            }
        }
        Some(parts)
    }

    fn entries(&mut self, tree: Tree, what: &str) -> Option<Vec<(Key, Tree)>> {
        if tree.is_null() {
            return Some(Vec::new());
        }
        let found = tree.describe();
        match tree.node {
            tree::Node::Map(entries) => Some(entries),
            _ => {
                let message = format!("{what} is {found}, expected a mapping");
                self.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "expected `key: value` lines"));
                None
            }
        }
    }

    pub(crate) fn word(&mut self, tree: &Tree, what: &str) -> Option<String> {
        match &tree.node {
            tree::Node::Scalar(scalar) if !scalar.is_null() => Some(scalar.text.clone()),
            _ => {
                let message = format!("{what} is {}, expected text", tree.describe());
                self.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "expected text"));
                None
            }
        }
    }
}

/// Points also at the place where a value that came from a param is used.
pub(crate) fn used(problem: Problem, tree: &Tree) -> Problem {
    match tree.used_at {
        Some(used_at) => problem.label(used_at, "used here"),
        None => problem,
    }
}

fn empty(span: Span) -> Tree {
    Tree::new(tree::Node::Map(Vec::new()), span)
}

fn moved(tree: Tree, offset: usize, source: SourceId) -> Tree {
    let shift = |span: Span| Span { source, start: span.start + offset, end: span.end + offset };
    let node = match tree.node {
        tree::Node::List(items) => {
            tree::Node::List(items.into_iter().map(|item| moved(item, offset, source)).collect())
        }
        tree::Node::Map(entries) => tree::Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| (Key { span: shift(key.span), ..key }, moved(value, offset, source)))
                .collect(),
        ),
        scalar => scalar,
    };
    Tree::new(node, shift(tree.span))
}

/// What a param would be in JSON, for the record of a run.
fn plain(tree: &Tree) -> Value {
    match &tree.node {
        tree::Node::List(items) => items.iter().map(plain).collect(),
        tree::Node::Map(entries) => entries.iter().map(|(key, value)| (key.text.clone(), plain(value))).collect(),
        tree::Node::Scalar(scalar) if scalar.is_null() => Value::Null,
        tree::Node::Scalar(scalar) => scalar
            .as_bool()
            .map(Value::from)
            .or_else(|| scalar.as_int().map(Value::from))
            .or_else(|| scalar.as_float().map(Value::from))
            .unwrap_or_else(|| scalar.text.clone().into()),
    }
}
