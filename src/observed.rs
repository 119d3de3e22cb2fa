//! What is: plain data, read from the kernel and bpffs. How it is read is `kernel::observe`.

use crate::access::{Access, AccountKind, Permissions};
use crate::desired::{
    Anchor, Desired, DesiredMap, EntriesMode, Hook, MapSource, Neighbour, Netns, ObjectFacts, OnChange, Order,
    SlotSource,
};
use crate::entries::Entries;
use crate::kinds::{AttachType, MapType, Netfilter, ProgramType, XdpMode};
use crate::names::{Digest, PinPath};
use crate::record::Record;
use crate::spec::{Host, MapSpec, MapTypes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What a host has of the things that a manifest or a record names.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What decides the shape of maps.
    pub host: Host,
    /// False when the folder that should be a bpffs is not one, or does not exist.
    pub bpffs: bool,
    /// What is at the folder of the deployment's pins.
    pub root: Root,
    /// Generations of the deployment that an interrupted run left, neither the one that runs nor the one before it.
    pub leftovers: Vec<Leftover>,
    /// Folders that exist, of those that were asked for, with what is in them.
    pub directories: BTreeMap<PinPath, Vec<Entry>>,
    /// Pins that exist, of those that were asked for.
    pub pins: BTreeMap<PinPath, Pinned>,
    /// Who may open the pins that exist, of those of which it was asked.
    pub permissions: BTreeMap<PinPath, Permissions>,
    /// The numbers of users and groups that exist, of those that were asked for.
    pub accounts: BTreeMap<(AccountKind, String), u32>,
    /// Maps that exist, of the ids that were asked for.
    pub maps_by_id: BTreeMap<u32, ObservedMap>,
    /// Interfaces that exist, of those that were asked for.
    pub interfaces: BTreeMap<String, Interface>,
    /// Cgroups that exist, of the paths that were asked for, as the manifest writes them: absolute path and id.
    pub cgroups: BTreeMap<String, (std::path::PathBuf, u64)>,
    /// Network namespaces that exist, of those that were asked for.
    pub namespaces: BTreeMap<Netns, Namespace>,
    /// The programs on hooks that several share, of those that were asked for.
    pub queues: BTreeMap<Hook, Queue>,
    /// Who has the priorities of netfilter that were asked for, in whichever network namespace; links of ours, too.
    pub priorities: BTreeMap<Netfilter, Vec<Occupant>>,
    /// Programs of others, or links that run them, that exist, of the pins that were asked for.
    pub beside: BTreeMap<PinPath, Occupant>,
    /// The deployment's record, where it has one.
    pub record: Option<Record>,
    /// The entries of maps that exist, of the pins that were asked for.
    pub contents: BTreeMap<PinPath, Arc<Entries>>,
    /// Entries that are kept as ours ([`crate::owned`]), by where they are kept.
    pub kept: BTreeMap<PinPath, Arc<Entries>>,
}

/// What is at the folder of a deployment's pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Nothing.
    Missing,
    /// A symbolic link of ours to this folder, the generation that runs.
    Generation(PinPath),
    /// A folder that we did not make, or anything else.
    Foreign,
}

/// A generation that an interrupted run left.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// Its folder.
    pub path: PinPath,
    /// Its links.
    pub links: Vec<LinkInfo>,
    /// Its record, if it got that far.
    pub record: Option<Record>,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its inode. A pin has another one when it is made anew, and the same under each of its names.
    pub inode: u64,
    /// What it is.
    pub kind: EntryKind,
}

/// What something in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A map, program or link: only opening tells which.
    Pin,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
}

/// What a pin stands for.
#[derive(Debug, Clone)]
pub enum Pinned {
    /// A map.
    Map(ObservedMap),
    /// A program.
    Program(ObservedProgram),
    /// A link.
    Link(LinkInfo),
}

/// A map that exists.
#[derive(Debug, Clone)]
pub struct ObservedMap {
    /// What the kernel says of it.
    pub info: MapInfo,
    /// The same as a definition, with BTF; without the inner template, which the kernel does not tell.
    pub spec: MapSpec,
    /// The value of a read-only data section: a frozen array of one entry and at most 64 KiB, read-only for programs.
    pub frozen_value: Option<Vec<u8>>,
    /// Its entries, where it no longer fits and may be made anew, as far as such a map has entries that can be read.
    pub live: Option<Live>,
    /// Programs that run with it and are in no generation of the deployment, by id and name, where its entries go over.
    pub others: Vec<(u32, String)>,
}

/// What was read of the entries of a map.
#[derive(Debug, Clone)]
pub enum Live {
    /// How many there are; of an array, how many are not zero.
    Counted(u64),
    /// All of them.
    Read(Arc<Entries>),
}

impl Live {
    /// Returns how many there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Counted(count) => *count,
            Self::Read(entries) => entries.len() as u64,
        }
    }
}

impl ObservedMap {
    /// Makes a definition of what the kernel says; `types` are those that the ids in `info` mean.
    pub fn new(info: MapInfo, types: Option<MapTypes>, frozen_value: Option<Vec<u8>>) -> Self {
        let spec = MapSpec {
            flags: info.flags,
            map_extra: info.map_extra,
            types,
            ..MapSpec::new(info.map_type, info.key_size, info.value_size, info.max_entries)
        };
        Self { info, spec, frozen_value, live: None, others: Vec::new() }
    }
}

/// A program that exists.
#[derive(Debug, Clone)]
pub struct ObservedProgram {
    /// What the kernel says of it.
    pub info: ProgramInfo,
    /// The fingerprints that its BTF carries, by the manifest's name of the program.
    pub fingerprints: Arc<Fingerprints>,
}

/// Fingerprints by the manifest's names of programs.
pub type Fingerprints = BTreeMap<String, Digest>;

/// What observe has to look for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The folder that should be a bpffs.
    pub bpffs: Option<PinPath>,
    /// Pins.
    pub pins: BTreeSet<PinPath>,
    /// Pins of which must be known who may open them.
    pub permissions: BTreeSet<PinPath>,
    /// Users and groups by name.
    pub accounts: BTreeSet<(AccountKind, String)>,
    /// Folders.
    pub directories: BTreeSet<PinPath>,
    /// Maps by id.
    pub map_ids: BTreeSet<u32>,
    /// Interfaces by name.
    pub interfaces: BTreeSet<String>,
    /// Cgroups by path: absolute, or relative to the cgroup2 mount.
    pub cgroups: BTreeSet<String>,
    /// Network namespaces.
    pub namespaces: BTreeSet<Netns>,
    /// Hooks that several programs share, and what must be known of them.
    pub queues: BTreeMap<Hook, Asked>,
    /// Priorities of netfilter that links want.
    pub priorities: BTreeSet<Netfilter>,
    /// Pins of others, of which the programs share a hook with ours.
    pub beside: BTreeSet<PinPath>,
    /// The folder of the deployment's pins; whatever the record in it names is looked for as well.
    pub pin_root: Option<PinPath>,
    /// Whether the types of maps and programs must be known, which are found by id. Else they are left out where that is
    /// not allowed.
    pub types: bool,
    /// Whether a new record is to be made: then one that says nothing is as good as none.
    pub adopts: bool,
    /// Maps that may be made anew when they no longer fit, by their pins: then their entries count.
    pub changing: BTreeMap<PinPath, Arc<DesiredMap>>,
    /// Maps of which the entries are read.
    pub contents: BTreeSet<PinPath>,
    /// Where entries are kept as ours.
    pub kept: BTreeSet<PinPath>,
    /// Whether the entries that the record says are ours are read as well.
    pub entries: bool,
    /// Objects whose BTF the kernel may have. The same bytes are not read into types once more.
    pub objects: Vec<Arc<ObjectFacts>>,
}

/// What must be known of a hook that several programs share. Else it is left out where that is not allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Who is before whom, since a link wants a place.
    pub places: bool,
    /// The links of all, since a link wants to be beside somebody else's.
    pub links: bool,
}

impl Wanted {
    /// Returns what a plan for `desired` must know.
    pub fn of(desired: &Desired) -> Self {
        let mut wanted = Self {
            bpffs: Some(desired.bpffs.clone()),
            pin_root: Some(desired.pin_root.clone()),
            types: true,
            entries: true,
            objects: desired.objects.values().cloned().collect(),
            ..Self::default()
        };
        wanted.pins.extend(desired.maps.values().filter_map(|map| map.pin().cloned()));
        wanted.changing.extend(desired.maps.values().filter_map(|map| match &map.source {
            MapSource::Defined(definition) if definition.on_change != OnChange::Fail => {
                Some((definition.pin.clone(), Arc::clone(map)))
            }
            MapSource::Defined(_) | MapSource::Pinned(_) | MapSource::Id(_) => None,
        }));
        // Entries that were only to be the first ones are nobody's once the map is there.
        let contents = desired.maps.values().filter_map(|map| map.contents());
        let owned = contents.filter(|(_, contents)| contents.mode != EntriesMode::Seed);
        wanted.contents.extend(owned.map(|(pin, _)| pin.clone()));
        wanted.contents.extend(desired.maps.values().filter_map(|map| match &map.source {
            MapSource::Defined(definition) if definition.is_live() && !definition.variables.is_empty() => {
                Some(definition.pin.clone())
            }
            MapSource::Defined(_) | MapSource::Pinned(_) | MapSource::Id(_) => None,
        }));
        wanted.pins.extend(desired.programs.values().map(|program| program.pin.clone()));
        wanted.pins.extend(desired.links.values().map(|link| link.pin.clone()));
        for (address, access) in &desired.policy.access {
            wanted.permissions.extend(desired.pin(address).cloned());
            wanted.add_accounts(access);
        }
        wanted.add_folders(&desired.bpffs);
        wanted.map_ids.extend(desired.maps.values().filter_map(|map| match map.source {
            MapSource::Id(id) => Some(id),
            MapSource::Defined(_) | MapSource::Pinned(_) => None,
        }));
        for link in desired.links.values() {
            wanted.add_hook(&link.hook, link.order.as_ref());
        }
        desired.maps.values().for_each(|map| wanted.add_references(map));
        wanted
    }

    /// Adds what the entries of a map name.
    fn add_references(&mut self, map: &DesiredMap) {
        let MapSource::Defined(definition) = &map.source else { return };
        let references = definition.contents.iter().flat_map(|contents| &contents.references.given);
        self.interfaces.extend(references.flat_map(|reference| reference.interfaces().map(str::to_owned)));
        self.cgroups.extend(definition.slots.values().filter_map(|source| match source {
            SlotSource::Cgroup(path) => Some(path.clone()),
            SlotSource::Map(_) | SlotSource::Program(_) => None,
        }));
    }

    /// Returns what is to be known of a deployment of which only the folder is.
    pub fn recorded(pin_root: &PinPath) -> Self {
        Self { pin_root: Some(pin_root.clone()), ..Self::default() }
    }

    /// Returns what a record names beyond what is wanted already, with the folders of its pins below `pin_root`.
    pub fn of_record(record: &Record, pin_root: &PinPath) -> Self {
        let pins = record.pins().map(|(pin, _)| pin).collect();
        let directories = record.directories.iter().filter_map(|path| PinPath::new(path).ok()).collect();
        let map_ids = record.maps.values().filter_map(|map| map.id).collect();
        let permissions = record.accesses().filter_map(|(_, pin, _)| PinPath::new(pin).ok()).collect();
        let mut wanted = Self { pins, permissions, directories, map_ids, ..Self::default() };
        wanted.add_folders(pin_root);
        wanted.directories.insert(pin_root.clone());
        wanted
    }

    /// Adds what a record knows of variables that were set, and of entries: where ours are kept, and the maps of which only some are ours, which go when
    /// nobody wants them any more.
    pub(crate) fn add_entries(&mut self, record: &Record) {
        let sections = record.maps.values().filter(|map| !map.variables.is_empty());
        self.contents.extend(sections.filter_map(|map| PinPath::new(map.pin.as_deref()?).ok()));
        for map in record.maps.values() {
            let (Some(entries), Some(pin)) = (&map.entries, &map.pin) else { continue };
            self.kept.extend(PinPath::new(&entries.pin));
            let shared = PinPath::new(pin).ok().filter(|_| entries.mode == EntriesMode::Merge);
            self.contents.extend(shared);
        }
    }

    /// Returns what a way back to the generation before must know, whose record this is.
    pub fn before(before: &Record, pin_root: &PinPath) -> Self {
        let mut wanted = Self::recorded(pin_root);
        let previous = pin_root.previous();
        wanted.entries = true;
        wanted.directories.extend(before.directories.iter().filter_map(|path| PinPath::new(path).ok()));
        for (pin, _) in before.own_pins() {
            wanted.pins.insert(pin.in_generation(pin_root, &previous));
            wanted.pins.insert(pin);
        }
        let place = |pin: &str| PinPath::new(pin).map(|pin| pin.in_generation(pin_root, &previous));
        for map in before.maps.values() {
            if let (false, Some(pin)) = (map.variables.is_empty(), &map.pin) {
                wanted.contents.extend(place(pin));
            }
            let (Some(entries), Some(pin)) = (&map.entries, &map.pin) else { continue };
            wanted.contents.extend(place(pin));
            wanted.kept.extend(place(&entries.pin));
        }
        for (_, pin, access) in before.accesses() {
            if let Ok(pin) = PinPath::new(pin) {
                wanted.permissions.insert(pin.in_generation(pin_root, &previous));
                wanted.permissions.insert(pin);
            }
            wanted.add_accounts(access);
        }
        wanted.add_folders(pin_root);
        for link in before.links.values() {
            wanted.add_hook(&link.hook, link.order.as_ref());
        }
        wanted
    }

    fn add_accounts(&mut self, access: &Access) {
        self.accounts.extend(access.names().map(|(kind, name)| (kind, name.to_owned())));
    }

    fn add_hook(&mut self, hook: &Hook, order: Option<&Order>) {
        self.priorities.extend(hook.netfilter());
        if hook.is_shared() {
            let others = order.and_then(Order::other);
            self.beside.extend(
                others.and_then(|other| if let Neighbour::Pin(pin) = other { Some(pin.clone()) } else { None }),
            );
            let asked = self.queues.entry(hook.clone()).or_default();
            asked.places |= order.is_some();
            asked.links |= others.is_some();
        }
        match hook.anchor() {
            Anchor::Interface(name) => drop(self.interfaces.insert(name.to_owned())),
            Anchor::Cgroup(path) => drop(self.cgroups.insert(path.to_owned())),
            Anchor::Netns(netns) => drop(self.namespaces.insert(netns.clone())),
        }
    }

    /// Adds the folders that hold the pins, with those that hold them, up to `top`.
    fn add_folders(&mut self, top: &PinPath) {
        for pin in &self.pins {
            let mut folder = pin.parent();
            while let Some(path) = folder {
                folder = path.parent().filter(|parent| parent.is_below(top));
                if !self.directories.insert(path) {
                    break; // with everything above it
                }
            }
        }
    }
}

impl Observed {
    /// Returns the host that an offline plan is made against: a bpffs with nothing in it.
    pub fn nothing(host: Host) -> Self {
        Self {
            host,
            bpffs: true,
            root: Root::Missing,
            leftovers: Vec::new(),
            directories: BTreeMap::new(),
            pins: BTreeMap::new(),
            permissions: BTreeMap::new(),
            accounts: BTreeMap::new(),
            maps_by_id: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            cgroups: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            queues: BTreeMap::new(),
            priorities: BTreeMap::new(),
            beside: BTreeMap::new(),
            record: None,
            contents: BTreeMap::new(),
            kept: BTreeMap::new(),
        }
    }

    /// Returns the inode of a pin.
    pub fn inode(&self, pin: &PinPath) -> Option<u64> {
        let entries = self.directories.get(&pin.parent()?)?;
        let at = entries.binary_search_by(|entry| entry.name.as_str().cmp(pin.file_name())).ok()?;
        Some(entries[at].inode)
    }
}

/// `struct bpf_map_info`
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kernel's own names")]
pub struct MapInfo {
    pub id: u32,
    pub map_type: MapType,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub map_extra: u64,
    pub name: String,
    /// 0 for a map without BTF.
    pub btf_id: u32,
    pub key_type_id: u32,
    pub value_type_id: u32,
}

/// `struct bpf_prog_info`, as far as it identifies a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kernel's own names")]
pub struct ProgramInfo {
    pub id: u32,
    pub program_type: ProgramType,
    pub tag: [u8; 8],
    /// At most 15 bytes.
    pub name: String,
    /// By first use in the program.
    pub map_ids: Vec<u32>,
    /// 0 for a program without BTF.
    pub btf_id: u32,
    /// Nanoseconds since boot.
    pub load_time: u64,
}

/// `struct bpf_link_info`: what is attached, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// Id of the link.
    pub id: u32,
    /// Id of the program that it runs.
    pub program_id: u32,
    /// Where it is attached.
    pub hook: HookInfo,
}

/// The programs on a hook that several share, in the order in which packets meet them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// How often the hook changed, from 1 on; 0 where nobody counts.
    pub revision: u64,
    /// The programs.
    pub there: Vec<Occupant>,
}

/// A program on a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// Its id.
    pub program_id: u32,
    /// The link that runs it, where it is known: not every program has one.
    pub link_id: Option<u32>,
    /// The name that the kernel has of it, where somebody asked: at most 15 bytes.
    pub name: Option<String>,
}

/// As ``program id 7 `police` ``.
impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program id {}", self.program_id)?;
        self.name.iter().filter(|name| !name.is_empty()).try_for_each(|name| write!(f, " `{name}`"))
    }
}

/// Where a link is attached, as the kernel says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookInfo {
    /// An XDP hook. The index is 0 when the interface is gone.
    Xdp {
        /// Index of the interface.
        ifindex: u32,
    },
    /// A tcx hook. The index is 0 when the interface is gone.
    Tcx {
        /// Index of the interface.
        ifindex: u32,
        /// `tcx_ingress` or `tcx_egress`.
        attach_type: AttachType,
    },
    /// A cgroup hook. The id is 0 when the cgroup is gone.
    Cgroup {
        /// The cgroup's id, which is its inode number.
        cgroup_id: u64,
        /// Which of the cgroup's hooks.
        attach_type: AttachType,
    },
    /// A hook of a network namespace. The inode is 0 when the namespace is gone.
    Netns {
        /// The namespace's inode.
        inode: u64,
        /// `sk_lookup` or `flow_dissector`.
        attach_type: AttachType,
    },
    /// A hook of netfilter. The kernel does not tell of which network namespace, nor whether it was detached.
    Netfilter(Netfilter),
    /// A kind of link that we do not make: its `enum bpf_link_type` number.
    Other(u32),
}

impl HookInfo {
    /// Returns whether a link is still there: what it is attached to can go without it.
    pub fn is_attached(&self) -> bool {
        match self {
            Self::Xdp { ifindex } | Self::Tcx { ifindex, .. } => *ifindex != 0,
            Self::Cgroup { cgroup_id, .. } => *cgroup_id != 0,
            Self::Netns { inode, .. } => *inode != 0,
            Self::Netfilter(_) | Self::Other(_) => true,
        }
    }

    /// Returns the interface that it is on.
    pub fn ifindex(&self) -> Option<u32> {
        match self {
            Self::Xdp { ifindex } | Self::Tcx { ifindex, .. } => Some(*ifindex),
            Self::Cgroup { .. } | Self::Netns { .. } | Self::Netfilter(_) | Self::Other(_) => None,
        }
    }

    /// Returns the inode of the network namespace whose hook it is, where the kernel tells it.
    pub fn netns(&self) -> Option<u64> {
        match self {
            Self::Netns { inode, .. } => Some(*inode),
            Self::Xdp { .. } | Self::Tcx { .. } | Self::Cgroup { .. } | Self::Netfilter(_) | Self::Other(_) => None,
        }
    }

    /// Returns whether a link can be attached there while another one is at `other`.
    pub fn has_room_beside(&self, other: &Self) -> bool {
        match self {
            Self::Xdp { .. } | Self::Netns { attach_type: AttachType::FLOW_DISSECTOR, .. } => self != other,
            Self::Netfilter(wanted) => match other {
                Self::Netfilter(there) => !wanted.sees_the_same(there) || wanted.priority != there.priority,
                Self::Xdp { .. } | Self::Tcx { .. } | Self::Cgroup { .. } | Self::Netns { .. } | Self::Other(_) => true,
            },
            Self::Tcx { .. } | Self::Cgroup { .. } | Self::Netns { .. } | Self::Other(_) => true,
        }
    }

    /// Returns whether a link there meets every packet that one at `other` meets, earlier or later.
    pub fn meets_what(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Netfilter(one), Self::Netfilter(other)) => one.sees_the_same(other),
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for HookInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xdp { ifindex } => write!(f, "xdp of interface {ifindex}"),
            Self::Tcx { ifindex, attach_type } => write!(f, "{attach_type} of interface {ifindex}"),
            Self::Cgroup { cgroup_id, attach_type } => write!(f, "{attach_type} of cgroup {cgroup_id}"),
            Self::Netns { inode, attach_type } => write!(f, "{attach_type} of network namespace {inode}"),
            Self::Netfilter(netfilter) => netfilter.fmt(f),
            Self::Other(number) => write!(f, "a link of type {number}"),
        }
    }
}

/// An interface as netlink tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// The XDP programs on it: mode (never `Auto`) and program id.
    pub xdp: Vec<(XdpMode, u32)>,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its inode, which says which one it is for as long as it lives.
    pub inode: u64,
    /// The ids of the programs that dissect flows in it: at most one.
    pub dissectors: Vec<u32>,
}
