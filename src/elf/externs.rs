//! What an object leaves to the kernel: its configuration (`.kconfig`), its variables and its functions (`.ksyms`).
//!
//! The rules, and the order that decides the layout of `.kconfig`, are libbpf's (`bpf_object__collect_externs`,
//! `bpf_object__resolve_externs`).

use super::core::compatible;
use super::file::{self, File, SymbolKind};
use super::{DataKind, Dialect, Map, Pinning, Refusal, Target};
use crate::btf::kernel::essential;
use crate::btf::sanitise::{KCONFIG, KSYMS};
use crate::btf::{Btf, Encoding, Kind, Linkage, Type, TypeId};
use crate::insn::{Insn, ModuleId, PSEUDO_KFUNC_CALL, Registers};
use crate::kinds::MapType;
use crate::spec::{MapSpec, MapTypes, flags};
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A symbol that the kernel defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extern {
    /// The symbol.
    pub name: String,
    /// `__weak`: zero when the kernel has it not.
    pub weak: bool,
    /// What it stands for.
    pub kind: ExternKind,
}

/// What an [`Extern`] stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternKind {
    /// A value of the kernel's configuration, in the map of `.kconfig`.
    Setting(Setting),
    /// An address, by the kernel's table of symbols: a variable of type `void`.
    Address,
    /// A variable with this type in the object's BTF.
    Variable(TypeId),
    /// A function with this prototype in the object's BTF.
    Function(TypeId),
    /// Something that nobody can resolve, and why.
    Unknown(String),
}

/// A value of the kernel's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Byte offset in `.kconfig`.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
    /// How it is written.
    pub value: ValueKind,
}

/// The type of a [`Setting`] (`find_kcfg_type` of libbpf).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// `bool`: `y` or `n`.
    Bool,
    /// `enum libbpf_tristate`: no, yes, module.
    Tristate,
    /// `char`: the letter itself, or a small number.
    Char {
        /// Whether it is signed.
        signed: bool,
    },
    /// A number.
    Int {
        /// Whether it is signed.
        signed: bool,
    },
    /// An array of `char`: a string.
    Text,
}

/// Reads the symbols that are not defined here, in libbpf's order: settings by alignment and size, then the others.
///
/// A symbol without BTF that says what it is, is not among them.
pub(super) fn read(file: &File<'_>, btf: &Btf) -> Vec<Extern> {
    let types: HashMap<&str, (TypeId, &Type)> = btf
        .types()
        .filter(|(_, ty)| {
            matches!(ty, Type::Var { linkage: Linkage::Extern, .. } | Type::Func { linkage: Linkage::Extern, .. })
        })
        .filter_map(|(id, ty)| Some((ty.name()?, (id, ty))))
        .collect();
    let section = |name: &str| -> HashSet<TypeId> {
        let vars = btf.datasec(name).map(|(_, vars)| vars).unwrap_or_default();
        vars.iter().map(|var| var.ty).collect()
    };
    let (kconfig, ksyms) = (section(KCONFIG), section(KSYMS));
    let (mut settings, mut others) = (Vec::new(), Vec::new());
    for symbol in &file.symbols {
        if symbol.place != file::Place::Undefined || symbol.local || symbol.kind != SymbolKind::Unknown {
            continue;
        }
        let Some((id, ty)) = types.get(symbol.name) else { continue };
        let found = |kind| Extern { name: symbol.name.to_owned(), weak: symbol.weak, kind };
        match ty {
            Type::Var { ty, .. } if kconfig.contains(id) => match read_setting(btf, *ty) {
                Some((setting, align)) => settings.push((align, setting, symbol.name, symbol.weak)),
                None => {
                    let what = format!("`{}` is no type of a kernel setting", btf.type_name(*ty));
                    others.push(found(ExternKind::Unknown(what)));
                }
            },
            Type::Var { ty, .. } if ksyms.contains(id) => others.push(found(match btf.resolve(*ty) {
                0 => ExternKind::Address,
                ty => ExternKind::Variable(ty),
            })),
            Type::Func { proto, .. } if ksyms.contains(id) => others.push(found(ExternKind::Function(*proto))),
            _ => {}
        }
    }
    settings.sort_by_key(|(align, setting, name, _)| (std::cmp::Reverse(*align), setting.size, *name));
    others.sort_by(|a, b| a.name.cmp(&b.name));
    let mut end = 0u32;
    let mut externs = Vec::with_capacity(settings.len() + others.len());
    for (align, mut setting, name, weak) in settings {
        setting.offset = end.next_multiple_of(align);
        // A file cannot have names for enough settings to come near 4 GiB; a damaged array type can.
        let Some(next) = setting.offset.checked_add(setting.size).filter(|end| *end <= MAX_SETTINGS) else { continue };
        end = next;
        externs.push(Extern { name: name.to_owned(), weak, kind: ExternKind::Setting(setting) });
    }
    externs.extend(others);
    externs
}

/// The most bytes that all settings together may have.
const MAX_SETTINGS: u32 = 1 << 20;

/// Returns a setting of this type and its alignment; none for a type that cannot hold one.
fn read_setting(btf: &Btf, ty: TypeId) -> Option<(Setting, u32)> {
    let (value, size, align) = match btf.resolved(ty) {
        Type::Int { size, encoding, .. } => (integer(*size, *encoding)?, *size, (*size).min(8)),
        Type::Enum { name, size: 4, .. } if name == "libbpf_tristate" => (ValueKind::Tristate, 4, 4),
        Type::Enum64 { name, size: 8, .. } if name == "libbpf_tristate" => (ValueKind::Tristate, 8, 8),
        Type::Array { element, count, .. } if *count != 0 => match btf.resolved(*element) {
            Type::Int { size: 1, encoding, .. } if *encoding != Encoding::Bool => (ValueKind::Text, *count, 1),
            _ => return None,
        },
        _ => return None,
    };
    Some((Setting { offset: 0, size, value }, align))
}

fn integer(size: u32, encoding: Encoding) -> Option<ValueKind> {
    let signed = encoding == Encoding::Signed;
    match (size, encoding) {
        (1, Encoding::Bool) => Some(ValueKind::Bool),
        (_, Encoding::Bool) => None,
        (1, Encoding::Unsigned | Encoding::Signed | Encoding::Char) => Some(ValueKind::Char { signed }),
        (2 | 4 | 8, Encoding::Unsigned | Encoding::Signed | Encoding::Char) => Some(ValueKind::Int { signed }),
        (_, Encoding::Unsigned | Encoding::Signed | Encoding::Char) => None,
    }
}

/// Returns the offset of each setting, and how many bytes they take together.
pub(super) fn layout(externs: &[Extern]) -> (BTreeMap<String, u32>, u32) {
    let (mut offsets, mut size) = (BTreeMap::new(), 0);
    for (name, setting) in settings(externs) {
        offsets.insert(name.to_owned(), setting.offset);
        size = setting.offset + setting.size;
    }
    (offsets, size)
}

fn settings(externs: &[Extern]) -> impl Iterator<Item = (&str, &Setting)> {
    externs.iter().filter_map(|known| match &known.kind {
        ExternKind::Setting(setting) => Some((known.name.as_str(), setting)),
        ExternKind::Address | ExternKind::Variable(_) | ExternKind::Function(_) | ExternKind::Unknown(_) => None,
    })
}

/// Makes the map that holds the settings: zeroes, until a kernel is asked.
pub(super) fn map(externs: &[Extern], btf: &Arc<Btf>) -> Option<Map> {
    let (_, size) = layout(externs);
    (size != 0).then(|| Map {
        symbol: KCONFIG.to_owned(),
        section: KCONFIG.to_owned(),
        dialect: Dialect::Data(DataKind::Rodata),
        spec: MapSpec {
            flags: flags::RDONLY_PROG | flags::MMAPABLE,
            types: btf.find(Kind::Datasec, KCONFIG).map(|id| MapTypes { btf: Arc::clone(btf), key: 0, value: id }),
            ..MapSpec::new(MapType::ARRAY, 4, size, 1)
        },
        pinning: Pinning::None,
        data: Some(vec![0; size as usize]),
        slots: Vec::new(),
    })
}

/// Returns the contents of `.kconfig` for a kernel; zero where it has no value, or one that does not fit.
pub(super) fn contents(externs: &[Extern], target: &Target) -> Vec<u8> {
    let mut bytes = vec![0; layout(externs).1 as usize];
    for (name, setting) in settings(externs) {
        let place = setting.offset as usize..(setting.offset + setting.size) as usize;
        if let Ok(Some(value)) = value(name, setting, target) {
            bytes[place].copy_from_slice(&value);
        }
    }
    bytes
}

/// Returns the bytes of a setting; none when the kernel does not have it.
///
/// # Errors
/// When the kernel's value is not of the setting's type.
pub(super) fn value(name: &str, setting: &Setting, target: &Target) -> Result<Option<Vec<u8>>, String> {
    let has = |symbol: &str| u64::from(target.symbols.contains_key(symbol));
    let number = match name {
        VERSION => u64::from(target.version),
        "LINUX_HAS_BPF_COOKIE" => has(COOKIE),
        "LINUX_HAS_SYSCALL_WRAPPER" => has(SYSCALL_WRAPPER),
        _ => {
            let text = target.config.as_ref().and_then(|config| config.get(name));
            return text.map(|text| written(name, setting, text)).transpose();
        }
    };
    integer_bytes(name, setting, number).map(Some)
}

/// The setting that is `LINUX_VERSION_CODE`.
pub(super) const VERSION: &str = "LINUX_KERNEL_VERSION";
/// The kernel's function behind `bpf_get_attach_cookie` of a tracepoint, which libbpf probes for.
const COOKIE: &str = "bpf_get_attach_cookie_pe";
/// The name of a system call's function where its arguments are wrapped in registers.
const SYSCALL_WRAPPER: &str = if cfg!(target_arch = "aarch64") {
    "__arm64_sys_bpf"
} else if cfg!(target_arch = "riscv64") {
    "__riscv_sys_bpf"
} else if cfg!(target_arch = "s390x") {
    "__s390x_sys_bpf"
} else {
    "__x64_sys_bpf"
};

/// Returns the symbols of the kernel that an extern's value depends on.
pub(super) fn symbol(known: &Extern) -> Option<&str> {
    match (&known.kind, known.name.as_str()) {
        (ExternKind::Address, name) => Some(name),
        (ExternKind::Setting(_), "LINUX_HAS_BPF_COOKIE") => Some(COOKIE),
        (ExternKind::Setting(_), "LINUX_HAS_SYSCALL_WRAPPER") => Some(SYSCALL_WRAPPER),
        (ExternKind::Setting(_) | ExternKind::Variable(_) | ExternKind::Function(_) | ExternKind::Unknown(_), _) => {
            None
        }
    }
}

/// Returns the bytes of a value as the kernel's configuration writes it.
fn written(name: &str, setting: &Setting, text: &str) -> Result<Vec<u8>, String> {
    let mismatch = || Err(format!("the kernel says `{name}={text}`, which is no value of its type here"));
    match text.chars().next() {
        Some(answer @ ('y' | 'n' | 'm')) => {
            let mut bytes = vec![0; setting.size as usize];
            bytes[0] = match (setting.value, answer) {
                (ValueKind::Bool | ValueKind::Tristate, 'n') => 0,
                (ValueKind::Bool | ValueKind::Tristate, 'y') => 1,
                (ValueKind::Tristate, _) => 2,
                (ValueKind::Char { .. }, _) => answer as u8,
                (ValueKind::Bool | ValueKind::Int { .. } | ValueKind::Text, _) => return mismatch(),
            };
            Ok(bytes)
        }
        Some('"') => match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) if setting.value == ValueKind::Text => {
                // The last byte stays 0; what is too long is cut, as libbpf does.
                let mut bytes: Vec<u8> = inner.bytes().take(setting.size as usize - 1).collect();
                bytes.resize(setting.size as usize, 0);
                Ok(bytes)
            }
            Some(_) | None => mismatch(),
        },
        Some(_) => match number(text) {
            Some(number) => integer_bytes(name, setting, number),
            None => mismatch(),
        },
        None => mismatch(),
    }
}

/// Reads a number as `strtoull` with base 0 does.
fn number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match (digits.strip_prefix("0x").or(digits.strip_prefix("0X")), digits.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        (None, _) => (digits, 10),
    };
    let digits = Some(digits).filter(|digits| !digits.starts_with(['+', '-']))?;
    let value = u64::from_str_radix(digits, radix).ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// Returns the little-endian bytes of a number; an error when the setting is no number, or too small.
fn integer_bytes(name: &str, setting: &Setting, number: u64) -> Result<Vec<u8>, String> {
    let signed = match setting.value {
        ValueKind::Bool if number > 1 => return Err(format!("the kernel has {number} for `{name}`, which is a bool")),
        ValueKind::Bool => false,
        ValueKind::Char { signed } | ValueKind::Int { signed } => signed,
        ValueKind::Tristate | ValueKind::Text => {
            return Err(format!("the kernel has a number for `{name}`, which is none here"));
        }
    };
    let bits = setting.size * 8;
    let fits = match (bits, signed) {
        (64.., _) => true,
        (_, true) => number.wrapping_add(1 << (bits - 1)) >> bits == 0,
        (_, false) => number >> bits == 0,
    };
    match fits {
        true => Ok(number.to_le_bytes()[..setting.size as usize].to_vec()),
        false => Err(format!("the kernel has {number} for `{name}`, which does not fit into {bits} bits")),
    }
}

/// What a 16-byte load of an extern loads.
pub(super) enum Loaded<'a> {
    /// The address of a byte in the map of settings.
    Setting { offset: u32 },
    /// A number: an address, or 0 for what the kernel has not.
    Number(u64),
    /// The address of a variable or function, by its id in the types of the kernel or of a module.
    Type(TypeId, Option<&'a ModuleId>),
}

/// Finds what a load of the extern loads.
///
/// # Errors
/// When the kernel has it not and it is not weak, or has another type for it.
pub(super) fn load<'a>(known: &Extern, btf: Option<&Btf>, target: &'a Target) -> Result<Loaded<'a>, Refusal> {
    match &known.kind {
        ExternKind::Setting(setting) => {
            let offset = setting.offset;
            check_setting(known, setting, target).map(|()| Loaded::Setting { offset })
        }
        ExternKind::Address => address(known, target).map(Loaded::Number),
        ExternKind::Variable(_) | ExternKind::Function(_) => kernel_type(known, btf, target).map(loaded),
        ExternKind::Unknown(what) => Err(what.clone().into()),
    }
}

fn loaded(place: Option<Place<'_>>) -> Loaded<'_> {
    place.map_or(Loaded::Number(0), |(id, module)| Loaded::Type(id, module))
}

/// A type of the kernel, or of a module.
type Place<'a> = (TypeId, Option<&'a ModuleId>);

/// Returns the instruction that calls the extern `index`, but for the number of a module, and the module.
///
/// # Errors
/// When the kernel does not have the function and it is not weak, or has another prototype for it.
pub(super) fn call<'a>(
    insn: Insn,
    index: usize,
    known: &Extern,
    btf: Option<&Btf>,
    target: &'a Target,
) -> Result<(Insn, Option<&'a ModuleId>), Refusal> {
    /// libbpf's number for a call that must not be reached: the index of the extern is added.
    const POISON: i32 = 2_002_000_000;
    let ExternKind::Function(_) = known.kind else {
        return Err(match &known.kind {
            ExternKind::Unknown(what) => what.clone().into(),
            ExternKind::Setting(_) | ExternKind::Address | ExternKind::Variable(_) | ExternKind::Function(_) => {
                format!("`{}` is called, and is no function", known.name).into()
            }
        });
    };
    Ok(match kernel_type(known, btf, target)? {
        Some((id, module)) => {
            (Insn { regs: insn.regs.with_src(PSEUDO_KFUNC_CALL), off: 0, imm: id.cast_signed(), ..insn }, module)
        }
        None => (Insn { regs: Registers::new(0, 0), off: 0, imm: POISON.saturating_add(index as i32), ..insn }, None),
    })
}

/// Returns the place of a module in `fd_array`: as libbpf counts, from 1 by the first function of the object that is
/// found in it, whether or not this program calls that. None above the largest offset of an instruction.
pub(super) fn module_number(externs: &[Extern], btf: Option<&Btf>, target: &Target, module: &ModuleId) -> Option<i16> {
    let mut seen: Vec<&ModuleId> = Vec::new();
    let is_function = |known: &&Extern| matches!(known.kind, ExternKind::Function(_));
    // Modules of which only variables are used come behind them: no instruction tells their number.
    let (functions, others) = (externs.iter().filter(is_function), externs.iter().filter(|known| !is_function(known)));
    for known in functions.chain(others) {
        if let Ok(Some((_, Some(found)))) = kernel_type(known, btf, target)
            && !seen.contains(&found)
        {
            seen.push(found);
        }
    }
    let number = seen.iter().position(|known| *known == module)?;
    i16::try_from(number + 1).ok()
}

/// Returns what an extern is called in the types of a kernel: a function may have a flavour behind `___`.
pub(super) fn wanted(known: &Extern) -> Option<(Kind, &str)> {
    match known.kind {
        ExternKind::Variable(_) => Some((Kind::Var, &known.name)),
        ExternKind::Function(_) => Some((Kind::Func, essential(&known.name))),
        ExternKind::Setting(_) | ExternKind::Address | ExternKind::Unknown(_) => None,
    }
}

fn check_setting(known: &Extern, setting: &Setting, target: &Target) -> Result<(), Refusal> {
    if target.offline || value(&known.name, setting, target)?.is_some() || known.weak {
        return Ok(());
    }
    let name = &known.name;
    Err(match (name.starts_with("CONFIG_"), &target.config) {
        (true, None) => Refusal::of_kernel(format!("the kernel's configuration, which `{name}` needs, cannot be read")),
        (true, Some(_)) => {
            Refusal::of_kernel(format!("this kernel's configuration has no `{name}`, and it is not `__weak`"))
        }
        (false, _) => format!("`{name}` is no setting of a kernel").into(),
    })
}

/// Returns the address of a symbol; 0 for a weak one that the kernel has not.
fn address(known: &Extern, target: &Target) -> Result<u64, Refusal> {
    let mut addresses = target.symbols.get(&known.name).into_iter().flatten();
    match (addresses.next(), addresses.next()) {
        (Some(address), None) => Ok(*address),
        (Some(_), Some(_)) => Err(Refusal::of_kernel(format!("this kernel has several symbols `{}`", known.name))),
        (None, _) if known.weak || target.offline => Ok(0),
        (None, _) => {
            let why = format!("this kernel has no symbol `{}`, and it is not `__weak`", known.name);
            Err(Refusal::of_kernel(why))
        }
    }
}

/// Finds a variable or function in the types of the kernel and its modules; none for a weak one that they have not, and
/// offline 0. Both must have compatible types.
fn kernel_type<'a>(known: &Extern, btf: Option<&Btf>, target: &'a Target) -> Result<Option<Place<'a>>, Refusal> {
    if target.offline {
        return Ok(Some((0, None)));
    }
    let (local, what) = match known.kind {
        ExternKind::Variable(local) => (local, "variable"),
        ExternKind::Function(local) => (local, "function"),
        ExternKind::Setting(_) | ExternKind::Address | ExternKind::Unknown(_) => return Ok(None),
    };
    let Some((kind, name)) = wanted(known) else { return Ok(None) };
    let (Some(_), Some(btf)) = (&target.types, btf) else {
        return match known.weak {
            true => Ok(None),
            false => {
                Err(Refusal::of_kernel(format!("this kernel has no BTF, by which `{}` could be found", known.name)))
            }
        };
    };
    let unreadable = |error: crate::btf::Error| format!("the types of the kernel cannot be read: {error}");
    let Some(found) = target.find(kind, name).map_err(unreadable)? else {
        return match known.weak {
            true => Ok(None),
            false => {
                let note = target.modules.note();
                Err(Refusal::of_kernel(format!("this kernel has no {what} `{name}`, and it is not `__weak`{note}")))
            }
        };
    };
    let theirs = match found.types.get(found.id).map_err(unreadable)? {
        Type::Var { ty, .. } | Type::Func { proto: ty, .. } => *ty,
        _ => 0,
    };
    match compatible(btf, local, found.types, found.types.resolve(theirs).map_err(unreadable)?)? {
        true => Ok(Some((found.id, found.module))),
        false if known.weak && kind == Kind::Func => Ok(None),
        false => {
            let ours = btf.type_name(local);
            Err(Refusal::of_kernel(format!("this kernel has another type for the {what} `{name}` than `{ours}`")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: ValueKind, size: u32, text: &str, want: Option<&[u8]>) {
        let got = written("CONFIG_X", &Setting { offset: 0, size, value }, text);
        assert_eq!(got.as_deref().ok(), want, "{text}: {got:?}");
    }

    #[test]
    fn values_as_the_kernel_writes_them() {
        use ValueKind::{Bool, Char, Int, Text, Tristate};
        let (int, unsigned) = (Int { signed: true }, Int { signed: false });
        check(Bool, 1, "y", Some(&[1]));
        check(Bool, 1, "n", Some(&[0]));
        check(Bool, 1, "m", None);
        check(Bool, 1, "1", Some(&[1]));
        check(Bool, 1, "2", None);
        check(Tristate, 4, "m", Some(&[2, 0, 0, 0]));
        check(Tristate, 4, "y", Some(&[1, 0, 0, 0]));
        check(Tristate, 4, "1", None);
        check(Char { signed: true }, 1, "m", Some(b"m"));
        check(Char { signed: true }, 1, "-1", Some(&[255]));
        check(Char { signed: false }, 1, "-1", None);
        check(Char { signed: true }, 1, "128", None);
        check(int, 4, "1000", Some(&[0xe8, 3, 0, 0]));
        check(int, 4, "0x10", Some(&[16, 0, 0, 0]));
        check(int, 4, "-2", Some(&[254, 255, 255, 255]));
        check(int, 2, "32768", None);
        check(unsigned, 2, "32768", Some(&[0, 128]));
        check(unsigned, 8, "0xffffffffffffffff", Some(&[255; 8]));
        check(unsigned, 4, "y", None);
        check(unsigned, 4, "10q", None);
        check(Text, 4, "\"ab\"", Some(b"ab\0\0"));
        check(Text, 4, "\"abcdef\"", Some(b"abc\0"));
        check(Text, 1, "\"abcdef\"", Some(b"\0"));
        check(Text, 4, "\"", None);
        check(Text, 4, "", None);
    }
}
