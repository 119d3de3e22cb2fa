//! Saved plans: what the file may say, and that what is applied is what was saved, or nothing.
//!
//! `UPDATE=1 cargo test --test saved` writes the schema anew: look at the difference.

mod common;

use bpfapply::saved::SavedPlan;
use common::{stages, tool};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let path = stages::repository().join("schemas/saved-plan.schema.json");
    let text = serde_json::to_string_pretty(&SavedPlan::schema()).expect("a schema is JSON") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).expect("it can be written");
    }
    assert!(fs::read_to_string(&path).ok().as_deref() == Some(&text), "run `UPDATE=1 cargo test --test saved`");
}

/// Returns a good file.
fn good() -> Value {
    json!({
        "format": 1,
        "id": "e3b0c44298fc1c149afbf4c8996fb924",
        "manifest": { "path": "/etc/edge/plan.toml", "text": "version = 1\nname = \"edge\"\n" },
        "variables": { "uplink": "eth0" },
        "objects": { "filter": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
        "host": {
            "boot": "65c1f8b4-7f0e-4b58-8b5e-8c5d8f1b0c0a",
            "steps": [
                { "address": "map.flows", "expects": { "map_id": 7 } },
                { "address": "link.uplink", "expects": { "absent": "/sys/fs/bpf/edge/links/uplink", "ifindex": 2 } },
            ],
            "pins": { "/sys/fs/bpf/edge/maps/flows": 12 },
        },
    })
}

/// Where a value goes in a good file, and what it makes of it. `null` takes the key away.
const BAD: &[(&str, &str)] = &[
    ("/format", "2"),
    ("/format", "0"),
    ("/format", "\"1\""),
    ("/format", "null"),
    ("/id", "\"e3b0\""),
    ("/id", "\"g3b0c44298fc1c149afbf4c8996fb924\""),
    ("/id", "null"),
    ("/manifest", "\"version = 1\""),
    ("/manifest/text", "null"),
    ("/manifest/more", "1"),
    ("/variables", "[]"),
    ("/variables/uplink", "7"),
    ("/objects/filter", "\"0123\""),
    ("/host", "null"),
    ("/host/boot", "1"),
    ("/host/steps/0/expects/map_id", "-1"),
    ("/host/steps/0/expects/name", "\"flows\""),
    ("/host/steps/0/address", "null"),
    ("/host/pins/~1sys", "\"12\""),
    ("/more", "{}"),
];

/// Puts a value at a JSON pointer whose parent is there.
fn put(file: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = file.pointer_mut(parent).and_then(Value::as_object_mut).expect("it is an object");
    match value {
        Value::Null => drop(parent.remove(key)),
        value => drop(parent.insert(key.replace("~1", "/"), value)),
    }
}

#[test]
fn a_file_that_is_no_saved_plan_is_refused() {
    let schema = jsonschema::validator_for(&SavedPlan::schema()).expect("the schema is one");
    assert!(schema.is_valid(&good()), "{:?}", schema.iter_errors(&good()).map(|e| e.to_string()).collect::<Vec<_>>());
    let read = SavedPlan::decode(&good().to_string()).expect("it is one");
    assert_eq!(SavedPlan::decode(&read.encode()), Ok(read));
    for (pointer, value) in BAD {
        let mut file = good();
        put(&mut file, pointer, serde_json::from_str(value).expect("JSON"));
        assert!(SavedPlan::decode(&file.to_string()).is_err(), "{pointer}: {value}");
        assert!(!schema.is_valid(&file), "{pointer}: {value}");
    }
    // What the schema does not say: ids have 32 bits, and a pin is an absolute path without dots.
    for (pointer, value) in [("/host/steps/0/expects/map_id", 1 << 32), ("/host/pins/..", 1u64)] {
        let mut file = good();
        put(&mut file, pointer, json!(value));
        assert!(SavedPlan::decode(&file.to_string()).is_err(), "{pointer}");
    }
    for text in ["", "null", "[]", "{}", "{\"format\":1}", &"[".repeat(100_000)] {
        assert!(SavedPlan::decode(text).is_err());
    }
}

const MANIFEST: &str = r#"
version = 1
name = "edge"
[var]
uplink = "nowhere"
[object.filter]
path = "filter.o"
[map.drops]
from = "filter:drops"
[program.drop]
from = "filter:drop"
[link.uplink]
program = "drop"
xdp = { interface = "${uplink}", mode = "generic" }
"#;

/// A folder with a manifest, its object, and a saved plan of them for a host with an interface.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        common::run(Command::new("ip").args(["link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]))
            .expect("interfaces");
        let site = Self(tempfile::tempdir().expect("a folder can be made"));
        fs::write(site.path().join("plan.toml"), MANIFEST).expect("it can be written");
        site.object(1);
        site
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn object(&self, version: u32) {
        let object = stages::repository().join(format!("tests/objects/upgrade_{version}.o"));
        fs::copy(object, self.path().join("filter.o")).expect("it can be copied");
    }

    /// Saves the plan, which changes nothing.
    fn save(&self) -> String {
        tool::succeed(self.path(), &["plan.toml", "--var", "uplink=eth0", "--dry-run", "--out", "saved.json"])
    }

    fn file(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path().join("saved.json")).expect("a file")).expect("JSON")
    }

    /// Applies the saved plan, which has to end with this code and say this.
    #[track_caller]
    fn apply(&self, code: i32, says: &str) {
        let said = tool::bpfapply(self.path(), &["--plan", "saved.json"]);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.stdout.contains(says) || said.stderr.contains(says), "{said:?}");
    }
}

#[test]
fn a_saved_plan_is_applied_as_it_is() {
    common::in_namespace("a_saved_plan_is_applied_as_it_is", |_| {
        let site = Site::new();
        let said = site.save();
        assert!(said.ends_with("apply exactly this: bpfapply --plan saved.json\n"), "{said}");
        let mode = fs::metadata(site.path().join("saved.json")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(site.path()).expect("a folder").count(), 3, "nothing else is left");
        let schema = jsonschema::validator_for(&SavedPlan::schema()).expect("the schema is one");
        assert!(schema.is_valid(&site.file()));
        // The manifest is in the file.
        fs::write(site.path().join("plan.toml"), "broken").expect("it can be written");
        tool::succeed(site.path(), &["--plan", "saved.json", "--dry-run"]);
        site.apply(0, "applied: ");
        site.apply(0, "is applied already");
        site.apply(0, "nothing to do: the host matches");
        fs::write(site.path().join("plan.toml"), MANIFEST).expect("it can be written");
        let said = tool::succeed(site.path(), &["plan.toml", "--var", "uplink=eth0"]);
        assert!(said.contains("are as the last apply made them"), "{said}");
        site.save();
        site.apply(0, "nothing to do");
    });
}

#[test]
fn a_saved_plan_is_of_one_state_of_one_host() {
    common::in_namespace("a_saved_plan_is_of_one_state_of_one_host", |_| {
        let site = Site::new();
        let again = || tool::succeed(site.path(), &["plan.toml", "--var", "uplink=eth0"]);
        site.save();
        site.object(2);
        site.apply(75, "`filter.o` has other bytes");
        site.object(1);
        again();
        site.apply(0, "is applied already");
        site.object(2);
        again();
        site.object(1);
        site.apply(75, "not the plan");
        again();
        assert!(Path::new("/sys/fs/bpf/edge/links/uplink").exists());
        // The same state, but other maps, programs and links.
        site.object(2);
        site.save();
        site.object(1);
        tool::succeed(site.path(), &["destroy", "edge"]);
        again();
        site.object(2);
        site.apply(75, "not the same as then: map.drops");
        // Another host, or another boot.
        site.save();
        let mut file = site.file();
        put(&mut file, "/host/boot", json!("65c1f8b4-7f0e-4b58-8b5e-8c5d8f1b0c0a"));
        fs::write(site.path().join("saved.json"), file.to_string()).expect("it can be written");
        site.apply(75, "another host, or it was started again");
        fs::write(site.path().join("saved.json"), "{}").expect("it can be written");
        site.apply(65, "`saved.json` is no saved plan: missing field `format`");
        for arguments in [
            &["--plan", "saved.json", "plan.toml"][..],
            &["--plan", "saved.json", "--var", "uplink=eth1"],
            &["plan.toml", "--out", "saved.json"],
            &["plan.toml", "--dry-run=offline", "--out", "other.json"],
        ] {
            assert_eq!(tool::bpfapply(site.path(), arguments).code, 64, "{arguments:?}");
        }
        let said = tool::bpfapply(site.path(), &["plan.toml", "--var", "uplink=eth0", "--dry-run", "--out", "no/file"]);
        assert_eq!((said.code, said.stderr.contains("cannot write `no/file`")), (1, true), "{said:?}");
    });
}

#[test]
fn a_saved_plan_is_of_the_bytes_of_its_entries() {
    common::in_namespace("a_saved_plan_is_of_the_bytes_of_its_entries", |_| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).expect("it can be written");
        let map = "type = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 4\nentries = \"ports.txt\"\n";
        write("plan.toml", &format!("version = 1\nname = \"edge\"\n[map.ports]\n{map}"));
        write("ports.txt", "80 1\n");
        tool::succeed(folder.path(), &["plan.toml", "--dry-run", "--out", "saved.json"]);
        write("ports.txt", "80 1\n443 1\n");
        let said = tool::bpfapply(folder.path(), &["--plan", "saved.json"]);
        assert_eq!((said.code, said.stderr.contains("`ports.txt` has other bytes")), (75, true), "{said:?}");
        write("ports.txt", "80 1\n");
        tool::succeed(folder.path(), &["--plan", "saved.json"]);
    });
}
