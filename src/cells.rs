//! What the bytes of keys and values mean: by their types, or by what a map of the type holds; summed over CPUs, and as
//! rates.
//!
//! Pure: names of programs, maps and interfaces come through [`Names`].

use crate::btf::TypeId;
use crate::btf::value::format::{Format, Formats, prefix_of_size};
use crate::btf::value::{Shape, Value};
use crate::kinds::MapType;
use crate::names::hex;
use crate::spec::{MapSpec, MapTypes};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of what a map refers to; `None` for what is gone.
pub trait Names {
    /// The kernel's name of a program.
    fn program(&self, id: u32) -> Option<String>;
    /// The kernel's name of a map.
    fn map(&self, id: u32) -> Option<String>;
    /// The name of an interface.
    fn interface(&self, index: u32) -> Option<String>;
}

/// How the keys and values of a map lie in bytes; `None` for those of which nothing is known but their size.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    /// Of its keys.
    pub key: Option<Arc<Shape>>,
    /// Of its values; for a per-CPU map, of the value of one CPU.
    pub value: Option<Arc<Shape>>,
}

impl Shapes {
    /// Finds those of a map: a format goes before its types, and the keys of LPM tries are prefixes, whose size tells
    /// what of where nothing else does. Formats and types of other sizes say nothing.
    pub fn of(spec: &MapSpec, formats: &Formats) -> Self {
        let said = |format: &Option<Format>, size: u32| {
            let shape = format.as_ref().map(Format::shape)?;
            (shape.size() == Some(size)).then(|| Arc::clone(shape))
        };
        let typed = |id: fn(&MapTypes) -> TypeId, size: u32| {
            let types = spec.types.as_ref().filter(|types| id(types) != 0)?;
            (types.btf.size_of(id(types)) == Some(size)).then(|| Shape::of(&types.btf, id(types)))
        };
        let key = said(&formats.key, spec.key_size).or_else(|| typed(|types| types.key, spec.key_size));
        let value = said(&formats.value, spec.value_size).or_else(|| typed(|types| types.value, spec.value_size));
        let is_prefix = spec.map_type == MapType::LPM_TRIE;
        Self {
            key: match is_prefix {
                true => Some(key.map_or_else(|| prefix_of_size(spec.key_size), Shape::prefix_of)),
                false => key,
            },
            value,
        }
    }
}

/// How the keys and values of one map read.
#[derive(Debug)]
pub struct Layout {
    map_type: MapType,
    shapes: Shapes,
    /// Bytes of a value, of one CPU.
    value_size: usize,
}

impl Layout {
    /// Makes one for a map, with its types where the kernel has them, and the formats that a manifest gave it.
    pub fn new(spec: &MapSpec, formats: &Formats) -> Self {
        let shapes = Shapes::of(spec, formats);
        Self { map_type: spec.map_type, shapes, value_size: spec.value_size as usize }
    }

    /// Reads a key.
    pub fn key<'a>(&'a self, bytes: &'a [u8]) -> Cell<'a> {
        match (&self.shapes.key, number(bytes)) {
            (Some(shape), _) => Cell::Typed(shape, Cow::Borrowed(bytes)),
            (None, Some(index)) if has_indexes(self.map_type) => Cell::Plain(Value::Int(index)),
            (None, _) => Cell::Bytes(bytes),
        }
    }

    /// Reads what is below a key: one value, or for a per-CPU map one for each CPU.
    pub fn values<'a>(&'a self, bytes: &'a [u8], names: &dyn Names) -> Vec<Cell<'a>> {
        if let Some(slot) = Slot::of(self.map_type, bytes) {
            return vec![slot.cell(names)];
        }
        self.data(bytes).collect()
    }

    /// Reads what is below a key of a map of data: one value, or for a per-CPU map one for each CPU.
    pub fn data<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Cell<'a>> {
        self.cpus(bytes).map(|bytes| self.value(bytes))
    }

    /// Reads what is below a key as one value: numbers of all CPUs are added up, field by field. `None` where there is
    /// nothing to add: no type tells where the numbers are.
    pub fn sum<'a>(&'a self, bytes: &'a [u8]) -> Option<Cell<'a>> {
        if !self.map_type.is_per_cpu() {
            return Some(self.value(bytes));
        }
        let values = self.cpus(bytes).map(|bytes| self.numbers(bytes)).collect::<Option<Vec<_>>>()?;
        let sum = sum(&values.iter().collect::<Vec<_>>());
        let Some(shape) = &self.shapes.value else { return Some(Cell::Plain(sum)) };
        // With the type, fields come in their order; a sum may be too large for it.
        let mut whole = vec![0; self.value_size];
        Some(match shape.encode(&sum, &mut whole) {
            Ok(()) if shape.decode(&whole).as_ref() == Ok(&sum) => Cell::Typed(shape, Cow::Owned(whole)),
            Ok(()) | Err(_) => Cell::Plain(sum),
        })
    }

    /// Returns how fast the numbers below a key rise, by the paths of those that changed; empty for a value itself.
    /// Numbers of a key that is new are taken to have been zero.
    pub fn rates(&self, before: Option<&[u8]>, now: &[u8], seconds: f64) -> BTreeMap<String, f64> {
        let summed = |bytes: &[u8]| self.cpus(bytes).map(|bytes| self.numbers(bytes)).collect::<Option<Vec<_>>>();
        let zeros;
        let before = match before {
            Some(before) => before,
            None => {
                zeros = vec![0; now.len()];
                &zeros
            }
        };
        let mut found = BTreeMap::new();
        if let Some((before, now)) = summed(before).zip(summed(now)) {
            let sum = |values: Vec<Value>| sum(&values.iter().collect::<Vec<_>>());
            rise("", &sum(before), &sum(now), seconds.max(f64::MIN_POSITIVE), &mut found);
        }
        found
    }

    /// Splits what is below a key into the values of the CPUs.
    fn cpus<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (size, step) = match self.map_type.is_per_cpu() {
            true => (self.value_size, self.value_size.next_multiple_of(8)),
            false => (bytes.len(), bytes.len()),
        };
        bytes.chunks(step.max(1)).map(move |bytes| &bytes[..size.min(bytes.len())])
    }

    fn value<'a>(&'a self, bytes: &'a [u8]) -> Cell<'a> {
        match &self.shapes.value {
            Some(shape) => Cell::Typed(shape, Cow::Borrowed(bytes)),
            None => Cell::Bytes(bytes),
        }
    }

    /// Returns a value in which numbers can be found: by its type, or else one number of as many bytes as one has.
    fn numbers(&self, bytes: &[u8]) -> Option<Value> {
        match &self.shapes.value {
            Some(shape) => shape.decode(bytes).ok(),
            None => number(bytes).map(Value::Int),
        }
    }
}

/// Returns bytes as an unsigned number, when there are as many as a number has.
fn number(bytes: &[u8]) -> Option<i128> {
    let mut whole = [0; 16];
    matches!(bytes.len(), 1 | 2 | 4 | 8).then(|| {
        whole[..bytes.len()].copy_from_slice(bytes);
        i128::from_le_bytes(whole)
    })
}

/// Returns whether the keys of such maps count from 0.
fn has_indexes(map_type: MapType) -> bool {
    [
        MapType::ARRAY,
        MapType::PERCPU_ARRAY,
        MapType::PROG_ARRAY,
        MapType::ARRAY_OF_MAPS,
        MapType::DEVMAP,
        MapType::CPUMAP,
        MapType::SOCKMAP,
        MapType::STACK_TRACE,
    ]
    .contains(&map_type)
}

/// Returns why the entries of such a map cannot be listed.
pub fn unreadable(map_type: MapType) -> Option<&'static str> {
    Some(match map_type {
        MapType::QUEUE | MapType::STACK => "what is read from it is gone for the programs that use it",
        MapType::RINGBUF | MapType::USER_RINGBUF | MapType::PERF_EVENT_ARRAY => {
            "what is read is an event that its consumer then lacks"
        }
        MapType::BLOOM_FILTER => "it keeps no values, and only tells of a given one whether it may be in it",
        MapType::SK_STORAGE
        | MapType::INODE_STORAGE
        | MapType::TASK_STORAGE
        | MapType::CGRP_STORAGE
        | MapType::CGROUP_STORAGE
        | MapType::PERCPU_CGROUP_STORAGE => {
            "its values belong to sockets, files, tasks or cgroups, one has to be asked for"
        }
        MapType::XSKMAP | MapType::REUSEPORT_SOCKARRAY | MapType::CGROUP_ARRAY => {
            "the kernel does not tell which sockets or cgroups are in it"
        }
        MapType::ARENA => "it is memory, without entries",
        _ => return None,
    })
}

/// One key or value, as the map has it or as it was worked out.
#[derive(Debug, Clone)]
pub enum Cell<'a> {
    /// Bytes of a type, which they were found to fit.
    Typed(&'a Shape, Cow<'a, [u8]>),
    /// A value without a type.
    Plain(Value),
    /// What is in a slot: for people, and for programs.
    Slot(String, Value),
    /// Bytes of which nothing is known.
    Bytes(&'a [u8]),
}

impl Cell<'_> {
    /// Writes it for people.
    pub fn text(&self) -> String {
        match self {
            Self::Typed(shape, bytes) => shape.format(bytes).unwrap_or_else(|_| bytes_text(bytes)),
            Self::Plain(value) => value.to_string(),
            Self::Slot(text, _) => text.clone(),
            Self::Bytes(bytes) => bytes_text(bytes),
        }
    }

    /// Returns it for programs; bytes become text that starts with `hex:`, as a manifest writes them.
    pub fn value(&self) -> Value {
        match self {
            Self::Typed(shape, bytes) => shape.decode(bytes).unwrap_or_else(|_| Value::Text(bytes_text(bytes))),
            Self::Plain(value) | Self::Slot(_, value) => value.clone(),
            Self::Bytes(bytes) => Value::Text(bytes_text(bytes)),
        }
    }
}

/// Writes bytes as a manifest does.
fn bytes_text(bytes: &[u8]) -> String {
    format!("hex:{}", hex(bytes))
}

/// What a slot refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// A program.
    Program(u32),
    /// A map.
    Map(u32),
    /// An interface, and the program that runs for what is sent there.
    Device(u32, Option<u32>),
    /// The size of a CPU's queue, and the program that runs for what is sent there.
    Cpu(u32, Option<u32>),
}

impl Slot {
    /// Reads a slot; `None` for a map of data. User space reads ids where it writes descriptors (`struct bpf_devmap_val`
    /// and `struct bpf_cpumap_val`, linux/bpf.h).
    fn of(map_type: MapType, bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes.get(4 * at..4 * at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let (first, program) = (word(0)?, word(1).filter(|id| *id != 0));
        match map_type {
            MapType::PROG_ARRAY => Some(Self::Program(first)),
            MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => Some(Self::Map(first)),
            MapType::DEVMAP | MapType::DEVMAP_HASH => Some(Self::Device(first, program)),
            MapType::CPUMAP => Some(Self::Cpu(first, program)),
            _ => None,
        }
    }

    fn cell(self, names: &dyn Names) -> Cell<'static> {
        let number = |number: u32| Value::Int(number.into());
        let named = |key: &str, id: u32, name: Option<String>| {
            let name = name.map(|name| ("name".to_owned(), Value::Text(name)));
            Value::Table([(key.to_owned(), number(id))].into_iter().chain(name).collect())
        };
        let words = |what: &str, id: u32, name: &Option<String>| match name.as_deref() {
            Some("") => format!("{what} {id}"),
            Some(name) => format!("{what} {id} ({name})"),
            None => format!("{what} {id} (gone)"),
        };
        let (mut text, mut fields) = match self {
            Self::Program(id) => {
                let name = names.program(id);
                (words("program", id, &name), vec![("program", named("id", id, name))])
            }
            Self::Map(id) => {
                let name = names.map(id);
                (words("map", id, &name), vec![("map", named("id", id, name))])
            }
            Self::Device(index, _) => {
                let name = names.interface(index);
                (words("interface", index, &name), vec![("interface", named("index", index, name))])
            }
            Self::Cpu(size, _) => (format!("queue of {size}"), vec![("queue", number(size))]),
        };
        match self {
            Self::Device(_, Some(id)) | Self::Cpu(_, Some(id)) => {
                let name = names.program(id);
                text = format!("{text}, {}", words("program", id, &name));
                fields.push(("program", named("id", id, name)));
            }
            Self::Program(_) | Self::Map(_) | Self::Device(_, None) | Self::Cpu(_, None) => {}
        }
        Cell::Slot(text, Value::Table(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
    }
}

/// Adds values up, field by field. What is no number stays when it is the same everywhere, and else becomes a list.
fn sum(values: &[&Value]) -> Value {
    let whole = values.first().and_then(|first| match first {
        Value::Int(_) => {
            let add = |sum: i128, value: &&Value| match value {
                Value::Int(value) => Some(sum.saturating_add(*value)),
                Value::Float(_) | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Table(_) => None,
            };
            values.iter().try_fold(0, add).map(Value::Int)
        }
        Value::Float(_) => {
            let add = |sum: f64, value: &&Value| match value {
                Value::Float(value) => Some(sum + value),
                Value::Int(_) | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Table(_) => None,
            };
            values.iter().try_fold(0.0, add).map(Value::Float)
        }
        Value::Bool(_) | Value::Text(_) => values.iter().all(|value| value == first).then(|| (*first).clone()),
        Value::List(list) => {
            let elements = (0..list.len()).map(|at| sum_of(values, |value| element(value, at)));
            elements.collect::<Option<_>>().map(Value::List)
        }
        Value::Table(table) => {
            let fields = table.keys().map(|name| Some((name.clone(), sum_of(values, |value| field(value, name))?)));
            fields.collect::<Option<_>>().map(Value::Table)
        }
    });
    whole.unwrap_or_else(|| Value::List(values.iter().map(|value| (*value).clone()).collect()))
}

/// Adds one part of each value up; `None` when a value has no such part.
fn sum_of<'a>(values: &[&'a Value], part: impl Fn(&'a Value) -> Option<&'a Value>) -> Option<Value> {
    let parts = values.iter().map(|value| part(value)).collect::<Option<Vec<_>>>()?;
    Some(sum(&parts))
}

fn element(value: &Value, at: usize) -> Option<&Value> {
    if let Value::List(list) = value { list.get(at) } else { None }
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    if let Value::Table(table) = value { table.get(name) } else { None }
}

/// Finds the numbers that changed, and by how much in each second.
fn rise(path: &str, before: &Value, now: &Value, seconds: f64, found: &mut BTreeMap<String, f64>) {
    let mut add = |difference: f64| {
        if difference != 0.0 {
            found.insert(path.to_owned(), difference / seconds);
        }
    };
    match now {
        Value::Int(now) => {
            if let Value::Int(before) = before {
                add(now.saturating_sub(*before) as f64);
            }
        }
        Value::Float(now) => {
            if let Value::Float(before) = before {
                add(now - before);
            }
        }
        Value::List(list) => {
            for (at, now) in list.iter().enumerate() {
                element(before, at)
                    .into_iter()
                    .for_each(|old| rise(&format!("{path}[{at}]"), old, now, seconds, found));
            }
        }
        Value::Table(table) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (name, now) in table {
                let path = format!("{path}{dot}{name}");
                field(before, name).into_iter().for_each(|old| rise(&path, old, now, seconds, found));
            }
        }
        Value::Bool(_) | Value::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Btf, Encoding, Member, Type};

    struct Known;

    impl Names for Known {
        fn program(&self, id: u32) -> Option<String> {
            (id == 7).then(|| "drop".to_owned())
        }
        fn map(&self, id: u32) -> Option<String> {
            (id == 8).then(String::new)
        }
        fn interface(&self, index: u32) -> Option<String> {
            (index == 2).then(|| "eth0".to_owned())
        }
    }

    /// `struct { u64 packets; u32 last; }`, as a value of a per-CPU array of two CPUs.
    fn traffic(map_type: MapType) -> Layout {
        let mut btf = Btf::default();
        let mut int = |name: &str, size: u32| {
            let (bits, offset, encoding) = (size as u8 * 8, 0, Encoding::Unsigned);
            btf.push(Type::Int { name: name.into(), size, bits, offset, encoding })
        };
        let (wide, narrow) = (int("u64", 8), int("u32", 4));
        let member = |name: &str, ty, bit_offset| Member { name: name.into(), ty, bit_offset, bitfield_size: 0 };
        let members = vec![member("packets", wide, 0), member("last", narrow, 64)];
        let value = btf.push(Type::Struct { name: "traffic".into(), size: 16, members });
        let value = Some(Shape::of(&btf, value));
        Layout { map_type, shapes: Shapes { key: None, value }, value_size: 16 }
    }

    fn bytes(packets: u64, last: u32) -> Vec<u8> {
        [&packets.to_le_bytes()[..], &last.to_le_bytes(), &[0; 4]].concat()
    }

    fn untyped(map_type: MapType, value_size: usize) -> Layout {
        Layout { map_type, shapes: Shapes::default(), value_size }
    }

    #[test]
    fn values_of_cpus_add_up_field_by_field() {
        let layout = traffic(MapType::PERCPU_ARRAY);
        let both = [bytes(40, 1), bytes(2, 3)].concat();
        let texts: Vec<_> = layout.values(&both, &Known).iter().map(Cell::text).collect();
        assert_eq!(texts, ["{ packets = 40, last = 1 }", "{ packets = 2, last = 3 }"]);
        assert_eq!(layout.sum(&both).unwrap().text(), "{ packets = 42, last = 4 }");
        // Too large for the field, but not for a sum.
        let large = [bytes(u64::MAX, 0), bytes(1, 0)].concat();
        assert_eq!(layout.sum(&large).unwrap().text(), "{ last = 0, packets = 18446744073709551616 }");
        assert_eq!(
            untyped(MapType::PERCPU_HASH, 4).sum(&[1, 0, 0, 0, 9, 9, 9, 9, 2, 0, 0, 0, 9, 9, 9, 9]).unwrap().text(),
            "3"
        );
        assert!(untyped(MapType::PERCPU_HASH, 12).sum(&[0; 32]).is_none());
    }

    #[test]
    fn what_is_no_number_stays_or_becomes_a_list() {
        let text = |text: &str| Value::Text(text.to_owned());
        let table =
            |name: &str| Value::Table(BTreeMap::from([("n".to_owned(), Value::Int(1)), ("t".to_owned(), text(name))]));
        assert_eq!(sum(&[&table("a"), &table("a"), &table("a")]).to_string(), "{ n = 3, t = \"a\" }");
        assert_eq!(sum(&[&table("a"), &table("b"), &table("a")]).to_string(), "{ n = 3, t = [\"a\", \"b\", \"a\"] }");
    }

    #[test]
    fn rates_are_of_what_changed() {
        let layout = traffic(MapType::PERCPU_ARRAY);
        let (before, now) = ([bytes(40, 1), bytes(2, 3)].concat(), [bytes(50, 1), bytes(12, 3)].concat());
        assert_eq!(layout.rates(Some(&before), &now, 2.0), BTreeMap::from([("packets".to_owned(), 10.0)]));
        assert_eq!(layout.rates(Some(&now), &before, 2.0), BTreeMap::from([("packets".to_owned(), -10.0)]));
        assert_eq!(layout.rates(None, &before, 1.0).len(), 2);
        assert_eq!(
            untyped(MapType::HASH, 8).rates(None, &[5, 0, 0, 0, 0, 0, 0, 0], 1.0),
            BTreeMap::from([(String::new(), 5.0)])
        );
        assert!(untyped(MapType::HASH, 3).rates(None, &[5, 0, 0], 1.0).is_empty());
    }

    #[test]
    fn slots_tell_what_they_hold() {
        let rows: [(MapType, &[u32], &str); 8] = [
            (MapType::PROG_ARRAY, &[7], "program 7 (drop)"),
            (MapType::PROG_ARRAY, &[9], "program 9 (gone)"),
            (MapType::HASH_OF_MAPS, &[8], "map 8"),
            (MapType::DEVMAP, &[2], "interface 2 (eth0)"),
            (MapType::DEVMAP_HASH, &[2, 7], "interface 2 (eth0), program 7 (drop)"),
            (MapType::DEVMAP, &[3, 0], "interface 3 (gone)"),
            (MapType::CPUMAP, &[192, 7], "queue of 192, program 7 (drop)"),
            (MapType::CPUMAP, &[192], "queue of 192"),
        ];
        for (map_type, words, expected) in rows {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let layout = untyped(map_type, bytes.len());
            assert_eq!(layout.values(&bytes, &Known)[0].text(), expected, "{map_type}");
        }
    }

    #[test]
    fn keys_without_a_type_are_bytes_or_indexes() {
        let rows = [(MapType::ARRAY, "258"), (MapType::HASH, "hex:02010000"), (MapType::DEVMAP_HASH, "hex:02010000")];
        for (map_type, expected) in rows {
            assert_eq!(untyped(map_type, 4).key(&[2, 1, 0, 0]).text(), expected);
        }
    }
}
