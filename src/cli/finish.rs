//! The end of each change: does what the plan says, reads it back, and says how it went.

use super::console::Console;
use super::loaded::Loaded;
use crate::apply::{self, Applied, Progress, Stamp, Watch};
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, drift};
use crate::names::PinPath;
use crate::plan::Plan;
use crate::record::Record;
use crate::report::events::Event;
use std::mem::ManuallyDrop;

/// Applies a plan, reads back what became of it, and says so.
pub fn finish<K: Kernel>(
    kernel: &mut K,
    plan: &Plan,
    loaded: Option<&Loaded>,
    stamp: &Stamp,
    console: &Console,
) -> Result<Exit, Problems> {
    if plan.is_empty() {
        console.matches(plan, loaded);
        console.event(Event::Matches(plan));
        return Ok(Exit::Success);
    }
    console.picture(plan);
    console.event(Event::Start(plan));
    let watch = |number: usize, progress: Progress<'_>| console.event(Event::Step(plan, number, progress));
    let watch: Option<Watch<'_>> = if console.has_events() { Some(&watch) } else { None };
    let Applied { outcome, problem, record, held } = apply::apply_watched(kernel, plan, stamp, watch);
    // The process ends when it has said how it went.
    let (_held, record) = (ManuallyDrop::new(held), ManuallyDrop::new(record));
    console.outcome(&outcome);
    let exit = match problem {
        // The exit code is the outcome's where the host changed, else that of what went wrong.
        Some(problem) => {
            let exit = console.fail(&problem.into(), loaded.map(Loaded::source).as_ref());
            if outcome.exit() == Exit::Broken { Exit::Broken } else { exit }
        }
        // Everything is done by now, so whatever reading it back meets, the host is not as before.
        None => verify(kernel, plan, Option::as_ref(&record)).map_or_else(
            |problems| {
                console.fail(&problems, loaded.map(Loaded::source).as_ref());
                Exit::Broken
            },
            |()| Exit::Success,
        ),
    };
    console.event(Event::Outcome(&outcome, exit));
    Ok(exit)
}

/// Reads back what is on the host: what the record says, or nothing of the deployment.
fn verify<K: Kernel>(kernel: &K, plan: &Plan, record: Option<&Record>) -> Result<(), Problems> {
    let pin_root = &plan.pin_root;
    let differs: Vec<String> = match record {
        Some(record) => {
            let differs = differences(kernel, record, pin_root)?.into_iter();
            differs.chain(apply::entries::unwritten(kernel, plan)?).collect()
        }
        None if kernel.read_symlink(pin_root).is_ok() => vec![format!("{pin_root} is still there")],
        None => Vec::new(),
    };
    match differs.is_empty() {
        true => Ok(()),
        false => Err(Problem::new(Kind::Unverified { differs }).into()),
    }
}

/// Returns what on the host is not as a record says. What comes meanwhile is for the next apply.
pub fn differences<K: Kernel>(kernel: &K, record: &Record, pin_root: &PinPath) -> Result<Vec<String>, Problem> {
    let drift = drift::drift(kernel, record, pin_root)?.into_iter();
    let drift = drift.filter(|drift| !matches!(drift.what, drift::Difference::Came(_)));
    Ok(drift.map(|drift| drift.to_string()).collect())
}
