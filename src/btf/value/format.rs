//! The formats of keys and values that a manifest writes where an object has no types, or other ones.
//!
//! One name (`"ipv4"`), the same with `/prefix` for the key of an LPM trie, or a list of fields that lie one behind the
//! other: `["src: ipv4", "port: be16", "proto: u8", "bytes[1]"]`. Bytes without a name are always zero.

use super::number::Sign;
use super::shape::{Kind, Order, Part, Shape, Shown};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What the names of formats are, for messages.
const NAMES: &str = "u8 u16 u32 u64 s8 s16 s32 s64 be16 be32 be64 ipv4 ipv6 mac bool char[N] bytes[N], and for LPM \
                     tries ipv4/prefix and ipv6/prefix";
const FIELDS: &str = "u8 u16 u32 u64 s8 s16 s32 s64 be16 be32 be64 ipv4 ipv6 mac bool char[N] bytes[N]";

/// The most bytes of a format: the kernel has no larger keys, and values of this size need BTF to be written at all.
const MOST_BYTES: u32 = 1 << 20;

/// How the keys and values of a map are written, where a manifest says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats {
    /// Of its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Format>,
    /// Of its values; for a per-CPU map, of the value of one CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Format>,
}

impl Formats {
    /// Returns whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.value.is_none()
    }
}

/// A format, with the shape that it stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Format {
    written: Written,
    shape: Arc<Shape>,
}

/// A format as a manifest writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Written {
    /// A name.
    One(String),
    /// Fields, one behind the other.
    List(Vec<String>),
}

impl Format {
    /// Returns how its values lie in bytes.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }
}

impl TryFrom<Written> for Format {
    type Error = String;

    /// The error says what is wrong, as a sentence without capital and full stop.
    fn try_from(written: Written) -> Result<Self, String> {
        let shape = match &written {
            Written::One(name) => one(name),
            Written::List(fields) => list(fields.iter().map(String::as_str)),
        }?;
        Ok(Self { written, shape })
    }
}

impl From<Format> for Written {
    fn from(format: Format) -> Self {
        format.written
    }
}

/// The shape comes from what is written.
impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Format {}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => f.write_str(name),
            Self::List(fields) => f.write_str(&fields.join(", ")),
        }
    }
}

/// Prepares the values of one format.
///
/// # Errors
/// What is wrong, as a sentence without capital and full stop.
pub fn one(text: &str) -> Result<Arc<Shape>, String> {
    let (name, is_prefix) = text.strip_suffix("/prefix").map_or((text, false), |name| (name, true));
    let shape = scalar(name).ok_or_else(|| format!("the formats are {NAMES}"))?;
    if !is_prefix {
        return Ok(Arc::new(shape));
    }
    if !matches!(name, "ipv4" | "ipv6") {
        return Err("the formats of prefixes are ipv4/prefix and ipv6/prefix".to_owned());
    }
    Ok(prefix_of(text.to_owned(), shape))
}

/// Prepares the values of a list of formats, each with a name before it where it is to have one.
///
/// # Errors
/// What is wrong, as a sentence without capital and full stop.
pub fn list<'a>(fields: impl IntoIterator<Item = &'a str>) -> Result<Arc<Shape>, String> {
    let (mut parts, mut end): (Vec<Part>, u32) = (Vec::new(), 0);
    for text in fields {
        let (name, format) = text.split_once(':').map_or(("", text), |(name, format)| (name.trim(), format.trim()));
        let shape = scalar(format).ok_or_else(|| format!("`{format}` is none of the formats of fields, {FIELDS}"))?;
        if text.contains(':') && name.is_empty() {
            return Err(format!("`{text}` has no name before the colon"));
        }
        if !name.is_empty() && parts.iter().any(|part| part.name == name) {
            return Err(format!("two fields are called `{name}`"));
        }
        let start = end;
        end += shape.size.unwrap_or(0);
        if end > MOST_BYTES {
            return Err(format!("these are more than {MOST_BYTES} bytes"));
        }
        parts.push(Part {
            name: name.to_owned(),
            shape: Arc::new(shape),
            bit_offset: u64::from(start) * 8,
            bits: None,
        });
    }
    if parts.iter().all(|part| part.name.is_empty()) {
        return Err("none of its fields has a name: write `\"NAME: FORMAT\"`".to_owned());
    }
    let names: Vec<_> = parts.iter().map(|part| part.shape.ty.as_str()).collect();
    let ty = format!("[{}]", names.join(", "));
    Ok(Arc::new(Shape::fields(ty, end, parts, Shown::AsTheyAre)))
}

/// Prepares the key of an LPM trie of which nothing but the size is known: four bytes behind the length are an IPv4
/// address, sixteen an IPv6 address.
pub fn prefix_of_size(size: u32) -> Arc<Shape> {
    let data = size.saturating_sub(4);
    match data {
        4 => prefix_of("ipv4/prefix".to_owned(), address("ipv4", 4)),
        16 => prefix_of("ipv6/prefix".to_owned(), address("ipv6", 16)),
        _ => prefix_of(
            format!("prefix of {data} bytes"),
            Shape::bytes(format!("bytes[{data}]"), data, false, Shown::AsTheyAre),
        ),
    }
}

fn prefix_of(ty: String, data: Shape) -> Arc<Shape> {
    let size = data.size.unwrap_or(0) + 4;
    let length = Shape::int("u32".to_owned(), 4, Sign::Unsigned, Order::Little);
    let part =
        |name: &str, shape, bit_offset| Part { name: name.to_owned(), shape: Arc::new(shape), bit_offset, bits: None };
    let parts = vec![part("prefixlen", length, 0), part("data", data, 32)];
    Shape::prefix_of(Arc::new(Shape::fields(ty, size, parts, Shown::AsTheyAre)))
}

fn scalar(name: &str) -> Option<Shape> {
    let int = |size, sign, order| Some(Shape::int(name.to_owned(), size, sign, order));
    let unsigned = |size| int(size, Sign::Unsigned, Order::Little);
    let signed = |size| int(size, Sign::Signed, Order::Little);
    let big = |size| int(size, Sign::Unsigned, Order::Big);
    match name {
        "u8" => unsigned(1),
        "u16" => unsigned(2),
        "u32" => unsigned(4),
        "u64" => unsigned(8),
        "s8" => signed(1),
        "s16" => signed(2),
        "s32" => signed(4),
        "s64" => signed(8),
        "be16" => big(2),
        "be32" => big(4),
        "be64" => big(8),
        "ipv4" => Some(address("ipv4", 4)),
        "ipv6" => Some(address("ipv6", 16)),
        "mac" => Some(address("mac", 6)),
        "bool" => Some(Shape::plain(name.to_owned(), 1, Kind::Bool)),
        _ => {
            let (kind, count) = name.strip_suffix(']')?.split_once('[')?;
            let count = count.parse().ok().filter(|count| (1..=MOST_BYTES).contains(count))?;
            match kind {
                "char" => Some(Shape::bytes(name.to_owned(), count, true, Shown::AsTheyAre)),
                "bytes" => Some(Shape::bytes(name.to_owned(), count, false, Shown::AsTheyAre)),
                _ => None,
            }
        }
    }
}

fn address(name: &str, size: u32) -> Shape {
    Shape::bytes(name.to_owned(), size, false, Shown::Address)
}
