//! `--dry-run`: shows the plan, saves it, and says how to apply exactly it.

use super::apply::Options;
use super::arguments::consents;
use super::confirm::unsettled;
use super::console::{Console, Output, note};
use super::explain;
use super::health::warn_of_takeovers;
use super::loaded::Loaded;
use super::others;
use super::planned::{Planned, other_plan, plan_live, plan_offline, plan_recorded};
use crate::apply;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::explain::{Codes, Explained};
use crate::kernel::{Kernel, codes, observe, recorded::Recorded};
use crate::load;
use crate::names::Digest;
use crate::plan::{Action, Consent, Mode, Plan};
use crate::saved::{self, SavedHost, SavedManifest, SavedPlan};
use crate::traffic::Replay;
use std::collections::BTreeMap;
use std::mem::{self, ManuallyDrop};

/// Shows the plan without any kernel: for an empty host, or against the state of one.
pub fn offline(loaded: &Loaded, options: &Options, console: &Console) -> Result<Exit, Problems> {
    if options.out.is_some() || options.saved.is_some() {
        let what = "a saved plan is for one host: leave `=offline` out".to_owned();
        return Err(Problem::new(Kind::Usage(what)).into());
    }
    if options.traffic.traffic.is_some() {
        let what = "packets run through programs in a kernel: leave `=offline` or `--traffic` out".to_owned();
        return Err(Problem::new(Kind::Usage(what)).into());
    }
    if let Some(file) = &options.against {
        let recorded = Recorded(load::state(file)?);
        let mut planned = plan_recorded(&recorded, loaded)?;
        planned.plan.given = consents(&options.allow);
        planned.plan.awaits_tests = loaded.manifest.require_tests;
        let explained = options.explain.of(&recorded, &planned)?;
        return show(&planned.plan, BTreeMap::new(), &explained, None, loaded, options, console);
    }
    let mut planned = plan_offline(&loaded.manifest, loaded.folder())?;
    planned.plan.given = consents(&options.allow);
    planned.plan.awaits_tests = loaded.manifest.require_tests;
    let Planned { plan, desired, observed, .. } = &planned;
    let asked = options.explain.asked(plan)?;
    let explained = options.explain.explained(&asked, (plan, desired, observed), &Codes::default());
    show(plan, BTreeMap::new(), &explained, None, loaded, options, console)
}

/// Plans for this host.
pub fn live<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    traffic: Option<Box<Replay>>,
    options: &Options,
    console: &Console,
) -> Result<Exit, Problems> {
    let mut planned = plan_beside_others(kernel, loaded, options)?;
    let unsettled = unsettled(kernel, &loaded.manifest.pin_root)?;
    planned.plan.traffic = traffic;
    planned.plan.awaits_tests = loaded.manifest.require_tests;
    let explained = options.explain.of(kernel, &planned)?;
    show(&planned.plan, planned.entries.clone(), &explained, unsettled, loaded, options, console)
}

/// Plans for this host, and lets its verifier judge every program that the plan loads. All of it is dropped again; nothing
/// that exists is changed, so no lock is needed.
pub fn verify<K: Kernel>(
    kernel: &mut K,
    loaded: &Loaded,
    traffic: Option<Box<Replay>>,
    options: &Options,
    console: &Console,
) -> Result<Exit, Problems> {
    let mut planned = plan_beside_others(kernel, loaded, options)?;
    let unsettled = unsettled(kernel, &loaded.manifest.pin_root)?;
    planned.plan.traffic = traffic;
    let asked = options.explain.asked(&planned.plan)?;
    let mut codes = codes::running(kernel, &planned.plan, &asked);
    let mut rehearsed = apply::rehearse(kernel, &planned.plan);
    planned.plan.verdicts = Some(mem::take(&mut rehearsed.verdicts));
    let refused = rehearsed.problems();
    codes::add_rehearsed(kernel, &mut codes, &asked, &rehearsed.programs, &rehearsed.maps)
        .map_err(|error| observe::refused("read the programs that were loaded", &error, observe::READ))?;
    // Before anybody reads that nothing of it is there.
    drop(rehearsed);
    let Planned { plan, desired, observed, .. } = &*planned;
    warn_of_untried(plan);
    let explained = options.explain.explained(&asked, (plan, desired, observed), &codes);
    if !refused.0.is_empty() {
        explain::show(plan, loaded, &explained, console);
        return Err(refused);
    }
    show(plan, planned.entries.clone(), &explained, unsettled, loaded, options, console)
}

/// Says of which links nobody knows that this kernel makes them, as nothing is attached here.
fn warn_of_untried(plan: &Plan) {
    for step in &plan.steps {
        if let Action::Attach { link, .. } | Action::Reattach { link, .. } = &step.action
            && link.hook.shows_when_attached()
        {
            note(&format!("link.{}: not tried, which only attaching does: {}", link.name, link.hook.may_lack()));
        }
    }
}

fn plan_beside_others<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    options: &Options,
) -> Result<ManuallyDrop<Planned>, Problems> {
    others::tell(kernel, &loaded.manifest.pin_root);
    let mut planned = plan_live(kernel, loaded, options.no_mount)?;
    planned.plan.given = consents(&options.allow);
    Ok(planned)
}

fn show(
    plan: &Plan,
    entries: BTreeMap<String, Digest>,
    explained: &[Explained],
    unsettled: Option<Problem>,
    loaded: &Loaded,
    options: &Options,
    console: &Console,
) -> Result<Exit, Problems> {
    explain::show(plan, loaded, explained, console);
    if !loaded.manifest.checks.is_empty() {
        warn_of_takeovers(plan);
    }
    other_plan(plan, loaded, options.expect)?;
    if let Some(problem) = unsettled {
        return Err(problem.into());
    }
    if let Some(path) = &options.out {
        load::store(&saved(plan, entries, loaded)?.encode(), path)?;
    }
    if console.output == Output::Text && plan.mode != Mode::Offline && !plan.is_empty() {
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
    let lacks: Vec<String> = plan.asks().iter().map(Consent::to_string).collect();
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
