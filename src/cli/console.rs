//! Where and how to write: the formats, colours, and both streams.

use super::loaded::Loaded;
use crate::diag::{self, Exit, Problems, Source};
use crate::plan::Plan;
use crate::report::{self, Style, text::Purpose};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal, Write};

/// How many of the entries of each map `--verbose` shows.
const ENTRIES_SHOWN: usize = 5;

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// How to write what there is to say
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    output: Output,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Color,
    /// Say more: the verifier's whole log when it refuses a program
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// Where and how to write.
pub struct Console {
    pub output: Output,
    pub verbose: bool,
    out: Style,
    error_color: bool,
}

impl Console {
    pub fn new(global: &Global) -> Self {
        let color = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let terminal = io::stdout().is_terminal();
        let columns = terminal_width();
        Self {
            output: global.output,
            verbose: global.verbose,
            out: Style { width: columns, ascii: !speaks_unicode(), color: color(terminal) },
            error_color: color(io::stderr().is_terminal()),
        }
    }

    /// Returns how people are written to.
    pub fn style(&self) -> Style {
        self.out
    }

    /// Writes what there is to say, in the format that was asked for.
    pub fn show(&self, text: impl FnOnce(Style) -> String, json: impl FnOnce() -> String) {
        self.print(&match self.output {
            Output::Text => text(self.out),
            Output::Json => json(),
        });
    }

    /// Writes a plan, with the lines of the manifest that it was made from.
    pub fn plan(&self, plan: &Plan, loaded: Option<&Loaded>, purpose: Purpose) {
        let manifest = loaded.map(Loaded::text);
        let entries = if self.verbose { ENTRIES_SHOWN } else { 0 };
        let text = |style| report::text::plan(plan, &report::text::Options { style, purpose, manifest, entries });
        self.show(text, || report::json::plan(plan, manifest));
    }

    /// Writes to standard output; a reader that went away is no failure of ours.
    pub fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// Writes problems to standard error, and returns the exit code that they mean.
    pub fn fail(&self, problems: &Problems, source: Option<&Source>) -> Exit {
        let text = diag::render(problems, source, self.error_color);
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes());
        if self.verbose {
            for log in problems.0.iter().filter_map(|problem| problem.kind.log()) {
                let _ = writeln!(err, "the whole log:\n{}", log.trim_end());
            }
        }
        if let Some(more) = diag::explain::more(problems) {
            let _ = writeln!(err, "{more}");
        }
        problems.exit()
    }
}

fn terminal_width() -> usize {
    let from_environment = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    from_environment.or_else(asked).unwrap_or(100).clamp(40, 400)
}

/// Returns whether the locale says UTF-8, by the variables that decide it, in their order.
fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
    let decides = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let upper = decides.to_ascii_uppercase();
    upper.contains("UTF-8") || upper.contains("UTF8")
}
