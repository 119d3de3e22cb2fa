//! What programs make of captured packets, before a change and after it. Pure data.

use crate::kinds::ProgramType;
use crate::names::ProgramName;
use std::collections::BTreeMap;

/// How many packets of each kind of change are shown.
pub const SHOWN: usize = 3;

/// A capture that was run through the programs of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The file, as it was named.
    pub capture: String,
    /// How many packets it has.
    pub packets: usize,
    /// The manifest as it was before, where one was named.
    pub before: Option<String>,
    /// The programs that links run, of the types that get packets.
    pub programs: BTreeMap<ProgramName, Replayed>,
}

/// What one program makes of the packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its type.
    pub program_type: ProgramType,
    /// How many packets get each verdict; `None` for those that the kernel did not give to it, as they are too short or of
    /// another protocol.
    pub after: Verdicts,
    /// The same before the change; `None` when there is nothing to compare with.
    pub before: Option<Verdicts>,
    /// The packets that get another verdict, by both verdicts.
    pub changes: BTreeMap<(Option<u32>, Option<u32>), Changed>,
}

/// How many packets get each verdict.
pub type Verdicts = BTreeMap<Option<u32>, usize>;

/// Packets that get another verdict than before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// How many.
    pub count: usize,
    /// The first ones: their numbers in the capture, from 1, and what they are.
    pub first: Vec<(usize, String)>,
}

impl Replay {
    /// Returns how many verdicts are other ones than before, of all programs together.
    pub fn changed(&self) -> usize {
        let changes = self.programs.values().flat_map(|replayed| replayed.changes.values());
        changes.map(|changed| changed.count).sum()
    }
}

/// Counts verdicts.
pub fn counted(verdicts: &[Option<u32>]) -> Verdicts {
    let mut counts = Verdicts::new();
    verdicts.iter().for_each(|verdict| *counts.entry(*verdict).or_default() += 1);
    counts
}

/// Finds the packets whose verdicts differ; `summary` says what a packet is, by its place.
pub fn changes(
    before: &[Option<u32>],
    after: &[Option<u32>],
    summary: impl Fn(usize) -> String,
) -> BTreeMap<(Option<u32>, Option<u32>), Changed> {
    let mut changes = BTreeMap::<_, Changed>::new();
    for (at, (before, after)) in before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after) {
        let changed = changes.entry((*before, *after)).or_default();
        changed.count += 1;
        if changed.first.len() < SHOWN {
            changed.first.push((at + 1, summary(at)));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_by_both_verdicts() {
        let before = [Some(2), Some(2), Some(1), None, Some(2), Some(2), Some(2)];
        let after = [Some(1), Some(2), Some(1), Some(2), Some(1), Some(1), Some(1)];
        let found = changes(&before, &after, |at| format!("p{at}"));
        let shown: Vec<_> = found.iter().map(|(of, it)| (*of, it.count, it.first.len())).collect();
        assert_eq!(shown, [((None, Some(2)), 1, 1), ((Some(2), Some(1)), 4, SHOWN)]);
        assert_eq!(found[&(Some(2), Some(1))].first[1], (5, "p4".to_owned()));
        assert_eq!(counted(&before), Verdicts::from([(None, 1), (Some(1), 1), (Some(2), 5)]));
    }
}
