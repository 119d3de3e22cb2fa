//! What a program is for beyond its type: a type of the kernel's BTF for tracing, a member of one for struct_ops, a
//! function of another program for an extension.

use super::Extends;
use crate::btf;
use crate::elf::{Object, ProgramKind, Target};
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
}

/// Finds what in the kernel a program is for.
///
/// # Errors
/// Why there is nothing, as a sentence without capital and full stop.
pub fn place(object: &Object, program: usize, kind: &ProgramKind, target: &Target) -> Result<Place, String> {
    if kind.program_type != ProgramType::STRUCT_OPS {
        return kernel_type(kind, target).map(|type_id| Place { type_id, ..Place::default() });
    }
    if target.offline {
        return Ok(Place::default());
    }
    let operation = object.operation(program, target)?;
    Ok(Place { type_id: operation.type_id, member: Some(operation.member), name: Some(operation.name) })
}

/// Finds the type of the kernel that a program is for; 0 when it is for none, and without a kernel.
///
/// The names are those of `btf_get_kernel_prefix_kind` in libbpf.
fn kernel_type(kind: &ProgramKind, target: &Target) -> Result<u32, String> {
    match kind.program_type {
        program_type if !names_kernel_type(program_type) || target.offline => return Ok(0),
        _ => {}
    }
    let Some(name) = &kind.target else {
        return Err("its section does not say what it attaches to, as `fentry/FUNCTION` does; `target` can".to_owned());
    };
    let (prefix, wanted, what) = match kind.attach_type {
        Some(AttachType::TRACE_RAW_TP) => ("btf_trace_", btf::Kind::Typedef, "tracepoint"),
        Some(AttachType::TRACE_ITER) => ("bpf_iter_", btf::Kind::Func, "iterator"),
        Some(AttachType::LSM_MAC | AttachType::LSM_CGROUP) => ("bpf_lsm_", btf::Kind::Func, "security hook"),
        Some(_) | None => ("", btf::Kind::Func, "function"),
    };
    let Some(types) = &target.types else {
        return Err(format!("this kernel has no BTF, by which the {what} `{name}` could be found"));
    };
    match types.find(wanted, &format!("{prefix}{name}")) {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(format!("this kernel has no {what} `{name}`; modules are not supported yet")),
        Err(error) => Err(format!("the types of the kernel cannot be read: {error}")),
    }
}
