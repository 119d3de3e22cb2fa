//! Compares the layouts of two types.
use super::{Btf, TypeId};

/// The first field in which two layouts differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Path to the field.
    pub path: String,
    /// The one side.
    pub left: String,
    /// The other side.
    pub right: String,
}

/// Compares.
pub fn difference(_a: (&Btf, TypeId), _b: (&Btf, TypeId)) -> Option<Difference> {
    None
}
