//! Commit-confirm: `commit`, the watchdog, and what every change does first about an apply that still waits.

use super::arguments::{Locking, Target, parse_pin_root};
use super::console::Console;
use super::finish::{differences, finish};
use super::now;
use crate::apply::{self, Stamp};
use crate::confirm;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, contents, linux::Linux, observe, status};
use crate::names::PinPath;
use crate::record::{Rejected, Rejection};
use crate::recorded;
use clap::Args;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct Commit {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    locking: Locking,
}

/// Keeps the generation that waits, while there is time.
pub fn commit(options: &Commit, console: &Console) -> Result<Exit, Exit> {
    options.target.visit(console, |kernel, pin_root| keep(kernel, pin_root, options, console))
}

fn keep<K: Kernel>(kernel: &mut K, pin_root: &PinPath, options: &Commit, console: &Console) -> Result<Exit, Problems> {
    let _lock = options.locking.take(kernel, pin_root)?;
    match confirm::pending(kernel, pin_root)? {
        None => {
            status::exists(kernel, pin_root)?;
            Err(Problem::new(Kind::NothingToConfirm { pin_root: pin_root.clone() }).into())
        }
        Some(pending) => {
            let (generation, left) = (pending.generation, pending.left(kernel));
            // Who still waits tried no way back.
            let is_whole = left > 0 && pending.is_watched(kernel, pin_root);
            // It is too late, unless going back is what does not work.
            let back = (left == 0).then(|| tried_back(kernel, pin_root, Rejection::Unconfirmed, console));
            if back == Some(Exit::Success) {
                return Err(Problem::new(Kind::NotConfirmed { pin_root: pin_root.clone() }).into());
            }
            // It got as far as its switch, and failed behind that: there is nothing to keep any more.
            if back.is_some() && confirm::pending(kernel, pin_root)? != Some(pending) {
                return Ok(Exit::Broken);
            }
            confirm::keep(kernel, pin_root)?;
            console.has_applied();
            console.forget_outcomes();
            super::status::say(kernel, pin_root, &format!("{pin_root}: generation {generation} is kept"), console)?;
            let differs = if is_whole { Vec::new() } else { changed(kernel, pin_root, generation)? };
            match (differs.is_empty(), back) {
                (false, _) => Err(Problem::new(Kind::KeptInPart { generation, differs }).into()),
                (true, Some(Exit::Broken)) => Ok(Exit::Broken),
                (true, _) => Ok(Exit::Success),
            }
        }
    }
}

/// Returns what of a generation is not as it was made.
fn changed<K: Kernel>(kernel: &K, pin_root: &PinPath, generation: u64) -> Result<Vec<String>, Problem> {
    let Some(record) = observe::record_in(kernel, &pin_root.generation(generation)) else {
        return Ok(vec!["its record cannot be read, so that nobody knows what else differs".to_owned()]);
    };
    let contents = contents::drift(kernel, &record)?.into_iter().map(|drift| drift.to_string());
    Ok(differences(kernel, &record, pin_root)?.into_iter().chain(contents).collect())
}

/// Tries to go back to what ran before, and says why not. Returns the exit code of that.
fn tried_back<K: Kernel>(kernel: &mut K, pin_root: &PinPath, because: Rejection, console: &Console) -> Exit {
    go_back(kernel, pin_root, because, console).unwrap_or_else(|problems| console.fail(&problems, None))
}

/// Waits as the process that an apply with `--confirm` leaves behind, and goes back when nobody confirmed.
pub fn watchdog(pin_root: &str, console: &Console) -> Result<Exit, Exit> {
    let mut kernel = Linux::new();
    let pin_root = parse_pin_root(pin_root, console)?;
    watch(&mut kernel, &pin_root, console).map_err(|problems| console.fail(&problems, None))
}

/// After what time the watchdog tries again when going back failed.
const WATCHDOG_RETRY: Duration = Duration::from_secs(5);

fn watch<K: Kernel>(kernel: &mut K, pin_root: &PinPath, console: &Console) -> Result<Exit, Problems> {
    let Some((pending, because)) = confirm::watch(kernel, pin_root)? else { return Ok(Exit::Success) };
    loop {
        // Whoever has the lock ends some time, and nothing is more important.
        let lock = Locking { lock_timeout: u64::MAX / 2 }.take(kernel, pin_root)?;
        if confirm::pending(kernel, pin_root)? != Some(pending) {
            return Ok(Exit::Success);
        }
        if tried_back(kernel, pin_root, because, console) == Exit::Success {
            return Ok(Exit::Success);
        }
        // What was in the way may go away.
        drop(lock);
        std::thread::sleep(WATCHDOG_RETRY);
    }
}

/// Sees to an apply that waits to be confirmed: while somebody watches it, nothing else is done; else it is taken back.
pub fn settle<K: Kernel>(kernel: &mut K, pin_root: &PinPath, console: &Console) -> Result<(), Problems> {
    let Some(pending) = confirm::pending(kernel, pin_root)? else { return Ok(()) };
    let (pin_root, left) = (pin_root.clone(), pending.left(kernel));
    if left > 0 && pending.is_watched(kernel, &pin_root) {
        return Err(Problem::new(Kind::Unconfirmed { pin_root, left }).into());
    }
    let is_back = tried_back(kernel, &pin_root, Rejection::Unconfirmed, console) == Exit::Success;
    let kind = match is_back || confirm::pending(kernel, &pin_root)? != Some(pending) {
        true => Kind::NotConfirmed { pin_root },
        false => Kind::Unconfirmed { pin_root, left },
    };
    Err(Problem::new(kind).into())
}

/// Returns why no plan can be applied now: the last apply waits to be confirmed, or to be taken back.
pub fn unsettled<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<Problem>, Problem> {
    let Some(pending) = confirm::pending(kernel, pin_root)? else { return Ok(None) };
    let left = if pending.is_watched(kernel, pin_root) { pending.left(kernel) } else { 0 };
    Ok(Some(Problem::new(Kind::Unconfirmed { pin_root: pin_root.clone(), left })))
}

/// Goes back to what ran before an apply that waits to be confirmed.
pub fn go_back<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    because: Rejection,
    console: &Console,
) -> Result<Exit, Problems> {
    apply::finish_switch(kernel, pin_root)?;
    let (plan, stamp) = recorded::way_back(kernel, pin_root)?;
    let generation = plan.generations.current.as_ref().and_then(|current| current.generation_number(pin_root));
    let rejected = generation.map(|generation| Rejected { generation, because });
    finish(kernel, &plan, None, &Stamp { time: now(), rejected, ..stamp }, console)
}
