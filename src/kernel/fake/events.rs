//! Events of the small kernel: tracepoints, by their two kinds of links. Anything else that happens it
//! refuses, as kernels do that were built without it.

use super::super::{EventRequest, TraceRequest};
use super::{Hook, HookInfo, Program, State, refuse};
use crate::kinds::ProgramType;
use crate::observed::{EventInfo, PerfInfo};
use std::io;

impl State {
    /// Checks an event for a program (`bpf_raw_tp_link_attach`, `bpf_perf_link_attach`, `bpf_iter_link_attach`).
    pub(super) fn event_hook<Fd>(
        &self,
        program: &Program,
        request: &TraceRequest<'_, Fd>,
    ) -> io::Result<(Hook, HookInfo)> {
        let info = match (request, program.info.program_type) {
            (
                TraceRequest::Raw { name: Some(name), .. },
                ProgramType::RAW_TRACEPOINT | ProgramType::RAW_TRACEPOINT_WRITABLE,
            ) => match self.tracepoints.keys().any(|(_, known)| known == name) {
                true => EventInfo::RawTracepoint { name: (*name).to_owned() },
                false => return refuse(libc::ENOENT),
            },
            (TraceRequest::Perf { event: EventRequest::Tracepoint { id }, .. }, ProgramType::TRACEPOINT) => {
                match self.tracepoints.iter().find(|(_, known)| *known == id) {
                    Some(((_, name), _)) => EventInfo::Perf(Some(PerfInfo::Tracepoint { name: name.clone() })),
                    None => return refuse(libc::EINVAL),
                }
            }
            (
                TraceRequest::Perf {
                    event: EventRequest::Kprobe { .. } | EventRequest::Uprobe { .. } | EventRequest::Counter(_),
                    ..
                },
                _,
            ) => return refuse(libc::ENODEV),
            (TraceRequest::KprobeMulti { .. }, _) => return refuse(libc::EOPNOTSUPP),
            (TraceRequest::Raw { .. } | TraceRequest::Tracing { .. } | TraceRequest::Perf { .. }, _) => {
                return refuse(libc::EINVAL);
            }
        };
        Ok((Hook::Event, HookInfo::Event(info)))
    }
}

/// Returns whether the kernel replaces no program of such a link, nor detaches it (`bpf_raw_tp_link_lops`,
/// `bpf_perf_link_lops`).
pub(super) fn is_fixed(kind: &HookInfo) -> bool {
    match kind {
        HookInfo::Event(EventInfo::Iter { .. }) => false,
        HookInfo::Event(_) => true,
        HookInfo::Xdp { .. }
        | HookInfo::Tcx { .. }
        | HookInfo::Netkit { .. }
        | HookInfo::Cgroup { .. }
        | HookInfo::Sockmap { .. }
        | HookInfo::StructOps { .. }
        | HookInfo::Direct(_)
        | HookInfo::Netns { .. }
        | HookInfo::Netfilter(_)
        | HookInfo::Other(_) => false,
    }
}
