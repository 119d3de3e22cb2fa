//! Instructions as people read them, in the words of `llvm-objdump`: `r1 = *(u32 *)(r6 + 4)`.
//!
//! Pure. What an instruction names (a map, a helper, a function) is for the caller to say ([`Operand`]); without a name
//! its number stands there. The operations are those of the kernel's `Documentation/bpf/standardization`, and what the
//! verifier makes of some of them (`include/linux/filter.h`).

use super::{CALL, EXIT, Insn, PSEUDO_BTF_ID, PSEUDO_CALL, PSEUDO_FUNC, PSEUDO_KFUNC_CALL};
use super::{PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};

/// What an instruction names by a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A helper, by `imm` of its call.
    Helper(i32),
    /// A function of the program, by its first instruction.
    Function(usize),
    /// A function of the kernel, by its type, and which BTF that is in: 0 for the kernel's own.
    KernelFunction {
        /// Its type.
        btf_id: i32,
        /// The place of the BTF in `fd_array`.
        module: i16,
    },
    /// A map, by the instruction that loads it and what stands there.
    Map {
        /// Index of the instruction.
        insn: usize,
        /// Its `imm`.
        number: i32,
    },
    /// A type of the kernel, whose variable or function is wanted.
    KernelType(i32),
    /// A number that may be an address of the kernel: all addresses of its half have these first bits.
    Address(u64),
}

/// Where the kernel's half of all addresses starts.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// The class of an instruction: the low three bits of its operation.
const CLASS: u8 = 0x07;
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const ALU64: u8 = 0x07;

/// Of calculations and jumps: the second operand is a register.
const SOURCE_REGISTER: u8 = 0x08;
/// Of loads and stores: how.
const MODE: u8 = 0xe0;
const ABS: u8 = 0x20;
const IND: u8 = 0x40;
const MEM: u8 = 0x60;
/// As [`ABS`], which only `LD` has: a load that the kernel checks.
const PROBE_MEM: u8 = 0x20;
/// As [`IND`]: the same with a sign.
const PROBE_MEMSX: u8 = 0x40;
const MEMSX: u8 = 0x80;
/// An address in an arena.
const PROBE_MEM32: u8 = 0xa0;
const ATOMIC: u8 = 0xc0;
const PROBE_ATOMIC: u8 = 0xe0;

/// `BPF_ST | BPF_NOSPEC`: the verifier's.
const NOSPEC: u8 = 0xc2;
/// `BPF_JMP | BPF_CALL | BPF_X`
const CALL_REGISTER: u8 = 0x8d;
/// `BPF_JMP32 | BPF_JA`: the distance is `imm`.
const GOTO_LONG: u8 = 0x06;
/// `BPF_JMP | BPF_JA`
const GOTO: u8 = 0x05;
/// `BPF_JMP | BPF_JA | BPF_X`: to where a table says.
const GOTO_REGISTER: u8 = 0x0d;
/// `BPF_JMP | BPF_JCOND`
const MAY_GOTO: u8 = 0xe5;

/// `off` of a move between address spaces (`BPF_ADDR_SPACE_CAST`).
const ADDRESS_SPACE_CAST: i16 = 1;
/// `off` of a move that makes an address of a variable that each CPU has (`BPF_ADDR_PERCPU`).
const ADDRESS_PER_CPU: i16 = -1;

/// How an instruction is written that nobody knows.
const UNKNOWN: &str = "<unknown>";

/// Returns the instruction at `at` as text; the second half of a 16-byte load has none of its own.
pub fn text(insns: &[Insn], at: usize, name: &dyn Fn(Operand) -> Option<String>) -> String {
    let Some(&insn) = insns.get(at) else { return UNKNOWN.to_owned() };
    let known = match insn.code & CLASS {
        LD => load_constant(insns, at, insn, name),
        LDX => load(insn),
        ST | STX => store(insn),
        ALU | ALU64 => calculation(insn),
        _ => jump(at, insn, name),
    };
    known.unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Returns the index that a jump leads to, where the instruction is one. It may be beyond the code.
pub fn jump_target(at: usize, insn: Insn) -> Option<i64> {
    let is_jump = match insn.code & CLASS {
        JMP => !matches!(insn.code, CALL | EXIT | CALL_REGISTER | GOTO_REGISTER),
        JMP32 => true,
        _ => false,
    };
    let distance = if insn.code == GOTO_LONG { i64::from(insn.imm) } else { i64::from(insn.off) };
    is_jump.then(|| at as i64 + 1 + distance)
}

/// Returns the first instruction of the function that an instruction calls, or takes as a callback; `distance` is its
/// `imm`, or in code that the verifier has rewritten the `off` of a call.
pub fn called(at: usize, insn: Insn, distance: i32) -> Option<usize> {
    let calls = insn.code == CALL && insn.regs.src() == PSEUDO_CALL;
    let takes = insn.is_ld_imm64() && insn.regs.src() == PSEUDO_FUNC;
    (calls || takes).then(|| usize::try_from(at as i64 + 1 + i64::from(distance)).ok())?
}

fn load_constant(insns: &[Insn], at: usize, insn: Insn, name: &dyn Fn(Operand) -> Option<String>) -> Option<String> {
    let (dst, src) = (insn.regs.dst(), insn.regs.src());
    if !insn.is_ld_imm64() {
        let size = size(insn.code);
        return match insn.code & MODE {
            ABS => Some(format!("r0 = *(u{size} *)skb[{}]", insn.imm)),
            IND if insn.imm == 0 => Some(format!("r0 = *(u{size} *)skb[r{src}]")),
            IND => Some(format!("r0 = *(u{size} *)skb[r{src}{}]", signed(insn.imm.into()))),
            _ => None,
        };
    }
    let high = insns.get(at + 1).map_or(0, |second| second.imm);
    let value = (u64::from(high.cast_unsigned()) << 32) | u64::from(insn.imm.cast_unsigned());
    let named = match src {
        PSEUDO_MAP_FD => name(Operand::Map { insn: at, number: insn.imm }),
        PSEUDO_MAP_VALUE => name(Operand::Map { insn: at, number: insn.imm }).map(|map| match high {
            0 => format!("&{map}"),
            offset => format!("&{map}[{}]", offset.cast_unsigned()),
        }),
        PSEUDO_BTF_ID => name(Operand::KernelType(insn.imm)).map(|name| format!("&{name}")),
        PSEUDO_FUNC => called(at, insn, insn.imm).and_then(|start| name(Operand::Function(start))),
        0 if value >= KERNEL_HALF => name(Operand::Address(value)),
        _ => None,
    };
    Some(match named {
        Some(named) => format!("r{dst} = {named} ll"),
        None => format!("r{dst} = {} ll", value.cast_signed()),
    })
}

fn load(insn: Insn) -> Option<String> {
    let sign = match insn.code & MODE {
        MEM | PROBE_MEM | PROBE_MEM32 => 'u',
        MEMSX | PROBE_MEMSX => 's',
        _ => return None,
    };
    Some(format!("r{} = *({sign}{} *)({})", insn.regs.dst(), size(insn.code), place(insn.regs.src(), insn.off)))
}

fn store(insn: Insn) -> Option<String> {
    if insn.code == NOSPEC {
        return Some("nospec".to_owned());
    }
    let (size, at) = (size(insn.code), place(insn.regs.dst(), insn.off));
    match (insn.code & CLASS, insn.code & MODE) {
        (STX, MEM | PROBE_MEM32) => Some(format!("*(u{size} *)({at}) = r{}", insn.regs.src())),
        (STX, ATOMIC | PROBE_ATOMIC) => atomic(insn, size),
        (ST, MEM | PROBE_MEM32) => Some(format!("*(u{size} *)({at}) = {}", insn.imm)),
        _ => None,
    }
}

/// Writes an operation that nobody can come between; which one it is stands in `imm`.
fn atomic(insn: Insn, size: u32) -> Option<String> {
    const FETCH: i32 = 1;
    let (dst, src) = (insn.regs.dst(), insn.regs.src());
    let at = place(dst, insn.off);
    let register = if size == 64 { 'r' } else { 'w' };
    let (sign, word) = match insn.imm & !FETCH {
        0x00 => ("+=", "add"),
        0x40 => ("|=", "or"),
        0x50 => ("&=", "and"),
        0xa0 => ("^=", "xor"),
        _ => ("", ""),
    };
    match insn.imm {
        0xe1 => Some(format!("{register}{src} = xchg{}({at}, {register}{src})", suffix(size)?)),
        0xf1 => Some(format!("{register}0 = cmpxchg{}({at}, {register}0, {register}{src})", suffix(size)?)),
        0x100 => Some(format!("r{dst} = load_acquire((u{size} *)({}))", place(src, insn.off))),
        0x110 => Some(format!("store_release((u{size} *)({at}), r{src})")),
        _ if sign.is_empty() => None,
        imm if imm & FETCH == 0 => Some(format!("lock *(u{size} *)({at}) {sign} {register}{src}")),
        _ => Some(format!("{register}{src} = atomic_fetch_{word}((u{size} *)({at}), {register}{src})")),
    }
}

fn suffix(size: u32) -> Option<&'static str> {
    match size {
        32 => Some("32_32"),
        64 => Some("_64"),
        _ => None,
    }
}

fn calculation(insn: Insn) -> Option<String> {
    let wide = insn.code & CLASS == ALU64;
    let register = if wide { 'r' } else { 'w' };
    let dst = format!("{register}{}", insn.regs.dst());
    let is_register = insn.code & SOURCE_REGISTER != 0;
    let src = if is_register { format!("{register}{}", insn.regs.src()) } else { insn.imm.to_string() };
    let signed = if insn.off == 1 { "s" } else { "" };
    let operation = match insn.code >> 4 {
        0x0 => "+",
        0x1 => "-",
        0x2 => "*",
        0x3 => return Some(format!("{dst} {signed}/= {src}")),
        0x4 => "|",
        0x5 => "&",
        0x6 => "<<",
        0x7 => ">>",
        0x8 => return Some(format!("{dst} = -{dst}")),
        0x9 => return Some(format!("{dst} {signed}%= {src}")),
        0xa => "^",
        0xb => return Some(assignment(insn, &dst, &src, is_register)),
        0xc => "s>>",
        0xd => return byte_order(insn, wide, is_register),
        _ => return None,
    };
    Some(format!("{dst} {operation}= {src}"))
}

fn assignment(insn: Insn, dst: &str, src: &str, is_register: bool) -> String {
    let is_wide = insn.code & CLASS == ALU64;
    match insn.off {
        8 | 16 | 32 if is_register => format!("{dst} = (s{}){src}", insn.off),
        ADDRESS_SPACE_CAST if is_register && is_wide => {
            let imm = insn.imm.cast_unsigned();
            format!("{dst} = addr_space_cast({src}, {:#x}, {:#x})", imm >> 16, imm & 0xffff)
        }
        ADDRESS_PER_CPU if is_register && is_wide => format!("{dst} = &(void __percpu *)({src})"),
        _ => format!("{dst} = {src}"),
    }
}

fn byte_order(insn: Insn, wide: bool, to_big: bool) -> Option<String> {
    let order = match (wide, to_big) {
        (true, false) => "bswap",
        (true, true) => return None,
        (false, true) => "be",
        (false, false) => "le",
    };
    let dst = insn.regs.dst();
    matches!(insn.imm, 16 | 32 | 64).then(|| format!("r{dst} = {order}{} r{dst}", insn.imm))
}

fn jump(at: usize, insn: Insn, name: &dyn Fn(Operand) -> Option<String>) -> Option<String> {
    let wide = insn.code & CLASS == JMP;
    match insn.code {
        CALL => return Some(call(at, insn, name)),
        CALL_REGISTER => return Some(format!("callx r{}", insn.regs.dst())),
        EXIT => return Some("exit".to_owned()),
        GOTO => return Some(format!("goto {}", distance(insn.off.into()))),
        GOTO_LONG => return Some(format!("gotol {}", distance(insn.imm.into()))),
        GOTO_REGISTER => return Some(format!("gotox r{}", insn.regs.dst())),
        MAY_GOTO => return Some(format!("may_goto {}", distance(insn.off.into()))),
        _ => {}
    }
    let comparison = match insn.code >> 4 {
        0x1 => "==",
        0x2 => ">",
        0x3 => ">=",
        0x4 => "&",
        0x5 => "!=",
        0x6 => "s>",
        0x7 => "s>=",
        0xa => "<",
        0xb => "<=",
        0xc => "s<",
        0xd => "s<=",
        _ => return None,
    };
    let register = if wide { 'r' } else { 'w' };
    let src = match insn.code & SOURCE_REGISTER {
        0 => insn.imm.to_string(),
        _ => format!("{register}{}", insn.regs.src()),
    };
    let (dst, to) = (insn.regs.dst(), distance(insn.off.into()));
    Some(format!("if {register}{dst} {comparison} {src} goto {to}"))
}

fn call(at: usize, insn: Insn, name: &dyn Fn(Operand) -> Option<String>) -> String {
    let operand = match insn.regs.src() {
        PSEUDO_CALL => called(at, insn, insn.imm).map(Operand::Function),
        PSEUDO_KFUNC_CALL => Some(Operand::KernelFunction { btf_id: insn.imm, module: insn.off }),
        _ => Some(Operand::Helper(insn.imm)),
    };
    format!("call {}", operand.and_then(name).unwrap_or_else(|| insn.imm.to_string()))
}

/// Returns how many bits a load or store has.
fn size(code: u8) -> u32 {
    match code & 0x18 {
        0x00 => 32,
        0x08 => 16,
        0x10 => 8,
        _ => 64,
    }
}

/// Writes an address: `r6 + 4`.
fn place(register: u8, off: i16) -> String {
    format!("r{register}{}", signed(off.into()))
}

/// Writes what is added: ` + 4`, ` - 8`.
fn signed(number: i64) -> String {
    let sign = if number < 0 { '-' } else { '+' };
    format!(" {sign} {}", number.unsigned_abs())
}

fn distance(number: i64) -> String {
    format!("{number:+}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(operand: Operand) -> Option<String> {
        Some(match operand {
            Operand::Helper(number) => format!("helper{number}"),
            Operand::Function(start) => format!("function{start}"),
            Operand::KernelFunction { btf_id, module } => format!("kernel{btf_id}@{module}"),
            Operand::Map { insn, number } => format!("map{number}@{insn}"),
            Operand::KernelType(id) => format!("type{id}"),
            Operand::Address(address) => format!("at{address:x}"),
        })
    }

    #[track_caller]
    fn check(bytes: [u8; 8], expected: &str) {
        let insns = [Insn::decode(bytes), Insn { imm: 8, ..Insn::default() }];
        assert_eq!(text(&insns, 0, &named), expected);
    }

    #[test]
    fn what_compilers_write_since_llvm_14() {
        for (bytes, expected) in [
            ([0xbf, 0x21, 8, 0, 0, 0, 0, 0], "r1 = (s8)r2"),
            ([0xbc, 0x21, 16, 0, 0, 0, 0, 0], "w1 = (s16)w2"),
            ([0x3f, 0x21, 1, 0, 0, 0, 0, 0], "r1 s/= r2"),
            ([0x94, 0x01, 1, 0, 7, 0, 0, 0], "w1 s%= 7"),
            ([0x97, 0x01, 0, 0, 7, 0, 0, 0], "r1 %= 7"),
            ([0xd7, 0x01, 0, 0, 16, 0, 0, 0], "r1 = bswap16 r1"),
            ([0xdc, 0x01, 0, 0, 64, 0, 0, 0], "r1 = be64 r1"),
            ([0xd4, 0x01, 0, 0, 32, 0, 0, 0], "r1 = le32 r1"),
            ([0x81, 0x21, 4, 0, 0, 0, 0, 0], "r1 = *(s32 *)(r2 + 4)"),
            ([0x7a, 0x0a, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff], "*(u64 *)(r10 - 8) = -1"),
            ([0x06, 0, 0, 0, 0, 0, 1, 0], "gotol +65536"),
            ([0xe5, 0, 0xfe, 0xff, 0, 0, 0, 0], "may_goto -2"),
            ([0x45, 0x01, 3, 0, 4, 0, 0, 0], "if r1 & 4 goto +3"),
            ([0xde, 0x21, 3, 0, 0, 0, 0, 0], "if w1 s<= w2 goto +3"),
            ([0xdb, 0x21, 8, 0, 0x00, 1, 0, 0], "r1 = load_acquire((u64 *)(r2 + 8))"),
            ([0xcb, 0x21, 8, 0, 0x10, 1, 0, 0], "store_release((u16 *)(r1 + 8), r2)"),
            ([0xbf, 0x21, 1, 0, 1, 0, 0, 0], "r1 = addr_space_cast(r2, 0x0, 0x1)"),
            ([0xbf, 0x21, 0xff, 0xff, 0, 0, 0, 0], "r1 = &(void __percpu *)(r2)"),
            ([0x8d, 0x03, 0, 0, 0, 0, 0, 0], "callx r3"),
            ([0xc2, 0, 0, 0, 0, 0, 0, 0], "nospec"),
        ] {
            check(bytes, expected);
        }
    }

    #[test]
    fn operations_that_nobody_comes_between() {
        for (bytes, expected) in [
            ([0xdb, 0x21, 0, 0, 0x00, 0, 0, 0], "lock *(u64 *)(r1 + 0) += r2"),
            ([0xc3, 0x21, 0, 0, 0xa0, 0, 0, 0], "lock *(u32 *)(r1 + 0) ^= w2"),
            ([0xdb, 0x21, 8, 0, 0x01, 0, 0, 0], "r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)"),
            ([0xc3, 0x21, 8, 0, 0x51, 0, 0, 0], "w2 = atomic_fetch_and((u32 *)(r1 + 8), w2)"),
            ([0xdb, 0x21, 8, 0, 0xe1, 0, 0, 0], "r2 = xchg_64(r1 + 8, r2)"),
            ([0xc3, 0x21, 8, 0, 0xe1, 0, 0, 0], "w2 = xchg32_32(r1 + 8, w2)"),
            ([0xdb, 0x21, 8, 0, 0xf1, 0, 0, 0], "r0 = cmpxchg_64(r1 + 8, r0, r2)"),
            ([0xc3, 0x21, 8, 0, 0xf1, 0, 0, 0], "w0 = cmpxchg32_32(r1 + 8, w0, w2)"),
            ([0xcb, 0x21, 8, 0, 0xf1, 0, 0, 0], UNKNOWN),
            ([0xdb, 0x21, 8, 0, 0x70, 0, 0, 0], UNKNOWN),
        ] {
            check(bytes, expected);
        }
    }

    #[test]
    fn what_has_a_name_is_called_by_it() {
        for (bytes, expected) in [
            ([0x85, 0x00, 0, 0, 14, 0, 0, 0], "call helper14"),
            ([0x85, 0x10, 0, 0, 6, 0, 0, 0], "call function7"),
            ([0x85, 0x20, 2, 0, 99, 0, 0, 0], "call kernel99@2"),
            ([0x85, 0x10, 0, 0, 0, 0, 0, 0x80], "call -2147483648"),
            ([0x18, 0x01, 0, 0, 3, 0, 0, 0], "r1 = 34359738371 ll"),
            ([0x18, 0x11, 0, 0, 3, 0, 0, 0], "r1 = map3@0 ll"),
            ([0x18, 0x21, 0, 0, 3, 0, 0, 0], "r1 = &map3@0[8] ll"),
            ([0x18, 0x31, 0, 0, 3, 0, 0, 0], "r1 = &type3 ll"),
            ([0x18, 0x41, 0, 0, 3, 0, 0, 0], "r1 = function4 ll"),
            ([0x18, 0x01, 0, 0, 3, 0, 0, 0x80], "r1 = 36507222019 ll"),
            ([0x30, 0x00, 0, 0, 14, 0, 0, 0], "r0 = *(u8 *)skb[14]"),
            ([0x48, 0x10, 0, 0, 0, 0, 0, 0], "r0 = *(u16 *)skb[r1]"),
            ([0x48, 0x10, 0, 0, 2, 0, 0, 0], "r0 = *(u16 *)skb[r1 + 2]"),
        ] {
            check(bytes, expected);
        }
        assert_eq!(text(&[], 0, &named), UNKNOWN);
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_text(bytes: [u8; 8], at in 0usize..3) {
            let insns = [Insn::decode(bytes), Insn::decode(bytes)];
            prop_assert!(!text(&insns, at, &|_| None).is_empty());
            let _ = jump_target(at, insns[0]);
        }
    }
}
