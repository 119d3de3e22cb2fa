//! CO-RE: what the compiler knew of the kernel's types, replaced by what the kernel says of them.
//!
//! Every rule is that of libbpf's `relo_core.c`, so that the final instructions are the same: [`path`] reads where in a
//! type a relocation points, [`matching`] finds the same place in the kernel's types, [`answer`] turns both into
//! numbers, [`patch`] puts them into an instruction.
//! <https://docs.kernel.org/bpf/llvm_reloc.html>

mod answer;
mod matching;
mod patch;
mod path;

use matching::Budget;
pub(super) use matching::{compatible, same_kind};

use super::Refusal;
use super::target::{Target, candidates};
use crate::btf::kernel::KernelTypes;
use crate::btf::{Btf, Kind, Type, TypeId};
use hashbrown::HashMap;
pub(super) use patch::{Applied, apply};
use std::rc::Rc;

/// How deep a path may go (`BPF_CORE_SPEC_MAX_LEN`).
const MAX_STEPS: usize = 64;
/// How deep arrays may nest; the limit of `btf__resolve_size`.
const MAX_DEPTH: usize = 32;
/// Pointers are 64 bits wide in BPF, and in the kernels of 64 bits that this is for.
const POINTER_SIZE: u32 = 8;

/// What a relocation asks (`enum bpf_core_relo_kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Field(FieldQuestion),
    Type(TypeQuestion),
    Value(ValueQuestion),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum FieldQuestion {
    ByteOffset,
    ByteSize,
    Exists,
    Signed,
    /// How far to shift a loaded word to the left, and then to the right, to get the field.
    LeftShift,
    RightShift,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TypeQuestion {
    LocalId,
    TargetId,
    Exists,
    Size,
    Matches,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ValueQuestion {
    Exists,
    Value,
}

impl Question {
    fn of(kind: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::Field(FieldQuestion::ByteOffset),
            1 => Self::Field(FieldQuestion::ByteSize),
            2 => Self::Field(FieldQuestion::Exists),
            3 => Self::Field(FieldQuestion::Signed),
            4 => Self::Field(FieldQuestion::LeftShift),
            5 => Self::Field(FieldQuestion::RightShift),
            6 => Self::Type(TypeQuestion::LocalId),
            7 => Self::Type(TypeQuestion::TargetId),
            8 => Self::Type(TypeQuestion::Exists),
            9 => Self::Type(TypeQuestion::Size),
            10 => Self::Value(ValueQuestion::Exists),
            11 => Self::Value(ValueQuestion::Value),
            12 => Self::Type(TypeQuestion::Matches),
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Field(FieldQuestion::ByteOffset) => "the offset",
            Self::Field(FieldQuestion::ByteSize) => "the size",
            Self::Field(FieldQuestion::Exists) | Self::Type(TypeQuestion::Exists) => "the existence",
            Self::Field(FieldQuestion::Signed) => "the signedness",
            Self::Field(FieldQuestion::LeftShift | FieldQuestion::RightShift) => "the bits",
            Self::Type(TypeQuestion::LocalId | TypeQuestion::TargetId) => "the id",
            Self::Type(TypeQuestion::Size) => "the size",
            Self::Type(TypeQuestion::Matches) => "the layout",
            Self::Value(ValueQuestion::Exists) => "the existence",
            Self::Value(ValueQuestion::Value) => "the value",
        }
    }
}

/// What to do with an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The kernel has an answer.
    Known(Known),
    /// It has none. The instruction becomes one that the verifier refuses, unless nothing ever reaches it.
    Unknown,
}

/// A number of the compiler's and the kernel's number instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// What the instruction has to hold, when `check` is set.
    old: u64,
    new: u64,
    check: bool,
    /// Sizes in bytes of what a load or store accesses, where they matter, with the compiler and in the kernel.
    sizes: (u32, u32),
    /// Whether a load or store may change its size from the one to the other without changing the value.
    resizable: bool,
}

/// Types, of an object or a kernel.
pub(super) trait Types {
    fn get(&self, id: TypeId) -> Result<&Type, String>;

    /// Returns what stands behind typedefs, qualifiers and type tags.
    fn resolve(&self, id: TypeId) -> Result<TypeId, String>;

    fn resolved(&self, id: TypeId) -> Result<&Type, String> {
        self.get(self.resolve(id)?)
    }

    /// Returns the element of an array, however many dimensions it has; the type itself when it is no array.
    fn element(&self, id: TypeId) -> Result<TypeId, String> {
        let mut id = self.resolve(id)?;
        for _ in 0..MAX_DEPTH {
            match self.get(id)? {
                Type::Array { element, .. } => id = self.resolve(*element)?,
                _ => return Ok(id),
            }
        }
        Err(format!("the array type {id} nests without end"))
    }

    /// Returns the size in bytes.
    fn size_of(&self, id: TypeId) -> Result<u32, String> {
        let (mut id, mut count) = (id, 1u32);
        for _ in 0..MAX_DEPTH {
            let size = match self.resolved(id)? {
                Type::Array { element, count: elements, .. } => {
                    count = count.checked_mul(*elements).ok_or_else(|| format!("the array type {id} is too large"))?;
                    id = *element;
                    continue;
                }
                Type::Ptr { .. } => POINTER_SIZE,
                ty => ty.size().ok_or_else(|| format!("the type {id} has no size"))?,
            };
            return size.checked_mul(count).ok_or_else(|| format!("the array type {id} is too large"));
        }
        Err(format!("the array type {id} nests without end"))
    }
}

impl Types for Btf {
    fn get(&self, id: TypeId) -> Result<&Type, String> {
        Btf::get(self, id).ok_or_else(|| format!("the object has no type {id}"))
    }

    fn resolve(&self, id: TypeId) -> Result<TypeId, String> {
        Ok(Btf::resolve(self, id))
    }
}

impl Types for KernelTypes {
    fn get(&self, id: TypeId) -> Result<&Type, String> {
        KernelTypes::get(self, id).map_err(in_kernel)
    }

    fn resolve(&self, id: TypeId) -> Result<TypeId, String> {
        KernelTypes::resolve(self, id).map_err(in_kernel)
    }
}

fn in_kernel(error: crate::btf::Error) -> String {
    format!("the types of the kernel are damaged: {error}")
}

/// Returns the kind and name, with its flavour, by which a type is looked for; none for a type that has no name.
pub(super) fn sought(local: &Btf, id: TypeId) -> Option<(Kind, &str)> {
    let ty = local.get(id)?;
    Some((ty.kind(), ty.name().filter(|name| !name.is_empty())?))
}

/// What a relocation asks, as it is written.
#[derive(Debug)]
pub(super) struct Asked {
    /// The type as the program was compiled with.
    pub ty: TypeId,
    /// Indices from `ty` to the field, as in `0:1:2`.
    pub access: String,
    /// The number of `enum bpf_core_relo_kind`.
    pub kind: u32,
}

impl Asked {
    /// Tells whether the type is looked for in the target.
    pub fn is_sought(&self) -> bool {
        Question::of(self.kind) != Some(Question::Type(TypeQuestion::LocalId))
    }
}

/// A type, and those that it belongs to.
type Candidate<'a> = (&'a KernelTypes, TypeId);

/// Resolves the relocations of an object's programs, one program after the other.
pub(super) struct Relocator<'a> {
    local: &'a Btf,
    target: &'a Target,
    asked: &'a [Asked],
    /// The types of the kernel or its modules that a local one may stand for.
    candidates: HashMap<TypeId, Rc<[Candidate<'a>]>>,
    /// The same in this program, where there are several: a relocation that only some of them answer leaves only these
    /// for the ones after it, as in libbpf, since a kernel may have two types of one name.
    left: HashMap<TypeId, Rc<[Candidate<'a>]>>,
    /// The answers that all programs get, by question.
    known: HashMap<usize, Result<Answer, Refusal>>,
    /// The answers in this program where there are several candidates.
    known_here: HashMap<usize, Result<Answer, Refusal>>,
    budget: Budget,
}

impl<'a> Relocator<'a> {
    pub(super) fn new(local: &'a Btf, target: &'a Target, asked: &'a [Asked]) -> Self {
        Self {
            local,
            target,
            asked,
            candidates: HashMap::new(),
            left: HashMap::new(),
            known: HashMap::new(),
            known_here: HashMap::new(),
            budget: Budget::new(asked.len()),
        }
    }

    /// Forgets what is only true in the program before.
    pub(super) fn start_program(&mut self) {
        self.left.clear();
        self.known_here.clear();
    }

    /// Returns what the kernel says to the question with this number.
    ///
    /// # Errors
    /// When the relocation makes no sense, two types of the target answer differently, or it has no types.
    pub(super) fn answer(&mut self, asked: usize) -> Result<Answer, Refusal> {
        if let Some(known) = self.known.get(&asked).or_else(|| self.known_here.get(&asked)) {
            return known.clone();
        }
        let relocation = &self.asked[asked];
        let answer = self.resolve(relocation).map_err(|refusal| {
            let why = format!("{}: {}", self.describe(asked), refusal.why);
            Refusal { why, ..refusal }
        });
        let several = self.candidates.get(&relocation.ty).is_some_and(|candidates| candidates.len() > 1);
        let known = if several { &mut self.known_here } else { &mut self.known };
        known.insert(asked, answer.clone());
        answer
    }

    fn resolve(&mut self, asked: &Asked) -> Result<Answer, Refusal> {
        let question =
            Question::of(asked.kind).ok_or_else(|| format!("a CO-RE relocation of the unknown kind {}", asked.kind))?;
        let place = path::Place::read(self.local, asked.ty, &asked.access, question)?;
        if question == Question::Type(TypeQuestion::LocalId) {
            return Ok(Answer::Known(Known::unchecked(asked.ty.into())));
        }
        let kernel = self.target.core_types();
        let no_types =
            || Refusal::of_kernel("this kernel has no BTF, by which the program has to be adapted to it".to_owned());
        let kernel = kernel.ok_or_else(no_types)?;
        let candidates = self.candidates(asked.ty, kernel)?;
        let mut found: Option<(answer::Spot, Answer)> = None;
        let mut matched = Vec::new();
        for (types, candidate) in candidates.iter() {
            let budget = &mut self.budget;
            let Some(spot) = matching::find(self.local, &place, question, types, *candidate, budget)? else { continue };
            let answer = answer::answer(self.local, &place, question, Some((types, &spot)))?;
            match &found {
                None => found = Some((spot, answer)),
                Some((first, same)) if first.bit_offset() == spot.bit_offset() && same.agrees(&answer) => {}
                Some(_) => {
                    return Err(format!("{} has several such types, and they differ here", self.owner()).into());
                }
            }
            matched.push((*types, *candidate));
        }
        match found {
            None => Ok(answer::answer(self.local, &place, question, None)?),
            Some((_, answer)) => {
                if matched.len() < candidates.len() {
                    self.left.insert(asked.ty, matched.into());
                }
                Ok(answer)
            }
        }
    }

    /// Returns the types of the same essential name and the same kind: the kernel's, else those of all modules, but none
    /// of them beside types from a file (`bpf_core_find_cands` of libbpf).
    fn candidates(&mut self, id: TypeId, kernel: &'a KernelTypes) -> Result<Rc<[Candidate<'a>]>, String> {
        if let Some(known) = self.left.get(&id).or_else(|| self.candidates.get(&id)) {
            return Ok(Rc::clone(known));
        }
        let (kind, name) =
            sought(self.local, id).ok_or_else(|| format!("a type without name cannot be found in {}", self.owner()))?;
        let all = |types: &'a KernelTypes| -> Result<Vec<Candidate<'a>>, String> {
            let found = candidates(types, kind, name).map_err(in_kernel)?;
            Ok(found.into_iter().map(|id| (types, id)).collect())
        };
        let mut found = all(kernel)?;
        if found.is_empty() && self.target.core.is_none() {
            for module in self.target.modules.known() {
                found.extend(all(&module.types)?);
            }
        }
        let found: Rc<[Candidate<'a>]> = found.into();
        self.candidates.insert(id, Rc::clone(&found));
        Ok(found)
    }

    /// Returns what messages call the owner of the types.
    pub(super) fn owner(&self) -> String {
        self.target.core_name()
    }

    /// Writes what a question is about, as in "the offset of `struct sk_buff`.`len`".
    pub(super) fn describe(&self, asked: usize) -> String {
        let Asked { ty, access, kind } = &self.asked[asked];
        let Some(question) = Question::of(*kind) else {
            return format!("relocation kind {kind} of `{}`", self.local.type_name(*ty));
        };
        let place = path::Place::read(self.local, *ty, access, question);
        let place = place.map(|place| place.to_string()).unwrap_or_default();
        format!("{} of `{}{place}`", question.name(), self.local.type_name(*ty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{EnumValue, Member};
    use std::sync::Arc;

    const MATCHES: u32 = 12;
    const OFFSET: u32 = 0;
    const VALUE: u32 = 11;

    fn member(name: &str, ty: TypeId) -> Member {
        Member { name: name.into(), ty, bit_offset: 0, bitfield_size: 0 }
    }

    /// Adds a struct of four structs of four structs, and so on: few types, and 4^24 ways to the last one.
    fn push_nest(btf: &mut Btf, last: &str) -> TypeId {
        let mut inner = btf.push(Type::Fwd { name: last.into(), is_union: false });
        for _ in 0..24 {
            let members = (0..4).map(|_| member("", inner)).collect();
            inner = btf.push(Type::Struct { name: "nest".into(), size: 0, members });
        }
        inner
    }

    fn push_enum(btf: &mut Btf, values: usize) -> TypeId {
        let values = (0..values).map(|number| EnumValue { name: format!("value{number}").into(), value: 0 });
        btf.push(Type::Enum { name: "many".into(), size: 4, signed: false, values: values.collect() })
    }

    fn push_structs(btf: &mut Btf, count: usize, members: usize) -> TypeId {
        let members: Vec<_> = (0..members).map(|number| member(&format!("member{number}"), 0)).collect();
        let mut push = || btf.push(Type::Struct { name: "many".into(), size: 0, members: members.clone() });
        (0..count).map(|_| push()).last().expect("one at least")
    }

    /// Asks a question once for each of many numbers of it. Every search ends, within what the budget allows.
    #[track_caller]
    fn check(push: impl Fn(&mut Btf, bool) -> TypeId, kind: u32, access: &str, questions: usize, expected: &str) {
        let (mut local, mut kernel) = (Btf::default(), Btf::default());
        let ty = push(&mut local, true);
        push(&mut kernel, false);
        let types = Arc::new(KernelTypes::parse(Box::new(kernel.encode())).expect("types"));
        let target = Target { types: Some(types), ..Target::default() };
        let asked: Vec<_> = (0..questions).map(|_| Asked { ty, access: access.to_owned(), kind }).collect();
        let mut relocator = Relocator::new(&local, &target, &asked);
        let start = std::time::Instant::now();
        let last = (0..questions).map(|number| relocator.answer(number)).last().expect("one at least");
        let got = match last {
            Ok(Answer::Known(known)) => known.new.to_string(),
            Ok(Answer::Unknown) => "unknown".to_owned(),
            Err(refusal) => refusal.why,
        };
        assert_eq!(got, expected);
        // Tests are not optimised: a few million steps.
        assert!(start.elapsed().as_secs() < 20, "it took {:?}", start.elapsed());
    }

    #[test]
    fn every_search_ends() {
        let too_large = "the types are too large to compare";
        let nest = |last: &'static str| move |btf: &mut Btf, _: bool| push_nest(btf, last);
        check(nest("same"), MATCHES, "0", 1, "1");
        let unlike = |btf: &mut Btf, local: bool| push_nest(btf, if local { "one" } else { "other" });
        check(unlike, MATCHES, "0", 1, "0");
        let many_structs = |btf: &mut Btf, local: bool| push_structs(btf, if local { 1 } else { 20 }, 1000);
        check(many_structs, OFFSET, "0:999", 100, &format!("the offset of `struct many.member999`: {too_large}"));
        let many_values = |btf: &mut Btf, _: bool| push_enum(btf, 60_000);
        check(many_values, MATCHES, "0", 1, &format!("the layout of `enum many`: {too_large}"));
        check(many_values, VALUE, "59999", 20, &format!("the value of `enum many::value59999`: {too_large}"));
    }
}
