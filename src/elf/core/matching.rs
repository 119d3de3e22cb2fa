//! Finds in a type of the kernel what a relocation points to in a type of the object.
//!
//! Types may be a graph that is small to write and endless to walk, so every search has a budget.

use super::answer::{End, Spot};
use super::path::{LocalSpot, Place, Step, bits_to};
use super::{MAX_DEPTH, MAX_STEPS, Question, TypeQuestion, Types};
use crate::btf::kernel::{KernelTypes, essential};
use crate::btf::{Btf, Encoding, EnumValue, Kind, Member, Param, Type, TypeId};
use hashbrown::HashMap;

/// How many members and types the searches of an object look at before they give up, besides [`STEPS_OF_QUESTION`].
const BUDGET: usize = 1 << 20;
/// As many more for each question: the largest structs of Linux have some hundreds of members.
const STEPS_OF_QUESTION: usize = 1 << 10;
/// How many types a comparison of two prototypes looks at; each has some parameters, and few of these are functions.
const STEPS_OF_PROTOTYPE: usize = 1 << 12;

/// How much the searches of an object may still look at, all together.
pub(super) struct Budget(usize);

impl Budget {
    /// Makes the budget of an object that asks so many questions.
    pub fn new(questions: usize) -> Self {
        Self(BUDGET + questions.saturating_mul(STEPS_OF_QUESTION))
    }
}

/// Finds the place in the kernel's type `candidate`; `None` when it is not there, or is something else.
///
/// # Errors
/// When types nest too deep or go in a circle.
pub(super) fn find(
    local: &Btf,
    place: &Place<'_>,
    question: Question,
    kernel: &KernelTypes,
    candidate: TypeId,
    budget: &mut Budget,
) -> Result<Option<Spot>, String> {
    let mut search = Search { local, kernel, budget, known: HashMap::new() };
    search.spend(1)?;
    match &place.spot {
        LocalSpot::Whole => {
            let same = match question {
                Question::Type(TypeQuestion::Matches) => search.matches(place.root, candidate, false, MAX_DEPTH)?,
                Question::Type(
                    TypeQuestion::LocalId | TypeQuestion::TargetId | TypeQuestion::Exists | TypeQuestion::Size,
                )
                | Question::Field(_)
                | Question::Value(_) => search.compatible(place.root, candidate, MAX_DEPTH)?,
            };
            Ok(same.then_some(Spot::Whole(candidate)))
        }
        LocalSpot::Value { value, .. } => match kernel.resolved(candidate)? {
            Type::Enum { values, .. } => Ok(search.value(values, &value.name)?.map(|found| Spot::value(found, false))),
            Type::Enum64 { values, .. } => Ok(search.value(values, &value.name)?.map(|found| Spot::value(found, true))),
            _ => Ok(None),
        },
        LocalSpot::Field { steps, .. } => search.field(steps, candidate),
    }
}

/// Returns whether a type of the object and one of the kernel, both without typedefs and qualifiers, are the same sort
/// of type (`bpf_core_types_are_compat` of libbpf).
///
/// # Errors
/// When types nest too deep or go in a circle.
pub(in crate::elf) fn compatible(
    local: &Btf,
    ours: TypeId,
    kernel: &KernelTypes,
    theirs: TypeId,
) -> Result<bool, String> {
    let mut search = Search { local, kernel, budget: &mut Budget(STEPS_OF_PROTOTYPE), known: HashMap::new() };
    search.compatible(ours, theirs, MAX_DEPTH)
}

/// Returns whether both are of one kind; the two kinds of enum are one.
pub(in crate::elf) fn same_kind(local: Kind, kernel: Kind) -> bool {
    let is_enum = |kind: Kind| matches!(kind, Kind::Enum | Kind::Enum64);
    local == kernel || (is_enum(local) && is_enum(kernel))
}

/// Returns whether both have the same name but for a flavour.
fn same_name(local: &str, kernel: &str) -> bool {
    if kernel.is_empty() { local.is_empty() } else { essential(local) == essential(kernel) }
}

/// A member of the kernel's that was found by name.
struct Found {
    ty: TypeId,
    bitfield_size: u8,
    /// From the start of the struct in which the search began.
    bit_offset: u32,
    /// Whether it is the last one of its own struct.
    at_end: bool,
}

struct Search<'a> {
    local: &'a Btf,
    kernel: &'a KernelTypes,
    budget: &'a mut Budget,
    /// Which types match, by ids and whether they stand behind a pointer: there may be endlessly many ways to a few.
    known: HashMap<(TypeId, TypeId, bool), bool>,
}

impl Search<'_> {
    fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.budget.0 = self.budget.0.checked_sub(steps).ok_or("the types are too large to compare")?;
        Ok(())
    }

    fn value<'v>(&mut self, values: &'v [EnumValue], name: &str) -> Result<Option<&'v EnumValue>, String> {
        self.spend(values.len())?;
        let wanted = essential(name);
        Ok(values.iter().find(|value| essential(&value.name) == wanted))
    }

    /// Goes the same steps by name in the kernel's type.
    fn field(&mut self, steps: &[Step<'_>], root: TypeId) -> Result<Option<Spot>, String> {
        let (mut id, mut bit_offset, mut depth) = (root, 0u32, 0);
        let mut end = End::Element(root);
        let mut at_end = false;
        for (number, step) in steps.iter().enumerate() {
            id = Types::resolve(self.kernel, id)?;
            match step {
                Step::Member(member) => {
                    let Some(found) = self.member(member, id, &mut depth)? else { return Ok(None) };
                    bit_offset = bit_offset.wrapping_add(found.bit_offset);
                    (id, at_end) = (found.ty, found.at_end);
                    end = End::Member { ty: found.ty, bitfield_size: found.bitfield_size };
                }
                Step::Element(_, index) => {
                    if number > 0 {
                        let Type::Array { element, count, .. } = *Types::get(self.kernel, id)? else { return Ok(None) };
                        let inside = i64::from(*index) < i64::from(count);
                        let flexible = at_end && count == 0;
                        if !inside && !flexible {
                            return Ok(None);
                        }
                        id = Types::resolve(self.kernel, element)?;
                    }
                    deeper(&mut depth)?;
                    at_end = false;
                    bit_offset = bit_offset.wrapping_add(bits_to(*index, self.kernel.size_of(id)?));
                    end = End::Element(id);
                }
            }
        }
        Ok(Some(Spot::Field { bit_offset, end }))
    }

    /// Finds a member by name, also in members without name; `None` too when it has a type of another sort.
    fn member(&mut self, wanted: &Member, id: TypeId, depth: &mut usize) -> Result<Option<Found>, String> {
        let ty = self.kernel.resolved(id)?;
        let (Type::Struct { members, .. } | Type::Union { members, .. }) = ty else { return Ok(None) };
        let before = *depth;
        for (number, member) in members.iter().enumerate() {
            self.spend(1)?;
            *depth = before;
            deeper(depth)?;
            if member.name.is_empty() {
                if let Some(found) = self.member(wanted, member.ty, depth)? {
                    let bit_offset = found.bit_offset.wrapping_add(member.bit_offset);
                    return Ok(Some(Found { bit_offset, ..found }));
                }
            } else if member.name == wanted.name {
                let Member { ty, bit_offset, bitfield_size, .. } = *member;
                let found = Found { ty, bitfield_size, bit_offset, at_end: number + 1 == members.len() };
                return Ok(self.fields_compatible(wanted.ty, ty)?.then_some(found));
            }
        }
        *depth = before;
        Ok(None)
    }

    /// Returns whether a field of the one type can be read as one of the other (`bpf_core_fields_are_compat`): sizes
    /// and signs do not matter, nor does what pointers and structs are of.
    fn fields_compatible(&mut self, mut local: TypeId, mut kernel: TypeId) -> Result<bool, String> {
        for _ in 0..=MAX_DEPTH {
            let (l, k) = (Types::resolved(self.local, local)?, self.kernel.resolved(kernel)?);
            match (l, k) {
                (Type::Struct { .. } | Type::Union { .. }, Type::Struct { .. } | Type::Union { .. }) => {
                    return Ok(true);
                }
                (l, k) if !same_kind(l.kind(), k.kind()) => return Ok(false),
                (Type::Ptr { .. } | Type::Float { .. }, _) => return Ok(true),
                (Type::Fwd { .. } | Type::Enum { .. } | Type::Enum64 { .. }, k) => {
                    let (l, k) = (essential(l.name().unwrap_or_default()), essential(k.name().unwrap_or_default()));
                    return Ok(l.is_empty() || k.is_empty() || l == k);
                }
                (Type::Int { offset: l, .. }, Type::Int { offset: k, .. }) => return Ok(*l == 0 && *k == 0),
                (Type::Array { element: l, .. }, Type::Array { element: k, .. }) => (local, kernel) = (*l, *k),
                (_, _) => return Ok(false),
            }
        }
        Err(endless())
    }

    /// Returns whether two types of one name are the same sort of type (`bpf_core_types_are_compat`).
    fn compatible(&mut self, mut local: TypeId, mut kernel: TypeId, level: usize) -> Result<bool, String> {
        if !same_kind(Types::get(self.local, local)?.kind(), Types::get(self.kernel, kernel)?.kind()) {
            return Ok(false);
        }
        for _ in 0..MAX_DEPTH {
            self.spend(1)?;
            let (l, k) = (Types::resolved(self.local, local)?, self.kernel.resolved(kernel)?);
            match (l, k) {
                (l, k) if !same_kind(l.kind(), k.kind()) => return Ok(false),
                (Type::Void | Type::Struct { .. } | Type::Union { .. } | Type::Fwd { .. }, _)
                | (Type::Enum { .. } | Type::Enum64 { .. }, _) => return Ok(true),
                (Type::Int { offset: l, .. }, Type::Int { offset: k, .. }) => return Ok(*l == 0 && *k == 0),
                (Type::Ptr { ty: l }, Type::Ptr { ty: k }) => (local, kernel) = (*l, *k),
                (Type::Array { element: l, .. }, Type::Array { element: k, .. }) => (local, kernel) = (*l, *k),
                (Type::FuncProto { ret: l, params: ls }, Type::FuncProto { ret: k, params: ks }) => {
                    let level = level.checked_sub(1);
                    let same = |search: &mut Self, l, k| {
                        let (l, k) = (search.local.resolve(l), Types::resolve(search.kernel, k)?);
                        search.compatible(l, k, level.ok_or_else(endless)?)
                    };
                    if !self.all_params(ls, ks, same)? {
                        return Ok(false);
                    }
                    (local, kernel) = (self.local.resolve(*l), Types::resolve(self.kernel, *k)?);
                }
                (_, _) => return Ok(false),
            }
        }
        Err(endless())
    }

    fn all_params(
        &mut self,
        local: &[Param],
        kernel: &[Param],
        same: impl Fn(&mut Self, TypeId, TypeId) -> Result<bool, String>,
    ) -> Result<bool, String> {
        if local.len() != kernel.len() {
            return Ok(false);
        }
        for (l, k) in local.iter().zip(kernel) {
            if !same(self, l.ty, k.ty)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether the kernel's type has all that the local one has (`bpf_core_types_match`): members and values
    /// by name, sizes and signs of integers, lengths of arrays. Behind a pointer only names and kinds count.
    fn matches(&mut self, local: TypeId, kernel: TypeId, behind_pointer: bool, level: usize) -> Result<bool, String> {
        let pair = (local, kernel, behind_pointer);
        if let Some(known) = self.known.get(&pair) {
            return Ok(*known);
        }
        let matches = self.compare(local, kernel, behind_pointer, level)?;
        self.known.insert(pair, matches);
        Ok(matches)
    }

    fn compare(
        &mut self,
        mut local: TypeId,
        mut kernel: TypeId,
        mut behind_pointer: bool,
        level: usize,
    ) -> Result<bool, String> {
        let level = level.checked_sub(1).ok_or_else(endless)?;
        for _ in 0..MAX_DEPTH {
            self.spend(1)?;
            let (l, k) = (Types::resolved(self.local, local)?, self.kernel.resolved(kernel)?);
            if !same_name(l.name().unwrap_or_default(), k.name().unwrap_or_default()) {
                return Ok(false);
            }
            match (l, k) {
                (Type::Void, Type::Void) => return Ok(true),
                (Type::Fwd { is_union: l, .. }, Type::Fwd { is_union: k, .. }) => return Ok(l == k),
                (Type::Fwd { is_union, .. }, Type::Struct { .. }) => return Ok(behind_pointer && !is_union),
                (Type::Fwd { is_union, .. }, Type::Union { .. }) => return Ok(behind_pointer && *is_union),
                (Type::Struct { .. }, Type::Fwd { is_union, .. }) => return Ok(behind_pointer && !is_union),
                (Type::Union { .. }, Type::Fwd { is_union, .. }) => return Ok(behind_pointer && *is_union),
                (Type::Struct { members: ls, .. }, Type::Struct { members: ks, .. })
                | (Type::Union { members: ls, .. }, Type::Union { members: ks, .. }) => {
                    return if behind_pointer { Ok(true) } else { self.members_match(ls, ks, level) };
                }
                (
                    Type::Enum { size: l, values: ls, .. } | Type::Enum64 { size: l, values: ls, .. },
                    Type::Enum { size: k, values: ks, .. } | Type::Enum64 { size: k, values: ks, .. },
                ) => return Ok(l == k && self.values_match(ls, ks)?),
                (Type::Int { size: l, encoding: le, .. }, Type::Int { size: k, encoding: ke, .. }) => {
                    return Ok(l == k && (*le == Encoding::Signed) == (*ke == Encoding::Signed));
                }
                (Type::Ptr { ty: l }, Type::Ptr { ty: k }) => {
                    behind_pointer = true;
                    (local, kernel) = (*l, *k);
                }
                (Type::Array { element: l, count: lc, .. }, Type::Array { element: k, count: kc, .. }) => {
                    if lc != kc {
                        return Ok(false);
                    }
                    (local, kernel) = (*l, *k);
                }
                (Type::FuncProto { ret: l, params: ls }, Type::FuncProto { ret: k, params: ks }) => {
                    if !self.all_params(ls, ks, |search, l, k| search.matches(l, k, behind_pointer, level))? {
                        return Ok(false);
                    }
                    (local, kernel) = (*l, *k);
                }
                (_, _) => return Ok(false),
            }
        }
        Err(endless())
    }

    fn members_match(&mut self, local: &[Member], kernel: &[Member], level: usize) -> Result<bool, String> {
        if local.len() > kernel.len() {
            return Ok(false);
        }
        for member in local {
            let mut matched = false;
            for other in kernel {
                self.spend(1)?;
                if same_name(&member.name, &other.name) && self.matches(member.ty, other.ty, false, level)? {
                    matched = true;
                    break;
                }
            }
            if !matched {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn values_match(&mut self, local: &[EnumValue], kernel: &[EnumValue]) -> Result<bool, String> {
        if local.len() > kernel.len() {
            return Ok(false);
        }
        for value in local {
            self.spend(kernel.len())?;
            if !kernel.iter().any(|other| same_name(&value.name, &other.name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn deeper(depth: &mut usize) -> Result<(), String> {
    match *depth == MAX_STEPS {
        true => Err(endless()),
        false => {
            *depth += 1;
            Ok(())
        }
    }
}

fn endless() -> String {
    "the types nest too deep".to_owned()
}
