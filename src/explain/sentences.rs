//! Reasons and consequences in whole sentences, for those who do not know the words of a plan yet.

use super::ExplainedStep;
use crate::plan::{Because, Expects, Mode, State, Step, Traffic};

/// Writes a step out.
pub fn step(step: &Step, mode: Mode) -> ExplainedStep {
    let meaning = meaning(&step.because).filter(|_| mode != Mode::Offline || step.because != Because::Missing);
    let meaning = meaning.map_or_else(String::new, |meaning| format!(": {meaning}"));
    ExplainedStep {
        marker: step.action.marker(),
        what: step.action.to_string(),
        why: format!("{}{meaning}", step.because_words(mode)),
        traffic: traffic(step.traffic).to_owned(),
        state: state(step.state),
        expects: expects(&Expects::of(&step.action)),
        needs: step.needs,
    }
}

/// Says what is behind a reason, where that is more than the reason says itself.
fn meaning(because: &Because) -> Option<&'static str> {
    match because {
        Because::Missing => Some("nothing has its pin"),
        Because::Unchanged => Some("what is there is what the manifest and the object ask for, to the last bit"),
        Because::CodeChanged => {
            Some("the fingerprint in the running program is not that of what the object and the manifest make now")
        }
        Because::MapNew(_) => Some("a loaded program keeps the maps that it was loaded with, so it is loaded again"),
        Because::MapOther(_) => Some("somebody put another map at the pin since it was loaded"),
        Because::MapDiffers(_) => Some("the kernel cannot change the shape of a map that is there"),
        Because::ContentsChanged => {
            Some("a section of constants, or what variables start with, is written once, before programs are loaded")
        }
        Because::ProgramNew(_) => Some("the link stays and changes over to it"),
        Because::TargetNew(_) => Some("what it replaced a function of is gone"),
        Because::SlotNew(_) => Some("what is in the slot now is what was there before"),
        Because::Renamed(_) => Some("a link is named by its pin, and what has another pin stays on its hook"),
        Because::HookChanged(_) => Some("a link cannot move to another hook, so there is a new one"),
        Because::ProgramOther(_) => Some("somebody changed the link since the last apply"),
        Because::OutOfPlace(_) => Some("a link cannot move on its hook, so there is a new one"),
        Because::NotWanted => Some("it is ours, by the record of the deployment"),
        Because::Unpinned { alive: None } => Some("the deployment's folder has it by a second name"),
        Because::Unpinned { alive: Some(_) } => Some("what it holds is there until the programs that run with it go"),
        Because::Foreign(_)
        | Because::MapInUse
        | Because::EntriesChanged
        | Because::EntriesNotWanted
        | Because::VariablesDiffer
        | Because::SlotsDiffer
        | Because::HookGone { .. }
        | Because::Optional
        | Because::Destroy
        | Because::AccessDiffers
        | Because::PlanChanges(_)
        | Because::NeededBelow
        | Because::Interrupted { .. }
        | Because::Rollback
        | Because::Adopted
        | Because::TakenOver { .. } => None,
    }
}

fn traffic(traffic: Traffic) -> &'static str {
    match traffic {
        Traffic::None => "no packet meets anything else by this step alone",
        Traffic::NoGap => "every packet is filtered, by the old program or by the new one",
        Traffic::BothRun => "for a moment both programs run, and what happens then is seen twice",
        Traffic::Starts => "from here on packets see the program",
        Traffic::Moves => "from here on packets see the program in another place, and NO LONGER where it was",
        Traffic::Stops => "from here on packets DO NOT see the program any more",
        Traffic::NewSockets => {
            "sockets that come from here on see the program; those that are there keep what they have"
        }
        Traffic::GapUnfiltered => "for a moment packets pass UNFILTERED",
    }
}

fn state(state: State) -> String {
    match state {
        State::None => String::new(),
        State::Kept => "what the map holds stays".to_owned(),
        State::New => "the map is new: it starts empty, or with its first contents".to_owned(),
        State::Lost(None) => "what the map holds is LOST".to_owned(),
        State::Lost(Some(_)) | State::Copied { .. } => state.to_string(),
    }
}

/// Writes the identities that a step relies on.
fn expects(expects: &Expects) -> Vec<String> {
    let Expects { map_id, program_id, link_id, ifindex, cgroup_id, netns, file, absent } = expects;
    let number = |what: &str, number: Option<u64>| number.map(|number| format!("{what} {number}"));
    let all = [
        number("map id", map_id.map(u64::from)),
        number("program id", program_id.map(u64::from)),
        number("link id", link_id.map(u64::from)),
        number("interface index", ifindex.map(u64::from)),
        number("cgroup id", *cgroup_id),
        number("network namespace inode", *netns),
        number("file inode", *file),
        absent.as_ref().map(|pin| format!("nothing at {pin}")),
    ];
    all.into_iter().flatten().collect()
}
