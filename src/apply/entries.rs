//! Writes the entries of maps, and the map beside the record that says which of them are ours.
//!
//! A map that programs use already is written in place when everything else is ready, just before links are switched.
//! Nothing goes before all else is there, unless the map has no room for both, so that what is in the map under an old
//! and a new key is always there under one of them.

use super::{Applier, Undo, refused, variables};
use crate::diag::{Kind, Problem};
use crate::entries::{Changes, Counts, Entries};
use crate::kernel::{Kernel, ObjectKind, contents, observe};
use crate::kinds::MapType;
use crate::names::{MapName, PinPath, ProgramName};
use crate::owned;
use crate::plan::words::thousands;
use crate::plan::{Action, Plan, Writes, references};
use crate::spec::Host;
use std::io;
use std::sync::Arc;

/// Entries that were written, with what takes them back.
#[derive(Debug)]
pub struct Written {
    /// The map.
    pub map: MapName,
    map_type: MapType,
    changes: Arc<Changes>,
    removes_first: bool,
}

impl Written {
    /// Puts back what was there.
    pub fn undo<K: Kernel>(self, kernel: &mut K, map: &K::Fd) -> io::Result<()> {
        let back = Arc::unwrap_or_clone(self.changes).reversed();
        write(kernel, (map, self.map_type), &back, self.removes_first).map_err(|(_, error)| error)
    }
}

/// Makes changes in a map; with an error comes how many of them were made, in whatever order.
fn write<K: Kernel>(
    kernel: &mut K,
    (map, map_type): (&K::Fd, MapType),
    changes: &Changes,
    removes_first: bool,
) -> Result<(), (usize, io::Error)> {
    let Counts { added, changed, removed } = changes.counts();
    let behind = |before: usize| move |(count, error): (usize, io::Error)| (before + count, error);
    if removes_first {
        kernel.delete_entries(map, &changes.removed)?;
        put(kernel, (map, map_type), &changes.changed).map_err(behind(removed))?;
        return put(kernel, (map, map_type), &changes.added).map_err(behind(removed + changed));
    }
    put(kernel, (map, map_type), &changes.changed)?;
    put(kernel, (map, map_type), &changes.added).map_err(behind(changed))?;
    kernel.delete_entries(map, &changes.removed).map_err(behind(changed + added))
}

/// Writes entries. Where values name programs, these are found by their ids: the kernel tells ids, and takes descriptors.
fn put<K: Kernel>(
    kernel: &mut K,
    (map, map_type): (&K::Fd, MapType),
    entries: &Entries,
) -> Result<(), (usize, io::Error)> {
    if !references::names_programs(map_type, entries.value_size()) {
        return kernel.write_entries(map, entries);
    }
    for (at, (key, value)) in entries.iter().enumerate() {
        put_reference(kernel, map, key, value).map_err(|error| (at, error))?;
    }
    Ok(())
}

fn put_reference<K: Kernel>(kernel: &mut K, map: &K::Fd, key: &[u8], value: &[u8]) -> io::Result<()> {
    let program = references::program_id(value).map(|id| kernel.program_by_id(id)).transpose()?;
    let number = program.as_ref().map_or(-1, |program| kernel.number(program));
    kernel.update(map, key, &references::with_program(value, number))
}

impl<K: Kernel> Applier<'_, K> {
    /// Returns what is to be written now that all programs are loaded.
    fn changes(&self, writes: &Writes) -> io::Result<Arc<Changes>> {
        if writes.references.is_empty() {
            return Ok(Arc::clone(&writes.changes));
        }
        let id_of = |name: &ProgramName| self.program_id(name);
        references::loaded_changes(&writes.changes, &writes.references, &id_of).map(Arc::new)
    }

    fn program_id(&self, name: &ProgramName) -> io::Result<u32> {
        let program = self.programs.get(name).expect("a program is staged before the entries that name it");
        self.kernel.program_info(program).map(|info| info.id)
    }

    /// Returns entries that are kept as ours as they are now that all programs are loaded.
    pub(super) fn kept_now(&self, pin: &PinPath, entries: &Arc<Entries>) -> io::Result<Arc<Entries>> {
        let written = self.plan.steps.iter().find_map(|step| {
            let Action::WriteEntries { writes } = &step.action else { return None };
            (self.plan.pin_root.owned_entries(&writes.map) == *pin).then_some(writes)
        });
        let Some(writes) = written else { return Ok(Arc::clone(entries)) };
        let id_of = |name: &ProgramName| self.program_id(name);
        references::loaded(entries, &writes.references, &id_of).map(Arc::new)
    }

    /// Writes the entries of a map that nobody has seen yet.
    pub(super) fn write_first(&mut self, writes: &Writes) -> Result<(), Problem> {
        let written = self.changes(writes).map_err(|error| (0, error)).and_then(|changes| {
            let map = self.maps.get(&writes.map).expect("the map was staged before its entries");
            write(self.kernel, (map, writes.spec.map_type), &changes, writes.removes_first)
        });
        written.map_err(|(count, error)| entries_refused(writes, count, &error))
    }

    /// Writes the entries of a map that is in use. The way back is noted even when only a part was written.
    pub(super) fn write_in_place(&mut self, number: usize, writes: &Writes) -> Result<(), Problem> {
        self.foretell(number)?;
        let all = self.changes(writes).map_err(|error| entries_refused(writes, 0, &error))?;
        let (map, map_type) = (&self.maps[&writes.map], writes.spec.map_type);
        let result = write(self.kernel, (map, map_type), &all, writes.removes_first);
        let changes = match &result {
            Ok(()) => all,
            // The map tells which they were. When it does not, all are taken back: that changes nothing of the others.
            Err(_) => match self.kernel.host().and_then(|host| contents::live(self.kernel, map, &host)) {
                Ok(live) => Arc::new(all.done(&live)),
                Err(_) => all,
            },
        };
        let written = Written { map: writes.map.clone(), map_type, changes, removes_first: writes.removes_first };
        self.undo.push((number, Undo::Wrote(written)));
        result.map_err(|(count, error)| entries_refused(writes, count, &error))
    }

    /// Keeps entries that are ours in the next generation.
    pub(super) fn keep_entries(&mut self, pin: &PinPath, entries: &Entries) -> Result<(), Problem> {
        let doing = |error: io::Error| refused(format!("keep the entries at `{pin}`"), &error);
        let (bytes, chunk) = owned::encode(entries);
        let map = self.stored("bpfapply_owned", &bytes, chunk).map_err(doing)?;
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
    for step in &plan.steps {
        if let Action::SetVariables { sets } = &step.action {
            differs.extend(variables::unset(kernel, sets)?);
        }
        let Action::WriteEntries { writes } = &step.action else { continue };
        let doing = |error: io::Error| refused(format!("read the entries of map.{}", writes.map), &error);
        let missing = missing(kernel, plan, writes, &observe::host(kernel)?).map_err(doing)?;
        if missing > 0 {
            let (missing, all) = (thousands(missing as u64), thousands(writes.changes.counts().all() as u64));
            differs.push(format!("map.{}: {missing} of {all} entries are not as they were written", writes.map));
        }
    }
    Ok(differs)
}

/// Counts the entries that are not as they were written. A few of them are asked for one by one, as long as that is less
/// than to read all that the map holds.
fn missing<K: Kernel>(kernel: &K, plan: &Plan, writes: &Writes, host: &Host) -> io::Result<usize> {
    let counts = writes.changes.counts();
    let (ObjectKind::Map, map) = kernel.open_pin(&writes.pin)? else { return Ok(counts.all()) };
    let id_of = |name: &ProgramName| loaded_id(kernel, plan, name);
    let changes = references::loaded_changes(&writes.changes, &writes.references, &id_of)?;
    if counts.all() <= changes.same / LOOKUPS {
        let size = changes.added.value_size();
        return count_missing(&changes, writes.keys_only, |key| kernel.lookup(&map, key, size));
    }
    let live = contents::live(kernel, &map, host)?;
    count_missing(&changes, writes.keys_only, |key| Ok(live.get(key)))
}

/// How many entries are read in bulk in the time that one is looked up in.
const LOOKUPS: usize = 4;

fn count_missing<V: AsRef<[u8]>>(
    changes: &Changes,
    keys_only: bool,
    mut now: impl FnMut(&[u8]) -> io::Result<Option<V>>,
) -> io::Result<usize> {
    let mut missing = 0;
    for (key, value) in changes.added.iter().chain(changes.changed.iter()) {
        missing += usize::from(now(key)?.is_none_or(|now| !keys_only && now.as_ref() != value));
    }
    for (key, _) in changes.removed.iter() {
        missing += usize::from(now(key)?.is_some());
    }
    Ok(missing)
}

/// Returns the id of a program that the plan loaded.
fn loaded_id<K: Kernel>(kernel: &K, plan: &Plan, name: &ProgramName) -> io::Result<u32> {
    let pin = plan.steps.iter().find_map(|step| {
        let Action::LoadProgram { program, .. } = &step.action else { return None };
        (program.name == *name).then_some(&program.pin)
    });
    match kernel.open_pin(pin.ok_or(io::ErrorKind::NotFound)?)? {
        (ObjectKind::Program, program) => kernel.program_info(&program).map(|info| info.id),
        (ObjectKind::Map | ObjectKind::Link, _) => Err(io::ErrorKind::NotFound.into()),
    }
}
