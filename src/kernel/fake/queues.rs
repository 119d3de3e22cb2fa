//! Hooks that several programs share: who is before whom, and how often that changed.

use super::super::{Beside, Position};
use super::{Hook, HookInfo, HookPlace, Occupant, Queue, Site, State, errno, refuse};
use crate::direct::{Direct, Feature};
use crate::kinds::AttachType;
use std::io;

/// A hook that counts its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    /// tcx of an interface.
    Tcx(Site, AttachType),
    /// A cgroup's.
    Cgroup(u64, AttachType),
}

impl Counted {
    /// Returns the hook that a link is on, if that counts.
    fn of(hook: Hook, kind: &HookInfo) -> Option<Self> {
        match (hook, kind) {
            (Hook::Tcx { device }, HookInfo::Tcx { attach_type, .. }) => Some(Self::Tcx(device, *attach_type)),
            (Hook::Cgroup { id }, HookInfo::Cgroup { attach_type, .. }) => Some(Self::Cgroup(id, *attach_type)),
            _ => None,
        }
    }
}

impl State {
    /// Returns the programs on a hook in their order, with what of it the kernel tells.
    pub(super) fn queue(&self, hook: Hook, kind: &HookInfo) -> io::Result<Queue> {
        // Only tcx tells its links.
        let tells = matches!(kind, HookInfo::Tcx { .. });
        if tells && self.lacks.contains(&Feature::Tcx) {
            return refuse(libc::EINVAL);
        }
        let occupant = |id| Occupant { program_id: self.links[&id].program, link_id: tells.then_some(id), name: None };
        let without = match kind {
            HookInfo::Cgroup { cgroup_id, attach_type } => self.direct.of_cgroup(*cgroup_id, *attach_type).collect(),
            _ => Vec::new(),
        };
        let without = without.into_iter().map(|program_id| Occupant { program_id, link_id: None, name: None });
        let there = self.ids_on(hook, kind).into_iter().map(occupant).chain(without).collect();
        Ok(Queue { revision: self.revision(hook, kind), there })
    }

    /// Returns the programs of a cgroup's hook in their order: those of links, and those without.
    pub(super) fn cgroup_programs(&self, cgroup_id: u64, attach_type: AttachType) -> Vec<u32> {
        let links = self.ids_on(Hook::Cgroup { id: cgroup_id }, &HookInfo::Cgroup { cgroup_id, attach_type });
        let links = links.into_iter().map(|id| self.links[&id].program);
        links.chain(self.direct.of_cgroup(cgroup_id, attach_type)).collect()
    }

    /// Returns the links on a hook in their order.
    fn ids_on(&self, hook: Hook, kind: &HookInfo) -> Vec<u32> {
        let there = self.links.iter().filter(|(_, link)| link.hook == Some(hook) && link.kind == *kind);
        let mut there: Vec<_> = there.map(|(id, link)| (link.place, *id)).collect();
        there.sort_unstable();
        there.into_iter().map(|(_, id)| id).collect()
    }

    /// Returns how many are before a link on its hook.
    pub(super) fn rank(&self, link: u32) -> Option<usize> {
        let found = &self.links[&link];
        self.ids_on(found.hook?, &found.kind).iter().position(|id| *id == link)
    }

    /// Returns how often a hook changed, from 1 on; 0 for one that does not count it.
    fn revision(&self, hook: Hook, kind: &HookInfo) -> u64 {
        match Counted::of(hook, kind) {
            // A kernel without links of cgroups is older than their revisions.
            Some(Counted::Cgroup(..)) if self.lacks.contains(&Feature::CgroupLinks) => 0,
            Some(counted) => self.revisions.get(&counted).copied().unwrap_or(1),
            None => 0,
        }
    }

    fn count(&mut self, counted: Option<Counted>) {
        if let Some(counted) = counted {
            *self.revisions.entry(counted).or_insert(1) += 1;
        }
    }

    /// Notes that something changed on the hook of a link.
    pub(super) fn count_change(&mut self, link: u32) {
        let link = self.links.get(&link);
        let counted = link.and_then(|link| Counted::of(link.hook?, &link.kind));
        self.count(counted);
    }

    /// Notes that a link is about to leave its hook: the last one of tcx takes the count with it (`tcx_entry_free`,
    /// include/net/tcx.h).
    pub(super) fn count_leaving(&mut self, id: u32) {
        self.count_change(id);
        let Some((hook, kind)) = self.links.get(&id).and_then(|link| Some((link.hook?, link.kind.clone()))) else {
            return;
        };
        if let Some(counted @ Counted::Tcx(..)) = Counted::of(hook, &kind)
            && self.ids_on(hook, &kind) == [id]
        {
            self.revisions.remove(&counted);
        }
    }

    /// Notes that something without a link came to a hook, changed or went.
    pub(super) fn count_direct(&mut self, at: &Direct) {
        let counted = match at {
            Direct::Cgroup { cgroup_id, attach_type, .. } => Some(Counted::Cgroup(*cgroup_id, *attach_type)),
            Direct::Filter(_) | Direct::Xdp { .. } | Direct::Route(_) => None,
        };
        self.count(counted);
    }

    /// Begins to count anew on a hook that is gone.
    pub(super) fn forget_revisions(&mut self, hook: Hook) {
        self.revisions.retain(|counted, _| match (counted, hook) {
            (Counted::Tcx(site, _), Hook::Tcx { device }) => *site != device,
            (Counted::Cgroup(of, _), Hook::Cgroup { id }) => *of != id,
            _ => true,
        });
    }

    /// Frees a link, which detaches it.
    pub(super) fn remove_link(&mut self, id: u32) {
        self.count_leaving(id);
        self.links.remove(&id);
    }

    /// Tells whether a hook has a program and takes it only once, as tcx does (`bpf_mprog_attach`, kernel/bpf/mprog.c).
    pub(super) fn has_already(&self, program: u32, hook: Hook, kind: &HookInfo) -> bool {
        let is_tcx = matches!(kind, HookInfo::Tcx { .. });
        is_tcx && self.ids_on(hook, kind).iter().any(|id| self.links[id].program == program)
    }

    /// Finds where among those on its hook a new link goes.
    pub(super) fn index_for(
        &self,
        program: u32,
        (hook, kind): (Hook, &HookInfo),
        place: HookPlace,
    ) -> io::Result<usize> {
        let there = self.ids_on(hook, kind);
        if place == HookPlace::default() {
            return if self.has_already(program, hook, kind) { refuse(libc::EEXIST) } else { Ok(there.len()) };
        }
        let revision = self.revision(hook, kind);
        if revision == 0 {
            return refuse(libc::EINVAL);
        }
        if place.revision != 0 && place.revision != revision {
            return refuse(libc::ESTALE);
        }
        if self.has_already(program, hook, kind) {
            return refuse(libc::EEXIST);
        }
        match place.position {
            Position::Any | Position::Last => Ok(there.len()),
            Position::First => Ok(0),
            Position::Before(beside) => self.index_of(&there, kind, beside),
            Position::After(beside) => self.index_of(&there, kind, beside).map(|index| index + 1),
        }
    }

    fn index_of(&self, there: &[u32], kind: &HookInfo, beside: Beside) -> io::Result<usize> {
        let found = match beside {
            Beside::Link(id) => there.iter().position(|link| *link == id),
            Beside::Program(_) if matches!(kind, HookInfo::Cgroup { .. }) => return refuse(libc::EINVAL),
            Beside::Program(id) => there.iter().position(|link| self.links[link].program == id),
        };
        found.ok_or_else(|| errno(libc::ENOENT))
    }

    /// Puts a link that is on its hook at an index among the others there.
    pub(super) fn put_at(&mut self, link: u32, index: usize) {
        let Some(hook) = self.links[&link].hook else { return };
        let mut there = self.ids_on(hook, &self.links[&link].kind);
        there.retain(|id| *id != link);
        there.insert(index.min(there.len()), link);
        for (place, id) in (0..).zip(there) {
            self.links.entry(id).and_modify(|link| link.place = place);
        }
    }
}
