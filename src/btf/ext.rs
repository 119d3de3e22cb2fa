//! `.BTF.ext`: which type, source line and relocation belongs to which instruction.
//!
//! Records longer than we know are read as far as we know them, since newer compilers may add fields at the end.

use std::collections::BTreeMap;
use std::ops::Range;

use super::wire::{self, Reader};
use super::{Btf, Encoded, Error, Place, TypeId};

/// A header that ends before the relocations, as clang 9 wrote it.
const HEADER: usize = 24;
const RELOCATIONS_HEADER: usize = 32;

/// What `.BTF.ext` says, by the name of the section that holds the instructions, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BtfExt {
    /// Where functions begin.
    pub funcs: BTreeMap<String, Vec<FuncInfo>>,
    /// Source lines.
    pub lines: BTreeMap<String, Vec<LineInfo>>,
    /// CO-RE relocations.
    pub relos: BTreeMap<String, Vec<Relocation>>,
}

/// The function that begins at an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuncInfo {
    /// Of the instruction in its section, in bytes.
    pub offset: u32,
    /// A [`Type::Func`](super::Type::Func).
    pub ty: TypeId,
}

/// The source line that an instruction comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineInfo {
    /// Of the instruction in its section, in bytes.
    pub offset: u32,
    /// The source file as the compiler was given it; empty when unknown.
    pub file: String,
    /// The text of the line; empty when unknown.
    pub text: String,
    /// From 1.
    pub line: u32,
    /// From 1; 0 when unknown.
    pub column: u32,
}

/// A place where the running kernel's types decide what the instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Of the instruction in its section, in bytes.
    pub offset: u32,
    /// The type as the program was compiled with.
    pub ty: TypeId,
    /// Indices from `ty` to the field, as in `0:1:2`.
    pub access: String,
    /// The number of `enum bpf_core_relo_kind`.
    pub kind: u32,
}
