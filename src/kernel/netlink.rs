//! Two questions to rtnetlink: what is this interface, and which XDP programs are on it? Which interfaces are there?
//!
//! Both are about the network namespace of the calling thread.
//!
//! Only the attributes that are needed are parsed, so that no new attribute of a newer kernel gets in the way.

use super::{Interface, XdpMode};
use netlink_packet_core::{
    DefaultNla, ErrorBuffer, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NlaBuffer, NlasIterator,
    Parseable,
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
/// `NLMSG_DONE` of `linux/netlink.h`.
const NLMSG_DONE: u16 = 3;
/// `NLM_F_DUMP_INTR` of `linux/netlink.h`: something changed meanwhile, and the list may lack it.
const NLM_F_DUMP_INTR: u16 = 0x10;
/// `IFLA_IFNAME` of `linux/if_link.h`.
const IFLA_IFNAME: u16 = 3;
/// `IFLA_LINK` of `linux/if_link.h`.
const IFLA_LINK: u16 = 5;
/// `IFLA_XDP` of `linux/if_link.h`.
const IFLA_XDP: u16 = 43;
/// `IFLA_PROP_LIST` of `linux/if_link.h`.
const IFLA_PROP_LIST: u16 = 52;
/// `NLA_TYPE_MASK` of `linux/netlink.h`: without the flag of nested attributes.
const NLA_TYPE_MASK: u16 = 0x3fff;
/// `IFLA_ALT_IFNAME` of `linux/if_link.h`.
const IFLA_ALT_IFNAME: u16 = 53;
/// Size of `struct ifinfomsg`, which stands before the attributes.
const HEADER: usize = 16;

/// Looks an interface up; `None` when there is none. `netns` is the inode of the network namespace.
///
/// A question for one interface is answered before `send` returns, so that an answer is there or never comes.
pub fn interface(name: &str, netns: u64) -> io::Result<Option<Interface>> {
    if name.is_empty() || name.len() > MAX_ALTERNATIVE_NAME || name.contains('\0') {
        return Ok(None);
    }
    let socket = socket()?;
    socket.send(&question(name), 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    answer(&bytes, netns)
}

/// Lists the alternative names of an interface, sorted; none of one that is gone.
pub fn other_names(name: &str) -> io::Result<Vec<String>> {
    let socket = socket()?;
    socket.send(&question(name), 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    if answer(&bytes, 0)?.is_none() {
        return Ok(Vec::new());
    }
    let message = NetlinkBuffer::new_checked(&bytes[..]).map_err(unreadable)?;
    let attributes = message.payload().get(HEADER..).ok_or_else(|| unreadable("a short message"))?;
    let mut names = Vec::new();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.map_err(unreadable)?;
        if attribute.kind() & NLA_TYPE_MASK == IFLA_PROP_LIST {
            for nested in NlasIterator::new(attribute.value()) {
                let nested = nested.map_err(unreadable)?;
                names.extend((nested.kind() == IFLA_ALT_IFNAME).then(|| text_of(nested.value())));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Lists the names of all interfaces, sorted. A list during which something changed is asked for once more.
pub fn interfaces() -> io::Result<Vec<String>> {
    loop {
        if let Some(mut names) = dump()? {
            names.sort();
            return Ok(names);
        }
    }
}

/// Asks for all interfaces; `None` when something changed meanwhile.
fn dump() -> io::Result<Option<Vec<String>>> {
    let socket = socket()?;
    socket.send(&bytes_of(LinkMessage::default(), NLM_F_REQUEST | NLM_F_DUMP), 0)?;
    let (mut names, mut whole) = (Vec::new(), true);
    loop {
        // As much as is there is given with each call, and the next part is made by it.
        let (bytes, _) = socket.recv_from_full()?;
        let part = part(&bytes)?;
        names.extend(part.names);
        whole &= part.whole;
        if part.last {
            return Ok(whole.then_some(names));
        }
    }
}

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// A part of a list.
struct Part {
    names: Vec<String>,
    /// Whether the list is what it was when it began.
    whole: bool,
    /// Whether nothing comes behind it.
    last: bool,
}

/// Reads as many `RTM_NEWLINK` as there are.
fn part(mut bytes: &[u8]) -> io::Result<Part> {
    let mut part = Part { names: Vec::new(), whole: true, last: false };
    while !bytes.is_empty() {
        let message = NetlinkBuffer::new_checked(bytes).map_err(unreadable)?;
        part.whole &= message.flags() & NLM_F_DUMP_INTR == 0;
        match message.message_type() {
            NLMSG_DONE => part.last = true,
            RTM_NEWLINK => part.names.push(name(message.payload())?),
            NLMSG_ERROR => return answer(bytes, 0).and(Err(unreadable("an acknowledgement"))),
            other => return Err(unreadable(format!("a message of type {other}"))),
        }
        // Each begins at a multiple of four bytes.
        let len = (message.length() as usize).next_multiple_of(4);
        bytes = bytes.get(len..).unwrap_or_default();
    }
    Ok(part)
}

/// Reads the name of an interface.
fn name(payload: &[u8]) -> io::Result<String> {
    let attributes = payload.get(HEADER..).ok_or_else(|| unreadable("a short message"))?;
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.map_err(unreadable)?;
        if attribute.kind() == IFLA_IFNAME {
            return Ok(text_of(attribute.value()));
        }
    }
    Err(unreadable("an interface without a name"))
}

/// Returns the text before the NUL.
fn text_of(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Returns the bytes of `RTM_GETLINK` for one name.
fn question(name: &str) -> Vec<u8> {
    let name = name.to_owned();
    let mut link = LinkMessage::default();
    link.attributes.push(match name.len() {
        ..=MAX_NAME => LinkAttribute::IfName(name),
        _ => LinkAttribute::Other(DefaultNla::new(IFLA_ALT_IFNAME, [name.as_bytes(), &[0]].concat())),
    });
    bytes_of(link, NLM_F_REQUEST)
}

/// Returns the bytes of `RTM_GETLINK`.
fn bytes_of(link: LinkMessage, flags: u16) -> Vec<u8> {
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetLink(link));
    message.header.flags = flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Reads `RTM_NEWLINK` or an error.
fn answer(bytes: &[u8], netns: u64) -> io::Result<Option<Interface>> {
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
        RTM_NEWLINK => link(message.payload(), netns).map(Some),
        other => Err(unreadable(format!("a message of type {other}"))),
    }
}

/// Reads `struct ifinfomsg` and its attributes.
fn link(payload: &[u8], netns: u64) -> io::Result<Interface> {
    let (header, attributes) = payload.split_at_checked(HEADER).ok_or_else(|| unreadable("a short message"))?;
    let index = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
    let (mut peer, mut xdp) = (None, Vec::new());
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.map_err(unreadable)?;
        match attribute.kind() {
            IFLA_LINK => peer = attribute.value().try_into().ok().map(u32::from_ne_bytes).filter(|peer| *peer != 0),
            IFLA_XDP => xdp = programs(&attribute)?,
            _ => {}
        }
    }
    Ok(Interface { netns, index, peer, xdp })
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
                assert!(answer(&vec![byte; len], 0).is_err(), "{len} times {byte}");
                assert!(len == 0 || part(&vec![byte; len]).is_err(), "{len} times {byte}");
            }
        }
        let mut short = vec![20, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        assert!(answer(&short, 0).is_err());
        assert!(part(&short).is_err());
        short[0] = 19;
        assert!(answer(&short, 0).is_err());
    }

    #[test]
    fn this_hosts_loopback_is_found() {
        assert_eq!(interface("lo", 7).unwrap().map(|found| (found.netns, found.index)), Some((7, 1)));
        assert!(interfaces().unwrap().contains(&"lo".to_owned()));
        for name in ["", "nosuch0", "nosuch-interface-of-31-characters", "lo\0", &"x".repeat(200)] {
            assert_eq!(interface(name, 7).unwrap(), None, "{name:?}");
        }
    }
}
