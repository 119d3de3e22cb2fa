//! What the entries of a map become in the map that takes its place. Pure: `apply::migrate` reads and writes them.

use crate::btf::convert::{Conversion, Fate, Refusal};
use crate::btf::{TypeId, value};
use crate::entries::{Duplicate, Entries};
use crate::kinds::MapType;
use crate::names::hex;
use crate::spec::{Host, MapSpec, MapTypes};
use crate::variables::Patch;
use std::fmt;
use std::sync::Arc;

/// Entries that did not fit and are named; others are counted.
const NAMED: usize = 3;

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// How the entries of one map become those of another.
#[derive(Debug, Clone)]
pub struct Migration {
    /// How keys become keys.
    pub key: Conversion,
    /// How values become values; for a per-CPU map those of each CPU.
    pub value: Conversion,
    /// The map that was there.
    from: Shape,
    /// The map that takes its place.
    to: Shape,
    /// What the old keys are, to name them.
    types: Option<MapTypes>,
    /// Whether no key and value may be shown.
    is_hidden: bool,
    /// What the new map is when it is a section of variables.
    section: Option<Section>,
}

/// A section of variables that takes the place of another one.
#[derive(Debug, Clone)]
struct Section {
    /// What it starts with: variables that there were none of keep that.
    first: Arc<[u8]>,
    /// What the manifest sets in it.
    set: Vec<Patch>,
}

/// What of a map decides how its entries look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    map_type: MapType,
    key: usize,
    /// Bytes of a value as user space has it.
    value: usize,
    /// Bytes of the value of one CPU, with what fills its last word.
    part: usize,
    max_entries: usize,
}

/// What became of a set of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Those that fit, as the new map takes them.
    pub entries: Entries,
    /// Those that do not.
    pub misfits: Misfits,
}

/// Entries that have no place in the new map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misfits {
    /// How many.
    pub count: u64,
    /// The first of them, each with its reason.
    pub named: Vec<String>,
}

/// Two keys that would be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision(pub String, pub String);

impl Misfits {
    /// Adds one; its name and reason are only made for the first of them.
    pub fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(name());
        }
    }
}

/// As ` (key 1: x is 70000, and from 0 to 65535 fits; and 2 more)`, and nothing where none is named.
impl fmt::Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.named.is_empty() {
            return Ok(());
        }
        write!(f, " ({}", self.named.join("; "))?;
        match self.count.saturating_sub(self.named.len() as u64) {
            0 => f.write_str(")"),
            more => write!(f, "; and {more} more)"),
        }
    }
}

/// Two keys as they were: `{addr: 1} and {addr: 2}`.
impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.0, self.1)
    }
}

/// Maps between which entries can go over: the same way to hold them, and as many values.
const FAMILIES: &[&[MapType]] = &[
    &[MapType::HASH, MapType::LRU_HASH],
    &[MapType::PERCPU_HASH, MapType::LRU_PERCPU_HASH],
    &[MapType::ARRAY],
    &[MapType::PERCPU_ARRAY],
    &[MapType::LPM_TRIE],
];

impl Migration {
    /// Says how entries go over from a map that is there to one as it is defined now.
    ///
    /// # Errors
    /// Every reason why they cannot, as sentences without capital and full stop.
    pub fn between(old: &MapSpec, new: &MapSpec, host: &Host) -> Result<Self, Vec<String>> {
        check_types(old.map_type, new.map_type).map_err(|why| vec![why])?;
        let part = |sizes: (u32, u32), types: fn(&MapTypes) -> TypeId, what: &str| {
            let side = |spec: &MapSpec, size: u32| typed(spec, size, types);
            match (side(old, sizes.0), side(new, sizes.1)) {
                (Some(left), Some(right)) => {
                    Conversion::between((&left.btf, types(&left)), (&right.btf, types(&right)))
                        .map_err(|refusals| refusals.iter().map(|refusal| sentence(what, refusal)).collect())
                }
                _ if sizes.0 == sizes.1 => Ok(Conversion::same(sizes.0 as usize)),
                (left, _) => {
                    let lacks = if left.is_none() { "the pinned map" } else { "the definition" };
                    let (there, here) = sizes;
                    Err(vec![format!(
                        "its {what} has {there} bytes there and {here} here, and {lacks} has no BTF that tells its fields"
                    )])
                }
            }
        };
        let key = part((old.key_size, new.key_size), |types| types.key, "key");
        let value = part((old.value_size, new.value_size), |types| types.value, "value");
        let (key, value) = match (key, value) {
            (Ok(key), Ok(value)) => (key, value),
            (key, value) => return Err([key.err(), value.err()].into_iter().flatten().flatten().collect()),
        };
        if !key.is_same() && new.map_type == MapType::LPM_TRIE {
            return Err(vec!["its key is a prefix, which means something else in another layout".to_owned()]);
        }
        let shape = |spec: &MapSpec| Shape {
            map_type: spec.map_type,
            key: spec.key_size as usize,
            value: spec.user_value_size(host),
            part: match spec.map_type.is_per_cpu() {
                true => (spec.value_size as usize).next_multiple_of(8),
                false => spec.value_size as usize,
            },
            max_entries: spec.reported(host).max_entries as usize,
        };
        let (from, to, types) = (shape(old), shape(new), old.types.clone());
        Ok(Self { key, value, from, to, types, is_hidden: false, section: None })
    }

    /// Returns the same for a section of variables: which bytes it starts with, and what the manifest sets in it whatever
    /// the old one holds.
    #[must_use]
    pub fn of_section(self, first: Arc<[u8]>, set: impl Iterator<Item = Patch>) -> Self {
        Self { section: Some(Section { first, set: set.collect() }), ..self }
    }

    /// Returns whether it is a section of variables that goes over.
    pub fn is_section(&self) -> bool {
        self.section.is_some()
    }

    /// Returns the same, which then names no key and value where they are sensitive.
    #[must_use]
    pub fn hiding(self, is_hidden: bool) -> Self {
        Self { is_hidden, ..self }
    }

    /// Returns the bytes of keys and values as user space reads them from the old map.
    pub fn from_sizes(&self) -> (usize, usize) {
        (self.from.key, self.from.value)
    }

    /// Returns the bytes of keys and values as user space reads them from the new map.
    pub fn to_sizes(&self) -> (usize, usize) {
        (self.to.key, self.to.value)
    }

    /// Returns whether the new map lets entries go to make room for others.
    pub fn may_evict(&self) -> bool {
        [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH].contains(&self.to.map_type)
    }

    /// Returns whether every index has an entry in the new map.
    pub fn is_array(&self) -> bool {
        self.to.map_type.is_array()
    }

    /// Converts what a map holds.
    ///
    /// # Errors
    /// Two keys of it that would be one.
    pub fn convert(&self, entries: &Entries) -> Result<Converted, Collision> {
        let mut misfits = Misfits::default();
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        if let Some(room) = self.room(entries.len()) {
            keys.reserve_exact(room * self.to.key);
            values.reserve_exact(room * self.to.value);
        }
        let mut count = 0;
        let mut given = Vec::new();
        for (at, (key, value)) in entries.iter().enumerate() {
            match self.convert_one(key, value) {
                Ok(None) => {}
                Ok(Some(_)) if !self.is_array() && count == self.to.max_entries => {
                    self.misfit(&mut misfits, key, "the new map has no room for it");
                }
                Ok(Some((new_key, new_value))) => {
                    count += 1;
                    keys.extend_from_slice(&new_key);
                    values.extend_from_slice(&new_value);
                    if !self.key.is_same() {
                        given.push(at);
                    }
                }
                Err(why) => self.misfit(&mut misfits, key, &why),
            }
        }
        let converted = Entries::of(self.to.key, self.to.value, keys, values);
        let name = |at: usize| {
            let key = given.get(at).and_then(|at| entries.iter().nth(*at)).map(|(key, _)| self.name(key));
            key.unwrap_or_else(|| format!("entry {at}"))
        };
        let entries = converted.map_err(|Duplicate(one, other)| Collision(name(one), name(other)))?;
        Ok(Converted { entries, misfits })
    }

    /// Returns for how many entries memory is taken at once.
    fn room(&self, entries: usize) -> Option<usize> {
        (self.to.value > 0).then(|| entries.min(self.to.max_entries))
    }

    /// Converts one entry; `None` for one of which nothing is lost when it goes.
    ///
    /// # Errors
    /// Why it does not fit, as the end of a sentence.
    pub fn convert_one(&self, key: &[u8], value: &[u8]) -> Result<Option<Pair>, String> {
        let (mut new_key, mut new_value) = (vec![0; self.to.key], vec![0; self.to.value]);
        self.key.convert(key, &mut new_key).map_err(|misfit| format!("of the key, {misfit}"))?;
        if self.is_array() && index(&new_key) >= self.to.max_entries {
            let is_zero = value.iter().all(|byte| *byte == 0);
            return if is_zero { Ok(None) } else { Err("it is behind the new end and not zero".to_owned()) };
        }
        if let Some(section) = &self.section {
            new_value.iter_mut().zip(section.first.iter()).for_each(|(byte, first)| *byte = *first);
        }
        for (value, new_value) in value.chunks(self.from.part.max(1)).zip(new_value.chunks_mut(self.to.part.max(1))) {
            self.value.convert(value, new_value).map_err(|misfit| misfit.to_string())?;
        }
        self.section.iter().flat_map(|section| &section.set).for_each(|set| set.write(&mut new_value));
        Ok(Some((new_key, new_value)))
    }

    /// Adds an entry that does not fit, by its old key.
    pub fn misfit(&self, misfits: &mut Misfits, key: &[u8], why: &str) {
        match self.is_hidden {
            true => misfits.count += 1,
            false => misfits.add(|| format!("key {}: {why}", self.name(key))),
        }
    }

    /// Writes an old key as people read it.
    fn name(&self, key: &[u8]) -> String {
        if self.is_hidden {
            return "(sensitive)".to_owned();
        }
        let types = self.types.as_ref().filter(|types| types.key != 0);
        let typed = types.and_then(|types| value::format(&types.btf, types.key, key).ok());
        typed.unwrap_or_else(|| match <[u8; 4]>::try_from(key) {
            Ok(number) if self.is_array() => u32::from_ne_bytes(number).to_string(),
            Ok(_) | Err(_) => hex(key),
        })
    }

    /// Lists the fields of keys and values of which this becomes, with their types where they are others; of a section its
    /// variables.
    pub fn fields(&self, fate: fn(&Fate) -> bool) -> Vec<String> {
        let parts = [("key", &self.key), ("value", &self.value)];
        let is_section = self.is_section();
        let of = |(what, conversion): (&'static str, &Conversion)| {
            let fields = conversion.fields.iter().filter(|field| fate(&field.fate));
            let fields = fields.filter(|_| !is_section || what == "value");
            let words = fields.map(move |field| {
                let place = match field.path.as_str() {
                    "" => what.to_owned(),
                    path if is_section => path.to_owned(),
                    path => format!("{what} {path}"),
                };
                match &field.fate {
                    Fate::Converted { from, to } => format!("{place} ({from} to {to})"),
                    Fate::Kept | Fate::New | Fate::Dropped => place,
                }
            });
            words.collect::<Vec<_>>()
        };
        parts.into_iter().flat_map(of).collect()
    }

    /// Returns whether contents of every entry go, because a field of it does.
    pub fn drops(&self) -> bool {
        self.key.drops() || self.value.drops()
    }
}

/// How fields go over: `all fields kept`, `kept: key, value packets; new, zero: value mark`.
impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_same() && self.value.is_same() {
            return f.write_str("keys and values kept");
        }
        type Is = fn(&Fate) -> bool;
        let groups: [(&str, Is); 4] = [
            ("kept", |fate| matches!(fate, Fate::Kept)),
            ("converted", |fate| matches!(fate, Fate::Converted { .. })),
            (if self.is_section() { "new" } else { "new, zero" }, |fate| matches!(fate, Fate::New)),
            ("DROPPED", |fate| matches!(fate, Fate::Dropped)),
        ];
        let groups = groups.into_iter().map(|(word, fate)| (word, self.fields(fate)));
        let words: Vec<String> = groups
            .filter(|(_, fields)| !fields.is_empty())
            .map(|(word, fields)| format!("{word}: {}", fields.join(", ")))
            .collect();
        f.write_str(&words.join("; "))
    }
}

fn index(key: &[u8]) -> usize {
    <[u8; 4]>::try_from(key).map_or(usize::MAX, |key| u32::from_ne_bytes(key) as usize)
}

/// Returns the types of a map where they tell the layout of this part.
fn typed(spec: &MapSpec, size: u32, of: fn(&MapTypes) -> TypeId) -> Option<MapTypes> {
    let types = spec.types.as_ref().filter(|types| of(types) != 0)?;
    (types.btf.size_of(of(types)) == Some(size)).then(|| types.clone())
}

fn check_types(old: MapType, new: MapType) -> Result<(), String> {
    let same = |family: &&&[MapType]| family.contains(&old) && family.contains(&new);
    let change = format!("it is {old} there and {new} here");
    match FAMILIES.iter().find(same) {
        Some(_) => Ok(()),
        None if !old.has_entries() => Err(format!("entries of a map of the type {old} cannot be copied")),
        None if old.is_per_cpu() && !new.is_per_cpu() => {
            Err(format!("{change}: nobody can say how the values of all CPUs become one"))
        }
        None if new.is_per_cpu() && !old.is_per_cpu() => {
            Err(format!("{change}: nobody can say which CPU gets the value"))
        }
        None => Err(format!("{change}, which hold their entries in different ways")),
    }
}

fn sentence(what: &str, refusal: &Refusal) -> String {
    let Refusal { path, why } = refusal;
    if path.is_empty() { format!("its {what} {why}") } else { format!("{what} {path} {why}") }
}

/// What became of the entries of a map that got another one in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were copied at first.
    pub copied: u64,
    /// How many changes that the old map had since were made in the new one, too.
    pub caught_up: u64,
    /// How many changes of the old map were left out, since the new one's entry had changed as well.
    pub both: u64,
    /// What did not fit.
    pub misfits: Misfits,
}

/// As `7 copied, 2 caught up, 1 changed on both sides (the new one is kept), 0 did not fit`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copied, caught_up, both, misfits } = self;
        write!(f, "{copied} copied, {caught_up} caught up, {both} changed on both sides")?;
        if *both > 0 {
            f.write_str(" (the new one is kept)")?;
        }
        match misfits.count {
            0 => f.write_str(", 0 did not fit"),
            count => write!(f, ", {count} did not fit{misfits}"),
        }
    }
}

#[cfg(test)]
#[path = "migrate/tests.rs"]
mod tests;
