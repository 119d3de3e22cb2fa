//! The file as written: one struct for each table.
//!
//! The comments on fields are what an editor shows, so they speak to users. How a value is written is in `values`;
//! nothing here looks at two keys.

use super::events::{BinaryPath, CounterText, SymbolList, SymbolText, TracepointText};
use super::packets::{AfterText, CapturePath, InterfaceText, PacketText, VerdictText};
use super::read::{Entries, Entry, List, Named, Read, Reader, Variables, table};
use super::values::{
    AccountText, Address, Capacity, CgroupPath, CgroupVia, Consents, Count, Direction, EntriesText, FilterPriority,
    Flags, FormatText, FunctionPath, Handle, Headroom, HostPort, Interface, License, LoadFlags, Mode, NeighbourText,
    NetnsText, Number, ObjectPath, OrderText, PinText, Priority, ProgramText, Protocol, Repeat, SubnetText, SymbolPath,
    TargetText, TcVia, Time, Url, Version, Words, XdpVia,
};
use crate::btf::value::Value;
use crate::desired::{CounterSource, EntriesMode, OnChange};
use crate::kinds::{AttachType, Family, MapType, Point, ProgramType, XdpMode};
use crate::names::{DeploymentName, Digest, PinPath};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

table! {
    /// A bpfapply manifest: the packet filters that a host should run, and the maps they share.
    #[schemars(title = "bpfapply manifest")]
    RawManifest {
        // Fields are read in this order, and every string after this one may use the variables.
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
        /// What an apply may do without being told so each time: `"gap"`, packets pass unfiltered for a moment;
        /// `"lose-state"`, contents of maps are lost; `"prune"`, things go that the manifest has no use for any more;
        /// `"takeover"`, somebody else's program loses its hook. Default: none of them
        ///
        /// To remove everything, or more than half of a deployment, `--allow prune` is needed all the same.
        may allow: Consents,
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
        /// Health checks: those that pass before an apply have to pass after it, or it is taken back.
        may check: List<RawCheck>,
        /// Whether an apply needs the tests of all programs to pass: it refuses before anything changes when one fails, or
        /// when a program that a link runs has none, though the kernel could run one. Default: `false`
        may require_tests: bool,
    }
    later &["protect"]
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
        /// Path of a file with the types of the kernel, relative to the manifest: BTF, or an ELF file with a section
        /// `.BTF`. CO-RE takes them instead of the running kernel's, for kernels that have none. Default: the running
        /// kernel's. Example: `"vmlinux-5.4.btf"`
        may btf: ObjectPath,
        /// The license of an object that says none, as many made with aya do: without one the kernel refuses it the
        /// functions that are for GPL programs only. Example: `"Dual MIT/GPL"`
        may license: License,
    }
    later &["optional", "test"]
}

table! {
    /// A map. It comes from exactly one of `from`, `pinned`, `id` and `type`.
    #[schemars(extend("oneOf" = [
        { "title": "defined by an object", "required": ["from"] },
        { "title": "somebody else's, by pin", "required": ["pinned"] },
        { "title": "somebody else's, by id", "required": ["id"] },
        { "title": "defined here", "required": ["type", "max_entries"], "anyOf": [
            { "required": ["key_size", "value_size"] },
            { "properties": { "type": { "enum": ["queue", "stack", "bloom_filter"] } }, "required": ["value_size"] },
            { "properties": { "type": { "enum": ["ringbuf", "user_ringbuf", "arena"] } } },
        ] },
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
        /// Type of a map that no object defines; needs `max_entries`, and `key_size` and `value_size` where such maps
        /// have keys and values. Example: `"lru_hash"`
        may r#type: MapType,
        /// Size of a key in bytes, together with `type`.
        may key_size: u32,
        /// Size of a value in bytes (for per-CPU maps: for one CPU), together with `type`, or with `from` where the object
        /// leaves it open: a stack trace map has 8 bytes for each frame, 1016 for the 127 of most kernels.
        may value_size: u32,
        /// Where it is pinned: below `pin_root`, or an absolute path below a bpffs. Default: `"maps/NAME"`
        may pin: PinText,
        /// How many entries the map can hold; for ring buffers its size in bytes. Default: what the object says.
        may max_entries: Capacity,
        /// Flags for creating the map: a list of names, or a number. Default: what the object says.
        ///
        /// Example: `["no_prealloc"]`
        may flags: Flags,
        /// The NUMA node that the map's memory comes from. Default: any.
        may numa_node: u32,
        /// For a map of maps: the map of this manifest that the maps inside have to look like.
        may inner: String,
        /// What to do when the pinned map no longer fits its definition: `"fail"` changes nothing and says what differs;
        /// `"recreate"` makes the map anew and loses its entries, which needs the consent `lose-state`; `"migrate"` makes
        /// it anew and copies its entries, field by field. Default: `"fail"`
        may on_change: OnChange,
        /// Whether the map must never be removed or made anew. The host remembers it: taking the table away does not
        /// remove the guard, only an apply with `protect = false` does. Default: `false`
        may protect: bool,
        /// Whether a map that somebody else pinned there is taken over, when it fits: then it is this deployment's, which
        /// also removes it. Without it such a map is used and left to its owner. Default: `false`
        may adopt: bool,
        /// Mode of the pin, in octal. Default: `0o600`, for its owner alone
        ///
        /// Reading a map needs `r`, all else needs `rw`; and whoever is not root has to be let into the pin's folder, which
        /// those of the deployment do not: `pin` names another one. Example: `0o640`
        may mode: Mode,
        /// The user that owns the pin, by name or number. Default: root
        may owner: AccountText,
        /// The group that owns the pin, by name or number. Default: root. Example: `"metrics"`
        may group: AccountText,
        /// What the map holds: keys with their values, a list of `{ key = ..., value = ... }` where a key is more than a
        /// text can say, or the path of a file relative to the manifest: `.toml`, `.json`, `.csv`, or `.txt` and `.list`
        /// with one key on each line. For prog arrays, maps of maps and cgroup arrays: what is in them,
        /// `{ 0 = "program.NAME" }`, `{ "10.0.0.1" = "map.NAME" }`, `{ 0 = "system.slice" }`; they are made new when that
        /// changes. For devmaps and cpumaps: where packets go, `{ 0 = "eth1" }`, `{ 0 = 192 }` (the length of the queue),
        /// with a program that runs there `{ 0 = { interface = "eth1", program = "program.NAME" } }`,
        /// `{ 0 = { queue = 192, program = "program.NAME" } }`.
        ///
        /// Numbers, names of enums, IPv4 and IPv6 addresses, prefixes of them (`10.0.0.0/8`) as keys of LPM tries, MAC
        /// addresses, `{ be16 = 443 }` for a number in network order, text for `char` arrays, tables of fields, lists
        /// of elements, `"hex:00ff"` for any bytes. Example: `{ "10.0.0.0/8" = 1 }`, or `"blocklist.csv"`
        may entries: EntriesText,
        /// The value of entries that say none, as the lines of a plain list. Example: `1`
        may entries_value: Value,
        /// `exact`: the map holds these entries and no others. `merge`: it holds these, and others are left alone.
        /// `exact-keys` and `merge-keys` mean the same by their keys: a value is written with a key that is new, and is
        /// the programs' from then on. `seed`: they are written when the map is made, and never again. Default: `"exact"`
        may entries_mode: EntriesMode,
        /// Whether no output may show the entries. Default: `false`
        may sensitive: bool,
        /// How a key is written, for maps without types or to read it otherwise: a format, or a list of fields that lie
        /// one behind the other.
        ///
        /// Formats: `u8` to `u64`, `s8` to `s64`, `be16` to `be64` (network order), `ipv4`, `ipv6`, `mac`, `bool`,
        /// `char[N]`, `bytes[N]`; `ipv4/prefix` and `ipv6/prefix` for LPM tries. Bytes of a list that have no name are
        /// zero. Example: `["src: ipv4", "port: be16", "proto: u8", "bytes[1]"]`
        may key_format: FormatText,
        /// How a value is written: as in `key_format`. Example: `"u64"`
        may value_format: FormatText,
    }
    later &["optional"]
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
        /// What the program is for. Default: what the section name in the object says.
        ///
        /// For tracing the kernel's name of the function, tracepoint, security hook or iterator: `"tcp_connect"`.
        /// For `freplace` the function of another program of this manifest, which is loaded first:
        /// `"program.NAME:FUNCTION"`, or `"program.NAME"` where the section name says the function.
        may target: TargetText,
        /// Flags for loading the program: a list of names, or a number. Default: what the section name in the object
        /// says. Example: `["sleepable"]`
        may flags: LoadFlags,
        /// Whether the program must never be removed; it may still be replaced by new code. The host remembers it: taking
        /// the table away does not remove the guard, only an apply with `protect = false` does. Default: `false`
        may protect: bool,
        /// Mode of the pin, in octal. Default: `0o600`, for its owner alone
        ///
        /// Reading a map needs `r`, all else needs `rw`; and whoever is not root has to be let into the pin's folder, which
        /// those of the deployment do not: `pin` names another one. Example: `0o640`
        may mode: Mode,
        /// The user that owns the pin, by name or number. Default: root
        may owner: AccountText,
        /// The group that owns the pin, by name or number. Default: root. Example: `"metrics"`
        may group: AccountText,
        /// Tests: packets, and what the program has to make of them. `bpfapply test` runs them, on copies of the program
        /// with maps of their own. They may as well be in a file beside the manifest: `plan.test.toml` for `plan.toml`.
        may test: List<RawTest>,
    }
    later &["tests", "optional"]
}

table! {
    /// An attachment of a program. It has exactly one of `xdp`, `tc`, `netkit`, `lwt`, `cgroup`, `netfilter`,
    /// `sk_lookup`, `flow_dissector`, `sockmap`, `tracepoint`, `raw_tracepoint`, `tracing`, `lsm`, `iter`, `extension`,
    /// `perf_event`, `kprobe`, `kprobe_multi`, `uprobe` and `struct_ops`; the last one needs no program.
    #[schemars(extend("oneOf" = [
        { "required": ["xdp"] }, { "required": ["tc"] }, { "required": ["cgroup"] }, { "required": ["sk_lookup"] },
        { "required": ["flow_dissector"] }, { "required": ["netfilter"] }, { "required": ["netkit"] }, { "required": ["lwt"] },
        { "required": ["sockmap"] }, { "required": ["tracepoint"] },
        { "required": ["raw_tracepoint"] }, { "required": ["tracing"] }, { "required": ["lsm"] }, { "required": ["iter"] },
        { "required": ["extension"] }, { "required": ["perf_event"] }, { "required": ["kprobe"] },
        { "required": ["kprobe_multi"] }, { "required": ["uprobe"] },
        { "required": ["struct_ops"] },
    ], "anyOf" = [{ "required": ["program"] }, { "required": ["struct_ops"] }]))]
    RawLink {
        /// The program, by its name in this manifest. Example: `"drop"` for `[program.drop]`
        may program: ProgramText,
        /// Attach to an interface by XDP: the first look at every packet that it receives.
        ///
        /// Example: `{ interface = "eth0", mode = "native" }`
        may xdp: RawXdp,
        /// Attach to an interface by tc (tcx or clsact): packets in one direction, after XDP.
        ///
        /// Example: `{ interface = "eth0", direction = "ingress" }`
        may tc: RawTc,
        /// Attach to a netkit pair: what one of its ends sends, at once where it leaves.
        ///
        /// Example: `{ interface = "nk0", peer = true }`
        may netkit: RawNetkit,
        /// Attach to a route, which is made for it: to the packets that it routes in, out or at the end of their way
        /// (`xmit`), as the program's type says. Example: `{ to = "10.9.0.0/24", interface = "eth0" }`
        may lwt: RawLwt,
        /// Attach to a cgroup. Which of its hooks follows from the program. Example: `{ path = "system.slice" }`
        may cgroup: RawCgroup,
        /// Attach to netfilter of a network namespace, beside iptables and nftables.
        ///
        /// Example: `{ family = "ipv4", hook = "input", priority = -128 }`
        may netfilter: RawNetfilter,
        /// Attach to a network namespace, to choose the sockets that get new connections and datagrams. Example: `{}`
        may sk_lookup: RawNetns,
        /// Attach to a network namespace, to take packets apart in place of the kernel, as its hashes of flows need it.
        /// There is room for one. Example: `{ netns = "blue" }`
        may flow_dissector: RawNetns,
        /// Attach to a map of sockets, for the messages (`sk_msg`) or the data (`sk_skb`) of the sockets that are put into it
        /// from then on. Example: `{ map = "socks" }`
        may sockmap: RawSockmap,
        /// Run at a tracepoint of the kernel. Which one follows from the section name, or is said here. Example:
        /// `{ name = "sched/sched_process_exec" }`
        may tracepoint: RawTracepoint,
        /// Run at a tracepoint of the kernel with its raw arguments. Which one follows from the section name, or is said
        /// here. Example: `{ name = "sched_process_exec" }`
        may raw_tracepoint: RawRawTracepoint,
        /// Run where the program was made for: `tp_btf`, `fentry`, `fexit`, `fmod_ret`. Example: `{}`
        may tracing: RawTarget,
        /// Run at the security hook that the program was made for. Example: `{}`
        may lsm: RawTarget,
        /// Run when the link's pin is read, for each thing that the iterator of the program goes through. Example: `{}`
        may iter: RawIter,
        /// Run in place of the function of another program that this one replaces (`freplace`): `target` of the program
        /// says which. Example: `{}`
        may extension: RawTarget,
        /// Run when a counter of the CPU or the kernel reached its period, as a profiler does.
        ///
        /// Example: `{ type = "software", config = "cpu-clock", frequency = 99, cpu = 0 }`
        may perf_event: RawPerfEvent,
        /// Run where the kernel reaches an instruction. Which function follows from the section name (`kprobe`, `kretprobe`,
        /// `ksyscall`, `kretsyscall`), or is said here. Example: `{ function = "tcp_connect" }`
        may kprobe: RawKprobe,
        /// Run where the kernel reaches any of many functions, for sections `kprobe.multi` and `kretprobe.multi`.
        ///
        /// Example: `{ functions = ["tcp_connect", "tcp_close"] }`
        may kprobe_multi: RawKprobeMulti,
        /// Run where a process reaches an instruction. Which one follows from the section name (`uprobe`, `uretprobe`), or
        /// is said here. Example: `{ binary = "/bin/bash", symbol = "readline" }`
        may uprobe: RawUprobe,
        /// Give the kernel a struct of functions to call, such as a TCP congestion control. Example: `{ map = "cubic" }`
        may struct_ops: RawStructOps,
        /// Whether it is no mistake when the interface, cgroup or network namespace is not there, or a pattern matches none:
        /// the link is left out then, and attached by the next apply once it is there. Default: `false`
        may optional: bool,
        /// Whether the link must never be detached or moved; it may still get new code. The host remembers it: taking the
        /// table away does not remove the guard, only an apply with `protect = false` does. Default: `false`
        may protect: bool,
        /// Mode of the pin, in octal. Default: `0o600`, for its owner alone
        ///
        /// Reading a map needs `r`, all else needs `rw`; and whoever is not root has to be let into the pin's folder, which
        /// those of the deployment do not: `pin` names another one. Example: `0o640`
        may mode: Mode,
        /// The user that owns the pin, by name or number. Default: root
        may owner: AccountText,
        /// The group that owns the pin, by name or number. Default: root. Example: `"metrics"`
        may group: AccountText,
    }
    later &[
        "pin", "takeover",
        "uprobe_multi", "usdt", "lsm_cgroup",
    ]
}

table! {
    /// An XDP hook.
    RawXdp {
        /// Name of the interface; or a list of names, or patterns of them (`*` and `?`), each match of which is a link of
        /// its own: `link.uplink["eth0"]`. Examples: `"eth0"`, `["eth0", "eth1"]`, `"eth*"`
        must interface: Interface,
        /// The network namespace that the interface is in: a name below `/run/netns`, a path, or the id of a process in it.
        /// Default: the one in which bpfapply runs. Example: `"blue"`
        may netns: NetnsText,
        /// Where the program runs. `native`: in the driver. `generic`: in the network stack, for any interface.
        /// `offload`: in the network card. `auto`: the driver's where it has one, else generic. Default: `"auto"`
        may mode: XdpMode,
        /// The way: by a `link`, or by `netlink`, which has none. Default: `link` where the kernel has it (Linux 5.9)
        ///
        /// A driver or a tool that knows no links may need `netlink`. The program is replaced in place by both. What is
        /// attached by netlink stays so unless this says `link`: there is no way to one without a gap.
        may via: XdpVia,
    }
    later &["flags", "order"]
}

table! {
    /// A tc hook.
    RawTc {
        /// Name of the interface; or a list of names, or patterns of them (`*` and `?`), each match of which is a link of
        /// its own: `link.uplink["eth0"]`. Examples: `"eth0"`, `["eth0", "eth1"]`, `"eth*"`
        must interface: Interface,
        /// The network namespace that the interface is in: a name below `/run/netns`, a path, or the id of a process in it.
        /// Default: the one in which bpfapply runs. Example: `"blue"`
        may netns: NetnsText,
        /// `ingress` for packets that the interface receives, `egress` for packets that it sends.
        must direction: Direction,
        /// The way: `tcx`, or a filter of the qdisc `clsact`. Default: `tcx` where the kernel has it (Linux 6.6)
        may via: TcVia,
        /// Of a filter of clsact: when. Lower priorities come first. Default: `1000`
        may priority: FilterPriority,
        /// Of a filter of clsact: its number among those of one priority. Default: the first that is free
        may handle: Handle,
        /// Of a filter of clsact: the protocol of the packets, as Ethernet counts them, or `all`. Default: `"all"`.
        /// Example: `"ipv4"`
        may protocol: Protocol,
        /// Of a filter of clsact: its chain. Packets begin with 0, and come to others by filters that say so. Default: `0`
        may chain: u32,
        /// When packets meet it, of the programs that share the hook: `first`, `last`, or beside another one. Only tcx has
        /// places, and who comes later may take them. Default: behind those that are there. Example: `"first"`
        may order: OrderText,
    }
    later &[]
}

table! {
    /// A hook of a netkit pair.
    RawNetkit {
        /// Name of the primary end: the peer, which may be in another network namespace, is known by it. Example: `"nk0"`
        must interface: Interface,
        /// The network namespace that the interface is in: a name below `/run/netns`, a path, or the id of a process in it.
        /// Default: the one in which bpfapply runs. Example: `"blue"`
        may netns: NetnsText,
        /// Whether packets are met that the peer sends, as of a container, and not those that go to it. Default: `false`
        may peer: bool,
    }
    later &["order"]
}

table! {
    /// A route that has a program.
    RawLwt {
        /// The destinations. Examples: `"10.9.0.0/24"`, `"2001:db8::/32"`
        must to: SubnetText,
        /// Name of the interface that it leads to. Example: `"eth0"`
        must interface: Interface,
        /// The network namespace that the interface is in: a name below `/run/netns`, a path, or the id of a process in it.
        /// Default: the one in which bpfapply runs. Example: `"blue"`
        may netns: NetnsText,
        /// The router that the packets go to. Default: none, for destinations that the interface reaches itself.
        /// Example: `"10.1.1.1"`
        may gateway: Address,
        /// The table of routes. Default: `254`, the main one
        may table: Number,
        /// Of several routes to the same destinations, the one with the lowest metric counts. Default: none (0) for IPv4, and
        /// `1024` for IPv6, as the kernel has it
        may metric: Number,
        /// How many bytes the program may put before each packet, for `lwt_xmit` alone. Default: none
        may headroom: Headroom,
    }
    later &["order"]
}

table! {
    /// A cgroup hook.
    RawCgroup {
        /// Path of the cgroup, below the host's cgroup2 mount or absolute. Example: `"system.slice"`
        must path: CgroupPath,
        /// The way: by a `link`, or `attach` without one, beside others. Default: `link` where the kernel has it (Linux 5.8)
        may via: CgroupVia,
        /// When it is asked, of the programs that share the hook: `first`, `last`, or beside another one. Cgroups have
        /// places since Linux 6.17. Default: behind those that are there. Example: `{ before = "link.other" }`
        may order: OrderText,
    }
    later &["optional", "attach", "attach_type"]
}

table! {
    /// A place beside another program of the same hook. It has exactly one of `before` and `after`.
    #[schemars(extend("oneOf" = [{ "required": ["before"] }, { "required": ["after"] }]))]
    RawBeside {
        /// Before it. A link of this manifest as `link.NAME`, or somebody else's program by its name, id or pin.
        may before: NeighbourText,
        /// Behind it, by the same names.
        may after: NeighbourText,
    }
    later &[]
}

table! {
    /// A hook of netfilter.
    RawNetfilter {
        /// The protocol of the packets.
        must family: Family,
        /// Where packets are met: `input` those for this host, `output` those from it, `forward` those for others,
        /// `prerouting` and `postrouting` all that come and all that go.
        must hook: Point,
        /// When: lower priorities come first, and only one BPF program has one. 0 is that of filters, as of iptables;
        /// connections are tracked at -200. Example: `-128`
        must priority: Priority,
        /// Whether fragments are put together before, for a priority above -400. Default: `false`
        may defrag: bool,
        /// The network namespace: a name below `/run/netns`, a path, or the id of a process in it. Default: the one in which
        /// bpfapply runs. Example: `"blue"`
        may netns: NetnsText,
    }
    later &[]
}

table! {
    /// A hook of a network namespace.
    RawNetns {
        /// The network namespace: a name below `/run/netns`, a path, or the id of a process in it. Default: the one in which
        /// bpfapply runs. Example: `"blue"`
        may netns: NetnsText,
    }
    later &["order"]
}

table! {
    /// A hook of a map of sockets. Which of the map's programs it is follows from the program.
    RawSockmap {
        /// The `sockmap` or `sockhash`, by its name in this manifest. Example: `"socks"` for `[map.socks]`
        must map: String,
    }
    later &["optional"]
}

table! {
    /// A tracepoint.
    RawTracepoint {
        /// Its category and name, as in the folder `events` of tracefs. Default: what the section name in the object says.
        /// Example: `"sched/sched_process_exec"`
        may name: TracepointText,
        /// A number that the program gets from `bpf_get_attach_cookie`.
        may cookie: u64,
    }
    later &["optional", "pid"]
}

table! {
    /// A tracepoint with its raw arguments.
    RawRawTracepoint {
        /// Its name, without a category. Default: what the section name in the object says. Example:
        /// `"sched_process_exec"`
        may name: SymbolText,
        /// A number that the program gets from `bpf_get_attach_cookie`, from Linux 6.10 on.
        may cookie: u64,
    }
    later &["optional"]
}

table! {
    /// What the program itself is for.
    RawTarget {
        /// A number that the program gets from `bpf_get_attach_cookie`, from Linux 5.19 on.
        may cookie: u64,
    }
    later &["optional"]
}

table! {
    /// An iterator.
    RawIter {}
    later &["map", "cgroup", "order", "pid", "optional"]
}

table! {
    /// A counter of the CPU or the kernel. It has one of `period` and `frequency`, and `cpu`, `pid` or both.
    #[schemars(extend(
        "oneOf" = [{ "required": ["period"] }, { "required": ["frequency"] }],
        "anyOf" = [{ "required": ["cpu"] }, { "required": ["pid"] }],
    ))]
    RawPerfEvent {
        /// Who counts: the CPU by the kernel's names (`hardware`), the kernel (`software`), or the CPU by its own numbers
        /// (`raw`).
        must r#type: CounterSource,
        /// What is counted, by the name that `perf list` has for it, or by number. Example: `"cpu-clock"`
        must config: CounterText,
        /// The program runs each time that so many were counted. Example: `1000000`
        may period: u64,
        /// The program runs about so many times a second. Example: `99`
        may frequency: u64,
        /// The CPU on which is counted; for all of them make one link each. Default: any on which the process runs
        may cpu: u32,
        /// The process for which is counted. Default: all on the CPU
        may pid: u32,
        /// A number that the program gets from `bpf_get_attach_cookie`.
        may cookie: u64,
    }
    later &["optional", "cgroup"]
}

table! {
    /// An instruction of the kernel.
    RawKprobe {
        /// The function. Default: what the section name in the object says. Example: `"tcp_connect"`
        may function: SymbolText,
        /// Bytes behind the function's start. Default: 0
        may offset: u64,
        /// Whether the program runs where the function returns. Default: what the section name says (`kretprobe`)
        may r#return: bool,
        /// A number that the program gets from `bpf_get_attach_cookie`.
        may cookie: u64,
    }
    later &["optional"]
}

table! {
    /// Many functions of the kernel.
    RawKprobeMulti {
        /// The functions. Example: `["tcp_connect", "tcp_close"]`
        must functions: SymbolList,
        /// Whether the program runs where they return. Default: what the section name says (`kretprobe.multi`)
        may r#return: bool,
        /// A number that the program gets from `bpf_get_attach_cookie`.
        may cookie: u64,
    }
    later &["optional", "pattern"]
}

table! {
    /// An instruction of a program or library that processes run.
    RawUprobe {
        /// Absolute path of the file. Default: what the section name in the object says. Example: `"/bin/bash"`
        may binary: BinaryPath,
        /// The function. Default: what the section name says, unless `binary` is said here. Example: `"readline"`
        may symbol: SymbolText,
        /// Bytes behind the start of the function, or of the file where there is no `symbol`. Default: 0
        may offset: u64,
        /// The process that is watched. Default: all of them
        may pid: u32,
        /// Whether the program runs where the function returns. Default: what the section name says (`uretprobe`)
        may r#return: bool,
        /// A number that the program gets from `bpf_get_attach_cookie`.
        may cookie: u64,
    }
    later &["optional"]
}

table! {
    /// A struct of functions for the kernel.
    RawStructOps {
        /// The map of a struct in `.struct_ops.link`, by its name in this manifest. Example: `"cubic"` for `[map.cubic]`
        must map: String,
    }
    later &["optional"]
}

table! {
    /// A health check. It has exactly one of `tcp`, `http`, `ping`, `command` and `counter`.
    #[schemars(extend("oneOf" = [
        { "required": ["tcp"] }, { "required": ["http"] }, { "required": ["ping"] }, { "required": ["command"] },
        { "required": ["counter"] },
    ]))]
    RawCheck {
        /// What messages call it. Default: what it does. Example: `"ssh"`
        may name: String,
        /// A host and a port that take a TCP connection. Example: `"192.0.2.1:22"`
        may tcp: HostPort,
        /// An address that answers with a status of 2xx. Example: `"http://192.0.2.1/health"`
        may http: Url,
        /// An address that answers a ping. Example: `"192.0.2.1"`
        may ping: Address,
        /// A program with its arguments that ends with 0; no shell reads it. Example: `["curl", "-fsS", "https://example.org"]`
        may command: Words,
        /// A map of this manifest whose contents change, as counters of traffic do. Example: `"flows"`
        may counter: String,
        /// How long it may take until it passes. Default: `"10s"`
        may timeout: Time,
    }
    later &["status", "interval", "retries"]
}

table! {
    /// A test of a program. It has `verdict`, `after` or both.
    #[schemars(extend("anyOf" = [{ "required": ["verdict"] }, { "required": ["after"] }]))]
    RawTest {
        /// What outputs call it. Example: `"a blocked source"`
        must name: String,
        /// The packet: a list of its layers, each a table of one key, `eth`, `vlan`, `arp`, `ipv4`, `ipv6`, `tcp`, `udp`,
        /// `icmp`, `icmpv6` or `payload`; its bytes as `"hex:..."`; or one of a capture, `{ pcap = "dns.pcap", frame = 3 }`.
        ///
        /// Ethernet comes first by itself, lengths and checksums are computed, and every field has a default.
        /// Example: `[{ ipv4 = { src = "10.1.2.3" } }, { udp = { dport = 53 } }, { payload = "hello" }]`
        must packet: PacketText,
        /// What the program finds beside the packet.
        may context: RawContext,
        /// What maps hold before, by their names, as in `entries`; a map without a table is `"OBJECT:SYMBOL"`. Default: what
        /// the manifest gives them. Example: `{ blocklist = { "10.0.0.0/8" = 1 } }`
        may maps: Entries<EntriesText>,
        /// How often the program gets the packet, up to 1,000,000 times. Default: 1
        may repeat: Repeat,
        /// What the program has to return: the name that programs of its type have for it, or a number.
        /// Example: `"XDP_DROP"`
        may verdict: VerdictText,
        /// What has to be there afterwards.
        may after: RawAfter,
    }
    later &[]
}

table! {
    /// A packet of a capture.
    RawCapture {
        /// Path of the pcap or pcapng file, relative to the manifest. Example: `"dns.pcap"`
        must pcap: CapturePath,
        /// Its number there, from 1 as Wireshark counts. Default: 1
        may frame: Count,
    }
    later &[]
}

table! {
    /// What a program finds beside the packet.
    RawContext {
        /// The interface by which the packet came: its name or its index. Default: `"lo"`
        may interface: InterfaceText,
        /// For XDP: the number of the receive queue, together with `interface`. Default: 0
        may queue: u32,
        /// For programs with an `__sk_buff`: the mark of the packet. Default: 0
        may mark: u32,
        /// For programs with an `__sk_buff`: the priority of the packet. Default: 0
        may priority: u32,
        /// For netfilter: where packets are met. Default: `"output"`
        may hook: Point,
    }
    later &[]
}

table! {
    /// What has to be there when a program has run.
    RawAfter {
        /// The packet: its bytes as `"hex:..."`, `"unchanged"`, or its layers with those fields that matter; these layers
        /// and no others between them, and what is behind the last one matters where a `payload` is said.
        /// Example: `[{ ipv4 = { ttl = 63 } }]`
        may packet: AfterText,
        /// What the program left beside the packet.
        may context: RawLeft,
        /// Entries that maps hold, as in `entries`; numbers of all CPUs are added up. Example: `{ counts = { 0 = 1 } }`
        may maps: Entries<EntriesText>,
        /// Whether these maps hold no other entries. Default: `false`
        may exact: bool,
    }
    later &[]
}

table! {
    /// What a program with an `__sk_buff` left beside the packet.
    RawLeft {
        /// The mark of the packet.
        may mark: u32,
        /// The priority of the packet.
        may priority: u32,
    }
    later &[]
}

table! {
    /// Tests of a manifest's programs, in a file of their own beside it.
    #[schemars(title = "bpfapply tests")]
    RawTests {
        /// Programs of the manifest, with their tests.
        may program: Named<RawTested>,
    }
    later &[]
}

table! {
    /// A program that is tested.
    RawTested {
        /// Its tests.
        must test: List<RawTest>,
    }
    later &[]
}

/// Returns the JSON schema of the language. Draft 7 without references: TOML editors know no newer one, and show
/// the texts of inlined types only.
pub(super) fn schema() -> serde_json::Value {
    schema_of::<RawManifest>()
}

/// Returns the JSON schema of a file of tests.
pub(super) fn tests_schema() -> serde_json::Value {
    schema_of::<RawTests>()
}

fn schema_of<T: schemars::JsonSchema>() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Reads the whole text: of a manifest, or of a file of tests.
pub(super) fn read<T: Read>(root: Spanned<DeTable<'_>>, reader: &mut Reader<'_>) -> Option<T> {
    let span = root.span();
    let value = DeValue::Table(root.into_inner());
    // A key that is missing at the top is shown at the first byte.
    T::read(Entry { address: String::new(), key: 0..0, value, span }, reader)
}
