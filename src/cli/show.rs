//! `show`: what a deployment has.

use super::arguments::Target;
use super::console::Console;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, observe, shown};
use crate::names::PinPath;
use crate::observed::{Observed, Root, Wanted};
use crate::record::Record;
use crate::report;

/// Shows a deployment.
pub fn run(target: &Target, console: &Console) -> Result<Exit, Exit> {
    target.visit(console, |kernel, pin_root| {
        let (record, observed) = recorded(kernel, pin_root)?;
        let shown = shown::shown(kernel, pin_root, &record, &observed)?;
        console.show(|style| report::show::text(&shown, style), || report::show::json(&shown));
        Ok(Exit::Success)
    })
}

/// Reads the record of a deployment, and everything that it names.
fn recorded<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(Record, Observed), Problems> {
    let mut observed = observe::observe(kernel, &Wanted::recorded(pin_root))?;
    match observed.record.take() {
        Some(record) => Ok((record, observed)),
        None if matches!(observed.root, Root::Generation(_)) => {
            Err(Problem::new(Kind::RecordLost { pin: pin_root.join("record") }).into())
        }
        None => Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() }).into()),
    }
}
