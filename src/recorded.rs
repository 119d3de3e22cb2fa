//! Plans that need none of a deployment's files, only what is recorded on the host: to take it away, and to go back.

use crate::apply::Stamp;
use crate::diag::{Kind, Problem, Problems};
use crate::kernel::{Kernel, observe};
use crate::names::PinPath;
use crate::observed::{Observed, Root, Wanted};
use crate::plan::{self, By, Plan};
use crate::record::Record;
use std::collections::{BTreeMap, BTreeSet};

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

/// Plans to return to a generation, with its record and where it is now. An interrupted run may have left it where it ran:
/// who applies the plan puts it at its place first, and so it is seen there already.
fn return_to<K: Kernel>(
    (before, now): (Record, PinPath),
    kernel: &K,
    pin_root: &PinPath,
    by: By,
) -> Result<(Plan, Stamp), Problems> {
    let (wanted, then) = (Wanted::before(&before, pin_root), pin_root.previous());
    let there =
        |paths: BTreeSet<PinPath>| paths.into_iter().map(|path| path.moved(&then, &now).unwrap_or(path)).collect();
    let wanted = Wanted {
        pins: there(wanted.pins),
        permissions: there(wanted.permissions),
        directories: there(wanted.directories),
        contents: there(wanted.contents),
        kept: there(wanted.kept),
        ..wanted
    };
    let observed = observe::observe(kernel, &wanted)?;
    let observed = Observed {
        pins: moved(observed.pins, &now, &then),
        permissions: moved(observed.permissions, &now, &then),
        directories: moved(observed.directories, &now, &then),
        contents: moved(observed.contents, &now, &then),
        kept: moved(observed.kept, &now, &then),
        ..observed
    };
    let plan = plan::rollback(&before, &observed, pin_root, by).map_err(without_places)?;
    let stamp = Stamp { manifest: before.manifest, inputs: before.inputs, ..Stamp::default() };
    Ok((plan, stamp))
}

/// Returns what is known of paths as if what is below `from` were below `to`.
fn moved<T>(known: BTreeMap<PinPath, T>, from: &PinPath, to: &PinPath) -> BTreeMap<PinPath, T> {
    known.into_iter().map(|(path, it)| (path.moved(from, to).unwrap_or(path), it)).collect()
}

/// Takes the places out of problems: what is recorded has none in a manifest.
fn without_places(mut problems: Problems) -> Problems {
    problems.0.iter_mut().for_each(|problem| problem.labels.clear());
    problems
}
