//! Finds global variables by name, and sets them by type.

use crate::btf::value::{Shape, Value, ValueError};
use crate::btf::{Btf, Type, TypeId};
use crate::diag::similar;
use crate::elf::{ExternKind, Object};
use crate::variables::{Patch, Variable};

/// Where a variable lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index of its data section's map in [`Object::maps`].
    pub map: usize,
    /// Byte offset in the section.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
    /// Its type, in the object's BTF.
    pub ty: TypeId,
}

/// Why a name stands for no variable that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// There is none; the name that is most like it.
    Unknown(Option<String>),
    /// There are several, in these places of sections.
    Several(Vec<String>),
    /// The kernel gives it its value.
    Kernels,
}

/// Finds a variable in the data sections, and which field of it is meant: `config.limit` is a field of `config`, unless
/// a variable has that name, as those of a function have.
pub fn locate<'n>(object: &Object, name: &'n str) -> Result<(Place, &'n str), NotFound> {
    let is_kernels = |kind: &ExternKind| match kind {
        ExternKind::Setting(_) | ExternKind::Address | ExternKind::Variable(_) => true,
        ExternKind::Function(_) | ExternKind::Unknown(_) => false,
    };
    if object.externs.iter().any(|known| known.name == name && is_kernels(&known.kind)) {
        return Err(NotFound::Kernels);
    }
    let all = all(object);
    let ends = std::iter::once(name.len()).chain(name.rmatch_indices('.').map(|(at, _)| at));
    for end in ends {
        let mut named = all.iter().filter(|(known, _)| *known == name[..end]);
        match (named.next(), named.next()) {
            (Some((_, place)), None) => return Ok((place.clone(), name[end..].trim_start_matches('.'))),
            (Some(_), Some(_)) => {
                let places = all.iter().filter(|(known, _)| *known == name[..end]);
                let place =
                    |(_, place): &(String, Place)| format!("{}+{}", object.maps[place.map].symbol, place.offset);
                return Err(NotFound::Several(places.map(place).collect()));
            }
            (None, _) => {}
        }
    }
    Err(NotFound::Unknown(similar(name, all.iter().map(|(known, _)| known.as_str()))))
}

/// Lists the variables of every data section that is a map, by section and offset.
pub fn all(object: &Object) -> Vec<(String, Place)> {
    let Some(btf) = &object.btf else { return Vec::new() };
    let mut found = Vec::new();
    for (index, map) in object.maps.iter().enumerate().filter(|(_, map)| map.data.is_some()) {
        let Some((_, vars)) = btf.datasec(&map.symbol) else { continue };
        for var in vars {
            if let Some(Type::Var { name, ty, .. }) = btf.get(var.ty) {
                let (offset, size) = (var.offset as usize, var.size as usize);
                found.push((name.to_string(), Place { map: index, offset, size, ty: *ty }));
            }
        }
    }
    found
}

/// Makes of a value what is set of the variable `name`: one for each field that it names. `field` is the one that the
/// name itself says, or empty, and `section` what the section starts with.
pub fn set(
    btf: &Btf,
    (place, name, field): (&Place, &str, &str),
    value: &Value,
    section: &[u8],
) -> Result<Vec<(String, Variable)>, ValueError> {
    let end = place.offset.saturating_add(place.size).min(section.len());
    let size = end.saturating_sub(place.offset);
    let shape = Shape::of(btf, place.ty);
    let column = if field.is_empty() { shape.whole() } else { shape.column(field)? };
    let mut all = Vec::new();
    for (column, value) in shape.named(column, value)? {
        let (mut zeros, mut ones) = (vec![0; size], vec![u8::MAX; size]);
        column.put(value, &mut zeros)?;
        column.put(value, &mut ones)?;
        let set = Patch::written(place.offset, &zeros, &ones);
        let first = set.taken(section).value;
        let whole = name[..name.len() - field.len()].trim_end_matches('.');
        let path = if column.path.is_empty() { whole.to_owned() } else { format!("{whole}.{}", column.path) };
        all.push((path, Variable { set, first }));
    }
    Ok(all)
}
