//! Tests of conversions: tables of types and bytes, and what holds for all of them.

use super::*;
use crate::btf::value::{Value, decode, encode};
use crate::btf::{EnumValue, Member};
use proptest::prelude::*;

/// A type as tests write it.
#[derive(Debug, Clone, PartialEq)]
enum T {
    Unsigned(u32),
    Signed(u32),
    Bool,
    Big(u32),
    Float(u32),
    Pointer,
    /// With one negative value where it says so.
    Enum(u32, bool),
    Array(Box<T>, u32),
    /// One behind the other, without gaps; the number is the width of a bit-field.
    Struct(Vec<(&'static str, T, u8)>),
    /// An empty name is an anonymous one, as in a struct.
    Union(Vec<(&'static str, T, u8)>),
}

use T::{Array, Big, Bool, Enum, Pointer, Signed, Struct, Union, Unsigned};

impl T {
    fn add(&self, btf: &mut Btf) -> TypeId {
        let int = |btf: &mut Btf, size: u32, encoding| {
            btf.push(Type::Int { name: "int".into(), size, bits: (size * 8) as u8, offset: 0, encoding })
        };
        match self {
            Self::Unsigned(size) => int(btf, *size, Encoding::Unsigned),
            Self::Signed(size) => int(btf, *size, Encoding::Signed),
            Self::Bool => int(btf, 1, Encoding::Bool),
            Self::Big(size) => {
                let ty = int(btf, *size, Encoding::Unsigned);
                btf.push(Type::Typedef { name: format!("__be{}", size * 8).as_str().into(), ty })
            }
            Self::Float(size) => btf.push(Type::Float { name: "float".into(), size: *size }),
            Self::Pointer => btf.push(Type::Ptr { ty: 0 }),
            Self::Enum(size, negative) => {
                let values = vec![EnumValue { name: "A".into(), value: if *negative { -1 } else { 1 } }];
                btf.push(Type::Enum { name: "e".into(), size: *size, signed: false, values })
            }
            Self::Array(element, count) => {
                let (element, index) = (element.add(btf), int(btf, 4, Encoding::Unsigned));
                btf.push(Type::Array { element, index, count: *count })
            }
            Self::Struct(fields) => {
                let mut bit_offset = 0;
                let mut members = Vec::new();
                for (name, ty, bits) in fields {
                    let id = ty.add(btf);
                    members.push(Member { name: (*name).into(), ty: id, bit_offset, bitfield_size: *bits });
                    bit_offset += if *bits == 0 { btf.size_of(id).unwrap() * 8 } else { u32::from(*bits) };
                }
                btf.push(Type::Struct { name: "s".into(), size: bit_offset.div_ceil(8), members })
            }
            Self::Union(fields) => {
                let mut members = Vec::new();
                for (name, ty, bits) in fields {
                    let ty = ty.add(btf);
                    members.push(Member { name: (*name).into(), ty, bit_offset: 0, bitfield_size: *bits });
                }
                let size = members.iter().filter_map(|member| btf.size_of(member.ty)).max().unwrap_or(0);
                btf.push(Type::Union { name: "u".into(), size, members })
            }
        }
    }

    fn built(&self) -> (Btf, TypeId) {
        let mut btf = Btf::default();
        let id = self.add(&mut btf);
        (btf, id)
    }
}

fn of(fields: &[(&'static str, T)]) -> T {
    Struct(fields.iter().map(|(name, ty)| (*name, ty.clone(), 0)).collect())
}

fn array(element: T, count: u32) -> T {
    Array(Box::new(element), count)
}

fn between(old: &T, new: &T) -> Result<Conversion, Vec<Refusal>> {
    let ((old, from), (new, to)) = (old.built(), new.built());
    Conversion::between((&old, from), (&new, to))
}

/// Converts bytes; the error is the misfit or the first refusal, in words.
fn convert(old: &T, new: &T, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let conversion = between(old, new).map_err(|refusals| format!("{}: {}", refusals[0].path, refusals[0].why))?;
    let mut out = vec![0; conversion.to];
    conversion.convert(bytes, &mut out).map_err(|misfit| misfit.to_string())?;
    Ok(out)
}

/// Bytes, and what becomes of them.
type Row<'a> = (&'a [u8], Result<&'a [u8], &'a str>);

#[track_caller]
fn check(old: &T, new: &T, rows: &[Row<'_>]) {
    for (bytes, wanted) in rows {
        let got = convert(old, new, bytes);
        let wanted = wanted.map(<[u8]>::to_vec).map_err(str::to_owned);
        assert_eq!(got, wanted, "{old:?} to {new:?} of {bytes:?}");
    }
}

#[test]
fn numbers() {
    check(&Unsigned(2), &Unsigned(4), &[(&[0xff, 0xff], Ok(&[0xff, 0xff, 0, 0]))]);
    check(&Signed(2), &Signed(4), &[(&[0xfe, 0xff], Ok(&[0xfe, 0xff, 0xff, 0xff])), (&[1, 0], Ok(&[1, 0, 0, 0]))]);
    check(
        &Unsigned(4),
        &Unsigned(1),
        &[(&[255, 0, 0, 0], Ok(&[255])), (&[0, 1, 0, 0], Err("it is 256, and from 0 to 255 fits"))],
    );
    check(
        &Signed(4),
        &Signed(2),
        &[
            (&[0, 0x80, 0xff, 0xff], Ok(&[0, 0x80])),
            (&[0xff, 0x7f, 0xff, 0xff], Err("it is -32769, and from -32768 to 32767 fits")),
        ],
    );
    check(&Signed(1), &Unsigned(1), &[(&[127], Ok(&[127])), (&[0xff], Err("it is -1, and from 0 to 255 fits"))]);
    check(
        &Unsigned(8),
        &Signed(8),
        &[(&[0xff; 8], Err("it is 18446744073709551615, and from -9223372036854775808 to 9223372036854775807 fits"))],
    );
    check(&Unsigned(4), &Bool, &[(&[1, 0, 0, 0], Ok(&[1])), (&[2, 0, 0, 0], Err("it is 2, and from 0 to 1 fits"))]);
    check(&Enum(4, false), &Unsigned(8), &[(&[7, 0, 0, 0], Ok(&[7, 0, 0, 0, 0, 0, 0, 0]))]);
    check(&Enum(1, true), &Enum(2, true), &[(&[0xff], Ok(&[0xff, 0xff]))]);
    check(&Enum(4, false), &Enum(4, true), &[(&[0xff; 4], Ok(&[0xff; 4]))]);
}

#[test]
fn what_only_keeps_its_bytes() {
    check(&Big(4), &Big(4), &[(&[1, 2, 3, 4], Ok(&[1, 2, 3, 4]))]);
    check(&T::Float(4), &T::Float(4), &[(&[1, 2, 3, 4], Ok(&[1, 2, 3, 4]))]);
    check(&Pointer, &Pointer, &[(&[1; 8], Ok(&[1; 8]))]);
    let wider = ": is __be16 there and __be32 here: a number in network order cannot be made wider or narrower";
    check(&Big(2), &Big(4), &[(&[1, 2], Err(wider))]);
    check(&T::Float(4), &T::Float(8), &[(&[0; 4], Err(": is float there and float here"))]);
    check(&Unsigned(16), &Unsigned(8), &[(&[0; 16], Err(": is int there and int here"))]);
    check(&Unsigned(8), &Pointer, &[(&[0; 8], Err(": is int there and void * here"))]);
}

#[test]
fn arrays() {
    let bytes = |count| array(Unsigned(1), count);
    check(&bytes(2), &bytes(4), &[(&[1, 2], Ok(&[1, 2, 0, 0]))]);
    check(&bytes(4), &bytes(2), &[(&[1, 2, 0, 0], Ok(&[1, 2])), (&[0, 0, 0, 1], Err("it has more elements than fit"))]);
    check(&array(Signed(1), 2), &array(Signed(2), 2), &[(&[0xff, 1], Ok(&[0xff, 0xff, 1, 0]))]);
    let pairs = |fields: &[(&'static str, T)]| array(of(fields), 2);
    check(
        &pairs(&[("a", Unsigned(1)), ("b", Unsigned(1))]),
        &pairs(&[("b", Unsigned(1)), ("c", Unsigned(1)), ("a", Unsigned(1))]),
        &[(&[1, 2, 3, 4], Ok(&[2, 0, 1, 4, 0, 3]))],
    );
    let gone = "b: is not there any more, in elements of an array";
    check(&pairs(&[("a", Unsigned(1)), ("b", Unsigned(1))]), &pairs(&[("a", Unsigned(1))]), &[(&[0; 4], Err(gone))]);
    check(
        &array(Unsigned(1), 1 << 20),
        &array(Unsigned(2), 1 << 20),
        &[(&[], Err(": is too deep or too large to convert"))],
    );
}

#[test]
fn bit_fields() {
    let old = Struct(vec![("a", Unsigned(4), 3), ("b", Signed(4), 5), ("c", Unsigned(1), 0)]);
    let new = Struct(vec![("b", Signed(4), 9), ("a", Unsigned(4), 2), ("c", Unsigned(4), 5)]);
    // a = 3, b = -2, c = 17: b takes bits 0 to 8, a 9 and 10, c 11 to 15.
    check(&old, &new, &[(&[0b1111_0011, 17], Ok(&[0b1111_1110, 0b1000_1111]))]);
    check(&old, &new, &[(&[0b1111_0111, 17], Err("a is 7, and from 0 to 3 fits"))]);
}

#[test]
fn fields_go_by_their_names() {
    let inner = |size| of(&[("x", Unsigned(size)), ("y", Unsigned(1))]);
    let old = of(&[("a", Unsigned(4)), ("gone", Unsigned(2)), ("in", inner(1))]);
    let new = of(&[("in", inner(2)), ("fresh", Unsigned(1)), ("a", Unsigned(4))]);
    check(&old, &new, &[(&[1, 2, 3, 4, 9, 9, 5, 6], Ok(&[5, 0, 6, 0, 1, 2, 3, 4]))]);
    let conversion = between(&old, &new).unwrap();
    let fates: Vec<_> = conversion.fields.iter().map(|field| (field.path.as_str(), field.fate.clone())).collect();
    let converted = Fate::Converted { from: "int".to_owned(), to: "int".to_owned() };
    let wanted =
        [("in.x", converted), ("in.y", Fate::Kept), ("fresh", Fate::New), ("a", Fate::Kept), ("gone", Fate::Dropped)];
    assert_eq!(fates, wanted);
    assert!(conversion.drops());
    assert!(between(&old, &old).unwrap().is_same());
    let refusal = "in: is struct s there and int here";
    check(&old, &of(&[("in", Unsigned(4))]), &[(&[0; 8], Err(refusal))]);
}

#[test]
fn unions_stay_what_they_are() {
    let addresses = |size| Union(vec![("four", Unsigned(size), 0), ("six", array(Unsigned(1), 8), 0)]);
    let old = of(&[("port", Unsigned(1)), ("", addresses(4))]);
    let moved = of(&[("", addresses(4)), ("port", Unsigned(2))]);
    check(&old, &moved, &[(&[9, 1, 2, 3, 4, 5, 6, 7, 8], Ok(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]))]);
    let other = "four: lies in a union that is another one here";
    check(&old, &of(&[("port", Unsigned(1)), ("", addresses(8))]), &[(&[0; 9], Err(other))]);
    check(&old, &of(&[("port", Unsigned(1)), ("four", Unsigned(4))]), &[(&[0; 9], Err(other))]);
    let named = |size| of(&[("u", addresses(size))]);
    check(&named(4), &named(4), &[(&[1; 8], Ok(&[1; 8]))]);
    check(&named(4), &named(2), &[(&[1; 8], Err("u: is union u there and union u here"))]);
}

#[test]
fn types_that_lie_are_refused() {
    let mut btf = Btf::default();
    let ty = Unsigned(8).add(&mut btf);
    let member = |name: &str, bit_offset| Member { name: name.into(), ty, bit_offset, bitfield_size: 0 };
    let short = btf.push(Type::Struct { name: "short".into(), size: 8, members: vec![member("a", 64)] });
    let good = btf.push(Type::Struct { name: "good".into(), size: 16, members: vec![member("a", 0)] });
    for (old, new) in [(short, good), (good, short)] {
        let refusals = Conversion::between((&btf, old), (&btf, new)).unwrap_err();
        assert_eq!(refusals[0].why, "has fields outside of its own size");
    }
    assert_eq!(Conversion::between((&btf, 0), (&btf, good)).unwrap_err()[0].why, "has a type without a size");
}

/// Some of these fields, in any order and of any width.
fn fields() -> impl Strategy<Value = Vec<(&'static str, T, u8)>> {
    let scalar = prop_oneof![
        prop::sample::select(vec![1u32, 2, 4, 8]).prop_map(Unsigned),
        prop::sample::select(vec![1u32, 2, 4, 8]).prop_map(Signed),
    ];
    let names = prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..=5).prop_shuffle();
    (names, prop::collection::vec((scalar, prop::option::of(7u8..9)), 5)).prop_map(|(names, types)| {
        let fields = names.into_iter().zip(types);
        fields.map(|(name, (ty, bits))| (name, ty, bits.unwrap_or(0))).collect()
    })
}

proptest! {
    /// There and back, the fields that both sides have are as they were.
    #[test]
    fn common_fields_come_back(old in fields(), new in fields(), numbers in prop::collection::vec(0i128..64, 5)) {
        let (left, right) = (Struct(old.clone()), Struct(new.clone()));
        let (btf, id) = left.built();
        let table = |keep: &dyn Fn(&str) -> bool| {
            let with = old.iter().zip(&numbers).map(|((name, ..), number)| {
                ((*name).to_owned(), Value::Int(if keep(name) { *number } else { 0 }))
            });
            Value::Table(with.collect())
        };
        let mut bytes = vec![0; btf.size_of(id).unwrap() as usize];
        encode(&btf, id, &table(&|_| true), &mut bytes).unwrap();
        let there = convert(&left, &right, &bytes).unwrap();
        let back = convert(&right, &left, &there).unwrap();
        let common = |name: &str| new.iter().any(|(other, ..)| *other == name);
        prop_assert_eq!(decode(&btf, id, &back).unwrap(), table(&common));
    }

    /// What a conversion takes, it gives back: nothing is cut off in silence.
    #[test]
    fn numbers_fit_or_are_refused(bytes in prop::array::uniform8(any::<u8>()), old in 0usize..8, new in 0usize..8) {
        let types = [1, 2, 4, 8].map(Unsigned).into_iter().chain([1, 2, 4, 8].map(Signed)).collect::<Vec<_>>();
        let size = types[old].built().0.size_of(1).unwrap() as usize;
        if let Ok(there) = convert(&types[old], &types[new], &bytes[..size]) {
            prop_assert_eq!(convert(&types[new], &types[old], &there).unwrap(), &bytes[..size]);
        }
    }
}
