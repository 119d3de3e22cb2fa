//! Where in a type of the object a relocation points: its access string, read.

use super::{MAX_STEPS, Question, TypeQuestion, Types, ValueQuestion};
use crate::btf::{Btf, EnumValue, Member, Type, TypeId};
use std::fmt;

/// What a relocation points to.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The type that the relocation names.
    pub root: TypeId,
    pub spot: LocalSpot<'a>,
}

/// The part of a type.
#[derive(Debug)]
pub(super) enum LocalSpot<'a> {
    /// The type as a whole.
    Whole,
    /// One of its values.
    Value {
        value: &'a EnumValue,
        /// Of 64 bits.
        wide: bool,
    },
    /// A field or an array element, possibly of a field.
    Field {
        /// Never empty. Members without name are left out, since the kernel may have other ones on the way.
        steps: Vec<Step<'a>>,
        /// From where the pointer points, modulo 2^32 as in libbpf.
        bit_offset: u32,
    },
}

/// One step on the way to a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// To a member with a name.
    Member(&'a Member),
    /// To an element of the type, by its number; the first step is one, since the pointer may be one to an array.
    Element(TypeId, i32),
}

impl<'a> Place<'a> {
    /// Reads an access string such as `0:1:2`.
    ///
    /// # Errors
    /// When the string is not one, or does not fit to the type.
    pub fn read(btf: &'a Btf, root: TypeId, access: &str, question: Question) -> Result<Self, String> {
        let spot = match question {
            Question::Type(
                TypeQuestion::LocalId
                | TypeQuestion::TargetId
                | TypeQuestion::Exists
                | TypeQuestion::Size
                | TypeQuestion::Matches,
            ) => match access {
                "0" => LocalSpot::Whole,
                _ => return Err(bad(access)),
            },
            Question::Value(ValueQuestion::Exists | ValueQuestion::Value) => value(btf, root, access)?,
            Question::Field(_) => field(btf, root, access)?,
        };
        Ok(Self { root, spot })
    }
}

fn bad(access: &str) -> String {
    format!("the access `{access}` does not fit to the type")
}

fn value<'a>(btf: &'a Btf, root: TypeId, access: &str) -> Result<LocalSpot<'a>, String> {
    let (values, wide) = match btf.resolved(root) {
        Type::Enum { values, .. } => (values, false),
        Type::Enum64 { values, .. } => (values, true),
        _ => return Err(bad(access)),
    };
    let value = access.parse().ok().and_then(|index: usize| values.get(index)).ok_or_else(|| bad(access))?;
    Ok(LocalSpot::Value { value, wide })
}

fn field<'a>(btf: &'a Btf, root: TypeId, access: &str) -> Result<LocalSpot<'a>, String> {
    let mut id = btf.resolve(root);
    let mut steps = Vec::new();
    let mut bit_offset = 0u32;
    // Whether the last step was to the last member of its struct, where an array without length may stand.
    let mut at_end = false;
    for (number, text) in access.split(':').enumerate() {
        let index: i32 = text.parse().map_err(|_| bad(access))?;
        if number == MAX_STEPS {
            return Err(bad(access));
        }
        if number == 0 {
            steps.push(Step::Element(id, index));
            bit_offset = bits_to(index, Types::size_of(btf, id)?);
            continue;
        }
        let at = usize::try_from(index).map_err(|_| bad(access))?;
        id = btf.resolve(id);
        match Types::get(btf, id)? {
            Type::Struct { members, .. } | Type::Union { members, .. } => {
                let member = members.get(at).ok_or_else(|| bad(access))?;
                bit_offset = bit_offset.wrapping_add(member.bit_offset);
                if !member.name.is_empty() {
                    steps.push(Step::Member(member));
                    at_end = at + 1 == members.len();
                }
                id = member.ty;
            }
            Type::Array { element, count, .. } => {
                if !(at < *count as usize || (at_end && *count == 0)) {
                    return Err(bad(access));
                }
                id = btf.resolve(*element);
                steps.push(Step::Element(id, index));
                at_end = false;
                bit_offset = bit_offset.wrapping_add(bits_to(index, Types::size_of(btf, id)?));
            }
            _ => return Err(bad(access)),
        }
    }
    Ok(LocalSpot::Field { steps, bit_offset })
}

/// Returns how far an element is, in bits. The numbers wrap as in libbpf: an index may well be below zero.
pub(super) fn bits_to(index: i32, size: u32) -> u32 {
    index.cast_unsigned().wrapping_mul(size).wrapping_mul(8)
}

impl fmt::Display for Place<'_> {
    /// Writes what stands behind the type: `.field[3].other`, or `::VALUE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spot {
            LocalSpot::Whole => Ok(()),
            LocalSpot::Value { value, .. } => write!(f, "::{}", value.name),
            LocalSpot::Field { steps, .. } => steps.iter().enumerate().try_for_each(|(number, step)| match step {
                Step::Member(member) => write!(f, ".{}", member.name),
                Step::Element(_, 0) if number == 0 => Ok(()),
                Step::Element(_, index) => write!(f, "[{index}]"),
            }),
        }
    }
}
