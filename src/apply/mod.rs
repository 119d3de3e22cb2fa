//! Does what a plan says: the one place that changes the kernel.
//!
//! Two passes over the same list. *Stage* makes maps and programs as mere descriptors: when something is refused
//! there, closing them leaves the host untouched. *Commit* pins what is new into the next generation of the
//! deployment's pins, attaches and updates links, and switches to that generation with the record; each of its changes
//! is noted with its way back, and a failure walks these back, newest first. What goes away goes behind the switch.

mod contexts;
mod direct;
pub mod entries;
mod events;
mod generation;
mod migrate;
pub mod outcome;
mod places;
mod rehearse;
mod stage;
mod types;
mod undo;
mod variables;

pub use rehearse::{Rehearsed, rehearse};

use crate::access::{Access, Account, AccountKind, Permissions};
use crate::confirm::Pending;
use crate::desired::{Anchor, DesiredLink, Hook, MapSource, Netns, Within};
use crate::diag::{Kind, OPEN_FILES, PRIVILEGES, Problem};
use crate::entries::{Entries, slots_of};
use crate::kernel::observe::Rest;
use crate::kernel::{
    EntryKind, EventInfo, HookInfo, HookPlace, HookRequest, Kernel, LinkInfo, MapRequest, ObjectKind, SymlinkInTheWay,
    contents, drift, observe, strangers,
};
use crate::kinds::{MapType, Netfilter};
use crate::migrate::Tally;
use crate::names::{Digest, LinkName, MapName, ObjectName, PinPath, ProgramName};
use crate::observed::{Leftover, Place, Root, Stranger};
use crate::plan::{Action, Generations, Marker, Plan, Replaced, ResolvedHook, Restored, Spot, Step};
use crate::record::{Record, Rejected};
use crate::spec::Host;
use direct::Attached;
use hashbrown::HashMap;
use outcome::{Outcome, Status, StepOutcome};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use undo::{Before, BeforeHook, Undo};

/// What the record says of this run.
#[derive(Debug, Clone, Default)]
pub struct Stamp {
    /// Path of the manifest as it was given.
    pub manifest: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Digest of what the plan was made from.
    pub inputs: Option<Digest>,
    /// The second since boot until which somebody has to confirm, or the generation before returns.
    pub confirm_until: Option<u64>,
    /// The generation that the run takes back, when nobody asked for that.
    pub rejected: Option<Rejected>,
}

/// What a run did.
#[derive(Debug)]
pub struct Applied<'a, Fd> {
    /// How each step went.
    pub outcome: Outcome<'a>,
    /// What went wrong; there exactly when something failed.
    pub problem: Option<Problem>,
    /// The record as it is now, which says what is to be found on the host; none after a destroy.
    pub record: Option<Record>,
    /// What was opened and made.
    pub held: Held<Fd>,
}

/// The descriptors of a run. Dropping them closes each, which the end of a process does faster.
#[derive(Debug)]
pub struct Held<Fd> {
    _btfs: BTreeMap<ObjectName, types::Loaded<Fd>>,
    _maps: BTreeMap<MapName, Fd>,
    _programs: BTreeMap<ProgramName, Fd>,
}

/// Somebody who is told how a run fares while it is under way: the number of a step in the plan, and what became of it.
pub type Watch<'a> = &'a dyn Fn(usize, Progress<'_>);

/// What became of a step just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// What it makes is there, as a descriptor that nobody else can see.
    Staged,
    /// It has this status now; one that is done may be undone later.
    Is(&'a Status),
}

/// Applies a plan.
pub fn apply<'a, K: Kernel>(kernel: &mut K, plan: &'a Plan, stamp: &Stamp) -> Applied<'a, K::Fd> {
    apply_watched(kernel, plan, stamp, None)
}

/// Finishes what a run did not get to that was interrupted behind its switch: what ran until then becomes the generation
/// before. To go back is planned behind this, from what is at its place then.
///
/// # Errors
/// The kernel's, as a problem. What is left to do stays so for the next run.
pub fn finish_switch<K: Kernel>(kernel: &mut K, pin_root: &PinPath) -> Result<(), Problem> {
    let Rest { root: Root::Generation(current), leftovers, record } = observe::rest(kernel, pin_root)? else {
        return Ok(());
    };
    // Where it cannot be read there is no going back, which is said when that is planned.
    let running = record.unwrap_or_default();
    for Leftover { path, record, .. } in leftovers.iter().filter(|leftover| leftover.kept) {
        generation::clear(kernel, pin_root, (path, record.as_ref()), (Some(&current), running.as_ref()), true)
            .map_err(|error| refused(format!("keep `{path}` for a rollback"), &error))?;
    }
    Ok(())
}

/// Applies a plan, and tells how it goes.
pub fn apply_watched<'a, K: Kernel>(
    kernel: &mut K,
    plan: &'a Plan,
    stamp: &Stamp,
    watch: Option<Watch<'_>>,
) -> Applied<'a, K::Fd> {
    let mut applier = Applier { watch, ..Applier::new(kernel, plan, stamp) };
    let not_reached =
        |step: &'a Step| StepOutcome { action: Cow::Borrowed(&step.action), status: Status::NotReached, tally: None };
    let mut steps: Vec<StepOutcome<'_>> = plan.steps.iter().map(not_reached).collect();
    let problem = applier.run(&mut steps).err();
    let record = match applier.switched {
        true => applier.record.take(),
        false => plan.generations.record.as_deref().cloned(),
    };
    let held = Held { _btfs: applier.btfs, _maps: applier.maps, _programs: applier.programs };
    Applied {
        outcome: Outcome { deployment: plan.deployment.clone(), taken_back: stamp.rejected, steps },
        problem,
        record,
        held,
    }
}

struct Applier<'a, K: Kernel> {
    kernel: &'a mut K,
    plan: &'a Plan,
    stamp: &'a Stamp,
    /// What decides the shape of maps, once the first one asked.
    host: Option<Host>,
    /// Whether the kernel knows the tag of contexts, once somebody asked.
    knows_tag: Option<bool>,
    btfs: BTreeMap<ObjectName, types::Loaded<K::Fd>>,
    /// The types of kernel modules, by the id of their BTF.
    modules: BTreeMap<u32, K::Fd>,
    maps: BTreeMap<MapName, K::Fd>,
    programs: BTreeMap<ProgramName, K::Fd>,
    /// Entries that were copied into maps that are made anew.
    copies: BTreeMap<MapName, migrate::Copied<K::Fd>>,
    /// The same of copies that a killed run did not finish, with the maps that got the entries.
    unfinished: BTreeMap<MapName, (K::Fd, migrate::Copied<K::Fd>)>,
    /// What became of them, by the number of the step.
    tallies: BTreeMap<usize, Tally>,
    /// The folders of the next generation; none before it was begun.
    folders: BTreeSet<PinPath>,
    /// Whether the next generation has a record that says what is about to change.
    is_foretold: bool,
    /// What an interrupted run left of generations that it began, which goes when this run has ended.
    begun: Vec<PinPath>,
    /// Pins that get a name outside of the deployment's folder, and whether something of ours has it now.
    outside: Vec<(PinPath, bool)>,
    /// What was changed, by the number of its step, and the way back.
    undo: Vec<(usize, Undo<K::Fd>)>,
    /// Links that are detached behind the switch, by the number of the step.
    leaving: BTreeMap<usize, Attached<K::Fd>>,
    /// The revisions that hooks that several programs share must have now, of those that this run changed.
    revisions: BTreeMap<Hook, u64>,
    /// The ids of the links that this run made.
    linked: BTreeMap<LinkName, u32>,
    /// The pins that links with new names have until then, by those that they get.
    renamed: BTreeMap<&'a PinPath, &'a PinPath>,
    /// Programs that were loaded once more, by the links that move.
    doubles: BTreeMap<LinkName, K::Fd>,
    /// Whether the next generation is the one that runs: then there is no way back.
    switched: bool,
    record: Option<Record>,
    /// Who wants to know how it goes.
    watch: Option<Watch<'a>>,
}

impl<'a, K: Kernel> Applier<'a, K> {
    fn new(kernel: &'a mut K, plan: &'a Plan, stamp: &'a Stamp) -> Self {
        Self {
            kernel,
            plan,
            stamp,
            host: None,
            knows_tag: None,
            btfs: BTreeMap::new(),
            modules: BTreeMap::new(),
            maps: BTreeMap::new(),
            programs: BTreeMap::new(),
            copies: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            tallies: BTreeMap::new(),
            folders: BTreeSet::new(),
            is_foretold: false,
            begun: Vec::new(),
            outside: Vec::new(),
            undo: Vec::new(),
            leaving: BTreeMap::new(),
            revisions: BTreeMap::new(),
            linked: BTreeMap::new(),
            renamed: plan.renames().map(|(from, to)| (to, from)).collect(),
            doubles: BTreeMap::new(),
            switched: false,
            record: None,
            watch: None,
        }
    }

    /// Tells who wants to know that what a step makes is staged.
    fn staged(&self, number: usize) {
        if let Some(watch) = self.watch {
            watch(number, Progress::Staged);
        }
    }

    /// Notes what became of a step, and tells who wants to know.
    fn settle(&self, steps: &mut [StepOutcome<'_>], number: usize, status: Status) {
        if let Some(watch) = self.watch {
            watch(number, Progress::Is(&status));
        }
        steps[number].status = status;
    }

    fn fail(&self, steps: &mut [StepOutcome<'_>], number: usize, problem: Problem) -> Problem {
        self.settle(steps, number, Status::Failed(problem.kind.to_string()));
        problem
    }
}

impl<K: Kernel> Applier<'_, K> {
    fn run(&mut self, steps: &mut Vec<StepOutcome<'_>>) -> Result<(), Problem> {
        let same = self.same_hooks().map_err(|problem| (0, problem));
        let staged = same.and_then(|()| self.stage_all()).and_then(|()| self.refresh_copies());
        staged.map_err(|(number, problem)| self.fail(steps, number, problem))?;
        let (mut first, mut late) = (None, None);
        for (number, step) in self.plan.steps.iter().enumerate() {
            if let Action::CatchUp { map, from, copying } = &step.action {
                // Links that moved may still run old programs.
                let done = self.leave(steps).and_then(|()| self.catch_up(number, map, *from, copying));
                steps[number].tally = self.tallies.remove(&number).map(Box::new);
                let status = match done {
                    Ok(()) => Status::Done,
                    Err(problem) => {
                        let status = Status::HalfDone(problem.kind.to_string());
                        late.get_or_insert(problem);
                        status
                    }
                };
                self.settle(steps, number, status);
                continue;
            }
            let done = match self.switched {
                false => self.commit(number, &step.action),
                true => self.take_away(number, &step.action),
            };
            match done {
                Ok(()) => {}
                Err(problem) if self.switched => {
                    // The other things that go do not depend on it.
                    self.settle(steps, number, Status::HalfDone(problem.kind.to_string()));
                    first.get_or_insert(problem);
                    continue;
                }
                Err(problem) => {
                    let problem = self.fail(steps, number, problem);
                    self.undo_all(steps);
                    return Err(problem);
                }
            }
            steps[number].tally = self.tallies.remove(&number).map(Box::new);
            let status = match step.action.marker() {
                Marker::Reuse => Status::Reused,
                Marker::Create
                | Marker::Change
                | Marker::DestroyThenCreate
                | Marker::CreateThenDestroy
                | Marker::Remove => Status::Done,
            };
            self.settle(steps, number, status);
        }
        match first {
            Some(problem) => Err(problem),
            // The old map stays in the generation before, whatever was not copied of it.
            None if self.switched => self.retire(steps).and(self.forget_begun()).and(late.map_or(Ok(()), Err)),
            None => self.forget_begun(),
        }
    }

    /// Removes what is left of generations that were begun, now that what was done in them is ours or undone.
    fn forget_begun(&mut self) -> Result<(), Problem> {
        for path in std::mem::take(&mut self.begun) {
            generation::remove(self.kernel, &path).map_err(|error| refused(format!("clear `{path}`"), &error))?;
        }
        Ok(())
    }

    fn commit(&mut self, number: usize, action: &Action) -> Result<(), Problem> {
        match action {
            Action::ClearLeftover { path, record, kept, .. } => {
                let (root, generations) = (&self.plan.pin_root, &self.plan.generations);
                let running = (generations.current.as_ref(), generations.record.as_deref());
                // What others did to a hook meanwhile would not be told from what goes now.
                self.same_hooks()?;
                let before = self.attached_in(path);
                let cleared = generation::clear(self.kernel, root, (path, record.as_deref()), running, *kept);
                if cleared.is_err() && self.attached_in(path) < before {
                    self.undo.push((number, Undo::Cleared));
                }
                cleared.map_err(|error| refused(format!("clear `{path}`"), &error))?;
                // Where none runs, nothing of it is left, and the next generation may have its name.
                self.begun.extend(generations.current.as_ref().filter(|_| !*kept).map(|_| path.clone()));
                self.recount()?;
            }
            Action::MountBpffs { at } => {
                self.kernel.mount_bpffs(at).map_err(|error| refused(format!("mount a bpffs on `{at}`"), &error))?;
                self.undo.push((number, Undo::Mounted(at.clone())));
            }
            Action::MakeDirectory { path } => {
                // One that holds the generations is there before them.
                if !self.plan.pin_root.is_below(path) {
                    self.foretell(number)?;
                }
                match self.make_directory(path) {
                    // Clearing it found something of somebody else's in it.
                    Err(problem) if matches!(*problem.kind, Kind::Stale { .. }) && self.was_left(path) => {}
                    made => {
                        made?;
                        self.undo.push((number, Undo::MadeDirectory(path.clone())));
                    }
                }
            }
            Action::CreateMap { map, replaces } => {
                let pin = map.pin().expect("only a map with a pin is created");
                if let Some(Replaced { id, is_empty: true, .. }) = replaces {
                    self.is_still_empty(pin, *id)?;
                }
                let replaces = replaces.as_ref().map(|replaced| replaced.id);
                let place = self.place_for_new(number, pin, ObjectKind::Map, replaces)?;
                let fd = self.maps.get(&map.name).expect("the map was staged");
                put_pin(self.kernel, fd, ObjectKind::Map, pin, &place)?;
            }
            Action::LoadProgram { program, replaces } => {
                let place = self.place_for_new(number, &program.pin, ObjectKind::Program, *replaces)?;
                let fd = self.programs.get(&program.name).expect("the program was staged");
                put_pin(self.kernel, fd, ObjectKind::Program, &program.pin, &place)?;
            }
            Action::RestoreMap { pin, restored, .. } | Action::RestoreProgram { pin, restored, .. } => {
                self.restore(number, pin, *restored)?;
            }
            Action::RestorePin { pin, .. } => drop(self.place_for(number, pin, false)?),
            Action::FinishCopy { map, from, kept, migration, .. } => {
                self.finish_copy(number, map, *from, kept, migration.as_deref())?;
            }
            // Its name is one of those with which the next generation begins.
            Action::RenameLink { .. } => self.begin(number)?,
            Action::WriteEntries { writes } if writes.id.is_some() => self.write_in_place(number, writes)?,
            Action::SetVariables { sets } => self.set_variables(number, sets)?,
            Action::Attach { link, hook, spot } => self.attach(number, link, (hook, spot), None)?,
            Action::UpdateLink { link, id: 0, old } => self.update_direct(number, link, *old)?,
            Action::UpdateLink { link, id, old } => self.update_link(number, link, *id, *old)?,
            Action::Reattach { link, id, hook, spot, overlap: true } => {
                // The old link goes when everything else is done.
                self.lend_double(number, link, *id)?;
                self.attach(number, link, (hook, spot), Some(*id))?;
                let old = self.open_attached(&link.pin, *id)?;
                self.leaving.insert(number, old);
            }
            Action::Reattach { link, id, hook, spot, overlap: false } => {
                self.swap_link(number, link, *id, (hook, spot))?;
            }
            Action::SetAccess { pin, now, access, .. } => self.set_access(number, pin, *now, access)?,
            Action::RemoveDirectory { path } => {
                self.remove_directory(path)?;
                self.undo.push((number, Undo::RemovedDirectory(path.clone())));
            }
            Action::WriteRecord { pin, record, owned, .. } => self.write_record(number, pin, record, owned)?,
            Action::RemoveRecord { .. } => {
                let root = &self.plan.pin_root;
                self.same_generation()?;
                self.kernel.unpin(root).map_err(|error| refused(format!("remove `{root}`"), &error))?;
                self.switched = true;
            }
            Action::Detach { .. }
            | Action::RemoveProgram { .. }
            | Action::RemoveMap { .. }
            | Action::CatchUp { .. } => {
                unreachable!("things go away behind the switch")
            }
            // These were done when they were staged: nothing of them can be seen from outside.
            Action::ReuseMap { .. }
            | Action::CopyEntries { .. }
            | Action::FillMap { .. }
            | Action::FillSlots { .. }
            | Action::WriteEntries { .. }
            | Action::ReuseProgram { .. }
            | Action::ReuseLink { .. }
            | Action::Skip { .. } => {}
        }
        Ok(())
    }

    /// Counts the links of a generation that was left that are on a hook.
    fn attached_in(&self, leftover: &PinPath) -> usize {
        let rest = observe::rest(self.kernel, &self.plan.pin_root);
        let left = rest.into_iter().flat_map(|rest| rest.leftovers).filter(|left| left.path == *leftover);
        left.flat_map(|left| left.links).filter(|link| link.is_attached).count()
    }

    /// Does what comes behind the switch.
    fn take_away(&mut self, number: usize, action: &Action) -> Result<(), Problem> {
        match action {
            Action::Detach { link, pin, .. } => {
                let attached = self.leaving.remove(&number).expect("the link was staged");
                generation::detach(self.kernel, &attached)
                    .map_err(|error| refused(format!("detach link.{link}"), &error))?;
                self.unpin_outside(pin)
            }
            Action::RemoveProgram { pin, .. } | Action::RemoveMap { pin, .. } => self.unpin_outside(pin),
            Action::RemoveDirectory { path } => self.remove_directory(path),
            Action::ClearLeftover { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::ReuseMap { .. }
            | Action::CreateMap { .. }
            | Action::CopyEntries { .. }
            | Action::CatchUp { .. }
            | Action::FinishCopy { .. }
            | Action::FillMap { .. }
            | Action::FillSlots { .. }
            | Action::WriteEntries { .. }
            | Action::SetVariables { .. }
            | Action::ReuseProgram { .. }
            | Action::LoadProgram { .. }
            | Action::RestoreMap { .. }
            | Action::RestoreProgram { .. }
            | Action::RestorePin { .. }
            | Action::RenameLink { .. }
            | Action::ReuseLink { .. }
            | Action::Skip { .. }
            | Action::Attach { .. }
            | Action::UpdateLink { .. }
            | Action::Reattach { .. }
            | Action::SetAccess { .. }
            | Action::WriteRecord { .. }
            | Action::RemoveRecord { .. } => unreachable!("the switch comes behind everything that is made"),
        }
    }

    /// Detaches the links that moved.
    fn leave(&mut self, steps: &mut [StepOutcome<'_>]) -> Result<(), Problem> {
        for (number, link) in std::mem::take(&mut self.leaving) {
            // Closing the last descriptor detaches as well, but only some time later.
            generation::detach(self.kernel, &link).map_err(|error| {
                let problem = refused(format!("detach the old {}", steps[number].action.address()), &error);
                self.settle(steps, number, Status::HalfDone(problem.kind.to_string()));
                problem
            })?;
        }
        Ok(())
    }

    /// Detaches the links that moved, and makes the generation that ran until now the previous one, or nothing.
    fn retire(&mut self, steps: &mut Vec<StepOutcome<'_>>) -> Result<(), Problem> {
        self.leave(steps)?;
        let (root, generations) = (&self.plan.pin_root, &self.plan.generations);
        let Some(old) = &generations.current else { return Ok(()) };
        let kept = generations.record.as_deref().filter(|_| self.record.is_some());
        // It may have waited until now: up to the switch it could still have to go back.
        let done = generation::waits_no_more(self.kernel, root, old).and_then(|()| match (kept, &generations.record) {
            (Some(record), _) => generation::retire(self.kernel, root, (old, record), &generations.next),
            (None, Some(record)) => generation::dissolve(self.kernel, root, old, record),
            // The next one has all of its pins: there is nothing in it to go back to.
            (None, None) => generation::remove(self.kernel, old),
        });
        done.map_err(|error| {
            // It is what the next run finds and finishes.
            let problem = refused(format!("take `{old}` away"), &error);
            let (path, kept) = (old.clone(), kept.is_some());
            let action = Cow::Owned(Action::ClearLeftover { path, record: None, kept, links: 0 });
            let status = Status::HalfDone(problem.kind.to_string());
            steps.push(StepOutcome { action, status, tally: None });
            problem
        })
    }

    fn make_directory(&mut self, path: &PinPath) -> Result<(), Problem> {
        self.kernel.make_directory(path).map_err(|error| match error.raw_os_error() {
            Some(libc::EEXIST) => stale(format!("`{path}` is there already")),
            _ => refused(format!("make the folder `{path}`"), &error),
        })
    }

    fn remove_directory(&mut self, path: &PinPath) -> Result<(), Problem> {
        self.kernel.remove_directory(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTEMPTY) => stale(format!("the folder `{path}` has something new in it")),
            Some(libc::ENOENT) => stale(format!("the folder `{path}` is gone")),
            _ => refused(format!("remove the folder `{path}`"), &error),
        })
    }

    /// Takes the name away that a pin has outside of the deployment's folder; in there it goes with its generation. What the
    /// plan saw by its second name may have no other one.
    fn unpin_outside(&mut self, pin: &PinPath) -> Result<(), Problem> {
        let refused = |error: io::Error| refused(format!("remove the pin `{pin}`"), &error);
        let has_name = match self.seen_at(pin) {
            Cow::Borrowed(_) => !pin.is_below(&self.plan.pin_root),
            Cow::Owned(second) => {
                let own = observe::inode_of(self.kernel, &second).map_err(refused)?;
                own.is_some() && observe::inode_of(self.kernel, pin).map_err(refused)? == own
            }
        };
        if has_name { self.kernel.unpin(pin).map_err(refused) } else { Ok(()) }
    }

    /// Returns where the plan saw a pin: of one outside of the deployment's folder that may be the second name, and of a link
    /// that gets another name the one that it has.
    fn seen_at<'p>(&self, pin: &'p PinPath) -> Cow<'p, PinPath> {
        if let Some(from) = self.renamed.get(pin) {
            return Cow::Owned((*from).clone());
        }
        let Generations { current, second, .. } = &self.plan.generations;
        match current {
            Some(current) if second.contains(pin) => Cow::Owned(self.place(pin, current)),
            Some(_) | None => Cow::Borrowed(pin),
        }
    }

    /// Opens a pin that the plan saw.
    fn open(&self, pin: &PinPath) -> Result<(ObjectKind, K::Fd), Problem> {
        self.kernel.open_pin(&self.seen_at(pin)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => stale(format!("`{pin}` is gone")),
            _ => refused(format!("open the pin `{pin}`"), &error),
        })
    }

    /// Opens a pin and checks that it is still the object that the plan saw.
    fn open_expected(&self, pin: &PinPath, kind: ObjectKind, id: u32) -> Result<K::Fd, Problem> {
        let (found, fd) = self.open(pin)?;
        let now = match found {
            ObjectKind::Map => self.kernel.map_info(&fd).map(|info| info.id),
            ObjectKind::Program => self.kernel.program_info(&fd).map(|info| info.id),
            ObjectKind::Link => self.kernel.link_info(&fd).map(|info| info.id),
        };
        let now = now.map_err(|error| refused(format!("ask about the pin `{pin}`"), &error))?;
        if found != kind || now != id {
            return Err(stale(format!("`{pin}` was {kind} id {id}, and now is {found} id {now}")));
        }
        Ok(fd)
    }

    /// Checks that a map that goes is as empty as the plan saw it.
    fn is_still_empty(&mut self, pin: &PinPath, id: u32) -> Result<(), Problem> {
        let map = self.open_expected(pin, ObjectKind::Map, id)?;
        let doing = |error| refused(format!("count the entries of map id {id}"), &error);
        let host = self.host().map_err(doing)?;
        match contents::count(self.kernel, &map, &host).map_err(doing)? {
            0 => Ok(()),
            _ => Err(stale(format!("map id {id} was empty, and has entries by now"))),
        }
    }

    /// Checks that the generation that the plan saw still runs.
    fn same_generation(&self) -> Result<(), Problem> {
        let root = &self.plan.pin_root;
        let now = observe::existing(self.kernel.read_symlink(root)).map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => stale(format!("`{root}` is there already")),
            _ => refused(format!("look at `{root}`"), &error),
        })?;
        let expected = self.plan.generations.current.as_ref().map(PinPath::file_name);
        match now.as_deref() == expected {
            true => Ok(()),
            false => Err(stale(format!("another generation of `{root}` runs now"))),
        }
    }

    /// Begins the next generation with the pins that stay, once. That looks whether they are still what the plan saw, so it
    /// comes before anything is changed in place.
    fn begin(&mut self, number: usize) -> Result<(), Problem> {
        if !self.folders.is_empty() {
            return Ok(());
        }
        let next = &self.plan.generations.next;
        self.make_directory(next)?;
        self.folders.insert(next.clone());
        let (pin_root, generation) = (self.plan.pin_root.clone(), next.clone());
        self.undo.push((number, Undo::Built { pin_root, generation }));
        let changed: BTreeSet<&PinPath> = self.plan.changed_pins().collect();
        let renames: BTreeMap<&PinPath, &PinPath> = self.plan.renames().collect();
        let kept = self.plan.kept_pins().filter_map(|(pin, inode)| {
            let name = renames.get(&pin).copied().unwrap_or(&pin);
            (!changed.contains(name)).then(|| (self.place(name, next), (pin.clone(), inode)))
        });
        let mut kept: BTreeMap<PinPath, (PinPath, u64)> = kept.collect();
        if let Some(current) = &self.plan.generations.current {
            let changed: BTreeSet<PinPath> = changed.into_iter().map(|pin| self.place(pin, next)).collect();
            self.keep_pins(current, &changed, &mut kept)?;
        }
        // What is left has only the name that somebody else gave it.
        for (place, (pin, inode)) in kept {
            self.adopt_pin(&pin, &place, inode)?;
        }
        Ok(())
    }

    /// Writes the record into the next generation that the plan knows, once: before anything is changed that is no pin in
    /// that generation. When this run is killed, the next one sees there which changes were ours.
    fn foretell(&mut self, number: usize) -> Result<(), Problem> {
        self.begin(number)?;
        if self.is_foretold {
            return Ok(());
        }
        let mut steps = self.plan.steps.iter();
        let written = steps.find_map(|step| match &step.action {
            Action::WriteRecord { pin, record, owned, .. } => Some((pin, &**record, owned)),
            _ => None,
        });
        let Some((pin, record, owned)) = written else { return Ok(()) };
        let record = self.with_kept_entries(record, owned)?;
        self.announce()?;
        self.put_record(pin, &record)?;
        self.is_foretold = true;
        Ok(())
    }

    /// Returns whether a run that was killed made a folder.
    fn was_left(&self, folder: &PinPath) -> bool {
        self.plan.steps.iter().any(|step| match &step.action {
            Action::ClearLeftover { record: Some(record), .. } => {
                record.directories.iter().any(|made| made == folder.as_str())
            }
            _ => false,
        })
    }

    /// Gives the pins of the generation that runs a name in the next one, and takes those of ours off the list.
    fn keep_pins(
        &mut self,
        current: &PinPath,
        changed: &BTreeSet<PinPath>,
        kept: &mut BTreeMap<PinPath, (PinPath, u64)>,
    ) -> Result<(), Problem> {
        let next = &self.plan.generations.next;
        let entries = observe::walk(self.kernel, current);
        let entries = entries.map_err(|error| refused(format!("read the folder `{current}`"), &error))?;
        let renames = self.plan.renames().map(|(from, to)| (self.place(from, next), self.place(to, next)));
        let renames: BTreeMap<PinPath, PinPath> = renames.collect();
        for (path, entry) in entries.iter().filter(|(_, entry)| entry.kind != EntryKind::Folder) {
            let stays = path.moved(current, next).expect("it was found there");
            let stays = renames.get(&stays).cloned().unwrap_or(stays);
            match kept.remove(&stays) {
                _ if changed.contains(&stays) => continue,
                // Of a map that took the place of ours and is taken over: ours has only this name.
                Some(taken) if taken.1 != entry.inode && stays.is_outside(next) => {
                    kept.insert(stays, taken);
                    continue;
                }
                Some((pin, inode)) if inode != entry.inode => {
                    return Err(stale(format!("`{pin}` is another pin than when the plan was made")));
                }
                // The second name of a pin that is somebody else's from now on.
                None if stays.is_outside(next) => continue,
                // Entries of ours that are other ones now are kept anew with the record.
                None if stays.is_below(&next.kept_entries()) || stays.is_below(&next.kept_copies()) => continue,
                Some(_) | None => {}
            }
            self.make_folders(&stays)?;
            self.kernel.hard_link(path, &stays).map_err(|error| refused(format!("keep the pin `{path}`"), &error))?;
        }
        Ok(())
    }

    /// Gives a pin that becomes ours a second name in the next generation.
    fn adopt_pin(&mut self, pin: &PinPath, place: &PinPath, inode: u64) -> Result<(), Problem> {
        if pin.is_below(&self.plan.pin_root) {
            return Err(stale(format!("`{pin}` is gone")));
        }
        self.make_folders(place)?;
        self.kernel.hard_link(pin, place).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => stale(format!("`{pin}` is gone")),
            _ => refused(format!("keep the pin `{pin}`"), &error),
        })?;
        let found = observe::inode_of(self.kernel, place);
        match found.map_err(|error| refused(format!("look at `{place}`"), &error))? {
            Some(found) if found == inode => Ok(()),
            Some(_) | None => Err(stale(format!("`{pin}` is another pin than when the plan was made"))),
        }
    }

    /// Makes the folders of the next generation that a pin needs.
    fn make_folders(&mut self, pin: &PinPath) -> Result<(), Problem> {
        let missing: Vec<_> = std::iter::successors(pin.parent(), PinPath::parent)
            .take_while(|folder| !self.folders.contains(folder))
            .collect();
        for folder in missing.into_iter().rev() {
            self.make_directory(&folder)?;
            self.folders.insert(folder);
        }
        Ok(())
    }

    /// Returns where a pin is in a generation.
    fn place(&self, pin: &PinPath, generation: &PinPath) -> PinPath {
        pin.in_generation(&self.plan.pin_root, generation)
    }

    /// Makes room for something new, which takes the pin of what has it in the generation that runs.
    fn place_for_new(
        &mut self,
        number: usize,
        pin: &PinPath,
        kind: ObjectKind,
        replaces: Option<u32>,
    ) -> Result<PinPath, Problem> {
        replaces.map(|id| self.open_expected(pin, kind, id)).transpose()?;
        self.place_for(number, pin, replaces.is_some())
    }

    /// Makes room for a link, which takes the pin of what has it in the generation that runs: a link, or for 0 a mark.
    fn place_for_link(&mut self, number: usize, pin: &PinPath, replaces: Option<u32>) -> Result<PinPath, Problem> {
        replaces.map(|id| self.open_attached(pin, id)).transpose()?;
        self.place_for(number, pin, replaces.is_some())
    }

    /// Makes room for a pin in the next generation and returns its place there.
    fn place_for(&mut self, number: usize, pin: &PinPath, replaces: bool) -> Result<PinPath, Problem> {
        self.begin(number)?;
        let place = self.place(pin, &self.plan.generations.next);
        self.make_folders(&place)?;
        if !pin.is_below(&self.plan.pin_root) {
            self.outside.push((pin.clone(), replaces));
        }
        Ok(place)
    }

    /// Takes a pin over from the generation before.
    fn restore(&mut self, number: usize, pin: &PinPath, restored: Restored) -> Result<(), Problem> {
        if restored == Restored::Stays {
            return Ok(());
        }
        let from = self.place(pin, &self.plan.pin_root.previous());
        let to = self.place_for(number, pin, matches!(restored, Restored::Replaces(_)))?;
        self.kernel.hard_link(&from, &to).map_err(|error| match error.raw_os_error() {
            Some(libc::EEXIST) => stale(format!("`{pin}` is there already")),
            Some(libc::ENOENT) => stale(format!("`{from}` is gone")),
            _ => refused(format!("take `{from}` over"), &error),
        })
    }

    /// Changes who may open a pin of the next generation, and with it that pin in the one that runs when it stays: both
    /// are one inode.
    fn set_access(
        &mut self,
        number: usize,
        pin: &PinPath,
        expected: Option<Permissions>,
        access: &Access,
    ) -> Result<(), Problem> {
        match expected {
            Some(_) => self.foretell(number)?,
            // Nobody has a new pin yet.
            None => self.begin(number)?,
        }
        let place = self.place(pin, &self.plan.generations.next);
        let doing = |what: &str| format!("{what} the pin `{pin}`");
        let now = self.kernel.permissions(&place).map_err(|error| refused(doing("look at"), &error))?;
        if expected.is_some_and(|expected| expected != now) {
            return Err(stale(format!("others may open `{pin}` than when the plan was made")));
        }
        let wanted = self.permissions(access, now)?;
        if (wanted.owner, wanted.group) != (now.owner, now.group) {
            let changed = self.kernel.change_owner(&place, wanted.owner, wanted.group);
            changed.map_err(|error| refused(doing("change the owner of"), &error))?;
            self.undo.push((number, Undo::Owner { pin: place.clone(), before: now }));
        }
        if wanted.mode != now.mode {
            let changed = self.kernel.change_mode(&place, wanted.mode);
            changed.map_err(|error| refused(doing("change the mode of"), &error))?;
            self.undo.push((number, Undo::Mode { pin: place.clone(), before: now }));
        }
        let now = self.kernel.permissions(&place).map_err(|error| refused(doing("read back"), &error))?;
        match now == wanted {
            true => Ok(()),
            false => Err(stale(format!("somebody else changes who may open `{pin}`"))),
        }
    }

    /// Returns what a pin has once it has what is asked for.
    fn permissions(&self, access: &Access, now: Permissions) -> Result<Permissions, Problem> {
        let number = |kind: AccountKind, account: &Account| match account {
            Account::Id(id) => Ok(*id),
            Account::Name(name) => {
                let found = self.kernel.account(kind, name);
                let found = found.map_err(|error| refused(format!("look the {kind} `{name}` up"), &error))?;
                found.ok_or_else(|| stale(format!("the {kind} `{name}` is gone")))
            }
        };
        let owner = access.owner.as_ref().map(|owner| number(AccountKind::User, owner)).transpose()?;
        let group = access.group.as_ref().map(|group| number(AccountKind::Group, group)).transpose()?;
        Ok(Permissions {
            mode: access.mode.unwrap_or(now.mode),
            owner: owner.unwrap_or(now.owner),
            group: group.unwrap_or(now.group),
        })
    }

    /// Gives the new pins their names outside of the deployment's folder.
    fn put_outside(&mut self, number: usize) -> Result<(), Problem> {
        for (pin, replaces) in std::mem::take(&mut self.outside) {
            let (generations, current) = (&self.plan.generations, self.plan.generations.current.as_ref());
            let place = self.place(&pin, &generations.next);
            let doing = || format!("pin `{pin}`");
            // A name that was gone already is gone again when this is undone.
            let is_there = || observe::inode_of(self.kernel, &pin).map(|inode| inode.is_some());
            let had = match replaces && generations.second.contains(&pin) {
                true => is_there().map_err(|error| refused(doing(), &error))?,
                false => replaces,
            };
            match replaces {
                true => {
                    let make = |kernel: &mut K, passing: &PinPath| kernel.hard_link(&place, passing);
                    let replaced = generation::replace(self.kernel, &pin, Some(&place), make);
                    replaced
                        .map_err(|error| passing_taken(&pin, &error).unwrap_or_else(|| refused(doing(), &error)))?;
                }
                false => self.kernel.hard_link(&place, &pin).map_err(|error| match error.raw_os_error() {
                    Some(libc::EEXIST) => stale(format!("`{pin}` is there already")),
                    Some(libc::ENOENT) => stale(format!("the folder of `{pin}` is gone")),
                    _ => refused(doing(), &error),
                })?,
            }
            let old = current.filter(|_| had).map(|current| self.place(&pin, current));
            self.undo.push((number, Undo::Outside { pin, old }));
        }
        Ok(())
    }

    /// Creates a link that is not pinned yet.
    fn create_link(&mut self, link: &DesiredLink, (hook, spot): (&ResolvedHook, &Spot)) -> Result<K::Fd, Problem> {
        if let (Hook::Trace(trace), ResolvedHook::Event(Some(place))) = (&link.hook, hook) {
            return self.create_event_link(link, trace, *place);
        }
        let position = self.place_on_hook(&link.hook, spot)?;
        let program = attached(link, &self.maps, &self.programs);
        let doing = || attaching(link);
        let created = match (&link.hook, hook) {
            (Hook::Xdp { interface, netns, mode, .. }, ResolvedHook::Interface(Some(place))) => {
                let netns = self.same_interface(interface, netns, place)?;
                let request = HookRequest::Xdp { ifindex: place.ifindex, mode: *mode };
                link_within(self.kernel, program, &request, netns.as_ref())
            }
            (Hook::Tc { interface, netns, attach_type, .. }, ResolvedHook::Interface(Some(place))) => {
                let netns = self.same_interface(interface, netns, place)?;
                let request = HookRequest::Tcx { ifindex: place.ifindex, attach_type: *attach_type };
                link_within_at(self.kernel, program, &request, netns.as_ref(), position)
            }
            (Hook::Netkit { interface, netns, attach_type }, ResolvedHook::Interface(Some(place))) => {
                let netns = self.same_interface(interface, netns, place)?;
                let request = HookRequest::Netkit { ifindex: place.ifindex, attach_type: *attach_type };
                link_within(self.kernel, program, &request, netns.as_ref())
            }
            (Hook::Cgroup { attach_type, .. }, ResolvedHook::Cgroup(Some((path, id)))) => {
                let cgroup = self.same_cgroup(path, *id)?;
                let request = HookRequest::Cgroup { cgroup: &cgroup, attach_type: *attach_type };
                self.kernel.create_link_at(program, &request, position)
            }
            (Hook::Netns { netns, attach_type }, ResolvedHook::Netns(Some(inode))) => {
                let netns = self.same_netns(netns, *inode)?;
                let request = HookRequest::Netns { netns: &netns, attach_type: *attach_type };
                self.kernel.create_link(program, &request)
            }
            (Hook::Netfilter { hook, netns }, ResolvedHook::Netns(Some(inode))) => {
                let there = self.same_netns(netns, *inode)?;
                let there = Some(there).filter(|_| !netns.is_own());
                link_within(self.kernel, program, &HookRequest::Netfilter(*hook), there.as_ref())
            }
            (Hook::Sockmap { map, attach_type }, ResolvedHook::Map(_)) => {
                let request = HookRequest::Sockmap { map: &self.maps[map], attach_type: *attach_type };
                // The kernel would put ours in the place of a program without a link.
                if self.kernel.query(&request).is_ok_and(|there| !there.is_empty()) {
                    return Err(stale(format!("another program came to {}", link.hook)));
                }
                self.kernel.create_link(program, &request)
            }
            (Hook::StructOps { .. }, ResolvedHook::Map(_)) => self.kernel.create_link(program, &HookRequest::StructOps),
            (
                Hook::Xdp { .. }
                | Hook::Tc { .. }
                | Hook::Netkit { .. }
                | Hook::Lwt { .. }
                | Hook::Cgroup { .. }
                | Hook::Netns { .. }
                | Hook::Netfilter { .. }
                | Hook::Sockmap { .. }
                | Hook::StructOps { .. }
                | Hook::Trace(_),
                _,
            ) => {
                return Err(stale(format!("the plan of link.{} was made without the host", link.name)));
            }
        };
        let fd = created.map_err(|error| match (&link.hook, error.raw_os_error()) {
            (hook, Some(libc::ESTALE | libc::ENOENT)) if hook.is_shared() => {
                self.hook_changed(hook, &error).unwrap_or_else(|| self.attach_failed(doing(), link, &error))
            }
            // One XDP program fits on an interface, one flow dissector into a namespace, and the plan saw none.
            (Hook::Xdp { .. }, Some(libc::EBUSY | libc::EEXIST))
            | (Hook::Netns { .. }, Some(libc::E2BIG))
            | (Hook::Sockmap { .. }, Some(libc::EBUSY)) => stale(format!("another program came to {}", link.hook)),
            (Hook::Netfilter { hook, .. }, Some(libc::EBUSY)) => self.priority_taken(hook, link, &error),
            _ => self.attach_failed(doing(), link, &error),
        })?;
        self.changed(&link.hook);
        Ok(fd)
    }

    /// Checks that the name still means the interface that the plan saw, and opens its network namespace where it is
    /// another one than ours.
    fn same_interface(&self, name: &str, netns: &Netns, place: &Place) -> Result<Option<K::Fd>, Problem> {
        let doing = |error| refused(format!("look the interface `{name}`{} up", Within(netns)), &error);
        let there = match netns.is_own() {
            true => None,
            false => Some(self.same_netns(netns, place.netns)?),
        };
        let found = match &there {
            Some(netns) => self.kernel.interface_in(netns, name),
            None => self.kernel.interface(name),
        };
        match found.map_err(doing)? {
            Some(found) if found.place() == *place => Ok(there),
            Some(_) => Err(stale(format!("the interface `{name}` is another one now"))),
            None => Err(stale(format!("the interface `{name}` is gone"))),
        }
    }

    /// Opens a cgroup, when it still is the one that the plan saw.
    fn same_cgroup(&self, path: &Path, id: u64) -> Result<K::Fd, Problem> {
        let opened = observe::existing(self.kernel.open_cgroup(path));
        match opened.map_err(|error| refused(format!("open the cgroup `{}`", path.display()), &error))? {
            Some((fd, found)) if found == id => Ok(fd),
            Some(_) => Err(stale(format!("the cgroup `{}` is another one now", path.display()))),
            None => Err(stale(format!("the cgroup `{}` is gone", path.display()))),
        }
    }

    /// Names the programs with a priority of netfilter, of which one is in the way. The kernel does not tell in which network
    /// namespace they are.
    fn priority_taken(&self, wanted: &Netfilter, link: &DesiredLink, error: &io::Error) -> Problem {
        let (mut by, mut programs) = (Vec::new(), Vec::new());
        for LinkInfo { id, program_id, hook, .. } in observe::links(self.kernel).flatten() {
            if let HookInfo::Netfilter(there) = hook
                && there.sees_the_same(wanted)
                && there.priority == wanted.priority
            {
                let who = strangers::stranger(self.kernel, program_id);
                let who = who.map(|stranger| Stranger { link: Some(id), ..stranger }.to_string());
                by.push(format!("program id {program_id}{}", who.unwrap_or_default()));
                programs.push(program_id);
            }
        }
        if by.is_empty() {
            return attach_refused(attaching(link), &link.hook, error);
        }
        let (hook, by) = (link.hook.to_string(), by.join(" or "));
        let program_id = if let [only] = *programs { only } else { 0 };
        let bpffs = self.plan.pin_root.parent();
        let pin = bpffs.and_then(|bpffs| strangers::pin_of(self.kernel, &bpffs, program_id).unwrap_or_default());
        let kind = Kind::HookTaken { hook, by, program_id, pin, ours: None, way_out: None };
        Problem::at(kind, link.span.clone(), "this link wants it")
    }

    /// Opens a network namespace, when it still is the one that the plan saw.
    fn same_netns(&self, netns: &Netns, inode: u64) -> Result<K::Fd, Problem> {
        let found = observe::open_netns(self.kernel, netns);
        match found.map_err(|error| refused(format!("open {netns}"), &error))? {
            Some((fd, found)) if found == inode => Ok(fd),
            Some(_) => Err(stale(format!("{netns} is another one now"))),
            None => Err(stale(format!("{netns} is gone"))),
        }
    }

    /// Attaches and pins a new link. From here on the way back detaches it: closing it does so, too, but only some time
    /// later.
    fn attach(
        &mut self,
        number: usize,
        link: &DesiredLink,
        hook: (&ResolvedHook, &Spot),
        replaces: Option<u32>,
    ) -> Result<(), Problem> {
        if let (ResolvedHook::Direct(at, _), _) = hook {
            let taken = hook.0.taken().map(|taken| taken.id);
            return self.attach_direct(number, link, at, (replaces.is_some(), taken));
        }
        let fd = self.create_link(link, hook)?;
        let pinned = self
            .place_for_link(number, &link.pin, replaces)
            .and_then(|place| put_pin(self.kernel, &fd, ObjectKind::Link, &link.pin, &place));
        if let Ok(info) = self.kernel.link_info(&fd) {
            self.linked.insert(link.name.clone(), info.id);
        }
        self.undo.push((
            number,
            match link.hook.event() {
                // The kernel detaches none of these: they go with their last pin and descriptor.
                Some(_) => Undo::Event { link: fd, pin: self.place(&link.pin, &self.plan.generations.next) },
                None => Undo::Linked(fd),
            },
        ));
        pinned
    }

    fn update_link(&mut self, number: usize, link: &DesiredLink, id: u32, old: u32) -> Result<(), Problem> {
        let fd = self.open_expected(&link.pin, ObjectKind::Link, id)?;
        let what = if link.program.is_some() { "program" } else { "map" };
        let doing = || format!("replace {what} id {old} of link.{}", link.name);
        let opened = match link.program {
            Some(_) => self.kernel.program_by_id(old),
            None => self.kernel.map_by_id(old),
        };
        let old = opened.map_err(|error| refused(doing(), &error))?;
        let new = attached(link, &self.maps, &self.programs);
        self.kernel.update_link(&fd, new, &old).map_err(|error| match (&link.hook, error.raw_os_error()) {
            (_, Some(libc::EPERM)) => {
                stale(format!("link.{} runs another {what} than when the plan was made", link.name))
            }
            (Hook::StructOps { .. }, Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                let (errno, hint) = (error.raw_os_error().unwrap_or(0), Some(STRUCTS.to_owned()));
                Problem::at(Kind::Kernel { doing: doing(), errno, hint }, link.span.clone(), "this link")
            }
            _ => refused(doing(), &error),
        })?;
        self.undo.push(match (&link.program, link.hook.anchor()) {
            (Some(program), _) => (number, Undo::Updated { link: fd, program: program.clone(), old }),
            (None, Anchor::Map(map)) => (number, Undo::UpdatedStruct { link: fd, map: map.clone(), old }),
            (None, Anchor::Interface(..) | Anchor::Cgroup(_) | Anchor::Netns(_) | Anchor::Event(_)) => {
                unreachable!("only a map is attached without a program")
            }
        });
        self.changed(&link.hook);
        Ok(())
    }

    /// Gives the old link of one that moves its program's double, so that the new one can have the program itself.
    fn lend_double(&mut self, number: usize, link: &DesiredLink, id: u32) -> Result<(), Problem> {
        let (Some(double), Some(name)) = (self.doubles.remove(&link.name), &link.program) else { return Ok(()) };
        let fd = self.open_expected(&link.pin, ObjectKind::Link, id)?;
        let program = attached(link, &self.maps, &self.programs);
        self.kernel.update_link(&fd, &double, program).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => stale(format!("link.{} runs another program than when the plan was made", link.name)),
            _ => refused(format!("move link.{}", link.name), &error),
        })?;
        self.undo.push((number, Undo::Lent { link: fd, program: name.clone(), double }));
        self.changed(&link.hook);
        Ok(())
    }

    /// Detaches, then attaches at the same hook, which has room for one.
    fn swap_link(
        &mut self,
        number: usize,
        link: &DesiredLink,
        id: u32,
        hook: (&ResolvedHook, &Spot),
    ) -> Result<(), Problem> {
        let doing = || format!("detach link.{}", link.name);
        let fd = match self.open_attached(&link.pin, id)? {
            Attached::Link(fd) => fd,
            Attached::Direct(mark) => {
                // What is before it can be put back as long as somebody has it open.
                let program = self.kernel.program_by_id(mark.program_id).ok();
                let was_there = self.kernel.programs_at(&mark.at).map_err(|error| refused(doing(), &error))?;
                let program = program.filter(|_| was_there.contains(&mark.program_id));
                let detached = direct::take_back(self.kernel, &mark, None);
                self.undo.push((number, Undo::Unmarked { mark, program }));
                detached.map_err(|error| refused(doing(), &error))?;
                self.changed(&link.hook);
                return self.attach(number, link, hook, Some(id));
            }
        };
        let info = self.kernel.link_info(&fd).map_err(|error| refused(doing(), &error))?;
        let program = self.kernel.program_by_id(info.program_id).map_err(|error| refused(doing(), &error))?;
        let before = self.attached_before(link, &info).map_err(|error| refused(doing(), &error))?;
        let current = self.plan.generations.current.as_ref();
        let pin = self.seen_at(&link.pin);
        let pin = current.map_or_else(|| pin.clone().into_owned(), |current| self.place(&pin, current));
        match link.hook.event() {
            Some(_) => {
                self.kernel.unpin(&pin).map_err(|error| refused(doing(), &error))?;
                drop(fd);
            }
            None => self.kernel.detach_link(&fd).map_err(|error| refused(doing(), &error))?,
        }
        self.undo.push((number, Undo::Detached { pin, program, before }));
        // One to an event has no pin any more that could be looked at once more.
        self.attach(number, link, hook, link.hook.event().map_or(Some(id), |_| None))
    }

    /// Returns where a link is that makes room for another one.
    fn attached_before(&self, link: &DesiredLink, info: &LinkInfo) -> io::Result<Option<Before<K::Fd>>> {
        let within = |netns: &Netns| match netns.is_own() {
            true => Ok(None),
            false => observe::open_netns(self.kernel, netns).map(|found| found.map(|(netns, _)| netns)),
        };
        if let (HookInfo::Netfilter(hook), Anchor::Netns(netns)) = (&info.hook, link.hook.anchor()) {
            return Ok(Some(Before { netns: within(netns)?, hook: BeforeHook::Netfilter(*hook) }));
        }
        if let (HookInfo::Sockmap { attach_type, .. }, Anchor::Map(map)) = (&info.hook, link.hook.anchor()) {
            let hook = BeforeHook::Sockmap { map: map.clone(), attach_type: *attach_type };
            return Ok(Some(Before { netns: None, hook }));
        }
        if let HookInfo::Event(EventInfo::Tracing { object, type_id, .. }) = info.hook {
            let recorded = self.plan.recorded_link(&link.name);
            let cookie = recorded.and_then(|recorded| recorded.hook.trace()).and_then(|trace| trace.cookie);
            let hook = BeforeHook::Extension { target: object, function: type_id, cookie };
            return Ok(Some(Before { netns: None, hook }));
        }
        let Hook::Xdp { interface, netns, .. } = &link.hook else { return Ok(None) };
        let Some(found) = observe::interface(self.kernel, interface, netns)? else { return Ok(None) };
        let Some((mode, _)) = found.xdp.iter().find(|(_, id)| *id == info.program_id) else { return Ok(None) };
        let hook = BeforeHook::Xdp { ifindex: found.index, mode: *mode };
        Ok(Some(Before { netns: within(netns)?, hook }))
    }

    /// Writes the record into the next generation, and makes that the one that runs.
    fn write_record(
        &mut self,
        number: usize,
        pin: &PinPath,
        record: &Record,
        owned: &BTreeMap<PinPath, Arc<Entries>>,
    ) -> Result<(), Problem> {
        self.begin(number)?;
        let record = self.with_kept_entries(record, owned)?;
        self.keep_copied()?;
        let record = self.finished(record).map_err(record_refused)?;
        if !self.is_foretold {
            self.announce()?;
        }
        self.put_record(pin, &record)?;
        self.put_outside(number)?;
        self.put_confirm(number)?;
        self.switch()?;
        self.switched = true;
        self.record = Some(record);
        Ok(())
    }

    /// Keeps the entries of maps that are ours in the next generation, unless that was done, and returns the record with
    /// their digests.
    fn with_kept_entries(
        &mut self,
        record: &Record,
        owned: &BTreeMap<PinPath, Arc<Entries>>,
    ) -> Result<Record, Problem> {
        let mut record = record.clone();
        for (pin, entries) in owned {
            let now = self.kept_now(pin, entries).map_err(record_refused)?;
            let mut maps = record.maps.values_mut().filter_map(|map| map.entries.as_mut());
            if let Some(recorded) = maps.find(|recorded| recorded.pin == pin.as_str()).filter(|_| now != *entries) {
                recorded.digest = now.digest();
            }
            if !self.is_foretold {
                self.keep_entries(pin, &now)?;
            }
        }
        Ok(record)
    }

    /// Says that the next generation is about to run.
    fn announce(&mut self) -> Result<(), Problem> {
        let (root, next) = (&self.plan.pin_root, &self.plan.generations.next);
        let announced = generation::announce(self.kernel, root, next);
        announced.map_err(|error| passing_taken(root, &error).unwrap_or_else(|| record_refused(error)))
    }

    /// Pins a record in the next generation, in the place of the one that foretold it.
    fn put_record(&mut self, pin: &PinPath, record: &Record) -> Result<(), Problem> {
        let (bytes, place) = (record.encode(), self.place(pin, &self.plan.generations.next));
        let map = self.stored("bpfapply_record", &bytes, bytes.len()).map_err(record_refused)?;
        let put = |kernel: &mut K, place: &PinPath| kernel.pin(&map, place);
        let done = match self.is_foretold {
            true => generation::replace(self.kernel, &place, None, put),
            false => put(self.kernel, &place),
        };
        done.map_err(record_refused)
    }

    /// Makes an array that holds the bytes, so many in each element.
    fn stored(&mut self, name: &str, bytes: &[u8], chunk: usize) -> io::Result<K::Fd> {
        let [size, count] = [chunk, bytes.len() / chunk].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let map = self.kernel.create_map(&MapRequest::plain(name, MapType::ARRAY, (4, size, count)))?;
        for (index, chunk) in (0u32..).zip(bytes.chunks(chunk)) {
            self.kernel.update(&map, &index.to_ne_bytes(), chunk)?;
        }
        Ok(map)
    }

    /// Says beside the generations that the next one waits to be confirmed. What says so of the one that runs stays until
    /// that one is retired: as long as there was no switch, it has to go back.
    fn put_confirm(&mut self, number: usize) -> Result<(), Problem> {
        let (root, generations) = (&self.plan.pin_root, &self.plan.generations);
        let path = root.confirm();
        let doing = |error: io::Error| refused(format!("write `{path}`"), &error);
        let Some(until) = self.stamp.confirm_until else {
            // That of a killed run whose folder somebody else took away would count for this one.
            return generation::waits_no_more(self.kernel, root, &generations.next).map_err(doing);
        };
        generation::gone(self.kernel.unpin(&path)).map_err(doing)?;
        let pending = Pending { generation: generations.number, until };
        self.kernel.symlink(&pending.to_string(), &path).map_err(doing)?;
        self.undo.push((number, Undo::Confirming(path)));
        Ok(())
    }

    /// Makes the deployment's folder lead to the next generation, in one step.
    fn switch(&mut self) -> Result<(), Problem> {
        self.same_generation()?;
        let (root, target) = (&self.plan.pin_root, self.plan.generations.next.file_name());
        let switched = match self.plan.generations.current {
            None => self.kernel.rename_new(&root.passing(), root),
            Some(_) => self.kernel.rename(&root.passing(), root),
        };
        switched.map_err(|error| match error.raw_os_error() {
            Some(libc::EEXIST) => stale(format!("`{root}` is there already")),
            _ => refused(format!("let `{root}` lead to `{target}`"), &error),
        })
    }

    /// Fills in what only this run knows: the inodes of its pins, and the programs of its links.
    fn finished(&self, mut record: Record) -> io::Result<Record> {
        record.manifest.clone_from(&self.stamp.manifest);
        record.time = self.stamp.time;
        record.inputs = self.stamp.inputs;
        record.rejected = self.stamp.rejected;
        record.guards().filter(|since| since.0 == 0).for_each(|since| since.0 = self.stamp.time);
        let next = &self.plan.generations.next;
        let entries = observe::walk(self.kernel, next)?;
        // By the path below the generation, which for nearly every pin is that below the deployment's folder.
        let inodes: HashMap<&str, u64> =
            entries.iter().map(|(path, entry)| (&path.as_str()[next.as_str().len()..], entry.inode)).collect();
        let inode_of = |pin: &str| match pin.strip_prefix(self.plan.pin_root.as_str()) {
            Some(below) if below.starts_with('/') => inodes.get(below).copied(),
            Some(_) | None => {
                let place = self.place(&PinPath::new(pin).ok()?, next);
                inodes.get(&place.as_str()[next.as_str().len()..]).copied()
            }
        };
        let fill = |pin: &str, inode: &mut u64| {
            if *inode == 0 {
                *inode = inode_of(pin).unwrap_or(0);
            }
        };
        record.maps.values_mut().for_each(|map| {
            fill(map.pin.as_deref().unwrap_or(""), &mut map.inode);
            map.entries.iter_mut().for_each(|entries| fill(&entries.pin, &mut entries.inode));
        });
        self.fill_slot_ids(&mut record)?;
        record.programs.values_mut().for_each(|program| fill(&program.pin, &mut program.inode));
        record.links.values_mut().for_each(|link| fill(&link.pin, &mut link.inode));
        for step in &self.plan.steps {
            if let Action::Attach { link, .. } | Action::UpdateLink { link, .. } | Action::Reattach { link, .. } =
                &step.action
                && let Some(recorded) = record.links.get_mut(link.name.as_str())
            {
                if let Some(program) = &link.program {
                    recorded.program_id = self.kernel.program_info(&self.programs[program])?.id;
                }
                if let (HookInfo::Sockmap { map_id, .. } | HookInfo::StructOps { map_id }, Anchor::Map(map)) =
                    (&mut recorded.at, link.hook.anchor())
                {
                    *map_id = self.kernel.map_info(&self.maps[map])?.id;
                }
                if link.hook.event().is_some() {
                    // What the kernel says of it shows only now.
                    let (_, fd) = self.kernel.open_pin(&self.place(&link.pin, next))?;
                    recorded.at = self.kernel.link_info(&fd)?.hook;
                }
            }
        }
        let own = drift::programs_of_links(self.plan.generations.record.as_deref().into_iter().chain([&record]));
        for (name, link) in &mut record.links {
            link.ahead = match self.ahead_of_moved(name) {
                Some(ahead) => ahead,
                None => drift::ahead(self.kernel, link, &own)?,
            };
        }
        Ok(record)
    }

    /// Notes what is in the slots that this run filled, where the kernel tells it.
    fn fill_slot_ids(&self, record: &mut Record) -> io::Result<()> {
        for step in &self.plan.steps {
            let Action::FillSlots { map } = &step.action else { continue };
            let MapSource::Defined(definition) = &map.source else { continue };
            let recorded = record.maps.get_mut(map.name.as_str()).filter(|_| definition.has_readable_slots());
            if let (Some(recorded), Some(host)) = (recorded, self.host) {
                recorded.ids = slots_of(&contents::live(self.kernel, &self.maps[&map.name], &host)?);
            }
        }
        Ok(())
    }

    /// Walks back what was committed, newest first, and notes how that went.
    fn undo_all(&mut self, steps: &mut [StepOutcome<'_>]) {
        // What was only staged goes with its descriptors. What a killed run left is cleared, and what it had left to do for
        // a copy is done.
        for step in steps.iter_mut().filter(|step| step.status == Status::Done && !step.action.is_rest()) {
            step.status = Status::Undone;
        }
        for (number, undo) in std::mem::take(&mut self.undo).into_iter().rev() {
            let status = match undo.run(self.kernel, &self.maps, &self.programs) {
                Ok(()) => Status::Undone,
                Err(error) => Status::CouldNotUndo(error.to_string()),
            };
            // One step may have several changes: the worst of them is what is said.
            match (&steps[number].status, &status) {
                (Status::CouldNotUndo(_), _) | (Status::Failed(_), Status::Undone) => {}
                (Status::Failed(why), Status::CouldNotUndo(and)) => {
                    steps[number].status = Status::CouldNotUndo(format!("{why}; {and}"));
                }
                _ => steps[number].status = status,
            }
        }
        let Some(watch) = self.watch else { return };
        for (number, step) in steps.iter().enumerate().rev() {
            if matches!(step.status, Status::Undone | Status::CouldNotUndo(_)) {
                watch(number, Progress::Is(&step.status));
            }
        }
    }
}

/// Pins something new at its place in the next generation; `pin` is the name that users know.
fn put_pin<K: Kernel>(
    kernel: &mut K,
    fd: &K::Fd,
    kind: ObjectKind,
    pin: &PinPath,
    place: &PinPath,
) -> Result<(), Problem> {
    kernel.pin(fd, place).map_err(|error| match error.raw_os_error() {
        Some(libc::EEXIST) => stale(format!("`{pin}` is there already")),
        _ => refused(format!("pin the {kind} at `{pin}`"), &error),
    })
}

/// Creates a link, in another network namespace where one is given.
pub(super) fn link_within<K: Kernel>(
    kernel: &mut K,
    program: &K::Fd,
    hook: &HookRequest<'_, K::Fd>,
    netns: Option<&K::Fd>,
) -> io::Result<K::Fd> {
    link_within_at(kernel, program, hook, netns, HookPlace::default())
}

/// The same at a place among those on the hook.
fn link_within_at<K: Kernel>(
    kernel: &mut K,
    program: &K::Fd,
    hook: &HookRequest<'_, K::Fd>,
    netns: Option<&K::Fd>,
    place: HookPlace,
) -> io::Result<K::Fd> {
    match netns {
        Some(netns) => kernel.create_link_at(program, &HookRequest::Within { netns, hook }, place),
        None => kernel.create_link_at(program, hook, place),
    }
}

fn refused(doing: String, error: &io::Error) -> Problem {
    kernel_problem(doing, error)
}

fn record_refused(error: io::Error) -> Problem {
    refused("write the record".to_owned(), &error)
}

/// Makes a problem of a kernel's refusal.
fn kernel_problem(doing: String, error: &io::Error) -> Problem {
    if let Some(path) = SymlinkInTheWay::of(error) {
        return Problem::new(Kind::SymlinkInTheWay { doing, path: path.clone() });
    }
    let errno = error.raw_os_error().unwrap_or(0);
    let hint = match errno {
        libc::EPERM | libc::EACCES => Some(PRIVILEGES.to_owned()),
        libc::EMFILE => Some(OPEN_FILES.to_owned()),
        libc::ENOMEM => Some("the kernel has no memory for it: look at `max_entries` and value sizes".to_owned()),
        libc::E2BIG => Some("it is larger than this kernel allows: look at `max_entries` and sizes".to_owned()),
        _ => None,
    };
    Problem::new(Kind::Kernel { doing, errno, hint })
}

/// What `netns_bpf_attach_type` flow dissectors are refused for, beyond one in the same namespace
/// (`netns_bpf_link_create` and `flow_dissector_bpf_prog_attach_check`, kernel/bpf/net_namespace.c).
const DISSECTORS: &str =
    "a flow dissector of the first network namespace is for all others, too, which can have none then";

/// Why a struct of functions is not replaced in place: the kernel does so for few structs, and for a congestion control only
/// by one of the same name (`tcp_update_congestion_control`, net/ipv4/tcp_cong.c).
const STRUCTS: &str = "the kernel replaces few structs in place, and a congestion control only by one of the same name:\n\
    give the new one a link of another name, or take this link away in an apply before this one";

/// Returns what a link attaches: a program, or the map that holds a struct of functions.
fn attached<'a, Fd>(
    link: &DesiredLink,
    maps: &'a BTreeMap<MapName, Fd>,
    programs: &'a BTreeMap<ProgramName, Fd>,
) -> &'a Fd {
    match (&link.program, link.hook.anchor()) {
        (Some(program), _) => &programs[program],
        (None, Anchor::Map(map)) => &maps[map],
        (None, Anchor::Interface(..) | Anchor::Cgroup(_) | Anchor::Netns(_) | Anchor::Event(_)) => {
            unreachable!("only a map is attached without a program")
        }
    }
}

/// What is done when a link is made.
fn attaching(link: &DesiredLink) -> String {
    match &link.program {
        Some(program) => format!("attach program.{program} to {}", link.hook),
        None => format!("attach {}", link.hook),
    }
}

fn attach_refused(doing: String, hook: &Hook, error: &io::Error) -> Problem {
    // The program is of the right type, and its place was found: nothing else is wrong with these links.
    let is_unknown = matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP));
    let later = matches!(
        hook,
        Hook::Netns { .. }
            | Hook::Netfilter { .. }
            | Hook::Netkit { .. }
            | Hook::Sockmap { .. }
            | Hook::StructOps { .. }
    );
    let is_route = matches!((hook, error.raw_os_error()), (Hook::Lwt { .. }, Some(libc::EOPNOTSUPP)));
    if is_unknown && later || is_route {
        return Problem::new(Kind::NoSuchLink { hook: hook.to_string(), since: hook.may_lack() });
    }
    // `netkit_dev_fetch` (drivers/net/netkit.c).
    if let (Hook::Netkit { interface, .. }, Some(errno @ (libc::ENXIO | libc::EACCES))) = (hook, error.raw_os_error()) {
        return Problem::new(Kind::NotPrimary { interface: interface.clone(), is_peer: errno == libc::EACCES });
    }
    let mut problem = kernel_problem(doing, error);
    if let Kind::Kernel { errno, hint, .. } = &mut *problem.kind {
        match *errno {
            libc::EINVAL | libc::EOPNOTSUPP => *hint = Some(hook.may_lack().to_owned()),
            libc::EEXIST if matches!(hook, Hook::Netns { .. }) => *hint = Some(DISSECTORS.to_owned()),
            libc::EBUSY | libc::EEXIST => *hint = Some("another program has the hook".to_owned()),
            _ => {}
        }
    }
    problem
}

/// Says that somebody else has the name under which a pin is made before it is renamed.
fn passing_taken(pin: &PinPath, error: &io::Error) -> Option<Problem> {
    let is_taken = error.raw_os_error() == Some(libc::EEXIST);
    is_taken.then(|| stale(format!("`{}` is there already, and not ours: it is in the way of `{pin}`", pin.passing())))
}

/// The host is not as the plan saw it.
fn stale(what: String) -> Problem {
    Problem::new(Kind::Stale { what })
}

/// Returns the pin or the id by which a map that exists is found.
fn found_by(source: &MapSource) -> Result<&PinPath, u32> {
    match source {
        MapSource::Defined(definition) => Ok(&definition.pin),
        MapSource::Pinned(pin) => Ok(pin),
        MapSource::Id(id) => Err(*id),
    }
}
