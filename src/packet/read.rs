//! From bytes to layers: as far as the headers tell what is behind them, and as the bytes last.

use super::protocols::{ARP, ETH, ICMP, ICMPV6, IPV4, IPV6, Protocol, TCP, UDP, VLAN};
use super::{get, protocols};
use std::fmt::Write as _;
use std::ops::Range;

/// EtherTypes that only VLAN tags have: of 802.1Q, of 802.1ad, and of before that.
const TAGS: [u128; 3] = [0x8100, 0x88a8, 0x9100];
/// Extension headers of IPv6 that say their length in units of eight bytes, less one (RFC 8200).
const EXTENSIONS: [u128; 3] = [0, 43, 60];
/// The extension header of IPv6 for fragments, of eight bytes.
const FRAGMENT: u128 = 44;

/// A header that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Of which protocol.
    pub protocol: &'static Protocol,
    /// Where it lies in the packet, with its options.
    pub place: Range<usize>,
}

/// What a packet was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its headers, from the outside in.
    pub headers: Vec<Found>,
    /// Where the rest begins.
    pub payload: usize,
}

/// What may be behind a header.
enum Next {
    Ether(u128),
    Ip(u128),
    Nothing,
}

/// Finds the headers of a packet that begins with Ethernet. A header that is cut off is no header.
pub fn read(packet: &[u8]) -> Seen {
    let mut seen = Seen { headers: Vec::new(), payload: 0 };
    let mut protocol = Some(&ETH);
    while let Some(current) = protocol {
        let Some(header) = packet.get(seen.payload..).filter(|rest| rest.len() >= current.len) else { break };
        let (len, next) = after(current, header);
        let end = (seen.payload + len.max(current.len)).min(packet.len());
        seen.headers.push(Found { protocol: current, place: seen.payload..end });
        seen.payload = end;
        protocol = match next {
            Next::Ether(number) if TAGS.contains(&number) => Some(&VLAN),
            Next::Ether(number) => [&ARP, &IPV4, &IPV6].into_iter().find(|it| u128::from(it.numbers.ether) == number),
            Next::Ip(number) => {
                let known = [&IPV4, &IPV6, &TCP, &UDP, &ICMP, &ICMPV6].into_iter();
                known.into_iter().find(|it| it.numbers.ip.map(u128::from) == Some(number))
            }
            Next::Nothing => None,
        };
    }
    seen
}

/// Returns how long a header is with its options, and what is behind it.
fn after(protocol: &Protocol, header: &[u8]) -> (usize, Next) {
    let field = |name: &str| protocol.field(name).map_or(0, |field| get(header, field));
    match protocol.name {
        "eth" | "vlan" => (protocol.len, Next::Ether(field("type"))),
        "ipv4" => {
            // Only the first fragment has the header of what it carries.
            let next = if field("fragment") == 0 { Next::Ip(field("protocol")) } else { Next::Nothing };
            (4 * field("header_length") as usize, next)
        }
        "ipv6" => extensions(header, field("next_header")),
        "tcp" => (4 * field("header_length") as usize, Next::Nothing),
        _ => (protocol.len, Next::Nothing),
    }
}

/// Goes over the extension headers of IPv6.
fn extensions(header: &[u8], first: u128) -> (usize, Next) {
    let (mut len, mut next) = (IPV6.len, first);
    while let Some([then, units, _, offset, ..]) = header.get(len..).and_then(<[u8]>::first_chunk::<8>) {
        if EXTENSIONS.contains(&next) {
            len += 8 * (usize::from(*units) + 1);
        } else if next == FRAGMENT {
            let high = u16::from(header[len + 2]) << 8 | u16::from(*offset);
            len += 8;
            if high >> 3 != 0 {
                return (len, Next::Nothing);
            }
        } else {
            break;
        }
        next = u128::from(*then);
    }
    (len, Next::Ip(next))
}

/// Names the layer and the field that a byte of a packet is in.
pub fn place(seen: &Seen, byte: usize) -> String {
    let Some(found) = seen.headers.iter().find(|found| found.place.contains(&byte)) else {
        return "payload".to_owned();
    };
    let bits = 8 * (byte - found.place.start)..8 * (byte - found.place.start) + 8;
    let fields =
        found.protocol.fields.iter().filter(|field| field.bit < bits.end && field.bit + field.bits > bits.start);
    let names: Vec<_> = fields.map(|field| field.name).collect();
    match names.as_slice() {
        [] => format!("{} options", found.protocol.name),
        names => format!("{} {}", found.protocol.name, names.join("/")),
    }
}

/// Says in one line what a packet is: its innermost addresses, what it carries, and its length.
pub fn summary(packet: &[u8]) -> String {
    let seen = read(packet);
    let shown = |found: &Found, name: &str| {
        let field = found.protocol.field(name);
        field.map_or(String::new(), |field| field.show(get(&packet[found.place.clone()], field)).to_string())
    };
    let mut text = String::new();
    let tags = seen.headers.iter().filter(|found| *found.protocol == VLAN);
    tags.for_each(|tag| write!(text, "vlan {} ", shown(tag, "id")).expect("writing to a String never fails"));
    let network = seen.headers.iter().rfind(|found| found.protocol.is_ip());
    let last = seen.headers.last();
    let ports = last.filter(|found| [&protocols::TCP, &protocols::UDP].contains(&found.protocol));
    text.push_str(&match (network, ports, last) {
        (Some(ip), Some(ports), _) => {
            let end = |address, port| endpoint(ip.protocol, &shown(ip, address), &shown(ports, port));
            let flags = shown(ports, "flags");
            let flags = if flags.is_empty() { flags } else { format!(" [{flags}]") };
            format!("{} > {} {}{flags}", end("src", "sport"), end("dst", "dport"), ports.protocol.name)
        }
        (Some(ip), None, last) => {
            let inner = last.filter(|last| !last.protocol.is_ip());
            let carries = match inner {
                Some(inner) => format!("{} type {}", inner.protocol.name, shown(inner, "type")),
                None => {
                    let next = ip.protocol.next().map_or("", |next| next.name);
                    format!("{} protocol {}", ip.protocol.name, shown(ip, next))
                }
            };
            format!("{} > {} {carries}", shown(ip, "src"), shown(ip, "dst"))
        }
        (None, _, Some(arp)) if *arp.protocol == ARP => {
            format!("arp {} for {}", shown(arp, "sender"), shown(arp, "target"))
        }
        (None, _, Some(last)) => {
            let ethernet = &seen.headers[0];
            format!("{} > {} type {}", shown(ethernet, "src"), shown(ethernet, "dst"), shown(last, "type"))
        }
        (None, _, None) => "no whole Ethernet header".to_owned(),
    });
    write!(text, ", {} bytes", packet.len()).expect("writing to a String never fails");
    text
}

fn endpoint(ip: &Protocol, address: &str, port: &str) -> String {
    if *ip == IPV6 { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, build};
    use super::*;

    fn of(protocol: &'static Protocol, said: &[(&'static str, u128)]) -> Layer {
        Layer::Header { protocol, said: said.iter().copied().collect() }
    }

    #[test]
    fn packets_are_said_in_one_line() {
        for (layers, wanted) in [
            (vec![of(&IPV4, &[]), of(&UDP, &[])], "192.0.2.1:49152 > 192.0.2.2:53 udp, 42 bytes"),
            (
                vec![of(&VLAN, &[("id", 7)]), of(&IPV6, &[]), of(&TCP, &[("flags", 0x12)])],
                "vlan 7 [2001:db8::1]:49152 > [2001:db8::2]:80 tcp [syn,ack], 78 bytes",
            ),
            (vec![of(&IPV4, &[]), of(&ICMP, &[])], "192.0.2.1 > 192.0.2.2 icmp type 8, 42 bytes"),
            (vec![of(&IPV4, &[("fragment", 9)]), of(&UDP, &[])], "192.0.2.1 > 192.0.2.2 ipv4 protocol 17, 42 bytes"),
            (vec![of(&ARP, &[])], "arp 192.0.2.1 for 192.0.2.2, 42 bytes"),
            (vec![], "02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88b5, 14 bytes"),
        ] {
            assert_eq!(summary(&build(&layers)), wanted);
        }
        assert_eq!(summary(&[0; 13]), "no whole Ethernet header, 13 bytes");
    }

    /// Whatever the bytes are, reading them ends, and says nothing of bytes that are not there.
    #[test]
    fn any_bytes_are_read() {
        let whole = build(&[of(&VLAN, &[]), of(&IPV6, &[("next_header", 0)]), Layer::Payload(vec![0; 64])]);
        for len in 0..whole.len() {
            for byte in 0..=255 {
                let mut bytes = whole[..len].to_vec();
                let last = bytes.len().saturating_sub(1);
                if let Some(at) = bytes.get_mut(last) {
                    *at = byte;
                }
                let seen = read(&bytes);
                assert!(seen.payload <= bytes.len());
                summary(&bytes);
            }
        }
    }

    #[test]
    fn bytes_have_names() {
        let bytes = build(&[of(&IPV4, &[]), of(&UDP, &[]), Layer::Payload(vec![1])]);
        let seen = read(&bytes);
        for (byte, name) in [
            (0, "eth dst"),
            (12, "eth type"),
            (14, "ipv4 version/header_length"),
            (22, "ipv4 ttl"),
            (37, "udp dport"),
            (42, "payload"),
        ] {
            assert_eq!(place(&seen, byte), name);
        }
    }
}
