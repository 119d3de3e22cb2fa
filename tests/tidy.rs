//! The rules of the house that the compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that get everything they know as an argument.
const PURE: &[&str] = &[
    "access.rs",
    "btf",
    "cells.rs",
    "desired",
    "diag",
    "diag.rs",
    "direct.rs",
    "draft",
    "elf",
    "entries.rs",
    "explain",
    "insn",
    "insn.rs",
    "kinds.rs",
    "manifest",
    "migrate.rs",
    "names.rs",
    "observed.rs",
    "packet",
    "plan",
    "record.rs",
    "report",
    "route.rs",
    "saved.rs",
    "spec.rs",
    "state.rs",
    "traffic.rs",
    "verdict.rs",
    "verifier",
    "verifier.rs",
];

/// What a pure room never asks.
const IMPURE: &[&str] =
    &["std::fs", "std::env", "std::process", "std::net", "std::time::SystemTime", "crate::kernel", "crate::load"];

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    assert!(found.len() > 20, "the sources were found");
    found
}

/// Returns the text without its tests, which may do as they like.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[test]
fn pure_rooms_ask_nobody() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources() {
        let inside = path.strip_prefix(&src).expect("a source is in src");
        let room = inside.components().next().expect("a path has a part").as_os_str().to_str().expect("UTF-8");
        if !PURE.contains(&room) || inside.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source is readable");
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for asked in IMPURE {
                assert!(!code.contains(asked), "{}:{}: a pure room asks {asked}", inside.display(), number + 1);
            }
        }
    }
}

#[test]
fn unsafe_has_one_room() {
    for path in sources().iter().filter(|path| !path.ends_with("src/kernel/sys.rs")) {
        let text = fs::read_to_string(path).expect("a source is readable");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let word = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "unsafe");
            assert!(!word, "{}:{}: unsafe outside of its room", path.display(), number + 1);
        }
    }
}

#[test]
fn every_file_says_what_lives_there() {
    for path in sources() {
        let text = fs::read_to_string(&path).expect("a source is readable");
        assert!(text.starts_with("//! "), "{} does not start with what lives there", path.display());
    }
}
