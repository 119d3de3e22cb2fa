//! From layers to bytes: from the last layer to the first, so that lengths and checksums know what they are of.

use super::protocols::{Behind, ETH, From, Over, Protocol, Unless};
use super::{Layer, get, put};
use etherparse::checksum::Sum16BitWords;
use std::collections::BTreeMap;

/// What a header says of a payload that no protocol is known of: a number for experiments (IEEE 802, RFC 3692).
const EXPERIMENT: (u16, u8) = (0x88b5, 253);

/// Why layers make no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The number of the layer that is wrong, from 0.
    pub layer: usize,
    /// What is wrong, as a sentence without capital and full stop.
    pub why: &'static str,
}

/// Says what is wrong with the order of layers.
pub fn fault(layers: &[Layer]) -> Option<Fault> {
    let mut before: Option<&Protocol> = None;
    for (number, layer) in layers.iter().enumerate() {
        let wrong = |why| Some(Fault { layer: number, why });
        let protocol = match layer {
            Layer::Payload(_) if number + 1 < layers.len() => return wrong("nothing comes behind the payload"),
            Layer::Payload(_) => continue,
            Layer::Header { protocol, .. } => *protocol,
        };
        let link = before.is_none_or(|before| before.numbers.ip.is_none() && before.numbers.ether != 0x0806)
            && before.is_none_or(|before| before.behind != Behind::Ip);
        let ip = before.is_some_and(Protocol::is_ip);
        let fits = match protocol.behind {
            Behind::Nothing => number == 0,
            Behind::Link => link,
            Behind::LinkOrIp => link || ip,
            Behind::Ip => ip,
        };
        if !fits {
            return wrong(match protocol.behind {
                Behind::Nothing => "Ethernet comes before all other layers",
                Behind::Link => "it comes right behind Ethernet or a VLAN tag",
                Behind::LinkOrIp => "it comes right behind Ethernet, a VLAN tag or IP",
                Behind::Ip => "it comes right behind IP",
            });
        }
        before = Some(protocol);
    }
    None
}

/// Builds a packet. One whose first layer is not Ethernet gets Ethernet before it.
pub fn build(layers: &[Layer]) -> Vec<u8> {
    let has_ethernet = matches!(layers.first(), Some(Layer::Header { protocol, .. }) if **protocol == ETH);
    let ethernet = (!has_ethernet).then(|| Layer::Header { protocol: &ETH, said: BTreeMap::new() });
    let layers: Vec<&Layer> = ethernet.iter().chain(layers).collect();
    let mut behind = Vec::new();
    for (number, layer) in layers.iter().enumerate().rev() {
        let next = match layers.get(number + 1) {
            Some(Layer::Header { protocol, .. }) => Some(*protocol),
            Some(Layer::Payload(_)) | None => None,
        };
        let before = number.checked_sub(1).map(|before| layers[before]);
        behind = match layer {
            Layer::Payload(bytes) => bytes.clone(),
            Layer::Header { protocol, said } => header(protocol, said, (before, next), &behind),
        };
    }
    behind
}

/// Makes a header and puts it before what is behind it.
fn header(
    protocol: &Protocol,
    said: &BTreeMap<&'static str, u128>,
    (before, next): (Option<&Layer>, Option<&Protocol>),
    behind: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; protocol.len];
    for field in protocol.fields {
        let number = said.get(field.name).copied().or_else(|| match field.unless {
            Unless::Is(number) => Some(number),
            Unless::Next => Some(number_of(next, protocol)),
            Unless::Length(From::Start) => Some((protocol.len + behind.len()) as u128),
            Unless::Length(From::End) => Some(behind.len() as u128),
            Unless::Checksum(_) => None,
        });
        if let Some(number) = number {
            put(&mut bytes, field, number & field.most());
        }
    }
    // It is of all other fields.
    for field in protocol.fields {
        if let (Unless::Checksum(over), false) = (field.unless, said.contains_key(field.name)) {
            let sum = checksum(over, protocol, &bytes, before, behind);
            put(&mut bytes, field, u128::from(sum));
        }
    }
    bytes.extend_from_slice(behind);
    bytes
}

/// Returns how a header calls what is behind it.
fn number_of(next: Option<&Protocol>, before: &Protocol) -> u128 {
    match (before.is_ip(), next) {
        (true, Some(next)) => u128::from(next.numbers.ip.unwrap_or(EXPERIMENT.1)),
        (true, None) => u128::from(EXPERIMENT.1),
        (false, Some(next)) => u128::from(next.numbers.ether),
        (false, None) => u128::from(EXPERIMENT.0),
    }
}

fn checksum(over: Over, protocol: &Protocol, header: &[u8], before: Option<&Layer>, behind: &[u8]) -> u16 {
    let sum = Sum16BitWords::new().add_slice(header);
    // All headers have an even number of bytes, so that words stay words.
    let sum = match over {
        Over::Header => sum,
        Over::Rest => sum.add_slice(behind),
        Over::Addresses => {
            let pseudo = pseudo_header(protocol, before, header.len() + behind.len());
            sum.add_slice(behind).add_slice(&pseudo)
        }
    };
    let sum = sum.ones_complement().to_be();
    // UDP has no checksum where it is 0, and in the place of 0 its other form (RFC 768).
    if over == Over::Addresses && protocol.name == "udp" && sum == 0 { u16::MAX } else { sum }
}

/// Returns the addresses, the length and the protocol, as TCP, UDP and ICMPv6 add them to their sums.
fn pseudo_header(protocol: &Protocol, before: Option<&Layer>, len: usize) -> Vec<u8> {
    let Some(Layer::Header { protocol: ip, said }) = before else { return Vec::new() };
    let mut header = vec![0; ip.len];
    let addresses = ["src", "dst"].into_iter().filter_map(|name| ip.field(name));
    for field in addresses.clone() {
        if let Some(number) = said.get(field.name).copied().or(match field.unless {
            Unless::Is(number) => Some(number),
            Unless::Next | Unless::Length(_) | Unless::Checksum(_) => None,
        }) {
            put(&mut header, field, number);
        }
    }
    let mut pseudo = Vec::new();
    for field in addresses {
        let number = get(&header, field).to_be_bytes();
        pseudo.extend_from_slice(&number[16 - field.bits / 8..]);
    }
    pseudo.extend_from_slice(&(len as u32).to_be_bytes());
    pseudo.extend_from_slice(&[0, 0, 0, protocol.numbers.ip.unwrap_or(0)]);
    pseudo
}

#[cfg(test)]
mod tests {
    use super::super::protocols::{ARP, ICMP, ICMPV6, IPV4, IPV6, TCP, UDP, VLAN};
    use super::*;
    use etherparse::{LaxSlicedPacket, SlicedPacket};

    fn of(protocol: &'static Protocol, said: &[(&'static str, u128)]) -> Layer {
        Layer::Header { protocol, said: said.iter().copied().collect() }
    }

    /// Another implementation takes what is built, and finds the same lengths and checksums.
    #[track_caller]
    fn check(layers: &[Layer], has_transport: bool) {
        assert_eq!(fault(layers), None);
        let bytes = build(layers);
        let packet = SlicedPacket::from_ethernet(&bytes).expect("a packet");
        let lax = LaxSlicedPacket::from_ethernet(&bytes).expect("a packet");
        assert_eq!(lax.stop_err, None);
        let net = packet.net.as_ref();
        if let Some(ipv4) = net.and_then(|net| net.ipv4_ref()) {
            assert_eq!(ipv4.header().header_checksum(), ipv4.header().to_header().calc_header_checksum());
        }
        let is = packet.transport.map(|transport| match transport {
            etherparse::TransportSlice::Tcp(tcp) => {
                let header = tcp.to_header();
                let wanted = match net {
                    Some(etherparse::NetSlice::Ipv4(ip)) => {
                        header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload())
                    }
                    Some(etherparse::NetSlice::Ipv6(ip)) => {
                        header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload())
                    }
                    other => panic!("{other:?}"),
                };
                assert_eq!(Ok(header.checksum), wanted);
                header.checksum
            }
            etherparse::TransportSlice::Udp(udp) => {
                let header = udp.to_header();
                let wanted = match net {
                    Some(etherparse::NetSlice::Ipv4(ip)) => {
                        header.calc_checksum_ipv4(&ip.header().to_header(), udp.payload())
                    }
                    Some(etherparse::NetSlice::Ipv6(ip)) => {
                        header.calc_checksum_ipv6(&ip.header().to_header(), udp.payload())
                    }
                    other => panic!("{other:?}"),
                };
                assert_eq!(Ok(header.checksum), wanted);
                header.checksum
            }
            etherparse::TransportSlice::Icmpv4(icmp) => {
                assert_eq!(icmp.checksum(), icmp.icmp_type().calc_checksum(icmp.payload()));
                icmp.checksum()
            }
            etherparse::TransportSlice::Icmpv6(icmp) => {
                let Some(etherparse::NetSlice::Ipv6(ip)) = net else { panic!("{net:?}") };
                let ip = ip.header();
                assert!(icmp.is_checksum_valid(ip.source(), ip.destination()));
                icmp.checksum()
            }
            etherparse::TransportSlice::Igmp(igmp) => panic!("{igmp:?}"),
        });
        assert_eq!(is.is_some(), has_transport);
    }

    #[test]
    fn another_implementation_agrees() {
        let payload = |bytes: &[u8]| Layer::Payload(bytes.to_vec());
        check(&[], false);
        check(&[of(&IPV4, &[]), of(&UDP, &[]), payload(b"odd")], true);
        check(&[of(&IPV4, &[("src", 0x0a01_0203)]), of(&TCP, &[("flags", 0x12)]), payload(b"even")], true);
        check(&[of(&ETH, &[]), of(&IPV6, &[]), of(&TCP, &[])], true);
        check(&[of(&VLAN, &[("id", 7)]), of(&IPV6, &[("dst", 1)]), of(&UDP, &[]), payload(&[0; 1000])], true);
        check(&[of(&VLAN, &[]), of(&VLAN, &[]), of(&IPV4, &[]), of(&ICMP, &[]), payload(b"ping")], true);
        check(&[of(&IPV6, &[]), of(&ICMPV6, &[]), payload(b"ping6")], true);
        check(&[of(&ARP, &[])], false);
    }

    #[test]
    fn what_is_said_is_taken() {
        let bytes = build(&[of(&IPV4, &[("length", 9), ("checksum", 0x1234)]), of(&UDP, &[("length", 4)])]);
        assert_eq!((&bytes[16..18], &bytes[24..26]), (&[0, 9][..], &[0x12, 0x34][..]));
        assert_eq!(bytes[38..40], [0, 4]);
    }

    #[test]
    fn the_order_of_layers_is_checked() {
        let empty = Layer::Payload(Vec::new());
        for (layers, wanted) in [
            (vec![of(&IPV4, &[]), of(&ETH, &[])], Some(1)),
            (vec![of(&UDP, &[])], Some(0)),
            (vec![of(&IPV4, &[]), of(&UDP, &[]), of(&VLAN, &[])], Some(2)),
            (vec![of(&ARP, &[]), of(&IPV4, &[])], Some(1)),
            (vec![empty.clone(), of(&IPV4, &[])], Some(0)),
            (vec![of(&IPV4, &[]), of(&IPV6, &[]), of(&TCP, &[]), empty], None),
        ] {
            assert_eq!(fault(&layers).map(|fault| fault.layer), wanted, "{layers:?}");
        }
    }
}
