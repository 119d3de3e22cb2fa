//! The words of a plan: each action, reason and consequence as people read it, and its name for programs.
//!
//! One place for them, so that a plan, an outcome and a message say the same thing in the same words.

use super::{
    Action, Alive, Because, Consent, Copying, Marker, Mode, Replaced, ResolvedHook, Restored, Sets, State, Sweep,
    Taken, Traffic, WithoutLink, Writes,
};
use crate::desired::{Anchor, DesiredLink, DesiredMap, DesiredProgram, MapDefinition, MapSource, is_pattern};
use crate::direct::{Device, Direct, Filter};
use crate::elf::{DataKind, ProgramKind};
use crate::entries::Changes;
use crate::kinds::MapType;
use crate::kinds::XdpMode;
use crate::observed::{EventPlace, is_dispatcher};
use crate::route::{Route, RoutePlace, RouteWish};
use crate::spec::{Difference, MapSpec, flag_names};
use crate::variables::Change;
use std::collections::BTreeSet;
use std::fmt;

/// More slots than these are counted, not named.
const SLOTS_NAMED: usize = 4;

impl Action {
    /// Every name of an action.
    pub const NAMES: [&str; 30] = [
        "clear-leftover",
        "mount-bpffs",
        "make-directory",
        "reuse-map",
        "create-map",
        "copy-entries",
        "catch-up",
        "finish-copy",
        "fill-map",
        "fill-slots",
        "write-entries",
        "set-variables",
        "reuse-program",
        "load-program",
        "restore-map",
        "restore-program",
        "restore-pin",
        "rename-link",
        "reuse-link",
        "skip-link",
        "attach",
        "update-link",
        "reattach",
        "set-access",
        "detach",
        "remove-program",
        "remove-map",
        "remove-directory",
        "write-record",
        "remove-record",
    ];

    /// Returns the name of the action for programs: stable, in kebab case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClearLeftover { .. } => "clear-leftover",
            Self::MountBpffs { .. } => "mount-bpffs",
            Self::MakeDirectory { .. } => "make-directory",
            Self::ReuseMap { .. } => "reuse-map",
            Self::CreateMap { .. } => "create-map",
            Self::CopyEntries { .. } => "copy-entries",
            Self::CatchUp { .. } => "catch-up",
            Self::FinishCopy { .. } => "finish-copy",
            Self::FillMap { .. } => "fill-map",
            Self::FillSlots { .. } => "fill-slots",
            Self::WriteEntries { .. } => "write-entries",
            Self::SetVariables { .. } => "set-variables",
            Self::ReuseProgram { .. } => "reuse-program",
            Self::LoadProgram { .. } => "load-program",
            Self::RestoreMap { .. } => "restore-map",
            Self::RestoreProgram { .. } => "restore-program",
            Self::RestorePin { .. } => "restore-pin",
            Self::RenameLink { .. } => "rename-link",
            Self::ReuseLink { .. } => "reuse-link",
            Self::Skip { .. } => "skip-link",
            Self::Attach { .. } => "attach",
            Self::UpdateLink { .. } => "update-link",
            Self::Reattach { .. } => "reattach",
            Self::SetAccess { .. } => "set-access",
            Self::Detach { .. } => "detach",
            Self::RemoveProgram { .. } => "remove-program",
            Self::RemoveMap { .. } => "remove-map",
            Self::RemoveDirectory { .. } => "remove-directory",
            Self::WriteRecord { .. } => "write-record",
            Self::RemoveRecord { .. } => "remove-record",
        }
    }
}

/// What is done, without the address: `create hash, 4 B key, 8 B value, 1024 entries, pin /sys/fs/bpf/edge/maps/flows`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClearLeftover { kept: true, .. } => {
                f.write_str("detach what only this had, and keep it for a rollback:")
            }
            Self::ClearLeftover { kept: false, .. } => f.write_str("detach and remove all of"),
            Self::MountBpffs { .. } => f.write_str("mount a bpffs on"),
            Self::MakeDirectory { .. } => f.write_str("create"),
            Self::ReuseMap { map, id, ours } => reuse_map(f, map, *id, *ours),
            Self::CreateMap { map, replaces } => create_map(f, map, replaces.as_ref()),
            Self::CopyEntries { from, copying, .. } => copy_entries(f, *from, copying),
            Self::CatchUp { from, copying, .. } => catch_up(f, *from, copying),
            Self::FinishCopy { from, migration, .. } => finish_copy(f, *from, migration.is_some()),
            Self::FillMap { map } => fill_map(f, map),
            Self::FillSlots { map } => fill_slots(f, map),
            Self::WriteEntries { writes } => write!(f, "{writes}"),
            Self::SetVariables { sets } => write!(f, "{sets}"),
            Self::ReuseProgram { program, id } => write!(f, "reuse id {id}, {}", Subject(program)),
            Self::LoadProgram { program, replaces } => load_program(f, program, *replaces),
            Self::RestoreMap { pin, id, restored: Restored::Replaces(now), used_by, .. } => {
                write!(f, "return to id {id} as it was at the switch, pin {pin}, in place of id {now}")?;
                in_use(f, used_by, STAYS)
            }
            Self::RestoreMap { pin, id, restored, .. } | Self::RestoreProgram { pin, id, restored, .. } => {
                match restored {
                    Restored::Stays => write!(f, "keep id {id}"),
                    Restored::Returns => write!(f, "return to id {id}, pin {pin}"),
                    Restored::Replaces(now) => write!(f, "return to id {id}, pin {pin}, in place of id {now}"),
                }
            }
            Self::RestorePin { pin, .. } => write!(f, "pin it at {pin} again"),
            Self::RenameLink { link, was, from, id } => {
                write!(f, "rename link.{was}, id {id}, which stays attached, pin {}, unpin {from}", link.pin)
            }
            Self::ReuseLink { link, id } => {
                let id = Reused(*id);
                match &link.program {
                    Some(program) => write!(f, "reuse {id}program.{program} on {}", link.hook),
                    None => write!(f, "reuse {id}{}", link.hook),
                }
            }
            Self::Skip { hook, .. } => write!(f, "absent, skipped: {hook}"),
            Self::Attach { link, hook, .. } => write!(f, "attach {}, pin {}", Attached(link, hook), link.pin),
            Self::UpdateLink { link, id, old } => {
                match &link.program {
                    Some(program) => {
                        write!(f, "replace program id {old} by program.{program} in place, on {}", link.hook)?;
                    }
                    None => write!(f, "replace map id {old} by {} in place", link.hook)?,
                }
                if *id == 0 { Ok(()) } else { write!(f, ", link id {id}") }
            }
            Self::Reattach { link, id, hook, overlap: true, .. } => {
                write!(f, "attach {}, then detach {}", Attached(link, hook), LinkId(*id))
            }
            Self::Reattach { link, id, hook, overlap: false, .. } => {
                write!(f, "detach {}, then attach {}", LinkId(*id), Attached(link, hook))
            }
            Self::SetAccess { now, access, .. } => write!(f, "pin {}", access.words(*now)),
            Self::Detach { pin, id: 0, hook, .. } => write!(f, "detach from {hook}, remove {pin}"),
            Self::Detach { pin, id, hook, .. } => write!(f, "detach id {id} from {hook}, unpin {pin}"),
            Self::RemoveProgram { pin, id, .. } => write!(f, "remove id {id}, unpin {pin}"),
            Self::RemoveMap { pin, id, used_by, is_empty, .. } => {
                write!(f, "remove id {id}{}, unpin {pin}", if *is_empty { ", which is empty" } else { "" })?;
                in_use(f, used_by, "only programs that run with it keep it then")
            }
            Self::RemoveDirectory { .. } => f.write_str("remove"),
            Self::WriteRecord { pin, generation, replaces: None, .. } => {
                write!(f, "write {pin}, generation {generation}")
            }
            Self::WriteRecord { pin, generation, replaces: Some(old), .. } => {
                write!(f, "write {pin}, switch to generation {generation}, keep generation {old} for a rollback")
            }
            Self::RemoveRecord { pin } => write!(f, "remove {pin} and every generation"),
        }
    }
}

fn reuse_map(f: &mut fmt::Formatter<'_>, map: &DesiredMap, id: u32, ours: bool) -> fmt::Result {
    match (ours, id) {
        (true, id) => write!(f, "reuse id {id}")?,
        (false, 0) => f.write_str("use, id not known offline")?,
        (false, id) => write!(f, "use id {id}")?,
    }
    match &map.source {
        MapSource::Defined(MapDefinition { spec, .. }) => write!(f, ", {spec}"),
        MapSource::Pinned(pin) => write!(f, ", found at {pin}"),
        MapSource::Id(_) => Ok(()),
    }
}

fn create_map(f: &mut fmt::Formatter<'_>, map: &DesiredMap, replaces: Option<&Replaced>) -> fmt::Result {
    f.write_str("create")?;
    match &map.source {
        MapSource::Defined(MapDefinition { pin, spec, .. }) => write!(f, " {spec}, pin {pin}")?,
        MapSource::Pinned(_) | MapSource::Id(_) => {}
    }
    let Some(Replaced { id, used_by, is_empty }) = replaces else { return Ok(()) };
    write!(f, ", in place of id {id}")?;
    if *is_empty {
        f.write_str(", which is empty")?;
    }
    in_use(f, used_by, STAYS)
}

/// What becomes of a map of which another one takes the place, for those who use it.
const STAYS: &str = "their programs stay with that one, and no longer share it with ours";

/// Says which other deployments use a map that loses its pin, and what it is to them then.
fn in_use(f: &mut fmt::Formatter<'_>, used_by: &BTreeSet<String>, then: &str) -> fmt::Result {
    if used_by.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = used_by.iter().map(String::as_str).collect();
    write!(f, ", in use by {}: {then}", names.join(", "))
}

fn copy_entries(f: &mut fmt::Formatter<'_>, from: u32, copying: &Copying) -> fmt::Result {
    let Copying { migration, fits, misfits, .. } = copying;
    match migration.is_section() {
        true => write!(f, "copy the variables of id {from}")?,
        false => write!(f, "copy {} of id {from}", count(*fits, "entry"))?,
    }
    if misfits.count > 0 {
        let do_not = if misfits.count == 1 { "does not" } else { "do not" };
        write!(f, ", {} {do_not} fit{misfits}", misfits.count)?;
    }
    write!(f, ", {migration}")
}

/// Says what is done, and what nobody can promise.
fn catch_up(f: &mut fmt::Formatter<'_>, from: u32, copying: &Copying) -> fmt::Result {
    write!(
        f,
        "read id {from} again when none of our programs runs with it any more, and write what changed since it was \
         copied, but for entries that the new programs changed as well; not certain: what a program adds to an entry \
         between its reading and its writing; not seen: what programs of others write to id {from} later"
    )?;
    for (i, (id, name)) in copying.others.iter().enumerate() {
        write!(f, "{}id {id} `{name}`", if i == 0 { ", as these do: " } else { ", " })?;
    }
    Ok(())
}

/// Says what a killed run left to be done, or that it cannot be done any more.
fn finish_copy(f: &mut fmt::Formatter<'_>, from: u32, is_there: bool) -> fmt::Result {
    if !is_there {
        return write!(
            f,
            "nothing can be caught up: id {from}, of which it is a copy, is gone, with what changed in it between its \
             copying and the switch"
        );
    }
    write!(
        f,
        "write what changed in id {from} between its copying and the switch, but for entries that changed here as well"
    )
}

fn fill_map(f: &mut fmt::Formatter<'_>, map: &DesiredMap) -> fmt::Result {
    let data = match &map.source {
        MapSource::Defined(definition) => definition.data.as_ref(),
        MapSource::Pinned(..) | MapSource::Id(..) => None,
    };
    match data {
        Some((DataKind::Rodata, bytes)) => write!(f, "write {} B of constants, then freeze", bytes.len()),
        Some((DataKind::Data | DataKind::Bss, bytes)) => write!(f, "write {} B of variables", bytes.len()),
        None => f.write_str("write the first contents"),
    }
}

fn fill_slots(f: &mut fmt::Formatter<'_>, map: &DesiredMap) -> fmt::Result {
    let (slots, operations) = match &map.source {
        MapSource::Defined(definition) => (&definition.slots, definition.operations.as_ref()),
        MapSource::Pinned(..) | MapSource::Id(..) => return f.write_str("fill the slots"),
    };
    match operations {
        Some(first) => write!(f, "write {} B, with functions at bytes", first.bytes.len())?,
        None => f.write_str("fill slots")?,
    }
    for (i, (index, source)) in slots.iter().take(SLOTS_NAMED).enumerate() {
        write!(f, "{} {index} = {source}", if i == 0 { "" } else { "," })?;
    }
    match slots.len().saturating_sub(SLOTS_NAMED) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// As `entries +1 ~0 -0 (100,000 the same)`, and for a new map `entries +100,000`.
impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Changes { added, changed, removed, same, .. } = &*self.changes;
        let [added, changed, removed, same] =
            [added.len(), changed.len(), removed.len(), *same].map(|number| thousands(number as u64));
        write!(f, "entries +{added}")?;
        match (self.id, self.keys_only) {
            (None, _) => {}
            (Some(_), false) => write!(f, " ~{changed} -{removed} ({same} the same)")?,
            (Some(_), true) => write!(f, " ~{changed} -{removed} ({same} there, with values of their own)")?,
        }
        if self.removes_first { f.write_str(", first what goes: the map is full") } else { Ok(()) }
    }
}

/// As `set sample_rate 64 -> 128, config.limit 3 -> 7`.
impl fmt::Display for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Change { name, words: (before, after), .. }) in self.changes.iter().enumerate() {
            write!(f, "{} {name}", if i == 0 { "set" } else { "," })?;
            match self.sensitive {
                true => f.write_str(" (sensitive)")?,
                false => write!(f, " {before} -> {after}")?,
            }
        }
        if self.alone {
            return Ok(());
        }
        f.write_str(", with all of the section, which is not mmapable: what programs write to it just then is lost")
    }
}

fn load_program(f: &mut fmt::Formatter<'_>, program: &DesiredProgram, replaces: Option<u32>) -> fmt::Result {
    write!(f, "load {}", Subject(program))?;
    match (&program.extends, &program.kind.target) {
        (Some(extends), _) => write!(f, ", replaces `{}` of program.{}", extends.function, extends.program)?,
        (None, Some(target)) => write!(f, " for `{target}`")?,
        (None, None) => {}
    }
    for (i, map) in program.uses().iter().enumerate() {
        write!(f, ", {}map.{map}", if i == 0 { "uses " } else { "" })?;
    }
    write!(f, ", pin {}", program.pin)?;
    replaces.iter().try_for_each(|id| write!(f, ", in place of id {id}"))
}

/// A program as what it is made of: ``xdp `xdp_drop` of object.filter``.
struct Subject<'a>(&'a DesiredProgram);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(program) = self;
        write!(f, "{} `{}` of object.{}", program.kind, program.function, program.object)
    }
}

/// The type, and the attach type where it says more: `xdp`, `cgroup_skb (cgroup_inet_ingress)`.
impl fmt::Display for ProgramKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program_type.to_string();
        f.write_str(&name)?;
        match self.attach_type.map(|attach_type| attach_type.to_string()).filter(|attach_type| *attach_type != name) {
            Some(attach_type) => write!(f, " ({attach_type})"),
            None => Ok(()),
        }
    }
}

/// A map in a few words: `lru_hash, 4 B key, 8 B value, 1024 entries, flags no_prealloc`.
impl fmt::Display for MapSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.map_type)?;
        match self.map_type {
            MapType::RINGBUF | MapType::USER_RINGBUF => write!(f, ", {} B", self.max_entries)?,
            MapType::ARENA => write!(f, ", {}", count(self.max_entries, "page"))?,
            MapType::PERF_EVENT_ARRAY | MapType::CPUMAP if self.max_entries == 0 => {
                f.write_str(", one entry for each CPU")?;
            }
            _ => {
                write!(f, ", {} B key, {} B value, ", self.key_size, self.value_size)?;
                write!(f, "{}", count(self.max_entries, "entry"))?;
            }
        }
        if self.flags != 0 {
            write!(f, ", flags {}", flag_names(self.flags))?;
        }
        self.numa_node.iter().try_for_each(|node| write!(f, ", NUMA node {node}"))?;
        if self.map_extra != 0 {
            write!(f, ", map_extra {:#x}", self.map_extra)?;
        }
        self.inner.iter().try_for_each(|inner| write!(f, ", of maps like ({inner})"))
    }
}

/// As `5 of the 6 maps, programs and links of the deployment`.
impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { removed, owned } = self;
        write!(f, "{removed} of the {owned} maps, programs and links of the deployment")
    }
}

/// Writes a number with its noun: `1 entry`, `2 entries`, `0 programs`.
pub fn count(number: impl Into<u64>, noun: &str) -> String {
    match (number.into(), noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (number, Some(stem)) => format!("{number} {stem}ies"),
        (number, None) => format!("{number} {noun}s"),
    }
}

/// Writes a number so that its size is seen: `100,000`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A link with the host's numbers: `program.drop to xdp of lo (ifindex 1, generic)`.
struct Attached<'a>(&'a DesiredLink, &'a ResolvedHook);

/// The id of a link that stays; nothing for what has no link.
struct Reused(u32);

impl fmt::Display for Reused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, "id {}, ", self.0) }
    }
}

impl fmt::Display for Attached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(link, hook) = self;
        link.program.iter().try_for_each(|program| write!(f, "program.{program} to "))?;
        link.hook.fmt(f)?;
        if matches!(hook, ResolvedHook::Event(Some(EventPlace::Kernel) | None)) {
            return Ok(());
        }
        f.write_str(" (")?;
        match hook {
            ResolvedHook::Interface(Some(place)) => {
                write!(f, "ifindex {}", place.ifindex)?;
                // Which one ours is goes without saying.
                if matches!(link.hook.anchor(), Anchor::Interface(_, netns) if !netns.is_own()) {
                    write!(f, " there, inode {}", place.netns)?;
                }
            }
            ResolvedHook::Interface(None) => match link.hook.anchor() {
                Anchor::Interface(pattern, _) if is_pattern(pattern) => {
                    f.write_str("a link for each that matches, which is not known offline")?;
                }
                Anchor::Interface(..) | Anchor::Cgroup(_) | Anchor::Netns(_) | Anchor::Map(_) | Anchor::Event(_) => {
                    f.write_str("ifindex not known offline")?;
                }
            },
            ResolvedHook::Cgroup(Some((path, id))) => write!(f, "{}, id {id}", path.display())?,
            ResolvedHook::Cgroup(None) => f.write_str("id not known offline")?,
            ResolvedHook::Netns(Some(inode)) => write!(f, "inode {inode}")?,
            ResolvedHook::Netns(None) => f.write_str("inode not known offline")?,
            ResolvedHook::Map(Some(0)) => f.write_str("id not known offline")?,
            ResolvedHook::Map(Some(id)) => write!(f, "map id {id}")?,
            ResolvedHook::Map(None) => f.write_str("new map")?,
            ResolvedHook::Event(Some(EventPlace::File(place))) => {
                write!(f, "inode {}, offset {:#x}", place.inode, place.offset)?;
            }
            ResolvedHook::Event(Some(EventPlace::Tracepoint(id))) => write!(f, "event id {id}")?,
            ResolvedHook::Event(Some(EventPlace::Kernel) | None) => {}
            ResolvedHook::Direct(at, why) => return direct(f, at, why.as_ref()),
        }
        match link.hook.mode() {
            Some(mode) => write!(f, ", {mode})")?,
            None => f.write_str(")")?,
        }
        link.order.iter().try_for_each(|order| write!(f, ", {order}"))
    }
}

/// Says where an attachment without a link is, beyond what its hook says, and why it has none.
fn direct(f: &mut fmt::Formatter<'_>, at: &Direct, why: Option<&WithoutLink>) -> fmt::Result {
    match at {
        Direct::Filter(Filter { device: Device { ifindex, .. }, chain, priority, handle, owns_qdisc, .. }) => {
            write!(f, "ifindex {ifindex}, priority {priority}, handle {handle}")?;
            if *chain != 0 {
                write!(f, ", chain {chain}")?;
            }
            if *owns_qdisc {
                f.write_str(", with the qdisc")?;
            }
        }
        Direct::Xdp { device: Device { ifindex, .. }, mode } => write!(f, "ifindex {ifindex}, {mode}, by netlink")?,
        Direct::Route(Route { device: Device { ifindex, .. }, wish, .. }) => {
            let RouteWish { place: RoutePlace { table, metric, .. }, gateway, headroom } = wish;
            write!(f, "ifindex {ifindex}, table {table}, metric {metric}")?;
            if let Some(gateway) = gateway {
                write!(f, ", by {gateway}")?;
            }
            if *headroom != 0 {
                write!(f, ", headroom {headroom}")?;
            }
        }
        Direct::Cgroup { path, cgroup_id, .. } => write!(f, "{}, id {cgroup_id}, without a link", path.display())?,
    }
    match why {
        Some(WithoutLink::Lacks(feature)) => {
            write!(f, ", as this kernel has no {feature}, which came with Linux {})", feature.since())
        }
        Some(WithoutLink::TakesOver(taken)) => {
            write!(f, ", in the place of {taken}, which does not come back when ours goes)")
        }
        None => f.write_str(")"),
    }
}

/// As `program id 7 `drop``.
impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, .. } = self;
        let with = if is_dispatcher(name) { " with all programs that this dispatcher of libxdp runs" } else { "" };
        write!(f, "program id {id} `{name}`{with}")
    }
}

/// How a link is called in a sentence: by its id, where it has one.
struct LinkId(u32);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("what was there"),
            id => write!(f, "id {id}"),
        }
    }
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "+",
            Self::Change => "~",
            Self::DestroyThenCreate => "-/+",
            Self::CreateThenDestroy => "+/-",
            Self::Remove => "-",
            Self::Reuse => "=",
        })
    }
}

impl Because {
    /// Every name of a reason.
    pub const NAMES: [&str; 32] = [
        "missing",
        "unpinned",
        "unchanged",
        "foreign",
        "code-changed",
        "map-new",
        "map-other",
        "map-differs",
        "map-in-use",
        "contents-changed",
        "entries-changed",
        "entries-not-wanted",
        "variables-differ",
        "slots-differ",
        "slot-new",
        "target-new",
        "program-new",
        "renamed",
        "hook-changed",
        "out-of-place",
        "hook-gone",
        "optional",
        "program-other",
        "not-wanted",
        "destroy",
        "access-differs",
        "plan-changes",
        "needed-below",
        "interrupted",
        "rollback",
        "adopted",
        "taken-over",
    ];

    /// Returns the name of the reason for programs: stable, in kebab case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unpinned { .. } => "unpinned",
            Self::Unchanged => "unchanged",
            Self::Foreign(_) => "foreign",
            Self::CodeChanged => "code-changed",
            Self::MapNew(_) => "map-new",
            Self::MapOther(_) => "map-other",
            Self::MapDiffers(_) => "map-differs",
            Self::MapInUse => "map-in-use",
            Self::ContentsChanged => "contents-changed",
            Self::EntriesChanged => "entries-changed",
            Self::EntriesNotWanted => "entries-not-wanted",
            Self::VariablesDiffer => "variables-differ",
            Self::SlotsDiffer => "slots-differ",
            Self::SlotNew(_) => "slot-new",
            Self::TargetNew(_) => "target-new",
            Self::ProgramNew(_) => "program-new",
            Self::Renamed(_) => "renamed",
            Self::HookChanged(_) => "hook-changed",
            Self::OutOfPlace(_) => "out-of-place",
            Self::HookGone { .. } => "hook-gone",
            Self::Optional => "optional",
            Self::ProgramOther(_) => "program-other",
            Self::NotWanted => "not-wanted",
            Self::Destroy => "destroy",
            Self::AccessDiffers => "access-differs",
            Self::PlanChanges(_) => "plan-changes",
            Self::NeededBelow => "needed-below",
            Self::Interrupted { .. } => "interrupted",
            Self::Rollback => "rollback",
            Self::Adopted => "adopted",
            Self::TakenOver { .. } => "taken-over",
        }
    }
}

impl Because {
    /// Writes the reason as it stands behind the word "because"; offline nobody knows what is on the host.
    pub fn words(&self, mode: Mode) -> String {
        match (mode, self) {
            (Mode::Offline, Self::Missing) => "an empty host is assumed".to_owned(),
            (Mode::Offline, Self::Foreign(_)) => "somebody else owns it".to_owned(),
            (Mode::Live | Mode::Offline | Mode::Against { .. }, because) => because.to_string(),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is not on the host"),
            Self::Unpinned { alive: None } => f.write_str("only its pin is gone"),
            Self::Unpinned { alive: Some(Alive { id, pin, folder, fits }) } => {
                write!(f, "only its pin is gone, and programs still run with map id {id}")?;
                if !fits {
                    f.write_str(", which does not fit its table any more")?;
                }
                f.write_str(": to keep what it holds, `")?;
                if let Some(folder) = folder {
                    write!(f, "mkdir -p {folder} && ")?;
                }
                write!(f, "bpftool map pin id {id} {pin}`, and ")?;
                f.write_str(match fits {
                    true => "`adopt = true` makes it ours again",
                    false => "apply the table that it had with `adopt = true` before this one",
                })
            }
            Self::Unchanged => f.write_str("it is unchanged"),
            Self::Foreign(None) => f.write_str("it fits, and somebody else owns it"),
            Self::Foreign(Some(deployment)) => write!(f, "it fits, and the deployment `{deployment}` owns it"),
            Self::CodeChanged => f.write_str("its code changed"),
            Self::MapNew(map) => write!(f, "map.{map} is new"),
            Self::MapOther(map) => write!(f, "it does not run with map.{map}"),
            Self::MapDiffers(differences) => {
                f.write_str("the pinned map does not fit (")?;
                for (i, Difference { field, left, right }) in differences.iter().enumerate() {
                    write!(f, "{}{field}: {left}, wanted {right}", if i == 0 { "" } else { "; " })?;
                }
                f.write_str(")")
            }
            Self::MapInUse => f.write_str("it is in use while its entries are copied"),
            Self::ContentsChanged => f.write_str("its first contents changed"),
            Self::EntriesChanged => f.write_str("its entries are not those of the manifest"),
            Self::EntriesNotWanted => f.write_str("the manifest gives it no entries any more"),
            Self::VariablesDiffer => f.write_str("its variables are not as the manifest sets them"),
            Self::SlotsDiffer => f.write_str("its slots do not hold what was put there"),
            Self::SlotNew(address) => write!(f, "{address} in its slots is new"),
            Self::ProgramNew(program) | Self::TargetNew(program) => write!(f, "program.{program} is new"),
            Self::Renamed(was) => write!(f, "the manifest calls link.{was} so now"),
            Self::HookChanged(what) => write!(f, "its hook changed: {what}"),
            Self::OutOfPlace(order) => write!(f, "it is not {order} any more"),
            Self::Optional => f.write_str("it is optional"),
            Self::HookGone { detached: true } => {
                f.write_str("it is not attached any more, though what it was on is there")
            }
            Self::HookGone { detached: false } => f.write_str("what it was attached to went away"),
            Self::ProgramOther(id) => write!(f, "it runs program id {id}, not the pinned one"),
            Self::NotWanted => f.write_str("the manifest has no use for it any more"),
            Self::Destroy => f.write_str("the whole deployment goes"),
            Self::AccessDiffers => f.write_str("who may open its pin is not what the manifest says"),
            Self::PlanChanges(changes) if changes.is_empty() => f.write_str("this plan changes the deployment"),
            Self::PlanChanges(changes) => f.write_str(&changes.join(", ")),
            Self::NeededBelow => f.write_str("something below needs it"),
            Self::Interrupted { taken } => {
                f.write_str("a run was interrupted before it was done")?;
                for (i, taken) in taken.iter().enumerate() {
                    write!(
                        f,
                        "{}{taken}",
                        if i == 0 { "; what it took the place of DOES NOT RETURN: " } else { ", " }
                    )?;
                }
                Ok(())
            }
            Self::Rollback => f.write_str("the deployment goes back to the generation before"),
            Self::Adopted => f.write_str("it is at its pin, and it is ours"),
            Self::TakenOver { instead: false } => {
                f.write_str("it is taken over: it was somebody else's, and is ours from now on")
            }
            Self::TakenOver { instead: true } => f.write_str(
                "it is taken over: it was somebody else's, and is ours from now on instead of the map that was here, \
                 which goes",
            ),
        }
    }
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

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::NoGap => "no gap",
            Self::NewSockets => "new sockets",
            Self::BothRun => "both run meanwhile",
            Self::Starts => "starts",
            Self::Moves => "starts there, STOPS where it was",
            Self::Stops => "STOPS",
            Self::GapUnfiltered => "GAP, UNFILTERED for a moment",
        })
    }
}

impl State {
    /// Returns the word for people; programs get it in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kept => "kept",
            Self::New => "new",
            Self::Copied { .. } => "copied",
            Self::Lost(_) => "LOST",
        }
    }
}

/// As `kept`, `LOST`, `7 entries LOST`.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None | Self::Kept | Self::New | Self::Lost(None) => f.write_str(self.word()),
            Self::Lost(Some(entries)) => write!(f, "{} {}", count(*entries, "entry"), self.word()),
            Self::Copied { entries, lost: 0 } => write!(f, "{} {}", count(*entries, "entry"), self.word()),
            Self::Copied { entries, lost } => {
                write!(f, "{} {}, {lost} LOST", count(*entries, "entry"), self.word())
            }
        }
    }
}
