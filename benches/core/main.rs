//! How long an apply of objects full of CO-RE relocations takes, beside the least that any loader could need.
//!
//! `cargo bench --bench core` makes four objects with more than 7,000 relocations (module [`workload`]), writes down
//! what the kernel has to be asked for them ([`floor`]), and runs two processes in turn: the tool, and this program as
//! the floor, which only asks that. It prints the medians and the median of the ratios, pair by pair. It needs root,
//! clang, bpftool and the headers of libbpf, and leaves nothing behind: all runs are in mounts of their own.
//!
//! `core make FOLDER` and `core floor FOLDER` do the parts, for other ways to measure; both need a bpffs of their own.

mod floor;
mod workload;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BPFFS: &str = "/sys/fs/bpf";
/// How many pairs are counted, after one that is not.
const PAIRS: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder] => make(Path::new(folder)),
        ["floor", folder] => floor::replay(Path::new(folder)),
        // What cargo adds, and a filter.
        _ => measure(),
    }
}

fn make(folder: &Path) -> Result<(), Box<dyn Error>> {
    let relocations = workload::make(folder)?;
    floor::record(folder)?;
    println!("{relocations} relocations in {} objects", workload::OBJECTS);
    Ok(())
}

fn measure() -> Result<(), Box<dyn Error>> {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return Ok(());
    }
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let folder = tempfile::tempdir()?;
    with_bpffs(|| make(folder.path()))?;
    let tool = || run(Command::new(env!("CARGO_BIN_EXE_bpfapply")).arg(folder.path().join(workload::MANIFEST)));
    let floor = || run(Command::new(std::env::current_exe()?).arg("floor").arg(folder.path()));
    let mut pairs = Vec::new();
    for _ in 0..=PAIRS {
        pairs.push((with_bpffs(tool)?, with_bpffs(floor)?));
    }
    let counted = &pairs[1..];
    let of = |number: fn(&(Duration, Duration)) -> f64| median(counted.iter().map(number).collect());
    println!(
        "apply {:.1} ms, floor {:.1} ms, ratio {:.2} (medians of {PAIRS} pairs)",
        of(|(tool, _)| tool.as_secs_f64() * 1e3),
        of(|(_, floor)| floor.as_secs_f64() * 1e3),
        of(|(tool, floor)| tool.as_secs_f64() / floor.as_secs_f64()),
    );
    Ok(())
}

/// Runs something with an empty bpffs, which goes afterwards with all that was pinned.
fn with_bpffs<T>(body: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), None::<&str>)?;
    let result = body();
    umount2(BPFFS, MntFlags::MNT_DETACH)?;
    result
}

/// Runs a command to its end and tells how long that took.
fn run(command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status()?;
    let needed = start.elapsed();
    match status.success() {
        true => Ok(needed),
        false => Err(format!("{command:?}: {status}").into()),
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
