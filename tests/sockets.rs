//! Programs for sockets under real traffic: those of a map of sockets are attached to it, those for sockets of one port
//! are pinned for their application.
//!
//! What each version of the programs does is in `tests/sockets/sockets.c`.

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel as _, MapRequest, ProgramRequest};
use bpfapply::kinds::{AttachType, MapType, ProgramType};
use bpfapply::names::PinPath;
use common::tool::{Site, bpftool, has_bpftool};
use common::{in_namespace, skip};
use nix::sys::socket::{SetSockOpt, setsockopt};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

type Fd = <Linux as bpfapply::kernel::Kernel>::Fd;

/// Links of maps of sockets came with this version.
const SINCE: (u32, u32) = (6, 10);

/// Messages, and data, in `seen`.
const MESSAGES: u32 = 0;
const DATA: u32 = 1;
/// Datagrams to workers, and filtered ones, in `seen`.
const DATAGRAMS: u32 = 2;
const FILTERED: u32 = 3;

/// Writes a manifest with the object's maps and these tables; `version` is that of the programs.
fn write(site: &Site, version: u32, tables: &str) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sockets");
    let text = format!(
        "version = 1\nname = \"sockets\"\n[object.o]\npath = \"{}/sockets_{version}.o\"\n[map.seen]\nfrom = \"o:seen\"\n\
         {tables}",
        objects.display()
    );
    site.write(&text);
}

/// Writes the tables of a program and of its link to `map.socks`.
fn linked(name: &str, function: &str) -> String {
    format!(
        "[program.{name}]\nfrom = \"o:{function}\"\n[link.{name}]\nprogram = \"{name}\"\nsockmap = {{ map = \"socks\" }}\n"
    )
}

const SOCKS: &str = "[map.socks]\nfrom = \"o:socks\"\n";

fn open(pin: &str) -> Fd {
    Linux::new().open_pin(&PinPath::new(pin).expect("a path")).expect("a pin").1
}

/// Puts a socket into a map of sockets, as an application does.
#[track_caller]
fn put(map: &str, key: u32, socket: &impl AsRawFd) {
    let fd = u64::try_from(socket.as_raw_fd()).expect("no negative number");
    Linux::new().update(&open(map), &key.to_ne_bytes(), &fd.to_ne_bytes()).expect("the socket fits");
}

/// Returns what the programs counted.
fn seen(what: u32) -> u64 {
    let map = open("/sys/fs/bpf/sockets/maps/seen");
    let value = Linux::new().lookup(&map, &what.to_ne_bytes(), 8).expect("it can be read").expect("an array has it");
    u64::from_ne_bytes(value.try_into().expect("8 bytes"))
}

/// Makes a connection to ourselves: the side that called and the side that was called.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let caller = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("somebody listens");
    let (called, _) = listener.accept().expect("somebody called");
    (caller, called)
}

/// Sends one byte, and returns whether it arrives at the other socket, for which emulated machines need a while.
fn arrives(from: &TcpStream, at: &TcpStream) -> bool {
    passes(from, at, Duration::from_secs(10))
}

/// Returns the opposite, where nothing is to come.
fn is_lost(from: &TcpStream, at: &TcpStream) -> bool {
    !passes(from, at, Duration::from_millis(300))
}

fn passes(mut from: &TcpStream, mut at: &TcpStream, within: Duration) -> bool {
    at.set_read_timeout(Some(within)).expect("it is a socket");
    from.write_all(b"x").is_ok() && at.read_exact(&mut [0]).is_ok()
}

/// Loads a program of somebody else that lets all pass.
fn theirs(kernel: &mut Linux, program_type: ProgramType, expected_attach_type: AttachType) -> Fd {
    let insns = [Insn { code: 0xb7, imm: 1, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let request = ProgramRequest::plain("theirs", program_type, &insns);
    kernel.load_program(&ProgramRequest { expected_attach_type, ..request }).expect("it loads")
}

const MAP: &str = "/sys/fs/bpf/sockets/maps/socks";

#[test]
fn messages_meet_the_program_that_their_socket_got() {
    in_namespace("sk_msg", |room| {
        let site = Site::new("sockets");
        write(&site, 1, &(SOCKS.to_owned() + &linked("l", "message")));
        if room.version < SINCE {
            let said = site.refused(&["plan.toml"], 69);
            assert!(said.contains("links of sockmaps came with Linux 6.10"), "{said}");
            return assert!(!Path::new("/sys/fs/bpf/sockets").exists(), "nothing stays");
        }
        site.apply();
        site.is_settled();
        let (first, there) = connection();
        put(MAP, 0, &first);
        assert!(arrives(&first, &there));
        assert_eq!(seen(MESSAGES), 1);

        write(&site, 2, &(SOCKS.to_owned() + &linked("l", "message")));
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        assert!(planned.contains("in place") && planned.contains("traffic: new sockets"), "{planned}");
        site.apply();
        site.is_settled();
        assert!(arrives(&first, &there), "a socket keeps the program that it got");
        assert_eq!(seen(MESSAGES), 2);
        let (second, there) = connection();
        put(MAP, 1, &second);
        assert!(is_lost(&second, &there));
        assert_eq!(seen(MESSAGES), 1002);

        site.succeed(&["rollback", "/sys/fs/bpf/sockets"]);
        let (third, there) = connection();
        put(MAP, 2, &third);
        assert!(arrives(&third, &there));
        assert_eq!(seen(MESSAGES), 1003);

        // Somebody detaches it: that is seen, and put right.
        Linux::new().detach_link(&open("/sys/fs/bpf/sockets/links/l")).expect("it is there");
        let said = site.refused(&["status", "/sys/fs/bpf/sockets", "--check"], 2);
        assert!(said.contains("it was detached from sk_msg_verdict of map.socks"), "{said}");
        site.apply();
        site.is_settled();
        let (fourth, there) = connection();
        put(MAP, 3, &fourth);
        assert!(is_lost(&fourth, &there));
        let shown = site.succeed(&["show", "/sys/fs/bpf/sockets"]);
        assert!(shown.contains("sk_msg_verdict of map.socks"), "{shown}");

        site.succeed(&["destroy", "/sys/fs/bpf/sockets"]);
        assert!(!Path::new("/sys/fs/bpf/sockets").exists());
    });
}

#[test]
fn data_is_led_to_another_socket() {
    in_namespace("sk_skb", |room| {
        if room.version < SINCE {
            return skip("sk_skb", "this kernel has no such links");
        }
        let site = Site::new("sockets");
        let parsed = SOCKS.to_owned() + &linked("parser", "parse") + &linked("verdict", "stream");
        write(&site, 1, &parsed);
        site.apply();
        site.is_settled();
        let ((first, from), (other, to)) = (connection(), connection());
        put(MAP, 0, &first);
        put(MAP, 1, &other);
        assert!(arrives(&from, &to), "what comes to the first socket goes out by the second one");
        assert_eq!(seen(DATA), 1);

        write(&site, 2, &parsed);
        site.apply();
        site.is_settled();
        let (third, from) = connection();
        put(MAP, 2, &third);
        assert!(is_lost(&from, &to) && is_lost(&from, &third));
        assert!(seen(DATA) >= 1001, "{}", seen(DATA));

        // A map has one of the two verdicts, so one must go before the other comes.
        write(&site, 1, &(SOCKS.to_owned() + &linked("parser", "parse") + &linked("verdict", "data")));
        let said = site.refused(&["plan.toml"], 4);
        assert!(said.contains("-/+") && said.contains("--allow gap"), "{said}");
        write(&site, 1, &(SOCKS.to_owned() + &linked("verdict", "data")));
        assert!(site.refused(&["plan.toml"], 4).contains("--allow gap,prune"));
        site.succeed(&["plan.toml", "--allow", "gap,prune"]);
        site.is_settled();
        let (fourth, from) = connection();
        put(MAP, 3, &fourth);
        let before = seen(DATA);
        assert!(arrives(&from, &to));
        assert_eq!(seen(DATA), before + 1);

        // A map that is made anew takes the link along.
        write(
            &site,
            1,
            &(SOCKS.to_owned() + "max_entries = 8\non_change = \"recreate\"\n" + &linked("verdict", "data")),
        );
        let said = site.refused(&["plan.toml"], 4);
        assert!(said.contains("map.socks is new; traffic: new sockets"), "{said}");
        assert!(said.contains("--allow lose-state"), "{said}");
        site.succeed(&["plan.toml", "--allow", "lose-state"]);
        site.is_settled();
        let ((fifth, from), (other, to)) = (connection(), connection());
        put(MAP, 5, &fifth);
        put(MAP, 1, &other);
        assert!(arrives(&from, &to));
        // The sockets that came since then are in the map that goes.
        let said = site.refused(&["rollback", "/sys/fs/bpf/sockets"], 4);
        assert!(said.contains("LOST") && said.contains("--allow lose-state"), "{said}");
        site.succeed(&["rollback", "/sys/fs/bpf/sockets", "--allow", "lose-state"]);
        let (sixth, from) = connection();
        drop(fourth);
        put(MAP, 3, &sixth);
        assert!(is_lost(&from, &sixth));
        site.succeed(&["destroy", "/sys/fs/bpf/sockets"]);
    });
}

#[test]
fn programs_of_others_stay_on_their_maps() {
    in_namespace("theirs", |room| {
        if room.version < SINCE {
            return skip("theirs", "this kernel has no such links");
        }
        let site = Site::new("sockets");
        let mut kernel = Linux::new();
        let map = kernel.create_map(&MapRequest::plain("theirs", MapType::SOCKHASH, (4, 8, 4))).expect("a map");
        let pin = |name: &str| PinPath::new(&format!("/sys/fs/bpf/{name}")).expect("a path");
        kernel.pin(&map, &pin("theirs")).expect("it is new");
        let attach_type = AttachType::SK_MSG_VERDICT;
        let hook = HookRequest::Sockmap { map: &map, attach_type };
        let program = theirs(&mut kernel, ProgramType::SK_MSG, attach_type);
        let link = kernel.create_link(&program, &hook).expect("it attaches");
        let there = kernel.query(&hook).expect("it can be asked");
        assert_eq!(there.len(), 1);

        let tables = "[map.socks]\npinned = \"/sys/fs/bpf/theirs\"\n".to_owned();
        write(&site, 1, &(tables.clone() + &linked("l", "message")));
        let taken = format!("the hook sk_msg_verdict of map.socks has a program already: program id {}", there[0]);
        for arguments in [&["plan.toml", "--dry-run"][..], &["plan.toml"]] {
            let said = site.refused(arguments, 1);
            assert!(said.contains(&taken), "{said}");
        }
        assert_eq!(kernel.query(&hook).expect("it can be asked"), there);

        // The same without a link, which the kernel would let us replace.
        drop(link);
        if has_bpftool() {
            kernel.pin(&program, &pin("program")).expect("it is new");
            let place = "pinned /sys/fs/bpf/program msg_verdict pinned /sys/fs/bpf/theirs";
            bpftool(&format!("prog attach {place}"));
            assert!(site.refused(&["plan.toml"], 1).contains(&taken));
            assert_eq!(kernel.query(&hook).expect("it can be asked"), there);
            bpftool(&format!("prog detach {place}"));
        }

        // Another hook of the same map is free.
        let verdict = theirs(&mut kernel, ProgramType::SK_SKB, AttachType::SK_SKB_VERDICT);
        let beside = HookRequest::Sockmap { map: &map, attach_type: AttachType::SK_SKB_VERDICT };
        let link = kernel.create_link(&verdict, &beside).expect("it attaches");
        let info = kernel.link_info(&link).expect("it is there");
        site.apply();
        site.is_settled();
        let (first, there) = connection();
        put("/sys/fs/bpf/theirs", 0, &first);
        assert!(arrives(&first, &there));
        write(&site, 2, &(tables.clone() + &linked("l", "message")));
        site.apply();
        site.succeed(&["rollback", "/sys/fs/bpf/sockets"]);
        let (second, there) = connection();
        put("/sys/fs/bpf/theirs", 1, &second);
        assert!(arrives(&second, &there), "the first version is back on somebody else's map");
        site.succeed(&["destroy", "/sys/fs/bpf/sockets"]);
        assert_eq!(kernel.query(&hook).expect("it can be asked"), [0; 0]);
        assert_eq!(kernel.link_info(&link).expect("it is there"), info);
        assert_eq!(kernel.open_pin(&pin("theirs")).expect("it stays").0, bpfapply::kernel::ObjectKind::Map);
    });
}

/// The ways in which an application gives a program to a socket.
mod options {
    use nix::{setsockopt_impl, sockopt_impl};

    sockopt_impl!(
        /// For the sockets of one port.
        AttachReusePort, SetOnly, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_EBPF, i32
    );
    sockopt_impl!(
        /// For what a socket receives.
        AttachBpf, SetOnly, libc::SOL_SOCKET, libc::SO_ATTACH_BPF, i32
    );
}

/// Opens the pin of a program as an application does, and gives it to a socket.
fn give<O: SetSockOpt<Val = i32>>(socket: &impl AsFd, option: O, program: &str) {
    let program = open(&format!("/sys/fs/bpf/sockets/programs/{program}"));
    setsockopt(socket, option, &Linux::new().number(&program)).expect("the socket takes it");
}

/// Makes a socket that shares its port with others.
fn worker(port: u16) -> UdpSocket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("it is not bound yet");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("the port is shared");
    socket.into()
}

/// Sends datagrams from several ports to those that share one, and returns how many came to each.
fn spread<const N: usize>(workers: &[UdpSocket; N]) -> [usize; N] {
    const SENT: usize = 16;
    let to = workers[0].local_addr().expect("it is bound");
    for _ in 0..SENT {
        let from = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        from.send_to(b"abcdefgh", to).expect("somebody listens");
    }
    let (mut got, end) = ([0; N], Instant::now() + Duration::from_secs(10));
    while got.iter().sum::<usize>() < SENT {
        assert!(Instant::now() < end, "only {got:?} came");
        for (got, worker) in got.iter_mut().zip(workers) {
            worker.set_nonblocking(true).expect("it is a socket");
            while worker.recv(&mut [0; 16]).is_ok() {
                *got += 1;
            }
        }
    }
    got
}

#[test]
fn applications_open_the_pins_of_their_programs() {
    in_namespace("reuseport", |_| {
        let site = Site::new("sockets");
        let tables = "[map.workers]\nfrom = \"o:workers\"\n[program.spread]\nfrom = \"o:spread\"\n\
                      [program.cut]\nfrom = \"o:cut\"\n";
        write(&site, 1, tables);
        site.apply();
        site.is_settled();
        let shown = site.succeed(&["show", "/sys/fs/bpf/sockets"]);
        assert!(shown.contains("sk_reuseport") && shown.contains("socket_filter"), "{shown}");

        let first = worker(0);
        let port = first.local_addr().expect("it is bound").port();
        let workers = [first, worker(port)];
        assert!(spread(&workers)[0] > 0, "the kernel chooses by hash");
        for (key, worker) in (0..).zip(&workers) {
            put("/sys/fs/bpf/sockets/maps/workers", key, worker);
        }
        give(&workers[0], options::AttachReusePort, "spread");
        assert_eq!(spread(&workers), [0, 16]);
        assert_eq!(seen(DATAGRAMS), 16);
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let cut = || {
            let to = receiver.local_addr().expect("it is bound");
            UdpSocket::bind("127.0.0.1:0").expect("a free port").send_to(b"abcdefgh", to).expect("somebody listens");
            receiver.recv(&mut [0; 16]).expect("it comes, if not whole")
        };
        assert_eq!(cut(), 8);
        give(&receiver, options::AttachBpf, "cut");
        assert_eq!((cut(), seen(FILTERED)), (3, 1));

        // What an application was given stays until it opens the pin again; the maps are the same.
        write(&site, 2, tables);
        site.apply();
        site.is_settled();
        assert_eq!((spread(&workers), cut()), ([0, 16], 3));
        give(&workers[0], options::AttachReusePort, "spread");
        give(&receiver, options::AttachBpf, "cut");
        assert_eq!((spread(&workers), cut()), ([16, 0], 5));
        assert_eq!(seen(DATAGRAMS), 16_032);
        site.succeed(&["destroy", "/sys/fs/bpf/sockets"]);
        assert_eq!((spread(&workers), cut()), ([16, 0], 5), "a socket keeps its program");
    });
}

#[test]
fn programs_for_applications_have_no_links() {
    in_namespace("no_links", |_| {
        let site = Site::new("sockets");
        for (function, option) in [("spread", "SO_ATTACH_REUSEPORT_EBPF"), ("cut", "SO_ATTACH_BPF")] {
            for hook in ["xdp = { interface = \"lo\" }", "cgroup = { path = \"/\" }", "sk_lookup = {}"] {
                let tables = format!("[program.p]\nfrom = \"o:{function}\"\n[link.l]\nprogram = \"p\"\n{hook}\n");
                write(&site, 1, &tables);
                let said = site.refused(&["plan.toml"], 65);
                assert!(said.contains("is pinned for its user, and attached to nothing"), "{said}");
                assert!(said.contains(option), "{said}");
            }
        }
    });
}

#[test]
fn hooks_of_maps_fit_their_programs() {
    in_namespace("fits", |_| {
        let site = Site::new("sockets");
        let workers = "[map.socks]\nfrom = \"o:workers\"\n".to_owned();
        for (tables, says) in [
            (
                workers + &linked("l", "message"),
                "there is no sk_msg_verdict of map.socks, whose type is `reuseport_sockarray`",
            ),
            (
                SOCKS.to_owned() + &linked("l", "unsaid"),
                "nothing says for which of a map's hooks this sk_skb program is",
            ),
            (
                SOCKS.to_owned() + &linked("l", "classify"),
                "a sockmap hook takes programs of type sk_msg, sk_skb, and this one is sched_cls",
            ),
            (SOCKS.to_owned() + &linked("l", "stream") + &linked("m", "data"), "takes no second one"),
            (SOCKS.to_owned() + &linked("l", "message").replace("\"socks\"", "\"sock\""), "`sock`"),
        ] {
            write(&site, 1, &tables);
            let said = site.refused(&["plan.toml", "--dry-run"], 65);
            assert!(said.contains(says), "{said}");
        }
        write(&site, 1, &(SOCKS.to_owned() + &linked("l", "message")));
        let planned = site.succeed(&["plan.toml", "--dry-run=offline"]);
        assert!(planned.contains("sk_msg_verdict of map.socks (new map)"), "{planned}");
    });
}
