//! The tests of programs: how packets, contexts and expectations are written, and what the tables of one test mean
//! together.
//!
//! Layers of packets are read by the tables of [`crate::packet::protocols`], which also say what an editor shows.

use super::check::{Checker, map_entries};
use super::raw::{RawAfter, RawCapture, RawContext, RawLeft, RawTest};
use super::read::{Entries, Entry, Field, Header, Read, Reader, Table};
use super::values::{Count, EntriesText, ObjectPath, symbol_ref};
use super::{At, MapEntries, SymbolRef};
use crate::btf::value::Value;
use crate::desired::{EntriesMode, Span};
use crate::diag::{Kind, Problem, similar};
use crate::kinds::Point;
use crate::names::{MapName, ObjectName};
use crate::packet::protocols::{Field as HeaderField, Form, PROTOCOLS, Protocol, TCP_FLAGS};
use crate::packet::{Layer, fault};
use core::net::{Ipv4Addr, Ipv6Addr};
use schemars::{Schema, SchemaGenerator, json_schema};
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeValue;

/// What text for bytes starts with.
const HEX: &str = "hex:";
/// The longest packet that is written out, more than any hook gets; the kernel says which it takes.
const LONGEST: usize = 1 << 16;

/// A test of a program.
#[derive(Debug, Clone)]
pub struct Test {
    /// The table.
    pub span: Span,
    /// What outputs call it.
    pub name: String,
    /// The packet that the program gets.
    pub packet: At<PacketSource>,
    /// What it finds beside the packet.
    pub context: Context,
    /// What maps hold before.
    pub maps: TestMaps,
    /// How often it runs.
    pub repeat: u32,
    /// What it has to return.
    pub verdict: Option<At<VerdictText>>,
    /// What has to be there afterwards.
    pub after: After,
}

/// Contents of maps, by their names; a map that only its object knows is `OBJECT:SYMBOL`.
pub type TestMaps = BTreeMap<MapName, At<TestMap>>;

/// What a map holds.
#[derive(Debug, Clone)]
pub struct TestMap {
    /// The symbol, for a map that the manifest has no table for.
    pub symbol: Option<(ObjectName, SymbolRef)>,
    /// The entries.
    pub entries: MapEntries,
}

/// Where a packet comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacketSource {
    /// It is built.
    Layers(Vec<Layer>),
    /// It is these bytes.
    Bytes(Vec<u8>),
    /// It is in a capture.
    Capture {
        /// Path of the file, relative to the manifest.
        path: String,
        /// Its number there, from 1.
        frame: u32,
    },
}

/// What a program finds beside the packet.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The interface that the packet came by: its name or its index.
    pub interface: Option<At<InterfaceText>>,
    /// The receive queue there.
    pub queue: Option<At<u32>>,
    /// The mark of the packet.
    pub mark: Option<At<u32>>,
    /// The priority of the packet.
    pub priority: Option<At<u32>>,
    /// The hook of netfilter.
    pub hook: Option<At<Point>>,
}

/// An interface as a context names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceText {
    /// By its name.
    Name(String),
    /// By its index.
    Index(u32),
}

/// What a verdict is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerdictText {
    /// By the name that the type of the program has for it.
    Name(String),
    /// By its number.
    Number(i32),
}

/// What has to be there afterwards.
#[derive(Debug, Clone, Default)]
pub struct After {
    /// The packet.
    pub packet: Option<At<PacketAfter>>,
    /// The mark of the packet.
    pub mark: Option<At<u32>>,
    /// The priority of the packet.
    pub priority: Option<At<u32>>,
    /// Entries of maps.
    pub maps: TestMaps,
    /// Whether these maps hold no others.
    pub exact: bool,
}

/// How a packet has to be afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacketAfter {
    /// As it came.
    Unchanged,
    /// These bytes.
    Bytes(Vec<u8>),
    /// These layers, with the fields that are said.
    Layers(Vec<Layer>),
}

impl Checker<'_> {
    /// Checks the tests of a program.
    pub(super) fn tests(&mut self, tests: Field<super::read::List<RawTest>>) -> Vec<Test> {
        let tests: Vec<_> = tests.0.into_iter().flat_map(|tests| tests.value.0).flatten().collect();
        let mut known = BTreeMap::new();
        let checked = tests.into_iter().filter_map(|raw| {
            if let Some(name) = &raw.name.0
                && let Some(first) = known.insert(name.value.clone(), name.span.clone())
            {
                let kind = Kind::TestTwice { name: name.value.clone() };
                self.problems.push(Problem::at(kind, name.span.clone(), "here again").and(first, "this test"));
            }
            self.test(raw)
        });
        checked.collect()
    }

    fn test(&mut self, raw: RawTest) -> Option<Test> {
        let RawTest { name, packet, context, maps, repeat, verdict, after, header } = raw;
        if verdict.span().is_none() && after.span().is_none() && !header.unclear {
            self.missing(&header, "verdict", "\"XDP_DROP\"");
        }
        let maps = self.test_maps(maps, EntriesMode::Exact);
        let after = after.0.map_or_else(After::default, |after| self.after(after.value));
        Some(Test {
            span: header.span,
            name: name.0?.value,
            packet: packet.0?.map(PacketText::source),
            context: context.0.map_or_else(Context::default, |context| of_context(context.value)),
            maps,
            repeat: repeat.0.map_or(1, |repeat| repeat.value.0),
            verdict: verdict.0,
            after,
        })
    }

    fn after(&mut self, raw: RawAfter) -> After {
        let RawAfter { packet, context, maps, exact, header } = raw;
        let exact_span = exact.span();
        let exact = exact.0.is_some_and(|exact| exact.value);
        if let (Some(span), None) = (exact_span, maps.span()) {
            let kind = Kind::MissingKey {
                table: header.address.clone(),
                key: "maps".to_owned(),
                example: "{ counts = { 0 = 1 } }",
            };
            self.problems.push(Problem::at(kind, span, "it is about the maps"));
        }
        let (mark, priority) = match context.0 {
            Some(At { value: RawLeft { mark, priority, .. }, .. }) => (mark.0, priority.0),
            None => (None, None),
        };
        After {
            packet: packet.0.map(|packet| packet.map(|it| it.0)),
            mark,
            priority,
            maps: self.test_maps(maps, EntriesMode::Merge),
            exact,
        }
    }

    fn test_maps(&mut self, maps: Field<Entries<EntriesText>>, mode: EntriesMode) -> TestMaps {
        let Some(maps) = maps.0 else { return BTreeMap::new() };
        let mut checked = BTreeMap::new();
        for (name, entries) in maps.value.0 {
            let Some((map, symbol)) = self.tested_map(&name) else { continue };
            let Some(entries) = entries else { continue };
            let entries = map_entries(entries, Field(None), mode);
            checked.insert(map, At { value: TestMap { symbol, entries }, span: name.span });
        }
        checked
    }

    /// Finds a map by its table, or by the object and the symbol that alone know it.
    fn tested_map(&mut self, name: &At<String>) -> Option<(MapName, Option<(ObjectName, SymbolRef)>)> {
        let Some((object, symbol)) = name.value.split_once(':') else {
            return self.map_name(name.clone()).map(|map| (map.value, None));
        };
        let object = self.object_name(object, &name.span)?;
        let symbol = symbol_ref(symbol)?;
        Some((MapName::private(&object, &symbol.to_string()), Some((object, symbol))))
    }
}

fn of_context(raw: RawContext) -> Context {
    let RawContext { interface, queue, mark, priority, hook, header: Header { .. } } = raw;
    Context { interface: interface.0, queue: queue.0, mark: mark.0, priority: priority.0, hook: hook.0 }
}

/// A packet as written.
#[derive(Debug)]
pub(super) enum PacketText {
    Layers(Layers),
    Bytes(Vec<u8>),
    Capture { path: String, frame: u32 },
}

impl PacketText {
    fn source(self) -> PacketSource {
        match self {
            Self::Layers(layers) => PacketSource::Layers(layers.0),
            Self::Bytes(bytes) => PacketSource::Bytes(bytes),
            Self::Capture { path, frame } => PacketSource::Capture { path, frame },
        }
    }
}

/// The path of a capture.
#[derive(Debug)]
pub(super) struct CapturePath(String);

impl Read for CapturePath {
    const EXAMPLE: &'static str = "\"dns.pcap\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        ObjectPath::read(entry, reader).map(|path| Self(path.0))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        ObjectPath::schema(generator)
    }
}

const WANTS: &str = "a list of layers, `\"hex:...\"`, or a table `{ pcap, frame }`";

impl Read for PacketText {
    const EXAMPLE: &'static str = "[{ ipv4 = { src = \"10.1.2.3\" } }, { udp = { dport = 53 } }]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &entry.value {
            DeValue::Array(_) => Layers::read(entry, reader).map(Self::Layers),
            DeValue::String(_) => hex_packet(entry, reader).map(Self::Bytes),
            DeValue::Table(_) => {
                let RawCapture { pcap, frame, .. } = RawCapture::read(entry, reader)?;
                let frame = frame.0.map_or(1, |frame: At<Count>| frame.value.0);
                Some(Self::Capture { path: pcap.0.map(|path| path.value.0)?, frame })
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                reader.wrong_type(&entry, WANTS)
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [Layers::schema(generator), hex_schema(), RawCapture::schema(generator)] })
    }
}

/// Reads the bytes of a packet.
fn hex_packet(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let text = reader.text(entry)?;
    match bytes(&text.value).filter(|bytes| bytes.len() <= LONGEST) {
        Some(bytes) => Some(bytes),
        None => {
            let kind = Kind::BadReference {
                text: text.value,
                form: "a packet in hexadecimal digits",
                example: "packet = \"hex:0200 0000 0002 0200 0000 0001 0800\"",
            };
            reader.report(kind, text.span, "this packet")
        }
    }
}

fn hex_schema() -> Schema {
    json_schema!({ "type": "string", "pattern": "^hex:|\\$\\{.+\\}" })
}

/// Reads `hex:` and digits, with spaces, line breaks and colons between bytes as people like.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.strip_prefix(HEX)?.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b':').collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    digits.chunks(2).map(byte).collect()
}

/// How a packet has to be afterwards, as written.
#[derive(Debug)]
pub(super) struct AfterText(PacketAfter);

impl Read for AfterText {
    const EXAMPLE: &'static str = "[{ ipv4 = { ttl = 63 } }]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &entry.value {
            DeValue::Array(_) => Layers::read(entry, reader).map(|layers| Self(PacketAfter::Layers(layers.0))),
            DeValue::String(text) if text == "unchanged" => Some(Self(PacketAfter::Unchanged)),
            DeValue::String(_) => hex_packet(entry, reader).map(|bytes| Self(PacketAfter::Bytes(bytes))),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => reader.wrong_type(&entry, "a list of layers, `\"hex:...\"` or `\"unchanged\"`"),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "unchanged" }, Layers::schema(generator), hex_schema()] })
    }
}

/// The layers of a packet: a list of tables of one key each, which names the layer.
#[derive(Debug)]
pub(super) struct Layers(Vec<Layer>);

impl Read for Layers {
    const EXAMPLE: &'static str = "[{ ipv4 = { } }, { udp = { } }]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = entry.value else { return reader.wrong_type(&entry, WANTS) };
        let (mut layers, mut places, mut complete) = (Vec::new(), Vec::new(), true);
        for item in items {
            let span = item.span();
            let entry = Entry {
                address: entry.address.clone(),
                key: span.clone(),
                value: item.into_inner(),
                span: span.clone(),
            };
            match layer(entry, reader) {
                Some(layer) => {
                    layers.push(layer);
                    places.push(span);
                }
                None => complete = false,
            }
        }
        if let Some(fault) = fault(&layers).filter(|_| complete) {
            let text = match &layers[fault.layer] {
                Layer::Header { protocol, .. } => protocol.name.to_owned(),
                Layer::Payload(_) => "payload".to_owned(),
            };
            let kind = Kind::BadText { text, why: fault.why.to_owned() };
            return reader.report(kind, places[fault.layer].clone(), "this layer");
        }
        complete.then_some(Self(layers))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        for protocol in PROTOCOLS {
            properties.insert(protocol.name.to_owned(), protocol_schema(protocol));
        }
        let payload = "The bytes behind all headers: text, `\"hex:...\"`, or how many zero bytes.";
        let payload = serde_json::json!({ "description": payload, "anyOf": [
            { "type": "string" }, { "type": "integer", "minimum": 0, "maximum": LONGEST },
        ] });
        properties.insert("payload".to_owned(), payload);
        json_schema!({ "type": "array", "items": {
            "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
            "properties": properties,
        } })
    }
}

/// Reads one layer.
fn layer(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Layer> {
    let mut table = Table::open(entry, reader)?;
    let known: Vec<&'static str> = PROTOCOLS.iter().map(|protocol| protocol.name).chain(["payload"]).collect();
    let mut found = Vec::new();
    for protocol in PROTOCOLS {
        if let Some(entry) = table.take(protocol.name) {
            found.push((protocol.name, entry.key.clone(), header(protocol, entry, reader)));
        }
    }
    if let Some(entry) = table.take("payload") {
        found.push(("payload", entry.key.clone(), payload(entry, reader).map(Layer::Payload)));
    }
    let header = table.close(&known, &[], reader);
    match found.len() {
        1 => found.remove(0).2,
        0 if header.unclear => None,
        0 => {
            let kind = Kind::MissingKey { table: header.address, key: "ipv4".to_owned(), example: "{ }" };
            reader.report(kind, header.span, "a layer is missing here")
        }
        _ => {
            found.sort_by_key(|(_, span, _)| span.start);
            let [first, second] = [0, 1].map(|at: usize| found[at].0.to_owned());
            let kind =
                Kind::NotTogether { table: header.address, first, second, why: "each layer is a table of its own" };
            reader.report(kind, found[1].1.clone(), "this layer")
        }
    }
}

/// Reads what is said of a header.
fn header(protocol: &'static Protocol, entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Layer> {
    let mut table = Table::open(entry, reader)?;
    let (mut said, mut complete) = (BTreeMap::new(), true);
    for field in protocol.fields {
        let Some(entry) = table.take(field.name) else { continue };
        match number(field, entry, reader) {
            Some(number) => drop(said.insert(field.name, number)),
            None => complete = false,
        }
    }
    let known: Vec<&'static str> = protocol.fields.iter().map(|field| field.name).collect();
    let header = table.close(&known, &[], reader);
    (complete && !header.unclear).then_some(Layer::Header { protocol, said })
}

/// Reads the value of a field.
fn number(field: &HeaderField, entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<u128> {
    match (field.form, &entry.value) {
        (Form::Number | Form::Hex | Form::Flags, DeValue::Integer(number)) => {
            let value = u128::from_str_radix(number.as_str(), number.radix()).ok();
            value.filter(|value| *value <= field.most()).or_else(|| {
                let (value, max) = (number.to_string(), i128::try_from(field.most()).unwrap_or(i128::MAX));
                reader.report(Kind::OutOfRange { key: entry.address, value, min: 0, max }, entry.span, "this number")
            })
        }
        (Form::Flags, DeValue::Array(_)) => flags(entry, reader),
        (Form::Mac | Form::Ipv4 | Form::Ipv6, DeValue::String(_)) => {
            let text = reader.text(entry)?;
            let (value, form, example) = match field.form {
                Form::Ipv4 => {
                    let address = text.value.parse::<Ipv4Addr>().ok();
                    (address.map(|it| u128::from(u32::from(it))), "an IPv4 address", "src = \"192.0.2.1\"")
                }
                Form::Ipv6 => {
                    let address = text.value.parse::<Ipv6Addr>().ok();
                    (address.map(u128::from), "an IPv6 address", "src = \"2001:db8::1\"")
                }
                Form::Mac | Form::Number | Form::Hex | Form::Flags => {
                    (mac(&text.value), "a MAC address", "src = \"02:00:00:00:00:01\"")
                }
            };
            value.or_else(|| {
                let kind = Kind::BadReference { text: text.value, form, example };
                reader.report(kind, text.span, "this address")
            })
        }
        (Form::Number | Form::Hex, _) => reader.wrong_type(&entry, "a whole number"),
        (Form::Flags, _) => reader.wrong_type(&entry, "a list of flags, or a number"),
        (Form::Mac | Form::Ipv4 | Form::Ipv6, _) => reader.wrong_type(&entry, "an address"),
    }
}

fn mac(text: &str) -> Option<u128> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let byte = |part: &&str| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten();
    let bytes = parts.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == 6)?;
    Some(bytes.into_iter().fold(0, |number, byte| number << 8 | u128::from(byte)))
}

/// Reads the flags of TCP.
fn flags(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<u128> {
    let DeValue::Array(names) = entry.value else { return None };
    let mut set = BTreeSet::new();
    for name in names {
        let span = name.span();
        let name = Entry { address: entry.address.clone(), key: span.clone(), value: name.into_inner(), span };
        let name = reader.text(name)?;
        match TCP_FLAGS.iter().position(|flag| *flag == name.value) {
            Some(bit) => drop(set.insert(bit)),
            None => {
                let allowed: Vec<String> = TCP_FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
                let similar = similar(&name.value, &allowed);
                let kind = Kind::UnknownValue { key: entry.address, value: name.value, allowed, similar };
                return reader.report(kind, name.span, "this flag");
            }
        }
    }
    Some(set.into_iter().map(|bit| 1 << bit).sum())
}

/// Reads the bytes behind all headers.
fn payload(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    if let DeValue::Integer(number) = &entry.value {
        let len = usize::from_str_radix(number.as_str(), number.radix()).ok();
        return len.filter(|len| *len <= LONGEST).map(|len| vec![0; len]).or_else(|| {
            let (value, max) = (number.to_string(), LONGEST as i128);
            reader.report(Kind::OutOfRange { key: entry.address, value, min: 0, max }, entry.span, "this number")
        });
    }
    let text = reader.text(entry)?;
    if !text.value.starts_with(HEX) {
        return Some(text.value.into_bytes());
    }
    bytes(&text.value).or_else(|| {
        let form = "bytes in hexadecimal digits";
        let kind = Kind::BadReference { text: text.value, form, example: "payload = \"hex:00ff\"" };
        reader.report(kind, text.span, "these bytes")
    })
}

fn protocol_schema(protocol: &Protocol) -> serde_json::Value {
    let mut properties = serde_json::Map::new();
    for field in protocol.fields {
        let number =
            serde_json::json!({ "type": "integer", "minimum": 0, "maximum": field.most().min(u64::MAX.into()) as u64 });
        let schema = match field.form {
            Form::Number | Form::Hex => number,
            Form::Flags => serde_json::json!({ "anyOf": [
                number, { "type": "array", "items": { "anyOf": [
                    { "enum": TCP_FLAGS }, { "type": "string", "pattern": "\\$\\{.+\\}" },
                ] } },
            ] }),
            Form::Mac => {
                serde_json::json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$|\\$\\{.+\\}" })
            }
            Form::Ipv4 => serde_json::json!({ "type": "string", "pattern": "^[0-9.]+$|\\$\\{.+\\}" }),
            Form::Ipv6 => serde_json::json!({ "type": "string", "pattern": "^[0-9A-Fa-f:.]+$|\\$\\{.+\\}" }),
        };
        properties.insert(field.name.to_owned(), schema);
    }
    serde_json::json!({
        "description": protocol.about, "type": "object", "additionalProperties": false, "properties": properties,
    })
}

impl Read for InterfaceText {
    const EXAMPLE: &'static str = "\"eth0\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Integer(_) = &entry.value {
            return Count::read(entry, reader).map(|index| Self::Index(index.0));
        }
        reader.text(entry).map(|text| Self::Name(text.value))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": u32::MAX }, { "type": "string", "minLength": 1 },
        ] })
    }
}

impl Read for VerdictText {
    const EXAMPLE: &'static str = "\"XDP_DROP\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Integer(number) = &entry.value {
            let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
            let fits = value.filter(|value| (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(value));
            return fits.map(|value| Self::Number(value as i32)).or_else(|| {
                let (value, min, max) = (number.to_string(), i32::MIN.into(), u32::MAX.into());
                reader.report(Kind::OutOfRange { key: entry.address, value, min, max }, entry.span, "this number")
            });
        }
        reader.text(entry).map(|text| Self::Name(text.value))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": i32::MIN, "maximum": u32::MAX }, { "type": "string", "minLength": 1 },
        ] })
    }
}

impl TestMap {
    /// Returns the entries, with the value of those that say none where the manifest's own table says it.
    pub fn entries(&self, value: Option<&At<Value>>) -> MapEntries {
        MapEntries { value: value.cloned(), ..self.entries.clone() }
    }
}
