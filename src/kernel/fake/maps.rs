//! What the kernel checks when it creates a map, type by type, as 6.18 does it. Every number here is proved against the
//! running kernel by `tests/kernel.rs`.

use crate::kernel::MapRequest;
use crate::kinds::MapType;

const NO_PREALLOC: u32 = 1 << 0;
const NO_COMMON_LRU: u32 = 1 << 1;
const NUMA_NODE: u32 = 1 << 2;
const RDONLY: u32 = 1 << 3;
const WRONLY: u32 = 1 << 4;
const STACK_BUILD_ID: u32 = 1 << 5;
const ZERO_SEED: u32 = 1 << 6;
const RDONLY_PROG: u32 = 1 << 7;
const WRONLY_PROG: u32 = 1 << 8;
const MMAPABLE: u32 = 1 << 10;
const PRESERVE_ELEMS: u32 = 1 << 11;
const INNER_MAP: u32 = 1 << 12;
const ACCESS: u32 = RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG;

/// The kernel's own `ENOTSUPP`, for which C libraries have no name.
pub const ENOTSUPP: i32 = 524;
/// Largest value of a per-CPU map in bytes (`PCPU_MIN_UNIT_SIZE`).
const PER_CPU_VALUE: u32 = 32 << 10;
/// Most CPUs that a kernel may be built for; a small number, so that the limit can be met.
const NR_CPUS: u32 = 64;

/// How a type keeps its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Every index from 0 exists, with zeros at first.
    Array,
    /// A key exists from its first update on; a full map refuses more.
    Hash,
    /// The same, but a full map drops an old key.
    Lru,
    /// Descriptors by index.
    Slots,
    /// Descriptors by key.
    SlotsByKey,
    /// Interfaces or queues by index, each with a program.
    References,
    /// The same by key.
    ReferencesByKey,
    /// User space has other commands for it than this kernel has.
    Other,
}

/// Tells how a type keeps its entries; `None` for types that this kernel does not have.
pub fn storage(map_type: MapType) -> Option<Storage> {
    Some(match map_type {
        MapType::ARRAY | MapType::PERCPU_ARRAY => Storage::Array,
        MapType::HASH | MapType::PERCPU_HASH | MapType::LPM_TRIE => Storage::Hash,
        MapType::LRU_HASH | MapType::LRU_PERCPU_HASH => Storage::Lru,
        MapType::PROG_ARRAY | MapType::ARRAY_OF_MAPS | MapType::CGROUP_ARRAY => Storage::Slots,
        MapType::HASH_OF_MAPS => Storage::SlotsByKey,
        MapType::DEVMAP | MapType::CPUMAP => Storage::References,
        MapType::DEVMAP_HASH => Storage::ReferencesByKey,
        MapType::PERF_EVENT_ARRAY
        | MapType::STACK_TRACE
        | MapType::XSKMAP
        | MapType::SOCKMAP
        | MapType::SOCKHASH
        | MapType::QUEUE
        | MapType::STACK
        | MapType::RINGBUF
        | MapType::BLOOM_FILTER => Storage::Other,
        _ => return None,
    })
}

/// Tells whether each CPU has a value of its own.
pub fn is_per_cpu(map_type: MapType) -> bool {
    matches!(map_type, MapType::PERCPU_HASH | MapType::PERCPU_ARRAY | MapType::LRU_PERCPU_HASH)
}

/// Refuses a request as the kernel does, with its `errno`.
pub fn check<Fd>(request: &MapRequest<'_, Fd>) -> Result<(), i32> {
    let request = Facts {
        map_type: request.map_type,
        key: request.key_size,
        value: request.value_size,
        max: request.max_entries,
        flags: request.flags,
        numa: request.flags & NUMA_NODE != 0,
    };
    // One node is all that this kernel has; both RDONLY and WRONLY leave no use for a descriptor.
    request.allow(!request.has(RDONLY | WRONLY))?;
    match request.map_type {
        MapType::HASH | MapType::PERCPU_HASH | MapType::LRU_HASH | MapType::LRU_PERCPU_HASH => request.hash(),
        MapType::HASH_OF_MAPS => request.allow(request.value == 4).and_then(|()| request.hash()),
        MapType::ARRAY | MapType::PERCPU_ARRAY => request.array(),
        MapType::PROG_ARRAY | MapType::PERF_EVENT_ARRAY | MapType::ARRAY_OF_MAPS | MapType::CGROUP_ARRAY => {
            request.allow(request.value == 4 && request.flags & (RDONLY_PROG | WRONLY_PROG) == 0)?;
            request.array()
        }
        MapType::LPM_TRIE => {
            request.only(NO_PREALLOC | NUMA_NODE | ACCESS)?;
            request.allow(request.has(NO_PREALLOC) && request.max > 0)?;
            request.allow((5..=260).contains(&request.key) && request.value > 0)
        }
        MapType::STACK_TRACE => {
            request.only(NUMA_NODE | RDONLY | WRONLY | STACK_BUILD_ID)?;
            let entry = if request.has(STACK_BUILD_ID) { 32 } else { 8 };
            request.allow(request.max > 0 && request.key == 4 && request.value >= 8)?;
            request.allow(request.value.is_multiple_of(entry) && request.value / entry <= 127)
        }
        MapType::DEVMAP | MapType::DEVMAP_HASH | MapType::SOCKMAP => {
            request.only(NUMA_NODE | RDONLY | WRONLY)?;
            request.allow(request.max > 0 && request.key == 4 && matches!(request.value, 4 | 8))
        }
        MapType::XSKMAP => {
            request.only(NUMA_NODE | RDONLY | WRONLY)?;
            request.allow(request.max > 0 && request.key == 4 && request.value == 4)
        }
        MapType::SOCKHASH => {
            request.only(NUMA_NODE | RDONLY | WRONLY)?;
            request.allow(request.max > 0 && request.key > 0 && matches!(request.value, 4 | 8))?;
            request.fit(request.key <= 512)
        }
        MapType::CPUMAP => {
            request.only(NUMA_NODE)?;
            request.allow(request.max > 0 && request.key == 4 && matches!(request.value, 4 | 8))?;
            request.fit(request.max <= NR_CPUS)
        }
        MapType::QUEUE | MapType::STACK => {
            request.only(NUMA_NODE | ACCESS)?;
            request.allow(request.max > 0 && request.key == 0 && request.value > 0)
        }
        MapType::RINGBUF => {
            request.only(NUMA_NODE)?;
            request.allow(request.key == 0 && request.value == 0)?;
            request.allow(request.max.is_power_of_two() && request.max.is_multiple_of(super::PAGE))
        }
        MapType::BLOOM_FILTER => {
            request.only(NUMA_NODE | ZERO_SEED | ACCESS)?;
            request.allow(request.max > 0 && request.key == 0 && request.value > 0)
        }
        _ => Err(libc::EINVAL),
    }
}

/// Returns the flags and the size that the kernel reports of a map that it made.
pub fn reported(map_type: MapType, flags: u32, max_entries: u32, cpus: u32) -> (u32, u32) {
    let kept = flags & !(RDONLY | WRONLY);
    match map_type {
        MapType::DEVMAP | MapType::DEVMAP_HASH => (kept | RDONLY_PROG, max_entries),
        MapType::LRU_HASH | MapType::LRU_PERCPU_HASH if flags & NO_COMMON_LRU != 0 => {
            (kept, max_entries.div_ceil(cpus) * cpus)
        }
        _ => (kept, max_entries),
    }
}

/// Tells whether a descriptor of a new map may be used for reading and for writing.
pub fn access(flags: u32) -> (bool, bool) {
    (flags & WRONLY == 0, flags & RDONLY == 0)
}

/// Tells whether the kernel refuses BTF for keys and values (`map_check_no_btf`).
pub fn refuses_btf(map_type: MapType) -> bool {
    matches!(
        map_type,
        MapType::PERF_EVENT_ARRAY
            | MapType::STACK_TRACE
            | MapType::ARRAY_OF_MAPS
            | MapType::HASH_OF_MAPS
            | MapType::DEVMAP
            | MapType::DEVMAP_HASH
            | MapType::CPUMAP
            | MapType::XSKMAP
            | MapType::SOCKMAP
            | MapType::SOCKHASH
            | MapType::QUEUE
            | MapType::STACK
    )
}

/// Tells whether an array takes any size of inner map.
pub fn takes_any_size(map_type: MapType, flags: u32) -> bool {
    !matches!(map_type, MapType::ARRAY | MapType::PERCPU_ARRAY | MapType::XSKMAP) || flags & INNER_MAP != 0
}

/// The numbers of a request.
struct Facts {
    map_type: MapType,
    key: u32,
    value: u32,
    max: u32,
    flags: u32,
    numa: bool,
}

impl Facts {
    fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    fn allow(&self, fine: bool) -> Result<(), i32> {
        if fine { Ok(()) } else { Err(libc::EINVAL) }
    }

    fn fit(&self, fine: bool) -> Result<(), i32> {
        if fine { Ok(()) } else { Err(libc::E2BIG) }
    }

    /// Refuses other flags than these, and access for programs that contradicts itself.
    fn only(&self, flags: u32) -> Result<(), i32> {
        self.allow(self.flags & !flags == 0 && !self.has(RDONLY_PROG | WRONLY_PROG))
    }

    /// `htab_map_alloc_check`, kernel/bpf/hashtab.c
    fn hash(&self) -> Result<(), i32> {
        let lru = storage(self.map_type) == Some(Storage::Lru);
        self.only(NO_PREALLOC | NO_COMMON_LRU | NUMA_NODE | ACCESS | ZERO_SEED)?;
        self.allow(lru || !self.has(NO_COMMON_LRU))?;
        if lru && self.has(NO_PREALLOC) {
            return Err(ENOTSUPP);
        }
        self.allow(!(self.numa && (is_per_cpu(self.map_type) || self.has(NO_COMMON_LRU))))?;
        self.allow(self.max > 0 && self.key > 0 && self.value > 0)?;
        self.fit(!is_per_cpu(self.map_type) || self.value <= PER_CPU_VALUE)
    }

    /// `array_map_alloc_check`, kernel/bpf/arraymap.c
    fn array(&self) -> Result<(), i32> {
        self.only(NUMA_NODE | MMAPABLE | ACCESS | PRESERVE_ELEMS | INNER_MAP)?;
        self.allow(self.max > 0 && self.key == 4 && self.value > 0)?;
        self.allow(!(self.numa && is_per_cpu(self.map_type)))?;
        self.allow(self.map_type == MapType::ARRAY || self.flags & (MMAPABLE | INNER_MAP) == 0)?;
        self.allow(self.map_type == MapType::PERF_EVENT_ARRAY || !self.has(PRESERVE_ELEMS))?;
        self.fit(self.value <= i32::MAX as u32)?;
        self.fit(!is_per_cpu(self.map_type) || self.value <= PER_CPU_VALUE)
    }
}
