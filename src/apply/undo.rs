//! The way back of each change that can be seen from outside.

use super::entries::Written;
use super::events::patiently;
use super::{direct, generation, link_within, variables};
use crate::access::Permissions;
use crate::direct::Mark;
use crate::kernel::{EventInfo, HookRequest, Kernel, TraceRequest, XdpMode};
use crate::kinds::{AttachType, Netfilter};
use crate::names::{MapName, PinPath, ProgramName};
use crate::variables::Patch;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

/// A change, with what is needed to take it back.
#[derive(Debug)]
pub enum Undo<Fd> {
    /// A bpffs was mounted.
    Mounted(PinPath),
    /// A folder was made.
    MadeDirectory(PinPath),
    /// A folder was removed.
    RemovedDirectory(PinPath),
    /// A generation was begun.
    Built {
        /// The folder of the deployment's pins.
        pin_root: PinPath,
        /// That of the generation.
        generation: PinPath,
    },
    /// What an interrupted run left was cleared in part: nobody made that anew.
    Cleared,
    /// It was said that the next generation waits to be confirmed.
    Confirming(PinPath),
    /// Something was pinned outside of the deployment's folder.
    Outside {
        /// Where.
        pin: PinPath,
        /// What was pinned there before, in the generation that runs.
        old: Option<PinPath>,
    },
    /// Entries were written into a map.
    Wrote(Written),
    /// A variable was set.
    Set {
        /// The map of its section.
        map: MapName,
        /// What it held.
        before: Patch,
        /// Whether nothing else is written.
        alone: bool,
    },
    /// A pin got another owner or group.
    Owner {
        /// The pin.
        pin: PinPath,
        /// What it had.
        before: Permissions,
    },
    /// A pin got another mode.
    Mode {
        /// The pin.
        pin: PinPath,
        /// What it had.
        before: Permissions,
    },
    /// A program was attached by this link.
    Linked(Fd),
    /// A program was attached to an event by this link, which is pinned there.
    Event {
        /// The link.
        link: Fd,
        /// Its pin.
        pin: PinPath,
    },
    /// A program was to be attached without a link.
    Marked {
        /// What was to be attached where.
        mark: Mark,
        /// The program that was there before, if one was: its id, and what keeps it from going.
        before: Option<(u32, Rc<Fd>)>,
    },
    /// A program was detached that had no link.
    Unmarked {
        /// What was attached where.
        mark: Mark,
        /// The program, when it was there.
        program: Option<Fd>,
    },
    /// A link got another program.
    Updated {
        /// The link.
        link: Fd,
        /// The program that it runs now.
        program: ProgramName,
        /// The program that it ran before.
        old: Fd,
    },
    /// A link that moves got its program once more.
    Lent {
        /// The link.
        link: Fd,
        /// The program that it ran before.
        program: ProgramName,
        /// The same, once more, which it runs now.
        double: Fd,
    },
    /// A link got another struct of functions.
    UpdatedStruct {
        /// The link.
        link: Fd,
        /// The map of the struct that it has now.
        map: MapName,
        /// The map of the one that it had before.
        old: Fd,
    },
    /// A link was detached from a hook with room for one.
    Detached {
        /// Where it is pinned.
        pin: PinPath,
        /// The program that it ran.
        program: Fd,
        /// Where it was attached, if it was.
        before: Option<Before<Fd>>,
    },
}

/// Where a link was attached that had to make room.
#[derive(Debug)]
pub struct Before<Fd> {
    /// Its network namespace, where that is not ours.
    pub netns: Option<Fd>,
    /// The hook there.
    pub hook: BeforeHook,
}

/// A hook with room for one.
#[derive(Debug, Clone)]
pub enum BeforeHook {
    /// XDP on an interface.
    Xdp {
        /// Its index.
        ifindex: u32,
        /// The mode.
        mode: XdpMode,
    },
    /// Netfilter.
    Netfilter(Netfilter),
    /// A map of sockets.
    Sockmap {
        /// The map.
        map: MapName,
        /// For which of its programs.
        attach_type: AttachType,
    },
    /// A function of another program.
    Extension {
        /// Id of that program.
        target: u32,
        /// The function's type there.
        function: u32,
        /// The link's cookie.
        cookie: Option<u64>,
    },
}

impl<Fd> Undo<Fd> {
    /// Takes the change back.
    pub fn run<K: Kernel<Fd = Fd>>(
        self,
        kernel: &mut K,
        maps: &BTreeMap<MapName, Fd>,
        programs: &BTreeMap<ProgramName, Fd>,
    ) -> io::Result<()> {
        match self {
            Self::Mounted(at) => kernel.unmount_bpffs(&at),
            Self::MadeDirectory(path) => kernel.remove_directory(&path),
            Self::RemovedDirectory(path) => kernel.make_directory(&path),
            Self::Built { pin_root, generation } => {
                generation::remove(kernel, &generation)?;
                generation::renounce(kernel, &pin_root, &generation)
            }
            Self::Cleared => Err(io::Error::other("links that an interrupted run left are detached")),
            Self::Confirming(path) => kernel.unpin(&path),
            Self::Outside { pin, old } => generation::restore(kernel, &pin, old.as_ref()),
            Self::Wrote(written) => {
                let map = &maps[&written.map];
                written.undo(kernel, map)
            }
            Self::Set { map, before, alone } => variables::write(kernel, &maps[&map], &before, alone),
            Self::Owner { pin, before } => kernel.change_owner(&pin, before.owner, before.group),
            Self::Mode { pin, before } => kernel.change_mode(&pin, before.mode),
            Self::Linked(link) => kernel.detach_link(&link),
            Self::Event { link, pin } => {
                drop(link);
                generation::gone(kernel.unpin(&pin))
            }
            Self::Marked { mark, before } => direct::take_back(kernel, &mark, before.as_ref().map(|(id, _)| *id)),
            Self::Unmarked { mark, program: Some(program) } => direct::put_back(kernel, &mark, &program),
            Self::Unmarked { program: None, .. } => Ok(()),
            Self::Updated { link, program, old } => kernel.update_link(&link, &old, &programs[&program]),
            Self::Lent { link, program, double } => kernel.update_link(&link, &programs[&program], &double),
            Self::UpdatedStruct { link, map, old } => kernel.update_link(&link, &old, &maps[&map]),
            Self::Detached { pin, program, before: Some(before) } => {
                let within = before.netns.as_ref();
                let link = match &before.hook {
                    BeforeHook::Xdp { ifindex, mode } => {
                        let request = HookRequest::Xdp { ifindex: *ifindex, mode: *mode };
                        link_within(kernel, &program, &request, within)?
                    }
                    BeforeHook::Netfilter(hook) => {
                        link_within(kernel, &program, &HookRequest::Netfilter(*hook), within)?
                    }
                    BeforeHook::Sockmap { map, attach_type } => {
                        let request = HookRequest::Sockmap { map: &maps[map], attach_type: *attach_type };
                        kernel.create_link(&program, &request)?
                    }
                    BeforeHook::Extension { target, function, cookie } => {
                        let target = kernel.program_by_id(*target)?;
                        patiently(|| {
                            let (attach_type, target) = (EventInfo::EXTENSION, Some((&target, *function)));
                            let request = TraceRequest::Tracing { attach_type, target, cookie: *cookie };
                            kernel.create_link(&program, &HookRequest::Trace(request))
                        })?
                    }
                };
                generation::replace(kernel, &pin, None, |kernel, passing| kernel.pin(&link, passing))
            }
            Self::Detached { before: None, .. } => Ok(()),
        }
    }
}
