//! What captured packets tell of a change, in a plan.

use super::layout::{Page, Paint, Text};
use crate::plan::words::thousands;
use crate::traffic::{Replay, Replayed, SHOWN, Verdicts};
use crate::verdict;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Says what a program returned, or that it did not get the packet.
fn name(replayed: &Replayed, verdict: Option<u32>) -> String {
    verdict.map_or_else(|| "not run".to_owned(), |verdict| verdict::name(replayed.program_type, verdict))
}

/// The same for people, to whom a number is no name.
fn words(replayed: &Replayed, verdict: Option<u32>) -> String {
    let name = name(replayed, verdict);
    if name.parse::<i32>().is_ok() { format!("verdict {name}") } else { name }
}

fn number(count: usize) -> String {
    thousands(count as u64)
}

fn counts(replayed: &Replayed, verdicts: &Verdicts) -> String {
    let each = verdicts.iter().rev();
    let words: Vec<_> =
        each.map(|(verdict, count)| format!("{} {}", number(*count), words(replayed, *verdict))).collect();
    words.join(", ")
}

/// Writes it for people, behind the steps of a plan.
pub(super) fn text(page: &mut Page, replay: &Replay) {
    if replay.packets == 0 {
        page.line(format!("`{}` has no packets", replay.capture), 2);
        page.blank();
        return;
    }
    let all = format!("of {} captured packet{}", number(replay.packets), if replay.packets == 1 { "" } else { "s" });
    for (program, replayed) in &replay.programs {
        let start = Text::from(format!("program.{program}: {all}"));
        let after = counts(replayed, &replayed.after);
        if replayed.before.is_none() {
            let new = if replay.before.is_some() { " (there was none before)" } else { "" };
            page.line(start.and(Paint::Plain, format!(": {after}{new}")), 2);
            continue;
        }
        if replayed.changes.is_empty() {
            page.line(start.and(Paint::Plain, format!(", none gets another verdict: {after}")), 2);
            continue;
        }
        for ((from, to), changed) in &replayed.changes {
            let verb = if changed.count == 1 { "changes" } else { "change" };
            let what =
                format!("{} {verb} from {} to {}", number(changed.count), words(replayed, *from), words(replayed, *to));
            page.line(start.clone().and(Paint::Plain, ", ").and(Paint::Alarm, what).and(Paint::Plain, ":"), 2);
            for (packet, summary) in &changed.first {
                page.line(format!("  packet {packet}: {summary}"), 4);
            }
            if changed.count > SHOWN {
                page.line(format!("  and {} more", number(changed.count - SHOWN)), 4);
            }
        }
        page.line(format!("  before: {}", counts(replayed, replayed.before.as_ref().unwrap_or(&replayed.after))), 4);
        page.line(format!("  after: {after}"), 4);
    }
    if replay.before.is_none() {
        page.line("(--before OLD_MANIFEST says which packets get another verdict than before)", 2);
    }
    page.blank();
}

/// The same for programs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Replay")]
pub(super) struct TrafficJson {
    /// The file of captured packets.
    capture: String,
    /// How many it has.
    packets: usize,
    /// The manifest as it was before, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    /// The programs that got them, by name.
    programs: BTreeMap<String, ProgramJson>,
}

/// What one program makes of the packets.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Replayed")]
struct ProgramJson {
    /// How many packets get each verdict.
    after: BTreeMap<String, usize>,
    /// The same before the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<BTreeMap<String, usize>>,
    /// The packets that get another verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeJson>>,
}

/// Packets that get another verdict.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OtherVerdict")]
struct ChangeJson {
    /// The verdict before.
    from: String,
    /// The verdict after.
    to: String,
    /// How many.
    count: usize,
    /// The first ones.
    first: Vec<PacketJson>,
}

/// A captured packet.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Packet")]
struct PacketJson {
    /// In the capture, from 1.
    #[schemars(range(min = 1))]
    number: usize,
    /// What it is.
    summary: String,
}

impl TrafficJson {
    /// Takes what a plan has.
    pub(super) fn of(replay: &Replay) -> Self {
        let programs = replay.programs.iter();
        Self {
            capture: replay.capture.clone(),
            packets: replay.packets,
            before: replay.before.clone(),
            programs: programs.map(|(program, replayed)| (program.to_string(), ProgramJson::of(replayed))).collect(),
        }
    }
}

impl ProgramJson {
    fn of(replayed: &Replayed) -> Self {
        let named = |verdicts: &Verdicts| {
            verdicts.iter().map(|(verdict, count)| (name(replayed, *verdict), *count)).collect::<BTreeMap<_, _>>()
        };
        let changes = replayed.changes.iter().map(|((from, to), changed)| ChangeJson {
            from: name(replayed, *from),
            to: name(replayed, *to),
            count: changed.count,
            first: changed
                .first
                .iter()
                .map(|(number, summary)| PacketJson { number: *number, summary: summary.clone() })
                .collect(),
        });
        Self {
            after: named(&replayed.after),
            before: replayed.before.as_ref().map(named),
            changes: replayed.before.as_ref().map(|_| changes.collect()),
        }
    }
}
