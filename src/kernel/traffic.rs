//! Commands to rtnetlink that attach programs: filters of clsact, and XDP.
//!
//! Attributes are written and read one by one: what a kernel says beyond them does not get in the way.

use super::netlink::unreadable;
use crate::direct::{Filter, FilterInfo, Qdisc};
use crate::kinds::AttachType;
use netlink_packet_core::{
    DefaultNla, Emitable, ErrorBuffer, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkBuffer,
    NlaBuffer, NlasIterator,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::io;

/// Numbers of `linux/netlink.h`, `linux/rtnetlink.h`, `linux/pkt_sched.h`, `linux/pkt_cls.h` and `linux/if_link.h`.
mod number {
    pub const NLMSG_ERROR: u16 = 2;
    pub const NLMSG_DONE: u16 = 3;
    pub const RTM_SETLINK: u16 = 19;
    pub const RTM_NEWQDISC: u16 = 36;
    pub const RTM_DELQDISC: u16 = 37;
    pub const RTM_GETQDISC: u16 = 38;
    pub const RTM_NEWTFILTER: u16 = 44;
    pub const RTM_DELTFILTER: u16 = 45;
    pub const RTM_GETTFILTER: u16 = 46;
    pub const TC_H_CLSACT: u32 = 0xffff_fff1;
    pub const TC_H_INGRESS: u32 = 0xffff_fff2;
    pub const TC_H_EGRESS: u32 = 0xffff_fff3;
    /// The handle of both clsact and ingress.
    pub const HANDLE: u32 = 0xffff_0000;
    pub const TCA_KIND: u16 = 1;
    pub const TCA_OPTIONS: u16 = 2;
    pub const TCA_CHAIN: u16 = 11;
    pub const TCA_BPF_FD: u16 = 6;
    pub const TCA_BPF_NAME: u16 = 7;
    pub const TCA_BPF_FLAGS: u16 = 8;
    pub const TCA_BPF_ID: u16 = 11;
    pub const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;
    pub const IFLA_XDP: u16 = 43;
    pub const IFLA_XDP_FD: u16 = 1;
    pub const IFLA_XDP_FLAGS: u16 = 3;
    pub const IFLA_XDP_EXPECTED_FD: u16 = 8;
    pub const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1;
    pub const XDP_FLAGS_REPLACE: u32 = 1 << 4;
    /// That the value of an attribute is attributes (`NLA_F_NESTED`).
    pub const NESTED: u16 = 1 << 15;
}
use number::*;

/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Size of `struct tcmsg`.
const TCMSG: usize = 20;

/// `struct tcmsg`
#[derive(Debug, Clone, Copy)]
struct Tc {
    ifindex: u32,
    handle: u32,
    parent: u32,
    info: u32,
}

impl Tc {
    /// The head of messages about a filter: its priority, and its protocol in the order of the network.
    fn of(filter: &Filter) -> Self {
        let info = u32::from(filter.priority) << 16 | u32::from(filter.protocol.to_be());
        Self { ifindex: filter.device.ifindex, handle: filter.handle, parent: parent(filter.attach_type), info }
    }

    fn bytes(self) -> Vec<u8> {
        let Self { ifindex, handle, parent, info } = self;
        [0, ifindex, handle, parent, info].map(u32::to_ne_bytes).concat()
    }

    fn read(payload: &[u8]) -> io::Result<(Self, &[u8])> {
        let (head, attributes) = payload.split_at_checked(TCMSG).ok_or_else(|| unreadable("a short message"))?;
        let [ifindex, handle, parent, info] = [4, 8, 12, 16].map(|at| word(&head[at..]));
        Ok((Self { ifindex, handle, parent, info }, attributes))
    }
}

fn parent(attach_type: AttachType) -> u32 {
    if attach_type == AttachType::TCX_EGRESS { TC_H_EGRESS } else { TC_H_INGRESS }
}

/// Reads the number at the start of at least four bytes; 0 of fewer.
pub(super) fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// Makes the qdisc clsact; there may be one already.
pub fn make_clsact(ifindex: u32) -> io::Result<()> {
    let head = Tc { ifindex, handle: HANDLE, parent: TC_H_CLSACT, info: 0 };
    match change(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, head.bytes(), &[text(TCA_KIND, "clsact")]) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result,
    }
}

/// Removes the qdisc clsact.
pub fn remove_clsact(ifindex: u32) -> io::Result<()> {
    let head = Tc { ifindex, handle: HANDLE, parent: TC_H_CLSACT, info: 0 };
    change(RTM_DELQDISC, 0, head.bytes(), &[text(TCA_KIND, "clsact")])
}

/// Makes a filter, or lets the one that is there run another program at once.
pub fn set_filter(filter: &Filter, program: i32, name: &str, replaces: bool) -> io::Result<()> {
    let options = [
        DefaultNla::new(TCA_BPF_FD, program.to_ne_bytes().to_vec()),
        text(TCA_BPF_NAME, name),
        DefaultNla::new(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes().to_vec()),
    ];
    let flags = if replaces { 0 } else { NLM_F_CREATE | NLM_F_EXCL };
    let attributes = [kind_and_chain(filter), vec![nested(TCA_OPTIONS, &options)]].concat();
    change(RTM_NEWTFILTER, flags, Tc::of(filter).bytes(), &attributes)
}

/// Removes a filter.
pub fn remove_filter(filter: &Filter) -> io::Result<()> {
    change(RTM_DELTFILTER, 0, Tc::of(filter).bytes(), &kind_and_chain(filter))
}

fn kind_and_chain(filter: &Filter) -> Vec<DefaultNla> {
    let mut attributes = vec![text(TCA_KIND, "bpf")];
    if filter.chain != 0 {
        attributes.push(DefaultNla::new(TCA_CHAIN, filter.chain.to_ne_bytes().to_vec()));
    }
    attributes
}

/// Reads the qdisc for filters of an interface, with its filters; `None` when there is none.
pub fn qdisc(ifindex: u32) -> io::Result<Option<Qdisc>> {
    let head = Tc { ifindex, handle: 0, parent: 0, info: 0 };
    let mut found = None;
    dump(RTM_GETQDISC, head.bytes(), |payload| {
        let (head, attributes) = Tc::read(payload)?;
        if head.ifindex == ifindex && head.parent == TC_H_CLSACT {
            let has_egress = kind(attributes)? == "clsact";
            found = Some(Qdisc { has_egress, filters: Vec::new() });
        }
        Ok(())
    })?;
    let Some(mut qdisc) = found else { return Ok(None) };
    for attach_type in [AttachType::TCX_INGRESS, AttachType::TCX_EGRESS] {
        if qdisc.has_egress || attach_type == AttachType::TCX_INGRESS {
            let head = Tc { ifindex, handle: 0, parent: parent(attach_type), info: 0 };
            dump(RTM_GETTFILTER, head.bytes(), |payload| {
                qdisc.filters.extend(filter(payload, attach_type)?);
                Ok(())
            })?;
        }
    }
    Ok(Some(qdisc))
}

/// Reads a filter; `None` for what only heads those of one priority.
fn filter(payload: &[u8], attach_type: AttachType) -> io::Result<Option<FilterInfo>> {
    let (head, attributes) = Tc::read(payload)?;
    if head.handle == 0 {
        return Ok(None);
    }
    let protocol = u16::from_be((head.info & 0xffff) as u16);
    let (mut chain, mut program_id, mut direct_action) = (0, None, false);
    let kind = kind(attributes)?;
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.map_err(unreadable)?;
        match attribute.kind() {
            TCA_CHAIN => chain = word(attribute.value()),
            TCA_OPTIONS if kind == "bpf" => {
                program_id = option(&attribute, TCA_BPF_ID)?;
                let flags = option(&attribute, TCA_BPF_FLAGS)?.unwrap_or(0);
                direct_action = flags & TCA_BPF_FLAG_ACT_DIRECT != 0;
            }
            _ => {}
        }
    }
    let (priority, handle) = ((head.info >> 16) as u16, head.handle);
    Ok(Some(FilterInfo { attach_type, chain, priority, protocol, handle, kind, program_id, direct_action }))
}

fn option(options: &NlaBuffer<&[u8]>, wanted: u16) -> io::Result<Option<u32>> {
    for option in NlasIterator::new(options.value()) {
        let option = option.map_err(unreadable)?;
        if option.kind() == wanted {
            return Ok(Some(word(option.value())));
        }
    }
    Ok(None)
}

fn kind(attributes: &[u8]) -> io::Result<String> {
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.map_err(unreadable)?;
        if attribute.kind() == TCA_KIND {
            return Ok(String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned());
        }
    }
    Ok(String::new())
}

/// Sets the XDP program of an interface: `program` in the place of `expected`, either of which may be none. `mode` is one
/// of `XDP_FLAGS_*`, or 0.
pub fn set_xdp(ifindex: u32, mode: u32, program: Option<i32>, expected: Option<i32>) -> io::Result<()> {
    let how = if expected.is_some() { XDP_FLAGS_REPLACE } else { XDP_FLAGS_UPDATE_IF_NOEXIST };
    let mut xdp = vec![
        DefaultNla::new(IFLA_XDP_FD, program.unwrap_or(-1).to_ne_bytes().to_vec()),
        DefaultNla::new(IFLA_XDP_FLAGS, (mode | how).to_ne_bytes().to_vec()),
    ];
    xdp.extend(expected.map(|fd| DefaultNla::new(IFLA_XDP_EXPECTED_FD, fd.to_ne_bytes().to_vec())));
    // `struct ifinfomsg` with nothing but the index.
    let head = [0, ifindex, 0, 0].map(u32::to_ne_bytes).concat();
    change(RTM_SETLINK, 0, head, &[nested(IFLA_XDP, &xdp)])
}

pub(super) fn text(kind: u16, text: &str) -> DefaultNla {
    DefaultNla::new(kind, [text.as_bytes(), &[0]].concat())
}

pub(super) fn nested(kind: u16, inner: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind | NESTED, emitted(inner))
}

fn emitted(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

/// Makes a change, and waits for the kernel's word on it. Whether a change was made of which no word came is unknown.
pub(super) fn change(kind: u16, flags: u16, head: Vec<u8>, attributes: &[DefaultNla]) -> io::Result<()> {
    let mut done = None;
    ask(kind, flags | NLM_F_ACK, head, attributes, |message| {
        if message.message_type() == NLMSG_ERROR {
            done = Some(acknowledged(message));
        }
        Ok(done.is_some())
    })?;
    done.unwrap_or_else(|| Err(unreadable("no acknowledgement")))
}

/// Asks for a list, and gives each of its messages to `each`.
pub(super) fn dump(kind: u16, head: Vec<u8>, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    ask(kind, NLM_F_DUMP, head, &[], |message| match message.message_type() {
        NLMSG_DONE => Ok(true),
        NLMSG_ERROR => acknowledged(message).map(|()| true),
        _ => each(message.payload()).map(|()| false),
    })
}

fn acknowledged(message: &NetlinkBuffer<&[u8]>) -> io::Result<()> {
    let error = ErrorBuffer::new_checked(message.payload()).map_err(unreadable)?;
    match error.code() {
        None => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.get().saturating_neg())),
    }
}

/// Sends a request, and gives each message of the answer to `each` until that has enough. The kernel answers before
/// `send` returns, and makes more of a list whenever a part of it is read.
fn ask(
    kind: u16,
    flags: u16,
    head: Vec<u8>,
    attributes: &[DefaultNla],
    mut each: impl FnMut(&NetlinkBuffer<&[u8]>) -> io::Result<bool>,
) -> io::Result<()> {
    let payload = [head, emitted(attributes)].concat();
    let len = u32::try_from(HEADER + payload.len()).map_err(unreadable)?;
    let mut request = NetlinkBuffer::new(vec![0; HEADER + payload.len()]);
    request.set_length(len);
    request.set_message_type(kind);
    request.set_flags(NLM_F_REQUEST | flags);
    let mut request = request.into_inner();
    request[HEADER..].copy_from_slice(&payload);
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    socket.send(&request, 0)?;
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest).map_err(unreadable)?;
            if each(&message)? {
                return Ok(());
            }
            let len = (message.length() as usize).next_multiple_of(4);
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_filters_are_errors_or_nothing() {
        for len in 0..64 {
            for byte in [0, 1, 0xff] {
                // What is read does not matter, only that it ends.
                let _ = filter(&vec![byte; len], AttachType::TCX_INGRESS);
            }
        }
    }
}
