//! What `--output-file` and a workflow on GitHub get: the last plan or outcome, and what went wrong with it.

use super::console::Output;
use super::graph::Format;
use crate::diag::Problem;
use crate::load;
use clap::ValueEnum;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// What standard output could get.
    Output(Output),
    /// A picture of the plan.
    Picture(Format),
}

impl FileKind {
    /// Looks a kind up as the command line names it.
    fn of(name: &str) -> Result<Self, String> {
        let output = <Output as ValueEnum>::from_str(name, false).map(Self::Output);
        output.or_else(|_| <Format as ValueEnum>::from_str(name, false).map(Self::Picture))
    }
}

/// A file as the command line names it: `KIND=PATH`.
#[derive(Debug, Clone)]
pub struct OutputFile {
    /// What it gets.
    pub kind: FileKind,
    path: PathBuf,
}

/// Reads `KIND=PATH`.
pub fn output_file(text: &str) -> Result<OutputFile, String> {
    let form = || "it is KIND=PATH, where KIND is text, json, markdown, github, svg, dot or mermaid".to_owned();
    let (kind, path) = text.split_once('=').filter(|(_, path)| !path.is_empty()).ok_or_else(form)?;
    let kind = FileKind::of(kind).map_err(|_| form())?;
    Ok(OutputFile { kind, path: path.into() })
}

/// A file that gets a report when the run ends.
#[derive(Debug)]
pub struct Report {
    /// What it gets.
    pub kind: FileKind,
    path: PathBuf,
    /// Whether the file keeps what it has.
    appends: bool,
    text: RefCell<String>,
}

impl Report {
    /// Makes a report for each file, and one for the summary of a workflow's step where there is one.
    pub fn of(files: &[OutputFile], summary: Option<PathBuf>) -> Vec<Self> {
        let new = |kind, path, appends| Self { kind, path, appends, text: RefCell::default() };
        let files = files.iter().map(|file| new(file.kind, file.path.clone(), false));
        files.chain(summary.map(|path| new(FileKind::Output(Output::Markdown), path, true))).collect()
    }

    /// Returns a path that two of the files have: the second would take the place of the first.
    pub fn path_of_two(reports: &[Self]) -> Option<&Path> {
        let mut paths = BTreeSet::new();
        let written = reports.iter().filter(|report| !report.appends);
        written.map(|report| report.path.as_path()).find(|path| !paths.insert(*path))
    }

    /// Returns whether there is nothing to report so far.
    pub fn is_empty(&self) -> bool {
        self.text.borrow().is_empty()
    }

    /// Puts a plan or an outcome in the place of what was there.
    pub fn set(&self, text: String) {
        self.text.replace(text);
    }

    /// Adds what went wrong.
    pub fn add(&self, text: &str) {
        self.text.borrow_mut().push_str(text);
    }

    /// Checks before anything is done that the file can be written.
    pub fn check(&self) -> Result<(), Problem> {
        if self.appends { Ok(()) } else { load::can_store(&self.path) }
    }

    /// Writes the file, where there is something to report.
    pub fn store(&self) -> Result<(), Problem> {
        let text = self.text.borrow();
        match (text.is_empty(), self.appends) {
            (true, _) => Ok(()),
            (false, true) => load::append_report(&text, &self.path),
            (false, false) => load::store_text(&text, &self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_a_kind_and_a_path() {
        for (text, good) in [
            ("json=a.json", Some((FileKind::Output(Output::Json), "a.json"))),
            ("markdown=/tmp/a=b.md", Some((FileKind::Output(Output::Markdown), "/tmp/a=b.md"))),
            ("github=x", Some((FileKind::Output(Output::Github), "x"))),
            ("text=x", Some((FileKind::Output(Output::Text), "x"))),
            ("svg=x", Some((FileKind::Picture(Format::Svg), "x"))),
            ("dot=x.svg", Some((FileKind::Picture(Format::Dot), "x.svg"))),
            ("mermaid=x", Some((FileKind::Picture(Format::Mermaid), "x"))),
            ("png=x", None),
            ("html=x", None),
            ("JSON=x", None),
            ("json=", None),
            ("json", None),
            ("=x", None),
        ] {
            let read = output_file(text).ok();
            let read = read.as_ref().map(|file| (file.kind, file.path.to_str().unwrap_or_default()));
            assert_eq!(read, good, "{text}");
        }
    }
}
