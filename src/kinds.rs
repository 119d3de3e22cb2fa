//! The kernel's numbered kinds: map, program and attach types, as tables of `linux/bpf.h` (6.18).
//!
//! A number that the table does not know is kept: a newer kernel may know it. `since` is the release that brought a type,
//! by the history of that header (<https://docs.ebpf.io/linux/timeline/>); what is older
//! than 4.18 says nothing.

use std::fmt;

/// The licenses that the kernel takes for compatible with its own (`license_is_gpl_compatible`, include/linux/license.h).
pub const GPL_LICENSES: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

macro_rules! kernel_enum {
    ($(#[$doc:meta])* $name:ident { $($constant:ident = $value:literal $(since $since:literal)?,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        #[allow(missing_docs, reason = "the kernel's own names")]
        impl $name {
            $(pub const $constant: Self = Self($value);)*

            const TABLE: &[(u32, &str, &str)] = &[$(($value, stringify!($constant), concat!($($since)?)),)*];

            /// Looks a name up, in lower or upper case, as the kernel's constant without its prefix.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::TABLE.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|row| Self(row.0))
            }

            /// Returns the release of Linux that brought it, where that is 4.18 or newer.
            pub fn since(self) -> Option<&'static str> {
                let row = Self::TABLE.iter().find(|(value, ..)| *value == self.0)?;
                Some(row.2).filter(|since| !since.is_empty())
            }

            /// Returns every known name in lower case, in the kernel's order.
            pub fn names() -> impl Iterator<Item = String> {
                Self::TABLE.iter().map(|(_, name, _)| name.to_ascii_lowercase())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match Self::TABLE.iter().find(|(value, ..)| *value == self.0) {
                    Some((_, name, _)) => f.write_str(&name.to_ascii_lowercase()),
                    None => write!(f, "{} (unknown)", self.0),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let number = || text.split(' ').next().and_then(|number| number.parse().ok()).map(Self);
                let unknown = || serde::de::Error::custom("an unknown constant of the kernel");
                Self::from_name(&text).or_else(number).ok_or_else(unknown)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

kernel_enum!(
    /// `enum bpf_map_type` of `linux/bpf.h`.
    MapType {
        UNSPEC = 0,
        HASH = 1,
        ARRAY = 2,
        PROG_ARRAY = 3,
        PERF_EVENT_ARRAY = 4,
        PERCPU_HASH = 5,
        PERCPU_ARRAY = 6,
        STACK_TRACE = 7,
        CGROUP_ARRAY = 8,
        LRU_HASH = 9,
        LRU_PERCPU_HASH = 10,
        LPM_TRIE = 11,
        ARRAY_OF_MAPS = 12,
        HASH_OF_MAPS = 13,
        DEVMAP = 14,
        SOCKMAP = 15,
        CPUMAP = 16,
        XSKMAP = 17 since "4.18",
        SOCKHASH = 18 since "4.18",
        CGROUP_STORAGE = 19 since "4.19",
        REUSEPORT_SOCKARRAY = 20 since "4.19",
        PERCPU_CGROUP_STORAGE = 21 since "4.20",
        QUEUE = 22 since "4.20",
        STACK = 23 since "4.20",
        SK_STORAGE = 24 since "5.2",
        DEVMAP_HASH = 25 since "5.4",
        STRUCT_OPS = 26 since "5.6",
        RINGBUF = 27 since "5.8",
        INODE_STORAGE = 28 since "5.10",
        TASK_STORAGE = 29 since "5.11",
        BLOOM_FILTER = 30 since "5.16",
        USER_RINGBUF = 31 since "6.1",
        CGRP_STORAGE = 32 since "6.2",
        ARENA = 33 since "6.9",
    }
);

impl MapType {
    /// Returns whether such a map needs a capacity: storage lives with its owner, and a perf event array of none is one
    /// of as many slots as there are CPUs (`requested` in `spec`).
    pub fn wants_a_size(self) -> bool {
        ![
            Self::CGROUP_STORAGE,
            Self::PERCPU_CGROUP_STORAGE,
            Self::SK_STORAGE,
            Self::INODE_STORAGE,
            Self::TASK_STORAGE,
            Self::CGRP_STORAGE,
            Self::PERF_EVENT_ARRAY,
            Self::CPUMAP,
            Self::STRUCT_OPS,
        ]
        .contains(&self)
    }

    /// Returns whether a definition of such a map must say how large its values are. The kernel knows it of the others,
    /// or they have none.
    pub fn wants_a_value_size(self) -> bool {
        self.has_values()
            && ![Self::PERF_EVENT_ARRAY, Self::ARRAY_OF_MAPS, Self::HASH_OF_MAPS, Self::STRUCT_OPS].contains(&self)
    }

    /// Returns whether such maps have keys; the kernel refuses a key size for those that have none.
    pub fn has_keys(self) -> bool {
        self.has_values() && ![Self::QUEUE, Self::STACK, Self::BLOOM_FILTER].contains(&self)
    }

    /// Returns whether such maps have a value for each CPU.
    pub fn is_per_cpu(self) -> bool {
        [Self::PERCPU_HASH, Self::PERCPU_ARRAY, Self::LRU_PERCPU_HASH, Self::PERCPU_CGROUP_STORAGE].contains(&self)
    }

    /// Returns whether every index up to the size has an entry, for as long as the map is there.
    pub fn is_array(self) -> bool {
        [Self::ARRAY, Self::PERCPU_ARRAY].contains(&self)
    }

    /// Returns whether such maps hold data under keys, which user space can list and write.
    pub fn has_entries(self) -> bool {
        let keyed =
            [Self::HASH, Self::LRU_HASH, Self::PERCPU_HASH, Self::LRU_PERCPU_HASH, Self::LPM_TRIE].contains(&self);
        keyed || self.is_array()
    }

    /// Returns whether such maps hold interfaces, CPUs, sockets or maps, which are there without them.
    pub fn refers(self) -> bool {
        let to_devices = [Self::DEVMAP, Self::DEVMAP_HASH, Self::CPUMAP];
        let to_maps = [Self::ARRAY_OF_MAPS, Self::HASH_OF_MAPS];
        to_devices.contains(&self) || self.has_sockets() || to_maps.contains(&self)
    }

    /// Returns whether such maps hold sockets, which programs and processes put there: nobody can copy them into another map.
    pub fn has_sockets(self) -> bool {
        [Self::XSKMAP, Self::SOCKMAP, Self::SOCKHASH, Self::REUSEPORT_SOCKARRAY].contains(&self)
    }

    /// Returns whether such maps refuse a new key when they are full. Others have every key, or drop an old one.
    pub fn refuses_more(self) -> bool {
        [Self::HASH, Self::PERCPU_HASH, Self::LPM_TRIE, Self::DEVMAP_HASH].contains(&self)
    }

    /// Returns whether such maps have values; the kernel refuses a value size for those that have none.
    pub fn has_values(self) -> bool {
        ![Self::RINGBUF, Self::USER_RINGBUF, Self::ARENA].contains(&self)
    }
}

kernel_enum!(
    /// `enum bpf_prog_type` of `linux/bpf.h`.
    ProgramType {
        UNSPEC = 0,
        SOCKET_FILTER = 1,
        KPROBE = 2,
        SCHED_CLS = 3,
        SCHED_ACT = 4,
        TRACEPOINT = 5,
        XDP = 6,
        PERF_EVENT = 7,
        CGROUP_SKB = 8,
        CGROUP_SOCK = 9,
        LWT_IN = 10,
        LWT_OUT = 11,
        LWT_XMIT = 12,
        SOCK_OPS = 13,
        SK_SKB = 14,
        CGROUP_DEVICE = 15,
        SK_MSG = 16,
        RAW_TRACEPOINT = 17,
        CGROUP_SOCK_ADDR = 18,
        LWT_SEG6LOCAL = 19 since "4.18",
        LIRC_MODE2 = 20 since "4.18",
        SK_REUSEPORT = 21 since "4.19",
        FLOW_DISSECTOR = 22 since "4.20",
        CGROUP_SYSCTL = 23 since "5.2",
        RAW_TRACEPOINT_WRITABLE = 24 since "5.2",
        CGROUP_SOCKOPT = 25 since "5.3",
        TRACING = 26 since "5.5",
        STRUCT_OPS = 27 since "5.6",
        EXT = 28 since "5.6",
        LSM = 29 since "5.7",
        SK_LOOKUP = 30 since "5.9",
        SYSCALL = 31 since "5.14",
        NETFILTER = 32 since "6.4",
    }
);

kernel_enum!(
    /// `enum bpf_attach_type` of `linux/bpf.h`.
    AttachType {
        CGROUP_INET_INGRESS = 0,
        CGROUP_INET_EGRESS = 1,
        CGROUP_INET_SOCK_CREATE = 2,
        CGROUP_SOCK_OPS = 3,
        SK_SKB_STREAM_PARSER = 4,
        SK_SKB_STREAM_VERDICT = 5,
        CGROUP_DEVICE = 6,
        SK_MSG_VERDICT = 7,
        CGROUP_INET4_BIND = 8,
        CGROUP_INET6_BIND = 9,
        CGROUP_INET4_CONNECT = 10,
        CGROUP_INET6_CONNECT = 11,
        CGROUP_INET4_POST_BIND = 12,
        CGROUP_INET6_POST_BIND = 13,
        CGROUP_UDP4_SENDMSG = 14,
        CGROUP_UDP6_SENDMSG = 15,
        LIRC_MODE2 = 16,
        FLOW_DISSECTOR = 17,
        CGROUP_SYSCTL = 18,
        CGROUP_UDP4_RECVMSG = 19,
        CGROUP_UDP6_RECVMSG = 20,
        CGROUP_GETSOCKOPT = 21,
        CGROUP_SETSOCKOPT = 22,
        TRACE_RAW_TP = 23,
        TRACE_FENTRY = 24,
        TRACE_FEXIT = 25,
        MODIFY_RETURN = 26,
        LSM_MAC = 27,
        TRACE_ITER = 28,
        CGROUP_INET4_GETPEERNAME = 29,
        CGROUP_INET6_GETPEERNAME = 30,
        CGROUP_INET4_GETSOCKNAME = 31,
        CGROUP_INET6_GETSOCKNAME = 32,
        XDP_DEVMAP = 33,
        CGROUP_INET_SOCK_RELEASE = 34,
        XDP_CPUMAP = 35,
        SK_LOOKUP = 36,
        XDP = 37,
        SK_SKB_VERDICT = 38,
        SK_REUSEPORT_SELECT = 39,
        SK_REUSEPORT_SELECT_OR_MIGRATE = 40,
        PERF_EVENT = 41,
        TRACE_KPROBE_MULTI = 42,
        LSM_CGROUP = 43,
        STRUCT_OPS = 44,
        NETFILTER = 45,
        TCX_INGRESS = 46,
        TCX_EGRESS = 47,
        TRACE_UPROBE_MULTI = 48,
        CGROUP_UNIX_CONNECT = 49,
        CGROUP_UNIX_SENDMSG = 50,
        CGROUP_UNIX_RECVMSG = 51,
        CGROUP_UNIX_GETPEERNAME = 52,
        CGROUP_UNIX_GETSOCKNAME = 53,
        NETKIT_PRIMARY = 54,
        NETKIT_PEER = 55,
        TRACE_KPROBE_SESSION = 56,
        TRACE_UPROBE_SESSION = 57,
        TRACE_FSESSION = 58,
    }
);

impl AttachType {
    /// Those of the programs that a map of sockets has.
    pub const OF_SOCKMAPS: [Self; 4] =
        [Self::SK_MSG_VERDICT, Self::SK_SKB_STREAM_PARSER, Self::SK_SKB_STREAM_VERDICT, Self::SK_SKB_VERDICT];

    /// Lists those of the programs that a cgroup has.
    pub fn of_cgroups() -> impl Iterator<Item = Self> {
        let names = Self::names().filter(|name| name.starts_with("cgroup_"));
        names.filter_map(|name| Self::from_name(&name))
    }

    /// Returns whether a map of sockets has a program of the one or of the other, but not both: it has one of each, and
    /// one of the two verdicts on data (`sock_map_prog_lookup`, net/core/sock_map.c).
    pub fn is_instead_of(self, other: Self) -> bool {
        let verdicts = [Self::SK_SKB_STREAM_VERDICT, Self::SK_SKB_VERDICT];
        self == other || verdicts.contains(&self) && verdicts.contains(&other)
    }
}

/// `BPF_F_*` flags of `BPF_PROG_LOAD` (`linux/bpf.h`).
pub mod load_flags {
    /// The program may sleep.
    pub const SLEEPABLE: u32 = 1 << 4;
    /// The XDP program takes packets of several buffers.
    pub const XDP_FRAGS: u32 = 1 << 5;

    /// Those that a manifest may want, by name. The others need a token or a device beside them.
    pub const NAMES: &[(u32, &str)] = &[
        (1 << 0, "strict_alignment"),
        (1 << 1, "any_alignment"),
        (1 << 2, "test_rnd_hi32"),
        (1 << 3, "test_state_freq"),
        (SLEEPABLE, "sleepable"),
        (XDP_FRAGS, "xdp_frags"),
        (1 << 7, "test_reg_invariants"),
    ];
}

impl ProgramType {
    /// Those that attach to a cgroup.
    pub const OF_CGROUPS: &[Self] = &[
        Self::CGROUP_SKB,
        Self::CGROUP_SOCK,
        Self::CGROUP_SOCK_ADDR,
        Self::CGROUP_SOCKOPT,
        Self::CGROUP_SYSCTL,
        Self::CGROUP_DEVICE,
        Self::SOCK_OPS,
    ];

    /// Returns the table of a link that takes such programs; where several do, the most usual one. None for those that
    /// are attached to nothing.
    pub fn table(self) -> Option<&'static str> {
        const TABLES: &[(&str, &[ProgramType])] = &[
            ("xdp", &[ProgramType::XDP]),
            ("tc", &[ProgramType::SCHED_CLS]),
            ("lwt", &[ProgramType::LWT_IN, ProgramType::LWT_OUT, ProgramType::LWT_XMIT]),
            ("sk_lookup", &[ProgramType::SK_LOOKUP]),
            ("flow_dissector", &[ProgramType::FLOW_DISSECTOR]),
            ("netfilter", &[ProgramType::NETFILTER]),
            ("sockmap", &[ProgramType::SK_MSG, ProgramType::SK_SKB]),
            ("struct_ops", &[ProgramType::STRUCT_OPS]),
            ("tracepoint", &[ProgramType::TRACEPOINT]),
            ("raw_tracepoint", &[ProgramType::RAW_TRACEPOINT, ProgramType::RAW_TRACEPOINT_WRITABLE]),
            ("tracing", &[ProgramType::TRACING]),
            ("lsm", &[ProgramType::LSM]),
            ("extension", &[ProgramType::EXT]),
            ("perf_event", &[ProgramType::PERF_EVENT]),
            ("kprobe", &[ProgramType::KPROBE]),
            ("cgroup", ProgramType::OF_CGROUPS),
        ];
        TABLES.iter().find(|(_, types)| types.contains(&self)).map(|(table, _)| *table)
    }

    /// Tells what a kernel may lack that refuses such a program without a word; none for a type that is in all kernels.
    pub fn may_lack(self, flags: u32) -> Option<String> {
        let flag = (flags & load_flags::XDP_FRAGS != 0).then_some("the flag `xdp_frags` came with Linux 5.18");
        may_lack(format!("programs of type `{self}`"), self.since(), flag)
    }
}

/// Says since when there is a type and a flag. Kernels can be built without most newer types.
fn may_lack(what: String, since: Option<&str>, flag: Option<&str>) -> Option<String> {
    let kind = since.map(|since| format!("{what} came with Linux {since}, and a kernel can be built without them"));
    let parts: Vec<String> = kind.into_iter().chain(flag.map(str::to_owned)).collect();
    (!parts.is_empty()).then(|| format!("this kernel may lack it: {}", parts.join("; ")))
}

/// The mode of an XDP program on an interface.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// The driver's where it has one, else the generic one.
    Auto,
    /// In the driver.
    Native,
    /// In the network stack, for any interface.
    Generic,
    /// In the network card.
    Offload,
}

/// A hook of netfilter, as `link_create.netfilter` of `union bpf_attr` and `struct bpf_link_info` have it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Netfilter {
    /// Packets of which protocol.
    pub family: Family,
    /// Where on their way.
    #[serde(rename = "hook")]
    pub point: Point,
    /// Lower ones come first; one BPF program has a priority.
    pub priority: i32,
    /// Whether fragments are put together before.
    pub defrag: bool,
}

/// A protocol of netfilter: `NFPROTO_*` of `linux/netfilter.h`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4 = 2,
    /// IPv6.
    Ipv6 = 10,
}

/// A point of a packet's way: `NF_INET_*` of `linux/netfilter.h`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the kernel's own names")]
pub enum Point {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

impl Family {
    /// Each with its name.
    pub const ALL: [(Self, &str); 2] = [(Self::Ipv4, "ipv4"), (Self::Ipv6, "ipv6")];
}

impl Point {
    /// Each with its name.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Prerouting, "prerouting"),
        (Self::Input, "input"),
        (Self::Forward, "forward"),
        (Self::Output, "output"),
        (Self::Postrouting, "postrouting"),
    ];
}

impl Netfilter {
    /// `BPF_F_NETFILTER_IP_DEFRAG`
    const IP_DEFRAG: u32 = 1 << 0;
    /// `NF_IP_PRI_CONNTRACK_DEFRAG`: fragments are put together there, and whole packets met behind it.
    pub const DEFRAG_PRIORITY: i32 = -400;

    /// Returns it as the kernel counts: protocol, hook, priority, flags.
    pub fn numbers(self) -> [u32; 4] {
        let flags = if self.defrag { Self::IP_DEFRAG } else { 0 };
        [self.family as u32, self.point as u32, self.priority.cast_unsigned(), flags]
    }

    /// Reads the kernel's numbers; `None` for any that we do not know.
    pub fn of_numbers([family, point, priority, flags]: [u32; 4]) -> Option<Self> {
        let (family, _) = Family::ALL.into_iter().find(|(known, _)| *known as u32 == family)?;
        let (point, _) = Point::ALL.into_iter().find(|(known, _)| *known as u32 == point)?;
        let known = flags & !Self::IP_DEFRAG == 0;
        known.then_some(Self { family, point, priority: priority.cast_signed(), defrag: flags != 0 })
    }

    /// Returns whether both see the same packets at the same point.
    pub fn sees_the_same(&self, other: &Self) -> bool {
        (self.family, self.point) == (other.family, other.point)
    }
}

/// As `netfilter input of ipv4 at priority -128`.
impl fmt::Display for Netfilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, point, priority, defrag } = self;
        write!(f, "netfilter {point} of {family} at priority {priority}")?;
        f.write_str(if *defrag { ", defragmented" } else { "" })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::ALL.iter().filter(|(known, _)| known == self).try_for_each(|(_, name)| f.write_str(name))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::ALL.iter().filter(|(known, _)| known == self).try_for_each(|(_, name)| f.write_str(name))
    }
}

impl MapType {
    /// Tells what a kernel may lack that refuses such a map; none for a type that is in all kernels.
    pub fn may_lack(self, flags: u32) -> Option<String> {
        let flag = (flags & crate::spec::flags::LINK != 0).then_some("the flag `link` came with Linux 6.4");
        may_lack(format!("maps of type `{self}`"), self.since(), flag)
    }

    /// Returns whether the kernel takes BTF types for keys and values of such a map.
    ///
    /// The others answer `ENOTSUPP`, since they have no `map_check_btf` (libbpf's bpf_object__create_map has the same list).
    pub fn takes_btf(self) -> bool {
        ![
            Self::PERF_EVENT_ARRAY,
            Self::CGROUP_ARRAY,
            Self::STACK_TRACE,
            Self::ARRAY_OF_MAPS,
            Self::HASH_OF_MAPS,
            Self::DEVMAP,
            Self::DEVMAP_HASH,
            Self::CPUMAP,
            Self::XSKMAP,
            Self::SOCKMAP,
            Self::SOCKHASH,
            Self::QUEUE,
            Self::STACK,
        ]
        .contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for name in MapType::names() {
            assert_eq!(MapType::from_name(&name).unwrap().to_string(), name);
        }
        assert_eq!(AttachType::from_name("cgroup_inet4_connect"), Some(AttachType::CGROUP_INET4_CONNECT));
        assert_eq!(ProgramType(99).to_string(), "99 (unknown)");
        assert_eq!(ProgramType::from_name("nonsense"), None);
    }

    #[test]
    fn what_a_kernel_may_lack() {
        assert_eq!((ProgramType::NETFILTER.since(), ProgramType::XDP.since()), (Some("6.4"), None));
        assert_eq!((MapType::ARENA.since(), MapType(99).since()), (Some("6.9"), None));
        let lacks = "this kernel may lack it: programs of type `netfilter` came with Linux 6.4, and a kernel can be \
                     built without them";
        assert_eq!(ProgramType::NETFILTER.may_lack(0).as_deref(), Some(lacks));
        let flag = "this kernel may lack it: the flag `xdp_frags` came with Linux 5.18";
        assert_eq!(ProgramType::XDP.may_lack(load_flags::XDP_FRAGS).as_deref(), Some(flag));
        assert_eq!((ProgramType::XDP.may_lack(0), MapType::HASH.may_lack(0)), (None, None));
        let both = MapType::STRUCT_OPS.may_lack(crate::spec::flags::LINK).expect("newer than 4.18");
        assert!(both.contains("with Linux 5.6") && both.ends_with("; the flag `link` came with Linux 6.4"), "{both}");
    }
}
