//! Packet tests on the running kernel: each type of program that it runs for a test, what fails and how that reads, and
//! captures that tell what a change does.
//!
//! `tests/packets/build.sh` compiles the object. `UPDATE=1 cargo test --test packets` writes the golden files anew: look at
//! the difference.

mod common;

use common::stages::repository;
use common::tool::{Said, below, bpfapply, refused, succeed};
use common::{Room, in_namespace, output};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn folder() -> PathBuf {
    repository().join("tests/packets")
}

/// Replaces times, which are never the same, in text, JSON and XML.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = match line.split_once(" ns)") {
            Some((before, after)) => {
                let digits = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == ',');
                format!("{digits}N ns){after}")
            }
            None => line.to_owned(),
        };
        let mut rest = line.as_str();
        while let Some((before, after)) = rest.split_once(" time=\"") {
            out.push_str(before);
            out.push_str(" time=\"N");
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

/// Compares with a golden file, or writes it when `UPDATE` is set.
#[track_caller]
fn golden(name: &str, got: &str) {
    let file = folder().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, got).expect("the project is writable");
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert!(wanted == got, "{} is stale: `UPDATE=1 cargo test --test packets` updates it\n{got}", file.display());
}

/// Lists what is in the bpffs, but for what the kernel itself puts there.
fn pins(room: &Room) -> Vec<String> {
    let all = below(Path::new(room.bpffs.as_str()));
    all.into_iter().filter(|path| !path.ends_with(".debug")).collect()
}

/// Returns whether this kernel has every type that the tests are of.
fn has_all(room: &Room) -> bool {
    room.version >= (6, 12)
}

#[test]
fn every_type_is_tested() {
    in_namespace("every_type_is_tested", |room| {
        if !has_all(room) {
            return common::skip("every_type_is_tested", "some types cannot be run for a test before 6.12");
        }
        let said = succeed(&folder(), &["test", "plan.toml"]);
        golden("plan.txt", &without_times(&said));
        assert_eq!(pins(room), [] as [String; 0], "nothing is left");
        let filtered = succeed(&folder(), &["test", "plan.toml", "program.classify"]);
        assert!(filtered.contains("2 passed; 0 failed; 17 left out"), "{filtered}");
    });
}

#[test]
fn failures_say_what_differs() {
    in_namespace("failures_say_what_differs", |_| {
        let xml = std::env::temp_dir().join(format!("bpfapply-packets-{}.xml", std::process::id()));
        let junit = xml.to_str().expect("a path in UTF-8");
        let Said { code, stdout, stderr } = bpfapply(&folder(), &["test", "failing.toml", "--junit", junit]);
        assert_eq!((code, stderr.as_str()), (1, ""), "{stdout}");
        golden("failing.txt", &without_times(&stdout));
        let written = fs::read_to_string(&xml).expect("it was written");
        fs::remove_file(&xml).expect("it is there");
        golden("failing.xml", &without_times(&written));
        let said = bpfapply(&folder(), &["test", "failing.toml", "--output", "json"]);
        let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
        assert_eq!((&json["kind"], &json["passed"], &json["failed"]), (&"tests".into(), &1.into(), &5.into()));
        let first = &json["tests"][1];
        assert_eq!((&first["program"], &first["passed"]), (&"classify".into(), &true.into()), "{first}");
        assert_eq!(first["verdict_name"], "TC_ACT_SHOT");
        assert_eq!(json["tests"][2]["place"]["line"], 13);
    });
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    in_namespace("what_is_wrong_is_said_before_anything_runs", |_| {
        golden("wrong.txt", &refused(&folder(), &["test", "wrong.toml"], 65));
    });
}

/// The tests of the examples pass, and what runs sees nothing of them.
#[test]
fn live_maps_are_left_alone() {
    in_namespace("live_maps_are_left_alone", |_| {
        let folder = repository().join("examples/quickstart");
        succeed(&folder, &["plan.toml"]);
        let map = common::tool::ids(&folder, "quickstart").maps["traffic"];
        let said = succeed(&folder, &["test", "plan.toml"]);
        assert!(said.contains("3 passed; 0 failed"), "{said}");
        let dump = common::tool::bpftool(&format!("map dump id {map}"));
        let hooks: Vec<_> = dump.as_array().into_iter().flatten().filter(|entry| entry["key"] == 0).collect();
        assert!(hooks.is_empty(), "lo got no packet, but the test's: {dump}");
    });
}

/// Tests that cannot run for want of rights are no tests that failed.
#[test]
fn who_may_not_is_told() {
    in_namespace("who_may_not_is_told", |_| {
        if Command::new("setpriv").arg("--version").output().is_err() {
            return common::skip("who_may_not_is_told", "needs setpriv");
        }
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-all", "--inh-caps", "-all", env!("CARGO_BIN_EXE_bpfapply")]);
        command.args(["test", "examples/quickstart/plan.toml"]).current_dir(repository());
        let said = output(&mut command, Duration::from_secs(60)).expect("it runs");
        assert_eq!(said.status.code(), Some(77), "{}", String::from_utf8_lossy(&said.stdout));
    });
}

/// A program runs as often as it says, however long its packet comes back: what it does to maps, it does once.
#[test]
fn a_packet_that_grows_is_run_once() {
    in_namespace("a_packet_that_grows_is_run_once", |_| {
        let said = succeed(&folder(), &["test", "grows.toml"]);
        assert!(said.contains("1 passed; 0 failed"), "{said}");
    });
}

/// The programs of xdp-tools do what their names say, where they are installed.
#[test]
fn the_filters_of_xdp_tools_pass() {
    in_namespace("the_filters_of_xdp_tools_pass", |_| {
        if !Path::new("/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_ip.o").exists() {
            return common::skip("the_filters_of_xdp_tools_pass", "xdp-tools is not installed");
        }
        let said = succeed(&repository().join("examples/xdp-filter"), &["test", "plan.toml"]);
        assert!(said.contains("4 passed; 0 failed"), "{said}");
    });
}

const REQUIRED: &str = r#"
version       = 1
name          = "required"
require_tests = true

[object.packets]
path = "PATH"

[program.filter]
from = "packets:filter"

[link.filter]
program = "filter"
xdp     = { interface = "lo" }
"#;

const PASSES: &str = "[[program.filter.test]]\nname = \"passes\"\npacket = [{ arp = {} }]\nverdict = \"XDP_PASS\"\n";
const FAILS: &str = "[[program.filter.test]]\nname = \"fails\"\npacket = [{ arp = {} }]\nverdict = \"XDP_DROP\"\n";

#[test]
fn required_tests_come_before_everything() {
    in_namespace("required_tests_come_before_everything", |room| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let write = |name: &str, text: &str| fs::write(path.join(name), text).expect("a file");
        write("plan.toml", &REQUIRED.replace("PATH", &self::folder().join("packets.o").display().to_string()));
        let said = refused(path, &["plan.toml"], 65);
        assert!(said.contains("program.filter has no test, and the manifest requires tests"), "{said}");
        write("plan.test.toml", FAILS);
        for arguments in [&["plan.toml"][..], &["plan.toml", "--dry-run=verify"]] {
            let said = refused(path, arguments, 1);
            assert!(said.contains("1 of 1 test failed"), "{said}");
            assert!(said.contains("verdict: expected XDP_DROP, is XDP_PASS"), "{said}");
            assert_eq!(pins(room), [] as [String; 0], "nothing was done");
        }
        write("plan.test.toml", PASSES);
        succeed(path, &["plan.toml", "--dry-run=verify"]);
        succeed(path, &["plan.toml"]);
        // There is nothing to do any more, so that nothing is required.
        write("plan.test.toml", FAILS);
        assert!(succeed(path, &["plan.toml"]).contains("nothing to do"));
    });
}

/// Makes a pcap file of frames of IPv4 and UDP from 10.0.N.M.
fn capture(packets: u32) -> Vec<u8> {
    let word = |number: u32| number.to_le_bytes();
    let mut file = [word(0xa1b2_c3d4), word(4 << 16 | 2), word(0), word(0), word(262_144), word(1)].concat();
    for number in 0..packets {
        let [.., high, low] = number.to_be_bytes();
        let mut frame = vec![0; 42];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14..18].copy_from_slice(&[0x45, 0, 0, 28]);
        frame[22..24].copy_from_slice(&[64, 17]);
        frame[26..34].copy_from_slice(&[10, 0, high, low, 192, 0, 2, 1]);
        frame[34..40].copy_from_slice(&[0x30, 0x39, 0, 53, 0, 8]);
        file.extend([word(0), word(0), word(42), word(42)].concat());
        file.extend(frame);
    }
    file
}

const REPLAYED: &str = r#"
version = 1
name    = "replayed"

[object.packets]
path = "PATH"

[map.blocklist]
from    = "packets:blocklist"
entries = { ENTRIES }

[program.filter]
from = "packets:filter"

[program.lookup]
from = "packets:lookup"

[link.filter]
program = "filter"
xdp     = { interface = "lo" }

[link.lookup]
program   = "lookup"
sk_lookup = {}
"#;

#[test]
fn captures_tell_what_a_change_does() {
    in_namespace("captures_tell_what_a_change_does", |room| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let text = REPLAYED.replace("PATH", &self::folder().join("packets.o").display().to_string());
        let write = |name: &str, entries: &str| {
            fs::write(path.join(name), text.replace("ENTRIES", entries)).expect("a file");
        };
        write("old.toml", "\"10.0.0.0/27\" = 1");
        write("plan.toml", "\"10.0.0.0/26\" = 1, \"10.0.1.7/32\" = 1");
        fs::write(path.join("packets.pcap"), capture(10_000)).expect("a file");
        let alone = ["plan.toml", "--dry-run", "--traffic", "packets.pcap"];
        let said = succeed(path, &alone);
        assert!(said.contains("program.filter: of 10,000 captured packets: 9,935 XDP_TX, 65 XDP_DROP\n"), "{said}");
        assert!(!said.contains("reads only"), "{said}");
        let start = Instant::now();
        let both = [&alone[..], &["--before", "old.toml"]].concat();
        let said = succeed(path, &both);
        eprintln!("10,000 packets, two programs, before and after: {:?}", start.elapsed());
        let lines: Vec<_> = said.lines().skip_while(|line| !line.contains("captured")).collect();
        let lines =
            lines.iter().take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect::<String>();
        golden("traffic.txt", &lines);
        let json = succeed(path, &[&both[..], &["--output", "json"]].concat());
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let change = &json["traffic"]["programs"]["filter"]["changes"][0];
        assert_eq!(
            (&change["from"], &change["to"], &change["count"]),
            (&"XDP_TX".into(), &"XDP_DROP".into(), &33.into())
        );
        let markdown = succeed(path, &[&both[..], &["--output", "markdown"]].concat());
        let start =
            markdown.find("#### Captured packets: 33 get another verdict\n\n```text\n").expect("it is not folded");
        assert!(markdown[start..].contains(&format!("{lines}```\n")), "{markdown}");
        succeed(path, &["plan.toml", "--dry-run=verify", "--traffic", "packets.pcap"]);
        let said = refused(path, &["plan.toml", "--dry-run=offline", "--traffic", "packets.pcap"], 64);
        assert!(said.contains("leave `=offline` or `--traffic` out"), "{said}");
        assert_eq!(pins(room), [] as [String; 0], "nothing was done");
    });
}
