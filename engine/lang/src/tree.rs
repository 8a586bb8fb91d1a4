//! The spanned tree: YAML as it was written, every value with its place.

use crate::Span;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) node: Node,
    /// Where the value itself stands.
    pub(crate) span: Span,
    /// Where it was asked for with `${...}`, when it came from a param.
    pub(crate) used_at: Option<Span>,
}

/// What a value is, before anyone asks it to be something.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Scalar(Scalar),
    List(Vec<Tree>),
    Map(Vec<(Key, Tree)>),
    /// Something with a mistake that has been told already.
    Mistake,
}

/// Scalar text as written: `1.10` stays `1.10`.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Written without quotes, so that `true`, `12` and `~` may mean more than text.
    pub(crate) plain: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Tree {
    pub(crate) fn new(node: Node, span: Span) -> Self {
        Self { node, span, used_at: None }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.node, Node::Scalar(scalar) if scalar.is_null())
    }

    /// Whether two values are written alike.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (&self.node, &other.node) {
            (Node::Scalar(one), Node::Scalar(other)) => one.text == other.text && one.plain == other.plain,
            (Node::List(one), Node::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is_like(other))
            }
            (Node::Map(one), Node::Map(other)) => {
                let alike = |((key, one), (name, other)): (&(Key, Self), &(Key, Self))| {
                    key.text == name.text && one.is_like(other)
                };
                one.len() == other.len() && one.iter().zip(other).all(alike)
            }
            _ => false,
        }
    }

    /// Whether it has a mistake that has been told.
    pub(crate) fn is_mistake(&self) -> bool {
        matches!(self.node, Node::Mistake)
    }

    /// What was found, for a message.
    pub(crate) fn describe(&self) -> String {
        match &self.node {
            Node::Scalar(scalar) if scalar.is_null() => "nothing".into(),
            Node::Scalar(scalar) if scalar.plain && scalar.as_bool().is_some() => format!("`{}`", scalar.text),
            Node::Scalar(scalar) if scalar.plain && scalar.as_float().is_some() => {
                format!("the number {}", scalar.text)
            }
            Node::Scalar(scalar) => format!("the text `{}`", shorten(&scalar.text)),
            Node::List(_) => "a list".into(),
            Node::Map(_) => "a mapping".into(),
            Node::Mistake => "unknown".into(),
        }
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
