//! Reads what is: the pins, folders, interfaces and cgroups that a manifest or a record names, and nothing else.
//!
//! What does not exist is absent from the answer; only what cannot be read is a problem. What it all means is for the
//! plan to say.

use super::recorded::NotTold;
use super::snapshot::snapshot;
use super::status;
use super::strangers::strangers;
use super::{
    Entry, EntryKind, HookInfo, HookRequest, Interface, Kernel, LinkInfo, MapInfo, ObjectKind, Occupant, ProgramInfo,
    Queue, contents, drift, events,
};
use crate::access::{AccountKind, Permissions};
use crate::btf::{Btf, kernel::KernelTypes};
use crate::desired::{Anchor, DesiredMap, Hook, MapDefinition, MapSource, Netns, ObjectFacts, OnChange, Within};
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::direct::{Device, Feature, Mark, Qdisc, Via};
use crate::entries::Entries;
use crate::kinds::{AttachType, MapType, Netfilter};
use crate::names::{Digest, PinPath};
use crate::observed::{
    Asked, Fingerprints, Leftover, Live, Namespace, Observed, ObservedMap, ObservedProgram, Pinned, Root,
    UnfinishedCopy, Wanted,
};
use crate::record::{Record, RecordError, RecordedMap};
use crate::route::{RouteInfo, RoutePlace};
use crate::spec::{Compare, Host, MapTypes, differences, flags};
use hashbrown::HashMap;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// What opening a pin needs.
pub(super) const OPEN_PIN: &str = "opening a pin needs CAP_BPF and access to its folder: run it as root";
/// What finding something by its id needs.
pub(super) const BY_ID: &str = "finding BPF objects by id needs CAP_SYS_ADMIN: run it as root";
/// What asking for the programs on a hook needs.
pub(super) const QUERY: &str = "asking for the programs on a hook needs CAP_NET_ADMIN: run it as root";
/// What looking at interfaces needs, where somebody may not.
pub(crate) const ENTER: &str = "going into a network namespace needs CAP_SYS_ADMIN: run it as root";
/// What reading a folder or a file needs.
pub(crate) const READ: &str = "reading it needs access to its folder: run it as root";

/// Reads everything that is wanted, and reports every problem together.
pub fn observe<K: Kernel>(kernel: &K, wanted: &Wanted) -> Result<Observed, Problems> {
    let host = host(kernel)?;
    let mut reader = Reader::new(kernel, &wanted.objects, wanted.types);
    let mut problems = Problems::default();
    let found = all(&mut problems, &wanted.bpffs, |path| reader.bpffs(path));
    let bpffs = found.into_values().next().unwrap_or(false);
    // Without the bpffs, what is below its folder is of another file system, or not there.
    let visible = |path: &&PinPath| bpffs || !wanted.bpffs.as_ref().is_some_and(|bpffs| path.is_below(bpffs));
    let pin_root = wanted.pin_root.as_ref().filter(visible);
    let (root, leftovers) = match pin_root.map(|pin_root| reader.generations(pin_root)) {
        Some(Ok(found)) => found,
        Some(Err(problem)) => return Err(problem.into()),
        None => (Root::Missing, Vec::new()),
    };
    // What the record names is read as well, so the record comes first.
    let record = pin_root.map(|pin_root| reader.record(&pin_root.join("record")));
    let record = record.transpose().or_else(|problem| {
        // Who may not read it may read no pin of the deployment: that is one problem, and not one for each of them.
        if problem.kind.exit() == Exit::Permission {
            return Err(problem);
        }
        if !wanted.adopts || is_kept(&problem) {
            problems.push(problem);
        }
        Ok(None)
    })?;
    let record = record.flatten();
    if let Some(pin_root) = pin_root.filter(|_| !leftovers.is_empty()) {
        let outside = reader.outside(pin_root, &leftovers, (&root, record.as_ref()));
        reader.outside = outside.map_err(|error| refused(format!("look at what `{pin_root}` left"), &error, READ))?;
    }
    let recorded = record.as_ref().zip(pin_root).map(|(record, pin_root)| Wanted::of_record(record, pin_root));
    let mut recorded = recorded.unwrap_or_default();
    if let (Some(record), true) = (&record, wanted.entries) {
        recorded.add_entries(record, PinPath::clone);
    }
    if let (Some(pin_root), true) = (pin_root, wanted.entries) {
        for Leftover { path, record, .. } in leftovers.iter().filter(|leftover| !leftover.has_run) {
            record.iter().for_each(|record| recorded.add_entries(record, |pin| pin.in_generation(pin_root, path)));
        }
    }
    let second = second_names(wanted, &root);
    let directories: BTreeSet<_> = wanted.directories.union(&recorded.directories).chain(&second).collect();
    let pins: BTreeSet<_> = wanted.pins.union(&recorded.pins).filter(visible).collect();
    let permissions: BTreeSet<_> = wanted.permissions.union(&recorded.permissions).filter(visible).collect();
    let map_ids: BTreeSet<_> = wanted.map_ids.union(&recorded.map_ids).collect();
    let directories = folders(&mut problems, directories, &reader);
    let displaced = reader.outside.iter().filter(|(_, place)| place.is_some()).map(|(pin, _)| pin.clone()).collect();
    let unnamed = unnamed(&mut problems, pin_root, (&root, record.as_ref()), &directories, &reader);
    reader.outside.extend(unnamed.iter().map(|(pin, (place, _))| (pin.clone(), Some(place.clone()))));
    // A listed folder says what is not there at the cost of nothing.
    let missing = |pin: &&PinPath| is_known_missing(&directories, pin) && !unnamed.contains_key(*pin);
    let pins = pins.into_iter().filter(|pin| !missing(pin));
    let contents = wanted.contents.union(&recorded.contents).filter(|pin| visible(pin) && !missing(pin));
    let kept = wanted.kept.union(&recorded.kept).filter(|pin| visible(pin) && !missing(pin));
    let mut pins = all(&mut problems, pins, |path| reader.pinned(path));
    let interfaces = all(&mut problems, &wanted.interfaces, |(netns, name)| reader.interface(name, netns));
    let missing = all(&mut problems, &wanted.features, |feature| reader.lacks(*feature)).into_keys().collect();
    let filters = filters_that_matter(wanted, &missing);
    let qdiscs = all(&mut problems, filters, |name| reader.qdisc(name, interfaces.get(name)));
    let routes = &wanted.routes;
    let of_route = |(netns, _): &(Netns, RoutePlace), name: &String| interfaces.get(&(netns.clone(), name.clone()));
    let routes = all(&mut problems, routes.keys(), |at| reader.routes(at, of_route(at, &routes[at])));
    for (pin, map) in &wanted.changing {
        if let (Some(Pinned::Map(found)), MapSource::Defined(definition), Some(pin_root)) =
            (pins.get_mut(pin), &map.source, pin_root)
            && let Err(problem) = reader.live(pin, definition, found, &host, pin_root)
        {
            problems.push(problem);
        }
    }
    let stays = |pin: &(PinPath, u64)| match &wanted.returning {
        Some(stay) => stay.contains(pin),
        None => !wanted.entries || wanted.pins.contains(&pin.0),
    };
    for (pin, _) in record.iter().flat_map(Record::own_pins).filter(|pin| !stays(pin)) {
        if let Some(Pinned::Map(found)) = pins.get_mut(&pin) {
            // What cannot be counted goes all the same, and is told as lost.
            found.live = reader.count(&pin, found, &host).unwrap_or_default();
        }
    }
    let copies = match &root {
        Root::Generation(current) if wanted.entries => reader.copies(current),
        Root::Generation(_) | Root::Missing | Root::Foreign => Ok(Vec::new()),
    };
    let copies = copies.unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    let namespaces = all(&mut problems, &wanted.namespaces, |netns| reader.namespace(netns));
    let observed = Observed {
        host,
        bpffs,
        root,
        leftovers,
        contents: all(&mut problems, contents, |path| reader.contents(path, &host)),
        kept: all(&mut problems, kept, |path| reader.kept(path)),
        copies,
        permissions: all(&mut problems, permissions, |path| reader.permissions(path)),
        accounts: all(&mut problems, &wanted.accounts, |account| reader.account(account)),
        directories: directories.into_iter().filter_map(|(path, entries)| Some((path.clone(), entries?))).collect(),
        maps_by_id: all(&mut problems, map_ids, |id| reader.map_by_id(*id)),
        strangers: strangers(
            kernel,
            &on_hooks(&pins, &qdiscs, &namespaces),
            &on_interfaces(&interfaces),
            &run_by_links(&pins),
        ),
        pins,
        interfaces,
        missing,
        qdiscs,
        routes,
        cgroups: all(&mut problems, &wanted.cgroups, |path| reader.cgroup(path)),
        namespaces,
        queues: all(&mut problems, wanted.queues.keys(), |hook| reader.queue(hook, wanted.queues[hook])),
        priorities: priorities(kernel, &wanted.priorities),
        unnamed: unnamed.iter().map(|(pin, (_, inode))| (pin.clone(), *inode)).collect(),
        displaced,
        owners: BTreeMap::new(),
        users: BTreeMap::new(),
        nameless: BTreeMap::new(),
        opened: BTreeSet::new(),
        beside: all(&mut problems, &wanted.beside, |pin| reader.beside(pin)),
        events: all(&mut problems, &wanted.events, |event| events::find(kernel, event).map(Some)),
        record,
    };
    let (owners, opened) = (owners(kernel, wanted, &observed), opened(kernel, wanted, &observed));
    let users = users(kernel, wanted, &observed);
    let nameless =
        nameless_maps(wanted, &observed).into_iter().filter_map(|id| Some((id, reader.map_by_id(id).ok()??)));
    let nameless = nameless.collect();
    problems.or(Observed { owners, users, opened, nameless, ..observed })
}

/// Finds the folders of the deployment's pins that others may enter. Where that is not known, as in a state that was
/// exported, none is.
fn opened<K: Kernel>(kernel: &K, wanted: &Wanted, observed: &Observed) -> BTreeSet<PinPath> {
    let Some((pin_root, record)) = wanted.pin_root.as_ref().zip(observed.record.as_ref()) else {
        return BTreeSet::new();
    };
    let maker = observed.permissions.get(&pin_root.join("record")).map_or(0, |pin| pin.owner);
    let opened = drift::opened_folders(kernel, record, pin_root, maker);
    opened.unwrap_or_default().into_keys().collect()
}

/// Finds out which other deployments made what has pins that are not ours, by their records. One that cannot be read
/// claims nothing.
fn owners<K: Kernel>(kernel: &K, wanted: &Wanted, observed: &Observed) -> BTreeMap<PinPath, String> {
    let ours: BTreeSet<_> = observed.record.iter().flat_map(Record::own_pins).collect();
    let there = wanted.owned.iter().filter_map(|pin| Some((pin.clone(), observed.inode(pin)?)));
    let asked: BTreeSet<_> = there.filter(|pin| !ours.contains(pin)).collect();
    let Some(bpffs) = wanted.bpffs.as_ref().filter(|_| observed.bpffs && !asked.is_empty()) else {
        return BTreeMap::new();
    };
    let owned = other_records(kernel, bpffs, wanted.pin_root.as_ref()).into_iter().flat_map(|record| {
        let own: Vec<_> = record.own_pins().filter(|pin| asked.contains(pin)).collect();
        own.into_iter().map(move |(pin, _)| (pin, record.deployment.clone()))
    });
    owned.collect()
}

/// Lists the maps that pinned programs of ours run with and that have no pin of ours, when the pin of a map that we made is
/// gone, or something has no pin that is to have one: a record that was made anew does not know what had lost its pin by
/// then. It may be one of these. They are not asked for, so that nobody needs to be allowed to find them by their ids.
fn nameless_maps(wanted: &Wanted, observed: &Observed) -> BTreeSet<u32> {
    let Some(record) = &observed.record else { return BTreeSet::new() };
    let found = |pin: &str| observed.pins.get(&PinPath::new(pin).ok()?);
    let mut made = record.maps.values().filter(|map| map.created).filter_map(|map| map.pin.as_deref());
    // Both are in order: one walk finds all, also where there is nothing to do.
    let mut there = observed.pins.keys();
    if wanted.pins.iter().all(|pin| there.any(|found| found == pin)) && made.all(|pin| found(pin).is_some()) {
        return BTreeSet::new();
    }
    let programs = record.programs.values().filter_map(|program| match found(&program.pin)? {
        Pinned::Program(program) => Some(&program.info.map_ids),
        Pinned::Map(_) | Pinned::Link(_) => None,
    });
    let pinned = observed.pinned_maps();
    let is_known = |id: &u32| pinned.contains(id) || observed.maps_by_id.contains_key(id);
    programs.flatten().copied().filter(|id| !is_known(id)).collect()
}

/// Finds out which other deployments use maps of ours that may lose their pins, by their records: those that nothing wants
/// any more, and those that may be made anew or get the place of another one back.
fn users<K: Kernel>(kernel: &K, wanted: &Wanted, observed: &Observed) -> BTreeMap<PinPath, BTreeSet<String>> {
    let mut users: BTreeMap<PinPath, BTreeSet<String>> = BTreeMap::new();
    let (Some(record), Some(pin_root)) = (&observed.record, &wanted.pin_root) else { return users };
    let made = record.maps.values().filter(|map| map.created).filter_map(|map| map.pin.as_deref());
    let made = made.filter_map(|pin| PinPath::new(pin).ok());
    let found = |pin: PinPath| match (observed.inode(&pin), observed.pins.get(&pin)) {
        (Some(inode), Some(Pinned::Map(found))) if may_go(wanted, observed, (&pin, inode, found)) => {
            Some((pin, inode, found.info.id))
        }
        (_, Some(Pinned::Program(_) | Pinned::Link(_) | Pinned::Map(_)) | None) => None,
    };
    let going: Vec<(PinPath, u64, u32)> = made.filter_map(found).collect();
    let parent = pin_root.parent().filter(|_| !going.is_empty());
    let Some(bpffs) = parent.and_then(|parent| bpffs_of(kernel, pin_root, &parent).ok()) else { return users };
    for other in other_records(kernel, &bpffs, Some(pin_root)) {
        for (pin, inode, id) in &going {
            let is_it = |map: &RecordedMap| match map.pin.as_deref() {
                Some(path) => (path, map.inode) == (pin.as_str(), *inode),
                None => map.id == Some(*id),
            };
            if other.maps.values().any(|map| !map.created && is_it(map)) {
                users.entry(pin.clone()).or_default().insert(other.deployment.clone());
            }
        }
    }
    users
}

/// Returns whether a map of ours may lose its pin. Others are asked about only then, as that takes a walk and their records.
fn may_go(wanted: &Wanted, observed: &Observed, (pin, inode, found): (&PinPath, u64, &ObservedMap)) -> bool {
    let returns = |stay: &BTreeSet<(PinPath, u64)>| !stay.contains(&(pin.clone(), inode));
    let differs = |map: &Arc<DesiredMap>| match &map.source {
        MapSource::Defined(definition) => {
            !differences(&found.spec, &definition.spec, Compare::Existing, &observed.host).is_empty()
        }
        MapSource::Pinned(_) | MapSource::Id(_) => false,
    };
    !wanted.pins.contains(pin)
        || wanted.refilled.contains(pin)
        || wanted.returning.as_ref().is_some_and(returns)
        || wanted.changing.get(pin).is_some_and(differs)
}

/// Reads the records of the deployments of a bpffs, but for one. What cannot be read says nothing.
fn other_records<K: Kernel>(kernel: &K, bpffs: &PinPath, but: Option<&PinPath>) -> Vec<Record> {
    let reader = Reader::new(kernel, &[], false);
    let others = status::deployments(kernel, bpffs).unwrap_or_default();
    let others = others.into_iter().filter(|root| Some(root) != but);
    others.filter_map(|root| reader.record(&root.join("record")).ok()?).collect()
}

/// Returns the interfaces whose filters matter: those that get some, and without tcx those for which tcx was good enough.
fn filters_that_matter<'a>(wanted: &'a Wanted, missing: &BTreeSet<Feature>) -> BTreeSet<&'a (Netns, String)> {
    let matter = wanted.filters.iter().filter(|(_, via)| match via {
        Some(via) => *via == Via::Direct,
        None => missing.contains(&Feature::Tcx),
    });
    matter.map(|(name, _)| name).collect()
}

/// Lists the programs of XDP on interfaces.
fn on_interfaces(interfaces: &BTreeMap<(Netns, String), Interface>) -> BTreeSet<u32> {
    interfaces.values().flat_map(|found| &found.xdp).map(|(_, id)| *id).collect()
}

/// Lists the programs on other hooks with room for one.
fn on_hooks(
    pins: &BTreeMap<PinPath, Pinned>,
    qdiscs: &BTreeMap<(Netns, String), Qdisc>,
    namespaces: &BTreeMap<Netns, Namespace>,
) -> BTreeSet<u32> {
    let filters = qdiscs.values().flat_map(|qdisc| &qdisc.filters).filter_map(|filter| filter.program_id);
    let dissectors = namespaces.values().flat_map(|found| &found.dissectors).copied();
    let verdicts = pins.values().flat_map(|pinned| match pinned {
        Pinned::Map(found) => &found.verdicts[..],
        Pinned::Program(_) | Pinned::Link(_) => &[],
    });
    filters.chain(dissectors).chain(verdicts.map(|(_, id)| *id)).collect()
}

/// Lists the programs that pinned links run.
fn run_by_links(pins: &BTreeMap<PinPath, Pinned>) -> BTreeSet<u32> {
    let program = |pinned: &Pinned| if let Pinned::Link(link) = pinned { Some(link.program_id) } else { None };
    pins.values().filter_map(program).collect()
}

/// Returns whether a record that cannot be read must stay: one of a newer version says more than we could, and one that
/// nobody may read may say all.
pub(super) fn is_kept(problem: &Problem) -> bool {
    !matches!(*problem.kind, Kind::Record { why: RecordError::Unreadable(_) | RecordError::Older(_), .. })
}

/// Returns the folders with the second names of pins outside of the deployment's folder, which tell whose they are.
fn second_names(wanted: &Wanted, root: &Root) -> BTreeSet<PinPath> {
    let (true, Root::Generation(current), Some(pin_root)) = (wanted.adopts, root, &wanted.pin_root) else {
        return BTreeSet::new();
    };
    wanted.pins.iter().filter_map(|pin| pin.in_generation(pin_root, current).parent()).collect()
}

/// Finds the pins of ours outside of the deployment's folder that are gone while their second names are there: where those
/// are, and their inodes.
fn unnamed<K: Kernel>(
    problems: &mut Problems,
    pin_root: Option<&PinPath>,
    (root, record): (&Root, Option<&Record>),
    directories: &BTreeMap<&PinPath, Option<Vec<Entry>>>,
    reader: &Reader<'_, K>,
) -> BTreeMap<PinPath, (PinPath, u64)> {
    let (Root::Generation(current), Some(record), Some(pin_root)) = (root, record, pin_root) else {
        return BTreeMap::new();
    };
    let outside = record.made_pins().filter(|(pin, _)| !pin.is_below(pin_root));
    let gone = outside.filter(|(pin, _)| is_known_missing(directories, pin));
    let mut found = BTreeMap::new();
    for (pin, inode) in gone {
        let place = pin.in_generation(pin_root, current);
        match inode_of(reader.kernel, &place) {
            Ok(there) if there == Some(inode) => drop(found.insert(pin, (place, inode))),
            Ok(_) => {}
            Err(error) => problems.push(refused(format!("look at `{place}`"), &error, READ)),
        }
    }
    found
}

/// Reads the record of a deployment, when the last apply was finished: nothing else of it is left beside it, and no copy
/// of entries waits for what changed meanwhile.
pub fn settled_record<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<Record>, Problem> {
    let reader = Reader::new(kernel, &[], false);
    match reader.generations(pin_root)? {
        (Root::Generation(current), left) if left.is_empty() && reader.copies(&current)?.is_empty() => {
            reader.record(&pin_root.join("record"))
        }
        _ => Ok(None),
    }
}

/// Reads the record of the generation before the one that runs, and where that is: a run that was interrupted behind its
/// switch has not put it at its place.
///
/// # Errors
/// [`Kind::NoWayBack`] when there is none.
pub fn previous_record<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<(Record, PinPath), Problem> {
    let reader = Reader::new(kernel, &[], false);
    let (_, leftovers) = reader.generations(pin_root)?;
    let kept = leftovers.into_iter().rfind(|leftover| leftover.kept);
    if let Some(Leftover { record: Some(record), path, .. }) = kept {
        return Ok((record, path));
    }
    let (folder, pin) = (pin_root.previous(), pin_root.previous().join("record"));
    let record = reader.record(&pin)?.ok_or_else(|| Problem::new(Kind::NoWayBack { lacks: pin }))?;
    Ok((record, folder))
}

/// Reads the record in the folder of a generation; `None` where there is none that says anything.
pub fn record_in<K: Kernel>(kernel: &K, generation: &PinPath) -> Option<Record> {
    Reader::new(kernel, &[], false).record(&generation.join("record")).ok().flatten()
}

/// What there is of a deployment, without what its record names.
#[derive(Debug)]
pub struct Rest {
    /// What is at the folder of its pins.
    pub root: Root,
    /// What interrupted runs left.
    pub leftovers: Vec<Leftover>,
    /// Its record, or why it says nothing.
    pub record: Result<Option<Record>, Problem>,
}

/// Returns the inode of a pin, if there is one.
pub fn inode_of<K: Kernel>(kernel: &K, pin: &PinPath) -> io::Result<Option<u64>> {
    let Some(folder) = pin.parent() else { return Ok(None) };
    let entries = existing(kernel.list(&folder))?.unwrap_or_default();
    Ok(entries.into_iter().find(|entry| entry.name == pin.file_name()).map(|entry| entry.inode))
}

/// Returns whether a generation is only about to run, whatever its record says.
pub fn is_announced<K: Kernel>(kernel: &K, pin_root: &PinPath, generation: &PinPath) -> bool {
    kernel.read_symlink(&pin_root.passing()).is_ok_and(|announced| announced == generation.file_name())
}

/// Lists the pins outside of the deployment's folder that go when a generation is cleared that an interrupted run left,
/// each with what gets the name then, if anything: the pin of the generation that runs. Those stay that this one has as
/// well, and those that are somebody else's: again, by the record of that one, or still, as the run did not come to take
/// them over.
///
/// `running` are the inodes of all that the generation that runs has.
pub fn left_outside<K: Kernel>(
    kernel: &K,
    pin_root: &PinPath,
    (leftover, left): (&PinPath, &Record),
    (current, record): (Option<&PinPath>, Option<&Record>),
    running: &BTreeSet<u64>,
) -> io::Result<Vec<(PinPath, Option<PinPath>)>> {
    let mut foreign: BTreeSet<&str> = record.into_iter().flat_map(Record::foreign_pins).collect();
    if is_announced(kernel, pin_root, leftover) {
        foreign.extend(left.taken_pins());
    }
    let mut outside = Vec::new();
    for (pin, inode) in left.made_pins() {
        let stays = pin.is_below(pin_root) || running.contains(&inode) || foreign.contains(pin.as_str());
        if !stays && inode_of(kernel, &pin)? == Some(inode) {
            let from = current.map(|current| pin.in_generation(pin_root, current));
            let is_there = |from: &PinPath| inode_of(kernel, from).map(|inode| inode.is_some());
            let is_there = from.as_ref().map(is_there).transpose()?.unwrap_or(false);
            outside.push((pin.clone(), from.filter(|_| is_there)));
        }
        let is_passing = !pin.is_below(pin_root) && !running.contains(&inode);
        if is_passing && inode_of(kernel, &pin.passing())? == Some(inode) {
            outside.push((pin.passing(), None));
        }
    }
    Ok(outside)
}

/// Reads what there is of a deployment, but for what its record names.
pub fn rest<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Rest, Problem> {
    let reader = Reader::new(kernel, &[], false);
    let (root, leftovers) = reader.generations(pin_root)?;
    Ok(Rest { root, leftovers, record: reader.record(&pin_root.join("record")) })
}

/// Reads each of the names; what does not exist is left out, and what cannot be read is a problem.
fn all<'a, N: Ord + Clone + 'a, T>(
    problems: &mut Problems,
    names: impl IntoIterator<Item = &'a N>,
    read: impl Fn(&N) -> Result<Option<T>, Problem>,
) -> BTreeMap<N, T> {
    let mut found = BTreeMap::new();
    for name in names {
        match read(name) {
            Ok(Some(value)) => drop(found.insert(name.clone(), value)),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    found
}

/// Lists folders, outer ones first; `None` for one that does not exist.
fn folders<'a, K: Kernel>(
    problems: &mut Problems,
    paths: BTreeSet<&'a PinPath>,
    reader: &Reader<'_, K>,
) -> BTreeMap<&'a PinPath, Option<Vec<Entry>>> {
    let mut folders = BTreeMap::new();
    for path in paths {
        let names = match is_known_missing(&folders, path) {
            true => Ok(None),
            false => reader.directory(path),
        };
        match names {
            Ok(names) => drop(folders.insert(path, names)),
            Err(problem) => problems.push(problem),
        }
    }
    folders
}

/// Returns whether the listed folder that would hold the path does not.
fn is_known_missing(folders: &BTreeMap<&PinPath, Option<Vec<Entry>>>, path: &PinPath) -> bool {
    let listed = path.parent().and_then(|parent| folders.get(&parent));
    let holds =
        |entries: &Vec<Entry>| entries.binary_search_by(|entry| entry.name.as_str().cmp(path.file_name())).is_ok();
    listed.is_some_and(|entries| !entries.as_ref().is_some_and(holds))
}

/// Finds the bpffs that holds a deployment's pins: the topmost folder above them that is one, else the usual one.
pub fn bpffs_of<K: Kernel>(kernel: &K, pin_root: &PinPath, usual: &PinPath) -> Result<PinPath, Problem> {
    let mut found = None;
    let mut folder = Some(pin_root.clone());
    while let Some(path) = folder {
        let is_one =
            existing(kernel.is_bpffs(&path)).map_err(|error| refused(format!("look at `{path}`"), &error, READ))?;
        folder = path.parent();
        match (is_one, &found) {
            (Some(true), _) => found = Some(path),
            (Some(false), Some(_)) => break,
            (Some(false) | None, _) => {}
        }
    }
    Ok(found.unwrap_or_else(|| usual.clone()))
}

/// Tells what decides the shape of maps on this host.
pub fn host<K: Kernel>(kernel: &K) -> Result<Host, Problem> {
    kernel.host().map_err(|error| refused("read the number of CPUs", &error, READ))
}

/// Reads the kernel's own types; `None` for a kernel without.
pub fn types<K: Kernel>(kernel: &K) -> Result<Option<Arc<KernelTypes>>, Problem> {
    let doing = "read the types of the kernel";
    let bytes = existing(kernel.types()).map_err(|error| refused(doing, &error, READ))?;
    let types = bytes.map(KernelTypes::parse).transpose();
    types.map(|types| types.map(Arc::new)).map_err(|error| refused(doing, &io::Error::other(error), READ))
}

/// Makes a problem of an error; `needs` is the help where a permission is missing.
pub(crate) fn refused(doing: impl Into<String>, error: &io::Error, needs: &str) -> Problem {
    if let Some(NotTold(what)) = NotTold::of(error) {
        return Problem::new(Kind::NotInState { doing: doing.into(), what: what.clone() });
    }
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Some(needs.to_owned()),
        Some(libc::EROFS) => {
            Some("the bpffs is mounted read-only: `mount -o remount,rw` on it changes that".to_owned())
        }
        Some(_) => None,
        None => Some(error.to_string()),
    };
    Problem::new(Kind::Kernel { doing: doing.into(), errno: error.raw_os_error().unwrap_or(libc::EIO), hint })
}

/// Makes `None` of "no such file", also where a part of the path is no folder.
pub(crate) fn existing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a cgroup, and tells its whole path and its id. The name is a path below the cgroup2 mount, as
/// `/proc/PID/cgroup` writes it, or starts with the mount.
pub(crate) fn open_cgroup<K: Kernel>(kernel: &K, name: &str) -> io::Result<Option<(K::Fd, PathBuf, u64)>> {
    let Some(mount) = kernel.cgroup_mount()? else { return Ok(None) };
    let path = match Path::new(name).starts_with(&mount) {
        true => PathBuf::from(name),
        false => mount.join(name.trim_start_matches('/')),
    };
    let opened = existing(kernel.open_cgroup(&path))?;
    Ok(opened.map(|(fd, id)| (fd, path, id)))
}

/// Reads the mark of an attachment without a link; `None` when there is none.
pub(crate) fn mark<K: Kernel>(kernel: &K, pin: &PinPath) -> io::Result<Option<Mark>> {
    match existing(kernel.read_symlink(pin)) {
        Ok(text) => Ok(text.as_deref().and_then(Mark::parse)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads an attachment without a link by its mark, and looks whether it is there.
pub(super) fn marked<K: Kernel>(kernel: &K, pin: &PinPath) -> io::Result<Option<LinkInfo>> {
    let Some(Mark { program_id, at, .. }) = mark(kernel, pin)? else { return Ok(None) };
    let is_attached = kernel.programs_at(&at)?.contains(&program_id);
    Ok(Some(LinkInfo { id: 0, program_id, hook: HookInfo::Direct(at), is_attached }))
}

/// Opens a network namespace, and tells its inode; `None` when it is not there.
pub(crate) fn open_netns<K: Kernel>(kernel: &K, netns: &Netns) -> io::Result<Option<(K::Fd, u64)>> {
    existing(kernel.open_netns(&netns.path()))
}

/// Reads who is on a hook that several share, with the names of the programs, as far as they may be found by id; `None`
/// for a hook that is not there, or that the kernel does not have. A cgroup does not tell links: with `with_links`, those
/// of the host are searched for them.
pub(crate) fn queue<K: Kernel>(kernel: &K, hook: &Hook, with_links: bool) -> io::Result<Option<Queue>> {
    let (found, at) = match (hook, hook.anchor()) {
        (Hook::Tc { attach_type, .. }, Anchor::Interface(name, netns)) => {
            let Some(Interface { index: ifindex, .. }) = interface(kernel, name, netns)? else { return Ok(None) };
            let request = HookRequest::Tcx { ifindex, attach_type: *attach_type };
            let found = match netns.is_own() {
                true => kernel.queue(&request),
                false => match open_netns(kernel, netns)? {
                    Some((netns, _)) => kernel.queue(&HookRequest::Within { netns: &netns, hook: &request }),
                    None => return Ok(None),
                },
            };
            (found, HookInfo::Tcx { ifindex, attach_type: *attach_type })
        }
        (Hook::Cgroup { attach_type, .. }, Anchor::Cgroup(path)) => {
            let Some((cgroup, _, cgroup_id)) = open_cgroup(kernel, path)? else { return Ok(None) };
            let at = HookInfo::Cgroup { cgroup_id, attach_type: *attach_type };
            (kernel.queue(&HookRequest::Cgroup { cgroup: &cgroup, attach_type: *attach_type }), at)
        }
        _ => return Ok(None),
    };
    let mut queue = match found {
        // A kernel without such hooks; or the interface went just now.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENODEV)) => return Ok(None),
        found => found?,
    };
    if with_links && queue.there.iter().any(|occupant| occupant.link_id.is_none()) {
        let mut links = links(kernel).collect::<io::Result<Vec<_>>>()?;
        links.retain(|link| link.hook == at);
        for occupant in queue.there.iter_mut().filter(|occupant| occupant.link_id.is_none()) {
            let found = links.iter().position(|link| link.program_id == occupant.program_id);
            occupant.link_id = found.map(|found| links.remove(found).id);
        }
    }
    for occupant in &mut queue.there {
        occupant.name = program(kernel, occupant.program_id).map(|info| info.name);
    }
    Ok(Some(queue))
}

/// Asks about a program by its id; `None` for one that may not be asked about, or is gone meanwhile.
pub(super) fn program<K: Kernel>(kernel: &K, id: u32) -> Option<ProgramInfo> {
    kernel.program_by_id(id).and_then(|fd| kernel.program_info(&fd)).ok()
}

/// Finds who has priorities of netfilter; nobody where links may not be found by id, since a plan does without.
fn priorities<K: Kernel>(kernel: &K, wanted: &BTreeSet<Netfilter>) -> BTreeMap<Netfilter, Vec<Occupant>> {
    let all = || links(kernel).collect::<io::Result<Vec<_>>>().unwrap_or_default();
    let links = if wanted.is_empty() { Vec::new() } else { all() };
    let has = |link: &LinkInfo, wanted: &Netfilter| match &link.hook {
        HookInfo::Netfilter(there) => there.sees_the_same(wanted) && there.priority == wanted.priority,
        _ => false,
    };
    let occupant = |link: &LinkInfo| {
        let name = program(kernel, link.program_id).map(|info| info.name);
        Occupant { program_id: link.program_id, link_id: Some(link.id), name }
    };
    let of = |wanted: &Netfilter| links.iter().filter(|link| has(link, wanted)).map(occupant).collect();
    wanted.iter().map(|wanted| (*wanted, of(wanted))).collect()
}

/// Walks all links of the host, by id. One that may not be asked about is an error; where they may not be listed, that is
/// the last one.
pub(crate) fn links<K: Kernel>(kernel: &K) -> impl Iterator<Item = io::Result<LinkInfo>> {
    let mut last = Some(0);
    let ids = std::iter::from_fn(move || {
        let next = existing(kernel.next_link(last?)).transpose()?;
        last = next.as_ref().ok().copied();
        Some(next)
    });
    // It may be gone by now.
    let open = ids.filter_map(|id| id.and_then(|id| existing(kernel.link_by_id(id))).transpose());
    open.map(|link| kernel.link_info(&link?))
}

/// Walks a cgroup and all below it, with their ids; one that goes meanwhile is left out.
pub(super) fn cgroups<'a, K: Kernel>(
    kernel: &'a K,
    top: &Path,
) -> impl Iterator<Item = io::Result<(PathBuf, K::Fd, u64)>> + use<'a, K> {
    let mut todo = vec![top.to_owned()];
    let mut next = move || -> io::Result<Option<(PathBuf, K::Fd, u64)>> {
        while let Some(path) = todo.pop() {
            let Some((cgroup, id)) = existing(kernel.open_cgroup(&path))? else { continue };
            todo.extend(existing(kernel.cgroups_in(&path))?.into_iter().flatten().rev());
            return Ok(Some((path, cgroup, id)));
        }
        Ok(None)
    };
    std::iter::from_fn(move || next().transpose())
}

/// Opens a pin of somebody else's program, or of a link that runs it.
pub(crate) fn beside<K: Kernel>(kernel: &K, pin: &PinPath) -> io::Result<Option<Occupant>> {
    Ok(match existing(kernel.open_pin(pin))? {
        Some((ObjectKind::Program, fd)) => {
            Some(Occupant { program_id: kernel.program_info(&fd)?.id, link_id: None, name: None })
        }
        Some((ObjectKind::Link, fd)) => {
            let LinkInfo { id, program_id, .. } = kernel.link_info(&fd)?;
            Some(Occupant { program_id, link_id: Some(id), name: None })
        }
        Some((ObjectKind::Map, _)) | None => None,
    })
}

/// Looks an interface of a network namespace up; `None` when one of them is not there.
pub(crate) fn interface<K: Kernel>(kernel: &K, name: &str, netns: &Netns) -> io::Result<Option<Interface>> {
    if netns.is_own() {
        return kernel.interface(name);
    }
    match open_netns(kernel, netns)? {
        Some((netns, _)) => kernel.interface_in(&netns, name),
        None => Ok(None),
    }
}

/// Returns everything below a folder, each folder before what is in it; nothing when the folder does not exist.
pub fn walk<K: Kernel>(kernel: &K, folder: &PinPath) -> io::Result<Vec<(PinPath, Entry)>> {
    let (mut found, mut todo) = (Vec::new(), vec![folder.clone()]);
    while let Some(folder) = todo.pop() {
        for entry in existing(kernel.list(&folder))?.unwrap_or_default() {
            let path = folder.child(&entry.name);
            if entry.kind == EntryKind::Folder {
                todo.push(path.clone());
            }
            found.push((path, entry));
        }
    }
    Ok(found)
}

/// The kernel, and the BTF that was read from it once.
struct Reader<'a, K> {
    kernel: &'a K,
    objects: &'a [Arc<ObjectFacts>],
    /// The objects by the bytes of their BTF, once there is some to be looked up.
    known: OnceCell<HashMap<Vec<u8>, &'a ObjectFacts>>,
    /// Whether it is a problem when they may not be read.
    needs_types: bool,
    types: RefCell<BTreeMap<u32, Rc<Types<'a>>>>,
    /// Pins outside of the deployment's folder that are to be found elsewhere: those that lost their names, and those whose
    /// names an interrupted run took, which give them back when that is cleared. `None` is for what nothing is left of then.
    outside: BTreeMap<PinPath, Option<PinPath>>,
}

/// The BTF of one id, parsed as far as somebody asks.
enum Types<'a> {
    /// That of an object, byte for byte.
    Known(&'a ObjectFacts),
    Other {
        bytes: Vec<u8>,
        btf: OnceCell<Option<Arc<Btf>>>,
        fingerprints: OnceCell<Arc<Fingerprints>>,
    },
}

impl Types<'_> {
    /// Returns the types; `None` for a format newer than ours.
    fn btf(&self) -> Option<Arc<Btf>> {
        match self {
            Self::Known(facts) => Some(Arc::clone(&facts.types)),
            Self::Other { bytes, btf, .. } => btf.get_or_init(|| Btf::parse(bytes).ok().map(Arc::new)).clone(),
        }
    }

    /// Returns the fingerprints in the types. What else is there is not parsed.
    fn fingerprints(&self) -> Arc<Fingerprints> {
        match self {
            Self::Known(facts) => Arc::clone(&facts.fingerprints),
            Self::Other { bytes, fingerprints, .. } => Arc::clone(fingerprints.get_or_init(|| {
                let types = KernelTypes::parse(Box::new(bytes.clone())).ok();
                let tags = types.as_ref().and_then(|types| types.tags().ok()).unwrap_or_default();
                Arc::new(tags.into_iter().filter_map(fingerprint).collect())
            })),
        }
    }
}

impl<'a, K: Kernel> Reader<'a, K> {
    fn new(kernel: &'a K, objects: &'a [Arc<ObjectFacts>], needs_types: bool) -> Self {
        let (outside, known, types) = (BTreeMap::new(), OnceCell::new(), RefCell::default());
        Self { kernel, objects, known, needs_types, types, outside }
    }

    /// Finds the object whose BTF these bytes are.
    fn known(&self, btf: &[u8]) -> Option<&'a ObjectFacts> {
        let by_bytes = || self.objects.iter().map(|facts| (facts.btf(), &**facts)).collect();
        self.known.get_or_init(by_bytes).get(btf).copied()
    }

    fn bpffs(&self, path: &PinPath) -> Result<Option<bool>, Problem> {
        existing(self.kernel.is_bpffs(path)).map_err(|error| refused(format!("look at `{path}`"), &error, READ))
    }

    /// Finds the generation that runs, and those that an interrupted run left beside it.
    fn generations(&self, pin_root: &PinPath) -> Result<(Root, Vec<Leftover>), Problem> {
        let refused = |error| refused(format!("look at `{pin_root}`"), &error, READ);
        let Some(folder) = pin_root.parent() else { return Ok((Root::Foreign, Vec::new())) };
        let root = match existing(self.kernel.read_symlink(pin_root)) {
            Ok(Some(target)) => match folder.child(&target) {
                generation if generation.generation_number(pin_root).is_some() => Root::Generation(generation),
                _ => Root::Foreign,
            },
            Ok(None) => Root::Missing,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Root::Foreign,
            Err(error) => return Err(refused(error)),
        };
        let mut leftovers = Vec::new();
        for entry in existing(self.kernel.list(&folder)).map_err(refused)?.unwrap_or_default() {
            let path = folder.child(&entry.name);
            let is_ours = path == pin_root.previous() || path.generation_number(pin_root).is_some();
            if entry.kind == EntryKind::Symlink && is_ours {
                let doing = format!("take `{pin_root}` on");
                return Err(Problem::new(Kind::SymlinkInTheWay { doing, path }));
            }
            let is_other = entry.kind == EntryKind::Folder
                && is_ours
                && root != Root::Generation(path.clone())
                // Without a generation that runs, the one before it is the rest of a destroy.
                && (root == Root::Missing || path != pin_root.previous());
            if is_other {
                let leftover = self.leftover(pin_root, path)?;
                // Numbers grow, and what is built beside the one that runs has the next.
                let kept = match (&root, leftover.path.generation_number(pin_root)) {
                    (Root::Generation(current), Some(number)) => current.generation_number(pin_root) > Some(number),
                    (Root::Generation(_) | Root::Missing | Root::Foreign, _) => false,
                };
                leftovers.push(Leftover { kept: kept && leftover.has_run && leftover.record.is_some(), ..leftover });
            }
        }
        Ok((root, leftovers))
    }

    fn leftover(&self, pin_root: &PinPath, path: PinPath) -> Result<Leftover, Problem> {
        let is_announced = is_announced(self.kernel, pin_root, &path);
        let record = self.record(&path.join("record"));
        let has_record = !matches!(record, Ok(None));
        let record = match record {
            Ok(None) => self.record(&path.set_aside()),
            record => record,
        };
        // One that nobody can read says nothing; what is in the folder is ours by its name.
        let record = record.unwrap_or_default();
        let is_foreign = record.as_ref().map(|record| record.tells_foreign(pin_root, &path));
        let is_ours = |path: &PinPath, inode| !is_foreign.as_ref().is_some_and(|is_foreign| is_foreign(path, inode));
        let entries = walk(self.kernel, &path);
        let entries = entries.map_err(|error| refused(format!("read the folder `{path}`"), &error, READ))?;
        let (mut links, mut taken) = (Vec::new(), Vec::new());
        let pins = entries.into_iter().filter(|(_, entry)| entry.kind != EntryKind::Folder);
        for (path, entry) in pins.filter(|(path, entry)| is_ours(path, entry.inode)) {
            let mut took = None;
            if entry.kind == EntryKind::Symlink {
                let found = mark(self.kernel, &path);
                let found = found.map_err(|error| refused(format!("read what `{path}` stands for"), &error, READ))?;
                took = found.and_then(|mark| mark.taken);
            }
            if let Some(Pinned::Link(link)) = self.pinned(&path)? {
                taken.extend(took.map(|id| (link.clone(), id)));
                links.push(link);
            }
        }
        drop(is_foreign);
        let has_run = has_record && !is_announced && path != pin_root.previous();
        Ok(Leftover { path, links, taken, record, has_run, kept: false })
    }

    /// Finds the names outside of the deployment's folder that lead elsewhere once what was left is cleared.
    fn outside(
        &self,
        pin_root: &PinPath,
        leftovers: &[Leftover],
        (root, record): (&Root, Option<&Record>),
    ) -> io::Result<BTreeMap<PinPath, Option<PinPath>>> {
        let current = if let Root::Generation(current) = root { Some(current) } else { None };
        let running = current.map(|current| walk(self.kernel, current)).transpose()?.unwrap_or_default();
        let running = running.into_iter().map(|(_, entry)| entry.inode).collect();
        let mut outside = BTreeMap::new();
        let left = leftovers.iter().filter_map(|leftover| Some((&leftover.path, leftover.record.as_ref()?)));
        for left in left {
            outside.extend(left_outside(self.kernel, pin_root, left, (current, record), &running)?);
        }
        Ok(outside)
    }

    /// Returns where a pin is, seen from when what was left is cleared.
    fn place<'p>(&'p self, pin: &'p PinPath) -> Option<&'p PinPath> {
        self.outside.get(pin).map_or(Some(pin), Option::as_ref)
    }

    /// Lists a folder as it is when what was left is cleared.
    fn directory(&self, path: &PinPath) -> Result<Option<Vec<Entry>>, Problem> {
        let Some(mut entries) = self.directory_now(path)? else { return Ok(None) };
        for (pin, place) in self.outside.iter().filter(|(pin, _)| pin.parent().as_ref() == Some(path)) {
            let inode = place.as_ref().map(|place| inode_of(self.kernel, place)).transpose();
            let inode = inode.map_err(|error| refused(format!("look at `{pin}`"), &error, READ))?.flatten();
            entries.retain_mut(|entry| {
                let is_it = entry.name == pin.file_name();
                entry.inode = inode.filter(|_| is_it).unwrap_or(entry.inode);
                !is_it || inode.is_some()
            });
        }
        Ok(Some(entries))
    }

    fn directory_now(&self, path: &PinPath) -> Result<Option<Vec<Entry>>, Problem> {
        match self.kernel.list(path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory && self.kernel.open_pin(path).is_ok() => {
                Err(Problem::new(Kind::PinTaken { pin: path.clone(), by: "a pin where a folder has to be".to_owned() }))
            }
            result => existing(result).map_err(|error| refused(format!("read the folder `{path}`"), &error, READ)),
        }
    }

    /// Opens a pin. A folder in its place has the same error as a missing permission.
    fn open(&self, path: &PinPath) -> Result<Option<(ObjectKind, K::Fd)>, Problem> {
        let Some(path) = self.place(path) else { return Ok(None) };
        existing(self.kernel.open_pin(path)).map_err(|error| {
            match error.raw_os_error() == Some(libc::EACCES) && self.kernel.list(path).is_ok() {
                true => Problem::new(Kind::PinTaken { pin: path.clone(), by: "a folder".to_owned() }),
                false => refused(format!("open the pin `{path}`"), &error, OPEN_PIN),
            }
        })
    }

    fn pinned(&self, path: &PinPath) -> Result<Option<Pinned>, Problem> {
        let Some((kind, fd)) = self.open(path)? else {
            let marked = self.place(path).map_or(Ok(None), |place| marked(self.kernel, place));
            let marked = marked.map_err(|error| refused(format!("read what `{path}` stands for"), &error, READ))?;
            return Ok(marked.map(Pinned::Link));
        };
        let pinned = match kind {
            ObjectKind::Map => self.map(&fd).map(Pinned::Map),
            ObjectKind::Program => self.program(&fd).map(Pinned::Program),
            ObjectKind::Link => self.kernel.link_info(&fd).map(Pinned::Link),
        };
        pinned.map(Some).map_err(|error| refused(format!("read the {kind} at `{path}`"), &error, BY_ID))
    }

    /// Reads the entries of a map; `None` when something else has the pin, which the plan says.
    fn contents(&self, path: &PinPath, host: &Host) -> Result<Option<Arc<Entries>>, Problem> {
        let Some((ObjectKind::Map, map)) = self.open(path)? else { return Ok(None) };
        let live = contents::live(self.kernel, &map, host);
        let live = live.map_err(|error| refused(format!("read the entries at `{path}`"), &error, OPEN_PIN))?;
        Ok(Some(Arc::new(live)))
    }

    /// Reads the entries that are kept as ours; `None` when they are no such.
    fn kept(&self, path: &PinPath) -> Result<Option<Arc<Entries>>, Problem> {
        let Some((ObjectKind::Map, map)) = self.open(path)? else { return Ok(None) };
        let kept = contents::kept(self.kernel, &map);
        let kept = kept.map_err(|error| refused(format!("read the entries at `{path}`"), &error, OPEN_PIN))?;
        Ok(kept.map(Arc::new))
    }

    /// Finds the copies of a generation that were not finished.
    fn copies(&self, generation: &PinPath) -> Result<Vec<UnfinishedCopy>, Problem> {
        let folder = generation.kept_copies();
        let entries = existing(self.kernel.list(&folder));
        let entries = entries.map_err(|error| refused(format!("read the folder `{folder}`"), &error, READ))?;
        let copy = |entry: Entry| {
            let from = entry.name.rsplit_once('~')?.1.parse().ok()?;
            let old = self.map_by_id(from);
            Some(old.map(|old| UnfinishedCopy { kept: folder.child(&entry.name), from, old }))
        };
        entries.into_iter().flatten().filter_map(copy).collect()
    }

    fn permissions(&self, path: &PinPath) -> Result<Option<Permissions>, Problem> {
        let Some(path) = self.place(path) else { return Ok(None) };
        existing(self.kernel.permissions(path)).map_err(|error| refused(format!("look at `{path}`"), &error, READ))
    }

    fn account(&self, (kind, name): &(AccountKind, String)) -> Result<Option<u32>, Problem> {
        self.kernel.account(*kind, name).map_err(|error| refused(format!("look the {kind} `{name}` up"), &error, READ))
    }

    fn map_by_id(&self, id: u32) -> Result<Option<ObservedMap>, Problem> {
        existing(self.kernel.map_by_id(id))
            .and_then(|fd| fd.map(|fd| self.map(&fd)).transpose())
            .map_err(|error| refused(format!("read the map with id {id}"), &error, BY_ID))
    }

    fn map(&self, fd: &K::Fd) -> io::Result<ObservedMap> {
        let info = self.kernel.map_info(fd)?;
        let types = self.types(&info)?;
        let frozen_value = self.frozen_value(fd, &info)?;
        let verdicts = self.verdicts(fd, &info)?;
        Ok(ObservedMap { verdicts, ..ObservedMap::new(info, types, frozen_value) })
    }

    /// Returns the programs that a map gives to its sockets; none on kernels before 5.17, which do not tell.
    fn verdicts(&self, fd: &K::Fd, info: &MapInfo) -> io::Result<Vec<(AttachType, u32)>> {
        let mut found = Vec::new();
        for attach_type in AttachType::OF_SOCKMAPS {
            if !matches!(info.map_type, MapType::SOCKMAP | MapType::SOCKHASH) {
                break;
            }
            match self.kernel.query(&HookRequest::Sockmap { map: fd, attach_type }) {
                Ok(ids) => found.extend(ids.into_iter().map(|id| (attach_type, id))),
                // Of the two verdicts the map has the other one.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Reads the entries of a map that no longer fits, as far as it matters what becomes of them.
    fn live(
        &self,
        pin: &PinPath,
        definition: &MapDefinition,
        found: &mut ObservedMap,
        host: &Host,
        pin_root: &PinPath,
    ) -> Result<(), Problem> {
        let differs = !differences(&found.spec, &definition.spec, Compare::Existing, host).is_empty();
        if !differs || !found.info.map_type.has_entries() {
            return Ok(());
        }
        // What has another id by now makes the plan stale when it is applied.
        let Some((ObjectKind::Map, fd)) = self.open(pin)? else { return Ok(()) };
        let live = match definition.on_change {
            OnChange::Fail => return Ok(()),
            OnChange::Recreate => contents::count(self.kernel, &fd, host).map(Live::Counted),
            OnChange::Migrate => {
                let sizes = (found.spec.key_size as usize, found.spec.user_value_size(host));
                snapshot(self.kernel, &fd, sizes).map(|entries| Live::Read(Arc::new(entries)))
            }
        };
        if definition.on_change == OnChange::Migrate {
            let others = self.others(found.info.id, pin_root);
            found.others = others.map_err(|error| refused(format!("find who uses `{pin}`"), &error, BY_ID))?;
        }
        found.live = Some(live.map_err(|error| refused(format!("read the entries of `{pin}`"), &error, OPEN_PIN))?);
        Ok(())
    }

    /// Counts the entries of a map that goes.
    fn count(&self, pin: &PinPath, found: &ObservedMap, host: &Host) -> Result<Option<Live>, Problem> {
        if !found.info.map_type.has_entries() || found.frozen_value.is_some() {
            return Ok(None);
        }
        let Some((ObjectKind::Map, fd)) = self.open(pin)? else { return Ok(None) };
        let counted = contents::count(self.kernel, &fd, host);
        let counted = counted.map_err(|error| refused(format!("read the entries of `{pin}`"), &error, OPEN_PIN))?;
        Ok(Some(Live::Counted(counted)))
    }

    /// Lists the programs that run with a map and are pinned in no generation of the deployment.
    fn others(&self, map: u32, pin_root: &PinPath) -> io::Result<Vec<(u32, String)>> {
        let mut ours = BTreeSet::new();
        for folder in [pin_root, &pin_root.previous()] {
            for (path, _) in walk(self.kernel, folder)?.iter().filter(|(_, entry)| entry.kind == EntryKind::Pin) {
                if let Some((ObjectKind::Program, fd)) = existing(self.kernel.open_pin(path))? {
                    ours.insert(self.kernel.program_info(&fd)?.id);
                }
            }
        }
        let (mut others, mut id) = (Vec::new(), 0);
        while let Some(next) = existing(self.kernel.next_program(id))? {
            id = next;
            // One that ends meanwhile does not matter any more.
            let Some(fd) = existing(self.kernel.program_by_id(id))? else { continue };
            let info = self.kernel.program_info(&fd)?;
            if info.map_ids.contains(&map) && !ours.contains(&id) {
                others.push((id, info.name));
            }
        }
        Ok(others)
    }

    fn types(&self, info: &MapInfo) -> io::Result<Option<MapTypes>> {
        if info.key_type_id == 0 && info.value_type_id == 0 {
            return Ok(None);
        }
        let btf = self.types_of(info.btf_id)?.and_then(|types| types.btf());
        Ok(btf.map(|btf| MapTypes { btf, key: info.key_type_id, value: info.value_type_id }))
    }

    /// Returns the BTF of an id, read once; `None` for 0, and for what is gone.
    fn types_of(&self, id: u32) -> io::Result<Option<Rc<Types<'a>>>> {
        if id == 0 {
            return Ok(None);
        }
        if let Some(known) = self.types.borrow().get(&id) {
            return Ok(Some(Rc::clone(known)));
        }
        let bytes = match existing(self.kernel.btf(id)) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) && !self.needs_types => None,
            bytes => bytes?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let types = Rc::new(match self.known(&bytes) {
            Some(facts) => Types::Known(facts),
            None => Types::Other { bytes, btf: OnceCell::new(), fingerprints: OnceCell::new() },
        });
        self.types.borrow_mut().insert(id, Rc::clone(&types));
        Ok(Some(types))
    }

    fn frozen_value(&self, fd: &K::Fd, info: &MapInfo) -> io::Result<Option<Vec<u8>>> {
        let is_section =
            info.map_type == MapType::ARRAY && info.max_entries == 1 && info.flags & flags::RDONLY_PROG != 0;
        match is_section && self.kernel.is_frozen(fd)? {
            true => self.kernel.lookup(fd, &0u32.to_ne_bytes(), info.value_size as usize),
            false => Ok(None),
        }
    }

    fn program(&self, fd: &K::Fd) -> io::Result<ObservedProgram> {
        let info = self.kernel.program_info(fd)?;
        let fingerprints = self.types_of(info.btf_id)?.map(|types| types.fingerprints()).unwrap_or_default();
        Ok(ObservedProgram { info, fingerprints })
    }

    fn interface(&self, name: &str, netns: &Netns) -> Result<Option<Interface>, Problem> {
        let doing = || format!("look the interface `{name}`{} up", Within(netns));
        interface(self.kernel, name, netns).map_err(|error| refused(doing(), &error, ENTER))
    }

    fn lacks(&self, feature: Feature) -> Result<Option<()>, Problem> {
        let has = self.kernel.has(feature).map_err(|error| refused(format!("ask for {feature}"), &error, QUERY))?;
        Ok((!has).then_some(()))
    }

    fn qdisc(&self, (netns, name): &(Netns, String), found: Option<&Interface>) -> Result<Option<Qdisc>, Problem> {
        let Some(found) = found else { return Ok(None) };
        let device = Device { netns: netns.clone(), inode: found.netns, ifindex: found.index };
        let doing = |error| refused(format!("read the filters of the interface `{name}`"), &error, QUERY);
        self.kernel.qdisc(&device).map_err(doing)
    }

    fn routes(
        &self,
        (netns, place): &(Netns, RoutePlace),
        found: Option<&Interface>,
    ) -> Result<Option<Vec<RouteInfo>>, Problem> {
        let Some(found) = found else { return Ok(None) };
        let device = Device { netns: netns.clone(), inode: found.netns, ifindex: found.index };
        let doing = |error| refused(format!("read the routes to {}", place.to), &error, QUERY);
        self.kernel.routes(&device, place).map(Some).map_err(doing)
    }

    fn cgroup(&self, name: &str) -> Result<Option<(PathBuf, u64)>, Problem> {
        let opened = open_cgroup(self.kernel, name);
        let opened = opened.map_err(|error| refused(format!("open the cgroup `{name}`"), &error, READ))?;
        Ok(opened.map(|(_, path, id)| (path, id)))
    }

    fn namespace(&self, netns: &Netns) -> Result<Option<Namespace>, Problem> {
        let doing = |error| refused(format!("open {netns}"), &error, READ);
        let Some((fd, inode)) = open_netns(self.kernel, netns).map_err(doing)? else { return Ok(None) };
        let there = self.kernel.query(&HookRequest::Netns { netns: &fd, attach_type: AttachType::FLOW_DISSECTOR });
        let dissectors = match there {
            // Kernels before 5.8 cannot be asked so, and then have no such links.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Vec::new(),
            there => there.map_err(|error| refused(format!("look at the hooks of {netns}"), &error, QUERY))?,
        };
        Ok(Some(Namespace { inode, dissectors }))
    }

    /// Reads who is on a hook that several share; `None` for one that is not there, or that the kernel does not have.
    fn queue(&self, hook: &Hook, asked: Asked) -> Result<Option<Queue>, Problem> {
        match queue(self.kernel, hook, asked.links) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) && !asked.places => Ok(None),
            queue => queue.map_err(|error| refused(format!("look at the programs on {hook}"), &error, QUERY)),
        }
    }

    fn beside(&self, pin: &PinPath) -> Result<Option<Occupant>, Problem> {
        beside(self.kernel, pin).map_err(|error| refused(format!("open the pin `{pin}`"), &error, OPEN_PIN))
    }

    fn record(&self, path: &PinPath) -> Result<Option<Record>, Problem> {
        let Some((kind, fd)) = self.open(path)? else { return Ok(None) };
        let bytes = match kind {
            ObjectKind::Map => self
                .record_bytes(&fd)
                .map_err(|error| refused(format!("read the record at `{path}`"), &error, OPEN_PIN))?,
            ObjectKind::Program | ObjectKind::Link => None,
        };
        let record = match bytes {
            Some(bytes) => Record::decode(&bytes),
            None => Err(RecordError::Unreadable("it is not an array map of one entry".to_owned())),
        };
        record.map(Some).map_err(|why| Problem::new(Kind::Record { pin: path.clone(), why }))
    }

    fn record_bytes(&self, fd: &K::Fd) -> io::Result<Option<Vec<u8>>> {
        let info = self.kernel.map_info(fd)?;
        match info.map_type == MapType::ARRAY && info.max_entries == 1 {
            true => self.kernel.lookup(fd, &0u32.to_ne_bytes(), info.value_size as usize),
            false => Ok(None),
        }
    }
}

/// Reads a tag `bpfapply:v1:NAME:sha256=HEX` (`desired::TAG`); others are somebody else's.
fn fingerprint(tag: &str) -> Option<(String, Digest)> {
    let (name, digest) = tag.strip_prefix(crate::desired::TAG)?.rsplit_once(":sha256=")?;
    Some((name.to_owned(), Digest::parse(digest)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Type;
    use crate::insn::{EXIT, FuncRecord, Insn};
    use crate::kernel::fake::Fake;
    use crate::kernel::{HookRequest, MapRequest, ProgramRequest, XdpMode};
    use crate::kinds::{AttachType, ProgramType};
    use crate::record::FORMAT;
    use std::collections::BTreeSet;

    fn path(text: &str) -> PinPath {
        PinPath::new(text).unwrap()
    }

    fn request<Fd>(value_size: u32, flags: u32) -> MapRequest<'static, Fd> {
        MapRequest { flags, ..MapRequest::plain("m", MapType::ARRAY, (4, value_size, 1)) }
    }

    /// Types with a function that carries tags, as an object has them once it is prepared for loading.
    fn tagged(tags: &[&str]) -> Vec<u8> {
        let mut btf = Btf::default();
        let proto = btf.push(Type::FuncProto { ret: 0, params: vec![] });
        let linkage = crate::btf::Linkage::Global;
        let func = btf.push(Type::Func { name: "main".into(), proto, linkage });
        for tag in tags {
            btf.push(Type::DeclTag { name: (*tag).into(), ty: func, component: None, attribute: false });
        }
        btf.encode()
    }

    fn load(kernel: &mut Fake, btf: Option<&<Fake as Kernel>::Fd>) -> <Fake as Kernel>::Fd {
        let insns = [Insn { code: EXIT, ..Insn::default() }];
        let request = ProgramRequest {
            name: "p",
            program_type: ProgramType::XDP,
            expected_attach_type: AttachType::XDP,
            flags: 0,
            insns: &insns,
            license: "",
            kernel_version: 0,
            attach_btf_id: 0,
            attach_to: None,
            fd_array: &[],
            btf,
            funcs: &[FuncRecord { insn: 0, type_id: 2 }],
            lines: &[],
        };
        kernel.load_program(&request).unwrap()
    }

    #[track_caller]
    fn problems(kernel: &Fake, wanted: &Wanted) -> Vec<String> {
        let problems = observe(kernel, wanted).expect_err("there are problems");
        problems.0.iter().map(|problem| problem.kind.to_string()).collect()
    }

    #[test]
    fn what_does_not_exist_is_absent() {
        let wanted = Wanted {
            bpffs: Some(path("/sys/fs/bpf")),
            pin_root: Some(path("/sys/fs/bpf/edge")),
            pins: BTreeSet::from([path("/sys/fs/bpf/edge/maps/a"), path("/nowhere/b")]),
            directories: BTreeSet::from([path("/sys/fs/bpf/edge"), path("/sys/fs")]),
            map_ids: BTreeSet::from([7]),
            interfaces: BTreeSet::from(["eth0", "lo"].map(|name| (Netns::OWN, name.to_owned()))),
            cgroups: BTreeSet::from(["system.slice".to_owned(), "/sys/fs/cgroup".to_owned()]),
            ..Wanted::default()
        };
        for (kernel, bpffs) in [(Fake::new(), true), (Fake::without_bpffs(), false)] {
            let observed = observe(&kernel, &wanted).unwrap();
            assert_eq!(observed.bpffs, bpffs);
            assert!(observed.pins.is_empty() && observed.maps_by_id.is_empty() && observed.record.is_none());
            assert_eq!(observed.directories.into_keys().collect::<Vec<_>>(), [path("/sys/fs")]);
            assert_eq!(observed.interfaces.into_keys().map(|(_, name)| name).collect::<Vec<_>>(), ["lo"]);
            assert_eq!(observed.cgroups, BTreeMap::from([("/sys/fs/cgroup".to_owned(), ("/sys/fs/cgroup".into(), 1))]));
            assert_eq!(kernel.calls(), [""; 0], "observing changes nothing");
        }
    }

    #[test]
    fn pins_are_read_by_what_they_are() {
        let mut kernel = Fake::new();
        let cgroup_id = kernel.add_cgroup("/sys/fs/cgroup/system.slice");
        let digest = Digest::of(b"x");
        let bytes = tagged(&[&format!("bpfapply:v1:a:b:sha256={digest}"), "bpfapply:v1:c:sha256=1", "other"]);
        let btf = kernel.load_btf(&bytes).unwrap();
        let program = load(&mut kernel, Some(&btf));
        let link = kernel.create_link(&program, &HookRequest::Xdp { ifindex: 1, mode: XdpMode::Generic }).unwrap();
        let rodata = MapRequest { types: Some((&btf, 0, 2)), ..request(4, flags::RDONLY_PROG) };
        let map = kernel.create_map(&rodata).unwrap();
        kernel.update(&map, &[0; 4], b"abcd").unwrap();
        kernel.freeze(&map).unwrap();
        let map_id = kernel.map_info(&map).unwrap().id;
        let pins = ["/sys/fs/bpf/l", "/sys/fs/bpf/m", "/sys/fs/bpf/p"].map(path);
        for (fd, pin) in [&link, &map, &program].into_iter().zip(&pins) {
            kernel.pin(fd, pin).unwrap();
        }
        let wanted = Wanted {
            pins: BTreeSet::from(pins.clone()),
            map_ids: BTreeSet::from([map_id]),
            cgroups: BTreeSet::from(["system.slice".to_owned()]),
            ..Wanted::default()
        };
        let observed = observe(&kernel, &wanted).unwrap();
        let [Some(Pinned::Link(link)), Some(Pinned::Map(map)), Some(Pinned::Program(program))] =
            pins.map(|pin| observed.pins.get(&pin).cloned())
        else {
            panic!("{:?}", observed.pins)
        };
        assert_eq!(link.program_id, program.info.id);
        assert_eq!(map.frozen_value.as_deref(), Some(&b"abcd"[..]));
        assert_eq!(map.spec.types.map(|types| (types.key, types.value)), Some((0, 2)));
        assert_eq!(*program.fingerprints, BTreeMap::from([("a:b".to_owned(), digest)]));
        assert_eq!(observed.maps_by_id[&map_id].info, map.info);
        assert_eq!(observed.cgroups["system.slice"].1, cgroup_id);
    }

    #[test]
    fn generations_are_told_apart() {
        let mut kernel = Fake::new();
        let root = path("/sys/fs/bpf/edge");
        let program = load(&mut kernel, None);
        let link = kernel.create_link(&program, &HookRequest::Xdp { ifindex: 1, mode: XdpMode::Generic }).unwrap();
        for folder in ["edge~1", "edge~2", "edge~previous", "edge~backup", "edge~03", "edge~+4", "edger", "edger~1"] {
            kernel.make_directory(&path(&format!("/sys/fs/bpf/{folder}"))).unwrap();
        }
        kernel.pin(&link, &root.generation(2).join("link")).unwrap();
        let wanted = Wanted { pin_root: Some(root.clone()), ..Wanted::default() };
        let left = |observed: &Observed| observed.leftovers.iter().map(|left| left.path.clone()).collect::<Vec<_>>();
        let observed = observe(&kernel, &wanted).unwrap();
        assert_eq!(observed.root, Root::Missing);
        assert_eq!(left(&observed), [root.generation(1), root.generation(2), root.previous()]);
        kernel.symlink("edge~1", &root).unwrap();
        let observed = observe(&kernel, &wanted).unwrap();
        assert_eq!(observed.root, Root::Generation(root.generation(1)));
        assert_eq!(left(&observed), [root.generation(2)]);
        assert_eq!(observed.leftovers[0].links, [kernel.link_info(&link).unwrap()]);
        kernel.unpin(&root).unwrap();
        // It leads where no generation of ours is.
        kernel.symlink("edger~1", &root).unwrap();
        assert_eq!(observe(&kernel, &wanted).unwrap().root, Root::Foreign);
        kernel.unpin(&root).unwrap();
        kernel.make_directory(&root).unwrap();
        assert_eq!(observe(&kernel, &wanted).unwrap().root, Root::Foreign);
        for planted in [root.generation(3), root.previous()] {
            let _ = kernel.remove_directory(&planted);
            kernel.symlink("edger", &planted).unwrap();
            let said = problems(&kernel, &wanted);
            let expected = format!("`{planted}` is a symbolic link where a folder has to be");
            assert!(said[0].contains(&expected), "{said:?}");
            kernel.unpin(&planted).unwrap();
        }
    }

    #[test]
    fn records_are_read_or_refused() {
        let good = Record { format: FORMAT, deployment: "edge".to_owned(), ..Record::default() };
        let rows = [
            (good.encode(), Ok("edge")),
            (br#"{"format":99}"#.to_vec(), Err("has format 99")),
            (b"nonsense".to_vec(), Err("is no record")),
        ];
        for (mut bytes, expected) in rows {
            let (mut kernel, root) = (Fake::new(), path("/sys/fs/bpf/edge"));
            kernel.make_directory(&root).unwrap();
            bytes.resize(bytes.len() + 5, 0);
            let map = kernel.create_map(&request(bytes.len() as u32, 0)).unwrap();
            kernel.update(&map, &[0; 4], &bytes).unwrap();
            kernel.pin(&map, &root.join("record")).unwrap();
            let wanted = Wanted { pin_root: Some(root), ..Wanted::default() };
            match expected {
                Ok(name) => assert_eq!(observe(&kernel, &wanted).unwrap().record.unwrap().deployment, name),
                Err(text) => assert!(problems(&kernel, &wanted)[0].contains(text), "{text}"),
            }
        }
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let mut kernel = Fake::new();
        let program = load(&mut kernel, None);
        let [folder, pin] = ["/sys/fs/bpf/folder", "/sys/fs/bpf/folder/record"].map(path);
        kernel.make_directory(&folder).unwrap();
        kernel.pin(&program, &pin).unwrap();
        let wanted = Wanted {
            pins: BTreeSet::from([folder.clone()]),
            directories: BTreeSet::from([pin]),
            pin_root: Some(folder),
            ..Wanted::default()
        };
        assert_eq!(
            problems(&kernel, &wanted),
            [
                "what is pinned at `/sys/fs/bpf/folder/record` is no record: it is not an array map of one entry",
                "the pin `/sys/fs/bpf/folder/record` is taken by a pin where a folder has to be",
                "the pin `/sys/fs/bpf/folder` is taken by a folder",
            ]
        );
    }

    #[test]
    fn the_kernels_own_types() {
        let kernel = Fake::new();
        assert!(types(&kernel).unwrap().is_none());
        kernel.set_types(tagged(&[]));
        assert_eq!(types(&kernel).unwrap().unwrap().count(), Ok(3));
        kernel.set_types(b"nonsense".to_vec());
        let problem = types(&kernel).unwrap_err();
        assert!(problem.kind.help().is_some_and(|help| help.contains("bad BTF")), "{:?}", problem.kind);
    }

    #[test]
    fn missing_permissions_name_what_they_need() {
        let problem = refused("open the pin `x`", &io::Error::from_raw_os_error(libc::EPERM), OPEN_PIN);
        assert_eq!(problem.kind.help().as_deref(), Some(OPEN_PIN));
        assert_eq!(problem.kind.exit(), crate::diag::Exit::Permission);
        let problem = refused("open the pin `x`", &io::Error::from_raw_os_error(libc::ENOMEM), OPEN_PIN);
        assert_eq!(problem.kind.help(), None);
    }
}
