//! Finds deployments on this host, and says how each of them fares. It reads, and waits for nobody.

use super::observe::{READ, Rest, bpffs_of, existing, is_kept, refused, rest, walk};
use super::{EntryKind, Kernel, contents, drift};
use crate::confirm;
use crate::diag::{Kind, LockHolder, Problem, Problems};
use crate::names::PinPath;
use crate::observed::Root;
use crate::record::Record;
use crate::report::status::{Deployment, Deployments, Drifted, Made, State, Trouble};
use std::collections::BTreeSet;

/// Says how a deployment fares, or unless one is asked for all of those below a bpffs. What keeps one from being read is
/// no reason to be silent about others, nor about that one: its problem is in both parts of the answer.
pub fn all<K: Kernel>(
    kernel: &K,
    asked: Option<&PinPath>,
    bpffs: &PinPath,
) -> Result<(Deployments, Problems), Problem> {
    let pin_roots = match asked {
        Some(pin_root) => BTreeSet::from([pin_root.clone()]),
        None => deployments(kernel, bpffs)?,
    };
    let (mut found, mut problems) = (Vec::new(), Problems::default());
    for pin_root in &pin_roots {
        match status(kernel, pin_root) {
            Ok(deployment) => found.extend(deployment),
            Err(problem) => {
                found.push(unreadable(pin_root, &problem));
                problems.push(problem);
            }
        }
    }
    match asked {
        Some(pin_root) if found.is_empty() => Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() })),
        Some(_) => Ok((Deployments { found, unmounted: None }, problems)),
        None => Ok((Deployments { found, unmounted: unmounted(kernel, bpffs)? }, problems)),
    }
}

/// Returns the folder where a bpffs should be and none is, as after a boot at which nobody mounted it.
fn unmounted<K: Kernel>(kernel: &K, bpffs: &PinPath) -> Result<Option<PinPath>, Problem> {
    let is_one = existing(kernel.is_bpffs(bpffs));
    let is_one = is_one.map_err(|error| refused(format!("look at `{bpffs}`"), &error, READ))?;
    Ok((is_one != Some(true)).then(|| bpffs.clone()))
}

/// Says of a deployment that nothing can be said of it.
fn unreadable(pin_root: &PinPath, problem: &Problem) -> Deployment {
    let found = Deployment::new(pin_root.file_name(), pin_root.clone(), State::Unreadable);
    Deployment { problem: Some(trouble_of(problem)), ..found }
}

fn trouble_of(problem: &Problem) -> Trouble {
    Trouble { words: problem.kind.to_string(), help: problem.kind.help() }
}

/// Returns the folders of the pins of every deployment below a bpffs: those with a generation that runs, and those of
/// which only the rest of an interrupted run is there.
pub fn deployments<K: Kernel>(kernel: &K, bpffs: &PinPath) -> Result<BTreeSet<PinPath>, Problem> {
    let doing = |error| refused(format!("read the folder `{bpffs}`"), &error, READ);
    let mut found = BTreeSet::new();
    for (path, entry) in walk(kernel, bpffs).map_err(doing)? {
        let pin_root = match entry.kind {
            EntryKind::Pin => None,
            EntryKind::Folder => generation_of(&path),
            EntryKind::Symlink => {
                let target = existing(kernel.read_symlink(&path)).map_err(doing)?;
                let target = target.zip(path.parent()).map(|(target, folder)| folder.child(&target));
                target.and_then(|target| target.generation_number(&path)).map(|_| path)
            }
        };
        found.extend(pin_root);
    }
    Ok(found)
}

/// Returns the folder of the pins of which a folder is a generation, by its name, that no other folder of ours has.
fn generation_of(folder: &PinPath) -> Option<PinPath> {
    let (root, _) = folder.as_str().rsplit_once('~')?;
    let root = PinPath::new(root).ok()?;
    (*folder == root.previous() || folder.generation_number(&root).is_some()).then_some(root)
}

/// Says how a deployment fares; `None` when there is nothing of it.
///
/// What a run does meanwhile is no drift, so whoever has the lock is asked for before and after it was read.
pub fn status<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<Deployment>, Problem> {
    let before = at_work(kernel, pin_root);
    let found = settled_status(kernel, pin_root)?;
    Ok(found.map(|found| match found.state {
        State::Drifted | State::LeftOver => match before.or_else(|| at_work(kernel, pin_root)) {
            Some(holder) => Deployment { state: State::Changing, at_work: Some(holder), ..found },
            None => found,
        },
        // Its checks may be under way.
        State::Unconfirmed => Deployment { at_work: before, ..found },
        State::InSync | State::Changing | State::NoRecord | State::Unreadable => found,
    }))
}

/// Returns who else has the lock of a deployment's bpffs. Who cannot be asked about is nobody.
pub fn at_work<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Option<LockHolder> {
    at_work_on(kernel, &bpffs_of(kernel, pin_root, &pin_root.parent()?).ok()?)
}

/// Returns who else has the lock of a bpffs.
pub fn at_work_on<K: Kernel>(kernel: &K, bpffs: &PinPath) -> Option<LockHolder> {
    kernel.lock_holder(bpffs).ok()?.filter(|holder| holder.pid != std::process::id())
}

/// The same where no run is at work.
fn settled_status<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<Deployment>, Problem> {
    let Rest { root, leftovers, record } = rest(kernel, pin_root)?;
    let current = match &root {
        Root::Generation(folder) => Some(folder),
        Root::Missing | Root::Foreign if leftovers.is_empty() => return Ok(None),
        Root::Missing | Root::Foreign => None,
    };
    let (record, trouble) = match (current, record) {
        (None, _) => (None, root.gone(&leftovers, pin_root)),
        (Some(_), Ok(Some(record))) => (Some(record), None),
        (Some(_), Ok(None)) => (None, Some(Problem::new(Kind::RecordLost { pin: pin_root.join("record") }))),
        (Some(_), Err(problem)) if matches!(*problem.kind, Kind::Record { .. }) => (None, Some(problem)),
        (Some(_), Err(problem)) => return Err(problem),
    };
    let found = match &record {
        Some(record) => [drift::deep_drift(kernel, record, pin_root)?, contents::drift(kernel, record)?].concat(),
        None => Vec::new(),
    };
    let pending = confirm::pending(kernel, pin_root)?;
    let unconfirmed = pending.map(|pending| pending.left(kernel));
    let left = leftovers.iter().find_map(|leftover| leftover.record.as_ref());
    let name = record.as_ref().or(left).map_or(pin_root.file_name(), |record| &record.deployment);
    Ok(Some(Deployment {
        deployment: name.to_owned(),
        pin_root: pin_root.clone(),
        state: match (&trouble, found.is_empty(), leftovers.is_empty()) {
            (Some(_), ..) if current.is_some() => State::NoRecord,
            (_, false, _) => State::Drifted,
            (_, true, false) => State::LeftOver,
            (_, true, true) if unconfirmed.is_some() => State::Unconfirmed,
            (_, true, true) => State::InSync,
        },
        generation: current.and_then(|folder| folder.generation_number(pin_root)),
        made: record.as_ref().map(made),
        previous: current.is_some() && has_previous(kernel, pin_root)?,
        rejected: record.as_ref().and_then(|record| record.rejected),
        unconfirmed,
        watched: pending.is_some_and(|pending| pending.is_watched(kernel, pin_root)),
        at_work: None,
        drift: found.into_iter().map(drifted).collect(),
        leftovers: leftovers.into_iter().map(|leftover| leftover.path).collect(),
        problem: trouble.as_ref().map(trouble_of),
    }))
}

/// Checks that there is something of a deployment.
pub fn exists<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(), Problem> {
    match rest(kernel, pin_root)? {
        Rest { root: Root::Missing | Root::Foreign, leftovers, .. } if leftovers.is_empty() => {
            Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() }))
        }
        Rest { .. } => Ok(()),
    }
}

/// Returns what is wrong with the record of a deployment of which a new one can be made; `None` when nothing is.
pub fn lost_record<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<Problem>, Problem> {
    let pin_root = pin_root.clone();
    match rest(kernel, &pin_root)? {
        Rest { root: Root::Missing | Root::Foreign, .. } => Err(Problem::new(Kind::NoDeployment { pin_root })),
        Rest { record: Ok(Some(_)), .. } => Ok(None),
        Rest { record: Ok(None), .. } => Ok(Some(Problem::new(Kind::RecordLost { pin: pin_root.join("record") }))),
        Rest { record: Err(problem), .. } if is_kept(&problem) => Err(problem),
        Rest { record: Err(problem), .. } => Ok(Some(problem)),
    }
}

fn made(record: &Record) -> Made {
    Made {
        time: record.time,
        manifest: record.manifest.clone(),
        version: record.version.clone(),
        maps: record.maps.len(),
        programs: record.programs.len(),
        links: record.links.len(),
    }
}

fn drifted(drift: drift::Drift) -> Drifted {
    Drifted { kind: drift.what.kind(), words: drift.what.to_string(), address: drift.address }
}

/// Returns whether there is a generation to go back to.
fn has_previous<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<bool, Problem> {
    let previous = pin_root.previous();
    let listed = existing(kernel.list(&previous));
    let listed = listed.map_err(|error| refused(format!("read the folder `{previous}`"), &error, READ))?;
    Ok(listed.is_some_and(|entries| entries.iter().any(|entry| entry.name == "record")))
}
