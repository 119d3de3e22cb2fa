//! `export`: writes the state of this host, for plans that are made elsewhere.

use super::arguments::{Target, Variables};
use super::console::Console;
use super::{now, others, usual_bpffs};
use crate::diag::{Exit, Kind, Problem};
use crate::kernel::export::{Asked, export};
use crate::kernel::{Kernel, linux::Linux, observe};
use crate::load;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Options {
    /// A deployment, by which the bpffs is found: its name, its manifest, or the folder of its pins; the usual bpffs unless
    /// given. Every deployment on it is in the state
    deployment: Option<String>,
    /// Write the state into this file, which only its owner may read, and not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// With what the maps hold that are pinned, but for those whose contents are secret
    #[arg(long)]
    contents: bool,
    #[command(flatten)]
    variables: Variables,
}

/// Writes the state of this host.
pub fn run(options: Options, console: &Console) -> Result<Exit, Exit> {
    let Options { deployment, out, contents, variables } = options;
    let kernel = Linux::new();
    let pin_root = match deployment {
        Some(deployment) => {
            // A manifest may be of a deployment that is yet to come; who names one means one that is there.
            let is_manifest = Path::new(&deployment).is_file();
            let pin_root = Target { deployment, variables }.pin_root(console)?;
            if !is_manifest && kernel.read_symlink(&pin_root).is_err() {
                return Err(console.fail(&Problem::new(Kind::NoDeployment { pin_root }).into(), None));
            }
            Some(pin_root)
        }
        None => None,
    };
    let bpffs = match &pin_root {
        Some(pin_root) => observe::bpffs_of(&kernel, pin_root, &usual_bpffs()),
        None => Ok(usual_bpffs()),
    };
    let state = bpffs.and_then(|bpffs| {
        others::tell_of_state(&kernel, &bpffs);
        export(&kernel, &Asked { bpffs, contents, time: now() })
    });
    let text = state.map_err(|problem| console.fail(&problem.into(), None))?.encode();
    match &out {
        Some(path) => load::store(&text, path).map_err(|problem| console.fail(&problem.into(), None))?,
        None => console.print(&text),
    }
    Ok(Exit::Success)
}
