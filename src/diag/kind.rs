//! Everything that can be wrong, a [`Kind`] each, with its code.

use crate::access::AccountKind;
use crate::desired::Netns;
use crate::elf;
use crate::kinds::{AttachType, MapType, ProgramType};
use crate::names::{
    Address, DeploymentName, Digest, LinkName, MapName, NameError, ObjectName, PinPath, PlanId, ProgramName,
};
use crate::plan::{Consent, Sweep};
use crate::record::{RecordError, Rejected, Since};
use crate::spec::Difference;
use crate::verifier::Telling;
use std::collections::BTreeSet;
use std::fmt;

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
    pub(super) fn line(self, map_type: MapType) -> &'static str {
        match (self, map_type) {
            (Self::Entries, _) => "`max_entries = N`",
            (Self::Value, MapType::STACK_TRACE) => "`value_size = 1016`: 8 bytes for each of 127 frames",
            (Self::Value, _) => "`value_size = N`",
        }
    }
}

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct LockHolder {
    /// Its id, as this process sees it.
    pub pid: u32,
    /// For how many seconds it has been running; null when it ended meanwhile.
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
    pub(super) shown: Vec<(usize, usize, String)>,
    /// How many more there are.
    pub(super) more: usize,
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
    /// A test of a program failed.
    TestFailed {
        /// The test.
        test: String,
        /// What is other than it says.
        why: Vec<String>,
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
        /// The keys that its table can have.
        known: Vec<&'static str>,
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
        differences: Vec<Difference>,
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
        differences: Vec<Difference>,
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
    /// A manifest wants more than there was to adopt.
    AdoptedInPart {
        /// What is not there.
        missing: Vec<String>,
        /// Whether the rest was adopted: a dry run only says what would be.
        is_done: bool,
    },
    /// A generation was confirmed of which a way back that failed had changed something.
    KeptInPart {
        /// Its number.
        generation: u64,
        /// What is not as it was made.
        differs: Vec<String>,
    },
    /// Nothing is known of a deployment.
    NoDeployment {
        /// The folder of its pins.
        pin_root: PinPath,
    },
    /// The same, and one has a name like it.
    MeantDeployment {
        /// The folder of its pins.
        pin_root: PinPath,
        /// The name of the other.
        similar: String,
    },
    /// Health checks passed before an apply and not after it, so that it was taken back.
    ChecksFailed {
        /// Their names, and why they fail.
        failed: Vec<(String, String)>,
        /// Whether what ran before is back.
        is_back: bool,
        /// The programs of others that are not, as their hooks were taken over.
        gone: Vec<String>,
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
        /// For how many seconds it still waits; 0 when its time is over, or nobody watches it.
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
    /// A rollback would return to what was taken back before.
    WasRejected {
        /// The deployment.
        deployment: DeploymentName,
        /// What it would return to.
        rejected: Rejected,
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
    /// The name of a deployment's pins is gone, and the generation that it led to is there.
    RootGone {
        /// The name.
        pin_root: PinPath,
        /// The folder of the generation.
        generation: PinPath,
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
    /// The host was changed as planned, and a report of that cannot be written.
    Unreported {
        /// What cannot be written, and why.
        what: String,
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
            Self::TestFailed { .. } | Self::TestsFailed { .. } => "test::failed",
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
            Self::KeptInPart { .. } => "host::kept_in_part",
            Self::AdoptedInPart { .. } => "host::adopted_in_part",
            Self::NoDeployment { .. } | Self::MeantDeployment { .. } => "host::no_deployment",
            Self::NoWayBack { .. } => "host::no_way_back",
            Self::WasRejected { .. } => "host::was_rejected",
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
            Self::RootGone { .. } => "host::root_gone",
            Self::ConsentNeeded { .. } => "plan::consent",
            Self::NoSavedPlan { .. } => "plan::not_saved",
            Self::NoState { .. } => "state::not_exported",
            Self::NotInState { .. } => "state::not_told",
            Self::UnwritableFile { .. } => "plan::unwritable",
            Self::Unreported { .. } => "plan::unreported",
            Self::OtherPlan { .. } => "plan::other",
            Self::Protected { .. } => "plan::protected",
        }
    }

    /// Returns the kernel's whole log, where there is one.
    pub fn log(&self) -> Option<&str> {
        let (Self::ProgramRefused { log, .. } | Self::BtfRefused { log, .. }) = self else { return None };
        (!log.is_empty()).then_some(log)
    }
}
