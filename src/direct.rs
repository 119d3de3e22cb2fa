//! Attachments without a kernel link: a filter of clsact, an XDP program that netlink set, a program of a cgroup, a route
//! with a program.
//!
//! The kernel has no object for such an attachment, so there is nothing to pin, and it outlives whoever made it. What
//! stands for its pin is a [`Mark`]: a symbolic link in the generation whose text says what is attached where. It is put
//! there before the program is attached and goes after it was detached, so that whatever an interrupted run left is known.

use crate::desired::Netns;
use crate::kinds::{AttachType, XdpMode};
use crate::route::Route;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// How a program is attached, where the kernel has two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// By a kernel link: `tcx` for tc, `link` for others.
    Link,
    /// Without one: `clsact`, `netlink` and `attach`.
    Direct,
}

/// What a kernel may lack that decides on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// tcx.
    Tcx,
    /// Links of XDP.
    XdpLinks,
    /// Links of cgroups, and the ids of links by which a record knows them.
    CgroupLinks,
}

impl Feature {
    /// Returns the first version of Linux that has it.
    pub fn since(self) -> &'static str {
        match self {
            Self::Tcx => "6.6",
            Self::XdpLinks => "5.9",
            Self::CgroupLinks => "5.8",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcx => "tcx",
            Self::XdpLinks => "links of XDP",
            Self::CgroupLinks => "links of cgroups",
        })
    }
}

/// An interface, by its index in a network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    /// The network namespace, as the manifest names it.
    #[serde(default, skip_serializing_if = "Netns::is_own")]
    pub netns: Netns,
    /// Its inode, which says whether the name still means the same one.
    pub inode: u64,
    /// The index.
    pub ifindex: u32,
}

/// What a manifest says of a filter; the rest is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wish {
    /// When: lower ones come first. Never 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Its number among the filters of one priority. Never 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<u32>,
    /// The protocol of the packets, as Ethernet counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u16>,
    /// The chain that it is in; packets begin with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<u32>,
}

/// A priority behind those that people give by hand, and before 49152 and those below it, which the kernel gives.
const PRIORITY: u16 = 1000;

/// `ETH_P_ALL` of `linux/if_ether.h`.
pub const ALL_PROTOCOLS: u16 = 3;

impl Wish {
    /// Returns whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the filter with this handle, and what is chosen for all else that is not said.
    pub fn filter(&self, device: Device, attach_type: AttachType, handle: u32, owns_qdisc: bool) -> Filter {
        Filter {
            device,
            attach_type,
            chain: self.chain.unwrap_or(0),
            priority: self.priority.unwrap_or(PRIORITY),
            protocol: self.protocol.unwrap_or(ALL_PROTOCOLS),
            handle: self.handle.unwrap_or(handle),
            owns_qdisc,
        }
    }
}

/// A filter of the kind `bpf` (cls_bpf) with direct action, of the qdisc clsact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Filter {
    /// The interface.
    pub device: Device,
    /// The direction, as `tcx_ingress` or `tcx_egress`.
    pub attach_type: AttachType,
    /// The chain.
    pub chain: u32,
    /// The priority.
    pub priority: u16,
    /// The protocol of the packets, as Ethernet counts them.
    pub protocol: u16,
    /// Its number among those of one priority.
    pub handle: u32,
    /// Whether the qdisc was made for it, or for another filter of the deployment, and goes with the last filter.
    pub owns_qdisc: bool,
}

impl Filter {
    /// Returns whether it meets all packets of its direction, unless others take them from it.
    pub fn meets_all(&self) -> bool {
        self.chain == 0 && self.protocol == ALL_PROTOCOLS
    }

    /// Returns whether both have one place, where the kernel has room for one.
    pub fn is_at(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.device.inode, it.device.ifindex, it.attach_type, it.chain, it.priority, it.handle);
        place(self) == place(other)
    }
}

/// Where a program is attached without a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direct {
    /// A filter.
    Filter(Filter),
    /// XDP.
    Xdp {
        /// The interface.
        device: Device,
        /// The mode that was asked for.
        mode: XdpMode,
    },
    /// A cgroup's hook.
    Cgroup {
        /// Absolute path of the cgroup.
        path: PathBuf,
        /// Its id, which is its inode number.
        cgroup_id: u64,
        /// Which of its hooks.
        attach_type: AttachType,
    },
    /// A route.
    Route(Route),
}

impl Direct {
    /// Returns the interface that it is on.
    pub fn device(&self) -> Option<&Device> {
        match self {
            Self::Filter(Filter { device, .. }) | Self::Xdp { device, .. } | Self::Route(Route { device, .. }) => {
                Some(device)
            }
            Self::Cgroup { .. } => None,
        }
    }

    /// Returns whether it is a place with room for one program.
    pub fn has_room_for_one(&self) -> bool {
        match self {
            Self::Filter(_) | Self::Xdp { .. } | Self::Route(_) => true,
            Self::Cgroup { .. } => false,
        }
    }

    /// Returns whether both have one place with room for one program; the programs of a cgroup's hook have each their own.
    pub fn is_at(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Filter(one), Self::Filter(other)) => one.is_at(other),
            (Self::Xdp { device: one, .. }, Self::Xdp { device: other, .. }) => {
                (one.inode, one.ifindex) == (other.inode, other.ifindex)
            }
            (Self::Cgroup { .. }, Self::Cgroup { .. }) => self == other,
            (Self::Route(one), Self::Route(other)) => one.is_at(other),
            (Self::Filter(_) | Self::Xdp { .. } | Self::Cgroup { .. } | Self::Route(_), _) => false,
        }
    }

    /// Returns whether a program there is put in the place of one at `other`; a route is replaced by its like alone.
    pub fn replaces(&self, other: &Self) -> bool {
        match self {
            Self::Filter(_) | Self::Xdp { .. } | Self::Cgroup { .. } => self.is_at(other),
            Self::Route(_) => self == other,
        }
    }
}

/// As `clsact ingress of interface 2 (priority 1000, handle 1)`.
impl fmt::Display for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(filter) => {
                let Filter {
                    device: Device { ifindex, .. },
                    attach_type,
                    chain,
                    priority,
                    handle,
                    protocol,
                    owns_qdisc: _,
                } = filter;
                write!(f, "{} of interface {ifindex}, priority {priority}, handle {handle}", clsact(*attach_type))?;
                if *chain != 0 {
                    write!(f, ", chain {chain}")?;
                }
                if *protocol == ALL_PROTOCOLS { Ok(()) } else { write!(f, ", protocol {protocol:#06x}") }
            }
            Self::Xdp { device: Device { ifindex, .. }, mode } => {
                write!(f, "xdp of interface {ifindex} by netlink, {mode}")
            }
            Self::Cgroup { cgroup_id, attach_type, .. } => {
                write!(f, "{attach_type} of cgroup {cgroup_id} without a link")
            }
            Self::Route(Route { device, point, wish }) => {
                write!(f, "{point} of the route {}, to interface {}", wish.place, device.ifindex)?;
                wish.gateway.map_or(Ok(()), |gateway| write!(f, ", by {gateway}"))
            }
        }
    }
}

/// Returns the name of a direction of clsact.
pub fn clsact(attach_type: AttachType) -> &'static str {
    if attach_type == AttachType::TCX_EGRESS { "clsact egress" } else { "clsact ingress" }
}

/// What stands for the pin of an attachment: the text of a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Id of the program.
    pub program_id: u32,
    /// Where it is attached.
    pub at: Direct,
    /// Id of somebody else's program whose place it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<u32>,
}

impl Mark {
    /// Returns the text, without dots: whoever opens it as if it were a pin comes to nothing then, where bpffs would refuse a
    /// name with dots (`bpf_lookup`, kernel/bpf/inode.c).
    pub fn text(&self) -> String {
        let text = serde_json::to_string(self).expect("a mark has only strings and numbers, which JSON always takes");
        // They are in strings alone: no number of a mark is a fraction.
        text.replace('.', "\\u002e")
    }

    /// Reads the text of a symbolic link; `None` for any that is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// What of traffic control an interface has, as far as filters are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qdisc {
    /// Whether it is clsact, with both directions; else it is `ingress`.
    pub has_egress: bool,
    /// The filters, in the order in which packets meet them: of one priority the newest first.
    pub filters: Vec<FilterInfo>,
}

/// A filter as the kernel says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in `Filter`")]
pub struct FilterInfo {
    pub attach_type: AttachType,
    pub chain: u32,
    pub priority: u16,
    pub protocol: u16,
    pub handle: u32,
    /// `bpf`, `u32`, `matchall` ...
    pub kind: String,
    /// The program of one of the kind `bpf`.
    pub program_id: Option<u32>,
    /// Whether what that returns is what happens to the packet, as for ours.
    pub direct_action: bool,
}

impl FilterInfo {
    /// Returns whether it has the place of that one.
    pub fn is_at(&self, filter: &Filter) -> bool {
        let Self { attach_type, chain, priority, handle, .. } = self;
        (*attach_type, *chain, *priority, *handle) == (filter.attach_type, filter.chain, filter.priority, filter.handle)
    }

    /// Returns whether no filter of ours can have the same priority.
    pub fn excludes(&self, filter: &Filter) -> bool {
        let Self { attach_type, chain, priority, .. } = self;
        (*attach_type, *chain, *priority) == (filter.attach_type, filter.chain, filter.priority)
            && (self.kind != "bpf" || self.protocol != filter.protocol)
    }

    /// Returns whether ours can take its place at once, and it could take that place again.
    pub fn can_be_replaced_by(&self, filter: &Filter) -> bool {
        self.is_at(filter) && !self.excludes(filter) && self.direct_action && self.program_id.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Lwt, RoutePlace, RouteWish};

    #[test]
    fn marks_survive_their_text() {
        let device = || Device { netns: Netns::named("blue".to_owned()), inode: 7, ifindex: 2 };
        let filter = Wish::default().filter(device(), AttachType::TCX_INGRESS, 7, true);
        let cgroup = |path: &str| Direct::Cgroup {
            path: path.into(),
            cgroup_id: u64::MAX,
            attach_type: AttachType::CGROUP_INET_INGRESS,
        };
        let place = RoutePlace::new("10.9.0.0/24".parse().unwrap(), None, None);
        let gateway = Some("10.1.1.1".parse().unwrap());
        let route = Route { device: device(), point: Lwt::Out, wish: RouteWish { place, gateway, headroom: 0 } };
        for at in [
            Direct::Filter(filter),
            Direct::Xdp { device: device(), mode: XdpMode::Generic },
            cgroup("/sys/a \"b\"/c.slice"),
            Direct::Route(route),
        ] {
            let mark = Mark { program_id: 5, at, taken: None };
            assert!(!mark.text().contains('.'), "{}", mark.text());
            assert_eq!(Mark::parse(&mark.text()), Some(mark));
        }
        for text in ["", "edge~1", "{}", "{\"program_id\":1}"] {
            assert_eq!(Mark::parse(text), None);
        }
    }
}
