//! The boundary to the kernel: one method for one command. A method does, it never decides.
//!
//! Reading methods take `&self` and writing methods `&mut self`, so that a dry run, which only has `&impl Kernel`,
//! cannot change anything.

pub mod codes;
pub mod contents;
pub mod drift;
pub mod entries;
pub(crate) mod events;
pub mod export;
pub mod facts;
pub mod fake;
pub mod found;
pub mod linux;
pub mod lock;
mod many;
mod netlink;
pub mod observe;
mod places;
pub mod recorded;
mod routes;
pub mod shown;
pub mod sites;
pub mod snapshot;
pub mod status;
pub mod strangers;
mod sys;
mod trace;
mod traffic;

pub use sys::one_heap;
pub use trace::{EventRequest, TraceRequest};

use crate::access::{AccountKind, Permissions};
use crate::btf::kernel::Bytes;
use crate::diag::LockHolder;
use crate::direct::{Device, Direct, Feature, Qdisc};
use crate::entries::Entries;
use crate::insn::{FuncRecord, Insn, LineRecord};
pub use crate::kinds::XdpMode;
use crate::kinds::{AttachType, MapType, Netfilter, ProgramType};
use crate::names::PinPath;
pub use crate::observed::{
    Entry, EntryKind, EventInfo, FilePlace, HookInfo, Interface, LinkInfo, MapInfo, Occupant, ProgramCode, ProgramInfo,
    Queue,
};
use crate::route::{RouteInfo, RoutePlace};
use crate::spec::Host;
use crate::variables::Patch;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// What a pin, or a descriptor, stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A map.
    Map,
    /// A program.
    Program,
    /// A link.
    Link,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Map => "map",
            Self::Program => "program",
            Self::Link => "link",
        })
    }
}

/// The error of a change on whose way is a symbolic link, in the place of a folder: somebody else may have put it there.
#[derive(Debug)]
pub struct SymlinkInTheWay(pub PinPath);

impl fmt::Display for SymlinkInTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is a symbolic link where a folder has to be", self.0)
    }
}

impl std::error::Error for SymlinkInTheWay {}

impl From<SymlinkInTheWay> for io::Error {
    fn from(error: SymlinkInTheWay) -> Self {
        Self::other(error)
    }
}

impl SymlinkInTheWay {
    /// Returns where it is, when that is what an error says.
    pub fn of(error: &io::Error) -> Option<&PinPath> {
        error.get_ref()?.downcast_ref().map(|Self(path)| path)
    }
}

/// What `BPF_MAP_CREATE` is asked for.
#[derive(Debug)]
#[allow(missing_docs, reason = "the kernel's own names")]
pub struct MapRequest<'a, Fd> {
    /// At most 15 bytes of letters, digits, `_` and `.`.
    pub name: &'a str,
    pub map_type: MapType,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub numa_node: u32,
    pub map_extra: u64,
    /// The template of a map of maps.
    pub inner: Option<&'a Fd>,
    /// BTF with the ids of the key's and the value's type.
    pub types: Option<(&'a Fd, u32, u32)>,
    /// The value's type in the BTF of the kernel or a module, for a struct of functions; 0 for none.
    pub kernel_type: u32,
    /// The BTF of the module that has this type.
    pub module: Option<&'a Fd>,
}

/// What `BPF_PROG_LOAD` is asked for.
#[derive(Debug)]
#[allow(missing_docs, reason = "the kernel's own names")]
pub struct ProgramRequest<'a, Fd> {
    /// At most 15 bytes of letters, digits, `_` and `.`.
    pub name: &'a str,
    pub program_type: ProgramType,
    pub expected_attach_type: AttachType,
    pub flags: u32,
    pub insns: &'a [Insn],
    pub license: &'a str,
    pub kernel_version: u32,
    /// The type in the kernel's BTF, or in that of `attach_to`, that the program is for; 0 for none.
    pub attach_btf_id: u32,
    /// The program of which an extension replaces a function, or the BTF of the module that has the type.
    pub attach_to: Option<&'a Fd>,
    /// The numbers of the descriptors that instructions count: those of the BTF of modules, from the second on.
    pub fd_array: &'a [i32],
    pub btf: Option<&'a Fd>,
    pub funcs: &'a [FuncRecord],
    pub lines: &'a [LineRecord],
}

impl<'a, Fd> MapRequest<'a, Fd> {
    /// Asks for a map without flags and types; the sizes are those of a key and of a value, and the most entries.
    pub fn plain(name: &'a str, map_type: MapType, (key_size, value_size, max_entries): (u32, u32, u32)) -> Self {
        Self {
            name,
            map_type,
            key_size,
            value_size,
            max_entries,
            flags: 0,
            numa_node: 0,
            map_extra: 0,
            inner: None,
            types: None,
            kernel_type: 0,
            module: None,
        }
    }
}

impl<'a, Fd> ProgramRequest<'a, Fd> {
    /// Asks for a program under the GPL, without BTF.
    pub fn plain(name: &'a str, program_type: ProgramType, insns: &'a [Insn]) -> Self {
        Self {
            name,
            program_type,
            expected_attach_type: AttachType(0),
            flags: 0,
            insns,
            license: "GPL",
            kernel_version: 0,
            attach_btf_id: 0,
            attach_to: None,
            fd_array: &[],
            btf: None,
            funcs: &[],
            lines: &[],
        }
    }
}

/// What `BPF_PROG_TEST_RUN` is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RunRequest<'a> {
    /// The packet; `None` for programs that get none.
    pub packet: Option<&'a [u8]>,
    /// The start of the program type's context, in the layout of `linux/bpf.h`; empty for none.
    pub context: &'a [u8],
    /// How many bytes of the context to read afterwards; 0 for types whose context does not come back.
    pub context_len: usize,
    /// How often the program runs in one call; 0 for types that run once and take no number.
    pub repeat: u32,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What the program returned.
    pub verdict: u32,
    /// The packet as the program left it; what flow dissectors found out in its place.
    pub packet: Vec<u8>,
    /// The context as the program left it.
    pub context: Vec<u8>,
    /// Nanoseconds that one run took on average, as the kernel measures it.
    pub nanoseconds: u32,
}

/// The verifier's or the kernel's refusal of a program.
#[derive(Debug)]
pub struct LoadError {
    /// The error of the system call.
    pub error: io::Error,
    /// The verifier's whole log; empty when the verifier never ran.
    pub log: String,
}

/// Where `BPF_LINK_CREATE` attaches a program.
#[derive(Debug)]
pub enum HookRequest<'a, Fd> {
    /// An XDP hook.
    Xdp {
        /// Index of the interface.
        ifindex: u32,
        /// Mode.
        mode: XdpMode,
    },
    /// A tcx hook, behind the programs that are there.
    Tcx {
        /// Index of the interface.
        ifindex: u32,
        /// `tcx_ingress` or `tcx_egress`.
        attach_type: AttachType,
    },
    /// A cgroup hook, behind the programs that are there.
    Cgroup {
        /// The open cgroup folder.
        cgroup: &'a Fd,
        /// Which of the cgroup's hooks.
        attach_type: AttachType,
    },
    /// A hook of a network namespace, behind the programs that are there.
    Netns {
        /// The open namespace.
        netns: &'a Fd,
        /// `sk_lookup` or `flow_dissector`.
        attach_type: AttachType,
    },
    /// A hook of netfilter of the network namespace of the calling thread.
    Netfilter(Netfilter),
    /// A netkit hook, behind the programs that are there.
    Netkit {
        /// Index of the primary end, whichever end's hook it is.
        ifindex: u32,
        /// `netkit_primary` or `netkit_peer`.
        attach_type: AttachType,
    },
    /// A hook of another network namespace than that of the calling thread, in which the indexes of interfaces count.
    Within {
        /// The open namespace.
        netns: &'a Fd,
        /// The hook there.
        hook: &'a HookRequest<'a, Fd>,
    },
    /// A map of sockets.
    Sockmap {
        /// The open map.
        map: &'a Fd,
        /// `sk_msg_verdict`, `sk_skb_stream_parser`, `sk_skb_stream_verdict` or `sk_skb_verdict`.
        attach_type: AttachType,
    },
    /// An event.
    Trace(TraceRequest<'a, Fd>),
    /// What the kernel calls a struct of functions for. In the place of the program is the map that holds the struct.
    StructOps,
}

/// Which other programs those of a cgroup's hook keep away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excludes {
    /// None.
    Nothing,
    /// Those of the same cgroup: it was attached with `BPF_F_ALLOW_OVERRIDE`.
    Beside,
    /// Those below it as well: it was attached with no flag.
    Below,
}

/// Where a new link goes among those that share its hook, and what the hook has to be before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookPlace {
    /// Where; only tcx and, since Linux 6.17, cgroups know anything but [`Position::Any`].
    pub position: Position,
    /// The revision that the hook must have; 0 for any. Ignored where hooks count none: in cgroups before Linux 6.17.
    pub revision: u64,
}

/// A position among the programs of a hook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Position {
    /// Behind all others, as far as nobody asks for more.
    #[default]
    Any,
    /// Before all others.
    First,
    /// Behind all others.
    Last,
    /// Right before this one.
    Before(Beside),
    /// Right behind this one.
    After(Beside),
}

/// Another one on the same hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The link of this id.
    Link(u32),
    /// The program of this id. Cgroups do not know it: there a link is only beside links (`get_prog_list`,
    /// kernel/bpf/cgroup.c).
    Program(u32),
}

/// Addresses of the kernel's symbols by name; local ones may share a name.
pub type Symbols = BTreeMap<String, BTreeSet<u64>>;

/// What takes keys and as many values, one behind the other, and breaks when it has enough.
pub type TakeEntries<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// The commands that we use. Paths are taken as they are, but nothing is changed through a symbolic link in the place of a
/// folder ([`SymlinkInTheWay`]); all other errors are the kernel's.
pub trait Kernel {
    /// An open map, program, link, BTF, cgroup or network namespace, closed when dropped.
    type Fd: fmt::Debug;
    /// A lock, given back when dropped.
    type Lock: fmt::Debug;

    /// Nanoseconds since boot, as load times count them.
    fn uptime(&self) -> u64;
    /// Tells what decides the shape of maps.
    fn host(&self) -> io::Result<Host>;

    /// Tells whether the folder is on a bpffs; `NotFound` when it does not exist.
    fn is_bpffs(&self, path: &PinPath) -> io::Result<bool>;
    /// Locks what the path of a folder means now against all others who do so (`flock`); `None` when somebody has it.
    fn lock(&self, folder: &PinPath) -> io::Result<Option<Self::Lock>>;
    /// Finds who has the lock of a folder; `None` when nobody has it whom this process can see.
    fn lock_holder(&self, folder: &PinPath) -> io::Result<Option<LockHolder>>;
    /// Mounts a bpffs on the folder. Its root is locked before anybody can see it, until this process ends or takes the
    /// mount away.
    fn mount_bpffs(&mut self, at: &PinPath) -> io::Result<()>;
    /// Takes a mount away again.
    fn unmount_bpffs(&mut self, at: &PinPath) -> io::Result<()>;
    /// Lists what is in a folder, sorted by name; `NotFound` when there is none, `NotADirectory` for a pin.
    fn list(&self, directory: &PinPath) -> io::Result<Vec<Entry>>;
    /// Makes one folder.
    fn make_directory(&mut self, path: &PinPath) -> io::Result<()>;
    /// Removes one empty folder.
    fn remove_directory(&mut self, path: &PinPath) -> io::Result<()>;
    /// Removes a pin or a symbolic link.
    fn unpin(&mut self, path: &PinPath) -> io::Result<()>;
    /// Gives a pin one more name on the same bpffs; it keeps its inode.
    fn hard_link(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()>;
    /// Makes a symbolic link to a name in the same folder.
    fn symlink(&mut self, target: &str, at: &PinPath) -> io::Result<()>;
    /// Returns where a symbolic link leads; `NotFound` when nothing is there, `EINVAL` for anything else.
    fn read_symlink(&self, at: &PinPath) -> io::Result<String>;
    /// Tells who may open a pin (`lstat`); a symbolic link in its place is not followed.
    fn permissions(&self, pin: &PinPath) -> io::Result<Permissions>;
    /// Gives a pin another mode (`chmod`).
    fn change_mode(&mut self, pin: &PinPath, mode: u32) -> io::Result<()>;
    /// Gives a pin to another user and group, by their numbers (`chown`).
    fn change_owner(&mut self, pin: &PinPath, owner: u32, group: u32) -> io::Result<()>;
    /// Finds the number of a user or a group by its name; `None` when the host has none of that name.
    fn account(&self, kind: AccountKind, name: &str) -> io::Result<Option<u32>>;
    /// Renames a pin or a symbolic link over another name, or a folder to a new one, atomically.
    fn rename(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()>;
    /// The same to a name that nothing has: `EEXIST` when something does.
    fn rename_new(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()>;

    /// Returns the number that stands for a descriptor in an instruction.
    fn number(&self, fd: &Self::Fd) -> i32;

    /// Opens a pin and tells what it is (`BPF_OBJ_GET`); `NotFound` when there is none.
    fn open_pin(&self, path: &PinPath) -> io::Result<(ObjectKind, Self::Fd)>;
    /// Pins a map, program or link (`BPF_OBJ_PIN`).
    fn pin(&mut self, fd: &Self::Fd, path: &PinPath) -> io::Result<()>;

    /// `BPF_MAP_CREATE`
    fn create_map(&mut self, request: &MapRequest<'_, Self::Fd>) -> io::Result<Self::Fd>;
    /// `BPF_MAP_GET_FD_BY_ID`; `NotFound` when there is none. Closing the last descriptor of a prog array without a pin
    /// empties it, whoever runs it.
    fn map_by_id(&self, id: u32) -> io::Result<Self::Fd>;
    /// `BPF_OBJ_GET_INFO_BY_FD`
    fn map_info(&self, map: &Self::Fd) -> io::Result<MapInfo>;
    /// Tells whether user space can no longer write the map, which only `/proc/self/fdinfo` says, at ten times the cost
    /// of [`Kernel::map_info`].
    fn is_frozen(&self, map: &Self::Fd) -> io::Result<bool>;
    /// `BPF_MAP_LOOKUP_ELEM`; `value_len` is the whole value, all CPUs of a per-CPU map. `EINVAL` when a length is not
    /// the map's, here and below.
    fn lookup(&self, map: &Self::Fd, key: &[u8], value_len: usize) -> io::Result<Option<Vec<u8>>>;
    /// `BPF_MAP_GET_NEXT_KEY`; `None` asks for the first one.
    fn next_key(&self, map: &Self::Fd, key: Option<&[u8]>, key_len: usize) -> io::Result<Option<Vec<u8>>>;
    /// `BPF_MAP_UPDATE_ELEM` with data.
    fn update(&mut self, map: &Self::Fd, key: &[u8], value: &[u8]) -> io::Result<()>;
    /// `BPF_MAP_UPDATE_ELEM` with `BPF_NOEXIST`; false when the key is there.
    fn add(&mut self, map: &Self::Fd, key: &[u8], value: &[u8]) -> io::Result<bool>;
    /// Waits until every program that ran when it was called has ended.
    fn settle(&self) -> io::Result<()>;
    /// `BPF_MAP_DELETE_ELEM`; false when the key is not there. `EINVAL` for arrays, whose entries always exist.
    fn delete(&mut self, map: &Self::Fd, key: &[u8]) -> io::Result<bool>;
    /// Reads the entries of a map in the kernel's order, many at a time where it can: `each` gets keys and as many values,
    /// one behind the other, until it breaks. `sizes` are those of a key and of a value as user space reads it. A map
    /// that changes meanwhile may show an entry twice or not at all.
    fn read_entries(&self, map: &Self::Fd, sizes: (usize, usize), each: TakeEntries<'_>) -> io::Result<()> {
        many::read_each(self, map, sizes, None, each)
    }
    /// Writes entries, many at a time where the kernel can; with an error comes how many of them were written. These are
    /// the first ones, but for large hashes, which several threads write.
    fn write_entries(&mut self, map: &Self::Fd, entries: &Entries) -> Result<(), (usize, io::Error)> {
        many::write_each(self, map, entries)
    }
    /// Removes the entries of these keys, many at a time where the kernel can, and does not mind those that are gone;
    /// with an error comes how many are gone now, as in [`Kernel::write_entries`].
    fn delete_entries(&mut self, map: &Self::Fd, entries: &Entries) -> Result<(), (usize, io::Error)> {
        many::delete_each(self, map, entries)
    }
    /// Writes some bits of the first value of an array through memory: atomically for each aligned word of eight bytes,
    /// of which all others stay what programs make of them just then. `EINVAL` when the array is not mmapable.
    fn write_part(&mut self, map: &Self::Fd, part: &Patch) -> io::Result<()>;
    /// `BPF_MAP_UPDATE_ELEM` of a map of maps, programs or cgroups.
    fn update_slot(&mut self, map: &Self::Fd, key: &[u8], target: &Self::Fd) -> io::Result<()>;
    /// Maps an arena of `size` bytes into memory, at that address or for 0 where the kernel likes, writes its first bytes,
    /// and lets it go; it keeps the address.
    fn write_arena(&mut self, map: &Self::Fd, address: u64, size: u64, bytes: &[u8]) -> io::Result<()>;
    /// `BPF_MAP_FREEZE`
    fn freeze(&mut self, map: &Self::Fd) -> io::Result<()>;

    /// `BPF_BTF_LOAD`; the error text is the kernel's log.
    fn load_btf(&mut self, btf: &[u8]) -> Result<Self::Fd, LoadError>;
    /// The bytes of a BTF object (`BPF_BTF_GET_FD_BY_ID`, `BPF_OBJ_GET_INFO_BY_FD`).
    fn btf(&self, id: u32) -> io::Result<Vec<u8>>;
    /// Returns the next id of BTF, whatever it is of (`BPF_BTF_GET_NEXT_ID`); `NotFound` behind the last one.
    fn next_btf(&self, after: u32) -> io::Result<u32>;
    /// `BPF_BTF_GET_FD_BY_ID`; `NotFound` when there is none.
    fn btf_by_id(&self, id: u32) -> io::Result<Self::Fd>;
    /// Returns the name of the kernel module that the BTF is of; `None` for the kernel's own and for any that a program
    /// brought (`BPF_OBJ_GET_INFO_BY_FD`).
    fn module_name(&self, btf: &Self::Fd) -> io::Result<Option<String>>;
    /// The bytes of the kernel's own BTF (`/sys/kernel/btf/vmlinux`); `NotFound` when it has none.
    fn types(&self) -> io::Result<Bytes>;

    /// The kernel's configuration as text (`/boot/config-RELEASE`, else `/proc/config.gz`); `NotFound` when there is
    /// none.
    fn config(&self) -> io::Result<String>;
    /// Finds symbols of the kernel by name (`/proc/kallsyms`).
    fn symbols(&self, wanted: &BTreeSet<String>) -> io::Result<Symbols>;
    /// Finds the symbols of the kernel at these addresses, the first one of each (`/proc/kallsyms`).
    fn symbols_at(&self, addresses: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, String>>;
    /// Returns `LINUX_VERSION_CODE`; 0 when the release does not tell.
    fn version(&self) -> io::Result<u32>;

    /// `BPF_PROG_LOAD`; when it fails, once more with a log that grows until it fits.
    fn load_program(&mut self, request: &ProgramRequest<'_, Self::Fd>) -> Result<Self::Fd, LoadError>;
    /// [`Kernel::load_program`] of each, at the same time where that can be; the error is that of the first request
    /// that is refused, with its number, and later ones may not have been tried.
    fn load_programs(
        &mut self,
        requests: &[ProgramRequest<'_, Self::Fd>],
    ) -> Result<Vec<Self::Fd>, (usize, LoadError)> {
        let loaded = requests.iter().enumerate();
        loaded.map(|(number, request)| self.load_program(request).map_err(|refusal| (number, refusal))).collect()
    }
    /// `BPF_PROG_BIND_MAP`: the program holds a map that its code does not name. `EINVAL` before Linux 5.10.
    fn bind_map(&mut self, program: &Self::Fd, map: &Self::Fd) -> io::Result<()>;
    /// Returns the next id of a program, whoever's it is (`BPF_PROG_GET_NEXT_ID`); `NotFound` behind the last one.
    fn next_program(&self, after: u32) -> io::Result<u32>;
    /// `BPF_PROG_GET_FD_BY_ID`; `NotFound` when there is none.
    fn program_by_id(&self, id: u32) -> io::Result<Self::Fd>;
    /// `BPF_OBJ_GET_INFO_BY_FD`
    fn program_info(&self, program: &Self::Fd) -> io::Result<ProgramInfo>;
    /// The same command: what the verifier made of the program's instructions.
    fn program_code(&self, program: &Self::Fd) -> io::Result<ProgramCode>;
    /// `BPF_PROG_TEST_RUN`: the program runs, and what it does to its maps it does to them. Errno 524 (`ENOTSUPP`) for
    /// types of programs that the kernel cannot run so.
    fn test_run(&mut self, program: &Self::Fd, request: &RunRequest<'_>) -> io::Result<Ran>;

    /// Looks an interface up by its name or one of its other names; `None` when there is none.
    fn interface(&self, name: &str) -> io::Result<Option<Interface>>;
    /// The same in an open network namespace.
    fn interface_in(&self, netns: &Self::Fd, name: &str) -> io::Result<Option<Interface>>;
    /// Lists the names of all interfaces of an open network namespace, sorted.
    fn interfaces_in(&self, netns: &Self::Fd) -> io::Result<Vec<String>>;
    /// Lists the alternative names of an interface of an open network namespace, sorted.
    fn other_names(&self, netns: &Self::Fd, name: &str) -> io::Result<Vec<String>>;
    /// Returns the name of the interface with an index; `None` when there is none.
    fn interface_name(&self, index: u32) -> io::Result<Option<String>>;
    /// Returns where the cgroup2 hierarchy is mounted; `None` when it is not.
    fn cgroup_mount(&self) -> io::Result<Option<std::path::PathBuf>>;
    /// Opens a cgroup folder and tells its id; `NotFound` when there is none, `EBADF` when it is in no cgroup2 hierarchy.
    fn open_cgroup(&self, path: &Path) -> io::Result<(Self::Fd, u64)>;
    /// Lists the cgroups right below one, sorted.
    fn cgroups_in(&self, path: &Path) -> io::Result<Vec<std::path::PathBuf>>;
    /// Lists the names of network namespaces (`ip netns`), sorted.
    fn named_netns(&self) -> io::Result<Vec<String>>;
    /// Opens the file of a network namespace and tells the namespace's inode; `NotFound` when there is none, `EINVAL` when
    /// it is anything else.
    fn open_netns(&self, path: &Path) -> io::Result<(Self::Fd, u64)>;

    /// Reads the id of a tracepoint (tracefs); `NotFound` when there is none, `ENODEV` when tracefs is not mounted.
    fn tracepoint(&self, category: &str, name: &str) -> io::Result<u64>;
    /// Finds a file that processes run, and where a function of it starts; `NotFound` when there is no such file, `ENXIO`
    /// when it has no such function, `ENOEXEC` when no functions can be found in it.
    fn place_in_file(&self, binary: &str, symbol: Option<&str>) -> io::Result<FilePlace>;
    /// Lists the security modules that the kernel asks, in their order (`/sys/kernel/security/lsm`); `NotFound` when
    /// securityfs is not mounted.
    fn security_modules(&self) -> io::Result<String>;
    /// Tells whether the kernel has a source of events of `perf_event_open` of this name; where it does not tell which it has,
    /// it may.
    fn has_event_source(&self, name: &str) -> io::Result<bool>;

    /// Tells whether this kernel has something, by a question that changes nothing; it is asked once.
    fn has(&self, feature: Feature) -> io::Result<bool>;
    /// Reads the qdisc for filters of an interface, and its filters; `None` when it has none.
    fn qdisc(&self, device: &Device) -> io::Result<Option<Qdisc>>;
    /// Makes the qdisc clsact on an interface, unless there is one.
    fn make_clsact(&mut self, device: &Device) -> io::Result<()>;
    /// Removes the qdisc clsact, with every filter in it.
    fn remove_clsact(&mut self, device: &Device) -> io::Result<()>;
    /// Reads the routes at a place, in the network namespace of an interface.
    fn routes(&self, device: &Device, place: &RoutePlace) -> io::Result<Vec<RouteInfo>>;
    /// Returns the programs that are attached there: at most one, but for cgroups, where those of links are among them.
    /// None when what it is on is gone.
    fn programs_at(&self, at: &Direct) -> io::Result<Vec<u32>>;
    /// Attaches a program without a link, or puts it at once in the place of the one that has to be there. XDP is `EBUSY`
    /// where there is another one already, and `EEXIST` where another one is to be replaced than is there.
    fn attach(&mut self, program: &Self::Fd, at: &Direct, replaces: Option<&Self::Fd>) -> io::Result<()>;
    /// Detaches a program that was attached without a link.
    fn detach(&mut self, program: &Self::Fd, at: &Direct) -> io::Result<()>;
    /// Returns whether the programs of a cgroup's own hook let no other program be beside them, or below them.
    fn excludes(&self, cgroup: &Self::Fd, attach_type: AttachType) -> io::Result<Excludes>;

    /// `BPF_LINK_CREATE`, `BPF_RAW_TRACEPOINT_OPEN`, behind the programs that are there; `ENODEV` when the kernel has no such
    /// source of events.
    fn create_link(&mut self, program: &Self::Fd, hook: &HookRequest<'_, Self::Fd>) -> io::Result<Self::Fd> {
        self.create_link_at(program, hook, HookPlace::default())
    }
    /// The same at a place among those on the hook: `ESTALE` when the hook has another revision, `NotFound` when its
    /// neighbour is not there, and `EINVAL` where a hook knows no places.
    fn create_link_at(
        &mut self,
        program: &Self::Fd,
        hook: &HookRequest<'_, Self::Fd>,
        place: HookPlace,
    ) -> io::Result<Self::Fd>;
    /// `BPF_LINK_UPDATE` with the old program expected; `EOPNOTSUPP` for a link of netfilter.
    fn update_link(&mut self, link: &Self::Fd, program: &Self::Fd, old: &Self::Fd) -> io::Result<()>;
    /// `BPF_LINK_DETACH`
    fn detach_link(&mut self, link: &Self::Fd) -> io::Result<()>;
    /// Returns the ids of the programs on a hook, in the order in which packets meet them
    /// (`BPF_PROG_QUERY`); `EINVAL` for XDP, of which [`Kernel::interface`] tells, and for
    /// netfilter and events.
    fn query(&self, hook: &HookRequest<'_, Self::Fd>) -> io::Result<Vec<u32>> {
        Ok(self.queue(hook)?.there.into_iter().map(|occupant| occupant.program_id).collect())
    }
    /// Returns the same with the links, where the hook tells them, and the hook's revision: a number that each change of
    /// it raises by one, from 1 on; 0 where it has none.
    fn queue(&self, hook: &HookRequest<'_, Self::Fd>) -> io::Result<Queue>;
    /// Returns the next id of a link, whoever's it is (`BPF_LINK_GET_NEXT_ID`); `NotFound` behind the last one.
    fn next_link(&self, after: u32) -> io::Result<u32>;
    /// `BPF_LINK_GET_FD_BY_ID`; `NotFound` when there is none, or none yet.
    fn link_by_id(&self, id: u32) -> io::Result<Self::Fd>;
    /// `BPF_OBJ_GET_INFO_BY_FD`
    fn link_info(&self, link: &Self::Fd) -> io::Result<LinkInfo>;
}
