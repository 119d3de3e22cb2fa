//! What objects leave to the kernel, on the running kernel: its configuration, its symbols, its types; and objects whose
//! own types it refuses. What libbpf loads is loaded, and what is refused says why.

mod common;

use bpfapply::btf;
use bpfapply::elf::{self, Target};
use bpfapply::insn::{CALL, Insn, PSEUDO_BTF_ID};
use bpfapply::kernel::{Kernel as _, facts, linux::Linux};
use common::{in_namespace, output, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// The oldest kernel that we run on.
const ANY: (u32, u32) = (5, 10);

fn object(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects").join(name)
}

/// Runs the tool on a manifest that names these programs of an object.
fn tool(folder: &Path, arguments: &[&str], name: &str, functions: &[&str]) -> Output {
    let mut text = format!("version = 1\nname = \"externs\"\n[object.o]\npath = {:?}\n", object(name));
    for function in functions {
        text += &format!("[program.{function}]\nfrom = \"o:{function}\"\n");
    }
    let manifest = folder.join("plan.toml");
    std::fs::write(&manifest, text).expect("a file in a folder of ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
    command.arg(&manifest).args(arguments).env("COLUMNS", "400").env("NO_COLOR", "1");
    output(&mut command, Duration::from_secs(60)).expect("the tool runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat())
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Applies twice, on kernels from `since`; the second time there is nothing to do.
#[track_caller]
fn loads(name: &'static str, since: (u32, u32), functions: &'static [&'static str]) {
    in_namespace(name, move |room| {
        if room.version < since {
            return skip(name, "the kernel is too old");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let first = tool(folder.path(), &[], name, functions);
        assert!(first.status.success(), "{name}: {}", text(&first));
        let again = tool(folder.path(), &[], name, functions);
        assert!(text(&again).contains("nothing to do: the host matches"), "{name}: {}", text(&again));
    });
}

/// Tells whether the kernel shows its configuration; else says that the test is skipped.
fn has_config(test: &str) -> bool {
    let readable = Linux::new().config().is_ok();
    if !readable {
        skip(test, "the kernel's configuration cannot be read");
    }
    readable
}

/// Applies, and finds these words in the refusal.
#[track_caller]
fn is_refused(name: &'static str, function: &'static str, words: &'static [&'static str]) {
    in_namespace(function, move |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = tool(folder.path(), &[], name, &[function]);
        let text = text(&refused);
        assert!(!refused.status.success(), "{name}: {text}");
        for word in words {
            assert!(text.contains(word), "{name}: `{word}` is not in: {text}");
        }
        assert!(!Path::new("/sys/fs/bpf/externs").exists(), "{name}: nothing stays");
    });
}

#[test]
fn settings() {
    if has_config("settings") {
        loads("kconfig.o", ANY, &["settings"]);
    }
}

#[test]
fn functions_and_addresses() {
    loads("ksyms.o", ANY, &["addresses"]);
    loads("ksyms.o", (6, 2), &["addresses", "functions", "locked"]);
}

#[test]
fn a_weak_function_that_is_not_there() {
    loads("ksyms_weak.o", ANY, &["asks"]);
}

#[test]
fn functions_that_the_kernel_calls_when_a_program_throws() {
    loads("exceptions.o", (6, 7), &["throws", "throws_without"]);
    is_refused("exceptions.o", "lost", &["the exception callback `no_such_function` is no global function"]);
}

#[test]
fn tracing() {
    loads("tracing.o", ANY, &["switched", "maps", "raw", "writable", "probe"]);
    loads("tracing.o", (5, 18), &["sleepable", "frags"]);
}

#[test]
fn types_with_odd_names() {
    loads("odd_types.o", ANY, &["named"]);
}

#[test]
fn types_that_the_kernel_refuses() {
    loads("deep_types.o", ANY, &["deep"]);
}

#[test]
fn what_needs_refused_types_is_refused() {
    is_refused("deep_lock.o", "holds", &["BTF of object.o", "without its types `holds` is refused"]);
}

#[test]
fn what_the_kernel_has_not() {
    is_refused("ksyms_weak.o", "insists", &["no function `no_such_strong_function`", "__weak", "ksyms_weak.c:"]);
    is_refused("ksyms_weak.o", "insists_on_a_setting", &["`CONFIG_NO_SUCH_STRONG_THING`", "ksyms_weak.c:"]);
    is_refused("ksym_variables.o", "other_type", &["variable `bpf_bprintf_nest_level`"]);
    is_refused("tracing_refused.o", "nothing", &["no tracepoint `no_such_tracepoint`"]);
    is_refused("tracing_refused.o", "unsaid", &["does not say what it attaches to"]);
    is_refused("tracing_refused.o", "replaced", &["nothing says which program's function it replaces"]);
}

/// A kernel may forbid to trace functions; it then says no more than an error number.
#[test]
fn what_the_kernel_may_forbid() {
    for function in ["entered", "opened"] {
        in_namespace(function, move |_| {
            let folder = tempfile::tempdir().expect("a folder");
            let output = tool(folder.path(), &[], "tracing_refused.o", &[function]);
            let text = text(&output);
            assert!(output.status.success() || text.contains("the kernel refuses program"), "{function}: {text}");
        });
    }
}

#[test]
fn offline_nothing_is_asked() {
    in_namespace("offline", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, function) in [
            ("kconfig.o", "settings"),
            ("ksyms_weak.o", "insists"),
            ("ksyms_weak.o", "insists_on_a_setting"),
            ("tracing.o", "switched"),
        ] {
            let planned = tool(folder.path(), &["--dry-run=offline"], name, &[function]);
            assert!(planned.status.success(), "{name}: {}", text(&planned));
        }
    });
}

/// Links a function of an object for the running kernel.
fn link(name: &str, function: &str) -> (bpfapply::insn::Code, Target) {
    let object = elf::parse(&std::fs::read(object(name)).expect("it is there")).expect("it is good");
    let number = object.programs.iter().position(|program| program.function == function).expect("the function");
    let target = facts::target(&Linux::new(), &object.needs(number)).expect("the kernel can be read");
    (object.link(number, &target).expect("it can be linked"), target)
}

/// libbpf 1.3 and newer calls what is not there by 2,002,000,000 and the number of the extern; settings come first.
#[test]
fn a_call_of_nothing_is_poisoned_as_libbpf_does() {
    let (code, _) = link("ksyms_weak.o", "asks");
    let calls: Vec<_> =
        code.insns.iter().filter(|insn| insn.code == CALL).map(|insn| (insn.regs.src(), insn.imm)).collect();
    assert_eq!(calls, [(0, 2_002_000_001)]);
    assert_eq!(code.unresolved.len(), 1, "whoever reads the verifier's log is told");
}

/// The kernel has types of its variables, but not everywhere their addresses, so that only instructions are compared.
#[test]
fn variables_are_loaded_by_type() {
    let types = bpfapply::kernel::observe::types(&Linux::new()).expect("they can be read");
    // Kernels of old distributions have BTF without variables.
    if !types.is_some_and(|types| types.find(btf::Kind::Var, "runqueues").is_ok_and(|found| found.is_some())) {
        return skip("variables_are_loaded_by_type", "the kernel has no BTF of its variables");
    }
    let (code, target) = link("ksym_variables.o", "variables");
    let types = target.types.expect("somebody asked for them");
    for name in ["bpf_prog_active", "runqueues"] {
        let id = types.find(btf::Kind::Var, name).expect("they can be read").expect("every kernel has it");
        let loads =
            |insn: &&Insn| insn.is_ld_imm64() && insn.regs.src() == PSEUDO_BTF_ID && insn.imm == id.cast_signed();
        assert_eq!(code.insns.iter().filter(loads).count(), 1, "{name}");
    }
}
