//! System calls as safe functions: the only place with `unsafe`.
//!
//! Each command has its own `#[repr(C)]` structure, without padding, cut behind the last field that we use: a kernel
//! that does not know a later field refuses it only when it is not zero. Which command to use is not decided here.
#![allow(unsafe_code)]

use super::{MapRequest, ProgramRequest, Ran, RunRequest};
use crate::insn::{FuncRecord, Insn, LineRecord};
use crate::kinds::MapType;
use crate::variables::Patch;
use std::ffi::{CStr, CString, c_int, c_long};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the command of an attribute structure.
///
/// # Safety
/// The type is `repr(C)`, has no padding, and is the start of what `COMMAND` expects in `union bpf_attr`.
unsafe trait Attr {
    /// One of `enum bpf_cmd`.
    const COMMAND: c_int;
}

macro_rules! attr {
    ($name:ident, command $command:literal, size $size:literal { $($field:ident: $type:ty,)* }) => {
        #[repr(C)]
        #[derive(Debug, Default)]
        struct $name { $($field: $type,)* }
        const _: () = assert!(size_of::<$name>() == $size && 0 $(+ size_of::<$type>())* == $size);
        // SAFETY: the assertion shows that there is no padding; the fields are those of `linux/bpf.h`.
        unsafe impl Attr for $name {
            const COMMAND: c_int = $command;
        }
    };
}

attr!(MapCreate, command 0, size 80 {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
    map_ifindex: u32,
    btf_fd: u32,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
    btf_vmlinux_value_type_id: u32,
    map_extra: u64,
    value_type_btf_obj_fd: u32,
    map_token_fd: u32,
});

macro_rules! element {
    ($($name:ident = $command:literal),*) => {$(
        attr!($name, command $command, size 32 { map_fd: u32, pad: u32, key: u64, value: u64, flags: u64, });
    )*};
}
element!(MapLookup = 1, MapUpdate = 2, MapDelete = 3, MapNextKey = 4);

attr!(ProgLoad, command 5, size 144 {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    attach_prog_fd: u32, // In one place with `attach_btf_obj_fd`.
    core_relo_cnt: u32,
    fd_array: u64,
    core_relos: u64,
    core_relo_rec_size: u32,
    log_true_size: u32, // Written by 6.4 and newer.
});
attr!(ObjPin, command 6, size 16 { pathname: u64, bpf_fd: u32, file_flags: u32, });
attr!(ObjPinAt, command 6, size 24 { pathname: u64, bpf_fd: u32, file_flags: u32, path_fd: u32, pad: u32, });
attr!(ObjGet, command 7, size 16 { pathname: u64, bpf_fd: u32, file_flags: u32, });
macro_rules! attachment {
    ($($name:ident = $command:literal),*) => {$(
        attr!($name, command $command, size 20 {
            target_fd: u32,
            attach_bpf_fd: u32,
            attach_type: u32,
            attach_flags: u32,
            replace_bpf_fd: u32,
        });
    )*};
}
attachment!(ProgAttach = 8, ProgDetach = 9);
attr!(ProgTestRun, command 10, size 72 {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
});
attr!(ProgNextId, command 11, size 8 { start_id: u32, next_id: u32, });
attr!(ProgById, command 13, size 12 { id: u32, next_id: u32, open_flags: u32, });
attr!(MapById, command 14, size 12 { id: u32, next_id: u32, open_flags: u32, });
attr!(InfoByFd, command 15, size 16 { bpf_fd: u32, info_len: u32, info: u64, });
// Whole: the kernel writes `revision` however short the structure is (`bpf_mprog_query`, kernel/bpf/mprog.c).
attr!(ProgQuery, command 16, size 64 {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    pad: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
});
attr!(BtfLoad, command 18, size 32 {
    btf: u64,
    btf_log_buf: u64,
    btf_size: u32,
    btf_log_size: u32,
    btf_log_level: u32,
    btf_log_true_size: u32, // Written by 6.4 and newer.
});
attr!(BtfById, command 19, size 12 { id: u32, next_id: u32, open_flags: u32, });
attr!(BtfNextId, command 23, size 8 { start_id: u32, next_id: u32, });
attr!(MapFreeze, command 22, size 4 { map_fd: u32, });
attr!(ProgBindMap, command 35, size 12 { prog_fd: u32, map_fd: u32, flags: u32, });
macro_rules! batch {
    ($($name:ident = $command:literal),*) => {$(
        attr!($name, command $command, size 56 {
            in_batch: u64,
            out_batch: u64,
            keys: u64,
            values: u64,
            count: u32,
            map_fd: u32,
            elem_flags: u64,
            flags: u64,
        });
    )*};
}
batch!(MapLookupBatch = 24, MapUpdateBatch = 26, MapDeleteBatch = 27);
attr!(LinkCreate, command 28, size 16 { prog_fd: u32, target: u32, attach_type: u32, flags: u32, });
attr!(LinkCreateOrdered, command 28, size 32 {
    prog_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    pad: u32,
    expected_revision: u64,
});
attr!(LinkCreateNetfilter, command 28, size 32 {
    prog_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    family: u32,
    hook: u32,
    priority: u32,
    hook_flags: u32,
});
attr!(RawTracepointOpen, command 17, size 16 { name: u64, prog_fd: u32, pad: u32, });
attr!(RawTracepointOpenCookie, command 17, size 24 { name: u64, prog_fd: u32, pad: u32, cookie: u64, });
attr!(LinkCreateTracing, command 28, size 32 {
    prog_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    target_btf_id: u32,
    pad: u32,
    cookie: u64,
});
attr!(LinkCreatePerf, command 28, size 24 {
    prog_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
});
attr!(LinkCreateKprobeMulti, command 28, size 48 {
    prog_fd: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    probe_flags: u32,
    count: u32,
    symbols: u64,
    addresses: u64,
    cookies: u64,
});
attr!(LinkById, command 30, size 12 { id: u32, next_id: u32, open_flags: u32, });
attr!(LinkNextId, command 31, size 8 { start_id: u32, next_id: u32, });
attr!(LinkUpdate, command 29, size 16 { link_fd: u32, new_prog_fd: u32, flags: u32, old_prog_fd: u32, });
attr!(LinkDetach, command 34, size 4 { link_fd: u32, });

/// Calls `bpf(2)`.
///
/// # Safety
/// Every address in `attr` is valid for what the command does with it.
unsafe fn bpf<A: Attr>(attr: &mut A) -> io::Result<c_long> {
    // SAFETY: `attr` is valid for its own size, `Attr` promises its layout and the caller its addresses.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, A::COMMAND, ptr::from_mut(attr), size_of::<A>()) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// Calls `bpf(2)` for a command that returns a new descriptor, which the kernel always makes `O_CLOEXEC`.
///
/// # Safety
/// As for [`bpf`]; the command returns a descriptor.
unsafe fn bpf_fd<A: Attr>(attr: &mut A) -> io::Result<OwnedFd> {
    // SAFETY: the caller promises the addresses.
    let raw = unsafe { bpf(attr) }?;
    // SAFETY: the kernel just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(raw as c_int) };
    above_stdio(fd)
}

/// Moves a descriptor out of 0 to 2, where a program that was started without them would take it for its output, and
/// where 0 in an attribute means "none".
fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // SAFETY: a descriptor and numbers; no address is involved.
    let raw = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Returns the number of a descriptor as attributes take it.
fn number(fd: impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd().cast_unsigned()
}

/// Returns the address of a slice as attributes take it; 0 for an empty one, as the kernel wants it for "none".
fn address<T>(slice: &[T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_ptr().expose_provenance() as u64 }
}

/// Like [`address`] for what the kernel writes.
fn address_mut<T>(slice: &mut [T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_mut_ptr().expose_provenance() as u64 }
}

/// Returns a length as attributes take it; `E2BIG` above 4 GiB.
fn count(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))
}

/// Returns a name of a map or program with the NULs behind it; `EINVAL` for more than 15 bytes.
fn object_name(name: &str) -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    match bytes[..15].get_mut(..name.len()) {
        Some(start) => start.copy_from_slice(name.as_bytes()),
        None => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
    Ok(bytes)
}

/// `BPF_MAP_CREATE`
pub fn map_create<F: AsFd>(request: &MapRequest<'_, F>) -> io::Result<OwnedFd> {
    let (btf_fd, btf_key_type_id, btf_value_type_id) =
        request.types.map_or((0, 0, 0), |(btf, key, value)| (number(btf), key, value));
    let mut attr = MapCreate {
        map_type: request.map_type.0,
        key_size: request.key_size,
        value_size: request.value_size,
        max_entries: request.max_entries,
        map_flags: request.flags,
        inner_map_fd: request.inner.map_or(0, number),
        numa_node: request.numa_node,
        map_name: object_name(request.name)?,
        btf_fd,
        btf_key_type_id,
        btf_value_type_id,
        btf_vmlinux_value_type_id: request.kernel_type,
        map_extra: request.map_extra,
        value_type_btf_obj_fd: request.module.map_or(0, number),
        ..MapCreate::default()
    };
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// How many bytes the kernel reads and writes for one key and one value of a map, which it trusts us to have, and what
/// else decides how its entries are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    map_type: MapType,
    key: usize,
    value: usize,
    max_entries: u32,
    flags: u32,
}

impl Shape {
    /// Asks the kernel, whose answer never changes for one map.
    pub fn of(map: BorrowedFd<'_>, possible_cpus: u32) -> io::Result<Self> {
        /// `PROG_ARRAY`, `PERF_EVENT_ARRAY`, `CGROUP_ARRAY`, `ARRAY_OF_MAPS`, `HASH_OF_MAPS`.
        const DESCRIPTORS: [u32; 5] = [3, 4, 8, 12, 13];
        let info = map_info(map)?;
        // As `bpf_map_value_size` (kernel/bpf/syscall.c) has it.
        let value = match info.map_type {
            map_type if MapType(map_type).is_per_cpu() => {
                (info.value_size as usize).next_multiple_of(8) * possible_cpus as usize
            }
            map_type if DESCRIPTORS.contains(&map_type) => size_of::<u32>(),
            _ => info.value_size as usize,
        };
        Ok(Self {
            map_type: MapType(info.map_type),
            key: info.key_size as usize,
            value,
            max_entries: info.max_entries,
            flags: info.map_flags,
        })
    }

    /// Returns the type of the map.
    pub fn map_type(&self) -> MapType {
        self.map_type
    }

    /// Returns the bytes of a key.
    pub fn key(&self) -> usize {
        self.key
    }

    /// Returns the bytes of a value as user space has it.
    pub fn value(&self) -> usize {
        self.value
    }

    /// Returns how many entries the map can have.
    pub fn max_entries(&self) -> usize {
        self.max_entries as usize
    }

    /// Returns how many bytes the cursor of a batch has: the whole key, or for a hash the number of a bucket.
    pub fn cursor(&self) -> usize {
        self.key.max(size_of::<u32>())
    }

    /// Returns how many whole keys there are; `EINVAL` unless there are as many values, and some.
    fn count(self, keys: &[u8], values: Option<&[u8]>) -> io::Result<u32> {
        let count = keys.len().checked_div(self.key).unwrap_or(0);
        let whole = count > 0 && keys.len() == count * self.key;
        let fits = values.is_none_or(|values| Some(values.len()) == count.checked_mul(self.value));
        if whole && fits { self::count(count) } else { Err(io::Error::from_raw_os_error(libc::EINVAL)) }
    }

    /// Returns `EINVAL` unless key and value have the lengths that the kernel reads and writes.
    fn check(self, key: usize, value: usize) -> io::Result<()> {
        if (key, value) == (self.key, self.value) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EINVAL)) }
    }
}

/// A map with its shape: one pair that only [`SizedMap::new`] makes, so that no length can be wrong.
#[derive(Debug, Clone, Copy)]
pub struct SizedMap<'a> {
    fd: BorrowedFd<'a>,
    shape: Shape,
}

/// A descriptor that remembers the shape of its map, which is asked for when it is first needed.
#[derive(Debug)]
pub struct Object {
    fd: OwnedFd,
    shape: std::sync::OnceLock<Shape>,
}

impl From<OwnedFd> for Object {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, shape: std::sync::OnceLock::new() }
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Object {
    /// Returns the map with its shape; `possible_cpus` is called at most once for one descriptor.
    pub fn sized(&self, possible_cpus: impl FnOnce() -> io::Result<u32>) -> io::Result<SizedMap<'_>> {
        let shape = match self.shape.get() {
            Some(shape) => *shape,
            None => {
                let shape = Shape::of(self.as_fd(), possible_cpus()?)?;
                *self.shape.get_or_init(|| shape)
            }
        };
        Ok(SizedMap { fd: self.as_fd(), shape })
    }
}

/// How a batch ended.
#[derive(Debug)]
pub enum Batch {
    /// This many entries were worked on, without an error.
    Done(usize),
    /// This many were, and then came the error.
    Ended(usize, io::Error),
    /// None was tried.
    Refused(io::Error),
}

impl Batch {
    /// Tells the end of a batch of `asked` entries, of which the kernel says that it worked on `count`.
    ///
    /// But for `ENOENT` behind the last one that there is to read, an error cannot come behind the last entry. So a count
    /// as it was given is one that the kernel never wrote: it knows no such command, or not for this type, or the
    /// descriptor must not (`bpf_map_do_batch`, kernel/bpf/syscall.c).
    fn of(ended: io::Result<c_long>, asked: u32, count: u32) -> Self {
        match ended {
            Ok(_) => Self::Done(count as usize),
            Err(error) if count == asked && error.raw_os_error() != Some(libc::ENOENT) => Self::Refused(error),
            Err(error) => Self::Ended(count as usize, error),
        }
    }
}

/// The values of an array in memory, one behind the other in whole words, as programs see them too.
#[derive(Debug)]
pub struct ArrayValues {
    memory: Mapping,
    value: usize,
    len: usize,
}

impl ArrayValues {
    /// Returns how many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads the value of an index, word by word; zeros for one that is not there, here as everywhere cut to the value.
    pub fn read(&self, index: usize, value: &mut [u8]) {
        for (word, bytes) in self.words(index).zip(value[..].chunks_mut(WORD)) {
            let read = word.load(Ordering::Relaxed).to_ne_bytes();
            bytes.copy_from_slice(&read[..bytes.len()]);
        }
    }

    /// Writes the value of an index, word by word; the memory must have been mapped for that.
    fn write(&mut self, index: usize, value: &[u8]) {
        for (word, bytes) in self.words(index).zip(value.chunks(WORD)) {
            let mut written = [0; WORD];
            written[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(written), Ordering::Relaxed);
        }
    }

    /// Returns the words of a value; none for an index that is not there.
    fn words(&self, index: usize) -> impl Iterator<Item = &AtomicU64> {
        let words = self.value.div_ceil(WORD);
        let there = if index < self.len { words } else { 0 };
        let start = self.memory.start.as_ptr().cast::<u64>();
        (0..there).map(move |word| {
            // SAFETY: the mapping starts with a page, has `len` values of `words` words each, and lives as long as
            // `self`. Everybody else who writes it does so word by word as well, or is no part of this program.
            unsafe { AtomicU64::from_ptr(start.add(index * words + word)) }
        })
    }
}

/// Values of an array that may be written, too.
#[derive(Debug)]
pub struct WritableValues(ArrayValues);

impl WritableValues {
    /// Writes the value of an index; `E2BIG` when it is not there, as the kernel says it.
    pub fn write(&mut self, index: usize, value: &[u8]) -> io::Result<()> {
        match (index < self.0.len, value.len() == self.0.value) {
            (true, true) => self.0.write(index, value),
            (false, _) => return Err(io::Error::from_raw_os_error(libc::E2BIG)),
            (true, false) => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
        Ok(())
    }
}

impl WritableValues {
    /// Writes some bits of the first value, and nothing else of the words that they are in; `EINVAL` when they end behind
    /// it.
    pub fn write_part(&mut self, part: &Patch) -> io::Result<()> {
        let range = part.range();
        if range.end > self.0.value {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let (first, mut bytes) = (range.start / WORD, part.bytes().peekable());
        for (index, word) in self.0.words(0).enumerate().skip(first) {
            let (mut mask, mut value) = ([0; WORD], [0; WORD]);
            while let Some((at, bits, holds)) = bytes.next_if(|(at, ..)| at / WORD == index) {
                (mask[at % WORD], value[at % WORD]) = (bits, holds);
            }
            let (mask, value) = (u64::from_ne_bytes(mask), u64::from_ne_bytes(value));
            word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now & !mask | value))
                .expect("there is always a next value");
            if bytes.peek().is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Bytes of a word; the values of an array are rounded up to whole ones (`array_map_alloc`, kernel/bpf/arraymap.c).
const WORD: usize = size_of::<u64>();

impl SizedMap<'_> {
    /// Returns the shape of the map.
    pub fn shape(self) -> Shape {
        self.shape
    }

    /// `BPF_MAP_LOOKUP_BATCH` behind the cursor `from`, or from the start, of as many entries as `keys` and `values`
    /// have room for. It writes the next cursor to `next`. `EINVAL` for a wrong length.
    pub fn lookup_batch(
        self,
        from: Option<&[u8]>,
        next: &mut [u8],
        keys: &mut [u8],
        values: &mut [u8],
    ) -> io::Result<Batch> {
        let asked = self.shape.count(keys, Some(values))?;
        if next.len() != self.shape.cursor() || from.is_some_and(|from| from.len() != self.shape.cursor()) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut attr = MapLookupBatch {
            in_batch: from.map_or(0, address),
            out_batch: address_mut(next),
            keys: address_mut(keys),
            values: address_mut(values),
            count: asked,
            map_fd: number(self.fd),
            ..MapLookupBatch::default()
        };
        // SAFETY: keys and values have room for `count` of them, and both cursors for a key or the number of a bucket.
        let ended = unsafe { bpf(&mut attr) };
        Ok(Batch::of(ended, asked, attr.count))
    }

    /// `BPF_MAP_UPDATE_BATCH` with no flags, entry by entry in their order; `EINVAL` for a wrong length.
    pub fn update_batch(self, keys: &[u8], values: &[u8]) -> io::Result<Batch> {
        let asked = self.shape.count(keys, Some(values))?;
        let (keys, values, map_fd) = (address(keys), address(values), number(self.fd));
        let mut attr = MapUpdateBatch { keys, values, count: asked, map_fd, ..MapUpdateBatch::default() };
        // SAFETY: there are `count` keys and values.
        let ended = unsafe { bpf(&mut attr) };
        Ok(Batch::of(ended, asked, attr.count))
    }

    /// `BPF_MAP_DELETE_BATCH`, key by key in their order; it ends with `ENOENT` at one that is not there. `EINVAL` for a
    /// wrong length.
    pub fn delete_batch(self, keys: &[u8]) -> io::Result<Batch> {
        let asked = self.shape.count(keys, None)?;
        let mut attr =
            MapDeleteBatch { keys: address(keys), count: asked, map_fd: number(self.fd), ..MapDeleteBatch::default() };
        // SAFETY: there are `count` keys.
        let ended = unsafe { bpf(&mut attr) };
        Ok(Batch::of(ended, asked, attr.count))
    }

    /// Maps the values of an array with `BPF_F_MMAPABLE` for reading; `EINVAL` for any other map.
    pub fn values(self) -> io::Result<ArrayValues> {
        self.map_values(libc::PROT_READ)
    }

    /// The same for writing too. The map cannot be frozen until this is dropped.
    pub fn writable_values(self) -> io::Result<WritableValues> {
        self.map_values(libc::PROT_READ | libc::PROT_WRITE).map(WritableValues)
    }

    fn map_values(self, access: c_int) -> io::Result<ArrayValues> {
        let (shape, invalid) = (self.shape, || io::Error::from_raw_os_error(libc::EINVAL));
        if shape.map_type != MapType::ARRAY || shape.flags & crate::spec::flags::MMAPABLE == 0 {
            return Err(invalid());
        }
        let len = shape.value.next_multiple_of(WORD).checked_mul(shape.max_entries()).ok_or_else(invalid)?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, libc::MAP_SHARED, self.fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = Mapping { start: ptr::NonNull::new(start).ok_or_else(invalid)?, len };
        Ok(ArrayValues { memory, value: shape.value, len: shape.max_entries() })
    }

    /// `BPF_MAP_LOOKUP_ELEM` into `value`; `EINVAL` for a wrong length.
    pub fn lookup(self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        self.shape.check(key.len(), value.len())?;
        let mut attr =
            MapLookup { map_fd: number(self.fd), key: address(key), value: address_mut(value), ..MapLookup::default() };
        // SAFETY: both slices are as long as the kernel reads and writes.
        unsafe { bpf(&mut attr) }.map(drop)
    }

    /// `BPF_MAP_UPDATE_ELEM` with no flags; `EINVAL` for a wrong length.
    pub fn update(self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.update_with(key, value, 0)
    }

    /// `BPF_MAP_UPDATE_ELEM` with `BPF_NOEXIST`; `EEXIST` when the key is there, `EINVAL` for a wrong length.
    pub fn add(self, key: &[u8], value: &[u8]) -> io::Result<()> {
        const BPF_NOEXIST: u64 = 1;
        self.update_with(key, value, BPF_NOEXIST)
    }

    fn update_with(self, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
        self.shape.check(key.len(), value.len())?;
        let mut attr = MapUpdate {
            map_fd: number(self.fd),
            key: address(key),
            value: address(value),
            flags,
            ..MapUpdate::default()
        };
        // SAFETY: both slices are as long as the kernel reads.
        unsafe { bpf(&mut attr) }.map(drop)
    }

    /// `BPF_MAP_DELETE_ELEM`; `EINVAL` for a wrong length.
    pub fn delete(self, key: &[u8]) -> io::Result<()> {
        self.shape.check(key.len(), self.shape.value)?;
        let mut attr = MapDelete { map_fd: number(self.fd), key: address(key), ..MapDelete::default() };
        // SAFETY: the slice is as long as the kernel reads.
        unsafe { bpf(&mut attr) }.map(drop)
    }

    /// `BPF_MAP_GET_NEXT_KEY` into `next`; `EINVAL` for a wrong length.
    pub fn next_key(self, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<()> {
        self.shape.check(key.map_or(next.len(), <[u8]>::len), self.shape.value)?;
        self.shape.check(next.len(), self.shape.value)?;
        let mut attr = MapNextKey {
            map_fd: number(self.fd),
            key: key.map_or(0, address),
            value: address_mut(next),
            ..MapNextKey::default()
        };
        // SAFETY: both slices are as long as the kernel reads and writes.
        unsafe { bpf(&mut attr) }.map(drop)
    }
}

/// `membarrier(2)` for all CPUs, which returns when every program that ran without sleeping has ended: it waits for RCU
/// (`membarrier_cmd_global`, kernel/sched/membarrier.c). `EINVAL` on a kernel with `nohz_full`.
pub fn wait_for_all_cpus() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: c_long = 1;
    // SAFETY: there is no address in it.
    let ret = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0 as c_long, 0 as c_long) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `BPF_MAP_FREEZE`
pub fn map_freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = MapFreeze { map_fd: number(map) };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// `BPF_PROG_BIND_MAP` (Linux 5.10)
pub fn prog_bind_map(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = ProgBindMap { prog_fd: number(program), map_fd: number(map), flags: 0 };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// What a command says besides its error.
#[derive(Debug, Default)]
pub struct Log<'a> {
    /// Where the text goes; empty for no log.
    pub buffer: &'a mut [u8],
    /// How many bytes the whole text needs, where the kernel tells (6.4 and newer), else 0.
    pub needed: usize,
}

impl Log<'_> {
    /// Returns `log_level`: 1 tells the instructions that were verified, 0 goes with no buffer.
    fn level(&self) -> u32 {
        u32::from(!self.buffer.is_empty())
    }
}

// What of a program the kernel reads as it is: all fields are little-endian numbers without gaps.
const _: () = assert!(size_of::<Insn>() == Insn::SIZE && cfg!(target_endian = "little"));
const _: () = assert!(size_of::<FuncRecord>() == 8 && size_of::<LineRecord>() == 16);

/// `BPF_PROG_LOAD`, tried again when a signal interrupted the verifier (`EAGAIN`), five times in all like libbpf.
pub fn prog_load<F: AsFd>(request: &ProgramRequest<'_, F>, license: &CStr, log: &mut Log<'_>) -> io::Result<OwnedFd> {
    let ProgramRequest { insns, funcs, lines, .. } = *request;
    let mut attr = ProgLoad {
        prog_type: request.program_type.0,
        insn_cnt: count(insns.len())?,
        insns: address(insns),
        license: address(license.to_bytes_with_nul()),
        log_level: log.level(),
        log_size: count(log.buffer.len())?,
        log_buf: address_mut(log.buffer),
        kern_version: request.kernel_version,
        prog_flags: request.flags,
        prog_name: object_name(request.name)?,
        expected_attach_type: request.expected_attach_type.0,
        prog_btf_fd: request.btf.map_or(0, number),
        func_info_rec_size: if funcs.is_empty() { 0 } else { size_of::<FuncRecord>() as u32 },
        func_info: address(funcs),
        func_info_cnt: count(funcs.len())?,
        line_info_rec_size: if lines.is_empty() { 0 } else { size_of::<LineRecord>() as u32 },
        line_info: address(lines),
        line_info_cnt: count(lines.len())?,
        attach_btf_id: request.attach_btf_id,
        attach_prog_fd: request.attach_to.map_or(0, number),
        fd_array: address(request.fd_array),
        ..ProgLoad::default()
    };
    let mut attempts = 5;
    loop {
        attempts -= 1;
        // SAFETY: every slice lives until here and is as long as its count; the command returns a descriptor.
        let result = unsafe { bpf_fd(&mut attr) };
        log.needed = attr.log_true_size as usize;
        match result {
            Err(error) if attempts > 0 && matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            result => return result,
        }
    }
}

/// No program makes a packet so much longer: `__bpf_skb_max_len` is 16 KiB, and a frame of XDP grows within its page. Were
/// there less room, the program would have run before the kernel says so, and a second run would find what it left in maps.
const PACKET_GROWTH: usize = 1 << 16;

/// `BPF_PROG_TEST_RUN`. Signals interrupt many runs at once (`EINTR`), which are then begun anew.
pub fn prog_test_run(program: BorrowedFd<'_>, request: &RunRequest<'_>) -> io::Result<Ran> {
    let packet_in = request.packet.unwrap_or_default();
    let mut packet = vec![0; request.packet.map_or(0, |packet| packet.len() + PACKET_GROWTH)];
    let mut context = vec![0; request.context_len];
    loop {
        let mut attr = ProgTestRun {
            prog_fd: number(program),
            data_size_in: count(packet_in.len())?,
            data_size_out: count(packet.len())?,
            data_in: address(packet_in),
            data_out: address_mut(&mut packet),
            repeat: request.repeat,
            ctx_size_in: count(request.context.len())?,
            ctx_size_out: count(context.len())?,
            ctx_in: address(request.context),
            ctx_out: address_mut(&mut context),
            ..ProgTestRun::default()
        };
        // SAFETY: every slice lives until here and is as long as its count.
        match unsafe { bpf(&mut attr) } {
            Ok(_) => {
                packet.truncate(attr.data_size_out as usize);
                context.truncate(attr.ctx_size_out as usize);
                return Ok(Ran { verdict: attr.retval, packet, context, nanoseconds: attr.duration });
            }
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// `BPF_BTF_LOAD`
pub fn btf_load(btf: &[u8], log: &mut Log<'_>) -> io::Result<OwnedFd> {
    let mut attr = BtfLoad {
        btf: address(btf),
        btf_log_buf: address_mut(log.buffer),
        btf_size: count(btf.len())?,
        btf_log_size: count(log.buffer.len())?,
        btf_log_level: log.level(),
        btf_log_true_size: 0,
    };
    // SAFETY: both slices live until here and are as long as their counts; the command returns a descriptor.
    let result = unsafe { bpf_fd(&mut attr) };
    log.needed = attr.btf_log_true_size as usize;
    result
}

/// `renameat2` with `RENAME_NOREPLACE`, which bpffs has on every kernel with links.
pub fn rename_new(from: &CStr, to: &CStr) -> io::Result<()> {
    let (at, flags) = (libc::AT_FDCWD, libc::RENAME_NOREPLACE);
    // SAFETY: both names end with a NUL and live until the call is over.
    let ret = unsafe { libc::syscall(libc::SYS_renameat2, at, from.as_ptr(), at, to.as_ptr(), flags) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `BPF_OBJ_PIN`
pub fn obj_pin(fd: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let mut attr = ObjPin { pathname: address(path.to_bytes_with_nul()), bpf_fd: number(fd), file_flags: 0 };
    // SAFETY: the path ends with a NUL and lives until here.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// `BPF_OBJ_PIN` in an open folder (`BPF_F_PATH_FD`, Linux 6.5); `EINVAL` from a kernel that knows nothing of it.
pub fn obj_pin_at(fd: BorrowedFd<'_>, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    const BPF_F_PATH_FD: u32 = 1 << 14;
    let mut attr = ObjPinAt {
        pathname: address(name.to_bytes_with_nul()),
        bpf_fd: number(fd),
        file_flags: BPF_F_PATH_FD,
        path_fd: number(folder),
        pad: 0,
    };
    // SAFETY: the name ends with a NUL and lives until here.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// `BPF_OBJ_GET`
pub fn obj_get(path: &CStr) -> io::Result<OwnedFd> {
    let mut attr = ObjGet { pathname: address(path.to_bytes_with_nul()), ..ObjGet::default() };
    // SAFETY: the path ends with a NUL and lives until here; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// `BPF_MAP_GET_FD_BY_ID`
pub fn map_by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut MapById { id, ..MapById::default() }) }
}

/// `BPF_PROG_GET_FD_BY_ID`
pub fn prog_by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut ProgById { id, ..ProgById::default() }) }
}

/// `BPF_BTF_GET_FD_BY_ID`
pub fn btf_by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut BtfById { id, ..BtfById::default() }) }
}

/// `BPF_BTF_GET_NEXT_ID`; `ENOENT` behind the last one.
pub fn next_btf(after: u32) -> io::Result<u32> {
    let mut attr = BtfNextId { start_id: after, next_id: 0 };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(|_| attr.next_id)
}

/// `BPF_PROG_GET_NEXT_ID`; `ENOENT` behind the last one.
pub fn next_program(after: u32) -> io::Result<u32> {
    let mut attr = ProgNextId { start_id: after, next_id: 0 };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(|_| attr.next_id)
}

/// Structures that `BPF_OBJ_GET_INFO_BY_FD` reads and writes.
///
/// # Safety
/// The type is `repr(C)`, has no padding, and any bytes are a value of it.
unsafe trait Info {}

macro_rules! info {
    ($(#[$doc:meta])* $name:ident, size $size:literal { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Default)]
        pub struct $name { $(pub $field: $type,)* }
        const _: () = assert!(size_of::<$name>() == $size && 0 $(+ size_of::<$type>())* == $size);
        // SAFETY: the assertion shows that there is no padding; the fields are numbers.
        unsafe impl Info for $name {}
    };
}

info!(
    /// `struct bpf_map_info` up to `map_extra`.
    MapInfo, size 88 {
        map_type: u32,
        id: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        name: [u8; 16],
        ifindex: u32,
        btf_vmlinux_value_type_id: u32,
        netns_dev: u64,
        netns_ino: u64,
        btf_id: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
        btf_vmlinux_id: u32,
        map_extra: u64,
    }
);
info!(
    /// `struct bpf_prog_info` up to `attach_btf_obj_id`.
    ProgInfo, size 224 {
        prog_type: u32,
        id: u32,
        tag: [u8; 8],
        jited_prog_len: u32,
        xlated_prog_len: u32,
        jited_prog_insns: u64,
        xlated_prog_insns: u64,
        load_time: u64,
        created_by_uid: u32,
        nr_map_ids: u32,
        map_ids: u64,
        name: [u8; 16],
        ifindex: u32,
        gpl_compatible: u32,
        netns_dev: u64,
        netns_ino: u64,
        nr_jited_ksyms: u32,
        nr_jited_func_lens: u32,
        jited_ksyms: u64,
        jited_func_lens: u64,
        btf_id: u32,
        func_info_rec_size: u32,
        func_info: u64,
        nr_func_info: u32,
        nr_line_info: u32,
        line_info: u64,
        jited_line_info: u64,
        nr_jited_line_info: u32,
        line_info_rec_size: u32,
        jited_line_info_rec_size: u32,
        nr_prog_tags: u32,
        prog_tags: u64,
        run_time_ns: u64,
        run_cnt: u64,
        recursion_misses: u64,
        verified_insns: u32,
        attach_btf_obj_id: u32,
    }
);
info!(
    /// `struct bpf_btf_info`; kernels before 5.11 know it up to `id`.
    BtfInfo, size 32 { btf: u64, btf_size: u32, id: u32, name: u64, name_len: u32, kernel_btf: u32, }
);
info!(
    /// `struct bpf_link_info` with the first 16 bytes of its union.
    LinkInfo, size 32 {
        link_type: u32,
        id: u32,
        prog_id: u32,
        pad: u32,
        first: u32,
        second: u32,
        third: u32,
        fourth: u32,
    }
);

info!(
    /// `struct bpf_link_info` of a link that has a name: a raw tracepoint, an iterator.
    NamedLinkInfo, size 32 { link_type: u32, id: u32, prog_id: u32, pad: u32, name: u64, name_len: u32, rest: u32, }
);
info!(
    /// `struct bpf_link_info` of a link to an event of `perf_event_open`; kernels before 6.6 tell nothing of it.
    PerfLinkInfo, size 64 {
        link_type: u32,
        id: u32,
        prog_id: u32,
        pad: u32,
        kind: u32,
        more: u32,
        name: u64, // In one place with the configuration of a counter,
        name_len: u32, // and this with its type.
        offset: u32,
        rest: [u64; 3],
    }
);

/// `BPF_OBJ_GET_INFO_BY_FD`
///
/// # Safety
/// Every address in `info` is valid for what the kernel does with it.
unsafe fn obj_info<I: Info>(fd: BorrowedFd<'_>, info: &mut I) -> io::Result<()> {
    let mut attr = InfoByFd {
        bpf_fd: number(fd),
        info_len: size_of::<I>() as u32,
        info: ptr::from_mut(info).expose_provenance() as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes; the caller promises the addresses in it.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// Asks what a map is.
pub fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut info = MapInfo::default();
    // SAFETY: there is no address in it.
    unsafe { obj_info(map, &mut info) }.map(|()| info)
}

/// Asks what a link is.
pub fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    let mut info = LinkInfo::default();
    // SAFETY: there is no address in it.
    unsafe { obj_info(link, &mut info) }.map(|()| info)
}

/// The longest name that a link has: the path of a file (`PATH_MAX`).
const LONGEST_NAME: usize = 4096;

/// Asks for the name of what a raw tracepoint or an iterator is of.
pub fn link_name(link: BorrowedFd<'_>) -> io::Result<String> {
    let mut name = vec![0; LONGEST_NAME];
    let mut info =
        NamedLinkInfo { name: address_mut(&mut name), name_len: count(name.len())?, ..NamedLinkInfo::default() };
    // SAFETY: the kernel writes at most `name_len` bytes to `name`.
    unsafe { obj_info(link, &mut info) }?;
    Ok(before_nul(&name))
}

/// Asks what a link to an event of `perf_event_open` is of, and for its name, if it has one.
pub fn perf_info(link: BorrowedFd<'_>) -> io::Result<(PerfLinkInfo, String)> {
    /// `BPF_PERF_EVENT_UPROBE` to `BPF_PERF_EVENT_TRACEPOINT`
    const NAMED: std::ops::RangeInclusive<u32> = 1..=5;
    let mut info = PerfLinkInfo::default();
    // SAFETY: there is no address in it.
    unsafe { obj_info(link, &mut info) }?;
    if !NAMED.contains(&info.kind) {
        return Ok((info, String::new()));
    }
    let mut name = vec![0; LONGEST_NAME];
    let mut info =
        PerfLinkInfo { name: address_mut(&mut name), name_len: count(name.len())?, ..PerfLinkInfo::default() };
    // SAFETY: the kernel writes at most `name_len` bytes to `name`.
    unsafe { obj_info(link, &mut info) }?;
    Ok((info, before_nul(&name)))
}

/// Returns the text in a buffer up to the first NUL.
fn before_nul(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Asks what a program is; as many ids of its maps are written as there is room for.
pub fn prog_info(program: BorrowedFd<'_>, map_ids: &mut [u32]) -> io::Result<ProgInfo> {
    let mut info = ProgInfo { nr_map_ids: count(map_ids.len())?, map_ids: address_mut(map_ids), ..ProgInfo::default() };
    // SAFETY: `map_ids` has room for `nr_map_ids` numbers.
    unsafe { obj_info(program, &mut info) }.map(|()| info)
}

/// Asks for a program's instructions as the verifier has left them, with where its functions and source lines begin: as
/// many of each are written as there is room for.
pub fn prog_code(
    program: BorrowedFd<'_>,
    insns: &mut [Insn],
    funcs: &mut [FuncRecord],
    lines: &mut [LineRecord],
) -> io::Result<ProgInfo> {
    let mut info = ProgInfo {
        xlated_prog_len: count(size_of_val(insns))?,
        xlated_prog_insns: address_mut(insns),
        nr_func_info: count(funcs.len())?,
        func_info: address_mut(funcs),
        // The kernel wants the sizes that it knows (`set_info_rec_size`, kernel/bpf/syscall.c).
        func_info_rec_size: if funcs.is_empty() { 0 } else { size_of::<FuncRecord>() as u32 },
        nr_line_info: count(lines.len())?,
        line_info: address_mut(lines),
        line_info_rec_size: if lines.is_empty() { 0 } else { size_of::<LineRecord>() as u32 },
        ..ProgInfo::default()
    };
    // SAFETY: each list has room for what is said of it, and any bytes are a value of its elements.
    unsafe { obj_info(program, &mut info) }.map(|()| info)
}

/// Asks for BTF; as many bytes are written as there is room for, and `btf_size` tells how many there are.
pub fn btf_info(btf: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<BtfInfo> {
    let mut info = BtfInfo { btf_size: count(bytes.len())?, btf: address_mut(bytes), ..BtfInfo::default() };
    // SAFETY: `bytes` has room for `btf_size` bytes.
    unsafe { obj_info(btf, &mut info) }.map(|()| info)
}

/// Asks what BTF is of; its name, with a NUL behind it, is written to `name`.
pub fn btf_name(btf: BorrowedFd<'_>, name: &mut [u8]) -> io::Result<BtfInfo> {
    let mut info = BtfInfo { name_len: count(name.len())?, name: address_mut(name), ..BtfInfo::default() };
    // SAFETY: `name` has room for `name_len` bytes.
    unsafe { obj_info(btf, &mut info) }.map(|()| info)
}

/// Maps an arena of `size` bytes, at `address` unless that is 0, writes its first bytes, and lets it go.
pub fn write_arena(map: BorrowedFd<'_>, address: u64, size: u64, bytes: &[u8]) -> io::Result<()> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let (address, len) = (usize::try_from(address), usize::try_from(size));
    let (Ok(address), Ok(len)) = (address, len) else { return Err(invalid()) };
    if bytes.len() > len {
        return Err(invalid());
    }
    let place = if address == 0 { libc::MAP_SHARED } else { libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE };
    let (wanted, access) = (ptr::without_provenance_mut(address), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping, where nothing else is.
    let start = unsafe { libc::mmap(wanted, len, access, place, map.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let arena = Mapping { start: ptr::NonNull::new(start).ok_or_else(invalid)?, len };
    if bytes.is_empty() {
        return Ok(());
    }
    // A page that the kernel cannot give is an error for a system call, and else a signal.
    // SAFETY: the name ends with NUL.
    let fd = unsafe { libc::memfd_create(c"arena".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and nobody else has it.
    let mut file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    io::Write::write_all(&mut file, bytes)?;
    let mut done = 0;
    while done < bytes.len() {
        let (rest, offset) = (bytes.len() - done, done as libc::off_t);
        // SAFETY: the mapping is longer than all of `bytes`, and nobody else looks at it here.
        let read = unsafe { libc::pread(file.as_raw_fd(), arena.start.as_ptr().byte_add(done), rest, offset) };
        match usize::try_from(read) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::EIO)),
            Ok(read) => done += read,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

/// A file in memory, readable, until it is dropped.
#[derive(Debug)]
pub struct Mapping {
    start: ptr::NonNull<libc::c_void>,
    len: usize,
}

// SAFETY: the memory is only read, and belongs to no thread.
unsafe impl Send for Mapping {}
// SAFETY: the memory is only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file that never changes, such as the kernel's own BTF.
    pub fn new(file: BorrowedFd<'_>, len: u64) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        match ptr::NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the mapping has this length, lives as long as `self`, and nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is our mapping, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}

/// `BPF_LINK_CREATE`; `target` is an interface's index or a descriptor's [`number`].
fn link_create(program: BorrowedFd<'_>, target: u32, attach_type: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate { prog_fd: number(program), target, attach_type, flags };
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// A place among the programs of a hook, in numbers: the flags, the id that they are about, and the revision.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// `BPF_F_BEFORE`, `BPF_F_AFTER`, `BPF_F_ID`, `BPF_F_LINK`.
    pub flags: u32,
    /// Id of a program or a link.
    pub relative: u32,
    /// The revision that the hook must have, or 0.
    pub revision: u64,
}

fn link_ordered(program: BorrowedFd<'_>, target: u32, attach_type: u32, order: Order) -> io::Result<OwnedFd> {
    let Order { flags, relative, revision } = order;
    let (prog_fd, expected_revision) = (number(program), revision);
    let mut attr = LinkCreateOrdered { prog_fd, target, attach_type, flags, relative, pad: 0, expected_revision };
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// `BPF_LINK_CREATE` of tcx on an interface.
pub fn link_tcx(program: BorrowedFd<'_>, ifindex: u32, attach_type: u32, order: Order) -> io::Result<OwnedFd> {
    link_ordered(program, ifindex, attach_type, order)
}

/// `BPF_LINK_CREATE` on an interface.
pub fn link_interface(program: BorrowedFd<'_>, ifindex: u32, attach_type: u32, flags: u32) -> io::Result<OwnedFd> {
    link_create(program, ifindex, attach_type, flags)
}

/// `BPF_LINK_CREATE` on a cgroup.
pub fn link_cgroup(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    attach_type: u32,
    order: Order,
) -> io::Result<OwnedFd> {
    link_ordered(program, number(cgroup), attach_type, order)
}

/// `BPF_LINK_CREATE` on a network namespace.
pub fn link_netns(program: BorrowedFd<'_>, netns: BorrowedFd<'_>, attach_type: u32) -> io::Result<OwnedFd> {
    link_create(program, number(netns), attach_type, 0)
}

/// `BPF_LINK_CREATE` on a map of sockets.
pub fn link_map(program: BorrowedFd<'_>, map: BorrowedFd<'_>, attach_type: u32) -> io::Result<OwnedFd> {
    link_create(program, number(map), attach_type, 0)
}

/// `BPF_LINK_CREATE` of a map that holds a struct of functions, which stands in the place of a program.
pub fn link_struct(map: BorrowedFd<'_>, attach_type: u32) -> io::Result<OwnedFd> {
    link_create(map, 0, attach_type, 0)
}

/// `BPF_LINK_CREATE` on netfilter: protocol, hook, priority, flags.
pub fn link_netfilter(program: BorrowedFd<'_>, attach_type: u32, hook: [u32; 4]) -> io::Result<OwnedFd> {
    let [family, hook, priority, hook_flags] = hook;
    let mut attr = LinkCreateNetfilter {
        prog_fd: number(program),
        attach_type,
        family,
        hook,
        priority,
        hook_flags,
        ..LinkCreateNetfilter::default()
    };
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// `BPF_RAW_TRACEPOINT_OPEN`; without a name it is what the program was loaded for.
pub fn raw_tracepoint(program: BorrowedFd<'_>, name: Option<&CStr>, cookie: Option<u64>) -> io::Result<OwnedFd> {
    let name = name.map_or(0, |name| address(name.to_bytes_with_nul()));
    let prog_fd = number(program);
    match cookie {
        // SAFETY: `name` ends with a NUL, or is 0; the command returns a descriptor.
        None => unsafe { bpf_fd(&mut RawTracepointOpen { name, prog_fd, pad: 0 }) },
        // SAFETY: the same.
        Some(cookie) => unsafe { bpf_fd(&mut RawTracepointOpenCookie { name, prog_fd, pad: 0, cookie }) },
    }
}

/// `BPF_LINK_CREATE` of what the program was loaded for, or of a function of another program: that and its type.
pub fn link_tracing(
    program: BorrowedFd<'_>,
    attach_type: u32,
    target: Option<(BorrowedFd<'_>, u32)>,
    cookie: Option<u64>,
) -> io::Result<OwnedFd> {
    let (target, target_btf_id) = target.map_or((0, 0), |(target, function)| (number(target), function));
    let prog_fd = number(program);
    let cookie = cookie.unwrap_or(0);
    let mut attr =
        LinkCreateTracing { prog_fd, target, attach_type, target_btf_id, cookie, ..LinkCreateTracing::default() };
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// `BPF_LINK_CREATE` on an event of `perf_event_open`.
pub fn link_perf(program: BorrowedFd<'_>, event: BorrowedFd<'_>, attach_type: u32, cookie: u64) -> io::Result<OwnedFd> {
    let mut attr = LinkCreatePerf { prog_fd: number(program), target: number(event), attach_type, flags: 0, cookie };
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// `BPF_LINK_CREATE` on many functions of the kernel; all get the same cookie.
pub fn link_functions(
    program: BorrowedFd<'_>,
    attach_type: u32,
    functions: &[CString],
    returns: bool,
    cookie: Option<u64>,
) -> io::Result<OwnedFd> {
    let symbols: Vec<u64> = functions.iter().map(|name| address(name.to_bytes_with_nul())).collect();
    let cookies = cookie.map_or_else(Vec::new, |cookie| vec![cookie; functions.len()]);
    let mut attr = LinkCreateKprobeMulti {
        prog_fd: number(program),
        attach_type,
        probe_flags: returns.into(),
        count: count(functions.len())?,
        symbols: address(&symbols),
        cookies: address(&cookies),
        ..LinkCreateKprobeMulti::default()
    };
    // SAFETY: `symbols` has `count` addresses of names that end with a NUL, and `cookies` as many numbers or none; the
    // command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// `struct perf_event_attr` of `linux/perf_event.h` up to `config2` (`PERF_ATTR_SIZE_VER1`).
#[repr(C)]
#[derive(Debug, Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
}
const _: () = assert!(size_of::<PerfEventAttr>() == 72);

/// What `perf_event_open` is asked for.
#[derive(Debug, Default)]
pub struct Event {
    /// The event source.
    pub kind: u32,
    /// What of it.
    pub config: u64,
    /// The period, or the frequency.
    pub rate: u64,
    /// Whether `rate` is the frequency.
    pub by_frequency: bool,
    /// Bytes behind the start of a function or file.
    pub offset: u64,
}

/// `perf_event_open` of a process and a CPU; -1 for all of them. It runs from the start.
pub fn open_event(event: Event, place: (i32, i32)) -> io::Result<OwnedFd> {
    perf_event_open(event, 0, place)
}

/// `perf_event_open` of an instruction: `name` is the function or the file.
pub fn open_probe(event: Event, name: &CStr, place: (i32, i32)) -> io::Result<OwnedFd> {
    perf_event_open(event, address(name.to_bytes_with_nul()), place)
}

/// `perf_event_open`; `name` is 0 or the address of a text that ends with a NUL.
fn perf_event_open(event: Event, name: u64, (pid, cpu): (i32, i32)) -> io::Result<OwnedFd> {
    /// `PERF_FLAG_FD_CLOEXEC`
    const CLOEXEC: c_long = 8;
    /// The bit `freq` of the flags, which lie in one word of the machine.
    const FREQUENCY: u64 = if cfg!(target_endian = "big") { 1 << (63 - 10) } else { 1 << 10 };
    let attr = PerfEventAttr {
        kind: event.kind,
        size: size_of::<PerfEventAttr>() as u32,
        config: event.config,
        sample: event.rate,
        flags: if event.by_frequency { FREQUENCY } else { 0 },
        config1: name,
        config2: event.offset,
        ..PerfEventAttr::default()
    };
    // SAFETY: `attr` has the size that it says, and the kernel reads it and the text at `config1`, which ends with a NUL;
    // -1 is no group.
    let raw = unsafe { libc::syscall(libc::SYS_perf_event_open, ptr::from_ref(&attr), pid, cpu, -1, CLOEXEC) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us.
    above_stdio(unsafe { OwnedFd::from_raw_fd(raw as c_int) })
}

/// `BPF_LINK_GET_FD_BY_ID`
pub fn link_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = LinkById { id, ..LinkById::default() };
    // SAFETY: there is no address in it; the command returns a descriptor.
    unsafe { bpf_fd(&mut attr) }
}

/// `BPF_LINK_GET_NEXT_ID`
pub fn next_link(after: u32) -> io::Result<u32> {
    let mut attr = LinkNextId { start_id: after, next_id: 0 };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(|_| attr.next_id)
}

/// What `BPF_PROG_QUERY` tells.
#[derive(Debug)]
pub struct Queried {
    /// The programs, and the links that run them where it was asked for; 0 for a program without one.
    pub ids: Vec<(u32, u32)>,
    /// The revision of the hook; 0 where the kernel does not write it.
    pub revision: u64,
}

/// `BPF_PROG_QUERY`; `target` is an interface's index or a descriptor's [`number`].
fn prog_query(target: u32, attach_type: u32, links: bool) -> io::Result<Queried> {
    /// `BPF_MPROG_MAX` (linux/bpf_mprog.h) and `BPF_CGROUP_MAX_PROGS` (linux/bpf-cgroup-defs.h).
    const MOST: usize = 64;
    let (mut ids, mut link_ids) = (vec![0; MOST], vec![0; MOST]);
    let mut attr = ProgQuery {
        target,
        attach_type,
        prog_ids: address_mut(&mut ids),
        prog_cnt: count(ids.len())?,
        link_ids: if links { address_mut(&mut link_ids) } else { 0 },
        ..ProgQuery::default()
    };
    // SAFETY: `ids` and `link_ids` have room for `prog_cnt` numbers each.
    unsafe { bpf(&mut attr) }?;
    let ids = ids.into_iter().zip(link_ids).take(attr.prog_cnt as usize);
    Ok(Queried { ids: ids.collect(), revision: attr.revision })
}

/// `BPF_PROG_QUERY` of an interface.
pub fn query_interface(ifindex: u32, attach_type: u32) -> io::Result<Queried> {
    prog_query(ifindex, attach_type, true)
}

/// `BPF_PROG_QUERY` of no file: `EBADF` when the kernel knows the attach type as one of network namespaces.
pub fn query_nothing(attach_type: u32) -> io::Result<()> {
    prog_query(u32::MAX, attach_type, false).map(drop)
}

/// `BPF_PROG_QUERY` of a cgroup, without the programs of those above it.
pub fn query_cgroup(cgroup: BorrowedFd<'_>, attach_type: u32) -> io::Result<Queried> {
    // It does not tell links, and older kernels refuse the question.
    prog_query(number(cgroup), attach_type, false)
}

/// Returns whether programs are attached to a cgroup's hook, and the flags that they were attached with.
pub fn cgroup_flags(cgroup: BorrowedFd<'_>, attach_type: u32) -> io::Result<(bool, u32)> {
    let mut attr = ProgQuery { target: number(cgroup), attach_type, ..ProgQuery::default() };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(|_| (attr.prog_cnt != 0, attr.attach_flags))
}

/// `BPF_PROG_ATTACH` to a cgroup beside others, or in the place of one of them (Linux 5.6).
pub fn prog_attach(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    attach_type: u32,
    replaces: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    const REPLACE: u32 = 1 << 2;
    let mut attr = ProgAttach {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type,
        attach_flags: ALLOW_MULTI | replaces.map_or(0, |_| REPLACE),
        replace_bpf_fd: replaces.map_or(0, number),
    };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// `BPF_PROG_DETACH` from a cgroup; `ENOENT` when the program is not attached there but by a link.
pub fn prog_detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>, attach_type: u32) -> io::Result<()> {
    let mut attr =
        ProgDetach { target_fd: number(cgroup), attach_bpf_fd: number(program), attach_type, ..ProgDetach::default() };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// `BPF_F_ALLOW_MULTI` of `linux/bpf.h`.
pub const ALLOW_MULTI: u32 = 1 << 1;

/// `BPF_F_ALLOW_OVERRIDE` of `linux/bpf.h`.
pub const ALLOW_OVERRIDE: u32 = 1;

/// `BPF_PROG_QUERY` of a network namespace.
pub fn query_netns(netns: BorrowedFd<'_>, attach_type: u32) -> io::Result<Queried> {
    prog_query(number(netns), attach_type, false)
}

/// `BPF_PROG_QUERY` of a map of sockets.
pub fn query_map(map: BorrowedFd<'_>, attach_type: u32) -> io::Result<Queried> {
    prog_query(number(map), attach_type, false)
}

/// Returns the `CLONE_NEW*` flag that makes namespaces like this one; `ENOTTY` when it is none.
pub fn namespace_kind(namespace: BorrowedFd<'_>) -> io::Result<i32> {
    /// `linux/nsfs.h`
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: this request takes no argument and writes nothing.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) };
    if kind < 0 { Err(io::Error::last_os_error()) } else { Ok(kind) }
}

/// Lets the calling thread work in a network namespace, and none of the others of this process.
pub fn enter_netns(netns: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a descriptor and a number go in.
    let ret = unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) };
    if ret != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `BPF_LINK_UPDATE` with `BPF_F_REPLACE`: `EPERM` when the link does not run `old`. For a struct of functions both are
/// maps.
pub fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>, old: BorrowedFd<'_>) -> io::Result<()> {
    const REPLACE: u32 = 1 << 2;
    let mut attr =
        LinkUpdate { link_fd: number(link), new_prog_fd: number(program), flags: REPLACE, old_prog_fd: number(old) };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// `BPF_LINK_DETACH`
pub fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkDetach { link_fd: number(link) };
    // SAFETY: there is no address in it.
    unsafe { bpf(&mut attr) }.map(drop)
}

/// Returns the name of an interface, with NULs behind it; `ENXIO` when there is none.
pub fn interface_name(index: u32) -> io::Result<[u8; libc::IF_NAMESIZE]> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer has as many bytes as the longest name with its NUL.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() { Err(io::Error::last_os_error()) } else { Ok(name) }
}

/// Returns the magic number of the file system that holds a path (`linux/magic.h`).
pub fn file_system(path: &CStr) -> io::Result<u32> {
    let mut buffer = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends with a NUL; the kernel fills the buffer when it returns 0.
    if unsafe { libc::statfs(path.as_ptr(), buffer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel filled it. The number's type has another width on each architecture.
    Ok(unsafe { buffer.assume_init() }.f_type as u32)
}

/// Makes a bpffs that is mounted nowhere yet (Linux 5.2), with the mode that systemd gives it: for root alone. Returns
/// the mount; dropping it before it is moved anywhere takes it away.
pub fn new_bpffs() -> io::Result<OwnedFd> {
    // SAFETY: the text ends with a NUL and lives until here.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"bpf".as_ptr(), libc::FSOPEN_CLOEXEC) })?;
    for (key, value) in [(c"source", c"bpf"), (c"mode", c"0700")] {
        configure(&context, libc::FSCONFIG_SET_STRING, Some((key, value)))?;
    }
    configure(&context, libc::FSCONFIG_CMD_CREATE, None)?;
    let attributes =
        libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RELATIME;
    // SAFETY: numbers go in, and the descriptor lives until here.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), libc::FSMOUNT_CLOEXEC, attributes) })
}

/// Sets a parameter of a file system that is being made, or runs a command without one.
fn configure(context: &OwnedFd, command: u32, parameter: Option<(&CStr, &CStr)>) -> io::Result<()> {
    let (key, value) = parameter.map_or((ptr::null(), ptr::null()), |(key, value)| (key.as_ptr(), value.as_ptr()));
    // SAFETY: both texts end with a NUL and live until here, or are none.
    let ret = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0) };
    if ret != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Mounts on a folder what is mounted nowhere yet (Linux 5.2).
pub fn move_mount(mount: BorrowedFd<'_>, at: &CStr) -> io::Result<()> {
    let (from, flags) = (mount.as_raw_fd(), libc::MOVE_MOUNT_F_EMPTY_PATH);
    // SAFETY: both texts end with a NUL and live until here.
    let ret = unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), libc::AT_FDCWD, at.as_ptr(), flags) };
    if ret != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes the descriptor that a system call made.
fn owned(ret: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(ret).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Finds the number of a user by its name, wherever this host keeps its users.
pub fn user(name: &CStr) -> io::Result<Option<u32>> {
    find_account(|buffer| {
        let (mut entry, mut found) = (MaybeUninit::<libc::passwd>::uninit(), ptr::null_mut());
        let (start, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: every pointer is valid for what the function writes, and `buffer` for `len` bytes.
        let code = unsafe { libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), start, len, &raw mut found) };
        // SAFETY: what was found is `entry`, which is written then.
        (code, (!found.is_null()).then(|| unsafe { entry.assume_init() }.pw_uid))
    })
}

/// Finds the number of a group by its name, wherever this host keeps its groups.
pub fn group(name: &CStr) -> io::Result<Option<u32>> {
    find_account(|buffer| {
        let (mut entry, mut found) = (MaybeUninit::<libc::group>::uninit(), ptr::null_mut());
        let (start, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: every pointer is valid for what the function writes, and `buffer` for `len` bytes.
        let code = unsafe { libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), start, len, &raw mut found) };
        // SAFETY: what was found is `entry`, which is written then.
        (code, (!found.is_null()).then(|| unsafe { entry.assume_init() }.gr_gid))
    })
}

/// Asks with a buffer that grows until everything that is known of the account fits.
fn find_account(ask: impl Fn(&mut [u8]) -> (c_int, Option<u32>)) -> io::Result<Option<u32>> {
    /// More than any group has members.
    const LARGEST: usize = 64 << 20;
    let mut buffer = vec![0; 4096];
    loop {
        match ask(&mut buffer) {
            (libc::ERANGE, _) if buffer.len() < LARGEST => buffer.resize(buffer.len() * 4, 0),
            // Each of them is said of a name that nobody has (getpwnam(3)).
            (0 | libc::ENOENT | libc::ESRCH, found) => return Ok(found),
            (code, _) => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Returns the nanoseconds since boot.
pub fn boot_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure lives until here; the clock exists since Linux 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Takes a mount away.
pub fn unmount(at: &CStr) -> io::Result<()> {
    // SAFETY: the text ends with a NUL and lives until here.
    let ret = unsafe { libc::umount2(at.as_ptr(), libc::UMOUNT_NOFOLLOW) };
    if ret != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lifts the limit of locked memory, against which kernels before 5.11 count maps and programs.
pub fn raise_memlock() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit lives until here.
    let ret = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    if ret != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lifts the limit of open files as far as this process may: shells and services often start with 1,024.
pub fn raise_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit lives until here.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the limit lives until here.
    let ret = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if ret != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets all threads of this process take memory from one heap, which grows by a lot at a time and never shrinks.
///
/// glibc gives each thread a heap of its own, which grows page by page, each by a system call. Other C libraries have
/// nothing to set.
pub fn one_heap() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(libc::M_ARENA_MAX, 1), (libc::M_TOP_PAD, 4 << 20), (libc::M_TRIM_THRESHOLD, c_int::MAX)] {
        // SAFETY: two numbers; a refusal changes nothing.
        unsafe { libc::mallopt(option, value) };
    }
}

/// Returns how many ticks per second the times in `/proc` count.
pub fn ticks_per_second() -> Option<u64> {
    // SAFETY: a number goes in and a number comes out.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|ticks| *ticks > 0)
}

/// Returns the size of a page in bytes.
pub fn page_size() -> io::Result<u32> {
    // SAFETY: a number goes in and a number comes out.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(size).map_err(|_| io::Error::last_os_error())
}
