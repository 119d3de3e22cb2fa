//! What entries of a map refer to when they are no data: programs, maps, cgroups, interfaces.
//!
//! Some fill slots of a map that is made new when one of them changes ([`SlotSource`]). Others are entries that are
//! written in place, of which the host alone knows the numbers ([`Reference`]).

use super::contents::{Target, Wrong};
use super::{EntriesMode, Span};
use crate::btf::value::{Shape, Value};
use crate::diag::{Kind, Problem, similar};
use crate::kinds::MapType;
use crate::manifest::{self, At, EntriesSource, GivenEntry, Manifest};
use crate::names::{MapName, ProgramName};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// The key of a slot: the same bytes are the same key.
#[derive(Debug, Clone)]
pub struct SlotKey {
    bytes: Vec<u8>,
    text: String,
}

impl SlotKey {
    /// Makes the key of an array, or the place of a function in a struct.
    pub fn index(index: u32) -> Self {
        Self { bytes: index.to_ne_bytes().to_vec(), text: index.to_string() }
    }

    /// Makes a key of any size, with what people call it.
    pub fn new(bytes: Vec<u8>, text: String) -> Self {
        Self { bytes, text }
    }

    /// Returns it as the kernel takes it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns it as a number, when it has four bytes.
    pub fn number(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes.as_slice().try_into().ok()?))
    }
}

/// In the order of numbers where they are some, else of bytes.
impl Ord for SlotKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.number(), &self.bytes).cmp(&(other.number(), &other.bytes))
    }
}

impl PartialOrd for SlotKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SlotKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for SlotKey {}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for SlotKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotSource {
    /// A map.
    Map(MapName),
    /// A program.
    Program(ProgramName),
    /// A cgroup, by its path as hooks have it.
    Cgroup(String),
}

impl fmt::Display for SlotSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(name) => write!(f, "map.{name}"),
            Self::Program(name) => write!(f, "program.{name}"),
            Self::Cgroup(path) => write!(f, "cgroup {path}"),
        }
    }
}

impl Serialize for SlotSource {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number of a key or a value: as it is, or of what has it on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// This number.
    Number(u32),
    /// The index of the interface with this name.
    Interface(String),
}

/// As the value of an entry.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(queue) => write!(f, "queue of {queue}"),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

/// An entry of a devmap or a cpumap: where packets go, and the program that sees them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The slot, or for a hash any number.
    pub key: Word,
    /// The interface of a devmap, the length of the queue of a cpumap.
    pub value: Word,
    /// The program that runs there.
    pub program: Option<ProgramName>,
    /// Its place in the manifest.
    pub span: Span,
}

impl Reference {
    /// Returns the names of the interfaces whose indexes it needs.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        [&self.key, &self.value].into_iter().filter_map(|word| match word {
            Word::Interface(name) => Some(name.as_str()),
            Word::Number(_) => None,
        })
    }
}

/// As the manifest says it: `eth1`, `eth1, program.y`, `queue of 192`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        self.program.iter().try_for_each(|program| write!(f, ", program.{program}"))
    }
}

/// Longest queue of a cpumap (`cpu_map_update_elem`, kernel/bpf/cpumap.c).
const LONGEST_QUEUE: u32 = 16384;

/// Bytes of a value with room for a program (`struct bpf_devmap_val`, `struct bpf_cpumap_val`).
const WITH_PROGRAM: u32 = 8;

impl Target<'_> {
    /// Reads the entries of a map of programs, maps or cgroups: the key of each slot, and what fills it.
    pub(super) fn slots(
        &self,
        manifest: &Manifest,
        entries: &manifest::MapEntries,
    ) -> Result<Vec<(SlotKey, SlotSource)>, Vec<Problem>> {
        let given = self.named(entries)?;
        if entries.mode != EntriesMode::Exact {
            let why = "it is made new when they change, so `exact` is the only `entries_mode`";
            return Err(vec![self.fault(Wrong::entry(why), entries.span.clone())]);
        }
        let shape = self.key_shape().map_err(|problem| vec![problem])?;
        let key = |entry: &GivenEntry| self.slot_key(&shape, entry).map_err(|wrong| self.fault_at_key(wrong, entry));
        let slots = self.each_once(given, &key, |key| key.bytes.clone())?;
        let (mut sources, mut problems) = (Vec::new(), Vec::new());
        for (key, value) in slots {
            match slot_source(manifest, self.spec.map_type, &value.value) {
                Ok(source) => sources.push((key, source)),
                Err(kind) => problems.push(Problem::at(*kind, value.span.clone(), "this slot")),
            }
        }
        if problems.is_empty() { Ok(sources) } else { Err(problems) }
    }

    /// Reads the entries of a devmap or a cpumap.
    pub(super) fn references(
        &self,
        manifest: &Manifest,
        entries: &manifest::MapEntries,
    ) -> Result<Vec<Reference>, Vec<Problem>> {
        let given = self.named(entries)?;
        if !entries.mode.owns_values() && entries.mode != EntriesMode::Seed {
            let why = "programs cannot change what it says, so `exact`, `merge` and `seed` are its modes";
            return Err(vec![self.fault(Wrong::entry(why), entries.span.clone())]);
        }
        let key = |entry: &GivenEntry| self.word_of_key(entry).map_err(|wrong| self.fault_at_key(wrong, entry));
        let words = self.each_once(given, &key, |word| match word {
            Word::Number(number) => (Some(*number), None),
            Word::Interface(name) => (None, Some(name.clone())),
        })?;
        let (mut references, mut problems) = (Vec::new(), Vec::new());
        for (key, value) in words {
            match self.reference(manifest, key, value) {
                Ok(reference) => references.push(reference),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(references) } else { Err(problems) }
    }

    /// Returns the entries that the manifest itself has: what they name is in it, too.
    fn named<'e>(&self, entries: &'e manifest::MapEntries) -> Result<&'e [GivenEntry], Vec<Problem>> {
        match &entries.source {
            EntriesSource::Given(given) => Ok(given),
            EntriesSource::File { .. } => {
                let why = "they name what they refer to, so they stand in the manifest, not in a file";
                Err(vec![self.fault(Wrong::entry(why), entries.span.clone())])
            }
        }
    }

    /// Reads the keys of entries, which must have values and be there once; reports all faults.
    fn each_once<'e, K, I: Ord>(
        &self,
        given: &'e [GivenEntry],
        key: &dyn Fn(&GivenEntry) -> Result<K, Problem>,
        identity: impl Fn(&K) -> I,
    ) -> Result<Vec<(K, &'e At<Value>)>, Vec<Problem>> {
        let (mut read, mut problems) = (Vec::new(), Vec::new());
        let mut seen: BTreeMap<I, &Span> = BTreeMap::new();
        for entry in given {
            let Some(value) = &entry.value else {
                problems.push(self.fault_at_key(Wrong::entry("it has no value"), entry));
                continue;
            };
            match key(entry) {
                Ok(key) => {
                    if let Some(first) = seen.insert(identity(&key), &entry.key.span) {
                        let kind = Kind::EntryTwice { map: self.name.clone() };
                        let twice = Problem::at(kind, entry.key.span.clone(), "here again");
                        problems.push(twice.and(first.clone(), "this key"));
                    }
                    read.push((key, value));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    fn slot_key(&self, shape: &Shape, entry: &GivenEntry) -> Result<SlotKey, Wrong> {
        let mut bytes = vec![0; self.spec.key_size as usize];
        shape.encode(&entry.key.value, &mut bytes).map_err(|error| Wrong::new("key", error, false))?;
        let text = match &entry.key.value {
            Value::Text(text) => text.clone(),
            other @ (Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_)) => {
                other.to_string()
            }
        };
        let key = SlotKey::new(bytes, text);
        match key.number() {
            Some(index) if self.spec.map_type != MapType::HASH_OF_MAPS => {
                self.check_index(index).map(|()| SlotKey::index(index))
            }
            Some(_) | None => Ok(key),
        }
    }

    /// Reads the key of a devmap or cpumap; a hash may be keyed by interfaces.
    fn word_of_key(&self, entry: &GivenEntry) -> Result<Word, Wrong> {
        let mut bytes = [0; 4];
        let written = self.key_shape().map(|shape| shape.encode(&entry.key.value, &mut bytes));
        let is_hash = self.spec.map_type == MapType::DEVMAP_HASH;
        match (written, &entry.key.value) {
            (Ok(Err(_)), Value::Text(name)) if is_hash && is_interface(name) => Ok(Word::Interface(name.clone())),
            (Ok(Err(error)), _) => Err(Wrong::new("key", error, false)),
            (Ok(Ok(())) | Err(_), _) => {
                let index = u32::from_ne_bytes(bytes);
                if !is_hash {
                    self.check_index(index)?;
                }
                Ok(Word::Number(index))
            }
        }
    }

    fn check_index(&self, index: u32) -> Result<(), Wrong> {
        let room = self.spec.max_entries;
        // A map that takes its size from the host has no number yet.
        if index < room || room == 0 {
            return Ok(());
        }
        let why = format!("{index} is not in 0 to {}, the slots of the map", room - 1);
        Err(Wrong { part: "key", why, help: None })
    }

    fn reference(&self, manifest: &Manifest, key: Word, value: &At<Value>) -> Result<Reference, Problem> {
        let fault = |wrong: Wrong| self.wrong(&wrong, value.span.clone(), "this value");
        let (target, program) = self.parts(&value.value).map_err(fault)?;
        let value_of = match self.spec.map_type {
            MapType::CPUMAP => queue(target),
            _ => interface(target),
        };
        let program = program.map(|program| program_of(manifest, program));
        let program =
            program.transpose().map_err(|kind| Problem::at(*kind, value.span.clone(), "this value names it"))?;
        if program.is_some() && self.spec.value_size != WITH_PROGRAM {
            let why = format!("a program needs values of {WITH_PROGRAM} bytes, and its have {}", self.spec.value_size);
            let help = match self.spec.map_type {
                MapType::CPUMAP => "declare its values as `struct bpf_cpumap_val`",
                _ => "declare its values as `struct bpf_devmap_val`",
            };
            return Err(fault(Wrong { part: "value", why, help: Some(help.to_owned()) }));
        }
        Ok(Reference { key, value: value_of.map_err(fault)?, program, span: value.span.clone() })
    }

    /// Takes a value apart: where packets go, and the program.
    fn parts<'v>(&self, value: &'v Value) -> Result<(&'v Value, Option<&'v Value>), Wrong> {
        let field = if self.spec.map_type == MapType::CPUMAP { "queue" } else { "interface" };
        let wrong = |why: String| Wrong { part: "value", why, help: None };
        let Value::Table(table) = value else { return Ok((value, None)) };
        if let Some(other) = table.keys().find(|key| *key != field && *key != "program") {
            return Err(wrong(format!("it has `{field}` and `program`, and no `{}`", other.escape_debug())));
        }
        let target = table.get(field).ok_or_else(|| wrong(format!("it has no `{field}`")))?;
        Ok((target, table.get("program")))
    }

    fn fault(&self, wrong: Wrong, span: Span) -> Problem {
        self.wrong(&wrong, span, "these entries")
    }

    fn fault_at_key(&self, wrong: Wrong, entry: &GivenEntry) -> Problem {
        self.wrong(&wrong, entry.key.span.clone(), "this key")
    }
}

/// Returns whether a text can be the name of an interface (`dev_valid_name`, net/core/dev.c).
fn is_interface(name: &str) -> bool {
    let is_bad = |c: char| c == '/' || c == ':' || c.is_whitespace();
    !name.is_empty() && name.len() < 16 && !name.contains(is_bad) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn interface(value: &Value) -> Result<Word, Wrong> {
    match value {
        Value::Text(name) if !name.is_empty() => Ok(Word::Interface(name.clone())),
        Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_) => {
            let why = format!("`{value}` is not the name of an interface");
            Err(Wrong { part: "value", why, help: Some("for example `0 = \"eth1\"`".to_owned()) })
        }
    }
}

fn queue(value: &Value) -> Result<Word, Wrong> {
    let number = match value {
        Value::Int(number) => u32::try_from(*number).ok().filter(|number| (1..=LONGEST_QUEUE).contains(number)),
        Value::Text(_) | Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_) => None,
    };
    number.map(Word::Number).ok_or_else(|| {
        let why = format!("`{value}` is not the length of a queue, 1 to {LONGEST_QUEUE} packets");
        Wrong { part: "value", why, help: Some("for example `0 = 192`".to_owned()) }
    })
}

/// Finds the program, map or cgroup that fills a slot.
fn slot_source(manifest: &Manifest, map_type: MapType, value: &Value) -> Result<SlotSource, Box<Kind>> {
    match map_type {
        MapType::PROG_ARRAY => program_of(manifest, value).map(SlotSource::Program),
        MapType::CGROUP_ARRAY => match value {
            Value::Text(path) if !path.is_empty() => Ok(SlotSource::Cgroup(path.clone())),
            other @ (Value::Text(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::List(_)
            | Value::Table(_)) => {
                let (form, example) = ("the path of a cgroup", "\"system.slice\"");
                Err(Box::new(Kind::BadReference { text: other.to_string(), form, example }))
            }
        },
        _ => {
            let declared = manifest.maps.keys().map(MapName::as_str);
            let name = named(value, "map", "map.NAME", "\"map.inner\"", declared)?;
            Ok(SlotSource::Map(MapName::new(name).expect("a map has it")))
        }
    }
}

fn program_of(manifest: &Manifest, value: &Value) -> Result<ProgramName, Box<Kind>> {
    let declared = manifest.programs.keys().map(ProgramName::as_str);
    let name = named(value, "program", "program.NAME", "\"program.drop\"", declared)?;
    Ok(ProgramName::new(name).expect("a program has it"))
}

/// Returns the name behind `map.` or `program.`, which must be declared.
fn named<'v, 'd>(
    value: &'v Value,
    what: &'static str,
    form: &'static str,
    example: &'static str,
    declared: impl Iterator<Item = &'d str> + Clone,
) -> Result<&'v str, Box<Kind>> {
    let bad = |text: String| Box::new(Kind::BadReference { text, form, example });
    let Value::Text(text) = value else { return Err(bad(value.to_string())) };
    let (_, name) = text.split_once('.').filter(|(kind, _)| *kind == what).ok_or_else(|| bad(text.clone()))?;
    match declared.clone().any(|known| known == name) {
        true => Ok(name),
        false => Err(Box::new(Kind::UnknownName { what, name: name.to_owned(), similar: similar(name, declared) })),
    }
}
