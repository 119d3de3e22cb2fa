//! Bytes by type: fill a value from what a manifest says, and show one from what the kernel holds.

use std::collections::BTreeMap;

/// A value without a type yet, as TOML, JSON or CSV has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer up to 64 bits, and most of 128.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text: an enum's name, characters, `hex:` and bytes, or a number too large for the source.
    Text(String),
    /// Elements of an array from the first.
    List(Vec<Value>),
    /// Fields by name.
    Table(BTreeMap<String, Value>),
}
