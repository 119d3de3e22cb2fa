//! Packets by their layers: built from what a manifest says of them, read back from bytes, and compared.
//!
//! Pure. The tables in [`protocols`] say which fields a layer has and where; building, reading, comparing and the manifest
//! itself all go by them. Every field may be said, also one that makes the packet wrong: what is not said is computed, or
//! has a default.

mod build;
pub mod capture;
mod compare;
pub mod protocols;
mod read;

pub use build::{Fault, build, fault};
pub use compare::{Compared, compare};
pub use read::{Found, Seen, place, read, summary};

use protocols::{Field, Protocol};
use std::collections::BTreeMap;

/// One layer of a packet as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// A header, of which some fields are said, by their names.
    Header {
        /// Of which protocol.
        protocol: &'static Protocol,
        /// The fields that are said; each fits its bits.
        said: BTreeMap<&'static str, u128>,
    },
    /// The bytes behind all headers.
    Payload(Vec<u8>),
}

/// Returns the bits of a header as a number; the first bit is the highest of the first byte. Those behind the end are 0.
fn get(header: &[u8], field: &Field) -> u128 {
    let bit = |at: usize| header.get(at / 8).map_or(0, |byte| u128::from(byte >> (7 - at % 8) & 1));
    (field.bit..field.bit + field.bits).fold(0, |number, at| number << 1 | bit(at))
}

/// Sets the bits of a header.
fn put(header: &mut [u8], field: &Field, number: u128) {
    for (at, bit) in (field.bit..field.bit + field.bits).zip((0..field.bits).rev()) {
        let Some(byte) = header.get_mut(at / 8) else { return };
        let mask = 1 << (7 - at % 8);
        *byte = if number >> bit & 1 == 1 { *byte | mask } else { *byte & !mask };
    }
}

/// Returns what a header of a packet has in a field.
pub fn field(packet: &[u8], found: &Found, name: &str) -> Option<u128> {
    found.protocol.field(name).map(|field| get(&packet[found.place.clone()], field))
}
