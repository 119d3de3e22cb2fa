//! `rollback`: returns to the generation before the last apply, without its files.

use super::arguments::{Allow, Locking, Target, consents};
use super::console::{Console, note};
use super::finish::finish;
use super::now;
use super::others;
use crate::apply::{self, Stamp};
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, status};
use crate::names::PinPath;
use crate::plan::Plan;
use crate::recorded;
use crate::report::text::Purpose;
use clap::Args;

#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    target: Target,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
    /// Return to the generation before also where it was taken back, because its checks failed or nobody confirmed it
    #[arg(long)]
    again: bool,
    /// Consent to what a bare rollback does not do
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    allow: Vec<Allow>,
    #[command(flatten)]
    locking: Locking,
}

/// Rolls a deployment back, or shows what that would do.
pub fn run(options: &Rollback, console: &Console) -> Result<Exit, Exit> {
    options.target.visit(console, |kernel, pin_root| rollback(kernel, pin_root, options, console))
}

fn rollback<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    options: &Rollback,
    console: &Console,
) -> Result<Exit, Problems> {
    let _lock = options.locking.take_unless(options.dry_run, kernel, pin_root)?;
    status::exists(kernel, pin_root)?;
    match options.dry_run {
        true => others::tell(kernel, pin_root),
        false => apply::finish_switch(kernel, pin_root)?,
    }
    let (mut plan, stamp) = recorded::rollback(kernel, pin_root)?;
    plan.given = consents(&options.allow);
    let rejected = plan.generations.record.as_ref().and_then(|record| record.rejected).filter(|_| !options.again);
    if options.dry_run {
        console.plan(&plan, None, Purpose::DryRun);
        if let Some(rejected) = rejected {
            note(&format!("{}: this would return to {rejected}: it takes `--again`", plan.deployment));
        }
        return Ok(Exit::Success);
    }
    if let Some(rejected) = rejected {
        return Err(Problem::new(Kind::WasRejected { deployment: plan.deployment, rejected }).into());
    }
    consented(&plan, console)?;
    finish(kernel, &plan, None, &Stamp { time: now(), ..stamp }, console)
}

/// Checks that everything is allowed that a plan needs consent for; else shows the plan.
fn consented(plan: &Plan, console: &Console) -> Result<(), Problems> {
    let needs = plan.lacks();
    if needs.is_empty() {
        return Ok(());
    }
    console.plan(plan, None, Purpose::Apply);
    Err(Problem::new(Kind::ConsentNeeded { needs, sweep: plan.sweep }).into())
}
