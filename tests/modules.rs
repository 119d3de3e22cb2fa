//! What kernel modules add to the types of their kernel: functions, variables, types and targets that vmlinux lacks.
//!
//! Pure, over the fake kernel, with BTF that is made here; `tests/vm.rs` does the same with modules of real kernels.

mod common;

use bpfapply::btf::{Btf, Encoding, Kind, Linkage, Member, Param, Type, TypeId};
use bpfapply::desired::{self, Desired, DesiredProgram, MapSource};
use bpfapply::diag::Problems;
use bpfapply::elf::{Modules, Target};
use bpfapply::insn::{CALL, Code, PSEUDO_KFUNC_CALL};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::{facts, observe};
use bpfapply::observed::Wanted;
use bpfapply::plan::{self, Mode, Plan};
use bpfapply::spec::flags;
use bpfapply::{load, manifest};
use common::stages::{good, path, rendered, repository, run};
use std::collections::BTreeMap;

/// The types of a kernel with `int`, `unsigned long`, and the contexts of programs by name.
#[derive(Clone)]
struct Kernel {
    btf: Btf,
    int: TypeId,
    long: TypeId,
}

impl Kernel {
    fn new() -> Self {
        let mut btf = Btf::default();
        let number = |name: &str, size: u32, encoding| {
            let bits = u8::try_from(size * 8).expect("a small number");
            Type::Int { name: name.into(), size, bits, offset: 0, encoding }
        };
        let int = btf.push(number("int", 4, Encoding::Signed));
        let long = btf.push(number("unsigned long", 8, Encoding::Unsigned));
        Self { btf, int, long }
    }

    /// Adds a struct with one member of eight bytes at that byte, under the name.
    fn with_struct(mut self, name: &str, member: &str, byte: u32) -> Self {
        let ty = if member == "status" { self.long } else { self.int };
        let member = Member { name: member.into(), ty, bit_offset: byte * 8, bitfield_size: 0 };
        self.btf.push(Type::Struct { name: name.into(), size: byte + 8, members: vec![member] });
        self
    }

    fn pointer_to(&mut self, name: &str) -> TypeId {
        let empty = Type::Struct { name: name.into(), size: 0, members: Vec::new() };
        let ty = self.btf.find(Kind::Struct, name).unwrap_or_else(|| self.btf.push(empty));
        self.btf.push(Type::Ptr { ty })
    }

    fn with_function(mut self, name: &str, ret: TypeId, params: &[TypeId]) -> Self {
        let param = |ty: &TypeId| Param { name: "".into(), ty: *ty };
        let proto = self.btf.push(Type::FuncProto { ret, params: params.iter().map(param).collect() });
        self.btf.push(Type::Func { name: name.into(), proto, linkage: Linkage::Static });
        self
    }

    /// Adds what `modules.o` calls.
    fn with_lookups(mut self) -> Self {
        let [conn, xdp, tuple, skb, opts] =
            ["nf_conn", "xdp_md", "bpf_sock_tuple", "__sk_buff", "bpf_ct_opts"].map(|name| self.pointer_to(name));
        let int = self.int;
        self.with_function("bpf_xdp_ct_lookup", conn, &[xdp, tuple, int, opts, int])
            .with_function("bpf_skb_ct_lookup", conn, &[skb, tuple, int, opts, int])
            .with_function("bpf_ct_release", 0, &[conn])
    }
}

/// Adds a struct of functions as TCP has it, and the value that holds one.
fn with_operations(mut kernel: Kernel) -> Kernel {
    let btf = &mut kernel.btf;
    let int = |name: &str| Type::Int { name: name.into(), size: 1, bits: 8, offset: 0, encoding: Encoding::Signed };
    let char = btf.push(int("char"));
    let text = btf.push(Type::Array { element: char, index: kernel.int, count: 16 });
    let proto = btf.push(Type::FuncProto { ret: kernel.int, params: Vec::new() });
    let function = btf.push(Type::Ptr { ty: proto });
    let member = |name: &str, ty, byte: u32| Member { name: name.into(), ty, bit_offset: byte * 8, bitfield_size: 0 };
    let functions = ["ssthresh", "cong_avoid", "undo_cwnd"].into_iter().zip([0, 8, 16]);
    let members = functions.map(|(name, byte)| member(name, function, byte)).chain([member("name", text, 24)]);
    let members = members.collect();
    let name = "tcp_congestion_ops".into();
    let ops = btf.push(Type::Struct { name, size: 40, members });
    let name = "bpf_struct_ops_tcp_congestion_ops".into();
    btf.push(Type::Struct { name, size: 104, members: vec![member("data", ops, 64)] });
    kernel
}

/// Returns what of `whole` a module has, whose kernel has `base`: `whole` begins with the types of `base`.
fn split(base: &Btf, whole: &Btf) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let parts = |bytes: &[u8]| {
        let (types, strings) = (word(bytes, 12), word(bytes, 20));
        (bytes[24..24 + types].to_vec(), bytes[24 + types..24 + types + strings].to_vec())
    };
    let (encoded, first) = (whole.encode(), parts(&base.encode()));
    let (types, strings) = parts(&encoded);
    let types = types.strip_prefix(&first.0[..]).expect("the kernel's types come first");
    let strings = strings.strip_prefix(&first.1[..]).expect("so do their names");
    let mut bytes = encoded[..8].to_vec();
    for number in [0, types.len(), types.len(), strings.len()] {
        bytes.extend(u32::try_from(number).expect("a small number").to_le_bytes());
    }
    [&bytes[..], types, strings].concat()
}

/// A kernel with these types, and modules by their names.
fn fake(kernel: &Kernel, modules: &[(&str, Kernel)]) -> Fake {
    let fake = Fake::new();
    fake.set_types(kernel.btf.encode());
    for (name, module) in modules {
        fake.add_module(name, split(&kernel.btf, &module.btf));
    }
    fake
}

/// Makes a manifest with programs of an object.
fn written(object: &str, functions: &[&str]) -> String {
    let mut text = format!("version = 1\nname = \"modules\"\n[object.o]\npath = \"tests/objects/{object}.o\"\n");
    for function in functions {
        text += &format!("[program.{function}]\nfrom = \"o:{function}\"\n");
    }
    text
}

/// Reads a manifest as an apply does, with what the kernel says.
fn resolved(text: &str, fake: &Fake) -> Result<(Target, Desired), Problems> {
    let manifest = manifest::parse(text, &BTreeMap::new())?;
    let files = load::files(&manifest, repository())?;
    let target = facts::target(fake, &desired::needs(&manifest, &files))?;
    let desired = desired::resolve(&manifest, files, &path("/sys/fs/bpf"), &observe::host(fake)?, &target)?;
    Ok((target, desired))
}

fn planned(text: &str, fake: &Fake) -> Plan {
    let (_, desired) = good(resolved(text, fake), text);
    let observed = good(observe::observe(fake, &Wanted::of(&desired)), text);
    good(plan::plan(&desired, &observed, Mode::Live), text)
}

/// Resolves one program, and returns it with what was found out of the kernel.
#[track_caller]
fn program(fake: &Fake, object: &str, function: &str) -> (Target, DesiredProgram) {
    let text = written(object, &[function]);
    let (target, desired) = good(resolved(&text, fake), &text);
    let program = desired.programs.into_values().next().expect("the manifest names one");
    (target, DesiredProgram::clone(&program))
}

/// Resolves one program, which must not be possible, and finds the words in what is wrong.
#[track_caller]
fn refused(fake: &Fake, object: &str, function: &str, words: &[&str]) {
    let text = written(object, &[function]);
    let said = rendered(&resolved(&text, fake).map(drop).expect_err("it is refused"), &text);
    let said = said.split(|c: char| c.is_whitespace() || c == '│').filter(|part| !part.is_empty());
    let said = said.collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

/// Returns the number of the module and of the type for each call of a function of the kernel.
fn calls(code: &Code) -> Vec<(i16, i32)> {
    let is_call = |insn: &&bpfapply::insn::Insn| insn.code == CALL && insn.regs.src() == PSEUDO_KFUNC_CALL;
    code.insns.iter().filter(is_call).map(|insn| (insn.off, insn.imm)).collect()
}

/// Returns the names of the modules whose types were read.
fn read(target: &Target) -> Option<Vec<&str>> {
    match &target.modules {
        Modules::Unread => None,
        Modules::Refused | Modules::Known(_) => {
            Some(target.modules.known().iter().map(|module| &*module.id.name).collect())
        }
    }
}

const CONN: &str = "nf_conn";

#[test]
fn functions_of_a_module_are_called() {
    let kernel = Kernel::new();
    let module = kernel.clone().with_struct(CONN, "status", 128).with_lookups();
    let id = |name: &str| module.btf.find(Kind::Func, name).expect("it was just added").cast_signed();
    let (lookup, release) = (id("bpf_xdp_ct_lookup"), id("bpf_ct_release"));
    let fake = fake(&kernel, &[("other", kernel.clone()), ("nf_conntrack", module)]);
    let (target, program) = program(&fake, "modules", "look");
    assert_eq!(read(&target), Some(vec!["other", "nf_conntrack"]));
    assert_eq!(calls(&program.code), [(1, lookup), (1, release)]);
    let used: Vec<_> = program.code.modules.iter().map(|used| (used.number, &*used.id.name)).collect();
    assert_eq!(used, [(1, "nf_conntrack")]);
    let mut insns = program.code.patched(|_| 0);
    assert_eq!(program.code.name_modules(&mut insns, |_| 7), [0, 7], "the first place stays free");
}

#[test]
fn what_the_kernel_has_is_not_sought_in_modules() {
    let kernel = Kernel::new().with_struct(CONN, "status", 128).with_lookups();
    let module = kernel.clone().with_struct(CONN, "status", 64).with_lookups();
    let fake = fake(&kernel, &[("nf_conntrack", module)]);
    let (target, program) = program(&fake, "modules", "look_tc");
    assert_eq!(read(&target), None);
    assert!(calls(&program.code).iter().all(|(number, _)| *number == 0));
    assert_eq!(program.code.modules, []);
}

#[test]
fn functions_that_nobody_has() {
    let kernel = Kernel::new();
    let missing = "this kernel has no function `bpf_skb_ct_lookup`, and it is not `__weak`";
    let none = format!("{missing}, and no module with types is loaded");
    refused(&fake(&kernel, &[]), "modules", "look_tc", &[&none]);
    let other = format!("{missing}, nor has a module that is loaded");
    refused(&fake(&kernel, &[("other", kernel.clone())]), "modules", "look_tc", &[&other]);
    let int = kernel.int;
    let wrong = kernel.clone().with_function("bpf_skb_ct_lookup", int, &[]).with_function("bpf_ct_release", int, &[]);
    let wrong = fake(&kernel, &[("nf_conntrack", wrong)]);
    refused(&wrong, "modules", "look_tc", &["another type for the function `bpf_skb_ct_lookup`"]);
}

/// Returns how a program is fitted to types of modules: the constant that holds the size of a struct and the byte of its
/// member.
fn fitted(program: &DesiredProgram) -> Vec<i32> {
    let load = |insn: &&bpfapply::insn::Insn| matches!(insn.code, 0xb7 | 0x07) && insn.imm != 0;
    program.code.insns.iter().filter(load).map(|insn| insn.imm).collect()
}

#[test]
fn types_of_modules_are_candidates() {
    let (kernel, net) = (Kernel::new(), "nf_conntrack_net");
    let with = |kernel: &Kernel, byte| kernel.clone().with_struct(net, "users4", byte);
    let alone = fake(&kernel, &[("other", kernel.clone()), ("nf_conntrack", with(&kernel, 40))]);
    let (target, found) = program(&alone, "modules", "sizes");
    assert_eq!((read(&target).map(|names| names.len()), fitted(&found)), (Some(2), vec![48, 40]));

    let same = fake(&kernel, &[("one", with(&kernel, 40)), ("two", with(&kernel, 40))]);
    assert_eq!(fitted(&program(&same, "modules", "sizes").1), [48, 40]);

    let differ = fake(&kernel, &[("one", with(&kernel, 40)), ("two", with(&kernel, 24))]);
    refused(&differ, "modules", "sizes", &["several such types, and they differ here"]);

    let of_kernel = with(&kernel, 16);
    let both = fake(&of_kernel, &[("one", with(&of_kernel, 40))]);
    let (target, found) = program(&both, "modules", "sizes");
    assert_eq!((read(&target), fitted(&found)), (None, vec![24, 16]), "a module hides nothing of the kernel");
}

#[test]
fn programs_are_for_functions_of_modules() {
    let kernel = Kernel::new();
    let module = kernel.clone().with_function("nf_conntrack_in", 0, &[]);
    let target = module.btf.find(Kind::Func, "nf_conntrack_in").expect("it was just added");
    let with = fake(&kernel, &[("other", kernel.clone()), ("nf_conntrack", module)]);
    for (object, function) in [("modules", "entered"), ("modules_named", "left")] {
        let (_, program) = program(&with, object, function);
        assert_eq!(program.attach_btf_id, target, "{function}");
        assert_eq!(program.attach_module.map(|module| module.name).as_deref(), Some("nf_conntrack"), "{function}");
    }
    refused(&with, "modules_named", "of_nobody", &["the module `no_such_module`", "is not loaded or has no types"]);
    refused(&with, "modules_named", "of_kernel", &["this kernel itself has no function `do_nanosleep`"]);
    let without = fake(&kernel, &[("nf_conntrack", kernel.clone())]);
    refused(&without, "modules_named", "left", &["the module `nf_conntrack` has no function `nf_conntrack_in`"]);
    let nowhere = ["this kernel has no function `nf_conntrack_in`, nor has a module that is loaded"];
    refused(&without, "modules", "entered", &nowhere);
}

#[test]
fn structs_of_functions_are_of_modules() {
    let kernel = Kernel::new();
    let module = with_operations(kernel.clone());
    let id = |name: &str| module.btf.find(Kind::Struct, name).expect("it was just added");
    let (ops, value) = (id("tcp_congestion_ops"), id("bpf_struct_ops_tcp_congestion_ops"));
    let with = fake(&kernel, &[("tcp_new", module)]);
    let text = format!("{}[map.newer]\nfrom = \"o:newer\"\n", written("struct_ops", &["threshold"]));
    let (_, desired) = good(resolved(&text, &with), &text);
    let program = desired.programs.values().find(|program| program.function == "threshold").expect("it is named");
    let module = program.attach_module.as_ref().map(|module| &*module.name);
    assert_eq!((program.attach_btf_id, module), (ops, Some("tcp_new")));
    let newer = desired.maps.values().find(|map| map.name.as_str() == "newer").expect("it is named");
    let MapSource::Defined(definition) = &newer.source else { panic!("it is made") };
    assert_eq!(definition.spec.flags, flags::LINK | flags::VTYPE_BTF_OBJ_FD);
    let operations = definition.operations.as_ref().expect("it holds functions");
    assert_eq!((operations.value_type, operations.module.as_ref().map(|id| &*id.name)), (value, Some("tcp_new")));
    refused(&fake(&kernel, &[]), "struct_ops", "threshold", &["takes no functions for `struct tcp_congestion_ops`"]);
}

/// Types from a file stand alone, and messages name the file.
#[test]
fn a_file_of_types_has_no_modules() {
    let kernel = Kernel::new();
    let module = kernel.clone().with_struct("nf_conntrack_net", "users4", 40);
    let fake = fake(&kernel, &[("nf_conntrack", module)]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("old.btf");
    std::fs::write(&file, kernel.btf.encode()).expect("a file in a folder of ours");
    let old = format!(".o\"\nbtf = {file:?}\n");
    let text = written("modules", &["sizes"]).replace(".o\"\n", &old);
    let (target, desired) = good(resolved(&text, &fake), &text);
    assert_eq!(read(&target), None);
    let program = desired.programs.values().next().expect("it is named");
    let missing: Vec<_> = program.code.unresolved.iter().map(|unresolved| &*unresolved.what).collect();
    let says = format!("`{}` does not know the offset of `struct nf_conntrack_net.users4`", file.display());
    assert_eq!(missing, [says]);
}

/// Ids of BTF are others after each load of a module: what a program is does not depend on them.
#[test]
fn a_module_is_known_by_its_name() {
    let kernel = Kernel::new();
    let module = |kernel: &Kernel| {
        let module = kernel.clone().with_struct(CONN, "status", 128).with_lookups();
        module.with_function("nf_conntrack_in", 0, &[])
    };
    let text = written("modules", &["look", "entered"]);
    let fake = fake(&kernel, &[("nf_conntrack", module(&kernel))]);
    let plan = planned(&text, &fake);
    let (outcome, problem) = run(&plan, &fake);
    assert!(problem.is_none(), "{outcome:?}");
    fake.remove_module("nf_conntrack");
    fake.add_module("nf_conntrack", split(&kernel.btf, &module(&kernel).btf));
    assert!(planned(&text, &fake).is_empty(), "nothing is left to do");
    fake.remove_module("nf_conntrack");
    fake.add_module("another", split(&kernel.btf, &module(&kernel).btf));
    assert!(!planned(&text, &fake).is_empty(), "functions of another module are others");
}

/// A module that goes away between plan and apply fails the apply, of which nothing stays.
#[test]
fn a_module_that_goes_away() {
    let kernel = Kernel::new();
    let module = kernel.clone().with_struct(CONN, "status", 128).with_lookups();
    let text = written("modules", &["look"]);
    let fake = fake(&kernel, &[("nf_conntrack", module)]);
    let plan = planned(&text, &fake);
    fake.remove_module("nf_conntrack");
    let before = fake.dump();
    let (_, problem) = run(&plan, &fake);
    let problems: Problems = problem.expect("it fails").into();
    let said = rendered(&problems, &text);
    assert!(said.contains("the module `nf_conntrack` was unloaded"), "{said}");
    assert_eq!(fake.dump(), before);
}

/// Whatever call fails while a program with a module is made, nothing of it stays.
#[test]
fn a_failure_leaves_nothing() {
    let kernel = Kernel::new();
    let module = kernel.clone().with_struct(CONN, "status", 128).with_lookups();
    let text = written("modules", &["look"]);
    let whole = fake(&kernel, &[("nf_conntrack", module.clone())]);
    run(&planned(&text, &whole), &whole);
    for number in 1..=whole.calls().len() {
        let fake = fake(&kernel, &[("nf_conntrack", module.clone())]);
        let plan = planned(&text, &fake);
        let before = fake.dump();
        fake.fail_nth(number, libc::EPERM);
        // BTF that is refused is tried again without what the kernel may not know.
        if run(&plan, &fake).1.is_some() {
            assert_eq!(fake.dump(), before, "call {number}");
        }
    }
}
