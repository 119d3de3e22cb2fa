//! What the tool writes for the shell and for `man`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn tool(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bpfapply")).args(arguments).output().expect("it runs")
}

#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = tool(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a program with a text, where it is installed: what it printed, and what it complained of.
fn fed(program: &str, arguments: &[&str], text: &str) -> Option<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("text");
    fs::write(&path, text).expect("it can be written");
    let mut command = Command::new(program);
    let output = command.args(arguments).arg(&path).stdin(Stdio::null()).output().ok()?;
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Some((out, error))
}

/// The commands that `--help` names.
fn commands() -> Vec<String> {
    let help = printed(&["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What goes on in the next line stands further to the right.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_shell_gets_a_script() {
    for (shell, start) in [
        ("bash", "_bpfapply()"),
        ("zsh", "#compdef bpfapply"),
        ("fish", "# Print an optspec"),
        ("elvish", "use builtin;"),
        ("powershell", "using namespace System.Management.Automation"),
    ] {
        let script = printed(&["completions", shell]);
        assert!(script.trim_start().starts_with(start), "{shell}: {script:.80}");
        assert!(!script.contains("watchdog"), "{shell}: what is hidden is not offered");
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
        for (program, arguments) in [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
            match fed(program, arguments, &script) {
                Some((_, error)) if program == shell => assert_eq!(error, "", "{shell}"),
                Some(_) => {}
                None if program == shell => eprintln!("skipped: there is no {program} here"),
                None => {}
            }
        }
    }
    assert_eq!(tool(&["completions", "sh"]).status.code(), Some(64));
}

#[test]
fn bash_completes() {
    let script = printed(&["completions", "bash"]);
    for (line, expected) in [
        (&["bpfapply", "gr"][..], "graph"),
        (&["bpfapply", "graph", "--fo"], "--format"),
        (&["bpfapply", "graph", "--format", ""], "svg dot mermaid"),
        (&["bpfapply", "completions", "b"], "bash"),
        (&["bpfapply", "watch"], ""),
    ] {
        let words = line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let [.., before, last] = line else { panic!("a line has two words") };
        let asked = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={}; _bpfapply bpfapply '{last}' '{before}'; echo \"${{COMPREPLY[*]}}\"\n",
            line.len() - 1
        );
        match fed("bash", &[], &asked) {
            Some((out, _)) => assert_eq!(out.trim_end(), expected, "{line:?}"),
            None => return eprintln!("skipped: there is no bash here"),
        }
    }
}

#[test]
fn slips_are_told() {
    for (line, words) in [
        (&["statsu"][..], "is `bpfapply status` meant?"),
        (&["destory", "edge"], "is `bpfapply destroy` meant?"),
        (&["plan.toml", "--dry-run", "offline"], "a mode stands behind `=`: `--dry-run=offline`"),
        (&["--dry-run", "verify", "plan.toml"], "a mode stands behind `=`: `--dry-run=verify`"),
    ] {
        let output = tool(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(64) && said.contains(words), "{line:?}: {said}");
    }
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = folder.path().join("share/man1");
    assert_eq!(printed(&["man", "--out", below.to_str().expect("UTF-8")]), "");
    let mut pages: Vec<_> =
        fs::read_dir(&below).expect("it is there").map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().expect("a name").to_str().expect("UTF-8")).collect();
    let own = commands().into_iter().filter(|command| command != "help").map(|command| format!("bpfapply-{command}.1"));
    let mut expected: Vec<_> = own.chain(["bpfapply.1".to_owned()]).collect();
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(printed(&["man"]), fs::read_to_string(below.join("bpfapply.1")).expect("it is there"));
    pages.iter().for_each(|page| check(page));
}

/// Checks that a page has its sections, and that groff has nothing to say of it.
#[track_caller]
fn check(page: &Path) {
    let text = fs::read_to_string(page).expect("a page is readable");
    let sections = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES", "ENVIRONMENT", "SEE ALSO"];
    let mut rest = text.as_str();
    for section in sections {
        let heading = [format!("\n.SH {section}\n"), format!("\n.SH \"{section}\"\n")];
        let found = heading.iter().find_map(|heading| rest.split_once(heading.as_str()));
        rest = found.unwrap_or_else(|| panic!("{}: no {section}, or not in its order", page.display())).1;
    }
    assert!(!text.contains("watchdog"), "{}", page.display());
    match fed("groff", &["-man", "-Tutf8", "-ww"], &text) {
        Some((_, complaints)) => assert_eq!(complaints, "", "{}", page.display()),
        None => eprintln!("skipped: there is no groff here"),
    }
}

/// Runs a command line that cannot be read, and returns what it complains of.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let output = tool(arguments);
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    for (arguments, told) in [
        (&["a.toml", "b.toml"][..], "`b.toml` cannot stand behind a manifest"),
        (&["shwo", "edge"], "is `bpfapply show` meant?"),
        (&["--dry-run"], "the manifest is missing"),
    ] {
        let said = refused(arguments);
        assert!(said.contains(told) && said.lines().count() < 15, "{arguments:?}: {said}");
    }
    assert!(refused(&[]).contains("Commands:"), "who asks for nothing gets the help");
}

#[test]
fn help_is_wrapped() {
    let mut all: Vec<_> = commands().into_iter().filter(|command| command != "help").collect();
    all.push(String::new());
    for command in &all {
        let arguments: Vec<_> = [command.as_str(), "-h"].into_iter().filter(|word| !word.is_empty()).collect();
        let help = printed(&arguments);
        let longest = help.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
        assert!(longest.chars().count() <= 120, "{command}: {longest}");
    }
}
