//! What a map is asked to be, what the kernel makes of it, and how two of them differ.

use crate::btf::{Btf, TypeId, layout};
use crate::kinds::MapType;
use std::fmt;
use std::sync::Arc;

/// `BPF_F_*` flags of `BPF_MAP_CREATE` that decide something here (`linux/bpf.h`).
pub mod flags {
    #![allow(missing_docs, reason = "the kernel's own names")]
    pub const NO_PREALLOC: u32 = 1 << 0;
    pub const NO_COMMON_LRU: u32 = 1 << 1;
    pub const NUMA_NODE: u32 = 1 << 2;
    pub const RDONLY: u32 = 1 << 3;
    pub const WRONLY: u32 = 1 << 4;
    pub const RDONLY_PROG: u32 = 1 << 7;
    pub const MMAPABLE: u32 = 1 << 10;
    pub const LINK: u32 = 1 << 13;
    pub const VTYPE_BTF_OBJ_FD: u32 = 1 << 15;

    /// Every flag of `BPF_MAP_CREATE` by name, for messages and the manifest.
    pub const NAMES: &[(u32, &str)] = &[
        (1 << 0, "no_prealloc"),
        (1 << 1, "no_common_lru"),
        (1 << 2, "numa_node"),
        (1 << 3, "rdonly"),
        (1 << 4, "wronly"),
        (1 << 5, "stack_build_id"),
        (1 << 6, "zero_seed"),
        (1 << 7, "rdonly_prog"),
        (1 << 8, "wronly_prog"),
        (1 << 9, "clone"),
        (1 << 10, "mmapable"),
        (1 << 11, "preserve_elems"),
        (1 << 12, "inner_map"),
        (1 << 13, "link"),
        (1 << 14, "path_fd"),
        (1 << 15, "vtype_btf_obj_fd"),
        (1 << 16, "token_fd"),
        (1 << 17, "segv_on_fault"),
        (1 << 18, "no_user_conv"),
        (1 << 19, "rb_overwrite"),
    ];
}

/// Writes map flags by name, as the manifest takes them: `no_prealloc | mmapable`, `none`.
pub fn flag_names(bits: u32) -> String {
    let mut rest = bits;
    let mut names = Vec::new();
    for (bit, name) in flags::NAMES {
        if rest & bit != 0 {
            names.push((*name).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(" | ") }
}

/// What of the host decides how a map is asked for and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Number of possible CPUs, as `/sys/devices/system/cpu/possible` counts them.
    pub possible_cpus: u32,
    /// The most CPUs that the kernel was built for (`CONFIG_NR_CPUS`), as `/sys/devices/system/cpu/kernel_max` says it.
    pub most_cpus: u32,
    /// Page size in bytes.
    pub page_size: u32,
}

/// A map's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct MapSpec {
    /// Type.
    pub map_type: MapType,
    /// Key size in bytes.
    pub key_size: u32,
    /// Value size in bytes; for per-CPU maps the size for one CPU.
    pub value_size: u32,
    /// Capacity: entries, or bytes for ring buffers, or pages for arenas.
    pub max_entries: u32,
    /// `BPF_F_*` of `BPF_MAP_CREATE`.
    pub flags: u32,
    /// NUMA node to allocate on.
    pub numa_node: Option<u32>,
    /// Type-specific number: hash functions of a bloom filter, address of an arena.
    pub map_extra: u64,
    /// The definition that every map inside a map of maps must fit.
    pub inner: Option<Box<MapSpec>>,
    /// BTF of key and value, where the definition has it.
    pub types: Option<MapTypes>,
}

/// The BTF types of a map's key and value.
#[derive(Debug, Clone, PartialEq)]
pub struct MapTypes {
    /// The BTF that the two ids belong to.
    pub btf: Arc<Btf>,
    /// Key type; 0 for none.
    pub key: TypeId,
    /// Value type; 0 for none. The data section itself for a map of global variables.
    pub value: TypeId,
}

impl MapSpec {
    /// Makes a definition with sizes and nothing special.
    pub fn new(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        Self {
            map_type,
            key_size,
            value_size,
            max_entries,
            flags: 0,
            numa_node: None,
            map_extra: 0,
            inner: None,
            types: None,
        }
    }

    /// Returns the request that the kernel takes for this definition.
    ///
    /// Measured on 6.18: a ring buffer must be a power of two of pages, and a devmap refuses the `rdonly_prog` that it
    /// will report. What an object may leave out, as cilium/ebpf reads it (`fixupMagicFields`): arrays for CPUs then
    /// have one entry for each possible CPU, and what holds descriptors has values of four bytes. A cpumap for more
    /// CPUs than the kernel can have is cut to these, since it refuses the others.
    #[must_use]
    pub fn requested(&self, host: &Host) -> Self {
        let mut spec = self.clone();
        match spec.map_type {
            MapType::RINGBUF | MapType::USER_RINGBUF => {
                spec.max_entries = round_to_pages(spec.max_entries, host.page_size);
            }
            MapType::PERF_EVENT_ARRAY => {
                spec.max_entries = or(spec.max_entries, host.possible_cpus);
                (spec.key_size, spec.value_size) = (or(spec.key_size, 4), or(spec.value_size, 4));
            }
            MapType::CPUMAP => spec.max_entries = or(spec.max_entries, host.possible_cpus).min(host.most_cpus),
            MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => spec.value_size = or(spec.value_size, 4),
            MapType::DEVMAP | MapType::DEVMAP_HASH => spec.flags &= !flags::RDONLY_PROG,
            _ => {}
        }
        if spec.numa_node.is_some() {
            spec.flags |= flags::NUMA_NODE;
        }
        spec.inner = spec.inner.map(|inner| Box::new(inner.requested(host)));
        spec
    }

    /// Returns the normal form: what the kernel reports of a map made from this definition.
    ///
    /// Measured on 6.18: `rdonly` and `wronly` belong to the descriptor and vanish, devmaps gain
    /// `rdonly_prog` (`dev_map_init_map`, kernel/bpf/devmap.c), and an LRU map without a common list
    /// rounds its size up to a multiple of the CPU count (`htab_map_alloc`, kernel/bpf/hashtab.c).
    #[must_use]
    pub fn reported(&self, host: &Host) -> Self {
        let mut spec = self.requested(host);
        spec.flags &= !(flags::RDONLY | flags::WRONLY);
        match spec.map_type {
            MapType::DEVMAP | MapType::DEVMAP_HASH => spec.flags |= flags::RDONLY_PROG,
            MapType::LRU_HASH | MapType::LRU_PERCPU_HASH if spec.flags & flags::NO_COMMON_LRU != 0 => {
                let cpus = host.possible_cpus.max(1);
                spec.max_entries = spec.max_entries.checked_next_multiple_of(cpus).unwrap_or(spec.max_entries);
            }
            _ => {}
        }
        spec.inner = spec.inner.map(|inner| Box::new(inner.reported(host)));
        spec
    }

    /// Returns how many bytes of memory an arena is: `max_entries` counts its pages.
    pub fn arena_size(&self, host: &Host) -> u64 {
        u64::from(self.max_entries) * u64::from(host.page_size)
    }

    /// Returns the bytes of a value as user space reads and writes it.
    pub fn user_value_size(&self, host: &Host) -> usize {
        user_value_size(self.map_type, self.value_size, host)
    }

    /// Returns whether the map holds kernel references or nothing, so that user space cannot fill it with data.
    pub fn is_map_of_maps(&self) -> bool {
        matches!(self.map_type, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS)
    }
}

/// Returns the bytes of a value as user space reads and writes it: a per-CPU map has one for each possible CPU, each in
/// whole words of eight bytes (`bpf_map_value_size`, kernel/bpf/syscall.c).
pub fn user_value_size(map_type: MapType, value_size: u32, host: &Host) -> usize {
    let size = value_size as usize;
    if map_type.is_per_cpu() { size.next_multiple_of(8) * host.possible_cpus as usize } else { size }
}

/// Returns the number, or another one where it is not said.
fn or(number: u32, default: u32) -> u32 {
    if number == 0 { default } else { number }
}

/// Rounds a ring buffer's size as `ringbuf_map_alloc` (kernel/bpf/ringbuf.c) wants it: a power of two of pages.
fn round_to_pages(bytes: u32, page_size: u32) -> u32 {
    if bytes == 0 {
        return 0;
    }
    bytes.max(page_size).checked_next_power_of_two().unwrap_or(bytes)
}

/// A part of a map's definition that two sides see differently.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Difference {
    /// The field, as the manifest or bpf_map_info calls it; for a BTF type with the path to the member.
    pub field: String,
    /// What the owner, or the pinned map, has.
    pub left: String,
    /// What the user, or the manifest, wants.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} and {}", self.field, self.left, self.right)
    }
}

/// Which fields a comparison looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// A user against the owner: only the owner sizes the map, so `max_entries`, `numa_node` are not compared.
    User,
    /// A map that exists against the definition that it should have.
    Existing,
}

/// Returns every field in which the two differ, in the kernel's normal form, in a fixed order.
///
/// `left` is the owner's definition or the existing map, `right` the user's or the wanted one.
pub fn differences(left: &MapSpec, right: &MapSpec, compare: Compare, host: &Host) -> Vec<Difference> {
    let (left, right) = (left.reported(host), right.reported(host));
    let mut found = Vec::new();
    let mut field = |name: &str, a: String, b: String| {
        if a != b {
            found.push(Difference { field: name.to_owned(), left: a, right: b });
        }
    };
    field("type", left.map_type.to_string(), right.map_type.to_string());
    field("key_size", left.key_size.to_string(), right.key_size.to_string());
    field("value_size", left.value_size.to_string(), right.value_size.to_string());
    field("flags", flag_names(left.flags), flag_names(right.flags));
    field("map_extra", left.map_extra.to_string(), right.map_extra.to_string());
    match compare {
        Compare::User => {}
        Compare::Existing => field("max_entries", left.max_entries.to_string(), right.max_entries.to_string()),
    }
    found.extend(type_differences(left.types.as_ref(), right.types.as_ref()));
    if let (Some(a), Some(b)) = (&left.inner, &right.inner) {
        // The kernel compares the template's max_entries only for arrays without BPF_F_INNER_MAP; a
        // definition always means the whole template.
        for inner in differences(a, b, Compare::Existing, host) {
            found.push(Difference { field: format!("inner.{}", inner.field), ..inner });
        }
    }
    found
}

/// Compares the layouts of key and value where both sides have BTF; a side without BTF fits every layout.
fn type_differences(left: Option<&MapTypes>, right: Option<&MapTypes>) -> Vec<Difference> {
    let (Some(a), Some(b)) = (left, right) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (what, left, right) in [("key", a.key, b.key), ("value", a.value, b.value)] {
        if left == 0 || right == 0 {
            continue;
        }
        if let Some(difference) = layout::difference((&a.btf, left), (&b.btf, right)) {
            let path = if difference.path.is_empty() { what.to_owned() } else { format!("{what} {}", difference.path) };
            found.push(Difference { field: path, left: difference.left, right: difference.right });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Host = Host { possible_cpus: 2, most_cpus: 64, page_size: 4096 };

    fn spec(map_type: MapType, max_entries: u32, flags: u32) -> MapSpec {
        MapSpec { flags, ..MapSpec::new(map_type, 4, 8, max_entries) }
    }

    #[test]
    fn normal_form() {
        let cases = [
            (spec(MapType::HASH, 10, flags::RDONLY), 10, 0),
            (spec(MapType::HASH, 10, flags::WRONLY | flags::NO_PREALLOC), 10, flags::NO_PREALLOC),
            (spec(MapType::LRU_HASH, 1001, flags::NO_COMMON_LRU), 1002, flags::NO_COMMON_LRU),
            (spec(MapType::LRU_HASH, 1001, 0), 1001, 0),
            (spec(MapType::DEVMAP, 8, 0), 8, flags::RDONLY_PROG),
            (spec(MapType::DEVMAP_HASH, 8, flags::RDONLY_PROG), 8, flags::RDONLY_PROG),
            (spec(MapType::RINGBUF, 5000, 0), 8192, 0),
            (spec(MapType::RINGBUF, 12288, 0), 16384, 0),
            (spec(MapType::RINGBUF, u32::MAX, 0), u32::MAX, 0),
            (spec(MapType::PERF_EVENT_ARRAY, 0, 0), 2, 0),
            (spec(MapType::PERF_EVENT_ARRAY, 1024, 0), 1024, 0),
            (spec(MapType::CPUMAP, 0, 0), 2, 0),
            (spec(MapType::CPUMAP, 12, 0), 12, 0),
            (spec(MapType::CPUMAP, 1024, 0), 64, 0),
        ];
        for (asked, max_entries, bits) in cases {
            let got = asked.reported(&HOST);
            assert_eq!((got.max_entries, got.flags), (max_entries, bits), "{asked:?}");
            assert_eq!(got.reported(&HOST), got, "the normal form is its own normal form");
        }
    }

    #[test]
    fn sizes_that_an_object_may_leave_out() {
        let cases = [
            (MapType::PERF_EVENT_ARRAY, (0, 0), (4, 4)),
            (MapType::PERF_EVENT_ARRAY, (4, 8), (4, 8)),
            (MapType::HASH_OF_MAPS, (16, 0), (16, 4)),
            (MapType::HASH, (0, 0), (0, 0)),
        ];
        for (map_type, (key, value), want) in cases {
            let got = MapSpec::new(map_type, key, value, 1).requested(&HOST);
            assert_eq!((got.key_size, got.value_size), want, "{map_type}");
        }
    }

    #[test]
    fn differences_are_named() {
        let owner = spec(MapType::HASH, 10, 0);
        let user = MapSpec { value_size: 16, max_entries: 20, ..spec(MapType::LRU_HASH, 10, flags::NO_PREALLOC) };
        let names =
            |compare| differences(&owner, &user, compare, &HOST).into_iter().map(|d| d.field).collect::<Vec<_>>();
        assert_eq!(names(Compare::User), ["type", "value_size", "flags"]);
        assert_eq!(names(Compare::Existing), ["type", "value_size", "flags", "max_entries"]);
        assert_eq!(differences(&owner, &owner, Compare::Existing, &HOST), []);
    }

    #[test]
    fn a_maps_normal_form_fits_its_own_request() {
        for asked in [
            spec(MapType::LRU_HASH, 1001, flags::NO_COMMON_LRU),
            spec(MapType::HASH, 10, flags::RDONLY),
            spec(MapType::DEVMAP, 8, 0),
            spec(MapType::RINGBUF, 5000, 0),
        ] {
            assert_eq!(differences(&asked.reported(&HOST), &asked, Compare::Existing, &HOST), []);
        }
    }

    #[test]
    fn flags_read_as_words() {
        assert_eq!(flag_names(0), "none");
        assert_eq!(flag_names(flags::NO_PREALLOC | flags::MMAPABLE | 1 << 30), "no_prealloc | mmapable | 0x40000000");
    }
}
