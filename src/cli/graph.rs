//! `graph`: a plan as a picture.

use super::arguments::Variables;
use super::console::{Console, Output, note};
use super::loaded::{self, Loaded};
use super::others;
use super::planned::{plan_live, plan_offline};
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, linux::Linux};
use crate::load;
use crate::plan::Plan;
use crate::report::graph::{dot::dot, mermaid::mermaid, picture, svg::svg};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Graph {
    /// The manifest
    manifest: PathBuf,
    /// How to write it; without this as the file's name ends (.svg, .dot or .gv, .mmd), or as SVG where it has no ending
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// What to compare with: this host (`live`, reads only, needs root) or an empty one (`offline`, no kernel and no root
    /// needed); without this the host, or where it may not be read an empty one. The picture says which
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "live", value_name = "MODE")]
    dry_run: Option<Mode>,
    /// Write to this file and not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    variables: Variables,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For browsers and documents, laid out
    Svg,
    /// For Graphviz
    Dot,
    /// For Markdown on forges
    Mermaid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Live,
    Offline,
}

impl Format {
    /// Returns the format that a file's name asks for.
    fn of(path: &Path) -> Result<Self, Problem> {
        match path.extension().map(|extension| extension.to_string_lossy()).as_deref() {
            Some("dot" | "gv") => Ok(Self::Dot),
            Some("mmd" | "mermaid") => Ok(Self::Mermaid),
            Some("svg") | None => Ok(Self::Svg),
            Some(other) => {
                let what = format!("a graph is not written as `.{other}`: say `--format` svg, dot or mermaid");
                Err(Problem::new(Kind::Usage(what)))
            }
        }
    }

    /// Draws a plan.
    pub fn draw(self, plan: &Plan) -> String {
        let picture = picture(plan);
        match self {
            Self::Svg => svg(&picture),
            Self::Dot => dot(&picture),
            Self::Mermaid => mermaid(&picture),
        }
    }
}

/// Draws a plan.
pub fn run(asked: &Graph, console: &Console) -> Result<Exit, Exit> {
    let loaded = loaded::load(&asked.manifest, &asked.variables, console)?;
    draw(&Linux::new(), &loaded, asked, console).map_err(|problems| console.fail(&problems, Some(&loaded.source())))
}

fn draw<K: Kernel>(kernel: &K, loaded: &Loaded, asked: &Graph, console: &Console) -> Result<Exit, Problems> {
    if console.output != Output::Text {
        let what = "a graph has formats of its own: say `--format`; `--dry-run --output json` writes the plan";
        return Err(Problem::new(Kind::Usage(what.to_owned())).into());
    }
    let format = match (asked.format, asked.out.as_deref()) {
        (Some(format), _) => format,
        (None, Some(path)) => Format::of(path)?,
        (None, None) => Format::Svg,
    };
    let text = match asked.dry_run {
        Some(Mode::Live) => draw_live(kernel, loaded, format)?,
        Some(Mode::Offline) => draw_offline(loaded, format)?,
        None => match draw_live(kernel, loaded, format) {
            Err(problems) if problems.exit() == Exit::Permission => {
                note("this host may not be read by who runs this: drawn as for an empty one");
                draw_offline(loaded, format)?
            }
            drawn => drawn?,
        },
    };
    match &asked.out {
        Some(path) => load::store_text(&text, path)?,
        None => console.print(&text),
    }
    Ok(Exit::Success)
}

fn draw_live<K: Kernel>(kernel: &K, loaded: &Loaded, format: Format) -> Result<String, Problems> {
    others::tell(kernel, &loaded.manifest.pin_root);
    Ok(format.draw(&plan_live(kernel, loaded, false)?.plan))
}

fn draw_offline(loaded: &Loaded, format: Format) -> Result<String, Problems> {
    Ok(format.draw(&plan_offline(&loaded.manifest, loaded.folder())?.plan))
}
