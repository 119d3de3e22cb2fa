//! Problems as people read them, with the lines of their source: as miette draws them.

use super::{Problem, Problems};
use miette::{
    LabeledSpan, MietteError, MietteSpanContents, NamedSource, Severity, SourceCode, SourceSpan, SpanContents,
};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The text that spans point into.
#[derive(Debug, Clone)]
pub struct Source(Arc<NamedSource<String>>);

impl Source {
    /// Makes a source of a file's name and its text.
    pub fn new(name: &str, text: &str) -> Self {
        Self(Arc::new(NamedSource::new(name, text.to_owned()).with_language("toml")))
    }

    /// Returns the file's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Returns its text.
    pub fn text(&self) -> &str {
        self.0.inner()
    }

    /// Returns how many bytes of a span are marked: of a long one on one line, as many as are drawn.
    fn marked(&self, span: &Range<usize>) -> usize {
        match self.text().get(span.clone()) {
            Some(text) if text.len() > LONG_LINE && !text.contains('\n') => text.floor_char_boundary(AROUND),
            Some(_) | None => span.len(),
        }
    }
}

/// A line of this many bytes or fewer is drawn whole. Machines write longer ones, and nobody wants to see those.
const LONG_LINE: usize = 400;

/// How many bytes of a long line are drawn before and behind what is marked, and at most marked.
const AROUND: usize = 80;

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = self.0.read_span(span, before, after)?;
        if whole.data().split(|byte| *byte == b'\n').all(|line| line.len() <= LONG_LINE) {
            return Ok(whole);
        }
        let text = self.text();
        let (first, last) = (whole.span().offset(), whole.span().offset() + whole.span().len());
        let at = text.floor_char_boundary(span.offset());
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
        let from = text.floor_char_boundary(at.saturating_sub(AROUND)).max(line_start).max(first);
        let marked = at + span.len().min(AROUND);
        let to = text.ceil_char_boundary(marked + AROUND).min(line_end).min(last).max(from);
        let line = whole.line() + text[first..from].matches('\n').count();
        let part = (from, to - from).into();
        let contents = MietteSpanContents::new_named(
            self.name().to_owned(),
            &text.as_bytes()[from..to],
            part,
            line,
            from - line_start,
            line,
        );
        Ok(Box::new(contents.with_language("toml")))
    }
}

/// A problem with its source, as miette draws it.
#[derive(Debug)]
struct Drawn<'a> {
    problem: &'a Problem,
    source: Option<&'a Source>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.problem.kind, self.problem.kind.code())
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.kind.help().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let source = self.source?;
        let labels = self.problem.labels.iter().enumerate().map(move |(i, label)| {
            let (text, start, len) = (label.text.clone(), label.span.start, source.marked(&label.span));
            match i {
                0 => LabeledSpan::new_primary_with_span(Some(text), (start, len)),
                _ => LabeledSpan::new(Some(text), start, len),
            }
        });
        Some(Box::new(labels))
    }
}

/// How problems are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether in colours.
    pub color: bool,
    /// Whether only with what every terminal has, but for what the source itself has.
    pub ascii: bool,
}

/// Draws every problem in ASCII, with an empty line between two.
pub fn render(problems: &Problems, source: Option<&Source>, color: bool) -> String {
    draw(problems, source, Look { color, ascii: true })
}

/// Draws every problem, with an empty line between two.
pub fn draw(problems: &Problems, source: Option<&Source>, look: Look) -> String {
    let (characters, styles) = (
        if look.ascii { miette::ThemeCharacters::ascii() } else { miette::ThemeCharacters::unicode() },
        if look.color { miette::ThemeStyles::rgb() } else { miette::ThemeStyles::none() },
    );
    let mut theme = miette::GraphicalTheme { characters, styles };
    theme.characters.error = "error:".to_owned();
    // Lines are not broken: a terminal does that, and a path or a command can be copied and searched for.
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(false);
    let drawn = problems.0.iter().map(|problem| {
        let mut out = String::new();
        handler.render_report(&mut out, &Drawn { problem, source }).expect("writing to a String never fails");
        out
    });
    drawn.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Kind;

    #[test]
    fn drawing() {
        let kind = || Kind::UnknownVersion { found: "2".to_owned() };
        let problems = Problems(vec![Problem::at(kind(), 10..11, "this version"), Problem::new(kind())]);
        let source = Source::new("plan.toml", "version = 2\n");
        let message = "error: version 2 of the manifest language is not known [manifest::unknown_version]";
        let plain = render(&problems, Some(&source), false);
        assert_eq!(plain.matches(message).count(), 2, "{plain}");
        assert!(plain.contains("[plan.toml:1:11]") && plain.is_ascii() && !plain.contains('\u{1b}'), "{plain}");
        for (color, ascii) in [(false, false), (false, true), (true, false), (true, true)] {
            let drawn = draw(&problems, Some(&source), Look { color, ascii });
            assert_eq!((drawn.contains('\u{1b}'), drawn.is_ascii()), (color, ascii), "{drawn}");
        }
        assert!(render(&problems, None, false).contains(message));
        assert_eq!(render(&Problems::default(), None, false), "");
    }

    #[test]
    fn of_a_long_line_only_what_is_around_is_drawn() {
        let many = |word: &str| word.repeat(10_000);
        let text = format!("version = 1\nkeys = [{}\"ö\", {}]\n", many("\"a\", "), many("\"é\", "));
        let at = text.find('ö').expect("it is there");
        let all = text.find('[').expect("it is there")..text.rfind(']').expect("it is there") + 1;
        let source = Source::new("plan.toml", &text);
        for (span, place) in
            [(at..at + 2, "plan.toml:2:50010"), (all, "plan.toml:2:8"), (text.len()..text.len(), "plan.toml:")]
        {
            let problem = Problem::at(Kind::UnknownVersion { found: "2".to_owned() }, span.clone(), "here");
            let drawn = render(&Problems(vec![problem]), Some(&source), false);
            assert!(drawn.contains(place), "{drawn}");
            assert!(drawn.lines().all(|line| line.len() < 2 * LONG_LINE), "{span:?}: {}", drawn.len());
        }
    }
}
