//! Commands to rtnetlink that make, replace, read and remove routes with programs (`LWTUNNEL_ENCAP_BPF`).

use super::netlink::unreadable;
use super::traffic::{change, dump, nested, text, word};
use crate::route::{Lwt, Route, RouteInfo, RoutePlace, Subnet, signature, signed_id};
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlasIterator};
use std::io;
use std::net::IpAddr;

/// Numbers of `linux/rtnetlink.h`, `linux/lwtunnel.h` and `linux/socket.h`.
mod number {
    pub const RTM_NEWROUTE: u16 = 24;
    pub const RTM_DELROUTE: u16 = 25;
    pub const RTM_GETROUTE: u16 = 26;
    pub const AF_INET: u8 = 2;
    pub const AF_INET6: u8 = 10;
    pub const RTPROT_STATIC: u8 = 4;
    pub const RT_SCOPE_UNIVERSE: u8 = 0;
    pub const RT_SCOPE_LINK: u8 = 253;
    pub const RTN_UNICAST: u8 = 1;
    /// That it is a copy that the kernel made of a route for one destination.
    pub const RTM_F_CLONED: u32 = 0x200;
    pub const RTA_DST: u16 = 1;
    pub const RTA_OIF: u16 = 4;
    pub const RTA_GATEWAY: u16 = 5;
    pub const RTA_PRIORITY: u16 = 6;
    pub const RTA_TABLE: u16 = 15;
    pub const RTA_ENCAP_TYPE: u16 = 21;
    pub const RTA_ENCAP: u16 = 22;
    pub const LWTUNNEL_ENCAP_BPF: u16 = 6;
    pub const LWT_BPF_IN: u16 = 1;
    pub const LWT_BPF_OUT: u16 = 2;
    pub const LWT_BPF_XMIT: u16 = 3;
    pub const LWT_BPF_XMIT_HEADROOM: u16 = 4;
    pub const LWT_BPF_PROG_FD: u16 = 1;
    pub const LWT_BPF_PROG_NAME: u16 = 2;
}
use number::*;

/// Size of `struct rtmsg`.
const RTMSG: usize = 12;

/// A program for a route: its descriptor and its name, and the id that it is known by.
#[derive(Debug)]
pub struct Carried<'a> {
    /// The descriptor.
    pub fd: i32,
    /// What the kernel calls it.
    pub name: &'a str,
    /// Its id.
    pub id: u32,
}

/// Makes a route, or puts it at once in the place of the one of ours that runs the program `replaces`.
///
/// # Errors
/// `EEXIST` when another route is there, `ENOENT` when none is there that could be replaced.
pub fn set(route: &Route, program: &Carried<'_>, replaces: Option<u32>) -> io::Result<()> {
    let flags = match replaces {
        None => NLM_F_CREATE | NLM_F_EXCL,
        Some(old) => {
            own(route, old)?;
            NLM_F_REPLACE
        }
    };
    change(RTM_NEWROUTE, flags, head(route), &attributes(route, program))
}

/// Removes the route that runs this program. IPv4 compares the name of its program once more (`fib_encap_match`).
pub fn remove(route: &Route, program: &Carried<'_>) -> io::Result<()> {
    own(route, program.id).map_err(|error| match error.raw_os_error() {
        Some(libc::EEXIST) => io::Error::from_raw_os_error(libc::ENOENT),
        _ => error,
    })?;
    match change(RTM_DELROUTE, 0, head(route), &attributes(route, program)) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        result => result,
    }
}

/// Checks that the only route at a place is the one with this program: the kernel replaces whichever comes first.
fn own(route: &Route, program: u32) -> io::Result<()> {
    match at(&route.wish.place)?.as_slice() {
        [] => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        [found] if found.program_id == Some(program) => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EEXIST)),
    }
}

/// Reads the routes at a place; several where somebody put others behind the first one.
pub fn at(place: &RoutePlace) -> io::Result<Vec<RouteInfo>> {
    let mut found = Vec::new();
    let family = family(place.to.address());
    let mut head = [0; RTMSG];
    head[0] = family;
    dump(RTM_GETROUTE, head.to_vec(), |payload| {
        found.extend(read(payload)?.filter(|route| route.place == *place));
        Ok(())
    })?;
    Ok(found)
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// `struct rtmsg`; a table beyond its eight bits is in an attribute.
fn head(route: &Route) -> Vec<u8> {
    let RoutePlace { to, table, .. } = route.wish.place;
    let scope = match route.wish.gateway {
        None if to.address().is_ipv4() => RT_SCOPE_LINK,
        None | Some(_) => RT_SCOPE_UNIVERSE,
    };
    let table = u8::try_from(table).unwrap_or(0);
    [family(to.address()), to.length(), 0, 0, table, RTPROT_STATIC, scope, RTN_UNICAST, 0, 0, 0, 0].to_vec()
}

fn attributes(route: &Route, program: &Carried<'_>) -> Vec<DefaultNla> {
    let Route { device, point, wish } = route;
    let RoutePlace { to, table, metric } = wish.place;
    let carried = [
        DefaultNla::new(LWT_BPF_PROG_FD, program.fd.to_ne_bytes().to_vec()),
        text(LWT_BPF_PROG_NAME, &signature(program.name, program.id)),
    ];
    let kind = match point {
        Lwt::In => LWT_BPF_IN,
        Lwt::Out => LWT_BPF_OUT,
        Lwt::Xmit => LWT_BPF_XMIT,
    };
    let mut encapsulation = vec![nested(kind, &carried)];
    if wish.headroom != 0 {
        encapsulation.push(number(LWT_BPF_XMIT_HEADROOM, wish.headroom.into()));
    }
    let mut attributes = vec![
        DefaultNla::new(RTA_DST, octets(to.address())),
        number(RTA_OIF, device.ifindex),
        number(RTA_PRIORITY, metric),
        number(RTA_TABLE, table),
    ];
    attributes.extend(wish.gateway.map(|gateway| DefaultNla::new(RTA_GATEWAY, octets(gateway))));
    attributes.push(DefaultNla::new(RTA_ENCAP_TYPE, LWTUNNEL_ENCAP_BPF.to_ne_bytes().to_vec()));
    attributes.push(nested(RTA_ENCAP, &encapsulation));
    attributes
}

fn number(kind: u16, number: u32) -> DefaultNla {
    DefaultNla::new(kind, number.to_ne_bytes().to_vec())
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Reads an address; `None` of bytes of another length.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Reads a route; `None` for those of one kind of service (`tos`), or from some addresses, which have places of their own.
fn read(payload: &[u8]) -> io::Result<Option<RouteInfo>> {
    let (head, rest) = payload.split_at_checked(RTMSG).ok_or_else(|| unreadable("a short message"))?;
    let (family, length, source, tos, protocol, flags) =
        (head[0], head[1], head[2], head[3], head[5], word(&head[8..]));
    if source != 0 || tos != 0 || flags & RTM_F_CLONED != 0 {
        return Ok(None);
    }
    let any = if family == AF_INET { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let (mut to, mut table, mut metric) = (any, u32::from(head[4]), 0);
    let (mut way, mut encapsulation, mut name) = (String::new(), 0, None);
    for attribute in NlasIterator::new(rest) {
        let attribute = attribute.map_err(unreadable)?;
        let value = attribute.value();
        match attribute.kind() {
            RTA_DST => to = address(value).ok_or_else(|| unreadable("no address"))?,
            RTA_TABLE => table = word(value),
            RTA_PRIORITY => metric = word(value),
            RTA_GATEWAY => way += &address(value).map_or(String::new(), |gateway| format!(", by {gateway}")),
            RTA_OIF => way += &format!(", to interface {}", word(value)),
            RTA_ENCAP_TYPE => encapsulation = value.first_chunk().map_or(0, |bytes| u16::from_ne_bytes(*bytes)),
            RTA_ENCAP => name = program_name(value),
            _ => {}
        }
    }
    // Other encapsulations have other attributes by the same numbers.
    let name = name.filter(|_| encapsulation == LWTUNNEL_ENCAP_BPF);
    let program_id = name.as_deref().and_then(signed_id);
    way += &name.map_or(String::new(), |name| format!(", with the program `{name}`"));
    let Some(to) = Subnet::new(to, length) else { return Ok(None) };
    let words = format!("a route of protocol {protocol}{way}");
    Ok(Some(RouteInfo { place: RoutePlace { to, table, metric }, words, program_id }))
}

/// Reads the name of the program of a route, and of several the first one's.
fn program_name(encapsulation: &[u8]) -> Option<String> {
    let programs = NlasIterator::new(encapsulation).flatten();
    let mut programs = programs.filter(|it| matches!(it.kind(), LWT_BPF_IN | LWT_BPF_OUT | LWT_BPF_XMIT));
    programs.find_map(|program| {
        let name = NlasIterator::new(program.value()).flatten().find(|it| it.kind() == LWT_BPF_PROG_NAME)?;
        Some(String::from_utf8_lossy(name.value()).trim_end_matches('\0').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_routes_are_errors_or_nothing() {
        for len in 0..64 {
            for byte in [0, 1, 2, 22, 0xff] {
                // What is read does not matter, only that it ends.
                let _ = read(&vec![byte; len]);
            }
        }
    }
}
