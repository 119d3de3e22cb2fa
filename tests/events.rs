//! Events that really happen: each kind of link is made, left alone the second time, gets another program, and goes, and
//! somebody else's link to the same event stays what it was.
//!
//! Each program of `tests/events/events.c` counts in places of its own, one for each of its two versions.

mod common;

use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{EventInfo, HookInfo, Kernel as _, LinkInfo, ObjectKind};
use bpfapply::names::PinPath;
use common::tool::{self, Said, bpfapply, succeed};
use common::{in_namespace, run, skip};
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
    tool::is_settled(folder.path(), "events.toml", "/sys/fs/bpf/events");
}

fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
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
            if matches!(case.place, Place::Kprobe | Place::Kretprobe | Place::Syscall) && !has_kprobes() {
                // What is known without a try, a dry run says.
                let planned = bpfapply(folder.path(), &["others.toml", "--dry-run"]);
                assert!(planned.code == 69 && planned.stderr.contains("built without kprobes"), "{planned:?}");
            }
            if matches!(case.place, Place::Multi) {
                let planned = bpfapply(folder.path(), &["others.toml", "--dry-run=verify"]);
                let is_said = planned.stderr.contains("not tried, which only attaching does");
                assert!(planned.code != 0 || is_said, "{planned:?}");
            }
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
    let shown = succeed(folder.path(), &["show", "events"]);
    let untold = matches!(theirs.hook, HookInfo::Event(EventInfo::Perf(None) | EventInfo::KprobeMulti(None)));
    assert_eq!(shown.contains("by the record"), untold, "{shown}");

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

#[test]
fn tracepoints() {
    in_namespace("tracepoints", |room| {
        check(&case("tracepoint", "tracepoint = {}", Place::Tracepoint, execute));
        // The helper came with it.
        if room.version >= (5, 15) {
            check(&Case {
                by: 7,
                ..case(
                    "with_cookie",
                    "tracepoint = { name = \"sched/sched_process_exec\", cookie = 7 }",
                    Place::Cookie,
                    execute,
                )
            });
        }
        check(&case("raw", "raw_tracepoint = {}", Place::Raw, execute));
        check(&case("writable", "raw_tracepoint = { name = \"sched_process_exec\" }", Place::Raw, execute));
        check(&case("typed", "tracing = {}", Place::Typed, execute));
    });
}

#[test]
fn functions_of_the_kernel() {
    in_namespace("functions", |_| {
        check(&case("entry", "tracing = {}", Place::Entry, remove));
        check(&case("exit_of", "tracing = {}", Place::Exit, remove));
        check(&case("modify", "tracing = {}", Place::Modify, remove));
        check(&case("security", "lsm = {}", Place::Security, remove));
    });
}

#[test]
fn probes_of_the_kernel() {
    in_namespace("probes", |_| {
        check(&case("probe", "kprobe = {}", Place::Kprobe, remove));
        check(&case("probe", "kprobe = { function = \"do_rmdir\" }", Place::Kprobe, remove));
        check(&case("probe_return", "kprobe = {}", Place::Kretprobe, remove));
        check(&case("system_call", "kprobe = {}", Place::Syscall, ask_for_group));
        check(&case("probes", "kprobe_multi = { functions = [\"do_unlinkat\", \"do_rmdir\"] }", Place::Multi, remove));
    });
}

#[test]
fn probes_of_processes() {
    in_namespace("uprobes", |_| {
        let place = format!("binary = \"{}\", symbol = \"getpgid\"", library());
        check(&case("user", &format!("uprobe = {{ {place} }}"), Place::Uprobe, ask_for_group));
        let own = format!("uprobe = {{ {place}, pid = {} }}", std::process::id());
        check(&case("user_return", &own, Place::Uretprobe, ask_for_group));
    });
}

#[test]
fn counters_and_iterators() {
    in_namespace("counters", |_| {
        let clock = "perf_event = { type = \"software\", config = \"cpu-clock\", frequency = 99";
        check(&case("counter", &format!("{clock}, pid = {} }}", nix::unistd::gettid()), Place::Counter, work));
        check(&Case { in_place: true, ..case("each_task", "iter = {}", Place::Iter, iterate) });
    });
}

/// Lets a packet come.
fn knock() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.send_to(b"x", "127.0.0.1:9").expect("it is sent, whoever listens");
    std::thread::sleep(Duration::from_millis(20));
}

/// Writes a manifest of a filter, and of a program that replaces one of its functions, of these versions.
fn write_extension(folder: &TempDir, filter: u32, extension: u32) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    let text = format!(
        "version = 1\nname = \"events\"\n\
         [object.filter]\npath = \"{0}/events_{filter}.o\"\n[object.more]\npath = \"{0}/events_{extension}.o\"\n\
         [map.seen]\nfrom = \"more:seen\"\n\
         [program.filter]\nfrom = \"filter:filter\"\n\
         [program.instead]\nfrom = \"more:instead\"\ntarget = \"program.filter\"\n\
         [link.a]\nprogram = \"filter\"\nxdp = {{ interface = \"lo\", mode = \"generic\" }}\n\
         [link.l]\nprogram = \"instead\"\nextension = {{}}\n",
        objects.display(),
    );
    fs::write(folder.path().join("events.toml"), text).expect("the folder is writable");
}

#[test]
fn an_extension_follows_its_target() {
    in_namespace("extension", |_| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let case = case("instead", "extension = {}", Place::Extended, knock);
        write_extension(&folder, 1, 1);
        let first = bpfapply(folder.path(), &["events.toml"]);
        if first.code == 77 {
            return skip("extension", &last_lines(&first));
        }
        assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
        settles(&case, [true, false]);
        is_settled(&folder);

        // Another extension of the same function: only one fits, and meanwhile the function itself runs.
        write_extension(&folder, 1, 2);
        let Said { code, stdout, .. } = bpfapply(folder.path(), &["events.toml"]);
        assert!(code == 4 && stdout.contains("-/+") && stdout.contains("GAP"), "{code}: {stdout}");
        succeed(folder.path(), &["events.toml", "--allow", "gap"]);
        settles(&case, [false, true]);
        is_settled(&folder);

        // Another target: its function is replaced before it runs itself.
        write_extension(&folder, 2, 2);
        let planned = succeed(folder.path(), &["events.toml", "--dry-run"]);
        assert!(planned.contains("+/-") && planned.contains("both run meanwhile"), "{planned}");
        let place = |link: &str| planned.find(link).unwrap_or_else(|| panic!("{link}: {planned}"));
        assert!(place("link.l") < place("link.a"), "{planned}");
        succeed(folder.path(), &["events.toml"]);
        settles(&case, [false, true]);
        is_settled(&folder);
        succeed(folder.path(), &["rollback", "/sys/fs/bpf/events"]);
        settles(&case, [false, true]);
        succeed(folder.path(), &["destroy", "/sys/fs/bpf/events"]);
    });
}

/// A program that is made anew under the same path is another one: the link must follow.
#[test]
fn a_new_file_is_another_place() {
    in_namespace("new_file", |_| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let binary = folder.path().join("true");
        let copy = || {
            fs::copy("/bin/true", folder.path().join("next")).expect("there is such a program");
            fs::rename(folder.path().join("next"), &binary).expect("it is a folder of ours");
        };
        copy();
        let hook = format!("uprobe = {{ binary = \"{}\", offset = {:#x} }}", binary.display(), entry_of(&binary));
        let case = case("user", &hook, Place::Uprobe, execute);
        write(&folder, "events", 1, &case);
        let first = bpfapply(folder.path(), &["events.toml"]);
        if first.code == 69 {
            return skip("new_file", &last_lines(&first));
        }
        assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
        let runs = || {
            let before = seen("events", case.place)[0];
            run(&mut Command::new(&binary)).expect("it is a program");
            seen("events", case.place)[0] > before
        };
        assert!(runs());
        is_settled(&folder);

        copy();
        assert!(!runs(), "the link is at the old file");
        let said = bpfapply(folder.path(), &["status", "/sys/fs/bpf/events", "--check"]);
        assert!(said.code == 2 && said.stdout.contains("another one"), "{}", said.stdout);
        succeed(folder.path(), &["events.toml"]);
        assert!(runs());
        is_settled(&folder);
        succeed(folder.path(), &["destroy", "/sys/fs/bpf/events"]);
        assert!(run(&mut Command::new(&binary)).is_ok());
    });
}

/// Returns where a program starts, in bytes from the start of its file: where the segment with its entry says so.
fn entry_of(binary: &Path) -> u64 {
    let bytes = fs::read(binary).expect("it is there");
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let (entry, table) = (word(0x18), usize::try_from(word(0x20)).expect("it is in the file"));
    let count = usize::from(u16::from_le_bytes([bytes[0x38], bytes[0x39]]));
    let segment = (0..count)
        .map(|number| table + 56 * number)
        .find(|at| bytes[*at] == 1 && (word(at + 16)..word(at + 16) + word(at + 32)).contains(&entry));
    let segment = segment.expect("it starts in a segment");
    entry - word(segment + 16) + word(segment + 8)
}

/// What cannot be is said before anything is done, with what would be.
#[test]
fn what_does_not_fit_is_refused() {
    for (function, hook, says) in [
        ("raw", "tracepoint = {}", &["`tracepoint` does not take this program", "`raw_tracepoint = { ... }`"][..]),
        ("typed", "raw_tracepoint = {}", &["tracing for trace_raw_tp", "`tracing = { ... }`"]),
        ("each_task", "tracing = {}", &["tracing for trace_iter", "`iter = { ... }`"]),
        ("probes", "kprobe = {}", &["kprobe for trace_kprobe_multi", "`kprobe_multi = { ... }`"]),
        ("probe", "kprobe_multi = { functions = [\"do_rmdir\"] }", &["`kprobe = { ... }`"]),
        ("filter", "kprobe = {}", &["which is xdp"]),
        ("user", "uprobe = {}", &["which file it is", "symbol = \"readline\""]),
        ("user", "kprobe = {}", &["which function it is"]),
        ("user", "uprobe = { binary = \"/bin/true\" }", &["`symbol` is missing"]),
        ("user", "uprobe = { symbol = \"main\" }", &["`binary` is missing"]),
        ("user", "uprobe = { binary = \"true\", symbol = \"main\" }", &["it is not absolute"]),
        ("probe_return", "kprobe = { return = true, offset = 4 }", &["leave the offset out"]),
        ("tracepoint", "tracepoint = { name = \"sched\" }", &["it is not `CATEGORY/NAME`"]),
        (
            "counter",
            "perf_event = { type = \"software\", config = \"cpu-clock\", frequency = 9 }",
            &["`cpu` is missing"],
        ),
        (
            "counter",
            "perf_event = { type = \"software\", config = \"cpu-clok\", period = 9, cpu = 0 }",
            &["`cpu-clock`"],
        ),
        ("counter", "perf_event = { type = \"raw\", config = \"x\", period = 9, cpu = 0 }", &["must be a number"]),
        ("counter", "perf_event = { type = \"software\", config = 0, period = 0, cpu = 0 }", &["cannot be 0"]),
        (
            "counter",
            "perf_event = { type = \"software\", config = 0, period = 9, frequency = 9, cpu = 0 }",
            &["keep one of the two"],
        ),
        ("probes", "kprobe_multi = { functions = [] }", &["it names no function"]),
        ("probes", "kprobe_multi = { functions = [\"tcp_*\"] }", &["it has `*`"]),
    ] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        write(&folder, "events", 1, &case(function, hook, Place::Raw, execute));
        let said = bpfapply(folder.path(), &["events.toml", "--dry-run"]);
        let text = said.stdout + &said.stderr;
        assert_eq!(said.code, 65, "{function}, {hook}: {text}");
        let words: Vec<_> = text.split_whitespace().collect();
        let text = words.join(" ");
        says.iter().for_each(|says| assert!(text.contains(says), "{function}, {hook}: {says}: {text}"));
    }
}

#[test]
fn what_is_not_there_is_said() {
    in_namespace("no_event", |_| {
        for (function, hook, code, says) in [
            ("tracepoint", "tracepoint = { name = \"sched/no_such\" }", 69, "this kernel has no such tracepoint"),
            ("raw", "raw_tracepoint = { name = \"no_such\" }", 69, "this kernel has no such tracepoint"),
            ("user", "uprobe = { binary = \"/no/such\", symbol = \"main\" }", 1, "there is no such file"),
        ] {
            let folder = tempfile::tempdir().expect("a folder can be made");
            write(&folder, "events", 1, &case(function, hook, Place::Raw, execute));
            let said = bpfapply(folder.path(), &["events.toml"]);
            assert_eq!(said.code, code, "{function}, {hook}: {}{}", said.stdout, said.stderr);
            let words: Vec<_> = said.stderr.split_whitespace().collect();
            assert!(words.join(" ").contains(says), "{function}, {hook}: {says}: {}", said.stderr);
        }
    });
}
