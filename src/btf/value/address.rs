//! Addresses as people write them: IPv4 and IPv6, prefixes of them, and MAC. Their bytes are in network order.

use core::net::IpAddr;

/// The bytes of an address, as many as it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    bytes: [u8; 16],
    len: u8,
}

impl Address {
    fn of(bytes: &[u8]) -> Self {
        let mut all = [0; 16];
        all[..bytes.len()].copy_from_slice(bytes);
        Self { bytes: all, len: bytes.len() as u8 }
    }

    /// Reads an IPv4 or IPv6 address, or a MAC address with colons or dashes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ip(text).or_else(|| mac(text).map(|bytes| Self::of(&bytes)))
    }

    /// Reads an IPv4 or IPv6 address.
    pub(super) fn ip(text: &str) -> Option<Self> {
        match text.parse().ok()? {
            IpAddr::V4(address) => Some(Self::of(&address.octets())),
            IpAddr::V6(address) => Some(Self::of(&address.octets())),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Returns its length in bits.
    pub(super) fn bits(&self) -> u32 {
        u32::from(self.len) * 8
    }

    /// Returns the address with all bits behind the first `prefix` zero.
    pub(super) fn masked(mut self, prefix: u32) -> Self {
        clear_behind(&mut self.bytes, prefix);
        self
    }
}

/// Makes all bits behind the first `prefix` zero.
pub(super) fn clear_behind(bytes: &mut [u8], prefix: u32) {
    for (byte, at) in bytes.iter_mut().zip((0u32..).step_by(8)) {
        let kept = prefix.saturating_sub(at).min(8);
        *byte &= !(0xff_u32 >> kept) as u8;
    }
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let separator = *text.as_bytes().get(2).filter(|byte| matches!(byte, b':' | b'-'))?;
    let mut bytes = [0; 6];
    let mut parts = text.split(char::from(separator));
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

/// Writes 4 or 16 bytes as an IP address, and 6 as a MAC address; none for another number of bytes.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(bytes).to_string());
    }
    if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        return Some(IpAddr::from(bytes).to_string());
    }
    let [a, b, c, d, e, f] = <[u8; 6]>::try_from(bytes).ok()?;
    Some(format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (given, bytes) in [
            ("10.1.2.3", &[10, 1, 2, 3][..]),
            ("::1", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("2001:db8::", &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("0a:1b:2c:3d:4e:5f", &[0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]),
        ] {
            let address = Address::parse(given).expect(given);
            assert_eq!((address.bytes(), text(bytes).as_deref()), (bytes, Some(given)));
        }
        assert_eq!(Address::parse("0A-1B-2C-3D-4E-5F"), Address::parse("0a:1b:2c:3d:4e:5f"));
        for wrong in
            ["", "10.1.2", "10.1.2.256", "010.1.2.3", "0a:1b:2c:3d:4e", "0a:1b:2c:3d:4e:5f:60", "0a:1b-2c:3d:4e:5f"]
        {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bits_behind_a_prefix_are_cleared() {
        for (prefix, kept) in
            [(0, "0.0.0.0"), (1, "128.0.0.0"), (8, "255.0.0.0"), (20, "255.255.240.0"), (32, "255.255.255.255")]
        {
            let all = Address::parse("255.255.255.255").expect("an address");
            assert_eq!(Some(all.masked(prefix)), Address::parse(kept), "{prefix}");
        }
    }
}
