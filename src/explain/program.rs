//! What differs of a program: what makes its fingerprint (`desired::identity`), part by part, and its code.
//!
//! The instructions of a running program went through the verifier, which writes them anew. So they are compared with
//! what the verifier made of the new ones, when it was asked. Without it, the source lines are compared that have code.

use super::map::{changed_constants, observed};
use super::{Basis, CodeChange, Explained, Field, Given, maps_by_id};
use crate::btf::{Btf, Type, TypeId};
use crate::desired::{DesiredProgram, MapSource, ObjectFacts};
use crate::elf::DataKind;
use crate::insn::disassemble::Operand;
use crate::insn::listing::{self, Function, Program};
use crate::insn::{CALL, Code, PSEUDO_CALL, helpers};
use crate::kinds::GPL_LICENSES;
use crate::names::hex;
use crate::observed::{LoadedCode, ObservedProgram, Pinned};
use crate::plan::{Action, Because, Mode, Step};
use std::collections::BTreeMap;

/// Adds what a step changes of a program.
pub fn differences(given: &Given<'_>, step: &Step, explained: &mut Explained) {
    let Action::LoadProgram { program, replaces } = &step.action else { return };
    let running = replaces.and_then(|id| given.codes.running.get(&id));
    if let Some(found) = found(given, program, *replaces) {
        let before = explained.fields.len();
        explained.fields.extend(fields(given, program, found, running));
        explained.variables.extend(constants(given, program));
        let is_known = explained.fields.len() > before || !explained.variables.is_empty();
        if !is_known && step.because == Because::CodeChanged {
            let what = "nothing that the kernel tells of a program differs: what is left is its attach type, its target, \
                        its flags, or the version of its object";
            explained.notes.push(what.to_owned());
        }
    }
    if let Some(why) = replaces.and_then(|id| given.codes.unread.get(&id)) {
        explained.notes.push(format!("the code that runs cannot be read: {why}"));
    }
    let tag = found(given, program, *replaces).and_then(|found| has_tag(&program.code, found.info.tag));
    let (code, note) = code(given, program, (replaces.is_some(), running), tag == Some(true));
    explained.notes.extend(note);
    explained.code = Some(code);
}

fn found<'a>(given: &Given<'a>, program: &DesiredProgram, replaces: Option<u32>) -> Option<&'a ObservedProgram> {
    match given.observed.pins.get(&program.pin)? {
        Pinned::Program(found) if Some(found.info.id) == replaces => Some(found),
        Pinned::Program(_) | Pinned::Map(_) | Pinned::Link(_) => None,
    }
}

/// Compares what the kernel tells of the program that runs with what is wanted.
fn fields(
    given: &Given<'_>,
    program: &DesiredProgram,
    found: &ObservedProgram,
    running: Option<&LoadedCode>,
) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut field = |name: &str, is: String, becomes: String| {
        if is != becomes {
            fields.push(Field::new(name, is, becomes));
        }
    };
    if has_tag(&program.code, found.info.tag) == Some(false) {
        field(
            "instructions",
            format!("tag {}", hex(&found.info.tag)),
            format!("others, {} of them", program.code.insns.len()),
        );
    }
    let names = maps_by_id(given);
    let name = |id: &u32| names.get(id).cloned().unwrap_or_else(|| format!("map id {id}"));
    let mut are: Vec<String> = found.info.map_ids.iter().map(name).collect();
    are.sort_unstable();
    let wanted: Vec<String> = program.uses().into_iter().map(|map| format!("map.{map}")).collect();
    field("maps", list(&are), list(&wanted));
    field("type", found.info.program_type.to_string(), program.kind.program_type.to_string());
    if let Some(running) = running {
        let gpl = |is: bool| if is { "for the GPL" } else { "not for the GPL" }.to_owned();
        field("license", gpl(running.code.gpl), gpl(GPL_LICENSES.contains(&&*program.license)));
    }
    fields
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Returns whether a tag is that of these instructions; `None` where nobody knows, as descriptors of modules are in it.
fn has_tag(code: &Code, tag: [u8; 8]) -> Option<bool> {
    code.modules.is_empty().then(|| code.tags().contains(&tag))
}

/// Compares the constants that the program uses.
fn constants(given: &Given<'_>, program: &DesiredProgram) -> Vec<Field> {
    let mut fields = Vec::new();
    for name in program.uses() {
        let Some(MapSource::Defined(definition)) = given.desired.maps.get(name).map(|map| &map.source) else {
            continue;
        };
        let Some((DataKind::Rodata, bytes)) = &definition.data else { continue };
        let Some(found) = observed(given.observed, &definition.pin) else { continue };
        let Some(was) = found.frozen_value.as_deref().filter(|_| !definition.sensitive) else { continue };
        let changed = changed_constants((found.spec.types.as_ref(), was), (definition.spec.types.as_ref(), bytes));
        fields.extend(changed);
    }
    fields
}

/// Compares the code, as far as it can be; with what there is to say of that. `is_there` when a program loses its place,
/// whether its code could be read or not; `is_same` when the kernel's tag tells that the instructions are those that were
/// loaded, but for the maps that they name.
fn code(
    given: &Given<'_>,
    program: &DesiredProgram,
    (is_there, running): (bool, Option<&LoadedCode>),
    is_same: bool,
) -> (CodeChange, Option<String>) {
    let names = maps_by_id(given);
    let coming = program.code.insns.len();
    let facts = given.plan.objects.get(&program.object).map(AsRef::as_ref);
    let ask = "`--dry-run=verify` compares instructions, as this kernel's verifier leaves them";
    match (running, given.codes.loaded.get(&program.name)) {
        (Some(running), Some(loaded)) => {
            let functions = listing::compare(&loaded_functions(running, &names), &loaded_functions(loaded, &names));
            let note = functions.is_empty().then(|| "the verifier makes the same instructions of both".to_owned());
            let (running, coming) = (Some(running.code.insns.len()), loaded.code.insns.len());
            (CodeChange { compared: Basis::Instructions, running, coming, functions }, note)
        }
        (Some(running), None) => {
            let functions = listing::compare(&sources_of(running), &sources(facts, &program.code));
            let note = if is_same {
                "the instructions are the same, but for the maps that they name".to_owned()
            } else if functions.is_empty() {
                format!("no source line with code differs: a macro, a type or the compiler does; {ask}")
            } else {
                format!("lines whose code the verifier found unreachable do not run, and count as new; {ask}")
            };
            let running = Some(running.code.insns.len());
            (CodeChange { compared: Basis::Sources, running, coming, functions }, Some(note))
        }
        (None, loaded) => {
            let functions = match loaded {
                Some(loaded) => loaded_functions(loaded, &names),
                None => {
                    let map = |number| format!("map.{}", program.map(number));
                    facts.map_or_else(Vec::new, |facts| listed((&facts.types, &facts.described), &program.code, &map))
                }
            };
            let coming = loaded.map_or(coming, |loaded| loaded.code.insns.len());
            let note = match given.plan.mode {
                Mode::Offline => Some("there is nothing to compare it with: what runs is not known offline"),
                Mode::Against { .. } if is_there => {
                    Some("there is nothing to compare it with: an exported state has no code of programs")
                }
                Mode::Live if is_there => None,
                Mode::Live | Mode::Against { .. } => {
                    Some("there is nothing to compare it with: nothing runs in its place")
                }
            };
            let functions = listing::list(&functions);
            (CodeChange { compared: Basis::Nothing, running: None, coming, functions }, note.map(str::to_owned))
        }
    }
}

/// Writes the code of an object as lines: `btf` has its types, `described` those behind them, and `map` names the maps by
/// their numbers.
pub fn listed((btf, described): (&Btf, &[Type]), code: &Code, map: &dyn Fn(usize) -> String) -> Vec<Function> {
    let insns = code.patched(|_| 0);
    let sites: BTreeMap<usize, String> = code.sites.iter().map(|site| (site.insn, map(site.map))).collect();
    let function = |id: TypeId| function_name(btf, described, id);
    let program = Program { insns: &insns, funcs: &code.funcs, lines: &code.lines, btf, function: &function };
    listing::functions(&program, &|operand| match operand {
        Operand::Helper(number) => helpers::name(number).map(|name| format!("bpf_{name}")),
        Operand::Map { insn, .. } => sites.get(&insn).cloned(),
        Operand::KernelFunction { .. } | Operand::KernelType(_) | Operand::Address(_) | Operand::Function(_) => None,
    })
}

fn sources(facts: Option<&ObjectFacts>, code: &Code) -> Vec<Function> {
    let Some(facts) = facts else { return Vec::new() };
    let function = |id: TypeId| function_name(&facts.types, &facts.described, id);
    let Code { insns, funcs, lines, .. } = code;
    listing::sources(&Program { insns, funcs, lines, btf: &facts.types, function: &function })
}

fn sources_of(loaded: &LoadedCode) -> Vec<Function> {
    let function = |id: TypeId| function_name(&loaded.types, &[], id);
    let code = &loaded.code;
    let (insns, funcs, lines) = (&code.insns[..], &code.funcs[..], &code.lines[..]);
    listing::sources(&Program { insns, funcs, lines, btf: &loaded.types, function: &function })
}

/// Returns the name of a function by its type; `described` are types behind those of the object.
fn function_name(btf: &Btf, described: &[Type], id: TypeId) -> Option<String> {
    let behind = || described.get((id as usize).checked_sub(btf.types().len())?);
    btf.get(id).or_else(behind)?.name().map(str::to_owned)
}

/// Writes code that went through the verifier as lines; `names` are those of maps by id.
fn loaded_functions(loaded: &LoadedCode, names: &BTreeMap<u32, String>) -> Vec<Function> {
    let mut insns = loaded.code.insns.clone();
    for insn in insns.iter_mut().filter(|insn| insn.code == CALL && insn.regs.src() == PSEUDO_CALL) {
        insn.imm = insn.off.into();
    }
    let function = |id: TypeId| function_name(&loaded.types, &[], id);
    let code = &loaded.code;
    let program =
        Program { insns: &insns, funcs: &code.funcs, lines: &code.lines, btf: &loaded.types, function: &function };
    let map = |number: i32| {
        let id = number.cast_unsigned();
        loaded.maps.get(&id).or_else(|| names.get(&id)).cloned().unwrap_or_else(|| format!("map id {id}"))
    };
    listing::functions(&program, &|operand| match operand {
        Operand::Helper(imm) | Operand::KernelFunction { btf_id: imm, .. } => loaded.symbols.get(&imm).cloned(),
        Operand::Map { number, .. } => Some(map(number)),
        // Another one each time that a program is loaded.
        Operand::Address(_) => Some("address of the kernel".to_owned()),
        Operand::KernelType(_) | Operand::Function(_) => None,
    })
}
