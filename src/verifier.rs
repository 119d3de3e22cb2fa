//! What a verifier's log has to tell: the line that says why, and the source line that it is about.

use crate::insn::Unresolved;

/// The telling parts of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Telling {
    /// The last line that is neither statistics nor a state: why the program was refused.
    pub reason: Option<String>,
    /// The source line that the verifier was at, as line records have it.
    pub source: Option<String>,
    /// The last lines before the end, the reason among them.
    pub tail: Vec<String>,
}

impl Telling {
    /// Returns whether the program was refused for its license: `cannot call GPL-restricted function from non-GPL
    /// compatible program`, and the like for types (kernel/bpf/verifier.c).
    pub fn wants_gpl(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.contains("non-GPL compatible program"))
    }
}

/// How many lines of a log's end are shown.
const TAIL: usize = 12;

/// Lines with which every log ends (`print_verification_stats`, kernel/bpf/verifier.c).
const STATISTICS: &[&str] = &["processed ", "verification time", "stack depth", "max_states_per_insn"];

/// Lines that show a state, behind the line that says what is wrong with it.
const STATES: &[&str] = &[";", "cur state:", "old state:"];

/// Reads a verifier's log; `unresolved` are the instructions that the linker has made invalid.
pub fn telling(log: &str, unresolved: &[Unresolved]) -> Telling {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start)))
        .collect();
    let is_state = |line: &str| STATES.iter().any(|start| line.starts_with(start));
    let said = lines.iter().rev().find(|line| !is_state(line)).map(|line| (*line).to_owned());
    let reason = missing(&lines, unresolved).or(said);
    let source = lines.iter().rev().find_map(|line| line.strip_prefix("; ")).map(|line| line.trim().to_owned());
    let tail = lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| (*line).to_owned()).collect();
    Telling { reason, source, tail }
}

/// Returns what is missing when the verifier stopped at an unresolved instruction, which it writes as a call before it
/// complains of `invalid func`.
fn missing(lines: &[&str], unresolved: &[Unresolved]) -> Option<String> {
    let last = lines.iter().rev().find_map(|line| line.split_once(": (")?.0.parse::<usize>().ok())?;
    lines.last().filter(|line| line.contains("invalid func"))?;
    unresolved.iter().find(|known| known.insn == last).map(|known| known.what.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_and_the_source_line() {
        let log = "\
0: R1=ctx() R10=fp0
; return *(int *)data; @ bounds.bpf.c:12
2: (61) r0 = *(u32 *)(r1 +0)          ; R1_w=pkt(r=0)
invalid access to packet, off=0 size=4, R1(id=0,off=0,r=0)
R1 offset is outside of the packet
processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";
        let telling = telling(log, &[]);
        assert_eq!(telling.reason.as_deref(), Some("R1 offset is outside of the packet"));
        assert_eq!(telling.source.as_deref(), Some("return *(int *)data; @ bounds.bpf.c:12"));
        assert_eq!(telling.tail.len(), 5);
    }

    #[test]
    fn the_states_of_a_loop_are_not_the_reason() {
        let log = "\
; while (1) { @ loop.bpf.c:21
6: (05) goto pc-1
infinite loop detected at insn 6
cur state: R0=scalar(smin=smin32=-4095,smax=smax32=-1) R10=fp0
old state: R0=scalar(smin=smin32=-4095,smax=smax32=-1) R10=fp0
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";
        assert_eq!(telling(log, &[]).reason.as_deref(), Some("infinite loop detected at insn 6"));
    }

    #[test]
    fn a_missing_license_is_told() {
        let cases = [
            ("cannot call GPL-restricted function from non-GPL compatible program\n", true),
            ("Cannot access kernel 'struct net_device' from non-GPL compatible program\n", true),
            ("R0 !read_ok\n", false),
        ];
        for (log, wants) in cases {
            assert_eq!(telling(log, &[]).wants_gpl(), wants, "{log}");
        }
    }

    #[test]
    fn an_empty_log_tells_nothing() {
        assert_eq!(telling("", &[]), Telling::default());
        assert_eq!(telling("processed 0 insns\n", &[]), Telling::default());
    }

    #[test]
    fn an_unresolved_instruction_says_what_is_missing() {
        let log = "\
0: R1=ctx() R10=fp0
; return VALUE(enum e, GONE); @ gone.bpf.c:7
10: (85) call unknown#195896080
invalid func unknown#195896080
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";
        let what = "this kernel does not know the value of `enum e::GONE`".to_owned();
        for (insn, reason) in [(10, what.as_str()), (1, "invalid func unknown#195896080")] {
            let telling = telling(log, &[Unresolved { insn, what: what.clone() }]);
            assert_eq!(telling.reason.as_deref(), Some(reason));
        }
    }
}
