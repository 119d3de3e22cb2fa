//! What in the kernel a tracing program is for: it is loaded for one type of the kernel's BTF.

use crate::btf;
use crate::elf::{ProgramKind, Target};
use crate::kinds::{AttachType, ProgramType};

/// Tells whether programs of this type name a type of the kernel.
pub fn names_kernel_type(program_type: ProgramType) -> bool {
    matches!(program_type, ProgramType::TRACING | ProgramType::LSM)
}

/// Finds the type of the kernel that a program is for; 0 when it is for none, and without a kernel.
///
/// The names are those of `btf_get_kernel_prefix_kind` in libbpf.
///
/// # Errors
/// Why there is none, as a sentence without capital and full stop.
pub fn kernel_type(kind: &ProgramKind, target: &Target) -> Result<u32, String> {
    match kind.program_type {
        ProgramType::EXT => return Err("programs that replace a function of another one are not supported yet".into()),
        ProgramType::STRUCT_OPS => return Err("struct_ops programs are not supported yet".to_owned()),
        program_type if !names_kernel_type(program_type) || target.offline => return Ok(0),
        _ => {}
    }
    let Some(name) = &kind.target else {
        return Err("its section does not say what it attaches to, as `fentry/FUNCTION` does".to_owned());
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
