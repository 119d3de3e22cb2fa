//! Requests to the kernel that ask for little; tests change what they are about.

use bpfapply::insn::Insn;
use bpfapply::kernel::{MapRequest, ProgramRequest};
use bpfapply::kinds::{AttachType, MapType, ProgramType};

/// Asks for a map; the sizes are those of a key and of a value, and the most entries.
pub fn map<Fd>(name: &str, map_type: MapType, sizes: (u32, u32, u32)) -> MapRequest<'_, Fd> {
    MapRequest {
        name,
        map_type,
        key_size: sizes.0,
        value_size: sizes.1,
        max_entries: sizes.2,
        flags: 0,
        numa_node: 0,
        map_extra: 0,
        inner: None,
        types: None,
        kernel_type: 0,
        module: None,
    }
}

/// Asks for a program without BTF.
pub fn program<'a, Fd>(name: &'a str, program_type: ProgramType, insns: &'a [Insn]) -> ProgramRequest<'a, Fd> {
    ProgramRequest {
        name,
        program_type,
        expected_attach_type: AttachType(0),
        flags: 0,
        insns,
        license: "GPL",
        kernel_version: 0,
        attach_btf_id: 0,
        attach_to: None,
        fd_array: &[],
        btf: None,
        funcs: &[],
        lines: &[],
    }
}
