//! Replays what fuzzing found: each file of `tests/corpus/TARGET` once made that target of `fuzz/` fail.
//!
//! Also each seed as it is and with a few bytes changed, so that the targets themselves keep working.

#[path = "corpus/host.rs"]
mod host;
#[path = "corpus/packets.rs"]
mod packets;
#[path = "corpus/seeds.rs"]
mod seeds;
#[path = "corpus/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The time on a CPU that no input of 64 KiB may need. Tests are not optimised, so that this is generous.
const LIMIT: Duration = Duration::from_secs(5);
/// How often each seed is changed, and for how long in all for one target.
const ROUNDS: usize = 20;
const BUDGET: Duration = Duration::from_millis(250);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Gives the input to the target, in bounded time.
#[track_caller]
fn check(target: &targets::Target, name: &str, input: &[u8]) {
    let start = on_cpu();
    (target.run)(input);
    let needed = on_cpu().saturating_sub(start);
    assert!(needed < LIMIT, "{} needs {needed:?} for {name}", target.name);
}

/// Returns how long this thread was on a CPU: others share the machine.
fn on_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

#[test]
fn findings_stay_mended() {
    for target in targets::TARGETS {
        let folder = root().join("tests/corpus").join(target.name);
        // A target without findings has no folder.
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("the folder can be read").path();
            check(target, &path.display().to_string(), &fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn changed_seeds_are_taken() {
    let files = seeds::Files::read(root()).expect("the seeds can be read");
    for target in targets::TARGETS {
        let end = Instant::now() + BUDGET;
        let seeds = (target.seeds)(&files);
        assert!(seeds.len() > 1, "{} has seeds", target.name);
        let mut random = Random(1);
        for round in 0..ROUNDS {
            for (name, seed) in &seeds {
                if Instant::now() > end {
                    break;
                }
                let mut input = seed.clone();
                for _ in 0..round {
                    let at = random.below(input.len());
                    let new = [0, 1, 0x7f, 0xff, random.below(256) as u8][random.below(5)];
                    // A seed may be empty.
                    input.iter_mut().skip(at).take(1).for_each(|byte| *byte = new);
                }
                check(target, name, &input);
            }
        }
    }
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}
