//! Places in the manifest, as editors count them.

use crate::desired::Span;
use schemars::JsonSchema;
use serde::Serialize;

/// The manifest's name and text, for saying which line asks for what.
#[derive(Debug, Clone, Copy)]
pub struct ManifestText<'a> {
    /// The name as it was given.
    pub name: &'a str,
    /// The text that spans point into.
    pub text: &'a str,
}

/// A line and a column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// Line.
    #[schemars(range(min = 1))]
    pub line: usize,
    /// Column.
    #[schemars(range(min = 1))]
    pub column: usize,
}

/// The lines of a manifest, found once for all spans.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    /// The byte at which each line starts.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Finds the lines of a text.
    pub fn new(text: &'a str) -> Self {
        let behind_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(behind_breaks).collect() }
    }

    /// Returns where a span starts; one behind the end of the text starts there.
    pub fn place(&self, span: &Span) -> Place {
        let at = self.text.floor_char_boundary(span.start);
        let line = self.starts.partition_point(|&start| start <= at);
        let column = self.text[self.starts[line - 1]..at].chars().count() + 1;
        Place { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let cases = [("", 0, (1, 1)), ("a\nb\n", 2, (2, 1)), ("a\nb", 3, (2, 2)), ("\n\n", 9, (3, 1))];
        let cases = cases.into_iter().chain([("é\néx", 5, (2, 2)), ("é", 1, (1, 1))]);
        for (text, at, (line, column)) in cases {
            assert_eq!(Lines::new(text).place(&(at..at)), Place { line, column }, "{text:?} at {at}");
        }
    }
}
