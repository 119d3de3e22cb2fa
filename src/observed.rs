//! What is: plain data, read from the kernel and bpffs. How it is read is `kernel::observe`.

use crate::access::{Access, AccountKind, Permissions};
use crate::btf::Btf;
use crate::desired::{
    Anchor, Desired, DesiredMap, EntriesMode, Event, Hook, MapSource, Neighbour, Netns, ObjectFacts, OnChange, Order,
    SlotSource,
};
use crate::diag::{Kind, Problem};
use crate::direct::{Device, Direct, Feature, Qdisc, Via};
use crate::entries::Entries;
use crate::insn::{FuncRecord, Insn, LineRecord};
use crate::kinds::{AttachType, MapType, Netfilter, ProgramType, XdpMode};
use crate::names::{Digest, MapName, PinPath};
use crate::record::{Record, RecordedLink, RecordedMap};
use crate::report::show::age;
use crate::route::{RouteInfo, RoutePlace};
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
    /// The folders of the deployment's pins that others may enter.
    pub opened: BTreeSet<PinPath>,
    /// The numbers of users and groups that exist, of those that were asked for.
    pub accounts: BTreeMap<(AccountKind, String), u32>,
    /// Maps that exist, of the ids that were asked for.
    pub maps_by_id: BTreeMap<u32, ObservedMap>,
    /// Maps without a pin of ours that programs of ours run with, by id, when the pin of a map that we made is gone.
    pub nameless: BTreeMap<u32, ObservedMap>,
    /// Interfaces that exist, of those that were asked for: by their network namespace and name.
    pub interfaces: BTreeMap<(Netns, String), Interface>,
    /// What this kernel lacks, of what was asked for.
    pub missing: BTreeSet<Feature>,
    /// The programs on hooks with room for one, whoever's they are, by id, as far as they may be asked about.
    pub strangers: BTreeMap<u32, Stranger>,
    /// The qdiscs for filters that exist, of the interfaces that were asked for.
    pub qdiscs: BTreeMap<(Netns, String), Qdisc>,
    /// The routes that exist at the places that were asked for.
    pub routes: BTreeMap<(Netns, RoutePlace), Vec<RouteInfo>>,
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
    /// The events that were asked for: where they are, or what is not there.
    pub events: BTreeMap<Event, Result<EventPlace, EventLack>>,
    /// The deployment's record, where it has one.
    pub record: Option<Record>,
    /// The entries of maps that exist, of the pins that were asked for.
    pub contents: BTreeMap<PinPath, Arc<Entries>>,
    /// Entries that are kept as ours ([`crate::owned`]), by where they are kept.
    pub kept: BTreeMap<PinPath, Arc<Entries>>,
    /// Copies that a killed run did not finish.
    pub copies: Vec<UnfinishedCopy>,
    /// Pins outside of the deployment's folder that are gone, of which the second name in the generation that runs is there,
    /// with its inode: what they stood for is in `pins` as if they were there.
    pub unnamed: BTreeMap<PinPath, u64>,
    /// Pins outside of the deployment's folder whose names an interrupted run took: what is in `pins` is what gets them back
    /// when that is cleared.
    pub displaced: BTreeSet<PinPath>,
    /// Which other deployments of the bpffs say that they made what has a pin, of those that were asked for.
    pub owners: BTreeMap<PinPath, String>,
    /// Which other deployments of the bpffs say that they use maps of ours that may lose their pins, by these.
    pub users: BTreeMap<PinPath, BTreeSet<String>>,
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

impl Root {
    /// Finds a generation that ran and that nothing leads to any more. To clear it would detach its links, and lose what its
    /// maps hold.
    pub fn gone(&self, leftovers: &[Leftover], pin_root: &PinPath) -> Option<Problem> {
        let left = leftovers.iter().filter(|left| left.has_run && *self == Self::Missing);
        let newest = left.max_by_key(|left| left.path.generation_number(pin_root))?;
        Some(Problem::new(Kind::RootGone { pin_root: pin_root.clone(), generation: newest.path.clone() }))
    }
}

/// A generation that an interrupted run left.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// Its folder.
    pub path: PinPath,
    /// Its links.
    pub links: Vec<LinkInfo>,
    /// Those of them without a kernel link that took the place of a program of somebody else, with its id.
    pub taken: Vec<(LinkInfo, u32)>,
    /// Its record, if it got that far.
    pub record: Option<Record>,
    /// Whether it ran before: it has a record, and nothing says that it was only about to run.
    pub has_run: bool,
    /// Whether it ran until an interrupted run switched to the one that runs: then it is what one goes back to.
    pub kept: bool,
}

/// A map whose entries were copied into another one by a run that was killed before it looked what changed meanwhile.
#[derive(Debug, Clone)]
pub struct UnfinishedCopy {
    /// Where it is kept what the map held then.
    pub kept: PinPath,
    /// Its id.
    pub from: u32,
    /// The map, if it still exists.
    pub old: Option<ObservedMap>,
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
    /// The programs that sockets get which are put into it, by what they are for: only a sockmap or sockhash has any.
    pub verdicts: Vec<(AttachType, u32)>,
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
    /// Returns how many entries it has, as far as that is known and says something: in an array of zeroes there may be
    /// what somebody wrote.
    pub fn held(&self) -> Option<u64> {
        self.live.as_ref().map(Live::count).filter(|count| *count > 0 || !self.info.map_type.is_array())
    }

    /// Makes a definition of what the kernel says; `types` are those that the ids in `info` mean.
    pub fn new(info: MapInfo, types: Option<MapTypes>, frozen_value: Option<Vec<u8>>) -> Self {
        let spec = MapSpec {
            flags: info.flags,
            map_extra: info.map_extra,
            types,
            ..MapSpec::new(info.map_type, info.key_size, info.value_size, info.max_entries)
        };
        Self { info, spec, frozen_value, live: None, others: Vec::new(), verdicts: Vec::new() }
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
    /// Interfaces by their network namespace and name.
    pub interfaces: BTreeSet<(Netns, String)>,
    /// What this kernel may lack.
    pub features: BTreeSet<Feature>,
    /// Interfaces whose filters of clsact matter, with the way that is asked for; where none is, they matter without tcx.
    pub filters: BTreeSet<((Netns, String), Option<Via>)>,
    /// Places of routes, with the interface that each leads to.
    pub routes: BTreeMap<(Netns, RoutePlace), String>,
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
    /// Events.
    pub events: BTreeSet<Event>,
    /// The folder of the deployment's pins; whatever the record in it names is looked for as well.
    pub pin_root: Option<PinPath>,
    /// Whether the types of maps and programs must be known, which are found by id. Else they are left out where that is
    /// not allowed.
    pub types: bool,
    /// Whether a new record is to be made: then one that says nothing is as good as none.
    pub adopts: bool,
    /// Maps that may be made anew when they no longer fit, by their pins: then their entries count.
    pub changing: BTreeMap<PinPath, Arc<DesiredMap>>,
    /// Maps of which what is in them decides whether they are made anew, by their pins.
    pub refilled: BTreeSet<PinPath>,
    /// Maps of which the entries are read.
    pub contents: BTreeSet<PinPath>,
    /// Where entries are kept as ours.
    pub kept: BTreeSet<PinPath>,
    /// On the way back to the generation before, the pins of its maps with their inodes, and none for the end of it all: the
    /// entries of other maps of ours are counted, which go.
    pub returning: Option<BTreeSet<(PinPath, u64)>>,
    /// Whether the entries that the record says are ours are read as well.
    pub entries: bool,
    /// Pins of maps of which must be known which other deployment made them, unless we did.
    pub owned: BTreeSet<PinPath>,
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
        wanted.owned.extend(wanted.pins.iter().filter(|pin| !pin.is_below(&desired.pin_root)).cloned());
        wanted.changing.extend(desired.maps.values().filter_map(|map| match &map.source {
            MapSource::Defined(definition) if definition.on_change != OnChange::Fail => {
                Some((definition.pin.clone(), Arc::clone(map)))
            }
            MapSource::Defined(_) | MapSource::Pinned(_) | MapSource::Id(_) => None,
        }));
        wanted.refilled.extend(desired.maps.values().filter_map(|map| match &map.source {
            // What only its object knows is nobody else's to use.
            MapSource::Defined(definition) if definition.is_refilled() && !map.name.is_private() => {
                Some(definition.pin.clone())
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
        wanted.contents.extend(desired.maps.values().filter_map(|map| match &map.source {
            MapSource::Defined(definition) if definition.has_readable_slots() => Some(definition.pin.clone()),
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
        let interfaces = references.flat_map(|reference| reference.interfaces());
        self.interfaces.extend(interfaces.map(|name| (Netns::OWN, name.to_owned())));
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
        // A mark is a symbolic link: nobody asks who may open it, unless somebody gave it away.
        let is_open = |link: &&RecordedLink| matches!(link.at, HookInfo::Direct(_)) && link.access.is_empty();
        let marks: BTreeSet<&str> = record.links.values().filter(is_open).map(|link| link.pin.as_str()).collect();
        let opened = record.own_pins().map(|(pin, _)| pin).filter(|pin| !marks.contains(pin.as_str()));
        let permissions = opened.chain([pin_root.join("record")]).collect();
        let mut wanted = Self { pins, permissions, directories, map_ids, ..Self::default() };
        wanted.add_folders(pin_root);
        wanted.directories.insert(pin_root.clone());
        wanted
    }

    /// Adds what a record knows of variables that were set, and of entries: where ours are kept, which is at the `place` of
    /// the pin that the record names, and the maps of which only some are ours, which go when nobody wants them any more.
    pub(crate) fn add_entries(&mut self, record: &Record, place: impl Fn(&PinPath) -> PinPath) {
        let sections = record.maps.values().filter(|map| !map.variables.is_empty());
        self.contents.extend(sections.filter_map(|map| PinPath::new(map.pin.as_deref()?).ok()));
        for map in record.maps.values() {
            let (Some(entries), Some(pin)) = (&map.entries, &map.pin) else { continue };
            if entries.mode == EntriesMode::Seed {
                continue;
            }
            self.kept.extend(PinPath::new(&entries.pin).map(|pin| place(&pin)));
            let shared = PinPath::new(pin).ok().filter(|_| !entries.mode.owns_all());
            self.contents.extend(shared);
        }
    }

    /// Returns what a way back to the generation before must know, whose record this is.
    pub fn before(before: &Record, pin_root: &PinPath) -> Self {
        let mut wanted = Self::recorded(pin_root);
        let previous = pin_root.previous();
        wanted.entries = true;
        wanted.returning = Some(before.own_pins().collect());
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
            if let Anchor::Map(name) = link.hook.anchor()
                && let Some(map) = before.maps.get(name.as_str())
            {
                wanted.pins.extend(map.pin.as_deref().and_then(|pin| PinPath::new(pin).ok()));
                wanted.map_ids.extend(map.id);
            }
        }
        wanted
    }

    fn add_accounts(&mut self, access: &Access) {
        self.accounts.extend(access.names().map(|(kind, name)| (kind, name.to_owned())));
    }

    fn add_hook(&mut self, hook: &Hook, order: Option<&Order>) {
        self.priorities.extend(hook.netfilter());
        if let Some(shared) = hook.shared() {
            let others = order.and_then(Order::other);
            self.beside.extend(
                others.and_then(|other| if let Neighbour::Pin(pin) = other { Some(pin.clone()) } else { None }),
            );
            let asked = self.queues.entry(shared).or_default();
            asked.places |= order.is_some();
            asked.links |= others.is_some();
        }
        self.features.extend(hook.needs().filter(|_| hook.via() != Some(Via::Direct)));
        if let Hook::Tc { interface, netns, via, .. } = hook {
            self.filters.insert(((netns.clone(), interface.clone()), *via));
        }
        if let Hook::Lwt { interface, netns, route, .. } = hook {
            self.routes.insert((netns.clone(), route.place), interface.clone());
        }
        match hook.anchor() {
            Anchor::Interface(name, netns) => {
                self.interfaces.insert((netns.clone(), name.to_owned()));
                // Then it can be said which of both is not there.
                self.namespaces.extend((!netns.is_own()).then(|| netns.clone()));
            }
            Anchor::Cgroup(path) => drop(self.cgroups.insert(path.to_owned())),
            Anchor::Netns(netns) => drop(self.namespaces.insert(netns.clone())),
            // A map is wanted by its pin, or by its id.
            Anchor::Map(_) => {}
            Anchor::Event(event) => drop(self.events.insert(event.clone())),
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
            opened: BTreeSet::new(),
            accounts: BTreeMap::new(),
            maps_by_id: BTreeMap::new(),
            nameless: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            missing: BTreeSet::new(),
            strangers: BTreeMap::new(),
            qdiscs: BTreeMap::new(),
            routes: BTreeMap::new(),
            cgroups: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            queues: BTreeMap::new(),
            priorities: BTreeMap::new(),
            beside: BTreeMap::new(),
            events: BTreeMap::new(),
            record: None,
            contents: BTreeMap::new(),
            kept: BTreeMap::new(),
            copies: Vec::new(),
            unnamed: BTreeMap::new(),
            displaced: BTreeSet::new(),
            owners: BTreeMap::new(),
            users: BTreeMap::new(),
        }
    }

    /// Returns whether a network namespace that interfaces were asked for in is not there.
    pub fn lacks(&self, netns: &Netns) -> bool {
        !netns.is_own() && !self.namespaces.contains_key(netns)
    }

    /// Returns whether what a hook is of is not there, of those that were asked for.
    pub fn lacks_hook(&self, hook: &Hook) -> bool {
        match hook.anchor() {
            Anchor::Interface(name, netns) => self.interface(name, netns).is_none(),
            Anchor::Cgroup(path) => !self.cgroups.contains_key(path),
            Anchor::Netns(netns) => !self.namespaces.contains_key(netns),
            Anchor::Event(event) => self.events.get(event).is_some_and(Result::is_err),
            // It is in the manifest.
            Anchor::Map(_) => false,
        }
    }

    /// Returns an interface of a network namespace.
    pub fn interface(&self, name: &str, netns: &Netns) -> Option<&Interface> {
        self.interfaces.get(&(netns.clone(), name.to_owned()))
    }

    /// Returns what the record says of a map: by its name, unless that has another pin by now, else by its pin. A map that
    /// only the manifest calls by another name is still ours.
    pub fn recorded_map(&self, map: &DesiredMap) -> Option<&RecordedMap> {
        let maps = &self.record.as_ref()?.maps;
        let has_pin = |recorded: &&RecordedMap| recorded.pin.as_deref() == map.pin().map(PinPath::as_str);
        let by_name = maps.get(map.name.as_str());
        let by_pin = || maps.values().filter(|recorded| recorded.created).find(has_pin);
        by_name.filter(has_pin).or_else(by_pin).or(by_name)
    }

    /// Lists the records of runs that were killed before their switch, with the folders of their generations: what they say
    /// of pins that stay may have been done to these.
    pub fn begun(&self) -> impl Iterator<Item = (&PinPath, &Record)> {
        let begun = self.leftovers.iter().filter(|leftover| !leftover.has_run);
        begun.filter_map(|leftover| Some((&leftover.path, leftover.record.as_ref()?)))
    }

    /// Returns what they say of a map that is still the one which they found.
    pub fn begun_map(&self, map: &MapName) -> impl Iterator<Item = (&PinPath, &RecordedMap)> {
        self.begun().filter_map(|(generation, record)| {
            let recorded = record.maps.get(map.as_str())?;
            let pin = PinPath::new(recorded.pin.as_deref()?).ok()?;
            (self.inode(&pin) == Some(recorded.inode)).then_some((generation, recorded))
        })
    }

    /// Returns the ids of the maps that have pins which were looked at.
    pub fn pinned_maps(&self) -> BTreeSet<u32> {
        let ids = self.pins.values().filter_map(|pinned| match pinned {
            Pinned::Map(found) => Some(found.info.id),
            Pinned::Program(_) | Pinned::Link(_) => None,
        });
        ids.collect()
    }

    /// Returns the inode of a pin.
    pub fn inode(&self, pin: &PinPath) -> Option<u64> {
        self.listed(pin).or_else(|| self.unnamed.get(pin).copied())
    }

    fn listed(&self, pin: &PinPath) -> Option<u64> {
        let entries = self.directories.get(&pin.parent()?)?;
        Some(entries[place_in(entries, pin).ok()?].inode)
    }

    /// Takes a pin out of its folder.
    pub fn take_entry(&mut self, pin: &PinPath) -> Option<Entry> {
        let entries = self.directories.get_mut(&pin.parent()?)?;
        let at = place_in(entries, pin).ok()?;
        Some(entries.remove(at))
    }

    /// Puts what was at another pin at one where nothing is.
    pub fn put_entry(&mut self, pin: &PinPath, entry: Entry) {
        let Some(folder) = pin.parent() else { return };
        let entries = self.directories.entry(folder).or_default();
        let at = place_in(entries, pin).unwrap_or_else(|at| at);
        entries.insert(at, Entry { name: pin.file_name().to_owned(), ..entry });
    }
}

/// Finds a pin in its folder, or where it would be.
fn place_in(entries: &[Entry], pin: &PinPath) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.name.as_str().cmp(pin.file_name()))
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
    /// How many instructions the verifier went through; 0 before Linux 5.16, which does not tell.
    pub verified_insns: u32,
}

/// What the verifier made of a program: `xlated_prog_insns` and the records of `struct bpf_prog_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramCode {
    /// Instructions as they were rewritten: what nothing reaches is gone, maps stand there by their ids, helpers by how far
    /// they are from `__bpf_call_base`, and the distance of a call of the program's own functions is in `off`.
    pub insns: Vec<Insn>,
    /// Where functions begin.
    pub funcs: Vec<FuncRecord>,
    /// Where source lines begin.
    pub lines: Vec<LineRecord>,
    /// Whether the license is one that helpers for the GPL alone accept.
    pub gpl: bool,
}

/// The code of a program that is loaded, with what makes it readable.
#[derive(Debug, Clone)]
pub struct LoadedCode {
    /// The code.
    pub code: ProgramCode,
    /// The types that it came with.
    pub types: Arc<Btf>,
    /// What is called, by the distance from `__bpf_call_base`; empty unless somebody asked.
    pub symbols: BTreeMap<i32, String>,
    /// Maps by id, of those that nobody else knows; the manifest's names.
    pub maps: BTreeMap<u32, String>,
}

/// `struct bpf_link_info`: what is attached, and where; or the same of an attachment without a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// Id of the link; 0 for [`HookInfo::Direct`].
    pub id: u32,
    /// Id of the program that it runs, or that was attached without a link.
    pub program_id: u32,
    /// Where it is attached.
    pub hook: HookInfo,
    /// Whether it still is: what it is attached to can go without it, and without a link others can detach it.
    pub is_attached: bool,
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

/// Where a link is attached, as the kernel says it. An interface has its index in the network namespace that it is in, of
/// which the kernel does not tell which one that is: it does not say where a link is without that, for which there is
/// [`At`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A netkit hook. The index is 0 when the interface is gone.
    Netkit {
        /// Index of the end that sends: of the peer, for the peer's hook.
        ifindex: u32,
        /// `netkit_primary` or `netkit_peer`.
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
    /// A map of sockets. The id is 0 when the link was detached, and in a plan that makes the map.
    Sockmap {
        /// The map's id.
        map_id: u32,
        /// For which of its programs.
        attach_type: AttachType,
    },
    /// An event.
    Event(EventInfo),
    /// What the kernel calls a struct of functions for. The id is 0 when the link was detached, and in a plan that makes
    /// the map.
    StructOps {
        /// The id of the map that holds the struct.
        map_id: u32,
    },
    /// Without a link.
    Direct(Direct),
    /// A kind of link that we do not make: its `enum bpf_link_type` number.
    Other(u32),
}

impl HookInfo {
    /// Returns whether a link is still there: what it is attached to can go without it.
    pub fn is_attached(&self) -> bool {
        match self {
            Self::Xdp { ifindex } | Self::Tcx { ifindex, .. } | Self::Netkit { ifindex, .. } => *ifindex != 0,
            Self::Cgroup { cgroup_id, .. } => *cgroup_id != 0,
            Self::Netns { inode, .. } => *inode != 0,
            Self::Sockmap { map_id, .. } | Self::StructOps { map_id } => *map_id != 0,
            Self::Netfilter(_) | Self::Event(_) | Self::Direct(_) | Self::Other(_) => true,
        }
    }

    /// Returns whether a program there is one of those on a hook that several share: with a link or without.
    pub fn is_among(&self, shared: &Self) -> bool {
        match (self, shared) {
            (
                Self::Direct(Direct::Cgroup { cgroup_id, attach_type, .. }),
                Self::Cgroup { cgroup_id: id, attach_type: of },
            ) => (cgroup_id, attach_type) == (id, of),
            (it, shared) => it == shared,
        }
    }

    /// Returns the interface that it is on.
    pub fn ifindex(&self) -> Option<u32> {
        match self {
            Self::Xdp { ifindex } | Self::Tcx { ifindex, .. } | Self::Netkit { ifindex, .. } => Some(*ifindex),
            Self::Direct(direct) => direct.device().map(|device| device.ifindex),
            Self::Cgroup { .. }
            | Self::Netns { .. }
            | Self::Netfilter(_)
            | Self::Sockmap { .. }
            | Self::Event(_)
            | Self::StructOps { .. }
            | Self::Other(_) => None,
        }
    }

    /// Returns the inode of the network namespace whose hook it is, where the kernel tells it.
    pub fn netns(&self) -> Option<u64> {
        if let Self::Netns { inode, .. } = self {
            return Some(*inode);
        }
        let Self::Direct(direct) = self else { return None };
        direct.device().map(|device| device.inode)
    }

    /// Returns the id of the map that it is of.
    pub fn map(&self) -> Option<u32> {
        let (Self::Sockmap { map_id, .. } | Self::StructOps { map_id }) = self else { return None };
        Some(*map_id)
    }

    /// Returns whether a link can be attached there while another one is at `other` of the same network namespace.
    pub fn has_room_beside(&self, other: &Self) -> bool {
        match self {
            Self::Xdp { .. } | Self::Direct(Direct::Xdp { .. }) => self.xdp() != other.xdp(),
            Self::Direct(wanted) => !matches!(other, Self::Direct(there) if there.is_at(wanted)),
            Self::Netns { attach_type: AttachType::FLOW_DISSECTOR, .. } => self != other,
            Self::Netfilter(wanted) => match other {
                Self::Netfilter(there) => !wanted.sees_the_same(there) || wanted.priority != there.priority,
                Self::Xdp { .. }
                | Self::Tcx { .. }
                | Self::Netkit { .. }
                | Self::Cgroup { .. }
                | Self::Netns { .. }
                | Self::Sockmap { .. }
                | Self::Event(_)
                | Self::StructOps { .. }
                | Self::Direct(_)
                | Self::Other(_) => true,
            },
            Self::Sockmap { map_id: wanted, attach_type } => match other {
                Self::Sockmap { map_id, attach_type: there } => {
                    *wanted == 0 || map_id != wanted || !attach_type.is_instead_of(*there)
                }
                Self::Xdp { .. }
                | Self::Tcx { .. }
                | Self::Netkit { .. }
                | Self::Cgroup { .. }
                | Self::Netns { .. }
                | Self::Netfilter(_)
                | Self::StructOps { .. }
                | Self::Event(_)
                | Self::Direct(_)
                | Self::Other(_) => true,
            },
            // A function has room for one other in its place; which one it is shows only by its type.
            Self::Event(EventInfo::Tracing { attach_type: EventInfo::EXTENSION, object, .. }) => match other {
                Self::Event(EventInfo::Tracing { attach_type: EventInfo::EXTENSION, object: there, .. }) => {
                    object != there
                }
                Self::Xdp { .. }
                | Self::Tcx { .. }
                | Self::Netkit { .. }
                | Self::Cgroup { .. }
                | Self::Netns { .. }
                | Self::Netfilter(_)
                | Self::Sockmap { .. }
                | Self::StructOps { .. }
                | Self::Event(_)
                | Self::Direct(_)
                | Self::Other(_) => true,
            },
            Self::Event(_) => true,
            Self::Tcx { .. }
            | Self::Netkit { .. }
            | Self::Cgroup { .. }
            | Self::Netns { .. }
            | Self::StructOps { .. }
            | Self::Other(_) => true,
        }
    }

    /// Returns the interface whose only XDP hook it is.
    fn xdp(&self) -> Option<u32> {
        let (Self::Xdp { ifindex } | Self::Direct(Direct::Xdp { device: Device { ifindex, .. }, .. })) = self else {
            return None;
        };
        Some(*ifindex)
    }

    /// Returns the same as a link has it, where both ways meet the same packets.
    fn as_link(&self) -> Self {
        match self {
            // Packets are in other chains, and of other protocols, only where filters say so.
            Self::Direct(Direct::Filter(filter)) if filter.meets_all() => {
                Self::Tcx { ifindex: filter.device.ifindex, attach_type: filter.attach_type }
            }
            Self::Direct(Direct::Cgroup { cgroup_id, attach_type, .. }) => {
                Self::Cgroup { cgroup_id: *cgroup_id, attach_type: *attach_type }
            }
            other => other.clone(),
        }
    }

    /// Returns whether a link there meets every packet that one at `other` meets, earlier or later.
    pub fn meets_what(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Netfilter(one), Self::Netfilter(other)) => one.sees_the_same(other),
            (one, other) => one.as_link() == other.as_link(),
        }
    }
}

impl fmt::Display for HookInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xdp { ifindex } => write!(f, "xdp of interface {ifindex}"),
            Self::Tcx { ifindex, attach_type } | Self::Netkit { ifindex, attach_type } => {
                write!(f, "{attach_type} of interface {ifindex}")
            }
            Self::Cgroup { cgroup_id, attach_type } => write!(f, "{attach_type} of cgroup {cgroup_id}"),
            Self::Netns { inode, attach_type } => write!(f, "{attach_type} of network namespace {inode}"),
            Self::Netfilter(netfilter) => netfilter.fmt(f),
            Self::Sockmap { map_id, attach_type } => write!(f, "{attach_type} of map id {map_id}"),
            Self::Event(event) => event.fmt(f),
            Self::StructOps { map_id } => write!(f, "struct_ops of map id {map_id}"),
            Self::Direct(direct) => direct.fmt(f),
            Self::Other(number) => write!(f, "a link of type {number}"),
        }
    }
}

/// Where a link is, as far as that is known: two hooks alike in different network namespaces are different hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The hook, as the kernel says it.
    pub hook: HookInfo,
    /// Inode of the network namespace that it is in; `None` where it is in none, or nobody knows.
    pub netns: Option<u64>,
}

impl At {
    fn is_apart(&self, other: &Self) -> bool {
        self.netns.zip(other.netns).is_some_and(|(one, other)| one != other)
    }

    /// Returns whether both are one hook.
    pub fn is_same(&self, other: &Self) -> bool {
        !self.is_apart(other) && self.hook == other.hook
    }

    /// Returns whether a link can be attached there while another one is at `other`.
    pub fn has_room_beside(&self, other: &Self) -> bool {
        self.is_apart(other) || self.hook.has_room_beside(&other.hook)
    }

    /// Returns whether a link there meets every packet that one at `other` meets, earlier or later.
    pub fn meets_what(&self, other: &Self) -> bool {
        !self.is_apart(other) && self.hook.meets_what(&other.hook)
    }
}

/// Which interface a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Inode of the network namespace that it is in.
    pub netns: u64,
    /// Its index there.
    pub ifindex: u32,
    /// Index of the other end of a pair, in the network namespace of that end.
    pub peer: Option<u32>,
}

impl Place {
    /// Returns the index that the kernel tells of a link of this attach type there: a link of a peer is on the peer.
    pub fn index_of(&self, attach_type: Option<AttachType>) -> Option<u32> {
        if attach_type == Some(AttachType::NETKIT_PEER) { self.peer } else { Some(self.ifindex) }
    }
}

/// An event as the kernel says it. Which process and how often it does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventInfo {
    /// A tracepoint with its raw arguments, as `tp_btf` programs get them as well.
    RawTracepoint {
        /// Its name.
        name: String,
    },
    /// A function or security hook of the kernel or of another program.
    Tracing {
        /// What the program does there; [`Self::EXTENSION`] for one that takes its place.
        attach_type: AttachType,
        /// Id of the other program, or of the kernel's BTF.
        object: u32,
        /// Its type there.
        type_id: u32,
    },
    /// An iterator.
    Iter {
        /// What it goes through.
        target: String,
    },
    /// An event of `perf_event_open`; `None` where the kernel does not tell which, as before 6.6.
    Perf(Option<PerfInfo>),
    /// Many functions of the kernel; `None` where it does not tell how many, as before 6.6.
    KprobeMulti(Option<ProbedFunctions>),
}

impl EventInfo {
    /// The attach type of extensions, which have none.
    pub const EXTENSION: AttachType = AttachType(0);

    /// Returns whether a link may be one to this event, by what the kernel tells of it.
    pub fn can_be(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::RawTracepoint { name }, Event::RawTracepoint { name: wanted }) => name == wanted,
            (Self::RawTracepoint { name }, Event::Target { attach_type: AttachType::TRACE_RAW_TP, name: wanted })
            | (Self::Iter { target: name }, Event::Target { attach_type: AttachType::TRACE_ITER, name: wanted }) => {
                wanted.rsplit(':').next() == Some(name)
            }
            (Self::Tracing { attach_type, .. }, Event::Target { attach_type: wanted, .. }) => attach_type == wanted,
            (Self::Tracing { attach_type, .. }, Event::Extension { .. }) => *attach_type == Self::EXTENSION,
            (
                Self::Perf(told),
                Event::Tracepoint { .. } | Event::Counter(_) | Event::Kprobe { .. } | Event::Uprobe(_),
            ) => told.as_ref().is_none_or(|told| told.can_be(event)),
            (Self::KprobeMulti(told), Event::KprobeMulti { functions, returns }) => told.is_none_or(|told| {
                told.returns == *returns && usize::try_from(told.count).is_ok_and(|count| count == functions.len())
            }),
            (
                Self::RawTracepoint { .. }
                | Self::Tracing { .. }
                | Self::Iter { .. }
                | Self::Perf(_)
                | Self::KprobeMulti(_),
                _,
            ) => false,
        }
    }
}

impl PerfInfo {
    fn can_be(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Tracepoint { name }, Event::Tracepoint { name: wanted, .. }) => name == wanted,
            (
                Self::Kprobe { function, offset, returns },
                Event::Kprobe { function: wanted, offset: behind, returns: at_end },
            ) => (function, offset, returns) == (wanted, behind, at_end),
            (Self::Uprobe { binary, returns, .. }, Event::Uprobe(wanted)) => {
                *binary == wanted.binary && *returns == wanted.returns
            }
            (Self::Counter { source, config }, Event::Counter(wanted)) => {
                (*source, *config) == (wanted.source.number(), wanted.config)
            }
            (Self::Tracepoint { .. } | Self::Kprobe { .. } | Self::Uprobe { .. } | Self::Counter { .. }, _) => false,
        }
    }
}

/// An event of `perf_event_open` as the kernel says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PerfInfo {
    /// A tracepoint.
    Tracepoint {
        /// Its name, without category.
        name: String,
    },
    /// An instruction of the kernel.
    Kprobe {
        /// The function.
        function: String,
        /// Bytes behind its start.
        offset: u64,
        /// Whether it is met where it returns.
        returns: bool,
    },
    /// An instruction in a file.
    Uprobe {
        /// Path of the file.
        binary: String,
        /// Bytes behind its start.
        offset: u64,
        /// Whether the function is met where it returns.
        returns: bool,
    },
    /// A counter.
    Counter {
        /// `enum perf_type_id`
        source: u32,
        /// What is counted.
        config: u64,
    },
}

/// Functions of the kernel that one link probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbedFunctions {
    /// How many.
    pub count: u32,
    /// Whether they are met where they return.
    pub returns: bool,
}

impl fmt::Display for EventInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RawTracepoint { name } => write!(f, "raw_tracepoint {name}"),
            Self::Tracing { attach_type: Self::EXTENSION, object, type_id } => {
                write!(f, "function {type_id} of program id {object}")
            }
            Self::Tracing { attach_type, object, type_id } => {
                write!(f, "{attach_type} of type {type_id} of BTF id {object}")
            }
            Self::Iter { target } => write!(f, "iter {target}"),
            Self::Perf(Some(PerfInfo::Tracepoint { name })) => write!(f, "tracepoint {name}"),
            Self::Perf(Some(PerfInfo::Kprobe { function, offset, returns })) => {
                write!(f, "{} {function}+{offset:#x}", if *returns { "kretprobe" } else { "kprobe" })
            }
            Self::Perf(Some(PerfInfo::Uprobe { binary, offset, returns })) => {
                write!(f, "{} {binary}:{offset:#x}", if *returns { "uretprobe" } else { "uprobe" })
            }
            Self::Perf(Some(PerfInfo::Counter { source, config })) => {
                write!(f, "perf_event type {source} config {config:#x}")
            }
            Self::Perf(None) => f.write_str("an event of perf_event_open"),
            Self::KprobeMulti(Some(ProbedFunctions { count, .. })) => write!(f, "kprobe.multi of {count} functions"),
            Self::KprobeMulti(None) => f.write_str("kprobe.multi"),
        }
    }
}

/// What the host says of an event before it is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPlace {
    /// Nothing: attaching shows whether it is there.
    Kernel,
    /// The id of a tracepoint.
    Tracepoint(u64),
    /// A place in a file.
    File(FilePlace),
}

impl EventPlace {
    /// Returns the place in a file that it is.
    pub fn file(&self) -> Option<FilePlace> {
        match self {
            Self::File(place) => Some(*place),
            Self::Kernel | Self::Tracepoint(_) => None,
        }
    }
}

/// Why an event is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventLack {
    /// The kernel has no such tracepoint.
    Tracepoint,
    /// Tracefs is not mounted, where tracepoints have their ids.
    Tracefs,
    /// There is no such file.
    File,
    /// The file is none in which functions can be found.
    Format,
    /// The file has no such function.
    Symbol,
    /// The kernel asks no BPF programs: `bpf` is not among its security modules.
    Lsm,
    /// The kernel was built without probes of its functions.
    Kprobes,
}

impl EventLack {
    /// Says what is not there.
    pub fn why(self) -> &'static str {
        match self {
            Self::Tracepoint => "this kernel has no such tracepoint",
            Self::Tracefs => "tracefs is not mounted, which tells its id",
            Self::File => "there is no such file",
            Self::Format => "the file is no ELF file of this machine",
            Self::Symbol => "the file has no such function",
            Self::Kprobes => "this kernel was built without kprobes (CONFIG_KPROBE_EVENTS)",
            Self::Lsm => "`bpf` is not among the security modules of this kernel",
        }
    }

    /// Returns whether the running kernel lacks it, so that there is nothing to do on this host but to run another.
    pub fn is_of_kernel(self) -> bool {
        match self {
            Self::Tracepoint | Self::Lsm | Self::Kprobes => true,
            Self::Tracefs | Self::File | Self::Format | Self::Symbol => false,
        }
    }

    /// Says what can be done.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Tracepoint => Some("those that are there are the folders below `/sys/kernel/tracing/events`"),
            Self::Tracefs => Some("mount it: `mount -t tracefs tracefs /sys/kernel/tracing`"),
            Self::Symbol => Some("a stripped file has the names of few functions: say the `offset` in the file"),
            Self::Lsm => Some("its programs would never run: boot with `bpf` in `lsm=...`"),
            Self::Kprobes => Some("`fentry` and tracepoints need none"),
            Self::File | Self::Format => None,
        }
    }
}

/// A place in a file that processes run. Another file of the same path is another place: processes that run it do not meet
/// the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlace {
    /// The file's device.
    pub device: u64,
    /// The file's inode.
    pub inode: u64,
    /// Where the function starts, in bytes.
    pub offset: u64,
}

/// An interface as netlink tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Inode of the network namespace that it is in.
    pub netns: u64,
    /// Its index.
    pub index: u32,
    /// Index of the interface that it is on, or of the other end of a pair, in the network namespace of that one.
    pub peer: Option<u32>,
    /// The XDP programs on it: mode (never `Auto`) and program id.
    pub xdp: Vec<(XdpMode, u32)>,
}

impl Interface {
    /// Returns which one it is.
    pub fn place(&self) -> Place {
        Place { netns: self.netns, ifindex: self.index, peer: self.peer }
    }
}

/// A program that may be somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Its name, of at most 15 bytes.
    pub name: String,
    /// The kernel's digest of its code.
    pub tag: [u8; 8],
    /// Nanoseconds since it was loaded.
    pub age: u64,
    /// Id of the link of XDP that runs it, where one does.
    pub link: Option<u32>,
}

impl fmt::Display for Stranger {
    /// As ` `drop`, loaded 3 min ago`, behind its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, age: since, link, .. } = self;
        let whose = if is_dispatcher(name) { ", the dispatcher of libxdp" } else { "" };
        write!(f, " `{name}`{whose}, loaded {} ago", age(*since))?;
        link.map_or(Ok(()), |id| write!(f, ", by link id {id}"))
    }
}

/// Returns whether a program is the one by which libxdp runs several ones on an interface.
pub fn is_dispatcher(name: &str) -> bool {
    name == "xdp_dispatcher"
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its inode, which says which one it is for as long as it lives.
    pub inode: u64,
    /// The ids of the programs that dissect flows in it: at most one.
    pub dissectors: Vec<u32>,
}
