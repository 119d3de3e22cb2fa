//! Variables of objects: which bytes of a section a manifest sets, that programs go on with what they made of the others,
//! and that every value is back where a run that failed found it. On the fake kernel and on the running one.

mod common;

use bpfapply::apply::entries::unwritten;
use bpfapply::apply::outcome::{Outcome, Verdict};
use bpfapply::apply::{Stamp, apply};
use bpfapply::btf::value;
use bpfapply::diag::{Problem, Problems};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{Kernel, contents, observe, status};
use bpfapply::names::PinPath;
use bpfapply::observed::{Observed, Pinned, Wanted};
use bpfapply::plan::{self, Action, Mode, Plan};
use common::stages::{self, good, path, plan_destroy, plan_rollback, repository};

/// A filter with variables of each kind; `SET` is what the manifest sets.
const MANIFEST: &str = r#"
version = 1
name = "edge"
[object.filter]
path = "tests/variables/filter.o"
set = { SET }
[program.judge]
from = "filter:judge"
[link.first]
program = "judge"
xdp = { interface = "lo", mode = "generic" }
"#;

/// A kernel that several may use.
trait Host: Kernel {
    fn same(&self) -> Self;
}

impl Host for Fake {
    fn same(&self) -> Self {
        self.clone()
    }
}

impl Host for Linux {
    fn same(&self) -> Self {
        Self::new()
    }
}

fn try_plan(text: &str, host: &impl Host) -> Result<Plan, Problems> {
    let desired = stages::desired(text, repository(), host)?;
    let observed = observe::observe(host, &Wanted::of(&desired))?;
    plan::plan(&desired, &observed, Mode::Live)
}

#[track_caller]
fn plan_of(set: &str, host: &impl Host) -> Plan {
    let text = MANIFEST.replace("SET", set);
    good(try_plan(&text, host), &text)
}

fn run<'a>(plan: &'a Plan, host: &impl Host) -> (Outcome<'a>, Option<Problem>) {
    let applied = apply(&mut host.same(), plan, &Stamp { time: 7, ..Stamp::default() });
    (applied.outcome, applied.problem)
}

#[track_caller]
fn make(plan: &Plan, host: &impl Host) {
    let (_, problem) = run(plan, host);
    assert!(problem.is_none(), "{problem:?}");
    assert_eq!(unwritten(host, plan).expect("it can be read"), [""; 0]);
}

fn pin(section: &str) -> PinPath {
    path(&format!("/sys/fs/bpf/edge/objects/filter/maps/{}", section.replace('.', "%2e")))
}

fn observed(section: &str, host: &impl Host) -> Observed {
    let wanted =
        Wanted { pins: [pin(section)].into(), contents: [pin(section)].into(), types: true, ..Wanted::default() };
    good(observe::observe(host, &wanted), "")
}

fn bytes(section: &str, host: &impl Host) -> Vec<u8> {
    observed(section, host).contents[&pin(section)].get(&[0; 4]).expect("it has one value").to_vec()
}

/// Returns what a section holds, in words.
fn held(section: &str, host: &impl Host) -> String {
    let observed = observed(section, host);
    let Some(Pinned::Map(map)) = observed.pins.get(&pin(section)) else { panic!("{section} is pinned") };
    let types = map.spec.types.as_ref().expect("it has types");
    value::format(&types.btf, types.value, &bytes(section, host)).expect("it has the size of its type")
}

/// Writes into a section as programs do.
fn write(section: &str, at: usize, with: &[u8], host: &impl Host) {
    let mut value = bytes(section, host);
    value[at..at + with.len()].copy_from_slice(with);
    let (_, map) = host.open_pin(&pin(section)).expect("it is pinned");
    host.same().update(&map, &[0; 4], &value).expect("it can be written");
}

/// Returns what a plan changes, but for its record.
fn changes(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| {
        step.action.marker() != plan::Marker::Reuse && !matches!(step.action, Action::WriteRecord { .. })
    });
    let line = |step: &plan::Step| match step.action {
        Action::SetVariables { .. } => format!("~ {} {}", step.action.address(), step.action),
        _ => format!("{} {} {}", step.action.marker(), step.action.address(), step.action.name()),
    };
    steps.map(line).collect()
}

/// One change of what is set.
struct Row {
    name: &'static str,
    first: &'static str,
    /// What programs write after that: into which section, where, what.
    others: &'static [(&'static str, usize, &'static [u8])],
    then: &'static str,
    /// What the plan says.
    plan: &'static [&'static str],
    /// What is in a section afterwards.
    held: (&'static str, &'static str),
    /// What is in it after a rollback.
    back: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        name: "a variable beside one that programs write",
        first: "verdict = \"VERDICT_PASS\"",
        others: &[(".data", 4, &[55])],
        then: "verdict = \"VERDICT_DROP\"",
        plan: &["~ map.filter:.data set verdict \"VERDICT_PASS\" -> \"VERDICT_DROP\""],
        held: (
            ".data",
            r#"{ verdict = "VERDICT_DROP", runs = 55, config = { limit = 3, gateway = "0.0.0.0", low = 1, high = 2, name = "first", bucket = { burst = 10, rate = 20 } } }"#,
        ),
        back: r#"{ verdict = "VERDICT_PASS", runs = 55, config = { limit = 3, gateway = "0.0.0.0", low = 1, high = 2, name = "first", bucket = { burst = 10, rate = 20 } } }"#,
    },
    Row {
        name: "fields, of which programs write the neighbours",
        first: "config = { limit = 4 }",
        others: &[(".data", 24, &[77]), (".data", 16, &[0xff])],
        then: "\"config.limit\" = 7, config = { gateway = \"10.0.0.1\", low = 5, bucket = { rate = 9 } }",
        plan: &[
            "~ map.filter:.data set config.bucket.rate 20 -> 9, config.gateway \"0.0.0.0\" -> \"10.0.0.1\", config.limit 4 -> 7, config.low 7 -> 5",
        ],
        held: (
            ".data",
            r#"{ verdict = "VERDICT_PASS", runs = 100, config = { limit = 7, gateway = "10.0.0.1", low = 5, high = 31, name = "first", bucket = { burst = 77, rate = 9 } } }"#,
        ),
        // What starts again does so with what the object says.
        back: r#"{ verdict = "VERDICT_PASS", runs = 100, config = { limit = 4, gateway = "0.0.0.0", low = 1, high = 31, name = "first", bucket = { burst = 77, rate = 20 } } }"#,
    },
    Row {
        name: "what is set no more starts again",
        first: "runs = 9, config = { name = \"other\" }",
        others: &[(".data", 32, &[8])],
        then: "",
        plan: &["~ map.filter:.data set config.name \"other\" -> \"first\", runs 9 -> 100"],
        held: (
            ".data",
            r#"{ verdict = "VERDICT_PASS", runs = 100, config = { limit = 3, gateway = "0.0.0.0", low = 1, high = 2, name = "first", bucket = { burst = 10, rate = 8 } } }"#,
        ),
        back: r#"{ verdict = "VERDICT_PASS", runs = 9, config = { limit = 3, gateway = "0.0.0.0", low = 1, high = 2, name = "other", bucket = { burst = 10, rate = 8 } } }"#,
    },
    Row {
        name: "elements and a flag of zeroes",
        first: "",
        others: &[(".data", 4, &[1])],
        then: "ports = [80, { be16 = 443 }], quiet = true",
        plan: &["~ map.filter:.bss set ports [0, 0, 0, 0] -> [80, 47873, 0, 0], quiet false -> true"],
        held: (".bss", "{ quiet = true, seen = 0, ports = [80, 47873, 0, 0] }"),
        back: "{ quiet = false, seen = 0, ports = [0, 0, 0, 0] }",
    },
    Row {
        name: "a section that cannot be reached through memory",
        first: "step = 6",
        others: &[(".data.own", 4, &[42])],
        then: "step = 7",
        plan: &[
            "~ map.filter:.data.own set step 6 -> 7, with all of the section, which is not mmapable: what programs write to it just then is lost",
        ],
        held: (".data.own", "{ step = 7, steps = 42 }"),
        back: "{ step = 6, steps = 42 }",
    },
    Row {
        name: "nothing new",
        first: "runs = 9",
        others: &[(".data", 8, &[1])],
        then: "runs = 9",
        plan: &[],
        held: (
            ".data",
            r#"{ verdict = "VERDICT_PASS", runs = 9, config = { limit = 1, gateway = "0.0.0.0", low = 1, high = 2, name = "first", bucket = { burst = 10, rate = 20 } } }"#,
        ),
        back: "",
    },
    Row {
        name: "a constant is of the program",
        first: "fixed = 7, runs = 9",
        others: &[(".data", 4, &[10])],
        then: "fixed = 8, runs = 9",
        plan: &[
            "+/- map.filter:.rodata create-map",
            "+ map.filter:.rodata fill-map",
            "~ map.filter:.data set runs 10 -> 9",
            "+/- program.judge load-program",
            "~ link.first update-link",
        ],
        held: (".rodata", "{ fixed = 8 }"),
        back: "{ fixed = 7 }",
    },
];

/// Applies a row on a host that has nothing, and takes it away again.
fn check_row(row: &Row, host: &impl Host) {
    let Row { name, first, others, then, plan, held: (section, expected), back } = row;
    make(&plan_of(first, host), host);
    let program = |host: &_| id(host);
    let before = program(host);
    others.iter().for_each(|(section, at, with)| write(section, *at, with, host));
    let planned = plan_of(then, host);
    let mut said = changes(&planned);
    let mut plan: Vec<_> = plan.iter().map(|line| (*line).to_owned()).collect();
    said.sort();
    plan.sort();
    assert_eq!(said, plan, "{name}");
    make(&planned, host);
    assert_eq!(held(section, host), *expected, "{name}");
    assert!(plan_of(then, host).is_empty(), "{name}: nothing to do");
    if !plan.iter().any(|line| line.contains("program.")) {
        assert_eq!(program(host), before, "{name}: the program runs on");
    }
    if !back.is_empty() {
        make(&good(plan_rollback("edge", host), ""), host);
        assert_eq!(held(section, host), *back, "{name}, back");
        assert!(plan_of(first, host).is_empty() || !others.is_empty(), "{name}, back: nothing to do");
    }
    make(&good(plan_destroy("edge", host), ""), host);
}

/// Returns the id of the program.
fn id(host: &impl Host) -> u32 {
    let (_, program) = host.open_pin(&path("/sys/fs/bpf/edge/programs/judge")).expect("it is pinned");
    host.program_info(&program).expect("a program").id
}

fn fake() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake
}

#[test]
fn variables_change_while_programs_run() {
    ROWS.iter().for_each(|row| check_row(row, &fake()));
}

#[test]
fn variables_change_while_programs_run_on_the_kernel() {
    common::in_namespace("variables_change_while_programs_run_on_the_kernel", |_| {
        ROWS.iter().for_each(|row| check_row(row, &Linux::new()));
    });
}

/// Runs the program once on a packet, and returns its verdict.
fn verdict(host: &Linux) -> u64 {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), [0; 64]).expect("it can be written");
    let mut command = std::process::Command::new("bpftool");
    command.args(["-j", "prog", "run", "id", &id(host).to_string(), "data_in"]).arg(file.path());
    let output = common::run(&mut command).expect("it runs");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    said["retval"].as_u64().expect("a number")
}

#[test]
fn a_program_sees_what_is_set_and_keeps_what_it_counted() {
    common::in_namespace("a_program_sees_what_is_set_and_keeps_what_it_counted", |_| {
        let host = Linux::new();
        make(&plan_of("verdict = \"VERDICT_PASS\"", &host), &host);
        let program = id(&host);
        for (set, expected) in [
            ("verdict = \"VERDICT_DROP\"", 1),
            ("verdict = 2, ports = [1, 7]", 0),
            ("verdict = 2, ports = [1, 6]", 2),
            ("verdict = 1", 1),
        ] {
            make(&plan_of(set, &host), &host);
            assert_eq!((verdict(&host), id(&host)), (expected, program), "{set}");
        }
        let runs = u32::from_ne_bytes(*bytes(".data", &host)[4..].first_chunk().expect("four bytes"));
        assert!(runs >= 104, "it counts on: {runs}");
        make(&good(plan_destroy("edge", &host), ""), &host);
    });
}

#[test]
fn nothing_is_lost_of_what_programs_write_beside() {
    common::in_namespace("nothing_is_lost_of_what_programs_write_beside", |_| {
        let host = Linux::new();
        make(&plan_of("\"config.low\" = 1", &host), &host);
        let program = id(&host).to_string();
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        std::fs::write(file.path(), [0; 64]).expect("it can be written");
        let runs = |host: &Linux| u32::from_ne_bytes(*bytes(".data", host)[4..].first_chunk().expect("four bytes"));
        let before = runs(&host);
        // In the same word of eight bytes as `runs`, and in the same byte as `config.high`.
        let mut flood = std::process::Command::new("bpftool")
            .args(["prog", "run", "id", &program, "repeat", "3000000", "data_in"])
            .arg(file.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        let mut sets = 0;
        while flood.try_wait().expect("it can be waited for").is_none() {
            let (verdict, low) = (1 + sets % 2, sets % 8);
            let plan = plan_of(&format!("verdict = {verdict}, \"config.low\" = {low}"), &host);
            assert!(run(&plan, &host).1.is_none());
            sets += 1;
        }
        // The first of the runs warm the program up; a lost one would show as fewer than all.
        assert!(sets > 2, "{sets} sets while it ran");
        assert!(runs(&host) - before >= 3_000_000, "{} runs, {sets} sets", runs(&host) - before);
        make(&good(plan_destroy("edge", &host), ""), &host);
    });
}

#[test]
fn a_run_that_fails_leaves_variables_as_they_were() {
    let before = fake();
    let plan = plan_of("runs = 1, step = 1, quiet = false", &before);
    assert!(run(&plan, &before).1.is_none());
    for n in 1.. {
        let fake = fake();
        assert!(run(&plan_of("runs = 1, step = 1, quiet = false", &fake), &fake).1.is_none());
        let all = |fake: &Fake| [".data", ".data.own", ".bss"].map(|section| held(section, fake));
        let first = all(&fake);
        let plan = plan_of("runs = 2, config = { limit = 8 }, step = 2, quiet = true", &fake);
        fake.fail_nth(n, libc::EIO);
        let (outcome, problem) = run(&plan, &fake);
        fake.heal();
        match problem {
            None => break,
            Some(_) if outcome.verdict() == Verdict::FailedAsBefore => assert_eq!(all(&fake), first, "call {n}"),
            Some(_) => assert_ne!(all(&fake), first, "call {n}"),
        }
        let again = plan_of("runs = 2, config = { limit = 8 }, step = 2, quiet = true", &fake);
        assert!(run(&again, &fake).1.is_none(), "call {n}");
        assert!(plan_of("runs = 2, config = { limit = 8 }, step = 2, quiet = true", &fake).is_empty(), "call {n}");
    }
}

#[test]
fn who_changes_what_is_set_is_drift() {
    for (section, at, expected) in [
        (".data", 8, &["map.filter:.data: not as they were set: config.limit"][..]),
        (".data", 4, &["map.filter:.data: not as they were set: runs"]),
        // Nobody sets these.
        (".data", 24, &[]),
        (".data.own", 4, &[]),
    ] {
        let host = fake();
        let set = "runs = 9, config = { limit = 8 }, step = 3";
        make(&plan_of(set, &host), &host);
        write(section, at, &[99], &host);
        let root = path("/sys/fs/bpf/edge");
        let record = observe::settled_record(&host, &root).expect("it can be read").expect("a record");
        let drift: Vec<_> =
            contents::drift(&host, &record).expect("it can be read").iter().map(ToString::to_string).collect();
        assert_eq!(drift, expected);
        let status = status::status(&host, &root).expect("it can be read").expect("it is there");
        assert_eq!(status.drift.len(), expected.len());
        make(&plan_of(set, &host), &host);
        assert!(contents::drift(&host, &record).expect("it can be read").is_empty());
    }
}

#[test]
fn another_layout_is_another_section() {
    let host = fake();
    make(&plan_of("runs = 9", &host), &host);
    let text = MANIFEST.replace("filter.o", "later.o").replace("SET", "runs = 9");
    let plan = good(try_plan(&text, &host), &text);
    let changes = changes(&plan);
    assert!(changes.contains(&"+/- map.filter:.data create-map".to_owned()), "{changes:?}");
    assert!(!changes.iter().any(|line| line.contains(" set ")), "{changes:?}");
}

/// The same with a table for the section, which says that its variables go over.
fn migrating(object: &str, set: &str) -> String {
    let table =
        "[map.variables]\nfrom = \"filter:.data\"\npin = \"objects/filter/maps/%2edata\"\non_change = \"migrate\"\n";
    format!("{}{table}", MANIFEST.replace("filter.o", object).replace("SET", set))
}

fn check_migration(host: &impl Host) {
    make(&plan_of("verdict = 1", host), host);
    // `runs` and `config.bucket.rate`.
    write(".data", 4, &[77], host);
    write(".data", 32, &[99], host);
    let text = migrating("later.o", "verdict = 2");
    let plan = good(try_plan(&text, host), &text);
    let copy = plan.steps.iter().find(|step| matches!(step.action, Action::CopyEntries { .. })).expect("it copies");
    assert!(copy.action.to_string().ends_with(", kept: verdict, runs, config; new: earlier"), "{}", copy.action);
    assert_eq!(plan.needs().len(), 0, "nothing is lost");
    make(&plan, host);
    let all = held(".data", host);
    for holds in ["earlier = 1,", "verdict = \"VERDICT_PASS\",", "runs = 77,", "burst = 10, rate = 99"] {
        assert!(all.contains(holds), "{holds} in {all}");
    }
    assert!(good(try_plan(&text, host), &text).is_empty(), "there is nothing left to do");
    // What an object starts its variables with is for new ones.
    let text = migrating("filter.o", "");
    let problems = try_plan(&text, host).expect_err("nobody knows what `verdict` is to be");
    assert!(problems.0[0].kind.to_string().contains("does not set `verdict` any more"), "{problems:?}");
    let text = migrating("filter.o", "verdict = 1");
    let plan = good(try_plan(&text, host), &text);
    assert_eq!(plan.needs().into_iter().collect::<Vec<_>>(), [plan::Consent::LoseState], "`earlier` goes");
    make(&plan, host);
    let all = held(".data", host);
    assert!(all.contains("verdict = \"VERDICT_DROP\", runs = 77,") && all.contains("rate = 99"), "{all}");
    make(&good(plan_destroy("edge", host), ""), host);
}

#[test]
fn variables_go_over_into_another_layout() {
    check_migration(&fake());
}

#[test]
fn variables_go_over_into_another_layout_on_the_kernel() {
    common::in_namespace("variables_go_over_into_another_layout_on_the_kernel", |_| check_migration(&Linux::new()));
}

#[test]
fn each_instance_has_its_own() {
    let host = fake();
    let text = |limit: u32| {
        let more = "[object.second]\npath = \"tests/variables/filter.o\"\nset = { runs = 1 }\n\
                    [program.other]\nfrom = \"second:judge\"\n";
        format!("{}{more}", MANIFEST.replace("SET", &format!("runs = {limit}")))
    };
    make(&good(try_plan(&text(5), &host), ""), &host);
    let plan = good(try_plan(&text(6), &host), "");
    assert_eq!(changes(&plan), ["~ map.filter:.data set runs 5 -> 6"]);
    make(&plan, &host);
}

#[test]
fn what_cannot_be_set_says_why() {
    for (object, set, expected) in [
        ("variables/filter.o", "verdct = 1", "object.filter has no global variable `verdct`"),
        ("variables/filter.o", "\"config.limt\" = 1", "has no field `limt`"),
        ("variables/filter.o", "config = { limit = 1, bucket = { rat = 1 } }", "has no field `rat`"),
        ("variables/filter.o", "config = { limit = 1 }, \"config.limit\" = 2", "`config.limit` is set twice"),
        ("variables/filter.o", "config = { low = 9 }", "9 is not in 0 to 7"),
        ("variables/filter.o", "verdict = \"VERDICT_PAS\"", "enum verdict` has no value `VERDICT_PAS`"),
        ("variables/filter.o", "runs = { be16 = 3 }", "a number of 2 bytes is given"),
        ("variables/same.o", "count = 1", "object.filter has 2 variables `count`: at .data+0, .data+4"),
        ("objects/kconfig.o", "CONFIG_HZ = 1", "`CONFIG_HZ` of object.filter gets its value from the kernel"),
    ] {
        let function = if object.contains("same") { "one" } else { "judge" };
        let text =
            MANIFEST.replace("variables/filter.o", object).replace("judge\"\n[link", &format!("{function}\"\n[link"));
        let text = text.replace("SET", set);
        let problems = try_plan(&text, &fake()).expect_err(set);
        let said: Vec<_> = problems.0.iter().map(|problem| problem.kind.to_string()).collect();
        assert!(said.iter().any(|said| said.contains(expected)), "{set}: {said:?}");
    }
}
