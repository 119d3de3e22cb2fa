//! The lock that keeps two of us apart: how long it is waited for, and who has it.
//!
//! It is one `flock` on the root folder of the deployment's bpffs, and so there is one for all deployments there and
//! for the hooks that they share. There is no lock file that could be left behind, and nothing to unlock by force: the
//! kernel gives it back when its holder ends, however that comes.
//!
//! Where no bpffs is mounted yet, the lock is on the folder that one will be mounted on. From the mount on, the path
//! means another folder, the root of the new bpffs, and whoever asks then must not get that one while the first run is
//! still at work: so [`Kernel::mount_bpffs`] has the new root locked before anybody can see it. Those who waited for
//! the covered folder meanwhile see, when they get it, that the path means another one now ([`Kernel::lock`]), and go
//! on waiting for that.

use super::Kernel;
use super::observe::refused;
use crate::diag::{Kind, LockHolder, PRIVILEGES, Problem};
use crate::names::PinPath;
use std::thread;
use std::time::{Duration, Instant};

/// After what time a lock that somebody has is tried again.
const EVERY: Duration = Duration::from_millis(20);
/// After what time somebody at a terminal wants to know what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// Takes the lock of a folder; waits for whoever has it, but not longer than the limit. `waits` is called once when
/// that needs longer than a second, with the holder if it can be found.
///
/// # Errors
/// [`Kind::Locked`] when the time is over, or the kernel's error.
pub fn take<K: Kernel>(
    kernel: &K,
    folder: &PinPath,
    limit: Duration,
    waits: impl FnOnce(Option<&LockHolder>),
) -> Result<K::Lock, Problem> {
    let (start, mut waits) = (Instant::now(), Some(waits));
    // Who cannot be asked about cannot be named.
    let holder = || kernel.lock_holder(folder).unwrap_or_default();
    loop {
        let lock = kernel.lock(folder);
        if let Some(lock) = lock.map_err(|error| refused(format!("lock `{folder}`"), &error, PRIVILEGES))? {
            return Ok(lock);
        }
        let waited = start.elapsed();
        if waited >= limit {
            let kind = Kind::Locked { folder: folder.clone(), holder: holder(), waited: waited.as_secs() };
            return Err(Problem::new(kind));
        }
        if waited >= SILENCE
            && let Some(waits) = waits.take()
        {
            waits(holder().as_ref());
        }
        thread::sleep(EVERY.min(limit - waited));
    }
}

/// Finds who holds the `flock` of a file in the text of `/proc/locks` (proc_locks(5)), which leaves out who is in
/// another pid namespace.
pub(super) fn holder(locks: &str, (major, minor): (u32, u32), inode: u64) -> Option<u32> {
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        // Who waits has an arrow here.
        (words.next()? == "FLOCK").then_some(())?;
        let pid = words.nth(2)?;
        (words.next()? == file).then_some(())?;
        pid.parse().ok()
    })
}

/// Returns when a process started, in ticks since boot, of its `/proc/PID/stat` (proc_pid_stat(5)).
pub(super) fn start_ticks(stat: &str) -> Option<u64> {
    // The name of the command is in parentheses, and may have some itself, and blanks.
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::fake::Fake;

    #[test]
    fn who_waits_holds_nothing() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 00:1b:2 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 11 00:1c:2 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 12 00:1b:2 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 00:1b:2 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE -1 00:1b:9 0 EOF\n\
                     5: FLOCK\n";
        for (device, inode, pid) in [((0, 0x1b), 2, Some(13)), ((0, 0x1c), 2, Some(11)), ((0, 0x1b), 9, None)] {
            assert_eq!(holder(locks, device, inode), pid, "{device:?} {inode}");
        }
    }

    #[test]
    fn a_command_may_have_any_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n";
        assert_eq!(start_ticks(stat), Some(4711));
        for bad in ["", "42 (a", "42 (a) S 1"] {
            assert_eq!(start_ticks(bad), None, "{bad:?}");
        }
    }

    fn root() -> PinPath {
        PinPath::new("/sys/fs/bpf").expect("a path")
    }

    #[test]
    fn who_does_not_wait_is_told_who_has_it() {
        let fake = Fake::new();
        let lock = fake.lock(&root()).expect("it can be asked for").expect("nobody has it");
        let never = |_: Option<&LockHolder>| panic!("it does not wait");
        let problem = take(&fake, &root(), Duration::ZERO, never).expect_err("somebody has it");
        assert!(matches!(*problem.kind, Kind::Locked { holder: Some(_), waited: 0, .. }), "{}", problem.kind);
        drop(lock);
        take(&fake, &root(), Duration::ZERO, never).expect("nobody has it any more");
    }

    /// What the holder of the lock does while it is waited for.
    const MEANWHILE: &[fn(&mut Fake)] = &[|_| (), |fake| fake.mount_bpffs(&root()).expect("there is none")];

    #[test]
    fn who_waits_is_told_once_and_gets_the_lock_of_what_the_path_means_then() {
        for happens in MEANWHILE {
            let mut fake = Fake::without_bpffs();
            let held = fake.lock(&root()).expect("it can be asked for").expect("nobody has it");
            let mut clone = fake.clone();
            let lock = take(&fake, &root(), Duration::from_secs(60), |holder| {
                assert!(holder.is_some());
                happens(&mut clone);
                drop(held);
            });
            let _lock = lock.expect("it is given back");
            assert!(fake.lock(&root()).expect("it can be asked for").is_none(), "it is the folder of now");
            // The folder below is free.
            if fake.is_bpffs(&root()).expect("it is there") {
                fake.unmount_bpffs(&root()).expect("it is mounted");
                assert!(fake.lock(&root()).expect("it can be asked for").is_some());
            }
        }
    }
}
