//! `pipe fmt`: a pipeline's text laid out alike, comments kept.
//!
//! Two spaces a level, one space inside `{ }`, at most one empty line. What comes out is read again and
//! held against what went in: a value or a comment that would be lost leaves the text as it was.

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::problem::{Collector, Problem, Problems};
use crate::tree::Tree;
use crate::{Sources, Span, reader};

/// Flow mappings and lists that would be wider are written as blocks.
const WIDTH: usize = 100;

/// A text laid out alike.
///
/// # Errors
/// What is not valid YAML in it.
pub fn format(name: &str, text: &str) -> Result<String, Problems> {
    let mut sources = Sources::default();
    let id = sources.add(name, text, "");
    let mut problems = Collector::default();
    let tree = reader::read(&sources, id, &mut problems);
    let Some(tree) = tree.filter(|_| problems.is_empty()) else { return Err(problems.finish(&sources)) };
    let text = text.replace("\r\n", "\n");
    let formatted = Layout::of(&text).map(Layout::write);
    match formatted.filter(|formatted| is_kept(&tree, &text, formatted)) {
        Some(formatted) => Ok(formatted),
        None => {
            let span = Span { source: id, start: 0, end: 0 };
            let message = "the file is written in a way that cannot be laid out anew";
            let problem = Problem::new("pipe::syntax", message, span, "the whole file");
            problems.push(problem.help(
                "anchors, aliases, tags and texts that begin with `|2` or `|+` are left to you; nothing was changed",
            ));
            Err(problems.finish(&sources))
        }
    }
}

/// Whether another text says the same, comments too.
fn is_kept(tree: &Tree, text: &str, formatted: &str) -> bool {
    let mut sources = Sources::default();
    let id = sources.add("", formatted, "");
    let mut problems = Collector::default();
    let again = reader::read(&sources, id, &mut problems);
    let comments = |text: &str| {
        let mut comments: Vec<String> = Layout::of(text)?.comments.into_iter().map(|comment| comment.text).collect();
        comments.sort();
        Some(comments)
    };
    problems.is_empty() && again.is_some_and(|again| tree.is_like(&again)) && comments(text) == comments(formatted)
}

/// A value as it stands in the text.
struct Value {
    /// Offsets of its first byte and behind its last.
    start: usize,
    end: usize,
    form: Form,
}

enum Form {
    /// As written, on one line or several.
    Scalar,
    /// `|` or `>` and the lines below.
    Lines,
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

struct Comment {
    at: usize,
    column: usize,
    /// Whether something else stands before it on its line.
    trails: bool,
    text: String,
}

struct Layout<'a> {
    text: &'a str,
    root: Value,
    comments: Vec<Comment>,
    /// The first comment that has not been written.
    next: usize,
    out: String,
    /// The offset behind what was written last.
    written: usize,
}

impl<'a> Layout<'a> {
    /// `None` where the text uses what cannot be laid out.
    fn of(text: &'a str) -> Option<Self> {
        let mut events =
            Events { parser: Parser::new_from_str(text), offsets: offsets(text), text, scalars: Vec::new() };
        let root = events.document()?;
        let comments = comments(text, &events.scalars);
        Some(Self { text, root, comments, next: 0, out: String::new(), written: 0 })
    }

    fn write(mut self) -> String {
        let root = std::mem::replace(&mut self.root, Value { start: 0, end: 0, form: Form::Scalar });
        self.block(&root, 0, self.text.len());
        self.leading(self.text.len(), 0);
        let mut out = self.out.trim_start_matches('\n').trim_end().to_owned();
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }

    /// A mapping or list as a block, each entry on lines of its own. What follows it begins at `limit`.
    fn block(&mut self, value: &Value, indent: usize, limit: usize) {
        match &value.form {
            Form::Map(entries) => {
                let column = self.column(value.start);
                for (at, (key, held)) in entries.iter().enumerate() {
                    let next = entries.get(at + 1).map_or(limit, |(key, _)| key.start);
                    self.entry_start(key.start, indent);
                    self.push(&format!("{}:", &self.text[key.start..key.end]));
                    self.written = key.end;
                    self.held(held, indent, next);
                }
                self.closing(limit, column, indent);
            }
            Form::List(items) => {
                let column = self.column(value.start);
                for (at, item) in items.iter().enumerate() {
                    let next = items.get(at + 1).map_or(limit, |item| item.start);
                    self.entry_start(item.start, indent);
                    self.push("-");
                    self.item(item, indent, next);
                }
                self.closing(limit, column, indent);
            }
            Form::Scalar | Form::Lines => {
                self.entry_start(value.start, indent);
                self.push(&self.text[value.start..value.end]);
            }
        }
    }

    /// What stands behind a key.
    fn held(&mut self, held: &Value, indent: usize, limit: usize) {
        match &held.form {
            Form::Map(entries) if !entries.is_empty() && !self.stays(held, indent) => {
                self.trailing(held.start);
                self.block(held, indent + 2, limit);
            }
            Form::List(items) if !items.is_empty() && !self.stays(held, indent) => {
                self.trailing(held.start);
                self.block(held, indent + 2, limit);
            }
            _ => self.inline(held, indent),
        }
    }

    /// What stands behind a dash: the first key of a block mapping on the same line.
    fn item(&mut self, item: &Value, indent: usize, limit: usize) {
        match &item.form {
            Form::Map(entries) if !entries.is_empty() && !self.stays(item, indent) => {
                let column = self.column(item.start);
                for (at, (key, held)) in entries.iter().enumerate() {
                    let next = entries.get(at + 1).map_or(limit, |(key, _)| key.start);
                    match at {
                        0 => self.push(" "),
                        _ => self.entry_start(key.start, indent + 2),
                    }
                    self.push(&format!("{}:", &self.text[key.start..key.end]));
                    self.written = key.end;
                    self.held(held, indent + 2, next);
                }
                self.closing(limit, column, indent + 2);
            }
            Form::List(items) if !items.is_empty() && !self.stays(item, indent) => self.block(item, indent + 2, limit),
            _ => self.inline(item, indent),
        }
    }

    /// A value on the line that is being written.
    fn inline(&mut self, value: &Value, indent: usize) {
        let text = match &value.form {
            Form::Lines => self.lines(value, indent + 2),
            _ => self.flow(value, indent + 2),
        };
        if !text.is_empty() {
            self.push(" ");
            self.push(&text);
        }
        self.written = self.written.max(value.end);
        let line_end = self.text[self.written..].find('\n').map_or(self.text.len(), |at| self.written + at);
        self.trailing(line_end);
    }

    /// Whether a mapping or list that is written in `{ }` or `[ ]` stays so.
    fn stays(&self, value: &Value, indent: usize) -> bool {
        let flow = self.text[value.start..].starts_with(['{', '[']);
        flow && self.last_line() + 1 + self.flow(value, indent).chars().count() <= WIDTH
    }

    fn last_line(&self) -> usize {
        self.out.rsplit('\n').next().unwrap_or_default().chars().count()
    }

    /// A value on one line, scalars as they are written.
    fn flow(&self, value: &Value, indent: usize) -> String {
        match &value.form {
            Form::Scalar | Form::Lines => {
                let pad = format!("\n{}", " ".repeat(indent));
                self.text[value.start..value.end].lines().map(str::trim).collect::<Vec<_>>().join(&pad)
            }
            Form::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.flow(item, indent)).collect();
                format!("[{}]", items.join(", "))
            }
            Form::Map(entries) if entries.is_empty() => "{}".to_owned(),
            Form::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, held)| {
                        format!("{}: {}", self.flow(key, indent), self.flow(held, indent)).trim().to_owned()
                    })
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }

    /// A block scalar: its header, and its lines moved to an indentation.
    fn lines(&self, value: &Value, indent: usize) -> String {
        let mut lines = self.text[value.start..value.end].lines();
        let header = lines.next().unwrap_or_default().trim_end();
        let rest: Vec<&str> = lines.collect();
        let width = |line: &&&str| line.len() - line.trim_start_matches(' ').len();
        let least =
            rest.iter().filter(|line| !line.trim().is_empty()).map(|line| width(&line)).min().unwrap_or_default();
        let mut text = header.to_owned();
        for line in rest {
            text.push('\n');
            if !line.trim().is_empty() {
                text.push_str(&" ".repeat(indent));
                text.push_str(line.get(least..).unwrap_or_default());
            }
        }
        text.trim_end_matches('\n').to_owned()
    }

    fn column(&self, at: usize) -> usize {
        at - self.text[..at].rfind('\n').map_or(0, |line| line + 1)
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Begins the line of an entry, below the comments before it.
    fn entry_start(&mut self, at: usize, indent: usize) {
        self.leading(at, indent);
        self.line(at, indent);
        self.written = at;
    }

    /// Begins a line, below an empty one where there is one in the text.
    fn line(&mut self, at: usize, indent: usize) {
        let between = self.text.get(self.written..at).unwrap_or_default();
        if !self.out.is_empty() {
            // Neither the rest of the last line nor the beginning of this one.
            let lines: Vec<&str> = between.split('\n').collect();
            let empty = lines.len() > 2 && lines[1..lines.len() - 1].iter().any(|line| line.trim().is_empty());
            self.push(if empty { "\n\n" } else { "\n" });
        }
        self.push(&" ".repeat(indent));
    }

    /// Comments on lines of their own before an offset.
    fn leading(&mut self, at: usize, indent: usize) {
        while let Some(comment) = self.comments.get(self.next).filter(|comment| comment.at < at) {
            let (at, text) = (comment.at, comment.text.clone());
            self.next += 1;
            self.line(at, indent);
            self.push(&text);
            self.written = at + text.len();
        }
    }

    /// Comments behind what was written, on its line.
    fn trailing(&mut self, until: usize) {
        while let Some(comment) = self.comments.get(self.next).filter(|comment| comment.trails && comment.at < until) {
            let (at, text) = (comment.at, comment.text.clone());
            self.next += 1;
            // As far from the value as it was: comments may stand below one another.
            let before = &self.text[..at];
            let spaces = before.len() - before.trim_end_matches(' ').len();
            self.push(&" ".repeat(spaces.max(1)));
            self.push(&text);
            self.written = at + text.len();
        }
    }

    /// Comments behind the last entry of a block that stand as far to the right as it.
    fn closing(&mut self, limit: usize, column: usize, indent: usize) {
        while let Some(comment) =
            self.comments.get(self.next).filter(|comment| comment.at < limit && comment.column >= column && column > 0)
        {
            let (at, text) = (comment.at, comment.text.clone());
            self.next += 1;
            self.line(at, indent);
            self.push(&text);
            self.written = at + text.len();
        }
    }
}

/// The byte offset of every character, and of the end.
fn offsets(text: &str) -> Vec<usize> {
    text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect()
}

struct Events<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    offsets: Vec<usize>,
    text: &'a str,
    /// Where scalars stand: a `#` inside one is no comment.
    scalars: Vec<(usize, usize)>,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Option<(Event<'a>, usize, usize)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        let offset = |chars: usize| self.offsets.get(chars).copied().unwrap_or(self.text.len());
        Some((event, offset(span.start.index()), offset(span.end.index())))
    }

    fn document(&mut self) -> Option<Value> {
        loop {
            let (event, start, end) = self.next()?;
            match event {
                Event::StreamEnd => return Some(Value { start: end, end, form: Form::Scalar }),
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event => return self.value(event, start, end),
            }
        }
    }

    fn value(&mut self, event: Event<'a>, start: usize, end: usize) -> Option<Value> {
        match event {
            Event::Scalar(_, style, 0, None) => {
                let form = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => Form::Lines,
                    _ => Form::Scalar,
                };
                let (start, end) = match form {
                    Form::Lines => self.lines(start, end)?,
                    _ => (start, start + self.text[start..end.max(start)].trim_end().len()),
                };
                self.scalars.push((start, end));
                Some(Value { start, end, form })
            }
            Event::SequenceStart(0, None) => {
                let mut items = Vec::new();
                loop {
                    let (event, from, to) = self.next()?;
                    if event == Event::SequenceEnd {
                        let end = if self.text[start..].starts_with('[') {
                            to
                        } else {
                            items.last().map_or(to, |item: &Value| item.end)
                        };
                        return Some(Value { start, end, form: Form::List(items) });
                    }
                    items.push(self.value(event, from, to)?);
                }
            }
            Event::MappingStart(0, None) => {
                let mut entries: Vec<(Value, Value)> = Vec::new();
                loop {
                    let (event, from, to) = self.next()?;
                    if event == Event::MappingEnd {
                        let last = entries.last().map_or(to, |(_, held)| held.end);
                        let end = if self.text[start..].starts_with('{') { to } else { last };
                        let start = match (self.text[start..].starts_with('{'), entries.first()) {
                            (false, Some((key, _))) => key.start,
                            _ => start,
                        };
                        return Some(Value { start, end, form: Form::Map(entries) });
                    }
                    let key = self.value(event, from, to)?;
                    let (event, from, to) = self.next()?;
                    let mut held = self.value(event, from, to)?;
                    if held.start == held.end {
                        // Nothing is written: it stands right behind its key.
                        (held.start, held.end) = (key.end, key.end);
                    }
                    entries.push((key, held));
                }
            }
            // Anchors, aliases and tags.
            _ => None,
        }
    }

    /// Where a block scalar begins and ends. The parser counts from its first line to the next value,
    /// comments between them too: it ends before the first line that is not indented more than the line
    /// with its `|`. `None` where that says more than how it ends.
    fn lines(&self, first: usize, end: usize) -> Option<(usize, usize)> {
        let start = self.text[..first].rfind(['|', '>'])?;
        let header = self.text[start..].lines().next()?;
        if !matches!(header.trim_end().get(1..)?, "" | "-" | "+") {
            return None;
        }
        let line = self.text[..start].rfind('\n').map_or(0, |line| line + 1);
        // Behind a dash alone it belongs to the list, behind a key to the mapping.
        let before = &self.text[line..start];
        let outer = match before.trim_end().strip_suffix('-') {
            Some(dash) if dash.trim_matches([' ', '-']).is_empty() => dash.len(),
            _ => before.len() - before.trim_start_matches([' ', '-']).len(),
        };
        let mut at = start + header.len() + 1;
        let mut found = start + header.len();
        for line in self.text.get(at..end.max(at)).unwrap_or_default().split_inclusive('\n') {
            at += line.len();
            let spaces = line.len() - line.trim_start_matches(' ').len();
            if !line.trim().is_empty() {
                if spaces <= outer {
                    break;
                }
                found = at;
            }
        }
        Some((start, start + self.text[start..found.min(self.text.len())].trim_end().len()))
    }
}

/// The comments of a text: from a `#` behind a space or at the start of a line, outside of scalars.
fn comments(text: &str, scalars: &[(usize, usize)]) -> Vec<Comment> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_start = |(offset, _): &(usize, char)| {
            let begins = *offset == 0 || line[..*offset].ends_with([' ', '\t']);
            let place = at + offset;
            let after = scalars.partition_point(|(start, _)| *start <= place);
            begins && scalars[..after].last().is_none_or(|(_, end)| place >= *end)
        };
        if let Some((offset, _)) = line.char_indices().filter(|(_, c)| *c == '#').find(is_start) {
            let trails = !line[..offset].trim().is_empty();
            found.push(Comment { at: at + offset, column: offset, trails, text: line[offset..].trim_end().to_owned() });
        }
        at += line.len();
    }
    found
}
