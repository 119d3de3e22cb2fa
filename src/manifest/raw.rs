//! The file as written: one struct for each table, one type for each way to write a value.
//!
//! The comments on fields are what an editor shows, so they speak to users. Nothing here looks at two keys.

use super::SymbolRef;
use super::read::{Choice, Entries, Entry, NAME_PATTERN, Named, Read, Reader, Variables, bad_path, choose, table};
use crate::btf::value::Value;
use crate::desired::Span;
use crate::diag::Kind;
use crate::kernel::XdpMode;
use crate::kinds::{AttachType, MapType, ProgramType};
use crate::names::{DeploymentName, Digest, PinPath};
use crate::spec::flags;
use schemars::{Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

table! {
    /// A bpfapply manifest: the packet filters that a host should run, and the maps they share.
    #[schemars(title = "bpfapply manifest")]
    RawManifest {
        /// Variables. `"${name}"` in any string of the manifest stands for the value; `$${` is a plain `${`.
        ///
        /// `--var name=value` and `--var-file` override them. Example: `uplink = "eth0"`
        may var: Variables,
        /// Version of the manifest language. Always `1`.
        must version: Version,
        /// Name of the deployment: everything that this manifest manages. Its pins live in `/sys/fs/bpf/NAME`.
        ///
        /// Letters, digits, `_` and `-`. Example: `"edge"`
        must name: DeploymentName,
        /// The folder in bpffs for the deployment's pins. Default: `/sys/fs/bpf/NAME`
        may pin_root: PinPath,
        /// Objects: the ELF files with programs and map definitions. The same file may appear twice, with other
        /// edges and variables: these are two instances.
        may object: Named<RawObject>,
        /// Maps that have a name of their own: shared, resized, pinned somewhere else, or made by somebody else.
        /// A map that one object uses alone needs no table.
        may map: Named<RawMap>,
        /// Programs to load.
        may program: Named<RawProgram>,
        /// Links: where programs are attached.
        may link: Named<RawLink>,
    }
    later &["allow", "check", "require_tests", "protect"]
}

table! {
    /// An ELF file with programs and map definitions.
    RawObject {
        /// Path of the file, relative to the manifest. Example: `"filter.bpf.o"`
        must path: ObjectPath,
        /// SHA-256 of the file, 64 hexadecimal digits: any other content is refused. Default: any content is taken.
        may sha256: Digest,
        /// Edges: this map symbol of the object is that map of the manifest. A symbol without a name is `"#0"`, `"#1"`
        /// and so on, in the order of the object.
        ///
        /// Example: `{ deny = "blocklist" }` makes the object's `deny` the same map as `[map.blocklist]`.
        may maps: Entries<String>,
        /// Values for global variables of the object, by name. Default: what the object was compiled with.
        ///
        /// Example: `{ sample_rate = 64 }`
        may set: Entries<Value>,
    }
    later &["btf", "optional", "test"]
}

table! {
    /// A map. It comes from exactly one of `from`, `pinned`, `id` and `type`.
    #[schemars(extend("oneOf" = [
        { "title": "defined by an object", "required": ["from"] },
        { "title": "somebody else's, by pin", "required": ["pinned"] },
        { "title": "somebody else's, by id", "required": ["id"] },
        { "title": "defined here", "required": ["type", "key_size", "value_size", "max_entries"] },
    ]))]
    RawMap {
        /// The definition, as `OBJECT:SYMBOL`: type, sizes and BTF are taken from there, and that object uses this map.
        ///
        /// Example: `"filter:blocklist"`, or `"filter:#0"` for a symbol without a name
        may from: SymbolPath,
        /// The pin of a map that somebody else made. It is used, and never created, changed or removed.
        ///
        /// Example: `"/sys/fs/bpf/tc/globals/flows"`
        may pinned: PinPath,
        /// The id of a map that somebody else made, as `bpftool map` shows it. It is used, and never changed or removed.
        may id: u32,
        /// Type of a map that no object defines; needs `key_size`, `value_size` and `max_entries`. Example: `"lru_hash"`
        may r#type: MapType,
        /// Size of a key in bytes, together with `type`.
        may key_size: u32,
        /// Size of a value in bytes (for per-CPU maps: for one CPU), together with `type`.
        may value_size: u32,
        /// Where it is pinned: below `pin_root`, or an absolute path below a bpffs. Default: `"maps/NAME"`
        may pin: PinText,
        /// How many entries the map can hold; for ring buffers its size in bytes. Default: what the object says.
        may max_entries: u32,
        /// Flags for creating the map: a list of names, or a number. Default: what the object says.
        ///
        /// Example: `["no_prealloc"]`
        may flags: Flags,
        /// The NUMA node that the map's memory comes from. Default: any.
        may numa_node: u32,
        /// For a map of maps: the map of this manifest that the maps inside have to look like.
        may inner: String,
        /// What to do when the pinned map no longer fits its definition. Default: `"fail"`, the only choice so far.
        may on_change: OnChange,
    }
    later &[
        "entries", "entries_mode", "adopt", "protect", "sensitive", "key_format", "value_format", "mode", "owner",
        "group", "optional",
    ]
}

table! {
    /// A program.
    RawProgram {
        /// The function, as `OBJECT:FUNCTION`. Example: `"filter:xdp_drop"`
        must from: FunctionPath,
        /// Where it is pinned: below `pin_root`, or an absolute path below a bpffs. Default: `"programs/NAME"`
        may pin: PinText,
        /// Program type. Default: what the section name in the object says. Example: `"sched_cls"`
        may r#type: ProgramType,
        /// Attach type. Default: what the section name in the object says. Example: `"cgroup_inet_ingress"`
        may attach_type: AttachType,
    }
    later &["target", "flags", "test", "tests", "protect", "mode", "owner", "group", "optional"]
}

table! {
    /// An attachment of a program. It has exactly one of `xdp`, `tc` and `cgroup`.
    #[schemars(extend("oneOf" = [
        { "required": ["xdp"] }, { "required": ["tc"] }, { "required": ["cgroup"] },
    ]))]
    RawLink {
        /// The program, by its name in this manifest. Example: `"drop"` for `[program.drop]`
        must program: ProgramText,
        /// Attach to an interface by XDP: the first look at every packet that it receives.
        ///
        /// Example: `{ interface = "eth0", mode = "native" }`
        may xdp: RawXdp,
        /// Attach to an interface by tc (tcx): packets in one direction, after XDP.
        ///
        /// Example: `{ interface = "eth0", direction = "ingress" }`
        may tc: RawTc,
        /// Attach to a cgroup. Which of its hooks follows from the program. Example: `{ path = "system.slice" }`
        may cgroup: RawCgroup,
    }
    later &[
        "pin", "optional", "protect", "takeover", "netfilter", "netkit", "sk_lookup", "flow_dissector", "sk_msg",
        "sk_skb", "sk_reuseport", "socket_filter", "lwt", "struct_ops", "tracepoint", "raw_tp", "tp_btf", "perf_event",
        "kprobe", "kretprobe", "kprobe_multi", "uprobe", "uretprobe", "uprobe_multi", "fentry", "fexit", "fmod_ret",
        "lsm", "lsm_cgroup", "iter", "freplace", "mode", "owner", "group", "netns",
    ]
}

table! {
    /// An XDP hook.
    RawXdp {
        /// Name of the interface. Example: `"eth0"`
        must interface: Interface,
        /// Where the program runs. `native`: in the driver. `generic`: in the network stack, for any interface.
        /// `offload`: in the network card. `auto`: the driver's where it has one, else generic. Default: `"auto"`
        may mode: XdpMode,
    }
    later &["optional", "netns", "flags", "order"]
}

table! {
    /// A tc hook.
    RawTc {
        /// Name of the interface. Example: `"eth0"`
        must interface: Interface,
        /// `ingress` for packets that the interface receives, `egress` for packets that it sends.
        must direction: Direction,
    }
    later &["order", "priority", "handle", "protocol", "chain", "optional", "netns", "via"]
}

table! {
    /// A cgroup hook.
    RawCgroup {
        /// Path of the cgroup, below the host's cgroup2 mount or absolute. Example: `"system.slice"`
        must path: CgroupPath,
    }
    later &["order", "optional", "attach", "attach_type"]
}

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
        match &entry.value {
            DeValue::Table(_) => {
                let what = "a pin with a mode, an owner or a group".to_owned();
                reader.report(Kind::NotYet { what }, entry.span, "write the path as a string")
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                let text = reader.text(entry)?;
                match path_fault(&text.value) {
                    None => Some(Self(text.value)),
                    Some(why) => reader.report(Kind::BadPath { path: text.value, why }, text.span, "this pin"),
                }
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
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

/// Says why a text cannot be the path of a file.
fn path_fault(text: &str) -> Option<String> {
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

/// The name of one interface.
#[derive(Debug)]
pub(super) struct Interface(pub(super) String);

/// Longest name in bytes: an altname has `ALTIFNAMSIZ` (128) with its NUL (`linux/if.h`).
const MAX_INTERFACE: usize = 127;

impl Read for Interface {
    const EXAMPLE: &'static str = "\"eth0\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Array(_) = &entry.value {
            return reader.report(Kind::NotYet { what: "a list of interfaces".to_owned() }, entry.span, "this list");
        }
        let text = reader.text(entry)?;
        if text.value.contains(['*', '?', '[']) {
            let what = format!("the interface pattern `{}`", text.value.escape_debug());
            return reader.report(Kind::NotYet { what }, text.span, "write one name");
        }
        match interface_fault(&text.value) {
            None => Some(Self(text.value)),
            Some(why) => reader.report(Kind::BadInterface { name: text.value, why }, text.span, "this name"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[^*?\\[/:\\s]+$" })
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

/// Map flags as bits.
#[derive(Debug)]
pub(super) struct Flags(pub(super) u32);

impl Read for Flags {
    const EXAMPLE: &'static str = "[\"no_prealloc\"]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &entry.value {
            DeValue::Integer(_) => u32::read(entry, reader).map(Self),
            DeValue::Array(items) => {
                let items = items.clone().into_iter().enumerate();
                let flags: Vec<_> =
                    items.map(|(i, item)| Flag::read(item_of(&entry.address, i, &entry.key, item), reader)).collect();
                let bits = flags.into_iter().try_fold(0, |bits, flag| flag.map(|flag| bits | flag.0));
                bits.map(Self)
            }
            DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
                reader.wrong_type(&entry, "a list of names, or a number")
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let (flag, number) = (Flag::schema(generator), u32::schema(generator));
        json_schema!({ "anyOf": [{ "type": "array", "items": flag }, number] })
    }
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

/// What to do when a pinned map no longer fits.
#[derive(Debug)]
pub(super) struct OnChange;

impl Read for OnChange {
    const EXAMPLE: &'static str = "\"fail\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let key = entry.address.clone();
        let text = reader.text(entry)?;
        match text.value.as_str() {
            "fail" => Some(Self),
            "recreate" | "migrate" => {
                let what = format!("`on_change = \"{}\"`", text.value);
                reader.report(Kind::NotYet { what }, text.span, "only `fail` so far")
            }
            _ => choose::<OnChangeSoFar>(&key, text, reader).map(|_| Self),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["fail"] })
    }
}

/// What `on_change` offers when a value is none that it knows.
struct OnChangeSoFar;

impl Choice for OnChangeSoFar {
    const EXAMPLE: &'static str = "\"fail\"";

    fn names() -> Vec<String> {
        vec!["fail".to_owned()]
    }

    fn from_name(_: &str) -> Option<Self> {
        None
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

/// Returns the JSON schema of the language. Draft 7 without references: TOML editors know no newer one, and show
/// the texts of inlined types only.
pub(super) fn schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<RawManifest>().to_value()
}

/// Reads the whole text.
pub(super) fn read(root: Spanned<DeTable<'_>>, reader: &mut Reader<'_>) -> Option<RawManifest> {
    let span = root.span();
    let value = DeValue::Table(root.into_inner());
    // A key that is missing at the top is shown at the first byte.
    RawManifest::read(Entry { address: String::new(), key: 0..0, value, span }, reader)
}
