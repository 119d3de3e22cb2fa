//! What `status` and `adopt` promise: on the running kernel as users see it, and on the fake kernel call by call.

mod common;

use bpfapply::diag::Problems;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::status::status;
use bpfapply::kernel::{HookRequest, Kernel, MapRequest, ProgramRequest};
use bpfapply::kinds::{AttachType, MapType, ProgramType};
use bpfapply::names::PinPath;
use bpfapply::observed::Wanted;
use bpfapply::plan::{self, Action, Marker, Plan};
use bpfapply::report::status::{DriftKind, State};
use common::Room;
use common::stages::{desired, good, make, path, plan as planned, plan_destroy, repository, run};
use common::tool::{self, Said, bpfapply, bpftool, succeed};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Three hooks of two objects, one of them in the cgroup of the room.
const PLAN: &str = r#"
version = 1
name = "edge"
[object.xdp]
path = "ROOT/examples/quickstart/xdp.bpf.o"
[object.host]
path = "ROOT/examples/quickstart/host.bpf.o"
maps = { seen = "traffic" }
[map.traffic]
from = "xdp:traffic"
mode = 0o640
[map.outside]
type = "hash"
key_size = 4
value_size = 4
max_entries = 4
pin = "/sys/fs/bpf/globals/outside"
[program.xdp]
from = "xdp:count_xdp"
[program.ingress]
from = "host:count_ingress"
[program.egress]
from = "host:count_egress"
[link.xdp]
program = "xdp"
xdp = { interface = "veth0", mode = "generic" }
[link.ingress]
program = "ingress"
tc = { interface = "veth0", direction = "ingress" }
[link.egress]
program = "egress"
cgroup = { path = "CGROUP" }
"#;

fn manifest(root: &str, cgroup: &str) -> String {
    PLAN.replace("ROOT/", root).replace("CGROUP", cgroup)
}

/// Writes the manifest `plan.toml`, and makes the interfaces that it names.
fn site(room: &Room) -> Option<tempfile::TempDir> {
    let (Some(cgroup), true) = (&room.cgroup, room.version >= (6, 6)) else {
        common::skip("status", "this kernel has no tcx or no cgroup2");
        return None;
    };
    if !common::tool::has_bpftool() {
        common::skip("status", "there is no bpftool");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = format!("{}/", repository().display());
    let text = manifest(&root, cgroup.to_str().expect("UTF-8"));
    fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
    sh("ip link add veth0 type veth peer name veth1");
    Some(folder)
}

#[track_caller]
fn sh(script: &str) -> String {
    match common::run(Command::new("sh").args(["-c", script])) {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => panic!("{script}: {error}"),
    }
}

/// Asks with `--check`, and expects the exit code, the state of each deployment, and each difference as `address kind`.
#[track_caller]
fn check(folder: &Path, states: &[(&str, &str)], drift: &[&str]) -> Value {
    let said = bpfapply(folder, &["status", "--check", "--output", "json"]);
    let value: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let deployments = value["deployments"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let found: Vec<_> = deployments.iter().map(|one| (text(&one["deployment"]), text(&one["state"]))).collect();
    let found: Vec<_> = found.iter().map(|(name, state)| (name.as_str(), state.as_str())).collect();
    assert_eq!(found, states, "{}", said.stdout);
    let differences = deployments.iter().flat_map(|one| one["drift"].as_array().expect("a list"));
    let differences: Vec<_> =
        differences.map(|one| format!("{} {}", text(&one["address"]), text(&one["kind"]))).collect();
    assert_eq!(differences, drift, "{}", said.stdout);
    let all = states.iter().all(|(_, state)| *state == "in-sync");
    assert_eq!((said.code, said.stderr.as_str()), (if all { 0 } else { 2 }, ""), "{}", said.stdout);
    value
}

/// How somebody else changes the host, and what is different then.
const DISTURBANCES: &[(&str, &[&str])] = &[
    ("rm /sys/fs/bpf/edge/programs/xdp", &["program.xdp unpinned"]),
    ("chmod 0644 /sys/fs/bpf/edge/maps/traffic", &["map.traffic access"]),
    (
        "chmod 0755 /sys/fs/bpf/edge/; chmod 0644 /sys/fs/bpf/edge/programs/xdp",
        &["program.xdp access", "directory /sys/fs/bpf/edge~1 access"],
    ),
    ("chown 65534 /sys/fs/bpf/globals/outside", &["map.outside access"]),
    (
        "chmod 0755 /sys/fs/bpf/edge/ /sys/fs/bpf/edge/programs",
        &["directory /sys/fs/bpf/edge/programs access", "directory /sys/fs/bpf/edge~1 access"],
    ),
    ("ip link del veth0; ip link add veth0 type veth peer name veth1", &["link.ingress detached", "link.xdp detached"]),
    ("bpftool link detach pinned /sys/fs/bpf/edge/links/egress", &["link.egress detached"]),
    ("rm /sys/fs/bpf/edge/links/ingress", &["link.ingress unpinned"]),
    (
        "rm /sys/fs/bpf/edge/maps/traffic; \
         bpftool map create /sys/fs/bpf/edge/maps/traffic type hash key 4 value 16 entries 3 name traffic",
        &["map.traffic replaced", "program.egress edge", "program.ingress edge", "program.xdp edge"],
    ),
];

#[test]
fn what_changed_is_told_and_the_next_apply_puts_it_right() {
    common::in_namespace("what_changed_is_told_and_the_next_apply_puts_it_right", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        check(folder, &[], &[]);
        for (disturb, drift) in DISTURBANCES {
            succeed(folder, &["plan.toml"]);
            check(folder, &[("edge", "in-sync")], &[]);
            sh(disturb);
            let value = check(folder, &[("edge", "drifted")], drift);
            assert_eq!(value["deployments"][0]["made"]["links"], 3);
            // What only reads changes nothing, and a second look sees the same.
            check(folder, &[("edge", "drifted")], drift);
            if drift[0] == "map.traffic replaced" {
                // Somebody else's map is not taken for ours.
                let said = bpfapply(folder, &["plan.toml", "--allow", "lose-state"]);
                assert_eq!(said.code, 1, "{said:?}");
                assert!(said.stderr.contains("which took the place of ours"), "{said:?}");
                sh("rm /sys/fs/bpf/edge/maps/traffic");
            }
            // What a map held that lost its pin is lost with the programs that still use it.
            let lacks = if disturb.contains("rm /sys/fs/bpf/edge/maps") { 4 } else { 0 };
            assert_eq!(bpfapply(folder, &["plan.toml"]).code, lacks, "{disturb}");
            let said = bpfapply(folder, &["plan.toml", "--allow", "lose-state"]);
            assert_eq!(said.code, 0, "{disturb}: {said:?}");
            let value = check(folder, &[("edge", "in-sync")], &[]);
            assert_eq!(value["deployments"][0]["previous"], true, "{disturb}");
            succeed(folder, &["destroy", "plan.toml"]);
        }
        check(folder, &[], &[]);
    });
}

#[test]
fn an_interface_that_is_gone_is_told_until_it_is_back() {
    common::in_namespace("an_interface_that_is_gone_is_told_until_it_is_back", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        succeed(folder, &["plan.toml"]);
        sh("ip link del veth0");
        let gone = ["link.ingress detached", "link.xdp detached"];
        check(folder, &[("edge", "drifted")], &gone);
        let said = bpfapply(folder, &["plan.toml"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("there is no interface `veth0`"), "{said:?}");
        check(folder, &[("edge", "drifted")], &gone);
        sh("ip link add veth0 type veth peer name veth1");
        check(folder, &[("edge", "drifted")], &gone);
        assert!(succeed(folder, &["plan.toml"]).contains("link.xdp"));
        check(folder, &[("edge", "in-sync")], &[]);
        assert!(succeed(folder, &["plan.toml"]).contains("nothing to do"));
        succeed(folder, &["destroy", "edge"]);
    });
}

#[test]
fn who_comes_before_ours_on_a_hook_is_told() {
    common::in_namespace("who_comes_before_ours_on_a_hook_is_told", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        let other = format!(
            "version = 1\nname = \"other\"\n[object.host]\npath = \"{}/examples/quickstart/host.bpf.o\"\n\
             [program.ingress]\nfrom = \"host:count_ingress\"\n",
            repository().display()
        );
        fs::write(folder.join("other.toml"), other).expect("it can be written");
        succeed(folder, &["plan.toml"]);
        succeed(folder, &["other.toml"]);
        let source = repository().join("tests/status/put_first.c");
        let put_first = folder.join("put_first");
        let Ok(mut compiler) = Command::new("clang").arg(source).arg("-o").arg(&put_first).spawn() else {
            return common::skip("who_comes_before_ours_on_a_hook_is_told", "there is no clang");
        };
        assert!(compiler.wait().expect("it ends").success());
        let both = |state| [("edge", state), ("other", "in-sync")];
        check(folder, &both("in-sync"), &[]);
        let veth = Linux::new().interface("veth0").expect("it can be asked").expect("it is there");
        sh(&format!("{} /sys/fs/bpf/other/programs/ingress {} /sys/fs/bpf/first", put_first.display(), veth.index));
        let value = check(folder, &both("drifted"), &["link.ingress ahead"]);
        let words = value["deployments"][0]["drift"][0]["words"].as_str().expect("text");
        let id = common::tool::ids(folder, "other").programs["ingress"];
        assert!(words.ends_with(&format!("program id {id}")), "{words}");
        sh("rm /sys/fs/bpf/first");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while bpfapply(folder, &["status", "--check"]).code != 0 {
            assert!(std::time::Instant::now() < end, "the link goes with its pin");
        }
        succeed(folder, &["destroy", "other"]);
        succeed(folder, &["destroy", "edge"]);
    });
}

#[test]
fn leftovers_and_bad_records_do_not_hide_the_others() {
    common::in_namespace("leftovers_and_bad_records_do_not_hide_the_others", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        succeed(folder, &["plan.toml"]);
        for name in ["aside", "lost", "newer"] {
            let text = format!(
                "version = 1\nname = \"{name}\"\n[map.a]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\n\
                 max_entries = 1\n"
            );
            fs::write(folder.join(format!("{name}.toml")), text).expect("it can be written");
            succeed(folder, &[&format!("{name}.toml")]);
        }
        // What a run leaves that was killed, beside one that runs and where nothing else is.
        sh("cd /sys/fs/bpf && mkdir aside~9 old~1 old~previous && mkdir nested && mkdir nested/deep~2");
        sh("rm /sys/fs/bpf/lost/record");
        let bytes: Vec<_> = br#"{"format":99}   "#.iter().map(|byte| format!("{byte:02x}")).collect();
        sh(&format!(
            "cd /sys/fs/bpf && rm newer/record && bpftool map create newer/record type array key 4 value {} entries 1 \
             name x && bpftool map update pinned newer/record key hex 00 00 00 00 value hex {}",
            bytes.len(),
            bytes.join(" ")
        ));
        let states = [
            ("aside", "left-over"),
            ("edge", "in-sync"),
            ("lost", "no-record"),
            ("deep", "left-over"),
            ("newer", "no-record"),
            ("old", "left-over"),
        ];
        let value = check(folder, &states, &[]);
        let problem = |at: usize| value["deployments"][at]["problem"]["words"].as_str().expect("text");
        assert_eq!(problem(2), "the record at `/sys/fs/bpf/lost/record` is gone");
        assert!(problem(4).contains("format 99, which is newer"), "{}", problem(4));
        let text = succeed(folder, &["status"]);
        for says in ["edge: in sync", "lost: no record", "`bpfapply adopt MANIFEST`", "aside~9: left by a run", "old~1"]
        {
            assert!(text.contains(says), "{says}: {text}");
        }
        // One alone, by name, manifest and folder.
        for target in ["edge", "plan.toml", "/sys/fs/bpf/edge"] {
            assert!(succeed(folder, &["status", target, "--check"]).starts_with("edge: in sync\n"));
        }
        assert_eq!(bpfapply(folder, &["status", "aside", "--check"]).code, 2);
        assert_eq!(bpfapply(folder, &["status", "nosuch", "--check"]).code, 1);
        // What runs, and nothing leads to it: no apply clears it.
        sh("rm /sys/fs/bpf/edge");
        let said = bpfapply(folder, &["status", "edge", "--check"]);
        assert_eq!(said.code, 2, "{said:?}");
        for says in ["edge: left over", "edge~1: nothing leads to it any more", "`ln -s edge~1 /sys/fs/bpf/edge`"] {
            assert!(said.stdout.contains(says) && !said.stdout.contains("clears it"), "{says}: {said:?}");
        }
        assert_eq!(bpfapply(folder, &["plan.toml"]).code, 1);
        sh("cd /sys/fs/bpf && ln -s edge~1 edge");
        assert!(succeed(folder, &["status", "edge", "--check"]).starts_with("edge: in sync\n"));
        // A newer version's record says more than we could.
        let said = bpfapply(folder, &["adopt", "newer.toml"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("newer"), "{said:?}");
        succeed(folder, &["adopt", "lost.toml"]);
        for name in ["aside", "lost", "edge", "old"] {
            succeed(folder, &["destroy", name]);
        }
        check(folder, &[("deep", "left-over"), ("newer", "no-record")], &[]);
    });
}

#[test]
fn what_cannot_be_read_is_not_passed_over() {
    common::in_namespace("what_cannot_be_read_is_not_passed_over", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        succeed(folder, &["plan.toml"]);
        sh("mount -o remount,ro /sys/fs/bpf");
        let said = bpfapply(folder, &["status", "--check"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stdout.starts_with("edge: cannot be read\n! cannot open the pin"), "{said:?}");
        let said = bpfapply(folder, &["status", "--output", "json"]);
        let value: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let edge = &value["deployments"][0];
        assert_eq!((&edge["deployment"], &edge["state"]), (&"edge".into(), &"unreadable".into()), "{value}");
        assert!(edge["problem"]["words"].as_str().is_some_and(|words| words.contains("Read-only")), "{value}");
        sh("mount -o remount,rw /sys/fs/bpf");
        check(folder, &[("edge", "in-sync")], &[]);
        succeed(folder, &["destroy", "edge"]);
        assert_eq!(bpfapply(folder, &["status", "--check"]).code, 0);
        // As after a boot.
        sh("umount /sys/fs/bpf");
        let said = bpfapply(folder, &["status", "--check"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.stdout.starts_with("no deployments: no bpffs is mounted on /sys/fs/bpf,"), "{said:?}");
        sh("mount -t bpf bpf /sys/fs/bpf");
    });
}

#[test]
fn a_foreign_map_in_the_place_of_ours_outlives_the_deployment() {
    common::in_namespace("a_foreign_map_in_the_place_of_ours_outlives_the_deployment", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        succeed(folder, &["plan.toml"]);
        sh(DISTURBANCES.last().expect("there are some").0);
        succeed(folder, &["destroy", "edge"]);
        sh("bpftool map show pinned /sys/fs/bpf/edge/maps/traffic");
        let said = bpfapply(folder, &["plan.toml"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("taken by a folder that is no deployment's"), "{said:?}");
        sh("rm -r /sys/fs/bpf/edge");
        succeed(folder, &["plan.toml"]);
        succeed(folder, &["destroy", "edge"]);
    });
}

#[test]
fn a_map_has_one_deployment_that_owns_it() {
    common::in_namespace("a_map_has_one_deployment_that_owns_it", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        for (name, more) in [("a", ""), ("b", ""), ("c", "adopt = true\n")] {
            let text = format!(
                "version = 1\nname = \"{name}\"\n[map.m]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\n\
                 max_entries = 1\npin = \"/sys/fs/bpf/shared/m\"\n{more}"
            );
            fs::write(folder.join(format!("{name}.toml")), text).expect("it can be written");
        }
        succeed(folder, &["a.toml"]);
        let plan = succeed(folder, &["b.toml", "--dry-run"]);
        assert!(plan.contains("because it fits, and the deployment `a` owns it"), "{plan}");
        let said = bpfapply(folder, &["c.toml"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("of the deployment `a`, which owns it"), "{said:?}");
        succeed(folder, &["b.toml"]);
        // Who only uses it does not own it, and is named before it loses the pin.
        let words = "in use by b: only programs that run with it keep it then";
        let plan = succeed(folder, &["destroy", "a", "--dry-run"]);
        assert!(plan.contains(words), "{plan}");
        let plan = succeed(folder, &["destroy", "a", "--dry-run", "--output", "json"]);
        let plan: Value = serde_json::from_str(&plan).expect("JSON");
        let used_by = |plan: &Value| -> Vec<Value> {
            let steps = plan["steps"].as_array().expect("steps").iter();
            steps.filter_map(|step| step["details"].get("used_by").cloned()).collect()
        };
        assert_eq!(used_by(&plan), [serde_json::json!(["b"])], "{plan}");
        let other = fs::read_to_string(folder.join("a.toml")).expect("it is there").replace("[map.m]", "[map.n]");
        fs::write(folder.join("n.toml"), other.replace("shared/m", "shared/n")).expect("it can be written");
        let plan = succeed(folder, &["n.toml", "--dry-run"]);
        assert!(plan.contains(words), "an apply that prunes says it, too: {plan}");
        assert!(!succeed(folder, &["destroy", "b", "--dry-run"]).contains("in use"));
        sh("mkdir /sys/fs/bpf/kept; ln /sys/fs/bpf/shared/m /sys/fs/bpf/kept/m");
        succeed(folder, &["destroy", "a"]);
        sh("mkdir -p /sys/fs/bpf/shared; ln /sys/fs/bpf/kept/m /sys/fs/bpf/shared/m; rm -r /sys/fs/bpf/kept");
        succeed(folder, &["c.toml"]);
        for name in ["b", "c"] {
            succeed(folder, &["destroy", name]);
        }
    });
}

#[test]
fn a_map_that_is_made_anew_names_the_deployments_that_use_it() {
    common::in_namespace("a_map_that_is_made_anew_names_the_deployments_that_use_it", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        let write = |name: &str, lines: &str| {
            let text = format!("version = 1\nname = \"{name}\"\n{lines}");
            fs::write(folder.join(format!("{name}.toml")), text).expect("it can be written");
        };
        let owner = |room: u32, on_change: &str| {
            let shape = "type = \"hash\"\nkey_size = 4\nvalue_size = 4\n";
            write("a", &format!("[map.m]\n{shape}max_entries = {room}\non_change = \"{on_change}\"\n"));
        };
        owner(1, "migrate");
        write(
            "b",
            "[map.its]\npinned = \"/sys/fs/bpf/a/maps/m\"\n[map.o]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n",
        );
        succeed(folder, &["a.toml"]);
        succeed(folder, &["b.toml"]);
        assert!(!succeed(folder, &["a.toml", "--dry-run"]).contains("in use"));
        // Ids may be long, and lines with them.
        let dry_run = |arguments: &[&str]| {
            let plan = succeed(folder, &[arguments, &["--dry-run"]].concat());
            plan.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let words = "in use by b: their programs stay with that one, and no longer share it with ours";
        let risk = "risk: 1 map is no longer shared with others";
        for on_change in ["recreate", "migrate"] {
            owner(2, on_change);
            let plan = dry_run(&["a.toml"]);
            assert!(plan.contains(words) && plan.contains(risk), "{plan}");
            let plan = succeed(folder, &["a.toml", "--dry-run", "--output", "json"]);
            let plan: Value = serde_json::from_str(&plan).expect("JSON");
            assert_eq!(plan["steps"][0]["details"]["used_by"], serde_json::json!(["b"]), "{plan}");
        }
        succeed(folder, &["a.toml"]);
        assert!(!succeed(folder, &["rollback", "a", "--dry-run"]).contains("in use"), "b uses the one before");
        succeed(folder, &["b.toml"]);
        let plan = dry_run(&["rollback", "a"]);
        assert!(plan.contains(words) && plan.contains(risk), "{plan}");
        for name in ["b", "a"] {
            succeed(folder, &["destroy", name]);
        }
    });
}

#[test]
fn a_map_without_a_pin_is_named_and_can_be_kept() {
    common::in_namespace("a_map_without_a_pin_is_named_and_can_be_kept", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        let pin = "/sys/fs/bpf/edge/maps/traffic";
        let manifest = fs::read_to_string(folder.join("plan.toml")).expect("it is there");
        let adopts = manifest.replace("[map.traffic]\n", "[map.traffic]\nadopt = true\n");
        fs::write(folder.join("adopts.toml"), adopts).expect("it can be written");
        // A record that was made anew behind that does not know that the map was ours.
        for loses_record in [false, true] {
            succeed(folder, &["plan.toml"]);
            let id = bpftool(&format!("map show pinned {pin}"))["id"].clone();
            sh(&format!("rm {pin}"));
            if loses_record {
                sh("rm /sys/fs/bpf/edge/record");
                let said = bpfapply(folder, &["adopt", "plan.toml"]);
                assert!(said.code == 2 && said.stderr.contains("map.traffic"), "{said:?}");
            }
            let shown = bpfapply(folder, &["show", "edge", "map.traffic"]).stderr;
            let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(loses_record || shown.contains("a dry run of the manifest says"), "{shown}");
            let plan = succeed(folder, &["plan.toml", "--dry-run"]);
            let plan = plan.split_whitespace().collect::<Vec<_>>().join(" ");
            let made = if loses_record { "mkdir -p /sys/fs/bpf/edge/maps && " } else { "" };
            let way_out = format!("{made}bpftool map pin id {id} {pin}");
            assert!(plan.contains(&format!("`{way_out}`")) && plan.contains("needs --allow lose-state"), "{plan}");
            assert_eq!(bpfapply(folder, &["plan.toml"]).code, 4);
            sh(&way_out);
            succeed(folder, &["adopts.toml"]);
            assert_eq!(bpftool(&format!("map show pinned {pin}"))["id"], id);
            assert!(succeed(folder, &["plan.toml", "--dry-run"]).contains("nothing to do"));
            succeed(folder, &["destroy", "edge"]);
        }
    });
}

#[test]
fn a_map_of_ours_is_not_somebody_elses_while_only_its_name_is_gone() {
    common::in_namespace("a_map_of_ours_is_not_somebody_elses_while_only_its_name_is_gone", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        let own = "[map.own]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n";
        let text = |name: &str, table: &str| {
            let text = format!("version = 1\nname = \"a\"\n{own}[map.m]\n{table}");
            fs::write(folder.join(name), text).expect("it can be written");
        };
        text("ours.toml", &format!("pin = \"/sys/fs/bpf/shared/m\"\n{}", &own["[map.own]\n".len()..]));
        text("theirs.toml", "pinned = \"/sys/fs/bpf/shared/m\"\n");
        succeed(folder, &["ours.toml"]);
        sh("rm /sys/fs/bpf/shared/m");
        let said = tool::refused(folder, &["theirs.toml"], 1);
        assert!(said.contains("it was this deployment's, and only its name in there is left"), "{said}");
        succeed(folder, &["ours.toml"]);
        succeed(folder, &["theirs.toml"]);
        sh("bpftool map show pinned /sys/fs/bpf/shared/m");
        succeed(folder, &["destroy", "a"]);
        sh("bpftool map show pinned /sys/fs/bpf/shared/m");
    });
}

#[test]
fn an_apply_that_waits_to_be_confirmed_is_not_in_sync() {
    common::in_namespace("an_apply_that_waits_to_be_confirmed_is_not_in_sync", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        assert_eq!(bpfapply(folder, &["plan.toml", "--confirm", "60s"]).code, 0);
        let value = check(folder, &[("edge", "unconfirmed")], &[]);
        assert!(value["deployments"][0]["unconfirmed"].as_u64().is_some_and(|left| left <= 60), "{value}");
        assert_eq!(bpfapply(folder, &["commit", "edge"]).code, 0);
        check(folder, &[("edge", "in-sync")], &[]);
        succeed(folder, &["destroy", "edge"]);
    });
}

/// Expects a refusal that names the way out.
#[track_caller]
fn names_adopt(said: &Said) {
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("`bpfapply adopt MANIFEST`"), "{said:?}");
}

/// What can become of a record.
const LOSSES: &[&str] = &[
    "rm /sys/fs/bpf/edge/record",
    "cd /sys/fs/bpf/edge && rm record && bpftool map create record type array key 4 value 8 entries 1 name x",
    "cd /sys/fs/bpf/edge && rm record && bpftool map create record type hash key 4 value 8 entries 1 name x",
];

#[test]
fn a_lost_record_loses_nothing() {
    common::in_namespace("a_lost_record_loses_nothing", |room| {
        let Some(folder) = site(room) else { return };
        let folder = folder.path();
        for lose in LOSSES {
            succeed(folder, &["plan.toml"]);
            let ids = common::tool::ids(folder, "edge");
            assert!(succeed(folder, &["adopt", "plan.toml"]).contains("nothing to adopt"));
            sh(lose);
            names_adopt(&bpfapply(folder, &["plan.toml", "--dry-run"]));
            names_adopt(&bpfapply(folder, &["plan.toml"]));
            names_adopt(&bpfapply(folder, &["destroy", "edge"]));
            names_adopt(&bpfapply(folder, &["adopt", "edge"]));
            check(folder, &[("edge", "no-record")], &[]);
            let plan = succeed(folder, &["adopt", "plan.toml", "--dry-run"]);
            assert!(plan.contains("plan: 1 to create, 0 to change, 0 to remove, 9 reused"), "{plan}");
            check(folder, &[("edge", "no-record")], &[]);
            succeed(folder, &["adopt", "plan.toml"]);
            check(folder, &[("edge", "in-sync")], &[]);
            assert_eq!(common::tool::ids(folder, "edge"), ids, "{lose}");
            assert!(succeed(folder, &["plan.toml"]).contains("nothing to do"));
            succeed(folder, &["destroy", "edge"]);
            let left = common::tool::below(Path::new("/sys/fs/bpf"));
            let left: Vec<_> = left.iter().filter(|path| !path.ends_with(".debug")).collect();
            // Who made a folder outside is known to the record alone.
            assert_eq!(left, ["/sys/fs/bpf/globals"], "{lose}");
            assert_eq!(Linux::new().interface("veth0").expect("it can be asked").expect("it is there").xdp, []);
        }
        // What went with the record is named, whatever is left; `status` knows only what is recorded.
        for (lose, missing) in [
            ("rm record links/ingress", "not there to be adopted: link.ingress"),
            (
                "find . -type f -delete; find . -type l -delete; find . -mindepth 1 -type d -delete; true",
                "map.traffic, map.xdp:.rodata, program.egress, program.ingress, program.xdp, link.egress, link.ingress, link.xdp",
            ),
        ] {
            succeed(folder, &["plan.toml"]);
            sh(&format!("cd /sys/fs/bpf/edge/ && {lose}"));
            for (more, rest) in [(&["--dry-run"][..], "is there would be adopted"), (&[], "was there is adopted")] {
                let said = bpfapply(folder, &[&["adopt", "plan.toml"], more].concat());
                let words = said.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(said.code == 2 && words.contains(missing) && words.contains(rest), "{lose}: {said:?}");
            }
            check(folder, &[("edge", "in-sync")], &[]);
            succeed(folder, &["plan.toml"]);
            common::tool::is_settled(folder, "plan.toml", "edge");
            succeed(folder, &["destroy", "edge"]);
        }
    });
}

// The same on the fake kernel.

fn fake() -> Fake {
    let fake = Fake::new();
    fake.add_interface("veth0", true);
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    fake
}

fn text() -> String {
    manifest("", "system.slice")
}

fn root() -> PinPath {
    path("/sys/fs/bpf/edge")
}

/// Plans as `adopt` does.
fn plan_adopt(text: &str, fake: &Fake) -> Result<Plan, Problems> {
    let desired = desired(text, repository(), fake)?;
    let wanted = Wanted { adopts: true, ..Wanted::of(&desired) };
    plan::adopt(&desired, &bpfapply::kernel::observe::observe(fake, &wanted)?)
}

#[track_caller]
fn state(fake: &Fake) -> State {
    status(fake, &root()).expect("it can be read").expect("it is there").state
}

/// Loses the record of a deployment that was made.
fn lost() -> Fake {
    let fake = fake();
    make(&text(), &fake);
    fake.clone().unpin(&fake.real(&root().join("record"))).expect("it is there");
    assert_eq!(state(&fake), State::NoRecord);
    fake
}

#[test]
fn adopting_may_fail_at_any_call() {
    let whole = lost();
    let calls = whole.calls().len();
    run(&good(plan_adopt(&text(), &whole), ""), &whole);
    for n in 1..=whole.calls().len() - calls {
        let fake = lost();
        let plan = good(plan_adopt(&text(), &fake), "");
        fake.fail_nth(n, libc::ENOMEM);
        run(&plan, &fake);
        fake.heal();
        // Whatever was left, the same again gets there.
        if state(&fake) == State::NoRecord {
            let plan = good(plan_adopt(&text(), &fake), "");
            let (outcome, problem) = run(&plan, &fake);
            assert!(problem.is_none(), "call {n}: {outcome:?}");
        }
        run(&good(planned(&text(), &fake), ""), &fake);
        assert_eq!(state(&fake), State::InSync, "call {n}");
        assert!(good(planned(&text(), &fake), "").is_empty(), "call {n}");
        run(&good(plan_destroy("edge", &fake), ""), &fake);
        assert!(fake.is_idle(), "call {n}: {}", fake.dump());
    }
}

/// Returns what adopting records: `map.a ours` for each line but the record.
fn adopted(plan: &Plan) -> Vec<String> {
    let line = |step: &plan::Step| match &step.action {
        Action::ReuseMap { ours: false, .. } => Some(format!("{} foreign", step.action.address())),
        Action::WriteRecord { .. } => None,
        action => {
            assert_eq!(action.marker(), Marker::Reuse, "{action:?}");
            Some(action.address().to_string())
        }
    };
    plan.steps.iter().filter_map(line).collect()
}

#[test]
fn what_a_run_at_work_does_is_no_drift() {
    let mut fake = fake();
    make(&text(), &fake);
    fake.make_directory(&root().generation(9)).expect("it is not there");
    assert_eq!(state(&fake), State::LeftOver);
    let lock = fake.lock(&root().parent().expect("it is in a bpffs")).expect("it can be asked for");
    assert!(lock.is_some());
    assert_eq!(state(&fake), State::Changing);
    drop(lock);
    assert_eq!(state(&fake), State::LeftOver);
}

#[test]
fn only_what_is_evidently_ours_is_adopted() {
    const ALL: [&str; 9] = [
        "map.outside",
        "map.traffic",
        "map.xdp:.rodata",
        "program.egress",
        "program.ingress",
        "program.xdp",
        "link.egress",
        "link.ingress",
        "link.xdp",
    ];
    let fake = lost();
    assert_eq!(adopted(&good(plan_adopt(&text(), &fake), "")), ALL);
    // A manifest of today, with other objects and more in it, records what is there: the rest is for an apply.
    let more = format!("{}[map.more]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 4\n", text());
    let more = more.replace("xdp.bpf.o\"", "xdp.bpf.o\"\nset = { sample_rate = 9 }");
    assert_eq!(adopted(&good(plan_adopt(&more, &fake), "")), ALL);
    run(&good(plan_adopt(&more, &fake), ""), &fake);
    assert_eq!(state(&fake), State::InSync);
    let plan = good(planned(&more, &fake), "");
    assert!(!plan.is_empty());
    run(&plan, &fake);
    assert_eq!(state(&fake), State::InSync);
    // A map that somebody else pinned in the place of ours is not what our program uses.
    let (mut fake, pin) = (lost(), root().join("maps").join("traffic"));
    let theirs = map(&mut fake, 16);
    let at = fake.real(&pin);
    fake.unpin(&at).expect("it is there");
    fake.pin(&theirs, &at).expect("nothing is there");
    let lines = adopted(&good(plan_adopt(&text(), &fake), ""));
    assert!(lines.contains(&"map.traffic foreign".to_owned()), "{lines:?}");
    // A pin outside that has no second name in our folder is not ours.
    let (mut fake, pin) = (lost(), path("/sys/fs/bpf/globals/outside"));
    let theirs = map(&mut fake, 4);
    let at = fake.real(&pin);
    fake.unpin(&at).expect("it is there");
    fake.pin(&theirs, &at).expect("nothing is there");
    let lines = adopted(&good(plan_adopt(&text(), &fake), ""));
    assert!(lines.contains(&"map.outside foreign".to_owned()), "{lines:?}");
}

/// Makes a map.
fn map(fake: &mut Fake, value_size: u32) -> <Fake as Kernel>::Fd {
    fake.create_map(&MapRequest::plain("theirs", MapType::HASH, (4, value_size, 4))).expect("it can be made")
}

/// Loads a program that lets everything pass.
fn foreign(fake: &mut Fake, program_type: ProgramType) -> <Fake as Kernel>::Fd {
    use bpfapply::insn::{EXIT, Insn};
    let insns = [Insn { code: EXIT, ..Insn::default() }];
    fake.load_program(&ProgramRequest::plain("foreign", program_type, &insns)).expect("it can be loaded")
}

#[test]
fn only_those_that_came_before_ours_are_drift() {
    let mut fake = fake();
    let ifindex = fake.interface("veth0").expect("it can be asked").expect("it is there").index;
    let (cgroup, _) = fake.open_cgroup(Path::new("/sys/fs/cgroup/system.slice")).expect("it is there");
    let hooks = [
        (ProgramType::SCHED_CLS, HookRequest::Tcx { ifindex, attach_type: AttachType::TCX_INGRESS }, "link.ingress"),
        (
            ProgramType::CGROUP_SKB,
            HookRequest::Cgroup { cgroup: &cgroup, attach_type: AttachType::CGROUP_INET_EGRESS },
            "link.egress",
        ),
    ];
    for (program_type, hook, address) in &hooks {
        let program = foreign(&mut fake, *program_type);
        let (new, behind, first) =
            (foreign(&mut fake, *program_type), foreign(&mut fake, *program_type), foreign(&mut fake, *program_type));
        // Who was there before ours is no drift, nor who replaced it in place, nor who comes behind.
        let neighbour = fake.create_link(&program, hook).expect("there is room");
        make(&text(), &fake);
        assert_eq!(state(&fake), State::InSync);
        fake.update_link(&neighbour, &new, &program).expect("it runs that one");
        let _behind = fake.create_link(&behind, hook).expect("there is room");
        assert_eq!(state(&fake), State::InSync);
        let first_link = fake.create_link(&first, hook).expect("there is room");
        assert_eq!(state(&fake), State::InSync);
        fake.put_first(&first_link);
        let found = status(&fake, &root()).expect("it can be read").expect("it is there");
        let differences: Vec<_> = found.drift.iter().map(|one| (one.address.as_str(), one.kind)).collect();
        assert_eq!((found.state, differences), (State::Drifted, vec![(*address, DriftKind::Ahead)]));
        let id = fake.program_info(&first).expect("a program").id;
        assert!(found.drift[0].words.contains(&id.to_string()), "{}", found.drift[0].words);
        // An apply has nothing against it.
        assert!(good(planned(&text(), &fake), "").is_empty());
        drop(first_link);
        assert_eq!(state(&fake), State::InSync);
        run(&good(plan_destroy("edge", &fake), ""), &fake);
    }
}
