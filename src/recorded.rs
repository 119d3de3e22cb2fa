//! Plans that need none of a deployment's files, only what is recorded on the host: to take it away, and to go back.

use crate::apply::Stamp;
use crate::diag::{Kind, Problem, Problems};
use crate::kernel::{Kernel, observe};
use crate::names::PinPath;
use crate::observed::{Root, Wanted};
use crate::plan::{self, By, Plan};
use crate::record::Record;
use std::collections::BTreeSet;

/// Plans to take a deployment away, with what interrupted runs left of it.
pub fn destroy<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Plan, Problems> {
    end(kernel, pin_root, By::Hand)
}

fn end<K: Kernel>(kernel: &K, pin_root: &PinPath, by: By) -> Result<Plan, Problems> {
    // Nothing stays.
    let wanted = Wanted { returning: Some(BTreeSet::new()), ..Wanted::recorded(pin_root) };
    let mut observed = observe::observe(kernel, &wanted)?;
    let record = observed.record.take();
    if record.is_none() && observed.leftovers.is_empty() && !matches!(observed.root, Root::Generation(_)) {
        return Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() }).into());
    }
    plan::destroy(record.as_ref(), &observed, pin_root, by)
}

/// Plans to return to the generation before. The stamp says what that one was made from; the time is the caller's.
pub fn rollback<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(Plan, Stamp), Problems> {
    return_to(observe::previous_record(kernel, pin_root)?, kernel, pin_root, By::Hand)
}

/// Plans to take the last apply back: to the generation before, or to nothing where there never was one.
pub fn way_back<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(Plan, Stamp), Problems> {
    match observe::previous_record(kernel, pin_root) {
        Ok(before) => return_to(before, kernel, pin_root, By::Itself),
        Err(problem) if matches!(*problem.kind, Kind::NoWayBack { .. }) && is_first(kernel, pin_root)? => {
            Ok((end(kernel, pin_root, By::Itself)?, Stamp::default()))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// Returns whether no generation ran before the one that runs.
fn is_first<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<bool, Problem> {
    Ok(match observe::rest(kernel, pin_root)?.root {
        Root::Generation(current) => current == pin_root.generation(1),
        Root::Missing | Root::Foreign => true,
    })
}

fn return_to<K: Kernel>(before: Record, kernel: &K, pin_root: &PinPath, by: By) -> Result<(Plan, Stamp), Problems> {
    let observed = observe::observe(kernel, &Wanted::before(&before, pin_root))?;
    let plan = plan::rollback(&before, &observed, pin_root, by).map_err(without_places)?;
    let stamp = Stamp { manifest: before.manifest, inputs: before.inputs, ..Stamp::default() };
    Ok((plan, stamp))
}

/// Takes the places out of problems: what is recorded has none in a manifest.
fn without_places(mut problems: Problems) -> Problems {
    problems.0.iter_mut().for_each(|problem| problem.labels.clear());
    problems
}
