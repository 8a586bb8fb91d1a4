//! What is built, as YAML.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use petgraph::graph::NodeIndex;
use pipe_core::Kinds;
use pipe_lang::Pipeline;
use pipe_spec::{KindSpec, Shape};
use serde_json::{Map, Value, json};

use crate::{Any, Builder, Node};

/// Under its name, with a comment above each node where in the program it was added.
pub(crate) fn to_yaml(builder: &Builder, kinds: &Kinds) -> String {
    let mut text = format!("name: {}nodes:\n", yaml(&json!(builder.name)));
    for node in &builder.nodes {
        if let Some(place) = &node.place {
            text.push_str(&format!("  # {place}\n"));
        }
        let spec = kinds.specs().iter().find(|spec| spec.name == node.kind);
        let mut body = Map::new();
        body.insert("kind".to_owned(), node.kind.clone().into());
        let with = escaped(&without_defaults(&node.with, spec.map(AsRef::as_ref)));
        if with.as_object().is_some_and(|with| !with.is_empty()) {
            body.insert("with".to_owned(), with);
        }
        if !node.from.is_empty() {
            body.insert("from".to_owned(), from(builder, node));
        }
        if node.keep {
            body.insert("keep".to_owned(), true.into());
        }
        if !node.exports.is_empty() {
            let exports =
                node.exports.iter().map(|(output, path)| (output.clone(), json!(relative(path, &builder.folder))));
            body.insert("export".to_owned(), escaped(&Value::Object(exports.collect())));
        }
        text.push_str(&format!("  {}:\n", yaml(&json!(node.name)).trim_end()));
        for line in yaml(&Value::Object(body)).lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

fn yaml(value: &Value) -> String {
    // Every JSON value has a YAML form.
    serde_yaml::to_string(value).unwrap_or_default()
}

fn from(builder: &Builder, node: &Node) -> Value {
    let reference = |source: &Any| format!("{}.{}", builder.nodes[source.node].name, source.output);
    let mut from = Map::new();
    for (input, label, source) in &node.from {
        match label {
            None => drop(from.insert(input.clone(), reference(source).into())),
            Some(label) => {
                let labelled = from.entry(input.clone()).or_insert_with(|| json!({}));
                labelled[label] = reference(source).into();
            }
        }
    }
    Value::Object(from)
}

fn without_defaults(with: &Value, spec: Option<&KindSpec>) -> Value {
    let (Some(Shape::Struct(fields)), Some(with)) = (spec.map(|spec| &spec.params), with.as_object()) else {
        return with.clone();
    };
    let is_default = |name: &str, value: &Value| {
        fields.iter().any(|field| field.name == name && field.default.as_ref() == Some(value))
    };
    with.iter()
        .filter(|(name, value)| !is_default(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// With `${` written so that it means itself.
fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => text.replace("${", "$${").into(),
        Value::Array(values) => values.iter().map(escaped).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), escaped(value))).collect(),
        other => other.clone(),
    }
}

fn relative<'a>(path: &'a Path, folder: &Path) -> &'a Path {
    path.strip_prefix(folder).unwrap_or(path)
}

/// A checked pipeline's nodes, under names that can be written.
pub(crate) fn from_pipeline(pipeline: &Pipeline) -> Builder {
    let mut taken = HashSet::new();
    let mut places = HashMap::new();
    let mut nodes = Vec::new();
    let cannot_run = cannot_run(pipeline);
    for index in pipeline.graph.node_indices().filter(|index| !cannot_run.contains(index)) {
        let node = &pipeline.graph[index];
        places.insert(index, nodes.len());
        nodes.push(Node {
            name: plain(&node.name, &mut taken),
            kind: node.kind.name.to_owned(),
            with: node.kind.params.map_paths(&node.params, &|path| {
                relative(Path::new(path), &pipeline.folder).to_string_lossy().into_owned()
            }),
            from: Vec::new(),
            keep: node.keep,
            exports: node.exports.iter().map(|export| (export.output.name.to_owned(), export.path.clone())).collect(),
            place: (plain(&node.name, &mut HashSet::new()) != node.name).then(|| node.name.clone()),
        });
    }
    for index in pipeline.graph.node_indices().filter(|index| !cannot_run.contains(index)) {
        let from = pipeline.inputs(index).into_iter().map(|input| {
            let source = Any { node: places[&input.from], output: input.output.name };
            match input.name.split_once('[') {
                Some((name, label)) => (name.to_owned(), Some(label.trim_end_matches(']').to_owned()), source),
                None => (input.name.to_string(), None, source),
            }
        });
        nodes[places[&index]].from = from.collect();
    }
    Builder { name: pipeline.name.clone(), folder: pipeline.folder.clone(), nodes }
}

/// The nodes that need one that is switched off: they have an input that nothing is connected to.
fn cannot_run(pipeline: &Pipeline) -> HashSet<NodeIndex> {
    let mut found = HashSet::new();
    for index in pipeline.order() {
        let waits = pipeline.inputs(index).iter().any(|input| found.contains(&input.from));
        if waits || pipeline.graph[index].blocked.is_some() {
            found.insert(index);
        }
    }
    found
}

/// `train/head[lr=0.1]` as `train-head-lr-0_1`: what may be written as a node's name.
fn plain(name: &str, taken: &mut HashSet<String>) -> String {
    let letter = |c: char| match c {
        '.' => '_',
        c if c.is_alphanumeric() || c == '_' || c == '-' => c,
        _ => '-',
    };
    let base: String = name.chars().map(letter).collect();
    let base = base.trim_end_matches('-');
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let found = std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let found = found.unwrap_or_default();
    taken.insert(found.clone());
    found
}
