//! `show`: what a deployment has, and what one of its maps holds.

use super::arguments::Target;
use super::console::Console;
use super::{entries, usual_bpffs};
use crate::diag::{Exit, Kind, Problem};
use crate::kernel::linux::Linux;
use crate::kernel::{self, shown};
use crate::report;
use clap::Args;
use std::path::Path;

/// What is shown.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    target: Target,
    /// The entries of this map. Alone, without a deployment, of the one on this host that has such a map
    #[arg(value_name = "map.NAME")]
    map: Option<String>,
    #[command(flatten)]
    entries: entries::Options,
}

/// Shows a deployment, or the entries of one of its maps.
pub fn run(asked: &Show, console: &Console) -> Result<Exit, Exit> {
    let deployment = asked.target.deployment.as_str();
    let fail = |problem: Problem| console.fail(&problem.into(), None);
    match (&asked.map, deployment.strip_prefix("map.")) {
        (Some(address), _) => match address.strip_prefix("map.") {
            Some(map) => asked.target.visit(console, |kernel, pin_root| {
                let map = kernel::entries::open(kernel, pin_root, map, asked.entries.reveal)?;
                entries::run(kernel, &map, &asked.entries, console)
            }),
            None => Err(fail(usage(format!("only the entries of maps are shown: `{address}` is no map.NAME")))),
        },
        (None, Some(map)) if !Path::new(deployment).is_file() => {
            let kernel = Linux::new();
            let shown = kernel::entries::find(&kernel, &usual_bpffs(), map)
                .and_then(|pin_root| kernel::entries::open(&kernel, &pin_root, map, asked.entries.reveal))
                .and_then(|map| entries::run(&kernel, &map, &asked.entries, console));
            shown.map_err(|problems| console.fail(&problems, None))
        }
        (None, _) if asked.entries.is_given() => {
            Err(fail(usage("--limit, --sum, --watch and --reveal are about the entries of a map.NAME".to_owned())))
        }
        (None, _) => asked.target.visit(console, |kernel, pin_root| {
            let (record, observed) = shown::recorded(kernel, pin_root)?;
            let shown = shown::shown(kernel, pin_root, &record, &observed)?;
            console.show(|style| report::show::text(&shown, style), || report::show::json(&shown));
            Ok(Exit::Success)
        }),
    }
}

fn usage(what: String) -> Problem {
    Problem::new(Kind::Usage(what))
}
