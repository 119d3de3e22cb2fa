//! Writes the entries of maps, and the map beside the record that says which of them are ours.
//!
//! A map that programs use already is written in place when everything else is ready, just before links are switched.
//! Nothing goes before all else is there, unless the map has no room for both, so that what is in the map under an old
//! and a new key is always there under one of them.

use super::{Applier, Undo, refused, variables};
use crate::diag::{Kind, Problem};
use crate::entries::{Changes, Counts, Entries};
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
    removes_first: bool,
}

impl Written {
    /// Puts back what was there.
    pub fn undo<K: Kernel>(self, kernel: &mut K, map: &K::Fd) -> io::Result<()> {
        let back = Arc::unwrap_or_clone(self.changes).reversed();
        write(kernel, map, &back, self.removes_first).map_err(|(_, error)| error)
    }
}

/// Makes changes in a map; with an error comes how many of them were made, in whatever order.
fn write<K: Kernel>(
    kernel: &mut K,
    map: &K::Fd,
    changes: &Changes,
    removes_first: bool,
) -> Result<(), (usize, io::Error)> {
    let Counts { added, changed, removed } = changes.counts();
    let behind = |before: usize| move |(count, error): (usize, io::Error)| (before + count, error);
    if removes_first {
        kernel.delete_entries(map, &changes.removed)?;
        kernel.write_entries(map, &changes.changed).map_err(behind(removed))?;
        return kernel.write_entries(map, &changes.added).map_err(behind(removed + changed));
    }
    kernel.write_entries(map, &changes.changed)?;
    kernel.write_entries(map, &changes.added).map_err(behind(changed))?;
    kernel.delete_entries(map, &changes.removed).map_err(behind(changed + added))
}

impl<K: Kernel> Applier<'_, K> {
    /// Writes the entries of a map that nobody has seen yet.
    pub(super) fn write_first(&mut self, writes: &Writes) -> Result<(), Problem> {
        let map = self.maps.get(&writes.map).expect("the map was staged before its entries");
        let written = write(self.kernel, map, &writes.changes, writes.removes_first);
        written.map_err(|(count, error)| entries_refused(writes, count, &error))
    }

    /// Writes the entries of a map that is in use. The way back is noted even when only a part was written.
    pub(super) fn write_in_place(&mut self, number: usize, writes: &Writes) -> Result<(), Problem> {
        let map = self.maps.get(&writes.map).expect("the map was staged before its entries");
        let result = write(self.kernel, map, &writes.changes, writes.removes_first);
        let changes = match &result {
            Ok(()) => Arc::clone(&writes.changes),
            // The map tells which they were. When it does not, all are taken back: that changes nothing of the others.
            Err(_) => match self.kernel.host().and_then(|host| contents::live(self.kernel, map, &host)) {
                Ok(live) => Arc::new(writes.changes.done(&live)),
                Err(_) => Arc::clone(&writes.changes),
            },
        };
        let written = Written { map: writes.map.clone(), changes, removes_first: writes.removes_first };
        self.undo.push((number, Undo::Wrote(written)));
        result.map_err(|(count, error)| entries_refused(writes, count, &error))
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
fn entries_refused(writes: &Writes, done: usize, error: &io::Error) -> Problem {
    let [done, all] = [done, writes.changes.counts().all()].map(|count| thousands(count as u64));
    let mut problem = refused(format!("write the entries of map.{} ({done} of {all} written)", writes.map), error);
    if let Kind::Kernel { errno: libc::E2BIG | libc::ENOSPC, hint, .. } = &mut *problem.kind {
        *hint = Some("the map is full: give it a larger `max_entries`, or fewer entries".to_owned());
    }
    problem
}

/// Reads back what a plan wrote, and lists the maps and variables that do not have it. Other entries may be written by programs
/// meanwhile, and are not looked at.
pub fn unwritten<K: Kernel>(kernel: &K, plan: &Plan) -> Result<Vec<String>, Problem> {
    let mut differs = Vec::new();
    let host = observe::host(kernel)?;
    for step in &plan.steps {
        if let Action::SetVariables { sets } = &step.action {
            differs.extend(variables::unset(kernel, sets)?);
        }
        let Action::WriteEntries { writes } = &step.action else { continue };
        let doing = |error: io::Error| refused(format!("read the entries of map.{}", writes.map), &error);
        let missing = missing(kernel, writes, &host).map_err(doing)?;
        if missing > 0 {
            let (missing, all) = (thousands(missing as u64), thousands(writes.changes.counts().all() as u64));
            differs.push(format!("map.{}: {missing} of {all} entries are not as they were written", writes.map));
        }
    }
    Ok(differs)
}

/// Counts the entries that are not as they were written.
fn missing<K: Kernel>(kernel: &K, writes: &Writes, host: &Host) -> io::Result<usize> {
    let (ObjectKind::Map, map) = kernel.open_pin(&writes.pin)? else { return Ok(writes.changes.counts().all()) };
    let live = contents::live(kernel, &map, host)?;
    let Changes { added, changed, removed, .. } = &*writes.changes;
    let other = |entries: &Entries| entries.iter().filter(|(key, value)| live.get(key) != Some(*value)).count();
    let there = removed.iter().filter(|(key, _)| live.get(key).is_some()).count();
    Ok(other(added) + other(changed) + there)
}
