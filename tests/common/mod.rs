//! A private corner of the running kernel for one test: own mounts, own network, own bpffs, own cgroup.
//!
//! Namespaces belong to threads, so each test gets a thread of its own, and so do the commands that it starts. This
//! works under `cargo test`, which runs tests as threads of one process, and under nextest.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod flood;
pub mod stages;
pub mod tool;

use bpfapply::kernel::Kernel as _;
use bpfapply::kernel::linux::Linux;
use bpfapply::names::PinPath;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, io, panic, thread};

/// Longest time for one test on a real machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Returns whether this is a machine that `tests/vm/run` emulates, which needs ten times as long as a real one.
pub fn is_emulated() -> bool {
    std::env::var_os("EMULATED").is_some()
}

/// Returns how often a test does again what it usually does so often.
pub fn rounds(usually: u32) -> u32 {
    if is_emulated() { usually / 5 } else { usually }
}

/// What a test has for itself.
#[derive(Debug)]
pub struct Room {
    /// An empty bpffs, at `/sys/fs/bpf`.
    pub bpffs: PinPath,
    /// An empty cgroup; `None` on a kernel without cgroup2.
    pub cgroup: Option<PathBuf>,
    /// Major and minor version of the kernel.
    pub version: (u32, u32),
}

/// Runs the body in a private room and panics when it does. Says why on stderr when this host cannot, and returns.
pub fn in_namespace(name: &str, body: impl FnOnce(&Room) + Send + 'static) {
    in_namespace_within(LIMIT, name, body);
}

/// The same with another limit than [`LIMIT`].
pub fn in_namespace_within(limit: Duration, name: &str, body: impl FnOnce(&Room) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        return skip(name, "needs root");
    }
    let label = name.to_owned();
    let (sender, receiver) = mpsc::channel();
    let worker = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let result = match enter(&label) {
                Ok(room) => {
                    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| body(&room)));
                    leave(&room);
                    result.map(|()| None)
                }
                Err(reason) => Ok(Some(reason)),
            };
            // Nobody listens when the time is over.
            let _ = sender.send(result);
        })
        .expect("a thread can be started");
    match receiver.recv_timeout(if is_emulated() { 10 * limit } else { limit }) {
        Ok(Ok(None)) => worker.join().expect("it has sent its result"),
        Ok(Ok(Some(reason))) => skip(name, &reason),
        Ok(Err(panic)) => panic::resume_unwind(panic),
        Err(_) => panic!("{name} did not end within {limit:?}"),
    }
}

/// Says that a test was not run, and why.
pub fn skip(name: &str, reason: &str) {
    eprintln!("skipped {name}: {reason}");
}

/// Makes the room of this thread; the error says what this host lacks.
fn enter(name: &str) -> Result<Room, String> {
    const NONE: Option<&str> = None;
    let lacking = |what: &str| {
        let what = what.to_owned();
        move |errno: nix::errno::Errno| format!("{what}: {errno}")
    };
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).map_err(lacking("unshare"))?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(lacking("make mounts private"))?;
    mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), NONE).map_err(lacking("mount bpffs"))?;
    // A kernel without it has no tracepoints, which the tests of those see.
    let _ = mount(Some("tracefs"), "/sys/kernel/tracing", Some("tracefs"), MsFlags::empty(), NONE);
    if let Err(error) = run(Command::new("ip").args(["link", "set", "lo", "up"])) {
        return Err(format!("ip link set lo up: {error}"));
    }
    let bpffs = PinPath::new("/sys/fs/bpf").expect("an absolute path");
    let cgroup = make_cgroup(name).map_err(|error| format!("make a cgroup: {error}"))?;
    let version = version().ok_or("the kernel does not tell its version")?;
    Ok(Room { bpffs, cgroup, version })
}

/// Reads the kernel's version, such as `6.18.44-foo`.
fn version() -> Option<(u32, u32)> {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Makes a cgroup for this test, after the process and the test, so that tests at the same time do not meet.
fn make_cgroup(name: &str) -> io::Result<Option<PathBuf>> {
    let Some(mount) = Linux::new().cgroup_mount()? else {
        return Ok(None);
    };
    let path = mount.join(format!("bpfapply-test-{}-{name}", std::process::id()));
    fs::create_dir(&path)?;
    Ok(Some(path))
}

/// Takes away what outlives the namespaces: the cgroup. It can be busy for a moment after its last process.
fn leave(room: &Room) {
    let Some(cgroup) = &room.cgroup else { return };
    let end = Instant::now() + Duration::from_secs(5);
    remove_cgroups_below(cgroup);
    while fs::remove_dir(cgroup).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
}

/// Removes the cgroups that a test made in its own.
fn remove_cgroups_below(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups_below(&entry.path());
            // A busy one makes the removal of its parent fail, which is tried again.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Returns the first CPU that this process may use.
pub fn first_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("it can be read");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0").trim();
    list.split([',', '-']).next().unwrap_or("0").to_owned()
}

/// Runs a command of this thread's namespaces to its end; an error when it fails or needs longer than a minute.
pub fn run(command: &mut Command) -> Result<Output, String> {
    let output = output(command, Duration::from_secs(60)).map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&text).trim()))
}

/// Runs a command and collects what it writes; kills it when it needs longer than the limit.
pub fn output(command: &mut Command, limit: Duration) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let readers = (collect(child.stdout.take()), collect(child.stderr.take()));
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() < end => thread::sleep(Duration::from_millis(1)),
            None => {
                child.kill()?;
                child.wait()?;
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    };
    let join = |reader: thread::JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    Ok(Output { status, stdout: join(readers.0), stderr: join(readers.1) })
}

/// Reads a pipe to its end in a thread, so that a full pipe never stops the command.
fn collect(pipe: Option<impl io::Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}
