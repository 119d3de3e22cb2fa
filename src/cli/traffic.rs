//! `--traffic`: runs captured packets through copies of the programs of a plan, and of what they were before.

use super::arguments::Variables;
use super::console::Console;
use super::loaded::{self, Loaded};
use super::test::base;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::Kernel;
use crate::load;
use crate::packet_tests;
use crate::traffic::Replay;
use clap::Args;
use std::path::PathBuf;

/// Which packets.
#[derive(Debug, Args)]
pub struct Packets {
    /// With --dry-run: run the packets of this pcap or pcapng file through copies of the programs, with maps of their own,
    /// and say which verdicts they get
    #[arg(long, requires = "dry_run", value_name = "FILE")]
    pub traffic: Option<PathBuf>,
    /// With --traffic: the manifest as it was before, beside its objects; says which packets get another verdict
    #[arg(long, requires = "traffic", value_name = "MANIFEST")]
    pub before: Option<PathBuf>,
}

/// Runs the packets; none where nobody asks.
pub fn replay<K: Kernel>(
    kernel: &mut K,
    loaded: &Loaded,
    (options, variables): (&Packets, &Variables),
    console: &Console,
) -> Result<Option<Box<Replay>>, Exit> {
    let Some(file) = &options.traffic else { return Ok(None) };
    let of_new = |problems: Problems| console.fail(&problems, Some(&loaded.source()));
    let shown = file.display().to_string();
    let packets = load::capture(file).map_err(|why| {
        let kind = Kind::UnreadableFile { path: shown.clone(), why };
        console.fail(&Problem::new(kind).into(), None)
    })?;
    let old = match &options.before {
        Some(path) => Some(loaded::load(path, variables, console)?),
        None => None,
    };
    let of_old = |problems: Problems| console.fail(&problems, old.as_ref().map(Loaded::source).as_ref());
    let new = base(kernel, loaded).map_err(of_new)?;
    let before = match &old {
        Some(old) => Some((old.path.display().to_string(), base(kernel, old).map_err(of_old)?)),
        None => None,
    };
    let before = before.as_ref().map(|(path, base)| (path.as_str(), base));
    let replay = packet_tests::replay(kernel, (&shown, &packets), &new, before);
    match replay {
        Ok(replay) => Ok(Some(Box::new(replay))),
        Err((true, problems)) => Err(of_old(problems)),
        Err((false, problems)) => Err(of_new(problems)),
    }
}
