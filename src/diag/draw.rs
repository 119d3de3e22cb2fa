//! Problems as people read them, with the lines of their source: as miette draws them.

use super::{Problem, Problems};
use miette::{LabeledSpan, NamedSource, Severity};
use std::fmt;
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

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.map(|source| &*source.0 as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.problem.labels.iter().enumerate().map(|(i, label)| {
            let (text, start, len) = (label.text.clone(), label.span.start, label.span.len());
            match i {
                0 => LabeledSpan::new_primary_with_span(Some(text), (start, len)),
                _ => LabeledSpan::new(Some(text), start, len),
            }
        });
        self.source.map(|_| Box::new(labels) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// Draws every problem, with an empty line between two; with `color` also in Unicode, without it in ASCII
/// (but for what the source itself has).
pub fn render(problems: &Problems, source: Option<&Source>, color: bool) -> String {
    let mut theme = match color {
        true => miette::GraphicalTheme::unicode(),
        false => {
            miette::GraphicalTheme { characters: miette::ThemeCharacters::ascii(), styles: miette::ThemeStyles::none() }
        }
    };
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
        assert!(render(&problems, Some(&source), true).contains('\u{1b}'));
        assert!(render(&problems, None, false).contains(message));
        assert_eq!(render(&Problems::default(), None, false), "");
    }
}
