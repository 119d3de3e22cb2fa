//! Entries of maps: what a plan writes of them, whose they are, and that every one is back where a run that failed found
//! it. What each mode means is tried on the fake kernel and on the running one.

mod common;

use bpfapply::apply::entries::unwritten;
use bpfapply::apply::outcome::{Outcome, Status, StepOutcome, Verdict};
use bpfapply::apply::{Stamp, apply};
use bpfapply::desired::{Contents, Desired, EntriesMode, MapSource, References};
use bpfapply::diag::{Kind, Problem, Problems};
use bpfapply::entries::Entries;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{HookRequest, Kernel, ObjectKind, XdpMode, contents, observe, status};
use bpfapply::observed::Wanted;
use bpfapply::plan::words::thousands;
use bpfapply::plan::{self, Action, Mode, Plan};
use bpfapply::report::{Style, text};
use common::stages::{self, good, path, plan_destroy, plan_rollback, repository};
use common::tool;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use EntriesMode::{Exact, ExactKeys, Merge, MergeKeys, Seed};

/// The maps of [`MANIFEST`], and how many entries each has room for.
const MAPS: [(&str, usize); 4] = [("array", 4), ("cpus", 6), ("hash", 6), ("trie", 6)];

/// A map of each kind, and a filter that reads one of them. `{upgrade}` is the version of the filter.
const MANIFEST: &str = r#"
version = 1
name = "edge"
[object.filter]
path = "tests/objects/upgrade_{upgrade}.o"
[map.hash]
type = "hash"
key_size = 4
value_size = 8
max_entries = 6
[map.array]
type = "array"
key_size = 4
value_size = 8
max_entries = 4
[map.cpus]
type = "percpu_hash"
key_size = 4
value_size = 8
max_entries = 6
[map.trie]
type = "lpm_trie"
key_size = 8
value_size = 8
max_entries = 6
flags = ["no_prealloc"]
[program.drop]
from = "filter:drop"
[link.first]
program = "drop"
xdp = { interface = "lo", mode = "generic" }
"#;

/// The entries of one map: keys with what all bytes of their values are.
type Pairs = &'static [(u32, u8)];
/// What a manifest gives to maps.
type Given = &'static [(&'static str, EntriesMode, Pairs)];

/// A kernel that several may use.
trait Host: Kernel {
    fn same(&self) -> Self;
}

impl Host for Fake {
    fn same(&self) -> Self {
        self.clone()
    }
}

impl Host for Linux {
    fn same(&self) -> Self {
        Self::new()
    }
}

/// Makes the entries that a map of the manifest takes.
fn entries(map: &str, pairs: &[(u32, u8)], host: &impl Host) -> Entries {
    let cpus = host.host().expect("a host").possible_cpus as usize;
    let (key_size, value_size) = match map {
        "cpus" => (4, 8 * cpus),
        "trie" => (8, 8),
        _ => (4, 8),
    };
    let key = |key: u32| {
        [&[32u32.to_ne_bytes()][..if key_size == 8 { 1 } else { 0 }].concat(), &key.to_ne_bytes()[..]].concat()
    };
    let keys = pairs.iter().flat_map(|(number, _)| key(*number)).collect();
    let values = pairs.iter().flat_map(|(_, value)| vec![*value; value_size]).collect();
    Entries::of(key_size, value_size, keys, values).expect("no key is there twice")
}

/// Gives maps the entries as if the manifest did.
fn desired_of(text: &str, upgrade: u32, given: Given, host: &impl Host) -> Desired {
    let text = text.replace("{upgrade}", &upgrade.to_string());
    let mut desired = good(stages::desired(&text, repository(), host), &text);
    given.iter().for_each(|(name, mode, pairs)| give(&mut desired, name, *mode, entries(name, pairs, host)));
    desired
}

fn give(desired: &mut Desired, name: &str, mode: EntriesMode, entries: Entries) {
    let map = desired.maps.get_mut(name).map(Arc::make_mut).expect("the manifest has the map");
    let MapSource::Defined(definition) = &mut map.source else { panic!("the manifest defines it") };
    let (entries, span) = (Arc::new(entries), map.span.clone());
    definition.contents = Some(Box::new(Contents { mode, entries, references: References::default(), span }));
}

fn planned(text: &str, upgrade: u32, given: Given, host: &impl Host) -> Plan {
    let desired = desired_of(text, upgrade, given, host);
    let observed = good(observe::observe(host, &Wanted::of(&desired)), text);
    good(plan::plan(&desired, &observed, Mode::Live), text)
}

fn try_plan(upgrade: u32, given: Given, host: &impl Host) -> Result<Plan, Problems> {
    let desired = desired_of(MANIFEST, upgrade, given, host);
    let observed = observe::observe(host, &Wanted::of(&desired))?;
    plan::plan(&desired, &observed, Mode::Live)
}

#[track_caller]
fn plan_of(upgrade: u32, given: Given, host: &impl Host) -> Plan {
    good(try_plan(upgrade, given, host), MANIFEST)
}

fn run<'a>(plan: &'a Plan, host: &impl Host) -> (Outcome<'a>, Option<Problem>) {
    let applied = apply(&mut host.same(), plan, &Stamp { time: 7, ..Stamp::default() });
    (applied.outcome, applied.problem)
}

#[track_caller]
fn make(upgrade: u32, given: Given, host: &impl Host) {
    let plan = plan_of(upgrade, given, host);
    let (_, problem) = run(&plan, host);
    assert!(problem.is_none(), "{problem:?}");
}

fn plan_back(host: &impl Host) -> Plan {
    good(plan_rollback("edge", host), "")
}

fn open<H: Host>(map: &str, host: &H) -> H::Fd {
    host.open_pin(&path(&format!("/sys/fs/bpf/edge/maps/{map}"))).expect("the map is pinned").1
}

/// Returns what a map holds, with keys as numbers; zeros of arrays are not told.
fn held(map: &str, host: &impl Host) -> BTreeMap<u32, u8> {
    let live = contents::live(host, &open(map, host), &host.host().expect("a host")).expect("it can be read");
    let number = |key: &[u8]| u32::from_ne_bytes(*key.last_chunk().expect("keys end with a number"));
    let pairs = live.iter().map(|(key, value)| (number(key), value[0]));
    pairs.filter(|(_, value)| map != "array" || *value != 0).collect()
}

/// Writes entries as somebody else does.
fn write(map: &str, pairs: &[(u32, u8)], host: &impl Host) {
    let entries = entries(map, pairs, host);
    host.same().write_entries(&open(map, host), &entries).expect("there is room");
}

/// Returns what a plan says of entries: the map and the counts.
fn lines(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| matches!(step.action, Action::WriteEntries { .. }));
    let line = |step: &plan::Step| {
        let needs = step.needs.map(|needs| format!(" needs {needs}")).unwrap_or_default();
        format!("{} {} {}{needs}", step.action.marker(), step.action.address(), step.action)
    };
    steps.map(line).collect()
}

/// What others write after the first apply.
type Others = &'static [(&'static str, Pairs)];

/// One change of the entries of a map.
struct Row {
    name: &'static str,
    first: Given,
    others: Others,
    then: Given,
    /// What the plan says.
    plan: &'static [&'static str],
    /// What is in the maps afterwards.
    held: &'static [(&'static str, Pairs)],
    /// What is in them after a rollback.
    back: &'static [(&'static str, Pairs)],
}

const ROWS: &[Row] = &[
    Row {
        name: "exact takes what is not its own",
        first: &[("hash", Exact, &[(1, 1), (2, 2), (3, 3)])],
        others: &[("hash", &[(9, 9), (3, 4)])],
        then: &[("hash", Exact, &[(1, 1), (2, 5), (3, 3), (4, 4)])],
        plan: &["~ map.hash entries +1 ~2 -1 (1 the same)"],
        held: &[("hash", &[(1, 1), (2, 5), (3, 3), (4, 4)])],
        back: &[("hash", &[(1, 1), (2, 2), (3, 3)])],
    },
    Row {
        name: "merge only takes its own back",
        first: &[("hash", Merge, &[(1, 1), (2, 2)])],
        others: &[("hash", &[(9, 9), (2, 7)])],
        then: &[("hash", Merge, &[(1, 1), (3, 3)])],
        plan: &["~ map.hash entries +1 ~0 -1 (1 the same)"],
        held: &[("hash", &[(1, 1), (3, 3), (9, 9)])],
        back: &[("hash", &[(1, 1), (2, 2), (9, 9)])],
    },
    Row {
        name: "seed writes once",
        first: &[("hash", Seed, &[(1, 1), (2, 2)])],
        others: &[("hash", &[(2, 7)])],
        then: &[("hash", Seed, &[(1, 5), (3, 3)])],
        plan: &[],
        held: &[("hash", &[(1, 1), (2, 7)])],
        back: &[("hash", &[(1, 1), (2, 7)])],
    },
    Row {
        name: "an array has zeros where nothing is wanted",
        first: &[("array", Exact, &[(0, 1), (1, 2)])],
        others: &[("array", &[(3, 9)])],
        then: &[("array", Exact, &[(0, 1), (2, 2)])],
        plan: &["~ map.array entries +0 ~3 -0 (1 the same)"],
        held: &[("array", &[(0, 1), (2, 2)])],
        back: &[("array", &[(0, 1), (1, 2)])],
    },
    Row {
        name: "an array that is shared",
        first: &[("array", Merge, &[(0, 1), (1, 2)])],
        others: &[("array", &[(3, 9)])],
        then: &[("array", Merge, &[(0, 1)])],
        plan: &["~ map.array entries +0 ~1 -0 (1 the same)"],
        held: &[("array", &[(0, 1), (3, 9)])],
        back: &[("array", &[(0, 1), (1, 2), (3, 9)])],
    },
    Row {
        name: "each CPU has the value",
        first: &[("cpus", Exact, &[(1, 1)])],
        others: &[],
        then: &[("cpus", Exact, &[(1, 2), (2, 2)])],
        plan: &["~ map.cpus entries +1 ~1 -0 (0 the same)"],
        held: &[("cpus", &[(1, 2), (2, 2)])],
        back: &[("cpus", &[(1, 1)])],
    },
    Row {
        name: "a full map",
        first: &[("trie", Exact, &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)])],
        others: &[],
        then: &[("trie", Exact, &[(1, 1), (7, 7), (3, 3), (4, 4), (5, 5), (6, 6)])],
        plan: &["~ map.trie entries +1 ~0 -1 (5 the same), first what goes: the map is full"],
        held: &[("trie", &[(1, 1), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)])],
        back: &[("trie", &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)])],
    },
    Row {
        name: "exact lets go",
        first: &[("hash", Exact, &[(1, 1)])],
        others: &[],
        then: &[],
        plan: &[],
        held: &[("hash", &[(1, 1)])],
        back: &[("hash", &[(1, 1)])],
    },
    Row {
        name: "merge takes back",
        first: &[("hash", Merge, &[(1, 1)])],
        others: &[("hash", &[(9, 9)])],
        then: &[],
        plan: &["~ map.hash entries +0 ~0 -1 (0 the same)"],
        held: &[("hash", &[(9, 9)])],
        back: &[("hash", &[(1, 1), (9, 9)])],
    },
    Row {
        name: "entries for a map that others filled",
        first: &[],
        others: &[("hash", &[(9, 9)])],
        then: &[("hash", Merge, &[(1, 1)])],
        plan: &["~ map.hash entries +1 ~0 -0 (0 the same)"],
        held: &[("hash", &[(1, 1), (9, 9)])],
        back: &[("hash", &[(9, 9)])],
    },
    Row {
        name: "what others filled is not emptied by the way",
        first: &[],
        others: &[("hash", &[(9, 9)])],
        then: &[("hash", Exact, &[(1, 1)])],
        plan: &["~ map.hash entries +1 ~0 -1 (0 the same) needs lose-state"],
        held: &[("hash", &[(1, 1)])],
        // What others had is gone.
        back: &[("hash", &[(1, 1)])],
    },
    Row {
        name: "emptied at once",
        first: &[("hash", Exact, &[(1, 1), (2, 2)])],
        others: &[],
        then: &[("hash", Exact, &[])],
        plan: &["~ map.hash entries +0 ~0 -2 (0 the same) needs lose-state"],
        held: &[("hash", &[])],
        back: &[("hash", &[(1, 1), (2, 2)])],
    },
    Row {
        name: "from seed to merge",
        first: &[("hash", Seed, &[(1, 1), (2, 2), (4, 4)])],
        others: &[("hash", &[(2, 7)])],
        then: &[("hash", Merge, &[(1, 5), (2, 7), (3, 3)])],
        plan: &["~ map.hash entries +1 ~1 -0 (1 the same)"],
        held: &[("hash", &[(1, 5), (2, 7), (3, 3), (4, 4)])],
        // What the first ones had become is not known any more.
        back: &[("hash", &[(1, 1), (2, 2), (4, 4)])],
    },
    Row {
        name: "the values of exact keys are others'",
        first: &[("hash", ExactKeys, &[(1, 1), (2, 2)])],
        others: &[("hash", &[(2, 7), (9, 9)])],
        then: &[("hash", ExactKeys, &[(1, 5), (2, 2), (3, 3)])],
        plan: &["~ map.hash entries +1 ~0 -1 (2 there, with values of their own)"],
        held: &[("hash", &[(1, 1), (2, 7), (3, 3)])],
        back: &[("hash", &[(1, 1), (2, 7)])],
    },
    Row {
        name: "the values of merged keys are others'",
        first: &[("cpus", MergeKeys, &[(1, 1), (2, 2)])],
        others: &[("cpus", &[(2, 7), (9, 9)])],
        then: &[("cpus", MergeKeys, &[(2, 5), (3, 3)])],
        plan: &["~ map.cpus entries +1 ~0 -1 (1 there, with values of their own)"],
        held: &[("cpus", &[(2, 7), (3, 3), (9, 9)])],
        back: &[("cpus", &[(1, 1), (2, 7), (9, 9)])],
    },
    Row {
        name: "an index of an array is new once",
        first: &[("array", ExactKeys, &[(0, 1), (1, 2)])],
        others: &[("array", &[(0, 0), (1, 9)])],
        then: &[("array", ExactKeys, &[(0, 1), (1, 2), (2, 3)])],
        plan: &["~ map.array entries +0 ~1 -0 (2 there, with values of their own)"],
        held: &[("array", &[(1, 9), (2, 3)])],
        back: &[("array", &[(1, 9)])],
    },
    Row {
        name: "an index that others counted in is not new",
        first: &[],
        others: &[("array", &[(1, 9)])],
        then: &[("array", MergeKeys, &[(0, 1), (1, 2)])],
        plan: &["~ map.array entries +0 ~1 -0 (1 there, with values of their own)"],
        held: &[("array", &[(0, 1), (1, 9)])],
        back: &[("array", &[])],
    },
    Row {
        name: "from exact to exact keys, and back",
        first: &[("hash", Exact, &[(1, 1)])],
        others: &[("hash", &[(1, 9)])],
        then: &[("hash", ExactKeys, &[(1, 1)])],
        plan: &[],
        held: &[("hash", &[(1, 9)])],
        back: &[("hash", &[(1, 1)])],
    },
    Row {
        name: "from merge to seed",
        first: &[("hash", Merge, &[(1, 1)])],
        others: &[],
        then: &[("hash", Seed, &[(2, 2)])],
        plan: &[],
        held: &[("hash", &[(1, 1)])],
        back: &[("hash", &[(1, 1)])],
    },
];

#[track_caller]
fn check(row: &Row, host: &impl Host) {
    make(1, row.first, host);
    row.others.iter().for_each(|(map, pairs)| write(map, pairs, host));
    let plan = plan_of(1, row.then, host);
    assert_eq!(lines(&plan), row.plan, "{}", row.name);
    assert_eq!(plan_of(1, row.then, host).id, plan.id, "{}", row.name);
    let (outcome, problem) = run(&plan, host);
    assert!(problem.is_none(), "{}: {problem:?}", row.name);
    assert_eq!(unwritten(host, &plan).expect("it can be read"), [""; 0], "{}", row.name);
    let holds = |maps: &[(&str, Pairs)]| {
        for (map, pairs) in maps {
            assert_eq!(held(map, host), pairs.iter().copied().collect(), "{}: {map}", row.name);
        }
    };
    holds(row.held);
    assert!(plan_of(1, row.then, host).is_empty(), "{}: nothing is left to do", row.name);
    if outcome.verdict() == Verdict::Applied {
        let back = plan_back(host);
        assert!(run(&back, host).1.is_none(), "{}", row.name);
        holds(row.back);
    }
    run(&good(plan_destroy("edge", host), ""), host);
}

#[test]
fn entries_become_what_is_wanted() {
    ROWS.iter().for_each(|row| check(row, &Fake::new()));
}

#[test]
fn entries_become_what_is_wanted_on_the_running_kernel() {
    common::in_namespace("entries_become_what_is_wanted", |_| {
        ROWS.iter().for_each(|row| check(row, &Linux::new()));
    });
}

#[test]
fn what_was_changed_by_others_is_drift() {
    check_drift(&Fake::new());
    common::in_namespace("what_was_changed_by_others_is_drift", |_| check_drift(&Linux::new()));
}

fn check_drift(host: &impl Host) {
    let given: Given = &[
        ("hash", Exact, &[(1, 1), (2, 2)]),
        ("array", Merge, &[(1, 1), (2, 2)]),
        ("cpus", ExactKeys, &[(1, 1)]),
        ("trie", Seed, &[(1, 1)]),
    ];
    let rows: &[(Others, &[&str])] = &[
        (&[], &[]),
        (&[("array", &[(3, 3)])], &[]),
        (&[("cpus", &[(1, 9)]), ("trie", &[(1, 9), (2, 2)])], &[]),
        (&[("cpus", &[(1, 8), (3, 3)])], &["map.cpus: owned entries changed: 0 of 1, and 1 more came"]),
        (&[("hash", &[(1, 9)])], &["map.hash: owned entries changed: 1 of 2"]),
        (
            &[("hash", &[(1, 9), (3, 3)]), ("array", &[(1, 0), (2, 9)])],
            &["map.array: owned entries changed: 2 of 2", "map.hash: owned entries changed: 1 of 2, and 1 more came"],
        ),
    ];
    let pin_root = path("/sys/fs/bpf/edge");
    for (others, expected) in rows {
        make(1, given, host);
        others.iter().for_each(|(map, pairs)| write(map, pairs, host));
        let record = observe::settled_record(host, &pin_root).expect("it can be read").expect("a record");
        let drift = contents::drift(host, &record).expect("it can be read");
        assert_eq!(drift.iter().map(ToString::to_string).collect::<Vec<_>>(), *expected);
        let status = status::status(host, &pin_root).expect("it can be read").expect("it is there");
        assert_eq!(status.drift.len(), expected.len());
        make(1, given, host);
        assert!(contents::drift(host, &record).expect("it can be read").is_empty());
    }
    run(&good(plan_destroy("edge", host), ""), host);
}

/// A program that counts in a map whose keys are declared.
const COUNTED: &str = r#"
version = 1
name = "edge"
[object.filter]
path = "{folder}/tests/migrate/traffic_hash.o"
[map.flows]
from = "filter:flows"
entries_mode = "{mode}"
entries = [{entries}]
[program.count]
from = "filter:count"
"#;

#[test]
fn counters_of_declared_keys_go_on() {
    common::in_namespace("counters_of_declared_keys_go_on", |_| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let packet = folder.path().join("packet");
        std::fs::write(&packet, [0; 64]).expect("it can be written");
        let entry = |number: u32| format!("{{ key = {{ number = {number} }}, value = {{ before = 5 }} }}");
        let apply = |mode: &str, numbers: &[u32]| {
            let entries: Vec<_> = numbers.iter().map(|number| entry(*number)).collect();
            let text = COUNTED.replace("{folder}", &repository().display().to_string());
            let text = text.replace("{mode}", mode).replace("{entries}", &entries.join(", "));
            std::fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
            tool::succeed(folder.path(), &["plan.toml"])
        };
        let mut wanted = 5;
        for mode in ["exact-keys", "merge-keys"] {
            apply(mode, &[0]);
            let ids = tool::ids(folder.path(), "edge");
            let before = || {
                let live =
                    contents::live(&Linux::new(), &open("flows", &Linux::new()), &Linux::new().host().expect("a host"));
                live.expect("it can be read").iter().map(|(key, value)| (key[0], value[0])).collect::<Vec<_>>()
            };
            for _ in 0..3 {
                tool::run_program(ids.programs["count"], &packet);
                wanted += 1;
            }
            assert_eq!(before(), [(0, wanted)], "{mode}");
            assert!(apply(mode, &[0]).contains("nothing to do"), "{mode}");
            assert!(tool::succeed(folder.path(), &["status", "--check"]).contains("in sync"), "{mode}");
            let said = apply(mode, &[0, 1]);
            assert!(said.contains("entries +1 ~0 -0 (1 there, with values of their own)"), "{mode}: {said}");
            assert_eq!(before(), [(0, wanted), (1, 5)], "{mode}");
            assert!(apply(mode, &[0]).contains("entries +0 ~0 -1"), "{mode}");
            assert_eq!(before(), [(0, wanted)], "{mode}");
        }
        tool::succeed(folder.path(), &["destroy", "edge"]);
    });
}

/// A map that only the later generation has, with what is in it when the way back is planned.
#[test]
fn a_way_back_asks_before_state_is_lost() {
    let extra = |kind: &str, sizes: &str| format!("{MANIFEST}[map.extra]\ntype = \"{kind}\"\n{sizes}\n");
    let data = "key_size = 4\nvalue_size = 8\nmax_entries = 6";
    let rows: &[(&str, &str, Pairs, bool)] = &[
        ("hash", data, &[], false),
        ("hash", data, &[(1, 1)], true),
        ("array", data, &[], false),
        ("array", data, &[(1, 1)], true),
        ("array", data, &[(1, 0)], false),
        ("ringbuf", "max_entries = 4096", &[], false),
        // Nobody can count what is in it.
        ("queue", "value_size = 8\nmax_entries = 6", &[], true),
    ];
    for (kind, sizes, pairs, asks) in rows {
        let fake = Fake::new();
        make(1, &[], &fake);
        let plan = planned(&extra(kind, sizes), 1, &[], &fake);
        assert!(run(&plan, &fake).1.is_none());
        if !pairs.is_empty() {
            write("extra", pairs, &fake);
        }
        let back = plan_back(&fake);
        let needs: Vec<_> = back.needs().into_iter().collect();
        assert_eq!(needs, if *asks { vec![plan::Consent::LoseState] } else { vec![] }, "{kind}: {pairs:?}");
        assert!(run(&back, &fake).1.is_none());
        assert!(fake.open_pin(&path("/sys/fs/bpf/edge/maps/extra")).is_err(), "{kind}");
    }
}

#[test]
fn a_later_step_that_fails_leaves_entries_as_they_were() {
    common::in_namespace("a_later_step_that_fails_leaves_entries_as_they_were", |_| {
        let (host, mut kernel) = (Linux::new(), Linux::new());
        let without = MANIFEST.split_once("[link.first]").expect("it has a link").0;
        let plan = planned(without, 1, FIRST, &host);
        assert!(run(&plan, &host).1.is_none());
        write("cpus", &[(9, 9)], &host);
        let all = || FIRST.iter().map(|(map, ..)| held(map, &host)).collect::<Vec<_>>();
        let before = all();
        let plan = planned(MANIFEST, 1, SECOND, &host);
        // Somebody takes the hook between the plan and its apply.
        let (kind, program) = host.open_pin(&path("/sys/fs/bpf/edge/programs/drop")).expect("it is pinned");
        assert_eq!(kind, ObjectKind::Program);
        let taken = kernel.create_link(&program, &HookRequest::Xdp { ifindex: 1, mode: XdpMode::Generic });
        let taken = taken.expect("the hook is free");
        let (outcome, problem) = run(&plan, &host);
        assert!(problem.is_some() && outcome.verdict() == Verdict::FailedAsBefore, "{outcome:?}");
        let undone = |step: &StepOutcome<'_>| matches!(*step.action, Action::WriteEntries { .. });
        assert!(outcome.steps.iter().filter(|step| undone(step)).all(|step| step.status == Status::Undone));
        assert_eq!(all(), before);
        drop(taken);
    });
}

/// Makes the CIDR blocks of a blocklist as the keys of a trie, and 1 for each.
fn blocklist(count: u32) -> Entries {
    // Not in their order, as nobody sorts such lists by the bytes of a prefix.
    let key =
        |number: u32| [24u32.to_ne_bytes(), ((number.wrapping_mul(0x9e37) % (1 << 24)) << 8).to_be_bytes()].concat();
    let keys = (0..count).flat_map(key).collect();
    Entries::of(8, 8, keys, 1u64.to_ne_bytes().repeat(count as usize)).expect("no block is there twice")
}

#[test]
fn one_line_more_of_a_hundred_thousand_is_one_write() {
    common::in_namespace("one_line_more_of_a_hundred_thousand_is_one_write", |_| {
        let host = Linux::new();
        check_large(&host, 100_000);
    });
}

/// Applies so many blocks, the same again, and one more.
fn check_large(host: &impl Host, count: u32) {
    let text = MANIFEST.replace(
        "key_size = 8\nvalue_size = 8\nmax_entries = 6",
        "key_size = 8\nvalue_size = 8\nmax_entries = 2000000",
    );
    for (count, said, kept) in [
        (count, vec![format!("+ map.trie entries +{}", thousands(count.into()))], false),
        (count, vec![], true),
        (count + 1, vec![format!("~ map.trie entries +1 ~0 -0 ({} the same)", thousands(count.into()))], false),
    ] {
        let mut desired = desired_of(&text, 1, &[], host);
        give(&mut desired, "trie", Exact, blocklist(count));
        let start = Instant::now();
        let observed = good(observe::observe(host, &Wanted::of(&desired)), &text);
        let plan = good(plan::plan(&desired, &observed, Mode::Live), &text);
        let planned = start.elapsed();
        assert_eq!(lines(&plan), said);
        assert_eq!(plan.is_empty(), kept);
        assert!(run(&plan, host).1.is_none());
        eprintln!("{count} entries: planned in {planned:?}, all in {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        let live = contents::live(host, &open("trie", host), &host.host().expect("a host")).expect("it can be read");
        assert!(live == blocklist(count));
    }
}

/// `cargo test --release --test contents -- --ignored --nocapture` tells how long a million takes.
#[test]
#[ignore = "takes long when it is not optimised"]
fn a_million_entries_take_seconds() {
    common::in_namespace("a_million_entries_take_seconds", |_| check_large(&Linux::new(), 1_000_000));
}

#[test]
fn what_does_not_fit_is_said_before_anything_is_done() {
    let rows: &[(Given, Others, Given, &str)] = &[(
        &[],
        &[("trie", &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)])],
        &[("trie", Merge, &[(5, 5), (6, 6), (7, 7)])],
        "map.trie has room for 6 entries: beside 4 of others there is none for 3",
    )];
    for (first, others, then, expected) in rows {
        let fake = Fake::new();
        make(1, first, &fake);
        others.iter().for_each(|(map, pairs)| write(map, pairs, &fake));
        let problems = try_plan(1, then, &fake).expect_err("it does not fit");
        assert_eq!(problems.0.iter().map(|problem| problem.kind.to_string()).collect::<Vec<_>>(), [*expected]);
    }
}

#[test]
fn a_map_of_somebody_else_gets_no_entries() {
    let fake = Fake::new();
    let mut kernel = fake.clone();
    make(1, &[], &fake);
    // Somebody puts another map in its place.
    let map = open("hash", &fake);
    let map_type = fake.map_info(&map).expect("a map").map_type;
    let request = bpfapply::kernel::MapRequest::plain("hash", map_type, (4, 8, 6));
    let other = kernel.create_map(&request).expect("a map");
    let pin = fake.real(&path("/sys/fs/bpf/edge/maps/hash"));
    kernel.unpin(&pin).expect("it is pinned");
    kernel.pin(&other, &pin).expect("nothing is there");
    let refused = |given: Given| {
        let problems = try_plan(1, given, &fake).expect_err("it is not ours");
        assert!(problems.0[0].kind.to_string().contains("which took the place of ours"), "{problems:?}");
    };
    refused(&[("hash", Exact, &[(1, 1)])]);
    refused(&[("hash", Seed, &[(1, 1)])]);
}

#[test]
fn a_lost_record_is_all_that_is_said_when_it_is_lost() {
    let fake = Fake::new();
    make(1, &[("hash", Exact, &[(1, 1)])], &fake);
    fake.clone().unpin(&fake.real(&path("/sys/fs/bpf/edge/record"))).expect("it is pinned");
    let problems = try_plan(1, &[("hash", Exact, &[(1, 1)])], &fake).expect_err("nobody knows what is ours");
    let kinds: Vec<_> = problems.0.iter().map(|problem| problem.kind.to_string()).collect();
    assert_eq!(kinds, ["the record at `/sys/fs/bpf/edge/record` is gone"]);
}

#[test]
fn a_plan_shows_entries_unless_they_are_secret() {
    let fake = Fake::new();
    make(1, &[("hash", Exact, &[(1, 1)])], &fake);
    let plan = plan_of(1, &[("hash", Exact, &[(2, 2)])], &fake);
    let style = Style { width: 100, ascii: true, color: false };
    let options = text::Options { style, purpose: text::Purpose::DryRun, manifest: None, entries: 1 };
    let text = text::plan(&plan, &options);
    for line in [
        "~   map.hash            entries +1 ~0 -1 (0 the same)\n",
        "because its entries are not those of the manifest; state: kept\n",
        "\n                        - hex:01000000 = hex:0101010101010101\n                        and 1 more\n",
        "risk: none; no traffic gap, no contents lost\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    let json = bpfapply::report::json::plan(&plan, None);
    assert!(json.contains("\"removed\": 1") && json.contains("hex:0101010101010101"), "{json}");
    let mut secret = desired_of(MANIFEST, 1, &[("hash", Exact, &[(2, 2)])], &fake);
    let map = secret.maps.get_mut("hash").map(Arc::make_mut).expect("the manifest has the map");
    let MapSource::Defined(definition) = &mut map.source else { panic!("the manifest defines it") };
    definition.sensitive = true;
    let observed = good(observe::observe(&fake, &Wanted::of(&secret)), MANIFEST);
    let plan = good(plan::plan(&secret, &observed, Mode::Live), MANIFEST);
    let shown = [text::plan(&plan, &options), bpfapply::report::json::plan(&plan, None)].concat();
    assert!(shown.contains("entries +1 ~0 -1") && !shown.contains("hex:"), "{shown}");
}

const FIRST: Given = &[
    ("hash", Exact, &[(1, 1), (2, 2), (3, 3)]),
    ("array", Exact, &[(0, 1), (1, 2)]),
    ("cpus", Merge, &[(1, 1), (2, 2)]),
    ("trie", Exact, &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]),
];
const SECOND: Given = &[
    ("hash", Exact, &[(1, 1), (2, 5), (4, 4)]),
    ("array", Exact, &[(1, 3), (2, 4)]),
    ("cpus", Merge, &[(2, 3), (3, 3)]),
    ("trie", Exact, &[(1, 1), (2, 3), (4, 4), (5, 5), (6, 6), (7, 7)]),
];

/// What is done to a host, after what was done before.
struct Case {
    name: &'static str,
    before: fn(&Fake),
    plan: fn(&Fake) -> Plan,
    /// What makes the host as it has to be, wherever a fault stopped it.
    again: fn(&Fake) -> Plan,
    /// What the maps hold then.
    given: Given,
}

const CASES: &[Case] = &[
    Case {
        name: "first apply",
        before: |_| {},
        plan: |fake| plan_of(1, FIRST, fake),
        again: |fake| plan_of(1, FIRST, fake),
        given: FIRST,
    },
    Case {
        name: "upgrade",
        before: first,
        plan: |fake| plan_of(2, SECOND, fake),
        again: |fake| plan_of(2, SECOND, fake),
        given: SECOND,
    },
    Case {
        name: "upgrade that is given up",
        before: first,
        plan: |fake| plan_of(2, SECOND, fake),
        again: |fake| plan_of(1, FIRST, fake),
        given: FIRST,
    },
    Case {
        name: "first entries that are given up",
        before: |fake| make(1, &[], fake),
        plan: |fake| plan_of(1, &[("cpus", Merge, &[(1, 1)])], fake),
        again: |fake| plan_of(1, &[], fake),
        given: &[("cpus", Merge, &[])],
    },
    Case {
        name: "rollback",
        before: |fake| {
            first(fake);
            make(2, SECOND, fake);
        },
        plan: plan_back,
        again: |fake| plan_of(1, FIRST, fake),
        given: FIRST,
    },
    Case {
        name: "rollback that is given up",
        before: |fake| {
            first(fake);
            make(2, SECOND, fake);
        },
        plan: plan_back,
        again: |fake| plan_of(2, SECOND, fake),
        given: SECOND,
    },
    Case {
        name: "destroy",
        before: first,
        plan: |fake| good(plan_destroy("edge", fake), ""),
        again: |_| unreachable!("what is left of it is not always enough to plan"),
        given: &[],
    },
];

fn first(fake: &Fake) {
    make(1, FIRST, fake);
    write("cpus", &[(9, 9)], fake);
}

/// Writes the state in any order: a link that was detached comes back as a new one, under another number.
fn state(fake: &Fake) -> Vec<String> {
    let dump = fake.dump();
    let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn whatever_fails_is_undone_entry_for_entry() {
    for case in CASES {
        let calls = {
            let fake = Fake::new();
            (case.before)(&fake);
            let before = fake.calls().len();
            let plan = (case.plan)(&fake);
            assert!(run(&plan, &fake).1.is_none(), "{}", case.name);
            fake.calls().len() - before
        };
        for n in 1..=calls {
            let what = format!("{}, call {n} fails", case.name);
            let fake = Fake::new();
            (case.before)(&fake);
            let before = state(&fake);
            let plan = (case.plan)(&fake);
            fake.fail_nth(n, libc::ENOMEM);
            let (outcome, problem) = run(&plan, &fake);
            let call = *fake.calls().last().expect("there was a call");
            match (problem, outcome.verdict()) {
                (Some(_), Verdict::FailedAsBefore) => assert!(state(&fake) == before, "{what} ({call})"),
                (Some(_), Verdict::FailedNotAsBefore) => {
                    let goes = ["detach_link", "unpin", "remove_directory", "rename"];
                    assert!(goes.contains(&call), "{what} ({call})");
                }
                // A map without types is as good.
                (None, Verdict::Applied) => assert!(fake.calls().contains(&"create_map"), "{what}"),
                (problem, verdict) => panic!("{what} ({call}): {verdict:?}, {problem:?}"),
            }
            converges(case, &fake, &what);
        }
    }
}

#[test]
fn a_run_that_is_killed_is_finished_by_the_next() {
    for case in CASES {
        for n in 1.. {
            let what = format!("{}, killed at call {n}", case.name);
            let fake = Fake::new();
            (case.before)(&fake);
            let plan = (case.plan)(&fake);
            fake.fail_from(n, libc::EIO);
            let is_done = run(&plan, &fake).1.is_none();
            converges(case, &fake, &what);
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn what_a_killed_run_did_is_not_forgotten_when_the_next_one_fails() {
    let case = CASES.iter().find(|case| case.name == "upgrade that is given up").expect("it is there");
    // From before the first write in place to behind the switch, by odd steps, so that they meet everything.
    for first in (30..80).step_by(7) {
        for second in (1..80).step_by(5) {
            for is_killed in [false, true] {
                let fake = Fake::new();
                (case.before)(&fake);
                let plan = (case.plan)(&fake);
                fake.fail_from(first, libc::EIO);
                run(&plan, &fake);
                fake.heal();
                let again = (case.again)(&fake);
                if is_killed {
                    fake.fail_from(second, libc::EIO);
                } else {
                    fake.fail_nth(second, libc::ENOMEM);
                }
                run(&again, &fake);
                let what = format!("killed at call {first}, then at {second}: {is_killed}");
                converges(case, &fake, &what);
                assert!(!fake.dump().contains("~begun"), "{what}: what was only begun is no way back");
            }
        }
    }
}

fn converges(case: &Case, fake: &Fake, what: &str) {
    fake.heal();
    if case.name == "destroy" {
        match plan_destroy("edge", fake) {
            Ok(end) => assert!(run(&end, fake).1.is_none(), "{what}"),
            Err(problems) => assert!(matches!(*problems.0[0].kind, Kind::NoDeployment { .. }), "{what}: {problems:?}"),
        }
        assert_eq!(fake.dump(), Fake::new().dump(), "{what}");
        return;
    }
    let plan = (case.again)(fake);
    let (_, problem) = run(&plan, fake);
    assert!(problem.is_none(), "{what}: {problem:?}");
    assert!((case.again)(fake).is_empty(), "{what}: nothing is left to do");
    for (map, mode, pairs) in case.given {
        let mut held = held(map, fake);
        if *mode == Merge {
            held.remove(&9);
        }
        assert_eq!(held, pairs.iter().copied().collect(), "{what}: {map}");
    }
}

#[test]
fn the_second_time_nothing_is_called_and_what_is_the_same_stays_kept() {
    let fake = Fake::new();
    make(1, FIRST, &fake);
    let before = (fake.calls().len(), fake.dump());
    let again = plan_of(1, FIRST, &fake);
    assert!(again.is_empty());
    run(&again, &fake);
    assert_eq!((fake.calls().len(), fake.dump()), before);
    let inode = |map: &str| {
        let entries = fake.list(&path("/sys/fs/bpf/edge/~entries")).expect("entries are kept");
        entries.into_iter().find(|entry| entry.name == map).map(|entry| entry.inode)
    };
    let kept = inode("hash");
    // Other code, and the same entries: they stay kept as they are, and nothing is written.
    make(2, FIRST, &fake);
    assert!(kept.is_some() && inode("hash") == kept);
    // Without the map that keeps them, the same is kept anew.
    fake.clone().unpin(&fake.real(&path("/sys/fs/bpf/edge/~entries/hash"))).expect("it is there");
    make(2, FIRST, &fake);
    assert!(inode("hash").is_some_and(|inode| Some(inode) != kept));
    assert!(plan_of(2, FIRST, &fake).is_empty());
}

/// Entries of a map by key, each of whose values is one byte again and again.
type Held = BTreeMap<u32, u8>;
/// What a manifest says of one map; `None` for nothing.
type Said = Option<(EntriesMode, Held)>;

/// What happens to a deployment: a manifest is applied, with a version of the filter, or somebody else writes to a map,
/// or removes what is there.
#[derive(Debug, Clone)]
enum Turn {
    Apply(u32, Vec<Said>),
    Write(usize, u32, Option<u8>),
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let mode = || proptest::sample::select(&EntriesMode::ALL[..]);
    // No more than there is room for, and zeros, of which arrays are full.
    let said = |room: usize| {
        let held = proptest::collection::btree_map(0..room as u32 + 2, 0..4u8, 0..=room);
        proptest::option::weighted(0.8, (mode(), held))
    };
    let apply =
        (1..3u32, MAPS.map(|(_, room)| said(room))).prop_map(|(version, said)| Turn::Apply(version, said.into()));
    let write = (0..MAPS.len(), 0..8u32, proptest::option::weighted(0.8, 0..4u8));
    prop_oneof![2 => apply, 3 => write.prop_map(|(map, key, value)| Turn::Write(map, key, value))]
}

/// What a map should hold, and which of its keys are ours.
#[derive(Debug, Default)]
struct Model {
    is_array: bool,
    room: usize,
    is_there: bool,
    held: Held,
    owned: Option<(EntriesMode, Held)>,
}

impl Model {
    fn of(name: &str, room: usize) -> Self {
        Self { is_array: name == "array", room, ..Self::default() }
    }

    /// Returns what a manifest can say of it: an array has no entries behind its end.
    fn sayable(&self, said: &Said) -> Said {
        let in_range = |key: &u32| !self.is_array || (*key as usize) < self.room;
        let (mode, held) = said.clone()?;
        Some((mode, held.into_iter().filter(|(key, _)| in_range(key)).collect()))
    }

    /// Adds keys with the values that they have; new ones with those of the manifest.
    fn with_keys(&self, mut after: Held, wanted: &Held) -> Held {
        for (key, first) in wanted {
            let was_ours = self.owned.as_ref().is_some_and(|(_, held)| held.contains_key(key));
            let is_zero = self.is_array && self.is_there && was_ours;
            let value = self.held.get(key).copied().or((!is_zero).then_some(*first));
            after.extend(value.map(|value| (*key, value)));
        }
        after
    }

    /// Returns what it holds once a manifest that says this is applied; none when there is no room.
    fn after(&self, said: &Said) -> Option<Held> {
        let owned = self.owned.as_ref();
        let without = |goes: &dyn Fn(u32) -> bool| -> Held {
            self.held.iter().filter(|(key, _)| !goes(**key)).map(|(key, value)| (*key, *value)).collect()
        };
        let was_ours = |key: u32| owned.is_some_and(|(_, held)| held.contains_key(&key));
        let mut after = match (said, owned) {
            (Some((Seed, wanted)), _) if !self.is_there => wanted.clone(),
            (Some((Exact, wanted)), _) => wanted.clone(),
            (Some((Merge, wanted)), _) => {
                let mut after = without(&was_ours);
                after.extend(wanted);
                after
            }
            (Some((ExactKeys, wanted)), _) => self.with_keys(Held::new(), wanted),
            (Some((MergeKeys, wanted)), _) => self.with_keys(without(&was_ours), wanted),
            (None, Some((Merge | MergeKeys, _))) => without(&was_ours),
            (Some((Seed, _)) | None, _) => self.held.clone(),
        };
        after.retain(|_, value| !self.is_array || *value != 0);
        (self.is_array || after.len() <= self.room).then_some(after)
    }
}

/// Says what a manifest does, to the model and to the host.
fn apply_turn(host: &Fake, models: &mut [Model], version: u32, said: &[Said]) -> Result<(), TestCaseError> {
    let said: Vec<Said> = models.iter().zip(said).map(|(model, said)| model.sayable(said)).collect();
    let desired = || {
        let mut desired = desired_of(MANIFEST, version, &[], host);
        for ((name, _), said) in MAPS.iter().zip(&said) {
            if let Some((mode, held)) = said {
                let pairs: Vec<_> = held.iter().map(|(key, value)| (*key, *value)).collect();
                give(&mut desired, name, *mode, entries(name, &pairs, host));
            }
        }
        desired
    };
    let plan = || {
        let desired = desired();
        let observed = observe::observe(host, &Wanted::of(&desired))?;
        plan::plan(&desired, &observed, Mode::Live)
    };
    let after: Option<Vec<Held>> = models.iter().zip(&said).map(|(model, said)| model.after(said)).collect();
    let (planned, Some(after)) = (plan(), after) else {
        let before = host.dump();
        prop_assert!(plan().is_err(), "there is no room");
        prop_assert_eq!(host.dump(), before);
        return Ok(());
    };
    let planned = planned.map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
    let (_, problem) = run(&planned, host);
    prop_assert!(problem.is_none(), "{:?}", problem);
    prop_assert_eq!(unwritten(host, &planned).expect("it can be read"), [""; 0]);
    for (((name, _), model), (said, after)) in MAPS.iter().zip(models).zip(said.iter().zip(after)) {
        prop_assert_eq!(held(name, host), after.clone(), "{} after {:?}", name, said);
        let owned = said.clone().filter(|(mode, _)| *mode != Seed);
        *model = Model { held: after, owned, is_there: true, ..*model };
    }
    let again = plan().map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
    prop_assert!(again.is_empty(), "nothing is left to do: {:?}", lines(&again));
    let record = observe::settled_record(host, &path("/sys/fs/bpf/edge")).expect("it can be read").expect("a record");
    prop_assert!(contents::drift(host, &record).expect("it can be read").is_empty());
    Ok(())
}

/// Writes as somebody else does, where there is something to write to.
fn write_turn(host: &Fake, model: &mut Model, name: &str, key: u32, value: Option<u8>) {
    let is_full = !model.held.contains_key(&key) && model.held.len() >= model.room;
    let map = || open(name, host);
    match value {
        _ if !model.is_there || model.is_array && key as usize >= model.room => {}
        Some(value) if model.is_array || !is_full => {
            write(name, &[(key, value)], host);
            model.held.insert(key, value);
            model.held.retain(|_, value| !model.is_array || *value != 0);
        }
        None if !model.is_array => {
            let bytes = entries(name, &[(key, 0)], host);
            let was_there = host.same().delete(&map(), bytes.keys()).expect("the map can be changed");
            assert_eq!(was_there, model.held.remove(&key).is_some());
        }
        Some(_) | None => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_entries_become_what_is_wanted(turns in proptest::collection::vec(any_turn(), 1..12)) {
        let host = Fake::new();
        let empty = host.dump();
        let mut models: Vec<Model> = MAPS.iter().map(|(name, room)| Model::of(name, *room)).collect();
        for turn in &turns {
            match turn {
                Turn::Apply(version, said) => apply_turn(&host, &mut models, *version, said)?,
                Turn::Write(map, key, value) => write_turn(&host, &mut models[*map], MAPS[*map].0, *key, *value),
            }
        }
        if models[0].is_there {
            run(&good(plan_destroy("edge", &host), ""), &host);
        }
        prop_assert_eq!(host.dump(), empty);
    }
}
