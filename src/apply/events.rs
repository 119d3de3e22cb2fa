//! Links to events: what they need beside a program, and what their refusals mean.

use super::stage::function_named;
use super::{Applier, Kind, Problem, attached, attaching, kernel_problem, refused, stale};
use crate::btf::TypeId;
use crate::desired::{DesiredLink, Event, Trace, Uprobe};
use crate::kernel::{EventInfo, EventRequest, HookRequest, Kernel, TraceRequest, events};
use crate::kinds::AttachType;
use crate::names::ProgramName;
use crate::observed::EventPlace;
use std::io;
use std::time::{Duration, Instant};

/// How long the kernel may take to let a function go whose extension has no pin and no descriptor any more: it waits for
/// all who may still read the pin.
const LETS_GO: Duration = Duration::from_secs(5);

impl<K: Kernel> Applier<'_, K> {
    /// Attaches a program to an event; the link is not pinned yet.
    pub(super) fn create_event_link(
        &mut self,
        link: &DesiredLink,
        trace: &Trace,
        place: EventPlace,
    ) -> Result<K::Fd, Problem> {
        if events::find(self.kernel, &trace.event)? != Ok(place) {
            return Err(stale(format!("{} is another one now", trace.event)));
        }
        let target = trace.event.extended();
        let target = target.map(|(program, function)| self.function_of_program(program, function)).transpose()?;
        let target = target.as_ref().map(|(name, function)| (&self.programs[name], *function));
        let program = attached(link, &self.maps, &self.programs);
        let created = create(self.kernel, program, trace, place, target);
        created.map_err(|error| event_refused(attaching(link), trace, &error))
    }

    /// Finds a function of another program of the deployment, by the types that it was loaded with.
    fn function_of_program(&self, program: &str, function: &str) -> Result<(ProgramName, TypeId), Problem> {
        let known = self.programs.get_key_value(program);
        let Some((name, fd)) = known else { return Err(stale(format!("program.{program} is gone"))) };
        let doing = || format!("read the BTF of program.{program}");
        let found = function_named(self.kernel, fd, function).map_err(|error| refused(doing(), &error))?;
        let found = found.ok_or_else(|| stale(format!("program.{program} has no function {function} any more")))?;
        Ok((name.clone(), found))
    }
}

/// Makes a link to an event, with the function of another program for an extension.
fn create<K: Kernel>(
    kernel: &mut K,
    program: &K::Fd,
    Trace { event, cookie }: &Trace,
    place: EventPlace,
    target: Option<(&K::Fd, TypeId)>,
) -> io::Result<K::Fd> {
    let cookie = *cookie;
    let request = match event {
        Event::RawTracepoint { name } => TraceRequest::Raw { name: Some(name), cookie },
        // The older command is good for all but the cookies of those that are called as functions are.
        Event::Target { attach_type: AttachType::TRACE_RAW_TP, .. } => TraceRequest::Raw { name: None, cookie },
        Event::Target { attach_type: attach_type @ AttachType::TRACE_ITER, .. } => {
            TraceRequest::Tracing { attach_type: *attach_type, target: None, cookie: None }
        }
        Event::Target { attach_type, .. } => match cookie {
            None => TraceRequest::Raw { name: None, cookie: None },
            Some(_) => TraceRequest::Tracing { attach_type: *attach_type, target: None, cookie },
        },
        Event::Extension { .. } => {
            let attach_type = EventInfo::EXTENSION;
            return patiently(|| {
                let request = TraceRequest::Tracing { attach_type, target, cookie };
                kernel.create_link(program, &HookRequest::Trace(request))
            });
        }
        Event::KprobeMulti { functions, returns } => TraceRequest::KprobeMulti { functions, returns: *returns, cookie },
        Event::Tracepoint { .. } => {
            let EventPlace::Tracepoint(id) = place else { return Err(io::ErrorKind::InvalidInput.into()) };
            TraceRequest::Perf { event: EventRequest::Tracepoint { id }, cookie }
        }
        Event::Kprobe { function, offset, returns } => {
            let event = EventRequest::Kprobe { function, offset: *offset, returns: *returns };
            TraceRequest::Perf { event, cookie }
        }
        Event::Uprobe(Uprobe { binary, offset, pid, returns, .. }) => {
            let start = place.file().map_or(0, |file| file.offset);
            let Some(offset) = start.checked_add(*offset) else { return Err(io::ErrorKind::InvalidInput.into()) };
            let event = EventRequest::Uprobe { binary, offset, pid: *pid, returns: *returns };
            TraceRequest::Perf { event, cookie }
        }
        Event::Counter(counter) => TraceRequest::Perf { event: EventRequest::Counter(counter), cookie },
    };
    kernel.create_link(program, &HookRequest::Trace(request))
}

/// Tries again for as long as what gave a function back is still about to go.
pub(super) fn patiently<T>(mut attach: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let end = Instant::now() + LETS_GO;
    loop {
        match attach() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => return result,
        }
    }
}

/// Makes a problem of a refused link: the program is of the right type, so the event is not there, or the kernel has no
/// such links.
fn event_refused(doing: String, trace: &Trace, error: &io::Error) -> Problem {
    let event = &trace.event;
    let gone = |why: &str, hint, of_kernel| {
        Problem::new(Kind::NoEvent { event: event.to_string(), why: why.to_owned(), hint, of_kernel })
    };
    let lacks = || Problem::new(Kind::NoSuchLink { hook: trace.to_string(), since: trace.may_lack() });
    match (event, error.raw_os_error()) {
        (Event::RawTracepoint { .. }, Some(libc::ENOENT)) => {
            gone("this kernel has no such tracepoint", Some("raw tracepoints have no category: `sched_switch`"), true)
        }
        (Event::Kprobe { .. } | Event::KprobeMulti { .. }, Some(libc::ENOENT | libc::ESRCH)) => gone(
            "this kernel has no such function",
            Some("those that can be probed are in `available_filter_functions` of tracefs"),
            true,
        ),
        (Event::Kprobe { .. } | Event::Uprobe(_), Some(libc::EILSEQ)) => {
            gone("no instruction starts there", None, false)
        }
        (Event::Counter(_) | Event::Uprobe(_), Some(libc::ESRCH)) => gone("there is no such process", None, false),
        (Event::Counter(_), Some(libc::ENODEV)) => gone("there is no such CPU", None, false),
        (Event::Counter(_), Some(libc::ENOENT | libc::EOPNOTSUPP)) => {
            gone("this machine cannot count that", Some("virtual machines often have software counters alone"), true)
        }
        (_, Some(libc::ENODEV | libc::EINVAL | libc::EOPNOTSUPP | libc::E2BIG)) => lacks(),
        (Event::Extension { .. }, Some(libc::EBUSY)) => {
            let mut problem = kernel_problem(doing, error);
            if let Kind::Kernel { hint, .. } = &mut *problem.kind {
                *hint = Some("another program replaces that function already".to_owned());
            }
            problem
        }
        _ => kernel_problem(doing, error),
    }
}
