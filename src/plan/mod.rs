//! The plan: a list of actions, each with its reasons, that apply executes from first to last.
//!
//! Pure. Actions name things; file descriptors exist only while applying.

mod access;
mod adopt;
mod decide;
mod drifted;
mod expects;
pub mod graph;
mod guard;
mod id;
mod migrate;
mod places;
pub mod references;
mod renewed;
pub mod words;

#[cfg(test)]
pub(crate) mod samples;

pub use adopt::adopt;
pub use decide::{destroy, plan, rollback};
pub use expects::Expects;
pub use migrate::Copying;
pub(crate) use places::is_other;
pub use places::{Beside, Company, Shared, Spot};

use crate::access::{Access, Permissions};
use crate::btf::sanitise::KCONFIG;
use crate::btf::value::format::Formats;
use crate::desired::{DesiredLink, DesiredMap, DesiredProgram, Hook, MapSource, ObjectFacts, Reference, Span};
use crate::direct::{Direct, Feature};
use crate::entries::{Changes, Entries};
use crate::migrate::Migration;
use crate::names::{Address, DeploymentName, LinkName, MapName, PinPath, PlanId, ProgramName};
use crate::observed::{EventPlace, FilePlace, Place};
use crate::record::{Record, RecordedLink};
use crate::spec::{Difference, MapSpec};
use crate::traffic::Replay;
use crate::variables::Change;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything an apply does, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which plan this is.
    pub id: PlanId,
    /// The deployment.
    pub deployment: DeploymentName,
    /// The folder of its pins.
    pub pin_root: PinPath,
    /// Which way it was made.
    pub mode: Mode,
    /// The folders between which the apply switches.
    pub generations: Generations,
    /// The objects that programs and maps come from.
    pub objects: BTreeMap<crate::names::ObjectName, Arc<ObjectFacts>>,
    /// The consents that the manifest gives.
    pub allow: BTreeSet<Consent>,
    /// The consents that whoever asks for the plan gives by name.
    pub given: BTreeSet<Consent>,
    /// There when so much goes that the manifest's consent to that is not enough.
    pub sweep: Option<Sweep>,
    /// What is on the hooks that several programs share.
    pub shared: Shared,
    /// What to do, first to last; reuse is listed, too.
    pub steps: Vec<Step>,
    /// What the verifier said of the programs that are to be loaded; `None` when it did not run. It is no part of the plan
    /// that the id names: who asks the verifier changes nothing.
    pub verdicts: Option<BTreeMap<ProgramName, Verdict>>,
    /// What its programs make of captured packets, where somebody asked; no part of it either.
    pub traffic: Option<Box<Replay>>,
    /// True when the manifest lets nothing be applied before its packet tests passed, and they did not run for this plan.
    pub awaits_tests: bool,
}

/// What this kernel's verifier said of a program before anything was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be loaded.
    Passed {
        /// How many instructions the verifier went through, where the kernel tells it.
        insns: Option<u32>,
    },
    /// It was refused.
    Failed,
    /// It was not tried, as it needs something that was refused.
    NotTried {
        /// What that is.
        lacks: Address,
    },
}

/// Who asked for a plan without a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Somebody.
    Hand,
    /// Nobody: a health check failed, or an apply was not confirmed.
    Itself,
}

/// The generations of a deployment's pins (`apply::generation`).
#[derive(Debug, Clone)]
pub struct Generations {
    /// The folder of the one that runs.
    pub current: Option<PinPath>,
    /// The record in it.
    pub record: Option<Box<Record>>,
    /// The folder of the next one.
    pub next: PinPath,
    /// The number of the next one.
    pub number: u64,
    /// Pins outside of the deployment's folder that the plan saw by their second names in the one that runs: they are gone,
    /// or an interrupted run has these names until that is cleared.
    pub second: BTreeSet<PinPath>,
}

/// A removal of everything, or of more than half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sweep {
    /// How many maps, programs and links go.
    pub removed: usize,
    /// How many the deployment owns.
    pub owned: usize,
}

/// Whether a plan knows the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Made against the kernel and bpffs.
    Live,
    /// Made as if the host had nothing.
    Offline,
    /// Made against what the host had at a time in seconds since 1970, as a file says it.
    Against {
        /// The time.
        time: u64,
    },
}

/// One line of a plan.
#[derive(Debug, Clone)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// Why.
    pub because: Because,
    /// The place in the manifest that asks for it.
    pub span: Option<Span>,
    /// What it means for packets.
    pub traffic: Traffic,
    /// What it means for the contents of maps.
    pub state: State,
    /// The consent without which it is not done.
    pub needs: Option<Consent>,
}

/// One thing to do. Things that stay as they are have an action as well: apply opens them.
///
/// A plan may have thousands, so that what only few of them have is in a box where it is large.
#[derive(Debug, Clone)]
pub enum Action {
    /// Detach and remove what an interrupted run left.
    ClearLeftover {
        /// The folder of its generation.
        path: PinPath,
        /// What its record says, if it got that far.
        record: Option<Box<Record>>,
        /// Whether it ran until that run switched, and stays as the generation before.
        kept: bool,
        /// How many links it takes off their hooks.
        links: usize,
    },
    /// Mount a bpffs.
    MountBpffs {
        /// Where.
        at: PinPath,
    },
    /// Make a folder.
    MakeDirectory {
        /// Which.
        path: PinPath,
    },
    /// Open a map that exists, and keep it as it is.
    ReuseMap {
        /// The map.
        map: Arc<DesiredMap>,
        /// Its id; 0 for somebody else's of which an offline plan knows only the pin.
        id: u32,
        /// True when we created it in an earlier apply.
        ours: bool,
    },
    /// Create a map and pin it.
    CreateMap {
        /// The map.
        map: Arc<DesiredMap>,
        /// Our own map that has the pin now and loses it.
        replaces: Option<Replaced>,
    },
    /// Copy the entries of the map that loses its pin into the one that gets it.
    CopyEntries {
        /// The map.
        map: Arc<DesiredMap>,
        /// The id of the one that loses the pin.
        from: u32,
        /// How, and what comes of it.
        copying: Arc<Copying>,
    },
    /// Make the changes of that map since then in the new one, too.
    CatchUp {
        /// The map.
        map: Arc<DesiredMap>,
        /// The id of the one that lost the pin.
        from: u32,
        /// How.
        copying: Arc<Copying>,
    },
    /// Make the changes in a map that a killed run did not come to: those of the map that lost the pin since it was copied.
    FinishCopy {
        /// The map.
        map: Arc<DesiredMap>,
        /// Its id.
        id: u32,
        /// The id of the one that lost the pin.
        from: u32,
        /// Where it is kept what that one held when it was copied.
        kept: PinPath,
        /// How entries go over; `None` when that map is gone.
        migration: Option<Arc<Migration>>,
    },
    /// Write the first contents of a data section; read-only ones are frozen.
    FillMap {
        /// The map.
        map: Arc<DesiredMap>,
    },
    /// Put maps or programs into a map of such.
    FillSlots {
        /// The map.
        map: Arc<DesiredMap>,
    },
    /// Write entries into a map.
    WriteEntries {
        /// Which, and into which map.
        writes: Box<Writes>,
    },
    /// Give variables other values, in a data section that programs use.
    SetVariables {
        /// Which, and in which map.
        sets: Box<Sets>,
    },
    /// Keep a program that runs with the same fingerprint and the same maps.
    ReuseProgram {
        /// The program.
        program: Arc<DesiredProgram>,
        /// Its id.
        id: u32,
    },
    /// Load a program and pin it.
    LoadProgram {
        /// The program.
        program: Arc<DesiredProgram>,
        /// The id of our own program that has the pin now and loses it.
        replaces: Option<u32>,
    },
    /// Take a map over from the generation before.
    RestoreMap {
        /// The map.
        map: MapName,
        /// Its pin.
        pin: PinPath,
        /// Its id.
        id: u32,
        /// What that changes.
        restored: Restored,
        /// Other deployments that use the map that it takes the place of: their programs stay with that one.
        used_by: BTreeSet<String>,
    },
    /// Take a program over from the generation before.
    RestoreProgram {
        /// The program.
        program: ProgramName,
        /// Its pin.
        pin: PinPath,
        /// Its id.
        id: u32,
        /// What that changes.
        restored: Restored,
    },
    /// Give something of ours its pin outside of the deployment's folder again, which is gone; it stays what it is.
    RestorePin {
        /// The map, program or link.
        of: Address,
        /// The pin.
        pin: PinPath,
    },
    /// Give a link another name, under which it is pinned from then on; it stays what and where it is.
    RenameLink {
        /// The link by its new name.
        link: Arc<DesiredLink>,
        /// The name that it had.
        was: LinkName,
        /// The pin that it had.
        from: PinPath,
        /// Its id.
        id: u32,
    },
    /// Keep a link.
    ReuseLink {
        /// The link.
        link: Arc<DesiredLink>,
        /// Its id.
        id: u32,
    },
    /// Leave a link out, as what it is to be on is not there and need not be.
    Skip {
        /// The link.
        link: LinkName,
        /// The hook in words.
        hook: String,
    },
    /// Attach a program and pin the link.
    Attach {
        /// The link.
        link: Arc<DesiredLink>,
        /// Where, with the host's numbers.
        hook: Box<ResolvedHook>,
        /// Where among those that are there.
        spot: Spot,
    },
    /// Replace a link's program, or struct of functions, in place.
    UpdateLink {
        /// The link.
        link: Arc<DesiredLink>,
        /// Its id.
        id: u32,
        /// The id of what it must run now: a program, or the map of a struct of functions.
        old: u32,
    },
    /// Attach a link anew, and detach the old one.
    Reattach {
        /// The link.
        link: Arc<DesiredLink>,
        /// The id of the link that goes.
        id: u32,
        /// Where, with the host's numbers.
        hook: Box<ResolvedHook>,
        /// Where among those that are there.
        spot: Spot,
        /// True when both fit at once, so that the new one is attached before the old one goes.
        overlap: bool,
    },
    /// Let others open a pin, or nobody but root any more.
    SetAccess {
        /// The map, program or link.
        of: Address,
        /// Its pin.
        pin: PinPath,
        /// What the pin has now; `None` for one that is new.
        now: Option<Permissions>,
        /// What changes of it.
        access: Box<Access>,
    },
    /// Detach a link that nothing wants any more.
    Detach {
        /// The link.
        link: LinkName,
        /// Its pin.
        pin: PinPath,
        /// Its id.
        id: u32,
        /// The hook in words.
        hook: String,
    },
    /// Unpin a program that nothing wants any more.
    RemoveProgram {
        /// The program.
        program: ProgramName,
        /// Its pin.
        pin: PinPath,
        /// Its id.
        id: u32,
    },
    /// Unpin a map that nothing wants any more.
    RemoveMap {
        /// The map.
        map: MapName,
        /// Its pin.
        pin: PinPath,
        /// Its id.
        id: u32,
        /// Other deployments that use it: from then on only programs that run with it keep it.
        used_by: BTreeSet<String>,
        /// Whether it has no entries.
        is_empty: bool,
    },
    /// Remove a folder that is empty then.
    RemoveDirectory {
        /// Which.
        path: PinPath,
    },
    /// Write the record, and switch to the generation that it is part of.
    WriteRecord {
        /// Where it is pinned.
        pin: PinPath,
        /// What it says; inodes are filled in while applying.
        record: Box<Record>,
        /// The entries that are kept anew beside it, with where; others stay kept as they are.
        owned: BTreeMap<PinPath, Arc<Entries>>,
        /// The number of the generation.
        generation: u64,
        /// The number of the generation that runs now, and stays for a rollback.
        replaces: Option<u64>,
    },
    /// Remove the record, and with it every pin in the deployment's folder.
    RemoveRecord {
        /// Where it is pinned.
        pin: PinPath,
    },
}

/// A map of ours that loses its pin to another one.
#[derive(Debug, Clone)]
pub struct Replaced {
    /// Its id.
    pub id: u32,
    /// Other deployments that use it: their programs stay with it.
    pub used_by: BTreeSet<String>,
    /// Whether nothing is lost with it as it has no entries. It must have none when its pin goes, either: nobody was asked
    /// whether what came since may go. What its programs write from then until they are replaced goes with it.
    pub is_empty: bool,
}

/// Entries that are written into a map.
#[derive(Debug, Clone)]
pub struct Writes {
    /// The map.
    pub map: MapName,
    /// Its pin.
    pub pin: PinPath,
    /// Its id; `None` for a new one, which is written before anybody can see it.
    pub id: Option<u32>,
    /// What comes, changes and goes.
    pub changes: Arc<Changes>,
    /// Whether the map only has room for what comes once the rest is gone. Else nothing goes before all else is there.
    pub removes_first: bool,
    /// Whether programs may give the entries other values at once: only their keys are the manifest's.
    pub keys_only: bool,
    /// What the map is, and with which types.
    pub spec: MapSpec,
    /// How its keys and values are written.
    pub formats: Formats,
    /// What the manifest calls the entries of a devmap or a cpumap, by key.
    pub references: BTreeMap<Vec<u8>, Reference>,
    /// True when no output may show keys and values.
    pub sensitive: bool,
}

/// Variables that get other values.
#[derive(Debug, Clone)]
pub struct Sets {
    /// The map of their section.
    pub map: MapName,
    /// Its pin.
    pub pin: PinPath,
    /// Its id.
    pub id: u32,
    /// The variables, by name.
    pub changes: Vec<Change>,
    /// True when the section can be reached through memory, so that nothing but these is written. Else all of it is, and
    /// what programs write to it just then is lost.
    pub alone: bool,
    /// True when no output may show what they hold.
    pub sensitive: bool,
}

/// What it changes to take a pin over from the generation before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// Nothing: the generation that runs has the same.
    Stays,
    /// The pin is there again.
    Returns,
    /// It takes the place of the map or program with this id.
    Replaces(u32),
}

impl Restored {
    fn marker(self) -> Marker {
        match self {
            Self::Stays => Marker::Reuse,
            Self::Returns => Marker::Create,
            Self::Replaces(_) => Marker::CreateThenDestroy,
        }
    }
}

/// Where a link goes, with the host's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolvedHook {
    /// On an interface; `None` in an offline plan.
    Interface(Option<Place>),
    /// On a cgroup: absolute path and id; `None` in an offline plan.
    Cgroup(Option<(std::path::PathBuf, u64)>),
    /// In a network namespace: its inode; `None` in an offline plan.
    Netns(Option<u64>),
    /// On a map: its id, which is 0 for somebody else's in an offline plan; `None` for one that the plan makes.
    Map(Option<u32>),
    /// At an event; `None` in an offline plan.
    Event(Option<EventPlace>),
    /// Without a link, at this place; with the reason, unless the manifest says so.
    Direct(Direct, Option<WithoutLink>),
}

/// Why a program is attached without a link, beyond that the manifest says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WithoutLink {
    /// The kernel lacks this for a link.
    Lacks(Feature),
    /// It takes the place of somebody else's program at once, which a link cannot.
    TakesOver(Taken),
}

/// Somebody else's program that loses its hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its id.
    pub id: u32,
    /// Its name, of at most 15 bytes.
    pub name: String,
    /// The kernel's digest of its code.
    pub tag: [u8; 8],
}

impl ResolvedHook {
    /// Returns the place in a file that it is.
    pub fn file(&self) -> Option<FilePlace> {
        match self {
            Self::Event(place) => place.and_then(|place| place.file()),
            Self::Interface(_) | Self::Cgroup(_) | Self::Netns(_) | Self::Map(_) | Self::Direct(..) => None,
        }
    }

    /// Returns whose place it takes.
    pub fn taken(&self) -> Option<&Taken> {
        match self {
            Self::Direct(_, Some(WithoutLink::TakesOver(taken))) => Some(taken),
            Self::Direct(_, Some(WithoutLink::Lacks(_)) | None)
            | Self::Interface(_)
            | Self::Cgroup(_)
            | Self::Netns(_)
            | Self::Map(_)
            | Self::Event(_) => None,
        }
    }
}

/// Column 0 of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum Marker {
    /// `+`
    #[serde(rename = "+")]
    Create,
    /// `~`
    #[serde(rename = "~")]
    Change,
    /// `-/+`
    #[serde(rename = "-/+")]
    DestroyThenCreate,
    /// `+/-`
    #[serde(rename = "+/-")]
    CreateThenDestroy,
    /// `-`
    #[serde(rename = "-")]
    Remove,
    /// `=`
    #[serde(rename = "=")]
    Reuse,
}

/// A map that lost its pin: what it holds is there for as long as programs run with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alive {
    /// Its id.
    pub id: u32,
    /// The pin.
    pub pin: PinPath,
    /// The folder of the pin, where that is gone as well.
    pub folder: Option<PinPath>,
    /// Whether it still fits its definition.
    pub fits: bool,
}

/// Why something is done: a closed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// It is not on the host.
    Missing,
    /// It is on the host, and its pin is not.
    Unpinned {
        /// The map that lost its pin, where it is gone from the deployment's folder, too.
        alive: Option<Alive>,
    },
    /// It is there and fits.
    Unchanged,
    /// It is there, fits, and belongs to somebody else: this deployment, where one says so.
    Foreign(Option<String>),
    /// The program's own fingerprint differs.
    CodeChanged,
    /// A map that the program uses is new.
    MapNew(MapName),
    /// The running program does not use the pinned map.
    MapOther(MapName),
    /// A map no longer fits its definition.
    MapDiffers(Vec<Difference>),
    /// Programs still write to the map while its entries are copied.
    MapInUse,
    /// The first contents of a data section changed.
    ContentsChanged,
    /// The entries of the map are not those of the manifest.
    EntriesChanged,
    /// The manifest gives the map no entries any more that it owns.
    EntriesNotWanted,
    /// Variables do not have the values that the manifest gives them.
    VariablesDiffer,
    /// Somebody else changed its slots.
    SlotsDiffer,
    /// A slot's program or map is new.
    SlotNew(Address),
    /// The program whose function an extension replaces is new.
    TargetNew(ProgramName),
    /// The program behind the link is new.
    ProgramNew(ProgramName),
    /// The manifest has another name for this link.
    Renamed(LinkName),
    /// The link's hook or mode is another one in the manifest.
    HookChanged(String),
    /// The link is on nothing any more.
    HookGone {
        /// True when what it was on is there, so that somebody detached it or took its place.
        detached: bool,
    },
    /// The link does not have this place among those on its hook.
    OutOfPlace(String),
    /// It may be missing, and what it is to be on is.
    Optional,
    /// The link runs a program that is not the pinned one.
    ProgramOther(u32),
    /// The manifest has no use for it any more: no table names it, no object needs it, or it is at another pin.
    NotWanted,
    /// The whole deployment goes.
    Destroy,
    /// Who may open the pin is not what the manifest says.
    AccessDiffers,
    /// Something else in the plan changes; or these things are kept in the record, and change.
    PlanChanges(Vec<String>),
    /// Something below needs it.
    NeededBelow,
    /// A run was interrupted before it was done.
    Interrupted {
        /// Programs of others that lost their hooks to it, in words: they do not return.
        taken: Vec<String>,
    },
    /// The deployment goes back to the generation before.
    Rollback,
    /// It is at its pin, and everything about it says that it is ours.
    Adopted,
    /// It was somebody else's, and the manifest takes it over.
    TakenOver {
        /// Whether it has the place of a map of ours, which goes with what it holds.
        instead: bool,
    },
}

/// What a step means for packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Traffic {
    /// Nothing.
    #[serde(rename = "none")]
    None,
    /// Filtered before, filtered after, filtered in between.
    #[serde(rename = "no gap")]
    NoGap,
    /// The old and the new program run both for a moment, and what happens then is seen twice.
    #[serde(rename = "both run meanwhile")]
    BothRun,
    /// From here on packets see the program.
    #[serde(rename = "starts")]
    Starts,
    /// From here on packets see the program in another place, and no longer where it was.
    #[serde(rename = "moves")]
    Moves,
    /// From here on packets do not see the program.
    #[serde(rename = "stops")]
    Stops,
    /// Sockets that come from here on see the program; those that are there keep what they have.
    #[serde(rename = "new sockets")]
    NewSockets,
    /// For a moment packets pass unfiltered.
    #[serde(rename = "gap: unfiltered")]
    GapUnfiltered,
}

/// What a step means for the contents of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The step has nothing to do with contents.
    None,
    /// Contents stay.
    Kept,
    /// The map starts empty, or with its first contents.
    New,
    /// Entries go over into another map.
    Copied {
        /// So many.
        entries: u64,
        /// So many do not fit, and go.
        lost: u64,
    },
    /// Contents go: so many entries, where they were counted.
    Lost(Option<u64>),
}

impl State {
    /// Returns whether contents go.
    pub fn is_loss(self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Copied { lost, .. } => lost > 0,
            Self::None | Self::Kept | Self::New => false,
        }
    }

    /// Returns how many entries it is about, where they were counted.
    pub fn entries(self) -> Option<u64> {
        match self {
            Self::Lost(entries) => entries,
            Self::Copied { entries, .. } => Some(entries),
            Self::None | Self::Kept | Self::New => None,
        }
    }
}

/// What a bare apply does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// Packets pass unfiltered for a moment.
    Gap,
    /// Contents of a map go.
    LoseState,
    /// Things go that the manifest has no use for any more.
    Prune,
    /// Somebody else's program loses its hook.
    Takeover,
}

impl Consent {
    /// Every consent there is.
    pub const ALL: [Self; 4] = [Self::Gap, Self::LoseState, Self::Prune, Self::Takeover];

    /// Says what is consented to.
    pub fn risk(self) -> &'static str {
        match self {
            Self::Gap => "packets pass unfiltered for a moment",
            Self::LoseState => "contents of maps are lost",
            Self::Prune => "things go that the manifest has no use for any more",
            Self::Takeover => "somebody else's program loses its hook",
        }
    }
}

impl Action {
    /// Returns what the action is about.
    pub fn address(&self) -> Address {
        match self {
            Self::ClearLeftover { path, .. }
            | Self::MountBpffs { at: path }
            | Self::MakeDirectory { path }
            | Self::RemoveDirectory { path } => Address::Directory(path.clone()),
            Self::ReuseMap { map, .. }
            | Self::CreateMap { map, .. }
            | Self::CopyEntries { map, .. }
            | Self::CatchUp { map, .. }
            | Self::FinishCopy { map, .. }
            | Self::FillMap { map }
            | Self::FillSlots { map } => Address::Map(map.name.clone()),
            Self::WriteEntries { writes } => Address::Map(writes.map.clone()),
            Self::SetVariables { sets } => Address::Map(sets.map.clone()),
            Self::RemoveMap { map, .. } | Self::RestoreMap { map, .. } => Address::Map(map.clone()),
            Self::ReuseProgram { program, .. } | Self::LoadProgram { program, .. } => {
                Address::Program(program.name.clone())
            }
            Self::RemoveProgram { program, .. } | Self::RestoreProgram { program, .. } => {
                Address::Program(program.clone())
            }
            Self::RenameLink { link, .. }
            | Self::ReuseLink { link, .. }
            | Self::Attach { link, .. }
            | Self::UpdateLink { link, .. }
            | Self::Reattach { link, .. } => Address::Link(link.name.clone()),
            Self::Detach { link, .. } | Self::Skip { link, .. } => Address::Link(link.clone()),
            Self::SetAccess { of, .. } | Self::RestorePin { of, .. } => of.clone(),
            Self::WriteRecord { .. } | Self::RemoveRecord { .. } => Address::Record,
        }
    }

    /// Returns the marker of the action.
    pub fn marker(&self) -> Marker {
        match self {
            Self::MountBpffs { .. }
            | Self::MakeDirectory { .. }
            | Self::CopyEntries { .. }
            | Self::FillMap { .. }
            | Self::FillSlots { .. }
            | Self::Attach { .. }
            | Self::RestorePin { .. }
            | Self::SetAccess { now: None, .. } => Marker::Create,
            Self::ReuseMap { .. } | Self::ReuseProgram { .. } | Self::ReuseLink { .. } | Self::Skip { .. } => {
                Marker::Reuse
            }
            Self::CreateMap { replaces: Some(_), .. } | Self::LoadProgram { replaces: Some(_), .. } => {
                Marker::CreateThenDestroy
            }
            Self::CreateMap { replaces: None, .. } | Self::LoadProgram { replaces: None, .. } => Marker::Create,
            Self::RestoreMap { restored, .. } | Self::RestoreProgram { restored, .. } => restored.marker(),
            Self::WriteEntries { writes } => match writes.id {
                Some(_) => Marker::Change,
                None => Marker::Create,
            },
            Self::UpdateLink { .. }
            | Self::RenameLink { .. }
            | Self::CatchUp { .. }
            | Self::FinishCopy { .. }
            | Self::SetVariables { .. }
            | Self::SetAccess { now: Some(_), .. } => Marker::Change,
            Self::Reattach { overlap: true, .. } => Marker::CreateThenDestroy,
            Self::Reattach { overlap: false, .. } => Marker::DestroyThenCreate,
            Self::WriteRecord { replaces, .. } => match replaces {
                Some(_) => Marker::Change,
                None => Marker::Create,
            },
            Self::ClearLeftover { kept: true, .. } => Marker::Change,
            Self::ClearLeftover { kept: false, .. }
            | Self::Detach { .. }
            | Self::RemoveProgram { .. }
            | Self::RemoveMap { .. }
            | Self::RemoveDirectory { .. }
            | Self::RemoveRecord { .. } => Marker::Remove,
        }
    }
}

impl Action {
    /// Returns whether the action finishes or clears what an interrupted run left. These come before all others.
    pub fn is_rest(&self) -> bool {
        matches!(self, Self::ClearLeftover { .. } | Self::FinishCopy { .. })
    }

    /// Returns the other deployments that use a map of ours which loses its pin, for good or to another map.
    pub fn used_by(&self) -> Option<&BTreeSet<String>> {
        let (Self::CreateMap { replaces: Some(Replaced { used_by, .. }), .. }
        | Self::RestoreMap { used_by, .. }
        | Self::RemoveMap { used_by, .. }) = self
        else {
            return None;
        };
        Some(used_by).filter(|names| !names.is_empty())
    }

    /// Returns the pin that the action takes away for good.
    pub fn removed_pin(&self) -> Option<&PinPath> {
        match self {
            Self::Detach { pin, .. }
            | Self::RemoveProgram { pin, .. }
            | Self::RemoveMap { pin, .. }
            | Self::RemoveRecord { pin } => Some(pin),
            Self::ClearLeftover { .. }
            | Self::MountBpffs { .. }
            | Self::MakeDirectory { .. }
            | Self::ReuseMap { .. }
            | Self::CreateMap { .. }
            | Self::CopyEntries { .. }
            | Self::CatchUp { .. }
            | Self::FinishCopy { .. }
            | Self::FillMap { .. }
            | Self::FillSlots { .. }
            | Self::WriteEntries { .. }
            | Self::SetVariables { .. }
            | Self::ReuseProgram { .. }
            | Self::LoadProgram { .. }
            | Self::RestoreMap { .. }
            | Self::RestoreProgram { .. }
            | Self::RestorePin { .. }
            | Self::RenameLink { .. }
            | Self::ReuseLink { .. }
            | Self::Skip { .. }
            | Self::Attach { .. }
            | Self::UpdateLink { .. }
            | Self::Reattach { .. }
            | Self::SetAccess { .. }
            | Self::RemoveDirectory { .. }
            | Self::WriteRecord { .. } => None,
        }
    }

    /// Returns the pin that stands for something else afterwards, or for nothing.
    pub fn changed_pin(&self) -> Option<&PinPath> {
        match self {
            Self::CreateMap { map, replaces: Some(_) } => map.pin(),
            Self::LoadProgram { program, replaces: Some(_) } => Some(&program.pin),
            Self::Reattach { link, .. } | Self::UpdateLink { link, id: 0, .. } => Some(&link.pin),
            Self::WriteRecord { pin, .. } => Some(pin),
            Self::RestoreMap { pin, restored: Restored::Returns | Restored::Replaces(_), .. }
            | Self::RestoreProgram { pin, restored: Restored::Returns | Restored::Replaces(_), .. } => Some(pin),
            Self::CreateMap { .. }
            | Self::LoadProgram { .. }
            | Self::RestoreMap { .. }
            | Self::RestoreProgram { .. }
            | Self::Detach { .. }
            | Self::RemoveProgram { .. }
            | Self::RemoveMap { .. }
            | Self::RemoveRecord { .. }
            | Self::ClearLeftover { .. }
            | Self::MountBpffs { .. }
            | Self::MakeDirectory { .. }
            | Self::ReuseMap { .. }
            | Self::FillMap { .. }
            | Self::FillSlots { .. }
            | Self::WriteEntries { .. }
            | Self::SetVariables { .. }
            | Self::ReuseProgram { .. }
            | Self::RestorePin { .. }
            | Self::RenameLink { .. }
            | Self::ReuseLink { .. }
            | Self::Skip { .. }
            | Self::Attach { .. }
            | Self::UpdateLink { .. }
            | Self::SetAccess { .. }
            | Self::CopyEntries { .. }
            | Self::CatchUp { .. }
            | Self::FinishCopy { .. }
            | Self::RemoveDirectory { .. } => self.removed_pin(),
        }
    }
}

impl Step {
    /// Writes the reason as it stands behind the word "because".
    pub fn because_words(&self, mode: Mode) -> String {
        match mode {
            Mode::Against { .. } if self.may_be_unchanged() => {
                "what it takes from the kernel is not known offline".to_owned()
            }
            Mode::Live | Mode::Offline | Mode::Against { .. } => self.because.words(mode),
        }
    }

    /// Returns whether it only seems to be needed, since nobody knows what the kernel makes of the same program or map.
    fn may_be_unchanged(&self) -> bool {
        if let Action::LoadProgram { program, replaces: Some(_) } = &self.action {
            return program.unsettled;
        }
        let (Action::CreateMap { map, replaces: Some(_) } | Action::FillMap { map } | Action::FillSlots { map }) =
            &self.action
        else {
            return false;
        };
        let MapSource::Defined(definition) = &map.source else { return false };
        // The kernel's own struct decides its size and places.
        if definition.operations.is_some() {
            return true;
        }
        let symbol = definition.defined_by.as_ref().map(|(_, symbol)| symbol.as_str());
        self.because == Because::ContentsChanged && symbol == Some(KCONFIG)
    }
}

impl Plan {
    /// Returns what the verifier said of the program that an action loads; `None` when it did not run.
    pub fn verdict(&self, action: &Action) -> Option<&Verdict> {
        let Action::LoadProgram { program, .. } = action else { return None };
        self.verdicts.as_ref()?.get(&program.name)
    }

    /// Returns what a report calls the way in which it was made.
    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Live if self.verdicts.is_some() => "verify",
            Mode::Live => "live",
            Mode::Offline => "offline",
            Mode::Against { .. } => "against",
        }
    }

    /// Returns how many of the programs to load depend on what of the kernel nobody knows, since none was asked.
    pub fn unsettled_programs(&self) -> usize {
        let unsettled = |step: &&Step| matches!(&step.action, Action::LoadProgram { program, .. } if program.unsettled);
        self.steps.iter().filter(unsettled).count()
    }

    /// Returns the hooks that several programs share, of links that are attached, or get another program.
    pub fn changed_hooks(&self) -> impl Iterator<Item = Hook> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Attach { link, .. } | Action::UpdateLink { link, .. } | Action::Reattach { link, .. } => {
                link.hook.shared()
            }
            _ => None,
        })
    }

    /// Returns the pins that stand for something else afterwards, or for nothing.
    pub fn changed_pins(&self) -> impl Iterator<Item = &PinPath> {
        self.steps.iter().filter_map(|step| step.action.changed_pin())
    }

    /// Returns the pins of ours that stay, with their inodes; those of links that get other names by the names that they
    /// have until then.
    pub fn kept_pins(&self) -> impl Iterator<Item = (PinPath, u64)> {
        let record = self
            .steps
            .iter()
            .find_map(|step| if let Action::WriteRecord { record, .. } = &step.action { Some(record) } else { None });
        let names: BTreeMap<&PinPath, &PinPath> = self.renames().map(|(from, to)| (to, from)).collect();
        let pins = record.into_iter().flat_map(|record| record.made_pins());
        pins.map(move |(pin, inode)| (names.get(&pin).map_or(pin, |from| (*from).clone()), inode))
    }

    /// Returns the pins of links that get other names: the one that each has, and the one that it gets.
    pub fn renames(&self) -> impl Iterator<Item = (&PinPath, &PinPath)> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::RenameLink { link, from, .. } => Some((from, &link.pin)),
            _ => None,
        })
    }

    /// Returns what the record of the generation that runs says of a link, by its new name if it gets one.
    pub fn recorded_link(&self, name: &LinkName) -> Option<&RecordedLink> {
        let was = self.steps.iter().find_map(|step| match &step.action {
            Action::RenameLink { link, was, .. } if link.name == *name => Some(was),
            _ => None,
        });
        self.generations.record.as_ref()?.links.get(was.unwrap_or(name).as_str())
    }

    /// Returns whether applying changes nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.action.marker() == Marker::Reuse)
    }

    /// Returns the consents that the plan needs, each once.
    pub fn needs(&self) -> BTreeSet<Consent> {
        self.steps.iter().filter_map(|step| step.needs).collect()
    }

    /// Returns whether the manifest gives a consent that the plan needs.
    pub fn allows(&self, consent: Consent) -> bool {
        self.allow.contains(&consent) && !(consent == Consent::Prune && self.sweep.is_some())
    }

    /// Returns the programs of others that lose their hooks, in words. No way back puts them there again.
    pub fn takeovers(&self) -> Vec<String> {
        let hooks = self.steps.iter().filter_map(|step| {
            let (Action::Attach { link, hook, .. } | Action::Reattach { link, hook, .. }) = &step.action else {
                return None;
            };
            Some((link, hook.taken()?))
        });
        hooks.map(|(link, Taken { id, name, .. })| format!("`{name}` (program {id}) on {}", link.hook)).collect()
    }

    /// Returns whether the manifest or who asks for the plan gives a consent that the plan needs.
    pub fn has(&self, consent: Consent) -> bool {
        self.allows(consent) || self.given.contains(&consent)
    }

    /// Returns the consents that the manifest does not give, so that they have to be given by name.
    pub fn asks(&self) -> BTreeSet<Consent> {
        self.needs().into_iter().filter(|consent| !self.allows(*consent)).collect()
    }

    /// Returns the consents that nobody gives.
    pub fn lacks(&self) -> BTreeSet<Consent> {
        self.needs().into_iter().filter(|consent| !self.has(*consent)).collect()
    }
}
