//! Generations: the folders of a deployment's pins.
//!
//! `/sys/fs/bpf/edge` is a symbolic link to the generation that runs, `edge~7`. The next one is built beside it: what
//! stays is hard-linked, what is new is pinned, and one rename of the symbolic link makes it the one that runs. So the
//! pins are the old set or the new set, whenever a run ends, on every kernel (RENAME_EXCHANGE of bpffs came with 6.1).
//! Then the links of the old one are dropped, and it stays as `edge~previous`, one deep, for a rollback.
//!
//! A pin outside the deployment's folder is a second name of one in the generation, below `~outside`: there one can tell
//! whose it is, and an interrupted run's is put back from there.

use super::direct::{self, Attached};
use crate::confirm::Pending;
use crate::kernel::observe::{self, walk};
use crate::kernel::{Entry, EntryKind, Kernel, ObjectKind};
use crate::names::PinPath;
use crate::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Removes a folder with all pins in it. Links whose last pin this is are detached by the kernel some time later.
pub fn remove<K: Kernel>(kernel: &mut K, folder: &PinPath) -> io::Result<()> {
    remove_from(kernel, folder, |_| true)?;
    gone(kernel.remove_directory(folder))
}

/// Removes pins from a folder, and the folders in it that are empty then. The record goes last: as long as it is there,
/// it says what else is ours.
fn remove_from<K: Kernel>(kernel: &mut K, folder: &PinPath, goes: impl Fn(&PinPath) -> bool) -> io::Result<()> {
    let record = folder.join("record");
    for (path, entry) in walk(kernel, folder)?.into_iter().rev().filter(|(path, _)| *path != record) {
        match entry.kind {
            EntryKind::Folder => remove_empty(kernel, &path)?,
            EntryKind::Pin | EntryKind::Symlink if goes(&path) => gone(kernel.unpin(&path))?,
            EntryKind::Pin | EntryKind::Symlink => {}
        }
    }
    if goes(&record) { gone(kernel.unpin(&record)) } else { Ok(()) }
}

/// Removes a folder unless something is in it.
fn remove_empty<K: Kernel>(kernel: &mut K, folder: &PinPath) -> io::Result<()> {
    match kernel.remove_directory(folder) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTEMPTY) => Ok(()),
        result => gone(result),
    }
}

/// What is gone already need not be removed.
pub(super) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes the generation that ran until now the previous one: only its programs, its maps,
/// the entries that were ours and its record stay.
pub fn retire<K: Kernel>(kernel: &mut K, pin_root: &PinPath, old: &PinPath, record: &Record) -> io::Result<()> {
    let maps = record.maps.values().filter(|map| map.created).filter_map(|map| map.pin.as_deref());
    let pins = maps.chain(record.programs.values().map(|program| program.pin.as_str()));
    let pins = pins.chain(record.entries().map(|(_, entries)| entries.pin.as_str()));
    let mut kept: BTreeSet<PinPath> =
        pins.filter_map(|pin| Some(PinPath::new(pin).ok()?.in_generation(pin_root, old))).collect();
    kept.insert(old.join("record"));
    remove_from(kernel, old, |path| !kept.contains(path))?;
    remove(kernel, &pin_root.previous())?;
    kernel.rename(old, &pin_root.previous())
}

/// Takes away the generation that ran, and the one before it. Where somebody else pinned something into the folder, be it
/// in the place of a map of ours, the folder stays with that.
pub fn dissolve<K: Kernel>(kernel: &mut K, pin_root: &PinPath, old: &PinPath, record: &Record) -> io::Result<()> {
    remove(kernel, &pin_root.previous())?;
    gone(kernel.unpin(&pin_root.confirm()))?;
    let mut own: BTreeSet<PinPath> = record.own_pins().map(|(pin, _)| pin.in_generation(pin_root, old)).collect();
    own.insert(old.join("record"));
    let maps = record.maps.values().filter_map(|map| Some((PinPath::new(map.pin.as_deref()?).ok()?, map.inode)));
    let maps: BTreeMap<PinPath, u64> = maps.map(|(pin, inode)| (pin.in_generation(pin_root, old), inode)).collect();
    for (path, entry) in walk(kernel, old)? {
        if maps.get(&path).is_some_and(|inode| *inode != entry.inode) {
            own.remove(&path);
        }
    }
    remove_from(kernel, old, |path| own.contains(path))?;
    match kernel.remove_directory(old) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTEMPTY) => kernel.rename(old, pin_root),
        result => result,
    }
}

/// Clears what an interrupted run left: its links are detached, its pins go, also those outside of the folder, unless
/// the generation that runs has them as well.
pub fn clear<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    leftover: &PinPath,
    left: Option<&Record>,
    current: Option<&PinPath>,
) -> io::Result<()> {
    let running = detach_all(kernel, leftover, current)?;
    for (pin, inode) in left.into_iter().flat_map(Record::own_pins) {
        if pin.is_below(pin_root) || running.contains(&inode) {
            continue;
        }
        if inode_of(kernel, &pin.passing())? == Some(inode) {
            gone(kernel.unpin(&pin.passing()))?;
        }
        if inode_of(kernel, &pin)? == Some(inode) {
            restore(kernel, &pin, current.map(|current| pin.in_generation(pin_root, current)).as_ref())?;
        }
    }
    for folder in left.into_iter().flat_map(|left| left.directories.iter().rev()) {
        if let Ok(folder) = PinPath::new(folder) {
            remove_empty(kernel, &folder)?;
        }
    }
    // What it said and did last before it would have switched.
    let waits = observe::existing(kernel.read_symlink(&pin_root.confirm()))?;
    let waits = waits.as_deref().and_then(Pending::parse).map(|pending| pin_root.generation(pending.generation));
    if waits.as_ref() == Some(leftover) {
        gone(kernel.unpin(&pin_root.confirm()))?;
    }
    if observe::existing(kernel.read_symlink(&pin_root.passing()))?.as_deref() == Some(leftover.file_name()) {
        gone(kernel.unpin(&pin_root.passing()))?;
    }
    remove(kernel, leftover)
}

/// Detaches the links of a folder, and what is attached without one, that the generation that runs does not have as well,
/// and returns the inodes of all that that has.
pub fn detach_all<K: Kernel>(kernel: &mut K, folder: &PinPath, current: Option<&PinPath>) -> io::Result<BTreeSet<u64>> {
    let running = current.map(|current| walk(kernel, current)).transpose()?.unwrap_or_default();
    let is_mark = |entry: &&(PinPath, Entry)| entry.1.kind == EntryKind::Symlink;
    let marks = running.iter().filter(is_mark).map(|(path, _)| observe::mark(kernel, path));
    let marks: Vec<_> = marks.filter_map(io::Result::transpose).collect::<io::Result<_>>()?;
    let running: BTreeSet<u64> = running.into_iter().map(|(_, entry)| entry.inode).collect();
    for (path, entry) in walk(kernel, folder)? {
        if running.contains(&entry.inode) {
            continue;
        }
        match entry.kind {
            EntryKind::Pin => {
                if let (ObjectKind::Link, link) = kernel.open_pin(&path)? {
                    detach(kernel, &Attached::Link(link))?;
                }
            }
            EntryKind::Symlink => {
                if let Some(mark) = observe::mark(kernel, &path)? {
                    let before = marks.iter().find(|other| other.at.replaces(&mark.at)).map(|other| other.program_id);
                    direct::take_back(kernel, &mark, before)?;
                }
            }
            EntryKind::Folder => {}
        }
    }
    Ok(running)
}

/// Removes a pin that a folder may have, and the folder if nothing else is in it.
pub fn remove_pin<K: Kernel>(kernel: &mut K, pin: &PinPath) -> io::Result<()> {
    gone(kernel.unpin(pin))?;
    pin.parent().map_or(Ok(()), |folder| remove_empty(kernel, &folder))
}

/// Detaches what is attached, if its hook has not gone without it. A link to an event goes with its last pin and descriptor,
/// and not before (`EOPNOTSUPP`).
pub fn detach<K: Kernel>(kernel: &mut K, attached: &Attached<K::Fd>) -> io::Result<()> {
    let link = match attached {
        Attached::Link(link) => link,
        Attached::Direct(mark) => return direct::take_back(kernel, mark, None),
    };
    match kernel.detach_link(link) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOLINK | libc::EOPNOTSUPP)) => Ok(()),
        result => result,
    }
}

/// Puts a pin outside of the deployment's folder in the place of another one: `from`, if that is there, or nothing.
pub fn restore<K: Kernel>(kernel: &mut K, pin: &PinPath, from: Option<&PinPath>) -> io::Result<()> {
    match from {
        Some(from) if inode_of(kernel, from)?.is_some() => {
            replace(kernel, pin, |kernel, passing| kernel.hard_link(from, passing))
        }
        Some(_) | None => gone(kernel.unpin(pin)),
    }
}

/// Makes something under a passing name and renames it over what has the name now: there is always one of the two.
pub fn replace<K: Kernel>(
    kernel: &mut K,
    pin: &PinPath,
    make: impl FnOnce(&mut K, &PinPath) -> io::Result<()>,
) -> io::Result<()> {
    let passing = pin.passing();
    // The rest of a run that was killed.
    gone(kernel.unpin(&passing))?;
    make(kernel, &passing)?;
    kernel.rename(&passing, pin).inspect_err(|_| {
        // The error that matters is the first one.
        let _ = kernel.unpin(&passing);
    })
}

/// Returns the inode of a pin, if there is one.
pub fn inode_of<K: Kernel>(kernel: &K, pin: &PinPath) -> io::Result<Option<u64>> {
    let Some(folder) = pin.parent() else { return Ok(None) };
    let entries = observe::existing(kernel.list(&folder))?.unwrap_or_default();
    Ok(entries.into_iter().find(|entry| entry.name == pin.file_name()).map(|entry| entry.inode))
}
