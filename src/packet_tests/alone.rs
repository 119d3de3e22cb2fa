//! The part of a manifest that one program needs, with maps of its own. Pure.
//!
//! A test never touches what runs: links, pins and guards are left out, and maps of others become private ones of the same
//! shape. What is left is resolved and planned as any manifest is, against a host that has nothing yet.

use crate::access::Access;
use crate::desired::{Desired, MapSource as Source, ObjectFile, SlotSource};
use crate::elf::Pinning;
use crate::manifest::{At, Manifest, Map, MapSource, SymbolRef, TestMap, TestMaps};
use crate::names::{MapName, ObjectName, ProgramName};
use crate::observed::MapInfo;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the manifest without anything that could meet what runs, and with these contents of maps. `shapes` are the maps of
/// others that are on the host.
pub fn alone(
    manifest: &Manifest,
    contents: &TestMaps,
    shapes: &BTreeMap<MapName, MapInfo>,
    objects: &BTreeMap<ObjectName, ObjectFile>,
) -> Manifest {
    let mut alone = Manifest { links: BTreeMap::new(), checks: Vec::new(), ..manifest.clone() };
    for program in alone.programs.values_mut() {
        (program.pin, program.protect, program.access) = (None, false, Access::default());
        program.accounts.clear();
        program.tests.clear();
    }
    for (name, map) in &mut alone.maps {
        own(map);
        if let MapSource::Pinned(_) | MapSource::Id(_) = &map.source {
            let edge = alone.objects.iter_mut().find_map(|(object, table)| {
                let at = table.edges.iter().position(|(_, map)| map.value == *name)?;
                Some((object.clone(), table.edges.remove(at).0))
            });
            let shape = shapes.get(name);
            if let Some((object, At { value: symbol, span })) = edge {
                map.source = MapSource::From(At { value: (object, symbol), span: span.clone() });
                map.max_entries = shape.map(|shape| At { value: shape.max_entries, span });
            } else if let Some(shape) = shape {
                inline(map, shape);
            }
        }
    }
    for (name, At { value: given, .. }) in contents {
        fill(&mut alone, name, given, objects);
    }
    alone
}

/// Takes from a map what it has on the host.
fn own(map: &mut Map) {
    (map.pin, map.protect, map.adopt, map.access) = (None, false, false, Access::default());
    map.accounts.clear();
}

/// Makes a map one of the same shape.
fn inline(map: &mut Map, shape: &MapInfo) {
    let at = |value| At { value, span: map.span.clone() };
    let map_type = At { value: shape.map_type, span: map.span.clone() };
    (map.max_entries, map.flags) = (Some(at(shape.max_entries)), Some(at(shape.flags)));
    map.source = MapSource::Inline { map_type, key_size: shape.key_size, value_size: shape.value_size };
}

/// Gives a map its contents: one with a table there, and else one that only its object knows.
fn fill(manifest: &mut Manifest, name: &MapName, given: &TestMap, objects: &BTreeMap<ObjectName, ObjectFile>) {
    let name = match &given.symbol {
        Some(symbol) => named(manifest, symbol).unwrap_or_else(|| name.clone()),
        None => name.clone(),
    };
    if let Some(map) = manifest.maps.get_mut(&name) {
        let value = map.entries.as_ref().and_then(|entries| entries.value.as_ref());
        map.entries = Some(given.entries(value));
    } else if let Some(symbol) = &given.symbol {
        let span = given.entries.span.clone();
        for other in sharing(symbol, objects) {
            let Some(table) = manifest.objects.get_mut(other) else { continue };
            if !table.edges.iter().any(|(known, _)| known.value == symbol.1) {
                let edge = (symbol.1.clone(), name.clone());
                table.edges.push((At { value: edge.0, span: span.clone() }, At { value: edge.1, span: span.clone() }));
            }
        }
        manifest.maps.insert(name, Map::of_symbol(symbol.clone(), span, given.entries.clone()));
    }
}

/// Lists the other objects that have a map of the same name and share it by their own pinning attributes.
fn sharing<'a>(
    (object, symbol): &(ObjectName, SymbolRef),
    objects: &'a BTreeMap<ObjectName, ObjectFile>,
) -> impl Iterator<Item = &'a ObjectName> {
    let pinning = |file: &ObjectFile| symbol.find(&file.object.maps).map(|at| file.object.maps[at].pinning);
    let own = objects.get(object).and_then(pinning).filter(|own| matches!(own, Pinning::ByName | Pinning::GlobalNs));
    let others = objects.iter().filter(move |(other, file)| *other != object && own.is_some() && pinning(file) == own);
    others.map(|(other, _)| other)
}

/// Finds the table of a map by an object and a symbol in it.
fn named(manifest: &Manifest, (object, symbol): &(ObjectName, SymbolRef)) -> Option<MapName> {
    let defined = manifest.maps.iter().find(|(_, map)| match &map.source {
        MapSource::From(from) => from.value == (object.clone(), symbol.clone()),
        MapSource::Pinned(_) | MapSource::Id(_) | MapSource::Inline { .. } => false,
    });
    let by_edge = || {
        let edges = &manifest.objects.get(object)?.edges;
        edges.iter().find(|(known, _)| known.value == *symbol).map(|(_, map)| map.value.clone())
    };
    defined.map(|(name, _)| name.clone()).or_else(by_edge)
}

/// Leaves of what is desired what one program needs: its maps, what is in them, and what these need in turn.
pub fn only(desired: &mut Desired, program: &ProgramName) {
    let (mut programs, mut maps) = (BTreeSet::new(), BTreeSet::new());
    let (mut new_programs, mut new_maps) = (vec![program.clone()], Vec::<MapName>::new());
    loop {
        if let Some(name) = new_programs.pop() {
            if let Some(program) = desired.programs.get(&name).filter(|_| programs.insert(name.clone())) {
                new_maps.extend(program.uses().into_iter().cloned());
                new_programs.extend(program.extends.iter().map(|extends| extends.program.clone()));
            }
        } else if let Some(name) = new_maps.pop() {
            let Some(map) = desired.maps.get(&name).filter(|_| maps.insert(name.clone())) else { continue };
            let Source::Defined(definition) = &map.source else { continue };
            for slot in definition.slots.values() {
                match slot {
                    SlotSource::Map(map) => new_maps.push(map.clone()),
                    SlotSource::Program(program) => new_programs.push(program.clone()),
                    SlotSource::Cgroup(_) => {}
                }
            }
            let given = definition.contents.iter().flat_map(|contents| &contents.references.given);
            new_programs.extend(given.filter_map(|reference| reference.program.clone()));
        } else {
            break;
        }
    }
    desired.programs.retain(|name, _| programs.contains(name));
    desired.maps.retain(|name, _| maps.contains(name));
}
