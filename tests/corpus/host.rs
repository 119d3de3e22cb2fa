//! Exported states, and what is planned against them: a deployment of maps, an edge, constants, tail calls and links.

use super::seeds::{Files, Seeds};
use bpfapply::apply::{Stamp, apply};
use bpfapply::desired::{self, Desired, Files as Inputs, ObjectFile};
use bpfapply::diag::{self, Problems, Source};
use bpfapply::elf::{self, Target as Kernel};
use bpfapply::kernel::export::{Asked, export};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::recorded::Recorded;
use bpfapply::kernel::{self, observe, sites};
use bpfapply::manifest::{self, Manifest};
use bpfapply::names::{Digest, ObjectName, PinPath};
use bpfapply::observed::Wanted;
use bpfapply::plan::{self, Mode, Plan};
use bpfapply::recorded;
use bpfapply::report::text::{Options, Purpose};
use bpfapply::report::{self, ManifestText, Style};
use bpfapply::state::HostState;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The deployment.
const TEXT: &str = r#"version = 1
name = "edge"
[object.filter]
path = "upgrade_1.o"
[object.data]
path = "data.o"
[object.jumps]
path = "prog_array.o"
[object.device]
path = "stats_a.o"
[object.stack]
path = "stats_b.o"
maps = { stats = "stats" }
[map.stats]
from = "device:stats"
mode = 0o640
group = 998
[map.list]
type = "hash"
key_size = 4
value_size = 4
max_entries = 8
entries = { "0x01000000" = "0x00000002" }
[program.drop]
from = "filter:drop"
[program.touch]
from = "data:touch"
[program.entry]
from = "jumps:entry"
[program.on_device]
from = "device:on_device"
[program.on_stack]
from = "stack:on_stack"
[link.first]
program = "drop"
xdp = { interface = "eth*" }
[link.stack]
program = "on_stack"
tc = { interface = "eth0", direction = "ingress", order = "first" }
"#;

/// Its objects, by their names, paths and bytes.
const OBJECTS: &[(&str, &str, &[u8])] = &[
    ("filter", "upgrade_1.o", include_bytes!("../objects/upgrade_1.o")),
    ("data", "data.o", include_bytes!("../objects/data.o")),
    ("jumps", "prog_array.o", include_bytes!("../objects/prog_array.o")),
    ("device", "stats_a.o", include_bytes!("../objects/stats_a.o")),
    ("stack", "stats_b.o", include_bytes!("../objects/stats_b.o")),
];

/// The same with other code: what is made first, so that there is something to replace.
const BEFORE: &[u8] = include_bytes!("../objects/upgrade_2.o");

static MANIFEST: LazyLock<Manifest> =
    LazyLock::new(|| manifest::parse(TEXT, &BTreeMap::new()).expect("it is a manifest"));
static INPUTS: LazyLock<BTreeMap<ObjectName, ObjectFile>> =
    LazyLock::new(|| OBJECTS.iter().map(|(name, path, bytes)| object(name, path, bytes)).collect());

fn object(name: &str, path: &str, bytes: &[u8]) -> (ObjectName, ObjectFile) {
    let object = Arc::new(elf::parse(bytes).expect("it is an object"));
    let file = ObjectFile { path: path.to_owned(), sha256: Digest::of(bytes), sha1: None, object, types: None };
    (ObjectName::new(name).expect("a name"), file)
}

fn bpffs() -> PinPath {
    PinPath::new("/sys/fs/bpf").expect("a path")
}

/// A state: written and read again, and what a plan against it and the removal of all that it records come to.
pub fn state(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(state) = HostState::decode(text) else { return };
    assert_eq!(HostState::decode(&state.encode()).as_ref(), Ok(&state), "written and read again");
    let host = Recorded(state);
    let planned = planned(&host, INPUTS.clone());
    let again = self::planned(&host, INPUTS.clone());
    assert_eq!(planned.as_ref().map(|plan| plan.id).ok(), again.as_ref().map(|plan| plan.id).ok(), "planned again");
    show(&planned);
    show(&recorded::destroy(&host, &MANIFEST.pin_root));
}

fn planned<K: kernel::Kernel>(kernel: &K, objects: BTreeMap<ObjectName, ObjectFile>) -> Result<Plan, Problems> {
    let desired = desired(kernel, objects)?;
    let observed = observe::observe(kernel, &Wanted::of(&desired))?;
    plan::plan(&desired, &observed, Mode::Live)
}

fn desired<K: kernel::Kernel>(kernel: &K, objects: BTreeMap<ObjectName, ObjectFile>) -> Result<Desired, Problems> {
    let bpffs = observe::bpffs_of(kernel, &MANIFEST.pin_root, &bpffs())?;
    let files = Inputs { objects, ..Inputs::default() };
    let desired = desired::resolve(&MANIFEST, files, &bpffs, &observe::host(kernel)?, &Kernel::offline())?;
    let sites = sites::all(kernel, &desired)?;
    desired.settle(&sites)
}

/// Writes a plan, or what is wrong, as users see it.
fn show(plan: &Result<Plan, Problems>) {
    let manifest = Some(ManifestText { name: "plan.toml", text: TEXT });
    match plan {
        Ok(plan) => {
            let style = Style { width: 100, ascii: true, color: false };
            let _ = report::text::plan(plan, &Options { style, purpose: Purpose::DryRun, manifest, entries: 5 });
            let _ = report::json::plan(plan, manifest);
        }
        Err(problems) => {
            let _ = diag::render(problems, Some(&Source::new("plan.toml", TEXT)), false);
        }
    }
}

/// States of an empty host, of one with an older deployment, and of one that the plan would not change; each with and
/// without what maps hold.
pub fn seeds(_: &Files) -> Seeds {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake.add_interface("eth1", true);
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    let mut seeds = Seeds::new();
    add(&mut seeds, "empty", &fake);
    let before = INPUTS.clone().into_iter().chain([object("filter", "upgrade_1.o", BEFORE)]).collect();
    make(&fake, before);
    add(&mut seeds, "before", &fake);
    make(&fake, INPUTS.clone());
    add(&mut seeds, "same", &fake);
    seeds
}

fn make(fake: &Fake, objects: BTreeMap<ObjectName, ObjectFile>) {
    let plan = planned(fake, objects).expect("it can be planned");
    let stamp = Stamp { manifest: "plan.toml".to_owned(), time: 7, ..Stamp::default() };
    assert!(apply(&mut fake.clone(), &plan, &stamp).problem.is_none(), "it can be applied");
}

fn add(seeds: &mut Seeds, name: &str, fake: &Fake) {
    for (contents, suffix) in [(false, ""), (true, "-with-contents")] {
        let asked = Asked { bpffs: bpffs(), contents, time: 1_700_000_000 };
        let state = export(fake, &asked).expect("it can be exported");
        let planned = planned(&Recorded(state.clone()), INPUTS.clone());
        assert!(planned.is_ok() || !contents, "it can be planned for: {planned:?}");
        seeds.push((format!("{name}{suffix}"), state.encode().into_bytes()));
    }
}
