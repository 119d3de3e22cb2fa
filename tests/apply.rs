//! What apply promises, over the fake kernel: all or nothing at every call that can fail, nothing to do the second time,
//! a plan that the host has left behind is not applied, and everything is there before what needs it.

mod common;

use bpfapply::access::AccountKind;
use bpfapply::apply::outcome::{Status, Verdict};
use bpfapply::apply::{Stamp, apply, finish_switch};
use bpfapply::confirm;
use bpfapply::desired::{MapSource, SlotSource};
use bpfapply::diag::{Exit, Kind, Problems};
use bpfapply::direct::{Device, Direct, Wish};
use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::{HookRequest, Kernel, ProgramRequest, status};
use bpfapply::kinds::{AttachType, ProgramType, XdpMode};
use bpfapply::names::PinPath;
use bpfapply::plan::{Action, Plan};
use bpfapply::recorded;
use common::stages::{self, good, make, path, plan, plan_destroy, plan_rollback, run};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Maps of an object and of none, constants, variables, tail calls, an edge, and links of three kinds.
const FIRST: &str = r#"
version = 1
name = "edge"
[object.filter]
path = "tests/objects/upgrade_1.o"
[object.data]
path = "tests/objects/data.o"
[object.jumps]
path = "tests/objects/prog_array.o"
[object.device]
path = "tests/objects/stats_a.o"
[object.stack]
path = "tests/objects/stats_b.o"
maps = { stats = "stats" }
[object.host]
path = "examples/quickstart/host.bpf.o"
[map.stats]
from = "device:stats"
mode = 0o640
group = "metrics"
[map.scratch]
type = "hash"
key_size = 4
value_size = 8
max_entries = 16
[program.drop]
from = "filter:drop"
mode = 0o660
[program.touch]
from = "data:touch"
[program.entry]
from = "jumps:entry"
[program.on_device]
from = "device:on_device"
[program.on_stack]
from = "stack:on_stack"
[program.egress]
from = "host:count_egress"
[link.first]
program = "drop"
xdp = { interface = "eth0" }
owner = 7
[link.second]
program = "entry"
xdp = { interface = "eth1", mode = "native" }
[link.stack]
program = "on_stack"
tc = { interface = "eth0", direction = "ingress" }
[link.egress]
program = "egress"
cgroup = { path = "system.slice" }
"#;

/// The same with each kind of change: code, constants, a new map, a moved link, another mode, and things that go.
fn second() -> String {
    let (kept, _) = FIRST.split_once("[link.egress]").expect("it is the last link");
    let changes = [
        ("upgrade_1", "upgrade_2"),
        ("data.o\"", "data.o\"\nset = { ro_limit = 5 }"),
        ("[map.scratch]", "[map.fresh]"),
        ("mode = 0o640\ngroup = \"metrics\"", "mode = 0o644\nowner = 8"),
        ("owner = 7\n", ""),
        ("mode = \"native\"", "mode = \"generic\""),
        ("tc = { interface = \"eth0\"", "tc = { interface = \"eth1\""),
        ("[program.egress]\nfrom = \"host:count_egress\"\n", ""),
    ];
    changes.iter().fold(kept.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// Links of network namespaces: the program of one is replaced in place, those of the others need room or move.
fn namespaces(version: u32) -> String {
    let (input, netns) = (if version == 1 { -5 } else { -6 }, if version == 1 { "{}" } else { "{ netns = \"blue\" }" });
    let link = |name: &str, program: &str, hook: &str| format!("[link.{name}]\nprogram = \"{program}\"\n{hook}\n");
    let netfilter = |point: &str, priority: i32| {
        format!("netfilter = {{ family = \"ipv4\", hook = \"{point}\", priority = {priority} }}")
    };
    [
        format!("version = 1\nname = \"edge\"\n[object.hooks]\npath = \"tests/hooks/hooks_{version}.o\"\n"),
        "[program.filter]\nfrom = \"hooks:filter\"\n[program.dissect]\nfrom = \"hooks:dissect\"\n".to_owned(),
        link("stays", "dissect", "flow_dissector = { netns = \"red\" }"),
        link("moves", "dissect", &format!("flow_dissector = {netns}")),
        link("swaps", "filter", &netfilter("output", -5)),
        link("overlaps", "filter", &netfilter("input", input)),
    ]
    .concat()
}

fn in_namespaces(fake: &Fake) {
    make(&namespaces(1), fake);
}

fn plan_namespaces(fake: &Fake) -> Plan {
    planned(&namespaces(2), fake)
}

/// Links that change places on a hook of tcx and on one of a cgroup, without any change of code.
fn places(version: u32) -> String {
    let order = |first: &str, second: &str| if version == 1 { first.to_owned() } else { second.to_owned() };
    let link = |name: &str, program: &str, hook: &str| format!("[link.{name}]\nprogram = \"{program}\"\n{hook}\n");
    let tc = |order: String| format!("tc = {{ interface = \"lo\", direction = \"ingress\"{order} }}");
    let cgroup = |order: String| format!("cgroup = {{ path = \"system.slice\"{order} }}");
    let programs = ["tc_a", "tc_b", "cg_a", "cg_b"].map(|name| format!("[program.{name}]\nfrom = \"order:{name}\"\n"));
    [
        "version = 1\nname = \"edge\"\n[object.order]\npath = \"tests/order/order_1.o\"\n".to_owned(),
        programs.concat(),
        link("free", "tc_a", &tc(String::new())),
        link("moves", "tc_b", &tc(order(", order = \"last\"", ", order = \"first\""))),
        link("here", "cg_a", &cgroup(order("", ", order = { after = \"link.there\" }"))),
        link("there", "cg_b", &cgroup(order("", ", order = \"first\""))),
    ]
    .concat()
}

fn in_places(fake: &Fake) {
    make(&places(1), fake);
}

fn plan_places(fake: &Fake) -> Plan {
    planned(&places(2), fake)
}

/// Somebody else comes to the hook of `link.moves`, and goes again.
fn passes(fake: &Fake) {
    let mut kernel = fake.clone();
    let insns = [Insn { code: EXIT, ..Insn::default() }];
    let program =
        kernel.load_program(&ProgramRequest::plain("passing", ProgramType::SCHED_CLS, &insns)).expect("it loads");
    let hook = HookRequest::Tcx { ifindex: 1, attach_type: AttachType::TCX_INGRESS };
    drop(kernel.create_link(&program, &hook).expect("there is room"));
}

fn host() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake.add_interface("eth1", true);
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    fake.add_account(AccountKind::Group, "metrics", 998);
    fake.add_netns("/run/netns/red");
    fake.add_netns("/run/netns/blue");
    fake
}

/// What is done to a host, after what was done before.
struct Case {
    name: &'static str,
    before: &'static [fn(&Fake)],
    plan: fn(&Fake) -> Plan,
    /// What makes the host as it has to be, wherever a fault stopped it.
    again: fn(&Fake) -> Plan,
    /// The manifest that the host matches before.
    kept: Option<fn() -> String>,
}

fn upgraded(fake: &Fake) {
    make(FIRST, fake);
    make(&second(), fake);
}

fn plan_back(fake: &Fake) -> Plan {
    good(plan_rollback("edge", fake), "")
}

fn first(fake: &Fake) {
    make(FIRST, fake);
}

fn unmount(fake: &Fake) {
    fake.clone().unmount_bpffs(&path("/sys/fs/bpf")).expect("it is mounted");
}

fn planned(text: &str, fake: &Fake) -> Plan {
    good(plan(text, fake), text)
}

fn plan_first(fake: &Fake) -> Plan {
    planned(FIRST, fake)
}

fn plan_second(fake: &Fake) -> Plan {
    planned(&second(), fake)
}

/// A map of flows with a value of another layout in each version of the object.
fn flows(version: u32) -> String {
    format!(
        "version = 1\nname = \"edge\"\n[object.filter]\npath = \"tests/migrate/flows_{version}.o\"\n\
         [map.flows]\nfrom = \"filter:flows\"\non_change = \"migrate\"\n[program.count]\nfrom = \"filter:count\"\n\
         [link.uplink]\nprogram = \"count\"\nxdp = {{ interface = \"eth0\" }}\n"
    )
}

fn counted(fake: &Fake) {
    make(&flows(1), fake);
    let (_, map) = fake.open_pin(&path("/sys/fs/bpf/edge/maps/flows")).expect("the map is there");
    for number in 1..=3u64 {
        fake.clone().update(&map, &number.to_ne_bytes(), &[7; 24]).expect("it has room");
    }
}

fn plan_migration(fake: &Fake) -> Plan {
    planned(&flows(2), fake)
}

fn plan_end(fake: &Fake) -> Plan {
    good(plan_destroy("edge", fake), "")
}

/// Links to events: all are made anew for another program, before the old ones go, and one gets another cookie.
fn events(version: u32) -> String {
    let link = |name: &str, program: &str, hook: &str| format!("[link.{name}]\nprogram = \"{program}\"\n{hook}\n");
    [
        format!("version = 1\nname = \"edge\"\n[object.events]\npath = \"tests/events/events_{version}.o\"\n"),
        "[program.tracepoint]\nfrom = \"events:tracepoint\"\n[program.raw]\nfrom = \"events:raw\"\n".to_owned(),
        link("format", "tracepoint", &format!("tracepoint = {{ cookie = {version} }}")),
        link("arguments", "raw", "raw_tracepoint = {}"),
    ]
    .concat()
}

fn at_events(fake: &Fake) {
    make(&events(1), fake);
}

fn plan_events(fake: &Fake) -> Plan {
    planned(&events(2), fake)
}

/// Links whose hooks somebody else has.
const TAKEN: &str = r#"
version = 1
name = "edge"
[object.filter]
path = "tests/direct/filter_1.o"
[program.first]
from = "filter:first"
[program.filter]
from = "filter:filter"
[link.first]
program = "first"
xdp = { interface = "eth0" }
[link.filter]
program = "filter"
tc = { interface = "eth1", direction = "ingress", via = "clsact", priority = 5, handle = 7 }
"#;

/// Attaches programs of somebody else, which nothing else keeps.
fn taken(fake: &Fake) {
    attach_theirs(fake, ProgramType::XDP, &xdp_of("eth0", fake));
    let device = device_of("eth1", fake);
    fake.clone().make_clsact(&device).expect("a qdisc");
    let wish = Wish { priority: Some(5), handle: Some(7), ..Wish::default() };
    let filter = wish.filter(device, AttachType::TCX_INGRESS, 7, false);
    attach_theirs(fake, ProgramType::SCHED_CLS, &Direct::Filter(filter));
}

fn attach_theirs(fake: &Fake, program_type: ProgramType, at: &Direct) {
    let insns = [Insn { code: 0xb7, imm: 2, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
    let program = fake.clone().load_program(&ProgramRequest::plain("theirs", program_type, &insns)).expect("it loads");
    fake.clone().attach(&program, at, None).expect("nothing is there");
}

/// Detaches the program of somebody else from XDP.
fn detach_theirs(fake: &Fake) {
    let at = xdp_of("eth0", fake);
    let there = fake.programs_at(&at).expect("it can be asked");
    let program = fake.program_by_id(there[0]).expect("it is there");
    fake.clone().detach(&program, &at).expect("it can go");
}

fn device_of(name: &str, fake: &Fake) -> Device {
    let found = fake.interface(name).expect("it can be asked").expect("it is there");
    Device { inode: found.netns, ifindex: found.index, ..Device::default() }
}

fn xdp_of(name: &str, fake: &Fake) -> Direct {
    Direct::Xdp { device: device_of(name, fake), mode: XdpMode::Generic }
}

fn plan_taken(fake: &Fake) -> Plan {
    planned(TAKEN, fake)
}

/// What it has elsewhere lost its name there, and its second one is left.
fn nameless(fake: &Fake) {
    make(&outside(5), fake);
    let pin = PinPath::new("/sys/fs/bpf/globals/touch").expect("a path");
    fake.clone().unpin(&pin).expect("it is there");
}

fn plan_nameless(fake: &Fake) -> Plan {
    planned(&outside(5), fake)
}

/// A map and a program with pins outside of the deployment's folder.
const ELSEWHERE: &str = r#"
version = 1
name = "edge"
[object.data]
path = "tests/objects/data.o"
[map.scratch]
type = "hash"
key_size = 4
value_size = 8
max_entries = 16
pin = "/sys/fs/bpf/globals/scratch"
[program.touch]
from = "data:touch"
pin = "/sys/fs/bpf/globals/touch"
[link.touch]
program = "touch"
xdp = { interface = "eth0" }
"#;

/// All that it has elsewhere lost its names there.
fn elsewhere(fake: &Fake) {
    make(ELSEWHERE, fake);
    lose_names(fake);
}

fn lose_names(fake: &Fake) {
    for name in ["scratch", "touch"] {
        fake.clone().unpin(&path("/sys/fs/bpf/globals").join(name)).expect("it is there");
    }
}

/// So it did when a later generation ran, which made the program anew and kept the map.
fn elsewhere_later(fake: &Fake) {
    make(ELSEWHERE, fake);
    let later = ELSEWHERE.replace("data.o\"", "data.o\"\nset = { ro_limit = 5 }");
    make(&later, fake);
    lose_names(fake);
}

fn plan_elsewhere(fake: &Fake) -> Plan {
    planned(ELSEWHERE, fake)
}

fn plan_nothing(fake: &Fake) -> Plan {
    planned("version = 1\nname = \"edge\"\n", fake)
}

const CASES: &[Case] = &[
    Case { name: "first apply", before: &[], plan: plan_first, again: plan_first, kept: None },
    Case { name: "first apply without a bpffs", before: &[unmount], plan: plan_first, again: plan_first, kept: None },
    Case { name: "upgrade", before: &[first], plan: plan_second, again: plan_second, kept: Some(|| FIRST.to_owned()) },
    Case { name: "rollback", before: &[upgraded], plan: plan_back, again: plan_first, kept: None },
    Case {
        name: "migration",
        before: &[counted],
        plan: plan_migration,
        again: plan_migration,
        kept: Some(|| flows(1)),
    },
    Case {
        name: "namespaces",
        before: &[in_namespaces],
        plan: plan_namespaces,
        again: plan_namespaces,
        kept: Some(|| namespaces(1)),
    },
    Case { name: "places", before: &[in_places], plan: plan_places, again: plan_places, kept: Some(|| places(1)) },
    Case { name: "events", before: &[at_events], plan: plan_events, again: plan_events, kept: Some(|| events(1)) },
    Case { name: "takeover", before: &[taken], plan: plan_taken, again: plan_taken, kept: None },
    Case {
        name: "a pin elsewhere is gone",
        before: &[nameless],
        plan: plan_nameless,
        again: plan_nameless,
        kept: None,
    },
    Case {
        name: "what lost its pins elsewhere goes",
        before: &[elsewhere],
        plan: plan_nothing,
        again: plan_nothing,
        kept: None,
    },
    Case {
        name: "rollback to what lost its pins elsewhere",
        before: &[elsewhere_later],
        plan: plan_back,
        again: plan_elsewhere,
        kept: None,
    },
    Case {
        name: "destroy of what lost its pins elsewhere",
        before: &[elsewhere],
        plan: plan_end,
        again: plan_end,
        kept: None,
    },
    Case { name: "destroy", before: &[first], plan: plan_end, again: plan_end, kept: Some(|| FIRST.to_owned()) },
];

impl Case {
    fn host(&self) -> Fake {
        let fake = host();
        self.before.iter().for_each(|before| before(&fake));
        fake
    }

    /// Counts the changing calls when nothing fails.
    fn calls(&self) -> usize {
        let fake = self.host();
        let before = fake.calls().len();
        let plan = (self.plan)(&fake);
        let (outcome, problem) = run(&plan, &fake);
        assert!(problem.is_none() && outcome.verdict() == Verdict::Applied, "{}", self.name);
        fake.calls().len() - before
    }

    /// Expects that the host is said to match what was applied before: what was put back is no drift.
    fn is_kept(&self, fake: &Fake, what: &str) {
        let Some(kept) = self.kept else { return };
        let found = status::status(fake, &path("/sys/fs/bpf/edge")).expect("it can be read").expect("it is there");
        assert_eq!(found.drift, [], "{what}");
        assert!(good(plan(&kept(), fake), &kept()).is_empty(), "{what}: the same manifest has nothing to do");
    }

    /// Does it again without faults, and expects what would have come of it without the fault.
    fn converges(&self, fake: &Fake, what: &str) {
        fake.heal();
        let plan = (self.again)(fake);
        let (outcome, problem) = run(&plan, fake);
        assert!(problem.is_none(), "{what}: {problem:?}");
        assert!(matches!(outcome.verdict(), Verdict::Applied | Verdict::Matches), "{what}");
        assert!(!fake.dump().contains("~ "), "{what}: no passing name stays:\n{}", fake.dump());
        if self.name.starts_with("destroy") {
            assert_eq!(fake.dump(), host().dump(), "{what}");
        } else {
            assert!((self.again)(fake).is_empty(), "{what}: nothing is left to do");
        }
    }
}

/// Writes the state without the ids of links: a link that was detached can only come back as a new one.
fn state(fake: &Fake) -> String {
    let dump = fake.dump();
    let mut lines: Vec<_> = dump.lines().map(without_link_id).collect();
    lines.sort();
    lines.join("\n")
}

fn without_link_id(line: &str) -> String {
    let Some((before, behind)) = line.split_once("link ").or_else(|| line.split_once("Link(")) else {
        return line.to_owned();
    };
    format!("{before}link{}", behind.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn a_refused_call_changes_nothing() {
    for case in CASES {
        for (n, errno) in (1..=case.calls()).flat_map(|n| [libc::EPERM, libc::ENOMEM].map(|errno| (n, errno))) {
            let what = format!("{}, call {n} fails with {errno}", case.name);
            let fake = case.host();
            let before = state(&fake);
            let plan = (case.plan)(&fake);
            fake.fail_nth(n, errno);
            let (outcome, problem) = run(&plan, &fake);
            let name = *fake.calls().last().expect("there was a call");
            match (problem, outcome.verdict()) {
                (Some(_), Verdict::FailedAsBefore) => {
                    assert_eq!(state(&fake), before, "{what} ({name})");
                    case.is_kept(&fake, &what);
                }
                // Behind the switch, only things that go are left to do.
                (Some(_), Verdict::FailedNotAsBefore) => {
                    let goes = ["detach_link", "unpin", "remove_directory", "rename"];
                    assert!(goes.contains(&name), "{what} ({name})");
                    assert!(outcome.left().count() > 0, "{what}");
                }
                // A map without types is as good.
                (None, Verdict::Applied) => assert!(fake.calls().contains(&"create_map"), "{what}"),
                (problem, verdict) => panic!("{what} ({name}): {verdict:?}, {problem:?}"),
            }
            case.converges(&fake, &what);
        }
    }
}

#[test]
fn what_cannot_be_taken_back_is_said() {
    for case in CASES {
        for n in 1..=case.calls() {
            let what = format!("{}, all calls from {n} fail", case.name);
            let fake = case.host();
            let before = state(&fake);
            let plan = (case.plan)(&fake);
            fake.fail_from(n, libc::EIO);
            let (outcome, problem) = run(&plan, &fake);
            assert!(problem.is_some(), "{what}");
            match outcome.verdict() {
                Verdict::FailedAsBefore => assert_eq!(state(&fake), before, "{what}"),
                Verdict::FailedNotAsBefore => {
                    assert_ne!(state(&fake), before, "{what}");
                    assert_eq!(outcome.exit(), Exit::Broken);
                    assert!(outcome.left().next().is_some(), "{what}: it says what stays");
                }
                verdict @ (Verdict::Matches | Verdict::Applied) => panic!("{what}: {verdict:?}"),
            }
            // A run that is killed leaves the same: nothing of it is taken back.
            case.converges(&fake, &what);
        }
    }
}

/// A map and a program with pins outside of the deployment's folder; another version is other code for both.
fn outside(limit: u32) -> String {
    format!(
        "version = 1\nname = \"edge\"\n[object.data]\npath = \"tests/objects/data.o\"\nset = {{ ro_limit = {limit} }}\n\
         [program.touch]\nfrom = \"data:touch\"\npin = \"/sys/fs/bpf/globals/touch\"\n\
         [link.touch]\nprogram = \"touch\"\nxdp = {{ interface = \"eth0\" }}\n"
    )
}

#[test]
fn a_rollback_gives_what_stays_its_pin_again() {
    let fake = host();
    elsewhere_later(&fake);
    assert!(run(&plan_back(&fake), &fake).1.is_none());
    for name in ["scratch", "touch"] {
        assert!(fake.open_pin(&path("/sys/fs/bpf/globals").join(name)).is_ok(), "{name}");
    }
    assert!(plan_elsewhere(&fake).is_empty());
}

#[test]
fn whatever_a_killed_run_left_goes_with_a_destroy() {
    let rows: &[(&str, &[String], String)] = &[
        ("first apply", &[], FIRST.to_owned()),
        ("upgrade", &[FIRST.to_owned()], second()),
        ("pins elsewhere", &[], outside(5)),
        ("upgrade of pins elsewhere", &[outside(5)], outside(6)),
    ];
    for (name, before, text) in rows {
        for n in 1.. {
            let fake = host();
            before.iter().for_each(|text| make(text, &fake));
            let plan = good(stages::plan(text, &fake), text);
            fake.fail_from(n, libc::EIO);
            // What is said of a run that waits to be confirmed must go as well.
            let stamp = Stamp { confirm_until: Some(1), ..Stamp::default() };
            let is_done = apply(&mut fake.clone(), &plan, &stamp).problem.is_none();
            fake.heal();
            match plan_destroy("edge", &fake) {
                Ok(end) => assert!(run(&end, &fake).1.is_none(), "{name}, killed at call {n}"),
                Err(problems) => {
                    let is_nothing = matches!(*problems.0[0].kind, Kind::NoDeployment { .. });
                    assert!(is_nothing, "{name}, killed at call {n}: {problems:?}");
                }
            }
            // A folder elsewhere that a run made before it wrote its record is empty, and nobody knows whose it is.
            let left = fake.dump().replace("/sys/fs/bpf/globals Folder\n", "");
            assert_eq!(left, host().dump(), "{name}, killed at call {n}");
            if is_done {
                break;
            }
        }
    }
}

/// A map at a pin of somebody else, by these lines, and one more.
fn flows_of_others(lines: &str) -> String {
    format!(
        "version = 1\nname = \"edge\"\n[map.flows]\n{lines}\n\
         [map.extra]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 16\n"
    )
}

const THEIRS: &str = "/sys/fs/bpf/theirs";

#[test]
fn a_map_that_a_killed_run_was_to_take_over_or_hand_over_stays() {
    let shape = "type = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 16\n";
    let adopted = flows_of_others(&format!("{shape}pin = \"{THEIRS}\"\nadopt = true"));
    let pinned = flows_of_others(&format!("pinned = \"{THEIRS}\""));
    let rows = [
        ("taken over first", vec![], &adopted),
        ("taken over later", vec![&pinned], &adopted),
        ("handed over", vec![&adopted], &pinned),
        ("taken over again", vec![&adopted, &pinned], &adopted),
    ];
    for (name, before, text) in rows {
        for n in 1.. {
            let fake = host();
            make(&flows_of_others(shape), &fake);
            put(&fake, "/sys/fs/bpf/edge/maps/flows", THEIRS);
            good(plan_destroy("edge", &fake).map(|end| assert!(run(&end, &fake).1.is_none())), "");
            let id = || fake.open_pin(&path(THEIRS)).and_then(|(_, map)| fake.map_info(&map)).map(|info| info.id);
            let theirs = id().expect("it is theirs");
            before.iter().for_each(|text| make(text, &fake));
            let plan = good(stages::plan(text, &fake), text);
            fake.fail_from(n, libc::EIO);
            let is_done = run(&plan, &fake).1.is_none();
            fake.heal();
            // Nothing of it stays but for what is theirs, when nobody came to take it over.
            let had_begun = fake.dump().contains("edge");
            if had_begun && before.is_empty() && !is_done && fake.read_symlink(&path("/sys/fs/bpf/edge")).is_err() {
                let other = fake.dump();
                assert!(run(&good(plan_destroy("edge", &fake), ""), &fake).1.is_none(), "{name}, {n}: {other}");
                assert_eq!(id().ok(), Some(theirs), "{name}, killed at call {n}, and a destroy");
            }
            make(text, &fake);
            assert_eq!(id().ok(), Some(theirs), "{name}, killed at call {n}");
            if is_done {
                break;
            }
        }
    }
}

/// Plans and applies as `--confirm` does; returns whether nothing went wrong.
fn make_unconfirmed(text: &str, fake: &Fake) -> bool {
    let plan = good(stages::plan(text, fake), text);
    let stamp = Stamp { confirm_until: Some(1), ..Stamp::default() };
    apply(&mut fake.clone(), &plan, &stamp).problem.is_none()
}

fn is_unconfirmed(fake: &Fake) -> bool {
    confirm::pending(fake, &path("/sys/fs/bpf/edge")).expect("it can be read").is_some()
}

/// Takes the last apply back, as the watchdog does.
fn go_back(fake: &Fake) -> Result<(), Problems> {
    let root = path("/sys/fs/bpf/edge");
    finish_switch(&mut fake.clone(), &root)?;
    let (back, _) = recorded::way_back(fake, &root)?;
    run(&back, fake).1.map_or(Ok(()), |problem| Err(problem.into()))
}

#[test]
fn what_nobody_confirms_goes_back_wherever_its_run_was_killed() {
    // Two generations back there are others.
    for (name, before) in [("one before", vec![FIRST.to_owned()]), ("two before", vec![second(), FIRST.to_owned()])] {
        let made = || {
            let fake = host();
            before.iter().for_each(|text| make(text, &fake));
            fake
        };
        let fake = made();
        let earlier = fake.calls().len();
        assert!(make_unconfirmed(&second(), &fake));
        // The mark is the first symbolic link; before it nothing waits.
        let marks = fake.calls()[earlier..].iter().position(|call| *call == "symlink").expect("it is made");
        for n in marks + 1.. {
            let fake = made();
            fake.fail_from(n, libc::EIO);
            let is_done = make_unconfirmed(&second(), &fake);
            fake.heal();
            if is_unconfirmed(&fake) {
                good(go_back(&fake), FIRST);
                assert!(plan_first(&fake).is_empty(), "{name}, killed at call {n}: what ran before is back");
                assert!(!fake.dump().contains("~confirm"), "{name}, killed at call {n}");
            }
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn a_way_back_that_is_interrupted_is_not_forgotten() {
    let faults: [fn(&Fake, usize); 2] =
        [|fake, n| fake.fail_nth(n, libc::ENOMEM), |fake, n| fake.fail_from(n, libc::EIO)];
    for fault in faults {
        for n in 1.. {
            let fake = host();
            make(FIRST, &fake);
            assert!(make_unconfirmed(&second(), &fake));
            fault(&fake, n);
            let is_done = go_back(&fake).is_ok();
            fake.heal();
            let runs = || fake.read_symlink(&path("/sys/fs/bpf/edge")).expect("it runs");
            // One that was begun keeps its number until another one runs.
            let is_begun = runs() == "edge~2" && fake.dump().contains("/sys/fs/bpf/edge~3 ");
            if is_unconfirmed(&fake) {
                good(go_back(&fake), FIRST);
            }
            // Behind its switch, the next run clears the rest.
            make(FIRST, &fake);
            assert!(plan_first(&fake).is_empty(), "call {n}");
            assert!(!fake.dump().contains("~confirm"), "call {n}");
            assert_eq!(runs(), if is_begun { "edge~4" } else { "edge~3" }, "call {n}: it went back, once");
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn a_mark_that_nobody_cleared_counts_for_no_other_run() {
    let fake = host();
    make(FIRST, &fake);
    fake.clone().symlink("generation=2,until=1", &path("/sys/fs/bpf/edge~confirm")).expect("it can be made");
    assert!(!is_unconfirmed(&fake));
    make(&second(), &fake);
    assert!(!is_unconfirmed(&fake), "nobody asked for it");
}

#[test]
fn a_dry_run_plans_from_what_ran_before_wherever_it_is() {
    let (fake, root) = (host(), path("/sys/fs/bpf/edge"));
    [FIRST.to_owned(), second()].iter().for_each(|text| make(text, &fake));
    let old = |name: &str| path("/sys/fs/bpf").child(name);
    make(FIRST, &fake);
    // As a run leaves it that is killed before it retires what it replaced.
    fake.clone().rename(&old("edge~previous"), &old("edge~2")).expect("it can be moved");
    let (before, steps) = (fake.dump(), |plan: &Plan| -> Vec<String> {
        plan.steps.iter().map(|step| format!("{} {} {:?}", step.action.address(), step.action, step.because)).collect()
    });
    let shown = steps(&plan_back(&fake));
    assert_eq!(fake.dump(), before);
    good(finish_switch(&mut fake.clone(), &root).map_err(Problems::from), FIRST);
    let back = plan_back(&fake);
    assert!(shown[0].contains("edge~2"), "{shown:#?}");
    assert_eq!(shown[1..], steps(&back));
    assert!(run(&back, &fake).1.is_none());
    assert!(plan_second(&fake).is_empty());
}

#[test]
fn without_what_ran_before_nothing_is_taken_away() {
    let fake = host();
    make(FIRST, &fake);
    assert!(make_unconfirmed(&second(), &fake));
    unpin(&fake, "/sys/fs/bpf/edge~previous/record");
    let refused = go_back(&fake).expect_err("there is no way back");
    assert!(matches!(*refused.0[0].kind, Kind::NoWayBack { .. }), "{refused:?}");
    assert!(plan_second(&fake).is_empty(), "it runs on");
}

#[test]
fn the_second_time_nothing_is_called() {
    let fake = host();
    for text in [FIRST.to_owned(), second()] {
        let before = (fake.calls().len(), fake.dump());
        let plan = good(plan(&text, &fake), &text);
        assert!(!plan.is_empty());
        assert_eq!((fake.calls().len(), fake.dump()), before, "a dry run is dry");
        assert!(run(&plan, &fake).1.is_none());
        let before = (fake.calls().len(), fake.dump());
        let again = stages::plan(&text, &fake).expect("it can be planned");
        let left: Vec<_> = again.steps.iter().filter(|step| step.action.marker().to_string() != "=").collect();
        assert!(again.is_empty(), "{left:?}");
        let (outcome, problem) = run(&again, &fake);
        assert!(problem.is_none() && outcome.verdict() == Verdict::Matches);
        assert_eq!((fake.calls().len(), fake.dump()), before);
    }
    run(&plan_end(&fake), &fake);
    assert_eq!(fake.dump(), host().dump());
}

#[test]
fn an_upgrade_keeps_what_it_need_not_change() {
    let fake = host();
    make(FIRST, &fake);
    let stats = path("/sys/fs/bpf/edge/maps/stats");
    let mut kernel = fake.clone();
    let (_, map) = kernel.open_pin(&stats).expect("the map is pinned");
    kernel.update(&map, &0u32.to_ne_bytes(), &[9; 16]).expect("it can be written");
    let link = || fake.open_pin(&path("/sys/fs/bpf/edge/links/first")).and_then(|(_, fd)| fake.link_info(&fd));
    let before = (fake.map_info(&map).expect("a map").id, link().expect("a link"));
    make(&second(), &fake);
    let (_, map) = fake.open_pin(&stats).expect("the map is pinned");
    assert_eq!(fake.map_info(&map).expect("a map").id, before.0);
    assert_eq!(fake.lookup(&map, &0u32.to_ne_bytes(), 16).expect("it can be read"), Some(vec![9; 16]));
    let after = link().expect("a link");
    assert_eq!(after.id, before.1.id, "it is updated in place");
    assert_ne!(after.program_id, before.1.program_id);
}

/// Returns who may open the pins that stay, and those that do not.
fn accesses(fake: &Fake) -> [[u32; 3]; 4] {
    ["maps/stats", "programs/drop", "links/first", "programs/touch"].map(|pin| {
        let found = fake.permissions(&path(&format!("/sys/fs/bpf/edge/{pin}"))).expect("it is pinned");
        [found.mode, found.owner, found.group]
    })
}

#[test]
fn pins_are_for_those_that_the_manifest_says() {
    let fake = host();
    let first = [[0o640, 0, 998], [0o660, 0, 0], [0o600, 7, 0], [0o600, 0, 0]];
    make(FIRST, &fake);
    assert_eq!(accesses(&fake), first);
    make(&second(), &fake);
    let second_ones = [[0o644, 8, 0], [0o660, 0, 0], [0o600, 0, 0], [0o600, 0, 0]];
    assert_eq!(accesses(&fake), second_ones, "what is not said any more goes back");
    assert!(run(&plan_back(&fake), &fake).1.is_none());
    assert_eq!(accesses(&fake), first, "a rollback takes it along");
    // What nobody asked for is nobody's business; what was asked for comes back.
    let change = |pin| fake.clone().change_mode(&fake.real(&path(pin)), 0o666).expect("it is there");
    change("/sys/fs/bpf/edge/programs/touch");
    assert!(plan_first(&fake).is_empty());
    change("/sys/fs/bpf/edge/maps/stats");
    make(FIRST, &fake);
    assert_eq!(accesses(&fake)[0], first[0]);
    assert_eq!(accesses(&fake)[3], [0o666, 0, 0]);
}

#[test]
fn a_group_that_is_gone_is_no_reason_not_to_go_back() {
    let fake = host();
    make(FIRST, &fake);
    make(&second(), &fake);
    fake.remove_account(AccountKind::Group, "metrics");
    assert!(plan(FIRST, &fake).is_err());
    assert!(run(&plan_back(&fake), &fake).1.is_none());
    assert_eq!(accesses(&fake)[0], [0o640, 0, 0]);
}

#[test]
fn a_rollback_returns_to_what_ran_before() {
    let fake = host();
    make(FIRST, &fake);
    let ids = |fake: &Fake| {
        let names = ["programs/drop", "programs/egress", "maps/scratch", "maps/stats", "links/first", "links/egress"];
        names.map(|name| {
            let (_, fd) = fake.open_pin(&path(&format!("/sys/fs/bpf/edge/{name}"))).ok()?;
            let map = fake.map_info(&fd).map(|info| info.id);
            map.or_else(|_| fake.program_info(&fd).map(|info| info.id))
                .or_else(|_| fake.link_info(&fd).map(|info| info.id))
                .ok()
        })
    };
    let before = ids(&fake);
    make(&second(), &fake);
    let between = ids(&fake);
    assert_ne!(between, before);
    assert!(run(&plan_back(&fake), &fake).1.is_none());
    let after = ids(&fake);
    assert_eq!(after[..5], before[..5], "the same programs, maps and updated links are back");
    assert!(after[5].is_some(), "a link that was gone is made anew");
    assert!(plan_first(&fake).is_empty(), "the old manifest finds nothing to do");
    assert!(run(&plan_back(&fake), &fake).1.is_none(), "a rollback can be taken back");
    assert_eq!(ids(&fake)[..4], between[..4]);
    assert!(plan_second(&fake).is_empty());
    run(&plan_end(&fake), &fake);
    assert_eq!(fake.dump(), host().dump());
}

#[test]
fn a_folder_of_a_killed_run_is_not_made_when_somebody_uses_it() {
    const FOLDER: &str = "/sys/fs/bpf/shared/tables";
    let elsewhere = FIRST.replace("[map.scratch]", &format!("[map.scratch]\npin = \"{FOLDER}/scratch\""));
    let whole = host();
    make(FIRST, &whole);
    let before = whole.calls().len();
    make(&elsewhere, &whole);
    let mut tried = 0;
    for n in 1..=whole.calls().len() - before {
        let fake = host();
        make(FIRST, &fake);
        fake.fail_from(n, libc::EIO);
        run(&good(plan(&elsewhere, &fake), &elsewhere), &fake);
        fake.heal();
        if fake.list(&path(FOLDER)).is_err() {
            continue;
        }
        tried += 1;
        let (_, map) = fake.open_pin(&path("/sys/fs/bpf/edge/maps/stats")).expect("it is pinned");
        fake.clone().pin(&map, &path(FOLDER).join("theirs")).expect("it can be pinned");
        let again = good(plan(&elsewhere, &fake), &elsewhere);
        let makes = again.steps.iter().any(|step| matches!(step.action, Action::MakeDirectory { .. }));
        assert!(!makes, "call {n}: both folders stay");
        let (outcome, problem) = run(&again, &fake);
        assert!(problem.is_none(), "call {n}: {problem:?}, {outcome:?}");
        assert!(good(plan(&elsewhere, &fake), &elsewhere).is_empty(), "call {n}");
    }
    assert!(tried > 0, "no run got as far as the folder");
}

#[test]
fn a_rollback_makes_folders_of_pins_elsewhere_and_takes_them_away() {
    let fake = host();
    let elsewhere = FIRST.replace("[map.scratch]", "[map.scratch]\npin = \"/sys/fs/bpf/shared/tables/scratch\"");
    make(&elsewhere, &fake);
    make(FIRST, &fake);
    assert!(run(&plan_back(&fake), &fake).1.is_none());
    assert!(fake.open_pin(&path("/sys/fs/bpf/shared/tables/scratch")).is_ok(), "its folders are made anew");
    assert!(good(plan(&elsewhere, &fake), &elsewhere).is_empty());
    assert!(run(&plan_back(&fake), &fake).1.is_none());
    assert!(fake.open_pin(&path("/sys/fs/bpf/shared/tables/scratch")).is_err());
    assert!(plan_first(&fake).is_empty());
    run(&plan_end(&fake), &fake);
    assert_eq!(fake.dump(), host().dump(), "no folder is left");
}

#[test]
fn without_a_generation_before_there_is_no_way_back() {
    let fake = host();
    make(FIRST, &fake);
    let refused = |fake: &Fake, lacks: &str| {
        let problems = plan_rollback("edge", fake).expect_err("there is no way back");
        let text = problems.0[0].kind.to_string();
        assert_eq!(text, format!("there is no way back: `/sys/fs/bpf/edge~previous/{lacks}` is not there"));
    };
    refused(&fake, "record");
    make(&second(), &fake);
    unpin(&fake, "/sys/fs/bpf/edge~previous/programs/drop");
    refused(&fake, "programs/drop");
}

#[test]
fn an_interface_that_went_does_not_stop_a_way_back_that_nobody_asked_for() {
    let fake = host();
    make(FIRST, &fake);
    assert!(make_unconfirmed(&second(), &fake));
    fake.remove_interface("eth1");
    let by_hand = plan_rollback("edge", &fake).expect_err("a link has nowhere to be");
    for problem in &by_hand.0 {
        assert!(matches!(*problem.kind, Kind::NoInterface { .. }) && problem.labels.is_empty(), "{problem:?}");
    }
    let (back, _) = recorded::way_back(&fake, &path("/sys/fs/bpf/edge")).expect("nothing stops it");
    let skipped: Vec<_> = back.steps.iter().filter(|step| matches!(step.action, Action::Skip { .. })).collect();
    let [step] = skipped.as_slice() else { panic!("{skipped:?}") };
    assert_eq!(step.action.address().to_string(), "link.second");
    good(go_back(&fake), FIRST);
    let is_there = |name: &str| fake.open_pin(&path(&format!("/sys/fs/bpf/edge/links/{name}"))).is_ok();
    assert_eq!(["first", "second", "stack"].map(is_there), [true, false, true]);
    fake.add_interface("eth1", true);
    make(FIRST, &fake);
    assert!(is_there("second"), "it comes with the interface");
}

#[test]
fn without_a_record_nobody_goes_back() {
    let fake = host();
    [FIRST.to_owned(), second()].iter().for_each(|text| make(text, &fake));
    unpin(&fake, "/sys/fs/bpf/edge/record");
    let before = fake.dump();
    let by_itself = recorded::way_back(&fake, &path("/sys/fs/bpf/edge")).map(|(plan, _)| plan);
    for planned in [plan_rollback("edge", &fake), by_itself] {
        let problems = planned.expect_err("nobody knows what goes");
        assert!(matches!(*problems.0[0].kind, Kind::RecordLost { .. }), "{problems:?}");
    }
    assert_eq!(fake.dump(), before);
}

/// Something that happens between plan and apply.
struct Meanwhile {
    what: &'static str,
    before: &'static [fn(&Fake)],
    plan: fn(&Fake) -> Plan,
    happens: fn(&Fake),
    says: &'static str,
}

fn unpin(fake: &Fake, pin: &str) {
    fake.clone().unpin(&fake.real(&path(pin))).expect("it is pinned");
}

/// Pins what is at one pin in the place of what is at another one.
fn put(fake: &Fake, from: &str, to: &str) {
    let (_, fd) = fake.open_pin(&path(from)).expect("it is pinned");
    let to = fake.real(&path(to));
    let _ = fake.clone().unpin(&to);
    fake.clone().pin(&fd, &to).expect("it can be pinned");
}

const MEANWHILE: &[Meanwhile] = &[
    Meanwhile {
        what: "a folder was made",
        before: &[],
        plan: plan_first,
        happens: |fake| fake.clone().make_directory(&path("/sys/fs/bpf/edge")).expect("a folder"),
        says: "`/sys/fs/bpf/edge` is there already",
    },
    Meanwhile {
        what: "somebody else was on a hook",
        before: &[in_places],
        plan: plan_places,
        happens: passes,
        says: "tcx_ingress of lo is not as when the plan was made: it was changed 2 times",
    },
    Meanwhile {
        what: "an interface went",
        before: &[],
        plan: plan_first,
        happens: |fake| fake.remove_interface("eth0"),
        says: "the interface `eth0` is gone",
    },
    Meanwhile {
        what: "an interface came back",
        before: &[],
        plan: plan_first,
        happens: |fake| {
            fake.remove_interface("eth0");
            fake.add_interface("eth0", true);
        },
        says: "the interface `eth0` is another one now",
    },
    Meanwhile {
        what: "a cgroup went",
        before: &[],
        plan: plan_first,
        happens: |fake| fake.remove_cgroup("/sys/fs/cgroup/system.slice".as_ref()),
        says: "the cgroup `/sys/fs/cgroup/system.slice` is gone",
    },
    Meanwhile {
        what: "a map went",
        before: &[first],
        plan: plan_second,
        happens: |fake| unpin(fake, "/sys/fs/bpf/edge/maps/stats"),
        says: "`/sys/fs/bpf/edge/maps/stats` is gone",
    },
    Meanwhile {
        what: "a kept map was replaced",
        before: &[first],
        plan: plan_second,
        happens: |fake| put(fake, "/sys/fs/bpf/edge/maps/scratch", "/sys/fs/bpf/edge/maps/stats"),
        says: "`/sys/fs/bpf/edge/maps/stats` was map id",
    },
    Meanwhile {
        what: "a map that goes was replaced by a program",
        before: &[first],
        plan: plan_second,
        happens: |fake| put(fake, "/sys/fs/bpf/edge/programs/entry", "/sys/fs/bpf/edge/maps/scratch"),
        says: "`/sys/fs/bpf/edge/maps/scratch` was map id",
    },
    Meanwhile {
        what: "a program that is replaced was replaced",
        before: &[first],
        plan: plan_second,
        happens: |fake| put(fake, "/sys/fs/bpf/edge/programs/entry", "/sys/fs/bpf/edge/programs/drop"),
        says: "`/sys/fs/bpf/edge/programs/drop` was program id",
    },
    Meanwhile {
        what: "a link got another program",
        before: &[first],
        plan: plan_second,
        happens: |fake| {
            let open = |pin: &str| fake.open_pin(&path(pin)).expect("it is pinned").1;
            let (link, old) = (open("/sys/fs/bpf/edge/links/first"), open("/sys/fs/bpf/edge/programs/drop"));
            fake.clone().update_link(&link, &open("/sys/fs/bpf/edge/programs/touch"), &old).expect("it runs");
        },
        says: "link.first runs another program",
    },
    Meanwhile {
        what: "a pin was taken",
        before: &[first],
        plan: plan_second,
        happens: |fake| put(fake, "/sys/fs/bpf/edge/maps/stats", "/sys/fs/bpf/edge/maps/fresh"),
        says: "`/sys/fs/bpf/edge/maps/fresh` is there already",
    },
    Meanwhile {
        what: "a program went whose hook was to be taken over",
        before: &[taken],
        plan: plan_taken,
        happens: detach_theirs,
        says: "is not on xdp of eth0 any more",
    },
    Meanwhile {
        what: "another program came to a hook that was to be taken over",
        before: &[taken],
        plan: plan_taken,
        happens: |fake| {
            detach_theirs(fake);
            attach_theirs(fake, ProgramType::XDP, &xdp_of("eth0", fake));
        },
        says: "is not on xdp of eth0 any more",
    },
    Meanwhile {
        what: "a link was destroyed",
        before: &[first],
        plan: plan_end,
        happens: |fake| unpin(fake, "/sys/fs/bpf/edge/links/egress"),
        says: "`/sys/fs/bpf/edge/links/egress` is gone",
    },
];

#[test]
fn a_plan_that_the_host_left_behind_is_not_applied() {
    for Meanwhile { what, before, plan, happens, says } in MEANWHILE {
        let fake = host();
        before.iter().for_each(|before| before(&fake));
        let plan = plan(&fake);
        happens(&fake);
        let before = state(&fake);
        let (outcome, problem) = run(&plan, &fake);
        let problem = problem.unwrap_or_else(|| panic!("{what}: it was applied"));
        assert_eq!(problem.kind.exit(), Exit::Retry, "{what}: {}", problem.kind);
        assert!(problem.kind.to_string().contains(says), "{what}: {}", problem.kind);
        assert_eq!(outcome.verdict(), Verdict::FailedAsBefore, "{what}");
        assert_eq!(state(&fake), before, "{what}");
    }
}

#[test]
fn what_others_pin_into_the_folder_stays() {
    let fake = host();
    make(FIRST, &fake);
    let [theirs, deeper] = ["/sys/fs/bpf/edge/theirs", "/sys/fs/bpf/edge/maps/theirs"].map(path);
    put(&fake, "/sys/fs/bpf/edge/maps/stats", theirs.as_str());
    put(&fake, "/sys/fs/bpf/edge/maps/stats", deeper.as_str());
    let inode = |pin: &PinPath| {
        let entries = fake.list(&pin.parent().expect("a folder")).expect("it is there");
        entries.into_iter().find(|entry| entry.name == pin.file_name()).map(|entry| entry.inode)
    };
    let before = [inode(&theirs), inode(&deeper)];
    assert!(before.iter().all(Option::is_some));
    make(&second(), &fake);
    assert_eq!([inode(&theirs), inode(&deeper)], before, "an upgrade keeps them");
    let twice = fake.dump().lines().filter(|line| line.contains("theirs")).count();
    assert_eq!(twice, 2, "the previous generation does not hold them:\n{}", fake.dump());
    assert!(run(&plan_end(&fake), &fake).1.is_none());
    assert_eq!([inode(&theirs), inode(&deeper)], before, "a destroy keeps them");
    let problem = stages::plan(FIRST, &fake).expect_err("the folder is somebody else's now");
    assert!(problem.0[0].kind.to_string().contains("a folder that is no deployment's"), "{}", problem.0[0].kind);
    for pin in [theirs, deeper.clone()] {
        fake.clone().unpin(&fake.real(&pin)).expect("it is there");
    }
    fake.clone().remove_directory(&deeper.parent().expect("a folder")).expect("it is empty");
    make(FIRST, &fake);
}

/// Returns the ids of the maps at pins, in so far as they are there.
fn ids(fake: &Fake, pins: &[&str]) -> Vec<u32> {
    let id = |pin: &&str| fake.open_pin(&path(pin)).and_then(|(_, map)| fake.map_info(&map)).ok().map(|info| info.id);
    pins.iter().filter_map(id).collect()
}

#[test]
fn what_others_pin_into_the_folder_survives_a_killed_destroy() {
    const PINS: [&str; 2] = ["/sys/fs/bpf/edge/theirs", "/sys/fs/bpf/edge/maps/theirs"];
    for n in 1.. {
        let fake = host();
        make(FIRST, &fake);
        PINS.iter().for_each(|pin| put(&fake, "/sys/fs/bpf/edge/maps/stats", pin));
        let before = ids(&fake, &PINS);
        let end = plan_end(&fake);
        fake.fail_from(n, libc::EIO);
        let is_done = run(&end, &fake).1.is_none();
        fake.heal();
        match plan_destroy("edge", &fake) {
            Ok(end) => assert!(run(&end, &fake).1.is_none(), "killed at call {n}"),
            Err(problems) => assert!(matches!(*problems.0[0].kind, Kind::NoDeployment { .. }), "{n}: {problems:?}"),
        }
        assert_eq!(ids(&fake, &PINS), before, "killed at call {n}:\n{}", fake.dump());
        assert!(!fake.dump().contains("edge~"), "killed at call {n}:\n{}", fake.dump());
        if is_done {
            break;
        }
    }
}

#[test]
fn what_others_pin_into_the_folder_meanwhile_is_handed_on() {
    const PINS: [&str; 2] = ["/sys/fs/bpf/edge/late", "/sys/fs/bpf/edge/theirs/late"];
    let pin_late = |fake: &Fake| {
        let [old, theirs] = ["/sys/fs/bpf/edge~1", "/sys/fs/bpf/edge~1/theirs"].map(path);
        let _ = fake.clone().make_directory(&theirs);
        let (_, map) = fake.open_pin(&old.join("maps").join("stats")).expect("it is pinned");
        for folder in [&old, &theirs] {
            fake.clone().pin(&map, &folder.join("late")).expect("it can be pinned");
        }
    };
    let fake = host();
    make(FIRST, &fake);
    let before = fake.calls().len();
    make(&second(), &fake);
    let switch = 1 + fake.calls()[before..].iter().position(|call| *call == "rename").expect("it switches");
    for is_killed in [false, true] {
        let fake = host();
        make(FIRST, &fake);
        let plan = plan_second(&fake);
        if is_killed {
            // Behind the switch.
            fake.fail_from(switch + 1, libc::EIO);
            assert!(run(&plan, &fake).1.is_some());
            fake.heal();
            pin_late(&fake);
        } else {
            fake.before_nth(switch, pin_late);
            assert!(run(&plan, &fake).1.is_none());
        }
        make(&second(), &fake);
        assert_eq!(ids(&fake, &PINS).len(), 2, "killed: {is_killed}:\n{}", fake.dump());
        let late = fake.dump().lines().filter(|line| line.contains("late")).count();
        assert_eq!(late, 2, "killed: {is_killed}:\n{}", fake.dump());
    }
}

#[test]
fn what_others_pin_beside_what_ran_before_is_handed_on() {
    const PIN: &str = "/sys/fs/bpf/edge/late";
    let ends: [fn(&Fake) -> Plan; 2] = [plan_back, plan_end];
    for end in ends {
        let fake = host();
        upgraded(&fake);
        put(&fake, "/sys/fs/bpf/edge/maps/stats", "/sys/fs/bpf/edge~previous/late");
        let late = ids(&fake, &["/sys/fs/bpf/edge~previous/late"]);
        assert!(run(&end(&fake), &fake).1.is_none());
        assert_eq!(ids(&fake, &[PIN]), late, "{}", fake.dump());
    }
}

#[test]
fn a_passing_name_of_others_is_left_alone() {
    let fake = host();
    make(&outside(5), &fake);
    const PASSING: &str = "/sys/fs/bpf/globals/touch~";
    put(&fake, "/sys/fs/bpf/edge/links/touch", PASSING);
    let (before, text) = (state(&fake), outside(6));
    let plan = good(stages::plan(&text, &fake), &text);
    let (outcome, problem) = run(&plan, &fake);
    let problem = problem.expect("it is in the way").kind;
    assert!(problem.to_string().contains("`/sys/fs/bpf/globals/touch~` is there already, and not ours"), "{problem}");
    assert_eq!((outcome.verdict(), state(&fake)), (Verdict::FailedAsBefore, before));
}

#[test]
fn what_was_cleared_is_not_called_undone() {
    let killed = || {
        let fake = host();
        let plan = plan_first(&fake);
        let calls = Case { name: "", before: &[], plan: plan_first, again: plan_first, kept: None }.calls();
        // All is attached, and the switch is not made.
        fake.fail_from(calls, libc::EIO);
        assert!(run(&plan, &fake).1.is_some());
        fake.heal();
        fake
    };
    let fake = killed();
    let (plan, before) = (plan_first(&fake), fake.calls().len());
    let is_clear = |action: &Action| matches!(action, Action::ClearLeftover { links: 4, .. });
    assert!(plan.steps.iter().any(|step| is_clear(&step.action)), "{}", fake.dump());
    assert!(run(&plan, &fake).1.is_none());
    for n in 1..=fake.calls().len() - before {
        let fake = killed();
        let (plan, before) = (plan_first(&fake), state(&fake));
        fake.fail_nth(n, libc::ENOMEM);
        let (outcome, problem) = run(&plan, &fake);
        let name = *fake.calls().last().expect("there was a call");
        match outcome.verdict() {
            Verdict::FailedAsBefore => assert_eq!(state(&fake), before, "call {n} ({name}) fails: {problem:?}"),
            Verdict::FailedNotAsBefore => {
                assert_ne!(state(&fake), before, "call {n} ({name}) fails: {problem:?}");
                let mut left = outcome.left();
                assert!(left.any(|step| is_clear(&step.action)), "call {n} ({name}) fails: {problem:?}");
            }
            Verdict::Applied | Verdict::Matches => {}
        }
        fake.heal();
        make(FIRST, &fake);
    }
}

#[test]
fn a_generation_to_which_nothing_leads_any_more_is_not_cleared_unasked() {
    let root = path("/sys/fs/bpf/edge");
    let guarded = FIRST.replace("[map.scratch]\n", "[map.scratch]\nprotect = true\n");
    for (text, is_guarded) in [(FIRST, false), (guarded.as_str(), true)] {
        let fake = host();
        make(text, &fake);
        fake.clone().unpin(&root).expect("it is a symbolic link");
        let before = state(&fake);
        for next in [text, &second()] {
            let problems = stages::plan(next, &fake).expect_err("there is a gap, and contents are lost");
            let Kind::RootGone { generation, .. } = &*problems.0[0].kind else { panic!("{problems:?}") };
            assert_eq!(*generation, root.generation(1));
            let help = problems.0[0].kind.help().expect("there is a way out");
            assert!(help.contains("`ln -s edge~1 /sys/fs/bpf/edge`"), "{help}");
        }
        assert_eq!(state(&fake), before);
        match plan_destroy("edge", &fake) {
            Ok(_) => assert!(!is_guarded, "it is protected"),
            Err(problems) => assert!(is_guarded && matches!(*problems.0[0].kind, Kind::Protected { .. })),
        }
        fake.clone().symlink("edge~1", &root).expect("nothing is there");
        assert!(good(stages::plan(text, &fake), text).is_empty(), "it runs as before");
    }
}

#[test]
fn a_refused_program_leaves_nothing() {
    let fake = host();
    fake.refuse_program("touch", libc::EACCES, "; zero_seen += 1; @ data.c:27\nR1 invalid\nprocessed 1 insns\n");
    let before = fake.dump();
    let plan = plan_first(&fake);
    let (outcome, problem) = run(&plan, &fake);
    let text = problem.expect("it is refused").kind.to_string();
    assert_eq!(text, "the kernel refuses program.touch (xdp `touch`): R1 invalid, at `zero_seen += 1; @ data.c:27`");
    assert_eq!((outcome.verdict(), fake.dump()), (Verdict::FailedAsBefore, before));
    let failed = outcome.steps.iter().filter(|step| matches!(step.status, Status::Failed(_)));
    assert_eq!(failed.count(), 1);
}

/// Checks that each step finds what it needs made or opened by a step before it.
fn in_order(plan: &Plan) -> Result<(), TestCaseError> {
    let (mut ready, mut linked) = (BTreeSet::new(), false);
    for step in &plan.steps {
        let needs: Vec<String> = match &step.action {
            Action::LoadProgram { program, .. } => program.uses().iter().map(|map| format!("map.{map}")).collect(),
            Action::FillSlots { map } => match &map.source {
                MapSource::Defined(definition) => definition.slots.values().filter_map(|slot| match slot {
                    SlotSource::Map(map) => Some(format!("map.{map}")),
                    SlotSource::Program(program) => Some(format!("program.{program}")),
                    SlotSource::Cgroup(_) => None,
                }),
                MapSource::Pinned(_) | MapSource::Id(_) => unreachable!("only ours are filled"),
            }
            .collect(),
            Action::Attach { link, .. } | Action::UpdateLink { link, .. } | Action::Reattach { link, .. } => {
                linked = true;
                link.program.iter().map(|program| format!("program.{program}")).collect()
            }
            _ => Vec::new(),
        };
        for need in needs {
            prop_assert!(ready.contains(&need), "{} needs {need}", step.action.address());
        }
        if let Action::FillMap { .. } | Action::FillSlots { .. } = &step.action {
            prop_assert!(!linked, "{} is filled when a filter is live", step.action.address());
        }
        ready.insert(step.action.address().to_string());
    }
    Ok(())
}

/// One object of a random manifest.
#[derive(Debug, Clone)]
enum Piece {
    /// It defines a map that has a table or not.
    Owner { shared: bool },
    /// It uses a map of its own, or that of the owner with this number.
    User { of: Option<usize> },
    /// It has variables, of which one is set.
    Data { limit: u32 },
    /// It has tail calls.
    Jumps,
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        any::<bool>().prop_map(|shared| Piece::Owner { shared }),
        proptest::option::of(0..8usize).prop_map(|of| Piece::User { of }),
        (0..3u32).prop_map(|limit| Piece::Data { limit }),
        Just(Piece::Jumps),
    ]
}

/// Writes a manifest of these pieces, each with a program; every other one is attached.
fn manifest(pieces: &[Piece]) -> String {
    let owners: Vec<usize> =
        (0..pieces.len()).filter(|i| matches!(pieces[*i], Piece::Owner { shared: true })).collect();
    let mut text = "version = 1\nname = \"edge\"\n".to_owned();
    for (i, piece) in pieces.iter().enumerate() {
        let owner = |of: &usize| owners.get(of % owners.len().max(1));
        let (object, more, function, hook) = match piece {
            Piece::Owner { shared } => {
                let table = if *shared { format!("[map.m{i}]\nfrom = \"o{i}:stats\"\n") } else { String::new() };
                text += &table;
                ("stats_a", String::new(), "on_device", "xdp")
            }
            Piece::User { of } => {
                let edge = of.as_ref().and_then(owner).map(|owner| format!("maps = {{ stats = \"m{owner}\" }}"));
                ("stats_b", edge.unwrap_or_default(), "on_stack", "tc")
            }
            Piece::Data { limit } => ("data", format!("set = {{ ro_limit = {limit} }}"), "touch", "xdp"),
            Piece::Jumps => ("prog_array", String::new(), "entry", "xdp"),
        };
        writeln!(text, "[object.o{i}]\npath = \"tests/objects/{object}.o\"\n{more}\n[program.p{i}]").expect("a String");
        writeln!(text, "from = \"o{i}:{function}\"").expect("a String");
        if i % 2 == 0 {
            let direction = if hook == "tc" { ", direction = \"egress\"" } else { "" };
            let hook = format!("{hook} = {{ interface = \"if{i}\"{direction} }}");
            writeln!(text, "[link.l{i}]\nprogram = \"p{i}\"\n{hook}").expect("a String");
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_deployment_is_made_changed_and_taken_away(
        pieces in proptest::collection::vec(piece(), 1..8),
        others in proptest::collection::vec(piece(), 1..8),
    ) {
        let fake = Fake::new();
        for i in 0..8 {
            fake.add_interface(&format!("if{i}"), true);
        }
        let empty = fake.dump();
        for text in [manifest(&pieces), manifest(&others)] {
            let plan = good(stages::plan(&text, &fake), &text);
            in_order(&plan)?;
            let (outcome, problem) = run(&plan, &fake);
            prop_assert!(problem.is_none(), "{problem:?}");
            prop_assert!(matches!(outcome.verdict(), Verdict::Applied | Verdict::Matches));
            let calls = fake.calls().len();
            let again = good(stages::plan(&text, &fake), &text);
            prop_assert!(again.is_empty(), "{:?}", again.steps.iter().find(|step| step.action.marker().to_string() != "="));
            run(&again, &fake);
            prop_assert_eq!(fake.calls().len(), calls);
        }
        run(&plan_end(&fake), &fake);
        prop_assert_eq!(fake.dump(), empty);
    }
}
