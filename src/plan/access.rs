//! Who may open the pins: what the manifest asks for, against what the pins have.
//!
//! What only the record says was asked for once: it goes back to what new pins have. So does a pin that others may open
//! though nobody asked for that, as after a `chmod` by hand, where they can come to it.

use super::{Action, Because, Mode, Restored, State, Step, Traffic};
use crate::access::{Access, AccountKind, Permissions};
use crate::desired::{Desired, MapSource, Span};
use crate::diag::{Kind, Problem, Problems};
use crate::names::{Address, MapName, PinPath};
use crate::observed::{Observed, Pinned};
use crate::record::Record;
use crate::spec::Difference;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What other steps do to a pin.
enum Fate<'a> {
    /// It stays.
    Kept,
    /// It is made.
    New,
    /// It comes back from the generation before.
    Back,
    /// It is that of somebody else's map, with this id.
    Foreign(&'a MapName, u32),
}

/// Lists what has to change for the pins that other steps keep or make.
pub(super) fn steps(desired: &Desired, observed: &Observed, steps: &[Step], mode: Mode) -> Result<Vec<Step>, Problems> {
    let (mut found, mut problems) = (Vec::new(), Problems::default());
    if mode == Mode::Live {
        check_names(desired, observed, &mut problems);
    }
    let maker = observed.permissions.get(&desired.pin_root.join("record")).map_or(0, |record| record.owner);
    for step in steps {
        let Some((pin, fate)) = pin_of(&step.action) else { continue };
        let (address, none) = (step.action.address(), Access::default());
        let asked = desired.policy.access.get(&address).unwrap_or(&none);
        let recorded = observed.record.as_ref().and_then(|record| record.access(&address)).unwrap_or(&none);
        let begun = observed.begun().filter_map(|(_, record)| record.access(&address));
        let recorded = begun.fold(Cow::Borrowed(recorded), |all, begun| Cow::Owned(all.or(begun)));
        let (place, wanted) = match fate {
            // A mark opens nothing: whoever may enter its folder reads it.
            Fate::New if is_marked(&step.action) => continue,
            Fate::Kept if is_mark(observed, pin) => continue,
            Fate::New => (None, Cow::Borrowed(asked)),
            Fate::Kept => (Some(Cow::Borrowed(pin)), Cow::Owned(asked.instead_of(&recorded))),
            // What the record says is of another pin.
            Fate::Back => {
                let previous = desired.pin_root.previous();
                (Some(Cow::Owned(pin.in_generation(&desired.pin_root, &previous))), Cow::Borrowed(asked))
            }
            Fate::Foreign(map, id) => {
                problems.0.extend(foreign(step, (map, id), pin, asked, observed));
                continue;
            }
        };
        let is_kept = matches!(place, Some(Cow::Borrowed(_)));
        let now = place.and_then(|place| observed.permissions.get(&*place)).copied();
        let wanted = match now.filter(|_| is_kept && can_be_reached(pin, desired, observed)) {
            Some(now) => Cow::Owned(wanted.or_shut(now, maker)),
            None => wanted,
        };
        let access = now.map_or_else(|| wanted.clone().into_owned(), |now| lacking(&wanted, now, observed));
        if !access.is_empty() {
            let because = if now.is_some() { Because::AccessDiffers } else { Because::Missing };
            let action = Action::SetAccess { of: address, pin: pin.clone(), now, access: Box::new(access) };
            let (traffic, state) = (Traffic::None, State::None);
            found.push(Step { action, because, span: step.span.clone(), traffic, state, needs: None });
        }
    }
    problems.or(found)
}

/// Writes into a record what is asked for, as far as the pins have it or get it by steps about `set`.
pub(super) fn write(record: &mut Record, desired: &Desired, observed: &Observed, set: &BTreeSet<&Address>) {
    for (address, access) in &desired.policy.access {
        let has_it = || {
            let now = desired.pin(address).and_then(|pin| observed.permissions.get(pin));
            now.is_some_and(|now| lacking(access, *now, observed).is_empty())
        };
        let is_ours =
            !matches!(address, Address::Map(name) if record.maps.get(name.as_str()).is_some_and(|map| !map.created));
        if is_ours
            && (set.contains(address) || has_it())
            && let Some(recorded) = record.access_mut(address)
        {
            recorded.clone_from(access);
        }
    }
}

/// Writes into a record what another one says of the same things.
pub(super) fn keep(record: &mut Record, other: &Record) {
    for (address, _, access) in other.accesses() {
        if let Some(recorded) = record.access_mut(&address) {
            recorded.clone_from(access);
        }
    }
}

/// Returns a record without the users and groups that the host has no more: they are no reason not to go back.
pub(super) fn with_known_names(before: &Record, observed: &Observed) -> Record {
    let mut record = before.clone();
    let is_known = |(kind, name): (AccountKind, &str)| observed.accounts.contains_key(&(kind, name.to_owned()));
    for (address, _, access) in before.accesses() {
        let of_kind = |wanted| access.names().filter(|(kind, _)| *kind == wanted).all(is_known);
        if let Some(recorded) = record.access_mut(&address) {
            recorded.owner.take_if(|_| !of_kind(AccountKind::User));
            recorded.group.take_if(|_| !of_kind(AccountKind::Group));
        }
    }
    record
}

/// Returns whether others come to a pin: to one in the deployment's folder only when somebody opened that.
fn can_be_reached(pin: &PinPath, desired: &Desired, observed: &Observed) -> bool {
    !pin.is_below(&desired.pin_root) || !observed.opened.is_empty()
}

/// Returns whether what is made is the mark of what has no kernel link.
fn is_marked(action: &Action) -> bool {
    matches!(action, Action::Attach { link, .. } | Action::Reattach { link, .. } if link.hook.is_direct())
}

/// Returns whether there is no pin but such a mark.
fn is_mark(observed: &Observed, pin: &PinPath) -> bool {
    matches!(observed.pins.get(pin), Some(Pinned::Link(link)) if link.id == 0)
}

fn lacking(access: &Access, now: Permissions, observed: &Observed) -> Access {
    access.lacking(now, |kind, name| observed.accounts.get(&(kind, name.to_owned())).copied())
}

/// Reports users and groups that the host does not have.
fn check_names(desired: &Desired, observed: &Observed, problems: &mut Problems) {
    for (address, access) in &desired.policy.access {
        for (kind, name) in access.names() {
            if !observed.accounts.contains_key(&(kind, name.to_owned())) {
                let problem = Kind::NoAccount { kind, name: name.to_owned() };
                let named = desired.policy.accounts.get(&(address.clone(), kind)).cloned();
                let span = named.or_else(|| span_of(desired, address)).unwrap_or_default();
                problems.push(Problem::at(problem, span, format!("the {kind} of this pin")));
            }
        }
    }
}

fn span_of(desired: &Desired, address: &Address) -> Option<Span> {
    match address {
        Address::Map(name) => desired.maps.get(name).map(|map| map.span.clone()),
        Address::Program(name) => desired.programs.get(name).map(|program| program.span.clone()),
        Address::Link(name) => desired.links.get(name).map(|link| link.span.clone()),
        Address::Directory(_) | Address::Object(_) | Address::Record => None,
    }
}

/// Reports that a map of somebody else, which has the pin, may be opened by others than asked for.
fn foreign(
    step: &Step,
    (map, id): (&MapName, u32),
    pin: &PinPath,
    asked: &Access,
    observed: &Observed,
) -> Option<Problem> {
    let now = *observed.permissions.get(pin)?;
    let access = lacking(asked, now, observed);
    if access.is_empty() {
        return None;
    }
    let left = format!("mode {}, owner {}, group {}", crate::access::octal(now.mode), now.owner, now.group);
    let difference = Difference { field: "pin".to_owned(), left, right: access.words(None) };
    let kind = Kind::MapChanged { map: map.clone(), pin: pin.clone(), id, ours: false, differences: vec![difference] };
    Some(Problem::at(kind, step.span.clone().unwrap_or_default(), "defined here"))
}

/// Returns the pin of what an action keeps.
pub(super) fn kept_pin(action: &Action) -> Option<&PinPath> {
    pin_of(action).and_then(|(pin, fate)| matches!(fate, Fate::Kept).then_some(pin))
}

/// Returns the pin that an action keeps or makes, and what becomes of it.
fn pin_of(action: &Action) -> Option<(&PinPath, Fate<'_>)> {
    match action {
        Action::ReuseMap { map, id, ours } => match &map.source {
            MapSource::Defined(definition) if *ours => Some((&definition.pin, Fate::Kept)),
            MapSource::Defined(definition) => Some((&definition.pin, Fate::Foreign(&map.name, *id))),
            MapSource::Pinned(_) | MapSource::Id(_) => None,
        },
        Action::CreateMap { map, .. } => Some((map.pin()?, Fate::New)),
        Action::ReuseProgram { program, .. } => Some((&program.pin, Fate::Kept)),
        Action::LoadProgram { program, .. } => Some((&program.pin, Fate::New)),
        Action::ReuseLink { link, .. } | Action::UpdateLink { link, .. } => Some((&link.pin, Fate::Kept)),
        Action::Attach { link, .. } | Action::Reattach { link, .. } => Some((&link.pin, Fate::New)),
        Action::RestoreMap { pin, restored, .. } | Action::RestoreProgram { pin, restored, .. } => match restored {
            Restored::Stays => Some((pin, Fate::Kept)),
            Restored::Returns | Restored::Replaces(_) => Some((pin, Fate::Back)),
        },
        // Of a link with another name there is a step that keeps it.
        Action::RenameLink { .. }
        | Action::RestorePin { .. }
        | Action::ClearLeftover { .. }
        | Action::Skip { .. }
        | Action::MountBpffs { .. }
        | Action::MakeDirectory { .. }
        | Action::FillMap { .. }
        | Action::FillSlots { .. }
        | Action::CopyEntries { .. }
        | Action::CatchUp { .. }
        | Action::FinishCopy { .. }
        | Action::WriteEntries { .. }
        | Action::SetVariables { .. }
        | Action::SetAccess { .. }
        | Action::Detach { .. }
        | Action::RemoveProgram { .. }
        | Action::RemoveMap { .. }
        | Action::RemoveDirectory { .. }
        | Action::WriteRecord { .. }
        | Action::RemoveRecord { .. } => None,
    }
}
