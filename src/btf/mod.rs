//! The BPF Type Format: an owned model of one object's types, and the questions that others ask of it.
//!
//! [`Btf::parse`] and [`Btf::encode`] (`wire.rs`) move between bytes and the model, [`ext`] reads `.BTF.ext`,
//! [`layout`] compares two types, [`value`] fills and shows bytes by type.
//! Nothing here reads a file or asks a kernel, and nothing here knows what a map is.
//!
//! Ids in a parsed model are always in range, but types may refer to each other in a circle, or as a graph
//! that is small to write and endless to walk: every walk here is bounded.
//! The format: <https://docs.kernel.org/bpf/btf.html>.

mod c;
pub mod convert;
pub mod ext;
mod fields;
pub mod kernel;
pub mod layout;
mod name;
pub mod sanitise;
pub mod value;
mod wire;

use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;

pub use fields::Field;
pub use name::Name;
use name::Table;

/// The number of a type in its [`Btf`]; 0 is `void`.
pub type TypeId = u32;

/// How deep types may nest before a walk gives up; the kernel's own limit (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: usize = 32;
/// Pointers are 64 bits wide in BPF, whatever the host.
const POINTER_SIZE: u32 = 8;
/// Where a printed type name ends with `...`, in bytes.
const MAX_NAME: usize = 1024;

/// All types of one object.
///
/// Two models are equal when their types are; the string table they came from does not count.
#[derive(Debug, Clone)]
pub struct Btf {
    types: Vec<Type>,
    /// The string section as it was parsed, for names and `.BTF.ext` to point into. It starts with the empty string.
    strings: Table,
}

/// One type, one variant for each kind of the format. An empty name means anonymous.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the format's own")]
pub enum Type {
    /// Type 0.
    Void,
    /// `size` in bytes; `bits` and `offset` differ from the whole only in bit-fields of old compilers.
    Int {
        name: Name,
        size: u32,
        bits: u8,
        offset: u8,
        encoding: Encoding,
    },
    Ptr {
        ty: TypeId,
    },
    Array {
        element: TypeId,
        index: TypeId,
        count: u32,
    },
    /// `size` in bytes.
    Struct {
        name: Name,
        size: u32,
        members: Vec<Member>,
    },
    /// `size` in bytes.
    Union {
        name: Name,
        size: u32,
        members: Vec<Member>,
    },
    /// Values of 32 bits, whatever the `size` in bytes. Compilers before clang 15 never say `signed`.
    Enum {
        name: Name,
        size: u32,
        signed: bool,
        values: Vec<EnumValue>,
    },
    /// Values of 64 bits.
    Enum64 {
        name: Name,
        size: u32,
        signed: bool,
        values: Vec<EnumValue>,
    },
    Fwd {
        name: Name,
        is_union: bool,
    },
    Typedef {
        name: Name,
        ty: TypeId,
    },
    Volatile {
        ty: TypeId,
    },
    Const {
        ty: TypeId,
    },
    Restrict {
        ty: TypeId,
    },
    Func {
        name: Name,
        proto: TypeId,
        linkage: Linkage,
    },
    FuncProto {
        ret: TypeId,
        params: Vec<Param>,
    },
    Var {
        name: Name,
        ty: TypeId,
        linkage: Linkage,
    },
    /// `size` in bytes; 0 until [`Btf::fix_datasec`] in what compilers write.
    Datasec {
        name: Name,
        size: u32,
        vars: Vec<SectionVar>,
    },
    Float {
        name: Name,
        size: u32,
    },
    /// `component` is a member or parameter of `ty`; none means `ty` itself.
    /// `attribute` says that `name` is a whole compiler attribute (kernel 6.14).
    DeclTag {
        name: Name,
        ty: TypeId,
        component: Option<u32>,
        attribute: bool,
    },
    TypeTag {
        name: Name,
        ty: TypeId,
        attribute: bool,
    },
}

/// The kind of a [`Type`], without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the variant of `Type` with the same name")]
pub enum Kind {
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Enum64,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    Datasec,
    Float,
    DeclTag,
    TypeTag,
}

/// What the bits of an integer mean. Compilers call a plain `char` signed, as C on x86 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Encoding {
    Unsigned,
    Signed,
    Char,
    Bool,
}

/// A member of a struct or union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Empty for an anonymous struct or union.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
    /// From the start of the struct, in bits.
    pub bit_offset: u32,
    /// In bits; 0 when it is not a bit-field.
    pub bitfield_size: u8,
}

/// A name of an enum and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumValue {
    /// As C spells it.
    pub name: Name,
    /// Within 32 bits ([`Type::Enum`]) or 64 bits ([`Type::Enum64`]), signed or not.
    pub value: i128,
}

/// A parameter of a function; the last one with type 0 and no name stands for `...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Empty in prototypes of pointers.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
}

/// Where a variable (or an extern function) lies in its section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionVar {
    /// A [`Type::Var`] or [`Type::Func`].
    pub ty: TypeId,
    /// From the start of the section, in bytes.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
}

/// Who can see a function or variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are C's")]
pub enum Linkage {
    Static,
    Global,
    Extern,
}

/// What is wrong with the bytes, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where the problem is.
    pub place: Place,
    /// What is wrong there.
    pub what: String,
}

/// Where a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Byte offset in `.BTF`.
    Byte(usize),
    /// Byte offset in `.BTF.ext`.
    ExtByte(usize),
    /// A type of `.BTF`.
    Type(TypeId),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Byte(at) => write!(f, "bad BTF at byte {at}: {}", self.what),
            Place::ExtByte(at) => write!(f, "bad BTF.ext at byte {at}: {}", self.what),
            Place::Type(id) => write!(f, "bad BTF type {id}: {}", self.what),
        }
    }
}

impl std::error::Error for Error {}

impl PartialEq for Btf {
    fn eq(&self, other: &Self) -> bool {
        self.types == other.types
    }
}

impl Eq for Btf {}

impl Default for Btf {
    /// Returns a model that has only `void`.
    fn default() -> Self {
        Self { types: vec![Type::Void], strings: Arc::new("\0".into()) }
    }
}

impl Btf {
    /// Returns the type `id`, if there is one.
    pub fn get(&self, id: TypeId) -> Option<&Type> {
        self.types.get(usize::try_from(id).ok()?)
    }

    /// Returns all types with their ids, `void` first.
    pub fn types(&self) -> impl ExactSizeIterator<Item = (TypeId, &Type)> {
        self.types.iter().enumerate().map(|(id, ty)| (id as TypeId, ty))
    }

    /// Adds a type and returns its id. Ids that `ty` holds are not checked; a vlen above 65,535 is cut when encoded.
    pub fn push(&mut self, ty: Type) -> TypeId {
        self.types.push(ty);
        (self.types.len() - 1) as TypeId
    }

    /// Returns the first type of that kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<TypeId> {
        self.types().find(|(_, ty)| ty.kind() == kind && ty.name() == Some(name)).map(|(id, _)| id)
    }

    /// Returns the sections by their names; the first of several with one name.
    pub fn datasecs(&self) -> HashMap<&str, TypeId> {
        let mut sections = HashMap::new();
        for (id, ty) in self.types() {
            if let Type::Datasec { name, .. } = ty {
                sections.entry(name.as_str()).or_insert(id);
            }
        }
        sections
    }

    /// Returns the size in bytes and the variables of the section `name`.
    pub fn datasec(&self, name: &str) -> Option<(u32, &[SectionVar])> {
        let id = self.find(Kind::Datasec, name)?;
        let Type::Datasec { size, vars, .. } = self.get(id)? else {
            return None;
        };
        Some((*size, vars))
    }

    /// Returns what stands behind typedefs, qualifiers and type tags, or 0 (`void`) when they go in a circle.
    pub fn resolve(&self, id: TypeId) -> TypeId {
        let mut id = id;
        for _ in 0..=MAX_DEPTH {
            match self.get(id) {
                Some(ty) => match ty.behind() {
                    Some(next) => id = next,
                    None => return id,
                },
                None => return 0,
            }
        }
        0
    }

    /// Returns the type behind typedefs, qualifiers and type tags; see [`Btf::resolve`].
    pub fn resolved(&self, id: TypeId) -> &Type {
        self.get(self.resolve(id)).unwrap_or(&Type::Void)
    }

    /// Returns the size in bytes, if the type has one; of a variable, the size of what it holds.
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        let mut id = self.data_type(id);
        let mut count = 1u32;
        for _ in 0..MAX_DEPTH {
            match self.resolved(id) {
                Type::Array { element, count: n, .. } => {
                    count = count.checked_mul(*n)?;
                    id = *element;
                }
                Type::Ptr { .. } => return count.checked_mul(POINTER_SIZE),
                ty => return count.checked_mul(ty.size()?),
            }
        }
        None
    }

    /// Returns the type of the data: what a variable holds, and any other type itself.
    pub fn data_type(&self, id: TypeId) -> TypeId {
        if let Some(Type::Var { ty, .. }) = self.get(id) { *ty } else { id }
    }

    /// Returns what a pointer points to, through typedefs and qualifiers on the pointer itself.
    pub fn pointee(&self, id: TypeId) -> Option<TypeId> {
        if let Type::Ptr { ty } = self.resolved(id) { Some(*ty) } else { None }
    }

    /// Returns the type as C writes it: `struct flow_key *`, `__u32[4]`, `int (*)(void *)`.
    pub fn type_name(&self, id: TypeId) -> String {
        self.declare(id, String::new(), 0)
    }

    /// Wraps the declarator `inner` into the type `id`, from the inside out as C does; `depth` counts parameter lists.
    fn declare(&self, id: TypeId, inner: String, depth: usize) -> String {
        let (mut id, mut inner, mut qualifiers) = (id, inner, String::new());
        for _ in 0..MAX_DEPTH {
            let ty = self.get(id).unwrap_or(&Type::Void);
            match ty {
                Type::Const { ty } => {
                    qualifiers.push_str("const ");
                    id = *ty;
                }
                Type::Volatile { ty } => {
                    qualifiers.push_str("volatile ");
                    id = *ty;
                }
                Type::Restrict { ty } => {
                    qualifiers.push_str("restrict ");
                    id = *ty;
                }
                Type::TypeTag { ty, .. } => id = *ty,
                Type::Ptr { ty } => {
                    inner = format!("*{}{inner}", std::mem::take(&mut qualifiers));
                    if matches!(self.get(*ty), Some(Type::Array { .. } | Type::FuncProto { .. })) {
                        inner = format!("({})", inner.trim_end());
                    }
                    id = *ty;
                }
                Type::Array { element, count, .. } => {
                    inner = format!("{}[{count}]", inner.trim_end());
                    id = *element;
                }
                Type::FuncProto { ret, params } => {
                    inner = format!("{}({})", inner.trim_end(), self.parameters(params, depth));
                    id = *ret;
                }
                Type::Var { name, ty, .. } | Type::Func { name, proto: ty, .. } => {
                    inner.push_str(name);
                    id = *ty;
                }
                Type::Void
                | Type::Int { .. }
                | Type::Struct { .. }
                | Type::Union { .. }
                | Type::Enum { .. }
                | Type::Enum64 { .. }
                | Type::Fwd { .. }
                | Type::Typedef { .. }
                | Type::Datasec { .. }
                | Type::Float { .. }
                | Type::DeclTag { .. } => return join(&qualifiers, ty, inner.trim_end()),
            }
            if inner.len() > MAX_NAME {
                break;
            }
        }
        "...".to_owned()
    }

    fn parameters(&self, params: &[Param], depth: usize) -> String {
        const MAX_LISTS: usize = 2;
        if depth == MAX_LISTS {
            return "...".to_owned();
        }
        let mut text = String::new();
        for (n, param) in params.iter().enumerate() {
            if n > 0 {
                text.push_str(", ");
            }
            if text.len() > MAX_NAME || (param.ty == 0 && param.name.is_empty()) {
                text.push_str("...");
                return text;
            }
            text.push_str(&self.declare(param.ty, String::new(), depth + 1));
        }
        if text.is_empty() { "void".to_owned() } else { text }
    }

    /// Gives a section its size and its global variables their offsets in bytes, and sorts by offset.
    ///
    /// Compilers leave the offset of a global variable to the ELF symbol, which `offsets` looks up; a static variable's is right
    /// already, and its name may stand for several. Extern variables without an answer stay as they are.
    ///
    /// # Errors
    /// When there is no such section, or a global variable has no offset. The model is then as it was.
    pub fn fix_datasec(&mut self, id: TypeId, size: u32, offsets: &dyn Fn(&str) -> Option<u32>) -> Result<(), Error> {
        let Some(Type::Datasec { name, vars, .. }) = self.get(id) else {
            return Err(Error { place: Place::Type(id), what: "this is no section".to_owned() });
        };
        let mut fixed = vars.clone();
        for var in &mut fixed {
            let Some(Type::Var { name: var_name, linkage, .. }) = self.get(var.ty) else {
                continue;
            };
            match (linkage, offsets(var_name)) {
                (Linkage::Static, _) | (Linkage::Extern, None) => {}
                (Linkage::Global | Linkage::Extern, Some(offset)) => var.offset = offset,
                (Linkage::Global, None) => {
                    let what = format!("the variable `{var_name}` of section `{name}` has no symbol");
                    return Err(Error { place: Place::Type(var.ty), what });
                }
            }
        }
        fixed.sort_by_key(|var| var.offset);
        if let Some(Type::Datasec { size: old, vars, .. }) = self.types.get_mut(id as usize) {
            *old = size;
            *vars = fixed;
        }
        Ok(())
    }

    /// Sets who can see the function or variable `id`; false when `id` is neither.
    pub fn set_linkage(&mut self, id: TypeId, to: Linkage) -> bool {
        let Some(Type::Func { linkage, .. } | Type::Var { linkage, .. }) = self.types.get_mut(id as usize) else {
            return false;
        };
        *linkage = to;
        true
    }
}

/// Returns a named type with its qualifiers before it and its declarator behind it.
fn join(qualifiers: &str, ty: &Type, declarator: &str) -> String {
    let keyword = match ty.kind() {
        Kind::Struct => "struct ",
        Kind::Union => "union ",
        Kind::Enum | Kind::Enum64 => "enum ",
        Kind::Fwd => {
            if matches!(ty, Type::Fwd { is_union: true, .. }) {
                "union "
            } else {
                "struct "
            }
        }
        Kind::Datasec => "section ",
        Kind::DeclTag => "tag ",
        Kind::Void => "void",
        Kind::Int
        | Kind::Ptr
        | Kind::Array
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::FuncProto
        | Kind::Var
        | Kind::Float
        | Kind::TypeTag => "",
    };
    let name = match ty.name() {
        Some("") => "{...}",
        Some(name) => name,
        None => "",
    };
    let gap = if declarator.is_empty() || declarator.starts_with('[') { "" } else { " " };
    format!("{qualifiers}{keyword}{name}{gap}{declarator}")
}

impl Type {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Void => Kind::Void,
            Self::Int { .. } => Kind::Int,
            Self::Ptr { .. } => Kind::Ptr,
            Self::Array { .. } => Kind::Array,
            Self::Struct { .. } => Kind::Struct,
            Self::Union { .. } => Kind::Union,
            Self::Enum { .. } => Kind::Enum,
            Self::Enum64 { .. } => Kind::Enum64,
            Self::Fwd { .. } => Kind::Fwd,
            Self::Typedef { .. } => Kind::Typedef,
            Self::Volatile { .. } => Kind::Volatile,
            Self::Const { .. } => Kind::Const,
            Self::Restrict { .. } => Kind::Restrict,
            Self::Func { .. } => Kind::Func,
            Self::FuncProto { .. } => Kind::FuncProto,
            Self::Var { .. } => Kind::Var,
            Self::Datasec { .. } => Kind::Datasec,
            Self::Float { .. } => Kind::Float,
            Self::DeclTag { .. } => Kind::DeclTag,
            Self::TypeTag { .. } => Kind::TypeTag,
        }
    }

    /// Returns the size in bytes that the type itself says; [`Btf::size_of`] also knows pointers and arrays.
    pub fn size(&self) -> Option<u32> {
        match self {
            Self::Int { size, .. }
            | Self::Float { size, .. }
            | Self::Struct { size, .. }
            | Self::Union { size, .. }
            | Self::Enum { size, .. }
            | Self::Enum64 { size, .. }
            | Self::Datasec { size, .. } => Some(*size),
            Self::Void
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Fwd { .. }
            | Self::Typedef { .. }
            | Self::Volatile { .. }
            | Self::Const { .. }
            | Self::Restrict { .. }
            | Self::Func { .. }
            | Self::FuncProto { .. }
            | Self::Var { .. }
            | Self::DeclTag { .. }
            | Self::TypeTag { .. } => None,
        }
    }

    /// Returns the name of a kind that can have one; empty means anonymous.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Int { name, .. }
            | Self::Struct { name, .. }
            | Self::Union { name, .. }
            | Self::Enum { name, .. }
            | Self::Enum64 { name, .. }
            | Self::Fwd { name, .. }
            | Self::Typedef { name, .. }
            | Self::Func { name, .. }
            | Self::Var { name, .. }
            | Self::Datasec { name, .. }
            | Self::Float { name, .. }
            | Self::DeclTag { name, .. }
            | Self::TypeTag { name, .. } => Some(name),
            Self::Void
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Volatile { .. }
            | Self::Const { .. }
            | Self::Restrict { .. }
            | Self::FuncProto { .. } => None,
        }
    }

    /// Returns the type that this one only renames or qualifies.
    fn behind(&self) -> Option<TypeId> {
        match self {
            Self::Typedef { ty, .. }
            | Self::Volatile { ty }
            | Self::Const { ty }
            | Self::Restrict { ty }
            | Self::TypeTag { ty, .. } => Some(*ty),
            Self::Void
            | Self::Int { .. }
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Struct { .. }
            | Self::Union { .. }
            | Self::Enum { .. }
            | Self::Enum64 { .. }
            | Self::Fwd { .. }
            | Self::Func { .. }
            | Self::FuncProto { .. }
            | Self::Var { .. }
            | Self::Datasec { .. }
            | Self::Float { .. }
            | Self::DeclTag { .. } => None,
        }
    }
}
