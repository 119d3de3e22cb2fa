//! The plan id: a digest of what a plan was made from and of what it needs to be allowed.
//!
//! Hosts in the same state have the same id, so that one review holds for all of them: nothing in it counts, or belongs
//! to one boot of one host (ids, inodes, indices, times, generations). What is on the host is written as the manifest
//! writes it. Fingerprints are of final instructions, so that CO-RE objects have other ids on kernels with other types.

use super::{Action, Because, Consent, Replaced, Step, Sweep, Traffic};
use crate::access::Access;
use crate::btf::value::format::Formats;
use crate::desired::{
    Anchor, Contents, Desired, DesiredLink, DesiredMap, DesiredProgram, EntriesMode, MapSource, OnChange, Order,
    Reference, SlotKey, SlotSource, Word,
};
use crate::kinds::XdpMode;
use crate::names::{Address, DeploymentName, Digest, LinkName, MapName, ObjectName, PinPath, PlanId, ProgramName, hex};
use crate::observed::{Fingerprints, LinkInfo, Observed, ObservedMap, ObservedProgram, Pinned};
use crate::record::{Record, RecordedLink};
use crate::variables;
use hashbrown::HashMap;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Rises when the same state gets another id.
const FORMAT: u32 = 1;

/// What an id is of.
pub(super) struct Subject<'a> {
    pub deployment: &'a DeploymentName,
    pub pin_root: &'a PinPath,
    /// `None` for the end of a deployment.
    pub desired: Option<&'a Desired>,
    pub observed: &'a Observed,
    pub record: Option<&'a Record>,
    pub steps: &'a [Step],
    pub sweep: Option<Sweep>,
}

impl Subject<'_> {
    /// Digests everything.
    pub fn id(&self) -> PlanId {
        let whole = Whole {
            format: FORMAT,
            deployment: self.deployment,
            pin_root: self.pin_root,
            wanted: self.desired.map(Wanted::of),
            recorded: self.record.map(|record| Recorded::of(record, self.observed)),
            found: self.found(),
            left: self.steps.iter().filter_map(leftover).collect(),
            written: self.steps.iter().filter_map(written).collect(),
            access: self.steps.iter().filter_map(access).collect(),
            needs: self.steps.iter().filter_map(needs).collect(),
            sweep: self.sweep,
            copies: self.steps.iter().filter_map(copies).collect(),
            misplaced: self.steps.iter().filter_map(misplaced).collect(),
            taken: self.steps.iter().filter_map(taken).collect(),
            unpinned: self.steps.iter().filter_map(unpinned).collect(),
        };
        let bytes = serde_json::to_vec(&whole).expect("names, numbers and digests are always JSON");
        PlanId::of(&bytes)
    }

    /// Describes what has the pins that are ours or are to be.
    fn found(&self) -> BTreeMap<&PinPath, Found<'_>> {
        let foreign = self.desired.iter().flat_map(|desired| desired.maps.values());
        let foreign = foreign.filter_map(|map| if let MapSource::Pinned(pin) = &map.source { Some(pin) } else { None });
        let lent = self.record.iter().flat_map(|record| record.maps.values()).filter(|map| !map.created);
        let lent = lent.filter_map(|map| PinPath::new(map.pin.as_deref()?).ok());
        let foreign: BTreeSet<PinPath> = foreign.cloned().chain(lent).collect();
        let fit = self.steps.iter();
        let fit = fit.filter_map(|step| if let Action::ReuseMap { map, .. } = &step.action { map.pin() } else { None });
        let describe = Describe::new(self.observed, self.record, fit.collect());
        let ours = self.observed.pins.iter().filter(|(pin, _)| !foreign.contains(*pin));
        ours.map(|(pin, pinned)| (pin, describe.pinned(pin, pinned))).collect()
    }
}

/// Says what clearing a leftover means for packets, by which one may differ from another.
fn leftover(step: &Step) -> Option<Traffic> {
    matches!(step.action, Action::ClearLeftover { .. }).then_some(step.traffic)
}

/// Digests the entries that a step writes, or the variables that it sets.
fn written(step: &Step) -> Option<(&MapName, Digest)> {
    match &step.action {
        // Indexes and ids are those of one host.
        Action::WriteEntries { writes } if !writes.references.is_empty() => {
            Some((&writes.map, Digest::of(writes.to_string().as_bytes())))
        }
        Action::WriteEntries { writes } => Some((&writes.map, writes.changes.digest())),
        Action::SetVariables { sets } => Some((&sets.map, variables::digest(&sets.changes))),
        _ => None,
    }
}

/// Says what a step has to be allowed on some host, if not on this one: how much a map holds that goes is no difference
/// between hosts.
fn needs(step: &Step) -> Option<Consent> {
    let Action::CreateMap { replaces: Some(Replaced { is_empty: true, .. }), .. } = &step.action else {
        return step.needs;
    };
    Some(Consent::LoseState)
}

/// Says what changes of who may open a pin.
fn access(step: &Step) -> Option<(&Address, String)> {
    let Action::SetAccess { of, now, access, .. } = &step.action else { return None };
    Some((of, access.words(*now)))
}

/// Names a link that does not have its place.
fn misplaced(step: &Step) -> Option<Address> {
    matches!(step.because, Because::OutOfPlace(_)).then(|| step.action.address())
}

/// Says whose hook a link takes, by what is the same on every host: the name and the code of the program.
fn taken(step: &Step) -> Option<(&LinkName, &str, String)> {
    let (Action::Attach { link, hook, .. } | Action::Reattach { link, hook, .. }) = &step.action else { return None };
    hook.taken().map(|taken| (&link.name, taken.name.as_str(), hex(&taken.tag)))
}

/// Names what gets its pin again.
fn unpinned(step: &Step) -> Option<&Address> {
    if let Action::RestorePin { of, .. } = &step.action { Some(of) } else { None }
}

/// Says how entries go over, field by field, but not how many.
fn copies(step: &Step) -> Option<String> {
    match &step.action {
        Action::CopyEntries { copying, .. } => Some(copying.migration.to_string()),
        Action::FinishCopy { migration: Some(migration), .. } => Some(format!("the rest of {migration}")),
        _ => None,
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    format: u32,
    deployment: &'a DeploymentName,
    pin_root: &'a PinPath,
    wanted: Option<Wanted<'a>>,
    recorded: Option<Recorded<'a>>,
    found: BTreeMap<&'a PinPath, Found<'a>>,
    left: Vec<Traffic>,
    /// What of the entries of maps is not as it is wanted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    written: BTreeMap<&'a MapName, Digest>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    access: BTreeMap<&'a Address, String>,
    needs: BTreeSet<Consent>,
    sweep: Option<Sweep>,
    /// How entries go over into maps that are made anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies: Vec<String>,
    /// Links that do not have their places among those on their hooks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misplaced: Vec<Address>,
    /// Programs of others that lose their hooks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taken: Vec<(&'a LinkName, &'a str, String)>,
    /// What lost its pin, and is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpinned: Vec<&'a Address>,
}

/// What the manifest and its objects want.
#[derive(Serialize)]
struct Wanted<'a> {
    objects: BTreeMap<&'a ObjectName, Digest>,
    maps: BTreeMap<&'a MapName, WantedMap<'a>>,
    programs: BTreeMap<&'a ProgramName, WantedProgram<'a>>,
    links: BTreeMap<&'a LinkName, WantedLink<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    absent: Vec<&'a LinkName>,
    allow: &'a BTreeSet<Consent>,
    protect: &'a BTreeSet<Address>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    access: &'a BTreeMap<Address, Access>,
}

impl<'a> Wanted<'a> {
    fn of(desired: &'a Desired) -> Self {
        Self {
            objects: desired.objects.iter().map(|(name, facts)| (name, facts.sha256)).collect(),
            maps: desired.maps.iter().map(|(name, map)| (name, WantedMap::of(map))).collect(),
            programs: desired.programs.iter().map(|(name, program)| (name, WantedProgram::of(program))).collect(),
            links: desired.links.iter().map(|(name, link)| (name, WantedLink::of(link))).collect(),
            absent: desired.absent.iter().map(|absent| &absent.name).collect(),
            allow: &desired.policy.allow,
            protect: &desired.policy.protect,
            access: &desired.policy.access,
        }
    }
}

#[derive(Serialize)]
enum WantedMap<'a> {
    /// BTF is that of the object; what it is counts by the object's digest.
    Defined {
        pin: &'a PinPath,
        spec: String,
        by: Option<&'a (ObjectName, String)>,
        data: Option<Digest>,
        slots: &'a BTreeMap<SlotKey, SlotSource>,
        #[serde(skip_serializing_if = "is_fail")]
        on_change: OnChange,
        #[serde(skip_serializing_if = "Formats::is_empty")]
        formats: &'a Formats,
        #[serde(skip_serializing_if = "Option::is_none")]
        entries: Option<(EntriesMode, bool, Digest)>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        references: Vec<String>,
    },
    Pinned(&'a PinPath),
    /// The manifest's own number.
    Id(u32),
}

/// Digests the entries of a map, but for numbers that only one host has.
fn entries_digest(contents: &Contents) -> Digest {
    match contents.references.given.is_empty() {
        true => contents.entries.digest(),
        false => Digest::of(&[]),
    }
}

/// Writes entries that name interfaces and programs as the manifest does.
fn referring(contents: &Contents) -> Vec<String> {
    let line = |reference: &Reference| match &reference.key {
        Word::Number(number) => format!("{number} = {reference}"),
        Word::Interface(name) => format!("{name} = {reference}"),
    };
    contents.references.given.iter().map(line).collect()
}

impl<'a> WantedMap<'a> {
    fn of(map: &'a DesiredMap) -> Self {
        match &map.source {
            MapSource::Defined(definition) => {
                let operations = definition.operations.as_ref().map(|operations| operations.bytes.as_slice());
                let data = definition.data.as_ref().map(|(_, bytes)| &**bytes).or(operations);
                Self::Defined {
                    pin: &definition.pin,
                    spec: definition.spec.to_string(),
                    by: definition.defined_by.as_ref(),
                    data: data.map(Digest::of),
                    slots: &definition.slots,
                    on_change: definition.on_change,
                    formats: &definition.formats,
                    entries: definition
                        .contents
                        .as_deref()
                        .map(|it| (it.mode, definition.sensitive, entries_digest(it))),
                    references: definition.contents.as_deref().map(referring).unwrap_or_default(),
                }
            }
            MapSource::Pinned(pin) => Self::Pinned(pin),
            MapSource::Id(id) => Self::Id(*id),
        }
    }
}

/// Returns whether a map is as every map was before one could say so.
fn is_fail(on_change: &OnChange) -> bool {
    *on_change == OnChange::Fail
}

#[derive(Serialize)]
struct WantedProgram<'a> {
    pin: &'a PinPath,
    fingerprint: Digest,
}

impl<'a> WantedProgram<'a> {
    fn of(program: &'a DesiredProgram) -> Self {
        Self { pin: &program.pin, fingerprint: program.fingerprint }
    }
}

#[derive(Serialize)]
struct WantedLink<'a> {
    pin: &'a PinPath,
    program: Option<&'a ProgramName>,
    hook: String,
    mode: Option<XdpMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a Order>,
}

impl<'a> WantedLink<'a> {
    fn of(link: &'a DesiredLink) -> Self {
        let (hook, mode, order) = (link.hook.to_string(), link.hook.mode(), link.order.as_ref());
        Self { pin: &link.pin, program: link.program.as_ref(), hook, mode, order }
    }
}

/// What the record says is ours, and which pins of it are still those that were made.
#[derive(Serialize)]
struct Recorded<'a> {
    objects: BTreeMap<&'a str, Digest>,
    maps: BTreeMap<&'a str, RecordedMap<'a>>,
    programs: BTreeMap<&'a str, RecordedPin<'a>>,
    links: BTreeMap<&'a str, RecordedPin<'a>>,
    directories: &'a [String],
}

#[derive(Serialize)]
struct RecordedMap<'a> {
    pin: Option<RecordedPin<'a>>,
    id: Option<u32>,
    created: bool,
    image: Option<Digest>,
    #[serde(skip_serializing_if = "Formats::is_empty")]
    formats: &'a Formats,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<(EntriesMode, bool, Digest)>,
}

#[derive(Serialize)]
struct RecordedPin<'a> {
    path: &'a str,
    is_there: bool,
    protect: bool,
}

impl<'a> Recorded<'a> {
    fn of(record: &'a Record, observed: &Observed) -> Self {
        let pin = |path: &'a str, inode: u64, protect: bool| {
            let is_there = PinPath::new(path).is_ok_and(|path| observed.inode(&path) == Some(inode));
            RecordedPin { path, is_there, protect }
        };
        let map = |map: &'a crate::record::RecordedMap| RecordedMap {
            pin: map.pin.as_deref().map(|path| pin(path, map.inode, map.protect.is_some())),
            id: map.id,
            created: map.created,
            image: map.image,
            formats: &map.formats,
            entries: map.entries.as_ref().map(|it| (it.mode, map.sensitive, it.digest)),
        };
        let programs = record.programs.iter();
        let links = record.links.iter();
        Self {
            objects: record.objects.iter().map(|(name, object)| (name.as_str(), object.sha256)).collect(),
            maps: record.maps.iter().map(|(name, recorded)| (name.as_str(), map(recorded))).collect(),
            programs: programs
                .map(|(name, it)| (name.as_str(), pin(&it.pin, it.inode, it.protect.is_some())))
                .collect(),
            links: links.map(|(name, it)| (name.as_str(), pin(&it.pin, it.inode, it.protect.is_some()))).collect(),
            directories: &record.directories,
        }
    }
}

/// What has a pin.
#[derive(Serialize)]
enum Found<'a> {
    /// A map that fits what is wanted has no words for it: some numbers of it depend on the host's CPUs.
    Map {
        spec: Option<String>,
        constants: Option<Digest>,
    },
    Program {
        fingerprints: &'a Fingerprints,
        uses: BTreeSet<Option<Cow<'a, str>>>,
    },
    Link {
        runs: Option<&'a str>,
        at: Option<String>,
        modes: Vec<XdpMode>,
    },
}

/// Says what is on a host without its numbers.
struct Describe<'a> {
    observed: &'a Observed,
    record: Option<&'a Record>,
    /// The pins of maps that are kept.
    fit: BTreeSet<&'a PinPath>,
    /// Maps by id.
    maps: HashMap<u32, Cow<'a, str>>,
    /// Programs by id.
    programs: HashMap<u32, &'a str>,
}

impl<'a> Describe<'a> {
    fn new(observed: &'a Observed, record: Option<&'a Record>, fit: BTreeSet<&'a PinPath>) -> Self {
        let mut maps: HashMap<u32, Cow<'a, str>> =
            observed.maps_by_id.keys().map(|id| (*id, Cow::Owned(format!("id {id}")))).collect();
        let mut programs = HashMap::new();
        for (pin, pinned) in &observed.pins {
            match pinned {
                Pinned::Map(found) => drop(maps.insert(found.info.id, Cow::Borrowed(pin.as_str()))),
                Pinned::Program(found) => drop(programs.insert(found.info.id, pin.as_str())),
                Pinned::Link(_) => {}
            }
        }
        Self { observed, record, fit, maps, programs }
    }

    fn pinned(&self, pin: &PinPath, pinned: &'a Pinned) -> Found<'a> {
        match pinned {
            Pinned::Map(found) => self.map(pin, found),
            Pinned::Program(found) => self.program(found),
            Pinned::Link(found) => self.link(pin, found),
        }
    }

    fn map(&self, pin: &PinPath, found: &ObservedMap) -> Found<'a> {
        let spec = (!self.fit.contains(pin)).then(|| found.spec.to_string());
        Found::Map { spec, constants: found.frozen_value.as_deref().map(Digest::of) }
    }

    fn program(&self, found: &'a ObservedProgram) -> Found<'a> {
        let uses = found.info.map_ids.iter().map(|id| self.maps.get(id).cloned());
        Found::Program { fingerprints: &found.fingerprints, uses: uses.collect() }
    }

    fn link(&self, pin: &PinPath, found: &LinkInfo) -> Found<'a> {
        let recorded = self.recorded(pin, found);
        let interfaces = self.observed.interfaces.values().filter(|it| {
            found.hook.ifindex() == Some(it.index) && recorded.is_none_or(|link| link.netns == Some(it.netns))
        });
        let modes = interfaces.flat_map(|it| &it.xdp).filter(|(_, id)| *id == found.program_id);
        Found::Link {
            runs: self.programs.get(&found.program_id).copied(),
            at: self.hook(pin, found),
            modes: modes.map(|(mode, _)| *mode).collect(),
        }
    }

    fn recorded(&self, pin: &PinPath, found: &LinkInfo) -> Option<&'a RecordedLink> {
        let mut links = self.record.into_iter().flat_map(|record| record.links.values());
        links.find(|link| link.pin == pin.as_str() && link.at == found.hook)
    }

    /// Names the hook of a link as the manifest did that put it there; `None` for any other, and for none.
    fn hook(&self, pin: &PinPath, found: &LinkInfo) -> Option<String> {
        let recorded = self.recorded(pin, found)?;
        let is_same = match recorded.hook.anchor() {
            Anchor::Interface(name, netns) => {
                let named = self.observed.interface(name, netns);
                named.is_none_or(|named| recorded.is_on(&named.place()))
            }
            Anchor::Netns(netns) => {
                let named = self.observed.namespaces.get(netns);
                named.zip(recorded.netns).is_none_or(|(named, inode)| inode == named.inode)
            }
            Anchor::Cgroup(_) | Anchor::Map(_) => true,
            Anchor::Event(event) => match self.observed.events.get(event) {
                Some(Ok(place)) => place.file() == recorded.file,
                Some(Err(_)) | None => true,
            },
        };
        (is_same && found.is_attached).then(|| recorded.hook.to_string())
    }
}
