//! The entries that the manifest gives a map, as bytes.
//!
//! Keys and values are written by the map's types, by the formats of the manifest, or by their mere sizes. Each of them is
//! prepared once; a million entries then fill two buffers.

use super::{Contents, Reference, References, Span};
use crate::btf::value::format::{Format, Formats};
use crate::btf::value::{Shape, Value, ValueError};
use crate::cells::Shapes;
use crate::diag::{Kind, Problem};
use crate::entries::{Duplicate, Entries};
use crate::kinds::MapType;
use crate::manifest::{self, At, EntriesSource, GivenEntry};
use crate::names::MapName;
use crate::spec::{Host, MapSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the entries of a map are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Takes {
    /// Bytes, by key.
    Data,
    /// Programs or maps of the deployment, or cgroups: it is made new when one of them is another one.
    Slots,
    /// Interfaces or queues, with programs that run there: written in place.
    References,
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// Says what the manifest can put into maps of a type.
pub(super) fn takes(map_type: MapType) -> Takes {
    match map_type {
        MapType::HASH
        | MapType::ARRAY
        | MapType::PERCPU_HASH
        | MapType::PERCPU_ARRAY
        | MapType::LRU_HASH
        | MapType::LRU_PERCPU_HASH
        | MapType::LPM_TRIE => Takes::Data,
        MapType::PROG_ARRAY | MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS | MapType::CGROUP_ARRAY => Takes::Slots,
        MapType::DEVMAP | MapType::DEVMAP_HASH | MapType::CPUMAP => Takes::References,
        MapType::XSKMAP | MapType::SOCKMAP | MapType::SOCKHASH | MapType::REUSEPORT_SOCKARRAY => {
            Takes::Nothing("it holds sockets, which only the process that has them open can put there")
        }
        MapType::QUEUE | MapType::STACK => Takes::Nothing("it has no keys: what is put in comes out once"),
        MapType::BLOOM_FILTER => Takes::Nothing("it has no keys, and does not tell what it holds"),
        MapType::RINGBUF | MapType::USER_RINGBUF => Takes::Nothing("it passes events on, and holds nothing"),
        MapType::PERF_EVENT_ARRAY => Takes::Nothing(
            "it holds the open events of the process that reads them, which opens its pin and puts one there for each CPU",
        ),
        MapType::STACK_TRACE => Takes::Nothing("the kernel fills it with stacks"),
        MapType::STRUCT_OPS => Takes::Nothing("it holds functions, and its object says which"),
        MapType::ARENA => Takes::Nothing("it is memory, and has no keys"),
        MapType::CGROUP_STORAGE
        | MapType::PERCPU_CGROUP_STORAGE
        | MapType::SK_STORAGE
        | MapType::INODE_STORAGE
        | MapType::TASK_STORAGE
        | MapType::CGRP_STORAGE => {
            Takes::Nothing("its entries belong to sockets, files, tasks or cgroups, and come and go with them")
        }
        _ => Takes::Nothing("nothing is known of maps of its type"),
    }
}

/// What must be known of a map to write its entries.
pub(super) struct Target<'a> {
    pub(super) name: &'a MapName,
    pub(super) spec: &'a MapSpec,
    pub(super) table: &'a manifest::Map,
    pub(super) host: &'a Host,
    /// True when nobody knows how many CPUs there will be.
    pub(super) offline: bool,
}

/// A file of entries that was read.
#[derive(Debug, Clone)]
pub struct EntryFile {
    /// Path as the manifest writes it.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: crate::names::Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why an entry cannot be written: which part of it, and what is wrong there.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) part: &'static str,
    pub(super) why: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(part: &'static str, error: ValueError, sensitive: bool) -> Self {
        let error = if sensitive { error.hidden() } else { error };
        Self { part, why: error.to_string(), help: error.help() }
    }

    pub(super) fn entry(why: &str) -> Self {
        Self { part: "entry", why: why.to_owned(), help: None }
    }
}

impl Target<'_> {
    /// Returns how keys are written.
    pub(super) fn key_shape(&self) -> Result<Arc<Shape>, Problem> {
        self.check_format("key", self.spec.key_size, self.table.key_format.as_ref())?;
        Ok(self.shapes().key.unwrap_or_else(|| Shape::of_size(self.spec.key_size)))
    }

    fn value_shape(&self) -> Result<Arc<Shape>, Problem> {
        self.check_format("value", self.spec.value_size, self.table.value_format.as_ref())?;
        Ok(self.shapes().value.unwrap_or_else(|| Shape::of_size(self.spec.value_size)))
    }

    fn shapes(&self) -> Shapes {
        let [key, value] = [&self.table.key_format, &self.table.value_format];
        let said = |format: &Option<At<Format>>| format.as_ref().map(|format| format.value.clone());
        Shapes::of(self.spec, &Formats { key: said(key), value: said(value) })
    }

    fn check_format(&self, part: &'static str, size: u32, said: Option<&At<Format>>) -> Result<(), Problem> {
        let Some(said) = said else { return Ok(()) };
        let format = said.value.shape().size().unwrap_or(0);
        if format == size {
            return Ok(());
        }
        let kind = Kind::FormatSize { map: self.name.clone(), part, format, size };
        Err(Problem::at(kind, said.span.clone(), format!("{format} bytes")))
    }
}

/// Entries that are being written.
pub(super) struct Writer {
    pub(super) key: Arc<Shape>,
    pub(super) value: Arc<Shape>,
    pub(super) sensitive: bool,
    key_size: usize,
    /// Of one CPU.
    value_size: usize,
    /// How many CPUs have a value of their own; none when there is one for all.
    cpus: Option<usize>,
    offline: bool,
    /// How many there are, of a map whose keys are numbers from 0.
    slots: Option<u32>,
    /// The value of entries that say none.
    default: Option<Vec<u8>>,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Writer {
    fn new(target: &Target<'_>) -> Result<Self, Vec<Problem>> {
        let spec = target.spec;
        let is_array = matches!(spec.map_type, MapType::ARRAY | MapType::PERCPU_ARRAY);
        let mut writer = Self {
            key: target.key_shape().map_err(|problem| vec![problem])?,
            value: target.value_shape().map_err(|problem| vec![problem])?,
            sensitive: target.table.sensitive,
            key_size: spec.key_size as usize,
            value_size: spec.value_size as usize,
            cpus: spec.map_type.is_per_cpu().then_some(target.host.possible_cpus as usize),
            offline: target.offline,
            slots: is_array.then_some(spec.max_entries),
            default: None,
            keys: Vec::new(),
            values: Vec::new(),
        };
        if let Some(default) = target.table.entries.as_ref().and_then(|entries| entries.value.as_ref()) {
            let mut bytes = vec![0; writer.user_value_size()];
            if let Err(wrongs) = writer.write_value(&default.value, &mut bytes) {
                let wrong = |wrong| target.wrong(wrong, default.span.clone(), "this value");
                return Err(wrongs.iter().map(wrong).collect());
            }
            writer.default = Some(bytes);
        }
        Ok(writer)
    }

    /// Returns the bytes of a value as user space writes it.
    fn user_value_size(&self) -> usize {
        self.cpus.map_or(self.value_size, |cpus| cpus * self.stride())
    }

    /// Returns how far apart the values of two CPUs are.
    fn stride(&self) -> usize {
        self.value_size.next_multiple_of(8)
    }

    /// Adds an entry whose parts are put into zeros: the key and one value. It is left out when anything of it is wrong.
    pub(super) fn add(
        &mut self,
        key: impl FnOnce(&Self, &mut [u8]) -> Result<(), Vec<Wrong>>,
        value: Option<impl FnOnce(&Self, &mut [u8]) -> Result<(), Vec<Wrong>>>,
    ) -> Result<(), Vec<Wrong>> {
        let (mut keys, mut values) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.values));
        let (keys_before, values_before) = (keys.len(), values.len());
        keys.resize(keys_before + self.key_size, 0);
        let of_key = key(self, &mut keys[keys_before..]);
        let of_key = of_key.and_then(|()| self.check_slot(&keys[keys_before..]).map_err(|wrong| vec![wrong]));
        let of_value = match (value, &self.default) {
            (Some(value), _) => {
                values.resize(values_before + self.user_value_size(), 0);
                value(self, &mut values[values_before..])
            }
            (None, Some(default)) => {
                values.extend_from_slice(default);
                Ok(())
            }
            (None, None) => {
                let why = "it has no value, and the map no `entries_value` for such entries";
                Err(vec![Wrong::entry(why)])
            }
        };
        let written = match (of_key, of_value) {
            (Ok(()), of_value) => of_value,
            (of_key, Ok(())) => of_key,
            (Err(of_key), Err(of_value)) => Err([of_key, of_value].into_iter().flatten().collect()),
        };
        if written.is_err() {
            keys.truncate(keys_before);
            values.truncate(values_before);
        }
        (self.keys, self.values) = (keys, values);
        written
    }

    fn check_slot(&self, key: &[u8]) -> Result<(), Wrong> {
        let (Some(slots), Ok(key)) = (self.slots, <[u8; 4]>::try_from(key)) else { return Ok(()) };
        match u32::from_le_bytes(key) {
            index if index >= slots => {
                let why = match (self.sensitive, slots) {
                    (_, 0) => "the map has no room for any".to_owned(),
                    (true, _) => format!("the map has the entries 0 to {}", slots - 1),
                    (false, _) => format!("{index} is not in 0 to {}, the entries of the map", slots - 1),
                };
                Err(Wrong { part: "key", why, help: None })
            }
            _ => Ok(()),
        }
    }

    /// Writes a key.
    pub(super) fn write_key(&self, key: &Value, out: &mut [u8]) -> Result<(), Vec<Wrong>> {
        self.key.encode(key, out).map_err(|error| self.wrongs("key", (&self.key, key), error))
    }

    /// Writes the text of a key.
    pub(super) fn write_key_text(&self, key: &str, out: &mut [u8]) -> Result<(), Vec<Wrong>> {
        self.key.encode_text(key, out).map_err(|error| vec![self.wrong("key", error)])
    }

    /// Writes a value: where each CPU has its own, one for all, or a list of one for each.
    pub(super) fn write_value(&self, value: &Value, out: &mut [u8]) -> Result<(), Vec<Wrong>> {
        let wrongs = |value, error| self.wrongs("value", (&self.value, value), error);
        let each = match (self.cpus, value) {
            (Some(_), Value::List(each)) if list_depth(value) > self.value.list_depth() => each,
            (Some(_) | None, _) => {
                self.value.encode(value, out).map_err(|error| wrongs(value, error))?;
                self.repeat(out);
                return Ok(());
            }
        };
        let cpus = self.cpus.unwrap_or(1);
        if each.len() != cpus && !self.offline {
            let why = format!("a list of {} values is given, and the host has {cpus} CPUs", each.len());
            return Err(vec![Wrong { part: "value", why, help: Some("write one value for all CPUs".to_owned()) }]);
        }
        for (cpu, value) in each.iter().enumerate() {
            // Offline, nobody knows how many there will be; what does not fit is wrong all the same.
            let mut spare = vec![0; self.stride()];
            let out = out.get_mut(cpu * self.stride()..).filter(|out| !out.is_empty()).unwrap_or(&mut spare);
            self.value
                .encode(value, out)
                .map_err(|error| vec![self.wrong("value", error.below(&format!("[{cpu}]")))])?;
        }
        Ok(())
    }

    /// Writes the text of a value.
    pub(super) fn write_value_text(&self, value: &str, out: &mut [u8]) -> Result<(), Vec<Wrong>> {
        self.value.encode_text(value, out).map_err(|error| vec![self.wrong("value", error)])?;
        self.repeat(out);
        Ok(())
    }

    /// Gives every CPU the value of the first.
    pub(super) fn repeat(&self, out: &mut [u8]) {
        if self.cpus.is_some() {
            let (first, others) = out.split_at_mut(self.stride().min(out.len()));
            others.chunks_mut(first.len().max(1)).for_each(|other| other.copy_from_slice(first));
        }
    }

    /// Lists all that is wrong with a part of an entry, of which the first thing is known.
    fn wrongs(&self, part: &'static str, (shape, value): (&Shape, &Value), first: ValueError) -> Vec<Wrong> {
        let faults = shape.faults(value);
        let faults = if faults.is_empty() { vec![first] } else { faults };
        faults.into_iter().map(|fault| self.wrong(part, fault)).collect()
    }

    /// Wraps what is wrong with a part of an entry.
    pub(super) fn wrong(&self, part: &'static str, error: ValueError) -> Wrong {
        Wrong::new(part, error, self.sensitive)
    }

    /// Takes the entries of a file, which may be put together of several: one that is there twice says nothing new.
    fn agreeing(&mut self) -> Result<Entries, Duplicate> {
        let (keys, values) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.values));
        Entries::agreeing(self.key_size, self.user_value_size(), keys, values)
    }

    fn entries(&mut self) -> Result<Entries, Duplicate> {
        let (keys, values) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.values));
        Entries::of(self.key_size, self.user_value_size(), keys, values)
    }
}

/// Returns how deep lists nest in a value.
fn list_depth(value: &Value) -> usize {
    match value {
        Value::List(list) => 1 + list.first().map_or(0, list_depth),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Text(_) | Value::Table(_) => 0,
    }
}

impl Target<'_> {
    /// Makes the contents of a map of data.
    pub(super) fn contents(
        &self,
        entries: &manifest::MapEntries,
        file: Option<&EntryFile>,
    ) -> Result<Contents, Vec<Problem>> {
        if self.spec.key_size == 0 {
            // The kernel refuses such a map in its own words.
            return Ok(self.finished(entries, Entries::new(0, 0)));
        }
        let mut writer = Writer::new(self)?;
        let written = match (&entries.source, file) {
            (EntriesSource::Given(given), _) => self.given(given, &mut writer)?,
            (EntriesSource::File { .. }, Some(file)) => self.of_file(entries, file, &mut writer)?,
            // One that cannot be read was reported there.
            (EntriesSource::File { .. }, None) => Entries::new(writer.key_size, writer.user_value_size()),
        };
        self.check_room(entries, written.len())?;
        Ok(self.finished(entries, written))
    }

    fn check_room(&self, entries: &manifest::MapEntries, given: usize) -> Result<(), Vec<Problem>> {
        let room = self.spec.max_entries as usize;
        if given <= room || !self.spec.map_type.wants_a_size() || room == 0 {
            return Ok(());
        }
        let kind = Kind::TooManyEntries { map: self.name.clone(), given, room };
        Err(vec![Problem::at(kind, entries.span.clone(), format!("{given} entries"))])
    }

    /// Makes the contents of a map of references, whose bytes are for the host to say.
    pub(super) fn referring(
        &self,
        entries: &manifest::MapEntries,
        given: Vec<Reference>,
    ) -> Result<Contents, Vec<Problem>> {
        self.check_room(entries, given.len())?;
        let none = Entries::new(self.spec.key_size as usize, self.spec.value_size as usize);
        let references = References { given, by_key: BTreeMap::new() };
        Ok(Contents { references, ..self.finished(entries, none) })
    }

    fn finished(&self, entries: &manifest::MapEntries, written: Entries) -> Contents {
        Contents {
            mode: entries.mode,
            entries: Arc::new(written),
            references: References::default(),
            span: entries.span.clone(),
        }
    }

    fn given(&self, given: &[GivenEntry], writer: &mut Writer) -> Result<Entries, Vec<Problem>> {
        let mut problems = Vec::new();
        for entry in given {
            let value = entry.value.as_ref();
            let written = writer.add(
                |writer, out| writer.write_key(&entry.key.value, out),
                value.map(|value| |writer: &Writer, out: &mut [u8]| writer.write_value(&value.value, out)),
            );
            for wrong in written.err().into_iter().flatten() {
                let place = value.filter(|_| wrong.part == "value").unwrap_or(&entry.key);
                problems.push(self.wrong(&wrong, place.span.clone(), &format!("this {}", wrong.part)));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        writer.entries().map_err(|Duplicate(first, second)| {
            let kind = Kind::EntryTwice { map: self.name.clone() };
            let [first, second] = [first, second].map(|at| given[at].key.span.clone());
            vec![Problem::at(kind, second, "here again").and(first, "this key")]
        })
    }

    fn of_file(
        &self,
        entries: &manifest::MapEntries,
        file: &EntryFile,
        writer: &mut Writer,
    ) -> Result<Entries, Vec<Problem>> {
        let read = super::files::read(file, writer);
        let written =
            read.and_then(|places| writer.agreeing().map_err(|Duplicate(first, second)| places.twice(first, second)));
        written.map_err(|faults| {
            let kind = Kind::BadEntryFile { map: self.name.clone(), path: file.path.clone(), faults };
            vec![Problem::at(kind, entries.span.clone(), "this file")]
        })
    }

    pub(super) fn wrong(&self, wrong: &Wrong, span: Span, label: &str) -> Problem {
        let (why, help) = (wrong.why.clone(), wrong.help.clone());
        Problem::at(Kind::BadEntry { map: self.name.clone(), part: wrong.part, why, help }, span, label)
    }
}
