//! The executable sections: their instructions, functions, and what each relocation names.
//!
//! Nothing is relocated here, and nothing is judged that only matters when a program is linked.

use super::core::Asked;
use super::file::{Class, File, Place, Section, Symbol, SymbolKind};
use super::{Error, Program, sections};
use crate::btf::Btf;
use crate::btf::TypeId;
use crate::btf::ext::{BtfExt, LineInfo, Relocation};
use crate::insn::{Insn, LineRecord};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

/// Where subprograms stand, and programs only in objects without other code.
const TEXT: &str = ".text";

/// One executable section, with places counted in instructions.
#[derive(Debug)]
pub(super) struct CodeSection {
    pub name: String,
    pub insns: Vec<Insn>,
    /// By first instruction.
    pub functions: BTreeMap<usize, Function>,
    /// By the instruction that is to be relocated.
    pub references: Places<Reference>,
    /// Function records by instruction.
    pub types: Places<TypeId>,
    /// Line records by instruction, with the instruction's number in the section.
    pub lines: Places<LineRecord>,
    /// CO-RE relocations by instruction: what they ask, as a number of [`Sections::asked`].
    pub core: Places<u32>,
}

/// A function of a section.
#[derive(Debug)]
pub(super) struct Function {
    pub name: Arc<str>,
    /// Its other names (`__attribute__((alias("NAME")))`).
    pub aliases: Vec<Arc<str>>,
    /// Number of instructions.
    pub len: usize,
    /// `static` in the source.
    pub local: bool,
    /// Not static, but not for other objects to see.
    pub hidden: bool,
}

impl Function {
    /// Takes another function at the same place for another name of this one. Of two names the first is as good as the
    /// second, but others than this object can only see one that is not static.
    fn also_known_as(&mut self, mut other: Self) {
        if self.local && !other.local {
            std::mem::swap(self, &mut other);
        }
        self.aliases.append(&mut other.aliases);
        self.aliases.push(other.name);
    }
}

/// What a relocation names.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub symbol: Arc<str>,
    pub target: Target,
    /// Added to the symbol's value, besides what stands in the instruction.
    pub addend: i64,
}

/// Where a relocation's symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A byte of a section, by the section's number in the file.
    Section { section: usize, value: u64 },
    /// In another object, or in the kernel.
    Undefined,
    /// In no section, since it has no first value.
    Common,
    /// An absolute value.
    Nowhere,
}

/// Which executable section of the file is which of ours, and all of them.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub list: Vec<CodeSection>,
    /// From the section's number in the file.
    pub by_number: BTreeMap<usize, usize>,
    /// What CO-RE relocations ask, each question once: most are asked many times.
    pub asked: Vec<Asked>,
}

/// Reads every executable section that is not empty.
pub(super) fn read(file: &File<'_>, errors: &mut Vec<Error>) -> Sections {
    let mut names = vec![None; file.symbols.len()];
    let mut sections = Sections::default();
    for (number, section) in file.sections.iter().enumerate() {
        if section.class != Class::Code || section.data.is_empty() {
            continue;
        }
        let (chunks, rest) = section.data.as_chunks::<{ Insn::SIZE }>();
        if !rest.is_empty() {
            errors.push(Error::new("the code is not a whole number of 8-byte instructions").section(section.name));
            continue;
        }
        let functions = read_functions(section.name, chunks.len(), file.symbols_in(number), errors);
        let references = read_references(file, section, &mut names, errors);
        sections.by_number.insert(number, sections.list.len());
        sections.list.push(CodeSection {
            name: section.name.to_owned(),
            insns: chunks.iter().map(|chunk| Insn::decode(*chunk)).collect(),
            functions,
            references,
            types: Places::default(),
            lines: Places::default(),
            core: Places::default(),
        });
    }
    sections
}

/// Finds what the relocations of a section name. `names` has those of the file's symbols that were asked for before.
fn read_references(
    file: &File<'_>,
    section: &Section<'_>,
    names: &mut [Option<Arc<str>>],
    errors: &mut Vec<Error>,
) -> Places<Reference> {
    let step = Insn::SIZE as u64;
    let mut references = Vec::with_capacity(section.relocations.len());
    for relocation in &section.relocations {
        let place = |what: String| Error::new(what).section(section.name).offset(relocation.offset);
        let (Some(symbol), Some(name)) = (file.symbols.get(relocation.symbol), names.get_mut(relocation.symbol)) else {
            errors.push(place(format!("a relocation names symbol {}, which the file lacks", relocation.symbol)));
            continue;
        };
        if !relocation.offset.is_multiple_of(step) || relocation.offset >= section.size {
            errors.push(place("a relocation is not for an instruction".to_owned()));
            continue;
        }
        let target = match symbol.place {
            Place::Section(section) => Target::Section { section, value: symbol.value },
            Place::Undefined => Target::Undefined,
            Place::Common => Target::Common,
            Place::Nowhere => Target::Nowhere,
        };
        let name = name.get_or_insert_with(|| Arc::from(symbol.name));
        let reference = Reference { symbol: Arc::clone(name), target, addend: relocation.addend };
        references.push(((relocation.offset / step) as usize, reference));
    }
    references.into_iter().collect()
}

/// Finds the functions of a section. One without a size reaches to the next, as old compilers leave it; code
/// without any symbol is one function with the section's name.
fn read_functions<'s, 'a: 's>(
    section: &str,
    len: usize,
    symbols: impl Iterator<Item = &'s Symbol<'a>>,
    errors: &mut Vec<Error>,
) -> BTreeMap<usize, Function> {
    // Labels in the code are local and untyped, functions of old compilers global and untyped.
    let is_function = |symbol: &Symbol<'_>| match symbol.kind {
        SymbolKind::Function => true,
        SymbolKind::Unknown => !symbol.local,
        SymbolKind::Object | SymbolKind::Section | SymbolKind::Other => false,
    };
    let mut found: BTreeMap<usize, Function> = BTreeMap::new();
    for symbol in symbols.filter(|symbol| is_function(symbol)) {
        let step = Insn::SIZE as u64;
        let bytes = len as u64 * step;
        let fits = symbol.value < bytes && symbol.size <= bytes - symbol.value;
        if !fits || symbol.value % step != 0 || symbol.size % step != 0 {
            let what = format!("the function has {} bytes, which its section does not hold", symbol.size);
            errors.push(Error::new(what).section(section).symbol(symbol.name).offset(symbol.value));
            continue;
        }
        let function = Function {
            name: Arc::from(symbol.name),
            aliases: Vec::new(),
            len: (symbol.size / step) as usize,
            local: symbol.local,
            hidden: symbol.hidden && !symbol.local,
        };
        match found.entry((symbol.value / step) as usize) {
            Entry::Vacant(place) => {
                place.insert(function);
            }
            Entry::Occupied(known) => known.into_mut().also_known_as(function),
        }
    }
    refuse_overlaps(section, &mut found, errors);
    if found.is_empty() {
        let name = Arc::from(section);
        found.insert(0, Function { name, aliases: Vec::new(), len, local: false, hidden: false });
    }
    let mut end = len;
    for (start, function) in found.iter_mut().rev() {
        if function.len == 0 {
            function.len = end - start;
        }
        end = *start;
    }
    found
}

/// Drops what begins inside of a function: a label without size is no function, and functions that share their code
/// are damaged. Else a small file could have many functions of its whole code, and take hours to link.
fn refuse_overlaps(section: &str, found: &mut BTreeMap<usize, Function>, errors: &mut Vec<Error>) {
    let mut end = 0;
    found.retain(|start, function| {
        let inside = *start < end;
        if inside && function.len != 0 {
            let error = Error::new("the function begins inside of another one").section(section);
            errors.push(error.symbol(&function.name).offset((*start * Insn::SIZE) as u64));
        }
        end = end.max(*start + function.len);
        !inside
    });
}

impl Sections {
    /// Adds what `.BTF.ext` says to the types `btf`.
    pub fn annotate(&mut self, ext: BtfExt, btf: &Btf) {
        let mut by_name: HashMap<String, &mut CodeSection> = HashMap::new();
        for section in &mut self.list {
            by_name.entry(section.name.clone()).or_insert(section);
        }
        let index = |offset: u32| offset as usize / Insn::SIZE;
        for (name, records) in &ext.funcs {
            if let Some(section) = by_name.get_mut(name) {
                section.types = records.iter().map(|record| (index(record.offset), record.ty)).collect();
            }
        }
        for (name, records) in &ext.lines {
            if let Some(section) = by_name.get_mut(name) {
                let line = |record: &LineInfo| {
                    let LineInfo { offset, file, text, place } = *record;
                    let insn = index(offset);
                    (insn, LineRecord { insn: insn as u32, file, text, place })
                };
                section.lines = records.iter().map(line).collect();
            }
        }
        let mut asked = Numbers::default();
        for (name, records) in &ext.relos {
            if let Some(section) = by_name.get_mut(name) {
                let mut number = |record: &Relocation| asked.of((record.ty, record.access, record.kind));
                section.core = records.iter().map(|record| (index(record.offset), number(record))).collect();
            }
        }
        let text = |offset: u32| btf.text(offset).unwrap_or_default().to_owned();
        self.asked =
            asked.list.into_iter().map(|(ty, access, kind)| Asked { ty, access: text(access), kind }).collect();
    }

    /// Lists what can be loaded as a program, with the places: section in our list, first instruction.
    ///
    /// Every function outside `.text` can. Those in `.text` are subprograms, unless the object has no other
    /// code (`prog_is_subprog` of libbpf).
    pub fn programs(&self) -> (Vec<Program>, Vec<(usize, usize)>) {
        let has_programs = self.list.iter().any(|section| section.name != TEXT);
        let (mut programs, mut entries) = (Vec::new(), Vec::new());
        for (number, section) in self.list.iter().enumerate() {
            if section.name == TEXT && has_programs {
                continue;
            }
            let name = section.name.strip_prefix('?').unwrap_or(&section.name);
            for (start, function) in &section.functions {
                programs.push(Program {
                    function: function.name.to_string(),
                    aliases: function.aliases.iter().map(ToString::to_string).collect(),
                    section: name.to_owned(),
                    kind: sections::kind(name),
                    autoload: name == section.name,
                    is_static: function.local,
                    type_id: section.types.get(*start).copied(),
                });
                entries.push((number, *start));
            }
        }
        let known: Vec<_> = programs.iter().filter_map(|program| program.kind.clone()).collect();
        // iproute2 loads tail calls as the type of the program that it attaches.
        if let Some((first, others)) = known.split_first()
            && others.iter().all(|kind| kind == first)
        {
            for program in &mut programs {
                if program.kind.is_none() && sections::tail_call(&program.section).is_some() {
                    program.kind = Some(first.clone());
                }
            }
        }
        (programs, entries)
    }
}

/// Values by the number of an instruction, in order.
#[derive(Debug)]
pub(super) struct Places<T>(Vec<(u32, T)>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(usize, T)> for Places<T> {
    /// Of several values for one instruction the last counts; for instructions beyond 32 bits there are none.
    fn from_iter<I: IntoIterator<Item = (usize, T)>>(values: I) -> Self {
        let place = |(insn, value)| Some((u32::try_from(insn).ok()?, value));
        let mut list: Vec<_> = values.into_iter().filter_map(place).collect();
        list.sort_by_key(|(insn, _)| *insn);
        list.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        list.shrink_to_fit();
        Self(list)
    }
}

impl<T> Places<T> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, insn: usize) -> Option<&T> {
        self.range(insn..insn.saturating_add(1)).next().map(|(_, value)| value)
    }

    /// Returns the values of a range of instructions, with these.
    pub fn range(&self, insns: Range<usize>) -> impl DoubleEndedIterator<Item = (usize, &T)> + ExactSizeIterator {
        let start = self.0.partition_point(|(insn, _)| (*insn as usize) < insns.start);
        let rest = &self.0[start..];
        let end = rest.partition_point(|(insn, _)| (*insn as usize) < insns.end);
        rest[..end].iter().map(|(insn, value)| (*insn as usize, value))
    }
}

/// Numbers of values, each value once.
#[derive(Debug, Default)]
struct Numbers<T> {
    list: Vec<T>,
    known: HashMap<T, u32>,
}

impl<T: Copy + Eq + Hash> Numbers<T> {
    fn of(&mut self, value: T) -> u32 {
        let list = &mut self.list;
        *self.known.entry(value).or_insert_with(|| {
            list.push(value);
            (list.len() - 1) as u32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_order() {
        let places: Places<char> =
            [(7, 'a'), (3, 'b'), (7, 'c'), (5, 'd'), (1 << 32, 'e'), (7, 'f')].into_iter().collect();
        let all = [(3, &'b'), (5, &'d'), (7, &'f')];
        for (range, want) in [(0..9, &all[..]), (3..7, &all[..2]), (4..5, &[]), (7..8, &all[2..]), (9..usize::MAX, &[])]
        {
            assert_eq!(places.range(range.clone()).collect::<Vec<_>>(), want, "{range:?}");
        }
        assert_eq!((places.get(7), places.get(6), places.get(usize::MAX)), (Some(&'f'), None, None));
        assert!(Places::<char>::default().is_empty());
    }
}
