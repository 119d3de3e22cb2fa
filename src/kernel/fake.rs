//! A small kernel with state and rules of its own, for tests that need no root and can fail at any call.
//!
//! It never calls the code that it tests: it would agree with our bugs. Each rule is proved against the running kernel by
//! `tests/kernel.rs`. What it does not have (traffic, most of the verifier, sockets) it refuses.

mod direct;
mod events;
mod maps;
mod queues;
mod references;
mod tree;

use super::{
    Entry, EntryKind, Excludes, FilePlace, HookInfo, HookPlace, HookRequest, Interface, Kernel, LinkInfo, LoadError,
    MapInfo, MapRequest, ObjectKind, Occupant, ProgramCode, ProgramInfo, ProgramRequest, Queue, Ran, RunRequest,
    Symbols, XdpMode,
};
use crate::access::{AccountKind, Permissions};
use crate::btf::kernel::Bytes;
use crate::diag::LockHolder;
use crate::direct::{Device as At, Direct, Feature, Qdisc};
use crate::insn::{CALL, EXIT, Insn, PSEUDO_BTF_ID, PSEUDO_CALL, PSEUDO_KFUNC_CALL};
use crate::kinds::{AttachType, MapType, Netfilter, ProgramType};
use crate::names::{Digest, PinPath};
use crate::route::{RouteInfo, RoutePlace};
use crate::spec::{Host, flags};
use crate::variables::Patch;
use maps::{ENOTSUPP, Storage};
use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tree::{Node, Tree};

/// Size of a page in bytes.
const PAGE: u32 = 4096;
/// Number of possible CPUs.
const CPUS: u32 = 2;
/// A jump that is always taken (`BPF_JMP | BPF_JA`), with which a program may end as well.
const JUMP: u8 = 0x05;
/// Most instructions of a program (`BPF_COMPLEXITY_LIMIT_INSNS`).
const MAX_INSNS: usize = 1_000_000;

/// The kernel. Clones are the same kernel, so that a test can look on while another part works with it.
#[derive(Debug, Clone)]
pub struct Fake(Rc<RefCell<State>>);

/// An open descriptor. Dropping it closes it, and frees what nothing else holds.
#[derive(Debug)]
pub struct Fd {
    state: Rc<RefCell<State>>,
    number: i32,
}

impl Drop for Fd {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        state.open.remove(&self.number);
        state.collect();
    }
}

/// A lock on a folder.
#[derive(Debug)]
pub struct Lock {
    state: Rc<RefCell<State>>,
    folder: (String, bool),
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.state.borrow_mut().locks.remove(&self.folder);
    }
}

/// Something with an identity in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Map(u32),
    Program(u32),
    Link(u32),
    Btf(u32),
    Cgroup(u64),
    Netns(u64),
}

/// An open object and what may be done with it.
#[derive(Debug, Clone, Copy)]
struct Open {
    object: Object,
    readable: bool,
    writable: bool,
}

#[derive(Debug)]
struct Map {
    info: MapInfo,
    frozen: bool,
    inner: Option<MapInfo>,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    slots: BTreeMap<Vec<u8>, Object>,
    /// The type of program that a prog array holds and runs in; the first one decides.
    owner: Option<ProgramType>,
}

#[derive(Debug)]
struct Program {
    info: ProgramInfo,
    /// This verifier only puts ids of maps where their descriptors were.
    code: ProgramCode,
    expected_attach_type: AttachType,
    /// The types of its functions, in its BTF.
    functions: Vec<u32>,
}

#[derive(Debug)]
struct Link {
    program: u32,
    /// Its place among those on the same hook: lower ones meet packets first, and of the same ones the older.
    place: i32,
    hook: Option<Hook>,
    /// What stays of the hook when it is gone.
    kind: HookInfo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    Xdp {
        device: Site,
        mode: XdpMode,
    },
    Tcx {
        device: Site,
    },
    Cgroup {
        id: u64,
    },
    Netns {
        inode: u64,
    },
    /// Its place is in [`Link::kind`], which stays when it is detached.
    Netfilter {
        inode: u64,
    },
    /// So is this one's.
    Sockmap,
    /// So is this one's.
    Event,
}

/// An interface: the inode of its network namespace, and its index there.
type Site = (u64, u32);

impl Hook {
    /// Returns the interface that it is on.
    fn device(self) -> Option<Site> {
        match self {
            Self::Xdp { device, .. } | Self::Tcx { device } => Some(device),
            Self::Cgroup { .. } | Self::Netns { .. } | Self::Netfilter { .. } | Self::Sockmap | Self::Event => None,
        }
    }

    /// Returns the network namespace that it is in.
    fn netns(self) -> Option<u64> {
        match self {
            Self::Xdp { device, .. } | Self::Tcx { device } => Some(device.0),
            Self::Netns { inode } | Self::Netfilter { inode } => Some(inode),
            Self::Cgroup { .. } | Self::Sockmap | Self::Event => None,
        }
    }
}

#[derive(Debug)]
struct Device {
    index: u32,
    native: bool,
    /// Names besides its own.
    others: Vec<String>,
}

/// The inode of the network namespace in which we are.
const OWN_NETNS: u64 = 4_026_531_840;

#[derive(Debug, Default)]
struct State {
    tree: Tree,
    open: BTreeMap<i32, Open>,
    maps: BTreeMap<u32, Map>,
    programs: BTreeMap<u32, Program>,
    links: BTreeMap<u32, Link>,
    /// How often the hooks changed that count it.
    revisions: BTreeMap<queues::Counted, u64>,
    direct: direct::Attachments,
    lacks: BTreeSet<Feature>,
    btfs: BTreeMap<u32, Vec<u8>>,
    /// The kernel's own BTF.
    types: Option<Vec<u8>>,
    /// The names of modules, by the ids of their BTF.
    modules: BTreeMap<u32, String>,
    /// The last id of maps, programs, links and BTF: ids only rise.
    last_ids: [u32; 4],
    /// Interfaces by the inode of their network namespace and their name.
    devices: BTreeMap<(u64, String), Device>,
    cgroups: BTreeMap<PathBuf, u64>,
    /// Inodes of network namespaces by their files.
    namespaces: BTreeMap<PathBuf, u64>,
    /// Ids of tracepoints by category and name.
    tracepoints: BTreeMap<(String, String), u64>,
    accounts: BTreeMap<(AccountKind, String), u32>,
    refusals: BTreeMap<String, (i32, String)>,
    /// Locked folders: their paths, and whether a bpffs was mounted on them.
    locks: BTreeSet<(String, bool)>,
    calls: Vec<&'static str>,
    fail: Option<Failure>,
    /// What happens of itself right before a changing call, by its number.
    events: BTreeMap<usize, Event>,
}

/// What others do to the host meanwhile.
struct Event(Box<dyn FnOnce(&Fake)>);

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }
}

/// Which changing calls fail, by their number from 1, and how.
#[derive(Debug, Clone, Copy)]
struct Failure {
    first: usize,
    last: usize,
    errno: i32,
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn refuse<T>(code: i32) -> io::Result<T> {
    Err(errno(code))
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Fake {
    /// Makes a kernel with a bpffs at `/sys/fs/bpf`, the interface `lo` (index 1, no driver mode), a cgroup2 mount at
    /// `/sys/fs/cgroup` with id 1, a network namespace in which we are and the tracepoint `sched/sched_process_exec`.
    pub fn new() -> Self {
        let fake = Self::without_bpffs();
        fake.state().tree.mount("/sys/fs/bpf");
        fake
    }

    /// The same, with an empty folder at `/sys/fs/bpf`.
    pub fn without_bpffs() -> Self {
        let mut state = State::default();
        state.add_device(OWN_NETNS, "lo", false);
        state.cgroups.insert(PathBuf::from("/sys/fs/cgroup"), 1);
        state.namespaces.insert(PathBuf::from("/proc/thread-self/ns/net"), OWN_NETNS);
        state.tracepoints.insert(("sched".to_owned(), "sched_process_exec".to_owned()), 1);
        for kind in [AccountKind::User, AccountKind::Group] {
            state.accounts.insert((kind, "root".to_owned()), 0);
        }
        Self(Rc::new(RefCell::new(state)))
    }

    /// Adds an interface; `native` tells whether its driver has XDP. Returns its index.
    pub fn add_interface(&self, name: &str, native: bool) -> u32 {
        self.state().add_device(OWN_NETNS, name, native)
    }

    /// Adds an interface to the network namespace with this inode. Returns its index, which begins anew in each.
    pub fn add_interface_in(&self, netns: u64, name: &str, native: bool) -> u32 {
        self.state().add_device(netns, name, native)
    }

    /// Gives an interface one more name.
    pub fn add_other_name(&self, name: &str, other: &str) {
        let mut state = self.state();
        let device = state.devices.get_mut(&(OWN_NETNS, name.to_owned()));
        device.expect("the interface is there").others.push(other.to_owned());
    }

    /// Removes an interface. Links on it stay, attached to nothing.
    pub fn remove_interface(&self, name: &str) {
        self.remove_interface_in(OWN_NETNS, name);
    }

    /// The same in the network namespace with this inode.
    pub fn remove_interface_in(&self, netns: u64, name: &str) {
        let mut state = self.state();
        let Some(gone) = state.devices.remove(&(netns, name.to_owned())) else { return };
        state.detach_where(|hook| hook.device() == Some((netns, gone.index)));
        state.forget_revisions(Hook::Tcx { device: (netns, gone.index) });
        if netns == OWN_NETNS {
            state.maps.values_mut().for_each(|map| map.forget_interface(gone.index));
        }
        state.direct.forget_interface((netns, gone.index));
        state.collect();
    }

    /// Adds a cgroup. Returns its id.
    pub fn add_cgroup(&self, path: impl Into<PathBuf>) -> u64 {
        let mut state = self.state();
        let id = state.cgroups.values().max().unwrap_or(&0) + 1;
        state.cgroups.insert(path.into(), id);
        id
    }

    /// Adds a network namespace. Returns its inode.
    pub fn add_netns(&self, path: impl Into<PathBuf>) -> u64 {
        let mut state = self.state();
        let inode = state.namespaces.values().max().unwrap_or(&0) + 1;
        state.namespaces.insert(path.into(), inode);
        state.add_device(inode, "lo", false);
        inode
    }

    /// Removes a network namespace. Links on it stay, attached to nothing.
    pub fn remove_netns(&self, path: &Path) {
        let mut state = self.state();
        let Some(gone) = state.namespaces.remove(path) else { return };
        state.detach_where(|hook| hook == Hook::Netns { inode: gone });
    }

    /// Returns where a path leads: what others do through symbolic links they do there.
    pub fn real(&self, path: &PinPath) -> PinPath {
        self.state().tree.resolved(path).unwrap_or_else(|_| path.clone())
    }

    /// Adds a user or a group.
    pub fn add_account(&self, kind: AccountKind, name: &str, number: u32) {
        self.state().accounts.insert((kind, name.to_owned()), number);
    }

    /// Removes a user or a group. What they own stays theirs by number.
    pub fn remove_account(&self, kind: AccountKind, name: &str) {
        self.state().accounts.remove(&(kind, name.to_owned()));
    }

    /// Puts a link before all others on its hook, as `BPF_F_BEFORE` does without a neighbour.
    pub fn put_first(&self, link: &Fd) {
        let mut state = self.state();
        let first = state.links.values().map(|link| link.place).min().unwrap_or(0);
        let Ok(id) = state.link_id(link) else { return };
        state.links.entry(id).and_modify(|link| link.place = first - 1);
        state.count_change(id);
    }

    /// Gives the kernel BTF of its own.
    pub fn set_types(&self, btf: Vec<u8>) {
        self.state().types = Some(btf);
    }

    /// Loads a module with BTF, which builds on the kernel's own. Returns the id of it.
    pub fn add_module(&self, name: &str, btf: Vec<u8>) -> u32 {
        let mut state = self.state();
        let id = state.next_id(3);
        state.btfs.insert(id, btf);
        state.modules.insert(id, name.to_owned());
        id
    }

    /// Unloads a module.
    pub fn remove_module(&self, name: &str) {
        let mut state = self.state();
        state.modules.retain(|_, known| known != name);
        state.collect();
    }

    /// Removes a cgroup. Links on it stay, attached to nothing.
    pub fn remove_cgroup(&self, path: &Path) {
        let mut state = self.state();
        let Some(gone) = state.cgroups.remove(path) else { return };
        state.detach_where(|hook| hook == Hook::Cgroup { id: gone });
        state.forget_revisions(Hook::Cgroup { id: gone });
        state.direct.forget_cgroup(gone);
        state.collect();
    }

    /// Lets this kernel be one that lacks something.
    pub fn lack(&self, feature: Feature) {
        self.state().lacks.insert(feature);
    }

    /// Lets the verifier refuse every program of this kernel name.
    pub fn refuse_program(&self, name: &str, errno: i32, log: &str) {
        self.state().refusals.insert(name.to_owned(), (errno, log.to_owned()));
    }

    /// Lets the `n`th changing call from now on (1 is the next) fail with `errno` and do nothing.
    pub fn fail_nth(&self, n: usize, errno: i32) {
        let mut state = self.state();
        let number = state.calls.len() + n;
        state.fail = Some(Failure { first: number, last: number, errno });
    }

    /// Lets the `n`th changing call from now on (1 is the next) and all after it fail, until [`Fake::heal`].
    pub fn fail_from(&self, n: usize, errno: i32) {
        let mut state = self.state();
        state.fail = Some(Failure { first: state.calls.len() + n, last: usize::MAX, errno });
    }

    /// Lets something happen right before the `n`th changing call from now on (1 is the next), as others would do it. What
    /// it changes is no call of ours, and never fails.
    pub fn before_nth(&self, n: usize, event: impl FnOnce(&Fake) + 'static) {
        let mut state = self.state();
        let number = state.calls.len() + n;
        state.events.insert(number, Event(Box::new(event)));
    }

    /// Lets no call fail any more.
    pub fn heal(&self) {
        self.state().fail = None;
    }

    /// Returns the changing calls so far, failed ones too, by the names of their methods.
    pub fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    /// Writes everything that outlives a process, sorted: mounts, folders, pins, objects with contents, attachments.
    ///
    /// Two texts are equal when two states are, whatever happened in between; the last ids do not count.
    pub fn dump(&self) -> String {
        let state = self.state();
        let mut out = String::new();
        for at in state.tree.mounts() {
            writeln!(out, "bpffs on {at}").expect("writing to a String never fails");
        }
        for (path, node) in state.tree.entries() {
            writeln!(out, "{path} {node:?}").expect("writing to a String never fails");
        }
        for (path, permissions) in state.tree.shared() {
            writeln!(out, "{path} {permissions:?}").expect("writing to a String never fails");
        }
        for map in state.maps.values() {
            writeln!(out, "{map:?}").expect("writing to a String never fails");
        }
        for program in state.programs.values() {
            writeln!(out, "{program:?}").expect("writing to a String never fails");
        }
        for (id, Link { program, hook, kind, place: _ }) in &state.links {
            let rank = state.rank(*id);
            writeln!(out, "link {id} of program {program} at {hook:?} {kind:?}, {rank:?} there")
                .expect("writing to a String never fails");
        }
        for line in state.direct.lines() {
            writeln!(out, "{line}").expect("writing to a String never fails");
        }
        writeln!(out, "btf {:?}", state.btfs.keys()).expect("writing to a String never fails");
        out
    }

    /// Tells whether no map, program, link and BTF is left.
    pub fn is_idle(&self) -> bool {
        let state = self.state();
        let only_modules = state.btfs.keys().all(|id| state.modules.contains_key(id));
        state.maps.is_empty() && state.programs.is_empty() && state.links.is_empty() && only_modules
    }

    fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    /// Counts a changing call, and fails it when a test wants it to.
    fn change(&self, call: &'static str) -> io::Result<RefMut<'_, State>> {
        let next = self.state().calls.len() + 1;
        let event = self.state().events.remove(&next);
        if let Some(Event(event)) = event {
            let fail = self.state().fail.take();
            event(self);
            let mut state = self.state();
            state.calls.truncate(next - 1);
            state.fail = fail;
        }
        let mut state = self.state();
        state.calls.push(call);
        match state.fail {
            Some(failure) if (failure.first..=failure.last).contains(&state.calls.len()) => refuse(failure.errno),
            Some(_) | None => Ok(state),
        }
    }

    /// Opens an object with the lowest free number, above stdio.
    fn open(&self, object: Object) -> Fd {
        self.open_for(object, (true, true))
    }

    fn open_for(&self, object: Object, (readable, writable): (bool, bool)) -> Fd {
        let mut state = self.state();
        let number =
            (3..).find(|number| !state.open.contains_key(number)).expect("there are more numbers than objects");
        state.open.insert(number, Open { object, readable, writable });
        Fd { state: Rc::clone(&self.0), number }
    }
}

impl State {
    fn next_id(&mut self, kind: usize) -> u32 {
        self.last_ids[kind] += 1;
        self.last_ids[kind]
    }

    fn object(&self, fd: &Fd) -> io::Result<Object> {
        self.open.get(&fd.number).map(|open| open.object).ok_or_else(|| errno(libc::EBADF))
    }

    fn map_id(&self, fd: &Fd) -> io::Result<u32> {
        match self.object(fd)? {
            Object::Map(id) => Ok(id),
            Object::Program(_) | Object::Link(_) | Object::Btf(_) | Object::Cgroup(_) | Object::Netns(_) => {
                refuse(libc::EINVAL)
            }
        }
    }

    fn program_id(&self, fd: &Fd) -> io::Result<u32> {
        match self.object(fd)? {
            Object::Program(id) => Ok(id),
            Object::Map(_) | Object::Link(_) | Object::Btf(_) | Object::Cgroup(_) | Object::Netns(_) => {
                refuse(libc::EINVAL)
            }
        }
    }

    fn link_id(&self, fd: &Fd) -> io::Result<u32> {
        match self.object(fd)? {
            Object::Link(id) => Ok(id),
            Object::Map(_) | Object::Program(_) | Object::Btf(_) | Object::Cgroup(_) | Object::Netns(_) => {
                refuse(libc::EINVAL)
            }
        }
    }

    /// Returns a map that the descriptor may write, and that is not frozen.
    fn writable(&mut self, fd: &Fd) -> io::Result<&mut Map> {
        let id = self.map_id(fd)?;
        let map = self.maps.get_mut(&id).expect("an open map lives");
        match map.frozen || !self.open[&fd.number].writable {
            true => refuse(libc::EPERM),
            false => Ok(map),
        }
    }

    fn readable(&self, fd: &Fd) -> io::Result<&Map> {
        let id = self.map_id(fd)?;
        match self.open[&fd.number].readable {
            true => Ok(&self.maps[&id]),
            false => refuse(libc::EPERM),
        }
    }

    fn detach_where(&mut self, gone: impl Fn(Hook) -> bool) {
        for link in self.links.values_mut() {
            if link.hook.is_some_and(&gone) {
                link.hook = None;
            }
        }
    }

    /// Frees everything that no descriptor and no pin reaches; links among it are detached by that.
    fn collect(&mut self) {
        let roots: BTreeSet<Object> = self
            .open
            .values()
            .map(|open| open.object)
            .chain(self.tree.entries().filter_map(|(_, node)| node.object()))
            .chain(self.modules.keys().map(|id| Object::Btf(*id)))
            .chain(self.direct.programs().map(Object::Program))
            .collect();
        for (id, map) in &mut self.maps {
            // `prog_array_map_clear`: programs that run do not keep the slots, or a circle would never be freed.
            if map.info.map_type == MapType::PROG_ARRAY && !roots.contains(&Object::Map(*id)) {
                map.slots.clear();
            }
        }
        let mut reached = BTreeSet::new();
        let mut next: Vec<_> = roots.into_iter().collect();
        while let Some(object) = next.pop() {
            if reached.insert(object) {
                next.extend(self.holds(object));
            }
        }
        self.maps.retain(|id, _| reached.contains(&Object::Map(*id)));
        self.programs.retain(|id, _| reached.contains(&Object::Program(*id)));
        let gone: Vec<u32> = self.links.keys().copied().filter(|id| !reached.contains(&Object::Link(*id))).collect();
        gone.into_iter().for_each(|id| self.remove_link(id));
        self.btfs.retain(|id, _| reached.contains(&Object::Btf(*id)));
    }

    /// Returns what an object keeps alive.
    fn holds(&self, object: Object) -> Vec<Object> {
        match object {
            Object::Map(id) => {
                let map = &self.maps[&id];
                let programs = map.programs().map(Object::Program);
                map.slots.values().copied().chain(programs).chain(btf_object(map.info.btf_id)).collect()
            }
            Object::Program(id) => {
                let info = &self.programs[&id].info;
                info.map_ids.iter().map(|id| Object::Map(*id)).chain(btf_object(info.btf_id)).collect()
            }
            Object::Link(id) => {
                let link = &self.links[&id];
                let map = link.hook.and_then(|_| link.kind.map()).map(Object::Map);
                map.into_iter().chain([Object::Program(link.program)]).collect()
            }
            Object::Btf(_) | Object::Cgroup(_) | Object::Netns(_) => Vec::new(),
        }
    }

    /// Returns the maps that the instructions name, by first use; `EBADF` and `EINVAL` as the verifier has it.
    fn maps_of(&self, insns: &[Insn]) -> io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        for insn in insns.iter().filter(|insn| insn.is_ld_imm64() && matches!(insn.regs.src(), 1 | 2)) {
            let open = self.open.get(&insn.imm).ok_or_else(|| errno(libc::EBADF))?;
            let Object::Map(id) = open.object else { return refuse(libc::EINVAL) };
            let info = &self.maps[&id].info;
            // Only an array of one entry has an address to give (`array_map_direct_value_addr`).
            if insn.regs.src() == 2 && (info.map_type != MapType::ARRAY || info.max_entries != 1) {
                return refuse(libc::EINVAL);
            }
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Returns a program's code as the kernel tells it: maps by their ids, and the distance of a call in `off`.
    fn rewritten(&self, request: &ProgramRequest<'_, Fd>) -> ProgramCode {
        let mut insns = request.insns.to_vec();
        for insn in &mut insns {
            if insn.is_ld_imm64()
                && matches!(insn.regs.src(), 1 | 2)
                && let Some(Object::Map(id)) = self.open.get(&insn.imm).map(|open| open.object)
            {
                insn.imm = id.cast_signed();
            }
            if insn.code == CALL && insn.regs.src() == PSEUDO_CALL {
                (insn.off, insn.imm) = (insn.imm as i16, 0);
            }
        }
        let gpl = request.license == "GPL";
        ProgramCode { insns, funcs: request.funcs.to_vec(), lines: request.lines.to_vec(), gpl }
    }

    /// Decides, or checks, which type of program a prog array is for.
    fn own(&mut self, map: u32, program_type: ProgramType) -> io::Result<()> {
        let map = self.maps.get_mut(&map).expect("the caller has it open");
        if map.info.map_type != MapType::PROG_ARRAY {
            return Ok(());
        }
        match *map.owner.get_or_insert(program_type) == program_type {
            true => Ok(()),
            false => refuse(libc::EINVAL),
        }
    }

    /// Checks a hook for a program, as `link_create` (kernel/bpf/syscall.c) and what it calls do.
    fn hook(&self, program: u32, hook: &HookRequest<'_, Fd>, here: u64) -> io::Result<(Hook, HookInfo)> {
        let number = program;
        let program = &self.programs[&program];
        let fits = |program_type| program.info.program_type == program_type;
        match hook {
            HookRequest::Xdp { ifindex, mode } => {
                if !fits(ProgramType::XDP) {
                    return refuse(libc::EINVAL);
                }
                let device = (here, *ifindex);
                if self.lacks.contains(&Feature::XdpLinks) {
                    return refuse(libc::EINVAL);
                }
                let mode = self.xdp_mode(device, *mode)?;
                match self.direct.xdp(device).next() {
                    Some((there, _)) if there == mode => return refuse(libc::EBUSY),
                    Some(_) => return refuse(libc::EEXIST),
                    None => {}
                }
                Ok((Hook::Xdp { device, mode }, HookInfo::Xdp { ifindex: *ifindex }))
            }
            HookRequest::Tcx { ifindex, attach_type } => {
                if self.lacks.contains(&Feature::Tcx)
                    || !fits(ProgramType::SCHED_CLS)
                    || !matches!(*attach_type, AttachType::TCX_INGRESS | AttachType::TCX_EGRESS)
                {
                    return refuse(libc::EINVAL);
                }
                let device = (here, *ifindex);
                self.device(device).ok_or_else(|| errno(libc::ENODEV))?;
                Ok((Hook::Tcx { device }, HookInfo::Tcx { ifindex: *ifindex, attach_type: *attach_type }))
            }
            // As on the kernel that this one is like, which was built without netkit.
            HookRequest::Netkit { .. } => refuse(libc::EINVAL),
            HookRequest::Within { netns, hook } => self.hook(number, hook, self.netns(netns)?),
            HookRequest::Cgroup { cgroup, attach_type } => {
                if self.lacks.contains(&Feature::CgroupLinks) || !fits_cgroup(program, *attach_type) {
                    return refuse(libc::EINVAL);
                }
                let Object::Cgroup(id) = self.object(cgroup)? else { return refuse(libc::EBADF) };
                Ok((Hook::Cgroup { id }, HookInfo::Cgroup { cgroup_id: id, attach_type: *attach_type }))
            }
            HookRequest::Netns { netns, attach_type } => self.netns_hook(program, netns, *attach_type),
            HookRequest::Netfilter(wanted) => self.netfilter_hook(program, *wanted, here),
            // There is no struct to be had here; the kernel says so of a program in its place.
            HookRequest::StructOps => refuse(libc::EINVAL),
            HookRequest::Sockmap { map, attach_type } => self.sockmap_hook(program, map, *attach_type),
            HookRequest::Trace(request) => self.event_hook(program, request),
        }
    }

    /// A network namespace has many socket lookups and one flow dissector (`netns_bpf_max_progs`).
    fn netns_hook(&self, program: &Program, netns: &Fd, attach_type: AttachType) -> io::Result<(Hook, HookInfo)> {
        let most = match (program.info.program_type, attach_type) {
            (ProgramType::SK_LOOKUP, AttachType::SK_LOOKUP) => 64,
            (ProgramType::FLOW_DISSECTOR, AttachType::FLOW_DISSECTOR) => 1,
            _ => return refuse(libc::EINVAL),
        };
        let inode = self.netns(netns)?;
        let at = HookInfo::Netns { inode, attach_type };
        match self.links.values().filter(|link| link.hook.is_some() && link.kind == at).count() < most {
            true => Ok((Hook::Netns { inode }, at)),
            false => refuse(libc::E2BIG),
        }
    }

    /// One BPF program has a priority (`nf_hook_entries_grow`); the outermost ones are taken (`bpf_nf_link_attach`).
    fn netfilter_hook(&self, program: &Program, wanted: Netfilter, inode: u64) -> io::Result<(Hook, HookInfo)> {
        if program.info.program_type != ProgramType::NETFILTER {
            return refuse(libc::EINVAL);
        }
        if [i32::MIN, i32::MAX].contains(&wanted.priority) || wanted.defrag && wanted.priority <= -400 {
            return refuse(libc::ERANGE);
        }
        let clashes = |there: &Netfilter| {
            (there.family, there.point, there.priority) == (wanted.family, wanted.point, wanted.priority)
        };
        let taken = self.links.values().any(|link| match &link.kind {
            HookInfo::Netfilter(there) => link.hook.and_then(Hook::netns) == Some(inode) && clashes(there),
            HookInfo::Xdp { .. }
            | HookInfo::Tcx { .. }
            | HookInfo::Netkit { .. }
            | HookInfo::Cgroup { .. }
            | HookInfo::Netns { .. }
            | HookInfo::Sockmap { .. }
            | HookInfo::Event(_)
            | HookInfo::StructOps { .. }
            | HookInfo::Direct(_)
            | HookInfo::Other(_) => false,
        });
        if taken { refuse(libc::EBUSY) } else { Ok((Hook::Netfilter { inode }, HookInfo::Netfilter(wanted))) }
    }

    /// A map of sockets has one program of each kind, and one of the two verdicts on data (`sock_map_prog_update`).
    fn sockmap_hook(&self, program: &Program, map: &Fd, attach_type: AttachType) -> io::Result<(Hook, HookInfo)> {
        let takes = match attach_type {
            AttachType::SK_MSG_VERDICT => ProgramType::SK_MSG,
            _ => ProgramType::SK_SKB,
        };
        let map_id = self.sockmap(map)?;
        if program.info.program_type != takes || !AttachType::OF_SOCKMAPS.contains(&attach_type) {
            return refuse(libc::EINVAL);
        }
        let wanted = HookInfo::Sockmap { map_id, attach_type };
        let taken = self.links.values().any(|link| link.hook.is_some() && link.kind == wanted);
        match taken || self.has_the_other_verdict(&wanted) {
            true => refuse(libc::EBUSY),
            false => Ok((Hook::Sockmap, wanted)),
        }
    }

    /// Returns whether a map of sockets has a program for data already, which another kind of verdict would rule out
    /// (`sock_map_prog_lookup`).
    fn has_the_other_verdict(&self, wanted: &HookInfo) -> bool {
        let HookInfo::Sockmap { map_id, attach_type } = wanted else { return false };
        let other = match *attach_type {
            AttachType::SK_SKB_VERDICT => AttachType::SK_SKB_STREAM_VERDICT,
            AttachType::SK_SKB_STREAM_VERDICT => AttachType::SK_SKB_VERDICT,
            _ => return false,
        };
        let other = HookInfo::Sockmap { map_id: *map_id, attach_type: other };
        self.links.values().any(|link| link.hook.is_some() && link.kind == other)
    }

    /// Returns the id of a map of sockets.
    fn sockmap(&self, map: &Fd) -> io::Result<u32> {
        let id = self.map_id(map)?;
        match self.maps[&id].info.map_type {
            MapType::SOCKMAP | MapType::SOCKHASH => Ok(id),
            _ => refuse(libc::EINVAL),
        }
    }

    fn device(&self, (netns, ifindex): Site) -> Option<&Device> {
        let there = self.devices.iter().filter(|((inode, _), _)| *inode == netns);
        there.map(|(_, device)| device).find(|device| device.index == ifindex)
    }

    fn add_device(&mut self, netns: u64, name: &str, native: bool) -> u32 {
        let there = self.devices.iter().filter(|((inode, _), _)| *inode == netns);
        let index = there.map(|(_, device)| device.index).max().unwrap_or(0) + 1;
        self.devices.insert((netns, name.to_owned()), Device { index, native, others: Vec::new() });
        index
    }

    /// Returns where an interface is; `ENODEV` when its network namespace is gone.
    fn site(&self, device: &At) -> io::Result<Site> {
        let own = device.netns.is_own().then_some(OWN_NETNS);
        let found = own.or_else(|| self.namespaces.get(&device.netns.path()).copied().filter(|it| *it == device.inode));
        found.map(|inode| (inode, device.ifindex)).ok_or_else(|| errno(libc::ENODEV))
    }

    /// Returns the inode of an open network namespace.
    fn netns(&self, fd: &Fd) -> io::Result<u64> {
        match self.object(fd)? {
            Object::Netns(inode) => Ok(inode),
            Object::Map(_) | Object::Program(_) | Object::Link(_) | Object::Btf(_) | Object::Cgroup(_) => {
                refuse(libc::EINVAL)
            }
        }
    }

    fn interface(&self, netns: u64, name: &str) -> Option<Interface> {
        let mut there = self.devices.iter().filter(|((inode, _), _)| *inode == netns);
        let (_, device) = there.find(|((_, own), device)| own == name || device.others.iter().any(|it| it == name))?;
        let xdp = self.xdp_of((netns, device.index));
        Some(Interface { netns, index: device.index, peer: None, xdp })
    }

    /// Returns the XDP programs of an interface by mode.
    fn xdp_of(&self, site: Site) -> Vec<(XdpMode, u32)> {
        let links = self.links.values().filter_map(|link| match link.hook {
            Some(Hook::Xdp { device, mode }) if device == site => Some((mode, link.program)),
            Some(_) | None => None,
        });
        let mut there: Vec<_> = links.chain(self.direct.xdp(site)).collect();
        there.sort();
        there
    }

    /// Decides the mode of a new XDP link; an interface has one link, and never two modes of software.
    fn xdp_mode(&self, site: Site, wanted: XdpMode) -> io::Result<XdpMode> {
        let device = self.device(site).ok_or_else(|| errno(libc::EINVAL))?;
        let mode = match wanted {
            XdpMode::Auto if device.native => XdpMode::Native,
            XdpMode::Auto | XdpMode::Generic => XdpMode::Generic,
            XdpMode::Native if device.native => XdpMode::Native,
            XdpMode::Native => return refuse(libc::EOPNOTSUPP),
            XdpMode::Offload => return refuse(libc::EINVAL),
        };
        let there = self.links.values().find_map(|link| match link.hook {
            Some(Hook::Xdp { device, mode }) if device == site => Some(mode),
            Some(_) | None => None,
        });
        match there {
            None => Ok(mode),
            Some(there) if there == mode => refuse(libc::EBUSY),
            Some(_) => refuse(libc::EEXIST),
        }
    }
}

fn btf_object(id: u32) -> Option<Object> {
    (id != 0).then_some(Object::Btf(id))
}

/// Tells whether a program may run at a cgroup's hook (`bpf_prog_attach_check_attach_type`).
fn fits_cgroup(program: &Program, attach_type: AttachType) -> bool {
    match program.info.program_type {
        ProgramType::CGROUP_SKB => {
            matches!(attach_type, AttachType::CGROUP_INET_INGRESS | AttachType::CGROUP_INET_EGRESS)
        }
        ProgramType::SOCK_OPS => attach_type == AttachType::CGROUP_SOCK_OPS,
        ProgramType::CGROUP_DEVICE => attach_type == AttachType::CGROUP_DEVICE,
        ProgramType::CGROUP_SYSCTL => attach_type == AttachType::CGROUP_SYSCTL,
        ProgramType::CGROUP_SOCK | ProgramType::CGROUP_SOCK_ADDR | ProgramType::CGROUP_SOCKOPT => {
            attach_type == program.expected_attach_type
        }
        _ => false,
    }
}

/// Refuses a name with a character that the kernel does not have in names (`bpf_obj_name_cpy`).
fn check_name(name: &str) -> io::Result<()> {
    match name.len() <= 15 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) {
        true => Ok(()),
        false => refuse(libc::EINVAL),
    }
}

/// Returns the length of a value as user space sees it.
fn value_len(info: &MapInfo) -> usize {
    match maps::is_per_cpu(info.map_type) {
        true => info.value_size.next_multiple_of(8) as usize * CPUS as usize,
        false => info.value_size as usize,
    }
}

fn check_len(actual: usize, expected: usize) -> io::Result<()> {
    if actual == expected { Ok(()) } else { refuse(libc::EINVAL) }
}

/// Returns the key behind one; the first when that is none, or is not there.
fn behind<T>(entries: &BTreeMap<Vec<u8>, T>, key: Option<&[u8]>) -> Option<Vec<u8>> {
    match key.filter(|key| entries.contains_key(*key)) {
        Some(key) => {
            entries.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded)).next().map(|(key, _)| key.clone())
        }
        None => entries.keys().next().cloned(),
    }
}

impl Map {
    fn storage(&self) -> Storage {
        maps::storage(self.info.map_type).expect("a map was created, so its type is known")
    }

    /// Returns the index that a key of an array means, when it is one of its own.
    fn index(&self, key: &[u8]) -> Option<u32> {
        let index = u32::from_ne_bytes(key.try_into().ok()?);
        (index < self.info.max_entries).then_some(index)
    }

    fn lookup(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(match self.storage() {
            Storage::Array if self.index(key).is_none() => None,
            Storage::Array => Some(self.values.get(key).cloned().unwrap_or_else(|| vec![0; value_len(&self.info)])),
            Storage::Hash | Storage::Lru | Storage::References | Storage::ReferencesByKey => {
                self.values.get(key).cloned()
            }
            Storage::Slots if self.info.map_type == MapType::CGROUP_ARRAY => return refuse(ENOTSUPP),
            Storage::Slots | Storage::SlotsByKey => match self.slots.get(key) {
                Some(Object::Map(id) | Object::Program(id)) => Some(id.to_ne_bytes().to_vec()),
                Some(Object::Link(_) | Object::Btf(_) | Object::Cgroup(_) | Object::Netns(_)) | None => None,
            },
            Storage::Other => return refuse(ENOTSUPP),
        })
    }

    fn update(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let full = self.values.len() >= self.info.max_entries as usize && !self.values.contains_key(key);
        match self.storage() {
            Storage::Array | Storage::References if self.index(key).is_none() => return refuse(libc::E2BIG),
            Storage::ReferencesByKey if full => return refuse(libc::E2BIG),
            Storage::References | Storage::ReferencesByKey => {}
            Storage::Hash if full && self.info.map_type == MapType::LPM_TRIE => return refuse(libc::ENOSPC),
            Storage::Hash if full => return refuse(libc::E2BIG),
            Storage::Lru if full => drop(self.values.pop_first()),
            Storage::Array | Storage::Hash | Storage::Lru => {}
            // The value is the number of a descriptor; `update_slot` has it as such.
            Storage::Slots | Storage::SlotsByKey => return refuse(libc::EBADF),
            Storage::Other => return refuse(ENOTSUPP),
        }
        match self.storage() {
            // As it was when nobody had written it yet.
            Storage::Array if value.iter().all(|byte| *byte == 0) => drop(self.values.remove(key)),
            _ => drop(self.values.insert(key.to_vec(), value.to_vec())),
        }
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> io::Result<bool> {
        match self.storage() {
            Storage::Array => refuse(libc::EINVAL),
            Storage::Hash | Storage::Lru | Storage::ReferencesByKey => Ok(self.values.remove(key).is_some()),
            Storage::References if self.index(key).is_none() => refuse(libc::EINVAL),
            Storage::References => {
                self.values.remove(key);
                Ok(true)
            }
            // An array of maps or programs empties a slot that is empty already; a hash says that there is none.
            Storage::Slots if self.index(key).is_none() => refuse(libc::E2BIG),
            Storage::Slots | Storage::SlotsByKey => Ok(self.slots.remove(key).is_some()),
            Storage::Other => refuse(ENOTSUPP),
        }
    }

    fn next_key(&self, key: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
        match self.storage() {
            Storage::Array | Storage::Slots | Storage::References => {
                let next = key.and_then(|key| self.index(key)).map_or(0, |index| index + 1);
                Ok((next < self.info.max_entries).then(|| next.to_ne_bytes().to_vec()))
            }
            Storage::Hash | Storage::Lru | Storage::ReferencesByKey => Ok(behind(&self.values, key)),
            Storage::SlotsByKey => Ok(behind(&self.slots, key)),
            Storage::Other => refuse(ENOTSUPP),
        }
    }

    /// Tells whether a map may stand in a slot of this one (`bpf_map_meta_equal`, and its like for arrays).
    fn takes(&self, other: &MapInfo) -> bool {
        self.inner.as_ref().is_some_and(|inner| {
            let shape = |info: &MapInfo| (info.map_type, info.key_size, info.value_size, info.flags);
            shape(inner) == shape(other)
                && (maps::takes_any_size(inner.map_type, inner.flags) || inner.max_entries == other.max_entries)
        })
    }
}

impl Kernel for Fake {
    type Fd = Fd;
    type Lock = Lock;

    fn uptime(&self) -> u64 {
        0
    }

    fn number(&self, fd: &Fd) -> i32 {
        fd.number
    }

    fn host(&self) -> io::Result<Host> {
        Ok(Host { possible_cpus: CPUS, most_cpus: CPUS, page_size: PAGE })
    }

    fn is_bpffs(&self, path: &PinPath) -> io::Result<bool> {
        let state = self.state();
        state.tree.get(path)?;
        Ok(state.tree.is_bpffs(path))
    }

    fn lock(&self, folder: &PinPath) -> io::Result<Option<Lock>> {
        let mut state = self.state();
        let Node::Folder = state.tree.get(folder)? else { return refuse(libc::ENOTDIR) };
        let folder = (folder.as_str().to_owned(), state.tree.mounts().any(|mount| mount == folder.as_str()));
        let is_free = state.locks.insert(folder.clone());
        Ok(is_free.then(|| Lock { state: Rc::clone(&self.0), folder }))
    }

    fn lock_holder(&self, folder: &PinPath) -> io::Result<Option<LockHolder>> {
        let state = self.state();
        let is_held = state.locks.iter().any(|(held, _)| held == folder.as_str());
        // Everybody is this process.
        Ok(is_held.then(|| LockHolder { pid: 1, seconds: Some(0), command: "test".to_owned() }))
    }

    fn mount_bpffs(&mut self, at: &PinPath) -> io::Result<()> {
        let mut state = self.change("mount_bpffs")?;
        match state.tree.get(at)? {
            // Nobody locks the new root: here is no process that could end to give it back.
            Node::Folder => state.tree.mount(at.as_str()),
            Node::Pin(_) | Node::Symlink(_) => return refuse(libc::ENOTDIR),
        }
        Ok(())
    }

    fn unmount_bpffs(&mut self, at: &PinPath) -> io::Result<()> {
        match self.change("unmount_bpffs")?.tree.unmount(at.as_str()) {
            true => Ok(()),
            false => refuse(libc::EINVAL),
        }
    }

    fn list(&self, directory: &PinPath) -> io::Result<Vec<Entry>> {
        self.state().tree.list(directory)
    }

    fn make_directory(&mut self, path: &PinPath) -> io::Result<()> {
        self.change("make_directory")?.tree.add(path, Node::Folder)
    }

    fn remove_directory(&mut self, path: &PinPath) -> io::Result<()> {
        self.change("remove_directory")?.tree.remove_folder(path)
    }

    fn unpin(&mut self, path: &PinPath) -> io::Result<()> {
        let mut state = self.change("unpin")?;
        state.tree.remove_pin(path)?;
        state.collect();
        Ok(())
    }

    fn hard_link(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        self.change("hard_link")?.tree.hard_link(from, to)
    }

    fn symlink(&mut self, target: &str, at: &PinPath) -> io::Result<()> {
        self.change("symlink")?.tree.add(at, Node::Symlink(target.to_owned()))
    }

    fn read_symlink(&self, at: &PinPath) -> io::Result<String> {
        self.state().tree.read_symlink(at)
    }

    fn permissions(&self, pin: &PinPath) -> io::Result<Permissions> {
        self.state().tree.permissions(pin)
    }

    fn change_mode(&mut self, pin: &PinPath, mode: u32) -> io::Result<()> {
        self.change("change_mode")?.tree.change(pin, |permissions| permissions.mode = mode)
    }

    fn change_owner(&mut self, pin: &PinPath, owner: u32, group: u32) -> io::Result<()> {
        let mut state = self.change("change_owner")?;
        state.tree.change(pin, |permissions| (permissions.owner, permissions.group) = (owner, group))
    }

    fn account(&self, kind: AccountKind, name: &str) -> io::Result<Option<u32>> {
        Ok(self.state().accounts.get(&(kind, name.to_owned())).copied())
    }

    fn rename(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        let mut state = self.change("rename")?;
        state.tree.rename(from, to)?;
        state.collect();
        Ok(())
    }

    fn rename_new(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        let mut state = self.change("rename_new")?;
        match state.tree.get(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => state.tree.rename(from, to),
            Err(error) => Err(error),
            Ok(_) => refuse(libc::EEXIST),
        }
    }

    fn open_pin(&self, path: &PinPath) -> io::Result<(ObjectKind, Fd)> {
        let node = self.state().tree.get(path)?;
        let Node::Pin(object) = node else { return refuse(libc::EACCES) };
        let kind = match object {
            Object::Map(_) => ObjectKind::Map,
            Object::Program(_) => ObjectKind::Program,
            Object::Link(_) => ObjectKind::Link,
            Object::Btf(_) | Object::Cgroup(_) | Object::Netns(_) => return refuse(libc::EINVAL),
        };
        Ok((kind, self.open(object)))
    }

    fn pin(&mut self, fd: &Fd, path: &PinPath) -> io::Result<()> {
        let mut state = self.change("pin")?;
        match state.object(fd)? {
            object @ (Object::Map(_) | Object::Program(_) | Object::Link(_)) => state.tree.pin(path, object),
            Object::Btf(_) | Object::Cgroup(_) | Object::Netns(_) => refuse(libc::EINVAL),
        }
    }

    fn create_map(&mut self, request: &MapRequest<'_, Fd>) -> io::Result<Fd> {
        let mut state = self.change("create_map")?;
        check_name(request.name)?;
        if request.map_extra != 0 && request.map_type != MapType::BLOOM_FILTER {
            return refuse(libc::EINVAL);
        }
        maps::check(request).map_err(errno)?;
        let inner = match request.map_type {
            MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => {
                let id = state.map_id(request.inner.ok_or_else(|| errno(libc::EINVAL))?)?;
                let map = &state.maps[&id];
                if map.inner.is_some() {
                    return refuse(libc::EINVAL);
                }
                if map.info.map_type == MapType::PROG_ARRAY {
                    return refuse(ENOTSUPP);
                }
                Some(map.info.clone())
            }
            _ => None,
        };
        let (btf_id, key_type_id, value_type_id) = match request.types {
            None => (0, 0, 0),
            Some((fd, key, value)) => match state.object(fd)? {
                Object::Btf(_) if maps::refuses_btf(request.map_type) => return refuse(ENOTSUPP),
                Object::Btf(id) => (id, key, value),
                Object::Map(_) | Object::Program(_) | Object::Link(_) | Object::Cgroup(_) | Object::Netns(_) => {
                    return refuse(libc::EINVAL);
                }
            },
        };
        let id = state.next_id(0);
        let (flags, max_entries) = maps::reported(request.map_type, request.flags, request.max_entries, CPUS);
        let info = MapInfo {
            id,
            map_type: request.map_type,
            key_size: request.key_size,
            value_size: request.value_size,
            max_entries,
            flags,
            map_extra: request.map_extra,
            name: request.name.to_owned(),
            btf_id,
            key_type_id,
            value_type_id,
        };
        let (values, slots) = (BTreeMap::new(), BTreeMap::new());
        state.maps.insert(id, Map { info, frozen: false, inner, values, slots, owner: None });
        drop(state);
        Ok(self.open_for(Object::Map(id), maps::access(request.flags)))
    }

    fn map_by_id(&self, id: u32) -> io::Result<Fd> {
        let exists = self.state().maps.contains_key(&id);
        if exists { Ok(self.open(Object::Map(id))) } else { refuse(libc::ENOENT) }
    }

    fn map_info(&self, map: &Fd) -> io::Result<MapInfo> {
        let state = self.state();
        Ok(state.maps[&state.map_id(map)?].info.clone())
    }

    fn is_frozen(&self, map: &Fd) -> io::Result<bool> {
        let state = self.state();
        Ok(state.maps[&state.map_id(map)?].frozen)
    }

    fn lookup(&self, map: &Fd, key: &[u8], length: usize) -> io::Result<Option<Vec<u8>>> {
        let state = self.state();
        let map = state.readable(map)?;
        check_len(key.len(), map.info.key_size as usize)?;
        check_len(length, value_len(&map.info))?;
        map.lookup(key)
    }

    fn next_key(&self, map: &Fd, key: Option<&[u8]>, key_len: usize) -> io::Result<Option<Vec<u8>>> {
        let state = self.state();
        let map = state.readable(map)?;
        check_len(key.map_or(key_len, <[u8]>::len), map.info.key_size as usize)?;
        check_len(key_len, map.info.key_size as usize)?;
        map.next_key(key)
    }

    fn update(&mut self, map: &Fd, key: &[u8], value: &[u8]) -> io::Result<()> {
        let mut state = self.change("update")?;
        let found = state.writable(map)?;
        check_len(key.len(), found.info.key_size as usize)?;
        check_len(value.len(), value_len(&found.info))?;
        if !matches!(found.storage(), Storage::References | Storage::ReferencesByKey) {
            return found.update(key, value);
        }
        let map_type = found.info.map_type;
        let value = state.referred(map_type, value)?;
        state.writable(map)?.update(key, &value)?;
        state.collect();
        Ok(())
    }

    fn write_part(&mut self, map: &Fd, part: &Patch) -> io::Result<()> {
        let mut state = self.change("write_part")?;
        let map = state.writable(map)?;
        let is_mmapable = map.info.map_type == MapType::ARRAY && map.info.flags & flags::MMAPABLE != 0;
        if !is_mmapable || part.range().end > map.info.value_size as usize {
            return refuse(libc::EINVAL);
        }
        let mut value = map.lookup(&[0; 4])?.unwrap_or_default();
        for (at, mask, bits) in part.bytes() {
            value[at] = value[at] & !mask | bits;
        }
        map.update(&[0; 4], &value)
    }

    fn add(&mut self, map: &Fd, key: &[u8], value: &[u8]) -> io::Result<bool> {
        let mut state = self.change("add")?;
        let map = state.writable(map)?;
        check_len(key.len(), map.info.key_size as usize)?;
        check_len(value.len(), value_len(&map.info))?;
        let is_there = map.lookup(key)?.is_some();
        if is_there { Ok(false) } else { map.update(key, value).map(|()| true) }
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }

    fn delete(&mut self, map: &Fd, key: &[u8]) -> io::Result<bool> {
        let mut state = self.change("delete")?;
        let map = state.writable(map)?;
        check_len(key.len(), map.info.key_size as usize)?;
        map.delete(key)
    }

    fn update_slot(&mut self, map: &Fd, slot: &[u8], target: &Fd) -> io::Result<()> {
        let mut state = self.change("update_slot")?;
        let (id, target) = (state.map_id(map)?, state.object(target)?);
        state.writable(map)?;
        let map = &state.maps[&id];
        check_len(slot.len(), map.info.key_size as usize)?;
        match (map.storage(), target) {
            (Storage::Slots, _) if map.index(slot).is_none() => return refuse(libc::E2BIG),
            (Storage::SlotsByKey, _)
                if map.slots.len() >= map.info.max_entries as usize && !map.slots.contains_key(slot) =>
            {
                return refuse(libc::E2BIG);
            }
            (Storage::Slots, Object::Program(program)) if map.info.map_type == MapType::PROG_ARRAY => {
                let program_type = state.programs[&program].info.program_type;
                state.own(id, program_type)?;
            }
            (Storage::Slots, Object::Cgroup(_)) if map.info.map_type == MapType::CGROUP_ARRAY => {}
            (Storage::Slots | Storage::SlotsByKey, Object::Map(inner)) if map.takes(&state.maps[&inner].info) => {}
            _ => return refuse(libc::EINVAL),
        }
        state.maps.get_mut(&id).expect("an open map lives").slots.insert(slot.to_vec(), target);
        state.collect();
        Ok(())
    }

    /// There are no arenas here.
    fn write_arena(&mut self, _map: &Fd, _address: u64, _size: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(errno(libc::EINVAL))
    }

    fn freeze(&mut self, map: &Fd) -> io::Result<()> {
        self.change("freeze")?.writable(map)?.frozen = true;
        Ok(())
    }

    fn load_btf(&mut self, btf: &[u8]) -> Result<Fd, LoadError> {
        let silent = |error| LoadError { error, log: String::new() };
        let mut state = self.change("load_btf").map_err(silent)?;
        if btf.len() < 24 || btf[..2] != 0xeb9f_u16.to_ne_bytes() {
            return Err(LoadError { error: errno(libc::EINVAL), log: "Invalid magic".to_owned() });
        }
        let id = state.next_id(3);
        state.btfs.insert(id, btf.to_vec());
        drop(state);
        Ok(self.open(Object::Btf(id)))
    }

    fn btf(&self, id: u32) -> io::Result<Vec<u8>> {
        self.state().btfs.get(&id).cloned().ok_or_else(|| errno(libc::ENOENT))
    }

    fn next_program(&self, after: u32) -> io::Result<u32> {
        self.state().programs.keys().copied().find(|id| *id > after).ok_or_else(|| errno(libc::ENOENT))
    }

    fn next_btf(&self, after: u32) -> io::Result<u32> {
        self.state().btfs.keys().copied().find(|id| *id > after).ok_or_else(|| errno(libc::ENOENT))
    }

    fn btf_by_id(&self, id: u32) -> io::Result<Fd> {
        let exists = self.state().btfs.contains_key(&id);
        if exists { Ok(self.open(Object::Btf(id))) } else { refuse(libc::ENOENT) }
    }

    fn module_name(&self, btf: &Fd) -> io::Result<Option<String>> {
        let state = self.state();
        match state.object(btf)? {
            Object::Btf(id) => Ok(state.modules.get(&id).cloned()),
            Object::Map(_) | Object::Program(_) | Object::Link(_) | Object::Cgroup(_) | Object::Netns(_) => {
                refuse(libc::EINVAL)
            }
        }
    }

    fn types(&self) -> io::Result<Bytes> {
        let types = self.state().types.clone().ok_or_else(|| errno(libc::ENOENT))?;
        Ok(Box::new(types))
    }

    fn config(&self) -> io::Result<String> {
        refuse(libc::ENOENT)
    }

    fn symbols(&self, _: &BTreeSet<String>) -> io::Result<Symbols> {
        Ok(Symbols::new())
    }

    fn symbols_at(&self, _: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, String>> {
        Ok(BTreeMap::new())
    }

    fn version(&self) -> io::Result<u32> {
        Ok(6 << 16 | 18 << 8)
    }

    fn load_program(&mut self, request: &ProgramRequest<'_, Fd>) -> Result<Fd, LoadError> {
        let silent = |error| LoadError { error, log: String::new() };
        let mut state = self.change("load_program").map_err(silent)?;
        let id = state.load(request)?;
        drop(state);
        Ok(self.open(Object::Program(id)))
    }

    /// A map that the program has already is no error (`bpf_prog_bind_map`, kernel/bpf/syscall.c).
    fn bind_map(&mut self, program: &Fd, map: &Fd) -> io::Result<()> {
        let mut state = self.change("bind_map")?;
        let (program, map) = (state.program_id(program)?, state.map_id(map)?);
        let held = &mut state.programs.get_mut(&program).expect("an open program lives").info.map_ids;
        if !held.contains(&map) {
            held.push(map);
        }
        Ok(())
    }

    fn program_by_id(&self, id: u32) -> io::Result<Fd> {
        let exists = self.state().programs.contains_key(&id);
        if exists { Ok(self.open(Object::Program(id))) } else { refuse(libc::ENOENT) }
    }

    fn program_info(&self, program: &Fd) -> io::Result<ProgramInfo> {
        let state = self.state();
        Ok(state.programs[&state.program_id(program)?].info.clone())
    }

    fn program_code(&self, program: &Fd) -> io::Result<ProgramCode> {
        let state = self.state();
        Ok(state.programs[&state.program_id(program)?].code.clone())
    }

    /// It runs no instructions.
    fn test_run(&mut self, program: &Fd, _: &RunRequest<'_>) -> io::Result<Ran> {
        self.state().program_id(program)?;
        Err(errno(ENOTSUPP))
    }

    fn interface(&self, name: &str) -> io::Result<Option<Interface>> {
        Ok(self.state().interface(OWN_NETNS, name))
    }

    fn interface_in(&self, netns: &Fd, name: &str) -> io::Result<Option<Interface>> {
        let state = self.state();
        Ok(state.interface(state.netns(netns)?, name))
    }

    fn interfaces_in(&self, netns: &Fd) -> io::Result<Vec<String>> {
        let state = self.state();
        let netns = state.netns(netns)?;
        let there = state.devices.keys().filter(|(inode, _)| *inode == netns);
        Ok(there.map(|(_, name)| name.clone()).collect())
    }

    fn other_names(&self, netns: &Fd, name: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        let mut others = state.devices.get(&(state.netns(netns)?, name.to_owned())).map(|found| found.others.clone());
        others.iter_mut().for_each(|names| names.sort());
        Ok(others.unwrap_or_default())
    }

    fn interface_name(&self, index: u32) -> io::Result<Option<String>> {
        let state = self.state();
        let mut there = state.devices.iter().filter(|((inode, _), _)| *inode == OWN_NETNS);
        Ok(there.find(|(_, device)| device.index == index).map(|((_, name), _)| name.clone()))
    }

    fn cgroup_mount(&self) -> io::Result<Option<PathBuf>> {
        Ok(Some(PathBuf::from("/sys/fs/cgroup")))
    }

    fn open_cgroup(&self, path: &Path) -> io::Result<(Fd, u64)> {
        let id = *self.state().cgroups.get(path).ok_or_else(|| errno(libc::ENOENT))?;
        Ok((self.open(Object::Cgroup(id)), id))
    }

    fn cgroups_in(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.state().cgroups.keys().filter(|cgroup| cgroup.parent() == Some(path)).cloned().collect())
    }

    fn named_netns(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        let named = state.namespaces.keys().filter_map(|path| path.strip_prefix("/run/netns").ok());
        Ok(named.map(|name| name.display().to_string()).collect())
    }

    fn open_netns(&self, path: &Path) -> io::Result<(Fd, u64)> {
        let inode = *self.state().namespaces.get(path).ok_or_else(|| errno(libc::ENOENT))?;
        Ok((self.open(Object::Netns(inode)), inode))
    }

    fn tracepoint(&self, category: &str, name: &str) -> io::Result<u64> {
        let wanted = (category.to_owned(), name.to_owned());
        self.state().tracepoints.get(&wanted).copied().ok_or_else(|| errno(libc::ENOENT))
    }

    fn place_in_file(&self, _: &str, _: Option<&str>) -> io::Result<FilePlace> {
        refuse(libc::ENOENT)
    }

    fn security_modules(&self) -> io::Result<String> {
        refuse(libc::ENOENT)
    }

    fn has_event_source(&self, _: &str) -> io::Result<bool> {
        Ok(true)
    }

    fn has(&self, feature: Feature) -> io::Result<bool> {
        Ok(!self.state().lacks.contains(&feature))
    }

    fn qdisc(&self, device: &At) -> io::Result<Option<Qdisc>> {
        let state = self.state();
        Ok(state.direct.qdisc(state.site(device)?))
    }

    fn make_clsact(&mut self, device: &At) -> io::Result<()> {
        let mut state = self.change("make_clsact")?;
        let site = state.site(device)?;
        state.device(site).ok_or_else(|| errno(libc::ENODEV))?;
        state.direct.make_clsact(site);
        Ok(())
    }

    fn remove_clsact(&mut self, device: &At) -> io::Result<()> {
        let mut state = self.change("remove_clsact")?;
        let site = state.site(device)?;
        state.direct.remove_clsact(site)?;
        state.collect();
        Ok(())
    }

    fn routes(&self, device: &At, place: &RoutePlace) -> io::Result<Vec<RouteInfo>> {
        Ok(self.state().direct.routes(device, place))
    }

    fn programs_at(&self, at: &Direct) -> io::Result<Vec<u32>> {
        Ok(self.state().programs_at(at))
    }

    fn attach(&mut self, program: &Fd, at: &Direct, replaces: Option<&Fd>) -> io::Result<()> {
        let mut state = self.change("attach")?;
        let (program, old) = (state.program_id(program)?, replaces.map(|old| state.program_id(old)).transpose()?);
        state.attach(program, at, old)
    }

    fn detach(&mut self, program: &Fd, at: &Direct) -> io::Result<()> {
        let mut state = self.change("detach")?;
        let program = state.program_id(program)?;
        state.detach(program, at)
    }

    fn excludes(&self, _: &Fd, _: AttachType) -> io::Result<Excludes> {
        // Nobody attaches programs to its cgroups without letting others be beside them.
        Ok(Excludes::Nothing)
    }

    fn create_link_at(&mut self, program: &Fd, hook: &HookRequest<'_, Fd>, place: HookPlace) -> io::Result<Fd> {
        let mut state = self.change("create_link")?;
        let program = state.program_id(program)?;
        let (hook, kind) = state.hook(program, hook, OWN_NETNS)?;
        let index = state.index_for(program, (hook, &kind), place)?;
        let id = state.next_id(2);
        state.links.insert(id, Link { program, place: 0, hook: Some(hook), kind });
        state.put_at(id, index);
        state.count_change(id);
        drop(state);
        Ok(self.open(Object::Link(id)))
    }

    fn update_link(&mut self, link: &Fd, program: &Fd, old: &Fd) -> io::Result<()> {
        let mut state = self.change("update_link")?;
        let (id, new, old) = (state.link_id(link)?, state.program_id(program)?, state.program_id(old)?);
        let link = &state.links[&id];
        let is_of_sockets = matches!(link.kind, HookInfo::Sockmap { .. });
        if matches!(link.kind, HookInfo::Netfilter(_)) {
            return refuse(libc::EOPNOTSUPP);
        }
        if events::is_fixed(&link.kind) {
            return refuse(libc::EINVAL);
        }
        if link.hook.is_none() {
            return refuse(libc::ENOLINK);
        }
        if link.program != old {
            return refuse(libc::EPERM);
        }
        let [new_one, old_one] = [&state.programs[&new], &state.programs[&old]];
        if new_one.info.program_type != old_one.info.program_type
            || is_of_sockets && new_one.expected_attach_type != old_one.expected_attach_type
        {
            return refuse(libc::EINVAL);
        }
        let Link { hook, kind, .. } = &state.links[&id];
        if new != old && hook.is_some_and(|hook| state.has_already(new, hook, kind)) {
            return refuse(libc::EEXIST);
        }
        state.links.get_mut(&id).expect("it was there a moment ago").program = new;
        state.count_change(id);
        state.collect();
        Ok(())
    }

    fn detach_link(&mut self, link: &Fd) -> io::Result<()> {
        let mut state = self.change("detach_link")?;
        let id = state.link_id(link)?;
        if events::is_fixed(&state.links[&id].kind) {
            return refuse(libc::EOPNOTSUPP);
        }
        state.count_leaving(id);
        state.links.get_mut(&id).expect("it was there a moment ago").hook = None;
        state.collect();
        Ok(())
    }

    fn queue(&self, hook: &HookRequest<'_, Fd>) -> io::Result<Queue> {
        let state = self.state();
        let (hook, kind) = state.asked(hook, OWN_NETNS)?;
        if state.has_the_other_verdict(&kind) {
            return refuse(libc::EBUSY);
        }
        state.queue(hook, &kind)
    }

    fn next_link(&self, after: u32) -> io::Result<u32> {
        self.state().links.keys().copied().find(|id| *id > after).ok_or_else(|| errno(libc::ENOENT))
    }

    fn link_by_id(&self, id: u32) -> io::Result<Fd> {
        let exists = self.state().links.contains_key(&id);
        if exists { Ok(self.open(Object::Link(id))) } else { refuse(libc::ENOENT) }
    }

    fn link_info(&self, link: &Fd) -> io::Result<LinkInfo> {
        let state = self.state();
        let id = state.link_id(link)?;
        let link = &state.links[&id];
        let hook = match (&link.kind, link.hook) {
            (kind, Some(_)) => kind.clone(),
            (HookInfo::Xdp { .. }, None) => HookInfo::Xdp { ifindex: 0 },
            (HookInfo::Tcx { attach_type, .. }, None) => HookInfo::Tcx { ifindex: 0, attach_type: *attach_type },
            (HookInfo::Netkit { attach_type, .. }, None) => HookInfo::Netkit { ifindex: 0, attach_type: *attach_type },
            (HookInfo::Cgroup { attach_type, .. }, None) => {
                HookInfo::Cgroup { cgroup_id: 0, attach_type: *attach_type }
            }
            (HookInfo::Netns { attach_type, .. }, None) => HookInfo::Netns { inode: 0, attach_type: *attach_type },
            (HookInfo::Netfilter(there), None) => HookInfo::Netfilter(*there),
            (HookInfo::Sockmap { attach_type, .. }, None) => HookInfo::Sockmap { map_id: 0, attach_type: *attach_type },
            (HookInfo::Event(there), None) => HookInfo::Event(there.clone()),
            (HookInfo::StructOps { .. }, None) => HookInfo::StructOps { map_id: 0 },
            (HookInfo::Other(kind), None) => HookInfo::Other(*kind),
            (HookInfo::Direct(at), None) => HookInfo::Direct(at.clone()),
        };
        let is_attached = hook.is_attached();
        Ok(LinkInfo { id, program_id: link.program, hook, is_attached })
    }
}

impl State {
    /// Returns the hook that a query is about.
    fn asked(&self, hook: &HookRequest<'_, Fd>, here: u64) -> io::Result<(Hook, HookInfo)> {
        match hook {
            HookRequest::Xdp { .. }
            | HookRequest::Netfilter(_)
            | HookRequest::Netkit { .. }
            | HookRequest::StructOps
            | HookRequest::Trace(_) => refuse(libc::EINVAL),
            HookRequest::Tcx { ifindex, attach_type } => {
                let device = (here, *ifindex);
                self.device(device).ok_or_else(|| errno(libc::ENODEV))?;
                Ok((Hook::Tcx { device }, HookInfo::Tcx { ifindex: *ifindex, attach_type: *attach_type }))
            }
            HookRequest::Cgroup { cgroup, attach_type } => match self.object(cgroup)? {
                Object::Cgroup(id) => {
                    Ok((Hook::Cgroup { id }, HookInfo::Cgroup { cgroup_id: id, attach_type: *attach_type }))
                }
                Object::Map(_) | Object::Program(_) | Object::Link(_) | Object::Btf(_) | Object::Netns(_) => {
                    refuse(libc::EBADF)
                }
            },
            HookRequest::Netns { netns, attach_type } => {
                let inode = self.netns(netns)?;
                Ok((Hook::Netns { inode }, HookInfo::Netns { inode, attach_type: *attach_type }))
            }
            HookRequest::Sockmap { map, attach_type } => {
                let kind = HookInfo::Sockmap { map_id: self.sockmap(map)?, attach_type: *attach_type };
                Ok((Hook::Sockmap, kind))
            }
            HookRequest::Within { netns, hook } => self.asked(hook, self.netns(netns)?),
        }
    }

    /// Checks a program and keeps it. Returns its id.
    fn load(&mut self, request: &ProgramRequest<'_, Fd>) -> Result<u32, LoadError> {
        let refused = |code, log: &str| Err(LoadError { error: errno(code), log: log.to_owned() });
        let silent = |error| LoadError { error, log: String::new() };
        check_name(request.name).map_err(silent)?;
        if request.insns.is_empty() || request.insns.len() > MAX_INSNS {
            return refused(libc::E2BIG, "");
        }
        if request.program_type == ProgramType::UNSPEC || request.program_type > ProgramType::NETFILTER {
            return refused(libc::EINVAL, "");
        }
        if let Some((code, log)) = self.refusals.get(request.name) {
            return refused(*code, log);
        }
        let map_ids = self
            .maps_of(request.insns)
            .map_err(|error| LoadError { error, log: "fd is not pointing to valid bpf_map\n".to_owned() })?;
        if request.insns.last().is_none_or(|insn| insn.code != EXIT && insn.code != JUMP) {
            return refused(libc::EINVAL, "last insn is not an exit or jmp\n");
        }
        let btf_id = match request.btf.map(|fd| self.object(fd)).transpose().map_err(silent)? {
            None => 0,
            // `check_btf_info`: BTF that no record refers to is dropped.
            Some(Object::Btf(_)) if request.funcs.is_empty() && request.lines.is_empty() => 0,
            Some(Object::Btf(id)) => id,
            Some(Object::Map(_) | Object::Program(_) | Object::Link(_) | Object::Cgroup(_) | Object::Netns(_)) => {
                return refused(libc::EINVAL, "");
            }
        };
        self.check_modules(request)?;
        self.check_target(request)?;
        for map in &map_ids {
            self.own(*map, request.program_type).map_err(silent)?;
        }
        let id = self.next_id(1);
        let info = ProgramInfo {
            id,
            program_type: request.program_type,
            tag: tag(request.insns),
            name: request.name.to_owned(),
            map_ids,
            btf_id,
            load_time: u64::from(id),
            verified_insns: u32::try_from(request.insns.len()).unwrap_or(u32::MAX),
        };
        let functions = request.funcs.iter().map(|func| func.type_id).collect();
        let code = self.rewritten(request);
        self.programs.insert(id, Program { info, code, expected_attach_type: request.expected_attach_type, functions });
        Ok(id)
    }
}

impl State {
    /// Returns the module whose BTF a descriptor is of.
    fn module(&self, number: i32) -> Option<&str> {
        match self.open.get(&number)?.object {
            Object::Btf(id) => self.modules.get(&id).map(String::as_str),
            Object::Map(_) | Object::Program(_) | Object::Link(_) | Object::Cgroup(_) | Object::Netns(_) => None,
        }
    }

    /// Functions and variables of modules are named by a descriptor of the module's BTF (`find_kfunc_desc_btf` and
    /// `check_pseudo_btf_id`, kernel/bpf/verifier.c).
    fn check_modules(&self, request: &ProgramRequest<'_, Fd>) -> Result<(), LoadError> {
        let refused = |code, log: &str| Err(LoadError { error: errno(code), log: log.to_owned() });
        for (at, insn) in request.insns.iter().enumerate() {
            if insn.code == CALL && insn.regs.src() == PSEUDO_KFUNC_CALL && insn.off != 0 {
                if request.fd_array.is_empty() {
                    return refused(libc::EPROTO, "kfunc offset > 0 without fd_array is invalid\n");
                }
                let number = usize::try_from(insn.off).ok().and_then(|at| request.fd_array.get(at));
                if number.and_then(|number| self.module(*number)).is_none() {
                    return refused(libc::EINVAL, "BTF fd for kfunc is not a module BTF\n");
                }
            }
            if insn.is_ld_imm64() && insn.regs.src() == PSEUDO_BTF_ID {
                let number = request.insns.get(at + 1).map_or(0, |second| second.imm);
                if number != 0 && self.module(number).is_none() {
                    return refused(libc::EINVAL, "invalid module BTF object FD specified.\n");
                }
            }
        }
        Ok(())
    }

    /// What an extension replaces must be a function of the other program, and that no extension itself
    /// (`bpf_check_attach_target`, kernel/bpf/verifier.c). Programs of other types, but for tracing, have no such target.
    fn check_target(&self, request: &ProgramRequest<'_, Fd>) -> Result<(), LoadError> {
        let refused = |log: &str| Err(LoadError { error: errno(libc::EINVAL), log: log.to_owned() });
        let target = match request.attach_to {
            Some(fd) if self.module(fd.number).is_some() && request.program_type != ProgramType::EXT => return Ok(()),
            Some(_) if ![ProgramType::EXT, ProgramType::TRACING].contains(&request.program_type) => return refused(""),
            Some(fd) => self.program_id(fd).map_err(|error| LoadError { error, log: String::new() })?,
            None if request.program_type == ProgramType::EXT => return refused(""),
            None => return Ok(()),
        };
        let target = &self.programs[&target];
        if request.attach_btf_id == 0 {
            return refused("Tracing programs must provide btf_id\n");
        }
        if !target.functions.contains(&request.attach_btf_id) {
            return refused(&format!("attach_btf_id {} is invalid\n", request.attach_btf_id));
        }
        match (target.info.program_type, request.program_type) {
            (ProgramType::EXT, ProgramType::EXT) => refused("Cannot recursively attach\n"),
            _ => Ok(()),
        }
    }
}

/// Digests instructions, but for the maps in them, as 6.18 does.
fn tag(insns: &[Insn]) -> [u8; 8] {
    let mut bytes = Vec::new();
    let mut second = false;
    for insn in insns {
        let first = insn.is_ld_imm64() && matches!(insn.regs.src(), 1 | 2);
        let imm = if first || second { 0 } else { insn.imm };
        bytes.extend(Insn { imm, ..*insn }.encode());
        second = first;
    }
    let hex = Digest::of(&bytes).to_string();
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("a digest is hexadecimal"))
}
