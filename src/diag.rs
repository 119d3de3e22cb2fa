//! Every problem as a kind, places in a source text, and help; and the exit codes that problems mean.
//!
//! One [`Kind`] for each thing that can be wrong. Text is lower case, without a full stop, names in backticks.

pub mod explain;

use crate::access::AccountKind;
use crate::desired::{Netns, Span, Within};
use crate::elf::{self, Blame};
use crate::kinds::{AttachType, MapType, ProgramType};
use crate::names::{Address, Digest, LinkName, MapName, NameError, ObjectName, PinPath, PlanId, ProgramName};
use crate::plan::words::{count, thousands};
use crate::plan::{Consent, Sweep};
use crate::record::{RecordError, Since};
use crate::spec::Difference;
use crate::verifier::Telling;
use miette::{LabeledSpan, NamedSource, Severity};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Exit codes of the command (DESIGN §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// The host matches.
    Success = 0,
    /// Failed; the host is as it was before.
    Failed = 1,
    /// With `--check`: changes or drift pending.
    Pending = 2,
    /// Failed, and the host is not as it was before.
    Broken = 3,
    /// Consent needed; nothing was done.
    Consent = 4,
    /// Wrong arguments.
    Usage = 64,
    /// A bad manifest or object.
    Data = 65,
    /// This kernel lacks something.
    Unavailable = 69,
    /// Locked, or the plan is stale: try again.
    Retry = 75,
    /// No permission.
    Permission = 77,
}

/// A place in the manifest with what is to say there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Bytes of the source text.
    pub span: Span,
    /// What is to say there.
    pub text: String,
}

/// Something wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is wrong; boxed, since problems are returned from many places and seldom.
    pub kind: Box<Kind>,
    /// Where: the first is the main place.
    pub labels: Vec<Label>,
}

impl Problem {
    /// Makes a problem of the whole run.
    pub fn new(kind: Kind) -> Self {
        Self { kind: Box::new(kind), labels: Vec::new() }
    }

    /// Makes a problem at a place.
    pub fn at(kind: Kind, span: Span, text: impl Into<String>) -> Self {
        Self::new(kind).and(span, text)
    }

    /// Adds a place.
    #[must_use]
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }
}

/// Every problem of one stage. Never empty when it is an error.
#[derive(Debug, Clone, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Returns the value when nothing was wrong, else the problems in the order of their places.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|problem| problem.labels.first().map_or(usize::MAX, |label| label.span.start));
        Err(self)
    }

    /// Returns the exit code that the problems mean together: the most particular one.
    pub fn exit(&self) -> Exit {
        self.0.iter().map(|problem| problem.kind.exit()).max().unwrap_or(Exit::Failed)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// What to do when the kernel says that somebody may not.
pub const PRIVILEGES: &str = "run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";

/// Programs that change the kernel's code where they attach, which some kernels forbid everybody.
const TRAMPOLINES: &[ProgramType] = &[ProgramType::TRACING, ProgramType::LSM, ProgramType::EXT];

/// What to do when a process may not open more files.
pub const OPEN_FILES: &str = "each map and program is held open until all are there: allow more open files \
                              (`ulimit -Hn`, `LimitNOFILE=` of a systemd service)";

/// Returns the name that a table of the manifest for this symbol could have.
fn table_name(symbol: &str) -> &str {
    if MapName::new(symbol).is_ok() { symbol } else { "NAME" }
}

/// Which size of a map an object leaves to the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// How many entries it can hold.
    Entries,
    /// How many bytes a value has.
    Value,
}

impl Size {
    /// Returns the line of the manifest that says it.
    fn line(self, map_type: MapType) -> &'static str {
        match (self, map_type) {
            (Self::Entries, _) => "`max_entries = N`",
            (Self::Value, MapType::STACK_TRACE) => "`value_size = 1016`: 8 bytes for each of 127 frames",
            (Self::Value, _) => "`value_size = N`",
        }
    }
}

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    /// Its id, as this process sees it.
    pub pid: u32,
    /// For how many seconds it has been running; `None` when it ended meanwhile.
    pub seconds: Option<u64>,
    /// Its command line, or its name; empty when it ended meanwhile.
    pub command: String,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        if let Some(seconds) = self.seconds {
            write!(f, ", started {seconds} s ago")?;
        }
        match self.command.is_empty() {
            true => f.write_str(", which ended meanwhile"),
            // Anybody may give a command line that moves the cursor.
            false => write!(f, ": `{}`", self.command.escape_debug()),
        }
    }
}

/// Names a lock's holder, or says that it cannot be named.
pub fn named_holder(holder: Option<&LockHolder>) -> String {
    holder.map_or_else(
        || "a process that cannot be seen from here, as one of another container".to_owned(),
        LockHolder::to_string,
    )
}

/// What is wrong in a file, the first few of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Line and column, both from 1, and what is wrong there.
    shown: Vec<(usize, usize, String)>,
    more: usize,
}

impl Faults {
    /// How many are shown: who mends so many sees the others then.
    const MOST: usize = 10;

    /// Adds one, unless there are enough.
    pub fn push(&mut self, line: usize, column: usize, why: String) {
        match self.is_full() {
            false => self.shown.push((line, column, why)),
            true => self.more += 1,
        }
    }

    /// Returns whether any more are only counted.
    pub fn is_full(&self) -> bool {
        self.shown.len() >= Self::MOST
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

/// Everything that can be wrong.
#[derive(Debug, Clone)]
pub enum Kind {
    // The manifest's text.
    /// The text is not TOML.
    Syntax(String),
    /// A value has another type than its key wants.
    WrongType {
        /// The key with its tables.
        key: String,
        /// What the key wants.
        wants: String,
    },
    /// A string with a variable stands where no string can.
    VariableOutsideText {
        /// The key with its tables.
        key: String,
        /// What the key wants.
        wants: String,
    },
    /// A number is too small or too large.
    OutOfRange {
        /// The key with its tables.
        key: String,
        /// The number as written.
        value: String,
        /// The smallest that is allowed.
        min: i128,
        /// The largest that is allowed.
        max: i128,
    },
    /// Two tests of one program have the same name.
    TestTwice {
        /// The name.
        name: String,
    },
    /// A test of a program that the kernel cannot run for a test.
    NotTestable {
        /// The program.
        program: ProgramName,
        /// Its type.
        program_type: ProgramType,
    },
    /// A program has no test though the manifest requires tests.
    Untested {
        /// The program.
        program: ProgramName,
    },
    /// Tests of programs failed.
    TestsFailed {
        /// So many.
        failed: usize,
        /// Of so many.
        all: usize,
    },
    /// A value is not in the list of its key.
    UnknownValue {
        /// The key with its tables.
        key: String,
        /// The value.
        value: String,
        /// The list.
        allowed: Vec<String>,
        /// A value that it may have meant.
        similar: Option<String>,
    },
    /// The manifest is written in another version of the language.
    UnknownVersion {
        /// The version.
        found: String,
    },
    /// A table lacks a key.
    MissingKey {
        /// The table; empty for the manifest itself.
        table: String,
        /// The key.
        key: String,
        /// A value that could stand there.
        example: &'static str,
    },
    /// Two keys of a table exclude each other.
    NotTogether {
        /// The table.
        table: String,
        /// The key that comes first.
        first: String,
        /// The other.
        second: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// A map has neither a definition nor an owner.
    NoSource {
        /// Its table.
        map: String,
    },
    /// A link has no hook.
    NoHook {
        /// Its table.
        link: String,
    },
    /// A name that the manifest does not declare.
    UnknownName {
        /// `object`, `map` or `program`.
        what: &'static str,
        /// The name.
        name: String,
        /// A name that it may have meant.
        similar: Option<String>,
    },
    /// A text is not a reference to a symbol.
    BadReference {
        /// The text.
        text: String,
        /// What it should be.
        form: &'static str,
        /// A good one.
        example: &'static str,
    },
    /// A text is not a path that can be used there.
    BadPath {
        /// The text.
        path: String,
        /// Why.
        why: String,
    },
    /// A text is not a digest.
    BadDigest {
        /// The text.
        text: String,
    },
    /// A text is not the name of an interface.
    BadInterface {
        /// The text.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// A variable that the manifest does not declare is used.
    UnknownVariable {
        /// Its name.
        name: String,
        /// A variable that it may have meant.
        similar: Option<String>,
    },
    /// A `${` has no `}`.
    UnclosedVariable,
    /// A variable that the manifest does not declare is set from outside.
    UnknownOverride {
        /// Its name.
        name: String,
        /// A variable that it may have meant.
        similar: Option<String>,
    },
    /// Two things want the same pin.
    PinTakenTwice {
        /// The pin.
        pin: PinPath,
    },
    /// A pin lies where the folder of another must be.
    PinIsFolder {
        /// The pin.
        pin: PinPath,
        /// What lies below it.
        below: PinPath,
    },
    /// A map that somebody else should own has the pin of one that we make.
    ForeignPinIsOurs {
        /// The pin.
        pin: PinPath,
        /// Ours.
        ours: String,
    },
    /// Two maps have the same definition.
    DefinedTwice {
        /// The definition, as `OBJECT:SYMBOL`.
        symbol: String,
    },
    /// A symbol is given to a map in two places.
    SymbolTwice {
        /// The symbol, as `OBJECT:SYMBOL`.
        symbol: String,
        /// The maps that it is said to be, each once.
        maps: Vec<MapName>,
    },
    /// The template of a map of maps is a map of maps, too.
    NestedInner {
        /// The outer map.
        outer: MapName,
        /// Its template.
        inner: MapName,
    },
    /// Two links want XDP on one interface.
    XdpTwice {
        /// The interface.
        interface: String,
    },
    /// Two links want a hook with room for one.
    HookTwice {
        /// The hook.
        hook: String,
    },
    /// A key that the language does not have.
    UnknownKey {
        /// The key.
        key: String,
        /// A key that it may have meant.
        similar: Option<String>,
    },
    /// A key or value that the language has, and this version does not do yet.
    NotYet {
        /// The key or value.
        what: String,
    },
    /// A text that is not a name.
    BadName {
        /// The text.
        text: String,
        /// Why.
        why: NameError,
    },

    /// An argument of the command line is wrong.
    Usage(String),

    // The object files.
    /// An object file has other bytes than the manifest wants.
    OtherBytes {
        /// Its path.
        path: String,
        /// The digest of the file.
        is: Digest,
    },
    /// An object file cannot be read.
    UnreadableFile {
        /// Its path.
        path: String,
        /// The error of the system.
        why: String,
    },
    /// An object file is broken, or needs what we cannot do.
    Object {
        /// Its path.
        path: String,
        /// What is wrong in it.
        error: elf::Error,
    },

    // The manifest and the objects together.
    /// A map cannot have entries from a manifest.
    NoEntries {
        /// The map.
        map: MapName,
        /// Its type.
        map_type: MapType,
        /// Why.
        why: &'static str,
    },
    /// A key or value does not fit its map.
    BadEntry {
        /// The map.
        map: MapName,
        /// `key`, `value`, or `entry` for both.
        part: &'static str,
        /// What is wrong with it.
        why: String,
        /// What to do, where that is known.
        help: Option<String>,
    },
    /// Entries of a file do not fit their map.
    BadEntryFile {
        /// The map.
        map: MapName,
        /// Path of the file.
        path: String,
        /// What is wrong in it.
        faults: Faults,
    },
    /// Two entries have the same key.
    EntryTwice {
        /// The map.
        map: MapName,
    },
    /// A map gets more entries than it has room for.
    TooManyEntries {
        /// The map.
        map: MapName,
        /// How many it gets.
        given: usize,
        /// How many it has room for.
        room: usize,
    },
    /// A format has another size than the keys or values of its map.
    FormatSize {
        /// The map.
        map: MapName,
        /// `key` or `value`.
        part: &'static str,
        /// Bytes of the format.
        format: u32,
        /// Bytes of the map's keys or values.
        size: u32,
    },
    /// A symbol that is no map of its object.
    NoSuchMap {
        /// The object.
        object: ObjectName,
        /// What was asked for.
        symbol: String,
        /// A name that it may have meant.
        similar: Option<String>,
        /// The maps that the object has.
        has: Vec<String>,
    },
    /// A function that is no program of its object.
    NoSuchProgram {
        /// The object.
        object: ObjectName,
        /// What was asked for.
        function: String,
        /// A name that it may have meant.
        similar: Option<String>,
        /// The functions that the object has.
        has: Vec<String>,
    },
    /// The manifest says a license of an object that says another one.
    LicenseSaid {
        /// The object.
        object: ObjectName,
        /// What the object says.
        is: String,
    },
    /// A global variable that the object does not have.
    NoSuchVariable {
        /// The object.
        object: ObjectName,
        /// What was asked for.
        variable: String,
        /// A name that it may have meant.
        similar: Option<String>,
    },
    /// A value that its variable cannot hold.
    BadValue {
        /// The variable.
        variable: String,
        /// Why, with the path of the field and its range.
        why: String,
        /// The way out.
        help: Option<String>,
    },
    /// A name that several variables of an object have.
    ManyVariables {
        /// The object.
        object: ObjectName,
        /// The name.
        variable: String,
        /// Where they are, by section and offset.
        places: Vec<String>,
    },
    /// A variable to which the kernel gives its value.
    KernelVariable {
        /// The object.
        object: ObjectName,
        /// The variable.
        variable: String,
    },
    /// An edge at a data section.
    EdgeToData {
        /// The section.
        symbol: String,
    },
    /// A pinning number that iproute2 would look up in a file.
    UnknownPinning {
        /// The object.
        object: ObjectName,
        /// The symbol.
        symbol: String,
        /// The number.
        number: u32,
    },
    /// Objects share a map by their own attribute, and the manifest takes only one of them elsewhere.
    SplitShare {
        /// The symbol.
        symbol: String,
        /// The object that is left behind.
        object: ObjectName,
        /// The object that the manifest takes elsewhere.
        other: ObjectName,
        /// Where to.
        map: MapName,
    },
    /// A user's definition does not fit the owner's.
    Incompatible {
        /// The map.
        map: MapName,
        /// The user.
        object: ObjectName,
        /// The symbol in it.
        symbol: String,
        /// What differs: left is the owner's.
        difference: Difference,
    },
    /// A map of no entries or of no values: its author meant an application to set the size.
    NoSize {
        /// The map.
        map: MapName,
        /// Its type.
        map_type: MapType,
        /// Which size.
        size: Size,
        /// The object and the symbol that define it.
        defined_by: Option<(ObjectName, String)>,
    },
    /// The manifest says a size of values that the object says already.
    ValueSizeSaid {
        /// The map.
        map: MapName,
        /// The object and the symbol that define it.
        defined_by: (ObjectName, String),
        /// What the object says, in bytes.
        size: u32,
    },
    /// An object fills a slot of a map that it shares, and cannot.
    SlotTaken {
        /// The map.
        map: MapName,
        /// The slot.
        slot: String,
        /// The object.
        object: ObjectName,
        /// What has the slot; `None` for a map that is somebody else's.
        by: Option<String>,
    },
    /// A pin that is not below the bpffs.
    NotBpffs {
        /// The pin.
        pin: PinPath,
        /// The bpffs.
        bpffs: PinPath,
    },
    /// A section name that says no program type.
    UnknownSection {
        /// The section.
        section: String,
    },
    /// A program on a hook for another type.
    WrongProgramType {
        /// What the program would be on, as `xdp hook`.
        hook: &'static str,
        /// The types that it takes.
        wants: String,
        /// The program's type.
        is: ProgramType,
    },
    /// A program for another kind of event.
    WrongEvent {
        /// The link's table.
        table: &'static str,
        /// The program's type.
        is: ProgramType,
        /// The program's attach type.
        attach_type: Option<AttachType>,
        /// The table that takes it.
        instead: Option<&'static str>,
    },
    /// A link to an event of which nothing says which one it is.
    EventOpen {
        /// The link's table.
        table: &'static str,
        /// What is not said.
        what: &'static str,
        /// What would say it.
        example: &'static str,
    },
    /// An event that the host does not have.
    NoEvent {
        /// Which.
        event: String,
        /// What is not there.
        why: String,
        /// The way out.
        hint: Option<&'static str>,
        /// Whether it is this kernel or machine that lacks it, and not a file or a process.
        of_kernel: bool,
    },
    /// A program in a devmap or a cpumap that was not made for one.
    WrongForMap {
        /// The map.
        map: MapName,
        /// Its type.
        map_type: MapType,
        /// The program.
        program: ProgramName,
        /// What the program is.
        is: String,
        /// The section that says what it has to be.
        section: &'static str,
    },
    /// A cgroup program without a word of which hook it is for.
    NoAttachType {
        /// The program's type.
        is: ProgramType,
    },
    /// A program that nobody can load: for something that the kernel has not, or that is not supported.
    NotLoadable {
        /// The program's function.
        function: String,
        /// Why, and who is to blame.
        refusal: elf::Refusal,
    },
    /// A struct of functions that the kernel takes as soon as it is filled.
    RegistersAtOnce {
        /// The map.
        map: MapName,
    },
    /// An arena with fewer pages than its variables need.
    ArenaTooSmall {
        /// The map.
        map: MapName,
        /// Bytes of variables.
        needs: usize,
    },
    /// A map of maps without a template.
    NoTemplate {
        /// The map.
        map: MapName,
        /// The object and the symbol that define it.
        defined_by: Option<(ObjectName, String)>,
    },
    /// A template that somebody else owns.
    ForeignTemplate {
        /// The template.
        map: MapName,
    },

    // The host.
    /// The kernel refused a command.
    Kernel {
        /// What we were about to do, for example "create `map.flows`".
        doing: String,
        /// `errno`.
        errno: i32,
        /// A hint, where we know one.
        hint: Option<String>,
    },
    /// Things of a plan that wait for each other.
    Cycle {
        /// Each must come before the next one, and the last before the first.
        circle: Vec<String>,
    },
    /// Programs of two types meet in one prog array.
    MixedProgArray {
        /// The prog array.
        map: MapName,
        /// A program that uses it or is in it, and its type.
        one: (ProgramName, ProgramType),
        /// One of another type.
        other: (ProgramName, ProgramType),
    },
    /// Somebody else's map is not at its pin.
    NoSuchPin {
        /// The pin.
        pin: PinPath,
    },
    /// No deployment that was asked for has a map.
    NoMapOf {
        /// Its name.
        map: String,
        /// The folder of the deployment's pins; `None` when every deployment was asked for.
        pin_root: Option<PinPath>,
        /// A name that may have been meant.
        similar: Option<String>,
    },
    /// Several deployments have a map of a name.
    ManyHaveMap {
        /// The name.
        map: String,
        /// The folders of their pins.
        pin_roots: Vec<PinPath>,
    },
    /// The entries of a map cannot be listed.
    Unlistable {
        /// Its name.
        map: String,
        /// Type.
        map_type: MapType,
        /// Why.
        why: &'static str,
    },
    /// What is at the pin of somebody else's map is no map.
    NotAMap {
        /// The pin.
        pin: PinPath,
        /// What is there.
        is: String,
    },
    /// Somebody else's map is not there.
    NoSuchMapId {
        /// Its id.
        id: u32,
    },
    /// A map that is there is not what the manifest wants now.
    MapChanged {
        /// The map.
        map: MapName,
        /// Its pin.
        pin: PinPath,
        /// Its id.
        id: u32,
        /// True when we made it.
        ours: bool,
        /// What differs: left is the one that is there.
        difference: Difference,
    },
    /// More entries than a map has room for beside those of others.
    NoRoom {
        /// The map.
        map: MapName,
        /// How many the manifest gives it.
        wanted: usize,
        /// How many others have in it.
        others: usize,
        /// How many it can hold.
        room: usize,
    },
    /// Variables in a map that is somebody else's, which has other values.
    VariablesOfOthers {
        /// The map.
        map: MapName,
        /// Its pin.
        pin: PinPath,
        /// The variables.
        names: Vec<String>,
    },
    /// Entries for a map that we did not make.
    EntriesOfOthers {
        /// The map.
        map: MapName,
        /// Its pin.
        pin: PinPath,
    },
    /// The entries of a map that no longer fits cannot be copied.
    NotMigratable {
        /// The map.
        map: MapName,
        /// Its pin.
        pin: PinPath,
        /// Why, each as a sentence.
        why: Vec<String>,
    },
    /// An interface that the host does not have.
    NoInterface {
        /// Its name.
        name: String,
        /// Where it was sought.
        netns: Netns,
    },
    /// An interface that is not the primary end of a netkit pair.
    NotPrimary {
        /// Its name.
        interface: String,
        /// Whether it is the other end.
        is_peer: bool,
    },
    /// A pattern of interfaces that matches none.
    NoMatch {
        /// The pattern.
        pattern: String,
        /// Where it was to match.
        netns: Netns,
    },
    /// A symbolic link is where we would go through a folder.
    SymlinkInTheWay {
        /// What was to be done: "pin the map at ...".
        doing: String,
        /// Where it is.
        path: PinPath,
    },
    /// A user or a group that the host does not have.
    NoAccount {
        /// Which of the two.
        kind: AccountKind,
        /// Its name.
        name: String,
    },
    /// A cgroup that the host does not have.
    NoCgroup {
        /// Its path.
        path: String,
    },
    /// The kernel has no programs of a type.
    NoProgramType {
        /// The type.
        program_type: ProgramType,
    },
    /// The kernel has no links of a kind.
    NoSuchLink {
        /// The hook.
        hook: String,
        /// Since when there are some.
        since: &'static str,
    },
    /// A link cannot have the place that it wants.
    BadOrder {
        /// The link.
        link: LinkName,
        /// The place.
        order: String,
        /// Why not.
        why: String,
    },
    /// Somebody else's program, which a link wants to be beside, is not on the hook, or more than one is it.
    NoNeighbour {
        /// The place.
        order: String,
        /// The hook.
        hook: String,
        /// The programs on it that match.
        found: Vec<String>,
        /// All programs on it.
        there: Vec<String>,
    },
    /// The running kernel has no places on such hooks.
    NoOrder {
        /// The hook.
        hook: String,
    },
    /// A link to a program that needs none.
    WithoutLinks {
        /// The program's type.
        is: ProgramType,
        /// Who uses it.
        used: &'static str,
    },
    /// A hook of a map of a type that has no such hooks.
    WrongMapType {
        /// The map's type.
        is: MapType,
        /// The hook.
        hook: String,
    },
    /// A network namespace that the host does not have.
    NoNetns {
        /// Which.
        netns: Netns,
    },
    /// A program of a cgroup lets no other be where a link goes.
    CgroupExcludes {
        /// The hook that is wanted.
        hook: String,
        /// The cgroup.
        cgroup: std::path::PathBuf,
        /// Whether nothing may be below it, either.
        below: bool,
    },
    /// A route that is not ours has the place of one that a link wants.
    RouteTaken {
        /// The destinations.
        to: String,
        /// What the kernel says of the route that is there.
        by: String,
    },
    /// Somebody else's program is on a hook that takes only one.
    HookTaken {
        /// The hook.
        hook: String,
        /// Who has it.
        by: String,
        /// Id of that program; 0 when it is none, or one of several.
        program_id: u32,
        /// Where it is pinned.
        pin: Option<PinPath>,
        /// The link of the same deployment that put it there, if one did.
        ours: Option<LinkName>,
        /// What can be done about it, beyond the usual.
        way_out: Option<String>,
    },
    /// The host is not as the plan saw it.
    Stale {
        /// What changed.
        what: String,
    },
    /// Somebody else has the lock.
    Locked {
        /// Root of the bpffs.
        folder: PinPath,
        /// Who has it, if that can be seen.
        holder: Option<LockHolder>,
        /// How many seconds it was waited for.
        waited: u64,
    },
    /// The kernel refused an object's BTF.
    BtfRefused {
        /// The object.
        object: ObjectName,
        /// `errno`.
        errno: i32,
        /// The function that was tried without its types, and why that was refused as well.
        without: Option<(String, String)>,
        /// The kernel's log.
        log: String,
    },
    /// The kernel refused a program.
    ProgramRefused {
        /// The program.
        program: ProgramName,
        /// The function that it is.
        function: String,
        /// Its type.
        program_type: ProgramType,
        /// Its flags.
        flags: u32,
        /// `errno`.
        errno: i32,
        /// What the log has to tell.
        telling: Box<Telling>,
        /// The verifier's whole log.
        log: String,
    },
    /// No bpffs where the pins are to be, and we may not mount one.
    NotMounted {
        /// Where.
        at: PinPath,
    },
    /// The host does not match what was just applied.
    Unverified {
        /// What still differs, as a plan would say it.
        differs: Vec<String>,
    },
    /// Nothing is known of a deployment.
    NoDeployment {
        /// The folder of its pins.
        pin_root: PinPath,
    },
    /// Health checks passed before an apply and not after it, so that it was taken back.
    ChecksFailed {
        /// Their names, and why they fail.
        failed: Vec<(String, String)>,
        /// Whether what ran before is back.
        is_back: bool,
    },
    /// A text of the manifest is not what its key wants.
    BadText {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The process that goes back when nobody confirms does not run.
    Watchdog {
        /// Why.
        why: String,
    },
    /// An apply waits to be confirmed.
    Unconfirmed {
        /// The folder of its pins.
        pin_root: PinPath,
        /// For how many seconds it still waits.
        left: u64,
    },
    /// An apply was not confirmed in time, and was taken back now.
    NotConfirmed {
        /// The folder of its pins.
        pin_root: PinPath,
    },
    /// Nothing waits to be confirmed.
    NothingToConfirm {
        /// The folder of the pins.
        pin_root: PinPath,
    },
    /// The generation before is not there, or not whole.
    NoWayBack {
        /// What is missing.
        lacks: PinPath,
    },
    /// Something has the pin that is not what we want there.
    PinTaken {
        /// The pin.
        pin: PinPath,
        /// What is there.
        by: String,
    },
    /// The record of the deployment cannot be used.
    Record {
        /// Its pin.
        pin: PinPath,
        /// Why.
        why: RecordError,
    },
    /// A generation runs, and its record is gone.
    RecordLost {
        /// Where it was pinned.
        pin: PinPath,
    },
    /// Consent is missing.
    ConsentNeeded {
        /// Which.
        needs: BTreeSet<Consent>,
        /// There when the manifest's own consent to removals does not count.
        sweep: Option<Sweep>,
    },
    /// A file is no saved plan.
    NoSavedPlan {
        /// Its path.
        path: String,
        /// Why not, as a sentence without capital and full stop.
        why: String,
    },
    /// A file is no state of a host.
    NoState {
        /// Its path.
        path: String,
        /// Why not, as a sentence without capital and full stop.
        why: String,
    },
    /// The state of a host does not tell what a plan must know.
    NotInState {
        /// What was to be done with it.
        doing: String,
        /// What that is.
        what: String,
    },
    /// A file cannot be written.
    UnwritableFile {
        /// Its path.
        path: String,
        /// The error of the system.
        why: String,
    },
    /// The plan is not the one that was asked for.
    OtherPlan {
        /// What was asked for.
        expected: PlanId,
        /// What it is now.
        is: PlanId,
    },
    /// Something protected would be lost.
    Protected {
        /// The map, program or link.
        address: Address,
        /// Since when the record protects it; `None` when only the manifest does.
        since: Option<Since>,
        /// What would be done to it: "remove".
        what: &'static str,
    },
}

impl Kind {
    /// Returns the code of the kind: stable, for searching and scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "manifest::syntax",
            Self::WrongType { .. } => "manifest::wrong_type",
            Self::VariableOutsideText { .. } => "manifest::variable_outside_text",
            Self::OutOfRange { .. } => "manifest::out_of_range",
            Self::TestTwice { .. } => "test::named_twice",
            Self::NotTestable { .. } => "test::not_testable",
            Self::Untested { .. } => "test::missing",
            Self::TestsFailed { .. } => "test::failed",
            Self::UnknownValue { .. } => "manifest::unknown_value",
            Self::UnknownVersion { .. } => "manifest::unknown_version",
            Self::MissingKey { .. } => "manifest::missing_key",
            Self::NotTogether { .. } => "manifest::not_together",
            Self::NoSource { .. } => "manifest::no_source",
            Self::NoHook { .. } => "manifest::no_hook",
            Self::UnknownName { .. } => "manifest::unknown_name",
            Self::BadReference { .. } => "manifest::bad_reference",
            Self::BadPath { .. } => "manifest::bad_path",
            Self::BadDigest { .. } => "manifest::bad_digest",
            Self::BadInterface { .. } => "manifest::bad_interface",
            Self::UnknownVariable { .. } => "manifest::unknown_variable",
            Self::UnclosedVariable => "manifest::unclosed_variable",
            Self::UnknownOverride { .. } => "manifest::unknown_override",
            Self::PinTakenTwice { .. } => "manifest::pin_taken_twice",
            Self::PinIsFolder { .. } => "manifest::pin_is_folder",
            Self::ForeignPinIsOurs { .. } => "manifest::foreign_pin_is_ours",
            Self::DefinedTwice { .. } => "manifest::defined_twice",
            Self::SymbolTwice { .. } => "manifest::symbol_twice",
            Self::NestedInner { .. } => "manifest::nested_inner",
            Self::XdpTwice { .. } => "manifest::xdp_twice",
            Self::HookTwice { .. } => "manifest::hook_twice",
            Self::UnknownKey { .. } => "manifest::unknown_key",
            Self::NotYet { .. } => "manifest::not_yet",
            Self::BadName { .. } => "manifest::bad_name",
            Self::Usage(_) => "usage",
            Self::OtherBytes { .. } => "object::other_bytes",
            Self::UnreadableFile { .. } => "object::unreadable",
            Self::Object { .. } => "object::invalid",
            Self::NoEntries { .. } => "entries::none",
            Self::BadEntry { .. } => "entries::bad",
            Self::BadEntryFile { .. } => "entries::bad_file",
            Self::EntryTwice { .. } => "entries::twice",
            Self::TooManyEntries { .. } => "entries::too_many",
            Self::FormatSize { .. } => "entries::format_size",
            Self::NoSuchMap { .. } => "object::no_such_map",
            Self::NoSuchProgram { .. } => "object::no_such_program",
            Self::NoSuchVariable { .. } => "object::no_such_variable",
            Self::BadValue { .. } => "object::bad_value",
            Self::ManyVariables { .. } => "object::many_variables",
            Self::KernelVariable { .. } => "object::kernel_variable",
            Self::EdgeToData { .. } => "share::edge_to_data",
            Self::UnknownPinning { .. } => "share::unknown_pinning",
            Self::SplitShare { .. } => "share::split",
            Self::Incompatible { .. } => "share::incompatible",
            Self::MixedProgArray { .. } => "share::mixed_prog_array",
            Self::NoSize { .. } => "map::no_size",
            Self::ValueSizeSaid { .. } => "map::value_size_said",
            Self::LicenseSaid { .. } => "object::license_said",
            Self::SlotTaken { .. } => "share::slot_taken",
            Self::NotBpffs { .. } => "host::not_bpffs",
            Self::UnknownSection { .. } => "program::unknown_section",
            Self::WrongProgramType { .. } => "link::wrong_program_type",
            Self::WrongForMap { .. } => "entries::wrong_program",
            Self::WrongEvent { .. } => "link::wrong_event",
            Self::EventOpen { .. } => "link::event_open",
            Self::NoEvent { .. } => "host::no_event",
            Self::NoAttachType { .. } => "link::no_attach_type",
            Self::WrongMapType { .. } => "link::wrong_map_type",
            Self::WithoutLinks { .. } => "link::without_links",
            Self::NotLoadable { .. } => "program::not_loadable",
            Self::RegistersAtOnce { .. } => "map::registers_at_once",
            Self::ArenaTooSmall { .. } => "map::arena_too_small",
            Self::NoTemplate { .. } => "map::no_template",
            Self::ForeignTemplate { .. } => "map::foreign_template",
            Self::Kernel { .. } => "kernel::refused",
            Self::Cycle { .. } => "plan::cycle",
            Self::NoSuchPin { .. } => "host::no_such_pin",
            Self::NoMapOf { .. } => "host::no_map",
            Self::ManyHaveMap { .. } => "host::many_maps",
            Self::Unlistable { .. } => "host::unlistable",
            Self::NotAMap { .. } => "host::not_a_map",
            Self::NoSuchMapId { .. } => "host::no_such_map_id",
            Self::MapChanged { .. } => "plan::map_changed",
            Self::NoRoom { .. } => "plan::no_room",
            Self::EntriesOfOthers { .. } => "plan::entries_of_others",
            Self::VariablesOfOthers { .. } => "plan::variables_of_others",
            Self::NotMigratable { .. } => "plan::not_migratable",
            Self::NoInterface { .. } => "host::no_interface",
            Self::NoMatch { .. } => "host::no_match",
            Self::NotPrimary { .. } => "host::not_primary",
            Self::SymlinkInTheWay { .. } => "host::symlink_in_the_way",
            Self::NoAccount { .. } => "host::no_account",
            Self::NoCgroup { .. } => "host::no_cgroup",
            Self::BadOrder { .. } => "manifest::bad_order",
            Self::NoNeighbour { .. } => "host::no_neighbour",
            Self::NoOrder { .. } => "kernel::no_order",
            Self::NoNetns { .. } => "host::no_netns",
            Self::NoProgramType { .. } => "kernel::no_program_type",
            Self::NoSuchLink { .. } => "kernel::no_such_link",
            Self::CgroupExcludes { .. } => "host::cgroup_excludes",
            Self::HookTaken { .. } => "host::hook_taken",
            Self::RouteTaken { .. } => "host::route_taken",
            Self::NotMounted { .. } => "host::not_mounted",
            Self::Unverified { .. } => "host::unverified",
            Self::NoDeployment { .. } => "host::no_deployment",
            Self::NoWayBack { .. } => "host::no_way_back",
            Self::ChecksFailed { .. } => "host::checks_failed",
            Self::BadText { .. } => "manifest::bad_text",
            Self::Watchdog { .. } => "host::watchdog",
            Self::Unconfirmed { .. } => "host::unconfirmed",
            Self::NotConfirmed { .. } => "host::not_confirmed",
            Self::NothingToConfirm { .. } => "host::nothing_to_confirm",
            Self::Stale { .. } => "host::changed",
            Self::Locked { .. } => "host::locked",
            Self::BtfRefused { .. } => "kernel::btf_refused",
            Self::ProgramRefused { .. } => "kernel::program_refused",
            Self::PinTaken { .. } => "host::pin_taken",
            Self::Record { .. } => "host::record",
            Self::RecordLost { .. } => "host::record_lost",
            Self::ConsentNeeded { .. } => "plan::consent",
            Self::NoSavedPlan { .. } => "plan::not_saved",
            Self::NoState { .. } => "state::not_exported",
            Self::NotInState { .. } => "state::not_told",
            Self::UnwritableFile { .. } => "plan::unwritable",
            Self::OtherPlan { .. } => "plan::other",
            Self::Protected { .. } => "plan::protected",
        }
    }

    /// Returns what to do, where we know the way out.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Syntax(_)
            | Self::WrongType { .. }
            | Self::BadName { .. }
            | Self::BadPath { .. }
            | Self::BadInterface { .. }
            | Self::BadText { .. }
            | Self::BadOrder { .. }
            | Self::UnreadableFile { .. }
            | Self::TestTwice { .. }
            | Self::Usage(_) => None,
            Self::NotTestable { .. } => {
                Some("it runs programs of XDP, tc, cgroup_skb, sockets, lwt, flow dissection, sk_lookup and netfilter".to_owned())
            }
            Self::Untested { program } => {
                Some(format!("write a `[[program.{program}.test]]`, there or in the file of tests beside the manifest"))
            }
            Self::TestsFailed { .. } => Some("nothing was done: `bpfapply test` shows what they found".to_owned()),
            Self::VariableOutsideText { .. } => Some("variables fill strings only: write the value itself".to_owned()),
            Self::OutOfRange { min, max, .. } => Some(format!("it can be {min} to {max}")),
            Self::UnknownKey { similar, .. } => similar.as_deref().map(did_you_mean),
            Self::UnknownValue { value, allowed, similar, .. } => Some(match similar {
                Some(name) => did_you_mean(name),
                None => format!("it can be {}", list(&choices(value, allowed))),
            }),
            Self::UnknownVersion { .. } => Some("this program knows version 1".to_owned()),
            Self::MissingKey { key, example, .. } => Some(format!("for example `{key} = {example}`")),
            Self::NotTogether { why, .. } => Some((*why).to_owned()),
            Self::NoSource { .. } => Some(
                "add `from = \"OBJECT:SYMBOL\"` for a definition of an object,\n\
                 `pinned = \"/PATH\"` or `id = N` for a map that somebody else made,\n\
                 or `type`, `key_size`, `value_size` and `max_entries` to define it here"
                    .to_owned(),
            ),
            Self::NoHook { .. } => Some(
                "add `xdp = { interface = \"eth0\" }`,\n\
                 `tc = { interface = \"eth0\", direction = \"ingress\" }`\n\
                 or `cgroup = { path = \"system.slice\" }`"
                    .to_owned(),
            ),
            Self::UnknownName { what, name, similar } => Some(match (similar, MapName::new(name)) {
                (Some(name), _) => did_you_mean(name),
                (None, Ok(name)) => format!("declare it with `[{what}.{name}]`"),
                (None, Err(_)) => format!("declare it with `[{what}.NAME]`"),
            }),
            Self::BadReference { example, .. } => Some(format!("for example `{example}`")),
            Self::BadDigest { .. } => Some("it has 64 hexadecimal digits, as `sha256sum FILE` prints them".to_owned()),
            Self::UnknownVariable { similar, .. } => Some(match similar {
                Some(name) => did_you_mean(name),
                None => "declare it in `[var]`, or write `$${` for a plain `${`".to_owned(),
            }),
            Self::UnclosedVariable => Some("write `${NAME}` for a variable, `$${` for a plain `${`".to_owned()),
            Self::UnknownOverride { name, similar } => Some(match similar {
                Some(similar) => did_you_mean(similar),
                None => format!("declare it with its default: `[var]`, then `{name} = \"...\"`"),
            }),
            Self::PinTakenTwice { .. } => Some("give one of them another `pin`".to_owned()),
            Self::PinIsFolder { .. } => Some("give one of them another path".to_owned()),
            Self::ForeignPinIsOurs { ours, .. } => {
                Some(format!("use `{ours}` instead: an edge in `[object]` shares it with more objects"))
            }
            Self::DefinedTwice { .. } => {
                Some("keep one of them; for two maps of one definition, load the file as two objects".to_owned())
            }
            Self::SymbolTwice { maps, .. } if maps.len() == 1 => {
                Some("keep one of the two lines: `from` is an edge as well".to_owned())
            }
            Self::SymbolTwice { .. } => {
                Some("keep one of them; for two maps of one symbol, load the file as two objects".to_owned())
            }
            Self::NestedInner { .. } => {
                Some("the kernel nests maps one level deep: name a map of another type as `inner`".to_owned())
            }
            Self::XdpTwice { .. } => Some(
                "an interface runs one XDP program: keep one of the links\n(running several in a chain comes later)"
                    .to_owned(),
            ),
            Self::HookTwice { .. } => Some("it has room for one program: keep one of the links".to_owned()),
            Self::OtherBytes { is, .. } => Some(format!("if the file is the right one, write `sha256 = \"{is}\"`")),
            Self::NotYet { .. } => Some("take it out, or wait for a version that has it".to_owned()),
            Self::Object { error, .. } => error.help.clone(),
            Self::NoSuchMap { similar: Some(name), .. }
            | Self::NoSuchProgram { similar: Some(name), .. }
            | Self::NoSuchVariable { similar: Some(name), .. } => Some(did_you_mean(name)),
            Self::NoSuchMap { has, .. } => Some(listed("its maps are", has)),
            Self::NoSuchProgram { has, .. } => Some(listed("its functions are", has)),
            Self::ManyVariables { .. } => {
                Some("static variables of objects that were linked into one: give one of them another name".to_owned())
            }
            Self::KernelVariable { .. } => {
                Some("take it out of `set`: an extern is what the kernel or its configuration says".to_owned())
            }
            Self::NoSuchVariable { .. } => Some("`bpfapply inspect` of its file lists its variables".to_owned()),
            Self::NoEntries { .. } => Some("take `entries` out".to_owned()),
            Self::EntryTwice { .. } => Some("keep one of the two".to_owned()),
            Self::BadEntryFile { .. } => None,
            Self::BadEntry { help, .. } | Self::BadValue { help, .. } => help.clone(),
            Self::TooManyEntries { given, .. } => Some(format!("make room with `max_entries = {given}` or more")),
            Self::FormatSize { .. } => {
                Some("name every byte, those that are only padding as `\"bytes[N]\"`".to_owned())
            }
            Self::EdgeToData { .. } => {
                Some("global variables belong to their object; set them with `set = { ... }`".to_owned())
            }
            Self::UnknownPinning { object, symbol, .. } => {
                Some(format!("say the pin: `[map.{symbol}]` with `from = \"{object}:{symbol}\"` and `pin = ...`"))
            }
            Self::SplitShare { symbol, object, map, .. } => Some(format!(
                "share it: `maps = {{ {symbol} = \"{map}\" }}` in `[object.{object}]`; \
                 or give it a `[map]` of its own with `from = \"{object}:{symbol}\"`"
            )),
            Self::MixedProgArray { .. } => {
                Some("the kernel takes programs of one type: give each type an array of its own".to_owned())
            }
            Self::Incompatible { .. } => {
                Some("compile both with one definition: only the owner's makes the map, and both must mean the same layout".to_owned())
            }
            Self::NoSize { map, map_type, size, defined_by: Some((object, symbol)) } if map.is_private() => {
                let (name, line) = (table_name(symbol), size.line(*map_type));
                Some(format!("say it: `[map.{name}]` with `from = \"{object}:{symbol}\"` and {line}"))
            }
            Self::NoSize { map, map_type, size, .. } => {
                Some(format!("say it in `[map.{map}]`: {}", size.line(*map_type)))
            }
            Self::LicenseSaid { .. } => Some("leave `license` out: what the author says of an object holds".to_owned()),
            Self::ValueSizeSaid { .. } => {
                Some("leave `value_size` out: what the programs do with the values fits that size only".to_owned())
            }
            Self::SlotTaken { by: Some(_), .. } => {
                Some("two objects that share a map must fill different slots".to_owned())
            }
            Self::SlotTaken { by: None, .. } => {
                Some("only its owner fills it: let bpfapply define the map with `from`".to_owned())
            }
            Self::NotBpffs { bpffs, .. } => Some(format!("pins live below `{bpffs}`")),
            Self::UnknownSection { .. } => {
                Some("say the program's type: `type = \"sched_cls\"`, `\"xdp\"` ...".to_owned())
            }
            Self::WrongForMap { section, .. } => Some(format!(
                "put it into the section `{section}` of its object, or say `attach_type = \"{}\"`",
                section.replace('/', "_")
            )),
            Self::NotLoadable { .. } => None,
            Self::WrongProgramType { is, .. } | Self::WrongEvent { is, instead: None, .. } => {
                is.table().map(|table| format!("attach it by `{table} = {{ ... }}`"))
            }
            Self::WithoutLinks { used, .. } => Some(format!("take the link away: {used}")),
            Self::WrongMapType { .. } => Some(
                "programs for sockets are attached to a `sockmap` or a `sockhash`, and only the map of a struct in\n\
                 `.struct_ops.link` is attached itself"
                    .to_owned(),
            ),
            Self::NoAttachType { is: ProgramType::SK_SKB } => {
                Some("say it in the program's table: `attach_type = \"sk_skb_stream_verdict\"` ...".to_owned())
            }
            Self::WrongEvent { instead: Some(table), .. } => Some(format!("attach it by `{table} = {{ ... }}`")),
            Self::EventOpen { example, .. } => Some(format!("say it: `{example}`")),
            Self::NoEvent { hint, .. } => hint.map(str::to_owned),
            Self::NoAttachType { .. } => {
                Some("say it in the program's table: `attach_type = \"cgroup_inet_egress\"` ...".to_owned())
            }
            Self::ArenaTooSmall { map, .. } => Some(format!("give `[map.{map}]` more pages: `max_entries = ...`")),
            Self::RegistersAtOnce { .. } => Some(
                "with `flags = [\"link\"]` in its table it waits for a link, as a struct in `.struct_ops.link` does (Linux 6.4);\n\
                 its programs can be loaded without the map"
                    .to_owned(),
            ),
            Self::NoTemplate { map, defined_by: Some((object, symbol)) } if map.is_private() => {
                let name = table_name(symbol);
                Some(format!("say it: `[map.{name}]` with `from = \"{object}:{symbol}\"` and `inner = \"NAME\"`"))
            }
            Self::NoTemplate { .. } => {
                Some("say which map is the template of those inside: `inner = \"NAME\"`".to_owned())
            }
            Self::ForeignTemplate { .. } => Some("declare a map of the same shape, and name that one".to_owned()),
            Self::Kernel { hint, .. } => hint.clone(),
            Self::Cycle { .. } => Some("break the circle: take one of these lines out, or change whom it waits for".to_owned()),
            Self::NotMounted { at } => Some(format!("`mount -t bpf bpf {at}`, or run it without --no-mount")),
            Self::Unverified { .. } => {
                Some("something else changes the same things: run it again with --dry-run".to_owned())
            }
            Self::Watchdog { .. } => Some("where an apply was done, the next run takes it back".to_owned()),
            Self::Unconfirmed { pin_root, .. } => Some(format!(
                "`bpfapply commit {pin_root}` keeps it, `bpfapply rollback {pin_root}` takes it back; or wait"
            )),
            Self::NotConfirmed { .. } => {
                Some("nothing else was done: run it again, with `--confirm` where it may fail".to_owned())
            }
            Self::NothingToConfirm { .. } => Some(
                "it was confirmed before, or its time was over and it was taken back: see `bpfapply show`".to_owned(),
            ),
            Self::ChecksFailed { is_back, .. } => Some(match is_back {
                true => "the new generation stays on its way back: look at what the checks say".to_owned(),
                false => "`bpfapply rollback` tries it again".to_owned(),
            }),
            Self::NoWayBack { .. } => {
                Some("each apply that changes something keeps the generation before it, one deep".to_owned())
            }
            Self::NoDeployment { .. } => {
                Some("a deployment is named as in its manifest, or by the manifest's path".to_owned())
            }
            Self::Stale { .. } => Some("nothing was done: run it again, and look at the new plan".to_owned()),
            Self::Locked { waited, .. } => Some(format!(
                "nothing was done: run it again when that one has ended, or wait longer than {waited} s with \
                 `--lock-timeout SECONDS`"
            )),
            Self::BtfRefused { errno: libc::EPERM, .. } => Some(PRIVILEGES.to_owned()),
            Self::BtfRefused { errno: libc::EMFILE, .. } | Self::ProgramRefused { errno: libc::EMFILE, .. } => {
                Some(OPEN_FILES.to_owned())
            }
            Self::BtfRefused { log, .. } => last_line(log).map(|line| format!("the kernel's log ends: {line}")),
            Self::ProgramRefused { errno: libc::EINVAL, program_type, flags, telling, .. }
                if telling.tail.is_empty() =>
            {
                program_type.may_lack(*flags)
            }
            Self::ProgramRefused { errno: libc::EPERM, program_type, telling, .. }
                if telling.tail.is_empty() && TRAMPOLINES.contains(program_type) =>
            {
                Some(format!("{PRIVILEGES}; to one that has them all, this kernel forbids such programs altogether"))
            }
            Self::ProgramRefused { errno: libc::EPERM | libc::EACCES, telling, .. } if telling.tail.is_empty() => {
                Some(PRIVILEGES.to_owned())
            }
            Self::ProgramRefused { telling, .. } => (!telling.tail.is_empty()).then(|| telling.to_string()),
            Self::NoSuchPin { .. } | Self::NoSuchMapId { .. } => {
                Some("bpfapply only reuses this map: whoever owns it must make it first".to_owned())
            }
            Self::NoMapOf { similar: Some(similar), .. } => Some(did_you_mean(&format!("map.{similar}"))),
            Self::NoMapOf { .. } => Some("`bpfapply show NAME` lists the maps of a deployment".to_owned()),
            Self::ManyHaveMap { map, .. } => Some(format!("name one of them, as in `bpfapply show NAME map.{map}`")),
            Self::Unlistable { .. } => None,
            Self::NotAMap { .. } => Some("name the pin of a map: `bpftool map show pinned PATH` shows one".to_owned()),
            Self::MapChanged { ours: false, .. } => Some(
                "it is not ours, and is left alone: make the definition fit, or give the new map another pin"
                    .to_owned(),
            ),
            Self::MapChanged { .. } => Some(
                "its contents are not thrown away for a new definition: keep the definition, give the new map another \
                 pin, or say in its table what may be done:\n\
                 `on_change = \"migrate\"` makes it anew and copies its entries, field by field; `\"recreate\"` makes it \
                 anew and loses them, with `--allow lose-state`"
                    .to_owned(),
            ),
            Self::NotMigratable { .. } => Some(
                "give the new map another pin, or let its entries go: `on_change = \"recreate\"`, with \
                 `--allow lose-state`"
                    .to_owned(),
            ),
            Self::NoRoom { .. } => Some(
                "take some of the others out, or give the map a larger `max_entries`, which makes another map of it"
                    .to_owned(),
            ),
            Self::VariablesOfOthers { .. } => Some(
                "it was there before this deployment, and is left alone: give the section's map another pin, set nothing \
                 in it, or take it over with `adopt = true`"
                    .to_owned(),
            ),
            Self::EntriesOfOthers { .. } => Some(
                "it was there before this deployment: take it over with `adopt = true`, or give the map another pin or no \
                 `entries`"
                    .to_owned(),
            ),
            Self::NotPrimary { is_peer: true, .. } => {
                Some("name the primary end and say `peer = true`: who has that end decides for both".to_owned())
            }
            Self::NotPrimary { is_peer: false, .. } => {
                Some("`xdp` and `tc` are for any kind of interface".to_owned())
            }
            Self::NoMatch { .. } => Some("`optional = true` in the table of the link allows that".to_owned()),
            Self::NoInterface { netns, .. } => Some(match netns.name() {
                None => "`ip link` lists the interfaces of this network namespace".to_owned(),
                Some(name) => format!("`ip -n {name} link` lists the interfaces there"),
            }),
            Self::SymlinkInTheWay { path, .. } => Some(format!(
                "whoever may write into its folder can lead pins elsewhere by it, so nothing is changed through it: \
                 `ls -l {path}` says where it leads and whose it is, `rm {path}` takes it away"
            )),
            Self::NoAccount { kind: AccountKind::User, .. } => {
                Some("`getent passwd` lists the users of this host; a number needs no name".to_owned())
            }
            Self::NoAccount { kind: AccountKind::Group, .. } => {
                Some("`getent group` lists the groups of this host; a number needs no name".to_owned())
            }
            Self::NoCgroup { .. } => {
                Some("the path is below the cgroup2 mount; the cgroup must exist before".to_owned())
            }
            Self::NoProgramType { program_type } => program_type.may_lack(0),
            Self::NoSuchLink { since, .. } => Some((*since).to_owned()),
            Self::NoNeighbour { there, .. } if there.is_empty() => Some("no program is on it".to_owned()),
            Self::NoNeighbour { found, .. } if !found.is_empty() => Some("name it by its id or its pin".to_owned()),
            Self::NoNeighbour { there, .. } => Some(format!("on it are {}", there.join(", "))),
            Self::NoOrder { .. } => Some(
                "links of cgroups have places since Linux 6.17, those of tcx since 6.6: without `order` a link is behind \
                 those that are there"
                    .to_owned(),
            ),
            Self::NoNetns { .. } => Some(
                "`ip netns` lists those with a name; a path and the id of a process in it name others".to_owned(),
            ),
            Self::CgroupExcludes { .. } => Some(
                "`bpftool cgroup tree` names it: whoever attached it has to do that with BPF_F_ALLOW_MULTI, as `multi` of\n\
                 bpftool, or with a link"
                    .to_owned(),
            ),
            Self::RouteTaken { .. } => {
                Some("it is not ours, and is left alone: take another `metric` or `table`, or remove it first".to_owned())
            }
            Self::HookTaken { ours: None, way_out, .. } => Some(match way_out {
                Some(way_out) => format!("it is not ours, and is left alone: {way_out}"),
                None => "it is not ours, and is left alone: detach it with the tool that attached it".to_owned(),
            }),
            Self::HookTaken { ours: Some(link), .. } => Some(format!(
                "it is of link.{link}, and one apply does not hand a hook from one link to another:\n\
                 keep the name link.{link} for this hook, or take that link away in an apply before this one"
            )),
            Self::PinTaken { pin, .. } => Some(format!("give ours another pin, or remove what is at `{pin}`")),
            Self::Record { why: RecordError::Newer(_), .. } => {
                Some("use the version that wrote it, or a newer one".to_owned())
            }
            Self::Record { why: RecordError::Older(_), .. } => {
                Some("destroy the deployment with the version that made it, then apply".to_owned())
            }
            Self::Record { why: RecordError::Unreadable(_), .. } | Self::RecordLost { .. } => Some(
                "the programs and maps run on: `bpfapply adopt MANIFEST` makes a new record from their pins".to_owned(),
            ),
            Self::ConsentNeeded { needs, sweep } => {
                let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
                let again = format!("run it again with `--allow {}`", names.join(","));
                match sweep.is_some() && needs.contains(&Consent::Prune) {
                    true => {
                        Some(format!("if that is meant, {again}: for so much, `allow` in the manifest is not enough"))
                    }
                    false => Some(again),
                }
            }
            Self::NoSavedPlan { .. } => Some("`bpfapply plan.toml --dry-run --out FILE` saves a plan".to_owned()),
            Self::NoState { .. } => Some("`bpfapply export --out FILE`, on the host, writes one".to_owned()),
            Self::NotInState { .. } => Some("`--dry-run` on the host knows it".to_owned()),
            Self::UnwritableFile { .. } => None,
            Self::OtherPlan { .. } => {
                Some("nothing was done: look at the plan above, and ask for it if it is meant".to_owned())
            }
            Self::Protected { address, since: Some(_), .. } => Some(format!(
                "to let it go, first apply once with `protect = false` in `[{address}]`, and no other change to it"
            )),
            Self::Protected { address, since: None, .. } => {
                Some(format!("to let it go, say `protect = false` in `[{address}]`"))
            }
        }
    }

    /// Returns the kernel's whole log, where there is one.
    pub fn log(&self) -> Option<&str> {
        let (Self::ProgramRefused { log, .. } | Self::BtfRefused { log, .. }) = self else { return None };
        (!log.is_empty()).then_some(log)
    }

    /// Returns the exit code that the kind means.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Syntax(_)
            | Self::WrongType { .. }
            | Self::VariableOutsideText { .. }
            | Self::OutOfRange { .. }
            | Self::UnknownValue { .. }
            | Self::TestTwice { .. }
            | Self::NotTestable { .. }
            | Self::Untested { .. }
            | Self::UnknownVersion { .. }
            | Self::MissingKey { .. }
            | Self::NotTogether { .. }
            | Self::NoSource { .. }
            | Self::NoHook { .. }
            | Self::UnknownName { .. }
            | Self::BadReference { .. }
            | Self::BadPath { .. }
            | Self::BadDigest { .. }
            | Self::BadInterface { .. }
            | Self::BadText { .. }
            | Self::UnknownVariable { .. }
            | Self::UnclosedVariable
            | Self::PinTakenTwice { .. }
            | Self::PinIsFolder { .. }
            | Self::ForeignPinIsOurs { .. }
            | Self::DefinedTwice { .. }
            | Self::SymbolTwice { .. }
            | Self::NestedInner { .. }
            | Self::XdpTwice { .. }
            | Self::HookTwice { .. }
            | Self::BadOrder { .. }
            | Self::UnknownKey { .. }
            | Self::NotYet { .. }
            | Self::BadName { .. }
            | Self::UnreadableFile { .. }
            | Self::OtherBytes { .. }
            | Self::Object { error: elf::Error { blame: Blame::Object, .. }, .. }
            | Self::NoEntries { .. }
            | Self::BadEntry { .. }
            | Self::BadEntryFile { .. }
            | Self::EntryTwice { .. }
            | Self::TooManyEntries { .. }
            | Self::FormatSize { .. }
            | Self::NoSuchMap { .. }
            | Self::NoSuchProgram { .. }
            | Self::NoSuchVariable { .. }
            | Self::BadValue { .. }
            | Self::ManyVariables { .. }
            | Self::KernelVariable { .. }
            | Self::EdgeToData { .. }
            | Self::UnknownPinning { .. }
            | Self::SplitShare { .. }
            | Self::Incompatible { .. }
            | Self::MixedProgArray { .. }
            | Self::NotBpffs { .. }
            | Self::SlotTaken { .. }
            | Self::NoSize { .. }
            | Self::ValueSizeSaid { .. }
            | Self::LicenseSaid { .. }
            | Self::UnknownSection { .. }
            | Self::WrongProgramType { .. }
            | Self::WrongForMap { .. }
            | Self::WrongEvent { .. }
            | Self::EventOpen { .. }
            | Self::NoAttachType { .. }
            | Self::WrongMapType { .. }
            | Self::WithoutLinks { .. }
            | Self::NotLoadable { refusal: elf::Refusal { blame: Blame::Object, .. }, .. }
            | Self::RegistersAtOnce { .. }
            | Self::ArenaTooSmall { .. }
            | Self::NoTemplate { .. }
            | Self::NoSavedPlan { .. }
            | Self::NoState { .. }
            | Self::NotInState { .. }
            | Self::ForeignTemplate { .. } => Exit::Data,
            Self::UnknownOverride { .. } => Exit::Usage,
            Self::TestsFailed { .. } => Exit::Failed,
            Self::Kernel { errno: libc::EPERM | libc::EACCES, .. } => Exit::Permission,
            Self::Cycle { .. } => Exit::Data,
            Self::Unverified { .. } | Self::ChecksFailed { is_back: false, .. } => Exit::Broken,
            Self::ChecksFailed { is_back: true, .. } => Exit::Failed,
            Self::Stale { .. }
            | Self::Locked { .. }
            | Self::Unconfirmed { .. }
            | Self::NotConfirmed { .. }
            | Self::OtherPlan { .. } => Exit::Retry,
            Self::Object { error: elf::Error { blame: Blame::Kernel, .. }, .. }
            | Self::NotLoadable { refusal: elf::Refusal { blame: Blame::Kernel, .. }, .. }
            | Self::NoProgramType { .. }
            | Self::NoSuchLink { .. }
            | Self::NoEvent { of_kernel: true, .. }
            | Self::NoOrder { .. } => Exit::Unavailable,
            Self::BtfRefused { errno: libc::EPERM, .. } => Exit::Permission,
            Self::BtfRefused { .. } => Exit::Failed,
            // The verifier says EACCES for a bad program; without a log, it is the caller who may not.
            Self::ProgramRefused { errno: libc::EPERM | libc::EACCES, telling, .. } if telling.reason.is_none() => {
                Exit::Permission
            }
            Self::ProgramRefused { .. } => Exit::Failed,
            Self::Kernel { .. }
            | Self::PinTaken { .. }
            | Self::NotMounted { .. }
            | Self::NoDeployment { .. }
            | Self::NoWayBack { .. }
            | Self::NothingToConfirm { .. }
            | Self::Watchdog { .. }
            | Self::NoSuchPin { .. }
            | Self::NoMapOf { .. }
            | Self::ManyHaveMap { .. }
            | Self::Unlistable { .. }
            | Self::NotAMap { .. }
            | Self::NoSuchMapId { .. }
            | Self::MapChanged { .. }
            | Self::EntriesOfOthers { .. }
            | Self::VariablesOfOthers { .. }
            | Self::NoRoom { .. }
            | Self::NotMigratable { .. }
            | Self::NoInterface { .. }
            | Self::NoMatch { .. }
            | Self::NotPrimary { .. }
            | Self::NoCgroup { .. }
            | Self::NoNetns { .. }
            | Self::NoNeighbour { .. }
            | Self::NoEvent { of_kernel: false, .. }
            | Self::SymlinkInTheWay { .. }
            | Self::NoAccount { .. }
            | Self::CgroupExcludes { .. }
            | Self::HookTaken { .. }
            | Self::RouteTaken { .. }
            | Self::Record { .. }
            | Self::RecordLost { .. }
            | Self::Protected { .. }
            | Self::UnwritableFile { .. } => Exit::Failed,
            Self::ConsentNeeded { .. } => Exit::Consent,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) | Self::Usage(what) => f.write_str(what),
            Self::OtherBytes { path, is } => {
                write!(f, "`{path}` is not the file that is wanted: its sha256 is {is}")
            }
            Self::WrongType { key, wants } | Self::VariableOutsideText { key, wants } => {
                write!(f, "`{key}` must be {wants}")
            }
            Self::OutOfRange { key, value, .. } => write!(f, "`{key}` cannot be {value}"),
            Self::UnknownValue { key, value, .. } => write!(f, "`{key}` cannot be `{}`", value.escape_debug()),
            Self::UnknownVersion { found } => write!(f, "version {found} of the manifest language is not known"),
            Self::MissingKey { table, key, .. } if table.is_empty() => write!(f, "the manifest has no `{key}`"),
            Self::MissingKey { table, key, .. } => write!(f, "`{table}` has no `{key}`"),
            Self::NotTogether { table, first, second, .. } => {
                write!(f, "`{table}` cannot have both `{first}` and `{second}`")
            }
            Self::NoSource { map } => write!(f, "`{map}` does not say where the map comes from"),
            Self::NoHook { link } => write!(f, "`{link}` does not say where to attach"),
            Self::UnknownName { what, name, .. } => write!(f, "there is no {what} `{}`", name.escape_debug()),
            Self::BadReference { text, form, .. } if text.is_empty() => write!(f, "an empty string is not {form}"),
            Self::BadReference { text, form, .. } => write!(f, "`{}` is not {form}", text.escape_debug()),
            Self::BadPath { path, why } => write!(f, "`{}` cannot be a path here: {why}", path.escape_debug()),
            Self::BadDigest { text } => write!(f, "`{}` is not a SHA-256 digest", text.escape_debug()),
            Self::BadInterface { name, why } => {
                write!(f, "`{}` is not the name of an interface: {why}", name.escape_debug())
            }
            Self::UnknownVariable { name, .. } => write!(f, "there is no variable `{}`", name.escape_debug()),
            Self::UnclosedVariable => f.write_str("`${` has no closing `}`"),
            Self::UnknownOverride { name, .. } => {
                write!(f, "cannot set the variable `{}`: the manifest has none of that name", name.escape_debug())
            }
            Self::PinTakenTwice { pin } => write!(f, "the pin `{pin}` is wanted twice"),
            Self::PinIsFolder { pin, below } => {
                write!(f, "the pin `{pin}` cannot also be the folder of `{below}`")
            }
            Self::ForeignPinIsOurs { pin, ours } => {
                write!(f, "`{pin}` cannot be somebody else's pin: it is where `{ours}` is pinned")
            }
            Self::DefinedTwice { symbol } => write!(f, "`{symbol}` defines two maps"),
            Self::SymbolTwice { symbol, maps } => match maps.as_slice() {
                [map] => write!(f, "`{symbol}` is said to be `map.{map}` twice"),
                [first, second] => write!(f, "`{symbol}` cannot be both `map.{first}` and `map.{second}`"),
                maps => {
                    let maps: Vec<_> = maps.iter().map(|map| format!("map.{map}")).collect();
                    write!(f, "`{symbol}` cannot be all of {}", list(&maps))
                }
            },
            Self::NestedInner { outer, inner } => {
                write!(f, "`map.{inner}` holds maps itself, and cannot be what `map.{outer}` holds")
            }
            Self::XdpTwice { interface } => write!(f, "two links want XDP on `{}`", interface.escape_debug()),
            Self::HookTwice { hook } => write!(f, "two links want {}", hook.escape_debug()),
            Self::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Self::NotYet { what } => write!(f, "{what} is not supported yet"),
            Self::BadName { text, why } => write!(f, "`{}` is not a name: {why}", text.escape_debug()),
            Self::UnreadableFile { path, why } => write!(f, "cannot read `{path}`: {why}"),
            Self::Object { path, error } => write!(f, "`{path}`: {error}"),
            Self::NoSuchMap { object, symbol, .. } => write!(f, "object.{object} has no map `{symbol}`"),
            Self::NoSuchProgram { object, function, .. } => {
                write!(f, "object.{object} has no program `{function}`")
            }
            Self::NoEntries { map, map_type, why } => {
                write!(f, "map.{map} cannot have entries: it is {}, and {why}", map_of_type(*map_type))
            }
            Self::BadEntry { map, part, why, .. } => write!(f, "this {part} does not fit map.{map}: {why}"),
            Self::BadEntryFile { map, path, faults } => {
                write!(f, "`{path}` does not fit map.{map}:")?;
                for (line, column, why) in &faults.shown {
                    write!(f, "\n{path}:{line}:{column}: {why}")?;
                }
                if faults.more > 0 {
                    write!(f, "\nand {} more", faults.more)?;
                }
                Ok(())
            }
            Self::TestTwice { name } => write!(f, "two tests of the program have the name `{name}`"),
            Self::NotTestable { program, program_type } => {
                write!(f, "the kernel cannot run program.{program} for a test: it is of type `{program_type}`")
            }
            Self::Untested { program } => write!(f, "program.{program} has no test, and the manifest requires tests"),
            Self::TestsFailed { failed, all } => {
                write!(f, "{failed} of {} failed, and the manifest requires them to pass", count(*all as u64, "test"))
            }
            Self::EntryTwice { map } => write!(f, "two entries of map.{map} have the same key"),
            Self::TooManyEntries { map, given, room } => {
                write!(f, "map.{map} has room for {room} entries, and gets {given}")
            }
            Self::FormatSize { map, part, format, size } => {
                write!(f, "`{part}_format` has {format} bytes, and a {part} of map.{map} has {size}")
            }
            Self::NoSuchVariable { object, variable, .. } => {
                write!(f, "object.{object} has no global variable `{variable}`")
            }
            Self::ManyVariables { object, variable, places } => {
                write!(f, "object.{object} has {} variables `{variable}`: at {}", places.len(), places.join(", "))
            }
            Self::KernelVariable { object, variable } => {
                write!(f, "`{variable}` of object.{object} gets its value from the kernel")
            }
            Self::BadValue { variable, why, .. } => write!(f, "`{variable}` cannot take this value: {why}"),
            Self::EdgeToData { symbol } => write!(f, "`{symbol}` is a data section, not a map to share"),
            Self::UnknownPinning { object, symbol, number } => {
                write!(f, "`{symbol}` of object.{object} asks for pinning {number}, which only its author knows")
            }
            Self::SplitShare { symbol, object, other, .. } => write!(
                f,
                "object.{object} and object.{other} share `{symbol}` by its pinning, and the manifest parts them"
            ),
            Self::Incompatible { map, object, symbol, difference } => write!(
                f,
                "`{symbol}` of object.{object} does not fit map.{map}: {} is {} there and {} here",
                difference.field, difference.left, difference.right
            ),
            Self::MixedProgArray { map, one: (one, is), other: (other, other_is) } => {
                write!(
                    f,
                    "the prog array map.{map} has programs of two types: program.{one} is {is}, program.{other} is {other_is}"
                )
            }
            Self::NoSize { map, size, defined_by: Some((object, symbol)), .. } => {
                let what = match size {
                    Size::Entries => format!("how many entries map.{map} has"),
                    Size::Value => format!("how large the values of map.{map} are"),
                };
                write!(f, "`{symbol}` of object.{object} leaves open {what}")
            }
            Self::NoSize { map, size: Size::Entries, defined_by: None, .. } => write!(f, "map.{map} has no entries"),
            Self::NoSize { map, size: Size::Value, defined_by: None, .. } => {
                write!(f, "the values of map.{map} have no bytes")
            }
            Self::LicenseSaid { object, is } => write!(f, "object.{object} says already that its license is `{is}`"),
            Self::ValueSizeSaid { map, defined_by: (object, symbol), size } => {
                write!(f, "`{symbol}` of object.{object} says already that values of map.{map} have {size} bytes")
            }
            Self::SlotTaken { map, slot, object, by: Some(by) } => {
                write!(f, "object.{object} fills slot {slot} of map.{map}, which {by} has")
            }
            Self::SlotTaken { map, slot, object, by: None } => {
                write!(f, "object.{object} fills slot {slot} of map.{map}, which is not ours")
            }
            Self::NotBpffs { pin, bpffs } => write!(f, "the pin `{pin}` is not below the bpffs `{bpffs}`"),
            Self::UnknownSection { section } => {
                write!(f, "the section name `{section}` does not say what type the program has")
            }
            Self::WrongProgramType { hook, wants, is } => {
                write!(f, "{} takes programs of type {wants}, and this one is {is}", with_article(hook))
            }
            Self::WrongEvent { table, is, attach_type: Some(attach_type), .. } => {
                write!(f, "`{table}` does not take this program, which is {is} for {attach_type}")
            }
            Self::WrongEvent { table, is, attach_type: None, .. } => {
                write!(f, "`{table}` does not take this program, which is {is}")
            }
            Self::EventOpen { table, what, .. } => {
                write!(f, "neither `{table}` nor the program's section says which {what} it is")
            }
            Self::NoEvent { event, why, .. } => write!(f, "there is no {event}: {why}"),
            Self::WrongForMap { map, map_type, program, is, .. } => {
                let of_type = map_of_type(*map_type);
                write!(f, "map.{map} is {of_type}, and program.{program}, {is}, cannot run there")
            }
            Self::WithoutLinks { is, .. } => {
                let program = with_article(&format!("{is} program"));
                write!(f, "{program} is pinned for its user, and attached to nothing")
            }
            Self::WrongMapType { is, hook } => write!(f, "there is no {hook}, whose type is `{is}`"),
            Self::NoAttachType { is: is @ ProgramType::SK_SKB } => {
                write!(f, "nothing says for which of a map's hooks this {is} program is")
            }
            Self::NoAttachType { is } => {
                write!(f, "nothing says for which of a cgroup's hooks this {is} program is")
            }
            Self::NotLoadable { function, refusal } => write!(f, "`{function}` cannot be loaded: {}", refusal.why),
            Self::ArenaTooSmall { map, needs } => write!(f, "map.{map} has too few pages for {needs} B of variables"),
            Self::RegistersAtOnce { map } => write!(
                f,
                "map.{map} is of `.struct_ops`: the kernel registers it as soon as it is filled, which no link could take back"
            ),
            Self::NoTemplate { map, .. } => write!(f, "map.{map} is a map of maps without a template"),
            Self::ForeignTemplate { map } => write!(f, "map.{map} cannot be a template: it is not ours"),
            Self::Kernel { doing, errno, .. } => {
                write!(f, "cannot {doing}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::Cycle { circle } => {
                write!(f, "these wait for each other: {}", circle.join(" -> "))?;
                circle.first().map_or(Ok(()), |first| write!(f, " -> {first}"))
            }
            Self::NoMapOf { map, pin_root: Some(pin_root), .. } => {
                write!(f, "the deployment at `{pin_root}` has no map.{}", map.escape_debug())
            }
            Self::NoMapOf { map, pin_root: None, .. } => {
                write!(f, "no deployment on this host has a map.{}", map.escape_debug())
            }
            Self::ManyHaveMap { map, pin_roots } => {
                let folders: Vec<_> = pin_roots.iter().map(|pin_root| format!("`{pin_root}`")).collect();
                write!(f, "several deployments have a map.{map}: {}", folders.join(", "))
            }
            Self::Unlistable { map, map_type, why } => {
                write!(f, "the entries of map.{map} cannot be listed: of {map_type} maps, {why}")
            }
            Self::NoSuchPin { pin } => write!(f, "no map is pinned at `{pin}`"),
            Self::NotAMap { pin, is } => write!(f, "what is pinned at `{pin}` is no map: it is {is}"),
            Self::NoSuchMapId { id } => write!(f, "no map has the id {id}"),
            Self::MapChanged { map, pin, id, ours: false, difference } => write!(
                f,
                "the map at `{pin}` (id {id}) does not fit map.{map}: {} is {} there and {} here",
                difference.field, difference.left, difference.right
            ),
            Self::MapChanged { map, pin, id, ours: true, difference } => write!(
                f,
                "map.{map} is pinned at `{pin}` (id {id}) and does not fit any more: {} is {} there and {} here",
                difference.field, difference.left, difference.right
            ),
            Self::NoRoom { map, wanted, others, room } => write!(
                f,
                "map.{map} has room for {}: beside {} of others there is none for {}",
                count(*room as u64, "entry"),
                thousands(*others as u64),
                thousands(*wanted as u64)
            ),
            Self::VariablesOfOthers { map, pin, names } => {
                let names = names.join("`, `");
                write!(f, "the map at `{pin}` is not ours, so that `{names}` of map.{map} cannot be set")
            }
            Self::EntriesOfOthers { map, pin } => {
                write!(f, "the map at `{pin}` is not ours, so that no entries of map.{map} are written to it")
            }
            Self::NotMigratable { map, pin, why } => {
                write!(f, "the entries at `{pin}` cannot be copied to map.{map}: {}", why.join("; "))
            }
            Self::NoInterface { name, netns } => write!(f, "there is no interface `{name}`{}", Within(netns)),
            Self::NotPrimary { interface, is_peer: false } => write!(f, "`{interface}` is no netkit interface"),
            Self::NotPrimary { interface, is_peer: true } => write!(f, "`{interface}` is the peer of a netkit pair"),
            Self::NoMatch { pattern, netns } => write!(f, "no interface matches `{pattern}`{}", Within(netns)),
            Self::SymlinkInTheWay { doing, path } => {
                write!(f, "cannot {doing}: `{path}` is a symbolic link where a folder has to be")
            }
            Self::NoAccount { kind, name } => write!(f, "there is no {kind} `{name}`"),
            Self::NoCgroup { path } => write!(f, "there is no cgroup `{path}`"),
            Self::BadOrder { link, order, why } => write!(f, "link.{link} cannot be {order}: {why}"),
            Self::NoNeighbour { order, hook, found, .. } if found.is_empty() => {
                write!(f, "nothing can be {order}: it is not on {hook}")
            }
            Self::NoNeighbour { order, hook, found, .. } => {
                write!(f, "`{order}` on {hook} means more than one: {}", found.join(", "))
            }
            Self::NoOrder { hook } => write!(f, "this kernel has no places among the programs of {hook}"),
            Self::NoNetns { netns } => write!(f, "there is no {netns}"),
            Self::NoProgramType { program_type } => write!(f, "this kernel has no programs of type `{program_type}`"),
            Self::NoSuchLink { hook, .. } => write!(f, "this kernel attaches no program to {hook}"),
            Self::CgroupExcludes { hook, cgroup, below } => {
                let place = if *below { "be below it" } else { "be beside it" };
                write!(
                    f,
                    "cannot attach to {hook}: the cgroup `{}` has a program that lets no other {place}",
                    cgroup.display()
                )
            }
            Self::RouteTaken { to, by } => write!(f, "there is a route to {to} already: {by}"),
            Self::HookTaken { hook, by, pin, .. } => {
                write!(f, "the hook {hook} has a program already: {by}")?;
                pin.as_ref().map_or(Ok(()), |pin| write!(f, ", pinned at `{pin}`"))
            }
            Self::NotMounted { at } => write!(f, "there is no bpffs at `{at}`"),
            Self::Unverified { differs } => {
                write!(f, "everything was applied, and still the host differs: {}", differs.join("; "))
            }
            Self::ChecksFailed { failed, is_back } => {
                f.write_str("what passed before the apply fails after it: ")?;
                for (i, (name, why)) in failed.iter().enumerate() {
                    write!(f, "{}{name} ({why})", if i == 0 { "" } else { "; " })?;
                }
                f.write_str(if *is_back {
                    "; what ran before is back"
                } else {
                    "; what ran before could NOT be put back"
                })
            }
            Self::BadText { text, why } => write!(f, "`{}` is not right here: {why}", text.escape_debug()),
            Self::Watchdog { why } => write!(f, "the watchdog that returns to what ran before does not run: {why}"),
            Self::Unconfirmed { pin_root, left } => {
                write!(f, "the last apply of `{pin_root}` waits to be confirmed, {left} s more")
            }
            Self::NotConfirmed { pin_root } => {
                write!(f, "the last apply of `{pin_root}` was not confirmed in time, and was taken back now")
            }
            Self::NothingToConfirm { pin_root } => write!(f, "nothing of `{pin_root}` waits to be confirmed"),
            Self::NoWayBack { lacks } => write!(f, "there is no way back: `{lacks}` is not there"),
            Self::NoDeployment { pin_root } => write!(f, "there is no deployment at `{pin_root}`"),
            Self::Stale { what } => write!(f, "the host changed since the plan was made: {what}"),
            Self::Locked { folder, holder, .. } => {
                write!(f, "the lock of `{folder}` is held by {}", named_holder(holder.as_ref()))
            }
            Self::BtfRefused { object, errno, without, .. } => {
                let why = std::io::Error::from_raw_os_error(*errno);
                write!(f, "the kernel refuses the BTF of object.{object}: {why}")?;
                let mut more = without.iter();
                more.try_for_each(|(function, why)| write!(f, "; and without its types `{function}` is refused: {why}"))
            }
            Self::ProgramRefused { program, function, program_type, errno, telling, .. } => {
                write!(f, "the kernel refuses program.{program} ({program_type} `{function}`): ")?;
                match &telling.reason {
                    Some(reason) => f.write_str(reason)?,
                    None => write!(f, "{}", std::io::Error::from_raw_os_error(*errno))?,
                }
                telling.source.iter().try_for_each(|source| write!(f, ", at `{source}`"))
            }
            Self::PinTaken { pin, by } => write!(f, "the pin `{pin}` is taken by {by}"),
            Self::Record { pin, why: RecordError::Unreadable(why) } => {
                write!(f, "what is pinned at `{pin}` is no record: {why}")
            }
            Self::Record { pin, why: RecordError::Older(format) } => {
                write!(f, "the record at `{pin}` has the old format {format}")
            }
            Self::Record { pin, why: RecordError::Newer(format) } => {
                write!(f, "the record at `{pin}` has format {format}, which is newer than this version")
            }
            Self::RecordLost { pin } => write!(f, "the record at `{pin}` is gone"),
            Self::ConsentNeeded { needs, sweep } => {
                let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
                write!(f, "this plan needs consent to: {}", names.join(", "))?;
                sweep.iter().try_for_each(|sweep| write!(f, "; it removes {sweep}"))
            }
            Self::NoSavedPlan { path, why } => write!(f, "`{path}` is no saved plan: {why}"),
            Self::NoState { path, why } => write!(f, "`{path}` is no state of a host: {why}"),
            Self::NotInState { doing, what } => write!(f, "cannot {doing}: the exported state does not tell {what}"),
            Self::UnwritableFile { path, why } => write!(f, "cannot write `{path}`: {why}"),
            Self::OtherPlan { expected, is } => {
                write!(
                    f,
                    "this is not the plan {expected}: the host or what is wanted changed, and the plan is {is} now"
                )
            }
            Self::Protected { address, since, what } => {
                write!(f, "{address} is protected")?;
                since.iter().try_for_each(|since| write!(f, " since {since}"))?;
                write!(f, ", and this plan would {what} it")
            }
        }
    }
}

/// Beginnings of words that are said with a vowel first, some of them because they are spelled out.
const SAID_WITH_VOWEL: &[&str] =
    &["a", "e", "fentry", "fexit", "fmod_ret", "i", "lpm", "lru", "lsm", "lwt", "o", "sk_", "un", "xdp", "xsk"];

/// Puts the article before a word, as the word is said: `an xdp hook`, `a tcx hook`.
fn with_article(word: &str) -> String {
    let is_vowel = SAID_WITH_VOWEL.iter().any(|start| word.starts_with(start));
    format!("{} {word}", if is_vowel { "an" } else { "a" })
}

fn map_of_type(map_type: MapType) -> String {
    with_article(&format!("{map_type} map"))
}

/// Asks about a name that was meant.
fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// Writes names in backticks with commas between them.
fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Returns what to offer of a list: all of a short one, of a long one those that have the text in them.
fn choices(text: &str, allowed: &[String]) -> Vec<String> {
    let near: Vec<_> = allowed.iter().filter(|name| name.contains(text)).cloned().collect();
    if allowed.len() <= 12 || near.is_empty() { allowed.to_vec() } else { near }
}

/// Returns the name that `text` may have meant: one edit for each three letters, the nearest first.
pub fn similar<S: AsRef<str>>(text: &str, names: impl IntoIterator<Item = S>) -> Option<String> {
    // Long texts are no slips of the finger, and the distance costs their product.
    if text.len() > 128 {
        return None;
    }
    let wanted = text.to_lowercase();
    let near = names.into_iter().filter_map(|name| {
        let distance = strsim::damerau_levenshtein(&wanted, &name.as_ref().to_lowercase());
        let allowed = name.as_ref().chars().count().max(3) / 3;
        (distance <= allowed).then(|| (distance, name.as_ref().to_owned()))
    });
    near.min().map(|(_, name)| name)
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gap => "gap",
            Self::LoseState => "lose-state",
            Self::Prune => "prune",
            Self::Takeover => "takeover",
        })
    }
}

/// Lists names in a sentence, not too many of them.
fn listed(words: &str, names: &[String]) -> String {
    const MOST: usize = 12;
    if names.is_empty() {
        return "it has none".to_owned();
    }
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    format!("{words} {}{more}", shown.join(", "))
}

fn last_line(log: &str) -> Option<String> {
    log.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

/// The text that spans point into.
#[derive(Debug, Clone)]
pub struct Source(Arc<NamedSource<String>>);

impl Source {
    /// Makes a source of a file's name and its text.
    pub fn new(name: &str, text: &str) -> Self {
        Self(Arc::new(NamedSource::new(name, text.to_owned()).with_language("toml")))
    }

    /// Returns the file's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Returns its text.
    pub fn text(&self) -> &str {
        self.0.inner()
    }
}

/// A problem with its source, as miette draws it.
#[derive(Debug)]
struct Drawn<'a> {
    problem: &'a Problem,
    source: Option<&'a Source>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.problem.kind, self.problem.kind.code())
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.kind.help().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.map(|source| &*source.0 as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.problem.labels.iter().enumerate().map(|(i, label)| {
            let (text, start, len) = (label.text.clone(), label.span.start, label.span.len());
            match i {
                0 => LabeledSpan::new_primary_with_span(Some(text), (start, len)),
                _ => LabeledSpan::new(Some(text), start, len),
            }
        });
        self.source.map(|_| Box::new(labels) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// Draws every problem, with an empty line between two; with `color` also in Unicode, without it in ASCII
/// (but for what the source itself has).
pub fn render(problems: &Problems, source: Option<&Source>, color: bool) -> String {
    let mut theme = match color {
        true => miette::GraphicalTheme::unicode(),
        false => {
            miette::GraphicalTheme { characters: miette::ThemeCharacters::ascii(), styles: miette::ThemeStyles::none() }
        }
    };
    theme.characters.error = "error:".to_owned();
    // Lines are not broken: a terminal does that, and a path or a command can be copied and searched for.
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(false);
    let drawn = problems.0.iter().map(|problem| {
        let mut out = String::new();
        handler.render_report(&mut out, &Drawn { problem, source }).expect("writing to a String never fails");
        out
    });
    drawn.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_as_said() {
        let said = [
            "an xdp hook",
            "a tc hook",
            "a netkit hook",
            "an lwt hook",
            "a cgroup hook",
            "a netfilter hook",
            "a sockmap hook",
            "an sk_lookup hook",
            "a flow_dissector hook",
            "an array map",
            "a hash map",
            "an lru_hash map",
            "a user_ringbuf map",
            "an xskmap map",
            "an sk_reuseport program",
            "a struct_ops program",
        ];
        for text in said {
            let (_, word) = text.split_once(' ').expect("an article and words");
            assert_eq!(with_article(word), text);
        }
    }

    #[test]
    fn similar_names() {
        let names = ["path", "pin_root", "max_entries", "id"];
        let cases = [
            ("pth", Some("path")),
            ("PATH", Some("path")),
            ("paht", Some("path")),
            ("max_entires", Some("max_entries")),
            ("pinroot", Some("pin_root")),
            ("di", Some("id")),
            ("entries", None),
            ("x", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(similar(text, names).as_deref(), wanted, "{text}");
        }
        assert_eq!(similar(&"x".repeat(1 << 20), names), None);
        assert_eq!(similar("b", ["c", "a"]).as_deref(), Some("a"), "ties go by name");
    }

    #[test]
    fn drawing() {
        let kind = || Kind::UnknownVersion { found: "2".to_owned() };
        let problems = Problems(vec![Problem::at(kind(), 10..11, "this version"), Problem::new(kind())]);
        let source = Source::new("plan.toml", "version = 2\n");
        let message = "error: version 2 of the manifest language is not known [manifest::unknown_version]";
        let plain = render(&problems, Some(&source), false);
        assert_eq!(plain.matches(message).count(), 2, "{plain}");
        assert!(plain.contains("[plan.toml:1:11]") && plain.is_ascii() && !plain.contains('\u{1b}'), "{plain}");
        assert!(render(&problems, Some(&source), true).contains('\u{1b}'));
        assert!(render(&problems, None, false).contains(message));
        assert_eq!(render(&Problems::default(), None, false), "");
    }
}
