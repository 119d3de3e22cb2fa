//! The way back of each change that can be seen from outside.

use super::entries::Written;
use super::{generation, variables};
use crate::access::Permissions;
use crate::kernel::{HookRequest, Kernel, XdpMode};
use crate::kinds::Netfilter;
use crate::names::{MapName, PinPath, ProgramName};
use crate::variables::Patch;
use std::collections::BTreeMap;
use std::io;

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
    Built(PinPath),
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
    /// A link was detached from a hook with room for one.
    Detached {
        /// Where it is pinned.
        pin: PinPath,
        /// The program that it ran.
        program: Fd,
        /// Where it was attached, if it was.
        before: Option<Before>,
    },
}

/// Where a link was attached that had to make room.
#[derive(Debug, Clone, Copy)]
pub enum Before {
    /// XDP on an interface.
    Xdp {
        /// Its index.
        ifindex: u32,
        /// The mode.
        mode: XdpMode,
    },
    /// Netfilter.
    Netfilter(Netfilter),
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
            Self::Built(generation) => generation::remove(kernel, &generation),
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
            Self::Updated { link, program, old } => kernel.update_link(&link, &old, &programs[&program]),
            Self::Lent { link, program, double } => kernel.update_link(&link, &programs[&program], &double),
            Self::Detached { pin, program, before: Some(before) } => {
                let request = match before {
                    Before::Xdp { ifindex, mode } => HookRequest::Xdp { ifindex, mode },
                    Before::Netfilter(hook) => HookRequest::Netfilter(hook),
                };
                let link = kernel.create_link(&program, &request)?;
                generation::replace(kernel, &pin, |kernel, passing| kernel.pin(&link, passing))
            }
            Self::Detached { before: None, .. } => Ok(()),
        }
    }
}
