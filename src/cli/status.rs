//! `status`: whether deployments are still what the last apply made of them.

use super::arguments::{Target, Variables, meant};
use super::console::Console;
use super::{now, usual_bpffs};
use crate::diag::{Exit, Problem};
use crate::kernel::{Kernel, linux::Linux, status};
use crate::names::PinPath;
use crate::report::{self, status::Deployments};
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
    let kernel = Linux::new();
    let found = status::all(&kernel, asked.as_ref(), &usual_bpffs());
    let (found, problems) = found.map_err(|problem| console.fail(&meant(&kernel, problem).into(), None))?;
    console.show(|style| report::status::text(&found, now(), style), || report::status::json(&found));
    if !problems.0.is_empty() {
        return Err(console.fail(&problems, None));
    }
    Ok(if check && !found.in_sync() { Exit::Pending } else { Exit::Success })
}

/// Says what a command found of a deployment or did to it, where that is no plan: to people in words, and to programs how
/// the deployment fares now.
pub fn say<K: Kernel>(kernel: &K, pin_root: &PinPath, words: &str, console: &Console) -> Result<(), Problem> {
    let found = match console.writes_json() {
        true => status::all(kernel, Some(pin_root), &usual_bpffs())?.0,
        false => Deployments::default(),
    };
    console.show(|_| words.to_owned(), || report::status::json(&found));
    console.file(words, || report::status::json(&found));
    Ok(())
}
