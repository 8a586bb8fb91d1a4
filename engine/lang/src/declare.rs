//! Declarations of params: `epochs: { type: int, default: 10, min: 1 }`, or just `epochs: 10`.

use pipe_spec::{Choice, Shape};

use crate::context::Context;
use crate::problem::Problem;
use crate::suggest;
use crate::tree::{Key, Node, Scalar, Tree};

/// The words after `type:`.
pub(crate) const TYPES: [&str; 9] = ["any", "bool", "file", "float", "folder", "int", "list", "path", "text"];
/// The keys of a declaration.
pub(crate) const KEYS: [&str; 7] = ["type", "default", "min", "max", "choices", "of", "help"];

/// A param as its pipeline declares it.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub(crate) key: Key,
    /// Its value where nothing is set; `None` where it must be set.
    pub(crate) default: Option<Tree>,
    pub(crate) shape: Shape,
    pub(crate) help: String,
}

/// Reads one entry of `params:`; `None` after saying what is wrong with it.
pub(crate) fn declaration(cx: &mut Context<'_>, key: Key, tree: Tree) -> Option<Declaration> {
    let typed = matches!(&tree.node, Node::Map(entries) if entries.iter().any(|(key, _)| key.text == "type"));
    if !typed {
        return Some(Declaration { key, default: Some(tree), shape: Shape::Any, help: String::new() });
    }
    let mut parts = cx.keys(tree, &format!("the param `{}`", key.text), &KEYS)?;
    let mut part = |name: &str| parts.remove(name).map(|(_, tree)| tree);
    let (word, choices, of) = (part("type")?, part("choices"), part("of"));
    let (min, max, help, default) = (part("min"), part("max"), part("help"), part("default"));
    let shape = shape(cx, &word)?;
    let help = help.and_then(|tree| cx.word(&tree, "`help`")).unwrap_or_default();
    let is_text = matches!(shape, Shape::Text { .. });
    let is_list = matches!(shape, Shape::List { .. });
    let is_number = matches!(shape, Shape::Int { .. } | Shape::Float { .. });
    let placed = [
        ("choices", &choices, is_text, "text"),
        ("of", &of, is_list, "list"),
        ("min", &min, is_number, "int` and `float"),
        ("max", &max, is_number, "int` and `float"),
    ];
    for (key, tree, fits, word) in placed {
        if let Some(tree) = tree.as_ref().filter(|_| !fits) {
            let message = format!("`{key}` belongs to params of type `{word}`");
            cx.problems.push(Problem::new("pipe::unknown_key", message, tree.span, "not of this type"));
            return None;
        }
    }
    let shape = match (choices, of) {
        (Some(tree), _) => choices_of(cx, &tree)?,
        (_, Some(tree)) => Shape::List { item: Box::new(self::shape(cx, &tree)?), min: None, max: None },
        _ => bounded(cx, shape, min.as_ref(), max.as_ref())?,
    };
    Some(Declaration { key, default, shape, help })
}

fn shape(cx: &mut Context<'_>, tree: &Tree) -> Option<Shape> {
    let word = cx.word(tree, "`type`")?;
    Some(match word.as_str() {
        "any" => Shape::Any,
        "bool" => Shape::Bool,
        "int" => Shape::Int { min: None, max: None },
        "float" => Shape::Float { min: None, above: None, max: None, below: None },
        "text" => Shape::Text { pattern: None },
        "file" => Shape::File,
        "folder" => Shape::Folder,
        "path" => Shape::Tree,
        "list" => Shape::List { item: Box::new(Shape::Any), min: None, max: None },
        _ => {
            let help = suggest::help(&word, "types", TYPES.iter().copied());
            let message = format!("there is no type `{word}`");
            cx.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "not a type").help(help));
            return None;
        }
    })
}

fn choices_of(cx: &mut Context<'_>, tree: &Tree) -> Option<Shape> {
    let Node::List(items) = &tree.node else {
        let message = format!("`choices` is {}, expected a list", tree.describe());
        cx.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "expected a list of words"));
        return None;
    };
    let words: Option<Vec<Choice>> =
        items.iter().map(|item| Some(Choice { name: cx.word(item, "a choice")?, doc: String::new() })).collect();
    words.map(Shape::Choice)
}

fn bounded(cx: &mut Context<'_>, shape: Shape, min: Option<&Tree>, max: Option<&Tree>) -> Option<Shape> {
    let (shape, empty) = match shape {
        Shape::Int { .. } => {
            let (min, max) =
                (bound(cx, min, Scalar::as_int, "a whole number")?, bound(cx, max, Scalar::as_int, "a whole number")?);
            (Shape::Int { min, max }, min.zip(max).is_some_and(|(min, max)| min > max))
        }
        Shape::Float { above, below, .. } => {
            let (min, max) =
                (bound(cx, min, Scalar::as_float, "a number")?, bound(cx, max, Scalar::as_float, "a number")?);
            (Shape::Float { min, above, max, below }, min.zip(max).is_some_and(|(min, max)| min > max))
        }
        other => (other, false),
    };
    if let Some(tree) = max.filter(|_| empty) {
        let problem = Problem::new("pipe::out_of_range", "`max` is less than `min`", tree.span, "no value fits");
        cx.problems.push(problem.help("exchange them"));
        return None;
    }
    Some(shape)
}

/// A bound, where one is written; `None` where it is not a number.
fn bound<T>(
    cx: &mut Context<'_>,
    tree: Option<&Tree>,
    read: fn(&Scalar) -> Option<T>,
    wanted: &str,
) -> Option<Option<T>> {
    let Some(tree) = tree else { return Some(None) };
    let number = match &tree.node {
        Node::Scalar(scalar) => read(scalar),
        _ => None,
    };
    if number.is_none() {
        let message = format!("the bound is {}, expected {wanted}", tree.describe());
        cx.problems.push(Problem::new("pipe::wrong_type", message, tree.span, format!("expected {wanted}")));
    }
    number.map(Some)
}
