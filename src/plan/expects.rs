//! The identities that a step relies on: those that the host had when the plan was made.

use super::{Action, ResolvedHook};
use crate::desired::{DesiredMap, MapSource};
use crate::direct::{Direct, Filter};
use crate::names::PinPath;
use crate::route::Route;
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
    /// The inode of the network namespace that the name stands for, or that the interface is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u64>,
    /// The inode of the file that has the place of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u64>,
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
                Some(replaced) => Self { map_id: Some(replaced.id), ..Self::default() },
                None => Self { absent: own_pin(map).cloned(), ..Self::default() },
            },
            Action::ReuseProgram { id, .. } | Action::RemoveProgram { id, .. } | Action::RestoreProgram { id, .. } => {
                Self { program_id: Some(*id), ..Self::default() }
            }
            Action::LoadProgram { program, replaces } => match replaces {
                Some(_) => Self { program_id: *replaces, ..Self::default() },
                None => Self { absent: Some(program.pin.clone()), ..Self::default() },
            },
            Action::RenameLink { link, id, .. } => {
                Self { link_id: link_id(*id), absent: Some(link.pin.clone()), ..Self::default() }
            }
            Action::ReuseLink { id, .. } | Action::Detach { id, .. } => {
                Self { link_id: link_id(*id), ..Self::default() }
            }
            Action::UpdateLink { link, id, old } => match link.program {
                Some(_) => Self { link_id: link_id(*id), program_id: Some(*old), ..Self::default() },
                None => Self { link_id: link_id(*id), map_id: Some(*old), ..Self::default() },
            },
            Action::RestorePin { pin, .. } => Self { absent: Some(pin.clone()), ..Self::default() },
            Action::Attach { link, hook, .. } => Self { absent: Some(link.pin.clone()), ..Self::of_hook(hook) },
            Action::Reattach { id, hook, .. } => Self { link_id: link_id(*id), ..Self::of_hook(hook) },
            Action::ClearLeftover { .. }
            | Action::Skip { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::CatchUp { .. }
            | Action::FinishCopy { .. }
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
            ResolvedHook::Interface(place) => {
                let (ifindex, netns) = (place.map(|place| place.ifindex), place.map(|place| place.netns));
                Self { ifindex, netns, ..Self::default() }
            }
            ResolvedHook::Cgroup(found) => Self { cgroup_id: found.as_ref().map(|(_, id)| *id), ..Self::default() },
            ResolvedHook::Netns(inode) => Self { netns: *inode, ..Self::default() },
            ResolvedHook::Map(id) => Self { map_id: id.filter(|id| *id != 0), ..Self::default() },
            ResolvedHook::Event(place) => {
                let file = place.and_then(|place| place.file()).map(|file| file.inode);
                Self { file, ..Self::default() }
            }
            ResolvedHook::Direct(at, _) => match at {
                Direct::Filter(Filter { device, .. })
                | Direct::Xdp { device, .. }
                | Direct::Route(Route { device, .. }) => {
                    let program_id = hook.taken().map(|taken| taken.id);
                    let (ifindex, netns) = (Some(device.ifindex), Some(device.inode));
                    Self { ifindex, netns, program_id, ..Self::default() }
                }
                Direct::Cgroup { cgroup_id, .. } => Self { cgroup_id: Some(*cgroup_id), ..Self::default() },
            },
        }
    }
}

/// Returns the id of a link; without one there is none to expect.
fn link_id(id: u32) -> Option<u32> {
    (id != 0).then_some(id)
}

/// Returns the pin of a map that we create.
fn own_pin(map: &DesiredMap) -> Option<&PinPath> {
    match &map.source {
        MapSource::Defined(definition) => Some(&definition.pin),
        MapSource::Pinned(_) | MapSource::Id(_) => None,
    }
}
