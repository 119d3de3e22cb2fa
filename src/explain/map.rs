//! What differs of a map: its shape, the types of keys and values, its constants, variables and entries.

use super::{EntryChanges, Explained, Field, Given, TypeChange};
use crate::btf::{layout, value};
use crate::desired::{MapDefinition, MapSource};
use crate::elf::DataKind;
use crate::entries::Counts;
use crate::insn::listing::{plain, texts};
use crate::names::PinPath;
use crate::observed::{Observed, ObservedMap, Pinned};
use crate::plan::{Action, Because, Sets, Step, Writes};
use crate::report::sample;
use crate::spec::{Difference, MapTypes};

/// Adds what a step changes of a map.
pub fn differences(given: &Given<'_>, step: &Step, explained: &mut Explained) {
    match &step.action {
        Action::CreateMap { map, .. } | Action::ReuseMap { map, .. } => {
            if let MapSource::Defined(definition) = &map.source {
                shape(given, step, definition, explained);
            }
        }
        Action::WriteEntries { writes } => explained.entries = Some(entries(writes, given.limit, explained)),
        Action::SetVariables { sets } => variables(sets, explained),
        _ => {}
    }
}

fn shape(given: &Given<'_>, step: &Step, definition: &MapDefinition, explained: &mut Explained) {
    let found = observed(given.observed, &definition.pin);
    if let Because::MapDiffers(differences) = &step.because {
        let field = |difference: &Difference| Field::new(&difference.field, &difference.left, &difference.right);
        explained.fields.extend(differences.iter().map(field));
    }
    let is_new = matches!(step.action, Action::CreateMap { .. });
    if definition.data.is_none() {
        explained.types.extend(types(found.and_then(|map| map.spec.types.as_ref()), definition, is_new));
    }
    if is_new && let Some((DataKind::Rodata, bytes)) = &definition.data {
        constants(found, definition, bytes, explained);
    }
}

/// Returns the map that has a pin.
pub fn observed<'a>(observed: &'a Observed, pin: &PinPath) -> Option<&'a ObservedMap> {
    match observed.pins.get(pin)? {
        Pinned::Map(map) => Some(map),
        Pinned::Program(_) | Pinned::Link(_) => None,
    }
}

/// Compares the types of keys and values where both are known; those of a new map are written out.
fn types(found: Option<&MapTypes>, definition: &MapDefinition, is_new: bool) -> Vec<TypeChange> {
    let Some(wanted) = definition.spec.types.as_ref() else { return Vec::new() };
    let ids = |types: &MapTypes| [("key", types.key), ("value", types.value)];
    let were = found.map_or([("", 0); 2], ids);
    let known = ids(wanted).into_iter().zip(were).filter(|((_, id), _)| *id != 0);
    let change = known.filter_map(|((of, id), (_, was))| {
        let is = wanted.btf.definition(id);
        let lines = match found.filter(|_| was != 0) {
            Some(found) if layout::difference((&found.btf, was), (&wanted.btf, id)).is_some() => {
                texts(&found.btf.definition(was), &is)
            }
            None if is_new => plain(&is),
            Some(_) | None => Vec::new(),
        };
        (!lines.is_empty()).then_some(TypeChange { of, lines })
    });
    change.collect()
}

/// Adds the constants of a section that differ from those of the section that goes.
fn constants(found: Option<&ObservedMap>, definition: &MapDefinition, bytes: &[u8], explained: &mut Explained) {
    let Some(was) = found.and_then(|map| map.frozen_value.as_deref()) else { return };
    let old = found.and_then(|map| map.spec.types.as_ref());
    if definition.sensitive {
        explained.notes.push("its constants are not shown, as it is sensitive".to_owned());
        return;
    }
    let fields = changed_constants((old, was), (definition.spec.types.as_ref(), bytes));
    if fields.is_empty() && was != bytes {
        explained
            .notes
            .push("no constant with a name differs: what differs has none, as the text of messages".to_owned());
    }
    explained.variables.extend(fields);
}

/// Compares the constants of two sections by name.
pub fn changed_constants(old: (Option<&MapTypes>, &[u8]), new: (Option<&MapTypes>, &[u8])) -> Vec<Field> {
    let (old, new) = (named(old.0, old.1), named(new.0, new.1));
    let find = |list: &'_ [(String, String)], name: &str| -> Option<String> {
        list.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let gone = old.iter().filter(|(name, _)| find(&new, name).is_none());
    let names = new.iter().chain(gone).map(|(name, _)| name);
    let fields = names.map(|name| Field { name: name.clone(), is: find(&old, name), becomes: find(&new, name) });
    fields.filter(|field| field.is != field.becomes).collect()
}

/// Returns the variables of a section with their values, in their order.
fn named(types: Option<&MapTypes>, bytes: &[u8]) -> Vec<(String, String)> {
    let fields = types.and_then(|types| types.btf.fields(types.value)).unwrap_or_default();
    let value = |field: &crate::btf::Field<'_>| {
        let types = types?;
        let start = usize::try_from(field.bit_offset / 8).ok()?;
        let size = types.btf.size_of(field.ty)? as usize;
        let part = bytes.get(start..start.checked_add(size)?)?;
        let text = value::format(&types.btf, field.ty, part).ok()?;
        Some((field.name.to_owned(), text))
    };
    fields.iter().filter_map(value).collect()
}

fn entries(writes: &Writes, limit: usize, explained: &mut Explained) -> EntryChanges {
    if writes.sensitive {
        explained.notes.push("its entries are not shown, as it is sensitive".to_owned());
    }
    let Counts { added, changed, removed } = writes.changes.counts();
    EntryChanges { added, changed, removed, same: writes.changes.same, shown: sample(writes, limit) }
}

fn variables(sets: &Sets, explained: &mut Explained) {
    if sets.sensitive {
        let names: Vec<_> = sets.changes.iter().map(|change| change.name.as_str()).collect();
        explained.notes.push(format!("the values of {} are not shown, as they are sensitive", names.join(", ")));
        return;
    }
    let field = |change: &crate::variables::Change| Field::new(&change.name, &change.words.0, &change.words.1);
    explained.variables.extend(sets.changes.iter().map(field));
}
