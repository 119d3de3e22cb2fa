//! Where and how to write: the formats, colours, and both streams.

use super::events::Events;
use super::loaded::Loaded;
use super::reports::{FileKind, OutputFile, Report, output_file};
use crate::apply::outcome::Outcome;
use crate::diag::{self, Exit, Kind, Look, Problem, Problems, Source};
use crate::explain::Explained;
use crate::plan::Plan;
use crate::report::outcome::{self, Part};
use crate::report::problems::{self, Checked, Said};
use crate::report::{self, ManifestText, Style, events::Event, text::Purpose};
use clap::{Arg, Args, Command, ValueEnum};
use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How many of the entries of each map `--verbose` shows.
const ENTRIES_SHOWN: usize = 5;

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// How to write what there is to say. Plans, what became of them, and what `validate` finds can also be `markdown`,
    /// for a comment on a pull request, and `github`, annotations of a workflow; where GITHUB_STEP_SUMMARY is set,
    /// `github` adds the Markdown to that file. A run that fails before it has a document writes what is wrong as `json`
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT", display_order = 110)]
    output: Output,
    /// Write the plan, or what became of it, into a file as well: text, json, markdown or github; or a picture of the
    /// plan: svg, dot or mermaid. The file is written whole or not at all, and also when the run fails or needs consent;
    /// where no plan can be made there is no picture
    #[arg(long, global = true, value_parser = output_file, value_name = "KIND=PATH", display_order = 111)]
    output_file: Vec<OutputFile>,
    /// Write what happens while applying into a file, a JSON document on each line; with `-` to standard output, which
    /// gets nothing else then
    #[arg(long, global = true, value_name = "PATH", display_order = 112)]
    events: Option<PathBuf>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN", display_order = 113)]
    color: Color,
    /// Say more: what is unchanged, some entries, and the verifier's whole log when it refuses a program
    #[arg(short, long, global = true, display_order = 114)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
    /// For a comment on a pull request
    Markdown,
    /// Annotations of a workflow on GitHub
    Github,
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
    err: Look,
    /// Whether standard output is for events alone.
    silent: bool,
    reports: Vec<Report>,
    events: Events,
    /// Whether anything was written to standard output or into files, if only what is wrong.
    has_shown: Cell<bool>,
    /// Whether a plan or an outcome stands in the files.
    has_filed: Cell<bool>,
    /// What is wrong, for a document that stands for the one that it prevents.
    said: RefCell<Vec<Said>>,
    /// Whether the host was changed.
    has_applied: Cell<bool>,
    /// What became of plans, for the one document of the run.
    parts: RefCell<Vec<Part>>,
    /// For how many seconds what was made waits to be confirmed.
    unconfirmed: Cell<Option<u64>>,
    /// Why standard output did not take all.
    lost: RefCell<Option<io::Error>>,
}

/// Says on standard error what is no problem. When nobody can read it, nothing is lost that counts.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What has all the forms.
#[derive(Clone, Copy)]
enum Document<'a> {
    Plan(&'a Plan, Option<&'a Loaded>, Purpose, &'a [Explained]),
    Outcome(&'a Outcome<'a>),
    /// A plan that an apply had nothing to do for.
    Matches(&'a Plan, Option<&'a Loaded>),
    Checked(&'a [Checked]),
}

/// Which forms a command has for what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// All of them: it writes plans and what becomes of them.
    Plans,
    /// All but pictures and events: it writes what is wrong with manifests.
    Checks,
    /// Text and JSON, on standard output.
    Few,
}

impl Forms {
    /// Returns what every command takes and one with these forms refuses: it is no part of its help.
    pub fn hidden(self) -> Vec<Arg> {
        let refused: &[&str] = match self {
            Self::Plans => &[],
            Self::Checks => &["events"],
            Self::Few => &["output_file", "events"],
        };
        let all = Global::augment_args(Command::new(""));
        all.get_arguments()
            .filter(|arg| refused.contains(&arg.get_id().as_str()))
            .cloned()
            .map(|arg| arg.hide(true))
            .collect()
    }
}

impl Console {
    pub fn new(global: &Global) -> Self {
        let color = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && is_unset("NO_COLOR") && std::env::var_os("TERM").is_none_or(|it| it != "dumb"),
        };
        let ascii = !speaks_unicode();
        // Without colour it is for files and other programs, which get the plainest drawing.
        let error_color = color(io::stderr().is_terminal());
        let terminal = io::stdout().is_terminal();
        let columns = terminal_width();
        let github = FileKind::Output(Output::Github);
        let annotates = global.output == Output::Github || global.output_file.iter().any(|file| file.kind == github);
        let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| annotates && !path.is_empty());
        Self {
            output: global.output,
            verbose: global.verbose,
            out: Style { width: columns, ascii, color: color(terminal) },
            err: Look { ascii: ascii || !error_color, color: error_color },
            silent: global.events.as_deref() == Some(Path::new("-")),
            reports: Report::of(&global.output_file, summary.map(PathBuf::from)),
            events: Events::new(global.events.as_deref()),
            has_shown: Cell::new(false),
            has_filed: Cell::new(false),
            said: RefCell::default(),
            has_applied: Cell::new(false),
            parts: RefCell::default(),
            unconfirmed: Cell::new(None),
            lost: RefCell::default(),
        }
    }

    /// Checks that what the command writes has the forms that were asked for, and that files can be written.
    pub fn check(&self, forms: Forms, dry_run: bool) -> Result<(), Exit> {
        let is_picture = |report: &Report| matches!(report.kind, FileKind::Picture(_));
        let events = self.events.are_wanted().then_some("`--events`");
        let refused = match (forms, self.output) {
            (Forms::Plans, _) => None,
            (Forms::Checks, _) if self.reports.iter().any(is_picture) => Some("a picture"),
            (Forms::Checks, _) => events,
            (Forms::Few, Output::Markdown) => Some("`--output markdown`"),
            (Forms::Few, Output::Github) => Some("`--output github`"),
            (Forms::Few, Output::Text | Output::Json) if !self.reports.is_empty() => Some("`--output-file`"),
            (Forms::Few, Output::Text | Output::Json) => events,
        };
        if let Some(asked) = refused {
            let has = if forms == Forms::Few { "`--output text` and `json`" } else { "every `--output`" };
            let what = format!("{asked} is for plans and what becomes of them: this command has {has}");
            return Err(self.refuse(Problem::new(Kind::Usage(what))));
        }
        if dry_run && self.has_events() {
            let what = "`--events` tells what is done, and a dry run does nothing: leave one of them out".to_owned();
            return Err(self.refuse(Problem::new(Kind::Usage(what))));
        }
        if let Some(path) = Report::path_of_two(&self.reports) {
            let what = format!("`--output-file` names `{}` twice, and a file gets one report", path.display());
            return Err(self.refuse(Problem::new(Kind::Usage(what))));
        }
        self.reports.iter().try_for_each(Report::check).map_err(|problem| self.refuse(problem))
    }

    /// Says what is wrong with what the run is to write. No file gets it: they are what may be wrong.
    fn refuse(&self, problem: Problem) -> Exit {
        let problems = problem.into();
        self.keep(&problems, None);
        self.say(&problems, None)
    }

    /// Writes the files, and then as JSON what became of the run, or what is wrong where nothing else was written. What
    /// was not taken is what the run failed for, where nothing else is: JSON comes last, as it has the exit code.
    pub fn finish(&self, exit: Exit) -> Exit {
        let mut exit = self.printed_or(exit);
        let (json, others): (Vec<_>, Vec<_>) =
            self.reports.iter().partition(|report| report.kind == FileKind::Output(Output::Json));
        for report in others {
            exit = self.written_or(report.store().err(), exit);
        }
        for report in json {
            self.end(exit).into_iter().for_each(|text| report.set(text));
            exit = self.written_or(report.store().err(), exit);
        }
        if self.output == Output::Json
            && let Some(text) = self.end(exit).or_else(|| self.prevented(exit))
        {
            self.print(&text);
        }
        self.printed_or(exit)
    }

    /// Says why standard output did not take something, where it did not, and returns the exit code with that.
    fn printed_or(&self, exit: Exit) -> Exit {
        let lost = self.lost.take().map(|error| {
            Problem::new(Kind::UnwritableFile { path: "standard output".to_owned(), why: error.to_string() })
        });
        self.written_or(lost, exit)
    }

    /// Says why something was not written, where it was not, and returns the exit code with that.
    fn written_or(&self, lost: Option<Problem>, exit: Exit) -> Exit {
        let Some(lost) = lost else { return exit };
        let is_done = matches!(exit, Exit::Success | Exit::Pending | Exit::Unwritten) && self.has_applied.get();
        let lost = if is_done { Problem::new(Kind::Unreported { what: lost.kind.to_string() }) } else { lost };
        let exit_of_lost = self.refuse(lost);
        if matches!(exit, Exit::Success | Exit::Pending) { exit_of_lost } else { exit }
    }

    /// Returns what became of all plans of the run as one JSON document, where there were any.
    fn end(&self, exit: Exit) -> Option<String> {
        let (parts, said) = (self.parts.borrow(), self.said.borrow());
        let (first, others) = parts.split_first()?;
        let end = outcome::End { said: &said, unconfirmed: self.unconfirmed.get(), exit };
        Some(outcome::document(first, others.last(), end))
    }

    /// Returns what is wrong as a JSON document, where nothing else was written.
    fn prevented(&self, exit: Exit) -> Option<String> {
        let said = self.said.borrow();
        (!self.has_shown.get() && !said.is_empty()).then(|| problems::document(&said, exit))
    }

    /// Says that what was made waits for so many seconds to be confirmed.
    pub fn waits(&self, seconds: u64) {
        self.unconfirmed.set(Some(seconds));
    }

    /// Returns how people are written to.
    pub fn style(&self) -> Style {
        self.out
    }

    /// Returns whether people read along, and can be asked.
    pub fn is_for_people(&self) -> bool {
        self.output == Output::Text && !self.silent
    }

    /// Returns whether one line is enough where nothing is to be done.
    pub fn is_brief(&self) -> bool {
        self.is_for_people() && !self.verbose && self.reports.is_empty() && !self.has_events()
    }

    /// Returns whether anybody wants to have events.
    pub fn has_events(&self) -> bool {
        self.events.are_wanted()
    }

    /// Writes an event, where anybody wants to have it.
    pub fn event(&self, event: Event<'_>) {
        self.events.write(event);
    }

    /// Writes what there is to say, in the format that was asked for.
    pub fn show(&self, text: impl FnOnce(Style) -> String, json: impl FnOnce() -> String) {
        self.print(&match self.output {
            // What became of a plan is the one document then.
            Output::Json if !self.parts.borrow().is_empty() => return,
            Output::Json => json(),
            // What has no other form was refused by `check`.
            Output::Text | Output::Markdown | Output::Github => text(self.out),
        });
    }

    /// Returns whether something that the run writes is JSON.
    pub fn writes_json(&self) -> bool {
        let json = FileKind::Output(Output::Json);
        self.output == Output::Json || self.reports.iter().any(|report| report.kind == json)
    }

    /// Gives files what is no plan, of which there is no picture.
    pub fn file(&self, words: &str, json: impl Fn() -> String) {
        for report in &self.reports {
            match report.kind {
                FileKind::Output(Output::Json) => report.set(json()),
                FileKind::Output(Output::Text | Output::Markdown | Output::Github) => report.set(format!("{words}\n")),
                FileKind::Picture(_) => {}
            }
        }
        self.has_filed.set(true);
    }

    /// Writes a plan, with the lines of the manifest that it was made from.
    pub fn plan(&self, plan: &Plan, loaded: Option<&Loaded>, purpose: Purpose) {
        self.document(Document::Plan(plan, loaded, purpose, &[]));
    }

    /// Writes the plan of a dry run, with what was asked to be explained as far as its form has room for that.
    pub fn plan_explained(&self, plan: &Plan, loaded: &Loaded, explained: &[Explained]) {
        self.document(Document::Plan(plan, Some(loaded), Purpose::DryRun, explained));
    }

    /// Draws a plan where somebody asked for that.
    pub fn picture(&self, plan: &Plan) {
        for report in &self.reports {
            if let FileKind::Picture(format) = report.kind {
                report.set(format.draw(plan));
            }
        }
    }

    /// Writes what is wrong with manifests, or what they have.
    pub fn checked(&self, checked: &[Checked]) {
        if self.output != Output::Json {
            let bad = checked.iter().filter_map(|checked| Some((checked.found.as_ref().err()?, &checked.source)));
            bad.for_each(|(problems, source)| _ = self.say(problems, Some(source)));
        }
        self.document(Document::Checked(checked));
    }

    /// Remembers that the host was changed.
    pub fn has_applied(&self) {
        self.has_applied.set(true);
    }

    /// Writes what became of a plan.
    pub fn outcome(&self, outcome: &Outcome<'_>) {
        self.has_applied();
        self.keep_part(outcome);
        self.document(Document::Outcome(outcome));
    }

    /// Writes that there was nothing to do for a plan.
    pub fn matches(&self, plan: &Plan, loaded: Option<&Loaded>) {
        self.keep_part(&Outcome::matches(plan));
        self.document(Document::Matches(plan, loaded));
    }

    /// Forgets what became of plans, where that is not what the run ends with: its one JSON document is what follows.
    pub fn forget_outcomes(&self) {
        self.parts.borrow_mut().clear();
    }

    /// Keeps what became of a plan until the run ends, where anybody wants it as JSON: only then it is known what else came.
    fn keep_part(&self, outcome: &Outcome<'_>) {
        if self.writes_json() {
            self.parts.borrow_mut().push(Part::of(outcome));
        }
    }

    fn document(&self, document: Document<'_>) {
        let text = match (document, self.output) {
            // What is wrong was said.
            (Document::Checked(checked), Output::Text) => good(checked),
            (Document::Outcome(outcome), Output::Text) => {
                self.print_outcome(outcome);
                String::new()
            }
            _ => self.written(document, self.output, self.out),
        };
        if !text.is_empty() {
            self.print(&text);
        }
        for report in &self.reports {
            match (report.kind, document) {
                (FileKind::Output(output), _) => {
                    report.set(self.written(document, output, Style { color: false, ..self.out }));
                }
                (FileKind::Picture(format), Document::Plan(plan, ..) | Document::Matches(plan, _)) => {
                    report.set(format.draw(plan))
                }
                (FileKind::Picture(_), Document::Outcome(_) | Document::Checked(_)) => {}
            }
        }
        self.has_filed.set(true);
    }

    fn written(&self, document: Document<'_>, kind: Output, style: Style) -> String {
        match (document, kind) {
            (Document::Plan(plan, loaded, purpose, _), Output::Text) => {
                let entries = if self.verbose { ENTRIES_SHOWN } else { 0 };
                let manifest = loaded.map(Loaded::text);
                report::text::plan(plan, &report::text::Options { style, purpose, manifest, entries })
            }
            (Document::Plan(plan, loaded, _, explained), Output::Json) => {
                report::json::plan_explained(plan, loaded.map(Loaded::text), explained)
            }
            (Document::Plan(plan, loaded, purpose, _), Output::Markdown) => {
                report::markdown::plan(plan, purpose, loaded.map(Loaded::text))
            }
            (Document::Plan(plan, loaded, purpose, _), Output::Github) => {
                let path = loaded.map(|loaded| in_repository(&loaded.path)).unwrap_or_default();
                let manifest = loaded.map(|loaded| ManifestText { name: &path, text: &loaded.text });
                report::github::plan(plan, purpose, manifest)
            }
            (Document::Outcome(outcome), Output::Text) => report::outcome::text(outcome, style),
            // All of them are one document, which is written at the end.
            (Document::Outcome(_) | Document::Matches(..), Output::Json) => String::new(),
            (Document::Outcome(outcome), Output::Markdown) => report::markdown::outcome(outcome),
            (Document::Outcome(outcome), Output::Github) => report::github::outcome(outcome),
            (Document::Matches(plan, loaded), Output::Text | Output::Markdown | Output::Github) => {
                self.written(Document::Plan(plan, loaded, Purpose::Apply, &[]), kind, style)
            }
            (Document::Checked(checked), Output::Text) => problems::text(checked),
            (Document::Checked(checked), Output::Json) => problems::json(checked),
            (Document::Checked(checked), Output::Markdown) => problems::markdown(checked),
            (Document::Checked(checked), Output::Github) => {
                problems::github(checked, |file| in_repository(Path::new(file)))
            }
        }
    }

    /// Writes lines to standard output.
    pub fn print(&self, text: &str) {
        self.has_shown.set(true);
        let end = if text.ends_with('\n') { "" } else { "\n" };
        if !self.silent && self.write(text).is_continue() {
            let _ = self.write(end);
        }
    }

    /// Writes what became of a plan to standard output, part by part.
    fn print_outcome(&self, outcome: &Outcome<'_>) {
        self.has_shown.set(true);
        if !self.silent {
            // What is not taken is said in the end.
            let _ = report::outcome::parts(outcome, self.out, |part| self.write(part));
        }
    }

    /// Writes to standard output, and breaks when it takes no more. A reader that went away is no failure of ours; anything
    /// else is said in the end.
    pub fn write(&self, text: &str) -> ControlFlow<()> {
        let mut out = io::stdout().lock();
        let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else {
            return ControlFlow::Continue(());
        };
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.lost.borrow_mut().get_or_insert(error);
        }
        ControlFlow::Break(())
    }

    /// Writes problems to standard error and where reports go, and returns the exit code that they mean.
    pub fn fail(&self, problems: &Problems, source: Option<&Source>) -> Exit {
        self.report(problems, source);
        self.say(problems, source)
    }

    fn say(&self, problems: &Problems, source: Option<&Source>) -> Exit {
        let text = diag::draw(problems, source, self.err);
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

    /// Writes problems where a plan or an outcome would stand, or below it, and not to people.
    pub fn report(&self, problems: &Problems, source: Option<&Source>) {
        if problems.0.is_empty() {
            return;
        }
        self.keep(problems, source);
        problems.0.iter().for_each(|problem| self.event(Event::Problem(problem)));
        if matches!(self.output, Output::Markdown | Output::Github) {
            self.print(&trouble(problems, source, self.output, !self.has_shown.get()));
        }
        for report in &self.reports {
            match report.kind {
                FileKind::Output(Output::Json) if self.has_filed.get() => {}
                FileKind::Output(Output::Json) => {
                    let said = self.said.borrow();
                    let exit = said.iter().map(|(problems, _)| problems.exit()).max().unwrap_or(Exit::Failed);
                    report.set(problems::document(&said, exit));
                }
                FileKind::Output(kind) => report.add(&trouble(problems, source, kind, report.is_empty())),
                FileKind::Picture(_) => {}
            }
        }
    }

    /// Keeps problems for the document that stands for the one that they prevent.
    fn keep(&self, problems: &Problems, source: Option<&Source>) {
        self.said.borrow_mut().push((problems.clone(), source.cloned()));
    }
}

/// Returns the lines of manifests with which nothing is wrong.
fn good(checked: &[Checked]) -> String {
    let valid = |checked: &Checked| Some(problems::valid(&checked.file, checked.found.as_ref().ok()?));
    checked.iter().filter_map(valid).collect()
}

/// Writes problems below what stands there; a JSON document has no room for them.
fn trouble(problems: &Problems, source: Option<&Source>, kind: Output, alone: bool) -> String {
    match kind {
        Output::Text => diag::render(problems, source, false),
        Output::Json => String::new(),
        Output::Markdown if alone => report::markdown::refusal(problems, source),
        Output::Markdown => report::markdown::problems(problems, source),
        Output::Github => {
            let path = source.map(|source| in_repository(Path::new(source.name())));
            report::github::problems(problems, source.zip(path.as_deref()))
        }
    }
}

/// Returns the path that GitHub knows a file by: from the top of the repository that the workflow checked out.
fn in_repository(path: &Path) -> String {
    let workspace = std::env::var_os("GITHUB_WORKSPACE").filter(|folder| !folder.is_empty());
    let absolute = std::path::absolute(path).ok();
    let below = absolute.as_deref().zip(workspace.as_deref());
    let below = below.and_then(|(path, folder)| path.strip_prefix(folder).ok());
    below.unwrap_or(path).display().to_string()
}

/// Returns whether a variable is not there, or says nothing.
fn is_unset(name: &str) -> bool {
    std::env::var_os(name).is_none_or(|value| value.is_empty())
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
