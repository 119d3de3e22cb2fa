//! Lines, columns, colour and wrapping: everything that people read goes through a [`Page`].
//!
//! Text from files and from the kernel is made harmless here: nothing that a terminal obeys gets through.

use crate::names::Address;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::ops::{ControlFlow, Range};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns of a line.
    pub width: usize,
    /// Whether everything beyond ASCII is escaped.
    pub ascii: bool,
    /// Whether colours are used.
    pub color: bool,
}

impl Default for Style {
    /// Plain text for a terminal of the classic width.
    fn default() -> Self {
        Self { width: 80, ascii: false, color: false }
    }
}

/// Narrower lines than this are not wrapped any further: a word a line helps nobody.
const MIN_LINE: usize = 24;

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Nothing special.
    Plain,
    /// Comes into being.
    Create,
    /// Changes.
    Change,
    /// Goes, and something else comes.
    Replace,
    /// Goes.
    Remove,
    /// Stays.
    Keep,
    /// Must not be overlooked.
    Alarm,
    /// A heading.
    Heading,
}

impl Paint {
    /// Returns the parameters of the terminal's SGR sequence (ECMA-48).
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Create => Some("32"),
            Self::Change => Some("33"),
            Self::Replace => Some("35"),
            Self::Remove => Some("31"),
            Self::Keep => Some("2"),
            Self::Alarm => Some("1;31"),
            Self::Heading => Some("1"),
        }
    }
}

/// Text in runs of one colour each.
#[derive(Debug, Clone, Default)]
pub struct Text {
    text: String,
    runs: Vec<Run>,
}

#[derive(Debug, Clone)]
struct Run {
    paint: Paint,
    /// Where it ends in the text; it begins where the one before it ends.
    end: usize,
    /// Whether it stays on one line while a line can hold it.
    whole: bool,
}

/// More bytes than most lines have before they are wrapped.
const LINE: usize = 192;

impl Text {
    /// Makes text of one run.
    pub fn new(paint: Paint, text: impl fmt::Display) -> Self {
        // Most texts are lines, which then do not grow bit by bit.
        Self { text: String::with_capacity(LINE), runs: Vec::with_capacity(4) }.and(paint, text)
    }

    /// Adds a run.
    #[must_use]
    pub fn and(self, paint: Paint, text: impl fmt::Display) -> Self {
        self.and_run(paint, text, false)
    }

    /// Adds a run that is not to be broken at its spaces.
    #[must_use]
    pub fn and_whole(self, paint: Paint, text: impl fmt::Display) -> Self {
        self.and_run(paint, text, true)
    }

    fn and_run(mut self, paint: Paint, text: impl fmt::Display, whole: bool) -> Self {
        write!(self.text, "{text}").expect("writing to a String never fails");
        self.runs.push(Run { paint, end: self.text.len(), whole });
        self
    }

    /// Adds another text.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        let start = self.text.len();
        self.text.push_str(&other.text);
        self.runs.extend(other.runs.into_iter().map(|run| Run { end: start + run.end, ..run }));
        self
    }

    /// Returns the runs with their texts.
    fn runs(&self) -> impl Iterator<Item = (&Run, &str)> {
        self.runs.iter().scan(0, |start, run| {
            let text = &self.text[std::mem::replace(start, run.end)..run.end];
            Some((run, text))
        })
    }

    /// Returns the columns that the text takes.
    pub fn width(&self, style: &Style) -> usize {
        self.runs().map(|(_, text)| columns(&clean(text, style))).sum()
    }

    /// Returns the text without its colours, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns whether a line can have the text just as it is: without colours, nothing to escape, nothing to wrap.
    fn fits(&self, width: usize, style: &Style) -> bool {
        let is_bare = !style.color && self.runs.iter().all(|run| !run.whole);
        is_bare && self.text.len() <= width && is_clean(&self.text)
    }

    /// Writes the runs without anything harmful to `clean`, and their words to `words`.
    fn words(&self, style: &Style, clean: &mut String, words: &mut Vec<Word>) {
        let mut spaces = 0;
        for (Run { paint, whole, .. }, text) in self.runs() {
            let start = clean.len();
            clean.push_str(&self::clean(text, style));
            let run = &clean[start..];
            let ends = run.bytes().enumerate().filter(|(_, byte)| *byte == b' ' && !whole).map(|(at, _)| at);
            let mut begin = 0;
            for end in ends.chain([run.len()]) {
                if begin < end {
                    let text = start + begin..start + end;
                    words.push(Word { paint: *paint, spaces, width: columns(&run[begin..end]), text });
                    spaces = 0;
                }
                spaces += usize::from(end < run.len());
                begin = end + 1;
            }
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(Paint::Plain, text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(Paint::Plain, text)
    }
}

#[derive(Debug)]
struct Word {
    paint: Paint,
    /// How many spaces stand before it.
    spaces: usize,
    /// Where it stands in the clean text.
    text: Range<usize>,
    /// The columns that it takes.
    width: usize,
}

/// Returns whether every terminal shows a text as it is.
fn is_clean(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Escapes what a terminal would obey, or not show, and under `ascii` everything that is not ASCII.
pub fn clean<'a>(text: &'a str, style: &Style) -> Cow<'a, str> {
    if is_clean(text) {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => clean.push(c),
            _ if style.ascii || c.is_control() => clean.extend(c.escape_default()),
            _ => clean.extend(c.escape_debug()),
        }
    }
    clean.into()
}

/// Text inside an element or a quoted attribute of XML or HTML.
#[derive(Debug, Clone, Copy)]
pub struct Xml<'a>(pub &'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Returns the columns that clean text takes.
fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Lines of text under way.
#[derive(Debug)]
pub struct Page {
    style: Style,
    out: String,
    /// Columns written in the present line.
    column: usize,
    /// Room for the text of one line after the other, and for its words.
    clean: String,
    words: Vec<Word>,
}

impl Page {
    /// Starts a page.
    pub fn new(style: Style) -> Self {
        Self { style, out: String::new(), column: 0, clean: String::new(), words: Vec::new() }
    }

    /// Returns the page as text.
    pub fn finish(self) -> String {
        self.out
    }

    /// Hands on the lines so far once they are at least so many bytes, and goes on without them.
    pub fn hand_on(&mut self, least: usize, take: impl FnOnce(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        if self.out.len() < least {
            return ControlFlow::Continue(());
        }
        let taken = take(&self.out);
        self.out.clear();
        taken
    }

    /// Returns the style.
    pub fn style(&self) -> &Style {
        &self.style
    }

    /// Writes an empty line.
    pub fn blank(&mut self) {
        self.out.push('\n');
    }

    /// Writes a text, and where it is too long goes on in the next line, `hang` columns to the right.
    pub fn line(&mut self, text: impl Into<Text>, hang: usize) {
        let text = text.into();
        let width = self.style.width.max(hang + MIN_LINE);
        if text.fits(width, &self.style) {
            self.out.push_str(text.text.trim_end_matches(' '));
            self.out.push('\n');
            return;
        }
        let mut clean = std::mem::take(&mut self.clean);
        let mut words = std::mem::take(&mut self.words);
        text.words(&self.style, &mut clean, &mut words);
        let mut last = Paint::Plain;
        for (i, word) in words.iter().enumerate() {
            let glued = words[i + 1..].iter().take_while(|next| next.spaces == 0);
            let needed = word.spaces + word.width + glued.map(|next| next.width).sum::<usize>();
            if self.column + needed > width && word.spaces > 0 && self.column > hang {
                self.paint(&mut last, Paint::Plain);
                self.new_line(hang);
            } else {
                // A gap keeps the colour of what it stands in, so that a run is one sequence.
                if word.paint != last {
                    self.paint(&mut last, Paint::Plain);
                }
                self.indent(word.spaces.min(width.saturating_sub(self.column)));
            }
            let text = (&clean[word.text.clone()], word.width);
            self.word(text, word.paint, width, hang, &mut last);
        }
        self.paint(&mut last, Paint::Plain);
        self.new_line(0);
        clean.clear();
        words.clear();
        (self.clean, self.words) = (clean, words);
    }

    /// Writes a word; one that no line can hold is broken behind a `/`, or anywhere.
    fn word(&mut self, text: (&str, usize), paint: Paint, width: usize, hang: usize, last: &mut Paint) {
        let (mut rest, mut needed) = text;
        while self.column + needed > width {
            // `MIN_LINE` makes sure that a new line takes at least one character.
            let (head, tail) = split(rest, width.saturating_sub(self.column));
            self.paint(last, paint);
            self.out.push_str(head);
            self.paint(last, Paint::Plain);
            self.new_line(hang);
            (rest, needed) = (tail, columns(tail));
        }
        self.paint(last, paint);
        self.out.push_str(rest);
        self.column += needed;
    }

    /// Writes a table below its headings, without the columns in which no row has anything. Columns that a line has
    /// no room for go on in the next line, indented; a row that has nothing for it has no such line.
    pub fn table(&mut self, table: &Table) {
        let head: Vec<_> = table.head.iter().map(|name| Text::new(Paint::Heading, name)).collect();
        let widths = table.widths(&self.style);
        let bands = bands(&widths, self.style.width);
        let has = |row: &[Text], column: usize| row.get(column).is_some_and(|cell| !cell.is_empty());
        for row in std::iter::once(&head).chain(&table.rows) {
            let last = bands.iter().rposition(|band| band.iter().any(|&column| has(row, column)));
            for (i, band) in bands.iter().take(last.unwrap_or(0) + 1).enumerate() {
                self.cells(row, band, &widths, if i == 0 { INDENT } else { 2 * INDENT });
            }
        }
    }

    fn cells(&mut self, row: &[Text], band: &[usize], widths: &[usize], indent: usize) {
        let mut line = Text::from(" ".repeat(indent));
        let (mut start, mut end) = (indent, indent);
        for &column in band {
            let cell = row.get(column).filter(|cell| !cell.is_empty()).cloned().unwrap_or_else(|| "-".into());
            let width = cell.width(&self.style);
            line = line.and(Paint::Plain, " ".repeat(start - end)).join(cell);
            (start, end) = (start + widths[column] + GAP, start + width);
        }
        let last = band.last().map_or(0, |&column| widths[column] + GAP);
        self.line(line, start - last);
    }

    fn indent(&mut self, columns: usize) {
        const SPACES: &str = "                                                                ";
        let mut left = columns;
        while left > 0 {
            let some = left.min(SPACES.len());
            self.out.push_str(&SPACES[..some]);
            left -= some;
        }
        self.column += columns;
    }

    fn new_line(&mut self, hang: usize) {
        self.out.push('\n');
        self.column = 0;
        self.indent(hang);
    }

    fn paint(&mut self, last: &mut Paint, paint: Paint) {
        if !self.style.color || *last == paint {
            return;
        }
        match paint.sgr() {
            Some(sgr) => write!(self.out, "\x1b[{sgr}m").expect("writing to a String never fails"),
            None => self.out.push_str("\x1b[0m"),
        }
        *last = paint;
    }
}

/// Splits a word so that the first part takes at most `width` columns.
fn split(word: &str, width: usize) -> (&str, &str) {
    let mut columns = 0;
    let too_far = word.char_indices().find(|(_, c)| {
        columns += c.width().unwrap_or(0);
        columns > width
    });
    let most = too_far.map_or(word.len(), |(at, _)| at);
    let behind_slash = word[..most].rfind('/').map(|at| at + 1).filter(|&at| at > 1);
    word.split_at(behind_slash.unwrap_or(most))
}

/// Returns the columns that a list of addresses is given: those of the longest one, but for a few very long ones.
pub fn address_width<'a>(addresses: impl Iterator<Item = &'a Address>, style: &Style) -> usize {
    let widths = addresses.map(|address| match address {
        Address::Directory(_) => super::text::FOLDER.len(),
        Address::Object(_) | Address::Map(_) | Address::Program(_) | Address::Link(_) | Address::Record => {
            address.parts().map(columns).iter().sum()
        }
    });
    widths.filter(|&width| width <= style.width / 4).max().unwrap_or(0)
}

/// Columns before the first cell of a table.
const INDENT: usize = 2;
/// Columns between two cells.
const GAP: usize = 2;

/// Cells in columns.
#[derive(Debug)]
pub struct Table {
    head: &'static [&'static str],
    rows: Vec<Vec<Text>>,
}

impl Table {
    /// Starts a table with the headings of its columns.
    pub fn new(head: &'static [&'static str]) -> Self {
        Self { head, rows: Vec::new() }
    }

    /// Adds a row: one cell for each heading. An empty cell is shown as `-`.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Text>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the width of each column; 0 for one in which no row has anything.
    fn widths(&self, style: &Style) -> Vec<usize> {
        let widest = |(column, name): (usize, &&str)| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            match cells.map(|cell| cell.width(style)).max().unwrap_or(0) {
                0 => 0,
                widest => widest.max(name.width()),
            }
        };
        self.head.iter().enumerate().map(widest).collect()
    }
}

/// Deals the columns that have a width to as many lines as they need.
fn bands(widths: &[usize], width: usize) -> Vec<Vec<usize>> {
    let mut bands = vec![Vec::new()];
    let mut used = INDENT;
    for (column, &cell) in widths.iter().enumerate().filter(|(_, cell)| **cell > 0) {
        let band = bands.last_mut().expect("there is always one");
        if band.is_empty() || used + cell <= width {
            band.push(column);
        } else {
            bands.push(vec![column]);
            used = 2 * INDENT;
        }
        used += cell + GAP;
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NARROW: Style = Style { width: 30, ascii: false, color: false };

    #[track_caller]
    fn check(style: Style, text: &Text, hang: usize, expected: &str) {
        let mut page = Page::new(style);
        page.line(text.clone(), hang);
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn lines_wrap_with_a_hanging_indent() {
        check(NARROW, &"short".into(), 4, "short\n");
        check(NARROW, &"+   one two three four five six".into(), 4, "+   one two three four five\n    six\n");
        check(NARROW, &"a  b".into(), 4, "a  b\n");
        let path = "pin /sys/fs/bpf/edge/maps/of/a/long/name";
        check(NARROW, &path.into(), 2, "pin\n  /sys/fs/bpf/edge/maps/of/a/\n  long/name\n");
        check(NARROW, &"x".repeat(40).into(), 2, &format!("{}\n  {}\n", "x".repeat(30), "x".repeat(10)));
    }

    #[test]
    fn what_is_whole_stays_on_one_line() {
        let text = Text::from("one two three four ").and_whole(Paint::Alarm, "needs --allow gap");
        check(NARROW, &text, 2, "one two three four\n  needs --allow gap\n");
    }

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        check(NARROW, &"a\x1b[31mb\r\n\u{202e}é\\\"".into(), 0, "a\\u{1b}[31mb\\r\\n\\u{202e}é\\\"\n");
        check(Style { ascii: true, ..NARROW }, &"é".into(), 0, "\\u{e9}\n");
    }

    #[test]
    fn colour_is_only_where_it_is_asked_for() {
        let text = Text::new(Paint::Create, "+ a").and(Paint::Plain, " b ").and(Paint::Alarm, "GAP");
        check(NARROW, &text, 0, "+ a b GAP\n");
        check(Style { color: true, ..NARROW }, &text, 0, "\x1b[32m+ a\x1b[0m b \x1b[1;31mGAP\x1b[0m\n");
    }

    #[test]
    fn tables_go_on_below_when_they_are_too_wide() {
        let mut table = Table::new(&["NAME", "ID", "EMPTY", "PIN"]);
        table.row(["flows", "7", "", "/sys/fs/bpf/edge/maps/flows"]);
        table.row(["b", "1234", "", ""]);
        let draw = |width| {
            let mut page = Page::new(Style { width, ..NARROW });
            page.table(&table);
            page.finish()
        };
        insta::assert_snapshot!(draw(80), @r"
        NAME   ID    PIN
        flows  7     /sys/fs/bpf/edge/maps/flows
        b      1234  -
        ");
        insta::assert_snapshot!(draw(40), @r"
        NAME   ID
          PIN
        flows  7
          /sys/fs/bpf/edge/maps/flows
        b      1234
        ");
    }

    proptest! {
        #[test]
        fn no_line_overflows_and_no_letter_is_lost(
            runs in prop::collection::vec(("\\PC{0,60}| {0,90}|[a-z /;]{0,60}", any::<bool>()), 0..8),
            width in 30usize..120,
            hang in 0usize..20,
        ) {
            let text = runs.iter().fold(Text::default(), |text, (run, whole)| match whole {
                true => text.and_whole(Paint::Alarm, run),
                false => text.and(Paint::Plain, run),
            });
            let mut page = Page::new(Style { width, ascii: false, color: false });
            page.line(text, hang);
            let out = page.finish();
            for line in out.lines() {
                prop_assert!(line.width() <= width.max(hang + MIN_LINE), "{:?}", line);
            }
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            let given: String = runs.iter().map(|(run, _)| clean(run, &NARROW)).collect();
            prop_assert_eq!(letters(&out), letters(&given));
        }
    }
}
