//! Functions whose arguments are the context by a tag (`__arg_ctx`): a kernel that knows the tag gets them as they are, one
//! that does not gets them with the struct that each program's type has.

mod common;

use bpfapply::apply::rehearse;
use bpfapply::btf::Btf;
use bpfapply::kernel::Kernel as _;
use bpfapply::kernel::fake::{Fake, Fd};
use common::stages;
use std::fmt::Write as _;

/// The programs, and the functions that each of them has: with the tag, and without.
const PROGRAMS: &[(&str, &[[&str; 2]])] = &[
    (
        "on_device",
        &[
            ["int on_device(struct xdp_md *)"; 2],
            ["int any(void *, int)", "int any(struct xdp_md *, int)"],
            ["int second(struct xdp_md *, void *)", "int second(struct xdp_md *, struct xdp_md *)"],
        ],
    ),
    (
        "on_stack",
        &[
            ["int on_stack(struct __sk_buff *)"; 2],
            ["int any(void *, int)", "int any(struct __sk_buff *, int)"],
            ["int named(struct __sk_buff *)"; 2],
        ],
    ),
    (
        "in_group",
        &[["int in_group(struct __sk_buff *)"; 2], ["int any(void *, int)", "int any(struct __sk_buff *, int)"]],
    ),
    (
        "on_connect",
        &[
            ["int on_connect(struct bpf_sock_addr *)"; 2],
            ["int any(void *, int)", "int any(struct bpf_sock_addr *, int)"],
        ],
    ),
    (
        "on_sleep",
        &[
            ["int on_sleep(struct pt_regs *)"; 2],
            ["int any(void *, int)", "int any(struct bpf_user_pt_regs_t *, int)"],
            ["int registers(struct pt_regs *)", "int registers(struct bpf_user_pt_regs_t *)"],
        ],
    ),
    (
        "on_call",
        &[
            ["int on_call(__u64 *)"; 2],
            ["int any(void *, int)", "int any(struct bpf_raw_tracepoint_args *, int)"],
            ["int words(__u64 *)", "int words(struct bpf_raw_tracepoint_args *)"],
        ],
    ),
    ("instead", &[["int instead(struct __sk_buff *, int)"; 2]]),
];

/// Returns the manifest of all programs: the last one replaces a function that several others have.
fn manifest() -> String {
    let mut text = "version = 1\nname = \"edge\"\n[object.o]\npath = \"tests/objects/contexts.o\"\n".to_owned();
    for (program, _) in PROGRAMS {
        writeln!(text, "[program.{program}]\nfrom = \"o:{program}\"").expect("a string takes everything");
    }
    text + "target = \"program.on_stack\"\n"
}

/// Returns the functions of a program, as C declares them.
fn functions(fake: &Fake, program: &Fd) -> Vec<String> {
    let info = fake.program_info(program).expect("it is loaded");
    let types = Btf::parse(&fake.btf(info.btf_id).expect("it has types")).expect("good types");
    let records = fake.program_code(program).expect("it is loaded").funcs;
    let mut functions: Vec<_> = records.iter().map(|record| types.type_name(record.type_id)).collect();
    functions[1..].sort();
    functions
}

#[track_caller]
fn check(fake: &Fake, which: usize) {
    let text = manifest();
    let plan = stages::good(stages::plan(&text, fake), &text);
    let rehearsed = rehearse(&mut fake.clone(), &plan);
    stages::good(Some(rehearsed.problems()).filter(|problems| !problems.0.is_empty()).map_or(Ok(()), Err), &text);
    assert_eq!(rehearsed.programs.len(), PROGRAMS.len());
    for (program, expected) in PROGRAMS {
        let (_, fd) = rehearsed.programs.iter().find(|(name, _)| name.as_str() == *program).expect("it is loaded");
        let expected: Vec<_> = expected.iter().map(|both| both[which]).collect();
        assert_eq!(functions(fake, fd), expected, "{program}");
    }
}

#[test]
fn a_kernel_that_knows_the_tag_gets_what_is_written() {
    check(&Fake::new(), 0);
}

#[test]
fn a_kernel_that_does_not_gets_structs() {
    let fake = Fake::new();
    fake.refuse_program("probe", libc::EINVAL, "arg#0 reference type('UNKNOWN ') size cannot be determined: -22\n");
    check(&fake, 1);
    // What is there is what was wanted.
    let text = manifest();
    stages::make(&text, &fake);
    let again = stages::good(stages::plan(&text, &fake), &text);
    assert!(again.is_empty(), "{:?}", again.steps);
}
