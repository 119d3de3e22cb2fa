//! Links to events: how their values are written, and what the keys of one of their tables say together.

use super::check::Checker;
use super::raw::{RawKprobe, RawKprobeMulti, RawPerfEvent, RawRawTracepoint, RawTarget, RawTracepoint, RawUprobe};
use super::read::{Entry, Field, Read, Reader};
use super::values::path_fault;
use super::{At, Attach};
use crate::desired::{Counter, CounterSource, Rate};
use crate::diag::{Kind, Problem, similar};
use schemars::{Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

/// A link to an event as the manifest says it: what it leaves open, the program's section name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLink {
    /// The event.
    pub event: EventText,
    /// What `bpf_get_attach_cookie` gives the program.
    pub cookie: Option<u64>,
}

/// An event as the manifest says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventText {
    /// `tracepoint = { name }`: its category and its name.
    Tracepoint(Option<(String, String)>),
    /// `raw_tracepoint = { name }`
    RawTracepoint(Option<String>),
    /// `tracing = {}`
    Tracing,
    /// `lsm = {}`
    Lsm,
    /// `iter = {}`
    Iter,
    /// `extension = {}`
    Extension,
    /// `perf_event = { type, config, period | frequency, cpu, pid }`
    Counter(Counter),
    /// `kprobe = { function, offset, return }`
    Kprobe {
        /// The function.
        function: Option<String>,
        /// Bytes behind its start.
        offset: Option<u64>,
        /// Whether it is met where it returns.
        returns: Option<bool>,
    },
    /// `kprobe_multi = { functions, return }`
    KprobeMulti {
        /// The functions, sorted.
        functions: Vec<String>,
        /// Whether they are met where they return.
        returns: Option<bool>,
    },
    /// `uprobe = { binary, symbol, offset, pid, return }`
    Uprobe {
        /// Path of the file.
        binary: Option<String>,
        /// The function.
        symbol: Option<String>,
        /// Bytes behind the start of the function, or of the file.
        offset: Option<u64>,
        /// The process.
        pid: Option<u32>,
        /// Whether the function is met where it returns.
        returns: Option<bool>,
    },
}

impl EventText {
    /// Returns the table's key.
    pub fn table(&self) -> &'static str {
        match self {
            Self::Tracepoint(_) => "tracepoint",
            Self::RawTracepoint(_) => "raw_tracepoint",
            Self::Tracing => "tracing",
            Self::Lsm => "lsm",
            Self::Iter => "iter",
            Self::Extension => "extension",
            Self::Counter(_) => "perf_event",
            Self::Kprobe { .. } => "kprobe",
            Self::KprobeMulti { .. } => "kprobe_multi",
            Self::Uprobe { .. } => "uprobe",
        }
    }
}

/// A name of the kernel or of a program's function.
#[derive(Debug)]
pub(super) struct SymbolText(pub(super) String);

impl Read for SymbolText {
    const EXAMPLE: &'static str = "\"tcp_connect\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        let why = match text.value.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '/' || *c == '*') {
            None if text.value.is_empty() => "it is empty".to_owned(),
            None => return Some(Self(text.value)),
            Some(c) => format!("it has `{}`, which no symbol has", c.escape_debug()),
        };
        reader.report(Kind::BadText { text: text.value, why }, text.span, "this name")
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[^\s/*]+$" })
    }
}

/// Names of functions.
#[derive(Debug)]
pub(super) struct SymbolList(pub(super) Vec<String>);

impl Read for SymbolList {
    const EXAMPLE: &'static str = "[\"tcp_connect\"]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = entry.value else { return reader.wrong_type(&entry, "a list of functions") };
        if items.is_empty() {
            let why = "it names no function".to_owned();
            return reader.report(Kind::BadText { text: "[]".to_owned(), why }, entry.span, "this list");
        }
        let symbols = items.into_iter().map(|item| {
            let (address, key, span) = (entry.address.clone(), entry.key.clone(), item.span());
            Some(SymbolText::read(Entry { address, key, value: item.into_inner(), span }, reader)?.0)
        });
        // Every one is read, so that all problems are found.
        let symbols: Vec<_> = symbols.collect();
        let mut symbols: Vec<String> = symbols.into_iter().collect::<Option<_>>()?;
        symbols.sort_unstable();
        symbols.dedup();
        Some(Self(symbols))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = SymbolText::schema(generator);
        json_schema!({ "type": "array", "minItems": 1, "items": items })
    }
}

/// A tracepoint as `CATEGORY/NAME`.
#[derive(Debug)]
pub(super) struct TracepointText(String, String);

impl Read for TracepointText {
    const EXAMPLE: &'static str = "\"sched/sched_process_exec\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        let Some((category, name)) = tracepoint(&text.value) else {
            let why = "it is not `CATEGORY/NAME`".to_owned();
            return reader.report(Kind::BadText { text: text.value, why }, text.span, "this tracepoint");
        };
        Some(Self(category, name))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$" })
    }
}

/// Reads `CATEGORY/NAME`: both are names of folders.
pub(crate) fn tracepoint(text: &str) -> Option<(String, String)> {
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let (category, name) = text.split_once('/')?;
    (is_name(category) && is_name(name)).then(|| (category.to_owned(), name.to_owned()))
}

/// The absolute path of a file that processes run.
#[derive(Debug)]
pub(super) struct BinaryPath(String);

impl Read for BinaryPath {
    const EXAMPLE: &'static str = "\"/bin/bash\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(entry)?;
        let relative = || (!text.value.starts_with('/')).then(|| "it is not absolute".to_owned());
        match path_fault(&text.value).or_else(relative) {
            None => Some(Self(text.value)),
            Some(why) => reader.report(Kind::BadPath { path: text.value, why }, text.span, "this path"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^/" })
    }
}

/// What is counted: a name, or a number.
#[derive(Debug)]
pub(super) enum CounterText {
    Name(String),
    Number(u64),
}

impl Read for CounterText {
    const EXAMPLE: &'static str = "\"cpu-clock\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match entry.value {
            DeValue::Integer(_) => u64::read(entry, reader).map(Self::Number),
            _ => reader.text(entry).map(|text| Self::Name(text.value)),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let number = u64::schema(generator);
        json_schema!({ "anyOf": [number, { "type": "string", "minLength": 1 }] })
    }
}

/// The tables of one link that are events; at most one is there.
pub(super) struct Tables {
    pub(super) tracepoint: Field<RawTracepoint>,
    pub(super) raw_tracepoint: Field<RawRawTracepoint>,
    pub(super) tracing: Field<RawTarget>,
    pub(super) lsm: Field<RawTarget>,
    pub(super) iter: Field<super::raw::RawIter>,
    pub(super) extension: Field<RawTarget>,
    pub(super) perf_event: Field<RawPerfEvent>,
    pub(super) kprobe: Field<RawKprobe>,
    pub(super) kprobe_multi: Field<RawKprobeMulti>,
    pub(super) uprobe: Field<RawUprobe>,
}

impl Checker<'_> {
    /// Makes the event of a link, if it has one. None inside for a table that is wrong.
    pub(super) fn event(&mut self, tables: Tables) -> Option<Option<At<Attach>>> {
        let target = |event: EventText| move |at: At<RawTarget>| Some(at.map(|raw| attach(event, raw.cookie)));
        (tables.tracepoint.0.map(tracepoint_of))
            .or_else(|| tables.raw_tracepoint.0.map(raw_tracepoint_of))
            .or_else(|| tables.tracing.0.map(target(EventText::Tracing)))
            .or_else(|| tables.lsm.0.map(target(EventText::Lsm)))
            .or_else(|| tables.iter.0.map(|at| Some(at.map(|_| attach(EventText::Iter, Field(None))))))
            .or_else(|| tables.extension.0.map(target(EventText::Extension)))
            .or_else(|| tables.perf_event.0.map(|raw| self.counter(raw)))
            .or_else(|| tables.kprobe.0.map(|raw| self.kprobe(raw)))
            .or_else(|| tables.kprobe_multi.0.map(kprobe_multi_of))
            .or_else(|| tables.uprobe.0.map(|raw| self.uprobe(raw)))
    }

    fn counter(&mut self, raw: At<RawPerfEvent>) -> Option<At<Attach>> {
        let At { value: raw, span } = raw;
        let rate = match (&raw.period, &raw.frequency) {
            (Field(Some(period)), Field(Some(frequency))) => {
                let why = "a counter has a period or a frequency: keep one of the two";
                self.apart(&raw.header, ("period", &period.span), ("frequency", &frequency.span), why);
                None
            }
            (Field(Some(period)), Field(None)) => {
                self.not_zero(&raw.header.address, "period", period).map(Rate::Period)
            }
            (Field(None), Field(Some(frequency))) => {
                self.not_zero(&raw.header.address, "frequency", frequency).map(Rate::Frequency)
            }
            (Field(None), Field(None)) => {
                if !raw.header.unclear {
                    self.missing(&raw.header, "frequency", "99");
                }
                None
            }
        };
        let (cpu, pid) = (raw.cpu.0.map(|cpu| cpu.value), raw.pid.0.map(|pid| pid.value));
        if cpu.is_none() && pid.is_none() && !raw.header.unclear {
            self.missing(&raw.header, "cpu", "0");
            return None;
        }
        let source = raw.r#type.0?.value;
        let config = self.config(&raw.header.address, source, raw.config.0?)?;
        let counter = Counter { source, config, rate: rate?, cpu, pid };
        Some(At { value: attach(EventText::Counter(counter), raw.cookie), span })
    }

    fn not_zero(&mut self, table: &str, key: &str, number: &At<u64>) -> Option<u64> {
        if number.value != 0 {
            return Some(number.value);
        }
        let key = format!("{table}.{key}");
        let kind = Kind::OutOfRange { key, value: "0".to_owned(), min: 1, max: u64::MAX.into() };
        self.problems.push(Problem::at(kind, number.span.clone(), "this number"));
        None
    }

    fn config(&mut self, table: &str, source: CounterSource, text: At<CounterText>) -> Option<u64> {
        let name = match text.value {
            CounterText::Number(number) => return Some(number),
            CounterText::Name(name) => name,
        };
        let names = source.configs();
        if let Some(number) = names.iter().position(|known| **known == name) {
            return u64::try_from(number).ok();
        }
        let allowed: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let similar = similar(&name, &allowed);
        let kind = match allowed.is_empty() {
            true => Kind::WrongType {
                key: format!("{table}.config"),
                wants: format!("a number where `type` is `{source}`"),
            },
            false => Kind::UnknownValue { key: format!("{table}.config"), value: name, allowed, similar },
        };
        self.problems.push(Problem::at(kind, text.span, "this counter"));
        None
    }

    fn kprobe(&mut self, raw: At<RawKprobe>) -> Option<At<Attach>> {
        let At { value: raw, span } = raw;
        let returns = raw.r#return.0;
        self.only_at_start(&raw.header, returns.as_ref(), raw.offset.0.as_ref())?;
        let event = EventText::Kprobe {
            function: raw.function.0.map(|function| function.value.0),
            offset: raw.offset.0.map(|offset| offset.value),
            returns: returns.map(|returns| returns.value),
        };
        Some(At { value: attach(event, raw.cookie), span })
    }

    fn uprobe(&mut self, raw: At<RawUprobe>) -> Option<At<Attach>> {
        let At { value: raw, span } = raw;
        let lacks = match (&raw.binary.0, &raw.symbol.0, &raw.offset.0) {
            _ if raw.header.unclear => None,
            (None, Some(_), _) => Some(("binary", "\"/bin/bash\"")),
            (Some(_), None, None) => Some(("symbol", "\"readline\"")),
            (None, None, _) | (Some(_), _, _) => None,
        };
        if let Some((key, example)) = lacks {
            self.missing(&raw.header, key, example);
            return None;
        }
        let event = EventText::Uprobe {
            binary: raw.binary.0.map(|binary| binary.value.0),
            symbol: raw.symbol.0.map(|symbol| symbol.value.0),
            offset: raw.offset.0.map(|offset| offset.value),
            pid: raw.pid.0.map(|pid| pid.value),
            returns: raw.r#return.0.map(|returns| returns.value),
        };
        Some(At { value: attach(event, raw.cookie), span })
    }

    /// A function returns as a whole (`register_kretprobe` takes none but its start).
    fn only_at_start(
        &mut self,
        header: &super::read::Header,
        returns: Option<&At<bool>>,
        offset: Option<&At<u64>>,
    ) -> Option<()> {
        match (returns.filter(|returns| returns.value), offset.filter(|offset| offset.value != 0)) {
            (Some(returns), Some(offset)) => {
                let why = "a function returns as a whole: leave the offset out";
                self.apart(header, ("return", &returns.span), ("offset", &offset.span), why);
                None
            }
            (Some(_), None) | (None, _) => Some(()),
        }
    }
}

fn attach(event: EventText, cookie: Field<u64>) -> Attach {
    Attach::Event(EventLink { event, cookie: cookie.0.map(|cookie| cookie.value) })
}

fn tracepoint_of(raw: At<RawTracepoint>) -> Option<At<Attach>> {
    Some(raw.map(|raw| {
        let name = raw.name.0.map(|at| (at.value.0, at.value.1));
        attach(EventText::Tracepoint(name), raw.cookie)
    }))
}

fn raw_tracepoint_of(raw: At<RawRawTracepoint>) -> Option<At<Attach>> {
    Some(raw.map(|raw| attach(EventText::RawTracepoint(raw.name.0.map(|name| name.value.0)), raw.cookie)))
}

fn kprobe_multi_of(raw: At<RawKprobeMulti>) -> Option<At<Attach>> {
    let At { value: raw, span } = raw;
    let functions = raw.functions.0?.value.0;
    let event = EventText::KprobeMulti { functions, returns: raw.r#return.0.map(|returns| returns.value) };
    Some(At { value: attach(event, raw.cookie), span })
}
