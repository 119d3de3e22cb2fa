//! `fmt`: lays manifests out.

use super::console::Console;
use crate::diag::{Exit, Problems, Source};
use crate::{draft, load};
use clap::Args;
use std::path::{Path, PathBuf};

/// What is laid out.
#[derive(Debug, Args)]
pub struct Fmt {
    /// The manifests; `-` reads standard input and writes standard output
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing: say which ones are not laid out so, and exit with 2 when one is not
    #[arg(long)]
    check: bool,
}

/// Formats each file, or says which ones need it. What is wrong with one is no reason to leave another one.
pub fn run(asked: &Fmt, console: &Console) -> Result<Exit, Exit> {
    let formatted = asked.files.iter().map(|file| format(file, asked.check, console).unwrap_or_else(|exit| exit));
    Ok(formatted.max().unwrap_or(Exit::Success))
}

fn format(file: &Path, check: bool, console: &Console) -> Result<Exit, Exit> {
    let is_stream = file == Path::new("-");
    let fail = |problems: Problems| console.fail(&problems, None);
    let text = if is_stream { load::standard_input() } else { load::text(file) }.map_err(fail)?;
    let name = if is_stream { load::STANDARD_INPUT.to_owned() } else { file.display().to_string() };
    let formatted =
        draft::format(&text).map_err(|problems| console.fail(&problems, Some(&Source::new(&name, &text))))?;
    match (check, is_stream, formatted == text) {
        (true, _, true) | (false, false, true) => Ok(Exit::Success),
        (true, _, false) => {
            console
                .print(&format!("{name}:{}: `bpfapply fmt` writes it otherwise", first_difference(&text, &formatted)));
            Ok(Exit::Pending)
        }
        (false, true, _) => {
            console.print(&formatted);
            Ok(Exit::Success)
        }
        (false, false, false) => {
            load::store_text(&formatted, file).map_err(|problem| fail(problem.into()))?;
            Ok(Exit::Success)
        }
    }
}

/// Returns the number of the first line that is another one.
fn first_difference(text: &str, formatted: &str) -> usize {
    // Lines that end otherwise are others, and so is the one behind the last of a shorter text.
    let same = text.split('\n').zip(formatted.split('\n')).take_while(|(line, wanted)| line == wanted);
    same.count() + 1
}
