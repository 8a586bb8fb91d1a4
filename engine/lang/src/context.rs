//! What every step from a tree to a pipeline has at hand: the texts, the mistakes, the axes.

use std::collections::BTreeMap;

use crate::matrix::Axes;
use crate::problem::{Collector, Problem};
use crate::tree::{Key, Node, Tree};
use crate::{Sources, Span, suggest};

/// The most values that params may put in, all places together.
const MAX_PUT_IN: usize = 500_000;
/// The longest text that params may be put into, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// How a variable of the environment is looked up.
pub type Environment = fn(&str) -> Option<String>;

pub(crate) struct Context<'a> {
    pub(crate) sources: &'a mut Sources,
    pub(crate) problems: Collector,
    pub(crate) axes: Axes,
    pub(crate) environment: Environment,
    /// The variables that were asked for.
    pub(crate) asked: BTreeMap<String, String>,
    put_in: usize,
}

impl<'a> Context<'a> {
    pub(crate) fn new(sources: &'a mut Sources, environment: Environment) -> Self {
        let (problems, axes) = (Collector::default(), Axes::default());
        Self { sources, problems, axes, environment, asked: BTreeMap::new(), put_in: 0 }
    }

    /// Counts values that a param puts in; `false` after saying that they are too many.
    pub(crate) fn count(&mut self, values: usize, text: usize, span: Span) -> bool {
        let before = self.put_in;
        self.put_in = self.put_in.saturating_add(values + text / 64);
        let fits = self.put_in <= MAX_PUT_IN && text <= MAX_TEXT;
        if !fits && before <= MAX_PUT_IN {
            let message = "params are put in too often: the pipeline would grow too large";
            self.problems.push(Problem::new("pipe::too_large", message, span, "here at the latest"));
        }
        fits
    }

    /// The entries of a mapping whose keys are all known.
    pub(crate) fn keys(&mut self, tree: Tree, what: &str, known: &[&str]) -> Option<BTreeMap<String, (Key, Tree)>> {
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

    /// The entries of a mapping; none of nothing.
    pub(crate) fn entries(&mut self, tree: Tree, what: &str) -> Option<Vec<(Key, Tree)>> {
        if tree.is_null() {
            return Some(Vec::new());
        }
        let found = tree.describe();
        match tree.node {
            Node::Map(entries) => Some(entries),
            _ => {
                let message = format!("{what} is {found}, expected a mapping");
                self.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "expected `key: value` lines"));
                None
            }
        }
    }

    pub(crate) fn word(&mut self, tree: &Tree, what: &str) -> Option<String> {
        match &tree.node {
            Node::Scalar(scalar) if !scalar.is_null() => Some(scalar.text.clone()),
            Node::Mistake => None,
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
