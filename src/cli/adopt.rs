//! `adopt`: makes a new record of a deployment that lost its own.

use super::arguments::Change;
use super::console::Console;
use super::finish::finish;
use super::loaded::{self, Loaded};
use super::now;
use super::planned::{Resolved, desired_live};
use crate::apply::Stamp;
use crate::confirm;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, linux::Linux, observe, status};
use crate::names::PinPath;
use crate::observed::Wanted;
use crate::plan;
use crate::report::text::Purpose;
use std::path::Path;

/// Adopts a deployment, or shows what that would do.
pub fn run(change: &Change, console: &Console) -> Result<Exit, Exit> {
    let path = Path::new(&change.target.deployment);
    let loaded = path.is_file().then(|| loaded::load(path, &change.target.variables, console)).transpose()?;
    let pin_root = match &loaded {
        Some(loaded) => loaded.manifest.pin_root.clone(),
        None => change.target.pin_root(console)?,
    };
    adopt(&mut Linux::new(), &pin_root, loaded.as_ref(), change, console)
        .map_err(|problems| console.fail(&problems, loaded.as_ref().map(Loaded::source).as_ref()))
}

fn adopt<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    loaded: Option<&Loaded>,
    change: &Change,
    console: &Console,
) -> Result<Exit, Problems> {
    let _lock = change.locking.take_unless(change.dry_run, kernel, pin_root)?;
    let Some(lost) = status::lost_record(kernel, pin_root)? else {
        let nothing = format!("{}: nothing to adopt: its record is there", pin_root.file_name());
        super::status::say(kernel, pin_root, &nothing, console)?;
        return Ok(Exit::Success);
    };
    // Without a manifest nobody knows what is to be recorded.
    let loaded = loaded.ok_or(lost)?;
    // Nobody can go back without a record: who goes on says first that all is well.
    if let Some(pending) = confirm::pending(kernel, pin_root)?.filter(|_| !change.dry_run) {
        let (pin_root, left) = (pin_root.clone(), pending.left(kernel));
        return Err(Problem::new(Kind::Unconfirmed { pin_root, left }).into());
    }
    let Resolved { desired, .. } = desired_live(kernel, loaded)?;
    let observed = observe::observe(kernel, &Wanted { adopts: true, ..Wanted::of(&desired) })?;
    let plan = plan::adopt(&desired, &observed)?;
    if change.dry_run {
        console.plan(&plan, Some(loaded), Purpose::DryRun);
        return Ok(Exit::Success);
    }
    let stamp = Stamp { manifest: loaded.absolute_path(), time: now(), ..Stamp::default() };
    finish(kernel, &plan, Some(loaded), &stamp, console)
}
