//! A plan, its outcome, and problems as Markdown for a comment on a pull request.
//!
//! What comes from a manifest, an object or the host stands in code spans and code blocks alone, where GitHub reads
//! neither HTML nor mentions nor links, and where nothing but a run of backticks ends them, which is never as long as
//! the one that begins them. Everything outside of those is ours.
//!
//! A comment has room for [`LIMIT`] characters. What is safe makes room for what is not: risks are always there.

use super::layout::{Page, Style, Xml, clean};
use super::place::{Lines, ManifestText};
use super::risk::{Risk, risks};
use super::text::{self, Counts, Drawn, Purpose};
use super::written::sample;
use crate::apply::outcome::{Outcome, Verdict};
use crate::diag::{self, Problems, Source};
use crate::names::DeploymentName;
use crate::plan::words::{count, thousands};
use crate::plan::{Action, Marker, Mode, Plan, Step, Writes};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// What GitHub takes as a comment. It counts characters, of which there are never more than bytes, which we count.
pub const LIMIT: usize = 65_536;

/// Columns of the lines in a code block: about what a comment shows without scrolling.
const STYLE: Style = Style { width: 100, ascii: false, color: false };
/// More steps than these are folded.
const FOLDED: usize = 25;
/// How many entries of each map are shown.
const ENTRIES: usize = 50;
/// Room for what says that something was left out.
const NOTES: usize = 512;
/// Room below a plan or an outcome for what is wrong with it.
const PROBLEMS: usize = 8 * 1024;
/// What is left of the room for a plan or an outcome.
const ROOM: usize = LIMIT - PROBLEMS;

/// Writes a plan.
pub fn plan(plan: &Plan, purpose: Purpose, manifest: Option<ManifestText<'_>>) -> String {
    let mut out = header(plan, purpose, manifest);
    out += &captured(plan);
    let found = risks(plan);
    if !found.is_empty() {
        let lines = manifest.map(|manifest| (manifest.name, Lines::new(manifest.text)));
        let full: String = found.iter().map(|risk| row(risk, plan.mode, lines.as_ref())).collect();
        let fits = out.len() + full.len() + NOTES <= ROOM;
        let _ = write!(out, "\n#### Look at these first ({})\n\n", found.len());
        out += &if fits { full } else { grouped(&found) };
    }
    let options = text::Options { style: STYLE, purpose, manifest, entries: 0 };
    let drawn = text::drawn(plan, &options).into_iter();
    let blocks = drawn.map(|Drawn { step, text }| Block { rank: Rank::of_step(step), text });
    folded(&mut out, "Every step, in the order of doing", &blocks.collect::<Vec<_>>(), ("diff", ROOM));
    entries(&mut out, plan);
    out
}

/// Writes the lines above the first step: what this is about, and what of it is risky.
fn header(plan: &Plan, purpose: Purpose, manifest: Option<ManifestText<'_>>) -> String {
    let mut out = marker("plan", &plan.deployment);
    let from = manifest.map_or(String::new(), |manifest| format!(", from {}", code(manifest.name)));
    let mode = text::mode(plan, purpose);
    let _ = writeln!(out, "### bpfapply: {}\n", code(plan.deployment.as_str()));
    let _ = writeln!(out, "{mode}; pins in {}{from}; plan id {}\n", code(plan.pin_root.as_str()), code(plan.id));
    let counts = Counts::of_plan(plan).to_do();
    if plan.is_empty() {
        let _ = writeln!(out, "**nothing to do**, {}: {counts}", text::why_nothing(plan));
        return out;
    }
    let _ = writeln!(out, "**plan: {counts}**\n");
    let alarms = alarms(plan, purpose);
    if let Err(risk) = text::risk(plan) {
        let _ = writeln!(out, "> [!CAUTION]\n> - **risk: {risk}**");
    } else if !alarms.is_empty() {
        let _ = writeln!(out, "> [!WARNING]");
    }
    for alarm in alarms {
        let _ = writeln!(out, "> - {alarm}");
    }
    if let Ok(risk) = text::risk(plan) {
        let _ = writeln!(out, "\nrisk: {risk}");
    }
    if purpose == Purpose::DryRun && text::loads(plan) > 0 && !text::is_unverified(plan) {
        let _ = writeln!(out, "\n{}", text::verifier(plan).as_str());
    }
    out
}

/// Says what has to be known besides the risk.
fn alarms(plan: &Plan, purpose: Purpose) -> Vec<String> {
    let mut alarms = Vec::new();
    if purpose == Purpose::DryRun && text::is_unverified(plan) {
        alarms.push(format!("**{}**", text::verifier(plan).as_str()));
    }
    if purpose == Purpose::DryRun && plan.awaits_tests {
        alarms.push(format!("**tests: {}**", text::TESTS_AWAITED));
    }
    alarms.extend(text::drift(plan).map(|drift| format!("**drift: {drift}**")));
    alarms.extend(text::kernel_values(plan).map(|values| format!("**kernel values**: {values}")));
    alarms.extend(text::guard(plan).map(|(removes, allowed)| format!("**guard: {removes}**: {allowed}")));
    let lacks = plan.lacks();
    if !lacks.is_empty() {
        alarms.push(format!("**consent**: nothing is applied without {}", code(text::allow_flag(&lacks))));
    }
    alarms
}

/// Writes what captured packets tell, which is never folded: nothing says better what a change does.
fn captured(plan: &Plan) -> String {
    let Some(replay) = &plan.traffic else { return String::new() };
    let mut page = Page::new(STYLE);
    super::traffic::text(&mut page, replay);
    let text = page.finish();
    let text = text.trim_end();
    let title = match (&replay.before, replay.changed()) {
        (None, _) => "Captured packets".to_owned(),
        (Some(_), 0) => "Captured packets: none gets another verdict".to_owned(),
        (Some(_), changed) => format!("Captured packets: {} get another verdict", thousands(changed as u64)),
    };
    let fence = fence(text.lines());
    format!("\n#### {title}\n\n{fence}text\n{text}\n{fence}\n")
}

/// Writes a risk with its step.
fn row(risk: &Risk<'_>, mode: Mode, lines: Option<&(&str, Lines<'_>)>) -> String {
    let Step { action, span, .. } = risk.step;
    let line = span.as_ref().zip(lines).map(|(span, (name, lines))| format!("{name}:{}", lines.place(span).line));
    let line = line.map_or(String::new(), |line| format!(" ({})", code(line)));
    let (address, what, why) = (code(risk.address()), code(risk.what()), risk.why.join("; "));
    let because = code(risk.step.because_words(mode));
    format!("- {} {address} **{why}**{line}\n  {what}, because {because}\n", code(action.marker()))
}

/// Writes the same risk once, with all the addresses that have it, where there is no room for more.
fn grouped(risks: &[Risk<'_>]) -> String {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for risk in risks {
        groups.entry(risk.why.join("; ")).or_default().push(risk.address());
    }
    let group = |(why, addresses): (String, Vec<String>)| {
        format!("- **{why}** ({}): {}\n", thousands(addresses.len() as u64), code(addresses.join(", ")))
    };
    groups.into_iter().map(group).collect()
}

/// Lines that stay or go together.
struct Block {
    rank: Rank,
    text: String,
}

/// How soon lines go that there is no room for: the last ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Risky,
    Changes,
    Creates,
    Keeps,
}

impl Rank {
    const ALL: [Self; 4] = [Self::Risky, Self::Changes, Self::Creates, Self::Keeps];

    fn of(marker: Marker) -> Self {
        match marker {
            Marker::Remove => Self::Risky,
            Marker::Change | Marker::DestroyThenCreate | Marker::CreateThenDestroy => Self::Changes,
            Marker::Create => Self::Creates,
            Marker::Reuse => Self::Keeps,
        }
    }

    fn of_step(step: Option<&Step>) -> Self {
        match step {
            Some(step) if step.needs.is_some() || step.state.is_loss() => Self::Risky,
            Some(step) => Self::of(step.action.marker()),
            // One line for all that is unchanged.
            None => Self::Changes,
        }
    }

    /// Says what is left out.
    fn words(self) -> &'static str {
        match self {
            Self::Risky => "that remove something or risk something",
            Self::Changes => "that change something",
            Self::Creates => "that create something",
            Self::Keeps => "that keep something",
        }
    }
}

/// Writes as many of the lines as there is room for, in a code block that can be folded. When there is too little,
/// those with risks are the last to go, since they stand above as well.
fn folded(out: &mut String, title: &str, blocks: &[Block], (language, limit): (&str, usize)) {
    if blocks.is_empty() {
        return;
    }
    let fence = fence(blocks.iter().map(|block| block.text.as_str()));
    let open = if blocks.len() > FOLDED { "" } else { " open" };
    let all = thousands(blocks.len() as u64);
    let head = format!("\n<details{open}><summary>{title} ({all})</summary>\n\n{fence}{language}\n");
    let used = out.len() + head.len() + fence.len() + NOTES;
    let (kept, dropped) = fitting(blocks, limit.saturating_sub(used));
    let _ = writeln!(out, "{head}{kept}{fence}");
    if !dropped.is_empty() {
        let each = dropped.iter().map(|(rank, number)| format!("{} {}", count(*number as u64, "step"), rank.words()));
        let _ = write!(out, "\n**Left out for want of room**: {}.\n", each.collect::<Vec<_>>().join(", "));
    }
    out.push_str("\n</details>\n");
}

/// Returns what fits into so many bytes, in its order, and counts what does not.
fn fitting(blocks: &[Block], room: usize) -> (String, Vec<(Rank, usize)>) {
    let mut left = room;
    let mut kept = vec![false; blocks.len()];
    let mut dropped = Vec::new();
    for rank in Rank::ALL {
        let of_rank = || blocks.iter().enumerate().filter(|(_, block)| block.rank == rank);
        let mut number = 0;
        for (at, block) in of_rank() {
            let Some(rest) = left.checked_sub(block.text.len()) else { break };
            (left, kept[at], number) = (rest, true, number + 1);
        }
        let missing = of_rank().count() - number;
        if missing > 0 {
            dropped.push((rank, missing));
            // What is safer does not stay where something else had to go.
            left = 0;
        }
    }
    let kept = blocks.iter().zip(kept).filter_map(|(block, kept)| kept.then_some(block.text.as_str()));
    (kept.collect(), dropped)
}

/// Writes the first of the entries that change, map by map, while there is room.
fn entries(out: &mut String, plan: &Plan) {
    let maps = plan.steps.iter().filter_map(|step| match &step.action {
        Action::WriteEntries { writes } => Some(&**writes),
        _ => None,
    });
    let shown: Vec<String> = maps.filter_map(entries_of).collect();
    let mut left_out = 0;
    for text in shown {
        match out.len() + text.len() + NOTES <= ROOM {
            true => out.push_str(&text),
            false => left_out += 1,
        }
    }
    if left_out > 0 {
        let _ = write!(out, "\n**Left out for want of room**: the entries of {}.\n", count(left_out as u64, "map"));
    }
}

/// Writes the first of the entries of a map; `None` when nobody may see them.
fn entries_of(writes: &Writes) -> Option<String> {
    let sampled = sample(writes, ENTRIES);
    let more = writes.changes.counts().all() - sampled.len();
    let line = |sign: char, key: &str, value: &str| clean(&format!("{sign} {key} = {value}"), &STYLE).into_owned();
    let mut lines = Vec::new();
    for entry in &sampled {
        let sign = if entry.marker == Marker::Remove { '-' } else { '+' };
        lines.extend(entry.before.iter().map(|before| line('-', &entry.key, before)));
        lines.push(line(sign, &entry.key, &entry.value));
    }
    if lines.is_empty() {
        return None;
    }
    let fence = fence(lines.iter().map(String::as_str));
    let (address, lines) = (html(&format!("map.{}", writes.map)), lines.join("\n"));
    let more = if more > 0 { format!("\nand {} more\n", thousands(more as u64)) } else { String::new() };
    Some(format!(
        "\n<details><summary><code>{address}</code>: {}</summary>\n\n{fence}diff\n{lines}\n{fence}\n{more}\n</details>\n",
        html(&writes.to_string())
    ))
}

/// Writes what became of a plan.
pub fn outcome(outcome: &Outcome<'_>) -> String {
    let mut out = marker("outcome", &outcome.deployment);
    let _ = writeln!(out, "### bpfapply: {}\n", code(outcome.deployment.as_str()));
    let verdict = super::outcome::summary(outcome);
    match outcome.verdict() {
        Verdict::Matches | Verdict::Applied => {
            let _ = writeln!(out, "**{verdict}**");
        }
        Verdict::FailedAsBefore => {
            let _ = writeln!(out, "> [!WARNING]\n> **{verdict}**");
        }
        Verdict::FailedNotAsBefore => {
            let left: Vec<_> = outcome.left().map(|step| step.action.address().to_string()).collect();
            let _ = writeln!(out, "> [!CAUTION]\n> **{verdict}**: {}", code(left.join(", ")));
        }
    }
    let failed = outcome.steps.iter().filter_map(|step| Some((step, step.status.reason()?)));
    for (number, (step, reason)) in failed.enumerate() {
        let (marker, address) = (code(step.action.marker()), code(step.action.address()));
        let blank = if number == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{blank}- {marker} {address} **{}**: {}", super::outcome::word(step), code(reason));
    }
    let blocks = super::outcome::drawn(outcome, STYLE).into_iter().map(|(step, text)| Block {
        rank: if step.status.reason().is_some() { Rank::Risky } else { Rank::of(step.action.marker()) },
        text,
    });
    folded(&mut out, "Every step", &blocks.collect::<Vec<_>>(), ("diff", ROOM));
    out
}

/// Writes problems that stand for the plan that they prevent.
pub fn refusal(problems: &Problems, source: Option<&Source>) -> String {
    let name = source.and_then(|source| name_of(source.text()));
    let mut out = match &name {
        Some(name) => marker("plan", name),
        None => "<!-- bpfapply:plan -->\n".to_owned(),
    };
    let what =
        name.map_or_else(|| source.map_or(String::new(), |source| code(source.name())), |name| code(name.as_str()));
    let _ = write!(out, "### bpfapply: {what}\n\n> [!CAUTION]\n> **there is no plan**\n");
    let room = LIMIT - out.len();
    out + &section(problems, source, room)
}

/// Writes that nothing is wrong with a manifest, and what it has.
pub fn valid(source: &Source, file: &str, contents: &str) -> String {
    let (marker, what) = match name_of(source.text()) {
        Some(name) => (marker("validate", &name), code(name.as_str())),
        None => ("<!-- bpfapply:validate -->\n".to_owned(), code(file)),
    };
    format!("{marker}### bpfapply: {what}\n\n**valid**: {contents}, from {}\n", code(file))
}

/// Finds the name of the deployment in a manifest, even in one that is no TOML.
fn name_of(manifest: &str) -> Option<DeploymentName> {
    let head = manifest.lines().take_while(|line| !line.trim_start().starts_with('['));
    let value =
        head.filter_map(|line| line.trim_start().strip_prefix("name")?.trim_start().strip_prefix('=')).next()?;
    let value = value.trim_start().strip_prefix(['"', '\''])?;
    DeploymentName::new(value.split(['"', '\'']).next()?).ok()
}

/// Writes problems, below a plan or an outcome.
pub fn problems(problems: &Problems, source: Option<&Source>) -> String {
    section(problems, source, PROBLEMS)
}

fn section(problems: &Problems, source: Option<&Source>, limit: usize) -> String {
    let lines = source.map(|source| (source.name(), Lines::new(source.text())));
    let mut out = format!("\n#### What is wrong ({})\n\n", problems.0.len());
    for (number, problem) in problems.0.iter().enumerate() {
        let place = problem.labels.first().zip(lines.as_ref());
        let place = place.map(|(label, (name, lines))| (name, lines.place(&label.span)));
        let place = place
            .map_or(String::new(), |(name, at)| format!("{}: ", code(format!("{name}:{}:{}", at.line, at.column))));
        let row = format!("- {place}{} ({})\n", code(&problem.kind), code(problem.kind.code()));
        if out.len() + row.len() + NOTES > limit {
            let _ = writeln!(out, "\n**Left out for want of room**: {} more.", problems.0.len() - number);
            return out;
        }
        out.push_str(&row);
    }
    let drawn = diag::render(problems, source, false);
    let blocks = drawn.lines().map(|line| Block { rank: Rank::Risky, text: clean(line, &STYLE).into_owned() + "\n" });
    folded(&mut out, "The same with its places", &blocks.collect::<Vec<_>>(), ("text", limit));
    out
}

/// Writes what a bot finds its comment by, to keep one of each kind for each deployment.
fn marker(kind: &str, deployment: &DeploymentName) -> String {
    // A name has letters, digits, `_` and `-`: it cannot end the comment.
    format!("<!-- bpfapply:{kind}:{deployment} -->\n")
}

/// Writes a code span, in which nothing means anything, on one line.
fn code(text: impl Display) -> String {
    let text = text.to_string();
    let text = clean(&text, &STYLE);
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let ticks = "`".repeat(longest_run(&text) + 1);
    // One space at each end is not part of it (CommonMark 6.1), and keeps its own backticks apart.
    let space = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{ticks}{space}{text}{space}{ticks}")
}

/// Returns a fence that none of these lines can close.
fn fence<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    "`".repeat(lines.map(longest_run).max().unwrap_or(0).max(2) + 1)
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Writes text into HTML.
fn html(text: &str) -> String {
    Xml(&clean(text, &STYLE)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::outcome::{Status, StepOutcome};
    use crate::diag::{Kind, Problem};
    use crate::names::{LinkName, PinPath};
    use crate::plan::{Because, Consent, State, Traffic, samples};
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Parser, Tag};
    use std::borrow::Cow;

    const MANIFEST: ManifestText<'static> = ManifestText { name: "plan.toml", text: samples::MANIFEST };

    fn draw(plan: &Plan) -> String {
        let text = super::plan(plan, Purpose::DryRun, Some(MANIFEST));
        assert!(text.starts_with("<!-- bpfapply:plan:edge -->\n"), "{text}");
        text
    }

    #[test]
    fn every_step() {
        insta::assert_snapshot!(draw(&samples::every_step()));
    }

    #[test]
    fn a_first_plan_without_a_host() {
        insta::assert_snapshot!(draw(&samples::offline()));
    }

    #[test]
    fn nothing_to_do() {
        insta::assert_snapshot!(draw(&samples::unchanged()));
    }

    #[test]
    fn outcomes() {
        let plan = samples::offline();
        let failed = Status::Failed("`@someone` <b>refused</b> it".to_owned());
        let statuses = [Status::Undone, Status::CouldNotUndo("busy".to_owned()), failed];
        let statuses = statuses.into_iter().chain(std::iter::repeat(Status::NotReached));
        let steps = plan.steps.iter().zip(statuses);
        let steps =
            steps.map(|(step, status)| StepOutcome { action: Cow::Borrowed(&step.action), status, tally: None });
        let outcome = Outcome { deployment: plan.deployment.clone(), taken_back: None, steps: steps.collect() };
        insta::assert_snapshot!(super::outcome(&outcome));
    }

    #[test]
    fn problems_stand_for_a_plan() {
        let text = "version = 2\nname = \"edge\"\n";
        let kind = || Kind::UnknownVersion { found: "2 <img> @all".to_owned() };
        let problems = Problems(vec![Problem::at(kind(), 10..11, "this version"), Problem::new(kind())]);
        insta::assert_snapshot!(refusal(&problems, Some(&Source::new("plan.toml", text))));
        assert!(refusal(&problems, None).starts_with("<!-- bpfapply:plan -->\n"));
    }

    #[test]
    fn many_problems_are_counted() {
        let kind = || Kind::UnknownVersion { found: "7".repeat(99) };
        let problems = Problems(vec![Problem::new(kind()); 2_000]);
        for (text, limit, more) in [
            (super::problems(&problems, None), PROBLEMS, "**Left out for want of room**: 1"),
            (refusal(&problems, None), LIMIT, "**Left out for want of room**: 1"),
        ] {
            assert!(text.len() <= limit && text.contains("What is wrong (2000)") && text.contains(more), "{text}");
        }
    }

    #[test]
    fn names_of_deployments() {
        let cases = [
            ("version = 1\nname=\"edge\"\n", Some("edge")),
            ("  name  =  'a-b_c' # why", Some("a-b_c")),
            ("names = 1\nname = \"x\"", Some("x")),
            ("name = \"--> <b>\"", None),
            ("[map.a]\nname = \"edge\"", None),
            ("name = edge", None),
            ("", None),
        ];
        for (text, name) in cases {
            assert_eq!(name_of(text).as_ref().map(DeploymentName::as_str), name, "{text}");
        }
    }

    fn detach(name: &str, hook: &str) -> Step {
        let pin = PinPath::new(&format!("/sys/fs/bpf/edge/links/{name}")).unwrap();
        let action = Action::Detach { link: LinkName::new(name).unwrap(), pin, id: 7, hook: hook.to_owned() };
        let because = Because::HookChanged(hook.to_owned());
        let (traffic, state, needs) = (Traffic::Stops, State::None, Some(Consent::Prune));
        Step { action, because, span: None, traffic, state, needs }
    }

    /// A plan of so many folders to make, maps to create, entries to write, and links to detach.
    fn large(creates: usize, detaches: usize) -> Plan {
        let sample = samples::every_step();
        let of = |name: &str| sample.steps.iter().find(|step| step.action.name() == name).expect("it is there").clone();
        let (create, update) = (of("create-map"), of("update-link"));
        let steps = std::iter::repeat_n(create, creates).chain(std::iter::repeat_n(update, 5));
        let removed = (0..detaches).map(|number| detach(&format!("link{number}"), "xdp of eth1"));
        samples::plan_of(Mode::Live, steps.chain(removed).collect())
    }

    #[test]
    fn what_is_safe_makes_room_for_what_is_not() {
        // Creates, detaches, whether all rows fit, and what is left out.
        let cases = [
            (5, 5, true, None),
            (5_000, 5, true, Some("that create something")),
            (5_000, 100, true, Some("that create something")),
            (5, 400, false, Some("that remove something or risk something")),
            (5_000, 2_000, false, Some("that create something")),
        ];
        for (creates, detaches, rows, left_out) in cases {
            let text = draw(&large(creates, detaches));
            assert!(text.len() <= ROOM, "{} bytes for {creates} and {detaches}", text.len());
            for number in 0..detaches {
                let above = text.split("<details").next().unwrap_or_default();
                assert!(above.contains(&format!("link.link{number}")), "{creates}, {detaches}: {number}");
            }
            assert_eq!(text.contains("- `-` `link.link0` **traffic: STOPS"), rows, "{creates}, {detaches}");
            match left_out {
                Some(words) => assert!(text.contains(words), "{creates}, {detaches}"),
                None => assert!(!text.contains("Left out"), "{creates}, {detaches}"),
            }
            // What changes is worth more than what comes.
            assert!(!rows || text.contains("~   link.uplink"), "{creates}, {detaches}");
        }
    }

    /// Returns what a text is, but for the paragraphs, lists and breaks around it.
    fn events(text: &str) -> Vec<Event<'_>> {
        let parser = Parser::new_ext(text, pulldown_cmark::Options::all());
        parser.filter(|event| !matches!(event, Event::Start(Tag::Paragraph) | Event::End(_))).collect()
    }

    proptest! {
        #[test]
        fn nothing_leaves_a_code_span(text in "(?s)([`@#<>|*_\\[\\]\\\\!: \n\r\t\u{202e}]|[a-z]|.){1,40}") {
            let written = format!("so: {}.", code(&text));
            let events = events(&written);
            if let [Event::Text(before), Event::Code(inside), Event::Text(after)] = &events[..] {
                prop_assert_eq!((&**before, &**after), ("so: ", "."));
                prop_assert_eq!(&**inside, &*clean(&text, &STYLE));
            } else {
                prop_assert!(text.trim().is_empty(), "{:?}: {:?}", written, events);
            }
        }

        #[test]
        fn nothing_of_the_host_is_read(hook in "(?s)(`{1,5}|\n|~~~|</?details>|-->|@all|\\||[<>&*_\\[\\]()!#:]|[a-z ]){0,30}") {
            let plain = draw(&samples::plan_of(Mode::Live, vec![detach("old", "xdp of eth1")]));
            let hostile = draw(&samples::plan_of(Mode::Live, vec![detach("old", &hook)]));
            // The same structure: texts outside of code are ours, and the same.
            let structure = |text: &str| -> Vec<String> {
                let code = |event: &Event<'_>| match event {
                    Event::Code(_) => "code".to_owned(),
                    Event::Text(text) if text.contains("detach id 7") => "block".to_owned(),
                    event => format!("{event:?}"),
                };
                let mut all: Vec<_> = events(text).iter().map(code).collect();
                all.dedup();
                all
            };
            // No hook at all is a word of ours.
            if !hook.trim().is_empty() {
                prop_assert_eq!(structure(&plain), structure(&hostile));
            }
        }
    }
}
