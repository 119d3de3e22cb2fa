//! Arguments, and the road from them to an exit code. What is decided on the way is decided elsewhere.

use crate::apply::{self, Applied, Stamp};
use crate::checks;
use crate::confirm::{self, Watchdog};
use crate::consent;
use crate::desired::{self, Desired};
use crate::diag::{self, Exit, Kind, Problem, Problems, Source};
use crate::elf;
use crate::kernel::{self, Kernel, drift, facts, linux::Linux, lock, observe, shown, status};
use crate::load;
use crate::manifest::{self, At, Check, EntriesSource, Manifest};
use crate::names::{DeploymentName, Digest, PinPath, PlanId};
use crate::observed::{Observed, Root, Wanted};
use crate::plan::{self, Action, Consent, Mode, Plan};
use crate::record::Record;
use crate::report::{self, ManifestText, Style, status::State, text::Purpose};
use crate::saved::{self, SavedHost, SavedManifest, SavedPlan};
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
    after_help = "Exit codes: 0 the host matches, 1 failed and the host is as before, 2 changes or drift (--check), \
                  3 failed and the host is not as before, 4 consent needed, 64 usage, 65 bad manifest or object, \
                  69 this kernel lacks it, 75 another run has the lock, or the host or the plan is another one by now, \
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
    /// Keep what an apply with --confirm made
    Commit(Commit),
    /// Return to the generation before the last apply, without its files
    Rollback(Rollback),
    /// What an apply with --confirm leaves behind to go back
    #[command(hide = true)]
    Watchdog {
        /// The folder of the deployment's pins
        pin_root: String,
    },
    /// Make a new record of a deployment that lost its own, from its pins; nothing else changes
    Adopt(Adopt),
    /// Show what a deployment has: ids, pins, links, fill of its maps
    Show(Target),
    /// Show whether deployments are still what the last apply made of them
    Status(StatusOptions),
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
    #[arg(required_unless_present = "saved")]
    manifest: Option<PathBuf>,
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
    /// Apply only the plan with this id, as a dry run prints it; exit with 75 when the plan is another one now
    #[arg(long, value_name = "ID")]
    expect: Option<PlanId>,
    /// With --dry-run: save the plan, to be applied on this host with --plan
    #[arg(long, requires = "dry_run", value_name = "FILE")]
    out: Option<PathBuf>,
    /// Apply a saved plan and nothing else; exit with 75 when the host or the plan is another one by now
    #[arg(
        id = "saved",
        long = "plan",
        value_name = "FILE",
        conflicts_with_all = ["manifest", "vars", "var_file", "expect", "out"]
    )]
    saved: Option<PathBuf>,
    /// Do not mount a bpffs where there is none
    #[arg(long)]
    no_mount: bool,
    /// Return to what ran before after this time (such as `120s` or `5m`), unless `bpfapply commit` says that all is well
    #[arg(long, value_name = "TIME", value_parser = manifest::time, conflicts_with = "dry_run")]
    confirm: Option<Duration>,
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
struct Commit {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    locking: Locking,
}

#[derive(Debug, Args)]
struct Rollback {
    #[command(flatten)]
    target: Target,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
    /// Consent to what a bare rollback does not do
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    allow: Vec<Allow>,
    #[command(flatten)]
    locking: Locking,
}

#[derive(Debug, Args)]
struct Adopt {
    #[command(flatten)]
    target: Target,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    locking: Locking,
}

#[derive(Debug, Args)]
struct StatusOptions {
    /// The deployment: its name, its manifest, or the folder of its pins; all of this host unless given
    deployment: Option<String>,
    /// Exit with 2 unless everything is in sync
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    variables: Variables,
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
        Some(Command::Apply(Apply { manifest, options })) => run_apply(manifest.as_deref(), &options, &console),
        Some(Command::Destroy(destroy)) => {
            on_deployment(&destroy.target, &console, |kernel, root| destroy_live(kernel, root, &destroy, &console))
        }
        Some(Command::Commit(commit)) => {
            on_deployment(&commit.target, &console, |kernel, root| commit_live(kernel, root, &commit, &console))
        }
        Some(Command::Watchdog { pin_root }) => run_watchdog(&pin_root, &console),
        Some(Command::Rollback(rollback)) => {
            on_deployment(&rollback.target, &console, |kernel, root| rollback_live(kernel, root, &rollback, &console))
        }
        Some(Command::Adopt(adopt)) => run_adopt(&adopt, &console),
        Some(Command::Show(target)) => run_show(&target, &console),
        Some(Command::Status(status)) => run_status(status, &console),
        Some(Command::Inspect { object }) => run_inspect(&object, &console),
        None => run_apply(cli.apply.manifest.as_deref(), &cli.apply.options, &console),
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
    /// The saved plan that it comes from.
    saved: Option<SavedPlan>,
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
    parse(path, text, vars, console)
}

fn parse(path: &Path, text: String, vars: BTreeMap<String, String>, console: &Console) -> Result<Loaded, Exit> {
    let source = Source::new(&path.display().to_string(), &manifest::redacted(&text));
    let manifest = manifest::parse(&text, &vars).map_err(|problems| console.fail(&problems, Some(&source)))?;
    Ok(Loaded { path: path.to_owned(), text, source, vars, manifest, saved: None })
}

/// Loads the manifest of a saved plan, whose objects must have the bytes that they had.
fn load_saved(path: &Path, console: &Console) -> Result<Loaded, Exit> {
    let saved = load::plan(path).map_err(|problems| console.fail(&problems, None))?;
    let SavedManifest { path, text } = saved.manifest.clone();
    let mut loaded = parse(Path::new(&path), text, saved.variables.clone(), console)?;
    for (name, object) in &mut loaded.manifest.objects {
        if let Some(digest) = saved.objects.get(name.as_str()) {
            object.sha256.get_or_insert(At { value: *digest, span: object.path.span.clone() });
        }
    }
    for (name, map) in &mut loaded.manifest.maps {
        if let Some(EntriesSource::File { sha256, .. }) = map.entries.as_mut().map(|entries| &mut entries.source) {
            *sha256 = saved.entries.get(name.as_str()).copied();
        }
    }
    Ok(Loaded { saved: Some(saved), ..loaded })
}

fn run_apply(path: Option<&Path>, options: &ApplyOptions, console: &Console) -> Exit {
    let loaded = match (path, &options.saved) {
        (Some(path), _) => load(path, &options.variables, console),
        (None, Some(saved)) => load_saved(saved, console),
        (None, None) => {
            eprintln!("{}", Cli::command().render_help());
            return Exit::Usage;
        }
    };
    let loaded = match loaded {
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
    if options.out.is_some() || options.saved.is_some() {
        let what = "a saved plan is for one host: leave `=offline` out".to_owned();
        return Err(Problem::new(Kind::Usage(what)).into());
    }
    let pin_root = &loaded.manifest.pin_root;
    let usual = usual_bpffs();
    let bpffs = if pin_root.is_below(&usual) { usual } else { pin_root.parent().unwrap_or(usual) };
    let files = load::files(&loaded.manifest, loaded.folder())?;
    let desired = desired::resolve(&loaded.manifest, files, &bpffs, &NO_HOST, &elf::Target::offline())?;
    let plan = plan::plan(&desired, &Observed::nothing(NO_HOST), Mode::Offline)?;
    show_dry_run(&plan, BTreeMap::new(), loaded, options, console)
}

fn dry_run_live<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    options: &ApplyOptions,
    console: &Console,
) -> Result<Exit, Problems> {
    let planned = plan_live(kernel, loaded, options)?;
    show_dry_run(&planned.plan, planned.entries.clone(), loaded, options, console)
}

/// Makes of a plan what can be applied later.
fn saved(plan: &Plan, entries: BTreeMap<String, Digest>, loaded: &Loaded) -> Result<SavedPlan, Problems> {
    Ok(SavedPlan {
        format: saved::FORMAT,
        id: plan.id,
        manifest: SavedManifest { path: absolute(&loaded.path), text: loaded.text.clone() },
        variables: loaded.vars.clone(),
        objects: plan.objects.iter().map(|(name, facts)| (name.to_string(), facts.sha256)).collect(),
        entries,
        host: SavedHost::of(plan, load::boot()?),
    })
}

fn show_dry_run(
    plan: &Plan,
    entries: BTreeMap<String, Digest>,
    loaded: &Loaded,
    options: &ApplyOptions,
    console: &Console,
) -> Result<Exit, Problems> {
    print_plan(plan, Some(loaded), Purpose::DryRun, console);
    other_plan(plan, loaded, options.expect)?;
    if let Some(path) = &options.out {
        load::store(&saved(plan, entries, loaded)?, path)?;
    }
    if console.output == Output::Text && plan.mode == Mode::Live && !plan.is_empty() {
        console.print(&format!("apply exactly this: {}", exactly(plan, loaded, options)));
    }
    Ok(match options.check && !plan.is_empty() {
        true => Exit::Pending,
        false => Exit::Success,
    })
}

/// Refuses a plan that is not the expected one, or not about the same things as the saved one.
fn other_plan(plan: &Plan, loaded: &Loaded, expected: Option<PlanId>) -> Result<(), Problems> {
    let saved = loaded.saved.as_ref();
    let mut expected = expected.into_iter().chain(saved.map(|saved| saved.id));
    if let Some(expected) = expected.find(|expected| *expected != plan.id) {
        return Err(Problem::new(Kind::OtherPlan { expected, is: plan.id }).into());
    }
    let Some(saved) = saved else { return Ok(()) };
    match saved.host.difference(&SavedHost::of(plan, load::boot()?)) {
        Some(what) => Err(Problem::new(Kind::Stale { what }).into()),
        None => Ok(()),
    }
}

/// Writes the command that applies a plan and no other.
fn exactly(plan: &Plan, loaded: &Loaded, options: &ApplyOptions) -> String {
    let mut words = vec!["bpfapply".to_owned()];
    let saved = options.out.as_ref().or(options.saved.as_ref());
    match saved {
        // It has its variables and its id.
        Some(file) => words.extend(["--plan".to_owned(), file.display().to_string()]),
        None => {
            words.push(loaded.path.display().to_string());
            let files = options.variables.var_file.iter().map(|file| ("--var-file", file.display().to_string()));
            let pairs = options.variables.vars.iter().map(|pair| ("--var", pair.clone()));
            let id = ("--expect", plan.id.to_string());
            words.extend(files.chain(pairs).chain([id]).flat_map(|(flag, value)| [flag.to_owned(), value]));
        }
    }
    let lacks: Vec<String> = plan.lacks(&BTreeSet::new()).iter().map(Consent::to_string).collect();
    if !lacks.is_empty() {
        words.extend(["--allow".to_owned(), lacks.join(",")]);
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell where it needs that.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./,:=+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
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
        && options.expect.is_none()
        && options.saved.is_none()
        && let Some(record) = unchanged(kernel, loaded)
    {
        console.print(&report::text::unchanged(&record, loaded.manifest.name.as_str()));
        return Ok(Exit::Success);
    }
    // From before anything is looked at until it was all read back.
    let mut lock = options.locking.take(kernel, &loaded.manifest.pin_root)?;
    settle(kernel, &loaded.manifest.pin_root, console)?;
    let mut planned = expected_plan(kernel, loaded, options, options.expect, console)?;
    let given: BTreeSet<Consent> = options.allow.iter().map(|allow| Consent::from(*allow)).collect();
    let needs = planned.plan.lacks(&given);
    if !needs.is_empty() {
        print_plan(&planned.plan, Some(loaded), Purpose::Apply, console);
        // Others need not wait while somebody thinks.
        drop(lock);
        if console.output != Output::Text || !consent::is_typed(&needs) {
            return Err(Problem::new(Kind::ConsentNeeded { needs, sweep: planned.plan.sweep }).into());
        }
        lock = options.locking.take(kernel, &loaded.manifest.pin_root)?;
        settle(kernel, &loaded.manifest.pin_root, console)?;
        // What was consented to is this plan, and no other that the host may need by now.
        planned = expected_plan(kernel, loaded, options, Some(planned.plan.id), console)?;
    }
    let _lock = lock;
    apply_planned(kernel, loaded, options, &planned, console)
}

/// Applies a plan that everything is allowed for, and goes back when a health check says so, or nobody confirms.
fn apply_planned<K: Kernel>(
    kernel: &mut K,
    loaded: &Loaded,
    options: &ApplyOptions,
    planned: &Planned,
    console: &Console,
) -> Result<Exit, Problems> {
    let plan = &planned.plan;
    let mut stamp =
        Stamp { manifest: absolute(&loaded.path), time: now(), inputs: planned.inputs, confirm_until: None };
    if plan.is_empty() {
        return finish(kernel, plan, Some(loaded), &stamp, console);
    }
    let health = Health::before(kernel, &loaded.manifest.checks, &planned.desired);
    let Some(time) = options.confirm else {
        let exit = finish(kernel, plan, Some(loaded), &stamp, console)?;
        return if exit == Exit::Success { health.after(kernel, &plan.pin_root, console) } else { Ok(exit) };
    };
    let watched = |error: io::Error| Problem::new(Kind::Watchdog { why: error.to_string() });
    let watchdog = Watchdog::start(&plan.pin_root).map_err(watched)?;
    stamp.confirm_until = Some(confirm::seconds(kernel).saturating_add(time.as_secs()));
    let exit = finish(kernel, plan, Some(loaded), &stamp, console)?;
    if exit == Exit::Success {
        health.after(kernel, &plan.pin_root, console)?;
        if let Err(error) = watchdog.arm() {
            go_back(kernel, &plan.pin_root, console)?;
            return Err(watched(error).into());
        }
        let (name, seconds) = (&plan.deployment, time.as_secs());
        eprintln!("{name}: returns to what ran before in {seconds} s, unless `bpfapply commit {name}` keeps it");
    }
    Ok(exit)
}

/// Checks that everything is allowed that a plan needs consent for; else shows the plan.
fn consented(plan: &Plan, allow: &[Allow], console: &Console) -> Result<(), Problems> {
    let needs = plan.lacks(&allow.iter().map(|allow| Consent::from(*allow)).collect());
    if needs.is_empty() {
        return Ok(());
    }
    print_plan(plan, None, Purpose::Apply, console);
    Err(Problem::new(Kind::ConsentNeeded { needs, sweep: plan.sweep }).into())
}

/// Plans against the host, and shows a plan that is not the expected one.
fn expected_plan<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    options: &ApplyOptions,
    expected: Option<PlanId>,
    console: &Console,
) -> Result<ManuallyDrop<Planned>, Problems> {
    let planned = plan_live(kernel, loaded, options)?;
    other_plan(&planned.plan, loaded, expected)
        .inspect_err(|_| print_plan(&planned.plan, Some(loaded), Purpose::Apply, console))?;
    Ok(planned)
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
///
/// It is read without the lock, maybe while another run is at work. Whatever that makes of it, it is not "unchanged".
fn unchanged<K: Kernel>(kernel: &K, loaded: &Loaded) -> Option<Record> {
    let pin_root = &loaded.manifest.pin_root;
    let record = observe::settled_record(kernel, pin_root).ok()??;
    let is_settled = record.inputs.is_some() && confirm::pending(kernel, pin_root).ok()?.is_none();
    let digests = load::digests(&loaded.manifest, loaded.folder()).filter(|_| is_settled)?;
    let now = load::inputs(&loaded.text, &loaded.vars, &digests);
    let is_same = record.inputs == Some(now) && drift::drift(kernel, &record).ok()?.is_empty();
    is_same.then_some(record)
}

/// A plan with what it was made from.
struct Planned {
    plan: Plan,
    /// `None` when the answer hangs on more than files: modules come and go.
    inputs: Option<Digest>,
    /// The digests of files of entries, by their maps.
    entries: BTreeMap<String, Digest>,
    /// The plan shares most of it.
    desired: Desired,
}

/// Plans against the host. The plan is never given back: the process ends when it has been used, and freeing a large one
/// piece by piece would take longer than what it is made from is worth.
fn plan_live<K: Kernel>(
    kernel: &K,
    loaded: &Loaded,
    options: &ApplyOptions,
) -> Result<ManuallyDrop<Planned>, Problems> {
    let Resolved { desired, inputs, entries } = desired_live(kernel, loaded)?;
    let observed = observe::observe(kernel, &Wanted::of(&desired))?;
    let plan = plan::plan(&desired, &observed, Mode::Live)?;
    if let (true, Some(at)) = (options.no_mount, mounts(&plan)) {
        return Err(Problem::new(Kind::NotMounted { at: at.clone() }).into());
    }
    Ok(ManuallyDrop::new(Planned { plan, inputs, entries, desired }))
}

/// What a manifest means for this host, with the digests that [`Planned`] keeps.
struct Resolved {
    desired: Desired,
    inputs: Option<Digest>,
    entries: BTreeMap<String, Digest>,
}

/// Resolves a manifest for this host.
fn desired_live<K: Kernel>(kernel: &K, loaded: &Loaded) -> Result<Resolved, Problems> {
    let host = observe::host(kernel)?;
    let bpffs = observe::bpffs_of(kernel, &loaded.manifest.pin_root, &usual_bpffs())?;
    let files = load::files(&loaded.manifest, loaded.folder())?;
    let needs = desired::needs(&loaded.manifest, &files);
    let target = facts::target(kernel, &needs)?;
    let alone = needs.symbols.is_empty() && matches!(target.modules, elf::Modules::Unread);
    let alone = alone && files.objects.values().all(|file| file.types.is_none());
    let inputs = alone.then(|| load::inputs(&loaded.text, &loaded.vars, &load::Digests::of(&files)));
    let entries = files.entries.iter().map(|(name, file)| (name.to_string(), file.sha256)).collect();
    let desired = desired::resolve(&loaded.manifest, files, &bpffs, &host, &target)?;
    Ok(Resolved { desired, inputs, entries })
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
    if record.is_none() && observed.leftovers.is_empty() && !matches!(observed.root, Root::Generation(_)) {
        return Err(Problem::new(Kind::NoDeployment { pin_root: pin_root.clone() }).into());
    }
    let plan = plan::destroy(record.as_ref(), &observed, pin_root)?;
    if options.dry_run {
        print_plan(&plan, None, Purpose::DryRun, console);
        return Ok(Exit::Success);
    }
    finish(kernel, &plan, None, &Stamp::default(), console)
}

/// The health checks that passed before an apply.
struct Health<'a> {
    passed: Vec<&'a Check>,
    desired: &'a Desired,
}

impl<'a> Health<'a> {
    /// Runs every check; those that fail already decide nothing later.
    fn before<K: Kernel>(kernel: &K, checks: &'a [Check], desired: &'a Desired) -> Self {
        let mut health = Self { passed: Vec::new(), desired };
        for check in checks {
            match health.run(kernel, check) {
                Ok(()) => health.passed.push(check),
                Err(why) => eprintln!("the check `{}` fails already, and decides nothing: {why}", check.name),
            }
        }
        health
    }

    fn run<K: Kernel>(&self, kernel: &K, check: &Check) -> Result<(), String> {
        checks::run(check, kernel, |map| self.desired.maps.get(map).and_then(|map| map.pin().cloned()))
    }

    /// Runs those that passed once more. When one fails now, what ran before returns.
    fn after<K: Kernel>(&self, kernel: &mut K, pin_root: &PinPath, console: &Console) -> Result<Exit, Problems> {
        let failed = self.passed.iter().filter_map(|check| Some((check.name.clone(), self.run(kernel, check).err()?)));
        let failed: Vec<_> = failed.collect();
        if failed.is_empty() {
            return Ok(Exit::Success);
        }
        let is_back = go_back(kernel, pin_root, console)? == Exit::Success;
        Err(Problem::new(Kind::ChecksFailed { failed, is_back }).into())
    }
}

/// Sees to an apply that waits to be confirmed: while somebody watches it, nothing else is done; else it is taken back.
fn settle<K: Kernel>(kernel: &mut K, pin_root: &PinPath, console: &Console) -> Result<(), Problems> {
    let Some(pending) = confirm::pending(kernel, pin_root)? else { return Ok(()) };
    let (pin_root, left) = (pin_root.clone(), pending.left(kernel));
    if left > 0 && pending.is_watched(kernel, &pin_root) {
        return Err(Problem::new(Kind::Unconfirmed { pin_root, left }).into());
    }
    match go_back(kernel, &pin_root, console)? {
        Exit::Success => Err(Problem::new(Kind::NotConfirmed { pin_root }).into()),
        // What went wrong was said.
        _ => Err(Problem::new(Kind::Unconfirmed { pin_root, left }).into()),
    }
}

/// Goes back to what ran before an apply that waits to be confirmed.
fn go_back<K: Kernel>(kernel: &mut K, pin_root: &PinPath, console: &Console) -> Result<Exit, Problems> {
    let (plan, stamp) = confirm::way_back(kernel, pin_root)?;
    finish(kernel, &plan, None, &Stamp { time: now(), ..stamp }, console)
}

fn commit_live<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    options: &Commit,
    console: &Console,
) -> Result<Exit, Problems> {
    let _lock = options.locking.take(kernel, pin_root)?;
    match confirm::pending(kernel, pin_root)? {
        None => Err(Problem::new(Kind::NothingToConfirm { pin_root: pin_root.clone() }).into()),
        Some(pending) if pending.left(kernel) == 0 => settle(kernel, pin_root, console).map(|()| Exit::Success),
        Some(pending) => {
            confirm::keep(kernel, pin_root)?;
            console.print(&format!("{pin_root}: generation {} is kept", pending.generation));
            Ok(Exit::Success)
        }
    }
}

/// Waits as the process that an apply with `--confirm` leaves behind, and goes back when nobody confirmed.
fn run_watchdog(pin_root: &str, console: &Console) -> Exit {
    let mut kernel = Linux::new();
    let done = PinPath::new(pin_root)
        .map_err(|why| bad_target(pin_root, why, console))
        .and_then(|pin_root| watch(&mut kernel, &pin_root, console).map_err(|problems| console.fail(&problems, None)));
    done.unwrap_or_else(|exit| exit)
}

fn watch<K: Kernel>(kernel: &mut K, pin_root: &PinPath, console: &Console) -> Result<Exit, Problems> {
    let Some(pending) = confirm::watch(kernel, pin_root)? else { return Ok(Exit::Success) };
    loop {
        // Whoever has the lock ends some time, and nothing is more important.
        let lock = Locking { lock_timeout: u64::MAX / 2 }.take(kernel, pin_root)?;
        if confirm::pending(kernel, pin_root)? != Some(pending) {
            return Ok(Exit::Success);
        }
        match go_back(kernel, pin_root, console) {
            Ok(Exit::Success) => return Ok(Exit::Success),
            Ok(_) => {}
            Err(problems) => {
                console.fail(&problems, None);
            }
        }
        // What was in the way may go away.
        drop(lock);
        std::thread::sleep(WATCHDOG_RETRY);
    }
}

/// After what time the watchdog tries again when going back failed.
const WATCHDOG_RETRY: Duration = Duration::from_secs(5);

fn rollback_live<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    options: &Rollback,
    console: &Console,
) -> Result<Exit, Problems> {
    let _lock = match options.dry_run {
        true => None,
        false => Some(options.locking.take(kernel, pin_root)?),
    };
    let before = observe::previous_record(kernel, pin_root)?;
    let observed = observe::observe(kernel, &Wanted::before(&before, pin_root))?;
    let plan = plan::rollback(&before, &observed, pin_root)?;
    if options.dry_run {
        print_plan(&plan, None, Purpose::DryRun, console);
        return Ok(Exit::Success);
    }
    consented(&plan, &options.allow, console)?;
    let stamp = Stamp { manifest: before.manifest, time: now(), inputs: before.inputs, confirm_until: None };
    finish(kernel, &plan, None, &stamp, console)
}

fn run_adopt(adopt: &Adopt, console: &Console) -> Exit {
    let (mut kernel, path) = (Linux::new(), Path::new(&adopt.target.deployment));
    let loaded = match path.is_file().then(|| load(path, &adopt.target.variables, console)).transpose() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let pin_root = match &loaded {
        Some(loaded) => loaded.manifest.pin_root.clone(),
        None => match pin_root_of(&adopt.target, console) {
            Ok(pin_root) => pin_root,
            Err(exit) => return exit,
        },
    };
    adopt_live(&mut kernel, &pin_root, loaded.as_ref(), adopt, console)
        .unwrap_or_else(|problems| console.fail(&problems, loaded.as_ref().map(|loaded| &loaded.source)))
}

fn adopt_live<K: Kernel>(
    kernel: &mut K,
    pin_root: &PinPath,
    loaded: Option<&Loaded>,
    options: &Adopt,
    console: &Console,
) -> Result<Exit, Problems> {
    let _lock = match options.dry_run {
        true => None,
        false => Some(options.locking.take(kernel, pin_root)?),
    };
    let Some(lost) = status::lost_record(kernel, pin_root)? else {
        match console.output {
            Output::Text => {
                console.print(&format!("{}: nothing to adopt: its record is there\n", pin_root.file_name()))
            }
            Output::Json => {
                console.print(&report::status::json(&status::all(kernel, Some(pin_root), &usual_bpffs())?.0));
            }
        }
        return Ok(Exit::Success);
    };
    // Without a manifest nobody knows what is to be recorded.
    let loaded = loaded.ok_or(lost)?;
    if !options.dry_run {
        settle(kernel, pin_root, console)?;
    }
    let Resolved { desired, .. } = desired_live(kernel, loaded)?;
    let observed = observe::observe(kernel, &Wanted { adopts: true, ..Wanted::of(&desired) })?;
    let plan = plan::adopt(&desired, &observed)?;
    if options.dry_run {
        print_plan(&plan, Some(loaded), Purpose::DryRun, console);
        return Ok(Exit::Success);
    }
    let stamp = Stamp { manifest: absolute(&loaded.path), time: now(), ..Stamp::default() };
    finish(kernel, &plan, Some(loaded), &stamp, console)
}

/// Reads the record of a deployment, and everything that it names.
fn recorded<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(Record, Observed), Problems> {
    let mut observed = observe::observe(kernel, &Wanted::recorded(pin_root))?;
    match observed.record.take() {
        Some(record) => Ok((record, observed)),
        None if matches!(observed.root, Root::Generation(_)) => {
            Err(Problem::new(Kind::RecordLost { pin: pin_root.join("record") }).into())
        }
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

fn run_status(options: StatusOptions, console: &Console) -> Exit {
    let (kernel, StatusOptions { deployment, check, variables }) = (Linux::new(), options);
    let asked = match deployment {
        Some(deployment) => match pin_root_of(&Target { deployment, variables }, console) {
            Ok(pin_root) => Some(pin_root),
            Err(exit) => return exit,
        },
        None => None,
    };
    let (found, problems) = match status::all(&kernel, asked.as_ref(), &usual_bpffs()) {
        Ok(found) => found,
        Err(problem) => return console.fail(&problem.into(), None),
    };
    match console.output {
        Output::Text => console.print(&report::status::text(&found, now(), console.out)),
        Output::Json => console.print(&report::status::json(&found)),
    }
    match problems.or(()) {
        Err(problems) => console.fail(&problems, None),
        Ok(()) if check && found.iter().any(|found| found.state != State::InSync) => Exit::Pending,
        Ok(()) => Exit::Success,
    }
}

/// Does something to a deployment by what the command line calls it.
fn on_deployment(
    target: &Target,
    console: &Console,
    run: impl FnOnce(&mut Linux, &PinPath) -> Result<Exit, Problems>,
) -> Exit {
    let done = pin_root_of(target, console)
        .and_then(|pin_root| run(&mut Linux::new(), &pin_root).map_err(|problems| console.fail(&problems, None)));
    done.unwrap_or_else(|exit| exit)
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
