//! Plans as people read them: each folder of `tests/plans` has a manifest, what was applied before it (`before.toml`,
//! where the host was not empty), and the text that `--dry-run` prints. `UPDATE=1 cargo test --test plans` writes the
//! texts anew: read them, as the one who is called at night does.

#[path = "common/stages.rs"]
mod stages;

use bpfapply::access::AccountKind;
use bpfapply::kernel::fake::Fake;
use bpfapply::report::{ManifestText, Style, text};
use stages::{good, plan_in, rendered, run};
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

/// Writes what `--dry-run` prints for the case, its problems included.
fn draw(folder: &Path) -> String {
    let fake = host();
    if let Ok(before) = fs::read_to_string(folder.join("before.toml")) {
        let plan = good(plan_in(folder, &before, &fake), &before);
        let (_, problem) = run(&plan, &fake);
        assert!(problem.is_none(), "{}: {problem:?}", folder.display());
    }
    let manifest = fs::read_to_string(folder.join("plan.toml")).expect("a case has a manifest");
    let calls = fake.calls().len();
    let drawn = match plan_in(folder, &manifest, &fake) {
        Ok(plan) => {
            let style = Style { width: 100, ascii: true, color: false };
            let manifest = Some(ManifestText { name: "plan.toml", text: &manifest });
            text::plan(&plan, &text::Options { style, purpose: text::Purpose::DryRun, manifest })
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
