//! Runs captured packets through the programs of a manifest, and of what it was before: through copies of both with maps of
//! their own, which hold at the start what each manifest gives them. Each program sees all packets in their order.

use super::input::{Way, input};
use super::prepare::{Base, ready};
use super::run::problem;
use crate::apply::rehearse;
use crate::diag::Problems;
use crate::kernel::Kernel;
use crate::manifest::{At, Context, TestMaps};
use crate::names::ProgramName;
use crate::packet::summary;
use crate::traffic::{Replay, Replayed, changes, counted};
use std::collections::{BTreeMap, BTreeSet};

/// Runs all packets through all programs that links run, of the types that get packets.
///
/// # Errors
/// What keeps programs from being loaded: first those of the manifest as it was before, `true`, then those of the new one.
pub fn replay<K: Kernel>(
    kernel: &mut K,
    capture: (&str, &[Vec<u8>]),
    new: &Base<'_>,
    old: Option<(&str, &Base<'_>)>,
) -> Result<Replay, (bool, Problems)> {
    let (name, packets) = capture;
    let links = new.manifest.links.values();
    let attached: BTreeSet<_> = links.filter_map(|link| Some(&link.program.as_ref()?.value)).collect();
    let mut programs = BTreeMap::new();
    for program in attached {
        let before = match old {
            Some((_, old)) if old.manifest.programs.contains_key(program) => {
                verdicts(kernel, old, program, packets).map_err(|problems| (true, problems))?
            }
            Some(_) | None => None,
        };
        let Some((program_type, after)) =
            verdicts(kernel, new, program, packets).map_err(|problems| (false, problems))?
        else {
            continue;
        };
        let before = before.filter(|(was, _)| *was == program_type).map(|(_, before)| before);
        let changes = before.as_deref().map(|before| changes(before, &after, |at| summary(&packets[at])));
        let replayed = Replayed {
            program_type,
            after: counted(&after),
            before: before.as_deref().map(counted),
            changes: changes.unwrap_or_default(),
        };
        programs.insert(program.clone(), replayed);
    }
    Ok(Replay {
        capture: name.to_owned(),
        packets: packets.len(),
        before: old.map(|(name, _)| name.to_owned()),
        programs,
    })
}

/// The verdict on each packet, `None` for one that the kernel does not give to the program.
type Given = (crate::kinds::ProgramType, Vec<Option<u32>>);

/// Returns what a program makes of each packet; `None` for a program that gets no packets.
fn verdicts<K: Kernel>(
    kernel: &mut K,
    base: &Base<'_>,
    program: &ProgramName,
    packets: &[Vec<u8>],
) -> Result<Option<Given>, Problems> {
    let loaded = ready(kernel, base, program, &TestMaps::new())?;
    let Some(way) = Way::of(loaded.program_type) else { return Ok(None) };
    let rehearsed = rehearse(kernel, &loaded.plan);
    let problems = rehearsed.problems();
    let Some(fd) = rehearsed.programs.get(program).filter(|_| problems.0.is_empty()) else { return Err(problems) };
    let context = Context::default();
    let mut verdicts = Vec::with_capacity(packets.len());
    let mut refused = None;
    for packet in packets {
        let frame = At { value: packet.clone(), span: 0..0 };
        let ran = input((way, loaded.program_type), frame, (&context, None), 1);
        let ran = ran.ok().map(|input| kernel.test_run(fd, &input.request()));
        verdicts.push(match ran {
            Some(Ok(ran)) => Some(ran.verdict),
            Some(Err(error)) => {
                refused.get_or_insert(error);
                None
            }
            None => None,
        });
    }
    match refused.filter(|_| verdicts.iter().all(Option::is_none)) {
        Some(error) => Err(problem(format!("run program.{program} for a test"), &error, None).into()),
        None => Ok(Some((loaded.program_type, verdicts))),
    }
}
