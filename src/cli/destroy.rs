//! `destroy`: takes everything away that a deployment made.

use super::arguments::Change;
use super::console::Console;
use super::finish::finish;
use super::others;
use crate::apply::Stamp;
use crate::diag::{Exit, Problems};
use crate::kernel::Kernel;
use crate::names::PinPath;
use crate::recorded;
use crate::report::text::Purpose;

/// Destroys a deployment, or shows what that would do.
pub fn run(change: &Change, console: &Console) -> Result<Exit, Exit> {
    change.target.visit(console, |kernel, pin_root| destroy(kernel, pin_root, change, console))
}

fn destroy<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    change: &Change,
    console: &Console,
) -> Result<Exit, Problems> {
    let _lock = change.locking.take_unless(change.dry_run, kernel, pin_root)?;
    if change.dry_run {
        others::tell(kernel, pin_root);
    }
    let plan = recorded::destroy(kernel, pin_root)?;
    if change.dry_run {
        console.plan(&plan, None, Purpose::DryRun);
        return Ok(Exit::Success);
    }
    finish(kernel, &plan, None, &Stamp::default(), console)
}
