//! Events on the running kernel: where tracefs, the event sources and the files of programs say what they are.

use super::sys;
use crate::desired::{Counter, Rate};
use crate::kinds::AttachType;
use crate::observed::{EventInfo, FilePlace, PerfInfo, ProbedFunctions};
use object::Endianness;
use object::read::elf::{ElfFile64, FileHeader};
use object::read::{Object as _, ObjectSegment as _, ObjectSymbol as _};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// What `perf_event_open` is asked for.
#[derive(Debug, Clone, Copy)]
pub enum EventRequest<'a> {
    /// A tracepoint.
    Tracepoint {
        /// Its id.
        id: u64,
    },
    /// An instruction of the kernel.
    Kprobe {
        /// The function.
        function: &'a str,
        /// Bytes behind its start.
        offset: u64,
        /// Whether it is met where it returns.
        returns: bool,
    },
    /// An instruction in a file.
    Uprobe {
        /// The file.
        binary: &'a str,
        /// Bytes behind its start.
        offset: u64,
        /// The process; `None` for all.
        pid: Option<u32>,
        /// Whether the function is met where it returns.
        returns: bool,
    },
    /// A counter.
    Counter(&'a Counter),
}

/// A link to an event.
#[derive(Debug)]
pub enum TraceRequest<'a, Fd> {
    /// A raw tracepoint, or for `None` what the program was loaded for (`BPF_RAW_TRACEPOINT_OPEN`).
    Raw {
        /// The name of the tracepoint.
        name: Option<&'a str>,
        /// What `bpf_get_attach_cookie` gives the program.
        cookie: Option<u64>,
    },
    /// What the program was loaded for, or a function of another program (`BPF_LINK_CREATE`).
    Tracing {
        /// The program's attach type.
        attach_type: AttachType,
        /// The other program, and the type of the function in its BTF.
        target: Option<(&'a Fd, u32)>,
        /// What `bpf_get_attach_cookie` gives the program.
        cookie: Option<u64>,
    },
    /// An event, which is opened for it (`perf_event_open`, running from the start) and lives as long as the link.
    Perf {
        /// The event.
        event: EventRequest<'a>,
        /// What `bpf_get_attach_cookie` gives the program.
        cookie: Option<u64>,
    },
    /// Many functions of the kernel.
    KprobeMulti {
        /// The functions.
        functions: &'a [String],
        /// Whether they are met where they return.
        returns: bool,
        /// What `bpf_get_attach_cookie` gives the program.
        cookie: Option<u64>,
    },
}

/// Where tracefs is mounted, newest first.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Reads the id of a tracepoint; `NotFound` when there is none, `ENODEV` when tracefs is not mounted.
pub(super) fn tracepoint(category: &str, name: &str) -> io::Result<u64> {
    let mounted = TRACEFS.iter().find(|mount| fs::exists(format!("{mount}/events")).unwrap_or(false));
    let mount = mounted.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?;
    number(&format!("{mount}/events/{category}/{name}/id"))
}

/// Where the kernel lists its sources of events.
const SOURCES: &str = "/sys/bus/event_source/devices";

/// Tells whether the kernel has an event source; without sysfs it may.
pub(super) fn has_source(name: &str) -> io::Result<bool> {
    Ok(!fs::exists(SOURCES)? || fs::exists(format!("{SOURCES}/{name}"))?)
}

/// Reads the number of an event source; `ENODEV` when the kernel has none of that name.
fn source(name: &str) -> io::Result<u32> {
    let number = number(&format!("{SOURCES}/{name}/type")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::from_raw_os_error(libc::ENODEV),
        _ => error,
    })?;
    u32::try_from(number).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn number(path: &str) -> io::Result<u64> {
    fs::read_to_string(path)?.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Finds the place of a symbol, or the start, of a file; `NotFound` when there is no such file, `ENOEXEC` when it is not
/// an ELF file of this machine, `ENXIO` when it has no such function.
pub(super) fn place(binary: &str, symbol: Option<&str>) -> io::Result<FilePlace> {
    let metadata = fs::metadata(binary)?;
    let offset = match symbol {
        Some(symbol) => offset_of(&fs::read(binary)?, symbol)?,
        None => 0,
    };
    Ok(FilePlace { device: metadata.dev(), inode: metadata.ino(), offset })
}

/// Returns where in a file a function starts.
fn offset_of(bytes: &[u8], symbol: &str) -> io::Result<u64> {
    let foreign = |_| io::Error::from_raw_os_error(libc::ENOEXEC);
    let file = ElfFile64::<Endianness>::parse(bytes).map_err(foreign)?;
    // A library that was stripped has the names for others only.
    let named = file.symbols().chain(file.dynamic_symbols()).filter(|known| known.is_definition());
    let mut named = named.filter(|known| known.name() == Ok(symbol)).map(|known| known.address());
    let address = named.next().ok_or_else(|| io::Error::from_raw_os_error(libc::ENXIO))?;
    let is_relocatable = file.elf_header().e_type(file.endian()) == object::elf::ET_REL;
    let segment = file.segments().find_map(|segment| {
        let behind = address.checked_sub(segment.address())?;
        let (start, size) = segment.file_range();
        (behind < size && !is_relocatable).then(|| start.checked_add(behind))?
    });
    segment.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOEXEC))
}

/// `perf_event_open`
pub(super) fn open(request: &EventRequest<'_>) -> io::Result<OwnedFd> {
    /// `PERF_TYPE_TRACEPOINT`
    const TRACEPOINT: u32 = 2;
    /// The process and the CPU of what happens anywhere: the program runs on each, whichever one is named.
    const ANYWHERE: (i32, i32) = (-1, 0);
    match request {
        EventRequest::Tracepoint { id } => {
            sys::open_event(sys::Event { kind: TRACEPOINT, config: *id, rate: 1, ..sys::Event::default() }, ANYWHERE)
        }
        EventRequest::Kprobe { function, offset, returns } => {
            let name = CString::new(*function)?;
            let event = sys::Event {
                kind: source("kprobe")?,
                config: (*returns).into(),
                offset: *offset,
                ..sys::Event::default()
            };
            sys::open_probe(event, &name, ANYWHERE)
        }
        EventRequest::Uprobe { binary, offset, pid, returns } => {
            let name = CString::new(*binary)?;
            let event = sys::Event {
                kind: source("uprobe")?,
                config: (*returns).into(),
                offset: *offset,
                ..sys::Event::default()
            };
            let place = pid.map_or(Ok(ANYWHERE), |pid| Ok::<_, io::Error>((signed(pid)?, -1)))?;
            sys::open_probe(event, &name, place)
        }
        EventRequest::Counter(counter) => {
            let (rate, by_frequency) = match counter.rate {
                Rate::Period(period) => (period, false),
                Rate::Frequency(frequency) => (frequency, true),
            };
            let kind = counter.source.number();
            let event = sys::Event { kind, config: counter.config, rate, by_frequency, ..sys::Event::default() };
            let anywhere = |number: Option<u32>| number.map_or(Ok(-1), signed);
            sys::open_event(event, (anywhere(counter.pid)?, anywhere(counter.cpu)?))
        }
    }
}

fn signed(number: u32) -> io::Result<i32> {
    i32::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Asks what a link of `link_type` (`enum bpf_link_type`) is of; `None` for one that is no event.
pub(super) fn info(link: BorrowedFd<'_>, info: &sys::LinkInfo) -> io::Result<Option<EventInfo>> {
    Ok(Some(match info.link_type {
        1 => EventInfo::RawTracepoint { name: sys::link_name(link)? },
        2 => EventInfo::Tracing { attach_type: AttachType(info.first), object: info.second, type_id: info.third },
        4 => EventInfo::Iter { target: sys::link_name(link)? },
        7 => EventInfo::Perf(perf(link)?),
        // The kernel tells it from 6.6 on.
        8 => EventInfo::KprobeMulti(
            (info.third != 0).then_some(ProbedFunctions { count: info.third, returns: info.fourth & 1 != 0 }),
        ),
        _ => return Ok(None),
    }))
}

/// Tells what the kernel says of a link to an event of `perf_event_open`: from 6.6 on, by `enum bpf_perf_event_type`.
fn perf(link: BorrowedFd<'_>) -> io::Result<Option<PerfInfo>> {
    let (info, name) = sys::perf_info(link)?;
    let offset = info.offset.into();
    Ok(match info.kind {
        1 | 2 => Some(PerfInfo::Uprobe { binary: name, offset, returns: info.kind == 2 }),
        3 | 4 => Some(PerfInfo::Kprobe { function: name, offset, returns: info.kind == 4 }),
        5 => Some(PerfInfo::Tracepoint { name }),
        6 => Some(PerfInfo::Counter { source: info.name_len, config: info.name }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_files() {
        let error = |binary: &str, symbol: Option<&str>| place(binary, symbol).unwrap_err().raw_os_error();
        let own = std::env::current_exe().expect("we run");
        let own = own.to_str().expect("a path in UTF-8");
        assert_eq!(place(own, None).expect("it is there").offset, 0);
        assert_eq!(error(own, Some("no_such_function_at_all")), Some(libc::ENXIO));
        assert_eq!(error("/no/such/file", Some("main")), Some(libc::ENOENT));
        assert_eq!(error("/etc/passwd", Some("main")), Some(libc::ENOEXEC));
        assert!(place(own, Some("main")).expect("every program has it").offset > 0);
    }
}
