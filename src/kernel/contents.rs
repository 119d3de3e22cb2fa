//! Reads the entries of maps: those that are there, those that are kept as ours, and how the two differ.

use super::drift::{Difference, Drift};
use super::observe::{READ, existing, open_cgroup, refused};
use super::{Kernel, ObjectKind};
use crate::desired::EntriesMode;
use crate::diag::Problem;
use crate::entries::{Changes, Entries, slots_of};
use crate::kinds::MapType;
use crate::names::PinPath;
use crate::owned;
use crate::record::{Record, RecordedEntries, RecordedMap};
use crate::spec::{Host, user_value_size};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

/// How often a map is read that changes meanwhile, until it shows each entry once.
const TRIES: usize = 4;

/// More bytes of entries than these are not read: they have to fit into memory more than once.
const MOST_BYTES: usize = 4 << 30;

/// Counts the entries of a map; of an array those that are not zero.
pub fn count<K: Kernel>(kernel: &K, map: &K::Fd, host: &Host) -> io::Result<u64> {
    let info = kernel.map_info(map)?;
    let (key, value) = (info.key_size as usize, user_value_size(info.map_type, info.value_size, host));
    let mut count = 0;
    kernel.read_entries(map, (key, value), &mut |keys, values| {
        count += match info.map_type.is_array() {
            true => values.chunks(value).filter(|value| value.iter().any(|byte| *byte != 0)).count(),
            false => keys.len() / key,
        };
        ControlFlow::Continue(())
    })?;
    Ok(count as u64)
}

/// Reads all entries of a map.
pub fn live<K: Kernel>(kernel: &K, map: &K::Fd, host: &Host) -> io::Result<Entries> {
    let info = kernel.map_info(map)?;
    let sizes = (info.key_size as usize, user_value_size(info.map_type, info.value_size, host));
    // A walk may start again when its key goes away (`htab_map_get_next_key`), for as long as keys go away.
    let most = 2 * info.max_entries as usize + 1024;
    for _ in 0..TRIES {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        kernel.read_entries(map, sizes, &mut |more_keys, more_values| {
            keys.extend_from_slice(more_keys);
            values.extend_from_slice(more_values);
            let is_enough = keys.len() / sizes.0 > most || keys.len() + values.len() > MOST_BYTES;
            if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if keys.len() + values.len() > MOST_BYTES {
            return Err(io::Error::other(
                "it holds more than 4 GiB: give it no `entries`, or `entries_mode = \"seed\"`",
            ));
        }
        if keys.len() / sizes.0 > most {
            continue;
        }
        if let Ok(entries) = Entries::of(sizes.0, sizes.1, keys, values) {
            return Ok(entries);
        }
    }
    let why =
        "its entries come and go faster than they can be read: give it no `entries`, or `entries_mode = \"seed\"`";
    Err(io::Error::other(why))
}

/// Reads entries that are kept as ours; `None` when the map is another one.
pub fn kept<K: Kernel>(kernel: &K, map: &K::Fd) -> io::Result<Option<Entries>> {
    let info = kernel.map_info(map)?;
    let chunk = info.value_size as usize;
    if (info.map_type, info.key_size) != (MapType::ARRAY, 4) || chunk > owned::CHUNK {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    kernel.read_entries(map, (4, chunk), &mut |_, chunks| {
        bytes.extend_from_slice(chunks);
        ControlFlow::Continue(())
    })?;
    Ok(owned::decode(&bytes))
}

/// Returns the maps whose variables or owned entries are not as the last apply left them, by name. An entry that is in a map of
/// which all entries are ours, and was not there, is one of them.
pub fn drift<K: Kernel>(kernel: &K, record: &Record) -> Result<Vec<Drift>, Problem> {
    let mut found = Vec::new();
    for (name, map) in &record.maps {
        if let Some(what) = slots(kernel, map)? {
            found.push(Drift { address: format!("map.{name}"), what });
        }
        let other = other_cgroups(kernel, &map.cgroups)?;
        if other > 0 {
            let what = Difference::Entries { changed: other, more: 0, all: map.cgroups.len() };
            found.push(Drift { address: format!("map.{name}"), what });
        }
        let Some(pin) = &map.pin else { continue };
        let variables = variables(kernel, pin, map)?;
        // What was only to be the first is nobody's.
        let owned = map.entries.as_ref().filter(|entries| entries.mode != EntriesMode::Seed);
        let entries = owned.map(|entries| differs(kernel, pin, entries)).transpose()?.flatten();
        let differences = variables.into_iter().chain(entries);
        found.extend(differences.map(|what| Drift { address: format!("map.{name}"), what }));
    }
    Ok(found)
}

/// Returns how the slots of a map differ from what was put there.
fn slots<K: Kernel>(kernel: &K, recorded: &RecordedMap) -> Result<Option<Difference>, Problem> {
    let Some(pin) = recorded.pin.as_ref().filter(|_| !recorded.ids.is_empty()) else { return Ok(None) };
    let doing = |error| refused(format!("read the slots at `{pin}`"), &error, READ);
    let Some(map) = open_map(kernel, pin).map_err(doing)? else { return Ok(None) };
    let host = kernel.host().map_err(doing)?;
    let now = slots_of(&live(kernel, &map, &host).map_err(doing)?);
    let changed = recorded.ids.iter().filter(|(slot, id)| now.get(*slot) != Some(*id)).count();
    let more = now.keys().filter(|slot| !recorded.ids.contains_key(*slot)).count();
    let what = Difference::Entries { changed, more, all: recorded.ids.len() };
    Ok((changed + more > 0).then_some(what))
}

/// Counts the cgroups that are gone, or other ones of the same name.
fn other_cgroups<K: Kernel>(kernel: &K, cgroups: &BTreeMap<String, u64>) -> Result<usize, Problem> {
    let mut other = 0;
    for (path, id) in cgroups {
        let found = open_cgroup(kernel, path);
        let found = found.map_err(|error| refused(format!("open the cgroup `{path}`"), &error, READ))?;
        other += usize::from(found.is_none_or(|(_, _, now)| now != *id));
    }
    Ok(other)
}

fn variables<K: Kernel>(kernel: &K, pin: &str, recorded: &RecordedMap) -> Result<Option<Difference>, Problem> {
    if recorded.variables.is_empty() {
        return Ok(None);
    }
    let doing = |error| refused(format!("read the variables at `{pin}`"), &error, READ);
    // A pin that is gone is another kind of drift, which tells it.
    let Some(map) = open_map(kernel, pin).map_err(doing)? else { return Ok(None) };
    let size = kernel.map_info(&map).map_err(doing)?.value_size as usize;
    let section = kernel.lookup(&map, &0u32.to_ne_bytes(), size).map_err(doing)?.unwrap_or_default();
    let others = recorded.variables.iter().filter(|(_, variable)| !variable.set.is_in(&section));
    let names: Vec<String> = others.map(|(name, _)| name.clone()).collect();
    Ok((!names.is_empty()).then_some(Difference::Variables(names)))
}

fn differs<K: Kernel>(kernel: &K, pin: &str, recorded: &RecordedEntries) -> Result<Option<Difference>, Problem> {
    let doing = |pin: &str, error| refused(format!("read the entries at `{pin}`"), &error, READ);
    // A pin that is gone is another kind of drift, which tells it.
    let Some(map) = open_map(kernel, pin).map_err(|error| doing(pin, error))? else { return Ok(None) };
    let Some(kept_at) = open_map(kernel, &recorded.pin).map_err(|error| doing(&recorded.pin, error))? else {
        return Ok(None);
    };
    let kept = kept(kernel, &kept_at).map_err(|error| doing(&recorded.pin, error))?;
    let host = kernel.host().map_err(|error| doing(pin, error))?;
    let is_array = kernel.map_info(&map).map_err(|error| doing(pin, error))?.map_type.is_array();
    let live = live(kernel, &map, &host).map_err(|error| doing(pin, error))?;
    let Some(kept) = kept.filter(|kept| kept.is_like(&live) && kept.digest() == recorded.digest) else {
        return Ok(PinPath::new(&recorded.pin).ok().map(Difference::Replaced));
    };
    let changes = Changes::between(&live, &kept, |_| recorded.mode.owns_all());
    let changes = if recorded.mode.owns_values() { changes } else { changes.of_keys(|_, _| false) };
    let all = kept.len();
    let mut differ = changes.counts();
    if is_array {
        differ.removed = changes.zeroing().changed.len() - differ.changed;
    }
    let what = Difference::Entries { changed: differ.added + differ.changed, more: differ.removed, all };
    Ok((differ.all() > 0).then_some(what))
}

fn open_map<K: Kernel>(kernel: &K, pin: &str) -> io::Result<Option<K::Fd>> {
    let Ok(pin) = PinPath::new(pin) else { return Ok(None) };
    Ok(match existing(kernel.open_pin(&pin))? {
        Some((ObjectKind::Map, fd)) => Some(fd),
        Some((ObjectKind::Program | ObjectKind::Link, _)) | None => None,
    })
}
