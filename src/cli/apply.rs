//! `apply`: makes the host match the manifest.

use super::arguments::{Allow, Locking, Variables, consents};
use super::confirm::{go_back, settle};
use super::console::{Console, note};
use super::explain::Explain;
use super::finish::finish;
use super::health::{Health, warn_of_takeovers};
use super::loaded::{self, Loaded};
use super::planned::{Planned, other_plan, plan_live};
use super::test::Suite;
use super::{dry_run, now, traffic, usage};
use crate::apply::Stamp;
use crate::confirm::{self, Watchdog};
use crate::consent;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, contents, drift, linux::Linux, observe};
use crate::load;
use crate::manifest;
use crate::names::PlanId;
use crate::record::{Record, Rejection};
use crate::report::{self, text::Purpose};
use clap::{Args, ValueEnum};
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The same as [`Apply`], for `bpfapply MANIFEST`, where a subcommand may stand instead.
#[derive(Debug, Args)]
pub struct Optional {
    /// The manifest
    pub manifest: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// The manifest
    #[arg(required_unless_present = "saved")]
    pub manifest: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

/// What both ways to ask for an apply take.
#[derive(Debug, Args)]
pub struct Options {
    /// Only show the plan: against this host (`live`, reads only; `verify` lets its verifier judge every program, and
    /// drops them) or without any kernel (`offline`, no root needed)
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "live", value_name = "MODE")]
    pub dry_run: Option<DryRun>,
    /// With --dry-run=offline: plan against the state of a host, which `bpfapply export` wrote there
    #[arg(long, requires = "dry_run", value_name = "FILE")]
    pub against: Option<PathBuf>,
    #[command(flatten)]
    pub traffic: traffic::Packets,
    /// With --dry-run: exit with 2 when there is something to do
    #[arg(long, requires = "dry_run")]
    pub check: bool,
    #[command(flatten)]
    pub explain: Explain,
    #[command(flatten)]
    pub variables: Variables,
    /// Consent to what a bare apply does not do
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub allow: Vec<Allow>,
    /// Apply only the plan with this id, as a dry run prints it; exit with 75 when the plan is another one now
    #[arg(long, value_name = "ID")]
    pub expect: Option<PlanId>,
    /// With --dry-run: save the plan, to be applied on this host with --plan
    #[arg(long, requires = "dry_run", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Apply a saved plan and nothing else; exit with 75 when the host or the plan is another one by now
    #[arg(
        id = "saved",
        long = "plan",
        value_name = "FILE",
        conflicts_with_all = ["manifest", "vars", "var_file", "expect", "out"]
    )]
    pub saved: Option<PathBuf>,
    /// Do not mount a bpffs where there is none
    #[arg(long)]
    pub no_mount: bool,
    /// Return to what ran before after this time (such as `120s` or `5m`), unless `bpfapply commit` says that all is well
    #[arg(long, value_name = "TIME", value_parser = manifest::time, conflicts_with = "dry_run")]
    pub confirm: Option<Duration>,
    #[command(flatten)]
    pub locking: Locking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    Live,
    Verify,
    Offline,
}

/// Applies a manifest or a saved plan, or shows what that would do.
pub fn run(path: Option<&Path>, options: &Options, console: &Console) -> Result<Exit, Exit> {
    let loaded = match (path, &options.saved) {
        (Some(path), _) => loaded::load(path, &options.variables, console)?,
        (None, Some(saved)) => loaded::load_saved(saved, console)?,
        (None, None) => return Err(usage()),
    };
    if options.against.is_some() && options.dry_run != Some(DryRun::Offline) {
        let kind = Kind::Usage("`--against` is for `--dry-run=offline`".to_owned());
        return Err(console.fail(&Problem::new(kind).into(), None));
    }
    let kernel = &mut Linux::new();
    let packets = (&options.traffic, &options.variables);
    let done = match options.dry_run {
        Some(DryRun::Offline) => dry_run::offline(&loaded, options, console),
        Some(DryRun::Live) => {
            let traffic = traffic::replay(kernel, &loaded, packets, console)?;
            dry_run::live(kernel, &loaded, traffic, options, console)
        }
        Some(DryRun::Verify) => {
            required_tests(kernel, &loaded, console)?;
            let traffic = traffic::replay(kernel, &loaded, packets, console)?;
            dry_run::verify(kernel, &loaded, traffic, options, console)
        }
        None if is_settled(kernel, &loaded, options, console) => return Ok(Exit::Success),
        None => {
            required_tests(kernel, &loaded, console)?;
            apply(kernel, &loaded, options, console)
        }
    };
    done.map_err(|problems| console.fail(&problems, Some(&loaded.source())))
}

/// Runs the packet tests where the manifest lets nothing be applied without them.
fn required_tests<K: Kernel>(kernel: &mut K, loaded: &Loaded, console: &Console) -> Result<(), Exit> {
    match loaded.manifest.require_tests {
        true => Suite::load(loaded, console)?.required(kernel, loaded, console),
        false => Ok(()),
    }
}

/// Returns whether it can be said that there is nothing to do without a plan that somebody wants to see, and says it.
fn is_settled<K: Kernel>(kernel: &K, loaded: &Loaded, options: &Options, console: &Console) -> bool {
    let wants_a_plan = !console.is_brief() || options.expect.is_some() || options.saved.is_some();
    let record = if wants_a_plan { None } else { unchanged(kernel, loaded) };
    if let Some(record) = &record {
        console.print(&report::text::unchanged(record, loaded.manifest.name.as_str()));
    }
    record.is_some()
}

fn apply<K: Kernel>(kernel: &mut K, loaded: &Loaded, options: &Options, console: &Console) -> Result<Exit, Problems> {
    // From before anything is looked at until it was all read back.
    let mut lock = options.locking.take(kernel, &loaded.manifest.pin_root)?;
    settle(kernel, &loaded.manifest.pin_root, console)?;
    let mut planned = expected_plan(kernel, loaded, options, options.expect, console)?;
    if options.confirm.is_some() || !loaded.manifest.checks.is_empty() {
        warn_of_takeovers(&planned.plan);
    }
    let needs = planned.plan.lacks();
    if !needs.is_empty() {
        console.plan(&planned.plan, Some(loaded), Purpose::Apply);
        // Others need not wait while somebody thinks.
        drop(lock);
        if !console.is_for_people() || !consent::is_typed(&needs) {
            return Err(Problem::new(Kind::ConsentNeeded { needs, sweep: planned.plan.sweep }).into());
        }
        lock = options.locking.take(kernel, &loaded.manifest.pin_root)?;
        settle(kernel, &loaded.manifest.pin_root, console)?;
        // What was consented to is this plan, and no other that the host may need by now.
        planned = expected_plan(kernel, loaded, options, Some(planned.plan.id), console)?;
    }
    let _lock = lock;
    apply_planned(kernel, loaded, options, &planned, console)
}

/// Applies a plan that everything is allowed for, and goes back when a health check says so, or nobody confirms.
fn apply_planned<K: Kernel>(
    kernel: &mut K,
    loaded: &Loaded,
    options: &Options,
    planned: &Planned,
    console: &Console,
) -> Result<Exit, Problems> {
    let plan = &planned.plan;
    let mut stamp = Stamp { manifest: loaded.absolute_path(), time: now(), inputs: planned.inputs, ..Stamp::default() };
    if plan.is_empty() {
        return finish(kernel, plan, Some(loaded), &stamp, console);
    }
    let health = Health::before(kernel, &loaded.manifest.checks, &planned.desired);
    let Some(time) = watched_for(options.confirm, health.limit()) else {
        return finish(kernel, plan, Some(loaded), &stamp, console);
    };
    let mut watchdog = Watchdog::start(&plan.pin_root).map_err(unwatched)?;
    stamp.confirm_until = Some(confirm::seconds(kernel).saturating_add(time.as_secs()));
    let exit = finish(kernel, plan, Some(loaded), &stamp, console)?;
    // Where something of it failed behind the switch, it runs all the same.
    let Some(pending) = confirm::pending(kernel, &plan.pin_root)? else { return Ok(exit) };
    // From here on the end of this process takes it back as well.
    if let Err(error) = watchdog.arm() {
        go_back(kernel, &plan.pin_root, Rejection::Interrupted, console)?;
        return Err(unwatched(error).into());
    }
    health.after(kernel, plan, console)?;
    if options.confirm.is_none() {
        confirm::keep(kernel, &plan.pin_root)?;
        return Ok(exit);
    }
    if let Err(error) = watchdog.leave() {
        go_back(kernel, &plan.pin_root, Rejection::Unconfirmed, console)?;
        return Err(unwatched(error).into());
    }
    let (name, seconds) = (&plan.deployment, pending.left(kernel));
    console.waits(seconds);
    note(&format!("{name}: returns to what ran before in {seconds} s, unless `bpfapply commit {name}` keeps it"));
    Ok(exit)
}

/// Returns for how long an apply is not for good: for the health checks and until somebody confirms; `None` when it is.
fn watched_for(confirm: Option<Duration>, checks: Option<Duration>) -> Option<Duration> {
    (confirm.is_some() || checks.is_some())
        .then(|| confirm.unwrap_or_default().saturating_add(checks.unwrap_or_default()))
}

fn unwatched(error: io::Error) -> Problem {
    Problem::new(Kind::Watchdog { why: error.to_string() })
}

/// Plans against the host, and shows a plan that is not the expected one.
fn expected_plan<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    options: &Options,
    expected: Option<PlanId>,
    console: &Console,
) -> Result<ManuallyDrop<Planned>, Problems> {
    let mut planned = plan_live(kernel, loaded, options.no_mount)?;
    planned.plan.given = consents(&options.allow);
    other_plan(&planned.plan, loaded, expected)
        .inspect_err(|_| console.plan(&planned.plan, Some(loaded), Purpose::Apply))?;
    Ok(planned)
}

/// Returns the record of the last apply when there is nothing to plan: it was made from the same manifest and objects,
/// and the host is still what it made of them.
///
/// It is read without the lock, maybe while another run is at work. Whatever that makes of it, it is not "unchanged".
fn unchanged<K: Kernel>(kernel: &K, loaded: &Loaded) -> Option<Record> {
    let pin_root = &loaded.manifest.pin_root;
    let record = observe::settled_record(kernel, pin_root).ok()??;
    let is_settled = record.inputs.is_some() && confirm::pending(kernel, pin_root).ok()?.is_none();
    let digests = load::digests(&loaded.manifest, loaded.folder()).filter(|_| is_settled)?;
    let now = load::inputs(&loaded.text, &loaded.vars, &digests);
    let is_same = record.inputs == Some(now) && drift::drift(kernel, &record, pin_root).ok()?.is_empty();
    (is_same && contents::drift(kernel, &record).ok()?.is_empty()).then_some(record)
}
