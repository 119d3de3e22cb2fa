//! The first of the entries that a plan writes, as people read them: by formats and types, else as bytes.

use crate::cells::Layout;
use crate::desired::{Reference, Word};
use crate::entries::Entries;
use crate::kinds::MapType;
use crate::plan::references::{PENDING, program_id};
use crate::plan::{Marker, Writes};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// An entry that is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Entry")]
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
    let (changes, layout) = (&writes.changes, Layout::new(&writes.spec, &writes.formats));
    let text = |entries: &Entries, marker| -> Vec<Sampled> {
        let first = entries.iter().take(most);
        let entry = |(key, value): (&[u8], &[u8])| Sampled {
            marker,
            key: key_text(writes, &layout, key),
            value: match writes.references.get(key).filter(|_| marker != Marker::Remove) {
                Some(reference) => reference_text(reference, value),
                None => value_text(writes, &layout, value),
            },
            before: None,
        };
        first.map(entry).collect()
    };
    let mut changed = text(&changes.changed, Marker::Change);
    for (sampled, (_, before)) in changed.iter_mut().zip(changes.before.iter()) {
        sampled.before = Some(value_text(writes, &layout, before));
    }
    let removed = text(&changes.removed, Marker::Remove);
    removed.into_iter().chain(changed).chain(text(&changes.added, Marker::Create)).take(most).collect()
}

fn key_text(writes: &Writes, layout: &Layout, key: &[u8]) -> String {
    match (writes.references.get(key).map(|reference| &reference.key), key.try_into().map(u32::from_ne_bytes)) {
        (Some(Word::Interface(name)), _) => name.clone(),
        (Some(Word::Number(number)), _) => number.to_string(),
        (None, Ok(number)) if is_reference(writes.spec.map_type) => number.to_string(),
        (None, _) => layout.key(key).text(),
    }
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

/// Writes what is below a key: once where all CPUs have the same, else as a list.
fn value_text(writes: &Writes, layout: &Layout, bytes: &[u8]) -> String {
    if is_reference(writes.spec.map_type) {
        return foreign_reference(writes.spec.map_type, bytes);
    }
    let mut each = layout.data(bytes).map(|cell| cell.text());
    let first = each.next().unwrap_or_default();
    let rest: Vec<String> = each.collect();
    match rest.iter().all(|value| *value == first) {
        true => first,
        false => format!("[{first}, {}]", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::value::format::{Format, Formats, Written};
    use crate::entries::Changes;
    use crate::plan::samples;
    use crate::spec::MapSpec;

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
    fn formats_say_how_entries_are_written() {
        let format = |text: &str| Format::try_from(Written::One(text.to_owned())).ok();
        let formats = Formats { key: format("ipv4"), value: format("be64") };
        let texts = |writes: &Writes| -> Vec<String> {
            sample(writes, 1).into_iter().map(|entry| format!("{} = {}", entry.key, entry.value)).collect()
        };
        assert_eq!(texts(&Writes { formats, ..writes() }), ["\"0.0.0.1\" = 1"]);
        let prefixes = Entries::of(8, 8, [8, 0, 0, 0, 10, 0, 0, 0].to_vec(), vec![0xff; 8]).expect("one entry");
        let spec = MapSpec::new(MapType::LPM_TRIE, 8, 8, 1);
        let trie = Writes { spec, ..samples::writes(Changes::first(&prefixes)) };
        assert_eq!(texts(&trie), ["\"10.0.0.0/8\" = hex:ffffffffffffffff"]);
        // Another size: the format is of another map.
        let formats = Formats { key: format("ipv4"), value: format("u64") };
        assert_eq!(texts(&Writes { formats, ..trie }), ["\"10.0.0.0/8\" = 18446744073709551615"]);
    }

    #[test]
    fn values_of_cpus_are_told_apart() {
        let spec = MapSpec::new(MapType::PERCPU_ARRAY, 4, 4, 1);
        let layout = Layout::new(&spec, &Formats::default());
        let writes = Writes { spec: spec.clone(), ..writes() };
        let rows = [
            (&[1, 0, 0, 0, 9, 9, 9, 9, 1, 0, 0, 0, 0, 0, 0, 0][..], "hex:01000000"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], "[hex:01000000, hex:02000000]"),
            (&[], ""),
        ];
        for (bytes, text) in rows {
            assert_eq!(value_text(&writes, &layout, bytes), text);
        }
    }
}
