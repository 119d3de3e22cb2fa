//! The first pass alone: every map and program of a plan as a mere descriptor, so that this kernel's verifier says what it
//! thinks of each program before anything is changed.
//!
//! Nothing is pinned, attached, or written that exists, and no entries are copied. Other than an apply it goes on behind a
//! refusal, and says of each program what became of it.

use super::stage::independent_programs;
use super::{Applier, Stamp};
use crate::desired::{DesiredProgram, MapSource, SlotSource};
use crate::diag::{Problem, Problems};
use crate::kernel::Kernel;
use crate::names::{Address, MapName, ProgramName};
use crate::plan::{Action, Plan, Step, Verdict};
use std::collections::BTreeMap;
use std::iter;

/// The maps and programs of a plan, of which nothing can be seen from outside. They are gone when this is dropped.
#[derive(Debug)]
pub struct Rehearsed<Fd> {
    /// New maps with their first contents, and those that stay, opened.
    pub maps: BTreeMap<MapName, Fd>,
    /// Programs that were loaded, and those that stay, opened.
    pub programs: BTreeMap<ProgramName, Fd>,
    /// What the verifier said of each program that was to be loaded.
    pub verdicts: BTreeMap<ProgramName, Verdict>,
    /// Why programs were refused.
    pub refused: BTreeMap<ProgramName, Problem>,
    /// What was wrong with anything else, such as a map that this kernel does not make.
    pub others: Vec<Problem>,
}

impl<Fd> Rehearsed<Fd> {
    /// Returns everything that was wrong, in the order of the manifest; empty when an apply would come as far.
    pub fn problems(&self) -> Problems {
        let all = Problems(self.others.iter().chain(self.refused.values()).cloned().collect());
        all.or(()).err().unwrap_or_default()
    }
}

/// Makes the maps of a plan and loads its programs, and goes on when something is refused. What is refused because of
/// something before it is not tried.
pub fn rehearse<K: Kernel>(kernel: &mut K, plan: &Plan) -> Rehearsed<K::Fd> {
    let stamp = Stamp::default();
    let mut rehearsal = Rehearsal {
        applier: Applier::new(kernel, plan, &stamp),
        verdicts: BTreeMap::new(),
        refused: BTreeMap::new(),
        others: Vec::new(),
    };
    rehearsal.run(plan);
    let Rehearsal { applier: Applier { maps, programs, .. }, verdicts, refused, others } = rehearsal;
    Rehearsed { maps, programs, verdicts, refused, others }
}

struct Rehearsal<'a, K: Kernel> {
    applier: Applier<'a, K>,
    verdicts: BTreeMap<ProgramName, Verdict>,
    refused: BTreeMap<ProgramName, Problem>,
    others: Vec<Problem>,
}

impl<K: Kernel> Rehearsal<'_, K> {
    fn run(&mut self, plan: &Plan) {
        let mut number = 0;
        while let Some(step) = plan.steps.get(number) {
            let programs = independent_programs(&plan.steps[number..]);
            if programs.is_empty() {
                self.stage(number, &step.action);
                number += 1;
            } else {
                self.load(&plan.steps[number..], &programs);
                number += programs.len();
            }
        }
    }

    /// Does what an apply does first for this step, as far as nobody else can tell.
    fn stage(&mut self, number: usize, action: &Action) {
        let Some(needs) = needs(action) else { return };
        if self.lacks(needs).is_some() {
            return;
        }
        if let Err(problem) = self.applier.stage(number, action) {
            // What uses a map must not be judged by what that should not hold.
            if let Address::Map(map) = action.address() {
                self.applier.maps.remove(&map);
            }
            self.others.push(problem);
        }
    }

    /// Loads programs of which none needs another. Together first, which is faster, and one by one when that fails.
    fn load(&mut self, steps: &[Step], programs: &[&DesiredProgram]) {
        let mut ready = Vec::with_capacity(programs.len());
        for (step, program) in steps.iter().zip(programs) {
            match needs(&step.action).and_then(|needs| self.lacks(needs)) {
                Some(lacks) => {
                    self.verdicts.insert(program.name.clone(), Verdict::NotTried { lacks });
                }
                None => ready.push(*program),
            }
        }
        if self.applier.load_programs(&ready).is_err() {
            for program in &ready {
                if let Err((_, problem)) = self.applier.load_programs(&[program]) {
                    self.refused.insert(program.name.clone(), problem);
                }
            }
        }
        self.verdicts.extend(ready.iter().map(|program| (program.name.clone(), self.applier.verdict(&program.name))));
    }

    /// Returns the first of these that is not there.
    fn lacks(&self, needs: Vec<Address>) -> Option<Address> {
        needs.into_iter().find(|address| match address {
            Address::Map(map) => !self.applier.maps.contains_key(map),
            Address::Program(program) => !self.applier.programs.contains_key(program),
            Address::Directory(_) | Address::Object(_) | Address::Link(_) | Address::Record => false,
        })
    }
}

impl<K: Kernel> Applier<'_, K> {
    fn verdict(&self, program: &ProgramName) -> Verdict {
        let Some(fd) = self.programs.get(program) else { return Verdict::Failed };
        let info = self.kernel.program_info(fd);
        Verdict::Passed { insns: info.ok().map(|info| info.verified_insns).filter(|insns| *insns > 0) }
    }
}

/// Returns what has to be there before an action is rehearsed; `None` for those of which nothing can be without being seen.
fn needs(action: &Action) -> Option<Vec<Address>> {
    match action {
        Action::ReuseMap { .. }
        | Action::CreateMap { .. }
        | Action::ReuseProgram { .. }
        | Action::RestoreMap { .. }
        | Action::RestoreProgram { .. } => Some(Vec::new()),
        Action::FillMap { map } => Some(vec![Address::Map(map.name.clone())]),
        Action::FillSlots { map } => {
            let slots = match &map.source {
                MapSource::Defined(definition) => definition.slots.values(),
                MapSource::Pinned(_) | MapSource::Id(_) => return None,
            };
            let targets = slots.filter_map(|slot| match slot {
                SlotSource::Map(map) => Some(Address::Map(map.clone())),
                SlotSource::Program(program) => Some(Address::Program(program.clone())),
                SlotSource::Cgroup(_) => None,
            });
            Some(iter::once(Address::Map(map.name.clone())).chain(targets).collect())
        }
        Action::WriteEntries { writes } if writes.id.is_none() => {
            let programs = writes.references.values().filter_map(|reference| reference.program.clone());
            Some(iter::once(Address::Map(writes.map.clone())).chain(programs.map(Address::Program)).collect())
        }
        Action::LoadProgram { program, .. } => {
            let maps = program.uses().into_iter().cloned().map(Address::Map);
            let target = program.extends.iter().map(|extends| Address::Program(extends.program.clone()));
            Some(maps.chain(target).collect())
        }
        Action::ClearLeftover { .. }
        | Action::MountBpffs { .. }
        | Action::MakeDirectory { .. }
        | Action::CopyEntries { .. }
        | Action::CatchUp { .. }
        | Action::FinishCopy { .. }
        | Action::WriteEntries { .. }
        | Action::SetVariables { .. }
        | Action::RestorePin { .. }
        | Action::RenameLink { .. }
        | Action::ReuseLink { .. }
        | Action::Skip { .. }
        | Action::Attach { .. }
        | Action::UpdateLink { .. }
        | Action::Reattach { .. }
        | Action::SetAccess { .. }
        | Action::Detach { .. }
        | Action::RemoveProgram { .. }
        | Action::RemoveMap { .. }
        | Action::RemoveDirectory { .. }
        | Action::WriteRecord { .. }
        | Action::RemoveRecord { .. } => None,
    }
}
