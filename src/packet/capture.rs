//! Captures: the packets of a pcap or pcapng file, as frames of Ethernet.

use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use std::fmt;

/// More than one block of a sound capture has: `tcpdump` takes 256 KiB of a packet at most.
const LARGEST_BLOCK: usize = 1 << 20;
/// The type, the length and the length again: each block of pcapng has these (draft-ietf-opsawg-pcapng, section 3.1).
const SMALLEST_BLOCK: u32 = 12;
/// The LINKTYPEs of raw IP, of any version and of the fourth and the sixth.
const RAW_IP: [i32; 3] = [101, 228, 229];

/// Why a file is no capture that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureError {
    /// It is neither pcap nor pcapng.
    NoCapture,
    /// It is one, and broken behind so many packets.
    Broken(usize),
    /// Its packets are of a kind of link of which no frames of Ethernet can be made.
    Link(i32),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCapture => f.write_str("it is neither pcap nor pcapng"),
            Self::Broken(packets) => write!(f, "it is broken behind packet {packets}"),
            Self::Link(link) => {
                write!(f, "its packets are of link type {link}, and neither Ethernet, raw IP nor Linux \"cooked\"")
            }
        }
    }
}

impl std::error::Error for CaptureError {}

/// Reads all packets of a capture, as far as they were captured.
///
/// # Errors
/// When it is no capture, broken, or of another kind of link than Ethernet, raw IP or Linux "cooked".
pub fn packets(file: &[u8]) -> Result<Vec<Vec<u8>>, CaptureError> {
    let mut reader = create_reader(LARGEST_BLOCK, file).map_err(|_| CaptureError::NoCapture)?;
    let (mut packets, mut links) = (Vec::new(), Vec::new());
    // Where the next block starts, and how its length is written once that is known: in a file of pcapng.
    let (mut at, mut length) = (0, None::<fn([u8; 4]) -> u32>);
    loop {
        // The parser subtracts what each block has from this before it checks it.
        let told = file.get(at + 4..).and_then(<[u8]>::first_chunk).copied().zip(length);
        if told.is_some_and(|(bytes, length)| length(bytes) < SMALLEST_BLOCK) {
            return Err(CaptureError::Broken(packets.len()));
        }
        let whole = match reader.next() {
            Ok((len, block)) => {
                let packet = match &block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        links = vec![header.network];
                        None
                    }
                    PcapBlockOwned::Legacy(packet) => Some((0, packet.data)),
                    PcapBlockOwned::NG(block) => {
                        if let Block::SectionHeader(section) = block {
                            length = Some(if section.big_endian() { u32::from_be_bytes } else { u32::from_le_bytes });
                        }
                        of_block(block, &mut links)
                    }
                };
                if let Some((interface, bytes)) = packet {
                    let link = links.get(interface).copied().ok_or(CaptureError::Broken(packets.len()))?;
                    packets.push(frame(bytes, link)?);
                }
                reader.consume(len);
                at += len;
                true
            }
            Err(PcapError::Eof) => return Ok(packets),
            Err(PcapError::Incomplete(_)) => false,
            Err(_) => return Err(CaptureError::Broken(packets.len())),
        };
        if !whole && (reader.reader_exhausted() || reader.refill().is_err()) {
            return Err(CaptureError::Broken(packets.len()));
        }
    }
}

/// Takes a block of pcapng: a packet with the number of its interface, or what is said of interfaces.
fn of_block<'a>(block: &Block<'a>, links: &mut Vec<Linktype>) -> Option<(usize, &'a [u8])> {
    match block {
        Block::SectionHeader(_) => links.clear(),
        Block::InterfaceDescription(interface) => links.push(interface.linktype),
        Block::EnhancedPacket(packet) => {
            return Some((packet.if_id as usize, captured(packet.data, packet.caplen)));
        }
        Block::SimplePacket(packet) => return Some((0, captured(packet.data, packet.origlen))),
        // Names, statistics and the like.
        _ => {}
    }
    None
}

/// Leaves out what a block is filled up with.
fn captured(data: &[u8], len: u32) -> &[u8] {
    data.get(..len as usize).unwrap_or(data)
}

/// Makes a frame of Ethernet of a captured packet.
fn frame(bytes: &[u8], link: Linktype) -> Result<Vec<u8>, CaptureError> {
    let ethernet = |kind: [u8; 2], packet: &[u8]| [&[0; 12], &kind[..], packet].concat();
    let cut = |at: usize, kind: usize| {
        let kind = bytes.get(kind..).and_then(<[u8]>::first_chunk::<2>).copied().unwrap_or_default();
        ethernet(kind, bytes.get(at..).unwrap_or_default())
    };
    Ok(match link {
        Linktype::ETHERNET => bytes.to_vec(),
        Linktype::LINUX_SLL => cut(16, 14),
        Linktype::LINUX_SLL2 => cut(20, 0),
        Linktype(raw) if RAW_IP.contains(&raw) => {
            let version = bytes.first().map_or(4, |byte| byte >> 4);
            ethernet(if version == 6 { [0x86, 0xdd] } else { [0x08, 0x00] }, bytes)
        }
        Linktype(other) => return Err(CaptureError::Link(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pcap file of packets of a kind of link.
    fn pcap(link: u32, packets: &[&[u8]]) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        [2u16, 4].into_iter().for_each(|version| file.extend(version.to_le_bytes()));
        [0, 0, 262_144, link].into_iter().for_each(|word: u32| file.extend(word.to_le_bytes()));
        for packet in packets {
            let len = packet.len() as u32;
            [0, 0, len, len].into_iter().for_each(|word| file.extend(word.to_le_bytes()));
            file.extend_from_slice(packet);
        }
        file
    }

    /// A pcapng file of one packet of Ethernet.
    fn pcapng(packet: &[u8]) -> Vec<u8> {
        let block = |kind: u32, body: &[u8]| {
            let len = (body.len() + 12) as u32;
            [&kind.to_le_bytes(), &len.to_le_bytes(), body, &len.to_le_bytes()].concat()
        };
        let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        let interface = [1, 0, 0, 0, 0, 0, 4, 0];
        let len = (packet.len() as u32).to_le_bytes();
        let mut body = [&[0; 12][..], &len, &len, packet].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        [block(0x0a0d_0d0a, &section), block(1, &interface), block(6, &body)].concat()
    }

    #[test]
    fn captures_are_read() {
        let ip = [0x45, 0, 0, 20];
        let sll = [&[0; 14][..], &[8, 0], &ip].concat();
        let of_ip = [&[0; 12][..], &[8, 0], &ip].concat();
        for (file, wanted) in [
            (pcap(1, &[b"one packet here", b"two"]), Ok(vec![b"one packet here".to_vec(), b"two".to_vec()])),
            (pcap(1, &[]), Ok(vec![])),
            (pcap(101, &[&ip]), Ok(vec![of_ip.clone()])),
            (pcap(113, &[&sll]), Ok(vec![of_ip])),
            (pcap(147, &[b"x"]), Err(CaptureError::Link(147))),
            (pcapng(b"hello"), Ok(vec![b"hello".to_vec()])),
            (b"hello, this is no capture at all".to_vec(), Err(CaptureError::NoCapture)),
            (Vec::new(), Err(CaptureError::NoCapture)),
        ] {
            assert_eq!(packets(&file), wanted);
        }
        let short_block =
            [&pcapng(b"hello")[..], &0x8000_0001_u32.to_le_bytes(), &10_u32.to_le_bytes(), &[0; 8]].concat();
        assert_eq!(packets(&short_block), Err(CaptureError::Broken(1)));
        let whole = pcap(1, &[b"one packet here", b"two"]);
        assert_eq!(packets(&whole[..whole.len() - 1]), Err(CaptureError::Broken(1)));
    }
}
