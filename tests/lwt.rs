//! Routes with programs under real traffic: packets are forwarded by one, and each point of their way is filtered, left alone
//! the second time, gets another program under a flood, is made again when others took it away, and goes; routes of others
//! stay what they are.
//!
//! What the programs do is in `tests/lwt/route.c`.

mod common;

use common::tool::{self, succeed};
use common::{in_namespace, run};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How often a program is replaced under a flood.
const REPLACEMENTS: usize = 8;

/// Packets come from one network namespace and go through this one to another. There they are for addresses behind it,
/// to which somebody else has a route for the case that ours is not there.
const WAY: &str = "mount -t tmpfs none /run && ip netns add blue && ip netns add green && \
    ip link add b0 type veth peer name b1 netns blue && ip link add g0 type veth peer name g1 netns green && \
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && \
    ip addr add 10.1.1.1/24 dev b0 && ip addr add 2001:db8:1::1/64 dev b0 nodad && ip link set b0 up && \
    ip addr add 10.2.2.1/24 dev g0 && ip addr add 2001:db8:2::1/64 dev g0 nodad && ip link set g0 up && \
    ip -n blue addr add 10.1.1.2/24 dev b1 && ip -n blue addr add 2001:db8:1::2/64 dev b1 nodad && \
    ip -n blue link set b1 up && ip -n blue route add default via 10.1.1.1 && \
    ip -n blue route add default via 2001:db8:1::1 && \
    ip -n green addr add 10.2.2.2/24 dev g1 && ip -n green addr add 2001:db8:2::2/64 dev g1 nodad && \
    ip -n green link set g1 up && ip -n green addr add 10.9.0.1/24 dev g1 && \
    ip -n green addr add 2001:db8:9::1/64 dev g1 nodad && \
    ip -n green route add default via 10.2.2.1 && ip -n green route add default via 2001:db8:2::1 && \
    ip route add 10.9.0.0/24 via 10.2.2.2 metric 5000 && ip route add 2001:db8:9::/64 via 2001:db8:2::2 metric 5000";

/// The two kinds of addresses.
struct Family {
    /// From where packets come.
    from: &'static str,
    /// To which of the destinations they go.
    to: &'static str,
    /// The route in the manifest.
    route: &'static str,
    /// How others take it away.
    remove: &'static str,
}

const IPV4: Family = Family {
    from: "10.1.1.2",
    to: "10.9.0.1",
    route: "to = \"10.9.0.0/24\", interface = \"g0\", gateway = \"10.2.2.2\"",
    remove: "ip route del 10.9.0.0/24 via 10.2.2.2 proto static",
};
const IPV6: Family = Family {
    from: "2001:db8:1::2",
    to: "2001:db8:9::1",
    route: "to = \"2001:db8:9::/64\", interface = \"g0\", gateway = \"2001:db8:2::2\"",
    remove: "ip -6 route del 2001:db8:9::/64 metric 1024",
};

/// A deployment of one link.
struct Site {
    folder: TempDir,
    family: &'static Family,
    /// Which program of `route.c`.
    program: &'static str,
}

impl Site {
    fn new(family: &'static Family, program: &'static str) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made"), family, program }
    }

    /// Writes the manifest with a version of the program, with more keys of the route, and with more behind it.
    fn write(&self, version: u32, keys: &str, more: &str) {
        let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lwt");
        let text = format!(
            "version = 1\nname = \"lwt\"\n[object.o]\npath = \"{}/route_{version}.o\"\n\
             [program.p]\nfrom = \"o:{}\"\n[link.l]\nprogram = \"p\"\nlwt = {{ {}{keys} }}\n{more}",
            objects.display(),
            self.program,
            self.family.route,
        );
        fs::write(self.folder.path().join("plan.toml"), text).expect("the folder is writable");
    }

    #[track_caller]
    fn apply(&self, version: u32) -> String {
        self.write(version, "", "");
        self.succeed(&["plan.toml"])
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
        tool::is_settled(self.folder.path(), "plan.toml", "lwt");
    }

    /// Returns which of the ports 9, 11 and 12 datagrams come to.
    fn open(&self) -> [bool; 3] {
        [9, 11, 12].map(|port| Flow::open(self.family, port).passes())
    }

    /// Floods port 9 while something is done; returns how many datagrams were sent, and how many came through.
    fn flood(&self, body: impl FnOnce()) -> (u64, u64) {
        let flow = Flow::open(self.family, 9);
        let (sent, ends) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    // A full queue is no reason to stop.
                    let _ = flow.sender.send_to(b"x", flow.to);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
            let _ends = OnDrop(&ends);
            body();
        });
        flow.receiver.set_nonblocking(true).expect("it is a socket");
        let leaked = std::iter::from_fn(|| flow.receiver.recv(&mut [0; 8]).ok()).count();
        (sent.into_inner(), leaked as u64)
    }
}

/// Says so when it is dropped, also by a panic.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A port at the far end, and what sends to it from the near one.
struct Flow {
    receiver: UdpSocket,
    sender: UdpSocket,
    to: (&'static str, u16),
}

impl Flow {
    fn open(family: &Family, port: u16) -> Self {
        let to = (family.to, port);
        let receiver = within("green", || UdpSocket::bind(to).expect("a free port"));
        receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("it is a socket");
        let sender = within("blue", || UdpSocket::bind((family.from, 0)).expect("a free port"));
        Self { receiver, sender, to }
    }

    /// Returns whether a datagram arrives.
    fn passes(&self) -> bool {
        self.sender.send_to(b"x", self.to).expect("the wire is up");
        self.receiver.recv(&mut [0; 8]).is_ok()
    }
}

/// Does something in a network namespace; sockets stay where they were made.
fn within<T: Send>(name: &str, body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let there = fs::File::open(format!("/run/netns/{name}")).expect("it was made");
            nix::sched::setns(&there, nix::sched::CloneFlags::CLONE_NEWNET).expect("we may enter it");
            body()
        });
        inside.join().expect("it does not fail")
    })
}

#[track_caller]
fn sh(script: &str) -> String {
    let said = run(Command::new("sh").args(["-c", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// Lists the routes to all that is behind; what the kernel makes for addresses comes and goes with them.
fn routes() -> String {
    sh("ip -details route show table all | grep -E '10\\.[89]\\.|2001:db8:9:'")
}

/// Goes the whole way with one link.
fn goes_all_the_way(site: &Site) {
    let before = routes();
    assert_eq!(site.open(), [true; 3]);
    let said = site.apply(1);
    assert!(said.contains("attach program.p"), "{said}");
    assert_eq!(site.open(), [false, false, true]);
    site.is_settled();

    // Another program, in place.
    site.write(2, "", "");
    let planned = site.succeed(&["plan.toml", "--dry-run"]);
    assert!(planned.contains("in place") && planned.contains("no gap"), "{planned}");
    let (sent, leaked) = site.flood(|| {
        for round in 0..REPLACEMENTS {
            site.apply(2 - round as u32 % 2);
        }
    });
    println!("{}: {sent} datagrams sent, {leaked} leaked", site.program);
    assert!(sent > 100 && leaked == 0, "{leaked} of {sent}");
    site.apply(2);
    assert_eq!(site.open(), [false, true, false]);
    site.is_settled();
    site.succeed(&["rollback", "lwt"]);
    assert_eq!(site.open(), [false, false, true]);

    // Others take it away: that is seen, and put right.
    sh(site.family.remove);
    assert_eq!(site.open(), [true; 3]);
    let said = site.refused(&["status", "lwt", "--check"], 2);
    assert!(said.contains("link.l: it was detached from"), "{said}");
    site.apply(1);
    assert_eq!(site.open(), [false, false, true]);
    site.is_settled();
    site.succeed(&["destroy", "lwt"]);
    assert_eq!(site.open(), [true; 3]);
    assert_eq!(routes(), before);
}

#[test]
fn each_point_of_the_way_is_filtered() {
    in_namespace("lwt", |_| {
        sh(WAY);
        for family in [&IPV4, &IPV6] {
            for program in ["in", "out", "xmit"] {
                goes_all_the_way(&Site::new(family, program));
            }
        }
        // The control: to take a route away and to make it again lets datagrams take the other one.
        let site = Site::new(&IPV4, "out");
        site.apply(1);
        let (sent, leaked) = site.flood(|| {
            for _ in 0..5 {
                sh(IPV4.remove);
                site.apply(1);
            }
        });
        println!("control: {leaked} of {sent} leaked");
        assert!(leaked > 0, "{leaked} of {sent}");
        site.succeed(&["destroy", "lwt"]);
    });
}

#[test]
fn routes_of_others_are_left_alone() {
    in_namespace("lwt_taken", |_| {
        sh(WAY);
        let site = Site::new(&IPV4, "out");
        site.write(1, "", "");
        sh("ip route add 10.9.0.0/24 via 10.2.2.2");
        let before = routes();
        let said = site.refused(&["plan.toml"], 1);
        assert!(said.contains("there is a route to 10.9.0.0/24 already"), "{said}");
        assert!(said.contains("a route of protocol 3, by 10.2.2.2, to interface"), "{said}");
        assert_eq!(routes(), before);
        // At another metric there is room.
        site.write(1, ", metric = 7", "");
        site.succeed(&["plan.toml"]);
        site.is_settled();
        assert_eq!(site.open(), [true; 3], "theirs has the lower metric");
        site.succeed(&["destroy", "lwt"]);
        assert_eq!(routes(), before);
        // Theirs takes the place of ours: it stays, also when ours is destroyed.
        sh("ip route del 10.9.0.0/24 via 10.2.2.2 metric 0");
        site.apply(1);
        sh("ip route replace 10.9.0.0/24 via 10.2.2.2");
        assert!(site.refused(&["status", "lwt", "--check"], 2).contains("it was detached from"));
        assert!(site.refused(&["plan.toml"], 1).contains("there is a route to 10.9.0.0/24 already"));
        site.succeed(&["destroy", "lwt"]);
        assert_eq!(routes(), before);
    });
}

#[test]
fn routes_go_with_their_interface() {
    in_namespace("lwt_gone", |_| {
        sh(WAY);
        let site = Site::new(&IPV4, "out");
        site.apply(1);
        sh("ip link set g0 down && ip link set g0 up");
        assert!(site.refused(&["status", "lwt", "--check"], 2).contains("it was detached from"));
        site.apply(1);
        site.is_settled();
        assert_eq!(site.open(), [false, false, true]);
        sh("ip link del g0");
        assert!(site.refused(&["plan.toml"], 1).contains("there is no interface `g0`"));
        site.succeed(&["destroy", "lwt"]);
    });
}

#[test]
fn another_way_of_the_same_route_has_a_gap() {
    in_namespace("lwt_gap", |_| {
        sh(WAY);
        let site = Site::new(&IPV4, "xmit");
        site.apply(1);
        site.write(1, ", headroom = 20", "");
        let said = site.refused(&["plan.toml"], 4);
        assert!(said.contains("-/+") && said.contains("--allow gap"), "{said}");
        site.succeed(&["plan.toml", "--allow", "gap"]);
        assert_eq!(site.open(), [false, false, true]);
        site.is_settled();
        site.succeed(&["destroy", "lwt"]);
    });
}

#[test]
fn what_fails_later_is_taken_back() {
    in_namespace("lwt_undo", |_| {
        sh(WAY);
        let before = routes();
        let site = Site::new(&IPV4, "out");
        let unreachable = "[link.m]\nprogram = \"p\"\n\
             lwt = { to = \"10.8.0.0/24\", interface = \"g0\", gateway = \"10.99.99.99\" }\n";
        site.write(1, "", unreachable);
        site.refused(&["plan.toml"], 1);
        assert_eq!(routes(), before);
        site.apply(1);
        let settled = routes();
        site.write(2, "", unreachable);
        site.refused(&["plan.toml"], 1);
        assert_eq!(routes(), settled);
        assert_eq!(site.open(), [false, false, true]);
        site.succeed(&["destroy", "lwt"]);
        assert_eq!(routes(), before);
    });
}
