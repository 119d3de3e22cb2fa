//! The entries of a map that gets another one in its place: copied before anything of it can be seen, and once more
//! what changed since, when no old program runs any more. The old map is only read.

use super::{Applier, Kind, Problem, generation, kernel_problem, stale};
use crate::desired::DesiredMap;
use crate::entries::{Changes, Entries};
use crate::kernel::snapshot::snapshot;
use crate::kernel::{Kernel, ObjectKind, contents};
use crate::migrate::{Converted, Migration, Misfits, Tally};
use crate::names::PinPath;
use crate::owned;
use crate::plan::{Action, Copying};
use std::io;

/// What to do when not all changes came over.
const STILL_THERE: &str = "the new map has what was copied before; the old one stays in the generation before, with what \
                           changed since: `bpfapply show` and `rollback` find it there";

/// Entries that were copied, as long as the old map may still change.
#[derive(Debug)]
pub(super) struct Copied<Fd> {
    old: Fd,
    /// What the old map held.
    before: Entries,
    /// What the new one got of it.
    written: Entries,
    tally: Tally,
}

impl<K: Kernel> Applier<'_, K> {
    /// Copies what the old map holds into the new one, which nobody uses yet.
    pub(super) fn copy_entries(&mut self, map: &DesiredMap, from: u32, copying: &Copying) -> Result<(), Problem> {
        let migration = &copying.migration;
        let pin = map.pin().expect("only a map with a pin is created");
        let doing = || format!("copy the entries of map id {from} to map.{}", map.name);
        let refused = |error: io::Error| kernel_problem(doing(), &error);
        let old = self.open_expected(pin, ObjectKind::Map, from)?;
        let before = snapshot(self.kernel, &old, migration.from_sizes()).map_err(refused)?;
        let Converted { entries: mut written, mut misfits } = migration.convert(&before).map_err(|twice| {
            let why = vec![format!("two of its keys would be one: {twice}")];
            let kind = Kind::NotMigratable { map: map.name.clone(), pin: pin.clone(), why };
            Problem::at(kind, map.span.clone(), "defined here")
        })?;
        if copying.loses_more(before.len(), misfits.count) {
            return Err(not_consented(map, from, &misfits));
        }
        let new = &self.maps[&map.name];
        self.kernel.write_entries(new, &written).map_err(|(_, error)| refused(error))?;
        if migration.may_evict() {
            let stays = snapshot(self.kernel, new, migration.to_sizes()).map_err(refused)?;
            // What is least used goes before the last entry has no room: each CPU keeps some free.
            for _ in stays.len()..written.len() {
                misfits.add(|| "the new map let go of what was used least".to_owned());
            }
            written = stays;
        }
        let tally = Tally { copied: written.len() as u64, misfits, ..Tally::default() };
        self.copies.insert(map.name.clone(), Copied { old, before, written, tally });
        Ok(())
    }

    /// Copies once more what changed while everything was staged: the less is left for behind the switch, the fewer
    /// entries can change on both sides. The error is that of the first map that refuses, with the number of its step.
    pub(super) fn refresh_copies(&mut self) -> Result<(), (usize, Problem)> {
        let plan = self.plan;
        for (number, step) in plan.steps.iter().enumerate() {
            let Action::CopyEntries { map, from, copying } = &step.action else { continue };
            let copied = self.copies.get_mut(&map.name).expect("the entries were copied when they were staged");
            let done = copied.refresh(self.kernel, &self.maps[&map.name], &copying.migration);
            let doing = || format!("copy the entries of map id {from} to map.{}", map.name);
            done.map_err(|error| (number, kernel_problem(doing(), &error)))?;
            let misfits = &copied.tally.misfits;
            let misfit = if copying.migration.may_evict() { 0 } else { misfits.count };
            if copying.loses_more(copied.before.len(), misfit) {
                return Err((number, not_consented(map, *from, misfits)));
            }
        }
        Ok(())
    }

    /// Makes the changes of the old map since it was copied in the new one, too, but for entries that changed there as
    /// well.
    pub(super) fn catch_up(
        &mut self,
        number: usize,
        map: &DesiredMap,
        from: u32,
        copying: &Copying,
    ) -> Result<(), Problem> {
        let mut copied = self.copies.remove(&map.name).expect("the entries were copied when they were staged");
        let settled = self.kernel.settle();
        let done = settled.and_then(|()| copied.catch_up(self.kernel, &self.maps[&map.name], &copying.migration));
        self.tallies.insert(number, copied.tally);
        let kept = self.plan.generations.next.copied_entries(&map.name, from);
        // A pass that failed is said to have failed, and not made once more: nobody knows what it did.
        let forgotten = generation::remove_pin(self.kernel, &kept);
        done.and(forgotten).map_err(|error| {
            let mut problem = kernel_problem(catching_up(map, from), &error);
            if let Kind::Kernel { hint, .. } = &mut *problem.kind {
                *hint = Some(STILL_THERE.to_owned());
            }
            problem
        })
    }

    /// Keeps in the next generation what the old maps held when they were copied: a run that comes after one that was killed
    /// behind the switch then knows what changed since.
    pub(super) fn keep_copied(&mut self) -> Result<(), Problem> {
        let plan = self.plan;
        for step in &plan.steps {
            let Action::CopyEntries { map, from, .. } = &step.action else { continue };
            let place = plan.generations.next.copied_entries(&map.name, *from);
            let (bytes, chunk) = owned::encode(&self.copies[&map.name].before);
            let doing = |error: io::Error| kernel_problem(format!("keep the entries at `{place}`"), &error);
            let kept = self.stored("bpfapply_copied", &bytes, chunk).map_err(doing)?;
            self.make_folders(&place)?;
            self.kernel.pin(&kept, &place).map_err(doing)?;
        }
        Ok(())
    }

    /// Opens both maps of a copy that was not finished: the old one may go with what a killed run left.
    pub(super) fn open_copied(
        &mut self,
        (map, id): (&DesiredMap, u32),
        from: u32,
        kept: &PinPath,
        migration: &Migration,
    ) -> Result<(), Problem> {
        let refused = |error: io::Error| kernel_problem(catching_up(map, from), &error);
        let pin = map.pin().expect("only a map with a pin is ours");
        let new = self.open_expected(pin, ObjectKind::Map, id)?;
        let old = self.kernel.map_by_id(from).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => stale(format!("map id {from} is gone")),
            _ => refused(error),
        })?;
        let (ObjectKind::Map, before) = self.kernel.open_pin(kept).map_err(refused)? else {
            return Err(stale(format!("`{kept}` is no map")));
        };
        let before = contents::kept(self.kernel, &before).map_err(refused)?;
        let Some(before) = before.filter(|it| (it.key_size(), it.value_size()) == migration.from_sizes()) else {
            return Err(stale(format!("`{kept}` has no entries of map id {from}")));
        };
        let written = migration.convert(&before).map_err(|_| stale(format!("`{kept}` is another one now")))?.entries;
        let copied = Copied { old, before, written, tally: Tally::default() };
        self.unfinished.insert(map.name.clone(), (new, copied));
        Ok(())
    }

    /// Does what a killed run left to do for a copy. The programs of the generation that ran before end with their links.
    pub(super) fn finish_copy(
        &mut self,
        number: usize,
        map: &DesiredMap,
        from: u32,
        kept: &PinPath,
        migration: Option<&Migration>,
    ) -> Result<(), Problem> {
        let refused = |error: io::Error| kernel_problem(catching_up(map, from), &error);
        if let Some((migration, (new, mut copied))) = migration.zip(self.unfinished.remove(&map.name)) {
            let plan = self.plan;
            self.same_hooks()?;
            for step in &plan.steps {
                let Action::ClearLeftover { path, record, .. } = &step.action else { continue };
                let (root, current) = (&plan.pin_root, plan.generations.current.as_ref());
                generation::detach_all(self.kernel, root, (path, record.as_deref()), current).map_err(refused)?;
            }
            self.recount()?;
            self.kernel.settle().map_err(refused)?;
            let done = copied.catch_up(self.kernel, &new, migration);
            self.tallies.insert(number, copied.tally);
            done.map_err(refused)?;
        }
        generation::remove_pin(self.kernel, kept).map_err(refused)
    }
}

fn catching_up(map: &DesiredMap, from: u32) -> String {
    format!("write to map.{} what changed in map id {from} since it was copied", map.name)
}

/// Entries came meanwhile that do not fit, and nobody consented to that.
fn not_consented(map: &DesiredMap, from: u32, misfits: &Misfits) -> Problem {
    stale(format!("map id {from} has entries by now that do not fit map.{}{misfits}", map.name))
}

impl<Fd> Copied<Fd> {
    /// Makes the changes of the old map since the last time in the new one, but for entries that changed there as well.
    fn catch_up<K: Kernel<Fd = Fd>>(&mut self, kernel: &mut K, new: &K::Fd, migration: &Migration) -> io::Result<()> {
        let now = snapshot(kernel, &self.old, migration.from_sizes())?;
        let changes = Changes::between(&self.before, &now, |_| true);
        if changes.is_empty() {
            return Ok(());
        }
        let Changes { added, changed, removed, .. } = changes;
        for (key, value) in added.iter().chain(changed.iter()) {
            self.write(kernel, new, migration, (key, value))?;
        }
        for (key, value) in removed.iter() {
            self.remove(kernel, new, migration, (key, value))?;
        }
        self.before = now;
        Ok(())
    }

    /// The same, to be done once more: nobody uses the new map yet.
    fn refresh<K: Kernel<Fd = Fd>>(&mut self, kernel: &mut K, new: &K::Fd, migration: &Migration) -> io::Result<()> {
        let changes = self.tally.caught_up;
        self.catch_up(kernel, new, migration)?;
        if self.tally.caught_up != changes {
            self.written = snapshot(kernel, new, migration.to_sizes())?;
        }
        Ok(())
    }

    /// Writes one entry that is new or another one in the old map.
    fn write<K: Kernel<Fd = Fd>>(
        &mut self,
        kernel: &mut K,
        new: &K::Fd,
        migration: &Migration,
        (key, value): (&[u8], &[u8]),
    ) -> io::Result<()> {
        let (new_key, new_value) = match migration.convert_one(key, value) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(()),
            Err(why) => {
                self.does_not_fit(migration, key, &why);
                return Ok(());
            }
        };
        let written = self.written.get(&new_key);
        let done = match written {
            Some(written) if !holds(kernel, new, &new_key, written)? => Ok(false),
            Some(_) => kernel.update(new, &new_key, &new_value).map(|()| true),
            None => kernel.add(new, &new_key, &new_value),
        };
        match done {
            Ok(true) => {
                self.tally.caught_up += 1;
                self.fits_now(written.is_none(), key);
            }
            Ok(false) => self.tally.both += 1,
            // A hash that is full, and an LPM trie.
            Err(error) if matches!(error.raw_os_error(), Some(libc::E2BIG | libc::ENOSPC)) => {
                self.does_not_fit(migration, key, "the new map has no room for it");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Removes one entry that the old map does not have any more.
    fn remove<K: Kernel<Fd = Fd>>(
        &mut self,
        kernel: &mut K,
        new: &K::Fd,
        migration: &Migration,
        (key, value): (&[u8], &[u8]),
    ) -> io::Result<()> {
        let Ok(Some((new_key, _))) = migration.convert_one(key, value) else {
            self.fits_now(true, key);
            return Ok(());
        };
        let Some(written) = self.written.get(&new_key) else {
            self.fits_now(true, key);
            return Ok(());
        };
        match holds(kernel, new, &new_key, written)? && kernel.delete(new, &new_key)? {
            true => self.tally.caught_up += 1,
            false => self.tally.both += 1,
        }
        Ok(())
    }

    /// Counts an entry that does not fit, once.
    fn does_not_fit(&mut self, migration: &Migration, key: &[u8], why: &str) {
        let was_written = self.before.get(key).is_none_or(|value| match migration.convert_one(key, value) {
            Ok(Some((key, _))) => self.written.get(&key).is_some(),
            Ok(None) => true,
            Err(_) => false,
        });
        if was_written {
            migration.misfit(&mut self.tally.misfits, key, why);
        }
    }

    /// Takes an entry that did not fit at first off the count of those.
    fn fits_now(&mut self, was_missing: bool, key: &[u8]) {
        if was_missing && self.before.get(key).is_some() {
            self.tally.misfits.count = self.tally.misfits.count.saturating_sub(1);
        }
    }
}

/// Returns whether a map still has what was written.
fn holds<K: Kernel>(kernel: &K, map: &K::Fd, key: &[u8], written: &[u8]) -> io::Result<bool> {
    Ok(kernel.lookup(map, key, written.len())?.as_deref() == Some(written))
}
