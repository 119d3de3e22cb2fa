//! The fields of the layers that packets are built from: where they lie, how they are written, and what they are unless
//! somebody says it.
//!
//! Layouts are those of IEEE 802.3 and 802.1Q, RFC 826, 791, 8200, 9293, 768, 792 and 4443. Addresses by default are those
//! for documentation (RFC 5737 and 3849).

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt;

/// A protocol whose headers can be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Protocol {
    /// As the manifest calls it.
    pub name: &'static str,
    /// What an editor says of it.
    pub about: &'static str,
    /// Bytes of a header without options.
    pub len: usize,
    /// Its fields, from the first bit on.
    pub fields: &'static [Field],
    /// What it can be behind.
    pub behind: Behind,
    /// The number that says so in the header before it: of Ethernet's types, or of IP's protocols.
    pub numbers: Numbers,
}

/// What a header can be behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing: it is the first one.
    Nothing,
    /// Ethernet or a VLAN tag.
    Link,
    /// Ethernet, a VLAN tag, or IP.
    LinkOrIp,
    /// IP.
    Ip,
}

/// How other headers call a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Its EtherType; 0 for none.
    pub ether: u16,
    /// Its number among the protocols of IP; `None` for none.
    pub ip: Option<u8>,
}

/// A field of a header.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// As the manifest calls it.
    pub name: &'static str,
    /// Where it starts: bits from the start of the header.
    pub bit: usize,
    /// How many bits it has, at most 128.
    pub bits: usize,
    /// How it is written.
    pub form: Form,
    /// What it is when nobody says it.
    pub unless: Unless,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a number.
    Number,
    /// As a number in hexadecimal digits where people read it.
    Hex,
    /// `02:00:00:00:00:01`
    Mac,
    /// `192.0.2.1`
    Ipv4,
    /// `2001:db8::1`
    Ipv6,
    /// The names of TCP's flags.
    Flags,
}

/// What a field is when nobody says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unless {
    /// This.
    Is(u128),
    /// The number of what comes behind the header.
    Next,
    /// The bytes from the start of the header, or from behind it, to the end of the packet.
    Length(From),
    /// The checksum of the header alone, or of all from the header on and, but for ICMP, the addresses of IP.
    Checksum(Over),
}

/// From where bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The header's first byte.
    Start,
    /// The first byte behind it.
    End,
}

/// What a checksum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The header.
    Header,
    /// The header and all behind it.
    Rest,
    /// The addresses of IP, the header and all behind it.
    Addresses,
}

/// TCP's flags from the lowest bit on.
pub const TCP_FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

const fn number(name: &'static str, bit: usize, bits: usize, default: u128) -> Field {
    Field { name, bit, bits, form: Form::Number, unless: Unless::Is(default) }
}

const fn computed(name: &'static str, bit: usize, unless: Unless) -> Field {
    Field { name, bit, bits: 16, form: Form::Number, unless }
}

const fn checksum(bit: usize, over: Over) -> Field {
    Field { name: "checksum", bit, bits: 16, form: Form::Hex, unless: Unless::Checksum(over) }
}

const fn ether_type(bit: usize) -> Field {
    Field { name: "type", bit, bits: 16, form: Form::Hex, unless: Unless::Next }
}

const fn mac(name: &'static str, bit: usize, last: u128) -> Field {
    let default = if last == 0 { 0 } else { 0x0200_0000_0000 | last };
    Field { name, bit, bits: 48, form: Form::Mac, unless: Unless::Is(default) }
}

const fn ipv4(name: &'static str, bit: usize, last: u128) -> Field {
    Field { name, bit, bits: 32, form: Form::Ipv4, unless: Unless::Is(0xc000_0200 | last) }
}

const fn ipv6(name: &'static str, bit: usize, last: u128) -> Field {
    Field { name, bit, bits: 128, form: Form::Ipv6, unless: Unless::Is(0x2001_0db8 << 96 | last) }
}

/// Ethernet.
pub static ETH: Protocol = Protocol {
    name: "eth",
    about: "Ethernet. A packet whose first layer is another one gets it with all defaults.",
    len: 14,
    fields: &[mac("dst", 0, 2), mac("src", 48, 1), ether_type(96)],
    behind: Behind::Nothing,
    numbers: Numbers { ether: 0, ip: None },
};

/// A VLAN tag.
pub static VLAN: Protocol = Protocol {
    name: "vlan",
    about: "A VLAN tag (802.1Q); the outer one of two is mostly of `type = 0x88a8` in the layer before it.",
    len: 4,
    fields: &[number("priority", 0, 3, 0), number("dei", 3, 1, 0), number("id", 4, 12, 1), ether_type(16)],
    behind: Behind::Link,
    numbers: Numbers { ether: 0x8100, ip: None },
};

/// ARP for IPv4 over Ethernet.
pub static ARP: Protocol = Protocol {
    name: "arp",
    about: "ARP for IPv4 over Ethernet: `operation` 1 asks, 2 answers.",
    len: 28,
    fields: &[
        number("hardware", 0, 16, 1),
        number("protocol", 16, 16, 0x0800),
        number("hardware_size", 32, 8, 6),
        number("protocol_size", 40, 8, 4),
        number("operation", 48, 16, 1),
        mac("sender_mac", 64, 1),
        ipv4("sender", 112, 1),
        mac("target_mac", 144, 0),
        ipv4("target", 192, 2),
    ],
    behind: Behind::Link,
    numbers: Numbers { ether: 0x0806, ip: None },
};

/// IPv4 without options.
pub static IPV4: Protocol = Protocol {
    name: "ipv4",
    about: "IPv4. `length`, `protocol` and `checksum` are computed unless they are said.",
    len: 20,
    fields: &[
        number("version", 0, 4, 4),
        number("header_length", 4, 4, 5),
        number("tos", 8, 8, 0),
        computed("length", 16, Unless::Length(From::Start)),
        number("id", 32, 16, 0),
        number("df", 49, 1, 0),
        number("mf", 50, 1, 0),
        number("fragment", 51, 13, 0),
        number("ttl", 64, 8, 64),
        Field { name: "protocol", bit: 72, bits: 8, form: Form::Number, unless: Unless::Next },
        checksum(80, Over::Header),
        ipv4("src", 96, 1),
        ipv4("dst", 128, 2),
    ],
    behind: Behind::LinkOrIp,
    numbers: Numbers { ether: 0x0800, ip: Some(4) },
};

/// IPv6 without extension headers.
pub static IPV6: Protocol = Protocol {
    name: "ipv6",
    about: "IPv6. `length` and `next_header` are computed unless they are said.",
    len: 40,
    fields: &[
        number("version", 0, 4, 6),
        number("traffic_class", 4, 8, 0),
        number("flow_label", 12, 20, 0),
        computed("length", 32, Unless::Length(From::End)),
        Field { name: "next_header", bit: 48, bits: 8, form: Form::Number, unless: Unless::Next },
        number("hop_limit", 56, 8, 64),
        ipv6("src", 64, 1),
        ipv6("dst", 192, 2),
    ],
    behind: Behind::LinkOrIp,
    numbers: Numbers { ether: 0x86dd, ip: Some(41) },
};

/// TCP without options.
pub static TCP: Protocol = Protocol {
    name: "tcp",
    about: "TCP. `flags` are a list of `fin`, `syn`, `rst`, `psh`, `ack`, `urg`, `ece`, `cwr`, or a number; `[\"syn\"]` \
            unless they are said.",
    len: 20,
    fields: &[
        number("sport", 0, 16, 49152),
        number("dport", 16, 16, 80),
        number("seq", 32, 32, 1),
        number("ack", 64, 32, 0),
        number("header_length", 96, 4, 5),
        Field { name: "flags", bit: 104, bits: 8, form: Form::Flags, unless: Unless::Is(2) },
        number("window", 112, 16, 64240),
        checksum(128, Over::Addresses),
        number("urgent", 144, 16, 0),
    ],
    behind: Behind::Ip,
    numbers: Numbers { ether: 0, ip: Some(6) },
};

/// UDP.
pub static UDP: Protocol = Protocol {
    name: "udp",
    about: "UDP. `length` and `checksum` are computed unless they are said.",
    len: 8,
    fields: &[
        number("sport", 0, 16, 49152),
        number("dport", 16, 16, 53),
        computed("length", 32, Unless::Length(From::Start)),
        checksum(48, Over::Addresses),
    ],
    behind: Behind::Ip,
    numbers: Numbers { ether: 0, ip: Some(17) },
};

/// ICMP.
pub static ICMP: Protocol = Protocol {
    name: "icmp",
    about: "ICMP: an echo request unless `type` says otherwise.",
    len: 8,
    fields: &icmp(8, Over::Rest),
    behind: Behind::Ip,
    numbers: Numbers { ether: 0, ip: Some(1) },
};

/// ICMPv6.
pub static ICMPV6: Protocol = Protocol {
    name: "icmpv6",
    about: "ICMPv6: an echo request unless `type` says otherwise.",
    len: 8,
    fields: &icmp(128, Over::Addresses),
    behind: Behind::Ip,
    numbers: Numbers { ether: 0, ip: Some(58) },
};

const fn icmp(echo_request: u128, over: Over) -> [Field; 5] {
    [
        number("type", 0, 8, echo_request),
        number("code", 8, 8, 0),
        checksum(16, over),
        number("id", 32, 16, 1),
        number("seq", 48, 16, 1),
    ]
}

/// Every protocol, from the outside in.
pub static PROTOCOLS: [&Protocol; 9] = [&ETH, &VLAN, &ARP, &IPV4, &IPV6, &TCP, &UDP, &ICMP, &ICMPV6];

impl Protocol {
    /// Finds a protocol by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROTOCOLS.into_iter().find(|protocol| protocol.name == name)
    }

    /// Finds a field by its name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Returns whether it is IP.
    pub fn is_ip(&self) -> bool {
        self.behind == Behind::LinkOrIp
    }

    /// Returns the field that says what comes behind the header.
    pub fn next(&self) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.unless == Unless::Next)
    }
}

impl Field {
    /// Returns the largest number that it can hold.
    pub fn most(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// Returns how it is written with this number in it.
    pub fn show(&self, number: u128) -> Shown<'_> {
        Shown(self, number)
    }
}

/// A number as its field is written.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(&'a Field, u128);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(field, number) = *self;
        match field.form {
            Form::Number => write!(f, "{number}"),
            Form::Hex => write!(f, "{number:#06x}"),
            Form::Mac => {
                let [_, _, bytes @ ..] = (number as u64).to_be_bytes();
                let bytes = bytes.map(|byte| format!("{byte:02x}"));
                f.write_str(&bytes.join(":"))
            }
            Form::Ipv4 => Ipv4Addr::from(number as u32).fmt(f),
            Form::Ipv6 => Ipv6Addr::from(number).fmt(f),
            Form::Flags => {
                let set = TCP_FLAGS.iter().enumerate().filter(|(bit, _)| number >> bit & 1 == 1);
                let set = set.map(|(_, name)| *name).collect::<Vec<_>>().join(",");
                f.write_str(if set.is_empty() { "none" } else { &set })
            }
        }
    }
}
