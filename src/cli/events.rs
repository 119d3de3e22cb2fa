//! The stream of events that `--events` writes while an apply is under way.

use crate::report::events::{self, Event};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where events go. Whatever goes wrong with them is said once, and keeps nothing from being applied.
pub struct Events {
    out: RefCell<Option<Box<dyn Write>>>,
    lines: Cell<u64>,
}

impl Events {
    /// Opens a file for events, or with `-` standard output.
    pub fn open(path: Option<&Path>) -> Self {
        let out: Option<Box<dyn Write>> = match path {
            None => None,
            Some(path) if path == Path::new("-") => Some(Box::new(io::stdout())),
            Some(path) => File::create(path).inspect_err(|error| no_events(path, error)).ok().map(boxed),
        };
        Self { out: RefCell::new(out), lines: Cell::new(0) }
    }

    /// Returns whether anybody wants to have them.
    pub fn are_wanted(&self) -> bool {
        self.out.borrow().is_some()
    }

    /// Writes an event at once, so that whoever reads along sees it.
    pub fn write(&self, event: Event<'_>) {
        let mut out = self.out.borrow_mut();
        let Some(writer) = out.as_mut() else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seq = self.lines.replace(self.lines.get() + 1);
        let line = events::line(event, seq, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        if let Err(error) = writer.write_all(line.as_bytes()).and_then(|()| writer.flush()) {
            *out = None;
            eprintln!("no more events are written: {error}");
        }
    }
}

fn boxed(file: File) -> Box<dyn Write> {
    Box::new(file)
}

fn no_events(path: &Path, error: &io::Error) {
    eprintln!("no events are written: `{}`: {error}", path.display());
}
