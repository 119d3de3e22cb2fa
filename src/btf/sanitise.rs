//! BTF that the kernel takes: what compilers write and every kernel refuses, and what only old kernels refuse.
//!
//! Types keep their ids throughout, so that whatever names them stays right: functions, lines, maps.
//! The rules are `bpf_object__collect_externs` and `bpf_object__sanitize_btf` of libbpf, and the checks of
//! `kernel/bpf/btf.c`.

use super::{Btf, Encoding, EnumValue, Linkage, Member, Name, Param, SectionVar, Type, TypeId};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The section of the kernel's variables and functions.
pub const KSYMS: &str = ".ksyms";
/// The section of the kernel's configuration.
pub const KCONFIG: &str = ".kconfig";

/// The size of what stands for a symbol of the kernel in its section.
const STAND_IN: u32 = 4;

/// A part of the format that a kernel may not know. Functions, variables and sections are as old as Linux 5.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// [`Type::Float`], 5.12.
    Float,
    /// [`Type::DeclTag`], 5.16.
    DeclTag,
    /// [`Type::TypeTag`], 5.17.
    TypeTag,
    /// [`Type::Enum64`] and signed [`Type::Enum`], 6.0.
    Enum64,
    /// Tags that are whole attributes, 6.14.
    Attribute,
    /// Sections whose names are not identifiers with dots, 6.12.
    SectionName,
}

impl Feature {
    /// Every feature, the oldest first.
    pub const ALL: [Self; 6] =
        [Self::Float, Self::DeclTag, Self::TypeTag, Self::Enum64, Self::Attribute, Self::SectionName];

    /// Tells whether a type needs the feature.
    fn is_used_by(self, ty: &Type) -> bool {
        match self {
            Self::Float => matches!(ty, Type::Float { .. }),
            Self::DeclTag => matches!(ty, Type::DeclTag { .. }),
            Self::TypeTag => matches!(ty, Type::TypeTag { .. }),
            Self::Enum64 => matches!(ty, Type::Enum64 { .. } | Type::Enum { signed: true, .. }),
            Self::Attribute => {
                matches!(ty, Type::DeclTag { attribute: true, .. } | Type::TypeTag { attribute: true, .. })
            }
            Self::SectionName => {
                matches!(ty, Type::Datasec { name, .. } if matches!(identifier(name, true), Cow::Owned(_)))
            }
        }
    }

    /// Returns the smallest BTF that a kernel takes only when it knows the feature.
    pub fn probe(self) -> Btf {
        let mut btf = Btf::default();
        let int = btf.push(int());
        let name = Name::from("probe");
        match self {
            Self::Float => btf.push(Type::Float { name, size: 4 }),
            Self::DeclTag => {
                let ty = btf.push(Type::Var { name: name.clone(), ty: int, linkage: Linkage::Static });
                btf.push(Type::DeclTag { name, ty, component: None, attribute: false })
            }
            Self::TypeTag => {
                let ty = btf.push(Type::TypeTag { name, ty: int, attribute: false });
                btf.push(Type::Ptr { ty })
            }
            Self::Enum64 => {
                let values = vec![EnumValue { name: "PROBE".into(), value: 1 << 32 }];
                btf.push(Type::Enum64 { name, size: 8, signed: false, values })
            }
            Self::Attribute => {
                let ty = btf.push(Type::TypeTag { name, ty: int, attribute: true });
                btf.push(Type::Ptr { ty })
            }
            Self::SectionName => {
                let ty = btf.push(Type::Var { name, ty: int, linkage: Linkage::Static });
                let vars = vec![SectionVar { ty, offset: 0, size: 4 }];
                btf.push(Type::Datasec { name: "?a/b".into(), size: 4, vars })
            }
        };
        btf
    }
}

/// Returns C's `int`.
fn int() -> Type {
    Type::Int { name: "int".into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Signed }
}

/// Makes a name that every kernel takes: letters, digits and `_`, and dots where they are allowed
/// (`btf_name_valid_identifier`). An empty name stays empty.
pub(super) fn identifier(name: &str, dots: bool) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || dots && c == '.';
    let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
    if starts_well && name.chars().all(allowed) {
        return Cow::Borrowed(name);
    }
    let start = if starts_well { "" } else { "_" };
    start.chars().chain(name.chars().map(|c| if allowed(c) { c } else { '_' })).collect()
}

impl Btf {
    /// Makes what the object leaves to the kernel something that the kernel takes: it knows neither extern variables
    /// nor extern functions, nor sections without bytes.
    ///
    /// `settings` has the offset of each variable of [`KCONFIG`], whose section is `size` bytes long; other extern
    /// variables become integers, and functions are named by a stand-in in their section.
    pub fn settle_externs(&mut self, settings: &BTreeMap<String, u32>, size: u32) {
        let is_extern = |ty: &Type| {
            matches!(ty, Type::Var { linkage: Linkage::Extern, .. } | Type::Func { linkage: Linkage::Extern, .. })
        };
        if self.types.iter().any(is_extern) {
            self.settle(settings, size);
        }
        for ty in &mut self.types {
            if matches!(ty, Type::Datasec { size: 0, .. }) {
                *ty = Type::Struct { name: Name::default(), size: 0, members: Vec::new() };
            }
        }
    }

    fn settle(&mut self, settings: &BTreeMap<String, u32>, kconfig_size: u32) {
        let is_function = |id: &TypeId| matches!(self.get(*id), Some(Type::Func { .. }));
        let ksyms = self.datasec(KSYMS).map_or(&[][..], |(_, vars)| vars);
        let functions: BTreeSet<TypeId> = ksyms.iter().map(|var| var.ty).filter(is_function).collect();
        let is_ksym = |ty: &Type| matches!(ty, Type::Var { name, linkage: Linkage::Extern, .. } if !settings.contains_key(name.as_str()));
        // Like libbpf (`add_dummy_ksym_var`), only with a use for it: the same object gives the same types.
        let int = match functions.is_empty() && !self.types.iter().any(is_ksym) {
            true => 0,
            false => {
                let known = self.types().find(|(_, ty)| matches!(ty, Type::Int { bits: 32, .. })).map(|(id, _)| id);
                known.unwrap_or_else(|| self.push(int()))
            }
        };
        let stand_in = match functions.is_empty() {
            true => 0,
            false => self.push(Type::Var { name: "dummy_ksym".into(), ty: int, linkage: Linkage::Global }),
        };
        let mut offsets: BTreeMap<TypeId, u32> = BTreeMap::new();
        let mut protos = Vec::new();
        for (id, ty) in self.types.iter_mut().enumerate() {
            match ty {
                Type::Var { name, ty, linkage } if *linkage == Linkage::Extern => {
                    *linkage = Linkage::Global;
                    match settings.get(name.as_str()) {
                        Some(offset) => drop(offsets.insert(id as TypeId, *offset)),
                        None => *ty = int,
                    }
                }
                Type::Func { proto, linkage, .. } if *linkage == Linkage::Extern => {
                    *linkage = Linkage::Global;
                    protos.push(*proto);
                }
                _ => {}
            }
        }
        for proto in protos {
            self.name_parameters(proto);
        }
        for ty in &mut self.types {
            match ty {
                Type::Datasec { name, size, vars } if name == KSYMS => {
                    for (place, var) in (0..).step_by(STAND_IN as usize).zip(&mut *vars) {
                        let ty = if functions.contains(&var.ty) { stand_in } else { var.ty };
                        *var = SectionVar { ty, offset: place, size: STAND_IN };
                    }
                    *size = vars.len() as u32 * STAND_IN;
                }
                Type::Datasec { name, size, vars } if name == KCONFIG => {
                    vars.retain_mut(|var| match offsets.get(&var.ty) {
                        Some(offset) => {
                            var.offset = *offset;
                            true
                        }
                        None => false,
                    });
                    vars.sort_by_key(|var| var.offset);
                    *size = kconfig_size;
                }
                _ => {}
            }
        }
    }

    /// Names the parameters of a function's prototype, as the kernel wants them.
    fn name_parameters(&mut self, proto: TypeId) {
        if let Some(Type::FuncProto { params, .. }) = self.types.get_mut(proto as usize) {
            for param in params.iter_mut().filter(|param| param.ty != 0 && param.name.is_empty()) {
                param.name = "dummy_ksym".into();
            }
        }
    }

    /// Returns the features that any type needs.
    pub fn features(&self) -> Vec<Feature> {
        Feature::ALL.into_iter().filter(|feature| self.types.iter().any(|ty| feature.is_used_by(ty))).collect()
    }

    /// Returns the same types for a kernel that lacks these features, with names that it takes.
    pub fn without(&self, lacking: &[Feature]) -> Self {
        let mut plain = self.clone();
        // For the members that stand for 64-bit values.
        let placeholder = plain.push(Type::Ptr { ty: 0 });
        for ty in &mut plain.types {
            let feature = lacking.iter().find(|feature| feature.is_used_by(ty));
            if let Some(feature) = feature {
                *ty = replacement(ty, *feature, placeholder);
            }
            rename(ty);
        }
        plain
    }

    /// Returns only the functions, without their parameters, and the tags on whole types that `keep` chooses. Every
    /// other type is an integer, and the strings keep their places.
    pub fn skeleton(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut bones = Self { types: Vec::with_capacity(self.types.len() + 1), strings: Arc::clone(&self.strings) };
        let ret = self.types.len() as TypeId;
        for ty in &self.types {
            bones.push(match ty {
                Type::Void => Type::Void,
                Type::Func { name, proto, .. } => {
                    Type::Func { name: plain(name, false), proto: *proto, linkage: Linkage::Static }
                }
                Type::FuncProto { .. } => Type::FuncProto { ret, params: Vec::new() },
                Type::DeclTag { name, component: None, .. } if keep(name) => ty.clone(),
                Type::Int { .. }
                | Type::Ptr { .. }
                | Type::Array { .. }
                | Type::Struct { .. }
                | Type::Union { .. }
                | Type::Enum { .. }
                | Type::Enum64 { .. }
                | Type::Fwd { .. }
                | Type::Typedef { .. }
                | Type::Volatile { .. }
                | Type::Const { .. }
                | Type::Restrict { .. }
                | Type::Var { .. }
                | Type::Datasec { .. }
                | Type::Float { .. }
                | Type::DeclTag { .. }
                | Type::TypeTag { .. } => int(),
            });
        }
        bones.push(int());
        bones
    }
}

/// Returns what stands for a type on a kernel that lacks the feature; it has the same size.
fn replacement(ty: &Type, feature: Feature, placeholder: TypeId) -> Type {
    let unnamed = Name::default();
    match (feature, ty) {
        (Feature::Float, Type::Float { size, .. }) => Type::Struct { name: unnamed, size: *size, members: Vec::new() },
        // Only an integer may have any text as its name. One byte fits into whatever holds it.
        (Feature::DeclTag, Type::DeclTag { name, .. }) => {
            Type::Int { name: name.clone(), size: 1, bits: 8, offset: 0, encoding: Encoding::Unsigned }
        }
        (Feature::TypeTag, Type::TypeTag { ty, .. }) => Type::Const { ty: *ty },
        (Feature::Enum64, Type::Enum { name, size, values, .. }) => {
            Type::Enum { name: name.clone(), size: *size, signed: false, values: values.clone() }
        }
        (Feature::Enum64, Type::Enum64 { name, size, values, .. }) => {
            let member = |value: &EnumValue| Member {
                name: value.name.clone(),
                ty: placeholder,
                bit_offset: 0,
                bitfield_size: 0,
            };
            Type::Union { name: name.clone(), size: *size, members: values.iter().map(member).collect() }
        }
        (Feature::Attribute, Type::TypeTag { name, ty, .. }) => {
            Type::TypeTag { name: name.clone(), ty: *ty, attribute: false }
        }
        (Feature::Attribute, Type::DeclTag { name, ty, component, .. }) => {
            Type::DeclTag { name: name.clone(), ty: *ty, component: *component, attribute: false }
        }
        (Feature::SectionName, Type::Datasec { name, size, vars }) => {
            Type::Datasec { name: plain(name, true), size: *size, vars: vars.clone() }
        }
        _ => ty.clone(),
    }
}

/// Gives a type, its members and its parameters names that every kernel takes.
fn rename(ty: &mut Type) {
    let rename = |name: &mut Name| *name = plain(name, false);
    match ty {
        Type::Struct { name, members, .. } | Type::Union { name, members, .. } => {
            rename(name);
            members.iter_mut().for_each(|Member { name, .. }| rename(name));
        }
        Type::Enum { name, values, .. } | Type::Enum64 { name, values, .. } => {
            rename(name);
            values.iter_mut().for_each(|EnumValue { name, .. }| rename(name));
        }
        Type::FuncProto { params, .. } => params.iter_mut().for_each(|Param { name, .. }| rename(name)),
        Type::Fwd { name, .. } | Type::Typedef { name, .. } | Type::Func { name, .. } | Type::Float { name, .. } => {
            rename(name)
        }
        // A variable of a function is called `FUNCTION.NAME`.
        Type::Var { name, .. } => *name = plain(name, true),
        // Sections have their own feature; integers and tags may have any text.
        Type::Datasec { .. }
        | Type::Int { .. }
        | Type::DeclTag { .. }
        | Type::TypeTag { .. }
        | Type::Void
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. } => {}
    }
}

/// Returns a name that every kernel takes, the same where it is one.
fn plain(name: &Name, dots: bool) -> Name {
    match identifier(name, dots) {
        Cow::Borrowed(_) => name.clone(),
        Cow::Owned(text) => Name::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Kind;

    fn sample() -> Btf {
        let mut btf = Btf::default();
        let float = btf.push(Type::Float { name: "float".into(), size: 4 });
        let params = vec![Param { name: Name::default(), ty: float }];
        let proto = btf.push(Type::FuncProto { ret: 0, params });
        let func = btf.push(Type::Func { name: "kernel_fn".into(), proto, linkage: Linkage::Extern });
        let ksym = btf.push(Type::Var { name: "runqueues".into(), ty: float, linkage: Linkage::Extern });
        let hz = btf.push(Type::Var { name: "CONFIG_HZ".into(), ty: float, linkage: Linkage::Extern });
        let section = |name: &str, ids: &[TypeId]| {
            let vars = ids.iter().map(|ty| SectionVar { ty: *ty, offset: 0, size: 4 }).collect();
            Type::Datasec { name: name.into(), size: 0, vars }
        };
        btf.push(section(KSYMS, &[func, ksym]));
        btf.push(section(KCONFIG, &[hz]));
        btf.push(section("?a/b", &[]));
        btf.push(Type::DeclTag { name: "mine".into(), ty: func, component: None, attribute: true });
        btf
    }

    #[test]
    fn externs_become_variables() {
        let mut btf = sample();
        btf.settle_externs(&BTreeMap::from([("CONFIG_HZ".to_owned(), 8)]), 12);
        let (size, vars) = btf.datasec(KSYMS).expect("it is still there");
        assert_eq!((size, vars.iter().map(|var| var.offset).collect::<Vec<_>>()), (8, vec![0, 4]));
        assert!(vars.iter().all(|var| matches!(btf.get(var.ty), Some(Type::Var { linkage: Linkage::Global, .. }))));
        let (size, vars) = btf.datasec(KCONFIG).expect("it is still there");
        assert_eq!((size, vars[0].offset), (12, 8));
        assert!(matches!(btf.get(2), Some(Type::FuncProto { params, .. }) if !params[0].name.is_empty()));
        assert_eq!(btf.datasec("?a/b"), None, "a section without bytes");
    }

    #[test]
    fn settings_alone_need_no_stand_in() {
        let mut btf = Btf::default();
        let long =
            btf.push(Type::Int { name: "long".into(), size: 8, bits: 64, offset: 0, encoding: Encoding::Signed });
        btf.push(Type::Var { name: "CONFIG_HZ".into(), ty: long, linkage: Linkage::Extern });
        let count = btf.types().count();
        btf.settle_externs(&BTreeMap::from([("CONFIG_HZ".to_owned(), 0)]), 8);
        assert_eq!(btf.types().count(), count);
    }

    #[test]
    fn features_are_replaced() {
        let btf = sample();
        let used = btf.features();
        assert_eq!(used, [Feature::Float, Feature::DeclTag, Feature::Attribute, Feature::SectionName]);
        let plain = btf.without(&used);
        assert_eq!(plain.features(), []);
        assert!(matches!(plain.get(9), Some(Type::Int { name, size: 1, .. }) if name == "mine"));
        for feature in Feature::ALL {
            assert!(feature.probe().features().contains(&feature), "{feature:?}");
        }
    }

    #[test]
    fn a_skeleton_has_functions_and_chosen_tags() {
        let btf = sample();
        let bones = btf.skeleton(|tag| tag == "mine");
        let is_bone = |kind| matches!(kind, Kind::Void | Kind::Int | Kind::Func | Kind::FuncProto | Kind::DeclTag);
        assert!(bones.types().all(|(_, ty)| is_bone(ty.kind())));
        assert_eq!(bones.get(9), btf.get(9));
        assert!(Btf::parse(&bones.encode()).is_ok());
    }

    #[test]
    fn strings_keep_their_places() {
        let mut btf = Btf::parse(&sample().encode()).expect("our own bytes");
        let before = (1..btf.strings.len() as u32).map(|at| btf.text(at).map(str::to_owned)).collect::<Vec<_>>();
        btf.push(Type::Typedef { name: "new".into(), ty: 1 });
        let again = Btf::parse(&btf.encode()).expect("our own bytes");
        let after = (1..btf.strings.len() as u32).map(|at| again.text(at).map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!((before, &again), (after, &btf));
    }
}
