//! What the README shows is what the tool prints.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A manifest with three mistakes, for the README.
const BROKEN: &str = "\
version = 1
name    = \"edge\"

[object.filter]
path = \"filter.bpf.o\"
maps = { deny = \"blocklst\" }

[map.blocklist]
form = \"filter:blocklist\"

[link.uplink]
program = \"drop\"
xdp     = { interface = \"eth0\", mode = \"fast\" }
";

fn tool(arguments: &[&str], folder: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_bpfapply"))
        .args(arguments)
        .current_dir(folder)
        .env("COLUMNS", "100")
        .env("LC_ALL", "C")
        .output()
        .expect("it runs")
}

/// Compares the fenced block behind a marker with what is printed; with `UPDATE=1` writes it.
#[track_caller]
fn check(marker: &str, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).expect("the README is there");
    let marked = readme.find(&format!("<!-- {marker}:")).expect("the README has the marker");
    let start = marked + readme[marked..].find("```text\n").expect("a block follows") + "```text\n".len();
    let end = start + readme[start..].find("```\n").expect("the block ends");
    if std::env::var_os("UPDATE").is_some() {
        let new = format!("{}{}\n{}", &readme[..start], printed.trim_end(), &readme[end..]);
        return fs::write(&path, new).expect("the README can be written");
    }
    assert_eq!(readme[start..end].trim_end(), printed.trim_end(), "run `UPDATE=1 cargo test --test readme`");
}

/// One test, since both parts write one file when they update.
#[test]
fn the_readme_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plan = tool(&["examples/quickstart/plan.toml", "--dry-run=offline"], root);
    assert!(plan.status.success());
    check("plan", &String::from_utf8_lossy(&plan.stdout));

    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("plan.toml"), BROKEN).expect("it can be written");
    // The object is well.
    fs::copy(root.join("tests/objects/upgrade_1.o"), folder.path().join("filter.bpf.o")).expect("it is there");
    let broken = tool(&["plan.toml", "--dry-run=offline"], folder.path());
    assert_eq!(broken.status.code(), Some(65));
    check("problem", &String::from_utf8_lossy(&broken.stderr));
}
