//! Instructions as we write them, against `llvm-objdump`: every instruction of every object of the tests, and of those
//! that are installed here (xdp-tools).

mod common;

use bpfapply::insn::Insn;
use bpfapply::insn::disassemble::text;
use common::stages::repository;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where distributions put objects.
const INSTALLED: &[&str] =
    &["/usr/lib/x86_64-linux-gnu/bpf", "/usr/lib/aarch64-linux-gnu/bpf", "/usr/lib64/bpf", "/usr/lib/bpf"];

/// Which instructions.
type Which = fn(Insn) -> bool;

/// What LLVM 14 does not know or shows otherwise, with the version that does not.
const NEWER: &[(Which, &str)] = &[
    (|insn| matches!(insn.code, 0x62 | 0x6a | 0x72 | 0x7a), "stores of a number: LLVM 17"),
    (|insn| matches!(insn.code, 0x45 | 0x4d | 0x46 | 0x4e), "jumps by bits: LLVM 18"),
    (|insn| insn.code == 0xbf && insn.off == 1, "casts between address spaces: LLVM 19"),
];

fn objects() -> Vec<PathBuf> {
    let folders = fs::read_dir(repository().join("tests")).expect("the tests are there");
    let folders = folders.map(|entry| entry.expect("a folder").path()).filter(|path| path.is_dir());
    let mut found: Vec<PathBuf> = folders
        .chain(INSTALLED.iter().map(PathBuf::from))
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten())
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "o") && is_little_endian(path))
        .collect();
    found.sort();
    found
}

/// Reads `EI_DATA`: objects of the other byte order are none of ours.
fn is_little_endian(object: &Path) -> bool {
    fs::read(object).is_ok_and(|bytes| bytes.get(5) == Some(&1))
}

/// Returns each instruction of an object as `llvm-objdump` writes it, with its bytes.
fn dumped(object: &Path) -> Vec<(Vec<Insn>, String)> {
    let mut command = Command::new("llvm-objdump");
    let Ok(output) = common::run(command.arg("-d").arg(object)) else { return Vec::new() };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let insn = |line: &str| {
        let mut columns = line.split('\t');
        let number = columns.next()?.trim().strip_suffix(':')?;
        number.parse::<usize>().ok()?;
        let bytes: Option<Vec<u8>> =
            columns.next()?.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
        let insns = bytes?.chunks_exact(8).map(|bytes| Insn::decode(bytes.try_into().expect("eight bytes"))).collect();
        let text = columns.next()?;
        // Behind a jump stands what is there: ` <LBB0_2>`.
        let place = text.trim().strip_suffix('>').and_then(|text| text.rsplit_once(" <"));
        Some((insns, place.map_or(text, |(text, _)| text).trim().to_owned()))
    };
    text.lines().filter_map(insn).collect()
}

#[test]
fn every_instruction_reads_as_llvm_writes_it() {
    if common::run(Command::new("llvm-objdump").arg("--version")).is_err() {
        return common::skip("every_instruction_reads_as_llvm_writes_it", "there is no llvm-objdump");
    }
    let (mut compared, mut differ) = (0, BTreeMap::new());
    for object in objects() {
        for (insns, expected) in dumped(&object) {
            let Some(first) = insns.first() else { continue };
            if NEWER.iter().any(|(is_newer, _)| is_newer(*first)) {
                continue;
            }
            compared += 1;
            let written = text(&insns, 0, &|_| None);
            if written != expected {
                differ.entry((first.code, written)).or_insert((expected, object.clone()));
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(compared > 5_000, "only {compared} instructions were compared");
    eprintln!("{compared} instructions were compared");
}
