//! Code as lines that people read: functions, the source lines that they come from, instructions; and what differs
//! between two of them.
//!
//! Pure. Lines are compared by what they say: not by their numbers, nor by how far a jump goes, so that one instruction
//! more changes one line. A jump differs when it leads elsewhere in the other code.

use super::disassemble::{self, Operand};
use super::{FuncRecord, Insn, LineRecord};
use crate::btf::{Btf, TypeId};
use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::Serialize;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Instructions with what is known of them.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// All functions, the main one first.
    pub insns: &'a [Insn],
    /// Where functions begin, by rising instruction.
    pub funcs: &'a [FuncRecord],
    /// Where source lines begin, by rising instruction.
    pub lines: &'a [LineRecord],
    /// The types that both speak of.
    pub btf: &'a Btf,
    /// Returns the name of a function by its type.
    pub function: &'a dyn Fn(TypeId) -> Option<String>,
}

/// A function as lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

/// A line of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// From here on instructions come from this line of the source.
    Source {
        /// Its number, from 1.
        number: u32,
        /// What it says, without the space around it.
        text: String,
    },
    /// An instruction.
    Insn {
        /// Its index in the program.
        index: usize,
        /// What it says.
        text: String,
        /// Index of the instruction that it jumps to.
        target: Option<usize>,
    },
    /// Anything else.
    Text(String),
}

impl Line {
    /// Returns what two lines are compared by.
    fn key(&self) -> (bool, &str) {
        match self {
            Self::Source { text, .. } => (true, text),
            Self::Insn { text, target: None, .. } | Self::Text(text) => (false, text),
            Self::Insn { text, target: Some(_), .. } => (false, text.rsplit_once(' ').map_or(text, |(key, _)| key)),
        }
    }
}

/// Writes a program as lines; `name` says what instructions name, but for its own functions.
pub fn functions(program: &Program<'_>, name: &dyn Fn(Operand) -> Option<String>) -> Vec<Function> {
    let starts: BTreeMap<usize, String> = starts(program).into_iter().collect();
    let named = |operand: Operand| match operand {
        Operand::Function(start) => starts.get(&start).cloned(),
        Operand::Helper(_)
        | Operand::KernelFunction { .. }
        | Operand::Map { .. }
        | Operand::KernelType(_)
        | Operand::Address(_) => name(operand),
    };
    let mut functions = Vec::new();
    let ends = starts.keys().skip(1).copied().chain([program.insns.len()]);
    for ((start, name), end) in starts.iter().zip(ends) {
        let lines = lines_of(program, *start..end, &named);
        functions.push(Function { name: name.clone(), lines });
    }
    functions
}

/// Returns the first instruction of each function, with its name.
fn starts(program: &Program<'_>) -> Vec<(usize, String)> {
    let named = program.funcs.iter().map(|func| {
        let start = func.insn as usize;
        (start, (program.function)(func.type_id).unwrap_or_else(|| format!("function at {start}")))
    });
    let mut starts: Vec<_> = named.filter(|(start, _)| *start < program.insns.len()).collect();
    if starts.first().is_none_or(|(start, _)| *start != 0) {
        starts.insert(0, (0, "program".to_owned()));
    }
    starts
}

fn lines_of(
    program: &Program<'_>,
    range: std::ops::Range<usize>,
    name: &dyn Fn(Operand) -> Option<String>,
) -> Vec<Line> {
    let mut records = records(program, &range).peekable();
    let mut lines = Vec::with_capacity(range.len());
    let (mut last, mut at) = (None, range.start);
    while at < range.end {
        while let Some(record) = records.next_if(|record| record.insn as usize <= at) {
            let place = (record.file, record.place.line());
            if last.replace(place) != Some(place) {
                lines.extend(source(program, record));
            }
        }
        let insn = program.insns[at];
        let target = disassemble::jump_target(at, insn).and_then(|target| usize::try_from(target).ok());
        lines.push(Line::Insn { index: at, text: disassemble::text(program.insns, at, name), target });
        at += if insn.is_ld_imm64() { 2 } else { 1 };
    }
    lines
}

fn records<'a>(program: &Program<'a>, range: &std::ops::Range<usize>) -> impl Iterator<Item = &'a LineRecord> {
    let before = |at: usize| program.lines.partition_point(|record| (record.insn as usize) < at);
    let (start, end) = (before(range.start), before(range.end));
    program.lines[start.min(end)..end].iter()
}

fn source(program: &Program<'_>, record: &LineRecord) -> Option<Line> {
    let text = program.btf.text(record.text).map(str::trim).filter(|text| !text.is_empty())?;
    Some(Line::Source { number: record.place.line(), text: text.to_owned() })
}

/// Writes the source lines that have code, of each function: each once, by file and number.
///
/// This is what two programs have in common of which one went through the verifier, which writes instructions anew.
pub fn sources(program: &Program<'_>) -> Vec<Function> {
    let starts = starts(program);
    let ends: Vec<usize> = starts.iter().skip(1).map(|(start, _)| *start).chain([program.insns.len()]).collect();
    let functions = starts.into_iter().zip(ends).map(|((start, name), end)| {
        let mut seen = BTreeSet::new();
        let mut found: Vec<_> = records(program, &(start..end))
            .filter(|record| seen.insert((record.file, record.place.line())))
            .filter_map(|record| Some((program.btf.text(record.file), record.place.line(), source(program, record)?)))
            .collect();
        found.sort_by_key(|(file, number, _)| (*file, *number));
        Function { name, lines: found.into_iter().map(|(_, _, line)| line).collect() }
    });
    functions.collect()
}

/// Whose a line of a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Sign {
    /// Both have it.
    #[serde(rename = " ")]
    Both,
    /// Only what runs has it.
    #[serde(rename = "-")]
    Old,
    /// Only what comes has it.
    #[serde(rename = "+")]
    New,
    /// Lines that both have stand here, and are left out.
    #[serde(rename = "...")]
    Skipped,
}

/// A line of a comparison, or of a listing, which has only one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Shown {
    /// Whose it is.
    pub sign: Sign,
    /// The index of the instruction; of a line that both have, in what comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn: Option<usize>,
    /// The number of the source line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What it says; of lines that are left out, how many.
    pub text: String,
}

impl Shown {
    /// Writes a line of a function.
    pub fn of(sign: Sign, line: &Line) -> Self {
        match line {
            Line::Source { number, text } => Self { sign, insn: None, line: Some(*number), text: text.clone() },
            Line::Insn { index, text, .. } => Self { sign, insn: Some(*index), line: None, text: text.clone() },
            Line::Text(text) => Self { sign, insn: None, line: None, text: text.clone() },
        }
    }

    fn skipped(lines: usize) -> Self {
        Self { sign: Sign::Skipped, insn: None, line: None, text: lines.to_string() }
    }
}

/// What becomes of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Only what comes has it.
    Added,
    /// Only what runs has it.
    Removed,
    /// Some of its lines are others.
    Changed,
    /// It is written out, and compared with nothing.
    Listed,
}

/// What differs of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changed {
    /// Its name.
    pub function: String,
    /// What becomes of it.
    pub fate: Fate,
    /// The lines that differ, with some around them.
    pub lines: Vec<Shown>,
}

/// Lines around those that differ.
const AROUND: usize = 3;
/// When the search for the least difference ends: what is found then is right, and maybe longer than it has to be.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the functions that differ, by name: those of `new` in their order, then those that only `old` has. Of several
/// with one name, as static functions of files that were linked together have, the first meets the first, and so on.
pub fn compare(old: &[Function], new: &[Function]) -> Vec<Changed> {
    let (old, new) = (numbered(old), numbered(new));
    let whole = |function: &Function, sign, fate| Changed {
        function: function.name.clone(),
        fate,
        lines: function.lines.iter().map(|line| Shown::of(sign, line)).collect(),
    };
    let mut changed = Vec::new();
    let known: BTreeMap<_, _> = old.iter().copied().collect();
    for (key, function) in &new {
        match known.get(key) {
            Some(was) => {
                let lines = unified(&was.lines, &function.lines);
                if !lines.is_empty() {
                    changed.push(Changed { function: function.name.clone(), fate: Fate::Changed, lines });
                }
            }
            None => changed.push(whole(function, Sign::New, Fate::Added)),
        }
    }
    let stays: BTreeSet<_> = new.into_iter().map(|(key, _)| key).collect();
    let gone = old.iter().filter(|(key, _)| !stays.contains(key));
    changed.extend(gone.map(|(_, function)| whole(function, Sign::Old, Fate::Removed)));
    changed
}

/// Numbers the functions that have one name.
fn numbered(functions: &[Function]) -> Vec<((&str, usize), &Function)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut number = |name| {
        let count = seen.entry(name).or_default();
        *count += 1;
        *count
    };
    functions.iter().map(|function| ((&*function.name, number(&function.name)), function)).collect()
}

/// Writes functions out.
pub fn list(functions: &[Function]) -> Vec<Changed> {
    let listed = |function: &Function| Changed {
        function: function.name.clone(),
        fate: Fate::Listed,
        lines: function.lines.iter().map(|line| Shown::of(Sign::Both, line)).collect(),
    };
    functions.iter().map(listed).collect()
}

/// Compares two texts line by line; nothing when they are the same.
pub fn texts(old: &str, new: &str) -> Vec<Shown> {
    let lines = |text: &str| -> Vec<Line> { text.lines().map(|text| Line::Text(text.to_owned())).collect() };
    unified(&lines(old), &lines(new))
}

/// Writes a text out, to stand beside those that are compared.
pub fn plain(text: &str) -> Vec<Shown> {
    text.lines().map(|text| Shown::of(Sign::Both, &Line::Text(text.to_owned()))).collect()
}

/// Returns the lines that differ with some around them; nothing when none does.
fn unified(old: &[Line], new: &[Line]) -> Vec<Shown> {
    let all = aligned(old, new);
    let mut near = vec![false; all.len()];
    for (at, _) in all.iter().enumerate().filter(|(_, shown)| shown.sign != Sign::Both) {
        let end = (at + AROUND + 1).min(all.len());
        near[at.saturating_sub(AROUND)..end].fill(true);
    }
    if !near.contains(&true) {
        return Vec::new();
    }
    let mut shown = Vec::new();
    let mut skipped = 0;
    for (line, near) in all.into_iter().zip(near) {
        if near {
            if skipped > 0 {
                shown.push(Shown::skipped(std::mem::take(&mut skipped)));
            }
            shown.push(line);
        } else {
            skipped += 1;
        }
    }
    if skipped > 0 {
        shown.push(Shown::skipped(skipped));
    }
    shown
}

/// Puts the lines of both sides into one list.
fn aligned(old: &[Line], new: &[Line]) -> Vec<Shown> {
    let keys = |lines: &'_ [Line]| -> Vec<(bool, String)> {
        lines.iter().map(|line| (line.key().0, line.key().1.to_owned())).collect()
    };
    let deadline = Some(Instant::now() + PATIENCE);
    let operations = capture_diff_slices_deadline(Algorithm::Myers, &keys(old), &keys(new), deadline);
    let targets = Targets::of(&operations, old, new);
    let mut all = Vec::with_capacity(new.len());
    for operation in &operations {
        let (old_range, new_range) = (operation.old_range(), operation.new_range());
        if !matches!(operation, DiffOp::Equal { .. }) {
            all.extend(old[old_range].iter().map(|line| Shown::of(Sign::Old, line)));
            all.extend(new[new_range].iter().map(|line| Shown::of(Sign::New, line)));
            continue;
        }
        for (was, is) in old[old_range].iter().zip(&new[new_range]) {
            if targets.agree(was, is) {
                all.push(Shown::of(Sign::Both, is));
            } else {
                all.extend([Shown::of(Sign::Old, was), Shown::of(Sign::New, is)]);
            }
        }
    }
    all
}

/// Where instructions stand in a comparison, for jumps to them.
struct Targets {
    old: HashMap<usize, Spot>,
    new: HashMap<usize, Spot>,
}

/// A line that both have, by its number in what comes; or lines that differ, by the number of their comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spot {
    Both(usize),
    Differs(usize),
}

impl Targets {
    fn of(operations: &[DiffOp], old: &[Line], new: &[Line]) -> Self {
        let (mut olds, mut news) = (HashMap::new(), HashMap::new());
        let put = |spots: &mut HashMap<usize, Spot>, lines: &[Line], spot: &dyn Fn(usize) -> Spot| {
            for (at, line) in lines.iter().enumerate() {
                if let Line::Insn { index, .. } = line {
                    spots.insert(*index, spot(at));
                }
            }
        };
        for (number, operation) in operations.iter().enumerate() {
            let (old_range, new_range) = (operation.old_range(), operation.new_range());
            let is_equal = matches!(operation, DiffOp::Equal { .. });
            let start = new_range.start;
            let spot = |at: usize| if is_equal { Spot::Both(start + at) } else { Spot::Differs(number) };
            put(&mut olds, &old[old_range], &spot);
            put(&mut news, &new[new_range], &spot);
        }
        Self { old: olds, new: news }
    }

    /// Returns whether two lines that say the same lead to the same, as far as they lead anywhere.
    fn agree(&self, old: &Line, new: &Line) -> bool {
        match (old, new) {
            (Line::Insn { target: Some(old), .. }, Line::Insn { target: Some(new), .. }) => {
                self.old.get(old) == self.new.get(new)
            }
            (Line::Insn { .. } | Line::Source { .. } | Line::Text(_), _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes lines: `; text` is a source line, `text @N` jumps to instruction N.
    fn lines(texts: &[&str]) -> Vec<Line> {
        let mut index = 0;
        let line = |text: &&str| match (text.strip_prefix("; "), text.split_once(" @")) {
            (Some(text), _) => Line::Source { number: 7, text: text.to_owned() },
            (None, target) => {
                index += 1;
                let target = target.map(|(_, target)| target.parse().expect("a number"));
                Line::Insn { index: index - 1, text: (*text).to_owned(), target }
            }
        };
        texts.iter().map(line).collect()
    }

    #[track_caller]
    fn check(old: &[&str], new: &[&str], expected: &[&str]) {
        let drawn: Vec<String> = unified(&lines(old), &lines(new))
            .iter()
            .map(|shown| match shown.sign {
                Sign::Both => format!(" {}", shown.text),
                Sign::Old => format!("-{}", shown.text),
                Sign::New => format!("+{}", shown.text),
                Sign::Skipped => format!("... {}", shown.text),
            })
            .collect();
        assert_eq!(drawn, expected);
    }

    #[test]
    fn what_differs_is_shown_with_lines_around_it() {
        check(&["a", "b"], &["a", "b"], &[]);
        let old = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let new = ["1", "2", "3", "4", "five", "6", "7", "8", "9"];
        check(&old, &new, &["... 1", " 2", " 3", " 4", "-5", "+five", " 6", " 7", " 8", "... 1"]);
    }

    #[test]
    fn one_instruction_more_does_not_change_the_jumps_around_it() {
        let old = ["; if (x)", "if @3", "a", "b", "exit"];
        check(
            &old,
            &["; if (x)", "if @4", "a", "new", "b", "exit"],
            &[" if (x)", " if @4", " a", "+new", " b", " exit"],
        );
        // What it jumps to is another instruction in its place.
        check(&old, &["; if (x)", "if @3", "a", "b", "return"], &["... 1", " if @3", " a", " b", "-exit", "+return"]);
    }

    #[test]
    fn a_jump_that_leads_elsewhere_differs() {
        check(&["if @2", "a", "b", "exit"], &["if @3", "a", "b", "exit"], &["-if @2", "+if @3", " a", " b", " exit"]);
    }

    #[test]
    fn functions_are_found_by_name() {
        let function = |name: &str, texts: &[&str]| Function { name: name.to_owned(), lines: lines(texts) };
        let old = [function("main", &["a"]), function("gone", &["b"])];
        let new = [function("main", &["a"]), function("new", &["c"])];
        let fates: Vec<_> = compare(&old, &new).into_iter().map(|changed| (changed.function, changed.fate)).collect();
        assert_eq!(fates, [("new".to_owned(), Fate::Added), ("gone".to_owned(), Fate::Removed)]);
    }
}
