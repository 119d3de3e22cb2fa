//! What the verifier means when it refuses a program, and what an author can do about it.
//!
//! One table, from the particular to the general: the first entry that knows the line decides. The lines and the
//! functions that say them are those of `kernel/bpf/verifier.c` and `btf.c`, looked up in Linux 5.10, 6.1, 6.12 and 7.2;
//! some are in one of these only. `tests/refusals.rs` provokes each entry on the running kernel, and `tests/vm.rs` on
//! older ones.

/// What is known of one way to be refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Hint {
    /// By this it is asked for: `bpfapply explain verifier::null`.
    pub code: &'static str,
    /// Ways to say it: each has all of its parts in the line, in this order.
    pub says: &'static [&'static [&'static str]],
    /// The functions of the kernel that say it, of one version or another.
    pub told_by: &'static [&'static str],
    /// What the program did.
    pub means: &'static str,
    /// What to do.
    pub way_out: &'static str,
}

impl Hint {
    fn knows(&self, line: &str) -> bool {
        self.says.iter().any(|parts| has_in_order(line, parts))
    }
}

/// Finds what is known of a line of the verifier.
pub fn find(line: &str) -> Option<&'static Hint> {
    HINTS.iter().find(|hint| hint.knows(line))
}

fn has_in_order(line: &str, parts: &[&str]) -> bool {
    let mut rest = Some(line);
    for part in parts {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, after)| after);
    }
    rest.is_some()
}

/// Every way to be refused that there is something to say about.
pub const HINTS: &[Hint] = &[
    Hint {
        code: "verifier::null",
        says: &[
            &["invalid mem access '", "_or_null'"],
            &["pointer arithmetic on ", "_or_null prohibited"],
            &["Possibly NULL pointer passed to"],
        ],
        told_by: &["check_mem_access", "adjust_ptr_min_max_vals", "check_reg_type", "check_kfunc_args"],
        means: "the pointer may be NULL, as nothing was found or there was no room, and was not compared with NULL",
        way_out: "compare it first: `if (!value) return XDP_PASS;`, before it is used or anything is added to it",
    },
    Hint {
        code: "verifier::not_a_pointer",
        says: &[&["invalid mem access 'scalar'"], &["invalid mem access 'inv'"]],
        told_by: &["check_mem_access"],
        means: "the register has a number here and no pointer: one that was computed, or a pointer that a call \
                before made invalid, as helpers that may move the packet (`bpf_xdp_adjust_head`, \
                `bpf_skb_pull_data`) do with all pointers into it, and those that give something back",
        way_out: "read `ctx->data` and `ctx->data_end` again after such a call, and compare again; read memory of \
                  the kernel with `bpf_probe_read_kernel` or through a pointer with BTF",
    },
    Hint {
        code: "verifier::packet_bounds",
        says: &[&["offset is outside of the packet"]],
        told_by: &["check_packet_access"],
        means: "the program reads or writes bytes of the packet that it did not compare with the packet's end",
        way_out: "compare first, with the very pointer that is used: `if ((void *)(eth + 1) > data_end) return \
                  XDP_PASS;`",
    },
    Hint {
        code: "verifier::pointer_range",
        says: &[&["math between ", "unbounded"], &["value ", " makes ", "pointer be out of bounds"]],
        told_by: &["check_reg_sane_offset"],
        means: "a number is added to a pointer, and the verifier does not know enough of its range: it may be \
                negative, or too large",
        way_out: "bound it before, on the very variable that is added: an unsigned type and `offset &= 0xff;`, or `if \
                  (offset > 255) return XDP_PASS;`",
    },
    Hint {
        code: "verifier::length",
        says: &[
            &["unbounded memory access, use 'var &= const'"],
            &["min value is negative, either use unsigned or 'var &= const'"],
            &["invalid zero-sized read"],
        ],
        told_by: &["check_mem_size_reg", "check_stack_range_initialized", "check_func_arg"],
        means: "the length that a helper gets can be 0, negative, or more than there is",
        way_out: "bound it before, on the very variable that is given, in an unsigned type: `if (length == 0 || length \
                  > sizeof(buffer)) return XDP_PASS;`",
    },
    Hint {
        code: "verifier::value_bounds",
        says: &[
            &["unbounded memory access, make sure to bounds check"],
            &["value is outside of the "],
            &["min value is negative, either use unsigned index"],
            &["invalid access to map value"],
        ],
        told_by: &[
            "check_mem_region_access",
            "__check_mem_access",
            "check_packet_access",
            "check_sock_access",
            "resolve_pseudo_ldimm64",
        ],
        means: "an index or offset can lead out of the value of the map, or out of the memory, that the pointer is to",
        way_out: "bound it before, on the very variable that is used: `index &= SIZE - 1;` where SIZE is a power of \
                  two, or `if (index >= SIZE) return XDP_PASS;` with an unsigned index",
    },
    Hint {
        code: "verifier::read_only",
        says: &[&["write into map forbidden"], &["cannot write into "]],
        told_by: &["check_map_access_type", "record_func_map", "check_mem_access", "check_helper_mem_access"],
        means: "the memory can only be read here: constants (`const volatile`), a map with `rdonly_prog`, or the \
                packet, which not all types of programs may change",
        way_out: "take `const` away from a variable that changes while the program runs; packets are changed by XDP, \
                  tc, lwt_xmit and sk_skb programs",
    },
    Hint {
        code: "verifier::kernel_memory",
        says: &[&["only read is supported"], &["access beyond struct"]],
        told_by: &["check_ptr_to_btf_access", "btf_struct_walk"],
        means: "structs of the kernel can be read, within their size, and not be written",
        way_out: "change what is to change by a helper or a function of the kernel (kfunc) that is for it; for an \
                  access beyond the struct, compile against the types of this kernel or use CO-RE",
    },
    Hint {
        code: "verifier::stack_unwritten",
        says: &[&["read from stack ", "off ", "+"], &["invalid indirect read from stack"]],
        told_by: &["check_stack_read_fixed_off", "check_stack_range_initialized"],
        means: "bytes of the stack are read, perhaps by a helper, that were not written before, which needs \
                CAP_PERFMON",
        way_out: "give the variable a value where it is declared, its padding included: `struct key key = {};`, or \
                  `__builtin_memset(&key, 0, sizeof(key));`",
    },
    Hint {
        code: "verifier::stack_bounds",
        says: &[
            &["stack R", "off="],
            &["variable offset stack access prohibited"],
            &["variable stack access prohibited"],
        ],
        told_by: &[
            "check_stack_access_within_bounds",
            "check_stack_range_initialized",
            "check_stack_access_for_ptr_arithmetic",
        ],
        means: "the access leaves the stack, which is fp-512 to fp-1 (without CAP_PERFMON what was written of it, \
                at constant offsets): an array is left, a helper takes a variable for larger than it is, or the \
                variables together are too large",
        way_out: "bound the index, give a helper a variable of the size that it reads (a key has the map's key \
                  size), and put large variables into a per-CPU array map of one entry",
    },
    Hint {
        code: "verifier::stack_limit",
        says: &[&["combined stack size of "], &["stack size of ", "Too large"]],
        told_by: &["check_max_stack_depth_subprog", "check_max_stack_depth"],
        means: "the variables of functions that call each other have 512 bytes together, in steps of 32 (16 where \
                the program is compiled to machine code)",
        way_out: "put large variables into a per-CPU array map of one entry; `__always_inline` merges two frames",
    },
    Hint {
        code: "verifier::frames",
        says: &[&["the call stack of ", " frames is too deep"]],
        told_by: &["check_max_stack_depth_subprog", "check_max_stack_depth", "setup_func_entry", "__check_func_call"],
        means: "functions call each other more than 8 deep",
        way_out: "make some of them `static __always_inline`, or go on in another program by `bpf_tail_call`",
    },
    Hint {
        code: "verifier::unset",
        says: &[&["!read_ok"]],
        told_by: &["__check_reg_arg", "check_reg_arg"],
        means: "a register without a value is read: a variable without one, a function that ends without `return`, \
                or one of R1 to R5 behind a call, which keeps none of them",
        way_out: "give the variable a value on each way to this line; in assembly keep in R6 to R9 what is needed \
                  behind a call",
    },
    Hint {
        code: "verifier::helper",
        says: &[&["program of this type cannot use helper "], &["unknown func bpf_"]],
        told_by: &["check_helper_call"],
        means: "the kernel has this helper, and not for programs of this type; older kernels say so too where the \
                helper may sleep and the program may not",
        way_out: "`bpftool feature probe` lists the helpers of each type; do it in a program of another type or in a \
                  section that may sleep (`uprobe.s/`), or with the helper that is for this type (`bpf_xdp_load_bytes` \
                  for `bpf_skb_load_bytes`)",
    },
    Hint {
        code: "verifier::no_helper",
        says: &[&["invalid func unknown#"], &["unknown func unknown#"]],
        told_by: &["check_helper_call"],
        means: "this kernel has no helper of that number: it came later",
        way_out: "run a newer kernel, or ask before the call whether it is there: `bpf_core_enum_value_exists(enum \
                  bpf_func_id, BPF_FUNC_...)`",
    },
    Hint {
        code: "verifier::license",
        says: &[&["non-GPL compatible program"]],
        told_by: &["check_helper_call", "check_ptr_to_btf_access", "add_kfunc_call"],
        means: "the kernel has this for GPL programs only",
        way_out: "declare it in the object, `char LICENSE[] SEC(\"license\") = \"GPL\";`, or where the object declares \
                  none by `license = \"GPL\"` in its `[object]`, if it is under that license",
    },
    Hint {
        code: "verifier::kernel_function",
        says: &[&["calling kernel function ", " is not allowed"]],
        told_by: &["check_kfunc_call"],
        means: "the kernel has this function (kfunc), and not for programs of this type",
        way_out: "the kernel's documentation names the types for each (docs.kernel.org/bpf/kfuncs.html): call it \
                  from one of them",
    },
    Hint {
        code: "verifier::no_end",
        says: &[&["infinite loop detected"], &["back-edge from insn"]],
        told_by: &["is_state_visited", "push_insn"],
        means: "a loop comes back to the same state, so that it may never end",
        way_out: "count something that the loop's condition reads up to a constant, or use `bpf_loop` (Linux 5.17) \
                  or `bpf_for` (6.4)",
    },
    Hint {
        code: "verifier::too_large",
        says: &[&["BPF program is too large"]],
        told_by: &["do_check"],
        means: "following every way through the program took more than a million instructions, most often a loop \
                with many rounds or branches",
        way_out: "use fewer rounds; `bpf_loop` (Linux 5.17) or `bpf_for` (6.4), which are verified once for all \
                  rounds; global functions (not `static`), which are verified once for all calls; or go on by \
                  `bpf_tail_call`",
    },
    Hint {
        code: "verifier::too_many_branches",
        says: &[&["The sequence of ", " jumps is too complex"]],
        told_by: &["push_stack", "push_async_cb"],
        means: "more than 8,192 branches wait to be followed, most often of an `if` within a loop of many rounds",
        way_out: "use fewer rounds, or `bpf_loop` (Linux 5.17) or `bpf_for` (6.4), which are verified once for all \
                  rounds",
    },
    Hint {
        code: "verifier::context",
        says: &[&["invalid bpf_context access"]],
        told_by: &["check_ctx_access"],
        means: "programs of this type do not have that field of the context, may not write it, or have to read it with \
                another size",
        way_out: "read the whole field, as its struct in `linux/bpf.h` has it; not every type may read every field of \
                  `__sk_buff`, and fewer may be written",
    },
    Hint {
        code: "verifier::moved_context",
        says: &[&["dereference of modified "], &["variable ctx access"], &["negative offset ", " ptr"]],
        told_by: &["__check_ptr_off_reg", "check_ctx_reg"],
        means: "a pointer that has to be as it was given, as that to the context, was moved before it is used",
        way_out: "access a field by its name, with a constant offset, from the pointer itself; where the compiler \
                  joins branches so that it moves, `barrier_var(ctx)` or a `volatile` access keeps it",
    },
    Hint {
        code: "verifier::arithmetic",
        says: &[
            &["pointer arithmetic on ", " prohibited"],
            &["on pointer prohibited"],
            &[" pointer ", " pointer prohibited"],
            &["pointer arithmetic prohibited"],
            &["pointer comparison prohibited"],
            &["pointer arithmetic with ", " operator prohibited"],
            &["subtraction from stack pointer prohibited"],
        ],
        told_by: &["adjust_ptr_min_max_vals", "adjust_reg_min_max_vals", "check_alu_op", "check_cond_jmp_op"],
        means: "the program computes with a pointer what cannot be done with it: to pointers of maps' values, of the \
                packet and the stack numbers may be added, and nothing to the packet's end or to the context's struct",
        way_out: "compute with offsets, which are numbers, and add them to the pointer last",
    },
    Hint {
        code: "verifier::argument",
        says: &[&["type=", " expected="]],
        told_by: &["check_reg_type"],
        means: "the helper wants something else in this argument (R1 is the first): the line says after `type=` what \
                it got, and after `expected=` what it takes, often a pointer to the stack (`fp`) or to a value of a \
                map; what was given back is a mere number (`scalar`)",
        way_out: "copy what it shall read into a variable of the program first, and give the address of that; use \
                  nothing after it was given back",
    },
    Hint {
        code: "verifier::map_type",
        says: &[&["cannot pass map_type "]],
        told_by: &["check_map_func_compatibility"],
        means: "the helper is for maps of other types (the number is that of `enum bpf_map_type`)",
        way_out: "give it a map of its type, as `bpf_redirect_map` a devmap, cpumap or xskmap; the manifest's edges \
                  say which map a symbol of the object is",
    },
    Hint {
        code: "verifier::tail_call",
        says: &[&["tail_calls are not allowed when call stack"]],
        told_by: &["check_max_stack_depth_subprog", "check_max_stack_depth"],
        means: "a function that is called with more than 256 bytes of stack below it makes a tail call",
        way_out: "make the tail call from the program itself, make the function `__always_inline`, or move large \
                  variables of the callers into a per-CPU array map",
    },
    Hint {
        code: "verifier::leak",
        says: &[&["would lead to reference leak"], &["Unreleased reference"]],
        told_by: &["check_reference_leak", "check_resource_leak", "check_helper_call"],
        means: "on this way the program ends, or jumps to another, with something that it has to give back",
        way_out: "on each way out give back a socket with `bpf_sk_release`, and a record of a ring buffer with \
                  `bpf_ringbuf_submit` or `bpf_ringbuf_discard`",
    },
    Hint {
        code: "verifier::return_value",
        says: &[&["At program exit the register R0"]],
        told_by: &["check_return_code", "verbose_invalid_scalar"],
        means: "programs of this type and hook may return only some numbers, and this one may return others",
        way_out: "return a constant of the range on each way, as 0 or 1 for cgroup_skb; a number from elsewhere \
                  needs a comparison first",
    },
    Hint {
        code: "verifier::callback",
        says: &[&["At callback return the register R0"]],
        told_by: &["prepare_func_exit", "verbose_invalid_scalar"],
        means: "a function that is given to `bpf_loop`, `bpf_for_each_map_elem` and the like may return only some \
                numbers",
        way_out: "return 0 to go on and 1 to stop; from a timer 0",
    },
    Hint {
        code: "verifier::sleeps",
        says: &[
            &["might sleep"],
            &["must be sleepable"],
            &["sleepable helper "],
            &["is sleepable within"],
            &["can be sleepable"],
            &["cannot be sleepable"],
        ],
        told_by: &["check_helper_call", "check_kfunc_call", "check_attach_btf_id"],
        means: "a call may sleep, and this program may not, or not under a lock",
        way_out: "put it into a section that may sleep (`fentry.s/`, `lsm.s/`, `uprobe.s/`, `iter.s/`, `syscall`); \
                  packets are never handled by such a program",
    },
    Hint {
        code: "verifier::lock_types",
        says: &[&["has to have BTF in order to use"], &["has no valid bpf_"], &["doesn't have 'struct bpf_"]],
        told_by: &["process_spin_lock", "process_timer_func", "process_kptr_func", "check_map_field_pointer"],
        means: "the map does not say by BTF that its values have a lock or a timer, and where",
        way_out: "declare the value in the map: `__type(value, struct row)`, with the `struct bpf_spin_lock` as a \
                  member of its own, and compile with `-g`",
    },
    Hint {
        code: "verifier::lock",
        says: &[
            &["not allowed while holding a lock"],
            &["inside bpf_spin_lock"],
            &["Locking two bpf_spin_locks"],
            &["bpf_spin_unlock "],
        ],
        told_by: &[
            "do_check",
            "check_func_call",
            "check_helper_call",
            "check_ld_abs",
            "check_resource_leak",
            "process_spin_lock",
        ],
        means: "while a program holds a `bpf_spin_lock` it can call almost nothing, take no other lock, and not end",
        way_out: "call what is needed before the lock, only read and write the value under it, and unlock on each \
                  way out",
    },
    Hint {
        code: "verifier::alignment",
        says: &[&["misaligned ", "access off"]],
        told_by: &["check_generic_ptr_alignment", "check_pkt_ptr_alignment"],
        means: "an access to the stack or the context, on some machines to everything, is not at a multiple of its \
                size",
        way_out: "order the members of a struct by size, or copy with `__builtin_memcpy` what lies at an odd place",
    },
    Hint {
        code: "verifier::spill",
        says: &[&["invalid size of register spill"], &["attempt to corrupt spilled pointer"]],
        told_by: &["check_stack_write_fixed_off"],
        means: "a part of a pointer is written to the stack, or over a pointer there",
        way_out: "keep pointers in variables of their own, as pointers or 8 bytes, and not in narrower ones",
    },
    Hint {
        code: "verifier::address_leak",
        says: &[&["leaks addr"]],
        told_by: &["check_mem_access", "check_atomic", "check_func_arg", "check_return_code"],
        means: "an address of the kernel would be seen from outside, which needs CAP_PERFMON",
        way_out: "store an id or an offset in place of the pointer, or run it with CAP_PERFMON",
    },
    Hint {
        code: "verifier::trusted",
        says: &[&["must be referenced or trusted"], &["must be a rcu pointer"], &["must be referenced"]],
        told_by: &["check_kfunc_args", "check_func_arg", "btf_check_func_arg_match"],
        means: "the function wants a pointer of which the kernel knows that it stays valid, and not one that was \
                read from a struct on the way",
        way_out: "give it an argument of the program or what a function acquired and has not released, or read it \
                  between `bpf_rcu_read_lock` and `bpf_rcu_read_unlock` where the kernel guards it so",
    },
    Hint {
        code: "verifier::dynptr",
        says: &[&["Expected an initialized dynptr"], &["Dynptr has to be an uninitialized dynptr"]],
        told_by: &["process_dynptr_func", "check_func_arg"],
        means: "a dynptr is used before a function made it, or is made twice",
        way_out: "make it first: `bpf_dynptr_from_mem`, `bpf_dynptr_from_xdp`, `bpf_ringbuf_reserve_dynptr`",
    },
    Hint {
        code: "verifier::global_function",
        says: &[
            &["Caller passes invalid args into func"],
            &["Arg#", " is not supported yet"],
            &["arg#", "reference type('", "size cannot be determined"],
            &["doesn't return scalar"],
            &["return value not void or scalar"],
        ],
        told_by: &["check_func_call", "btf_prepare_func_args"],
        means: "a function that is not `static` is verified by itself, from its types: it returns a number, and \
                takes numbers, the context, and pointers to memory of a known size",
        way_out: "make it `static`, so that it is verified with each caller, or pass and return what such functions \
                  can",
    },
];
