//! What not both load, and why, or what both load with different results. A change of any of it fails the test.

/// Who loads a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loads {
    /// Only we. Newer versions of libbpf than this may load it, too, and then with the same result.
    OnlyWe { until: (u32, u32) },
    /// Neither, since it is wrong or this kernel lacks something; elsewhere both, with the same result.
    Neither,
    /// Both, but not with the same result; versions of libbpf from this one on may have the same.
    Unlike { until: (u32, u32) },
}

/// Programs that not both load with the same result.
#[derive(Debug)]
pub struct Uneven {
    /// The object; with `*` at its end all whose names begin so.
    object: &'static str,
    /// The function; empty for every one of the object.
    function: &'static str,
    /// Who loads it.
    pub loads: Loads,
    /// Words of libbpf's refusal; of what differs for [`Loads::Unlike`]. A `|` separates those of several versions.
    pub says: &'static str,
}

const fn row(object: &'static str, function: &'static str, loads: Loads, says: &'static str) -> Uneven {
    Uneven { object, function, loads, says }
}

/// Only we, whatever the version of libbpf.
const WE: Loads = Loads::OnlyWe { until: (u32::MAX, 0) };
const LEGACY: &str = "legacy map definitions in 'maps' section are not supported";
const STATIC: &str = "is static and not supported";
const NO_TYPE: &str = "missing BPF prog type";
const NO_TARGET: &str = "no BTF-based attach target is specified";
const NOT_THERE: &str = "failed to find kernel BTF type ID";
const FORBIDDEN: &str = "Operation not permitted";
const REFUSED: &str = "BPF program load failed";

use Loads::{Neither, OnlyWe, Unlike};

/// The first row that fits is the one.
pub const TABLE: &[Uneven] = &[
    // Libbpf gave these definitions up with 1.0.
    row("bytes_40_more", "", Neither, LEGACY),
    row("map_def_28_no_btf", "", Neither, LEGACY),
    row("map_def_odd_section", "", Neither, "bad map relo against"),
    row("bytes_*", "", WE, LEGACY),
    row("aya_maps", "count", WE, LEGACY),
    row("aya_maps", "tell", Neither, LEGACY),
    row("elf_map_*", "", WE, LEGACY),
    row("gobpf_maps*", "uses_both", Neither, "bad map relo against 'own' in section 'maps/own'"), // nobody says its pins
    row("gobpf_maps*", "", WE, "bad map relo against 'own' in section 'maps/own'"),
    row("legacy", "", WE, LEGACY),
    row("map_def_*", "", WE, LEGACY),
    row("own_section", "", WE, "bad map relo against 'counts' in section 'maps/counts'"),
    row("maps_named", "", WE, "bad map relo against 'hits' in section 'maps_hits'"),
    row("two", "", WE, LEGACY),
    // What it never took.
    row("hidden", "", WE, "unsupported map linkage static"),
    row("iproute2_sections", "act_named", WE, NO_TYPE),
    row("iproute2_sections", "classify_named", WE, NO_TYPE),
    row("iproute2_sections", "on_device", WE, NO_TYPE),
    row("left_open", "sample", Neither, "failed to create: Invalid argument"),
    row("left_open", "spread", WE, "failed to create: Invalid argument"),
    row("no_template", "look", Neither, "failed to create: Invalid argument"),
    row("sections_any", "", WE, NO_TYPE),
    // This kernel has no modules, and takes no tracing programs.
    row("modules", "entered", Neither, FORBIDDEN),
    row("modules_named", "", Neither, NOT_THERE),
    row("modules_variable", "look", Neither, REFUSED),
    row("static_map", "", WE, "unsupported map linkage static"),
    row("subprog_section", "", WE, "bad call relo against 'helper'"),
    row("subprog_static", "", WE, STATIC),
    row("text_only", "", WE, "bad call relo against 'cold'"),
    row("text_sections", "", WE, "bad call relo against 'rare'"),
    // One program, map or extern that is wrong stops the whole object.
    row("common", "count", Neither, "corrupted symbol"),
    row("common", "", WE, "corrupted symbol"),
    row("ksyms_weak", "asks", WE, "'no_such_strong_function': not found"),
    row("ksyms_weak", "", Neither, "'no_such_strong_function': not found"),
    row("ksym_variables", "", Neither, "incompatible types"),
    row("struct_ops_refused", "apart", WE, STATIC),
    row("struct_ops_refused", "", Neither, STATIC),
    row("arena_at", "fixed", WE, "map '"),
    row("arena_at", "", Neither, "map '"),
    // What it learned later.
    row("arena", "", OnlyWe { until: (1, 4) }, "bad map relo against 'seen'"),
    row("exceptions", "throws", OnlyWe { until: (1, 3) }, "exception callback type id not found"),
    row("hooks", "skb_verdict", OnlyWe { until: (1, 2) }, NO_TYPE),
    row("linked", "", OnlyWe { until: (1, 2) }, REFUSED),
    row("newer", "", OnlyWe { until: (1, 2) }, NO_TYPE),
    row("sections_new", "", OnlyWe { until: (1, 2) }, NO_TYPE),
    row("struct_ops", "avoid", OnlyWe { until: (1, 2) }, REFUSED),
    row("struct_ops", "start", OnlyWe { until: (1, 2) }, REFUSED),
    row("struct_ops", "threshold", OnlyWe { until: (1, 2) }, REFUSED),
    row("struct_ops", "undo", OnlyWe { until: (1, 2) }, REFUSED),
    row("kfunc_weak", "use", Unlike { until: (1, 3) }, "tag "), // how it marks a call of nothing
    // To the kernel a function with two names has its first one, whichever the manifest says.
    row("aliases", "accept", Unlike { until: (u32::MAX, 0) }, "is pass type"),
    // It tries to attach a probe to find LINUX_HAS_SYSCALL_WRAPPER out, which some kernels forbid.
    // The linker leaves the place of the weak variable that lost; we correct it.
    row("weak", "", Unlike { until: (1, 0) }, "'.data'"),
    row("kconfig", "settings", Unlike { until: (1, 0) }, "kconfig.kconfig"),
    // It gives the types of maps up where the kernel does not take the BTF; we load what the kernel takes of it.
    row("odd_types", "named", Unlike { until: (1, 0) }, "uses counts"),
    // From 1.3 on it prepares such a program for one link to many places, where the kernel has that.
    row("probes", "mark", Unlike { until: (1, 0) }, "mark, asked for attach="),
    // Wrong, or more than this kernel has or allows.
    row("address_missing", "", Neither, "'no_such_symbol' (strong): not resolved"),
    row("ambiguous", "", Neither, "field offset ambiguity"),
    row("ambiguous_size", "", Neither, "relocation decision ambiguity"),
    row("arena_small", "", Neither, "bad map relo against 'many'|is too small to hold"),
    row("bad_bounds", "", Neither, REFUSED),
    row("bad_null", "unchecked", Neither, REFUSED),
    row("bitfield_direct", "", Neither, "accesses field incorrectly"),
    row("callback_recursion", "", Neither, REFUSED),
    row("deep_lock", "", Neither, "BTF loading error"),
    row("enum_values", "reached", Neither, "invalid CO-RE relocation"),
    row("exceptions", "lost", Neither, "'no_such_function'"),
    row("extension", "strict", Neither, "attach program FD is not set"),
    row("extension", "", Neither, NO_TARGET),
    row("field_direct_signed", "reached", Neither, "accesses field incorrectly"),
    row("field_guarded", "reached", Neither, "invalid CO-RE relocation"),
    row("field_store", "", Neither, REFUSED),
    row("functions", "", Neither, FORBIDDEN),
    row("global_callback", "", Neither, REFUSED),
    row("infrared", "", Neither, REFUSED),
    row("kfunc_missing", "", Neither, "'bpf_no_such_function': not found"),
    row("no_license", "", Neither, REFUSED),
    row("pass_big_endian", "", Neither, "elf: endianness mismatch|non-native endianness"),
    row("pass_no_btf", "", Neither, "BTF is required, but is missing or corrupted"),
    row("recursion", "", Neither, REFUSED),
    row("settings_missing", "", Neither, "'CONFIG_NO_SUCH_NUMBER' (strong): not resolved"),
    row("settings_type", "", Neither, "implies integer type"),
    row("too_far", "farther", Neither, "value too big"),
    row("too_far", "", Neither, REFUSED),
    row("tracing_refused", "nothing", Neither, NOT_THERE),
    row("tracing_refused", "replaced", Neither, "attach program FD is not set"),
    row("tracing_refused", "unsaid", Neither, NO_TARGET),
    row("tracing_refused", "", Neither, FORBIDDEN),
    row("undefined", "", Neither, "failed to find BTF for extern 'missing'"),
    row("undefined_no_btf", "", Neither, "failed to find BTF for extern 'missing'"),
    row("variables", "", Neither, "failed to find the address for kernel symbol"),
    row("xdpdump_bpf", "", Neither, NOT_THERE),
];

/// Finds the row of a program.
pub fn find(object: &str, function: &str) -> Option<&'static Uneven> {
    let mut of_object = TABLE.iter().filter(|row| row.is_of(object));
    of_object.find(|row| row.function.is_empty() || row.function == function)
}

impl Uneven {
    /// Tells whether the row is about an object of this name.
    pub fn is_of(&self, object: &str) -> bool {
        match self.object.strip_suffix('*') {
            Some(start) => object.starts_with(start),
            None => object == self.object,
        }
    }

    /// Tells whether the text has the words of the row.
    pub fn fits(&self, text: &str) -> bool {
        self.says.split('|').any(|words| text.contains(words))
    }

    /// Tells whether both may load the program with the same result.
    pub fn may_be_even(&self, libbpf: (u32, u32)) -> bool {
        match self.loads {
            Loads::OnlyWe { until } | Loads::Unlike { until } => libbpf >= until,
            Loads::Neither => true,
        }
    }
}
