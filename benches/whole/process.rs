//! Processes, and what they took.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command that is run many times.
#[derive(Debug, Clone)]
pub struct Job {
    command: Vec<OsString>,
}

/// What one run of it took.
#[derive(Debug)]
pub struct Took {
    /// From before the fork until it was reaped.
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The largest resident set, in KiB.
    pub memory: i64,
}

impl Job {
    /// Names a program and its arguments.
    pub fn new<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a OsStr>) -> Self {
        let arguments = arguments.into_iter().map(OsStr::to_owned);
        Self { command: std::iter::once(program.as_os_str().to_owned()).chain(arguments).collect() }
    }

    /// Returns the same on the first core alone.
    pub fn on_one_core(&self) -> Self {
        let taskset = ["taskset", "-c", "0"].map(OsString::from);
        Self { command: taskset.into_iter().chain(self.command.iter().cloned()).collect() }
    }

    /// Runs it; an exit code other than 0 is an error.
    #[allow(unsafe_code, reason = "only wait4 tells what one child took")]
    pub fn run(&self) -> io::Result<Took> {
        let start = Instant::now();
        let child = Command::new(&self.command[0]).args(&self.command[1..]).stdout(Stdio::null()).spawn()?;
        let mut status = 0;
        // SAFETY: zeroes are a value of it.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both places live until here.
        let waited = unsafe { libc::wait4(child.id().cast_signed(), &raw mut status, 0, &raw mut usage) };
        let wall = start.elapsed();
        match (waited, status) {
            (..0, _) => Err(io::Error::last_os_error()),
            (_, 0) => Ok(Took { wall, cpu: time(usage.ru_utime) + time(usage.ru_stime), memory: usage.ru_maxrss }),
            (_, status) => Err(io::Error::other(format!("{:?} ended with status {status:#x}", self.command))),
        }
    }
}

fn time(time: libc::timeval) -> Duration {
    Duration::from_micros(time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs())
}
