//! Values for tests: a small deployment, and a plan that holds every action, reason and consequence once.

use super::*;
use crate::access::Account;
use crate::btf::value::format::Formats;
use crate::desired::{
    Desired, DesiredMap, Event, Hook, MapDefinition, MapSource, Netns, OnChange, Policy, SlotKey, SlotSource, Trace,
};
use crate::direct::Wish;
use crate::elf::{DataKind, ProgramKind};
use crate::entries::{Changes, Entries};
use crate::insn::{Code, Insn, LD_IMM64, Site, SiteKind};
use crate::kinds::XdpMode;
use crate::kinds::{AttachType, MapType, ProgramType};
use crate::names::{Digest, ObjectName};
use crate::observed::Place;
use crate::record::Record;
use crate::spec::{MapSpec, flags};
use crate::variables::Patch;

/// The text that the spans of [`desired`] and [`plan`] point into.
pub const MANIFEST: &str = "\
version = 1
name = \"edge\"

[object.filter]
path = \"filter.bpf.o\"

[map.flows]
from = \"filter:flows\"

[map.deny]
pinned = \"/sys/fs/bpf/tc/globals/deny\"

[program.drop]
from = \"filter:xdp_drop\"

[link.uplink]
program = \"drop\"
xdp = { interface = \"lo\", mode = \"generic\" }
";

fn span(header: &str) -> Span {
    let start = MANIFEST.find(header).expect("the sample has the header");
    start..start + header.len()
}

fn pin(below: &str) -> PinPath {
    PinPath::new("/sys/fs/bpf/edge").unwrap().resolve(below).unwrap()
}

fn object() -> ObjectName {
    ObjectName::new("filter").unwrap()
}

/// Names a map as a manifest does, or with `object:` as a private one.
pub fn map_name(name: &str) -> MapName {
    match name.strip_prefix("filter:") {
        Some(symbol) => MapName::private(&object(), symbol),
        None => MapName::new(name).unwrap(),
    }
}

/// Names a program.
pub fn program_name(name: &str) -> ProgramName {
    ProgramName::new(name).unwrap()
}

fn definition(pin: PinPath, spec: MapSpec) -> MapDefinition {
    let kernel_name = pin.file_name().chars().take(15).collect();
    MapDefinition {
        pin,
        kernel_name,
        spec,
        defined_by: Some((object(), "flows".to_owned())),
        data: None,
        variables: BTreeMap::new(),
        operations: None,
        slots: BTreeMap::new(),
        contents: None,
        sensitive: false,
        formats: Formats::default(),
        adopt: false,
        on_change: OnChange::Fail,
    }
}

fn map(name: &str, definition: MapDefinition) -> Arc<DesiredMap> {
    let (name, source) = (map_name(name), MapSource::Defined(definition));
    Arc::new(DesiredMap { name, source, users: Vec::new(), span: span("[map.flows]") })
}

/// Two variables of `.data` that get other values.
fn variables_set(alone: bool, sensitive: bool) -> Box<Sets> {
    let patch = |offset, value: &[u8]| Patch { offset, value: value.to_vec(), mask: Vec::new() };
    let change = |name: &str, offset, before: u8, after: u8| Change {
        name: name.to_owned(),
        before: patch(offset, &[before]),
        after: patch(offset, &[after]),
        words: (before.to_string(), after.to_string()),
    };
    let changes = vec![change("config.limit", 8, 3, 7), change("sample_rate", 0, 64, 128)];
    let map = map_name("filter:.data");
    Box::new(Sets { map, pin: pin("objects/filter/maps/%2edata"), id: 34, changes, alone, sensitive })
}

fn flows() -> Arc<DesiredMap> {
    map("flows", definition(pin("maps/flows"), MapSpec::new(MapType::LRU_HASH, 4, 8, 1024)))
}

fn rodata() -> Arc<DesiredMap> {
    let spec = MapSpec { flags: flags::RDONLY_PROG | flags::MMAPABLE, ..MapSpec::new(MapType::ARRAY, 4, 64, 1) };
    let pin = pin("private/filter").join(".rodata");
    let data = Some((DataKind::Rodata, Arc::from([1; 64])));
    map("filter:.rodata", MapDefinition { data, ..definition(pin, spec) })
}

fn variables() -> Arc<DesiredMap> {
    let spec = MapSpec::new(MapType::ARRAY, 4, 8, 1);
    let data = Some((DataKind::Data, Arc::from([7; 8])));
    map("filter:.data", MapDefinition { data, ..definition(pin("private/filter").join(".data"), spec) })
}

fn zeroes() -> Arc<DesiredMap> {
    let spec = MapSpec::new(MapType::ARRAY, 4, 8, 1);
    let data = Some((DataKind::Bss, Arc::from([0; 8])));
    map("filter:.bss", MapDefinition { data, ..definition(pin("private/filter").join(".bss"), spec) })
}

fn calls() -> Arc<DesiredMap> {
    let slots = ["drop", "count", "a", "b", "c", "d"].map(program_name).map(SlotSource::Program);
    let slots = (0..).step_by(2).map(SlotKey::index).zip(slots).collect();
    map("calls", MapDefinition { slots, ..definition(pin("maps/calls"), MapSpec::new(MapType::PROG_ARRAY, 4, 4, 16)) })
}

fn tenants() -> Arc<DesiredMap> {
    let inner = Some(Box::new(MapSpec { flags: flags::NO_PREALLOC, ..MapSpec::new(MapType::HASH, 4, 8, 64) }));
    let spec = MapSpec { inner, ..MapSpec::new(MapType::ARRAY_OF_MAPS, 4, 4, 8) };
    let slots = BTreeMap::from([(SlotKey::index(0), SlotSource::Map(map_name("zones")))]);
    map("tenants", MapDefinition { slots, ..definition(pin("maps/tenants"), spec) })
}

fn replaced(id: u32, used_by: &[&str]) -> Replaced {
    Replaced { id, used_by: used_by.iter().map(|name| (*name).to_owned()).collect(), is_empty: false }
}

fn zones() -> Arc<DesiredMap> {
    let spec = MapSpec { flags: flags::NO_PREALLOC, ..MapSpec::new(MapType::HASH, 4, 8, 64) };
    map("zones", definition(pin("maps/zones"), spec))
}

/// Seven entries go over, and two have no room.
fn copying() -> Arc<Copying> {
    let spec = |max_entries| MapSpec { flags: flags::NO_PREALLOC, ..MapSpec::new(MapType::HASH, 4, 8, max_entries) };
    let host = crate::spec::Host { possible_cpus: 2, most_cpus: 64, page_size: 4096 };
    let migration = crate::migrate::Migration::between(&spec(9), &spec(7), &host).expect("both are of one size");
    let mut misfits = crate::migrate::Misfits::default();
    for key in [[8, 0, 0, 0], [9, 0, 0, 0]] {
        migration.misfit(&mut misfits, &key, "the new map has no room for it");
    }
    Arc::new(Copying { migration, fits: 7, misfits, others: vec![(99, "watch".to_owned())] })
}

/// The rest of a copy, of the map with this id, if it is there.
fn finish_copy(there: Option<u32>) -> Action {
    let from = there.unwrap_or(29);
    let migration = there.map(|_| Arc::new(copying().migration.clone()));
    let kept = PinPath::new("/sys/fs/bpf/edge~7").unwrap().copied_entries(&map_name("zones"), from);
    Action::FinishCopy { map: zones(), id: 32, from, kept, migration }
}

fn events() -> Arc<DesiredMap> {
    map("events", definition(pin("maps/events"), MapSpec::new(MapType::RINGBUF, 0, 0, 262_144)))
}

fn deny() -> Arc<DesiredMap> {
    let source = MapSource::Pinned(PinPath::new("/sys/fs/bpf/tc/globals/deny").unwrap());
    Arc::new(DesiredMap { name: map_name("deny"), source, users: Vec::new(), span: span("[map.deny]") })
}

fn lent() -> Arc<DesiredMap> {
    let source = MapSource::Id(1337);
    Arc::new(DesiredMap { name: map_name("lent"), source, users: Vec::new(), span: span("[map.deny]") })
}

fn program(name: &str, kind: ProgramKind, uses: &[&str]) -> Arc<DesiredProgram> {
    let site = |map: usize| Site { insn: 2 * map, map, kind: SiteKind::Map };
    let load = [Insn { code: LD_IMM64, ..Insn::default() }, Insn::default()];
    Arc::new(DesiredProgram {
        name: program_name(name),
        pin: pin("programs").join(name),
        object: object(),
        function: format!("xdp_{name}"),
        kind,
        license: "GPL".to_owned(),
        kernel_version: 0,
        attach_btf_id: 0,
        attach_module: None,
        attach_member: None,
        extends: None,
        unsettled: false,
        code: Code { insns: load.repeat(uses.len()), sites: (0..uses.len()).map(site).collect(), ..Code::default() },
        maps: uses.iter().map(|name| map_name(name)).enumerate().collect(),
        fingerprint: Digest::of(name.as_bytes()),
        span: span("[program.drop]"),
    })
}

fn kind(program_type: ProgramType, attach_type: Option<AttachType>) -> ProgramKind {
    ProgramKind { program_type, attach_type, target: None, flags: 0 }
}

fn xdp() -> ProgramKind {
    kind(ProgramType::XDP, Some(AttachType::XDP))
}

fn link(name: &str, program: &str, hook: Hook) -> Arc<DesiredLink> {
    let (name, program, pin) = (LinkName::new(name).unwrap(), program_name(program), pin("links").join(name));
    Arc::new(DesiredLink { name, pin, program: Some(program), hook, order: None, span: span("[link.uplink]") })
}

fn place(ifindex: u32) -> Place {
    Place { netns: 4_026_531_840, ifindex, peer: None }
}

fn uplink() -> Arc<DesiredLink> {
    let (interface, netns) = ("lo".to_owned(), Netns::OWN);
    link("uplink", "drop", Hook::Xdp { interface, netns, mode: XdpMode::Generic, via: None })
}

fn shape() -> Arc<DesiredLink> {
    let (interface, netns, attach_type) = ("eth0".to_owned(), Netns::OWN, AttachType::TCX_INGRESS);
    let hook = Hook::Tc { interface, netns, attach_type, via: None, wish: Wish::default() };
    link("shape", "count", hook)
}

fn services() -> Arc<DesiredLink> {
    let (path, attach_type) = ("system.slice".to_owned(), AttachType::CGROUP_INET_INGRESS);
    let hook = Hook::Cgroup { path, attach_type, via: None };
    link("services", "count", hook)
}

fn starts() -> Arc<DesiredLink> {
    let event = Event::Tracepoint { category: "sched".to_owned(), name: "sched_process_exec".to_owned() };
    link("starts", "trace", Hook::Trace(Trace { event, cookie: None }))
}

/// Changes of the entries of [`desired`]'s `flows`.
pub fn writes(changes: Changes) -> Writes {
    let spec = MapSpec::new(MapType::LRU_HASH, 4, 8, 1024);
    let (map, pin, changes) = (map_name("flows"), pin("maps/flows"), Arc::new(changes));
    Writes {
        map,
        pin,
        id: Some(27),
        changes,
        removes_first: false,
        keys_only: false,
        spec,
        formats: Formats::default(),
        references: BTreeMap::new(),
        sensitive: false,
    }
}

/// A deployment with a data section, a map in a map, and a tail call behind a link.
pub fn desired() -> Desired {
    let maps = [flows(), rodata(), variables(), zeroes(), tenants(), zones(), deny()];
    let slots = BTreeMap::from([(SlotKey::index(0), SlotSource::Program(program_name("next")))]);
    let calls = map(
        "calls",
        MapDefinition { slots, ..definition(pin("maps/calls"), MapSpec::new(MapType::PROG_ARRAY, 4, 4, 16)) },
    );
    let programs = [
        program("drop", xdp(), &["flows", "filter:.rodata", "calls", "filter:.bss", "flows"]),
        program("next", xdp(), &["calls", "filter:.data", "tenants", "deny"]),
    ];
    let links = [uplink()];
    Desired {
        name: DeploymentName::new("edge").unwrap(),
        pin_root: PinPath::new("/sys/fs/bpf/edge").unwrap(),
        bpffs: PinPath::new("/sys/fs/bpf").unwrap(),
        objects: BTreeMap::new(),
        maps: maps.into_iter().chain([calls]).map(|map| (map.name.clone(), map)).collect(),
        programs: programs.into_iter().map(|program| (program.name.clone(), program)).collect(),
        links: links.into_iter().map(|link| (link.name.clone(), link)).collect(),
        templates: BTreeMap::new(),
        absent: Vec::new(),
        policy: Policy::default(),
    }
}

fn step(action: Action, because: Because, traffic: Traffic, state: State, needs: Option<Consent>) -> Step {
    let header = match &action.address() {
        Address::Map(_) => Some("[map.flows]"),
        Address::Program(_) => Some("[program.drop]"),
        Address::Link(_) => Some("[link.uplink]"),
        Address::Directory(_) | Address::Object(_) | Address::Record => None,
    };
    let span = header.filter(|_| action.marker() != Marker::Remove).map(span);
    Step { action, because, span, traffic, state, needs }
}

fn access() -> Access {
    Access { mode: Some(0o640), owner: None, group: Some(Account::Name("metrics".to_owned())) }
}

/// A plan with these steps.
pub fn plan_of(mode: Mode, steps: Vec<Step>) -> Plan {
    let facts = ObjectFacts {
        name: object(),
        path: "filter.bpf.o".to_owned(),
        sha256: Digest::of(b"filter"),
        types: Default::default(),
        described: Vec::new(),
        mains: Default::default(),
        fingerprints: Default::default(),
    };
    Plan {
        id: PlanId::of(b"sample"),
        deployment: DeploymentName::new("edge").unwrap(),
        pin_root: PinPath::new("/sys/fs/bpf/edge").unwrap(),
        mode,
        generations: Generations {
            current: None,
            record: None,
            next: PinPath::new("/sys/fs/bpf/edge").unwrap().generation(1),
            number: 1,
            second: BTreeSet::new(),
        },
        objects: BTreeMap::from([(object(), Arc::new(facts))]),
        allow: BTreeSet::new(),
        given: BTreeSet::new(),
        sweep: None,
        shared: Shared::default(),
        steps,
        verdicts: None,
        traffic: None,
        awaits_tests: false,
    }
}

/// A plan that never is: every action, reason, consequence and consent, in an order that could be.
pub fn every_step() -> Plan {
    let bpffs = PinPath::new("/sys/fs/bpf").unwrap();
    let differs = |field: &str, left: &str, right: &str| Difference {
        field: field.to_owned(),
        left: left.to_owned(),
        right: right.to_owned(),
    };
    let cgroup = Box::new(ResolvedHook::Cgroup(Some(("/sys/fs/cgroup/system.slice".into(), 4711))));
    let because_map =
        Because::MapDiffers(vec![differs("max_entries", "8", "16"), differs("value struct zone.hits", "u32", "u64")]);
    let cgroup_skb = kind(ProgramType::CGROUP_SKB, Some(AttachType::CGROUP_INET_INGRESS));
    let count = program("count", cgroup_skb, &["flows"]);
    let next = program("next", kind(ProgramType::SCHED_CLS, None), &[]);
    let edge = |name: &str| pin("programs").join(name);
    let record = Box::new(Record::default());
    let old_link = LinkName::new("old").unwrap();
    let (drop_program, drop_new) = (program("drop", xdp(), &["flows", "filter:.rodata"]), program_name("drop"));
    let shape_hook = || Box::new(ResolvedHook::Interface(Some(place(2))));
    let entries = |pairs: &[(u8, u8)]| {
        let keys = pairs.iter().flat_map(|(key, _)| [0, 0, 0, *key]).collect();
        let values = pairs.iter().flat_map(|(_, value)| [*value; 8]).collect();
        Entries::of(4, 8, keys, values).expect("no key is there twice")
    };
    let live = entries(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
    let first_entries = Box::new(Writes { id: None, ..writes(Changes::first(&live)) });
    let changes = Changes::between(&live, &entries(&[(2, 2), (3, 5), (7, 7), (8, 8)]), |_| true);
    let other_entries = Box::new(Writes { removes_first: true, ..writes(changes) });
    let changes = Changes::between(&live, &entries(&[]), |_| true);
    let old_entries = Box::new(Writes { sensitive: true, ..writes(changes) });
    use {Action as A, Because as B, Consent as C, State as S, Traffic as T};
    let steps = vec![
        step(A::MountBpffs { at: bpffs }, B::NeededBelow, T::None, S::None, None),
        step(A::MakeDirectory { path: pin("maps") }, B::Missing, T::None, S::None, None),
        step(A::ReuseMap { map: flows(), id: 27, ours: true }, B::Unchanged, T::None, S::Kept, None),
        step(A::ReuseMap { map: deny(), id: 1336, ours: false }, B::Foreign(None), T::None, S::Kept, None),
        step(A::ReuseMap { map: lent(), id: 1337, ours: false }, B::Foreign(None), T::None, S::Kept, None),
        step(A::CreateMap { map: events(), replaces: None }, B::Missing, T::None, S::New, None),
        step(
            A::CreateMap { map: zones(), replaces: Some(replaced(31, &["core"])) },
            because_map,
            T::None,
            S::Lost(None),
            Some(C::LoseState),
        ),
        step(
            A::CopyEntries { map: zones(), from: 31, copying: copying() },
            B::MapNew(map_name("zones")),
            T::None,
            S::Copied { entries: 7, lost: 2 },
            Some(C::LoseState),
        ),
        step(
            A::CreateMap { map: tenants(), replaces: Some(Replaced { is_empty: true, ..replaced(32, &[]) }) },
            B::SlotNew(Address::Map(map_name("zones"))),
            T::None,
            S::New,
            None,
        ),
        step(
            A::CreateMap { map: rodata(), replaces: Some(replaced(33, &[])) },
            B::ContentsChanged,
            T::None,
            S::New,
            None,
        ),
        step(A::FillMap { map: rodata() }, B::ContentsChanged, T::None, S::New, None),
        step(A::FillMap { map: variables() }, B::MapNew(map_name("filter:.data")), T::None, S::New, None),
        step(A::FillSlots { map: tenants() }, B::MapNew(map_name("tenants")), T::None, S::New, None),
        step(A::WriteEntries { writes: first_entries }, B::Missing, T::None, S::New, None),
        step(A::WriteEntries { writes: other_entries }, B::EntriesChanged, T::None, S::Lost(None), Some(C::LoseState)),
        step(A::WriteEntries { writes: old_entries }, B::EntriesNotWanted, T::None, S::Kept, None),
        step(A::SetVariables { sets: variables_set(true, false) }, B::VariablesDiffer, T::None, S::Kept, None),
        step(A::SetVariables { sets: variables_set(false, true) }, B::VariablesDiffer, T::None, S::Kept, None),
        step(A::ReuseProgram { program: next, id: 40 }, B::Unchanged, T::None, S::None, None),
        step(
            A::LoadProgram { program: drop_program.clone(), replaces: Some(17) },
            B::CodeChanged,
            T::None,
            S::None,
            None,
        ),
        step(A::LoadProgram { program: count, replaces: None }, B::MapOther(map_name("flows")), T::None, S::None, None),
        step(A::FillSlots { map: calls() }, B::SlotNew(Address::Program(drop_new.clone())), T::None, S::New, None),
        step(A::ReuseLink { link: shape(), id: 50 }, B::Unchanged, T::NoGap, S::None, None),
        step(
            A::Attach { link: services(), hook: cgroup, spot: Spot::Any },
            B::HookGone { detached: false },
            T::Starts,
            S::None,
            None,
        ),
        step(
            A::Attach { link: shape(), hook: shape_hook(), spot: Spot::Any },
            B::Missing,
            T::Starts,
            S::None,
            Some(C::Takeover),
        ),
        step(
            A::Reattach { link: shape(), id: 53, hook: shape_hook(), spot: Spot::First, overlap: true },
            B::OutOfPlace("first".to_owned()),
            T::NoGap,
            S::None,
            None,
        ),
        step(A::UpdateLink { link: uplink(), id: 51, old: 17 }, B::ProgramNew(drop_new), T::NoGap, S::None, None),
        step(A::UpdateLink { link: uplink(), id: 51, old: 99 }, B::ProgramOther(99), T::NoGap, S::None, None),
        step(
            A::Reattach {
                link: uplink(),
                id: 51,
                hook: Box::new(ResolvedHook::Interface(Some(place(1)))),
                spot: Spot::Any,
                overlap: false,
            },
            B::HookChanged("mode native, wanted generic".to_owned()),
            T::GapUnfiltered,
            S::None,
            Some(C::Gap),
        ),
        step(
            A::Reattach {
                link: uplink(),
                id: 51,
                hook: Box::new(ResolvedHook::Interface(Some(place(1)))),
                spot: Spot::Any,
                overlap: true,
            },
            B::HookChanged("it is on xdp of eth1".to_owned()),
            T::Moves,
            S::None,
            Some(C::Prune),
        ),
        step(
            A::Reattach {
                link: starts(),
                id: 53,
                hook: Box::new(ResolvedHook::Event(Some(EventPlace::Tracepoint(314)))),
                spot: Spot::Any,
                overlap: true,
            },
            B::ProgramNew(program_name("trace")),
            T::BothRun,
            S::None,
            None,
        ),
        step(
            A::SetAccess {
                of: Address::Map(map_name("events")),
                pin: pin("maps/events"),
                now: None,
                access: Box::new(access()),
            },
            B::Missing,
            T::None,
            S::None,
            None,
        ),
        step(
            A::SetAccess {
                of: Address::Map(map_name("flows")),
                pin: pin("maps/flows"),
                now: Some(Permissions { mode: 0o600, owner: 0, group: 0 }),
                access: Box::new(access()),
            },
            B::AccessDiffers,
            T::None,
            S::None,
            None,
        ),
        step(
            A::Detach { link: old_link, pin: pin("links/old"), id: 52, hook: "xdp of eth1".to_owned() },
            B::NotWanted,
            T::Stops,
            S::None,
            Some(C::Prune),
        ),
        step(
            A::RemoveProgram { program: program_name("old"), pin: edge("old"), id: 18 },
            B::NotWanted,
            T::None,
            S::None,
            Some(C::Prune),
        ),
        step(
            A::RemoveMap {
                map: map_name("old"),
                pin: pin("maps/old"),
                id: 19,
                used_by: ["core".to_owned(), "watch".to_owned()].into(),
                is_empty: false,
            },
            B::Destroy,
            T::None,
            S::Lost(None),
            Some(C::Prune),
        ),
        step(A::RemoveDirectory { path: pin("links") }, B::Destroy, T::None, S::None, None),
        step(
            A::WriteRecord {
                pin: pin("record"),
                record: record.clone(),
                owned: BTreeMap::new(),
                generation: 1,
                replaces: None,
            },
            B::Missing,
            T::None,
            S::None,
            None,
        ),
        step(
            A::WriteRecord { pin: pin("record"), record, owned: BTreeMap::new(), generation: 8, replaces: Some(7) },
            B::PlanChanges(Vec::new()),
            T::None,
            S::None,
            None,
        ),
        step(
            A::ClearLeftover {
                path: PinPath::new("/sys/fs/bpf/edge").unwrap().generation(9),
                record: None,
                kept: false,
                links: 1,
            },
            B::Interrupted { taken: vec!["program id 11 on clsact ingress of interface 2".to_owned()] },
            T::Stops,
            S::None,
            None,
        ),
        step(
            A::RestoreMap {
                map: map_name("zones"),
                pin: pin("maps/zones"),
                id: 41,
                restored: Restored::Stays,
                used_by: BTreeSet::new(),
            },
            B::Unchanged,
            T::None,
            S::Kept,
            None,
        ),
        step(
            A::RestoreMap {
                map: map_name("tenants"),
                pin: pin("maps/tenants"),
                id: 42,
                restored: Restored::Returns,
                used_by: BTreeSet::new(),
            },
            B::Rollback,
            T::None,
            S::Kept,
            None,
        ),
        step(
            A::RestoreProgram {
                program: program_name("drop"),
                pin: pin("programs/drop"),
                id: 43,
                restored: Restored::Replaces(44),
            },
            B::Rollback,
            T::None,
            S::None,
            None,
        ),
        step(
            A::RestorePin {
                of: Address::Map(map_name("tenants")),
                pin: PinPath::new("/sys/fs/bpf/shared/tenants").unwrap(),
            },
            B::Unpinned { alive: None },
            T::None,
            S::None,
            None,
        ),
        step(
            A::RenameLink { link: uplink(), was: LinkName::new("wan").unwrap(), from: pin("links/wan"), id: 51 },
            B::Renamed(LinkName::new("wan").unwrap()),
            T::None,
            S::None,
            None,
        ),
        step(A::RemoveRecord { pin: pin("record") }, B::Destroy, T::None, S::None, None),
        step(A::CatchUp { map: zones(), from: 31, copying: copying() }, B::MapInUse, T::None, S::None, None),
        step(finish_copy(Some(30)), B::Interrupted { taken: Vec::new() }, T::None, S::None, None),
        step(finish_copy(None), B::Interrupted { taken: Vec::new() }, T::None, S::None, None),
    ];
    plan_of(Mode::Live, steps)
}

/// A first plan, made without a host.
pub fn offline() -> Plan {
    let interface = || Box::new(ResolvedHook::Interface(None));
    let drop_program = program("drop", xdp(), &["flows", "filter:.rodata"]);
    let missing = |action, traffic, state| step(action, Because::Missing, traffic, state, None);
    let steps = vec![
        missing(Action::MakeDirectory { path: pin("maps") }, Traffic::None, State::None),
        missing(Action::CreateMap { map: flows(), replaces: None }, Traffic::None, State::New),
        missing(Action::LoadProgram { program: drop_program, replaces: None }, Traffic::None, State::None),
        missing(Action::Attach { link: uplink(), hook: interface(), spot: Spot::Any }, Traffic::Starts, State::None),
        missing(
            Action::Attach { link: services(), hook: Box::new(ResolvedHook::Cgroup(None)), spot: Spot::Any },
            Traffic::Starts,
            State::None,
        ),
    ];
    plan_of(Mode::Offline, steps)
}

/// A plan for a host that matches.
pub fn unchanged() -> Plan {
    let kept = |action, state| step(action, Because::Unchanged, Traffic::None, state, None);
    let drop_program = program("drop", xdp(), &["flows"]);
    let steps = vec![
        kept(Action::ReuseMap { map: flows(), id: 27, ours: true }, State::Kept),
        kept(Action::ReuseProgram { program: drop_program, id: 17 }, State::None),
        kept(Action::ReuseLink { link: uplink(), id: 51 }, State::None),
    ];
    plan_of(Mode::Live, steps)
}
