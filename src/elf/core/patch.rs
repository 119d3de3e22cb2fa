//! Puts the kernel's number into an instruction, or makes the instruction one that the verifier refuses.

use super::{Answer, Known};
use crate::insn::{CALL, Insn, Registers};

/// `0xbad2310`, "bad relo": a call of this helper stands where the kernel has no answer. The verifier takes it away
/// where nothing reaches it, and else complains of `invalid func unknown#195896080`, as for libbpf.
const BAD_RELOCATION: i32 = 0x0bad_2310;
const POISON: Insn = Insn { code: CALL, regs: Registers::new(0, 0), off: 0, imm: BAD_RELOCATION };

/// Classes of instructions: the low three bits of the operation.
mod class {
    pub const LD: u8 = 0;
    pub const LDX: u8 = 1;
    pub const ST: u8 = 2;
    pub const STX: u8 = 3;
    pub const ALU: u8 = 4;
    pub const ALU64: u8 = 7;
}

const CLASS: u8 = 0x07;
/// `BPF_X`: the operand is a register.
const REGISTER: u8 = 0x08;
/// The size of a load or store.
const SIZE: u8 = 0x18;

/// What became of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::elf) enum Applied {
    /// It says what the kernel says.
    Good,
    /// It is refused by the verifier, since the kernel has no answer.
    Missing,
    /// It is refused by the verifier, since it loads or stores another size than the kernel has there.
    WrongSize,
}

/// Applies an answer to the first of `insns`; a 16-byte load is two.
///
/// # Errors
/// When the instruction is of a kind that cannot be relocated, does not hold what the compiler must have put there, or
/// has no room for the number.
pub(in crate::elf) fn apply(insns: &mut [Insn], answer: Answer) -> Result<Applied, String> {
    let known = match answer {
        Answer::Known(known) => known,
        Answer::Unknown => {
            poison(insns);
            return Ok(Applied::Missing);
        }
    };
    let Some(insn) = insns.first_mut() else { return Err(unfit()) };
    match insn.code & CLASS {
        class::ALU | class::ALU64 => {
            if insn.code & REGISTER != 0 {
                return Err(unfit());
            }
            known.check(i64::from(insn.imm).cast_unsigned())?;
            insn.imm = known.new as i32;
        }
        class::LDX | class::ST | class::STX => {
            known.check(i64::from(insn.off).cast_unsigned())?;
            let off = i16::try_from(known.new)
                .map_err(|_| format!("the kernel has it at byte {}, too far for one instruction", known.new))?;
            if !known.resizable {
                poison(insns);
                return Ok(Applied::WrongSize);
            }
            insn.off = off;
            if known.sizes.0 != known.sizes.1 {
                insn.code = resized(insn.code, known.sizes)?;
            }
        }
        class::LD => load(insns, &known)?,
        _ => return Err(unfit()),
    }
    Ok(Applied::Good)
}

fn unfit() -> String {
    "this instruction cannot be relocated".to_owned()
}

fn poison(insns: &mut [Insn]) {
    let len = if insns.first().is_some_and(|insn| insn.is_ld_imm64()) { 2 } else { 1 };
    insns.iter_mut().take(len).for_each(|insn| *insn = POISON);
}

fn load(insns: &mut [Insn], known: &Known) -> Result<(), String> {
    let [first, second, ..] = insns else { return Err(unfit()) };
    let bare = |insn: &Insn| insn.regs.src() == 0 && insn.off == 0;
    if !first.is_ld_imm64() || !bare(first) || !bare(second) || second.code != 0 || second.regs.dst() != 0 {
        return Err(unfit());
    }
    known.check(u64::from(first.imm.cast_unsigned()) | u64::from(second.imm.cast_unsigned()) << 32)?;
    first.imm = known.new as i32;
    second.imm = (known.new >> 32) as i32;
    Ok(())
}

/// Returns the operation with the size of its access changed.
fn resized(code: u8, (old, new): (u32, u32)) -> Result<u8, String> {
    /// `BPF_W`, `BPF_H`, `BPF_B`, `BPF_DW`.
    const SIZES: [(u8, u32); 4] = [(0x00, 4), (0x08, 2), (0x10, 1), (0x18, 8)];
    if !SIZES.contains(&(code & SIZE, old)) {
        return Err(format!("it is not read as the {old} bytes that it has"));
    }
    match SIZES.iter().find(|(_, size)| *size == new) {
        Some((bits, _)) => Ok(code & !SIZE | bits),
        None => Err(format!("the kernel has {new} bytes there, which no instruction can access")),
    }
}

impl Known {
    fn check(&self, found: u64) -> Result<(), String> {
        match !self.check || found == self.old {
            true => Ok(()),
            false => Err(format!("the instruction holds {found}, and the object's own types say {}", self.old)),
        }
    }
}
