//! What happens while a plan is applied, as a JSON document on each line, for programs that look on.

use super::json::{FORMAT, Format};
use super::text::Counts;
use crate::apply::Progress;
use crate::apply::outcome::{Outcome, Verdict};
use crate::diag::{Exit, Problem};
use crate::names::PlanId;
use crate::plan::{Action, Marker, Plan};
use crate::record::{Rejected, Since};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A plan is about to be applied.
    Start(&'a Plan),
    /// Something became of the step with this number, from 0.
    Step(&'a Plan, usize, Progress<'a>),
    /// It is over, and read back.
    Outcome(&'a Outcome<'a>, Exit),
    /// The host matches already, so that nothing is applied.
    Matches(&'a Plan),
    /// Something is wrong.
    Problem(&'a Problem),
}

/// Writes an event on one line: the number of the line from 0, and the time in milliseconds since 1970.
pub fn line(event: Event<'_>, seq: u64, time: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(time.min(Since::LAST.0 * 1000));
    let time = humantime::format_rfc3339_millis(time).to_string();
    let event = EventJson { format: FORMAT, seq, time, what: What::of(event) };
    serde_json::to_string(&event).expect("events have only strings, numbers and fields") + "\n"
}

/// Returns the JSON schema of a line.
pub fn schema() -> serde_json::Value {
    super::json::schema::<EventJson<'_>>()
}

/// One line of what `bpfapply --events` writes while a plan is applied.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply event")]
struct EventJson<'a> {
    format: Format,
    /// The number of the line, from 0.
    seq: u64,
    /// When it happened, as RFC 3339 in UTC with milliseconds.
    time: String,
    #[serde(flatten)]
    what: What<'a>,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum What<'a> {
    /// A plan is about to be applied.
    Start {
        /// The deployment.
        deployment: &'a str,
        /// The id of the plan.
        #[schemars(with = "String")]
        plan: PlanId,
        /// How many steps it has.
        steps: usize,
    },
    /// Something became of a step.
    Step {
        /// Its number in the plan, from 0.
        step: usize,
        /// Its marker.
        marker: Marker,
        /// What it is about, for example `map.flows`.
        address: String,
        /// The name of its action.
        action: &'static str,
        /// `staged`: it is made, and nobody else can see it. `done` may become `undone` later.
        #[schemars(extend("enum" = STATUSES))]
        status: &'static str,
        /// Why something failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    /// It is over, and was read back.
    Outcome {
        /// The deployment.
        deployment: &'a str,
        /// The whole of it in one word.
        verdict: Verdict,
        /// The exit code that it means.
        exit: u8,
        /// How many steps of each kind the plan had.
        counts: Counts,
        /// The generation that the run took back by itself with this plan.
        #[serde(skip_serializing_if = "Option::is_none")]
        taken_back: Option<Rejected>,
    },
    /// Something is wrong.
    Problem {
        /// The name of its kind, for example `plan::consent_needed`.
        code: &'static str,
        /// What it is.
        message: String,
    },
}

/// What can become of a step.
const STATUSES: [&str; 7] = ["staged", "done", "reused", "failed", "undone", "could-not-undo", "half-done"];

impl<'a> What<'a> {
    fn of(event: Event<'a>) -> Self {
        let counts = Counts::of_plan;
        match event {
            Event::Start(plan) => {
                Self::Start { deployment: plan.deployment.as_str(), plan: plan.id, steps: plan.steps.len() }
            }
            Event::Step(plan, step, progress) => Self::step(step, &plan.steps[step].action, progress),
            Event::Outcome(outcome, exit) => Self::Outcome {
                deployment: outcome.deployment.as_str(),
                verdict: outcome.verdict(),
                exit: exit as u8,
                counts: super::outcome::counts(outcome),
                taken_back: outcome.took_back(),
            },
            Event::Matches(plan) => Self::Outcome {
                deployment: plan.deployment.as_str(),
                verdict: Verdict::Matches,
                exit: Exit::Success as u8,
                counts: counts(plan),
                taken_back: None,
            },
            Event::Problem(problem) => Self::Problem { code: problem.kind.code(), message: problem.kind.to_string() },
        }
    }

    fn step(step: usize, action: &Action, progress: Progress<'a>) -> Self {
        let (status, reason) = match progress {
            Progress::Staged => ("staged", None),
            Progress::Is(status) => (status.name(), status.reason()),
        };
        let (marker, address) = (action.marker(), action.address().to_string());
        Self::Step { step, marker, address, action: action.name(), status, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::outcome::Status;
    use crate::diag::Kind;
    use crate::plan::samples;

    #[test]
    fn lines() {
        let plan = samples::offline();
        let failed = Status::Failed("no such device".to_owned());
        let outcome = Outcome { deployment: plan.deployment.clone(), taken_back: None, steps: Vec::new() };
        let problem = Problem::new(Kind::UnknownVersion { found: "2\n".to_owned() });
        let events = [
            Event::Start(&plan),
            Event::Step(&plan, 1, Progress::Staged),
            Event::Step(&plan, 0, Progress::Is(&Status::Done)),
            Event::Step(&plan, 3, Progress::Is(&failed)),
            Event::Outcome(&outcome, Exit::Broken),
            Event::Matches(&plan),
            Event::Problem(&problem),
        ];
        let lines = events.into_iter().zip(0..).map(|(event, seq)| line(event, seq, 1_700_000_000_123 + seq));
        let text: String = lines.collect();
        assert_eq!(text.lines().count(), events.len());
        insta::assert_snapshot!(text);
        assert!(line(events[0], 0, u64::MAX).contains("9999-12-31"));
    }

    #[test]
    fn every_status_is_known() {
        let text = || "why".to_owned();
        let all = [Status::Done, Status::Reused, Status::Undone, Status::Failed(text())];
        let all = all.into_iter().chain([Status::CouldNotUndo(text()), Status::HalfDone(text())]);
        let known: Vec<_> = STATUSES[1..].to_vec();
        assert!(all.map(|status| status.name()).all(|name| known.contains(&name)));
    }
}
