//! Runs a test, and compares what came of it with what was expected.

use super::input::{MARK, PRIORITY};
use super::{Failure, Outcome, Prepared, Returned, Way};
use crate::apply::rehearse;
use crate::cells::{Cell, Layout};
use crate::desired::{DesiredMap, MapSource};
use crate::diag::{Kind, Problem};
use crate::entries::Entries;
use crate::kernel::{Kernel, Ran};
use crate::kinds::MapType;
use crate::manifest::PacketAfter;
use crate::names::ProgramName;
use crate::packet::protocols::ETH;
use crate::packet::{self, compare};
use crate::spec::Host;
use std::io;
use std::ops::ControlFlow;

/// The errno of what the kernel cannot do for a type (`ENOTSUPP`, which the C library has no name for).
const ENOTSUPP: i32 = 524;

/// Loads the program of a test with fresh maps, runs it, and compares.
pub fn run<'a, K: Kernel>(kernel: &mut K, test: &Prepared<'a>, host: &Host) -> Outcome<'a> {
    let mut outcome = Outcome {
        case: test.case,
        program_type: test.loaded.program_type,
        packet: packet::summary(&test.frame),
        ran: None,
        failures: Vec::new(),
    };
    let rehearsed = rehearse(kernel, &test.loaded.plan);
    let problems = rehearsed.problems();
    let program = match rehearsed.programs.get(test.case.program) {
        Some(program) if problems.0.is_empty() => program,
        Some(_) | None => {
            outcome.failures = problems.0.into_iter().map(Failure::NotRun).collect();
            return outcome;
        }
    };
    let ran = match kernel.test_run(program, &test.input.request()) {
        Ok(ran) => ran,
        Err(error) => {
            outcome.failures.push(Failure::NotRun(refused(test, &error)));
            return outcome;
        }
    };
    outcome.ran = Some(Returned { verdict: ran.verdict, nanoseconds: ran.nanoseconds });
    outcome.failures = differences(test, ran);
    let exact = test.case.test.after.exact;
    for (map, expected) in &test.maps {
        let Some(fd) = rehearsed.maps.get(&map.name) else { continue };
        match entries(kernel, fd, map, host) {
            Ok(is) => outcome.failures.extend(entries_differ(map, expected, &is, exact)),
            Err(error) => {
                let doing = format!("read the entries of map.{}", map.name);
                outcome.failures.push(Failure::NotRun(problem(doing, &error, None)));
            }
        }
    }
    outcome
}

/// Makes a problem of what the kernel refuses.
pub(super) fn problem(doing: String, error: &io::Error, hint: Option<&str>) -> Problem {
    let errno = error.raw_os_error().unwrap_or(0);
    Problem::new(Kind::Kernel { doing, errno, hint: hint.map(str::to_owned) })
}

/// Says why the kernel did not run a program.
fn refused(test: &Prepared<'_>, error: &io::Error) -> Problem {
    let (program, program_type): (&ProgramName, _) = (test.case.program, test.loaded.program_type);
    if error.raw_os_error() == Some(ENOTSUPP) {
        return Problem::new(Kind::NotTestable { program: program.clone(), program_type });
    }
    let has_interface = test.case.test.context.interface.is_some();
    let hint = match (test.input.way, error.raw_os_error()) {
        (Way::Xdp, Some(libc::EINVAL)) if has_interface => Some(
            "the kernel takes an interface for a test of XDP from Linux 5.15 on, and only one whose queues are set up for XDP",
        ),
        (Way::Xdp | Way::Skb { .. } | Way::FlowDissector, Some(libc::EINVAL)) if test.frame.len() < ETH.len => {
            Some("the kernel takes no packet that is shorter than the header of Ethernet, 14 bytes")
        }
        _ => None,
    };
    problem(format!("run program.{program} for a test"), error, hint)
}

/// Compares what came back.
fn differences(test: &Prepared<'_>, ran: Ran) -> Vec<Failure> {
    let mut failures = Vec::new();
    let after = &test.case.test.after;
    if let Some(expected) = test.verdict.filter(|expected| *expected != ran.verdict) {
        failures.push(Failure::Verdict { expected, is: ran.verdict });
    }
    let is = came_back(test, ran.packet);
    match after.packet.as_ref().map(|packet| &packet.value) {
        Some(PacketAfter::Unchanged) if is != test.frame => {
            failures.push(Failure::Bytes { expected: test.frame.clone(), is });
        }
        Some(PacketAfter::Bytes(expected)) if is != *expected => {
            failures.push(Failure::Bytes { expected: expected.clone(), is });
        }
        Some(PacketAfter::Layers(expected)) => {
            failures.extend(compare(expected, &is).into_iter().map(Failure::Field));
        }
        Some(PacketAfter::Unchanged | PacketAfter::Bytes(_)) | None => {}
    }
    for (what, said, at) in [("mark", &after.mark, MARK), ("priority", &after.priority, PRIORITY)] {
        let word = ran.context.get(at..).and_then(<[u8]>::first_chunk);
        let is = word.map_or(0, |word| u32::from_ne_bytes(*word));
        if let Some(expected) = said.as_ref().filter(|said| said.value != is) {
            failures.push(Failure::Context { what, expected: expected.value, is });
        }
    }
    failures
}

/// Puts Ethernet back where the program did not see it, and zeros come back.
fn came_back(test: &Prepared<'_>, mut packet: Vec<u8>) -> Vec<u8> {
    if let (Way::Skb { ethernet: false }, Some(header), Some(was)) =
        (test.input.way, packet.get_mut(..ETH.len), test.frame.get(..ETH.len))
    {
        header.copy_from_slice(was);
    }
    packet
}

/// Reads what a map holds.
fn entries<K: Kernel>(kernel: &K, fd: &K::Fd, map: &DesiredMap, host: &Host) -> io::Result<Entries> {
    let MapSource::Defined(definition) = &map.source else { return Ok(Entries::new(1, 0)) };
    let sizes = (definition.spec.key_size as usize, definition.spec.user_value_size(host));
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    kernel.read_entries(fd, sizes, &mut |some_keys, some_values| {
        keys.extend_from_slice(some_keys);
        values.extend_from_slice(some_values);
        ControlFlow::Continue(())
    })?;
    Ok(Entries::latest(sizes.0, sizes.1, keys, values))
}

/// Lists the entries that are other than expected; with `exact` those that should not be there as well.
fn entries_differ(map: &DesiredMap, expected: &Entries, is: &Entries, exact: bool) -> Vec<Failure> {
    let MapSource::Defined(definition) = &map.source else { return Vec::new() };
    let layout = Layout::new(&definition.spec, &definition.formats);
    let text = |cell: Cell<'_>| if definition.sensitive { "(sensitive)".to_owned() } else { cell.text() };
    let entry = |of: &[u8], expected: Option<Cell<'_>>, is: Option<Cell<'_>>| Failure::Entry {
        map: map.name.clone(),
        key: text(layout.key(of)),
        expected: expected.map(text),
        is: is.map(text),
    };
    let mut failures = Vec::new();
    for (of, wanted) in expected.iter() {
        let wanted = first(&layout, wanted);
        let found = is.get(of).map(|is| of_all_cpus(&layout, is));
        if found.as_ref().map(Cell::value) != Some(wanted.value()) {
            failures.push(entry(of, Some(wanted), found));
        }
    }
    let all_exist = matches!(definition.spec.map_type, MapType::ARRAY | MapType::PERCPU_ARRAY);
    let more = is.iter().filter(|(key, value)| {
        let is_nothing = all_exist && value.iter().all(|byte| *byte == 0);
        exact && expected.get(key).is_none() && !is_nothing
    });
    failures.extend(more.map(|(of, value)| entry(of, None, Some(of_all_cpus(&layout, value)))));
    failures
}

/// Returns the value that was written once, for all CPUs.
fn first<'a>(layout: &'a Layout, bytes: &'a [u8]) -> Cell<'a> {
    layout.data(bytes).next().unwrap_or(Cell::Bytes(&[]))
}

/// Returns the value with the numbers of all CPUs added up.
fn of_all_cpus<'a>(layout: &'a Layout, bytes: &'a [u8]) -> Cell<'a> {
    layout.sum(bytes).unwrap_or_else(|| first(layout, bytes))
}
