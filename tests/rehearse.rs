//! `--dry-run=verify`: every new map and program goes through this kernel as an apply would have it, and nothing that
//! exists is changed, nothing attached and nothing left.

mod common;

use bpfapply::apply::rehearse;
use bpfapply::kernel::fake::Fake;
use bpfapply::plan::Verdict;
use common::tool::{Said, below, bpfapply, bpftool, refused, succeed};
use common::{in_namespace, stages};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Calls that only make something that nobody else can see.
const PRIVATE: &[&str] = &["create_map", "load_btf", "load_program", "update", "update_slot", "freeze"];

/// Tail calls through slots, data sections, a map that two objects share, and a program of another type.
const PROGRAMS: &str = r#"
version = 1
name = "edge"
[object.data]
path = "tests/objects/data.o"
[object.jumps]
path = "tests/objects/prog_array.o"
[object.device]
path = "tests/objects/stats_a.o"
[object.stack]
path = "tests/objects/stats_b.o"
maps = { stats = "stats" }
[map.stats]
from = "device:stats"
[program.touch]
from = "data:touch"
[program.entry]
from = "jumps:entry"
[program.first]
from = "jumps:first"
[program.third]
from = "jumps:third"
[program.on_device]
from = "device:on_device"
[program.on_stack]
from = "stack:on_stack"
[link.uplink]
program = "entry"
xdp = { interface = "lo" }
"#;

/// A program and an extension of it.
const EXTENSION: &str = r#"
version = 1
name = "edge"
[object.code]
path = "tests/objects/extension.o"
[program.filter]
from = "code:filter"
[program.strict]
from = "code:strict"
extends = "filter"
"#;

/// Rehearses a manifest on a fake kernel where that text was applied before, and on which the verifier refuses these
/// functions; returns each verdict, and each problem in one line.
#[track_caller]
fn said(before: Option<&str>, text: &str, refuses: &[&str]) -> Vec<String> {
    let fake = Fake::new();
    if let Some(before) = before {
        stages::make(before, &fake);
    }
    for function in refuses {
        fake.refuse_program(function, libc::EACCES, "R1 is not what it should be\n");
    }
    let plan = stages::good(stages::plan(text, &fake), text);
    let (calls, dump) = (fake.calls().len(), fake.dump());
    let rehearsed = rehearse(&mut fake.clone(), &plan);
    let others: BTreeSet<_> = fake.calls().split_off(calls).into_iter().filter(|call| !PRIVATE.contains(call)).collect();
    assert!(others.is_empty(), "{others:?}");
    let verdicts = rehearsed.verdicts.iter().map(|(program, verdict)| match verdict {
        Verdict::Passed { insns: Some(_) } => format!("{program} passed"),
        Verdict::Passed { insns: None } => format!("{program} passed uncounted"),
        Verdict::Failed => format!("{program} failed"),
        Verdict::NotTried { lacks } => format!("{program} lacks {lacks}"),
    });
    let mut lines: Vec<String> = verdicts.collect();
    lines.extend(rehearsed.problems().0.iter().map(|problem| problem.kind.to_string()));
    drop(rehearsed);
    assert_eq!(fake.dump(), dump, "nothing is left");
    lines
}

#[test]
fn every_program_has_a_verdict() {
    let refuses = |program: &str, function: &str| {
        format!("the kernel refuses program.{program}: R1 is not what it should be ({function})")
    };
    let all = ["entry", "first", "on_device", "on_stack", "third", "touch"];
    let but = |failed: &[&str]| {
        let line = |name: &&str| format!("{name} {}", if failed.contains(name) { "failed" } else { "passed" });
        all.iter().map(line).collect::<Vec<_>>()
    };
    let _ = refuses;
    let cases: &[(&str, Option<&str>, &str, &[&str], Vec<String>)] = &[
        ("all pass", None, PROGRAMS, &[], but(&[])),
        ("one of a batch", None, PROGRAMS, &["touch"], but(&["touch"])),
        ("one of a tail call", None, PROGRAMS, &["third"], but(&["third"])),
        ("several", None, PROGRAMS, &["touch", "on_stack", "first"], but(&["first", "on_stack", "touch"])),
        ("nothing is new", Some(PROGRAMS), PROGRAMS, &[], Vec::new()),
        ("a target", None, EXTENSION, &["filter"], vec!["filter failed".into(), "strict lacks program.filter".into()]),
        ("an extension", None, EXTENSION, &["strict"], vec!["filter passed".into(), "strict failed".into()]),
    ];
    for (name, before, text, refuses, expected) in cases {
        let lines = said(*before, text, refuses);
        let (verdicts, problems) = lines.split_at(expected.len());
        assert_eq!(verdicts, expected, "{name}");
        assert_eq!(problems.len(), refuses.len(), "{name}: {problems:#?}");
    }
}

#[test]
fn whatever_fails_nothing_is_left() {
    for n in 1.. {
        let fake = Fake::new();
        let plan = stages::good(stages::plan(PROGRAMS, &fake), PROGRAMS);
        let before = fake.dump();
        fake.fail_nth(n, libc::ENOMEM);
        let rehearsed = rehearse(&mut fake.clone(), &plan);
        let (problems, calls) = (rehearsed.problems().0.len(), fake.calls().len());
        drop(rehearsed);
        assert_eq!(fake.dump(), before, "call {n}");
        if n > calls {
            assert_eq!(problems, 0);
            break;
        }
    }
}
