//! What became of each step of a plan. Plain data; `report::outcome` writes it.

use crate::diag::Exit;
use crate::migrate::Tally;
use crate::names::DeploymentName;
use crate::plan::{Action, Plan};
use crate::record::Rejected;
use std::borrow::Cow;

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is done.
    Done,
    /// There was nothing to change.
    Reused,
    /// It failed, for this reason, and left nothing behind.
    Failed(String),
    /// It was done, and taken back when a later one failed.
    Undone,
    /// It was done, a later one failed, and taking it back failed for this reason.
    CouldNotUndo(String),
    /// It was begun when there was no way back any more, and failed for this reason.
    HalfDone(String),
    /// An earlier one failed.
    NotReached,
}

impl Status {
    /// Returns the name of the status for programs: stable, in kebab case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Reused => "reused",
            Self::Failed(_) => "failed",
            Self::Undone => "undone",
            Self::CouldNotUndo(_) => "could-not-undo",
            Self::HalfDone(_) => "half-done",
            Self::NotReached => "not-reached",
        }
    }

    /// Returns why something failed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) | Self::CouldNotUndo(reason) | Self::HalfDone(reason) => Some(reason),
            Self::Done | Self::Reused | Self::Undone | Self::NotReached => None,
        }
    }
}

/// A step and what became of it.
#[derive(Debug, Clone)]
pub struct StepOutcome<'a> {
    /// What was to be done.
    pub action: Cow<'a, Action>,
    /// What became of it.
    pub status: Status,
    /// What became of the entries, where that is what it was about.
    pub tally: Option<Box<Tally>>,
}

impl StepOutcome<'_> {
    /// Returns whether anybody misses what it took away, or finds what it made: nobody does so of pins that an interrupted
    /// run left on no hook.
    fn is_felt(&self) -> bool {
        !matches!((&*self.action, &self.status), (Action::ClearLeftover { links: 0, .. }, Status::Done))
    }
}

/// What became of a plan.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The generation that it was to take back, where nobody asked for that.
    pub taken_back: Option<Rejected>,
    /// One for each step of the plan, in its order.
    pub steps: Vec<StepOutcome<'a>>,
}

/// The whole of it in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There was nothing to do.
    Matches,
    /// Everything is done.
    Applied,
    /// It failed, and everything is as it was before.
    FailedAsBefore,
    /// It failed, and something stays that was not there before, or is gone.
    FailedNotAsBefore,
}

impl<'a> Outcome<'a> {
    /// Returns what becomes of a plan with nothing to do.
    pub fn matches(plan: &'a Plan) -> Self {
        let reused = |action| StepOutcome { action: Cow::Borrowed(action), status: Status::Reused, tally: None };
        let steps = plan.steps.iter().map(|step| reused(&step.action)).collect();
        Self { deployment: plan.deployment.clone(), taken_back: None, steps }
    }

    /// Returns the whole of it in one word.
    pub fn verdict(&self) -> Verdict {
        let any = |holds: fn(&Status) -> bool| self.steps.iter().any(|step| holds(&step.status));
        let failed = any(|status| !matches!(status, Status::Done | Status::Reused));
        match (failed, self.left().next().is_some()) {
            (false, false) => Verdict::Matches,
            (false, true) => Verdict::Applied,
            (true, _) if self.left().any(StepOutcome::is_felt) => Verdict::FailedNotAsBefore,
            (true, _) => Verdict::FailedAsBefore,
        }
    }

    /// Returns the generation that was taken back, where nobody asked for that: none when that failed.
    pub fn took_back(&self) -> Option<Rejected> {
        self.taken_back.filter(|_| matches!(self.verdict(), Verdict::Matches | Verdict::Applied))
    }

    /// Returns the steps whose change is still on the host.
    pub fn left(&self) -> impl Iterator<Item = &StepOutcome<'a>> {
        self.steps
            .iter()
            .filter(|step| matches!(step.status, Status::Done | Status::CouldNotUndo(_) | Status::HalfDone(_)))
    }

    /// Returns the exit code that the outcome means.
    pub fn exit(&self) -> Exit {
        match self.verdict() {
            Verdict::Matches | Verdict::Applied => Exit::Success,
            Verdict::FailedAsBefore => Exit::Failed,
            Verdict::FailedNotAsBefore => Exit::Broken,
        }
    }
}
