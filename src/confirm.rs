//! Commit-confirm: an apply that goes back by itself unless somebody says in time that all is well.
//!
//! What waits is written beside the generation, as a symbolic link that leads nowhere: `edge~confirm` with the number of
//! the generation and the second since boot until which it waits. It is there before the switch, and only counts for the
//! generation that it names, so no moment is without a way back; the way back takes it away behind its own switch. A
//! watchdog process waits for that second and holds a lock on the generation's folder meanwhile, by which everybody sees
//! that it lives. When it does not, the next run goes back in its place.
//!
//! An apply with health checks has the same watchdog and the same mark, until they passed: the end of the run before that,
//! as by a terminal that hangs up because the new filter cut it off, is as bad as a check that fails.

use crate::diag::Problem;
use crate::kernel::Kernel;
use crate::kernel::observe::{READ, existing, refused};
use crate::names::PinPath;
use crate::record::Rejection;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A generation that waits to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub generation: u64,
    /// The second since boot until which it waits.
    pub until: u64,
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation={},until={}", self.generation, self.until)
    }
}

impl Pending {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (generation, until) = text.strip_prefix("generation=")?.split_once(",until=")?;
        Some(Self { generation: generation.parse().ok()?, until: until.parse().ok()? })
    }

    /// Returns for how many seconds it still waits.
    pub fn left<K: Kernel>(&self, kernel: &K) -> u64 {
        self.until.saturating_sub(seconds(kernel))
    }

    /// Tells whether a watchdog lives that will go back.
    pub fn is_watched<K: Kernel>(&self, kernel: &K, pin_root: &PinPath) -> bool {
        matches!(kernel.lock(&pin_root.generation(self.generation)), Ok(None))
    }
}

/// Returns the seconds since boot.
pub fn seconds<K: Kernel>(kernel: &K) -> u64 {
    kernel.uptime() / 1_000_000_000
}

/// Reads whether the generation that runs waits to be confirmed.
pub fn pending<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<Pending>, Problem> {
    let read = |path: &PinPath| {
        existing(kernel.read_symlink(path)).map_err(|error| refused(format!("look at `{path}`"), &error, READ))
    };
    let Some(pending) = read(&pin_root.confirm())?.as_deref().and_then(Pending::parse) else { return Ok(None) };
    let runs = read(pin_root)?;
    Ok(runs.filter(|runs| runs == pin_root.generation(pending.generation).file_name()).map(|_| pending))
}

/// What taking the mark away needs.
const REMOVE: &str = "removing it needs write access to its folder: run it as root";

/// Keeps the generation that waits.
pub fn keep<K: Kernel>(kernel: &mut K, pin_root: &PinPath) -> Result<(), Problem> {
    let path = pin_root.confirm();
    kernel.unpin(&path).map_err(|error| refused(format!("remove `{path}`"), &error, REMOVE))
}

/// The process that goes back, from the outside.
#[derive(Debug)]
pub struct Watchdog {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What the watchdog is told when the generation runs that it watches, and what it answers when it does so.
const ARMED: &str = "armed\n";
const READY: &str = "ready\n";
/// What it is told when the run may end, and only the time counts.
const LEFT: &str = "left\n";

impl Watchdog {
    /// Starts it, in a process group of its own: what ends this run's session does not end it.
    pub fn start(pin_root: &PinPath) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("watchdog").arg(pin_root.as_str()).process_group(0).current_dir("/");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err(io::ErrorKind::BrokenPipe.into()) };
        Ok(Self { input, output: BufReader::new(output) })
    }

    /// Tells it that the generation runs, and waits until it watches: from then on it goes back when this run ends.
    pub fn arm(&mut self) -> io::Result<()> {
        self.input.write_all(ARMED.as_bytes())?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        if answer == READY { Ok(()) } else { Err(io::Error::other("it ended")) }
    }

    /// Lets this run end: it goes back when the time is over, and not before.
    pub fn leave(mut self) -> io::Result<()> {
        self.input.write_all(LEFT.as_bytes())
    }
}

/// How often the watchdog looks whether somebody confirmed.
const EVERY: Duration = Duration::from_millis(200);

/// Watches as the watchdog process does: returns what waited when its time is over or its run ended too early, with why it
/// has to go, and nothing when it waits no more.
///
/// Standard input ends at once when the run that made the generation is killed; what that run got done counts.
pub fn watch<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<(Pending, Rejection)>, Problem> {
    let is_told = |word: &str| {
        let mut told = String::new();
        io::stdin().lock().read_line(&mut told).is_ok() && told == word
    };
    let is_armed = is_told(ARMED);
    let Some(first) = pending(kernel, pin_root)? else { return Ok(None) };
    // Others see by this lock that somebody watches; who looks holds it for a moment only.
    let folder = pin_root.generation(first.generation);
    let _lock = loop {
        match kernel.lock(&folder).map_err(|error| refused(format!("lock `{folder}`"), &error, READ))? {
            Some(lock) => break lock,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    if is_armed {
        // Nobody may be there to read it any more.
        let _ = io::stdout().write_all(READY.as_bytes()).and_then(|()| io::stdout().flush());
    }
    // Until then the run has the lock of the bpffs, so its time cannot be over.
    if !is_armed || !is_told(LEFT) {
        return Ok(pending(kernel, pin_root)?
            .filter(|pending| *pending == first)
            .map(|pending| (pending, Rejection::Interrupted)));
    }
    while first.left(kernel) > 0 {
        std::thread::sleep(EVERY);
        if pending(kernel, pin_root)? != Some(first) {
            return Ok(None);
        }
    }
    Ok(Some((first, Rejection::Unconfirmed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_read_as_it_is_written() {
        let pending = Pending { generation: 7, until: 4711 };
        assert_eq!(Pending::parse(&pending.to_string()), Some(pending));
        for bad in ["", "generation=,until=1", "generation=1", "generation=1,until=-1", "until=1,generation=1"] {
            assert_eq!(Pending::parse(bad), None, "{bad:?}");
        }
    }
}
