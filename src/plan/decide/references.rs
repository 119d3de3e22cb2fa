//! Settles entries that name interfaces and programs: their bytes as the kernel tells them, with the indexes of interfaces
//! and the ids of programs.
//!
//! A program that is yet to be loaded has no id; until apply knows it, [`PENDING`] stands for it.

use super::{Fate, Planner};
use crate::desired::{Contents, Desired, DesiredMap, MapDefinition, MapSource, Netns, References, Span, Word};
use crate::diag::{Kind, Problem};
use crate::entries::{Duplicate, Entries};
use crate::names::{MapName, ProgramName};
use crate::plan::Mode;
use crate::plan::references::PENDING;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

impl<'a> Planner<'a> {
    /// Returns what is desired with the bytes of all entries, for which the fates of programs must be known.
    pub(super) fn settled(&mut self) -> Cow<'a, Desired> {
        let refers = |map: &&Arc<DesiredMap>| map.contents().is_some_and(|(_, it)| !it.references.given.is_empty());
        let maps: Vec<Arc<DesiredMap>> = self.desired.maps.values().filter(refers).cloned().collect();
        if maps.is_empty() {
            return Cow::Borrowed(self.desired);
        }
        let mut desired = self.desired.clone();
        for map in maps {
            let MapSource::Defined(definition) = &map.source else { continue };
            let Some(contents) = definition.contents.as_deref() else { continue };
            let Some(contents) = self.settled_contents(&map.name, definition, contents) else { continue };
            let definition = MapDefinition { contents: Some(Box::new(contents)), ..definition.clone() };
            let settled = DesiredMap { source: MapSource::Defined(definition), ..DesiredMap::clone(&map) };
            desired.maps.insert(map.name.clone(), Arc::new(settled));
        }
        Cow::Owned(desired)
    }

    fn settled_contents(&mut self, map: &MapName, definition: &MapDefinition, contents: &Contents) -> Option<Contents> {
        let (key_size, value_size) = (definition.spec.key_size as usize, definition.spec.value_size as usize);
        let given = &contents.references.given;
        let (mut keys, mut values, mut by_key) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (number, reference) in (0..).zip(given) {
            // Offline all interfaces are unknown; as keys they still differ.
            let key = self.number(&reference.key, &reference.span, u32::MAX - number)?.to_ne_bytes();
            let value = self.number(&reference.value, &reference.span, 0)?;
            let program = reference.program.as_ref().map_or(0, |program| self.id_of(program));
            let value = [value.to_ne_bytes(), program.to_ne_bytes()].concat();
            keys.extend_from_slice(&key);
            values.extend_from_slice(value.get(..value_size)?);
            by_key.insert(key.to_vec(), reference.clone());
        }
        if key_size != 4 {
            // The kernel refuses such a map in its own words.
            return None;
        }
        match Entries::of(key_size, value_size, keys, values) {
            Ok(entries) => {
                let references = References { given: given.clone(), by_key };
                Some(Contents { entries: Arc::new(entries), references, ..contents.clone() })
            }
            Err(Duplicate(first, second)) => {
                let kind = Kind::EntryTwice { map: map.clone() };
                let [first, second] = [first, second].map(|at| given[at].span.clone());
                self.problems.push(Problem::at(kind, second, "here again").and(first, "the same key"));
                None
            }
        }
    }

    /// Returns a number, or that of an interface; one that is not there is a problem.
    fn number(&mut self, word: &Word, span: &Span, offline: u32) -> Option<u32> {
        let name = match word {
            Word::Number(number) => return Some(*number),
            Word::Interface(name) => name,
        };
        match self.observed.interface(name, &Netns::OWN) {
            Some(found) => Some(found.index),
            None if self.mode == Mode::Offline => Some(offline),
            None => {
                let kind = Kind::NoInterface { name: name.clone(), netns: Netns::OWN };
                self.problems.push(Problem::at(kind, span.clone(), "this entry names it"));
                None
            }
        }
    }

    fn id_of(&self, program: &ProgramName) -> u32 {
        match self.programs.get(program) {
            Some(Fate::Keep(id)) => *id,
            Some(Fate::New(..)) | None => PENDING,
        }
    }
}
