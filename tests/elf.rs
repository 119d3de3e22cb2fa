//! What is read from the objects of `tests/objects` is what their `.expect.toml` says, and no damage to an object
//! makes the reader fall over. What the files' keys mean stands in `tests/objects/README.md`.

use bpfapply::btf::kernel::KernelTypes;
use bpfapply::btf::{Btf, Encoding, Member, Type};
use bpfapply::elf::{self, DataKind, Dialect, Map, Object, Pinning, Program, SlotTarget, Target};
use bpfapply::insn::SiteKind;
use bpfapply::spec::{MapSpec, flags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::{Table, Value};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects")
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str)
}

fn number(table: &Table, key: &str) -> u64 {
    table.get(key).and_then(Value::as_integer).unwrap_or_default().cast_unsigned()
}

fn list<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    table.get(key).and_then(Value::as_array).into_iter().flatten().map(|value| value.as_table().expect("a table"))
}

fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Btf => "btf",
        Dialect::BpfMapDef => "bpf_map_def",
        Dialect::BpfElfMap => "bpf_elf_map",
        Dialect::StructOps => "struct_ops",
        Dialect::Data(_) => "data",
    }
}

fn pinning(pinning: Pinning) -> &'static str {
    match pinning {
        Pinning::None => "none",
        Pinning::ByName => "by_name",
        Pinning::GlobalNs => "global_ns",
        Pinning::ObjectNs => "object_ns",
        Pinning::Custom(_) => "custom",
    }
}

#[track_caller]
fn check_spec(spec: &MapSpec, want: &Table, what: &str) {
    assert_eq!(spec.map_type.to_string(), text(want, "type").expect("a type"), "{what}");
    let got = [spec.key_size, spec.value_size, spec.max_entries, spec.flags].map(u64::from);
    let want = ["key_size", "value_size", "max_entries", "flags"].map(|key| number(want, key));
    assert_eq!(got, want, "{what}");
}

#[track_caller]
fn check_map(object: &Object, map: &Map, want: &Table) {
    let what = map.symbol.as_str();
    assert_eq!((what, map.section.as_str()), (text(want, "symbol").unwrap(), text(want, "section").unwrap()));
    check_spec(&map.spec, want, what);
    assert_eq!(map.spec.map_extra, number(want, "map_extra"), "{what}");
    if let Some(want) = text(want, "dialect").filter(|want| *want != "ambiguous") {
        assert_eq!(dialect(map.dialect), want, "{what}");
    }
    if let Some(want) = text(want, "pinning") {
        assert_eq!(pinning(map.pinning), want, "{what}");
    }
    for (key, id) in
        [("key", map.spec.types.as_ref().map(|t| t.key)), ("value", map.spec.types.as_ref().map(|t| t.value))]
    {
        let name = id.and_then(|id| object.btf.as_ref()?.get(id)?.name().map(str::to_owned));
        if let Some(want) = text(want, key) {
            assert_eq!(name.as_deref(), Some(want), "{what}: {key}");
        }
    }
    if let Some(want) = want.get("inner").and_then(Value::as_table) {
        check_spec(map.spec.inner.as_ref().expect("an inner map"), want, what);
    }
    if let Some(want) = want.get("values").and_then(Value::as_table) {
        let got = map.slots.iter().map(|slot| {
            let name = match slot.target {
                SlotTarget::Map(map) => &object.maps[map].symbol,
                SlotTarget::Program(program) => &object.programs[program].function,
            };
            (slot.index.to_string(), Value::from(name.as_str()))
        });
        assert_eq!(got.collect::<Table>(), *want, "{what}");
    }
}

#[track_caller]
fn check_data(map: &Map, want: &Table) {
    assert_eq!(
        (map.symbol.as_str(), map.spec.value_size),
        (text(want, "section").unwrap(), number(want, "size") as u32)
    );
    assert_eq!(map.data.as_ref().map(Vec::len), Some(map.spec.value_size as usize));
    let readonly = want["readonly"].as_bool().unwrap();
    assert_eq!(map.spec.flags & flags::RDONLY_PROG != 0, readonly);
    assert_eq!(map.dialect == Dialect::Data(DataKind::Rodata), readonly);
    let variables = map.spec.types.as_ref().and_then(|types| types.btf.datasec(&map.symbol)).map(|(_, vars)| vars);
    for (want, got) in list(want, "variables").zip(variables.unwrap_or_default()) {
        assert_eq!((u64::from(got.offset), u64::from(got.size)), (number(want, "offset"), number(want, "size")));
    }
}

#[track_caller]
fn check_program(object: &Object, program: &Program, want: &Table) {
    let what = program.function.as_str();
    assert_eq!(program.section, text(want, "section").unwrap().trim_start_matches('?'), "{what}");
    assert_eq!(program.autoload, want.get("autoload").is_none_or(|value| value.as_bool().unwrap()), "{what}");
    let aliases = want.get("aliases").and_then(Value::as_array).into_iter().flatten();
    assert_eq!(program.aliases, aliases.map(|alias| alias.as_str().unwrap()).collect::<Vec<_>>(), "{what}");
    let kind = program.kind.as_ref();
    assert_eq!(kind.map(|kind| kind.program_type.to_string()).as_deref(), text(want, "type"), "{what}");
    // Where no attach type is needed, libbpf's table may have one all the same.
    if let Some(want) = text(want, "attach_type") {
        let got = kind.and_then(|kind| kind.attach_type).map(|attach| attach.to_string());
        assert_eq!(got.as_deref(), Some(want), "{what}");
    }
    if want.contains_key("frags") {
        assert_eq!(kind.map(|kind| kind.flags), Some(1 << 5), "{what}");
    }
    if let Some(want) = want.get("slot").and_then(Value::as_table) {
        let map = object.maps.iter().find(|map| map.symbol == text(want, "map").unwrap()).expect("the map");
        let slot = map.slots.iter().find(|slot| u64::from(slot.index) == number(want, "index")).expect("the slot");
        let SlotTarget::Program(number) = slot.target else { panic!("{what}: a map in the slot") };
        assert_eq!(object.programs[number].function, what);
    }
}

/// Checks one object against its description. `error` in it is for the whole object, or for one program.
#[track_caller]
fn check(name: &str) {
    let want: Table = String::from_utf8(read(&format!("{name}.expect.toml"))).unwrap().parse().unwrap();
    let error = want.get("error").and_then(Value::as_table);
    let object = match (elf::parse(&read(&format!("{name}.o"))), error) {
        (Ok(object), _) => object,
        (Err(errors), Some(error)) if text(error, "program").is_none() => {
            assert_eq!(errors[0].symbol.as_deref(), text(error, "symbol"), "{name}: {errors:?}");
            return;
        }
        (Err(errors), _) => panic!("{name}: {errors:?}"),
    };
    assert_eq!(object.license.as_deref(), text(&want, "license"), "{name}");
    assert_eq!(u64::from(object.kernel_version.unwrap_or_default()), number(&want, "version"), "{name}");
    let (data, maps): (Vec<_>, Vec<_>) = object.maps.iter().partition(|map| matches!(map.dialect, Dialect::Data(_)));
    assert_eq!((maps.len(), data.len()), (list(&want, "map").count(), list(&want, "data").count()), "{name}");
    for (map, want) in maps.iter().zip(list(&want, "map")) {
        check_map(&object, map, want);
    }
    for (map, want) in data.iter().zip(list(&want, "data")) {
        check_data(map, want);
    }
    let programs: Vec<_> = object.programs.iter().filter(|program| !program.is_static).collect();
    assert_eq!(programs.len(), list(&want, "program").count(), "{name}: {programs:?}");
    for want in list(&want, "program") {
        let program = programs.iter().find(|program| program.function == text(want, "function").unwrap());
        check_program(&object, program.expect("the program"), want);
    }
    for (number, program) in object.programs.iter().enumerate() {
        let bad = error.filter(|error| text(error, "program") == Some(&program.function));
        match (object.link(number, &Target::offline()), bad) {
            (Ok(code), None) => assert!(!code.insns.is_empty()),
            (Err(errors), Some(error)) => assert_eq!(errors[0].symbol.as_deref(), text(error, "symbol"), "{name}"),
            (got, _) => panic!("{name}: {}: {got:?}", program.function),
        }
    }
}

/// Objects whose definitions could be two things; the fact file leaves open which, and so it must be an error.
const AMBIGUOUS: [&str; 1] = ["map_def_28_no_btf"];

#[test]
fn objects_are_read_as_described() {
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".expect.toml")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 40, "the objects are there");
    for name in names.iter().filter(|name| !AMBIGUOUS.contains(&name.as_str())) {
        check(name);
    }
}

#[test]
fn two_meanings_are_an_error() {
    for name in AMBIGUOUS {
        let errors = elf::parse(&read(&format!("{name}.o"))).expect_err("two meanings");
        let what = "the map can be meant in two ways: `struct bpf_map_def` with id 0, pinning 1 or `struct bpf_elf_map` \
                    with id 0, pinning 1";
        assert_eq!((errors[0].what.as_str(), errors[0].symbol.as_deref()), (what, Some("hosts")));
    }
}

#[test]
fn an_error_names_the_source() {
    let object = elf::parse(&read("undefined.o")).unwrap();
    let errors = object.link(0, &Target::offline()).expect_err("an undefined function");
    let source = errors[0].source.as_deref().expect("a line");
    assert!(source.contains("undefined.c:"), "{source}");
    assert!(errors[0].offset.is_some());
}

#[test]
fn a_variable_that_a_linker_was_to_place() {
    let object = elf::parse(&read("common.o")).unwrap();
    let errors = object.link(0, &Target::offline()).expect_err("a common symbol");
    assert_eq!(errors[0].what, "`counter` is not initialised, and was compiled with `-fcommon`");
    assert_eq!(errors[0].help.as_deref(), Some("initialise it (`= 0`), or compile with `-fno-common`"));
}

#[test]
fn damaged_records_of_functions_are_left_out() {
    let mut bytes = read("pass.o");
    let start = [0x9f, 0xeb, 1, 0, 32, 0, 0, 0];
    let ext = bytes.windows(start.len()).position(|bytes| bytes == start).expect("only .BTF.ext has so long a header");
    // How long a record is.
    bytes[ext + 32] = 6;
    let object = elf::parse(&bytes).expect("the object has no relocations for the kernel's types");
    let code = object.link(0, &Target::offline()).expect("nothing is missing");
    assert!(code.funcs.is_empty() && code.lines.is_empty());
}

#[test]
fn constants_that_no_code_names() {
    let cases: [(&str, [&[&str]; 2]); 2] =
        [("metadata.o", [&[".rodata"], &[".bss", ".rodata"]]), ("two_in_section.o", [&["passed"], &["dropped"]])];
    for (name, want) in cases {
        let object = elf::parse(&read(name)).unwrap();
        for (number, want) in want.into_iter().enumerate() {
            let code = object.link(number, &Target::offline()).unwrap();
            let maps: Vec<_> = object.maps_of(&code).iter().map(|map| object.maps[*map].symbol.as_str()).collect();
            assert_eq!(maps, want, "{name}: {number}");
        }
    }
}

#[test]
fn a_foreign_byte_order_is_named() {
    let errors = elf::parse(&read("pass_big_endian.o")).expect_err("big-endian");
    assert!(errors[0].what.contains("big-endian"));
    assert_eq!(errors[0].help.as_deref(), Some("compile with `clang -target bpfel`"));
}

#[test]
fn inner_maps_of_iproute2() {
    let object = elf::parse(&read("elf_map_inner.o")).unwrap();
    let outer = object.maps.iter().find(|map| map.symbol == "outer").unwrap();
    let inner = object.maps.iter().position(|map| map.symbol == "inner").unwrap();
    assert_eq!(outer.spec.inner.as_deref(), Some(&object.maps[inner].spec));
    assert_eq!(outer.slots, [elf::Slot { index: 3, target: SlotTarget::Map(inner) }]);
}

/// Every global variable is reached at its own offset, and each line record has its strings in the BTF.
#[test]
fn references_to_variables_and_lines() {
    let object = elf::parse(&read("data.o")).unwrap();
    let code = object.link(0, &Target::offline()).unwrap();
    let mut seen: Vec<_> = (code.sites.iter())
        .map(|site| match site.kind {
            SiteKind::Value { offset } => (object.maps[site.map].symbol.as_str(), offset),
            SiteKind::Map => panic!("no map is used"),
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    let want = [
        (".bss", 0),
        (".bss", 8),
        (".bss", 12),
        (".data", 0),
        (".data", 8),
        (".data.custom", 0),
        (".data.custom", 8),
        (".rodata", 0),
        (".rodata", 4),
        (".rodata", 8),
        (".rodata.custom", 0),
        (".rodata.custom", 4),
    ];
    assert_eq!(seen, want);
    let btf = object.btf.as_ref().unwrap();
    let types = Btf::parse(&btf.encode()).unwrap();
    assert!(code.lines.iter().any(|line| btf.text(line.text).is_some_and(|text| text.contains("return"))));
    for line in &code.lines {
        assert_eq!((types.text(line.file), types.text(line.text)), (btf.text(line.file), btf.text(line.text)));
    }
}

/// A generator of numbers that is the same on each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// Returns BTF of `struct tcp_congestion_ops { u32 (*ssthresh)(); char name[16]; }` and of a map's value that holds it.
fn kernel_with_a_struct() -> Vec<u8> {
    let member = |name: &str, ty, bit_offset| Member { name: name.into(), ty, bit_offset, bitfield_size: 0 };
    let mut btf = Btf::default();
    let char = btf.push(Type::Int { name: "char".into(), size: 1, bits: 8, offset: 0, encoding: Encoding::Signed });
    let proto = btf.push(Type::FuncProto { ret: char, params: Vec::new() });
    let function = btf.push(Type::Ptr { ty: proto });
    let text = btf.push(Type::Array { element: char, index: char, count: 16 });
    let members = vec![member("ssthresh", function, 0), member("name", text, 64)];
    let name = "tcp_congestion_ops".into();
    let of_kernel = btf.push(Type::Struct { name, size: 24, members });
    let name = "bpf_struct_ops_tcp_congestion_ops".into();
    btf.push(Type::Struct { name, size: 88, members: vec![member("data", of_kernel, 512)] });
    btf.encode()
}

/// The place of each member is the kernel's, whatever the object's struct has besides.
#[test]
fn structs_are_laid_out_as_the_kernel_has_them() {
    let types = KernelTypes::parse(Box::new(kernel_with_a_struct())).expect("good types");
    let target = Target { types: Some(Arc::new(types)), ..Target::default() };
    let object = elf::parse(&read("struct_ops_refused.o")).unwrap();
    let find = |symbol: &str| object.maps.iter().position(|map| map.symbol == symbol).expect("the map");
    let program = object.programs.iter().position(|program| program.function == "threshold").expect("the program");
    let operations = object.operations(find("good"), &target).expect("it fits");
    assert_eq!((operations.value_type, operations.bytes.len()), (6, 88));
    assert_eq!(operations.functions, [(64, program)].into());
    assert_eq!(&operations.bytes[72..81], b"bpf_good\0");
    assert!(operations.bytes[..72].iter().all(|byte| *byte == 0));
    let operation = object.operation(program, &target).expect("it is one");
    let name = "tcp_congestion_ops/ssthresh".to_owned();
    assert_eq!(operation, elf::Operation { type_id: 5, member: 0, name, module: None });
}

#[test]
fn damaged_objects_are_refused_or_read() {
    let mut paths: Vec<_> = [folder(), "/usr/lib/x86_64-linux-gnu/bpf".into()]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "o"))
        .collect();
    paths.sort();
    // A kernel that knows one struct.
    let types = KernelTypes::parse(Box::new(kernel_with_a_struct())).expect("good types");
    let target = Target { types: Some(Arc::new(types)), ..Target::default() };
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for path in &paths {
        let good = std::fs::read(path).unwrap();
        for round in 0..60 {
            let mut bytes = good.clone();
            if round % 4 == 0 {
                bytes.truncate(random.below(good.len()));
            }
            for _ in 0..=random.below(8) {
                let wild = [0, 1, 0x7f, 0x80, 0xff, u32::MAX, good.len() as u32, random.below(1 << 32) as u32];
                let wild = wild[random.below(wild.len())].to_le_bytes();
                // One byte anywhere, or a whole number where the tables have them.
                let (at, len) = match random.below(2) {
                    0 => (random.below(bytes.len()), 1),
                    _ => (random.below(bytes.len()) & !3, 4),
                };
                for (byte, wild) in bytes.iter_mut().skip(at).zip(&wild[..len]) {
                    *byte = *wild;
                }
            }
            if let Ok(object) = elf::parse(&bytes) {
                for map in 0..object.maps.len() {
                    let _ = object.operations(map, &Target::offline());
                    let _ = object.operations(map, &target);
                }
                for program in 0..object.programs.len() {
                    let _ = object.operation(program, &target);
                    let _ = object.link(program, &Target::offline()).map(|code| code.patched(|_| 7));
                }
            }
        }
    }
}
