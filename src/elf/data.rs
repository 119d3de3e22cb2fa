//! Global variables, constants and strings: each of their sections is a map with one value.

use super::file::{Class, File, Section, SymbolKind};
use super::{DataKind, Dialect, Error, Map, Pinning};
use crate::btf::{Btf, Linkage, Type, TypeId};
use crate::kinds::MapType;
use crate::spec::{MapSpec, MapTypes, flags};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// The most that the data sections of one object may hold, in bytes. `.bss` takes no bytes in the file, so
/// nothing else stops a damaged one from asking for all memory.
const MAX_BYTES: u64 = 256 << 20;

/// The section of variables that lie in an arena (`ARENA_SEC` of libbpf): clang's name for `address_space(1)`.
pub(super) const ARENA: &str = ".addr_space.1";

/// Reads the variables that lie in an arena, with their section's number.
pub(super) fn arena(file: &File<'_>, errors: &mut Vec<Error>) -> Option<(usize, Vec<u8>)> {
    let (number, section) = file.section(ARENA).filter(|(_, section)| section.size != 0)?;
    if section.size > MAX_BYTES {
        errors.push(Error::new(format!("more than {MAX_BYTES} bytes of global variables")).section(ARENA));
        return None;
    }
    // Below the limit, so that the conversion keeps the value.
    let bytes = match section.class {
        Class::Zeroes => vec![0; section.size as usize],
        Class::Code | Class::Data | Class::Other => section.data.to_vec(),
    };
    Some((number, bytes))
}

/// Tells which sections libbpf makes maps of (`bpf_object__elf_collect`).
pub(super) fn kind(section: &Section<'_>) -> Option<DataKind> {
    let is = |base: &str| section.name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    match section.class {
        Class::Data if is(".rodata") => Some(DataKind::Rodata),
        Class::Data if is(".data") => Some(DataKind::Data),
        Class::Zeroes if is(".bss") => Some(DataKind::Bss),
        Class::Code | Class::Data | Class::Zeroes | Class::Other => None,
    }
}

/// Makes the maps of all data sections that are not empty, in the order of the file, with the sections' numbers.
pub(super) fn maps(file: &File<'_>, btf: Option<&Arc<Btf>>, errors: &mut Vec<Error>) -> Vec<(usize, Map)> {
    let mut maps = Vec::new();
    let described = btf.map(|btf| btf.datasecs()).unwrap_or_default();
    let mut total = 0u64;
    for (number, section) in file.sections.iter().enumerate() {
        let Some(kind) = kind(section) else { continue };
        total = total.saturating_add(section.size);
        if total > MAX_BYTES {
            errors.push(Error::new(format!("more than {MAX_BYTES} bytes of global variables")).section(section.name));
            break;
        }
        // Below the limit, so that both conversions keep the value.
        let size = section.size as u32;
        if size == 0 {
            continue;
        }
        let data = match section.class {
            Class::Zeroes => vec![0; size as usize],
            Class::Code | Class::Data | Class::Other => section.data.to_vec(),
        };
        let datasec = btf.and_then(|btf| Some((btf, *described.get(section.name)?)));
        let visible = datasec.is_some_and(|(btf, id)| has_visible_variable(btf, id));
        let spec = MapSpec {
            flags: match kind {
                DataKind::Rodata => flags::RDONLY_PROG,
                DataKind::Data | DataKind::Bss => 0,
            } | if visible { flags::MMAPABLE } else { 0 },
            types: datasec.map(|(btf, id)| MapTypes { btf: Arc::clone(btf), key: 0, value: id }),
            ..MapSpec::new(MapType::ARRAY, 4, size, 1)
        };
        let map = Map {
            symbol: section.name.to_owned(),
            section: section.name.to_owned(),
            dialect: Dialect::Data(kind),
            spec,
            pinning: Pinning::None,
            data: Some(data),
            slots: Vec::new(),
        };
        maps.push((number, map));
    }
    maps
}

/// Tells whether user space may want to reach a variable through memory: libbpf's rule for `BPF_F_MMAPABLE`
/// (`map_is_mmapable`). A section of only static or hidden variables, or without BTF as `.rodata.str1.1`, is not.
fn has_visible_variable(btf: &Btf, datasec: TypeId) -> bool {
    let Some(Type::Datasec { vars, .. }) = btf.get(datasec) else {
        return false;
    };
    vars.iter().any(|var| matches!(btf.get(var.ty), Some(Type::Var { linkage, .. }) if *linkage != Linkage::Static))
}

/// How the constants are called that `bpftool prog show` tells of a program whose code need not name them.
const METADATA: &str = "bpf_metadata_";

/// Tells whether a map holds constants that are for who looks at a program of the object.
pub(super) fn is_metadata(map: &Map) -> bool {
    let Some(types) = map.spec.types.as_ref().filter(|_| map.dialect == Dialect::Data(DataKind::Rodata)) else {
        return false;
    };
    let Some(Type::Datasec { vars, .. }) = types.btf.get(types.value) else { return false };
    vars.iter().any(|var| types.btf.get(var.ty).and_then(Type::name).is_some_and(|name| name.starts_with(METADATA)))
}

/// Gives each section of variables in the BTF its size and its variables their offsets, which compilers leave
/// to the symbols (`btf_fixup_datasec` of libbpf).
pub(super) fn fix_sections(btf: &mut Btf, file: &File<'_>, errors: &mut Vec<Error>) {
    let mut described: HashMap<String, TypeId> =
        btf.datasecs().into_iter().map(|(name, id)| (name.to_owned(), id)).collect();
    for (number, section) in file.sections.iter().enumerate() {
        // The first of that name, as in libbpf: a small file could have thousands, for one section of variables.
        let Some(id) = described.remove(section.name) else { continue };
        let offsets: HashMap<&str, u64> = file
            .symbols_in(number)
            .filter(|symbol| symbol.kind != SymbolKind::Section)
            .map(|symbol| (symbol.name, symbol.value))
            .collect();
        let Ok(size) = u32::try_from(section.size) else {
            errors.push(Error::new("the section is larger than 4 GiB").section(section.name));
            continue;
        };
        let offset = |name: &str| offsets.get(name).and_then(|offset| u32::try_from(*offset).ok());
        if let Err(error) = btf.fix_datasec(id, size, &offset) {
            errors.push(Error::new(error.to_string()).section(section.name));
        }
        let hidden: HashSet<&str> =
            file.symbols_in(number).filter(|symbol| symbol.hidden).map(|symbol| symbol.name).collect();
        hide_variables(btf, id, &hidden);
    }
}

/// Makes the variables of a section static that no other object may see (`btf_fixup_datasec` of libbpf).
fn hide_variables(btf: &mut Btf, section: TypeId, hidden: &HashSet<&str>) {
    let Some(Type::Datasec { vars, .. }) = btf.get(section).filter(|_| !hidden.is_empty()) else { return };
    let is_hidden = |id: &TypeId| matches!(btf.get(*id), Some(Type::Var { name, linkage: Linkage::Global, .. }) if hidden.contains(name.as_str()));
    let ids: Vec<TypeId> = vars.iter().map(|var| var.ty).filter(is_hidden).collect();
    for id in ids {
        btf.set_linkage(id, Linkage::Static);
    }
}
