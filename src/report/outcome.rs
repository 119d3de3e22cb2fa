//! What an apply did, for people and for programs.

use super::folders::{self, Item};
use super::json::Format;
use super::layout::{Page, Paint, Style, Text, address_width};
use super::problems::{self, ProblemJson, Said};
use super::text::{Counts, FOLDER, paint};
use crate::apply::outcome::{Outcome, Status, StepOutcome, Verdict};
use crate::diag::Exit;
use crate::migrate::Tally;
use crate::names::{Address, PinPath};
use crate::plan::{Action, Marker};
use crate::record::Rejected;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Display;
use std::ops::ControlFlow;

/// How many bytes of whole lines are handed on at once: as many as make few writes.
const PART: usize = 128 << 10;

/// Writes what became of each step, and in the last line what that means for the host.
pub fn text(outcome: &Outcome<'_>, style: Style) -> String {
    let mut text = String::new();
    let _ = parts(outcome, style, |part| {
        text.push_str(part);
        ControlFlow::Continue(())
    });
    text
}

/// Hands on the same in parts, until one is not taken: the whole is as long as the plan, and nobody has to hold it.
pub fn parts(outcome: &Outcome<'_>, style: Style, mut take: impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut page = Page::new(style);
    let verdict = outcome.verdict();
    if verdict != Verdict::Matches {
        let widths = widths(outcome, &style);
        for item in folders::items(&outcome.steps, folder) {
            write(&mut page, &item, widths);
            page.hand_on(PART, &mut take)?;
        }
        page.blank();
    }
    page.line(last_line(outcome, verdict), 2);
    page.hand_on(0, take)
}

/// Writes the lines of each step by themselves.
pub(super) fn drawn<'o, 'a>(outcome: &'o Outcome<'a>, style: Style) -> Vec<(&'o StepOutcome<'a>, String)> {
    let widths = widths(outcome, &style);
    let items = folders::items(&outcome.steps, folder).into_iter();
    let drawn = items.map(|item| {
        let mut page = Page::new(style);
        write(&mut page, &item, widths);
        (item.first(), page.finish())
    });
    drawn.collect()
}

/// Returns the columns of the statuses and the addresses.
fn widths(outcome: &Outcome<'_>, style: &Style) -> (usize, usize) {
    let status = outcome.steps.iter().map(|step| word(step).len()).max().unwrap_or(0);
    let addresses: Vec<Address> = outcome.steps.iter().map(|step| step.action.address()).collect();
    (status, address_width(addresses.iter(), style))
}

fn write(page: &mut Page, item: &Item<'_, StepOutcome<'_>>, widths: (usize, usize)) {
    match item {
        Item::One(step) => {
            // What came of it says what was done, in numbers.
            let what: &dyn Display = match &step.tally {
                Some(tally) => tally,
                None => &step.action,
            };
            line(page, step, &step.action.address(), what, widths);
        }
        Item::Folders { first, words } => {
            line(page, first, &FOLDER, &format_args!("{} {words}", first.action), widths);
        }
    }
}

/// Returns the folder that a step made or removed, and what must be the same for two of them to share a line.
fn folder<'a>(step: &'a StepOutcome<'_>) -> Option<(&'a PinPath, (&'static str, &'a Status))> {
    folders::folder(&step.action).map(|path| (path, (step.action.name(), &step.status)))
}

fn line(page: &mut Page, step: &StepOutcome<'_>, address: &dyn Display, what: &dyn Display, widths: (usize, usize)) {
    let (status_width, address_width) = widths;
    let marker = step.action.marker();
    let line = Text::new(paint(marker), format_args!("{marker:<3} "))
        .and(status_paint(&step.status), format_args!("{:<status_width$}", word(step)))
        .and(paint(marker), format_args!("  {address:<address_width$}"))
        .and(Paint::Plain, format_args!("  {what}"));
    let line = match step.status.reason() {
        Some(reason) => line.and(Paint::Alarm, format_args!(": {reason}")),
        None => line,
    };
    page.line(line, 4 + status_width + 2 + address_width + 2);
}

/// Returns the word for what became of a step.
pub(super) fn word(step: &StepOutcome<'_>) -> &'static str {
    match &step.status {
        Status::Reused if matches!(*step.action, Action::Skip { .. }) => "skipped",
        Status::Done => "done",
        Status::Reused => "reused",
        Status::Failed(_) => "FAILED",
        Status::Undone => "undone",
        Status::CouldNotUndo(_) => "COULD NOT UNDO",
        Status::HalfDone(_) => "HALF DONE",
        Status::NotReached => "not reached",
    }
}

fn status_paint(status: &Status) -> Paint {
    match status {
        Status::Done => Paint::Plain,
        Status::Reused | Status::NotReached => Paint::Keep,
        Status::Undone => Paint::Change,
        Status::Failed(_) | Status::CouldNotUndo(_) | Status::HalfDone(_) => Paint::Alarm,
    }
}

/// Says what became of the whole, with counts where they matter.
pub(super) fn summary(outcome: &Outcome<'_>) -> String {
    let words = words(outcome);
    match outcome.verdict() {
        Verdict::Applied => format!("{words}: {}", counts(outcome).done()),
        Verdict::Matches | Verdict::FailedAsBefore | Verdict::FailedNotAsBefore => words.to_owned(),
    }
}

fn words(outcome: &Outcome<'_>) -> &'static str {
    match outcome.verdict() {
        Verdict::Applied if outcome.taken_back.is_some() => "taken back",
        Verdict::Matches => "nothing to do: the host matches",
        Verdict::Applied => "applied",
        Verdict::FailedAsBefore if outcome.taken_back.is_some() => "NOT taken back",
        Verdict::FailedAsBefore => "failed, the host is as before",
        Verdict::FailedNotAsBefore => "failed, the host is NOT as before",
    }
}

/// Counts what the plan was to do.
pub(super) fn counts(outcome: &Outcome<'_>) -> Counts {
    Counts::of(outcome.steps.iter().map(|step| &*step.action))
}

fn last_line(outcome: &Outcome<'_>, verdict: Verdict) -> Text {
    let name = Text::new(Paint::Heading, format!("{}: ", outcome.deployment));
    let words = words(outcome);
    match verdict {
        Verdict::Matches => name.and(Paint::Create, words),
        Verdict::Applied => name.and(Paint::Create, format!("{words}: ")).and(Paint::Plain, counts(outcome).done()),
        Verdict::FailedAsBefore => name.and(Paint::Alarm, words),
        Verdict::FailedNotAsBefore => {
            let left: Vec<_> = outcome
                .left()
                .map(|step| match &*step.action {
                    Action::RenameLink { was, .. } => format!("{} (was link.{was})", step.action.address()),
                    action => format!("{} ({})", action.address(), done(action.marker())),
                })
                .collect();
            name.and(Paint::Alarm, format!("{words}: ")).and(Paint::Plain, left.join(", "))
        }
    }
}

fn done(marker: Marker) -> &'static str {
    match marker {
        Marker::Create => "created",
        Marker::Change => "changed",
        Marker::DestroyThenCreate | Marker::CreateThenDestroy => "replaced",
        Marker::Remove => "removed",
        Marker::Reuse => "reused",
    }
}

/// Returns the JSON schema of an outcome.
pub fn schema() -> serde_json::Value {
    super::json::schema::<OutcomeJson<'_>>()
}

/// What a run did, as `bpfapply plan.toml --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply outcome")]
struct OutcomeJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "outcome"))]
    kind: &'static str,
    /// The deployment.
    deployment: &'a str,
    /// The whole of it in one word; with a `way_back`, what both did together.
    verdict: Verdict,
    /// The exit code of the run.
    exit: u8,
    /// How many steps of each kind the plan had.
    counts: Counts,
    /// The steps in the order of the plan.
    steps: &'a [StepJson],
    /// The generation that the run took back by itself: its own, or with no `way_back` one that nobody confirmed in time, and
    /// then nothing else was done and the steps are those of taking it back. Not there when that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_back: Option<Rejected>,
    /// How the run took back what its own steps did, or tried to.
    #[serde(skip_serializing_if = "Option::is_none")]
    way_back: Option<WayBackJson<'a>>,
    /// For how many seconds it waits to be confirmed, and then returns to what ran before.
    #[serde(skip_serializing_if = "Option::is_none")]
    unconfirmed: Option<u64>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemJson<'a>>,
}

/// The way back to what ran before.
#[derive(Serialize, JsonSchema)]
struct WayBackJson<'a> {
    /// The whole of it in one word.
    verdict: Verdict,
    /// How many steps of each kind it had.
    counts: Counts,
    /// Its steps, in their order.
    steps: &'a [StepJson],
}

/// A step and what became of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct StepJson {
    /// Its marker.
    marker: Marker,
    /// What it is about, for example `map.flows`.
    #[schemars(with = "String")]
    address: Address,
    /// The name of its action.
    action: &'static str,
    /// The action in words.
    what: String,
    /// What became of it.
    #[schemars(extend("enum" = STATUSES))]
    status: &'static str,
    /// Why something failed.
    reason: Option<String>,
    /// What became of its entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    tally: Option<TallyJson>,
}

/// What can have become of a step.
const STATUSES: [&str; 7] = ["done", "reused", "failed", "undone", "could-not-undo", "half-done", "not-reached"];

/// What became of the entries of a map that got another one in its place.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct TallyJson {
    /// How many were copied.
    copied: u64,
    /// How many of them changed since, and were written again.
    caught_up: u64,
    /// How many of those had changed in the new map as well, and were left.
    changed_on_both_sides: u64,
    /// How many did not fit.
    misfits: u64,
    /// The first of those.
    named: Vec<String>,
}

impl TallyJson {
    fn of(tally: &Tally) -> Self {
        let Tally { copied, caught_up, both, misfits } = tally;
        let named = if misfits.count == 0 { Vec::new() } else { misfits.named.clone() };
        Self { copied: *copied, caught_up: *caught_up, changed_on_both_sides: *both, misfits: misfits.count, named }
    }
}

/// What became of one plan of a run, kept for the one document that is written when the run ends.
#[derive(Debug, Clone)]
pub struct Part {
    deployment: String,
    taken_back: Option<Rejected>,
    verdict: Verdict,
    counts: Counts,
    steps: Vec<StepJson>,
}

impl Part {
    /// Keeps of an outcome what is written.
    pub fn of(outcome: &Outcome<'_>) -> Self {
        let steps = outcome.steps.iter().map(|step| StepJson {
            marker: step.action.marker(),
            address: step.action.address(),
            action: step.action.name(),
            what: step.action.to_string(),
            status: step.status.name(),
            reason: step.status.reason().map(str::to_owned),
            tally: step.tally.as_deref().map(TallyJson::of),
        });
        Self {
            deployment: outcome.deployment.to_string(),
            taken_back: outcome.took_back(),
            verdict: outcome.verdict(),
            counts: counts(outcome),
            steps: steps.collect(),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// What is wrong.
    pub said: &'a [Said],
    /// For how many seconds what it made waits to be confirmed.
    pub unconfirmed: Option<u64>,
    /// Its exit code.
    pub exit: Exit,
}

/// Writes the outcome of one plan as JSON.
pub fn json(outcome: &Outcome<'_>) -> String {
    document(&Part::of(outcome), None, End { said: &[], unconfirmed: None, exit: outcome.exit() })
}

/// Writes what a run did as JSON: what became of its plan, and of the way back that it took from there.
pub fn document(part: &Part, way_back: Option<&Part>, end: End<'_>) -> String {
    super::json::write(&OutcomeJson {
        format: super::json::FORMAT,
        kind: "outcome",
        deployment: &part.deployment,
        verdict: match (end.exit, way_back) {
            (Exit::Broken, _) => Verdict::FailedNotAsBefore,
            (_, None) => part.verdict,
            // Nothing is left of what it made.
            (_, Some(Part { verdict: Verdict::Matches | Verdict::Applied, .. })) => Verdict::FailedAsBefore,
            (_, Some(Part { verdict: Verdict::FailedAsBefore | Verdict::FailedNotAsBefore, .. })) => {
                Verdict::FailedNotAsBefore
            }
        },
        exit: end.exit as u8,
        counts: part.counts,
        steps: &part.steps,
        taken_back: way_back.unwrap_or(part).taken_back,
        way_back: way_back.map(|Part { verdict, counts, steps, .. }| WayBackJson {
            verdict: *verdict,
            counts: *counts,
            steps,
        }),
        unconfirmed: end.unconfirmed,
        problems: problems::all_json(end.said),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;
    use std::borrow::Cow;

    fn outcome(statuses: &[Status]) -> Outcome<'static> {
        let plan = samples::offline();
        assert_eq!(plan.steps.len(), statuses.len());
        let steps = plan.steps.into_iter().zip(statuses);
        let steps = steps.map(|(step, status)| StepOutcome {
            action: Cow::Owned(step.action),
            status: status.clone(),
            tally: None,
        });
        Outcome { deployment: plan.deployment, taken_back: None, steps: steps.collect() }
    }

    fn draw(statuses: &[Status]) -> String {
        text(&outcome(statuses), Style { ascii: true, ..Style::default() })
    }

    use Status::{CouldNotUndo, Done, Failed, NotReached, Reused, Undone};

    #[test]
    fn verdicts() {
        let failed = || Failed("operation not permitted".to_owned());
        let stays = || CouldNotUndo("device or resource busy".to_owned());
        let cases = [
            ([Reused, Reused, Reused, Reused, Reused], Verdict::Matches, Exit::Success),
            ([Reused, Done, Done, Done, Done], Verdict::Applied, Exit::Success),
            ([failed(), NotReached, NotReached, NotReached, NotReached], Verdict::FailedAsBefore, Exit::Failed),
            ([Reused, Undone, Undone, failed(), NotReached], Verdict::FailedAsBefore, Exit::Failed),
            ([Undone, stays(), Undone, failed(), NotReached], Verdict::FailedNotAsBefore, Exit::Broken),
            ([Done, Done, Done, Done, failed()], Verdict::FailedNotAsBefore, Exit::Broken),
        ];
        for (statuses, verdict, exit) in cases {
            let outcome = outcome(&statuses);
            assert_eq!((outcome.verdict(), outcome.exit()), (verdict, exit), "{statuses:?}");
        }
    }

    #[test]
    fn a_long_text_comes_in_parts_until_one_is_not_taken() {
        let mut long = outcome(&[Done, Done, Done, Done, Done]);
        long.steps = (0..1000).flat_map(|_| long.steps.clone()).collect();
        let whole = text(&long, Style::default());
        let mut taken = Vec::new();
        let all = parts(&long, Style::default(), |part| {
            taken.push(part.to_owned());
            ControlFlow::Continue(())
        });
        assert_eq!((all, taken.concat() == whole), (ControlFlow::Continue(()), true));
        assert!(taken.len() > 2 && taken.iter().all(|part| part.ends_with('\n') && part.len() < 2 * PART));
        taken.clear();
        let some = parts(&long, Style::default(), |part| {
            taken.push(part.to_owned());
            ControlFlow::Break(())
        });
        assert_eq!((some, taken.len()), (ControlFlow::Break(()), 1));
    }

    #[test]
    fn a_way_back_is_a_part_of_the_document() {
        use crate::diag::{Kind, Problem};
        use crate::record::Rejection;
        let rejected = Rejected { generation: 7, because: Rejection::Checks };
        let done = || [Reused, Done, Done, Done, Done];
        let made = Part::of(&outcome(&done()));
        let part = |statuses| Part::of(&Outcome { taken_back: Some(rejected), ..outcome(statuses) });
        let (back, stuck) =
            (part(&done()), part(&[Failed("busy".to_owned()), NotReached, NotReached, NotReached, NotReached]));
        let no_way = Problem::new(Kind::UnknownVersion { found: "2".to_owned() });
        let said = [(no_way.into(), None)];
        let cases = [
            (&made, Some(&back), Exit::Failed, "failed-as-before", Some(rejected)),
            (&made, Some(&back), Exit::Broken, "failed-not-as-before", Some(rejected)),
            (&made, Some(&stuck), Exit::Broken, "failed-not-as-before", None),
            (&made, Some(&stuck), Exit::Failed, "failed-not-as-before", None),
            (&made, None, Exit::Broken, "failed-not-as-before", None),
            (&made, None, Exit::Success, "applied", None),
            // An apply that found one that nobody confirmed.
            (&back, None, Exit::Retry, "applied", Some(rejected)),
            (&stuck, None, Exit::Retry, "failed-as-before", None),
        ];
        let schema = jsonschema::validator_for(&schema()).expect("the schema is one");
        for (part, way_back, exit, verdict, taken_back) in cases {
            let end = End { said: &said, unconfirmed: None, exit };
            let value: serde_json::Value = serde_json::from_str(&document(part, way_back, end)).expect("one document");
            assert!(schema.is_valid(&value), "{value}");
            assert_eq!((&value["verdict"], &value["exit"]), (&verdict.into(), &(exit as u8).into()));
            assert_eq!(value["problems"][0]["code"], "manifest::unknown_version");
            assert_eq!(value["taken_back"], serde_json::json!(taken_back), "{value}");
            assert_eq!(value["way_back"]["steps"].as_array().map(Vec::len), way_back.map(|_| 5));
        }
    }

    #[test]
    fn a_success() {
        insta::assert_snapshot!(draw(&[Reused, Done, Done, Done, Done]), @r"
        +   reused  directory      create /sys/fs/bpf/edge/maps
        +   done    map.flows      create lru_hash, 4 B key, 8 B value, 1024 entries,
                                   pin /sys/fs/bpf/edge/maps/flows
        +   done    program.drop   load xdp `xdp_drop` of object.filter, uses
                                   map.filter:.rodata, map.flows, pin
                                   /sys/fs/bpf/edge/programs/drop
        +   done    link.uplink    attach program.drop to xdp of lo (ifindex not known
                                   offline, generic), pin /sys/fs/bpf/edge/links/uplink
        +   done    link.services  attach program.count to cgroup_inet_ingress of cgroup
                                   system.slice (id not known offline), pin
                                   /sys/fs/bpf/edge/links/services

        edge: applied: 5 created, 0 changed, 0 removed, 0 reused
        ");
        insta::assert_snapshot!(draw(&[Reused, Reused, Reused, Reused, Reused]), @r"edge: nothing to do: the host matches");
    }

    #[test]
    fn a_failure_that_was_taken_back() {
        let failed = Failed("the verifier refused it".to_owned());
        insta::assert_snapshot!(draw(&[Undone, Undone, failed, NotReached, NotReached]), @r"
        +   undone       directory      create /sys/fs/bpf/edge/maps
        +   undone       map.flows      create lru_hash, 4 B key, 8 B value, 1024
                                        entries, pin /sys/fs/bpf/edge/maps/flows
        +   FAILED       program.drop   load xdp `xdp_drop` of object.filter, uses
                                        map.filter:.rodata, map.flows, pin
                                        /sys/fs/bpf/edge/programs/drop: the verifier
                                        refused it
        +   not reached  link.uplink    attach program.drop to xdp of lo (ifindex not
                                        known offline, generic), pin
                                        /sys/fs/bpf/edge/links/uplink
        +   not reached  link.services  attach program.count to cgroup_inet_ingress of
                                        cgroup system.slice (id not known offline), pin
                                        /sys/fs/bpf/edge/links/services

        edge: failed, the host is as before
        ");
    }

    #[test]
    fn a_failure_that_stays() {
        let stays = CouldNotUndo("device or resource busy".to_owned());
        let statuses = [Undone, stays, Undone, Failed("no such device".to_owned()), NotReached];
        insta::assert_snapshot!(draw(&statuses), @r"
        +   undone          directory      create /sys/fs/bpf/edge/maps
        +   COULD NOT UNDO  map.flows      create lru_hash, 4 B key, 8 B value, 1024
                                           entries, pin /sys/fs/bpf/edge/maps/flows:
                                           device or resource busy
        +   undone          program.drop   load xdp `xdp_drop` of object.filter, uses
                                           map.filter:.rodata, map.flows, pin
                                           /sys/fs/bpf/edge/programs/drop
        +   FAILED          link.uplink    attach program.drop to xdp of lo (ifindex not
                                           known offline, generic), pin
                                           /sys/fs/bpf/edge/links/uplink: no such device
        +   not reached     link.services  attach program.count to cgroup_inet_ingress
                                           of cgroup system.slice (id not known
                                           offline), pin /sys/fs/bpf/edge/links/services

        edge: failed, the host is NOT as before: map.flows (created)
        ");
        insta::assert_snapshot!(json(&outcome(&statuses)), @r#"
        {
          "format": {
            "major": 1,
            "minor": 7
          },
          "kind": "outcome",
          "deployment": "edge",
          "verdict": "failed-not-as-before",
          "exit": 3,
          "counts": {
            "create": 5,
            "change": 0,
            "replace": 0,
            "remove": 0,
            "reuse": 0
          },
          "steps": [
            {
              "marker": "+",
              "address": "directory /sys/fs/bpf/edge/maps",
              "action": "make-directory",
              "what": "create",
              "status": "undone",
              "reason": null
            },
            {
              "marker": "+",
              "address": "map.flows",
              "action": "create-map",
              "what": "create lru_hash, 4 B key, 8 B value, 1024 entries, pin /sys/fs/bpf/edge/maps/flows",
              "status": "could-not-undo",
              "reason": "device or resource busy"
            },
            {
              "marker": "+",
              "address": "program.drop",
              "action": "load-program",
              "what": "load xdp `xdp_drop` of object.filter, uses map.filter:.rodata, map.flows, pin /sys/fs/bpf/edge/programs/drop",
              "status": "undone",
              "reason": null
            },
            {
              "marker": "+",
              "address": "link.uplink",
              "action": "attach",
              "what": "attach program.drop to xdp of lo (ifindex not known offline, generic), pin /sys/fs/bpf/edge/links/uplink",
              "status": "failed",
              "reason": "no such device"
            },
            {
              "marker": "+",
              "address": "link.services",
              "action": "attach",
              "what": "attach program.count to cgroup_inet_ingress of cgroup system.slice (id not known offline), pin /sys/fs/bpf/edge/links/services",
              "status": "not-reached",
              "reason": null
            }
          ]
        }
        "#);
    }
}
