//! Problems as JSON, for editors and CI.

use super::json::{FORMAT, Format};
use super::place::Lines;
use crate::diag::{Label, Problem, Problems};
use serde::Serialize;

/// A manifest that was checked.
#[derive(Debug)]
pub struct Checked {
    /// Its path as it was given.
    pub file: String,
    /// Its text; empty when it cannot be read.
    pub text: String,
    /// What it has, in words, or what is wrong with it.
    pub found: Result<String, Problems>,
}

#[derive(Serialize)]
struct Document<'a> {
    format: Format,
    kind: &'static str,
    valid: bool,
    files: Vec<&'a str>,
    problems: Vec<ProblemJson<'a>>,
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    code: &'static str,
    message: String,
    file: &'a str,
    #[serde(flatten)]
    place: Option<PlaceJson<'a>>,
    help: Option<String>,
    /// The other places that matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<PlaceJson<'a>>,
}

/// Where, and what is to say there. Lines and columns count from 1, and columns characters; the end is behind the place.
#[derive(Serialize)]
struct PlaceJson<'a> {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    label: &'a str,
}

/// Writes every problem of every manifest, in one list.
pub fn json(checked: &[Checked]) -> String {
    let problems = checked.iter().flat_map(|checked| {
        let lines = Lines::new(&checked.text);
        let problems = checked.found.as_ref().err().into_iter().flat_map(|problems| &problems.0);
        problems.map(|problem| problem_json(problem, &checked.file, &lines)).collect::<Vec<_>>()
    });
    let problems: Vec<_> = problems.collect();
    super::json::write(&Document {
        format: FORMAT,
        kind: "validate",
        valid: problems.is_empty(),
        files: checked.iter().map(|checked| checked.file.as_str()).collect(),
        problems,
    })
}

fn problem_json<'a>(problem: &'a Problem, file: &'a str, lines: &Lines<'_>) -> ProblemJson<'a> {
    let mut places = problem.labels.iter().map(|label| place_json(label, lines));
    ProblemJson {
        code: problem.kind.code(),
        message: problem.kind.to_string(),
        file,
        place: places.next(),
        help: problem.kind.help(),
        also: places.collect(),
    }
}

fn place_json<'a>(Label { span, text }: &'a Label, lines: &Lines<'_>) -> PlaceJson<'a> {
    let (start, end) = (lines.place(span), lines.place(&(span.end..span.end)));
    PlaceJson { line: start.line, column: start.column, end_line: end.line, end_column: end.column, label: text }
}
