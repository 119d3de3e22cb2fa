//! Reads what a deployment has, for `show`.

use super::drift::programs_of_links;
use super::{EventInfo, HookInfo, Kernel, LinkInfo, observe};
use crate::desired::Hook;
use crate::diag::{Kind, Problem, Problems};
use crate::kinds::MapType;
use crate::names::{DeploymentName, PinPath, hex};
use crate::observed::{Observed, ObservedMap, Occupant, Pinned, Queue, Root, Wanted};
use crate::plan::Company;
use crate::record::{Record, RecordedLink};
use crate::report::show::{Shown, ShownLink, ShownMap, ShownProgram};
use std::collections::BTreeSet;

/// Reads the record of a deployment, and everything that it names.
pub fn recorded<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(Record, Observed), Problems> {
    let mut observed = observe::observe(kernel, &Wanted::recorded(pin_root))?;
    match observed.record.take() {
        Some(record) => Ok((record, observed)),
        None if matches!(observed.root, Root::Generation(_)) => {
            Err(Problem::new(Kind::RecordLost { pin: pin_root.join("record") }).into())
        }
        None => Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() }).into()),
    }
}

/// Looks at everything that the record names. What is gone is shown as gone.
pub fn shown<K: Kernel>(
    kernel: &K,
    pin_root: &PinPath,
    record: &Record,
    observed: &Observed,
) -> Result<Shown, Problems> {
    let deployment = DeploymentName::new(&record.deployment)
        .map_err(|why| Problem::new(Kind::BadName { text: record.deployment.clone(), why }))?;
    let pinned = |pin: &str| {
        let pin = PinPath::new(pin).ok().filter(|pin| !observed.unnamed.contains_key(pin))?;
        observed.pins.get(&pin)
    };
    let maps = record.maps.iter().map(|(name, map)| {
        let found = match map.pin.as_deref().map(pinned) {
            Some(Some(Pinned::Map(found))) => Some(found),
            Some(Some(Pinned::Program(_) | Pinned::Link(_)) | None) => None,
            None => map.id.and_then(|id| observed.maps_by_id.get(&id)),
        };
        ShownMap {
            name: name.clone(),
            id: found.map(|found| found.info.id),
            r#type: found.map_or(MapType::UNSPEC, |found| found.info.map_type),
            key_size: found.map_or(0, |found| found.info.key_size),
            value_size: found.map_or(0, |found| found.info.value_size),
            max_entries: found.map_or(0, |found| found.info.max_entries),
            entries: found.and_then(|found| count(kernel, map.pin.as_deref(), found)),
            pin: map.pin.as_deref().and_then(|pin| PinPath::new(pin).ok()),
            ours: map.created,
            protected: map.protect,
        }
    });
    let programs = record.programs.iter().filter_map(|(name, program)| {
        let found = match pinned(&program.pin) {
            Some(Pinned::Program(found)) => Some(&found.info),
            Some(Pinned::Map(_) | Pinned::Link(_)) | None => None,
        };
        Some(ShownProgram {
            name: name.clone(),
            id: found.map(|info| info.id),
            tag: found.map_or_else(String::new, |info| hex(&info.tag)),
            r#type: found.map_or(crate::kinds::ProgramType::UNSPEC, |info| info.program_type),
            pin: PinPath::new(&program.pin).ok()?,
            load_time: found.map_or(0, |info| info.load_time),
            protected: program.protect,
        })
    });
    let own = programs_of_links([record]);
    let links = record.links.iter().filter_map(|(name, link)| {
        let found = match pinned(&link.pin) {
            Some(Pinned::Link(found)) if found.id != 0 || found.is_attached => Some(found),
            Some(Pinned::Link(_) | Pinned::Map(_) | Pinned::Program(_)) | None => None,
        };
        Some(ShownLink {
            name: name.clone(),
            id: found.map(|info| info.id),
            hook: hook_of(link, found),
            order: link.order.as_ref().map(ToString::to_string),
            around: found.map(|found| around(kernel, &link.hook, found, &own)).unwrap_or_default(),
            program_id: found.map(|info| info.program_id).filter(|id| *id != 0),
            pin: PinPath::new(&link.pin).ok()?,
            protected: link.protect,
        })
    });
    Ok(Shown {
        deployment,
        pin_root: pin_root.clone(),
        manifest: (!record.manifest.is_empty()).then(|| record.manifest.clone()),
        now: kernel.uptime(),
        maps: maps.collect(),
        programs: programs.collect(),
        links: links.collect(),
    })
}

/// Says which programs of others are around a link; nothing where the hook may not be asked.
fn around<K: Kernel>(kernel: &K, hook: &Hook, link: &LinkInfo, own: &BTreeSet<u32>) -> Vec<String> {
    if !hook.is_shared() {
        return Vec::new();
    }
    let Ok(Some(Queue { there, .. })) = observe::queue(kernel, hook, false) else { return Vec::new() };
    let is_it = |it: &Occupant| it.link_id.map_or(it.program_id == link.program_id, |id| id == link.id);
    let Some(at) = there.iter().position(is_it) else { return Vec::new() };
    let others =
        |places: &[Occupant]| places.iter().filter(|it| !own.contains(&it.program_id)).cloned().collect::<Vec<_>>();
    Company { before: others(&there[..at]), behind: others(&there[at + 1..]), same: Vec::new() }.words()
}

/// Names a link's hook, and says so where the record alone knows it.
fn hook_of(link: &RecordedLink, found: Option<&LinkInfo>) -> String {
    let untold =
        |found: &LinkInfo| matches!(found.hook, HookInfo::Event(EventInfo::Perf(None) | EventInfo::KprobeMulti(None)));
    match found.is_some_and(untold) {
        true => format!("{} (by the record: this kernel does not tell)", link.hook),
        false => link.hook.to_string(),
    }
}

/// Counts the entries of a map of which some slots can be empty; nothing for arrays, where all are always there.
fn count<K: Kernel>(kernel: &K, pin: Option<&str>, map: &ObservedMap) -> Option<u64> {
    const COUNTABLE: &[MapType] = &[
        MapType::HASH,
        MapType::PERCPU_HASH,
        MapType::LRU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::LPM_TRIE,
        MapType::HASH_OF_MAPS,
        MapType::SOCKHASH,
        MapType::DEVMAP_HASH,
    ];
    if !COUNTABLE.contains(&map.info.map_type) {
        return None;
    }
    let fd = match pin {
        Some(pin) => kernel.open_pin(&PinPath::new(pin).ok()?).ok()?.1,
        None => kernel.map_by_id(map.info.id).ok()?,
    };
    let key_size = map.info.key_size as usize;
    let mut key: Option<Vec<u8>> = None;
    let mut entries = 0;
    // A map under traffic may lead in circles: it cannot have more entries than fit.
    while entries < u64::from(map.info.max_entries) {
        key = kernel.next_key(&fd, key.as_deref(), key_size).ok()?;
        if key.is_none() {
            break;
        }
        entries += 1;
    }
    Some(entries)
}
