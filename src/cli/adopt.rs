//! `adopt`: makes a new record of a deployment that lost its own.

use super::arguments::Change;
use super::console::Console;
use super::finish::finish;
use super::loaded::{self, Loaded};
use super::now;
use super::others;
use super::planned::{Resolved, desired_live};
use crate::apply::Stamp;
use crate::confirm;
use crate::desired::{Desired, MapSource};
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, linux::Linux, observe, status};
use crate::names::{Address, PinPath};
use crate::observed::Wanted;
use crate::plan::{self, Plan};
use crate::report::text::Purpose;
use std::collections::BTreeSet;
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
    if change.dry_run {
        others::tell(kernel, pin_root);
    }
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
    let exit = match change.dry_run {
        true => {
            console.plan(&plan, Some(loaded), Purpose::DryRun);
            Exit::Success
        }
        false => {
            let stamp = Stamp { manifest: loaded.absolute_path(), time: now(), ..Stamp::default() };
            finish(kernel, &plan, Some(loaded), &stamp, console)?
        }
    };
    let missing = missing(&desired, &plan);
    match exit {
        // A record without it is in sync, so nobody else would say it.
        Exit::Success if !missing.is_empty() => {
            Err(Problem::new(Kind::AdoptedInPart { missing, is_done: !change.dry_run }).into())
        }
        exit => Ok(exit),
    }
}

/// Names what the manifest wants and nobody finds.
fn missing(desired: &Desired, plan: &Plan) -> Vec<String> {
    let maps = desired.maps.values().filter(|map| matches!(map.source, MapSource::Defined(_)));
    let maps = maps.map(|map| Address::Map(map.name.clone()));
    let programs = desired.programs.keys().cloned().map(Address::Program);
    let wanted = maps.chain(programs).chain(desired.links.keys().cloned().map(Address::Link));
    let there: BTreeSet<Address> = plan.steps.iter().map(|step| step.action.address()).collect();
    wanted.filter(|address| !there.contains(address)).map(|address| address.to_string()).collect()
}
