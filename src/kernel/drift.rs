//! Compares what runs with the record: whether a deployment is still what the last apply made.
//!
//! A pin has the same inode for as long as it lives, and stands for one map, program or link (`bpf_mkobj_ops`,
//! kernel/bpf/inode.c), whose maps never change. So a listed folder says of all pins in it whether they are ours, and
//! only links, which change and detach, are opened: that is [`drift`], which an apply asks before it plans. What
//! [`deep_drift`] asks besides is of no use to an apply, which cannot put it right, but is worth a look.

use super::observe::{self, ENTER, READ, existing, open_cgroup, open_netns, refused};
use super::{HookInfo, HookRequest, Interface, Kernel, LinkInfo, ObjectKind, Queue, XdpMode, events, sites};
use crate::access::{Access, Permissions};
use crate::desired::{Anchor, Event, Neighbour, Netns, Order, Within};
use crate::diag::Problem;
use crate::names::{Address, PinPath};
use crate::plan::is_other;
use crate::plan::words::thousands;
use crate::record::{Record, RecordedLink, RecordedMap};
use crate::report::status::DriftKind;
use hashbrown::HashMap;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

/// A difference between the host and the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What it is about: `map.flows`.
    pub address: String,
    /// What is different.
    pub what: Difference,
}

/// What is different from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The pin is gone.
    Unpinned(PinPath),
    /// The pin is another one.
    Replaced(PinPath),
    /// Others may open the pin: what it has, and what was asked for.
    Access(String),
    /// Others may enter a folder of pins: what it has, and what it was made with.
    Entered(String),
    /// The link is on no hook any more; this is the one that it was on.
    Detached(String),
    /// The link is on this hook, and not on that of the record.
    Moved(HookInfo),
    /// The link runs the program with the first id, and not that with the second one.
    Runs(u32, u32),
    /// The interface of this name is another one, or gone.
    Interface(String),
    /// What a link is to be on is there, and the link is not.
    Came(String),
    /// The network namespace of this name is another one, or gone.
    Netns(String),
    /// The cgroup of this path is another one, or gone.
    Cgroup(String),
    /// The path of this event means another file, or none.
    File(String),
    /// The program does not run in this mode.
    Mode(XdpMode),
    /// The program does not use the map of this name, which has this id now.
    Edge(String, u32),
    /// These programs of others came before it on its hook.
    Ahead(Vec<u32>),
    /// The link does not have its place among those on its hook: which place, and the hook.
    Misplaced(String, String),
    /// Entries of the map that are ours are not as they were left.
    Entries {
        /// How many are other ones, or gone.
        changed: usize,
        /// How many more there are, where all are to be ours.
        more: usize,
        /// How many are ours.
        all: usize,
    },
    /// These variables are not as they were set.
    Variables(Vec<String>),
}

impl Difference {
    /// Returns its kind, for programs.
    pub fn kind(&self) -> DriftKind {
        match self {
            Self::Unpinned(_) => DriftKind::Unpinned,
            Self::Replaced(_) => DriftKind::Replaced,
            Self::Access(_) | Self::Entered(_) => DriftKind::Access,
            Self::Detached(_) => DriftKind::Detached,
            Self::Moved(_) => DriftKind::Moved,
            Self::Runs(..) => DriftKind::Runs,
            Self::Interface(_) => DriftKind::Interface,
            Self::File(_) => DriftKind::File,
            Self::Came(_) => DriftKind::Came,
            Self::Netns(_) => DriftKind::Netns,
            Self::Cgroup(_) => DriftKind::Cgroup,
            Self::Mode(_) => DriftKind::Mode,
            Self::Edge(..) => DriftKind::Edge,
            Self::Ahead(_) => DriftKind::Ahead,
            Self::Misplaced(..) => DriftKind::Order,
            Self::Entries { .. } => DriftKind::Entries,
            Self::Variables(_) => DriftKind::Variables,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpinned(pin) => write!(f, "its pin {pin} is gone"),
            Self::Replaced(pin) => write!(f, "{pin} is not the pin that was made"),
            Self::Access(what) => write!(f, "its pin has {what}"),
            Self::Entered(what) => write!(f, "others may enter it: it has {what}"),
            Self::Detached(hook) => write!(f, "it was detached from {hook}"),
            Self::Moved(hook) => write!(f, "it is on {hook}"),
            Self::Runs(now, made) => write!(f, "it runs program id {now}, not {made}"),
            Self::Interface(name) => write!(f, "the interface {name} is gone or another one"),
            Self::Came(hook) => write!(f, "{hook} is there now: the next apply attaches it"),
            Self::Netns(name) => write!(f, "{name} is gone or another one"),
            Self::Cgroup(path) => write!(f, "the cgroup {path} is gone or another one"),
            Self::File(event) => write!(f, "the file of {event} is gone, another one or a changed one"),
            Self::Mode(mode) => write!(f, "it does not run in {mode} mode"),
            Self::Edge(map, id) => write!(f, "it does not use map.{map}, which is map id {id} now"),
            Self::Entries { changed, more, all } => {
                let (changed, more, all) = (*changed as u64, *more as u64, *all as u64);
                write!(f, "owned entries changed: {} of {}", thousands(changed), thousands(all))?;
                if more == 0 { Ok(()) } else { write!(f, ", and {} more came", thousands(more)) }
            }
            Self::Variables(names) => write!(f, "not as they were set: {}", names.join(", ")),
            Self::Misplaced(order, hook) => write!(f, "it is not {order} any more on {hook}"),
            Self::Ahead(ids) => {
                let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
                write!(f, "packets meet others before it that were not there: program id {}", ids.join(", "))
            }
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.what)
    }
}

/// Returns the differences of the deployment whose pins are in `pin_root`, by address: maps, programs, links.
pub fn drift<K: Kernel>(kernel: &K, record: &Record, pin_root: &PinPath) -> Result<Vec<Drift>, Problem> {
    let pin = pin_root.join("record");
    let made = existing(kernel.permissions(&pin));
    let made = made.map_err(|error| refused(format!("look who may open `{pin}`"), &error, READ))?;
    let (links, maker) = (&record.links, made.map_or(0, |made| made.owner));
    let opened = opened_folders(kernel, record, pin_root, maker)?;
    // Nobody comes to the pins in folders that are shut, so that most need not be looked at one by one.
    let shut = opened.is_empty().then_some(pin_root);
    let mut checker = Checker { kernel, links, maker, shut, cgroups: RefCell::default(), folders: HashMap::new() };
    let mut found = Vec::new();
    let mut note = |kind: &str, name: &str, what: Option<Difference>| {
        found.extend(what.map(|what| Drift { address: format!("{kind}.{name}"), what }));
    };
    for (name, map) in &record.maps {
        if let Some(pin) = &map.pin {
            note("map", name, checker.pin(pin, map.inode, map.created.then_some(&map.access))?);
        }
        if let Some(entries) = &map.entries {
            note("map", name, checker.pin(&entries.pin, entries.inode, None)?);
        }
    }
    for (name, program) in &record.programs {
        note("program", name, checker.pin(&program.pin, program.inode, Some(&program.access))?);
    }
    for (name, link) in &record.links {
        note("link", name, checker.pinned_link(link)?);
    }
    for (name, hook) in sites::newcomers(kernel, record)? {
        note("link", &name, Some(Difference::Came(hook.to_string())));
    }
    for (folder, now) in opened {
        let lacking = Access::of_new_folders().or_shut(now, maker).lacking(now, |_, _| None);
        let what = Difference::Entered(lacking.difference(now));
        found.push(Drift { address: Address::Directory(folder).to_string(), what });
    }
    Ok(found)
}

/// Returns the folders of the pins of a deployment that others may enter, or own, with who may; `maker` made them.
pub(super) fn opened_folders<K: Kernel>(
    kernel: &K,
    record: &Record,
    pin_root: &PinPath,
    maker: u32,
) -> Result<BTreeMap<PinPath, Permissions>, Problem> {
    let generation = existing(kernel.read_symlink(pin_root));
    let generation = generation.map_err(|error| refused(format!("read `{pin_root}`"), &error, READ))?;
    let generation = generation.zip(pin_root.parent()).map(|(name, folder)| folder.child(&name));
    let mut folders: BTreeSet<PinPath> = generation.into_iter().collect();
    for folder in record.own_folders() {
        let above = std::iter::successors(Some(folder), PinPath::parent);
        // What holds a folder that is known is known, too.
        let _ = above
            .take_while(|folder| folder.is_below(pin_root) && folder != pin_root)
            .all(|folder| folders.insert(folder));
    }
    let mut opened = BTreeMap::new();
    for folder in folders {
        let now = existing(kernel.permissions(&folder));
        let now = now.map_err(|error| refused(format!("look who may enter `{folder}`"), &error, READ))?;
        opened.extend(now.filter(|now| now.lets_others(maker)).map(|now| (folder, now)));
    }
    Ok(opened)
}

/// Returns the same, and behind it what only each program and each hook tells.
pub fn deep_drift<K: Kernel>(kernel: &K, record: &Record, pin_root: &PinPath) -> Result<Vec<Drift>, Problem> {
    let mut found = drift(kernel, record, pin_root)?;
    found.extend(edges(kernel, record)?);
    let own = programs_of_links([record]);
    // A link that is to be the first one was looked at.
    for (name, link) in record.links.iter().filter(|(_, link)| link.order != Some(Order::First)) {
        let now = ahead(kernel, link, &own);
        let mut now = now.map_err(|error| refused(format!("look at {}", link.hook), &error, READ))?;
        // Others may replace their programs in place: those are not more than before.
        if now.len() > link.ahead.len() {
            now.retain(|id| !link.ahead.contains(id));
            found.push(Drift { address: format!("link.{name}"), what: Difference::Ahead(now) });
        }
    }
    Ok(found)
}

/// Returns the ids of the programs that links run, for [`ahead`].
pub fn programs_of_links<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeSet<u32> {
    records.into_iter().flat_map(|record| record.links.values()).map(|link| link.program_id).collect()
}

/// Returns the programs, but for our `own`, that packets meet before that of a link on its hook; none when the link is
/// not there, none for XDP and maps of sockets, where there is no room for others, and none for netfilter, whose priorities
/// the manifest says.
pub fn ahead<K: Kernel>(kernel: &K, link: &RecordedLink, own: &BTreeSet<u32>) -> io::Result<Vec<u32>> {
    let there = match &link.at {
        HookInfo::Xdp { .. }
        | HookInfo::Netfilter(_)
        | HookInfo::Sockmap { .. }
        | HookInfo::Event(_)
        | HookInfo::StructOps { .. }
        | HookInfo::Direct(_)
        | HookInfo::Other(_) => {
            return Ok(Vec::new());
        }
        HookInfo::Tcx { ifindex, attach_type } => {
            on_interface(kernel, link, &HookRequest::Tcx { ifindex: *ifindex, attach_type: *attach_type })?
        }
        // Both ends are asked about by the index of the primary one.
        HookInfo::Netkit { attach_type, .. } => {
            let Anchor::Interface(name, netns) = link.hook.anchor() else { return Ok(Vec::new()) };
            let found = observe::interface(kernel, name, netns)?.map(|found| found.place());
            let Some(place) = found.filter(|place| link.is_on(place)) else { return Ok(Vec::new()) };
            on_interface(kernel, link, &HookRequest::Netkit { ifindex: place.ifindex, attach_type: *attach_type })?
        }
        HookInfo::Cgroup { cgroup_id, attach_type } => {
            let Anchor::Cgroup(path) = link.hook.anchor() else { return Ok(Vec::new()) };
            match open_cgroup(kernel, path)? {
                Some((cgroup, _, id)) if id == *cgroup_id && link.hook.is_shared() => {
                    kernel.query(&HookRequest::Cgroup { cgroup: &cgroup, attach_type: *attach_type })?
                }
                Some(_) | None => return Ok(Vec::new()),
            }
        }
        HookInfo::Netns { inode, attach_type } => {
            let Anchor::Netns(netns) = link.hook.anchor() else { return Ok(Vec::new()) };
            match open_netns(kernel, netns)? {
                Some((netns, found)) if found == *inode => {
                    kernel.query(&HookRequest::Netns { netns: &netns, attach_type: *attach_type })?
                }
                Some(_) | None => return Ok(Vec::new()),
            }
        }
    };
    let place = there.iter().position(|id| *id == link.program_id).unwrap_or(0);
    Ok(there.into_iter().take(place).filter(|id| !own.contains(id)).collect())
}

/// Returns the programs on the hook of an interface, in the network namespace of a link; none when either is gone.
fn on_interface<K: Kernel>(kernel: &K, link: &RecordedLink, hook: &HookRequest<'_, K::Fd>) -> io::Result<Vec<u32>> {
    let Anchor::Interface(_, netns) = link.hook.anchor() else { return Ok(Vec::new()) };
    let there = match open_netns(kernel, netns)? {
        Some((_, inode)) if Some(inode) != link.netns => return Ok(Vec::new()),
        None => return Ok(Vec::new()),
        Some(_) if netns.is_own() => kernel.query(hook),
        Some((netns, _)) => kernel.query(&HookRequest::Within { netns: &netns, hook }),
    };
    match there {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(Vec::new()),
        there => there,
    }
}

/// Returns the programs that do not use a map that is pinned where theirs was. What is not pinned is no edge's business.
fn edges<K: Kernel>(kernel: &K, record: &Record) -> Result<Vec<Drift>, Problem> {
    let mut found = Vec::new();
    let mut ids: BTreeMap<&str, Option<u32>> = BTreeMap::new();
    for (name, program) in record.programs.iter().filter(|(_, program)| !program.maps.is_empty()) {
        let doing = |error| refused(format!("read the program at `{}`", program.pin), &error, READ);
        let Some((ObjectKind::Program, fd)) = opened(kernel, &program.pin).map_err(doing)? else { continue };
        let used = kernel.program_info(&fd).map_err(doing)?.map_ids;
        for (name_of_map, map) in program.maps.iter().filter_map(|name| record.maps.get_key_value(&**name)) {
            let doing = |error| refused(format!("read map.{name_of_map}"), &error, READ);
            let id = match ids.get(&**name_of_map) {
                Some(id) => *id,
                None => *ids.entry(name_of_map).or_insert(map_id(kernel, map).map_err(doing)?),
            };
            if let Some(id) = id.filter(|id| !used.contains(id)) {
                let what = Difference::Edge(name_of_map.clone(), id);
                found.push(Drift { address: format!("program.{name}"), what });
            }
        }
    }
    Ok(found)
}

/// Returns the id of a map that is there.
fn map_id<K: Kernel>(kernel: &K, map: &RecordedMap) -> io::Result<Option<u32>> {
    let Some(pin) = &map.pin else { return Ok(map.id) };
    match opened(kernel, pin)? {
        Some((ObjectKind::Map, fd)) => kernel.map_info(&fd).map(|info| Some(info.id)),
        Some((ObjectKind::Program | ObjectKind::Link, _)) | None => Ok(None),
    }
}

fn opened<K: Kernel>(kernel: &K, pin: &str) -> io::Result<Option<(ObjectKind, K::Fd)>> {
    PinPath::new(pin).map_or(Ok(None), |pin| existing(kernel.open_pin(&pin)))
}

struct Checker<'a, K> {
    kernel: &'a K,
    /// All links of the record.
    links: &'a BTreeMap<String, RecordedLink>,
    /// The number of the user that made the pins.
    maker: u32,
    /// The folder below which nobody else comes to the pins.
    shut: Option<&'a PinPath>,
    /// The ids of cgroups by path, as far as they were looked for.
    cgroups: RefCell<BTreeMap<&'a str, Option<u64>>>,
    /// The inodes in a folder by name.
    folders: HashMap<String, HashMap<String, u64>>,
}

impl<'a, K: Kernel> Checker<'a, K> {
    /// Looks whether a pin is the one that was made, and who may open it unless that is `None`.
    fn pin(&mut self, pin: &str, inode: u64, access: Option<&Access>) -> Result<Option<Difference>, Problem> {
        let found = self.inode(pin)?;
        let path = || PinPath::new(pin).expect("it was listed by its folder");
        Ok(match found {
            Some(found) if found == inode => match access {
                Some(access) if access.is_empty() && self.is_shut(pin) => None,
                Some(access) => self.access(&path(), access)?,
                None => None,
            },
            Some(_) => Some(Difference::Replaced(path())),
            None => PinPath::new(pin).ok().map(Difference::Unpinned),
        })
    }

    /// Looks whether a link is as it was made: its pin, and the link itself.
    fn pinned_link(&mut self, link: &'a RecordedLink) -> Result<Option<Difference>, Problem> {
        // What has no link has a mark in the place of a pin, which everybody may read.
        let is_mark = matches!(link.at, HookInfo::Direct(_));
        let access = (!is_mark).then_some(&link.access);
        match self.pin(&link.pin, link.inode, access)? {
            None => self.link(link),
            // An apply that had to take a link off its hook and failed then made it anew: it is the one that was there when
            // it runs the same program at the same place.
            Some(Difference::Replaced(pin)) if !is_mark => match (self.link(link)?, access) {
                (None, Some(access)) => self.access(&pin, access),
                (None, None) | (Some(_), _) => Ok(Some(Difference::Replaced(pin))),
            },
            what => Ok(what),
        }
    }

    /// Returns whether only the maker comes to a pin.
    fn is_shut(&self, pin: &str) -> bool {
        self.shut.is_some_and(|shut| shut.holds(pin))
    }

    /// Looks who may open a pin.
    fn access(&self, pin: &PinPath, asked: &Access) -> Result<Option<Difference>, Problem> {
        let doing = |error| refused(format!("look who may open `{pin}`"), &error, READ);
        let mut numbers = BTreeMap::new();
        for (kind, name) in asked.names() {
            numbers.insert((kind, name), self.kernel.account(kind, name).map_err(doing)?);
        }
        let now = self.kernel.permissions(pin).map_err(doing)?;
        let lacking =
            asked.or_shut(now, self.maker).lacking(now, |kind, name| numbers.get(&(kind, name)).copied().flatten());
        Ok((!lacking.is_empty()).then(|| Difference::Access(lacking.difference(now))))
    }

    fn inode(&mut self, pin: &str) -> Result<Option<u64>, Problem> {
        let Some((folder, name)) = pin.rsplit_once('/') else { return Ok(None) };
        if let Some(inodes) = self.folders.get(folder) {
            return Ok(inodes.get(name).copied());
        }
        let Ok(path) = PinPath::new(folder) else { return Ok(None) };
        let listed = existing(self.kernel.list(&path));
        let listed = listed.map_err(|error| refused(format!("read the folder `{path}`"), &error, READ))?;
        let inodes = listed.into_iter().flatten().map(|entry| (entry.name, entry.inode));
        Ok(self.folders.entry(folder.to_owned()).or_insert(inodes.collect()).get(name).copied())
    }

    fn link(&self, link: &'a RecordedLink) -> Result<Option<Difference>, Problem> {
        let Ok(pin) = PinPath::new(&link.pin) else { return Ok(None) };
        let doing = |error| refused(format!("read the link at `{pin}`"), &error, READ);
        if let HookInfo::Direct(at) = &link.at {
            let now = self.kernel.programs_at(at).map_err(doing)?;
            return match (now.contains(&link.program_id), now.first()) {
                (true, _) => self.anchored(link, link.program_id),
                (false, Some(now)) if at.has_room_for_one() => Ok(Some(Difference::Runs(*now, link.program_id))),
                (false, _) => Ok(Some(Difference::Detached(link.hook.to_string()))),
            };
        }
        let (kind, fd) = self.kernel.open_pin(&pin).map_err(doing)?;
        if kind != ObjectKind::Link {
            return Ok(Some(Difference::Replaced(pin)));
        }
        let LinkInfo { id, program_id, hook, is_attached } = self.kernel.link_info(&fd).map_err(doing)?;
        // One that was adopted may have been on no hook already.
        if !is_attached {
            return Ok(Some(Difference::Detached(link.hook.to_string())));
        }
        if hook != link.at {
            return Ok(Some(Difference::Moved(hook)));
        }
        if program_id != link.program_id {
            return Ok(Some(Difference::Runs(program_id, link.program_id)));
        }
        let elsewhere = self.anchored(link, program_id)?;
        match (elsewhere, &link.order) {
            (None, Some(order)) => self.misplaced(link, order, id),
            (elsewhere, _) => Ok(elsewhere),
        }
    }

    /// Looks whether a link that has its place on a hook has it still.
    fn misplaced(&self, link: &RecordedLink, order: &Order, id: u32) -> Result<Option<Difference>, Problem> {
        let doing = |error| refused(format!("look at the programs on {}", link.hook), &error, READ);
        let Some(Queue { there, .. }) = observe::queue(self.kernel, &link.hook, false).map_err(doing)? else {
            return Ok(None);
        };
        let place = |id: u32, program_id: u32| {
            there.iter().position(|it| it.link_id.map_or(it.program_id == program_id, |link| link == id))
        };
        let Some(at) = place(id, link.program_id) else { return Ok(None) };
        let beside = match order.neighbour() {
            None => Vec::new(),
            Some(Neighbour::Link(name)) => {
                let other = self.links.get(name.as_str());
                let pin = other.and_then(|other| PinPath::new(&other.pin).ok());
                let other = pin.map_or(Ok(None), |pin| observe::beside(self.kernel, &pin)).map_err(doing)?;
                other.and_then(|it| place(it.link_id.unwrap_or(0), it.program_id)).into_iter().collect()
            }
            Some(wanted) => {
                let mut pins = BTreeMap::new();
                if let Neighbour::Pin(pin) = wanted {
                    pins.extend(observe::beside(self.kernel, pin).map_err(doing)?.map(|it| (pin.clone(), it)));
                }
                (0..there.len()).filter(|other| *other != at && is_other(&there[*other], wanted, &pins)).collect()
            }
        };
        let is_kept = order.is_kept(at, there.len(), &beside);
        Ok((!is_kept).then(|| Difference::Misplaced(order.to_string(), link.hook.to_string())))
    }

    /// Looks whether the name of what a link is on still means that.
    fn anchored(&self, link: &'a RecordedLink, program_id: u32) -> Result<Option<Difference>, Problem> {
        match link.hook.anchor() {
            Anchor::Interface(name, netns) => self.on_interface(link, name, netns, program_id),
            Anchor::Netns(netns) => {
                let doing = |error| refused(format!("open {netns}"), &error, READ);
                let found = open_netns(self.kernel, netns).map_err(doing)?.map(|(_, inode)| inode);
                Ok((found != link.netns).then(|| Difference::Netns(netns.to_string())))
            }
            Anchor::Cgroup(path) => {
                let HookInfo::Cgroup { cgroup_id, .. } = &link.at else { return Ok(None) };
                let known = self.cgroups.borrow().get(path).copied();
                let found = match known {
                    Some(found) => found,
                    None => {
                        let opened = open_cgroup(self.kernel, path);
                        let opened =
                            opened.map_err(|error| refused(format!("open the cgroup `{path}`"), &error, READ))?;
                        *self.cgroups.borrow_mut().entry(path).or_insert(opened.map(|(_, _, id)| id))
                    }
                };
                Ok((found != Some(*cgroup_id)).then(|| Difference::Cgroup(path.to_owned())))
            }
            Anchor::Map(_) => Ok(None),
            Anchor::Event(event) => self.at_event(link, event),
        }
    }

    /// Looks whether the path of an event still means the file of a link.
    fn at_event(&self, link: &RecordedLink, event: &Event) -> Result<Option<Difference>, Problem> {
        let Some(file) = link.file else { return Ok(None) };
        let is_same = events::find(self.kernel, event)?.is_ok_and(|place| place.file() == Some(file));
        Ok((!is_same).then(|| Difference::File(event.to_string())))
    }

    /// Looks whether the name still means the interface of a link, and whether the link runs in its mode.
    fn on_interface(
        &self,
        link: &RecordedLink,
        name: &str,
        netns: &Netns,
        program_id: u32,
    ) -> Result<Option<Difference>, Problem> {
        let doing = || format!("look the interface `{name}`{} up", Within(netns));
        let found = observe::interface(self.kernel, name, netns);
        let found = found.map_err(|error| refused(doing(), &error, ENTER))?;
        let is_xdp = matches!(link.at, HookInfo::Xdp { .. });
        // One that went to another network namespace keeps its link, and maybe its index.
        let is_there = |found: &Interface| !is_xdp || found.xdp.iter().any(|(_, id)| *id == program_id);
        let Some(found) = found.filter(|found| link.is_on(&found.place()) && is_there(found)) else {
            return Ok(Some(Difference::Interface(format!("{name}{}", Within(netns)))));
        };
        let mode = link.hook.mode().filter(|mode| *mode != XdpMode::Auto);
        let other = mode.filter(|mode| !found.xdp.contains(&(*mode, program_id)));
        Ok(other.map(Difference::Mode))
    }
}
