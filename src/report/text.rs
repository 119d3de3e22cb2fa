//! A plan as people read it: the marker in column 0, then address, what, and what it means.

use super::layout::{Page, Paint, Style, Text};
use super::place::{Lines, ManifestText};
use crate::plan::words::count;
use crate::plan::{Action, Because, Consent, Marker, Mode, Plan, State, Step, Traffic};
use std::collections::BTreeSet;

/// What the plan is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody looks at it; nothing is done.
    DryRun,
    /// It is about to be applied.
    Apply,
}

/// How a plan is written.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Width and colour.
    pub style: Style,
    /// What it is written for.
    pub purpose: Purpose,
    /// The manifest, for naming its lines.
    pub manifest: Option<ManifestText<'a>>,
}

/// Columns before an address: the longest marker and a space.
const ADDRESS_COLUMN: usize = 4;

/// Writes a plan: a header, one line for each step in the order of doing, and the sum of it.
pub fn plan(plan: &Plan, options: &Options<'_>) -> String {
    let mut page = Page::new(options.style);
    header(&mut page, plan, options);
    let writer = Writer::new(plan, options);
    for step in &plan.steps {
        writer.step(&mut page, step);
    }
    if !plan.steps.is_empty() {
        page.blank();
    }
    footer(&mut page, plan, options.purpose);
    page.finish()
}

/// Returns the colour of a marker.
pub(super) fn paint(marker: Marker) -> Paint {
    match marker {
        Marker::Create => Paint::Create,
        Marker::Change => Paint::Change,
        Marker::DestroyThenCreate | Marker::CreateThenDestroy => Paint::Replace,
        Marker::Remove => Paint::Remove,
        Marker::Reuse => Paint::Keep,
    }
}

fn header(page: &mut Page, plan: &Plan, options: &Options<'_>) {
    let mode = match (options.purpose, plan.mode) {
        (Purpose::DryRun, Mode::Live) => "live dry run: reads only",
        (Purpose::DryRun, Mode::Offline) => "offline: no kernel was asked, an empty host is assumed",
        (Purpose::Apply, Mode::Live | Mode::Offline) => "apply",
    };
    let mut line = Text::new(Paint::Heading, &plan.deployment).and(Paint::Plain, format!(": {mode}"));
    if options.purpose == Purpose::DryRun && loads(plan) > 0 {
        line = line.and(Paint::Plain, ", ").and(Paint::Alarm, "verifier NOT RUN");
    }
    page.line(line, 2);
    let from = options.manifest.map_or(String::new(), |manifest| format!(", from {}", manifest.name));
    page.line(format!("pins in {}{from}", plan.pin_root), 2);
    page.blank();
}

/// What all steps of a plan have in common.
struct Writer<'a> {
    options: &'a Options<'a>,
    mode: Mode,
    lines: Option<(&'a str, Lines<'a>)>,
    /// Columns of the addresses, but for the longest ones.
    address_width: usize,
}

impl<'a> Writer<'a> {
    fn new(plan: &Plan, options: &'a Options<'a>) -> Self {
        let widths = plan.steps.iter().map(|step| step.action.address().to_string().len());
        let most = options.style.width / 4;
        Self {
            options,
            mode: plan.mode,
            lines: options.manifest.map(|manifest| (manifest.name, Lines::new(manifest.text))),
            address_width: widths.filter(|&width| width <= most).max().unwrap_or(0),
        }
    }

    /// Writes a step on one line when it fits, else what is done, and on the lines below what it means.
    fn step(&self, page: &mut Page, step: &Step) {
        let marker = step.action.marker();
        let address = step.action.address().to_string();
        let column = ADDRESS_COLUMN + self.address_width + 2;
        let head = Text::new(paint(marker), format!("{marker:<3} {address:<width$}", width = self.address_width));
        let what = Text::new(rest_paint(marker), format!("  {}", step.action));
        let details = self.details(step);
        let one_line = head.clone().join(what.clone()).and(rest_paint(marker), "; ").join(details.clone());
        if one_line.width(page.style()) <= self.options.style.width {
            page.line(one_line, column);
        } else {
            page.line(head.join(what), column);
            page.line(Text::from(" ".repeat(column)).join(details), column);
        }
    }

    fn details(&self, step: &Step) -> Text {
        let plain = rest_paint(step.action.marker());
        let mut parts = vec![Text::new(plain, format!("because {}", self.because(&step.because)))];
        if step.traffic != Traffic::None {
            parts.push(Text::new(traffic_paint(step.traffic, plain), format!("traffic: {}", step.traffic)));
        }
        if step.state != State::None {
            parts.push(Text::new(state_paint(step.state, plain), format!("state: {}", step.state)));
        }
        if self.options.purpose == Purpose::DryRun && is_load(&step.action) {
            parts.push(Text::new(Paint::Alarm, "verifier: NOT RUN"));
        }
        if let Some(consent) = step.needs {
            parts.push(Text::new(Paint::Alarm, format!("needs --allow {consent}")));
        }
        if let (Some(span), Some((name, lines))) = (&step.span, &self.lines) {
            parts.push(Text::new(plain, format!("{name}:{}", lines.place(span).line)));
        }
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        parts.fold(first, |text, part| text.and(plain, "; ").join(part))
    }

    fn because(&self, because: &Because) -> String {
        match (self.mode, because) {
            (Mode::Offline, Because::Missing) => "an empty host is assumed".to_owned(),
            (Mode::Live | Mode::Offline, because) => because.to_string(),
        }
    }
}

/// What stays is written faintly; for all else the colour of the marker is enough.
fn rest_paint(marker: Marker) -> Paint {
    match marker {
        Marker::Reuse => Paint::Keep,
        Marker::Create | Marker::Change | Marker::DestroyThenCreate | Marker::CreateThenDestroy | Marker::Remove => {
            Paint::Plain
        }
    }
}

fn traffic_paint(traffic: Traffic, plain: Paint) -> Paint {
    match traffic {
        Traffic::None | Traffic::NoGap | Traffic::Starts => plain,
        Traffic::Stops | Traffic::GapUnfiltered => Paint::Alarm,
    }
}

fn state_paint(state: State, plain: Paint) -> Paint {
    match state {
        State::None | State::Kept | State::New => plain,
        State::Lost => Paint::Alarm,
    }
}

fn is_load(action: &Action) -> bool {
    matches!(action, Action::LoadProgram { .. })
}

fn loads(plan: &Plan) -> u64 {
    number(plan, |step| is_load(&step.action))
}

fn number(plan: &Plan, holds: impl Fn(&Step) -> bool) -> u64 {
    plan.steps.iter().filter(|step| holds(step)).count() as u64
}

fn footer(page: &mut Page, plan: &Plan, purpose: Purpose) {
    page.line(Text::new(Paint::Heading, format!("plan: {}", Counts::of(plan.steps.iter().map(marker)).to_do())), 6);
    if plan.is_empty() {
        let why = match plan.mode {
            Mode::Live => "the host matches",
            Mode::Offline => "the manifest asks for nothing",
        };
        page.line(Text::new(Paint::Create, format!("nothing to do: {why}")), 2);
        return;
    }
    page.line(risk(plan), 6);
    if purpose == Purpose::DryRun && loads(plan) > 0 {
        let programs = count(loads(plan), "program");
        page.line(
            Text::from("verifier: ").and(Paint::Alarm, "NOT RUN").and(Paint::Plain, format!(", {programs} to load")),
            10,
        );
    }
    if !plan.needs().is_empty() {
        let flag = Text::new(Paint::Alarm, allow_flag(&plan.needs()));
        page.line(Text::from("consent: nothing is applied without ").join(flag), 9);
    }
}

fn marker(step: &Step) -> Marker {
    step.action.marker()
}

/// Writes the flag that gives these consents: `--allow gap,prune`.
pub fn allow_flag(needs: &BTreeSet<Consent>) -> String {
    let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
    format!("--allow {}", names.join(","))
}

fn risk(plan: &Plan) -> Text {
    let gaps = number(plan, |step| step.traffic == Traffic::GapUnfiltered);
    let stops = number(plan, |step| step.traffic == Traffic::Stops);
    let losses = number(plan, |step| step.state == State::Lost);
    let takeovers = number(plan, |step| step.needs == Some(Consent::Takeover));
    let risks = [
        (gaps, "traffic gap", "traffic gaps"),
        (stops, "link stops", "links stop"),
        (losses, "map loses its contents", "maps lose their contents"),
        (takeovers, "hook taken over", "hooks taken over"),
    ];
    let found = risks.into_iter().filter(|(number, ..)| *number > 0);
    let found = found.map(|(number, one, more)| format!("{number} {}", if number == 1 { one } else { more }));
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => "risk: none; no traffic gap, no contents lost".into(),
        false => Text::from("risk: ").and(Paint::Alarm, found.join(", ")),
    }
}

/// How many steps have each kind of marker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// `+`
    pub create: usize,
    /// `~`
    pub change: usize,
    /// `-/+` and `+/-`
    pub replace: usize,
    /// `-`
    pub remove: usize,
    /// `=`
    pub reuse: usize,
}

impl Counts {
    /// Counts markers.
    pub fn of(markers: impl Iterator<Item = Marker>) -> Self {
        let mut counts = Self::default();
        for marker in markers {
            let count = match marker {
                Marker::Create => &mut counts.create,
                Marker::Change => &mut counts.change,
                Marker::DestroyThenCreate | Marker::CreateThenDestroy => &mut counts.replace,
                Marker::Remove => &mut counts.remove,
                Marker::Reuse => &mut counts.reuse,
            };
            *count += 1;
        }
        counts
    }

    /// Writes what is to be done: `5 to create, 1 to change, 0 to remove, 3 reused`.
    pub fn to_do(&self) -> String {
        self.words(["to create", "to change", "to replace", "to remove"])
    }

    /// Writes what was done: `5 created, 1 changed, 0 removed, 3 reused`.
    pub fn done(&self) -> String {
        self.words(["created", "changed", "replaced", "removed"])
    }

    fn words(&self, [create, change, replace, remove]: [&str; 4]) -> String {
        let replaced = if self.replace == 0 { String::new() } else { format!("{} {replace}, ", self.replace) };
        let Self { create: created, change: changed, remove: removed, reuse, .. } = self;
        format!("{created} {create}, {changed} {change}, {replaced}{removed} {remove}, {reuse} reused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    const MANIFEST: ManifestText<'static> = ManifestText { name: "plan.toml", text: samples::MANIFEST };

    fn draw(plan: &Plan, width: usize) -> String {
        let style = Style { width, ascii: true, color: false };
        let options = Options { style, purpose: Purpose::DryRun, manifest: Some(MANIFEST) };
        let text = super::plan(plan, &options);
        assert!(text.is_ascii());
        for line in text.lines() {
            assert!(line.len() <= width, "{line:?}");
            assert_eq!(line.trim_end(), line);
        }
        text
    }

    #[test]
    fn every_step_at_80_columns() {
        insta::assert_snapshot!(draw(&samples::every_step(), 80));
    }

    #[test]
    fn every_step_at_200_columns() {
        insta::assert_snapshot!(draw(&samples::every_step(), 200));
    }
}
