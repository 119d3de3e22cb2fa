//! A plan as people read it: the marker in column 0, then address, what, and what it means.

use super::folders::{self, Item};
use super::layout::{Page, Paint, Style, Text, address_width};
use super::place::{Lines, ManifestText};
use super::written::{Sampled, sample};
use crate::names::{Address, PinPath};
use crate::plan::words::{count, thousands};
use crate::plan::{Action, Because, Company, Consent, Marker, Mode, Plan, State, Step, Traffic, Verdict, Writes};
use crate::record::Record;
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
    /// How many of the entries of each map are written.
    pub entries: usize,
}

/// Columns before an address: the longest marker and a space.
const ADDRESS_COLUMN: usize = 4;

/// Writes a plan: a header, one line for each step in the order of doing, and the sum of it.
pub fn plan(plan: &Plan, options: &Options<'_>) -> String {
    let mut page = Page::new(options.style);
    header(&mut page, plan, options);
    let writer = Writer::new(plan, options);
    for item in folders::items(&plan.steps, folder) {
        match item {
            Item::One(step) => {
                writer.step(&mut page, step, &step.action.address().to_string(), &step.action.to_string())
            }
            Item::Folders { first, words } => {
                writer.step(&mut page, first, FOLDER, &format!("{} {words}", first.action));
            }
        }
    }
    if !plan.steps.is_empty() {
        page.blank();
    }
    if let Some(replay) = &plan.traffic {
        super::traffic::text(&mut page, replay);
    }
    footer(&mut page, plan, options.purpose);
    page.finish()
}

/// Says that the host still is what the last apply made of the same manifest and objects.
pub fn unchanged(record: &Record, deployment: &str) -> String {
    let [maps, programs, links] =
        [(record.maps.len(), "map"), (record.programs.len(), "program"), (record.links.len(), "link")]
            .map(|(number, noun)| count(number as u64, noun));
    format!(
        "{deployment}: nothing to do: the host matches\n{maps}, {programs} and {links} are as the last apply made them\n"
    )
}

/// What stands in the place of an address for folders: their paths are too long for the column.
pub(super) const FOLDER: &str = "directory";

/// Returns the folder that a step makes or removes, and what must be the same for two of them to share a line.
fn folder(step: &Step) -> Option<(&PinPath, (&'static str, &Because))> {
    match &step.action {
        Action::ClearLeftover { path, .. }
        | Action::MountBpffs { at: path }
        | Action::MakeDirectory { path }
        | Action::RemoveDirectory { path } => Some((path, (step.action.name(), &step.because))),
        Action::ReuseMap { .. }
        | Action::CreateMap { .. }
        | Action::FillMap { .. }
        | Action::FillSlots { .. }
        | Action::SetAccess { .. }
        | Action::CopyEntries { .. }
        | Action::CatchUp { .. }
        | Action::FinishCopy { .. }
        | Action::WriteEntries { .. }
        | Action::SetVariables { .. }
        | Action::ReuseProgram { .. }
        | Action::LoadProgram { .. }
        | Action::RestoreMap { .. }
        | Action::RestoreProgram { .. }
        | Action::ReuseLink { .. }
        | Action::Skip { .. }
        | Action::Attach { .. }
        | Action::UpdateLink { .. }
        | Action::Reattach { .. }
        | Action::Detach { .. }
        | Action::RemoveProgram { .. }
        | Action::RemoveMap { .. }
        | Action::WriteRecord { .. }
        | Action::RemoveRecord { .. } => None,
    }
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
        (Purpose::DryRun, Mode::Live) if plan.verdicts.is_some() => {
            "verify dry run: loads what is new and drops it, changes nothing"
        }
        (Purpose::DryRun, Mode::Live) if plan.traffic.is_some() => {
            "live dry run: runs packets through copies, changes nothing"
        }
        (Purpose::DryRun, Mode::Live) => "live dry run: reads only",
        (Purpose::DryRun, Mode::Offline) => "offline: no kernel was asked, an empty host is assumed",
        (Purpose::Apply, Mode::Live | Mode::Offline) => "apply",
    };
    let mut line = Text::new(Paint::Heading, &plan.deployment).and(Paint::Plain, format!(": {mode}"));
    if options.purpose == Purpose::DryRun && loads(plan) > 0 {
        let (paint, word) = match Tally::of(plan) {
            Tally { failed: 0, not_run: 0, .. } => (Paint::Create, "passed"),
            Tally { failed: 0, .. } => (Paint::Alarm, NOT_RUN),
            Tally { .. } => (Paint::Alarm, FAILED),
        };
        line = line.and(Paint::Plain, ", ").and(paint, format!("verifier {word}"));
    }
    page.line(line, 2);
    let from = options.manifest.map_or(String::new(), |manifest| format!(", from {}", manifest.name));
    page.line(format!("pins in {}{from}", plan.pin_root), 2);
    page.blank();
}

/// What all steps of a plan have in common.
struct Writer<'a> {
    options: &'a Options<'a>,
    plan: &'a Plan,
    lines: Option<(&'a str, Lines<'a>)>,
    /// Columns of the addresses, but for the longest ones.
    address_width: usize,
}

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan, options: &'a Options<'a>) -> Self {
        let addresses: Vec<_> = plan.steps.iter().map(|step| step.action.address()).collect();
        Self {
            options,
            plan,
            lines: options.manifest.map(|manifest| (manifest.name, Lines::new(manifest.text))),
            address_width: address_width(addresses.iter(), &options.style),
        }
    }

    /// Writes a step on one line when it fits, else what is done, and on the lines below what it means.
    fn step(&self, page: &mut Page, step: &Step, address: &str, what: &str) {
        let marker = step.action.marker();
        let column = ADDRESS_COLUMN + self.address_width + 2;
        let head = Text::new(paint(marker), format!("{marker:<3} {address:<width$}", width = self.address_width));
        let what = Text::new(rest_paint(marker), format!("  {what}"));
        let details = self.details(step);
        let head = head.join(what);
        let between = Text::new(rest_paint(marker), "; ");
        let width: usize = [&head, &between, &details].iter().map(|part| part.width(page.style())).sum();
        if width <= self.options.style.width {
            page.line(head.join(between).join(details), column);
        } else {
            page.line(head, column);
            page.line(Text::from(" ".repeat(column)).join(details), column);
        }
        if let Action::WriteEntries { writes } = &step.action {
            self.entries(page, writes, column);
        }
    }

    /// Writes the first entries of a map, each on a line of its own.
    fn entries(&self, page: &mut Page, writes: &Writes, column: usize) {
        let sampled = sample(writes, self.options.entries);
        let more = writes.changes.counts().all() - sampled.len();
        for Sampled { marker, key, value, before } in &sampled {
            let before = before.iter().map(|before| format!("{before} -> ")).collect::<String>();
            let line = Text::new(paint(*marker), format!("{}{marker} ", " ".repeat(column)));
            page.line(line.and(Paint::Plain, format!("{key} = {before}{value}")), column + 2);
        }
        if !sampled.is_empty() && more > 0 {
            page.line(format!("{}and {} more", " ".repeat(column), thousands(more as u64)), column);
        }
    }

    fn details(&self, step: &Step) -> Text {
        let plain = rest_paint(step.action.marker());
        let mut text = Text::new(plain, format!("because {}", step.because.words(self.plan.mode)));
        let mut add = |paint, part: String| {
            text = std::mem::take(&mut text).and(plain, "; ").and_whole(paint, part);
        };
        if step.traffic != Traffic::None {
            add(traffic_paint(step.traffic, plain), format!("traffic: {}", step.traffic));
        }
        if step.state != State::None {
            add(state_paint(step.state, plain), format!("state: {}", step.state));
        }
        for around in company(self.plan, &step.action) {
            add(plain, around);
        }
        if self.options.purpose == Purpose::DryRun && is_load(&step.action) {
            match self.plan.verdict(&step.action) {
                None => add(Paint::Alarm, format!("verifier: {NOT_RUN}")),
                Some(Verdict::Passed { insns: None }) => add(plain, "verifier: passed".to_owned()),
                Some(Verdict::Passed { insns: Some(insns) }) => {
                    add(plain, format!("verifier: passed, {}", count(u64::from(*insns), "instruction")));
                }
                Some(Verdict::Failed) => add(Paint::Alarm, format!("verifier: {FAILED}")),
                Some(Verdict::NotTried { lacks }) => {
                    add(Paint::Alarm, format!("verifier: {NOT_RUN}, {lacks} was refused"));
                }
            }
        }
        match step.needs {
            Some(consent) if self.plan.allows(consent) => add(plain, format!("{consent}: the manifest allows it")),
            Some(consent) => add(Paint::Alarm, format!("needs --allow {consent}")),
            None => {}
        }
        if let (Some(span), Some((name, lines))) = (&step.span, &self.lines) {
            add(plain, format!("{name}:{}", lines.place(span).line));
        }
        text
    }
}

/// Says which programs of others are around a link: `before it program id 7`.
fn company(plan: &Plan, action: &Action) -> Vec<String> {
    let Address::Link(name) = action.address() else { return Vec::new() };
    plan.shared.company.get(&name).map(Company::words).unwrap_or_default()
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
        Traffic::None | Traffic::NoGap | Traffic::BothRun | Traffic::Starts | Traffic::NewSockets => plain,
        Traffic::Moves | Traffic::Stops | Traffic::GapUnfiltered => Paint::Alarm,
    }
}

fn state_paint(state: State, plain: Paint) -> Paint {
    match state {
        State::None | State::Kept | State::New | State::Copied { lost: 0, .. } => plain,
        State::Lost(_) | State::Copied { .. } => Paint::Alarm,
    }
}

fn is_load(action: &Action) -> bool {
    matches!(action, Action::LoadProgram { .. })
}

fn loads(plan: &Plan) -> u64 {
    number(plan, |step| is_load(&step.action))
}

/// How verdicts are written that nobody may overlook.
const NOT_RUN: &str = "NOT RUN";
const FAILED: &str = "FAILED";

/// How many programs the verifier said what of.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    /// Instructions that it went through, where the kernel tells.
    insns: u64,
    failed: u64,
    not_run: u64,
}

impl Tally {
    fn of(plan: &Plan) -> Self {
        let mut tally = Self::default();
        for step in plan.steps.iter().filter(|step| is_load(&step.action)) {
            match plan.verdict(&step.action) {
                Some(Verdict::Passed { insns }) => {
                    tally.passed += 1;
                    tally.insns += insns.map_or(0, u64::from);
                }
                Some(Verdict::Failed) => tally.failed += 1,
                Some(Verdict::NotTried { .. }) | None => tally.not_run += 1,
            }
        }
        tally
    }
}

/// Sums up what the verifier said.
fn verifier(plan: &Plan) -> Text {
    let line = Text::from("verifier: ");
    let Tally { passed, insns, failed, not_run } = Tally::of(plan);
    let programs = |number| count(number, "program");
    if plan.verdicts.is_none() {
        return line.and(Paint::Alarm, NOT_RUN).and(Paint::Plain, format!(", {} to load", programs(not_run)));
    }
    let parts = [
        (failed > 0, Paint::Alarm, format!("{FAILED} for {}", programs(failed))),
        (not_run > 0, Paint::Alarm, format!("{NOT_RUN} for {}", programs(not_run))),
        (passed > 0, Paint::Plain, format!("passed for {}", programs(passed))),
        (insns > 0, Paint::Plain, format!("went through {}", count(insns, "instruction"))),
    ];
    let said = parts.into_iter().filter(|(is_said, ..)| *is_said).enumerate();
    said.fold(line, |line, (at, (_, paint, part))| match at {
        0 => line.and(paint, part),
        _ => line.and(Paint::Plain, ", ").and(paint, part),
    })
}

fn number(plan: &Plan, holds: impl Fn(&Step) -> bool) -> u64 {
    plan.steps.iter().filter(|step| holds(step)).count() as u64
}

fn footer(page: &mut Page, plan: &Plan, purpose: Purpose) {
    page.line(
        Text::new(Paint::Heading, format!("plan: {}", Counts::of(plan.steps.iter().map(|step| &step.action)).to_do())),
        6,
    );
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
        page.line(verifier(plan), 10);
    }
    let unsettled = plan.unsettled_programs();
    if unsettled > 0 {
        let programs = count(unsettled as u64, "program");
        let depend = if unsettled == 1 { "depends" } else { "depend" };
        page.line(Text::from(format!("kernel values: not known offline, {programs} {depend} on them")), 15);
    }
    if let Some(sweep) = &plan.sweep {
        let removes = format!("removes {sweep}");
        page.line(
            Text::from("guard: ")
                .and(Paint::Alarm, removes)
                .and(Paint::Plain, ": the manifest alone does not allow it"),
            7,
        );
    }
    let lacks = plan.lacks(&BTreeSet::new());
    if !lacks.is_empty() {
        page.line(Text::from("consent: nothing is applied without ").and_whole(Paint::Alarm, allow_flag(&lacks)), 9);
    }
    page.line(format!("plan id: {}", plan.id), 9);
}

/// Writes the flag that gives these consents: `--allow gap,prune`.
pub fn allow_flag(needs: &BTreeSet<Consent>) -> String {
    let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
    format!("--allow {}", names.join(","))
}

fn risk(plan: &Plan) -> Text {
    let gaps = number(plan, |step| step.traffic == Traffic::GapUnfiltered);
    let stops = number(plan, |step| matches!(step.traffic, Traffic::Stops | Traffic::Moves));
    let starts = number(plan, |step| matches!(step.traffic, Traffic::Starts | Traffic::Moves));
    let losses = number(plan, |step| step.state.is_loss());
    let drops = number(plan, |step| step.needs == Some(Consent::LoseState) && !step.state.is_loss());
    let takeovers = number(plan, |step| step.needs == Some(Consent::Takeover));
    let risks = [
        (gaps, "traffic gap", "traffic gaps"),
        (stops, "hook loses its filter", "hooks lose their filters"),
        (losses, "map loses its contents", "maps lose their contents"),
        (drops, "map loses fields of its entries", "maps lose fields of their entries"),
        (takeovers, "hook taken over", "hooks taken over"),
    ];
    let found = risks.into_iter().filter(|(number, ..)| *number > 0);
    let found = found.map(|(number, one, more)| format!("{number} {}", if number == 1 { one } else { more }));
    let found: Vec<_> = found.collect();
    match (found.is_empty(), plan.mode) {
        (true, Mode::Live) if starts > 0 => {
            let hooks =
                if starts == 1 { "1 hook gets a filter".to_owned() } else { format!("{starts} hooks get filters") };
            format!("risk: {hooks}; no traffic gap, no contents lost").into()
        }
        (true, Mode::Live) => "risk: none; no traffic gap, no contents lost".into(),
        (true, Mode::Offline) => "risk: not known without the host".into(),
        (false, Mode::Live | Mode::Offline) => Text::from("risk: ").and(Paint::Alarm, found.join(", ")),
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
    /// Counts markers, but for what is left out.
    pub fn of<'a>(actions: impl Iterator<Item = &'a Action>) -> Self {
        let mut counts = Self::default();
        for action in actions.filter(|action| !matches!(action, Action::Skip { .. })) {
            let count = match action.marker() {
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
        let options = Options { style, purpose: Purpose::DryRun, manifest: Some(MANIFEST), entries: 3 };
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

    #[test]
    fn the_sample_has_everything() {
        let steps = samples::every_step().steps;
        let distinct = |of: fn(&Step) -> String| steps.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(|step| step.action.name().to_owned()), 27);
        assert_eq!(distinct(|step| step.because.name().to_owned()), 25);
        assert_eq!(distinct(|step| step.traffic.to_string()), 7);
        assert_eq!(distinct(|step| step.state.to_string()), 5);
        assert_eq!(steps.iter().filter_map(|step| step.needs).collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(distinct(|step| step.action.marker().to_string()), 6);
    }

    #[test]
    fn a_first_plan_without_a_host() {
        insta::assert_snapshot!(draw(&samples::offline(), 80), @r"
        edge: offline: no kernel was asked, an empty host is assumed, verifier NOT RUN
        pins in /sys/fs/bpf/edge, from plan.toml

        +   directory      create /sys/fs/bpf/edge/maps
                           because an empty host is assumed
        +   map.flows      create lru_hash, 4 B key, 8 B value, 1024 entries, pin
                           /sys/fs/bpf/edge/maps/flows
                           because an empty host is assumed; state: new; plan.toml:7
        +   program.drop   load xdp `xdp_drop` of object.filter, uses
                           map.filter:.rodata, map.flows, pin
                           /sys/fs/bpf/edge/programs/drop
                           because an empty host is assumed; verifier: NOT RUN;
                           plan.toml:13
        +   link.uplink    attach program.drop to xdp of lo (ifindex not known offline,
                           generic), pin /sys/fs/bpf/edge/links/uplink
                           because an empty host is assumed; traffic: starts;
                           plan.toml:16
        +   link.services  attach program.count to cgroup_inet_ingress of cgroup
                           system.slice (id not known offline), pin
                           /sys/fs/bpf/edge/links/services
                           because an empty host is assumed; traffic: starts;
                           plan.toml:16

        plan: 5 to create, 0 to change, 0 to remove, 0 reused
        risk: not known without the host
        verifier: NOT RUN, 1 program to load
        plan id: af2bdbe1aa9b6ec1e2ade1d694f41fc7
        ");
    }

    #[test]
    fn nothing_to_do() {
        insta::assert_snapshot!(draw(&samples::unchanged(), 80), @r"
        edge: live dry run: reads only
        pins in /sys/fs/bpf/edge, from plan.toml

        =   map.flows     reuse id 27, lru_hash, 4 B key, 8 B value, 1024 entries
                          because it is unchanged; state: kept; plan.toml:7
        =   program.drop  reuse id 17, xdp `xdp_drop` of object.filter
                          because it is unchanged; plan.toml:13
        =   link.uplink   reuse id 51, program.drop on xdp of lo
                          because it is unchanged; plan.toml:16

        plan: 0 to create, 0 to change, 0 to remove, 3 reused
        nothing to do: the host matches
        ");
        let nothing = samples::plan_of(Mode::Offline, Vec::new());
        insta::assert_snapshot!(draw(&nothing, 80), @r"
        edge: offline: no kernel was asked, an empty host is assumed
        pins in /sys/fs/bpf/edge, from plan.toml

        plan: 0 to create, 0 to change, 0 to remove, 0 reused
        nothing to do: the manifest asks for nothing
        ");
    }

    #[test]
    fn an_apply_says_so_and_nothing_of_the_verifier() {
        let options = Options { style: Style::default(), purpose: Purpose::Apply, manifest: None, entries: 0 };
        let text = super::plan(&samples::every_step(), &options);
        assert!(text.starts_with("edge: apply\n"), "{text}");
        assert!(!text.contains("verifier"), "{text}");
    }

    #[test]
    fn colour_follows_the_marker() {
        let style = Style { color: true, ..Style::default() };
        let options = Options { style, purpose: Purpose::DryRun, manifest: Some(MANIFEST), entries: 3 };
        let text = super::plan(&samples::every_step(), &options);
        for line in
            ["\x1b[32m+   map.events", "\x1b[35m+/- map.zones", "\x1b[33m~   link.uplink", "\x1b[31m-   map.old"]
        {
            assert!(text.contains(line), "{line:?}");
        }
        for alarm in ["traffic: GAP, UNFILTERED for a moment", "traffic: STOPS", "state: LOST", "needs --allow gap"] {
            assert!(text.contains(&format!("\x1b[1;31m{alarm}\x1b[0m")), "{alarm:?}");
        }
        let bare = Options { style: Style::default(), ..options };
        let without = text.split('\x1b').enumerate().map(|(i, part)| match i {
            0 => part,
            _ => part.split_once('m').map_or("", |(_, rest)| rest),
        });
        assert_eq!(without.collect::<String>(), super::plan(&samples::every_step(), &bare));
    }
}
