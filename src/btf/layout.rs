//! Whether two types, perhaps of two objects, lay their data out in the same way, and if not, where first.
//!
//! Data is laid out the same when the fields have the same names, places, sizes and kinds. What the types themselves are called
//! does not matter, nor what a kernel was given instead of a type or name that it does not know (`sanitise`), nor which anonymous struct or union a field is in, nor what a pointer points to.

use hashbrown::{HashMap, HashSet};
use std::borrow::Cow;

use super::sanitise::identifier;
use super::{Btf, Encoding, Field, MAX_DEPTH, Type, TypeId};

/// How many members are looked at before giving up; real types have a few thousand at most.
const MAX_COMPARED: usize = 1 << 17;

/// The first field that differs, and how each side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// From the left type's name to the field: `flow_key.src.addr`; `[]` stands for the elements of an array.
    pub path: String,
    /// As in `u32 at byte 4`, counted from the start of the whole.
    pub left: String,
    /// As in `u64 at byte 8`.
    pub right: String,
}

/// Returns the first difference between the layouts of two types; none when they agree.
///
/// Types too large or too deep to compare are said to differ.
pub fn difference(a: (&Btf, TypeId), b: (&Btf, TypeId)) -> Option<Difference> {
    let name = a.0.get(a.1).and_then(Type::name).filter(|name| !name.is_empty());
    let path = name.map_or_else(|| a.0.type_name(a.1), str::to_owned);
    let mut walk = Walk { seen: HashSet::new(), budget: MAX_COMPARED };
    walk.compare(Side::whole(a), Side::whole(b), &path, MAX_DEPTH)
}

/// Where a field lies.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Spot {
    /// From the start of the whole.
    bit_offset: u64,
    /// None when it is not a bit-field.
    bits: Option<u32>,
}

/// One of the two things compared; the whole has no spot.
#[derive(Clone, Copy)]
struct Side<'a> {
    btf: &'a Btf,
    ty: TypeId,
    spot: Option<Spot>,
}

/// What matters of a type here; sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Int {
        size: u32,
        signed: bool,
    },
    Float {
        size: u32,
    },
    Enum {
        size: u32,
    },
    Pointer,
    Array {
        element: TypeId,
        count: u32,
    },
    Fields {
        size: u32,
    },
    /// A struct or union that is only declared.
    Declared,
    Void,
    /// A function, or a tag: nothing that holds data.
    Other,
}

/// What a comparison has done so far.
struct Walk {
    /// Pairs of structs that agree, or that are being compared further out.
    seen: HashSet<(TypeId, TypeId)>,
    budget: usize,
}

impl Walk {
    fn compare(&mut self, left: Side<'_>, right: Side<'_>, path: &str, depth: usize) -> Option<Difference> {
        let differ = || Some(Difference { path: path.to_owned(), left: left.describe(), right: right.describe() });
        let Some(depth) = depth.checked_sub(1) else {
            return too_large(path);
        };
        if left.spot != right.spot {
            return differ();
        }
        match (left.shape(), right.shape()) {
            (Shape::Array { element: l, count: n }, Shape::Array { element: r, count: m }) if n == m => {
                let (l, r) = (Side { ty: l, ..left }, Side { ty: r, ..right });
                self.compare(l, r, &format!("{path}[]"), depth)
            }
            (Shape::Fields { size: n }, Shape::Fields { size: m }) => {
                let inside = self.compare_fields(left, right, path, depth);
                inside.or_else(|| if n == m { None } else { differ() })
            }
            (Shape::Declared, Shape::Fields { .. }) | (Shape::Fields { .. }, Shape::Declared) => None,
            (l, r) if l == r => None,
            (Shape::Float { size } | Shape::Enum { size }, Shape::Fields { size: other })
            | (Shape::Fields { size: other }, Shape::Float { size } | Shape::Enum { size })
                if size == other && (left.is_stand_in() || right.is_stand_in()) =>
            {
                None
            }
            (_, _) => differ(),
        }
    }

    /// Compares fields by name, so that the members of a union may come in any order.
    fn compare_fields<'a>(&mut self, left: Side<'a>, right: Side<'a>, path: &str, depth: usize) -> Option<Difference> {
        if !self.seen.insert((left.btf.resolve(left.ty), right.btf.resolve(right.ty))) {
            return None;
        }
        let mut fields = |side: Side<'a>| side.btf.fields_within(side.ty, &mut self.budget);
        let (Some(ls), Some(rs)) = (fields(left), fields(right)) else {
            return too_large(path);
        };
        let path_of = |field: &Field<'_>| format!("{path}.{}", field.name);
        if ls.len() == rs.len() && ls.iter().zip(&rs).all(|(l, r)| l.name == r.name) {
            // As nearly always: there is nothing to look for.
            let mut both = ls.iter().zip(&rs);
            return both.find_map(|(l, r)| self.compare(left.field(l), right.field(r), &path_of(l), depth));
        }
        let (ls, rs) = (named(&ls), named(&rs));
        let (left_names, right_names): (HashMap<_, _>, HashMap<_, _>) =
            (ls.iter().cloned().collect(), rs.iter().cloned().collect());
        for (name, field) in &ls {
            let path = path_of(field);
            let here = left.field(field);
            let found = match right_names.get(name) {
                Some(other) => self.compare(here, right.field(other), &path, depth),
                None => {
                    let other =
                        rs.iter().find(|(name, other)| at(other) == at(field) && !left_names.contains_key(name));
                    let other = other.map(|(_, other)| *other);
                    Some(Difference { path, left: here.describe(), right: right.stand_in(other) })
                }
            };
            if found.is_some() {
                return found;
            }
        }
        let (_, extra) = rs.iter().find(|(name, _)| !left_names.contains_key(name))?;
        let path = path_of(extra);
        Some(Difference { path, left: left.stand_in(None), right: right.field(extra).describe() })
    }
}

/// A field's name as every kernel takes it, and how many fields of that name come before it: in an object linked of
/// several files, two static variables can have the same one.
type Name<'a> = (Cow<'a, str>, usize);

fn named<'a, 'b>(fields: &'b [Field<'a>]) -> Vec<(Name<'a>, &'b Field<'a>)> {
    let mut counts: HashMap<Cow<'a, str>, usize> = HashMap::new();
    let name = |field: &'b Field<'a>| {
        let name = identifier(field.name, true);
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        ((name, *count), field)
    };
    fields.iter().map(name).collect()
}

fn at(field: &Field<'_>) -> Spot {
    Spot { bit_offset: field.bit_offset, bits: field.bits }
}

fn too_large(path: &str) -> Option<Difference> {
    let what = "too large to compare".to_owned();
    Some(Difference { path: path.to_owned(), left: what.clone(), right: what })
}

impl<'a> Side<'a> {
    fn whole((btf, id): (&'a Btf, TypeId)) -> Self {
        Side { btf, ty: btf.data_type(id), spot: None }
    }

    fn field(self, field: &Field<'_>) -> Self {
        let base = self.spot.map_or(0, |spot| spot.bit_offset);
        let spot = Spot { bit_offset: base.saturating_add(field.bit_offset), bits: field.bits };
        Side { ty: field.ty, spot: Some(spot), ..self }
    }

    /// Tells whether this is what stands for a type that a kernel does not know: a struct without members, or a union of
    /// pointers.
    fn is_stand_in(self) -> bool {
        match self.btf.resolved(self.ty) {
            Type::Struct { members, .. } => members.is_empty(),
            Type::Union { members, .. } => {
                members.iter().all(|member| matches!(self.btf.get(member.ty), Some(Type::Ptr { ty: 0 })))
            }
            _ => false,
        }
    }

    /// Says what is there instead of a field of the other side: one with another name, or nothing.
    fn stand_in(self, other: Option<&Field<'_>>) -> String {
        match other {
            Some(other) => format!("`{}`, {}", other.name, self.field(other).describe()),
            None => "absent".to_owned(),
        }
    }

    fn shape(self) -> Shape {
        match self.btf.resolved(self.ty) {
            Type::Int { size, encoding, .. } => {
                let signed = match encoding {
                    Encoding::Signed | Encoding::Char => true,
                    Encoding::Unsigned | Encoding::Bool => false,
                };
                Shape::Int { size: *size, signed }
            }
            Type::Float { size, .. } => Shape::Float { size: *size },
            Type::Enum { size, .. } | Type::Enum64 { size, .. } => Shape::Enum { size: *size },
            Type::Ptr { .. } => Shape::Pointer,
            Type::Array { element, count, .. } => Shape::Array { element: *element, count: *count },
            Type::Struct { size, .. } | Type::Union { size, .. } | Type::Datasec { size, .. } => {
                Shape::Fields { size: *size }
            }
            Type::Fwd { .. } => Shape::Declared,
            Type::Void => Shape::Void,
            Type::Var { .. }
            | Type::Func { .. }
            | Type::FuncProto { .. }
            | Type::DeclTag { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::TypeTag { .. } => Shape::Other,
        }
    }

    fn describe(self) -> String {
        let kind = self.describe_type();
        match self.spot {
            None => kind,
            Some(Spot { bit_offset, bits: Some(bits) }) => format!("{bits} bits of {kind} at bit {bit_offset}"),
            Some(Spot { bit_offset, bits: None }) => format!("{kind} at byte {}", bit_offset / 8),
        }
    }

    /// Names what is compared, not what the type is called: two typedefs of one name may be of two sizes.
    fn describe_type(mut self) -> String {
        let mut counts = String::new();
        for _ in 0..MAX_DEPTH {
            let Shape::Array { element, count } = self.shape() else {
                break;
            };
            counts.push_str(&format!("[{count}]"));
            self.ty = element;
        }
        let element = match self.shape() {
            Shape::Int { size, signed } => {
                format!("{}{}", if signed { "s" } else { "u" }, u64::from(size) * 8)
            }
            Shape::Float { size } => format!("f{}", u64::from(size) * 8),
            Shape::Enum { size } => format!("enum of {size} bytes"),
            Shape::Pointer => "pointer".to_owned(),
            Shape::Array { .. } => "array".to_owned(),
            Shape::Fields { size } => format!("struct of {size} bytes"),
            Shape::Declared => "struct that is only declared".to_owned(),
            Shape::Void => "void".to_owned(),
            Shape::Other => "no data".to_owned(),
        };
        element + &counts
    }
}
