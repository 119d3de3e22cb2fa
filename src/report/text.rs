//! A plan as people read it: the marker in column 0, then address, what, and what it means.

use super::folders::{self, Item};
use super::layout::{Page, Paint, Style, Text, address_width};
use super::place::{Lines, ManifestText};
use super::written::{Sampled, sample};
use crate::names::{Address, PinPath};
use crate::plan::words::{count, thousands};
use crate::plan::{Action, Because, Company, Consent, Marker, Mode, Plan, State, Step, Traffic, Verdict, Writes};
use crate::record::{Record, Since};
use std::borrow::Cow;
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
    /// How many of the entries of each map are written; with none, [`MANY`] unchanged things are written as one line, too.
    pub entries: usize,
}

/// More unchanged things than these hide what changes.
pub const MANY: usize = 20;

/// Columns before an address: the longest marker and a space.
const ADDRESS_COLUMN: usize = 4;

/// Writes a plan: a header, one line for each step in the order of doing, and the sum of it.
pub fn plan(plan: &Plan, options: &Options<'_>) -> String {
    let mut page = Page::new(options.style);
    header(&mut page, plan, options);
    let writer = Writer::new(plan, options);
    if let Some(unchanged) = writer.unchanged {
        page.line(unchanged.line(), ADDRESS_COLUMN);
    }
    for item in writer.items() {
        writer.item(&mut page, &item);
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

/// The lines of one step, or of several folders, or of all that is unchanged.
pub(super) struct Drawn<'a> {
    /// The first of the steps; `None` for what is unchanged.
    pub step: Option<&'a Step>,
    /// The lines, each with its end.
    pub text: String,
}

/// Writes the lines of each step by themselves, the manifest's entries aside.
pub(super) fn drawn<'a>(plan: &'a Plan, options: &'a Options<'a>) -> Vec<Drawn<'a>> {
    let writer = Writer::new(plan, options);
    let draw = |step, write: &dyn Fn(&mut Page)| {
        let mut page = Page::new(options.style);
        write(&mut page);
        Drawn { step, text: page.finish() }
    };
    let unchanged = writer.unchanged.map(|counts| draw(None, &|page| page.line(counts.line(), ADDRESS_COLUMN)));
    let items = writer.items();
    let items = items.iter().map(|item| draw(Some(item.first()), &|page| writer.item(page, item)));
    unchanged.into_iter().chain(items).collect()
}

/// Why nothing is done for a manifest of which each table is a comment, or that only has objects: that this is no mistake
/// only its author knows.
const ASKS_FOR_NOTHING: &str = "the manifest asks for no map, program or link";

/// Says why there is nothing to do for a plan.
pub(super) fn why_nothing(plan: &Plan) -> &'static str {
    if plan.steps.is_empty() {
        return ASKS_FOR_NOTHING;
    }
    match plan.mode {
        Mode::Live | Mode::Against { .. } => "the host matches",
        Mode::Offline => "all that the manifest asks for is somebody else's",
    }
}

/// Says that the host still is what the last apply made of the same manifest and objects.
pub fn unchanged(record: &Record, deployment: &str) -> String {
    let numbers = [(record.maps.len(), "map"), (record.programs.len(), "program"), (record.links.len(), "link")];
    if numbers.iter().all(|(number, _)| *number == 0) {
        return format!("{deployment}: nothing to do: {ASKS_FOR_NOTHING}\n");
    }
    let [maps, programs, links] = numbers.map(|(number, noun)| count(number as u64, noun));
    format!(
        "{deployment}: nothing to do: the host matches\n{maps}, {programs} and {links} are as the last apply made them\n"
    )
}

/// What stands in the place of an address for folders: their paths are too long for the column.
pub(super) const FOLDER: &str = "directory";

/// Returns the folder that a step makes or removes, and what must be the same for two of them to share a line.
fn folder(step: &Step) -> Option<(&PinPath, (&'static str, &Because))> {
    folders::folder(&step.action).map(|path| (path, (step.action.name(), &step.because)))
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

/// Says how a plan was made.
pub(super) fn mode(plan: &Plan, purpose: Purpose) -> Cow<'static, str> {
    match (command(plan), purpose) {
        (None, _) => way(plan, purpose),
        (Some(command), Purpose::Apply) => command.into(),
        (Some(command), Purpose::DryRun) => format!("{command}, {}", way(plan, purpose)).into(),
    }
}

/// Returns the command of a plan that has no manifest: it says itself what it is.
pub(super) fn command(plan: &Plan) -> Option<&'static str> {
    let is_record = |step: &&Step| matches!(step.action, Action::WriteRecord { .. } | Action::RemoveRecord { .. });
    let because = plan.steps.iter().find(is_record).map(|step| &step.because);
    let commands = [(Because::Rollback, "rollback"), (Because::Destroy, "destroy")];
    commands.into_iter().find(|(command, _)| because == Some(command)).map(|(_, words)| words)
}

fn way(plan: &Plan, purpose: Purpose) -> Cow<'static, str> {
    let words = match (purpose, plan.mode) {
        (Purpose::DryRun, Mode::Live) if plan.verdicts.is_some() => {
            "verify dry run: loads what is new and drops it, changes nothing"
        }
        (Purpose::DryRun, Mode::Live) if plan.traffic.is_some() => {
            "live dry run: runs packets through copies, changes nothing"
        }
        (Purpose::DryRun, Mode::Live) => "live dry run: reads only",
        (Purpose::DryRun, Mode::Offline) => "offline: no kernel was asked, an empty host is assumed",
        (Purpose::DryRun, Mode::Against { time }) => {
            return format!("offline: no kernel was asked, the host is taken as it was at {}", Since(time)).into();
        }
        (Purpose::Apply, Mode::Live | Mode::Offline | Mode::Against { .. }) => "apply",
    };
    words.into()
}

/// Returns whether a step only opens what is as it should be.
fn is_unchanged(step: &Step) -> bool {
    step.action.marker() == Marker::Reuse && step.because == Because::Unchanged
}

/// How many things of each kind are as they should be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unchanged {
    maps: usize,
    programs: usize,
    links: usize,
}

impl Unchanged {
    fn of(steps: &[Step]) -> Self {
        let mut counts = Self::default();
        for step in steps.iter().filter(|step| is_unchanged(step)) {
            match step.action.address() {
                Address::Map(_) => counts.maps += 1,
                Address::Program(_) => counts.programs += 1,
                Address::Link(_) => counts.links += 1,
                // They are made and removed, and never reused.
                Address::Directory(_) | Address::Object(_) | Address::Record => {}
            }
        }
        counts
    }

    fn all(self) -> usize {
        self.maps + self.programs + self.links
    }

    /// As `=   312 maps, 40 programs and 2 links unchanged (-v lists them)`.
    fn line(self) -> Text {
        let each = [(self.maps, "map"), (self.programs, "program"), (self.links, "link")];
        let each = each.into_iter().filter(|(number, _)| *number > 0);
        let words: Vec<_> = each.map(|(number, noun)| count(number as u64, noun)).collect();
        let words = match words.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => String::new(),
        };
        Text::new(Paint::Keep, format!("{:<3} {words} unchanged (-v lists them)", Marker::Reuse))
    }
}

fn header(page: &mut Page, plan: &Plan, options: &Options<'_>) {
    let mode = mode(plan, options.purpose);
    let mut line = Text::new(Paint::Heading, &plan.deployment).and(Paint::Plain, format!(": {mode}"));
    if let Some((paint, word)) = verdict(plan, options.purpose) {
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
    /// What is unchanged, when that is too much to list.
    unchanged: Option<Unchanged>,
    /// Columns of the addresses, but for the longest ones.
    address_width: usize,
}

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan, options: &'a Options<'a>) -> Self {
        let unchanged = Unchanged::of(&plan.steps);
        let unchanged = (options.entries == 0 && unchanged.all() > MANY).then_some(unchanged);
        let listed = plan.steps.iter().filter(|step| unchanged.is_none() || !is_unchanged(step));
        let addresses: Vec<_> = listed.map(|step| step.action.address()).collect();
        Self {
            options,
            plan,
            unchanged,
            lines: options.manifest.map(|manifest| (manifest.name, Lines::new(manifest.text))),
            address_width: address_width(addresses.iter(), &options.style),
        }
    }

    /// Returns what has lines of its own.
    fn items(&self) -> Vec<Item<'a, Step>> {
        let mut items = folders::items(&self.plan.steps, folder);
        items.retain(|item| self.unchanged.is_none() || !is_unchanged(item.first()));
        items
    }

    fn item(&self, page: &mut Page, item: &Item<'_, Step>) {
        match item {
            Item::One(step) => self.step(page, step, &step.action.address().to_string(), &step.action.to_string()),
            Item::Folders { first, words } => {
                self.step(page, first, FOLDER, &format!("{} {words}", first.action));
            }
        }
    }

    /// Writes a step on one line when it fits, else what is done, and on the lines below what it means.
    fn step(&self, page: &mut Page, step: &Step, address: &str, what: &str) {
        self.drift(page, step, address);
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

    /// Says above a step what it puts right.
    fn drift(&self, page: &mut Page, step: &Step, address: &str) {
        if let Some(what) = self.plan.drift(step) {
            let head = format!("{:<3} {address:<width$}", "!", width = self.address_width);
            let line =
                Text::new(Paint::Alarm, head).and(Paint::Alarm, format!("  drifted since the last apply: {what}"));
            page.line(line, ADDRESS_COLUMN + self.address_width + 2);
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
        let mut text = Text::new(plain, format!("because {}", step.because_words(self.plan.mode)));
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
                    add(plain, format!("verifier: passed, {}", instructions(u64::from(*insns))));
                }
                Some(Verdict::Failed) => add(Paint::Alarm, format!("verifier: {FAILED}")),
                Some(Verdict::NotTried { lacks }) => {
                    add(Paint::Alarm, format!("verifier: {NOT_RUN}, {lacks} was refused"));
                }
            }
        }
        match step.needs {
            Some(consent) if self.plan.has(consent) => add(plain, who_allows(self.plan, consent)),
            Some(consent) => add(Paint::Alarm, who_allows(self.plan, consent)),
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

/// Counts the programs that the verifier has to accept.
pub(super) fn loads(plan: &Plan) -> u64 {
    number(plan, |step| is_load(&step.action))
}

/// What is said of packet tests that an apply does not go without.
pub(super) const TESTS_AWAITED: &str = "REQUIRED, NOT RUN: an apply and `--dry-run=verify` run them first";

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

/// Returns the word for all that the verifier said, where a dry run has something for it.
pub(super) fn verdict(plan: &Plan, purpose: Purpose) -> Option<(Paint, &'static str)> {
    (purpose == Purpose::DryRun && loads(plan) > 0).then(|| match Tally::of(plan) {
        Tally { failed: 0, not_run: 0, .. } => (Paint::Create, "passed"),
        Tally { failed: 0, .. } => (Paint::Alarm, NOT_RUN),
        Tally { .. } => (Paint::Alarm, FAILED),
    })
}

/// Returns whether a program waits for the verifier, or was refused.
pub(super) fn is_unverified(plan: &Plan) -> bool {
    let Tally { failed, not_run, .. } = Tally::of(plan);
    failed > 0 || not_run > 0
}

/// Writes a number of instructions, which may be a million.
fn instructions(number: u64) -> String {
    format!("{} {}", thousands(number), if number == 1 { "instruction" } else { "instructions" })
}

/// Sums up what the verifier said.
pub(super) fn verifier(plan: &Plan) -> Text {
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
        (insns > 0, Paint::Plain, format!("went through {}", instructions(insns))),
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
    page.line(Text::new(Paint::Heading, format!("plan: {}", Counts::of_plan(plan).to_do())), 6);
    if plan.is_empty() {
        page.line(Text::new(Paint::Create, format!("nothing to do: {}", why_nothing(plan))), 2);
        return;
    }
    page.line(
        match risk(plan) {
            Ok(none) => Text::from(format!("risk: {none}")),
            Err(risks) => Text::from("risk: ").and(Paint::Alarm, risks),
        },
        6,
    );
    if purpose == Purpose::DryRun && loads(plan) > 0 {
        page.line(verifier(plan), 10);
    }
    if purpose == Purpose::DryRun && plan.awaits_tests {
        page.line(Text::from("tests: ").and(Paint::Alarm, TESTS_AWAITED), 7);
    }
    if let Some(drift) = drift(plan) {
        page.line(Text::from("drift: ").and(Paint::Alarm, drift), 7);
    }
    if let Some(values) = kernel_values(plan) {
        page.line(Text::from(format!("kernel values: {values}")), 15);
    }
    if let Some((removes, allowed)) = guard(plan) {
        page.line(Text::from("guard: ").and(Paint::Alarm, removes).and(Paint::Plain, format!(": {allowed}")), 7);
    }
    let lacks = plan.lacks();
    if !lacks.is_empty() {
        page.line(Text::from("consent: nothing is applied without ").and_whole(Paint::Alarm, allow_flag(&lacks)), 9);
    }
    page.line(format!("plan id: {}", plan.id), 9);
}

/// Says who allows what needs a consent, or how that is done.
pub fn who_allows(plan: &Plan, consent: Consent) -> String {
    match (plan.allows(consent), plan.given.contains(&consent)) {
        (true, _) => format!("{consent}: the manifest allows it"),
        (false, true) => format!("{consent}: --allow is given"),
        (false, false) => format!("needs --allow {consent}"),
    }
}

/// Writes the flag that gives these consents: `--allow gap,prune`.
pub fn allow_flag(needs: &BTreeSet<Consent>) -> String {
    let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
    format!("--allow {}", names.join(","))
}

/// Says how many programs depend on what of the kernel nobody knows, where some do.
pub(super) fn kernel_values(plan: &Plan) -> Option<String> {
    match plan.unsettled_programs() {
        0 => None,
        1 => Some("not known offline, 1 program depends on them".to_owned()),
        number => Some(format!("not known offline, {} depend on them", count(number as u64, "program"))),
    }
}

/// Says that a plan removes so much that the manifest alone does not allow it, and whether somebody else does.
pub(super) fn guard(plan: &Plan) -> Option<(String, &'static str)> {
    let sweep = plan.sweep.as_ref()?;
    let allowed = match plan.given.contains(&Consent::Prune) {
        true => "as is allowed by name",
        false => "the manifest alone does not allow it",
    };
    Some((format!("removes {sweep}"), allowed))
}

/// Says how much drifted, where something did.
pub(super) fn drift(plan: &Plan) -> Option<String> {
    match plan.drifted() {
        0 => None,
        1 => Some("1 thing is not as the last apply left it".to_owned()),
        number => Some(format!("{number} things are not as the last apply left them")),
    }
}

/// Returns from how many hooks a step takes something.
fn hooks(step: &Step) -> u64 {
    if let Action::ClearLeftover { links, .. } = step.action { links as u64 } else { 1 }
}

/// Says what the plan risks: `Ok` when that is nothing, or nobody knows.
pub(super) fn risk(plan: &Plan) -> Result<String, String> {
    let gaps = number(plan, |step| step.traffic == Traffic::GapUnfiltered);
    let stopping = plan.steps.iter().filter(|step| matches!(step.traffic, Traffic::Stops | Traffic::Moves));
    let stops = stopping.map(hooks).sum();
    let starts = number(plan, |step| matches!(step.traffic, Traffic::Starts | Traffic::Moves));
    let losses = number(plan, |step| matches!(step.state, State::Lost(_)));
    let misfits = number(plan, |step| matches!(step.state, State::Copied { lost: 1.., .. }));
    let drops = number(plan, |step| step.needs == Some(Consent::LoseState) && !step.state.is_loss());
    let unshared = number(plan, |step| step.action.used_by().is_some());
    let takeovers = number(plan, |step| step.needs == Some(Consent::Takeover));
    let risks = [
        (gaps, "traffic gap", "traffic gaps"),
        (stops, "hook loses its filter", "hooks lose their filters"),
        (losses, "map loses its contents", "maps lose their contents"),
        (misfits, "map loses entries that do not fit", "maps lose entries that do not fit"),
        (drops, "map loses fields of its entries", "maps lose fields of their entries"),
        (unshared, "map is no longer shared with others", "maps are no longer shared with others"),
        (takeovers, "hook taken over", "hooks taken over"),
    ];
    let found = risks.into_iter().filter(|(number, ..)| *number > 0);
    let found = found.map(|(number, one, more)| format!("{number} {}", if number == 1 { one } else { more }));
    let found: Vec<_> = found.collect();
    match (found.is_empty(), plan.mode) {
        (true, Mode::Live | Mode::Against { .. }) if starts > 0 => {
            let hooks =
                if starts == 1 { "1 hook gets a filter".to_owned() } else { format!("{starts} hooks get filters") };
            Ok(format!("{hooks}; no traffic gap, no contents lost"))
        }
        (true, Mode::Live | Mode::Against { .. }) => Ok("none; no traffic gap, no contents lost".to_owned()),
        (true, Mode::Offline) => Ok("not known without the host".to_owned()),
        (false, Mode::Live | Mode::Offline | Mode::Against { .. }) => Err(found.join(", ")),
    }
}

/// How many steps have each kind of marker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
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
    /// Counts the steps of a plan.
    pub fn of_plan(plan: &Plan) -> Self {
        Self::of(plan.steps.iter().map(|step| &step.action))
    }

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
    use crate::names::{MapName, ProgramName};
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
    fn a_guard_is_told_until_it_is_answered() {
        let sweep = crate::plan::Sweep { removed: 3, owned: 4 };
        let asked = Plan { sweep: Some(sweep), ..samples::every_step() };
        let text = draw(&asked, 200);
        assert!(text.contains("guard: removes") && text.contains("the manifest alone does not allow it"), "{text}");
        let given = Plan { given: [Consent::Prune].into(), ..asked };
        let text = draw(&given, 200);
        assert!(text.contains("as is allowed by name") && !text.contains("does not allow it"), "{text}");
    }

    #[test]
    fn the_sample_has_everything() {
        let steps = samples::every_step().steps;
        let distinct = |of: fn(&Step) -> String| steps.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(|step| step.action.name().to_owned()), 29);
        assert_eq!(distinct(|step| step.because.name().to_owned()), 27);
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
        nothing to do: the manifest asks for no map, program or link
        ");
    }

    #[test]
    fn what_the_verifier_said() {
        let passed = |insns| Verdict::Passed { insns };
        let not_tried = || Verdict::NotTried { lacks: Address::Map(MapName::new("flows").unwrap()) };
        let cases = [
            (
                [passed(Some(1234)), passed(None)],
                ["verifier passed", "verifier: passed, 1,234 instructions", "verifier: passed;"],
                "verifier: passed for 2 programs, went through 1,234 instructions",
            ),
            (
                [Verdict::Failed, passed(Some(1))],
                ["verifier FAILED", "verifier: FAILED;", "verifier: passed, 1 instruction;"],
                "verifier: FAILED for 1 program, passed for 1 program, went through 1 instruction",
            ),
            (
                [Verdict::Failed, not_tried()],
                ["verifier FAILED", "verifier: FAILED;", "verifier: NOT RUN, map.flows was refused"],
                "verifier: FAILED for 1 program, NOT RUN for 1 program",
            ),
            (
                [passed(None), not_tried()],
                ["verifier NOT RUN", "verifier: passed;", "verifier: NOT RUN, map.flows was refused"],
                "verifier: NOT RUN for 1 program, passed for 1 program",
            ),
        ];
        let names = ["drop", "count"].map(|name| ProgramName::new(name).unwrap());
        for (verdicts, said, sum) in cases {
            let verdicts = Some(names.iter().cloned().zip(verdicts).collect());
            let text = draw(&Plan { verdicts, ..samples::every_step() }, 300);
            assert!(text.starts_with("edge: verify dry run: "), "{text}");
            for said in said {
                assert!(text.contains(said), "{said:?}: {text}");
            }
            assert!(text.lines().any(|line| line == sum), "{sum:?}: {text}");
        }
    }

    #[test]
    fn many_unchanged_things_are_one_line() {
        let sample = samples::unchanged().steps;
        let changed = samples::every_step().steps.into_iter().find(|step| step.because == Because::CodeChanged);
        let plan_of = |times| {
            let unchanged = sample.iter().cycle().take(times).cloned();
            samples::plan_of(Mode::Live, unchanged.chain(changed.clone()).collect())
        };
        let draw = |plan: &Plan, entries| {
            let options = Options { style: Style::default(), purpose: Purpose::Apply, manifest: None, entries };
            super::plan(plan, &options)
        };
        for (times, entries, listed) in [(MANY, 0, MANY), (MANY + 1, 0, 0), (MANY + 1, 5, MANY + 1), (900, 0, 0)] {
            let text = draw(&plan_of(times), entries);
            assert_eq!(text.matches("because it is unchanged").count(), listed, "{times}, {entries}");
            assert!(text.contains(&format!(", {times} reused\n")), "{text}");
        }
        insta::assert_snapshot!(draw(&plan_of(901), 0), @r"
        edge: apply
        pins in /sys/fs/bpf/edge

        =   301 maps, 300 programs and 300 links unchanged (-v lists them)
        +/- program.drop  load xdp `xdp_drop` of object.filter, uses map.filter:.rodata,
                          map.flows, pin /sys/fs/bpf/edge/programs/drop, in place of id
                          17
                          because its code changed

        plan: 0 to create, 0 to change, 1 to replace, 0 to remove, 901 reused
        risk: none; no traffic gap, no contents lost
        plan id: af2bdbe1aa9b6ec1e2ade1d694f41fc7
        ");
    }

    #[test]
    fn tests_that_an_apply_runs_first_are_said_of_a_dry_run() {
        let plan = Plan { awaits_tests: true, ..samples::every_step() };
        let options = |purpose| Options { style: Style::default(), purpose, manifest: None, entries: 0 };
        let said = |purpose| super::plan(&plan, &options(purpose)).contains("tests: REQUIRED, NOT RUN");
        assert_eq!([Purpose::DryRun, Purpose::Apply].map(said), [true, false]);
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
