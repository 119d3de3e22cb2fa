//! From a link to an event as the manifest says it to the event that is meant: what the manifest leaves open, the
//! program's section name or target says.

use super::{DesiredProgram, Event, Trace, Uprobe, of_system_call};
use crate::diag::Kind;
use crate::elf;
use crate::kinds::{AttachType, ProgramType};
use crate::manifest::{self, EventLink, EventText};

/// Makes the event of a link of this program, whose section has this name.
///
/// # Errors
/// What the program and the table say against each other, or both leave open.
pub fn event(link: &EventLink, program: &DesiredProgram, section: &str) -> Result<Trace, Box<Kind>> {
    let table = link.event.table();
    check_type(table, program)?;
    let word = elf::section_prefix(section).unwrap_or_default();
    let target = program.kind.target.as_deref();
    let open = |what, example| Box::new(Kind::EventOpen { table, what, example });
    let event = match &link.event {
        EventText::Tracepoint(said) => {
            let said = said.clone().or_else(|| manifest::tracepoint(target?));
            let (category, name) =
                said.ok_or_else(|| open("tracepoint", "tracepoint = { name = \"sched/sched_process_exec\" }"))?;
            Event::Tracepoint { category, name }
        }
        EventText::RawTracepoint(said) => {
            let name = said.clone().or_else(|| target.map(str::to_owned));
            let name = name.ok_or_else(|| open("tracepoint", "raw_tracepoint = { name = \"sched_process_exec\" }"))?;
            Event::RawTracepoint { name }
        }
        EventText::Tracing | EventText::Lsm | EventText::Iter => {
            let bound = program.kind.attach_type.zip(target);
            let (attach_type, name) = bound.ok_or_else(|| open("target", "target = \"tcp_connect\""))?;
            Event::Target { attach_type, name: name.to_owned() }
        }
        EventText::Extension => {
            let extends = program.extends.as_ref();
            let extends = extends.ok_or_else(|| open("function", "target = \"program.NAME:FUNCTION\""))?;
            Event::Extension { program: extends.program.to_string(), function: extends.function.clone() }
        }
        EventText::Counter(counter) => Event::Counter(counter.clone()),
        EventText::Kprobe { function, offset, returns } => {
            let by_section = target.filter(|_| KPROBES.contains(&word)).and_then(|target| of_kernel(word, target));
            let said = function.clone().map(|function| (function, 0)).or(by_section);
            let (function, behind) = said.ok_or_else(|| open("function", "kprobe = { function = \"tcp_connect\" }"))?;
            let returns = returns.unwrap_or(word.starts_with("kret"));
            Event::Kprobe { function, offset: offset.unwrap_or(behind), returns }
        }
        EventText::KprobeMulti { functions, returns } => {
            let returns = returns.unwrap_or(word.starts_with("kret"));
            Event::KprobeMulti { functions: functions.clone(), returns }
        }
        EventText::Uprobe { binary: Some(binary), symbol, offset, pid, returns } => Event::Uprobe(Uprobe {
            binary: binary.clone(),
            symbol: symbol.clone(),
            offset: offset.unwrap_or(0),
            pid: *pid,
            returns: returns.unwrap_or(word.starts_with("uret")),
        }),
        EventText::Uprobe { binary: None, offset, pid, returns, .. } => {
            let place = target.filter(|_| UPROBES.contains(&word)).and_then(of_binary);
            let (binary, symbol, behind) =
                place.ok_or_else(|| open("file", "uprobe = { binary = \"/bin/bash\", symbol = \"readline\" }"))?;
            let returns = returns.unwrap_or(word.starts_with("uret"));
            Event::Uprobe(Uprobe { binary, symbol, offset: offset.unwrap_or(behind), pid: *pid, returns })
        }
    };
    Ok(Trace { event, cookie: link.cookie })
}

/// Sections whose target is a function of the kernel.
const KPROBES: &[&str] = &["kprobe", "kretprobe", "ksyscall", "kretsyscall"];
/// Sections whose target is a place in a file.
const UPROBES: &[&str] = &["uprobe", "uprobe.s", "uretprobe", "uretprobe.s"];

/// What a table takes.
struct Takes {
    table: &'static str,
    program: &'static [ProgramType],
    /// Empty for any and for none.
    attach: &'static [AttachType],
}

use AttachType as A;
use ProgramType as P;

const TAKES: &[Takes] = &[
    Takes { table: "tracepoint", program: &[P::TRACEPOINT], attach: &[] },
    Takes { table: "raw_tracepoint", program: &[P::RAW_TRACEPOINT, P::RAW_TRACEPOINT_WRITABLE], attach: &[] },
    Takes {
        table: "tracing",
        program: &[P::TRACING],
        attach: &[A::TRACE_RAW_TP, A::TRACE_FENTRY, A::TRACE_FEXIT, A::MODIFY_RETURN, A::TRACE_FSESSION],
    },
    Takes { table: "lsm", program: &[P::LSM], attach: &[A::LSM_MAC] },
    Takes { table: "iter", program: &[P::TRACING], attach: &[A::TRACE_ITER] },
    Takes { table: "extension", program: &[P::EXT], attach: &[] },
    Takes { table: "perf_event", program: &[P::PERF_EVENT], attach: &[] },
    Takes { table: "kprobe_multi", program: &[P::KPROBE], attach: &[A::TRACE_KPROBE_MULTI] },
    Takes { table: "kprobe", program: &[P::KPROBE], attach: &[] },
    Takes { table: "uprobe", program: &[P::KPROBE], attach: &[] },
];

impl Takes {
    fn takes(&self, program: &DesiredProgram) -> bool {
        let kind = &program.kind;
        let attach = match (self.attach, kind.attach_type, kind.program_type) {
            // Without an attach type of its own it is a plain kprobe, else one that only links of its kind take.
            ([], attach_type, P::KPROBE) => attach_type.is_none(),
            ([], _, _) => true,
            (known, attach_type, _) => attach_type.is_some_and(|attach_type| known.contains(&attach_type)),
        };
        attach && self.program.contains(&kind.program_type)
    }
}

fn check_type(table: &'static str, program: &DesiredProgram) -> Result<(), Box<Kind>> {
    if TAKES.iter().any(|row| row.table == table && row.takes(program)) {
        return Ok(());
    }
    let kind = &program.kind;
    let instead = TAKES.iter().find(|row| row.takes(program)).map(|row| row.table);
    Err(Box::new(Kind::WrongEvent { table, is: kind.program_type, attach_type: kind.attach_type, instead }))
}

/// Reads `FUNCTION[+OFFSET]` of a section of kprobes, or the name of a system call.
fn of_kernel(word: &str, target: &str) -> Option<(String, u64)> {
    match word {
        "ksyscall" | "kretsyscall" => Some((of_system_call(target)?, 0)),
        _ => {
            let (function, offset) = behind(target)?;
            Some((function.to_owned(), offset))
        }
    }
}

/// Reads `BINARY:FUNCTION[+OFFSET]` of a section of uprobes, whose binary has an absolute path.
fn of_binary(target: &str) -> Option<(String, Option<String>, u64)> {
    let (binary, place) = target.rsplit_once(':')?;
    let (symbol, offset) = behind(place)?;
    binary.starts_with('/').then(|| (binary.to_owned(), Some(symbol.to_owned()), offset))
}

/// Splits `NAME[+OFFSET]`; the offset is decimal or hexadecimal.
fn behind(text: &str) -> Option<(&str, u64)> {
    let Some((name, offset)) = text.split_once('+') else { return (!text.is_empty()).then_some((text, 0)) };
    let offset = match offset.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => offset.parse(),
    };
    Some((name, offset.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_sections() {
        for (word, target, wanted) in [
            ("kprobe", "tcp_connect", Some(("tcp_connect", 0))),
            ("kprobe", "tcp_connect+0x10", Some(("tcp_connect", 16))),
            ("kretprobe", "tcp_connect+8", Some(("tcp_connect", 8))),
            ("kprobe", "tcp_connect+x", None),
            ("kprobe", "", None),
        ] {
            let wanted = wanted.map(|(name, offset): (&str, u64)| (name.to_owned(), offset));
            assert_eq!(of_kernel(word, target), wanted, "{word}/{target}");
        }
        for (target, wanted) in [
            ("/bin/bash:readline", Some(("/bin/bash", "readline", 0))),
            ("/bin/bash:readline+0x4", Some(("/bin/bash", "readline", 4))),
            ("bash:readline", None),
            ("/bin/bash", None),
        ] {
            let wanted = wanted.map(|(binary, symbol, offset): (&str, &str, u64)| {
                (binary.to_owned(), Some(symbol.to_owned()), offset)
            });
            assert_eq!(of_binary(target), wanted, "{target}");
        }
    }
}
