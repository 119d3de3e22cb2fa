//! `test`: runs the packet tests of a manifest, and of the file of tests beside it.

use super::arguments::Variables;
use super::console::{Console, note};
use super::loaded::{self, Loaded};
use super::usual_bpffs;
use crate::desired;
use crate::diag::{Exit, Kind, Problem, Problems, Source};
use crate::kernel::{Kernel, facts, linux::Linux, observe};
use crate::load;
use crate::manifest::{self, Tests};
use crate::packet_tests::{self, Base, Case, Outcome, Place};
use crate::plan::words::count;
use crate::report::ManifestText;
use crate::report::packet_tests::{self as report, Run, Texts};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all tests passed, 1 a test failed, 64 usage, 65 a bad manifest, object or test, \
                        69 this kernel lacks something, 77 no permission."
)]
pub struct Options {
    /// The manifest; tests are in it, and in NAME.test.toml beside NAME.toml
    manifest: PathBuf,
    /// Only the tests that have this text in their name, such as `program.drop`
    filter: Option<String>,
    /// Write the results as JUnit XML as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    variables: Variables,
}

/// Runs the tests of a manifest.
pub fn run(options: &Options, console: &Console) -> Result<Exit, Exit> {
    let loaded = loaded::load(&options.manifest, &options.variables, console)?;
    let suite = Suite::load(&loaded, console)?;
    let filter = options.filter.as_deref();
    let (outcomes, filtered) = suite.run(&mut Linux::new(), &loaded, filter, console)?;
    let run = suite.described(&loaded, filtered);
    console.show(|style| report::text(&outcomes, &run, style), || report::json(&outcomes, &run));
    if let Some(path) = &options.junit {
        let junit = report::junit(&outcomes, &run);
        load::store_text(&junit, path).map_err(|problem| console.fail(&problem.into(), None))?;
    }
    Ok(outcomes.iter().map(Outcome::exit).max().unwrap_or(Exit::Success))
}

/// The tests that are beside a manifest.
pub struct Suite {
    beside: Option<(PathBuf, String)>,
    tests: Tests,
}

impl Suite {
    /// Loads the file of tests beside a manifest, where there is one.
    pub fn load(loaded: &Loaded, console: &Console) -> Result<Self, Exit> {
        let path = loaded.path.with_extension("test.toml");
        if !path.exists() {
            return Ok(Self { beside: None, tests: Tests::new() });
        }
        let text = load::text(&path).map_err(|problems| console.fail(&problems, None))?;
        let tests = manifest::parse_tests(&text, &loaded.manifest)
            .map_err(|problems| console.fail(&problems, Some(&source(&path, &text, loaded))))?;
        Ok(Self { beside: Some((path, text)), tests })
    }

    fn source(&self, place: Place, loaded: &Loaded) -> Source {
        match (place, &self.beside) {
            (Place::File, Some((path, text))) => source(path, text, loaded),
            (Place::File | Place::Manifest, _) => loaded.source(),
        }
    }

    fn described<'a>(&'a self, loaded: &'a Loaded, filtered: usize) -> Run<'a> {
        let beside = self.beside.as_ref().map(|(path, text)| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("the file of tests");
            ManifestText { name, text }
        });
        let texts = Texts { manifest: loaded.text(), beside };
        Run { deployment: &loaded.manifest.name, texts, filtered }
    }

    /// Runs the tests whose names have the text, and says how many have not.
    fn run<'a, K: Kernel>(
        &'a self,
        kernel: &mut K,
        loaded: &'a Loaded,
        filter: Option<&str>,
        console: &Console,
    ) -> Result<(Vec<Outcome<'a>>, usize), Exit> {
        let mut cases = packet_tests::cases(&loaded.manifest, &self.tests);
        let all = cases.len();
        cases.retain(|case| filter.is_none_or(|filter| case.name().contains(filter)));
        let of_manifest = |problems: Problems| console.fail(&problems, Some(&loaded.source()));
        if let Some(filter) = filter.filter(|_| cases.is_empty()) {
            let what = format!("none of {} has `{filter}` in its name", count(all as u64, "test"));
            return Err(console.fail(&Problem::new(Kind::Usage(what)).into(), None));
        }
        let base = base(kernel, loaded).map_err(of_manifest)?;
        base.check().map_err(of_manifest)?;
        let outcomes = self.outcomes(kernel, &base, &cases, loaded, console)?;
        Ok((outcomes, all - cases.len()))
    }

    fn outcomes<'a, K: Kernel>(
        &self,
        kernel: &mut K,
        base: &Base<'_>,
        cases: &[Case<'a>],
        loaded: &Loaded,
        console: &Console,
    ) -> Result<Vec<Outcome<'a>>, Exit> {
        let prepared = packet_tests::prepare(kernel, base, cases)
            .map_err(|(place, problems)| console.fail(&problems, Some(&self.source(place, loaded))))?;
        Ok(prepared.iter().map(|test| packet_tests::run(kernel, test, &base.host)).collect())
    }

    /// Runs all tests where the manifest requires it; fails when one does, or when a program that a link runs has none
    /// though the kernel could run it.
    pub fn required<K: Kernel>(&self, kernel: &mut K, loaded: &Loaded, console: &Console) -> Result<(), Exit> {
        let of_manifest = |problems: Problems| console.fail(&problems, Some(&loaded.source()));
        let base = base(kernel, loaded).map_err(of_manifest)?;
        let cases = packet_tests::cases(&loaded.manifest, &self.tests);
        base.check_tested(&cases).map_err(of_manifest)?;
        let outcomes = self.outcomes(kernel, &base, &cases, loaded, console)?;
        let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
        if failed == 0 {
            return Ok(());
        }
        note(report::text(&outcomes, &self.described(loaded, 0), console.style()).trim_end_matches('\n'));
        for place in [Place::Manifest, Place::File] {
            console.report(&failed_at(&outcomes, place), Some(&self.source(place, loaded)));
        }
        Err(of_manifest(Problem::new(Kind::TestsFailed { failed, all: outcomes.len() }).into()))
    }
}

/// Returns a problem for each test of one file that failed.
fn failed_at(outcomes: &[Outcome<'_>], place: Place) -> Problems {
    let failed = outcomes.iter().filter(|outcome| !outcome.passed() && outcome.case.place == place);
    let problem = |outcome: &Outcome<'_>| {
        let kind = Kind::TestFailed { test: outcome.case.name(), why: report::failures(outcome) };
        Problem::at(kind, outcome.case.test.span.clone(), "this test")
    };
    Problems(failed.map(problem).collect())
}

/// The text that problems of a file of tests point into.
fn source(path: &Path, text: &str, loaded: &Loaded) -> Source {
    Source::new(&path.display().to_string(), &manifest::redacted_tests(text, &loaded.manifest))
}

/// Collects what all tests of a manifest are made from.
pub fn base<'a, K: Kernel>(kernel: &K, loaded: &'a Loaded) -> Result<Base<'a>, Problems> {
    let manifest = &loaded.manifest;
    let files = load::files(manifest, loaded.folder())?;
    let target = facts::target(kernel, &desired::needs(manifest, &files))?;
    Ok(Base {
        manifest,
        folder: loaded.folder(),
        files,
        bpffs: observe::bpffs_of(kernel, &manifest.pin_root, &usual_bpffs())?,
        host: observe::host(kernel)?,
        target,
        shapes: packet_tests::shapes(kernel, manifest),
    })
}
