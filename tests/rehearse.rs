//! `--dry-run=verify`: every new map and program goes through this kernel as an apply would have it, and nothing that
//! exists is changed, nothing attached and nothing left.

mod common;

use bpfapply::apply::rehearse;
use bpfapply::kernel::fake::Fake;
use bpfapply::plan::Verdict;
use common::tool::{below, bpfapply, refused, succeed};
use common::{Room, in_namespace, stages};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Calls that only make something that nobody else can see.
const PRIVATE: &[&str] = &["create_map", "load_btf", "load_program", "update", "update_slot", "freeze"];

/// Tail calls through slots, data sections, a map that two objects share, and a program of another type.
const PROGRAMS: &str = r#"
version = 1
name = "edge"
[object.data]
path = "tests/objects/data.o"
[object.jumps]
path = "tests/objects/prog_array.o"
[object.device]
path = "tests/objects/stats_a.o"
[object.stack]
path = "tests/objects/stats_b.o"
maps = { stats = "stats" }
[map.stats]
from = "device:stats"
[program.touch]
from = "data:touch"
[program.entry]
from = "jumps:entry"
[program.first]
from = "jumps:first"
[program.third]
from = "jumps:third"
[program.on_device]
from = "device:on_device"
[program.on_stack]
from = "stack:on_stack"
[link.uplink]
program = "entry"
xdp = { interface = "lo" }
"#;

/// A program and an extension of it.
const EXTENSION: &str = r#"
version = 1
name = "edge"
[object.filter]
path = "tests/events/events_1.o"
[object.more]
path = "tests/events/events_2.o"
[map.seen]
from = "more:seen"
[program.filter]
from = "filter:filter"
[program.instead]
from = "more:instead"
target = "program.filter"
"#;

/// Rehearses a manifest on a fake kernel where that text was applied before, and on which the verifier refuses these
/// functions; returns each verdict, and each problem in one line.
#[track_caller]
fn said(before: Option<&str>, text: &str, refuses: &[&str]) -> Vec<String> {
    let fake = Fake::new();
    if let Some(before) = before {
        stages::make(before, &fake);
    }
    for function in refuses {
        fake.refuse_program(function, libc::EACCES, "R1 is not what it should be\n");
    }
    let plan = stages::good(stages::plan(text, &fake), text);
    let (calls, dump) = (fake.calls().len(), fake.dump());
    let rehearsed = rehearse(&mut fake.clone(), &plan);
    let others: BTreeSet<_> =
        fake.calls().split_off(calls).into_iter().filter(|call| !PRIVATE.contains(call)).collect();
    assert!(others.is_empty(), "{others:?}");
    let verdicts = rehearsed.verdicts.iter().map(|(program, verdict)| match verdict {
        Verdict::Passed { insns: Some(_) } => format!("{program} passed"),
        Verdict::Passed { insns: None } => format!("{program} passed uncounted"),
        Verdict::Failed => format!("{program} failed"),
        Verdict::NotTried { lacks } => format!("{program} lacks {lacks}"),
    });
    let mut lines: Vec<String> = verdicts.collect();
    lines.extend(rehearsed.problems().0.iter().map(|problem| problem.kind.to_string()));
    drop(rehearsed);
    assert_eq!(fake.dump(), dump, "nothing is left");
    lines
}

#[test]
fn every_program_has_a_verdict() {
    let all = ["entry", "first", "on_device", "on_stack", "third", "touch"];
    let but = |failed: &[&str]| {
        let line = |name: &&str| format!("{name} {}", if failed.contains(name) { "failed" } else { "passed" });
        all.iter().map(line).collect::<Vec<_>>()
    };
    let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    type Case<'a> = (&'a str, Option<&'a str>, &'a str, &'a [&'a str], Vec<String>);
    let cases: &[Case<'_>] = &[
        ("all pass", None, PROGRAMS, &[], but(&[])),
        ("one of a batch", None, PROGRAMS, &["touch"], but(&["touch"])),
        ("one of a tail call", None, PROGRAMS, &["third"], but(&["third"])),
        ("several", None, PROGRAMS, &["touch", "on_stack", "first"], but(&["first", "on_stack", "touch"])),
        ("nothing is new", Some(PROGRAMS), PROGRAMS, &[], Vec::new()),
        ("a target", None, EXTENSION, &["filter"], lines(&["filter failed", "instead lacks program.filter"])),
        ("an extension", None, EXTENSION, &["instead"], lines(&["filter passed", "instead failed"])),
    ];
    for (name, before, text, refuses, expected) in cases {
        let lines = said(*before, text, refuses);
        let (verdicts, problems) = lines.split_at(expected.len());
        assert_eq!(verdicts, expected, "{name}");
        assert_eq!(problems.len(), refuses.len(), "{name}: {problems:#?}");
    }
}

#[test]
fn whatever_fails_nothing_is_left() {
    for n in 1.. {
        let fake = Fake::new();
        let plan = stages::good(stages::plan(PROGRAMS, &fake), PROGRAMS);
        let before = fake.dump();
        fake.fail_nth(n, libc::ENOMEM);
        let rehearsed = rehearse(&mut fake.clone(), &plan);
        let (problems, calls) = (rehearsed.problems().0.len(), fake.calls().len());
        drop(rehearsed);
        assert_eq!(fake.dump(), before, "call {n}");
        if n > calls {
            assert_eq!(problems, 0);
            break;
        }
    }
}

/// Asserts that nothing is pinned and nothing is on lo.
#[track_caller]
fn is_empty(room: &Room) {
    // Some kernels have files of their own there.
    let mut pins = below(Path::new(room.bpffs.as_str()));
    pins.retain(|pin| !pin.ends_with(".debug"));
    assert_eq!(pins, [""; 0]);
    let shown = common::run(Command::new("ip").args(["-details", "link", "show", "lo"])).expect("there is lo");
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("xdp"), "nothing is on lo");
}

/// Makes a folder with a manifest; `OBJECTS` in it stands for the folder of objects.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let objects = format!("{}/tests/objects", env!("CARGO_MANIFEST_DIR"));
    fs::write(folder.path().join("plan.toml"), text.replace("OBJECTS", &objects)).expect("it can be written");
    folder
}

/// One program of a filter that counts, with a constant.
const GOOD: &str = r#"
version = 1
name = "edge"
[object.data]
path = "OBJECTS/data.o"
set = { ro_limit = 5 }
[program.touch]
from = "data:touch"
[link.uplink]
program = "touch"
xdp = { interface = "lo", mode = "generic" }
"#;

/// Two programs that no verifier takes, and one that it does.
const BAD: &str = r#"
version = 1
name = "edge"
[object.bounds]
path = "OBJECTS/bad_bounds.o"
[object.null]
path = "OBJECTS/bad_null.o"
[program.unbounded]
from = "bounds:unbounded"
[program.unchecked]
from = "null:unchecked"
[program.harmless]
from = "null:harmless"
[link.uplink]
program = "harmless"
xdp = { interface = "lo", mode = "generic" }
"#;

fn json(folder: &Path, mode: &str) -> serde_json::Value {
    let said = bpfapply(folder, &["plan.toml", mode, "--output", "json"]);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", said.stdout, said.stderr))
}

/// Returns what a plan says of the verifier: of each program, and how much it went through.
fn verifier(plan: &serde_json::Value) -> Vec<String> {
    let steps = plan["steps"].as_array().expect("a plan has steps").iter();
    let loads = steps.filter(|step| !step["verifier"].is_null());
    let word = |step: &serde_json::Value| {
        let counted =
            if step["verified_instructions"].as_u64().is_some_and(|count| count > 1) { ", counted" } else { "" };
        format!("{}: {}{counted}", step["address"].as_str().unwrap_or("?"), step["verifier"].as_str().unwrap_or("?"))
    };
    loads.map(word).collect()
}

#[test]
fn what_the_verifier_takes() {
    in_namespace("what_the_verifier_takes", |room| {
        let folder = folder(GOOD);
        let live = json(folder.path(), "--dry-run");
        assert_eq!((&live["mode"], verifier(&live)), (&"live".into(), vec!["program.touch: not run".to_owned()]));
        let plan = json(folder.path(), "--dry-run=verify");
        let counted = if room.version >= (5, 16) { ", counted" } else { "" };
        assert_eq!(verifier(&plan), [format!("program.touch: passed{counted}")]);
        assert_eq!((&plan["mode"], &plan["id"]), (&"verify".into(), &live["id"]), "it is the same plan");
        let said = succeed(folder.path(), &["plan.toml", "--dry-run=verify"]);
        for text in [
            "edge: verify dry run: loads what is new and drops it, changes nothing, verifier passed",
            "verifier: passed",
            "verifier: passed for 1 program",
            "apply exactly this: bpfapply plan.toml --expect",
        ] {
            assert!(said.contains(text), "{text:?}: {said}");
        }
        is_empty(room);
        let id = live["id"].as_str().expect("a plan has an id");
        succeed(folder.path(), &["plan.toml", "--dry-run=verify", "--expect", id, "--out", "saved"]);
        refused(folder.path(), &["plan.toml", "--dry-run=verify", "--expect", &"0".repeat(32)], 75);
        refused(folder.path(), &["plan.toml", "--dry-run=verify", "--check"], 2);
        // Somebody else is at work: nobody waits.
        let lock = fs::File::open("/sys/fs/bpf").expect("it is a folder");
        lock.lock().expect("it can be locked");
        let said = bpfapply(folder.path(), &["plan.toml", "--dry-run=verify", "--lock-timeout", "0"]);
        assert!(said.code == 0 && said.stderr.contains("is at work"), "{said:?}");
        drop(lock);
        succeed(folder.path(), &["--plan", "saved"]);
        let pins = below(Path::new("/sys/fs/bpf"));
        let said = succeed(folder.path(), &["plan.toml", "--dry-run=verify", "--check"]);
        assert!(said.contains("nothing to do") && !said.contains("verifier"), "{said}");
        let text = fs::read_to_string(folder.path().join("plan.toml")).expect("it was written");
        fs::write(folder.path().join("plan.toml"), text.replace("ro_limit = 5", "ro_limit = 6")).expect("it can be");
        let said = succeed(folder.path(), &["plan.toml", "--dry-run=verify"]);
        assert!(said.contains("verifier passed"), "{said}");
        assert_eq!(below(Path::new("/sys/fs/bpf")), pins);
    });
}

#[test]
fn what_the_verifier_refuses() {
    in_namespace("what_the_verifier_refuses", |room| {
        let folder = folder(BAD);
        let said = bpfapply(folder.path(), &["plan.toml", "--dry-run=verify", "--color", "always"]);
        let applied = bpfapply(folder.path(), &["plan.toml"]);
        assert_eq!(said.code, applied.code, "{}", said.stderr);
        let alarm = |text: &str| format!("\x1b[1;31m{text}\x1b[0m");
        for text in [alarm("verifier FAILED"), alarm("verifier: FAILED"), alarm("FAILED for 2 programs")] {
            assert!(said.stdout.contains(&text), "{text:?}: {}", said.stdout);
        }
        assert!(!said.stdout.contains("apply exactly this"), "{}", said.stdout);
        for text in ["program.unbounded", "program.unchecked", "bad_bounds.c:", "bad_null.c:"] {
            assert!(said.stderr.contains(text), "{text:?}: {}", said.stderr);
        }
        let refusals = |text: &str| text.matches("the kernel refuses this program").count();
        assert_eq!((refusals(&said.stderr), refusals(&applied.stderr)), (2, 1), "an apply stops at the first one");
        let verdicts = verifier(&json(folder.path(), "--dry-run=verify"));
        let passed =
            if room.version >= (5, 16) { "program.harmless: passed, counted" } else { "program.harmless: passed" };
        assert_eq!(verdicts, [passed, "program.unbounded: failed", "program.unchecked: failed"]);
        is_empty(room);
    });
}

#[test]
fn without_a_bpffs_and_without_rights() {
    in_namespace("without_a_bpffs_and_without_rights", |_| {
        let folder = folder(GOOD);
        common::run(Command::new("umount").arg("/sys/fs/bpf")).expect("it is mounted");
        let said = succeed(folder.path(), &["plan.toml", "--dry-run=verify"]);
        assert!(said.contains("verifier passed") && said.contains("mount"), "{said}");
        let mounts = fs::read_to_string("/proc/thread-self/mounts").expect("it can be read");
        assert!(!mounts.contains(" /sys/fs/bpf bpf "), "{mounts}");
        common::run(Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path())).expect("it is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
        command.args(["plan.toml", "--dry-run=verify"]).current_dir(folder.path()).uid(65534).gid(65534);
        let Ok(output) = common::output(&mut command, common::LIMIT) else {
            return common::skip("the rest", "nobody may run what was built");
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(77), "{stderr}");
        assert!(stderr.contains("run it as root"), "{stderr}");
        common::run(Command::new("mount").args(["-t", "bpf", "bpf", "/sys/fs/bpf"])).expect("as it was");
    });
}

/// Commands that change nothing that others can see.
const UNSEEN: &[&str] = &[
    "BPF_MAP_CREATE",
    "BPF_PROG_LOAD",
    "BPF_BTF_LOAD",
    "BPF_MAP_UPDATE_ELEM",
    "BPF_MAP_UPDATE_BATCH",
    "BPF_MAP_FREEZE",
];

/// Commands that only ask.
const ASKING: &[&str] = &[
    "BPF_OBJ_GET,",
    "BPF_OBJ_GET_INFO_BY_FD",
    "LOOKUP",
    "_GET_NEXT_ID",
    "_GET_FD_BY_ID",
    "GET_NEXT_KEY",
    "BPF_PROG_QUERY",
];

#[test]
fn a_verified_dry_run_is_dry() {
    in_namespace("a_verified_dry_run_is_dry", |_| {
        let folder = folder(GOOD);
        succeed(folder.path(), &["plan.toml"]);
        let text = fs::read_to_string(folder.path().join("plan.toml")).expect("it was written");
        let text = text.replace("ro_limit = 5", "ro_limit = 6, rw_step = 9");
        fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
        let trace = folder.path().join("trace");
        let mut command = Command::new("strace");
        let calls = "trace=bpf,mkdir,mkdirat,unlink,unlinkat,rmdir,rename,renameat,renameat2,mount,fsmount,move_mount,symlink,symlinkat,link,linkat,flock,sendmsg,sendto";
        command.args(["-f", "-qq", "-e", calls, "-e", "signal=none", "-o"]).arg(&trace);
        command.arg(env!("CARGO_BIN_EXE_bpfapply")).args(["plan.toml", "--dry-run=verify"]).current_dir(folder.path());
        match common::output(&mut command, common::LIMIT) {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => return common::skip("a_verified_dry_run_is_dry", "there is no strace"),
        }
        let calls = fs::read_to_string(&trace).expect("strace writes");
        let (mut made, mut loads) = (BTreeSet::new(), 0);
        for line in
            calls.lines().filter(|line| !line.contains("RTM_GET") && !ASKING.iter().any(|call| line.contains(call)))
        {
            assert!(UNSEEN.iter().any(|call| line.contains(call)), "it changes something: {line}");
            let result = line.rsplit_once(" = ").map(|(_, result)| result.to_owned());
            if line.contains("BPF_MAP_CREATE") {
                made.extend(result);
            } else if let Some((_, behind)) = line.split_once("map_fd=") {
                let fd: String = behind.chars().take_while(char::is_ascii_digit).collect();
                assert!(made.contains(&fd), "it writes to a map that it did not make: {line}");
            }
            loads += usize::from(line.contains("BPF_PROG_LOAD"));
        }
        assert!(loads > 0 && !made.is_empty(), "{calls}");
    });
}
