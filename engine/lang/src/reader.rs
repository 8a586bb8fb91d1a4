//! Reads YAML text into a spanned tree.
//!
//! Built on events, since deserialising straight into structs loses places, stops at the first
//! mistake and keeps the last of duplicate keys without a word.

use saphyr_parser::{Event, Parser, ScalarStyle, Span as CharSpan};

use crate::problem::{Collector, Problem};
use crate::tree::{Key, Node, Scalar, Tree};
use crate::{SourceId, Sources, Span};

/// The longest file read, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 64;
/// The most values in a file, what aliases repeat counted again.
const MAX_VALUES: usize = 100_000;

/// Reads one source. `None` when a mistake leaves no tree to go on with.
pub(crate) fn read(sources: &Sources, id: SourceId, problems: &mut Collector) -> Option<Tree> {
    let text = sources.text(id);
    if text.len() > MAX_BYTES {
        let start = Span { source: id, start: 0, end: 0 };
        problems.push(
            Problem::new("pipe::too_large", format!("the file has {} bytes", text.len()), start, "")
                .help(format!("a pipeline has at most {MAX_BYTES} bytes")),
        );
        return None;
    }
    let mut reader = Reader {
        text: &text,
        id,
        offsets: byte_offsets(&text),
        anchors: Vec::new(),
        values: 0,
        problems,
        events: Parser::new_from_str(&text),
    };
    reader.document().ok()
}

/// The byte offset of every character, and of the end: the parser counts characters.
fn byte_offsets(text: &str) -> Option<Vec<usize>> {
    let offsets = || text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect();
    (!text.is_ascii()).then(offsets)
}

/// Reading cannot go on; the reason has been reported.
struct Stop;

struct Reader<'a> {
    text: &'a str,
    id: SourceId,
    offsets: Option<Vec<usize>>,
    anchors: Vec<(usize, Tree, usize)>,
    values: usize,
    problems: &'a mut Collector,
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Tree, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    self.problems.push(
                        Problem::new("pipe::syntax", "a second document in one file", span, "starts here")
                            .help("write one pipeline a file"),
                    );
                    return Err(Stop);
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event => root = Some(self.value(event, span, 0)?),
            }
        }
        let end = Span { source: self.id, start: self.text.len(), end: self.text.len() };
        Ok(root.unwrap_or_else(|| Tree::new(Node::Scalar(Scalar { text: String::new(), plain: true }), end)))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, self.span(span))),
            Some(Err(error)) => {
                // At the end of the file the last thing written is what is shown.
                let written = self.text.trim_end();
                let last = written.len() - written.chars().next_back().map_or(0, char::len_utf8);
                let at = self.offset(error.marker().index()).min(last);
                let end = at + self.text[at..].chars().next().map_or(0, char::len_utf8);
                let span = Span { source: self.id, start: at, end };
                self.problems.push(
                    Problem::new("pipe::syntax", format!("not valid YAML: {}", error.info()), span, "here").maybe_help(
                        self.text
                            .lines()
                            .any(|line| line.trim_start_matches(' ').starts_with('\t'))
                            .then(|| "YAML is indented with spaces, not with tabs".to_owned()),
                    ),
                );
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, Span { source: self.id, start: 0, end: 0 })),
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Tree, Stop> {
        self.count(1, span)?;
        if depth > MAX_DEPTH {
            self.problems.push(Problem::new(
                "pipe::too_large",
                format!("lists and mappings are nested more than {MAX_DEPTH} deep"),
                span,
                "the innermost one allowed",
            ));
            return Err(Stop);
        }
        let before = self.values;
        let (tree, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let plain = style == ScalarStyle::Plain;
                (Tree::new(Node::Scalar(Scalar { text: text.into_owned(), plain }), self.trim(span)), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                (self.list(span, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                (self.map(span, depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let known =
                    self.anchors.iter().find(|(id, ..)| *id == anchor).map(|(_, tree, size)| (tree.clone(), *size));
                let Some((mut tree, size)) = known else {
                    self.problems.push(Problem::new("pipe::syntax", "an alias inside its own anchor", span, "here"));
                    return Err(Stop);
                };
                self.count(size, span)?;
                tree.used_at = Some(span);
                (tree, 0)
            }
            _ => {
                self.problems.push(Problem::new("pipe::syntax", "a value is missing", span, "expected here"));
                return Err(Stop);
            }
        };
        if anchor != 0 {
            self.anchors.push((anchor, tree.clone(), self.values - before));
        }
        Ok(tree)
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Tree, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let span = start.to(items.last().map_or(span, |item: &Tree| item.span.to(span)));
                return Ok(Tree::new(Node::List(items), self.trim(span)));
            }
            items.push(self.value(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Tree, Stop> {
        let mut entries: Vec<(Key, Tree)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Tree::new(Node::Map(entries), self.trim(start.to(span))));
            }
            let key = match self.value(event, span, depth + 1)? {
                Tree { node: Node::Scalar(scalar), span, .. } => Key { text: scalar.text, span },
                Tree { span, .. } => {
                    self.problems.push(
                        Problem::new("pipe::syntax", "a key that is a list or a mapping", span, "not a key")
                            .help("put text that begins with `{` or `[` in quotes"),
                    );
                    return Err(Stop);
                }
            };
            let (event, span) = self.next()?;
            let value = self.value(event, span, depth + 1)?;
            if let Some((first, _)) = entries.iter().find(|(other, _)| other.text == key.text) {
                self.problems.push(
                    Problem::new(
                        "pipe::duplicate_key",
                        format!("the key `{}` is written twice", key.text),
                        key.span,
                        "again here",
                    )
                    .label(first.span, "first here")
                    .help("remove one of the two"),
                );
            } else {
                entries.push((key, value));
            }
        }
    }

    fn count(&mut self, values: usize, span: Span) -> Result<(), Stop> {
        self.values += values;
        if self.values <= MAX_VALUES {
            return Ok(());
        }
        let message = format!("the file has more than {MAX_VALUES} values, aliases counted");
        self.problems.push(Problem::new("pipe::too_large", message, span, "reading stopped here"));
        Err(Stop)
    }

    fn refuse_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            self.problems.push(
                Problem::new("pipe::syntax", "tags are not part of the language", span, "tagged")
                    .help("remove the `!...`; write text that looks like a number in quotes"),
            );
        }
    }

    fn offset(&self, chars: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(chars).copied().unwrap_or(self.text.len()),
            None => chars.min(self.text.len()),
        }
    }

    fn span(&self, span: CharSpan) -> Span {
        let start = self.offset(span.start.index());
        Span { source: self.id, start, end: self.offset(span.end.index()).max(start) }
    }

    /// Without the white space that the parser counts to the end of a block.
    fn trim(&self, span: Span) -> Span {
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        Span { end: span.start + text.trim_end().len(), ..span }
    }
}
