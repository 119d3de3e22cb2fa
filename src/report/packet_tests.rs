//! How packet tests went: for people as cargo writes it, as JSON, and as JUnit XML for the machines that run tests.

use super::json::{FORMAT, Format, write};
use super::layout::{Page, Paint, Style, Text};
use super::place::{Lines, ManifestText, Place as LinePlace};
use crate::names::DeploymentName;
use crate::packet::{Compared, place, read};
use crate::packet_tests::{Case, Failure, Outcome, Place, Returned};
use crate::plan::words::{count, thousands};
use crate::verdict;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of a packet in one line.
const ROW: usize = 16;

/// The two texts that tests are in.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    /// The manifest.
    pub manifest: ManifestText<'a>,
    /// The file of tests beside it.
    pub beside: Option<ManifestText<'a>>,
}

impl Texts<'_> {
    fn of(&self, case: &Case<'_>) -> ManifestText<'_> {
        match case.place {
            Place::Manifest => self.manifest,
            Place::File => self.beside.unwrap_or(self.manifest),
        }
    }

    fn place(&self, case: &Case<'_>) -> (String, LinePlace) {
        let text = self.of(case);
        (text.name.to_owned(), Lines::new(text.text).place(&case.test.span))
    }
}

/// What is said of all tests.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The deployment.
    pub deployment: &'a DeploymentName,
    /// The texts.
    pub texts: Texts<'a>,
    /// How many tests were left out.
    pub filtered: usize,
}

/// Writes what of a test is known before it runs.
fn line(outcome: &Outcome<'_>) -> Text {
    let name = Text::new(Paint::Plain, format!("test {} ... ", outcome.case.name()));
    let text = match outcome.passed() {
        true => name.and(Paint::Create, "ok"),
        false => name.and(Paint::Alarm, "FAILED"),
    };
    match outcome.ran {
        Some(ran) => text.and(Paint::Plain, " ").and_whole(Paint::Plain, format!("({})", returned(outcome, ran))),
        None => text.and(Paint::Plain, " (not run)"),
    }
}

fn returned(outcome: &Outcome<'_>, ran: Returned) -> String {
    format!("{}, {} ns", verdict::name(outcome.program_type, ran.verdict), thousands(u64::from(ran.nanoseconds)))
}

/// Writes the tests for people.
pub fn text(outcomes: &[Outcome<'_>], run: &Run<'_>, style: Style) -> String {
    let mut page = Page::new(style);
    let all = count(outcomes.len() as u64, "test");
    page.line(Text::new(Paint::Heading, format!("running {all} of {}", run.deployment)), 2);
    outcomes.iter().for_each(|outcome| page.line(line(outcome), 2));
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    for outcome in &failed {
        let (file, place) = run.texts.place(&outcome.case);
        page.blank();
        let name = format!("---- {} ({file}:{}) ----", outcome.case.name(), place.line);
        page.line(Text::new(Paint::Heading, name), 2);
        page.line(format!("the packet: {}", outcome.packet), 2);
        for failure in &outcome.failures {
            failure_lines(outcome, failure).into_iter().for_each(|line| page.line(line, 4));
        }
    }
    page.blank();
    let passed = outcomes.len() - failed.len();
    let filtered = match run.filtered {
        0 => String::new(),
        left_out => format!("; {left_out} left out"),
    };
    let (paint, result) = if failed.is_empty() { (Paint::Create, "ok") } else { (Paint::Alarm, "FAILED") };
    let counts = format!(". {passed} passed; {} failed{filtered}", failed.len());
    page.line(Text::from("test result: ").and(paint, result).and(Paint::Plain, counts), 2);
    page.finish()
}

/// Says what is other than expected.
fn failure_lines(outcome: &Outcome<'_>, failure: &Failure) -> Vec<Text> {
    let one = |what: &str, expected: &str, is: &str| {
        let start = Text::from(format!("{what}: expected "));
        vec![start.and(Paint::Create, expected).and(Paint::Plain, ", is ").and(Paint::Remove, is)]
    };
    match failure {
        Failure::Verdict { expected, is } => {
            let name = |verdict| verdict::name(outcome.program_type, verdict);
            one("verdict", &name(*expected), &name(*is))
        }
        Failure::Bytes { expected, is } => bytes_lines(expected, is),
        Failure::Field(Compared { what, expected, is }) => one(what, expected, is),
        Failure::Context { what, expected, is } => one(what, &expected.to_string(), &is.to_string()),
        Failure::Entry { map, key, expected, is } => {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "no entry".to_owned());
            one(&format!("map.{map}[{key}]"), &shown(expected), &shown(is))
        }
        Failure::NotRun(problem) => {
            let help = problem.kind.help().map(|help| Text::from(format!("  help: {help}")));
            [Text::new(Paint::Remove, problem.kind.to_string())].into_iter().chain(help).collect()
        }
    }
}

/// Shows the rows of two packets that differ, with the bytes marked and named.
fn bytes_lines(expected: &[u8], is: &[u8]) -> Vec<Text> {
    let lengths = match expected.len() == is.len() {
        true => String::new(),
        false => format!(" ({} bytes expected, {} are there)", expected.len(), is.len()),
    };
    let mut lines = vec![Text::from(format!("the packet is another one{lengths}:"))];
    let longest = expected.len().max(is.len());
    let seen = read(if expected.len() >= is.len() { expected } else { is });
    for start in (0..longest).step_by(ROW) {
        let row = start..longest.min(start + ROW);
        let differs: Vec<usize> = row.clone().filter(|at| expected.get(*at) != is.get(*at)).collect();
        if differs.is_empty() {
            continue;
        }
        let hex = |bytes: &[u8]| {
            let byte = |at| bytes.get(at).map_or("  ".to_owned(), |byte: &u8| format!("{byte:02x}"));
            row.clone().map(byte).collect::<Vec<_>>().join(" ").trim_end().to_owned()
        };
        let marks: Vec<_> = row.clone().map(|at| if differs.contains(&at) { "^^" } else { "  " }).collect();
        let mut names: Vec<String> = differs.iter().map(|at| place(&seen, *at)).collect();
        names.dedup();
        let marks = format!("         {}  {}", marks.join(" ").trim_end(), names.join(", "));
        lines.push(Text::from(format!("  {start:04x} ")).and_whole(Paint::Create, format!("- {}", hex(expected))));
        lines.push(Text::from("       ").and_whole(Paint::Remove, format!("+ {}", hex(is))));
        lines.push(Text::default().and_whole(Paint::Plain, marks));
    }
    lines
}

/// How packet tests went, as `bpfapply test --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply test results")]
struct RunJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "tests"))]
    kind: &'static str,
    /// The deployment.
    deployment: &'a str,
    /// How many tests passed.
    passed: usize,
    /// How many did not, or could not be run.
    failed: usize,
    /// How many were left out, as their names were not asked for.
    filtered: usize,
    /// Each of them.
    tests: Vec<TestJson<'a>>,
}

/// A test.
#[derive(Serialize, JsonSchema)]
struct TestJson<'a> {
    /// The name of the program.
    program: &'a str,
    /// Its own name.
    name: &'a str,
    /// Whether all was as expected.
    passed: bool,
    /// The packet in words.
    packet: &'a str,
    /// What the program returned; not there where the test could not be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<u32>,
    /// The same by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict_name: Option<String>,
    /// How long a run took.
    #[serde(skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<u32>,
    /// What is other than expected, in words.
    failures: Vec<String>,
    /// The file that has the test.
    file: String,
    /// Where in it.
    place: LinePlace,
}

/// Returns the JSON schema of that.
pub fn schema() -> serde_json::Value {
    super::json::schema::<RunJson<'_>>()
}

/// Writes the tests as JSON.
pub fn json(outcomes: &[Outcome<'_>], run: &Run<'_>) -> String {
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    let tests = outcomes.iter().map(|outcome| {
        let (file, place) = run.texts.place(&outcome.case);
        TestJson {
            program: outcome.case.program.as_str(),
            name: &outcome.case.test.name,
            passed: outcome.passed(),
            packet: &outcome.packet,
            verdict: outcome.ran.map(|ran| ran.verdict),
            verdict_name: outcome.ran.map(|ran| verdict::name(outcome.program_type, ran.verdict)),
            nanoseconds: outcome.ran.map(|ran| ran.nanoseconds),
            failures: outcome.failures.iter().map(|failure| plain(outcome, failure)).collect(),
            file,
            place,
        }
    });
    write(&RunJson {
        format: FORMAT,
        kind: "tests",
        deployment: run.deployment.as_str(),
        passed,
        failed: outcomes.len() - passed,
        filtered: run.filtered,
        tests: tests.collect(),
    })
}

/// Writes the tests as JUnit XML: a suite for each program.
pub fn junit(outcomes: &[Outcome<'_>], run: &Run<'_>) -> String {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    for outcome in outcomes {
        let program = format!("program.{}", outcome.case.program);
        let mut status = TestCaseStatus::success();
        if !outcome.passed() {
            status = TestCaseStatus::non_success(match outcome.ran {
                Some(_) => NonSuccessKind::Failure,
                None => NonSuccessKind::Error,
            });
            let words: Vec<String> = outcome.failures.iter().map(|failure| plain(outcome, failure)).collect();
            let first = words.first().and_then(|words| words.lines().next()).unwrap_or_default();
            status.set_message(first).set_description(format!("the packet: {}\n{}", outcome.packet, words.join("\n")));
        }
        let (file, place) = run.texts.place(&outcome.case);
        let mut case = TestCase::new(outcome.case.test.name.as_str(), status);
        case.set_classname(program.as_str());
        case.set_time(Duration::from_nanos(outcome.ran.map_or(0, |ran| u64::from(ran.nanoseconds))));
        case.extra.insert("file".into(), file.into());
        case.extra.insert("line".into(), place.line.to_string().into());
        suites.entry(program.clone()).or_insert_with(|| TestSuite::new(program)).add_test_case(case);
    }
    let mut report = Report::new(run.deployment.as_str());
    report.add_test_suites(suites.into_values());
    report.to_string().unwrap_or_default()
}

/// Returns what is other than a test says, a sentence each; of packets only that they differ.
pub fn failures(outcome: &Outcome<'_>) -> Vec<String> {
    let sentence = |failure| {
        let words = plain(outcome, failure);
        words.lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
    };
    outcome.failures.iter().map(sentence).collect()
}

/// Says what is other than expected without colour, in wide lines.
fn plain(outcome: &Outcome<'_>, failure: &Failure) -> String {
    let mut page = Page::new(Style { width: 400, ascii: false, color: false });
    failure_lines(outcome, failure).into_iter().for_each(|line| page.line(line, 0));
    page.finish().trim_end().to_owned()
}
