//! `.BTF.ext`: which type, source line and relocation belongs to which instruction.
//!
//! Records longer than we know are read as far as we know them, since newer compilers may add fields at the end.

use std::collections::BTreeMap;
use std::ops::Range;

use super::wire::{self, Reader};
use super::{Btf, Error, Place, Type, TypeId};
use crate::insn::LinePlace;

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
    /// A [`Type::Func`].
    pub ty: TypeId,
}

/// The source line that an instruction comes from. Its strings are those of the object's types ([`Btf::text`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineInfo {
    /// Of the instruction in its section, in bytes.
    pub offset: u32,
    /// The source file as the compiler was given it; empty when unknown.
    pub file: u32,
    /// The text of the line; empty when unknown.
    pub text: u32,
    /// Line and column.
    pub place: LinePlace,
}

/// A place where the running kernel's types decide what the instruction says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    /// Of the instruction in its section, in bytes.
    pub offset: u32,
    /// The type as the program was compiled with.
    pub ty: TypeId,
    /// Indices from `ty` to the field, as in `0:1:2`: a string of the object's types ([`Btf::text`]).
    pub access: u32,
    /// The number of `enum bpf_core_relo_kind`.
    pub kind: u32,
}

impl BtfExt {
    /// Reads a `.BTF.ext` section; `btf` is the `.BTF` of the same object, as it was parsed.
    ///
    /// # Errors
    /// When a length, a string or a type is wrong, or a record is shorter than its fields.
    pub fn parse(data: &[u8], btf: &Btf) -> Result<Self, Error> {
        let mut header = wire::header(data, HEADER, Place::ExtByte)?;
        let base = header.end();
        let funcs = wire::range(&mut header, base, data.len())?;
        let lines = wire::range(&mut header, base, data.len())?;
        let relos = if base >= RELOCATIONS_HEADER { wire::range(&mut header, base, data.len())? } else { 0..0 };
        Ok(Self {
            funcs: sections(data, funcs, 8, btf, read_func)?,
            lines: sections(data, lines, 16, btf, read_line)?,
            relos: sections(data, relos, 16, btf, read_relocation)?,
        })
    }
}

impl BtfExt {
    /// Reads only the relocations, without which a program is wrong; of functions and lines it just tells less.
    ///
    /// # Errors
    /// As [`BtfExt::parse`], but for what is wrong with functions and lines.
    pub fn parse_relocations(data: &[u8], btf: &Btf) -> Result<Self, Error> {
        let mut header = wire::header(data, HEADER, Place::ExtByte)?;
        let base = header.end();
        let [_funcs, _func_bytes, _lines, _line_bytes] = header.words()?;
        // Where none of them begin is no matter: the length is the last word.
        let has_relos = base >= RELOCATIONS_HEADER && data[RELOCATIONS_HEADER - 4..RELOCATIONS_HEADER] != [0; 4];
        let relos = if has_relos { wire::range(&mut header, base, data.len())? } else { 0..0 };
        Ok(Self { relos: sections(data, relos, 16, btf, read_relocation)?, ..Self::default() })
    }
}

type Read<T> = fn(&mut Reader<'_>, &Btf) -> Result<T, Error>;

/// Reads one of the three parts: a record size, then for each code section its name, a count and the records.
fn sections<T>(
    data: &[u8],
    range: Range<usize>,
    least: usize,
    btf: &Btf,
    read: Read<T>,
) -> Result<BTreeMap<String, Vec<T>>, Error> {
    let mut sections = BTreeMap::<String, Vec<T>>::new();
    if range.is_empty() {
        return Ok(sections);
    }
    let mut reader = Reader::new(data, range, Place::ExtByte);
    let size = reader.u32()? as usize;
    if size < least || !size.is_multiple_of(4) {
        return Err(reader.error(format!("records of {size} bytes, {least} or more are wanted")));
    }
    while !reader.is_empty() {
        let [name, count] = reader.words()?;
        let name = btf.text(string(&reader, btf, name)?).unwrap_or_default().to_owned();
        let section = sections.entry(name).or_default();
        section.reserve((count as usize).min((reader.end() - reader.at()) / size));
        for _ in 0..count {
            let start = reader.at();
            reader.bytes(size)?;
            section.push(read(&mut Reader::new(data, start..start + size, Place::ExtByte), btf)?);
        }
    }
    Ok(sections)
}

fn read_func(reader: &mut Reader<'_>, btf: &Btf) -> Result<FuncInfo, Error> {
    let [offset, ty] = reader.words()?;
    let func = FuncInfo { offset, ty };
    match btf.get(func.ty) {
        Some(Type::Func { .. }) => Ok(func),
        _ => Err(reader.error(format!("type {} is not a function", func.ty))),
    }
}

fn read_line(reader: &mut Reader<'_>, btf: &Btf) -> Result<LineInfo, Error> {
    let [offset, file, text, place] = reader.words()?;
    let (file, text) = (string(reader, btf, file)?, string(reader, btf, text)?);
    Ok(LineInfo { offset, file, text, place: LinePlace(place) })
}

fn read_relocation(reader: &mut Reader<'_>, btf: &Btf) -> Result<Relocation, Error> {
    let [offset, ty, access, kind] = reader.words()?;
    if btf.get(ty).is_none() {
        return Err(reader.error(format!("there is no type {ty}")));
    }
    Ok(Relocation { offset, ty, access: string(reader, btf, access)?, kind })
}

/// Returns the offset of a string, which the reader has just read, when one is there.
fn string(reader: &Reader<'_>, btf: &Btf, offset: u32) -> Result<u32, Error> {
    match btf.has_string(offset) {
        true => Ok(offset),
        false => Err(reader.error(format!("there is no string at {offset}"))),
    }
}
