//! Where links are attached: each kind of hook, and what is the same for all links of a kind. A new kind of link is a
//! variant of [`Hook`]; where it is, is one of a few [`Anchor`]s, by which it is looked up, planned and opened.

mod trace;

use crate::direct::{Feature, Via, Wish, clsact};
use crate::kinds::{AttachType, MapType, Netfilter, XdpMode};
use crate::names::MapName;
use crate::route::{Lwt, RouteWish};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

pub use trace::{Counter, CounterSource, Event, Rate, Trace, Uprobe, of_system_call};

/// Where a link is attached, as the manifest says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// XDP on an interface.
    Xdp {
        /// Name of the interface.
        interface: String,
        /// The network namespace that it is in.
        #[serde(default, skip_serializing_if = "Netns::is_own")]
        netns: Netns,
        /// Mode.
        mode: XdpMode,
        /// By a link or by netlink, when that is not to be chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
    },
    /// tc on an interface.
    Tc {
        /// Name of the interface.
        interface: String,
        /// The network namespace that it is in.
        #[serde(default, skip_serializing_if = "Netns::is_own")]
        netns: Netns,
        /// `tcx_ingress` or `tcx_egress`.
        attach_type: AttachType,
        /// By tcx or by clsact, when that is not to be chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
        /// What a filter of clsact is to be.
        #[serde(default, skip_serializing_if = "Wish::is_empty")]
        wish: Wish,
    },
    /// netkit: what one end of a pair of interfaces sends.
    Netkit {
        /// Name of the primary end, by which both are known.
        interface: String,
        /// The network namespace that it is in.
        #[serde(default, skip_serializing_if = "Netns::is_own")]
        netns: Netns,
        /// `netkit_primary` or `netkit_peer`.
        attach_type: AttachType,
    },
    /// The packets of a route, which is made for it.
    Lwt {
        /// Name of the interface that it leads to.
        interface: String,
        /// The network namespace that it is in.
        #[serde(default, skip_serializing_if = "Netns::is_own")]
        netns: Netns,
        /// Where on their way.
        point: Lwt,
        /// The route.
        route: RouteWish,
    },
    /// A cgroup's hook.
    Cgroup {
        /// Absolute, or relative to the cgroup2 mount.
        path: String,
        /// Which of the cgroup's hooks.
        attach_type: AttachType,
        /// By a link or without one, when that is not to be chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
    },
    /// A network namespace's hook.
    Netns {
        /// Which network namespace.
        netns: Netns,
        /// `sk_lookup` or `flow_dissector`.
        attach_type: AttachType,
    },
    /// A hook of netfilter.
    Netfilter {
        /// Which one.
        hook: Netfilter,
        /// Of which network namespace.
        #[serde(default, skip_serializing_if = "Netns::is_own")]
        netns: Netns,
    },
    /// A map of sockets: those that are put into it get the programs that it has then.
    Sockmap {
        /// The map.
        map: MapName,
        /// `sk_msg_verdict`, `sk_skb_stream_parser`, `sk_skb_stream_verdict` or `sk_skb_verdict`.
        attach_type: AttachType,
    },
    /// An event.
    Trace(Trace),
    /// What the kernel calls a struct of functions for, such as a TCP congestion control: the map that holds it is
    /// attached, and no program.
    StructOps {
        /// The map.
        map: MapName,
    },
}

/// What a hook is of, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor<'a> {
    /// An interface of a network namespace.
    Interface(&'a str, &'a Netns),
    /// A cgroup.
    Cgroup(&'a str),
    /// A network namespace.
    Netns(&'a Netns),
    /// A map.
    Map(&'a MapName),
    /// What happens anywhere.
    Event(&'a Event),
}

impl Hook {
    /// Returns what it is of.
    pub fn anchor(&self) -> Anchor<'_> {
        match self {
            Self::Xdp { interface, netns, .. }
            | Self::Tc { interface, netns, .. }
            | Self::Netkit { interface, netns, .. }
            | Self::Lwt { interface, netns, .. } => Anchor::Interface(interface, netns),
            Self::Cgroup { path, .. } => Anchor::Cgroup(path),
            Self::Netns { netns, .. } | Self::Netfilter { netns, .. } => Anchor::Netns(netns),
            Self::Sockmap { map, .. } | Self::StructOps { map } => Anchor::Map(map),
            Self::Trace(trace) => Anchor::Event(&trace.event),
        }
    }

    /// Returns the same hook of another interface.
    pub fn on(&self, name: &str) -> Self {
        let mut hook = self.clone();
        if let Self::Xdp { interface, .. }
        | Self::Tc { interface, .. }
        | Self::Netkit { interface, .. }
        | Self::Lwt { interface, .. } = &mut hook
        {
            name.clone_into(interface);
        }
        hook
    }

    /// Returns the network namespace that it is in.
    pub fn netns(&self) -> &Netns {
        match self.anchor() {
            Anchor::Interface(_, netns) | Anchor::Netns(netns) => netns,
            Anchor::Cgroup(_) | Anchor::Map(_) | Anchor::Event(_) => &OWN,
        }
    }

    /// Returns the mode asked for, which the kernel does not tell back.
    pub fn mode(&self) -> Option<XdpMode> {
        if let Self::Xdp { mode, .. } = self { Some(*mode) } else { None }
    }

    /// Returns the way that is asked for; `None` where it is to be chosen, or where there is but one.
    pub fn via(&self) -> Option<Via> {
        let (Self::Xdp { via, .. } | Self::Tc { via, .. } | Self::Cgroup { via, .. }) = self else { return None };
        *via
    }

    /// Returns whether it is said or chosen that there is no kernel link, or there is never one.
    pub fn is_direct(&self) -> bool {
        self.via() == Some(Via::Direct) || matches!(self, Self::Lwt { .. })
    }

    /// Returns what a kernel must have for a link there, where there is a way without.
    pub fn needs(&self) -> Option<Feature> {
        match self {
            Self::Xdp { .. } => Some(Feature::XdpLinks),
            Self::Tc { .. } => Some(Feature::Tcx),
            Self::Cgroup { .. } => Some(Feature::CgroupLinks),
            Self::Netkit { .. }
            | Self::Lwt { .. }
            | Self::Netns { .. }
            | Self::Netfilter { .. }
            | Self::Sockmap { .. }
            | Self::StructOps { .. }
            | Self::Trace(_) => None,
        }
    }

    /// Returns the same with the way that was chosen.
    pub fn by(&self, chosen: Via) -> Self {
        let mut hook = self.clone();
        if let Self::Xdp { via, .. } | Self::Tc { via, .. } | Self::Cgroup { via, .. } = &mut hook {
            *via = Some(chosen);
        }
        hook
    }

    /// Returns the hook of netfilter that it is.
    pub fn netfilter(&self) -> Option<Netfilter> {
        if let Self::Netfilter { hook, .. } = self { Some(*hook) } else { None }
    }

    /// Returns the event that it is, with how it is met.
    pub fn trace(&self) -> Option<&Trace> {
        if let Self::Trace(trace) = self { Some(trace) } else { None }
    }

    /// Returns the event that it is.
    pub fn event(&self) -> Option<&Event> {
        self.trace().map(|trace| &trace.event)
    }

    /// Returns the attach type of its links; `None` where they have none.
    pub fn attach_type(&self) -> Option<AttachType> {
        match self {
            Self::Xdp { .. } => Some(AttachType::XDP),
            Self::Tc { attach_type, .. }
            | Self::Netkit { attach_type, .. }
            | Self::Cgroup { attach_type, .. }
            | Self::Netns { attach_type, .. }
            | Self::Sockmap { attach_type, .. } => Some(*attach_type),
            Self::Netfilter { .. } => Some(AttachType::NETFILTER),
            Self::Trace(trace) => trace.event.attach_type(),
            Self::StructOps { .. } => Some(AttachType::STRUCT_OPS),
            Self::Lwt { .. } => None,
        }
    }

    /// Returns whether the kernel replaces the program of such a link in place (`BPF_LINK_UPDATE`).
    pub fn updates_in_place(&self) -> bool {
        match self {
            Self::Xdp { .. }
            | Self::Tc { .. }
            | Self::Netkit { .. }
            | Self::Lwt { .. }
            | Self::Cgroup { .. }
            | Self::Netns { .. }
            | Self::Sockmap { .. }
            | Self::StructOps { .. } => true,
            Self::Netfilter { .. } => false,
            Self::Trace(trace) => trace.event.updates_in_place(),
        }
    }

    /// Returns whether its program is for the sockets that come to it from then on: those that are there keep what they
    /// have (`sock_map_link`, net/core/sock_map.c).
    pub fn is_for_new_sockets(&self) -> bool {
        matches!(self, Self::Sockmap { .. })
    }

    /// Returns whether a map of this type can be what it is of.
    pub fn takes_map(&self, map_type: MapType) -> bool {
        match self {
            Self::Sockmap { .. } => matches!(map_type, MapType::SOCKMAP | MapType::SOCKHASH),
            Self::StructOps { .. } => map_type == MapType::STRUCT_OPS,
            Self::Xdp { .. }
            | Self::Tc { .. }
            | Self::Netkit { .. }
            | Self::Lwt { .. }
            | Self::Cgroup { .. }
            | Self::Netns { .. }
            | Self::Netfilter { .. }
            | Self::Trace(_) => false,
        }
    }

    /// Returns whether several programs share it, and the kernel tells who they are.
    pub fn is_shared(&self) -> bool {
        match self {
            // Filters of clsact are elsewhere, each at a priority of its own.
            Self::Tc { via, .. } => *via != Some(Via::Direct),
            // Such a hook is one of many, and the question for it another one.
            Self::Cgroup { attach_type, .. } => *attach_type != AttachType::LSM_CGROUP,
            Self::Xdp { .. }
            | Self::Netkit { .. }
            | Self::Netns { .. }
            | Self::Netfilter { .. }
            | Self::Sockmap { .. }
            | Self::StructOps { .. }
            | Self::Lwt { .. }
            | Self::Trace(_) => false,
        }
    }

    /// Returns the hook that it shares with others, whichever way each of them is attached.
    pub fn shared(&self) -> Option<Self> {
        if !self.is_shared() {
            return None;
        }
        let mut hook = self.clone();
        if let Self::Tc { via, .. } | Self::Cgroup { via, .. } = &mut hook {
            *via = None;
        }
        if let Self::Tc { wish, .. } = &mut hook {
            *wish = Wish::default();
        }
        Some(hook)
    }

    /// Returns the hook as it is told from others, where it takes no program twice (`bpf_mprog_exists`).
    pub fn takes_once(&self) -> Option<Self> {
        match self {
            Self::Tc { .. } => self.shared(),
            Self::Netkit { .. } => Some(self.clone()),
            Self::Xdp { .. }
            | Self::Cgroup { .. }
            | Self::Netns { .. }
            | Self::Netfilter { .. }
            | Self::Sockmap { .. }
            | Self::StructOps { .. }
            | Self::Lwt { .. }
            | Self::Trace(_) => None,
        }
    }

    /// Returns whether only attaching shows that this kernel, or a driver, lacks it: neither its programs nor its maps do, and
    /// nothing can be asked that changes nothing.
    pub fn shows_when_attached(&self) -> bool {
        match self {
            Self::Xdp { mode, .. } => matches!(mode, XdpMode::Native | XdpMode::Offload),
            Self::Netfilter { hook, .. } => hook.defrag,
            Self::Netkit { .. } | Self::Sockmap { .. } | Self::Lwt { .. } => true,
            Self::Trace(trace) => matches!(trace.event, Event::KprobeMulti { .. }),
            Self::Tc { .. } | Self::Cgroup { .. } | Self::Netns { .. } | Self::StructOps { .. } => false,
        }
    }

    /// Tells what a kernel may lack that refuses such a link.
    pub fn may_lack(&self) -> &'static str {
        match self {
            Self::Xdp { .. } => "XDP links came with Linux 5.9, and a driver must know the mode",
            Self::Tc { via: Some(Via::Direct), .. } => {
                "clsact came with Linux 4.5 (CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF, maybe as modules)"
            }
            Self::Tc { .. } => "tcx came with Linux 6.6",
            Self::Cgroup { via: Some(Via::Direct), .. } => {
                "several programs of a cgroup came with Linux 4.15, each hook with a version of its own"
            }
            Self::Netkit { .. } => "netkit came with Linux 6.7, and is a part that a kernel may be built without",
            Self::Lwt { .. } => "programs of routes came with Linux 4.10 (CONFIG_LWTUNNEL_BPF)",
            Self::Cgroup { .. } => "cgroup links came with Linux 5.7",
            Self::Netns { attach_type: AttachType::SK_LOOKUP, .. } => "sk_lookup came with Linux 5.9",
            Self::Netns { .. } => "links of flow dissectors came with Linux 5.8",
            Self::Netfilter { hook: Netfilter { defrag: true, .. }, .. } => {
                "`defrag` of netfilter links came with Linux 6.6"
            }
            Self::Netfilter { .. } => "netfilter links came with Linux 6.4",
            Self::Sockmap { .. } => "links of sockmaps came with Linux 6.10",
            Self::Trace(trace) => trace.may_lack(),
            Self::StructOps { .. } => "links of structs of functions came with Linux 6.4",
        }
    }
}

/// The hook as the manifest says it: `xdp of lo`, `tcx_ingress of eth0`, `cgroup_inet_ingress of cgroup system.slice`,
/// `sk_lookup of network namespace blue`, `sk_msg_verdict of map.socks`; and behind it, where that is not ours, the
/// namespace that an interface is in: `xdp of eth0 in network namespace blue`.
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xdp { interface, netns, .. } => write!(f, "xdp of {interface}{}", Within(netns)),
            Self::Tc { interface, netns, attach_type, via: Some(Via::Direct), .. } => {
                write!(f, "{} of {interface}{}", clsact(*attach_type), Within(netns))
            }
            Self::Tc { interface, netns, attach_type, .. } | Self::Netkit { interface, netns, attach_type } => {
                write!(f, "{attach_type} of {interface}{}", Within(netns))
            }
            Self::Lwt { interface, netns, point, route } => {
                write!(f, "{point} of the route {} by {interface}{}", route.place.to, Within(netns))
            }
            Self::Cgroup { path, attach_type, .. } => write!(f, "{attach_type} of cgroup {path}"),
            Self::Netns { netns, attach_type } => write!(f, "{attach_type} of {netns}"),
            Self::Netfilter { hook, netns } => write!(f, "{hook}{}", Within(netns)),
            Self::Sockmap { map, attach_type } => write!(f, "{attach_type} of map.{map}"),
            Self::Trace(trace) => trace.fmt(f),
            Self::StructOps { map } => write!(f, "struct_ops of map.{map}"),
        }
    }
}

/// ` in network namespace blue`, and nothing for the one in which the tool runs.
pub(crate) struct Within<'a>(pub(crate) &'a Netns);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_own() { Ok(()) } else { write!(f, " in {}", self.0) }
    }
}

/// A network namespace as the manifest names it: a path, a name below `/run/netns`, or the id of a process in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Netns(Option<String>);

static OWN: Netns = Netns::OWN;

impl Netns {
    /// The one in which the tool runs.
    pub const OWN: Self = Self(None);

    /// Names one; whether it is there shows when it is opened.
    pub fn named(name: String) -> Self {
        Self(Some(name))
    }

    /// Returns whether it is the one in which the tool runs, whichever that is.
    pub fn is_own(&self) -> bool {
        self.0.is_none()
    }

    /// Returns its name; `None` for the one in which the tool runs.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Returns the file that stands for it.
    pub fn path(&self) -> PathBuf {
        match self.name() {
            None => "/proc/thread-self/ns/net".into(),
            Some(path) if path.contains('/') => path.into(),
            Some(pid) if pid.bytes().all(|byte| byte.is_ascii_digit()) => format!("/proc/{pid}/ns/net").into(),
            Some(name) => format!("/run/netns/{name}").into(),
        }
    }
}

impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            None => f.write_str("this network namespace"),
            Some(name) => write!(f, "network namespace {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_namespaces_have_files() {
        for (netns, path) in [
            (Netns::OWN, "/proc/thread-self/ns/net"),
            (Netns::named("blue".to_owned()), "/run/netns/blue"),
            (Netns::named("blue1".to_owned()), "/run/netns/blue1"),
            (Netns::named("4711".to_owned()), "/proc/4711/ns/net"),
            (Netns::named("/var/run/docker/netns/1".to_owned()), "/var/run/docker/netns/1"),
        ] {
            assert_eq!(netns.path(), PathBuf::from(path), "{netns}");
        }
    }
}
