//! Who the programs of others are, and where they are pinned.

use super::observe::{self, existing, links, walk};
use super::{HookInfo, Kernel, ObjectKind};
use crate::diag::{Kind, Problems};
use crate::names::PinPath;
use crate::observed::Stranger;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Reads who a program is; `None` for one that may not be asked about, or is gone meanwhile.
pub fn stranger<K: Kernel>(kernel: &K, id: u32) -> Option<Stranger> {
    let info = observe::program(kernel, id)?;
    let age = kernel.uptime().saturating_sub(info.load_time);
    Some(Stranger { name: info.name, tag: info.tag, age, link: None })
}

/// Reads who programs are, and of those of XDP, unless all of them are ours, which links run them, as far as these may be
/// listed.
pub fn strangers<K: Kernel>(
    kernel: &K,
    programs: &BTreeSet<u32>,
    xdp: &BTreeSet<u32>,
    ours: &BTreeSet<u32>,
) -> BTreeMap<u32, Stranger> {
    let known = programs.union(xdp).filter_map(|id| Some((*id, stranger(kernel, *id)?)));
    let mut known: BTreeMap<_, _> = known.collect();
    if xdp.is_subset(ours) {
        return known;
    }
    for link in links(kernel).flatten() {
        if let (HookInfo::Xdp { .. }, Some(stranger)) = (link.hook, known.get_mut(&link.program_id)) {
            stranger.link = Some(link.id);
        }
    }
    known
}

/// Says of programs that have a hook where below a bpffs they are pinned. That opens every pin there, so it is for those
/// that are in the way.
pub fn with_pins<K: Kernel>(kernel: &K, bpffs: &PinPath, mut problems: Problems) -> Problems {
    for problem in &mut problems.0 {
        if let Kind::HookTaken { program_id: id @ 1.., pin: pin @ None, ours: None, .. } = &mut *problem.kind {
            // What is asked for was refused anyhow, and is said with or without it.
            *pin = pin_of(kernel, bpffs, *id).unwrap_or_default();
        }
    }
    problems
}

/// Finds a pin of a program below a folder.
pub fn pin_of<K: Kernel>(kernel: &K, folder: &PinPath, id: u32) -> io::Result<Option<PinPath>> {
    for (path, _) in walk(kernel, folder)? {
        if let Ok((ObjectKind::Program, fd)) = kernel.open_pin(&path)
            && existing(kernel.program_info(&fd))?.is_some_and(|info| info.id == id)
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
