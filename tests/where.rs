//! Where links are, under real traffic: in other network namespaces, on interfaces that vanish and return, on all that
//! match a pattern, and on none when that is allowed.
//!
//! Version 1 of each program drops everything, version 2 nothing (`tests/where/where.c`).

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel as _, LinkInfo, ProgramRequest};
use bpfapply::kinds::{AttachType, Family, Netfilter, Point, ProgramType, XdpMode};
use common::tool::{Said, bpfapply, succeed};
use common::{in_namespace, run, skip};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ROOT: &str = "/sys/fs/bpf/where";

/// Two network namespaces with an interface `d1` with the index 2 in each, whose other ends `blue0` and `red0` are here.
const TWO: &str = "mount -t tmpfs none /run && ip netns add blue && ip netns add red && \
    ip link add blue0 type veth peer name d1 netns blue && \
    ip link add red0 type veth peer name d1 netns red && \
    ip addr add 10.9.1.1/24 dev blue0 && ip addr add 10.9.2.1/24 dev red0 && ip link set blue0 up && ip link set red0 up && \
    ip -n blue addr add 10.9.1.2/24 dev d1 && ip -n red addr add 10.9.2.2/24 dev d1 && \
    ip -n blue link set d1 up && ip -n red link set d1 up";

/// What makes the interfaces of red anew. A link of netfilter keeps its network namespace, and with it the old ones.
const RED: &str = "ip link del red0 && ip link add red0 type veth peer name d1 netns red && \
    ip addr add 10.9.2.1/24 dev red0 && ip link set red0 up && ip -n red addr add 10.9.2.2/24 dev d1 && \
    ip -n red link set d1 up";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

/// Writes a manifest; `links` are its tables of links, which have the programs `first` (xdp), `second` (tc) and `third`
/// (netfilter).
fn write(folder: &TempDir, version: u32, links: &str) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/where");
    let programs = ["first", "second", "third", "fourth"].into_iter().filter(|name| links.contains(*name));
    let programs: String = programs.map(|name| format!("[program.{name}]\nfrom = \"o:{name}\"\n")).collect();
    let text = format!(
        "version = 1\nname = \"where\"\n[object.o]\npath = \"{}/where_{version}.o\"\n{programs}{links}\n",
        objects.display()
    );
    fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
}

fn link(name: &str, program: &str, hook: &str) -> String {
    format!("[link.{name}]\nprogram = \"{program}\"\n{hook}\n")
}

#[track_caller]
fn apply(folder: &TempDir) -> String {
    succeed(folder.path(), &["plan.toml"])
}

#[track_caller]
fn dry_run(folder: &TempDir) -> String {
    succeed(folder.path(), &["plan.toml", "--dry-run"])
}

/// Runs what must be refused, and returns what is said.
#[track_caller]
fn refused(folder: &TempDir, arguments: &[&str], code: i32) -> String {
    let Said { code: is, stdout, stderr } = bpfapply(folder.path(), arguments);
    assert_eq!(is, code, "{stdout}{stderr}");
    stdout + &stderr
}

/// Asserts that a second apply and a status have nothing to say.
#[track_caller]
fn is_settled(folder: &TempDir) {
    let said = apply(folder);
    assert!(said.contains("nothing to do"), "{said}");
    succeed(folder.path(), &["status", ROOT, "--check"]);
    let Said { code, stdout, .. } = bpfapply(folder.path(), &["plan.toml", "--dry-run", "--check"]);
    assert_eq!(code, 0, "{stdout}");
}

/// Waits until the status says something.
#[track_caller]
fn drifts(folder: &TempDir, says: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let Said { stdout, stderr, .. } = bpfapply(folder.path(), &["status", ROOT, "--check"]);
        if stdout.contains(says) {
            return;
        }
        assert!(Instant::now() < end, "{stdout}{stderr}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn sh(script: &str) {
    run(Command::new("sh").args(["-c", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
}

/// Returns whether a ping is answered; `from` is what runs it elsewhere: `ip netns exec blue`.
fn answers(from: &str, address: &str) -> bool {
    let script = format!("{from} ping -q -c 1 -W 1 {address}");
    Command::new("sh").args(["-c", &script]).output().is_ok_and(|output| output.status.success())
}

fn blue() -> bool {
    answers("", "10.9.1.2")
}

fn red() -> bool {
    answers("", "10.9.2.2")
}

type Fd = <Linux as bpfapply::kernel::Kernel>::Fd;

/// Loads a program of somebody else that returns a number.
fn load(kernel: &mut Linux, program_type: ProgramType, expected_attach_type: AttachType, number: i32) -> Fd {
    let insns = [Insn { code: 0xb7, imm: number, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let request = ProgramRequest::plain("theirs", program_type, &insns);
    kernel.load_program(&ProgramRequest { expected_attach_type, ..request }).expect("it loads")
}

/// A link of somebody else in a network namespace.
struct Theirs {
    link: Fd,
    info: LinkInfo,
}

impl Theirs {
    fn attach(kernel: &mut Linux, netns: &str, program: &Fd, hook: HookRequest<'_, Fd>) -> Self {
        let (netns, _) = kernel.open_netns(format!("/run/netns/{netns}").as_ref()).expect("it is there");
        let link =
            kernel.create_link(program, &HookRequest::Within { netns: &netns, hook: &hook }).expect("it attaches");
        let info = kernel.link_info(&link).expect("it is there");
        Self { link, info }
    }

    #[track_caller]
    fn is_as_it_was(&self, kernel: &Linux) {
        assert_eq!(kernel.link_info(&self.link).expect("it is there"), self.info);
    }
}

#[test]
fn xdp_in_another_network_namespace() {
    in_namespace("where_xdp", |_| {
        let folder = folder();
        sh(TWO);
        let mut kernel = Linux::new();
        // Somebody else has the interface of the same name and index in red.
        let pass = load(&mut kernel, ProgramType::XDP, AttachType::XDP, 2);
        let hook = HookRequest::Xdp { ifindex: 2, mode: XdpMode::Generic };
        let theirs = Theirs::attach(&mut kernel, "red", &pass, hook);
        let of = |netns: &str| link("l", "first", &format!("xdp = {{ interface = \"d1\", netns = \"{netns}\" }}"));

        write(&folder, 1, &of("red"));
        let said = refused(&folder, &["plan.toml"], 1);
        assert!(said.contains("the hook xdp of d1 in network namespace red has a program already"), "{said}");
        write(&folder, 1, &of("green"));
        assert!(refused(&folder, &["plan.toml"], 1).contains("there is no network namespace green"));
        write(&folder, 1, &of("blue").replace("d1", "d2"));
        assert!(refused(&folder, &["plan.toml"], 1).contains("there is no interface `d2` in network namespace blue"));

        write(&folder, 1, &of("blue"));
        let planned = dry_run(&folder);
        assert!(planned.contains("xdp of d1 in network namespace blue (ifindex 2 there"), "{planned}");
        assert!(blue() && red());
        apply(&folder);
        assert!(!blue() && red());
        is_settled(&folder);

        write(&folder, 2, &of("blue"));
        let planned = dry_run(&folder);
        assert!(planned.contains("in place") && planned.contains("no gap"), "{planned}");
        apply(&folder);
        assert!(blue());
        is_settled(&folder);
        succeed(folder.path(), &["rollback", ROOT]);
        assert!(!blue());

        // The same index in another namespace is another hook: the old one is left.
        write(&folder, 1, &of("red"));
        assert!(refused(&folder, &["plan.toml"], 1).contains("has a program already"));
        theirs.is_as_it_was(&kernel);
        drop((theirs, pass));
        let end = Instant::now() + Duration::from_secs(10);
        let planned = loop {
            let said = bpfapply(folder.path(), &["plan.toml", "--dry-run"]).stdout;
            if said.contains("+/-") || Instant::now() > end {
                break said;
            }
        };
        assert!(planned.contains("it is on xdp of d1 in network namespace blue"), "{planned}");
        assert!(refused(&folder, &["plan.toml"], 4).contains("--allow prune"));
        succeed(folder.path(), &["plan.toml", "--allow", "prune"]);
        assert!(blue() && !red());
        is_settled(&folder);

        // Another mode needs a gap; what failed in the gap is put back where it was.
        write(&folder, 1, &of("red").replace("netns", "mode = \"offload\", netns"));
        assert_eq!(bpfapply(folder.path(), &["plan.toml", "--allow", "gap"]).code, 1);
        assert!(blue() && !red());
        write(&folder, 1, &of("red"));
        apply(&folder);
        is_settled(&folder);

        succeed(folder.path(), &["destroy", ROOT]);
        assert!(blue() && red());
        sh("ip netns del blue && ip netns del red");
    });
}

#[test]
fn tc_in_another_network_namespace() {
    in_namespace("where_tc", |room| {
        if room.version < (6, 6) {
            return skip("where_tc", "this kernel has no tcx");
        }
        let folder = folder();
        sh(TWO);
        let mut kernel = Linux::new();
        let next = load(&mut kernel, ProgramType::SCHED_CLS, AttachType(0), -1);
        let ingress = || HookRequest::Tcx { ifindex: 2, attach_type: AttachType::TCX_INGRESS };
        let neighbours = ["blue", "red"].map(|netns| Theirs::attach(&mut kernel, netns, &next, ingress()));
        let of = |netns: &str| {
            link("l", "second", &format!("tc = {{ interface = \"d1\", direction = \"ingress\", netns = {netns} }}"))
        };

        write(&folder, 1, &of("\"blue\""));
        apply(&folder);
        assert!(!blue() && red());
        is_settled(&folder);
        write(&folder, 2, &of("\"blue\""));
        assert!(dry_run(&folder).contains("no gap"));
        apply(&folder);
        assert!(blue());
        is_settled(&folder);
        write(&folder, 1, &of("\"/run/netns/blue\""));
        apply(&folder);
        assert!(!blue());
        is_settled(&folder);

        // The namespace goes, and one of the same name and with the same interface comes.
        sh("ip netns del blue");
        drifts(&folder, "was detached from");
        assert!(refused(&folder, &["plan.toml"], 1).contains("there is no network namespace /run/netns/blue"));
        sh(
            "ip link del blue0 2>/dev/null; ip netns add blue && ip link add blue0 type veth peer name d1 netns blue && \
            ip addr add 10.9.1.1/24 dev blue0 && ip link set blue0 up && ip -n blue addr add 10.9.1.2/24 dev d1 && \
            ip -n blue link set d1 up",
        );
        assert!(blue());
        let planned = dry_run(&folder);
        assert!(
            planned.contains("its interface, cgroup or network namespace went away") && planned.contains("+/-"),
            "{planned}"
        );
        apply(&folder);
        assert!(!blue() && red());
        is_settled(&folder);

        succeed(folder.path(), &["destroy", ROOT]);
        assert!(blue() && red());
        neighbours[1].is_as_it_was(&kernel);
        sh("ip netns del blue && ip netns del red");
    });
}

#[test]
fn netfilter_in_another_network_namespace() {
    in_namespace("where_netfilter", |room| {
        if room.version < (6, 4) {
            return skip("where_netfilter", "this kernel has no such links");
        }
        let folder = folder();
        sh(TWO);
        let mut kernel = Linux::new();
        let accept = load(&mut kernel, ProgramType::NETFILTER, AttachType::NETFILTER, 1);
        let hook = Netfilter { family: Family::Ipv4, point: Point::Input, priority: 10, defrag: false };
        let theirs = Theirs::attach(&mut kernel, "red", &accept, HookRequest::Netfilter(hook));
        let of = |netns: &str| {
            let hook = "netfilter = { family = \"ipv4\", hook = \"input\", priority = 10, netns = NETNS }";
            link("l", "third", &hook.replace("NETNS", netns))
        };
        write(&folder, 1, &of("\"red\""));
        assert!(refused(&folder, &["plan.toml"], 1).contains("has a program already"));
        assert!(red());

        write(&folder, 1, &of("\"blue\""));
        apply(&folder);
        assert!(!blue() && red());
        is_settled(&folder);
        write(&folder, 2, &of("\"blue\""));
        assert!(refused(&folder, &["plan.toml"], 4).contains("--allow gap"));
        succeed(folder.path(), &["plan.toml", "--allow", "gap"]);
        assert!(blue());
        is_settled(&folder);
        succeed(folder.path(), &["rollback", ROOT, "--allow", "gap"]);
        assert!(!blue());

        // To another namespace, at the same priority of the same hook: that is a move.
        drop((theirs, accept));
        write(&folder, 1, &of("\"red\""));
        let planned = dry_run(&folder);
        assert!(
            planned.contains("it is on netfilter input of ipv4 at priority 10 in network namespace blue"),
            "{planned}"
        );
        assert!(refused(&folder, &["plan.toml"], 4).contains("--allow prune"));
        succeed(folder.path(), &["plan.toml", "--allow", "prune"]);
        assert!(blue() && !red());
        is_settled(&folder);
        // The kernel says nothing of a link whose namespace is gone: that the name means another one tells.
        sh("ip netns del red");
        drifts(&folder, "network namespace red is gone or another one");
        sh(&format!("ip netns add red && {RED}"));
        assert!(red());
        drifts(&folder, "network namespace red is gone or another one");
        println!("{}", dry_run(&folder));
        succeed(folder.path(), &["plan.toml", "--allow", "prune"]);
        assert!(blue() && !red());
        is_settled(&folder);
        succeed(folder.path(), &["destroy", ROOT]);
        assert!(blue() && red());
        sh("ip netns del blue && ip netns del red");
    });
}
