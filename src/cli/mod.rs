//! Arguments, and the road from them to an exit code. What is decided on the way is decided elsewhere.
//!
//! Here is the command line as a whole; each command has a room for its own arguments and its way through the stages.

mod adopt;
mod apply;
mod arguments;
mod completions;
mod confirm;
mod console;
mod destroy;
mod dry_run;
mod entries;
mod events;
mod explain;
mod export;
mod finish;
mod fmt;
mod graph;
mod health;
mod import;
mod init;
mod inspect;
mod loaded;
mod man;
mod meaning;
mod others;
mod planned;
mod reports;
mod rollback;
mod show;
mod status;
mod test;
mod traffic;
mod validate;

use crate::diag::{Exit, Kind, Problem, similar};
use crate::kernel;
use crate::names::PinPath;
use crate::report::problems;
use arguments::Change;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum as _};
use console::{Console, Forms, Global};
use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the exit codes of an apply mean, and of all that has no words of its own for them.
const EXIT_CODES: &str = "Exit codes: 0 the host matches, 1 failed and the host is as before, 2 changes or drift \
                          (--check, adopt), 3 failed and the host is not as before, 4 consent needed, 64 usage, 65 bad \
                          manifest or object, 69 this kernel lacks it, 74 done, but a report of it could not be \
                          written, 75 another run has the lock, an apply waits to be confirmed, or the host or the \
                          plan is another one by now, 77 no permission.";

/// Make this host's eBPF packet filters match a TOML manifest.
#[derive(Debug, Parser)]
#[command(
    name = "bpfapply",
    version,
    args_conflicts_with_subcommands = true,
    after_help = EXIT_CODES
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    apply: apply::Optional,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the host match the manifest (the same as `bpfapply MANIFEST`)
    #[command(after_help = EXIT_CODES)]
    Apply(apply::Apply),
    /// Check manifests and their objects, without kernel and host
    #[command(args = Forms::Checks.hidden())]
    Validate(validate::Validate),
    /// Run the packet tests of a manifest, on copies of its programs with maps of their own
    #[command(args = Forms::Few.hidden())]
    Test(test::Options),
    /// Draw what a manifest makes, with what an apply would change: objects, programs, maps, and who shares them
    #[command(args = Forms::Few.hidden())]
    Graph(graph::Graph),
    /// Show what a deployment has: ids, pins, links, fill of its maps; or with map.NAME what that map holds
    #[command(args = Forms::Few.hidden())]
    Show(show::Show),
    /// Show whether deployments are still what the last apply made of them
    #[command(args = Forms::Few.hidden())]
    Status(status::Options),
    /// Keep what an apply with --confirm made
    Commit(confirm::Commit),
    /// Return to the generation before the last apply, without its files
    Rollback(rollback::Rollback),
    /// Make a new record of a deployment that lost its own, from its manifest, which has to be named, and its pins; nothing
    /// else changes
    Adopt(Change),
    /// Take everything away that a deployment made
    Destroy(Change),
    /// Write what this host has into a file, against which `--dry-run=offline --against FILE` plans elsewhere
    #[command(args = Forms::Few.hidden())]
    Export(export::Options),
    /// What an apply with --confirm leaves behind to go back
    #[command(hide = true)]
    Watchdog {
        /// The folder of the deployment's pins
        pin_root: String,
    },
    /// Write a first manifest from object files
    #[command(args = Forms::Few.hidden())]
    Init(init::Init),
    /// Write a manifest from what runs on this host: of the deployment with that --name, or else of all that is no deployment's
    #[command(args = Forms::Few.hidden())]
    Import(import::Import),
    /// Lay manifests out as all are laid out, with every comment and in their order
    #[command(args = Forms::Few.hidden())]
    Fmt(fmt::Fmt),
    /// Show what an object file has and needs
    #[command(args = Forms::Few.hidden())]
    Inspect {
        /// The object file
        object: PathBuf,
        /// List the instructions of all programs, or of the one with this function, with the lines of their source
        #[arg(long, num_args = 0..=1, require_equals = true, value_name = "FUNCTION")]
        code: Option<Option<String>>,
    },
    /// Explain a code of messages, as `manifest::unknown_name`; without one, list all
    #[command(args = Forms::Few.hidden())]
    Explain(meaning::Explain),
    /// Write what a shell needs to complete these commands
    #[command(args = Forms::Few.hidden())]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(args = Forms::Few.hidden())]
    Man(man::Pages),
}

impl Command {
    /// Returns the forms that what the command writes has.
    fn forms(&self) -> Forms {
        match self {
            Self::Apply(_)
            | Self::Destroy(_)
            | Self::Commit(_)
            | Self::Rollback(_)
            | Self::Watchdog { .. }
            | Self::Adopt(_) => Forms::Plans,
            Self::Validate(_) => Forms::Checks,
            Self::Show(_)
            | Self::Status(_)
            | Self::Export(_)
            | Self::Graph(_)
            | Self::Fmt(_)
            | Self::Explain(_)
            | Self::Test(_)
            | Self::Import(_)
            | Self::Init(_)
            | Self::Inspect { .. }
            | Self::Completions { .. }
            | Self::Man(_) => Forms::Few,
        }
    }

    /// Returns whether the command shows a change without doing it.
    fn is_dry_run(&self) -> bool {
        match self {
            Self::Apply(asked) => asked.options.dry_run.is_some(),
            Self::Destroy(asked) | Self::Adopt(asked) => asked.dry_run,
            Self::Rollback(asked) => asked.dry_run,
            Self::Commit(_) | Self::Watchdog { .. } | Self::Show(_) | Self::Status(_) | Self::Export(_) => false,
            Self::Graph(_) | Self::Fmt(_) | Self::Explain(_) | Self::Test(_) | Self::Import(_) | Self::Init(_) => false,
            Self::Inspect { .. } | Self::Validate(_) | Self::Completions { .. } | Self::Man(_) => false,
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> Exit {
    kernel::one_heap();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(error),
    };
    let console = Console::new(&cli.global);
    let (Ok(exit) | Err(exit)) = run(cli, &console);
    console.finish(exit)
}

/// Says why a command line cannot be read; or what it asked for in the place of a run, as the version.
fn refused(error: clap::Error) -> Exit {
    // Nothing can be done about a closed terminal.
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Success;
    }
    let words: Vec<_> = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let error = clearer(error, &words);
    let _ = error.print();
    let hint = hint(&words);
    hint.iter().for_each(|hint| console::note(&format!("\n{hint}")));
    if wants_json(&words) {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let said = first.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let said = said + &hint.map(|hint| format!(": {hint}")).unwrap_or_default();
        let problem = Problem::new(Kind::Usage(said));
        let _ = io::stdout().write_all(problems::document(&[(problem.into(), None)], Exit::Usage).as_bytes());
    }
    Exit::Usage
}

/// Says in other words what clap takes for a command behind a manifest.
fn clearer(error: clap::Error, words: &[String]) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    if error.kind() != ErrorKind::ArgumentConflict {
        return error;
    }
    let what = match words.first().filter(|first| meant(first).is_some()) {
        Some(first) => format!("`{first}` is neither a command nor a file"),
        None => format!("`{word}` cannot stand behind a manifest: one is applied at a time, and a command comes first"),
    };
    Cli::command().error(ErrorKind::ArgumentConflict, what)
}

/// Returns whether a command line that cannot be read asks for JSON all the same.
fn wants_json(words: &[String]) -> bool {
    words.iter().any(|word| word == "--output=json") || words.windows(2).any(|pair| pair == ["--output", "json"])
}

/// Runs a command. The exit code of a failure is an error, which was said.
fn run(cli: Cli, console: &Console) -> Result<Exit, Exit> {
    let dry_run = cli.command.as_ref().map_or(cli.apply.options.dry_run.is_some(), Command::is_dry_run);
    console.check(cli.command.as_ref().map_or(Forms::Plans, Command::forms), dry_run)?;
    match cli.command {
        Some(Command::Apply(asked)) => apply::run(asked.manifest.as_deref(), &asked.options, console),
        Some(Command::Validate(asked)) => validate::run(&asked, console),
        Some(Command::Test(asked)) => test::run(&asked, console),
        Some(Command::Graph(asked)) => graph::run(&asked, console),
        Some(Command::Show(asked)) => show::run(&asked, console),
        Some(Command::Status(asked)) => status::run(asked, console),
        Some(Command::Commit(asked)) => confirm::commit(&asked, console),
        Some(Command::Rollback(asked)) => rollback::run(&asked, console),
        Some(Command::Adopt(asked)) => adopt::run(&asked, console),
        Some(Command::Destroy(asked)) => destroy::run(&asked, console),
        Some(Command::Export(asked)) => export::run(asked, console),
        Some(Command::Watchdog { pin_root }) => confirm::watchdog(&pin_root, console),
        Some(Command::Init(asked)) => init::run(&asked, console),
        Some(Command::Import(asked)) => import::run(&asked, console),
        Some(Command::Fmt(asked)) => fmt::run(&asked, console),
        Some(Command::Inspect { object, code }) => match code {
            Some(function) => inspect::code(&object, function.as_deref(), console),
            None => inspect::run(&object, console),
        },
        Some(Command::Explain(asked)) => meaning::run(&asked, console),
        Some(Command::Completions { shell }) => completions::run(shell, console),
        Some(Command::Man(asked)) => man::run(&asked, console),
        None => {
            let manifest = cli.apply.manifest.as_deref();
            // Who says nothing at all gets the help.
            if manifest.is_none() && cli.apply.options.saved.is_none() && env::args_os().len() > 1 {
                let what = "the manifest is missing: `bpfapply MANIFEST`, as `plan.toml`, with all the rest".to_owned();
                return Err(console.fail(&Problem::new(Kind::Usage(what)).into(), None));
            }
            if let Some(command) = manifest.and_then(Path::to_str).and_then(meant) {
                let what = format!("there is neither this command nor this file: is `bpfapply {command}` meant?");
                return Err(console.fail(&Problem::new(Kind::Usage(what)).into(), None));
            }
            apply::run(manifest, &cli.apply.options, console)
        }
    }
}

/// Says what is meant by words that cannot be read as they are, where that can be told.
fn hint(words: &[String]) -> Option<String> {
    let mode = words.windows(2).find_map(|pair| {
        let is_mode = pair[0] == "--dry-run" && apply::DryRun::from_str(&pair[1], false).is_ok();
        is_mode.then(|| format!("a mode stands behind `=`: `--dry-run={}`", pair[1]))
    });
    mode.or_else(|| Some(format!("is `bpfapply {}` meant?", meant(words.first()?)?)))
}

/// Returns the command that a word means which is none, and no file either.
fn meant(word: &str) -> Option<String> {
    let cli = Cli::command();
    let names = cli.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    similar(word, names).filter(|command| command != word && !Path::new(word).exists())
}

/// Says how the command line is written, where it asks for nothing.
fn usage() -> Exit {
    console::note(&Cli::command().render_help().to_string());
    Exit::Usage
}

/// Where everybody mounts the bpffs.
fn usual_bpffs() -> PinPath {
    PinPath::new("/sys/fs/bpf").expect("it is a path")
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
