//! Every hook of a cgroup under the real event: each link is attached, left alone the second time, shown, gets another
//! program in place, and goes, and somebody else's program on the same hook stays what it was.
//!
//! What each version of the programs does is in `tests/cgroups/cgroups.c`. Events come from a process of their own in the
//! cgroup: this binary, which [`event`] runs once more.

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel as _, ProgramRequest};
use bpfapply::kinds::{AttachType, ProgramType};
use bpfapply::names::PinPath;
use common::tool::{self, Said, bpfapply, succeed};
use common::{in_namespace, in_namespace_within, run, skip};
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The tool does not know which program is for which hook: its section says it.
struct Row {
    /// The function, which is the name of the event, too.
    function: &'static str,
    program_type: ProgramType,
    attach_type: AttachType,
    /// The release of Linux that has such links.
    since: (u32, u32),
}

const fn row(function: &'static str, program_type: ProgramType, attach_type: AttachType, since: (u32, u32)) -> Row {
    Row { function, program_type, attach_type, since }
}

const ADDRESS: ProgramType = ProgramType::CGROUP_SOCK_ADDR;

#[rustfmt::skip]
const HOOKS: &[Row] = &[
    row("ingress", ProgramType::CGROUP_SKB, AttachType::CGROUP_INET_INGRESS, (5, 7)),
    row("egress", ProgramType::CGROUP_SKB, AttachType::CGROUP_INET_EGRESS, (5, 7)),
    row("sock_create", ProgramType::CGROUP_SOCK, AttachType::CGROUP_INET_SOCK_CREATE, (5, 7)),
    row("sock_release", ProgramType::CGROUP_SOCK, AttachType::CGROUP_INET_SOCK_RELEASE, (5, 9)),
    row("post_bind4", ProgramType::CGROUP_SOCK, AttachType::CGROUP_INET4_POST_BIND, (5, 7)),
    row("post_bind6", ProgramType::CGROUP_SOCK, AttachType::CGROUP_INET6_POST_BIND, (5, 7)),
    row("bind4", ADDRESS, AttachType::CGROUP_INET4_BIND, (5, 7)),
    row("bind6", ADDRESS, AttachType::CGROUP_INET6_BIND, (5, 7)),
    row("connect4", ADDRESS, AttachType::CGROUP_INET4_CONNECT, (5, 7)),
    row("connect6", ADDRESS, AttachType::CGROUP_INET6_CONNECT, (5, 7)),
    row("connect_unix", ADDRESS, AttachType::CGROUP_UNIX_CONNECT, (6, 7)),
    row("sendmsg4", ADDRESS, AttachType::CGROUP_UDP4_SENDMSG, (5, 7)),
    row("sendmsg6", ADDRESS, AttachType::CGROUP_UDP6_SENDMSG, (5, 7)),
    row("sendmsg_unix", ADDRESS, AttachType::CGROUP_UNIX_SENDMSG, (6, 7)),
    row("recvmsg4", ADDRESS, AttachType::CGROUP_UDP4_RECVMSG, (5, 7)),
    row("recvmsg6", ADDRESS, AttachType::CGROUP_UDP6_RECVMSG, (5, 7)),
    row("recvmsg_unix", ADDRESS, AttachType::CGROUP_UNIX_RECVMSG, (6, 7)),
    row("getpeername4", ADDRESS, AttachType::CGROUP_INET4_GETPEERNAME, (5, 8)),
    row("getpeername6", ADDRESS, AttachType::CGROUP_INET6_GETPEERNAME, (5, 8)),
    row("getpeername_unix", ADDRESS, AttachType::CGROUP_UNIX_GETPEERNAME, (6, 7)),
    row("getsockname4", ADDRESS, AttachType::CGROUP_INET4_GETSOCKNAME, (5, 8)),
    row("getsockname6", ADDRESS, AttachType::CGROUP_INET6_GETSOCKNAME, (5, 8)),
    row("getsockname_unix", ADDRESS, AttachType::CGROUP_UNIX_GETSOCKNAME, (6, 7)),
    row("getsockopt", ProgramType::CGROUP_SOCKOPT, AttachType::CGROUP_GETSOCKOPT, (5, 7)),
    row("setsockopt", ProgramType::CGROUP_SOCKOPT, AttachType::CGROUP_SETSOCKOPT, (5, 7)),
    row("sysctl", ProgramType::CGROUP_SYSCTL, AttachType::CGROUP_SYSCTL, (5, 7)),
    row("device", ProgramType::CGROUP_DEVICE, AttachType::CGROUP_DEVICE, (5, 7)),
    row("sock_ops", ProgramType::SOCK_OPS, AttachType::CGROUP_SOCK_OPS, (5, 7)),
];

/// Lets happen what a hook is for. `here` is a folder for sockets.
fn happen(name: &str, here: &Path) -> std::io::Result<()> {
    let local = if name.ends_with('6') { "[::1]:0" } else { "127.0.0.1:0" };
    let udp = || UdpSocket::bind(local);
    let path = here.join("socket");
    match name {
        "ingress" | "egress" | "sendmsg4" | "sendmsg6" | "recvmsg4" | "recvmsg6" => {
            let (sender, receiver) = (udp()?, udp()?);
            receiver.set_read_timeout(Some(Duration::from_secs(5)))?;
            sender.send_to(b"x", receiver.local_addr()?)?;
            receiver.recv_from(&mut [0; 8]).map(drop)
        }
        "sock_create" | "sock_release" | "post_bind4" | "post_bind6" | "bind4" | "bind6" | "lsm" => udp().map(drop),
        "connect4" | "connect6" | "getpeername4" | "getpeername6" | "getsockname4" | "getsockname6" => {
            let (socket, other) = (udp()?, udp()?);
            socket.connect(other.local_addr()?)?;
            socket.peer_addr().map(drop)
        }
        "connect_unix" | "getpeername_unix" | "getsockname_unix" => {
            let listener = UnixListener::bind(&path)?;
            listener.local_addr()?;
            UnixStream::connect(&path)?.peer_addr().map(drop)
        }
        "sendmsg_unix" | "recvmsg_unix" => {
            let receiver = UnixDatagram::bind(&path)?;
            // Only a sender with a name has an address to be rewritten.
            UnixDatagram::bind(here.join("sender"))?.send_to(b"x", &path)?;
            receiver.recv_from(&mut [0; 8]).map(drop)
        }
        "getsockopt" => udp()?.broadcast().map(drop),
        "setsockopt" => udp()?.set_broadcast(true),
        "sysctl" => fs::read_to_string("/proc/sys/kernel/hostname").map(drop),
        "device" => fs::File::open("/dev/null").map(drop),
        "sock_ops" => {
            let listener = TcpListener::bind(local)?;
            TcpStream::connect(listener.local_addr()?)?.write_all(b"x")
        }
        _ => Err(std::io::Error::other(format!("{name} is no event"))),
    }
}

/// The process in the cgroup; it is only run by [`event`].
#[test]
#[ignore = "another test runs it in a cgroup"]
fn in_the_cgroup() {
    let Ok(given) = std::env::var("CGROUP_EVENT") else { return };
    let (name, cgroup) = given.split_once(' ').expect("an event and a cgroup");
    let here = tempfile::tempdir().expect("a folder can be made");
    fs::write(format!("{cgroup}/cgroup.procs"), "0").expect("we may go there");
    happen(name, here.path()).expect("it happens");
}

/// Lets something happen in a cgroup.
#[track_caller]
fn event(name: &str, cgroup: &Path) {
    let this = std::env::current_exe().expect("we run");
    let mut command = Command::new(this);
    command.args(["--exact", "in_the_cgroup", "--ignored", "--nocapture"]);
    command.env("CGROUP_EVENT", format!("{name} {}", cgroup.display()));
    run(&mut command).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Writes a manifest of one link; `version` is that of the programs.
fn write(folder: &TempDir, version: u32, function: &str, path: &str) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cgroups");
    let text = format!(
        "version = 1\nname = \"groups\"\n[object.o]\npath = \"{}/cgroups_{version}.o\"\n\
         [map.ran]\nfrom = \"o:ran\"\n[program.p]\nfrom = \"o:{function}\"\n\
         [link.l]\nprogram = \"p\"\ncgroup = {{ path = \"{path}\" }}\n",
        objects.display()
    );
    fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

type Fd = <Linux as bpfapply::kernel::Kernel>::Fd;

/// Attaches somebody else's program, which lets everything be.
fn neighbour(kernel: &mut Linux, row: &Row, cgroup: &Path) -> Fd {
    let insns = [Insn { code: 0xb7, imm: 1, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let request = ProgramRequest::plain("theirs", row.program_type, &insns);
    let request = ProgramRequest { expected_attach_type: row.attach_type, ..request };
    let program = kernel.load_program(&request).unwrap_or_else(|error| panic!("{}: {error:?}", row.function));
    let (cgroup, _) = kernel.open_cgroup(cgroup).expect("it is there");
    let hook = HookRequest::Cgroup { cgroup: &cgroup, attach_type: row.attach_type };
    kernel.create_link(&program, &hook).unwrap_or_else(|error| panic!("{}: {error}", row.function))
}

/// Opens the map that the programs count in.
fn counter() -> (Linux, Fd) {
    let kernel = Linux::new();
    let pin = PinPath::new("/sys/fs/bpf/groups/maps/ran").expect("a path");
    let (_, map) = kernel.open_pin(&pin).expect("a pin");
    (kernel, map)
}

/// Returns by how much the programs count while something happens.
#[track_caller]
fn counted((kernel, map): &(Linux, Fd), happens: impl FnOnce()) -> u64 {
    let now = || {
        let value = kernel.lookup(map, &[0; 4], 8).expect("it can be read").expect("an array has it");
        u64::from_ne_bytes(value.try_into().expect("8 bytes"))
    };
    let before = now();
    happens();
    now() - before
}

#[track_caller]
fn is_settled(folder: &TempDir) {
    tool::is_settled(folder.path(), "plan.toml", "/sys/fs/bpf/groups");
}

#[track_caller]
fn check(folder: &TempDir, row: &Row, cgroup: &Path, path: &str) {
    let Row { function, attach_type, .. } = row;
    let mut kernel = Linux::new();
    let theirs = neighbour(&mut kernel, row, cgroup);
    let their_info = kernel.link_info(&theirs).expect("it is there");
    let programs = || {
        let (cgroup, _) = kernel.open_cgroup(cgroup).expect("it is there");
        kernel.query(&HookRequest::Cgroup { cgroup: &cgroup, attach_type: *attach_type }).expect("it can be asked")
    };

    write(folder, 1, function, path);
    let planned = succeed(folder.path(), &["plan.toml", "--dry-run"]);
    assert!(planned.contains(&format!("{attach_type} of cgroup {path}")), "{planned}");
    succeed(folder.path(), &["plan.toml"]);
    let ran = counter();
    let once = counted(&ran, || event(function, cgroup));
    assert!((1..1000).contains(&once), "{function}: {once}");
    assert_eq!(programs().len(), 2, "{function}");
    is_settled(folder);
    let shown = succeed(folder.path(), &["show", "/sys/fs/bpf/groups"]);
    assert!(shown.contains(&format!("{attach_type} of cgroup")), "{shown}");

    write(folder, 2, function, path);
    let planned = succeed(folder.path(), &["plan.toml", "--dry-run"]);
    assert!(planned.contains("in place") && planned.contains("no gap"), "{planned}");
    succeed(folder.path(), &["plan.toml"]);
    let often = counted(&ran, || event(function, cgroup));
    assert!(often >= 1000 && often % 1000 == 0, "{function}: only the other program counts: {often}");
    is_settled(folder);

    succeed(folder.path(), &["destroy", "/sys/fs/bpf/groups"]);
    assert_eq!(counted(&ran, || event(function, cgroup)), 0, "{function}: it is detached");
    assert_eq!(programs(), [their_info.program_id], "{function}");
    assert_eq!(kernel.link_info(&theirs).expect("it is there"), their_info, "{function}");
}

#[test]
fn each_hook_of_a_cgroup() {
    in_namespace_within(Duration::from_secs(300), "each_hook", |room| {
        let Some(cgroup) = &room.cgroup else { return skip("each_hook", "no cgroup2") };
        let folder = folder();
        let whole = cgroup.to_str().expect("UTF-8");
        let name = cgroup.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        for (number, row) in HOOKS.iter().enumerate() {
            if row.since > room.version {
                skip(row.function, "this kernel has no such hook");
                continue;
            }
            check(&folder, row, cgroup, if number % 2 == 0 { name } else { whole });
        }
    });
}

/// Mounts cgroup2 alone where a layout has it: whole, or beside the controllers of version 1.
const LAYOUTS: &[(&str, &str)] = &[
    ("/sys/fs/cgroup", "mount -t cgroup2 none /sys/fs/cgroup"),
    (
        "/sys/fs/cgroup/unified",
        "mkdir /sys/fs/cgroup/cpu /sys/fs/cgroup/unified; mount -t cgroup2 none /sys/fs/cgroup/unified",
    ),
    ("/sys/fs/cgroup/a mount", "mkdir '/sys/fs/cgroup/a mount'; mount -t cgroup2 none '/sys/fs/cgroup/a mount'"),
];

fn sh(script: &str) {
    run(Command::new("sh").args(["-ec", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
}

#[test]
fn cgroups_are_found_in_each_layout() {
    in_namespace("layouts", |room| {
        let Some(cgroup) = &room.cgroup else { return skip("layouts", "no cgroup2") };
        let name = cgroup.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        let mounted = cgroup.parent().expect("it is below the mount").display();
        for (mount, make) in LAYOUTS {
            // The one of the host goes, in this namespace.
            sh(&format!(
                "while umount {mounted} 2>/dev/null; do :; done; while umount -l /sys/fs/cgroup 2>/dev/null; do :; done; \
                 mount -t tmpfs none /sys/fs/cgroup; {make}"
            ));
            let folder = folder();
            for path in [name.clone(), format!("/{name}"), format!("{mount}/{name}")] {
                write(&folder, 1, "egress", &path);
                succeed(folder.path(), &["plan.toml"]);
                let ran = counter();
                let once = counted(&ran, || event("egress", &Path::new(mount).join(&name)));
                assert!(once > 0, "{path} below {mount}");
                is_settled(&folder);
                succeed(folder.path(), &["destroy", "/sys/fs/bpf/groups"]);
            }
            sh(&format!("umount '{mount}'"));
        }
        let folder = folder();
        write(&folder, 1, "egress", &name);
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert!(said.code == 1 && said.stderr.contains("there is no cgroup"), "{said:?}");
        // What is left to be removed is below the mount of the host.
        sh(&format!(
            "umount -l /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup; mkdir -p '{mounted}'; mount -t cgroup2 none '{mounted}'"
        ));
    });
}

#[test]
fn a_cgroup_that_returns_is_another_one() {
    in_namespace("returns", |room| {
        let Some(cgroup) = &room.cgroup else { return skip("returns", "no cgroup2") };
        let (folder, below) = (folder(), cgroup.join("below"));
        let path = below.to_str().expect("UTF-8");
        fs::create_dir(&below).expect("a cgroup can be made");
        write(&folder, 1, "connect4", path);
        succeed(folder.path(), &["plan.toml"]);
        is_settled(&folder);
        for _ in 0..3 {
            fs::remove_dir(&below).expect("it is empty");
            let said = bpfapply(folder.path(), &["status", "/sys/fs/bpf/groups", "--check"]);
            assert!(said.code == 2 && said.stdout.contains("link.l"), "{said:?}");
            fs::create_dir(&below).expect("a cgroup can be made");
            // At once, though the link may not be detached yet.
            let said = bpfapply(folder.path(), &["status", "/sys/fs/bpf/groups", "--check"]);
            assert!(said.code == 2 && said.stdout.contains("link.l"), "{said:?}");
            succeed(folder.path(), &["plan.toml"]);
            let ran = counter();
            assert!(counted(&ran, || event("connect4", &below)) > 0);
            is_settled(&folder);
        }
        succeed(folder.path(), &["destroy", "/sys/fs/bpf/groups"]);
    });
}

/// A security hook of one cgroup, where the kernel lets such programs in at all.
#[test]
fn a_security_hook_of_a_cgroup() {
    in_namespace("lsm_cgroup", |room| {
        let Some(cgroup) = &room.cgroup else { return skip("lsm_cgroup", "no cgroup2") };
        let folder = folder();
        write(&folder, 1, "lsm", cgroup.to_str().expect("UTF-8"));
        let planned = succeed(folder.path(), &["plan.toml", "--dry-run"]);
        assert!(planned.contains("lsm_cgroup of cgroup"), "{planned}");
        let Said { code, stdout, stderr } = bpfapply(folder.path(), &["plan.toml"]);
        if code != 0 {
            assert!(stderr.contains("lsm"), "{stdout}{stderr}");
            return skip("lsm_cgroup", "this kernel refuses it");
        }
        let active = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        let ran = counter();
        let once = counted(&ran, || event("lsm", cgroup));
        // Without `bpf` among the active security modules such programs are attached, and never called.
        assert_eq!(once > 0, active.contains("bpf"), "{once}");
        is_settled(&folder);
        write(&folder, 2, "lsm", cgroup.to_str().expect("UTF-8"));
        succeed(folder.path(), &["plan.toml"]);
        is_settled(&folder);
        succeed(folder.path(), &["destroy", "/sys/fs/bpf/groups"]);
    });
}
