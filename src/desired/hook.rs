//! Where links are attached: each kind of hook, and what is the same for all links of a kind. A new kind of link is a
//! variant of [`Hook`]; where it is, is one of a few [`Anchor`]s, by which it is looked up, planned and opened.

use crate::kinds::{AttachType, Netfilter, XdpMode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Where a link is attached, as the manifest says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// XDP on an interface.
    Xdp {
        /// Name of the interface.
        interface: String,
        /// Mode.
        mode: XdpMode,
    },
    /// tcx on an interface.
    Tc {
        /// Name of the interface.
        interface: String,
        /// `tcx_ingress` or `tcx_egress`.
        attach_type: AttachType,
    },
    /// A cgroup's hook.
    Cgroup {
        /// Absolute, or relative to the cgroup2 mount.
        path: String,
        /// Which of the cgroup's hooks.
        attach_type: AttachType,
    },
    /// A network namespace's hook.
    Netns {
        /// Which network namespace.
        netns: Netns,
        /// `sk_lookup` or `flow_dissector`.
        attach_type: AttachType,
    },
    /// A hook of netfilter, of the network namespace in which the tool runs.
    Netfilter(Netfilter),
}

/// What a hook is of, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor<'a> {
    /// An interface.
    Interface(&'a str),
    /// A cgroup.
    Cgroup(&'a str),
    /// A network namespace.
    Netns(&'a Netns),
}

impl Hook {
    /// Returns what it is of.
    pub fn anchor(&self) -> Anchor<'_> {
        match self {
            Self::Xdp { interface, .. } | Self::Tc { interface, .. } => Anchor::Interface(interface),
            Self::Cgroup { path, .. } => Anchor::Cgroup(path),
            Self::Netns { netns, .. } => Anchor::Netns(netns),
            Self::Netfilter(_) => Anchor::Netns(&OWN),
        }
    }

    /// Returns the mode asked for, which the kernel does not tell back.
    pub fn mode(&self) -> Option<XdpMode> {
        match self {
            Self::Xdp { mode, .. } => Some(*mode),
            Self::Tc { .. } | Self::Cgroup { .. } | Self::Netns { .. } | Self::Netfilter(_) => None,
        }
    }

    /// Returns the hook of netfilter that it is.
    pub fn netfilter(&self) -> Option<Netfilter> {
        match self {
            Self::Netfilter(netfilter) => Some(*netfilter),
            Self::Xdp { .. } | Self::Tc { .. } | Self::Cgroup { .. } | Self::Netns { .. } => None,
        }
    }

    /// Returns the attach type of its links.
    pub fn attach_type(&self) -> AttachType {
        match self {
            Self::Xdp { .. } => AttachType::XDP,
            Self::Tc { attach_type, .. } | Self::Cgroup { attach_type, .. } | Self::Netns { attach_type, .. } => {
                *attach_type
            }
            Self::Netfilter(_) => AttachType::NETFILTER,
        }
    }

    /// Returns whether the kernel replaces the program of such a link in place (`BPF_LINK_UPDATE`).
    pub fn updates_in_place(&self) -> bool {
        match self {
            Self::Xdp { .. } | Self::Tc { .. } | Self::Cgroup { .. } | Self::Netns { .. } => true,
            Self::Netfilter(_) => false,
        }
    }

    /// Returns whether several programs share it, and the kernel tells who they are.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Tc { .. } => true,
            // Such a hook is one of many, and the question for it another one.
            Self::Cgroup { attach_type, .. } => *attach_type != AttachType::LSM_CGROUP,
            Self::Xdp { .. } | Self::Netns { .. } | Self::Netfilter(_) => false,
        }
    }

    /// Tells what a kernel may lack that refuses such a link.
    pub fn may_lack(&self) -> &'static str {
        match self {
            Self::Xdp { .. } => "XDP links came with Linux 5.9, and a driver must know the mode",
            Self::Tc { .. } => "tcx came with Linux 6.6",
            Self::Cgroup { .. } => "cgroup links came with Linux 5.7",
            Self::Netns { attach_type: AttachType::SK_LOOKUP, .. } => "sk_lookup came with Linux 5.9",
            Self::Netns { .. } => "links of flow dissectors came with Linux 5.8",
            Self::Netfilter(Netfilter { defrag: true, .. }) => "`defrag` of netfilter links came with Linux 6.6",
            Self::Netfilter(_) => "netfilter links came with Linux 6.4",
        }
    }
}

/// The hook as the manifest says it: `xdp of lo`, `tcx_ingress of eth0`, `cgroup_inet_ingress of cgroup system.slice`,
/// `sk_lookup of network namespace blue`.
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xdp { interface, .. } => write!(f, "xdp of {interface}"),
            Self::Tc { interface, attach_type } => write!(f, "{attach_type} of {interface}"),
            Self::Cgroup { path, attach_type } => write!(f, "{attach_type} of cgroup {path}"),
            Self::Netns { netns, attach_type } => write!(f, "{attach_type} of {netns}"),
            Self::Netfilter(netfilter) => netfilter.fmt(f),
        }
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
