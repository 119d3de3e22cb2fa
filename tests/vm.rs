//! Other kernels than the one of this machine, in virtual machines. Each object of a table is applied there, and what
//! becomes of it is what the table says of that kernel; where libbpf loads the same object, the kernel gives both the same
//! tag. And the tests of hooks in other files run there again.
//!
//! `tests/vm/run fetch 5.10 6.1 6.12` gets the kernels; without them, or without QEMU, the tests say so and pass. One boot
//! runs this same binary, which is asked for [`in_the_machine`], and then those of the other files.

mod common;

use bpfapply::elf::{self, Dialect};
use common::tool::{bpfapply, bpftool, has_bpftool};
use common::{output, skip};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// What a kernel makes of an object.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// It is applied, and a second time there is nothing to do.
    Loads,
    /// And libbpf loads the same code.
    Same,
    /// It is refused with this exit code and these words, and nothing stays.
    Refused(i32, &'static str),
}

use Outcome::{Loads, Refused, Same};

/// What the kernels 5.10, 6.1 and 6.12 make of an object.
struct Row {
    /// In `tests/objects`, or an absolute path; without `.o`.
    object: &'static str,
    /// All that have a type when it names none.
    programs: &'static [&'static str],
    outcomes: [Outcome; 3],
}

const fn row(object: &'static str, outcomes: [Outcome; 3]) -> Row {
    Row { object, programs: &[], outcomes }
}

const fn some(object: &'static str, programs: &'static [&'static str], outcomes: [Outcome; 3]) -> Row {
    Row { object, programs, outcomes }
}

/// The exit code when the kernel lacks what the object names, or a type of programs, which only loading one tells.
const UNAVAILABLE: i32 = 69;
/// The kernel refused.
const FAILED: i32 = 1;

/// Since when there is what a row is about stands behind it, where that is newer than 5.10.
const ROWS: &[Row] = &[
    row("pass", [Same; 3]),
    row("data", [Same; 3]),
    row("btf_maps", [Loads, Same, Same]), // libbpf makes maps that nobody uses: a bloom filter, 5.16
    row("map_in_map", [Same; 3]),
    row("prog_array", [Same; 3]),
    row("strings", [Same; 3]),
    row("static_map", [Loads; 3]),
    row("subprogs", [Same; 3]),
    row("two_in_section", [Same; 3]),
    row("weak_map", [Loads; 3]),
    row("pin_by_name", [Same; 3]),
    row("odd_types", [Loads; 3]),
    row("deep_types", [Loads; 3]),
    row("new_types", [Same; 3]),    // Float 5.13, tags 5.16 and 5.17
    row("newer/enum64", [Same; 3]), // 6.0
    row("no_btf", [Loads; 3]),
    row("map_def_20", [Loads; 3]),
    row("elf_map_36", [Loads; 3]),
    row("elf_map_inner", [Loads; 3]),
    row("elf_map_tail", [Loads; 3]),
    row("iproute2_sections", [Loads; 3]),
    row("hooks", [Loads; 3]),
    row("callbacks", [Refused(FAILED, "doesn't match number of subprogs"), Same, Same]), // 5.13
    // 6.8 knows what the others are given types for; bpftool fails at the program that is off.
    some("contexts", &["on_device", "on_stack", "in_group", "on_connect", "on_sleep", "on_call"], [Loads; 3]),
    some("sections", &["xdp_frags"], [Refused(FAILED, "the flag `xdp_frags` came with Linux 5.18"), Loads, Loads]),
    some("sections_new", &["filter"], {
        let refused = Refused(UNAVAILABLE, "programs of type `netfilter` came with Linux 6.4");
        [refused, refused, Loads]
    }),
    some("map_def_odd_section", &[], [Refused(FAILED, "programs of type `lirc_mode2` came with Linux 4.18"); 3]),
    some("tracing", &["switched", "maps", "raw", "writable", "probe"], [Loads; 3]),
    row("kconfig", [Same; 3]),
    some("ksyms", &["addresses"], [Loads; 3]),
    some("ksyms", &["functions"], {
        let refused = Refused(UNAVAILABLE, "this kernel has no function `bpf_cast_to_kern_ctx`");
        [refused, refused, Loads] // 6.2
    }),
    some("extension", &["filter"], [Loads; 3]),
    some("probes", &["python", "anywhere", "shell", "allocated", "slept", "sleeps", "switched"], [Loads; 3]),
    row("modules", {
        // Modules have BTF since 5.11, the functions of conntrack came with 5.18.
        [Refused(UNAVAILABLE, "this kernel has no function `bpf_xdp_ct_lookup`"), Same, Same]
    }),
    some("modules_named", &["left"], {
        [Refused(UNAVAILABLE, "the module `nf_conntrack`, for whose function `nf_conntrack_in`"), Loads, Loads]
    }),
    some("modules_named", &["of_kernel"], [Loads; 3]),
    some("modules_named", &["of_nobody"], [Refused(UNAVAILABLE, "the module `no_such_module`"); 3]),
    row("modules_variable", {
        let refused = Refused(UNAVAILABLE, "this kernel has no variable `nft_pcpu_tun_ctx`");
        [refused, refused, Loads] // 6.2; its tag counts the descriptor of the module
    }),
    row("struct_ops", {
        let refused = Refused(UNAVAILABLE, "links of structs of functions came with Linux 6.4");
        [refused, refused, Loads]
    }),
    some("arena", &[], {
        let refused = Refused(UNAVAILABLE, "this kernel has no function `bpf_arena_alloc_pages`");
        [refused, refused, Loads] // 6.9
    }),
    some("exceptions", &["throws"], {
        let refused = Refused(UNAVAILABLE, "this kernel has no function `bpf_throw`");
        [refused, refused, Loads] // 6.7
    }),
    row("bad_bounds", [Refused(FAILED, "R1 offset is outside of the packet"); 3]),
    row("/usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher", [Same; 3]),
    row("/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_dny_all", [Same; 3]),
    row("/usr/lib/x86_64-linux-gnu/bpf/xsk_def_xdp_prog", [Same; 3]),
];

const KERNELS: [&str; 3] = ["5.10", "6.1", "6.12"];

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path(object: &str) -> PathBuf {
    folder().join("tests/objects").join(object).with_extension("o")
}

/// A file of tests, and what its binary is asked for.
type Asked = (&'static str, &'static [&'static str]);

const TABLE: Asked = ("vm", &["--ignored", "--exact", "in_the_machine"]);

/// What the verifiers of older kernels say.
const REFUSALS: Asked = ("refusals", &[]);

/// What a machine runs each time: hooks that this machine may forbid, or that older kernels do in other ways.
const SHORT: &[Asked] = &[
    TABLE,
    ("events", &["functions_of_the_kernel", "probes_of_the_kernel", "an_extension_follows_its_target"]),
    ("hooks", &["netfilter_drops_and_lets_pass"]),
    ("cgroups", &["a_security_hook_of_a_cgroup"]),
];

/// All that attaches, every rule of the kernel that we rely on, and what its verifier says.
const WHOLE: &[Asked] = &[
    TABLE,
    ("kernel", &[]),
    ("events", &[]),
    ("hooks", &[]),
    ("direct", &[]),
    ("where", &[]),
    ("sockets", &[]),
    ("congestion", &[]),
    ("mixed", &[]),
    ("flood", &[]),
    ("cgroups", &[]),
    ("order", &[]),
    ("lwt", &[]),
    REFUSALS,
];

/// Boots a kernel, and runs these tests in it.
#[track_caller]
fn check(kernel: &str, asked: &[Asked], limit: Duration) {
    let able = output(&mut script(&["check", kernel]), Duration::from_secs(10)).expect("the script is there");
    if !able.status.success() {
        return skip(kernel, String::from_utf8_lossy(&able.stderr).trim());
    }
    let mut boot = script(&["boot", kernel, "--add", env!("CARGO_BIN_EXE_bpfapply"), "--add", "/bin/true"]);
    boot.arg("--add").arg(folder().join("tests")).env("VM_SECONDS", limit.as_secs().to_string());
    for tool in ["bash", "ip", "tc", "bpftool", "setpriv"].into_iter().filter(|tool| is_there(tool)) {
        boot.args(["--add", tool]);
    }
    for row in ROWS.iter().map(|row| path(row.object)).filter(|path| !path.starts_with(folder()) && path.exists()) {
        boot.arg("--add").arg(row);
    }
    let binaries = build(asked);
    let run = |((_, words), binary): (&Asked, &PathBuf)| {
        format!("{} {} --nocapture --test-threads=1 || status=1;", binary.display(), words.join(" "))
    };
    let runs: String = asked.iter().zip(&binaries).map(run).collect();
    binaries.iter().for_each(|binary| _ = boot.arg("--add").arg(binary));
    boot.args(["--", "sh", "-c", &format!("status=0; {runs} exit $status")]);
    let Some(said) = come_up(kernel, &mut boot, limit) else { return };
    let ended = said.lines().filter(|line| line.starts_with("test result: ok") && !line.contains(" 0 passed"));
    assert_eq!(ended.count(), asked.len(), "Linux {kernel}: {said}");
    let lines = said.lines().filter(|line| ["programs of", "skipped"].iter().any(|words| line.contains(words)));
    lines.for_each(|line| eprintln!("Linux {kernel}: {line}"));
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(folder().join("tests/vm/run"));
    command.args(arguments);
    command
}

fn is_there(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok()
}

/// Boots, and returns what was said there, which must have succeeded. A machine that does not come up says nothing about
/// us: under load, timers of emulated ones fail now and then. It gets another chance, and then nothing is returned.
#[track_caller]
fn come_up(kernel: &str, boot: &mut Command, limit: Duration) -> Option<String> {
    let mut run = || {
        let ran = output(boot, limit + Duration::from_secs(60)).expect("the script can be run");
        (ran.status, String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr[..]].concat()).into_owned())
    };
    let is_down = |(status, _): &(ExitStatus, String)| status.code() == Some(125);
    let first = run();
    let (status, said) = if is_down(&first) { run() } else { first };
    if status.code() == Some(125) {
        skip(kernel, &said);
        return None;
    }
    assert!(status.success(), "Linux {kernel}: {said}");
    Some(said)
}

/// Has cargo build the tests of these files, as it built this one, and returns the binaries.
fn build(asked: &[Asked]) -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--no-run", "--locked", "--message-format=json"]).current_dir(folder());
    cargo.args(if cfg!(debug_assertions) { &[][..] } else { &["--release"] });
    cargo.args(asked.iter().flat_map(|(file, _)| ["--test", file]));
    let built = output(&mut cargo, Duration::from_secs(600)).expect("cargo built this test");
    assert!(built.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&built.stderr));
    let said = String::from_utf8(built.stdout).expect("JSON is UTF-8");
    let artifacts: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let binary = |file: &str| {
        let of_file = |made: &&Value| made["target"]["name"] == file && made["target"]["kind"][0] == "test";
        let made = artifacts.iter().find(of_file).unwrap_or_else(|| panic!("{file} in {said}"));
        PathBuf::from(made["executable"].as_str().expect("a test is a program"))
    };
    asked.iter().map(|(file, _)| binary(file)).collect()
}

/// For what runs each time: several times what it takes on a machine that does nothing else.
const SOON: Duration = Duration::from_secs(900);
/// For everything.
const LATE: Duration = Duration::from_secs(3600);

#[test]
fn linux_5_10() {
    check("5.10", &[TABLE], SOON);
}

#[test]
fn linux_6_1() {
    check("6.1", SHORT, SOON);
}

#[test]
fn linux_6_12() {
    check("6.12", SHORT, SOON);
}

#[test]
#[ignore = "takes five minutes"]
fn all_of_linux_5_10() {
    check("5.10", &[TABLE, REFUSALS], LATE);
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn all_of_linux_6_1() {
    check("6.1", WHOLE, LATE);
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn all_of_linux_6_12() {
    check("6.12", WHOLE, LATE);
}

#[test]
#[ignore = "runs in the machine that the other tests boot"]
fn in_the_machine() {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("every kernel tells it");
    let known = KERNELS.iter().position(|kernel| release.starts_with(&format!("{kernel}.")));
    let number = known.unwrap_or_else(|| panic!("nothing is known of Linux {release}"));
    let (mut wrong, mut same) = (Vec::new(), 0);
    for row in ROWS {
        if !path(row.object).exists() {
            skip(row.object, "it is not installed");
            continue;
        }
        match run(row, row.outcomes[number]) {
            Ok(tags) => same += tags,
            Err(why) => wrong.push(format!("{} {:?}: {why}", row.object, row.programs)),
        }
        clear();
    }
    if let Err(why) = tc_without_a_word_of_how() {
        wrong.push(format!("tc: {why}"));
    }
    eprintln!("{same} programs of {} objects have the tags that libbpf gives them", ROWS.len());
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
}

/// Attaches to tc by what this kernel has: clsact before 6.6, and tcx since.
fn tc_without_a_word_of_how() -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/direct/filter_1.o");
    let text = format!(
        "version = 1\nname = \"vm\"\n[object.o]\npath = {object:?}\n[program.p]\nfrom = \"o:filter\"\n\
         [link.l]\nprogram = \"p\"\ntc = {{ interface = \"lo\", direction = \"ingress\" }}\n"
    );
    fs::write(folder.path().join("plan.toml"), text).expect("a file in a folder of ours");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("every kernel tells it");
    let is_old = ["5.10.", "6.1."].iter().any(|old| release.starts_with(old));
    let way = if is_old { "as this kernel has no tcx, which came with Linux 6.6" } else { "to tcx_ingress of lo" };
    for (arguments, says) in [
        (&["plan.toml"][..], way),
        (&["plan.toml"], "nothing to do: the host matches"),
        (&["destroy", "vm"], "3 removed"),
    ] {
        let said = bpfapply(folder.path(), arguments);
        if said.code != 0 || !words(&said.stdout).contains(says) {
            return Err(format!(
                "{says:?} is wanted of {arguments:?}, exit {}: {}{}",
                said.code, said.stdout, said.stderr
            ));
        }
    }
    Ok(())
}

/// Unpins everything.
fn clear() {
    for entry in fs::read_dir("/sys/fs/bpf").into_iter().flatten().flatten() {
        // The kernel's own folders cannot be removed, and need not be.
        let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
    }
}

/// Applies the programs of a row. Returns how many have the tag that libbpf gives them.
fn run(row: &Row, expected: Outcome) -> Result<usize, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let programs = manifest(folder.path(), row);
    let first = bpfapply(folder.path(), &["plan.toml"]);
    let words = words(&format!("{}{}", first.stdout, first.stderr));
    match expected {
        Refused(code, reason) if first.code == code && words.contains(reason) => {
            let left = Path::new("/sys/fs/bpf/vm").exists();
            return if left { Err("something stays".to_owned()) } else { Ok(0) };
        }
        Loads | Same if first.code == 0 => {}
        Refused(..) | Loads | Same => return Err(format!("{expected:?} is wanted, exit {}: {words}", first.code)),
    }
    let again = bpfapply(folder.path(), &["plan.toml"]);
    if !again.stdout.contains("nothing to do: the host matches") {
        return Err(format!("once more: {}{}", again.stdout, again.stderr));
    }
    match expected {
        Same if has_bpftool() => compare(row, &programs),
        Loads | Same | Refused(..) => Ok(0),
    }
}

/// Joins what is broken into lines and framed.
fn words(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c == '│' || c == '|').filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// Writes the manifest of a row, and returns its programs.
fn manifest(folder: &Path, row: &Row) -> Vec<String> {
    let path = path(row.object);
    let object = elf::parse(&fs::read(&path).expect("it exists")).expect("a good object");
    let named = |function: &str| row.programs.is_empty() || row.programs.contains(&function);
    let mut text = format!("version = 1\nname = \"vm\"\n[object.o]\npath = {path:?}\n");
    let mut programs = Vec::new();
    for program in object.programs.iter().filter(|program| program.kind.is_some() && named(&program.function)) {
        let function = &program.function;
        writeln!(text, "[program.{function}]\nfrom = \"o:{function}\"").expect("a string takes everything");
        programs.push(function.clone());
    }
    for map in object.maps.iter().filter(|map| map.dialect == Dialect::StructOps) {
        writeln!(text, "[map.{0}]\nfrom = \"o:{0}\"", map.symbol).expect("a string takes everything");
    }
    fs::write(folder.join("plan.toml"), text).expect("a file in a folder of ours");
    programs
}

/// Loads the object with libbpf as well, and compares the tags that the kernel gives.
fn compare(row: &Row, programs: &[String]) -> Result<usize, String> {
    let tag = |pin: String| bpftool(&format!("prog show pinned {pin}"))["tag"].to_string();
    let ours: Vec<_> = programs.iter().map(|program| tag(format!("/sys/fs/bpf/vm/programs/{program}"))).collect();
    let mut load = Command::new("bpftool");
    let load = load.args(["prog", "loadall"]).arg(path(row.object)).arg("/sys/fs/bpf/theirs");
    common::run(load).map_err(|why| format!("libbpf does not load it: {why}"))?;
    for (program, ours) in programs.iter().zip(&ours) {
        let theirs = tag(format!("/sys/fs/bpf/theirs/{program}"));
        if *ours != theirs {
            return Err(format!("`{program}` has the tag {ours}, and by libbpf {theirs}"));
        }
    }
    Ok(programs.len())
}
