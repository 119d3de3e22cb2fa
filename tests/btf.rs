//! BTF: real objects, the running kernel's types, tables of small C sources, and random models and bytes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bpfapply::btf::ext::BtfExt;
use bpfapply::btf::kernel::KernelTypes;
use bpfapply::btf::layout::difference;
use bpfapply::btf::value::{self, Value};
use bpfapply::btf::{Btf, Encoding, EnumValue, Kind, Linkage, Member, Name, Param, SectionVar, Type, TypeId};
use object::{Object, ObjectSection};
use proptest::prelude::*;

fn section(object: &[u8], name: &str) -> Option<Vec<u8>> {
    let file = object::File::parse(object).expect("an ELF file");
    Some(file.section_by_name(name)?.data().expect("a section with data").to_vec())
}

/// Compiles C for BPF; none, with the reason printed, where there is no clang.
fn compile(source: &str) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a directory");
    let (c, o) = (dir.path().join("t.c"), dir.path().join("t.o"));
    fs::write(&c, source).expect("a source");
    let run = Command::new("clang").args(["-target", "bpf", "-g", "-O2", "-c"]).arg(&c).arg("-o").arg(&o).output();
    let Ok(output) = run else {
        println!("skipped: there is no clang");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(fs::read(o).expect("an object"))
}

fn compile_btf(source: &str) -> Option<Btf> {
    let btf = section(&compile(source)?, ".BTF").expect("a .BTF section");
    Some(Btf::parse(&btf).expect("what clang writes"))
}

/// Parses, encodes and parses again.
#[track_caller]
fn check_round_trip(bytes: &[u8]) -> Btf {
    let btf = Btf::parse(bytes).expect("valid BTF");
    let encoded = btf.encode();
    assert_eq!(encoded[4..8], 24u32.to_le_bytes());
    assert_eq!(Btf::parse(&encoded).expect("our own BTF"), btf);
    btf
}

#[test]
fn real_objects() {
    let folder = Path::new("/usr/lib/x86_64-linux-gnu/bpf");
    let Ok(entries) = fs::read_dir(folder) else {
        println!("skipped: there is no {}", folder.display());
        return;
    };
    for entry in entries {
        let path = entry.expect("a file").path();
        let object = fs::read(&path).expect("an object");
        let Some(bytes) = section(&object, ".BTF") else {
            continue;
        };
        let btf = check_round_trip(&bytes);
        for (id, ty) in btf.types() {
            assert_eq!(difference((&btf, id), (&btf, id)), None, "{}: {ty:?}", path.display());
        }
        let Some(bytes) = section(&object, ".BTF.ext") else {
            continue;
        };
        let ext = BtfExt::parse(&bytes, &btf).expect("valid BTF.ext");
        assert!(!ext.funcs.is_empty() && !ext.lines.is_empty(), "{}", path.display());
        let text = |offset| btf.text(offset).expect("the strings of all lines are there");
        let again = Btf::parse(&btf.encode()).expect("our own BTF");
        for line in ext.lines.values().flatten() {
            assert_eq!(again.text(line.file), Some(text(line.file)), "{}", path.display());
            assert_eq!(again.text(line.text), Some(text(line.text)), "{}", path.display());
        }
    }
}

#[test]
fn running_kernel() {
    let Ok(bytes) = fs::read("/sys/kernel/btf/vmlinux") else {
        println!("skipped: this kernel shows no BTF");
        return;
    };
    let start = std::time::Instant::now();
    let btf = check_round_trip(&bytes);
    println!("{} types in {:?}", btf.types().len(), start.elapsed());
    let sk_buff = btf.find(Kind::Struct, "sk_buff").expect("every kernel has it");
    assert_eq!(difference((&btf, sk_buff), (&btf, sk_buff)), None);
    assert!(btf.size_of(sk_buff) > Some(100));
    btf.types().for_each(|(id, _)| drop(btf.type_name(id)));
}

/// A header, then types and strings.
fn assemble(header: &[u8], types: &[u32], strings: &[u8]) -> Vec<u8> {
    let length = 24 + header.len() as u32;
    let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    for word in [length, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
        bytes.extend(word.to_le_bytes());
    }
    [bytes, header.to_vec(), types, strings.to_vec()].concat()
}

#[track_caller]
fn check_parse(bytes: &[u8], error: Option<&str>) {
    assert_eq!(Btf::parse(bytes).err().map(|error| error.to_string()).as_deref(), error);
}

#[test]
fn headers() {
    let good = assemble(&[], &[], b"\0");
    let patched = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    check_parse(&good, None);
    check_parse(&assemble(&[0, 0, 0, 0], &[], b"\0"), None);
    check_parse(&assemble(&[0; 16], &[], b"\0"), None);
    // What newer tools write: `layout_off` and `layout_len` behind the known fields.
    check_parse(&assemble(&[0, 0, 0, 0, 1, 0, 0, 0], &[], b"\0"), None);
    check_parse(
        &assemble(&[0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0], &[], b"\0"),
        Some("bad BTF at byte 33: the header has fields that are not known"),
    );
    check_parse(&[], Some("bad BTF at byte 0: 4 bytes are wanted, 0 are left"));
    check_parse(
        &[0xeb, 0x9f, 1, 0],
        Some("bad BTF at byte 0: it is big-endian; only little-endian objects can be loaded here"),
    );
    check_parse(b"\x7fELF", Some("bad BTF at byte 0: it does not start with the magic number 0xeb9f"));
    check_parse(&patched(2, 2), Some("bad BTF at byte 2: version 2 is not known"));
    check_parse(&patched(4, 23), Some("bad BTF at byte 4: a header of 23 bytes does not fit (24 to 25)"));
    check_parse(&patched(4, 26), Some("bad BTF at byte 4: a header of 26 bytes does not fit (24 to 25)"));
    check_parse(&patched(20, 2), Some("bad BTF at byte 24: 2 bytes at 0 after the header end behind the section"));
    check_parse(&patched(20, 0), Some("bad BTF at byte 24: the string table does not start and end with a NUL byte"));
}

/// A line of source may be in any encoding; the strings behind it stay where they are.
#[test]
fn strings_that_are_not_text() {
    let btf = Btf::parse(&assemble(&[], &[6, 7 << 24, 0], b"\0a\xffb\0\0name\0")).expect("valid");
    check_parse(&assemble(&[], &[6, 7 << 24, 0], b"\0a\xffb\0\0name\0"), None);
    for btf in [&btf, &Btf::parse(&btf.encode()).expect("our own BTF")] {
        assert_eq!([1, 3, 6, 10, 11].map(|at| btf.text(at)), [Some("a?b"), Some("b"), Some("name"), Some(""), None]);
        assert_eq!(btf.get(1).and_then(Type::name), Some("name"));
    }
    let accents = Btf::parse(&assemble(&[], &[], "\0é\0".as_bytes())).expect("valid");
    assert_eq!([1, 2].map(|at| accents.text(at)), [Some("é"), Some("")]);
}

/// A kind that is newer than we are is stepped over where the BTF says how long its records are.
#[test]
fn kinds_that_are_not_known() {
    // `typedef KIND_20 named`, where kind 20 has a word, and another two for each of its parts.
    let types = [0, 20 << 24 | 2, 7, 1, 2, 3, 4, 5, 1, 8 << 24, 1];
    let with = |layout: [u8; 4]| {
        let mut layouts = vec![0; 4 * 20];
        layouts.extend(layout);
        let header = [44u32, layouts.len() as u32].map(u32::to_le_bytes);
        let mut bytes = assemble(header.as_flattened(), &types, b"\0named\0");
        // The strings move behind the layouts.
        let strings = 32 + 44;
        bytes.splice(strings..strings, layouts.iter().copied());
        bytes[16..20].copy_from_slice(&(44 + layouts.len() as u32).to_le_bytes());
        bytes
    };
    let bytes = with([4, 8, 0, 0]);
    let btf = Btf::parse(&bytes).expect("valid");
    assert_eq!(btf.types().count(), 3, "void and two more");
    assert_eq!(btf.get(2), Some(&Type::Typedef { name: "named".into(), ty: 1 }));
    assert_eq!(btf.get(1), Some(&Type::Fwd { name: "unknown_kind_20".into(), is_union: false }));
    let again = Btf::parse(&btf.encode()).expect("what the kernel gets has no such kind");
    assert_eq!(again.get(1), btf.get(1));
    let kernel = Arc::new(KernelTypes::parse(Box::new(bytes)).expect("valid"));
    assert_eq!(kernel.named(Kind::Typedef, "named").expect("valid"), [2]);
    assert_eq!(kernel.get(1).expect("valid"), btf.get(1).expect("it is there"));
    // A module's types are laid out as its kernel's.
    let module = Box::new(assemble(&[], &[0, 20 << 24, 0, 0, 0, 2 << 24, 3], b"\0"));
    let module = KernelTypes::parse_module(module, kernel).expect("valid");
    assert_eq!(module.get(4).expect("valid"), &Type::Ptr { ty: 3 });
    check_parse(&with([4, 7, 0, 0]), Some("bad BTF at byte 32: kind 20 is not known"));
    check_parse(&with([4, 32, 0, 0]), Some("bad BTF at byte 44: 68 bytes are wanted, 32 are left"));
}

#[test]
#[rustfmt::skip]
fn bad_types() {
    for (types, strings, error) in [
        (&[0u32, 2 << 24][..], &b"\0"[..], "bad BTF at byte 24: 12 bytes are wanted, 8 are left"),
        (&[1, 2 << 24, 0], b"\0", "bad BTF at byte 36: there is no string at 1"),
        (&[1, 7 << 24, 0], b"\0\xff\0", "bad BTF at byte 36: the string at 1 is not UTF-8"),
        (&[0, 2 << 24, 2], b"\0", "bad BTF type 1: it refers to type 2, the last one is 1"),
        (&[0, 20 << 24, 0], b"\0", "bad BTF at byte 24: kind 20 is not known"),
        (&[0, 0x7f << 24, 0], b"\0", "bad BTF at byte 24: kind 127 is not known"),
        (&[0, 12 << 24 | 3, 0], b"\0", "bad BTF at byte 36: linkage 3 is not known"),
        (&[0, 12 << 24, 0], b"\0", "bad BTF type 1: the type of the function `` is not a prototype"),
        (&[0, 15 << 24 | 1, 0, 0, 0, 0], b"\0", "bad BTF type 1: the section `` holds something that is not a variable"),
        (&[0, 1 << 24, 4, 33], b"\0", "bad BTF at byte 40: the integer `` has 33 bits at 0 of 4 bytes"),
        (&[0, 1 << 24, 4, 3 << 24 | 32], b"\0", "bad BTF at byte 40: the integer `` has the unknown encoding 3"),
        (&[0, 4 << 24 | 0xffff, 0], b"\0", "bad BTF at byte 36: 12 bytes are wanted, 0 are left"),
    ] {
        check_parse(&assemble(&[], types, strings), Some(error));
    }
}

const NAMES: &str = "
struct flow_key { unsigned src; unsigned char addr[16]; };
typedef unsigned int __u32;
enum verdict { PASS, DROP };
struct flow_key *pointer;
__u32 numbers[4];
const volatile __u32 rate;
char *texts[2];
char (*rows)[2][3];
int (*callback)(struct flow_key *, const char *, ...);
enum verdict *const fixed;
struct { int x; } nameless;
void *(*table[3])(void);
";

#[test]
#[rustfmt::skip]
fn type_names_and_sizes() {
    let Some(btf) = compile_btf(NAMES) else {
        return;
    };
    for (var, name, size) in [
        ("pointer", "struct flow_key *", 8),
        ("numbers", "__u32[4]", 16),
        ("rate", "const volatile __u32", 4),
        ("texts", "char *[2]", 16),
        ("rows", "char (*)[2][3]", 8),
        ("callback", "int (*)(struct flow_key *, const char *, ...)", 8),
        ("fixed", "enum verdict *const", 8),
        ("nameless", "struct {...}", 4),
        ("table", "void *(*[3])(void)", 24),
    ] {
        let id = btf
            .find(Kind::Var, var)
            .unwrap_or_else(|| panic!("no {var}"));
        let Some(Type::Var { ty, .. }) = btf.get(id) else {
            panic!("{var} is no variable")
        };
        assert_eq!(
            (btf.type_name(*ty).as_str(), btf.size_of(*ty)),
            (name, Some(size)),
            "{var}"
        );
        assert_eq!(btf.size_of(id), Some(size), "{var}");
    }
}

#[test]
fn sections_are_fixed_from_symbols() {
    let Some(mut btf) = compile_btf("int b = 2; int a = 1; static volatile int s = 3; int f(void) { return s; }")
    else {
        return;
    };
    let before = btf.clone();
    let data = btf.datasecs()[".data"];
    let missing = btf.fix_datasec(data, 12, &|_| None).map_err(|error| error.what);
    assert_eq!(missing, Err("the variable `b` of section `.data` has no symbol".to_owned()));
    assert_eq!(btf, before);
    assert!(btf.fix_datasec(0, 4, &|_| None).is_err());
    let offsets = |name: &str| [("a", 0), ("b", 8)].iter().find(|(n, _)| *n == name).map(|(_, offset)| *offset);
    // The static one is at 8 by its own relocation, and keeps it; the order of equals is the order they came in.
    btf.fix_datasec(data, 12, &offsets).expect("all have offsets");
    let (size, vars) = btf.datasec(".data").expect("the section");
    assert_eq!((size, vars.len(), vars[0].offset), (12, 3, 0));
    assert!(vars.is_sorted_by_key(|var| var.offset));
    let fields = btf.fields(btf.find(Kind::Datasec, ".data").expect("the section")).expect("fields");
    assert_eq!((fields[0].name, fields[0].bit_offset), ("a", 0));
}

#[test]
fn linkage_of_functions() {
    let mut btf = Btf::default();
    let proto = btf.push(Type::FuncProto { ret: 0, params: vec![] });
    let func = btf.push(Type::Func { name: "f".into(), proto, linkage: Linkage::Global });
    assert!(btf.set_linkage(func, Linkage::Static) && !btf.set_linkage(proto, Linkage::Static));
    assert!(!btf.set_linkage(9, Linkage::Static));
    assert_eq!(btf.get(func), Some(&Type::Func { name: "f".into(), proto, linkage: Linkage::Static }));
}

const PROGRAM: &str = r#"
struct task { int pid; struct { int x, y; } at[3]; } __attribute__((preserve_access_index));
__attribute__((section("xdp"), used)) int first(struct task *t)
{
	return t->at[1].y;
}
__attribute__((section("tc"), used)) int second(void *ctx) { return 2; }
"#;

#[test]
fn ext_of_a_program() {
    let Some(object) = compile(PROGRAM) else {
        return;
    };
    let btf = Btf::parse(&section(&object, ".BTF").expect("types")).expect("valid");
    let ext = BtfExt::parse(&section(&object, ".BTF.ext").expect("lines"), &btf).expect("valid");
    let names = |section: &str| {
        let funcs = ext.funcs[section].iter();
        funcs.map(|func| (func.offset, btf.get(func.ty).and_then(Type::name))).collect::<Vec<_>>()
    };
    assert_eq!((names("xdp"), names("tc")), (vec![(0, Some("first"))], vec![(0, Some("second"))]));
    let text = |offset| btf.text(offset).unwrap_or_default();
    let line = ext.lines["xdp"].iter().find(|line| text(line.text).contains("t->at")).expect("a line");
    assert_eq!((text(line.text), line.place.line()), ("\treturn t->at[1].y;", 5));
    let relo = &ext.relos["xdp"][0];
    assert_eq!((btf.type_name(relo.ty).as_str(), text(relo.access), relo.kind), ("struct task", "0:1:1:1", 0));
    let more = [Type::Typedef { name: "first".into(), ty: 1 }, Type::Typedef { name: "new".into(), ty: 1 }];
    let again = Btf::parse(&btf.encode_with(&more)).expect("valid");
    assert_eq!(again.text(line.text), btf.text(line.text));
    let names = again.types().skip(btf.types().len()).map(|(_, ty)| ty.name()).collect::<Vec<_>>();
    assert_eq!(names, [Some("first"), Some("new")]);
}

/// The three parts follow each other behind the header; each is a list of words.
fn assemble_ext(funcs: &[u32], lines: &[u32], relos: &[u32]) -> Vec<u8> {
    let mut words = vec![0x0001_eb9f, 32];
    let mut offset = 0;
    for part in [funcs, lines, relos] {
        words.extend([offset, part.len() as u32 * 4]);
        offset += part.len() as u32 * 4;
    }
    [words.as_slice(), funcs, lines, relos].concat().iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
#[rustfmt::skip]
fn ext_records() {
    // Type 1 is a prototype, type 2 a function, the string at 1 is `tc`.
    let btf = Btf::parse(&assemble(
        &[],
        &[0, 13 << 24, 0, 1, 12 << 24 | 1, 1],
        b"\0tc\0",
    ))
    .expect("valid");
    for (funcs, lines, relos, expected) in [
        (&[][..], &[][..], &[][..], Ok((0, 0, 0))),
        (&[8, 1, 2, 0, 2, 8, 2], &[], &[], Ok((2, 0, 0))),
        (&[12, 1, 1, 0, 2, 99], &[16, 1, 1, 0, 1, 1, 1 << 10], &[16, 1, 1, 0, 2, 1, 0], Ok((1, 1, 1))),
        (&[4, 1, 1, 0], &[], &[], Err("bad BTF.ext at byte 36: records of 4 bytes, 8 or more are wanted")),
        (&[8, 1, 1, 0, 1], &[], &[], Err("bad BTF.ext at byte 52: type 1 is not a function")),
        (&[8, 1, 2, 0, 2], &[], &[], Err("bad BTF.ext at byte 52: 8 bytes are wanted, 0 are left")),
        (&[8, 9, 1, 0, 2], &[], &[], Err("bad BTF.ext at byte 44: there is no string at 9")),
        (&[], &[12, 1, 1, 0, 0, 0], &[], Err("bad BTF.ext at byte 36: records of 12 bytes, 16 or more are wanted")),
        (&[], &[], &[16, 1, 1, 0, 3, 1, 0], Err("bad BTF.ext at byte 60: there is no type 3")),
    ] {
        let count = |ext: BtfExt| {
            let funcs = ext.funcs.get("tc").map_or(0, Vec::len);
            (
                funcs,
                ext.lines.get("tc").map_or(0, Vec::len),
                ext.relos.get("tc").map_or(0, Vec::len),
            )
        };
        let got = BtfExt::parse(&assemble_ext(funcs, lines, relos), &btf)
            .map(count)
            .map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }
}

/// Damage to functions and lines does not hide the relocations; damage to these does.
#[test]
#[rustfmt::skip]
fn ext_relocations_alone() {
    let btf = Btf::parse(&assemble(&[], &[0, 13 << 24, 0, 1, 12 << 24 | 1, 1], b"\0tc\0")).expect("valid");
    for (funcs, lines, relos, cut, expected) in [
        (&[4, 1, 1, 0][..], &[12, 1, 1, 0, 0, 0][..], &[16, 1, 1, 0, 2, 1, 0][..], 0, Ok(1)),
        (&[], &[16, 1, 1, 0, 1, 1, 1 << 10], &[], 6, Ok(0)),
        (&[], &[], &[16, 1, 1, 0, 3, 1, 0], 0, Err("bad BTF.ext at byte 60: there is no type 3")),
        (&[], &[], &[16, 1, 1, 0, 2, 1, 0], 6, Err("bad BTF.ext at byte 32: 28 bytes at 0 after the header end behind the section")),
    ] {
        let bytes = assemble_ext(funcs, lines, relos);
        let bytes = &bytes[..bytes.len() - cut];
        assert!(BtfExt::parse(bytes, &btf).is_err());
        let got = BtfExt::parse_relocations(bytes, &btf).map_err(|error| error.to_string());
        let got = got.map(|ext| {
            assert!(ext.funcs.is_empty() && ext.lines.is_empty());
            ext.relos.get("tc").map_or(0, Vec::len)
        });
        assert_eq!(got, expected.map_err(str::to_owned));
    }
}

/// Compiles `left` and `right` as two objects, and compares the types of their variable `v`.
#[track_caller]
fn check_layout(left: &str, right: &str, expected: Option<(&str, &str, &str)>) {
    let (Some(a), Some(b)) = (compile_btf(left), compile_btf(right)) else {
        return;
    };
    let ty = |btf: &Btf| match btf.find(Kind::Var, "v").and_then(|id| btf.get(id)) {
        Some(Type::Var { ty, .. }) => *ty,
        other => panic!("`v` is {other:?}"),
    };
    let got = difference((&a, ty(&a)), (&b, ty(&b)));
    let got = got.as_ref().map(|d| (d.path.as_str(), d.left.as_str(), d.right.as_str()));
    assert_eq!(got, expected, "{left} and {right}");
}

#[test]
#[rustfmt::skip]
fn layouts() {
    for (left, right, expected) in [
        ("struct a { int x; long y; } v;", "typedef int s32; struct b { s32 x; long y; }; typedef struct b c; const c v;", None),
        ("struct k { int x; } *v;", "long *v;", None),
        ("struct k { int x; long y; } v;", "struct k { int x; int p; long y; } v;", Some(("k.p", "absent", "s32 at byte 4"))),
        ("struct k { int x; int y; } v;", "struct k { int x; long p; int y; } v;", Some(("k.y", "s32 at byte 4", "s32 at byte 16"))),
        ("struct k { int x; } v;", "struct k { unsigned x; } v;", Some(("k.x", "s32 at byte 0", "u32 at byte 0"))),
        ("struct k { int x, sport; } v;", "struct k { int x, dport; } v;", Some(("k.sport", "s32 at byte 4", "`dport`, s32 at byte 4"))),
        ("struct k { int x, y; } v;", "struct k { int x; } v;", Some(("k.y", "s32 at byte 4", "absent"))),
        ("struct k { struct { unsigned addr; } src; } v;", "struct k { struct { unsigned long addr; } src; } v;", Some(("k.src.addr", "u32 at byte 0", "u64 at byte 0"))),
        ("struct k { int x[4]; } v;", "struct k { int x[5]; } v;", Some(("k.x", "s32[4] at byte 0", "s32[5] at byte 0"))),
        ("struct k { struct { int p; } x[4]; } v;", "struct k { struct { unsigned p; } x[4]; } v;", Some(("k.x[].p", "s32 at byte 0", "u32 at byte 0"))),
        ("union k { int x; long y; } v;", "union k { long y; int x; } v;", None),
        ("struct k { union { int x; long y; }; } v;", "struct k { union { long y; int x; }; } v;", None),
        ("struct k { int a; union { int x; }; } v;", "struct k { int a; union { unsigned x; }; } v;", Some(("k.x", "s32 at byte 4", "u32 at byte 4"))),
        ("struct k { int a:3, b:5; } v;", "struct k { int a:3, b:6; } v;", Some(("k.b", "5 bits of s32 at bit 3", "6 bits of s32 at bit 3"))),
        ("struct k { int a; } __attribute__((aligned(16))) v;", "struct k { int a; } v;", Some(("k", "struct of 16 bytes", "struct of 4 bytes"))),
        ("enum e { A, B } v;", "enum f { C = 7 } v;", None),
        ("enum e { A, B } v;", "int v;", Some(("e", "enum of 4 bytes", "s32"))),
        ("unsigned v;", "unsigned long v;", Some(("unsigned int", "u32", "u64"))),
        ("_Bool v;", "unsigned char v;", None),
        ("double v;", "float v;", Some(("double", "f64", "f32"))),
        ("struct n { struct n *next; int x; } v;", "struct n { void *next; int x; } v;", None),
    ] {
        check_layout(left, right, expected);
    }
}

/// Two files that are linked to one object may have a static variable of one name each.
#[test]
fn variables_of_one_name_agree_in_their_order() {
    let section = |offsets: [u32; 2]| {
        let mut btf = Btf::default();
        let int = Type::Int { name: "int".into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Signed };
        let int = btf.push(int);
        let mut var = |offset| {
            let ty = btf.push(Type::Var { name: "state".into(), ty: int, linkage: Linkage::Static });
            SectionVar { ty, offset, size: 4 }
        };
        let vars = offsets.map(&mut var).to_vec();
        let id = btf.push(Type::Datasec { name: ".data".into(), size: 12, vars });
        (btf, id)
    };
    let ((a, id), (b, _)) = (section([0, 4]), section([0, 8]));
    assert_eq!(difference((&a, id), (&a, id)), None);
    let found = difference((&a, id), (&b, id)).expect("the second one has moved");
    assert_eq!((found.path.as_str(), found.left.as_str()), (".data.state", "s32 at byte 4"));
}

#[test]
fn declared_types_agree_with_any() {
    let mut btf = Btf::default();
    let fwd = btf.push(Type::Fwd { name: "s".into(), is_union: false });
    let full = btf.push(Type::Struct { name: "s".into(), size: 4, members: vec![] });
    assert_eq!(difference((&btf, fwd), (&btf, full)), None);
    assert_eq!(difference((&btf, full), (&btf, fwd)), None);
    assert!(difference((&btf, fwd), (&btf, 0)).is_some());
}

const VALUES: &str = "
typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32;
typedef unsigned long __u64; typedef __int128 s128;
enum verdict { PASS = 1, DROP = 2, NEGATIVE = -1 };
struct inner { __u8 p, q; };
struct key {
	__u32 src; __u16 port; __u8 mac[6]; char name[8]; enum verdict act;
	int low:3; unsigned mid:7; _Bool on;
	union { __u32 word; __u8 parts[4]; };
	struct inner in[2]; long count; char rows[2][4]; float share; void *next; __u64 big; s128 huge;
} __attribute__((packed)) key;
";

fn to_value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Text("null".to_owned()),
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i128() {
            Some(value) => Value::Int(value),
            None => Value::Float(number.as_f64().expect("a number")),
        },
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(list) => Value::List(list.into_iter().map(to_value).collect()),
        serde_json::Value::Object(map) => {
            Value::Table(map.into_iter().map(|(name, value)| (name, to_value(value))).collect())
        }
    }
}

/// Encodes `json` into zeros, and shows the named field of the result; or the error and its help.
fn fill(btf: &Btf, json: &str) -> Result<serde_json::Value, String> {
    let key = btf.find(Kind::Struct, "key").expect("the struct");
    let value = to_value(serde_json::from_str(json).expect("JSON"));
    let mut bytes = vec![0; btf.size_of(key).expect("a size") as usize];
    value::encode(btf, key, &value, &mut bytes).map_err(|error| match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    })?;
    Ok(value::decode(btf, key, &bytes).expect("it can be shown").into())
}

#[test]
#[rustfmt::skip]
fn values_that_fit() {
    let Some(btf) = compile_btf(VALUES) else {
        return;
    };
    for (given, shown) in [
        (r#"{"src": 4294967295}"#, r#"{"src": 4294967295}"#),
        (r#"{"src": "0xff", "count": "-3"}"#, r#"{"src": 255, "count": -3}"#),
        (r#"{"big": "18446744073709551615"}"#, r#"{"big": 18446744073709551615}"#),
        (r#"{"count": -9223372036854775808}"#, r#"{"count": -9223372036854775808}"#),
        (r#"{"huge": -5}"#, r#"{"huge": -5}"#),
        (r#"{"mac": "hex:0123456789aB"}"#, r#"{"mac": "hex:0123456789ab"}"#),
        (r#"{"mac": [1, 2]}"#, r#"{"mac": "hex:010200000000"}"#),
        (r#"{"name": "eth0"}"#, r#"{"name": "eth0"}"#),
        (r#"{"name": "12345678"}"#, r#"{"name": "12345678"}"#),
        (r#"{"act": "DROP"}"#, r#"{"act": "DROP"}"#),
        (r#"{"act": "NEGATIVE"}"#, r#"{"act": "NEGATIVE"}"#),
        (r#"{"act": -1}"#, r#"{"act": "NEGATIVE"}"#),
        (r#"{"act": 9}"#, r#"{"act": 9}"#),
        (r#"{"low": -4, "mid": 127, "on": true}"#, r#"{"low": -4, "mid": 127, "on": true}"#),
        (r#"{"parts": [1, 2, 3, 4]}"#, r#"{"parts": "hex:01020304", "word": 67305985}"#),
        (r#"{"in": [{"q": 1}, {"p": 2}]}"#, r#"{"in": [{"p": 0, "q": 1}, {"p": 2, "q": 0}]}"#),
        (r#"{"rows": ["ab", "abcd"]}"#, r#"{"rows": ["ab", "abcd"]}"#),
        (r#"{"share": 0.5}"#, r#"{"share": 0.5}"#),
        ("{}", r#"{"next": "0x0"}"#),
    ] {
        let got = fill(&btf, given).unwrap_or_else(|error| panic!("{given}: {error}"));
        let shown: serde_json::Value = serde_json::from_str(shown).expect("JSON");
        for (name, value) in shown.as_object().expect("a table") {
            assert_eq!(&got[name], value, "{given}: {name}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn values_that_do_not_fit() {
    let Some(btf) = compile_btf(VALUES) else {
        return;
    };
    for (given, error) in [
        (r#"{"src": 4294967296}"#, "`src`: 4294967296 is not in 0 to 4294967295, the range of `__u32`"),
        (r#"{"src": -1}"#, "`src`: -1 is not in 0 to 4294967295, the range of `__u32`"),
        (r#"{"src": 1.5}"#, "`src`: 1.5 is given, `__u32` wants an integer or an IPv4 address"),
        (r#"{"src": "ten"}"#, "`src`: \"ten\" is given, `__u32` wants an integer or an IPv4 address"),
        (r#"{"low": 4}"#, "`low`: 4 is not in -4 to 3, the range of `int:3`"),
        (r#"{"prot": 1}"#, "`struct key` has no field `prot`; did you mean `port`?"),
        (r#"{"zzzzzz": 1}"#, "`struct key` has no field `zzzzzz`"),
        (r#"{"act": "DORP"}"#, "`act`: `enum verdict` has no value `DORP`; did you mean `DROP`?"),
        (r#"{"act": 4294967296}"#, "`act`: 4294967296 is not in -2147483648 to 4294967295, the range of `enum verdict`"),
        (r#"{"name": "123456789"}"#, "`name`: 9 bytes of text are given, `char[8]` has 8"),
        (r#"{"mac": "hex:01"}"#, "`mac`: 1 bytes are given, `__u8[6]` has 6"),
        (r#"{"mac": "hex:0g"}"#, "`mac`: \"hex:0g\" is given, `__u8[6]` wants two hexadecimal digits for each byte after `hex:`"),
        (r#"{"mac": "aabbcc"}"#, "`mac`: \"aabbcc\" is given, `__u8[6]` wants a list, or text that starts with `hex:` or a MAC address"),
        (r#"{"parts": [1, 2, 3, 4, 5]}"#, "`parts`: 5 elements are given, `__u8[4]` has 4"),
        (r#"{"in": [{}, {"q": 256}]}"#, "`in[1].q`: 256 is not in 0 to 255, the range of `__u8`"),
        (r#"{"in": 3}"#, "`in`: 3 is given, `struct inner[2]` wants a list"),
        (r#"{"on": 2}"#, "`on`: 2 is given, `_Bool` wants `true` or `false`"),
        (r#"{"next": 1}"#, "`next`: a `void *` cannot be written"),
        ("[1]", "[1] is given, `struct key` wants a table of its fields"),
    ] {
        assert_eq!(fill(&btf, given).err().as_deref(), Some(error), "{given}");
    }
}

#[test]
fn only_named_fields_change() {
    let Some(btf) = compile_btf(VALUES) else {
        return;
    };
    let key = btf.find(Kind::Struct, "key").expect("the struct");
    let size = btf.size_of(key).expect("a size") as usize;
    let mut bytes = vec![0xff; size];
    let value = Value::Table([("mid".to_owned(), Value::Int(0))].into());
    value::encode(&btf, key, &value, &mut bytes).expect("it fits");
    // Bits 3 to 9 behind 24 bytes.
    assert_eq!(bytes[24..26], [0b0000_0111, 0b1111_1100]);
    assert!(bytes[..24].iter().chain(&bytes[26..]).all(|byte| *byte == 0xff));
    let short = value::encode(&btf, key, &value, &mut bytes[1..]).map_err(|error| error.to_string());
    assert_eq!(short, Err(format!("`struct key` has {size} bytes, there are {}", size - 1)));
}

#[test]
fn text_in_declared_order() {
    let Some(btf) = compile_btf("struct k { int z; char name[4]; struct { unsigned long u; } a; } v;") else {
        return;
    };
    let k = btf.find(Kind::Struct, "k").expect("the struct");
    let bytes = [&[1, 0, 0, 0][..], b"a\"b\0", &[0xff; 8]].concat();
    let text = value::format(&btf, k, &bytes).expect("it can be shown");
    assert_eq!(text, r#"{ z = 1, name = "a\"b", a = { u = 18446744073709551615 } }"#);
}

/// Small types can nest into more than any walk can visit: each union holds the next one twice.
#[test]
fn endless_types_end() {
    let union = |name: &str, ty: TypeId| {
        let member = |n: usize| Member { name: format!("{name}{n}").into(), ty, bit_offset: 0, bitfield_size: 0 };
        Type::Union { name: name.into(), size: 4, members: vec![member(0), member(1)] }
    };
    for name in ["", "m"] {
        let mut btf = Btf::default();
        for next in 2..60 {
            btf.push(union(name, next));
        }
        let last = btf.push(Type::Typedef { name: "t".into(), ty: 1 });
        let other = btf.push(Type::Typedef { name: "t".into(), ty: last + 2 });
        btf.push(Type::Typedef { name: "t".into(), ty: other });
        let array = btf.push(Type::Array { element: 1, index: 1, count: u32::MAX });
        let circle = btf.push(Type::Array { element: array + 1, index: 1, count: 1 });
        check_walks(&btf);
        assert_eq!((btf.resolve(other), btf.size_of(other), btf.size_of(circle)), (0, None, None));
    }
}

fn check_walks(btf: &Btf) {
    for (id, _) in btf.types() {
        drop((btf.type_name(id), btf.size_of(id), btf.fields(id), btf.pointee(id)));
        drop(difference((btf, id), (btf, id)));
        drop(difference((btf, id), (btf, id / 2)));
        drop(value::decode(btf, id, &[0; 64]));
        drop(value::format(btf, id, &[0; 64]));
        drop(value::encode(btf, id, &Value::List(vec![Value::Int(1)]), &mut [0; 64]));
    }
}

fn any_name() -> impl Strategy<Value = Name> + Clone {
    "[a-z_]{0,3}".prop_map(Name::from)
}

fn any_type(ids: std::ops::Range<TypeId>) -> impl Strategy<Value = Type> {
    let encoding =
        prop_oneof![Just(Encoding::Unsigned), Just(Encoding::Signed), Just(Encoding::Char), Just(Encoding::Bool)];
    let linkage = || prop_oneof![Just(Linkage::Static), Just(Linkage::Global), Just(Linkage::Extern)];
    let id = move || ids.clone();
    let member = (any_name(), id(), 0..1u32 << 24, prop_oneof![Just(0u8), 1..33u8])
        .prop_map(|(name, ty, bit_offset, bitfield_size)| Member { name, ty, bit_offset, bitfield_size });
    let members = || proptest::collection::vec(member.clone(), 0..4);
    let values = |low: i128, high: i128| {
        let value = (any_name(), low..=high).prop_map(|(name, value)| EnumValue { name, value });
        proptest::collection::vec(value, 0..3)
    };
    let params = proptest::collection::vec((any_name(), id()).prop_map(|(name, ty)| Param { name, ty }), 0..3);
    let vars = proptest::collection::vec(
        (any::<u32>(), any::<u32>()).prop_map(|(offset, size)| SectionVar { ty: 2, offset, size }),
        0..3,
    );
    let (i32s, u32s) = ((i32::MIN.into(), i32::MAX.into()), (0, u32::MAX.into()));
    let (i64s, u64s) = ((i64::MIN.into(), i64::MAX.into()), (0, u64::MAX.into()));
    let size = || prop_oneof![0..20u32, any::<u32>()];
    prop_oneof![
        (any_name(), 1..=16u32, encoding).prop_map(|(name, size, encoding)| {
            Type::Int { name, size, bits: (size * 8) as u8, offset: 0, encoding }
        }),
        id().prop_map(|ty| Type::Ptr { ty }),
        (id(), id(), size()).prop_map(|(element, index, count)| Type::Array { element, index, count }),
        (any_name(), size(), members()).prop_map(|(name, size, members)| Type::Struct { name, size, members }),
        (any_name(), size(), members()).prop_map(|(name, size, members)| Type::Union { name, size, members }),
        (any_name(), size(), values(i32s.0, i32s.1)).prop_map(|(name, size, values)| Type::Enum {
            name,
            size,
            signed: true,
            values
        }),
        (any_name(), size(), values(u32s.0, u32s.1)).prop_map(|(name, size, values)| Type::Enum {
            name,
            size,
            signed: false,
            values
        }),
        (any_name(), size(), values(i64s.0, i64s.1))
            .prop_map(|(name, size, values)| { Type::Enum64 { name, size, signed: true, values } }),
        (any_name(), size(), values(u64s.0, u64s.1))
            .prop_map(|(name, size, values)| { Type::Enum64 { name, size, signed: false, values } }),
        (any_name(), any::<bool>()).prop_map(|(name, is_union)| Type::Fwd { name, is_union }),
        (any_name(), id()).prop_map(|(name, ty)| Type::Typedef { name, ty }),
        id().prop_map(|ty| Type::Volatile { ty }),
        id().prop_map(|ty| Type::Const { ty }),
        id().prop_map(|ty| Type::Restrict { ty }),
        (any_name(), linkage()).prop_map(|(name, linkage)| Type::Func { name, proto: 1, linkage }),
        (id(), params).prop_map(|(ret, params)| Type::FuncProto { ret, params }),
        (any_name(), id(), linkage()).prop_map(|(name, ty, linkage)| Type::Var { name, ty, linkage }),
        (any_name(), size(), vars).prop_map(|(name, size, vars)| Type::Datasec { name, size, vars }),
        (any_name(), size()).prop_map(|(name, size)| Type::Float { name, size }),
        (any_name(), id(), proptest::option::of(0..9u32), any::<bool>())
            .prop_map(|(name, ty, component, attribute)| Type::DeclTag { name, ty, component, attribute }),
        (any_name(), id(), any::<bool>()).prop_map(|(name, ty, attribute)| Type::TypeTag { name, ty, attribute }),
    ]
}

/// Type 1 is a prototype and type 2 a variable, since functions and sections need one.
fn any_btf() -> impl Strategy<Value = Btf> {
    (0..40usize).prop_flat_map(|count| proptest::collection::vec(any_type(0..count as u32 + 3), count)).prop_map(
        |types| {
            let mut btf = Btf::default();
            btf.push(Type::FuncProto { ret: 0, params: vec![] });
            btf.push(Type::Var { name: "v".into(), ty: 0, linkage: Linkage::Global });
            for ty in types {
                btf.push(ty);
            }
            btf
        },
    )
}

/// A type without padding, added to `btf`.
#[derive(Debug, Clone)]
enum Tree {
    Int(u32, Encoding),
    /// A number in network order, of 2, 4 or 8 bytes.
    Ordered(u32),
    /// `struct in_addr` or `struct in6_addr`, by its size.
    Address(u32),
    Enum(u32),
    /// A struct of 32 bits: fields of these many, as far as they fit, and one of the rest; all of an integer, or of an enum.
    Bits(Vec<u32>, BitType),
    Array(Box<Tree>, u32),
    Struct(Vec<Tree>),
    /// A union of trees, and of bytes as long as the longest.
    Union(Vec<Tree>),
}

/// What bit-fields are of.
#[derive(Debug, Clone, Copy)]
enum BitType {
    Int(Encoding),
    Enum,
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let encoding = prop_oneof![Just(Encoding::Unsigned), Just(Encoding::Signed)];
    let int = (prop_oneof![Just(1u32), Just(2), Just(4), Just(8), Just(16)], encoding);
    let leaf = prop_oneof![
        4 => int.prop_map(|(size, encoding)| Tree::Int(size, encoding)),
        1 => prop_oneof![Just(2u32), Just(4), Just(8)].prop_map(Tree::Ordered),
        1 => prop_oneof![Just(4u32), Just(16)].prop_map(Tree::Address),
        1 => prop_oneof![Just(1u32), Just(4)].prop_map(Tree::Enum),
        1 => (proptest::collection::vec(1..18u32, 1..6), any_bit_type()).prop_map(|(bits, of)| Tree::Bits(bits, of)),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            (inner.clone(), 0..5u32).prop_map(|(element, count)| Tree::Array(Box::new(element), count)),
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Tree::Struct),
            proptest::collection::vec(inner, 0..4).prop_map(Tree::Union),
        ]
    })
}

fn any_bit_type() -> impl Strategy<Value = BitType> {
    prop_oneof![Just(BitType::Int(Encoding::Unsigned)), Just(BitType::Int(Encoding::Signed)), Just(BitType::Enum)]
}

fn push_tree(btf: &mut Btf, tree: &Tree) -> TypeId {
    match tree {
        Tree::Int(size, encoding) => {
            let name = if *size == 1 { "char" } else { "int" }.into();
            btf.push(Type::Int { name, size: *size, bits: (size * 8) as u8, offset: 0, encoding: *encoding })
        }
        Tree::Ordered(size) => {
            let ty = push_tree(btf, &Tree::Int(*size, Encoding::Unsigned));
            btf.push(Type::Typedef { name: format!("__be{}", size * 8).into(), ty })
        }
        Tree::Address(size) => {
            let byte =
                btf.push(Type::Int { name: "u8".into(), size: 1, bits: 8, offset: 0, encoding: Encoding::Unsigned });
            let ty = btf.push(Type::Array { element: byte, index: 0, count: *size });
            let members = vec![Member { name: "bytes".into(), ty, bit_offset: 0, bitfield_size: 0 }];
            let name = if *size == 4 { "in_addr" } else { "in6_addr" }.into();
            btf.push(Type::Struct { name, size: *size, members })
        }
        Tree::Enum(size) => {
            let values =
                vec![EnumValue { name: "ONE".into(), value: 1 }, EnumValue { name: "MINUS".into(), value: -1 }];
            btf.push(Type::Enum { name: "e".into(), size: *size, signed: true, values })
        }
        Tree::Array(element, count) => {
            let element = push_tree(btf, element);
            btf.push(Type::Array { element, index: 0, count: *count })
        }
        Tree::Struct(trees) => {
            let mut size = 0;
            let mut members = Vec::new();
            for (n, tree) in trees.iter().enumerate() {
                let ty = push_tree(btf, tree);
                members.push(Member { name: format!("m{n}").into(), ty, bit_offset: size * 8, bitfield_size: 0 });
                size += btf.size_of(ty).expect("all have one");
            }
            btf.push(Type::Struct { name: "s".into(), size, members })
        }
        Tree::Bits(widths, of) => {
            let ty = match of {
                BitType::Int(encoding) => push_tree(btf, &Tree::Int(4, *encoding)),
                BitType::Enum => push_tree(btf, &Tree::Enum(4)),
            };
            let mut members = Vec::new();
            let mut start = 0;
            for width in widths.iter().copied().chain([32]) {
                let bits = width.min(32 - start);
                if bits > 0 {
                    let name = format!("b{start}").into();
                    members.push(Member { name, ty, bit_offset: start, bitfield_size: bits as u8 });
                    start += bits;
                }
            }
            btf.push(Type::Struct { name: "bits".into(), size: 4, members })
        }
        Tree::Union(trees) => {
            let mut types: Vec<_> = trees.iter().map(|tree| push_tree(btf, tree)).collect();
            let size = types.iter().map(|ty| btf.size_of(*ty).expect("all have one")).max().unwrap_or(0);
            let byte = push_tree(btf, &Tree::Int(1, Encoding::Unsigned));
            types.push(btf.push(Type::Array { element: byte, index: 0, count: size }));
            let member = |(n, ty)| Member { name: format!("u{n}").into(), ty, bit_offset: 0, bitfield_size: 0 };
            let members = types.into_iter().enumerate().map(member).collect();
            btf.push(Type::Union { name: "u".into(), size, members })
        }
    }
}

proptest! {
    // Failures are reported, and kept by becoming a case above.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_models_survive_bytes(btf in any_btf()) {
        let bytes = btf.encode();
        let again = Btf::parse(&bytes);
        prop_assert_eq!(again.as_ref(), Ok(&btf));
        prop_assert_eq!(again.map(|btf| btf.encode()), Ok(bytes));
        check_walks(&btf);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Btf::parse(&[&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0][..], &bytes].concat());
        let _ = Btf::parse(&bytes);
        let _ = BtfExt::parse(&bytes, &Btf::default());
        let _ = BtfExt::parse(&[&[0x9f, 0xeb, 1, 0, 32, 0, 0, 0][..], &bytes].concat(), &Btf::default());
    }

    #[test]
    fn changed_bytes_never_panic(btf in any_btf(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = btf.encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(btf) = Btf::parse(&bytes) {
            check_walks(&btf);
            prop_assert_eq!(Btf::parse(&btf.encode()), Ok(btf));
        }
    }

    #[test]
    fn values_survive_bytes(tree in any_tree(), seed in any::<u64>()) {
        let mut btf = Btf::default();
        let id = push_tree(&mut btf, &tree);
        let size = btf.size_of(id).expect("it has one") as u64;
        let bytes: Vec<u8> = (0..size).map(|n| (seed.wrapping_mul(2 * n + 1) >> 29) as u8).collect();
        let value = value::decode(&btf, id, &bytes).expect("it can be shown");
        let mut again = vec![0; bytes.len()];
        value::encode(&btf, id, &value, &mut again).expect("it fits");
        prop_assert_eq!(again, bytes, "{}", value);
    }

    /// Prefixes are the keys of LPM tries, and any other bytes are shown by their fields.
    #[test]
    fn prefixes_survive_bytes(size in prop_oneof![Just(8u32), Just(20), Just(12)], bytes in proptest::collection::vec(any::<u8>(), 20), length in 0..130u32) {
        let shape = value::format::prefix_of_size(size);
        let mut bytes = bytes[..size as usize].to_vec();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let value = shape.decode(&bytes).expect("it can be shown");
        let mut again = vec![0; bytes.len()];
        match shape.encode(&value, &mut again) {
            Ok(()) => prop_assert_eq!(again, bytes, "{}", value),
            Err(error) => prop_assert!(matches!(value, Value::Table(_)), "{value} is shown as an address: {error}"),
        }
    }
}
