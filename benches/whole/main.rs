//! Times whole processes against a floor: the same system calls on ready bytes, without anything around them.
//!
//! ```text
//! cargo bench --bench whole            # as root, with clang, bpftool and libbpf's headers; every workload
//! cargo bench --bench whole -- many    # one of them
//! ```
//!
//! What runs is the release build of the tool and this program itself as the floor, in turn, in a private mount and
//! network namespace with a new bpffs for each run. The ratio of the medians is what counts: both were measured in the
//! same minute on the same machine.

mod core;
mod floor;
mod many;
mod process;

use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{facts, observe};
use bpfapply::names::PinPath;
use bpfapply::observed::{Observed, Wanted};
use bpfapply::plan::{Mode, Plan};
use bpfapply::{desired, load, manifest, plan};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs, io, thread};

const BPFFS: &str = "/sys/fs/bpf";

/// Makes a workload in a folder and returns the path of its manifest.
type Make = fn(&Path) -> Result<PathBuf, Box<dyn Error>>;

/// How often each of two commands runs.
const RUNS: usize = 15;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--floor", calls] => replay(calls, false),
        ["--floor-looks", calls] => replay(calls, true),
        ["--record", manifest] => record(Path::new(manifest)),
        ref names => measure(names),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(calls: &str, close: bool) -> Result<(), Box<dyn Error>> {
    Ok(floor::run(&mut fs::read(calls)?, close)?)
}

fn measure(names: &[&str]) -> Result<(), Box<dyn Error>> {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: loading programs needs root");
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("whole");
    for (name, make) in [("many", many::make as Make), ("core", core::make)] {
        if names.is_empty() || names.contains(&name) {
            workload(name, &make(&folder.join(name))?)?;
        }
    }
    Ok(())
}

/// Measures the first apply, with one core and with all, and an apply that finds nothing to do.
fn workload(name: &str, manifest: &Path) -> Result<(), Box<dyn Error>> {
    let (calls, looks) = calls_of(manifest);
    let own = env::current_exe()?;
    {
        // In a process of its own: what this one has in memory, its children are said to have had.
        let _bpffs = Bpffs::new()?;
        process::Job::new(&own, ["--record".as_ref(), manifest.as_os_str()]).run()?;
    }
    let tool = process::Job::new(env!("CARGO_BIN_EXE_bpfapply").as_ref(), [manifest.as_os_str()]);
    let floor = process::Job::new(&own, ["--floor".as_ref(), calls.as_os_str()]);
    let looking = process::Job::new(&own, ["--floor-looks".as_ref(), looks.as_os_str()]);
    println!("{name}: medians of {RUNS} runs in turn");
    first_applies("first apply, one core", &tool.on_one_core(), &floor.on_one_core())?;
    first_applies("first apply, all cores", &tool, &floor.on_one_core())?;
    later_applies("nothing to do, one core", &tool.on_one_core(), &looking.on_one_core())?;
    later_applies("nothing to do, all cores", &tool, &looking.on_one_core())?;
    Ok(())
}

/// Returns the paths of the two files of calls that belong to a manifest.
fn calls_of(manifest: &Path) -> (PathBuf, PathBuf) {
    (manifest.with_extension("calls"), manifest.with_extension("looks"))
}

/// Writes down what the floor does for a manifest.
fn record(manifest: &Path) -> Result<(), Box<dyn Error>> {
    let plan = planned(manifest)?;
    let (calls, looks) = calls_of(manifest);
    fs::write(&calls, floor::record(&plan)?)?;
    let pins = plan.steps.iter().filter_map(|step| pin_of(&step.action));
    Ok(fs::write(&looks, floor::record_looks(pins))?)
}

fn pin_of(action: &plan::Action) -> Option<&PinPath> {
    match action {
        plan::Action::CreateMap { map, .. } => map.pin(),
        plan::Action::LoadProgram { program, .. } => Some(&program.pin),
        _ => None,
    }
}

/// Plans for a host that has nothing, as the tool does.
fn planned(path: &Path) -> Result<Plan, Box<dyn Error>> {
    let kernel = Linux::new();
    fn failed(problems: impl std::fmt::Debug) -> String {
        format!("{problems:?}")
    }
    let manifest = manifest::parse(&fs::read_to_string(path)?, &BTreeMap::new()).map_err(failed)?;
    let host = observe::host(&kernel).map_err(failed)?;
    let files = load::files(&manifest, path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
    let target = facts::target(&kernel, &desired::needs(&manifest, &files)).map_err(failed)?;
    let bpffs = PinPath::new(BPFFS).expect("it is a path");
    let desired = desired::resolve(&manifest, files, &bpffs, &host, &target).map_err(failed)?;
    let observed: Observed = observe::observe(&kernel, &Wanted::of(&desired)).map_err(failed)?;
    Ok(plan::plan(&desired, &observed, Mode::Live).map_err(failed)?)
}

/// Compiles C with clang, as the examples are compiled.
fn compile(source: &Path, object: &Path, flags: &[&str]) -> io::Result<()> {
    let status = Command::new("clang")
        .args(["-O2", "-g", "-mcpu=v3", "--target=bpfel"])
        .arg(format!("-I/usr/include/{}-linux-gnu", env::consts::ARCH))
        .args(flags)
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(object)
        .status()?;
    match status.success() {
        true => Command::new("llvm-strip").arg("-g").arg(object).status().map(drop),
        false => Err(io::Error::other(format!("clang does not compile {}", source.display()))),
    }
}

/// A bpffs of its own, with nothing in it, until it is dropped.
struct Bpffs;

impl Bpffs {
    fn new() -> nix::Result<Self> {
        mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), None::<&str>).map(|()| Self)
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        // What is pinned goes with the mount, some time later.
        let _ = umount2(BPFFS, MntFlags::MNT_DETACH);
        thread::sleep(Duration::from_millis(200));
    }
}

/// Runs both commands in turn, each in a bpffs of its own, and prints what they took.
fn first_applies(what: &str, tool: &process::Job, floor: &process::Job) -> Result<(), Box<dyn Error>> {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (job, took) in [tool, floor].into_iter().zip(&mut took) {
            let _bpffs = Bpffs::new()?;
            took.push(job.run()?);
        }
    }
    print(what, took);
    Ok(())
}

/// Runs both commands in turn where the tool has been before.
fn later_applies(what: &str, tool: &process::Job, floor: &process::Job) -> Result<(), Box<dyn Error>> {
    let _bpffs = Bpffs::new()?;
    tool.run()?;
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (job, took) in [tool, floor].into_iter().zip(&mut took) {
            took.push(job.run()?);
        }
    }
    print(what, took);
    Ok(())
}

/// Prints medians, the median of the ratios of two runs that followed each other, and the tool's largest memory.
fn print(what: &str, [tool, floor]: [Vec<process::Took>; 2]) {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let ratio = |of: fn(&process::Took) -> Duration| {
        median(tool.iter().zip(&floor).map(|(tool, floor)| ms(of(tool)) / ms(of(floor))).collect())
    };
    let middle = |took: &[process::Took]| median(took.iter().map(|took| ms(took.wall)).collect());
    let memory = tool.iter().map(|took| took.memory).max().unwrap_or_default() as f64 / 1024.0;
    println!(
        "  {what:<25} {:>5.2} x floor ({:.2} x its cpu time), tool {:>6.1} ms, {memory:.1} MiB, floor {:>6.1} ms",
        ratio(|took| took.wall),
        ratio(|took| took.cpu),
        middle(&tool),
        middle(&floor),
    );
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
