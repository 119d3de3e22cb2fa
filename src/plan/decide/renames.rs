//! Links that stay on their hooks and have other names from now on: nothing is attached or detached for a name.

use super::as_pin;
use crate::desired::{Desired, DesiredLink};
use crate::names::{LinkName, PinPath};
use crate::observed::{Observed, Pinned};
use crate::plan::{Action, Because, State, Step, Traffic};
use crate::record::{Record, RecordedLink};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A link of ours that gets another name.
struct Rename<'a> {
    link: &'a Arc<DesiredLink>,
    was: LinkName,
    from: PinPath,
    id: u32,
}

/// Finds the links that get other names, and returns the host as it is with these, and the steps that make it so.
pub(super) fn renamed<'a>(desired: &Desired, observed: &'a Observed) -> (Cow<'a, Observed>, Vec<Step>) {
    let renames = observed.record.as_ref().map(|record| find(desired, observed, record)).unwrap_or_default();
    if renames.is_empty() {
        return (Cow::Borrowed(observed), Vec::new());
    }
    let steps = renames.iter().map(|rename| {
        let Rename { link, was, from, id } = rename;
        Step {
            action: Action::RenameLink { link: Arc::clone(link), was: was.clone(), from: from.clone(), id: *id },
            because: Because::Renamed(was.clone()),
            span: Some(link.span.clone()),
            traffic: Traffic::None,
            state: State::None,
            needs: None,
        }
    });
    let names = renames.iter().map(|rename| (rename.was.as_str(), (&rename.from, &**rename.link))).collect();
    (Cow::Owned(with_names(observed.clone(), &names)), steps.collect())
}

fn find<'a>(desired: &'a Desired, observed: &Observed, record: &Record) -> Vec<Rename<'a>> {
    let keeps_name = |name: &str, recorded: &RecordedLink| {
        let link = LinkName::recorded(name).and_then(|name| desired.links.get(&name));
        link.is_some_and(|link| is_for(recorded, link))
    };
    let mut free: BTreeMap<&String, &RecordedLink> =
        record.links.iter().filter(|(name, recorded)| !keeps_name(name, recorded)).collect();
    let mut renames: Vec<Rename<'a>> = Vec::new();
    for link in desired.links.values() {
        if free.is_empty() {
            break;
        }
        if record.links.get(link.name.as_str()).is_some_and(|recorded| is_for(recorded, link)) {
            continue;
        }
        let found = free.iter().find_map(|(name, recorded)| {
            let (from, id) = standing(recorded, observed).filter(|_| is_for(recorded, link))?;
            Some((*name, LinkName::recorded(name)?, from, id))
        });
        if let Some((name, was, from, id)) = found {
            free.remove(name);
            renames.push(Rename { link, was, from, id });
        }
    }
    // A name has to be free by then: nothing has it, or what has it gets another one.
    loop {
        let left: Vec<PinPath> = renames.iter().map(|rename| rename.from.clone()).collect();
        let is_free = |pin: &PinPath| !observed.pins.contains_key(pin) || left.contains(pin);
        let all = renames.len();
        renames.retain(|rename| is_free(&rename.link.pin));
        if renames.len() == all {
            return renames;
        }
    }
}

/// Returns whether a link that is there is the one that is wanted, but for its name: on the same hook, and with the same
/// program where there is room for more than one.
fn is_for(recorded: &RecordedLink, link: &DesiredLink) -> bool {
    let same_program = || recorded.program.as_deref() == link.program.as_ref().map(|program| program.as_str());
    let place = recorded.place();
    recorded.hook == link.hook && (same_program() || !place.has_room_beside(&place))
}

/// Returns the pin and the id of a link that is where it was put; none for what is attached without one.
fn standing(recorded: &RecordedLink, observed: &Observed) -> Option<(PinPath, u32)> {
    let pin = as_pin(&recorded.pin)?;
    let Pinned::Link(found) = observed.pins.get(&pin)? else { return None };
    let is_ours = observed.inode(&pin) == Some(recorded.inode) && found.hook == recorded.at;
    (found.id != 0 && found.is_attached && is_ours).then_some((pin, found.id))
}

/// Returns the host with links that have other names: by the old name, the old pin and the link by its new name.
fn with_names(mut observed: Observed, names: &BTreeMap<&str, (&PinPath, &DesiredLink)>) -> Observed {
    let mut taken = Vec::new();
    for (was, (from, link)) in names {
        let recorded = observed.record.as_mut().and_then(|record| record.links.remove(*was));
        let pinned = observed.pins.remove(*from);
        taken.push((link, recorded, pinned, observed.permissions.remove(*from), observed.take_entry(from)));
    }
    for (link, recorded, pinned, permissions, entry) in taken {
        let links = observed.record.as_mut().map(|record| &mut record.links);
        let recorded = recorded.map(|recorded| RecordedLink { pin: link.pin.to_string(), ..recorded });
        links.into_iter().for_each(|links| links.extend(recorded.clone().map(|it| (link.name.to_string(), it))));
        observed.pins.extend(pinned.map(|pinned| (link.pin.clone(), pinned)));
        observed.permissions.extend(permissions.map(|permissions| (link.pin.clone(), permissions)));
        entry.into_iter().for_each(|entry| observed.put_entry(&link.pin, entry));
    }
    observed
}
