//! `man`: the manual pages, from the same arguments and words as `--help`.

use super::Cli;
use super::console::Console;
use crate::diag::{Exit, Problem};
use crate::load;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Pages {
    /// Write every page into this folder, such as `/usr/local/share/man/man1`; without this bpfapply(1) goes to standard
    /// output: `bpfapply man | man -l -`
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// What each exit code means.
const EXITS: [(Exit, &str); 11] = [
    (Exit::Success, "The host matches the manifest, or what was asked for is done."),
    (Exit::Failed, "It failed, and the host is as it was before."),
    (Exit::Pending, "There are changes or drift: with --check, and behind an adopt that did not find all."),
    (Exit::Broken, "It failed, and the host is not as it was before; what was done is said."),
    (Exit::Consent, "Nothing was done, since consent is needed; the flag that gives it is printed."),
    (Exit::Usage, "The arguments are wrong."),
    (Exit::Data, "The manifest or an object is bad."),
    (Exit::Unavailable, "This kernel lacks something."),
    (Exit::Unwritten, "The host was changed as planned, but a report of that could not be written."),
    (
        Exit::Retry,
        "Another run has the lock, an apply waits to be confirmed, or the host or the plan is another one by now: try again.",
    ),
    (Exit::Permission, "No permission."),
];

const FILES: [(&str, &str); 5] = [
    ("plan.toml", "A manifest, under any name. Paths in it are relative to its folder."),
    (
        "/sys/fs/bpf/NAME",
        "The pins of the deployment NAME, as they are in force: maps, programs, links, and the record.",
    ),
    ("/sys/fs/bpf/NAME~previous", "The programs and maps before the last apply, for a rollback."),
    ("/sys/fs/bpf/NAME~NUMBER", "A generation of pins; others than the one in force are cleared by the next run."),
    ("/sys/kernel/btf/vmlinux", "The kernel's types, by which objects are fitted to it."),
];

const ENVIRONMENT: [(&str, &str); 4] = [
    ("NO_COLOR", "Not empty: no colours, unless --color always."),
    ("TERM", "dumb: no colours, unless --color always."),
    ("COLUMNS", "How wide lines may be, in place of the terminal's own width."),
    ("LC_ALL, LC_CTYPE, LANG", "The first that is set says whether text may go beyond ASCII: where it names UTF-8."),
];

/// Pages of others that help to read ours.
const OTHERS: [(&str, &str); 3] = [("bpf", "2"), ("tc-bpf", "8"), ("bpftool", "8")];

/// Writes the pages.
pub fn run(asked: &Pages, console: &Console) -> Result<Exit, Exit> {
    match &asked.out {
        Some(folder) => write(folder).map_err(|problem| console.fail(&problem.into(), None))?,
        None => console.print(&pages()[0].1),
    }
    Ok(Exit::Success)
}

fn write(folder: &Path) -> Result<(), Problem> {
    load::make_folder(folder)?;
    pages().iter().try_for_each(|(name, page)| load::store_text(page, &folder.join(name)))
}

/// Returns every page with the name of its file: first our own, then one for each command.
fn pages() -> Vec<(String, String)> {
    let mut ours = Cli::command().disable_help_subcommand(true).subcommand_help_heading("COMMANDS");
    ours.build();
    let commands = ours.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let all: Vec<_> = [ours.clone()].into_iter().chain(commands).collect();
    let names: Vec<_> = all.iter().map(name).collect();
    all.into_iter().map(|command| (format!("{}.1", name(&command)), page(command, &names))).collect()
}

fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: Command, names: &[String]) -> String {
    let own = name(&command);
    let has_commands = command.has_subcommands();
    let version = format!("bpfapply {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).source(version).manual("bpfapply");
    let mut text = Vec::new();
    let rendered = man
        .render_title(&mut text)
        .and_then(|()| man.render_name_section(&mut text))
        .and_then(|()| man.render_synopsis_section(&mut text))
        .and_then(|()| man.render_description_section(&mut text))
        .and_then(|()| man.render_options_section(&mut text))
        .and_then(|()| if has_commands { man.render_subcommands_section(&mut text) } else { Ok(()) });
    rendered.expect("writing to a Vec never fails");
    String::from_utf8_lossy(&text).into_owned() + &sections(&own, names)
}

/// Writes the sections that `--help` does not have.
fn sections(own: &str, names: &[String]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    EXITS.iter().for_each(|(exit, words)| item(&mut roff, &[bold((*exit as u8).to_string())], words));
    roff.control("SH", ["FILES"]);
    FILES.iter().for_each(|(path, words)| item(&mut roff, &[italic(*path)], words));
    roff.control("SH", ["ENVIRONMENT"]);
    ENVIRONMENT.iter().for_each(|(variable, words)| item(&mut roff, &[bold(*variable)], words));
    roff.control("SH", ["SEE ALSO"]);
    let ours = names.iter().filter(|name| *name != own).map(|name| (name.as_str(), "1"));
    let mut line = Vec::new();
    for (page, section) in ours.chain(OTHERS) {
        let before = if line.is_empty() { "" } else { ", " };
        line.extend([roman(before), bold(page), roman(format!("({section})"))]);
    }
    roff.text(line);
    roff.render()
}

fn item(roff: &mut Roff, head: &[Inline], words: &str) {
    roff.control("TP", []);
    roff.text(head.to_vec());
    roff.text([roman(words)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_has_the_same_exit_codes() {
        let help = Cli::command().get_after_help().expect("there is one").to_string();
        let words: Vec<_> = help.split([' ', ':']).filter(|word| word.parse::<u8>().is_ok()).collect();
        assert_eq!(words, EXITS.map(|(exit, _)| (exit as u8).to_string()));
    }
}
