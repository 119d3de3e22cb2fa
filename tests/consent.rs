//! What is not done unless somebody says so: consents, the guard rails above them, and protected things.

#[path = "common/stages.rs"]
mod stages;

use bpfapply::diag::Exit;
use bpfapply::kernel::fake::Fake;
use bpfapply::plan::{Consent, Sweep};
use stages::{good, make, plan, plan_destroy, rendered, run};
use std::collections::BTreeSet;

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
        let since = "is protected since 1970-01-01 00:00:07 UTC, and this plan would";
        let mut expected: Vec<_> =
            losses.iter().map(|(address, loss)| format!("{address} {since} {loss} it")).collect();
        (said.sort(), expected.sort());
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
        let given: BTreeSet<Consent> = given.iter().copied().collect();
        assert_eq!(plan.lacks(&given).into_iter().collect::<Vec<_>>(), *lacks, "{what}");
        assert_eq!(plan.sweep, *sweep, "{what}");
    }
}

#[test]
fn what_is_gone_already_does_not_hide_an_empty_manifest() {
    let fake = host();
    make(SIX, &fake);
    // Somebody removed all but one pin: what goes now is less than half, and all there is.
    for pin in ["maps/stats", "maps/scratch", "programs/on_device", "programs/on_stack", "links/device"] {
        use bpfapply::kernel::Kernel as _;
        fake.clone().unpin(&stages::path("/sys/fs/bpf/edge").resolve(pin).expect("a pin")).expect("it is there");
    }
    let plan = good(plan(NOTHING, &fake), NOTHING);
    assert_eq!(plan.sweep, Some(Sweep { removed: 1, owned: 6 }));
}
