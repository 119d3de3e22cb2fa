//! Finds global variables by name, and sets them by type.

use crate::btf::value::{self, Value, ValueError};
use crate::btf::{Btf, Type, TypeId};
use crate::diag::similar;
use crate::elf::Object;

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

/// Finds a variable in the data sections; else the name that is most like it.
pub fn locate(object: &Object, name: &str) -> Result<Place, Option<String>> {
    let all = variables(object);
    match all.iter().find(|(known, _)| known == name) {
        Some((_, place)) => Ok(place.clone()),
        None => Err(similar(name, all.iter().map(|(known, _)| known.as_str()))),
    }
}

/// Lists the variables of every data section that is a map, by section and offset.
fn variables(object: &Object) -> Vec<(String, Place)> {
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

/// Writes a value into the variable's bytes of its section.
pub fn set(btf: &Btf, place: &Place, value: &Value, data: &mut [u8]) -> Result<(), ValueError> {
    let end = place.offset.saturating_add(place.size).min(data.len());
    value::encode(btf, place.ty, value, &mut data[place.offset.min(end)..end])
}
