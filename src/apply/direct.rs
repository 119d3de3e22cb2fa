//! Attachments without a kernel link.
//!
//! The mark in the next generation comes first, then the attachment: whenever a run ends, what it attached is named by a
//! mark in a folder of ours, and can be taken back.

use super::undo::Undo;
use super::{Applier, Problem, attach_refused, attached, attaching, refused, stale};
use crate::desired::{Anchor, DesiredLink, Hook, Within};
use crate::diag::Kind;
use crate::direct::{Direct, Mark};
use crate::kernel::observe::{self, interface, mark, open_cgroup};
use crate::kernel::{Excludes, Kernel, ObjectKind};
use crate::kinds::AttachType;
use crate::names::PinPath;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// Something that is attached.
#[derive(Debug)]
pub enum Attached<Fd> {
    /// By this link.
    Link(Fd),
    /// Without one.
    Direct(Mark),
}

impl<K: Kernel> Applier<'_, K> {
    /// Opens the pin of what is attached, and checks that it is what the plan saw: the link with this id, or for 0 a mark.
    pub(super) fn open_attached(&self, pin: &PinPath, id: u32) -> Result<Attached<K::Fd>, Problem> {
        match id {
            0 => self.open_mark(pin).map(Attached::Direct),
            id => self.open_expected(pin, ObjectKind::Link, id).map(Attached::Link),
        }
    }

    fn open_mark(&self, pin: &PinPath) -> Result<Mark, Problem> {
        let found = mark(self.kernel, &self.seen_at(pin)).map_err(|error| refused(format!("read `{pin}`"), &error))?;
        found.ok_or_else(|| stale(format!("`{pin}` is gone")))
    }

    /// Attaches a program without a link. `replaces` is whether it has the pin of something of ours, and whose place it takes.
    pub(super) fn attach_direct(
        &mut self,
        number: usize,
        link: &DesiredLink,
        at: &Direct,
        (replaces, taken): (bool, Option<u32>),
    ) -> Result<(), Problem> {
        self.check_place(link, at)?;
        let doing = || attaching(link);
        let theirs = taken.map(|id| self.still_there(link, at, id).map(Rc::new)).transpose()?;
        self.put_mark(number, link, at, (replaces, taken), taken.zip(theirs.clone()))?;
        if let Direct::Filter(filter) = at
            && filter.owns_qdisc
        {
            let made = self.kernel.make_clsact(&filter.device);
            made.map_err(|error| attach_refused(format!("make the qdisc of {}", link.hook), &link.hook, &error))?;
        }
        let program = attached(link, &self.maps, &self.programs);
        self.kernel.attach(program, at, theirs.as_deref()).map_err(|error| match (at, error.raw_os_error()) {
            (Direct::Route(_), Some(libc::EEXIST)) => {
                stale(format!("another route came to the place of {}", link.hook))
            }
            (Direct::Filter(_) | Direct::Xdp { .. }, Some(libc::EBUSY | libc::EEXIST | libc::ENOENT)) => {
                stale(format!("another program came to {}", link.hook))
            }
            (Direct::Filter(filter), Some(libc::EINVAL)) if !filter.owns_qdisc => {
                stale(format!("the qdisc of {} is gone", link.hook))
            }
            _ => self.attach_failed(doing(), link, &error),
        })?;
        self.changed(&link.hook);
        Ok(())
    }

    /// Opens the program whose place is to be taken, when it is still there.
    fn still_there(&self, link: &DesiredLink, at: &Direct, id: u32) -> Result<K::Fd, Problem> {
        let doing = |error| refused(format!("look at {}", link.hook), &error);
        let there = self.kernel.programs_at(at).map_err(doing)?;
        let program = observe::existing(self.kernel.program_by_id(id)).map_err(doing)?;
        program
            .filter(|_| there.contains(&id))
            .ok_or_else(|| stale(format!("program id {id} is not on {} any more", link.hook)))
    }

    /// Lets another program run in the place of the one that is there.
    pub(super) fn update_direct(&mut self, number: usize, link: &DesiredLink, old: u32) -> Result<(), Problem> {
        let Mark { at, .. } = self.open_mark(&link.pin)?;
        self.check_place(link, &at)?;
        let doing = || format!("replace program id {old} of link.{}", link.name);
        let there = self.kernel.programs_at(&at).map_err(|error| refused(doing(), &error))?;
        let another = || stale(format!("link.{} runs another program than when the plan was made", link.name));
        if !there.contains(&old) {
            return Err(another());
        }
        let old_program = self.kernel.program_by_id(old).map_err(|error| refused(doing(), &error))?;
        let old_program = Rc::new(old_program);
        self.put_mark(number, link, &at, (true, None), Some((old, Rc::clone(&old_program))))?;
        let program = attached(link, &self.maps, &self.programs);
        self.kernel.attach(program, &at, Some(&old_program)).map_err(|error| match error.raw_os_error() {
            Some(libc::EEXIST | libc::ENOENT) => another(),
            _ => refused(doing(), &error),
        })?;
        self.changed(&link.hook);
        Ok(())
    }

    /// Says in the next generation what is about to be attached; from here on the way back takes it away.
    fn put_mark(
        &mut self,
        number: usize,
        link: &DesiredLink,
        at: &Direct,
        (replaces, taken): (bool, Option<u32>),
        before: Option<(u32, Rc<K::Fd>)>,
    ) -> Result<(), Problem> {
        let place = self.place_for(number, &link.pin, replaces)?;
        let program = attached(link, &self.maps, &self.programs);
        let doing = |error: io::Error| refused(format!("write `{place}`"), &error);
        let program_id = self.kernel.program_info(program).map_err(doing)?.id;
        let mark = Mark { program_id, at: at.clone(), taken };
        self.kernel.symlink(&mark.text(), &place).map_err(doing)?;
        self.undo.push((number, Undo::Marked { mark, before }));
        Ok(())
    }

    /// Makes a problem of a program that was not attached: where that is why, it says which cgroup lets it not be there.
    pub(super) fn attach_failed(&self, doing: String, link: &DesiredLink, error: &io::Error) -> Problem {
        let excluded = match (&link.hook, error.raw_os_error()) {
            (Hook::Cgroup { path, attach_type, .. }, Some(libc::EPERM)) => self.excluded_by(path, *attach_type),
            _ => None,
        };
        match excluded {
            Some((cgroup, excludes)) => {
                let below = excludes == Excludes::Below;
                let kind = Kind::CgroupExcludes { hook: link.hook.to_string(), cgroup, below };
                Problem::at(kind, link.span.clone(), "this link wants it")
            }
            None => attach_refused(doing, &link.hook, error),
        }
    }

    /// Finds the cgroup, this one or one above it, whose program lets no other be there.
    fn excluded_by(&self, name: &str, attach_type: AttachType) -> Option<(PathBuf, Excludes)> {
        let (fd, path, _) = open_cgroup(self.kernel, name).ok()??;
        match self.kernel.excludes(&fd, attach_type).ok()? {
            Excludes::Nothing => {}
            excludes @ (Excludes::Beside | Excludes::Below) => return Some((path, excludes)),
        }
        for above in path.ancestors().skip(1) {
            let (fd, _) = self.kernel.open_cgroup(above).ok()?;
            if self.kernel.excludes(&fd, attach_type).ok()? == Excludes::Below {
                return Some((above.to_owned(), Excludes::Below));
            }
        }
        None
    }

    /// Checks that the name of what it is on still means that.
    fn check_place(&self, link: &DesiredLink, at: &Direct) -> Result<(), Problem> {
        if let Direct::Cgroup { path, cgroup_id, .. } = at {
            return self.same_cgroup(path, *cgroup_id).map(drop);
        }
        let (Some(device), Anchor::Interface(name, netns)) = (at.device(), link.hook.anchor()) else { return Ok(()) };
        let doing = |error| refused(format!("look the interface `{name}`{} up", Within(netns)), &error);
        match interface(self.kernel, name, netns).map_err(doing)? {
            Some(found) if (found.netns, found.index) == (device.inode, device.ifindex) => Ok(()),
            Some(_) => Err(stale(format!("the interface `{name}` is another one now"))),
            None => Err(stale(format!("the interface `{name}` is gone"))),
        }
    }
}

/// Makes it as it was before a program was attached by this mark: with another one there, or with none. It may not have
/// come to that.
pub fn take_back<K: Kernel>(kernel: &mut K, mark: &Mark, before: Option<u32>) -> io::Result<()> {
    let Mark { program_id, at, .. } = mark;
    if before == Some(*program_id) {
        return Ok(());
    }
    if kernel.programs_at(at)?.contains(program_id) {
        let program = kernel.program_by_id(*program_id)?;
        match before {
            Some(before) => {
                let before = kernel.program_by_id(before)?;
                kernel.attach(&before, at, Some(&program))?;
            }
            None => gone(kernel.detach(&program, at))?,
        }
    }
    match before {
        Some(_) => Ok(()),
        None => leave_qdisc(kernel, at),
    }
}

/// Attaches a program again that was detached.
pub fn put_back<K: Kernel>(kernel: &mut K, mark: &Mark, program: &K::Fd) -> io::Result<()> {
    if kernel.programs_at(&mark.at)?.contains(&mark.program_id) {
        return Ok(());
    }
    if let Direct::Filter(filter) = &mark.at
        && filter.owns_qdisc
    {
        kernel.make_clsact(&filter.device)?;
    }
    kernel.attach(program, &mark.at, None)
}

/// Removes the qdisc that was made for a filter, once it has none.
fn leave_qdisc<K: Kernel>(kernel: &mut K, at: &Direct) -> io::Result<()> {
    let Direct::Filter(filter) = at else { return Ok(()) };
    if !filter.owns_qdisc {
        return Ok(());
    }
    match kernel.qdisc(&filter.device) {
        Ok(Some(qdisc)) if qdisc.filters.is_empty() => gone(kernel.remove_clsact(&filter.device)),
        there => gone(there.map(drop)),
    }
}

/// What it was attached to can go without it, and what is gone need not go.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOENT)) => Ok(()),
        result => result,
    }
}
