//! Some of the bytes of a data section: what the manifest says of variables, and what changes in a map that runs.
//!
//! Pure. A variable, a field or a bit-field is the bits that its value takes, so that what lies beside them stays what
//! programs made of it.

use crate::names::{Digest, hex};
use crate::spec::MapTypes;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Bits of a data section, with what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// The first byte, from the start of the section.
    pub offset: usize,
    /// The bytes; bits that are no part of it are 0.
    pub value: Vec<u8>,
    /// For each byte which of its bits are part of it; empty when all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<u8>,
}

impl Patch {
    /// Takes what was written into zeros as well as into ones; `offset` is where both start.
    pub fn written(offset: usize, zeros: &[u8], ones: &[u8]) -> Self {
        let mask: Vec<u8> = zeros.iter().zip(ones).map(|(zero, one)| !(zero ^ one)).collect();
        Self::of(offset, zeros, &mask)
    }

    /// Takes the bits of a mask from bytes of the same length.
    fn of(offset: usize, bytes: &[u8], mask: &[u8]) -> Self {
        let start = mask.iter().position(|bits| *bits != 0).unwrap_or(mask.len());
        let end = mask.iter().rposition(|bits| *bits != 0).map_or(start, |last| last + 1);
        let value = bytes[start..end].iter().zip(&mask[start..end]).map(|(byte, bits)| byte & bits).collect();
        let mask = &mask[start..end];
        let is_whole = mask.iter().all(|bits| *bits == u8::MAX);
        Self { offset: offset + start, value, mask: if is_whole { Vec::new() } else { mask.to_vec() } }
    }

    /// Returns the bytes that it has a part in.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset.saturating_add(self.value.len())
    }

    /// Lists its bytes: where each is in the section, which of its bits count, and what they hold.
    pub fn bytes(&self) -> impl Iterator<Item = (usize, u8, u8)> {
        let mask = self.mask.iter().copied().chain(std::iter::repeat(u8::MAX));
        self.value
            .iter()
            .zip(mask)
            .enumerate()
            .map(|(at, (value, mask))| (self.offset.saturating_add(at), mask, value & mask))
    }

    /// Writes it into a section; what is behind the end of that is left out.
    pub fn write(&self, section: &mut [u8]) {
        for (at, mask, value) in self.bytes() {
            if let Some(byte) = section.get_mut(at) {
                *byte = *byte & !mask | value;
            }
        }
    }

    /// Returns whether a section holds it.
    pub fn is_in(&self, section: &[u8]) -> bool {
        self.bytes().all(|(at, mask, value)| section.get(at).is_some_and(|byte| byte & mask == value))
    }

    /// Returns the same bits with what a section holds there; zeros behind its end.
    #[must_use]
    pub fn taken(&self, section: &[u8]) -> Self {
        let value = self.bytes().map(|(at, mask, _)| section.get(at).copied().unwrap_or(0) & mask).collect();
        Self { value, ..self.clone() }
    }

    /// Returns the bits of both, with what a section holds there.
    fn with(&self, other: &Self, section: &[u8]) -> Self {
        let start = self.offset.min(other.offset);
        let end = self.range().end.max(other.range().end).min(section.len()).max(start);
        let mut mask = vec![0; end - start];
        for (at, bits, _) in self.bytes().chain(other.bytes()) {
            if let Some(byte) = mask.get_mut(at - start) {
                *byte |= bits;
            }
        }
        let bytes: Vec<u8> = (start..end).map(|at| section.get(at).copied().unwrap_or(0)).collect();
        Self::of(start, &bytes, &mask)
    }
}

/// A variable, or a field of one, that the manifest sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// What it is set to.
    pub set: Patch,
    /// What the object starts with there: bytes as those of `set`.
    pub first: Vec<u8>,
}

impl Variable {
    /// Returns what the object starts with.
    pub fn first(&self) -> Patch {
        Patch { value: self.first.clone(), ..self.set.clone() }
    }
}

/// A variable that gets another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The variable, with the field behind a dot.
    pub name: String,
    /// What is there.
    pub before: Patch,
    /// What comes there.
    pub after: Patch,
    /// Both in words.
    pub words: (String, String),
}

/// Digests what variables are set to; what they hold now does not count, as programs may write it.
pub fn digest(changes: &[Change]) -> Digest {
    let set: Vec<(&str, &Patch)> = changes.iter().map(|change| (change.name.as_str(), &change.after)).collect();
    Digest::of(&serde_json::to_vec(&set).expect("names and numbers can always be written"))
}

/// Variables by name: some that were set, and some that are to be.
pub type Variables<'a> = Vec<(&'a str, &'a Variable)>;

/// Lists what has to change in a section: variables are set, and those that only were set start again.
pub fn changes(section: &[u8], were: &Variables<'_>, are: &Variables<'_>, types: Option<&MapTypes>) -> Vec<Change> {
    let mut wanted = section.to_vec();
    were.iter().for_each(|(_, variable)| variable.first().write(&mut wanted));
    are.iter().for_each(|(_, variable)| variable.set.write(&mut wanted));
    let gone = were.iter().filter(|(name, _)| !are.iter().any(|(other, _)| other == name));
    let mut changes = Vec::new();
    for (name, variable) in are.iter().chain(gone) {
        let was = were.iter().find(|(other, _)| other == name).map_or(&variable.set, |(_, was)| &was.set);
        let after = variable.set.with(was, &wanted);
        if !after.is_in(section) {
            let before = after.taken(section);
            let words = (words(types, name, &before, section), words(types, name, &after, &wanted));
            changes.push(Change { name: (*name).to_owned(), before, after, words });
        }
    }
    changes.sort_by(|one, other| one.name.cmp(&other.name));
    changes
}

/// Writes what a variable holds in a section by its type, or else as bytes.
fn words(types: Option<&MapTypes>, name: &str, patch: &Patch, section: &[u8]) -> String {
    typed(types, name, patch, section).unwrap_or_else(|| format!("hex:{}", hex(&patch.value)))
}

fn typed(types: Option<&MapTypes>, name: &str, patch: &Patch, section: &[u8]) -> Option<String> {
    let types = types?;
    let fields = types.btf.fields(types.value)?;
    let holds = |start: usize, size: u32| start <= patch.offset && patch.range().end <= start + size as usize;
    fields.iter().find_map(|field| {
        let rest = name.strip_prefix(field.name)?;
        let start = usize::try_from(field.bit_offset / 8).ok()?;
        let path = if rest.is_empty() { rest } else { rest.strip_prefix('.')? };
        if !holds(start, types.btf.size_of(field.ty)?) {
            return None;
        }
        let shape = crate::btf::value::Shape::of(&types.btf, field.ty);
        let column = if path.is_empty() { shape.whole() } else { shape.column(path).ok()? };
        column.format(section.get(start..)?).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(offset: usize, value: &[u8], mask: &[u8]) -> Patch {
        Patch { offset, value: value.to_vec(), mask: mask.to_vec() }
    }

    #[test]
    fn only_the_bits_that_are_written_count() {
        for (zeros, ones, expected) in [
            ([0, 7, 0, 0], [255, 7, 0, 255], patch(11, &[7, 0], &[])),
            ([0, 0b0100, 0, 0], [255, 0b1111_0101, 255, 255], patch(11, &[0b0100], &[0b1110])),
            ([1, 0, 0, 4], [1, 255, 255, 4], patch(10, &[1, 0, 0, 4], &[255, 0, 0, 255])),
        ] {
            let made = Patch::written(10, &zeros, &ones);
            let (mut from_zeros, mut from_ones) = (vec![0; 14], vec![255; 14]);
            made.write(&mut from_zeros);
            made.write(&mut from_ones);
            assert_eq!((&from_zeros[10..], &from_ones[10..]), (&zeros[..], &ones[..]));
            assert_eq!(made.range(), expected.range());
            assert!(made.is_in(&from_zeros) && made.is_in(&from_ones));
        }
    }

    #[test]
    fn variables_change_and_start_again() {
        let variable =
            |offset, set: &[u8], first: &[u8]| Variable { set: patch(offset, set, &[]), first: first.to_vec() };
        let (a, b) = (variable(0, &[5], &[1]), variable(2, &[9, 9], &[3, 4]));
        let shorter = variable(2, &[9], &[3]);
        let live = [5, 77, 9, 9];
        for (were, are, expected) in [
            (vec![("a", &a), ("b", &b)], vec![("a", &a), ("b", &b)], vec![]),
            (vec![("a", &a), ("b", &b)], vec![("b", &b)], vec![("a", "hex:05", "hex:01")]),
            (
                vec![("a", &a), ("b", &b)],
                vec![("b", &shorter)],
                vec![("a", "hex:05", "hex:01"), ("b", "hex:0909", "hex:0904")],
            ),
            (vec![], vec![("a", &a)], vec![]),
        ] {
            let changes = changes(&live, &were, &are, None);
            let told = changes.iter().map(|it| (it.name.as_str(), it.words.0.as_str(), it.words.1.as_str()));
            assert_eq!(told.collect::<Vec<_>>(), expected);
        }
    }
}
