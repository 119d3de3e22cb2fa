//! An object file as its author meant it: maps in three dialects, programs, relocations.
//!
//! Nothing here knows of manifests or kernels. `parse` looks at the whole file once; `Object::link` makes
//! the final instructions of one program, so that a program which nobody asked for cannot be in the way.

mod btfmaps;
mod code;
mod core;
mod data;
mod externs;
mod file;
mod legacy;
mod link;
mod probe;
mod refusal;
mod sections;
mod struct_ops;
mod target;

pub use externs::{Extern, ExternKind, Setting, ValueKind};
pub use link::Linking;
pub use probe::{Probe, When, probe};
pub use refusal::{Blame, Refusal};
pub use sections::section_prefix;
pub use struct_ops::{Operation, Operations};
pub use target::{Found, Module, Modules, Needs, Target, TypesFile};

use crate::btf::{Btf, Kind, Linkage, TypeId, ext::BtfExt};
use crate::insn::Code;
use crate::kinds::{AttachType, MapType, ProgramType};
use crate::spec::MapSpec;
use file::File;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A parsed object file.
#[derive(Debug, Clone)]
pub struct Object {
    /// The text of section `license`; without it the kernel takes the program as not GPL.
    pub license: Option<String>,
    /// The number in section `version`, which kprobes wanted before Linux 5.0.
    pub kernel_version: Option<u32>,
    /// Every map, in the order that `#0`, `#1` ... count: legacy, then BTF, data sections, and structs of functions.
    pub maps: Vec<Map>,
    /// Every function that a section name or a manifest can make a program, by section and offset: those outside
    /// `.text`, and those of `.text` when the object has no other code.
    pub programs: Vec<Program>,
    /// What the object leaves to the kernel, settings first: the order in which libbpf counts them.
    pub externs: Vec<Extern>,
    /// BTF, with its data sections' sizes and offsets filled in from the symbols, and without externs.
    pub btf: Option<Arc<Btf>>,
    image: Arc<Image>,
}

/// What linking needs of the file.
#[derive(Debug)]
struct Image {
    sections: code::Sections,
    /// For each program, its section in `sections` and its first instruction.
    entries: Vec<(usize, usize)>,
    /// The maps by where their definitions stand: section number in the file, byte.
    definitions: BTreeMap<(usize, u64), usize>,
    /// The maps of data sections, by section number in the file.
    data: BTreeMap<usize, usize>,
    /// The externs by symbol.
    externs: HashMap<String, usize>,
    /// The structs of functions for the kernel, by their maps.
    struct_ops: BTreeMap<usize, struct_ops::Definition>,
    /// The function that the kernel calls when a program throws, by the program's type.
    exception_callbacks: HashMap<TypeId, Result<(usize, usize), String>>,
    /// The map of `.kconfig`.
    settings: Option<usize>,
    /// The maps of constants that tell about the object whoever looks at a program.
    metadata: Vec<usize>,
    /// The names of all sections, for messages.
    names: Vec<String>,
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
    /// A struct of functions for the kernel: a variable in `.struct_ops` or `.struct_ops.link`.
    StructOps,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pinning {
    /// Nowhere.
    #[default]
    None,
    /// `LIBBPF_PIN_BY_NAME`: shared by name among the objects of a deployment.
    ByName,
    /// iproute2's `PIN_GLOBAL_NS` (2): `<bpffs>/tc/globals/NAME`.
    GlobalNs,
    /// iproute2's `PIN_OBJECT_NS` (1): `<bpffs>/tc/<sha1 of the object>/NAME`.
    ObjectNs,
    /// Another number, which iproute2 looks up in `/etc/iproute2/bpf_pinning` and gobpf knows a folder for.
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
    /// The first contents of a data section, of `spec.value_size` bytes, or of an arena.
    pub data: Option<Vec<u8>>,
    /// The first contents of a map of maps or of programs, and the functions of a struct by their members.
    pub slots: Vec<Slot>,
}

/// What a map of maps or a prog array starts with at one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Key of the slot, or number of the struct's member.
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
    /// Other symbols for the same function.
    pub aliases: Vec<String>,
    /// The section that it stands in, with a leading `?` taken off.
    pub section: String,
    /// What the section's name says of it.
    pub kind: Option<ProgramKind>,
    /// False for `SEC("?...")`: only loaded when the manifest names it.
    pub autoload: bool,
    /// True for a `static` function: most likely a subprogram of the others, but a manifest may name it.
    pub is_static: bool,
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

impl Program {
    /// Returns whether the program's function has this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.function == name || self.aliases.iter().any(|alias| alias == name)
    }
}

impl ProgramKind {
    /// Returns the kind of a program of which nothing but the type is known.
    pub fn of(program_type: ProgramType) -> Self {
        Self { program_type, attach_type: None, target: None, flags: 0 }
    }
}

/// What is wrong with an object file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Error {
    /// The section, where one is to blame.
    pub section: Option<String>,
    /// The symbol, where one is to blame.
    pub symbol: Option<String>,
    /// The byte offset in the section, where one is to blame.
    pub offset: Option<u64>,
    /// `FILE:LINE` of the source, where line records tell it.
    pub source: Option<String>,
    /// How many more places of the same program have the same.
    pub more: usize,
    /// What is wrong, as a sentence without capital and full stop.
    pub what: String,
    /// What to do, where we know the way out.
    pub help: Option<String>,
    /// Whether it is wrong for every kernel.
    pub blame: Blame,
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
        if let Some(source) = &self.source {
            write!(f, ", {source}")?;
        }
        match self.more {
            0 => Ok(()),
            1 => f.write_str(", and at one more place"),
            more => write!(f, ", and at {more} more places"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    fn new(refusal: impl Into<Refusal>) -> Self {
        let Refusal { why, blame } = refusal.into();
        Self { what: why, blame, ..Self::default() }
    }

    fn section(mut self, section: &str) -> Self {
        self.section = Some(section.to_owned());
        self
    }

    fn symbol(mut self, symbol: &str) -> Self {
        self.symbol = Some(symbol.to_owned());
        self
    }

    fn offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}

/// Reads an object file. Every problem that concerns the whole file is reported together.
///
/// # Errors
/// When the bytes are not a little-endian BPF object, are damaged, or define a map that cannot be made or that
/// could be meant in two ways. Problems in the code of one program are [`Object::link`]'s.
pub fn parse(bytes: &[u8]) -> Result<Object, Vec<Error>> {
    let file = File::parse(bytes).map_err(|error| vec![*error])?;
    let mut errors = Vec::new();
    let mut sections = code::read(&file, &mut errors);
    let mut btf = read_section(&file, ".BTF", Btf::parse, &mut errors);
    if let Some(types) = &btf
        && let Some(ext) = read_section(&file, ".BTF.ext", |bytes| read_ext(bytes, types), &mut errors)
    {
        sections.annotate(ext, types);
    }
    let mut externs = Vec::new();
    if let Some(btf) = &mut btf {
        data::fix_sections(btf, &file, &mut errors);
        hide_functions(btf, &sections);
        externs = externs::read(&file, btf);
        let (offsets, size) = externs::layout(&externs);
        btf.settle_externs(&offsets, size);
    }
    let btf = btf.map(Arc::new);
    let (programs, entries) = sections.programs();
    let mut maps = Maps::read(&file, &sections, (&programs, &entries), btf.as_ref(), &mut errors);
    let settings = btf.as_ref().and_then(|btf| externs::map(&externs, btf)).map(|map| {
        maps.list.push(map);
        maps.list.len() - 1
    });
    let license = file.section("license").map(|(_, section)| text(section.data));
    let kernel_version = file.section("version").and_then(|(_, section)| match section.data.first_chunk() {
        Some(word) => Some(u32::from_le_bytes(*word)),
        None => {
            errors.push(Error::new("the kernel version is a number of 4 bytes").section("version"));
            None
        }
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let callbacks = btf.as_ref().map(|btf| link::exception_callbacks(btf, &sections));
    let exception_callbacks = callbacks.unwrap_or_default();
    let metadata = (0..maps.list.len()).filter(|map| data::is_metadata(&maps.list[*map])).collect();
    Ok(Object {
        license,
        kernel_version,
        maps: maps.list,
        programs,
        btf,
        image: Arc::new(Image {
            exception_callbacks,
            sections,
            entries,
            definitions: maps.definitions,
            data: maps.data,
            struct_ops: maps.struct_ops,
            externs: externs.iter().enumerate().map(|(index, known)| (known.name.clone(), index)).collect(),
            settings,
            metadata,
            names: file.sections.iter().map(|section| section.name.to_owned()).collect(),
        }),
        externs,
    })
}

/// Returns the length of an ELF file that ends with its table of sections, as compilers write them.
pub fn ends_at(bytes: &[u8]) -> Option<u64> {
    file::end_of_sections(bytes)
}

/// Returns the BTF in an ELF file of any kind, such as a `vmlinux`.
///
/// # Errors
/// When it is no little-endian 64-bit ELF file, is damaged, or has none.
pub fn types_section(bytes: &[u8]) -> Result<&[u8], Box<Error>> {
    file::section_of_any(bytes, ".BTF")
}

/// Reads a section of BTF, when there is one.
fn read_section<T>(
    file: &File<'_>,
    name: &str,
    read: impl FnOnce(&[u8]) -> Result<T, crate::btf::Error>,
    errors: &mut Vec<Error>,
) -> Option<T> {
    let (_, section) = file.section(name)?;
    match read(section.data) {
        Ok(read) => Some(read),
        Err(error) => {
            errors.push(Error::new(error.to_string()).section(name));
            None
        }
    }
}

/// Reads what belongs to instructions. Functions and lines that are damaged are left out, as in libbpf; relocations for
/// the kernel's types are not, whose programs would be wrong without.
fn read_ext(bytes: &[u8], types: &Btf) -> Result<BtfExt, crate::btf::Error> {
    BtfExt::parse(bytes, types).or_else(|error| BtfExt::parse_relocations(bytes, types).map_err(|_| error))
}

/// Makes functions static for the verifier that no other object may see: it then checks them where they are
/// called, with what is known there (`mark_btf_static` of libbpf).
fn hide_functions(btf: &mut Btf, sections: &code::Sections) {
    for section in &sections.list {
        for (start, function) in &section.functions {
            if let Some(id) = section.types.get(*start).filter(|_| function.hidden) {
                btf.set_linkage(*id, Linkage::Static);
            }
        }
    }
}

/// Returns the text of a section up to its NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// All maps of an object, and where they stand.
struct Maps {
    list: Vec<Map>,
    definitions: BTreeMap<(usize, u64), usize>,
    data: BTreeMap<usize, usize>,
    struct_ops: BTreeMap<usize, struct_ops::Definition>,
}

impl Maps {
    fn read(
        file: &File<'_>,
        sections: &code::Sections,
        (programs, entries): (&[Program], &[(usize, usize)]),
        btf: Option<&Arc<Btf>>,
        errors: &mut Vec<Error>,
    ) -> Self {
        let mut maps =
            Self { list: Vec::new(), definitions: BTreeMap::new(), data: BTreeMap::new(), struct_ops: BTreeMap::new() };
        let numbers: BTreeMap<usize, usize> =
            sections.by_number.iter().map(|(number, section)| (*section, *number)).collect();
        let places = entries.iter().enumerate().filter_map(|(program, (section, start))| {
            Some(((*numbers.get(section)?, (start * crate::insn::Insn::SIZE) as u64), program))
        });
        let places: HashMap<_, _> = places.collect();
        let mut legacy = legacy::read(file, btf, errors);
        legacy::fill_tail_calls(&mut legacy, programs);
        for definition in legacy {
            maps.definitions.insert((definition.section, definition.offset), maps.list.len());
            maps.list.push(definition.map);
        }
        if let Some((number, _)) = file.section(btfmaps::SECTION).filter(|(_, section)| section.size != 0) {
            let mut definitions = btf.map(|btf| btfmaps::read(btf, errors)).unwrap_or_else(|| {
                let symbols = file.symbols_in(number).filter(|symbol| symbol.kind == file::SymbolKind::Object);
                errors.extend(symbols.map(|symbol| btfmaps::without_btf().symbol(symbol.name)));
                Vec::new()
            });
            btfmaps::fill_slots(file, number, &mut definitions, maps.list.len(), &places, errors);
            for definition in definitions {
                maps.definitions.insert((number, definition.offset), maps.list.len());
                maps.list.push(definition.map);
            }
        }
        for (number, map) in data::maps(file, btf, errors) {
            maps.data.insert(number, maps.list.len());
            maps.list.push(map);
        }
        if let Some(arena) = only_arena(&maps.list)
            && let Some((number, bytes)) = data::arena(file, errors)
        {
            maps.data.insert(number, arena);
            maps.list[arena].data = Some(bytes);
        }
        for (map, definition) in struct_ops::read(file, btf, &places) {
            maps.struct_ops.insert(maps.list.len(), definition);
            maps.list.push(map);
        }
        maps
    }
}

/// Finds the map that the variables of an arena lie in.
fn only_arena(maps: &[Map]) -> Option<usize> {
    let mut arenas = maps.iter().enumerate().filter(|(_, map)| map.spec.map_type == MapType::ARENA);
    let (first, _) = arenas.next()?;
    arenas.next().is_none().then_some(first)
}

impl Object {
    /// Makes the final instructions of a program: relocated, with its subprograms appended.
    ///
    /// `program` is an index of [`Object::programs`]. The strings of the result's line records are those of
    /// [`Object::btf`], whose bytes for the kernel keep them where they are ([`Btf::encode_with`]).
    ///
    /// # Errors
    /// When the program, or a function that it uses, refers to something that is neither in the object nor in the
    /// target.
    pub fn link(&self, program: usize, target: &Target) -> Result<Code, Vec<Error>> {
        self.linking(target).link(program)
    }

    /// Finds a program by a name of its function, as an index of [`Object::programs`].
    pub fn program_named(&self, name: &str) -> Option<usize> {
        self.programs.iter().position(|program| program.is_named(name))
    }

    /// Lists the maps that a program with this code holds, as indices of [`Object::maps`]: those that it names, each once,
    /// by first use; then those of constants for who looks at it, which each program of the object is to hold.
    pub fn maps_of(&self, code: &Code) -> Vec<usize> {
        let mut maps = code.maps();
        let shown = self.image.metadata.iter().filter(|map| !maps.contains(map)).copied().collect::<Vec<_>>();
        maps.extend(shown);
        maps
    }

    /// Starts linking programs for one target: what one of them asks of the kernel's types is known to the next.
    pub fn linking<'a>(&'a self, target: &'a Target) -> Linking<'a> {
        Linking::new(self, target)
    }

    /// Tells what linking the program depends on.
    pub fn needs(&self, program: usize) -> Needs {
        let used = link::uses(self, program);
        let sought = |id: &TypeId| core::sought(self.btf.as_deref()?, *id).map(|(kind, name)| (kind, name.to_owned()));
        let candidates = used.types.iter().filter_map(sought).collect();
        let mut needs = Needs { core: used.core, candidates, ..Needs::default() };
        let mut note = |known: &Extern| {
            let wanted = externs::wanted(known);
            needs.types |= wanted.is_some();
            needs.names.extend(wanted.map(|(kind, name)| (kind, name.to_owned())));
            needs.config |= known.name.starts_with("CONFIG_") && matches!(known.kind, ExternKind::Setting(_));
            needs.version |= known.name == externs::VERSION;
            needs.symbols.extend(externs::symbol(known).map(str::to_owned));
        };
        used.externs.iter().for_each(|index| note(&self.externs[*index]));
        // All settings stand in one map.
        let is_setting = |known: &&Extern| matches!(known.kind, ExternKind::Setting(_));
        if used.externs.iter().any(|index| is_setting(&&self.externs[*index])) {
            self.externs.iter().filter(is_setting).for_each(note);
        }
        needs
    }

    /// Returns the map of the kernel's settings, as an index of [`Object::maps`], and what it holds on that kernel.
    pub fn settings(&self, target: &Target) -> Option<(usize, Vec<u8>)> {
        Some((self.image.settings?, externs::contents(&self.externs, target)))
    }

    /// Tells what the structs of functions depend on.
    pub fn struct_ops_needs(&self) -> Needs {
        let names = struct_ops::value_names(self).map(|name| (Kind::Struct, name)).collect();
        Needs { types: true, names, ..Needs::default() }
    }

    /// Finds the member of the kernel's struct that a struct_ops program is.
    ///
    /// # Errors
    /// When no struct holds the program, or the kernel's struct has no such function, as a sentence.
    pub fn operation(&self, program: usize, target: &Target) -> Result<Operation, Refusal> {
        struct_ops::operation(self, program, target)
    }

    /// Lays the struct of a struct_ops map out as the kernel has it; offline, as the object has it.
    ///
    /// # Errors
    /// When the kernel has no such struct, or it does not fit the object's: a member that is not zero is not there or
    /// of another size.
    pub fn operations(&self, map: usize, target: &Target) -> Result<Operations, Vec<Error>> {
        struct_ops::operations(self, map, target)
    }

    /// Tells whether the program, or a function that it uses, depends on the types of the kernel.
    pub fn needs_kernel_types(&self, program: usize) -> bool {
        link::uses(self, program).core
    }
}
