//! The identities that a step relies on: those that the host had when the plan was made.

use super::{Action, ResolvedHook};
use crate::desired::{DesiredMap, MapSource};
use crate::names::PinPath;
use serde::{Deserialize, Serialize};

/// What the host must be when a step is done; else the plan is stale.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expects {
    /// The map that has the pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_id: Option<u32>,
    /// The program that has the pin, or that the link runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_id: Option<u32>,
    /// The link that has the pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<u32>,
    /// The interface that the name stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// The cgroup that the path stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<u64>,
    /// The inode of the network namespace that the name stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u64>,
    /// A pin where nothing may be yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub absent: Option<PinPath>,
}

impl Expects {
    /// Takes what the plan says of an action.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::ReuseMap { id, .. } | Action::RemoveMap { id, .. } | Action::RestoreMap { id, .. } => {
                Self { map_id: (*id != 0).then_some(*id), ..Self::default() }
            }
            Action::SetVariables { sets } => Self { map_id: Some(sets.id), ..Self::default() },
            Action::WriteEntries { writes } => Self { map_id: writes.id, ..Self::default() },
            Action::CopyEntries { from, .. } => Self { map_id: Some(*from), ..Self::default() },
            Action::CreateMap { map, replaces } => match replaces {
                Some(_) => Self { map_id: *replaces, ..Self::default() },
                None => Self { absent: own_pin(map).cloned(), ..Self::default() },
            },
            Action::ReuseProgram { id, .. } | Action::RemoveProgram { id, .. } | Action::RestoreProgram { id, .. } => {
                Self { program_id: Some(*id), ..Self::default() }
            }
            Action::LoadProgram { program, replaces } => match replaces {
                Some(_) => Self { program_id: *replaces, ..Self::default() },
                None => Self { absent: Some(program.pin.clone()), ..Self::default() },
            },
            Action::ReuseLink { id, .. } | Action::Detach { id, .. } => Self { link_id: Some(*id), ..Self::default() },
            Action::UpdateLink { id, old_program, .. } => {
                Self { link_id: Some(*id), program_id: Some(*old_program), ..Self::default() }
            }
            Action::Attach { link, hook, .. } => Self { absent: Some(link.pin.clone()), ..Self::of_hook(hook) },
            Action::Reattach { id, hook, .. } => Self { link_id: Some(*id), ..Self::of_hook(hook) },
            Action::ClearLeftover { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::CatchUp { .. }
            | Action::FillMap { .. }
            | Action::FillSlots { .. }
            | Action::SetAccess { .. }
            | Action::RemoveDirectory { .. }
            | Action::WriteRecord { .. }
            | Action::RemoveRecord { .. } => Self::default(),
        }
    }

    fn of_hook(hook: &ResolvedHook) -> Self {
        match hook {
            ResolvedHook::Interface(ifindex) => Self { ifindex: *ifindex, ..Self::default() },
            ResolvedHook::Cgroup(found) => Self { cgroup_id: found.as_ref().map(|(_, id)| *id), ..Self::default() },
            ResolvedHook::Netns(inode) => Self { netns: *inode, ..Self::default() },
        }
    }
}

/// Returns the pin of a map that we create.
fn own_pin(map: &DesiredMap) -> Option<&PinPath> {
    match &map.source {
        MapSource::Defined(definition) => Some(&definition.pin),
        MapSource::Pinned(_) | MapSource::Id(_) => None,
    }
}
