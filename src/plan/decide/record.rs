//! The record as it will be once the steps are done.

use super::links::record_link;
use super::{entries, next_number, number};
use crate::access::Access;
use crate::desired::{
    Desired, DesiredMap, DesiredProgram, EntriesMode, MapDefinition, MapSource, ObjectFacts, SlotSource,
};
use crate::elf::DataKind;
use crate::names::{Digest, MapName, PinPath, hex};
use crate::observed::Observed;
use crate::plan::{Action, Because, Marker, State, Step, Traffic, access, guard, renewed};
use crate::record::{FORMAT, Record, RecordedEntries, RecordedInner, RecordedMap, RecordedObject, RecordedProgram};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Returns the step that writes the record when it has something new to say.
pub(in crate::plan) fn write_record<'a>(
    desired: &Desired,
    observed: &Observed,
    steps: impl Iterator<Item = &'a Step> + Clone,
) -> Option<Step> {
    let is_change = |step: &Step| {
        // To clear what was left changes nothing of what runs.
        step.action.marker() != Marker::Reuse && !step.action.is_rest()
    };
    let changes = steps.clone().any(is_change);
    let made = expected_record(desired, observed, steps);
    let before = observed.record.as_ref();
    if before.is_none() && !desired.makes_something() {
        return None;
    }
    let what = |record: &Record| {
        let Record { objects, maps, programs, links, templates, .. } = record;
        (objects, maps, programs, templates) == (&made.objects, &made.maps, &made.programs, &made.templates)
            && links.keys().eq(made.links.keys())
            && links.values().zip(made.links.values()).all(|(before, link)| before.does_the_same(link))
    };
    let same = before.is_some_and(what);
    // The folders of the next generation are nobody else's again.
    let is_open = before.is_some() && !observed.opened.is_empty();
    if !changes && same && !is_open {
        return None;
    }
    // What happens to each thing has a step of its own, which says why.
    let renewed = |before: &Record| match changes {
        true => guard::changes(before, &made),
        false => renewed::changes(before, &made),
    };
    let of_record = || before.map_or(Because::Missing, |before| Because::PlanChanges(renewed(before)));
    let because = if !changes && same { Because::AccessDiffers } else { of_record() };
    let action = Action::WriteRecord {
        pin: desired.pin_root.join("record"),
        owned: entries::to_keep(&made, &desired.maps),
        record: Box::new(made),
        generation: next_number(observed, &desired.pin_root),
        // Without a record there is nothing to go back to.
        replaces: before.and(number(observed, &desired.pin_root)),
    };
    Some(Step { action, because, span: None, traffic: Traffic::None, state: State::None, needs: None })
}

/// Makes the record as it will be; inodes of what is made, and the programs of new links, are 0 until apply knows them.
fn expected_record<'a>(desired: &Desired, observed: &Observed, steps: impl Iterator<Item = &'a Step>) -> Record {
    let inode = |pin: &PinPath| observed.inode(pin).unwrap_or(0);
    let mut record = Record {
        format: FORMAT,
        deployment: desired.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        directories: observed.record.iter().flat_map(|record| record.directories.clone()).collect(),
        ..Record::default()
    };
    let templates = desired.templates.iter().map(|(name, table)| (name.to_string(), table.template.clone()));
    record.templates.extend(templates);
    let recorded = |object: &ObjectFacts| RecordedObject { path: object.path.clone(), sha256: object.sha256 };
    record.objects =
        desired.objects.iter().map(|(name, object)| (name.as_str().to_owned(), recorded(object))).collect();
    // Steps are nearly sorted by name: a map that is made at once is smaller, and sooner done, than one that grows.
    let (mut maps, mut programs) = (Vec::new(), Vec::new());
    let mut set = BTreeSet::new();
    for step in steps {
        match &step.action {
            Action::SetAccess { of, .. } => drop(set.insert(of)),
            Action::MakeDirectory { path } if !path.is_below(&desired.pin_root) => {
                record.directories.push(path.to_string());
            }
            Action::ReuseMap { map, id, ours } => {
                let recorded = match &map.source {
                    MapSource::Defined(definition) => {
                        let before = observed.recorded_map(map);
                        let inner = before.and_then(|before| before.inner.clone());
                        let ids = before.map(|before| before.ids.clone()).unwrap_or_default();
                        // What a map started with, that stays.
                        let seeds = || before.and_then(|before| before.entries.clone().filter(is_seed));
                        let entries = recorded_entries(map, desired, observed).filter(|_| *ours);
                        let entries = entries.filter(|entries| !is_seed(entries)).or_else(seeds);
                        let inode = inode(&definition.pin);
                        let was_taken = |before: &RecordedMap| before.taken_over && before.inode == inode;
                        let taken_over = *ours
                            && (matches!(step.because, Because::TakenOver { .. }) || before.is_some_and(was_taken));
                        RecordedMap {
                            inner,
                            ids,
                            entries,
                            taken_over,
                            ..recorded_map(definition, inode, *ours, observed)
                        }
                    }
                    MapSource::Pinned(pin) => {
                        RecordedMap { pin: Some(pin.shared()), inode: inode(pin), ..RecordedMap::default() }
                    }
                    MapSource::Id(_) => RecordedMap { id: Some(*id), ..RecordedMap::default() },
                };
                maps.push((map.name.as_str().to_owned(), recorded));
            }
            Action::CreateMap { map, .. } => {
                if let MapSource::Defined(definition) = &map.source {
                    let entries = recorded_entries(map, desired, observed);
                    let recorded = RecordedMap { entries, ..recorded_map(definition, 0, true, observed) };
                    maps.push((map.name.as_str().to_owned(), recorded));
                }
            }
            Action::ReuseProgram { program, .. } => {
                let recorded = recorded_program(program, inode(&program.pin));
                programs.push((program.name.as_str().to_owned(), recorded));
            }
            Action::LoadProgram { program, .. } => {
                programs.push((program.name.as_str().to_owned(), recorded_program(program, 0)));
            }
            Action::ReuseLink { .. } | Action::UpdateLink { .. } | Action::Attach { .. } | Action::Reattach { .. } => {
                record_link(&mut record, &step.action, observed)
            }
            Action::RestoreMap { .. } | Action::RestoreProgram { .. } | Action::Skip { .. } => {}
            Action::RestorePin { .. } | Action::RenameLink { .. } => {}
            Action::RemoveDirectory { path } => record.directories.retain(|made| made != path.as_str()),
            Action::ClearLeftover { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::CopyEntries { .. }
            | Action::CatchUp { .. }
            | Action::FinishCopy { .. }
            | Action::FillMap { .. }
            | Action::FillSlots { .. }
            | Action::WriteEntries { .. }
            | Action::SetVariables { .. }
            | Action::Detach { .. }
            | Action::RemoveProgram { .. }
            | Action::RemoveMap { .. }
            | Action::WriteRecord { .. }
            | Action::RemoveRecord { .. } => {}
        }
    }
    (record.maps, record.programs) = (maps.into_iter().collect(), programs.into_iter().collect());
    guard::write(&mut record, &desired.policy.protect, observed.record.as_ref());
    access::write(&mut record, desired, observed, &set);
    record
}

/// Digests what fills the slots of a map, by name; `None` for a map that nobody fills.
pub(super) fn slots_image(definition: &MapDefinition) -> Option<Digest> {
    if definition.slots.is_empty() || definition.operations.is_some() {
        return None;
    }
    let mut image = String::new();
    for (key, source) in &definition.slots {
        writeln!(image, "{} = {source}", hex(key.bytes())).expect("a String takes all");
    }
    Some(Digest::of(image.as_bytes()))
}

/// Returns the ids of the cgroups in a map's slots: one of the same name may be another one.
pub(super) fn cgroups_of(definition: &MapDefinition, observed: &Observed) -> BTreeMap<String, u64> {
    let cgroup = |source: &SlotSource| match source {
        SlotSource::Cgroup(path) => observed.cgroups.get(path).map(|(_, id)| (path.clone(), *id)),
        SlotSource::Map(_) | SlotSource::Program(_) => None,
    };
    definition.slots.values().filter_map(cgroup).collect()
}

fn recorded_map(definition: &MapDefinition, inode: u64, created: bool, observed: &Observed) -> RecordedMap {
    let image = match (&definition.data, &definition.operations) {
        (Some((DataKind::Data, _)), _) if definition.is_live() => {
            definition.first_contents().map(|first| Digest::of(&first))
        }
        (Some((DataKind::Data, data)), _) => Some(Digest::of(data)),
        (None, Some(operations)) => Some(Digest::of(&operations.bytes)),
        (Some((DataKind::Rodata | DataKind::Bss, _)), _) | (None, None) => None,
    };
    let inner = definition.spec.inner.as_deref().map(RecordedInner::of);
    let (pin, sensitive, formats) = (Some(definition.pin.shared()), definition.sensitive, definition.formats.clone());
    let (slots, cgroups) = (slots_image(definition), cgroups_of(definition, observed));
    let variables = if created && definition.is_live() { definition.variables.clone() } else { BTreeMap::new() };
    RecordedMap {
        pin,
        inode,
        created,
        image,
        slots,
        cgroups,
        variables,
        inner,
        sensitive,
        formats,
        ..RecordedMap::default()
    }
}

fn is_seed(entries: &RecordedEntries) -> bool {
    entries.mode == EntriesMode::Seed
}

/// Records the entries that the manifest gives a map.
fn recorded_entries(map: &DesiredMap, desired: &Desired, observed: &Observed) -> Option<RecordedEntries> {
    let (_, contents) = map.contents()?;
    Some(entries::recorded(&map.name, contents, &desired.pin_root, observed))
}

fn recorded_program(program: &DesiredProgram, inode: u64) -> RecordedProgram {
    let maps = program.uses().into_iter().map(MapName::shared).collect();
    RecordedProgram { pin: program.pin.shared(), inode, maps, protect: None, access: Access::default() }
}
