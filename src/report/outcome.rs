//! What an apply did, for people and for programs.

use super::folders::{self, Item};
use super::json::Format;
use super::layout::{Page, Paint, Style, Text, address_width};
use super::text::{Counts, FOLDER, paint};
use crate::apply::outcome::{Outcome, Status, StepOutcome, Verdict};
use crate::migrate::Tally;
use crate::names::{Address, PinPath};
use crate::plan::{Action, Marker};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Display;

/// Writes what became of each step, and in the last line what that means for the host.
pub fn text(outcome: &Outcome<'_>, style: Style) -> String {
    let mut page = Page::new(style);
    let verdict = outcome.verdict();
    if verdict != Verdict::Matches {
        let widths = widths(outcome, &style);
        folders::items(&outcome.steps, folder).iter().for_each(|item| write(&mut page, item, widths));
        page.blank();
    }
    page.line(last_line(outcome, verdict), 2);
    page.finish()
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
        Verdict::Applied if outcome.is_way_back => "taken back",
        Verdict::Matches => "nothing to do: the host matches",
        Verdict::Applied => "applied",
        Verdict::FailedAsBefore if outcome.is_way_back => "NOT taken back",
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
                .map(|step| format!("{} ({})", step.action.address(), done(step.action.marker())))
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

/// What became of a plan, as `bpfapply plan.toml --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply outcome")]
struct OutcomeJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "outcome"))]
    kind: &'static str,
    /// The deployment.
    deployment: &'a str,
    /// The whole of it in one word.
    verdict: Verdict,
    /// The exit code that it means, unless reading back shows that the host is not as it should be.
    exit: u8,
    /// How many steps of each kind the plan had.
    counts: Counts,
    /// The steps in the order of the plan.
    steps: Vec<StepJson<'a>>,
}

/// A step and what became of it.
#[derive(Serialize, JsonSchema)]
struct StepJson<'a> {
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
    reason: Option<&'a str>,
    /// What became of its entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    tally: Option<TallyJson<'a>>,
}

/// What can have become of a step.
const STATUSES: [&str; 7] = ["done", "reused", "failed", "undone", "could-not-undo", "half-done", "not-reached"];

/// What became of the entries of a map that got another one in its place.
#[derive(Serialize, JsonSchema)]
struct TallyJson<'a> {
    /// How many were copied.
    copied: u64,
    /// How many of them changed since, and were written again.
    caught_up: u64,
    /// How many of those had changed in the new map as well, and were left.
    changed_on_both_sides: u64,
    /// How many did not fit.
    misfits: u64,
    /// The first of those.
    named: &'a [String],
}

impl<'a> TallyJson<'a> {
    fn of(tally: &'a Tally) -> Self {
        let Tally { copied, caught_up, both, misfits } = tally;
        let named = if misfits.count == 0 { &[][..] } else { &misfits.named };
        Self { copied: *copied, caught_up: *caught_up, changed_on_both_sides: *both, misfits: misfits.count, named }
    }
}

/// Writes the outcome as JSON; `counts` is what the plan was to do.
pub fn json(outcome: &Outcome<'_>) -> String {
    let steps = outcome.steps.iter().map(|step| StepJson {
        marker: step.action.marker(),
        address: step.action.address(),
        action: step.action.name(),
        what: step.action.to_string(),
        status: step.status.name(),
        reason: step.status.reason(),
        tally: step.tally.as_ref().map(TallyJson::of),
    });
    super::json::write(&OutcomeJson {
        format: super::json::FORMAT,
        kind: "outcome",
        deployment: outcome.deployment.as_str(),
        verdict: outcome.verdict(),
        exit: outcome.exit() as u8,
        counts: counts(outcome),
        steps: steps.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Exit;
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
        Outcome { deployment: plan.deployment, is_way_back: false, steps: steps.collect() }
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
            "minor": 4
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
