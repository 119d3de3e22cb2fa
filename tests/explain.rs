//! Explanations as people read them: each folder of `tests/explain` has a manifest, whose first line says what is
//! explained, what was applied before it (`before.toml`, where the host was not empty), and the text that `--explain`
//! prints. `UPDATE=1 cargo test --test explain` writes the texts anew: read them, as the one who reviews a change does.
//!
//! The code of programs is compared on the running kernel, whose verifier writes it anew.

mod common;

use bpfapply::desired::Desired;
use bpfapply::explain::{self, Codes, Explained, Given};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::{codes, observe};
use bpfapply::names::Address;
use bpfapply::observed::{Observed, Wanted};
use bpfapply::plan::{self, Mode, Plan};
use bpfapply::report::{self, ManifestText, Style};
use common::stages::{self, desired, good, plan_in, run};
use common::tool;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    stages::repository().join("tests/explain")
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("the cases are there").map(|entry| entry.expect("a case").path());
    let mut cases: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

/// What is explained, with what it is about.
struct Case {
    manifest: String,
    plan: Plan,
    desired: Desired,
    observed: Observed,
    codes: Codes,
    asked: BTreeSet<Address>,
}

impl Case {
    /// Applies what was there before, and plans what comes.
    fn new(folder: &Path) -> Self {
        let fake = Fake::new();
        fake.add_interface("eth0", true);
        fake.add_interface("eth1", true);
        if let Ok(before) = fs::read_to_string(folder.join("before.toml")) {
            let plan = good(plan_in(folder, &before, &fake), &before);
            let (_, problem) = run(&plan, &fake);
            assert!(problem.is_none(), "{}: {problem:?}", folder.display());
        }
        let manifest = fs::read_to_string(folder.join("plan.toml")).expect("a case has a manifest");
        let desired = good(desired(&manifest, folder, &fake), &manifest);
        let observed = good(observe::observe(&fake, &Wanted::of(&desired)), &manifest);
        let plan = good(plan::plan(&desired, &observed, Mode::Live), &manifest);
        let words = manifest.lines().next().and_then(|line| line.strip_prefix("# explain: "));
        let words: BTreeSet<&str> = words.expect("the first line says what is explained").split(' ').collect();
        let known = explain::addresses(&plan);
        let asked: BTreeSet<_> =
            known.into_iter().filter(|address| words.contains(address.to_string().as_str())).collect();
        assert_eq!(asked.len(), words.len(), "{}: the plan has {asked:?} of {words:?}", folder.display());
        let calls = fake.calls().len();
        let codes = codes::running(&fake, &plan, &asked);
        assert_eq!(fake.calls().len(), calls, "an explanation changes nothing");
        Self { manifest, plan, desired, observed, codes, asked }
    }

    fn explained(&self) -> Vec<Explained> {
        let Self { plan, desired, observed, codes, asked, .. } = self;
        let given = Given { plan, desired, observed, codes, limit: 2 };
        asked.iter().map(|address| explain::explain(&given, address).expect("the plan has it")).collect()
    }

    fn text(&self) -> ManifestText<'_> {
        ManifestText { name: "plan.toml", text: &self.manifest }
    }

    fn draw(&self, verbose: bool) -> String {
        let style = Style { width: 100, ascii: true, color: false };
        let options = report::explain::Options { style, manifest: Some(self.text()), verbose };
        report::explain::text(&self.explained(), &options)
    }
}

#[test]
fn explanations_read_as_they_should() {
    let mut differ = Vec::new();
    for folder in cases() {
        let case = Case::new(&folder);
        for (name, verbose) in [("explain.txt", false), ("verbose.txt", true)] {
            let (path, drawn) = (folder.join(name), case.draw(verbose));
            // What is the same with -v is not kept twice.
            if verbose && drawn == case.draw(false) {
                assert!(!path.exists(), "{}: -v says no more", folder.display());
            } else if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &drawn).expect("the text can be written");
            } else if fs::read_to_string(&path).ok().as_deref() != Some(&drawn) {
                differ.push(format!("{}:\n{drawn}", path.display()));
            }
        }
    }
    assert!(differ.is_empty(), "these read otherwise (UPDATE=1 accepts them):\n{}", differ.join("\n"));
}

fn schema() -> jsonschema::Validator {
    let path = stages::repository().join("schemas/plan.schema.json");
    let text = fs::read_to_string(path).expect("the schema is there");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("it is JSON")).expect("it is a schema")
}

fn explained_json(case: &Case) -> Value {
    let text = report::json::plan_explained(&case.plan, Some(case.text()), &case.explained());
    serde_json::from_str(&text).expect("it is JSON")
}

#[test]
fn explanations_as_json_are_those_of_the_schema() {
    let schema = schema();
    for folder in cases() {
        let explained = explained_json(&Case::new(&folder));
        assert!(explained["explained"].as_array().is_some_and(|list| !list.is_empty()));
        let errors: Vec<_> =
            schema.iter_errors(&explained).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", folder.display());
    }
}

/// Where a value goes in an explanation that is good, and what it makes bad of it.
const BAD: &[(&str, &str)] = &[
    ("/0/address", "7"),
    ("/0/steps/0/marker", "\"*\""),
    ("/0/steps/0/why", "null"),
    ("/0/steps/0/needs", "\"luck\""),
    ("/0/depends_on", "\"map.a\""),
    ("/0/manifest/0/line", "0"),
    ("/0/code/compared", "\"bytes\""),
    ("/0/code/functions/0/fate", "\"lost\""),
    ("/0/code/functions/0/lines/0/sign", "\"*\""),
    ("/0/fields/0/is", "1"),
];

#[test]
fn the_schema_refuses_what_is_wrong() {
    let schema = schema();
    let mut good = explained_json(&Case::new(&folder().join("code-changed")));
    // The program's is the one that has everything.
    let explained = good["explained"].as_array_mut().expect("a list");
    explained.reverse();
    explained.sort_by_key(|one| one.get("code").is_none());
    assert!(schema.is_valid(&good));
    for (place, value) in BAD {
        let place = &format!("/explained{place}");
        let mut bad = good.clone();
        let value: Value = serde_json::from_str(value).expect("JSON");
        match bad.pointer_mut(place) {
            Some(there) => *there = value,
            None => {
                let (object, key) = place.rsplit_once('/').expect("a path");
                bad.pointer_mut(object)
                    .expect("an object")
                    .as_object_mut()
                    .expect("an object")
                    .insert(key.to_owned(), value);
            }
        }
        assert!(!schema.is_valid(&bad), "{place} is taken");
    }
}

/// Returns what differs of a program that runs: the lines of its instructions, and constants.
fn changed_instructions(folder: &Path, change: impl Fn(&str) -> String) -> Vec<String> {
    let manifest = format!(
        "version = 1\nname = \"edge\"\n[object.filter]\npath = \"{}\"\n[program.drop]\nfrom = \"filter:filter\"\n",
        self::folder().join("filter_1.o").display()
    );
    fs::write(folder.join("plan.toml"), &manifest).expect("it can be written");
    tool::succeed(folder, &["plan.toml"]);
    fs::write(folder.join("plan.toml"), change(&manifest)).expect("it can be written");
    let out =
        tool::succeed(folder, &["plan.toml", "--dry-run=verify", "--explain", "program.drop", "--output", "json"]);
    let json: Value = serde_json::from_str(&out).expect("it is JSON");
    assert!(schema().is_valid(&json), "{out}");
    let code = &json["explained"][0]["code"];
    assert_eq!(code["compared"], "instructions", "{out}");
    let functions = code["functions"].as_array().expect("a list").clone();
    let lines = functions.into_iter().flat_map(|function| {
        let name = function["function"].as_str().expect("a name").to_owned();
        let lines = function["lines"].as_array().expect("a list").clone();
        lines.into_iter().map(move |line| (name.clone(), line))
    });
    let differ = lines.filter(|(_, line)| line["sign"] == "+" || line["sign"] == "-");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let differ = differ.map(|(function, line)| format!("{function}: {}{}", text(&line["sign"]), text(&line["text"])));
    let variables = json["explained"][0]["variables"].as_array().cloned().unwrap_or_default();
    let variables = variables.iter().map(|field| {
        format!("variable {} {} -> {}", text(&field["name"]), text(&field["is"]), text(&field["becomes"]))
    });
    differ.chain(variables).collect()
}

#[test]
fn exactly_the_instructions_that_differ_are_shown() {
    common::in_namespace("exactly_the_instructions_that_differ_are_shown", |_| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let changed = |change: fn(&str) -> String| changed_instructions(folder.path(), change);
        // Other constants in the code of one function.
        assert_eq!(
            changed(|manifest| manifest.replace("filter_1.o", "filter_2.o")),
            [
                "of_length: -return length > 640 ? XDP_DROP : XDP_PASS;",
                "of_length: -if r1 > 640 goto +1",
                "of_length: +return length > 1280 ? XDP_DROP : XDP_PASS;",
                "of_length: +if r1 > 1280 goto +1",
            ]
        );
        // Another constant in the data: the code reads it from there.
        let set = changed(|manifest| manifest.replace("[program.drop]", "set = { shortest = 60 }\n[program.drop]"));
        assert_eq!(set, ["variable shortest 20 -> 60"]);
        // Another type of the map, of which the code does not see a thing.
        let same = changed(|manifest| manifest.replace("filter_1.o", "filter_3.o"));
        assert_eq!(same, [""; 0]);
        tool::succeed(folder.path(), &["destroy", "edge"]);
    });
}

#[test]
fn an_address_that_the_plan_does_not_have_is_refused() {
    let folder = folder().join("first-apply");
    for (given, says) in [
        ("program.dropp", "this plan has no `program.dropp`; did you mean `program.drop`?"),
        ("x", "this plan has no `x`; it has map.filter:.rodata, map.verdicts, program.drop, link.uplink"),
    ] {
        let said = tool::refused(&folder, &["plan.toml", "--dry-run=offline", "--explain", given], 64);
        assert!(said.contains(says), "{said}");
    }
    let said = tool::refused(&folder, &["plan.toml", "--explain", "program.drop"], 64);
    assert!(said.contains("--dry-run"), "{said}");
    let said = tool::succeed(&folder, &["plan.toml", "--dry-run=offline", "--explain", "program.drop"]);
    assert!(said.contains("what runs is not known offline"), "{said}");
}
