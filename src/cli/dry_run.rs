//! `--dry-run`: shows the plan, saves it, and says how to apply exactly it.

use super::apply::Options;
use super::console::{Console, Output};
use super::loaded::Loaded;
use super::planned::{other_plan, plan_live};
use super::usual_bpffs;
use crate::desired;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::elf;
use crate::kernel::Kernel;
use crate::load;
use crate::manifest::Manifest;
use crate::names::Digest;
use crate::observed::Observed;
use crate::plan::{self, Consent, Mode, Plan};
use crate::report::text::Purpose;
use crate::saved::{self, SavedHost, SavedManifest, SavedPlan};
use crate::spec::Host;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is assumed of the host where there is none: one CPU, small pages, a bpffs where everybody mounts it.
pub const NO_HOST: Host = Host { possible_cpus: 1, most_cpus: u32::MAX, page_size: 4096 };

/// Plans for an empty host, without any kernel.
pub fn offline(loaded: &Loaded, options: &Options, console: &Console) -> Result<Exit, Problems> {
    if options.out.is_some() || options.saved.is_some() {
        let what = "a saved plan is for one host: leave `=offline` out".to_owned();
        return Err(Problem::new(Kind::Usage(what)).into());
    }
    show(&plan_offline(&loaded.manifest, loaded.folder())?, BTreeMap::new(), loaded, options, console)
}

/// Makes the plan of a manifest for an empty host, without any kernel; its paths are relative to `folder`.
pub fn plan_offline(manifest: &Manifest, folder: &Path) -> Result<Plan, Problems> {
    let (pin_root, usual) = (&manifest.pin_root, usual_bpffs());
    let bpffs = if pin_root.is_below(&usual) { usual } else { pin_root.parent().unwrap_or(usual) };
    let files = load::files(manifest, folder)?;
    let desired = desired::resolve(manifest, files, &bpffs, &NO_HOST, &elf::Target::offline())?.unseen()?;
    plan::plan(&desired, &Observed::nothing(NO_HOST), Mode::Offline)
}

/// Plans for this host.
pub fn live<K: Kernel>(kernel: &K, loaded: &Loaded, options: &Options, console: &Console) -> Result<Exit, Problems> {
    let planned = plan_live(kernel, loaded, options.no_mount)?;
    show(&planned.plan, planned.entries.clone(), loaded, options, console)
}

fn show(
    plan: &Plan,
    entries: BTreeMap<String, Digest>,
    loaded: &Loaded,
    options: &Options,
    console: &Console,
) -> Result<Exit, Problems> {
    console.plan(plan, Some(loaded), Purpose::DryRun);
    other_plan(plan, loaded, options.expect)?;
    if let Some(path) = &options.out {
        load::store(&saved(plan, entries, loaded)?, path)?;
    }
    if console.output == Output::Text && plan.mode == Mode::Live && !plan.is_empty() {
        console.print(&format!("apply exactly this: {}", exactly(plan, loaded, options)));
    }
    Ok(match options.check && !plan.is_empty() {
        true => Exit::Pending,
        false => Exit::Success,
    })
}

/// Makes of a plan what can be applied later.
fn saved(plan: &Plan, entries: BTreeMap<String, Digest>, loaded: &Loaded) -> Result<SavedPlan, Problems> {
    Ok(SavedPlan {
        format: saved::FORMAT,
        id: plan.id,
        manifest: SavedManifest { path: loaded.absolute_path(), text: loaded.text.clone() },
        variables: loaded.vars.clone(),
        objects: plan.objects.iter().map(|(name, facts)| (name.to_string(), facts.sha256)).collect(),
        entries,
        host: SavedHost::of(plan, load::boot()?),
    })
}

/// Writes the command that applies a plan and no other.
fn exactly(plan: &Plan, loaded: &Loaded, options: &Options) -> String {
    let mut words = vec!["bpfapply".to_owned()];
    let saved = options.out.as_ref().or(options.saved.as_ref());
    match saved {
        // It has its variables and its id.
        Some(file) => words.extend(["--plan".to_owned(), file.display().to_string()]),
        None => {
            words.push(loaded.path.display().to_string());
            let files = options.variables.var_file.iter().map(|file| ("--var-file", file.display().to_string()));
            let pairs = options.variables.vars.iter().map(|pair| ("--var", pair.clone()));
            let id = ("--expect", plan.id.to_string());
            words.extend(files.chain(pairs).chain([id]).flat_map(|(flag, value)| [flag.to_owned(), value]));
        }
    }
    let lacks: Vec<String> = plan.lacks(&BTreeSet::new()).iter().map(Consent::to_string).collect();
    if !lacks.is_empty() {
        words.extend(["--allow".to_owned(), lacks.join(",")]);
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell where it needs that.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./,:=+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
