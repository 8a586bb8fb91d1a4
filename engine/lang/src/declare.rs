//! Declarations of params: `epochs: { type: int, default: 10, min: 1 }`, or just `epochs: 10`.

use pipe_spec::{Choice, Shape};

use crate::context::Context;
use crate::problem::Problem;
use crate::tree::{Key, Node, Tree};
use crate::{Span, suggest};

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
    let shape = match (shape, choices, of) {
        (Shape::Text { .. }, Some(tree), None) => choices_of(cx, &tree)?,
        (Shape::List { .. }, None, Some(tree)) => {
            Shape::List { item: Box::new(self::shape(cx, &tree)?), min: None, max: None }
        }
        (shape, None, None) => bounded(cx, shape, min.as_ref(), max.as_ref())?,
        (_, Some(tree), _) => return misplaced(cx, "choices", "text", tree.span),
        (_, _, Some(tree)) => return misplaced(cx, "of", "list", tree.span),
    };
    Some(Declaration { key, default, shape, help })
}

fn misplaced(cx: &mut Context<'_>, key: &str, word: &str, span: Span) -> Option<Declaration> {
    let message = format!("`{key}` belongs to params of type `{word}`");
    cx.problems.push(Problem::new("pipe::unknown_key", message, span, "not of this type"));
    None
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
    let bound = |cx: &mut Context<'_>, tree: &Tree, whole: bool| {
        let number = match &tree.node {
            Node::Scalar(scalar) if whole => scalar.as_int().map(|int| int as f64),
            Node::Scalar(scalar) => scalar.as_float(),
            _ => None,
        };
        if number.is_none() {
            let wanted = if whole { "a whole number" } else { "a number" };
            let message = format!("the bound is {}, expected {wanted}", tree.describe());
            cx.problems.push(Problem::new("pipe::wrong_type", message, tree.span, format!("expected {wanted}")));
        }
        number
    };
    let whole = matches!(shape, Shape::Int { .. });
    if !whole && !matches!(shape, Shape::Float { .. }) {
        if let Some(tree) = min.or(max) {
            let message = "`min` and `max` belong to params of type `int` and `float`";
            cx.problems.push(Problem::new("pipe::unknown_key", message, tree.span, "not of this type"));
            return None;
        }
        return Some(shape);
    }
    let mut read = |tree: Option<&Tree>| match tree {
        None => Some(None),
        Some(tree) => bound(cx, tree, whole).map(Some),
    };
    let (min, max) = (read(min)?, read(max)?);
    Some(match whole {
        true => Shape::Int { min: min.map(|min| min as i64), max: max.map(|max| max as i64) },
        false => Shape::Float { min, above: None, max, below: None },
    })
}
