//! The manifest: the file as written (`raw` and `values`, by `read`), then the file as meant (`check`, `conflicts`).
//!
//! Pure: text in, [`Manifest`] out, every problem of the text together.

mod check;
mod conflicts;
mod events;
mod packets;
mod raw;
mod read;
mod values;

use crate::access::{Access, AccountKind};
use crate::btf::value::Value;
use crate::btf::value::format::Format;
use crate::desired::{EntriesMode, Netns, OnChange, Order, Span, is_pattern};
use crate::diag::{Kind, Problem, Problems};
use crate::direct::{Via, Wish};
use crate::kinds::XdpMode;
use crate::kinds::{AttachType, MapType, Netfilter, ProgramType};
use crate::names::{DeploymentName, Digest, LinkName, MapName, ObjectName, PinPath, ProgramName};
use crate::plan::Consent;
use crate::route::RouteWish;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub(crate) use events::tracepoint;
pub use events::{EventLink, EventText};
pub use packets::{After, Context, InterfaceText, PacketAfter, PacketSource, Test, TestMap, TestMaps, VerdictText};
pub use values::{protocol_name, time};

/// A value and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> At<T> {
    /// Makes another value of the same place.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> At<U> {
        At { value: to(self.value), span: self.span }
    }
}

/// The file as meant: names are names, references are known to exist in the manifest, pins are absolute.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Name of the deployment.
    pub name: DeploymentName,
    /// The folder of its pins; `/sys/fs/bpf/NAME` unless the manifest says otherwise.
    pub pin_root: PinPath,
    /// What an apply may do without being told so each time.
    pub allow: BTreeSet<Consent>,
    /// Objects.
    pub objects: BTreeMap<ObjectName, Object>,
    /// Maps.
    pub maps: BTreeMap<MapName, Map>,
    /// Programs.
    pub programs: BTreeMap<ProgramName, Program>,
    /// Links.
    pub links: BTreeMap<LinkName, Link>,
    /// Health checks, in their order.
    pub checks: Vec<Check>,
    /// Whether an apply needs the tests of all programs to pass.
    pub require_tests: bool,
    /// Variables with their values.
    pub variables: BTreeMap<String, String>,
}

/// The tests of programs, in their order.
pub type Tests = BTreeMap<ProgramName, Vec<Test>>;

/// `[[check]]`
#[derive(Debug, Clone)]
pub struct Check {
    /// What messages call it.
    pub name: String,
    /// What it does.
    pub probe: Probe,
    /// How long it may take until it passes.
    pub timeout: Duration,
}

/// What a health check does.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Connects to this host and port.
    Tcp(String),
    /// Asks this address and expects a status of 2xx.
    Http(String),
    /// Sends an ICMP echo request and expects the reply.
    Ping(IpAddr),
    /// Runs this program with these arguments and expects 0.
    Command(Vec<String>),
    /// Looks at this map until its contents change.
    Counter(MapName),
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Http(url) => write!(f, "GET {url}"),
            Self::Ping(address) => write!(f, "ping {address}"),
            Self::Command(words) => write!(f, "{}", words.join(" ")),
            Self::Counter(map) => write!(f, "map.{map} changes"),
        }
    }
}

/// A map symbol of an object: by name, or by index as `#0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolRef {
    /// The symbol's name.
    Name(String),
    /// The index in the object's list of maps.
    Index(usize),
}

impl SymbolRef {
    /// Returns the index of the map in its object's list.
    pub fn find(&self, maps: &[crate::elf::Map]) -> Option<usize> {
        match self {
            Self::Index(index) => (*index < maps.len()).then_some(*index),
            Self::Name(name) => maps.iter().position(|map| map.symbol == *name),
        }
    }
}

impl fmt::Display for SymbolRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "#{index}"),
        }
    }
}

/// `[object.NAME]`
#[derive(Debug, Clone)]
pub struct Object {
    /// The name in the table header.
    pub span: Span,
    /// Path of the file, relative to the manifest.
    pub path: At<String>,
    /// The digest that the file must have.
    pub sha256: Option<At<Digest>>,
    /// The digest that the file had when the plan was saved that this manifest is from.
    pub planned: Option<Digest>,
    /// Edges: this symbol is that map.
    pub edges: Vec<(At<SymbolRef>, At<MapName>)>,
    /// Global variables by BTF name.
    pub set: BTreeMap<String, (Span, At<Value>)>,
    /// Path of the file with the kernel's types for this object, relative to the manifest.
    pub btf: Option<At<String>>,
    /// License of an object that says none.
    pub license: Option<At<&'static str>>,
}

/// `[map.NAME]`
#[derive(Debug, Clone)]
pub struct Map {
    /// The name in the table header.
    pub span: Span,
    /// Where it comes from.
    pub source: MapSource,
    /// Its pin, where the manifest says one; never with a foreign source.
    pub pin: Option<At<PinPath>>,
    /// Value size in bytes, for a definition in an object that leaves it open.
    pub value_size: Option<At<u32>>,
    /// `max_entries` override of a definition.
    pub max_entries: Option<At<u32>>,
    /// `flags` override of a definition.
    pub flags: Option<At<u32>>,
    /// `numa_node` override of a definition.
    pub numa_node: Option<At<u32>>,
    /// The map that is the template of this map of maps.
    pub inner: Option<At<MapName>>,
    /// What to do when the pinned map no longer fits.
    pub on_change: OnChange,
    /// Whether it must never be removed or made anew.
    pub protect: bool,
    /// Whether somebody else's map at its pin becomes ours.
    pub adopt: bool,
    /// Who may open its pin.
    pub access: Access,
    /// Where it names the owner and the group.
    pub accounts: BTreeMap<AccountKind, Span>,
    /// What it holds.
    pub entries: Option<MapEntries>,
    /// Whether no output may show what it holds.
    pub sensitive: bool,
    /// How its keys are written, where the manifest says it.
    pub key_format: Option<At<Format>>,
    /// How its values are written, where the manifest says it.
    pub value_format: Option<At<Format>>,
}

impl Map {
    /// Makes the table of a map that an object alone knows, with these entries.
    pub fn of_symbol(symbol: (ObjectName, SymbolRef), span: Span, entries: MapEntries) -> Self {
        Self {
            span: span.clone(),
            source: MapSource::From(At { value: symbol, span }),
            pin: None,
            value_size: None,
            max_entries: None,
            flags: None,
            numa_node: None,
            inner: None,
            on_change: OnChange::Fail,
            protect: false,
            adopt: false,
            access: Access::default(),
            accounts: BTreeMap::new(),
            entries: Some(entries),
            sensitive: false,
            key_format: None,
            value_format: None,
        }
    }
}

/// `entries` of a map.
#[derive(Debug, Clone)]
pub struct MapEntries {
    /// The value of `entries`.
    pub span: Span,
    /// Where they are.
    pub source: EntriesSource,
    /// The value of those that say none.
    pub value: Option<At<Value>>,
    /// Which of the map's entries they stand for.
    pub mode: EntriesMode,
}

/// Where entries are.
#[derive(Debug, Clone)]
pub enum EntriesSource {
    /// In a file; its name tells of which kind.
    File {
        /// Path of the file, relative to the manifest.
        path: String,
        /// The digest that the file must have.
        sha256: Option<Digest>,
    },
    /// In the manifest.
    Given(Vec<GivenEntry>),
}

/// An entry with its places.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenEntry {
    /// The key.
    pub key: At<Value>,
    /// The value, where it says one.
    pub value: Option<At<Value>>,
}

/// Where a map comes from.
#[derive(Debug, Clone)]
pub enum MapSource {
    /// `from = "OBJECT:SYMBOL"`: that definition; the object gets its edge by this.
    From(At<(ObjectName, SymbolRef)>),
    /// `pinned = "..."`: somebody else's.
    Pinned(At<PinPath>),
    /// `id = N`: somebody else's.
    Id(At<u32>),
    /// `type = "..."` with sizes: a map that no object defines.
    Inline {
        /// Type.
        map_type: At<MapType>,
        /// Key size in bytes.
        key_size: u32,
        /// Value size in bytes.
        value_size: u32,
    },
}

/// `[program.NAME]`
#[derive(Debug, Clone)]
pub struct Program {
    /// The name in the table header.
    pub span: Span,
    /// The object and the function.
    pub from: At<(ObjectName, String)>,
    /// Its pin, where the manifest says one.
    pub pin: Option<At<PinPath>>,
    /// Type, where the manifest says one.
    pub program_type: Option<At<ProgramType>>,
    /// Attach type, where the manifest says one.
    pub attach_type: Option<At<AttachType>>,
    /// What it is for, where the manifest says it.
    pub target: Option<At<ProgramTarget>>,
    /// Flags for loading it, where the manifest says them.
    pub flags: Option<At<u32>>,
    /// Whether it must never be removed.
    pub protect: bool,
    /// Who may open its pin.
    pub access: Access,
    /// Where it names the owner and the group.
    pub accounts: BTreeMap<AccountKind, Span>,
    /// Its tests, but for those in a file of their own.
    pub tests: Vec<Test>,
}

/// What a program is for, beyond its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramTarget {
    /// Something of the kernel, by its name there: a function, a tracepoint, a security hook, an iterator.
    Kernel(String),
    /// A function of another program.
    Function {
        /// The other program.
        program: ProgramName,
        /// Its function, unless the section's name says that.
        function: Option<String>,
    },
}

/// `[link.NAME]`
#[derive(Debug, Clone)]
pub struct Link {
    /// The name in the table header.
    pub span: Span,
    /// The program; none for a struct of functions.
    pub program: Option<At<ProgramName>>,
    /// Where it is attached, and the place that says so.
    pub attach: At<Attach>,
    /// Its place among those that share the hook, where the manifest says one.
    pub order: Option<Order>,
    /// Whether it is left out where what it is to be on is not there.
    pub optional: bool,
    /// Whether it must never be detached or moved.
    pub protect: bool,
    /// Who may open its pin.
    pub access: Access,
    /// Where it names the owner and the group.
    pub accounts: BTreeMap<AccountKind, Span>,
}

/// Where a link is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attach {
    /// `xdp = { interface, netns, mode, via }`
    Xdp {
        /// Which interfaces.
        interface: Interfaces,
        /// The network namespace that it is in.
        netns: Netns,
        /// Mode.
        mode: XdpMode,
        /// The way, when it is not to be chosen.
        via: Option<Via>,
    },
    /// `tc = { interface, netns, direction, via, priority, handle, protocol, chain }`
    Tc {
        /// Which interfaces.
        interface: Interfaces,
        /// The network namespace that it is in.
        netns: Netns,
        /// `tcx_ingress` or `tcx_egress`.
        attach_type: AttachType,
        /// The way, when it is not to be chosen.
        via: Option<Via>,
        /// What a filter of clsact is to be.
        wish: Wish,
    },
    /// `netkit = { interface, netns, peer }`
    Netkit {
        /// Which interfaces, by their primary ends.
        interface: Interfaces,
        /// The network namespace that it is in.
        netns: Netns,
        /// `netkit_primary` or `netkit_peer`.
        attach_type: AttachType,
    },
    /// `lwt = { to, interface, gateway, table, metric, headroom, netns }`: where on the way follows from the program.
    Lwt {
        /// Which interface the route leads to.
        interface: Interfaces,
        /// The network namespace that it is in.
        netns: Netns,
        /// The route.
        route: RouteWish,
    },
    /// `cgroup = { path, via }`: the hook is the program's attach type.
    Cgroup {
        /// Absolute, or relative to the cgroup2 mount.
        path: String,
        /// The way, when it is not to be chosen.
        via: Option<Via>,
    },
    /// `sk_lookup = { netns }` or `flow_dissector = { netns }`
    Netns {
        /// Which network namespace.
        netns: Netns,
        /// `sk_lookup` or `flow_dissector`.
        attach_type: AttachType,
    },
    /// `netfilter = { family, hook, priority, defrag, netns }`
    Netfilter {
        /// Which one.
        hook: Netfilter,
        /// Of which network namespace.
        netns: Netns,
    },
    /// `struct_ops = { map }`: the map is attached, and no program.
    StructOps {
        /// The map.
        map: MapName,
    },
    /// `sockmap = { map }`: which of the map's programs it is follows from the program.
    Sockmap {
        /// The map.
        map: MapName,
    },
    /// `tracepoint = { name }`, `kprobe = { function }` and the like.
    Event(EventLink),
}

impl Attach {
    /// Returns the names and patterns of interfaces of which each has a link of its own.
    pub fn interfaces(&self) -> &[String] {
        match self {
            Self::Xdp { interface, .. }
            | Self::Tc { interface, .. }
            | Self::Netkit { interface, .. }
            | Self::Lwt { interface, .. } => match interface {
                Interfaces::One(_) => &[],
                Interfaces::Each(names) => names,
            },
            Self::Cgroup { .. }
            | Self::Netns { .. }
            | Self::Netfilter { .. }
            | Self::Sockmap { .. }
            | Self::StructOps { .. }
            | Self::Event(_) => &[],
        }
    }
}

/// The interfaces of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// The one of this name: the table is one link.
    One(String),
    /// One for each name, and for each that a pattern matches.
    Each(Vec<String>),
}

impl Interfaces {
    /// Returns the name of the one interface; nothing where the host decides which ones there are.
    pub fn name(&self) -> String {
        match self {
            Self::One(name) => name.clone(),
            Self::Each(_) => String::new(),
        }
    }

    /// Lists the names; what patterns match shows on the host.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Each(names) => names,
        };
        names.iter().filter(|name| !is_pattern(name))
    }
}

/// Reads a manifest. `vars` overrides the values of `[var]`.
pub fn parse(text: &str, vars: &BTreeMap<String, String>) -> Result<Manifest, Problems> {
    let (manifest, problems) = parse_partly(text, vars);
    problems.or(manifest).map(|manifest| manifest.expect("a manifest that was not read has a problem"))
}

/// Reads what can be read of a manifest, and says what is wrong; where nothing is, that is all of it.
pub fn parse_partly(text: &str, vars: &BTreeMap<String, String>) -> (Option<Manifest>, Problems) {
    let root = match toml::de::DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => return (None, syntax(text, &error)),
    };
    let mut reader = read::Reader::new(text, vars);
    let raw = raw::read::<raw::RawManifest>(root, &mut reader);
    reader.check_overrides();
    let variables = reader.variables();
    let mut problems = reader.problems;
    let manifest = raw.map(|raw| Manifest { variables, ..check::check(raw, &mut problems) });
    if let Some(manifest) = &manifest {
        conflicts::check(manifest, &mut problems);
    }
    (manifest, problems)
}

/// Says whether a text is TOML, and if not why.
pub(crate) fn check_syntax(text: &str) -> Result<(), Problems> {
    toml::de::DeTable::parse(text).map(drop).map_err(|error| syntax(text, &error))
}

/// Reads a file of tests that is beside a manifest, whose variables it has.
pub fn parse_tests(text: &str, manifest: &Manifest) -> Result<Tests, Problems> {
    let root = toml::de::DeTable::parse(text).map_err(|error| syntax(text, &error))?;
    let no_overrides = BTreeMap::new();
    let mut reader = read::Reader::new(text, &no_overrides);
    reader.inherit(&manifest.variables);
    let raw = raw::read(root, &mut reader);
    let mut problems = reader.problems;
    let tests = raw.map(|raw| check::check_tests(raw, manifest, &mut problems));
    problems.or(tests).map(Option::unwrap_or_default)
}

/// Reads entries from a TOML file: a table of keys and values, or a list `entries` of `{ key, value }`.
pub fn entry_file(text: &str) -> Result<Vec<GivenEntry>, Problems> {
    let root = toml::de::DeTable::parse(text).map_err(|error| syntax(text, &error))?;
    let no_variables = BTreeMap::new();
    let mut reader = read::Reader::new(text, &no_variables);
    let given = values::given_root(root, &mut reader);
    reader.problems.or(given).map(Option::unwrap_or_default)
}

/// Returns the text with `*` instead of the entries of maps that are `sensitive`, byte for byte, for messages to show.
pub fn redacted(text: &str) -> String {
    // A text that is wrong somewhere may have secrets elsewhere.
    let (root, _) = toml::de::DeTable::parse_recoverable(text);
    let maps = root.get_ref().get("map").and_then(|maps| maps.get_ref().as_table());
    let tables = maps.into_iter().flatten().filter_map(|(name, map)| Some((name, map.get_ref().as_table()?)));
    let (mut secrets, mut names) = (Vec::new(), Vec::new());
    for (name, table) in
        tables.filter(|(_, table)| table.get("sensitive").is_some_and(|at| at.get_ref().as_bool() == Some(true)))
    {
        ["entries", "entries_value"].iter().filter_map(|key| table.get(*key)).for_each(|at| secret(at, &mut secrets));
        names.push(name.get_ref().as_ref());
    }
    secrets_of_tests(root.get_ref(), &names, &mut secrets);
    starred(text, secrets)
}

/// Returns the text of a file of tests in the same way; the manifest says which maps are `sensitive`.
pub fn redacted_tests(text: &str, manifest: &Manifest) -> String {
    let (root, _) = toml::de::DeTable::parse_recoverable(text);
    let names: Vec<&str> =
        manifest.maps.iter().filter(|(_, map)| map.sensitive).map(|(name, _)| name.as_str()).collect();
    let mut secrets = Vec::new();
    secrets_of_tests(root.get_ref(), &names, &mut secrets);
    starred(text, secrets)
}

/// Collects the places of what tests say of these maps.
fn secrets_of_tests(root: &toml::de::DeTable<'_>, names: &[&str], found: &mut Vec<Span>) {
    let programs = root.get("program").and_then(|programs| programs.get_ref().as_table());
    let programs = programs.into_iter().flat_map(toml::de::DeTable::values);
    let tests = programs.filter_map(|program| program.get_ref().as_table()?.get("test")?.get_ref().as_array());
    for test in tests.flatten().filter_map(|test| test.get_ref().as_table()) {
        let after = test.get("after").and_then(|after| after.get_ref().as_table());
        let maps = [Some(test), after].into_iter().flatten().filter_map(|table| table.get("maps"));
        for maps in maps.filter_map(|maps| maps.get_ref().as_table()) {
            names.iter().filter_map(|name| maps.get(*name)).for_each(|entries| secret(entries, found));
        }
    }
}

/// Writes stars over these places.
fn starred(text: &str, secrets: Vec<Span>) -> String {
    let mut shown = text.as_bytes().to_vec();
    for byte in secrets.into_iter().filter_map(|span| text.get(span.clone()).map(|_| span)).flatten() {
        if shown[byte] != b'\n' {
            shown[byte] = b'*';
        }
    }
    String::from_utf8(shown).unwrap_or_default()
}

/// Collects the places of keys and values: a table that has a header says the place of that alone.
fn secret(value: &toml::Spanned<toml::de::DeValue<'_>>, found: &mut Vec<Span>) {
    if let Some(table) = value.get_ref().as_table() {
        for (key, value) in table {
            found.push(key.span());
            secret(value, found);
        }
    } else {
        found.push(value.span());
    }
}

/// Makes a problem of what the TOML parser says.
fn syntax(text: &str, error: &toml::de::Error) -> Problems {
    let span = error.span().unwrap_or(text.len()..text.len());
    Problem::at(Kind::Syntax(error.message().to_owned()), span, "here").into()
}

/// Returns the JSON schema of the manifest, for editors. It is strict; what it cannot say, [`parse`] does.
pub fn schema() -> serde_json::Value {
    raw::schema()
}

/// Returns the JSON schema of a file of tests.
pub fn tests_schema() -> serde_json::Value {
    raw::tests_schema()
}
