//! `import`: a manifest from what runs on this host.

use super::console::{Console, note};
use super::init::Written;
use super::usual_bpffs;
use crate::diag::{Exit, Problems};
use crate::draft::import::{self, Source};
use crate::draft::origins;
use crate::kernel::{Kernel, facts, found, linux::Linux, observe};
use crate::load;
use crate::names::DeploymentName;
use clap::Args;
use std::path::PathBuf;

/// What is imported.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    output: Written,
    /// Object files, or folders with some below them, that programs may be from
    #[arg(long, num_args = 1.., value_name = "PATH")]
    objects: Vec<PathBuf>,
}

/// Writes the manifest of the deployment that is called so, or else of what runs here and is no deployment's.
pub fn run(asked: &Import, console: &Console) -> Result<Exit, Exit> {
    let text = imported(&Linux::new(), asked).map_err(|problems| console.fail(&problems, None))?;
    asked.output.write(&text, console)
}

fn imported<K: Kernel>(kernel: &K, asked: &Import) -> Result<String, Problems> {
    let bpffs = usual_bpffs();
    let name = asked.output.name.clone();
    let objects = load::objects_below(&asked.objects)?;
    let deployment = match &name {
        Some(name) => found::deployment(kernel, &bpffs.join(name.as_str()))?,
        None => None,
    };
    let mut found = match deployment {
        Some(found) => found,
        None => {
            if let Some(name) = &name {
                note(&format!("there is no deployment `{name}`: this is what runs here and is no deployment's"));
            }
            found::others(kernel, &bpffs)?
        }
    };
    let sources = objects.iter().map(|(path, object)| Source { path: asked.output.relative(path), object });
    let sources: Vec<_> = sources.collect();
    let target = facts::target(kernel, &origins::needs(&found, &sources))?;
    origins::find(&mut found, &sources, &target);
    let constants = origins::constants(&found, &sources);
    found::read_constants(kernel, &mut found, &constants);
    let name = name.unwrap_or_else(|| DeploymentName::new("imported").expect("it is a name"));
    Ok(import::import(&name, &found, &sources, &observe::host(kernel)?))
}
