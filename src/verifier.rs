//! What a verifier's log has to tell: the line that says why, the way through the source to it, the state that it is
//! about, and what is known of such a refusal.

pub mod hints;
mod words;

use crate::insn::Unresolved;
use hints::Hint;

/// The telling parts of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Telling {
    /// The last line that is neither statistics nor a state: why the program was refused.
    pub reason: Option<String>,
    /// The source line that the verifier was at, as line records have it.
    pub source: Option<String>,
    /// The last source lines on the way there, the one where the program was refused last. Not more than a few.
    pub way: Vec<SourceLine>,
    /// Where that was taken which is not given back.
    pub taken: Option<SourceLine>,
    /// The last state of each register that the refusal is about, as `R0=map_value_or_null(id=1,map=counts,ks=4,vs=8)`.
    pub registers: Vec<String>,
    /// What is known of such a refusal.
    pub hint: Option<&'static Hint>,
    /// The last lines before the end, the reason among them.
    pub tail: Vec<String>,
}

/// A line of a program's source, as a line record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    /// What stands there, without the space around it.
    pub text: String,
    /// `FILE:LINE`, which kernels before 6.8 do not write.
    pub place: Option<String>,
}

/// How many lines of a log's end are shown.
const TAIL: usize = 12;

/// How many lines of the source are shown before the one that is refused.
const BEFORE: usize = 3;

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
    let missing = missing(&lines, unresolved);
    // What is missing says it all.
    let hint = said.as_deref().filter(|_| missing.is_none()).and_then(hints::find);
    let source = lines.iter().rev().find_map(|line| line.strip_prefix("; ")).map(|line| line.trim().to_owned());
    let tail = lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| without_address(line)).collect();
    let registers = said.as_deref().map_or_else(Vec::new, |said| registers(&lines, said));
    Telling { reason: missing.or(said), source, way: way(&lines), taken: taken(&lines), registers, hint, tail }
}

/// Copies a line of the log without the address of a map in the kernel's memory: reports go far, and it is another one
/// each time.
fn without_address(line: &str) -> String {
    let is_of_map = line.contains(": (18) r") && ["map_ptr(", "map_value("].iter().any(|state| line.contains(state));
    match line.split_once(" = 0xffff").filter(|_| is_of_map) {
        Some((before, after)) => {
            format!("{before} = ADDRESS{}", after.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
        }
        None => line.to_owned(),
    }
}

/// Returns what is missing when the verifier stopped at an unresolved instruction, which it writes as a call before it
/// complains of `invalid func`.
fn missing(lines: &[&str], unresolved: &[Unresolved]) -> Option<String> {
    let last = lines.iter().rev().find_map(|line| instruction(line))?.0;
    lines.last().filter(|line| line.contains("invalid func"))?;
    unresolved.iter().find(|known| known.insn == last).map(|known| known.what.clone())
}

/// Reads a line of an instruction, as `7: (79) r0 = *(u64 *)(r1 +8)   ; R0=scalar()`: its number, and what follows it.
fn instruction(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.split_once(": (")?;
    Some((number.parse().ok()?, rest))
}

/// Reads a source line, as `; *n += 1; @ filter.c:12`. Those that the compiler made up are empty.
fn source_line(line: &str) -> Option<SourceLine> {
    let text = line.strip_prefix(';')?.trim();
    let (text, place) = match text.rsplit_once("@ ") {
        Some((text, place)) if place.contains(':') && !place.contains(' ') => (text.trim(), Some(place.to_owned())),
        _ => (text, None),
    };
    (!text.is_empty()).then(|| SourceLine { text: text.to_owned(), place })
}

/// Returns the last source lines, each once where it follows itself.
fn way(lines: &[&str]) -> Vec<SourceLine> {
    let mut way: Vec<SourceLine> = Vec::new();
    for source in lines.iter().rev().filter_map(|line| source_line(line)) {
        if way.last() != Some(&source) {
            way.push(source);
        }
        if way.len() > BEFORE {
            break;
        }
    }
    way.reverse();
    way
}

/// Returns where that was taken which is not given back: the verifier tells the number of the instruction.
fn taken(lines: &[&str]) -> Option<SourceLine> {
    let told =
        lines.iter().rev().find_map(|line| line.strip_prefix("Unreleased reference ")?.split_once("alloc_insn="));
    let number: usize = told?.1.parse().ok()?;
    let at = lines.iter().rposition(|line| instruction(line).is_some_and(|(insn, _)| insn == number))?;
    lines[..at].iter().rev().find_map(|line| source_line(line))
}

/// Returns the last states of the registers that the reason names, else of those of the last instruction.
fn registers(lines: &[&str], reason: &str) -> Vec<String> {
    let named = numbered(reason, 'R');
    let asked = match named.is_empty() {
        false => named,
        true => lines.iter().rev().find_map(|line| instruction(line)).map_or_else(Vec::new, |(_, rest)| {
            let code = rest.split(';').next().unwrap_or(rest);
            [numbered(code, 'r'), numbered(code, 'w')].concat()
        }),
    };
    let is_number = ["'scalar'", "'inv'"].iter().any(|number| reason.contains(number));
    let states = asked.iter().filter_map(|number| state(lines, *number));
    // A call makes pointers invalid without a word.
    states.map(|state| if is_number && !has_number(&state) { state + ", until a call" } else { state }).collect()
}

/// Returns whether the state is that of a number: `R0=scalar()`, `R0=inv(id=0)`, `R0=7`.
fn has_number(state: &str) -> bool {
    let value = state.split_once('=').map_or("", |(_, value)| value);
    ["scalar", "inv", "P0"].iter().any(|word| value.starts_with(word)) || value.parse::<i64>().is_ok()
}

/// The number of the register that points to the stack, which always has the same state.
const FRAME: usize = 10;

/// Finds the numbers of registers in a text, each once and in their order: `R3`, or `r3` with the other letter.
fn numbered(text: &str, letter: char) -> Vec<usize> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let numbers = words.filter_map(|word| word.strip_prefix(letter)?.parse().ok()).filter(|number| *number < FRAME);
    let mut found: Vec<usize> = Vec::new();
    for number in numbers {
        if !found.contains(&number) {
            found.push(number);
        }
    }
    found
}

/// Finds the last state of a register. The kernel writes that of each register when it changes, as `R1_w=pkt(r=0)` (the
/// letters, of older kernels, tell who has read or written it). None for one that has no value.
fn state(lines: &[&str], number: usize) -> Option<String> {
    let signs = ["=", "_w=", "_r=", "_rw="].map(|sign| format!("R{number}{sign}"));
    lines.iter().rev().filter(|line| !line.starts_with(';')).find_map(|line| {
        let (before, after) = signs.iter().find_map(|sign| line.rsplit_once(sign))?;
        let value = value(after);
        let starts = before.is_empty() || before.ends_with([' ', ':', ';']);
        (starts && !value.is_empty()).then(|| format!("R{number}={value}"))
    })
}

/// Returns a state up to the space that ends it; within parentheses there may be others.
fn value(text: &str) -> &str {
    let mut depth = 0_usize;
    let end = text.find(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ' ' => return depth == 0,
            _ => {}
        }
        false
    });
    &text[..end.unwrap_or(text.len())]
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
    fn addresses_of_maps_stay_in_the_kernel() {
        for (line, shown) in [
            (
                "9: (18) r1 = 0xffff8884de8ab800       ; R1=map_ptr(map=counts,ks=4,vs=8)",
                "9: (18) r1 = ADDRESS       ; R1=map_ptr(map=counts,ks=4,vs=8)",
            ),
            (
                "9: (18) r1 = 0x0 ; R1=map_ptr(map=counts,ks=4,vs=8)",
                "9: (18) r1 = 0x0 ; R1=map_ptr(map=counts,ks=4,vs=8)",
            ),
            ("9: (18) r1 = 0xffffffffffffffff ; R1=-1", "9: (18) r1 = 0xffffffffffffffff ; R1=-1"),
            ("R0 invalid mem access 'map_value_or_null'", "R0 invalid mem access 'map_value_or_null'"),
        ] {
            assert_eq!(without_address(line), shown);
        }
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
    fn the_way_to_the_refusal() {
        let log = "\
0: R1=ctx() R10=fp0
; __u64 *n = bpf_map_lookup_elem(&counts, &key); @ null.c:9
3: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=counts,ks=4,vs=8)
;  @ null.c:0
4: (07) r2 += -4                      ; R2=fp-4
; *n += 1; @ null.c:11
5: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
";
        let telling = telling(log, &[]);
        let way: Vec<_> = telling.way.iter().map(|line| (line.text.as_str(), line.place.as_deref())).collect();
        assert_eq!(
            way,
            [("__u64 *n = bpf_map_lookup_elem(&counts, &key);", Some("null.c:9")), ("*n += 1;", Some("null.c:11"))]
        );
        assert_eq!(telling.registers, ["R0=map_value_or_null(id=1,map=counts,ks=4,vs=8)"]);
        assert_eq!(telling.hint.map(|hint| hint.code), Some("verifier::null"));
        assert_eq!(telling.taken, None);
    }

    #[test]
    fn what_is_not_given_back_was_taken_somewhere() {
        let log = "\
; int *event = bpf_ringbuf_reserve(&events, 4, 0); @ leak.c:3
4: (85) call bpf_ringbuf_reserve#131  ; R0=ringbuf_mem_or_null(id=2,ref_obj_id=2,sz=4) refs=2
; return 0; @ leak.c:9
9: (95) exit
Unreleased reference id=2 alloc_insn=4
BPF_EXIT instruction in main prog would lead to reference leak
";
        let taken = telling(log, &[]).taken.expect("it is told");
        assert_eq!((taken.place.as_deref(), taken.text.starts_with("int *event")), (Some("leak.c:3"), true));
    }

    #[test]
    fn states_of_registers() {
        let cases: &[(&str, &[&str])] = &[
            (
                "2: (0f) r1 += r0  ; R0_w=scalar(umax=4,var_off=(0x0; 0xf)) R1_rw=pkt(r=0)\nmath between pkt pointer and",
                &["R1=pkt(r=0)", "R0=scalar(umax=4,var_off=(0x0; 0xf))"],
            ),
            (
                "0: R1=ctx(id=0,off=0,imm=0) R10=fp0\n1: (61) r0 = *(u32 *)(r1 +4)\nR1 is bad",
                &["R1=ctx(id=0,off=0,imm=0)"],
            ),
            ("; R1=1 @ a.c:1\n1: (bf) r0 = r7\nR7 !read_ok", &[]),
            ("0: R1=ctx() R10=fp0\n1: (79) r0 = *(u64 *)(r10 -8)\ninvalid read from stack R10 off=-8 size=8", &[]),
        ];
        for (log, wanted) in cases {
            assert_eq!(telling(log, &[]).registers, *wanted, "{log}");
        }
    }

    #[test]
    fn hints_know_their_lines() {
        let cases = [
            ("cannot call GPL-restricted function from non-GPL compatible program", Some("verifier::license")),
            ("Cannot access kernel 'struct net_device' from non-GPL compatible program", Some("verifier::license")),
            ("R0 !read_ok", Some("verifier::unset")),
            ("unknown func bpf_skb_load_bytes#26", Some("verifier::helper")),
            ("R1 invalid mem access 'inv'", Some("verifier::not_a_pointer")),
            ("R1 unbounded memory access, use 'var &= const' or 'if (var < const)'", Some("verifier::length")),
            ("invalid indirect read from stack R2 off -8+0 size 8", Some("verifier::stack_unwritten")),
            ("back-edge from insn 7 to 2", Some("verifier::no_end")),
            ("something that no kernel has said yet", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(hints::find(line).map(|hint| hint.code), wanted, "{line}");
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
