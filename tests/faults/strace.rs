//! Runs the tool under strace: counts its calls, and lets one of them fail or be the last one.

use crate::common;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Longest time for one run.
const LIMIT: Duration = Duration::from_secs(60);

/// Calls that change something, or without which nothing can be changed. The tool need not make all of them.
const CALLS: &str = "bpf,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,\
                     chmod,fchmod,fchmodat,chown,lchown,fchown,fchownat,\
                     mount,umount2,fsopen,fsconfig,fsmount,move_mount,flock,sendto,sendmsg";

/// What is to happen to a call instead of being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It fails with the error of this name.
    Error(&'static str),
    /// The process is killed.
    Kill,
    /// It is made, but a second later.
    Late,
}

/// Every fault that a run has to cope with by itself.
pub const FAULTS: [Fault; 6] = [
    Fault::Error("EPERM"),
    Fault::Error("ENOMEM"),
    Fault::Error("EBUSY"),
    Fault::Error("ENOSPC"),
    Fault::Error("EINTR"),
    Fault::Kill,
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(name) => f.write_str(name),
            Self::Kill => f.write_str("SIGKILL"),
            Self::Late => f.write_str("late"),
        }
    }
}

/// The `number`th call of a name, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Name of the system call.
    pub name: String,
    /// Which of them.
    pub number: usize,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {}", self.name, self.number)
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none when it was killed.
    pub code: Option<i32>,
    /// What it wrote to both outputs.
    pub said: String,
    /// The calls that it made, a line for each.
    pub trace: String,
}

/// Runs the tool in a folder, on one CPU: so it has one thread, and makes its calls in one order.
#[track_caller]
pub fn run(folder: &Path, arguments: &[&str], fault: Option<(&Call, Fault)>) -> Ran {
    let trace = folder.join("trace");
    let mut command = Command::new("taskset");
    command
        .args(["--cpu-list", &common::first_cpu(), "strace", "-f", "-qq", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(&trace);
    if let Some((Call { name, number }, fault)) = fault {
        let what = match fault {
            Fault::Error(error) => format!("error={error}"),
            Fault::Kill => "signal=KILL".to_owned(),
            Fault::Late => "delay_enter=2000000".to_owned(),
        };
        command.args(["-e", &format!("inject={name}:{what}:when={number}")]);
    }
    command.arg(env!("CARGO_BIN_EXE_bpfapply")).args(arguments).current_dir(folder);
    // Nothing of what it says is cut or wrapped.
    command.env("COLUMNS", "400").env("LC_ALL", "C").env("RUST_BACKTRACE", "0");
    let output = common::output(&mut command, LIMIT).expect("it ends");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    Ran {
        code: output.status.code(),
        said: String::from_utf8_lossy(&said).into_owned(),
        trace: fs::read_to_string(&trace).expect("strace writes"),
    }
}

/// Runs the tool, and does something else once two programs were given to the verifier: the plan has long been made then,
/// and nothing of it can be seen before the first folder is made, which takes its time.
pub fn run_late(folder: &Path, arguments: &[&str], meanwhile: impl FnOnce()) -> Ran {
    let trace = folder.join("trace");
    // That of an earlier run.
    let _ = fs::remove_file(&trace);
    let loads = |text: String| text.lines().filter(|line| line.contains("BPF_PROG_LOAD")).count();
    thread::scope(|scope| {
        let late = Call { name: "mkdir".to_owned(), number: 1 };
        let running = scope.spawn(move || run(folder, arguments, Some((&late, Fault::Late))));
        let end = Instant::now() + LIMIT;
        while fs::read_to_string(&trace).map_or(0, loads) < 2 {
            assert!(Instant::now() < end && !running.is_finished(), "it loads programs");
            thread::sleep(Duration::from_millis(1));
        }
        meanwhile();
        running.join().expect("it does not panic")
    })
}

impl Ran {
    /// Lists the calls that were made, each as strace counts them: by thread and name.
    pub fn calls(&self) -> Vec<Call> {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for line in self.trace.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            if let Some((name, _)) = call.trim_start().split_once('(') {
                *counts.entry((thread, name)).or_default() += 1;
            }
        }
        let numbers = |((_, name), count): (&(&str, &str), &usize)| -> Vec<Call> {
            (1..=*count).map(|number| Call { name: (*name).to_owned(), number }).collect()
        };
        let mut calls: Vec<Call> = counts.iter().flat_map(numbers).collect();
        calls.sort();
        calls.dedup();
        calls
    }
}
