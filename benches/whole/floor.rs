//! The floor: the system calls that a plan cannot do without, on ready bytes, and the process that makes them.
//!
//! [`record`] turns a plan for an empty host into a file of calls; [`run`] makes them one after the other, on one
//! thread, and does nothing else: no ELF, no BTF, no plan, no check of what came of it.

use bpfapply::desired::{MapDefinition, MapSource, kernel_name};
use bpfapply::kernel::Kernel as _;
use bpfapply::kernel::linux::Linux;
use bpfapply::names::{MapName, ObjectName, PinPath};
use bpfapply::plan::{Action, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// `enum bpf_cmd`
mod command {
    pub const MAP_CREATE: u32 = 0;
    pub const PROG_LOAD: u32 = 5;
    pub const OBJ_PIN: u32 = 6;
    pub const OBJ_GET: u32 = 7;
    pub const INFO: u32 = 15;
    pub const BTF_LOAD: u32 = 18;
}

/// One call in the file: a header, the attribute, then where addresses and descriptors belong.
#[derive(Debug, Default)]
struct Call {
    command: u32,
    attr: Vec<u8>,
    /// Offset in `attr`, and the bytes whose address belongs there.
    blobs: Vec<(u32, Vec<u8>)>,
    /// Offset in `attr`, and the number of the call that made the descriptor.
    fds: Vec<(u32, u32)>,
    /// Offset in the first blob, likewise.
    code_fds: Vec<(u32, u32)>,
}

impl Call {
    fn new(command: u32, size: usize) -> Self {
        Self { command, attr: vec![0; size], ..Self::default() }
    }

    fn u32(mut self, offset: usize, value: u32) -> Self {
        self.attr[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn u64(mut self, offset: usize, value: u64) -> Self {
        self.attr[offset..offset + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn name(mut self, offset: usize, name: &str) -> Self {
        self.attr[offset..offset + name.len()].copy_from_slice(name.as_bytes());
        self
    }

    fn blob(mut self, offset: usize, bytes: Vec<u8>) -> Self {
        if !bytes.is_empty() {
            self.blobs.push((offset as u32, bytes));
        }
        self
    }

    fn fd(mut self, offset: usize, made_by: u32) -> Self {
        self.fds.push((offset as u32, made_by));
        self
    }

    fn write(&self, out: &mut Vec<u8>) {
        let numbers = [
            self.command,
            self.attr.len() as u32,
            self.blobs.len() as u32,
            self.fds.len() as u32,
            self.code_fds.len() as u32,
        ];
        numbers.iter().for_each(|number| out.extend(number.to_ne_bytes()));
        out.extend(&self.attr);
        for (offset, bytes) in &self.blobs {
            out.extend(offset.to_ne_bytes());
            out.extend((bytes.len() as u32).to_ne_bytes());
            out.extend(bytes);
        }
        for (offset, made_by) in self.fds.iter().chain(&self.code_fds) {
            out.extend(offset.to_ne_bytes());
            out.extend(made_by.to_ne_bytes());
        }
    }
}

/// A call that makes a folder; its only blob is the path.
const MAKE_DIRECTORY: u32 = u32::MAX;

/// Writes the calls of a plan down.
#[derive(Default)]
struct Recorder {
    out: Vec<u8>,
    calls: u32,
    btfs: BTreeMap<ObjectName, u32>,
    maps: BTreeMap<MapName, u32>,
}

/// Turns a plan for an empty host into calls. Panics at an action that no workload has.
pub fn record(plan: &Plan) -> io::Result<Vec<u8>> {
    let host = Linux::new().host()?;
    let mut recorder = Recorder::default();
    let pins = plan.steps.iter().filter_map(|step| super::pin_of(&step.action));
    let folders: BTreeSet<PinPath> = pins
        .flat_map(|pin| std::iter::successors(pin.parent(), PinPath::parent))
        .filter(|folder| folder.is_below(&plan.pin_root))
        .collect();
    for folder in folders {
        recorder.push(&Call::new(MAKE_DIRECTORY, 0).blob(0, c_string(folder.as_str())));
    }
    for step in &plan.steps {
        match &step.action {
            Action::CreateMap { map, replaces: None } => {
                let MapSource::Defined(definition) = &map.source else { panic!("map.{} is not ours", map.name) };
                let made = recorder.map(plan, definition, &host);
                recorder.maps.insert(map.name.clone(), made);
                recorder.pin(made, &definition.pin);
            }
            Action::LoadProgram { program, replaces: None } => {
                let btf = recorder.btf(plan, &program.object);
                let mut code = Vec::new();
                program.code.patched(|_| 0).iter().for_each(|insn| code.extend(insn.encode()));
                let funcs: Vec<u8> = program
                    .code
                    .funcs
                    .iter()
                    .flat_map(|func| [func.insn, func.type_id])
                    .flat_map(u32::to_ne_bytes)
                    .collect();
                let lines = program.code.lines.iter().flat_map(|line| [line.insn, line.file, line.text, line.place.0]);
                let lines: Vec<u8> = lines.flat_map(u32::to_ne_bytes).collect();
                let mut call = Call::new(command::PROG_LOAD, 144)
                    .u32(0, program.kind.program_type.0)
                    .u32(4, program.code.insns.len() as u32)
                    .blob(8, code)
                    .blob(16, c_string(&program.license))
                    .u32(40, program.kernel_version)
                    .u32(44, program.kind.flags)
                    .name(48, &kernel_name(&program.function))
                    .u32(68, program.kind.attach_type.map_or(0, |attach_type| attach_type.0))
                    .fd(72, btf)
                    .u32(76, if funcs.is_empty() { 0 } else { 8 })
                    .u32(88, program.code.funcs.len() as u32)
                    .u32(92, if lines.is_empty() { 0 } else { 16 })
                    .u32(104, program.code.lines.len() as u32)
                    .u32(108, program.attach_btf_id)
                    .blob(80, funcs)
                    .blob(96, lines);
                call.code_fds = program
                    .code
                    .sites
                    .iter()
                    .map(|site| (site.insn as u32 * 8 + 4, recorder.maps[program.map(site.map)]))
                    .collect();
                let made = recorder.push(&call);
                recorder.pin(made, &program.pin);
            }
            // What the floor has no use for.
            Action::WriteRecord { .. } => {}
            other => panic!("the floor does not know how to {other}"),
        }
    }
    Ok(recorder.out)
}

/// Turns pins into the calls that look at each of them once.
pub fn record_looks<'a>(pins: impl Iterator<Item = &'a PinPath>) -> Vec<u8> {
    let mut recorder = Recorder::default();
    for pin in pins {
        let opened = recorder.push(&Call::new(command::OBJ_GET, 16).blob(0, c_string(pin.as_str())));
        recorder.push(&Call::new(command::INFO, 16).fd(0, opened).u32(4, 232).blob(8, vec![0; 232]));
    }
    recorder.out
}

impl Recorder {
    /// Adds a call and returns its number.
    fn push(&mut self, call: &Call) -> u32 {
        call.write(&mut self.out);
        self.calls += 1;
        self.calls - 1
    }

    fn btf(&mut self, plan: &Plan, object: &ObjectName) -> u32 {
        if let Some(made) = self.btfs.get(object) {
            return *made;
        }
        let bytes = plan.objects[object].btf();
        let size = bytes.len() as u32;
        let made = self.push(&Call::new(command::BTF_LOAD, 32).blob(0, bytes).u32(16, size));
        self.btfs.insert(object.clone(), made);
        made
    }

    fn map(&mut self, plan: &Plan, definition: &MapDefinition, host: &bpfapply::spec::Host) -> u32 {
        let spec = definition.spec.requested(host);
        let mut call = Call::new(command::MAP_CREATE, 72)
            .u32(0, spec.map_type.0)
            .u32(4, spec.key_size)
            .u32(8, spec.value_size)
            .u32(12, spec.max_entries)
            .u32(16, spec.flags)
            .name(28, &definition.kernel_name)
            .u64(64, spec.map_extra);
        let types = spec.types.as_ref().filter(|_| spec.map_type.takes_btf());
        if let (Some(types), Some((object, _))) = (types, &definition.defined_by) {
            call = call.fd(48, self.btf(plan, object)).u32(52, types.key).u32(56, types.value);
        }
        self.push(&call)
    }

    fn pin(&mut self, made_by: u32, pin: &PinPath) {
        self.push(&Call::new(command::OBJ_PIN, 16).blob(0, c_string(pin.as_str())).fd(8, made_by));
    }
}

fn c_string(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// Makes the calls of a file. Descriptors that a call took last are closed behind it when `close` says so.
#[allow(unsafe_code, reason = "the floor makes the calls that the crate wraps")]
pub fn run(bytes: &mut [u8], close: bool) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 1 << 16, rlim_max: 1 << 16 };
    // SAFETY: the limit lives until here.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    let mut made: Vec<i32> = Vec::new();
    let mut at = 0;
    let number = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    while at < bytes.len() {
        let [command, size, blobs, fds, code_fds] = [0, 4, 8, 12, 16].map(|field| number(bytes, at + field));
        let attr = at + 20;
        at = attr + size as usize;
        let mut first_blob = None;
        for _ in 0..blobs {
            let (offset, len) = (number(bytes, at) as usize, number(bytes, at + 4) as usize);
            first_blob.get_or_insert(at + 8);
            if size > 0 {
                let address = bytes[at + 8..].as_ptr().expose_provenance() as u64;
                bytes[attr + offset..attr + offset + 8].copy_from_slice(&address.to_ne_bytes());
            }
            at += 8 + len;
        }
        let mut last = None;
        for place in 0..fds + code_fds {
            let fd = made[number(bytes, at + 4) as usize];
            let start = if place < fds { attr } else { first_blob.expect("code is a blob") };
            let offset = start + number(bytes, at) as usize;
            bytes[offset..offset + 4].copy_from_slice(&fd.to_ne_bytes());
            last = Some(fd);
            at += 8;
        }
        let ret = match command {
            // SAFETY: the path is a blob, which ends with NUL.
            MAKE_DIRECTORY => unsafe {
                libc::mkdir(bytes[first_blob.expect("a folder has a path")..].as_ptr().cast(), 0o700).into()
            },
            // SAFETY: the attribute lies in the file with its size, and every address in it is that of a blob.
            _ => unsafe { libc::syscall(libc::SYS_bpf, command, bytes[attr..].as_mut_ptr(), size) },
        };
        if ret < 0 {
            return Err(io::Error::last_os_error());
        }
        made.push(ret as i32);
        if let (true, Some(fd)) = (close, last) {
            // SAFETY: the descriptor is ours and is not used again.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}
