//! Every problem as a kind, places in a source text, and help; and the exit codes that problems mean.
//!
//! One [`Kind`] for each thing that can be wrong. Text is lower case, without a full stop, names in backticks.
//!
//! - `kind`: what can be wrong, with its code
//! - `words`: what each says
//! - `help`: what to do about it
//! - `exits`: which exit code it means
//! - `draw`: all of it as people read it
//! - [`explain`]: each at length

mod draw;
mod exits;
pub mod explain;
mod help;
mod kind;
mod words;

use crate::desired::Span;
use std::collections::BTreeMap;

pub use draw::{Look, Source, draw, render};
pub use exits::Exit;
pub use help::{OPEN_FILES, PRIVILEGES};
pub use kind::{Faults, Kind, LockHolder, Size, named_holder};

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
    /// What is wrong; boxed, since problems are returned from many places and seldom.
    pub kind: Box<Kind>,
    /// Where: the first is the main place.
    pub labels: Vec<Label>,
}

impl Problem {
    /// Makes a problem of the whole run.
    pub fn new(kind: Kind) -> Self {
        Self { kind: Box::new(kind), labels: Vec::new() }
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

    /// Returns the error and the way out where they are those of the whole run, whatever it was about to do.
    fn shared_reason(&self) -> Option<(i32, Option<String>)> {
        let Kind::Kernel { errno, hint, .. } = &*self.kind else { return None };
        let is_shared = matches!(*errno, libc::EPERM | libc::EACCES | libc::EROFS) && self.labels.is_empty();
        is_shared.then(|| (*errno, hint.clone()))
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

    /// Says once what is refused of many things for a reason that they share, as a permission: of the first, and of how
    /// many more.
    fn gather(&mut self) {
        let mut more: BTreeMap<(i32, Option<String>), usize> = BTreeMap::new();
        self.0.retain(|problem| {
            let Some(reason) = problem.shared_reason() else { return true };
            let is_first = !more.contains_key(&reason);
            more.entry(reason).and_modify(|more| *more += 1).or_default();
            is_first
        });
        for problem in &mut self.0 {
            let more = problem.shared_reason().and_then(|reason| more.remove(&reason)).filter(|more| *more > 0);
            if let (Some(more), Kind::Kernel { doing, .. }) = (more, &mut *problem.kind) {
                *doing += &format!(", nor {more} more alike");
            }
        }
    }

    /// Returns the value when nothing was wrong, else the problems in the order of their places.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.gather();
        self.0.sort_by_key(|problem| problem.labels.first().map_or(usize::MAX, |label| label.span.start));
        Err(self)
    }

    /// Returns the exit code that the problems mean together: that the host is not as before, or else the most particular
    /// one.
    pub fn exit(&self) -> Exit {
        let exits = self.0.iter().map(|problem| problem.kind.exit());
        exits.max_by_key(|exit| (*exit == Exit::Broken, *exit)).unwrap_or(Exit::Failed)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// Returns the name that `text` may have meant: one edit for each three letters, the nearest first.
pub fn similar<S: AsRef<str>>(text: &str, names: impl IntoIterator<Item = S>) -> Option<String> {
    // Long texts are no slips of the finger, and the distance costs their product.
    if text.len() > 128 {
        return None;
    }
    let wanted = text.to_lowercase();
    let near = names.into_iter().filter_map(|name| {
        let distance = strsim::damerau_levenshtein(&wanted, &name.as_ref().to_lowercase());
        let allowed = name.as_ref().chars().count().max(3) / 3;
        (distance <= allowed).then(|| (distance, name.as_ref().to_owned()))
    });
    near.min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names() {
        let names = ["path", "pin_root", "max_entries", "id"];
        let cases = [
            ("pth", Some("path")),
            ("PATH", Some("path")),
            ("paht", Some("path")),
            ("max_entires", Some("max_entries")),
            ("pinroot", Some("pin_root")),
            ("di", Some("id")),
            ("entries", None),
            ("x", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(similar(text, names).as_deref(), wanted, "{text}");
        }
        assert_eq!(similar(&"x".repeat(1 << 20), names), None);
        assert_eq!(similar("b", ["c", "a"]).as_deref(), Some("a"), "ties go by name");
    }
}
