//! `.BTF.ext`: which type, source line and relocation belongs to which instruction.
//!
//! Records longer than we know are read as far as we know them, since newer compilers may add fields at the end.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::wire::{self, Reader};
use super::{Btf, Error, Place, Type, TypeId};

/// A header that ends before the relocations, as clang 9 wrote it.
const HEADER: usize = 24;
const RELOCATIONS_HEADER: usize = 32;
/// A line number and a column share one word.
const COLUMN_BITS: u32 = 10;
const MAX_COLUMN: u32 = (1 << COLUMN_BITS) - 1;

/// What `.BTF.ext` says, by the name of the section that holds the instructions, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BtfExt {
    /// Where functions begin.
    pub funcs: BTreeMap<String, Vec<FuncInfo>>,
    /// Source lines.
    pub lines: BTreeMap<String, Vec<LineInfo>>,
    /// CO-RE relocations.
    pub relos: BTreeMap<String, Vec<Relocation>>,
    /// The file names and source lines that `lines` count, in the order of their first use.
    pub strings: Vec<String>,
}

/// The function that begins at an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuncInfo {
    /// Of the instruction in its section, in bytes.
    pub offset: u32,
    /// A [`Type::Func`].
    pub ty: TypeId,
}

/// The source line that an instruction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineInfo {
    /// Of the instruction in its section, in bytes.
    pub offset: u32,
    /// The source file as the compiler was given it, as an index of [`BtfExt::strings`]; an empty string when unknown.
    pub file: u32,
    /// The text of the line, likewise.
    pub text: u32,
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
        let mut strings = Strings::default();
        Ok(Self {
            funcs: sections(data, funcs, 8, btf, read_func)?,
            lines: sections(data, lines, 16, btf, |reader, btf| read_line(reader, btf, &mut strings))?,
            relos: sections(data, relos, 16, btf, read_relocation)?,
            strings: strings.list,
        })
    }
}

/// Strings by their offset in the BTF, each once: most lines share their file with the line before.
#[derive(Default)]
struct Strings {
    list: Vec<String>,
    numbers: HashMap<u32, u32>,
}

impl Strings {
    fn number(&mut self, reader: &mut Reader<'_>, btf: &Btf) -> Result<u32, Error> {
        let offset = reader.u32()?;
        if let Some(number) = self.numbers.get(&offset) {
            return Ok(*number);
        }
        let number = self.list.len() as u32;
        self.list.push(string_at(reader, btf, offset)?);
        self.numbers.insert(offset, number);
        Ok(number)
    }
}

/// Reads one of the three parts: a record size, then for each code section its name, a count and the records.
fn sections<T>(
    data: &[u8],
    range: Range<usize>,
    least: usize,
    btf: &Btf,
    mut read: impl FnMut(&mut Reader<'_>, &Btf) -> Result<T, Error>,
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
        let name = string(&mut reader, btf)?;
        let count = reader.u32()?;
        let section = sections.entry(name).or_default();
        for _ in 0..count {
            let start = reader.at();
            reader.bytes(size)?;
            section.push(read(&mut Reader::new(data, start..start + size, Place::ExtByte), btf)?);
        }
    }
    Ok(sections)
}

fn read_func(reader: &mut Reader<'_>, btf: &Btf) -> Result<FuncInfo, Error> {
    let func = FuncInfo { offset: reader.u32()?, ty: reader.u32()? };
    match btf.get(func.ty) {
        Some(Type::Func { .. }) => Ok(func),
        _ => Err(reader.error(format!("type {} is not a function", func.ty))),
    }
}

fn read_line(reader: &mut Reader<'_>, btf: &Btf, strings: &mut Strings) -> Result<LineInfo, Error> {
    let offset = reader.u32()?;
    let (file, text) = (strings.number(reader, btf)?, strings.number(reader, btf)?);
    let place = reader.u32()?;
    Ok(LineInfo { offset, file, text, line: place >> COLUMN_BITS, column: place & MAX_COLUMN })
}

fn read_relocation(reader: &mut Reader<'_>, btf: &Btf) -> Result<Relocation, Error> {
    let (offset, ty) = (reader.u32()?, reader.u32()?);
    if btf.get(ty).is_none() {
        return Err(reader.error(format!("there is no type {ty}")));
    }
    Ok(Relocation { offset, ty, access: string(reader, btf)?, kind: reader.u32()? })
}

/// Reads a string's offset.
fn string(reader: &mut Reader<'_>, btf: &Btf) -> Result<String, Error> {
    let offset = reader.u32()?;
    string_at(reader, btf, offset)
}

/// Returns the string at an offset. A line of source may be in any encoding, so what is not UTF-8 is replaced; a very long one
/// is cut.
fn string_at(reader: &Reader<'_>, btf: &Btf, offset: u32) -> Result<String, Error> {
    match btf.string(offset) {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(wire::MAX_STRING)]).into_owned()),
        None => Err(reader.error(format!("there is no string at {offset}"))),
    }
}
