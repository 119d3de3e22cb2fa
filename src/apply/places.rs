//! Hooks that several programs share: the places of new links, and whether a hook is what the plan saw.
//!
//! Each change of such a hook raises its revision by one, so that what others did to it in between is told from what this
//! run did.

use super::{Applier, Problem, kernel_problem, stale};
use crate::desired::{DesiredLink, DesiredProgram, Hook};
use crate::kernel::observe::queue;
use crate::kernel::{self, HookInfo, HookPlace, Kernel, LinkInfo, ObjectKind, Position};
use crate::observed::{Occupant, Queue};
use crate::plan::{Action, Beside, ResolvedHook, Spot};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

impl<K: Kernel> Applier<'_, K> {
    /// Checks that the hooks that this run changes are those that the plan saw, before anything is done.
    pub(super) fn same_hooks(&self) -> Result<(), Problem> {
        let hooks: BTreeSet<Hook> = self.plan.changed_hooks().collect();
        hooks.iter().try_for_each(|hook| self.same_hook(hook))
    }

    /// Checks that a hook is the one that the plan saw, but for what this run did to it.
    fn same_hook(&self, hook: &Hook) -> Result<(), Problem> {
        let Some(seen) = self.plan.shared.seen.get(hook).filter(|seen| seen.revision != 0) else { return Ok(()) };
        match self.look_at(hook)? {
            Some(now) if now.revision == self.revision(hook) => Ok(()),
            Some(now) => Err(stale(difference(hook, seen, &now))),
            // What it is of is looked up once more when the link goes there, and what of it is gone is said then.
            None => Ok(()),
        }
    }

    fn look_at(&self, hook: &Hook) -> Result<Option<Queue>, Problem> {
        queue(self.kernel, hook, false)
            .map_err(|error| kernel_problem(format!("look at the programs on {hook}"), &error))
    }

    /// Returns the revision that a hook must have now; 0 where it has none.
    fn revision(&self, hook: &Hook) -> u64 {
        let Some(hook) = &hook.shared() else { return 0 };
        let seen = || self.plan.shared.seen.get(hook).map_or(0, |seen| seen.revision);
        self.revisions.get(hook).copied().unwrap_or_else(seen)
    }

    /// Notes that this run changed a hook.
    pub(super) fn changed(&mut self, hook: &Hook) {
        let revision = self.revision(hook);
        if let (Some(hook), true) = (hook.shared(), revision != 0) {
            self.revisions.insert(hook, revision + 1);
        }
    }

    /// Takes the hooks as they are now: what an interrupted run left was on them, and is gone.
    pub(super) fn recount(&mut self) -> Result<(), Problem> {
        for hook in self.plan.shared.seen.keys() {
            // The last program that leaves tcx takes the count with it, which begins anew.
            if let Some(now) = self.look_at(hook)? {
                self.revisions.insert(hook.clone(), now.revision);
            }
        }
        Ok(())
    }

    /// Tells the kernel's place of a new link.
    pub(super) fn place_on_hook(&self, hook: &Hook, spot: &Spot) -> Result<HookPlace, Problem> {
        let position = match spot {
            Spot::Any => Position::Any,
            Spot::First => Position::First,
            Spot::Last => Position::Last,
            Spot::Before(beside) => Position::Before(self.beside(beside)?),
            Spot::After(beside) => Position::After(self.beside(beside)?),
        };
        Ok(HookPlace { position, revision: self.revision(hook) })
    }

    fn beside(&self, beside: &Beside) -> Result<kernel::Beside, Problem> {
        Ok(match beside {
            Beside::Other(Occupant { link_id: Some(id), .. }) => kernel::Beside::Link(*id),
            Beside::Other(Occupant { program_id, .. }) => kernel::Beside::Program(*program_id),
            Beside::Ours(name) => {
                let stays = self.plan.steps.iter().find_map(|step| match &step.action {
                    Action::ReuseLink { link, id } | Action::UpdateLink { link, id, .. } if link.name == *name => {
                        Some(*id)
                    }
                    _ => None,
                });
                let id = self.linked.get(name).copied().or(stays);
                kernel::Beside::Link(id.ok_or_else(|| stale(format!("link.{name} is not there")))?)
            }
        })
    }

    /// Says what became of a hook that did not take a link at its place; `None` when it is as the plan saw it.
    pub(super) fn hook_changed(&self, hook: &Hook, error: &io::Error) -> Option<Problem> {
        let hook = &hook.shared()?;
        let seen = self.plan.shared.seen.get(hook)?;
        match error.raw_os_error() {
            Some(libc::ESTALE | libc::ENOENT) => {}
            _ => return None,
        }
        match self.look_at(hook) {
            Ok(Some(now)) => Some(stale(difference(hook, seen, &now))),
            Ok(None) => Some(stale(format!("{hook} is gone"))),
            Err(problem) => Some(problem),
        }
    }

    /// Returns the programs of others before a link that moved among them: while the old one is there, too, a cgroup does
    /// not tell the one from the other, and the plan does.
    pub(super) fn ahead_of_moved(&self, name: &str) -> Option<Vec<u32>> {
        let mut moved = self.plan.steps.iter().filter_map(|step| match &step.action {
            Action::Reattach { link, overlap: true, .. } => Some(&link.name),
            _ => None,
        });
        let company = self.plan.shared.company.get(moved.find(|moved| moved.as_str() == name)?)?;
        Some(company.before.iter().map(|other| other.program_id).collect())
    }

    /// Loads a program once more, for the old link of one that moves: tcx takes a program only once, and the old link
    /// filters until the new one does.
    pub(super) fn stage_double(&mut self, link: &DesiredLink, id: u32, to: &ResolvedHook) -> Result<(), Problem> {
        let (Hook::Tc { attach_type, .. }, ResolvedHook::Interface(Some(place))) = (&link.hook, to) else {
            return Ok(());
        };
        let recorded = self.plan.recorded_link(&link.name);
        // What had no link before takes no part in it.
        if id == 0 || recorded.is_some_and(|recorded| recorded.netns.is_some_and(|netns| netns != place.netns)) {
            return Ok(());
        }
        let here = HookInfo::Tcx { ifindex: place.ifindex, attach_type: *attach_type };
        let Some((program, program_id)) = self.standing(link) else { return Ok(()) };
        let fd = self.open_expected(&link.pin, ObjectKind::Link, id)?;
        let info = self.kernel.link_info(&fd);
        let LinkInfo { program_id: runs, hook, .. } =
            info.map_err(|error| kernel_problem(format!("read link.{}", link.name), &error))?;
        if runs != program_id || hook != here {
            return Ok(());
        }
        let first = self.programs.remove(&program.name);
        let loaded = self.load_programs(&[&program]).map_err(|(_, problem)| problem);
        let double = self.programs.remove(&program.name);
        self.programs.extend(first.map(|first| (program.name.clone(), first)));
        loaded?;
        self.doubles.extend(double.map(|double| (link.name.clone(), double)));
        Ok(())
    }

    /// Returns the program of a link when it stays as it is, with its id.
    fn standing(&self, link: &DesiredLink) -> Option<(Arc<DesiredProgram>, u32)> {
        self.plan.steps.iter().find_map(|step| match &step.action {
            Action::ReuseProgram { program, id } if Some(&program.name) == link.program.as_ref() => {
                Some((Arc::clone(program), *id))
            }
            _ => None,
        })
    }
}

/// Says what is on a hook now and was not when the plan was made, and the reverse.
fn difference(hook: &Hook, seen: &Queue, now: &Queue) -> String {
    let ids = |queue: &Queue| queue.there.iter().map(|occupant| occupant.program_id).collect::<Vec<_>>();
    let (before, after) = (ids(seen), ids(now));
    let list = |queue: &Queue, without: &[u32], verb: &str| {
        let new = queue.there.iter().filter(|occupant| !without.contains(&occupant.program_id));
        new.map(|occupant| format!("{occupant} {verb}")).collect::<Vec<_>>()
    };
    let mut parts = [list(now, &before, "came"), list(seen, &after, "went")].concat();
    if parts.is_empty() {
        parts.push(match before == after {
            true => format!("it was changed {} times", now.revision.abs_diff(seen.revision)),
            false => "the order of its programs is another one".to_owned(),
        });
    }
    format!("{hook} is not as when the plan was made: {}", parts.join(", "))
}
