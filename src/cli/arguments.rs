//! Arguments that several commands have, and what they stand for.

use super::console::{Console, note};
use super::{loaded, usual_bpffs};
use crate::diag::{self, Exit, Kind, Problem, Problems};
use crate::kernel::{Kernel, linux::Linux, lock, observe, status};
use crate::names::{DeploymentName, NameError, PinPath};
use crate::plan::Consent;
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::num::{IntErrorKind, ParseIntError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How a deployment is called.
#[derive(Debug, Args)]
pub struct Target {
    /// The deployment: its name, its manifest, or the folder of its pins
    pub deployment: String,
    #[command(flatten)]
    pub variables: Variables,
}

impl Target {
    /// Does something to the deployment by its folder of pins.
    pub fn visit(
        &self,
        console: &Console,
        run: impl FnOnce(&mut Linux, &PinPath) -> Result<Exit, Problems>,
    ) -> Result<Exit, Exit> {
        let (pin_root, kernel) = (self.pin_root(console)?, &mut Linux::new());
        run(kernel, &pin_root).map_err(|problems| {
            let meant = problems.0.into_iter().map(|problem| meant(kernel, problem)).collect();
            console.fail(&Problems(meant), None)
        })
    }

    /// Finds the folder of pins that a deployment's name, its manifest or the folder itself stands for.
    pub fn pin_root(&self, console: &Console) -> Result<PinPath, Exit> {
        let text = self.deployment.as_str();
        let path = Path::new(text);
        if path.is_file() {
            return loaded::load(path, &self.variables, console).map(|loaded| loaded.manifest.pin_root);
        }
        if text.starts_with('/') {
            return parse_pin_root(text, console);
        }
        match DeploymentName::new(text) {
            Ok(name) => Ok(usual_bpffs().join(name.as_str())),
            Err(_) if text.contains(['/', '.']) => {
                let kind = Kind::UnreadableFile { path: text.to_owned(), why: "there is no such file".to_owned() };
                Err(console.fail(&Problem::new(kind).into(), None))
            }
            Err(why) => Err(bad_target(text, why, console)),
        }
    }
}

/// Says of a deployment that is not there which one of this host may be meant.
pub fn meant<K: Kernel>(kernel: &K, problem: Problem) -> Problem {
    let Kind::NoDeployment { pin_root } = &*problem.kind else { return problem };
    let folder = pin_root.parent().unwrap_or_else(usual_bpffs);
    // Who cannot read the folder can be told nothing.
    let known = status::deployments(kernel, &folder).unwrap_or_default();
    match diag::similar(pin_root.file_name(), known.iter().map(PinPath::file_name)) {
        Some(similar) => Problem::new(Kind::MeantDeployment { pin_root: pin_root.clone(), similar }),
        None => problem,
    }
}

/// Reads the folder of a deployment's pins.
pub fn parse_pin_root(text: &str, console: &Console) -> Result<PinPath, Exit> {
    match text.split_once('~') {
        Some((pin_root, _)) => {
            let what = format!("`{text}` is no deployment, but pins of one of its runs: it is at `{pin_root}`");
            Err(console.fail(&Problem::new(Kind::Usage(what)).into(), None))
        }
        None => PinPath::new(text).map_err(|why| bad_target(text, why, console)),
    }
}

fn bad_target(text: &str, why: NameError, console: &Console) -> Exit {
    console.fail(&Problem::new(Kind::BadName { text: text.to_owned(), why }).into(), None);
    Exit::Usage
}

/// Says that an argument names nothing that is there, and which name is like it, or else all of them; `lacks` says where:
/// `--code: this object has no program`.
pub fn names_nothing(lacks: &str, name: &str, known: &[String]) -> Problem {
    let instead = match diag::similar(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", known.join(", ")),
    };
    Problem::new(Kind::Usage(format!("{lacks} `{name}`; {instead}")))
}

/// Variables of a manifest. Every help has them behind what is the command's own, then the lock, then what all have.
#[derive(Debug, Args)]
pub struct Variables {
    /// Set a variable of `[var]`
    #[arg(long = "var", value_name = "NAME=VALUE", display_order = 100)]
    pub vars: Vec<String>,
    /// Set variables from a TOML file of `name = value`
    #[arg(long, value_name = "FILE", display_order = 101)]
    pub var_file: Vec<PathBuf>,
}

/// Which deployment to change, and whether to.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    pub target: Target,
    /// Only show the plan
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub locking: Locking,
}

/// Reads a whole number that is not negative.
pub fn whole<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "it is too large".to_owned(),
        _ => "it is a whole number, as 60".to_owned(),
    })
}

/// How the lock is taken.
#[derive(Debug, Args)]
pub struct Locking {
    /// How long to wait for another run on this bpffs to end; 0 does not wait. A dry run takes no lock
    #[arg(long, default_value_t = 60, value_parser = whole::<u64>, value_name = "SECONDS", display_order = 102)]
    pub lock_timeout: u64,
}

impl Locking {
    /// Takes the lock of the bpffs that has, or will have, the pins. It is held until it is dropped.
    pub fn take<K: Kernel>(&self, kernel: &K, pin_root: &PinPath) -> Result<K::Lock, Problem> {
        let bpffs = observe::bpffs_of(kernel, pin_root, &usual_bpffs())?;
        lock::take(kernel, &bpffs, Duration::from_secs(self.lock_timeout), |holder| {
            let (holder, most) = (diag::named_holder(holder), self.lock_timeout);
            note(&format!("waiting for the lock of `{bpffs}`, at most {most} s: it is held by {holder}"));
        })
    }

    /// The same, but for a dry run, which takes no lock.
    pub fn take_unless<K: Kernel>(
        &self,
        dry_run: bool,
        kernel: &K,
        pin_root: &PinPath,
    ) -> Result<Option<K::Lock>, Problem> {
        (!dry_run).then(|| self.take(kernel, pin_root)).transpose()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Allow {
    /// Packets pass unfiltered for a moment
    Gap,
    /// Contents of maps are lost
    LoseState,
    /// Things go that the manifest has no use for any more
    Prune,
    /// Somebody else's program loses its hook
    Takeover,
}

impl From<Allow> for Consent {
    fn from(allow: Allow) -> Self {
        match allow {
            Allow::Gap => Self::Gap,
            Allow::LoseState => Self::LoseState,
            Allow::Prune => Self::Prune,
            Allow::Takeover => Self::Takeover,
        }
    }
}

/// Returns what is allowed.
pub fn consents(allow: &[Allow]) -> BTreeSet<Consent> {
    allow.iter().map(|allow| Consent::from(*allow)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_and_what_is_none_is_said_in_our_words() {
        let none = "it is a whole number, as 60";
        for (text, number) in [
            ("60", Ok(60)),
            ("0", Ok(0)),
            ("", Err(none)),
            ("abc", Err(none)),
            ("-1", Err(none)),
            ("1.5", Err(none)),
            ("99999999999999999999999", Err("it is too large")),
        ] {
            assert_eq!(whole::<u64>(text), number.map_err(str::to_owned), "{text:?}");
        }
    }
}
