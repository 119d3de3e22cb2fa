//! How the values of a type lie in bytes: prepared once, for any number of values.
//!
//! A shape comes from BTF, from a format that the manifest writes ([`super::format`]), or from a mere size. What can be
//! wrong with a type is part of its shape, and said when a value is to be put there.

use super::number::Sign;
use crate::btf::{Btf, Encoding, EnumValue, MAX_DEPTH, POINTER_SIZE, Type, TypeId};
use hashbrown::HashMap;
use std::sync::Arc;

/// How many fields are looked at: more than those of any real type, and small types can nest into more than memory holds.
const MAX_FIELDS: usize = 1 << 14;

/// How the values of a type lie in bytes.
#[derive(Debug, Clone)]
pub struct Shape {
    /// What messages call the type.
    pub(super) ty: String,
    /// In bytes; none when it has no size.
    pub(super) size: Option<u32>,
    pub(super) kind: Kind,
    /// The addresses that can be written there as text.
    pub(super) rooms: Rooms,
}

/// What is at a place.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Bool,
    Int {
        sign: Sign,
        order: Order,
    },
    Float,
    Enum {
        sign: Sign,
        values: Vec<EnumValue>,
    },
    Pointer,
    /// Elements of one byte, written as text.
    Bytes {
        count: u32,
        is_text: bool,
        shown: Shown,
    },
    List {
        element: Arc<Shape>,
        count: u32,
    },
    Fields {
        fields: Vec<Part>,
        shown: Shown,
    },
    /// The key of an LPM trie: the length of a prefix in bits (`__u32`), then the bytes that it is of.
    Prefix {
        key: Arc<Shape>,
        is_address: bool,
    },
    /// Nothing that can be written.
    NotData,
    /// It nests too deep, or without end.
    TooLarge,
}

/// A field, or a run of bytes of a format.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Empty for bytes that are always zero.
    pub(super) name: String,
    pub(super) shape: Arc<Shape>,
    pub(super) bit_offset: u64,
    /// None when it is not a bit-field.
    pub(super) bits: Option<u32>,
}

/// The order of an integer's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    /// Network order.
    Big,
}

/// How bytes are shown that more than one text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    AsTheyAre,
    /// As the address of so many bytes.
    Address,
}

/// Which addresses have their bytes somewhere, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rooms {
    pub(super) ipv4: bool,
    pub(super) ipv6: bool,
    pub(super) mac: bool,
}

impl Rooms {
    /// Integers and arrays of them take the addresses that are as long as they are.
    fn of_len(len: u32) -> Self {
        Self { ipv4: len == 4, ipv6: len == 16, mac: len == 6 }
    }

    /// Fields take an address when there is nothing beside it: one field, or the members of a union.
    fn of_fields(fields: &[Part]) -> Self {
        if fields.iter().any(|field| field.bit_offset != 0 || field.bits.is_some()) {
            return Self::default();
        }
        let any = |takes: fn(Self) -> bool| fields.iter().any(|field| takes(field.shape.rooms));
        Self { ipv4: any(|rooms| rooms.ipv4), ipv6: any(|rooms| rooms.ipv6), mac: any(|rooms| rooms.mac) }
    }

    pub(super) fn has(self, len: usize) -> bool {
        match len {
            4 => self.ipv4,
            6 => self.mac,
            16 => self.ipv6,
            _ => false,
        }
    }

    pub(super) fn any(self) -> bool {
        self.ipv4 || self.ipv6 || self.mac
    }

    /// Says what can be written there, after what else can.
    pub(super) fn wants(self, else_wants: &str) -> String {
        let names = [(self.ipv4, "an IPv4 address"), (self.ipv6, "an IPv6 address"), (self.mac, "a MAC address")];
        let mut wants = else_wants.to_owned();
        for (_, name) in names.iter().filter(|(takes, _)| *takes) {
            wants.push_str(if wants.is_empty() { "" } else { " or " });
            wants.push_str(name);
        }
        wants
    }
}

impl Shape {
    /// Prepares a BTF type.
    pub fn of(btf: &Btf, id: TypeId) -> Arc<Self> {
        Builder { btf, known: HashMap::new(), budget: MAX_FIELDS }.shape(btf.data_type(id), 2 * MAX_DEPTH)
    }

    /// Prepares bytes of which nothing is known but how many they are: a number where numbers have that size.
    pub fn of_size(size: u32) -> Arc<Self> {
        Arc::new(match size {
            1 | 2 | 4 | 8 => Self::int(format!("u{}", size * 8), size, Sign::Unsigned, Order::Little),
            _ => Self::bytes(format!("bytes[{size}]"), size, false, Shown::AsTheyAre),
        })
    }

    /// Prepares the key of an LPM trie. Where nothing is known of it, `size` tells one of addresses.
    #[must_use]
    pub fn prefix_of(key: Arc<Self>) -> Arc<Self> {
        if matches!(key.kind, Kind::Prefix { .. }) {
            return key;
        }
        let is_address = match &key.kind {
            Kind::Fields { fields, .. } => data_of(fields).is_some_and(Rooms::any),
            Kind::Bool
            | Kind::Int { .. }
            | Kind::Float
            | Kind::Enum { .. }
            | Kind::Pointer
            | Kind::Bytes { .. }
            | Kind::List { .. }
            | Kind::Prefix { .. }
            | Kind::NotData
            | Kind::TooLarge => false,
        };
        let (ty, size) = (key.ty.clone(), key.size);
        Arc::new(Self { ty, size, kind: Kind::Prefix { key, is_address }, rooms: Rooms::default() })
    }

    /// Returns the size in bytes, if it has one.
    pub fn size(&self) -> Option<u32> {
        self.size
    }

    pub(super) fn int(ty: String, size: u32, sign: Sign, order: Order) -> Self {
        Self { ty, size: Some(size), kind: Kind::Int { sign, order }, rooms: Rooms::of_len(size) }
    }

    pub(super) fn bytes(ty: String, count: u32, is_text: bool, shown: Shown) -> Self {
        let rooms = if is_text { Rooms::default() } else { Rooms::of_len(count) };
        Self { ty, size: Some(count), kind: Kind::Bytes { count, is_text, shown }, rooms }
    }

    pub(super) fn plain(ty: String, size: u32, kind: Kind) -> Self {
        Self { ty, size: Some(size), kind, rooms: Rooms::default() }
    }

    pub(super) fn fields(ty: String, size: u32, fields: Vec<Part>, shown: Shown) -> Self {
        let rooms = Rooms::of_fields(&fields);
        Self { ty, size: Some(size), kind: Kind::Fields { fields, shown }, rooms }
    }

    /// Returns how deep lists nest in one value.
    pub fn list_depth(&self) -> usize {
        match &self.kind {
            Kind::Bytes { .. } => 1,
            Kind::List { element, .. } => 1 + element.list_depth(),
            Kind::Bool
            | Kind::Int { .. }
            | Kind::Float
            | Kind::Enum { .. }
            | Kind::Pointer
            | Kind::Fields { .. }
            | Kind::Prefix { .. }
            | Kind::NotData
            | Kind::TooLarge => 0,
        }
    }
}

/// Returns what can be written behind the length of a prefix, when these are the fields of such a key.
fn data_of(fields: &[Part]) -> Option<Rooms> {
    let (length, data) = fields.split_first()?;
    let is_length = length.bit_offset == 0 && length.bits.is_none() && length.shape.size == Some(4);
    let is_number = matches!(length.shape.kind, Kind::Int { order: Order::Little, .. });
    let behind: Vec<Part> =
        data.iter().map(|part| Part { bit_offset: part.bit_offset.wrapping_sub(32), ..part.clone() }).collect();
    (is_length && is_number).then(|| Rooms::of_fields(&behind))
}

/// Makes shapes of BTF types, each type once.
struct Builder<'a> {
    btf: &'a Btf,
    /// None while a type is being looked at: one that contains itself has no end.
    known: HashMap<TypeId, Option<Arc<Shape>>>,
    budget: usize,
}

impl Builder<'_> {
    fn shape(&mut self, id: TypeId, depth: usize) -> Arc<Shape> {
        match (self.known.get(&id), depth.checked_sub(1)) {
            (Some(Some(shape)), _) => shape.clone(),
            (Some(None), _) | (None, None) => Arc::new(self.none(id, Kind::TooLarge)),
            (None, Some(depth)) => {
                self.known.insert(id, None);
                let shape = Arc::new(self.build(id, depth));
                self.known.insert(id, Some(shape.clone()));
                shape
            }
        }
    }

    fn none(&self, id: TypeId, kind: Kind) -> Shape {
        Shape { ty: self.btf.type_name(id), size: self.btf.size_of(id), kind, rooms: Rooms::default() }
    }

    fn build(&mut self, id: TypeId, depth: usize) -> Shape {
        let (btf, ty) = (self.btf, self.btf.type_name(id));
        match btf.resolved(id) {
            Type::Int { size, encoding: Encoding::Bool, .. } => Shape::plain(ty, *size, Kind::Bool),
            Type::Int { size, encoding, .. } => Shape::int(ty, *size, Sign::of(*encoding), order(btf, id, *size)),
            Type::Float { size, .. } => Shape::plain(ty, *size, Kind::Float),
            Type::Enum { size, signed, values, .. } | Type::Enum64 { size, signed, values, .. } => {
                Shape::plain(ty, *size, Kind::Enum { sign: Sign::of_enum(*signed), values: values.clone() })
            }
            Type::Ptr { .. } => Shape::plain(ty, POINTER_SIZE, Kind::Pointer),
            Type::Array { element, count, .. } => self.array(id, ty, (*element, *count), depth),
            Type::Struct { name, .. } | Type::Union { name, .. } | Type::Datasec { name, .. } => {
                self.fields(id, ty, name, depth)
            }
            Type::Void
            | Type::Fwd { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::Func { .. }
            | Type::FuncProto { .. }
            | Type::Var { .. }
            | Type::DeclTag { .. }
            | Type::TypeTag { .. } => self.none(id, Kind::NotData),
        }
    }

    fn array(&mut self, id: TypeId, ty: String, (element, count): (TypeId, u32), depth: usize) -> Shape {
        match self.btf.resolved(element) {
            Type::Int { size: 1, name, encoding, .. } if *encoding != Encoding::Bool => {
                let is_text = *encoding == Encoding::Char || name == "char";
                return Shape::bytes(ty, count, is_text, Shown::AsTheyAre);
            }
            _ => {}
        }
        let element = self.shape(element, depth);
        let Some(size) = self.btf.size_of(id) else {
            let kind = if matches!(element.kind, Kind::TooLarge) { Kind::TooLarge } else { Kind::NotData };
            return self.none(id, kind);
        };
        let is_int = matches!(element.kind, Kind::Int { .. });
        let rooms = if is_int { Rooms::of_len(size) } else { Rooms::default() };
        Shape { ty, size: Some(size), kind: Kind::List { element, count }, rooms }
    }

    fn fields(&mut self, id: TypeId, ty: String, name: &str, depth: usize) -> Shape {
        let btf = self.btf;
        let (Some(fields), Some(size)) = (btf.fields_within(id, &mut self.budget), btf.size_of(id)) else {
            return self.none(id, Kind::TooLarge);
        };
        let parts = fields.into_iter().map(|field| Part {
            name: field.name.to_owned(),
            shape: self.shape(field.ty, depth),
            bit_offset: field.bit_offset,
            bits: field.bits,
        });
        let parts = parts.collect();
        // `linux/in.h` and `linux/in6.h`.
        let is_address = matches!((name, size), ("in_addr", 4) | ("in6_addr", 16));
        Shape::fields(ty, size, parts, if is_address { Shown::Address } else { Shown::AsTheyAre })
    }
}

/// Returns in which order the bytes of an integer are: the kernel says by a typedef that they are in network order
/// (`linux/types.h`).
fn order(btf: &Btf, id: TypeId, size: u32) -> Order {
    let mut id = id;
    for _ in 0..=MAX_DEPTH {
        match btf.get(id) {
            Some(Type::Typedef { name, ty }) => match (name.as_str(), size) {
                ("__be16", 2) | ("__be32", 4) | ("__be64", 8) => return Order::Big,
                _ => id = *ty,
            },
            Some(Type::Const { ty } | Type::Volatile { ty } | Type::Restrict { ty } | Type::TypeTag { ty, .. }) => {
                id = *ty;
            }
            _ => break,
        }
    }
    Order::Little
}
