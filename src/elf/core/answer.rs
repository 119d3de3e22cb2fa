//! From a place in the object's types and the same place in the kernel's to the number that an instruction needs.

use super::path::{LocalSpot, Place, Step};
use super::{Answer, FieldQuestion, Known, Question, TypeQuestion, Types, ValueQuestion};
use crate::btf::kernel::KernelTypes;
use crate::btf::{Btf, Encoding, EnumValue, Type, TypeId};

/// A place in the types of an object or a kernel, as far as the answer needs it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot {
    /// A type.
    Whole(TypeId),
    /// A value of an enum, widened as libbpf does.
    Value(u64),
    /// A field or element.
    Field {
        /// From where the pointer points.
        bit_offset: u32,
        end: End,
    },
}

/// What a way to a field ends with.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// A named member; `bitfield_size` is 0 where it is no bit-field.
    Member { ty: TypeId, bitfield_size: u8 },
    /// An array element of this type.
    Element(TypeId),
}

impl Spot {
    /// Takes a value of an enum. Those of 32 bits are extended by their sign even where the enum has none.
    pub fn value(value: &EnumValue, wide: bool) -> Self {
        Self::Value(if wide { value.value as u64 } else { i64::from(value.value as i32).cast_unsigned() })
    }

    /// Returns how far the field is; 0 for anything else.
    pub fn bit_offset(&self) -> u32 {
        match self {
            Self::Whole(_) | Self::Value(_) => 0,
            Self::Field { bit_offset, .. } => *bit_offset,
        }
    }

    fn local(place: &Place<'_>) -> Self {
        match &place.spot {
            LocalSpot::Whole => Self::Whole(place.root),
            LocalSpot::Value { value, wide } => Self::value(value, *wide),
            LocalSpot::Field { steps, bit_offset } => {
                let end = match steps.last() {
                    Some(Step::Member(member)) => End::Member { ty: member.ty, bitfield_size: member.bitfield_size },
                    Some(Step::Element(id, _)) => End::Element(*id),
                    None => End::Element(place.root),
                };
                Self::Field { bit_offset: *bit_offset, end }
            }
        }
    }
}

impl Answer {
    /// Returns whether two types of the kernel lead to the same instruction.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown, Self::Unknown) => true,
            (Self::Known(one), Self::Known(two)) => one.new == two.new,
            (Self::Unknown, Self::Known(_)) | (Self::Known(_), Self::Unknown) => false,
        }
    }
}

impl Known {
    /// Returns a number for an instruction that may hold any other.
    pub(super) fn unchecked(new: u64) -> Self {
        Self { old: new, new, check: false, sizes: (0, 0), resizable: true }
    }
}

/// Answers; without a place in the kernel's types, what the answer is when there is no such thing.
pub(super) fn answer(
    local: &Btf,
    place: &Place<'_>,
    question: Question,
    kernel: Option<(&KernelTypes, &Spot)>,
) -> Result<Answer, String> {
    let spot = Spot::local(place);
    let known = |old, new, check| Answer::Known(Known { old, new, check, sizes: (0, 0), resizable: true });
    match question {
        Question::Field(question) => fields(local, &spot, question, kernel),
        Question::Type(question) => {
            let old = whole(local, &spot, question)?;
            let new = kernel.map_or(Ok(0), |(types, spot)| whole(types, spot, question))?;
            let check = match question {
                // Linkers of objects renumber types without looking into the code.
                TypeQuestion::TargetId | TypeQuestion::LocalId => false,
                TypeQuestion::Exists | TypeQuestion::Size | TypeQuestion::Matches => true,
            };
            Ok(known(old, new, check))
        }
        Question::Value(ValueQuestion::Exists) => Ok(known(1, kernel.is_some().into(), true)),
        Question::Value(ValueQuestion::Value) => match (spot, kernel) {
            (Spot::Value(old), Some((_, Spot::Value(new)))) => Ok(known(old, *new, true)),
            _ => Ok(Answer::Unknown),
        },
    }
}

fn whole<T: Types>(types: &T, spot: &Spot, question: TypeQuestion) -> Result<u64, String> {
    let Spot::Whole(id) = spot else { return Err("it is not about a type".to_owned()) };
    match question {
        TypeQuestion::LocalId | TypeQuestion::TargetId => Ok(u64::from(*id)),
        TypeQuestion::Exists | TypeQuestion::Matches => Ok(1),
        TypeQuestion::Size => types.size_of(*id).map(u64::from),
    }
}

fn fields(
    local: &Btf,
    spot: &Spot,
    question: FieldQuestion,
    kernel: Option<(&KernelTypes, &Spot)>,
) -> Result<Answer, String> {
    if question == FieldQuestion::Exists {
        let known = Known { old: 1, new: kernel.is_some().into(), check: true, sizes: (0, 0), resizable: true };
        return Ok(Answer::Known(known));
    }
    let old = field(local, spot, question)?;
    let Some((types, spot)) = kernel else { return Ok(Answer::Unknown) };
    let new = field(types, spot, question)?;
    let resizable = match (old.access, new.access) {
        (Some(old), Some(new)) => old.size == new.size || old.sort.resizes(new.sort),
        (None, None) => true,
        // A bit-field on one side only: the size of the access is not ours to choose.
        (Some(_), None) | (None, Some(_)) => false,
    };
    let size = |access: Option<Access>| access.map_or(0, |access| access.size);
    Ok(Answer::Known(Known {
        old: old.number,
        new: new.number,
        check: old.exact,
        sizes: (size(old.access), size(new.access)),
        resizable,
    }))
}

/// What one side says of a field.
struct Said {
    number: u64,
    /// Whether compilers cannot but say the same.
    exact: bool,
    /// How the field is loaded, when the question is where it is.
    access: Option<Access>,
}

#[derive(Clone, Copy)]
struct Access {
    size: u32,
    sort: Sort,
}

/// What decides whether a load of one size can become one of another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Pointer,
    Unsigned,
    Other,
}

impl Sort {
    fn of(ty: &Type) -> Self {
        match ty {
            Type::Ptr { .. } => Self::Pointer,
            Type::Int { encoding: Encoding::Unsigned | Encoding::Char | Encoding::Bool, .. } => Self::Unsigned,
            _ => Self::Other,
        }
    }

    /// Loads of pointers and of unsigned integers fill the register with zeroes, whatever their size.
    fn resizes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Pointer, Self::Pointer) | (Self::Unsigned, Self::Unsigned) => true,
            (Self::Pointer | Self::Unsigned | Self::Other, _) => false,
        }
    }
}

fn field<T: Types>(types: &T, spot: &Spot, question: FieldQuestion) -> Result<Said, String> {
    let Spot::Field { bit_offset, end } = *spot else { return Err("it is not about a field".to_owned()) };
    match end {
        End::Element(id) => element(types, bit_offset, id, question),
        End::Member { ty, bitfield_size: 0 } => {
            let (byte, size) = (bit_offset / 8, types.size_of(ty)?);
            member(types, ty, question, Load { byte, size, bit_offset, bits: size.wrapping_mul(8), bitfield: false })
        }
        End::Member { ty, bitfield_size } => {
            let load = bitfield_load(types, ty, bit_offset, bitfield_size.into())?;
            member(types, ty, question, load)
        }
    }
}

fn element<T: Types>(types: &T, bit_offset: u32, id: TypeId, question: FieldQuestion) -> Result<Said, String> {
    match question {
        FieldQuestion::ByteOffset => {
            let access = access(types, id)?;
            Ok(Said { number: (bit_offset / 8).into(), exact: true, access: Some(access) })
        }
        FieldQuestion::ByteSize => Ok(Said { number: types.size_of(id)?.into(), exact: true, access: None }),
        FieldQuestion::Exists | FieldQuestion::Signed | FieldQuestion::LeftShift | FieldQuestion::RightShift => {
            Err("it cannot be asked of an array element".to_owned())
        }
    }
}

/// Returns how something of this type is loaded: an array by its elements.
fn access<T: Types>(types: &T, id: TypeId) -> Result<Access, String> {
    let size = types.size_of(types.element(id)?)?;
    Ok(Access { size, sort: Sort::of(types.resolved(id)?) })
}

/// The word to load for a field, and where in it the field is.
struct Load {
    byte: u32,
    size: u32,
    bit_offset: u32,
    bits: u32,
    bitfield: bool,
}

/// Finds the smallest aligned word that holds a bit-field, not smaller than its declared type.
fn bitfield_load<T: Types>(types: &T, ty: TypeId, bit_offset: u32, bits: u32) -> Result<Load, String> {
    let mut size = types.resolved(ty)?.size().filter(|size| *size != 0).ok_or("a bit-field has no size")?;
    loop {
        let byte = bit_offset / 8 / size * size;
        let end = u64::from(bit_offset) + u64::from(bits) - u64::from(byte) * 8;
        if end <= u64::from(size) * 8 {
            return Ok(Load { byte, size, bit_offset, bits, bitfield: true });
        }
        if size >= 8 {
            return Err("the bit-field cannot be read with one load of 64 bits".to_owned());
        }
        size *= 2;
    }
}

fn member<T: Types>(types: &T, ty: TypeId, question: FieldQuestion, load: Load) -> Result<Said, String> {
    let exact = !load.bitfield;
    let said = |number: u32, exact| Ok(Said { number: number.into(), exact, access: None });
    match question {
        FieldQuestion::ByteOffset => {
            let access = if load.bitfield { None } else { Some(access(types, ty)?) };
            Ok(Said { number: load.byte.into(), exact, access })
        }
        FieldQuestion::ByteSize => said(load.size, exact),
        FieldQuestion::Signed => said(is_signed(types.resolved(ty)?).into(), true),
        // Wraps for what is larger than a word, as in libbpf: nobody shifts that.
        FieldQuestion::LeftShift => {
            let end = load.bit_offset.wrapping_add(load.bits).wrapping_sub(load.byte.wrapping_mul(8));
            said(64u32.wrapping_sub(end), exact)
        }
        FieldQuestion::RightShift => said(64u32.wrapping_sub(load.bits), true),
        FieldQuestion::Exists => said(1, true),
    }
}

fn is_signed(ty: &Type) -> bool {
    match ty {
        Type::Int { encoding, .. } => *encoding == Encoding::Signed,
        Type::Enum { signed, .. } | Type::Enum64 { signed, .. } => *signed,
        _ => false,
    }
}
