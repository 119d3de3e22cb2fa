//! CO-RE against libbpf: for every program of `tests/core`, the same final instructions on the kernel that runs here.
//!
//! Each object is tried as it is, and with the questions of all its relocations changed into every other one, which
//! also makes objects that both have to refuse. Linking runs anywhere where the kernel shows its types; the comparison
//! needs root, a C compiler and the headers of libbpf.

mod common;

use bpfapply::btf::kernel::KernelTypes;
use bpfapply::elf::{self, Target};
use bpfapply::insn::{Code, Insn, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// `enum bpf_core_relo_kind` has 13 values; one more that nobody knows.
const KINDS: Range<u32> = 0..14;
const TYPE_MATCHES: u32 = 12;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core")
}

/// Returns the objects of this folder, by name.
fn objects() -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let objects = files.filter(|path| path.extension().is_some_and(|extension| extension == "o"));
    let named = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(path).expect("an object"))
    };
    objects.map(named).collect()
}

/// Returns the target of this host; none where the kernel does not show its types.
fn target() -> Option<Target> {
    let types = KernelTypes::parse(Box::new(fs::read(VMLINUX).ok()?)).expect("the kernel's own types");
    Some(Target { types: Some(Arc::new(types)), ..Target::default() })
}

/// Changes what every CO-RE relocation of an object asks.
fn asking(object: &[u8], kind: u32) -> Vec<u8> {
    // `.BTF.ext` is the one section that begins like this: magic, version, flags, a header of 32 bytes.
    const START: [u8; 8] = [0x9f, 0xeb, 1, 0, 32, 0, 0, 0];
    let mut bytes = object.to_vec();
    let start = bytes.windows(8).position(|window| window == START).expect(".BTF.ext");
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut at = start + 32 + word(&bytes, start + 24);
    let end = at + word(&bytes, start + 28);
    let size = word(&bytes, at);
    at += 4;
    while at < end {
        let count = word(&bytes, at + 4);
        at += 8;
        for _ in 0..count {
            bytes[at + 12..at + 16].copy_from_slice(&kind.to_le_bytes());
            at += size;
        }
    }
    bytes
}

/// What becomes of each program, by file and function.
type Outcomes = BTreeMap<(String, String), Outcome>;

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    /// The bytes, with 0 for each map's descriptor.
    Instructions(String),
}

fn hex(code: &Code) -> String {
    let bytes = code.patched(|_| 0).into_iter().flat_map(Insn::encode);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn ours(path: &Path, target: &Target) -> Outcomes {
    let object = elf::parse(&fs::read(path).expect("the object")).expect("an object");
    let link = |number: usize| object.link(number, target);
    let programs = object.programs.iter().enumerate().map(|(number, program)| {
        let outcome = link(number).map_or(Outcome::Refused, |code| Outcome::Instructions(hex(&code)));
        ((path.display().to_string(), program.function.clone()), outcome)
    });
    programs.collect()
}

/// Takes the descriptors of maps out of instructions.
fn without_descriptors(hex: &str) -> String {
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let (chunks, _) = bytes.as_chunks::<{ Insn::SIZE }>();
    let insns = chunks.iter().map(|chunk| {
        let mut insn = Insn::decode(*chunk);
        if insn.is_ld_imm64() && [PSEUDO_MAP_FD, PSEUDO_MAP_VALUE].contains(&insn.src) {
            insn.imm = 0;
        }
        insn.encode()
    });
    insns.flatten().map(|byte| format!("{byte:02x}")).collect()
}

/// Compiles the program that asks libbpf.
fn compile(folder: &Path) -> Option<PathBuf> {
    let (source, program) = (self::folder().join("libbpf.c"), folder.join("libbpf"));
    let compiled = Command::new("cc").args(["-w", "-o"]).arg(&program).arg(source).arg("-lbpf").output().ok()?;
    compiled.status.success().then_some(program)
}

fn libbpfs(program: &Path, files: &[PathBuf]) -> Outcomes {
    let output = common::output(Command::new(program).args(files), Duration::from_secs(100)).expect("libbpf");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (name, outcome) = ((word(), word()), word());
        match outcome.as_str() {
            "refused" => (name, Outcome::Refused),
            _ => (name, Outcome::Instructions(without_descriptors(&word()))),
        }
    });
    lines.collect()
}

/// Compares what we and libbpf make of all programs of the files. Returns how many there are, and how many are refused.
#[track_caller]
fn check(program: &Path, files: &[PathBuf], target: &Target) -> (usize, usize) {
    let theirs = libbpfs(program, files);
    let ours: Outcomes = files.iter().flat_map(|file| ours(file, target)).collect();
    let differ: Vec<_> = theirs.iter().filter(|(name, outcome)| ours.get(name) != Some(outcome)).collect();
    for (name, outcome) in &differ {
        eprintln!("{name:?}\n  libbpf: {outcome:?}\n  we:     {:?}", ours.get(name));
    }
    assert!(differ.is_empty(), "{} of {} programs differ", differ.len(), theirs.len());
    (theirs.len(), theirs.values().filter(|outcome| **outcome == Outcome::Refused).count())
}

/// Runs the body in a private room with the program that asks libbpf and a folder, or says why not.
fn with_libbpf(name: &'static str, body: impl FnOnce(&Path, &Path, &Target) + Send + 'static) {
    common::in_namespace(name, move |_| {
        let folder = tempfile::tempdir().expect("a folder");
        match (target(), compile(folder.path())) {
            (None, _) => common::skip(name, "the kernel does not show its types"),
            (_, None) => common::skip(name, "there is no C compiler with libbpf"),
            (Some(target), Some(program)) => body(&program, folder.path(), &target),
        }
    });
}

/// Writes an object, and returns where.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{name}.o"));
    fs::write(&path, bytes).expect("written");
    path
}

/// Returns a kernel that has just the types of an object.
fn kernel_of(object: &elf::Object) -> Vec<u8> {
    object.btf.as_ref().expect("types").encode()
}

fn target_of(types: Vec<u8>) -> Option<Target> {
    let types = KernelTypes::parse(Box::new(types)).ok()?;
    Some(Target { types: Some(Arc::new(types)), ..Target::default() })
}

#[test]
fn an_objects_own_types_change_nothing() {
    // Not those whose types are of one name but for a flavour, and differ, and not bit-fields, of which compilers say
    // otherwise which word to load.
    let unlike = |name: &str| name == "flavours" || name.starts_with("bitfield");
    for (name, bytes) in objects().into_iter().filter(|(name, _)| !unlike(name)) {
        let object = elf::parse(&bytes).expect("an object");
        let target = target_of(kernel_of(&object)).expect("types");
        for (number, program) in object.programs.iter().enumerate() {
            assert!(object.needs_kernel_types(number), "{name}: {}", program.function);
            let [offline, linked] = [&Target::offline(), &target].map(|target| object.link(number, target));
            assert_eq!(linked, offline, "{name}: {}", program.function);
        }
    }
}

#[test]
fn without_types_nothing_links_but_an_offline_plan() {
    let object = elf::parse(&objects()["field_offset"]).expect("an object");
    let errors = object.link(0, &Target::default()).expect_err("nothing to relocate by");
    assert!(errors[0].what.contains("this kernel has no BTF"), "{}", errors[0]);
    assert!(errors[0].source.as_ref().is_some_and(|source| source.contains("field_offset.c:")), "{}", errors[0]);
    assert!(object.link(0, &Target::offline()).is_ok());
}

#[test]
fn no_types_of_a_kernel_panic() {
    for (_, bytes) in objects() {
        let object = elf::parse(&bytes).expect("an object");
        let types = kernel_of(&object);
        for at in (24..types.len()).step_by(7) {
            let mut damaged = types.clone();
            damaged[at] = damaged[at].wrapping_add(1 + (at % 200) as u8);
            let Some(target) = target_of(damaged) else { continue };
            for number in 0..object.programs.len() {
                let _ = object.link(number, &target);
            }
        }
    }
}

#[test]
fn the_same_instructions_as_libbpf() {
    with_libbpf("the_same_instructions_as_libbpf", |program, folder, target| {
        let files = objects().into_iter().map(|(name, bytes)| match name.as_str() {
            "type_match" => write(folder, &name, &asking(&bytes, TYPE_MATCHES)),
            _ => write(folder, &name, &bytes),
        });
        let (programs, refused) = check(program, &files.collect::<Vec<_>>(), target);
        assert!(programs > 50 && (1..10).contains(&refused), "{programs} programs, {refused} refused");
    });
}

#[test]
fn the_same_answer_to_every_question() {
    with_libbpf("the_same_answer_to_every_question", |program, folder, target| {
        let write = |(name, bytes): (String, Vec<u8>)| {
            KINDS.map(|kind| write(folder, &format!("{name}.{kind}"), &asking(&bytes, kind))).collect::<Vec<_>>()
        };
        let files: Vec<PathBuf> = objects().into_iter().flat_map(write).collect();
        let (programs, refused) = check(program, &files, target);
        assert!(programs > 700 && refused > 100, "{programs} programs, {refused} refused");
    });
}

/// The objects of xdp-tools, where they are installed: `xdpdump_bpf` asks for two fields of `struct xdp_buff`.
#[test]
fn installed_objects() {
    const FOLDERS: [&str; 2] = ["/usr/lib/x86_64-linux-gnu/bpf", "/usr/lib/aarch64-linux-gnu/bpf"];
    with_libbpf("installed_objects", |program, _, target| {
        let entries = FOLDERS.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        if files.is_empty() {
            return common::skip("installed_objects", "xdp-tools is not installed");
        }
        check(program, &files, target);
    });
}
