//! Hooks of network namespaces under real traffic: each link is attached, left alone the second time, gets another
//! program, and goes, and others on the same hook stay what they were.
//!
//! What each version of the programs does is in `tests/hooks/hooks.c`.

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel as _, ProgramRequest};
use bpfapply::kinds::{AttachType, Family, Netfilter, Point, ProgramType};
use bpfapply::names::PinPath;
use common::tool::{self, Site};
use common::{in_namespace, run, skip};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Writes a manifest of one link; `hook` is its key and value, `version` that of the programs.
fn write(site: &Site, version: u32, function: &str, hook: &str) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hooks");
    let text = format!(
        "version = 1\nname = \"hooks\"\n[object.o]\npath = \"{}/hooks_{version}.o\"\n\
         [map.server]\nfrom = \"o:server\"\n[map.dissected]\nfrom = \"o:dissected\"\n\
         [program.p]\nfrom = \"o:{function}\"\n[link.l]\nprogram = \"p\"\n{hook}\n",
        objects.display()
    );
    site.write(&text);
}

#[track_caller]
fn sh(script: &str) {
    run(Command::new("sh").args(["-c", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
}

fn programs_on(attach_type: AttachType) -> Vec<u32> {
    let kernel = Linux::new();
    let (netns, _) = kernel.open_netns("/proc/thread-self/ns/net".as_ref()).expect("we are in one");
    kernel.query(&HookRequest::Netns { netns: &netns, attach_type }).expect("it can be asked")
}

type Fd = <Linux as bpfapply::kernel::Kernel>::Fd;

/// Loads a program of somebody else that returns a number.
fn load(kernel: &mut Linux, program_type: ProgramType, expected_attach_type: AttachType, number: i32) -> Fd {
    let insns = [Insn { code: 0xb7, imm: number, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let request = ProgramRequest::plain("theirs", program_type, &insns);
    kernel.load_program(&ProgramRequest { expected_attach_type, ..request }).expect("it loads")
}

/// Attaches a program to a hook of the network namespace in which we are.
fn attach(kernel: &mut Linux, program: &Fd, attach_type: AttachType) -> Fd {
    let (netns, _) = kernel.open_netns("/proc/thread-self/ns/net".as_ref()).expect("we are in one");
    kernel.create_link(program, &HookRequest::Netns { netns: &netns, attach_type }).expect("it attaches")
}

/// Puts a socket into the map that `steer` leads to.
fn serve(listener: &TcpListener) {
    let mut kernel = Linux::new();
    let (_, map) = kernel.open_pin(&PinPath::new("/sys/fs/bpf/hooks/maps/server").expect("a path")).expect("a pin");
    let fd = u64::try_from(listener.as_raw_fd()).expect("no negative number");
    kernel.update(&map, &[0; 4], &fd.to_ne_bytes()).expect("a listening socket fits");
}

/// Returns whether something answers at a port.
fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(5)).is_ok()
}

#[test]
fn sk_lookup_leads_connections_to_a_socket() {
    in_namespace("sk_lookup", |_| {
        let site = Site::new("hooks");
        let mut kernel = Linux::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        // Somebody else's program, which lets all pass.
        let pass = load(&mut kernel, ProgramType::SK_LOOKUP, AttachType::SK_LOOKUP, 1);
        let theirs = attach(&mut kernel, &pass, AttachType::SK_LOOKUP);
        let their_info = kernel.link_info(&theirs).expect("it is there");

        write(&site, 1, "steer", "sk_lookup = {}");
        assert!(!answers(7) && !answers(8), "nobody listens");
        site.apply();
        serve(&listener);
        assert!(answers(7) && !answers(8));
        site.is_settled();

        write(&site, 2, "steer", "sk_lookup = {}");
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        assert!(planned.contains("in place") && planned.contains("no gap"), "{planned}");
        site.apply();
        assert!(!answers(7) && answers(8), "another program, the same map");
        site.is_settled();
        site.succeed(&["rollback", "/sys/fs/bpf/hooks"]);
        assert!(answers(7) && !answers(8));

        assert_eq!(programs_on(AttachType::SK_LOOKUP).len(), 2);
        site.succeed(&["destroy", "/sys/fs/bpf/hooks"]);
        assert!(!answers(7) && !answers(8));
        assert_eq!(programs_on(AttachType::SK_LOOKUP), [their_info.program_id]);
        assert_eq!(kernel.link_info(&theirs).expect("it is there"), their_info);
    });
}

/// Returns how often the flow dissector was asked, by what it counts.
fn dissected() -> u64 {
    let kernel = Linux::new();
    let pin = PinPath::new("/sys/fs/bpf/hooks/maps/dissected").expect("a path");
    let (_, map) = kernel.open_pin(&pin).expect("a pin");
    let value = kernel.lookup(&map, &[0; 4], 8).expect("it can be read").expect("an array has it");
    u64::from_ne_bytes(value.try_into().expect("8 bytes"))
}

/// Lets a packet come over a veth from another network namespace, which is routed by a rule that wants it dissected.
fn ping_from_blue() {
    sh("ip netns exec blue ping -q -c 1 -W 5 10.9.9.1");
}

const BLUE: &str = "mount -t tmpfs none /run && ip netns add blue && ip link add d0 type veth peer name d1 netns blue && \
    ip addr add 10.9.9.1/24 dev d0 && ip link set d0 up && ip -n blue addr add 10.9.9.2/24 dev d1 && \
    ip -n blue link set d1 up && ip rule add ipproto 17 dport 9 lookup main";

#[test]
fn a_flow_dissector_takes_packets_apart() {
    in_namespace("flow_dissector", |_| {
        let site = Site::new("hooks");
        sh(BLUE);
        let mut kernel = Linux::new();
        let attach_type = AttachType::FLOW_DISSECTOR;
        let program = load(&mut kernel, ProgramType::FLOW_DISSECTOR, attach_type, 0);
        let theirs = attach(&mut kernel, &program, attach_type);
        let there = programs_on(attach_type);
        assert_eq!(there.len(), 1);

        // Two in one namespace do not fit, and the one that is there is left alone.
        write(&site, 1, "dissect", "flow_dissector = {}");
        for arguments in [&["plan.toml", "--dry-run"][..], &["plan.toml"]] {
            let said = site.refused(arguments, 1);
            let taken = format!(
                "the hook flow_dissector of this network namespace has a program already: program id {}",
                there[0]
            );
            assert!(said.contains(&taken), "{said}");
        }
        assert_eq!(programs_on(attach_type), there);
        drop((theirs, program));
        // The kernel lets go of a link some time after the last who has it.
        let end = Instant::now() + Duration::from_secs(10);
        while !programs_on(attach_type).is_empty() {
            assert!(Instant::now() < end, "it is still there");
            std::thread::sleep(Duration::from_millis(20));
        }

        site.apply();
        ping_from_blue();
        let first = dissected();
        assert!((1..1000).contains(&first), "{first}");
        site.is_settled();
        write(&site, 2, "dissect", "flow_dissector = {}");
        site.apply();
        ping_from_blue();
        assert!(dissected() >= 1000, "the other program counts in the same map");
        site.is_settled();

        // To another namespace: the old one is left, which is as if its link were removed.
        write(&site, 2, "dissect", "flow_dissector = { netns = \"blue\" }");
        assert!(site.refused(&["plan.toml"], 4).contains("--allow prune"));
        site.succeed(&["plan.toml", "--allow", "prune"]);
        assert_eq!(programs_on(attach_type), [0; 0]);
        site.is_settled();
        // A namespace of that name that is another one is not the one that was meant.
        sh("ip netns del blue && ip netns add blue");
        // The link goes with its namespace, but some time later.
        let end = Instant::now() + Duration::from_secs(10);
        while !site.refused(&["status", "/sys/fs/bpf/hooks", "--check"], 2).contains("it was detached from") {
            assert!(Instant::now() < end, "the link is still attached");
            std::thread::sleep(Duration::from_millis(20));
        }
        site.apply();
        site.is_settled();
        site.succeed(&["destroy", "/sys/fs/bpf/hooks"]);
        sh("ip netns del blue");
    });
}

#[test]
fn a_network_namespace_must_be_there() {
    in_namespace("no_netns", |_| {
        let site = Site::new("hooks");
        for (netns, says) in [
            ("\"no-such\"", "there is no network namespace no-such"),
            ("4194304", "there is no network namespace 4194304"),
            ("\"/proc/self/ns/mnt\"", "cannot open network namespace /proc/self/ns/mnt: Invalid argument"),
            ("\"/dev/null\"", "cannot open network namespace /dev/null: Invalid argument"),
        ] {
            write(&site, 1, "steer", &format!("sk_lookup = {{ netns = {netns} }}"));
            let said = site.refused(&["plan.toml"], 1);
            assert!(said.contains(says), "{said}");
        }
        let pid = std::process::id();
        write(&site, 1, "dissect", &format!("sk_lookup = {{ netns = {pid} }}"));
        assert!(site.refused(&["plan.toml", "--dry-run"], 65).contains("sk_lookup"));
    });
}

/// Returns whether a datagram to ourselves arrives.
fn arrives() -> bool {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    receiver.set_read_timeout(Some(Duration::from_millis(200))).expect("it is a socket");
    let to = receiver.local_addr().expect("it is bound");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    sender.send_to(b"x", to).expect("input drops it, not output");
    receiver.recv(&mut [0; 8]).is_ok()
}

#[test]
fn a_lost_record_is_made_anew_from_links() {
    in_namespace("adopted", |room| {
        let site = Site::new("hooks");
        let netfilter = "netfilter = { family = \"ipv4\", hook = \"input\", priority = -128 }";
        let hooks = [("steer", "sk_lookup = {}"), ("dissect", "flow_dissector = {}"), ("filter", netfilter)];
        for (function, hook) in hooks {
            if function == "filter" && room.version < (6, 4) {
                skip("adopted", "this kernel has no netfilter links");
                continue;
            }
            write(&site, 1, function, hook);
            site.apply();
            let ids = tool::ids(site.path(), "/sys/fs/bpf/hooks");
            sh("rm /sys/fs/bpf/hooks/record");
            site.refused(&["plan.toml"], 1);
            site.succeed(&["adopt", "plan.toml"]);
            assert_eq!(tool::ids(site.path(), "/sys/fs/bpf/hooks"), ids, "{function}");
            site.is_settled();
            // What was adopted is changed and taken away as what was made.
            write(&site, 2, function, hook);
            site.succeed(&["plan.toml", "--allow", "gap"]);
            site.is_settled();
            site.succeed(&["rollback", "/sys/fs/bpf/hooks", "--allow", "gap"]);
            site.succeed(&["destroy", "/sys/fs/bpf/hooks"]);
            assert_eq!(programs_on(AttachType::SK_LOOKUP), [0; 0]);
            assert_eq!(programs_on(AttachType::FLOW_DISSECTOR), [0; 0]);
            assert!(arrives());
        }
    });
}

fn at_input<'a>(priority: i32) -> HookRequest<'a, Fd> {
    HookRequest::Netfilter(Netfilter { family: Family::Ipv4, point: Point::Input, priority, defrag: false })
}

#[test]
fn netfilter_drops_and_lets_pass() {
    in_namespace("netfilter", |room| {
        let site = Site::new("hooks");
        let mut kernel = Linux::new();
        let input =
            |priority: i32| format!("netfilter = {{ family = \"ipv4\", hook = \"input\", priority = {priority} }}");
        if room.version < (6, 4) {
            write(&site, 1, "filter", &input(10));
            let said = site.refused(&["plan.toml"], 69);
            assert!(said.contains("programs of type `netfilter` came with Linux 6.4"), "{said}");
            assert!(!Path::new("/sys/fs/bpf/hooks").exists(), "nothing stays");
            return skip("netfilter", "this kernel has no such links, and the tool says so");
        }
        // Somebody else accepts, at a priority of its own.
        let accept = load(&mut kernel, ProgramType::NETFILTER, AttachType::NETFILTER, 1);
        let theirs = kernel.create_link(&accept, &at_input(10)).expect("it attaches");
        let their_info = kernel.link_info(&theirs).expect("it is there");

        write(&site, 1, "filter", &input(10));
        let before = arrives();
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        let same = format!("at the same priority as it program id {} `theirs`", their_info.program_id);
        assert!(planned.contains(&same), "{planned}");
        let said = site.refused(&["plan.toml"], 1);
        assert!(said.contains("the hook netfilter input of ipv4 at priority 10 has a program already"), "{said}");
        assert!(said.contains(&format!("program id {}", their_info.program_id)), "{said}");
        assert!(before && arrives());

        write(&site, 1, "filter", &input(-128));
        site.apply();
        assert!(!arrives());
        site.is_settled();

        // Another priority: the new link is there before the old one goes.
        write(&site, 1, "filter", &input(-127));
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        assert!(planned.contains("+/-") && planned.contains("no gap"), "{planned}");
        site.apply();
        assert!(!arrives());
        site.is_settled();

        // Another program at the same priority: the kernel replaces none in place, and takes no second one.
        write(&site, 2, "filter", &input(-127));
        let said = site.refused(&["plan.toml"], 4);
        assert!(said.contains("-/+") && said.contains("GAP") && said.contains("--allow gap"), "{said}");
        assert!(!arrives());
        site.succeed(&["plan.toml", "--allow", "gap"]);
        assert!(arrives());
        site.is_settled();
        assert!(site.refused(&["rollback", "/sys/fs/bpf/hooks"], 4).contains("--allow gap"));
        site.succeed(&["rollback", "/sys/fs/bpf/hooks", "--allow", "gap"]);
        assert!(!arrives());

        site.succeed(&["destroy", "/sys/fs/bpf/hooks"]);
        assert!(arrives());
        assert_eq!(kernel.link_info(&theirs).expect("it is there"), their_info);
    });
}
