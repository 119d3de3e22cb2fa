//! The road's stages over the fake kernel, for tests at the level of the library.

use bpfapply::apply::outcome::Outcome;
use bpfapply::apply::{Stamp, apply, rehearse};
use bpfapply::desired::{self, Desired};
use bpfapply::diag::{self, Problem, Problems};
use bpfapply::elf::Target;
use bpfapply::kernel::export::{Asked, export};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::recorded::Recorded;
use bpfapply::kernel::{Kernel, observe, sites};
use bpfapply::names::PinPath;
use bpfapply::observed::{Observed, Wanted};
use bpfapply::plan::{self, Mode, Plan};
use bpfapply::spec::Host;
use bpfapply::{load, manifest, recorded};
use std::collections::BTreeMap;
use std::path::Path;

/// Returns a path of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn path(text: &str) -> PinPath {
    PinPath::new(text).expect("a path")
}

/// Reads a manifest that lies in a folder, and its objects.
pub fn desired(text: &str, folder: &Path, kernel: &impl Kernel) -> Result<Desired, Problems> {
    let manifest = manifest::parse(text, &BTreeMap::new())?;
    let files = load::files(&manifest, folder)?;
    let desired =
        desired::resolve(&manifest, files, &path("/sys/fs/bpf"), &observe::host(kernel)?, &Target::offline())?;
    let sites = sites::all(kernel, &desired)?;
    desired.settle(&sites)
}

/// Plans as `--dry-run` does; paths in the manifest are relative to the repository.
pub fn plan(text: &str, fake: &Fake) -> Result<Plan, Problems> {
    plan_in(repository(), text, fake)
}

/// Plans as `--dry-run` does; paths in the manifest are relative to the folder.
pub fn plan_in(folder: &Path, text: &str, fake: &Fake) -> Result<Plan, Problems> {
    let desired = desired(text, folder, fake)?;
    let observed = observe::observe(fake, &Wanted::of(&desired))?;
    plan::plan(&desired, &observed, Mode::Live)
}

/// Plans as `--dry-run=verify` does: also says what the verifier makes of it.
pub fn plan_verified(folder: &Path, text: &str, fake: &Fake) -> Result<Plan, Problems> {
    let mut plan = plan_in(folder, text, fake)?;
    let verdicts = rehearse(&mut fake.clone(), &plan).verdicts;
    plan.verdicts = Some(verdicts);
    Ok(plan)
}

/// Plans as `--dry-run=offline --against FILE` does, with the state of a host that was exported in 2023.
pub fn plan_against(folder: &Path, text: &str, fake: &Fake) -> Result<Plan, Problems> {
    const TIME: u64 = 1_700_000_000;
    let host = Recorded(export(fake, &Asked { bpffs: path("/sys/fs/bpf"), contents: true, time: TIME })?);
    let desired = desired(text, folder, &host)?;
    let observed = observe::observe(&host, &Wanted::of(&desired))?;
    let plan = plan::plan(&desired, &observed, Mode::Live)?;
    Ok(Plan { mode: Mode::Against { time: TIME }, ..plan })
}

/// Plans as `--dry-run=offline` does, on a host with one CPU and small pages.
pub fn plan_offline(folder: &Path, text: &str) -> Result<Plan, Problems> {
    let manifest = manifest::parse(text, &BTreeMap::new())?;
    let files = load::files(&manifest, folder)?;
    let host = Host { possible_cpus: 1, most_cpus: u32::MAX, page_size: 4096 };
    let desired = desired::resolve(&manifest, files, &path("/sys/fs/bpf"), &host, &Target::offline())?.unseen()?;
    plan::plan(&desired, &Observed::nothing(host), Mode::Offline)
}

/// Plans as `adopt` does; paths in the manifest are relative to the folder.
pub fn plan_adopt(folder: &Path, text: &str, kernel: &impl Kernel) -> Result<Plan, Problems> {
    let desired = desired(text, folder, kernel)?;
    let observed = observe::observe(kernel, &Wanted { adopts: true, ..Wanted::of(&desired) })?;
    plan::adopt(&desired, &observed)
}

/// Plans as `destroy` does; `name` is the deployment's.
pub fn plan_destroy(name: &str, kernel: &impl Kernel) -> Result<Plan, Problems> {
    recorded::destroy(kernel, &path("/sys/fs/bpf").join(name))
}

/// Plans as `rollback` does; `name` is the deployment's.
pub fn plan_rollback(name: &str, kernel: &impl Kernel) -> Result<Plan, Problems> {
    recorded::rollback(kernel, &path("/sys/fs/bpf").join(name)).map(|(plan, _)| plan)
}

/// Applies a plan, whatever consent it needs.
pub fn run<'a>(plan: &'a Plan, fake: &Fake) -> (Outcome<'a>, Option<Problem>) {
    let applied =
        apply(&mut fake.clone(), plan, &Stamp { manifest: "plan.toml".to_owned(), time: 7, ..Stamp::default() });
    (applied.outcome, applied.problem)
}

/// Plans and applies a manifest that nothing is wrong with.
#[track_caller]
pub fn make(text: &str, fake: &Fake) {
    let plan = good(plan(text, fake), text);
    let (_, problem) = run(&plan, fake);
    good(problem.map_or(Ok(()), |problem| Err(problem.into())), text);
}

/// Returns what there is, or shows the problems.
#[track_caller]
pub fn good<T>(result: Result<T, Problems>, text: &str) -> T {
    result.unwrap_or_else(|problems| panic!("{}", rendered(&problems, text)))
}

/// Writes problems as users see them.
pub fn rendered(problems: &Problems, text: &str) -> String {
    diag::render(problems, Some(&diag::Source::new("plan.toml", text)), false)
}
