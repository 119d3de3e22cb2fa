//! Events that really happen: each kind of link is made, left alone the second time, gets another program, and goes, and
//! somebody else's link to the same event stays what it was.
//!
//! Each program of `tests/events/events.c` counts in places of its own, one for each of its two versions.

mod common;

use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookInfo, Kernel as _, LinkInfo, ObjectKind};
use bpfapply::names::PinPath;
use common::tool::{Said, bpfapply, succeed};
use common::{Room, in_namespace, run, skip};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The places of `enum kind` in the map.
#[derive(Debug, Clone, Copy)]
enum Place {
    Tracepoint,
    Raw,
    Typed,
    Entry,
    Exit,
    Modify,
    Security,
    Iter,
    Counter,
    Kprobe,
    Kretprobe,
    Multi,
    Syscall,
    Uprobe,
    Uretprobe,
    Extended,
    Cookie,
}

/// One kind of link.
struct Case {
    /// The program's function.
    function: &'static str,
    /// The link's table.
    hook: String,
    /// Where the program counts.
    place: Place,
    /// By how much each time.
    by: u64,
    /// Lets it happen.
    fire: fn(),
    /// Whether the kernel replaces the program in place.
    in_place: bool,
}

fn case(function: &'static str, hook: &str, place: Place, fire: fn()) -> Case {
    Case { function, hook: hook.to_owned(), place, by: 1, fire, in_place: false }
}

/// Starts a program.
fn execute() {
    run(&mut Command::new("true")).expect("there is such a program");
}

/// Removes a file and a folder.
fn remove() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("file"), "").expect("the folder is writable");
    fs::remove_file(folder.path().join("file")).expect("it was made");
}

/// Calls a function of the C library, and with it a system call.
fn ask_for_group() {
    nix::unistd::getpgid(None).expect("every process has one");
}

/// Keeps a CPU busy for long enough that a clock of 99 Hz ticks.
fn work() {
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Reads the pins of both iterators.
fn iterate() {
    for deployment in ["events", "others"] {
        // The one that is not there is not read.
        let _ = fs::read(format!("/sys/fs/bpf/{deployment}/links/l"));
    }
}

/// Returns the path of the C library that this process runs.
fn library() -> String {
    let maps = fs::read_to_string("/proc/self/maps").expect("every process has them");
    let path = maps.lines().filter_map(|line| line.split_whitespace().last()).find(|path| path.contains("/libc.so"));
    path.expect("this program is linked with the C library").to_owned()
}

/// Writes a manifest of one link. `version` is that of the program.
fn write(folder: &TempDir, deployment: &str, version: u32, case: &Case) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    let text = format!(
        "version = 1\nname = \"{deployment}\"\n[object.o]\npath = \"{}/events_{version}.o\"\n\
         [map.seen]\nfrom = \"o:seen\"\n[program.p]\nfrom = \"o:{}\"\n[link.l]\nprogram = \"p\"\n{}\n",
        objects.display(),
        case.function,
        case.hook
    );
    fs::write(folder.path().join(format!("{deployment}.toml")), text).expect("the folder is writable");
}

/// Returns what both versions counted.
fn seen(deployment: &str, place: Place) -> [u64; 2] {
    let kernel = Linux::new();
    let pin = PinPath::new(&format!("/sys/fs/bpf/{deployment}/maps/seen")).expect("a path");
    let (_, map) = kernel.open_pin(&pin).expect("a pin");
    [0, 1].map(|version| {
        let key = 2 * (place as u32) + version;
        let value = kernel.lookup(&map, &key.to_ne_bytes(), 8).expect("it can be read").expect("an array has it");
        u64::from_ne_bytes(value.try_into().expect("8 bytes"))
    })
}

/// Returns what the kernel says of a deployment's link.
fn link_of(deployment: &str) -> LinkInfo {
    let kernel = Linux::new();
    let pin = PinPath::new(&format!("/sys/fs/bpf/{deployment}/links/l")).expect("a path");
    let (kind, link) = kernel.open_pin(&pin).expect("a pin");
    assert_eq!(kind, ObjectKind::Link);
    kernel.link_info(&link).expect("it is there")
}

/// Lets it happen, and asserts which versions saw it.
#[track_caller]
fn fires(case: &Case, deployment: &str, versions: [bool; 2]) {
    let before = seen(deployment, case.place);
    (case.fire)();
    let after = seen(deployment, case.place);
    for (version, expected) in versions.into_iter().enumerate() {
        let more = after[version] - before[version];
        assert_eq!(more > 0, expected, "{} of {deployment}, version {}: {more} more", case.function, version + 1);
        assert_eq!(more % case.by, 0, "{}", case.function);
    }
}

/// Asserts that a second apply and a status have nothing to say.
#[track_caller]
fn is_settled(folder: &TempDir) {
    let said = succeed(folder.path(), &["events.toml"]);
    assert!(said.contains("nothing to do") || said.contains("unchanged"), "{said}");
    succeed(folder.path(), &["status", "/sys/fs/bpf/events", "--check"]);
    succeed(folder.path(), &["events.toml", "--dry-run", "--check"]);
}

/// Makes tracefs be there, as it is on nearly every host.
fn mount_tracefs() {
    if !Path::new("/sys/kernel/tracing/events").exists() {
        run(Command::new("mount").args(["-t", "tracefs", "tracefs", "/sys/kernel/tracing"])).expect("it can be mounted");
    }
}

/// Takes one kind of link through its life.
#[track_caller]
fn check(case: &Case) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    // Somebody else waits for the same.
    write(&folder, "others", 1, case);
    let first = bpfapply(folder.path(), &["others.toml"]);
    match first.code {
        0 => {}
        69 | 77 => {
            assert!(!Path::new("/sys/fs/bpf/others").exists(), "{}", case.function);
            return skip(case.function, &last_lines(&first));
        }
        code => panic!("{}: exit {code}: {}{}", case.function, first.stdout, first.stderr),
    }
    let theirs = link_of("others");
    assert!(matches!(theirs.hook, HookInfo::Event(_)), "{theirs:?}");
    fires(case, "others", [true, false]);

    write(&folder, "events", 1, case);
    succeed(folder.path(), &["events.toml"]);
    fires(case, "events", [true, false]);
    is_settled(&folder);

    write(&folder, "events", 2, case);
    let planned = succeed(folder.path(), &["events.toml", "--dry-run"]);
    let says = if case.in_place { ["in place", "no gap"] } else { ["+/-", "both run meanwhile"] };
    assert!(says.iter().all(|says| planned.contains(says)), "{planned}");
    succeed(folder.path(), &["events.toml"]);
    settles(case, [false, true]);
    is_settled(&folder);
    succeed(folder.path(), &["rollback", "/sys/fs/bpf/events"]);
    settles(case, [true, false]);

    fires(case, "others", [true, false]);
    succeed(folder.path(), &["destroy", "/sys/fs/bpf/events"]);
    assert!(!Path::new("/sys/fs/bpf/events").exists());
    fires(case, "others", [true, false]);
    assert_eq!(link_of("others"), theirs);
    succeed(folder.path(), &["destroy", "/sys/fs/bpf/others"]);
}

/// Waits until the link whose pin is gone has let go, and asserts which versions see what happens then.
#[track_caller]
fn settles(case: &Case, versions: [bool; 2]) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let before = seen("events", case.place);
        (case.fire)();
        let after = seen("events", case.place);
        if [0, 1].map(|version| after[version] > before[version]) == versions {
            return fires(case, "events", versions);
        }
        assert!(Instant::now() < end, "{}: {before:?}, {after:?}", case.function);
    }
}

fn last_lines(said: &Said) -> String {
    let text = format!("{}{}", said.stdout, said.stderr);
    let errors = text.lines().skip_while(|line| !line.contains("error:")).take(3);
    let words: Vec<_> = errors.map(str::trim).collect();
    words.join(" ")
}

fn in_room(name: &'static str, body: impl FnOnce(&Room) + Send + 'static) {
    in_namespace(name, |room| {
        mount_tracefs();
        body(room);
    });
}

#[test]
fn tracepoints() {
    in_room("tracepoints", |_| {
        check(&case("tracepoint", "tracepoint = {}", Place::Tracepoint, execute));
        check(&Case {
            by: 7,
            ..case("with_cookie", "tracepoint = { name = \"sched/sched_process_exec\", cookie = 7 }", Place::Cookie, execute)
        });
        check(&case("raw", "raw_tracepoint = {}", Place::Raw, execute));
        check(&case("writable", "raw_tracepoint = { name = \"sched_process_exec\" }", Place::Raw, execute));
        check(&case("typed", "tracing = {}", Place::Typed, execute));
    });
}

#[test]
fn functions_of_the_kernel() {
    in_room("functions", |_| {
        check(&case("entry", "tracing = {}", Place::Entry, remove));
        check(&case("exit_of", "tracing = {}", Place::Exit, remove));
        check(&case("modify", "tracing = {}", Place::Modify, remove));
        check(&case("security", "lsm = {}", Place::Security, remove));
    });
}

#[test]
fn probes_of_the_kernel() {
    in_room("probes", |_| {
        check(&case("probe", "kprobe = {}", Place::Kprobe, remove));
        check(&case("probe", "kprobe = { function = \"do_rmdir\" }", Place::Kprobe, remove));
        check(&case("probe_return", "kprobe = {}", Place::Kretprobe, remove));
        check(&case("system_call", "kprobe = {}", Place::Syscall, ask_for_group));
        check(&case("probes", "kprobe_multi = { functions = [\"do_unlinkat\", \"do_rmdir\"] }", Place::Multi, remove));
    });
}

#[test]
fn probes_of_processes() {
    in_room("uprobes", |_| {
        let place = format!("binary = \"{}\", symbol = \"getpgid\"", library());
        check(&case("user", &format!("uprobe = {{ {place} }}"), Place::Uprobe, ask_for_group));
        let own = format!("uprobe = {{ {place}, pid = {} }}", std::process::id());
        check(&case("user_return", &own, Place::Uretprobe, ask_for_group));
    });
}

#[test]
fn counters_and_iterators() {
    in_room("counters", |_| {
        let clock = "perf_event = { type = \"software\", config = \"cpu-clock\", frequency = 99";
        check(&case("counter", &format!("{clock}, pid = {} }}", nix::unistd::gettid()), Place::Counter, work));
        check(&Case { in_place: true, ..case("each_task", "iter = {}", Place::Iter, iterate) });
    });
}
