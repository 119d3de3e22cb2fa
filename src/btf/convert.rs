//! Turns bytes of one type into bytes of another: what fields of the same name hold goes over, wherever they lie.
//!
//! The two types are compared once, into a short list of moves; the bytes of a million values then only follow it.
//! Nothing is guessed: a field goes over by its name, a number only when it fits, and where names cannot tell what is
//! meant, as in a union that changed, there is no conversion. All bytes are little-endian, as the objects that we load are.

use super::{Btf, Encoding, Field, MAX_DEPTH, Type, TypeId, layout};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// More moves than any real pair of types needs.
const MAX_MOVES: usize = 1 << 14;
/// Numbers wider than these bits are only copied.
const MAX_BITS: u32 = 64;

/// How the bytes of one type become those of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    from: usize,
    to: usize,
    moves: Vec<Move>,
    /// What happens to each field, in the order of the new type; those that go are last.
    pub fields: Vec<FieldChange>,
}

/// What happens to one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// From the outside in, as in `src.addr`; empty for the whole value.
    pub path: String,
    /// What happens.
    pub fate: Fate,
}

/// What happens to what a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays the same.
    Kept,
    /// It is written as another type.
    Converted {
        /// The type as C writes it.
        from: String,
        /// The other one.
        to: String,
    },
    /// There was none: it is zero, and a variable what its object starts it with.
    New,
    /// There is none any more: what it held goes.
    Dropped,
}

/// Why there is no conversion, and at which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// From the outside in; empty for the whole value.
    pub path: String,
    /// What is wrong there, as the end of a sentence.
    pub why: String,
}

/// Why a value does not fit its new type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The field, from the outside in; empty for the whole value.
    pub path: String,
    /// What is wrong.
    pub what: Excess,
}

/// What of a value has no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Excess {
    /// A number below or above what the new type holds.
    Number {
        /// The number.
        number: i128,
        /// The least that fits.
        least: i128,
        /// The most that fits.
        most: i128,
    },
    /// Elements behind the new end of an array are not zero.
    Elements,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "it" } else { &self.path };
        match &self.what {
            Excess::Number { number, least, most } => {
                write!(f, "{path} is {number}, and from {least} to {most} fits")
            }
            Excess::Elements => write!(f, "{path} has more elements than fit"),
        }
    }
}

/// One step of a conversion; offsets in bytes from the start of each value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Move {
    Copy { from: usize, to: usize, bytes: usize },
    Number { from: Bits, to: Bits, path: String },
    Zero { from: usize, bytes: usize, path: String },
}

/// Where a number lies, from the start of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bits {
    offset: u64,
    width: u32,
    signed: bool,
    /// Only 0 and 1 fit.
    boolean: bool,
}

impl Conversion {
    /// Makes the conversion of values that stay as they are; none for those of another size.
    pub fn same(bytes: usize) -> Self {
        let whole = FieldChange { path: String::new(), fate: Fate::Kept };
        Self { from: bytes, to: bytes, moves: vec![Move::Copy { from: 0, to: 0, bytes }], fields: vec![whole] }
    }

    /// Compares two types and says how the bytes of the first become those of the second.
    ///
    /// # Errors
    /// Every field of which names do not tell what becomes of it.
    pub fn between(old: (&Btf, TypeId), new: (&Btf, TypeId)) -> Result<Self, Vec<Refusal>> {
        let refused = |why: &str| Err(vec![Refusal { path: String::new(), why: why.to_owned() }]);
        let (Some(from), Some(to)) = (old.0.size_of(old.1), new.0.size_of(new.1)) else {
            return refused("has a type without a size");
        };
        let mut compiler = Compiler::default();
        compiler.value(Side::whole(old), Side::whole(new), "", MAX_DEPTH);
        let (from, to) = (from as usize, to as usize);
        if !compiler.moves.iter().all(|step| step.is_within(from, to)) {
            return refused("has fields outside of its own size");
        }
        match compiler.refusals.is_empty() {
            true => {
                let mut fields = compiler.fields;
                fields.sort_by_key(|field| field.fate == Fate::Dropped);
                Ok(Self { from, to, moves: joined(compiler.moves), fields })
            }
            false => Err(compiler.refusals),
        }
    }

    /// Returns whether all bytes stay as they are.
    pub fn is_same(&self) -> bool {
        self.from == self.to && self.moves == [Move::Copy { from: 0, to: 0, bytes: self.from }]
    }

    /// Returns whether what a field holds goes, whatever it is.
    pub fn drops(&self) -> bool {
        self.fields.iter().any(|field| field.fate == Fate::Dropped)
    }

    /// Converts one value into `out`, which keeps what it holds where there is nothing to go over; what is longer than the
    /// types is left alone.
    ///
    /// # Panics
    /// When one of the two is shorter than its type.
    pub fn convert(&self, value: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
        for step in &self.moves {
            match step {
                Move::Copy { from, to, bytes } => {
                    out[*to..][..*bytes].copy_from_slice(&value[*from..][..*bytes]);
                }
                Move::Number { from, to, path } => {
                    let number = from.read(value);
                    let (least, most) = to.range();
                    if !(least..=most).contains(&number) {
                        return Err(Misfit { path: path.clone(), what: Excess::Number { number, least, most } });
                    }
                    to.write(number, out);
                }
                Move::Zero { from, bytes, path } => {
                    if value[*from..][..*bytes].iter().any(|byte| *byte != 0) {
                        return Err(Misfit { path: path.clone(), what: Excess::Elements });
                    }
                }
            }
        }
        Ok(())
    }
}

impl Move {
    fn is_within(&self, from_size: usize, to_size: usize) -> bool {
        let inside = |start: usize, bytes: usize, size| start.checked_add(bytes).is_some_and(|end| end <= size);
        match self {
            Self::Copy { from, to, bytes } => inside(*from, *bytes, from_size) && inside(*to, *bytes, to_size),
            Self::Number { from, to, .. } => {
                from.end().div_ceil(8) <= from_size as u64 && to.end().div_ceil(8) <= to_size as u64
            }
            Self::Zero { from, bytes, .. } => inside(*from, *bytes, from_size),
        }
    }
}

/// Makes one of copies that lie side by side on both sides.
fn joined(moves: Vec<Move>) -> Vec<Move> {
    let mut joined: Vec<Move> = Vec::with_capacity(moves.len());
    for step in moves {
        match (joined.last_mut(), &step) {
            (Some(Move::Copy { from, to, bytes }), Move::Copy { from: next, to: place, bytes: more })
                if *from + *bytes == *next && *to + *bytes == *place =>
            {
                *bytes += more;
            }
            _ => joined.push(step),
        }
    }
    joined
}

impl Bits {
    fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.width))
    }

    /// Returns the least and the most that fits.
    fn range(self) -> (i128, i128) {
        match (self.boolean, self.signed) {
            (true, _) => (0, 1),
            (false, true) => (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1),
            (false, false) => (0, (1 << self.width) - 1),
        }
    }

    /// Returns the bytes that hold it, and the bit in the first of them with which it starts.
    fn place(self) -> (std::ops::Range<usize>, u32) {
        let (first, end) = (self.offset / 8, self.end().div_ceil(8));
        (first as usize..end as usize, (self.offset % 8) as u32)
    }

    fn read(self, bytes: &[u8]) -> i128 {
        let (place, skip) = self.place();
        let whole = bytes[place].iter().rev().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let number = (whole >> skip & ((1 << self.width) - 1)).cast_signed();
        let is_negative = self.signed && number >> (self.width - 1) & 1 == 1;
        if is_negative { number - (1 << self.width) } else { number }
    }

    /// Writes a number that fits.
    fn write(self, number: i128, bytes: &mut [u8]) {
        let (place, skip) = self.place();
        let mask: u128 = (1 << self.width) - 1;
        let (mask, shifted) = (mask << skip, (number.cast_unsigned() & mask) << skip);
        for ((byte, part), mask) in bytes[place].iter_mut().zip(shifted.to_le_bytes()).zip(mask.to_le_bytes()) {
            *byte = *byte & !mask | part;
        }
    }
}

/// One of the two values, or a part of it.
#[derive(Clone, Copy)]
struct Side<'a> {
    btf: &'a Btf,
    ty: TypeId,
    /// From the start of the whole.
    bit_offset: u64,
    /// None when it is not a bit-field.
    bits: Option<u32>,
}

/// What matters of a type here.
enum Shape {
    Number {
        bytes: u32,
        signed: bool,
        boolean: bool,
    },
    Array {
        element: TypeId,
        count: u32,
    },
    Struct,
    /// What can only be copied: unions, pointers, floating-point numbers.
    Whole,
}

impl<'a> Side<'a> {
    fn whole((btf, ty): (&'a Btf, TypeId)) -> Self {
        Self { btf, ty: btf.data_type(ty), bit_offset: 0, bits: None }
    }

    fn field(self, field: &Field<'_>) -> Self {
        Self { ty: field.ty, bit_offset: self.bit_offset.saturating_add(field.bit_offset), bits: field.bits, ..self }
    }

    fn element(self, ty: TypeId, index: u32, bytes: u32) -> Self {
        let skip = u64::from(index) * u64::from(bytes) * 8;
        Self { ty, bit_offset: self.bit_offset.saturating_add(skip), bits: None, ..self }
    }

    fn shape(self) -> Shape {
        match self.btf.resolved(self.ty) {
            Type::Int { size, encoding, .. } => Shape::Number {
                bytes: *size,
                signed: matches!(encoding, Encoding::Signed | Encoding::Char),
                boolean: *encoding == Encoding::Bool,
            },
            Type::Enum { size, signed, values, .. } | Type::Enum64 { size, signed, values, .. } => Shape::Number {
                bytes: *size,
                // Compilers before clang 15 never say it.
                signed: *signed || values.iter().any(|value| value.value < 0),
                boolean: false,
            },
            Type::Array { element, count, .. } => Shape::Array { element: *element, count: *count },
            // The variables of a section go over as fields do.
            Type::Struct { .. } | Type::Datasec { .. } => Shape::Struct,
            _ => Shape::Whole,
        }
    }

    fn size(self) -> Option<u32> {
        self.btf.size_of(self.ty)
    }

    /// Returns where the number lies; none for one that is wider than any that is converted.
    fn number(self, bytes: u32, signed: bool, boolean: bool) -> Option<Bits> {
        let width = self.bits.unwrap_or(bytes.checked_mul(8)?);
        (1..=MAX_BITS).contains(&width).then_some(Bits { offset: self.bit_offset, width, signed, boolean })
    }

    /// Returns whether the type is called one of network order, which its bytes do not tell.
    fn is_big_endian(self) -> bool {
        let mut ty = self.ty;
        for _ in 0..MAX_DEPTH {
            match self.btf.get(ty) {
                Some(Type::Typedef { name, .. }) if name.trim_start_matches('_').starts_with("be") => return true,
                Some(
                    Type::Typedef { ty: next, .. }
                    | Type::Const { ty: next }
                    | Type::Volatile { ty: next }
                    | Type::TypeTag { ty: next, .. },
                ) => ty = *next,
                Some(_) | None => return false,
            }
        }
        false
    }

    fn name(self) -> String {
        let name = self.btf.type_name(self.ty);
        self.bits.map_or(name.clone(), |bits| format!("{name}:{bits}"))
    }
}

/// The end of a field, in bits from the start of its struct.
fn end_of(side: Side<'_>, field: &Field<'_>) -> u64 {
    let bits = field.bits.unwrap_or_else(|| side.btf.size_of(field.ty).unwrap_or(0).saturating_mul(8));
    field.bit_offset.saturating_add(u64::from(bits))
}

/// What comparing two types has found so far.
#[derive(Default)]
struct Compiler {
    moves: Vec<Move>,
    fields: Vec<FieldChange>,
    refusals: Vec<Refusal>,
    /// Whether what is found is told by the array around it.
    is_quiet: bool,
}

impl Compiler {
    fn refuse(&mut self, path: &str, why: impl Into<String>) {
        self.refusals.push(Refusal { path: path.to_owned(), why: why.into() });
    }

    fn tell(&mut self, path: &str, fate: Fate) {
        if !self.is_quiet {
            self.fields.push(FieldChange { path: path.to_owned(), fate });
        }
    }

    fn value(&mut self, old: Side<'_>, new: Side<'_>, path: &str, depth: usize) {
        let Some(depth) = depth.checked_sub(1).filter(|_| self.moves.len() < MAX_MOVES) else {
            return self.refuse(path, "is too deep or too large to convert");
        };
        if self.is_copied(old, new) {
            return self.tell(path, Fate::Kept);
        }
        let converted = || Fate::Converted { from: old.name(), to: new.name() };
        match (old.shape(), new.shape()) {
            (
                Shape::Number { bytes, signed, boolean },
                Shape::Number { bytes: new_bytes, signed: new_signed, boolean: new_boolean },
            ) => {
                let places = (old.number(bytes, signed, boolean), new.number(new_bytes, new_signed, new_boolean));
                let (Some(from), Some(to)) = places else {
                    return self.refuse(path, format!("is {} there and {} here", old.name(), new.name()));
                };
                if old.is_big_endian() || new.is_big_endian() {
                    let what = "a number in network order cannot be made wider or narrower";
                    return self.refuse(path, format!("is {} there and {} here: {what}", old.name(), new.name()));
                }
                self.moves.push(Move::Number { from, to, path: path.to_owned() });
                // A field that only became wider or narrower within its own bits is told by its type.
                let same = (from.width, from.signed, from.boolean) == (to.width, to.signed, to.boolean);
                self.tell(path, if same { Fate::Kept } else { converted() });
            }
            (Shape::Array { element: l, count: n }, Shape::Array { element: r, count: m }) => {
                let was_quiet = std::mem::replace(&mut self.is_quiet, true);
                self.elements(old, new, (l, r), (n, m), path, depth);
                self.is_quiet = was_quiet;
                self.tell(path, converted());
            }
            (Shape::Struct, Shape::Struct) => self.fields(old, new, path, depth),
            (
                Shape::Number { .. } | Shape::Array { .. } | Shape::Struct | Shape::Whole,
                Shape::Number { .. } | Shape::Array { .. } | Shape::Struct | Shape::Whole,
            ) => self.refuse(path, format!("is {} there and {} here", old.name(), new.name())),
        }
    }

    /// Copies what is laid out the same on both sides, in whole bytes.
    fn is_copied(&mut self, old: Side<'_>, new: Side<'_>) -> bool {
        let in_bytes = |side: Side<'_>| side.bits.is_none() && side.bit_offset.is_multiple_of(8);
        let (true, true, Some(size), Some(other)) = (in_bytes(old), in_bytes(new), old.size(), new.size()) else {
            return false;
        };
        let boolean = |side: Side<'_>| matches!(side.shape(), Shape::Number { boolean: true, .. });
        if size != other
            || boolean(old) != boolean(new)
            || layout::difference((old.btf, old.ty), (new.btf, new.ty)).is_some()
        {
            return false;
        }
        let (from, to) = ((old.bit_offset / 8) as usize, (new.bit_offset / 8) as usize);
        self.moves.push(Move::Copy { from, to, bytes: size as usize });
        true
    }

    fn elements(
        &mut self,
        old: Side<'_>,
        new: Side<'_>,
        (l, r): (TypeId, TypeId),
        (n, m): (u32, u32),
        path: &str,
        depth: usize,
    ) {
        let (Some(left), Some(right)) = (old.btf.size_of(l), new.btf.size_of(r)) else {
            return self.refuse(path, "has elements without a size");
        };
        for index in 0..n.min(m) {
            self.value(old.element(l, index, left), new.element(r, index, right), path, depth);
            if !self.refusals.is_empty() {
                return;
            }
        }
        if let Some(rest) = n.checked_sub(m).filter(|rest| *rest > 0) {
            let from = (old.element(l, m, left).bit_offset / 8) as usize;
            let bytes = rest as usize * left as usize;
            self.moves.push(Move::Zero { from, bytes, path: path.to_owned() });
        }
    }

    fn fields(&mut self, old: Side<'_>, new: Side<'_>, path: &str, depth: usize) {
        let (Some(left), Some(right)) = (old.btf.fields(old.ty), new.btf.fields(new.ty)) else {
            return self.refuse(path, "has fields that nest without end");
        };
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if let Some(name) = odd_union(old, &left, new, &right) {
            return self.refuse(&below(name), "lies in a union that is another one here");
        }
        // Of the variables of a section, static ones of two functions may share a name.
        if let Some(name) = named_twice(&left).or_else(|| named_twice(&right)) {
            return self.refuse(&below(name), "is there more than once");
        }
        let by_name: BTreeMap<&str, &Field<'_>> = left.iter().map(|field| (field.name, field)).collect();
        let mut wanted = right.iter().map(|field| field.name).collect::<Vec<_>>();
        for field in &right {
            match by_name.get(field.name) {
                Some(was) => self.value(old.field(was), new.field(field), &below(field.name), depth),
                None => self.tell(&below(field.name), Fate::New),
            }
        }
        wanted.sort_unstable();
        for field in left.iter().filter(|field| wanted.binary_search(&field.name).is_err()) {
            // Within an array nobody would see it.
            match self.is_quiet {
                true => self.refuse(&below(field.name), "is not there any more, in elements of an array"),
                false => self.tell(&below(field.name), Fate::Dropped),
            }
        }
    }
}

fn named_twice<'a>(fields: &[Field<'a>]) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    fields.iter().map(|field| field.name).find(|name| !seen.insert(*name))
}

/// Finds a field that shares its bits with others, as those of an anonymous union do, when that union is not the same on
/// both sides: nobody can say which of its fields is meant.
fn odd_union<'a>(old: Side<'_>, left: &[Field<'a>], new: Side<'_>, right: &[Field<'a>]) -> Option<&'a str> {
    let [olds, news] = [unions(old, left), unions(new, right)];
    let known = |wanted: &[Field<'a>], given: &[Vec<Field<'a>>], (a, b): (Side<'_>, Side<'_>)| {
        given.iter().any(|union| {
            let start = |fields: &[Field<'_>]| fields.first().map_or(0, |field| field.bit_offset);
            union.len() == wanted.len()
                && wanted.iter().zip(union).all(|(l, r)| {
                    l.name == r.name
                        && l.bits == r.bits
                        && l.bit_offset - start(wanted) == r.bit_offset - start(union)
                        && a.btf.size_of(l.ty) == b.btf.size_of(r.ty)
                        && layout::difference((a.btf, l.ty), (b.btf, r.ty)).is_none()
                })
        })
    };
    let gone = olds.iter().find(|union| !known(union, &news, (old, new)));
    let odd = gone.or_else(|| news.iter().find(|union| !known(union, &olds, (new, old))));
    odd.and_then(|union| union.first()).map(|field| field.name)
}

/// Returns the sets of fields that share bits, each by place and name.
fn unions<'a>(side: Side<'_>, fields: &[Field<'a>]) -> Vec<Vec<Field<'a>>> {
    let mut fields = fields.to_vec();
    fields.sort_by_key(|field| (field.bit_offset, field.name));
    let (mut groups, mut end): (Vec<Vec<Field<'a>>>, u64) = (Vec::new(), 0);
    for field in fields {
        match groups.last_mut() {
            Some(group) if field.bit_offset < end => group.push(field),
            Some(_) | None => groups.push(vec![field]),
        }
        end = end.max(end_of(side, &field));
    }
    groups.retain(|group| group.len() > 1);
    groups
}

#[cfg(test)]
#[path = "convert/tests.rs"]
mod tests;
