//! Every problem as a kind, places in a source text, and help; and the exit codes that problems mean.
//!
//! One [`Kind`] for each thing that can be wrong. Text is lower case, without a full stop, names in backticks.

use crate::desired::Span;
use crate::elf;
use crate::names::{NameError, PinPath};
use crate::plan::Consent;
use crate::record::RecordError;
use miette::{LabeledSpan, NamedSource, Severity};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Exit codes of the command (DESIGN §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// The host matches.
    Success = 0,
    /// Failed; the host is as it was before.
    Failed = 1,
    /// With `--check`: changes or drift pending.
    Pending = 2,
    /// Failed, and the host is not as it was before.
    Broken = 3,
    /// Consent needed; nothing was done.
    Consent = 4,
    /// Wrong arguments.
    Usage = 64,
    /// A bad manifest or object.
    Data = 65,
    /// This kernel lacks something.
    Unavailable = 69,
    /// Locked, or the plan is stale: try again.
    Retry = 75,
    /// No permission.
    Permission = 77,
}

/// A place in the manifest with what is to say there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Bytes of the source text.
    pub span: Span,
    /// What is to say there.
    pub text: String,
}

/// Something wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is wrong.
    pub kind: Kind,
    /// Where: the first is the main place.
    pub labels: Vec<Label>,
}

impl Problem {
    /// Makes a problem of the whole run.
    pub fn new(kind: Kind) -> Self {
        Self { kind, labels: Vec::new() }
    }

    /// Makes a problem at a place.
    pub fn at(kind: Kind, span: Span, text: impl Into<String>) -> Self {
        Self::new(kind).and(span, text)
    }

    /// Adds a place.
    #[must_use]
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }
}

/// Every problem of one stage. Never empty when it is an error.
#[derive(Debug, Clone, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Returns the value when nothing was wrong, else the problems in the order of their places.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|problem| problem.labels.first().map_or(usize::MAX, |label| label.span.start));
        Err(self)
    }

    /// Returns the exit code that the problems mean together: the most particular one.
    pub fn exit(&self) -> Exit {
        self.0.iter().map(|problem| problem.kind.exit()).max().unwrap_or(Exit::Failed)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// Everything that can be wrong.
#[derive(Debug, Clone)]
pub enum Kind {
    // The manifest's text.
    /// The text is not TOML, or a value has a wrong type.
    Syntax(String),
    /// A key that the language does not have.
    UnknownKey {
        /// The key.
        key: String,
        /// A key that it may have meant.
        similar: Option<String>,
    },
    /// A key or value that the language has, and this version does not do yet.
    NotYet {
        /// The key or value.
        what: String,
    },
    /// A text that is not a name.
    BadName {
        /// The text.
        text: String,
        /// Why.
        why: NameError,
    },

    // The object files.
    /// An object file cannot be read.
    UnreadableFile {
        /// Its path.
        path: String,
        /// The error of the system.
        why: String,
    },
    /// An object file is broken, or needs what we cannot do.
    Object {
        /// Its path.
        path: String,
        /// What is wrong in it.
        error: elf::Error,
    },

    // The host.
    /// The kernel refused a command.
    Kernel {
        /// What we were about to do, for example "create `map.flows`".
        doing: String,
        /// `errno`.
        errno: i32,
        /// A hint, where we know one.
        hint: Option<String>,
    },
    /// Something has the pin that is not what we want there.
    PinTaken {
        /// The pin.
        pin: PinPath,
        /// What is there.
        by: String,
    },
    /// The record of the deployment cannot be used.
    Record {
        /// Its pin.
        pin: PinPath,
        /// Why.
        why: RecordError,
    },
    /// Consent is missing.
    ConsentNeeded {
        /// Which.
        needs: BTreeSet<Consent>,
    },
}

impl Kind {
    /// Returns the code of the kind: stable, for searching and scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "manifest::syntax",
            Self::UnknownKey { .. } => "manifest::unknown_key",
            Self::NotYet { .. } => "manifest::not_yet",
            Self::BadName { .. } => "manifest::bad_name",
            Self::UnreadableFile { .. } => "object::unreadable",
            Self::Object { .. } => "object::invalid",
            Self::Kernel { .. } => "kernel::refused",
            Self::PinTaken { .. } => "host::pin_taken",
            Self::Record { .. } => "host::record",
            Self::ConsentNeeded { .. } => "plan::consent",
        }
    }

    /// Returns what to do, where we know the way out.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Syntax(_) | Self::BadName { .. } | Self::UnreadableFile { .. } => None,
            Self::UnknownKey { similar, .. } => similar.as_ref().map(|name| format!("did you mean `{name}`?")),
            Self::NotYet { .. } => Some("take it out, or wait for a version that has it".to_owned()),
            Self::Object { error, .. } => error.help.clone(),
            Self::Kernel { hint, .. } => hint.clone(),
            Self::PinTaken { pin, .. } => Some(format!("give ours another pin, or remove what is at `{pin}`")),
            Self::Record { why: RecordError::Newer(_), .. } => {
                Some("use the version that wrote it, or a newer one".to_owned())
            }
            Self::Record { why: RecordError::Unreadable(_), .. } => None,
            Self::ConsentNeeded { needs } => {
                let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
                Some(format!("run it again with `--allow {}`", names.join(",")))
            }
        }
    }

    /// Returns the exit code that the kind means.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Syntax(_)
            | Self::UnknownKey { .. }
            | Self::NotYet { .. }
            | Self::BadName { .. }
            | Self::UnreadableFile { .. }
            | Self::Object { .. } => Exit::Data,
            Self::Kernel { errno: libc::EPERM | libc::EACCES, .. } => Exit::Permission,
            Self::Kernel { .. } | Self::PinTaken { .. } | Self::Record { .. } => Exit::Failed,
            Self::ConsentNeeded { .. } => Exit::Consent,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) => f.write_str(what),
            Self::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Self::NotYet { what } => write!(f, "{what} is not supported yet"),
            Self::BadName { text, why } => write!(f, "`{}` is not a name: {why}", text.escape_debug()),
            Self::UnreadableFile { path, why } => write!(f, "cannot read `{path}`: {why}"),
            Self::Object { path, error } => write!(f, "{error}, of `{path}`"),
            Self::Kernel { doing, errno, .. } => {
                write!(f, "cannot {doing}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::PinTaken { pin, by } => write!(f, "the pin `{pin}` is taken by {by}"),
            Self::Record { pin, why: RecordError::Unreadable(why) } => {
                write!(f, "what is pinned at `{pin}` is no record: {why}")
            }
            Self::Record { pin, why: RecordError::Newer(format) } => {
                write!(f, "the record at `{pin}` has format {format}, which is newer than this version")
            }
            Self::ConsentNeeded { needs } => {
                let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
                write!(f, "this plan needs consent to: {}", names.join(", "))
            }
        }
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gap => "gap",
            Self::LoseState => "lose-state",
            Self::Prune => "prune",
            Self::Takeover => "takeover",
        })
    }
}

/// The text that spans point into.
#[derive(Debug, Clone)]
pub struct Source(Arc<NamedSource<String>>);

impl Source {
    /// Makes a source of a file's name and its text.
    pub fn new(name: &str, text: &str) -> Self {
        Self(Arc::new(NamedSource::new(name, text.to_owned()).with_language("toml")))
    }
}

/// A problem with its source, as miette draws it.
#[derive(Debug)]
struct Drawn<'a> {
    problem: &'a Problem,
    source: Option<&'a Source>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.kind.fmt(f)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.kind.code()))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.kind.help().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.map(|source| &*source.0 as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.problem.labels.iter().enumerate().map(|(i, label)| {
            let (text, start, len) = (label.text.clone(), label.span.start, label.span.len());
            match i {
                0 => LabeledSpan::new_primary_with_span(Some(text), (start, len)),
                _ => LabeledSpan::new(Some(text), start, len),
            }
        });
        self.source.map(|_| Box::new(labels) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// Draws every problem, one after the other; with `color` also in Unicode.
pub fn render(problems: &Problems, source: Option<&Source>, color: bool) -> String {
    let theme = match color {
        true => miette::GraphicalTheme::unicode(),
        false => miette::GraphicalTheme::ascii(),
    };
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
    let mut out = String::new();
    for problem in &problems.0 {
        let drawn = Drawn { problem, source };
        handler.render_report(&mut out, &drawn).expect("writing to a String never fails");
    }
    out
}
