//! A blocklist of CIDR blocks, from a file to the packets that it drops.

mod common;

use bpfapply::plan::words::thousands;
use common::{Room, in_namespace_within, tool};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

/// How many blocks there are at first: 10.0.0.0/24 and those behind it.
const BLOCKS: u32 = 100_000;
/// Where nobody is blocked.
const FREE: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 2);
const RECEIVER: &str = "192.168.9.1:4242";

fn manifest() -> String {
    format!(
        r#"
version = 1
name = "edge"
[object.filter]
path = "{}/tests/objects/blocklist.o"
[map.blocklist]
from = "filter:blocklist"
entries = "blocklist.csv"
[program.block]
from = "filter:block"
[link.uplink]
program = "block"
xdp = {{ interface = "veth0", mode = "native" }}
"#,
        env!("CARGO_MANIFEST_DIR")
    )
}

/// Returns an address in a block.
fn address(block: u32) -> Ipv4Addr {
    Ipv4Addr::from((10 << 24) + (block << 8) + 7)
}

fn write_blocks(folder: &Path, count: u32) {
    let net = |block: u32| Ipv4Addr::from((10 << 24) + (block << 8));
    // Not in their order, as nobody sorts such lists by the bytes of a prefix.
    let lines = (0..count).rev().map(|block| format!("{}/24,{}\n", net(block), 1 + block % 3));
    fs::write(folder.join("blocklist.csv"), lines.collect::<String>()).expect("the folder is ours");
}

#[track_caller]
fn sh(script: &str) {
    common::run(Command::new("sh").args(["-c", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
}

/// The other end of a veth pair, in a network namespace of its own, which sends as whoever it is told.
struct Peer {
    send: Sender<Vec<Ipv4Addr>>,
    sent: Receiver<()>,
    receiver: UdpSocket,
}

impl Peer {
    fn new() -> Self {
        let (ready, is_ready) = channel();
        let (go, may_go) = channel();
        let (send, to_send) = channel::<Vec<Ipv4Addr>>();
        let (done, sent) = channel();
        thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
            let task = fs::read_link("/proc/thread-self").expect("a thread has a number");
            ready.send(task.file_name().map(|name| name.to_owned())).expect("somebody waits");
            may_go.recv().expect("somebody says so");
            sh(&format!("ip link set veth1 up && ip addr add {FREE}/24 dev veth1"));
            sh("ip neigh replace 192.168.9.1 lladdr 02:00:00:00:00:01 dev veth1 nud permanent");
            for addresses in to_send {
                send_as(&addresses);
                done.send(()).expect("somebody waits");
            }
        });
        let thread = is_ready.recv().expect("the peer starts").expect("a number");
        sh("ip link add veth0 address 02:00:00:00:00:01 type veth peer name veth1");
        sh(&format!("ip link set veth1 netns {}", thread.display()));
        sh("ip link set veth0 up && ip addr add 192.168.9.1/24 dev veth0 && ip route add 10.0.0.0/7 dev veth0");
        // Whoever they come from.
        for interface in ["all", "veth0"] {
            fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter"), "0").expect("root may");
        }
        let receiver = UdpSocket::bind(RECEIVER).expect("an address");
        receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket can");
        go.send(()).expect("the peer waits");
        Self { send, sent, receiver }
    }

    /// Sends packets from addresses and returns those that came through.
    fn pass(&self, addresses: &[Ipv4Addr]) -> BTreeSet<Ipv4Addr> {
        // The last one, which nobody blocks, tells that all others had their time.
        let last = [FREE];
        self.send.send([addresses, &last].concat()).expect("the peer waits");
        self.sent.recv_timeout(Duration::from_secs(30)).expect("all is sent");
        let mut passed = BTreeSet::new();
        let mut from_free = 0;
        while from_free < PACKETS {
            let mut packet = [0; 4];
            match self.receiver.recv(&mut packet) {
                Ok(_) if Ipv4Addr::from(packet) == FREE => from_free += 1,
                Ok(_) => _ = passed.insert(Ipv4Addr::from(packet)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("packets from {FREE} arrive: {error}"),
            }
        }
        passed
    }
}

/// How many packets are sent from each address.
const PACKETS: usize = 20;

fn send_as(addresses: &[Ipv4Addr]) {
    for address in addresses {
        if *address != FREE {
            sh(&format!("ip addr replace {address}/32 dev veth1"));
        }
        let socket = UdpSocket::bind((*address, 0)).expect("the address is ours");
        for _ in 0..PACKETS {
            socket.send_to(&address.octets(), RECEIVER).expect("there is a way");
        }
    }
}

/// Applies the manifest under strace, where there is one; returns what was said, and the calls that change maps.
fn traced(folder: &Path) -> (String, Option<String>) {
    let trace = folder.join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=bpf", "-e", "signal=none", "-o"]).arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_bpfapply")).arg("plan.toml").current_dir(folder);
    match common::output(&mut command, LIMIT) {
        Ok(output) => {
            let said = String::from_utf8(output.stdout).expect("UTF-8");
            assert!(output.status.success(), "{said}");
            (said, Some(fs::read_to_string(trace).expect("strace writes")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (tool::succeed(folder, &["plan.toml"]), None),
        Err(error) => panic!("strace: {error}"),
    }
}

/// Returns how many entries each call writes that can write many.
fn batches(calls: &str) -> Vec<&str> {
    let batches = calls.lines().filter(|line| line.contains("BPF_MAP_UPDATE_BATCH"));
    batches.filter_map(|line| line.split_once("count=")?.1.split([',', ' ', '}']).next()).collect()
}

#[test]
fn what_a_blocklist_says_is_dropped() {
    in_namespace_within(LIMIT, "what_a_blocklist_says_is_dropped", check);
}

fn check(_: &Room) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path();
    fs::write(folder.join("plan.toml"), manifest()).expect("the folder is ours");
    let peer = Peer::new();
    let inside = [0, 1, 255, 256, 65_535, 65_536, BLOCKS - 1].map(address);
    let next = address(BLOCKS);
    let outside = [next, address(BLOCKS + 1)];
    let everybody: Vec<_> = inside.iter().chain(&outside).copied().collect();
    assert_eq!(peer.pass(&everybody), everybody.iter().copied().collect(), "without a filter all pass");

    write_blocks(folder, BLOCKS);
    let said = tool::succeed(folder, &["plan.toml"]);
    assert!(said.contains(&format!("entries +{}", thousands(BLOCKS.into()))), "{said}");
    assert_eq!(peer.pass(&everybody), outside.into(), "only others pass");

    write_blocks(folder, BLOCKS + 1);
    let planned = tool::succeed(folder, &["plan.toml", "--dry-run", "-v"]);
    let line = format!("entries +1 ~0 -0 ({} the same)", thousands(BLOCKS.into()));
    for line in [line.as_str(), "+ \"11.134.160.0/24\" = 2"] {
        assert!(planned.contains(line), "no `{line}` in {planned}");
    }
    let (said, calls) = traced(folder);
    assert!(said.contains(&line), "{said}");
    match calls {
        Some(calls) => {
            assert_eq!(batches(&calls), ["1"]);
            // Beside it the record before and behind it, and what keeps all of them as ours.
            let kept = (32 + (BLOCKS as usize + 1) * 12).div_ceil(32 << 10);
            let writes: Vec<_> = calls.lines().filter(|call| call.contains("BPF_MAP_UPDATE")).collect();
            assert_eq!(writes.len(), 3 + kept, "{writes:#?}");
            assert_eq!(calls.matches("BPF_MAP_DELETE").count(), 0);
        }
        None => common::skip("what_a_blocklist_says_is_dropped", "there is no strace, by which calls are counted"),
    }
    assert_eq!(peer.pass(&everybody), [outside[1]].into(), "the new block is in force");
    let shown = tool::succeed(folder, &["show", "map.blocklist", "--limit", "3"]);
    assert!(shown.lines().filter(|line| line.contains(".0/24")).count() == 3, "{shown}");

    write_blocks(folder, BLOCKS);
    tool::succeed(folder, &["plan.toml"]);
    assert_eq!(peer.pass(&everybody), outside.into(), "and no longer");
    tool::succeed(folder, &["destroy", "edge"]);
    assert_eq!(peer.pass(&everybody).len(), everybody.len());
}
