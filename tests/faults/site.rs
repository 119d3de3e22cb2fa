//! What the tests have on this host: a deployment in two versions, of a name that nobody else uses, and two interfaces.

use crate::common::tool::bpfapply;
use crate::common::{self, Room};
use crate::host::{BPFFS, Host, INTERFACES, detach_all};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the kernel may take to free what nothing holds any more.
const FREED: Duration = Duration::from_secs(15);

/// Two objects, five maps besides sections of constants and variables, five programs, four links, and three attachments
/// without one: XDP by netlink, a filter of clsact, a program of a cgroup. What the kernel has a name for
/// starts with the name of the site.
const FIRST: &str = r#"
version = 1
name = "NAME"
[object.NAME]
path = "filter_1.o"
set = { NAME_step = 3 }
[object.account]
path = "account.o"
maps = { NAME_seen = "NAME_seen" }
[map.NAME_drops]
from = "NAME:NAME_drops"
[map.NAME_seen]
from = "NAME:NAME_seen"
mode = 0o640
group = 1
entries = { 100 = 1, 101 = 2 }
entries_mode = "merge"
[map.NAME_cpu]
from = "NAME:NAME_cpu"
[map.NAME_bytes]
from = "account:NAME_bytes"
[map.NAME_hosts]
from = "account:NAME_hosts"
on_change = "migrate"
[program.drop]
from = "NAME:NAME_drop"
[program.count]
from = "NAME:NAME_count"
[program.shape]
from = "NAME:NAME_shape"
[program.in]
from = "account:NAME_in"
[program.out]
from = "account:NAME_out"
[link.drop]
program = "drop"
xdp = { interface = "veth0", mode = "native" }
[link.count]
program = "count"
xdp = { interface = "veth1", mode = "generic", via = "netlink" }
[link.filter]
program = "shape"
tc = { interface = "veth1", direction = "egress", via = "clsact" }
[link.beside]
program = "in"
cgroup = { path = "CGROUP/out", via = "attach" }
[link.shape]
program = "shape"
tc = { interface = "veth0", direction = "ingress" }
[link.in]
mode = 0o660
program = "in"
cgroup = { path = "CGROUP/in" }
[link.out]
program = "out"
cgroup = { path = "CGROUP/out" }
"#;

/// One object changed, entries and variables of maps that stay have other values, a map is made anew with the entries of
/// the old one, other users may open a pin that stays, a map came, a link moved and one
/// has another name, a program and its link went.
const CHANGES: &[(&str, &str)] = &[
    ("filter_1.o", "filter_2.o"),
    ("mode = 0o640\ngroup = 1\n", "mode = 0o644\nowner = 2\n"),
    ("{ 100 = 1, 101 = 2 }", "{ 100 = 3, 102 = 4 }"),
    ("{ NAME_seen = \"NAME_seen\" }", "{ NAME_seen = \"NAME_seen\" }\nset = { NAME_weight = 5, NAME_pace = 6 }"),
    ("account:NAME_hosts\"\n", "account:NAME_hosts\"\nmax_entries = 128\n"),
    ("[link.in]\nmode = 0o660\n", "[link.enter]\n"),
    ("[map.NAME_cpu]", "[map.NAME_fresh]\nfrom = \"NAME:NAME_fresh\"\n[map.NAME_cpu]"),
    ("tc = { interface = \"veth0\"", "tc = { interface = \"veth1\""),
    ("[program.out]\nfrom = \"account:NAME_out\"\n", ""),
    ("[link.out]\nprogram = \"out\"\ncgroup = { path = \"CGROUP/out\" }\n", ""),
];

/// What a site has: objects and manifests of a name that nobody else uses, and two ends of a cable.
pub struct Site {
    /// Its files: objects, `first.toml` and `second.toml`.
    pub folder: TempDir,
    /// The deployment's.
    pub name: String,
    /// The cgroup that has a program without a link.
    pub beside: PathBuf,
}

impl Site {
    /// Makes one; tests of one process have a letter each.
    pub fn new(room: &Room, letter: char) -> Self {
        let (name, folder) = (unique_name(letter), tempfile::tempdir().expect("a folder can be made"));
        for object in ["filter_1.o", "filter_2.o", "account.o"] {
            let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults").join(object));
            let bytes = with_name(bytes.expect("the object is there"), name.as_bytes());
            fs::write(folder.path().join(object), bytes).expect("it can be written");
        }
        let cgroup = room.cgroup.as_ref().expect("the caller has looked");
        for below in ["in", "out"] {
            fs::create_dir(cgroup.join(below)).expect("a cgroup can be made");
        }
        let second = CHANGES.iter().fold(FIRST.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        for (manifest, text) in [("first.toml", FIRST), ("second.toml", &second)] {
            let text = text.replace("NAME", &name).replace("CGROUP", &cgroup.display().to_string());
            fs::write(folder.path().join(manifest), text).expect("it can be written");
        }
        let [one, other] = INTERFACES;
        sh(&format!("ip link add {one} type veth peer name {other}; ip link set {one} up; ip link set {other} up"));
        Self { folder, name, beside: cgroup.join("out") }
    }

    pub fn host(&self) -> Host {
        Host::read(&self.name, &self.beside)
    }

    /// Reads the host until it is as expected or nothing more can be waited for.
    pub fn host_when(&self, expected: impl Fn(&Host) -> bool) -> Host {
        let end = Instant::now() + FREED;
        loop {
            let host = self.host();
            if expected(&host) || Instant::now() >= end {
                return host;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs the tool, which must succeed.
    pub fn succeed(&self, arguments: &[&str]) -> Result<(), String> {
        let said = bpfapply(self.folder.path(), arguments);
        match said.code {
            0 => Ok(()),
            code => Err(format!("{arguments:?}: exit {code}: {}{}", said.stdout, said.stderr)),
        }
    }

    /// Makes the host as it was before everything, whatever there is.
    #[track_caller]
    pub fn clear(&self) {
        unmount_all();
        sh(&format!("mount -t bpf bpf {BPFFS}"));
        // These outlive pins.
        for script in ["tc qdisc del dev veth1 clsact", "ip link set dev veth1 xdpgeneric off"] {
            let _ = common::run(Command::new("sh").args(["-c", script]));
        }
        detach_all(&self.beside);
        let host = self.host_when(Host::is_empty);
        assert!(host.is_empty(), "the kernel frees what nothing holds: {host:?}");
    }
}

/// Returns a name of six characters that no other process uses now.
fn unique_name(letter: char) -> String {
    let digits = |mut number: u32| {
        let mut text = [b'0'; 5];
        for digit in text.iter_mut().rev() {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
            number /= 36;
        }
        text.map(char::from)
    };
    [letter].into_iter().chain(digits(std::process::id())).collect()
}

/// Puts a name of the same length in the place of `f00000` in an object's tables of strings.
fn with_name(mut bytes: Vec<u8>, name: &[u8]) -> Vec<u8> {
    const PLACE: &[u8] = b"f00000";
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(PLACE)).collect();
    assert!(places.len() > 5 && name.len() == PLACE.len());
    for at in places {
        bytes[at..at + PLACE.len()].copy_from_slice(name);
    }
    bytes
}

/// Runs a shell script, which must succeed.
#[track_caller]
pub fn sh(script: &str) {
    if let Err(error) = common::run(Command::new("sh").args(["-ec", script])) {
        panic!("{script}: {error}");
    }
}

/// Takes every bpffs at the usual place away.
pub fn unmount_all() {
    while common::run(Command::new("umount").arg(BPFFS)).is_ok() {}
}

/// Returns what this host lacks for these tests.
pub fn lacking(room: &Room) -> Option<&'static str> {
    let has = |tool: &str| common::run(Command::new("sh").args(["-c", &format!("command -v {tool}")])).is_ok();
    match ["strace", "taskset", "bpftool"].into_iter().find(|tool| !has(tool)) {
        Some(tool) => Some(tool),
        None if room.cgroup.is_none() => Some("cgroup2"),
        None => None,
    }
}
