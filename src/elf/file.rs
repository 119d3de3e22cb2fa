//! The ELF container: its sections, symbols and relocations as plain values, and nothing about BPF but its machine.

use super::Error;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym};
use object::{LittleEndian, SectionIndex, SymbolIndex};

/// The longest name that is read, in bytes. Names may share their bytes, so that without a limit a small file
/// could hold gigabytes of them; the kernel takes 511 bytes (`KSYM_NAME_LEN`).
const MAX_NAME: usize = 1024;

/// Boxed, since an error is much larger than what is read here, and rare.
type Fault = Box<Error>;

/// An object file for BPF.
pub(super) struct File<'a> {
    /// By number; the first is the empty one.
    pub sections: Vec<Section<'a>>,
    /// By number; the first is the empty one.
    pub symbols: Vec<Symbol<'a>>,
    /// The sections that symbols are defined in, with the numbers of both, in order.
    defined: Vec<(usize, usize)>,
}

/// A section of the file.
pub(super) struct Section<'a> {
    pub name: &'a str,
    pub class: Class,
    /// In bytes; without contents for [`Class::Zeroes`].
    pub size: u64,
    pub data: &'a [u8],
    /// The relocations for this section's bytes, in the order of the file.
    pub relocations: Vec<Relocation>,
}

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `SHF_EXECINSTR`
    Code,
    /// Contents in the file.
    Data,
    /// `SHT_NOBITS`
    Zeroes,
    /// For the linker: symbols, strings, relocations, groups.
    Other,
}

/// A symbol of the file.
pub(super) struct Symbol<'a> {
    /// The section's name for the symbol of a section.
    pub name: &'a str,
    pub kind: SymbolKind,
    pub place: Place,
    pub value: u64,
    pub size: u64,
    pub local: bool,
    /// `__weak`
    pub weak: bool,
    /// Not for others than this object: for the kernel's BTF the same as `static`.
    pub hidden: bool,
}

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SymbolKind {
    Unknown,
    Object,
    Function,
    Section,
    Other,
}

/// Where a symbol is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In another object, or in the kernel.
    Undefined,
    /// In the section with this number.
    Section(usize),
    /// In a section that a linker of programs for hosts would make: a variable of `-fcommon` without a first value.
    Common,
    /// An absolute value.
    Nowhere,
}

/// A place that the linker has to fill.
pub(super) struct Relocation {
    /// In the section, in bytes.
    pub offset: u64,
    /// Number of the symbol.
    pub symbol: usize,
    /// Added to what stands at the place; 0 in the `SHT_REL` tables that compilers write for BPF.
    pub addend: i64,
}

/// Returns where the table of sections ends, as the header of a little-endian 64-bit file says it.
pub(super) fn end_of_sections(bytes: &[u8]) -> Option<u64> {
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(bytes).ok()?;
    let table = u64::from(header.e_shnum(endian)) * u64::from(header.e_shentsize(endian));
    header.e_shoff(endian).checked_add(table)
}

impl<'a> File<'a> {
    /// Reads a relocatable little-endian 64-bit file for BPF.
    ///
    /// # Errors
    /// When the file is of another kind, or a table or name is broken.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        check_kind(bytes)?;
        let endian = LittleEndian;
        let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(damaged)?;
        if header.e_type(endian) != elf::ET_REL {
            return Err(Box::new(Error::new("the file is linked, not an object file").help("compile with `clang -c`")));
        }
        // LLVM had no number for BPF before 3.9.
        if !matches!(header.e_machine(endian), elf::EM_BPF | elf::EM_NONE) {
            let what = format!("the file is for machine {}, not for BPF", header.e_machine(endian).0);
            return Err(Box::new(Error::new(what).help("compile with `clang -target bpf`")));
        }
        let table = header.sections(endian, bytes).map_err(damaged)?;
        check_sizes(&table, bytes.len())?;
        let mut sections = read_sections(&table, bytes)?;
        let symbols = table.symbols(endian, bytes, elf::SHT_SYMTAB).map_err(damaged)?;
        for header in table.iter() {
            if is_for_debuggers(&table, header) {
                continue;
            }
            let (target, relocations) = match read_relocations(header, bytes).map_err(damaged)? {
                Some((link, target, relocations)) if link == symbols.section() => (target, relocations),
                Some(_) | None => continue,
            };
            let Some(section) = sections.get_mut(target.0) else {
                return Err(Box::new(Error::new(format!("relocations for section {target}, which the file lacks"))));
            };
            section.relocations.extend(relocations);
        }
        let symbols = symbols
            .enumerate()
            .map(|(index, symbol)| {
                let name = symbol.name(endian, symbols.strings()).map_err(damaged)?;
                let place = match symbols.symbol_section(endian, symbol, index).map_err(damaged)? {
                    Some(SectionIndex(0)) => Place::Undefined,
                    Some(SectionIndex(section)) => Place::Section(section),
                    None if symbol.is_undefined(endian) => Place::Undefined,
                    None if symbol.is_common(endian) => Place::Common,
                    None => Place::Nowhere,
                };
                read_symbol(symbol, index, name, place, &sections)
            })
            .collect::<Result<Vec<Symbol<'_>>, _>>()?;
        let place = |(number, symbol): (usize, &Symbol<'_>)| match symbol.place {
            Place::Section(section) => Some((section, number)),
            Place::Undefined | Place::Common | Place::Nowhere => None,
        };
        let mut defined: Vec<_> = symbols.iter().enumerate().filter_map(place).collect();
        defined.sort_unstable();
        Ok(Self { sections, symbols, defined })
    }

    /// Returns the first section of that name with its number.
    pub fn section(&self, name: &str) -> Option<(usize, &Section<'a>)> {
        self.sections.iter().enumerate().find(|(_, section)| section.name == name)
    }

    /// Returns what a relocation of a data section points to: the number of a section, and the byte there.
    pub fn points_to(&self, section: &Section<'_>, relocation: &Relocation) -> Option<(usize, u64)> {
        let symbol = self.symbols.get(relocation.symbol)?;
        // What is static is named by its section, with the offset in the place itself.
        let addend = match symbol.kind {
            SymbolKind::Section => word(section.data, relocation.offset).unwrap_or_default(),
            SymbolKind::Unknown | SymbolKind::Object | SymbolKind::Function | SymbolKind::Other => 0,
        };
        match symbol.place {
            Place::Section(of) => Some((of, symbol.value.wrapping_add(addend).wrapping_add_signed(relocation.addend))),
            Place::Undefined | Place::Common | Place::Nowhere => None,
        }
    }

    /// Returns the symbols that are defined in a section, in the order of the file.
    pub fn symbols_in(&self, section: usize) -> impl Iterator<Item = &Symbol<'a>> {
        let first = self.defined.partition_point(|(of, _)| *of < section);
        self.defined[first..].iter().take_while(move |(of, _)| *of == section).map(|(_, number)| &self.symbols[*number])
    }
}

fn word(data: &[u8], offset: u64) -> Option<u64> {
    let start = usize::try_from(offset).ok()?;
    Some(u64::from_le_bytes(*data.get(start..)?.first_chunk()?))
}

/// Returns the contents of a section of any little-endian 64-bit ELF file, whatever it is for.
///
/// # Errors
/// When the file is of another kind or broken, or has no such section.
pub(super) fn section_of_any<'a>(bytes: &'a [u8], name: &str) -> Result<&'a [u8], Fault> {
    check_kind(bytes)?;
    let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(damaged)?;
    let table = header.sections(LittleEndian, bytes).map_err(damaged)?;
    let (_, section) = table
        .section_by_name(LittleEndian, name.as_bytes())
        .ok_or_else(|| Box::new(Error::new(format!("the ELF file has no section `{name}`"))))?;
    section.data(LittleEndian, bytes).map_err(damaged)
}

fn damaged(what: object::Error) -> Fault {
    Box::new(Error::new(format!("the file is damaged: {what}")))
}

/// Looks at the first bytes, where a foreign file is most easily told.
fn check_kind(bytes: &[u8]) -> Result<(), Fault> {
    const CLASS: usize = 4;
    const ORDER: usize = 5;
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(Box::new(Error::new("not an ELF file")));
    }
    if bytes.get(ORDER) == Some(&elf::ELFDATA2MSB.0) {
        let what = "the object file is big-endian, and this host is little-endian";
        return Err(Box::new(Error::new(what).help("compile with `clang -target bpfel`")));
    }
    if bytes.get(CLASS) == Some(&elf::ELFCLASS32.0) {
        return Err(Box::new(Error::new("a 32-bit ELF file, but BPF objects are 64-bit")));
    }
    Ok(())
}

/// Refuses sections that share bytes: a small file with many of them could take all memory.
fn check_sizes(table: &SectionTable<'_, FileHeader64<LittleEndian>>, length: usize) -> Result<(), Fault> {
    let total = table
        .iter()
        .filter(|section| section.sh_type(LittleEndian) != elf::SHT_NOBITS)
        .try_fold(0u64, |total, section| total.checked_add(section.sh_size(LittleEndian)));
    match total {
        Some(total) if total <= length as u64 => Ok(()),
        _ => Err(Box::new(Error::new("the file is damaged: its sections are longer than the file"))),
    }
}

fn read_sections<'a>(
    table: &SectionTable<'a, FileHeader64<LittleEndian>>,
    bytes: &'a [u8],
) -> Result<Vec<Section<'a>>, Fault> {
    table
        .iter()
        .map(|header| {
            let name = table.section_name(LittleEndian, header).map_err(damaged)?;
            let class = match header.sh_type(LittleEndian) {
                elf::SHT_NOBITS => Class::Zeroes,
                elf::SHT_PROGBITS if header.sh_flags(LittleEndian).0 & elf::SHF_EXECINSTR.0 != 0 => Class::Code,
                elf::SHT_PROGBITS => Class::Data,
                _ => Class::Other,
            };
            Ok(Section {
                name: text(name)?,
                class,
                size: header.sh_size(LittleEndian),
                data: header.data(LittleEndian, bytes).map_err(damaged)?,
                relocations: Vec::new(),
            })
        })
        .collect()
}

/// Tells whether a section belongs to one that nothing loads: the tables for debug information are the longest ones.
fn is_for_debuggers(
    table: &SectionTable<'_, FileHeader64<LittleEndian>>,
    header: &elf::SectionHeader64<LittleEndian>,
) -> bool {
    let target = table.section(SectionIndex(header.sh_info(LittleEndian) as usize));
    target.is_ok_and(|target| target.sh_flags(LittleEndian).0 & elf::SHF_ALLOC.0 == 0)
}

/// What one table of relocations says: the section of its symbols, the section it is for, and the entries.
type Relocations = (SectionIndex, SectionIndex, Vec<Relocation>);

fn read_relocations(
    header: &elf::SectionHeader64<LittleEndian>,
    bytes: &[u8],
) -> Result<Option<Relocations>, object::Error> {
    let target = SectionIndex(header.sh_info(LittleEndian) as usize);
    if let Some((rels, link)) = header.rel(LittleEndian, bytes)? {
        let relocations = rels.iter().map(|rel| Relocation {
            offset: rel.r_offset.get(LittleEndian),
            symbol: rel.r_sym(LittleEndian) as usize,
            addend: 0,
        });
        return Ok(Some((link, target, relocations.collect())));
    }
    let Some((relas, link)) = header.rela(LittleEndian, bytes)? else {
        return Ok(None);
    };
    let relocations = relas.iter().map(|rela| Relocation {
        offset: rela.r_offset.get(LittleEndian),
        symbol: rela.r_sym(LittleEndian, false) as usize,
        addend: rela.r_addend.get(LittleEndian),
    });
    Ok(Some((link, target, relocations.collect())))
}

fn read_symbol<'a>(
    symbol: &elf::Sym64<LittleEndian>,
    index: SymbolIndex,
    name: &'a [u8],
    place: Place,
    sections: &[Section<'a>],
) -> Result<Symbol<'a>, Fault> {
    let section = match place {
        Place::Section(section) => match sections.get(section) {
            Some(section) => Some(section),
            None => {
                return Err(Box::new(Error::new(format!(
                    "symbol {} is in section {section}, which the file lacks",
                    index.0
                ))));
            }
        },
        Place::Undefined | Place::Common | Place::Nowhere => None,
    };
    let kind = match symbol.st_type() {
        elf::STT_NOTYPE => SymbolKind::Unknown,
        elf::STT_OBJECT => SymbolKind::Object,
        elf::STT_FUNC => SymbolKind::Function,
        elf::STT_SECTION => SymbolKind::Section,
        _ => SymbolKind::Other,
    };
    let name = match (kind, section) {
        (SymbolKind::Section, Some(section)) => section.name,
        _ => text(name)?,
    };
    Ok(Symbol {
        name,
        kind,
        place,
        value: symbol.st_value.get(LittleEndian),
        size: symbol.st_size.get(LittleEndian),
        local: symbol.st_bind() == elf::STB_LOCAL,
        weak: symbol.st_bind() == elf::STB_WEAK,
        hidden: matches!(symbol.st_visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL),
    })
}

/// Returns a name as text.
fn text(name: &[u8]) -> Result<&str, Fault> {
    match std::str::from_utf8(name) {
        Ok(name) if name.len() <= MAX_NAME => Ok(name),
        Ok(name) => Err(Box::new(Error::new(format!("a name of {} bytes is longer than {MAX_NAME}", name.len())))),
        Err(_) => {
            Err(Box::new(Error::new(format!("the name `{}` is not UTF-8", name[..name.len().min(64)].escape_ascii()))))
        }
    }
}
