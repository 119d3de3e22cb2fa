//! What the name of a section says of the programs in it: the table of libbpf and iproute2.

use super::ProgramKind;
use crate::kinds::load_flags::{SLEEPABLE, XDP_FRAGS as FRAGS};
use crate::kinds::{AttachType, ProgramType};

/// What may follow the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing: the section's name is the prefix.
    None,
    /// Nothing, or `/` and a free name.
    Name,
    /// Nothing, or any text: `xdp_sock`, `socket1`. libbpf before 1.0 and cilium/ebpf (`matchSectionName`) read it so.
    Any,
    /// Nothing, or `/` and the hook, function or tracepoint.
    Target,
}

/// One row of the table.
struct Row {
    prefix: &'static str,
    tail: Tail,
    program: ProgramType,
    attach: Option<AttachType>,
    flags: u32,
}

const fn row(prefix: &'static str, tail: Tail, program: ProgramType, attach: Option<AttachType>) -> Row {
    Row { prefix, tail, program, attach, flags: 0 }
}

const fn with(flags: u32, mut row: Row) -> Row {
    row.flags = flags;
    row
}

use AttachType as A;
use ProgramType as P;
use Tail::{Any, Name, None as Exact, Target};

/// `section_defs` of libbpf (<https://github.com/libbpf/libbpf/blob/master/src/libbpf.c>) as of Linux 7.2, and `prog`
/// of iproute2 (`bpf_prog_types` in `lib/bpf_legacy.c`). The first row that fits is the one, so that a longer prefix
/// stands before a shorter one.
const TABLE: &[Row] = &[
    row("socket", Any, P::SOCKET_FILTER, None),
    row("sk_reuseport/migrate", Any, P::SK_REUSEPORT, Some(A::SK_REUSEPORT_SELECT_OR_MIGRATE)),
    row("sk_reuseport", Any, P::SK_REUSEPORT, Some(A::SK_REUSEPORT_SELECT)),
    row("kprobe", Target, P::KPROBE, None),
    row("uprobe", Target, P::KPROBE, None),
    with(SLEEPABLE, row("uprobe.s", Target, P::KPROBE, None)),
    row("kretprobe", Target, P::KPROBE, None),
    row("uretprobe", Target, P::KPROBE, None),
    with(SLEEPABLE, row("uretprobe.s", Target, P::KPROBE, None)),
    row("kprobe.multi", Target, P::KPROBE, Some(A::TRACE_KPROBE_MULTI)),
    row("kretprobe.multi", Target, P::KPROBE, Some(A::TRACE_KPROBE_MULTI)),
    row("kprobe.session", Target, P::KPROBE, Some(A::TRACE_KPROBE_SESSION)),
    row("uprobe.multi", Target, P::KPROBE, Some(A::TRACE_UPROBE_MULTI)),
    row("uretprobe.multi", Target, P::KPROBE, Some(A::TRACE_UPROBE_MULTI)),
    row("uprobe.session", Target, P::KPROBE, Some(A::TRACE_UPROBE_SESSION)),
    with(SLEEPABLE, row("uprobe.multi.s", Target, P::KPROBE, Some(A::TRACE_UPROBE_MULTI))),
    with(SLEEPABLE, row("uretprobe.multi.s", Target, P::KPROBE, Some(A::TRACE_UPROBE_MULTI))),
    with(SLEEPABLE, row("uprobe.session.s", Target, P::KPROBE, Some(A::TRACE_UPROBE_SESSION))),
    row("ksyscall", Target, P::KPROBE, None),
    row("kretsyscall", Target, P::KPROBE, None),
    row("usdt", Target, P::KPROBE, None),
    with(SLEEPABLE, row("usdt.s", Target, P::KPROBE, None)),
    row("tc/ingress", Any, P::SCHED_CLS, Some(A::TCX_INGRESS)),
    row("tc/egress", Any, P::SCHED_CLS, Some(A::TCX_EGRESS)),
    row("tcx/ingress", Any, P::SCHED_CLS, Some(A::TCX_INGRESS)),
    row("tcx/egress", Any, P::SCHED_CLS, Some(A::TCX_EGRESS)),
    row("tc", Any, P::SCHED_CLS, None),
    row("classifier", Any, P::SCHED_CLS, None),
    row("action", Any, P::SCHED_ACT, None),
    row("prog", Exact, P::XDP, Some(A::XDP)),
    row("netkit/primary", Any, P::SCHED_CLS, Some(A::NETKIT_PRIMARY)),
    row("netkit/peer", Any, P::SCHED_CLS, Some(A::NETKIT_PEER)),
    row("tracepoint", Target, P::TRACEPOINT, None),
    row("tp", Target, P::TRACEPOINT, None),
    with(SLEEPABLE, row("tracepoint.s", Target, P::TRACEPOINT, None)),
    with(SLEEPABLE, row("tp.s", Target, P::TRACEPOINT, None)),
    row("raw_tracepoint", Target, P::RAW_TRACEPOINT, None),
    row("raw_tp", Target, P::RAW_TRACEPOINT, None),
    with(SLEEPABLE, row("raw_tracepoint.s", Target, P::RAW_TRACEPOINT, None)),
    with(SLEEPABLE, row("raw_tp.s", Target, P::RAW_TRACEPOINT, None)),
    row("raw_tracepoint.w", Target, P::RAW_TRACEPOINT_WRITABLE, None),
    row("raw_tp.w", Target, P::RAW_TRACEPOINT_WRITABLE, None),
    row("tp_btf", Target, P::TRACING, Some(A::TRACE_RAW_TP)),
    with(SLEEPABLE, row("tp_btf.s", Target, P::TRACING, Some(A::TRACE_RAW_TP))),
    row("fentry", Target, P::TRACING, Some(A::TRACE_FENTRY)),
    row("fmod_ret", Target, P::TRACING, Some(A::MODIFY_RETURN)),
    row("fexit", Target, P::TRACING, Some(A::TRACE_FEXIT)),
    with(SLEEPABLE, row("fentry.s", Target, P::TRACING, Some(A::TRACE_FENTRY))),
    with(SLEEPABLE, row("fmod_ret.s", Target, P::TRACING, Some(A::MODIFY_RETURN))),
    with(SLEEPABLE, row("fexit.s", Target, P::TRACING, Some(A::TRACE_FEXIT))),
    row("fsession", Target, P::TRACING, Some(A::TRACE_FSESSION)),
    with(SLEEPABLE, row("fsession.s", Target, P::TRACING, Some(A::TRACE_FSESSION))),
    row("freplace", Target, P::EXT, None),
    row("lsm", Target, P::LSM, Some(A::LSM_MAC)),
    with(SLEEPABLE, row("lsm.s", Target, P::LSM, Some(A::LSM_MAC))),
    row("lsm_cgroup", Target, P::LSM, Some(A::LSM_CGROUP)),
    row("iter", Target, P::TRACING, Some(A::TRACE_ITER)),
    with(SLEEPABLE, row("iter.s", Target, P::TRACING, Some(A::TRACE_ITER))),
    with(SLEEPABLE, row("syscall", Any, P::SYSCALL, None)),
    with(FRAGS, row("xdp.frags/devmap", Any, P::XDP, Some(A::XDP_DEVMAP))),
    row("xdp/devmap", Any, P::XDP, Some(A::XDP_DEVMAP)),
    row("xdp_devmap", Name, P::XDP, Some(A::XDP_DEVMAP)),
    with(FRAGS, row("xdp.frags/cpumap", Any, P::XDP, Some(A::XDP_CPUMAP))),
    row("xdp/cpumap", Any, P::XDP, Some(A::XDP_CPUMAP)),
    row("xdp_cpumap", Name, P::XDP, Some(A::XDP_CPUMAP)),
    with(FRAGS, row("xdp.frags", Any, P::XDP, Some(A::XDP))),
    row("xdp", Any, P::XDP, Some(A::XDP)),
    row("perf_event", Any, P::PERF_EVENT, None),
    row("lwt_in", Any, P::LWT_IN, None),
    row("lwt_out", Any, P::LWT_OUT, None),
    row("lwt_xmit", Any, P::LWT_XMIT, None),
    row("lwt_seg6local", Any, P::LWT_SEG6LOCAL, None),
    row("sockops", Any, P::SOCK_OPS, Some(A::CGROUP_SOCK_OPS)),
    row("sk_skb/stream_parser", Any, P::SK_SKB, Some(A::SK_SKB_STREAM_PARSER)),
    row("sk_skb/stream_verdict", Any, P::SK_SKB, Some(A::SK_SKB_STREAM_VERDICT)),
    row("sk_skb/verdict", Any, P::SK_SKB, Some(A::SK_SKB_VERDICT)),
    row("sk_skb", Any, P::SK_SKB, None),
    row("sk_msg", Any, P::SK_MSG, Some(A::SK_MSG_VERDICT)),
    row("lirc_mode2", Any, P::LIRC_MODE2, Some(A::LIRC_MODE2)),
    row("flow_dissector", Any, P::FLOW_DISSECTOR, Some(A::FLOW_DISSECTOR)),
    row("cgroup_skb/ingress", Any, P::CGROUP_SKB, Some(A::CGROUP_INET_INGRESS)),
    row("cgroup_skb/egress", Any, P::CGROUP_SKB, Some(A::CGROUP_INET_EGRESS)),
    row("cgroup/skb", Any, P::CGROUP_SKB, None),
    row("cgroup/sock_create", Any, P::CGROUP_SOCK, Some(A::CGROUP_INET_SOCK_CREATE)),
    row("cgroup/sock_release", Any, P::CGROUP_SOCK, Some(A::CGROUP_INET_SOCK_RELEASE)),
    row("cgroup/sock", Any, P::CGROUP_SOCK, Some(A::CGROUP_INET_SOCK_CREATE)),
    row("cgroup/post_bind4", Any, P::CGROUP_SOCK, Some(A::CGROUP_INET4_POST_BIND)),
    row("cgroup/post_bind6", Any, P::CGROUP_SOCK, Some(A::CGROUP_INET6_POST_BIND)),
    row("cgroup/bind4", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET4_BIND)),
    row("cgroup/bind6", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET6_BIND)),
    row("cgroup/connect4", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET4_CONNECT)),
    row("cgroup/connect6", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET6_CONNECT)),
    row("cgroup/connect_unix", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UNIX_CONNECT)),
    row("cgroup/sendmsg4", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UDP4_SENDMSG)),
    row("cgroup/sendmsg6", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UDP6_SENDMSG)),
    row("cgroup/sendmsg_unix", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UNIX_SENDMSG)),
    row("cgroup/recvmsg4", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UDP4_RECVMSG)),
    row("cgroup/recvmsg6", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UDP6_RECVMSG)),
    row("cgroup/recvmsg_unix", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UNIX_RECVMSG)),
    row("cgroup/getpeername4", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET4_GETPEERNAME)),
    row("cgroup/getpeername6", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET6_GETPEERNAME)),
    row("cgroup/getpeername_unix", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UNIX_GETPEERNAME)),
    row("cgroup/getsockname4", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET4_GETSOCKNAME)),
    row("cgroup/getsockname6", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET6_GETSOCKNAME)),
    row("cgroup/getsockname_unix", Any, P::CGROUP_SOCK_ADDR, Some(A::CGROUP_UNIX_GETSOCKNAME)),
    row("cgroup/sysctl", Any, P::CGROUP_SYSCTL, Some(A::CGROUP_SYSCTL)),
    row("cgroup/getsockopt", Any, P::CGROUP_SOCKOPT, Some(A::CGROUP_GETSOCKOPT)),
    row("cgroup/setsockopt", Any, P::CGROUP_SOCKOPT, Some(A::CGROUP_SETSOCKOPT)),
    row("cgroup/dev", Any, P::CGROUP_DEVICE, Some(A::CGROUP_DEVICE)),
    row("struct_ops", Target, P::STRUCT_OPS, None),
    with(SLEEPABLE, row("struct_ops.s", Target, P::STRUCT_OPS, None)),
    row("sk_lookup", Any, P::SK_LOOKUP, Some(A::SK_LOOKUP)),
    row("netfilter", Any, P::NETFILTER, Some(A::NETFILTER)),
];

/// Returns what the section's name, without a leading `?`, says of its programs; none for a name of the author's own.
pub(super) fn kind(section: &str) -> Option<ProgramKind> {
    let (row, target) = row_of(section)?;
    Some(ProgramKind { program_type: row.program, attach_type: row.attach, target, flags: row.flags })
}

/// Returns the prefix by which a section's name, without a leading `?`, says what is in it: `kretprobe`.
pub fn section_prefix(section: &str) -> Option<&'static str> {
    row_of(section).map(|(row, _)| row.prefix)
}

/// Returns the row for a section's name, and the target that the name has.
fn row_of(section: &str) -> Option<(&'static Row, Option<String>)> {
    TABLE.iter().find_map(|row| {
        let rest = section.strip_prefix(row.prefix)?;
        let tail = rest.strip_prefix('/');
        let fits = match row.tail {
            Tail::None => rest.is_empty(),
            Tail::Name | Tail::Target => rest.is_empty() || tail.is_some(),
            Tail::Any => true,
        };
        let target = match row.tail {
            Tail::None | Tail::Name | Tail::Any => None,
            Tail::Target => tail.filter(|tail| !tail.is_empty()).map(str::to_owned),
        };
        fits.then_some((row, target))
    })
}

/// Reads iproute2's `ID/INDEX`: its program belongs into slot INDEX of the prog array whose id is ID.
///
/// iproute2 reads both with `%i` (`bpf_fill_prog_arrays` in `lib/bpf_legacy.c`): decimal, `0x` hexadecimal, `0` octal.
pub(super) fn tail_call(section: &str) -> Option<(u32, u32)> {
    let (id, index) = section.split_once('/')?;
    Some((number(id)?, number(index)?))
}

/// Reads a C integer constant.
pub(super) fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match (text.strip_prefix("0x").or(text.strip_prefix("0X")), text.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some("")) => ("0", 10),
        (None, Some(octal)) => (octal, 8),
        (None, None) => (text, 10),
    };
    // `from_str_radix` takes a sign, which a section's name cannot mean.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sections() {
        let cases = [
            ("xdp", Some((P::XDP, Some(A::XDP), None, 0))),
            ("xdp/mine", Some((P::XDP, Some(A::XDP), None, 0))),
            ("xdp/devmap", Some((P::XDP, Some(A::XDP_DEVMAP), None, 0))),
            ("xdp.frags", Some((P::XDP, Some(A::XDP), None, FRAGS))),
            ("xdp_sock", Some((P::XDP, Some(A::XDP), None, 0))),
            ("xdp_devmap", Some((P::XDP, Some(A::XDP_DEVMAP), None, 0))),
            ("xdp_devmap_log", Some((P::XDP, Some(A::XDP), None, 0))),
            ("ingress", None),
            ("socket1", Some((P::SOCKET_FILTER, None, None, 0))),
            ("tc", Some((P::SCHED_CLS, None, None, 0))),
            ("tcx/ingress", Some((P::SCHED_CLS, Some(A::TCX_INGRESS), None, 0))),
            ("tc_drop", Some((P::SCHED_CLS, None, None, 0))),
            ("program", None),
            ("classifier/named", Some((P::SCHED_CLS, None, None, 0))),
            ("action", Some((P::SCHED_ACT, None, None, 0))),
            ("prog", Some((P::XDP, Some(A::XDP), None, 0))),
            ("kprobes", None),
            ("kprobe/tcp_connect", Some((P::KPROBE, None, Some("tcp_connect"), 0))),
            ("kprobe.multi/tcp_*", Some((P::KPROBE, Some(A::TRACE_KPROBE_MULTI), Some("tcp_*"), 0))),
            ("tp/sched/sched_switch", Some((P::TRACEPOINT, None, Some("sched/sched_switch"), 0))),
            ("freplace/", Some((P::EXT, None, None, 0))),
            ("lsm.s/bpf", Some((P::LSM, Some(A::LSM_MAC), Some("bpf"), SLEEPABLE))),
            ("cgroup/skb", Some((P::CGROUP_SKB, None, None, 0))),
            ("cgroup_skb/ingress", Some((P::CGROUP_SKB, Some(A::CGROUP_INET_INGRESS), None, 0))),
            ("cgroup/connect4/proxy", Some((P::CGROUP_SOCK_ADDR, Some(A::CGROUP_INET4_CONNECT), None, 0))),
            ("cgroup/device", Some((P::CGROUP_DEVICE, Some(A::CGROUP_DEVICE), None, 0))),
            ("sk_reuseport/migrate", Some((P::SK_REUSEPORT, Some(A::SK_REUSEPORT_SELECT_OR_MIGRATE), None, 0))),
        ];
        for (name, want) in cases {
            let want = want.map(|(program_type, attach_type, target, flags)| ProgramKind {
                program_type,
                attach_type,
                target: target.map(str::to_owned),
                flags,
            });
            assert_eq!(kind(name), want, "{name}");
        }
    }

    #[test]
    fn every_prefix_finds_its_own_row() {
        for row in TABLE {
            let kind = kind(row.prefix).expect("a prefix names a kind");
            assert_eq!((kind.program_type, kind.attach_type, kind.flags), (row.program, row.attach, row.flags));
        }
    }

    #[test]
    fn tail_calls() {
        let cases = [
            ("42/0", Some((42, 0))),
            ("0xabc/0x10", Some((0xabc, 16))),
            ("010/1", Some((8, 1))),
            ("0/0", Some((0, 0))),
            ("tc/1", None),
            ("1/", None),
            ("-1/0", None),
            ("+1/0", None),
            ("1/2/3", None),
        ];
        for (name, want) in cases {
            assert_eq!(tail_call(name), want, "{name}");
        }
    }
}
