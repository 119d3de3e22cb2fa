//! Packet tests: what a manifest says that its programs make of packets, and whether they do.
//!
//! A test runs on programs that are loaded for it alone, with maps of their own (`alone`): nothing that runs is touched,
//! and no test sees what another one left.
//! Everything that can be said before a program runs is said before the first one does (`prepare`).

mod alone;
mod input;
mod prepare;
mod replay;
mod run;

pub use input::{Input, Way, input};
pub use prepare::{Base, Loaded, Prepared, prepare, ready, shapes};
pub use replay::replay;
pub use run::run;

use crate::diag::{Exit, Problem};
use crate::kinds::ProgramType;
use crate::manifest::{Manifest, Test, Tests};
use crate::names::{MapName, ProgramName};
use crate::packet::Compared;

/// Which of the two texts a test is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The manifest.
    Manifest,
    /// The file of tests beside it.
    File,
}

/// A test with what it is of.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The program.
    pub program: &'a ProgramName,
    /// The test.
    pub test: &'a Test,
    /// Where it is written.
    pub place: Place,
}

impl Case<'_> {
    /// Returns what outputs call it.
    pub fn name(&self) -> String {
        format!("program.{}: {}", self.program, self.test.name)
    }
}

/// Lists the tests of a manifest and of the file beside it: program by program, those of the manifest first.
pub fn cases<'a>(manifest: &'a Manifest, beside: &'a Tests) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for (program, table) in &manifest.programs {
        let case = |place| move |test| Case { program, test, place };
        cases.extend(table.tests.iter().map(case(Place::Manifest)));
        cases.extend(beside.get(program).into_iter().flatten().map(case(Place::File)));
    }
    cases
}

/// How a test went.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The test.
    pub case: Case<'a>,
    /// Type of the program.
    pub program_type: ProgramType,
    /// The packet that it got, in one line.
    pub packet: String,
    /// What it returned; `None` when it did not run.
    pub ran: Option<Returned>,
    /// What is other than expected; empty when it passed.
    pub failures: Vec<Failure>,
}

impl Outcome<'_> {
    /// Returns whether everything is as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Returns the exit code that it means: that of what kept it from running, where something did.
    pub fn exit(&self) -> Exit {
        let exit = |failure: &Failure| match failure {
            Failure::NotRun(problem) => problem.kind.exit(),
            Failure::Verdict { .. }
            | Failure::Bytes { .. }
            | Failure::Field(_)
            | Failure::Context { .. }
            | Failure::Entry { .. } => Exit::Failed,
        };
        self.failures.iter().map(exit).max().unwrap_or(Exit::Success)
    }
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// What the program returned.
    pub verdict: u32,
    /// How long one run took.
    pub nanoseconds: u32,
}

/// One thing that is other than expected.
#[derive(Debug)]
pub enum Failure {
    /// The verdict.
    Verdict {
        /// As it should be.
        expected: u32,
        /// As it is.
        is: u32,
    },
    /// The bytes of the packet.
    Bytes {
        /// As they should be.
        expected: Vec<u8>,
        /// As they are.
        is: Vec<u8>,
    },
    /// A field of the packet.
    Field(Compared),
    /// Something beside the packet.
    Context {
        /// What.
        what: &'static str,
        /// As it should be.
        expected: u32,
        /// As it is.
        is: u32,
    },
    /// An entry of a map.
    Entry {
        /// The map.
        map: MapName,
        /// The key in words.
        key: String,
        /// The value as it should be; `None` for an entry that should not be there.
        expected: Option<String>,
        /// The value as it is; `None` for an entry that is not there.
        is: Option<String>,
    },
    /// It could not be run.
    NotRun(Problem),
}
