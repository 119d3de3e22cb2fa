//! Bytes by type: fill a value from what a manifest says, and show one that the kernel holds.
//!
//! All bytes are little-endian, as the BPF objects that we load are.

use std::collections::BTreeMap;
use std::fmt;

use super::{Btf, Encoding, EnumValue, Field, MAX_DEPTH, Type, TypeId};

/// What text for bytes starts with.
const HEX: &str = "hex:";

/// A value that has no type yet, as TOML, JSON or CSV has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An integer; those above the range of `i128` are written as text.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// An enum's name, characters, `hex:` and bytes, or a number too large for the source (TOML ends at 2^63 - 1).
    Text(String),
    /// Elements of an array from the first.
    List(Vec<Value>),
    /// Fields by name.
    Table(BTreeMap<String, Value>),
}

/// Why a value does not fit a type, and at which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// Fields and elements from the outside in, as in `src.addr[2]`; empty for the whole value.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`ty` is always the type as C writes it, `given` what the manifest says")]
pub enum Problem {
    /// A number, below `least` or above `most`.
    Range { given: String, least: String, most: String, ty: String },
    /// Another kind of value; `wants` says which kinds do.
    Kind { given: String, wants: String, ty: String },
    /// More (or for `hex:`, other than) the `allowed` number of `unit`s.
    Length { given: usize, allowed: u32, unit: &'static str, ty: String },
    /// No field has the name; `near` is one that looks like it.
    Field { given: String, near: Option<String>, ty: String },
    /// No value of the enum has the name; `near` is one that looks like it.
    Name { given: String, near: Option<String>, ty: String },
    /// Pointers, functions and `void` cannot be written by a manifest.
    NotData { ty: String },
    /// The type has `needed` bytes (none: no size), and there are `given`.
    Space { needed: Option<u32>, given: usize, ty: String },
    /// The type nests too deep or holds too much to be shown.
    TooLarge { ty: String },
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { given, least, most, ty } => {
                write!(f, "{given} is not in {least} to {most}, the range of `{ty}`")
            }
            Self::Kind { given, wants, ty } => write!(f, "{given} is given, `{ty}` wants {wants}"),
            Self::Length { given, allowed, unit, ty } => {
                write!(f, "{given} {unit} are given, `{ty}` has {allowed}")
            }
            Self::Field { given, ty, .. } => write!(f, "`{ty}` has no field `{given}`"),
            Self::Name { given, ty, .. } => write!(f, "`{ty}` has no value `{given}`"),
            Self::NotData { ty } => write!(f, "a `{ty}` cannot be written"),
            Self::Space { needed: Some(needed), given, ty } => {
                write!(f, "`{ty}` has {needed} bytes, there are {given}")
            }
            Self::Space { needed: None, ty, .. } => write!(f, "`{ty}` has no size"),
            Self::TooLarge { ty } => write!(f, "`{ty}` is too deep or too large"),
        }
    }
}

impl std::error::Error for ValueError {}

impl ValueError {
    /// Returns the way out, where one is known: `did you mean ...`.
    pub fn help(&self) -> Option<String> {
        match &self.problem {
            Problem::Field { near: Some(near), .. } | Problem::Name { near: Some(near), .. } => {
                Some(format!("did you mean `{near}`?"))
            }
            Problem::Field { .. }
            | Problem::Name { .. }
            | Problem::Range { .. }
            | Problem::Kind { .. }
            | Problem::Length { .. }
            | Problem::NotData { .. }
            | Problem::Space { .. }
            | Problem::TooLarge { .. } => None,
        }
    }

    /// Puts `name` before the path: the error is in that field of something larger.
    pub fn below(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }
}

impl From<Problem> for ValueError {
    fn from(problem: Problem) -> Self {
        Self { path: String::new(), problem }
    }
}

/// Writes `value` into the start of `out` as a value of the type `id`. What the value does not name keeps its bytes.
///
/// # Errors
/// When the value does not fit the type, or `out` is too short. Some fields may then be written already.
pub fn encode(btf: &Btf, id: TypeId, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
    check_space(btf, id, out.len())?;
    put(btf, Place::whole(btf, id), value, out)
}

/// Reads the start of `bytes` as a value of the type `id`. What comes out can be
/// encoded again, but for pointers and for a `bool` that is neither 0 nor 1.
///
/// # Errors
/// When the type has no size, is larger than `bytes`, or nests too deep.
pub fn decode(btf: &Btf, id: TypeId, bytes: &[u8]) -> Result<Value, ValueError> {
    check_space(btf, id, bytes.len())?;
    Show::new(btf, bytes).decode(Place::whole(btf, id), MAX_DEPTH)
}

/// Returns the start of `bytes` as text, in the order the fields are declared: `{ src = 1, name = "eth0" }`.
///
/// # Errors
/// As [`decode`].
pub fn format(btf: &Btf, id: TypeId, bytes: &[u8]) -> Result<String, ValueError> {
    check_space(btf, id, bytes.len())?;
    let mut text = String::new();
    Show::new(btf, bytes).format(Place::whole(btf, id), MAX_DEPTH, &mut text)?;
    Ok(text)
}

fn check_space(btf: &Btf, id: TypeId, given: usize) -> Result<(), ValueError> {
    match btf.size_of(id) {
        Some(size) if size as usize <= given => Ok(()),
        needed => Err(Problem::Space { needed, given, ty: btf.type_name(id) }.into()),
    }
}

/// Something of a type, somewhere in the bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    ty: TypeId,
    bit_offset: u64,
    /// None when it is not a bit-field.
    bits: Option<u32>,
}

impl Place {
    fn whole(btf: &Btf, id: TypeId) -> Self {
        Self { ty: btf.data_type(id), bit_offset: 0, bits: None }
    }

    fn field(self, field: &Field<'_>) -> Self {
        let bit_offset = self.bit_offset.saturating_add(field.bit_offset);
        Self { ty: field.ty, bit_offset, bits: field.bits }
    }

    fn element(self, ty: TypeId, size: u32, index: usize) -> Self {
        let bits = (index as u64).saturating_mul(u64::from(size) * 8);
        Self { ty, bit_offset: self.bit_offset.saturating_add(bits), bits: None }
    }

    /// Returns the width of a number in bits: of the bit-field, or of `size` bytes.
    fn width(self, size: u32) -> u32 {
        self.bits.unwrap_or(size.saturating_mul(8))
    }
}

/// How the highest bit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Signed,
    Unsigned,
    /// Enums of compilers that do not say it.
    Either,
}

impl Sign {
    fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Signed | Encoding::Char => Self::Signed,
            Encoding::Unsigned | Encoding::Bool => Self::Unsigned,
        }
    }

    fn of_enum(signed: bool) -> Self {
        if signed { Self::Signed } else { Self::Either }
    }
}

/// An integer of up to 128 bits with its sign beside it, so that both `i128` and `u128` fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    negative: bool,
    magnitude: u128,
}

impl Number {
    fn new(value: i128) -> Self {
        Self { negative: value < 0, magnitude: value.unsigned_abs() }
    }

    /// Reads a number, or text that is one: decimal, or hexadecimal after `0x`.
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(value) => Some(Self::new(*value)),
            Value::Text(text) => {
                let (negative, digits) = match text.strip_prefix('-') {
                    Some(digits) => (true, digits),
                    None => (false, text.as_str()),
                };
                let (digits, radix) = match digits.strip_prefix("0x") {
                    Some(digits) => (digits, 16),
                    None => (digits, 10),
                };
                // `from_str_radix` takes a sign of its own.
                let magnitude = if digits.starts_with('+') { None } else { u128::from_str_radix(digits, radix).ok() }?;
                Some(Self { negative: negative && magnitude != 0, magnitude })
            }
            Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_) => None,
        }
    }

    /// Returns the number in two's complement, of which the lowest bits are the number in fewer bits.
    fn to_bits(self) -> u128 {
        if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude }
    }

    /// Returns the least number (without its sign) and the most that `bits` hold.
    fn limits(bits: u32, sign: Sign) -> (u128, u128) {
        let below = |bits: u32| 1u128.checked_shl(bits).map_or(u128::MAX, |over| over - 1);
        let half = bits.checked_sub(1).map_or(0, |bits| 1u128.checked_shl(bits).unwrap_or(0));
        match sign {
            Sign::Unsigned => (0, below(bits)),
            Sign::Signed => (half, half.saturating_sub(1)),
            Sign::Either => (half, below(bits)),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negative { "-" } else { "" }, self.magnitude)
    }
}

fn put(btf: &Btf, place: Place, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
    match btf.resolved(place.ty) {
        Type::Int { size, encoding: Encoding::Bool, .. } => put_bool(btf, place, *size, value, out),
        Type::Int { size, encoding, .. } => match Number::from_value(value) {
            Some(number) => put_number(btf, place, *size, Sign::of(*encoding), number, out),
            None => wrong_kind(btf, place, value, "an integer"),
        },
        Type::Float { size, .. } => put_float(btf, place, *size, value, out),
        Type::Enum { size, signed, values, .. } | Type::Enum64 { size, signed, values, .. } => {
            let number = enum_number(btf, place, values, value)?;
            put_number(btf, place, *size, Sign::of_enum(*signed), number, out)
        }
        Type::Array { element, count, .. } => put_array(btf, place, (*element, *count), value, out),
        Type::Struct { .. } | Type::Union { .. } | Type::Datasec { .. } => put_fields(btf, place, value, out),
        Type::Void
        | Type::Ptr { .. }
        | Type::Fwd { .. }
        | Type::Typedef { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::Func { .. }
        | Type::FuncProto { .. }
        | Type::Var { .. }
        | Type::DeclTag { .. }
        | Type::TypeTag { .. } => Err(Problem::NotData { ty: btf.type_name(place.ty) }.into()),
    }
}

fn put_bool(btf: &Btf, place: Place, size: u32, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
    let truth = match value {
        Value::Bool(truth) => *truth,
        Value::Int(0) => false,
        Value::Int(1) => true,
        Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Table(_) => {
            return wrong_kind(btf, place, value, "`true` or `false`");
        }
    };
    put_bits(btf, place, size, u128::from(truth), out)
}

fn put_number(
    btf: &Btf,
    place: Place,
    size: u32,
    sign: Sign,
    number: Number,
    out: &mut [u8],
) -> Result<(), ValueError> {
    let (least, most) = Number::limits(place.width(size), sign);
    if number.magnitude > if number.negative { least } else { most } {
        let least = Number { negative: least != 0, magnitude: least };
        let ty = bit_field_name(btf, place);
        let problem =
            Problem::Range { given: number.to_string(), least: least.to_string(), most: most.to_string(), ty };
        return Err(problem.into());
    }
    put_bits(btf, place, size, number.to_bits(), out)
}

fn put_float(btf: &Btf, place: Place, size: u32, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
    let number = match value {
        Value::Float(number) => *number,
        Value::Int(number) => *number as f64,
        Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Table(_) => {
            return wrong_kind(btf, place, value, "a number");
        }
    };
    let bits = match size {
        4 => u128::from((number as f32).to_bits()),
        8 => u128::from(number.to_bits()),
        _ => {
            return Err(Problem::NotData { ty: btf.type_name(place.ty) }.into());
        }
    };
    put_bits(btf, place, size, bits, out)
}

fn enum_number(btf: &Btf, place: Place, values: &[EnumValue], value: &Value) -> Result<Number, ValueError> {
    let named = |text: &str| values.iter().find(|v| v.name == text).map(|v| Number::new(v.value));
    match (value, Number::from_value(value)) {
        (_, Some(number)) => Ok(number),
        (Value::Text(text), None) => named(text).ok_or_else(|| {
            let near = nearest(text, values.iter().map(|v| v.name.as_str()));
            Problem::Name { given: text.clone(), near, ty: btf.type_name(place.ty) }.into()
        }),
        (Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_), None) => {
            wrong_kind(btf, place, value, "one of its names or an integer")
        }
    }
}

fn put_array(
    btf: &Btf,
    place: Place,
    (element, count): (TypeId, u32),
    value: &Value,
    out: &mut [u8],
) -> Result<(), ValueError> {
    let bytes = Bytes::of(btf, element);
    match (value, bytes) {
        (Value::List(list), _) => put_list(btf, place, (element, count), list, out),
        (Value::Text(text), Some(bytes)) => {
            let ty = || btf.type_name(place.ty);
            let length = |given, unit| Problem::Length { given, allowed: count, unit, ty: ty() };
            let data = match (text.strip_prefix(HEX), bytes) {
                (Some(digits), _) => match from_hex(digits) {
                    Some(data) if data.len() == count as usize => data,
                    Some(data) => return Err(length(data.len(), "bytes").into()),
                    None => {
                        return wrong_kind(btf, place, value, "two hexadecimal digits for each byte after `hex:`");
                    }
                },
                (None, Bytes::Characters) if text.len() <= count as usize => {
                    let mut data = text.clone().into_bytes();
                    data.resize(count as usize, 0);
                    data
                }
                (None, Bytes::Characters) => return Err(length(text.len(), "bytes of text").into()),
                (None, Bytes::Numbers) => {
                    return wrong_kind(btf, place, value, "a list, or text that starts with `hex:`");
                }
            };
            for (index, byte) in data.into_iter().enumerate() {
                put_bits(btf, place.element(element, 1, index), 1, u128::from(byte), out)?;
            }
            Ok(())
        }
        (_, Some(Bytes::Characters)) => wrong_kind(btf, place, value, "text or a list"),
        (_, Some(Bytes::Numbers)) => wrong_kind(btf, place, value, "a list, or text that starts with `hex:`"),
        (_, None) => wrong_kind(btf, place, value, "a list"),
    }
}

fn put_list(
    btf: &Btf,
    place: Place,
    (element, count): (TypeId, u32),
    list: &[Value],
    out: &mut [u8],
) -> Result<(), ValueError> {
    if list.len() > count as usize {
        let ty = btf.type_name(place.ty);
        return Err(Problem::Length { given: list.len(), allowed: count, unit: "elements", ty }.into());
    }
    let Some(size) = btf.size_of(element) else {
        return Err(Problem::NotData { ty: btf.type_name(element) }.into());
    };
    for (index, value) in list.iter().enumerate() {
        put(btf, place.element(element, size, index), value, out)
            .map_err(|error| error.below(&format!("[{index}]")))?;
    }
    Ok(())
}

fn put_fields(btf: &Btf, place: Place, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
    let Value::Table(table) = value else {
        return wrong_kind(btf, place, value, "a table of its fields");
    };
    let ty = || btf.type_name(place.ty);
    let fields = btf.fields(place.ty).ok_or_else(|| Problem::TooLarge { ty: ty() })?;
    for (name, value) in table {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            let near = nearest(name, fields.iter().map(|field| field.name));
            return Err(Problem::Field { given: name.clone(), near, ty: ty() }.into());
        };
        put(btf, place.field(field), value, out).map_err(|error| error.below(name))?;
    }
    Ok(())
}

fn wrong_kind<T>(btf: &Btf, place: Place, value: &Value, wants: &str) -> Result<T, ValueError> {
    let ty = btf.type_name(place.ty);
    Err(Problem::Kind { given: value.to_string(), wants: wants.to_owned(), ty }.into())
}

fn bit_field_name(btf: &Btf, place: Place) -> String {
    let name = btf.type_name(place.ty);
    place.bits.map_or(name.clone(), |bits| format!("{name}:{bits}"))
}

/// Returns the name that looks most like `given`, if one does: a third of its letters may differ.
fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(given.len()).div_ceil(3))
        .min()
        .map(|(_, name)| name.to_owned())
}

/// Arrays whose elements are bytes can be written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    /// `char`.
    Characters,
    /// `__u8`, `unsigned char` and the like.
    Numbers,
}

impl Bytes {
    fn of(btf: &Btf, element: TypeId) -> Option<Self> {
        match btf.resolved(element) {
            Type::Int { size: 1, name, encoding, .. } => match encoding {
                Encoding::Bool => None,
                Encoding::Char => Some(Self::Characters),
                Encoding::Signed | Encoding::Unsigned if name == "char" => Some(Self::Characters),
                Encoding::Signed | Encoding::Unsigned => Some(Self::Numbers),
            },
            _ => None,
        }
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    HEX.chars().chain(digits).collect()
}

fn put_bits(btf: &Btf, place: Place, size: u32, bits: u128, out: &mut [u8]) -> Result<(), ValueError> {
    let width = place.width(size);
    let space = || Problem::Space { needed: Some(width.div_ceil(8)), given: 0, ty: btf.type_name(place.ty) };
    write_bits(out, place.bit_offset, width, bits).ok_or_else(|| space().into())
}

/// Writes the lowest `width` bits of `value` from `offset` on, and leaves all other bits as they are.
fn write_bits(out: &mut [u8], offset: u64, width: u32, value: u128) -> Option<()> {
    let (first, shift, bytes) = bit_range(out.len(), offset, width)?;
    let mut value = value;
    let (mut left, mut shift) = (width, shift);
    for byte in &mut out[first..first + bytes] {
        let here = left.min(8 - shift);
        let mask = ((1u16 << here) - 1) as u8;
        *byte = *byte & !(mask << shift) | (value as u8 & mask) << shift;
        value >>= here;
        left -= here;
        shift = 0;
    }
    Some(())
}

/// Reads `width` bits from `offset` on.
fn read_bits(bytes: &[u8], offset: u64, width: u32) -> Option<u128> {
    let (first, shift, count) = bit_range(bytes.len(), offset, width)?;
    let (mut value, mut done, mut shift) = (0u128, 0, shift);
    for byte in &bytes[first..first + count] {
        let here = (width - done).min(8 - shift);
        let mask = ((1u16 << here) - 1) as u8;
        value |= u128::from(byte >> shift & mask) << done;
        done += here;
        shift = 0;
    }
    Some(value)
}

/// Returns the first byte, the first bit in it, and the number of bytes; none when they are not all within `length`.
fn bit_range(length: usize, offset: u64, width: u32) -> Option<(usize, u32, usize)> {
    let first = usize::try_from(offset / 8).ok()?;
    let shift = (offset % 8) as u32;
    let count = width.checked_add(shift)?.div_ceil(8) as usize;
    (width <= 128 && first.checked_add(count)? <= length).then_some((first, shift, count))
}

/// Shows bytes by type, and stops when a small type turns out to hold more than the bytes can.
struct Show<'a> {
    btf: &'a Btf,
    bytes: &'a [u8],
    budget: usize,
}

/// What is at a place, one level deep.
enum View<'a> {
    Scalar(Value),
    List { element: TypeId, size: u32, count: u32 },
    Fields(Vec<Field<'a>>),
}

impl<'a> Show<'a> {
    fn new(btf: &'a Btf, bytes: &'a [u8]) -> Self {
        // Every bit once as a member and once as a place, and members of unions a few times more.
        let budget = bytes.len().saturating_mul(32).saturating_add(1 << 16);
        Self { btf, bytes, budget }
    }

    fn decode(&mut self, place: Place, depth: usize) -> Result<Value, ValueError> {
        let depth = self.spend(place, depth)?;
        match self.view(place)? {
            View::Scalar(value) => Ok(value),
            View::List { element, size, count } => (0..count as usize)
                .map(|index| self.decode(place.element(element, size, index), depth))
                .collect::<Result<_, _>>()
                .map(Value::List),
            View::Fields(fields) => fields
                .iter()
                .map(|field| Ok((field.name.to_owned(), self.decode(place.field(field), depth)?)))
                .collect::<Result<_, _>>()
                .map(Value::Table),
        }
    }

    fn format(&mut self, place: Place, depth: usize, text: &mut String) -> Result<(), ValueError> {
        let depth = self.spend(place, depth)?;
        match self.view(place)? {
            View::Scalar(value) => text.push_str(&value.to_string()),
            View::List { element, size, count } => {
                text.push('[');
                for index in 0..count as usize {
                    text.push_str(if index == 0 { "" } else { ", " });
                    self.format(place.element(element, size, index), depth, text)?;
                }
                text.push(']');
            }
            View::Fields(fields) => {
                text.push('{');
                for (index, field) in fields.iter().enumerate() {
                    text.push_str(if index == 0 { " " } else { ", " });
                    text.push_str(field.name);
                    text.push_str(" = ");
                    self.format(place.field(field), depth, text)?;
                }
                text.push_str(if fields.is_empty() { "}" } else { " }" });
            }
        }
        Ok(())
    }

    /// Counts one place; returns how deep the places in it may nest.
    fn spend(&mut self, place: Place, depth: usize) -> Result<usize, ValueError> {
        match (self.budget.checked_sub(1), depth.checked_sub(1)) {
            (Some(budget), Some(depth)) => {
                self.budget = budget;
                Ok(depth)
            }
            (None, _) | (_, None) => Err(Problem::TooLarge { ty: self.btf.type_name(place.ty) }.into()),
        }
    }

    fn view(&mut self, place: Place) -> Result<View<'a>, ValueError> {
        let btf = self.btf;
        let ty = || btf.type_name(place.ty);
        Ok(match self.btf.resolved(place.ty) {
            Type::Int { size, encoding: Encoding::Bool, .. } => match self.bits(place, *size)? {
                0 => View::Scalar(Value::Bool(false)),
                1 => View::Scalar(Value::Bool(true)),
                other => View::Scalar(Value::Int(other as i128)),
            },
            Type::Int { size, encoding, .. } => {
                View::Scalar(integer(self.bits(place, *size)?, place.width(*size), Sign::of(*encoding)))
            }
            Type::Float { size: 4, .. } => {
                View::Scalar(Value::Float(f32::from_bits(self.bits(place, 4)? as u32).into()))
            }
            Type::Float { size: 8, .. } => View::Scalar(Value::Float(f64::from_bits(self.bits(place, 8)? as u64))),
            Type::Enum { size, signed, values, .. } | Type::Enum64 { size, signed, values, .. } => {
                let (bits, width) = (self.bits(place, *size)?, place.width(*size));
                let (_, mask) = Number::limits(width, Sign::Unsigned);
                match values.iter().find(|value| value.value as u128 & mask == bits) {
                    Some(value) => View::Scalar(Value::Text(value.name.to_string())),
                    None => View::Scalar(integer(bits, width, Sign::of_enum(*signed))),
                }
            }
            Type::Ptr { .. } => View::Scalar(Value::Text(format!("{:#x}", self.bits(place, super::POINTER_SIZE)?))),
            Type::Array { element, count, .. } => self.view_array(place, *element, *count)?,
            Type::Struct { .. } | Type::Union { .. } | Type::Datasec { .. } => {
                let fields = btf.fields_within(place.ty, &mut self.budget);
                View::Fields(fields.ok_or_else(|| Problem::TooLarge { ty: ty() })?)
            }
            Type::Void
            | Type::Float { .. }
            | Type::Fwd { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::Func { .. }
            | Type::FuncProto { .. }
            | Type::Var { .. }
            | Type::DeclTag { .. }
            | Type::TypeTag { .. } => return Err(Problem::NotData { ty: ty() }.into()),
        })
    }

    fn view_array(&self, place: Place, element: TypeId, count: u32) -> Result<View<'a>, ValueError> {
        let ty = || self.btf.type_name(place.ty);
        let Some(characters) = Bytes::of(self.btf, element) else {
            let size = self.btf.size_of(element).ok_or_else(|| Problem::NotData { ty: ty() })?;
            return Ok(View::List { element, size, count });
        };
        let start = usize::try_from(place.bit_offset / 8).ok();
        let bytes = start.and_then(|start| self.bytes.get(start..)?.get(..count as usize));
        match bytes {
            Some(bytes) => Ok(View::Scalar(Value::Text(bytes_text(bytes, characters)))),
            None => Err(Problem::Space { needed: Some(count), given: self.bytes.len(), ty: ty() }.into()),
        }
    }

    fn bits(&self, place: Place, size: u32) -> Result<u128, ValueError> {
        let ty = || self.btf.type_name(place.ty);
        let space = || Problem::Space { needed: Some(size), given: self.bytes.len(), ty: ty() };
        read_bits(self.bytes, place.bit_offset, place.width(size)).ok_or_else(|| space().into())
    }
}

/// Returns text up to the padding, or the bytes in hexadecimal where they are no text that could be written again.
fn bytes_text(bytes: &[u8], kind: Bytes) -> String {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match (kind, std::str::from_utf8(&bytes[..end])) {
        (Bytes::Characters, Ok(text)) if !text.chars().any(char::is_control) && !text.starts_with(HEX) => {
            text.to_owned()
        }
        (Bytes::Characters | Bytes::Numbers, _) => to_hex(bytes),
    }
}

fn integer(bits: u128, width: u32, sign: Sign) -> Value {
    let unused = 128u32.saturating_sub(width);
    let value = match sign {
        Sign::Signed if unused < 128 => Ok(bits.cast_signed() << unused >> unused),
        Sign::Signed | Sign::Unsigned | Sign::Either => i128::try_from(bits),
    };
    value.map_or_else(|_| Value::Text(bits.to_string()), Value::Int)
}

impl fmt::Display for Value {
    /// Writes the value as TOML does, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Bool(value) => value.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Table(table) => {
                f.write_str("{")?;
                for (index, (name, value)) in table.iter().enumerate() {
                    write!(f, "{} {name} = {value}", if index == 0 { "" } else { "," })?;
                }
                f.write_str(if table.is_empty() { "}" } else { " }" })
            }
        }
    }
}

impl From<Value> for serde_json::Value {
    /// Integers stay exact: those outside 64 bits become text, and so do infinities.
    fn from(value: Value) -> Self {
        match value {
            Value::Int(value) => match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => value.into(),
                (Err(_), Ok(value)) => value.into(),
                (Err(_), Err(_)) => value.to_string().into(),
            },
            Value::Float(value) if value.is_finite() => value.into(),
            Value::Float(value) => value.to_string().into(),
            Value::Bool(value) => value.into(),
            Value::Text(text) => text.into(),
            Value::List(list) => list.into_iter().map(Self::from).collect(),
            Value::Table(table) => table.into_iter().map(|(name, value)| (name, Self::from(value))).collect(),
        }
    }
}
