//! No packet passes a filter while its program is replaced, on every hook that replaces it in place: a hundred times
//! under a flood. As a control, the same flood passes while the filter is taken away and attached again.

mod common;

use common::flood::Flood;
use common::tool::succeed;
use common::{Room, in_namespace};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How often programs are replaced.
const REPLACEMENTS: u32 = 100;
/// How often the control takes the filter away, at most: it ends with the first packet that passes.
const GAPS: u32 = 50;

/// A hook under the flood.
struct Row {
    name: &'static str,
    /// The function of `tests/flood/drop.c`.
    function: &'static str,
    /// The link's key and value; `CGROUP` stands for the test's cgroup.
    hook: &'static str,
}

/// Writes the manifest with one of the two versions of the program.
fn write(folder: &Path, row: &Row, room: &Room, version: u32) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flood");
    let cgroup = room.cgroup.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    let text = format!(
        "version = 1\nname = \"flood\"\n[object.o]\npath = \"{}/drop_{version}.o\"\n[map.drops]\nfrom = \"o:drops\"\n\
         [program.p]\nfrom = \"o:{}\"\n[link.l]\nprogram = \"p\"\n{}\n",
        objects.display(),
        row.function,
        row.hook.replace("CGROUP", &cgroup)
    );
    fs::write(folder.join("plan.toml"), text).expect("the folder is writable");
}

/// Starts the flood, to a socket of the test's cgroup when that has the hook.
fn start(row: &Row, room: &Room) -> Flood {
    let Some(cgroup) = room.cgroup.as_deref().filter(|_| row.hook.contains("CGROUP")) else { return Flood::start(1) };
    // A socket belongs to the cgroup of whoever makes it, and stays there. No other test here moves the process.
    let own = fs::read_to_string("/proc/self/cgroup").expect("a process has one");
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).expect("of cgroup2");
    let mount = cgroup.parent().expect("it is below the mount");
    let pid = std::process::id().to_string();
    fs::write(cgroup.join("cgroup.procs"), &pid).expect("root may move itself");
    let flood = Flood::start(1);
    fs::write(mount.join(own).join("cgroup.procs"), &pid).expect("root may move itself");
    flood
}

/// Waits until packets pass, or none of a thousand does.
#[track_caller]
fn settle(flood: &Flood, passes: bool) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        flood.passed();
        let before = flood.sent();
        while flood.sent() < before + 1000 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        if (flood.passed() > 0) == passes {
            return;
        }
        assert!(Instant::now() < end, "packets pass: {}", !passes);
    }
}

fn check(row: &Row, room: &Room) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path();
    let flood = start(row, room);
    settle(&flood, true);
    write(folder, row, room, 1);
    succeed(folder, &["plan.toml"]);
    settle(&flood, false);
    let before = flood.sent();
    let rounds = common::rounds(REPLACEMENTS);
    for round in 0..rounds {
        write(folder, row, room, 1 + (round + 1) % 2);
        let said = succeed(folder, &["plan.toml"]);
        assert!(said.contains("1 replaced"), "{said}");
    }
    let (passed, sent) = (flood.passed(), flood.sent() - before);
    assert_eq!(passed, 0, "of {sent} packets, on {}", row.name);
    assert!(sent > 10_000, "it is a flood: {sent}");
    let before = flood.sent();
    let mut leaked = 0;
    let mut gaps = 0;
    while leaked == 0 {
        assert!(gaps < GAPS, "no packet passes while there is no filter on {}", row.name);
        succeed(folder, &["destroy", "flood"]);
        succeed(folder, &["plan.toml"]);
        leaked += flood.passed();
        gaps += 1;
    }
    let all = flood.sent() - before;
    eprintln!("{}: 0 of {sent} packets in {rounds} replacements; {leaked} of {all} in {gaps} gaps", row.name);
    succeed(folder, &["destroy", "flood"]);
}

#[test]
fn xdp() {
    let row = Row { name: "xdp", function: "at_driver", hook: "xdp = { interface = \"veth0\", mode = \"native\" }" };
    in_namespace("flood_xdp", move |room| check(&row, room));
}

#[test]
fn tcx() {
    let row =
        Row { name: "tcx", function: "at_ingress", hook: "tc = { interface = \"veth0\", direction = \"ingress\" }" };
    in_namespace("flood_tcx", move |room| check(&row, room));
}

#[test]
fn clsact() {
    let hook = "tc = { interface = \"veth0\", direction = \"ingress\", via = \"clsact\" }";
    let row = Row { name: "clsact", function: "at_ingress", hook };
    in_namespace("flood_clsact", move |room| check(&row, room));
}

#[test]
fn xdp_by_netlink() {
    let hook = "xdp = { interface = \"veth0\", mode = \"native\", via = \"netlink\" }";
    let row = Row { name: "xdp by netlink", function: "at_driver", hook };
    in_namespace("flood_netlink", move |room| check(&row, room));
}

/// One behind the other: each moves this process into its cgroup for a moment.
#[test]
fn cgroup() {
    for (name, hook) in [
        ("flood_cgroup", "cgroup = { path = \"CGROUP\" }"),
        ("flood_attach", "cgroup = { path = \"CGROUP\", via = \"attach\" }"),
    ] {
        let row = Row { name, function: "at_cgroup", hook };
        in_namespace(name, move |room| match room.cgroup {
            Some(_) => check(&row, room),
            None => common::skip(name, "there is no cgroup2"),
        });
    }
}
