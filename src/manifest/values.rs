//! How each kind of value is written: read from the text, with its problems, and as the schema says it.

use super::Interfaces;
use super::raw::RawBeside;
use super::read::{Choice, Entries, Entry, NAME_PATTERN, Read, Reader, Table, bad_path, whole};
use super::{At, GivenEntry, SymbolRef};
use crate::access::Account;
use crate::btf::value::Value;
use crate::btf::value::format::{Format, Written};
use crate::desired::{CounterSource, EntriesMode, OnChange, Span, is_pattern};
use crate::diag::Kind;
use crate::direct::Via;
use crate::kinds::{AttachType, Family, GPL_LICENSES, MapType, Point, ProgramType, XdpMode, load_flags};
use crate::names::{DeploymentName, Digest, PinPath};
use crate::plan::Consent;
use crate::route::Subnet;
use crate::spec::flags;
use core::net::IpAddr;
use schemars::{Schema, SchemaGenerator, json_schema};
use std::collections::BTreeSet;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The version of the language: 1 is all there is.
#[derive(Debug)]
pub(super) struct Version;

impl Read for Version {
    const EXAMPLE: &'static str = "1";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(number) = &entry.value else {
            return reader.wrong_type(&entry, "a whole number");
        };
        match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(1) => Some(Self),
            Ok(_) | Err(_) => {
                reader.report(Kind::UnknownVersion { found: number.to_string() }, entry.span, "this version")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [1] })
    }
}

impl Read for DeploymentName {
    const EXAMPLE: &'static str = "\"edge\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match Self::new(&text.value) {
            Ok(name) => Some(name),
            Err(why) => reader.report(Kind::BadName { text: text.value, why }, text.span, "this name"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "pattern": NAME_PATTERN }, { "type": "string", "pattern": "\\$\\{.+\\}" },
        ] })
    }
}

impl Read for PinPath {
    const EXAMPLE: &'static str = "\"/sys/fs/bpf/edge\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        Self::new(&text.value).or_else(|why| bad_path(text, &why, reader).ok_or(())).ok()
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(/|\\$\\{)" })
    }
}

/// A pin as written: absolute, or relative to a folder that is not known while reading.
#[derive(Debug)]
pub(super) struct PinText(pub(super) String);

impl Read for PinText {
    const EXAMPLE: &'static str = "\"maps/flows\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match path_fault(&text.value) {
            None => Some(Self(text.value)),
            Some(why) => reader.report(Kind::BadPath { path: text.value, why }, text.span, "this pin"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// The mode of a pin: nine bits, in octal.
#[derive(Debug)]
pub(super) struct Mode(pub(super) u32);

impl Mode {
    /// Reads octal digits, with or without the `0o` of TOML.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let is_octal = digits.len() >= 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        u32::from_str_radix(digits, 8).ok().filter(|mode| is_octal && *mode <= 0o777).map(Self)
    }
}

impl Read for Mode {
    const EXAMPLE: &'static str = "0o640";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let span = entry.span.clone();
        let (text, mode) = match &entry.value {
            // 640 is another number than 0o640, and nobody means that one.
            DeValue::Integer(number) => {
                let octal = Some(format!("{:0>3}", number.as_str())).filter(|_| number.radix() == 8);
                (number.to_string(), octal.and_then(|digits| Self::parse(&digits)))
            }
            DeValue::String(_) => {
                let text = reader.text(entry)?.value;
                let mode = Self::parse(&text);
                (text, mode)
            }
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return reader.wrong_type(&entry, "a mode in octal");
            }
        };
        mode.or_else(|| {
            let kind = Kind::BadReference { text, form: "a mode in octal, at most 0o777", example: "mode = 0o640" };
            reader.report(kind, span, "this mode")
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 0o777 },
            { "type": "string", "pattern": "^(0o)?0?[0-7]{3}$|\\$\\{.+\\}" },
        ] })
    }
}

/// A user or a group.
#[derive(Debug)]
pub(super) struct AccountText(pub(super) Account);

impl Read for AccountText {
    const EXAMPLE: &'static str = "\"metrics\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Integer(_) = &entry.value {
            return u32::read(entry, reader).map(|id| Self(Account::Id(id)));
        }
        let text = reader.text(entry)?;
        // As chown(1) reads it: what is a number is no name.
        let account = text.value.parse().map_or_else(|_| Account::Name(text.value.clone()), Account::Id);
        let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ':' | '/');
        match !text.value.is_empty() && text.value.chars().all(is_name) {
            true => Some(Self(account)),
            false => {
                let kind = Kind::BadReference { text: text.value, form: "a user or a group", example: "metrics" };
                reader.report(kind, text.span, "this name")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX }, { "type": "string", "minLength": 1 },
        ] })
    }
}

/// The path of an object file.
#[derive(Debug)]
pub(super) struct ObjectPath(pub(super) String);

impl Read for ObjectPath {
    const EXAMPLE: &'static str = "\"filter.bpf.o\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match path_fault(&text.value) {
            None => Some(Self(text.value)),
            Some(why) => reader.report(Kind::BadPath { path: text.value, why }, text.span, "this path"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// The path of a cgroup.
#[derive(Debug)]
pub(super) struct CgroupPath(pub(super) String);

impl Read for CgroupPath {
    const EXAMPLE: &'static str = "\"system.slice\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        let climbs = text.value.split('/').any(|part| part == "..");
        let why = path_fault(&text.value).or(climbs.then(|| "it must not have `..`".to_owned()));
        match why {
            None => Some(Self(text.value)),
            Some(why) => reader.report(Kind::BadPath { path: text.value, why }, text.span, "this path"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// A priority of netfilter; the kernel keeps the two outermost ones for itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Priority(pub(super) i32);

impl Read for Priority {
    const EXAMPLE: &'static str = "-128";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        const MIN: i32 = i32::MIN + 1;
        const MAX: i32 = i32::MAX - 1;
        let DeValue::Integer(number) = &entry.value else { return reader.wrong_type(&entry, "a whole number") };
        let value = i32::from_str_radix(number.as_str(), number.radix()).ok();
        match value.filter(|value| (MIN..=MAX).contains(value)) {
            Some(value) => Some(Self(value)),
            None => {
                let (value, min, max) = (number.to_string(), MIN.into(), MAX.into());
                let kind = Kind::OutOfRange { key: entry.address, value, min, max };
                reader.report(kind, entry.span, "this number")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": i32::MIN + 1, "maximum": i32::MAX - 1 })
    }
}

/// Whole numbers from 1 to the last of their type.
macro_rules! from_one {
    ($($(#[$about:meta])* $type:ident($number:ty, to $most:expr) = $example:literal,)*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $type(pub(super) $number);

        impl $type {
            const MOST: $number = $most;
        }

        impl Read for $type {
            const EXAMPLE: &'static str = $example;

            fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let DeValue::Integer(number) = &entry.value else { return reader.wrong_type(&entry, "a whole number") };
                let value = <$number>::from_str_radix(number.as_str(), number.radix()).ok();
                match value.filter(|value| (1..=Self::MOST).contains(value)) {
                    Some(value) => Some(Self(value)),
                    None => {
                        let (value, min, max) = (number.to_string(), 1, Self::MOST.into());
                        let kind = Kind::OutOfRange { key: entry.address, value, min, max };
                        reader.report(kind, entry.span, "this number")
                    }
                }
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "minimum": 1, "maximum": Self::MOST })
            }
        }
    )*};
}

from_one! {
    /// The priority of a filter; the kernel chooses one for 0.
    FilterPriority(u16, to u16::MAX) = "10",
    /// The handle of a filter; the kernel chooses one for 0.
    Handle(u32, to u32::MAX) = "1",
    /// The number of a table of routes, or a metric; the kernel chooses one for 0.
    Number(u32, to u32::MAX) = "100",
    /// How many bytes a program may put before a packet.
    Headroom(u8, to u8::MAX) = "20",
    /// Which of several it is.
    Count(u32, to u32::MAX) = "1",
    /// How often a program gets a packet. The kernel has no limit, and a run that nobody can wait for helps nobody.
    Repeat(u32, to 1_000_000) = "1",
}

/// How many entries a map can hold. 0 is taken and not offered: only maps with one entry for each CPU have a use for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity(pub(super) u32);

impl Read for Capacity {
    const EXAMPLE: &'static str = "1024";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        whole(entry, reader, 1, u32::MAX.into()).map(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        u32::schema(generator)
    }
}

/// What names a network namespace.
#[derive(Debug)]
pub(super) struct NetnsText(pub(super) String);

impl Read for NetnsText {
    const EXAMPLE: &'static str = "\"blue\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Integer(_) = &entry.value {
            return u32::read(entry, reader).map(|pid| Self(pid.to_string()));
        }
        let text = reader.text(entry)?;
        let is_relative = text.value.contains('/') && !text.value.starts_with('/');
        let why = path_fault(&text.value).or(match text.value.as_str() {
            "." | ".." => Some("it is a folder".to_owned()),
            _ => is_relative.then(|| "it is neither absolute nor a name below `/run/netns`".to_owned()),
        });
        match why {
            None => Some(Self(text.value)),
            Some(why) => reader.report(Kind::BadPath { path: text.value, why }, text.span, "this path"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX }, { "type": "string", "minLength": 1 },
        ] })
    }
}

/// A place among those that share a hook.
#[derive(Debug)]
pub(super) enum OrderText {
    First,
    Last,
    Beside(Box<RawBeside>),
}

impl Read for OrderText {
    const EXAMPLE: &'static str = "{ before = \"link.other\" }";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Table(_) = &entry.value {
            return RawBeside::read(entry, reader).map(|beside| Self::Beside(Box::new(beside)));
        }
        End::read(entry, reader).map(|end| match end {
            End::First => Self::First,
            End::Last => Self::Last,
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [End::schema(generator), RawBeside::schema(generator)] })
    }
}

/// One end of the programs on a hook.
#[derive(Debug, Clone, Copy)]
enum End {
    First,
    Last,
}

impl Choice for End {
    const EXAMPLE: &'static str = "\"first\"";

    fn names() -> Vec<String> {
        vec!["first".to_owned(), "last".to_owned()]
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "first" => Some(Self::First),
            "last" => Some(Self::Last),
            _ => None,
        }
    }
}

/// What names another program on the same hook.
#[derive(Debug)]
pub(super) enum NeighbourText {
    /// The link of this name, without `link.`.
    Link(String),
    Id(u32),
    Pin(PinPath),
    Name(String),
}

impl Read for NeighbourText {
    const EXAMPLE: &'static str = "\"link.other\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Integer(_) = &entry.value {
            return u32::read(entry, reader).map(Self::Id);
        }
        let text = reader.text(entry)?;
        if let Some(name) = text.value.strip_prefix("link.") {
            return Some(Self::Link(name.to_owned()));
        }
        if text.value.starts_with('/') {
            return match PinPath::new(&text.value) {
                Ok(pin) => Some(Self::Pin(pin)),
                Err(why) => bad_path(text, &why, reader),
            };
        }
        if let Ok(id) = text.value.parse() {
            return Some(Self::Id(id));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match !text.value.is_empty() && text.value.chars().all(is_name) {
            true => Some(Self::Name(text.value)),
            false => {
                let why = "it is no `link.NAME`, and no name, id or pin of a program".to_owned();
                reader.report(Kind::BadText { text: text.value, why }, text.span, "its neighbour")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX }, { "type": "string", "minLength": 1 },
        ] })
    }
}

/// Says why a text cannot be the path of a file.
pub(super) fn path_fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".to_owned());
    }
    let c = text.chars().find(|c| c.is_control())?;
    Some(format!("it has the control character `{}`", c.escape_default()))
}

impl Read for Digest {
    const EXAMPLE: &'static str = "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match Self::parse(&text.value) {
            Some(digest) => Some(digest),
            None => {
                let label = format!("{} characters", text.value.chars().count());
                reader.report(Kind::BadDigest { text: text.value }, text.span, label)
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$|\\$\\{.+\\}" })
    }
}

/// `OBJECT:SYMBOL`
#[derive(Debug)]
pub(super) struct SymbolPath {
    /// The object's name.
    pub(super) object: String,
    /// The symbol in it.
    pub(super) symbol: SymbolRef,
}

impl Read for SymbolPath {
    const EXAMPLE: &'static str = "\"filter:blocklist\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        let parts = text.value.split_once(':').filter(|(object, _)| !object.is_empty());
        match parts.and_then(|(object, symbol)| Some((object, symbol_ref(symbol)?))) {
            Some((object, symbol)) => Some(Self { object: object.to_owned(), symbol }),
            None => {
                let kind = Kind::BadReference { text: text.value, form: "OBJECT:SYMBOL", example: Self::EXAMPLE };
                reader.report(kind, text.span, "this reference")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^.+:.+$|\\$\\{.+\\}" })
    }
}

/// Reads a symbol as the manifest writes it: a name, or `#` and an index.
pub(super) fn symbol_ref(text: &str) -> Option<SymbolRef> {
    match text.strip_prefix('#') {
        Some(index) if index.bytes().all(|b| b.is_ascii_digit()) => index.parse().ok().map(SymbolRef::Index),
        Some(_) => None,
        None if text.is_empty() => None,
        None => Some(SymbolRef::Name(text.to_owned())),
    }
}

/// `OBJECT:FUNCTION`
#[derive(Debug)]
pub(super) struct FunctionPath {
    /// The object's name.
    pub(super) object: String,
    /// The function in it.
    pub(super) function: String,
}

impl Read for FunctionPath {
    const EXAMPLE: &'static str = "\"filter:xdp_drop\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match text.value.split_once(':') {
            Some((object, function)) if !object.is_empty() && !function.is_empty() && !function.starts_with('#') => {
                Some(Self { object: object.to_owned(), function: function.to_owned() })
            }
            Some(_) | None => {
                let kind = Kind::BadReference { text: text.value, form: "OBJECT:FUNCTION", example: Self::EXAMPLE };
                reader.report(kind, text.span, "this reference")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^.+:[^#].*$|\\$\\{.+\\}" })
    }
}

/// The name of a program of the manifest.
#[derive(Debug)]
pub(super) struct ProgramText(pub(super) String);

impl Read for ProgramText {
    const EXAMPLE: &'static str = "\"drop\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        String::read(entry, reader).map(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        String::schema(generator)
    }
}

/// What a program is for, as written.
#[derive(Debug)]
pub(super) enum TargetText {
    /// Something of the kernel, by its name there.
    Kernel(String),
    /// A program of the manifest; the function of it, unless the section's name says that.
    Program { program: String, function: Option<String> },
}

impl Read for TargetText {
    const EXAMPLE: &'static str = "\"tcp_connect\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        let bad = |text: String, form, example| Kind::BadReference { text, form, example };
        let Some(of_program) = text.value.strip_prefix("program.") else {
            if text.value.is_empty() || text.value.contains(char::is_control) {
                let kind = bad(text.value, "the name of something in the kernel", Self::EXAMPLE);
                return reader.report(kind, text.span, "this target");
            }
            return Some(Self::Kernel(text.value));
        };
        let (program, function) = match of_program.split_once(':') {
            Some((program, function)) => (program, Some(function.to_owned())),
            None => (of_program, None),
        };
        if program.is_empty() || function.as_ref().is_some_and(String::is_empty) {
            let kind = bad(text.value, "program.NAME:FUNCTION", "\"program.drop:classify\"");
            return reader.report(kind, text.span, "this target");
        }
        Some(Self::Program { program: program.to_owned(), function })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// Reads a time: a number of seconds, or one with `s`, `m` or `h` behind it.
///
/// # Errors
/// What is wrong, as a sentence without capital and full stop.
pub fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("the units of a time are s, m and h".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a time is a whole number, as in `120s` or `5m`".to_owned())?;
    match number.checked_mul(unit) {
        Some(0) => Err("that is no time at all".to_owned()),
        Some(seconds) if seconds <= 7 * 24 * 3600 => Ok(Duration::from_secs(seconds)),
        Some(_) | None => Err("that is longer than a week".to_owned()),
    }
}

/// A time.
#[derive(Debug)]
pub(super) struct Time(pub(super) Duration);

impl Read for Time {
    const EXAMPLE: &'static str = "\"10s\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match time(&text.value) {
            Ok(time) => Some(Self(time)),
            Err(why) => reader.report(Kind::BadText { text: text.value, why }, text.span, "this time"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+[smh]?$|\\$\\{.+\\}" })
    }
}

/// A host with a port.
#[derive(Debug)]
pub(super) struct HostPort(pub(super) String);

impl Read for HostPort {
    const EXAMPLE: &'static str = "\"192.0.2.1:22\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        let port = text.value.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
            Some(_) => Some(Self(text.value)),
            None => {
                let why = "it is a host and a port, as in `192.0.2.1:22` or `[2001:db8::1]:22`".to_owned();
                reader.report(Kind::BadText { text: text.value, why }, text.span, "this address")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^.+:[0-9]+$|\\$\\{.+\\}" })
    }
}

/// The address of something that speaks HTTP.
#[derive(Debug)]
pub(super) struct Url(pub(super) String);

impl Read for Url {
    const EXAMPLE: &'static str = "\"http://192.0.2.1/health\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        if text.value.strip_prefix("http://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
            return Some(Self(text.value));
        }
        let why = "it starts with `http://`; for TLS let a `command` such as curl ask".to_owned();
        reader.report(Kind::BadText { text: text.value, why }, text.span, "this address")
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^http://|\\$\\{.+\\}" })
    }
}

/// An IP address.
#[derive(Debug)]
pub(super) struct Address(pub(super) IpAddr);

impl Read for Address {
    const EXAMPLE: &'static str = "\"192.0.2.1\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match text.value.parse() {
            Ok(address) => Some(Self(address)),
            Err(_) => {
                let why = "it is no IPv4 or IPv6 address".to_owned();
                reader.report(Kind::BadText { text: text.value, why }, text.span, "this address")
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// The destinations of a route.
#[derive(Debug)]
pub(super) struct SubnetText(pub(super) Subnet);

impl Read for SubnetText {
    const EXAMPLE: &'static str = "\"10.9.0.0/24\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        match text.value.parse() {
            Ok(subnet) => Some(Self(subnet)),
            Err(why) => reader.report(Kind::BadText { text: text.value, why }, text.span, "these destinations"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// A program with its arguments.
#[derive(Debug)]
pub(super) struct Words(pub(super) Vec<String>);

impl Read for Words {
    const EXAMPLE: &'static str = "[\"/usr/local/bin/healthy\"]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = entry.value else {
            return reader.wrong_type(&entry, "a list of a program and its arguments");
        };
        if items.is_empty() {
            let why = "it names no program".to_owned();
            return reader.report(Kind::BadText { text: "[]".to_owned(), why }, entry.span, "this list");
        }
        let words = items.into_iter().map(|item| {
            let (address, key, span) = (entry.address.clone(), entry.key.clone(), item.span());
            Some(reader.text(Entry { address, key, value: item.into_inner(), span })?.value)
        });
        // Every word is read, so that all problems are found.
        let words: Vec<_> = words.collect();
        words.into_iter().collect::<Option<_>>().map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "minItems": 1, "items": { "type": "string" } })
    }
}

/// The names of interfaces: one, or a list of them with patterns.
#[derive(Debug)]
pub(super) struct Interface(pub(super) Interfaces);

/// Longest name in bytes: an altname has `ALTIFNAMSIZ` (128) with its NUL (`linux/if.h`).
const MAX_INTERFACE: usize = 127;

impl Read for Interface {
    const EXAMPLE: &'static str = "\"eth0\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Entry { address, key, value, span } = entry;
        let items = match value {
            DeValue::Array(items) => items,
            value => {
                let name = interface(Entry { address, key, value, span }, reader)?;
                return Some(Self(match is_pattern(&name) {
                    true => Interfaces::Each(vec![name]),
                    false => Interfaces::One(name),
                }));
            }
        };
        if items.is_empty() {
            let why = "it names no interface".to_owned();
            return reader.report(Kind::BadText { text: "[]".to_owned(), why }, span, "this list");
        }
        let names = items.into_iter().map(|item| {
            let (address, key, span) = (address.clone(), key.clone(), item.span());
            interface(Entry { address, key, value: item.into_inner(), span }, reader)
        });
        // Every name is read, so that all problems are found.
        let names: Vec<_> = names.collect();
        names.into_iter().collect::<Option<_>>().map(|names| Self(Interfaces::Each(names)))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        const NAME: &str = "^[^/:\\s]+$";
        json_schema!({ "anyOf": [
            { "type": "string", "pattern": NAME },
            { "type": "array", "minItems": 1, "items": { "type": "string", "pattern": NAME } },
        ] })
    }
}

/// Reads a name, or a pattern of names.
fn interface(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.text(entry)?;
    match interface_fault(&text.value) {
        None => Some(text.value),
        Some(why) => reader.report(Kind::BadInterface { name: text.value, why }, text.span, "this name"),
    }
}

/// Says why the kernel refuses an interface name (`dev_valid_name`, net/core/dev.c).
fn interface_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > MAX_INTERFACE {
        Some("it is longer than 127 bytes")
    } else if name == "." || name == ".." {
        Some("the kernel refuses it")
    } else if name.chars().any(|c| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control()) {
        Some("`/`, `:` and white space are not allowed")
    } else {
        None
    }
}

/// A list of consents.
#[derive(Debug)]
pub(super) struct Consents(pub(super) BTreeSet<Consent>);

impl Read for Consents {
    const EXAMPLE: &'static str = "[\"gap\"]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = &entry.value else { return reader.wrong_type(&entry, "a list of names") };
        let items = items.clone().into_iter().enumerate();
        // Every item is read, so that each wrong one is said.
        let consents: Vec<Option<Consent>> =
            items.map(|(i, item)| Read::read(item_of(&entry.address, i, &entry.key, item), reader)).collect();
        consents.into_iter().collect::<Option<_>>().map(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let consent = <Consent as Read>::schema(generator);
        json_schema!({ "type": "array", "items": consent })
    }
}

impl Choice for Consent {
    const EXAMPLE: &'static str = "\"gap\"";

    fn names() -> Vec<String> {
        Self::ALL.iter().map(Self::to_string).collect()
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|consent| consent.to_string() == name)
    }
}

/// Map flags as bits.
#[derive(Debug)]
pub(super) struct Flags(pub(super) u32);

impl Read for Flags {
    const EXAMPLE: &'static str = "[\"no_prealloc\"]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_bits(entry, reader, |Flag(bit)| bit).map(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        bits_schema::<Flag>(generator)
    }
}

/// Flags for loading a program as bits.
#[derive(Debug)]
pub(super) struct LoadFlags(pub(super) u32);

impl Read for LoadFlags {
    const EXAMPLE: &'static str = "[\"sleepable\"]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_bits(entry, reader, |LoadFlag(bit)| bit).map(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        bits_schema::<LoadFlag>(generator)
    }
}

/// Reads a list of names, each of which stands for a bit, or the number that they make.
fn read_bits<F: Choice>(entry: Entry<'_>, reader: &mut Reader<'_>, bit: fn(F) -> u32) -> Option<u32> {
    match &entry.value {
        DeValue::Integer(_) => u32::read(entry, reader),
        DeValue::Array(items) => {
            let items = items.clone().into_iter().enumerate();
            let flags: Vec<Option<F>> =
                items.map(|(i, item)| F::read(item_of(&entry.address, i, &entry.key, item), reader)).collect();
            flags.into_iter().try_fold(0, |bits, flag| flag.map(|flag| bits | bit(flag)))
        }
        DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            reader.wrong_type(&entry, "a list of names, or a number")
        }
    }
}

fn bits_schema<F: Choice>(generator: &mut SchemaGenerator) -> Schema {
    let (flag, number) = (F::schema(generator), u32::schema(generator));
    json_schema!({ "anyOf": [{ "type": "array", "items": flag }, number] })
}

/// Makes an entry of an item of a list.
fn item_of<'i>(address: &str, index: usize, key: &Span, item: Spanned<DeValue<'i>>) -> Entry<'i> {
    let span = item.span();
    Entry { address: format!("{address}[{index}]"), key: key.clone(), value: item.into_inner(), span }
}

/// One map flag.
struct Flag(u32);

impl Choice for Flag {
    const EXAMPLE: &'static str = "\"no_prealloc\"";

    fn names() -> Vec<String> {
        flags::NAMES.iter().map(|(_, name)| (*name).to_owned()).collect()
    }

    fn from_name(name: &str) -> Option<Self> {
        flags::NAMES.iter().find(|(_, known)| *known == name).map(|(bit, _)| Self(*bit))
    }
}

/// One flag for loading a program.
struct LoadFlag(u32);

impl Choice for LoadFlag {
    const EXAMPLE: &'static str = "\"sleepable\"";

    fn names() -> Vec<String> {
        load_flags::NAMES.iter().map(|(_, name)| (*name).to_owned()).collect()
    }

    fn from_name(name: &str) -> Option<Self> {
        load_flags::NAMES.iter().find(|(_, known)| *known == name).map(|(bit, _)| Self(*bit))
    }
}

/// The entries of a map, as written.
#[derive(Debug)]
pub(super) enum EntriesText {
    /// The path of a file that has them.
    File(String),
    /// The entries; those that were wrong are left out.
    Given(Vec<GivenEntry>),
}

/// What the names of files with entries end with.
pub(super) const FILE_KINDS: &[&str] = &["toml", "json", "csv", "txt", "list"];

impl Read for EntriesText {
    const EXAMPLE: &'static str = "{ \"10.0.0.0/8\" = 1 }";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &entry.value {
            DeValue::String(_) => {
                let text = reader.text(entry)?;
                let extension = text.value.rsplit_once('.').map_or("", |(_, extension)| extension);
                let unknown = || format!("its name ends with none of .{}", FILE_KINDS.join(", ."));
                let why = path_fault(&text.value).or((!FILE_KINDS.contains(&extension)).then(unknown));
                match why {
                    None => Some(Self::File(text.value)),
                    Some(why) => reader.report(Kind::BadPath { path: text.value, why }, text.span, "this file"),
                }
            }
            DeValue::Table(_) => given_table(entry, reader).map(Self::Given),
            DeValue::Array(_) => given_list(entry, reader).map(Self::Given),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                reader.wrong_type(&entry, "a table of keys and values, a list, or the path of a file")
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let value = Value::schema(generator);
        let key = serde_json::json!({ "not": { "type": "object" } });
        json_schema!({ "anyOf": [
            { "type": "string", "pattern": "\\.(toml|json|csv|txt|list)$|\\$\\{.+\\}" },
            { "type": "object", "additionalProperties": value },
            { "type": "array", "items": { "anyOf": [
                key,
                {
                    "type": "object", "required": ["key"], "additionalProperties": false,
                    "properties": { "key": value, "value": value },
                },
            ] } },
        ] })
    }
}

/// Reads a file of entries.
pub(super) fn given_root(root: Spanned<DeTable<'_>>, reader: &mut Reader<'_>) -> Option<Vec<GivenEntry>> {
    let span = root.span();
    let mut table = root.into_inner();
    let is_list = table.len() == 1 && table.get("entries").is_some_and(|entries| entries.get_ref().is_array());
    let list = if is_list { table.remove_entry("entries") } else { None };
    match list {
        Some((key, list)) => {
            let (address, key, span) = ("entries".to_owned(), key.span(), list.span());
            given_list(Entry { address, key, value: list.into_inner(), span }, reader)
        }
        None => given_table(Entry { address: String::new(), key: 0..0, value: DeValue::Table(table), span }, reader),
    }
}

/// Reads keys with their values.
pub(super) fn given_table(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Vec<GivenEntry>> {
    let Entries(entries) = Entries::<Value>::read(entry, reader)?;
    let given = entries.into_iter().map(|(key, value)| {
        let key = At { value: Value::Text(key.value), span: key.span };
        Some(GivenEntry { key, value: Some(value?) })
    });
    given.collect()
}

/// Reads a list of `{ key, value }` and of keys that are no tables.
pub(super) fn given_list(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Vec<GivenEntry>> {
    let DeValue::Array(items) = entry.value else {
        return reader.wrong_type(&entry, "a list of `{ key = ..., value = ... }`");
    };
    let given = items.into_iter().enumerate().map(|(index, item)| {
        let span = item.span();
        let item = item_of(&entry.address, index, &span, item);
        if !item.value.is_table() {
            let key = At { value: Value::read(item, reader)?, span };
            return Some(GivenEntry { key, value: None });
        }
        let mut table = Table::open(item, reader)?;
        let key = table.must::<Value>("key", reader);
        let value = table.may::<Value>("value", reader);
        let header = table.close(&["key", "value"], &[], reader);
        Some(GivenEntry { key: key.0?, value: value.0 }).filter(|_| !header.unclear)
    });
    // Every entry is read, so that each wrong one is said.
    let given: Vec<_> = given.collect();
    given.into_iter().collect()
}

impl Choice for EntriesMode {
    const EXAMPLE: &'static str = "\"exact\"";

    fn names() -> Vec<String> {
        Self::ALL.map(|mode| mode.to_string()).to_vec()
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.to_string() == name)
    }
}

/// How a key or a value is written.
#[derive(Debug)]
pub(super) struct FormatText(pub(super) Format);

impl Read for FormatText {
    const EXAMPLE: &'static str = "\"ipv4\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let (span, written) = match &entry.value {
            DeValue::String(_) => {
                let text = reader.text(entry)?;
                (text.span, Written::One(text.value))
            }
            DeValue::Array(_) => {
                let span = entry.span.clone();
                let Words(fields) = Words::read(entry, reader)?;
                (span, Written::List(fields))
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => return reader.wrong_type(&entry, "the name of a format, or a list of fields"),
        };
        let text = written.to_string();
        match Format::try_from(written) {
            Ok(format) => Some(Self(format)),
            Err(why) => reader.report(Kind::BadText { text, why }, span, "this format"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" }, "minLength": 1, "minItems": 1 })
    }
}

impl Choice for OnChange {
    const EXAMPLE: &'static str = "\"recreate\"";

    fn names() -> Vec<String> {
        Self::ALL.iter().map(Self::to_string).collect()
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.to_string() == name)
    }
}

/// The kernel's own lists: every name but `unspec`, in lower case.
macro_rules! kernel_choice {
    ($($type:ident = $example:literal,)*) => {$(
        impl Choice for $type {
            const EXAMPLE: &'static str = $example;

            fn names() -> Vec<String> {
                $type::names().filter(|name| name != "unspec").collect()
            }

            fn from_name(name: &str) -> Option<Self> {
                $type::from_name(name).filter(|_| name != "unspec" && name == name.to_ascii_lowercase())
            }
        }
    )*};
}

kernel_choice! {
    MapType = "\"lru_hash\"",
    ProgramType = "\"sched_cls\"",
    AttachType = "\"cgroup_inet_ingress\"",
}

impl Choice for XdpMode {
    const EXAMPLE: &'static str = "\"auto\"";

    fn names() -> Vec<String> {
        ["auto", "native", "generic", "offload"].map(str::to_owned).to_vec()
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "native" => Some(Self::Native),
            "generic" => Some(Self::Generic),
            "offload" => Some(Self::Offload),
            _ => None,
        }
    }
}

/// Choices that are a table of values with their names.
macro_rules! table_choice {
    ($($type:ident = $example:literal,)*) => {$(
        impl Choice for $type {
            const EXAMPLE: &'static str = $example;

            fn names() -> Vec<String> {
                $type::ALL.iter().map(|(_, name)| (*name).to_owned()).collect()
            }

            fn from_name(name: &str) -> Option<Self> {
                $type::ALL.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
            }
        }
    )*};
}

table_choice! {
    Family = "\"ipv4\"",
    Point = "\"input\"",
    CounterSource = "\"software\"",
}

/// The ways of a kind of hook, by their names there.
macro_rules! ways {
    ($($(#[$about:meta])* $type:ident = [$link:literal, $direct:literal],)*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $type(pub(super) Via);

        impl Choice for $type {
            const EXAMPLE: &'static str = concat!("\"", $direct, "\"");

            fn names() -> Vec<String> {
                [$link, $direct].map(str::to_owned).to_vec()
            }

            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $link => Some(Self(Via::Link)),
                    $direct => Some(Self(Via::Direct)),
                    _ => None,
                }
            }
        }
    )*};
}

ways! {
    /// The way to a tc hook.
    TcVia = ["tcx", "clsact"],
    /// The way to an XDP hook.
    XdpVia = ["link", "netlink"],
    /// The way to a cgroup's hook.
    CgroupVia = ["link", "attach"],
}

/// Protocols that a filter may be for (`linux/if_ether.h`).
const PROTOCOLS: &[(&str, u16)] =
    &[("all", 0x0003), ("ipv4", 0x0800), ("arp", 0x0806), ("802.1q", 0x8100), ("ipv6", 0x86dd), ("802.1ad", 0x88a8)];

/// Returns what a manifest calls a protocol; `None` for one that it has no name for.
pub fn protocol_name(number: u16) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// The protocol of packets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protocol(pub(super) u16);

impl Choice for Protocol {
    const EXAMPLE: &'static str = "\"ipv4\"";

    fn names() -> Vec<String> {
        PROTOCOLS.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn from_name(name: &str) -> Option<Self> {
        PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, number)| Self(*number))
    }
}

/// The direction of a tc hook, seen from the interface.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// Packets that the interface receives.
    Ingress,
    /// Packets that the interface sends.
    Egress,
}

impl Choice for Direction {
    const EXAMPLE: &'static str = "\"ingress\"";

    fn names() -> Vec<String> {
        ["ingress", "egress"].map(str::to_owned).to_vec()
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "ingress" => Some(Self::Ingress),
            "egress" => Some(Self::Egress),
            _ => None,
        }
    }
}

/// One of [`GPL_LICENSES`].
#[derive(Debug, Clone, Copy)]
pub(super) struct License(pub &'static str);

impl Choice for License {
    const EXAMPLE: &'static str = "\"Dual MIT/GPL\"";

    fn names() -> Vec<String> {
        GPL_LICENSES.map(str::to_owned).to_vec()
    }

    fn from_name(name: &str) -> Option<Self> {
        GPL_LICENSES.into_iter().find(|license| *license == name).map(Self)
    }
}

impl Read for Value {
    const EXAMPLE: &'static str = "64";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match entry.value {
            DeValue::Boolean(value) => Some(Self::Bool(value)),
            DeValue::String(text) => reader.expand(&text, &entry.span).map(Self::Text),
            DeValue::Float(ref number) => match number.as_str().parse() {
                Ok(value) => Some(Self::Float(value)),
                Err(_) => reader.wrong_type(&entry, "a number"),
            },
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(value) => Some(Self::Int(value)),
                Err(_) => {
                    let kind = Kind::OutOfRange {
                        key: entry.address,
                        value: number.to_string(),
                        min: i128::MIN,
                        max: i128::MAX,
                    };
                    reader.report(kind, entry.span, "this number")
                }
            },
            DeValue::Datetime(_) => reader.wrong_type(&entry, "a number, a string, true or false, a list or a table"),
            DeValue::Array(items) => {
                let items = items.into_iter().enumerate();
                let values: Vec<_> =
                    items.map(|(i, item)| Self::read(item_of(&entry.address, i, &entry.key, item), reader)).collect();
                values.into_iter().collect::<Option<_>>().map(Self::List)
            }
            DeValue::Table(_) => {
                let Entries(entries) = Entries::<Self>::read(entry, reader)?;
                let values = entries.into_iter().map(|(key, value)| Some((key.value, value?.value)));
                values.collect::<Option<_>>().map(Self::Table)
            }
        }
    }

    /// The object's BTF says what fits; all but dates is well formed.
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "number", "boolean", "string", "array", "object"] })
    }
}
