//! The forms of plans and outcomes: which command has which, what the files get, and the schemas of what programs read.
//!
//! `UPDATE=1 cargo test --test outputs` writes the schemas anew: look at the difference.

mod common;

use bpfapply::diag::Exit;
use bpfapply::kernel::Kernel as _;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::linux::Linux;
use bpfapply::names::PinPath;
use bpfapply::report::events::{self, Event};
use bpfapply::report::json::{self, FORMAT};
use bpfapply::report::{entries, explain, inspect, outcome, packet_tests, problems, show, status};
use common::{in_namespace, stages, tool};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A filter on `lo`, of the first version or the second.
fn manifest(version: u32) -> String {
    let object = stages::repository().join(format!("tests/objects/upgrade_{version}.o"));
    format!(
        "version = 1\nname = \"edge\"\n[object.filter]\npath = \"{}\"\n[map.drops]\nfrom = \"filter:drops\"\n\
         [program.drop]\nfrom = \"filter:drop\"\n[link.uplink]\nprogram = \"drop\"\n\
         xdp = {{ interface = \"lo\", mode = \"generic\" }}\n",
        object.display()
    )
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_schemas_are_those_in_the_repository() {
    for (name, schema) in [
        ("plan", json::plan_schema()),
        ("outcome", outcome::schema()),
        ("event", events::schema()),
        ("problems", problems::schema()),
        ("status", status::schema()),
        ("show", show::schema()),
        ("entries", entries::schema()),
        ("test-results", packet_tests::schema()),
        ("inspect", inspect::schema()),
        ("code", explain::listing_schema()),
    ] {
        let path = stages::repository().join(format!("schemas/{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &text).expect("it can be written");
        }
        assert!(fs::read_to_string(&path).ok() == Some(text), "run `UPDATE=1 cargo test --test outputs`");
    }
}

/// Asserts that a schema takes a document, and none of what it becomes when a value is put there; `null` takes a key
/// away.
#[track_caller]
fn check(schema: &Value, good: &Value, bad: &[(&str, &str)]) {
    let schema = jsonschema::validator_for(schema).expect("the schema is one");
    let faults: Vec<_> = schema.iter_errors(good).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}: {good}");
    for (pointer, value) in bad {
        let mut file = good.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
        let parent = file.pointer_mut(parent).and_then(Value::as_object_mut).expect("it is an object");
        match parse(value) {
            Value::Null => assert!(parent.remove(key).is_some(), "{pointer} is not there: {good}"),
            value => drop(parent.insert(key.to_owned(), value)),
        }
        assert!(!schema.is_valid(&file), "the schema takes {pointer} = {value}");
    }
    // What a later version adds is no fault.
    let mut later = good.clone();
    later["format"]["minor"] = json!(99);
    later["later"] = json!({});
    assert!(schema.is_valid(&later));
}

/// What is wrong in every document.
const HEAD: &[(&str, &str)] = &[
    ("/format", "null"),
    ("/format", "1"),
    ("/format/major", "2"),
    ("/format/major", "0"),
    ("/format/major", "1.5"),
    ("/format/minor", "null"),
    ("/format/minor", "-1"),
    ("/kind", "null"),
    ("/kind", "\"picture\""),
];

fn with_head(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [HEAD, more].concat()
}

#[test]
fn the_schemas_tell_good_from_bad() {
    let fake = Fake::new();
    fake.add_interface("lo", false);
    let text = manifest(1);
    let plan = stages::good(stages::plan(&text, &fake), &text);
    let (done, _) = stages::run(&plan, &fake);
    let again = stages::good(stages::plan(&text, &fake), &text);
    let (same, _) = stages::run(&again, &fake);
    let outcomes = with_head(&[
        ("/deployment", "null"),
        ("/verdict", "\"well\""),
        ("/exit", "\"0\""),
        ("/counts/create", "-1"),
        ("/counts/reuse", "null"),
        ("/steps", "null"),
        ("/steps", "{}"),
        ("/steps/0/marker", "\"!!\""),
        ("/steps/0/address", "7"),
        ("/steps/0/action", "null"),
        ("/steps/0/status", "\"fine\""),
        ("/steps/0/status", "\"staged\""),
        ("/steps/0/reason", "1"),
    ]);
    for outcome in [&done, &same] {
        check(&outcome::schema(), &parse(&outcome::json(outcome)), &outcomes);
    }
    let line = |event| parse(&events::line(event, 7, 1_700_000_000_000));
    let always = [("/seq", "null"), ("/seq", "-1"), ("/time", "1700000000"), ("/kind", "\"step\"")];
    for (event, more) in [
        (Event::Start(&plan), &[("/plan", "null"), ("/steps", "[]"), ("/deployment", "1")][..]),
        (Event::Outcome(&done, Exit::Success), &[("/verdict", "\"staged\""), ("/exit", "null"), ("/counts", "7")]),
        (Event::Matches(&plan), &[("/verdict", "null"), ("/exit", "300")]),
    ] {
        check(&events::schema(), &line(event), &with_head(&[&always, more].concat()));
    }
    let step = bpfapply::apply::Progress::Staged;
    let bad =
        [("/step", "null"), ("/step", "-1"), ("/status", "\"not-reached\""), ("/marker", "\"=>\""), ("/reason", "1")];
    check(&events::schema(), &line(Event::Step(&plan, 0, step)), &with_head(&bad));
}

/// Returns what `--dry-run --output json` writes of a case of `tests/plans`.
fn golden(case: &str) -> Value {
    parse(&read(&stages::repository().join("tests/plans").join(case), "plan.json"))
}

#[test]
fn the_schema_of_plans_tells_good_from_bad() {
    let always = with_head(&[
        ("/id", "\"e3b0\""),
        ("/id", "null"),
        ("/deployment", "null"),
        ("/pin_root", "7"),
        ("/manifest", "7"),
        ("/mode", "\"dry\""),
        ("/changes", "null"),
        ("/changes", "\"yes\""),
        ("/counts/create", "-1"),
        ("/counts/reuse", "null"),
        ("/needs", "[\"luck\"]"),
        ("/needs", "{}"),
        ("/allowed", "null"),
        ("/sweep", "7"),
        ("/objects", "[]"),
        ("/steps", "null"),
        ("/steps", "{}"),
        ("/steps/0/marker", "\"=>\""),
        ("/steps/0/marker", "null"),
        ("/steps/0/address", "7"),
        ("/steps/0/action", "\"guess\""),
        ("/steps/0/what", "null"),
        ("/steps/0/details", "null"),
        ("/steps/0/because", "\"it is new\""),
        ("/steps/0/because/kind", "\"luck\""),
        ("/steps/0/because/kind", "null"),
        ("/steps/0/because/words", "null"),
        ("/steps/0/drift", "7"),
        ("/steps/0/traffic", "\"jam\""),
        ("/steps/0/traffic", "null"),
        ("/steps/0/state", "\"LOST\""),
        ("/steps/0/entries", "-1"),
        ("/steps/0/verifier", "\"maybe\""),
        ("/steps/0/verified_instructions", "\"7\""),
        ("/steps/0/needs", "\"luck\""),
        ("/steps/0/expects", "null"),
        // What must be is closed: nobody may overlook a part of it.
        ("/steps/0/expects/more", "1"),
        ("/steps/0/expects/map_id", "\"7\""),
        ("/steps/0/place", "{ \"line\": 0, \"column\": 1 }"),
        ("/traffic", "{}"),
        ("/explained", "{}"),
    ]);
    let load = [
        ("/objects/filter/sha256", "\"0123\""),
        ("/objects/filter/path", "null"),
        ("/steps/3/details/program/type", "7"),
        ("/steps/3/details/program/function", "null"),
        ("/steps/3/details/program/uses", "{}"),
        ("/steps/3/details/program/fingerprint", "\"0123\""),
        ("/steps/0/details/map/max_entries", "-1"),
        ("/steps/0/details/map/flags", "\"mmapable\""),
    ];
    let replay = [
        ("/traffic/packets", "-1"),
        ("/traffic/capture", "null"),
        ("/traffic/programs/drop/after", "7"),
        ("/traffic/programs/drop/before/XDP_PASS", "\"many\""),
        ("/traffic/programs/drop/changes", "{}"),
    ];
    for (case, more) in [("code-changed", &load[..]), ("captured-packets", &replay), ("refused", &[]), ("against", &[])]
    {
        check(&json::plan_schema(), &golden(case), &[&always, more].concat());
    }
}

#[test]
fn the_schema_of_problems_tells_good_from_bad() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("plan.toml"), "version = 1\nname = \"edge\"\nnmae = 1\n").expect("written");
    let of = |arguments: &[&str]| parse(&tool::bpfapply(folder.path(), arguments).stdout);
    let problem = [
        ("/problems", "null"),
        ("/problems", "{}"),
        ("/problems/0/code", "null"),
        ("/problems/0/message", "7"),
        ("/problems/0/file", "7"),
        ("/problems/0/line", "0"),
        ("/problems/0/column", "\"1\""),
        ("/problems/0/label", "7"),
        ("/problems/0/help", "[]"),
        ("/problems/0/also", "{}"),
    ];
    let prevented = [("/exit", "null"), ("/exit", "300"), ("/problems", "[]")];
    let checked = [("/valid", "null"), ("/valid", "7"), ("/files", "null"), ("/files", "[7]")];
    let (plan, validate) = (["plan.toml", "--output", "json"], ["validate", "plan.toml", "--output", "json"]);
    for (command, kind, more) in [(&plan[..], "problems", &prevented[..]), (&validate, "validate", &checked)] {
        let document = of(command);
        assert_eq!(document["kind"], kind);
        assert_eq!(document["problems"][0]["line"], 3, "{document}");
        check(&problems::schema(), &document, &with_head(&[&problem, more].concat()));
    }
}

/// Runs a command that succeeds, and returns the document that it writes.
#[track_caller]
fn shown(folder: &Path, command: &[&str]) -> Value {
    parse(&tool::succeed(folder, &[command, &["--output", "json"]].concat()))
}

#[test]
fn the_schemas_of_what_a_host_has_tell_good_from_bad() {
    in_namespace("outputs-shown", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("plan.toml"), manifest(1)).expect("written");
        check(&status::schema(), &shown(folder, &["status"]), &with_head(&[("/deployments", "null")]));
        tool::succeed(folder, &["plan.toml"]);
        fs::write(folder.join("plan.toml"), manifest(2)).expect("written");
        assert_eq!(tool::bpfapply(folder, &["plan.toml", "--confirm", "60s"]).code, 0);
        fs::remove_file("/sys/fs/bpf/edge/programs/drop").expect("it is there");
        fs::create_dir("/sys/fs/bpf/edge~9").expect("it is not there");
        let found = shown(folder, &["status", "edge"]);
        assert_eq!(
            (&found["deployments"][0]["unconfirmed"].is_u64(), &found["deployments"][0]["state"]),
            (&true, &json!("drifted"))
        );
        let of_status = [
            ("/deployments", "{}"),
            ("/deployments/0/state", "\"well\""),
            ("/deployments/0/state", "null"),
            ("/deployments/0/deployment", "7"),
            ("/deployments/0/generation", "\"2\""),
            ("/deployments/0/made/maps", "-1"),
            ("/deployments/0/made/manifest", "null"),
            ("/deployments/0/previous", "null"),
            ("/deployments/0/unconfirmed", "true"),
            ("/deployments/0/watched", "7"),
            ("/deployments/0/at_work", "7"),
            ("/deployments/0/drift", "{}"),
            ("/deployments/0/drift/0/kind", "\"odd\""),
            ("/deployments/0/drift/0/address", "null"),
            ("/deployments/0/leftovers", "[7]"),
            ("/deployments/0/problem", "\"none\""),
            ("/unmounted", "true"),
        ];
        check(&status::schema(), &found, &with_head(&of_status));
        fs::remove_dir("/sys/fs/bpf/edge~9").expect("it is there");
        tool::succeed(folder, &["commit", "edge"]);
        tool::succeed(folder, &["plan.toml"]);
        let of_show = [
            ("/deployment", "null"),
            ("/pin_root", "7"),
            ("/manifest", "7"),
            ("/now", "\"7\""),
            ("/maps", "null"),
            ("/maps/0/id", "-1"),
            ("/maps/0/type", "7"),
            ("/maps/0/max_entries", "null"),
            ("/maps/0/entries", "\"7\""),
            ("/maps/0/ours", "null"),
            ("/maps/0/pin", "7"),
            ("/programs/0/tag", "\"0123\""),
            ("/programs/0/load_time", "null"),
            ("/programs/0/protected", "\"since\""),
            ("/links/0/hook", "null"),
            ("/links/0/program_id", "\"7\""),
            ("/links/0/around", "7"),
        ];
        check(&show::schema(), &shown(folder, &["show", "edge"]), &with_head(&of_show));
        let of_map = [
            ("/address", "null"),
            ("/id", "-1"),
            ("/type", "7"),
            ("/max_entries", "null"),
            ("/masked", "null"),
            ("/entries", "{}"),
            ("/entries/0/key", "null"),
            ("/entries/0/values", "[1]"),
            ("/count", "null"),
            ("/shown", "-1"),
        ];
        let held = shown(folder, &["show", "edge", "map.drops"]);
        check(&entries::schema(), &held, &with_head(&of_map));
        let of_rates = [
            ("/address", "null"),
            ("/seconds", "\"1\""),
            ("/changed", "-1"),
            ("/new", "null"),
            ("/gone", "null"),
            ("/entries", "[]"),
            ("/rows", "null"),
        ];
        let rates = shown(folder, &["show", "edge", "map.drops", "--watch=1s", "--count", "1"]);
        assert_eq!(rates["kind"], "rates");
        check(&entries::schema(), &rates, &with_head(&of_rates));
        tool::succeed(folder, &["destroy", "edge"]);
    });
}

#[test]
fn the_schemas_of_objects_tell_good_from_bad() {
    let objects = stages::repository().join("tests/objects");
    let of_object = with_head(&[
        ("/path", "null"),
        ("/size", "-1"),
        ("/sha256", "\"0123\""),
        ("/byte_order", "\"middle\""),
        ("/license", "7"),
        ("/btf", "null"),
        ("/maps/0/index", "-1"),
        ("/maps/0/dialect", "\"rust\""),
        ("/maps/0/type", "null"),
        ("/maps/0/flags", "\"none\""),
        ("/maps/0/slots", "7"),
        ("/programs/0/function", "null"),
        ("/programs/0/type", "7"),
        ("/programs/0/autoload", "null"),
        ("/programs/0/instructions", "\"7\""),
        ("/programs/0/problems", "null"),
        ("/externs", "null"),
        ("/needs", "7"),
    ]);
    let schema = jsonschema::validator_for(&inspect::schema()).expect("the schema is one");
    let mut seen = 0;
    for file in fs::read_dir(&objects).expect("a folder").map(|file| file.expect("a file").path()) {
        if file.extension().is_none_or(|extension| extension != "o") {
            continue;
        }
        let said = tool::bpfapply(&objects, &["inspect", file.to_str().expect("UTF-8"), "--output", "json"]);
        let document = parse(&said.stdout);
        let faults: Vec<_> = schema.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert!(document["kind"] != "inspect" || faults.is_empty(), "{}: {faults:#?}", file.display());
        seen += usize::from(document["kind"] == "inspect");
    }
    assert!(seen > 20, "only {seen} objects");
    check(&inspect::schema(), &shown(&objects, &["inspect", "upgrade_1.o"]), &of_object);
    let of_code = with_head(&[
        ("/path", "7"),
        ("/programs", "null"),
        ("/programs/0/program", "null"),
        ("/programs/0/functions/0/fate", "\"odd\""),
        ("/programs/0/functions/0/lines/0/sign", "\"*\""),
        ("/programs/0/functions/0/lines/0/text", "null"),
    ]);
    check(&explain::listing_schema(), &shown(&objects, &["inspect", "upgrade_1.o", "--code"]), &of_code);
}

/// Runs a command that fails before it has a document, and returns what it writes instead.
#[track_caller]
fn prevented(folder: &Path, command: &[&str], code: i32) -> Vec<String> {
    let said = tool::bpfapply(folder, &[command, &["--output", "json"]].concat());
    assert_eq!(said.code, code, "{command:?}: {said:?}");
    let document = parse(&said.stdout);
    let schema = jsonschema::validator_for(&problems::schema()).expect("the schema is one");
    assert!(schema.is_valid(&document), "{command:?}: {document}");
    assert_eq!((&document["kind"], &document["exit"]), (&json!("problems"), &json!(code)), "{command:?}");
    let problems = document["problems"].as_array().expect("a list").iter();
    problems.map(|problem| problem["code"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn what_prevents_a_document_is_one() {
    const TYPOS: &[&str] = &["manifest::unknown_key", "manifest::missing_key", "manifest::no_hook"];
    in_namespace("outputs-prevented", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("plan.toml"), manifest(1)).expect("written");
        fs::write(folder.join("typo.toml"), "version = 1\nname = \"edge\"\nnmae = 1\n[link.a]\n").expect("written");
        fs::write(folder.join("gone.toml"), manifest(1).replace("\"lo\"", "\"none\"")).expect("written");
        fs::write(folder.join("no.o"), "no ELF").expect("written");
        let both = "version = 1\nname = \"edge\"\n[object.bad]\npath = \"no.o\"\nmpas = {}\n[object.gone]\npath = \"gone.o\"\n\
                    [object.unclear]\npath = 7\n";
        fs::write(folder.join("both.toml"), both).expect("written");
        let cases: &[(&[&str], i32, &[&str])] = &[
            (&["typo.toml"], 65, TYPOS),
            // What is named well is read all the same.
            (
                &["both.toml"],
                65,
                &["object::invalid", "manifest::unknown_key", "object::unreadable", "manifest::wrong_type"],
            ),
            (&["typo.toml", "--dry-run=offline"], 65, TYPOS),
            (&["test", "typo.toml"], 65, TYPOS),
            (&["graph", "typo.toml"], 65, TYPOS),
            (&["gone.toml", "--dry-run"], 1, &["host::no_interface"]),
            (&["gone.toml", "--dry-run=verify"], 1, &["host::no_interface"]),
            (&["plan.toml", "--dry-run=offline", "--against", "none.json"], 65, &["object::unreadable"]),
            (&["plan.toml", "--dry-run", "--explain", "map.none"], 64, &["usage"]),
            (&["plan.toml", "--var", "none=1"], 64, &["manifest::unknown_override"]),
            (&["plan.toml", "--output-file", "json=none/out.json"], 1, &["plan::unwritable"]),
            (&["--plan", "no.o"], 65, &["plan::not_saved"]),
            (&["validate", "plan.toml", "--var-file", "none"], 65, &["object::unreadable"]),
            (&["rollback", "edge"], 1, &["host::no_deployment"]),
            (&["commit", "edge"], 1, &["host::no_deployment"]),
            (&["destroy", "edge"], 1, &["host::no_deployment"]),
            (&["adopt", "edge"], 1, &["host::no_deployment"]),
            (&["show", "none"], 1, &["host::no_deployment"]),
            (&["status", "none"], 1, &["host::no_deployment"]),
            (&["export", "--out", "none/state.json"], 1, &["plan::unwritable"]),
            (&["inspect", "no.o"], 65, &["object::invalid"]),
            (&["init", "no.o"], 65, &["object::invalid"]),
            (&["status", "--events", "events"], 64, &["usage"]),
            (&["explain", "none::such"], 64, &["usage"]),
            (&["plan.toml", "--bogus"], 64, &["usage"]),
            (&["plan.toml", "--allow", "lose"], 64, &["usage"]),
            (&["plan.toml", "typo.toml"], 64, &["usage"]),
            (&["--dry-run"], 64, &["usage"]),
            (&["apply"], 64, &["usage"]),
            (&["graph", "plan.toml", "--out", "plan.png"], 64, &["usage"]),
            (&["test", "plan.toml", "none"], 64, &["usage"]),
            (&["destroy", "/sys/fs/bpf/edge~1"], 64, &["usage"]),
            (&["import", "--objects", "none.o"], 65, &["object::unreadable"]),
            (&["import", "--objects", "."], 65, &["object::unreadable"]),
        ];
        for (command, code, codes) in cases {
            assert_eq!(prevented(folder, command, *code), *codes, "{command:?}");
        }
    });
}

/// Runs a command that may take back what it did, and returns the one document that it writes.
#[track_caller]
fn outcome_of(folder: &Path, command: &[&str], code: i32) -> Value {
    let said = tool::bpfapply(folder, &[command, &["--output", "json", "--output-file", "json=out.json"]].concat());
    assert_eq!(said.code, code, "{command:?}: {said:?}");
    let document = parse(&said.stdout);
    assert_eq!(document, parse(&read(folder, "out.json")), "the file has the same");
    let schema = jsonschema::validator_for(&outcome::schema()).expect("the schema is one");
    assert!(schema.is_valid(&document), "{document}");
    assert_eq!((&document["kind"], &document["exit"]), (&json!("outcome"), &json!(code)), "{document}");
    document
}

#[test]
fn what_a_run_takes_back_is_in_its_one_document() {
    in_namespace("outputs-taken-back", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        // It passes until the generation runs.
        let fails_for = |version: u32, runs: &str| {
            let script = format!("test \"$(readlink /sys/fs/bpf/edge)\" != {runs}");
            let check = format!("[[check]]\nname = \"c\"\ncommand = [\"sh\", \"-c\", '{script}']\ntimeout = \"9s\"\n");
            fs::write(folder.join("plan.toml"), manifest(version) + &check).expect("written");
        };
        let first = |document: &Value, generation: u64| {
            assert_eq!(document["taken_back"], json!({ "generation": generation, "because": "checks" }), "{document}");
            assert_eq!(document["verdict"], "failed-as-before", "{document}");
            assert_eq!(document["problems"][0]["code"], "host::checks_failed", "{document}");
            let is_done = |step: &Value| step["status"] == "done" || step["status"] == "reused";
            for steps in [&document["steps"], &document["way_back"]["steps"]] {
                assert!(
                    steps.as_array().is_some_and(|steps| !steps.is_empty() && steps.iter().all(is_done)),
                    "{document}"
                );
            }
            assert_eq!(document["way_back"]["verdict"], "applied", "{document}");
        };
        fails_for(1, "edge~1");
        first(&outcome_of(folder, &["plan.toml"], 1), 1);
        fails_for(1, "none");
        let document = outcome_of(folder, &["plan.toml", "--confirm", "60s"], 0);
        assert!(document["unconfirmed"].as_u64().is_some_and(|left| left > 0 && left <= 69), "{document}");
        let status = |command: &[&str]| {
            let document = parse(&tool::bpfapply(folder, &[command, &["--output", "json"]].concat()).stdout);
            assert_eq!(document["kind"], "status", "{document}");
            document["deployments"][0].clone()
        };
        let waits = status(&["status", "edge"]);
        assert_eq!((&waits["state"], &waits["watched"]), (&json!("unconfirmed"), &json!(true)), "{waits}");
        let kept = status(&["commit", "edge"]);
        assert_eq!((&kept["state"], &kept["watched"]), (&json!("in-sync"), &json!(false)), "{kept}");
        let runs = fs::read_link("/sys/fs/bpf/edge").expect("it runs").display().to_string();
        let number: u64 = runs.trim_start_matches("edge~").parse().expect("a number");
        fails_for(2, &format!("edge~{}", number + 1));
        first(&outcome_of(folder, &["plan.toml"], 1), number + 1);
        let rejected = json!({ "generation": number + 1, "because": "checks" });
        assert_eq!(status(&["status", "edge"])["rejected"], rejected);
        let document = outcome_of(folder, &["destroy", "edge"], 0);
        for key in ["taken_back", "way_back", "unconfirmed", "problems"] {
            assert!(document.get(key).is_none(), "{document}");
        }
    });
}

#[test]
fn what_could_not_be_taken_back_is_not_told_as_taken_back() {
    in_namespace("outputs-not-taken-back", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let apply = |version: u32, more: &[&str]| {
            fs::write(folder.join("plan.toml"), manifest(version)).expect("written");
            outcome_of(folder, &[&["plan.toml"], more].concat(), 0);
        };
        // An apply whose time is over, and nobody took it back.
        let unwatched = || {
            apply(2, &["--confirm", "3s"]);
            let generation = fs::read_link("/sys/fs/bpf/edge").expect("it leads somewhere");
            let generation = Path::new("/sys/fs/bpf").join(generation);
            let generation = PinPath::new(generation.to_str().expect("UTF-8")).expect("a path");
            let watchdog = Linux::new().lock_holder(&generation).expect("it can be asked");
            let pid = watchdog.expect("somebody watches").pid.to_string();
            assert!(Command::new("kill").args(["-KILL", &pid]).status().is_ok_and(|status| status.success()));
            std::thread::sleep(Duration::from_secs(4));
        };
        apply(1, &[]);
        unwatched();
        // Nothing can take it back, as no switch works.
        let stuck = |arguments: &[&str], more: &[&str], code: i32| {
            let mut traced = Command::new("strace");
            traced.args(["-qq", "-o", "calls", "-e", "trace=rename,bpf", "-e", "inject=rename:error=ENOMEM"]);
            traced.args(more).arg(env!("CARGO_BIN_EXE_bpfapply")).args(arguments).args(["--output", "json"]);
            let Ok(said) = traced.current_dir(folder).output() else {
                common::skip("outputs-not-taken-back", "there is no strace");
                return None;
            };
            assert_eq!(said.status.code(), Some(code), "{said:?}");
            Some((parse(&String::from_utf8_lossy(&said.stdout)), String::from_utf8_lossy(&said.stderr).into_owned()))
        };
        let Some((document, _)) = stuck(&["plan.toml"], &[], 75) else { return };
        assert_eq!((&document["kind"], &document["verdict"]), (&json!("outcome"), &json!("failed-as-before")));
        assert!(document.get("taken_back").is_none(), "{document}");
        let codes: Vec<_> =
            document["problems"].as_array().into_iter().flatten().map(|it| it["code"].clone()).collect();
        assert_eq!(codes, ["kernel::refused", "host::unconfirmed"], "{document}");
        // Then it is kept, and that is what is said.
        let Some((document, errors)) = stuck(&["commit", "edge"], &[], 0) else { return };
        assert_eq!(document["kind"], "status", "{document}");
        let edge = &document["deployments"][0];
        assert_eq!((&edge["state"], &edge["generation"]), (&json!("in-sync"), &json!(2)), "{edge}");
        assert!(edge["unconfirmed"].is_null() && errors.contains("kernel::refused"), "{edge}: {errors}");
        // Nor can what it did before be undone: then the link runs what ran before, in a generation that has another.
        let calls = read(folder, "calls");
        let calls: Vec<&str> = calls.lines().filter(|line| line.starts_with("bpf(")).collect();
        let undo = calls.iter().rposition(|call| call.contains("BPF_LINK_UPDATE")).expect("it is undone");
        // The same from the start, so that the calls are the same.
        tool::succeed(folder, &["destroy", "edge"]);
        apply(1, &[]);
        unwatched();
        let no_undo = format!("inject=bpf:error=ENOMEM:when={}", undo + 1);
        let Some((document, errors)) = stuck(&["commit", "edge"], &["-e", &no_undo], 3) else { return };
        let edge = &document["deployments"][0];
        assert_eq!((&edge["state"], &edge["drift"][0]["kind"]), (&json!("drifted"), &json!("runs")), "{edge}");
        assert!(edge["unconfirmed"].is_null() && errors.contains("host::kept_in_part"), "{edge}: {errors}");
        tool::succeed(folder, &["plan.toml"]);
        tool::is_settled(folder, "plan.toml", "edge");
        // Without its record nobody knows whether all is as it was made.
        tool::succeed(folder, &["destroy", "edge"]);
        apply(1, &[]);
        unwatched();
        fs::remove_file("/sys/fs/bpf/edge/record").expect("it is there");
        let said = tool::bpfapply(folder, &["commit", "edge"]);
        assert!(said.code == 3 && said.stderr.contains("its record cannot be read"), "{said:?}");
        tool::succeed(folder, &["adopt", "plan.toml"]);
        tool::is_settled(folder, "plan.toml", "edge");
    });
}

/// Tests that fail, in the manifest and beside it.
const FAILING: [&str; 2] = [
    "[[program.filter.test]]\nname = \"first\"\npacket = [{ ipv4 = {} }, { udp = {} }]\nverdict = \"XDP_ABORTED\"\n",
    "[[program.filter.test]]\nname = \"second\"\npacket = [{ ipv4 = {} }, { udp = {} }]\nverdict = \"XDP_ABORTED\"\n",
];

#[test]
fn packet_tests_that_fail_are_told_in_every_form() {
    in_namespace("outputs-packet-tests", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let object = stages::repository().join("tests/packets/packets.o");
        let manifest = format!(
            "version = 1\nname = \"edge\"\nrequire_tests = true\n[object.packets]\npath = \"{}\"\n\
             [program.filter]\nfrom = \"packets:filter\"\n{}",
            object.display(),
            FAILING[0]
        );
        fs::write(folder.join("plan.toml"), manifest).expect("written");
        fs::write(folder.join("plan.test.toml"), FAILING[1]).expect("written");
        let command = ["plan.toml", "--dry-run=verify"];
        assert_eq!(prevented(folder, &command, 1), ["test::failed"; 3]);
        let said = |form| tool::bpfapply(folder, &[&command[..], &["--output", form]].concat()).stdout;
        let (github, markdown) = (said("github"), said("markdown"));
        for (file, line, name) in [("plan.toml", 8, "first"), ("plan.test.toml", 1, "second")] {
            let failed = format!("the test `program.filter: {name}` failed: verdict: expected XDP_ABORTED, is XDP_");
            let annotation = format!("::error file={file},line={line},col=");
            let annotation = github.lines().find(|line| line.starts_with(&annotation));
            assert!(annotation.is_some_and(|line| line.contains(&failed)), "{name}: {github}");
            assert!(markdown.contains(&format!("- `{file}:{line}:")) && markdown.contains(&failed), "{markdown}");
        }
        assert!(github.contains("2 of 2 tests failed") && markdown.contains("2 of 2 tests failed"), "{github}");
        let results = tool::bpfapply(folder, &["test", "plan.toml", "--output", "json"]);
        let bad = with_head(&[
            ("/deployment", "null"),
            ("/passed", "-1"),
            ("/failed", "null"),
            ("/filtered", "\"0\""),
            ("/tests", "{}"),
            ("/tests/0/program", "7"),
            ("/tests/0/name", "null"),
            ("/tests/0/passed", "1"),
            ("/tests/0/verdict", "\"XDP_PASS\""),
            ("/tests/0/verdict_name", "2"),
            ("/tests/0/nanoseconds", "-1"),
            ("/tests/0/failures", "null"),
            ("/tests/0/place/line", "0"),
        ]);
        check(&packet_tests::schema(), &parse(&results.stdout), &bad);
    });
}

#[test]
fn examples_are_written_as_the_schema_has_plans() {
    let schema = jsonschema::validator_for(&json::plan_schema()).expect("the schema is one");
    in_namespace("outputs-examples", move |_| {
        let examples = stages::repository().join("examples");
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state.json").display().to_string();
        tool::succeed(folder.path(), &["export", "--out", &state]);
        for example in ["quickstart", "iproute2-legacy"] {
            for (mode, more) in [
                ("live", &["--explain", "program.xdp"][..]),
                ("verify", &[]),
                ("offline", &[]),
                ("offline", &["--against", &state]),
            ] {
                let mode = format!("--dry-run={mode}");
                let more =
                    if example == "quickstart" || more.len() != 2 || more[0] == "--against" { more } else { &[] };
                let command = [&["plan.toml", mode.as_str(), "--output", "json"], more].concat();
                let plan = parse(&tool::succeed(&examples.join(example), &command));
                let faults: Vec<_> = schema.iter_errors(&plan).map(|fault| fault.to_string()).collect();
                assert!(faults.is_empty(), "{example} {command:?}: {faults:#?}");
            }
        }
    });
}

#[test]
fn manifests_are_checked_in_every_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("plan.toml"), manifest(1)).expect("written");
    fs::write(folder.join("typo.toml"), "version = 1\nname = \"core\"\nnmae = 1\n").expect("written");
    let files = ["--output-file", "json=out.json", "--output-file", "text=out.txt"];
    let of = |more: &[&str], code| {
        let said = tool::bpfapply(folder, &[&["validate", "plan.toml", "typo.toml"], more].concat());
        assert_eq!(said.code, code, "{said:?}");
        said
    };
    let github = of(&["--output", "github"], 65).stdout;
    let lines: Vec<&str> = github.lines().collect();
    assert_eq!(lines[0], "::notice file=plan.toml,title=valid::1 object, 1 map, 1 program, 1 link");
    assert!(lines[1].starts_with("::error file=typo.toml,line=3,col=1,title=manifest%3A%3Aunknown_key::"), "{github}");
    let markdown = of(&["--output", "markdown"], 65).stdout;
    for words in [
        "<!-- bpfapply:validate:edge -->\n### bpfapply: `edge`\n\n**valid**: 1 object, 1 map",
        "\n\n<!-- bpfapply:plan:core -->\n### bpfapply: `core`\n\n> [!CAUTION]\n",
        "`typo.toml:3:1`",
    ] {
        assert!(markdown.contains(words), "{words}: {markdown}");
    }
    let said = of(&files, 65);
    assert_eq!(said.stdout, "plan.toml: valid: 1 object, 1 map, 1 program, 1 link\n");
    assert_eq!(parse(&read(folder, "out.json"))["kind"], "validate");
    assert_eq!(read(folder, "out.txt"), said.stdout.clone() + said.stderr.split("more: ").next().unwrap_or(""));
    assert!(of(&["--output-file", "svg=out.svg"], 64).stderr.contains("a picture is for plans"));
    // The second would take the place of the first.
    let twice = of(&["--output-file", "text=out.twice", "--output-file", "json=out.twice"], 64);
    assert!(twice.stderr.contains("names `out.twice` twice"), "{twice:?}");
    assert!(of(&["--events", "-"], 64).stderr.contains("`--events` is for plans"));
}

#[test]
fn the_docs_say_what_raises_versions() {
    let docs = read(stages::repository(), "docs/outputs.md");
    let now = format!("now {}.{}:", FORMAT.major, FORMAT.minor);
    for words in
        [&now, "`major` rises when a reader of the old one would go wrong", "`minor` rises when something is added"]
    {
        assert!(docs.contains(words), "docs/outputs.md: {words}");
    }
}

#[test]
fn commands_without_plans_have_two_forms() {
    let folder = tempfile::tempdir().expect("a folder");
    let object = stages::repository().join("tests/objects/upgrade_1.o");
    let object = object.to_str().expect("UTF-8");
    let commands: [&[&str]; 4] = [&["status"], &["show", "edge"], &["show", "map.drops"], &["inspect", object]];
    let forms: [&[&str]; 4] = [
        &["--output", "markdown"],
        &["--output", "github"],
        &["--output-file", "json=out.json"],
        &["--events", "events.jsonl"],
    ];
    for command in commands {
        for form in forms {
            let said = tool::refused(folder.path(), &[command, form].concat(), 64);
            assert!(said.contains("is for plans and what becomes of them"), "{command:?} {form:?}: {said}");
        }
    }
    // The help of each command has what it takes.
    let few = ["test", "graph", "show", "status", "export", "init", "import", "fmt", "inspect", "explain"];
    let few = few.into_iter().chain(["completions", "man"]).map(|command| (command, false, false));
    let plans = ["apply", "commit", "rollback", "adopt", "destroy"].map(|command| (command, true, true));
    for (command, files, events) in few.chain(plans).chain([("validate", true, false)]) {
        let help = tool::succeed(folder.path(), &[command, "--help"]);
        let has = |flag: &str| help.contains(flag);
        assert_eq!((has("--output-file"), has("--events")), (files, events), "{command}: {help}");
    }
    let said = tool::refused(folder.path(), &["plan.toml", "--dry-run=offline", "--events", "events.jsonl"], 64);
    assert!(said.contains("a dry run does nothing"), "{said}");
    assert!(fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing was written");
}

#[test]
fn files_get_what_standard_output_gets() {
    in_namespace("outputs-files", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("plan.toml"), manifest(1)).expect("written");
        let files = |name: &str| -> Vec<String> {
            let forms = [("text", "txt"), ("json", "json"), ("markdown", "md"), ("github", "gh")];
            let pictures = [("svg", "svg"), ("dot", "dot"), ("mermaid", "mmd")];
            let forms = forms.iter().chain(&pictures);
            forms.flat_map(|(kind, end)| ["--output-file".to_owned(), format!("{kind}={name}.{end}")]).collect()
        };
        let run = |name: &str, more: &[&str], code: i32| {
            let files = files(name);
            let all: Vec<&str> = more.iter().copied().chain(files.iter().map(String::as_str)).collect();
            let said = tool::bpfapply(folder, &all);
            assert_eq!(said.code, code, "{said:?}");
            said
        };
        // A dry run.
        let said = run("dry", &["plan.toml", "--dry-run"], 0);
        assert!(said.stdout.starts_with(&read(folder, "dry.txt")), "{said:?}");
        assert_eq!(parse(&read(folder, "dry.json"))["kind"], "plan");
        assert!(read(folder, "dry.md").starts_with("<!-- bpfapply:plan:edge -->\n"));
        assert!(read(folder, "dry.gh").starts_with("::notice file=plan.toml,title=edge"), "{}", read(folder, "dry.gh"));
        let pictures = |name: &str| {
            for (end, start) in [("svg", "<svg"), ("dot", "digraph"), ("mmd", "flowchart")] {
                let picture = read(folder, &format!("{name}.{end}"));
                assert!(picture.contains(start) && picture.contains("uplink"), "{name}.{end}: {picture}");
            }
        };
        pictures("dry");
        // An apply with events.
        let said = run("done", &["plan.toml", "--events", "events.jsonl"], 0);
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), (read(folder, "done.txt").as_str(), ""));
        assert_eq!(parse(&read(folder, "done.json"))["verdict"], "applied");
        pictures("done");
        assert!(read(folder, "done.md").starts_with("<!-- bpfapply:outcome:edge -->\n"));
        let events: Vec<Value> = read(folder, "events.jsonl").lines().map(parse).collect();
        events_tell_the_story(&events, parse(&read(folder, "done.json"))["steps"].as_array().expect("steps").len());
        // Nothing to do, on standard output alone.
        let said = run("same", &["plan.toml", "--events", "-"], 0);
        assert_eq!(parse(&said.stdout)["verdict"], "matches");
        assert!(read(folder, "same.txt").contains("nothing to do: the host matches"));
        // Consent is lacking: the plan, and what is wrong.
        fs::write(folder.join("moved.toml"), manifest(1).replace("[map.drops]", "[map.other]")).expect("written");
        run("consent", &["moved.toml"], 4);
        assert_eq!(parse(&read(folder, "consent.json"))["needs"], json!(["prune"]));
        assert!(read(folder, "consent.md").contains("**state: LOST; removed; needs --allow prune**"));
        assert!(read(folder, "consent.md").contains("#### What is wrong (1)"));
        assert!(read(folder, "consent.gh").contains("::error file=moved.toml,title=plan%3A%3Aconsent::"));
        // No plan at all: what is wrong is a document of its own.
        fs::write(folder.join("bad.toml"), manifest(1).replace("\"lo\"", "\"none\"")).expect("written");
        run("bad", &["bad.toml"], 1);
        assert_eq!(parse(&read(folder, "bad.json"))["kind"], "problems");
        assert!(!folder.join("bad.svg").exists());
        assert!(read(folder, "bad.md").starts_with("<!-- bpfapply:plan:edge -->\n"));
        assert!(read(folder, "bad.txt").contains("there is no interface `none`"));
        assert!(read(folder, "bad.gh").starts_with("::error file=bad.toml,line=9,col="), "{}", read(folder, "bad.gh"));
        // No file is half written, and none is left over.
        let left = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with('.')).collect();
        assert!(left.is_empty(), "{left:?}");
        every_document_says_what_it_is(folder);
        tool::succeed(folder, &["destroy", "edge"]);
    });
}

/// Applies `before`, does something to the host, and plans `after`: which things drifted, and how.
#[track_caller]
fn drift(before: &str, harm: impl Fn(&mut Fake), after: &str, drifted: &[(&str, &str)]) {
    let fake = Fake::new();
    for name in ["lo", "eth0"] {
        fake.add_interface(name, true);
    }
    stages::make(before, &fake);
    harm(&mut fake.clone());
    let plan = stages::good(stages::plan(after, &fake), after);
    let found: Vec<_> = plan.steps.iter().filter_map(|step| Some((step.action.address(), plan.drift(step)?))).collect();
    let found: Vec<_> = found.iter().map(|(address, what)| (address.to_string(), *what)).collect();
    let found: Vec<_> = found.iter().map(|(address, what)| (address.as_str(), *what)).collect();
    assert_eq!(found, drifted);
}

#[test]
fn drift_is_told_from_changes_of_the_manifest() {
    let text = manifest(1);
    let no_harm = |_: &mut Fake| {};
    let unpin = |pin: &'static str| move |fake: &mut Fake| fake.unpin(&stages::path(pin)).expect("it is there");
    drift(&text, no_harm, &text, &[]);
    drift(&text, unpin("/sys/fs/bpf/edge~1/maps/drops"), &text, &[("map.drops", "its pin is gone")]);
    drift(&text, unpin("/sys/fs/bpf/edge~1/programs/drop"), &text, &[("program.drop", "it is gone")]);
    drift(&text, unpin("/sys/fs/bpf/edge~1/links/uplink"), &text, &[("link.uplink", "it is gone")]);
    let anew = |fake: &mut Fake| {
        fake.remove_interface("lo");
        fake.add_interface("lo", true);
    };
    drift(&text, anew, &text, &[("link.uplink", "it is not on its hook")]);
    // The manifest changed, and not the host.
    for (from, to) in [
        ("upgrade_1", "upgrade_2"),
        ("\"lo\"", "\"eth0\""),
        ("generic", "native"),
        ("[map.drops]", "[map.drops]\npin = \"maps/other\""),
        ("[program.drop]", "[program.drop]\npin = \"programs/other\""),
        ("[map.drops]", "[map.drops]\nmode = \"0640\""),
        ("[map.drops]", "[map.drops]\nentries = { 0 = 5 }"),
    ] {
        let other = text.replace(from, to);
        assert_ne!(other, text, "{from}");
        drift(&text, no_harm, &other, &[]);
    }
    // Both changed: only one of them is drift.
    let other = text.replace("upgrade_1", "upgrade_2");
    drift(&text, unpin("/sys/fs/bpf/edge~1/maps/drops"), &other, &[("map.drops", "its pin is gone")]);
    // Entries of ours that somebody else wrote over.
    let owned = text.replace("[map.drops]", "[map.drops]\nentries = { 0 = 5 }");
    let overwrite = |fake: &mut Fake| {
        let (_, map) = fake.open_pin(&stages::path("/sys/fs/bpf/edge/maps/drops")).expect("it is pinned");
        fake.update(&map, &[0; 4], &[9; 8]).expect("it fits");
    };
    drift(&owned, overwrite, &owned, &[("map.drops", "its entries were changed")]);
    drift(&owned, overwrite, &owned.replace("0 = 5", "0 = 6"), &[]);
}

/// Checks what the events of a first apply say.
fn events_tell_the_story(events: &[Value], steps: usize) {
    let schema = jsonschema::validator_for(&events::schema()).expect("the schema is one");
    for (number, event) in events.iter().enumerate() {
        assert!(schema.is_valid(event), "{event}");
        assert_eq!(event["seq"], json!(number));
        assert_eq!(event["format"], json!({ "major": FORMAT.major, "minor": FORMAT.minor }));
    }
    let is = |event: Option<&Value>, kind: &str| assert_eq!(event.map(|event| &event["kind"]), Some(&json!(kind)));
    is(events.first(), "start");
    is(events.last(), "outcome");
    let of = |status: &str| events.iter().filter(|event| event["status"] == status).count();
    assert_eq!((of("done"), of("failed"), of("undone")), (steps, 0, 0));
    assert!(of("staged") >= 3, "the map, the data and the program are staged");
    let times: Vec<_> = events.iter().map(|event| event["time"].as_str().unwrap_or_default()).collect();
    assert!(times.is_sorted() && times[0].ends_with('Z') && times[0].len() == 24, "{times:?}");
}

fn every_document_says_what_it_is(folder: &Path) {
    let object = stages::repository().join("tests/objects/upgrade_1.o");
    let object = object.to_str().expect("UTF-8");
    let documents: [(&[&str], &str); 6] = [
        (&["plan.toml", "--dry-run"], "plan"),
        (&["plan.toml"], "outcome"),
        (&["status"], "status"),
        (&["show", "edge"], "show"),
        (&["show", "edge", "map.drops"], "entries"),
        (&["inspect", object], "inspect"),
    ];
    for (command, kind) in documents {
        let document = parse(&tool::succeed(folder, &[command, &["--output", "json"]].concat()));
        assert_eq!(document["kind"], kind, "{command:?}");
        assert!(document["format"]["major"].is_u64() && document["format"]["minor"].is_u64(), "{command:?}");
    }
}

#[test]
fn what_is_undone_is_told() {
    let fake = Fake::new();
    fake.add_interface("lo", false);
    let text = manifest(1);
    let plan = stages::good(stages::plan(&text, &fake), &text);
    let told = std::cell::RefCell::new(Vec::new());
    let watch = |number: usize, progress: bpfapply::apply::Progress<'_>| {
        told.borrow_mut().push(parse(&events::line(Event::Step(&plan, number, progress), 0, 0)));
    };
    fake.remove_interface("lo");
    let stamp = bpfapply::apply::Stamp::default();
    let applied = bpfapply::apply::apply_watched(&mut fake.clone(), &plan, &stamp, Some(&watch));
    assert!(applied.problem.is_some());
    let told = told.into_inner();
    for (number, step) in applied.outcome.steps.iter().enumerate() {
        let last = told.iter().rev().find(|event| event["step"] == number).map(|event| event["status"].clone());
        // Those that were not reached were never told, or staged at most.
        let last = last.filter(|status| status != "staged").unwrap_or_else(|| json!("not-reached"));
        assert_eq!(last, step.status.name(), "{number}: {told:#?}");
    }
    assert!(told.iter().any(|event| event["status"] == "undone"), "{told:#?}");
}

#[test]
fn a_workflow_gets_a_summary() {
    in_namespace("outputs-summary", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::create_dir(folder.join("hosts")).expect("a folder");
        fs::write(folder.join("hosts/plan.toml"), manifest(1).replace("\"lo\"", "\"none\"")).expect("written");
        fs::write(folder.join("summary.md"), "before\n").expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
        command.args(["plan.toml", "--dry-run", "--output", "github"]).current_dir(folder.join("hosts"));
        command.env("GITHUB_STEP_SUMMARY", folder.join("summary.md")).env("GITHUB_WORKSPACE", folder);
        let output = common::output(&mut command, std::time::Duration::from_secs(60)).expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with("::error file=hosts/plan.toml,line="), "{said}");
        assert!(read(folder, "summary.md").starts_with("before\n<!-- bpfapply:plan:edge -->\n"));
    });
}

#[test]
fn a_file_that_cannot_be_written_is_said_before_anything_is_done() {
    in_namespace("outputs-unwritable", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("plan.toml"), manifest(1)).expect("written");
        let said = tool::refused(folder, &["plan.toml", "--output-file", "json=none/out.json"], 1);
        assert!(said.contains("none/out.json"), "{said}");
        let said = tool::refused(folder, &["show", "edge"], 1);
        assert!(!said.contains("generation"), "nothing was applied: {said}");
        // Events are not worth that.
        let said = tool::bpfapply(folder, &["plan.toml", "--events", "none/events"]);
        assert!(said.code == 0 && said.stderr.contains("no events are written"), "{said:?}");
        let said = tool::bpfapply(folder, &["destroy", "edge", "--events", "/dev/full"]);
        assert!(said.code == 0 && said.stderr.contains("no more events are written"), "{said:?}");
    });
}

/// What standard output and standard error do not take is no reason to stop half-way, or to put a file in a device's place.
#[test]
fn full_devices_keep_nothing_from_being_done() {
    in_namespace("outputs-full", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("plan.toml"), manifest(1)).expect("written");
        let check = |line: &str, code: i32, words: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", line]).current_dir(folder).env("bpfapply", env!("CARGO_BIN_EXE_bpfapply"));
            let output = common::output(&mut shell, std::time::Duration::from_secs(60)).expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(code) && said.contains(words), "{line}: {:?}: {said}", output.status);
        };
        // Those of the host are not for tests.
        check("mkdir dev; mount -t tmpfs none dev && mknod dev/full c 1 7 && mknod dev/null c 1 3", 0, "");
        let full = "cannot write `standard output`: No space left on device";
        check("$bpfapply 2>dev/full", 64, "");
        check("$bpfapply plan.toml --dry-run >dev/full", 1, full);
        check("$bpfapply plan.toml --events dev/full 2>dev/full", 0, "");
        check("$bpfapply destroy edge >dev/full", 74, full);
        check("$bpfapply destroy edge", 1, "there is no deployment");
        check("$bpfapply plan.toml --confirm 60s 2>dev/full", 0, "");
        check("$bpfapply commit edge >dev/full", 74, full);
        check("$bpfapply commit edge", 1, "waits to be confirmed");
        // What is no plan goes into files as well, and what standard output lost is in them.
        let changed = manifest(1).replace("[map.drops]", "[map.drops]\nmode = \"0640\"");
        fs::write(folder.join("other.toml"), changed).expect("written");
        check("$bpfapply other.toml --confirm 60s --output-file json=kept.json >dev/full", 74, full);
        assert_eq!(parse(&read(folder, "kept.json"))["exit"], json!(74));
        check("$bpfapply commit edge --output-file json=kept.json --output-file markdown=kept.md", 0, "");
        assert_eq!(parse(&read(folder, "kept.json"))["kind"], "status");
        assert!(read(folder, "kept.md").contains("is kept"));
        check("$bpfapply show edge map.drops >dev/full", 1, full);
        check("$bpfapply export >dev/full", 1, full);
        check("$bpfapply export --out dev/full", 1, "cannot write `dev/full`");
        check("$bpfapply export --out /dev/stdout | grep -q possible_cpus", 0, "");
        check("$bpfapply plan.toml --dry-run --out dev/null", 0, "");
        check("test -c dev/full && test -c dev/null && umount dev", 0, "");
    });
}

/// Who asks for a report must not take an older one for it: a run that did its work all the same says that it is lost.
#[test]
fn a_report_that_is_lost_is_told() {
    in_namespace("outputs-lost", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("plan.toml"), manifest(1)).expect("written");
        let mut shell = Command::new("sh");
        let small = "mkdir small && mount -t tmpfs -o size=4k none small && echo old >small/out.json";
        common::run(shell.args(["-c", small]).current_dir(folder)).expect("it runs");
        let lost = "it is done, but a report of it is lost: cannot write `small/out.json`: No space left on device";
        let reports = ["--output-file", "text=out.txt", "--output-file", "json=small/out.json"];
        let run = |command: &[&str], code: i32| {
            let said = tool::bpfapply(folder, &[command, &reports, &["--output", "json"]].concat());
            assert_eq!(said.code, code, "{command:?}: {said:?}");
            assert_eq!(read(folder, "small/out.json"), "old\n", "{command:?}: it has what it had");
            let document = parse(&said.stdout);
            let schema = jsonschema::validator_for(&outcome::schema()).expect("the schema is one");
            assert!(document["kind"] != "outcome" || schema.is_valid(&document), "{document}");
            (document, said.stderr)
        };
        for (command, text) in [("plan.toml", "edge: applied"), ("destroy edge", "edge: applied")] {
            let (document, said) = run(&command.split(' ').collect::<Vec<_>>(), 74);
            assert_eq!((&document["verdict"], &document["exit"]), (&json!("applied"), &json!(74)), "{document}");
            let problem = &document["problems"][0];
            assert_eq!(problem["code"], "plan::unreported");
            assert!(problem["message"].as_str().is_some_and(|message| message.starts_with(lost)), "{problem}");
            assert!(said.contains(lost) && read(folder, "out.txt").contains(text), "{said}");
        }
        tool::succeed(folder, &["plan.toml"]);
        // Where nothing was to be done, or it failed, nothing has changed.
        let (document, said) = run(&["plan.toml"], 1);
        assert_eq!((&document["verdict"], &document["exit"]), (&json!("matches"), &json!(1)), "{document}");
        assert!(said.contains("cannot write `small/out.json`") && !said.contains("it is done"), "{said}");
        let (document, _) = run(&["plan.toml", "--dry-run"], 1);
        assert_eq!(document["kind"], "plan");
        tool::succeed(folder, &["destroy", "edge"]);
        common::run(Command::new("umount").arg(folder.join("small"))).expect("it runs");
    });
}
