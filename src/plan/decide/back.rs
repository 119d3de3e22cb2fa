//! The way back: everything goes, or the generation before returns.

use super::links::record_link;
use super::removals::{empty_folders, folders_without_pins, made_folders, removal, take_away};
use super::renames::renamed;
use super::{
    Fate, PASSING, Planner, as_pin, current, entries, generations, leftovers, next_number, number, restored_pins,
};
use crate::desired::{Desired, DesiredLink, Policy, sequences};
use crate::diag::{Kind, Problem, Problems};
use crate::names::{DeploymentName, LinkName, MapName, PinPath, ProgramName};
use crate::observed::{Live, Observed, ObservedMap, ObservedProgram, Pinned};
use crate::plan::id::Subject;
use crate::plan::places::Shared;
use crate::plan::{Action, Because, By, Consent, Generations, Mode, Plan, Restored, State, Step, Traffic};
use crate::plan::{access, guard};
use crate::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Removes everything that the record shows as ours, and what interrupted runs left.
///
/// The record goes first, and with it every pin in the deployment's folder: from then on nothing is half there, and
/// what an interruption leaves is cleared by the next run. What is protected stops a destroy by hand.
pub fn destroy(record: Option<&Record>, observed: &Observed, pin_root: &PinPath, by: By) -> Result<Plan, Problems> {
    let mut steps: Vec<Step> = leftovers(observed).map(for_good).collect();
    let record_pin = pin_root.join("record");
    if record.is_none() && current(observed).is_some() {
        return Err(Problem::new(Kind::RecordLost { pin: record_pin }).into());
    }
    if let Some(record) = record {
        steps.push(removal(Action::RemoveRecord { pin: record_pin }, Because::Destroy));
        steps.extend(take_away(record, observed, &BTreeSet::new(), Because::Destroy));
        let gone: BTreeSet<PinPath> = steps.iter().filter_map(|step| step.action.removed_pin().cloned()).collect();
        steps.extend(empty_folders(made_folders(record, observed), &gone, Because::Destroy));
    }
    let left = observed.leftovers.iter().find_map(|leftover| leftover.record.as_ref());
    let name = record.or(left).map_or(pin_root.file_name(), |record| &record.deployment);
    let bad_name = |why| Problem::new(Kind::BadName { text: name.to_owned(), why });
    let deployment = DeploymentName::new(name).map_err(bad_name)?;
    match by {
        By::Hand => guard::check_recorded(record, &steps).and(guard::check_left(observed))?,
        By::Itself => {}
    }
    let generations = Generations { record: record.cloned().map(Box::new), ..generations(observed, pin_root) };
    Ok(explicit(deployment, pin_root, observed, record, generations, steps))
}

/// Lets a step that clears keep nothing: nobody goes back to what is destroyed.
fn for_good(mut step: Step) -> Step {
    if let Action::ClearLeftover { kept, .. } = &mut step.action {
        *kept = false;
    }
    step
}

/// Makes the plan of an explicit command: nothing more needs to be said than what its steps need.
pub(in crate::plan) fn explicit(
    deployment: DeploymentName,
    pin_root: &PinPath,
    observed: &Observed,
    record: Option<&Record>,
    generations: Generations,
    steps: Vec<Step>,
) -> Plan {
    let subject =
        Subject { deployment: &deployment, pin_root, desired: None, observed, record, steps: &steps, sweep: None };
    Plan {
        id: subject.id(),
        deployment,
        pin_root: pin_root.clone(),
        mode: Mode::Live,
        generations,
        objects: BTreeMap::new(),
        allow: BTreeSet::new(),
        given: BTreeSet::new(),
        sweep: None,
        shared: Shared::default(),
        steps,
        verdicts: None,
        traffic: None,
        awaits_tests: false,
    }
}

/// Returns to the generation before: its programs and maps are there, and its links are made anew where they are gone.
///
/// `observed` has what [`crate::observed::Wanted::before`] asks for. What is protected stops a rollback by hand, and none
/// that nobody asked for: what ran before has to return then.
pub fn rollback(before: &Record, observed: &Observed, pin_root: &PinPath, by: By) -> Result<Plan, Problems> {
    let (before, skipped) = with_known_hooks(access::with_known_names(before, observed), observed, by);
    let before = &before;
    if let (Some(_), None) = (current(observed), &observed.record) {
        // Nobody knows what of it is ours, and so what of it goes.
        return Err(Problem::new(Kind::RecordLost { pin: pin_root.join("record") }).into());
    }
    let (desired, mut problems) = (links_of(before, pin_root)?, Problems::default());
    problems.0.extend(observed.root.gone(&observed.leftovers, pin_root));
    let seen = observed;
    let (named, renames) = renamed(&desired, seen);
    let observed = &*named;
    let mut planner = Planner::new(&desired, observed, Mode::Live);
    planner.may_take_over = by == By::Hand;
    let previous = pin_root.previous();
    for (name, map) in before.maps.iter().filter(|(_, map)| map.created) {
        let (Some(map_name), Some(pin)) = (MapName::recorded(name), map.pin.as_deref().and_then(as_pin)) else {
            continue;
        };
        let place = pin.in_generation(pin_root, &previous);
        let Some(Pinned::Map(found)) = observed.pins.get(&place).filter(|_| observed.inode(&place) == Some(map.inode))
        else {
            problems.push(Problem::new(Kind::NoWayBack { lacks: place }));
            continue;
        };
        if let Some(restored) = planner.restored(&pin, map.inode) {
            planner.maps.insert(map_name.clone(), Fate::Keep(found.info.id));
            let now = observed.pins.get(&pin);
            let used_by = match restored {
                Restored::Replaces(_) => planner.users_of(Some(&pin)),
                Restored::Stays | Restored::Returns => BTreeSet::new(),
            };
            let action = Action::RestoreMap { map: map_name.clone(), pin, id: found.info.id, restored, used_by };
            let mut step = restoring(action, restored, State::Kept);
            if let (Restored::Replaces(_), Some(Pinned::Map(now))) = (restored, now) {
                // What was written since the switch is in that map alone.
                (step.state, step.needs) = loss(now, State::Kept);
            }
            planner.steps.push(step);
            planner.entries_back(before, &map_name, &place, found.info.id, &found.spec);
            planner.variables_back(before, &map_name, &place, found);
        }
    }
    for (name, program) in &before.programs {
        let (Some(program_name), Some(pin)) = (ProgramName::recorded(name), as_pin(&program.pin)) else { continue };
        let place = pin.in_generation(pin_root, &previous);
        let found = observed.pins.get(&place).filter(|_| observed.inode(&place) == Some(program.inode));
        let Some(Pinned::Program(ObservedProgram { info, .. })) = found else {
            problems.push(Problem::new(Kind::NoWayBack { lacks: place }));
            continue;
        };
        if let Some(restored) = planner.restored(&pin, program.inode) {
            planner.programs.insert(program_name.clone(), Fate::Keep(info.id));
            let action = Action::RestoreProgram { program: program_name, pin, id: info.id, restored };
            planner.steps.push(restoring(action, restored, State::None));
        }
    }
    planner.set_variables();
    planner.foreign_maps_of_links(before);
    // Those without a place first, and of the others each behind the one that it is beside.
    let sequences = sequences(&desired.links);
    let placed: BTreeSet<&LinkName> = sequences.values().flatten().copied().collect();
    let free = desired.links.keys().filter(|name| !placed.contains(name));
    for name in free.chain(sequences.values().flatten().copied()) {
        planner.link_step(Arc::clone(&desired.links[name]));
    }
    planner.steps.extend(skipped);
    planner.say_what_goes_back();
    let shared = planner.shared();
    problems.0.extend(planner.problems.0);
    problems.or(())?;
    let mut steps: Vec<Step> = leftovers(observed).collect();
    let pins: Vec<PinPath> = before.own_pins().map(|(pin, _)| pin).collect();
    steps.extend(renames.into_iter().map(|step| Step { because: Because::Rollback, span: None, ..step }));
    steps.extend(lacking_folders(before, observed, &pins));
    steps.extend(planner.steps);
    steps.extend(restored_pins(observed, &steps));
    steps.extend(access::steps(&desired, observed, &steps, Mode::Live)?);
    // A map that was adopted since is its owner's again, unless nobody else has a name for it any more.
    let foreign = before.pins().filter(|(pin, inode)| observed.inode(pin) == Some(*inode));
    let foreign = foreign.filter(|(pin, _)| !observed.unnamed.contains_key(pin));
    let kept = before.own_pins().chain(foreign).map(|(pin, _)| pin.to_string()).collect::<BTreeSet<_>>();
    let kept = kept.iter().map(String::as_str).collect();
    let now = observed.record.as_ref();
    let removals = now.map(|now| {
        let mut steps = take_away(now, observed, &kept, Because::Rollback);
        for step in &mut steps {
            if let Action::RemoveMap { pin, .. } = &step.action
                && let Some(Pinned::Map(found)) = observed.pins.get(pin)
            {
                (step.state, step.needs) = loss(found, State::None);
            }
        }
        steps.extend(folders_without_pins(now, observed, &pins, &steps, Because::Rollback));
        steps
    });
    let mut record = before.clone();
    // A folder of the later generation that stays, because something of others is in it, is still one that we made.
    let made = now.iter().flat_map(|now| &now.directories).filter(|path| !before.directories.contains(path));
    record.directories.extend(made.cloned());
    // What is its owner's now, and stays where it is, is taken over once more.
    let own: BTreeSet<(PinPath, u64)> = now.into_iter().flat_map(Record::own_pins).collect();
    for map in record.maps.values_mut().filter(|map| map.created) {
        let pin = map.pin.as_deref().and_then(as_pin).map(|pin| (pin, map.inode));
        map.taken_over = pin.is_some_and(|pin| observed.inode(&pin.0) == Some(pin.1) && !own.contains(&pin));
    }
    let owned = entries::keep_anew(&mut record, observed, pin_root);
    steps.iter().for_each(|step| record_link(&mut record, &step.action, observed));
    // What a manifest said of the links is not on the host to be read.
    access::keep(&mut record, before);
    guard::keep(&mut record, before);
    if let (By::Hand, Some(now)) = (by, now) {
        guard::keep(&mut record, now);
    }
    steps.push(Step {
        action: Action::WriteRecord {
            pin: pin_root.join("record"),
            record: Box::new(record),
            owned,
            generation: next_number(observed, pin_root),
            replaces: number(observed, pin_root),
        },
        because: Because::Rollback,
        span: None,
        traffic: Traffic::None,
        state: State::None,
        needs: None,
    });
    steps.extend(removals.unwrap_or_default());
    match by {
        By::Hand => guard::check_recorded(now, &steps)?,
        By::Itself => {}
    }
    let plan = explicit(desired.name, pin_root, seen, seen.record.as_ref(), generations(seen, pin_root), steps);
    Ok(Plan { shared, ..plan })
}

/// Says what is lost with a map that is there and was made by the generation that goes: nothing where it is constant or
/// empty (`none` then), or holds what the manifest of that generation refers to.
fn loss(found: &ObservedMap, none: State) -> (State, Option<Consent>) {
    let count = found.live.as_ref().map(Live::count);
    let map_type = found.info.map_type;
    let is_named = map_type.refers() && !map_type.has_sockets();
    let is_nothing = found.frozen_value.is_some() || count == Some(0) || PASSING.contains(&map_type) || is_named;
    if is_nothing { (none, None) } else { (State::Lost(count), Some(Consent::LoseState)) }
}

impl Planner<'_> {
    /// A link that runs what the generation that goes has pinned gets another program since that one goes, and for no other
    /// reason.
    fn say_what_goes_back(&mut self) {
        let replaced = self.steps.iter().filter_map(|step| match &step.action {
            Action::RestoreProgram { restored: Restored::Replaces(id), .. } => Some(*id),
            _ => None,
        });
        let replaced: BTreeSet<u32> = replaced.collect();
        for step in &mut self.steps {
            if let Because::ProgramOther(id) = step.because
                && replaced.contains(&id)
            {
                step.because = Because::Rollback;
            }
        }
    }
}

/// Lists the folders to make anew for pins outside of the deployment's own that come back: a later generation took them
/// away when nothing was in them any more.
fn lacking_folders(before: &Record, observed: &Observed, pins: &[PinPath]) -> Vec<Step> {
    let made = before.directories.iter().filter_map(|path| as_pin(path));
    let lacking = made
        .filter(|path| pins.iter().any(|pin| pin.is_below(path)) && !observed.directories.contains_key(path))
        .collect::<BTreeSet<_>>();
    let make = |path| restoring(Action::MakeDirectory { path }, Restored::Returns, State::None);
    lacking.into_iter().map(make).collect()
}

pub(super) fn restoring(action: Action, restored: Restored, kept: State) -> Step {
    let because = if restored == Restored::Stays { Because::Unchanged } else { Because::Rollback };
    Step { action, because, span: None, traffic: Traffic::None, state: kept, needs: None }
}

/// Leaves out the links of a record for which the host has no place now: those of which it decides anyway, and the others
/// when nobody asked for the way back. It is not to fail for good since an interface went meanwhile, and says what it skips.
fn with_known_hooks(mut record: Record, observed: &Observed, by: By) -> (Record, Vec<Step>) {
    let Record { links, templates, .. } = &mut record;
    let may_lack = |name: &LinkName| {
        let template = templates.get(name.table());
        template.is_some_and(|template| template.optional || template.has_pattern())
    };
    let mut skipped = Vec::new();
    links.retain(|name, link| {
        let Some(name) = LinkName::recorded(name).filter(|_| observed.lacks_hook(&link.hook)) else { return true };
        match (may_lack(&name), by) {
            (true, By::Hand | By::Itself) => false,
            (false, By::Hand) => true,
            (false, By::Itself) => {
                let action = Action::Skip { link: name, hook: link.hook.to_string() };
                skipped.push(Step {
                    because: Because::HookGone { detached: false },
                    ..restoring(action, Restored::Stays, State::None)
                });
                false
            }
        }
    });
    (record, skipped)
}

/// Returns the links of a record as if a manifest asked for them, and nothing else.
fn links_of(record: &Record, pin_root: &PinPath) -> Result<Desired, Problems> {
    let bad_name = |why| Problem::new(Kind::BadName { text: record.deployment.clone(), why });
    let name = DeploymentName::new(&record.deployment).map_err(bad_name)?;
    let links = record.links.iter().filter_map(|(name, link)| {
        let (name, pin) = (LinkName::recorded(name)?, as_pin(&link.pin)?);
        let program = match &link.program {
            Some(program) => Some(ProgramName::recorded(program)?),
            None => None,
        };
        let (hook, order) = (link.hook.clone(), link.order.clone());
        let link = DesiredLink { name: name.clone(), pin, program, hook, order, span: 0..0 };
        Some((name, Arc::new(link)))
    });
    Ok(Desired {
        name,
        pin_root: pin_root.clone(),
        bpffs: pin_root.clone(),
        objects: BTreeMap::new(),
        maps: BTreeMap::new(),
        programs: BTreeMap::new(),
        links: links.collect(),
        templates: BTreeMap::new(),
        absent: Vec::new(),
        policy: Policy {
            access: record.accesses().map(|(of, _, access)| (of, access.clone())).collect(),
            ..Policy::default()
        },
    })
}
