//! The examples as a newcomer meets them: each applies, is shared as it says, is left alone the second time, and goes;
//! and what is checked in is what the sources compile to.

mod common;

use bpfapply::elf;
use common::{in_namespace, output, run, skip};
use object::{Object as _, ObjectSection as _};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
    command.args(arguments).current_dir(root()).env("COLUMNS", "200").env("NO_COLOR", "1");
    command
}

/// Returns what `show --output json` says of a deployment.
fn show(manifest: &str) -> serde_json::Value {
    let shown = run(&mut tool(&["show", manifest, "--output", "json"])).expect("show works");
    serde_json::from_slice(&shown.stdout).expect("it is JSON")
}

/// Reads an array map through the kernel and sums its 8-byte counters.
fn sum_of_array(pin: &str, entries: u32) -> u64 {
    use bpfapply::kernel::{Kernel as _, linux::Linux};
    let kernel = Linux::new();
    let (_, map) = kernel.open_pin(&bpfapply::names::PinPath::new(pin).expect("a path")).expect("the map is pinned");
    let value =
        |key: u32| kernel.lookup(&map, &key.to_ne_bytes(), 8).expect("it can be read").expect("an array has it");
    (0..entries).map(|key| u64::from_ne_bytes(value(key).try_into().expect("8 bytes"))).sum()
}

/// Lists what is below the bpffs, but for what the kernel itself put there.
fn listing() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("bpffs can be read").flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "debug") {
                continue;
            }
            if path.is_dir() {
                walk(&path, found);
            }
            found.push(path);
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/bpf"), &mut found);
    found.sort();
    found
}

/// Applies, looks, applies again, looks at nothing done, and takes it away.
fn check(manifest: &'static str, body: impl FnOnce(&serde_json::Value)) {
    run(&mut tool(&[manifest])).expect("it applies");
    let shown = show(manifest);
    body(&shown);
    let again = run(&mut tool(&[manifest])).expect("it applies again");
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(text.contains("nothing to do: the host matches"), "{text}");
    assert_eq!(show(manifest)["programs"], shown["programs"].clone(), "the same programs run");
    run(&mut tool(&["destroy", manifest])).expect("it goes");
    assert_eq!(listing(), Vec::<PathBuf>::new(), "nothing is left below the bpffs");
}

fn names(shown: &serde_json::Value, kind: &str) -> Vec<String> {
    let list = shown[kind].as_array().expect("a list");
    list.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn xdp_filter() {
    if !Path::new("/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_ip.o").exists() {
        return skip("xdp_filter", "Debian's xdp-tools is not installed (or not for x86_64)");
    }
    in_namespace("xdp_filter", |_| {
        check("examples/xdp-filter/plan.toml", |shown| {
            assert_eq!(
                names(shown, "maps"),
                ["filter_ethernet", "filter_ipv4", "filter_ipv6", "filter_ports", "xdp_stats_map"]
            );
            assert_eq!(names(shown, "programs"), ["allow_all", "allow_ethernet", "allow_ip", "deny_ip"]);
            run(Command::new("ping").args(["-c", "1", "-W", "2", "127.0.0.1"]))
                .expect("the empty filter passes packets");
        });
    });
}

#[test]
fn iproute2_legacy() {
    in_namespace("iproute2_legacy", |_| {
        check("examples/iproute2-legacy/plan.toml", |shown| {
            assert_eq!(names(shown, "maps"), ["hits", "legacy:jumps"]);
            let before = sum_of_array("/sys/fs/bpf/tc/globals/hits", 5);
            run(Command::new("ping").args(["-c", "2", "-i", "0.2", "-W", "2", "127.0.0.1"])).expect("lo answers");
            let after = sum_of_array("/sys/fs/bpf/tc/globals/hits", 5);
            // Request and reply come in, each is seen by the XDP program and by a tail call of the tc program.
            assert!(after - before >= 8, "{} hits of 2 pings", after - before);
        });
    });
}

#[test]
fn every_example_plans_offline() {
    for entry in fs::read_dir(root().join("examples")).expect("there are examples").flatten() {
        let manifest = entry.path().join("plan.toml");
        if !manifest.exists()
            || (entry.file_name() == "xdp-filter" && !Path::new("/usr/lib/x86_64-linux-gnu/bpf").exists())
        {
            continue;
        }
        let path = manifest.to_str().expect("UTF-8");
        let planned = run(&mut tool(&[path, "--dry-run=offline"])).expect("it plans");
        let text = String::from_utf8_lossy(&planned.stdout).into_owned();
        assert!(text.contains("verifier NOT RUN") && text.contains("offline"), "{text}");
    }
}

/// Maps, programs and section names: what other versions of the compiler agree on.
fn gist(bytes: &[u8], path: &Path) -> String {
    let sections: BTreeMap<String, u64> = match object::File::parse(bytes) {
        Ok(file) => {
            file.sections().filter_map(|section| Some((section.name().ok()?.to_owned(), section.size()))).collect()
        }
        Err(error) => panic!("{}: {error}", path.display()),
    };
    // Code and the tables about it change with the compiler; data and definitions do not.
    let data =
        |name: &str| name.starts_with('.') && !name.starts_with(".rel") && !name.starts_with(".BTF") && name != ".text";
    let kept =
        |name: &str| (data(name) && !["", ".strtab", ".symtab", ".llvm_addrsig"].contains(&name)) || name == "maps";
    let sizes: Vec<_> = sections.iter().filter(|(name, _)| kept(name)).collect();
    let names: Vec<_> = sections.keys().filter(|name| !name.is_empty() && !name.starts_with(".debug")).collect();
    let parsed = match elf::parse(bytes) {
        Ok(object) => object,
        Err(errors) => return format!("{names:?} {errors:?}"),
    };
    let maps: Vec<_> = parsed
        .maps
        .iter()
        .map(|map| {
            let spec = &map.spec;
            let sizes = (spec.map_type, spec.key_size, spec.value_size, spec.max_entries, spec.flags);
            (&map.symbol, &map.section, map.dialect, sizes, map.pinning, &map.slots)
        })
        .collect();
    let programs: Vec<_> =
        parsed.programs.iter().map(|one| (&one.function, &one.section, &one.kind, one.autoload)).collect();
    format!("{names:?}\n{sizes:?}\n{maps:#?}\n{programs:#?}\n{:?}", parsed.license)
}

#[test]
fn the_objects_are_what_the_sources_compile_to() {
    let name = "the_objects_are_what_the_sources_compile_to";
    let there =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there("clang") || !there("llvm-strip") || !Path::new("/usr/include/bpf/bpf_helpers.h").exists() {
        return skip(name, "clang, llvm-strip or the headers of libbpf are not installed");
    }
    let out = tempfile::tempdir().expect("a folder");
    let built = output(Command::new(root().join("examples/build.sh")).arg(out.path()), Duration::from_secs(110));
    let built = built.expect("the compiler runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut compared = 0;
    for folder in ["examples/quickstart", "examples/iproute2-legacy", "tests/objects", "tests/faults"] {
        for entry in fs::read_dir(root().join(folder)).expect("it is there").flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "o") {
                continue;
            }
            let ours = fs::read(&path).expect("readable");
            let fresh = fs::read(out.path().join(folder).join(entry.file_name())).expect("it was compiled");
            assert_eq!(
                gist(&fresh, &path),
                gist(&ours, &path),
                "{} is not what its source compiles to",
                path.display()
            );
            compared += 1;
        }
    }
    assert!(compared >= 40, "only {compared} objects were compared");
}
