//! Instructions: their layout, and the places in them that name a map.
//!
//! Here nothing knows of file descriptors but [`Code::patched`], which puts numbers that somebody else chose into place.

pub mod disassemble;
pub mod helpers;
pub mod listing;

use crate::names::Digest;
use std::fmt::{self, Write as _};

/// One BPF instruction, as the kernel has it in memory (`struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// What it works on.
    pub regs: Registers,
    /// Jump offset or memory offset.
    pub off: i16,
    /// Immediate value.
    pub imm: i32,
}

/// The two registers of an instruction, of 4 bits each.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers(u8);

impl Registers {
    /// Joins both numbers, of which the lower 4 bits count.
    pub const fn new(dst: u8, src: u8) -> Self {
        Self((dst & 0xf) | (src << 4))
    }

    /// Returns the same with another source.
    #[must_use]
    pub const fn with_src(self, src: u8) -> Self {
        Self::new(self.dst(), src)
    }

    /// Returns the destination register.
    pub const fn dst(self) -> u8 {
        self.0 & 0xf
    }

    /// Returns the source register, or the kind of a pseudo value.
    pub const fn src(self) -> u8 {
        self.0 >> 4
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{} <- {}", self.dst(), self.src())
    }
}

/// `BPF_LD | BPF_IMM | BPF_DW`: the first half of a 16-byte load.
pub const LD_IMM64: u8 = 0x18;
/// `BPF_JMP | BPF_CALL`
pub const CALL: u8 = 0x85;
/// `BPF_JMP | BPF_EXIT`
pub const EXIT: u8 = 0x95;
/// As source of an [`LD_IMM64`]: `imm` is a map's file descriptor.
pub const PSEUDO_MAP_FD: u8 = 1;
/// As source of an [`LD_IMM64`]: `imm` is a map's file descriptor, the second `imm` an offset in its value.
pub const PSEUDO_MAP_VALUE: u8 = 2;
/// As source of an [`LD_IMM64`]: `imm` is a type of the kernel, whose address is wanted.
pub const PSEUDO_BTF_ID: u8 = 3;
/// As source of an [`LD_IMM64`]: `imm` is the distance to a function, for callbacks.
pub const PSEUDO_FUNC: u8 = 4;
/// As source of a [`CALL`]: `imm` is the distance to a function.
pub const PSEUDO_CALL: u8 = 1;
/// As source of a [`CALL`]: `imm` is the type of a function of the kernel.
pub const PSEUDO_KFUNC_CALL: u8 = 2;

impl Insn {
    /// Size in bytes.
    pub const SIZE: usize = 8;

    /// Reads one little-endian instruction.
    pub fn decode(bytes: [u8; Self::SIZE]) -> Self {
        let [code, regs, o0, o1, i0, i1, i2, i3] = bytes;
        Self {
            code,
            regs: Registers(regs),
            off: i16::from_le_bytes([o0, o1]),
            imm: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }

    /// Writes one little-endian instruction.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.code, self.regs.0, o0, o1, i0, i1, i2, i3]
    }

    /// Returns whether this is the first half of a 16-byte load.
    pub fn is_ld_imm64(self) -> bool {
        self.code == LD_IMM64
    }
}

/// What stands at a [`Site`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SiteKind {
    /// The map itself ([`PSEUDO_MAP_FD`]).
    Map,
    /// The address of a byte in the map's first value ([`PSEUDO_MAP_VALUE`]).
    Value {
        /// Byte offset in the value.
        offset: u32,
    },
}

/// An [`LD_IMM64`] that needs a map before the program can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Index of the instruction.
    pub insn: usize,
    /// Index of the map in its object's list of maps.
    pub map: usize,
    /// What the instruction loads.
    pub kind: SiteKind,
}

/// How the types of a kernel module are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleId {
    /// The module's name, which is all that stays from one boot to the next.
    pub name: String,
    /// The id of its BTF while it is loaded.
    pub btf_id: u32,
}

/// A kernel module that instructions name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedModule {
    /// Its place in `fd_array` of `BPF_PROG_LOAD`, from 1: `off` of the calls of its functions.
    pub number: i16,
    /// Which it is.
    pub id: ModuleId,
    /// The 16-byte loads of addresses in it, whose second half wants a descriptor of its types.
    pub loads: Vec<usize>,
}

/// A function starts here (`struct bpf_func_info`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuncRecord {
    /// Index of the function's first instruction.
    pub insn: u32,
    /// The function's type in the object's BTF.
    pub type_id: u32,
}

/// From here on this source line (`struct bpf_line_info`).
///
/// The strings are offsets in the object's BTF ([`crate::btf::Btf::text`]).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRecord {
    /// Index of the instruction.
    pub insn: u32,
    /// The file name.
    pub file: u32,
    /// The source text.
    pub text: u32,
    /// Line and column.
    pub place: LinePlace,
}

/// A line and a column in one word, as compilers write them and the kernel takes them.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePlace(pub u32);

impl LinePlace {
    /// Returns the line number, from 1: `BPF_LINE_INFO_LINE_NUM`.
    pub fn line(self) -> u32 {
        self.0 >> 10
    }

    /// Returns the column number, from 1; 0 when unknown: `BPF_LINE_INFO_LINE_COL`.
    pub fn column(self) -> u32 {
        self.0 & 0x3ff
    }
}

/// An instruction that asks for something that the kernel does not have. The verifier refuses it, and would not say why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// Index of the instruction.
    pub insn: usize,
    /// What is missing, as in "this kernel does not know the offset of `struct sk_buff.len`".
    pub what: String,
}

/// The final instructions of one program with its subprograms, but for the maps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code {
    /// The main function first, then every subprogram once.
    pub insns: Vec<Insn>,
    /// Every place that needs a map, by rising `insn`.
    pub sites: Vec<Site>,
    /// The kernel modules whose functions are called or whose variables are used, by rising number.
    pub modules: Vec<UsedModule>,
    /// Function records by rising `insn`; empty, or one for each function.
    pub funcs: Vec<FuncRecord>,
    /// Line records by rising `insn`.
    pub lines: Vec<LineRecord>,
    /// Instructions that are wrong unless the verifier finds that nothing reaches them.
    pub unresolved: Vec<Unresolved>,
}

/// More bytes than most sites have to be digested.
const SITE_TEXT: usize = 64;

impl Code {
    /// Returns the indices of the maps used, each once, by first use.
    pub fn maps(&self) -> Vec<usize> {
        let mut seen = Vec::new();
        for site in &self.sites {
            if !seen.contains(&site.map) {
                seen.push(site.map);
            }
        }
        seen
    }

    /// Returns the instructions as the kernel takes them; `fd` gives the descriptor number of each map.
    pub fn patched(&self, fd: impl Fn(usize) -> i32) -> Vec<Insn> {
        let mut insns = self.insns.clone();
        for site in &self.sites {
            let [first, second] = &mut insns[site.insn..site.insn + 2] else { unreachable!("a slice of two") };
            let (kind, offset) = match site.kind {
                SiteKind::Map => (PSEUDO_MAP_FD, 0),
                SiteKind::Value { offset } => (PSEUDO_MAP_VALUE, offset.cast_signed()),
            };
            (first.regs, first.imm, second.imm) = (first.regs.with_src(kind), fd(site.map), offset);
        }
        insns
    }

    /// Puts descriptors of the modules' types into patched instructions, and returns the `fd_array` that goes with them;
    /// `fd` gives the descriptor number of each module's types.
    pub fn name_modules(&self, insns: &mut [Insn], fd: impl Fn(&ModuleId) -> i32) -> Vec<i32> {
        let last = self.modules.last().map_or(0, |module| module.number);
        let mut array = vec![0; if last == 0 { 0 } else { last as usize + 1 }];
        for module in &self.modules {
            let fd = fd(&module.id);
            array[module.number as usize] = fd;
            for load in &module.loads {
                insns[load + 1].imm = fd;
            }
        }
        array
    }

    /// Returns the tags that kernels give the program: by SHA-1 up to 6.17, by SHA-256 since then (`bpf_prog_calc_tag`,
    /// kernel/bpf/core.c). Which map an instruction loads, and where in it, is in neither.
    pub fn tags(&self) -> [[u8; 8]; 2] {
        use sha2::Digest as _;
        let mut insns = self.patched(|_| 0);
        for site in &self.sites {
            insns[site.insn + 1].imm = 0;
        }
        let code: Vec<[u8; Insn::SIZE]> = insns.iter().map(|insn| insn.encode()).collect();
        let first = |digest: &[u8]| std::array::from_fn(|at| digest[at]);
        let bytes = code.as_flattened();
        [first(&sha1::Sha1::digest(bytes)), first(&sha2::Sha256::digest(bytes))]
    }

    /// Digests what the program does: each instruction, with the identity of its map at each site, and the modules.
    ///
    /// Unlike the kernel's tag this tells two maps, and two offsets in one map, apart.
    pub fn digest<I: fmt::Display>(&self, identity: impl Fn(usize) -> I) -> Digest {
        let code: Vec<[u8; Insn::SIZE]> = self.patched(|_| 0).iter().map(|insn| insn.encode()).collect();
        let mut names = String::with_capacity(self.sites.len() * SITE_TEXT);
        for site in &self.sites {
            let _ = write!(names, "\n{}={}", site.insn, identity(site.map));
        }
        for module in &self.modules {
            let _ = write!(names, "\n{} {:?}={}", module.number, module.loads, module.id.name);
        }
        Digest::of_parts([code.as_flattened(), names.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_keeps_its_bytes() {
        let bytes = [0x18, 0x21, 0xfe, 0xff, 0x78, 0x56, 0x34, 0x92];
        let insn = Insn::decode(bytes);
        assert_eq!((insn.regs.dst(), insn.regs.src(), insn.off), (1, 2, -2));
        assert_eq!(insn.encode(), bytes);
    }

    #[test]
    fn the_digest_tells_maps_and_offsets_apart() {
        let site = |map, kind| Code {
            insns: vec![Insn { code: LD_IMM64, ..Insn::default() }, Insn::default()],
            sites: vec![Site { insn: 0, map, kind }],
            ..Code::default()
        };
        let name = |map: usize| format!("map{map}");
        let digests = [
            site(0, SiteKind::Map).digest(name),
            site(1, SiteKind::Map).digest(name),
            site(0, SiteKind::Value { offset: 0 }).digest(name),
            site(0, SiteKind::Value { offset: 4 }).digest(name),
        ];
        for (i, a) in digests.iter().enumerate() {
            for b in &digests[i + 1..] {
                assert_ne!(a, b);
            }
        }
    }

    #[test]
    fn patching_puts_descriptors_in_place() {
        let code = Code {
            insns: vec![Insn { code: LD_IMM64, ..Insn::default() }, Insn::default()],
            sites: vec![Site { insn: 0, map: 0, kind: SiteKind::Value { offset: 8 } }],
            ..Code::default()
        };
        let insns = code.patched(|_| 42);
        assert_eq!((insns[0].regs.src(), insns[0].imm, insns[1].imm), (PSEUDO_MAP_VALUE, 42, 8));
        assert_eq!(code.maps(), [0]);
    }
}
