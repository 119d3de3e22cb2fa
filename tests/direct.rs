//! Attachments without a kernel link under real traffic: each is made, left alone the second time, gets another program
//! while frames flood in, is made again when others took it away, and goes; and what others have there stays what it is.
//!
//! What the programs do is in `tests/direct/filter.c`. On a kernel without tcx, tc is without a link of itself.

mod common;

use bpfapply::direct::Device;
use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel as _, ProgramRequest};
use bpfapply::kinds::{AttachType, ProgramType, XdpMode};
use bpfapply::names::PinPath;
use common::tool::{self, succeed};
use common::{in_namespace, rounds, run, skip};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How often a program is replaced under a flood.
const REPLACEMENTS: u32 = 20;

/// Another network namespace. Where no helper of the kernel loads modules, they have to be asked for.
const BLUE: &str = "modprobe -aq veth sch_ingress cls_bpf; mount -t tmpfs none /run && ip netns add blue";

/// A veth between both; addresses of both are known, so that no frame waits for ARP.
const WIRE: &str = "ip link add d0 address 02:00:00:00:00:01 type veth peer name d1 address 02:00:00:00:00:02 netns blue && \
    ip addr add 10.9.9.1/24 dev d0 && ip link set d0 up && ip -n blue addr add 10.9.9.2/24 dev d1 && \
    ip -n blue link set d1 up && ip -n blue neigh add 10.9.9.1 lladdr 02:00:00:00:00:01 dev d1";

/// A way to attach a filter, with what is the same for all of them.
#[derive(Clone, Copy)]
struct Way {
    /// The program of `filter.c`.
    program: &'static str,
    /// The hook in the manifest; CGROUP is the cgroup of the test.
    hook: &'static str,
}

const CLSACT: Way =
    Way { program: "filter", hook: "tc = { interface = \"d0\", direction = \"ingress\", via = \"clsact\" }" };
const NETLINK: Way =
    Way { program: "first", hook: "xdp = { interface = \"d0\", mode = \"generic\", via = \"netlink\" }" };
const ATTACH: Way = Way { program: "services", hook: "cgroup = { path = \"CGROUP\", via = \"attach\" }" };

/// A deployment of one link.
struct Site {
    folder: TempDir,
    way: Way,
    cgroup: String,
}

impl Site {
    fn new(way: Way, cgroup: Option<&Path>) -> Self {
        let cgroup = cgroup.map_or(String::new(), |path| path.display().to_string());
        Self { folder: tempfile::tempdir().expect("a folder can be made"), way, cgroup }
    }

    /// Writes the manifest with a version of the program.
    fn write(&self, version: u32) {
        let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/direct");
        let text = format!(
            "version = 1\nname = \"direct\"\n[object.o]\npath = \"{}/filter_{version}.o\"\n\
             [program.p]\nfrom = \"o:{}\"\n[link.l]\nprogram = \"p\"\n{}\n",
            objects.display(),
            self.way.program,
            self.way.hook.replace("CGROUP", &self.cgroup),
        );
        fs::write(self.folder.path().join("plan.toml"), text).expect("the folder is writable");
    }

    #[track_caller]
    fn apply(&self, version: u32) -> String {
        self.write(version);
        succeed(self.folder.path(), &["plan.toml"])
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> String {
        succeed(self.folder.path(), arguments)
    }

    /// Runs what must be refused, and returns what is said.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        tool::refused(self.folder.path(), arguments, code)
    }

    /// Asserts that a second apply, a dry run and a status have nothing to say.
    #[track_caller]
    fn is_settled(&self) {
        tool::is_settled(self.folder.path(), "plan.toml", "direct");
    }

    #[track_caller]
    fn destroy(&self) {
        self.succeed(&["destroy", "direct"]);
        let left = fs::read_dir("/sys/fs/bpf").expect("it is mounted").flatten();
        let names = left.map(|entry| entry.file_name().to_string_lossy().into_owned());
        assert_eq!(names.filter(|name| name.starts_with("direct")).collect::<Vec<_>>(), [""; 0]);
    }

    /// Returns whether a datagram to a port arrives: over the wire, or from a process of the cgroup.
    fn passes(&self, port: u16) -> bool {
        match self.cgroup.as_str() {
            "" => passes(port),
            cgroup => {
                let receiver = UdpSocket::bind(("127.0.0.1", port)).expect("a free port");
                receiver.set_read_timeout(Some(Duration::from_millis(200))).expect("it is a socket");
                // What the filter drops is an error for who sends it.
                let send = format!("echo $$ > {cgroup}/cgroup.procs && echo x > /dev/udp/127.0.0.1/{port}");
                let _ = run(Command::new("bash").args(["-c", &send]));
                receiver.recv(&mut [0; 8]).is_ok()
            }
        }
    }

    /// Floods port 9 the same way while something is done; returns how many datagrams were sent, if that is known, and how
    /// many came through.
    fn flood(&self, body: impl FnOnce()) -> (u64, u64) {
        match self.cgroup.as_str() {
            "" => flood(body),
            cgroup => flood_from(cgroup, body),
        }
    }

    /// Returns the mark of the link, by which what is attached is known.
    fn mark(&self) -> String {
        let target = fs::read_link("/sys/fs/bpf/direct/links/l").expect("it stands for the link");
        target.to_string_lossy().into_owned()
    }
}

#[track_caller]
fn sh(script: &str) -> String {
    let said = run(Command::new("sh").args(["-c", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// Where a program of somebody else is pinned, which lets all pass.
const THEIRS: &str = "bpf direct-action object-pinned /sys/fs/bpf/theirs";

/// Loads and pins a program of somebody else.
fn pin_theirs(program_type: ProgramType, attach_type: AttachType, verdict: i32) {
    pin_named("theirs", program_type, attach_type, verdict);
}

fn pin_named(name: &str, program_type: ProgramType, attach_type: AttachType, verdict: i32) {
    let mut kernel = Linux::new();
    let insns = [Insn { code: 0xb7, imm: verdict, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let request = ProgramRequest::plain(name, program_type, &insns);
    let program = kernel.load_program(&ProgramRequest { expected_attach_type: attach_type, ..request });
    let pin = PinPath::new("/sys/fs/bpf/theirs").expect("a path");
    kernel.pin(&program.expect("it loads"), &pin).expect("nothing is there");
}

/// A port of this side of the wire, and what sends to it from the other one.
struct Flow {
    receiver: UdpSocket,
    sender: UdpSocket,
    to: (&'static str, u16),
}

impl Flow {
    fn open(port: u16) -> Self {
        let receiver = UdpSocket::bind(("10.9.9.1", port)).expect("a free port");
        receiver.set_read_timeout(Some(Duration::from_millis(200))).expect("it is a socket");
        let sender = in_blue(|| UdpSocket::bind("10.9.9.2:0").expect("a free port"));
        Self { receiver, sender, to: ("10.9.9.1", port) }
    }

    /// Returns whether a datagram arrives.
    fn passes(&self) -> bool {
        self.sender.send_to(b"x", self.to).expect("the wire is up");
        self.receiver.recv(&mut [0; 8]).is_ok()
    }
}

/// Does something in the network namespace at the other end of the wire; sockets stay where they were made.
fn in_blue<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let blue = fs::File::open("/run/netns/blue").expect("it was made");
            nix::sched::setns(&blue, nix::sched::CloneFlags::CLONE_NEWNET).expect("we may enter it");
            body()
        });
        inside.join().expect("it does not fail")
    })
}

fn passes(port: u16) -> bool {
    Flow::open(port).passes()
}

/// Floods port 9 while something is done; returns how many datagrams were sent, and how many came through.
fn flood(body: impl FnOnce()) -> (u64, u64) {
    let flow = Flow::open(9);
    let (sent, ends) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                // A full queue is no reason to stop.
                let _ = flow.sender.send_to(b"x", flow.to);
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        while sent.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        let _ends = OnDrop(&ends);
        body();
    });
    flow.receiver.set_nonblocking(true).expect("it is a socket");
    let mut leaked = 0;
    while flow.receiver.recv(&mut [0; 8]).is_ok() {
        leaked += 1;
    }
    (sent.into_inner(), leaked)
}

/// Says so when it is dropped, also by a panic.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The same from a process in a cgroup, which counts what it sends in a file.
fn flood_from(cgroup: &str, body: impl FnOnce()) -> (u64, u64) {
    let receiver = UdpSocket::bind(("127.0.0.1", 9)).expect("a free port");
    let counted = tempfile::NamedTempFile::new().expect("a file can be made");
    let script = format!(
        "echo $$ > {cgroup}/cgroup.procs; n=0; trap 'echo $n > {}; exit' TERM; \
         while :; do echo x > /dev/udp/127.0.0.1/9; n=$((n + 1)); done 2> /dev/null",
        counted.path().display()
    );
    let mut child = Command::new("bash").args(["-c", &script]).spawn().expect("there is a bash");
    thread::sleep(Duration::from_millis(200));
    body();
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    run(Command::new("kill").args(["-TERM", &pid.to_string()])).expect("it runs");
    child.wait().expect("it ends");
    let sent = fs::read_to_string(counted.path()).expect("it was written");
    receiver.set_nonblocking(true).expect("it is a socket");
    let leaked = std::iter::from_fn(|| receiver.recv(&mut [0; 8]).ok()).count();
    (sent.trim().parse().expect("a number"), leaked as u64)
}

/// Goes the whole way with one link: `detach` is what others do to it with their tools.
fn goes_all_the_way(site: &Site, detach: &str) {
    assert!(site.passes(9) && site.passes(11));
    let said = site.apply(1);
    assert!(said.contains("attach program.p"), "{said}");
    assert!(!site.passes(9) && !site.passes(11) && site.passes(12));
    site.is_settled();

    // Another program, in place.
    site.write(2);
    let planned = site.succeed(&["plan.toml", "--dry-run"]);
    assert!(planned.contains("in place") && planned.contains("no gap"), "{planned}");
    let (sent, leaked) = site.flood(|| {
        for round in 0..rounds(REPLACEMENTS) {
            site.apply(2 - round % 2);
        }
    });
    println!("{sent} datagrams sent, {leaked} leaked");
    assert!(sent > 100 && leaked == 0, "{leaked} of {sent}");
    site.apply(2);
    assert!(!site.passes(9) && site.passes(11) && !site.passes(12));
    site.is_settled();
    site.succeed(&["rollback", "direct"]);
    assert!(!site.passes(11) && site.passes(12));

    // Others take it away: that is seen, and put right.
    sh(detach);
    assert!(site.passes(9));
    let said = site.refused(&["status", "direct", "--check"], 2);
    assert!(said.contains("link.l: it was detached from"), "{said}");
    site.apply(1);
    assert!(!site.passes(9) && !site.passes(11));
    site.is_settled();
    site.destroy();
    assert!(site.passes(9) && site.passes(11));
}

#[test]
fn filters_of_clsact() {
    in_namespace("clsact", |_| {
        sh(BLUE);
        sh(WIRE);
        // Somebody else's filters, before and behind ours.
        sh("tc qdisc add dev d0 clsact");
        pin_theirs(ProgramType::SCHED_CLS, AttachType(0), -1);
        sh(&format!("tc filter add dev d0 ingress pref 5 protocol ip {THEIRS}"));
        sh(&format!("tc filter add dev d0 egress pref 1000 protocol ip {THEIRS}"));
        let theirs = || sh("tc filter show dev d0 ingress pref 5; tc filter show dev d0 egress; tc qdisc show dev d0");
        let before = theirs();
        let site = Site::new(CLSACT, None);
        goes_all_the_way(&site, "tc filter del dev d0 ingress pref 1000");
        assert_eq!(theirs(), before);
        // The control: to take a filter away and to make it again lets frames through.
        site.apply(1);
        let (sent, leaked) = flood(|| {
            for _ in 0..rounds(REPLACEMENTS) {
                sh("tc filter del dev d0 ingress pref 1000 && \
                    tc filter add dev d0 ingress pref 1000 handle 1 bpf direct-action object-pinned /sys/fs/bpf/direct/programs/p");
            }
        });
        println!("control: {leaked} of {sent} leaked");
        assert!(leaked > 0, "{leaked} of {sent}");
        site.destroy();
        assert_eq!(theirs(), before);
        sh("tc qdisc del dev d0 clsact");
    });
}

#[test]
fn the_qdisc_goes_with_the_last_filter() {
    in_namespace("qdisc", |_| {
        sh(BLUE);
        sh(WIRE);
        let qdiscs = || sh("tc qdisc show dev d0");
        let (before, site) = (qdiscs(), Site::new(CLSACT, None));
        site.apply(1);
        assert!(qdiscs().contains("clsact"));
        site.destroy();
        assert_eq!(qdiscs(), before);
        // Somebody else has a filter there by then: their filter and the qdisc stay.
        site.apply(1);
        pin_theirs(ProgramType::SCHED_CLS, AttachType(0), -1);
        sh(&format!("tc filter add dev d0 egress {THEIRS}"));
        site.destroy();
        assert!(qdiscs().contains("clsact"));
        assert!(sh("tc filter show dev d0 egress").contains("theirs"));
        sh("tc qdisc del dev d0 clsact");
        // Others take the qdisc with everything in it.
        site.apply(1);
        sh("tc qdisc del dev d0 clsact");
        site.apply(1);
        assert!(!passes(9));
        site.is_settled();
        // The interface goes and returns: another one of the same name.
        sh("ip link del d0");
        assert!(site.refused(&["plan.toml"], 1).contains("there is no interface `d0`"));
        sh(WIRE);
        site.apply(1);
        assert!(!passes(9));
        site.is_settled();
        site.destroy();
        assert_eq!(qdiscs(), before);
    });
}

#[test]
fn filters_of_others_are_left_alone() {
    in_namespace("taken", |_| {
        sh(BLUE);
        sh(WIRE);
        sh("tc qdisc add dev d0 clsact");
        let site = Site::new(CLSACT, None);
        site.apply(1);
        let first = site.mark();
        site.destroy();
        // One of somebody else has the place: the next handle is free.
        let kernel = Linux::new();
        site.apply(2);
        sh(
            "tc filter add dev d0 ingress pref 1000 handle 2 bpf direct-action object-pinned /sys/fs/bpf/direct/programs/p",
        );
        site.is_settled();
        let ifindex = kernel.interface("d0").expect("it can be asked").expect("it is there").index;
        let device = Device { ifindex, ..Device::default() };
        let theirs = || kernel.qdisc(&device).expect("it can be asked").expect("it is there").filters;
        assert_eq!(theirs().len(), 2);
        site.destroy();
        assert_eq!(theirs().iter().map(|filter| filter.handle).collect::<Vec<_>>(), [2]);
        assert_ne!(first, "");
        // A handle that the manifest names has to be free.
        let named = Way {
            hook: "tc = { interface = \"d0\", direction = \"ingress\", via = \"clsact\", handle = 2 }",
            ..CLSACT
        };
        let site = Site::new(named, None);
        site.write(1);
        let before = theirs();
        let said = site.refused(&["plan.toml"], 4);
        assert!(said.contains("--allow takeover") && said.contains("in the place of program id"), "{said}");
        assert_eq!(theirs(), before);
        // With consent it is replaced at once, and does not come back.
        site.succeed(&["plan.toml", "--allow", "takeover"]);
        assert_ne!(theirs()[0].program_id, before[0].program_id);
        assert!(!passes(9) && !passes(11) && passes(12));
        site.is_settled();
        site.destroy();
        assert_eq!(theirs(), []);
        // A priority of another protocol has no room for ours.
        pin_theirs(ProgramType::SCHED_CLS, AttachType(0), -1);
        sh(&format!("tc filter add dev d0 ingress pref 1000 protocol ip {THEIRS}"));
        let said = site.refused(&["plan.toml", "--allow", "takeover"], 1);
        assert!(said.contains("has a program already") && said.contains("give ours a `priority`"), "{said}");
        assert!(said.contains("`theirs`, loaded") && said.contains("pinned at `/sys/fs/bpf/theirs`"), "{said}");
        assert_eq!(theirs().len(), 1);
    });
}

#[test]
fn the_way_to_tc_changes_without_a_gap() {
    in_namespace("way", |room| {
        sh(BLUE);
        sh(WIRE);
        let ways = ["tc = { interface = \"d0\", direction = \"ingress\" }", CLSACT.hook];
        let site = |hook| Site::new(Way { hook, ..CLSACT }, None);
        let first = site(ways[0]);
        let said = first.apply(1);
        if room.version < (6, 6) {
            assert!(said.contains("as this kernel has no tcx, which came with Linux 6.6"), "{said}");
            assert!(!passes(9));
            first.is_settled();
            let forced = site("tc = { interface = \"d0\", direction = \"ingress\", via = \"tcx\" }");
            forced.write(1);
            assert!(forced.refused(&["plan.toml"], 69).contains("tcx came with Linux 6.6"));
            return first.destroy();
        }
        assert!(said.contains("to tcx_ingress of d0"), "{said}");
        let (sent, leaked) = flood(|| {
            for round in 0..6 {
                let site = site(ways[(round + 1) % 2]);
                let said = site.apply(1);
                assert!(said.contains("+/-"), "{said}");
                site.is_settled();
            }
        });
        assert!(sent > 1000 && leaked == 0, "{leaked} of {sent}");
        site(ways[0]).destroy();
        assert!(!sh("tc qdisc show dev d0").contains("clsact"));
        assert!(passes(9));
    });
}

#[test]
fn xdp_by_netlink() {
    in_namespace("netlink", |_| {
        sh(BLUE);
        sh(WIRE);
        let site = Site::new(NETLINK, None);
        goes_all_the_way(&site, "ip link set dev d0 xdpgeneric off");
        site.apply(1);
        pin_theirs(ProgramType::XDP, AttachType(0), 2);
        let (sent, leaked) = flood(|| {
            for _ in 0..rounds(REPLACEMENTS) {
                sh("ip link set dev d0 xdpgeneric off && \
                    ip link set dev d0 xdpgeneric pinned /sys/fs/bpf/direct/programs/p");
            }
        });
        println!("control: {leaked} of {sent} leaked");
        assert!(leaked > 0, "{leaked} of {sent}");
        // Somebody else replaces ours: theirs stays, and a destroy leaves it alone as well.
        sh("ip -force link set dev d0 xdpgeneric pinned /sys/fs/bpf/theirs");
        let theirs = || Linux::new().interface("d0").expect("it can be asked").expect("it is there").xdp;
        let there = theirs();
        assert!(site.refused(&["status", "direct", "--check"], 2).contains("it runs program id"), "drift is seen");
        assert!(site.refused(&["plan.toml"], 4).contains("in the place of program id"));
        site.destroy();
        assert_eq!(theirs(), there);
        // Ours takes the place again, with consent.
        site.write(1);
        let said = site.refused(&["plan.toml"], 4);
        assert!(said.contains("`theirs`, which does not come back") && said.contains("--allow takeover"), "{said}");
        assert_eq!(theirs(), there);
        site.succeed(&["plan.toml", "--allow", "takeover"]);
        sh("ip -force link set dev d0 xdpgeneric pinned /sys/fs/bpf/theirs");
        site.succeed(&["plan.toml", "--allow", "takeover"]);
        assert!(!passes(9));
        site.is_settled();
        site.destroy();
        assert_eq!(theirs(), []);
    });
}

#[test]
fn the_way_to_xdp_changes_with_consent() {
    in_namespace("xdp_way", |_| {
        sh(BLUE);
        sh(WIRE);
        let link = Way { hook: "xdp = { interface = \"d0\", mode = \"generic\", via = \"link\" }", ..NETLINK };
        let sites = [Site::new(link, None), Site::new(NETLINK, None)];
        sites[0].apply(1);
        for round in [1, 0] {
            let site = &sites[round];
            site.write(1);
            let said = site.refused(&["plan.toml"], 4);
            assert!(said.contains("-/+") && said.contains("--allow gap"), "{said}");
            site.succeed(&["plan.toml", "--allow", "gap"]);
            assert!(!passes(9));
            site.is_settled();
        }
        sites[0].destroy();
        assert!(passes(9));
    });
}

/// The hook of a link, which takes any mode.
const ANY: Way = Way { program: "first", hook: "xdp = { interface = \"d0\" }" };

/// `XDP_DROP`.
const DROP: i32 = 1;

#[test]
fn xdp_is_taken_over_without_a_gap() {
    in_namespace("takeover", |_| {
        sh(BLUE);
        sh(WIRE);
        let xdp = || Linux::new().interface("d0").expect("it can be asked").expect("it is there").xdp;
        pin_theirs(ProgramType::XDP, AttachType(0), DROP);
        // Nothing but the hook keeps it then.
        sh("ip link set dev d0 xdpgeneric pinned /sys/fs/bpf/theirs && rm /sys/fs/bpf/theirs");
        let (there, site) = (xdp(), Site::new(ANY, None));
        site.write(1);
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        assert!(planned.contains("no gap") && planned.contains("--allow takeover"), "{planned}");
        assert!(planned.contains("generic, by netlink, in the place of program id"), "{planned}");
        site.refused(&["plan.toml", "--allow", "gap,prune"], 4);
        assert_eq!(xdp(), there);
        let (sent, leaked) = flood(|| drop(site.succeed(&["plan.toml", "--allow", "takeover"])));
        println!("takeover: {leaked} of {sent} leaked");
        assert!(sent > 100 && leaked == 0, "{leaked} of {sent}");
        assert!(!passes(9) && !passes(11) && passes(12));
        site.is_settled();
        site.apply(2);
        assert!(passes(11) && !passes(12));
        site.is_settled();
        site.destroy();
        assert_eq!(xdp(), []);
    });
}

#[test]
fn what_a_killed_run_took_over_is_said_not_to_return() {
    in_namespace("killed_takeover", |_| {
        sh(BLUE);
        sh(WIRE);
        sh("ip link add d2 type veth peer name d3");
        // One program of ours takes the places of two.
        let theirs = ["d0", "d2"].map(|interface| {
            pin_theirs(ProgramType::XDP, AttachType(0), DROP);
            sh(&format!("ip link set dev {interface} xdpgeneric pinned /sys/fs/bpf/theirs && rm /sys/fs/bpf/theirs"));
            let there = Linux::new().interface(interface).expect("it can be asked").expect("it is there");
            (there.xdp[0].1, there.index)
        });
        let site = Site::new(ANY, None);
        site.write(1);
        let plan = site.folder.path().join("plan.toml");
        let one = fs::read_to_string(&plan).expect("it was written");
        let other = "[link.m]\nprogram = \"p\"\nxdp = { interface = \"d2\" }\n";
        fs::write(plan, one + other).expect("the folder is writable");
        // The marks are there and ours is attached, and what announces the next generation is not made any more.
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=symlink", "-e", "inject=symlink:signal=KILL:when=3"]);
        traced.arg(env!("CARGO_BIN_EXE_bpfapply")).args(["plan.toml", "--allow", "takeover"]);
        let Ok(_) = traced.current_dir(site.folder.path()).output() else {
            return skip("killed_takeover", "there is no strace");
        };
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        let words = planned.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("DOES NOT RETURN") && words.contains("traffic: STOPS"), "{planned}");
        for (id, index) in theirs {
            assert!(words.contains(&format!("program id {id} on xdp of interface {index} ")), "{planned}");
        }
        site.apply(1);
        site.is_settled();
        site.destroy();
    });
}

#[test]
fn what_was_taken_over_does_not_come_back_when_a_check_fails() {
    in_namespace("unchecked", |_| {
        sh(BLUE);
        sh(WIRE);
        pin_theirs(ProgramType::XDP, AttachType(0), DROP);
        sh("ip link set dev d0 xdpgeneric pinned /sys/fs/bpf/theirs && rm /sys/fs/bpf/theirs");
        let site = Site::new(ANY, None);
        site.write(1);
        let plan = site.folder.path().join("plan.toml");
        let text = fs::read_to_string(&plan).expect("it was written");
        let check = "[[check]]\ncommand = [\"sh\", \"-c\", \"! test -e /sys/fs/bpf/direct\"]\ntimeout = \"1s\"\n";
        fs::write(&plan, format!("{text}{check}")).expect("it is ours");
        let before = "if this is taken back, what it takes over does not return: `theirs` (program";
        assert!(site.refused(&["plan.toml"], 4).contains(before));
        let said = site.refused(&["plan.toml", "--allow", "takeover"], 3);
        assert!(said.contains(before) && said.contains("NOT what was taken over: `theirs` (program"), "{said}");
        assert_eq!(Linux::new().interface("d0").expect("it can be asked").expect("it is there").xdp, []);
    });
}

#[test]
fn what_was_taken_over_comes_back_when_an_apply_fails() {
    in_namespace("untaken", |room| {
        if room.version < (6, 4) {
            return skip("untaken", "netfilter links came with Linux 6.4");
        }
        sh(BLUE);
        sh(WIRE);
        let netfilter = "netfilter = { family = \"ipv4\", hook = \"forward\", priority = -5 }";
        let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let hooks = format!("[object.h]\npath = \"{}/hooks/hooks_1.o\"\n", objects.display());
        let last = format!("{hooks}[program.h]\nfrom = \"h:filter\"\n[link.z]\nprogram = \"h\"\n{netfilter}\n");
        let site = Site::new(ANY, None);
        let manifest = |name: &str, text: String| fs::write(site.folder.path().join(name), text).expect("it is ours");
        manifest("other.toml", format!("version = 1\nname = \"other\"\n{last}"));
        site.succeed(&["other.toml"]);
        pin_theirs(ProgramType::XDP, AttachType(0), DROP);
        sh("ip link set dev d0 xdpgeneric pinned /sys/fs/bpf/theirs && rm /sys/fs/bpf/theirs");
        let xdp = || Linux::new().interface("d0").expect("it can be asked").expect("it is there").xdp;
        let there = xdp();
        site.write(1);
        let text = fs::read_to_string(site.folder.path().join("plan.toml")).expect("it was written");
        manifest("plan.toml", text + &last);
        // The kernel refuses the second link when the first one has the hook.
        let said = site.refused(&["plan.toml", "--allow", "takeover"], 1);
        assert!(said.contains("undone       link.l") && said.contains("the host is as before"), "{said}");
        assert!(said.contains("forward") && said.contains("pinned at `/sys/fs/bpf/other"), "{said}");
        assert_eq!(xdp(), there);
        assert!(!passes(12), "theirs drops all");
        site.succeed(&["destroy", "other"]);
        site.succeed(&["plan.toml", "--allow", "takeover"]);
        assert!(!passes(9) && passes(12));
        site.destroy();
    });
}

#[test]
fn what_cannot_be_taken_over_is_said() {
    in_namespace("untakeable", |_| {
        sh(BLUE);
        sh(WIRE);
        let xdp = || Linux::new().interface("d0").expect("it can be asked").expect("it is there");
        pin_named("xdp_dispatcher", ProgramType::XDP, AttachType(0), 2);
        sh("ip link set dev d0 xdpgeneric pinned /sys/fs/bpf/theirs");
        let (there, ifindex) = (xdp().xdp, xdp().index);
        let refused = |hook: &'static str, words: &[&str]| {
            let site = Site::new(Way { hook, ..ANY }, None);
            site.write(1);
            let said = site.refused(&["plan.toml", "--allow", "takeover"], 1);
            let usual = ["the hook xdp of d0 has a program already", "ago", "pinned at `/sys/fs/bpf/theirs`"];
            for word in usual.iter().chain(words) {
                assert!(said.contains(word), "{word}: {said}");
            }
        };
        let libxdp = ["`xdp_dispatcher`, the dispatcher of libxdp", "xdp-loader unload d0"];
        refused("xdp = { interface = \"d0\", mode = \"native\" }", &[&libxdp[..], &["mode = \"generic\""]].concat());
        refused("xdp = { interface = \"d0\", via = \"link\" }", &[&libxdp[..], &["leave `via` out"]].concat());
        assert_eq!(xdp().xdp, there);
        // Nothing takes the place of a link.
        sh("ip link set dev d0 xdpgeneric off");
        let mut kernel = Linux::new();
        let (_, program) = kernel.open_pin(&PinPath::new("/sys/fs/bpf/theirs").expect("a path")).expect("it is pinned");
        let link = kernel.create_link(&program, &HookRequest::Xdp { ifindex, mode: XdpMode::Generic });
        let Ok(link) = link else { return skip("untakeable", "this kernel has no links of XDP") };
        let id = kernel.link_info(&link).expect("it can be asked").id;
        let words = [&format!("by link id {id}")[..], &format!("bpftool link detach id {id}")];
        refused("xdp = { interface = \"d0\" }", &words);
        refused("xdp = { interface = \"d0\", via = \"netlink\" }", &words);
        assert_eq!(xdp().xdp, there);
    });
}

#[test]
fn programs_of_cgroups() {
    in_namespace("attach", |room| {
        let Some(cgroup) = &room.cgroup else { return skip("attach", "this host has no cgroup2") };
        if run(Command::new("bash").args(["-c", "true"])).is_err() {
            return skip("attach", "there is no bash");
        }
        let cgroup = cgroup.display().to_string();
        let site = Site::new(ATTACH, Some(Path::new(&cgroup)));
        // Somebody else's program in the same cgroup, which lets all pass.
        pin_theirs(ProgramType::CGROUP_SKB, AttachType::CGROUP_INET_EGRESS, 1);
        sh(&format!("bpftool cgroup attach {cgroup} cgroup_inet_egress pinned /sys/fs/bpf/theirs multi"));
        let there = || sh(&format!("bpftool cgroup show {cgroup}"));
        let before = there();
        let detach = |pin: &str| format!("bpftool cgroup detach {cgroup} cgroup_inet_egress pinned {pin}");
        goes_all_the_way(&site, &detach("/sys/fs/bpf/direct/programs/p"));
        assert_eq!(there(), before);
        site.apply(1);
        let attach =
            format!("bpftool cgroup attach {cgroup} cgroup_inet_egress pinned /sys/fs/bpf/direct/programs/p multi");
        let (sent, leaked) = site.flood(|| {
            for _ in 0..rounds(REPLACEMENTS) {
                sh(&format!("{} && {attach}", detach("/sys/fs/bpf/direct/programs/p")));
            }
        });
        println!("control: {leaked} of {sent} leaked");
        assert!(leaked > 0, "{leaked} of {sent}");

        // To a link and back, without a gap.
        let link = Site::new(Way { hook: "cgroup = { path = \"CGROUP\" }", ..ATTACH }, Some(Path::new(&cgroup)));
        let (_, leaked) = site.flood(|| {
            for site in [&link, &site, &link] {
                let said = site.apply(1);
                assert!(said.contains("+/-"), "{said}");
                site.is_settled();
            }
        });
        assert_eq!(leaked, 0);
        link.destroy();
        assert_eq!(there(), before);
        sh(&detach("/sys/fs/bpf/theirs"));

        // What is above may let nothing be below it.
        let below = format!("{cgroup}/below");
        fs::create_dir(&below).expect("a cgroup can be made");
        sh(&format!("bpftool cgroup attach {cgroup} cgroup_inet_egress pinned /sys/fs/bpf/theirs"));
        for hook in [ATTACH.hook, "cgroup = { path = \"CGROUP\" }"] {
            let site = Site::new(Way { hook, ..ATTACH }, Some(Path::new(&below)));
            site.write(1);
            let said = site.refused(&["plan.toml"], 1);
            assert!(
                said.contains(&format!("the cgroup `{cgroup}` has a program that lets no other be below it")),
                "{said}"
            );
        }
        sh(&detach("/sys/fs/bpf/theirs"));
    });
}

#[test]
fn interfaces_of_other_network_namespaces() {
    in_namespace("elsewhere", |_| {
        sh(BLUE);
        sh(WIRE);
        let (tc, xdp) = ("tc filter show dev d1 ingress", "ip link show d1");
        let ways = [
            (
                Way {
                    hook: "tc = { interface = \"d1\", netns = \"blue\", direction = \"ingress\", via = \"clsact\" }",
                    ..CLSACT
                },
                tc,
            ),
            (
                Way {
                    hook: "xdp = { interface = \"d1\", netns = \"blue\", mode = \"generic\", via = \"netlink\" }",
                    ..NETLINK
                },
                xdp,
            ),
        ];
        for (way, show) in ways {
            let shown = || sh(&format!("ip netns exec blue {show}"));
            let (site, before) = (Site::new(way, None), shown());
            for version in [1, 2] {
                site.apply(version);
                assert_ne!(shown(), before);
                site.is_settled();
            }
            site.destroy();
            assert_eq!(shown(), before);
        }
        // What goes with its network namespace need not be taken away.
        let site = Site::new(ways[0].0, None);
        site.apply(1);
        sh("ip netns del blue");
        site.destroy();
    });
}
