//! The stream of events that `--events` writes while an apply is under way.

use super::console::note;
use crate::report::events::{self, Event};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where events go. Whatever goes wrong with them is said once, and keeps nothing from being applied.
pub struct Events {
    out: RefCell<Out>,
    lines: Cell<u64>,
}

enum Out {
    /// Nobody wants to have events.
    Unwanted,
    /// A file that is opened for the first event: a command that is refused leaves it alone.
    Unopened(PathBuf),
    Open(Box<dyn Write>),
    /// It took no more.
    Failed,
}

impl Out {
    /// Returns where to write, if there is such a place.
    fn writer(&mut self) -> Option<&mut dyn Write> {
        if let Self::Unopened(path) = self {
            *self = match File::create(&*path) {
                Ok(file) => Self::Open(Box::new(file)),
                Err(error) => {
                    note(&format!("no events are written: `{}`: {error}", path.display()));
                    Self::Failed
                }
            };
        }
        match self {
            Self::Open(writer) => Some(&mut **writer),
            Self::Unwanted | Self::Unopened(_) | Self::Failed => None,
        }
    }
}

impl Events {
    /// Takes the file for events, or with `-` standard output.
    pub fn new(path: Option<&Path>) -> Self {
        let out = match path {
            None => Out::Unwanted,
            Some(path) if path == Path::new("-") => Out::Open(Box::new(io::stdout())),
            Some(path) => Out::Unopened(path.to_owned()),
        };
        Self { out: RefCell::new(out), lines: Cell::new(0) }
    }

    /// Returns whether anybody wants to have them.
    pub fn are_wanted(&self) -> bool {
        !matches!(*self.out.borrow(), Out::Unwanted)
    }

    /// Writes an event at once, so that whoever reads along sees it.
    pub fn write(&self, event: Event<'_>) {
        let mut out = self.out.borrow_mut();
        let Some(writer) = out.writer() else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seq = self.lines.replace(self.lines.get() + 1);
        let line = events::line(event, seq, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        if let Err(error) = writer.write_all(line.as_bytes()).and_then(|()| writer.flush()) {
            *out = Out::Failed;
            note(&format!("no more events are written: {error}"));
        }
    }
}
