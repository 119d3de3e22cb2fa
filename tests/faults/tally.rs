//! How promises are broken, and how often.

use crate::strace::{Call, Fault};
use std::collections::BTreeMap;

/// How a promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// It says that all is well, and the host is not as planned.
    HalfDone,
    /// It failed and says that the host is as before, and it is not.
    NotAsBefore,
    /// The same, but only the inodes differ: pins were made anew, and lost what mode and owner they had.
    PinsMadeAnew,
    /// Exit code 3, and something that is different is not named, or nothing is different.
    Untruthful,
    /// It ended in a way that is none of those that are promised.
    ExitCode,
    /// The same run without a fault fails.
    NoWayOn,
    /// It did not make the host match.
    NotConverged,
    /// It did, and something is there that is not there without a fault, or lacks.
    OtherShape,
    /// `destroy` fails.
    NoWayBack,
    /// `destroy` leaves something.
    Leftover,
}

/// A broken promise, and what was seen.
pub type Breach = (Broken, String);

/// What a case is: the run and its fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// The call that meets the fault.
    pub call: Call,
    /// The fault.
    pub fault: Fault,
}

/// What became of all cases.
#[derive(Debug, Default)]
pub struct Tally {
    /// How runs ended by scenario, call and fault: how many cases, how many of them with a breach.
    cases: BTreeMap<(&'static str, String, Fault), (usize, usize)>,
    /// How many runs that kept all promises had which exit code.
    codes: BTreeMap<Option<i32>, usize>,
    breaches: BTreeMap<(&'static str, Broken), Vec<String>>,
}

impl Tally {
    /// Notes how a case ended: with its exit code, none when it was killed, or with a breach. `what` names the case.
    pub fn add(&mut self, what: &Cause, end: Result<Option<i32>, Breach>) {
        let (cases, broken) = self.cases.entry((what.scenario, what.call.name.clone(), what.fault)).or_default();
        *cases += 1;
        match end {
            Ok(code) => *self.codes.entry(code).or_default() += 1,
            Err((kind, seen)) => {
                *broken += 1;
                let all = self.breaches.entry((what.scenario, kind)).or_default();
                all.push(format!("{}, {}, {}: {seen}", what.scenario, what.call, what.fault));
            }
        }
    }

    /// Writes the counts.
    pub fn print(&self) {
        for ((scenario, call, fault), (cases, broken)) in &self.cases {
            eprintln!("{scenario:<28} {call:<11} {:<8} {cases:>4} cases, {broken:>4} broken", fault.to_string());
        }
        for (code, count) in &self.codes {
            let end = code.map_or("killed".to_owned(), |code| format!("exit {code}"));
            eprintln!("{count:>5} good cases: {end}");
        }
        for ((scenario, kind), all) in &self.breaches {
            eprintln!("{:>5} broken, {scenario}: {kind:?}", all.len());
        }
        let (cases, broken) = self.cases.values().fold((0, 0), |sum, (all, bad)| (sum.0 + all, sum.1 + bad));
        eprintln!("{cases} cases, {broken} broken");
    }

    /// Panics when a promise was broken; shows the first cases of each kind.
    #[track_caller]
    pub fn check(&self) {
        let examples: Vec<String> = self
            .breaches
            .iter()
            .map(|((scenario, kind), all)| {
                format!("{} times {kind:?} in {scenario}, such as\n{}", all.len(), all[..all.len().min(2)].join("\n"))
            })
            .collect();
        assert!(examples.is_empty(), "{}", examples.join("\n\n"));
    }
}
