//! What a verifier's log has to tell: the line that says why, and the source line that it is about.

/// The telling parts of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Telling {
    /// The last line that is no statistics: why the program was refused.
    pub reason: Option<String>,
    /// The source line that the verifier was at, as line records have it.
    pub source: Option<String>,
    /// The last lines before the end, the reason among them.
    pub tail: Vec<String>,
}

/// How many lines of a log's end are shown.
const TAIL: usize = 12;

/// Lines with which every log ends (`print_verification_stats`, kernel/bpf/verifier.c).
const STATISTICS: &[&str] = &["processed ", "verification time", "stack depth", "max_states_per_insn"];

/// Reads a verifier's log.
pub fn telling(log: &str) -> Telling {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start)))
        .collect();
    let reason = lines.iter().rev().find(|line| !line.starts_with(';')).map(|line| (*line).to_owned());
    let source = lines.iter().rev().find_map(|line| line.strip_prefix("; ")).map(|line| line.trim().to_owned());
    let tail = lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| (*line).to_owned()).collect();
    Telling { reason, source, tail }
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
        let telling = telling(log);
        assert_eq!(telling.reason.as_deref(), Some("R1 offset is outside of the packet"));
        assert_eq!(telling.source.as_deref(), Some("return *(int *)data; @ bounds.bpf.c:12"));
        assert_eq!(telling.tail.len(), 5);
    }

    #[test]
    fn an_empty_log_tells_nothing() {
        assert_eq!(telling(""), Telling::default());
        assert_eq!(telling("processed 0 insns\n"), Telling::default());
    }
}
