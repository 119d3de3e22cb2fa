//! The code that we link is the code that libbpf loads: same tag, same maps, for every object that bpftool can load.
//!
//! The kernel computes a program's tag over the instructions that it was given. Needs root, bpftool and a kernel
//! with SHA-256 tags (6.18); without them the test says so and passes.

use bpfapply::elf::{self, Object};
use bpfapply::insn::{Code, Insn, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};
use bpfapply::kernel::{facts, linux::Linux};
use bpfapply::names::Digest;
use bpfapply::spec::Host;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Loads `$1` with libbpf in a mount namespace of its own, and shows each program and its maps, one JSON a line.
const LOAD: &str = r#"
set -e
mount -t bpf bpf /sys/fs/bpf
bpftool prog loadall "$1" /sys/fs/bpf/programs >&2
for pin in /sys/fs/bpf/programs/*; do
    program=$(bpftool -j prog show pinned "$pin")
    maps=
    for id in $(echo "$program" | sed -n 's/.*"map_ids":\[\([0-9,]*\)\].*/\1/p' | tr , ' '); do
        maps="$maps${maps:+,}$(bpftool -j map show id "$id")"
    done
    echo "{\"function\":\"${pin##*/}\",\"program\":$program,\"maps\":[$maps]}"
done
"#;

/// The tag that Linux 6.18 and newer give: SHA-256 over the instructions, without what stands for maps.
fn tag(code: &Code) -> String {
    let mut bytes = Vec::new();
    let mut second = false;
    for insn in code.patched(|_| 0) {
        let is_map = insn.is_ld_imm64() && matches!(insn.src, PSEUDO_MAP_FD | PSEUDO_MAP_VALUE);
        let imm = if is_map || second { 0 } else { insn.imm };
        second = is_map;
        bytes.extend(Insn { imm, ..insn }.encode());
    }
    Digest::of(&bytes).to_string()[..16].to_owned()
}

/// Returns all `.o` files of a folder.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "o"));
    paths.sort();
    paths
}

/// Returns why the test cannot run here.
fn obstacle() -> Option<&'static str> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let runs = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if version < (6, 18) {
        Some("the kernel is older than 6.18")
    } else if !runs(Command::new("unshare").args(["-m", "true"])) {
        Some("not root")
    } else if !runs(Command::new("bpftool").arg("version")) {
        Some("no bpftool")
    } else {
        None
    }
}

/// Compares every program of the object; returns how many, or why libbpf does not load it.
fn compare(path: &Path, object: &Object) -> Result<usize, String> {
    let output = Command::new("timeout")
        .args(["60", "unshare", "-m", "sh", "-c", LOAD, "load"])
        .arg(path)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().rev().find(|line| line.contains("rror")).unwrap_or("").trim().to_owned());
    }
    let text = String::from_utf8(output.stdout).expect("bpftool writes UTF-8");
    let shown: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("one JSON a line")).collect();
    for shown in &shown {
        let function = shown["function"].as_str().expect("a name");
        let number = object.programs.iter().position(|program| program.function == function);
        let number = number.unwrap_or_else(|| panic!("{}: no program {function}", path.display()));
        let target = facts::target(&Linux::new(), &object.needs(number)).expect("the kernel can be read");
        let code =
            object.link(number, &target).unwrap_or_else(|errors| panic!("{}: {function}: {errors:?}", path.display()));
        assert_eq!(shown["program"]["tag"], tag(&code), "{}: {function}", path.display());
        compare_maps(path, object, &code, shown["maps"].as_array().expect("a list"));
    }
    Ok(shown.len())
}

fn compare_maps(path: &Path, object: &Object, code: &Code, shown: &[Value]) {
    let cpus = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = cpus.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok()).unwrap_or(0);
    let host = Host { possible_cpus: last + 1, most_cpus: u32::MAX, page_size: 4096 };
    // The kernel lists maps by first use, as we do; libbpf adds what it binds besides, such as `.rodata` of others.
    for (used, shown) in code.maps().into_iter().zip(shown) {
        let map = &object.maps[used];
        let spec = map.spec.reported(&host);
        let number = |key: &str| shown[key].as_u64().unwrap_or_else(|| panic!("{key} in {shown}"));
        let mut flags = number("flags");
        if map.data.is_some() {
            // libbpf before 1.2 makes every data section mmapable, later ones only those with a visible variable.
            let mmapable = u64::from(bpfapply::spec::flags::MMAPABLE);
            flags = flags & !mmapable | u64::from(spec.flags) & mmapable;
        }
        assert_eq!(
            (number("bytes_key"), number("bytes_value"), number("max_entries"), flags),
            (spec.key_size.into(), spec.value_size.into(), spec.max_entries.into(), spec.flags.into()),
            "{}: map {}",
            path.display(),
            map.symbol
        );
        assert_eq!(shown["type"], spec.map_type.to_string(), "{}: map {}", path.display(), map.symbol);
    }
}

#[test]
fn libbpf_loads_the_same_code_and_maps() {
    if let Some(obstacle) = obstacle() {
        eprintln!("skipped: {obstacle}");
        return;
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects");
    let mut paths = objects(&own);
    for folder in ["/usr/lib/x86_64-linux-gnu/bpf", "/usr/lib/aarch64-linux-gnu/bpf"] {
        paths.extend(objects(Path::new(folder)));
    }
    if let Ok(folder) = std::env::var("BPFAPPLY_OBJECTS") {
        paths.extend(objects(Path::new(&folder)));
    }
    let (mut files, mut programs) = (0, 0);
    for path in &paths {
        let Ok(object) = elf::parse(&std::fs::read(path).expect("a file that was listed")) else {
            eprintln!("{}: not an object that we load", path.display());
            continue;
        };
        match compare(path, &object) {
            Ok(count) => {
                files += 1;
                programs += count;
            }
            Err(why) => eprintln!("{}: libbpf does not load it: {why}", path.display()),
        }
    }
    eprintln!("{programs} programs of {files} objects are the same");
}
