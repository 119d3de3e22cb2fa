//! What is not done unless somebody says so: consents, the guard rails above them, and protected things.

mod common;

use bpfapply::diag::Exit;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::{Kernel as _, observe};
use bpfapply::names::PlanId;
use bpfapply::observed::Observed;
use bpfapply::plan::{Consent, Mode, Plan, State, Sweep};
use bpfapply::recorded;
use common::stages::{self, good, make, path, plan, plan_destroy, plan_rollback, rendered, run};
use common::tool;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// A deployment of which all that has a table is protected.
const GUARDED: &str = r#"
version = 1
name = "edge"
[object.filter]
path = "tests/objects/upgrade_1.o"
[map.drops]
from = "filter:drops"
protect = true
[program.drop]
from = "filter:drop"
protect = true
[link.uplink]
program = "drop"
xdp = { interface = "eth0", mode = "native" }
protect = true
"#;

const MAP: &str = "[map.drops]\nfrom = \"filter:drops\"\nprotect = true\n";
const LINK: &str =
    "[link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"eth0\", mode = \"native\" }\nprotect = true\n";
const PROGRAM: &str = "[program.drop]\nfrom = \"filter:drop\"\nprotect = true\n";
/// A map that no object defines.
const FRESH: &str = "type = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 16\nprotect = true\n";
const NOTHING: &str = "version = 1\nname = \"edge\"\n";

fn host() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake.add_interface("eth1", true);
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    fake
}

/// Replaces each of the texts, which must be there.
fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// A change of [`GUARDED`], and what it would do to which protected things.
struct Guarded {
    what: &'static str,
    edits: &'static [(&'static str, &'static str)],
    losses: &'static [(&'static str, &'static str)],
}

const GUARDS: &[Guarded] = &[
    Guarded { what: "new code", edits: &[("upgrade_1", "upgrade_2")], losses: &[] },
    Guarded { what: "the map's table goes", edits: &[(MAP, "")], losses: &[("map.drops", "remove")] },
    Guarded { what: "the link's table goes", edits: &[(LINK, "")], losses: &[("link.uplink", "detach")] },
    Guarded {
        what: "program and link go",
        edits: &[(LINK, ""), (PROGRAM, "")],
        losses: &[("program.drop", "remove"), ("link.uplink", "detach")],
    },
    Guarded { what: "the link moves", edits: &[("\"eth0\"", "\"eth1\"")], losses: &[("link.uplink", "move")] },
    Guarded {
        what: "another mode",
        edits: &[("\"native\"", "\"generic\"")],
        losses: &[("link.uplink", "detach for a moment")],
    },
    Guarded {
        what: "a guard does not go together with what it guards",
        edits: &[(LINK, LINK_MOVED_UNGUARDED)],
        losses: &[("link.uplink", "move")],
    },
    Guarded {
        what: "another pin of the map",
        edits: &[("\"filter:drops\"", "\"filter:drops\"\npin = \"maps/other\"")],
        losses: &[("map.drops", "remove")],
    },
    Guarded {
        what: "another name for the same pin",
        edits: &[("[map.drops]", "[map.other]\npin = \"maps/drops\"")],
        losses: &[("map.drops", "remove")],
    },
    Guarded {
        what: "another name for the program",
        edits: &[("[program.drop]", "[program.other]"), ("program = \"drop\"", "program = \"other\"")],
        losses: &[("program.drop", "remove")],
    },
];

const LINK_MOVED_UNGUARDED: &str = "[link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"eth1\" }\n";

#[test]
fn what_is_protected_stays() {
    for Guarded { what, edits, losses } in GUARDS {
        let (fake, after) = (host(), edited(GUARDED, edits));
        make(GUARDED, &fake);
        let planned = plan(&after, &fake);
        if losses.is_empty() {
            assert!(planned.is_ok(), "{what}");
            continue;
        }
        let problems = planned.expect_err(what);
        assert_eq!(problems.exit(), Exit::Failed, "{what}");
        let mut said: Vec<_> = problems.0.iter().map(|problem| problem.kind.to_string()).collect();
        let since = "is protected since 1970-01-01T00:00:07Z, and this plan would";
        let mut expected: Vec<_> =
            losses.iter().map(|(address, loss)| format!("{address} {since} {loss} it")).collect();
        said.sort();
        expected.sort();
        assert_eq!(said, expected, "{what}");
        let text = rendered(&problems, &after);
        assert!(text.contains("apply once with `protect = false` in `["), "{text}");
    }
}

#[test]
fn a_guard_is_lifted_by_an_apply_of_its_own() {
    let fake = host();
    make(GUARDED, &fake);
    let text = rendered(&plan_destroy("edge", &fake).expect_err("it is protected"), "");
    for address in ["map.drops", "program.drop", "link.uplink"] {
        assert!(text.contains(&format!("{address} is protected since")), "{text}");
    }
    // Code may change, and the guard remembers since when it is.
    make(&edited(GUARDED, &[("upgrade_1", "upgrade_2")]), &fake);
    assert!(plan(NOTHING, &fake).is_err());
    make(&edited(GUARDED, &[("upgrade_1", "upgrade_2"), ("protect = true", "protect = false")]), &fake);
    make(NOTHING, &fake);
    assert!(!fake.dump().contains("link.uplink") && !fake.dump().contains("links/uplink"), "{}", fake.dump());
}

#[test]
fn a_rollback_by_hand_keeps_what_is_protected() {
    // What the apply added or changed, and what going back would do to it.
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("code changed", GUARDED, &edited(GUARDED, &[("upgrade_1", "upgrade_2")]), &[]),
        ("a map came", GUARDED, &format!("{GUARDED}[map.fresh]\n{FRESH}"), &["map.fresh remove"]),
        ("a link came", &edited(GUARDED, &[(LINK, "")]), GUARDED, &["link.uplink detach"]),
        (
            "a link and its program came",
            &edited(GUARDED, &[(PROGRAM, ""), (LINK, "")]),
            GUARDED,
            &["program.drop remove", "link.uplink detach"],
        ),
    ];
    for (what, before, after, losses) in rows {
        let fake = host();
        // The guard came with the apply that is to be taken back.
        make(&before.replace("protect = true\n", ""), &fake);
        make(after, &fake);
        let planned = plan_rollback("edge", &fake);
        let problems = planned.as_ref().err().map(|problems| &problems.0[..]).unwrap_or_default();
        let said: Vec<_> = problems.iter().map(|problem| problem.kind.to_string()).collect();
        assert_eq!(said.len(), losses.len(), "{what}: {said:?}");
        for (address, loss) in losses.iter().filter_map(|loss| loss.split_once(' ')) {
            let wanted = format!("{address} is protected since 1970-01-01T00:00:07Z, and this plan would {loss} it");
            assert!(said.contains(&wanted), "{what}: {said:?}");
        }
        // Nobody asked for the way back of an apply that failed: nothing stops it.
        let (back, _) = recorded::way_back(&fake, &path("/sys/fs/bpf/edge")).expect("nothing stops it");
        assert!(run(&back, &fake).1.is_none(), "{what}");
        assert!(plan_destroy("edge", &fake).is_ok(), "{what}: the guards went as they came");
    }
}

#[test]
fn a_first_apply_that_fails_goes_whatever_it_protects() {
    let fake = host();
    make(GUARDED, &fake);
    assert!(plan_destroy("edge", &fake).is_err());
    let (back, _) = recorded::way_back(&fake, &path("/sys/fs/bpf/edge")).expect("nothing stops it");
    assert!(run(&back, &fake).1.is_none());
    assert_eq!(fake.dump(), host().dump());
}

#[test]
fn a_guard_outlives_a_rollback_by_hand() {
    let fake = host();
    make(&GUARDED.replace("protect = true\n", ""), &fake);
    make(&edited(GUARDED, &[("upgrade_1", "upgrade_2")]), &fake);
    assert!(run(&good(plan_rollback("edge", &fake), ""), &fake).1.is_none());
    assert!(plan_destroy("edge", &fake).is_err());
}

#[test]
fn a_guard_counts_before_it_is_recorded() {
    let fake = host();
    make(&edited(GUARDED, &[("protect = true\n", "")]), &fake);
    let moved = edited(GUARDED, &[("\"eth0\"", "\"eth1\"")]);
    let text = rendered(&plan(&moved, &fake).expect_err("it is protected now"), &moved);
    assert!(text.contains("link.uplink is protected, and this plan would move it"), "{text}");
    assert!(text.contains("say `protect = false` in `[link.uplink]`"), "{text}");
    // To protect is a change of the record alone.
    let plan = good(plan(GUARDED, &fake), GUARDED);
    assert!(!plan.is_empty() && plan.needs().is_empty());
    assert!(run(&plan, &fake).1.is_none());
    assert!(good(stages::plan(GUARDED, &fake), GUARDED).is_empty());
}

/// What a deployment consents to, and what of it has to be said all the same.
struct Allowed {
    what: &'static str,
    allow: &'static str,
    after: fn(&str) -> String,
    given: &'static [Consent],
    lacks: &'static [Consent],
    sweep: Option<Sweep>,
}

/// Two maps, two programs, two links.
const SIX: &str = r#"
version = 1
name = "edge"
[object.device]
path = "tests/objects/stats_a.o"
[object.stack]
path = "tests/objects/stats_b.o"
maps = { stats = "stats" }
[map.stats]
from = "device:stats"
[program.on_device]
from = "device:on_device"
[program.on_stack]
from = "stack:on_stack"
[link.device]
program = "on_device"
xdp = { interface = "eth0", mode = "native" }
[map.scratch]
type = "hash"
key_size = 4
value_size = 8
max_entries = 16
[link.stack]
program = "on_stack"
tc = { interface = "eth0", direction = "ingress" }
"#;

/// Takes the tables away from this one on.
fn until(text: &str, table: &str) -> String {
    text.split_once(table).expect("the table is there").0.to_owned()
}

fn fewer(text: &str) -> String {
    until(text, "[map.scratch]")
}

fn only_maps(text: &str) -> String {
    until(text, "[program.on_device]")
}

fn other_mode(text: &str) -> String {
    text.replace("\"native\"", "\"generic\"")
}

fn nothing(text: &str) -> String {
    until(text, "[object.device]")
}

const ALLOWED: &[Allowed] = &[
    Allowed { what: "nothing is said", allow: "[]", after: fewer, given: &[], lacks: &[Consent::Prune], sweep: None },
    Allowed { what: "it is said here", allow: "[]", after: fewer, given: &[Consent::Prune], lacks: &[], sweep: None },
    Allowed {
        what: "the manifest says it",
        allow: "[\"gap\", \"prune\"]",
        after: fewer,
        given: &[],
        lacks: &[],
        sweep: None,
    },
    Allowed { what: "a gap", allow: "[\"gap\"]", after: other_mode, given: &[], lacks: &[], sweep: None },
    Allowed {
        what: "a gap, and another consent",
        allow: "[\"lose-state\", \"takeover\"]",
        after: other_mode,
        given: &[Consent::Prune],
        lacks: &[Consent::Gap],
        sweep: None,
    },
    Allowed {
        what: "more than half goes",
        allow: "[\"prune\"]",
        after: only_maps,
        given: &[],
        lacks: &[Consent::Prune],
        sweep: Some(Sweep { removed: 5, owned: 6 }),
    },
    Allowed {
        what: "everything goes",
        allow: "[\"prune\"]",
        after: nothing,
        given: &[Consent::Gap],
        lacks: &[Consent::Prune],
        sweep: Some(Sweep { removed: 6, owned: 6 }),
    },
    Allowed {
        what: "everything goes, by name",
        allow: "[]",
        after: nothing,
        given: &[Consent::Prune],
        lacks: &[],
        sweep: Some(Sweep { removed: 6, owned: 6 }),
    },
];

#[test]
fn consent_is_of_the_manifest_or_by_name() {
    for Allowed { what, allow, after, given, lacks, sweep } in ALLOWED {
        let fake = host();
        make(SIX, &fake);
        let after = after(SIX).replace("name = \"edge\"", &format!("name = \"edge\"\nallow = {allow}"));
        let plan = good(plan(&after, &fake), &after);
        let plan = Plan { given: given.iter().copied().collect(), ..plan };
        assert_eq!(plan.lacks().into_iter().collect::<Vec<_>>(), *lacks, "{what}");
        assert_eq!(plan.sweep, *sweep, "{what}");
    }
}

const FRESH_ELSEWHERE: &str = "[map.fresh]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 16\npin = \"/sys/fs/bpf/globals/fresh\"\n";

/// A map with a pin outside of the deployment's folder, and how a plan comes to be that takes it away.
struct Elsewhere {
    what: &'static str,
    plan: fn(&Fake) -> Plan,
    lacks: &'static [Consent],
}

fn planned(table: &str, fake: &Fake) -> Plan {
    let text = format!("{NOTHING}allow = [\"gap\"]\n[map.other]\n{FRESH}{table}");
    good(plan(&text, fake), &text)
}

const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere { what: "its table goes", plan: |fake| planned("", fake), lacks: &[Consent::Prune] },
    Elsewhere {
        what: "its pin moves",
        plan: |fake| planned(&FRESH_ELSEWHERE.replace("globals/fresh", "globals/moved"), fake),
        lacks: &[Consent::Prune],
    },
    Elsewhere {
        what: "it is in the deployment's folder from now on",
        plan: |fake| planned(&until(FRESH_ELSEWHERE, "pin"), fake),
        lacks: &[Consent::Prune],
    },
    Elsewhere {
        what: "another one takes its place",
        plan: |fake| planned(&FRESH_ELSEWHERE.replace("16", "32\non_change = \"recreate\""), fake),
        lacks: &[Consent::LoseState],
    },
    Elsewhere {
        what: "the generation before had none",
        plan: |fake| good(plan_rollback("edge", fake), ""),
        lacks: &[Consent::LoseState],
    },
    Elsewhere { what: "all goes", plan: |fake| good(plan_destroy("edge", fake), ""), lacks: &[] },
];

/// The second name in the deployment's folder still leads to what it holds.
#[test]
fn what_a_map_holds_is_not_lost_unsaid_when_its_pin_elsewhere_is_gone() {
    for Elsewhere { what, plan, lacks } in ELSEWHERE {
        let [there, gone] = [false, true].map(|is_gone| {
            let fake = host();
            make(&format!("{NOTHING}[map.other]\n{FRESH}").replace("protect = true\n", ""), &fake);
            make(&format!("{NOTHING}[map.other]\n{FRESH}{FRESH_ELSEWHERE}").replace("protect = true\n", ""), &fake);
            let pin = path("/sys/fs/bpf/globals/fresh");
            let (_, map) = fake.open_pin(&pin).expect("it is there");
            fake.clone().update(&map, &[1, 0, 0, 0], &[7; 8]).expect("it has room");
            if is_gone {
                fake.clone().unpin(&pin).expect("it is there");
            }
            let plan = plan(&fake);
            let lost = plan.steps.iter().filter(|step| matches!(step.state, State::Lost(_)));
            let lost: Vec<_> = lost.map(|step| format!("{} {}", step.action.address(), step.state)).collect();
            assert!(lost.iter().any(|lost| lost.starts_with("map.fresh")), "{what}, gone: {is_gone}");
            assert_eq!(plan.lacks().into_iter().collect::<Vec<_>>(), *lacks, "{what}, gone: {is_gone}");
            assert!(run(&plan, &fake).1.is_none(), "{what}, gone: {is_gone}");
            lost
        });
        assert_eq!(there, gone, "{what}");
    }
}

#[test]
fn what_is_gone_already_does_not_hide_an_empty_manifest() {
    let fake = host();
    make(SIX, &fake);
    // Somebody removed all but one pin: what goes now is less than half, and all there is.
    for pin in ["maps/stats", "maps/scratch", "programs/on_device", "programs/on_stack", "links/device"] {
        let pin = path("/sys/fs/bpf/edge").resolve(pin).expect("a pin");
        fake.clone().unpin(&fake.real(&pin)).expect("it is there");
    }
    let plan = good(plan(NOTHING, &fake), NOTHING);
    assert_eq!(plan.sweep, Some(Sweep { removed: 1, owned: 6 }));
}

/// Returns the id of a plan.
#[track_caller]
fn id(text: &str, fake: &Fake) -> PlanId {
    good(plan(text, fake), text).id
}

/// A host with other numbers than [`host`]: interfaces, maps, programs and links of others came first.
fn other_host() -> Fake {
    let fake = Fake::new();
    for name in ["lo", "eth1", "wlan0", "eth0"] {
        fake.add_interface(name, true);
    }
    fake.add_cgroup("/sys/fs/cgroup/user.slice");
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    make(&edited(GUARDED, &[("edge", "other"), ("\"eth0\"", "\"wlan0\"")]), &fake);
    fake
}

#[test]
fn one_review_holds_for_every_host_in_the_same_state() {
    let (one, other) = (host(), other_host());
    assert_eq!(id(SIX, &one), id(SIX, &other), "nothing is there");
    let desired = good(stages::desired(SIX, stages::repository(), &one), SIX);
    let empty = Observed::nothing(observe::host(&one).expect("a host"));
    let offline = good(bpfapply::plan::plan(&desired, &empty, Mode::Offline), SIX);
    assert_eq!(offline.id, id(SIX, &one), "nothing of the kernel goes into these programs");
    make(SIX, &one);
    // By way of another generation.
    make(&fewer(SIX), &other);
    make(SIX, &other);
    let changes = [SIX.to_owned(), fewer(SIX), only_maps(SIX), other_mode(SIX), nothing(SIX)];
    let mut ids = Vec::new();
    for text in &changes {
        assert_eq!(id(text, &one), id(text, &other), "{text}");
        assert!(!ids.contains(&id(text, &one)), "each wants something else: {text}");
        ids.push(id(text, &one));
    }
    let destroyed = |fake: &Fake| plan_destroy("edge", fake).expect("nothing is protected").id;
    assert_eq!(destroyed(&one), destroyed(&other));
    assert!(!ids.contains(&destroyed(&one)));
}

/// What happened to a deployment behind our back, or to what is wanted of it.
struct Difference {
    what: &'static str,
    happens: fn(&Fake),
    wants: fn(&str) -> String,
}

fn same(text: &str) -> String {
    text.to_owned()
}

fn at(below: &str) -> bpfapply::names::PinPath {
    stages::path("/sys/fs/bpf/edge").resolve(below).expect("a pin")
}

const DIFFERENCES: &[Difference] = &[
    Difference { what: "nothing", happens: |_| {}, wants: same },
    Difference {
        what: "a pin is gone",
        happens: |fake| fake.clone().unpin(&fake.real(&at("links/stack"))).expect("it is there"),
        wants: same,
    },
    Difference {
        what: "a link is detached",
        happens: |fake| {
            let (_, link) = fake.open_pin(&at("links/stack")).expect("it is there");
            fake.clone().detach_link(&link).expect("it is attached");
        },
        wants: same,
    },
    Difference {
        what: "another pin is gone",
        happens: |fake| fake.clone().unpin(&fake.real(&at("programs/on_device"))).expect("it is there"),
        wants: same,
    },
    Difference {
        what: "the interface is another one",
        happens: |fake| {
            fake.remove_interface("eth0");
            fake.add_interface("eth0", true);
        },
        wants: same,
    },
    Difference { what: "it is protected", happens: |fake| make(&protected(SIX), fake), wants: same },
    Difference { what: "it is to be protected", happens: |_| {}, wants: protected },
    Difference {
        what: "more is allowed",
        happens: |_| {},
        wants: |text| edited(text, &[("name = \"edge\"", "name = \"edge\"\nallow = [\"gap\"]")]),
    },
    Difference {
        what: "another size",
        happens: |_| {},
        wants: |text| text.replace("max_entries = 16", "max_entries = 16\npin = \"maps/s\""),
    },
    Difference { what: "another hook", happens: |_| {}, wants: |text| text.replace("ingress", "egress") },
];

fn protected(text: &str) -> String {
    text.replace("max_entries = 16", "max_entries = 16\nprotect = true")
}

#[test]
fn another_state_is_another_plan() {
    let mut seen: Vec<(&str, PlanId)> = Vec::new();
    for Difference { what, happens, wants } in DIFFERENCES {
        let fake = host();
        make(SIX, &fake);
        happens(&fake);
        let id = id(&wants(SIX), &fake);
        if let Some((other, _)) = seen.iter().find(|(_, seen)| *seen == id) {
            panic!("`{what}` and `{other}` are one plan");
        }
        seen.push((what, id));
    }
}

/// Runs the body in a private room that has `eth0` and `eth1`, with a folder for its manifest.
fn room(name: &str, body: impl FnOnce(&Path) + Send + 'static) {
    common::in_namespace(name, |_| {
        sh("ip link add eth0 type veth peer name eth1");
        let folder = tempfile::tempdir().expect("a folder can be made");
        body(folder.path());
    });
}

#[track_caller]
fn sh(script: &str) {
    if let Err(error) = common::run(Command::new("sh").args(["-c", script])) {
        panic!("{script}: {error}");
    }
}

/// Writes a manifest whose objects are those of this repository.
fn write(folder: &Path, text: &str) {
    let objects = format!("{}/tests/objects", stages::repository().display());
    std::fs::write(folder.join("plan.toml"), text.replace("tests/objects", &objects)).expect("it can be written");
}

/// Returns the id that a dry run prints.
#[track_caller]
fn printed_id(folder: &Path) -> String {
    let said = tool::bpfapply(folder, &["plan.toml", "--dry-run", "--output", "json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let plan: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    plan["id"].as_str().expect("an id").to_owned()
}

/// The rest of the table of `map.scratch`.
const SIZES: &str = "key_size = 4\nvalue_size = 8\nmax_entries = 16\n";

/// Returns [`SIX`] without `map.scratch`.
fn smaller() -> String {
    edited(SIX, &[("[map.scratch]\ntype = \"hash\"\n", ""), (SIZES, "")])
}

#[test]
fn two_real_hosts_in_one_state_have_one_plan() {
    let (sender, ids) = std::sync::mpsc::channel();
    for before in ["", "ip link add dummy0 type veth peer name dummy1"] {
        let sender = sender.clone();
        room("two_real_hosts_in_one_state_have_one_plan", move |folder| {
            if !before.is_empty() {
                sh(&format!("ip link del eth0; {before}; ip link add eth0 type veth peer name eth1"));
            }
            write(folder, SIX);
            let first = printed_id(folder);
            tool::succeed(folder, &["plan.toml", "--expect", &first]);
            write(folder, &smaller());
            sender.send((first, printed_id(folder))).expect("it is waited for");
        });
    }
    drop(sender);
    let ids: Vec<_> = ids.iter().collect();
    if let [one, other] = ids.as_slice() {
        assert_eq!(one, other);
        assert_ne!(one.0, one.1);
    }
}

#[test]
fn only_the_expected_plan_is_applied() {
    room("only_the_expected_plan_is_applied", |folder| {
        write(folder, SIX);
        let dry = tool::succeed(folder, &["plan.toml", "--dry-run"]);
        let id = printed_id(folder);
        let exactly = format!("apply exactly this: bpfapply plan.toml --expect {id}\n");
        assert!(dry.ends_with(&exactly), "{dry}");
        // Something else is wanted by now.
        write(folder, &smaller());
        let said = tool::bpfapply(folder, &["plan.toml", "--expect", &id]);
        assert_eq!(said.code, 75, "{said:?}");
        assert!(
            said.stdout.contains("+   map.stats") && said.stderr.contains(&format!("not the plan {id}")),
            "{said:?}"
        );
        assert!(!Path::new("/sys/fs/bpf/edge").exists());
        write(folder, SIX);
        tool::succeed(folder, &["plan.toml", "--expect", &id]);
        // It was applied: to do so again is another plan.
        let said = tool::bpfapply(folder, &["plan.toml", "--expect", &id]);
        assert_eq!((said.code, said.stdout.contains("nothing to do")), (75, true), "{said:?}");
        write(folder, &smaller());
        let dry = tool::succeed(folder, &["plan.toml", "--dry-run"]);
        let id = printed_id(folder);
        let exactly = format!("bpfapply plan.toml --expect {id} --allow prune\n");
        assert!(dry.ends_with(&exactly) && dry.contains("nothing is applied without --allow prune"), "{dry}");
        // What is given by name is told as given, in every form, and does not count as the manifest's.
        let given = ["plan.toml", "--dry-run", "--allow", "prune"];
        let dry = tool::succeed(folder, &given);
        assert!(dry.contains("prune: --allow is given") && dry.ends_with(&exactly), "{dry}");
        assert!(!dry.contains("nothing is applied without") && !dry.contains("needs --allow"), "{dry}");
        for (form, says, not) in [
            ("markdown", "prune: --allow is given", "without"),
            ("github", "prune%3A --allow is given", "needs --allow"),
            ("json", "\"given\": [\n    \"prune\"\n  ]", "\"allowed\": [\n"),
        ] {
            let said = tool::succeed(folder, &[&given[..], &["--output", form]].concat());
            assert!(said.contains(says) && !said.contains(not), "{form}: {said}");
        }
        let said = tool::bpfapply(folder, &["plan.toml", "--expect", &id]);
        assert_eq!(said.code, 4, "{said:?}");
        tool::succeed(folder, &["plan.toml", "--allow", "prune", "--expect", &id]);
        let said = tool::bpfapply(folder, &["plan.toml", "--expect", "7"]);
        assert_eq!((said.code, said.stderr.contains("32 hexadecimal digits")), (64, true), "{said:?}");
    });
}

/// Runs the tool at a terminal: waits for its question, does something, and answers it. Returns the exit code and
/// everything on the screen.
#[track_caller]
fn typed(folder: &Path, meanwhile: impl FnOnce(), answer: &str) -> (i32, String) {
    let command = format!("{} plan.toml --lock-timeout 5", env!("CARGO_BIN_EXE_bpfapply"));
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script can be run");
    let (mut keyboard, mut screen) = (script.stdin.take().expect("piped"), script.stdout.take().expect("piped"));
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"to allow it: ") && screen.read(&mut byte).expect("a screen") == 1 {
        seen.push(byte[0]);
    }
    meanwhile();
    keyboard.write_all(format!("{answer}\n").as_bytes()).expect("a keyboard");
    screen.read_to_end(&mut seen).expect("a screen");
    let code = script.wait().expect("it ends").code().expect("no signal ended it");
    (code, String::from_utf8_lossy(&seen).into_owned())
}

#[test]
fn consent_is_typed_at_a_terminal() {
    room("consent_is_typed_at_a_terminal", |folder| {
        if !Path::new("/usr/bin/script").exists() {
            return common::skip("consent_is_typed_at_a_terminal", "there is no `script`");
        }
        write(folder, SIX);
        tool::succeed(folder, &["plan.toml"]);
        let scratch = Path::new("/sys/fs/bpf/edge/maps/scratch");
        write(folder, &smaller());
        for answer in ["y", "yes", "gap", ""] {
            let (code, screen) = typed(folder, || {}, answer);
            assert_eq!((code, scratch.exists()), (4, true), "{answer}: {screen}");
            assert!(screen.contains("-   map.scratch") && screen.contains("--allow prune"), "{screen}");
        }
        // While somebody thinks, another run may change the host: what was consented to is not what would be done.
        let before = printed_id(folder);
        let (code, screen) = typed(
            folder,
            || {
                write(folder, &other_mode(&edited(SIX, &[("eth0\", mode = \"native\"", "eth1\", mode = \"native\"")])));
                tool::succeed(folder, &["plan.toml", "--allow", "gap,prune"]);
            },
            "prune",
        );
        assert_eq!((code, scratch.exists()), (75, true), "{screen}");
        assert!(screen.contains(&format!("not the plan {before}")), "{screen}");
        write(folder, &smaller());
        let (code, screen) = typed(folder, || {}, "prune");
        assert_eq!((code, scratch.exists()), (0, false), "{screen}");
    });
}

#[test]
fn the_manifest_is_not_enough_to_take_most_away() {
    room("the_manifest_is_not_enough_to_take_most_away", |folder| {
        write(folder, SIX);
        tool::succeed(folder, &["plan.toml"]);
        write(folder, "version = 1\nname = \"edge\"\nallow = [\"prune\"]\n");
        let said = tool::bpfapply(folder, &["plan.toml"]);
        assert_eq!(said.code, 4, "{said:?}");
        for text in
            ["it removes 6 of the 6 maps, programs and links", "`--allow prune`: for so much, `allow` in the manifest"]
        {
            assert!(said.stderr.contains(text), "{said:?}");
        }
        tool::succeed(folder, &["plan.toml", "--allow", "prune"]);
    });
}

#[test]
fn a_protected_deployment_is_not_destroyed() {
    room("a_protected_deployment_is_not_destroyed", |folder| {
        write(folder, GUARDED);
        tool::succeed(folder, &["plan.toml"]);
        for arguments in [&["destroy", "edge"][..], &["destroy", "edge", "--dry-run"]] {
            let said = tool::bpfapply(folder, arguments);
            assert_eq!(said.code, 1, "{said:?}");
            assert!(said.stderr.contains("map.drops is protected since 20"), "{said:?}");
        }
        write(folder, &edited(GUARDED, &[("protect = true", "protect = false")]));
        tool::succeed(folder, &["plan.toml"]);
        tool::succeed(folder, &["destroy", "edge"]);
    });
}
