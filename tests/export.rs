//! Exported states: what the file may say, and that a plan against it is the plan on the host.
//!
//! `UPDATE=1 cargo test --test export` writes the schema anew: look at the difference.

mod common;

use bpfapply::access::AccountKind;
use bpfapply::diag::Problems;
use bpfapply::kernel::export::{Asked, export};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::recorded::Recorded;
use bpfapply::kernel::{Kernel, observe};
use bpfapply::observed::Wanted;
use bpfapply::plan::{self, Mode, Plan};
use bpfapply::report::text::{Options, Purpose};
use bpfapply::report::{self, ManifestText, Style};
use bpfapply::state::HostState;
use common::in_namespace;
use common::stages::{self, good, make, path, rendered};
use common::tool::{Said, bpfapply, bpftool, has_bpftool, ids, refused, succeed};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let path = stages::repository().join("schemas/state.schema.json");
    let text = serde_json::to_string_pretty(&HostState::schema()).expect("a schema is JSON") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).expect("it can be written");
    }
    assert!(fs::read_to_string(&path).ok().as_deref() == Some(&text), "run `UPDATE=1 cargo test --test export`");
}

/// A host with interfaces, cgroups and network namespaces, and programs of somebody else.
fn host() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake.add_interface("eth1", true);
    fake.add_other_name("eth1", "uplink");
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    fake.add_cgroup("/sys/fs/cgroup/user.slice");
    fake.add_account(AccountKind::Group, "metrics", 998);
    fake.add_netns("/run/netns/red");
    fake
}

/// Exports a host, by way of the text of the file.
#[track_caller]
fn state(fake: &Fake, contents: bool) -> Recorded {
    let calls = fake.calls().len();
    let asked = Asked { bpffs: path("/sys/fs/bpf"), contents, time: 1_700_000_000 };
    let state = export(fake, &asked).unwrap_or_else(|problem| panic!("{}", rendered(&problem.into(), "")));
    assert_eq!(fake.calls().len(), calls, "an export only reads");
    let text = state.encode();
    let schema = jsonschema::validator_for(&HostState::schema()).expect("the schema is one");
    let value: Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(schema.is_valid(&value), "{:?}", schema.iter_errors(&value).map(|e| e.to_string()).collect::<Vec<_>>());
    let read = HostState::decode(&text).expect("it is one");
    assert_eq!(read, state);
    Recorded(read)
}

fn plan_on(text: &str, kernel: &impl Kernel) -> Result<Plan, Problems> {
    let desired = stages::desired(text, stages::repository(), kernel)?;
    let observed = observe::observe(kernel, &Wanted::of(&desired))?;
    plan::plan(&desired, &observed, Mode::Live)
}

/// Writes a plan, or what is wrong, in all ways.
fn all_of(plan: &Result<Plan, Problems>, text: &str) -> String {
    let manifest = Some(ManifestText { name: "plan.toml", text });
    match plan {
        Ok(plan) => {
            let style = Style { width: 100, ascii: true, color: false };
            let options = Options { style, purpose: Purpose::DryRun, manifest, entries: 5 };
            report::text::plan(plan, &options) + &report::json::plan(plan, manifest)
        }
        Err(problems) => rendered(problems, text),
    }
}

/// Maps of an object and of none, constants, tail calls, an edge, who may open pins, links of three kinds, and one with a
/// mark in the place of its pin.
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
[link.stack]
program = "on_stack"
tc = { interface = "eth0", direction = "ingress" }
[link.marked]
program = "on_stack"
tc = { interface = "eth0", direction = "egress", via = "clsact" }
[link.egress]
program = "egress"
cgroup = { path = "system.slice" }
"#;

/// Changes of that, each as replacements of its text.
const CHANGES: &[(&str, &[(&str, &str)])] = &[
    ("nothing", &[]),
    ("code", &[("upgrade_1", "upgrade_2")]),
    ("a constant", &[("data.o\"", "data.o\"\nset = { ro_limit = 5 }")]),
    ("another map", &[("[map.scratch]", "[map.fresh]")]),
    ("the size of a map", &[("max_entries = 16", "max_entries = 32\non_change = \"recreate\"")]),
    ("another interface", &[("xdp = { interface = \"eth0\" }", "xdp = { interface = \"eth1\" }")]),
    ("an interface by its other name", &[("xdp = { interface = \"eth0\" }", "xdp = { interface = \"uplink\" }")]),
    ("no such interface", &[("xdp = { interface = \"eth0\" }", "xdp = { interface = \"eth7\" }")]),
    ("interfaces by a pattern", &[("xdp = { interface = \"eth0\" }", "xdp = { interface = \"eth*\" }")]),
    ("another direction", &[("\"ingress\" }", "\"egress\" }")]),
    ("a place on the hook", &[("\"ingress\" }", "\"ingress\", order = \"first\" }")]),
    ("another namespace", &[("tc = { interface = \"eth0\"", "tc = { netns = \"red\", interface = \"lo\"")]),
    ("no such namespace", &[("tc = { interface = \"eth0\"", "tc = { netns = \"blue\", interface = \"lo\"")]),
    ("another cgroup", &[("\"system.slice\"", "\"user.slice\"")]),
    ("no such cgroup", &[("\"system.slice\"", "\"none.slice\"")]),
    ("the root", &[("\"system.slice\"", "\"/\"")]),
    ("who may open a pin", &[("mode = 0o640", "mode = 0o644\nowner = 8")]),
    ("fewer things", &[("[link.egress]\nprogram = \"egress\"\ncgroup = { path = \"system.slice\" }\n", "")]),
    ("another deployment", &[("name = \"edge\"", "name = \"other\"")]),
    (
        "a map of somebody else",
        &[("[program.drop]", "[map.alien]\npinned = \"/sys/fs/bpf/edge/maps/stats\"\n[program.drop]")],
    ),
];

/// Shows the first line that differs.
#[track_caller]
fn is_same_text(offline: &str, live: &str, name: &str) {
    let differs = offline.lines().zip(live.lines()).find(|(offline, live)| offline != live);
    assert!(offline == live, "{name}: {differs:#?}");
}

#[test]
fn the_plan_is_that_of_the_host() {
    let fake = host();
    // The numbers of groups are told as far as records name them.
    let ungrouped = FIRST.replace("group = \"metrics\"\n", "");
    for first in [ungrouped.as_str(), FIRST] {
        if first == FIRST {
            make(FIRST, &fake);
        }
        for (name, changes) in CHANGES {
            let text = changes.iter().fold(first.to_owned(), |text, (from, to)| {
                assert!(text.contains(from), "{name}: {from}");
                text.replace(from, to)
            });
            // How much a map holds that goes.
            let contents = name.contains("map");
            let (live, offline) = (plan_on(&text, &fake), plan_on(&text, &state(&fake, contents)));
            is_same_text(&all_of(&offline, &text), &all_of(&live, &text), name);
            assert_eq!(live.map(|plan| plan.id).ok(), offline.map(|plan| plan.id).ok(), "{name}");
        }
    }
}

/// Of what is pinned elsewhere only the second name is left.
#[test]
fn the_plan_without_a_pin_elsewhere_is_that_of_the_host() {
    let fake = host();
    let text = format!("{FIRST}[map.far]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 16\n");
    let text = format!("{text}pin = \"/sys/fs/bpf/globals/far\"\n");
    make(&text, &fake);
    fake.clone().unpin(&path("/sys/fs/bpf/globals/far")).expect("it is there");
    let moved = text.replace("pin = \"/sys/fs/bpf/globals/far\"\n", "");
    let rows = [
        ("it stays", text.as_str(), "restore-pin"),
        ("it goes", FIRST, "remove-map"),
        ("it moves", &moved, "remove-map"),
    ];
    for (name, text, word) in rows {
        let (live, offline) = (plan_on(text, &fake), plan_on(text, &state(&fake, word == "remove-map")));
        is_same_text(&all_of(&offline, text), &all_of(&live, text), name);
        let steps = offline.expect("a plan").steps;
        let of_it = steps.iter().filter(|step| step.action.address().to_string() == "map.far");
        let words: Vec<&str> = of_it.map(|step| step.action.name()).collect();
        assert!(words.contains(&word), "{name}: {words:?}");
    }
}

#[test]
fn what_maps_hold_is_told_only_when_asked_for() {
    let entries = |value: u32, more: &str| {
        let map = format!("[map.list]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 8\n{more}");
        format!("version = 1\nname = \"edge\"\n{map}entries = {{ \"0x01000000\" = \"0x{value:08x}\" }}\n")
    };
    for (more, is_secret) in [("", false), ("sensitive = true\n", true)] {
        let fake = host();
        let (before, text) = (entries(0x1122_3344, more), entries(2, more));
        make(&before, &fake);
        let problems = plan_on(&text, &state(&fake, false)).expect_err("it holds nobody knows what");
        let said = rendered(&problems, &text);
        for words in ["the exported state does not tell what the map", "--contents"] {
            assert!(said.contains(words), "{words:?}: {said}");
        }
        let told = state(&fake, true);
        let holds = |state: &Recorded| state.0.encode().contains("44332211");
        assert_eq!((holds(&state(&fake, false)), holds(&told)), (false, !is_secret));
        match is_secret {
            true => assert!(plan_on(&text, &told).is_err()),
            false => {
                is_same_text(&all_of(&plan_on(&text, &told), &text), &all_of(&plan_on(&text, &fake), &text), "entries")
            }
        }
    }
}

/// A record says what variables are set to; of a map that is secret the exported one does not.
#[test]
fn variables_that_are_secret_are_not_told() {
    for (more, is_secret) in [("", false), ("sensitive = true\n", true)] {
        let fake = host();
        let text = format!(
            "version = 1\nname = \"edge\"\n[object.filter]\npath = \"tests/variables/filter.o\"\nset = {{ runs = 1584553711 }}\n\
             [map.data]\nfrom = \"filter:.data\"\n{more}[program.judge]\nfrom = \"filter:judge\"\n"
        );
        make(&text, &fake);
        for contents in [false, true] {
            let told = state(&fake, contents).0.encode();
            // 1584553711 is 0x5e725eef: in a record a list of bytes, in entries digits.
            let bytes = told.split_whitespace().collect::<String>().contains("[239,94,114,94");
            assert_eq!((bytes, told.contains("ef5e725e")), (!is_secret, contents && !is_secret), "{told}");
            assert!(told.contains("\"runs\""), "{told}");
        }
    }
}

/// Nobody knows what is secret where another version wrote the record.
#[test]
fn beside_a_record_of_another_version_all_is_secret() {
    let mut fake = host();
    let map = "[map.list]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 8\nsensitive = true\n";
    make(&format!("version = 1\nname = \"edge\"\n{map}entries = {{ \"0x01000000\" = \"0x11223344\" }}\n"), &fake);
    let (_, record) = fake.open_pin(&path("/sys/fs/bpf/edge/record")).expect("there is one");
    let size = fake.map_info(&record).expect("it is a map").value_size as usize;
    let mut other = b"{\"format\":99,\"of\":\"5ec2e7\"}".to_vec();
    other.resize(size, 0);
    fake.update(&record, &[0; 4], &other).expect("the fake lets anybody write");
    let told = state(&fake, true).0.encode();
    for secret in ["44332211", "35656332"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[test]
fn without_a_bpffs() {
    let fake = Fake::without_bpffs();
    fake.add_interface("eth0", true);
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    fake.add_account(AccountKind::Group, "metrics", 998);
    let text = FIRST.replace("mode = 0o640\ngroup = \"metrics\"\n", "");
    let offline = plan_on(&text, &state(&fake, false));
    assert_eq!(all_of(&offline, &text), all_of(&plan_on(&text, &fake), &text));
    assert!(good(offline, &text).steps.iter().any(|step| step.action.name() == "mount-bpffs"));
}

/// What a state does not tell is said.
#[test]
fn what_is_not_told_is_said() {
    let cases = [
        ("maps = { stats = \"stats\" }\n[map.stats]\nid = 77\n", "map id 77"),
        ("[map.stats]\nfrom = \"device:stats\"\nowner = \"nobody\"\n", "the number of the user `nobody`"),
    ];
    for (map, told) in cases {
        let text = format!(
            "version = 1\nname = \"edge\"\n[object.device]\npath = \"tests/objects/stats_a.o\"\n{map}\
             [program.on_device]\nfrom = \"device:on_device\"\n"
        );
        let said = rendered(&plan_on(&text, &state(&host(), false)).expect_err(map), &text);
        assert!(said.contains(&format!("the exported state does not tell {told}")), "{said}");
    }
}

/// Where a value goes in a good file, which makes it a bad one.
const BAD: &[(&str, &str)] = &[
    ("/format", "2"),
    ("/format", "null"),
    ("/possible_cpus", "\"4\""),
    ("/files", "[]"),
    ("/bpffs", "7"),
    ("/maps/x", "{}"),
    ("/types/1", "\"0g\""),
    ("/types/1", "\"012\""),
    ("/namespaces/x", "{ \"inode\": 1 }"),
    ("/cgroups/x", "-1"),
    ("/hooks/shared", "{}"),
    ("/more", "1"),
];

/// The same of what a schema cannot say; `LIST` is the map with an entry.
const NO_HOST: &[(&str, &str)] = &[
    ("/possible_cpus", "0"),
    ("/possible_cpus", "4294967295"),
    ("/page_size", "0"),
    ("/page_size", "4095"),
    ("/maps/LIST/key_size", "0"),
    ("/maps/LIST/key_size", "8"),
    ("/maps/LIST/value_size", "4294967295"),
    ("/maps/LIST/type", "\"percpu_hash\""),
    ("/maps/LIST/entries/0/key", "\"\""),
    ("/maps/LIST/entries/0/value", "\"0102030405\""),
];

/// Returns the file with a value at another place; `null` takes the key away.
fn changed(good: &Value, pointer: &str, value: &str) -> Value {
    let mut file = good.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = file.pointer_mut(parent).and_then(Value::as_object_mut).expect("it is an object");
    match serde_json::from_str(value).expect("JSON") {
        Value::Null => drop(parent.remove(key)),
        value => drop(parent.insert(key.to_owned(), value)),
    }
    file
}

/// Sizes that contradict each other are refused before a plan reads by them.
#[test]
fn what_no_host_has_is_refused() {
    let fake = host();
    let map = "[map.list]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 8\n";
    make(&format!("version = 1\nname = \"edge\"\n{map}entries = {{ \"0x01000000\" = \"0x02000000\" }}\n"), &fake);
    let state = state(&fake, true).0;
    let (list, _) = state.maps.iter().find(|(_, map)| map.key_size == 4 && map.name == "list").expect("it is there");
    let good = serde_json::from_str(&state.encode()).expect("it is JSON");
    for (pointer, value) in NO_HOST {
        let file = changed(&good, &pointer.replace("LIST", &list.to_string()), value);
        assert!(HostState::decode(&file.to_string()).is_err(), "{pointer}: {value}");
    }
}

#[test]
fn a_file_that_is_no_state_is_refused() {
    let schema = jsonschema::validator_for(&HostState::schema()).expect("the schema is one");
    let fake = host();
    make(FIRST, &fake);
    let good = serde_json::from_str(&state(&fake, true).0.encode()).expect("it is JSON");
    for (pointer, value) in BAD {
        let file = changed(&good, pointer, value);
        assert!(HostState::decode(&file.to_string()).is_err(), "{pointer}: {value}");
        assert!(!schema.is_valid(&file), "{pointer}: {value}");
    }
    for text in ["", "null", "[]", "{}", "{\"format\":1}", &"[".repeat(100_000)] {
        assert!(HostState::decode(text).is_err());
    }
}

/// The quickstart's manifest and objects, in a folder of their own.
fn quickstart() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for name in ["plan.toml", "xdp.bpf.o", "host.bpf.o"] {
        let from = stages::repository().join("examples/quickstart").join(name);
        fs::copy(from, folder.path().join(name)).expect("it can be copied");
    }
    folder
}

#[track_caller]
fn edit(folder: &Path, from: &str, to: &str) {
    let file = folder.join("plan.toml");
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replace(from, to)).expect("it can be written");
}

const AGAINST: &[&str] = &["plan.toml", "--dry-run=offline", "--against", "state.json"];

/// Plans on the host and against the state of it, in a format.
fn both(folder: &Path, output: &str) -> [Said; 2] {
    [&["plan.toml", "--dry-run"][..], AGAINST].map(|words| bpfapply(folder, &[words, &["--output", output]].concat()))
}

/// Asserts that both plans are the same, but for what they say of how they were made.
#[track_caller]
fn is_same(folder: &Path) {
    let [live, offline] = both(folder, "text");
    let (live_head, live_text) = live.stdout.split_once('\n').expect("a plan has lines");
    let (head, text) = offline.stdout.split_once('\n').expect("a plan has lines");
    assert_eq!(text, live_text);
    assert!(
        live_head.contains("live dry run")
            && head.contains("offline: no kernel was asked, the host is taken as it was at 20"),
        "{head}"
    );
    assert_eq!((live.code, &live.stderr), (offline.code, &offline.stderr));
    let [mut live, mut offline] =
        both(folder, "json").map(|said| serde_json::from_str::<Value>(&said.stdout).expect("JSON"));
    assert_eq!((live["mode"].take(), offline["mode"].take()), (json!("live"), json!("against")));
    let time = offline.as_object_mut().and_then(|plan| plan.remove("host_time"));
    assert!(time.is_some_and(|time| time.is_u64()), "it says when the host was so");
    assert_eq!(live, offline);
}

#[test]
fn the_plan_of_the_quickstart() {
    in_namespace("the_plan_of_the_quickstart", |room| {
        if room.cgroup.is_none() {
            return common::skip("the_plan_of_the_quickstart", "there is no cgroup2");
        }
        for words in ["link add eth0 type veth peer name eth1", "link property add dev eth0 altname outside-of-here"] {
            common::run(Command::new("ip").args(words.split(' '))).expect("interfaces");
        }
        let folder = quickstart();
        let folder = folder.path();
        let cgroup = room.cgroup.as_ref().expect("it is there").display().to_string();
        edit(folder, "cgroup  = { path = \"/\" }", &format!("cgroup  = {{ path = \"{cgroup}\" }}"));
        let export = || succeed(folder, &["export", "plan.toml", "--out", "state.json"]);
        export();
        is_same(folder);
        succeed(folder, &["plan.toml"]);
        export();
        is_same(folder);
        assert!(succeed(folder, AGAINST).contains("nothing to do: the host matches"));
        for (from, to) in [
            ("sample_rate = 1 ", "sample_rate = 2 "),
            ("interface = \"lo\"", "interface = \"outside-of-here\""),
            ("direction = \"ingress\"", "direction = \"egress\""),
            ("from = \"xdp:traffic\"", "from = \"xdp:traffic\"\nmax_entries = 9\non_change = \"recreate\""),
        ] {
            edit(folder, from, to);
            succeed(folder, &["export", "plan.toml", "--out", "state.json", "--contents"]);
            is_same(folder);
        }
        // What was looked at elsewhere is what is applied here.
        let [_, offline] = both(folder, "json").map(|said| serde_json::from_str::<Value>(&said.stdout).expect("JSON"));
        let id = offline["id"].as_str().expect("a plan has an id");
        let needs: Vec<&str> = offline["needs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        succeed(folder, &["plan.toml", "--expect", id, "--allow", &needs.join(",")]);
        let said = refused(folder, &["export", "quickstrat"], 1);
        assert!(said.contains("there is no deployment at `/sys/fs/bpf/quickstrat`"), "{said}");
        let text = succeed(folder, &["export"]);
        assert!(HostState::decode(&text).is_ok());
        assert!(
            refused(folder, &["plan.toml", "--dry-run", "--against", "state.json"], 64).contains("--dry-run=offline")
        );
        fs::write(folder.join("state.json"), "{}").expect("it can be written");
        assert!(refused(folder, AGAINST, 65).contains("is no state of a host"));
        let map = has_bpftool().then(|| ids(folder, "quickstart").maps["traffic"]);
        succeed(folder, &["destroy", "quickstart"]);
        if let Some(map) = map {
            // Others may have maps of the same name, and the kernel frees them a while later.
            let is_gone = || bpftool("map show").as_array().into_iter().flatten().all(|shown| shown["id"] != map);
            assert!((0..100).any(|_| is_gone() || {
                std::thread::sleep(Duration::from_millis(100));
                false
            }));
        }
    });
}

#[test]
fn what_depends_on_the_kernel_is_marked() {
    in_namespace("what_depends_on_the_kernel_is_marked", |_| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let object = stages::repository().join("tests/objects/kconfig.o");
        let text = format!(
            "version = 1\nname = \"edge\"\n[object.kconfig]\npath = \"{}\"\n[program.settings]\nfrom = \"kconfig:settings\"\n",
            object.display()
        );
        fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
        let applied = bpfapply(folder.path(), &["plan.toml"]);
        if applied.code != 0 {
            return common::skip("what_depends_on_the_kernel_is_marked", "the kernel's configuration is not known");
        }
        succeed(folder.path(), &["export", "--out", "state.json"]);
        let said = succeed(folder.path(), AGAINST);
        for words in ["because what it takes from the kernel is not known offline", "kernel values: not known offline"]
        {
            assert!(said.contains(words), "{words:?}: {said}");
        }
        succeed(folder.path(), &["destroy", "edge"]);
    });
}
