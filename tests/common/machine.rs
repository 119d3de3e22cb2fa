//! Other kernels than the one of this machine: `tests/vm/run` boots them.

use super::{output, skip};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Boots a kernel, and runs this test binary in it with these arguments; `add` says what else has to be there. Returns
/// what it said once it succeeded, and nothing where there is no such machine, which is said.
#[track_caller]
pub fn run_in(kernel: &str, add: impl FnOnce(&mut Command), arguments: &[&str]) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = |arguments: &[&str]| {
        let mut command = Command::new(folder.join("tests/vm/run"));
        command.args(arguments).env("VM_SECONDS", "540");
        command
    };
    let able = output(&mut script(&["check", kernel]), Duration::from_secs(10)).expect("the script is there");
    if !able.status.success() {
        skip(kernel, String::from_utf8_lossy(&able.stderr).trim());
        return None;
    }
    let me = std::env::current_exe().expect("a program knows where it is");
    let mut boot = script(&["boot", kernel, "--add", env!("CARGO_BIN_EXE_bpfapply")]);
    add(&mut boot);
    boot.arg("--").arg(me).args(arguments);
    let ran = output(&mut boot, Duration::from_secs(600)).expect("the script can be run");
    let said = String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr[..]].concat()).into_owned();
    // A machine that does not come up says nothing about us.
    if ran.status.code() == Some(125) {
        skip(kernel, &said);
        return None;
    }
    assert!(ran.status.success(), "Linux {kernel}: {said}");
    Some(said)
}
