//! A host of which only the state is there, as a file: it answers what the kernel answered when that was written.
//!
//! Nothing can be changed in it, and what the file does not tell is an error that says so, never "not there".

use super::{
    Entry, EntryKind, Excludes, FilePlace, HookPlace, HookRequest, Interface, Kernel, LinkInfo, LoadError, MapInfo,
    MapRequest, ObjectKind, Occupant, ProgramCode, ProgramInfo, ProgramRequest, Queue, Ran, RunRequest, Symbols,
    TakeEntries,
};
use crate::access::{AccountKind, Permissions};
use crate::btf::kernel::Bytes;
use crate::desired::Netns;
use crate::diag::LockHolder;
use crate::direct::{Device, Direct, Feature, Mark, Qdisc};
use crate::elf::Target;
use crate::kinds::AttachType;
use crate::names::PinPath;
use crate::route::{RouteInfo, RoutePlace};
use crate::spec::Host;
use crate::state::{self, File, HookOwner, HostState, PinKind};
use crate::variables::Patch;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The host.
#[derive(Debug)]
pub struct Recorded(pub HostState);

/// Something of it that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it; each has its id")]
pub enum Handle {
    Map(u32),
    Program(u32),
    Link(u32),
    Btf(u32),
    Cgroup(u64),
    Netns(u64),
}

/// The error of a question that the file does not answer.
#[derive(Debug)]
pub struct NotTold(pub String);

impl fmt::Display for NotTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exported state does not tell {}", self.0)
    }
}

impl std::error::Error for NotTold {}

impl NotTold {
    /// Returns what is not told, when that is what an error says.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

fn not_told<T>(what: impl Into<String>) -> io::Result<T> {
    Err(io::Error::other(NotTold(what.into())))
}

fn errno<T>(code: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(code))
}

/// What it says to every change.
fn unchangeable<T>() -> io::Result<T> {
    errno(libc::EROFS)
}

impl Recorded {
    /// Returns what programs are linked for: a kernel of which the types are not known.
    pub fn target(&self) -> Target {
        Target { version: self.0.version, ..Target::offline() }
    }

    /// Finds what is at a path, through symbolic links in the place of folders, and at its end where `follows`.
    fn file(&self, path: &PinPath, follows: bool) -> io::Result<Option<(PinPath, Option<&File>)>> {
        let HostState { bpffs, mounted, files, .. } = &self.0;
        let Some(rest) =
            path.as_str().strip_prefix(bpffs.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return not_told(format!("what is outside of `{bpffs}`"));
        };
        if !mounted {
            return Ok(None);
        }
        let names: Vec<&str> = rest.split('/').filter(|name| !name.is_empty()).collect();
        let mut at = bpffs.clone();
        for (number, name) in names.iter().enumerate() {
            let folder = at;
            at = folder.child(name);
            if let Some(File::Symlink { target, .. }) = files.get(&at)
                && (follows || number + 1 < names.len())
            {
                // Those that lead elsewhere are none of ours.
                at = folder.child(target);
            }
        }
        let found = files.get(&at);
        Ok((found.is_some() || at == *bpffs).then_some((at, found)))
    }

    fn map(&self, handle: &Handle) -> io::Result<(u32, &state::Map)> {
        let Handle::Map(id) = handle else { return errno(libc::EINVAL) };
        self.0.maps.get(id).map_or_else(|| not_told(format!("map id {id}")), |map| Ok((*id, map)))
    }

    /// Returns what a map holds, where that is told: keys and values of these sizes, which no map has without bytes.
    fn entries(&self, map: &Handle, (key, value): (usize, usize)) -> io::Result<&[state::Entry]> {
        let (id, found) = self.map(map)?;
        let Some(entries) = &found.entries else {
            let what = format!(
                "what the map `{}` holds: `bpfapply export --contents` does, unless that is secret",
                found.name
            );
            return not_told(what);
        };
        let fits = |entry: &state::Entry| (entry.key.0.len(), entry.value.0.len()) == (key, value);
        if key == 0 || value == 0 || !entries.iter().all(fits) {
            return Err(io::Error::other(format!("the exported state has entries that do not fit map id {id}")));
        }
        Ok(entries)
    }

    fn namespace(&self, inode: u64) -> io::Result<&state::Namespace> {
        let found = self.0.namespaces.values().find(|netns| netns.inode == inode);
        found.map_or_else(|| not_told(format!("the network namespace with inode {inode}")), Ok)
    }

    fn own(&self) -> io::Result<&state::Namespace> {
        let own = self.0.namespaces.get(Netns::OWN.path().to_string_lossy().as_ref());
        own.map_or_else(|| not_told("the network namespace in which it was written"), Ok)
    }

    fn shared(&self, of: &HookOwner, attach_type: AttachType, usual: u64) -> Queue {
        let hook = self.0.hooks.shared.iter().find(|hook| hook.of == *of && hook.attach_type == attach_type);
        let Some(hook) = hook else { return Queue { revision: usual, there: Vec::new() } };
        let there = hook.programs.iter().map(|it| occupant(it.program_id, it.link_id)).collect();
        Queue { revision: hook.revision, there }
    }

    fn tcx(&self, netns: u64, ifindex: u32, attach_type: AttachType) -> io::Result<Queue> {
        if self.0.lacks.contains(&Feature::Tcx) {
            return errno(libc::EINVAL);
        }
        let of = HookOwner::Interface { netns, index: ifindex };
        Ok(self.shared(&of, attach_type, self.0.hooks.tcx_revision))
    }
}

fn occupant(program_id: u32, link_id: Option<u32>) -> Occupant {
    Occupant { program_id, link_id, name: None }
}

fn of_programs(ids: &[u32]) -> Queue {
    Queue { revision: 0, there: ids.iter().map(|id| occupant(*id, None)).collect() }
}

fn interface_of(netns: &state::Namespace, name: &str) -> Option<Interface> {
    let mut all = netns.interfaces.iter();
    let (_, found) = all.find(|(own, it)| *own == name || it.other_names.iter().any(|other| other == name))?;
    let xdp = found.xdp.iter().map(|it| (it.mode, it.program_id)).collect();
    Some(Interface { netns: netns.inode, index: found.index, peer: found.peer, xdp })
}

fn next<T>(of: &BTreeMap<u32, T>, after: u32) -> io::Result<u32> {
    let behind = after.checked_add(1).map(|first| of.range(first..));
    behind.and_then(|mut behind| behind.next()).map_or_else(|| errno(libc::ENOENT), |(id, _)| Ok(*id))
}

impl Kernel for Recorded {
    type Fd = Handle;
    type Lock = ();

    fn uptime(&self) -> u64 {
        self.0.uptime
    }

    fn host(&self) -> io::Result<Host> {
        Ok(self.0.host())
    }

    fn is_bpffs(&self, path: &PinPath) -> io::Result<bool> {
        if self.0.bpffs != *path && self.0.bpffs.is_below(path) {
            return Ok(false);
        }
        match self.file(path, true)? {
            Some((_, Some(File::Folder { .. }) | None)) => Ok(true),
            Some(_) | None => errno(libc::ENOENT),
        }
    }

    fn lock(&self, _: &PinPath) -> io::Result<Option<()>> {
        unchangeable()
    }

    fn lock_holder(&self, _: &PinPath) -> io::Result<Option<LockHolder>> {
        Ok(None)
    }

    fn mount_bpffs(&mut self, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn unmount_bpffs(&mut self, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn list(&self, directory: &PinPath) -> io::Result<Vec<Entry>> {
        let at = match self.file(directory, true)? {
            Some((at, Some(File::Folder { .. }) | None)) => at,
            Some((_, Some(File::Pin { .. } | File::Symlink { .. } | File::Other { .. }))) => {
                return errno(libc::ENOTDIR);
            }
            None => return errno(libc::ENOENT),
        };
        let inside = self.0.files.iter().filter(|(path, _)| path.parent().as_ref() == Some(&at));
        let entry = |(path, file): (&PinPath, &File)| {
            let (inode, kind) = match file {
                File::Folder { inode } => (*inode, EntryKind::Folder),
                File::Symlink { inode, .. } => (*inode, EntryKind::Symlink),
                File::Pin { inode, .. } | File::Other { inode } => (*inode, EntryKind::Pin),
            };
            Entry { name: path.file_name().to_owned(), inode, kind }
        };
        let mut entries: Vec<Entry> = inside.map(entry).collect();
        entries.sort();
        Ok(entries)
    }

    fn make_directory(&mut self, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn remove_directory(&mut self, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn unpin(&mut self, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn hard_link(&mut self, _: &PinPath, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn symlink(&mut self, _: &str, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn read_symlink(&self, at: &PinPath) -> io::Result<String> {
        match self.file(at, false)? {
            Some((_, Some(File::Symlink { target, .. }))) => Ok(target.clone()),
            Some(_) => errno(libc::EINVAL),
            None => errno(libc::ENOENT),
        }
    }

    fn permissions(&self, pin: &PinPath) -> io::Result<Permissions> {
        match self.file(pin, false)? {
            Some((_, Some(File::Pin { mode, owner, group, .. }))) => {
                Ok(Permissions { mode: *mode, owner: *owner, group: *group })
            }
            // Those of all symbolic links; who owns one changes nothing.
            Some((_, Some(File::Symlink { .. }))) => Ok(Permissions { mode: 0o777, owner: 0, group: 0 }),
            Some(_) => not_told(format!("who may open `{pin}`")),
            None => errno(libc::ENOENT),
        }
    }

    fn change_mode(&mut self, _: &PinPath, _: u32) -> io::Result<()> {
        unchangeable()
    }

    fn change_owner(&mut self, _: &PinPath, _: u32, _: u32) -> io::Result<()> {
        unchangeable()
    }

    fn account(&self, kind: AccountKind, name: &str) -> io::Result<Option<u32>> {
        let known = match kind {
            AccountKind::User => &self.0.users,
            AccountKind::Group => &self.0.groups,
        };
        known.get(name).map_or_else(|| not_told(format!("the number of the {kind} `{name}`")), |id| Ok(Some(*id)))
    }

    fn rename(&mut self, _: &PinPath, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn rename_new(&mut self, _: &PinPath, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn number(&self, _: &Handle) -> i32 {
        -1
    }

    fn open_pin(&self, path: &PinPath) -> io::Result<(ObjectKind, Handle)> {
        match self.file(path, true)? {
            Some((_, Some(File::Pin { kind, id, .. }))) => Ok(match kind {
                PinKind::Map => (ObjectKind::Map, Handle::Map(*id)),
                PinKind::Program => (ObjectKind::Program, Handle::Program(*id)),
                PinKind::Link => (ObjectKind::Link, Handle::Link(*id)),
            }),
            Some(_) => errno(libc::EACCES),
            None => errno(libc::ENOENT),
        }
    }

    fn pin(&mut self, _: &Handle, _: &PinPath) -> io::Result<()> {
        unchangeable()
    }

    fn create_map(&mut self, _: &MapRequest<'_, Handle>) -> io::Result<Handle> {
        unchangeable()
    }

    fn map_by_id(&self, id: u32) -> io::Result<Handle> {
        self.map(&Handle::Map(id)).map(|(id, _)| Handle::Map(id))
    }

    fn map_info(&self, map: &Handle) -> io::Result<MapInfo> {
        let (id, map) = self.map(map)?;
        Ok(MapInfo {
            id,
            map_type: map.r#type,
            key_size: map.key_size,
            value_size: map
                .record
                .as_ref()
                .map_or(map.value_size, |record| u32::try_from(record.to_string().len()).unwrap_or(u32::MAX)),
            max_entries: map.max_entries,
            flags: map.flags,
            map_extra: map.map_extra,
            name: map.name.clone(),
            btf_id: map.btf_id,
            key_type_id: map.key_type_id,
            value_type_id: map.value_type_id,
        })
    }

    fn is_frozen(&self, map: &Handle) -> io::Result<bool> {
        Ok(self.map(map)?.1.frozen)
    }

    fn lookup(&self, map: &Handle, key: &[u8], size: usize) -> io::Result<Option<Vec<u8>>> {
        if let Some(record) = &self.map(map)?.1.record {
            return Ok(Some(record.to_string().into_bytes()));
        }
        let mut entries = self.entries(map, (key.len(), size))?.iter();
        Ok(entries.find(|entry| entry.key.0 == key).map(|entry| entry.value.0.clone()))
    }

    fn next_key(&self, _: &Handle, _: Option<&[u8]>, _: usize) -> io::Result<Option<Vec<u8>>> {
        not_told("the order of entries")
    }

    fn update(&mut self, _: &Handle, _: &[u8], _: &[u8]) -> io::Result<()> {
        unchangeable()
    }

    fn add(&mut self, _: &Handle, _: &[u8], _: &[u8]) -> io::Result<bool> {
        unchangeable()
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }

    fn delete(&mut self, _: &Handle, _: &[u8]) -> io::Result<bool> {
        unchangeable()
    }

    fn read_entries(&self, map: &Handle, sizes: (usize, usize), each: TakeEntries<'_>) -> io::Result<()> {
        for entry in self.entries(map, sizes)? {
            if each(&entry.key.0, &entry.value.0).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write_part(&mut self, _: &Handle, _: &Patch) -> io::Result<()> {
        unchangeable()
    }

    fn update_slot(&mut self, _: &Handle, _: &[u8], _: &Handle) -> io::Result<()> {
        unchangeable()
    }

    fn write_arena(&mut self, _: &Handle, _: u64, _: u64, _: &[u8]) -> io::Result<()> {
        unchangeable()
    }

    fn freeze(&mut self, _: &Handle) -> io::Result<()> {
        unchangeable()
    }

    fn load_btf(&mut self, _: &[u8]) -> Result<Handle, LoadError> {
        unchangeable().map_err(|error| LoadError { error, log: String::new() })
    }

    fn btf(&self, id: u32) -> io::Result<Vec<u8>> {
        self.0
            .types
            .get(&id)
            .map_or_else(|| not_told(format!("the types with BTF id {id}")), |bytes| Ok(bytes.0.clone()))
    }

    fn next_btf(&self, _: u32) -> io::Result<u32> {
        not_told("the types of the kernel's modules")
    }

    fn btf_by_id(&self, id: u32) -> io::Result<Handle> {
        self.btf(id).map(|_| Handle::Btf(id))
    }

    fn module_name(&self, _: &Handle) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn types(&self) -> io::Result<Bytes> {
        not_told("the kernel's types")
    }

    fn config(&self) -> io::Result<String> {
        not_told("the kernel's configuration")
    }

    fn symbols(&self, _: &BTreeSet<String>) -> io::Result<Symbols> {
        not_told("the kernel's symbols")
    }

    fn symbols_at(&self, _: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, String>> {
        not_told("the kernel's symbols")
    }

    fn version(&self) -> io::Result<u32> {
        Ok(self.0.version)
    }

    fn load_program(&mut self, _: &ProgramRequest<'_, Handle>) -> Result<Handle, LoadError> {
        unchangeable().map_err(|error| LoadError { error, log: String::new() })
    }

    fn next_program(&self, after: u32) -> io::Result<u32> {
        next(&self.0.programs, after)
    }

    fn bind_map(&mut self, _: &Handle, _: &Handle) -> io::Result<()> {
        unchangeable()
    }

    fn program_by_id(&self, id: u32) -> io::Result<Handle> {
        if self.0.programs.contains_key(&id) { Ok(Handle::Program(id)) } else { errno(libc::ENOENT) }
    }

    fn program_info(&self, program: &Handle) -> io::Result<ProgramInfo> {
        let Handle::Program(id) = program else { return errno(libc::EINVAL) };
        let Some(found) = self.0.programs.get(id) else { return errno(libc::EINVAL) };
        Ok(ProgramInfo {
            id: *id,
            program_type: found.r#type,
            tag: found.tag,
            name: found.name.clone(),
            map_ids: found.map_ids.clone(),
            btf_id: found.btf_id,
            load_time: found.load_time,
            verified_insns: found.verified_insns,
        })
    }

    fn program_code(&self, _: &Handle) -> io::Result<ProgramCode> {
        not_told("the code of programs")
    }

    fn test_run(&mut self, _: &Handle, _: &RunRequest<'_>) -> io::Result<Ran> {
        unchangeable()
    }

    fn interface(&self, name: &str) -> io::Result<Option<Interface>> {
        Ok(interface_of(self.own()?, name))
    }

    fn interface_in(&self, netns: &Handle, name: &str) -> io::Result<Option<Interface>> {
        let Handle::Netns(inode) = netns else { return errno(libc::EINVAL) };
        Ok(interface_of(self.namespace(*inode)?, name))
    }

    fn interfaces_in(&self, netns: &Handle) -> io::Result<Vec<String>> {
        let Handle::Netns(inode) = netns else { return errno(libc::EINVAL) };
        Ok(self.namespace(*inode)?.interfaces.keys().cloned().collect())
    }

    fn other_names(&self, netns: &Handle, name: &str) -> io::Result<Vec<String>> {
        let Handle::Netns(inode) = netns else { return errno(libc::EINVAL) };
        Ok(self.namespace(*inode)?.interfaces.get(name).map(|found| found.other_names.clone()).unwrap_or_default())
    }

    fn interface_name(&self, index: u32) -> io::Result<Option<String>> {
        let mut all = self.own()?.interfaces.iter();
        Ok(all.find(|(_, found)| found.index == index).map(|(name, _)| name.clone()))
    }

    fn cgroup_mount(&self) -> io::Result<Option<PathBuf>> {
        Ok(self.0.cgroup_mount.as_ref().map(PathBuf::from))
    }

    fn open_cgroup(&self, path: &Path) -> io::Result<(Handle, u64)> {
        // A path to the root may end with a slash.
        let text = path.to_string_lossy();
        match self.0.cgroups.get(text.trim_end_matches('/')) {
            Some(id) => Ok((Handle::Cgroup(*id), *id)),
            None if self.0.all_cgroups => errno(libc::ENOENT),
            None => not_told(format!("whether there is the cgroup `{text}`: it has too many of them")),
        }
    }

    fn cgroups_in(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let all = self.0.cgroups.keys().map(PathBuf::from);
        Ok(all.filter(|cgroup| cgroup.parent() == Some(path)).collect())
    }

    fn open_netns(&self, path: &Path) -> io::Result<(Handle, u64)> {
        match self.0.namespaces.get(path.to_string_lossy().as_ref()) {
            Some(found) => Ok((Handle::Netns(found.inode), found.inode)),
            None if path.parent() == Netns::named("x".to_owned()).path().parent() => errno(libc::ENOENT),
            None => not_told(format!("the network namespace of `{}`", path.display())),
        }
    }

    fn named_netns(&self) -> io::Result<Vec<String>> {
        let paths = self.0.namespaces.keys().filter_map(|path| path.strip_prefix("/run/netns/"));
        Ok(paths.map(str::to_owned).collect())
    }

    fn tracepoint(&self, category: &str, name: &str) -> io::Result<u64> {
        let found = self.0.tracepoints.get(&format!("{category}/{name}"));
        found.map_or_else(|| not_told(format!("the id of the tracepoint {category}/{name}")), |id| Ok(*id))
    }

    fn place_in_file(&self, binary: &str, symbol: Option<&str>) -> io::Result<FilePlace> {
        let mut probes = self.0.probes.iter();
        match probes.find(|probe| probe.binary == binary && probe.symbol.as_deref() == symbol) {
            Some(state::Probe { device, inode, offset, .. }) => {
                Ok(FilePlace { device: *device, inode: *inode, offset: *offset })
            }
            None => not_told(format!("what is in `{binary}`")),
        }
    }

    fn security_modules(&self) -> io::Result<String> {
        self.0.security_modules.clone().map_or_else(|| errno(libc::ENOENT), Ok)
    }

    fn has_event_source(&self, _: &str) -> io::Result<bool> {
        // The state does not tell.
        Ok(true)
    }

    fn has(&self, feature: Feature) -> io::Result<bool> {
        Ok(!self.0.lacks.contains(&feature))
    }

    fn qdisc(&self, device: &Device) -> io::Result<Option<Qdisc>> {
        let netns = self.namespace(device.inode)?;
        let found = netns.interfaces.values().find(|found| found.index == device.ifindex);
        Ok(found.and_then(|found| found.qdisc.clone()))
    }

    fn make_clsact(&mut self, _: &Device) -> io::Result<()> {
        unchangeable()
    }

    fn remove_clsact(&mut self, _: &Device) -> io::Result<()> {
        unchangeable()
    }

    fn routes(&self, device: &Device, place: &RoutePlace) -> io::Result<Vec<RouteInfo>> {
        let is_at = |it: &&state::Routes| (it.netns, it.index, it.place) == (device.inode, device.ifindex, *place);
        let found = self.0.routes.iter().find(is_at);
        found.map_or_else(|| not_told(format!("the routes to {}", place.to)), |found| Ok(found.routes.clone()))
    }

    fn programs_at(&self, at: &Direct) -> io::Result<Vec<u32>> {
        let marks = self.0.files.values().filter_map(|file| match file {
            File::Symlink { target, programs: Some(programs), .. } => Some((Mark::parse(target)?, programs)),
            File::Symlink { .. } | File::Folder { .. } | File::Pin { .. } | File::Other { .. } => None,
        });
        let found = marks.into_iter().find(|(mark, _)| mark.at == *at);
        found.map_or_else(|| not_told(format!("what is at {at}")), |(_, programs)| Ok(programs.clone()))
    }

    fn attach(&mut self, _: &Handle, _: &Direct, _: Option<&Handle>) -> io::Result<()> {
        unchangeable()
    }

    fn detach(&mut self, _: &Handle, _: &Direct) -> io::Result<()> {
        unchangeable()
    }

    fn excludes(&self, _: &Handle, attach_type: AttachType) -> io::Result<Excludes> {
        not_told(format!("whether others may be beside programs of {attach_type}"))
    }

    fn create_link_at(&mut self, _: &Handle, _: &HookRequest<'_, Handle>, _: HookPlace) -> io::Result<Handle> {
        unchangeable()
    }

    fn update_link(&mut self, _: &Handle, _: &Handle, _: &Handle) -> io::Result<()> {
        unchangeable()
    }

    fn detach_link(&mut self, _: &Handle) -> io::Result<()> {
        unchangeable()
    }

    fn queue(&self, hook: &HookRequest<'_, Handle>) -> io::Result<Queue> {
        match hook {
            HookRequest::Tcx { ifindex, attach_type } => self.tcx(self.own()?.inode, *ifindex, *attach_type),
            HookRequest::Within { netns: Handle::Netns(inode), hook: HookRequest::Tcx { ifindex, attach_type } } => {
                self.tcx(*inode, *ifindex, *attach_type)
            }
            HookRequest::Cgroup { attach_type, .. } if self.0.hooks.lacks.contains(attach_type) => errno(libc::EINVAL),
            HookRequest::Cgroup { cgroup: Handle::Cgroup(id), attach_type } => {
                Ok(self.shared(&HookOwner::Cgroup { id: *id }, *attach_type, self.0.hooks.cgroup_revision))
            }
            HookRequest::Netns { netns: Handle::Netns(inode), attach_type: AttachType::FLOW_DISSECTOR } => {
                Ok(of_programs(&self.namespace(*inode)?.dissectors))
            }
            HookRequest::Sockmap { map, attach_type } => {
                let verdicts = &self.map(map)?.1.verdicts;
                let found = verdicts.iter().find(|verdict| verdict.attach_type == *attach_type);
                found.map_or_else(|| errno(libc::EINVAL), |verdict| Ok(of_programs(&verdict.programs)))
            }
            HookRequest::Xdp { .. }
            | HookRequest::Netkit { .. }
            | HookRequest::Within { .. }
            | HookRequest::Cgroup { .. }
            | HookRequest::Netns { .. }
            | HookRequest::Netfilter(_)
            | HookRequest::Trace(_)
            | HookRequest::StructOps => not_told("the programs of this hook"),
        }
    }

    fn next_link(&self, after: u32) -> io::Result<u32> {
        next(&self.0.links, after)
    }

    fn link_by_id(&self, id: u32) -> io::Result<Handle> {
        if self.0.links.contains_key(&id) { Ok(Handle::Link(id)) } else { errno(libc::ENOENT) }
    }

    fn link_info(&self, link: &Handle) -> io::Result<LinkInfo> {
        let Handle::Link(id) = link else { return errno(libc::EINVAL) };
        let Some(found) = self.0.links.get(id) else { return errno(libc::EINVAL) };
        let state::Link { program_id, hook, is_attached } = found.clone();
        Ok(LinkInfo { id: *id, program_id, hook, is_attached })
    }
}
