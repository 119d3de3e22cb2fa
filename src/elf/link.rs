//! Linking: one program's instructions, its subprograms behind them, and the places that name maps.
//!
//! The order is libbpf's (`bpf_object__reloc_code`): depth first along the instructions, each subprogram behind all
//! code so far on its first use. The kernel's tag of a program then is the same, whoever loads it.

use super::code::{CodeSection, Function, Reference, Sections, Target};
use super::core::{Applied, Relocator, apply};
use super::{Error, Object, Refusal, data, externs, target};
use crate::btf::{Btf, Type, TypeId};
use crate::insn::{
    CALL, Code, FuncRecord, Insn, LineRecord, ModuleId, PSEUDO_BTF_ID, PSEUDO_CALL, PSEUDO_FUNC, PSEUDO_KFUNC_CALL,
    Site, SiteKind, Unresolved, UsedModule,
};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

/// `BPF_COMPLEXITY_LIMIT_INSNS`: the most instructions that the kernel looks at.
const MAX_INSNS: usize = 1_000_000;
/// `BPF_MAX_SUBPROGS`: the most functions that the kernel takes. Also how deep this recursion goes.
const MAX_FUNCTIONS: usize = 256;

/// How `__exception_cb` of `bpf_experimental.h` tags a program: this, and the name of a function.
const EXCEPTION_CALLBACK: &str = "exception_callback:";

/// What to do about a symbol that another object defines.
const ELSEWHERE: &str = "link it with the object that defines it (`bpftool gen object`), or where the kernel defines \
                         it declare it `extern ... __ksym`, and compile with `-g`";

/// What to do about a variable that `-fcommon` leaves to a linker, which objects for BPF never see.
const COMMON: &str = "initialise it (`= 0`), or compile with `-fno-common`";

/// Where LLVM puts the targets of indirect jumps, since version 22.
const JUMP_TABLES: &str = ".jumptables";

/// A function by its section and first instruction.
type Place = (usize, usize);

/// Finds the functions that the kernel calls when programs throw, by the types of the programs. A tag of the program's
/// type names the function, and no instruction does.
///
/// With two tags there is none, as in libbpf (`bpf_prog_assign_exc_cb`): the verifier refuses such a program.
pub(super) fn exception_callbacks(btf: &Btf, sections: &Sections) -> HashMap<TypeId, Result<Place, String>> {
    let mut named: HashMap<TypeId, Vec<&str>> = HashMap::new();
    for (_, ty) in btf.types() {
        if let Type::DeclTag { name, ty: program, component: None, .. } = ty
            && let Some(function) = name.strip_prefix(EXCEPTION_CALLBACK)
        {
            named.entry(*program).or_default().push(function);
        }
    }
    if named.is_empty() {
        return HashMap::new();
    }
    let mut places: HashMap<&str, Place> = HashMap::new();
    for (number, section) in sections.list.iter().enumerate() {
        let global = section.functions.iter().filter(|(_, function)| !function.local && !function.hidden);
        for (start, function) in global {
            for name in iter::once(&function.name).chain(&function.aliases) {
                places.entry(name).or_insert((number, *start));
            }
        }
    }
    let callbacks = named.into_iter().filter_map(|(program, names)| {
        let [name] = names[..] else { return None };
        let missing = || format!("the exception callback `{name}` is no global function of this object");
        Some((program, places.get(name).copied().ok_or_else(missing)))
    });
    callbacks.collect()
}

/// A relocation against a kernel's types takes as long as this many instructions.
const CORE_WEIGHT: usize = 32;

impl Object {
    /// Estimates how long it takes to link all programs, in instructions that are copied.
    pub fn weight(&self) -> usize {
        let code = &self.image.sections;
        let insns: usize = code.list.iter().map(|section| section.insns.len()).sum();
        insns + CORE_WEIGHT * code.asked.len()
    }

    /// Gives back what only linking needs. From then on there is no program to be linked.
    pub fn drop_code(&mut self) {
        if let Some(image) = Arc::get_mut(&mut self.image) {
            (image.sections, image.entries) = (Sections::default(), Vec::new());
        }
    }
}

/// Links programs of one object for one target.
pub struct Linking<'a> {
    object: &'a Object,
    target: &'a target::Target,
    /// None when the object has no types, and when no kernel was asked.
    core: Option<Relocator<'a>>,
}

impl<'a> Linking<'a> {
    pub(super) fn new(object: &'a Object, target: &'a target::Target) -> Self {
        let unknown = target.offline && target.core.is_none();
        let local = object.btf.as_deref().filter(|_| !unknown);
        let core = local.map(|local| Relocator::new(local, target, &object.image.sections.asked));
        Self { object, target, core }
    }

    /// Makes the final instructions of a program, as [`Object::link`].
    ///
    /// # Errors
    /// As for that.
    pub fn link(&mut self, program: usize) -> Result<Code, Vec<Error>> {
        let Some(entry) = self.object.image.entries.get(program) else {
            return Err(vec![Error::new(format!("the object has no program number {program}"))]);
        };
        if let Some(core) = &mut self.core {
            core.start_program();
        }
        let mut linker = Linker::new(self.object, self.target, self.core.as_mut());
        linker.program(*entry);
        linker.finish()
    }
}

/// What a program takes from a kernel.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Whether it has CO-RE relocations.
    pub core: bool,
    /// The types that these look for, in the object's BTF.
    pub types: BTreeSet<TypeId>,
    /// The externs, as indices of [`Object::externs`].
    pub externs: BTreeSet<usize>,
}

/// Tells what a program, with all functions that linking it places, takes from a kernel.
pub(super) fn uses(object: &Object, program: usize) -> Uses {
    let image = &object.image;
    let has_any = !object.externs.is_empty() || image.sections.list.iter().any(|section| !section.core.is_empty());
    let Some(entry) = image.entries.get(program).filter(|_| has_any) else { return Uses::default() };
    let offline = target::Target::offline();
    let mut linker = Linker::new(object, &offline, None);
    linker.program(*entry);
    let mut uses = Uses::default();
    for (number, start) in linker.placed.keys() {
        let section = &image.sections.list[*number];
        let len = section.functions.get(start).map_or(0, |function| function.len);
        for (_, asked) in section.core.range(*start..start + len) {
            uses.core = true;
            let asked = &image.sections.asked[*asked as usize];
            if asked.is_sought() {
                uses.types.insert(asked.ty);
            }
        }
    }
    uses.externs = linker.externs;
    uses
}

struct Linker<'a, 'b> {
    object: &'a Object,
    target: &'a target::Target,
    /// None when CO-RE relocations stay as they are.
    core: Option<&'b mut Relocator<'a>>,
    code: Code,
    /// The externs so far.
    externs: BTreeSet<usize>,
    /// The functions so far, with their first instruction in `code`.
    placed: BTreeMap<Place, usize>,
    described: Described,
    errors: Vec<Error>,
}

/// How many of the functions have what the kernel wants of each or none.
#[derive(Default)]
struct Described {
    types: usize,
    lines: usize,
}

impl<'a, 'b> Linker<'a, 'b> {
    fn new(object: &'a Object, target: &'a target::Target, core: Option<&'b mut Relocator<'a>>) -> Self {
        Self {
            object,
            target,
            core,
            code: Code::default(),
            externs: BTreeSet::new(),
            placed: BTreeMap::new(),
            described: Described::default(),
            errors: Vec::new(),
        }
    }

    /// Appends a program and everything that it uses.
    fn program(&mut self, entry: Place) {
        self.place(entry);
        let Some(section) = self.object.image.sections.list.get(entry.0) else { return };
        match section.types.get(entry.1).and_then(|program| self.object.image.exception_callbacks.get(program)) {
            None => {}
            Some(Ok(callback)) => {
                self.place(*callback);
            }
            Some(Err(what)) => {
                let what = what.clone();
                let name = section.functions.get(&entry.1).map_or("", |function| &function.name);
                self.errors.push(Error::new(what).section(&section.name).symbol(name));
            }
        }
    }

    /// Appends a function and everything that it uses, and returns its first instruction.
    fn place(&mut self, place: Place) -> Option<usize> {
        if let Some(at) = self.placed.get(&place) {
            return Some(*at);
        }
        let section = self.object.image.sections.list.get(place.0)?;
        let function = section.functions.get(&place.1)?;
        let body = section.insns.get(place.1..place.1.checked_add(function.len)?)?;
        let at = self.code.insns.len();
        if self.placed.len() == MAX_FUNCTIONS || at + body.len() > MAX_INSNS {
            self.errors.push(
                Error::new(format!("more than {MAX_FUNCTIONS} functions or {MAX_INSNS} instructions"))
                    .section(&section.name)
                    .symbol(&function.name),
            );
            return None;
        }
        self.placed.insert(place, at);
        self.code.insns.extend_from_slice(body);
        self.describe(section, place.1, function.len, at);
        self.adapt(section, function, place.1, at);
        let (mut insn, end) = (place.1, place.1 + function.len);
        let mut references = section.references.range(insn..end).peekable();
        while insn < end {
            // One for the second half of a 16-byte load is for nobody.
            while references.next_if(|(place, _)| *place < insn).is_some() {}
            let reference = references.next_if(|(place, _)| *place == insn).map(|(_, reference)| reference);
            self.relocate(section, place, function, insn, reference, at);
            insn += if section.insns[insn].is_ld_imm64() { 2 } else { 1 };
        }
        Some(at)
    }

    /// Copies the records of a function to where it is placed.
    fn describe(&mut self, section: &CodeSection, start: usize, len: usize, at: usize) {
        if let Some(ty) = section.types.get(start) {
            self.code.funcs.push(FuncRecord { insn: at as u32, type_id: *ty });
            self.described.types += 1;
        }
        self.described.lines += usize::from(section.lines.get(start).is_some());
        let lines = section.lines.range(start..start + len);
        self.code.lines.reserve(lines.len());
        for (insn, line) in lines {
            // The kernel refuses a line in the middle of a 16-byte load, whose second half has no operation.
            if section.insns[insn].code != 0 {
                self.code.lines.push(LineRecord { insn: (insn - start + at) as u32, ..*line });
            }
        }
    }

    /// Makes what a function, placed at `at`, takes from the kernel's types that of the target.
    fn adapt(&mut self, section: &'a CodeSection, function: &Function, start: usize, at: usize) {
        let Some(relocator) = &mut self.core else { return };
        let mut wrong = Vec::new();
        for (insn, asked) in section.core.range(start..start + function.len) {
            let asked = *asked as usize;
            let new = insn - start + at;
            let applied = relocator.answer(asked).and_then(|answer| {
                let applied = apply(&mut self.code.insns[new..], answer);
                applied.map_err(|what| format!("{}: {what}", relocator.describe(asked)).into())
            });
            match applied {
                Ok(Applied::Good) => {}
                Ok(Applied::Missing) => {
                    let what = format!("{} does not know {}", relocator.owner(), relocator.describe(asked));
                    self.code.unresolved.push(Unresolved { insn: new, what });
                }
                Ok(Applied::WrongSize) => {
                    let (place, owner) = (relocator.describe(asked), relocator.owner());
                    let what = format!("what is at {place} has another size in {owner} than in the object");
                    self.code.unresolved.push(Unresolved { insn: new, what });
                }
                Err(refusal) => wrong.push((insn, refusal)),
            }
        }
        for (insn, refusal) in wrong {
            self.fail(section, function, insn, refusal);
        }
    }

    /// Relocates the instruction `insn` of the section, in a function placed at `at`.
    fn relocate(
        &mut self,
        section: &'a CodeSection,
        place: Place,
        function: &Function,
        insn: usize,
        reference: Option<&Reference>,
        at: usize,
    ) {
        let original = section.insns[insn];
        let new = insn - place.1 + at;
        let outcome: Result<Option<Place>, Refusal> = match reference {
            Some(reference) if reference.target == Target::Undefined => {
                self.resolve(original, reference, new).map(|()| None)
            }
            Some(reference) if original.code == CALL => {
                self.called(original, reference).map(Some).map_err(Refusal::from)
            }
            Some(reference) if original.is_ld_imm64() && insn + 1 < place.1 + function.len => {
                self.load(original, reference, new).map_err(Refusal::from)
            }
            Some(reference) => Err(unnameable(reference).into()),
            None if original.code == CALL && original.regs.src() == PSEUDO_CALL => {
                let target = insn as i64 + 1 + i64::from(original.imm);
                self.local(place.0, target).map(Some).map_err(Refusal::from)
            }
            None if original.is_ld_imm64() && original.regs.src() == PSEUDO_FUNC => {
                Err("the address of a function is loaded without saying which".into())
            }
            None => return,
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(target)) => {
                let Some(to) = self.place(target) else { return };
                // Both are below MAX_INSNS.
                self.code.insns[new].imm = (to as i64 - new as i64 - 1) as i32;
            }
            Err(refusal) => self.fail_at(section, function, insn, reference, refusal),
        }
    }

    /// Puts what the kernel defines into the instruction `new`.
    fn resolve(&mut self, insn: Insn, reference: &Reference, new: usize) -> Result<(), Refusal> {
        let (externs, btf) = (&self.object.externs, self.object.btf.as_deref());
        let Some(index) = self.object.image.externs.get(&*reference.symbol).copied() else {
            let why = format!("`{}` is not defined in this object, nor declared as `__ksym`", reference.symbol);
            return Err(why.into());
        };
        self.externs.insert(index);
        if insn.code == CALL {
            let (mut call, module) = externs::call(insn, index, &externs[index], btf, self.target)?;
            if let Some(module) = module {
                call.off = self.module(module)?.number;
            }
            self.code.insns[new] = call;
            if call.regs.src() != PSEUDO_KFUNC_CALL {
                let what = format!("the kernel's function `{}`", externs[index].name);
                self.code.unresolved.push(Unresolved { insn: new, what });
            }
            return Ok(());
        }
        let [first, second] = self.code.insns.get_mut(new..new + 2).ok_or_else(|| unnameable(reference))? else {
            return Err(unnameable(reference).into());
        };
        if !insn.is_ld_imm64() {
            return Err(unnameable(reference).into());
        }
        (first.regs, first.imm, second.imm) = (first.regs.with_src(0), 0, 0);
        match externs::load(&externs[index], btf, self.target)? {
            externs::Loaded::Setting { offset } => {
                let map = self.object.image.settings.ok_or("the object has no settings of the kernel")?;
                self.code.sites.push(Site { insn: new, map, kind: SiteKind::Value { offset } });
            }
            externs::Loaded::Number(number) => {
                (first.imm, second.imm) = (number as i32, (number >> 32) as i32);
            }
            externs::Loaded::Type(id, module) => {
                (first.regs, first.imm) = (first.regs.with_src(PSEUDO_BTF_ID), id.cast_signed());
                if let Some(module) = module {
                    self.module(module)?.loads.push(new);
                }
            }
        }
        Ok(())
    }

    /// Returns the module among those that the code names, where it is added when it is not there yet.
    fn module(&mut self, id: &ModuleId) -> Result<&mut UsedModule, String> {
        let (externs, btf) = (&self.object.externs, self.object.btf.as_deref());
        let number = externs::module_number(externs, btf, self.target, id).ok_or_else(|| {
            format!("more modules are used than an instruction can tell apart, `{}` among them", id.name)
        })?;
        let modules = &mut self.code.modules;
        let at = modules.partition_point(|known| known.number < number);
        if modules.get(at).is_none_or(|known| known.number != number) {
            modules.insert(at, UsedModule { number, id: id.clone(), loads: Vec::new() });
        }
        Ok(&mut modules[at])
    }

    /// Finds the function of a call. Compilers count the distance in instructions, from the start of the section
    /// for a static function; for a global one the distance is -1.
    fn called(&self, insn: Insn, reference: &Reference) -> Result<Place, String> {
        let value = self.code_value(reference)?;
        if insn.regs.src() != PSEUDO_CALL {
            return Err(format!("`{}` is called as if it were a helper of the kernel", reference.symbol));
        }
        let bytes = value.1 + reference.addend + (i64::from(insn.imm) + 1) * Insn::SIZE as i64;
        self.function(value.0, bytes, reference)
    }

    /// Finds what a 16-byte load names, and returns the function, if it is one.
    fn load(&mut self, insn: Insn, reference: &Reference, new: usize) -> Result<Option<Place>, String> {
        let Target::Section { section, value } = reference.target else {
            return Err(nowhere(reference));
        };
        let image = &self.object.image;
        if image.sections.by_number.contains_key(&section) {
            let value = self.code_value(reference)?;
            let bytes = value.1 + reference.addend + i64::from(insn.imm);
            let function = self.function(value.0, bytes, reference)?;
            let regs = &mut self.code.insns[new].regs;
            *regs = regs.with_src(PSEUDO_FUNC);
            return Ok(Some(function));
        }
        let byte = value.wrapping_add_signed(reference.addend).wrapping_add_signed(insn.imm.into());
        let (map, kind) = if let Some(map) = image.data.get(&section) {
            let size = self.object.maps[*map].data.as_ref().map_or(0, Vec::len) as u64;
            let offset = u32::try_from(byte).ok().filter(|offset| u64::from(*offset) < size);
            let Some(offset) = offset else {
                return Err(format!("byte {byte:#x} of `{}` is used, which has {size} bytes", reference.symbol));
            };
            (*map, SiteKind::Value { offset })
        } else if let Some(map) = image.definitions.get(&(section, byte)) {
            (*map, SiteKind::Map)
        } else {
            let name = image.names.get(section).map_or("?", String::as_str);
            if name == data::ARENA {
                return Err(format!("`{}` lies in an arena, and the object has not just one", reference.symbol));
            }
            if name == JUMP_TABLES {
                let symbol = &reference.symbol;
                return Err(format!(
                    "`{symbol}` is a table of jumps, not supported yet: compile with `-fno-jump-tables`"
                ));
            }
            let what =
                format!("`{}` is in section `{name}`, which holds neither maps nor global variables", reference.symbol);
            return Err(what);
        };
        if let [first, second] = &mut self.code.insns[new..new + 2] {
            (first.regs, first.imm, second.imm) = (first.regs.with_src(0), 0, 0);
        }
        self.code.sites.push(Site { insn: new, map, kind });
        Ok(None)
    }

    /// Returns our number of the executable section that a reference points into, and the byte there.
    fn code_value(&self, reference: &Reference) -> Result<(usize, i64), String> {
        let Target::Section { section, value } = reference.target else {
            return Err(nowhere(reference));
        };
        let number = self.object.image.sections.by_number.get(&section);
        match (number, i64::try_from(value).ok().filter(|value| *value < 1 << 40)) {
            (Some(number), Some(value)) => Ok((*number, value)),
            _ => Err(format!("`{}` is called, and is no function", reference.symbol)),
        }
    }

    fn function(&self, section: usize, bytes: i64, reference: &Reference) -> Result<Place, String> {
        let start = usize::try_from(bytes).ok().filter(|bytes| bytes % Insn::SIZE == 0).map(|bytes| bytes / Insn::SIZE);
        let known = |start: &usize| self.object.image.sections.list[section].functions.contains_key(start);
        match start.filter(known) {
            Some(start) => Ok((section, start)),
            None => Err(format!("no function begins where `{}` is called, byte {bytes:#x}", reference.symbol)),
        }
    }

    /// Finds the function of a call within the section, which needs no relocation.
    fn local(&self, section: usize, target: i64) -> Result<Place, String> {
        let known = |start: &usize| self.object.image.sections.list[section].functions.contains_key(start);
        match usize::try_from(target).ok().filter(known) {
            Some(start) => Ok((section, start)),
            None => Err(format!("no function begins at instruction {target}, which is called here")),
        }
    }

    fn fail(&mut self, section: &CodeSection, function: &Function, insn: usize, refusal: Refusal) {
        self.fail_at(section, function, insn, None, refusal);
    }

    fn fail_at(
        &mut self,
        section: &CodeSection,
        function: &Function,
        insn: usize,
        reference: Option<&Reference>,
        refusal: impl Into<Refusal>,
    ) {
        let refusal = refusal.into();
        let symbol = reference.map_or(&function.name, |reference| &reference.symbol);
        let same = |error: &&mut Error| error.what == refusal.why && error.symbol.as_deref() == Some(symbol);
        if let Some(known) = self.errors.iter_mut().find(same) {
            known.more += 1;
            return;
        }
        let mut error = Error::new(refusal).section(&section.name).symbol(symbol).offset((insn * Insn::SIZE) as u64);
        let line = section.lines.range(0..insn + 1).next_back().map(|(_, line)| line);
        error.source = line.and_then(|line| {
            let file = self.object.btf.as_ref()?.text(line.file)?;
            Some(format!("{file}:{}", line.place.line()))
        });
        if let Some(way_out) = reference.and_then(|reference| self.way_out(reference)) {
            error = error.help(way_out);
        }
        self.errors.push(error);
    }

    /// Tells what to do about a symbol that this object does not define.
    fn way_out(&self, reference: &Reference) -> Option<&'static str> {
        match reference.target {
            Target::Undefined if self.object.image.externs.contains_key(&*reference.symbol) => None,
            Target::Undefined => Some(ELSEWHERE),
            Target::Common => Some(COMMON),
            Target::Section { .. } | Target::Nowhere => None,
        }
    }

    /// The kernel wants a type for every function or for none, and a line where each function begins.
    ///
    /// libbpf fails when only some have them; they are no use to the kernel but for messages, so here they are left out.
    fn finish(mut self) -> Result<Code, Vec<Error>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        if self.described.types != self.placed.len() {
            self.code.funcs.clear();
        }
        if self.described.lines != self.placed.len() {
            self.code.lines.clear();
        }
        self.code.sites.sort_by_key(|site| site.insn);
        Ok(self.code)
    }
}

fn unnameable(reference: &Reference) -> String {
    format!("`{}` is named by an instruction that cannot name it", reference.symbol)
}

fn nowhere(reference: &Reference) -> String {
    let symbol = &reference.symbol;
    match reference.target {
        Target::Common => format!("`{symbol}` is not initialised, and was compiled with `-fcommon`"),
        Target::Section { .. } | Target::Undefined | Target::Nowhere => {
            format!("`{symbol}` is no place in this object")
        }
    }
}
