//! `completions`: what a shell needs to complete a command line of ours.

use super::Cli;
use super::console::Console;
use crate::diag::Exit;
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

/// Writes the script for a shell.
pub fn run(shell: Shell, console: &Console) -> Result<Exit, Exit> {
    let mut script = Vec::new();
    generate(shell, &mut visible(&Cli::command()), "bpfapply", &mut script);
    console.print(&String::from_utf8_lossy(&script));
    Ok(Exit::Success)
}

/// Returns the command line without what is not for people, which the scripts would offer all the same.
fn visible(whole: &Command) -> Command {
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new("bpfapply")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(commands)
}
