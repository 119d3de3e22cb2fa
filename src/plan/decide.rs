//! Decides what to do with each thing: keep it, make it, change it, take it away.
//!
//! Two facts travel along the graph: a map that must be made anew makes its programs new, and a program that is
//! new makes the prog arrays new that hold it, since a live prog array is never refilled, and the extensions of it.

mod entries;
mod references;
mod takeover;
mod variables;
mod ways;

use self::takeover::Holder;
use self::ways::once_cleared;
use super::graph::{self, Node};
use super::id::Subject;
use super::places::{Arrangement, Company, Owner, Shared, Spot};
use super::{
    Action, Because, By, Consent, Copying, Generations, Mode, Plan, ResolvedHook, Restored, State, Step, Traffic,
};
use super::{access, guard, migrate};
use crate::access::Access;
use crate::desired::{
    Anchor, Desired, DesiredLink, DesiredMap, DesiredProgram, EntriesMode, Event, Hook, MapDefinition, MapSource,
    ObjectFacts, OnChange, Policy, SlotSource, Span, Trace, Within, sequences,
};
use crate::diag::{Kind, Problem, Problems};
use crate::direct::{Direct, Filter, Via};
use crate::elf::DataKind;
use crate::entries::{slot_id, slots_of};
use crate::kinds::{AttachType, MapType, XdpMode};
use crate::migrate::Migration;
use crate::names::{Address, DeploymentName, Digest, LinkName, MapName, PinPath, ProgramName};
use crate::observed::{
    At, Entry, EventInfo, EventLack, EventPlace, HookInfo, LinkInfo, Live, Observed, ObservedMap, ObservedProgram,
    Occupant, Pinned, Root, UnfinishedCopy,
};
use crate::record::{
    Record, RecordedEntries, RecordedInner, RecordedLink, RecordedMap, RecordedObject, RecordedProgram,
};
use crate::route::Route;
use crate::spec::{Compare, Difference, MapSpec, differences};
use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// Plans how the host comes to match the manifest.
///
/// An offline plan is one against [`Observed::nothing`]: it is as if the host had no map, program, link or folder.
pub fn plan(desired: &Desired, observed: &Observed, mode: Mode) -> Result<Plan, Problems> {
    let order = graph::of(desired).order().map_err(|cycle| {
        let circle = cycle.nodes.iter().map(Node::to_string).collect();
        let mut problem = Problem::new(Kind::Cycle { circle });
        for node in &cycle.nodes {
            if let Some(span) = span_of(desired, node) {
                problem = problem.and(span, "part of the circle");
            }
        }
        Problems::from(problem)
    })?;
    let mut planner = Planner::new(desired, observed, mode);
    planner.decide_root();
    planner.check_rooms();
    planner.decide_maps();
    planner.decide_programs();
    planner.spread();
    let settled = planner.settled();
    let desired = &*settled;
    planner.desired = desired;
    planner.check_entries();
    // A step for each, and the record: a long list that grows is copied each time.
    planner.steps.reserve(order.len() + 1);
    for node in order {
        planner.step(node);
    }
    planner.skip_absent();
    planner.set_variables();
    let shared = planner.shared();
    // The map that was copied goes with what the interrupted run left.
    let first: Vec<Step> = planner.unfinished_copies().collect();
    planner.problems.or(())?;
    let mut steps = planner.steps;
    steps.splice(0..0, first.into_iter().chain(leftovers(observed)));
    steps.extend(access::steps(desired, observed, &steps, mode)?);
    let removals = removals(desired, observed);
    // What goes away does so behind the switch.
    let record = write_record(desired, observed, steps.iter().chain(&removals));
    steps.extend(record);
    steps.extend(removals);
    let late = catch_ups(&steps);
    steps.extend(late);
    guard::check(desired, observed, &steps)?;
    let record = observed.record.as_ref();
    let sweep = guard::sweep(desired, record, &steps);
    let (deployment, pin_root) = (&desired.name, &desired.pin_root);
    let subject = Subject { deployment, pin_root, desired: Some(desired), observed, record, steps: &steps, sweep };
    Ok(Plan {
        id: subject.id(),
        deployment: desired.name.clone(),
        pin_root: desired.pin_root.clone(),
        mode,
        generations: generations(observed, &desired.pin_root),
        objects: desired.objects.clone(),
        allow: desired.policy.allow.clone(),
        sweep,
        shared,
        steps,
    })
}

/// Lists what is left to do for copied entries when no old program runs any more: after all else.
fn catch_ups(steps: &[Step]) -> Vec<Step> {
    let late = steps.iter().filter_map(|step| {
        let Action::CopyEntries { map, from, copying } = &step.action else { return None };
        let action = Action::CatchUp { map: Arc::clone(map), from: *from, copying: Arc::clone(copying) };
        let (traffic, state) = (Traffic::None, State::None);
        Some(Step { action, because: Because::MapInUse, span: step.span.clone(), traffic, state, needs: None })
    });
    late.collect()
}

/// Returns the folders between which an apply switches.
pub(super) fn generations(observed: &Observed, pin_root: &PinPath) -> Generations {
    let current = current(observed).cloned();
    let record = observed.record.clone().map(Box::new);
    let number = next_number(observed);
    Generations { current, record, next: pin_root.generation(number), number }
}

pub(super) fn current(observed: &Observed) -> Option<&PinPath> {
    match &observed.root {
        Root::Generation(path) => Some(path),
        Root::Missing | Root::Foreign => None,
    }
}

/// Returns the number of the generation that runs.
fn number(observed: &Observed) -> Option<u64> {
    current(observed).map(|path| path.as_str().rsplit('~').next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

fn next_number(observed: &Observed) -> u64 {
    number(observed).map_or(1, |number| number.saturating_add(1))
}

/// Clears what interrupted runs left, before anything else: it may be on a hook that has room for one program.
pub(super) fn leftovers(observed: &Observed) -> impl Iterator<Item = Step> {
    observed.leftovers.iter().map(|leftover| {
        let detaches = leftover.links.iter().any(|link| !runs_now(observed, link));
        Step {
            action: Action::ClearLeftover {
                path: leftover.path.clone(),
                record: leftover.record.clone().map(Box::new),
            },
            because: Because::Interrupted,
            span: None,
            traffic: if detaches { Traffic::Stops } else { Traffic::None },
            state: State::None,
            needs: None,
        }
    })
}

/// Returns whether a link of an interrupted run is one of the generation that runs, too.
fn runs_now(observed: &Observed, link: &LinkInfo) -> bool {
    let is_same = |found: &LinkInfo| match link.id {
        0 => (&found.hook, found.program_id) == (&link.hook, link.program_id),
        id => found.id == id,
    };
    observed.pins.values().any(|pinned| matches!(pinned, Pinned::Link(found) if is_same(found)))
}

/// What happens to a map or a program.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// It stays; this is its id.
    Keep(u32),
    /// It is made, in the place of the one with this id, for this reason.
    New(Option<u32>, Because),
}

impl Fate {
    fn is_new(&self) -> bool {
        matches!(self, Self::New(..))
    }
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    mode: Mode,
    problems: Problems,
    maps: BTreeMap<MapName, Fate>,
    programs: BTreeMap<ProgramName, Fate>,
    /// How entries go over into maps that are made anew.
    copies: BTreeMap<MapName, Arc<Copying>>,
    steps: Vec<Step>,
    /// What sets variables, until the steps before it are there.
    variables: Vec<Step>,
    /// Who is where on the hooks that several programs share, when the steps so far are done.
    arrangements: BTreeMap<Hook, Arrangement>,
    /// The filters that links get.
    filters: Vec<Filter>,
    /// Whether somebody can be asked who loses a hook.
    may_take_over: bool,
}

impl<'a> Planner<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed, mode: Mode) -> Self {
        Self {
            desired,
            observed,
            mode,
            problems: Problems::default(),
            maps: BTreeMap::new(),
            programs: BTreeMap::new(),
            copies: BTreeMap::new(),
            steps: Vec::new(),
            variables: Vec::new(),
            arrangements: BTreeMap::new(),
            filters: Vec::new(),
            may_take_over: true,
        }
    }

    /// Returns whether a generation runs of which nothing says what we made.
    fn lacks_record(&self) -> bool {
        let runs = matches!(self.observed.root, Root::Generation(_));
        runs && self.mode == Mode::Live && self.observed.record.is_none()
    }

    /// The folder of the pins has to be ours: one of somebody else cannot be switched.
    fn decide_root(&mut self) {
        let (root, bpffs) = (&self.desired.pin_root, &self.desired.bpffs);
        let listed = self.observed.directories.get(root);
        let by = match self.observed.root {
            Root::Generation(_) if self.lacks_record() => {
                return self.problems.push(Problem::new(Kind::RecordLost { pin: root.join("record") }));
            }
            _ if !self.desired.makes_something() => return,
            _ if root == bpffs => "the bpffs itself: name a folder below it",
            Root::Missing | Root::Generation(_) => return,
            Root::Foreign if listed.is_some_and(Vec::is_empty) => {
                let action = Action::RemoveDirectory { path: root.clone() };
                return self.steps.push(removal(action, Because::PlanChanges));
            }
            Root::Foreign => "a folder that bpfapply did not make: name another one by `pin_root`",
        };
        self.problems.push(Problem::new(Kind::PinTaken { pin: root.clone(), by: by.to_owned() }));
    }

    fn decide_maps(&mut self) {
        for map in self.desired.maps.values() {
            let fate = match &map.source {
                MapSource::Defined(definition) => self.decide_map(map, definition),
                MapSource::Pinned(pin) => {
                    let found = self.observed_map(pin, map);
                    match found.is_none() && self.observed.pins.contains_key(pin) {
                        true => None,
                        false => self.decide_foreign(map, found, Kind::NoSuchPin { pin: pin.clone() }),
                    }
                }
                MapSource::Id(id) => {
                    let found = self.observed.maps_by_id.get(id);
                    self.decide_foreign(map, found, Kind::NoSuchMapId { id: *id })
                }
            };
            if let Some(fate) = fate {
                self.maps.insert(map.name.clone(), fate);
            }
        }
    }

    /// Checks the entries of maps whose fates are known.
    fn check_entries(&mut self) {
        for map in self.desired.maps.values() {
            if let (MapSource::Defined(definition), Some(fate)) = (&map.source, self.maps.get(&map.name).cloned()) {
                self.check_contents(map, definition, &fate);
            }
        }
    }

    /// Returns the map at a pin; something else there is a problem.
    fn observed_map(&mut self, pin: &PinPath, map: &DesiredMap) -> Option<&'a ObservedMap> {
        let by = match self.observed.pins.get(pin)? {
            Pinned::Map(found) => return Some(found),
            Pinned::Program(found) => format!("program id {}", found.info.id),
            Pinned::Link(found) => format!("link id {}", found.id),
        };
        let kind = match &map.source {
            MapSource::Defined(_) => Kind::PinTaken { pin: pin.clone(), by },
            MapSource::Pinned(_) | MapSource::Id(_) => Kind::NotAMap { pin: pin.clone(), is: by },
        };
        self.problems.push(Problem::at(kind, map.span.clone(), format!("map.{} is to be there", map.name)));
        None
    }

    /// Decides on a map that somebody else owns: it must be there, and fit all its users.
    fn decide_foreign(&mut self, map: &DesiredMap, found: Option<&ObservedMap>, missing: Kind) -> Option<Fate> {
        let Some(found) = found else {
            if self.mode == Mode::Offline {
                let id = match map.source {
                    MapSource::Id(id) => id,
                    // Offline nobody knows it.
                    MapSource::Pinned(_) | MapSource::Defined(_) => 0,
                };
                return Some(Fate::Keep(id));
            }
            self.problems.push(Problem::at(missing, map.span.clone(), "this map is somebody else's to make"));
            return None;
        };
        for user in &map.users {
            for difference in differences(&found.spec, &user.spec, Compare::User, &self.observed.host) {
                let wants =
                    format!("object.{}'s `{}`: {} is {}", user.object, user.symbol, difference.field, difference.right);
                let has = format!("the map that is there: {} is {}", difference.field, difference.left);
                let kind = Kind::Incompatible {
                    map: map.name.clone(),
                    object: user.object.clone(),
                    symbol: user.symbol.clone(),
                    difference,
                };
                self.problems.push(Problem::at(kind, user.span.clone(), wants).and(map.span.clone(), has));
            }
        }
        Some(Fate::Keep(found.info.id))
    }

    /// Decides on a map that we define.
    fn decide_map(&mut self, map: &DesiredMap, definition: &MapDefinition) -> Option<Fate> {
        self.check_cgroups(map, definition);
        if !self.observed.pins.contains_key(&definition.pin) {
            return Some(Fate::New(None, Because::Missing));
        }
        let found = self.observed_map(&definition.pin, map)?;
        let id = found.info.id;
        let differs = self.differences(map, definition, found);
        if differs.is_empty() && self.slots_changed(map, definition) {
            return Some(Fate::New(Some(id), Because::ContentsChanged));
        }
        if differs.is_empty() && self.slots_drifted(map, definition) {
            return Some(Fate::New(Some(id), Because::SlotsDiffer));
        }
        let because = match (differs.is_empty(), self.contents_changed(map, definition, found)) {
            (true, false) => return Some(Fate::Keep(id)),
            (true, true) => Because::ContentsChanged,
            (false, _) => Because::MapDiffers(differs.clone()),
        };
        // A map that has its own table stays what it is unless that table says otherwise; so does one that
        // we did not make. What only its object knows goes with the object, and so does a struct of functions, which
        // holds nothing else.
        let may_go = match definition.on_change {
            OnChange::Fail => map.name.is_private() || definition.operations.is_some(),
            OnChange::Recreate | OnChange::Migrate => true,
        };
        if !may_go || !self.is_ours(map) {
            self.refuse_change(map, definition, found, differs);
            return None;
        }
        // A map that holds what the manifest says has nothing to be copied.
        if definition.on_change == OnChange::Migrate && !definition.is_exact() {
            match migrate::copying(map, definition, found, &self.observed.host) {
                Ok(copying) => drop(self.copies.insert(map.name.clone(), Arc::new(copying))),
                Err(problem) => {
                    self.problems.push(problem);
                    return None;
                }
            }
        }
        Some(Fate::New(Some(id), because))
    }

    /// Refuses slots for cgroups that are not there.
    fn check_cgroups(&mut self, map: &DesiredMap, definition: &MapDefinition) {
        for source in definition.slots.values() {
            let SlotSource::Cgroup(path) = source else { continue };
            if self.mode == Mode::Live && !self.observed.cgroups.contains_key(path) {
                let kind = Kind::NoCgroup { path: path.clone() };
                self.problems.push(Problem::at(kind, map.span.clone(), "a slot of this map holds it"));
            }
        }
    }

    /// Compares the map that is there with its definition. What the maps in it look like only our record knows.
    fn differences(&self, map: &DesiredMap, definition: &MapDefinition, found: &ObservedMap) -> Vec<Difference> {
        let recorded = self.recorded(map).filter(|_| self.is_ours(map));
        let inner = recorded.and_then(|recorded| recorded.inner.as_ref()).map(|inner| Box::new(inner.spec()));
        let existing = match inner {
            None => Cow::Borrowed(&found.spec),
            inner => Cow::Owned(MapSpec { inner, ..found.spec.clone() }),
        };
        differences(&existing, &definition.spec, Compare::Existing, &self.observed.host)
    }

    fn refuse_change(
        &mut self,
        map: &DesiredMap,
        definition: &MapDefinition,
        found: &ObservedMap,
        mut differs: Vec<Difference>,
    ) {
        let (id, ours) = (found.info.id, self.is_ours(map));
        if differs.is_empty() {
            let (left, right) = ("of an earlier object".to_owned(), "of this object".to_owned());
            differs.push(Difference { field: "contents".to_owned(), left, right });
        }
        for difference in differs {
            let kind = Kind::MapChanged { map: map.name.clone(), pin: definition.pin.clone(), id, ours, difference };
            self.problems.push(Problem::at(kind, map.span.clone(), "defined here"));
        }
    }

    fn recorded(&self, map: &DesiredMap) -> Option<&'a RecordedMap> {
        self.observed.record.as_ref()?.maps.get(map.name.as_str())
    }

    /// Returns whether we made the map, as far as the record knows.
    fn is_ours(&self, map: &DesiredMap) -> bool {
        let recorded = self.recorded(map);
        let inode = map.pin().and_then(|pin| self.observed.inode(pin));
        recorded.is_some_and(|recorded| recorded.created && Some(recorded.inode) == inode)
    }

    /// Returns whether a data section, or a struct of functions, starts with other contents than the map that is there once did.
    fn contents_changed(&self, map: &DesiredMap, definition: &MapDefinition, found: &ObservedMap) -> bool {
        let image = self.recorded(map).and_then(|recorded| recorded.image);
        let image_differs = |bytes: &[u8]| image.is_some_and(|image| image != Digest::of(bytes));
        if let Some(operations) = &definition.operations {
            return image_differs(&operations.bytes);
        }
        match &definition.data {
            None | Some((DataKind::Bss, _)) => false,
            // Read-only contents are what they are; a map that is not frozen was never finished.
            Some((DataKind::Rodata, data)) => found.frozen_value.as_deref() != Some(&**data),
            // Variables are set while programs run: what counts is what the object starts with.
            Some((DataKind::Data, data)) if definition.is_live() => {
                image_differs(data) && definition.first_contents().is_some_and(|first| image_differs(&first))
            }
            Some((DataKind::Data, data)) => image_differs(data),
        }
    }

    /// Returns whether slots of ours are to hold something else than they were filled with, which only our record knows.
    fn slots_changed(&self, map: &DesiredMap, definition: &MapDefinition) -> bool {
        let Some(recorded) = self.recorded(map).filter(|_| self.is_ours(map)) else { return false };
        let is_other = recorded.slots.is_some() && recorded.slots != slots_image(definition);
        is_other || recorded.cgroups != cgroups_of(definition, self.observed)
    }

    /// Returns whether somebody else changed what is in the slots of a map of ours.
    fn slots_drifted(&self, map: &DesiredMap, definition: &MapDefinition) -> bool {
        let recorded = self.recorded(map).filter(|recorded| !recorded.ids.is_empty() && self.is_ours(map));
        let live = self.observed.contents.get(&definition.pin);
        recorded.zip(live).is_some_and(|(recorded, live)| slots_of(live) != recorded.ids)
    }

    fn decide_programs(&mut self) {
        for program in self.desired.programs.values() {
            let fate = match self.observed.pins.get(&program.pin) {
                None => Fate::New(None, Because::Missing),
                Some(Pinned::Program(found)) => match self.decide_program(program, found) {
                    Some(fate) => fate,
                    None => continue,
                },
                Some(Pinned::Map(ObservedMap { info, .. })) => {
                    self.program_pin_taken(program, format!("map id {}", info.id));
                    continue;
                }
                Some(Pinned::Link(info)) => {
                    self.program_pin_taken(program, format!("link id {}", info.id));
                    continue;
                }
            };
            self.programs.insert(program.name.clone(), fate);
        }
    }

    fn program_pin_taken(&mut self, program: &DesiredProgram, by: String) {
        let kind = Kind::PinTaken { pin: program.pin.clone(), by };
        let text = format!("program.{} is to be there", program.name);
        self.problems.push(Problem::at(kind, program.span.clone(), text));
    }

    /// Decides on a program whose pin is there. It is ours when it carries our fingerprint or the record knows it.
    fn decide_program(&mut self, program: &DesiredProgram, found: &ObservedProgram) -> Option<Fate> {
        let id = found.info.id;
        let fingerprint = found.fingerprints.get(program.name.as_str());
        let record = self.observed.record.as_ref();
        let recorded = record.and_then(|record| record.programs.get(program.name.as_str()));
        if fingerprint.is_none() && recorded.map(|recorded| recorded.inode) != self.observed.inode(&program.pin) {
            let by = format!("program id {id} `{}`, which is not ours", found.info.name);
            self.program_pin_taken(program, by);
            return None;
        }
        let because = self.map_changed(program, found);
        let because = because.or_else(|| (fingerprint != Some(&program.fingerprint)).then_some(Because::CodeChanged));
        Some(because.map_or(Fate::Keep(id), |because| Fate::New(Some(id), because)))
    }

    /// Returns why a program cannot stay because of its maps. That tells more than a fingerprint, which covers them too.
    fn map_changed(&self, program: &DesiredProgram, found: &ObservedProgram) -> Option<Because> {
        program.uses().into_iter().find_map(|name| match self.maps.get(name)? {
            Fate::Keep(map) if found.info.map_ids.contains(map) => None,
            Fate::Keep(_) => Some(Because::MapOther(name.clone())),
            Fate::New(..) => Some(Because::MapNew(name.clone())),
        })
    }

    /// Lets new maps make their programs new, and new slots their maps, until nothing changes any more.
    fn spread(&mut self) {
        loop {
            let mut changed = false;
            for program in self.desired.programs.values() {
                let Some(Fate::Keep(id)) = self.programs.get(&program.name).cloned() else { continue };
                let new = program.uses().into_iter().find(|name| self.maps.get(*name).is_some_and(Fate::is_new));
                let because = new.map(|map| Because::MapNew(map.clone())).or_else(|| self.new_target(program));
                if let Some(because) = because {
                    self.programs.insert(program.name.clone(), Fate::New(Some(id), because));
                    changed = true;
                }
            }
            for map in self.desired.maps.values() {
                let MapSource::Defined(definition) = &map.source else { continue };
                let Some(Fate::Keep(id)) = self.maps.get(&map.name).cloned() else { continue };
                let new = definition.slots.values().find_map(|slot| self.new_slot(slot));
                if let Some(address) = new {
                    self.maps.insert(map.name.clone(), Fate::New(Some(id), Because::SlotNew(address)));
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// An extension is verified against one program, and is of no use for the next one.
    fn new_target(&self, program: &DesiredProgram) -> Option<Because> {
        let target = &program.extends.as_ref()?.program;
        self.programs.get(target)?.is_new().then(|| Because::TargetNew(target.clone()))
    }

    fn new_slot(&self, slot: &SlotSource) -> Option<Address> {
        match slot {
            SlotSource::Map(map) => self.maps.get(map)?.is_new().then(|| Address::Map(map.clone())),
            SlotSource::Program(program) => {
                self.programs.get(program)?.is_new().then(|| Address::Program(program.clone()))
            }
            SlotSource::Cgroup(_) => None,
        }
    }

    /// Tells what it changes to take a pin over from the generation before. Somebody else's pin there is a problem.
    fn restored(&mut self, pin: &PinPath, inode: u64) -> Option<Restored> {
        let now = self.observed.inode(pin);
        if now == Some(inode) {
            return Some(Restored::Stays);
        }
        let ours = self.observed.record.iter().flat_map(Record::own_pins);
        let is_ours = ours.into_iter().any(|(own, inode)| own == *pin && Some(inode) == now);
        let (id, by) = match self.observed.pins.get(pin) {
            None => return Some(Restored::Returns),
            Some(Pinned::Map(found)) => (found.info.id, "map"),
            Some(Pinned::Program(found)) => (found.info.id, "program"),
            Some(Pinned::Link(found)) => (found.id, "link"),
        };
        if !is_ours {
            let by = format!("{by} id {id}, which is not ours");
            self.problems.push(Problem::new(Kind::PinTaken { pin: pin.clone(), by }));
            return None;
        }
        Some(Restored::Replaces(id))
    }

    fn step(&mut self, node: Node) {
        match node {
            Node::Directory(path) => self.directory_step(path),
            Node::Map(name) => {
                if let Some(fate) = self.maps.get(&name).cloned() {
                    self.map_step(Arc::clone(&self.desired.maps[&name]), fate);
                }
            }
            Node::Fill(name) => self.contents_step(&name, |map| Action::FillMap { map }),
            Node::Slots(name) => self.contents_step(&name, |map| Action::FillSlots { map }),
            Node::Entries(name) => self.entries_step(&name),
            Node::Program(name) => {
                if let Some(fate) = self.programs.get(&name).cloned() {
                    self.program_step(Arc::clone(&self.desired.programs[&name]), fate);
                }
            }
            Node::Link(name) => self.link_step(Arc::clone(&self.desired.links[&name])),
        }
    }

    fn push(&mut self, span: Span, action: Action, because: Because, traffic: Traffic, state: State) {
        self.steps.push(Step { action, because, span: Some(span), traffic, state, needs: None });
    }

    fn directory_step(&mut self, path: PinPath) {
        let action = match path == self.desired.bpffs {
            true if self.observed.bpffs => return,
            true => Action::MountBpffs { at: path },
            // These are made with the generation.
            false if path.is_below(&self.desired.pin_root) => return,
            false if self.observed.directories.contains_key(&path) => return,
            false => Action::MakeDirectory { path },
        };
        let (because, traffic, state) = (Because::Missing, Traffic::None, State::None);
        self.steps.push(Step { action, because, span: None, traffic, state, needs: None });
    }

    fn map_step(&mut self, map: Arc<DesiredMap>, fate: Fate) {
        let span = map.span.clone();
        match fate {
            Fate::Keep(id) => {
                let (ours, because) = match &map.source {
                    MapSource::Defined(_) if self.is_ours(&map) => match self.lets_go(&map) {
                        true => (true, Because::EntriesNotWanted),
                        false => (true, Because::Unchanged),
                    },
                    MapSource::Defined(definition) if definition.adopt => (true, Because::TakenOver),
                    MapSource::Defined(_) | MapSource::Pinned(_) | MapSource::Id(_) => (false, Because::Foreign),
                };
                let action = Action::ReuseMap { map: Arc::clone(&map), id, ours };
                self.push(span, action, because, Traffic::None, State::Kept);
                self.release_step(&map, id);
                self.variables_step(&map, id);
            }
            Fate::New(Some(from), because) if self.copies.contains_key(&map.name) => self.migrate(map, from, because),
            Fate::New(replaces, because) => {
                let (state, needs) = match replaces {
                    Some(_) if holds_state(&map) && !self.was_exact(&map) && !self.holds_pinned(&map) => {
                        (State::Lost(self.counted(&map)), Some(Consent::LoseState))
                    }
                    Some(_) | None => (State::New, None),
                };
                let action = Action::CreateMap { map, replaces };
                self.steps.push(Step { action, because, span: Some(span), traffic: Traffic::None, state, needs });
            }
        }
    }

    /// Returns whether all that is in the slots of a map of maps has a pin of the deployment: what becomes of that is said
    /// there, and nothing is lost here.
    fn holds_pinned(&self, map: &DesiredMap) -> bool {
        let MapSource::Defined(definition) = &map.source else { return false };
        let is_of_maps = matches!(definition.spec.map_type, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS);
        let live = self.observed.contents.get(&definition.pin).filter(|_| is_of_maps);
        let pinned = || {
            let ids = self.observed.pins.values().filter_map(|pinned| match pinned {
                Pinned::Map(found) => Some(found.info.id),
                Pinned::Program(_) | Pinned::Link(_) => None,
            });
            ids.collect::<BTreeSet<u32>>()
        };
        live.is_some_and(|live| {
            let pinned = pinned();
            live.iter().all(|(_, id)| slot_id(id).is_some_and(|id| pinned.contains(&id)))
        })
    }

    /// Makes a map anew and copies the entries; what changes meanwhile comes behind the switch.
    fn migrate(&mut self, map: Arc<DesiredMap>, from: u32, because: Because) {
        let copying = Arc::clone(&self.copies[&map.name]);
        let span = map.span.clone();
        let create = Action::CreateMap { map: Arc::clone(&map), replaces: Some(from) };
        self.push(span.clone(), create, because, Traffic::None, State::New);
        let because = Because::MapNew(map.name.clone());
        let (entries, lost) = (copying.fits, copying.misfits.count);
        let needs = copying.loses().then_some(Consent::LoseState);
        let action = Action::CopyEntries { map, from, copying };
        let (traffic, state) = (Traffic::None, State::Copied { entries, lost });
        self.steps.push(Step { action, because, span: Some(span), traffic, state, needs });
    }

    /// Lists what killed runs left to do for maps that they copied entries into.
    fn unfinished_copies(&self) -> impl Iterator<Item = Step> {
        let root = current(self.observed);
        let maps = self.desired.maps.values().filter(|map| self.is_ours(map));
        maps.flat_map(move |map| {
            let of_map =
                self.observed.copies.iter().filter(move |copy| {
                    root.is_some_and(|root| root.copied_entries(&map.name, copy.from) == copy.kept)
                });
            of_map.filter_map(|copy| self.finish_copy(map, copy))
        })
    }

    fn finish_copy(&self, map: &Arc<DesiredMap>, copy: &UnfinishedCopy) -> Option<Step> {
        let Pinned::Map(now) = self.observed.pins.get(map.pin()?)? else { return None };
        let is_hidden = self.recorded(map).is_some_and(|recorded| recorded.sensitive);
        let migration = copy.old.as_ref().and_then(|old| {
            let between = Migration::between(&old.spec, &now.spec, &self.observed.host).ok()?;
            Some(Arc::new(between.hiding(is_hidden)))
        });
        let (map, span) = (Arc::clone(map), Some(map.span.clone()));
        let action = Action::FinishCopy { map, id: now.info.id, from: copy.from, kept: copy.kept.clone(), migration };
        let (because, traffic, state) = (Because::Interrupted, Traffic::None, State::None);
        Some(Step { action, because, span, traffic, state, needs: None })
    }

    /// Returns how many entries the map has that is there now, where they were counted.
    fn counted(&self, map: &DesiredMap) -> Option<u64> {
        match self.observed.pins.get(map.pin()?)? {
            Pinned::Map(found) => found.live.as_ref().map(Live::count),
            Pinned::Program(_) | Pinned::Link(_) => None,
        }
    }

    /// A new map gets its contents for the reason for which it is new.
    fn contents_step(&mut self, name: &MapName, action: fn(Arc<DesiredMap>) -> Action) {
        let Some(Fate::New(_, because)) = self.maps.get(name).cloned() else { return };
        let map = Arc::clone(&self.desired.maps[name]);
        self.push(map.span.clone(), action(map), because, Traffic::None, State::None);
    }

    fn program_step(&mut self, program: Arc<DesiredProgram>, fate: Fate) {
        let span = program.span.clone();
        match fate {
            Fate::Keep(id) => {
                let action = Action::ReuseProgram { program, id };
                self.push(span, action, Because::Unchanged, Traffic::None, State::None);
            }
            Fate::New(replaces, because) => {
                let action = Action::LoadProgram { program, replaces };
                self.push(span, action, because, Traffic::None, State::None);
            }
        }
    }

    fn link_step(&mut self, link: Arc<DesiredLink>) {
        let Some((link, hook)) = self.choose_way(link) else { return };
        let Some(fate) = self.fate_of_attached(&link) else { return };
        let found = match self.observed.pins.get(&link.pin) {
            None => return self.attach_step(link, hook),
            Some(Pinned::Link(found)) => once_cleared(self.observed, found),
            Some(Pinned::Map(ObservedMap { info, .. })) => {
                return self.link_pin_taken(&link, format!("map id {}", info.id));
            }
            Some(Pinned::Program(found)) => {
                return self.link_pin_taken(&link, format!("program id {}", found.info.id));
            }
        };
        if !self.owns_link(&link, &found) {
            let by = format!("link id {} of program id {}, which is not ours", found.id, found.program_id);
            return self.link_pin_taken(&link, by);
        }
        if let ResolvedHook::Direct(Direct::Filter(filter), _) = &hook {
            self.filters.push(filter.clone());
        }
        if let Some(because) = self.hook_changed(&link, &hook, &found) {
            return self.reattach_step(link, hook, &found, because);
        }
        if let Some(because) = self.out_of_place(&link, &found, &fate) {
            return self.reattach_step(link, hook, &found, because);
        }
        let span = link.span.clone();
        let old = if let HookInfo::StructOps { map_id } = found.hook { map_id } else { found.program_id };
        let id = found.id;
        let because = match (fate, &link.program, link.hook.anchor()) {
            (Fate::Keep(new), ..) if new == old => {
                let action = Action::ReuseLink { link, id };
                return self.push(span, action, Because::Unchanged, Traffic::None, State::None);
            }
            (Fate::New(..), Some(program), _) => Because::ProgramNew(program.clone()),
            (Fate::New(..), None, Anchor::Map(map)) => Because::MapNew(map.clone()),
            (Fate::Keep(_), Some(_), _) => Because::ProgramOther(old),
            (Fate::Keep(_) | Fate::New(..), None, _) => {
                Because::HookChanged(format!("it has the struct of map id {old}"))
            }
        };
        if !link.hook.updates_in_place() {
            return self.reattach_step(link, hook, &found, because);
        }
        let traffic = traffic(&link.hook, Traffic::NoGap);
        let action = Action::UpdateLink { link, id, old };
        self.push(span, action, because, traffic, State::None);
    }

    /// Returns what happens to what a link attaches: a program, or a map that holds a struct of functions.
    fn fate_of_attached(&self, link: &DesiredLink) -> Option<Fate> {
        let fate = match (&link.program, link.hook.anchor()) {
            (Some(program), _) => self.programs.get(program),
            (None, Anchor::Map(map)) => self.maps.get(map),
            (None, Anchor::Interface(..) | Anchor::Cgroup(_) | Anchor::Netns(_) | Anchor::Event(_)) => None,
        };
        fate.cloned()
    }

    fn link_pin_taken(&mut self, link: &DesiredLink, by: String) {
        let kind = Kind::PinTaken { pin: link.pin.clone(), by };
        let text = format!("link.{} is to be there", link.name);
        self.problems.push(Problem::at(kind, link.span.clone(), text));
    }

    /// A link is ours when the record knows it, or when it runs a program with our fingerprint.
    fn owns_link(&self, link: &DesiredLink, found: &LinkInfo) -> bool {
        let record = self.observed.record.as_ref();
        let recorded = record.and_then(|record| record.links.get(link.name.as_str()));
        let inode = self.observed.inode(&link.pin);
        recorded.is_some_and(|recorded| Some(recorded.inode) == inode) || runs_ours(self.observed, found)
    }

    /// Finds what the hook is of; a missing one is a problem.
    fn resolve_hook(&mut self, link: &DesiredLink) -> Option<ResolvedHook> {
        if self.mode == Mode::Offline {
            return Some(match link.hook.anchor() {
                Anchor::Interface(..) => ResolvedHook::Interface(None),
                Anchor::Cgroup(_) => ResolvedHook::Cgroup(None),
                Anchor::Netns(_) => ResolvedHook::Netns(None),
                Anchor::Event(_) => ResolvedHook::Event(None),
                Anchor::Map(map) => return self.resolve_map(link, map),
            });
        }
        let missing = match link.hook.anchor() {
            Anchor::Interface(name, netns) => match self.observed.interface(name, netns) {
                Some(found) => return Some(ResolvedHook::Interface(Some(found.place()))),
                None if self.observed.lacks(netns) => Kind::NoNetns { netns: netns.clone() },
                None => Kind::NoInterface { name: name.to_owned(), netns: netns.clone() },
            },
            Anchor::Cgroup(path) => match self.observed.cgroups.get(path) {
                Some(found) => return Some(ResolvedHook::Cgroup(Some(found.clone()))),
                None => Kind::NoCgroup { path: path.to_owned() },
            },
            Anchor::Netns(netns) => match self.observed.namespaces.get(netns) {
                Some(found) => return Some(ResolvedHook::Netns(Some(found.inode))),
                None => Kind::NoNetns { netns: netns.clone() },
            },
            Anchor::Map(map) => return self.resolve_map(link, map),
            Anchor::Event(event) => match self.observed.events.get(event) {
                Some(Ok(place)) => return Some(ResolvedHook::Event(Some(*place))),
                Some(Err(lack)) => no_event(event, *lack),
                None => return Some(ResolvedHook::Event(Some(EventPlace::Kernel))),
            },
        };
        self.problems.push(Problem::at(missing, link.span.clone(), "this link goes there"));
        None
    }

    /// Finds the map that a hook is of; one of another type is a problem, and one without a fate was one before.
    fn resolve_map(&mut self, link: &DesiredLink, map: &MapName) -> Option<ResolvedHook> {
        let Fate::Keep(id) = self.maps.get(map)? else { return Some(ResolvedHook::Map(None)) };
        let id = *id;
        if let Some(found) = self.map_of(id).filter(|found| !link.hook.takes_map(found.info.map_type)) {
            let kind = Kind::WrongMapType { is: found.info.map_type, hook: link.hook.to_string() };
            self.problems.push(Problem::at(kind, link.span.clone(), "this link"));
            return None;
        }
        Some(ResolvedHook::Map(Some(id)))
    }

    /// Opens somebody else's maps that links of a record are of.
    fn foreign_maps_of_links(&mut self, record: &Record) {
        for link in self.desired.links.values() {
            let Anchor::Map(name) = link.hook.anchor() else { continue };
            let recorded = record.maps.get(name.as_str());
            if recorded.is_some_and(|map| map.created) {
                continue;
            }
            let pin = recorded.and_then(|map| map.pin.as_deref().and_then(as_pin));
            let (source, found, lacks) = match (pin, recorded.and_then(|map| map.id)) {
                (Some(pin), _) => {
                    let found = match self.observed.pins.get(&pin) {
                        Some(Pinned::Map(found)) => Some(found),
                        Some(Pinned::Program(_) | Pinned::Link(_)) | None => None,
                    };
                    (MapSource::Pinned(pin.clone()), found, Kind::NoSuchPin { pin })
                }
                (None, Some(id)) => (MapSource::Id(id), self.observed.maps_by_id.get(&id), Kind::NoSuchMapId { id }),
                (None, None) => {
                    self.problems.push(Problem::new(Kind::NoWayBack { lacks: link.pin.clone() }));
                    continue;
                }
            };
            let Some(id) = found.map(|found| found.info.id) else {
                self.problems.push(Problem::new(lacks));
                continue;
            };
            if self.maps.insert(name.clone(), Fate::Keep(id)).is_none() {
                let map = DesiredMap { name: name.clone(), source, users: Vec::new(), span: 0..0 };
                let action = Action::ReuseMap { map: Arc::new(map), id, ours: false };
                self.steps.push(Step { span: None, ..restoring(action, Restored::Stays, State::Kept) });
            }
        }
    }

    /// Finds a map that was observed, by its id.
    fn map_of(&self, id: u32) -> Option<&'a ObservedMap> {
        let pinned = self.observed.pins.values().filter_map(|pinned| match pinned {
            Pinned::Map(found) => Some(found),
            Pinned::Program(_) | Pinned::Link(_) => None,
        });
        pinned.chain(self.observed.maps_by_id.values()).find(|found| found.info.id == id)
    }

    /// Lists what is left out.
    fn skip_absent(&mut self) {
        for absent in &self.desired.absent {
            let action = Action::Skip { link: absent.name.clone(), hook: absent.hook.to_string() };
            self.push(absent.span.clone(), action, Because::Optional, Traffic::None, State::None);
        }
    }

    /// Refuses links that want one hook with room for one, by whatever names they came to it.
    fn check_rooms(&mut self) {
        let mut rooms: Vec<(At, &DesiredLink)> = Vec::new();
        for link in self.desired.links.values() {
            let place = match link.hook.anchor() {
                Anchor::Interface(name, netns) => {
                    let found = self.observed.interface(name, netns);
                    found.map(|found| ResolvedHook::Interface(Some(found.place())))
                }
                Anchor::Netns(netns) => {
                    let found = self.observed.namespaces.get(netns);
                    found.map(|found| ResolvedHook::Netns(Some(found.inode)))
                }
                // Maps of sockets are compared with their programs, and functions of programs by their types.
                Anchor::Cgroup(_) | Anchor::Map(_) | Anchor::Event(_) => None,
            };
            let Some(at) = place.map(|place| at(&link.hook, &place)).filter(|at| !at.has_room_beside(at)) else {
                continue;
            };
            if let Some((_, first)) = rooms.iter().find(|(there, _)| !at.has_room_beside(there)) {
                let kind = match &link.hook {
                    Hook::Xdp { interface, netns, .. } => {
                        Kind::XdpTwice { interface: format!("{interface}{}", Within(netns)) }
                    }
                    hook => Kind::HookTwice { hook: hook.to_string() },
                };
                let problem = Problem::at(kind, link.span.clone(), format!("`link.{}`", link.name));
                self.problems.push(problem.and(first.span.clone(), format!("`link.{}`", first.name)));
            }
            rooms.push((at, link));
        }
    }

    fn attach_step(&mut self, link: Arc<DesiredLink>, hook: ResolvedHook) {
        let (link, hook) = match self.others(&link, &hook, None) {
            Some(there) => match self.take_over(link, hook, there) {
                Some(chosen) => chosen,
                None => return,
            },
            None => (link, hook),
        };
        if let ResolvedHook::Direct(Direct::Filter(filter), _) = &hook {
            self.filters.push(filter.clone());
        }
        let Some(spot) = self.spot(&link) else { return };
        let (traffic, needs) = match hook.taken() {
            Some(_) => (Traffic::NoGap, Some(Consent::Takeover)),
            None => (traffic(&link.hook, Traffic::Starts), None),
        };
        let span = Some(link.span.clone());
        let action = Action::Attach { link, hook, spot };
        self.steps.push(Step { action, because: Because::Missing, span, traffic, state: State::None, needs });
    }

    /// Returns who is where on a hook that several programs share; `None` for any other, and where nobody was asked.
    fn arrangement(&mut self, hook: &Hook) -> Option<&mut Arrangement> {
        let hook = &hook.shared()?;
        let queue = self.observed.queues.get(hook)?;
        if !self.arrangements.contains_key(hook) {
            let mut ours = self.links_on(hook);
            let arrangement = Arrangement::of(hook, queue, |occupant| {
                let is_it = |(link, _): &(&LinkInfo, Owner)| match occupant.link_id {
                    Some(id) => link.id == id,
                    None => link.program_id == occupant.program_id,
                };
                ours.iter().position(is_it).map_or(Owner::Nobody, |at| ours.remove(at).1)
            });
            self.arrangements.insert(hook.clone(), arrangement);
        }
        self.arrangements.get_mut(hook)
    }

    /// Returns the links of ours on a hook, with what they are for.
    fn links_on(&self, hook: &Hook) -> Vec<(&'a LinkInfo, Owner)> {
        let pinned = self.observed.pins.iter().filter_map(|(pin, pinned)| match pinned {
            Pinned::Link(link) => Some((pin, link)),
            Pinned::Map(_) | Pinned::Program(_) => None,
        });
        let found = pinned.map(|(pin, link)| {
            let mut wanted = self.desired.links.values();
            let wanted = wanted.find(|wanted| wanted.pin == *pin && wanted.hook.shared().as_ref() == Some(hook));
            let owner = wanted.map(|wanted| match link.id {
                0 => Owner::Direct(wanted.name.clone()),
                _ => Owner::Link(wanted.name.clone(), wanted.order.clone()),
            });
            (link, owner.unwrap_or(Owner::Leaving))
        });
        let left = self.observed.leftovers.iter().flat_map(|leftover| &leftover.links);
        let left = left.filter(|link| !runs_now(self.observed, link)).map(|link| (link, Owner::Leaving));
        let Some(at) = self.host_hook(hook) else { return Vec::new() };
        found.chain(left).filter(|(link, _)| link.hook.is_among(&at)).collect()
    }

    /// Returns a hook that several programs share as the kernel calls it.
    fn host_hook(&self, hook: &Hook) -> Option<HookInfo> {
        let resolved = match hook.anchor() {
            Anchor::Interface(name, netns) => {
                ResolvedHook::Interface(Some(self.observed.interface(name, netns)?.place()))
            }
            Anchor::Cgroup(path) => ResolvedHook::Cgroup(Some(self.observed.cgroups.get(path)?.clone())),
            Anchor::Netns(_) | Anchor::Map(_) | Anchor::Event(_) => return None,
        };
        Some(at(hook, &resolved).hook)
    }

    /// Returns why a link cannot stay where it is among those on its hook.
    fn out_of_place(&mut self, link: &DesiredLink, found: &LinkInfo, fate: &Fate) -> Option<Because> {
        let order = link.order.as_ref()?;
        // What goes back has its programs, but not what they were loaded from, and tcx takes a program once.
        let stays = matches!(fate, Fate::Keep(id) if *id == found.program_id);
        let is_known = link.program.as_ref().is_some_and(|program| self.desired.programs.contains_key(program));
        let is_stuck = stays && matches!(link.hook, Hook::Tc { .. }) && !is_known;
        let pins = &self.observed.beside;
        let is_kept = self.arrangement(&link.hook)?.is_kept(&link.name, order, pins) && !self.may_be_left(link, found);
        (!is_kept && !is_stuck).then(|| Because::OutOfPlace(order.to_string()))
    }

    /// Returns whether what seems to be a link may be one that an interrupted run left: it runs the same program, and a
    /// cgroup does not tell one link from another.
    fn may_be_left(&self, link: &DesiredLink, found: &LinkInfo) -> bool {
        let queue = link.hook.shared().and_then(|hook| self.observed.queues.get(&hook));
        let unknown = queue.iter().flat_map(|queue| &queue.there).filter(|occupant| occupant.link_id.is_none());
        let same = unknown.filter(|occupant| occupant.program_id == found.program_id).count();
        same > 1 && !self.observed.leftovers.is_empty()
    }

    /// Finds where among those on its hook a new link goes; a place that is not to be had is a problem.
    fn spot(&mut self, link: &DesiredLink) -> Option<Spot> {
        let queue = link.hook.shared().and_then(|hook| self.observed.queues.get(&hook));
        let has_places = queue.is_some_and(|queue| queue.revision != 0);
        if link.order.is_some() && !has_places && self.mode == Mode::Live {
            let kind = Kind::NoOrder { hook: link.hook.to_string() };
            self.problems.push(Problem::at(kind, link.span.clone(), "this link wants one"));
            return None;
        }
        let pins = &self.observed.beside;
        let Some(arrangement) = self.arrangement(&link.hook) else { return Some(Spot::Any) };
        if link.hook.via() == Some(Via::Direct) {
            arrangement.add(&link.name);
            return Some(Spot::Any);
        }
        let order = link.order.as_ref();
        let found = match arrangement.put(&link.name, order, pins) {
            // Without an order a kernel that has no places is asked for none.
            Ok(spot) => return Some(if has_places { spot } else { Spot::Any }),
            Err(found) => found,
        };
        let words = |there: Vec<&Occupant>| there.into_iter().map(Occupant::to_string).collect();
        let there = words(arrangement.others().collect());
        let (order, hook) = (order.map(ToString::to_string).unwrap_or_default(), link.hook.to_string());
        let kind = Kind::NoNeighbour { order, hook, found: words(found.iter().collect()), there };
        self.problems.push(Problem::at(kind, link.span.clone(), "this link wants to be beside it"));
        None
    }

    /// Returns who has the priority of netfilter that a new link wants. Where ours is there, there is nobody else.
    fn same_priority(&self, link: &DesiredLink) -> Option<Company> {
        let wanted = link.hook.netfilter()?;
        let ours: BTreeSet<u32> = self.observed.pins.values().filter_map(link_id).collect();
        let left = self.observed.leftovers.iter().flat_map(|leftover| &leftover.links).map(|link| link.id);
        let ours: BTreeSet<u32> = left.chain(ours).collect();
        let there = self.observed.priorities.get(&wanted)?;
        let of_ours = |occupant: &Occupant| occupant.link_id.is_some_and(|id| ours.contains(&id));
        if there.iter().any(of_ours) || there.is_empty() {
            return None;
        }
        Some(Company { same: there.clone(), ..Company::default() })
    }

    /// Takes what the steps make of hooks that several programs share.
    fn shared(&mut self) -> Shared {
        let links: Vec<_> = self.desired.links.values().cloned().collect();
        let mut company = BTreeMap::new();
        for link in links {
            let around = self.arrangement(&link.hook).and_then(|arrangement| arrangement.company(&link.name));
            let around = around.or_else(|| self.same_priority(&link));
            company.extend(around.map(|around| (link.name.clone(), around)));
        }
        Shared { seen: self.observed.queues.clone(), company }
    }

    /// Returns the program that is on a hook with room for one, unless it is `own`, the link's own.
    fn others(&self, link: &DesiredLink, hook: &ResolvedHook, own: Option<u32>) -> Option<Holder> {
        let there: Vec<Holder> = match &link.hook {
            Hook::Xdp { interface, netns, .. } => {
                let found = self.observed.interface(interface, netns)?;
                found.xdp.iter().map(|(mode, id)| (Some(*mode), *id)).collect()
            }
            Hook::Netns { netns, attach_type: AttachType::FLOW_DISSECTOR } => {
                let found = self.observed.namespaces.get(netns)?;
                found.dissectors.iter().map(|id| (None, *id)).collect()
            }
            Hook::Tc { interface, netns, .. } => {
                let ResolvedHook::Direct(Direct::Filter(filter), _) = hook else { return None };
                let there = &self.observed.qdiscs.get(&(netns.clone(), interface.clone()))?.filters;
                let there = there.iter().filter(|found| found.is_at(filter) || found.excludes(filter));
                // What is no program has no id.
                there.map(|found| (None, found.program_id.unwrap_or(0))).collect()
            }
            Hook::Lwt { netns, route, .. } => {
                let there = self.observed.routes.get(&(netns.clone(), route.place))?;
                there.iter().filter_map(|found| Some((None, found.program_id?))).collect()
            }
            // The kernel does not tell who has which priority of netfilter here, but by refusing a link.
            Hook::Netkit { .. }
            | Hook::Cgroup { .. }
            | Hook::Netns { .. }
            | Hook::Netfilter { .. }
            | Hook::StructOps { .. }
            | Hook::Trace(_) => return None,
            Hook::Sockmap { map, attach_type } => {
                let Fate::Keep(id) = self.maps.get(map)? else { return None };
                let there = self.map_of(*id)?.verdicts.iter().filter(|(there, _)| attach_type.is_instead_of(*there));
                there.map(|(_, id)| (None, *id)).collect()
            }
        };
        let left = self.observed.leftovers.iter().flat_map(|leftover| &leftover.links);
        let left: BTreeSet<u32> =
            left.filter(|link| !runs_now(self.observed, link)).map(|link| link.program_id).collect();
        there.into_iter().find(|(_, id)| Some(*id) != own && !left.contains(id))
    }

    /// Returns why a link that is there cannot stay where it is.
    fn hook_changed(&self, link: &DesiredLink, wanted: &ResolvedHook, found: &LinkInfo) -> Option<Because> {
        if let Hook::Trace(trace) = &link.hook {
            return self.event_changed(link, trace, wanted, found);
        }
        if !found.is_attached {
            return Some(Because::HookGone);
        }
        if let (Hook::StructOps { .. }, HookInfo::StructOps { .. }) = (&link.hook, &found.hook) {
            // Another struct takes its place.
            return None;
        }
        if self.where_it_is(link, found).is_same(&at(&link.hook, wanted)) {
            if found.id == 0 {
                return None;
            }
            let mode = link.hook.mode().filter(|mode| !self.runs_in_mode(link, *mode, found.program_id))?;
            return Some(Because::HookChanged(format!("mode {mode} is wanted")));
        }
        let record = self.observed.record.as_ref();
        Some(match record.and_then(|record| record.links.get(link.name.as_str())) {
            Some(recorded) if let (true, Anchor::Map(map)) = (recorded.hook == link.hook, link.hook.anchor()) => {
                Because::MapNew(map.clone())
            }
            Some(recorded) if recorded.hook.to_string() == link.hook.to_string() => Because::HookGone,
            Some(recorded) => Because::HookChanged(format!("it is on {}", recorded.hook)),
            None => Because::HookChanged(format!("it is on {}", found.hook)),
        })
    }

    /// Returns where a link is. The kernel tells an interface's index and not in which network namespace: that is what the
    /// record says, unless the interface that has the index there does not know of the link's program.
    fn where_it_is(&self, link: &DesiredLink, found: &LinkInfo) -> At {
        let record = self.observed.record.as_ref();
        let recorded = record.and_then(|record| record.links.get(link.name.as_str()));
        let recorded = recorded.filter(|recorded| recorded.at == found.hook);
        let netns = found.hook.netns().or(recorded.and_then(|recorded| recorded.netns));
        let hook = found.hook.clone();
        let (HookInfo::Xdp { ifindex }, Some(inode)) = (&hook, netns) else { return At { hook, netns } };
        let mut interfaces = self.observed.interfaces.values();
        let there = interfaces.find(|interface| interface.netns == inode && interface.index == *ifindex);
        let went = there.is_some_and(|there| there.xdp.iter().all(|(_, id)| *id != found.program_id));
        // No network namespace has this inode.
        At { hook, netns: if went { Some(0) } else { netns } }
    }

    /// Returns why a link to an event cannot stay. The kernel tells little of it, so what was asked for counts, as long as
    /// the link is the one that was made for it.
    fn event_changed(
        &self,
        link: &DesiredLink,
        trace: &Trace,
        wanted: &ResolvedHook,
        found: &LinkInfo,
    ) -> Option<Because> {
        let record = self.observed.record.as_ref();
        let Some(recorded) = record.and_then(|record| record.links.get(link.name.as_str())) else {
            let HookInfo::Event(event) = &found.hook else { return Some(other_event(&found.hook)) };
            return (!event.can_be(&trace.event)).then(|| other_event(&found.hook));
        };
        if recorded.hook != link.hook {
            return Some(other_event(&recorded.hook));
        }
        if recorded.at != found.hook {
            return Some(other_event(&found.hook));
        }
        let file = wanted.file();
        let other_target = match &trace.event {
            Event::Extension { program, .. } => self.is_new_target(program, &found.hook),
            Event::Tracepoint { .. }
            | Event::RawTracepoint { .. }
            | Event::Target { .. }
            | Event::Counter(_)
            | Event::Kprobe { .. }
            | Event::KprobeMulti { .. }
            | Event::Uprobe(_) => None,
        };
        let other_file = || Because::HookChanged("its path means another file now, or another place in it".to_owned());
        other_target.or_else(|| (file != recorded.file).then(other_file))
    }

    /// Returns why an extension must go to another program than the one whose function it replaces.
    fn is_new_target(&self, program: &str, found: &HookInfo) -> Option<Because> {
        let (name, fate) = self.programs.iter().find(|(name, _)| name.as_str() == program)?;
        match (fate, found) {
            (Fate::Keep(id), HookInfo::Event(EventInfo::Tracing { object, .. })) if id == object => None,
            (Fate::Keep(_) | Fate::New(..), _) => Some(Because::TargetNew(name.clone())),
        }
    }

    /// Returns where a link will be, as far as that tells whether there is room for another one.
    fn at(&self, hook: &Hook, resolved: &ResolvedHook) -> At {
        let Some(Event::Extension { program, .. }) = hook.event() else { return at(hook, resolved) };
        let target = self.programs.iter().find(|(name, _)| name.as_str() == program);
        let object = match target {
            Some((_, Fate::Keep(id))) => *id,
            // Nothing replaces a function of a program that is new.
            Some((_, Fate::New(..))) | None => 0,
        };
        let hook = HookInfo::Event(EventInfo::Tracing { attach_type: EventInfo::EXTENSION, object, type_id: 0 });
        At { hook, netns: None }
    }

    /// Returns whether a link meets what it meets now, wherever it is attached anew.
    fn meets_the_same(&self, link: &DesiredLink, there: &At, now: &At) -> bool {
        let Some(event) = link.hook.event() else { return there.meets_what(now) };
        let record = self.observed.record.as_ref();
        let recorded = record.and_then(|record| record.links.get(link.name.as_str()));
        recorded.is_none_or(|recorded| recorded.hook.event() == Some(event))
    }

    /// Returns whether the program runs in the mode that is asked for; any mode is good for `auto`.
    fn runs_in_mode(&self, link: &DesiredLink, mode: XdpMode, program: u32) -> bool {
        let Hook::Xdp { interface, netns, .. } = &link.hook else { return true };
        let Some(found) = self.observed.interface(interface, netns) else { return true };
        mode == XdpMode::Auto || found.xdp.iter().any(|(at, id)| *at == mode && *id == program)
    }

    fn reattach_step(&mut self, link: Arc<DesiredLink>, hook: ResolvedHook, found: &LinkInfo, because: Because) {
        let (there, now) = (self.at(&link.hook, &hook), self.where_it_is(&link, found));
        let here = !there.has_room_beside(&now);
        let (link, hook) = match self.others(&link, &hook, here.then_some(found.program_id)) {
            // What it has elsewhere would go.
            Some(there) if found.is_attached => return self.hook_taken(&link, there, None),
            Some(there) => match self.take_over(link, hook, there) {
                Some(chosen) => chosen,
                None => return,
            },
            None => (link, hook),
        };
        // Where there is room for one, as for XDP on an interface, the old link must go first. To leave a hook is to take
        // its filter away, as pruning the link would.
        let (traffic, needs) = match (here, found.is_attached) {
            (_, false) if hook.taken().is_some() => (Traffic::NoGap, Some(Consent::Takeover)),
            (true, true) => (Traffic::GapUnfiltered, Some(Consent::Gap)),
            (false, true) if self.meets_the_same(&link, &there, &now) => match link.hook.event() {
                Some(_) => (Traffic::BothRun, None),
                None => (Traffic::NoGap, None),
            },
            // A cgroup that is gone had no process any more, even where its links are not detached yet.
            (false, true) if because == Because::HookGone && matches!(link.hook, Hook::Cgroup { .. }) => {
                (Traffic::Starts, None)
            }
            // The old map goes, and its sockets with it: that has a consent of its own.
            (false, true) if matches!(because, Because::MapNew(_)) => (Traffic::NewSockets, None),
            (false, true) => (Traffic::Moves, Some(Consent::Prune)),
            (_, false) => (traffic(&link.hook, Traffic::Starts), None),
        };
        let Some(spot) = self.spot(&link) else { return };
        let (span, id) = (link.span.clone(), found.id);
        let action = Action::Reattach { link, id, hook, spot, overlap: !here };
        self.steps.push(Step { action, because, span: Some(span), traffic, state: State::None, needs });
    }
}

/// Returns what a change of a hook's program means for packets, where the `usual` is not the whole truth.
fn traffic(hook: &Hook, usual: Traffic) -> Traffic {
    if hook.is_for_new_sockets() { Traffic::NewSockets } else { usual }
}

fn link_id(pinned: &Pinned) -> Option<u32> {
    match pinned {
        Pinned::Link(link) => Some(link.id),
        Pinned::Map(_) | Pinned::Program(_) => None,
    }
}

/// Returns whether a link runs a program that is pinned and has a fingerprint of ours.
pub(super) fn runs_ours(observed: &Observed, link: &LinkInfo) -> bool {
    observed.pins.values().any(|pinned| match pinned {
        Pinned::Program(program) => program.info.id == link.program_id && !program.fingerprints.is_empty(),
        Pinned::Map(_) | Pinned::Link(_) => false,
    })
}

/// Returns whether a map can hold contents that somebody misses when it is made anew.
fn holds_state(map: &DesiredMap) -> bool {
    match &map.source {
        MapSource::Defined(definition) => {
            let constant = matches!(definition.data, Some((DataKind::Rodata, _)));
            !constant && !PASSING.contains(&definition.spec.map_type)
        }
        MapSource::Pinned(_) | MapSource::Id(_) => true,
    }
}

/// Says what is lost with a map that is there and was made by the generation that goes: nothing where it is constant or
/// empty (`none` then), or holds what the manifest of that generation refers to.
fn loss(found: &ObservedMap, none: State) -> (State, Option<Consent>) {
    let count = found.live.as_ref().map(Live::count);
    let map_type = found.info.map_type;
    let is_nothing =
        found.frozen_value.is_some() || count == Some(0) || PASSING.contains(&map_type) || map_type.refers();
    if is_nothing { (none, None) } else { (State::Lost(count), Some(Consent::LoseState)) }
}

/// Maps that hold nothing that stays: what passes through them, or what a plan puts into them.
const PASSING: [MapType; 6] = [
    MapType::PROG_ARRAY,
    MapType::CGROUP_ARRAY,
    MapType::PERF_EVENT_ARRAY,
    MapType::RINGBUF,
    MapType::USER_RINGBUF,
    MapType::STRUCT_OPS,
];

fn span_of(desired: &Desired, node: &Node) -> Option<Span> {
    match node {
        Node::Directory(_) => None,
        Node::Map(name) | Node::Fill(name) | Node::Slots(name) | Node::Entries(name) => {
            desired.maps.get(name).map(|map| map.span.clone())
        }
        Node::Program(name) => desired.programs.get(name).map(|program| program.span.clone()),
        Node::Link(name) => desired.links.get(name).map(|link| link.span.clone()),
    }
}

/// Takes away what the record shows as ours and the manifest does not name any more.
fn removals(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let Some(record) = &observed.record else { return Vec::new() };
    let pins = desired.maps.values().filter_map(|map| map.pin());
    let pins = pins.chain(desired.programs.values().map(|program| &program.pin));
    let pins: Vec<&PinPath> = pins.chain(desired.links.values().map(|link| &link.pin)).collect();
    let kept = pins.iter().map(|pin| pin.as_str()).collect();
    let mut steps = take_away(record, observed, &kept, Because::NotWanted);
    for step in &mut steps {
        // Of a table that stays, a link that is on nothing any more went by itself.
        let went = matches!(&step.action, Action::Detach { link, .. } if desired.templates.contains_key(link.table()));
        step.needs = (!went || step.traffic != Traffic::None).then_some(Consent::Prune);
    }
    steps.extend(folders_without_pins(record, observed, &pins, &steps, Because::NotWanted));
    steps
}

/// Lists the folders outside of the deployment's own that we made, and that are empty after `steps`: no pin of `pins` is
/// in them.
fn folders_without_pins<P: Borrow<PinPath>>(
    record: &Record,
    observed: &Observed,
    pins: &[P],
    steps: &[Step],
    because: Because,
) -> Vec<Step> {
    let gone: BTreeSet<PinPath> = steps.iter().filter_map(|step| step.action.removed_pin().cloned()).collect();
    let needed = |path: &PinPath| pins.iter().any(|pin| pin.borrow().is_below(path));
    empty_folders(made_folders(record, observed).filter(|(path, _)| !needed(path)), &gone, because)
}

/// Lists the folders to make anew for pins outside of the deployment's own that come back: a later generation took them
/// away when nothing was in them any more.
fn lacking_folders(before: &Record, observed: &Observed, pins: &[PinPath]) -> Vec<Step> {
    let made = before.directories.iter().filter_map(|path| as_pin(path));
    let lacking = made
        .filter(|path| pins.iter().any(|pin| pin.is_below(path)) && !observed.directories.contains_key(path))
        .collect::<BTreeSet<_>>();
    let make = |path| restoring(Action::MakeDirectory { path }, Restored::Returns, State::None);
    lacking.into_iter().map(make).collect()
}

/// Removes everything that the record shows as ours, and what interrupted runs left.
///
/// The record goes first, and with it every pin in the deployment's folder: from then on nothing is half there, and
/// what an interruption leaves is cleared by the next run. What is protected stops a destroy by hand.
pub fn destroy(record: Option<&Record>, observed: &Observed, pin_root: &PinPath, by: By) -> Result<Plan, Problems> {
    let mut steps: Vec<Step> = leftovers(observed).collect();
    let record_pin = pin_root.join("record");
    if record.is_none() && current(observed).is_some() {
        return Err(Problem::new(Kind::RecordLost { pin: record_pin }).into());
    }
    if let Some(record) = record {
        steps.push(removal(Action::RemoveRecord { pin: record_pin }, Because::Destroy));
        steps.extend(take_away(record, observed, &BTreeSet::new(), Because::Destroy));
        let gone: BTreeSet<PinPath> = steps.iter().filter_map(|step| step.action.removed_pin().cloned()).collect();
        steps.extend(empty_folders(made_folders(record, observed), &gone, Because::Destroy));
    }
    let left = observed.leftovers.iter().find_map(|leftover| leftover.record.as_ref());
    let name = record.or(left).map_or(pin_root.file_name(), |record| &record.deployment);
    let bad_name = |why| Problem::new(Kind::BadName { text: name.to_owned(), why });
    let deployment = DeploymentName::new(name).map_err(bad_name)?;
    match by {
        By::Hand => guard::check_recorded(record, &steps)?,
        By::Itself => {}
    }
    let current = current(observed).cloned();
    let number = next_number(observed);
    let next = pin_root.generation(number);
    let generations = Generations { current, record: record.cloned().map(Box::new), next, number };
    Ok(explicit(deployment, pin_root, observed, record, generations, steps))
}

/// Makes the plan of an explicit command: nothing more needs to be said than what its steps need.
pub(super) fn explicit(
    deployment: DeploymentName,
    pin_root: &PinPath,
    observed: &Observed,
    record: Option<&Record>,
    generations: Generations,
    steps: Vec<Step>,
) -> Plan {
    let subject =
        Subject { deployment: &deployment, pin_root, desired: None, observed, record, steps: &steps, sweep: None };
    Plan {
        id: subject.id(),
        deployment,
        pin_root: pin_root.clone(),
        mode: Mode::Live,
        generations,
        objects: BTreeMap::new(),
        allow: BTreeSet::new(),
        sweep: None,
        shared: Shared::default(),
        steps,
    }
}

/// Returns to the generation before: its programs and maps are there, and its links are made anew where they are gone.
///
/// `observed` has what [`crate::observed::Wanted::before`] asks for. What is protected stops a rollback by hand, and none
/// that nobody asked for: what ran before has to return then.
pub fn rollback(before: &Record, observed: &Observed, pin_root: &PinPath, by: By) -> Result<Plan, Problems> {
    let before = &with_known_hooks(access::with_known_names(before, observed), observed);
    let (desired, mut problems) = (links_of(before, pin_root)?, Problems::default());
    let mut planner = Planner::new(&desired, observed, Mode::Live);
    planner.may_take_over = by == By::Hand;
    let previous = pin_root.previous();
    for (name, map) in before.maps.iter().filter(|(_, map)| map.created) {
        let (Some(map_name), Some(pin)) = (MapName::recorded(name), map.pin.as_deref().and_then(as_pin)) else {
            continue;
        };
        let place = pin.in_generation(pin_root, &previous);
        let Some(Pinned::Map(found)) = observed.pins.get(&place).filter(|_| observed.inode(&place) == Some(map.inode))
        else {
            problems.push(Problem::new(Kind::NoWayBack { lacks: place }));
            continue;
        };
        if let Some(restored) = planner.restored(&pin, map.inode) {
            planner.maps.insert(map_name.clone(), Fate::Keep(found.info.id));
            let now = observed.pins.get(&pin);
            let action = Action::RestoreMap { map: map_name.clone(), pin, id: found.info.id, restored };
            let mut step = restoring(action, restored, State::Kept);
            if let (Restored::Replaces(_), Some(Pinned::Map(now))) = (restored, now) {
                // What was written since the switch is in that map alone.
                (step.state, step.needs) = loss(now, State::Kept);
            }
            planner.steps.push(step);
            planner.entries_back(before, &map_name, &place, found.info.id, &found.spec);
            planner.variables_back(before, &map_name, &place, found);
        }
    }
    for (name, program) in &before.programs {
        let (Some(program_name), Some(pin)) = (ProgramName::recorded(name), as_pin(&program.pin)) else { continue };
        let place = pin.in_generation(pin_root, &previous);
        let found = observed.pins.get(&place).filter(|_| observed.inode(&place) == Some(program.inode));
        let Some(Pinned::Program(ObservedProgram { info, .. })) = found else {
            problems.push(Problem::new(Kind::NoWayBack { lacks: place }));
            continue;
        };
        if let Some(restored) = planner.restored(&pin, program.inode) {
            planner.programs.insert(program_name.clone(), Fate::Keep(info.id));
            let action = Action::RestoreProgram { program: program_name, pin, id: info.id, restored };
            planner.steps.push(restoring(action, restored, State::None));
        }
    }
    planner.set_variables();
    planner.foreign_maps_of_links(before);
    // Those without a place first, and of the others each behind the one that it is beside.
    let sequences = sequences(&desired.links);
    let placed: BTreeSet<&LinkName> = sequences.values().flatten().copied().collect();
    let free = desired.links.keys().filter(|name| !placed.contains(name));
    for name in free.chain(sequences.values().flatten().copied()) {
        planner.link_step(Arc::clone(&desired.links[name]));
    }
    let shared = planner.shared();
    problems.0.extend(planner.problems.0);
    problems.or(())?;
    let mut steps: Vec<Step> = leftovers(observed).collect();
    let pins: Vec<PinPath> = before.own_pins().map(|(pin, _)| pin).collect();
    steps.extend(lacking_folders(before, observed, &pins));
    steps.extend(planner.steps);
    steps.extend(access::steps(&desired, observed, &steps, Mode::Live)?);
    // A map that was adopted since is its owner's again.
    let foreign = before.pins().filter(|(pin, inode)| observed.inode(pin) == Some(*inode));
    let kept = before.own_pins().chain(foreign).map(|(pin, _)| pin.to_string()).collect::<BTreeSet<_>>();
    let kept = kept.iter().map(String::as_str).collect();
    let now = observed.record.as_ref();
    let removals = now.map(|now| {
        let mut steps = take_away(now, observed, &kept, Because::Rollback);
        for step in &mut steps {
            if let Action::RemoveMap { pin, .. } = &step.action
                && let Some(Pinned::Map(found)) = observed.pins.get(pin)
            {
                (step.state, step.needs) = loss(found, State::None);
            }
        }
        steps.extend(folders_without_pins(now, observed, &pins, &steps, Because::Rollback));
        steps
    });
    let mut record = before.clone();
    // A folder of the later generation that stays, because something of others is in it, is still one that we made.
    let made = now.iter().flat_map(|now| &now.directories).filter(|path| !before.directories.contains(path));
    record.directories.extend(made.cloned());
    let owned = entries::keep_anew(&mut record, observed, pin_root);
    steps.iter().for_each(|step| record_link(&mut record, &step.action, observed));
    // What a manifest said of the links is not on the host to be read.
    access::keep(&mut record, before);
    guard::keep(&mut record, before);
    if let (By::Hand, Some(now)) = (by, now) {
        guard::keep(&mut record, now);
    }
    steps.push(Step {
        action: Action::WriteRecord {
            pin: pin_root.join("record"),
            record: Box::new(record),
            owned,
            generation: next_number(observed),
            replaces: number(observed),
        },
        because: Because::Rollback,
        span: None,
        traffic: Traffic::None,
        state: State::None,
        needs: None,
    });
    steps.extend(removals.unwrap_or_default());
    match by {
        By::Hand => guard::check_recorded(now, &steps)?,
        By::Itself => {}
    }
    let plan = explicit(desired.name, pin_root, observed, now, generations(observed, pin_root), steps);
    Ok(Plan { shared, ..plan })
}

fn as_pin(text: &str) -> Option<PinPath> {
    PinPath::new(text).ok()
}

fn restoring(action: Action, restored: Restored, kept: State) -> Step {
    let because = if restored == Restored::Stays { Because::Unchanged } else { Because::Rollback };
    Step { action, because, span: None, traffic: Traffic::None, state: kept, needs: None }
}

/// Leaves out the links of a record of which the host decides, and for which it has no place now.
fn with_known_hooks(mut record: Record, observed: &Observed) -> Record {
    let Record { links, templates, .. } = &mut record;
    let may_lack = |name: &str| {
        let template = LinkName::recorded(name).and_then(|name| templates.get(name.table()));
        template.is_some_and(|template| template.optional || template.has_pattern())
    };
    links.retain(|name, link| !observed.lacks_hook(&link.hook) || !may_lack(name));
    record
}

/// Returns the links of a record as if a manifest asked for them, and nothing else.
fn links_of(record: &Record, pin_root: &PinPath) -> Result<Desired, Problems> {
    let bad_name = |why| Problem::new(Kind::BadName { text: record.deployment.clone(), why });
    let name = DeploymentName::new(&record.deployment).map_err(bad_name)?;
    let links = record.links.iter().filter_map(|(name, link)| {
        let (name, pin) = (LinkName::recorded(name)?, as_pin(&link.pin)?);
        let program = match &link.program {
            Some(program) => Some(ProgramName::recorded(program)?),
            None => None,
        };
        let (hook, order) = (link.hook.clone(), link.order.clone());
        let link = DesiredLink { name: name.clone(), pin, program, hook, order, span: 0..0 };
        Some((name, Arc::new(link)))
    });
    Ok(Desired {
        name,
        pin_root: pin_root.clone(),
        bpffs: pin_root.clone(),
        objects: BTreeMap::new(),
        maps: BTreeMap::new(),
        programs: BTreeMap::new(),
        links: links.collect(),
        templates: BTreeMap::new(),
        absent: Vec::new(),
        policy: Policy {
            access: record.accesses().map(|(of, _, access)| (of, access.clone())).collect(),
            ..Policy::default()
        },
    })
}

fn removal(action: Action, because: Because) -> Step {
    let traffic = if matches!(action, Action::Detach { .. }) { Traffic::Stops } else { Traffic::None };
    let state = if matches!(action, Action::RemoveMap { .. }) { State::Lost(None) } else { State::None };
    Step { action, because, span: None, traffic, state, needs: None }
}

/// Lists removals of what the record has beyond `kept`: links first, then programs, then maps.
///
/// A pin that is gone, or that is another one than the one we made, is left alone, unless what it is tells that it is
/// ours.
fn take_away(record: &Record, observed: &Observed, kept: &BTreeSet<&str>, because: Because) -> Vec<Step> {
    let mut steps = Vec::new();
    let wanted = |pin: &str| match PinPath::new(pin) {
        Ok(path) if !kept.contains(pin) => observed.pins.get(&path).map(|pinned| (path, pinned)),
        Ok(_) | Err(_) => None,
    };
    for (name, link) in &record.links {
        if let (Some((pin, Pinned::Link(found))), Some(name)) = (wanted(&link.pin), LinkName::recorded(name))
            && (observed.inode(&pin) == Some(link.inode) || runs_ours(observed, found))
        {
            let action = Action::Detach { link: name, pin, id: found.id, hook: link.hook.to_string() };
            let mut step = removal(action, because.clone());
            if !found.is_attached {
                step.traffic = Traffic::None;
            }
            steps.push(step);
        }
    }
    for (name, program) in &record.programs {
        if let (Some((pin, Pinned::Program(found))), Some(name)) = (wanted(&program.pin), ProgramName::recorded(name))
            && (observed.inode(&pin) == Some(program.inode) || found.fingerprints.contains_key(name.as_str()))
        {
            let action = Action::RemoveProgram { program: name, pin, id: found.info.id };
            steps.push(removal(action, because.clone()));
        }
    }
    for (name, map) in record.maps.iter().filter(|(_, map)| map.created) {
        let pinned = map.pin.as_deref().and_then(wanted);
        if let (Some((pin, Pinned::Map(found))), Some(name)) = (pinned, MapName::recorded(name))
            && observed.inode(&pin) == Some(map.inode)
        {
            let id = found.info.id;
            steps.push(removal(Action::RemoveMap { map: name, pin, id }, because.clone()));
        }
    }
    steps
}

/// Returns the folders outside of the deployment's own that are there and that we made, with what is in them.
fn made_folders<'a>(record: &Record, observed: &'a Observed) -> impl Iterator<Item = (&'a PinPath, &'a Vec<Entry>)> {
    let made: BTreeSet<&str> = record.directories.iter().map(String::as_str).collect();
    observed.directories.iter().filter(move |(path, _)| made.contains(path.as_str()))
}

/// Lists the folders that are empty once the pins `gone` are, the inner ones first.
fn empty_folders<'a>(
    folders: impl Iterator<Item = (&'a PinPath, &'a Vec<Entry>)>,
    gone: &BTreeSet<PinPath>,
    because: Because,
) -> Vec<Step> {
    let mut gone = gone.clone();
    let mut folders: Vec<_> = folders.collect();
    folders.sort_by_key(|(path, _)| std::cmp::Reverse(path.as_str().matches('/').count()));
    let mut steps = Vec::new();
    for (path, names) in folders {
        if names.iter().all(|entry| gone.contains(&path.child(&entry.name))) {
            gone.insert(path.clone());
            let action = Action::RemoveDirectory { path: path.clone() };
            steps.push(removal(action, because.clone()));
        }
    }
    steps
}

/// Returns the step that writes the record when it has something new to say.
pub(super) fn write_record<'a>(
    desired: &Desired,
    observed: &Observed,
    steps: impl Iterator<Item = &'a Step> + Clone,
) -> Option<Step> {
    let is_change = |step: &Step| {
        // To clear what was left changes nothing of what runs.
        let is_rest = matches!(step.action, Action::ClearLeftover { .. } | Action::FinishCopy { .. });
        step.action.marker() != super::Marker::Reuse && !is_rest
    };
    let changes = steps.clone().any(is_change);
    let made = expected_record(desired, observed, steps);
    let before = observed.record.as_ref();
    if before.is_none() && !desired.makes_something() {
        return None;
    }
    let what = |record: &Record| {
        let Record { objects, maps, programs, links, templates, .. } = record;
        (objects, maps, programs) == (&made.objects, &made.maps, &made.programs)
            && (links, templates) == (&made.links, &made.templates)
    };
    let same = before.is_some_and(what);
    if !changes && same {
        return None;
    }
    let because = if before.is_some() { Because::PlanChanges } else { Because::Missing };
    let action = Action::WriteRecord {
        pin: desired.pin_root.join("record"),
        owned: entries::to_keep(&made, &desired.maps),
        record: Box::new(made),
        generation: next_number(observed),
        // Without a record there is nothing to go back to.
        replaces: before.and(number(observed)),
    };
    Some(Step { action, because, span: None, traffic: Traffic::None, state: State::None, needs: None })
}

/// Makes the record as it will be; inodes of what is made, and the programs of new links, are 0 until apply knows them.
fn expected_record<'a>(desired: &Desired, observed: &Observed, steps: impl Iterator<Item = &'a Step>) -> Record {
    let inode = |pin: &PinPath| observed.inode(pin).unwrap_or(0);
    let mut record = Record {
        format: crate::record::FORMAT,
        deployment: desired.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        directories: observed.record.iter().flat_map(|record| record.directories.clone()).collect(),
        ..Record::default()
    };
    let templates = desired.templates.iter().map(|(name, table)| (name.to_string(), table.template.clone()));
    record.templates.extend(templates);
    let recorded = |object: &ObjectFacts| RecordedObject { path: object.path.clone(), sha256: object.sha256 };
    record.objects =
        desired.objects.iter().map(|(name, object)| (name.as_str().to_owned(), recorded(object))).collect();
    // Steps are nearly sorted by name: a map that is made at once is smaller, and sooner done, than one that grows.
    let (mut maps, mut programs) = (Vec::new(), Vec::new());
    let mut set = BTreeSet::new();
    for step in steps {
        match &step.action {
            Action::SetAccess { of, .. } => drop(set.insert(of)),
            Action::MakeDirectory { path } if !path.is_below(&desired.pin_root) => {
                record.directories.push(path.to_string());
            }
            Action::ReuseMap { map, id, ours } => {
                let recorded = match &map.source {
                    MapSource::Defined(definition) => {
                        let before = observed.record.as_ref().and_then(|record| record.maps.get(map.name.as_str()));
                        let inner = before.and_then(|before| before.inner.clone());
                        let ids = before.map(|before| before.ids.clone()).unwrap_or_default();
                        // What a map started with, that stays.
                        let seeds = || before.and_then(|before| before.entries.clone().filter(is_seed));
                        let entries = recorded_entries(map, desired, observed).filter(|_| *ours);
                        let entries = entries.filter(|entries| !is_seed(entries)).or_else(seeds);
                        RecordedMap {
                            inner,
                            ids,
                            entries,
                            ..recorded_map(definition, inode(&definition.pin), *ours, observed)
                        }
                    }
                    MapSource::Pinned(pin) => {
                        RecordedMap { pin: Some(pin.to_string()), inode: inode(pin), ..RecordedMap::default() }
                    }
                    MapSource::Id(_) => RecordedMap { id: Some(*id), ..RecordedMap::default() },
                };
                maps.push((map.name.as_str().to_owned(), recorded));
            }
            Action::CreateMap { map, .. } => {
                if let MapSource::Defined(definition) = &map.source {
                    let entries = recorded_entries(map, desired, observed);
                    let recorded = RecordedMap { entries, ..recorded_map(definition, 0, true, observed) };
                    maps.push((map.name.as_str().to_owned(), recorded));
                }
            }
            Action::ReuseProgram { program, .. } => {
                let recorded = recorded_program(program, inode(&program.pin));
                programs.push((program.name.as_str().to_owned(), recorded));
            }
            Action::LoadProgram { program, .. } => {
                programs.push((program.name.as_str().to_owned(), recorded_program(program, 0)));
            }
            Action::ReuseLink { .. } | Action::UpdateLink { .. } | Action::Attach { .. } | Action::Reattach { .. } => {
                record_link(&mut record, &step.action, observed)
            }
            Action::RestoreMap { .. } | Action::RestoreProgram { .. } | Action::Skip { .. } => {}
            Action::RemoveDirectory { path } => record.directories.retain(|made| made != path.as_str()),
            Action::ClearLeftover { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::CopyEntries { .. }
            | Action::CatchUp { .. }
            | Action::FinishCopy { .. }
            | Action::FillMap { .. }
            | Action::FillSlots { .. }
            | Action::WriteEntries { .. }
            | Action::SetVariables { .. }
            | Action::Detach { .. }
            | Action::RemoveProgram { .. }
            | Action::RemoveMap { .. }
            | Action::WriteRecord { .. }
            | Action::RemoveRecord { .. } => {}
        }
    }
    (record.maps, record.programs) = (maps.into_iter().collect(), programs.into_iter().collect());
    guard::write(&mut record, &desired.policy.protect, observed.record.as_ref());
    access::write(&mut record, desired, observed, &set);
    record
}

/// Records the link of a step; its inode and program are 0 where only apply knows them.
fn record_link(record: &mut Record, action: &Action, observed: &Observed) {
    let (link, recorded) = match action {
        Action::ReuseLink { link, .. } | Action::UpdateLink { link, .. } => {
            let Some(Pinned::Link(found)) = observed.pins.get(&link.pin) else { return };
            // An updated link runs a program that apply knows; without a link, another program has another mark.
            let stays = matches!(action, Action::ReuseLink { .. });
            let inode = observed.inode(&link.pin).filter(|_| stays || found.id != 0).unwrap_or(0);
            let program = if stays { found.program_id } else { 0 };
            let before = observed.record.as_ref().and_then(|record| record.links.get(link.name.as_str()));
            // What stays is where it was; what nobody recorded is where the manifest says.
            let netns = before.map_or_else(|| netns_of(&link.hook, observed), |before| before.netns);
            let recorded = recorded_link(link, inode, At { hook: found.hook.clone(), netns }, program);
            // What is before it is read anew with each record, and is no reason for one.
            let ahead = before.map(|before| before.ahead.clone()).unwrap_or_default();
            let now = link.hook.event().and_then(|event| observed.events.get(event)?.ok()?.file());
            let file = before.map_or(now, |before| before.file);
            (link, RecordedLink { ahead, file, ..recorded })
        }
        Action::Attach { link, hook, .. } | Action::Reattach { link, hook, .. } => {
            (link, RecordedLink { file: hook.file(), ..recorded_link(link, 0, at(&link.hook, hook), 0) })
        }
        Action::ClearLeftover { .. }
        | Action::MountBpffs { .. }
        | Action::MakeDirectory { .. }
        | Action::ReuseMap { .. }
        | Action::CreateMap { .. }
        | Action::FillMap { .. }
        | Action::FillSlots { .. }
        | Action::SetAccess { .. }
        | Action::CopyEntries { .. }
        | Action::CatchUp { .. }
        | Action::FinishCopy { .. }
        | Action::WriteEntries { .. }
        | Action::SetVariables { .. }
        | Action::ReuseProgram { .. }
        | Action::LoadProgram { .. }
        | Action::RestoreMap { .. }
        | Action::RestoreProgram { .. }
        | Action::Detach { .. }
        | Action::RemoveProgram { .. }
        | Action::RemoveMap { .. }
        | Action::RemoveDirectory { .. }
        | Action::WriteRecord { .. }
        | Action::Skip { .. }
        | Action::RemoveRecord { .. } => return,
    };
    record.links.insert(link.name.to_string(), recorded);
}

/// Digests what fills the slots of a map, by name; `None` for a map that nobody fills.
fn slots_image(definition: &MapDefinition) -> Option<Digest> {
    if definition.slots.is_empty() || definition.operations.is_some() {
        return None;
    }
    let mut image = String::new();
    for (key, source) in &definition.slots {
        key.bytes().iter().for_each(|byte| write!(image, "{byte:02x}").expect("a String takes all"));
        write!(image, " = {source}").expect("a String takes all");
        image.push('\n');
    }
    Some(Digest::of(image.as_bytes()))
}

/// Returns the ids of the cgroups in a map's slots: one of the same name may be another one.
fn cgroups_of(definition: &MapDefinition, observed: &Observed) -> BTreeMap<String, u64> {
    let cgroup = |source: &SlotSource| match source {
        SlotSource::Cgroup(path) => observed.cgroups.get(path).map(|(_, id)| (path.clone(), *id)),
        SlotSource::Map(_) | SlotSource::Program(_) => None,
    };
    definition.slots.values().filter_map(cgroup).collect()
}

fn recorded_map(definition: &MapDefinition, inode: u64, created: bool, observed: &Observed) -> RecordedMap {
    let image = match (&definition.data, &definition.operations) {
        (Some((DataKind::Data, _)), _) if definition.is_live() => {
            definition.first_contents().map(|first| Digest::of(&first))
        }
        (Some((DataKind::Data, data)), _) => Some(Digest::of(data)),
        (None, Some(operations)) => Some(Digest::of(&operations.bytes)),
        (Some((DataKind::Rodata | DataKind::Bss, _)), _) | (None, None) => None,
    };
    let inner = definition.spec.inner.as_deref().map(RecordedInner::of);
    let (pin, sensitive, formats) =
        (Some(definition.pin.as_str().to_owned()), definition.sensitive, definition.formats.clone());
    let (slots, cgroups) = (slots_image(definition), cgroups_of(definition, observed));
    let variables = if created && definition.is_live() { definition.variables.clone() } else { BTreeMap::new() };
    RecordedMap {
        pin,
        inode,
        created,
        image,
        slots,
        cgroups,
        variables,
        inner,
        sensitive,
        formats,
        ..RecordedMap::default()
    }
}

fn is_seed(entries: &RecordedEntries) -> bool {
    entries.mode == EntriesMode::Seed
}

/// Records the entries that the manifest gives a map.
fn recorded_entries(map: &DesiredMap, desired: &Desired, observed: &Observed) -> Option<RecordedEntries> {
    let (_, contents) = map.contents()?;
    Some(entries::recorded(&map.name, contents, &desired.pin_root, observed))
}

fn recorded_program(program: &DesiredProgram, inode: u64) -> RecordedProgram {
    let maps = program.uses().into_iter().map(|name| name.as_str().to_owned()).collect();
    RecordedProgram { pin: program.pin.as_str().to_owned(), inode, maps, protect: None, access: Access::default() }
}

/// Returns the inode of the network namespace that a hook is in.
fn netns_of(hook: &Hook, observed: &Observed) -> Option<u64> {
    match hook.anchor() {
        Anchor::Interface(name, netns) => observed.interface(name, netns).map(|found| found.netns),
        Anchor::Netns(netns) => observed.namespaces.get(netns).map(|found| found.inode),
        Anchor::Cgroup(_) | Anchor::Map(_) | Anchor::Event(_) => None,
    }
}

fn recorded_link(link: &DesiredLink, inode: u64, at: At, program_id: u32) -> RecordedLink {
    RecordedLink {
        pin: link.pin.to_string(),
        inode,
        program: link.program.as_ref().map(ToString::to_string),
        program_id,
        hook: link.hook.clone(),
        order: link.order.clone(),
        at: at.hook,
        netns: at.netns,
        file: None,
        ahead: Vec::new(),
        protect: None,
        access: Access::default(),
    }
}

/// Returns where a link will be once it is there; with 0 for what an offline plan does not know.
fn at(hook: &Hook, resolved: &ResolvedHook) -> At {
    let (place, cgroup_id, netns, map_id) = match resolved {
        ResolvedHook::Direct(at, _) => {
            let hook = HookInfo::Direct(at.clone());
            return At { netns: hook.netns(), hook };
        }
        ResolvedHook::Interface(place) => (*place, 0, place.map(|place| place.netns), 0),
        ResolvedHook::Cgroup(cgroup) => (None, cgroup.as_ref().map_or(0, |(_, id)| *id), None, 0),
        ResolvedHook::Netns(inode) => (None, 0, *inode, 0),
        ResolvedHook::Map(id) => (None, 0, None, id.unwrap_or(0)),
        ResolvedHook::Event(_) => (None, 0, None, 0),
    };
    let ifindex = place.and_then(|place| place.index_of(hook.attach_type())).unwrap_or(0);
    let hook = match hook {
        Hook::Xdp { .. } => HookInfo::Xdp { ifindex },
        Hook::Tc { attach_type, .. } => HookInfo::Tcx { ifindex, attach_type: *attach_type },
        Hook::Netkit { attach_type, .. } => HookInfo::Netkit { ifindex, attach_type: *attach_type },
        Hook::Cgroup { attach_type, .. } => HookInfo::Cgroup { cgroup_id, attach_type: *attach_type },
        Hook::Lwt { netns, point, route, .. } => {
            let device = place.map(|place| ways::device(netns, &place)).unwrap_or_default();
            HookInfo::Direct(Direct::Route(Route { device, point: *point, wish: *route }))
        }
        Hook::Netns { attach_type, .. } => HookInfo::Netns { inode: netns.unwrap_or(0), attach_type: *attach_type },
        Hook::Netfilter { hook, .. } => HookInfo::Netfilter(*hook),
        Hook::Sockmap { attach_type, .. } => HookInfo::Sockmap { map_id, attach_type: *attach_type },
        Hook::StructOps { .. } => HookInfo::StructOps { map_id },
        // Only the link that is there says more: it is read when it was made.
        Hook::Trace(_) => HookInfo::Event(EventInfo::Perf(None)),
    };
    At { hook, netns }
}

fn other_event(on: &impl std::fmt::Display) -> Because {
    Because::HookChanged(format!("it is on {on}"))
}

/// Says what of an event is not there.
fn no_event(event: &Event, lack: EventLack) -> Kind {
    let (event, why, hint) = (event.to_string(), lack.why().to_owned(), lack.hint());
    match lack {
        EventLack::Lsm => Kind::NoSuchLink { hook: event, since: hint.unwrap_or_default() },
        EventLack::Tracepoint | EventLack::Tracefs | EventLack::File | EventLack::Format | EventLack::Symbol => {
            Kind::NoEvent { event, why, hint }
        }
    }
}
