//! What there is to say of a code of messages, at length: of a kind of problem, and of a refusal of the verifier.

use super::layout::{Page, Paint, Style, Text};
use crate::diag::Exit;
use crate::diag::explain::{EXPLANATIONS, Example, Explanation, HEAD, Topic};
use crate::verifier::hints::{HINTS, Hint};
use serde_json::{Value, json};

/// Lines of prose are not longer than this, however wide the terminal is.
const PROSE: usize = 100;

/// Columns before what stands below a heading.
const INDENT: usize = 2;

/// Writes what there is to say of a code.
pub fn text(topic: Topic, style: Style) -> String {
    let mut page = Page::new(Style { width: style.width.min(PROSE), ..style });
    match topic {
        Topic::Problem(problem) => {
            let exits = format!(": {}", exit_words(problem.exits));
            page.line(Text::new(Paint::Heading, problem.code).and(Paint::Plain, exits), 0);
            section(&mut page, "What it means", &[problem.means]);
            let (heading, example) = example(&problem.example);
            section(&mut page, heading, &example.lines().collect::<Vec<_>>());
            section(&mut page, "What to do", &[problem.way_out]);
        }
        Topic::Refusal(hint) => {
            page.line(Text::new(Paint::Heading, hint.code).and(Paint::Plain, ": the verifier refuses a program"), 0);
            section(&mut page, "It says", &said(hint).iter().map(String::as_str).collect::<Vec<_>>());
            section(&mut page, "What it means", &[hint.means]);
            section(&mut page, "What to do", &[hint.way_out]);
            section(&mut page, "In the kernel", &[&told_by(hint)]);
        }
    }
    page.finish()
}

/// Lists all codes.
pub fn list(style: Style) -> String {
    let mut page = Page::new(style);
    let codes = EXPLANATIONS.iter().map(|problem| (problem.code, problem.means));
    let all: Vec<_> = codes.chain(HINTS.iter().map(|hint| (hint.code, hint.means))).collect();
    let width = all.iter().map(|(code, _)| code.len()).max().unwrap_or(0);
    for (code, means) in all {
        page.line(
            Text::new(Paint::Heading, format!("{code:width$}")).and(Paint::Plain, format!("  {means}")),
            width + 2,
        );
    }
    page.finish()
}

/// Returns what there is to say of a code, for programs.
pub fn json(topic: Topic) -> Value {
    match topic {
        Topic::Problem(problem) => {
            let (_, example) = example(&problem.example);
            json!({
                "code": problem.code,
                "exits": problem.exits.iter().map(|exit| *exit as u8).collect::<Vec<_>>(),
                "means": problem.means,
                "example": example,
                "way_out": problem.way_out,
            })
        }
        Topic::Refusal(hint) => json!({
            "code": hint.code,
            "says": said(hint),
            "means": hint.means,
            "way_out": hint.way_out,
            "told_by": hint.told_by,
        }),
    }
}

/// Writes all of it as one page of Markdown.
pub fn markdown() -> String {
    let problems = EXPLANATIONS.iter().map(problem_markdown);
    let refusals = HINTS.iter().map(refusal_markdown);
    let parts = [
        "# Messages\n\nEach message of bpfapply ends its first line with a code, as `[manifest::unknown_name]`. \
         `bpfapply explain CODE` shows what stands here; the end of a code that only one has is enough.\n\
         This page is made of the tool's own texts (`tests/errors.rs`), and its manifests are tried there.\n"
            .to_owned(),
        "## Problems\n".to_owned(),
        problems.collect::<Vec<_>>().join("\n"),
        "## Refusals of the verifier\n\nThese belong to `kernel::program_refused`: the message ends with the one that the \
         verifier's line means. Each is provoked on a running kernel (`tests/refusals.rs`).\n"
            .to_owned(),
        refusals.collect::<Vec<_>>().join("\n"),
    ];
    parts.join("\n")
}

fn problem_markdown(problem: &Explanation) -> String {
    let Explanation { code, exits, means, way_out, .. } = problem;
    let (_, text) = example(&problem.example);
    let example = match problem.example {
        Example::Tables(_) | Example::Manifest(_) => format!("```toml\n{}\n```", text.trim_end()),
        Example::Command(_) => format!("```sh\n{text}\n```"),
        Example::Host(_) => format!("For example: {text}"),
    };
    format!("### `{code}`\n\n{means} ({})\n\n{example}\n\n{way_out}\n", exit_words(exits))
}

fn refusal_markdown(hint: &Hint) -> String {
    let says: Vec<_> = said(hint).iter().map(|line| format!("`{line}`")).collect();
    format!(
        "### `{}`\n\nIt says {} ({}).\n\nWhat it means: {}.\n\nWhat to do: {}.\n",
        hint.code,
        says.join(", "),
        told_by(hint),
        hint.means,
        hint.way_out
    )
}

/// Writes paragraphs below a heading.
fn section(page: &mut Page, heading: &str, paragraphs: &[&str]) {
    page.blank();
    page.line(Text::new(Paint::Heading, heading), 0);
    for paragraph in paragraphs {
        page.line(format!("{:INDENT$}{paragraph}", ""), INDENT);
    }
}

/// Returns an example with a word on what it is.
fn example(example: &Example) -> (&'static str, String) {
    match example {
        Example::Tables(tables) => ("A manifest that gives it", format!("{HEAD}{tables}\n")),
        Example::Manifest(text) => ("A manifest that gives it", (*text).to_owned()),
        Example::Command(command) => ("A command that gives it", (*command).to_owned()),
        Example::Host(words) => ("For example", (*words).to_owned()),
    }
}

/// Names exit codes: `exit code 1 or 69`.
fn exit_words(exits: &[Exit]) -> String {
    let numbers: Vec<_> = exits.iter().map(|exit| (*exit as u8).to_string()).collect();
    format!("exit code {}", numbers.join(" or "))
}

/// Returns the lines that a hint is for, with dots for what differs.
fn said(hint: &Hint) -> Vec<String> {
    hint.says.iter().map(|parts| parts.iter().map(|part| part.trim()).collect::<Vec<_>>().join(" ... ")).collect()
}

/// Names the functions of the kernel that say it.
fn told_by(hint: &Hint) -> String {
    let functions: Vec<_> = hint.told_by.iter().map(|function| format!("`{function}`")).collect();
    format!("{} in kernel/bpf/", functions.join(", "))
}
