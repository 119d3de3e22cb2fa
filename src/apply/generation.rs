//! Generations: the folders of a deployment's pins.
//!
//! `/sys/fs/bpf/edge` is a symbolic link to the generation that runs, `edge~7`. The next one is built beside it: what
//! stays is hard-linked, what is new is pinned, and one rename of the symbolic link makes it the one that runs. So the
//! pins are the old set or the new set, whenever a run ends, on every kernel (RENAME_EXCHANGE of bpffs came with 6.1).
//! That symbolic link is there as `edge~` before the next one has a record: so one tells what was to run from what ran.
//! Where something is changed in place, which is in no folder, the next one gets its record before that: entries, variables,
//! modes and folders that a killed run came to are ours by it.
//! Then the links of the old one are dropped, and it stays as `edge~previous`, one deep, for a rollback. Where a run ends
//! before that, the next one finishes it: a folder with a record and a lower number than the one that runs ran before it.
//!
//! A pin outside the deployment's folder is a second name of one in the generation, below `~outside`: there one can tell
//! whose it is, and an interrupted run's is put back from there, as is one that somebody removed.

use super::direct::{self, Attached};
use crate::confirm::Pending;
use crate::kernel::observe::{self, inode_of, is_announced, walk};
use crate::kernel::{Entry, EntryKind, Kernel, ObjectKind};
use crate::names::PinPath;
use crate::record::Record;
use std::collections::BTreeSet;
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

/// Removes the folder of a generation that ends. What somebody else pinned into it moves to `heir`: the generation that
/// runs, or where none does a folder in the place of all of them. There others find it under the name that they gave it.
fn remove_own<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    (folder, record): (&PinPath, &Record),
    heir: &PinPath,
) -> io::Result<()> {
    hand_on(kernel, pin_root, (folder, record), heir)?;
    remove(kernel, folder)
}

/// Removes the generation before the one that ends. What somebody else pinned into it moves to `heir`, as far as its record
/// tells what is not ours.
fn remove_previous<K: Kernel>(kernel: &mut K, pin_root: &PinPath, heir: &PinPath) -> io::Result<()> {
    let previous = pin_root.previous();
    match observe::record_in(kernel, &previous) {
        Some(record) => remove_own(kernel, pin_root, (&previous, &record), heir),
        None => remove(kernel, &previous),
    }
}

/// Moves what somebody else pinned into a generation to another folder. What has a name there already has it from us.
fn hand_on<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    (folder, record): (&PinPath, &Record),
    heir: &PinPath,
) -> io::Result<()> {
    let foreign = foreign_pins(kernel, pin_root, (folder, record))?;
    if foreign.is_empty() {
        return Ok(());
    }
    let there = inodes(kernel, heir)?;
    for (path, _) in foreign.into_iter().filter(|(_, inode)| !there.contains(inode)) {
        let place = free_name(kernel, &path.moved(folder, heir).expect("it was found there"))?;
        make_folders_of(kernel, &place, heir)?;
        kernel.rename(&path, &place)?;
    }
    Ok(())
}

fn inodes<K: Kernel>(kernel: &K, folder: &PinPath) -> io::Result<BTreeSet<u64>> {
    Ok(walk(kernel, folder)?.into_iter().map(|(_, entry)| entry.inode).collect())
}

/// Returns the name, or where something has it the first of `name_2`, `name_3` and so on that nothing has: to remove either
/// of two pins of others is not ours.
fn free_name<K: Kernel>(kernel: &K, wanted: &PinPath) -> io::Result<PinPath> {
    let mut place = wanted.clone();
    for number in 2.. {
        if inode_of(kernel, &place)?.is_none() {
            break;
        }
        place = wanted.numbered(number);
    }
    Ok(place)
}

/// Makes the folders of a pin below another folder, and that one.
fn make_folders_of<K: Kernel>(kernel: &mut K, pin: &PinPath, top: &PinPath) -> io::Result<()> {
    let folders = std::iter::successors(pin.parent(), PinPath::parent);
    let folders: Vec<PinPath> = folders.take_while(|folder| folder == top || folder.is_below(top)).collect();
    for folder in folders.into_iter().rev() {
        match kernel.make_directory(&folder) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            result => result?,
        }
    }
    Ok(())
}

/// Lists what somebody else pinned into a generation, with inodes.
fn foreign_pins<K: Kernel>(
    kernel: &K,
    pin_root: &PinPath,
    (folder, record): (&PinPath, &Record),
) -> io::Result<Vec<(PinPath, u64)>> {
    let is_foreign = record.tells_foreign(pin_root, folder);
    let entries = walk(kernel, folder)?.into_iter().filter(|(_, entry)| entry.kind != EntryKind::Folder);
    let pins = entries.filter(|(path, entry)| is_foreign(path, entry.inode));
    Ok(pins.map(|(path, entry)| (path, entry.inode)).collect())
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
pub fn retire<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    (old, record): (&PinPath, &Record),
    next: &PinPath,
) -> io::Result<()> {
    hand_on(kernel, pin_root, (old, record), next)?;
    let maps = record.maps.values().filter(|map| map.created).filter_map(|map| map.pin.as_deref());
    let pins = maps.chain(record.programs.values().map(|program| &*program.pin));
    let pins = pins.chain(record.entries().map(|(_, entries)| entries.pin.as_str()));
    let mut kept: BTreeSet<PinPath> =
        pins.filter_map(|pin| Some(PinPath::new(pin).ok()?.in_generation(pin_root, old))).collect();
    kept.insert(old.join("record"));
    remove_from(kernel, old, |path| !kept.contains(path))?;
    remove_previous(kernel, pin_root, next)?;
    kernel.rename(old, &pin_root.previous())
}

/// Takes away the generation that ran, and the one before it. Where somebody else pinned something into the folder, a
/// folder with that stays.
pub fn dissolve<K: Kernel>(kernel: &mut K, pin_root: &PinPath, old: &PinPath, record: &Record) -> io::Result<()> {
    // What became ours since the record of the one before was written would look there like somebody else's.
    let running = inodes(kernel, old)?;
    for (path, _) in walk(kernel, &pin_root.previous())?.into_iter().filter(|(_, entry)| running.contains(&entry.inode))
    {
        gone(kernel.unpin(&path))?;
    }
    remove_previous(kernel, pin_root, pin_root)?;
    gone(kernel.unpin(&pin_root.confirm()))?;
    remove_own(kernel, pin_root, (old, record), pin_root)
}

/// Clears what an interrupted run left: its links are detached, its pins go, also those outside of the folder, unless
/// the generation that runs has them as well, or they are somebody else's: again, by the record of that one, or still, as
/// the run did not come to take them over. What is `kept` becomes the previous generation then; of what was only begun
/// beside a generation that runs, the record and the entries stay for now.
pub fn clear<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    (leftover, left): (&PinPath, Option<&Record>),
    (current, record): (Option<&PinPath>, Option<&Record>),
    kept: bool,
) -> io::Result<()> {
    let running = detach_all(kernel, pin_root, (leftover, left), current)?;
    let outside =
        left.map(|left| observe::left_outside(kernel, pin_root, (leftover, left), (current, record), &running));
    for (pin, from) in outside.transpose()?.into_iter().flatten() {
        restore(kernel, &pin, from.as_ref())?;
    }
    let needed: BTreeSet<&String> = record.into_iter().flat_map(|record| &record.directories).collect();
    let made = left.into_iter().flat_map(|left| left.directories.iter().rev());
    for folder in made.filter(|folder| !needed.contains(folder)) {
        if let Ok(folder) = PinPath::new(folder) {
            remove_empty(kernel, &folder)?;
        }
    }
    // What it said and did last before it would have switched.
    waits_no_more(kernel, pin_root, leftover)?;
    let heir = current.unwrap_or(pin_root);
    match left {
        Some(record) if kept => retire(kernel, pin_root, (leftover, record), heir)?,
        Some(record) if current.is_some() => set_aside(kernel, pin_root, (leftover, record), heir)?,
        Some(record) => remove_own(kernel, pin_root, (leftover, record), heir)?,
        // It did not come to run, so that nobody else found it.
        None => remove(kernel, leftover)?,
    }
    renounce(kernel, pin_root, leftover)
}

/// Leaves of a generation that an interrupted run began only what tells which of its changes in place are ours. It is
/// needed until a run that knows of them has come to its end, and [`remove`]s it then.
fn set_aside<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    (leftover, record): (&PinPath, &Record),
    heir: &PinPath,
) -> io::Result<()> {
    hand_on(kernel, pin_root, (leftover, record), heir)?;
    let (record, entries) = (leftover.join("record"), leftover.kept_entries());
    let stays = |path: &PinPath| path.is_below(&entries) || *path == record || *path == leftover.set_aside();
    remove_from(kernel, leftover, |path| !stays(path))?;
    // Under its own name it would say that the generation ran.
    gone(kernel.rename(&record, &leftover.set_aside()))
}

/// Takes away what says that a generation waits to be confirmed, if it says so of this one.
pub fn waits_no_more<K: Kernel>(kernel: &mut K, pin_root: &PinPath, generation: &PinPath) -> io::Result<()> {
    let path = pin_root.confirm();
    let waits = observe::existing(kernel.read_symlink(&path))?;
    let waits = waits.as_deref().and_then(Pending::parse).map(|pending| pin_root.generation(pending.generation));
    if waits.as_ref() == Some(generation) { gone(kernel.unpin(&path)) } else { Ok(()) }
}

/// Says beside the generations that this one is about to run. That comes before its record, and the switch ends it: what
/// has a record and is not announced ran once.
pub fn announce<K: Kernel>(kernel: &mut K, pin_root: &PinPath, generation: &PinPath) -> io::Result<()> {
    make_passing(kernel, pin_root, None, |kernel, passing| kernel.symlink(generation.file_name(), passing))
}

/// Says so no more, once nothing is left of it.
pub fn renounce<K: Kernel>(kernel: &mut K, pin_root: &PinPath, generation: &PinPath) -> io::Result<()> {
    if is_announced(kernel, pin_root, generation) { gone(kernel.unpin(&pin_root.passing())) } else { Ok(()) }
}

/// Detaches the links of a generation that was left, and what is attached without one, that the generation that runs does
/// not have as well, and returns the inodes of all that that has.
pub fn detach_all<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    (folder, left): (&PinPath, Option<&Record>),
    current: Option<&PinPath>,
) -> io::Result<BTreeSet<u64>> {
    let foreign = left.map(|left| foreign_pins(kernel, pin_root, (folder, left))).transpose()?;
    let foreign: BTreeSet<PinPath> = foreign.into_iter().flatten().map(|(path, _)| path).collect();
    let running = current.map(|current| walk(kernel, current)).transpose()?.unwrap_or_default();
    let is_mark = |entry: &&(PinPath, Entry)| entry.1.kind == EntryKind::Symlink;
    let marks = running.iter().filter(is_mark).map(|(path, _)| observe::mark(kernel, path));
    let marks: Vec<_> = marks.filter_map(io::Result::transpose).collect::<io::Result<_>>()?;
    let running: BTreeSet<u64> = running.into_iter().map(|(_, entry)| entry.inode).collect();
    for (path, entry) in walk(kernel, folder)? {
        if running.contains(&entry.inode) || foreign.contains(&path) {
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
            replace(kernel, pin, Some(from), |kernel, passing| kernel.hard_link(from, passing))
        }
        Some(_) | None => gone(kernel.unpin(pin)),
    }
}

/// Makes something under a passing name and renames it over what has the name now: there is always one of the two. `from`
/// is what gets the name as one more, if it is that.
///
/// `EEXIST` says that somebody else has the passing name.
pub fn replace<K: Kernel>(
    kernel: &mut K,
    pin: &PinPath,
    from: Option<&PinPath>,
    make: impl Fn(&mut K, &PinPath) -> io::Result<()>,
) -> io::Result<()> {
    make_passing(kernel, pin, from, make)?;
    let passing = pin.passing();
    kernel.rename(&passing, pin).inspect_err(|_| {
        // The error that matters is the first one.
        let _ = kernel.unpin(&passing);
    })
}

/// Makes something under the passing name of a pin, in the place of what a run left there that was killed.
fn make_passing<K: Kernel>(
    kernel: &mut K,
    pin: &PinPath,
    from: Option<&PinPath>,
    make: impl Fn(&mut K, &PinPath) -> io::Result<()>,
) -> io::Result<()> {
    let passing = pin.passing();
    match make(kernel, &passing) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) && is_rest(kernel, pin, from)? => {
            gone(kernel.unpin(&passing))?;
            make(kernel, &passing)
        }
        made => made,
    }
}

/// Returns whether what has the passing name of a pin is the rest of a run that was killed: it is in a generation, leads to
/// one, or is one more name of what was to come or to go.
fn is_rest<K: Kernel>(kernel: &K, pin: &PinPath, from: Option<&PinPath>) -> io::Result<bool> {
    let passing = pin.passing();
    if pin.deployment().is_some() {
        return Ok(true);
    }
    if let (Some(folder), Ok(target)) = (pin.parent(), kernel.read_symlink(&passing)) {
        return Ok(folder.child(&target).generation_number(pin).is_some());
    }
    let found = inode_of(kernel, &passing)?;
    for own in [Some(pin), from].into_iter().flatten() {
        if inode_of(kernel, own)? == found {
            return Ok(true);
        }
    }
    Ok(false)
}
