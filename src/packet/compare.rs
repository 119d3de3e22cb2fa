//! A packet against what was expected of it: all of its bytes, or the fields that are said.

use super::protocols::ETH;
use super::{Found, Layer, get, read};
use crate::names;

/// One thing that is other than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// What: `ipv4 ttl`, `layer 3`, `payload`.
    pub what: String,
    /// How it should be.
    pub expected: String,
    /// How it is.
    pub is: String,
}

/// Compares a packet with the layers that it should have: these and no others between them, with these fields. Ethernet
/// need not be said, and what is behind the last layer matters only when a payload is.
pub fn compare(expected: &[Layer], packet: &[u8]) -> Vec<Compared> {
    let seen = read(packet);
    let mut found = seen.headers.iter();
    if !matches!(expected.first(), Some(Layer::Header { protocol, .. }) if **protocol == ETH) {
        found.next();
    }
    let mut differences = Vec::new();
    for (number, layer) in expected.iter().enumerate() {
        match layer {
            Layer::Header { protocol, said } => {
                let there = found.next();
                let Some(there) = there.filter(|there| there.protocol == *protocol) else {
                    let is = there.map_or("nothing that is known", |there| there.protocol.name);
                    let what = format!("layer {}", number + 1);
                    differences.push(Compared { what, expected: protocol.name.to_owned(), is: is.to_owned() });
                    // What is behind it cannot be told.
                    return differences;
                };
                differences.extend(said.iter().filter_map(|(name, wanted)| field(there, name, *wanted, packet)));
            }
            Layer::Payload(wanted) => {
                let is = &packet[seen.payload..];
                if is != wanted {
                    let what = "payload".to_owned();
                    differences.push(Compared { what, expected: hex(wanted), is: hex(is) });
                }
            }
        }
    }
    differences
}

fn field(there: &Found, name: &str, wanted: u128, packet: &[u8]) -> Option<Compared> {
    let field = there.protocol.field(name)?;
    let is = get(&packet[there.place.clone()], field);
    (is != wanted).then(|| Compared {
        what: format!("{} {name}", there.protocol.name),
        expected: field.show(wanted).to_string(),
        is: field.show(is).to_string(),
    })
}

/// Writes bytes as the manifest does, and says how many there are where they are too many to read.
fn hex(bytes: &[u8]) -> String {
    const MOST: usize = 32;
    let digits = names::hex(&bytes[..bytes.len().min(MOST)]);
    match bytes.len() > MOST {
        true => format!("hex:{digits}... ({} bytes)", bytes.len()),
        false => format!("hex:{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::super::protocols::{IPV4, Protocol, UDP, VLAN};
    use super::*;

    fn of(protocol: &'static Protocol, said: &[(&'static str, u128)]) -> Layer {
        Layer::Header { protocol, said: said.iter().copied().collect() }
    }

    #[test]
    fn only_what_is_said_counts() {
        let packet = build(&[of(&IPV4, &[("ttl", 63)]), of(&UDP, &[]), Layer::Payload(vec![1, 2])]);
        for (expected, wanted) in [
            (vec![], vec![]),
            (vec![of(&ETH, &[]), of(&IPV4, &[("ttl", 63)])], vec![]),
            (vec![of(&IPV4, &[("ttl", 64), ("src", 1)])], vec!["ipv4 src: 0.0.0.1, 192.0.2.1", "ipv4 ttl: 64, 63"]),
            (vec![of(&VLAN, &[])], vec!["layer 1: vlan, ipv4"]),
            (vec![of(&IPV4, &[]), of(&UDP, &[]), Layer::Payload(vec![1])], vec!["payload: hex:01, hex:0102"]),
        ] {
            let said = compare(&expected, &packet).into_iter();
            let said: Vec<_> = said.map(|it| format!("{}: {}, {}", it.what, it.expected, it.is)).collect();
            assert_eq!(said, wanted);
        }
    }
}
