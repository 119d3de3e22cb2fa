//! The tool as users run it, and bpftool as the second opinion, both in the namespaces of the calling thread.

use super::output;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Longest time for one command.
const LIMIT: Duration = Duration::from_secs(300);

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs the built tool in a folder, with wide lines and without colour.
#[track_caller]
pub fn bpfapply(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
    command.args(arguments).current_dir(folder).env("COLUMNS", "200").env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    say(&mut command)
}

/// Runs the built tool, which must succeed, and returns its standard output.
#[track_caller]
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let said = bpfapply(folder, arguments);
    assert_eq!(said.code, 0, "bpfapply {arguments:?}: {}{}", said.stdout, said.stderr);
    assert_eq!(said.stderr, "", "bpfapply {arguments:?}");
    said.stdout
}

/// Runs the built tool, which must exit with this code, and returns all that it says.
#[track_caller]
pub fn refused(folder: &Path, arguments: &[&str], code: i32) -> String {
    let Said { code: is, stdout, stderr } = bpfapply(folder, arguments);
    assert_eq!(is, code, "bpfapply {arguments:?}: {stdout}{stderr}");
    stdout + &stderr
}

/// Asserts that the host matches a manifest: for a second apply, for `status`, and for a dry run.
#[track_caller]
pub fn is_settled(folder: &Path, manifest: &str, deployment: &str) {
    let said = succeed(folder, &[manifest]);
    assert!(said.contains("nothing to do"), "{said}");
    succeed(folder, &["status", deployment, "--check"]);
    let live = succeed(folder, &[manifest, "--dry-run", "--check"]);
    if let Some(not_told) = is_known_elsewhere(folder, manifest, &live) {
        println!("not known elsewhere: {not_told}");
    }
}

/// Asserts that a plan against the exported state of the host is the same as on the host, as far as that can be told:
/// returns what cannot.
#[track_caller]
pub fn is_known_elsewhere(folder: &Path, manifest: &str, live: &str) -> Option<String> {
    succeed(folder, &["export", manifest, "--contents", "--out", "host-state.json"]);
    let said = bpfapply(folder, &[manifest, "--dry-run=offline", "--against", "host-state.json", "--check"]);
    let of_kernel = said.stdout.lines().find(|line| line.contains("not known offline"));
    if let Some(not_told) = of_kernel.or_else(|| said.stderr.lines().find(|line| line.contains("does not tell"))) {
        return Some(not_told.to_owned());
    }
    let plan = |text: &str| text.split_once('\n').map(|(_, plan)| plan.to_owned());
    assert_eq!(plan(&said.stdout), plan(live), "{}", said.stderr);
    None
}

/// A folder with `plan.toml`, the manifest of one deployment.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    pin_root: String,
}

impl Site {
    /// Makes the folder for a deployment, which has its pins below `/sys/fs/bpf`.
    pub fn new(deployment: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { folder, pin_root: format!("/sys/fs/bpf/{deployment}") }
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the manifest.
    pub fn write(&self, manifest: &str) {
        fs::write(self.path().join("plan.toml"), manifest).expect("the folder is writable");
    }

    /// Applies the manifest, and returns what is said.
    #[track_caller]
    pub fn apply(&self) -> String {
        self.succeed(&["plan.toml"])
    }

    /// Runs what must succeed, and returns what is said.
    #[track_caller]
    pub fn succeed(&self, arguments: &[&str]) -> String {
        succeed(self.path(), arguments)
    }

    /// Runs what must be refused, and returns what is said.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str], code: i32) -> String {
        refused(self.path(), arguments, code)
    }

    /// Asserts that the host matches the manifest.
    #[track_caller]
    pub fn is_settled(&self) {
        is_settled(self.path(), "plan.toml", &self.pin_root);
    }
}

/// Runs bpftool with the words of a line, which must succeed, and returns the JSON that it writes.
#[track_caller]
pub fn bpftool(line: &str) -> Value {
    let mut command = Command::new("bpftool");
    let said = say(command.arg("-j").args(line.split_whitespace()));
    assert_eq!(said.code, 0, "bpftool {line}: {}{}", said.stdout, said.stderr);
    match said.stdout.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("bpftool {line}: {error}: {text}")),
    }
}

/// Returns whether bpftool can be run.
pub fn has_bpftool() -> bool {
    Command::new("bpftool").arg("version").output().is_ok_and(|output| output.status.success())
}

#[track_caller]
fn say(command: &mut Command) -> Said {
    let said = output(command, LIMIT).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 is written");
    Said { code: said.status.code().unwrap_or(-1), stdout: text(said.stdout), stderr: text(said.stderr) }
}

/// What `show` tells of a deployment: ids by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Maps; a map of one object alone is called `OBJECT:SYMBOL`.
    pub maps: BTreeMap<String, u64>,
    /// Programs.
    pub programs: BTreeMap<String, u64>,
    /// Links.
    pub links: BTreeMap<String, u64>,
}

/// Asks `show` for the ids of a deployment.
#[track_caller]
pub fn ids(folder: &Path, deployment: &str) -> Ids {
    let text = succeed(folder, &["show", deployment, "--output", "json"]);
    let shown: Value = serde_json::from_str(&text).expect("`show --output json` writes JSON");
    let of = |list: &str| {
        let items = shown[list].as_array().unwrap_or_else(|| panic!("{list} in {text}"));
        let pair = |item: &Value| Some((item["name"].as_str()?.to_owned(), item["id"].as_u64()?));
        items.iter().map(|item| pair(item).unwrap_or_else(|| panic!("name and id in {item}"))).collect()
    };
    Ids { maps: of("maps"), programs: of("programs"), links: of("links") }
}

/// Returns the ids of the maps that the kernel says a program uses, in its order.
#[track_caller]
pub fn maps_of_program(id: u64) -> Vec<u64> {
    let shown = bpftool(&format!("prog show id {id}"));
    shown["map_ids"].as_array().into_iter().flatten().map(|id| id.as_u64().expect("an id")).collect()
}

/// Runs a program on a packet of 64 zero bytes and returns what it returned.
#[track_caller]
pub fn run_program(id: u64, packet: &Path) -> u64 {
    let ran = bpftool(&format!("prog run id {id} data_in {} repeat 1", packet.display()));
    ran["retval"].as_u64().unwrap_or_else(|| panic!("retval in {ran}"))
}

/// Returns the number in the first eight bytes of the value at a key of four bytes; of a prog array or a map of maps
/// it is the id of what is in the slot.
#[track_caller]
pub fn value_at(map: u64, key: u32) -> u64 {
    let [a, b, c, d] = key.to_le_bytes();
    let found = bpftool(&format!("map lookup id {map} key hex {a:02x} {b:02x} {c:02x} {d:02x}"));
    let byte = |text: &Value| u64::from_str_radix(text.as_str()?.strip_prefix("0x")?, 16).ok();
    let bytes = found["value"].as_array().unwrap_or_else(|| panic!("value in {found}"));
    let bytes = bytes.iter().take(8).map(|text| byte(text).unwrap_or_else(|| panic!("a byte: {text}")));
    bytes.enumerate().map(|(at, byte)| byte << (8 * at)).sum()
}

/// Lists everything below a folder, sorted; pins in bpffs and the folders that hold them.
pub fn below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&entry.path()));
        }
    }
    found.sort();
    found
}
