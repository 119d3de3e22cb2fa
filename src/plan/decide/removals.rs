//! What goes away: what the record shows as ours and nothing wants any more, and the folders that are empty then.

use super::{PASSING, runs_ours};
use crate::desired::Desired;
use crate::names::{LinkName, MapName, PinPath, ProgramName};
use crate::observed::{Entry, Observed, Pinned};
use crate::plan::{Action, Because, Consent, State, Step, Traffic};
use crate::record::Record;
use std::borrow::Borrow;
use std::collections::BTreeSet;

/// Takes away what the record shows as ours and the manifest does not name any more.
pub(super) fn removals(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let Some(record) = &observed.record else { return Vec::new() };
    let pins = desired.maps.values().filter_map(|map| map.pin());
    let pins = pins.chain(desired.programs.values().map(|program| &program.pin));
    let pins: Vec<&PinPath> = pins.chain(desired.links.values().map(|link| &link.pin)).collect();
    let kept = pins.iter().map(|pin| pin.as_str()).collect();
    let mut steps = take_away(record, observed, &kept, Because::NotWanted);
    for step in &mut steps {
        // Of a table that stays, a link that is on nothing any more went by itself.
        let went = matches!(&step.action, Action::Detach { link, .. } if desired.templates.contains_key(link.table()));
        // Of a table that is there only what its link is on can lack.
        if let Action::Detach { link, .. } = &step.action
            && (went || desired.absent.iter().any(|absent| absent.name == *link))
        {
            step.because = Because::HookGone { detached: false };
        }
        step.needs = (!went || step.traffic != Traffic::None).then_some(Consent::Prune);
    }
    steps.extend(folders_without_pins(record, observed, &pins, &steps, Because::NotWanted));
    steps
}

/// Lists the folders outside of the deployment's own that we made, and that are empty after `steps`: no pin of `pins` is
/// in them.
pub(super) fn folders_without_pins<P: Borrow<PinPath>>(
    record: &Record,
    observed: &Observed,
    pins: &[P],
    steps: &[Step],
    because: Because,
) -> Vec<Step> {
    let gone: BTreeSet<PinPath> = steps.iter().filter_map(|step| step.action.removed_pin().cloned()).collect();
    let needed = |path: &PinPath| pins.iter().any(|pin| pin.borrow().is_below(path));
    empty_folders(made_folders(record, observed).filter(|(path, _)| !needed(path)), &gone, because)
}

pub(super) fn removal(action: Action, because: Because) -> Step {
    let traffic = if matches!(action, Action::Detach { .. }) { Traffic::Stops } else { Traffic::None };
    Step { action, because, span: None, traffic, state: State::None, needs: None }
}

/// Lists removals of what the record has beyond `kept`: links first, then programs, then maps.
///
/// A pin that is gone, or that is another one than the one we made, is left alone, unless what it is tells that it is
/// ours.
pub(super) fn take_away(record: &Record, observed: &Observed, kept: &BTreeSet<&str>, because: Because) -> Vec<Step> {
    let mut steps = Vec::new();
    let wanted = |pin: &str| match PinPath::new(pin) {
        Ok(path) if !kept.contains(pin) => observed.pins.get(&path).map(|pinned| (path, pinned)),
        Ok(_) | Err(_) => None,
    };
    for (name, link) in &record.links {
        if let (Some((pin, Pinned::Link(found))), Some(name)) = (wanted(&link.pin), LinkName::recorded(name))
            && (observed.inode(&pin) == Some(link.inode) || runs_ours(observed, found))
        {
            let action = Action::Detach { link: name, pin, id: found.id, hook: link.hook.to_string() };
            let mut step = removal(action, because.clone());
            if !found.is_attached {
                step.traffic = Traffic::None;
            }
            steps.push(step);
        }
    }
    for (name, program) in &record.programs {
        if let (Some((pin, Pinned::Program(found))), Some(name)) = (wanted(&program.pin), ProgramName::recorded(name))
            && (observed.inode(&pin) == Some(program.inode) || found.fingerprints.contains_key(name.as_str()))
        {
            let action = Action::RemoveProgram { program: name, pin, id: found.info.id };
            steps.push(removal(action, because.clone()));
        }
    }
    for (name, map) in record.maps.iter().filter(|(_, map)| map.created) {
        let pinned = map.pin.as_deref().and_then(wanted);
        if let (Some((pin, Pinned::Map(found))), Some(name)) = (pinned, MapName::recorded(name))
            && observed.inode(&pin) == Some(map.inode)
        {
            let used_by = observed.users.get(&pin).cloned().unwrap_or_default();
            let (id, held) = (found.info.id, found.held());
            let action = Action::RemoveMap { map: name, pin, id, used_by, is_empty: held == Some(0) };
            let is_nothing = found.frozen_value.is_some() || PASSING.contains(&found.info.map_type) || held == Some(0);
            let state = if is_nothing { State::None } else { State::Lost(held) };
            steps.push(Step { state, ..removal(action, because.clone()) });
        }
    }
    steps
}

/// Returns the folders outside of the deployment's own that are there and that we made, with what is in them.
pub(super) fn made_folders<'a>(
    record: &Record,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a PinPath, &'a Vec<Entry>)> {
    let made: BTreeSet<&str> = record.directories.iter().map(String::as_str).collect();
    observed.directories.iter().filter(move |(path, _)| made.contains(path.as_str()))
}

/// Lists the folders that are empty once the pins `gone` are, the inner ones first.
pub(super) fn empty_folders<'a>(
    folders: impl Iterator<Item = (&'a PinPath, &'a Vec<Entry>)>,
    gone: &BTreeSet<PinPath>,
    because: Because,
) -> Vec<Step> {
    let mut gone = gone.clone();
    let mut folders: Vec<_> = folders.collect();
    folders.sort_by_key(|(path, _)| std::cmp::Reverse(path.as_str().matches('/').count()));
    let mut steps = Vec::new();
    for (path, names) in folders {
        if names.iter().all(|entry| gone.contains(&path.child(&entry.name))) {
            gone.insert(path.clone());
            let action = Action::RemoveDirectory { path: path.clone() };
            steps.push(removal(action, because.clone()));
        }
    }
    steps
}
