//! Explanations as people read them: without `-v` what fits on a screen, with it everything.

use super::json::{self, Format};
use super::layout::{Page, Paint, Style, Text};
use super::place::{Lines, ManifestText};
use super::text::paint;
use crate::desired::Span;
use crate::explain::{Basis, CodeChange, EntryChanges, Explained, ExplainedStep, Field};
use crate::insn::listing::{Changed, Fate, Shown, Sign};
use crate::manifest;
use crate::names::Address;
use crate::plan::Marker;
use crate::plan::words::{count, thousands};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// How explanations are written.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Width and colour.
    pub style: Style,
    /// The manifest, for quoting its lines.
    pub manifest: Option<ManifestText<'a>>,
    /// Whether everything is written.
    pub verbose: bool,
}

/// Lines of code, of types and of the manifest that fit on a screen together.
const CODE_LINES: usize = 30;
const TYPE_LINES: usize = 16;
const MANIFEST_LINES: usize = 8;
/// Columns of what is said of an address.
const INDENT: usize = 2;
/// Columns of what is below a heading.
const BELOW: usize = 4;
/// Columns of the names of sentences, with the space behind them.
const LABEL: usize = 12;

/// Writes explanations, one below the other.
pub fn text(explained: &[Explained], options: &Options<'_>) -> String {
    let mut page = Page::new(options.style);
    for one in explained {
        page.blank();
        page.line(Text::new(Paint::Heading, &one.address), INDENT);
        let mut before = None;
        for step in &one.steps {
            self::step(&mut page, step, before.replace(step));
        }
        quotes(&mut page, one, options);
        page.blank();
        label(&mut page, INDENT, "depends on", addresses(&one.depends_on));
        label(&mut page, INDENT, "needed by", addresses(&one.needed_by));
        fields(&mut page, "differs", &one.fields);
        fields(&mut page, "variables", &one.variables);
        for change in &one.types {
            heading(&mut page, &format!("type of a {}", change.of));
            lines(&mut page, &change.lines, options.verbose, TYPE_LINES, |shown| shown.text.clone());
        }
        one.entries.iter().for_each(|changes| entries(&mut page, changes));
        one.code.iter().for_each(|code| self::code(&mut page, code, options.verbose));
        if !one.notes.is_empty() {
            page.blank();
            one.notes.iter().for_each(|note| page.line(format!("{}note: {note}", " ".repeat(INDENT)), INDENT + 6));
        }
    }
    page.blank();
    page.finish()
}

/// Writes functions out, below the name of the program that they are of.
pub fn listing(program: &str, functions: &[Changed], style: Style) -> String {
    let mut page = Page::new(style);
    page.line(Text::new(Paint::Heading, program), INDENT);
    for changed in functions {
        function(&mut page, changed, Basis::Nothing, true, &mut 0);
    }
    page.finish()
}

/// The code of an object's programs, as `bpfapply inspect FILE.o --code --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply code")]
struct ListingJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "code"))]
    kind: &'static str,
    /// The object's path as it was given.
    path: &'a str,
    /// Its programs.
    programs: Vec<ListedJson<'a>>,
}

/// A program.
#[derive(Serialize, JsonSchema)]
struct ListedJson<'a> {
    /// Its function.
    program: &'a str,
    /// That function and those that come with it; none of a program that cannot be linked.
    functions: &'a [Changed],
}

/// Returns the JSON schema of that.
pub fn listing_schema() -> serde_json::Value {
    json::schema::<ListingJson<'_>>()
}

/// Writes the code of an object's programs as JSON.
pub fn listing_json(path: &str, programs: &[(String, Vec<Changed>)]) -> String {
    let programs = programs.iter().map(|(program, functions)| ListedJson { program, functions }).collect();
    json::write(&ListingJson { format: json::FORMAT, kind: "code", path, programs })
}

/// Writes a step; what it has in common with the one before is not said again.
fn step(page: &mut Page, step: &ExplainedStep, before: Option<&ExplainedStep>) {
    let is_said = |said: fn(&ExplainedStep) -> &String| before.is_some_and(|before| said(before) == said(step));
    let head = Text::new(paint(step.marker), format!("{}{:<3} {}", " ".repeat(INDENT), step.marker, step.what));
    page.line(head, INDENT + 4);
    let column = INDENT + 4;
    if !is_said(|step| &step.why) {
        label(page, column, "why", &step.why);
    }
    if !is_said(|step| &step.traffic) {
        label(page, column, "traffic", &step.traffic);
    }
    if !step.state.is_empty() && !is_said(|step| &step.state) {
        label(page, column, "state", &step.state);
    }
    if !step.expects.is_empty() {
        label(page, column, "expects", format!("{}; else the plan is stale, and not applied", step.expects.join(", ")));
    }
    if let Some(consent) = step.needs {
        label(page, column, "needs", format!("--allow {consent}: {}", consent.risk()));
    }
}

fn label(page: &mut Page, column: usize, name: &str, text: impl Into<String>) {
    let hang = column + LABEL;
    page.line(format!("{}{name:<LABEL$}{}", " ".repeat(column), text.into()), hang);
}

fn heading(page: &mut Page, name: &str) {
    page.blank();
    page.line(Text::from(" ".repeat(INDENT)).and(Paint::Heading, name), BELOW);
}

fn addresses(addresses: &[Address]) -> String {
    match addresses {
        [] => "nothing".to_owned(),
        some => some.iter().map(Address::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// A line of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Quote {
    /// Its number, from 1.
    #[schemars(range(min = 1))]
    pub line: usize,
    /// What it says.
    pub text: String,
}

/// Returns the lines of the manifest that spans are about, without secrets: the tables that they are in.
pub fn quoted(manifest: &str, spans: &[Span]) -> Vec<Quote> {
    if spans.is_empty() {
        return Vec::new();
    }
    let manifest = &manifest::redacted(manifest);
    let places = Lines::new(manifest);
    let lines: Vec<&str> = manifest.lines().collect();
    let is_head = |line: &&str| {
        let name = line.trim_start().strip_prefix('[').map(|name| name.strip_prefix('[').unwrap_or(name));
        name.is_some_and(|name| name.starts_with(|c: char| c.is_alphabetic()))
    };
    let says = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let mut wanted = BTreeSet::new();
    for span in spans {
        let at = places.place(span).line - 1;
        let Some(above) = lines.get(..=at) else { continue };
        let first = above.iter().rposition(is_head).unwrap_or(at);
        let next = lines[first + 1..].iter().position(is_head).map_or(lines.len(), |at| first + 1 + at);
        let behind = lines[first..next].iter().rposition(says).map_or(next, |at| first + at + 1);
        wanted.extend(first..behind);
    }
    wanted.into_iter().map(|at| Quote { line: at + 1, text: lines[at].to_owned() }).collect()
}

fn quotes(page: &mut Page, explained: &Explained, options: &Options<'_>) {
    let Some(manifest) = options.manifest else { return };
    let quotes = quoted(manifest.text, &explained.spans);
    if quotes.is_empty() {
        return;
    }
    heading(page, manifest.name);
    let most = if options.verbose { usize::MAX } else { MANIFEST_LINES };
    for Quote { line, text } in quotes.iter().take(most) {
        page.line(format!("{}{line:>5}  {}", " ".repeat(INDENT), text.replace('\t', "    ")), INDENT + 11);
    }
    more(page, quotes.len().saturating_sub(most), "line");
}

/// Says how much was left out.
fn more(page: &mut Page, left: usize, noun: &str) {
    if left > 0 {
        page.line(format!("{}and {} more with -v", " ".repeat(BELOW), count(left as u64, noun)), BELOW);
    }
}

fn fields(page: &mut Page, name: &str, fields: &[Field]) {
    if fields.is_empty() {
        return;
    }
    heading(page, name);
    let width = fields.iter().map(|field| field.name.chars().count()).max().unwrap_or(0).min(40);
    for Field { name, is, becomes } in fields {
        let (marker, value) = match (is, becomes) {
            (Some(is), Some(becomes)) => (Marker::Change, format!("{is} -> {becomes}")),
            (None, Some(becomes)) => (Marker::Create, becomes.clone()),
            (Some(is), None) => (Marker::Remove, is.clone()),
            (None, None) => continue,
        };
        let head = Text::new(paint(marker), format!("{}{marker} ", " ".repeat(BELOW)));
        page.line(head.and(Paint::Plain, format!("{name:<width$}  {value}")), BELOW + 4 + width);
    }
}

fn entries(page: &mut Page, changes: &EntryChanges) {
    let EntryChanges { added, changed, removed, same, shown } = changes;
    let [added, changed, removed, same] = [added, changed, removed, same].map(|number| thousands(*number as u64));
    heading(page, &format!("entries: {added} added, {changed} changed, {removed} removed, {same} stay"));
    for entry in shown {
        let before = entry.before.iter().map(|before| format!("{before} -> ")).collect::<String>();
        let line = Text::new(paint(entry.marker), format!("{}{} ", " ".repeat(BELOW), entry.marker));
        page.line(line.and(Paint::Plain, format!("{} = {before}{}", entry.key, entry.value)), BELOW + 4);
    }
    let all = changes.added + changes.changed + changes.removed;
    if !shown.is_empty() && all > shown.len() {
        let left = thousands((all - shown.len()) as u64);
        page.line(format!("{}and {left} more with a higher --limit", " ".repeat(BELOW)), BELOW);
    }
}

fn code(page: &mut Page, code: &CodeChange, verbose: bool) {
    let sizes = match (code.compared, code.running) {
        (Basis::Instructions, Some(running)) => {
            format!("instructions: {running} -> {}, as the verifier leaves them", code.coming)
        }
        (Basis::Sources, Some(running)) => {
            format!(
                "source lines with code: {running} instructions run, as the verifier left them; {} come",
                code.coming
            )
        }
        (Basis::Instructions | Basis::Sources | Basis::Nothing, _) => {
            let with = if verbose { "" } else { ", listed with -v" };
            format!("instructions: {}{with}", code.coming)
        }
    };
    heading(page, &sizes);
    if code.compared == Basis::Nothing && !verbose {
        return;
    }
    let mut room = CODE_LINES;
    for changed in &code.functions {
        function(page, changed, code.compared, verbose, &mut room);
    }
}

fn function(page: &mut Page, changed: &Changed, compared: Basis, verbose: bool, room: &mut usize) {
    let fate = match changed.fate {
        Fate::Added => ", new",
        Fate::Removed => ", goes",
        Fate::Changed | Fate::Listed => "",
    };
    page.line(Text::from(" ".repeat(BELOW)).and(Paint::Heading, &changed.function).and(Paint::Plain, fate), BELOW);
    let draw = |shown: &Shown| match (shown.insn, shown.line) {
        (Some(insn), _) => format!("{insn:>5}  {}", shown.text),
        (None, Some(line)) if compared == Basis::Sources => format!("{line:>5}  {}", shown.text),
        (None, _) => format!("       ; {}", shown.text),
    };
    lines(page, &changed.lines, verbose, *room, draw);
    *room = room.saturating_sub(changed.lines.len());
}

/// Writes the lines of a comparison, at most so many unless all are asked for.
fn lines(page: &mut Page, shown: &[Shown], verbose: bool, most: usize, draw: impl Fn(&Shown) -> String) {
    let most = if verbose { usize::MAX } else { most };
    for line in shown.iter().take(most) {
        let (sign, paint) = match line.sign {
            Sign::Both => (' ', Paint::Plain),
            Sign::Old => ('-', Paint::Remove),
            Sign::New => ('+', Paint::Create),
            Sign::Skipped => {
                let same = format!("{}  ... {} the same", " ".repeat(BELOW), line.text);
                page.line(Text::new(Paint::Keep, same), BELOW + 2);
                continue;
            }
        };
        page.line(Text::new(paint, format!("{}{sign} {}", " ".repeat(BELOW), draw(line))), BELOW + 11);
    }
    more(page, shown.len().saturating_sub(most), "line");
}

/// An explanation with the lines that it comes from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Explained")]
pub(super) struct ExplainedJson<'a> {
    #[serde(flatten)]
    explained: &'a Explained,
    /// The tables of the manifest that ask for it.
    manifest: Vec<Quote>,
}

impl<'a> ExplainedJson<'a> {
    pub(super) fn of(explained: &'a Explained, manifest: Option<ManifestText<'_>>) -> Self {
        let manifest = manifest.map_or_else(Vec::new, |manifest| quoted(manifest.text, &explained.spans));
        Self { explained, manifest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "version = 1\n\n[map.a] # of keys\nfrom = \"f:a\"\n\n# next\n[map.b]\nid = 7\nentries = { a = 1 }\n";

    #[test]
    fn tables_are_quoted_whole() {
        let at = |text: &str| MANIFEST.find(text).expect("it is there");
        let span = |text: &str| at(text)..at(text) + text.len();
        let beyond = 9999..9999;
        for (spans, lines) in [
            (vec![], vec![]),
            (vec![span("map.a")], vec![3, 4]),
            (vec![span("map.b"), span("{ a = 1 }")], vec![7, 8, 9]),
            (vec![span("{ a = 1 }"), span("from")], vec![3, 4, 7, 8, 9]),
            (vec![span("version")], vec![1]),
            (vec![beyond], vec![]),
        ] {
            let quoted: Vec<usize> = quoted(MANIFEST, &spans).into_iter().map(|quote| quote.line).collect();
            assert_eq!(quoted, lines, "{spans:?}");
        }
    }
}
