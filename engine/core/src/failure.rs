//! Why a node failed, in words for a person.

use petgraph::graph::NodeIndex;
use pipe_lang::{Pipeline, Problem};
use pipe_store::StoreError;

/// How many broken items a message names.
const NAMED_ITEMS: usize = 20;

/// A node that could not give its outputs.
#[derive(Debug, Clone)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: &'static str,
    message: String,
    help: Option<String>,
    param: Option<String>,
    snippet: Option<Snippet>,
    items: Vec<ItemFailure>,
    interrupted: bool,
    lost: bool,
}

#[derive(Debug, Clone)]
struct Snippet {
    name: String,
    text: String,
    range: (usize, usize),
    label: String,
}

/// An item that could not be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFailure {
    /// The row's id.
    pub id: String,
    /// Why.
    pub reason: String,
}

impl Failure {
    /// A failure with a stable code (`pipe::data`) and a message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let (help, param, snippet, items) = (None, None, None, Vec::new());
        Self(Box::new(Parts { code, message, help, param, snippet, items, interrupted: false, lost: false }))
    }

    /// The run was stopped before the node was done.
    pub fn interrupted() -> Self {
        let mut failure = Self::new("pipe::interrupted", "interrupted");
        failure.0.interrupted = true;
        failure
    }

    /// Something that a node needs was in the store and is lost or damaged. The run computes it
    /// again.
    pub fn lost(what: impl std::fmt::Display) -> Self {
        let mut failure = Self::new("pipe::store", format!("{what} is lost or damaged"))
            .help("`pipe store verify` looks at everything in the store");
        failure.0.lost = true;
        failure
    }

    /// Several items that could not be computed.
    pub fn items(message: impl Into<String>, items: Vec<ItemFailure>) -> Self {
        let mut failure = Self::new("pipe::item", message);
        failure.0.items = items;
        failure
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Names the param that it comes from: `weights`, `objects[0]`.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Points at bytes `start..end` of a text file.
    #[must_use]
    pub fn snippet(
        mut self,
        name: impl Into<String>,
        text: impl Into<String>,
        range: (usize, usize),
        label: impl Into<String>,
    ) -> Self {
        self.0.snippet = Some(Snippet { name: name.into(), text: text.into(), range, label: label.into() });
        self
    }

    /// Adds to the message.
    #[must_use]
    pub fn more(mut self, text: &str) -> Self {
        self.0.message.push_str(text);
        self
    }

    /// Whether the run was stopped, rather than the node wrong.
    pub fn is_interrupt(&self) -> bool {
        self.0.interrupted
    }

    /// Whether computing the node's inputs again may help.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.lost
    }

    /// What went wrong, without where.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The items that could not be computed.
    pub fn broken_items(&self) -> &[ItemFailure] {
        &self.0.items
    }

    /// The failure as a diagnostic, placed in the pipeline or in the file that it speaks of.
    pub fn problem(&self, pipeline: &Pipeline, index: NodeIndex) -> Problem {
        let node = &pipeline.graph[index];
        let how = if node.blocked.is_some() { "cannot run" } else { "failed" };
        let message = format!("the node `{}` {how}: {}", node.name, self.0.message);
        self.placed(message, pipeline, index)
    }

    /// The failure as a mistake in the pipeline's text, before anything has run.
    pub(crate) fn mistake(&self, pipeline: &Pipeline, index: NodeIndex) -> Problem {
        self.placed(self.0.message.clone(), pipeline, index)
    }

    fn placed(&self, mut message: String, pipeline: &Pipeline, index: NodeIndex) -> Problem {
        let node = &pipeline.graph[index];
        message.push_str(&named(&self.0.items));
        if let Some(snippet) = &self.0.snippet {
            let label = snippet.label.clone();
            return Problem::in_text(self.0.code, message, &snippet.name, &snippet.text, snippet.range, label)
                .maybe_help(self.0.help.clone());
        }
        let written = self.0.param.as_ref().and_then(|param| node.spans.get(param));
        let problem = match (written, node.span) {
            (Some(&span), _) => Problem::new(self.0.code, message, span, "from here"),
            (None, Some(span)) => Problem::new(self.0.code, message, span, "this node"),
            (None, None) => Problem::placeless(self.0.code, message),
        };
        problem.maybe_help(self.0.help.clone()).with_sources(&pipeline.sources)
    }
}

/// The first of the items with why they failed, a line each; the reason once where it is the same for
/// all.
fn named(items: &[ItemFailure]) -> String {
    let shown = &items[..items.len().min(NAMED_ITEMS)];
    let more = match items.len() - shown.len() {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    if items.len() > 1 && items.windows(2).all(|pair| pair[0].reason == pair[1].reason) {
        let names: Vec<&str> = shown.iter().map(|item| item.id.as_str()).collect();
        return format!("\n  all of them: {}\n  {}{more}", items[0].reason, names.join(", "));
    }
    let lines: String = shown.iter().map(|item| format!("\n  {}: {}", item.id, item.reason)).collect();
    format!("{lines}{more}")
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new("pipe::store", error.to_string()).help(error.help())
    }
}
