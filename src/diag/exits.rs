//! The exit codes: what they are, and which one each kind of problem means.

use super::kind::Kind;
use crate::elf::{self, Blame};

/// Exit codes of the command (DESIGN §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// The host matches.
    Success = 0,
    /// Failed; the host is as it was before.
    Failed = 1,
    /// Changes or drift pending: with `--check`, and behind an `adopt` that did not find all.
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
    /// The host was changed as planned, but a report of that was asked for and could not be written.
    Unwritten = 74,
    /// Locked, or the plan is stale: try again.
    Retry = 75,
    /// No permission.
    Permission = 77,
}

impl Kind {
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
            Self::TestFailed { .. } | Self::TestsFailed { .. } => Exit::Failed,
            Self::Kernel { errno: libc::EPERM | libc::EACCES, .. } => Exit::Permission,
            Self::Cycle { .. } => Exit::Data,
            Self::ChecksFailed { is_back: true, gone, .. } if gone.is_empty() => Exit::Failed,
            Self::Unverified { .. } | Self::KeptInPart { .. } | Self::ChecksFailed { .. } => Exit::Broken,
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
            | Self::MeantDeployment { .. }
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
            | Self::RootGone { .. }
            | Self::Protected { .. }
            | Self::UnwritableFile { .. } => Exit::Failed,
            Self::Unreported { .. } => Exit::Unwritten,
            Self::AdoptedInPart { .. } => Exit::Pending,
            Self::ConsentNeeded { .. } | Self::WasRejected { .. } => Exit::Consent,
        }
    }
}
