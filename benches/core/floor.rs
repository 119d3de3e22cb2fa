//! The least that loading takes: BPF_BTF_LOAD, BPF_PROG_LOAD and BPF_OBJ_PIN with what was made ready before.
//!
//! The file is words of 4 bytes: for each object its BTF, and for each of its programs the name, type, instructions and
//! records; before everything that can be long stands how many words it has.

use super::workload::MANIFEST;
use bpfapply::desired::{self, DesiredProgram};
use bpfapply::diag::Problems;
use bpfapply::insn::{FuncRecord, Insn, LineRecord};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{Kernel as _, ProgramRequest, facts, observe};
use bpfapply::kinds::{AttachType, ProgramType};
use bpfapply::load;
use bpfapply::manifest::{self, Manifest};
use bpfapply::names::PinPath;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

const FILE: &str = "floor.bin";
const FOLDER: &str = "/sys/fs/bpf/core";

/// Writes down what an apply of the workload in the folder asks of this kernel.
pub fn record(folder: &Path) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(folder.join(MANIFEST))?;
    let manifest = manifest::parse(&text, &BTreeMap::new()).map_err(failed)?;
    let desired = desire(&manifest, folder).map_err(failed)?;
    let mut words = Words::default();
    for (name, object) in &desired.objects {
        let programs: Vec<_> = desired.programs.values().filter(|program| program.object == *name).collect();
        words.bytes(&object.btf);
        words.0.push(programs.len() as u32);
        programs.into_iter().for_each(|program| words.program(program));
    }
    let bytes: Vec<u8> = words.0.into_iter().flat_map(u32::to_le_bytes).collect();
    Ok(fs::write(folder.join(FILE), bytes)?)
}

fn desire(manifest: &Manifest, folder: &Path) -> Result<desired::Desired, Problems> {
    let kernel = Linux::new();
    let files = load::objects(manifest, folder)?;
    let target = facts::target(&kernel, &desired::needs(manifest, &files))?;
    let bpffs = PinPath::new("/sys/fs/bpf").expect("an absolute path");
    desired::resolve(manifest, &files, &bpffs, &observe::host(&kernel)?, &target)
}

fn failed(problems: Problems) -> String {
    format!("{problems:?}")
}

/// Asks the kernel for what was written down.
pub fn replay(folder: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(folder.join(FILE))?;
    let (words, _) = bytes.as_chunks();
    let mut words = Reader(words);
    let mut kernel = Linux::new();
    let folder = PinPath::new(FOLDER)?;
    kernel.make_directory(&folder)?;
    let mut pins = 0;
    while !words.0.is_empty() {
        let btf = kernel.load_btf(&words.bytes()).map_err(|refusal| refusal.error)?;
        for _ in 0..words.word() {
            let request = words.program();
            let name = String::from_utf8(request.name)?;
            let program = kernel.load_program(&ProgramRequest {
                name: &name,
                program_type: request.program_type,
                expected_attach_type: AttachType(0),
                flags: 0,
                insns: &request.insns,
                license: "GPL",
                kernel_version: request.kernel_version,
                attach_btf_id: 0,
                attach_to: None,
                fd_array: &[],
                btf: Some(&btf),
                funcs: &request.funcs,
                lines: &request.lines,
            });
            pins += 1;
            kernel.pin(&program.map_err(|refusal| refusal.error)?, &folder.child(&format!("p{pins}")))?;
        }
    }
    Ok(())
}

/// What is written.
#[derive(Default)]
struct Words(Vec<u32>);

impl Words {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend([bytes.len() as u32, bytes.len().div_ceil(4) as u32]);
        self.0.extend(
            bytes
                .chunks(4)
                .map(|chunk| chunk.iter().enumerate().fold(0, |word, (at, byte)| word | u32::from(*byte) << (8 * at))),
        );
    }

    fn program(&mut self, program: &DesiredProgram) {
        self.bytes(desired::kernel_name(&program.function).as_bytes());
        self.0.extend([program.kind.program_type.0, program.kernel_version]);
        self.0.push(2 * program.code.insns.len() as u32);
        for insn in &program.code.insns {
            let bytes = insn.encode();
            let (halves, _) = bytes.as_chunks();
            self.0.extend(halves.iter().copied().map(u32::from_le_bytes));
        }
        self.0.push(2 * program.code.funcs.len() as u32);
        self.0.extend(program.code.funcs.iter().flat_map(|func| [func.insn, func.type_id]));
        self.0.push(5 * program.code.lines.len() as u32);
        let words = |line: &LineRecord| [line.insn, line.file, line.text, line.line, line.column];
        self.0.extend(program.code.lines.iter().flat_map(words));
    }
}

struct Program {
    name: Vec<u8>,
    program_type: ProgramType,
    kernel_version: u32,
    insns: Vec<Insn>,
    funcs: Vec<FuncRecord>,
    lines: Vec<LineRecord>,
}

/// What is read back; what is missing is our own bug.
struct Reader<'a>(&'a [[u8; 4]]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [[u8; 4]] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take(1)[0])
    }

    fn bytes(&mut self) -> Vec<u8> {
        let (len, words) = (self.word(), self.word());
        self.take(words as usize).as_flattened()[..len as usize].to_vec()
    }

    fn records<const N: usize, T>(&mut self, make: impl Fn([u32; N]) -> T) -> Vec<T> {
        let count = self.word() as usize;
        let (records, _) = self.take(count).as_chunks::<N>();
        records.iter().map(|words| make(words.map(u32::from_le_bytes))).collect()
    }

    fn program(&mut self) -> Program {
        let insn = |[low, high]: [u32; 2]| (u64::from(high) << 32 | u64::from(low)).to_le_bytes();
        let line = |[insn, file, text, line, column]: [u32; 5]| LineRecord { insn, file, text, line, column };
        Program {
            name: self.bytes(),
            program_type: ProgramType(self.word()),
            kernel_version: self.word(),
            insns: self.records(|words| Insn::decode(insn(words))),
            funcs: self.records(|[insn, type_id]| FuncRecord { insn, type_id }),
            lines: self.records(line),
        }
    }
}
