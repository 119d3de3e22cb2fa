//! What keeps a plan from taking too much away: protected things, and the removal of most of a deployment.

use super::{Action, Restored, Step, Sweep, Traffic};
use crate::desired::{Desired, Span};
use crate::diag::{Kind, Problem, Problems};
use crate::names::{Address, LinkName, MapName, PinPath, ProgramName};
use crate::observed::{Observed, Pinned, Root};
use crate::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// Writes into a record what is protected, and since when.
pub(super) fn write(record: &mut Record, protect: &BTreeSet<Address>, before: Option<&Record>) {
    for address in protect {
        let since = before.and_then(|before| before.protected(address)).unwrap_or_default();
        let guard = match address {
            Address::Map(name) => record.maps.get_mut(name.as_str()).map(|map| &mut map.protect),
            Address::Program(name) => record.programs.get_mut(name.as_str()).map(|program| &mut program.protect),
            Address::Link(name) => record.links.get_mut(name.as_str()).map(|link| &mut link.protect),
            Address::Directory(_) | Address::Object(_) | Address::Record => None,
        };
        if let Some(guard) = guard {
            *guard = Some(since);
        }
    }
}

/// Refuses a plan that takes a protected thing away: one that the record or the manifest protects.
///
/// The manifest alone cannot lift a guard of the record in the plan that it would stop: an apply with
/// `protect = false` that leaves the thing where it is has to come first.
pub(super) fn check(desired: &Desired, observed: &Observed, steps: &[Step]) -> Result<(), Problems> {
    let record = observed.record.as_ref();
    let since = |address: &Address| record.and_then(|record| record.protected(address));
    let guarded = |address: &Address| since(address).is_some() || desired.policy.protect.contains(address);
    let mut losses: BTreeMap<Address, (&str, Option<Span>)> = BTreeMap::new();
    for (address, step) in steps.iter().map(|step| (step.action.address(), step)).filter(|(at, _)| guarded(at)) {
        if let Some(what) = loss(step) {
            losses.insert(address, (what, step.span.clone()));
        }
    }
    // A thing may stay and only lose the name that is protected.
    for address in record.map_or_else(Vec::new, |record| nameless(record, desired, observed)) {
        losses.entry(address).or_insert(("remove", None));
    }
    let mut problems = Problems::default();
    for (address, (what, span)) in losses {
        let problem = Problem::new(Kind::Protected { since: since(&address), address, what });
        problems.push(match span {
            Some(span) => problem.and(span, "this one"),
            None => problem,
        });
    }
    problems.or(())
}

/// Refuses a plan without a manifest that takes away what the record protects.
pub(super) fn check_recorded(record: Option<&Record>, steps: &[Step]) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for (address, what) in steps.iter().filter_map(|step| Some((step.action.address(), loss(step)?))) {
        if let since @ Some(_) = record.and_then(|record| record.protected(&address)) {
            problems.push(Problem::new(Kind::Protected { address, since, what }));
        }
    }
    problems.or(())
}

/// Refuses to clear a generation that ran, and that nothing leads to any more, with what its record protects.
pub(super) fn check_left(observed: &Observed) -> Result<(), Problems> {
    let left = observed.leftovers.iter().filter(|left| left.has_run && observed.root == Root::Missing);
    let mut problems = Problems::default();
    for record in left.filter_map(|left| left.record.as_ref()) {
        for address in addresses(record) {
            if let since @ Some(_) = record.protected(&address) {
                problems.push(Problem::new(Kind::Protected { address, since, what: "remove" }));
            }
        }
    }
    problems.or(())
}

/// Lists every map, program and link of a record.
fn addresses(record: &Record) -> impl Iterator<Item = Address> {
    let maps = record.maps.keys().filter_map(|name| MapName::recorded(name)).map(Address::Map);
    let programs = record.programs.keys().filter_map(|name| ProgramName::recorded(name)).map(Address::Program);
    let links = record.links.keys().filter_map(|name| LinkName::recorded(name)).map(Address::Link);
    maps.chain(programs).chain(links)
}

/// Keeps the guards of what stays in a record that is older than they are.
pub(super) fn keep(older: &mut Record, record: &Record) {
    write(older, &guarded(record), Some(record));
}

/// Says what is no longer protected, and what is from now on, of what is in both records.
pub(super) fn changes(before: &Record, after: &Record) -> Vec<String> {
    let (was, is) = (guarded(before), guarded(after));
    let lifted = was.difference(&is).filter(|address| is_in(after, address));
    let lifted = lifted.map(|address| format!("{address} is NO LONGER PROTECTED"));
    lifted.chain(is.difference(&was).map(|address| format!("{address} is protected"))).collect()
}

fn is_in(record: &Record, address: &Address) -> bool {
    match address {
        Address::Map(name) => record.maps.contains_key(name.as_str()),
        Address::Program(name) => record.programs.contains_key(name.as_str()),
        Address::Link(name) => record.links.contains_key(name.as_str()),
        Address::Directory(_) | Address::Object(_) | Address::Record => false,
    }
}

/// Lists what a record protects.
fn guarded(record: &Record) -> BTreeSet<Address> {
    addresses(record).filter(|address| record.protected(address).is_some()).collect()
}

/// Says what a step takes from a protected thing; `None` when it may.
fn loss(step: &Step) -> Option<&'static str> {
    match &step.action {
        Action::CreateMap { replaces: Some(_), .. } => Some("replace"),
        Action::RemoveMap { .. } | Action::RemoveProgram { .. } => Some("remove"),
        Action::RestoreMap { restored: Restored::Replaces(_), .. } => Some("replace"),
        Action::Detach { .. } if step.traffic == Traffic::None => None,
        Action::Detach { .. } => Some("detach"),
        // A link whose hook is gone is nowhere: it may come back.
        // Nor does one stop that meets the same packets earlier or later from now on.
        Action::Reattach { .. } if matches!(step.traffic, Traffic::Starts | Traffic::NoGap | Traffic::BothRun) => None,
        Action::Reattach { overlap: false, .. } => Some("detach for a moment"),
        Action::Reattach { overlap: true, .. } => Some("move"),
        Action::ClearLeftover { .. }
        | Action::MountBpffs { .. }
        | Action::MakeDirectory { .. }
        | Action::ReuseMap { .. }
        | Action::CreateMap { replaces: None, .. }
        | Action::CopyEntries { .. }
        | Action::CatchUp { .. }
        | Action::FinishCopy { .. }
        | Action::FillMap { .. }
        | Action::FillSlots { .. }
        | Action::WriteEntries { .. }
        | Action::SetVariables { .. }
        | Action::ReuseProgram { .. }
        | Action::LoadProgram { .. }
        | Action::RestoreMap { restored: Restored::Stays | Restored::Returns, .. }
        | Action::RestoreProgram { .. }
        | Action::RestorePin { .. }
        | Action::RenameLink { .. }
        | Action::ReuseLink { .. }
        | Action::Skip { .. }
        | Action::Attach { .. }
        | Action::UpdateLink { .. }
        | Action::SetAccess { .. }
        | Action::RemoveDirectory { .. }
        | Action::WriteRecord { .. }
        | Action::RemoveRecord { .. } => None,
    }
}

/// Lists what is protected and there, and has no table in the manifest any more.
fn nameless(record: &Record, desired: &Desired, observed: &Observed) -> Vec<Address> {
    let is_there = |pin: &str, inode: u64| PinPath::new(pin).is_ok_and(|pin| observed.inode(&pin) == Some(inode));
    let mut found = Vec::new();
    for (name, map) in record.maps.iter().filter(|(_, map)| map.protect.is_some()) {
        if !desired.maps.contains_key(name.as_str()) && is_there(map.pin.as_deref().unwrap_or(""), map.inode) {
            found.extend(MapName::recorded(name).map(Address::Map));
        }
    }
    for (name, program) in record.programs.iter().filter(|(_, program)| program.protect.is_some()) {
        if !desired.programs.contains_key(name.as_str()) && is_there(&program.pin, program.inode) {
            found.extend(ProgramName::recorded(name).map(Address::Program));
        }
    }
    for (name, link) in record.links.iter().filter(|(_, link)| link.protect.is_some()) {
        let pinned = PinPath::new(&link.pin).ok().and_then(|pin| observed.pins.get(&pin));
        let is_gone = matches!(pinned, Some(Pinned::Link(found)) if !found.is_attached);
        let table = LinkName::recorded(name).is_some_and(|name| desired.templates.contains_key(name.table()));
        let went = is_gone && table;
        if !desired.links.contains_key(name.as_str()) && is_there(&link.pin, link.inode) && !went {
            found.extend(LinkName::recorded(name).map(Address::Link));
        }
    }
    found
}

/// Counts what goes, when that is everything or more than half of what the deployment owns.
pub(super) fn sweep(desired: &Desired, record: Option<&Record>, steps: &[Step]) -> Option<Sweep> {
    let record = record?;
    let owned = record.maps.values().filter(|map| map.created).count() + record.programs.len() + record.links.len();
    let goes = |step: &&Step| {
        matches!(step.action, Action::Detach { .. } | Action::RemoveProgram { .. } | Action::RemoveMap { .. })
    };
    let removed = steps.iter().filter(goes).count();
    let is_sweep = removed > 0 && (!desired.makes_something() || 2 * removed > owned);
    is_sweep.then_some(Sweep { removed, owned })
}
