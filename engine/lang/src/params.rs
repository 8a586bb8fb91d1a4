//! `params:` and `${name}`.
//!
//! A string that is exactly one `${name}` becomes the param's value, whatever its type; inside
//! longer text the param's text is put in. There is no expression language.

use std::collections::BTreeMap;

use crate::problem::{Collector, Problem};
use crate::suggest;
use crate::tree::{Key, Node, Scalar, Tree};

/// The values of a pipeline's params, each found once and then kept.
pub(crate) struct Params {
    values: BTreeMap<String, Value>,
}

enum Value {
    Written(Tree),
    Resolving,
    Resolved(Tree),
}

impl Params {
    pub(crate) fn new(written: impl IntoIterator<Item = (Key, Tree)>) -> Self {
        let values = written.into_iter().map(|(key, tree)| (key.text, Value::Written(tree))).collect();
        Self { values }
    }

    /// Overrides a param. `false` when there is none of that name.
    pub(crate) fn set(&mut self, name: &str, tree: Tree) -> bool {
        match self.values.get_mut(name) {
            Some(value) => {
                *value = Value::Written(tree);
                true
            }
            None => false,
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.values.keys().map(String::as_str)
    }

    /// Every param's value, params inside it filled in.
    pub(crate) fn resolve_all(&mut self, problems: &mut Collector) -> Vec<(String, Tree)> {
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        names
            .into_iter()
            .filter_map(|name| {
                let place = match self.values.get(&name) {
                    Some(Value::Written(tree) | Value::Resolved(tree)) => tree.clone(),
                    _ => return None,
                };
                self.get(&name, &place, problems).map(|tree| (name, tree))
            })
            .collect()
    }

    /// Fills in every `${...}` of a tree.
    pub(crate) fn fill(&mut self, tree: Tree, problems: &mut Collector) -> Tree {
        let Tree { node, span, used_at } = tree;
        let node = match node {
            Node::List(items) => Node::List(items.into_iter().map(|item| self.fill(item, problems)).collect()),
            Node::Map(entries) => {
                Node::Map(entries.into_iter().map(|(key, value)| (key, self.fill(value, problems))).collect())
            }
            Node::Scalar(scalar) if scalar.text.contains("${") => {
                return self.fill_scalar(scalar, Tree::new(Node::List(Vec::new()), span), problems);
            }
            scalar => scalar,
        };
        Tree { node, span, used_at }
    }

    fn fill_scalar(&mut self, scalar: Scalar, place: Tree, problems: &mut Collector) -> Tree {
        let parts = split(&scalar.text);
        if let [Part::Param(name)] = parts.as_slice() {
            return match self.get(name, &place, problems) {
                Some(mut tree) => {
                    tree.used_at = Some(place.span);
                    tree
                }
                None => Tree { node: Node::Scalar(scalar), ..place },
            };
        }
        let mut text = String::new();
        // Where the text begins decides where a relative path in it starts.
        let mut start = place.span;
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Open => {
                    problems.push(
                        Problem::new("pipe::syntax", "a `${` without its `}`", place.span, "here")
                            .help("close it with `}`"),
                    );
                }
                Part::Param(name) => match self.get(name, &place, problems) {
                    Some(Tree { node: Node::Scalar(value), span, .. }) if !value.is_null() => {
                        if index == 0 {
                            start = span;
                        }
                        text.push_str(&value.text);
                    }
                    Some(tree) => problems.push(Problem::new(
                        "pipe::wrong_type",
                        format!("`${{{name}}}` inside text is {}", tree.describe()),
                        place.span,
                        "expected text or a number",
                    )),
                    None => {}
                },
            }
        }
        let node = Node::Scalar(Scalar { text, plain: scalar.plain });
        let used_at = (start != place.span).then_some(place.span);
        Tree { node, span: start, used_at }
    }

    fn get(&mut self, name: &str, place: &Tree, problems: &mut Collector) -> Option<Tree> {
        let Some(value) = self.values.get_mut(name) else {
            let help = suggest::help(name, "params", self.names());
            problems.push(
                Problem::new(
                    "pipe::unknown_param",
                    format!("there is no param `{name}`"),
                    place.span,
                    "asked for here",
                )
                .help(help),
            );
            return None;
        };
        match std::mem::replace(value, Value::Resolving) {
            Value::Resolved(tree) => {
                *value = Value::Resolved(tree.clone());
                Some(tree)
            }
            Value::Written(tree) => {
                let tree = self.fill(tree, problems);
                self.values.insert(name.to_owned(), Value::Resolved(tree.clone()));
                Some(tree)
            }
            Value::Resolving => {
                problems.push(
                    Problem::new(
                        "pipe::cycle",
                        format!("the param `{name}` needs itself"),
                        place.span,
                        "asked for here",
                    )
                    .help("give it a value of its own"),
                );
                None
            }
        }
    }
}

enum Part<'a> {
    Text(&'a str),
    Param(&'a str),
    Open,
}

fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        // `$${` is `${` itself, for a shell to read.
        if rest[..start].ends_with('$') {
            parts.push(Part::Text(&rest[..start - 1]));
            parts.push(Part::Text("${"));
            rest = &rest[start + 2..];
            continue;
        }
        if start > 0 {
            parts.push(Part::Text(&rest[..start]));
        }
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('}') else {
            parts.push(Part::Open);
            return parts;
        };
        parts.push(Part::Param(inside[..end].trim()));
        rest = &inside[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}
