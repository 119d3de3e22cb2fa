//! Manifests from what runs on a host: applying one changes nothing of a deployment, and says what it does to others.

mod common;

use common::{Room, in_namespace, run, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(arguments: &[&str]) -> Output {
    let limit = std::time::Duration::from_secs(60);
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
    common::output(command.args(arguments).current_dir(root()).env("COLUMNS", "100").env("LC_ALL", "C"), limit)
        .expect("it runs")
}

/// Runs the tool, which has to end with this exit code, and returns what it wrote.
#[track_caller]
fn said(arguments: &[&str], code: i32) -> String {
    let output = tool(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Returns the lines of a plan that are about anything but the record, and no reuse.
fn changes(arguments: &[&str]) -> Vec<String> {
    let plan = said(&[arguments, &["--dry-run", "--output", "json"]].concat(), 0);
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("it is JSON");
    let steps = plan["steps"].as_array().expect("a list").iter();
    let changes = steps.filter(|step| step["marker"] != "=" && step["address"] != "record");
    changes.map(ToString::to_string).collect()
}

/// Compares a text with a file; numbers that differ each time are left out of both.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = root().join("tests/drafts").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).expect("it is writable");
    }
    assert_eq!(text, fs::read_to_string(&path).expect("the file is there"), "{name}: UPDATE=1 writes it");
}

fn folder_and_path() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.toml").display().to_string();
    (folder, path)
}

/// Deploys a manifest, imports it, and looks whether that is the same deployment: with its record, and without.
fn check(manifest: &str, name: &str, objects: &[&str]) -> String {
    said(&[manifest], 0);
    let (_folder, path) = folder_and_path();
    let import =
        |arguments: &[&str]| said(&[&["import", "--name", name], arguments, &["--objects"], objects].concat(), 0);
    import(&["--out", &path]);
    assert_eq!(changes(&[&path]), Vec::<String>::new(), "{}", fs::read_to_string(&path).expect("it is there"));
    let text = fs::read_to_string(&path).expect("it is there");
    assert_eq!(bpfapply::draft::format(&text).expect("it is TOML"), text);
    fs::remove_file(format!("/sys/fs/bpf/{name}/record")).expect("it is pinned");
    import(&["--out", &path, "--force"]);
    said(&["adopt", &path], 0);
    said(&[&path, "--dry-run", "--check"], 0);
    let shown = import(&[]);
    said(&["destroy", name], 0);
    shown
}

#[test]
fn deployments() {
    in_namespace("import-deployments", |_| {
        let text = check("examples/quickstart/plan.toml", "quickstart", &["examples/quickstart"]);
        let manifest = text.split_once("\nversion").expect("it has a head").1;
        golden("import-quickstart.toml", &format!("version{manifest}"));
        check("examples/iproute2-legacy/plan.toml", "iproute2-legacy", &["examples/iproute2-legacy"]);
        let tools = "/usr/lib/x86_64-linux-gnu/bpf";
        match Path::new(tools).join("xdpfilt_alw_ip.o").exists() {
            true => drop(check("examples/xdp-filter/plan.toml", "edge-filter", &[tools])),
            false => skip("import-deployments", "xdp-tools is not installed"),
        }
    });
}

const RICH: &str = r#"
version = 1
name = "rich"
[object.one]
path = "OBJECTS/host.bpf.o"
[object.two]
path = "OBJECTS/host.bpf.o"
maps = { seen = "shared" }
[object.xdp]
path = "OBJECTS/xdp.bpf.o"
set = { sample_rate = 7 }
[map.shared]
from = "xdp:traffic"
pin = "/sys/fs/bpf/shared/traffic"
max_entries = 77
protect = true
mode = 0o640
[program.first]
from = "one:count_ingress"
[program.second]
from = "two:count_egress"
[program.third]
from = "xdp:count_xdp"
protect = true
[link.many]
program = "first"
tc = { interface = ["lo", "d*"], direction = "egress" }
[link.old]
program = "first"
tc = { interface = "lo", direction = "ingress", via = "clsact", priority = 7, protocol = "ipv4" }
[link.generic]
program = "third"
xdp = { interface = "lo", mode = "generic" }
"#;

/// Two instances of one object, a map of another size in a folder of its own, guards, ways and patterns.
#[test]
fn a_rich_deployment() {
    in_namespace("import-rich", |_| {
        run(Command::new("ip").args(["link", "add", "d0", "type", "veth", "peer", "name", "e0"]))
            .expect("an interface");
        let (folder, _) = folder_and_path();
        let path = folder.path().join("rich.toml");
        let objects = root().join("examples/quickstart").display().to_string();
        fs::write(&path, RICH.replace("OBJECTS", &objects)).expect("it is writable");
        said(&[&path.display().to_string()], 0);
        let imported = folder.path().join("imported.toml").display().to_string();
        said(&["import", "--name", "rich", "--objects", &objects, "--out", &imported], 0);
        let text = fs::read_to_string(&imported).expect("it is there");
        assert_eq!(changes(&[&imported]), Vec::<String>::new(), "{text}");
        for part in ["[object.one]", "[object.two]", "sample_rate = 7", "max_entries = 77", "[\"lo\", \"d*\"]"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert_eq!(text.matches("protect").count(), 2, "{text}");
        // Without the objects, what runs is there as comments.
        said(&["import", "--name", "rich", "--out", &imported, "--force"], 0);
        let text = fs::read_to_string(&imported).expect("it is there");
        assert!(text.contains("# [program.first]") && text.contains("No object that was given has it"), "{text}");
        said(&["validate", &imported], 0);
        let unprotected = RICH.replace("OBJECTS", &objects).replace("protect = true", "protect = false");
        fs::write(&path, unprotected).expect("it is writable");
        said(&[&path.display().to_string()], 0);
        said(&["destroy", "rich"], 0);
    });
}

fn others(room: &Room, script: &str) {
    let cgroup = room.cgroup.as_ref().map_or(PathBuf::new(), Clone::clone);
    let script =
        format!("set -e\nCG={}\ncd {}\n{script}", cgroup.display(), root().join("examples/quickstart").display());
    run(Command::new("bash").args(["-c", &script])).expect("the tools do it");
}

/// Returns whether the tools are there that others attach programs with.
fn has_tools() -> bool {
    ["bpftool", "tc", "ip"].iter().all(|tool| Command::new(tool).arg("-V").output().is_ok())
}

#[test]
fn what_others_attached() {
    if !has_tools() {
        return skip("import-others", "bpftool or iproute2 is not installed");
    }
    in_namespace("import-others", |room| {
        others(
            room,
            "ip link add va type veth peer name vb; ip link set va up; ip link set vb up
            P=/sys/fs/bpf/theirs; mkdir $P
            bpftool prog load xdp.bpf.o $P/xdp pinmaps $P/maps
            bpftool prog loadall host.bpf.o $P/host
            bpftool net attach xdpgeneric pinned $P/xdp dev va
            tc qdisc add dev va clsact
            tc filter add dev va ingress prio 3 protocol ip bpf da object-pinned $P/host/count_ingress
            bpftool cgroup attach $CG egress pinned $P/host/count_egress multi",
        );
        let before = run(Command::new("bpftool").args(["prog", "show", "pinned", "/sys/fs/bpf/theirs/xdp"]));
        let (_folder, path) = folder_and_path();
        said(&["import", "--objects", "examples/quickstart", "--out", &path], 0);
        let text = fs::read_to_string(&path).expect("it is there");
        let cgroup = room.cgroup.as_ref().expect("there is one").file_name().expect("a name").to_string_lossy();
        for part in [
            "pinned = \"/sys/fs/bpf/theirs/maps/traffic\"",
            "\n[link.va_xdp]\n",
            // Tests at the same time have programs of this name as well, which then get a number.
            "\nxdp     = { interface = \"va\", mode = \"generic\", via = \"netlink\" }",
            "priority = 3, handle = 1, protocol = \"ipv4\" }",
            &format!("# cgroup  = {{ path = \"{cgroup}\", via = \"attach\" }}"),
            "Nobody pinned `seen`",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        said(&["validate", &path], 0);
        // The two hooks with room for one are taken over, as their comments say, and only when that is allowed.
        said(&[&path], 4);
        said(&[&path, "--allow", "takeover"], 0);
        said(&[&path, "--dry-run", "--check"], 0);
        said(&["destroy", "imported"], 0);
        let after = run(Command::new("bpftool").args(["prog", "show", "pinned", "/sys/fs/bpf/theirs/xdp"]));
        assert_eq!(before.map(|output| output.stdout), after.map(|output| output.stdout), "theirs is theirs");
        others(room, "bpftool cgroup detach $CG egress pinned /sys/fs/bpf/theirs/host/count_egress");
    });
}

#[test]
fn an_empty_host() {
    in_namespace("import-nothing", |_| {
        let text = said(&["import"], 0);
        assert!(text.contains("name    = \"imported\"") && !text.contains("\n[link"), "{text}");
    });
}
