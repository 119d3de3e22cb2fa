//! Places among the programs of one hook, on the real kernel: who runs first, what others do to it, and that a link
//! that moves filters all the while.
//!
//! What the programs do is in `tests/order/order.c`.

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookPlace, HookRequest, Kernel as _, LinkInfo, Position, ProgramRequest};
use bpfapply::kinds::{AttachType, ProgramType};
use bpfapply::names::PinPath;
use common::tool::{self, Said, bpfapply, succeed};
use common::{Room, in_namespace, run, skip};
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;

type Fd = <Linux as bpfapply::kernel::Kernel>::Fd;

/// A hook that several programs share.
enum Shared {
    Tcx,
    Cgroup(PathBuf),
}

impl Shared {
    /// Those that this kernel has with places.
    fn all(room: &Room) -> Vec<Self> {
        let tcx = (room.version >= (6, 6)).then_some(Self::Tcx);
        let cgroup = room.cgroup.clone().filter(|_| room.version >= (6, 17)).map(Self::Cgroup);
        let all: Vec<_> = tcx.into_iter().chain(cgroup).collect();
        if all.len() < 2 {
            skip("order", "this kernel has no places among the programs of cgroups, or of any hook");
        }
        all
    }

    fn prefix(&self) -> &str {
        match self {
            Self::Tcx => "tc",
            Self::Cgroup(_) => "cg",
        }
    }

    /// The key and the value of a link, with an order or none.
    fn link(&self, order: &str) -> String {
        let order = if order.is_empty() { String::new() } else { format!(", order = {order}") };
        match self {
            Self::Tcx => format!("tc = {{ interface = \"lo\", direction = \"ingress\"{order} }}"),
            Self::Cgroup(path) => format!("cgroup = {{ path = \"{}\"{order} }}", path.display()),
        }
    }

    fn with_request<T>(&self, kernel: &mut Linux, then: impl FnOnce(&mut Linux, &HookRequest<'_, Fd>) -> T) -> T {
        match self {
            Self::Tcx => then(kernel, &HookRequest::Tcx { ifindex: 1, attach_type: AttachType::TCX_INGRESS }),
            Self::Cgroup(path) => {
                let (cgroup, _) = kernel.open_cgroup(path).expect("it is there");
                let attach_type = AttachType::CGROUP_INET_EGRESS;
                then(kernel, &HookRequest::Cgroup { cgroup: &cgroup, attach_type })
            }
        }
    }

    /// Attaches somebody else's program, which lets all pass; returns its link.
    fn attach(&self, name: &str, position: Position) -> Fd {
        let (program_type, attach_type, verdict) = match self {
            Self::Tcx => (ProgramType::SCHED_CLS, AttachType(0), -1),
            Self::Cgroup(_) => (ProgramType::CGROUP_SKB, AttachType::CGROUP_INET_EGRESS, 1),
        };
        let insns = [Insn { code: 0xb7, imm: verdict, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
        let request = ProgramRequest::plain(name, program_type, &insns);
        let request = ProgramRequest { expected_attach_type: attach_type, ..request };
        let mut kernel = Linux::new();
        let program = kernel.load_program(&request).expect("it loads");
        let place = HookPlace { position, revision: 0 };
        self.with_request(&mut kernel, |kernel, hook| kernel.create_link_at(&program, hook, place))
            .expect("it attaches")
    }

    /// Returns the names of the programs on the hook, in their order.
    fn there(&self) -> Vec<String> {
        let ids = self.with_request(&mut Linux::new(), |kernel, hook| kernel.query(hook)).expect("it can be asked");
        let kernel = Linux::new();
        let name =
            |id| kernel.program_by_id(id).and_then(|program| kernel.program_info(&program)).map(|info| info.name);
        ids.into_iter().map(|id| name(id).expect("it runs")).collect()
    }

    /// Sends one datagram to a port past the hook.
    fn send(&self, port: u16) {
        match self {
            Self::Tcx => {
                let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
                sender.send_to(b"x", ("127.0.0.1", port)).expect("it goes");
            }
            Self::Cgroup(path) => {
                let script = format!("echo 0 > {}/cgroup.procs; echo x > /dev/udp/127.0.0.1/{port}", path.display());
                // A refused datagram is an error of the shell.
                let _ = run(Command::new("bash").args(["-c", &script]));
            }
        }
    }

    /// Sends datagrams to a port past the hook until it is killed.
    fn flood(&self, port: u16) -> Child {
        let enter = match self {
            Self::Tcx => String::new(),
            Self::Cgroup(path) => format!("echo 0 > {}/cgroup.procs; ", path.display()),
        };
        let script = format!("{enter}while :; do echo x > /dev/udp/127.0.0.1/{port}; done 2>/dev/null");
        Command::new("bash").args(["-c", &script]).spawn().expect("bash runs")
    }
}

/// Writes a manifest with links of these functions and orders; `version` is that of the programs.
fn write(folder: &TempDir, hook: &Shared, version: u32, links: &[(&str, &str)]) {
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/order/order_{version}.o"));
    let prefix = hook.prefix();
    let mut text = format!(
        "version = 1\nname = \"order\"\n[object.o]\npath = \"{}\"\n[map.ran]\nfrom = \"o:ran\"\n",
        object.display()
    );
    for (name, order) in links {
        text += &format!("[program.{name}]\nfrom = \"o:{prefix}_{name}\"\n");
        text += &format!("[link.{name}]\nprogram = \"{name}\"\n{}\n", hook.link(order));
    }
    fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
}

/// Returns what a datagram met, of our programs, by the numbers that they note.
fn met(hook: &Shared, programs: usize) -> Vec<u32> {
    let mut kernel = Linux::new();
    let (_, map) = kernel.open_pin(&PinPath::new("/sys/fs/bpf/order/maps/ran").expect("a path")).expect("a pin");
    kernel.update(&map, &[0; 4], &[0; 4]).expect("it can be written");
    hook.send(9);
    let read = |at: usize| {
        let key = u32::try_from(at).expect("a small number").to_ne_bytes();
        let value = kernel.lookup(&map, &key, 4).expect("it can be read").expect("an array has it");
        u32::from_ne_bytes(value.try_into().expect("4 bytes"))
    };
    (1..=programs).map(read).collect()
}

#[track_caller]
fn is_settled(folder: &TempDir) {
    tool::is_settled(folder.path(), "plan.toml", "/sys/fs/bpf/order");
}

#[track_caller]
fn refused(folder: &TempDir, arguments: &[&str], code: i32, words: &[&str]) {
    let Said { code: is, stdout, stderr } = bpfapply(folder.path(), arguments);
    assert_eq!(is, code, "{stdout}{stderr}");
    for words in words {
        assert!(unwrapped(&(stdout.clone() + &stderr)).contains(words), "{words:?} in {stdout}{stderr}");
    }
}

/// Joins lines that were broken for their width.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn info(link: &Fd) -> LinkInfo {
    Linux::new().link_info(link).expect("it is there")
}

#[test]
fn links_have_places_among_others() {
    in_namespace("order", |room| {
        for hook in Shared::all(room) {
            check(&hook);
        }
    });
}

fn check(hook: &Shared) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let names = |text: &str| {
        let ours = |word: &str| if word.len() == 1 { format!("{}_{word}", hook.prefix()) } else { word.to_owned() };
        text.split(' ').map(ours).collect::<Vec<_>>()
    };
    let theirs = [hook.attach("theirs1", Position::Any), hook.attach("theirs2", Position::Any)];
    let their_infos = theirs.each_ref().map(info);

    // One of those that are named is not there.
    write(&folder, hook, 1, &[("a", "{ before = \"nobody\" }")]);
    let on_it = format!("on it are program id {} `theirs1`", their_infos[0].program_id);
    refused(&folder, &["plan.toml", "--dry-run"], 1, &["nothing can be before the program `nobody`", &on_it]);

    let links = [("a", ""), ("b", "\"first\""), ("c", "{ before = \"theirs2\" }")];
    write(&folder, hook, 1, &links);
    let planned = unwrapped(&succeed(folder.path(), &["plan.toml", "--dry-run"]));
    assert!(planned.contains(", first") && planned.contains(", before the program `theirs2`"), "{planned}");
    let around = format!("before it program id {} `theirs1`", their_infos[0].program_id);
    assert!(planned.contains(&around), "{planned}");
    succeed(folder.path(), &["plan.toml"]);
    assert_eq!(hook.there(), names("b theirs1 c theirs2 a"));
    assert_eq!(met(hook, 3), [2, 3, 1]);
    is_settled(&folder);
    let shown = unwrapped(&succeed(folder.path(), &["show", "/sys/fs/bpf/order"]));
    assert!(shown.contains(", first; behind it program id"), "{shown}");

    // Somebody comes before it: that is drift, and is repaired without a gap.
    let third = hook.attach("theirs3", Position::First);
    let third_info = info(&third);
    refused(&folder, &["status", "/sys/fs/bpf/order", "--check"], 2, &["link.b", "it is not first any more"]);
    refused(&folder, &["plan.toml", "--dry-run", "--check"], 2, &["it is not first any more", "+/-", "no gap"]);
    succeed(folder.path(), &["plan.toml"]);
    assert_eq!(hook.there(), names("b theirs3 theirs1 c theirs2 a"));
    assert_eq!(met(hook, 3), [2, 3, 1]);
    is_settled(&folder);

    // Other places for the same programs, then other programs at the same places, and back.
    let id = format!("{{ after = {} }}", their_infos[1].program_id);
    let moved = [("a", id.as_str()), ("b", "\"last\""), ("c", "{ after = \"link.a\" }")];
    write(&folder, hook, 1, &moved);
    succeed(folder.path(), &["plan.toml"]);
    assert_eq!(hook.there(), names("theirs3 theirs1 theirs2 a c b"));
    assert_eq!(met(hook, 3), [1, 3, 2]);
    is_settled(&folder);
    write(&folder, hook, 2, &moved);
    let planned = unwrapped(&succeed(folder.path(), &["plan.toml", "--dry-run"]));
    assert!(planned.contains("in place"), "{planned}");
    succeed(folder.path(), &["plan.toml"]);
    assert_eq!(met(hook, 3), [11, 13, 12]);
    is_settled(&folder);
    succeed(folder.path(), &["rollback", "/sys/fs/bpf/order"]);
    assert_eq!(met(hook, 3), [1, 3, 2]);

    // A plan that was saved is for the hook as it was.
    succeed(folder.path(), &["plan.toml", "--dry-run", "--out", "saved"]);
    let passing = hook.attach("passing", Position::First);
    refused(&folder, &["--plan", "saved"], 75, &["the programs on"]);
    drop(passing);

    succeed(folder.path(), &["destroy", "/sys/fs/bpf/order"]);
    assert_eq!(hook.there(), names("theirs3 theirs1 theirs2"));
    assert_eq!(theirs.each_ref().map(info), their_infos);
    assert_eq!(info(&third), third_info);
}

/// The program of each pinned link, and the link's id.
fn pinned_links(names: &[&str]) -> Vec<(u32, u32)> {
    let kernel = Linux::new();
    let id = |name: &&str| {
        let pin = PinPath::new(&format!("/sys/fs/bpf/order/links/{name}")).expect("a path");
        let (_, link) = kernel.open_pin(&pin).expect("it is pinned");
        let info = kernel.link_info(&link).expect("it is there");
        (info.program_id, info.id)
    };
    names.iter().map(id).collect()
}

/// Writes a manifest with the programs `a`, `b` and `c` of tcx, and links to `lo`: name, program, direction and order.
fn write_tcx(folder: &TempDir, version: u32, links: &[(&str, &str, &str)]) {
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/order/order_{version}.o"));
    let mut text = format!("version = 1\nname = \"order\"\n[object.o]\npath = \"{}\"\n", object.display());
    for name in ["a", "b", "c"] {
        text += &format!("[program.{name}]\nfrom = \"o:tc_{name}\"\n");
    }
    for (name, program, hook) in links {
        let (direction, order) = hook.split_once(' ').unwrap_or((hook, ""));
        let order = if order.is_empty() { String::new() } else { format!(", order = \"{order}\"") };
        let tc = format!("tc = {{ interface = \"lo\", direction = \"{direction}\"{order} }}");
        text += &format!("[link.{name}]\nprogram = \"{program}\"\n{tc}\n");
    }
    fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
}

/// What only has another name stays on its hook, also where two links exchange their programs or hooks: that is to exchange
/// their names.
#[test]
fn links_get_other_names_where_they_are() {
    in_namespace("links_get_other_names_where_they_are", |room| {
        if room.version < (6, 6) {
            return skip("order", "this kernel has no tcx");
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        let apply = || succeed(folder.path(), &["plan.toml"]);
        write_tcx(&folder, 1, &[("x", "a", "ingress")]);
        apply();
        let first = pinned_links(&["x"]);
        write_tcx(&folder, 1, &[("late", "a", "ingress")]);
        let planned = unwrapped(&succeed(folder.path(), &["plan.toml", "--dry-run"]));
        assert!(planned.contains("rename link.x") && planned.contains("risk: none"), "{planned}");
        // What waits to be applied is for the pins as they are.
        succeed(folder.path(), &["plan.toml", "--dry-run", "--out", "saved"]);
        succeed(folder.path(), &["--plan", "saved"]);
        assert_eq!(pinned_links(&["late"]), first);
        assert!(!Path::new("/sys/fs/bpf/order/links/x").exists());
        is_settled(&folder);
        succeed(folder.path(), &["rollback", "order"]);
        assert_eq!(pinned_links(&["x"]), first);

        // Another version of the program, too.
        write_tcx(&folder, 2, &[("late", "a", "ingress")]);
        apply();
        let [(program, link)] = pinned_links(&["late"])[..] else { panic!("there is one") };
        assert!(program != first[0].0 && link == first[0].1);
        is_settled(&folder);

        // What is protected is not detached by that, and what lifts the guard is said.
        let text = fs::read_to_string(folder.path().join("plan.toml")).expect("it is there");
        let guarded = text.replace("[link.late]", "[link.late]\nprotect = true");
        fs::write(folder.path().join("plan.toml"), guarded).expect("it can be written");
        apply();
        write_tcx(&folder, 2, &[("later", "a", "ingress")]);
        let planned = unwrapped(&succeed(folder.path(), &["plan.toml", "--dry-run"]));
        assert!(planned.contains("link.later is NO LONGER PROTECTED"), "{planned}");
        apply();
        assert_eq!(pinned_links(&["later"]), [(program, link)]);
        is_settled(&folder);
        succeed(folder.path(), &["destroy", "order"]);

        // Programs, hooks and names are exchanged: the same links by other names.
        for (before, after) in [
            ([("x", "a", "ingress"), ("y", "b", "ingress")], [("x", "b", "ingress"), ("y", "a", "ingress")]),
            ([("x", "a", "ingress"), ("y", "a", "egress")], [("x", "a", "egress"), ("y", "a", "ingress")]),
        ] {
            write_tcx(&folder, 2, &before);
            apply();
            let [x, y] = pinned_links(&["x", "y"])[..] else { panic!("there are two") };
            write_tcx(&folder, 2, &after);
            apply();
            assert_eq!(pinned_links(&["x", "y"]), [y, x]);
            is_settled(&folder);
            succeed(folder.path(), &["rollback", "order"]);
            assert_eq!(pinned_links(&["x", "y"]), [x, y]);
            succeed(folder.path(), &["destroy", "order"]);
        }
        // With places that they want: they get other names, and move, and nobody else did that.
        write_tcx(&folder, 1, &[("x", "a", "ingress first"), ("y", "b", "ingress last")]);
        apply();
        write_tcx(&folder, 1, &[("x", "b", "ingress first"), ("y", "a", "ingress last")]);
        let planned = succeed(folder.path(), &["plan.toml", "--dry-run"]);
        assert!(planned.contains("+/- link.x") && !planned.contains("drift"), "{planned}");
        apply();
        assert_eq!(Shared::Tcx.there(), ["tc_b", "tc_a"]);
        is_settled(&folder);
        succeed(folder.path(), &["destroy", "order"]);
        assert_eq!(Shared::Tcx.there(), [""; 0]);
    });
}

/// Programs are updated in place one after the other: what is free by then may be taken, and nothing else.
#[test]
fn no_program_is_twice_on_a_hook_of_tcx_on_the_way() {
    in_namespace("no_program_is_twice_on_a_hook_of_tcx_on_the_way", |room| {
        if room.version < (6, 6) {
            return skip("order", "this kernel has no tcx");
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        let write = |links: &[(&str, &str)]| {
            let links: Vec<_> = links.iter().map(|(name, program)| (*name, *program, "ingress")).collect();
            write_tcx(&folder, 1, &links);
        };
        write(&[("x", "a"), ("y", "a")]);
        refused(&folder, &["plan.toml"], 65, &["two links want", "with the same program"]);
        write(&[("x", "a"), ("y", "b")]);
        succeed(folder.path(), &["plan.toml"]);
        // Whichever is named first, the one goes first that makes room.
        let links = pinned_links(&["x", "y"]);
        for programs in [["b", "c"], ["a", "b"], ["c", "a"]] {
            write(&[("x", programs[0]), ("y", programs[1])]);
            succeed(folder.path(), &["plan.toml"]);
            assert_eq!(Shared::Tcx.there(), programs.map(|name| format!("tc_{name}")));
            is_settled(&folder);
        }
        let now = pinned_links(&["x", "y"]);
        assert!(links.iter().zip(&now).all(|((_, before), (_, now))| before == now), "they stay");
        // One that is new gets what one that stays gives up, by its name, and what had a place keeps it.
        write_tcx(&folder, 1, &[("x", "c", "ingress"), ("y", "b", "ingress last"), ("new", "a", "ingress first")]);
        succeed(folder.path(), &["plan.toml"]);
        assert_eq!(Shared::Tcx.there(), ["tc_a", "tc_c", "tc_b"]);
        is_settled(&folder);
        // What goes is there until all else is.
        write(&[("x", "b")]);
        refused(&folder, &["plan.toml", "--dry-run"], 1, &["which it takes only once", "keep the name link.y"]);
        succeed(folder.path(), &["destroy", "order"]);
    });
}

/// Twenty moves under a flood of what is to be dropped.
#[test]
fn a_link_that_moves_filters_all_the_while() {
    in_namespace("moving", |room| {
        for hook in Shared::all(room) {
            let folder = tempfile::tempdir().expect("a folder can be made");
            let _theirs = hook.attach("theirs", Position::Any);
            write(&folder, &hook, 1, &[("drop", "\"first\"")]);
            succeed(folder.path(), &["plan.toml"]);
            let receiver = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            receiver.set_read_timeout(Some(Duration::from_millis(100))).expect("it is a socket");
            let mut flood = hook.flood(receiver.local_addr().expect("it is bound").port());
            for turn in 0..20 {
                write(&folder, &hook, 1, &[("drop", if turn % 2 == 0 { "\"last\"" } else { "\"first\"" })]);
                let said = succeed(folder.path(), &["plan.toml"]);
                assert!(said.contains("link.drop"), "{said}");
            }
            let passed = receiver.recv(&mut [0; 8]);
            succeed(folder.path(), &["destroy", "/sys/fs/bpf/order"]);
            let control = receiver.recv(&mut [0; 8]);
            flood.kill().and_then(|()| flood.wait()).expect("it ran");
            assert!(passed.is_err(), "{}: a datagram passed", hook.prefix());
            assert!(control.is_ok(), "{}: without the filter they pass", hook.prefix());
        }
    });
}
