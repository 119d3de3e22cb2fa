//! Reads bytes as values, by their shape.

use super::address;
use super::number::{Number, Sign, integer, read_bits};
use super::put::{Column, Place};
use super::shape::{Kind, Order, Part, Shape, Shown};
use super::{HEX, Problem, Value, ValueError, to_hex};
use crate::btf::MAX_DEPTH;

impl Shape {
    /// Reads the start of `bytes`. What comes out can be encoded again, but for pointers, for a `bool` that is neither
    /// 0 nor 1, and for the key of an LPM trie with bits behind its prefix.
    ///
    /// # Errors
    /// When the type has no size, is larger than `bytes`, or nests too deep.
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, ValueError> {
        self.check_space(bytes.len())?;
        Show::new(bytes).decode(self, Place::START, MAX_DEPTH)
    }

    /// Returns the start of `bytes` as text, in the order the fields are declared: `{ src = 1, name = "eth0" }`.
    ///
    /// # Errors
    /// As [`Shape::decode`].
    pub fn format(&self, bytes: &[u8]) -> Result<String, ValueError> {
        self.check_space(bytes.len())?;
        let mut text = String::new();
        Show::new(bytes).format(self, Place::START, MAX_DEPTH, &mut text)?;
        Ok(text)
    }
}

impl Column {
    /// Returns what a value has in this column as text, as [`Shape::format`] does.
    ///
    /// # Errors
    /// As [`Shape::decode`].
    pub fn format(&self, bytes: &[u8]) -> Result<String, ValueError> {
        let mut text = String::new();
        Show::new(bytes).format(&self.shape, self.place, MAX_DEPTH, &mut text)?;
        Ok(text)
    }
}

/// Shows bytes, and stops when a small type turns out to hold more than the bytes can.
struct Show<'a> {
    bytes: &'a [u8],
    budget: usize,
}

/// What is at a place, one level deep.
enum View<'a> {
    Scalar(Value),
    List { element: &'a Shape, count: u32 },
    Fields(&'a [Part]),
}

impl<'a> Show<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        // Every bit once as a member and once as a place, and members of unions a few times more.
        let budget = bytes.len().saturating_mul(32).saturating_add(1 << 13);
        Self { bytes, budget }
    }

    fn decode(&mut self, shape: &Shape, place: Place, depth: usize) -> Result<Value, ValueError> {
        let depth = self.spend(shape, depth)?;
        match self.view(shape, place)? {
            View::Scalar(value) => Ok(value),
            View::List { element, count } => (0..count as usize)
                .map(|index| self.decode(element, place.element(element.size.unwrap_or(0), index), depth))
                .collect::<Result<_, _>>()
                .map(Value::List),
            View::Fields(fields) => named(fields)
                .map(|field| Ok((field.name.clone(), self.decode(&field.shape, place.field(field), depth)?)))
                .collect::<Result<_, _>>()
                .map(Value::Table),
        }
    }

    fn format(&mut self, shape: &Shape, place: Place, depth: usize, text: &mut String) -> Result<(), ValueError> {
        let depth = self.spend(shape, depth)?;
        match self.view(shape, place)? {
            View::Scalar(value) => text.push_str(&value.to_string()),
            View::List { element, count } => {
                text.push('[');
                for index in 0..count as usize {
                    text.push_str(if index == 0 { "" } else { ", " });
                    self.format(element, place.element(element.size.unwrap_or(0), index), depth, text)?;
                }
                text.push(']');
            }
            View::Fields(fields) => {
                text.push('{');
                for (index, field) in named(fields).enumerate() {
                    text.push_str(if index == 0 { " " } else { ", " });
                    text.push_str(&field.name);
                    text.push_str(" = ");
                    self.format(&field.shape, place.field(field), depth, text)?;
                }
                text.push_str(if fields.is_empty() { "}" } else { " }" });
            }
        }
        Ok(())
    }

    /// Counts one place; returns how deep the places in it may nest.
    fn spend(&mut self, shape: &Shape, depth: usize) -> Result<usize, ValueError> {
        match (self.budget.checked_sub(1), depth.checked_sub(1)) {
            (Some(budget), Some(depth)) => {
                self.budget = budget;
                Ok(depth)
            }
            (None, _) | (_, None) => Err(Problem::TooLarge { ty: shape.ty.clone() }.into()),
        }
    }

    fn view<'s>(&self, shape: &'s Shape, place: Place) -> Result<View<'s>, ValueError> {
        let size = shape.size.unwrap_or(0);
        Ok(match &shape.kind {
            Kind::Bool => match self.bits(shape, place)? {
                0 => View::Scalar(Value::Bool(false)),
                1 => View::Scalar(Value::Bool(true)),
                other => View::Scalar(Value::Int(other as i128)),
            },
            Kind::Int { order: Order::Big, .. } if place.bits.is_none() => {
                let bytes = self.slice(shape, place, size)?;
                let number = bytes.iter().fold(0, |number, byte| number << 8 | i128::from(*byte));
                View::Scalar(match size {
                    // Who says so of four bytes means an IPv4 address.
                    4 => Value::Text(address::text(bytes).unwrap_or_default()),
                    _ => Value::Int(number),
                })
            }
            Kind::Int { sign, .. } => View::Scalar(integer(self.bits(shape, place)?, place.width(size), *sign)),
            Kind::Float => View::Scalar(Value::Float(match size {
                4 => f32::from_bits(self.bits(shape, place)? as u32).into(),
                8 => f64::from_bits(self.bits(shape, place)? as u64),
                _ => return Err(Problem::NotData { ty: shape.ty.clone() }.into()),
            })),
            Kind::Enum { sign, values } => {
                let (bits, width) = (self.bits(shape, place)?, place.width(size));
                let (_, mask) = Number::limits(width, Sign::Unsigned);
                // In a bit-field, the bits of one value may be those of another one that fits.
                let is_it =
                    |value: i128| value as u128 & mask == bits && Number::new(value).outside(width, *sign).is_none();
                match values.iter().find(|value| is_it(value.value)) {
                    Some(value) => View::Scalar(Value::Text(value.name.to_string())),
                    None => View::Scalar(integer(bits, width, *sign)),
                }
            }
            Kind::Pointer => View::Scalar(Value::Text(format!("{:#x}", self.bits(shape, place)?))),
            Kind::Bytes { count, is_text, shown } => {
                let bytes = self.slice(shape, place, *count)?;
                let text = match (is_text, shown) {
                    (true, _) => text_of(bytes),
                    (false, Shown::Address) => address::text(bytes),
                    (false, Shown::AsTheyAre) => None,
                };
                View::Scalar(Value::Text(text.unwrap_or_else(|| to_hex(bytes))))
            }
            Kind::List { element, count } => View::List { element, count: *count },
            Kind::Fields { fields, shown: Shown::AsTheyAre } => View::Fields(fields),
            Kind::Fields { fields, shown: Shown::Address } => match address::text(self.slice(shape, place, size)?) {
                Some(text) => View::Scalar(Value::Text(text)),
                None => View::Fields(fields),
            },
            Kind::Prefix { key, is_address } => {
                match prefix_text(self.slice(shape, place, size)?).filter(|_| *is_address) {
                    Some(text) => View::Scalar(Value::Text(text)),
                    None => self.view(key, place)?,
                }
            }
            Kind::NotData => return Err(Problem::NotData { ty: shape.ty.clone() }.into()),
            Kind::TooLarge => return Err(Problem::TooLarge { ty: shape.ty.clone() }.into()),
        })
    }

    fn slice(&self, shape: &Shape, place: Place, count: u32) -> Result<&'a [u8], ValueError> {
        let bytes = place.bytes(count as usize).and_then(|range| self.bytes.get(range));
        let space = || Problem::Space { needed: Some(count), given: self.bytes.len(), ty: shape.ty.clone() };
        bytes.ok_or_else(|| space().into())
    }

    fn bits(&self, shape: &Shape, place: Place) -> Result<u128, ValueError> {
        let size = shape.size.unwrap_or(0);
        let space = || Problem::Space { needed: Some(size), given: self.bytes.len(), ty: shape.ty.clone() };
        read_bits(self.bytes, place.bit_offset, place.width(size)).ok_or_else(|| space().into())
    }
}

fn named(fields: &[Part]) -> impl Iterator<Item = &Part> {
    fields.iter().filter(|field| !field.name.is_empty())
}

/// Returns text up to the padding, unless it is none that could be written again.
fn text_of(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    (!text.chars().any(char::is_control) && !text.starts_with(HEX)).then(|| text.to_owned())
}

/// Writes the key of an LPM trie as a prefix, if it is one of an address that could be written again.
fn prefix_text(key: &[u8]) -> Option<String> {
    let (length, data) = key.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let mut masked = data.to_vec();
    address::clear_behind(&mut masked, length);
    let is_prefix = length as usize <= data.len() * 8 && masked == data;
    Some(format!("{}/{length}", address::text(data).filter(|_| is_prefix)?))
}
