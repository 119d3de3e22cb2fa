//! Maps that are made anew and keep their entries: every tally over the fake kernel, where it can be told to the entry
//! what changes meanwhile, and the road on the running kernel, under traffic.

mod common;
#[allow(dead_code, reason = "only the calls behind the switch are worth a fault here")]
#[path = "faults/strace.rs"]
mod strace;

use bpfapply::apply::outcome::{Outcome, Status, Verdict};
use bpfapply::diag::{Exit, Kind};
use bpfapply::entries::Entries;
use bpfapply::kernel::Kernel;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::snapshot::snapshot;
use bpfapply::migrate::Tally;
use bpfapply::plan::{Action, Consent, Plan, State};
use common::flood::Flood;
use common::stages::{good, make, path, plan, plan_rollback, run};
use common::tool;
use common::{Room, in_namespace, in_namespace_within};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use strace::{Call, Fault};

/// Bytes of a key of `flows`, and of its value in the two versions.
const FLOW: usize = 8;
const SEEN: [usize; 2] = [24, 32];

/// The deployment of `tests/migrate` in a version, with lines for the table of the map `flows`.
fn flows(version: usize, lines: &str, link: &str) -> String {
    format!(
        "version = 1\nname = \"edge\"\n[object.filter]\npath = \"tests/migrate/flows_{version}.o\"\n\
         [map.flows]\nfrom = \"filter:flows\"\n{lines}\n\
         [program.count]\nfrom = \"filter:count\"\n[link.uplink]\nprogram = \"count\"\n{link}\n"
    )
}

const ON_ETH0: &str = "xdp = { interface = \"eth0\" }";
const MIGRATE: &str = "on_change = \"migrate\"";

fn key(number: u32) -> [u8; FLOW] {
    (u64::from(number) << 32 | 0x0a).to_le_bytes()
}

/// A value of version 1: port, packets, bytes.
fn seen_1(packets: u64) -> Vec<u8> {
    [443u64, packets, 60 * packets].map(u64::to_le_bytes).concat()
}

/// A value of version 2 with what version 1 counted, and what version 2 counted itself.
fn seen_2(packets: u64, since: u64) -> Vec<u8> {
    [packets + since, 60 * packets, since, 443].map(u64::to_le_bytes).concat()
}

fn host() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake
}

fn put(fake: &Fake, pin: &str, number: u32, value: &[u8]) {
    let (_, map) = fake.open_pin(&path(pin)).expect("a map has the pin");
    fake.clone().update(&map, &key(number), value).expect("the entry fits");
}

fn take(fake: &Fake, pin: &str, number: u32) {
    let (_, map) = fake.open_pin(&path(pin)).expect("a map has the pin");
    assert!(fake.clone().delete(&map, &key(number)).expect("the map can be changed"));
}

const OLD: &str = "/sys/fs/bpf/edge~1/maps/flows";
const NEXT: &str = "/sys/fs/bpf/edge~2/maps/flows";
const NOW: &str = "/sys/fs/bpf/edge/maps/flows";
const BEFORE: &str = "/sys/fs/bpf/edge~previous/maps/flows";

fn all<K: Kernel>(kernel: &K, pin: &str, value: usize) -> Entries {
    let (_, map) = kernel.open_pin(&path(pin)).expect("a map has the pin");
    snapshot(kernel, &map, (FLOW, value)).expect("it can be read")
}

/// Returns a host with version 1 and the flows 1 to 4.
fn with_flows() -> Fake {
    let fake = host();
    make(&flows(1, "", ON_ETH0), &fake);
    (1..=4).for_each(|number| put(&fake, NOW, number, &seen_1(number.into())));
    fake
}

fn plan_2(fake: &Fake, lines: &str) -> Plan {
    let text = flows(2, lines, ON_ETH0);
    good(plan(&text, fake), &text)
}

fn tally(outcome: &Outcome<'_>) -> Tally {
    let mut tallies = outcome.steps.iter().filter_map(|step| step.tally.as_deref().cloned());
    tallies.next().expect("entries went over")
}

/// Returns the number of the changing call that switches to the next generation.
fn switch() -> usize {
    let fake = with_flows();
    let before = fake.calls().len();
    let plan = plan_2(&fake, MIGRATE);
    assert!(run(&plan, &fake).1.is_none());
    1 + fake.calls()[before..].iter().position(|call| *call == "rename").expect("there is a switch")
}

/// What happens between the copy and the switch: flow 1 counts on in the old map, 2 in both, 3 goes, 5 is new, and 6 is new
/// in both.
fn traffic(fake: &Fake) {
    put(fake, OLD, 1, &seen_1(100));
    put(fake, OLD, 2, &seen_1(200));
    put(fake, NEXT, 2, &seen_2(2, 7));
    take(fake, OLD, 3);
    put(fake, OLD, 5, &seen_1(50));
    put(fake, OLD, 6, &seen_1(60));
    put(fake, NEXT, 6, &seen_2(0, 9));
}

#[test]
fn what_changes_meanwhile_is_caught_up_or_said() {
    let (fake, switch) = (with_flows(), switch());
    fake.before_nth(switch, traffic);
    let plan = plan_2(&fake, MIGRATE);
    assert_eq!(plan.needs().len(), 0, "nothing is lost");
    let (outcome, problem) = run(&plan, &fake);
    assert!(problem.is_none(), "{problem:?}");
    assert_eq!(tally(&outcome), Tally { copied: 4, caught_up: 3, both: 2, ..Tally::default() });
    let wanted = [(1, (100, 0)), (2, (2, 7)), (4, (4, 0)), (5, (50, 0)), (6, (0, 9))];
    let wanted: Vec<_> = wanted.map(|(number, (packets, since))| (key(number), seen_2(packets, since))).into();
    let got = all(&fake, NOW, SEEN[1]);
    assert_eq!(got.len(), wanted.len());
    for (key, value) in wanted {
        assert_eq!(got.get(&key), Some(&*value), "{key:?}");
    }
    assert_eq!(all(&fake, BEFORE, SEEN[0]).len(), 5, "the old map is as it was");
    assert!(plan_2(&fake, MIGRATE).is_empty(), "there is nothing left to do");
}

#[test]
fn a_second_pass_that_fails_says_so_and_keeps_the_old_map() {
    let switch = switch();
    // After the switch itself: two updates and a removal.
    for n in 1..=3 {
        let fake = with_flows();
        fake.before_nth(switch, traffic);
        let plan = plan_2(&fake, MIGRATE);
        fake.fail_nth(switch + n, libc::EIO);
        let (outcome, problem) = run(&plan, &fake);
        let problem = problem.expect("it failed");
        assert!(matches!(&*problem.kind, Kind::Kernel { errno: libc::EIO, hint: Some(_), .. }), "{problem:?}");
        assert_eq!((outcome.verdict(), outcome.exit()), (Verdict::FailedNotAsBefore, Exit::Broken));
        let half: Vec<_> = outcome.left().filter(|step| matches!(step.status, Status::HalfDone(_))).collect();
        assert!(matches!(&*half[0].action, Action::CatchUp { .. }), "{half:?}");
        assert_eq!((half.len(), tally(&outcome).copied), (1, 4));
        fake.heal();
        assert_eq!(all(&fake, BEFORE, SEEN[0]).len(), 5, "call {n}: what changed is in the old map");
        assert!(plan_2(&fake, MIGRATE).is_empty(), "call {n}");
    }
}

#[test]
fn a_failure_before_the_switch_leaves_the_old_map_alone() {
    for n in 1..=switch() {
        let fake = with_flows();
        let before = all(&fake, NOW, SEEN[0]);
        let plan = plan_2(&fake, MIGRATE);
        fake.fail_nth(n, libc::ENOSPC);
        let (outcome, problem) = run(&plan, &fake);
        fake.heal();
        let call = fake.calls().last().copied();
        match problem {
            Some(_) => {
                assert_eq!(outcome.verdict(), Verdict::FailedAsBefore, "call {n}, {call:?}");
                assert_eq!(all(&fake, NOW, SEEN[0]), before, "call {n}, {call:?}");
                assert!(run(&plan_2(&fake, MIGRATE), &fake).1.is_none(), "call {n}, {call:?}");
            }
            // A map without types is as good.
            None => assert_eq!(outcome.verdict(), Verdict::Applied, "call {n}, {call:?}"),
        }
        assert_eq!(all(&fake, NOW, SEEN[1]).len(), 4, "call {n}, {call:?}");
    }
}

#[test]
fn what_does_not_fit_needs_consent_as_it_was_planned() {
    let fake = with_flows();
    let smaller = format!("{MIGRATE}\nmax_entries = 3");
    let plan = plan_2(&fake, &smaller);
    assert_eq!(plan.needs().into_iter().collect::<Vec<_>>(), [Consent::LoseState]);
    let (outcome, problem) = run(&plan, &fake);
    assert!(problem.is_none(), "{problem:?}");
    let Tally { copied, misfits, .. } = tally(&outcome);
    assert_eq!((copied, misfits.count), (3, 1));
    assert_eq!(misfits.named, ["key { address = 10, number = 4 }: the new map has no room for it"]);

    // What did fit when it was planned, and does not now.
    let fake = with_flows();
    let plan = plan_2(&fake, &format!("{MIGRATE}\nmax_entries = 4"));
    assert_eq!(plan.needs().len(), 0);
    put(&fake, NOW, 5, &seen_1(5));
    let before = fake.dump();
    let (outcome, problem) = run(&plan, &fake);
    assert_eq!(problem.expect("it is stale").kind.exit(), Exit::Retry);
    assert_eq!((outcome.verdict(), fake.dump()), (Verdict::FailedAsBefore, before));
}

#[test]
fn fields_of_no_entries_are_not_lost() {
    let fake = host();
    make(&flows(2, "", ON_ETH0), &fake);
    let back = |fake: &Fake| {
        let text = flows(1, MIGRATE, ON_ETH0);
        good(plan(&text, fake), &text)
    };
    assert_eq!(back(&fake).needs().len(), 0, "there are none");
    let stale = back(&fake);
    put(&fake, NOW, 1, &seen_2(1, 1));
    assert_eq!(back(&fake).needs().into_iter().collect::<Vec<_>>(), [Consent::LoseState]);
    let (outcome, problem) = run(&stale, &fake);
    assert_eq!(problem.expect("there is one by now").kind.exit(), Exit::Retry);
    assert_eq!(outcome.verdict(), Verdict::FailedAsBefore);
}

#[test]
fn a_map_is_made_anew_for_nothing_only_while_it_is_empty() {
    const RECREATE: &str = "on_change = \"recreate\"";
    let fake = host();
    make(&flows(1, "", ON_ETH0), &fake);
    let plan = plan_2(&fake, RECREATE);
    assert_eq!(plan.needs().len(), 0, "there is nothing to lose");
    put(&fake, NOW, 1, &seen_1(1));
    let before = fake.dump();
    let (outcome, problem) = run(&plan, &fake);
    assert_eq!(problem.expect("there is an entry by now").kind.exit(), Exit::Retry);
    assert_eq!((outcome.verdict(), fake.dump()), (Verdict::FailedAsBefore, before));
    let filled = plan_2(&fake, RECREATE);
    assert_eq!(filled.needs().into_iter().collect::<Vec<_>>(), [Consent::LoseState]);
    assert_eq!(filled.id, plan.id, "what is reviewed on one host holds on the other");
    take(&fake, NOW, 1);
    assert!(run(&plan_2(&fake, RECREATE), &fake).1.is_none());
}

/// Somebody may have written the zeroes of an array, as of a limit that starts with another number.
#[test]
fn an_array_of_zeroes_is_not_empty() {
    let fake = host();
    let text = |room: u32| {
        format!(
            "version = 1\nname = \"edge\"\n[map.limits]\ntype = \"array\"\nkey_size = 4\nvalue_size = 8\n\
             max_entries = {room}\non_change = \"recreate\"\n"
        )
    };
    make(&text(4), &fake);
    let larger = good(plan(&text(8), &fake), &text(8));
    assert_eq!(larger.needs().into_iter().collect::<Vec<_>>(), [Consent::LoseState]);
    assert!(larger.steps.iter().any(|step| step.state == State::Lost(None)), "there is no number to be told");
}

#[test]
fn what_a_sensitive_map_holds_is_nowhere_to_be_seen() {
    in_namespace("what_a_sensitive_map_holds_is_nowhere_to_be_seen", |_| {
        let (site, mut kernel) = (Site::new(), Linux::new());
        let table = |room: u32| format!("sensitive = true\n{MIGRATE}\nmax_entries = {room}");
        site.apply(&flows(1, &table(64), ON_LO), &[], 0);
        let (_, map) = kernel.open_pin(&path(NOW)).expect("the map is there");
        for flow in 0..10 {
            let key = key(0x5ec2_e700 + flow);
            kernel.update(&map, &key, &seen_1(0x5ec2_e7ab)).expect("it fits");
        }
        let second = flows(2, &table(4), ON_LO);
        let mut said = site.apply(&second, &["--dry-run"], 0);
        said += &site.apply(&second, &["--dry-run", "--output", "json"], 0);
        said += &site.apply(&second, &[], 4);
        said += &site.apply(&second, &["--allow", "lose-state", "--output", "json"], 0);
        for arguments in
            [&["show", "edge"][..], &["show", "edge", "map.flows"], &["show", "edge", "map.flows", "--output", "json"]]
        {
            said += &tool::succeed(site.0.path(), arguments);
        }
        said += &tool::succeed(site.0.path(), &["export", "--contents"]);
        site.apply(&flows(1, &table(64), ON_LO), &["--allow", "lose-state"], 0);
        said += &site.apply(&flows(2, &table(2), ON_LO), &["--allow", "lose-state"], 0);
        for secret in ["1589831", "5ec2e7", "e7c25e", "5EC2E7", "number ="] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
        assert!(said.contains("did not fit"), "{said}");
        site.clear();
    });
}

#[test]
fn a_rollback_returns_to_the_map_as_it_was() {
    let fake = with_flows();
    assert!(run(&plan_2(&fake, MIGRATE), &fake).1.is_none());
    put(&fake, NOW, 9, &seen_2(0, 9));
    let back = good(plan_rollback("edge", &fake), "");
    assert_eq!(back.needs().into_iter().collect::<Vec<_>>(), [Consent::LoseState]);
    assert!(run(&back, &fake).1.is_none());
    assert_eq!(all(&fake, NOW, SEEN[0]).len(), 4);
}

#[test]
fn plans_of_maps_that_cannot_go_over_say_why() {
    let inline = |lines: &str| {
        let table = "version = 1\nname = \"edge\"\n[map.flows]\nkey_size = 4\n";
        format!("{table}{lines}\n{MIGRATE}\n")
    };
    let rows = [
        (
            "type = \"hash\"\nvalue_size = 8\nmax_entries = 4",
            "type = \"hash\"\nvalue_size = 16\nmax_entries = 4",
            "BTF",
        ),
        (
            "type = \"hash\"\nvalue_size = 8\nmax_entries = 4",
            "type = \"percpu_hash\"\nvalue_size = 8\nmax_entries = 4",
            "CPU",
        ),
        (
            "type = \"devmap\"\nvalue_size = 4\nmax_entries = 4",
            "type = \"devmap\"\nvalue_size = 4\nmax_entries = 8",
            "copied",
        ),
    ];
    for (old, new, why) in rows {
        let fake = host();
        make(&inline(old), &fake);
        let problems = plan(&inline(new), &fake).expect_err("it cannot be copied");
        let kind = &problems.0[0].kind;
        assert!(matches!(&**kind, Kind::NotMigratable { .. }) && kind.to_string().contains(why), "{kind}");
    }
}

#[test]
fn copied_entries_leave_room_for_those_of_the_manifest() {
    let table = |lines: &str| {
        format!(
            "version = 1\nname = \"edge\"\n[map.ports]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\n{MIGRATE}\n\
             entries_mode = \"merge\"\n{lines}\n"
        )
    };
    let first = table("max_entries = 8\nentries = { 1 = 1, 2 = 2, 3 = 3 }");
    for (room, entries, refused) in [
        (5, "{ 1 = 1, 2 = 2, 3 = 4, 5 = 5, 6 = 6 }", None),
        (
            4,
            "{ 1 = 1, 2 = 2, 3 = 3, 4 = 4 }",
            Some("map.ports has room for 4 entries: beside 1 of others there is none for 4"),
        ),
    ] {
        let fake = host();
        make(&first, &fake);
        if refused.is_some() {
            let (_, map) = fake.open_pin(&path("/sys/fs/bpf/edge/maps/ports")).expect("a map has the pin");
            fake.clone().update(&map, &[9, 0, 0, 0], &[9; 4]).expect("the entry fits");
        }
        let next = table(&format!("max_entries = {room}\nentries = {entries}"));
        let said = plan(&next, &fake).map(drop).map_err(|problems| problems.0[0].kind.to_string());
        assert_eq!(said.err().as_deref(), refused, "{next}");
    }
}

#[test]
fn values_of_declared_keys_go_over() {
    let table = |mode: &str, lines: &str| {
        format!(
            "version = 1\nname = \"edge\"\n[map.ports]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\n{MIGRATE}\n\
             entries_mode = \"{mode}\"\n{lines}\n"
        )
    };
    let pin = path("/sys/fs/bpf/edge/maps/ports");
    for mode in ["exact-keys", "merge-keys"] {
        let fake = host();
        make(&table(mode, "max_entries = 8\nentries = { 1 = 1, 2 = 2 }"), &fake);
        let (_, map) = fake.open_pin(&pin).expect("a map has the pin");
        fake.clone().update(&map, &[1, 0, 0, 0], &[9; 4]).expect("the entry fits");
        let next = table(mode, "max_entries = 16\nentries = { 1 = 1, 2 = 5, 3 = 3 }");
        let plan_next = || good(plan(&next, &fake), &next);
        assert_eq!(plan_next().needs().len(), 0, "{mode}");
        assert!(run(&plan_next(), &fake).1.is_none(), "{mode}");
        let (_, map) = fake.open_pin(&pin).expect("a map has the pin");
        let values = [1u8, 2, 3].map(|key| fake.lookup(&map, &[key, 0, 0, 0], 4).expect("it can be read"));
        let wanted = [vec![9; 4], vec![2, 0, 0, 0], vec![3, 0, 0, 0]].map(Some);
        assert_eq!(values, wanted, "{mode}");
        assert!(plan_next().is_empty(), "{mode}: nothing is left to do");
    }
}

#[test]
fn programs_of_others_that_stay_with_the_old_map_are_named() {
    let fake = with_flows();
    assert!(!plan_2(&fake, MIGRATE).steps.iter().any(|step| step.action.to_string().contains("as these do")));
    let other = "version = 1\nname = \"other\"\n[object.watch]\npath = \"tests/migrate/flows_1.o\"\n\
                 maps = { flows = \"flows\" }\n[map.flows]\npinned = \"/sys/fs/bpf/edge/maps/flows\"\n\
                 [program.watch]\nfrom = \"watch:count\"\n";
    make(other, &fake);
    let plan = plan_2(&fake, MIGRATE);
    let words = plan.steps.last().expect("it has steps").action.to_string();
    assert!(words.ends_with("as these do: id 2 `count`"), "{words}");
}

/// A folder with manifests on the running kernel.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    /// Plans and applies a manifest, and expects the exit code.
    #[track_caller]
    fn apply(&self, text: &str, options: &[&str], code: i32) -> String {
        self.write(text);
        let said = tool::bpfapply(self.0.path(), &[&["plan.toml"], options].concat());
        assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
        // Long lines are folded.
        (said.stdout + &said.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Site {
    /// Writes the manifest.
    fn write(&self, text: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/migrate");
        let text = text.replace("tests/migrate", root.to_str().expect("UTF-8"));
        fs::write(self.0.path().join("plan.toml"), text).expect("it can be written");
    }

    /// Plans or applies a manifest until it says so: the kernel frees maps some time later.
    #[track_caller]
    fn apply_when(&self, text: &str, options: &[&str], says: &str) -> String {
        for _ in 0..100 {
            let said = self.apply(text, options, 0);
            if said.contains(says) {
                return said;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("it does not say {says}: {}", self.apply(text, options, 0));
    }

    /// Takes the deployment away.
    #[track_caller]
    fn clear(&self) {
        tool::succeed(self.0.path(), &["destroy", "edge"]);
    }
}

/// One map of `tests/migrate`, in two versions of it.
struct Case {
    name: &'static str,
    symbol: &'static str,
    /// The version of the object, and lines of the map's table.
    old: (usize, &'static str),
    new: (usize, &'static str),
    /// Bytes of a key, and of a value for one CPU in both.
    sizes: (usize, [usize; 2]),
    per_cpu: bool,
    /// Keys, and values as all CPUs have them.
    entries: fn(u32) -> Vec<u8>,
    wanted: fn(u32) -> Vec<u8>,
    /// What a plan without consent exits with, and what the apply says.
    code: i32,
    says: &'static str,
    left: usize,
}

const CASES: &[Case] = &[
    Case {
        name: "grow",
        symbol: "flows",
        old: (1, "max_entries = 16"),
        new: (1, "max_entries = 64"),
        sizes: (8, [24, 24]),
        per_cpu: false,
        entries: |number| seen_1(number.into()),
        wanted: |number| seen_1(number.into()),
        code: 0,
        says: "10 copied, 0 caught up, 0 changed on both sides, 0 did not fit",
        left: 10,
    },
    Case {
        name: "shrink that fits",
        symbol: "flows",
        old: (1, "max_entries = 64"),
        new: (1, "max_entries = 10"),
        sizes: (8, [24, 24]),
        per_cpu: false,
        entries: |number| seen_1(number.into()),
        wanted: |number| seen_1(number.into()),
        code: 0,
        says: "10 copied, 0 caught up, 0 changed on both sides, 0 did not fit",
        left: 10,
    },
    Case {
        name: "shrink that does not fit",
        symbol: "flows",
        old: (1, "max_entries = 64"),
        new: (1, "max_entries = 4"),
        sizes: (8, [24, 24]),
        per_cpu: false,
        entries: |number| seen_1(number.into()),
        wanted: |number| seen_1(number.into()),
        code: 4,
        says: "4 copied, 0 caught up, 0 changed on both sides, 6 did not fit",
        left: 4,
    },
    Case {
        name: "a value with more fields in another order",
        symbol: "flows",
        old: (1, ""),
        new: (2, ""),
        sizes: (8, [24, 32]),
        per_cpu: false,
        entries: |number| seen_1(number.into()),
        wanted: |number| seen_2(number.into(), 0),
        code: 0,
        says: "10 copied, 0 caught up, 0 changed on both sides, 0 did not fit",
        left: 10,
    },
    Case {
        name: "a field that goes",
        symbol: "flows",
        old: (2, ""),
        new: (1, ""),
        sizes: (8, [32, 24]),
        per_cpu: false,
        entries: |number| seen_2(number.into(), 0),
        wanted: |number| seen_1(number.into()),
        code: 4,
        says: "10 copied, 0 caught up, 0 changed on both sides, 0 did not fit",
        left: 10,
    },
    Case {
        name: "hash to LRU",
        symbol: "recent",
        old: (1, ""),
        new: (2, ""),
        sizes: (4, [8, 8]),
        per_cpu: false,
        entries: |number| u64::from(number).to_le_bytes().to_vec(),
        wanted: |number| u64::from(number).to_le_bytes().to_vec(),
        code: 0,
        says: "10 copied, 0 caught up, 0 changed on both sides, 0 did not fit",
        left: 10,
    },
    Case {
        name: "LRU to hash",
        symbol: "recent",
        old: (2, ""),
        new: (1, ""),
        sizes: (4, [8, 8]),
        per_cpu: false,
        entries: |number| u64::from(number).to_le_bytes().to_vec(),
        wanted: |number| u64::from(number).to_le_bytes().to_vec(),
        code: 0,
        says: "10 copied, 0 caught up, 0 changed on both sides, 0 did not fit",
        left: 10,
    },
    Case {
        name: "values of each CPU",
        symbol: "hosts",
        old: (1, ""),
        new: (2, ""),
        sizes: (4, [8, 16]),
        per_cpu: true,
        entries: |cpu| u64::from(cpu).to_le_bytes().to_vec(),
        wanted: |cpu| [0, u64::from(cpu)].map(u64::to_le_bytes).concat(),
        code: 0,
        says: "10 copied, 0 caught up, 0 changed on both sides, 0 did not fit",
        left: 10,
    },
];

/// Makes the deployment of a case: a map without programs.
fn alone(case: &Case, (version, lines): (usize, &str)) -> String {
    format!(
        "version = 1\nname = \"edge\"\n[object.filter]\npath = \"tests/migrate/flows_{version}.o\"\n\
         [map.it]\nfrom = \"filter:{}\"\n{MIGRATE}\n{lines}\n",
        case.symbol
    )
}

fn check(case: &Case) {
    let (site, mut kernel) = (Site::new(), Linux::new());
    site.apply(&alone(case, case.old), &[], 0);
    let cpus = if case.per_cpu { kernel.host().expect("CPUs can be counted").possible_cpus } else { 1 };
    let (key_size, [old_size, new_size]) = case.sizes;
    let number_of = |number: u32| u64::from(number).to_le_bytes()[..key_size].to_vec();
    let value_of = |of: fn(u32) -> Vec<u8>, number: u32| match case.per_cpu {
        true => (0..cpus).flat_map(|cpu| of(100 * number + cpu)).collect(),
        false => of(number),
    };
    let keys = (1..=10).flat_map(number_of).collect();
    let values = (1..=10).flat_map(|number| value_of(case.entries, number)).collect();
    let entries = Entries::of(key_size, old_size * cpus as usize, keys, values).expect("no key is there twice");
    let pin = path("/sys/fs/bpf/edge/maps/it");
    let (_, map) = kernel.open_pin(&pin).expect("the map is there");
    kernel.write_entries(&map, &entries).expect("they fit");
    let new = alone(case, case.new);
    if case.code != 0 {
        site.apply(&new, &[], case.code);
        let same = snapshot(&kernel, &map, (key_size, old_size * cpus as usize)).expect("it can be read");
        assert_eq!(same, entries, "{}: nothing is lost without consent", case.name);
    }
    let said = site.apply(&new, if case.code == 0 { &[] } else { &["--allow", "lose-state"] }, 0);
    assert!(said.contains(case.says), "{}: {said}", case.name);
    let (_, map) = kernel.open_pin(&pin).expect("the map is there");
    let got = snapshot(&kernel, &map, (key_size, new_size * cpus as usize)).expect("it can be read");
    assert_eq!(got.len(), case.left, "{}", case.name);
    for (key, value) in got.iter() {
        let number = u32::from_le_bytes(key[..4].try_into().expect("four bytes"));
        assert_eq!(value, value_of(case.wanted, number), "{}, key {number}", case.name);
    }
    let said = site.apply(&new, &[], 0);
    assert!(said.contains("nothing to do"), "{}: {said}", case.name);
}

#[test]
fn every_change_of_a_map_on_the_running_kernel() {
    for case in CASES {
        in_namespace(case.name, move |_| check(case));
    }
}

/// What is there when a run was killed behind the switch, and what the next one says of it.
struct Killed {
    name: &'static str,
    /// What happens before the next run; `old` has the map that was copied.
    happens: fn(&mut Linux, &<Linux as Kernel>::Fd),
    plan: &'static str,
    outcome: &'static str,
    /// Flows with what version 1 counted of them, and version 2.
    left: &'static [(u32, (u64, u64))],
}

const KILLED: &[Killed] = &[
    Killed {
        name: "the old map is there",
        happens: |kernel, old| {
            // What old programs did until they ended, and new ones since.
            let (_, new) = kernel.open_pin(&path(NOW)).expect("the map is there");
            kernel.update(old, &key(1), &seen_1(100)).expect("it fits");
            kernel.update(old, &key(2), &seen_1(200)).expect("it fits");
            kernel.update(&new, &key(2), &seen_2(2, 7)).expect("it fits");
            assert!(kernel.delete(old, &key(3)).expect("it can be changed"));
            kernel.update(old, &key(5), &seen_1(50)).expect("it fits");
        },
        plan: "between its copying and the switch, but for entries that changed here as well",
        outcome: "0 copied, 3 caught up, 1 changed on both sides (the new one is kept), 0 did not fit",
        left: &[(1, (100, 0)), (2, (2, 7)), (4, (4, 0)), (5, (50, 0))],
    },
    Killed {
        name: "the old map is gone",
        happens: |_, _| fs::remove_dir_all("/sys/fs/bpf/edge~1").expect("it is there"),
        plan: "nothing can be caught up: id",
        outcome: "done map.flows nothing can be caught up: id",
        left: &[(1, (1, 0)), (2, (2, 0)), (3, (3, 0)), (4, (4, 0))],
    },
];

/// Applies version 1, and gives it the flows 1 to 4; returns their map.
fn four_flows(site: &Site, kernel: &mut Linux) -> <Linux as Kernel>::Fd {
    site.apply(&flows(1, "", ON_LO), &[], 0);
    let (_, map) = kernel.open_pin(&path(NOW)).expect("the map is there");
    for flow in 1..=4 {
        kernel.update(&map, &key(flow), &seen_1(flow.into())).expect("it fits");
    }
    map
}

const ON_LO: &str = "xdp = { interface = \"lo\", mode = \"generic\" }";

/// Returns the calls that come behind the switch.
fn behind_the_switch(trace: &str) -> Vec<Call> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut calls, mut is_behind) = (Vec::new(), false);
    for line in trace.lines() {
        let Some((name, arguments)) = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            continue;
        };
        let number = counts.entry(name).or_default();
        *number += 1;
        if is_behind {
            calls.push(Call { name: name.to_owned(), number: *number });
        }
        is_behind |= name.starts_with("rename") && arguments.contains("edge~\", ") && arguments.contains("edge\"");
    }
    calls
}

#[test]
fn a_run_that_is_killed_behind_the_switch_is_finished_by_the_next_one() {
    let name = "a_run_that_is_killed_behind_the_switch_is_finished_by_the_next_one";
    in_namespace(name, |_| {
        if common::run(Command::new("strace").arg("--version")).is_err() {
            return common::skip(name, "there is no strace");
        }
        let (site, mut kernel) = (Site::new(), Linux::new());
        let second = flows(2, MIGRATE, ON_LO);
        drop(four_flows(&site, &mut kernel));
        site.write(&second);
        let ran = strace::run(site.0.path(), &["plan.toml"], None);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let calls = behind_the_switch(&ran.trace);
        assert!(calls.len() > 5, "{calls:?}: {}", ran.trace);
        site.clear();
        // It ends the pass. How many calls of bpf there are before hangs on the programs of others, who are looked at.
        let last = calls.iter().find(|call| call.name.starts_with("unlink")).expect("what was kept goes");
        for Killed { name, happens, plan, outcome, left } in KILLED {
            let old = four_flows(&site, &mut kernel);
            site.write(&second);
            let ran = strace::run(site.0.path(), &["plan.toml"], Some((last, Fault::Kill)));
            assert_eq!(ran.code, None, "{name}: {}", ran.said);
            happens(&mut kernel, &old);
            // What nobody holds is gone.
            let old = Some(old).filter(|_| Path::new("/sys/fs/bpf/edge~1").exists());
            let said = site.apply_when(&second, &["--dry-run"], plan);
            assert!(said.contains("because a run was interrupted"), "{name}: {said}");
            let said = site.apply(&second, &[], 0);
            assert!(said.contains(outcome), "{name}: {said}");
            let got = all(&kernel, NOW, SEEN[1]);
            let wanted =
                left.iter().flat_map(|(flow, (packets, since))| [key(*flow).to_vec(), seen_2(*packets, *since)]);
            let found: Vec<Vec<u8>> = got.iter().flat_map(|(key, value)| [key.to_vec(), value.to_vec()]).collect();
            assert_eq!(found, wanted.collect::<Vec<_>>(), "{name}");
            assert!(site.apply(&second, &[], 0).contains("nothing to do"), "{name}");
            let names = tool::below(Path::new("/sys/fs/bpf"));
            assert!(names.iter().all(|name| !name.contains("~1") && !name.contains("~copied/")), "{name}: {names:?}");
            drop(old);
            site.clear();
        }
        for call in &calls {
            drop(four_flows(&site, &mut kernel));
            site.write(&second);
            let ran = strace::run(site.0.path(), &["plan.toml"], Some((call, Fault::Kill)));
            site.apply(&second, &[], 0);
            assert!(site.apply(&second, &[], 0).contains("nothing to do"), "{call}: {}", ran.said);
            assert_eq!(all(&kernel, NOW, SEEN[1]).len(), 4, "{call}");
            let names = tool::below(Path::new("/sys/fs/bpf"));
            assert!(names.iter().all(|name| !name.contains("~1") && !name.contains("~copied/")), "{call}: {names:?}");
            site.clear();
        }
    });
}

/// Reads the numbers of an outcome: copied, caught up, changed on both sides, not fitting.
fn numbers(said: &str) -> [u64; 4] {
    [" copied", " caught up", " changed on both", " did not fit"].map(|words| {
        let end = said.find(words).unwrap_or_else(|| panic!("no {words}: {said}"));
        let number = said[..end].rsplit(|c: char| !c.is_ascii_digit()).next();
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number: {said}"))
    })
}

/// One change of the map of `tests/migrate/traffic.c`, while packets are counted in it.
struct Traffic {
    name: &'static str,
    /// The object, and the most entries of the map.
    old: (&'static str, fn(u32) -> u32),
    new: (&'static str, fn(u32) -> u32),
    /// Bytes of a number in a key, and of one in a value.
    layouts: [(usize, usize); 2],
    per_cpu: bool,
    /// Whether the new map has no room for all.
    refused: bool,
}

/// Room for every flow that there can be.
const ROOM: fn(u32) -> u32 = |flows| flows + 1_000;
const MORE_ROOM: fn(u32) -> u32 = |flows| 2 * ROOM(flows);

const TRAFFIC: &[Traffic] = &[
    Traffic {
        name: "grow under traffic",
        old: ("hash", ROOM),
        new: ("hash", MORE_ROOM),
        layouts: [(4, 4), (4, 4)],
        per_cpu: false,
        refused: false,
    },
    Traffic {
        name: "shrink under traffic",
        old: ("hash", MORE_ROOM),
        new: ("hash", ROOM),
        layouts: [(4, 4), (4, 4)],
        per_cpu: false,
        refused: false,
    },
    Traffic {
        name: "shrink too far under traffic",
        old: ("hash", ROOM),
        new: ("hash", |flows| flows / 8),
        layouts: [(4, 4), (4, 4)],
        per_cpu: false,
        refused: true,
    },
    Traffic {
        name: "hash to LRU under traffic",
        old: ("hash", ROOM),
        new: ("lru", MORE_ROOM),
        layouts: [(4, 4), (4, 4)],
        per_cpu: false,
        refused: false,
    },
    Traffic {
        name: "LRU to hash under traffic",
        old: ("lru", MORE_ROOM),
        new: ("hash", MORE_ROOM),
        layouts: [(4, 4), (4, 4)],
        per_cpu: false,
        refused: false,
    },
    Traffic {
        name: "wider key under traffic",
        old: ("hash", ROOM),
        new: ("wide_key", ROOM),
        layouts: [(4, 4), (8, 4)],
        per_cpu: false,
        refused: false,
    },
    Traffic {
        name: "wider value under traffic",
        old: ("hash", ROOM),
        new: ("wide_value", ROOM),
        layouts: [(4, 4), (4, 8)],
        per_cpu: false,
        refused: false,
    },
    Traffic {
        name: "more for each CPU under traffic",
        old: ("cpus", ROOM),
        new: ("cpus", MORE_ROOM),
        layouts: [(4, 4), (4, 4)],
        per_cpu: true,
        refused: false,
    },
    Traffic {
        name: "wider for each CPU under traffic",
        old: ("cpus", ROOM),
        new: ("wide_cpus", ROOM),
        layouts: [(4, 4), (4, 8)],
        per_cpu: true,
        refused: false,
    },
];

impl Traffic {
    /// Returns the manifest with the old map, or the new one.
    fn manifest(&self, is_new: bool, flows: u32) -> String {
        let (object, room) = if is_new { self.new } else { self.old };
        format!(
            "version = 1\nname = \"edge\"\n[object.filter]\npath = \"tests/migrate/traffic_{object}.o\"\n\
             set = {{ is_new = {} }}\n[map.flows]\nfrom = \"filter:flows\"\nmax_entries = {}\n{MIGRATE}\n\
             [program.count]\nfrom = \"filter:count\"\n[link.uplink]\nprogram = \"count\"\n{ON_VETH0}\n",
            u8::from(is_new),
            room(flows),
        )
    }
}

const ON_VETH0: &str = "xdp = { interface = \"veth0\", mode = \"native\" }";

/// What the programs counted of each flow, by its number: before and after, of each CPU.
type Counts = BTreeMap<u64, Vec<(u64, u64)>>;

/// Reads a map of `tests/migrate/traffic.c`.
fn counts(kernel: &Linux, map: &<Linux as Kernel>::Fd, (key, value): (usize, usize), per_cpu: bool) -> Counts {
    let cpus = if per_cpu { kernel.host().expect("CPUs can be counted").possible_cpus as usize } else { 1 };
    let part = 2 * value;
    let entries = snapshot(kernel, map, (2 * key, cpus * part)).expect("it can be read");
    let pair = |bytes: &[u8]| (uint(&bytes[..value]), uint(&bytes[value..]));
    entries.iter().map(|(it, values)| (uint(&it[..key]), values.chunks(part).map(pair).collect())).collect()
}

fn uint(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Packets of flows that come again and again, and as many flows that nobody sends any more.
const FEW: u32 = 10_000;

fn check_under_traffic(case: &Traffic) {
    let (site, mut kernel) = (Site::new(), Linux::new());
    let mut flood = Flood::start(FEW);
    site.apply(&case.manifest(false, 2 * FEW), &[], 0);
    thread::sleep(Duration::from_millis(50));
    flood.passed();
    let (_, old) = kernel.open_pin(&path(NOW)).expect("the map is there");
    let cpus = if case.per_cpu { kernel.host().expect("CPUs can be counted").possible_cpus } else { 1 };
    let (key, value) = case.layouts[0];
    let number = |number: u32, width: usize| u64::from(number).to_le_bytes()[..width].to_vec();
    let idle = 10 * FEW..11 * FEW;
    let keys = idle.clone().flat_map(|flow| [number(flow, key), number(7, key)].concat()).collect();
    let values =
        idle.flat_map(|flow| (0..cpus).flat_map(move |cpu| [number(flow + cpu, value), vec![0; value]].concat()));
    let size = cpus as usize * 2 * value;
    let entries = Entries::of(2 * key, size, keys, values.collect()).expect("no key is there twice");
    kernel.write_entries(&old, &entries).expect("they fit");

    let before = flood.sent();
    let new = case.manifest(true, 2 * FEW);
    if case.refused {
        let said = site.apply(&new, &[], 4);
        assert!(said.contains("--allow lose-state"), "{}: {said}", case.name);
    }
    let said = site.apply(&new, if case.refused { &["--allow", "lose-state"] } else { &[] }, 0);
    let sent = flood.sent() - before;
    thread::sleep(Duration::from_millis(50));
    assert_eq!(flood.passed(), 0, "{}: of {sent} packets", case.name);
    let again = site.apply(&new, &[], 0);
    assert!(again.contains("nothing to do"), "{}: {again}", case.name);
    flood.end();

    let [copied, caught_up, both, misfits] = numbers(&said);
    let (_, now) = kernel.open_pin(&path(NOW)).expect("the map is there");
    let was = counts(&kernel, &old, case.layouts[0], case.per_cpu);
    let now = counts(&kernel, &now, case.layouts[1], case.per_cpu);
    eprintln!(
        "{}: {} of {}; {copied} copied, {caught_up} caught up, {both} on both sides, {misfits} misfits, {sent} packets",
        case.name,
        now.len(),
        was.len(),
    );
    let missing = was.keys().filter(|flow| !now.contains_key(flow)).count() as u64;
    assert_eq!(missing, misfits, "{}: what is not there did not fit", case.name);
    assert_eq!(misfits > 0, case.refused, "{}", case.name);
    let mut others = 0;
    for (flow, was) in &was {
        assert!(was.iter().all(|(_, after)| *after == 0), "{}: flow {flow}: {was:?}", case.name);
        let Some(now) = now.get(flow) else { continue };
        assert!(was.iter().zip(now).all(|(was, now)| now.0 <= was.0), "{}: flow {flow}: {now:?}, {was:?}", case.name);
        others += u64::from(was.iter().zip(now).any(|(was, now)| now.0 < was.0));
    }
    assert_eq!(others, both, "{}: an entry that is not as in the old map was changed on both sides", case.name);
    assert!(copied + misfits <= was.len() as u64, "{}: {copied} of {}", case.name, was.len());
    assert!(copied + misfits >= u64::from(FEW), "{}: {copied} of {}", case.name, was.len());
    RAN.fetch_add(1, Ordering::Relaxed);
    SENT.fetch_add(sent, Ordering::Relaxed);
    CAUGHT_UP.fetch_add(caught_up + both, Ordering::Relaxed);
}

/// How many cases ran; without root none does.
static RAN: AtomicU64 = AtomicU64::new(0);
/// Packets of all cases. A busy machine may send few in one of them.
static SENT: AtomicU64 = AtomicU64::new(0);
/// Flows of all cases that were seen while they were copied.
static CAUGHT_UP: AtomicU64 = AtomicU64::new(0);

#[test]
fn every_change_of_a_map_under_traffic() {
    // As many at once as there are processors, so that there is traffic to each.
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    for some in TRAFFIC.chunks(at_once) {
        thread::scope(|scope| {
            for case in some {
                scope.spawn(move || in_namespace(case.name, move |_| check_under_traffic(case)));
            }
        });
    }
    let [ran, sent, caught_up] = [&RAN, &SENT, &CAUGHT_UP].map(|count| count.load(Ordering::Relaxed));
    assert!(ran == 0 || sent > 1_000, "there was traffic: {sent}");
    assert!(ran == 0 || caught_up > 0, "flows were seen while they were copied");
}

/// Flows that are seen again and again: so many that not all of them come along in each moment.
const BUSY: u32 = 150_000;

/// Migrates a map with this many flows that nobody sends any more, and those that are busy.
fn under_traffic(flows_there: u32) {
    let (site, mut kernel) = (Site::new(), Linux::new());
    let mut flood = Flood::start(BUSY);
    let room = |entries: u32| format!("{MIGRATE}\nmax_entries = {entries}");
    let most = flows_there + BUSY + 1_000;
    let first = flows(1, &room(most), ON_VETH0);
    site.apply(&first, &[], 0);
    thread::sleep(Duration::from_millis(100));
    flood.passed();
    let address = u32::from_ne_bytes([10, 9, 9, 2]);
    let key = |number: u32| [address.to_le_bytes(), number.to_le_bytes()].concat();
    let idle: Vec<u32> = (10 * BUSY..).take(flows_there as usize).collect();
    let keys = idle.iter().flat_map(|number| key(*number)).collect();
    let values = idle.iter().flat_map(|number| seen_1((*number).into())).collect();
    let entries = Entries::of(FLOW, SEEN[0], keys, values).expect("no key is there twice");
    let (_, old) = kernel.open_pin(&path(NOW)).expect("the map is there");
    kernel.write_entries(&old, &entries).expect("they fit");

    let before = flood.sent();
    let said = site.apply(&flows(2, &room(2 * most), ON_VETH0), &[], 0);
    let sent = flood.sent() - before;
    thread::sleep(Duration::from_millis(100));
    assert_eq!(flood.passed(), 0, "of {sent} packets");
    assert!(sent > 1_000, "there was traffic: {sent}");
    let again = site.apply(&flows(2, &room(2 * most), ON_VETH0), &[], 0);
    assert!(again.contains("nothing to do"), "{again}");
    flood.end();

    let [copied, caught_up, both, misfits] = numbers(&said);
    eprintln!("{copied} copied, {caught_up} caught up, {both} on both sides, {misfits} misfits, {sent} packets");
    let was = snapshot(&kernel, &old, (FLOW, SEEN[0])).expect("it can be read");
    let now = all(&kernel, NOW, SEEN[1]);
    let word = |value: &[u8], at: usize| u64::from_le_bytes(value[8 * at..][..8].try_into().expect("eight bytes"));
    let mut kept = BTreeMap::new();
    for (key, value) in was.iter() {
        let here = now.get(key).unwrap_or_else(|| panic!("{key:?} is not there"));
        // What version 2 was given: all it has but for what it counted itself.
        let given = word(here, 0) - word(here, 2);
        kept.insert(key.to_vec(), given == word(value, 1));
        assert!(given <= word(value, 1), "{key:?}: {given} of {}", word(value, 1));
    }
    let other = kept.values().filter(|kept| !**kept).count() as u64;
    assert_eq!(other, both, "an entry that is not as in the old map was changed on both sides");
    assert_eq!(misfits, 0);
    assert!(copied >= u64::from(flows_there) && copied <= was.len() as u64, "{copied} of {}", was.len());
    assert!(caught_up > 0, "flows were seen while they were copied");
}

#[test]
fn no_flow_is_lost_under_traffic() {
    in_namespace("no_flow_is_lost_under_traffic", |_: &Room| under_traffic(100_000));
}

#[test]
#[ignore = "it takes a minute: cargo test --test migrate -- --ignored"]
fn a_million_flows_go_over_under_traffic() {
    let limit = Duration::from_secs(600);
    in_namespace_within(limit, "a_million_flows_go_over_under_traffic", |_: &Room| under_traffic(1_000_000));
}
