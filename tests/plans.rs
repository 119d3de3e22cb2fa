//! Plans as people and programs read them: each folder of `tests/plans` has a manifest `plan.toml`, what happened on the
//! host before (`plans/story.rs`), and what `--dry-run` then prints: as text, as Markdown, as annotations, and where a plan
//! could be made as JSON.
//! `UPDATE=1 cargo test --test plans` writes these anew: read them, as the one who is called at night does.

mod common;
#[path = "plans/story.rs"]
mod story;

use bpfapply::access::AccountKind;
use bpfapply::diag::{Problems, Source};
use bpfapply::kernel::fake::Fake;
use bpfapply::plan::{Action, Because, Consent, Marker, Plan, State, Traffic};
use bpfapply::report::{ManifestText, Style, github, json, markdown, text};
use common::stages::{
    self, plan_adopt, plan_against, plan_destroy, plan_in, plan_offline, plan_rollback, plan_verified, rendered,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use story::Way;

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(stages::repository().join("tests/plans")).expect("the cases are there");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a case").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Returns a host with two interfaces whose drivers have XDP, and a cgroup.
fn host() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake.add_interface("eth1", true);
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    fake.add_account(AccountKind::Group, "metrics", 998);
    fake
}

/// A case: its manifest, if the plan is made of one, and the plan or what is wrong.
struct Case {
    folder: PathBuf,
    manifest: Option<String>,
    plan: Result<Plan, Problems>,
}

impl Case {
    fn of(folder: PathBuf) -> Self {
        let fake = host();
        let way = story::tell(&folder, &fake);
        let manifest = fs::read_to_string(folder.join("plan.toml")).ok();
        let text = || manifest.as_deref().expect("a case has a manifest");
        let calls = fake.calls().len();
        let plan = match way {
            Way::Live => plan_in(&folder, text(), &fake),
            Way::Verify => plan_verified(&folder, text(), &fake),
            Way::Replay => {
                plan_in(&folder, text(), &fake).map(|plan| Plan { traffic: Some(Box::new(story::replay())), ..plan })
            }
            Way::Offline => plan_offline(&folder, text()),
            Way::Against => plan_against(&folder, text(), &fake),
            Way::Adopt => plan_adopt(&folder, text(), &fake),
            Way::Rollback => plan_rollback("edge", &fake),
            Way::Destroy => plan_destroy("edge", &fake),
        };
        assert!(fake.calls().len() == calls || way == Way::Verify, "a dry run changes nothing");
        Self { folder, manifest, plan }
    }

    /// Writes all that is printed of the case, by the names of files.
    fn draw(&self) -> Vec<(&'static str, String)> {
        let manifest = self.manifest.as_deref().map(|text| ManifestText { name: "plan.toml", text });
        let plan = match &self.plan {
            Ok(plan) => plan,
            Err(problems) => {
                let source = manifest.map(|manifest| Source::new(manifest.name, manifest.text));
                let refusal = markdown::refusal(problems, source.as_ref());
                let text = rendered(problems, manifest.map_or("", |manifest| manifest.text));
                let annotations = github::problems(problems, source.as_ref().map(|source| (source, source.name())));
                return vec![("plan.txt", text), ("plan.md", refusal), ("plan.gh", annotations)];
            }
        };
        let style = Style { width: 100, ascii: true, color: false };
        let options = text::Options { style, purpose: text::Purpose::DryRun, manifest, entries: 3 };
        vec![
            ("plan.txt", text::plan(plan, &options)),
            ("plan.json", json::plan(plan, manifest)),
            ("plan.md", markdown::plan(plan, text::Purpose::DryRun, manifest)),
            ("plan.gh", github::plan(plan, text::Purpose::DryRun, manifest)),
        ]
    }
}

#[test]
fn plans_read_as_they_should() {
    let mut differ = Vec::new();
    for folder in folders() {
        let case = Case::of(folder);
        for (name, drawn) in case.draw() {
            let path = case.folder.join(name);
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &drawn).expect("the text can be written");
            } else if fs::read_to_string(&path).ok().as_deref() != Some(&drawn) {
                differ.push(format!("{}:\n{drawn}", path.display()));
            }
        }
    }
    assert!(differ.is_empty(), "these plans read otherwise (UPDATE=1 accepts them):\n{}", differ.join("\n"));
}

/// Returns the texts of `kind` in the schema, which are all that it takes there.
fn known(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let known = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in the schema"));
    known.as_array().expect("a list").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn plans_are_those_of_the_schema() {
    let text = fs::read_to_string(stages::repository().join("schemas/plan.schema.json")).expect("it is there");
    let text: Value = serde_json::from_str(&text).expect("it is JSON");
    let schema = jsonschema::validator_for(&text).expect("it is a schema");
    let (mut actions, mut reasons, mut modes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for case in folders().into_iter().map(Case::of) {
        let Some((_, plan)) = case.draw().into_iter().find(|(name, _)| *name == "plan.json") else { continue };
        let plan: Value = serde_json::from_str(&plan).expect("it is JSON");
        let faults: Vec<_> = schema.iter_errors(&plan).map(|f| format!("{f} at {}", f.instance_path())).collect();
        assert!(faults.is_empty(), "{}: {faults:#?}", case.folder.display());
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        modes.insert(text(&plan["mode"]));
        for step in plan["steps"].as_array().expect("a list") {
            actions.insert(text(&step["action"]));
            reasons.insert(text(&step["because"]["kind"]));
        }
    }
    // The cases have all of them, so that the schema has neither too few nor too many.
    assert_eq!(known(&text, "/definitions/Step/properties/action/enum"), actions);
    assert_eq!(known(&text, "/definitions/Because/properties/kind/enum"), reasons);
    assert_eq!(known(&text, "/properties/mode/enum"), modes);
}

/// Names the variant of a value, and lists the names of all: a new variant does not compile before it is here.
macro_rules! variants {
    ($name:ident, $all:ident: $type:ident { $($variant:ident),* $(,)? }) => {
        const $all: &[&str] = &[$(stringify!($variant)),*];

        fn $name(value: &$type) -> &'static str {
            match value {
                $($type::$variant { .. } => stringify!($variant),)*
            }
        }
    };
}

variants!(marker, MARKERS: Marker { Create, Change, DestroyThenCreate, CreateThenDestroy, Remove, Reuse });
variants!(traffic, TRAFFIC: Traffic { None, NoGap, BothRun, Starts, Moves, Stops, NewSockets, GapUnfiltered });
variants!(state, STATES: State { None, Kept, New, Copied, Lost });
variants!(consent, CONSENTS: Consent { Gap, LoseState, Prune, Takeover });
variants!(reason, REASONS: Because {
    Missing, Unpinned, Unchanged, Foreign, CodeChanged, MapNew, MapOther, MapDiffers, MapInUse, ContentsChanged, EntriesChanged,
    EntriesNotWanted, VariablesDiffer, SlotsDiffer, SlotNew, TargetNew, ProgramNew, Renamed, HookChanged, HookGone, OutOfPlace,
    Optional, ProgramOther, NotWanted, Destroy, AccessDiffers, PlanChanges, NeededBelow, Interrupted, Rollback,
    Adopted, TakenOver,
});
variants!(action, ACTIONS: Action {
    ClearLeftover, MountBpffs, MakeDirectory, ReuseMap, CreateMap, CopyEntries, CatchUp, FinishCopy, FillMap,
    FillSlots, WriteEntries, SetVariables, ReuseProgram, LoadProgram, RestoreMap, RestoreProgram, RestorePin, RenameLink,
    ReuseLink,
    Skip, Attach, UpdateLink, Reattach, SetAccess, Detach, RemoveProgram, RemoveMap, RemoveDirectory, WriteRecord,
    RemoveRecord,
});

/// What the last lines of a plan say of its risk.
const RISKS: &[&str] = &[
    "risk: none; no traffic gap, no contents lost",
    "risk: 1 hook gets a filter; no traffic gap, no contents lost",
    "hooks get filters",
    "traffic gap",
    "hook loses its filter",
    "hooks lose their filters",
    "map loses its contents",
    "maps lose their contents",
    "map loses entries that do not fit",
    "map loses fields of its entries",
    "map is no longer shared with others",
    "hook taken over",
    "risk: not known without the host",
    "drift: 1 thing is not as the last apply left it",
    "guard: removes",
    "kernel values: not known offline",
    "nothing to do: the host matches",
    "verifier: FAILED for",
    "NOT RUN for",
    "verifier: passed for",
    "captured packets",
    "needs --allow",
    "the manifest allows it",
];

#[test]
fn the_cases_show_everything() {
    let (mut seen, mut texts) = (BTreeSet::new(), String::new());
    for folder in folders() {
        let case = Case::of(folder);
        texts.extend(case.draw().into_iter().map(|(_, text)| text));
        for step in case.plan.iter().flat_map(|plan| &plan.steps) {
            let shown = [
                ("marker", marker(&step.action.marker())),
                ("action", action(&step.action)),
                ("reason", reason(&step.because)),
                ("traffic", traffic(&step.traffic)),
                ("state", state(&step.state)),
            ];
            seen.extend(shown.into_iter().chain(step.needs.iter().map(|needs| ("consent", consent(needs)))));
        }
    }
    let kinds = [
        ("marker", MARKERS),
        ("action", ACTIONS),
        ("reason", REASONS),
        ("traffic", TRAFFIC),
        ("state", STATES),
        ("consent", CONSENTS),
    ];
    let all = kinds.iter().flat_map(|(kind, names)| names.iter().map(move |name| (*kind, *name)));
    let lacking: Vec<_> = all.filter(|shown| !seen.contains(shown)).collect();
    assert_eq!(lacking, [], "no case shows these");
    let unsaid: Vec<_> = RISKS.iter().filter(|words| !texts.contains(**words)).collect();
    assert_eq!(unsaid, [""; 0].iter().collect::<Vec<_>>(), "no case says these");
}
