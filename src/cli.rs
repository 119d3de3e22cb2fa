//! Arguments, and the road from them to an exit code. What is decided on the way is decided elsewhere.

use crate::apply::{self, Applied, Stamp};
use crate::desired::{self, Desired};
use crate::diag::{self, Exit, Kind, Problem, Problems, Source};
use crate::elf;
use crate::kernel::{self, Kernel, drift, facts, linux::Linux, lock, observe, shown};
use crate::load;
use crate::manifest::{self, Manifest};
use crate::names::{DeploymentName, Digest, PinPath};
use crate::observed::{Observed, Wanted};
use crate::plan::{self, Action, Consent, Mode, Plan};
use crate::record::Record;
use crate::report::{self, ManifestText, Style, text::Purpose};
use crate::spec::Host;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Make this host's eBPF packet filters match a TOML manifest.
#[derive(Debug, Parser)]
#[command(
    name = "bpfapply",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 the host matches, 1 failed and the host is as before, 2 changes pending (--check), \
                  3 failed and the host is not as before, 4 consent needed, 64 usage, 65 bad manifest or object, \
                  69 this kernel lacks it, 75 another run has the lock or the host changed meanwhile (try again), \
                  77 no permission."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    apply: OptionalApply,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the host match the manifest (the same as `bpfapply MANIFEST`)
    Apply(Apply),
    /// Take everything away that a deployment made
    Destroy(Destroy),
    /// Show what a deployment has: ids, pins, links, fill of its maps
    Show(Target),
    /// Show what an object file has and needs
    Inspect {
        /// The object file
        object: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Global {
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
enum Output {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// The same as [`Apply`], for `bpfapply MANIFEST`, where a subcommand may stand instead.
#[derive(Debug, Args)]
struct OptionalApply {
    /// The manifest
    manifest: Option<PathBuf>,
    #[command(flatten)]
    options: ApplyOptions,
}

#[derive(Debug, Args)]
struct Apply {
    /// The manifest
    manifest: PathBuf,
    #[command(flatten)]
    options: ApplyOptions,
}

#[derive(Debug, Args)]
struct ApplyOptions {
    /// Only show the plan: against this host (`live`, reads only) or without any kernel (`offline`, no root needed)
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "live", value_name = "MODE")]
    dry_run: Option<DryRun>,
    /// With --dry-run: exit with 2 when there is something to do
    #[arg(long, requires = "dry_run")]
    check: bool,
    #[command(flatten)]
    variables: Variables,
    /// Consent to what a bare apply does not do
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    allow: Vec<Allow>,
    /// Do not mount a bpffs where there is none
    #[arg(long)]
    no_mount: bool,
    #[command(flatten)]
    locking: Locking,
}

#[derive(Debug, Args)]
struct Locking {
    /// How long to wait for another run on this bpffs to end; 0 does not wait. A dry run takes no lock
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    lock_timeout: u64,
}

impl Locking {
    /// Takes the lock of the bpffs that has, or will have, the pins. It is held until it is dropped.
    fn take<K: Kernel>(&self, kernel: &K, pin_root: &PinPath) -> Result<K::Lock, Problem> {
        let bpffs = observe::bpffs_of(kernel, pin_root, &usual_bpffs())?;
        lock::take(kernel, &bpffs, Duration::from_secs(self.lock_timeout), |holder| {
            let (holder, most) = (diag::named_holder(holder), self.lock_timeout);
            eprintln!("waiting for the lock of `{bpffs}`, at most {most} s: it is held by {holder}");
        })
    }
}

#[derive(Debug, Args)]
struct Variables {
    /// Set a variable of `[var]`
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,
    /// Set variables from a TOML file of `name = value`
    #[arg(long, value_name = "FILE")]
    var_file: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DryRun {
    Live,
    Offline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Allow {
    /// Packets pass unfiltered for a moment
    Gap,
    /// Contents of maps are lost
    LoseState,
    /// Things go that the manifest does not name any more
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

#[derive(Debug, Args)]
struct Destroy {
    #[command(flatten)]
    target: Target,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    locking: Locking,
}

#[derive(Debug, Args)]
struct Target {
    /// The deployment: its name, its manifest, or the folder of its pins
    deployment: String,
    #[command(flatten)]
    variables: Variables,
}

/// Runs the command line of this process.
pub fn main() -> Exit {
    kernel::one_heap();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    let console = Console::new(&cli.global);
    match cli.command {
        Some(Command::Apply(apply)) => run_apply(&apply.manifest, &apply.options, &console),
        Some(Command::Destroy(destroy)) => run_destroy(&destroy, &console),
        Some(Command::Show(target)) => run_show(&target, &console),
        Some(Command::Inspect { object }) => run_inspect(&object, &console),
        None => match cli.apply.manifest {
            Some(manifest) => run_apply(&manifest, &cli.apply.options, &console),
            None => {
                eprintln!("{}", Cli::command().render_help());
                Exit::Usage
            }
        },
    }
}

/// Where and how to write.
struct Console {
    output: Output,
    verbose: bool,
    out: Style,
    error_color: bool,
}

impl Console {
    fn new(global: &Global) -> Self {
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

    /// Writes to standard output; a reader that went away is no failure of ours.
    fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// Writes problems to standard error, and returns the exit code that they mean.
    fn fail(&self, problems: &Problems, source: Option<&Source>) -> Exit {
        let text = diag::render(problems, source, self.error_color);
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes());
        if self.verbose {
            for log in problems.0.iter().filter_map(|problem| problem.kind.log()) {
                let _ = writeln!(err, "the whole log:\n{}", log.trim_end());
            }
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

/// A manifest with what points into it.
struct Loaded {
    path: PathBuf,
    text: String,
    source: Source,
    vars: BTreeMap<String, String>,
    manifest: Manifest,
}

impl Loaded {
    fn text(&self) -> ManifestText<'_> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or("manifest");
        ManifestText { name, text: &self.text }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

fn load(path: &Path, variables: &Variables, console: &Console) -> Result<Loaded, Exit> {
    let vars =
        load::variables(&variables.var_file, &variables.vars).map_err(|problems| console.fail(&problems, None))?;
    let text = load::text(path).map_err(|problems| console.fail(&problems, None))?;
    let source = Source::new(&path.display().to_string(), &text);
    let manifest = manifest::parse(&text, &vars).map_err(|problems| console.fail(&problems, Some(&source)))?;
    Ok(Loaded { path: path.to_owned(), text, source, vars, manifest })
}

fn run_apply(path: &Path, options: &ApplyOptions, console: &Console) -> Exit {
    let loaded = match load(path, &options.variables, console) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let done = match options.dry_run {
        Some(DryRun::Offline) => dry_run_offline(&loaded, options, console),
        Some(DryRun::Live) => dry_run_live(&Linux::new(), &loaded, options, console),
        None => apply_live(&mut Linux::new(), &loaded, options, console),
    };
    done.unwrap_or_else(|problems| console.fail(&problems, Some(&loaded.source)))
}

/// What an offline plan assumes of the host: one CPU, small pages, a bpffs where everybody mounts it.
const NO_HOST: Host = Host { possible_cpus: 1, most_cpus: u32::MAX, page_size: 4096 };

fn dry_run_offline(loaded: &Loaded, options: &ApplyOptions, console: &Console) -> Result<Exit, Problems> {
    let pin_root = &loaded.manifest.pin_root;
    let usual = usual_bpffs();
    let bpffs = if pin_root.is_below(&usual) { usual } else { pin_root.parent().unwrap_or(usual) };
    let files = load::objects(&loaded.manifest, loaded.folder())?;
    let desired = desired::resolve(&loaded.manifest, files, &bpffs, &NO_HOST, &elf::Target::offline())?;
    let plan = plan::plan(&desired, &Observed::nothing(NO_HOST), Mode::Offline)?;
    Ok(show_dry_run(&plan, loaded, options, console))
}

fn dry_run_live<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    options: &ApplyOptions,
    console: &Console,
) -> Result<Exit, Problems> {
    let planned = plan_live(kernel, loaded, options)?;
    Ok(show_dry_run(&planned.plan, loaded, options, console))
}

fn show_dry_run(plan: &Plan, loaded: &Loaded, options: &ApplyOptions, console: &Console) -> Exit {
    print_plan(plan, Some(loaded), Purpose::DryRun, console);
    match options.check && !plan.is_empty() {
        true => Exit::Pending,
        false => Exit::Success,
    }
}

fn apply_live<K: Kernel>(
    kernel: &mut K,
    loaded: &Loaded,
    options: &ApplyOptions,
    console: &Console,
) -> Result<Exit, Problems> {
    if console.output == Output::Text
        && !console.verbose
        && let Some(record) = unchanged(kernel, loaded)?
    {
        console.print(&report::text::unchanged(&record, loaded.manifest.name.as_str()));
        return Ok(Exit::Success);
    }
    // From before anything is looked at until it was all read back.
    let _lock = options.locking.take(kernel, &loaded.manifest.pin_root)?;
    let planned = plan_live(kernel, loaded, options)?;
    let plan = &planned.plan;
    let allowed: BTreeSet<Consent> = options.allow.iter().map(|allow| Consent::from(*allow)).collect();
    let missing: BTreeSet<Consent> = plan.needs().difference(&allowed).copied().collect();
    if !missing.is_empty() {
        print_plan(plan, Some(loaded), Purpose::Apply, console);
        return Err(Problem::new(Kind::ConsentNeeded { needs: missing }).into());
    }
    let stamp = Stamp { manifest: absolute(&loaded.path), time: now(), inputs: planned.inputs };
    finish(kernel, plan, Some(loaded), &stamp, console)
}

/// Applies a plan, reads back what became of it, and says so.
fn finish<K: Kernel>(
    kernel: &mut K,
    plan: &Plan,
    loaded: Option<&Loaded>,
    stamp: &Stamp,
    console: &Console,
) -> Result<Exit, Problems> {
    if plan.is_empty() {
        print_plan(plan, loaded, Purpose::Apply, console);
        return Ok(Exit::Success);
    }
    let Applied { outcome, problem, record, held } = apply::apply(kernel, plan, stamp);
    // The process ends when it has said how it went.
    let _held = ManuallyDrop::new(held);
    match console.output {
        Output::Text => console.print(&report::outcome::text(&outcome, console.out)),
        Output::Json => console.print(&report::outcome::json(&outcome)),
    }
    match problem {
        // The exit code is the outcome's where the host changed, else that of what went wrong.
        Some(problem) => {
            let exit = console.fail(&problem.into(), loaded.map(|loaded| &loaded.source));
            Ok(if outcome.exit() == Exit::Broken { Exit::Broken } else { exit })
        }
        // Everything is done by now, so whatever reading it back meets, the host is not as before.
        None => Ok(verify(kernel, &plan.pin_root, record.as_ref()).map_or_else(
            |problems| {
                console.fail(&problems, loaded.map(|loaded| &loaded.source));
                Exit::Broken
            },
            |()| Exit::Success,
        )),
    }
}

/// Reads back what is on the host: what the record says, or nothing of the deployment.
fn verify<K: Kernel>(kernel: &K, pin_root: &PinPath, record: Option<&Record>) -> Result<(), Problems> {
    let differs: Vec<String> = match record {
        Some(record) => drift::drift(kernel, record)?.iter().map(ToString::to_string).collect(),
        None if kernel.read_symlink(pin_root).is_ok() => vec![format!("{pin_root} is still there")],
        None => Vec::new(),
    };
    match differs.is_empty() {
        true => Ok(()),
        false => Err(Problem::new(Kind::Unverified { differs }).into()),
    }
}

/// Returns the record of the last apply when there is nothing to plan: it was made from the same manifest and objects,
/// and the host is still what it made of them.
fn unchanged<K: Kernel>(kernel: &K, loaded: &Loaded) -> Result<Option<Record>, Problems> {
    let Some(record) = observe::settled_record(kernel, &loaded.manifest.pin_root)? else { return Ok(None) };
    let Some(before) = record.inputs else { return Ok(None) };
    let digests = load::digests(&loaded.manifest, loaded.folder());
    let now = digests.map(|digests| load::inputs(&loaded.text, &loaded.vars, digests.into_iter()));
    let is_same = now == Some(before) && drift::drift(kernel, &record)?.is_empty();
    Ok(is_same.then_some(record))
}

/// A plan with what it was made from.
struct Planned {
    plan: Plan,
    /// `None` when the answer hangs on more than files: modules come and go.
    inputs: Option<Digest>,
    /// The plan shares most of it.
    _desired: Desired,
}

/// Plans against the host. The plan is never given back: the process ends when it has been used, and freeing a large one
/// piece by piece would take longer than what it is made from is worth.
fn plan_live<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    options: &ApplyOptions,
) -> Result<ManuallyDrop<Planned>, Problems> {
    let host = observe::host(kernel)?;
    let bpffs = observe::bpffs_of(kernel, &loaded.manifest.pin_root, &usual_bpffs())?;
    let files = load::objects(&loaded.manifest, loaded.folder())?;
    let needs = desired::needs(&loaded.manifest, &files);
    let target = facts::target(kernel, &needs)?;
    let alone = needs.symbols.is_empty() && matches!(target.modules, elf::Modules::Unread);
    let alone = alone && files.values().all(|file| file.types.is_none());
    let digests = files.iter().map(|(name, file)| (name, file.sha256));
    let inputs = alone.then(|| load::inputs(&loaded.text, &loaded.vars, digests));
    let desired = desired::resolve(&loaded.manifest, files, &bpffs, &host, &target)?;
    let observed = observe::observe(kernel, &Wanted::of(&desired))?;
    let plan = plan::plan(&desired, &observed, Mode::Live)?;
    if let (true, Some(at)) = (options.no_mount, mounts(&plan)) {
        return Err(Problem::new(Kind::NotMounted { at: at.clone() }).into());
    }
    Ok(ManuallyDrop::new(Planned { plan, inputs, _desired: desired }))
}

fn mounts(plan: &Plan) -> Option<&PinPath> {
    plan.steps.iter().find_map(|step| if let Action::MountBpffs { at } = &step.action { Some(at) } else { None })
}

fn print_plan(plan: &Plan, loaded: Option<&Loaded>, purpose: Purpose, console: &Console) {
    let manifest = loaded.map(Loaded::text);
    match console.output {
        Output::Text => {
            let options = report::text::Options { style: console.out, purpose, manifest };
            console.print(&report::text::plan(plan, &options));
        }
        Output::Json => console.print(&report::json::plan(plan, manifest)),
    }
}

fn run_destroy(destroy: &Destroy, console: &Console) -> Exit {
    let mut kernel = Linux::new();
    let done = pin_root_of(&destroy.target, console).and_then(|pin_root| {
        destroy_live(&mut kernel, &pin_root, destroy, console).map_err(|problems| console.fail(&problems, None))
    });
    done.unwrap_or_else(|exit| exit)
}

fn destroy_live<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    options: &Destroy,
    console: &Console,
) -> Result<Exit, Problems> {
    let _lock = match options.dry_run {
        true => None,
        false => Some(options.locking.take(kernel, pin_root)?),
    };
    let mut observed = observe::observe(kernel, &Wanted::recorded(pin_root))?;
    let record = observed.record.take();
    if record.is_none() && observed.leftovers.is_empty() {
        return Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() }).into());
    }
    let plan = plan::destroy(record.as_ref(), &observed, pin_root)?;
    if options.dry_run {
        print_plan(&plan, None, Purpose::DryRun, console);
        return Ok(Exit::Success);
    }
    finish(kernel, &plan, None, &Stamp::default(), console)
}

/// Reads the record of a deployment, and everything that it names.
fn recorded<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(Record, Observed), Problems> {
    let mut observed = observe::observe(kernel, &Wanted::recorded(pin_root))?;
    match observed.record.take() {
        Some(record) => Ok((record, observed)),
        None => Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() }).into()),
    }
}

fn run_show(target: &Target, console: &Console) -> Exit {
    let kernel = Linux::new();
    let shown = pin_root_of(target, console).and_then(|pin_root| {
        recorded(&kernel, &pin_root)
            .and_then(|(record, observed)| shown::shown(&kernel, &pin_root, &record, &observed))
            .map_err(|problems| console.fail(&problems, None))
    });
    match shown {
        Ok(shown) => {
            match console.output {
                Output::Text => console.print(&report::show::text(&shown, console.out)),
                Output::Json => console.print(&report::show::json(&shown)),
            }
            Exit::Success
        }
        Err(exit) => exit,
    }
}

/// Finds the folder of pins that a deployment's name, its manifest or the folder itself stands for.
fn pin_root_of(target: &Target, console: &Console) -> Result<PinPath, Exit> {
    let text = target.deployment.as_str();
    let path = Path::new(text);
    if path.is_file() {
        return load(path, &target.variables, console).map(|loaded| loaded.manifest.pin_root);
    }
    if text.starts_with('/') {
        return PinPath::new(text).map_err(|why| bad_target(text, why, console));
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

fn bad_target(text: &str, why: crate::names::NameError, console: &Console) -> Exit {
    console.fail(&Problem::new(Kind::BadName { text: text.to_owned(), why }).into(), None);
    Exit::Usage
}

fn run_inspect(path: &Path, console: &Console) -> Exit {
    let (bytes, object) = match load::object(path) {
        Ok(loaded) => loaded,
        Err(problems) => return console.fail(&problems, None),
    };
    let inspection =
        report::inspect::inspect(&path.display().to_string(), &bytes, &object, |btf, id| btf.type_name(id));
    match console.output {
        Output::Text => console.print(&report::inspect::text(&inspection, console.out)),
        Output::Json => console.print(&report::inspect::json(&inspection)),
    }
    Exit::Success
}

/// Where everybody mounts the bpffs.
fn usual_bpffs() -> PinPath {
    PinPath::new("/sys/fs/bpf").expect("it is a path")
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
