//! Plans as people read them: each folder of `tests/plans` has a manifest, what was applied before it (`before.toml`,
//! where the host was not empty), what its maps hold then (`entries.txt`: the pin, the key, the value), and the text that `--dry-run` prints. `UPDATE=1 cargo test --test plans` writes the
//! texts anew: read them, as the one who is called at night does.

mod common;

use bpfapply::access::AccountKind;
use bpfapply::kernel::Kernel;
use bpfapply::kernel::fake::Fake;
use bpfapply::report::{ManifestText, Style, text};
use common::stages::{self, good, path, plan_in, rendered, run};
use std::fs;
use std::path::{Path, PathBuf};

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(stages::repository().join("tests/plans")).expect("the cases are there");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a case").path()).collect();
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

/// Writes the entries of a case: a pin below the deployment's folder, the key, and the value in as many pieces as it
/// likes, in hexadecimal digits.
fn write_entries(fake: &Fake, entries: &str) {
    for line in entries.lines() {
        let mut words = line.split(' ');
        let pin = format!("/sys/fs/bpf/edge/{}", words.next().expect("a line has a pin"));
        let key = bytes(words.next().expect("a line has a key"));
        let (_, map) = fake.open_pin(&path(&pin)).expect("a map has the pin");
        fake.clone().update(&map, &key, &bytes(&words.collect::<String>())).expect("the entry fits");
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

/// Writes what `--dry-run` prints for the case, its problems included.
fn draw(folder: &Path) -> String {
    let fake = host();
    if let Ok(before) = fs::read_to_string(folder.join("before.toml")) {
        let plan = good(plan_in(folder, &before, &fake), &before);
        let (_, problem) = run(&plan, &fake);
        assert!(problem.is_none(), "{}: {problem:?}", folder.display());
    }
    if let Ok(entries) = fs::read_to_string(folder.join("entries.txt")) {
        write_entries(&fake, &entries);
    }
    let manifest = fs::read_to_string(folder.join("plan.toml")).expect("a case has a manifest");
    let calls = fake.calls().len();
    let drawn = match plan_in(folder, &manifest, &fake) {
        Ok(plan) => {
            let style = Style { width: 100, ascii: true, color: false };
            let manifest = Some(ManifestText { name: "plan.toml", text: &manifest });
            text::plan(&plan, &text::Options { style, purpose: text::Purpose::DryRun, manifest, entries: 3 })
        }
        Err(problems) => rendered(&problems, &manifest),
    };
    assert_eq!(fake.calls().len(), calls, "a dry run changes nothing");
    drawn
}

#[test]
fn plans_read_as_they_should() {
    let mut differ = Vec::new();
    for folder in folders() {
        let (path, drawn) = (folder.join("plan.txt"), draw(&folder));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &drawn).expect("the text can be written");
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&drawn) {
            differ.push(format!("{}:\n{drawn}", path.display()));
        }
    }
    assert!(differ.is_empty(), "these plans read otherwise (UPDATE=1 accepts them):\n{}", differ.join("\n"));
}
