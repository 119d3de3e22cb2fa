//! What each fuzz target does with an input: ask everything that the road asks of bytes that others wrote.
//!
//! Nothing may panic, and what is said twice has to agree. Shared by `fuzz/` and by `tests/corpus.rs`.

use super::seeds::{self, Files, Seeds};
use super::{host, packets};
use bpfapply::btf::ext::BtfExt;
use bpfapply::btf::kernel::KernelTypes;
use bpfapply::btf::{Btf, TypeId, layout, value};
use bpfapply::desired::{self, EntryFile, Files as Inputs, MapSource};
use bpfapply::diag::{self, Source};
use bpfapply::draft;
use bpfapply::elf::{self, Object, Target as Kernel};
use bpfapply::insn::disassemble::{self, Operand};
use bpfapply::insn::listing::{self, Line, Program};
use bpfapply::insn::{FuncRecord, Insn, LinePlace, LineRecord, Unresolved};
use bpfapply::manifest;
use bpfapply::names::{Digest, MapName, PinPath};
use bpfapply::record::Record;
use bpfapply::saved::SavedPlan;
use bpfapply::spec::Host;
use bpfapply::verifier;
use std::collections::BTreeMap;
use std::sync::Arc;

/// More programs than that are the same again.
const MAX_PROGRAMS: usize = 32;
/// More types than that are the same again.
const MAX_TYPES: TypeId = 64;
/// The bytes that are shown as values.
const DATA: [u8; 256] = [0xa5; 256];

/// Something that takes any bytes.
pub struct Target {
    /// As the folders of its inputs are called.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
    /// What it starts from.
    pub seeds: fn(&Files) -> Seeds,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "btf", run: btf, seeds: seeds::btf },
    Target { name: "btf_ext", run: btf_ext, seeds: seeds::btf_ext },
    Target { name: "capture", run: packets::capture, seeds: seeds::capture },
    Target { name: "code", run: code, seeds: seeds::code },
    Target { name: "core", run: core, seeds: seeds::core },
    Target { name: "entries", run: entries, seeds: seeds::entries },
    Target { name: "format", run: format, seeds: seeds::manifest },
    Target { name: "kernel_types", run: kernel_types, seeds: seeds::btf },
    Target { name: "manifest", run: manifest, seeds: seeds::manifest },
    Target { name: "object", run: object, seeds: seeds::object },
    Target { name: "record", run: record, seeds: seeds::record },
    Target { name: "saved", run: saved, seeds: seeds::saved },
    Target { name: "state", run: host::state, seeds: host::seeds },
    Target { name: "tests", run: packets::tests, seeds: seeds::tests },
    Target { name: "verifier_log", run: verifier_log, seeds: seeds::verifier_log },
];

/// An object file, linked without a kernel.
pub fn object(input: &[u8]) {
    match elf::parse(input) {
        Ok(object) => link(&object, &Kernel::offline()),
        Err(errors) => assert!(!errors.is_empty(), "refused without a reason"),
    }
}

/// Two parts: an object file, and the types of the kernel that it is linked for.
pub fn core(input: &[u8]) {
    let (object, types) = seeds::split(input);
    if let (Ok(object), Ok(types)) = (elf::parse(object), KernelTypes::parse(Box::new(types.to_vec()))) {
        link(&object, &Kernel { types: Some(Arc::new(types)), ..Kernel::default() });
    }
}

fn link(object: &Object, kernel: &Kernel) {
    let btf = object.btf.as_ref().map(|btf| Btf::parse(&btf.encode()).expect("what we write can be read"));
    for program in 0..object.programs.len().min(MAX_PROGRAMS) {
        let _ = object.needs_kernel_types(program);
        let Ok(code) = object.link(program, kernel) else { continue };
        assert_eq!(code.patched(|_| 7).len(), code.insns.len());
        for line in &code.lines {
            let text = |offset| btf.as_ref().and_then(|btf| btf.text(offset));
            assert!(text(line.file).is_some() && text(line.text).is_some(), "the strings of all lines are written");
        }
    }
}

/// A `.BTF` section: parsed, written, parsed again, and shown.
pub fn btf(input: &[u8]) {
    let Ok(btf) = Btf::parse(input) else { return };
    let again = Btf::parse(&btf.encode()).expect("what we write can be read");
    assert!(again == btf, "written and read again, the types differ");
    let last = btf.types().len() as TypeId - 1;
    for id in 0..=last.min(MAX_TYPES) {
        let _ = (btf.type_name(id), btf.fields(id), layout::difference((&btf, id), (&btf, last - id)));
        let shape = value::Shape::of(&btf, id);
        if let Ok(text) = shape.format(&DATA) {
            let value = shape.decode(&DATA);
            assert!(value.is_ok(), "shown as {text}, decoded as {value:?}");
        }
    }
}

/// Two parts: a `.BTF.ext` section, and the `.BTF` section that belongs to it.
pub fn btf_ext(input: &[u8]) {
    let (ext, btf) = seeds::split(input);
    let Ok(btf) = Btf::parse(btf) else { return };
    let Ok(ext) = BtfExt::parse(ext, &btf) else { return };
    for line in ext.lines.values().flatten() {
        assert!(btf.text(line.file).is_some() && btf.text(line.text).is_some(), "the strings of all lines are there");
    }
    for relocation in ext.relos.values().flatten() {
        assert!(btf.text(relocation.access).is_some(), "the strings of all relocations are there");
    }
}

/// The types of a kernel, which have to be those of the other reader.
pub fn kernel_types(input: &[u8]) {
    let Ok(types) = KernelTypes::parse(Box::new(input.to_vec())) else { return };
    let btf = Btf::parse(input).ok();
    let count = types.count().map_or(0, |count| count as TypeId);
    assert!(btf.as_ref().is_none_or(|btf| btf.types().len() == count as usize), "one reader has more types");
    for id in 0..=count.min(MAX_TYPES) {
        let (ty, _) = (types.get(id), types.resolve(id));
        if let Some(btf) = &btf {
            assert_eq!(ty.as_deref().ok(), btf.get(id), "type {id}");
        }
        if let Ok(ty) = ty
            && let Some(name) = ty.name().filter(|name| !name.is_empty())
            && let Ok(named) = types.named(ty.kind(), name)
        {
            assert!(named.contains(&id), "type {id} is not found as `{name}`");
            let _ = types.find(ty.kind(), name);
        }
    }
}

/// A manifest; what is wrong with it is also shown.
pub fn manifest(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Err(problems) = manifest::parse(text, &BTreeMap::new()) {
        diag::render(&problems, Some(&Source::new("plan.toml", text)), false);
    }
}

/// The contents of a record's map.
pub fn record(input: &[u8]) {
    if let Ok(record) = Record::decode(input) {
        assert_eq!(Record::decode(&record.encode()), Ok(record), "written and read again");
    }
}

/// A saved plan, with what applying it asks before the host is asked.
pub fn saved(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(plan) = SavedPlan::decode(text) else { return };
    assert_eq!(plan.host.difference(&plan.host), None);
    let _ = manifest::parse(&plan.manifest.text, &plan.variables);
    assert_eq!(SavedPlan::decode(&plan.encode()), Ok(plan), "written and read again");
}

/// What the layout of a manifest decides: space, and commas behind the last element.
fn is_layout(c: char) -> bool {
    c.is_whitespace() || c == ','
}

/// A manifest that is laid out anew: it says the same, with every comment, and has its layout then.
pub fn format(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let formatted = match draft::format(text) {
        Ok(formatted) => formatted,
        Err(problems) => {
            assert!(!diag::render(&problems, Some(&Source::new("plan.toml", text)), false).is_empty());
            return;
        }
    };
    assert_eq!(draft::format(&formatted).ok().as_ref(), Some(&formatted), "a second time");
    assert!(text.replace(is_layout, "") == formatted.replace(is_layout, ""), "nothing comes or goes:\n{formatted}");
    // Numbers may be none, which are not equal to themselves.
    let meaning = |text: &str| toml::from_str::<toml::Table>(text).ok().map(|table| format!("{table:?}"));
    assert_eq!(meaning(text), meaning(&formatted), "it means the same");
}

/// A verifier's log, with an instruction that the linker made invalid.
pub fn verifier_log(input: &[u8]) {
    let log = String::from_utf8_lossy(input);
    let unresolved = [Unresolved { insn: 3, what: "what is missing".to_owned() }];
    let telling = verifier::telling(&log, &unresolved);
    // Addresses of the kernel are left out.
    let is_of_log = |line: &String| line.split("ADDRESS").all(|part| log.contains(part));
    assert!(telling.tail.iter().all(is_of_log), "the end of the log is in it");
    assert!(telling.way.iter().all(|line| log.contains(&line.text)), "the source lines are in the log");
    assert!(telling.reason.is_some() || telling.tail.iter().all(|line| !line.starts_with("R")), "it says why");
    assert!(!telling.to_string().is_empty());
}

/// Four parts, joined from the last on: instructions, records of lines, records of functions, and types. Written as they
/// are, and compared with the same without the first instruction.
pub fn code(input: &[u8]) {
    let (insns, rest) = seeds::split(input);
    let (lines, rest) = seeds::split(rest);
    let (funcs, types) = seeds::split(rest);
    let Ok(btf) = Btf::parse(types) else { return };
    let insns: Vec<Insn> = insns.as_chunks().0.iter().map(|bytes| Insn::decode(*bytes)).collect();
    let lines: Vec<LineRecord> = words(lines).map(line_record).collect();
    let funcs: Vec<FuncRecord> = words(funcs).map(|[insn, type_id]| FuncRecord { insn, type_id }).collect();
    let function = |id| btf.get(id)?.name().map(str::to_owned);
    let of = |insns| Program { insns, funcs: &funcs, lines: &lines, btf: &btf, function: &function };
    let written = listing::functions(&of(&insns), &named);
    let indexes = written.iter().flat_map(|function| &function.lines).filter_map(|line| match line {
        Line::Insn { index, .. } => Some(*index),
        Line::Source { .. } | Line::Text(_) => None,
    });
    assert!(indexes.is_sorted_by(|one, other| one < other), "each instruction is there once, in its order");
    assert!((0..=insns.len()).all(|at| !disassemble::text(&insns, at, &named).is_empty()));
    let sources = listing::sources(&of(&insns));
    assert!(listing::compare(&written, &written).is_empty() && listing::compare(&sources, &sources).is_empty());
    let less = listing::functions(&of(insns.get(1..).unwrap_or_default()), &named);
    let _ = (listing::compare(&written, &less), listing::compare(&less, &written), listing::list(&less));
}

/// Takes as many words as there are whole records of them.
fn words<const COUNT: usize>(bytes: &[u8]) -> impl Iterator<Item = [u32; COUNT]> {
    let words = bytes.as_chunks().0.as_chunks().0;
    words.iter().map(|record: &[[u8; 4]; COUNT]| record.map(u32::from_le_bytes))
}

fn line_record([insn, file, text, place]: [u32; 4]) -> LineRecord {
    LineRecord { insn, file, text, place: LinePlace(place) }
}

/// Names every other thing that instructions name.
fn named(operand: Operand) -> Option<String> {
    let number = match operand {
        Operand::Helper(number) | Operand::KernelType(number) | Operand::Map { number, .. } => i64::from(number),
        Operand::KernelFunction { btf_id, .. } => i64::from(btf_id),
        Operand::Function(start) => start as i64,
        Operand::Address(address) => address.cast_signed(),
    };
    (number % 2 == 0).then(|| format!("named_{number}"))
}

/// Tables of maps that entries are for.
const MAPS: &[&str] = &[
    "type = 'lpm_trie'\nkey_size = 8\nvalue_size = 4\nflags = ['no_prealloc']",
    "type = 'hash'\nkey_size = 16\nvalue_size = 8\nkey_format = ['src: ipv4', 'name: char[8]', 'port: be16', 'bytes[2]']",
    "type = 'percpu_array'\nkey_size = 4\nvalue_size = 6\nvalue_format = 'mac'\nentries_value = 'hex:010203040506'",
    "type = 'hash'\nkey_size = 16\nvalue_size = 1\nvalue_format = 'bool'\nsensitive = true\nentries_value = true",
];
/// What tells files of entries apart.
pub const FILES: &[&str] = &["toml", "json", "csv", "txt"];

/// One byte for the map and one for the kind of file, and the file.
pub fn entries(input: &[u8]) {
    let [map, kind, file @ ..] = input else { return };
    let (map, kind) = (MAPS[usize::from(*map) % MAPS.len()], FILES[usize::from(*kind) % FILES.len()]);
    let path = format!("a.{kind}");
    let text = format!("version = 1\nname = 'n'\n[map.m]\nmax_entries = 4096\n{map}\nentries = '{path}'\n");
    let parsed = manifest::parse(&text, &BTreeMap::new()).expect("it is a manifest");
    let name = MapName::new("m").expect("a name");
    let file = EntryFile { path, sha256: Digest::of(file), bytes: file.to_vec() };
    let files = Inputs { entries: [(name.clone(), file)].into(), ..Inputs::default() };
    let host = Host { possible_cpus: 3, most_cpus: 64, page_size: 4096 };
    let bpffs = PinPath::new("/sys/fs/bpf").expect("a path");
    match desired::resolve(&parsed, files, &bpffs, &host, &Kernel::offline()) {
        Err(problems) => assert!(!diag::render(&problems, Some(&Source::new("plan.toml", &text)), false).is_empty()),
        Ok(desired) => {
            let MapSource::Defined(definition) = &desired.maps[&name].source else { panic!("it is ours") };
            let entries = &definition.contents.as_ref().expect("it has entries").entries;
            let ordered = entries.keys().chunks(entries.key_size()).is_sorted_by(|one, other| one < other);
            assert!(ordered, "each key is there once, in its order");
            assert_eq!(entries.value_size(), definition.spec.user_value_size(&host));
        }
    }
}
