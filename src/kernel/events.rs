//! Looks events up before something is attached to them, as far as the host tells where they are.

use super::Kernel;
use super::observe::refused;
use crate::desired::{Event, Uprobe};
use crate::diag::{PRIVILEGES, Problem};
use crate::kinds::AttachType;
use crate::observed::{EventLack, EventPlace};
use std::io;

/// Finds an event, or what is not there of it.
pub(crate) fn find<K: Kernel>(kernel: &K, event: &Event) -> Result<Result<EventPlace, EventLack>, Problem> {
    let doing = |error| refused(format!("look {event} up"), &error, PRIVILEGES);
    match event {
        Event::Tracepoint { category, name } => match kernel.tracepoint(category, name) {
            Ok(id) => Ok(Ok(EventPlace::Tracepoint(id))),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT) => Ok(Err(EventLack::Tracepoint)),
                Some(libc::ENODEV) => Ok(Err(EventLack::Tracefs)),
                _ => Err(doing(error)),
            },
        },
        Event::Uprobe(Uprobe { binary, symbol, .. }) => match kernel.place_in_file(binary, symbol.as_deref()) {
            Ok(place) => Ok(Ok(EventPlace::File(place))),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => Ok(Err(EventLack::File)),
                Some(libc::ENXIO) => Ok(Err(EventLack::Symbol)),
                Some(libc::ENOEXEC) => Ok(Err(EventLack::Format)),
                _ => Err(doing(error)),
            },
        },
        // Such a link is made without it, and its program never runs.
        Event::Target { attach_type: AttachType::LSM_MAC, .. } => match kernel.security_modules() {
            Ok(modules) if modules.trim().split(',').all(|module| module != "bpf") => Ok(Err(EventLack::Lsm)),
            Ok(_) => Ok(Ok(EventPlace::Kernel)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(EventPlace::Kernel)),
            Err(error) => Err(doing(error)),
        },
        // The kernel makes no link to one without, which it would say only when somebody tries (CONFIG_KPROBE_EVENTS).
        Event::Kprobe { .. } => match kernel.has_event_source("kprobe").map_err(doing)? {
            true => Ok(Ok(EventPlace::Kernel)),
            false => Ok(Err(EventLack::Kprobes)),
        },
        Event::RawTracepoint { .. }
        | Event::Target { .. }
        | Event::Extension { .. }
        | Event::Counter(_)
        | Event::KprobeMulti { .. } => Ok(Ok(EventPlace::Kernel)),
    }
}
