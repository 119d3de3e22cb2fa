//! Whether a step puts right what somebody else changed: the record of the last apply and that of this one say the same of
//! a thing, and the host does not.

use super::{Action, Because, Plan, Step};
use crate::direct::Via;
use crate::names::Address;
use crate::record::{Record, RecordedMap};
use std::collections::BTreeSet;

impl Plan {
    /// Says what of a step's thing is not as the last apply left it. `None` where the manifest changed, or nothing proves
    /// that it did not.
    pub fn drift(&self, step: &Step) -> Option<&'static str> {
        // Most plans have no such step, and to look into records takes time.
        let words = words(&step.because)?;
        let before = self.generations.record.as_deref()?;
        is_drift(step, before, self.next_record()?).then_some(words)
    }

    /// Counts the things that are not as the last apply left them.
    pub fn drifted(&self) -> usize {
        let drifted = self.steps.iter().filter(|step| self.drift(step).is_some());
        drifted.map(|step| step.action.address()).collect::<BTreeSet<_>>().len()
    }

    /// Returns the record that the plan writes.
    fn next_record(&self) -> Option<&Record> {
        self.steps
            .iter()
            .find_map(|step| if let Action::WriteRecord { record, .. } = &step.action { Some(&**record) } else { None })
    }
}

/// Says what happened if it was not the manifest that changed.
fn words(because: &Because) -> Option<&'static str> {
    match because {
        Because::Missing => Some("it is gone"),
        Because::Unpinned { .. } => Some("its pin is gone"),
        Because::SlotsDiffer => Some("its slots were changed"),
        Because::EntriesChanged => Some("its entries were changed"),
        Because::VariablesDiffer => Some("its variables were changed"),
        Because::AccessDiffers => Some("who may open its pin was changed"),
        Because::ProgramOther(_) => Some("it runs another program"),
        Because::HookGone { .. } => Some("it is not on its hook"),
        Because::HookChanged(_) => Some("it is not on its hook as it was"),
        Because::OutOfPlace(_) => Some("it lost its place"),
        Because::Unchanged
        | Because::Foreign(_)
        | Because::CodeChanged
        | Because::MapNew(_)
        | Because::MapOther(_)
        | Because::MapDiffers(_)
        | Because::MapInUse
        | Because::ContentsChanged
        | Because::EntriesNotWanted
        | Because::SlotNew(_)
        | Because::TargetNew(_)
        | Because::ProgramNew(_)
        | Because::Renamed(_)
        | Because::Optional
        | Because::NotWanted
        | Because::Destroy
        | Because::PlanChanges(_)
        | Because::NeededBelow
        | Because::Interrupted { .. }
        | Because::Rollback
        | Because::Adopted
        | Because::TakenOver { .. } => None,
    }
}

fn is_drift(step: &Step, before: &Record, after: &Record) -> bool {
    match step.action.address() {
        Address::Map(name) => {
            let records = before.maps.get(name.as_str()).zip(after.maps.get(name.as_str()));
            records.is_some_and(|(before, after)| map_drifted(step, before, after))
        }
        Address::Program(name) => {
            let records = before.programs.get(name.as_str()).zip(after.programs.get(name.as_str()));
            records.is_some_and(|(before, after)| match step.because {
                Because::AccessDiffers => before.access == after.access,
                _ => before.pin == after.pin,
            })
        }
        Address::Link(name) => {
            let records = before.links.get(name.as_str()).zip(after.links.get(name.as_str()));
            records.is_some_and(|(before, after)| match &step.because {
                Because::AccessDiffers => before.access == after.access,
                Because::ProgramOther(id) => before.program_id != *id,
                // A link that came to this name by another one has the place of that.
                Because::OutOfPlace(_) => {
                    (&before.hook, &before.order, &before.program) == (&after.hook, &after.order, &after.program)
                }
                // The way is ours to choose, and what took somebody's place at once needs none for that once it is gone.
                _ => before.hook.by(Via::Direct) == after.hook.by(Via::Direct) && before.pin == after.pin,
            })
        }
        Address::Record => step.because == Because::AccessDiffers,
        Address::Directory(_) | Address::Object(_) => false,
    }
}

fn map_drifted(step: &Step, before: &RecordedMap, after: &RecordedMap) -> bool {
    match step.because {
        // Contents of a new map are missing with it.
        Because::Missing => {
            matches!(step.action, Action::CreateMap { .. }) && before.created && before.pin == after.pin
        }
        Because::Unpinned { .. } => true,
        Because::AccessDiffers => before.access == after.access,
        Because::VariablesDiffer => before.variables == after.variables,
        Because::EntriesChanged => {
            let owned = before.entries.as_ref().zip(after.entries.as_ref());
            owned.is_some_and(|(before, after)| (before.mode, before.digest) == (after.mode, after.digest))
        }
        // What was put there is what the record says; a new map is filled for the same reason.
        _ => matches!(step.action, Action::CreateMap { .. }) && before.slots == after.slots,
    }
}
