//! Integers of up to 128 bits, from text and into bits.

use super::Value;
use crate::btf::Encoding;
use std::fmt;

/// How the highest bit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Signed,
    Unsigned,
    /// Enums of compilers that do not say it.
    Either,
}

impl Sign {
    pub(super) fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Signed | Encoding::Char => Self::Signed,
            Encoding::Unsigned | Encoding::Bool => Self::Unsigned,
        }
    }

    pub(super) fn of_enum(signed: bool) -> Self {
        if signed { Self::Signed } else { Self::Either }
    }
}

/// An integer of up to 128 bits with its sign beside it, so that both `i128` and `u128` fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) negative: bool,
    pub(super) magnitude: u128,
}

impl Number {
    pub(super) fn new(value: i128) -> Self {
        Self { negative: value < 0, magnitude: value.unsigned_abs() }
    }

    /// Reads text that is a number: decimal, hexadecimal after `0x`, binary after `0b`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (digits, radix) = match digits.as_bytes() {
            [b'0', b'x', ..] => (&digits[2..], 16),
            [b'0', b'b', ..] => (&digits[2..], 2),
            _ => (digits, 10),
        };
        // `from_str_radix` takes a sign of its own.
        if digits.starts_with(['+', '-']) {
            return None;
        }
        let short = if digits.len() <= 16 { u64::from_str_radix(digits, radix).ok().map(u128::from) } else { None };
        // Most numbers are short, and 128 bits cost several times as much.
        let magnitude = short.or_else(|| u128::from_str_radix(digits, radix).ok())?;
        Some(Self { negative: negative && magnitude != 0, magnitude })
    }

    /// Says why the number does not fit so many bits: the least and the most that do.
    pub(super) fn outside(self, bits: u32, sign: Sign) -> Option<(Self, Self)> {
        let (least, most) = Self::limits(bits, sign);
        let fits = self.magnitude <= if self.negative { least } else { most };
        let least = Self { negative: least != 0, magnitude: least };
        (!fits).then_some((least, Self { negative: false, magnitude: most }))
    }

    /// Returns the number in two's complement, of which the lowest bits are the number in fewer bits.
    pub(super) fn to_bits(self) -> u128 {
        if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude }
    }

    /// Returns the least number (without its sign) and the most that `bits` hold.
    pub(super) fn limits(bits: u32, sign: Sign) -> (u128, u128) {
        let below = |bits: u32| 1u128.checked_shl(bits).map_or(u128::MAX, |over| over - 1);
        let half = bits.checked_sub(1).map_or(0, |bits| 1u128.checked_shl(bits).unwrap_or(0));
        match sign {
            Sign::Unsigned => (0, below(bits)),
            Sign::Signed => (half, half.saturating_sub(1)),
            Sign::Either => (half, below(bits)),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negative { "-" } else { "" }, self.magnitude)
    }
}

/// Writes the lowest `width` bits of `value` from `offset` on, and leaves all other bits as they are.
pub(super) fn write_bits(out: &mut [u8], offset: u64, width: u32, value: u128) -> Option<()> {
    let (first, shift, bytes) = bit_range(out.len(), offset, width)?;
    let mut value = value;
    let (mut left, mut shift) = (width, shift);
    for byte in &mut out[first..first + bytes] {
        let here = left.min(8 - shift);
        let mask = ((1u16 << here) - 1) as u8;
        *byte = *byte & !(mask << shift) | (value as u8 & mask) << shift;
        value >>= here;
        left -= here;
        shift = 0;
    }
    Some(())
}

/// Reads `width` bits from `offset` on.
pub(super) fn read_bits(bytes: &[u8], offset: u64, width: u32) -> Option<u128> {
    let (first, shift, count) = bit_range(bytes.len(), offset, width)?;
    let (mut value, mut done, mut shift) = (0u128, 0, shift);
    for byte in &bytes[first..first + count] {
        let here = (width - done).min(8 - shift);
        let mask = ((1u16 << here) - 1) as u8;
        value |= u128::from(byte >> shift & mask) << done;
        done += here;
        shift = 0;
    }
    Some(value)
}

/// Returns the first byte, the first bit in it, and the number of bytes; none when they are not all within `length`.
fn bit_range(length: usize, offset: u64, width: u32) -> Option<(usize, u32, usize)> {
    let first = usize::try_from(offset / 8).ok()?;
    let shift = (offset % 8) as u32;
    let count = width.checked_add(shift)?.div_ceil(8) as usize;
    (width <= 128 && first.checked_add(count)? <= length).then_some((first, shift, count))
}

/// Reads two hexadecimal digits for each byte.
pub(super) fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// Makes a value of an integer's bits.
pub(super) fn integer(bits: u128, width: u32, sign: Sign) -> Value {
    let unused = 128u32.saturating_sub(width);
    let value = match sign {
        Sign::Signed if unused < 128 => Ok(bits.cast_signed() << unused >> unused),
        Sign::Signed | Sign::Unsigned | Sign::Either => i128::try_from(bits),
    };
    value.map_or_else(|_| Value::Text(bits.to_string()), Value::Int)
}
