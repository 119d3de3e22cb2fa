//! Two of us at the same time, on the running kernel: one waits for the other, or says whom it would have to wait for.

mod common;

use bpfapply::kernel::Kernel as _;
use bpfapply::kernel::linux::Linux;
use bpfapply::names::PinPath;
use common::tool::{Said, bpfapply, succeed};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BPFAPPLY: &str = env!("CARGO_BIN_EXE_bpfapply");

/// Maps alone, which need no hook.
const PLAN: &str = "version = 1\nname = \"edge\"\n[map.a]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\n\
                    max_entries = 1\n[map.b]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 16\n";

/// The same folder of pins, a check that takes as long as there is a file, and then a map that the kernel refuses.
const SLOW: &str = "version = 1\nname = \"edge\"\n[map.a]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\n\
                    max_entries = 1\n[map.b]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 16\n\
                    [map.refused]\ntype = \"array\"\nkey_size = 8\nvalue_size = 4\nmax_entries = 1\n\
                    [[check]]\ncommand = [\"sh\", \"-c\", \"while [ -e hold ]; do sleep 0.01; done\"]\ntimeout = \"2m\"\n";

/// Makes a folder with the manifests `plan.toml` and `slow.toml`.
fn manifests() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("plan.toml"), PLAN).expect("it can be written");
    fs::write(folder.path().join("slow.toml"), SLOW).expect("it can be written");
    fs::write(folder.path().join("hold"), "").expect("it can be written");
    folder
}

fn root() -> PinPath {
    PinPath::new("/sys/fs/bpf").expect("a path")
}

/// An apply that has the lock, and stays where it is until it is let go.
struct Holder {
    child: Child,
    hold: std::path::PathBuf,
}

impl Holder {
    #[track_caller]
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(BPFAPPLY);
        command.arg("slow.toml").current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let holder = Self { child: command.spawn().expect("it starts"), hold: folder.join("hold") };
        wait_for_holder(holder.child.id());
        holder
    }

    /// Lets it go on, and fail.
    fn let_go(mut self) {
        fs::remove_file(&self.hold).expect("it is there");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(1));
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A test that fails leaves none behind; one that ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait_for_holder(pid: u32) {
    eventually(|| Linux::new().lock_holder(&root()).expect("it can be asked").is_some_and(|holder| holder.pid == pid));
}

#[track_caller]
fn eventually(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "it takes too long");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Expects exit code 75 at once, and each of the texts.
#[track_caller]
fn refused(said: &Said, says: &[&str]) {
    assert_eq!(said.code, 75, "{said:?}");
    for text in says {
        assert!(said.stderr.contains(text), "it does not say {text:?}: {}", said.stderr);
    }
    assert!(!said.stderr.contains("waiting"), "{}", said.stderr);
}

#[test]
fn who_does_not_wait_is_told_who_has_the_lock() {
    common::in_namespace("who_does_not_wait_is_told_who_has_the_lock", |_| {
        let folder = manifests();
        succeed(folder.path(), &["plan.toml"]);
        let holder = Holder::start(folder.path());
        let pid = format!("pid {}, started", holder.child.id());
        let says = ["the lock of `/sys/fs/bpf` is held by", &pid, "bpfapply slow.toml`", "--lock-timeout"];
        for arguments in [&["plan.toml", "-v", "--lock-timeout", "0"][..], &["destroy", "edge", "--lock-timeout", "0"]]
        {
            refused(&bpfapply(folder.path(), arguments), &says);
        }
        // What only reads waits for nobody, and so does who finds nothing to do.
        succeed(folder.path(), &["plan.toml", "--lock-timeout", "0"]);
        for arguments in [&["plan.toml", "--dry-run"][..], &["destroy", "edge", "--dry-run"]] {
            let said = bpfapply(folder.path(), arguments);
            assert!(said.code == 0 && said.stderr.contains(&format!("{pid} ")), "{said:?}");
        }
        succeed(folder.path(), &["show", "edge"]);
        holder.let_go();
        succeed(folder.path(), &["destroy", "edge", "--lock-timeout", "0"]);
    });
}

#[test]
fn who_waits_says_so_once_and_goes_on() {
    common::in_namespace("who_waits_says_so_once_and_goes_on", |_| {
        let folder = manifests();
        let holder = Holder::start(folder.path());
        let mut command = Command::new(BPFAPPLY);
        command.arg("plan.toml").current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut second = command.spawn().expect("it starts");
        let mut lines = BufReader::new(second.stderr.take().expect("it is piped")).lines();
        let first = lines.next().expect("it says something").expect("text");
        let says =
            format!("waiting for the lock of `/sys/fs/bpf`, at most 60 s: it is held by pid {}", holder.child.id());
        assert!(first.starts_with(&says), "{first}");
        assert!(second.try_wait().expect("it can be asked").is_none(), "it waits");
        holder.let_go();
        assert_eq!(second.wait().expect("it ends").code(), Some(0));
        assert_eq!(lines.count(), 0, "it says nothing more");
        assert!(succeed(folder.path(), &["plan.toml"]).contains("nothing to do"));
        succeed(folder.path(), &["destroy", "edge"]);
    });
}

#[test]
fn a_lock_ends_with_its_holder() {
    common::in_namespace("a_lock_ends_with_its_holder", |_| {
        let folder = manifests();
        let mut holder = Holder::start(folder.path());
        holder.child.kill().expect("it runs");
        holder.child.wait().expect("it ends");
        succeed(folder.path(), &["plan.toml", "--lock-timeout", "0"]);
        succeed(folder.path(), &["destroy", "edge", "--lock-timeout", "0"]);
    });
}

#[test]
fn what_a_run_builds_is_said_to_be_its_own() {
    common::in_namespace("what_a_run_builds_is_said_to_be_its_own", |_| {
        let folder = manifests();
        succeed(folder.path(), &["plan.toml"]);
        let more = format!("{PLAN}[map.c]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n");
        fs::write(folder.path().join("more.toml"), more).expect("it can be written");
        // It has built the next generation, and does not switch to it for a while.
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=rename:delay_enter=3000000"]);
        traced.arg(BPFAPPLY).arg("more.toml").current_dir(folder.path());
        let Ok(mut run) = traced.stdout(Stdio::null()).spawn() else {
            return common::skip("what_a_run_builds_is_said_to_be_its_own", "there is no strace");
        };
        eventually(|| Path::new("/sys/fs/bpf/edge~2/record").exists());
        for arguments in [
            &["plan.toml", "--dry-run"][..],
            &["plan.toml", "--dry-run=verify"],
            &["destroy", "edge", "--dry-run"],
            &["adopt", "plan.toml", "--dry-run"],
            &["graph", "plan.toml"],
            &["export", "--out", "state.json"],
            &["status", "edge"],
        ] {
            let said = bpfapply(folder.path(), arguments);
            let words = format!("{}{}", said.stdout, said.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(said.code, 0, "{arguments:?}: {words}");
            assert!(words.contains("bpfapply more.toml` is at work"), "{arguments:?}: {words}");
            // A plan cannot tell whose it is, and says so; what is asked behind it can.
            let says = match arguments[0] {
                "status" => "look again when that run has ended",
                "export" => "the state may have what that run has half done",
                _ => "left over may be that run's",
            };
            assert!(words.contains(says), "{arguments:?}: {words}");
        }
        assert_eq!(run.wait().expect("it ends").code(), Some(0));
        let said = bpfapply(folder.path(), &["more.toml", "--dry-run"]);
        assert!(!said.stderr.contains("at work"), "{}", said.stderr);
        succeed(folder.path(), &["destroy", "edge"]);
    });
}

/// Takes every bpffs at the usual place away.
fn unmount_all() {
    while common::run(Command::new("umount").arg("/sys/fs/bpf")).is_ok() {}
}

#[test]
fn the_first_two_runs_of_a_host_share_one_bpffs() {
    common::in_namespace("the_first_two_runs_of_a_host_share_one_bpffs", |_| {
        let folder = manifests();
        for _ in 0..20 {
            unmount_all();
            let start = || {
                let mut command = Command::new(BPFAPPLY);
                command.arg("plan.toml").current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().expect("it starts")
            };
            for mut child in [start(), start()] {
                assert_eq!(child.wait().expect("it ends").code(), Some(0));
            }
            let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("it can be read");
            let ours = mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/sys/fs/bpf"));
            assert_eq!(ours.count(), 1, "{mounts}");
            assert!(succeed(folder.path(), &["plan.toml"]).contains("nothing to do"));
        }
        // Nobody gets in between the mount and what the first run makes of it.
        unmount_all();
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=move_mount:delay_exit=1500000"]);
        traced.arg(BPFAPPLY).arg("plan.toml").current_dir(folder.path());
        let Ok(mut first) = traced.stdout(Stdio::null()).spawn() else {
            return common::skip("the rest", "there is no strace");
        };
        eventually(|| Linux::new().is_bpffs(&root()).expect("the folder is there"));
        refused(&bpfapply(folder.path(), &["plan.toml", "--lock-timeout", "0"]), &["bpfapply plan.toml`"]);
        assert_eq!(first.wait().expect("it ends").code(), Some(0));
        assert!(succeed(folder.path(), &["plan.toml"]).contains("nothing to do"));
    });
}
