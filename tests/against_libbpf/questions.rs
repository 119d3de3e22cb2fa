//! CO-RE beyond what loads: each object of `tests/core` as it is, and with the questions of all its relocations changed
//! into every other one, which also makes objects that both have to refuse. The instructions are compared as they are
//! given to the verifier, whatever that says of them.

use crate::cases::{files, repository};
use crate::shown::Tools;
use bpfapply::btf::kernel::KernelTypes;
use bpfapply::elf::{self, Target};
use bpfapply::insn::{Insn, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `enum bpf_core_relo_kind` has 13 values; one more that nobody knows.
const KINDS: Range<u32> = 0..14;

/// The instructions of each program, by file and function, without descriptors of maps; none when it is refused.
type Outcomes = BTreeMap<(String, String), Option<Vec<Insn>>>;

/// Asks every question of every object; the folder is for changed objects. Returns how many programs there are and how
/// many of them both refuse.
pub fn check(tools: &Tools, folder: &Path, types: Vec<u8>) -> (usize, usize) {
    let types = KernelTypes::parse(Box::new(types)).expect("the kernel's own types");
    let target = Target { types: Some(Arc::new(types)), ..Target::default() };
    let originals = files(&repository("tests/core"), "o");
    let changed = originals.iter().flat_map(|path| KINDS.map(|kind| asking(path, kind, folder)));
    let files: Vec<PathBuf> = changed.chain(originals.clone()).collect();
    let (ours, theirs) = (ours(&files, &target), theirs(tools, &files));
    let differ: Vec<_> = theirs.iter().filter(|(name, outcome)| ours.get(*name) != Some(outcome)).collect();
    for (name, outcome) in &differ {
        eprintln!("{name:?}\n  libbpf: {outcome:?}\n  we:     {:?}", ours.get(*name));
    }
    assert!(differ.is_empty(), "{} of {} programs differ", differ.len(), theirs.len());
    (theirs.len(), theirs.values().filter(|outcome| outcome.is_none()).count())
}

/// Writes an object in which every CO-RE relocation asks something else.
fn asking(object: &Path, kind: u32, folder: &Path) -> PathBuf {
    // `.BTF.ext` is the one section that begins like this: magic, version, flags, a header of 32 bytes.
    const START: [u8; 8] = [0x9f, 0xeb, 1, 0, 32, 0, 0, 0];
    let mut bytes = fs::read(object).expect("an object");
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
    let name = object.file_stem().expect("a name").to_string_lossy();
    let path = folder.join(format!("{name}.{kind}.o"));
    fs::write(&path, bytes).expect("a file in a folder of ours");
    path
}

fn ours(files: &[PathBuf], target: &Target) -> Outcomes {
    let of_file = |path: &PathBuf| {
        let object = elf::parse(&fs::read(path).expect("an object")).expect("a good one");
        let link = |(number, program): (usize, &elf::Program)| {
            let insns = object.link(number, target).map(|code| code.patched(|_| 0)).ok();
            ((path.display().to_string(), program.function.clone()), insns)
        };
        object.programs.iter().enumerate().map(link).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

fn theirs(tools: &Tools, files: &[PathBuf]) -> Outcomes {
    let text = tools.reference("try", files);
    let line = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (name, outcome) = ((word(), word()), word());
        (name, (outcome != "refused").then(|| insns(&word())))
    };
    text.lines().map(line).collect()
}

/// Reads instructions written in hexadecimal.
fn insns(hex: &str) -> Vec<Insn> {
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal");
    let bytes: Vec<u8> = (0..hex.len() / 2).map(byte).collect();
    let (chunks, _) = bytes.as_chunks::<{ Insn::SIZE }>();
    let without_descriptor = |chunk: &[u8; Insn::SIZE]| {
        let insn = Insn::decode(*chunk);
        let is_map = insn.is_ld_imm64() && [PSEUDO_MAP_FD, PSEUDO_MAP_VALUE].contains(&insn.regs.src());
        if is_map { Insn { imm: 0, ..insn } } else { insn }
    };
    chunks.iter().map(without_descriptor).collect()
}
