//! `status`: whether deployments are still what the last apply made of them.

use super::arguments::{Target, Variables};
use super::console::Console;
use super::{now, usual_bpffs};
use crate::diag::Exit;
use crate::kernel::{linux::Linux, status};
use crate::report;
use clap::Args;

#[derive(Debug, Args)]
pub struct Options {
    /// The deployment: its name, its manifest, or the folder of its pins; all of this host unless given
    deployment: Option<String>,
    /// Exit with 2 unless everything is in sync
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    variables: Variables,
}

/// Shows the state of one deployment, or of all.
pub fn run(options: Options, console: &Console) -> Result<Exit, Exit> {
    let Options { deployment, check, variables } = options;
    let asked = deployment.map(|deployment| Target { deployment, variables }.pin_root(console)).transpose()?;
    let found = status::all(&Linux::new(), asked.as_ref(), &usual_bpffs());
    let (found, problems) = found.map_err(|problem| console.fail(&problem.into(), None))?;
    console.show(|style| report::status::text(&found, now(), style), || report::status::json(&found));
    if !problems.0.is_empty() {
        return Err(console.fail(&problems, None));
    }
    Ok(if check && !found.in_sync() { Exit::Pending } else { Exit::Success })
}
