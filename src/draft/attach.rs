//! Where a program could be attached: what a manifest would say, by the program's kind.

use super::table::{inline, quoted};
use crate::elf::{self, Probe, Program, ProgramKind, When};
use crate::kinds::{AttachType as A, ProgramType as P};

/// What a link of a program would be.
#[derive(Debug, PartialEq, Eq)]
pub enum Attach {
    /// A hook: its key and its table, and what else is to say.
    Hook {
        /// As in `xdp`.
        key: &'static str,
        /// The inline table.
        value: String,
        /// What is left to choose.
        note: &'static str,
    },
    /// No link: why, and who runs the program.
    Nothing(&'static str),
}

/// The variable that stands for an interface in what is suggested.
pub const INTERFACE: &str = "interface";
/// The variable that stands for a cgroup.
pub const CGROUP: &str = "cgroup";

fn hook(key: &'static str, value: &str, note: &'static str) -> Attach {
    Attach::Hook { key, value: value.to_owned(), note }
}

/// Returns how a program of this kind is attached. `sockmap` is a map of sockets that the manifest has.
pub fn attach(program: &Program, kind: &ProgramKind, sockmap: Option<&str>) -> Attach {
    let attach_type = kind.attach_type;
    match kind.program_type {
        P::XDP => match attach_type {
            Some(A::XDP_DEVMAP) => Attach::Nothing("it runs where a devmap sends packets: an entry of that names it"),
            Some(A::XDP_CPUMAP) => Attach::Nothing("it runs where a cpumap sends packets: an entry of that names it"),
            Some(_) | None => hook("xdp", r#"{ interface = "${interface}", mode = "auto" }"#, ""),
        },
        P::SCHED_CLS => classifier(program, attach_type),
        P::CGROUP_SKB
        | P::CGROUP_SOCK
        | P::CGROUP_SOCK_ADDR
        | P::CGROUP_SOCKOPT
        | P::CGROUP_SYSCTL
        | P::CGROUP_DEVICE
        | P::SOCK_OPS => cgroup(kind),
        P::LWT_IN | P::LWT_OUT | P::LWT_XMIT => {
            hook("lwt", r#"{ to = "192.0.2.0/24", interface = "${interface}" }"#, "the route that is made for it")
        }
        P::SK_LOOKUP => hook("sk_lookup", "{}", ""),
        P::FLOW_DISSECTOR => hook("flow_dissector", "{}", ""),
        P::NETFILTER => {
            hook("netfilter", r#"{ family = "ipv4", hook = "input", priority = 0 }"#, "which packets, and when")
        }
        P::SK_MSG | P::SK_SKB => sockets(kind, sockmap),
        P::TRACING | P::LSM => traced(attach_type),
        P::EXT => hook("extension", "{}", ""),
        P::PERF_EVENT => {
            hook("perf_event", r#"{ type = "software", config = "cpu-clock", frequency = 99, cpu = 0 }"#, "one example")
        }
        P::KPROBE | P::TRACEPOINT | P::RAW_TRACEPOINT | P::RAW_TRACEPOINT_WRITABLE => probed(program, kind),
        P::STRUCT_OPS => Attach::Nothing("what can be linked is the map of its struct"),
        P::SOCKET_FILTER | P::SK_REUSEPORT => Attach::Nothing("its application opens the pin and gives it to a socket"),
        P::SCHED_ACT => Attach::Nothing("`tc ... action bpf object-pinned PIN` takes it from its pin"),
        P::SYSCALL => Attach::Nothing("whoever runs it opens its pin"),
        _ => Attach::Nothing("no link is for programs of this type: it is pinned for others"),
    }
}

fn classifier(program: &Program, attach_type: Option<A>) -> Attach {
    let names = [program.section.as_str(), program.function.as_str()];
    let is_for = |words: &[&str]| names.iter().any(|name| words.iter().any(|word| name.contains(word)));
    let [ingress, egress] =
        ["ingress", "egress"].map(|way| format!(r#"{{ interface = "${{interface}}", direction = "{way}" }}"#));
    match attach_type {
        Some(A::NETKIT_PRIMARY) => hook("netkit", r#"{ interface = "${interface}" }"#, ""),
        Some(A::NETKIT_PEER) => hook("netkit", r#"{ interface = "${interface}", peer = true }"#, ""),
        Some(A::TCX_INGRESS) => hook("tc", &ingress, ""),
        Some(A::TCX_EGRESS) => hook("tc", &egress, ""),
        Some(_) | None if is_for(&["egress"]) => hook("tc", &egress, "the direction is a guess by its name"),
        Some(_) | None if is_for(&["ingress"]) => hook("tc", &ingress, "the direction is a guess by its name"),
        Some(_) | None => hook("tc", &ingress, "or egress: nothing says it"),
    }
}

fn cgroup(kind: &ProgramKind) -> Attach {
    let is_known =
        kind.attach_type.is_some() || [P::SOCK_OPS, P::CGROUP_DEVICE, P::CGROUP_SYSCTL].contains(&kind.program_type);
    let note = if is_known { "" } else { "and `attach_type` of the program, which its section does not say" };
    hook("cgroup", r#"{ path = "${cgroup}" }"#, note)
}

fn sockets(kind: &ProgramKind, sockmap: Option<&str>) -> Attach {
    let Some(sockmap) = sockmap else {
        return Attach::Nothing("a link is for a sockmap or sockhash of this manifest, and no object has one");
    };
    let is_known = kind.program_type == P::SK_MSG || kind.attach_type.is_some();
    let note = if is_known { "" } else { "and `attach_type` of the program, which its section does not say" };
    hook("sockmap", &inline(&[("map".to_owned(), quoted(sockmap))]), note)
}

fn traced(attach_type: Option<A>) -> Attach {
    match attach_type {
        Some(A::TRACE_ITER) => hook("iter", "{}", ""),
        Some(A::LSM_MAC) => hook("lsm", "{}", ""),
        Some(A::LSM_CGROUP) => hook("cgroup", r#"{ path = "${cgroup}" }"#, ""),
        Some(A::TRACE_RAW_TP | A::TRACE_FENTRY | A::TRACE_FEXIT | A::MODIFY_RETURN) => hook("tracing", "{}", ""),
        Some(_) | None => Attach::Nothing("no link is for programs of this kind: it is pinned for others"),
    }
}

/// Returns the link of a program that runs at a place which its section may say.
fn probed(program: &Program, kind: &ProgramKind) -> Attach {
    const UNLINKED: Attach = Attach::Nothing("no link is for it yet: it is loaded and pinned");
    match (elf::probe(&program.section).and_then(Result::ok), kind.program_type) {
        (Some(Probe::KernelFunction { .. } | Probe::SystemCall { .. }), _) => hook("kprobe", "{}", ""),
        (Some(Probe::KernelFunctions { when: When::Entry | When::Return, .. }), _) => {
            hook("kprobe_multi", r#"{ functions = ["FUNCTION"] }"#, "the functions by their names")
        }
        (Some(Probe::UserFunction { path, .. }), _) if path.starts_with('/') => hook("uprobe", "{}", ""),
        (Some(Probe::UserFunction { .. }), _) => {
            hook("uprobe", r#"{ binary = "/PATH", symbol = "FUNCTION" }"#, "its section does not say which file")
        }
        (Some(Probe::KernelFunctions { .. } | Probe::UserFunctions { .. } | Probe::Usdt { .. }), _) => UNLINKED,
        (Some(Probe::Tracepoint { .. }), _) => hook("tracepoint", "{}", ""),
        (Some(Probe::RawTracepoint { .. }), _) => hook("raw_tracepoint", "{}", ""),
        (None, P::TRACEPOINT) => hook("tracepoint", r#"{ name = "CATEGORY/NAME" }"#, "its section does not say which"),
        (None, P::RAW_TRACEPOINT | P::RAW_TRACEPOINT_WRITABLE) => {
            hook("raw_tracepoint", r#"{ name = "NAME" }"#, "its section does not say which")
        }
        (None, _) if kind.attach_type.is_some() => UNLINKED,
        (None, _) if program.section.starts_with('u') => {
            hook("uprobe", r#"{ binary = "/PATH", symbol = "FUNCTION" }"#, "its section does not say where")
        }
        (None, _) => hook("kprobe", r#"{ function = "FUNCTION" }"#, "its section does not say where"),
    }
}
