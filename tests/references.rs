//! Maps that hold what the manifest names: interfaces and CPUs with the programs that run there, programs, maps, cgroups.
//! On the fake kernel with every call failing once, and on the running one with frames.

mod common;

use bpfapply::apply::outcome::Verdict;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::{Kernel, MapRequest, contents, status};
use bpfapply::kinds::MapType;
use bpfapply::plan::{Action, Consent, Mode};
use bpfapply::report::{Style, text};
use common::stages::{self, good, make, path, plan, plan_destroy, plan_rollback, repository, run};
use common::tool::{bpfapply, bpftool, ids, run_program, succeed, value_at};
use common::{in_namespace, run as command, skip};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Frames go through a devmap; `{step}` is the version of the object, `{tx}` what the devmap has.
const MANIFEST: &str = r#"
version = 1
name = "edge"
[object.redirect]
path = "tests/references/redirect_{step}.o"
[map.seen]
from = "redirect:seen"
[map.tx]
from = "redirect:tx"
{mode}
[map.tx.entries]
{tx}
[map.cpus]
from = "redirect:cpus"
entries = { 0 = { queue = 192, program = "program.steered" } }
[program.leaving]
from = "redirect:leaving"
[program.steered]
from = "redirect:steered"
[program.forward]
from = "redirect:forward"
[link.in]
program = "forward"
xdp = { interface = "lo", mode = "generic" }
"#;

const WITH_PROGRAM: &str = "0 = { interface = \"eth0\", program = \"program.leaving\" }";

fn manifest(step: u32, tx: &str) -> String {
    MANIFEST.replace("{step}", &step.to_string()).replace("{tx}", tx).replace("{mode}", "")
}

fn host() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake.add_interface("eth1", true);
    fake
}

/// Returns what a map of references holds: keys, numbers, and the names of programs.
fn held(map: &str, fake: &Fake) -> Vec<(u32, u32, String)> {
    let (_, fd) = fake.open_pin(&path(&format!("/sys/fs/bpf/edge/maps/{map}"))).expect("it is pinned");
    let live = contents::live(fake, &fd, &fake.host().expect("a host")).expect("it can be read");
    let word = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let name = |id: u32| match id {
        0 => String::new(),
        id => fake.program_info(&fake.program_by_id(id).expect("it runs")).expect("it is told").name,
    };
    live.iter().map(|(key, value)| (word(key, 0), word(value, 0), name(word(value, 4)))).collect()
}

/// Returns the lines of a plan about entries and slots.
fn lines(text: &str, fake: &Fake) -> Vec<String> {
    let plan = good(plan(text, fake), text);
    let is_about = |action: &Action| matches!(action, Action::WriteEntries { .. } | Action::FillSlots { .. });
    let steps = plan.steps.iter().filter(|step| is_about(&step.action));
    steps.map(|step| format!("{} {} {}", step.action.marker(), step.action.address(), step.action)).collect()
}

/// A version of the object, the entries, what the plan says, and what the map then holds.
type Row = (u32, &'static str, &'static [&'static str], &'static [(u32, u32, &'static str)]);

#[test]
fn entries_follow_the_manifest_and_the_programs() {
    let fake = host();
    make(&manifest(1, WITH_PROGRAM), &fake);
    assert_eq!(held("tx", &fake), [(0, 2, "leaving".to_owned())]);
    assert_eq!(held("cpus", &fake), [(0, 192, "steered".to_owned())]);
    assert!(good(plan(&manifest(1, WITH_PROGRAM), &fake), "").is_empty());
    let rows: &[Row] = &[
        // A new program takes the place of the old one in place: its map stays, and with it the filter.
        (
            10,
            WITH_PROGRAM,
            &["~ map.cpus entries +0 ~1 -0 (0 the same)", "~ map.tx entries +0 ~1 -0 (0 the same)"],
            &[(0, 2, "leaving")],
        ),
        (
            10,
            "0 = { interface = \"eth1\", program = \"program.leaving\" }\n3 = \"eth0\"",
            &["~ map.tx entries +1 ~1 -0 (0 the same)"],
            &[(0, 3, "leaving"), (3, 2, "")],
        ),
        (10, "0 = \"eth1\"", &["~ map.tx entries +0 ~1 -1 (0 the same)"], &[(0, 3, "")]),
    ];
    for (step, tx, said, wanted) in rows {
        let text = manifest(*step, tx);
        assert_eq!(lines(&text, &fake), *said, "{tx}");
        make(&text, &fake);
        let wanted: Vec<_> = wanted.iter().map(|(key, index, name)| (*key, *index, (*name).to_owned())).collect();
        assert_eq!(held("tx", &fake), wanted, "{tx}");
        assert!(good(plan(&text, &fake), &text).is_empty(), "{tx}: nothing is left to do");
        assert_eq!(drifts(&fake), [""; 0], "{tx}");
    }
    let back = good(plan_rollback("edge", &fake), "");
    assert!(run(&back, &fake).1.is_none());
    assert_eq!(held("tx", &fake), [(0, 3, "leaving".to_owned()), (3, 2, String::new())]);
    run(&good(plan_destroy("edge", &fake), ""), &fake);
    assert!(fake.is_idle());
}

fn drifts(fake: &Fake) -> Vec<String> {
    let found = status::status(fake, &path("/sys/fs/bpf/edge")).expect("it can be read");
    found.iter().flat_map(|it| &it.drift).map(|drift| format!("{}: {}", drift.address, drift.words)).collect()
}

#[test]
fn an_interface_that_went_and_came_back_is_put_right() {
    let fake = host();
    let text = manifest(1, WITH_PROGRAM);
    make(&text, &fake);
    fake.remove_interface("eth0");
    assert_eq!(held("tx", &fake), []);
    assert_eq!(drifts(&fake), ["map.tx: owned entries changed: 1 of 1"]);
    let problems = plan(&text, &fake).expect_err("nobody can send there");
    assert!(stages::rendered(&problems, &text).contains("there is no interface `eth0`"));
    let index = fake.add_interface("eth0", true);
    make(&text, &fake);
    assert_eq!(held("tx", &fake), [(0, index, "leaving".to_owned())]);
    assert_eq!(drifts(&fake), [""; 0]);
}

#[test]
fn whatever_fails_leaves_the_entries_as_they_were() {
    let upgrade = manifest(10, "0 = { interface = \"eth1\", program = \"program.leaving\" }\n3 = \"eth0\"");
    let first = manifest(1, WITH_PROGRAM);
    let state = |fake: &Fake| {
        let dump = fake.dump();
        let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for n in 1.. {
        let fake = host();
        make(&first, &fake);
        let before = state(&fake);
        let plan = good(plan(&upgrade, &fake), &upgrade);
        let calls = fake.calls().len();
        fake.fail_nth(n, libc::ENOMEM);
        let (outcome, problem) = run(&plan, &fake);
        let (call, is_done) = (fake.calls().last().copied(), fake.calls().len() - calls < n);
        if problem.is_some() && outcome.verdict() == Verdict::FailedAsBefore {
            assert!(state(&fake) == before, "call {n} ({call:?}) fails");
        }
        fake.heal();
        make(&upgrade, &fake);
        assert_eq!(held("tx", &fake), [(0, 3, "leaving".to_owned()), (3, 2, String::new())], "call {n} ({call:?})");
        if is_done {
            break;
        }
    }
}

#[test]
fn offline_the_names_are_shown() {
    let text = manifest(1, &format!("{WITH_PROGRAM}\n2 = \"eth7\"").replace("eth0", "eth6"));
    let desired = good(stages::desired(&text, repository(), &host()), &text);
    let observed = bpfapply::observed::Observed::nothing(host().host().expect("a host"));
    let plan = good(bpfapply::plan::plan(&desired, &observed, Mode::Offline), &text);
    let style = Style { width: 200, ascii: true, color: false };
    let drawn = text::plan(&plan, &text::Options { style, purpose: text::Purpose::DryRun, manifest: None, entries: 9 });
    for line in ["+ 0 = eth6, program.leaving (new)", "+ 2 = eth7", "+ 0 = queue of 192, program.steered (new)"] {
        assert!(drawn.contains(line), "{drawn}");
    }
}

/// Slots: what is in them makes the map new.
const SLOTS: &str = r#"
version = 1
name = "edge"
[object.redirect]
path = "{folder}/tests/references/redirect_1.o"
[map.calls]
from = "redirect:calls"
entries = { 0 = "program.{picked}" }
[map.tenants]
from = "redirect:tenants"
key_format = "ipv4"
[map.tenants.entries]
"10.0.0.1" = "map.{tenant}"
"10.0.0.2" = "map.b"
[map.a]
type = "array"
key_size = 4
value_size = 8
max_entries = 1
[map.b]
type = "array"
key_size = 4
value_size = 8
max_entries = 1
[program.pick]
from = "redirect:pick"
[program.one]
from = "redirect:one"
[program.two]
from = "redirect:two"
[program.tenant]
from = "redirect:tenant"
"#;

fn slots(picked: &str, tenant: &str) -> String {
    let folder = repository().display().to_string();
    SLOTS.replace("{folder}", &folder).replace("{picked}", picked).replace("{tenant}", tenant)
}

#[test]
fn a_slot_that_changes_makes_the_map_new() {
    let fake = host();
    make(&slots("one", "a"), &fake);
    assert!(good(plan(&slots("one", "a"), &fake), "").is_empty());
    let said = lines(&slots("two", "a"), &fake);
    assert_eq!(said, ["+ map.calls fill slots 0 = program.two"]);
    let said = lines(&slots("one", "b"), &fake);
    assert_eq!(said, ["+ map.tenants fill slots 10.0.0.1 = map.b, 10.0.0.2 = map.b"]);
    // What is in the slots has pins of its own.
    assert_eq!(good(plan(&slots("two", "b"), &fake), "").needs().len(), 0);
    make(&slots("two", "b"), &fake);
    assert!(good(plan(&slots("two", "b"), &fake), "").is_empty());
}

#[test]
fn maps_that_only_a_slot_holds_are_not_lost_by_the_way() {
    let fake = host();
    make(&slots("one", "a"), &fake);
    let (_, tenants) = fake.open_pin(&path("/sys/fs/bpf/edge/maps/tenants")).expect("it is pinned");
    let request = MapRequest::plain("other", MapType::ARRAY, (4, 8, 1));
    let other = fake.clone().create_map(&request).expect("it can be made");
    fake.clone().update_slot(&tenants, &[10, 0, 0, 9], &other).expect("it fits");
    drop(other);
    assert_eq!(drifts(&fake), ["map.tenants: owned entries changed: 0 of 2, and 1 more came"]);
    let plan = good(plan(&slots("one", "b"), &fake), "");
    assert_eq!(plan.needs().into_iter().collect::<Vec<_>>(), [Consent::LoseState]);
}

/// Somebody else puts something into a slot, or takes it out.
struct Intruder {
    map: &'static str,
    does: fn(&mut Fake, &<Fake as Kernel>::Fd),
    drift: &'static str,
    plan: &'static str,
}

const INTRUDERS: &[Intruder] = &[
    Intruder {
        map: "calls",
        does: |fake, calls| {
            let (_, two) = fake.open_pin(&path("/sys/fs/bpf/edge/programs/two")).expect("it is pinned");
            fake.update_slot(calls, &[0; 4], &two).expect("it fits");
        },
        drift: "map.calls: owned entries changed: 1 of 1",
        plan: "+ map.calls fill slots 0 = program.one",
    },
    Intruder {
        map: "calls",
        does: |fake, calls| {
            let (_, two) = fake.open_pin(&path("/sys/fs/bpf/edge/programs/two")).expect("it is pinned");
            fake.update_slot(calls, &[1, 0, 0, 0], &two).expect("it fits");
        },
        drift: "map.calls: owned entries changed: 0 of 1, and 1 more came",
        plan: "+ map.calls fill slots 0 = program.one",
    },
    Intruder {
        map: "tenants",
        does: |fake, tenants| assert!(fake.delete(tenants, &[10, 0, 0, 1]).expect("it can be changed")),
        drift: "map.tenants: owned entries changed: 1 of 2",
        plan: "+ map.tenants fill slots 10.0.0.1 = map.a, 10.0.0.2 = map.b",
    },
    Intruder {
        map: "tenants",
        does: |fake, tenants| {
            let (_, b) = fake.open_pin(&path("/sys/fs/bpf/edge/maps/b")).expect("it is pinned");
            fake.update_slot(tenants, &[10, 0, 0, 1], &b).expect("it fits");
        },
        drift: "map.tenants: owned entries changed: 1 of 2",
        plan: "+ map.tenants fill slots 10.0.0.1 = map.a, 10.0.0.2 = map.b",
    },
];

#[test]
fn slots_that_others_change_are_drift() {
    for Intruder { map, does, drift, plan: said } in INTRUDERS {
        let fake = host();
        let text = slots("one", "a");
        make(&text, &fake);
        assert_eq!(drifts(&fake), [""; 0]);
        let (_, fd) = fake.open_pin(&path(&format!("/sys/fs/bpf/edge/maps/{map}"))).expect("it is pinned");
        does(&mut fake.clone(), &fd);
        drop(fd);
        assert_eq!(drifts(&fake), [*drift]);
        assert_eq!(lines(&text, &fake), [*said]);
        make(&text, &fake);
        assert_eq!(drifts(&fake), [""; 0], "{drift}");
        assert!(good(plan(&text, &fake), &text).is_empty(), "{drift}");
    }
}

#[test]
fn cgroups_are_named_by_their_paths() {
    let text = "version = 1\nname = \"edge\"\n[map.groups]\ntype = \"cgroup_array\"\nkey_size = 4\nvalue_size = 4\n\
                max_entries = 2\nentries = { 1 = \"system.slice\" }";
    let fake = host();
    let problems = plan(text, &fake).expect_err("there is none");
    assert!(stages::rendered(&problems, text).contains("there is no cgroup `system.slice`"));
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    assert_eq!(lines(text, &fake), ["+ map.groups fill slots 1 = cgroup system.slice"]);
    make(text, &fake);
    assert!(good(plan(text, &fake), text).is_empty());
    // Another one of the same name.
    fake.add_cgroup("/sys/fs/cgroup/other.slice");
    fake.remove_cgroup(Path::new("/sys/fs/cgroup/system.slice"));
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    assert_eq!(drifts(&fake), ["map.groups: owned entries changed: 1 of 1"]);
    assert_eq!(lines(text, &fake), ["+ map.groups fill slots 1 = cgroup system.slice"]);
    make(text, &fake);
    assert_eq!(drifts(&fake), [""; 0]);
}

/// Makes two pairs of interfaces, `a0`-`a1` and `b0`-`b1`: what is sent on the first comes in on the second.
fn pairs(names: &[&str]) {
    for name in names {
        ip(&format!("link add {name}0 type veth peer name {name}1"));
        ip(&format!("link set {name}0 up"));
        ip(&format!("link set {name}1 up"));
    }
}

fn ip(line: &str) {
    command(Command::new("ip").args(line.split(' '))).unwrap_or_else(|error| panic!("ip {line}: {error}"));
}

/// No more than the queue of a CPU holds.
const FRAMES: u64 = 150;

/// Sends frames into `a0`.
fn send() {
    let socket = UdpSocket::bind("10.9.0.1:0").expect("the address is there");
    for _ in 0..FRAMES {
        socket.send_to(&[7; 64], "10.9.0.2:9").expect("there is a neighbour");
    }
}

/// Waits until a counter has a value; returns what it has in the end.
fn waited(map: u64, place: u32, wanted: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let now = value_at(map, place);
        if now >= wanted || Instant::now() > end {
            return now;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn real(step: u32, mode: &str) -> String {
    let text = manifest(step, "0 = { interface = \"b0\", program = \"program.leaving\" }");
    let text = text.replace("tests/references", &repository().join("tests/references").display().to_string());
    let text = text.replace("interface = \"lo\"", "interface = \"a1\"").replace("\"forward\"", &format!("\"{mode}\""));
    format!(
        "{text}[link.out]\nprogram = \"arrived\"\nxdp = {{ interface = \"b1\", mode = \"generic\" }}\n\
         [program.arrived]\nfrom = \"redirect:arrived\"\n[program.steer]\nfrom = \"redirect:steer\"\n"
    )
}

#[test]
fn frames_go_where_the_manifest_says() {
    in_namespace("frames_go_where_the_manifest_says", |_| {
        let folder = TempDir::new().expect("a folder");
        let write = |text: &str| fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
        pairs(&["a", "b"]);
        ip("addr add 10.9.0.1/24 dev a0");
        ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev a0");
        write(&real(1, "forward"));
        succeed(folder.path(), &["plan.toml"]);
        let seen = ids(folder.path(), "edge").maps["seen"];
        send();
        assert_eq!(waited(seen, 1, FRAMES), FRAMES, "every frame came to the far end");
        assert_eq!(value_at(seen, 0), FRAMES, "the program of the entry saw each");
        let shown = succeed(folder.path(), &["show", "edge", "map.tx"]);
        assert!(shown.contains("(b0)") && shown.contains("(leaving)"), "{shown}");
        // The second version counts in tens, and takes the place of the first in the entry.
        write(&real(10, "forward"));
        succeed(folder.path(), &["plan.toml"]);
        assert_eq!(ids(folder.path(), "edge").maps["seen"], seen);
        send();
        assert_eq!(waited(seen, 1, 11 * FRAMES), 11 * FRAMES);
        assert_eq!(value_at(seen, 0), 11 * FRAMES);
        // The interface goes, and another one gets its name.
        ip("link del b0");
        assert!(succeed(folder.path(), &["status"]).contains("map.tx"), "drift is seen");
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert!(said.code != 0 && said.stderr.contains("there is no interface `b0`"), "{said:?}");
        pairs(&["b"]);
        succeed(folder.path(), &["plan.toml", "--allow", "gap"]);
        send();
        assert_eq!(waited(seen, 1, 21 * FRAMES), 21 * FRAMES);
        // To another CPU, and there by the program of its entry.
        write(&real(10, "steer"));
        succeed(folder.path(), &["plan.toml"]);
        send();
        assert_eq!(waited(seen, 2, 10 * FRAMES), 10 * FRAMES);
        assert_eq!(value_at(seen, 1), 21 * FRAMES, "none goes to the interface any more");
        assert!(succeed(folder.path(), &["plan.toml"]).contains("nothing to do"));
        succeed(folder.path(), &["destroy", "edge"]);
    });
}

#[test]
fn slots_are_what_programs_find() {
    in_namespace("slots_are_what_programs_find", |_| {
        let folder = TempDir::new().expect("a folder");
        let packet = |last: u8| {
            let mut bytes = vec![0; 64];
            bytes[12..14].copy_from_slice(&[8, 0]);
            bytes[26..30].copy_from_slice(&[10, 0, 0, last]);
            let file = folder.path().join("packet");
            fs::write(&file, bytes).expect("it can be written");
            file
        };
        let (drop, pass) = (1, 2);
        for (picked, tenant, verdict) in [("one", "a", drop), ("two", "b", pass)] {
            fs::write(folder.path().join("plan.toml"), slots(picked, tenant)).expect("it can be written");
            succeed(folder.path(), &["plan.toml"]);
            let ids = ids(folder.path(), "edge");
            assert_eq!(run_program(ids.programs["pick"], &packet(9)), verdict, "{picked}");
            let before = value_at(ids.maps[tenant], 0);
            assert_eq!(run_program(ids.programs["tenant"], &packet(1)), pass, "{tenant}");
            assert_eq!(value_at(ids.maps[tenant], 0), before + 1, "{tenant}");
            assert_eq!(run_program(ids.programs["tenant"], &packet(9)), drop);
            assert!(succeed(folder.path(), &["plan.toml"]).contains("nothing to do"));
        }
        // Somebody else puts something into the slots.
        for (map, line) in [
            ("calls", "key 0 0 0 0 value pinned /sys/fs/bpf/edge/programs/one"),
            ("tenants", "key 10 0 0 1 value pinned /sys/fs/bpf/edge/maps/a"),
        ] {
            bpftool(&format!("map update pinned /sys/fs/bpf/edge/maps/{map} {line}"));
            let said = succeed(folder.path(), &["status"]);
            assert!(said.contains(&format!("map.{map}")) && said.contains("owned entries changed: 1 of"), "{said}");
            let said = succeed(folder.path(), &["plan.toml"]);
            assert!(said.contains(&format!("map.{map}")), "{said}");
            assert!(succeed(folder.path(), &["plan.toml"]).contains("nothing to do"));
            assert!(succeed(folder.path(), &["status", "--check"]).contains("in sync"));
        }
        assert_eq!(run_program(ids(folder.path(), "edge").programs["pick"], &packet(9)), pass);
        succeed(folder.path(), &["destroy", "edge"]);
    });
}

#[test]
fn programs_know_the_cgroups_of_the_manifest() {
    in_namespace("programs_know_the_cgroups_of_the_manifest", |room| {
        let Some(cgroup) = &room.cgroup else {
            return skip("programs_know_the_cgroups_of_the_manifest", "there is no cgroup2");
        };
        let folder = TempDir::new().expect("a folder");
        let own = cgroup.join("senders");
        fs::create_dir(&own).expect("a cgroup can be made");
        let text = format!(
            "version = 1\nname = \"edge\"\n[object.groups]\npath = \"{}/tests/references/groups.o\"\n\
             [map.seen]\nfrom = \"groups:seen\"\n[map.groups]\nfrom = \"groups:groups\"\n\
             entries = {{ 1 = \"{}\" }}\n[program.leaving]\nfrom = \"groups:leaving\"\n\
             [link.out]\nprogram = \"leaving\"\ntc = {{ interface = \"lo\", direction = \"egress\" }}\n",
            repository().display(),
            own.display()
        );
        fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
        let send = |cgroup: &Path| {
            let join = format!("echo $$ > {}/cgroup.procs", cgroup.display());
            let send = "for i in 1 2 3; do echo > /dev/udp/127.0.0.1/9; done";
            command(Command::new("bash").args(["-ec", &format!("{join}; {send}")])).expect("it can send");
        };
        succeed(folder.path(), &["plan.toml"]);
        let seen = ids(folder.path(), "edge").maps["seen"];
        send(cgroup);
        assert!(value_at(seen, 0) >= 3, "all of them left");
        assert_eq!(value_at(seen, 1), 0, "they are of another cgroup");
        send(&own);
        assert_eq!(value_at(seen, 1), 3);
        // Another one of the same name.
        fs::remove_dir(&own).expect("nobody is in it any more");
        fs::create_dir(cgroup.join("between")).expect("a cgroup can be made");
        fs::create_dir(&own).expect("a cgroup can be made");
        send(&own);
        assert_eq!(value_at(seen, 1), 3, "the map holds the one that is gone");
        assert!(succeed(folder.path(), &["status"]).contains("map.groups"), "drift is seen");
        succeed(folder.path(), &["plan.toml"]);
        send(&own);
        assert_eq!(value_at(ids(folder.path(), "edge").maps["seen"], 1), 6);
        assert!(succeed(folder.path(), &["plan.toml"]).contains("nothing to do"));
        succeed(folder.path(), &["destroy", "edge"]);
    });
}
