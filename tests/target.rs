//! What programs are for: targets and flags of the manifest, extensions of other programs, a BTF file for a kernel
//! without types of its own, and that a program of every type that is not attached yet is loaded all the same.

mod common;

use bpfapply::btf::{Btf, Encoding, Member, Type};
use bpfapply::elf::Needs;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::{facts, observe};
use bpfapply::plan::{Action, Plan};
use bpfapply::{desired, load, manifest};
use common::stages::{self, good, make, plan, rendered, repository, run};
use common::tool::bpfapply;
use common::{in_namespace, skip};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Makes a manifest with the object `o`; paths are relative to the repository.
fn written(object: &str, rest: &str) -> String {
    format!("version = 1\nname = \"target\"\n[object.o]\npath = \"tests/objects/{object}.o\"\n{rest}")
}

/// Writes the manifest to a folder that has the repository's `tests`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(repository().join("tests"), folder.path().join("tests")).expect("a link");
    fs::write(folder.path().join("plan.toml"), text).expect("a file in a folder of ours");
    folder
}

fn words(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c == '|').filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

const FILTER: &str = "[program.filter]\nfrom = \"o:filter\"\n";
/// Sorted by name, the extension would come first.
const EXTENSION: &str = "[program.a]\nfrom = \"o:strict\"\ntarget = \"program.filter:classify\"\n";

/// Returns the programs that a plan loads, in its order, with the reasons.
fn loads(plan: &Plan) -> Vec<String> {
    let loaded = plan.steps.iter().filter_map(|step| match &step.action {
        Action::LoadProgram { program, .. } => Some(format!("{}: {}", program.name, step.because)),
        _ => None,
    });
    loaded.collect()
}

#[test]
fn an_extension_is_loaded_behind_its_target() {
    let (fake, text) = (Fake::new(), written("extension", &format!("{FILTER}{EXTENSION}")));
    let first = good(plan(&text, &fake), &text);
    assert_eq!(loads(&first), ["filter: it is not on the host", "a: it is not on the host"]);
    make(&text, &fake);
    assert_eq!(loads(&good(plan(&text, &fake), &text)), [""; 0], "nothing is left to do");
}

/// A target that is the same keeps its extension, also beside a new one; a new target does not.
#[test]
fn an_extension_goes_with_its_target() {
    let fake = Fake::new();
    let before = written("extension", FILTER);
    make(&before, &fake);
    let both = written("extension", &format!("{FILTER}{EXTENSION}"));
    assert_eq!(loads(&good(plan(&both, &fake), &both)), ["a: it is not on the host"]);
    make(&both, &fake);
    let flagged = both.replace("o:filter\"\n", "o:filter\"\nflags = [\"xdp_frags\"]\n");
    assert_eq!(loads(&good(plan(&flagged, &fake), &flagged)), ["filter: its code changed", "a: program.filter is new"]);
    make(&flagged, &fake);
    let other = flagged.replace("filter:classify", "filter:filter");
    assert_eq!(loads(&good(plan(&other, &fake), &other)), ["a: its code changed"]);
    make(&other, &fake);
    assert_eq!(loads(&good(plan(&other, &fake), &other)), [""; 0]);
}

/// Whatever call fails while an extension is made, nothing of it stays.
#[test]
fn a_failure_leaves_nothing() {
    let text = written("extension", &format!("{FILTER}{EXTENSION}"));
    let whole = Fake::new();
    make(&text, &whole);
    for number in 1..=whole.calls().len() {
        let fake = Fake::new();
        let plan = good(plan(&text, &fake), &text);
        let before = fake.dump();
        fake.fail_nth(number, libc::EPERM);
        let (_, problem) = run(&plan, &fake);
        assert!(problem.is_some(), "call {number} fails");
        assert_eq!(fake.dump(), before, "call {number}");
    }
}

/// Resolves programs of `extension.o`, and finds the words in what is wrong; without words nothing is.
#[track_caller]
fn check(programs: &str, says: &[&str]) {
    let text = written("extension", programs);
    let said = match stages::desired(&text, repository(), &Fake::new()) {
        Ok(_) => String::new(),
        Err(problems) => words(&rendered(&problems, &text)),
    };
    assert_eq!(said.is_empty(), says.is_empty(), "{said}");
    for word in says {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn what_a_target_can_be() {
    let with = |program: &str| format!("{FILTER}{program}");
    check(&with(EXTENSION), &[]);
    check(&with("[program.a]\nfrom = \"o:strict\"\ntarget = \"program.filter\"\n"), &[]);
    check(&with("[program.a]\nfrom = \"o:unsaid\"\ntarget = \"program.filter:filter\"\n"), &[]);
    check(
        &with("[program.a]\nfrom = \"o:unsaid\"\ntarget = \"program.filter\"\n"),
        &["nothing says which function of program.filter it replaces"],
    );
    check(&with("[program.a]\nfrom = \"o:strict\"\n"), &["nothing says which program's function it replaces"]);
    check(
        &with("[program.a]\nfrom = \"o:strict\"\ntarget = \"classify\"\n"),
        &["`target = \"program.NAME:FUNCTION\"` does"],
    );
    check(
        &with("[program.a]\nfrom = \"o:strict\"\ntarget = \"program.filter:clasify\"\n"),
        &["program.filter has no function `clasify`, only `filter`, `classify`"],
    );
    check(
        &with("[program.a]\nfrom = \"o:strict\"\ntarget = \"program.fliter:classify\"\n"),
        &["there is no program `fliter`", "did you mean `filter`?"],
    );
    check(
        &with("[program.a]\nfrom = \"o:strict\"\ntarget = \"program.:classify\"\n"),
        &["is not program.NAME:FUNCTION"],
    );
    check("[program.a]\nfrom = \"o:filter\"\ntarget = \"tcp_connect\"\n", &["`xdp` have no target"]);
    check(
        &with("[program.a]\nfrom = \"o:probe\"\ntarget = \"program.filter:classify\"\n"),
        &["only `ext` programs replace a function of another program, and it is `kprobe`"],
    );
    check("[program.a]\nfrom = \"o:probe\"\ntarget = \"tcp_connect\"\n", &[]);
}

#[test]
fn extensions_in_a_circle_are_shown() {
    let text = written(
        "extension",
        "[program.a]\nfrom = \"o:strict\"\ntarget = \"program.b:unsaid\"\n\
         [program.b]\nfrom = \"o:unsaid\"\ntarget = \"program.a:strict\"\n",
    );
    let said = rendered(&plan(&text, &Fake::new()).expect_err("a circle"), &text);
    assert!(words(&said).contains("program.a -> program.b -> program.a"), "{said}");
}

/// Applies on the running kernel, and once more, which must leave nothing to do. A kernel that refuses is quoted.
#[track_caller]
fn on_the_host(name: &'static str, since: (u32, u32), text: String, refusal: &'static [&'static str]) {
    in_namespace(name, move |room| {
        if room.version < since {
            return skip(name, "the kernel is too old");
        }
        let folder = folder(&text);
        let first = bpfapply(folder.path(), &["plan.toml"]);
        let said = words(&format!("{}{}", first.stdout, first.stderr));
        if first.code != 0 && !refusal.is_empty() {
            for word in refusal {
                assert!(said.contains(word), "{name}: `{word}` is not in: {said}");
            }
            assert!(!Path::new("/sys/fs/bpf/target").exists(), "{name}: nothing stays");
            return;
        }
        assert_eq!(first.code, 0, "{name}: {said}");
        let again = bpfapply(folder.path(), &["plan.toml"]);
        assert!(again.stdout.contains("nothing to do: the host matches"), "{name}: {}{}", again.stdout, again.stderr);
    });
}

#[test]
fn the_manifest_says_what_sections_do_not() {
    let program = |from: &str, rest: &str| written("extension", &format!("[program.a]\nfrom = \"o:{from}\"\n{rest}\n"));
    let refused = &["the kernel refuses program.a", "Operation not permitted"];
    on_the_host("tp_btf", (5, 10), program("tracepoint", "target = \"sched_switch\""), &[]);
    on_the_host("iter", (5, 10), program("iterator", "target = \"bpf_map\""), &[]);
    on_the_host("kprobe", (5, 10), program("probe", "target = \"tcp_connect\""), &[]);
    on_the_host("fentry", (5, 10), program("function", "target = \"do_nanosleep\""), refused);
    on_the_host("lsm", (5, 10), program("hook", "target = \"file_open\"\nflags = [\"sleepable\"]"), refused);
    on_the_host("flags", (5, 18), program("filter", "flags = [\"xdp_frags\"]"), &[]);
    on_the_host("number", (5, 18), program("filter", "flags = 0x20"), &[]);
}

/// Some kernels let nobody replace functions; they are quoted.
#[test]
fn an_extension_on_the_host() {
    let text = written("extension", &format!("{FILTER}{EXTENSION}"));
    on_the_host("freplace", (5, 10), text, &["the kernel refuses program.a", "Operation not permitted"]);
}

/// Loads each program of an object by its section, on kernels from `since`.
#[track_caller]
fn every_program(name: &'static str, since: (u32, u32)) {
    let object =
        bpfapply::elf::parse(&fs::read(repository().join(format!("tests/objects/{name}.o"))).expect("it is there"));
    let functions = object.expect("it is good").programs.into_iter().map(|program| program.function);
    let programs = functions.map(|function| format!("[program.{function}]\nfrom = \"o:{function}\"\n"));
    on_the_host(name, since, written(name, &programs.collect::<String>()), &[]);
}

/// Also of those that no link attaches yet.
#[test]
fn programs_of_every_type_are_loaded() {
    every_program("sections", (5, 18));
    every_program("sections_new", (6, 8));
    every_program("hooks", (5, 18));
}

/// The types of a kernel that never was, with far offsets.
fn types() -> Vec<u8> {
    let mut btf = Btf::default();
    let int = Type::Int { name: "int".into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Signed };
    let int = btf.push(int);
    let pointer = btf.push(Type::Ptr { ty: int + 2 });
    let member = |name: &str, ty, byte: u32| Member { name: name.into(), ty, bit_offset: 8 * byte, bitfield_size: 0 };
    let members = vec![member("prio", int, 1000), member("real_parent", pointer, 2000), member("tgid", int, 3000)];
    btf.push(Type::Struct { name: "task_struct".into(), size: 4000, members });
    btf.encode()
}

/// Returns the manifest of a program with CO-RE relocations, with these lines in the object's table.
fn core(lines: &str) -> String {
    format!(
        "version = 1\nname = \"target\"\n[object.o]\npath = \"tests/core/field_offset.o\"\n{lines}\n\
         [program.a]\nfrom = \"o:parent\"\n"
    )
}

/// Links the program for a kernel without types and returns what it puts into r1: its offsets.
fn offsets(folder: &Path, lines: &str) -> Result<Vec<i32>, String> {
    const MOVE: u8 = 0xb7;
    let (fake, text) = (Fake::new(), core(lines));
    let manifest = manifest::parse(&text, &BTreeMap::new()).map_err(|problems| rendered(&problems, &text))?;
    let files = load::files(&manifest, folder).map_err(|problems| rendered(&problems, &text))?;
    let needs = desired::needs(&manifest, &files);
    assert_eq!(needs == Needs::default(), lines.contains("btf"), "what the file says, nobody asks the kernel for");
    let target = facts::target(&fake, &needs).expect("the fake answers");
    let host = observe::host(&fake).expect("the fake answers");
    let desired = desired::resolve(&manifest, files, &stages::path("/sys/fs/bpf"), &host, &target);
    let desired = desired.map_err(|problems| rendered(&problems, &text))?;
    let program = desired.programs.values().next().expect("it has one");
    Ok(program
        .code
        .insns
        .iter()
        .filter(|insn| insn.code == MOVE && insn.regs.dst() == 1)
        .map(|insn| insn.imm)
        .collect())
}

#[test]
fn a_file_of_types_stands_in_for_the_kernels() {
    let folder = folder("");
    fs::write(folder.path().join("far.btf"), types()).expect("a file in a folder of ours");
    assert_eq!(offsets(folder.path(), "btf = \"far.btf\""), Ok(vec![2000, 3000, 1000]));
    // An object is an ELF file with BTF, too: by its own, everything is where the compiler thought.
    assert_eq!(offsets(folder.path(), "btf = \"tests/core/field_offset.o\""), Ok(vec![16, 8, 0]));
    let without = words(&offsets(folder.path(), "").expect_err("this kernel has no types"));
    assert!(without.contains("this kernel has no BTF"), "{without}");
}

#[test]
fn a_file_without_types_is_refused() {
    let folder = folder("");
    let far = types();
    // The kind of the first type, of which there are 20.
    let mut odd = far.clone();
    odd[24 + 7] = 0x1f;
    for (name, bytes, why) in [
        ("missing.btf", None, "No such file"),
        ("text.btf", Some(&b"no types"[..]), "this is no BTF"),
        ("empty.btf", Some(&[][..]), "this is no BTF"),
        ("cut.btf", Some(&far[..far.len() - 1]), "this is no BTF"),
        ("odd.btf", Some(&odd), "its BTF is damaged"),
        ("tests/objects/pass_no_btf.o", None, "the ELF file has no section `.BTF`"),
        ("tests", None, "not a regular file"),
    ] {
        if let Some(bytes) = bytes {
            fs::write(folder.path().join(name), bytes).expect("a file in a folder of ours");
        }
        let said = offsets(folder.path(), &format!("btf = \"{name}\"")).expect_err(name);
        let said = words(&said);
        for word in [why, "cannot read", "plan.toml:5:7"] {
            assert!(said.contains(word), "{name}: `{word}` is not in: {said}");
        }
    }
}

/// The file that the kernel shows of itself says the same as the kernel.
#[test]
fn the_kernels_own_file_changes_nothing() {
    const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
    if !Path::new(VMLINUX).exists() {
        return skip("the_kernels_own_file_changes_nothing", "the kernel has no types");
    }
    in_namespace("vmlinux", |_| {
        let folder = folder(&core(&format!("btf = \"{VMLINUX}\"")));
        let first = bpfapply(folder.path(), &["plan.toml"]);
        assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
        fs::write(folder.path().join("plan.toml"), core("")).expect("a file in a folder of ours");
        let again = bpfapply(folder.path(), &["plan.toml"]);
        assert!(again.stdout.contains("nothing to do: the host matches"), "{}{}", again.stdout, again.stderr);
    });
}

/// Plans without a host, and returns what the last lines say of the kernel.
fn unknown(text: &str) -> Option<String> {
    let folder = folder(text);
    fs::write(folder.path().join("far.btf"), types()).expect("a file in a folder of ours");
    let said = bpfapply(folder.path(), &["plan.toml", "--dry-run=offline"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    said.stdout.lines().find(|line| line.starts_with("kernel values:")).map(str::to_owned)
}

#[test]
fn offline_plans_say_what_they_do_not_know() {
    let one = |from: &str| format!("[program.{from}]\nfrom = \"o:{from}\"\n");
    let says = |what: &str| Some(format!("kernel values: not known offline, {what} on them"));
    assert_eq!(unknown(&core("")), says("1 program depends"));
    assert_eq!(unknown(&core("btf = \"far.btf\"")), None);
    assert_eq!(unknown(&written("kconfig", &one("settings"))), says("1 program depends"));
    let both = one("addresses") + &one("functions");
    assert_eq!(unknown(&written("ksyms", &both)), says("2 programs depend"));
    assert_eq!(unknown(&written("extension", &(one("filter") + &one("probe")))), None);
}
