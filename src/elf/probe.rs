//! Where a section's name says that a tracing program is attached: the texts of libbpf's `attach_kprobe`, `attach_uprobe`,
//! `attach_usdt` and `attach_tp`, as data. Nothing is looked up; the file that is probed need not exist here.

use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// A place where a tracing program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Probe {
    /// A function of the kernel.
    KernelFunction {
        /// Its name.
        function: String,
        /// Where in it, in bytes.
        offset: u64,
        /// Whether the program runs when it returns.
        returns: bool,
    },
    /// All functions of the kernel that a pattern with `*` and `?` fits.
    KernelFunctions {
        /// The pattern.
        pattern: String,
        /// When the program runs.
        when: When,
    },
    /// A system call.
    SystemCall {
        /// Its name, without what an architecture puts before it.
        name: String,
        /// Whether the program runs when it returns.
        returns: bool,
    },
    /// A function of a program or library.
    UserFunction {
        /// The file, absolute or as it is looked up in the usual folders.
        path: String,
        /// Its name.
        function: String,
        /// Where in it, in bytes.
        offset: u64,
        /// Whether the program runs when it returns.
        returns: bool,
    },
    /// All functions of a program or library that a pattern fits.
    UserFunctions {
        /// The file.
        path: String,
        /// The pattern.
        pattern: String,
        /// When the program runs.
        when: When,
    },
    /// A probe that the author of a program or library put into it (`.note.stapsdt`).
    Usdt {
        /// The file.
        path: String,
        /// Who provides the probe.
        provider: String,
        /// The probe.
        name: String,
    },
    /// A tracepoint of the kernel.
    Tracepoint {
        /// Its group in tracefs.
        category: String,
        /// Its name.
        name: String,
    },
    /// A tracepoint of the kernel, with its raw arguments.
    RawTracepoint {
        /// Its name.
        name: String,
    },
}

/// When a program on several functions runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When they are called.
    Entry,
    /// When they return.
    Return,
    /// Both, as one session.
    Session,
}

/// How the text behind a prefix is read.
type Read = fn(&str) -> Result<Probe, String>;

/// The prefixes of sections that say where their programs are attached.
const TABLE: &[(&str, Read)] = &[
    ("kprobe", |text| kernel_function(text, false)),
    ("kretprobe", |text| kernel_function(text, true)),
    ("kprobe.multi", |text| kernel_functions(text, When::Entry)),
    ("kretprobe.multi", |text| kernel_functions(text, When::Return)),
    ("kprobe.session", |text| kernel_functions(text, When::Session)),
    ("ksyscall", |text| Ok(Probe::SystemCall { name: text.to_owned(), returns: false })),
    ("kretsyscall", |text| Ok(Probe::SystemCall { name: text.to_owned(), returns: true })),
    ("uprobe", |text| user_function(text, false)),
    ("uprobe.s", |text| user_function(text, false)),
    ("uretprobe", |text| user_function(text, true)),
    ("uretprobe.s", |text| user_function(text, true)),
    ("uprobe.multi", |text| user_functions(text, When::Entry)),
    ("uprobe.multi.s", |text| user_functions(text, When::Entry)),
    ("uretprobe.multi", |text| user_functions(text, When::Return)),
    ("uretprobe.multi.s", |text| user_functions(text, When::Return)),
    ("uprobe.session", |text| user_functions(text, When::Session)),
    ("uprobe.session.s", |text| user_functions(text, When::Session)),
    ("usdt", usdt),
    ("usdt.s", usdt),
    ("tp", tracepoint),
    ("tracepoint", tracepoint),
    ("raw_tp", |text| Ok(Probe::RawTracepoint { name: text.to_owned() })),
    ("raw_tracepoint", |text| Ok(Probe::RawTracepoint { name: text.to_owned() })),
    ("raw_tp.w", |text| Ok(Probe::RawTracepoint { name: text.to_owned() })),
    ("raw_tracepoint.w", |text| Ok(Probe::RawTracepoint { name: text.to_owned() })),
];

/// Returns where the section's name, without a leading `?`, says that its programs are attached; none where it says
/// nothing, as `kprobe` alone does.
///
/// # Errors
/// When what stands behind the prefix is no such place, as a sentence without capital and full stop.
pub fn probe(section: &str) -> Option<Result<Probe, String>> {
    let (prefix, text) = section.split_once('/').filter(|(_, text)| !text.is_empty())?;
    TABLE.iter().find(|(known, _)| *known == prefix).map(|(_, read)| read(text))
}

fn kernel_function(text: &str, returns: bool) -> Result<Probe, String> {
    let (function, offset) = with_offset(text);
    match (is_symbol(function, ""), returns && offset != 0) {
        (false, _) => Err(format!("`{text}` is not FUNCTION or FUNCTION+OFFSET")),
        (true, true) => Err("a probe of what a function returns has no offset in it".to_owned()),
        (true, false) => Ok(Probe::KernelFunction { function: function.to_owned(), offset, returns }),
    }
}

fn kernel_functions(text: &str, when: When) -> Result<Probe, String> {
    match is_symbol(text, "*?") {
        true => Ok(Probe::KernelFunctions { pattern: text.to_owned(), when }),
        false => Err(format!("`{text}` is no name or pattern of functions")),
    }
}

fn user_function(text: &str, returns: bool) -> Result<Probe, String> {
    let (path, function) = in_file(text, "PATH:FUNCTION or PATH:FUNCTION+OFFSET")?;
    let (function, offset) = with_offset(function);
    match returns && offset != 0 {
        true => Err("a probe of what a function returns has no offset in it".to_owned()),
        false => Ok(Probe::UserFunction { path: path.to_owned(), function: function.to_owned(), offset, returns }),
    }
}

fn user_functions(text: &str, when: When) -> Result<Probe, String> {
    let (path, pattern) = in_file(text, "PATH:PATTERN")?;
    Ok(Probe::UserFunctions { path: path.to_owned(), pattern: pattern.to_owned(), when })
}

fn usdt(text: &str) -> Result<Probe, String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [path, provider, name] if parts.iter().all(|part| !part.is_empty()) => {
            Ok(Probe::Usdt { path: path.to_owned(), provider: provider.to_owned(), name: name.to_owned() })
        }
        _ => Err(format!("`{text}` is not PATH:PROVIDER:NAME")),
    }
}

fn tracepoint(text: &str) -> Result<Probe, String> {
    match text.split_once('/') {
        Some((category, name)) if !category.is_empty() && !name.is_empty() => {
            Ok(Probe::Tracepoint { category: category.to_owned(), name: name.to_owned() })
        }
        Some(_) | None => Err(format!("`{text}` is not CATEGORY/NAME")),
    }
}

/// Splits what is in a file off the file.
fn in_file<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    let parts = text.split_once(':').filter(|(path, name)| !path.is_empty() && !name.is_empty());
    parts.ok_or_else(|| format!("`{text}` is not {form}"))
}

/// Splits `+OFFSET` off, a decimal, octal or hexadecimal number; 0 where there is none.
fn with_offset(text: &str) -> (&str, u64) {
    let parts = text.rsplit_once('+').and_then(|(name, offset)| Some((name, super::sections::number(offset)?.into())));
    parts.unwrap_or((text, 0))
}

fn is_symbol(text: &str, also: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c) || also.contains(c))
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |offset: &u64| if *offset == 0 { String::new() } else { format!("+{offset:#x}") };
        let moment = |returns: &bool| if *returns { "return of " } else { "" };
        match self {
            Self::KernelFunction { function, offset, returns } => {
                write!(f, "{}kernel function {function}{}", moment(returns), place(offset))
            }
            Self::KernelFunctions { pattern, when } => write!(f, "{when}kernel functions {pattern}"),
            Self::SystemCall { name, returns } => write!(f, "{}system call {name}", moment(returns)),
            Self::UserFunction { path, function, offset, returns } => {
                write!(f, "{}function {function}{} of {path}", moment(returns), place(offset))
            }
            Self::UserFunctions { path, pattern, when } => write!(f, "{when}functions {pattern} of {path}"),
            Self::Usdt { path, provider, name } => write!(f, "probe {name} of {provider} in {path}"),
            Self::Tracepoint { category, name } => write!(f, "tracepoint {category}:{name}"),
            Self::RawTracepoint { name } => write!(f, "raw tracepoint {name}"),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entry => "",
            Self::Return => "return of ",
            Self::Session => "call and return of ",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a section's name, and finds the words that tell what it says, or what is wrong.
    #[track_caller]
    fn check(section: &str, says: Option<Result<&str, &str>>) {
        let got = probe(section).map(|probe| probe.map(|probe| probe.to_string()));
        match (&got, says) {
            (Some(Err(got)), Some(Err(says))) => assert!(got.contains(says), "{section}: {got}"),
            _ => assert_eq!(got, says.map(|says| says.map(str::to_owned).map_err(str::to_owned)), "{section}"),
        }
    }

    #[test]
    fn places_of_sections() {
        check("kprobe/tcp_connect", Some(Ok("kernel function tcp_connect")));
        check("kprobe/tcp_connect+0x10", Some(Ok("kernel function tcp_connect+0x10")));
        check("kretprobe/tcp_connect", Some(Ok("return of kernel function tcp_connect")));
        check("kprobe.multi/tcp_*", Some(Ok("kernel functions tcp_*")));
        check("kretprobe.multi/tcp_?", Some(Ok("return of kernel functions tcp_?")));
        check("kprobe.session/tcp_*", Some(Ok("call and return of kernel functions tcp_*")));
        check("ksyscall/execve", Some(Ok("system call execve")));
        check("kretsyscall/execve", Some(Ok("return of system call execve")));
        check("uprobe//usr/bin/bash:readline", Some(Ok("function readline of /usr/bin/bash")));
        check("uprobe.s/libc.so.6:malloc+16", Some(Ok("function malloc+0x10 of libc.so.6")));
        check("uretprobe//usr/bin/bash:readline", Some(Ok("return of function readline of /usr/bin/bash")));
        check("uprobe.multi//usr/bin/bash:re*", Some(Ok("functions re* of /usr/bin/bash")));
        check("usdt//usr/bin/python3:python:function__entry", {
            Some(Ok("probe function__entry of python in /usr/bin/python3"))
        });
        check("usdt.s/libc.so.6:libc:setjmp", Some(Ok("probe setjmp of libc in libc.so.6")));
        check("tp/sched/sched_switch", Some(Ok("tracepoint sched:sched_switch")));
        check("tracepoint/syscalls/sys_enter_open", Some(Ok("tracepoint syscalls:sys_enter_open")));
        check("raw_tp/sched_switch", Some(Ok("raw tracepoint sched_switch")));
    }

    #[test]
    fn sections_that_say_no_place() {
        for section in ["kprobe", "uprobe/", "usdt", "xdp", "tc/x", "fentry/tcp_connect", "kprobe2/x", ""] {
            check(section, None);
        }
    }

    #[test]
    fn places_that_are_none() {
        check("kprobe/tcp connect", Some(Err("is not FUNCTION or FUNCTION+OFFSET")));
        check("kretprobe/tcp_connect+8", Some(Err("has no offset")));
        check("kprobe.multi/tcp-*", Some(Err("no name or pattern")));
        check("uprobe//usr/bin/bash", Some(Err("is not PATH:FUNCTION")));
        check("uretprobe//usr/bin/bash:main+8", Some(Err("has no offset")));
        check("usdt//usr/bin/python3:python", Some(Err("is not PATH:PROVIDER:NAME")));
        check("usdt/a:b:c:d", Some(Err("is not PATH:PROVIDER:NAME")));
        check("usdt/a::c", Some(Err("is not PATH:PROVIDER:NAME")));
        check("tp/sched_switch", Some(Err("is not CATEGORY/NAME")));
    }
}
