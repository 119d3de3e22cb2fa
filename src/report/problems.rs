//! Problems as JSON, for editors and CI; and manifests that were checked, in every form.

use super::github;
use super::json::{FORMAT, Format};
use super::markdown;
use super::place::Lines;
use crate::diag::{self, Exit, Label, Problem, Problems, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Problems that were said, with the text that they point into.
pub type Said = (Problems, Option<Source>);

/// A manifest that was checked.
#[derive(Debug)]
pub struct Checked {
    /// Its path as it was given.
    pub file: String,
    /// Its text without secrets; empty when it cannot be read.
    pub source: Source,
    /// What it has, in words, or what is wrong with it.
    pub found: Result<String, Problems>,
}

/// What is wrong, as `--output json` writes it where there is nothing else to write, and as `bpfapply validate` does.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply problems")]
struct DocumentJson<'a> {
    format: Format,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum What<'a> {
    /// A run failed before it had anything else to write.
    Problems {
        /// The exit code that they mean.
        exit: u8,
        /// Every problem of the stage that failed.
        #[schemars(length(min = 1))]
        problems: Vec<ProblemJson<'a>>,
    },
    /// Manifests were checked.
    Validate {
        /// Whether nothing is wrong with any of them.
        valid: bool,
        /// Their paths, as they were given.
        files: Vec<&'a str>,
        /// Every problem of each.
        problems: Vec<ProblemJson<'a>>,
    },
}

/// Something wrong. Without a line it is the run, the file or the host as a whole.
#[derive(Serialize, JsonSchema)]
pub(super) struct ProblemJson<'a> {
    /// The name of its kind, which `bpfapply explain` explains, for example `manifest::unknown_name`.
    code: &'static str,
    /// What it is.
    message: String,
    /// The file that lines are of, as it was given; null where it is about no file that has lines.
    file: Option<&'a str>,
    #[serde(flatten)]
    place: Option<PlaceJson<'a>>,
    /// What to do, where that is known.
    help: Option<String>,
    /// The other places that matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<PlaceJson<'a>>,
}

/// Where, and what is to say there. Lines and columns count from 1, and columns characters; the end is behind the place.
#[derive(Serialize, JsonSchema)]
struct PlaceJson<'a> {
    #[schemars(range(min = 1))]
    line: usize,
    #[schemars(range(min = 1))]
    column: usize,
    #[schemars(range(min = 1))]
    end_line: usize,
    #[schemars(range(min = 1))]
    end_column: usize,
    /// What is to say there.
    label: &'a str,
}

/// Returns the JSON schema of both documents.
pub fn schema() -> serde_json::Value {
    super::json::schema::<DocumentJson<'_>>()
}

/// Writes problems that stand for the document that they prevent; `exit` is what the run ends with.
pub fn document(said: &[Said], exit: Exit) -> String {
    write(What::Problems { exit: exit as u8, problems: all_json(said) })
}

/// Returns all problems of a run.
pub(super) fn all_json(said: &[Said]) -> Vec<ProblemJson<'_>> {
    said.iter().flat_map(|(problems, source)| problems_json(problems, source.as_ref())).collect()
}

/// Writes every problem of every manifest, in one list.
pub fn json(checked: &[Checked]) -> String {
    let problems = checked.iter().filter_map(|checked| Some((checked.found.as_ref().err()?, &checked.source)));
    let problems: Vec<_> = problems.flat_map(|(problems, source)| problems_json(problems, Some(source))).collect();
    let files = checked.iter().map(|checked| checked.file.as_str()).collect();
    write(What::Validate { valid: problems.is_empty(), files, problems })
}

fn write(what: What<'_>) -> String {
    super::json::write(&DocumentJson { format: FORMAT, what })
}

fn problems_json<'a>(problems: &'a Problems, source: Option<&'a Source>) -> Vec<ProblemJson<'a>> {
    let lines = source.map(|source| Lines::new(source.text()));
    problems.0.iter().map(|problem| problem_json(problem, source, lines.as_ref())).collect()
}

fn problem_json<'a>(problem: &'a Problem, source: Option<&'a Source>, lines: Option<&Lines<'_>>) -> ProblemJson<'a> {
    let mut places = lines.into_iter().flat_map(|lines| problem.labels.iter().map(|label| place_json(label, lines)));
    ProblemJson {
        code: problem.kind.code(),
        message: problem.kind.to_string(),
        file: source.map(Source::name),
        place: places.next(),
        help: problem.kind.help(),
        also: places.collect(),
    }
}

fn place_json<'a>(Label { span, text }: &'a Label, lines: &Lines<'_>) -> PlaceJson<'a> {
    let (start, end) = (lines.place(span), lines.place(&(span.end..span.end)));
    PlaceJson { line: start.line, column: start.column, end_line: end.line, end_column: end.column, label: text }
}

/// Writes a line for each manifest that is good, and what is wrong with the others.
pub fn text(checked: &[Checked]) -> String {
    let each = checked.iter().map(|Checked { file, source, found }| match found {
        Ok(contents) => valid(file, contents),
        Err(problems) => diag::render(problems, Some(source), false),
    });
    each.collect()
}

/// Writes the line of a manifest that is good.
pub fn valid(file: &str, contents: &str) -> String {
    format!("{file}: valid: {contents}\n")
}

/// Writes each manifest as Markdown: what it has, or what is wrong with it.
pub fn markdown(checked: &[Checked]) -> String {
    let mut out = String::new();
    for Checked { file, source, found } in checked {
        if !out.is_empty() {
            out.push('\n');
        }
        out += &match found {
            Ok(contents) => markdown::valid(source, file, contents),
            Err(problems) => markdown::refusal(problems, Some(source)),
        };
    }
    out
}

/// Writes each manifest as annotations; `path` returns the path that GitHub knows a file by.
pub fn github(checked: &[Checked], path: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    for Checked { file, source, found } in checked {
        out += &match found {
            Ok(contents) => github::valid(&path(file), contents),
            Err(problems) => github::problems(problems, Some((source, &path(file)))),
        };
    }
    out
}
