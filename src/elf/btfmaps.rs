//! Maps in `.maps`: variables whose BTF type says what the map is, as libbpf reads them (`parse_btf_map_def`).

use super::file::File;
use super::{Dialect, Error, Map, Pinning, Slot, SlotTarget};
use crate::btf::{Btf, Member, Type, TypeId};
use crate::kinds::MapType;
use crate::spec::{MapSpec, MapTypes, flags};
use hashbrown::HashMap;
use std::sync::Arc;

/// The section.
pub(super) const SECTION: &str = ".maps";

/// A map with where its definition stands.
pub(super) struct Definition {
    /// From the start of the section, in bytes.
    pub offset: u64,
    pub map: Map,
    /// Where the list of first contents begins, in bytes of the definition.
    values: Option<u64>,
    size: u64,
}

/// Reads the maps of the section, by offset.
pub(super) fn read(btf: &Arc<Btf>, errors: &mut Vec<Error>) -> Vec<Definition> {
    let Some((_, vars)) = btf.datasec(SECTION) else {
        errors.push(without_btf());
        return Vec::new();
    };
    let mut definitions = Vec::new();
    for var in vars {
        let Some(Type::Var { name, ty, .. }) = btf.get(var.ty) else { continue };
        let place = |error: Error| error.section(SECTION).symbol(name).offset(var.offset.into());
        match read_definition(btf, *ty) {
            Ok(found) => definitions.push(Definition {
                offset: var.offset.into(),
                size: var.size.into(),
                values: found.values,
                map: Map {
                    symbol: name.to_string(),
                    section: SECTION.to_owned(),
                    dialect: Dialect::Btf,
                    spec: found.spec(btf),
                    pinning: found.pinning,
                    data: None,
                    slots: Vec::new(),
                },
            }),
            Err(what) => errors.push(place(Error::new(what))),
        }
    }
    definitions.sort_by_key(|definition: &Definition| definition.offset);
    definitions
}

/// Says that the section's maps are not described.
pub(super) fn without_btf() -> Error {
    let help = "compile with `-g`: without BTF nobody can tell what the maps are";
    Error::new("the object has maps, but no BTF of them").section(SECTION).help(help)
}

/// What the members of a definition say, as far as they are there.
#[derive(Default)]
struct Found {
    map_type: Option<u32>,
    key_size: Option<u32>,
    value_size: Option<u32>,
    key: TypeId,
    value: TypeId,
    max_entries: u32,
    flags: u32,
    numa_node: Option<u32>,
    map_extra: u64,
    pinning: Pinning,
    inner: Option<Box<Found>>,
    values: Option<u64>,
}

impl Found {
    fn is_ring_buffer(&self) -> bool {
        let map_type = self.map_type.map(MapType);
        matches!(map_type, Some(MapType::RINGBUF | MapType::USER_RINGBUF))
    }

    fn spec(&self, btf: &Arc<Btf>) -> MapSpec {
        MapSpec {
            map_type: MapType(self.map_type.unwrap_or_default()),
            key_size: self.key_size.unwrap_or_default(),
            value_size: self.value_size.unwrap_or_default(),
            max_entries: self.max_entries,
            flags: self.flags,
            // Without its flag the kernel ignores the node, and libbpf adds none.
            numa_node: self.numa_node.filter(|_| self.flags & flags::NUMA_NODE != 0),
            map_extra: self.map_extra,
            inner: self.inner.as_ref().map(|inner| Box::new(inner.spec(btf))),
            types: (self.key != 0 || self.value != 0).then(|| MapTypes {
                btf: Arc::clone(btf),
                key: self.key,
                value: self.value,
            }),
        }
    }
}

fn read_definition(btf: &Btf, ty: TypeId) -> Result<Found, String> {
    let Type::Struct { members, .. } = btf.resolved(ty) else {
        return Err(format!("a map is defined by a struct, but this is `{}`", btf.type_name(ty)));
    };
    read_members(btf, members, false)
}

fn read_members(btf: &Btf, members: &[Member], inner: bool) -> Result<Found, String> {
    let mut found = Found::default();
    for member in members {
        read_member(btf, member, inner, &mut found).map_err(|what| format!("field `{}`: {what}", member.name))?;
    }
    if let Some(last) = members.last()
        && found.values.is_some()
        && last.name != "values"
    {
        return Err("field `values` must be the last".to_owned());
    }
    match found.map_type {
        None | Some(0) => Err("field `type` is missing".to_owned()),
        Some(_) => Ok(found),
    }
}

fn read_member(btf: &Btf, member: &Member, inner: bool, found: &mut Found) -> Result<(), String> {
    match member.name.as_str() {
        "type" => found.map_type = Some(integer(btf, member)?),
        "max_entries" => found.max_entries = integer(btf, member)?,
        "map_flags" => found.flags = integer(btf, member)?,
        "numa_node" => found.numa_node = Some(integer(btf, member)?),
        "map_extra" => found.map_extra = long(btf, member)?,
        // What a ring buffer holds has no size of its own, and the kernel refuses any; aya says so the type of its records.
        "key" | "value" | "key_size" | "value_size" if found.is_ring_buffer() => {}
        "key_size" => set_size(&mut found.key_size, integer(btf, member)?)?,
        "value_size" => set_size(&mut found.value_size, integer(btf, member)?)?,
        "key" => {
            found.key = pointee(btf, member)?;
            set_size(&mut found.key_size, size(btf, found.key)?)?;
        }
        "value" => {
            found.value = pointee(btf, member)?;
            set_size(&mut found.value_size, size(btf, found.value)?)?;
        }
        "pinning" if inner => return Err("a map inside a map cannot be pinned".to_owned()),
        "pinning" => {
            found.pinning = match integer(btf, member)? {
                0 => Pinning::None,
                1 => Pinning::ByName,
                other => return Err(format!("{other} is no way of pinning: 0 is none, 1 is by name")),
            }
        }
        "values" if inner => return Err("a map inside a map cannot hold maps".to_owned()),
        "values" => read_values(btf, member, found)?,
        "" => return Err("a field without a name".to_owned()),
        _ => return Err("no such attribute of a map".to_owned()),
    }
    Ok(())
}

/// Reads `__array(values, ...)`: a list of pointers to what the map holds.
fn read_values(btf: &Btf, member: &Member, found: &mut Found) -> Result<(), String> {
    let map_type = MapType(found.map_type.ok_or("`type` must come first")?);
    set_size(&mut found.value_size, 4)?;
    let element = match btf.get(member.ty) {
        Some(Type::Array { element, .. }) => *element,
        _ => return Err(format!("`{}` is not a list of pointers", btf.type_name(member.ty))),
    };
    let target = btf.pointee(element).ok_or_else(|| format!("`{}` is no pointer", btf.type_name(element)))?;
    found.values = Some(u64::from(member.bit_offset / 8));
    match (map_type, btf.resolved(target)) {
        (MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS, Type::Struct { members, .. }) => {
            found.inner = Some(Box::new(read_members(btf, members, true)?));
            Ok(())
        }
        (MapType::PROG_ARRAY, Type::FuncProto { .. }) => Ok(()),
        _ => Err(format!("a map of type {map_type} does not hold `{}`", btf.type_name(target))),
    }
}

/// Reads `__uint(name, N)`, which is `int (*name)[N]`.
fn integer(btf: &Btf, member: &Member) -> Result<u32, String> {
    match btf.pointee(member.ty).and_then(|array| btf.get(array)) {
        Some(Type::Array { count, .. }) => Ok(*count),
        _ => Err(format!("expected a number as `__uint` writes it, found `{}`", btf.type_name(member.ty))),
    }
}

/// Reads `__ulong(name, N)`, which is `enum { unique = N } name`, or `__uint(name, N)`.
fn long(btf: &Btf, member: &Member) -> Result<u64, String> {
    let (Type::Enum { values, .. } | Type::Enum64 { values, .. }) = btf.resolved(member.ty) else {
        return integer(btf, member).map(u64::from);
    };
    match values.as_slice() {
        // A negative number keeps its bits, as in the kernel's field.
        [only] => Ok(only.value as u64),
        _ => Err(format!("expected one number as `__ulong` writes it, found {} of them", values.len())),
    }
}

/// Reads `__type(name, T)`, which is `T *name`.
fn pointee(btf: &Btf, member: &Member) -> Result<TypeId, String> {
    match btf.get(member.ty) {
        Some(Type::Ptr { ty }) => Ok(*ty),
        _ => Err(format!("expected a type as `__type` writes it, found `{}`", btf.type_name(member.ty))),
    }
}

fn size(btf: &Btf, ty: TypeId) -> Result<u32, String> {
    btf.size_of(ty).ok_or_else(|| format!("`{}` has no size", btf.type_name(ty)))
}

/// Sets a size that may be said twice, as a number and by a type.
fn set_size(size: &mut Option<u32>, new: u32) -> Result<(), String> {
    match *size {
        Some(old) if old != 0 && old != new => Err(format!("{new} bytes here, but {old} bytes in another field")),
        Some(_) | None => {
            *size = Some(new);
            Ok(())
        }
    }
}

/// Fills the slots from the relocations of the section, which name the maps and programs of `values`.
///
/// `programs` finds a program by section number and byte; slots that hold maps count from `first`.
pub(super) fn fill_slots(
    file: &File<'_>,
    section: usize,
    definitions: &mut [Definition],
    first: usize,
    programs: &HashMap<(usize, u64), usize>,
    errors: &mut Vec<Error>,
) {
    let numbers: HashMap<u64, usize> =
        definitions.iter().enumerate().map(|(number, definition)| (definition.offset, first + number)).collect();
    let Some(table) = file.sections.get(section) else { return };
    for relocation in &table.relocations {
        let place = |what: &str| Error::new(what).section(SECTION).offset(relocation.offset);
        let Some(symbol) = file.symbols.get(relocation.symbol) else {
            errors.push(place("a relocation names a symbol that the file lacks"));
            continue;
        };
        let behind = definitions.partition_point(|definition| definition.offset <= relocation.offset);
        let owner = behind.checked_sub(1).and_then(|number| definitions.get_mut(number));
        let Some(owner) = owner.filter(|owner| relocation.offset - owner.offset < owner.size) else {
            errors.push(place("a reference from outside of any map").symbol(symbol.name));
            continue;
        };
        let index = owner
            .values
            .and_then(|values| relocation.offset.checked_sub(owner.offset)?.checked_sub(values))
            .filter(|offset| offset % 8 == 0)
            .and_then(|offset| u32::try_from(offset / 8).ok());
        let target = match file.points_to(table, relocation) {
            Some((of, value)) if of == section => numbers.get(&value).map(|map| SlotTarget::Map(*map)),
            Some(place) => programs.get(&place).map(|program| SlotTarget::Program(*program)),
            None => None,
        };
        let wants_map = owner.map.spec.is_map_of_maps();
        match (index, target) {
            (Some(index), Some(target)) if wants_map == matches!(target, SlotTarget::Map(_)) => {
                owner.map.slots.push(Slot { index, target });
            }
            (None, _) => errors.push(place("only `values` can refer to maps and programs").symbol(&owner.map.symbol)),
            (Some(_), _) => {
                let wanted = if wants_map { "map" } else { "program" };
                let what =
                    format!("`{}` is no {wanted} of this object, but `{}` holds it", symbol.name, owner.map.symbol);
                errors.push(place(&what).symbol(symbol.name));
            }
        }
    }
    for definition in definitions {
        definition.map.slots.sort_by_key(|slot| slot.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Encoding, EnumValue};

    /// A member of a definition: a number as `__uint` writes it, or a type as `__type` does.
    enum Field {
        Uint(&'static str, u32),
        Type(&'static str, TypeId),
    }
    use Field::{Type as Ty, Uint};

    const U32: TypeId = 1;

    #[track_caller]
    fn check(fields: &[Field], want: Result<(u32, u32), &str>) {
        let mut btf = Btf::default();
        let name = "__u32".into();
        btf.push(Type::Int { name, size: 4, bits: 32, offset: 0, encoding: Encoding::Unsigned });
        let mut members = Vec::new();
        for field in fields {
            let (name, target) = match field {
                Uint(name, count) => (name, btf.push(Type::Array { element: U32, index: U32, count: *count })),
                Ty(name, ty) => (name, *ty),
            };
            let ty = btf.push(Type::Ptr { ty: target });
            let bit_offset = members.len() as u32 * 64;
            members.push(Member { name: (*name).into(), ty, bit_offset, bitfield_size: 0 });
        }
        let size = members.len() as u32 * 8;
        let definition = btf.push(Type::Struct { name: "".into(), size, members });
        let got = read_definition(&btf, definition).map(|found| {
            let spec = found.spec(&Arc::new(btf));
            (spec.key_size, spec.value_size)
        });
        assert_eq!(got, want.map_err(str::to_owned));
    }

    #[track_caller]
    fn check_long(write: impl FnOnce(&mut Btf) -> TypeId, want: Result<u64, &str>) {
        let mut btf = Btf::default();
        let ty = write(&mut btf);
        let member = Member { name: "map_extra".into(), ty, bit_offset: 0, bitfield_size: 0 };
        assert_eq!(long(&btf, &member), want.map_err(str::to_owned));
    }

    #[test]
    fn long_numbers() {
        let values = |numbers: &[i128]| -> Vec<EnumValue> {
            numbers.iter().map(|value| EnumValue { name: format!("unique{value}").into(), value: *value }).collect()
        };
        let word = |numbers| Type::Enum { name: "".into(), size: 4, signed: false, values: values(numbers) };
        let long = |numbers| Type::Enum64 { name: "".into(), size: 8, signed: false, values: values(numbers) };
        check_long(|btf| btf.push(word(&[3])), Ok(3));
        check_long(|btf| btf.push(long(&[1 << 44])), Ok(1 << 44));
        check_long(|btf| btf.push(long(&[-1])), Ok(u64::MAX));
        check_long(|btf| btf.push(word(&[1, 2])), Err("expected one number as `__ulong` writes it, found 2 of them"));
        let uint = |btf: &mut Btf| {
            let array = btf.push(Type::Array { element: U32, index: U32, count: 5 });
            btf.push(Type::Ptr { ty: array })
        };
        check_long(uint, Ok(5));
    }

    #[test]
    fn definitions() {
        let hash = || Uint("type", 1);
        check(&[hash(), Ty("key", U32), Uint("value_size", 12)], Ok((4, 12)));
        check(&[hash(), Ty("key", U32), Uint("key_size", 4)], Ok((4, 0)));
        check(&[Ty("key", U32)], Err("field `type` is missing"));
        let conflict = "field `key_size`: 8 bytes here, but 4 bytes in another field";
        check(&[hash(), Ty("key", U32), Uint("key_size", 8)], Err(conflict));
        let conflict = "field `value`: 4 bytes here, but 2 bytes in another field";
        check(&[hash(), Uint("value_size", 2), Ty("value", U32)], Err(conflict));
        let ring = || Uint("type", 27);
        check(&[ring(), Ty("value", U32), Uint("value_size", 0)], Ok((0, 0)));
        check(&[ring(), Ty("value", U32)], Ok((0, 0)));
        let conflict = "field `value_size`: 0 bytes here, but 4 bytes in another field";
        check(&[hash(), Ty("value", U32), Uint("value_size", 0)], Err(conflict));
        check(&[hash(), Ty("value", 0)], Err("field `value`: `void` has no size"));
        check(&[hash(), Uint("colour", 1)], Err("field `colour`: no such attribute of a map"));
        check(&[hash(), Uint("pinning", 2)], Err("field `pinning`: 2 is no way of pinning: 0 is none, 1 is by name"));
        let wrong = "field `max_entries`: expected a number as `__uint` writes it, found `__u32 *`";
        check(&[hash(), Ty("max_entries", U32)], Err(wrong));
        check(&[hash(), Uint("values", 1)], Err("field `values`: `__u32 (*)[1]` is not a list of pointers"));
    }
}
