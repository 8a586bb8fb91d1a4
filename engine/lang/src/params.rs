//! `${name}`, `${matrix.axis}` and `${env:NAME}`.
//!
//! A string that is exactly one `${...}` becomes the value, whatever its type; inside longer text
//! the value's text is put in. There is no expression language.

use std::collections::{BTreeMap, BTreeSet};

use pipe_spec::Shape;

use crate::context::{Context, used};
use crate::declare::Declaration;
use crate::decode::Decoder;
use crate::matrix::{AxisId, Combo, Relation, Varying};
use crate::problem::Problem;
use crate::suggest;
use crate::tree::{Node, Scalar, Tree};

/// Params may be put into one another this deep.
const MAX_DEPTH: usize = 64;
/// The most combinations that a param may vary with.
pub(crate) const MAX_COMBINATIONS: usize = 10_000;

/// The values of a pipeline's params, each found once and then kept.
pub(crate) struct Params {
    values: BTreeMap<String, (Value, Shape)>,
    /// The combinations that they may vary with.
    ambient: Relation,
    depth: usize,
}

enum Value {
    Written(Tree),
    /// Given from outside, where it may vary with a matrix.
    Given(Varying<Tree>),
    Resolving,
    Resolved(Varying<Tree>),
    /// It has a mistake, or none was given, which has been said.
    Missing,
}

/// What `${matrix...}` means at a place.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) combo: &'a Combo,
    /// The axes that have a name there; `None` where no matrix reaches.
    pub(crate) axes: Option<&'a BTreeMap<String, AxisId>>,
    /// Whether there may be more, from a node with mistakes of its own.
    pub(crate) unsure: bool,
}

impl At<'static> {
    /// Outside of nodes, where nothing varies.
    pub(crate) fn nowhere() -> Self {
        static NONE: std::sync::LazyLock<Combo> = std::sync::LazyLock::new(Combo::default);
        Self { combo: &NONE, axes: None, unsure: false }
    }
}

impl Params {
    pub(crate) fn new(declared: &[Declaration], ambient: Relation) -> Self {
        let value = |declaration: &Declaration| {
            let value = declaration.default.clone().map_or(Value::Missing, Value::Written);
            (declaration.key.text.clone(), (value, declaration.shape.clone()))
        };
        Self { values: declared.iter().map(value).collect(), ambient, depth: 0 }
    }

    /// Overrides a param. `false` when there is none of that name.
    pub(crate) fn set(&mut self, name: &str, tree: Tree) -> bool {
        self.replace(name, Value::Written(tree))
    }

    /// Overrides a param by what is given from outside.
    pub(crate) fn give(&mut self, name: &str, value: Varying<Tree>) -> bool {
        self.replace(name, Value::Given(value))
    }

    fn replace(&mut self, name: &str, new: Value) -> bool {
        let Some((value, _)) = self.values.get_mut(name) else { return false };
        *value = new;
        true
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.values.keys().map(String::as_str)
    }

    /// Whether it has no value.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some((Value::Missing, _)))
    }

    /// Every param's value where nothing varies, params inside it filled in.
    pub(crate) fn resolve_all(&mut self, cx: &mut Context<'_>) -> Vec<(String, Tree)> {
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        let mut values = Vec::new();
        for name in names {
            let place = match self.values.get(&name) {
                Some((Value::Written(tree), _)) => tree.clone(),
                Some((Value::Given(varying) | Value::Resolved(varying), _)) => match varying.rows().first() {
                    Some((_, tree)) => tree.clone(),
                    None => continue,
                },
                _ => continue,
            };
            let value = self.get(cx, &name, &place);
            if let Some((_, tree)) = value.as_ref().and_then(|value| value.rows().first()) {
                values.push((name, tree.clone()));
            }
        }
        values
    }

    /// The axes that what is put into a tree varies with, the matrix at hand aside.
    pub(crate) fn varies(&mut self, cx: &mut Context<'_>, tree: &Tree) -> BTreeSet<AxisId> {
        let mut names = BTreeMap::new();
        asked(tree, &mut |name, place| {
            let first = name.split('.').next().unwrap_or(name);
            for name in BTreeSet::from([name, first]) {
                names.entry(name.to_owned()).or_insert_with(|| place.clone());
            }
        });
        let mut axes = BTreeSet::new();
        for (name, place) in names {
            if self.values.contains_key(&name)
                && let Some(value) = self.get(cx, &name, &place)
            {
                axes.extend(value.axes());
            }
        }
        axes
    }

    /// Fills in every `${...}` of a tree.
    pub(crate) fn fill(&mut self, cx: &mut Context<'_>, tree: &Tree, at: At<'_>) -> Tree {
        let Tree { node, span, used_at } = tree;
        let node = match node {
            Node::List(items) => Node::List(items.iter().map(|item| self.fill(cx, item, at)).collect()),
            Node::Map(entries) => {
                Node::Map(entries.iter().map(|(key, value)| (key.clone(), self.fill(cx, value, at))).collect())
            }
            Node::Scalar(scalar) if scalar.text.contains("${") => {
                let place = Tree { node: Node::List(Vec::new()), span: *span, used_at: *used_at };
                return self.fill_scalar(cx, scalar, &place, at);
            }
            Node::Scalar(scalar) => Node::Scalar(scalar.clone()),
            Node::Mistake => Node::Mistake,
        };
        Tree { node, span: *span, used_at: *used_at }
    }

    fn fill_scalar(&mut self, cx: &mut Context<'_>, scalar: &Scalar, place: &Tree, at: At<'_>) -> Tree {
        let parts = split(&scalar.text);
        let mistake = |place: &Tree| Tree { node: Node::Mistake, ..place.clone() };
        if let [Part::Value(name)] = parts.as_slice() {
            let Some(mut tree) = self.value(cx, name, place, at) else { return mistake(place) };
            if !cx.count(size(&tree), 0, place.span) {
                return mistake(place);
            }
            tree.used_at = Some(place.span);
            return tree;
        }
        let mut text = String::new();
        // Where the text begins decides where a relative path in it starts.
        let mut start = place.span;
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Open => {
                    cx.problems.push(
                        Problem::new("pipe::syntax", "a `${` without its `}`", place.span, "here")
                            .help("close it with `}`, or write `$${` for `${` itself"),
                    );
                    return mistake(place);
                }
                Part::Value(name) => match self.value(cx, name, place, at) {
                    Some(Tree { node: Node::Scalar(value), span, .. }) if !value.is_null() => {
                        if index == 0 {
                            start = span;
                        }
                        if !cx.count(1, text.len() + value.text.len(), place.span) {
                            return mistake(place);
                        }
                        text.push_str(&value.text);
                    }
                    Some(tree) => {
                        let message = format!("`${{{name}}}` inside text is {}", tree.describe());
                        let label = "expected text or a number";
                        cx.problems.push(Problem::new("pipe::wrong_type", message, place.span, label));
                        return mistake(place);
                    }
                    None => return mistake(place),
                },
            }
        }
        let node = Node::Scalar(Scalar { text, plain: scalar.plain });
        let used_at = (start != place.span).then_some(place.span);
        Tree { node, span: start, used_at }
    }

    /// The value of `${name}`.
    fn value(&mut self, cx: &mut Context<'_>, name: &str, place: &Tree, at: At<'_>) -> Option<Tree> {
        if let Some(variable) = name.strip_prefix("env:") {
            return environment(cx, variable, place);
        }
        if let Some(axis) = name.strip_prefix("matrix.") {
            let (axis, path) = axis.split_once('.').map_or((axis, ""), |(axis, path)| (axis, path));
            let found = at.axes.and_then(|axes| axes.get(axis)).and_then(|&id| cx.axes.chosen(at.combo, id));
            let Some((_, tree)) = found.cloned() else {
                if !at.unsure {
                    unknown_axis(cx, axis, place, at);
                }
                return None;
            };
            return inside(cx, &tree, path, name, place);
        }
        let (name, path) = match name.split_once('.') {
            Some((first, rest)) if !self.values.contains_key(name) => (first, rest),
            _ => (name, ""),
        };
        let value = self.get(cx, name, place)?;
        let Some(tree) = value.at(at.combo) else {
            let message = format!("`{name}` varies with a matrix, which cannot be used here");
            let problem = Problem::new("pipe::unknown_param", message, place.span, "varies");
            cx.problems
                .push(problem.help("what a node is, where it comes from and its matrix are the same everywhere"));
            return None;
        };
        inside(cx, tree, path, name, place)
    }

    fn get(&mut self, cx: &mut Context<'_>, name: &str, place: &Tree) -> Option<Varying<Tree>> {
        let Some((value, _)) = self.values.get_mut(name) else {
            let help = suggest::help(name, "params", self.names());
            let problem = Problem::new(
                "pipe::unknown_param",
                format!("there is no param `{name}`"),
                place.span,
                "asked for here",
            );
            cx.problems.push(problem.help(help));
            return None;
        };
        match std::mem::replace(value, Value::Resolving) {
            Value::Missing => {
                *value = Value::Missing;
                None
            }
            Value::Resolved(varying) => {
                *value = Value::Resolved(varying.clone());
                Some(varying)
            }
            Value::Given(varying) => self.resolved(cx, name, varying),
            Value::Written(tree) => {
                if self.depth >= MAX_DEPTH {
                    let message = format!("params are put into one another more than {MAX_DEPTH} deep");
                    cx.problems.push(Problem::new("pipe::too_large", message, place.span, "the innermost one allowed"));
                    if let Some((value, _)) = self.values.get_mut(name) {
                        *value = Value::Missing;
                    }
                    return None;
                }
                self.depth += 1;
                let varies = self.varies(cx, &tree);
                let varies = self.ambient.project(&varies);
                let rows: Vec<_> = varies
                    .rows()
                    .iter()
                    .map(|(combo, ())| (combo.clone(), self.fill(cx, &tree, At { combo, axes: None, unsure: false })))
                    .collect();
                self.depth -= 1;
                self.resolved(cx, name, Varying::new(varies.axes().clone(), rows))
            }
            Value::Resolving => {
                let message = format!("the param `{name}` needs itself");
                let problem = Problem::new("pipe::cycle", message, place.span, "asked for here");
                cx.problems.push(problem.help("give it a value of its own"));
                None
            }
        }
    }

    /// Holds a value against what was declared, and keeps it.
    fn resolved(&mut self, cx: &mut Context<'_>, name: &str, varying: Varying<Tree>) -> Option<Varying<Tree>> {
        let (value, shape) = self.values.get_mut(name)?;
        let mut whole = true;
        let varying = varying.map(|tree| {
            let mut tree = tree.clone();
            if *shape != Shape::Any {
                let mut decoder = Decoder { sources: cx.sources, problems: &mut cx.problems, spans: BTreeMap::new() };
                whole &= decoder.decode(&tree, shape, name).is_some();
            }
            as_declared(&mut tree, shape);
            tree
        });
        *value = if whole { Value::Resolved(varying.clone()) } else { Value::Missing };
        whole.then_some(varying)
    }
}

/// What lies in a mapping behind further dots.
fn inside(cx: &mut Context<'_>, tree: &Tree, path: &str, name: &str, place: &Tree) -> Option<Tree> {
    let mut found = tree;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let next = match &found.node {
            Node::Map(entries) => entries.iter().find(|(key, _)| key.text == step).map(|(_, value)| value),
            _ => None,
        };
        let Some(next) = next else {
            let keys: Vec<&str> = match &found.node {
                Node::Map(entries) => entries.iter().map(|(key, _)| key.text.as_str()).collect(),
                _ => Vec::new(),
            };
            let message = format!("`{name}` is {} without `{step}`", found.describe());
            let problem = Problem::new("pipe::unknown_param", message, place.span, "asked for here");
            cx.problems.push(problem.help(suggest::help(step, "keys in it", keys.into_iter())));
            return None;
        };
        found = next;
    }
    Some(found.clone())
}

fn environment(cx: &mut Context<'_>, text: &str, place: &Tree) -> Option<Tree> {
    let (name, default) = match text.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (text, None),
    };
    if text.contains("${") {
        let problem = Problem::new("pipe::syntax", "a `${` inside another", place.span, "here");
        cx.problems.push(problem.help("give the inner one a param of its own, and use that"));
        return None;
    }
    let Some(value) = (cx.environment)(name).or(default) else {
        let message = format!("the environment has no variable `{name}`");
        let problem = Problem::new("pipe::unknown_variable", message, place.span, "asked for here");
        let help = format!("set it, or say what holds without it: `${{env:{name}:-VALUE}}`");
        cx.problems.push(problem.help(help));
        return None;
    };
    cx.asked.insert(name.to_owned(), value.clone());
    // Nothing is an empty text here, not a missing value.
    let plain = !value.is_empty();
    Some(Tree::new(Node::Scalar(Scalar { text: value, plain }), place.span))
}

fn unknown_axis(cx: &mut Context<'_>, axis: &str, place: &Tree, at: At<'_>) {
    let problem =
        Problem::new("pipe::unknown_param", format!("no matrix gives `{axis}` here"), place.span, "asked for here");
    let known: Vec<&str> = at.axes.into_iter().flat_map(|axes| axes.keys()).map(String::as_str).collect();
    let help = match (at.axes, known.as_slice()) {
        (None, _) => "a matrix is known on its node and on those after it".to_owned(),
        (_, []) => "give the node a `matrix`, or take its input from one that has it".to_owned(),
        _ => suggest::help(axis, "axes here", known.into_iter()),
    };
    cx.problems.push(used(problem.help(help), place));
}

/// Declared as text, `1.10` and `true` are text wherever they go.
fn as_declared(tree: &mut Tree, shape: &Shape) {
    match (shape, &mut tree.node) {
        (Shape::Text { .. } | Shape::Choice(_), Node::Scalar(scalar)) => scalar.plain = false,
        (Shape::List { item, .. }, Node::List(items)) => items.iter_mut().for_each(|tree| as_declared(tree, item)),
        _ => {}
    }
}

/// Tells of every `${...}` in a tree: what stands in it, and where.
pub(crate) fn asked(tree: &Tree, tell: &mut impl FnMut(&str, &Tree)) {
    match &tree.node {
        Node::List(items) => items.iter().for_each(|item| asked(item, tell)),
        Node::Map(entries) => entries.iter().for_each(|(_, value)| asked(value, tell)),
        Node::Scalar(scalar) if scalar.text.contains("${") => {
            for part in split(&scalar.text) {
                if let Part::Value(name) = part {
                    tell(name, tree);
                }
            }
        }
        Node::Scalar(_) | Node::Mistake => {}
    }
}

/// The axes that a tree asks for with `${matrix.axis}`, each with a place.
pub(crate) fn asked_axes(tree: &Tree) -> BTreeMap<String, Tree> {
    let mut axes = BTreeMap::new();
    asked(tree, &mut |name, place| {
        if let Some(axis) = name.strip_prefix("matrix.") {
            let axis = axis.split('.').next().unwrap_or(axis);
            axes.entry(axis.to_owned()).or_insert_with(|| place.clone());
        }
    });
    axes
}

/// Values in a tree.
pub(crate) fn size(tree: &Tree) -> usize {
    match &tree.node {
        Node::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Node::Map(entries) => 1 + entries.iter().map(|(_, value)| 1 + size(value)).sum::<usize>(),
        Node::Scalar(scalar) => 1 + scalar.text.len() / 64,
        Node::Mistake => 1,
    }
}

enum Part<'a> {
    Text(&'a str),
    Value(&'a str),
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
        parts.push(Part::Value(inside[..end].trim()));
        rest = &inside[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}
