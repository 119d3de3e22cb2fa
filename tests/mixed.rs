//! One deployment of programs of five types in two objects, which share two maps, on three interfaces of two network
//! namespaces and on a cgroup: it is applied, is left alone, changes, and goes, and others stay what they were.

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel as _, ProgramRequest};
use bpfapply::kinds::{AttachType, ProgramType};
use bpfapply::names::PinPath;
use common::tool::{bpfapply, succeed};
use common::{Room, in_namespace, run, skip};
use nix::sched::{CloneFlags, setns};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// `v0` and `w0` are here, their other ends `v1` and `w1` in blue.
const TWO: &str = "mount -t tmpfs none /run && ip netns add blue && \
    ip link add v0 type veth peer name v1 netns blue && ip link add w0 type veth peer name w1 netns blue && \
    ip addr add 10.9.1.1/24 dev v0 && ip addr add 10.9.2.1/24 dev w0 && ip link set v0 up && ip link set w0 up && \
    ip -n blue addr add 10.9.1.2/24 dev v1 && ip -n blue addr add 10.9.2.2/24 dev w1 && \
    ip -n blue link set v1 up && ip -n blue link set w1 up && ip -n blue link set lo up";

/// What `seen` counts, in its order (`tests/mixed/mixed.h`).
const PLACES: [&str; 6] = ["xdp", "tcx ingress", "tcx egress", "connect4", "sk_lookup", "netfilter"];

#[track_caller]
fn sh(script: &str) {
    run(Command::new("sh").args(["-c", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
}

/// Writes the manifest; `blocked` is the one port that is blocked.
fn write(folder: &Path, cgroup: &Path, version: u32, blocked: u16) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mixed");
    let (objects, cgroup) = (objects.display(), cgroup.display());
    let text = format!(
        r#"
version = 1
name = "mixed"
[object.edge]
path = "{objects}/edge_{version}.o"
[object.host]
path = "{objects}/host_{version}.o"
maps = {{ blocked = "blocked", seen = "seen" }}
[map.blocked]
from = "edge:blocked"
entries = {{ {blocked} = 1 }}
[map.seen]
from = "edge:seen"
[program.guard]
from = "edge:guard"
[program.inward]
from = "edge:inward"
[program.outward]
from = "edge:outward"
[program.connecting]
from = "host:connecting"
[program.looking]
from = "host:looking"
[program.filtering]
from = "host:filtering"
[link.guard]
program = "guard"
xdp = {{ interface = "v0" }}
[link.inward]
program = "inward"
tc = {{ interface = "v1", direction = "ingress", netns = "blue" }}
[link.outward]
program = "outward"
tc = {{ interface = "w0", direction = "egress" }}
[link.connecting]
program = "connecting"
cgroup = {{ path = "{cgroup}" }}
[link.looking]
program = "looking"
sk_lookup = {{ netns = "blue" }}
[link.filtering]
program = "filtering"
netfilter = {{ family = "ipv4", hook = "input", priority = 7, netns = "blue" }}
"#
    );
    fs::write(folder.join("plan.toml"), text).expect("the folder is writable");
}

/// Returns the counters.
fn seen() -> [u64; PLACES.len()] {
    let kernel = Linux::new();
    let pin = PinPath::new("/sys/fs/bpf/mixed/maps/seen").expect("a path");
    let (_, map) = kernel.open_pin(&pin).expect("a pin");
    std::array::from_fn(|place| {
        let key = u32::try_from(place).expect("a small number").to_ne_bytes();
        let value = kernel.lookup(&map, &key, 8).expect("it can be read").expect("an array has it");
        u64::from_ne_bytes(value.try_into().expect("8 bytes"))
    })
}

/// Answers each datagram to a port in blue, from a thread that ends with the test.
fn serve(port: u16) {
    let blue = fs::File::open("/run/netns/blue").expect("it was made");
    let (ready, is_ready) = std::sync::mpsc::channel();
    thread::spawn(move || {
        setns(blue, CloneFlags::CLONE_NEWNET).expect("root may");
        let socket = UdpSocket::bind(("0.0.0.0", port)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a socket");
        ready.send(()).expect("somebody waits");
        let mut buffer = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    is_ready.recv().expect("it starts");
}

/// Returns whether an address of blue answers at a port.
fn answers(address: &str, port: u16) -> bool {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("it is a socket");
    // A filter of what goes out may say so at once.
    socket.send_to(b"x", (address, port)).is_ok() && socket.recv(&mut [0; 8]).is_ok()
}

/// Returns whether a process of the cgroup may connect to a port of blue.
fn connects(cgroup: &Path, port: u16) -> bool {
    let script = format!("echo $$ > {}/cgroup.procs && exec 3<>/dev/udp/10.9.1.2/{port}", cgroup.display());
    run(Command::new("bash").args(["-c", &script])).is_ok()
}

/// Asserts that a second apply and a status have nothing to say.
#[track_caller]
fn is_settled(folder: &Path) {
    assert!(succeed(folder, &["plan.toml"]).contains("nothing to do"));
    succeed(folder, &["status", "mixed", "--check"]);
    let said = bpfapply(folder, &["plan.toml", "--dry-run", "--check"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
}

/// Asserts what answers on the way over `v0` and `w0`, and what may be connected to.
#[track_caller]
fn passes(cgroup: &Path, port: u16, expected: bool) {
    assert_eq!(answers("10.9.1.2", port), expected, "over v0 to {port}");
    assert_eq!(answers("10.9.2.2", port), expected, "over w0 to {port}");
    assert_eq!(connects(cgroup, port), expected, "a socket of the cgroup to {port}");
}

fn check(room: &Room, cgroup: &Path) {
    sh(TWO);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path();
    // Somebody else is on two of the hooks.
    let mut kernel = Linux::new();
    let accept = [Insn { code: 0xb7, imm: 1, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let pass = [Insn { code: 0xb7, imm: -1, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let (blue, _) = kernel.open_netns("/run/netns/blue".as_ref()).expect("it was made");
    let index = kernel.interface("w0").expect("it can be asked").expect("it is there").index;
    let lookup = ProgramRequest::plain("theirs", ProgramType::SK_LOOKUP, &accept);
    let lookup = ProgramRequest { expected_attach_type: AttachType::SK_LOOKUP, ..lookup };
    let lookup = kernel.load_program(&lookup).expect("it loads");
    let egress =
        kernel.load_program(&ProgramRequest::plain("theirs", ProgramType::SCHED_CLS, &pass)).expect("it loads");
    let hooks = [
        (lookup, HookRequest::Netns { netns: &blue, attach_type: AttachType::SK_LOOKUP }),
        (egress, HookRequest::Tcx { ifindex: index, attach_type: AttachType::TCX_EGRESS }),
    ];
    let theirs = hooks.each_ref().map(|(program, hook)| kernel.create_link(program, hook).expect("it attaches"));
    let infos = || theirs.each_ref().map(|link| Linux::new().link_info(link).expect("it is there"));
    let before = infos();

    serve(7001);
    serve(7002);
    passes(cgroup, 7001, true);
    write(folder, cgroup, 1, 7002);
    succeed(folder, &["plan.toml"]);
    is_settled(folder);
    assert_eq!(seen()[3], 0, "nobody connected");
    passes(cgroup, 7001, true);
    passes(cgroup, 7002, false);
    let first = seen();
    for (place, times) in PLACES.iter().zip(first) {
        assert!((1..1000).contains(&times), "{place}: {times} times");
    }

    // Other programs and another port, with the maps that are there.
    write(folder, cgroup, 2, 7001);
    let planned = bpfapply(folder, &["plan.toml", "--dry-run"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    for place in ["guard", "inward", "outward", "connecting", "looking"] {
        assert!(planned.stdout.contains(&format!("~   link.{place} ")), "{}", planned.stdout);
    }
    // The kernel replaces no program of netfilter in place.
    assert!(planned.stdout.contains("-/+ link.filtering"), "{}", planned.stdout);
    assert_eq!(bpfapply(folder, &["plan.toml"]).code, 4);
    succeed(folder, &["plan.toml", "--allow", "gap"]);
    is_settled(folder);
    passes(cgroup, 7001, false);
    passes(cgroup, 7002, true);
    for ((place, times), first) in PLACES.iter().zip(seen()).zip(first) {
        assert!(times >= 1000 + first, "{place}: {first}, then {times} times");
    }

    succeed(folder, &["destroy", "mixed"]);
    passes(cgroup, 7001, true);
    passes(cgroup, 7002, true);
    assert_eq!(infos(), before);
    // What the kernel itself puts into a bpffs has a dot in its name.
    let left = kernel.list(&room.bpffs).expect("it is there");
    assert!(left.iter().all(|entry| entry.name.contains('.')), "{left:?}");
    for (_, hook) in &hooks {
        assert_eq!(kernel.query(hook).expect("it can be asked").len(), 1, "{hook:?}");
    }
    sh("ip netns del blue");
}

#[test]
fn programs_of_five_types_share_two_maps() {
    in_namespace("mixed", |room| match &room.cgroup {
        Some(_) if room.version < (6, 6) => skip("mixed", "this kernel has no tcx"),
        Some(cgroup) => check(room, cgroup),
        None => skip("mixed", "there is no cgroup2"),
    });
}
