//! First manifests from objects: valid as they are, and with what they suggest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bpfapply")).args(arguments).current_dir(folder).output().expect("it runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the text once with each link that is suggested, but for those that say that more is to be known.
fn with_each_link(text: &str) -> Vec<String> {
    let all = text.matches("\n# [link.").count();
    let with = |wanted: usize| {
        let (mut number, mut is_on) = (0, false);
        let lines = text.lines().map(|line| {
            let is_link = line.starts_with("# [link.");
            number += usize::from(is_link);
            is_on = (is_link || is_on && line.starts_with("# ")) && number == wanted;
            if is_on { &line[2..] } else { line }
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    let is_whole = |text: &String| !text.lines().any(|line| !line.starts_with('#') && line.contains("`attach_type`"));
    (1..=all).map(with).filter(is_whole).collect()
}

/// Writes a manifest from objects, and looks whether it is formatted and valid, and still valid with each of its links.
#[track_caller]
fn check(objects: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.toml").display().to_string();
    let made = tool(&[&["init", "--name", "first", "--out", &path], objects].concat(), root());
    assert!(made.status.success(), "{objects:?}: {}", errors(&made));
    let text = fs::read_to_string(&path).expect("it is there");
    assert_eq!(bpfapply::draft::format(&text).expect("it is TOML"), text);
    let mut paths = vec![path];
    for (number, text) in with_each_link(&text).into_iter().enumerate() {
        paths.push(folder.path().join(format!("{number}.toml")).display().to_string());
        fs::write(&paths[number + 1], &text).expect("it is writable");
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let valid = tool(&[&["validate"], &paths[..]].concat(), root());
    assert!(valid.status.success(), "{objects:?}: {}\n{text}", errors(&valid));
    text
}

#[track_caller]
fn golden(name: &str, objects: &[&str]) {
    check(objects);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.toml").display().to_string();
    assert!(tool(&[&["init", "--out", &path, "--name", "first"], objects].concat(), root()).status.success());
    let plan = tool(&[&path, "--dry-run=offline"], root());
    assert!(plan.status.success(), "{}", errors(&plan));
    // Without a file to write to, paths are as they were given.
    let made = tool(&[&["init", "--name", "first"], objects].concat(), root());
    let (path, text) = (root().join("tests/drafts").join(name), String::from_utf8(made.stdout).expect("UTF-8"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).expect("it is writable");
    }
    assert_eq!(text, fs::read_to_string(&path).expect("the file is there"), "{name}: UPDATE=1 writes it");
}

#[test]
fn goldens() {
    golden("quickstart.toml", &["examples/quickstart/xdp.bpf.o", "examples/quickstart/host.bpf.o"]);
    golden("iproute2-legacy.toml", &["examples/iproute2-legacy/legacy.o", "examples/iproute2-legacy/xdp.bpf.o"]);
}

fn objects_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("it is readable").path();
        if path.is_dir() {
            objects_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "o") {
            found.push(path);
        }
    }
    found.sort();
}

/// Those that are made to be refused are left out: what cannot be read gets no manifest.
#[test]
fn every_object_gets_a_valid_manifest() {
    let mut objects = Vec::new();
    objects_below(&root().join("tests"), &mut objects);
    objects_below(&root().join("examples"), &mut objects);
    let mut checked = 0;
    for path in &objects {
        let path = path.strip_prefix(root()).expect("it is below").to_str().expect("UTF-8");
        if tool(&["inspect", path], root()).status.success() {
            check(&[path]);
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} objects of {} were checked", objects.len());
}

#[test]
fn xdp_tools() {
    let mut objects = Vec::new();
    objects_below(Path::new("/usr/lib/x86_64-linux-gnu/bpf"), &mut objects);
    let paths: Vec<&str> = objects.iter().map(|path| path.to_str().expect("UTF-8")).collect();
    if paths.is_empty() {
        return eprintln!("skipped: xdp-tools is not installed");
    }
    paths.iter().for_each(|path| drop(check(&[path])));
    let filters: Vec<&str> = paths.iter().copied().filter(|path| path.contains("xdpfilt")).collect();
    let text = check(&filters);
    assert!(text.contains("as both say by its pin") && !text.contains("\n[map."), "they share by their pins\n{text}");
    check(&paths);
}

#[test]
fn files_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    fs::copy(root().join("examples/quickstart/xdp.bpf.o"), folder.path().join("a b.o")).expect("it is there");
    let run = |arguments: &[&str]| tool(arguments, folder.path());
    let named = run(&["init", "a b.o"]);
    assert!(String::from_utf8_lossy(&named.stdout).contains("name    = \"a_b\""), "{named:?}");
    let made = run(&["init", "a b.o", "--name", "x", "--out", "sub/plan.toml"]);
    assert!(made.status.success() && made.stdout.is_empty(), "{}", errors(&made));
    let written = fs::read_to_string(folder.path().join("sub/plan.toml")).expect("it is there");
    assert!(written.contains("path = \"../a b.o\"") && written.contains("[object.a_b]"), "{written}");
    let again = run(&["init", "a b.o", "--name", "y", "--out", "sub/plan.toml"]);
    assert_eq!(again.status.code(), Some(1), "{}", errors(&again));
    assert!(errors(&again).contains("--force"), "{}", errors(&again));
    assert_eq!(fs::read_to_string(folder.path().join("sub/plan.toml")).expect("it is there"), written);
    assert!(run(&["init", "a b.o", "--name", "y", "--out", "sub/plan.toml", "--force"]).status.success());
    assert!(fs::read_to_string(folder.path().join("sub/plan.toml")).expect("it is there").contains("\"y\""));
    assert!(run(&["validate", "sub/plan.toml"]).status.success());
    let broken = run(&["init", "missing.o", "sub/plan.toml"]);
    assert_eq!(broken.status.code(), Some(65));
    assert!(errors(&broken).contains("missing.o") && errors(&broken).contains("plan.toml"), "both are said");
}

/// A manifest of which all is a comment says so itself, and so does whoever applies it.
#[test]
fn programs_without_a_type_wait_for_it() {
    let text = check(&["tests/objects/custom_sections.o"]);
    assert!(text.contains("asks for nothing") && text.contains("# type = \"TYPE\""), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.toml");
    let plan = |text: &str| {
        fs::write(&path, text).expect("it is writable");
        let planned = tool(&["plan.toml", "--dry-run=offline"], folder.path());
        assert!(planned.status.success(), "{}", errors(&planned));
        String::from_utf8(planned.stdout).expect("UTF-8")
    };
    assert!(plan(&text).contains("nothing to do: the manifest asks for no map, program or link"));
    let typed = ["# [program.filter]", "# from = \"custom_sections:filter\"", "# type = \"TYPE\""];
    let typed = typed.iter().fold(text.clone(), |text, line| text.replacen(line, &line[2..], 1));
    let typed = typed.replacen("\"TYPE\"", "\"xdp\"", 1);
    assert!(plan(&typed).contains("load xdp `filter`"), "{typed}");
}

/// What the kernel takes without a link is not in the manifest, and its programs are.
#[test]
fn programs_of_a_struct_without_a_link() {
    let text = check(&["tests/objects/struct_ops_at_once.o"]);
    for program in ["threshold", "avoid", "undo"] {
        assert!(text.contains(&format!("\n[program.{program}]\n")), "{text}");
    }
    assert!(text.contains("\n# [map.at_once]\n") && !text.contains("asks for nothing"), "{text}");
    let linked = check(&["tests/objects/struct_ops.o"]);
    assert!(linked.contains("\n[map.steady]\n") && !linked.contains("[program.threshold]"), "{linked}");
}

/// What the slot of a map holds comes with whoever uses the map, and what nobody leads to is listed itself.
#[test]
fn programs_that_only_call_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let object = folder.path().join("self.o").display().to_string();
    let source = root().join("tests/against_libbpf/maps/prog_array_self.c");
    let include = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let mut clang = Command::new("clang");
    clang.args(["-O2", "-g", "-target", "bpf", &include, "-c"]).arg(source).args(["-o", &object]);
    match clang.status() {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => return eprintln!("skipped: needs clang: {error}"),
    }
    let text = check(&[&object]);
    let listed: Vec<_> = text.lines().filter(|line| line.contains("[program.")).collect();
    assert_eq!(listed, ["[program.again]", "[program.ping]", "[program.alone]"], "{text}");
    let calls = check(&["tests/objects/prog_array.o"]);
    assert_eq!(calls.matches("[program.").count(), 1, "the others come with `entry`\n{calls}");
}
