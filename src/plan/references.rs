//! Entries of devmaps and cpumaps as the kernel tells them: a number, and the id of a program (`struct bpf_devmap_val` and
//! `struct bpf_cpumap_val`, linux/bpf.h).

use crate::desired::Reference;
use crate::entries::{Changes, Entries};
use crate::kinds::MapType;
use crate::names::ProgramName;
use std::collections::BTreeMap;

/// Stands for the id of a program that is yet to be loaded; ids end below (`prog_idr`, kernel/bpf/syscall.c).
pub const PENDING: u32 = u32::MAX;

/// Returns whether the values of a map can name programs, which are read as ids and written as descriptors.
pub fn names_programs(map_type: MapType, value_size: usize) -> bool {
    [MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::CPUMAP].contains(&map_type) && value_size == 8
}

/// Returns the id of the program in a value; `None` when it has none.
pub fn program_id(value: &[u8]) -> Option<u32> {
    let id = value.get(4..8)?.try_into().map(u32::from_ne_bytes).ok()?;
    (id != 0).then_some(id)
}

/// Returns a value with another program.
pub fn with_program(value: &[u8], number: i32) -> Vec<u8> {
    let mut value = value.to_vec();
    if let Some(place) = value.get_mut(4..8) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    value
}

/// Puts the ids of programs that are loaded now into entries.
///
/// # Errors
/// That of `id_of`.
pub fn loaded<E>(
    entries: &Entries,
    references: &BTreeMap<Vec<u8>, Reference>,
    id_of: &dyn Fn(&ProgramName) -> Result<u32, E>,
) -> Result<Entries, E> {
    let mut values = Vec::with_capacity(entries.values().len());
    for (key, value) in entries.iter() {
        let program = references.get(key).and_then(|reference| reference.program.as_ref());
        match program.filter(|_| program_id(value) == Some(PENDING)) {
            Some(program) => values.extend(with_program(value, id_of(program)?.cast_signed())),
            None => values.extend_from_slice(value),
        }
    }
    let (key_size, value_size) = (entries.key_size(), entries.value_size());
    Ok(Entries::of(key_size, value_size, entries.keys().to_vec(), values).unwrap_or_else(|_| entries.clone()))
}

/// Does the same with changes.
///
/// # Errors
/// That of `id_of`.
pub fn loaded_changes<E>(
    changes: &Changes,
    references: &BTreeMap<Vec<u8>, Reference>,
    id_of: &dyn Fn(&ProgramName) -> Result<u32, E>,
) -> Result<Changes, E> {
    let [added, changed] = [&changes.added, &changes.changed].map(|entries| loaded(entries, references, id_of));
    Ok(Changes { added: added?, changed: changed?, ..changes.clone() })
}
