//! Routes that run a program for their packets (light-weight tunnels): which route, and where on its way.

use crate::direct::Device;
use crate::kinds::ProgramType;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where on the way of a route's packets the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lwt {
    /// For packets that come in and are routed by it.
    In,
    /// For packets that this host makes, and for those that it forwards.
    Out,
    /// For packets that go out, when all else is done.
    Xmit,
}

impl Lwt {
    /// Returns where programs of this type run.
    pub fn of(program_type: ProgramType) -> Option<Self> {
        match program_type {
            ProgramType::LWT_IN => Some(Self::In),
            ProgramType::LWT_OUT => Some(Self::Out),
            ProgramType::LWT_XMIT => Some(Self::Xmit),
            _ => None,
        }
    }

    /// Returns the type of the programs that run there.
    pub fn program_type(self) -> ProgramType {
        match self {
            Self::In => ProgramType::LWT_IN,
            Self::Out => ProgramType::LWT_OUT,
            Self::Xmit => ProgramType::LWT_XMIT,
        }
    }
}

impl fmt::Display for Lwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "lwt_in",
            Self::Out => "lwt_out",
            Self::Xmit => "lwt_xmit",
        })
    }
}

/// The destinations of a route, as `10.9.0.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    address: IpAddr,
    length: u8,
}

impl Subnet {
    /// Names one; `None` when the address has bits beyond the length, or is shorter, as the kernel takes none of these.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let (bits, host) = match address {
            IpAddr::V4(address) => (32, u32::MAX.checked_shr(length.into()).unwrap_or(0) & address.to_bits() != 0),
            IpAddr::V6(address) => (128, u128::MAX.checked_shr(length.into()).unwrap_or(0) & address.to_bits() != 0),
        };
        (length <= bits && !host).then_some(Self { address, length })
    }

    /// Names the one that an address is in; `None` when the address is shorter than the length.
    fn around(address: IpAddr, length: u8) -> Option<Self> {
        let length_of = u32::from(length);
        let first = match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(length_of).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & !host).into()
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(length_of).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & !host).into()
            }
        };
        Self::new(first, length)
    }

    /// Returns its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Returns how many bits all its addresses share.
    pub fn length(self) -> u8 {
        self.length
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, length) = text.split_once('/').ok_or("it has no length, as `/24` is")?;
        let address: IpAddr = address.parse().map_err(|_| "before `/` is no IPv4 or IPv6 address")?;
        let length = length.parse().map_err(|_| "behind `/` is no length")?;
        Self::new(address, length).ok_or_else(|| match Self::around(address, length) {
            Some(around) => format!("the address has bits beyond the first {length}: `{around}` has none"),
            None => format!("an address of its kind has {} bits", if address.is_ipv4() { 32 } else { 128 }),
        })
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The table that packets are routed by when no rule says another (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

/// A route's place in a network namespace, where there is room for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoutePlace {
    /// Where it leads.
    pub to: Subnet,
    /// The table.
    pub table: u32,
    /// Of several to the same destinations, the one with the lowest counts.
    pub metric: u32,
}

impl RoutePlace {
    /// Names one, with what counts where nothing is said: the main table, and the metric that the kernel gives
    /// (`IP6_RT_PRIO_USER` for IPv6).
    pub fn new(to: Subnet, table: Option<u32>, metric: Option<u32>) -> Self {
        let usual = if to.address.is_ipv4() { 0 } else { 1024 };
        Self { to, table: table.unwrap_or(MAIN_TABLE), metric: metric.unwrap_or(usual) }
    }
}

/// As `10.9.0.0/24, table 254, metric 0`.
impl fmt::Display for RoutePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, table, metric } = self;
        write!(f, "{to}, table {table}, metric {metric}")
    }
}

/// What a manifest says of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteWish {
    /// Its place.
    pub place: RoutePlace,
    /// The router, where there is one on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// How many bytes the program may put before each packet; 0 when that is not said. Only for [`Lwt::Xmit`], and never told
    /// back by the kernel (`bpf_fill_encap_info`, net/core/lwt_bpf.c).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub headroom: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// A route with a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The interface that it leads to.
    pub device: Device,
    /// Where on the way the program runs.
    pub point: Lwt,
    /// All else.
    pub wish: RouteWish,
}

impl Route {
    /// Returns whether both have one place, where the kernel has room for one.
    pub fn is_at(&self, other: &Self) -> bool {
        (self.device.inode, self.wish.place) == (other.device.inode, other.wish.place)
    }
}

/// A route as the kernel says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteInfo {
    /// Its place.
    pub place: RoutePlace,
    /// What else is to be said of it, for people.
    pub words: String,
    /// The program by the name that it was given with ([`signature`]); the kernel itself tells no id. None for routes of
    /// others.
    pub program_id: Option<u32>,
}

/// What stands in the name of a program of ours before its id.
const OURS: &str = ":bpfapply:";

/// Returns the name that a program gets in a route: the kernel tells it, and nothing else of the program.
pub fn signature(name: &str, program_id: u32) -> String {
    format!("{name}{OURS}{program_id}")
}

/// Reads the id in a name of ours; `None` for a name of somebody else.
pub fn signed_id(signature: &str) -> Option<u32> {
    signature.rsplit_once(OURS)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_what_the_kernel_takes() {
        for text in ["10.9.0.0/24", "0.0.0.0/0", "10.9.0.1/32", "::/0", "2001:db8::/32", "2001:db8::1/128"] {
            assert_eq!(text.parse::<Subnet>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "10.9.0.0", "10.9.0.1/24", "10.9.0.0/33", "::1/0", "::/129", "x/1", "10.9.0.0/", "10.9.0.0/-1"]
        {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_tell_whose_program_it_is() {
        assert_eq!(signed_id(&signature("encap", 71)), Some(71));
        for name in ["", "encap", "encap:71", "a.o:[lwt_out]", "encap:bpfapply:", "encap:bpfapply:x"] {
            assert_eq!(signed_id(name), None, "{name}");
        }
    }
}
