//! Values against shapes: a spanned tree in, a JSON value with every default filled in out.

use std::collections::BTreeMap;

use pipe_spec::{Choice, Field, RemoteFile, Shape};
use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::problem::{Collector, Problem};
use crate::suggest;
use crate::tree::{Key, Node, Scalar, Tree};
use crate::{Sources, Span};

/// Decodes the params of one node.
pub(crate) struct Decoder<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) problems: &'a mut Collector,
    /// Where each value that was written stands, by its path.
    pub(crate) spans: BTreeMap<String, Span>,
}

impl Decoder<'_> {
    /// The value, or `None` after saying what is wrong with it.
    pub(crate) fn decode(&mut self, tree: &Tree, shape: &Shape, path: &str) -> Option<Value> {
        self.spans.insert(path.to_owned(), tree.span);
        if tree.is_mistake() {
            return None;
        }
        match shape {
            Shape::Bool => self.bool(tree, path),
            Shape::Int { min, max } => self.int(tree, *min, *max, path),
            Shape::Float { .. } => self.float(tree, shape, path),
            Shape::Text { pattern } => self.text(tree, pattern.as_ref(), path),
            Shape::Choice(words) => self.choice(tree, words, path),
            Shape::File | Shape::Folder | Shape::Tree => self.path(tree, shape, path),
            Shape::Remote => self.remote(tree, path),
            Shape::List { item, min, max } => self.list(tree, item, *min, *max, path),
            Shape::Struct(fields) => self.fields(tree, fields, path),
            Shape::Map(value) => self.map(tree, value, path),
            Shape::OneOf(shapes) => self.one_of(tree, shapes, path),
            Shape::Null if tree.is_null() => Some(Value::Null),
            Shape::Null => self.wrong_type(tree, "nothing", path),
            Shape::Any => Some(plain(tree)),
        }
    }

    fn bool(&mut self, tree: &Tree, path: &str) -> Option<Value> {
        match &tree.node {
            Node::Scalar(scalar) if scalar.as_bool().is_some() => scalar.as_bool().map(Value::Bool),
            Node::Scalar(scalar) => {
                let help =
                    scalar.old_bool().map(|meant| format!("write {meant}: in YAML 1.2 `{}` is text", scalar.text));
                self.problem(tree, "pipe::wrong_type", expected("true or false", tree, path), "not a bool", help)
            }
            _ => self.wrong_type(tree, "true or false", path),
        }
    }

    fn int(&mut self, tree: &Tree, min: Option<i64>, max: Option<i64>, path: &str) -> Option<Value> {
        let Some(int) = scalar(tree).and_then(Scalar::as_int) else {
            return self.wrong_type(tree, "a whole number", path);
        };
        let fits = min.is_none_or(|min| int >= min) && max.is_none_or(|max| int <= max);
        if fits { Some(int.into()) } else { self.out_of_range(tree, &Shape::Int { min, max }, path) }
    }

    fn float(&mut self, tree: &Tree, shape: &Shape, path: &str) -> Option<Value> {
        let Some(float) = scalar(tree).and_then(Scalar::as_float) else {
            return self.wrong_type(tree, "a number", path);
        };
        let Shape::Float { min, above, max, below } = shape else { return None };
        let fits = min.is_none_or(|min| float >= min)
            && above.is_none_or(|above| float > above)
            && max.is_none_or(|max| float <= max)
            && below.is_none_or(|below| float < below);
        if fits { Some(float.into()) } else { self.out_of_range(tree, shape, path) }
    }

    fn text(&mut self, tree: &Tree, pattern: Option<&(String, String)>, path: &str) -> Option<Value> {
        let Some(scalar) = scalar(tree).filter(|scalar| !scalar.is_null()) else {
            return self.wrong_type(tree, "text", path);
        };
        if let Some((pattern, example)) = pattern
            && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(&scalar.text))
        {
            let help = format!("write something like `{example}`");
            return self.problem(
                tree,
                "pipe::wrong_type",
                expected(&format!("text like `{example}`"), tree, path),
                "not of that form",
                Some(help),
            );
        }
        Some(Value::String(scalar.text.clone()))
    }

    fn choice(&mut self, tree: &Tree, words: &[Choice], path: &str) -> Option<Value> {
        let names = words.iter().map(|word| word.name.as_str());
        let Some(scalar) = scalar(tree) else {
            return self.wrong_type(tree, &one_of(names), path);
        };
        if names.clone().any(|name| name == scalar.text) {
            return Some(Value::String(scalar.text.clone()));
        }
        let help = suggest::help(&scalar.text, "choices", names.clone());
        self.problem(tree, "pipe::wrong_type", expected(&one_of(names), tree, path), "not one of them", Some(help))
    }

    fn path(&mut self, tree: &Tree, shape: &Shape, path: &str) -> Option<Value> {
        let Some(scalar) = scalar(tree).filter(|scalar| !scalar.is_null()) else {
            return self.wrong_type(tree, &format!("a {shape}"), path);
        };
        let full = self.sources.base(tree.span.source).join(&scalar.text);
        let (what, found) = match shape {
            Shape::Folder => ("folder", full.is_dir()),
            Shape::Tree => ("file or folder", full.exists()),
            _ => ("file", full.is_file()),
        };
        if found {
            return Some(Value::String(full.to_string_lossy().into_owned()));
        }
        let message = format!("there is no {what} `{}`", scalar.text);
        let help = match (full.exists(), full.is_absolute()) {
            (true, _) => format!("{} is not a {what}", full.display()),
            (false, _) => format!("looked for {}; a relative path starts where it is written", full.display()),
        };
        self.problem(tree, "pipe::file_not_found", message, "not found", Some(help))
    }

    fn remote(&mut self, tree: &Tree, path: &str) -> Option<Value> {
        let Some(scalar) = scalar(tree).filter(|scalar| RemoteFile::is_meant(&scalar.text)) else {
            return self.wrong_type(tree, "the address of a file", path);
        };
        match RemoteFile::parse(&scalar.text) {
            Ok(remote) => Some(Value::String(remote.text().to_owned())),
            Err(error) => {
                let message = format!("`{}` {}", scalar.text, error.what);
                self.problem(tree, "pipe::remote_file", message, "this file", Some(error.help))
            }
        }
    }

    fn list(&mut self, tree: &Tree, item: &Shape, min: Option<usize>, max: Option<usize>, path: &str) -> Option<Value> {
        let Node::List(items) = &tree.node else {
            return self.wrong_type(tree, &format!("a list of {item}"), path);
        };
        let too_few = min.is_some_and(|min| items.len() < min);
        if too_few || max.is_some_and(|max| items.len() > max) {
            let wanted = match (min, max) {
                (Some(min), Some(max)) if min == max => format!("{min}"),
                (Some(min), None) => format!("at least {min}"),
                (_, Some(max)) => format!("at most {max}"),
                _ => String::new(),
            };
            let message = format!("`{path}` has {} elements, expected {wanted}", items.len());
            return self.problem(tree, "pipe::out_of_range", message, "this list", None);
        }
        let decoded: Vec<_> = items
            .iter()
            .enumerate()
            .map(|(index, tree)| self.decode(tree, item, &format!("{path}[{index}]")))
            .collect();
        decoded.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
    }

    /// A mapping with keys of the author's own.
    fn map(&mut self, tree: &Tree, shape: &Shape, path: &str) -> Option<Value> {
        let Node::Map(entries) = &tree.node else { return self.wrong_type(tree, "a mapping", path) };
        let decoded: Vec<_> = entries
            .iter()
            .map(|(key, value)| Some((key.text.clone(), self.decode(value, shape, &format!("{path}.{}", key.text))?)))
            .collect();
        decoded.into_iter().collect::<Option<Map<_, _>>>().map(Value::Object)
    }

    /// A mapping against known keys; every mistake in it is reported.
    pub(crate) fn fields(&mut self, tree: &Tree, fields: &[Field], path: &str) -> Option<Value> {
        let none = Vec::new();
        let entries = match &tree.node {
            Node::Map(entries) => entries,
            _ if tree.is_null() => &none,
            Node::Mistake => return None,
            _ => return self.wrong_type(tree, "a mapping", path),
        };
        let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let mut whole = true;
        for (key, _) in entries {
            if fields.iter().all(|field| field.name != key.text) {
                self.unknown(key, fields, path);
                whole = false;
            }
        }
        let mut decoded = Map::new();
        for field in fields {
            let value = match entries.iter().find(|(key, _)| key.text == field.name) {
                Some((_, value)) => self.decode(value, &field.shape, &at(&field.name)),
                None if field.required => {
                    let message = format!("the param `{}` is missing", at(&field.name));
                    let help = format!("add `{}:` ({}): {}", field.name, field.shape, first_line(&field.doc));
                    self.problem(tree, "pipe::missing_param", message, "needed here", Some(help))
                }
                None => Some(field.default.clone().unwrap_or(Value::Null)),
            };
            match value {
                Some(Value::Null) if !field.required && field.default.is_none() => {}
                Some(value) => drop(decoded.insert(field.name.clone(), value)),
                None => whole = false,
            }
        }
        whole.then_some(Value::Object(decoded))
    }

    fn unknown(&mut self, key: &Key, fields: &[Field], path: &str) {
        let inside = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
        let help = suggest::help(&key.text, "params", fields.iter().map(|field| field.name.as_str()));
        self.problems.push(
            Problem::new("pipe::unknown_param", format!("unknown param `{}`{inside}", key.text), key.span, "not known")
                .help(help),
        );
    }

    fn one_of(&mut self, tree: &Tree, shapes: &[Shape], path: &str) -> Option<Value> {
        // The alternative of the same form as what was written says best what is wrong with it.
        let mut best: Option<(&Shape, usize)> = None;
        for shape in shapes {
            let score = likeness(tree, shape);
            if best.is_none_or(|(_, most)| score > most) {
                best = Some((shape, score));
            }
        }
        match best {
            Some((shape, score)) if score > 0 => self.decode(tree, shape, path),
            _ => self.wrong_type(tree, &one_of(shapes.iter().map(ToString::to_string)), path),
        }
    }

    fn out_of_range(&mut self, tree: &Tree, shape: &Shape, path: &str) -> Option<Value> {
        let written = scalar(tree).map(|scalar| scalar.text.as_str()).unwrap_or_default();
        let message = format!("`{path}` is {written}, out of range");
        self.problem(tree, "pipe::out_of_range", message, format!("allowed: {shape}"), None)
    }

    fn wrong_type(&mut self, tree: &Tree, wanted: &str, path: &str) -> Option<Value> {
        self.problem(tree, "pipe::wrong_type", expected(wanted, tree, path), format!("expected {wanted}"), None)
    }

    fn problem(
        &mut self,
        tree: &Tree,
        code: &'static str,
        message: String,
        label: impl Into<String>,
        help: Option<String>,
    ) -> Option<Value> {
        let mut problem = Problem::new(code, message, tree.span, label).maybe_help(help.clone());
        if let Some(used_at) = tree.used_at {
            problem = problem.label(used_at, "used here");
            if used_at.source != tree.span.source {
                let used = format!("used at {}", self.sources.place(used_at));
                problem = problem.help(help.map_or_else(|| used.clone(), |help| format!("{help}\n{used}")));
            }
        }
        self.problems.push(problem);
        None
    }
}

fn scalar(tree: &Tree) -> Option<&Scalar> {
    match &tree.node {
        Node::Scalar(scalar) => Some(scalar),
        _ => None,
    }
}

fn expected(wanted: &str, tree: &Tree, path: &str) -> String {
    let path = if path.is_empty() { "with" } else { path };
    format!("`{path}` is {}, expected {wanted}", tree.describe())
}

fn one_of(names: impl Iterator<Item = impl Into<String>>) -> String {
    let names: Vec<String> = names.map(Into::into).collect();
    match names.as_slice() {
        [only] => format!("`{only}`"),
        names => format!("one of {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

fn first_line(doc: &str) -> &str {
    doc.lines().next().unwrap_or_default()
}

/// How well the form of what was written suits a shape; 0 where it cannot be meant.
fn likeness(tree: &Tree, shape: &Shape) -> usize {
    match (&tree.node, shape) {
        (Node::Map(entries), Shape::Struct(fields)) => {
            1 + entries.iter().filter(|(key, _)| fields.iter().any(|field| field.name == key.text)).count()
        }
        (Node::Map(_), Shape::Map(_)) | (Node::List(_), Shape::List { .. }) | (_, Shape::Any) => 1,
        (Node::Scalar(scalar), shape) => match shape {
            Shape::Null if scalar.is_null() => 6,
            Shape::Remote if RemoteFile::is_meant(&scalar.text) => 6,
            Shape::Choice(words) if words.iter().any(|word| word.name == scalar.text) => 5,
            Shape::Bool if scalar.as_bool().is_some() => 4,
            Shape::Int { .. } if scalar.as_int().is_some() => 4,
            Shape::Float { .. } if scalar.as_float().is_some() => 3,
            Shape::Text { .. } | Shape::File | Shape::Folder | Shape::Tree if !scalar.is_null() => 2,
            Shape::Choice(_) if !scalar.is_null() => 1,
            _ => 0,
        },
        _ => 0,
    }
}

/// What a tree would be in JSON.
pub(crate) fn plain(tree: &Tree) -> Value {
    match &tree.node {
        Node::List(items) => items.iter().map(plain).collect(),
        Node::Map(entries) => entries.iter().map(|(key, value)| (key.text.clone(), plain(value))).collect(),
        Node::Scalar(scalar) if scalar.is_null() => Value::Null,
        Node::Scalar(scalar) => scalar
            .as_bool()
            .map(Value::from)
            .or_else(|| scalar.as_int().map(Value::from))
            .or_else(|| scalar.as_float().map(Value::from))
            .unwrap_or_else(|| scalar.text.clone().into()),
        Node::Mistake => Value::Null,
    }
}
