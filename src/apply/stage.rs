//! The first pass: maps and programs as descriptors, of which nothing can be seen from outside.

use super::{Applier, Kind, Problem, found_by, kernel_problem, stale, types};
use crate::btf::{self, Btf, Linkage, Type, TypeId};
use crate::desired::{DesiredMap, DesiredProgram, Extends, Hook, MapDefinition, MapSource, SlotKey, SlotSource};
use crate::elf::{DataKind, Operations};
use crate::insn::{EXIT, FuncRecord, Insn, ModuleId};
use crate::kernel::observe::open_cgroup;
use crate::kernel::{Kernel, LoadError, MapRequest, ObjectKind, ProgramRequest};
use crate::kinds::{AttachType, MapType, ProgramType};
use crate::names::{ObjectName, PinPath};
use crate::plan::{Action, Restored, Step};
use crate::spec::{Host, MapSpec, MapTypes, flags};
use crate::verifier::telling;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

/// `BPF_ALU64 | BPF_MOV | BPF_K`, here of register 0.
const MOV_IMM: u8 = 0xb7;

/// Returns whether something new is there, or in something new, when the step is staged. Others open what is there.
fn makes_something(action: &Action) -> bool {
    match action {
        Action::CreateMap { .. }
        | Action::CopyEntries { .. }
        | Action::FillMap { .. }
        | Action::FillSlots { .. }
        | Action::LoadProgram { .. } => true,
        Action::WriteEntries { writes } => writes.id.is_none(),
        Action::ClearLeftover { .. }
        | Action::MountBpffs { .. }
        | Action::MakeDirectory { .. }
        | Action::ReuseMap { .. }
        | Action::CatchUp { .. }
        | Action::FinishCopy { .. }
        | Action::SetVariables { .. }
        | Action::ReuseProgram { .. }
        | Action::RestoreMap { .. }
        | Action::RestoreProgram { .. }
        | Action::RestorePin { .. }
        | Action::RenameLink { .. }
        | Action::ReuseLink { .. }
        | Action::Skip { .. }
        | Action::Attach { .. }
        | Action::UpdateLink { .. }
        | Action::Reattach { .. }
        | Action::SetAccess { .. }
        | Action::Detach { .. }
        | Action::RemoveProgram { .. }
        | Action::RemoveMap { .. }
        | Action::RemoveDirectory { .. }
        | Action::WriteRecord { .. }
        | Action::RemoveRecord { .. } => false,
    }
}

impl<K: Kernel> Applier<'_, K> {
    /// Stages every step; the error is that of the first step that fails, with its number.
    pub(super) fn stage_all(&mut self) -> Result<(), (usize, Problem)> {
        let plan = self.plan;
        let mut number = 0;
        while let Some(step) = plan.steps.get(number) {
            let programs = independent_programs(&plan.steps[number..]);
            if programs.is_empty() {
                self.stage(number, &step.action).map_err(|problem| (number, problem))?;
                if makes_something(&step.action) {
                    self.staged(number);
                }
                number += 1;
            } else {
                self.load_programs(&programs).map_err(|(at, problem)| (number + at, problem))?;
                (number..number + programs.len()).for_each(|number| self.staged(number));
                number += programs.len();
            }
        }
        Ok(())
    }

    pub(super) fn stage(&mut self, number: usize, action: &Action) -> Result<(), Problem> {
        match action {
            Action::ReuseMap { map, id, .. } => self.open_map(map, *id),
            Action::CreateMap { map, .. } => self.create_map(map),
            Action::CopyEntries { map, from, copying } => self.copy_entries(map, *from, copying),
            Action::FinishCopy { map, id, from, kept, migration: Some(migration) } => {
                self.open_copied((map, *id), *from, kept, migration)
            }
            Action::FillMap { map } => self.fill_map(map),
            Action::FillSlots { map } => self.fill_slots(map),
            Action::WriteEntries { writes } => match writes.id {
                None => self.write_first(writes),
                // In place, that is seen: the map was opened, and is the one that the plan saw.
                Some(_) => Ok(()),
            },
            Action::ReuseProgram { program, id } => {
                let fd = self.open_expected(&program.pin, ObjectKind::Program, *id)?;
                self.programs.insert(program.name.clone(), fd);
                Ok(())
            }
            Action::LoadProgram { .. } => unreachable!("programs are loaded many at a time"),
            Action::RestoreMap { map, pin, id, restored, .. } => {
                let fd = self.open_expected(&self.restored_from(pin, *restored), ObjectKind::Map, *id)?;
                self.maps.insert(map.clone(), fd);
                Ok(())
            }
            Action::RestoreProgram { program, pin, id, restored } => {
                let from = self.restored_from(pin, *restored);
                let fd = self.open_expected(&from, ObjectKind::Program, *id)?;
                self.programs.insert(program.clone(), fd);
                Ok(())
            }
            Action::RenameLink { link, id, .. } | Action::ReuseLink { link, id } => {
                self.open_attached(&link.pin, *id).map(drop)
            }
            // What goes away does so when there is no way back any more: it has to be what the plan saw.
            Action::Detach { pin, id, .. } => {
                let attached = self.open_attached(pin, *id)?;
                self.leaving.insert(number, attached);
                Ok(())
            }
            Action::RemoveProgram { pin, id, .. } => self.open_expected(pin, ObjectKind::Program, *id).map(drop),
            Action::RemoveMap { pin, id, .. } => self.open_expected(pin, ObjectKind::Map, *id).map(drop),
            Action::Reattach { link, id, hook, overlap: true, .. } => self.stage_double(link, *id, hook),
            Action::ClearLeftover { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::CatchUp { .. }
            | Action::FinishCopy { migration: None, .. }
            | Action::Skip { .. }
            | Action::RestorePin { .. }
            | Action::Attach { .. }
            | Action::UpdateLink { .. }
            | Action::Reattach { .. }
            | Action::SetAccess { .. }
            | Action::SetVariables { .. }
            | Action::RemoveDirectory { .. }
            | Action::WriteRecord { .. }
            | Action::RemoveRecord { .. } => Ok(()),
        }
    }

    /// Returns where a pin is that is taken over from the generation before.
    fn restored_from(&self, pin: &PinPath, restored: Restored) -> PinPath {
        match restored {
            Restored::Stays => pin.clone(),
            Restored::Returns | Restored::Replaces(_) => self.place(pin, &self.plan.pin_root.previous()),
        }
    }

    fn open_map(&mut self, map: &DesiredMap, id: u32) -> Result<(), Problem> {
        let fd = match found_by(&map.source) {
            Ok(pin) => self.open_expected(pin, ObjectKind::Map, id)?,
            Err(id) => self.kernel.map_by_id(id).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => stale(format!("map id {id} is gone")),
                _ => kernel_problem(format!("open map id {id}"), &error),
            })?,
        };
        self.maps.insert(map.name.clone(), fd);
        Ok(())
    }

    /// Returns what decides the shape of maps, asked once for all of them.
    pub(super) fn host(&mut self) -> io::Result<Host> {
        match self.host {
            Some(host) => Ok(host),
            None => Ok(*self.host.insert(self.kernel.host()?)),
        }
    }

    fn create_map(&mut self, map: &DesiredMap) -> Result<(), Problem> {
        let MapSource::Defined(definition) = &map.source else {
            unreachable!("only a map that the deployment defines is created")
        };
        let doing = || format!("create map.{}", map.name);
        let host = self.host().map_err(|error| kernel_problem(doing(), &error))?;
        let fd = self.create(definition, &host).map_err(|error| {
            map_refused(doing(), map, &definition.spec, &error).and(map.span.clone(), "defined here")
        })?;
        self.maps.insert(map.name.clone(), fd);
        Ok(())
    }

    fn create(&mut self, definition: &MapDefinition, host: &Host) -> io::Result<K::Fd> {
        let spec = definition.spec.requested(host);
        let object = definition.defined_by.as_ref().map(|(object, _)| object);
        let inner = match &spec.inner {
            Some(inner) => Some(self.create_one("inner", inner, None, object, None)?),
            None => None,
        };
        let operations = definition.operations.as_deref();
        let map = self.create_one(&definition.kernel_name, &spec, inner.as_ref(), object, operations)?;
        if spec.map_type == MapType::ARENA {
            // Programs need its address, which the kernel chooses when it is first mapped, and only once.
            let data = definition.data.as_ref().map_or(&[][..], |(_, data)| data);
            self.kernel.write_arena(&map, spec.map_extra, spec.arena_size(host), data)?;
        }
        Ok(map)
    }

    /// Creates one map; without its BTF types when the kernel does not take them for a map of this type.
    fn create_one(
        &mut self,
        name: &str,
        spec: &MapSpec,
        inner: Option<&K::Fd>,
        object: Option<&ObjectName>,
        operations: Option<&Operations>,
    ) -> io::Result<K::Fd> {
        let module = operations.and_then(|operations| operations.module.as_ref());
        module.map_or(Ok(()), |module| self.open_module(module))?;
        let kernel_type = operations.map_or(0, |operations| operations.value_type);
        let types = spec.types.as_ref().filter(|types| spec.map_type.takes_btf() && (types.key, types.value) != (0, 0));
        // The kernel wants the BTF of the object, and no types of it, when the value is of a type of its own.
        let of_kernel = |types: &MapTypes| if operations.is_none() { (types.key, types.value) } else { (0, 0) };
        if let (Some(_), Some(object)) = (types, object) {
            self.load_btf(object).map_err(|error| error.error)?;
        }
        let btf = object.and_then(|object| self.btfs.get(object)).and_then(types::Loaded::whole);
        let mut request = MapRequest {
            name,
            map_type: spec.map_type,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: spec.max_entries,
            flags: spec.flags,
            numa_node: spec.numa_node.unwrap_or(0),
            map_extra: spec.map_extra,
            inner,
            types: types.map(of_kernel).zip(btf).map(|((key, value), btf)| (btf, key, value)),
            kernel_type,
            module: module.and_then(|module| self.modules.get(&module.btf_id)),
        };
        let created = self.kernel.create_map(&request);
        if created.is_err() && request.types.is_some() && operations.is_none() {
            // As libbpf does (bpf_object__create_map): types are a description, and the map is good without it.
            request.types = None;
            return self.kernel.create_map(&request);
        }
        created
    }

    /// Loads an object's BTF, once: all of it, or what this kernel takes of it.
    fn load_btf(&mut self, object: &ObjectName) -> Result<(), LoadError> {
        if !self.btfs.contains_key(object) {
            let facts = &self.plan.objects[object];
            let stand_ins = self.stand_ins(facts);
            let loaded = types::load(self.kernel, facts, stand_ins)?;
            self.btfs.insert(object.clone(), loaded);
        }
        Ok(())
    }

    fn fill_map(&mut self, map: &DesiredMap) -> Result<(), Problem> {
        let MapSource::Defined(MapDefinition { data: Some((kind, data)), .. }) = &map.source else {
            unreachable!("only a data section is filled")
        };
        let fd = &self.maps[&map.name];
        let filled = self.kernel.update(fd, &0u32.to_ne_bytes(), data);
        filled.map_err(|error| kernel_problem(format!("fill map.{}", map.name), &error))?;
        match kind {
            DataKind::Rodata => {
                let frozen = self.kernel.freeze(fd);
                frozen.map_err(|error| kernel_problem(format!("freeze map.{}", map.name), &error))
            }
            DataKind::Data | DataKind::Bss => Ok(()),
        }
    }

    fn fill_slots(&mut self, map: &DesiredMap) -> Result<(), Problem> {
        let MapSource::Defined(MapDefinition { slots, operations, .. }) = &map.source else {
            unreachable!("only a map that the deployment defines has slots")
        };
        if let Some(first) = operations {
            return self.fill_operations(map, &first.bytes, slots);
        }
        for (key, slot) in slots {
            let doing = |error| kernel_problem(format!("fill slot {key} of map.{}", map.name), &error);
            let cgroup;
            let target = match slot {
                SlotSource::Map(name) => &self.maps[name],
                SlotSource::Program(name) => &self.programs[name],
                SlotSource::Cgroup(path) => {
                    let opened = open_cgroup(self.kernel, path).map_err(doing)?;
                    let Some((fd, ..)) = opened else { return Err(stale(format!("the cgroup `{path}` is gone"))) };
                    cgroup = fd;
                    &cgroup
                }
            };
            self.kernel.update_slot(&self.maps[&map.name], key.bytes(), target).map_err(doing)?;
        }
        Ok(())
    }

    /// Writes a struct of functions, whole: the kernel takes it once and for all. A link registers it.
    fn fill_operations(
        &mut self,
        map: &DesiredMap,
        first: &[u8],
        functions: &BTreeMap<SlotKey, SlotSource>,
    ) -> Result<(), Problem> {
        let mut value = first.to_vec();
        for (byte, slot) in functions {
            let SlotSource::Program(program) = slot else { continue };
            let fd = i64::from(self.kernel.number(&self.programs[program]));
            let byte = byte.number().map_or(usize::MAX, |byte| byte as usize);
            if let Some(place) = value.get_mut(byte..).and_then(|rest| rest.first_chunk_mut()) {
                *place = fd.to_ne_bytes();
            }
        }
        let filled = self.kernel.update(&self.maps[&map.name], &0u32.to_ne_bytes(), &value);
        filled.map_err(|error| {
            kernel_problem(format!("fill map.{}", map.name), &error).and(map.span.clone(), "defined here")
        })
    }

    /// Loads programs of which none needs another; the error is that of the first that is refused, with its number.
    pub(super) fn load_programs(&mut self, programs: &[&DesiredProgram]) -> Result<(), (usize, Problem)> {
        for (number, program) in programs.iter().enumerate() {
            self.load_btf(&program.object).map_err(|refusal| (number, btf_refused(program, refusal)))?;
        }
        let mut ready = Vec::with_capacity(programs.len());
        for (number, program) in programs.iter().enumerate() {
            ready.push(self.ready(program).map_err(|problem| (number, problem))?);
        }
        let Self { kernel, programs: known, btfs, modules, .. } = self;
        let requests = programs.iter().zip(&ready).map(|(program, ready)| ProgramRequest {
            name: &ready.name,
            program_type: program.kind.program_type,
            expected_attach_type: match program.attach_member {
                Some(member) => AttachType(member),
                None => program.kind.attach_type.unwrap_or(AttachType(0)),
            },
            flags: program.kind.flags,
            insns: &ready.insns,
            license: &program.license,
            kernel_version: program.kernel_version,
            attach_btf_id: ready.attach_btf_id,
            attach_to: match (&program.extends, &program.attach_module) {
                (Some(extends), _) => Some(&known[&extends.program]),
                (None, Some(module)) => Some(&modules[&module.btf_id]),
                (None, None) => None,
            },
            fd_array: &ready.fd_array,
            btf: btfs.get(&program.object).map(types::Loaded::fd),
            funcs: &ready.funcs,
            lines: &program.code.lines,
        });
        let loaded = kernel.load_programs(&requests.collect::<Vec<_>>());
        let fds = loaded.map_err(|(number, refusal)| {
            let program = programs[number];
            let without_types = self.btfs.get(&program.object).and_then(types::Loaded::refusal);
            let problem = match without_types {
                // Without its types a program may lack just what they said.
                Some(first) => types::problem(program, first, &refusal),
                None if is_silent(&refusal) && lacks_type(self.kernel, program) => no_such_type(program),
                None => program_refused(program, refusal),
            };
            (number, problem)
        })?;
        for (number, (program, fd)) in programs.iter().zip(&fds).enumerate() {
            for map in program.bound() {
                bind(self.kernel, fd, &self.maps[map]).map_err(|error| {
                    (number, kernel_problem(format!("bind map.{map} to program.{}", program.name), &error))
                })?;
            }
        }
        self.programs.append(&mut programs.iter().map(|program| program.name.clone()).zip(fds).collect());
        Ok(())
    }

    /// Works out what of a request only exists while applying.
    fn ready<'p>(&mut self, program: &'p DesiredProgram) -> Result<Ready<'p>, Problem> {
        for module in program.code.modules.iter().map(|used| &used.id).chain(&program.attach_module) {
            self.open_module(module).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => stale(format!("the module `{}` was unloaded", module.name)),
                _ => kernel_problem(format!("open the types of the module `{}`", module.name), &error),
            })?;
        }
        let mut insns = program.code.patched(|index| self.kernel.number(&self.maps[program.map(index)]));
        let fd_array =
            program.code.name_modules(&mut insns, |module| self.kernel.number(&self.modules[&module.btf_id]));
        Ok(Ready {
            name: crate::desired::kernel_name(&program.function),
            insns,
            fd_array,
            funcs: self.btfs[&program.object].records(program),
            attach_btf_id: match &program.extends {
                Some(extends) => self.function_of(program, extends)?,
                None => program.attach_btf_id,
            },
        })
    }

    /// Opens the types of a module, once.
    fn open_module(&mut self, module: &ModuleId) -> io::Result<()> {
        if !self.modules.contains_key(&module.btf_id) {
            let fd = self.kernel.btf_by_id(module.btf_id)?;
            self.modules.insert(module.btf_id, fd);
        }
        Ok(())
    }

    /// Finds the function that an extension replaces in the types that its target was loaded with: a program that runs
    /// since another day may have been loaded with other types of the same code.
    fn function_of(&self, program: &DesiredProgram, extends: &Extends) -> Result<TypeId, Problem> {
        let doing = || format!("read the BTF of program.{}", extends.program);
        let found = function_named(self.kernel, &self.programs[&extends.program], &extends.function);
        found.map_err(|error| kernel_problem(doing(), &error))?.ok_or_else(|| {
            let why = format!(
                "program.{} was loaded without types that tell its function `{}`",
                extends.program, extends.function
            );
            let kind = Kind::NotLoadable { function: program.function.clone(), refusal: why.into() };
            Problem::at(kind, program.span.clone(), "this program")
        })
    }
}

/// Makes a program hold a map that its code does not name. A kernel that cannot do that runs the program without.
fn bind<K: Kernel>(kernel: &mut K, program: &K::Fd, map: &K::Fd) -> io::Result<()> {
    match kernel.bind_map(program, map) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        bound => bound,
    }
}

/// Finds a function in the types that a program was loaded with, by its name. Where several have it, it is one that others
/// may see, as the kernel replaces no other, and of these the one that the program has: what calls the same function as
/// programs of other types may have types of its own for it ([`super::contexts`]).
pub(super) fn function_named<K: Kernel>(kernel: &K, program: &K::Fd, function: &str) -> io::Result<Option<TypeId>> {
    let id = kernel.program_info(program)?.btf_id;
    let bytes = if id == 0 { Vec::new() } else { kernel.btf(id)? };
    let Ok(btf) = Btf::parse(&bytes) else { return Ok(None) };
    let is_global = |ty: &Type| matches!(ty, Type::Func { linkage: Linkage::Global, .. });
    let named = btf.types().filter(|(_, ty)| ty.kind() == btf::Kind::Func && ty.name() == Some(function));
    let (global, local): (Vec<_>, Vec<_>) = named.partition(|(_, ty)| is_global(ty));
    let ids: Vec<TypeId> = global.into_iter().chain(local).map(|(id, _)| id).collect();
    if ids.len() < 2 {
        return Ok(ids.first().copied());
    }
    let records = kernel.program_code(program)?.funcs;
    Ok(ids.into_iter().find(|id| records.iter().any(|record| record.type_id == *id)))
}

/// What of a request for a program is not in the plan.
struct Ready<'p> {
    name: String,
    /// With the descriptors of the maps and modules.
    insns: Vec<Insn>,
    /// Descriptors of modules, as calls count them.
    fd_array: Vec<i32>,
    funcs: Cow<'p, [FuncRecord]>,
    attach_btf_id: TypeId,
}

/// Returns the programs of the steps up to the first that is none, or that needs one of those before it.
pub(super) fn independent_programs(steps: &[Step]) -> Vec<&DesiredProgram> {
    let mut programs: Vec<&DesiredProgram> = Vec::new();
    for step in steps {
        let Action::LoadProgram { program, .. } = &step.action else { break };
        let target = program.extends.as_ref().map(|extends| &extends.program);
        if target.is_some_and(|target| programs.iter().any(|before| before.name == *target)) {
            break;
        }
        programs.push(program);
    }
    programs
}

fn btf_refused(program: &DesiredProgram, refusal: LoadError) -> Problem {
    let kind = Kind::BtfRefused {
        object: program.object.clone(),
        errno: refusal.error.raw_os_error().unwrap_or(0),
        without: None,
        log: refusal.log,
    };
    Problem::at(kind, program.span.clone(), "this program needs it")
}

/// Makes a problem of a refused map.
fn map_refused(doing: String, map: &DesiredMap, spec: &MapSpec, error: &io::Error) -> Problem {
    // What else a kernel refuses by this number is from its own BTF: the sizes of the struct.
    let is_linked = spec.map_type == MapType::STRUCT_OPS && spec.flags & flags::LINK != 0;
    if is_linked && error.raw_os_error() == Some(libc::EINVAL) {
        let hook = Hook::StructOps { map: map.name.clone() };
        return Problem::new(Kind::NoSuchLink { hook: hook.to_string(), since: hook.may_lack() });
    }
    let mut problem = kernel_problem(doing, error);
    if let Kind::Kernel { errno: libc::EINVAL, hint, .. } = &mut *problem.kind {
        *hint = spec.map_type.may_lack(spec.flags);
    }
    problem
}

/// Returns whether a program was refused as one is whose type the kernel does not know: without a word of the verifier.
fn is_silent(refusal: &LoadError) -> bool {
    refusal.error.raw_os_error() == Some(libc::EINVAL) && refusal.log.is_empty()
}

/// Returns whether the kernel takes no program of a type that came late, not even one that only returns 1: those of all
/// such types that need nothing beside them may.
fn lacks_type<K: Kernel>(kernel: &mut K, program: &DesiredProgram) -> bool {
    let kind = &program.kind;
    let needs_nothing = [
        ProgramType::SK_REUSEPORT,
        ProgramType::FLOW_DISSECTOR,
        ProgramType::CGROUP_SYSCTL,
        ProgramType::CGROUP_SOCKOPT,
        ProgramType::SK_LOOKUP,
        ProgramType::NETFILTER,
    ];
    if !needs_nothing.contains(&kind.program_type) {
        return false;
    }
    let insns = [Insn { code: MOV_IMM, imm: 1, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let probe = kernel.load_program(&ProgramRequest {
        expected_attach_type: kind.attach_type.unwrap_or(AttachType(0)),
        ..ProgramRequest::plain("probe", kind.program_type, &insns)
    });
    probe.is_err_and(|refusal| is_silent(&refusal))
}

fn no_such_type(program: &DesiredProgram) -> Problem {
    let kind = Kind::NoProgramType { program_type: program.kind.program_type };
    Problem::at(kind, program.span.clone(), "this program has it")
}

/// Makes a problem of a refused program.
fn program_refused(program: &DesiredProgram, refusal: LoadError) -> Problem {
    let kind = Kind::ProgramRefused {
        program: program.name.clone(),
        function: program.function.clone(),
        program_type: program.kind.program_type,
        flags: program.kind.flags,
        errno: refusal.error.raw_os_error().unwrap_or(0),
        telling: Box::new(telling(&refusal.log, &program.code.unresolved)),
        log: refusal.log,
    };
    Problem::at(kind, program.span.clone(), "the kernel refuses this program")
}
