//! What `BPF_PROG_TEST_RUN` takes for each type of program: the packet, and the start of the context as `linux/bpf.h` lays
//! it out. Pure.

use crate::desired::Span;
use crate::diag::{Kind, Problem};
use crate::kernel::RunRequest;
use crate::kinds::{Point, ProgramType};
use crate::manifest::{At, Context};
use crate::packet::protocols::{ETH, IPV6};
use crate::packet::{Seen, field, read};

/// How the kernel runs programs of a type for a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With a frame and a `struct xdp_md`.
    Xdp,
    /// With a frame and a `struct __sk_buff`; whether the program sees Ethernet, and it comes back.
    Skb {
        /// True for tc.
        ethernet: bool,
    },
    /// With a frame; what comes back is a `struct bpf_flow_keys`.
    FlowDissector,
    /// With a `struct bpf_sk_lookup` and no packet.
    SkLookup,
    /// With a packet, and the start of a `struct nf_hook_state`; no packet comes back.
    Netfilter,
}

impl Way {
    /// Returns how programs of a type are run; `None` for those that the kernel cannot run so, or that see no packets.
    pub fn of(program_type: ProgramType) -> Option<Self> {
        Some(match program_type {
            ProgramType::XDP => Self::Xdp,
            ProgramType::SCHED_CLS | ProgramType::SCHED_ACT => Self::Skb { ethernet: true },
            ProgramType::SOCKET_FILTER
            | ProgramType::CGROUP_SKB
            | ProgramType::LWT_IN
            | ProgramType::LWT_OUT
            | ProgramType::LWT_XMIT
            | ProgramType::LWT_SEG6LOCAL => Self::Skb { ethernet: false },
            ProgramType::FLOW_DISSECTOR => Self::FlowDissector,
            ProgramType::SK_LOOKUP => Self::SkLookup,
            ProgramType::NETFILTER => Self::Netfilter,
            _ => return None,
        })
    }

    /// Returns whether the packet comes back as the program left it.
    pub fn returns_packet(self) -> bool {
        match self {
            Self::Xdp | Self::Skb { .. } => true,
            Self::FlowDissector | Self::SkLookup | Self::Netfilter => false,
        }
    }
}

/// What a program gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// How it is run.
    pub way: Way,
    /// The packet; `None` for programs that get none.
    pub packet: Option<Vec<u8>>,
    /// The context.
    pub context: Vec<u8>,
    /// How many bytes of the context come back.
    pub context_len: usize,
    /// How often.
    pub repeat: u32,
}

impl Input {
    /// Returns it as the kernel is asked for it.
    pub fn request(&self) -> RunRequest<'_> {
        RunRequest {
            packet: self.packet.as_deref(),
            context: &self.context,
            context_len: self.context_len,
            repeat: self.repeat,
        }
    }
}

/// Bytes of a `struct __sk_buff`, and where in it are the mark, the priority, and the indexes of the interfaces by which
/// the packet came and on which it is.
const SKB: usize = 192;
/// Where the mark is in a `struct __sk_buff`.
pub const MARK: usize = 8;
/// Where the priority is in a `struct __sk_buff`.
pub const PRIORITY: usize = 32;
const INGRESS_IFINDEX: usize = 36;
const IFINDEX: usize = 40;

/// Makes what a program of a type gets. `ifindex` is the index of the interface that the context names.
///
/// # Errors
/// Keys of the context that programs of the type do not find, and a packet that cannot be given to one.
pub fn input(
    (way, program_type): (Way, ProgramType),
    frame: At<Vec<u8>>,
    (context, ifindex): (&Context, Option<u32>),
    repeat: u32,
) -> Result<Input, Vec<Problem>> {
    let mut wrong = unknown_keys(way, program_type, context);
    let At { value: frame, span } = frame;
    let request = match way {
        Way::Xdp => {
            if let (Some(queue), None) = (&context.queue, ifindex) {
                wrong.push(bad("queue", "it is of an interface, and none is said", queue.span.clone()));
            }
            let len = frame.len() as u32;
            let queue = context.queue.as_ref().map_or(0, |queue| queue.value);
            // data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
            let context = ifindex.map(|ifindex| words(&[0, len, 0, ifindex, queue, 0]));
            (Some(frame), context.unwrap_or_default(), 0)
        }
        Way::Skb { .. } => {
            let mut skb = vec![0; SKB];
            let said = |said: &Option<At<u32>>| said.as_ref().map_or(0, |said| said.value);
            let index = ifindex.unwrap_or(0);
            for (at, number) in [
                (MARK, said(&context.mark)),
                (PRIORITY, said(&context.priority)),
                (INGRESS_IFINDEX, index),
                (IFINDEX, index),
            ] {
                skb[at..at + 4].copy_from_slice(&number.to_ne_bytes());
            }
            (Some(frame), skb, SKB)
        }
        Way::FlowDissector => (Some(frame), Vec::new(), 0),
        Way::SkLookup => match lookup(&frame) {
            Some(lookup) => {
                let len = lookup.len();
                (None, lookup, len)
            }
            None => {
                wrong.push(bad("packet", "a socket is looked up for a packet of TCP or UDP", span));
                (None, Vec::new(), 0)
            }
        },
        Way::Netfilter => {
            let point = context.hook.as_ref().map_or(Point::Output, |hook| hook.value);
            match of_netfilter(frame, point) {
                Ok((packet, state)) => (Some(packet), state, 0),
                Err(why) => {
                    wrong.push(bad("packet", why, span));
                    (None, Vec::new(), 0)
                }
            }
        }
    };
    let (packet, context, context_len) = request;
    if wrong.is_empty() { Ok(Input { way, packet, context, context_len, repeat }) } else { Err(wrong) }
}

fn bad(what: &str, why: &str, span: Span) -> Problem {
    Problem::at(Kind::BadText { text: what.to_owned(), why: why.to_owned() }, span, "here")
}

/// Lists keys of a context that programs do not find.
fn unknown_keys(way: Way, program_type: ProgramType, context: &Context) -> Vec<Problem> {
    let known: &[&str] = match way {
        Way::Xdp => &["interface", "queue"],
        Way::Skb { .. } => &["interface", "mark", "priority"],
        Way::FlowDissector | Way::SkLookup => &[],
        Way::Netfilter => &["hook"],
    };
    let said = [
        ("interface", context.interface.as_ref().map(|at| &at.span)),
        ("queue", context.queue.as_ref().map(|at| &at.span)),
        ("mark", context.mark.as_ref().map(|at| &at.span)),
        ("priority", context.priority.as_ref().map(|at| &at.span)),
        ("hook", context.hook.as_ref().map(|at| &at.span)),
    ];
    let unknown = said.into_iter().filter(|(key, _)| !known.contains(key));
    let why = format!("a test cannot give it to programs of type `{program_type}`");
    unknown.filter_map(|(key, span)| Some(bad(key, &why, span?.clone()))).collect()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Makes a `struct bpf_sk_lookup` of what a packet says: where it comes from is remote, where it goes to is local.
fn lookup(frame: &[u8]) -> Option<Vec<u8>> {
    const LEN: usize = 72;
    let seen = read(frame);
    let (ip, ports) = (seen.headers.iter().rfind(|found| found.protocol.is_ip())?, seen.headers.last()?);
    let of = |found, name| field(frame, found, name);
    let (remote, local) = (of(ip, "src")?, of(ip, "dst")?);
    let (remote_port, local_port) = (of(ports, "sport")? as u16, of(ports, "dport")? as u32);
    let mut bytes = vec![0; LEN];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    let family = if *ip.protocol == IPV6 { libc::AF_INET6 } else { libc::AF_INET };
    put(8, &family.to_ne_bytes());
    put(12, &u32::from(ports.protocol.numbers.ip?).to_ne_bytes());
    // Addresses and the remote port are in network order, the local port is not.
    match *ip.protocol == IPV6 {
        true => {
            put(20, &remote.to_be_bytes());
            put(44, &local.to_be_bytes());
        }
        false => {
            put(16, &(remote as u32).to_be_bytes());
            put(40, &(local as u32).to_be_bytes());
        }
    }
    put(36, &remote_port.to_be_bytes());
    put(60, &local_port.to_ne_bytes());
    Some(bytes)
}

/// Makes what a program of netfilter gets at a hook: the number of the hook and the family, with which a `struct
/// nf_hook_state` starts; behind the hook for output, packets come with Ethernet, and there without it
/// (`bpf_prog_test_run_nf`, net/bpf/test_run.c).
fn of_netfilter(mut frame: Vec<u8>, point: Point) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let Seen { headers, .. } = read(&frame);
    let [ethernet, ip, ..] = headers.as_slice() else { return Err("netfilter gets packets of IP") };
    if *ethernet.protocol != ETH || !ip.protocol.is_ip() {
        return Err("netfilter gets packets of IP, right behind Ethernet");
    }
    let family = if *ip.protocol == IPV6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
    if point == Point::Output {
        frame.drain(..ETH.len);
    }
    Ok((frame, vec![point as u8, family]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::protocols::{IPV4, TCP};
    use crate::packet::{Layer, build};
    use std::collections::BTreeMap;

    fn at<T>(value: T) -> At<T> {
        At { value, span: 0..1 }
    }

    fn frame() -> Vec<u8> {
        let header = |protocol| Layer::Header { protocol, said: BTreeMap::new() };
        build(&[header(&IPV4), header(&TCP)])
    }

    #[test]
    fn contexts_are_laid_out_as_the_kernel_has_them() {
        let context = Context { mark: Some(at(7)), ..Context::default() };
        let of = |program_type, context: &Context, ifindex| {
            let way = Way::of(program_type).expect("it can be run");
            input((way, program_type), at(frame()), (context, ifindex), 1)
        };
        let skb = of(ProgramType::SCHED_CLS, &context, Some(3)).expect("a good context");
        assert_eq!((skb.context.len(), skb.context[MARK], skb.context[IFINDEX]), (192, 7, 3));
        let xdp = of(ProgramType::XDP, &Context::default(), Some(3)).expect("a good context");
        assert_eq!((xdp.context.len(), xdp.context[4], xdp.context[12]), (24, 54, 3));
        assert_eq!(of(ProgramType::XDP, &context, None).expect_err("no mark").len(), 1);
        let lookup = of(ProgramType::SK_LOOKUP, &Context::default(), None).expect("a packet of TCP");
        assert_eq!(lookup.packet, None);
        assert_eq!((&lookup.context[16..20], &lookup.context[36..38]), (&[192, 0, 2, 1][..], &[192, 0][..]));
        assert_eq!((&lookup.context[40..44], &lookup.context[60..62]), (&[192, 0, 2, 2][..], &[80, 0][..]));
        let netfilter = of(ProgramType::NETFILTER, &Context::default(), None).expect("a packet of IP");
        assert_eq!((netfilter.packet.expect("one").len(), netfilter.context), (40, vec![3, 2]));
        assert_eq!(Way::of(ProgramType::SOCK_OPS), None);
    }
}
