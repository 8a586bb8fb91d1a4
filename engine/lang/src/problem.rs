//! A mistake that a person can mend, and where it is.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

use crate::{SourceId, Sources, Span};

/// One mistake: what, where, why, and what to do.
#[derive(Debug, Clone)]
pub struct Problem {
    code: &'static str,
    message: String,
    labels: Vec<(Span, String)>,
    help: Option<String>,
    /// The nodes that use the sub-pipeline that it is in, the innermost first.
    used_by: Vec<String>,
    source: Option<NamedSource<Arc<str>>>,
}

impl Problem {
    /// A mistake with a stable code (`pipe::unknown_kind`), a message, and its place.
    pub fn new(code: &'static str, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            labels: vec![(span, label.into())],
            help: None,
            used_by: Vec::new(),
            source: None,
        }
    }

    /// A mistake that has no place in a text.
    pub fn placeless(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: Vec::new(), help: None, used_by: Vec::new(), source: None }
    }

    /// A mistake in bytes `range` of a text that is not the pipeline's own, such as a table.
    pub fn in_text(
        code: &'static str,
        message: impl Into<String>,
        name: &str,
        text: &str,
        range: (usize, usize),
        label: impl Into<String>,
    ) -> Self {
        let mut sources = Sources::default();
        let source = sources.add(name, text, "");
        Self::new(code, message, Span { source, start: range.0, end: range.1 }, label).with_sources(&sources)
    }

    /// Points at a further place, if it lies in the same text.
    #[must_use]
    pub fn label(mut self, span: Span, label: impl Into<String>) -> Self {
        if self.labels.first().is_none_or(|(first, _)| first.source == span.source) {
            self.labels.push((span, label.into()));
        }
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do about it, where something can be said.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Where it is.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|(span, _)| *span)
    }

    /// Ties the text to the problem, so that it can be drawn on its own.
    #[must_use]
    pub fn with_sources(mut self, sources: &Sources) -> Self {
        self.source = self.span().map(|span| sources.named(span.source));
        if !self.used_by.is_empty() {
            let used = self.used_by.join("\n");
            self.help = Some(self.help.map_or_else(|| used.clone(), |help| format!("{help}\n{used}")));
            self.used_by.clear();
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().enumerate().map(|(index, (span, text))| {
            let range = (span.start, span.end - span.start);
            let text = (!text.is_empty()).then(|| text.clone());
            match index {
                0 => LabeledSpan::new_primary_with_span(text, range),
                _ => LabeledSpan::new_with_span(text, range),
            }
        })))
    }
}

/// All the mistakes of a pipeline, in the order of the text.
#[derive(Debug, Clone)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects mistakes while reading goes on.
#[derive(Debug, Default)]
pub(crate) struct Collector(Vec<Problem>);

impl Collector {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets the mistakes found since.
    pub(crate) fn truncate(&mut self, since: usize) {
        self.0.truncate(since);
    }

    /// Says of every mistake found since, and not in the text itself, which node uses the text that
    /// it is in.
    pub(crate) fn used_by(&mut self, since: usize, by: &str, text: SourceId) {
        for problem in self.0.iter_mut().skip(since) {
            if problem.span().is_some_and(|span| span.source != text) {
                problem.used_by.push(by.to_owned());
            }
        }
    }

    /// The mistakes in the order of the text, each once.
    pub(crate) fn finish(mut self, sources: &Sources) -> Problems {
        let place = |span: Span| (span.source, span.start);
        self.0.sort_by_key(|problem| problem.span().map(place));
        self.0.dedup_by(|a, b| a.message == b.message && a.span() == b.span());
        Problems(self.0.into_iter().map(|problem| problem.with_sources(sources)).collect())
    }
}
