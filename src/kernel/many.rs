//! Entries of a map by the thousand: batches and mapped memory where the kernel has them for the map, else one by one.
//!
//! A batch that the kernel does not know for a map is refused before it touches an entry, so the way is chosen by the
//! first one, and nothing is lost by having tried.

use super::sys::{Batch, Shape, SizedMap};
use super::{Kernel, TakeEntries};
use crate::entries::Entries;
use crate::kinds::MapType;
use crate::parallel;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes of entries are read at a time, unless one bucket of a hash has more.
const READ_AT_ONCE: usize = 256 << 10;

/// How many entries are written with one call, so that threads end at about the same time.
const WRITE_AT_ONCE: usize = 8 << 10;

/// How many entries make it worth while to start one more thread that writes.
const WRITES_PER_THREAD: usize = 32 << 10;

/// How many times the entries that a map can have are read before it is given up to see its end. A key that goes just
/// when it is the one to go on from leads back to the first one.
const MOST_ROUNDS: usize = 4;

/// The kernel's own `ENOTSUPP`, for which C libraries have no name.
const ENOTSUPP: i32 = 524;

/// Whether many entries could be read at a time.
#[derive(Debug)]
pub enum Read {
    /// To the end, or until the reader had enough.
    Whole,
    /// Those behind this key, or all, have to be read one by one.
    OneByOne(Option<Vec<u8>>),
}

/// Whether many entries could be written or removed at a time.
#[derive(Debug)]
pub enum Wrote {
    /// All of them were.
    All,
    /// None was: this kernel has no batches for the map.
    Nothing,
}

/// Returns whether an error says that the kernel has no such command, or not for the type of the map.
fn is_unknown(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | ENOTSUPP | libc::EOPNOTSUPP))
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// Reads the entries of a map; `sizes` must be those of its keys and values.
pub fn read(map: SizedMap<'_>, sizes: (usize, usize), each: TakeEntries<'_>) -> io::Result<Read> {
    let shape = map.shape();
    if sizes != (shape.key(), shape.value()) {
        return Err(invalid());
    }
    if shape.key() == 0 {
        // There is nothing to ask for; the kernel says how it calls that.
        return Ok(Read::OneByOne(None));
    }
    match map.values() {
        Ok(values) => {
            read_array(shape, |index, value| values.read(index, value), each);
            Ok(Read::Whole)
        }
        Err(_) => read_batches(map, each),
    }
}

/// How many entries are read at a time.
fn room(shape: Shape) -> usize {
    (READ_AT_ONCE / (shape.key() + shape.value())).clamp(1, shape.max_entries().max(1))
}

fn read_array(shape: Shape, read: impl Fn(usize, &mut [u8]), each: TakeEntries<'_>) {
    let (room, len) = (room(shape), shape.max_entries());
    let (mut keys, mut values) = (Vec::new(), vec![0; room * shape.value()]);
    for start in (0..len).step_by(room) {
        let indexes = start..len.min(start + room);
        keys.clear();
        for (index, value) in indexes.zip(values.chunks_mut(shape.value())) {
            keys.extend_from_slice(&(index as u32).to_ne_bytes());
            read(index, value);
        }
        if each(&keys, &values[..keys.len() / shape.key() * shape.value()]).is_break() {
            return;
        }
    }
}

/// Reads batch after batch. The cursor of a hash is the number of a bucket, which entries do not leave, so that each that
/// stays is read once; that of other types is the last key (`__htab_map_lookup_and_delete_batch` and
/// `generic_map_lookup_batch`).
fn read_batches(map: SizedMap<'_>, each: TakeEntries<'_>) -> io::Result<Read> {
    let shape = map.shape();
    let (key, value, most) = (shape.key(), shape.value(), shape.max_entries());
    let mut room = room(shape);
    let (mut keys, mut values) = (vec![0; room * key], vec![0; room * value]);
    let (mut from, mut next) = (None::<Vec<u8>>, vec![0; shape.cursor()]);
    let mut left = most.saturating_mul(MOST_ROUNDS);
    loop {
        let (count, is_end) = match map.lookup_batch(from.as_deref(), &mut next, &mut keys, &mut values)? {
            Batch::Done(count) => (count, false),
            Batch::Ended(count, error) if is_gone(&error) => (count, true),
            Batch::Ended(count, error) => match error.raw_os_error() {
                // A bucket has more entries than there is room for.
                Some(libc::ENOSPC) if count == 0 && room <= most => {
                    room *= 2;
                    keys.resize(room * key, 0);
                    values.resize(room * value, 0);
                    continue;
                }
                // Older kernels give up when three keys in a row, or slots of maps, are empty.
                Some(libc::EINTR) if count > 0 => (count, false),
                Some(libc::EINTR) => return Ok(Read::OneByOne(from.map(|key| key[..shape.key()].to_vec()))),
                Some(_) | None => return Err(error),
            },
            Batch::Refused(error) if from.is_none() && is_unknown(&error) => return Ok(Read::OneByOne(None)),
            Batch::Refused(error) => return Err(error),
        };
        left = left.saturating_sub(count.max(1));
        let enough = count > 0 && each(&keys[..count * key], &values[..count * value]).is_break();
        if enough || is_end || left == 0 {
            return Ok(Read::Whole);
        }
        let used = from.replace(next).unwrap_or_else(|| vec![0; shape.cursor()]);
        next = used;
    }
}

/// Reads the entries behind a key, or all, one by one. The key behind one is asked for before anything is done with it,
/// which may remove it.
pub fn read_each<K: Kernel + ?Sized>(
    kernel: &K,
    map: &K::Fd,
    sizes: (usize, usize),
    from: Option<Vec<u8>>,
    each: TakeEntries<'_>,
) -> io::Result<()> {
    let mut key = kernel.next_key(map, from.as_deref(), sizes.0)?;
    let mut left = (kernel.map_info(map)?.max_entries as usize).saturating_mul(MOST_ROUNDS);
    while let Some(at) = key.filter(|_| left > 0) {
        let next = kernel.next_key(map, Some(&at), sizes.0)?;
        let value = kernel.lookup(map, &at, sizes.1)?;
        if value.is_some_and(|value| each(&at, &value).is_break()) {
            return Ok(());
        }
        (key, left) = (next, left - 1);
    }
    Ok(())
}

/// Writes entries, of which the sizes must be the map's.
pub fn write(map: SizedMap<'_>, entries: &Entries) -> Result<Wrote, (usize, io::Error)> {
    let shape = map.shape();
    if entries.is_empty() {
        return Ok(Wrote::All);
    }
    if (entries.key_size(), entries.value_size()) != (shape.key(), shape.value()) {
        return Err((0, invalid()));
    }
    // To map an array costs something for each of its pages.
    if entries.len() >= shape.max_entries() / 8
        && let Ok(mut values) = map.writable_values()
    {
        let mut entries = entries.iter().enumerate();
        entries.try_for_each(|(at, (key, value))| {
            let index = key.try_into().map_or(u32::MAX, u32::from_ne_bytes);
            values.write(index as usize, value).map_err(|error| (at, error))
        })?;
        return Ok(Wrote::All);
    }
    in_parts(shape, entries, &|keys, values| match map.update_batch(keys, values) {
        Ok(batch) => batch,
        Err(error) => Batch::Refused(error),
    })
}

/// Removes the entries of these keys, of which the sizes must be the map's.
pub fn delete(map: SizedMap<'_>, entries: &Entries) -> Result<Wrote, (usize, io::Error)> {
    let shape = map.shape();
    if entries.is_empty() {
        return Ok(Wrote::All);
    }
    if entries.key_size() != shape.key() {
        return Err((0, invalid()));
    }
    in_parts(shape, entries, &|keys, _| delete_part(map, shape.key(), keys))
}

/// Goes on behind each key that is not there.
fn delete_part(map: SizedMap<'_>, key_size: usize, keys: &[u8]) -> Batch {
    let count = keys.len() / key_size;
    let mut done = 0;
    while done < count {
        match map.delete_batch(&keys[done * key_size..]) {
            Ok(Batch::Done(_)) => break,
            Ok(Batch::Ended(before, error)) if is_gone(&error) => done += before + 1,
            Ok(Batch::Ended(before, error)) => return Batch::Ended(done + before, error),
            Ok(Batch::Refused(error)) | Err(error) if done == 0 => return Batch::Refused(error),
            Ok(Batch::Refused(error)) | Err(error) => return Batch::Ended(done, error),
        }
    }
    Batch::Done(count)
}

/// Does something with part after part of the entries, at the same time where the map gains from it. The first part, alone,
/// shows whether the kernel can.
fn in_parts(
    shape: Shape,
    entries: &Entries,
    work: &(impl Fn(&[u8], &[u8]) -> Batch + Sync),
) -> Result<Wrote, (usize, io::Error)> {
    let keys: Vec<&[u8]> = entries.keys().chunks(WRITE_AT_ONCE * entries.key_size()).collect();
    let values = |part: usize| {
        let (start, size) = (part * WRITE_AT_ONCE, entries.value_size());
        &entries.values()[start * size..entries.len().min(start + WRITE_AT_ONCE) * size]
    };
    let done = AtomicUsize::new(0);
    let part = |part: usize| match work(keys[part], values(part)) {
        Batch::Done(count) => {
            done.fetch_add(count, Ordering::Relaxed);
            Ok(())
        }
        Batch::Ended(count, error) => {
            done.fetch_add(count, Ordering::Relaxed);
            Err(error)
        }
        Batch::Refused(error) => Err(error),
    };
    match work(keys[0], values(0)) {
        Batch::Done(count) => done.store(count, Ordering::Relaxed),
        Batch::Ended(count, error) => return Err((count, error)),
        Batch::Refused(error) if is_unknown(&error) => return Ok(Wrote::Nothing),
        Batch::Refused(error) => return Err((0, error)),
    }
    let threads = if gains_from_threads(shape.map_type()) { entries.len() / WRITES_PER_THREAD } else { 1 };
    match parallel::map(1..keys.len(), threads, part) {
        Ok(_) => Ok(Wrote::All),
        Err((_, error)) => Err((done.into_inner(), error)),
    }
}

/// Returns whether two threads write such a map faster than one: each bucket of a hash has a lock of its own, a trie one for
/// all, and what a full LRU map drops depends on who comes first.
fn gains_from_threads(map_type: MapType) -> bool {
    [MapType::HASH, MapType::PERCPU_HASH].contains(&map_type)
}

/// Writes entries one by one.
pub fn write_each<K: Kernel + ?Sized>(
    kernel: &mut K,
    map: &K::Fd,
    entries: &Entries,
) -> Result<(), (usize, io::Error)> {
    let mut entries = entries.iter().enumerate();
    entries.try_for_each(|(at, (key, value))| kernel.update(map, key, value).map_err(|error| (at, error)))
}

/// Removes the entries of these keys one by one.
pub fn delete_each<K: Kernel + ?Sized>(
    kernel: &mut K,
    map: &K::Fd,
    entries: &Entries,
) -> Result<(), (usize, io::Error)> {
    let mut entries = entries.iter().enumerate();
    entries.try_for_each(|(at, (key, _))| kernel.delete(map, key).map(drop).map_err(|error| (at, error)))
}
