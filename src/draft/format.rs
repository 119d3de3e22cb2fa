//! How a manifest is laid out: one way, with every comment and in the author's order.
//!
//! What stands on one line and what on several is the author's choice, and so is the column of comments behind code.
//! All else is decided here: spaces, indentation, empty lines, the column of `=`, the comma behind the last element.
//! Values are copied byte for byte. The text of what is formatted is again formatted.

use crate::diag::Problems;
use crate::manifest;
use std::collections::BTreeMap;
use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, parse_document};
use unicode_width::UnicodeWidthStr as _;

/// How far the elements of an array or a table stand behind what it belongs to.
const INDENT: usize = 4;

/// Formats a manifest. It needs not be a valid one, only TOML.
///
/// # Errors
/// When the text is no TOML.
pub fn format(text: &str) -> Result<String, Problems> {
    manifest::check_syntax(text)?;
    let tokens = Source::new(text).lex().into_vec();
    let mut events: Vec<Event> = Vec::new();
    // What is wrong was said.
    parse_document(&tokens, &mut events, &mut ());
    Ok(write(part(read(text, &events))))
}

/// A line of the text, or the lines of a value with its key.
enum Line {
    Empty,
    Comment(String),
    Header(Code),
    Entry { key: String, code: Code },
}

/// What is no comment, with the comment behind it. Of an entry it is the value.
#[derive(Default)]
struct Code {
    text: String,
    comment: Option<Comment>,
}

/// A comment behind code.
struct Comment {
    text: String,
    /// Where it starts in its line, as its author has it.
    column: usize,
}

/// Takes the text apart.
fn read(text: &str, events: &[Event]) -> Vec<Line> {
    let mut reader = Reader { text, events, at: 0 };
    let mut lines = Vec::new();
    while let Some(kind) = reader.peek() {
        lines.push(match kind {
            EventKind::Newline => Line::Empty,
            EventKind::Comment => Line::Comment(reader.take().trim_end().to_owned()),
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => Line::Header(reader.header()),
            _ => reader.entry(),
        });
        reader.end_line();
    }
    lines
}

struct Reader<'a> {
    text: &'a str,
    events: &'a [Event],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Returns what comes next, behind white space.
    fn peek(&mut self) -> Option<EventKind> {
        while self.events.get(self.at)?.kind() == EventKind::Whitespace {
            self.at += 1;
        }
        self.events.get(self.at).map(Event::kind)
    }

    /// Returns the text of what comes next.
    fn take(&mut self) -> &'a str {
        let span = self.events.get(self.at).map(Event::span);
        self.at += 1;
        span.and_then(|span| self.text.get(span.start()..span.end())).unwrap_or_default()
    }

    fn end_line(&mut self) {
        if self.peek() == Some(EventKind::Newline) {
            self.at += 1;
        }
    }

    fn comment(&mut self) -> Option<Comment> {
        if self.peek() != Some(EventKind::Comment) {
            return None;
        }
        let start = self.events.get(self.at).map_or(0, |event| event.span().start());
        let column = last_line(self.text.get(..start).unwrap_or_default()).width();
        Some(Comment { text: self.take().trim_end().to_owned(), column })
    }

    fn header(&mut self) -> Code {
        let mut text = String::new();
        while let Some(kind) = self.peek() {
            text.push_str(self.take());
            if matches!(kind, EventKind::StdTableClose | EventKind::ArrayTableClose) {
                break;
            }
        }
        Code { text, comment: self.comment() }
    }

    fn entry(&mut self) -> Line {
        let mut key = String::new();
        while let Some(kind) = self.peek() {
            let text = self.take();
            if kind == EventKind::KeyValSep {
                break;
            }
            key.push_str(text);
        }
        let mut value = Value::default();
        self.value(&mut value);
        Line::Entry { key, code: Code { text: value.text, comment: self.comment() } }
    }

    /// Copies a value: one scalar, or all up to the bracket that closes it.
    fn value(&mut self, value: &mut Value) {
        while let Some(kind) = self.peek() {
            match kind {
                EventKind::Newline => {
                    self.at += 1;
                    value.end_line();
                }
                EventKind::Comment => value.comment(self.comment()),
                EventKind::ArrayOpen | EventKind::InlineTableOpen => value.open(self.take()),
                EventKind::ArrayClose | EventKind::InlineTableClose => value.close(self.take()),
                EventKind::ValueSep => value.comma(self.take()),
                EventKind::KeyValSep => value.equals(self.take()),
                _ => value.part(self.take(), kind),
            }
            if value.open.is_empty() {
                return;
            }
        }
    }
}

/// A value as far as it is written.
#[derive(Default)]
struct Value {
    text: String,
    /// The brackets that are open.
    open: Vec<Bracket>,
}

struct Bracket {
    is_table: bool,
    /// Whether it is open over the end of a line.
    is_long: bool,
    /// Where the last element ends that has no comma behind it.
    lacks_comma: Option<usize>,
}

impl Value {
    /// Writes what has to stand before something: the indentation of a new line, or a space.
    fn lead(&mut self, depth: usize, space: bool) {
        if self.text.ends_with('\n') {
            self.text.push_str(&" ".repeat(INDENT * depth));
        } else if space && !self.text.is_empty() {
            self.text.push(' ');
        }
    }

    /// Returns whether a space stands before the next element.
    fn spaced(&self) -> bool {
        self.text.ends_with([',', '=', '{'])
    }

    fn open(&mut self, sign: &str) {
        self.lead(self.open.len(), self.spaced());
        self.text.push_str(sign);
        self.open.push(Bracket { is_table: sign == "{", is_long: false, lacks_comma: None });
    }

    fn close(&mut self, sign: &str) {
        let Some(bracket) = self.open.pop() else { return };
        if self.text.ends_with("\n\n") {
            self.text.pop();
        }
        match (bracket.is_long, bracket.lacks_comma) {
            (true, Some(end)) if !bracket.is_table && self.text.ends_with('\n') => self.text.insert(end, ','),
            (false, None) if self.text.ends_with(',') => drop(self.text.pop()),
            _ => {}
        }
        let is_empty = self.text.ends_with('{');
        self.lead(self.open.len(), bracket.is_table && !is_empty);
        self.text.push_str(sign);
        self.ended();
    }

    /// Notes that an element ends here.
    fn ended(&mut self) {
        let end = self.text.len();
        if let Some(bracket) = self.open.last_mut() {
            bracket.lacks_comma = Some(end);
        }
    }

    fn comma(&mut self, sign: &str) {
        self.lead(self.open.len(), false);
        self.text.push_str(sign);
        if let Some(bracket) = self.open.last_mut() {
            bracket.lacks_comma = None;
        }
    }

    fn equals(&mut self, sign: &str) {
        self.lead(self.open.len(), true);
        self.text.push_str(sign);
    }

    /// Writes a scalar, or a key or its dot.
    fn part(&mut self, text: &str, kind: EventKind) {
        self.lead(self.open.len(), self.spaced());
        self.text.push_str(text);
        if kind == EventKind::Scalar {
            self.ended();
        }
    }

    fn comment(&mut self, comment: Option<Comment>) {
        let Some(Comment { text, column }) = comment else { return };
        let depth = self.open.len();
        match (self.text.ends_with('\n'), self.text.rsplit_once('\n')) {
            (true, _) => self.lead(depth, false),
            (false, Some((_, line))) => {
                self.text.push_str(&" ".repeat(column.saturating_sub(line.width()).max(1)));
            }
            // Where a value starts in its line hangs on keys of other lines.
            (false, None) => self.text.push(' '),
        }
        self.text.push_str(&text);
    }

    /// Ends a line; of empty ones at most one stays, and none behind a bracket.
    fn end_line(&mut self) {
        if let Some(bracket) = self.open.last_mut() {
            bracket.is_long = true;
        }
        if !self.text.ends_with("\n\n") && !self.text.ends_with("[\n") && !self.text.ends_with("{\n") {
            self.text.push('\n');
        }
    }
}

/// Leaves one empty line before each header with the comments that stand on it, and never two of them.
fn part(lines: Vec<Line>) -> Vec<Line> {
    let mut parted: Vec<Line> = Vec::new();
    for line in lines {
        match &line {
            Line::Empty => {
                if !matches!(parted.last(), None | Some(Line::Empty | Line::Header(_))) {
                    parted.push(line);
                }
            }
            Line::Comment(_) | Line::Entry { .. } => parted.push(line),
            Line::Header(_) => {
                let above = parted.iter().rposition(|line| !matches!(line, Line::Comment(_)));
                if let Some(above) = above.filter(|above| !matches!(parted[*above], Line::Empty)) {
                    parted.insert(above + 1, Line::Empty);
                }
                parted.push(line);
            }
        }
    }
    if matches!(parted.last(), Some(Line::Empty)) {
        parted.pop();
    }
    parted
}

fn write(lines: Vec<Line>) -> String {
    let mut text = String::new();
    for paragraph in lines.split_inclusive(|line| matches!(line, Line::Empty)) {
        write_paragraph(paragraph, &mut text);
    }
    text
}

/// Writes the lines up to an empty one, whose `=` stand in one column, as do the comments that did before.
fn write_paragraph(lines: &[Line], text: &mut String) {
    let keys =
        lines.iter().filter_map(|line| if let Line::Entry { key, .. } = line { Some(key.width()) } else { None });
    let longest = keys.max().unwrap_or(0);
    let written: Vec<(String, Option<&Comment>)> = lines.iter().map(|line| without_comment(line, longest)).collect();
    let mut columns: BTreeMap<usize, usize> = BTreeMap::new();
    for (code, comment) in &written {
        if let Some(comment) = comment {
            let column = columns.entry(comment.column).or_insert(comment.column);
            *column = (*column).max(last_line(code).width() + 1);
        }
    }
    for (code, comment) in written {
        text.push_str(&code);
        if let Some(comment) = comment {
            let space = columns[&comment.column].saturating_sub(last_line(&code).width());
            text.push_str(&" ".repeat(space));
            text.push_str(&comment.text);
        }
        text.push('\n');
    }
}

/// Writes a line, and returns the comment that belongs behind it.
fn without_comment(line: &Line, longest: usize) -> (String, Option<&Comment>) {
    match line {
        Line::Empty => (String::new(), None),
        Line::Comment(comment) => (comment.clone(), None),
        Line::Header(code) => (code.text.clone(), code.comment.as_ref()),
        Line::Entry { key, code } => {
            let space = " ".repeat(longest.saturating_sub(key.width()));
            (format!("{key}{space} = {}", code.text), code.comment.as_ref())
        }
    }
}

fn last_line(text: &str) -> &str {
    text.rsplit('\n').next().unwrap_or_default()
}
