//! How a refusal reads: what is known of it first, then the way through the source, the state, and the end of the log.

use super::{SourceLine, Telling};
use std::fmt;

/// How many lines of a log's end are shown where there is something better to show.
const SHORT_TAIL: usize = 6;

impl fmt::Display for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hint) = self.hint {
            writeln!(f, "{}\n{}\n", hint.means, hint.way_out)?;
        }
        self.write_way(f)?;
        let most = if self.hint.is_some() { SHORT_TAIL } else { self.tail.len() };
        write!(f, "the log ends (all of it with -v):")?;
        self.tail[self.tail.len().saturating_sub(most)..].iter().try_for_each(|line| write!(f, "\n  {line}"))?;
        self.hint.iter().try_for_each(|hint| write!(f, "\nmore: `bpfapply explain {}`", hint.code))
    }
}

impl Telling {
    /// Writes the lines of the source that lead to the refusal, the last of them marked, and the state there.
    fn write_way(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((last, before)) = self.way.split_last() else { return Ok(()) };
        let shown = self.taken.iter().filter(|taken| !self.way.contains(taken)).chain(before);
        let all: Vec<(char, &SourceLine)> = shown.map(|line| (' ', line)).chain([('>', last)]).collect();
        let place = |line: &SourceLine| line.place.clone().unwrap_or_default();
        let width = all.iter().map(|(_, line)| place(line).chars().count()).max().unwrap_or(0);
        for (mark, line) in all {
            let taken = if self.taken.as_ref() == Some(line) { "    <- taken here" } else { "" };
            writeln!(f, "{mark} {:width$}  {}{taken}", place(line), line.text)?;
        }
        self.registers.iter().try_for_each(|state| writeln!(f, "  {:width$}  {state}", ""))?;
        writeln!(f)
    }
}
