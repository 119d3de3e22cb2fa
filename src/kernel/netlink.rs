//! One question to rtnetlink: what is this interface, and which XDP programs are on it?
//!
//! Only the attributes that are needed are parsed, so that no new attribute of a newer kernel gets in the way.

use super::{Interface, XdpMode};
use netlink_packet_core::{
    DefaultNla, ErrorBuffer, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NlaBuffer, NlasIterator, Parseable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::io;

/// Longest name of an interface (`IFNAMSIZ` counts its NUL); longer ones are alternative names.
const MAX_NAME: usize = 15;
/// Longest alternative name (`ALTIFNAMSIZ` counts its NUL).
const MAX_ALTERNATIVE_NAME: usize = 127;
/// `NLMSG_ERROR` of `linux/netlink.h`.
const NLMSG_ERROR: u16 = 2;
/// `RTM_NEWLINK` of `linux/rtnetlink.h`.
const RTM_NEWLINK: u16 = 16;
/// `IFLA_XDP` of `linux/if_link.h`.
const IFLA_XDP: u16 = 43;
/// `IFLA_ALT_IFNAME` of `linux/if_link.h`.
const IFLA_ALT_IFNAME: u16 = 53;
/// Size of `struct ifinfomsg`, which stands before the attributes.
const HEADER: usize = 16;

/// Looks an interface of this network namespace up; `None` when there is none.
///
/// A question for one interface is answered before `send` returns, so that an answer is there or never comes.
pub fn interface(name: &str) -> io::Result<Option<Interface>> {
    if name.is_empty() || name.len() > MAX_ALTERNATIVE_NAME || name.contains('\0') {
        return Ok(None);
    }
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    socket.send(&question(name), 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    answer(&bytes)
}

/// Returns the bytes of `RTM_GETLINK` for one name.
fn question(name: &str) -> Vec<u8> {
    let name = name.to_owned();
    let mut link = LinkMessage::default();
    link.attributes.push(match name.len() {
        ..=MAX_NAME => LinkAttribute::IfName(name),
        _ => LinkAttribute::Other(DefaultNla::new(IFLA_ALT_IFNAME, [name.as_bytes(), &[0]].concat())),
    });
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetLink(link));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Reads `RTM_NEWLINK` or an error.
fn answer(bytes: &[u8]) -> io::Result<Option<Interface>> {
    let message = NetlinkBuffer::new_checked(bytes).map_err(unreadable)?;
    match message.message_type() {
        NLMSG_ERROR => {
            let code = ErrorBuffer::new_checked(message.payload()).map_err(unreadable)?.code();
            match code.map(|code| code.get().saturating_neg()) {
                Some(libc::ENODEV) => Ok(None),
                Some(errno) => Err(io::Error::from_raw_os_error(errno)),
                None => Err(unreadable("an acknowledgement")),
            }
        }
        RTM_NEWLINK => link(message.payload()).map(Some),
        other => Err(unreadable(format!("a message of type {other}"))),
    }
}

/// Reads `struct ifinfomsg` and its attributes.
fn link(payload: &[u8]) -> io::Result<Interface> {
    let (header, attributes) = payload.split_at_checked(HEADER).ok_or_else(|| unreadable("a short message"))?;
    let index = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
    let mut xdp = Vec::new();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.map_err(unreadable)?;
        if attribute.kind() == IFLA_XDP {
            xdp = programs(&attribute)?;
        }
    }
    Ok(Interface { index, xdp })
}

/// Reads the program of each mode. The kernel names them one by one since 5.0, however many there are.
fn programs(attribute: &NlaBuffer<&[u8]>) -> io::Result<Vec<(XdpMode, u32)>> {
    let mut found = Vec::new();
    for nested in NlasIterator::new(attribute.value()) {
        let nested = nested.map_err(unreadable)?;
        match LinkXdp::parse(&nested).map_err(unreadable)? {
            LinkXdp::DrvProgId(id) => found.push((XdpMode::Native, id)),
            LinkXdp::SkbProgId(id) => found.push((XdpMode::Generic, id)),
            LinkXdp::HwProgId(id) => found.push((XdpMode::Offload, id)),
            // The attached mode and the only program say the same once more; the rest is for requests.
            _ => {}
        }
    }
    found.retain(|(_, id)| *id != 0);
    found.sort();
    Ok(found)
}

pub(super) fn unreadable(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unreadable answer of rtnetlink: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_answers_are_errors() {
        for len in 0..64 {
            for byte in [0, 1, 0xff] {
                assert!(answer(&vec![byte; len]).is_err(), "{len} times {byte}");
            }
        }
        let mut short = vec![20, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        assert!(answer(&short).is_err());
        short[0] = 19;
        assert!(answer(&short).is_err());
    }

    #[test]
    fn this_hosts_loopback_is_found() {
        assert_eq!(interface("lo").unwrap().map(|found| found.index), Some(1));
        for name in ["", "nosuch0", "nosuch-interface-of-31-characters", "lo\0", &"x".repeat(200)] {
            assert_eq!(interface(name).unwrap(), None, "{name:?}");
        }
    }
}
