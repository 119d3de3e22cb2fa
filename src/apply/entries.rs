//! Writes the entries of maps, and the map beside the record that says which of them are ours.
//!
//! A map that programs use already is written in place when everything else is ready, just before links are switched.
//! Nothing goes before all else is there, unless the map has no room for both, so that what is in the map under an old
//! and a new key is always there under one of them.

use super::{Applier, refused};
use crate::diag::{Kind, Problem};
use crate::entries::{Changes, Done, Entries};
use crate::kernel::{Kernel, MapRequest, ObjectKind, contents, observe};
use crate::kinds::MapType;
use crate::names::{MapName, PinPath};
use crate::owned;
use crate::plan::words::thousands;
use crate::plan::{Action, Plan, Writes};
use crate::spec::Host;
use std::io;
use std::sync::Arc;

/// Entries that were written, with what takes them back.
#[derive(Debug)]
pub struct Written {
    /// The map.
    pub map: MapName,
    changes: Arc<Changes>,
    done: Done,
    removes_first: bool,
}

impl Written {
    /// Puts back what was there.
    pub fn undo<K: Kernel>(self, kernel: &mut K, map: &K::Fd) -> io::Result<()> {
        let back = self.changes.part(self.done).reversed();
        write(kernel, map, &back, self.removes_first).map_err(|(_, error)| error)
    }
}

/// Makes changes in a map; with an error comes how much was done.
fn write<K: Kernel>(
    kernel: &mut K,
    map: &K::Fd,
    changes: &Changes,
    removes_first: bool,
) -> Result<(), (Done, io::Error)> {
    let mut done = Done::default();
    if removes_first {
        remove(kernel, map, changes, &mut done)?;
    }
    // A single call writes those that are there already first: they need no room.
    let changed = kernel.write_entries(map, &changes.changed);
    done.changed = changed.as_ref().map_or_else(|(count, _)| *count, |()| changes.changed.len());
    changed.map_err(|(_, error)| (done, error))?;
    let added = kernel.write_entries(map, &changes.added);
    done.added = added.as_ref().map_or_else(|(count, _)| *count, |()| changes.added.len());
    added.map_err(|(_, error)| (done, error))?;
    if removes_first { Ok(()) } else { remove(kernel, map, changes, &mut done) }
}

fn remove<K: Kernel>(kernel: &mut K, map: &K::Fd, changes: &Changes, done: &mut Done) -> Result<(), (Done, io::Error)> {
    let removed = kernel.delete_entries(map, &changes.removed);
    done.removed = removed.as_ref().map_or_else(|(count, _)| *count, |()| changes.removed.len());
    removed.map_err(|(_, error)| (*done, error))
}

impl<K: Kernel> Applier<'_, K> {
    /// Writes the entries of a map that nobody has seen yet.
    pub(super) fn write_first(&mut self, writes: &Writes) -> Result<(), Problem> {
        let map = self.maps.get(&writes.map).expect("the map was staged before its entries");
        let written = write(self.kernel, map, &writes.changes, writes.removes_first);
        written.map_err(|(done, error)| entries_refused(writes, done, &error))
    }

    /// Writes the entries of a map that is in use. The way back is noted even when only a part was written.
    pub(super) fn write_in_place(&mut self, number: usize, writes: &Writes) -> Result<(), Problem> {
        let map = self.maps.get(&writes.map).expect("the map was staged before its entries");
        let result = write(self.kernel, map, &writes.changes, writes.removes_first);
        let done = result.as_ref().map_or_else(|(done, _)| *done, |()| writes.changes.all());
        let (map, changes) = (writes.map.clone(), Arc::clone(&writes.changes));
        let written = Written { map, changes, done, removes_first: writes.removes_first };
        self.undo.push((number, super::Undo::Wrote(written)));
        result.map_err(|(done, error)| entries_refused(writes, done, &error))
    }

    /// Keeps entries that are ours in the next generation.
    pub(super) fn keep_entries(&mut self, pin: &PinPath, entries: &Entries) -> Result<(), Problem> {
        let doing = |error: io::Error| refused(format!("keep the entries at `{pin}`"), &error);
        let (bytes, chunk) = owned::encode(entries);
        let request = MapRequest {
            name: "bpfapply_owned",
            map_type: MapType::ARRAY,
            key_size: 4,
            value_size: chunk as u32,
            max_entries: u32::try_from(bytes.len() / chunk).unwrap_or(u32::MAX),
            flags: 0,
            numa_node: 0,
            map_extra: 0,
            inner: None,
            types: None,
            kernel_type: 0,
            module: None,
        };
        let map = self.kernel.create_map(&request).map_err(doing)?;
        for (index, chunk) in (0u32..).zip(bytes.chunks(chunk)) {
            self.kernel.update(&map, &index.to_ne_bytes(), chunk).map_err(doing)?;
        }
        let place = self.place(pin, &self.plan.generations.next);
        self.make_folders(&place)?;
        self.kernel.pin(&map, &place).map_err(doing)
    }
}

/// Says how far it came, and for a full map what that means.
fn entries_refused(writes: &Writes, done: Done, error: &io::Error) -> Problem {
    let [done, all] = [done, writes.changes.all()].map(|part| thousands(part.count() as u64));
    let mut problem = refused(format!("write the entries of map.{} ({done} of {all} written)", writes.map), error);
    if let Kind::Kernel { errno: libc::E2BIG | libc::ENOSPC, hint, .. } = &mut *problem.kind {
        *hint = Some("the map is full: give it a larger `max_entries`, or fewer entries".to_owned());
    }
    problem
}

/// Reads back what a plan wrote, and lists the maps that do not have it. Other entries may be written by programs
/// meanwhile, and are not looked at.
pub fn unwritten<K: Kernel>(kernel: &K, plan: &Plan) -> Result<Vec<String>, Problem> {
    let mut differs = Vec::new();
    let host = observe::host(kernel)?;
    for step in &plan.steps {
        let Action::WriteEntries { writes } = &step.action else { continue };
        let doing = |error: io::Error| refused(format!("read the entries of map.{}", writes.map), &error);
        let missing = missing(kernel, writes, &host).map_err(doing)?;
        if missing > 0 {
            let (missing, all) = (thousands(missing as u64), thousands(writes.changes.all().count() as u64));
            differs.push(format!("map.{}: {missing} of {all} entries are not as they were written", writes.map));
        }
    }
    Ok(differs)
}

/// Counts the entries that are not as they were written.
fn missing<K: Kernel>(kernel: &K, writes: &Writes, host: &Host) -> io::Result<usize> {
    let (ObjectKind::Map, map) = kernel.open_pin(&writes.pin)? else { return Ok(writes.changes.all().count()) };
    let live = contents::live(kernel, &map, host)?;
    let Changes { added, changed, removed, .. } = &*writes.changes;
    let other = |entries: &Entries| entries.iter().filter(|(key, value)| live.get(key) != Some(*value)).count();
    let there = removed.iter().filter(|(key, _)| live.get(key).is_some()).count();
    Ok(other(added) + other(changed) + there)
}
