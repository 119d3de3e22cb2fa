//! The BPF Type Format: parse, encode, compare and fill by type.

pub mod layout;
pub mod value;

/// Number of a type in its BTF; 0 is `void`.
pub type TypeId = u32;

/// The types of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Btf {}
