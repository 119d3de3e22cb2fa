//! A host's state as a file: what `bpfapply export` writes, and what a plan can be made against without the host.
//!
//! It says what the kernel and bpffs would answer, not what that means: a plan is made from it by the same code as on the
//! host. What it does not say is not known, which is never taken for "not there". Contents of maps are in it only when
//! somebody asks for them; constants of programs, the ids in slots and the records of deployments always are.

use crate::direct::{Feature, Qdisc};
use crate::json;
use crate::kinds::{AttachType, MapType, ProgramType, XdpMode};
use crate::names::{self, PinPath};
use crate::observed::HookInfo;
use crate::route::{RouteInfo, RoutePlace};
use crate::spec::{Host, user_value_size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The format that this version writes. Any other is refused, never guessed.
pub const FORMAT: u32 = 1;

/// More CPUs than these no kernel is built for (`NR_CPUS` is 8192 at most, arch/x86/Kconfig); a value of a map has one part
/// for each.
const MOST_CPUS: u32 = 1 << 16;

/// What a host has, as `bpfapply export` writes it and `bpfapply plan.toml --dry-run=offline --against FILE` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bpfapply host state")]
pub struct HostState {
    /// Version of this format. Always `1`.
    #[schemars(range(min = 1, max = 1))]
    pub format: u32,
    /// When it was read, in seconds since 1970.
    pub time: u64,
    /// Nanoseconds since boot, then.
    pub uptime: u64,
    /// `LINUX_VERSION_CODE`; 0 when the release does not tell.
    pub version: u32,
    /// Number of possible CPUs.
    pub possible_cpus: u32,
    /// The most CPUs that the kernel was built for.
    pub most_cpus: u32,
    /// Page size in bytes.
    pub page_size: u32,
    /// What this kernel lacks that decides on the way in which programs are attached.
    #[schemars(with = "BTreeSet<String>")]
    pub lacks: BTreeSet<Feature>,
    /// The security modules that the kernel asks, in their order; null where securityfs does not tell.
    pub security_modules: Option<String>,
    /// Numbers of the users that records name.
    pub users: BTreeMap<String, u32>,
    /// Numbers of the groups that records name.
    pub groups: BTreeMap<String, u32>,
    /// Where the bpffs is, or would be. Nothing is known of any other.
    #[schemars(with = "String")]
    pub bpffs: PinPath,
    /// Whether it is mounted.
    pub mounted: bool,
    /// Everything in it, by path.
    #[schemars(with = "BTreeMap<String, File>")]
    pub files: BTreeMap<PinPath, File>,
    /// The maps that are pinned there, or that records name by id.
    pub maps: BTreeMap<u32, Map>,
    /// All programs of the host, by id.
    pub programs: BTreeMap<u32, Program>,
    /// All links of the host, by id.
    pub links: BTreeMap<u32, Link>,
    /// The BTF of what is pinned, by id.
    pub types: BTreeMap<u32, Hex>,
    /// Network namespaces by their files: the one in which the tool ran, and those that have names.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Where the cgroup2 hierarchy is mounted; null when it is not.
    pub cgroup_mount: Option<String>,
    /// The ids of cgroups, by path.
    pub cgroups: BTreeMap<String, u64>,
    /// Whether these are all. Else nothing is known of others.
    pub all_cgroups: bool,
    /// The hooks that several programs share.
    pub hooks: Hooks,
    /// The ids of the tracepoints that links of records are on, by `CATEGORY/NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tracepoints: BTreeMap<String, u64>,
    /// The functions in files that links of records are on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// The routes at the places where links of records are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Routes>,
}

/// A function in a file that processes run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Path of the file.
    pub binary: String,
    /// The function; null for the start of the file.
    pub symbol: Option<String>,
    /// The file's device.
    pub device: u64,
    /// The file's inode.
    pub inode: u64,
    /// Where the function starts, in bytes.
    pub offset: u64,
}

/// The routes at a place of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    /// Inode of the network namespace.
    pub netns: u64,
    /// Index of the interface there.
    pub index: u32,
    /// The place.
    #[schemars(with = "serde_json::Value")]
    pub place: RoutePlace,
    /// The routes.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub routes: Vec<RouteInfo>,
}

/// Something in a bpffs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum File {
    /// A folder.
    Folder {
        /// Its inode.
        inode: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Its inode.
        inode: u64,
        /// Where it leads.
        target: String,
        /// The programs that are attached where it says that one is; null for one that does not stand for an attachment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        programs: Option<Vec<u32>>,
    },
    /// A map, program or link.
    Pin {
        /// Its inode.
        inode: u64,
        /// What it is.
        kind: PinKind,
        /// The id of that.
        id: u32,
        /// The nine bits of `chmod`.
        mode: u32,
        /// Number of the user whose it is.
        owner: u32,
        /// Number of the group.
        group: u32,
    },
    /// A file of the kernel's own, or one that may not be opened.
    Other {
        /// Its inode.
        inode: u64,
    },
}

/// What a pin stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "their names say it")]
pub enum PinKind {
    Map,
    Program,
    Link,
}

/// `struct bpf_map_info`, and what a map holds where that is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the kernel's own names")]
pub struct Map {
    #[schemars(with = "String")]
    pub r#type: MapType,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub map_extra: u64,
    pub name: String,
    pub btf_id: u32,
    pub key_type_id: u32,
    pub value_type_id: u32,
    /// Whether user space can no longer write it.
    pub frozen: bool,
    /// The programs that it gives to its sockets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<Verdict>,
    /// The record of a deployment, when it holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<serde_json::Value>,
    /// Its entries, where they were asked for and are not secret; those of a frozen data section, and the ids of programs
    /// and maps in slots, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<Entry>>,
}

impl Map {
    /// Returns whether an entry is as long as those of the map.
    fn has(&self, entry: &Entry, host: &Host) -> bool {
        let value_size = user_value_size(self.r#type, self.value_size, host);
        !entry.key.0.is_empty() && (entry.key.0.len(), entry.value.0.len()) == (self.key_size as usize, value_size)
    }
}

/// The programs of a sockmap or sockhash for one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What they are for.
    #[schemars(with = "String")]
    pub attach_type: AttachType,
    /// Their ids.
    pub programs: Vec<u32>,
}

/// An entry of a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The bytes of its key.
    pub key: Hex,
    /// The bytes of its value, as user space reads it.
    pub value: Hex,
}

/// `struct bpf_prog_info`, as far as it identifies a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the kernel's own names")]
pub struct Program {
    #[schemars(with = "String")]
    pub r#type: ProgramType,
    pub tag: [u8; 8],
    pub name: String,
    pub map_ids: Vec<u32>,
    pub btf_id: u32,
    pub load_time: u64,
    pub verified_insns: u32,
}

/// `struct bpf_link_info`: what is attached, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Id of the program that it runs.
    pub program_id: u32,
    /// Where it is attached.
    #[schemars(with = "serde_json::Value")]
    pub hook: HookInfo,
    /// Whether it still is.
    pub is_attached: bool,
}

/// A network namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// Its inode.
    pub inode: u64,
    /// The ids of the programs that dissect flows in it.
    pub dissectors: Vec<u32>,
    /// All of its interfaces, by name.
    pub interfaces: BTreeMap<String, Interface>,
}

/// An interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Index of the interface that it is on, or of the other end of a pair.
    pub peer: Option<u32>,
    /// Its alternative names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_names: Vec<String>,
    /// The XDP programs on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xdp: Vec<Xdp>,
    /// Its qdisc for filters, with the filters; null when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub qdisc: Option<Qdisc>,
}

/// An XDP program on an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Xdp {
    /// How it is attached.
    #[schemars(with = "String")]
    pub mode: XdpMode,
    /// Its id.
    pub program_id: u32,
}

/// The hooks of tcx and of cgroups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// The revision of every hook of tcx that is not in the list.
    pub tcx_revision: u64,
    /// The same of cgroups.
    pub cgroup_revision: u64,
    /// The hooks of cgroups that this kernel does not have.
    #[schemars(with = "BTreeSet<String>")]
    pub lacks: BTreeSet<AttachType>,
    /// Those with a program, or with another revision.
    pub shared: Vec<SharedHook>,
}

/// A hook that several programs share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedHook {
    /// What it is of.
    pub of: HookOwner,
    /// Which of the hooks of that.
    #[schemars(with = "String")]
    pub attach_type: AttachType,
    /// How often it changed; 0 where nobody counts.
    pub revision: u64,
    /// The programs, in the order in which packets meet them.
    pub programs: Vec<OnHook>,
}

/// What a shared hook is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HookOwner {
    /// An interface.
    Interface {
        /// Inode of its network namespace.
        netns: u64,
        /// Its index there.
        index: u32,
    },
    /// A cgroup.
    Cgroup {
        /// Its id.
        id: u64,
    },
}

/// A program on a shared hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnHook {
    /// Its id.
    pub program_id: u32,
    /// The link that runs it, where the hook tells.
    pub link_id: Option<u32>,
}

/// Bytes as hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex(pub Vec<u8>);

impl JsonSchema for Hex {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" })
    }
}

impl From<Hex> for String {
    fn from(bytes: Hex) -> Self {
        names::hex(&bytes.0)
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |byte: &u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err("not two digits from 0 to f for each byte"),
        };
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Ok(digit(high)? << 4 | digit(low)?),
            _ => Err("not two digits from 0 to f for each byte"),
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }
}

impl HostState {
    /// Writes the file.
    pub fn encode(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has only strings, numbers and lists, which JSON always takes")
            + "\n"
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Why it is none, as a sentence without capital and full stop.
    pub fn decode(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(|error| json::wrong(&error))?;
        match head.format {
            FORMAT => serde_json::from_str(text).map_err(|error| json::wrong(&error)).and_then(Self::check),
            other => Err(format!("it has format {other}, and this version knows {FORMAT} alone")),
        }
    }

    /// Refuses what no host has, which the types of JSON cannot say.
    fn check(self) -> Result<Self, String> {
        let host = self.host();
        if !(1..=MOST_CPUS).contains(&host.possible_cpus) || !host.page_size.is_power_of_two() {
            return Err(format!("no host has {} CPUs and pages of {} bytes", host.possible_cpus, host.page_size));
        }
        let is_broken = |map: &Map| map.entries.iter().flatten().any(|entry| !map.has(entry, &host));
        match self.maps.iter().find(|(_, map)| is_broken(map)) {
            Some((id, _)) => Err(format!("map id {id} has an entry of another size than its keys and values")),
            None => Ok(self),
        }
    }

    /// Returns what of it decides the shape of maps.
    pub fn host(&self) -> Host {
        Host { possible_cpus: self.possible_cpus, most_cpus: self.most_cpus, page_size: self.page_size }
    }

    /// Returns the JSON schema of the file.
    pub fn schema() -> serde_json::Value {
        let settings = schemars::generate::SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Self>().to_value()
    }
}
