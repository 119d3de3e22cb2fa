//! Reads the code of programs that are loaded, with what makes it readable: types, and the names of what is called.

use super::Kernel;
use crate::btf::Btf;
use crate::explain::Codes;
use crate::insn::{CALL, Insn, PSEUDO_CALL};
use crate::names::{Address, MapName, ProgramName};
use crate::observed::LoadedCode;
use crate::plan::{Action, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// The symbol from which the verifier counts how far a helper is away.
const CALL_BASE: &str = "__bpf_call_base";

/// Reads the programs that a plan replaces, of those that are asked for. What may not be read is left out, with why.
pub fn running<K: Kernel>(kernel: &K, plan: &Plan, asked: &BTreeSet<Address>) -> Codes {
    let mut codes = Codes::default();
    for step in plan.steps.iter().filter(|step| asked.contains(&step.action.address())) {
        let Action::LoadProgram { replaces: Some(id), .. } = &step.action else { continue };
        match kernel.program_by_id(*id).and_then(|program| read(kernel, &program)) {
            Ok(code) => drop(codes.running.insert(*id, code)),
            Err(error) => drop(codes.unread.insert(*id, error.to_string())),
        }
    }
    codes
}

/// Adds programs that were loaded to see what becomes of them, of those that are asked for, and the names of what all call.
///
/// # Errors
/// When the kernel does not tell what it was just given.
pub fn add_rehearsed<K: Kernel>(
    kernel: &K,
    codes: &mut Codes,
    asked: &BTreeSet<Address>,
    programs: &BTreeMap<ProgramName, K::Fd>,
    maps: &BTreeMap<MapName, K::Fd>,
) -> io::Result<()> {
    let mut names = BTreeMap::new();
    for (name, map) in maps {
        names.insert(kernel.map_info(map)?.id, format!("map.{name}"));
    }
    for (name, program) in programs.iter().filter(|(name, _)| asked.contains(&Address::Program((*name).clone()))) {
        let code = LoadedCode { maps: names.clone(), ..read(kernel, program)? };
        codes.loaded.insert(name.clone(), code);
    }
    name_calls(kernel, codes)
}

/// Reads a loaded program's code.
fn read<K: Kernel>(kernel: &K, program: &K::Fd) -> io::Result<LoadedCode> {
    let types = match kernel.program_info(program)?.btf_id {
        0 => Btf::default(),
        id => Btf::parse(&kernel.btf(id)?).map_err(io::Error::other)?,
    };
    let code = kernel.program_code(program)?;
    Ok(LoadedCode { code, types: Arc::new(types), symbols: BTreeMap::new(), maps: BTreeMap::new() })
}

/// Finds the names of all helpers and functions of the kernel that are called.
fn name_calls<K: Kernel>(kernel: &K, codes: &mut Codes) -> io::Result<()> {
    let base = kernel.symbols(&BTreeSet::from([CALL_BASE.to_owned()]))?;
    let Some(base) = base.get(CALL_BASE).and_then(|addresses| addresses.first().copied()) else { return Ok(()) };
    let address = |imm: i32| base.wrapping_add_signed(i64::from(imm));
    let all = || codes.running.values().chain(codes.loaded.values());
    let called: BTreeSet<i32> = all().flat_map(|code| &code.code.insns).filter_map(called).collect();
    let found = kernel.symbols_at(&called.iter().map(|imm| address(*imm)).collect())?;
    let names = called.iter().filter_map(|imm| Some((*imm, found.get(&address(*imm))?.clone())));
    let names: BTreeMap<i32, String> = names.collect();
    for code in codes.running.values_mut().chain(codes.loaded.values_mut()) {
        code.symbols = names.clone();
    }
    Ok(())
}

/// Returns how far away what an instruction calls is, unless it is of the program itself.
fn called(insn: &Insn) -> Option<i32> {
    (insn.code == CALL && insn.regs.src() != PSEUDO_CALL).then_some(insn.imm)
}
