//! A plan, its outcome, and problems as annotations of a workflow on GitHub, at their lines of the manifest.
//!
//! They are workflow commands on lines of their own: `::warning file=plan.toml,line=12,col=3,title=link.uplink::message`.
//! What they say is escaped as the toolkit of GitHub's runner does it (`packages/core/src/command.ts` of actions/toolkit),
//! so that no text can begin another command.

use super::layout::{Page, Style, clean};
use super::place::{Lines, ManifestText, Place};
use super::risk::risks;
use super::text::{self, Counts, Purpose};
use crate::apply::outcome::{Outcome, Verdict};
use crate::diag::{Problems, Source};
use crate::plan::Plan;
use crate::plan::words::thousands;
use crate::traffic::Replay;
use std::fmt::Write as _;

/// Columns of lines that GitHub wraps itself.
const WIDTH: usize = 400;

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Notice,
    Warning,
    Error,
}

impl Level {
    fn command(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Writes a notice of the whole plan, and a warning for each step that risks something. `manifest` has the path that
/// GitHub knows the file by.
pub fn plan(plan: &Plan, purpose: Purpose, manifest: Option<ManifestText<'_>>) -> String {
    let mut out = String::new();
    let file = manifest.map(|manifest| manifest.name);
    let lines = manifest.map(|manifest| Lines::new(manifest.text));
    let verdict = text::verdict(plan, purpose).map_or(String::new(), |(_, word)| format!(", verifier {word}"));
    let title = format!("{}: {}{verdict}", plan.deployment, text::mode(plan, purpose));
    annotate(&mut out, Level::Notice, (file, None), &title, &summary(plan, purpose));
    if let Some(replay) = &plan.traffic {
        captured(&mut out, file, replay);
    }
    for risk in risks(plan) {
        let place = risk.step.span.as_ref().zip(lines.as_ref()).map(|(span, lines)| lines.place(span));
        let title = format!("{}: {}", risk.address(), risk.why.join("; "));
        let message = format!("{}, because {}", risk.what(), risk.step.because_words(plan.mode));
        annotate(&mut out, Level::Warning, (file, place), &title, &message);
    }
    out
}

/// Sums a plan up, line by line.
fn summary(plan: &Plan, purpose: Purpose) -> String {
    let counts = Counts::of_plan(plan).to_do();
    if plan.is_empty() {
        return format!("nothing to do: {}: {counts}", text::why_nothing(plan));
    }
    let (Ok(risk) | Err(risk)) = text::risk(plan);
    let verifier = text::verdict(plan, purpose).map(|_| text::verifier(plan).as_str().to_owned());
    let lines = [
        Some(counts),
        Some(format!("risk: {risk}")),
        text::drift(plan).map(|drift| format!("drift: {drift}")),
        verifier,
        text::kernel_values(plan).map(|values| format!("kernel values: {values}")),
        text::guard(plan).map(|(removes, allowed)| format!("guard: {removes}: {allowed}")),
        Some(format!("plan id: {}", plan.id)),
    ];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Writes what captured packets tell: a warning where some get another verdict.
fn captured(out: &mut String, file: Option<&str>, replay: &Replay) {
    let mut page = Page::new(Style { width: WIDTH, ..Style::default() });
    super::traffic::text(&mut page, replay);
    let (level, title) = match replay.changed() {
        0 => (Level::Notice, "captured packets".to_owned()),
        changed => (Level::Warning, format!("captured packets: {} get another verdict", thousands(changed as u64))),
    };
    annotate(out, level, (file, None), &title, page.finish().trim_end());
}

/// Writes a notice of a manifest with which nothing is wrong. `file` is the path that GitHub knows it by.
pub fn valid(file: &str, contents: &str) -> String {
    let mut out = String::new();
    annotate(&mut out, Level::Notice, (Some(file), None), "valid", contents);
    out
}

/// Writes a notice of what became of a plan, and an error for each step that failed.
pub fn outcome(outcome: &Outcome<'_>) -> String {
    let mut out = String::new();
    let level = match outcome.verdict() {
        Verdict::Matches | Verdict::Applied => Level::Notice,
        Verdict::FailedAsBefore | Verdict::FailedNotAsBefore => Level::Error,
    };
    annotate(&mut out, level, (None, None), outcome.deployment.as_str(), &super::outcome::summary(outcome));
    for step in &outcome.steps {
        if let Some(reason) = step.status.reason() {
            let title = format!("{}: {}", step.action.address(), super::outcome::word(step));
            annotate(&mut out, Level::Error, (None, None), &title, reason);
        }
    }
    out
}

/// Writes an error for each problem. `file` is the path that GitHub knows the source by.
pub fn problems(problems: &Problems, source: Option<(&Source, &str)>) -> String {
    let mut out = String::new();
    let lines = source.map(|(source, _)| Lines::new(source.text()));
    for problem in &problems.0 {
        let place = problem.labels.first().zip(lines.as_ref()).map(|(label, lines)| lines.place(&label.span));
        let mut message = problem.kind.to_string();
        for label in &problem.labels {
            let _ = write!(message, "\n{}", label.text);
        }
        if let Some(help) = problem.kind.help() {
            let _ = write!(message, "\nhelp: {help}");
        }
        annotate(&mut out, Level::Error, (source.map(|(_, file)| file), place), problem.kind.code(), &message);
    }
    out
}

fn annotate(out: &mut String, level: Level, (file, place): (Option<&str>, Option<Place>), title: &str, message: &str) {
    let _ = write!(out, "::{} ", level.command());
    if let Some(file) = file {
        let _ = write!(out, "file={},", property(file));
    }
    if let Some(Place { line, column }) = place {
        let _ = write!(out, "line={line},col={column},");
    }
    let _ = writeln!(out, "title={}::{}", property(title), data(message));
}

/// Escapes the message of a command.
fn data(text: &str) -> String {
    // Lines stay; whatever else a terminal would obey does not.
    let lines = text.lines().map(|line| clean(line, &Style::default()).replace('%', "%25"));
    lines.collect::<Vec<_>>().join("%0A")
}

/// Escapes a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Kind, Problem};
    use crate::plan::samples;

    const MANIFEST: ManifestText<'static> = ManifestText { name: "hosts/a,b/plan.toml", text: samples::MANIFEST };

    #[test]
    fn a_plan() {
        insta::assert_snapshot!(plan(&samples::every_step(), Purpose::DryRun, Some(MANIFEST)));
        insta::assert_snapshot!(plan(&samples::unchanged(), Purpose::DryRun, Some(MANIFEST)));
    }

    #[test]
    fn some_problems() {
        let kind = || Kind::UnknownVersion { found: "2".to_owned() };
        let found = Problems(vec![Problem::at(kind(), 10..11, "this version"), Problem::new(kind())]);
        let source = Source::new("plan.toml", "version = 2\n");
        insta::assert_snapshot!(problems(&found, Some((&source, "hosts/plan.toml"))));
        insta::assert_snapshot!(problems(&found, None));
    }

    #[test]
    fn no_text_begins_another_command() {
        for (text, in_message, in_title) in [
            ("a: 100%, b", "a: 100%25, b", "a%3A 100%25%2C b"),
            ("a\n::error::b\r\n::c", "a%0A::error::b%0A::c", "a%0A%3A%3Aerror%3A%3Ab%0A%3A%3Ac"),
            ("a\rb\x1b[2J", r"a\rb\u{1b}[2J", r"a\rb\u{1b}[2J"),
            ("", "", ""),
        ] {
            assert_eq!((data(text), property(text)), (in_message.to_owned(), in_title.to_owned()), "{text:?}");
            assert!(!data(text).contains(['\n', '\r']), "{text:?}");
        }
    }
}
