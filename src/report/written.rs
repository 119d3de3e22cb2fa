//! The first of the entries that a plan writes, as people read them: by the types of keys and values, else as bytes.

use crate::btf::value;
use crate::desired::{Reference, Word};
use crate::entries::Entries;
use crate::kinds::MapType;
use crate::plan::references::{PENDING, program_id};
use crate::plan::{Marker, Writes};
use crate::spec::MapSpec;
use serde::Serialize;
use std::fmt::Write as _;

/// An entry that is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// Whether it comes, changes or goes.
    pub marker: Marker,
    /// Its key.
    pub key: String,
    /// Its value, or the one that it has until it goes.
    pub value: String,
    /// The value that it has until it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Returns the first entries that are written, at most `most`: those that go, then those that change, then those that
/// come, for there may be very many of those. None of what nobody may see.
pub fn sample(writes: &Writes, most: usize) -> Vec<Sampled> {
    if writes.sensitive {
        return Vec::new();
    }
    let changes = &writes.changes;
    let text = |entries: &Entries, marker| -> Vec<Sampled> {
        let first = entries.iter().take(most);
        let entry = |(key, value): (&[u8], &[u8])| Sampled {
            marker,
            key: key_text(writes, key),
            value: match writes.references.get(key).filter(|_| marker != Marker::Remove) {
                Some(reference) => reference_text(reference, value),
                None => value_text(&writes.spec, value),
            },
            before: None,
        };
        first.map(entry).collect()
    };
    let mut changed = text(&changes.changed, Marker::Change);
    for (sampled, (_, before)) in changed.iter_mut().zip(changes.before.iter()) {
        sampled.before = Some(value_text(&writes.spec, before));
    }
    let removed = text(&changes.removed, Marker::Remove);
    removed.into_iter().chain(changed).chain(text(&changes.added, Marker::Create)).take(most).collect()
}

fn key_text(writes: &Writes, key: &[u8]) -> String {
    match (writes.references.get(key).map(|reference| &reference.key), key.try_into().map(u32::from_ne_bytes)) {
        (Some(Word::Interface(name)), _) => return name.clone(),
        (Some(Word::Number(number)), _) => return number.to_string(),
        (None, Ok(number)) if is_reference(writes.spec.map_type) => return number.to_string(),
        (None, _) => {}
    }
    let types = writes.spec.types.as_ref().filter(|types| types.key != 0);
    let typed = types.and_then(|types| value::format(&types.btf, types.key, key).ok());
    typed.unwrap_or_else(|| hex(key))
}

fn is_reference(map_type: MapType) -> bool {
    [MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::CPUMAP].contains(&map_type)
}

/// Writes what the manifest calls a value, the index of the interface where it is known, and whether the program is new.
fn reference_text(reference: &Reference, value: &[u8]) -> String {
    let index = value.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
    let mut text = match &reference.value {
        Word::Interface(name) if index != 0 => format!("{name} (index {index})"),
        word @ (Word::Interface(_) | Word::Number(_)) => word.to_string(),
    };
    if let Some(program) = &reference.program {
        let is_new = if program_id(value) == Some(PENDING) { " (new)" } else { "" };
        write!(text, ", program.{program}{is_new}").expect("writing to a String never fails");
    }
    text
}

/// Writes a number and a program as the kernel has them, of which the manifest has no word any more.
fn foreign_reference(map_type: MapType, value: &[u8]) -> String {
    let first = value.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
    let program = program_id(value).map_or_else(String::new, |id| format!(", program id {id}"));
    match map_type {
        MapType::CPUMAP => format!("queue of {first}{program}"),
        _ => format!("interface index {first}{program}"),
    }
}

/// Writes a value; that of a per-CPU map once where all CPUs have the same, else as a list.
fn value_text(spec: &MapSpec, bytes: &[u8]) -> String {
    if is_reference(spec.map_type) {
        return foreign_reference(spec.map_type, bytes);
    }
    let size = spec.value_size as usize;
    let types = spec.types.as_ref().filter(|types| types.value != 0);
    let one = |bytes: &[u8]| {
        let bytes = &bytes[..size.min(bytes.len())];
        let typed = types.and_then(|types| value::format(&types.btf, types.value, bytes).ok());
        typed.unwrap_or_else(|| hex(bytes))
    };
    if !spec.map_type.is_per_cpu() || size == 0 {
        return one(bytes);
    }
    let mut each = bytes.chunks(size.next_multiple_of(8)).map(one);
    let first = each.next().unwrap_or_default();
    let rest: Vec<String> = each.collect();
    match rest.iter().all(|value| *value == first) {
        true => first,
        false => format!("[{first}, {}]", rest.join(", ")),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::from("hex:");
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").expect("writing to a String never fails"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::Changes;
    use crate::plan::samples;

    fn entries(pairs: &[(u32, u64)]) -> Entries {
        let keys = pairs.iter().flat_map(|(key, _)| key.to_be_bytes()).collect();
        Entries::of(4, 8, keys, pairs.iter().flat_map(|(_, value)| value.to_be_bytes()).collect())
            .expect("no key twice")
    }

    fn writes() -> Writes {
        let live = entries(&[(1, 1), (2, 2), (3, 3)]);
        let changes = Changes::between(&live, &entries(&[(2, 5), (3, 3), (7, 7), (8, 8)]), |_| true);
        samples::writes(changes)
    }

    #[test]
    fn the_first_entries_are_written() {
        let lines = |most: usize| -> Vec<String> {
            let line = |entry: Sampled| match entry.before {
                Some(before) => format!("{} {} = {before} -> {}", entry.marker, entry.key, entry.value),
                None => format!("{} {} = {}", entry.marker, entry.key, entry.value),
            };
            sample(&writes(), most).into_iter().map(line).collect()
        };
        let all = [
            "- hex:00000001 = hex:0000000000000001",
            "~ hex:00000002 = hex:0000000000000002 -> hex:0000000000000005",
            "+ hex:00000007 = hex:0000000000000007",
            "+ hex:00000008 = hex:0000000000000008",
        ];
        for most in 0..=5 {
            assert_eq!(lines(most), all[..most.min(4)], "{most}");
        }
        assert_eq!(sample(&Writes { sensitive: true, ..writes() }, 9), []);
    }

    #[test]
    fn values_of_cpus_are_told_apart() {
        let spec = MapSpec::new(MapType::PERCPU_ARRAY, 4, 4, 1);
        let rows = [
            (&[1, 0, 0, 0, 9, 9, 9, 9, 1, 0, 0, 0, 0, 0, 0, 0][..], "hex:01000000"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], "[hex:01000000, hex:02000000]"),
            (&[], ""),
        ];
        for (bytes, text) in rows {
            assert_eq!(value_text(&spec, bytes), text);
        }
    }
}
