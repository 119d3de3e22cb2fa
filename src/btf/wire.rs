//! BTF as bytes: the header, the records of each kind and the string table, read and written.
//!
//! Sources: `include/uapi/linux/btf.h`, and what `kernel/bpf/btf.c` refuses.

use hashbrown::HashMap;
use std::ffi::CStr;
use std::ops::Range;
use std::sync::Arc;

use super::{Btf, Encoding, EnumValue, Error, Linkage, Member, Name, Param, Place, SectionVar, Table, Type, TypeId};

/// `0xeb9f`, as it stands in a little-endian file.
const MAGIC: [u8; 2] = [0x9f, 0xeb];
const VERSION: u8 = 1;
/// The header that every kernel accepts. Newer tools add `layout_off` and `layout_len`, which 6.18 refuses (E2BIG).
const HEADER: usize = 24;
const LAYOUT_HEADER: usize = 32;
/// Every type begins with three words.
const LEAST_TYPE: usize = 12;
/// How long types are as a rule.
const USUAL_TYPE: usize = 24;
/// The most parts of a type. Linux 7.2 takes so many, 6.18 only 0xffff.
const MAX_VLEN: usize = 0x00ff_ffff;
/// The longest name, in bytes. Names may share their bytes, so that without a limit messages about a small file could
/// hold gigabytes of them; the kernel takes 511 bytes (`KSYM_NAME_LEN`).
pub(super) const MAX_STRING: usize = 1024;
const KIND_FLAG: u32 = 1 << 31;

/// Kind numbers, by their names in `btf.h`.
pub(super) mod number {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// Reads little-endian words, and knows where it is for the error.
pub(super) struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
    place: fn(usize) -> Place,
}

impl<'a> Reader<'a> {
    /// Reads `data[range]`; the caller has checked the range.
    pub(super) fn new(data: &'a [u8], range: Range<usize>, place: fn(usize) -> Place) -> Self {
        Self { data, at: range.start, end: range.end.min(data.len()), place }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    #[inline]
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.end);
        let Some(bytes) = end.and_then(|end| self.data.get(self.at..end)) else { return Err(self.short(count)) };
        self.at += count;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        let [word] = self.words()?;
        Ok(word)
    }

    /// Reads as many words as the caller has names for.
    #[inline]
    pub(super) fn words<const N: usize>(&mut self) -> Result<[u32; N], Error> {
        let (words, _) = self.bytes(4 * N)?.as_chunks();
        let words: &[[u8; 4]; N] = words.first_chunk().ok_or_else(|| self.short(4 * N))?;
        Ok(words.map(u32::from_le_bytes))
    }

    #[cold]
    fn short(&self, count: usize) -> Error {
        self.error(format!("{count} bytes are wanted, {} are left", self.end - self.at))
    }

    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        Error { place: (self.place)(self.at), what: what.into() }
    }
}

/// Reads magic, version, flags and the header length, which `.BTF` and `.BTF.ext` share. Returns the header's own words
/// after the length, and where the header ends.
pub(super) fn header<'a>(data: &'a [u8], least: usize, place: fn(usize) -> Place) -> Result<Reader<'a>, Error> {
    let mut reader = Reader::new(data, 0..data.len(), place);
    let start = reader.bytes(4)?;
    let swapped = [MAGIC[1], MAGIC[0]];
    let error = |at, what: String| Err(Error { place: place(at), what });
    if start[..2] == swapped {
        return error(0, "it is big-endian; only little-endian objects can be loaded here".to_owned());
    }
    if start[..2] != MAGIC {
        return error(0, "it does not start with the magic number 0xeb9f".to_owned());
    }
    if start[2] != VERSION {
        return error(2, format!("version {} is not known", start[2]));
    }
    if start[3] != 0 {
        return error(3, format!("flags {:#x} are not known", start[3]));
    }
    let length = reader.u32()? as usize;
    if length < least || length > data.len() {
        return error(4, format!("a header of {length} bytes does not fit ({least} to {})", data.len()));
    }
    Ok(Reader::new(data, 8..length, place))
}

/// Reads an offset and a length and returns what they mean in the whole, where offsets count from `base`.
pub(super) fn range(header: &mut Reader<'_>, base: usize, total: usize) -> Result<Range<usize>, Error> {
    let (offset, length) = (header.u32()? as usize, header.u32()? as usize);
    let start = base.checked_add(offset);
    match start.and_then(|start| Some(start..start.checked_add(length)?)) {
        Some(range) if range.end <= total => Ok(range),
        _ => Err(header.error(format!("{length} bytes at {offset} after the header end behind the section"))),
    }
}

/// Where the parts of BTF lie.
pub(super) struct Parts {
    pub types: Range<usize>,
    pub strings: Range<usize>,
    /// Of [`Layouts`]; empty where there are none.
    pub layouts: Range<usize>,
}

/// Reads the header of `.BTF`.
pub(super) fn parts(data: &[u8]) -> Result<Parts, Error> {
    let mut header = header(data, HEADER, Place::Byte)?;
    let base = header.end;
    let types = range(&mut header, base, data.len())?;
    let strings = range(&mut header, base, data.len())?;
    let layouts = if base >= LAYOUT_HEADER { range(&mut header, base, data.len())? } else { 0..0 };
    while !header.is_empty() {
        if header.bytes(1)? != [0] {
            return Err(header.error("the header has fields that are not known"));
        }
    }
    Ok(Parts { types, strings, layouts })
}

/// How long the records of each kind are that whoever wrote the BTF knew: what is newer than we are can be stepped over.
#[derive(Clone, Copy, Default)]
pub(super) struct Layouts<'a>(&'a [[u8; 4]]);

impl<'a> Layouts<'a> {
    /// Takes the bytes of the section, four for each kind (`struct btf_layout`).
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.as_chunks().0)
    }

    /// Returns how many bytes follow the head of a type of that kind.
    fn tail_len(self, kind: u32, vlen: u32) -> Option<usize> {
        let [once, each, ..] = self.0.get(kind as usize).filter(|_| kind != 0)?;
        (once % 4 == 0 && each % 4 == 0).then(|| usize::from(*once) + usize::from(*each) * vlen as usize)
    }
}

/// Returns what the second word of a type says: how many parts it has, its kind, and its flag. As wide as here the numbers
/// are in Linux 7.2; what older tools write has zeroes in their upper bits.
pub(super) fn info(word: u32) -> (u32, u32, bool) {
    (word & MAX_VLEN as u32, (word >> 24) & 0x7f, word & KIND_FLAG != 0)
}

impl Btf {
    /// Reads a `.BTF` section, or `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// When a length, an id, a string or a kind is wrong or not known, or the bytes are big-endian.
    pub fn parse(data: &[u8]) -> Result<Self, Error> {
        let Parts { types, strings, layouts } = parts(data)?;
        let table = string_table(data, strings)?;
        let mut btf = Self { types: Vec::with_capacity(1 + types.len() / LEAST_TYPE), strings: as_text(table) };
        btf.push(Type::Void);
        let strings = Arc::clone(&btf.strings);
        let layouts = Layouts::new(&data[layouts]);
        let decoder = Decoder { base: &[], own: table, shared: Some(&strings), layouts };
        let mut reader = Reader::new(data, types, Place::Byte);
        while !reader.is_empty() {
            let ty = decoder.read_type(&mut reader)?;
            btf.push(ty);
        }
        btf.types.shrink_to_fit();
        btf.check_ids()?;
        Ok(btf)
    }

    /// Returns the string at `offset` of the table this model was parsed with; a very long one is cut. A line of source
    /// may be in any encoding: bytes that are not UTF-8 are question marks.
    pub fn text(&self, offset: u32) -> Option<&str> {
        // Within a character only a damaged file points.
        let start = self.has_string(offset).then(|| self.strings.ceil_char_boundary(offset as usize))?;
        let text = self.strings[start..].split('\0').next()?;
        Some(&text[..text.floor_char_boundary(MAX_STRING)])
    }

    /// Tells whether there is a string at `offset`: the table ends with a NUL byte.
    pub(super) fn has_string(&self, offset: u32) -> bool {
        (offset as usize) < self.strings.len()
    }

    /// Refuses a reference to a type that does not exist or cannot stand there.
    fn check_ids(&self) -> Result<(), Error> {
        for (id, ty) in self.types() {
            let error = |what: String| Err(Error { place: Place::Type(id), what });
            let mut bad = None;
            each_reference(ty, |to| {
                if self.get(to).is_none() {
                    bad = Some(to)
                }
            });
            if let Some(bad) = bad {
                return error(format!("it refers to type {bad}, the last one is {}", self.types.len() - 1));
            }
            match ty {
                Type::Func { name, proto, .. } if !matches!(self.get(*proto), Some(Type::FuncProto { .. })) => {
                    return error(format!("the type of the function `{name}` is not a prototype"));
                }
                Type::Datasec { name, vars, .. } => {
                    let is_var =
                        |var: &SectionVar| matches!(self.get(var.ty), Some(Type::Var { .. } | Type::Func { .. }));
                    if !vars.iter().all(is_var) {
                        return error(format!("the section `{name}` holds something that is not a variable"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads types; holds the strings that they are named with.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a> {
    /// The strings of the types that these ones build on, which count first.
    pub base: &'a [u8],
    /// Their own strings.
    pub own: &'a [u8],
    /// The same as text, when names shall be places in it and not copies.
    pub shared: Option<&'a Table>,
    /// For types of kinds that are not known.
    pub layouts: Layouts<'a>,
}

impl<'a> Decoder<'a> {
    /// Returns the bytes of the string at `offset`.
    pub(super) fn string(self, offset: u32) -> Option<&'a [u8]> {
        match offset.checked_sub(self.base.len() as u32) {
            Some(own) => string_at(self.own, own),
            None => string_at(self.base, offset),
        }
    }

    /// Returns the name at `offset`, which the reader has just read.
    fn name(self, reader: &Reader<'_>, offset: u32) -> Result<Name, Error> {
        if offset == 0 {
            return Ok(Name::default());
        }
        let Some(bytes) = self.string(offset) else {
            return Err(reader.error(format!("there is no string at {offset}")));
        };
        match (std::str::from_utf8(bytes), self.shared) {
            (Ok(text), _) if text.len() > MAX_STRING => {
                Err(reader.error(format!("a name of {} bytes is longer than {MAX_STRING}", text.len())))
            }
            (Ok(text), Some(table)) => Ok(Name::within(table, offset, text.len())),
            (Ok(text), None) => Ok(Name::from(text)),
            (Err(_), _) => Err(reader.error(format!("the string at {offset} is not UTF-8"))),
        }
    }

    /// Reads one type with everything that belongs to it. Ids in it are not checked.
    pub(super) fn read_type(self, reader: &mut Reader<'_>) -> Result<Type, Error> {
        let at = reader.at();
        let [name, info, word] = reader.words()?;
        let name = self.name(reader, name)?;
        let (vlen, kind, flag) = self::info(info);
        Ok(match kind {
            number::INT => integer(reader, name, word)?,
            number::PTR => Type::Ptr { ty: word },
            number::ARRAY => {
                let [element, index, count] = reader.words()?;
                Type::Array { element, index, count }
            }
            number::STRUCT => Type::Struct { name, size: word, members: self.members(reader, vlen, flag)? },
            number::UNION => Type::Union { name, size: word, members: self.members(reader, vlen, flag)? },
            number::ENUM => Type::Enum { name, size: word, signed: flag, values: self.values(reader, vlen, flag)? },
            number::FWD => Type::Fwd { name, is_union: flag },
            number::TYPEDEF => Type::Typedef { name, ty: word },
            number::VOLATILE => Type::Volatile { ty: word },
            number::CONST => Type::Const { ty: word },
            number::RESTRICT => Type::Restrict { ty: word },
            number::FUNC => Type::Func { name, proto: word, linkage: linkage(reader, vlen)? },
            number::FUNC_PROTO => Type::FuncProto { ret: word, params: self.params(reader, vlen)? },
            number::VAR => {
                let kind = reader.u32()?;
                Type::Var { name, ty: word, linkage: linkage(reader, kind)? }
            }
            number::DATASEC => Type::Datasec { name, size: word, vars: section_vars(reader, vlen)? },
            number::FLOAT => Type::Float { name, size: word },
            number::DECL_TAG => {
                let component = component(reader)?;
                Type::DeclTag { name, ty: word, component, attribute: flag }
            }
            number::TYPE_TAG => Type::TypeTag { name, ty: word, attribute: flag },
            number::ENUM64 => {
                Type::Enum64 { name, size: word, signed: flag, values: self.values64(reader, vlen, flag)? }
            }
            _ => {
                let Some(tail) = self.layouts.tail_len(kind, vlen) else {
                    return Err(Error { place: Place::Byte(at), what: format!("kind {kind} is not known") });
                };
                reader.bytes(tail)?;
                // There is something, of which nothing is known: what every kernel takes for that is a declaration.
                Type::Fwd { name: Name::from(format!("unknown_kind_{kind}").as_str()), is_union: false }
            }
        })
    }

    fn members(self, reader: &mut Reader<'_>, vlen: u32, bitfields: bool) -> Result<Vec<Member>, Error> {
        records(reader, vlen, 12, |reader| {
            let [name, ty, place] = reader.words()?;
            let name = self.name(reader, name)?;
            let (bit_offset, bitfield_size) =
                if bitfields { (place & 0x00ff_ffff, (place >> 24) as u8) } else { (place, 0) };
            Ok(Member { name, ty, bit_offset, bitfield_size })
        })
    }

    fn values(self, reader: &mut Reader<'_>, vlen: u32, signed: bool) -> Result<Vec<EnumValue>, Error> {
        records(reader, vlen, 8, |reader| {
            let [name, word] = reader.words()?;
            let name = self.name(reader, name)?;
            let value = if signed { i128::from(word.cast_signed()) } else { i128::from(word) };
            Ok(EnumValue { name, value })
        })
    }

    fn values64(self, reader: &mut Reader<'_>, vlen: u32, signed: bool) -> Result<Vec<EnumValue>, Error> {
        records(reader, vlen, 12, |reader| {
            let [name, low, high] = reader.words()?;
            let name = self.name(reader, name)?;
            let word = u64::from(high) << 32 | u64::from(low);
            let value = if signed { i128::from(word.cast_signed()) } else { i128::from(word) };
            Ok(EnumValue { name, value })
        })
    }

    fn params(self, reader: &mut Reader<'_>, vlen: u32) -> Result<Vec<Param>, Error> {
        records(reader, vlen, 8, |reader| {
            let [name, ty] = reader.words()?;
            Ok(Param { name: self.name(reader, name)?, ty })
        })
    }
}

/// Reads `count` records of `size` bytes each, and makes room for no more of them than there are bytes.
fn records<T>(
    reader: &mut Reader<'_>,
    count: u32,
    size: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut list = Vec::with_capacity((count as usize).min((reader.end - reader.at) / size));
    for _ in 0..count {
        list.push(read(reader)?);
    }
    Ok(list)
}

/// Returns a table of strings as text of the same length, with a question mark for each byte that is not UTF-8.
fn as_text(table: &[u8]) -> Table {
    if let Ok(text) = std::str::from_utf8(table) {
        return Arc::new(text.into());
    }
    let mut text = String::with_capacity(table.len());
    for chunk in table.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Arc::new(text.into())
}

/// Returns the bytes of the string at `offset` of a table.
pub(super) fn string_at(table: &[u8], offset: u32) -> Option<&[u8]> {
    CStr::from_bytes_until_nul(table.get(offset as usize..)?).ok().map(CStr::to_bytes)
}

/// Returns how many bytes follow the three words that every type begins with; none for a kind that neither we nor the
/// layouts know.
pub(super) fn tail_len(kind: u32, vlen: u32, layouts: Layouts<'_>) -> Option<usize> {
    let parts = vlen as usize;
    match kind {
        number::INT | number::VAR | number::DECL_TAG => Some(4),
        number::ARRAY => Some(12),
        number::STRUCT | number::UNION | number::DATASEC | number::ENUM64 => Some(12 * parts),
        number::ENUM | number::FUNC_PROTO => Some(8 * parts),
        number::PTR
        | number::FWD
        | number::TYPEDEF
        | number::VOLATILE
        | number::CONST
        | number::RESTRICT
        | number::FUNC
        | number::FLOAT
        | number::TYPE_TAG => Some(0),
        _ => layouts.tail_len(kind, vlen),
    }
}

pub(super) fn string_table(data: &[u8], range: Range<usize>) -> Result<&[u8], Error> {
    let start = range.start;
    match data.get(range) {
        Some(table) if table.first() == Some(&0) && table.last() == Some(&0) => Ok(table),
        _ => {
            let what = "the string table does not start and end with a NUL byte".to_owned();
            Err(Error { place: Place::Byte(start), what })
        }
    }
}

/// Finds the strings that go on where others end; unlike those they need not begin with the empty one.
pub(super) fn added_strings(data: &[u8], range: Range<usize>) -> Result<&[u8], Error> {
    let start = range.start;
    match data.get(range) {
        Some(table) if table.is_empty() || table.last() == Some(&0) => Ok(table),
        _ => Err(Error { place: Place::Byte(start), what: "the string table does not end with a NUL byte".to_owned() }),
    }
}

fn integer(reader: &mut Reader<'_>, name: Name, size: u32) -> Result<Type, Error> {
    let word = reader.u32()?;
    let encoding = match word >> 24 {
        0 => Encoding::Unsigned,
        1 => Encoding::Signed,
        2 => Encoding::Char,
        4 => Encoding::Bool,
        other => {
            return Err(reader.error(format!("the integer `{name}` has the unknown encoding {other}")));
        }
    };
    let (offset, bits) = ((word >> 16) as u8, word as u8);
    let fits = u32::from(offset) + u32::from(bits) <= size.saturating_mul(8);
    if !fits || size > 16 || word & 0xff00 != 0 {
        return Err(reader.error(format!("the integer `{name}` has {bits} bits at {offset} of {size} bytes")));
    }
    Ok(Type::Int { name, size, bits, offset, encoding })
}

fn linkage(reader: &Reader<'_>, number: u32) -> Result<Linkage, Error> {
    match number {
        0 => Ok(Linkage::Static),
        1 => Ok(Linkage::Global),
        2 => Ok(Linkage::Extern),
        _ => Err(reader.error(format!("linkage {number} is not known"))),
    }
}

fn component(reader: &mut Reader<'_>) -> Result<Option<u32>, Error> {
    match reader.u32()? {
        u32::MAX => Ok(None),
        index if index <= MAX_VLEN as u32 => Ok(Some(index)),
        index => Err(reader.error(format!("a tag cannot be on component {index}"))),
    }
}

fn section_vars(reader: &mut Reader<'_>, vlen: u32) -> Result<Vec<SectionVar>, Error> {
    records(reader, vlen, 12, |reader| {
        let [ty, offset, size] = reader.words()?;
        Ok(SectionVar { ty, offset, size })
    })
}

/// Calls `visit` with each id that the type holds.
fn each_reference(ty: &Type, mut visit: impl FnMut(TypeId)) {
    match ty {
        Type::Void
        | Type::Int { .. }
        | Type::Enum { .. }
        | Type::Enum64 { .. }
        | Type::Fwd { .. }
        | Type::Float { .. } => {}
        Type::Ptr { ty }
        | Type::Typedef { ty, .. }
        | Type::Volatile { ty }
        | Type::Const { ty }
        | Type::Restrict { ty }
        | Type::Func { proto: ty, .. }
        | Type::Var { ty, .. }
        | Type::DeclTag { ty, .. }
        | Type::TypeTag { ty, .. } => visit(*ty),
        Type::Array { element, index, .. } => {
            visit(*element);
            visit(*index);
        }
        Type::Struct { members, .. } | Type::Union { members, .. } => {
            members.iter().for_each(|member| visit(member.ty));
        }
        Type::FuncProto { ret, params } => {
            visit(*ret);
            params.iter().for_each(|param| visit(param.ty));
        }
        Type::Datasec { vars, .. } => vars.iter().for_each(|var| visit(var.ty)),
    }
}

impl Btf {
    /// Returns the bytes: a header of 24 bytes, the types in order, and the strings. Those that the model was parsed with
    /// keep their places, each other one follows once.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&[])
    }

    /// Encodes as [`Btf::encode`], with more types behind the own ones.
    pub fn encode_with(&self, more: &[Type]) -> Vec<u8> {
        let mut writer = Writer::new(&self.strings, self.types.len() + more.len());
        self.types.iter().skip(1).chain(more).for_each(|ty| writer.put_type(ty));
        writer.finish()
    }
}

/// Writes types; what names the table lacks goes behind it, and all strings behind the types.
struct Writer<'a> {
    /// Room for the header, and the types so far.
    bytes: Vec<u8>,
    table: &'a Table,
    added: String,
    /// Where the added strings are, counted from the start of the table.
    offsets: HashMap<&'a str, u32>,
}

impl<'a> Writer<'a> {
    /// Starts with a table of strings, of which the first is empty, and room for some types.
    fn new(table: &'a Table, types: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + types * USUAL_TYPE);
        bytes.resize(HEADER, 0);
        Self { bytes, table, added: String::new(), offsets: HashMap::new() }
    }

    /// Puts the strings behind the types, and the header before them.
    fn finish(mut self) -> Vec<u8> {
        let types = (self.bytes.len() - HEADER) as u32;
        let strings = (self.table.len() + self.added.len()) as u32;
        let words = [HEADER as u32, 0, types, types, strings].map(u32::to_le_bytes);
        self.bytes[..4].copy_from_slice(&[MAGIC[0], MAGIC[1], VERSION, 0]);
        self.bytes[4..HEADER].copy_from_slice(words.as_flattened());
        self.bytes.reserve_exact(strings as usize);
        self.bytes.extend_from_slice(self.table.as_bytes());
        self.bytes.extend_from_slice(self.added.as_bytes());
        self.bytes.shrink_to_fit();
        self.bytes
    }

    fn intern(&mut self, name: &'a Name) -> u32 {
        if let Some(offset) = name.place_in(self.table) {
            return offset;
        }
        // A NUL would end the string early in the table.
        let text = name.split('\0').next().unwrap_or_default();
        if text.is_empty() {
            return 0;
        }
        *self.offsets.entry(text).or_insert_with(|| {
            let offset = self.table.len() + self.added.len();
            self.added.push_str(text);
            self.added.push('\0');
            offset as u32
        })
    }

    fn words<const N: usize>(&mut self, words: [u32; N]) {
        self.bytes.extend(words.map(u32::to_le_bytes).as_flattened());
    }

    fn head(&mut self, kind: u32, name: Option<&'a Name>, flag: bool, vlen: usize, word: u32) {
        let name = name.map_or(0, |name| self.intern(name));
        let flag = if flag { KIND_FLAG } else { 0 };
        self.words([name, flag | kind << 24 | vlen.min(MAX_VLEN) as u32, word]);
    }

    fn put_type(&mut self, ty: &'a Type) {
        match ty {
            // Only type 0 is void, and it is not written; elsewhere it keeps the ids of the others as they are.
            Type::Void => self.head(number::CONST, None, false, 0, 0),
            Type::Int { name, size, bits, offset, encoding } => {
                self.head(number::INT, Some(name), false, 0, *size);
                self.words([encoding_number(*encoding) << 24 | u32::from(*offset) << 16 | u32::from(*bits)]);
            }
            Type::Ptr { ty } => self.head(number::PTR, None, false, 0, *ty),
            Type::Array { element, index, count } => {
                self.head(number::ARRAY, None, false, 0, 0);
                self.words([*element, *index, *count]);
            }
            Type::Struct { name, size, members } => self.put_members(number::STRUCT, name, *size, members),
            Type::Union { name, size, members } => self.put_members(number::UNION, name, *size, members),
            Type::Enum { name, size, signed, values } => {
                self.head(number::ENUM, Some(name), *signed, values.len(), *size);
                for value in values.iter().take(MAX_VLEN) {
                    let name = self.intern(&value.name);
                    self.words([name, value.value as u32]);
                }
            }
            Type::Enum64 { name, size, signed, values } => {
                self.head(number::ENUM64, Some(name), *signed, values.len(), *size);
                for value in values.iter().take(MAX_VLEN) {
                    let name = self.intern(&value.name);
                    self.words([name, value.value as u32, (value.value >> 32) as u32]);
                }
            }
            Type::Fwd { name, is_union } => self.head(number::FWD, Some(name), *is_union, 0, 0),
            Type::Typedef { name, ty } => self.head(number::TYPEDEF, Some(name), false, 0, *ty),
            Type::Volatile { ty } => self.head(number::VOLATILE, None, false, 0, *ty),
            Type::Const { ty } => self.head(number::CONST, None, false, 0, *ty),
            Type::Restrict { ty } => self.head(number::RESTRICT, None, false, 0, *ty),
            Type::Func { name, proto, linkage } => {
                self.head(number::FUNC, Some(name), false, linkage_number(*linkage) as usize, *proto);
            }
            Type::FuncProto { ret, params } => {
                self.head(number::FUNC_PROTO, None, false, params.len(), *ret);
                for param in params.iter().take(MAX_VLEN) {
                    let name = self.intern(&param.name);
                    self.words([name, param.ty]);
                }
            }
            Type::Var { name, ty, linkage } => {
                self.head(number::VAR, Some(name), false, 0, *ty);
                self.words([linkage_number(*linkage)]);
            }
            Type::Datasec { name, size, vars } => {
                self.head(number::DATASEC, Some(name), false, vars.len(), *size);
                for var in vars.iter().take(MAX_VLEN) {
                    self.words([var.ty, var.offset, var.size]);
                }
            }
            Type::Float { name, size } => self.head(number::FLOAT, Some(name), false, 0, *size),
            Type::DeclTag { name, ty, component, attribute } => {
                self.head(number::DECL_TAG, Some(name), *attribute, 0, *ty);
                self.words([component.unwrap_or(u32::MAX)]);
            }
            Type::TypeTag { name, ty, attribute } => self.head(number::TYPE_TAG, Some(name), *attribute, 0, *ty),
        }
    }

    /// Writes the members with the flag for bit-fields only where one is: without it an offset has 32 bits instead of 24.
    fn put_members(&mut self, kind: u32, name: &'a Name, size: u32, members: &'a [Member]) {
        let bitfields = members.iter().any(|member| member.bitfield_size != 0);
        self.head(kind, Some(name), bitfields, members.len(), size);
        for member in members.iter().take(MAX_VLEN) {
            let name = self.intern(&member.name);
            let place = if bitfields {
                u32::from(member.bitfield_size) << 24 | member.bit_offset & 0x00ff_ffff
            } else {
                member.bit_offset
            };
            self.words([name, member.ty, place]);
        }
    }
}

fn encoding_number(encoding: Encoding) -> u32 {
    match encoding {
        Encoding::Unsigned => 0,
        Encoding::Signed => 1,
        Encoding::Char => 2,
        Encoding::Bool => 4,
    }
}

fn linkage_number(linkage: Linkage) -> u32 {
    match linkage {
        Linkage::Static => 0,
        Linkage::Global => 1,
        Linkage::Extern => 2,
    }
}
