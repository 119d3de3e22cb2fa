//! Hooks that several programs share: who is before whom, and how often that changed.

use super::super::{Beside, Position};
use super::{HookInfo, Occupant, Place, Queue, State, errno, refuse};
use std::io;

impl State {
    /// Returns the programs on a hook in their order, with what of it the kernel tells.
    pub(super) fn queue(&self, hook: &HookInfo) -> Queue {
        // Only tcx tells its links.
        let tells = matches!(hook, HookInfo::Tcx { .. });
        let occupant = |id| Occupant { program_id: self.links[&id].program, link_id: tells.then_some(id), name: None };
        Queue { revision: self.revision(hook), there: self.ids_on(hook).into_iter().map(occupant).collect() }
    }

    /// Returns the links on a hook in their order.
    fn ids_on(&self, hook: &HookInfo) -> Vec<u32> {
        let there = self.links.iter().filter(|(_, link)| link.hook.is_some() && link.kind == *hook);
        let mut there: Vec<_> = there.map(|(id, link)| (link.place, *id)).collect();
        there.sort_unstable();
        there.into_iter().map(|(_, id)| id).collect()
    }

    /// Returns how many are before a link on its hook.
    pub(super) fn rank(&self, link: u32) -> Option<usize> {
        self.ids_on(&self.links[&link].kind).iter().position(|id| *id == link)
    }

    /// Returns how often a hook changed, from 1 on; 0 for one that does not count it.
    fn revision(&self, hook: &HookInfo) -> u64 {
        match hook {
            HookInfo::Tcx { .. } | HookInfo::Cgroup { .. } => self.revisions.get(hook).copied().unwrap_or(1),
            HookInfo::Xdp { .. } | HookInfo::Netns { .. } | HookInfo::Netfilter(_) | HookInfo::Other(_) => 0,
        }
    }

    /// Notes that something changed on the hook of a link.
    pub(super) fn count_change(&mut self, link: u32) {
        let Some(link) = self.links.get(&link).filter(|link| link.hook.is_some()) else { return };
        let (hook, revision) = (link.kind.clone(), self.revision(&link.kind));
        if revision != 0 {
            self.revisions.insert(hook, revision + 1);
        }
    }

    /// Frees a link, which detaches it.
    pub(super) fn remove_link(&mut self, id: u32) {
        self.count_change(id);
        self.links.remove(&id);
    }

    /// Tells whether a hook has a program and takes it only once, as tcx does (`bpf_mprog_attach`, kernel/bpf/mprog.c).
    pub(super) fn has_already(&self, program: u32, hook: &HookInfo) -> bool {
        let is_tcx = matches!(hook, HookInfo::Tcx { .. });
        is_tcx && self.ids_on(hook).iter().any(|id| self.links[id].program == program)
    }

    /// Finds where among those on its hook a new link goes.
    pub(super) fn index_for(&self, program: u32, hook: &HookInfo, place: Place) -> io::Result<usize> {
        let there = self.ids_on(hook);
        if place == Place::default() {
            return if self.has_already(program, hook) { refuse(libc::EEXIST) } else { Ok(there.len()) };
        }
        let revision = self.revision(hook);
        if revision == 0 {
            return refuse(libc::EINVAL);
        }
        if place.revision != 0 && place.revision != revision {
            return refuse(libc::ESTALE);
        }
        if self.has_already(program, hook) {
            return refuse(libc::EEXIST);
        }
        match place.position {
            Position::Any | Position::Last => Ok(there.len()),
            Position::First => Ok(0),
            Position::Before(beside) => self.index_of(&there, hook, beside),
            Position::After(beside) => self.index_of(&there, hook, beside).map(|index| index + 1),
        }
    }

    fn index_of(&self, there: &[u32], hook: &HookInfo, beside: Beside) -> io::Result<usize> {
        let found = match beside {
            Beside::Link(id) => there.iter().position(|link| *link == id),
            Beside::Program(_) if matches!(hook, HookInfo::Cgroup { .. }) => return refuse(libc::EINVAL),
            Beside::Program(id) => there.iter().position(|link| self.links[link].program == id),
        };
        found.ok_or_else(|| errno(libc::ENOENT))
    }

    /// Puts a link that is on its hook at an index among the others there.
    pub(super) fn put_at(&mut self, link: u32, index: usize) {
        let mut there = self.ids_on(&self.links[&link].kind);
        there.retain(|id| *id != link);
        there.insert(index.min(there.len()), link);
        for (place, id) in (0..).zip(there) {
            self.links.entry(id).and_modify(|link| link.place = place);
        }
    }
}
