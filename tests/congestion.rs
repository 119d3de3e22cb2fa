//! Structs of functions under real traffic: a TCP congestion control is registered by a link, chosen by connections,
//! replaced in place, and goes.
//!
//! What each version does is in `tests/sockets/congestion.c`.

mod common;

use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookInfo, Kernel as _};
use bpfapply::names::PinPath;
use common::tool::Site;
use common::{Room, in_namespace, skip};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

const LINKS_SINCE: (u32, u32) = (6, 4);
/// Detaching such links came with this version, after the links themselves.
const SINCE: (u32, u32) = (6, 11);
const STEADY: &[u8] = b"cc_steady";
const OTHER: &[u8] = b"cc_other";

/// Structs are registered for the whole host, so one test does all that needs them.
fn in_room(name: &'static str, body: impl FnOnce(&Site) + Send + 'static) {
    in_namespace(name, move |room: &Room| {
        let site = Site::new("cc");
        if room.version < LINKS_SINCE {
            write(&site, 1, &[("cc", "steady")], "");
            let said = site.refused(&["plan.toml"], 69);
            assert!(said.contains("links of structs of functions came with Linux 6.4"), "{said}");
            assert!(!Path::new("/sys/fs/bpf/cc").exists(), "nothing stays");
            return skip(name, "this kernel has no such links, and the tool says so");
        }
        if room.version < SINCE {
            return skip(name, "this kernel does not detach such links");
        }
        body(&site);
    });
}

/// Writes a manifest that links these structs, each by a link of its own name.
fn write(site: &Site, version: u32, links: &[(&str, &str)], more: &str) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sockets");
    let mut text = format!(
        "version = 1\nname = \"cc\"\n[object.o]\npath = \"{}/congestion_{version}.o\"\n\
         [map.connections]\nfrom = \"o:connections\"\n{more}",
        objects.display()
    );
    for (link, symbol) in links {
        text +=
            &format!("[map.{symbol}]\nfrom = \"o:{symbol}\"\n[link.{link}]\nstruct_ops = {{ map = \"{symbol}\" }}\n");
    }
    site.write(&text);
}

/// Makes a connection that chooses a congestion control.
fn connect(congestion: &[u8]) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_tcp_congestion(congestion)?;
    socket.connect(&listener.local_addr()?.into())?;
    Ok((socket.into(), listener.accept()?.0))
}

/// Sends much over a connection, and asserts that it arrives.
fn flows((from, to): &(TcpStream, TcpStream)) {
    let mut from = from.try_clone().expect("one more descriptor");
    let sent = vec![7; 1 << 20];
    let sender = std::thread::spawn(move || from.write_all(&sent).expect("somebody reads"));
    let mut got = vec![0; 1 << 20];
    (&*to).read_exact(&mut got).expect("somebody sends");
    sender.join().expect("it has sent all");
}

/// Opens a pin of the deployment.
fn open(kernel: &Linux, pin: &str) -> <Linux as bpfapply::kernel::Kernel>::Fd {
    kernel.open_pin(&PinPath::new(&format!("/sys/fs/bpf/cc/{pin}")).expect("a path")).expect("a pin").1
}

/// Returns what the programs counted.
fn counted() -> u64 {
    let kernel = Linux::new();
    let map = open(&kernel, "maps/connections");
    let value = kernel.lookup(&map, &[0; 4], 8).expect("it can be read").expect("an array has it");
    u64::from_ne_bytes(value.try_into().expect("8 bytes"))
}

#[test]
fn a_congestion_control_comes_changes_and_goes() {
    in_room("congestion", |site| {
        write(site, 1, &[("cc", "steady")], "");
        assert!(connect(STEADY).is_err());
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        assert!(planned.contains("attach struct_ops of map.steady (new map)"), "{planned}");
        site.apply();
        site.is_settled();
        let first = connect(STEADY).expect("it is registered");
        flows(&first);
        assert_eq!(counted(), 1);
        let shown = site.succeed(&["show", "/sys/fs/bpf/cc"]);
        assert!(shown.contains("struct_ops of map.steady"), "{shown}");

        // Another program in the struct: the struct is made anew, and takes the place of the old one at once.
        write(site, 2, &[("cc", "steady")], "");
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        assert!(planned.contains("by struct_ops of map.steady in place") && planned.contains("no gap"), "{planned}");
        site.apply();
        site.is_settled();
        flows(&first);
        let second = connect(STEADY).expect("it is registered");
        flows(&second);
        assert_eq!(counted(), 1001, "the map is the same");
        site.succeed(&["rollback", "/sys/fs/bpf/cc"]);
        connect(STEADY).expect("it is registered");
        assert_eq!(counted(), 1002);
        site.apply();

        // Somebody else puts another struct in its place: that is seen, and put right.
        write(site, 2, &[("cc", "steady")], "[map.twin]\nfrom = \"o:twin\"\n");
        site.apply();
        let mut kernel = Linux::new();
        let [link, steady, twin] = ["links/cc", "maps/steady", "maps/twin"].map(|pin| open(&kernel, pin));
        kernel.update_link(&link, &twin, &steady).expect("it has the same name");
        let said = site.refused(&["status", "/sys/fs/bpf/cc", "--check"], 2);
        assert!(said.contains("it is on struct_ops of map id"), "{said}");
        let planned = site.succeed(&["plan.toml", "--dry-run"]);
        assert!(planned.contains("its hook changed: it has the struct of map id"), "{planned}");
        site.apply();
        site.is_settled();
        connect(STEADY).expect("it is registered");
        assert_eq!(counted(), 2002);

        // A later step fails: a name can be taken once. What was changed before is taken back.
        write(site, 1, &[("cc", "steady"), ("dd", "twin")], "");
        let said = site.refused(&["plan.toml"], 1);
        assert!(said.contains("cannot attach struct_ops of map.twin: File exists"), "{said}");
        connect(STEADY).expect("it is registered");
        assert_eq!(counted(), 3002, "the version of before");

        // The kernel replaces it by one of the same name alone.
        write(site, 2, &[("cc", "other")], "");
        let said = site.refused(&["plan.toml", "--allow", "prune"], 1);
        assert!(said.contains("a congestion control only by one of the same name"), "{said}");
        write(site, 2, &[("dd", "other")], "");
        site.succeed(&["plan.toml", "--allow", "prune"]);
        site.is_settled();
        assert!(connect(STEADY).is_err() && connect(OTHER).is_ok());
        flows(&second);

        // Somebody takes it away: that is seen, and put right.
        let link = open(&kernel, "links/dd");
        assert!(matches!(kernel.link_info(&link).expect("it is there").hook, HookInfo::StructOps { map_id: 1.. }));
        kernel.detach_link(&link).expect("it is there");
        assert!(connect(OTHER).is_err());
        let said = site.refused(&["status", "/sys/fs/bpf/cc", "--check"], 2);
        assert!(said.contains("it was detached from struct_ops of map.other"), "{said}");
        site.apply();
        site.is_settled();
        let third = connect(OTHER).expect("it is registered");

        // While connections use it: they keep it, and no other gets it.
        site.succeed(&["destroy", "/sys/fs/bpf/cc"]);
        assert!(connect(OTHER).is_err());
        flows(&second);
        flows(&third);
        let socket = socket2::SockRef::from(&third.0);
        assert!(socket.tcp_congestion().expect("it has one").starts_with(OTHER));
    });
}

#[test]
fn only_structs_are_linked_without_a_program() {
    in_namespace("structs", |_| {
        let site = Site::new("cc");
        write(&site, 1, &[("cc", "connections")], "");
        let text = fs::read_to_string(site.path().join("plan.toml")).expect("it was written");
        let text = text.replacen("[map.connections]\nfrom = \"o:connections\"\n", "", 1);
        site.write(&text);
        let said = site.refused(&["plan.toml", "--dry-run"], 65);
        assert!(said.contains("there is no struct_ops of map.connections, whose type is `array`"), "{said}");
        let program = "[program.start]\nfrom = \"o:start\"\n[link.l]\nprogram = \"start\"\n";
        for (hook, says) in [
            ("struct_ops = { map = \"connections\" }\n", "a struct of functions has its programs in its map"),
            ("xdp = { interface = \"lo\" }\n", "the map of its struct is linked, without a program"),
        ] {
            write(&site, 1, &[], &format!("{program}{hook}"));
            let said = site.refused(&["plan.toml", "--dry-run"], 65);
            assert!(said.contains(says), "{said}");
        }
    });
}
