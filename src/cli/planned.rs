//! Plans of a manifest for this host, and whether they are the expected ones.

use super::console::note;
use super::loaded::Loaded;
use super::usual_bpffs;
use crate::desired::{self, Desired};
use crate::diag::{Kind, Problem, Problems};
use crate::elf;
use crate::kernel::{Kernel, facts, observe, recorded::Recorded, sites, strangers};
use crate::load;
use crate::manifest::Manifest;
use crate::names::{Digest, PinPath, PlanId};
use crate::observed::{Observed, Wanted};
use crate::plan::{self, Action, Mode, Plan};
use crate::saved::SavedHost;
use crate::spec::Host;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::path::Path;

/// A plan with what it was made from.
pub struct Planned {
    pub plan: Plan,
    /// `None` when the answer hangs on more than files: modules come and go.
    pub inputs: Option<Digest>,
    /// The digests of files of entries, by their maps.
    pub entries: BTreeMap<String, Digest>,
    /// The plan shares most of it.
    pub desired: Desired,
    /// What the plan starts from.
    pub observed: Observed,
}

/// What an offline plan assumes of the host: one CPU, small pages, a bpffs where everybody mounts it.
pub const NO_HOST: Host = Host { possible_cpus: 1, most_cpus: u32::MAX, page_size: 4096 };

/// Plans for an empty host, without any kernel; the paths of the manifest are relative to `folder`.
pub fn plan_offline(manifest: &Manifest, folder: &Path) -> Result<Planned, Problems> {
    let (pin_root, usual) = (&manifest.pin_root, usual_bpffs());
    let bpffs = if pin_root.is_below(&usual) { usual } else { pin_root.parent().unwrap_or(usual) };
    let files = load::files(manifest, folder)?;
    let desired = desired::resolve(manifest, files, &bpffs, &NO_HOST, &elf::Target::offline())?.unseen()?;
    let observed = Observed::nothing(NO_HOST);
    let plan = plan::plan(&desired, &observed, Mode::Offline)?;
    Ok(Planned { plan, inputs: None, entries: BTreeMap::new(), desired, observed })
}

/// Plans against the host. The plan is never given back: the process ends when it has been used, and freeing a large one
/// piece by piece would take longer than what it is made from is worth.
pub fn plan_live<K: Kernel>(kernel: &K, loaded: &Loaded, no_mount: bool) -> Result<ManuallyDrop<Planned>, Problems> {
    let planned = planned(kernel, desired_live(kernel, loaded)?)?;
    if let (true, Some(at)) = (no_mount, mounts(&planned.plan)) {
        return Err(Problem::new(Kind::NotMounted { at: at.clone() }).into());
    }
    Ok(planned)
}

/// Plans against a host of which only the state is there.
pub fn plan_recorded(host: &Recorded, loaded: &Loaded) -> Result<ManuallyDrop<Planned>, Problems> {
    let mut planned = planned(host, desired_on(host, loaded, |_| Ok(host.target()))?)?;
    planned.plan.mode = Mode::Against { time: host.0.time };
    Ok(planned)
}

fn planned<K: Kernel>(kernel: &K, resolved: Resolved) -> Result<ManuallyDrop<Planned>, Problems> {
    let Resolved { desired, inputs, entries } = resolved;
    let observed = observe::observe(kernel, &Wanted::of(&desired))?;
    let plan = plan::plan(&desired, &observed, Mode::Live);
    let plan = plan.map_err(|problems| strangers::with_pins(kernel, &desired.bpffs, problems))?;
    Ok(ManuallyDrop::new(Planned { plan, inputs, entries, desired, observed }))
}

/// What a manifest means for this host, with the digests that [`Planned`] keeps.
pub struct Resolved {
    pub desired: Desired,
    pub inputs: Option<Digest>,
    pub entries: BTreeMap<String, Digest>,
}

/// Resolves a manifest for this host.
pub fn desired_live<K: Kernel>(kernel: &K, loaded: &Loaded) -> Result<Resolved, Problems> {
    desired_on(kernel, loaded, |needs| facts::target(kernel, needs))
}

fn desired_on<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    target: impl FnOnce(&elf::Needs) -> Result<elf::Target, Problem>,
) -> Result<Resolved, Problems> {
    let host = observe::host(kernel)?;
    let bpffs = observe::bpffs_of(kernel, &loaded.manifest.pin_root, &usual_bpffs())?;
    let files = load::files(&loaded.manifest, loaded.folder())?;
    let needs = desired::needs(&loaded.manifest, &files);
    let target = target(&needs)?;
    let alone = needs.symbols.is_empty() && matches!(target.modules, elf::Modules::Unread);
    let alone = alone && files.objects.values().all(|file| file.types.is_none());
    let inputs = alone.then(|| load::inputs(&loaded.text, &loaded.vars, &load::Digests::of(&files)));
    let entries = files.entries.iter().map(|(name, file)| (name.to_string(), file.sha256)).collect();
    let desired = desired::resolve(&loaded.manifest, files, &bpffs, &host, &target)?;
    let sites = sites::all(kernel, &desired)?;
    let desired = desired.settle(&sites)?;
    Ok(Resolved { desired, inputs, entries })
}

fn mounts(plan: &Plan) -> Option<&PinPath> {
    plan.steps.iter().find_map(|step| if let Action::MountBpffs { at } = &step.action { Some(at) } else { None })
}

/// Refuses a plan that is not the expected one, or not about the same things as the saved one. Where a saved one has
/// nothing to do any more, it is said that it is applied.
pub fn other_plan(plan: &Plan, loaded: &Loaded, expected: Option<PlanId>) -> Result<(), Problems> {
    let saved = loaded.saved.as_ref();
    if let Some(saved) = saved.filter(|saved| plan.is_empty() && plan.id != saved.id)
        && saved.host.boot == load::boot()?
    {
        note(&format!("{}: the saved plan {} is applied already", plan.deployment, saved.id));
        return Ok(());
    }
    let mut expected = expected.into_iter().chain(saved.map(|saved| saved.id));
    if let Some(expected) = expected.find(|expected| *expected != plan.id) {
        return Err(Problem::new(Kind::OtherPlan { expected, is: plan.id }).into());
    }
    let Some(saved) = saved else { return Ok(()) };
    match saved.host.difference(&SavedHost::of(plan, load::boot()?)) {
        Some(what) => Err(Problem::new(Kind::Stale { what }).into()),
        None => Ok(()),
    }
}
