//! A plan as JSON, for programs.
//!
//! Fields come in the order of these types. A field is added with a new minor number; one that changes or goes
//! makes a new major number.

use super::explain::ExplainedJson;
use super::place::{Lines, ManifestText, Place};
use super::text::Counts;
use super::traffic::TrafficJson;
use super::written::{Sampled, sample};
use crate::access::{Access, Account, octal};
use crate::btf::convert::Fate;
use crate::desired::{
    Anchor, DesiredLink, DesiredMap, DesiredProgram, Hook, MapDefinition, MapSource, ObjectFacts, SlotKey, SlotSource,
};
use crate::direct::Direct;
use crate::entries;
use crate::explain::Explained;
use crate::kinds::{AttachType, MapType, Netfilter, ProgramType, XdpMode};
use crate::names::{Address, Digest, LinkName, MapName, ObjectName, PinPath, PlanId, ProgramName};
use crate::plan::{
    Action, Because, Consent, Copying, Expects, Marker, Mode, Plan, ResolvedHook, Sets, Step, Sweep, Traffic, Verdict,
    Writes,
};
use crate::spec::{Difference, MapSpec, flag_names};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The version of everything that is written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Format {
    /// Rises when a reader of the old one would go wrong.
    #[schemars(range(min = 1, max = 1))]
    pub major: u32,
    /// Rises when something is added.
    pub minor: u32,
}

/// What this version writes.
pub const FORMAT: Format = Format { major: 1, minor: 7 };

/// Writes a value with line breaks, and one at the end.
pub(super) fn write(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("reports have only strings, numbers, lists and fields");
    text.push('\n');
    text
}

/// Returns the JSON schema of what is written. It takes more fields than it knows, as a newer minor version may have them.
pub(super) fn schema<T: JsonSchema>() -> serde_json::Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).for_serialize();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Returns the JSON schema of a plan, whose parts have names.
pub fn plan_schema() -> serde_json::Value {
    let settings = SchemaSettings::draft07().for_serialize();
    settings.into_generator().into_root_schema_for::<PlanJson<'_>>().to_value()
}

/// Writes a plan as JSON.
pub fn plan(plan: &Plan, manifest: Option<ManifestText<'_>>) -> String {
    plan_explained(plan, manifest, &[])
}

/// Writes a plan as JSON, with explanations.
pub fn plan_explained(plan: &Plan, manifest: Option<ManifestText<'_>>, explained: &[Explained]) -> String {
    let lines = manifest.map(|manifest| Lines::new(manifest.text));
    let object = |facts: &'_ ObjectFacts| ObjectJson { path: facts.path.clone(), sha256: facts.sha256 };
    write(&PlanJson {
        format: FORMAT,
        kind: "plan",
        id: plan.id,
        deployment: plan.deployment.as_str(),
        pin_root: &plan.pin_root,
        manifest: manifest.map(|manifest| manifest.name),
        command: super::text::command(plan),
        mode: plan.mode_name(),
        host_time: match plan.mode {
            Mode::Against { time } => Some(time),
            Mode::Live | Mode::Offline => None,
        },
        awaits_tests: plan.awaits_tests,
        changes: !plan.is_empty(),
        counts: Counts::of_plan(plan),
        needs: plan.needs(),
        allowed: &plan.allow,
        given: &plan.given,
        sweep: plan.sweep,
        traffic: plan.traffic.as_deref().map(TrafficJson::of),
        objects: plan.objects.iter().map(|(name, facts)| (name, object(facts))).collect(),
        around: plan
            .shared
            .company
            .iter()
            .map(|(link, company)| (link, company.words()))
            .filter(|(_, words)| !words.is_empty())
            .collect(),
        steps: plan.steps.iter().map(|step| StepJson::of(plan, step, lines.as_ref())).collect(),
        explained: explained.iter().map(|explained| ExplainedJson::of(explained, manifest)).collect(),
    })
}

/// A plan, as `bpfapply plan.toml --dry-run --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply plan", rename = "Plan")]
struct PlanJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "plan"))]
    kind: &'static str,
    /// Which plan it is: the same for the same changes on the same host.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{32}$"))]
    id: PlanId,
    /// The deployment.
    deployment: &'a str,
    /// The folder of its pins.
    #[schemars(with = "String")]
    pin_root: &'a PinPath,
    /// The name of the manifest's file; null where there is none, as for a rollback.
    manifest: Option<&'a str>,
    /// Which command does it, where that is not `apply`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = COMMANDS))]
    command: Option<&'static str>,
    /// How the plan was made: against this host, there with its verifier, for an empty host, or against a host's state.
    #[schemars(extend("enum" = MODES))]
    mode: &'static str,
    /// When the host was as it is taken to be, in seconds since 1970, where that is a host's state from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_time: Option<u64>,
    /// There and true when packet tests have to pass first, which an apply and `--dry-run=verify` run, and this did not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    awaits_tests: bool,
    /// Whether anything is to be done.
    changes: bool,
    /// How many steps of each kind it has.
    counts: Counts,
    /// The consents without which it is not done.
    needs: BTreeSet<Consent>,
    /// What of it the manifest consents to; never to the removals of a sweep.
    allowed: &'a BTreeSet<Consent>,
    /// What whoever asked for the plan consents to by name.
    given: &'a BTreeSet<Consent>,
    /// There when so much goes that the manifest's consent to that is not enough.
    sweep: Option<Sweep>,
    /// What the programs make of captured packets, where somebody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<TrafficJson>,
    /// The objects that programs and maps come from, by name.
    #[schemars(with = "BTreeMap<String, ObjectJson>")]
    objects: BTreeMap<&'a ObjectName, ObjectJson>,
    /// The programs of others around links on hooks that several share.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    around: BTreeMap<&'a LinkName, Vec<String>>,
    /// What is done, from first to last.
    steps: Vec<StepJson<'a>>,
    /// What was asked to be explained.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explained: Vec<ExplainedJson<'a>>,
}

/// A file that programs and maps come from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Object")]
struct ObjectJson {
    /// Its path, as the manifest has it.
    path: String,
    /// The digest of its bytes.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    sha256: Digest,
}

/// One thing to do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Step")]
struct StepJson<'a> {
    /// Column 0 of the text.
    marker: Marker,
    /// What it is about, for example `map.flows`.
    #[schemars(with = "String")]
    address: Address,
    /// The name of the action.
    #[schemars(extend("enum" = Action::NAMES))]
    action: &'static str,
    /// The action in words.
    what: String,
    /// What it is about, in fields.
    details: Details<'a>,
    /// Why it is done.
    because: BecauseJson<'a>,
    /// What is not as the last apply left it, where the manifest did not change that.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<&'static str>,
    /// What it means for packets.
    traffic: Traffic,
    /// What it means for the contents of maps.
    #[schemars(extend("enum" = STATES))]
    state: String,
    /// How many entries the state is about, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    /// What the verifier said; null for actions that do not ask it.
    #[schemars(extend("enum" = VERDICTS))]
    verifier: Option<&'static str>,
    /// What a program needs that was refused, so that the verifier was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    verifier_lacks: Option<&'a Address>,
    /// How many instructions the verifier went through, where it passed and the kernel tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_instructions: Option<u32>,
    /// The consent without which it is not done.
    needs: Option<Consent>,
    /// What the host must be when the step is done; else the plan is stale.
    expects: Expects,
    /// The place in the manifest.
    place: Option<Place>,
}

/// The commands whose plans come from no manifest.
const COMMANDS: [&str; 2] = ["rollback", "destroy"];
/// How a plan can have been made.
const MODES: [&str; 4] = ["live", "verify", "offline", "against"];
/// What a step can mean for contents.
const STATES: [&str; 5] = ["none", "kept", "new", "copied", "lost"];
/// What the verifier can have said of a step.
const VERDICTS: [Option<&str>; 4] = [Some("passed"), Some("failed"), Some("not run"), None];

impl<'a> StepJson<'a> {
    fn of(plan: &'a Plan, step: &'a Step, lines: Option<&Lines<'_>>) -> Self {
        let verdict = plan.verdict(&step.action);
        Self {
            marker: step.action.marker(),
            address: step.action.address(),
            action: step.action.name(),
            what: step.action.to_string(),
            details: Details::of(&step.action),
            because: BecauseJson::of(step, plan.mode),
            drift: plan.drift(step),
            traffic: step.traffic,
            state: step.state.word().to_lowercase(),
            entries: step.state.entries(),
            verifier: matches!(step.action, Action::LoadProgram { .. }).then_some(match verdict {
                Some(Verdict::Passed { .. }) => "passed",
                Some(Verdict::Failed) => "failed",
                Some(Verdict::NotTried { .. }) | None => "not run",
            }),
            verifier_lacks: match verdict {
                Some(Verdict::NotTried { lacks }) => Some(lacks),
                Some(Verdict::Passed { .. } | Verdict::Failed) | None => None,
            },
            verified_instructions: match verdict {
                Some(Verdict::Passed { insns }) => *insns,
                Some(Verdict::Failed | Verdict::NotTried { .. }) | None => None,
            },
            needs: step.needs,
            expects: Expects::of(&step.action),
            place: step.span.as_ref().zip(lines).map(|(span, lines)| lines.place(span)),
        }
    }
}

/// What an action is about, as far as it has fields.
#[derive(Serialize, JsonSchema, Default)]
struct Details<'a> {
    /// Its pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pin: Option<&'a PinPath>,
    /// The map's definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<MapJson>,
    /// Whether an earlier apply created the map.
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<bool>,
    /// How entries go over from another map.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<CopyJson<'a>>,
    /// How many bytes of data are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// What is put into the slots, by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    slots: Option<&'a BTreeMap<SlotKey, SlotSource>>,
    /// The entries that are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<EntriesJson>,
    /// The variables that are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<VariablesJson<'a>>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<ProgramJson<'a>>,
    /// The program that the link runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    runs: Option<&'a ProgramName>,
    /// Where the link is.
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<HookJson<'a>>,
    /// Who may open the pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessJson<'a>>,
    /// The other deployments that use a map of ours which goes, or of which another one takes the place: from then on only
    /// programs that run with it keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_by: Option<&'a BTreeSet<String>>,
}

/// Who may open a pin, as far as that changes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Access")]
struct AccessJson<'a> {
    /// In octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// The user that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a Account>,
    /// The group that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a Account>,
}

impl<'a> AccessJson<'a> {
    fn of(access: &'a Access) -> Self {
        Self { mode: access.mode.map(octal), owner: access.owner.as_ref(), group: access.group.as_ref() }
    }
}

impl<'a> Details<'a> {
    fn of(action: &'a Action) -> Self {
        Self { used_by: action.used_by(), ..Self::of_one(action) }
    }

    fn of_one(action: &'a Action) -> Self {
        match action {
            Action::ClearLeftover { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::FinishCopy { .. }
            | Action::RemoveDirectory { .. } => Self::default(),
            Action::ReuseMap { map, ours, .. } => Self { ours: Some(*ours), ..Self::of_map(map) },
            Action::CreateMap { map, .. } => Self::of_map(map),
            Action::CopyEntries { from, copying, .. } | Action::CatchUp { from, copying, .. } => {
                Self { copies: Some(CopyJson::of(*from, copying)), ..Self::default() }
            }
            Action::FillMap { map } => {
                let definition = definition(map);
                let bytes = definition.and_then(|definition| definition.data.as_ref()).map(|(_, bytes)| bytes.len());
                Self { bytes, ..Self::default() }
            }
            Action::FillSlots { map } => {
                let slots = definition(map).map(|definition| &definition.slots);
                Self { slots, ..Self::default() }
            }
            Action::WriteEntries { writes } => {
                Self { pin: Some(&writes.pin), entries: Some(EntriesJson::of(writes)), ..Self::default() }
            }
            Action::SetVariables { sets } => {
                Self { pin: Some(&sets.pin), variables: Some(VariablesJson::of(sets)), ..Self::default() }
            }
            Action::ReuseProgram { program, .. } | Action::LoadProgram { program, .. } => {
                Self { pin: Some(&program.pin), program: Some(ProgramJson::of(program)), ..Self::default() }
            }
            Action::RenameLink { link, .. } | Action::ReuseLink { link, .. } | Action::UpdateLink { link, .. } => {
                Self::of_link(link, None)
            }
            Action::Attach { link, hook, .. } | Action::Reattach { link, hook, .. } => Self::of_link(link, Some(hook)),
            Action::Skip { hook, .. } => {
                let hook = HookJson { words: hook.clone(), ..HookJson::default() };
                Self { hook: Some(hook), ..Self::default() }
            }
            Action::Detach { pin, hook, .. } => {
                let hook = HookJson { words: hook.clone(), ..HookJson::default() };
                Self { pin: Some(pin), hook: Some(hook), ..Self::default() }
            }
            Action::SetAccess { pin, access, .. } => {
                Self { pin: Some(pin), access: Some(AccessJson::of(access)), ..Self::default() }
            }
            Action::RemoveMap { pin, .. }
            | Action::RemoveProgram { pin, .. }
            | Action::RestoreMap { pin, .. }
            | Action::RestoreProgram { pin, .. }
            | Action::RestorePin { pin, .. }
            | Action::WriteRecord { pin, .. }
            | Action::RemoveRecord { pin } => Self { pin: Some(pin), ..Self::default() },
        }
    }

    fn of_map(map: &'a DesiredMap) -> Self {
        let (pin, spec) = match &map.source {
            MapSource::Defined(definition) => (Some(&definition.pin), Some(&definition.spec)),
            MapSource::Pinned(pin) => (Some(pin), None),
            MapSource::Id(_) => (None, None),
        };
        Self { pin, map: spec.map(MapJson::of), ..Self::default() }
    }

    fn of_link(link: &'a DesiredLink, resolved: Option<&'a ResolvedHook>) -> Self {
        let order = link.order.as_ref().map(ToString::to_string);
        let hook = HookJson { order, ..HookJson::of(&link.hook, resolved) };
        Self { pin: Some(&link.pin), runs: link.program.as_ref(), hook: Some(hook), ..Self::default() }
    }
}

/// What is written into a map.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entries")]
struct EntriesJson {
    /// How many come.
    added: usize,
    /// How many get other values.
    changed: usize,
    /// How many go.
    removed: usize,
    /// How many stay.
    same: usize,
    /// Whether what goes does so before all else is there, since the map is full.
    removes_first: bool,
    /// Whether nobody may see them.
    sensitive: bool,
    /// Some of them, unless nobody may see them.
    sample: Vec<Sampled>,
}

/// Variables that get other values.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Variables")]
struct VariablesJson<'a> {
    /// Whether nobody may see their values.
    sensitive: bool,
    /// Whether nothing else of the section is written.
    alone: bool,
    /// Which.
    set: Vec<VariableJson<'a>>,
}

/// A variable that gets another value.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Variable")]
struct VariableJson<'a> {
    /// Its name.
    name: &'a str,
    /// The value that it has until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    /// The value that it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
}

impl<'a> VariablesJson<'a> {
    fn of(sets: &'a Sets) -> Self {
        let shown = |text: &'a String| (!sets.sensitive).then_some(text.as_str());
        let set = sets.changes.iter().map(|change| VariableJson {
            name: &change.name,
            before: shown(&change.words.0),
            after: shown(&change.words.1),
        });
        Self { sensitive: sets.sensitive, alone: sets.alone, set: set.collect() }
    }
}

/// How many entries stand in a plan.
const SAMPLED: usize = 10;

impl EntriesJson {
    fn of(writes: &Writes) -> Self {
        let changes = &writes.changes;
        let entries::Counts { added, changed, removed } = changes.counts();
        Self {
            added,
            changed,
            removed,
            same: changes.same,
            removes_first: writes.removes_first,
            sensitive: writes.sensitive,
            sample: sample(writes, SAMPLED),
        }
    }
}

/// How entries go over into another map.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Copy")]
struct CopyJson<'a> {
    /// The id of the map that holds them.
    from: u32,
    /// Fields that stay as they are.
    kept: Vec<String>,
    /// Fields that get another type.
    converted: Vec<String>,
    /// Fields that only the new map has.
    new: Vec<String>,
    /// Fields that only the old map has.
    dropped: Vec<String>,
    /// How many entries did not fit when the plan was made.
    misfits: u64,
    /// The first of them.
    named: &'a [String],
    /// Ids of programs of others that go on with the old map.
    others: Vec<u32>,
}

impl<'a> CopyJson<'a> {
    fn of(from: u32, copying: &'a Copying) -> Self {
        let Copying { migration, misfits, others, .. } = copying;
        Self {
            from,
            kept: migration.fields(|fate| matches!(fate, Fate::Kept)),
            converted: migration.fields(|fate| matches!(fate, Fate::Converted { .. })),
            new: migration.fields(|fate| matches!(fate, Fate::New)),
            dropped: migration.fields(|fate| matches!(fate, Fate::Dropped)),
            misfits: misfits.count,
            named: &misfits.named,
            others: others.iter().map(|(id, _)| *id).collect(),
        }
    }
}

fn definition(map: &DesiredMap) -> Option<&MapDefinition> {
    match &map.source {
        MapSource::Defined(definition) => Some(definition),
        MapSource::Pinned(..) | MapSource::Id(..) => None,
    }
}

/// A map's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Map")]
pub(super) struct MapJson {
    /// Its type, for example `lru_hash`.
    #[schemars(with = "String")]
    r#type: MapType,
    /// Bytes of a key.
    key_size: u32,
    /// Bytes of a value.
    value_size: u32,
    /// How many entries it can hold.
    max_entries: u32,
    /// Its flags by name.
    flags: Vec<String>,
    /// The node that its memory is on.
    numa_node: Option<u32>,
    /// What the type makes of it.
    map_extra: u64,
    /// What the maps in it must be.
    inner: Option<Box<MapJson>>,
}

impl MapJson {
    pub(super) fn of(spec: &MapSpec) -> Self {
        Self {
            r#type: spec.map_type,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: spec.max_entries,
            flags: flags(spec.flags),
            numa_node: spec.numa_node,
            map_extra: spec.map_extra,
            inner: spec.inner.as_deref().map(Self::of).map(Box::new),
        }
    }
}

fn flags(bits: u32) -> Vec<String> {
    match bits {
        0 => Vec::new(),
        bits => flag_names(bits).split(" | ").map(str::to_owned).collect(),
    }
}

/// A program.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Program")]
struct ProgramJson<'a> {
    /// Its object.
    #[schemars(with = "String")]
    object: &'a ObjectName,
    /// Its function there.
    function: &'a str,
    /// Its type, for example `xdp`.
    #[schemars(with = "String")]
    r#type: ProgramType,
    /// How it is attached.
    #[schemars(with = "Option<String>")]
    attach_type: Option<AttachType>,
    /// The function of the kernel that it is for.
    target: Option<&'a str>,
    /// The program of which it replaces a function.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    extends: Option<&'a ProgramName>,
    /// How many instructions it has.
    instructions: usize,
    /// True when instructions or settings depend on what of the kernel nobody knows, since none was asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unsettled: bool,
    /// The maps that it uses.
    #[schemars(with = "Vec<String>")]
    uses: Vec<&'a MapName>,
    /// What it is: instructions, maps, settings.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    fingerprint: Digest,
}

impl<'a> ProgramJson<'a> {
    fn of(program: &'a DesiredProgram) -> Self {
        Self {
            object: &program.object,
            function: &program.function,
            r#type: program.kind.program_type,
            attach_type: program.kind.attach_type,
            target: program.kind.target.as_deref(),
            extends: program.extends.as_ref().map(|extends| &extends.program),
            instructions: program.code.insns.len(),
            unsettled: program.unsettled,
            uses: program.uses(),
            fingerprint: program.fingerprint,
        }
    }
}

/// Where a link is.
#[derive(Serialize, JsonSchema, Default)]
#[schemars(rename = "Hook")]
struct HookJson<'a> {
    /// The whole in words.
    words: String,
    /// How programs are attached there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    attach_type: Option<AttachType>,
    /// The interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    /// The mode of XDP there.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<XdpMode>,
    /// The place among those that share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// The cgroup, as the manifest has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<&'a str>,
    /// The network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<&'a str>,
    /// The hook of netfilter.
    #[serde(skip_serializing_if = "Option::is_none")]
    netfilter: Option<Netfilter>,
    /// The map that the link is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    map: Option<&'a MapName>,
    /// The cgroup's path on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl<'a> HookJson<'a> {
    fn of(hook: &'a Hook, resolved: Option<&'a ResolvedHook>) -> Self {
        let words = hook.to_string();
        let path = match resolved {
            Some(ResolvedHook::Cgroup(Some((path, _)))) => Some(path.to_string_lossy().into_owned()),
            Some(ResolvedHook::Direct(Direct::Cgroup { path, .. }, _)) => Some(path.to_string_lossy().into_owned()),
            Some(
                ResolvedHook::Cgroup(None)
                | ResolvedHook::Interface(_)
                | ResolvedHook::Netns(_)
                | ResolvedHook::Map(_)
                | ResolvedHook::Event(_)
                | ResolvedHook::Direct(Direct::Filter(_) | Direct::Xdp { .. } | Direct::Route(_), _),
            )
            | None => None,
        };
        let shown = Self { words, attach_type: hook.attach_type(), mode: hook.mode(), path, ..Self::default() };
        match hook.anchor() {
            Anchor::Interface(interface, netns) => Self { interface: Some(interface), netns: netns.name(), ..shown },
            Anchor::Cgroup(cgroup) => Self { cgroup: Some(cgroup), ..shown },
            Anchor::Netns(netns) => Self { netns: netns.name(), netfilter: hook.netfilter(), ..shown },
            Anchor::Map(map) => Self { map: Some(map), ..shown },
            // Its words say all of it.
            Anchor::Event(_) => shown,
        }
    }
}

/// A reason: its name, what it is about, and the whole in words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Because")]
struct BecauseJson<'a> {
    /// Its name.
    #[schemars(extend("enum" = Because::NAMES))]
    kind: &'static str,
    /// The whole in words.
    words: String,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    address: Option<Address>,
    /// What differs of a map.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    differences: &'a [Difference],
    /// The id of another program.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
}

impl<'a> BecauseJson<'a> {
    fn of(step: &'a Step, mode: Mode) -> Self {
        let because = &step.because;
        let (address, differences, id): (_, &[_], _) = match because {
            Because::MapNew(map) | Because::MapOther(map) => (Some(Address::Map(map.clone())), &[], None),
            Because::SlotNew(address) => (Some(address.clone()), &[], None),
            Because::ProgramNew(program) | Because::TargetNew(program) => {
                (Some(Address::Program(program.clone())), &[], None)
            }
            Because::Renamed(link) => (Some(Address::Link(link.clone())), &[], None),
            Because::MapDiffers(differences) => (None, differences, None),
            Because::ProgramOther(id) => (None, &[], Some(*id)),
            Because::Missing
            | Because::Unpinned { .. }
            | Because::Unchanged
            | Because::Foreign(_)
            | Because::CodeChanged
            | Because::MapInUse
            | Because::ContentsChanged
            | Because::EntriesChanged
            | Because::SlotsDiffer
            | Because::EntriesNotWanted
            | Because::VariablesDiffer
            | Because::HookChanged(_)
            | Because::OutOfPlace(_)
            | Because::HookGone { .. }
            | Because::Optional
            | Because::NotWanted
            | Because::Destroy
            | Because::PlanChanges(_)
            | Because::NeededBelow
            | Because::Interrupted { .. }
            | Because::Rollback
            | Because::AccessDiffers
            | Because::Adopted
            | Because::TakenOver { .. } => (None, &[], None),
        };
        Self { kind: because.name(), words: step.because_words(mode), address, differences, id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    #[test]
    fn every_step() {
        let manifest = ManifestText { name: "plan.toml", text: samples::MANIFEST };
        let text = super::plan(&samples::every_step(), Some(manifest));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let actions: BTreeSet<_> =
            value["steps"].as_array().unwrap().iter().map(|step| step["action"].to_string()).collect();
        assert_eq!(actions.len(), 29, "a step for every action");
        assert_eq!(value["format"], serde_json::json!({ "major": 1, "minor": 7 }));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_is_not_known_offline_is_left_out() {
        let text = super::plan(&samples::offline(), None);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["mode"], "offline");
        assert_eq!(value["steps"][3]["expects"], serde_json::json!({ "absent": "/sys/fs/bpf/edge/links/uplink" }));
        assert_eq!(value["steps"][3]["place"], serde_json::Value::Null);
    }

    #[test]
    fn what_the_text_says_is_there() {
        let json = |plan: &Plan| -> serde_json::Value { serde_json::from_str(&super::plan(plan, None)).unwrap() };
        let plan = samples::every_step();
        let known = json(&plan);
        for key in ["awaits_tests", "host_time", "command"] {
            assert!(known.get(key).is_none(), "{key}");
        }
        let lacks = Address::Map(MapName::new("flows").unwrap());
        let load = |step: &Step| {
            if let Action::LoadProgram { program, .. } = &step.action { Some(program.name.clone()) } else { None }
        };
        let verdict = |name| (name, Verdict::NotTried { lacks: lacks.clone() });
        let verdicts = plan.steps.iter().filter_map(load).map(verdict).collect();
        let mode = Mode::Against { time: 7 };
        let told = json(&Plan { awaits_tests: true, verdicts: Some(verdicts), mode, ..plan });
        assert_eq!((&told["awaits_tests"], &told["host_time"]), (&true.into(), &7.into()));
        let steps = told["steps"].as_array().unwrap();
        let lacking: Vec<_> = steps.iter().filter_map(|step| step.get("verifier_lacks")).collect();
        assert!(!lacking.is_empty() && lacking.iter().all(|lacks| *lacks == "map.flows"), "{lacking:?}");
    }

    #[test]
    fn the_same_plan_is_the_same_text() {
        assert_eq!(super::plan(&samples::every_step(), None), super::plan(&samples::every_step(), None));
    }
}
