//! Which objects the programs of a host come from: by their code, which the kernel tells by a tag, else by their names.

use super::import::{Found, Origin, Source};
use crate::desired::kernel_name;
use crate::elf::{DataKind, Dialect, Needs, Program, Target};
use std::collections::BTreeSet;

/// Returns what of the kernel decides the code of those programs of the objects that may be on the host.
pub fn needs(found: &Found, sources: &[Source<'_>]) -> Needs {
    let names: BTreeSet<&str> = found.programs.values().map(|program| program.info.name.as_str()).collect();
    let mut needs = Needs::default();
    for object in sources.iter().map(|source| source.object) {
        let may_be_there = |program: &Program| names.contains(&*kernel_name(&program.function));
        for (index, _) in object.programs.iter().enumerate().filter(|(_, program)| may_be_there(program)) {
            needs.extend(object.needs(index));
        }
    }
    needs
}

/// Finds for each program the object whose code it is; else one that has a function of its name.
pub fn find(found: &mut Found, sources: &[Source<'_>], target: &Target) {
    for (file, Source { object, .. }) in sources.iter().enumerate() {
        let mut linking = object.linking(target);
        for (index, known) in object.programs.iter().enumerate() {
            let name = kernel_name(&known.function);
            let mut named = found.programs.values_mut().filter(|program| program.info.name == name).peekable();
            if named.peek().is_none() {
                continue;
            }
            let Ok(code) = linking.link(index) else { continue };
            let tags = code.tags();
            for program in named {
                let is_same = tags.contains(&program.info.tag);
                if program.origin.as_ref().is_none_or(|origin| is_same && !origin.is_same) {
                    program.origin = Some(Origin { file, program: index, maps: object.maps_of(&code), is_same });
                }
            }
        }
    }
}

/// Lists the maps of the host that are sections of constants, by what the programs' objects say.
pub fn constants(found: &Found, sources: &[Source<'_>]) -> BTreeSet<u32> {
    let mut constants = BTreeSet::new();
    for program in found.programs.values() {
        let Some(origin) = program.origin.as_ref().filter(|origin| origin.is_same) else { continue };
        if origin.maps.len() != program.info.map_ids.len() {
            continue;
        }
        let maps = &sources[origin.file].object.maps;
        let ids = origin.maps.iter().zip(&program.info.map_ids);
        constants
            .extend(ids.filter(|(map, _)| maps[**map].dialect == Dialect::Data(DataKind::Rodata)).map(|(_, id)| *id));
    }
    constants
}
