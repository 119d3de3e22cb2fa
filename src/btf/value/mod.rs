//! Bytes by type: fill a value from what a manifest says, and show one that the kernel holds.
//!
//! A type becomes a [`Shape`] once (`shape` from BTF, `format` from what a manifest writes), which then writes (`put`)
//! and reads (`show`) any number of values. All bytes are little-endian, as the BPF objects that we load are; addresses
//! are in network order.

mod address;
pub mod format;
mod number;
mod put;
mod shape;
mod show;

use std::collections::BTreeMap;
use std::fmt;

use super::{Btf, TypeId};
pub use put::Column;
pub use shape::Shape;

/// What text for bytes starts with.
const HEX: &str = "hex:";

/// A value that has no type yet, as TOML, JSON or CSV has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An integer; those above the range of `i128` are written as text.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// An enum's name, an address, characters, `hex:` and bytes, or a number too large for the source (TOML ends at
    /// 2^63 - 1).
    Text(String),
    /// Elements of an array from the first.
    List(Vec<Value>),
    /// Fields by name.
    Table(BTreeMap<String, Value>),
}

/// Why a value does not fit a type, and at which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// Fields and elements from the outside in, as in `src.addr[2]`; empty for the whole value.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`ty` is always the type as C writes it, `given` what the manifest says")]
pub enum Problem {
    /// A number, below `least` or above `most`.
    Range { given: String, least: String, most: String, ty: String },
    /// Another kind of value; `wants` says which kinds do.
    Kind { given: String, wants: String, ty: String },
    /// More (or for `hex:`, other than) the `allowed` number of `unit`s.
    Length { given: usize, allowed: u32, unit: &'static str, ty: String },
    /// No field has the name; `near` is one that looks like it.
    Field { given: String, near: Option<String>, ty: String },
    /// No value of the enum has the name; `near` is one that looks like it.
    Name { given: String, near: Option<String>, ty: String },
    /// The length of a prefix in bits, above the `most` that its address has.
    PrefixLength { given: u32, most: u32 },
    /// An address with bits behind the end of its prefix; `right` has none.
    Prefix { given: String, right: String },
    /// Pointers, functions and `void` cannot be written by a manifest.
    NotData { ty: String },
    /// The type has `needed` bytes (none: no size), and there are `given`.
    Space { needed: Option<u32>, given: usize, ty: String },
    /// The type nests too deep or holds too much to be shown.
    TooLarge { ty: String },
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { given, least, most, ty } => {
                write!(f, "{given} is not in {least} to {most}, the range of `{ty}`")
            }
            Self::Kind { given, wants, ty } => write!(f, "{given} is given, `{ty}` wants {wants}"),
            Self::Length { given, allowed, unit, ty } => {
                write!(f, "{given} {unit} are given, `{ty}` has {allowed}")
            }
            Self::Field { given, ty, .. } => write!(f, "`{ty}` has no field `{given}`"),
            Self::Name { given, ty, .. } => write!(f, "`{ty}` has no value `{given}`"),
            Self::PrefixLength { given, most } => {
                write!(f, "a prefix of {given} bits is given, and the address has {most}")
            }
            Self::Prefix { given, right } => write!(f, "{given} has bits behind its prefix, which is {right}"),
            Self::NotData { ty } => write!(f, "a `{ty}` cannot be written"),
            Self::Space { needed: Some(needed), given, ty } => {
                write!(f, "`{ty}` has {needed} bytes, there are {given}")
            }
            Self::Space { needed: None, ty, .. } => write!(f, "`{ty}` has no size"),
            Self::TooLarge { ty } => write!(f, "`{ty}` is too deep or too large"),
        }
    }
}

impl std::error::Error for ValueError {}

impl ValueError {
    /// Returns the way out, where one is known: `did you mean ...`.
    pub fn help(&self) -> Option<String> {
        match &self.problem {
            Problem::Field { near: Some(near), .. } | Problem::Name { near: Some(near), .. } => {
                Some(format!("did you mean `{near}`?"))
            }
            Problem::Field { .. }
            | Problem::Name { .. }
            | Problem::Range { .. }
            | Problem::Kind { .. }
            | Problem::Length { .. }
            | Problem::PrefixLength { .. }
            | Problem::Prefix { .. }
            | Problem::NotData { .. }
            | Problem::Space { .. }
            | Problem::TooLarge { .. } => None,
        }
    }

    /// Returns the same without what was given, for values that nobody may see.
    #[must_use]
    pub fn hidden(self) -> Self {
        let hide = || "what is given".to_owned();
        let problem = match self.problem {
            Problem::Range { least, most, ty, .. } => Problem::Range { given: hide(), least, most, ty },
            Problem::Kind { wants, ty, .. } => Problem::Kind { given: "something else".to_owned(), wants, ty },
            Problem::Field { ty, .. } => Problem::Field { given: hide(), near: None, ty },
            Problem::Name { ty, .. } => Problem::Name { given: hide(), near: None, ty },
            Problem::Prefix { .. } => Problem::Prefix { given: hide(), right: "another one".to_owned() },
            Problem::Length { .. }
            | Problem::PrefixLength { .. }
            | Problem::NotData { .. }
            | Problem::Space { .. }
            | Problem::TooLarge { .. } => self.problem,
        };
        Self { path: self.path, problem }
    }

    /// Puts `name` before the path: the error is in that field of something larger.
    pub fn below(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }
}

impl From<Problem> for ValueError {
    fn from(problem: Problem) -> Self {
        Self { path: String::new(), problem }
    }
}

/// Writes `value` into the start of `out` as a value of the type `id`. What the value does not name keeps its bytes.
///
/// # Errors
/// When the value does not fit the type, or `out` is too short. Some fields may then be written already.
pub fn encode(btf: &Btf, id: TypeId, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
    Shape::of(btf, id).encode(value, out)
}

/// Reads the start of `bytes` as a value of the type `id`: see [`Shape::decode`].
///
/// # Errors
/// As [`Shape::decode`].
pub fn decode(btf: &Btf, id: TypeId, bytes: &[u8]) -> Result<Value, ValueError> {
    Shape::of(btf, id).decode(bytes)
}

/// Returns the start of `bytes` as text: see [`Shape::format`].
///
/// # Errors
/// As [`Shape::decode`].
pub fn format(btf: &Btf, id: TypeId, bytes: &[u8]) -> Result<String, ValueError> {
    Shape::of(btf, id).format(bytes)
}

/// Returns the name that looks most like `given`, if one does: a third of its letters may differ.
fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    // Long texts are no slips of the finger, and the distance costs their product.
    let names = names.filter(|_| given.len() <= 128);
    names
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(given.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name.to_owned())
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    HEX.chars().chain(digits).collect()
}

impl fmt::Display for Value {
    /// Writes the value as TOML does, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Bool(value) => value.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Table(table) => {
                f.write_str("{")?;
                for (index, (name, value)) in table.iter().enumerate() {
                    write!(f, "{} {name} = {value}", if index == 0 { "" } else { "," })?;
                }
                f.write_str(if table.is_empty() { "}" } else { " }" })
            }
        }
    }
}

impl TryFrom<serde_json::Value> for Value {
    type Error = &'static str;

    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        use serde_json::Value as Json;
        Ok(match value {
            Json::Null => return Err("it has `null`, which is no value"),
            Json::Bool(truth) => Self::Bool(truth),
            Json::Number(number) => match (number.as_i128(), number.as_f64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::Float(number),
                (None, None) => return Err("it has a number that nothing can hold"),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(list) => Self::List(list.into_iter().map(Self::try_from).collect::<Result<_, _>>()?),
            Json::Object(table) => {
                let fields = table.into_iter().map(|(name, value)| Self::try_from(value).map(|value| (name, value)));
                Self::Table(fields.collect::<Result<_, _>>()?)
            }
        })
    }
}

impl From<Value> for serde_json::Value {
    /// Integers stay exact: those outside 64 bits become text, and so do infinities.
    fn from(value: Value) -> Self {
        match value {
            Value::Int(value) => match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => value.into(),
                (Err(_), Ok(value)) => value.into(),
                (Err(_), Err(_)) => value.to_string().into(),
            },
            Value::Float(value) if value.is_finite() => value.into(),
            Value::Float(value) => value.to_string().into(),
            Value::Bool(value) => value.into(),
            Value::Text(text) => text.into(),
            Value::List(list) => list.into_iter().map(Self::from).collect(),
            Value::Table(table) => table.into_iter().map(|(name, value)| (name, Self::from(value))).collect(),
        }
    }
}
