//! Where links are, under real traffic: in other network namespaces, on interfaces that vanish and return, on all that
//! match a pattern, and on none when that is allowed.
//!
//! Version 1 of each program drops everything, version 2 nothing (`tests/where/where.c`).

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel as _, LinkInfo, ProgramRequest};
use bpfapply::kinds::{AttachType, Family, Netfilter, Point, ProgramType, XdpMode};
use common::tool::{self, Said, bpfapply, succeed};
use common::{in_namespace, run, skip};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoNetkit, LinkAttribute, LinkInfo as Info, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use std::fs;
use std::os::fd::AsRawFd as _;
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
    tool::refused(folder.path(), arguments, code)
}

/// Asserts that a second apply and a status have nothing to say.
#[track_caller]
fn is_settled(folder: &TempDir) {
    tool::is_settled(folder.path(), "plan.toml", ROOT);
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
    // An address that nobody answered for is not asked for at once again.
    let script = format!("{from} ip neigh flush all; {from} ping -q -c 1 -W 2 {address}");
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
        assert!(planned.contains("what it was attached to went away") && planned.contains("+/-"), "{planned}");
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

/// Interfaces here, with an address each, whose other ends are in blue.
fn veths(names: &[&str]) -> String {
    let add = |name: &&str| format!("ip link add {name} type veth peer name p-{name} && ip link set {name} up");
    names.iter().map(add).collect::<Vec<_>>().join(" && ")
}

/// Returns the names of the deployment's pins of links, as bpffs lists them.
fn pins(table: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("{ROOT}/links/{table}")).expect("the folder is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("it is listed").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Returns whether an interface has an XDP program.
fn has_xdp(name: &str) -> bool {
    let found = Linux::new().interface(name).expect("it can be asked");
    !found.expect("it is there").xdp.is_empty()
}

#[test]
fn a_pattern_is_a_link_for_each_interface() {
    in_namespace("where_pattern", |_| {
        let folder = folder();
        let many = |pattern: &str, more: &str| {
            link("up", "first", &format!("{more}xdp = {{ interface = {pattern}, mode = \"generic\" }}"))
        };
        write(&folder, 1, &many("\"eth*\"", ""));
        let said = refused(&folder, &["plan.toml"], 1);
        assert!(said.contains("no interface matches `eth*`") && said.contains("optional = true"), "{said}");
        let offline = succeed(folder.path(), &["plan.toml", "--dry-run=offline"]);
        assert!(offline.contains("a link for each that matches, which is not known offline"), "{offline}");
        write(&folder, 1, &many("\"eth*\"", "optional = true\n"));
        let planned = dry_run(&folder);
        assert!(planned.contains("absent, skipped: xdp of eth*; because it is optional"), "{planned}");
        apply(&folder);
        is_settled(&folder);

        sh(&veths(&["eth0", "eth0.100", "veth7"]));
        drifts(&folder, "link.up[\"eth0.100\"]: xdp of eth0.100 is there now");
        write(&folder, 1, &many("\"eth*\"", ""));
        let planned = dry_run(&folder);
        assert!(planned.contains("link.up[\"eth0\"]") && planned.contains("link.up[\"eth0.100\"]"), "{planned}");
        apply(&folder);
        assert_eq!(pins("up"), ["eth0", "eth0%2e100"]);
        assert!(has_xdp("eth0") && has_xdp("eth0.100") && !has_xdp("veth7"));
        is_settled(&folder);

        write(&folder, 2, &many("\"eth*\"", ""));
        assert!(dry_run(&folder).matches("in place").count() >= 2);
        apply(&folder);
        is_settled(&folder);

        // One that comes is a change, one that goes is no mistake.
        sh(&format!("{} && ip link del eth0", veths(&["eth1"])));
        drifts(&folder, "link.up[\"eth1\"]: xdp of eth1 is there now");
        drifts(&folder, "link.up[\"eth0\"]: it was detached from xdp of eth0");
        apply(&folder);
        assert_eq!(pins("up"), ["eth0%2e100", "eth1"]);
        assert!(has_xdp("eth1"));
        is_settled(&folder);

        // It returns as another one with another index; and the generation before knew it.
        sh(&veths(&["eth0"]));
        apply(&folder);
        assert!(has_xdp("eth0"));
        is_settled(&folder);
        sh("ip link del eth1");
        succeed(folder.path(), &["rollback", ROOT, "--allow", "prune"]);
        assert_eq!(pins("up"), ["eth0%2e100"]);

        // What an interface has of others is in the way, and all or nothing is done.
        write(
            &folder,
            2,
            &format!("{}{}", many("\"eth0*\"", ""), link("other", "first", "xdp = { interface = \"eth0\" }")),
        );
        let said = refused(&folder, &["plan.toml"], 65);
        assert!(said.contains("two links want XDP on `eth0`") && said.contains("`link.other`"), "{said}");
        sh("ip link property add dev eth0 altname wan");
        write(
            &folder,
            2,
            &format!("{}{}", many("\"eth0*\"", ""), link("other", "first", "xdp = { interface = \"wan\" }")),
        );
        assert!(refused(&folder, &["plan.toml"], 65).contains("two links want XDP on"));
        write(&folder, 1, &many("[\"wan\", \"eth0.100\"]", ""));
        apply(&folder);
        assert_eq!(pins("up"), ["eth0%2e100", "wan"]);
        is_settled(&folder);
        succeed(folder.path(), &["destroy", ROOT]);
        assert!(!has_xdp("eth0") && !has_xdp("eth0.100"));
    });
}

#[test]
fn what_is_optional_may_be_missing() {
    in_namespace("where_optional", |room| {
        let folder = folder();
        let cgroup = room.cgroup.as_ref().map(|root| root.join("later"));
        let mut links =
            link("net", "first", "optional = true\nprotect = true\nxdp = { interface = \"d1\", netns = \"blue\" }");
        if let Some(cgroup) = &cgroup {
            let hook = format!("optional = true\ncgroup = {{ path = \"{}\" }}", cgroup.display());
            links += &link("group", "fourth", &hook);
        }
        write(&folder, 1, &links);
        apply(&folder);
        is_settled(&folder);
        assert!(
            succeed(folder.path(), &["plan.toml", "--dry-run"])
                .contains("absent, skipped: xdp of d1 in network namespace blue")
        );

        sh(TWO);
        assert!(blue());
        if let Some(cgroup) = &cgroup {
            fs::create_dir(cgroup).expect("a cgroup can be made");
        }
        drifts(&folder, "link.net: xdp of d1 in network namespace blue is there now");
        apply(&folder);
        assert!(!blue() && red());
        is_settled(&folder);

        // It goes and comes as another one: the guard does not keep what is nowhere.
        sh("ip netns del blue");
        if let Some(cgroup) = &cgroup {
            fs::remove_dir(cgroup).expect("nothing is in it");
        }
        drifts(&folder, "link.net: it was detached from");
        apply(&folder);
        is_settled(&folder);
        sh(
            "ip link del blue0 2>/dev/null; ip netns add blue && ip link add blue0 type veth peer name d1 netns blue && \
            ip addr add 10.9.1.1/24 dev blue0 && ip link set blue0 up && ip -n blue addr add 10.9.1.2/24 dev d1 && \
            ip -n blue link set d1 up",
        );
        assert!(blue());
        apply(&folder);
        assert!(!blue());
        is_settled(&folder);
        assert!(refused(&folder, &["destroy", ROOT], 1).contains("protected"));
        write(&folder, 1, &links.replace("protect = true\n", ""));
        apply(&folder);
        succeed(folder.path(), &["destroy", ROOT]);
        assert!(blue());
        sh("ip netns del blue && ip netns del red");
    });
}

/// Makes a netkit pair of `nk0` here and `d1` in blue, for which tools are too old; false when the kernel has none.
fn add_netkit() -> bool {
    let blue = fs::File::open("/run/netns/blue").expect("it is there");
    let named = |name: &str| {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link
    };
    let mut peer = named("d1");
    peer.attributes.push(LinkAttribute::NetNsFd(blue.as_raw_fd()));
    let mut link = named("nk0");
    let pair = InfoData::Netkit(vec![InfoNetkit::Peer(peer)]);
    link.attributes.push(LinkAttribute::LinkInfo(vec![Info::Kind(InfoKind::Netkit), Info::Data(pair)]));
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewLink(link));
    message.header.flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_ROUTE).expect("a socket can be made");
    socket.connect(&SocketAddr::new(0, 0)).expect("the kernel is there");
    socket.send(&bytes, 0).expect("it takes messages");
    let (answer, _) = socket.recv_from_full().expect("it answers");
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).expect("it is an answer");
    match answer.payload {
        NetlinkPayload::Error(error) => match error.code {
            None => true,
            Some(code) if code.get() == -libc::EOPNOTSUPP => false,
            Some(code) => panic!("a netkit pair is refused: {code}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn netkit_meets_what_an_end_sends() {
    in_namespace("netkit", |room| {
        let folder = folder();
        sh("mount -t tmpfs none /run && ip netns add blue");
        let of = |interface: &str, more: &str| {
            link("l", "second", &format!("netkit = {{ interface = \"{interface}\"{more} }}"))
        };
        write(&folder, 1, &of("lo", ""));
        if room.version < (6, 7) || !add_netkit() {
            let said = refused(&folder, &["plan.toml"], 69);
            assert!(said.contains("netkit came with Linux 6.7"), "{said}");
            return skip("netkit", "this kernel has none, and the tool says so");
        }
        let said = refused(&folder, &["plan.toml"], 1);
        assert!(said.contains("`lo` is no netkit interface"), "{said}");
        sh("ip addr add 10.9.1.1/24 dev nk0 && ip link set nk0 up && ip -n blue addr add 10.9.1.2/24 dev d1 && \
            ip -n blue link set d1 up");
        write(&folder, 1, &of("d1", ", netns = \"blue\""));
        let said = refused(&folder, &["plan.toml"], 1);
        assert!(said.contains("`d1` is the peer of a netkit pair"), "{said}");

        for peer in ["", ", peer = true"] {
            assert!(blue());
            write(&folder, 1, &of("nk0", peer));
            apply(&folder);
            assert!(!blue());
            is_settled(&folder);
            write(&folder, 2, &of("nk0", peer));
            let planned = dry_run(&folder);
            assert!(planned.contains("in place") && planned.contains("no gap"), "{planned}");
            apply(&folder);
            assert!(blue());
            is_settled(&folder);
            succeed(folder.path(), &["rollback", ROOT]);
            assert!(!blue());
            succeed(folder.path(), &["destroy", ROOT]);
        }
        // One program on both ends: each is a hook of its own.
        let both = ["", ", peer = true"].map(|peer| {
            let name = if peer.is_empty() { "out" } else { "in" };
            link(name, "second", &format!("netkit = {{ interface = \"nk0\"{peer} }}"))
        });
        write(&folder, 1, &both.concat());
        apply(&folder);
        is_settled(&folder);
        succeed(folder.path(), &["destroy", ROOT]);
        // Somebody else is on the hook as well, before and behind; and the pair goes.
        let mut kernel = Linux::new();
        let next = load(&mut kernel, ProgramType::SCHED_CLS, AttachType(0), -1);
        let ifindex = kernel.interface("nk0").expect("it can be asked").expect("it is there").index;
        let hook = HookRequest::Netkit { ifindex, attach_type: AttachType::NETKIT_PEER };
        let theirs = kernel.create_link(&next, &hook).expect("it attaches");
        write(&folder, 1, &of("nk0", ", peer = true"));
        apply(&folder);
        assert!(!blue());
        assert_eq!(kernel.query(&hook).expect("it can be asked").len(), 2);
        is_settled(&folder);
        sh("ip link del nk0");
        drifts(&folder, "was detached from netkit_peer of nk0");
        drop(theirs);
        assert!(add_netkit());
        apply(&folder);
        is_settled(&folder);
        succeed(folder.path(), &["destroy", ROOT]);
        sh("ip netns del blue");
    });
}

#[test]
fn an_interface_that_moves_is_not_the_one_that_takes_its_place() {
    in_namespace("where_moved", |_| {
        let folder = folder();
        sh("mount -t tmpfs none /run && ip netns add red");
        sh(&veths(&["eth0"]));
        write(&folder, 1, &link("l", "first", "xdp = { interface = \"eth0\", mode = \"generic\" }"));
        apply(&folder);
        let index = Linux::new().interface("eth0").expect("it can be asked").expect("it is there").index;

        // It keeps its program and its index elsewhere, and another one has its name and index here.
        sh("ip link set eth0 netns red");
        drifts(&folder, "the interface eth0 is gone or another one");
        assert!(refused(&folder, &["plan.toml"], 1).contains("there is no interface `eth0`"));
        sh(&format!("ip link add eth0 index {index} type veth peer name other && ip link set eth0 up"));
        drifts(&folder, "the interface eth0 is gone or another one");
        assert!(!has_xdp("eth0"));
        let said = refused(&folder, &["plan.toml"], 4);
        assert!(said.contains("STOPS where it was") && said.contains("--allow prune"), "{said}");
        succeed(folder.path(), &["plan.toml", "--allow", "prune"]);
        assert!(has_xdp("eth0"));
        is_settled(&folder);
        succeed(folder.path(), &["destroy", ROOT]);
        assert!(!has_xdp("eth0"));
        sh("ip netns del red");
    });
}
