//! Maps in `maps` sections: `struct bpf_map_def` of old libbpf, aya, gobpf and the kernel's samples, and iproute2's
//! `struct bpf_elf_map`.
//!
//! All of them begin with the same five words, of which the fifth can be missing. BTF tells by the members' names what the others mean; without it
//! a definition is read in every way that its size and its numbers allow, and it is an error when these disagree.

use super::file::{Class, File, Section, Symbol, SymbolKind};
use super::{Dialect, Error, Map, Pinning, Program, Slot, SlotTarget, sections};
use crate::btf::{Btf, Kind, Member, Type, TypeId};
use crate::kinds::MapType;
use crate::spec::{MapSpec, MapTypes, flags};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Far above iproute2's 64 (`ELF_MAX_MAPS`); it bounds how many slots the maps can have among themselves.
const MAX_MAPS: usize = 1024;
/// The five words that layouts begin with.
const COMMON: usize = 5;
/// Type, sizes and number of elements: Rust's oxidebpf has maps without flags.
const SHORTEST: usize = 4;
const WORD: usize = 4;

/// A map with where its definition stands, and what ties it to others.
pub(super) struct Definition {
    /// Number of the section in the file.
    pub section: usize,
    /// From the start of the section, in bytes.
    pub offset: u64,
    pub map: Map,
    id: u32,
    inner: Inner,
    /// Where a map of maps with our id in its `inner_id` holds this map.
    slot: Option<u32>,
}

/// How a map of maps names the map that its contents are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    None,
    /// By `id`.
    Id(u32),
    /// By place in the section.
    Index(u32),
}

/// Tells whether a section holds legacy maps: `maps`, `maps/NAME`, `maps_NAME`, and odd ones such as
/// `lirc_mode2/maps`.
pub(super) fn is_maps(section: &Section<'_>) -> bool {
    section.class == Class::Data && (section.name.starts_with("maps") || section.name.ends_with("/maps"))
}

/// Reads all legacy maps, by section and offset.
pub(super) fn read(file: &File<'_>, btf: Option<&Arc<Btf>>, errors: &mut Vec<Error>) -> Vec<Definition> {
    let mut definitions = Vec::new();
    for (number, section) in file.sections.iter().enumerate().filter(|(_, section)| is_maps(section)) {
        let raw = match raw_definitions(file, number, section) {
            Ok(raw) => raw,
            Err(error) => {
                errors.push((*error).section(section.name));
                continue;
            }
        };
        if definitions.len() + raw.len() > MAX_MAPS {
            errors.push(Error::new(format!("more than {MAX_MAPS} maps")).section(section.name));
            return definitions;
        }
        for (raw, reading) in read_section(section, &raw, btf, errors) {
            let spec =
                MapSpec { types: btf.and_then(|btf| annotated_types(btf, raw.name, &reading.spec)), ..reading.spec };
            definitions.push(Definition {
                section: number,
                offset: raw.offset,
                id: reading.id,
                inner: reading.inner,
                slot: reading.slot,
                map: Map {
                    symbol: raw.name.to_owned(),
                    section: section.name.to_owned(),
                    dialect: reading.dialect,
                    spec,
                    pinning: reading.pinning,
                    data: None,
                    slots: Vec::new(),
                },
            });
        }
    }
    tie(&mut definitions, errors);
    definitions
}

/// The bytes of one definition.
struct Raw<'a> {
    name: &'a str,
    offset: u64,
    bytes: &'a [u8],
}

impl Raw<'_> {
    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    /// Returns the words that this layout gives names to, with 0 for those that the definition is too short for.
    fn words<const N: usize>(&self) -> [u32; N] {
        std::array::from_fn(|number| self.word(number * WORD).unwrap_or_default())
    }

    /// Returns whether everything from this word on is zero.
    fn ends_at(&self, word: usize) -> bool {
        self.bytes.iter().skip(word * WORD).all(|byte| *byte == 0)
    }
}

/// Cuts the section into definitions, by the size of the symbols, or where these have none by equal distances.
fn raw_definitions<'a>(file: &'a File<'a>, number: usize, section: &Section<'a>) -> Result<Vec<Raw<'a>>, Box<Error>> {
    let is_map = |symbol: &&Symbol<'_>| match symbol.kind {
        SymbolKind::Object => true,
        SymbolKind::Unknown => !symbol.local,
        SymbolKind::Function | SymbolKind::Section | SymbolKind::Other => false,
    };
    let mut symbols: Vec<_> = file.symbols_in(number).filter(is_map).collect();
    symbols.sort_by_key(|symbol| symbol.value);
    let stride = section.size.checked_div(symbols.len() as u64).filter(|stride| *stride != 0);
    let mut end = 0;
    let mut found = Vec::new();
    for symbol in symbols {
        let place = |what: String| Box::new(Error::new(what).symbol(symbol.name).offset(symbol.value));
        let size = match (symbol.size, stride) {
            (0, Some(stride)) if symbol.value.is_multiple_of(stride) => stride,
            (0, _) => return Err(place("the symbol has no size, and the definitions are no row of equal ones".into())),
            (size, _) => size,
        };
        let bytes = usize::try_from(symbol.value).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            section.data.get(start..end)
        });
        let Some(bytes) = bytes.filter(|_| symbol.value >= end) else {
            return Err(place(format!("the definition of {size} bytes overlaps another, or ends behind its section")));
        };
        if bytes.len() < SHORTEST * WORD {
            return Err(place(format!("a map definition has 16 bytes at least, and this one has {size}")));
        }
        end = symbol.value + size;
        found.push(Raw { name: symbol.name, offset: symbol.value, bytes });
    }
    Ok(found)
}

/// What a definition means.
#[derive(Debug, Clone, PartialEq)]
struct Reading {
    dialect: Dialect,
    spec: MapSpec,
    pinning: Pinning,
    id: u32,
    inner: Inner,
    slot: Option<u32>,
}

impl Reading {
    /// Returns whether two readings ask for the same map. The number that only other definitions may refer to,
    /// and the name of the layout, make no difference.
    fn agrees(&self, other: &Self) -> bool {
        (&self.spec, self.pinning, self.inner) == (&other.spec, other.pinning, other.inner)
    }
}

/// Reads each definition by its own BTF type, and those without one together by their size.
fn read_section<'a, 'r>(
    section: &Section<'_>,
    raw: &'r [Raw<'a>],
    btf: Option<&Arc<Btf>>,
    errors: &mut Vec<Error>,
) -> Vec<(&'r Raw<'a>, Reading)> {
    let types = btf.map(|btf| variable_types(btf, section.name)).unwrap_or_default();
    let mut readings: BTreeMap<usize, Reading> = BTreeMap::new();
    let mut by_size: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, definition) in raw.iter().enumerate() {
        let place = |error: Error| error.section(section.name).symbol(definition.name).offset(definition.offset);
        match (btf, types.get(definition.name)) {
            (Some(btf), Some(ty)) => match read_named(btf, *ty, definition) {
                Ok(reading) => drop(readings.insert(number, reading)),
                Err(what) => errors.push(place(Error::new(what))),
            },
            (Some(_), None) | (None, _) => by_size.entry(definition.bytes.len()).or_default().push(number),
        }
    }
    for numbers in by_size.into_values() {
        match read_sized(raw, &numbers) {
            Ok(found) => readings.extend(numbers.into_iter().zip(found)),
            Err(error) => errors.push((*error).section(section.name)),
        }
    }
    readings.into_iter().map(|(number, reading)| (&raw[number], reading)).collect()
}

/// Returns the types of the variables in a section.
fn variable_types<'a>(btf: &'a Btf, section: &str) -> HashMap<&'a str, TypeId> {
    let vars = btf.datasec(section).map(|(_, vars)| vars).unwrap_or_default();
    vars.iter()
        .filter_map(|var| match btf.get(var.ty) {
            Some(Type::Var { name, ty, .. }) => Some((name.as_str(), *ty)),
            _ => None,
        })
        .collect()
}

/// Where gobpf's pins of a map go, which only its own programs know; a manifest says its pins itself.
const NAMESPACE: &str = "namespace";

/// How deep a definition may be wrapped; aya's is three structs down.
const MAX_WRAPS: usize = 8;

/// Returns the members of the struct that defines a map.
///
/// Rust objects have it at the start of others: `HashMap { def: MapDef(UnsafeCell { value: bpf_map_def }), .. }`, where
/// the rest has no size. None when the type is no struct.
fn members_of_definition(btf: &Btf, ty: TypeId) -> Option<&[Member]> {
    let Type::Struct { members: outermost, .. } = btf.resolved(ty) else { return None };
    let mut members = outermost.as_slice();
    for _ in 0..MAX_WRAPS {
        if members.iter().any(|member| matches!(member.name.as_str(), "type" | "type_" | "map_type")) {
            return Some(members);
        }
        let mut sized = members.iter().filter(|member| btf.size_of(member.ty) != Some(0));
        let (Some(only), None) = (sized.next(), sized.next()) else { break };
        match btf.resolved(only.ty) {
            Type::Struct { members: inside, .. } if only.bit_offset == 0 => members = inside,
            _ => break,
        }
    }
    Some(outermost)
}

/// Reads a definition by the names of its members.
fn read_named(btf: &Btf, ty: TypeId, raw: &Raw<'_>) -> Result<Reading, String> {
    let Some(members) = members_of_definition(btf, ty) else {
        return Err(format!("a map is defined by a struct, but this is `{}`", btf.type_name(ty)));
    };
    let has = |name: &str| members.iter().any(|member| member.name == name);
    let (elf, gobpf) = (has("size_key"), has(NAMESPACE));
    let mut spec = MapSpec::new(MapType::UNSPEC, 0, 0, 0);
    let mut reading = Reading {
        dialect: if elf { Dialect::BpfElfMap } else { Dialect::BpfMapDef },
        spec: spec.clone(),
        pinning: Pinning::None,
        id: 0,
        inner: Inner::None,
        slot: None,
    };
    for member in members {
        let at = (member.bit_offset / 8) as usize;
        let size = btf.size_of(member.ty).unwrap_or_default() as usize;
        let value = raw.word(at).filter(|_| size == WORD);
        match (member.name.as_str(), value) {
            ("type" | "type_" | "map_type", Some(value)) => spec.map_type = MapType(value),
            ("key_size" | "size_key", Some(value)) => spec.key_size = value,
            ("value_size" | "size_value", Some(value)) => spec.value_size = value,
            ("max_entries" | "max_elem", Some(value)) => spec.max_entries = value,
            ("map_flags" | "flags", Some(value)) => spec.flags = value,
            ("numa_node", Some(value)) => spec.numa_node = Some(value),
            ("id", Some(value)) => reading.id = value,
            ("pinning", Some(value)) if elf => reading.pinning = iproute2_pinning(value),
            ("pinning", Some(value)) if gobpf => reading.pinning = gobpf_pinning(value),
            ("pinning", Some(value)) => reading.pinning = libbpf_pinning(value).unwrap_or(Pinning::Custom(value)),
            ("inner_id", Some(0)) => {}
            ("inner_id", Some(value)) => reading.inner = Inner::Id(value),
            ("inner_idx", Some(value)) => reading.slot = Some(value),
            ("inner_map_idx", Some(value)) => reading.inner = Inner::Index(value),
            (name, _) => {
                let bytes = raw.bytes.get(at..at.saturating_add(size)).unwrap_or_default();
                let means_nothing = name == NAMESPACE && is_text(bytes);
                if !means_nothing && bytes.iter().any(|byte| *byte != 0) {
                    return Err(format!("field `{name}` of the definition is set, and has no known meaning"));
                }
            }
        }
    }
    if !spec.is_map_of_maps() && matches!(reading.inner, Inner::Index(_)) {
        reading.inner = Inner::None;
    }
    if spec.flags & flags::NUMA_NODE == 0 {
        spec.numa_node = None;
    }
    Ok(Reading { spec, ..reading })
}

/// A way to read a definition without BTF.
struct Layout {
    /// For messages, with the meaning of the words after the common ones.
    name: &'static str,
    fields: &'static [&'static str],
    read: fn(&Raw<'_>, usize, usize) -> Option<Reading>,
}

const LAYOUTS: [Layout; 3] = [
    Layout { name: "bpf_map_def", fields: &["inner_map_idx", "numa_node"], read: read_samples },
    Layout { name: "bpf_map_def", fields: &["id", "pinning"], read: read_aya },
    Layout { name: "bpf_elf_map", fields: &["id", "pinning", "inner_id", "inner_idx"], read: read_iproute2 },
];

/// Six words and the 256 bytes of a namespace. No other struct is that long.
const GOBPF_SIZE: usize = 6 * WORD + 256;
const GOBPF: [Layout; 1] = [Layout { name: "bpf_map_def", fields: &["pinning"], read: read_gobpf }];

/// Reads the definitions of one section that have the same size, and so most likely the same type, in every
/// layout that can be meant. They must all say the same.
fn read_sized(raw: &[Raw<'_>], numbers: &[usize]) -> Result<Vec<Reading>, Box<Error>> {
    let mut possible: Vec<(&Layout, Vec<Reading>)> = Vec::new();
    let size = raw[numbers[0]].bytes.len();
    let layouts: &[Layout] = if size == GOBPF_SIZE { &GOBPF } else { &LAYOUTS };
    for layout in layouts {
        let readings: Option<Vec<_>> =
            numbers.iter().map(|number| (layout.read)(&raw[*number], *number, raw.len())).collect();
        if let Some(readings) = readings {
            possible.push((layout, readings));
        }
    }
    let (Some((first, readings)), Some((last, last_readings))) = (possible.first(), possible.last()) else {
        let place = &raw[numbers[0]];
        let what = format!("a map definition of {size} bytes that fits no known layout");
        return Err(Box::new(Error::new(what).symbol(place.name).offset(place.offset)));
    };
    for (layout, others) in &possible[1..] {
        let differs = readings.iter().zip(others).position(|(a, b)| !a.agrees(b));
        if let Some(at) = differs {
            let place = &raw[numbers[at]];
            let what =
                format!("the map can be meant in two ways: {} or {}", describe(first, place), describe(layout, place));
            let error = Error::new(what).symbol(place.name).offset(place.offset);
            return Err(Box::new(error.help("compile with `-g`: BTF says which struct it is")));
        }
    }
    // All agree. Only iproute2's layout is this long, and only there other definitions use the id.
    let long = size >= (COMMON + last.fields.len()) * WORD;
    let numbered = last_readings.iter().any(|reading| reading.id != 0);
    Ok(if long || numbered { last_readings.clone() } else { readings.clone() })
}

fn describe(layout: &Layout, raw: &Raw<'_>) -> String {
    let fields: Vec<_> = (layout.fields.iter().zip(COMMON..))
        .filter_map(|(field, number)| Some(format!("{field} {}", raw.word(number * WORD)?)))
        .collect();
    format!("`struct {}` with {}", layout.name, fields.join(", "))
}

fn common(words: &[u32; 9]) -> MapSpec {
    let [map_type, key_size, value_size, max_entries, flags, ..] = *words;
    MapSpec { flags, ..MapSpec::new(MapType(map_type), key_size, value_size, max_entries) }
}

/// `bpf_load.h` of the kernel's samples, where the definition that `number` of `count` maps has.
fn read_samples(raw: &Raw<'_>, number: usize, count: usize) -> Option<Reading> {
    let words = raw.words::<9>();
    let [.., index, node, _, _] = words;
    let mut spec = common(&words);
    let has_index = raw.bytes.len() > COMMON * WORD;
    let on_node = spec.flags & flags::NUMA_NODE != 0;
    let inner = match spec.is_map_of_maps() && has_index {
        true if index as usize == number || index as usize >= count => return None,
        true => Inner::Index(index),
        false if index != 0 => return None,
        false => Inner::None,
    };
    if !raw.ends_at(COMMON + 2) || (node != 0 && !on_node) {
        return None;
    }
    // Node 0 is what the flag alone asks for.
    spec.numa_node = (node != 0).then_some(node);
    Some(Reading { dialect: Dialect::BpfMapDef, spec, pinning: Pinning::None, id: 0, inner, slot: None })
}

/// `bpf_map_def` of aya, which has no maps of maps.
fn read_aya(raw: &Raw<'_>, _: usize, _: usize) -> Option<Reading> {
    let words = raw.words::<9>();
    let [.., id, pinning, _, _] = words;
    let spec = common(&words);
    let whole = raw.bytes.len() >= (COMMON + 2) * WORD;
    if !raw.ends_at(COMMON + 2) || spec.is_map_of_maps() || (!whole && id != 0) {
        return None;
    }
    let pinning = libbpf_pinning(pinning)?;
    Some(Reading { dialect: Dialect::BpfMapDef, spec, pinning, id: 0, inner: Inner::None, slot: None })
}

/// `bpf_elf_map` of iproute2, of which older versions had six and seven words.
fn read_iproute2(raw: &Raw<'_>, _: usize, _: usize) -> Option<Reading> {
    let words = raw.words::<9>();
    let [.., id, pinning, inner, slot] = words;
    let spec = common(&words);
    if !raw.ends_at(COMMON + 4) || raw.bytes.len() <= COMMON * WORD || (inner != 0 && !spec.is_map_of_maps()) {
        return None;
    }
    Some(Reading {
        dialect: Dialect::BpfElfMap,
        spec,
        pinning: iproute2_pinning(pinning),
        id,
        inner: if inner == 0 { Inner::None } else { Inner::Id(inner) },
        slot: (raw.bytes.len() >= (COMMON + 4) * WORD).then_some(slot),
    })
}

/// `bpf_map_def` of gobpf, which has no maps of maps.
fn read_gobpf(raw: &Raw<'_>, _: usize, _: usize) -> Option<Reading> {
    let words = raw.words::<9>();
    let [.., pinning, _, _, _] = words;
    let is_namespace = raw.bytes.get((COMMON + 1) * WORD..).is_some_and(is_text);
    let (spec, pinning) = (common(&words), gobpf_pinning(pinning));
    let reading = Reading { dialect: Dialect::BpfMapDef, spec, pinning, id: 0, inner: Inner::None, slot: None };
    is_namespace.then_some(reading)
}

/// Returns whether bytes hold a text in C: none but zeroes follow the first zero.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().skip_while(|byte| **byte != 0).all(|byte| *byte == 0)
}

/// `enum libbpf_pin_type`
fn libbpf_pinning(number: u32) -> Option<Pinning> {
    match number {
        0 => Some(Pinning::None),
        1 => Some(Pinning::ByName),
        _ => None,
    }
}

/// `enum bpf_pin_type` of gobpf, where every number but 0 is for a folder that the program around it knows.
fn gobpf_pinning(number: u32) -> Pinning {
    match number {
        0 => Pinning::None,
        other => Pinning::Custom(other),
    }
}

/// `PIN_*` of iproute2's `bpf_elf.h`
fn iproute2_pinning(number: u32) -> Pinning {
    match number {
        0 => Pinning::None,
        1 => Pinning::ObjectNs,
        2 => Pinning::GlobalNs,
        other => Pinning::Custom(other),
    }
}

/// Finds the types that `BPF_ANNOTATE_KV_PAIR` left: a struct with the members `key` and `value`.
fn annotated_types(btf: &Arc<Btf>, name: &str, spec: &MapSpec) -> Option<MapTypes> {
    let id = btf.find(Kind::Struct, &format!("____btf_map_{name}"))?;
    let Some(Type::Struct { members, .. }) = btf.get(id) else { return None };
    let [key, value] = members.as_slice() else { return None };
    let fits = btf.size_of(key.ty) == Some(spec.key_size) && btf.size_of(value.ty) == Some(spec.value_size);
    fits.then(|| MapTypes { btf: Arc::clone(btf), key: key.ty, value: value.ty })
}

/// Gives each map of maps its inner definition and its first contents (`bpf_maps_attach_all` of iproute2).
fn tie(definitions: &mut [Definition], errors: &mut Vec<Error>) {
    for number in 0..definitions.len() {
        let outer = &definitions[number];
        let inner = match outer.inner {
            Inner::None => continue,
            Inner::Id(id) => definitions.iter().find(|other| other.id == id && other.inner == Inner::None),
            Inner::Index(index) => (definitions.iter())
                .filter(|other| other.section == outer.section)
                .nth(index as usize)
                .filter(|other| other.inner == Inner::None),
        };
        let Some(inner) = inner else {
            let what = match outer.inner {
                Inner::Id(id) => format!("no map of the object has the id {id} that `inner_id` names"),
                Inner::Index(index) => format!("`inner_map_idx` {index} is no map that another can hold"),
                Inner::None => continue,
            };
            let map = &outer.map;
            errors.push(Error::new(what).section(&map.section).symbol(&map.symbol).offset(outer.offset));
            continue;
        };
        let spec = inner.map.spec.clone();
        let mut slots = BTreeMap::new();
        if let Inner::Id(id) = outer.inner {
            for (held, other) in definitions.iter().enumerate() {
                if let Some(index) = other.slot.filter(|index| *index != u32::MAX)
                    && other.id == id
                    && other.inner == Inner::None
                {
                    slots.insert(index, SlotTarget::Map(held));
                }
            }
        }
        let map = &mut definitions[number].map;
        map.spec.inner = Some(Box::new(spec));
        map.slots = slots.into_iter().map(|(index, target)| Slot { index, target }).collect();
    }
}

/// Puts each program of a section `ID/INDEX` into its slot. Like iproute2, no map of that id means no tail call.
pub(super) fn fill_tail_calls(definitions: &mut [Definition], programs: &[Program]) {
    for (number, program) in programs.iter().enumerate() {
        let Some((id, index)) = sections::tail_call(&program.section) else { continue };
        let owner = definitions
            .iter_mut()
            .find(|definition| definition.id == id && definition.map.spec.map_type == MapType::PROG_ARRAY);
        if let Some(owner) = owner {
            let slots = &mut owner.map.slots;
            slots.retain(|slot| slot.index != index);
            slots.push(Slot { index, target: SlotTarget::Program(number) });
            slots.sort_by_key(|slot| slot.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: u32 = MapType::HASH.0;
    const OUTER: u32 = MapType::ARRAY_OF_MAPS.0;
    const NODE: u32 = flags::NUMA_NODE;

    /// What the definitions of one section mean, each written as its map type, flags and the words after the common ones.
    type Meaning = Result<Vec<(Dialect, Pinning, u32, Inner)>, ()>;

    #[track_caller]
    fn check(definitions: &[(u32, u32, &[u32])], want: Meaning) {
        let bytes: Vec<Vec<u8>> = (definitions.iter())
            .map(|(map_type, flags, rest)| {
                let words = [*map_type, 4, 8, 16, *flags].into_iter().chain(rest.iter().copied());
                words.flat_map(u32::to_le_bytes).collect()
            })
            .collect();
        let raw: Vec<_> = bytes.iter().map(|bytes| Raw { name: "map", offset: 0, bytes }).collect();
        let numbers: Vec<_> = (0..raw.len()).collect();
        let got = read_sized(&raw, &numbers);
        let got = got.map(|found| {
            let meaning = |reading: &Reading| (reading.dialect, reading.pinning, reading.id, reading.inner);
            found.iter().map(meaning).collect::<Vec<_>>()
        });
        assert_eq!(got.map_err(drop), want, "{definitions:?}");
    }

    /// The words of gobpf's namespace, with a text at its start.
    fn namespace(pinning: u32, text: &[u8; 4]) -> Vec<u32> {
        let mut words = vec![0; GOBPF_SIZE / WORD - COMMON];
        words[..2].copy_from_slice(&[pinning, u32::from_le_bytes(*text)]);
        words
    }

    #[test]
    fn definitions_of_gobpf() {
        let def = |pinning| Ok(vec![(Dialect::BpfMapDef, pinning, 0, Inner::None)]);
        check(&[(HASH, 0, &namespace(0, b"\0\0\0\0"))], def(Pinning::None));
        check(&[(HASH, 0, &namespace(0, b"app\0"))], def(Pinning::None));
        for pinning in [1, 2, 3] {
            check(&[(HASH, 0, &namespace(pinning, b"app\0"))], def(Pinning::Custom(pinning)));
        }
        check(&[(HASH, 0, &namespace(2, b"a\0b\0"))], Err(()));
        // One word more, and it is another struct, whose sixth word is an id.
        let mut longer = namespace(2, b"app\0");
        longer.push(0);
        check(&[(HASH, 0, &longer)], Ok(vec![(Dialect::BpfElfMap, iproute2_pinning(0x0070_7061), 2, Inner::None)]));
    }

    #[test]
    fn definitions_without_types() {
        use Dialect::{BpfElfMap as Elf, BpfMapDef as Def};
        let def = |inner| Ok(vec![(Def, Pinning::None, 0, inner)]);
        let elf = |pinning, id, inner| Ok(vec![(Elf, pinning, id, inner)]);
        check(&[(HASH, 0, &[])], def(Inner::None));
        check(&[(HASH, 0, &[0])], def(Inner::None));
        check(&[(HASH, 0, &[0, 0])], def(Inner::None));
        // A hash holds no map, so the sixth word can only be an id.
        check(&[(HASH, 0, &[7])], elf(Pinning::None, 7, Inner::None));
        check(&[(HASH, 0, &[7, 2])], elf(Pinning::GlobalNs, 7, Inner::None));
        // By name, per object, or on NUMA node 1: nobody can tell.
        check(&[(HASH, 0, &[0, 1])], Err(()));
        check(&[(HASH, NODE, &[0, 1])], Err(()));
        check(&[(HASH, NODE, &[0, 0])], def(Inner::None));
        // Another definition of the same struct tells.
        let both = vec![(Elf, Pinning::ObjectNs, 0, Inner::None), (Elf, Pinning::GlobalNs, 0, Inner::None)];
        check(&[(HASH, 0, &[0, 1]), (HASH, 0, &[0, 2])], Ok(both));
        // The template is the first map, or is not said.
        check(&[(HASH, 0, &[0, 0]), (OUTER, 0, &[0, 0])], Err(()));
        check(&[(OUTER, 0, &[5, 0, 9, 0])], elf(Pinning::None, 5, Inner::Id(9)));
        check(&[(HASH, 0, &[0, 0, 0, 0])], elf(Pinning::None, 0, Inner::None));
        check(&[(HASH, 0, &[0, 3, 0, 0])], elf(Pinning::Custom(3), 0, Inner::None));
        // Longer than everything known: fine as long as it says nothing.
        check(&[(HASH, 0, &[0, 2, 0, 0, 0])], elf(Pinning::GlobalNs, 0, Inner::None));
        check(&[(HASH, 0, &[0, 2, 0, 0, 1])], Err(()));
        check(&[(HASH, 0, &[0, 0, 3, 0])], Err(()));
    }
}
