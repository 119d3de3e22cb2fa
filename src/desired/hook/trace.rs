//! Events: what happens in the kernel or in a process, and makes a program run. No packet goes through them, and many
//! programs may see the same one.

use crate::kinds::AttachType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An event that a link waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trace {
    /// The event.
    pub event: Event,
    /// What `bpf_get_attach_cookie` gives the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A tracepoint, by its fields as `format` in tracefs says them.
    Tracepoint {
        /// Its folder below `events` of tracefs.
        category: String,
        /// Its name.
        name: String,
    },
    /// A tracepoint, by its raw arguments.
    RawTracepoint {
        /// Its name.
        name: String,
    },
    /// What the program itself was loaded for: a function, a tracepoint, a security hook, an iterator.
    Target {
        /// `trace_raw_tp`, `trace_fentry`, `trace_fexit`, `modify_return`, `trace_fsession`, `lsm_mac` or `trace_iter`.
        attach_type: AttachType,
        /// The kernel's name of it.
        name: String,
    },
    /// A call of a function of another program, which runs this one instead.
    Extension {
        /// The other program, by its name in the manifest.
        program: String,
        /// Its function.
        function: String,
    },
    /// A counter of the CPU or the kernel that reached its period.
    Counter(Counter),
    /// The kernel reaches an instruction.
    Kprobe {
        /// The function.
        function: String,
        /// Bytes behind its start.
        offset: u64,
        /// Whether it is met where it returns.
        returns: bool,
    },
    /// The kernel reaches any of many functions.
    KprobeMulti {
        /// The functions.
        functions: Vec<String>,
        /// Whether they are met where they return.
        returns: bool,
    },
    /// A process reaches an instruction.
    Uprobe(Uprobe),
}

/// A counter of `perf_event_open`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Counter {
    /// Who counts.
    pub source: CounterSource,
    /// What is counted.
    pub config: u64,
    /// When the program runs.
    pub rate: Rate,
    /// The CPU; `None` for any on which the process runs.
    pub cpu: Option<u32>,
    /// The process; `None` for all on the CPU.
    pub pid: Option<u32>,
}

/// `enum perf_type_id`, as far as its configurations mean the same on each host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CounterSource {
    /// The CPU, by the kernel's names.
    Hardware,
    /// The kernel.
    Software,
    /// The CPU, by its own numbers.
    Raw,
}

/// How often a program runs that a counter wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// Each time that so many were counted.
    Period(u64),
    /// So many times a second.
    Frequency(u64),
}

/// A place in a file that processes run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uprobe {
    /// Absolute path of the file.
    pub binary: String,
    /// The function; `None` where the place is said by `offset` alone.
    pub symbol: Option<String>,
    /// Bytes behind the start of the function, or of the file.
    pub offset: u64,
    /// The process; `None` for all.
    pub pid: Option<u32>,
    /// Whether the function is met where it returns.
    pub returns: bool,
}

impl CounterSource {
    /// Every source, with its name.
    pub const ALL: &'static [(Self, &'static str)] =
        &[(Self::Hardware, "hardware"), (Self::Software, "software"), (Self::Raw, "raw")];

    /// Returns the number of `enum perf_type_id`.
    pub fn number(self) -> u32 {
        match self {
            Self::Hardware => 0,
            Self::Software => 1,
            Self::Raw => 4,
        }
    }

    /// Returns the names of what it counts, by number: `enum perf_hw_id` and `enum perf_sw_ids` of `linux/perf_event.h`,
    /// as `perf list` writes them.
    pub fn configs(self) -> &'static [&'static str] {
        match self {
            Self::Hardware => &[
                "cpu-cycles",
                "instructions",
                "cache-references",
                "cache-misses",
                "branch-instructions",
                "branch-misses",
                "bus-cycles",
                "stalled-cycles-frontend",
                "stalled-cycles-backend",
                "ref-cycles",
            ],
            Self::Software => &[
                "cpu-clock",
                "task-clock",
                "page-faults",
                "context-switches",
                "cpu-migrations",
                "minor-faults",
                "major-faults",
                "alignment-faults",
                "emulation-faults",
                "dummy",
                "bpf-output",
                "cgroup-switches",
            ],
            Self::Raw => &[],
        }
    }
}

impl fmt::Display for CounterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "hardware",
            Self::Software => "software",
            Self::Raw => "raw",
        })
    }
}

/// What stands in section names for the attach types of programs that the kernel binds to their targets when they are
/// loaded.
const TARGETS: &[(AttachType, &str)] = &[
    (AttachType::TRACE_RAW_TP, "tp_btf"),
    (AttachType::TRACE_FENTRY, "fentry"),
    (AttachType::TRACE_FEXIT, "fexit"),
    (AttachType::MODIFY_RETURN, "fmod_ret"),
    (AttachType::TRACE_FSESSION, "fsession"),
    (AttachType::LSM_MAC, "lsm"),
    (AttachType::TRACE_ITER, "iter"),
];

impl Event {
    /// Returns the attach type of such links; `None` where it is that of no link, but of the program alone.
    pub fn attach_type(&self) -> Option<AttachType> {
        match self {
            Self::Tracepoint { .. } | Self::Counter(_) | Self::Kprobe { .. } | Self::Uprobe(_) => {
                Some(AttachType::PERF_EVENT)
            }
            Self::Target { attach_type, .. } => Some(*attach_type),
            Self::KprobeMulti { .. } => Some(AttachType::TRACE_KPROBE_MULTI),
            Self::RawTracepoint { .. } | Self::Extension { .. } => None,
        }
    }

    /// Returns the program, by its name in the manifest, and the function of it that an extension replaces.
    pub fn extended(&self) -> Option<(&str, &str)> {
        match self {
            Self::Extension { program, function } => Some((program, function)),
            Self::Tracepoint { .. }
            | Self::RawTracepoint { .. }
            | Self::Target { .. }
            | Self::Counter(_)
            | Self::Kprobe { .. }
            | Self::KprobeMulti { .. }
            | Self::Uprobe(_) => None,
        }
    }

    /// Returns whether the kernel replaces the program of such a link.
    pub fn updates_in_place(&self) -> bool {
        match self {
            Self::Target { attach_type, .. } => *attach_type == AttachType::TRACE_ITER,
            Self::Tracepoint { .. }
            | Self::RawTracepoint { .. }
            | Self::Extension { .. }
            | Self::Counter(_)
            | Self::Kprobe { .. }
            | Self::KprobeMulti { .. }
            | Self::Uprobe(_) => false,
        }
    }

    /// Returns whether it has room for one program.
    pub fn is_exclusive(&self) -> bool {
        match self {
            Self::Extension { .. } => true,
            Self::Tracepoint { .. }
            | Self::RawTracepoint { .. }
            | Self::Target { .. }
            | Self::Counter(_)
            | Self::Kprobe { .. }
            | Self::KprobeMulti { .. }
            | Self::Uprobe(_) => false,
        }
    }
}

impl Trace {
    /// Tells what a kernel may lack that refuses such a link.
    pub fn may_lack(&self) -> &'static str {
        match (&self.event, self.cookie) {
            (Event::RawTracepoint { .. } | Event::Target { attach_type: AttachType::TRACE_RAW_TP, .. }, Some(_)) => {
                "cookies of raw tracepoints came with Linux 6.10"
            }
            (Event::Target { .. } | Event::Extension { .. }, Some(_)) => "their cookies came with Linux 5.19",
            (Event::RawTracepoint { .. }, None) => "links of raw tracepoints came with Linux 5.7",
            (Event::Target { attach_type: AttachType::TRACE_ITER, .. }, None) => "iterators came with Linux 5.8",
            (Event::Target { attach_type: AttachType::LSM_MAC, .. }, None) => {
                "`lsm` came with Linux 5.7, built with CONFIG_BPF_LSM"
            }
            (Event::Target { attach_type: AttachType::TRACE_FSESSION, .. }, None) => {
                "`fsession` is newer than Linux 6.18"
            }
            (Event::Target { .. }, None) => "links of `tp_btf`, `fentry`, `fexit` and `fmod_ret` came with Linux 5.7",
            (Event::Extension { .. }, None) => "`freplace` to a named target came with Linux 5.10",
            (Event::Tracepoint { .. } | Event::Counter(_), _) => "links of perf events came with Linux 5.15",
            (Event::Kprobe { .. }, _) => {
                "links of kprobes came with Linux 5.15, and need a kernel built with CONFIG_KPROBE_EVENTS"
            }
            (Event::Uprobe(_), _) => {
                "links of uprobes came with Linux 5.15, and need a kernel built with CONFIG_UPROBE_EVENTS"
            }
            (Event::KprobeMulti { .. }, _) => {
                "`kprobe.multi` came with Linux 5.18, and needs a kernel built with CONFIG_FPROBE"
            }
        }
    }
}

/// `tracepoint sched/sched_switch`, `fentry tcp_connect`, `uretprobe /bin/bash:readline of process 7, cookie 3`: all that
/// makes it another event.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)?;
        self.cookie.map_or(Ok(()), |cookie| write!(f, ", cookie {cookie}"))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracepoint { category, name } => write!(f, "tracepoint {category}/{name}"),
            Self::RawTracepoint { name } => write!(f, "raw_tracepoint {name}"),
            Self::Target { attach_type, name } => match TARGETS.iter().find(|(known, _)| known == attach_type) {
                Some((_, word)) => write!(f, "{word} {name}"),
                None => write!(f, "{attach_type} {name}"),
            },
            Self::Extension { program, function } => write!(f, "function {function} of program.{program}"),
            Self::Counter(counter) => counter.fmt(f),
            Self::Kprobe { function, offset, returns } => {
                write!(f, "{} {function}{}", if *returns { "kretprobe" } else { "kprobe" }, Behind(*offset))
            }
            Self::KprobeMulti { functions, returns } => {
                let word = if *returns { "kretprobe.multi" } else { "kprobe.multi" };
                write!(f, "{word} {}", functions.join(", "))
            }
            Self::Uprobe(uprobe) => uprobe.fmt(f),
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "perf_event {} ", self.source)?;
        let names = self.source.configs();
        match usize::try_from(self.config).ok().and_then(|config| names.get(config)) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{:#x}", self.config)?,
        }
        match self.rate {
            Rate::Period(1) => {}
            Rate::Period(period) => write!(f, " each {period}")?,
            Rate::Frequency(frequency) => write!(f, " at {frequency} Hz")?,
        }
        if let Some(cpu) = self.cpu {
            write!(f, " of CPU {cpu}")?;
        }
        self.pid.map_or(Ok(()), |pid| write!(f, " of process {pid}"))
    }
}

impl fmt::Display for Uprobe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.returns { "uretprobe" } else { "uprobe" }, self.binary)?;
        match &self.symbol {
            Some(symbol) => write!(f, ":{symbol}{}", Behind(self.offset))?,
            None => write!(f, ":{:#x}", self.offset)?,
        }
        self.pid.map_or(Ok(()), |pid| write!(f, " of process {pid}"))
    }
}

/// `+0x10`, or nothing.
struct Behind(u64);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, "+{:#x}", self.0) }
    }
}

/// Returns how the kernel of this machine calls the function of a system call (`arch_specific_syscall_pfx` in libbpf).
pub fn of_system_call(name: &str) -> Option<String> {
    const PREFIXES: [(bool, &str); 4] = [
        (cfg!(target_arch = "x86_64"), "x64"),
        (cfg!(target_arch = "aarch64"), "arm64"),
        (cfg!(target_arch = "s390x"), "s390x"),
        (cfg!(target_arch = "riscv64"), "riscv"),
    ];
    let (_, prefix) = PREFIXES.into_iter().find(|(is_here, _)| *is_here)?;
    Some(format!("__{prefix}_sys_{name}"))
}
