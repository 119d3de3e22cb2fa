//! `validate`: what is wrong with manifests and their objects, wherever there is no host to ask.

use super::arguments::Variables;
use super::console::Console;
use super::loaded::{folder, source};
use super::planned::plan_offline;
use crate::diag::{Exit, Problems, Source};
use crate::load;
use crate::manifest::Manifest;
use crate::plan::words::count;
use crate::report::problems::Checked;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is checked.
#[derive(Debug, Args)]
pub struct Validate {
    /// The manifests; `-` reads standard input, with paths from this folder
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    variables: Variables,
}

/// Checks each manifest, and says every problem of each.
pub fn run(asked: &Validate, console: &Console) -> Result<Exit, Exit> {
    let Variables { vars, var_file } = &asked.variables;
    let vars = load::variables(var_file, vars).map_err(|problems| console.fail(&problems, None))?;
    let checked: Vec<Checked> = asked.manifests.iter().map(|path| check(path, &vars)).collect();
    console.checked(&checked);
    let exits = checked.iter().filter_map(|checked| checked.found.as_ref().err()).map(Problems::exit);
    Ok(exits.max().unwrap_or(Exit::Success))
}

fn check(path: &Path, vars: &BTreeMap<String, String>) -> Checked {
    let is_stream = path == Path::new("-");
    let file = if is_stream { load::STANDARD_INPUT.to_owned() } else { path.display().to_string() };
    let text = match if is_stream { load::standard_input() } else { load::text(path) } {
        Ok(text) => text,
        Err(problems) => {
            let source = Source::new(&file, "");
            return Checked { file, source, found: Err(problems) };
        }
    };
    let found = load::manifest(&text, vars, folder(path)).and_then(|manifest| {
        plan_offline(&manifest, folder(path))?;
        Ok(contents(&manifest))
    });
    Checked { source: source(Path::new(&file), &text), file, found }
}

/// Says what a manifest has: `2 objects, 1 map, 3 programs, 3 links`.
fn contents(manifest: &Manifest) -> String {
    let tables = [
        (manifest.objects.len(), "object"),
        (manifest.maps.len(), "map"),
        (manifest.programs.len(), "program"),
        (manifest.links.len(), "link"),
    ];
    tables.map(|(number, noun)| count(number as u64, noun)).join(", ")
}
