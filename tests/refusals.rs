//! What the verifier's refusals read like: each program of `tests/refusals/*.c` is refused by the running kernel, and
//! `NAME.txt` is what the user then reads. `UPDATE=1 cargo test --test refusals` writes the texts anew: look at the
//! difference. On other kernels than the one that they are of, only the hints are compared: `tests/vm.rs` runs this on
//! those.

mod common;

use bpfapply::verifier::hints::HINTS;
use common::tool::bpfapply;
use common::{in_namespace, output, skip};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The kernel that the texts are of.
const WRITTEN_ON: (u32, u32) = (6, 18);

/// A program that is refused.
struct Case {
    /// The object without `.o`.
    object: &'static str,
    function: &'static str,
    /// The hint that has to be given, without `verifier::`.
    hint: &'static str,
    /// Since which kernel, and what older ones do.
    since: Option<((u32, u32), Older)>,
}

/// What a kernel does with a program that is too new for the hint of a case.
#[derive(Clone, Copy)]
enum Older {
    /// It has no such function.
    Lacks(&'static str),
    /// It refuses it too, with this hint.
    Hints(&'static str),
    /// It refuses it in these words, for which there is no hint.
    Says(&'static str),
}

use Older::{Hints, Lacks, Says};

impl Case {
    /// Returns the exit code on this kernel, and words of what is said.
    fn expected(&self, version: (u32, u32)) -> (i32, String) {
        let hinted = |hint| (1, format!("more: `bpfapply explain verifier::{hint}`"));
        match self.since {
            Some((since, Hints(hint))) if version < since => hinted(hint),
            Some((since, Lacks(function))) if version < since => {
                (69, format!("this kernel has no function `{function}`"))
            }
            Some((since, Says(words))) if version < since => (1, words.to_owned()),
            Some(_) | None => hinted(self.hint),
        }
    }
}

const fn case(object: &'static str, function: &'static str, hint: &'static str) -> Case {
    Case { object, function, hint, since: None }
}

const fn newer(since: (u32, u32), older: Older, case: Case) -> Case {
    Case { since: Some((since, older)), ..case }
}

/// Refused to everybody.
const CASES: &[Case] = &[
    newer((5, 13), Says("number of funcs in func_info"), case("calls", "callback_that_returns_two", "callback")),
    newer((5, 19), Hints("no_helper"), case("calls", "dynptr_without_value", "dynptr")),
    newer((6, 5), Lacks("bpf_sock_destroy"), case("calls", "function_of_another_type", "kernel_function")),
    case("calls", "global_function_returns_a_pointer", "global_function"),
    newer((5, 12), Hints("global_function"), case("calls", "global_function_without_null_check", "null")),
    case("calls", "helper_of_another_type", "helper"),
    case("calls", "helper_that_no_kernel_has", "no_helper"),
    newer((6, 12), Hints("helper"), case("calls", "sleeps", "sleeps")),
    case("calls", "tail_call_below_a_large_frame", "tail_call"),
    newer((6, 2), Lacks("bpf_task_acquire"), case("calls", "untrusted_pointer", "trusted")),
    case("context", "field_of_another_type", "context"),
    case("context", "moved_context", "moved_context"),
    case("context", "returns_five", "return_value"),
    case("context", "writes_to_the_kernel", "kernel_memory"),
    case("license", "prints", "license"),
    case("limits", "no_end", "no_end"),
    case("limits", "too_many_branches", "too_many_branches"),
    case("limits", "too_many_frames", "frames"),
    case("limits", "too_many_instructions", "too_large"),
    case("locks", "calls_under_a_lock", "lock"),
    case("locks", "ends_under_a_lock", "lock"),
    case("locks", "lock_without_types", "lock_types"),
    case("maps", "arithmetic_before_null_check", "null"),
    case("maps", "context_as_key", "argument"),
    case("maps", "index_below_zero", "pointer_range"),
    case("maps", "index_too_large", "value_bounds"),
    case("maps", "index_without_end", "value_bounds"),
    case("maps", "no_null_check", "null"),
    case("maps", "write_constant", "read_only"),
    case("maps", "wrong_map_type", "map_type"),
    case("packet", "add_to_the_end", "arithmetic"),
    case("packet", "after_a_move", "not_a_pointer"),
    case("packet", "mask_a_pointer", "arithmetic"),
    case("packet", "no_end_check", "packet_bounds"),
    case("packet", "unbounded_offset", "pointer_range"),
    case("packet", "write_where_only_read", "read_only"),
    case("references", "gives_back_twice", "argument"),
    case("references", "jumps_with_an_event", "leak"),
    case("references", "keeps_a_socket", "leak"),
    case("references", "keeps_an_event", "leak"),
    case("stack", "below_the_stack", "stack_bounds"),
    case("stack", "half_of_a_pointer", "spill"),
    newer((5, 18), Hints("no_helper"), case("stack", "length_below_zero", "length")),
    newer((5, 18), Hints("no_helper"), case("stack", "length_without_end", "length")),
    case("stack", "odd_address", "alignment"),
    case("stack", "key_larger_than_its_variable", "stack_bounds"),
    case("stack", "register_without_value", "unset"),
    case("stack", "two_large_frames", "stack_limit"),
];

/// Refused to who lacks CAP_PERFMON.
const WITHOUT_PERFMON: &[Case] =
    &[case("stack", "address_in_a_map", "address_leak"), case("stack", "key_without_value", "stack_unwritten")];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refusals")
}

fn manifest(case: &Case) -> String {
    let Case { object, function, .. } = case;
    format!(
        "version = 1\nname = \"refused\"\n\n[object.{object}]\npath = \"{object}.o\"\n\n\
         [program.{function}]\nfrom = \"{object}:{function}\"\n"
    )
}

/// Replaces what is another with each build of a kernel: ids of types, and offsets in structs.
fn settled(text: &str) -> String {
    let text = replaced(text, "call bpf_sock_destroy#", |c| c.is_ascii_digit(), "call bpf_sock_destroy#TYPE");
    let text = replaced(&text, "call bpf_task_acquire#", |c| c.is_ascii_digit(), "call bpf_task_acquire#TYPE");
    let text = replaced(&text, "btf_id ", |c| c.is_ascii_digit(), "btf_id TYPE");
    replaced(&text, "(r1 +", |c| c.is_ascii_digit(), "(r1 +OFFSET")
}

/// Replaces each `start` and the letters behind it.
fn replaced(text: &str, start: &str, letter: fn(char) -> bool, by: &str) -> String {
    let mut parts = text.split(start);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + by + part.trim_start_matches(letter))
}

/// Returns what is wrong with what a refused run says.
fn wrong(case: &Case, code: i32, said: &str, version: (u32, u32)) -> Option<String> {
    let Case { object, function, .. } = case;
    let (wanted, words) = case.expected(version);
    if code != wanted || !said.contains(&words) {
        return Some(format!(
            "{object}:{function}: exit code {code}, where {wanted} and {words:?} are wanted:\n{said}"
        ));
    }
    if version != WRITTEN_ON {
        return None;
    }
    let file = folder().join(format!("{function}.txt"));
    let got = settled(said);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &got).expect("the project is writable");
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    (wanted != got).then(|| format!("{} is stale: `UPDATE=1 cargo test --test refusals`\n{got}", file.display()))
}

/// Makes a folder with the objects, and the manifest of a case.
fn prepared(case: &Case) -> tempfile::TempDir {
    let made = tempfile::tempdir().expect("a folder");
    let object = format!("{}.o", case.object);
    fs::copy(folder().join(&object), made.path().join(&object)).expect("the object is part of the project");
    fs::write(made.path().join("plan.toml"), manifest(case)).expect("it can be written");
    made
}

/// Applies the manifest of each case in its own folder, and asserts that each is refused with its hint.
#[track_caller]
fn check(cases: &[Case], version: (u32, u32), apply: impl Fn(&Path) -> (i32, String)) {
    let wrongs = cases.iter().filter_map(|case| {
        let (code, said) = apply(prepared(case).path());
        wrong(case, code, &said, version)
    });
    let wrongs: Vec<_> = wrongs.collect();
    assert!(wrongs.is_empty(), "{} of {}:\n{}", wrongs.len(), cases.len(), wrongs.join("\n"));
}

#[test]
fn refusals_come_with_a_hint() {
    in_namespace("refusals", |room| {
        check(CASES, room.version, |folder| {
            let said = bpfapply(folder, &["plan.toml"]);
            (said.code, said.stderr)
        });
    });
}

#[test]
fn refusals_to_who_may_less_come_with_a_hint() {
    in_namespace("refusals_less", |room| {
        if Command::new("setpriv").arg("--version").output().is_err() {
            return skip("refusals_less", "needs setpriv");
        }
        check(WITHOUT_PERFMON, room.version, |folder| {
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set", "-perfmon,-sys_admin", "--inh-caps", "-perfmon,-sys_admin"]);
            command.args([env!("CARGO_BIN_EXE_bpfapply"), "plan.toml"]).current_dir(folder);
            let said = output(command.env("LC_ALL", "C.UTF-8"), Duration::from_secs(60)).expect("it runs");
            let text = String::from_utf8(said.stderr).expect("UTF-8 is written");
            (said.status.code().unwrap_or(-1), text)
        });
    });
}

#[test]
fn every_hint_is_provoked() {
    let provoked: BTreeSet<_> =
        CASES.iter().chain(WITHOUT_PERFMON).map(|case| format!("verifier::{}", case.hint)).collect();
    let known: BTreeSet<_> = HINTS.iter().map(|hint| hint.code.to_owned()).collect();
    assert_eq!(provoked, known);
    assert_eq!(known.len(), HINTS.len(), "each hint has a code of its own");
}
