//! What a program is for beyond its type: a type of the kernel's BTF for tracing, a member of one for struct_ops, a
//! function of another program for an extension.

use super::Extends;
use crate::btf;
use crate::elf::{self, Object, ProgramKind, Refusal, Target};
use crate::insn::ModuleId;
use crate::kinds::{AttachType, ProgramType};
use crate::manifest::ProgramTarget;

/// A program's kind, and what it extends.
pub struct Aim {
    /// Its kind, with the target that counts.
    pub kind: ProgramKind,
    /// The function that it replaces, when it is an extension.
    pub extends: Option<Extends>,
}

/// Returns what a program is for: by the manifest, or by the section's name.
///
/// # Errors
/// Why that cannot be, as a sentence without capital and full stop.
pub fn aim(mut kind: ProgramKind, said: Option<&ProgramTarget>) -> Result<Aim, String> {
    let is_extension = kind.program_type == ProgramType::EXT;
    match said {
        Some(ProgramTarget::Function { program, function }) if is_extension => {
            let Some(function) = function.clone().or_else(|| kind.target.clone()) else {
                return Err(format!("nothing says which function of program.{program} it replaces: {EXTENSION_HINT}"));
            };
            kind.target = Some(function.clone());
            Ok(Aim { kind, extends: Some(Extends { program: program.clone(), function }) })
        }
        Some(ProgramTarget::Kernel(_)) | None if is_extension => {
            Err(format!("nothing says which program's function it replaces: {EXTENSION_HINT}"))
        }
        Some(ProgramTarget::Function { .. }) => {
            Err(format!("only `ext` programs replace a function of another program, and it is `{}`", kind.program_type))
        }
        Some(ProgramTarget::Kernel(_)) if !TARGETED.contains(&kind.program_type) => {
            Err(format!("programs of type `{}` have no target in the kernel", kind.program_type))
        }
        Some(ProgramTarget::Kernel(name)) => {
            kind.target = Some(name.clone());
            Ok(Aim { kind, extends: None })
        }
        None => Ok(Aim { kind, extends: None }),
    }
}

const EXTENSION_HINT: &str = "`target = \"program.NAME:FUNCTION\"` does";

/// Types of programs that are for something in the kernel that has a name.
const TARGETED: &[ProgramType] = &[
    ProgramType::TRACING,
    ProgramType::LSM,
    ProgramType::KPROBE,
    ProgramType::TRACEPOINT,
    ProgramType::RAW_TRACEPOINT,
    ProgramType::RAW_TRACEPOINT_WRITABLE,
];

/// Tells whether programs of this type name a type of the kernel.
pub fn names_kernel_type(program_type: ProgramType) -> bool {
    matches!(program_type, ProgramType::TRACING | ProgramType::LSM | ProgramType::STRUCT_OPS)
}

/// A place in the kernel's BTF that a program is for.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The type; 0 for none, and without a kernel.
    pub type_id: u32,
    /// The member of that type, for a struct_ops program.
    pub member: Option<u32>,
    /// What both are called, where the section does not say it for certain.
    pub name: Option<String>,
    /// The module that has the type; `None` for the kernel itself.
    pub module: Option<ModuleId>,
}

/// Finds what in the kernel a program is for.
///
/// # Errors
/// Why there is nothing.
pub fn place(object: &Object, program: usize, kind: &ProgramKind, target: &Target) -> Result<Place, Refusal> {
    if kind.program_type != ProgramType::STRUCT_OPS {
        return kernel_type(kind, target);
    }
    if target.offline {
        return Ok(Place::default());
    }
    let operation = object.operation(program, target)?;
    let elf::Operation { type_id, member, name, module } = operation;
    Ok(Place { type_id, member: Some(member), name: Some(name), module })
}

/// How a program names a type of the kernel.
struct Wanted<'a> {
    /// What is sought, for messages.
    what: &'static str,
    /// The name without what the kernel puts before it.
    name: &'a str,
    kind: btf::Kind,
    full: String,
    /// Where alone it may be: `vmlinux` or a module.
    owner: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Reads `[OWNER:]NAME`; the names are those of `btf_get_kernel_prefix_kind` in libbpf.
    fn read(attach_type: Option<AttachType>, target: &'a str) -> Self {
        let (prefix, kind, what) = match attach_type {
            Some(AttachType::TRACE_RAW_TP) => ("btf_trace_", btf::Kind::Typedef, "tracepoint"),
            Some(AttachType::TRACE_ITER) => ("bpf_iter_", btf::Kind::Func, "iterator"),
            Some(AttachType::LSM_MAC | AttachType::LSM_CGROUP) => ("bpf_lsm_", btf::Kind::Func, "security hook"),
            Some(_) | None => ("", btf::Kind::Func, "function"),
        };
        let (owner, name) = match target.split_once(':') {
            Some((owner, name)) => (Some(owner), name),
            None => (None, target),
        };
        Self { what, name, kind, full: format!("{prefix}{name}"), owner }
    }

    fn find<'t>(&self, target: &'t Target) -> Result<Option<elf::Found<'t>>, btf::Error> {
        match self.owner {
            None => target.find(self.kind, &self.full),
            Some(KERNEL) => Ok(target.find(self.kind, &self.full)?.filter(|found| found.module.is_none())),
            Some(module) => target.find_in_module(self.kind, &self.full, module),
        }
    }
}

/// What stands before a name that only the kernel itself may have.
const KERNEL: &str = "vmlinux";

/// Tells what of the kernel's types a program is for, beyond what its code needs.
pub fn needs(object: &Object, kind: &ProgramKind) -> elf::Needs {
    if !names_kernel_type(kind.program_type) {
        return elf::Needs::default();
    }
    if kind.program_type == ProgramType::STRUCT_OPS {
        return object.struct_ops_needs();
    }
    let mut needs = elf::Needs { types: true, ..elf::Needs::default() };
    if let Some(target) = &kind.target {
        let wanted = Wanted::read(kind.attach_type, target);
        match wanted.owner {
            None => drop(needs.names.insert((wanted.kind, wanted.full))),
            Some(owner) => needs.modules = owner != KERNEL,
        }
    }
    needs
}

/// Finds the type of the kernel that a program is for; none when it is for none, and without a kernel.
fn kernel_type(kind: &ProgramKind, target: &Target) -> Result<Place, Refusal> {
    if !names_kernel_type(kind.program_type) || target.offline {
        return Ok(Place::default());
    }
    let Some(name) = &kind.target else {
        return Err("its section does not say what it attaches to, as `fentry/FUNCTION` does; `target` can".into());
    };
    let wanted = Wanted::read(kind.attach_type, name);
    let (what, name) = (wanted.what, wanted.name);
    if target.types.is_none() {
        let why = format!("this kernel has no BTF, by which the {what} `{name}` could be found");
        return Err(Refusal::of_kernel(why));
    }
    let lacks = match (wanted.find(target), wanted.owner) {
        (Ok(Some(found)), _) => {
            return Ok(Place { type_id: found.id, module: found.module.cloned(), ..Place::default() });
        }
        (Ok(None), None) => format!("this kernel has no {what} `{name}`{}", target.modules.note()),
        (Ok(None), Some(KERNEL)) => format!("this kernel itself has no {what} `{name}`"),
        (Ok(None), Some(module)) if target.modules.known().iter().any(|known| known.id.name == module) => {
            format!("the module `{module}` has no {what} `{name}`")
        }
        (Ok(None), Some(module)) => {
            format!("the module `{module}`, for whose {what} `{name}` it is, is not loaded or has no types")
        }
        (Err(error), _) => return Err(format!("the types of the kernel cannot be read: {error}").into()),
    };
    Err(Refusal::of_kernel(lacks))
}
