//! An object file as its author meant it: maps in three dialects, programs, relocations.
//!
//! Nothing here knows of manifests or kernels. `parse` looks at the whole file once; `Object::link` makes
//! the final instructions of one program, so that a program which nobody asked for cannot be in the way.

use crate::btf::{Btf, TypeId};
use crate::insn::Code;
use crate::kinds::{AttachType, ProgramType};
use crate::spec::MapSpec;
use std::fmt;
use std::sync::Arc;

/// A parsed object file.
#[derive(Debug, Clone)]
pub struct Object {
    /// The text of section `license`; without it the kernel takes the program as not GPL.
    pub license: Option<String>,
    /// The number in section `version`, which kprobes wanted before Linux 5.0.
    pub kernel_version: Option<u32>,
    /// Every map, in the order that `#0`, `#1` ... count: legacy, then BTF, then data sections.
    pub maps: Vec<Map>,
    /// Every function that a section name or a manifest can make a program, by section and offset.
    pub programs: Vec<Program>,
    /// BTF, with its data sections' sizes and offsets filled in from the symbols.
    pub btf: Option<Arc<Btf>>,
}

/// How the object spells a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A variable in `.maps`, described by BTF.
    Btf,
    /// `struct bpf_map_def` in a `maps` section.
    BpfMapDef,
    /// iproute2's `struct bpf_elf_map` in a `maps` section.
    BpfElfMap,
    /// A data section: global variables, constants or strings.
    Data(DataKind),
}

/// What kind of data section a map comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKind {
    /// `.rodata*`: filled, then frozen; the verifier knows its contents.
    Rodata,
    /// `.data*`: filled.
    Data,
    /// `.bss*`: zeroes.
    Bss,
}

/// Where the object itself wants a map pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// Nowhere.
    None,
    /// `LIBBPF_PIN_BY_NAME`: shared by name among the objects of a deployment.
    ByName,
    /// iproute2's `PIN_GLOBAL_NS` (2): `<bpffs>/tc/globals/NAME`.
    GlobalNs,
    /// iproute2's `PIN_OBJECT_NS` (1): `<bpffs>/tc/<sha1 of the object>/NAME`.
    ObjectNs,
    /// Another number, which iproute2 looks up in `/etc/iproute2/bpf_pinning`.
    Custom(u32),
}

/// A map as the object defines it.
#[derive(Debug, Clone)]
pub struct Map {
    /// The symbol, or the section's name for a data section.
    pub symbol: String,
    /// The section that the definition stands in.
    pub section: String,
    /// How it is spelled.
    pub dialect: Dialect,
    /// What it asks for.
    pub spec: MapSpec,
    /// Where the object wants it pinned.
    pub pinning: Pinning,
    /// The first contents of a data section, of `spec.value_size` bytes.
    pub data: Option<Vec<u8>>,
    /// The first contents of a map of maps or of programs.
    pub slots: Vec<Slot>,
}

/// What a map of maps or a prog array starts with at one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Key of the slot.
    pub index: u32,
    /// What the slot holds.
    pub target: SlotTarget,
}

/// What a [`Slot`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotTarget {
    /// A map: its index in [`Object::maps`].
    Map(usize),
    /// A program: its index in [`Object::programs`].
    Program(usize),
}

/// A function that can be loaded as a program.
#[derive(Debug, Clone)]
pub struct Program {
    /// The function's symbol.
    pub function: String,
    /// The section that it stands in, with a leading `?` taken off.
    pub section: String,
    /// What the section's name says of it.
    pub kind: Option<ProgramKind>,
    /// False for `SEC("?...")`: only loaded when the manifest names it.
    pub autoload: bool,
    /// The function's BTF type, where the object has function records.
    pub type_id: Option<TypeId>,
}

/// What the kernel must know of a program's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramKind {
    /// Type.
    pub program_type: ProgramType,
    /// `expected_attach_type` of `BPF_PROG_LOAD`, where the section name fixes one.
    pub attach_type: Option<AttachType>,
    /// What follows the section's prefix: a hook, a function or a tracepoint.
    pub target: Option<String>,
    /// `prog_flags`: sleepable, XDP frags.
    pub flags: u32,
}

impl ProgramKind {
    /// Returns the kind of a program of which nothing but the type is known.
    pub fn of(program_type: ProgramType) -> Self {
        Self { program_type, attach_type: None, target: None, flags: 0 }
    }
}

/// What is wrong with an object file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The section, where one is to blame.
    pub section: Option<String>,
    /// The symbol, where one is to blame.
    pub symbol: Option<String>,
    /// The byte offset in the section, where one is to blame.
    pub offset: Option<u64>,
    /// What is wrong, as a sentence without capital and full stop.
    pub what: String,
    /// What to do, where we know the way out.
    pub help: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(section) = &self.section {
            write!(f, ", in section `{section}`")?;
        }
        if let Some(symbol) = &self.symbol {
            write!(f, ", symbol `{symbol}`")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", at byte {offset:#x}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Reads an object file. Every problem that concerns the whole file is reported together.
pub fn parse(bytes: &[u8]) -> Result<Object, Vec<Error>> {
    let _ = bytes;
    unimplemented!("the elf room")
}

impl Object {
    /// Makes the final instructions of a program: relocated, with its subprograms appended.
    ///
    /// `program` is an index of [`Object::programs`].
    pub fn link(&self, program: usize) -> Result<Code, Vec<Error>> {
        let _ = program;
        unimplemented!("the elf room")
    }
}
