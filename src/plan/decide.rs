//! Decides what to do with each thing: keep it, make it, change it, take it away. Links, entries, what goes away, the way
//! back and the record have files of their own.
//!
//! Two facts travel along the graph: a map that must be made anew makes its programs new, and a program that is
//! new makes the prog arrays new that hold it, since a live prog array is never refilled, and the extensions of it.

mod back;
mod entries;
mod links;
mod record;
mod references;
mod removals;
mod renames;
mod takeover;
mod variables;
mod ways;

pub use back::{destroy, rollback};

pub(super) use back::explicit;
pub(super) use record::write_record;

use self::record::{cgroups_of, slots_image};
use self::removals::{removal, removals};
use self::renames::renamed;
use super::graph::{self, Node};
use super::id::Subject;
use super::places::Arrangement;
use super::{
    Action, Alive, Because, Consent, Copying, Generations, Mode, Plan, Replaced, Restored, State, Step, Traffic,
};
use super::{access, guard, migrate};
use crate::desired::{Desired, DesiredMap, DesiredProgram, Hook, MapDefinition, MapSource, OnChange, SlotSource, Span};
use crate::diag::{Kind, Problem, Problems};
use crate::direct::Filter;
use crate::elf::DataKind;
use crate::entries::{slot_id, slots_of};
use crate::kinds::MapType;
use crate::migrate::Migration;
use crate::names::{Address, Digest, MapName, PinPath, ProgramName};
use crate::observed::{
    Entry, EntryKind, LinkInfo, Observed, ObservedMap, ObservedProgram, Pinned, Root, UnfinishedCopy,
};
use crate::record::{Record, RecordedMap};
use crate::spec::{Compare, Difference, MapSpec, differences};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
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
    let seen = observed;
    let (named, renames) = renamed(desired, seen);
    let observed = &*named;
    let mut planner = Planner::new(desired, observed, mode);
    planner.decide_root();
    planner.check_rooms();
    planner.decide_maps();
    planner.decide_programs();
    planner.spread();
    let pairs = planner.givers();
    // Where that is a circle, as of an exchange, the links say what is in the way.
    let order = match pairs.is_empty() {
        true => order,
        false => graph::of_with(desired, &pairs).order().unwrap_or(order),
    };
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
    steps.splice(0..0, first.into_iter().chain(leftovers(observed)).chain(renames));
    steps.extend(restored_pins(observed, &steps));
    steps.extend(access::steps(desired, observed, &steps, mode)?);
    let removals = removals(desired, observed);
    // What goes away does so behind the switch.
    let record = write_record(desired, observed, steps.iter().chain(&removals));
    steps.extend(record);
    steps.extend(removals);
    let late = catch_ups(&steps);
    steps.extend(late);
    guard::check(desired, observed, &steps)?;
    let sweep = guard::sweep(desired, observed.record.as_ref(), &steps);
    let (deployment, pin_root, record) = (&desired.name, &desired.pin_root, seen.record.as_ref());
    let subject =
        Subject { deployment, pin_root, desired: Some(desired), observed: seen, record, steps: &steps, sweep };
    Ok(Plan {
        id: subject.id(),
        deployment: desired.name.clone(),
        pin_root: desired.pin_root.clone(),
        mode,
        generations: generations(seen, &desired.pin_root),
        objects: desired.objects.clone(),
        allow: desired.policy.allow.clone(),
        given: BTreeSet::new(),
        sweep,
        shared,
        steps,
        verdicts: None,
        traffic: None,
        awaits_tests: false,
    })
}

/// Gives what stays its pin again, where only the second one in the deployment's folder is left.
fn restored_pins(observed: &Observed, steps: &[Step]) -> Vec<Step> {
    let kept = steps.iter().filter_map(|step| Some((step, access::kept_pin(&step.action)?)));
    let lost = kept.filter(|(step, pin)| observed.unnamed.contains_key(pin) && step.action.changed_pin() != Some(*pin));
    let again = lost.map(|(step, pin)| Step {
        action: Action::RestorePin { of: step.action.address(), pin: pin.clone() },
        because: Because::Unpinned { alive: None },
        span: step.span.clone(),
        traffic: Traffic::None,
        state: State::None,
        needs: None,
    });
    again.collect()
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
    let number = next_number(observed, pin_root);
    let second = observed.unnamed.keys().chain(&observed.displaced).cloned().collect();
    Generations { current, record, next: pin_root.generation(number), number, second }
}

pub(super) fn current(observed: &Observed) -> Option<&PinPath> {
    match &observed.root {
        Root::Generation(path) => Some(path),
        Root::Missing | Root::Foreign => None,
    }
}

/// Returns the number of the generation that runs.
fn number(observed: &Observed, pin_root: &PinPath) -> Option<u64> {
    current(observed).map(|path| path.generation_number(pin_root).unwrap_or(0))
}

/// Returns a number that no generation has: what is left of one that was begun stays until the next one runs.
fn next_number(observed: &Observed, pin_root: &PinPath) -> u64 {
    let left = observed.leftovers.iter().filter_map(|leftover| leftover.path.generation_number(pin_root));
    number(observed, pin_root).map_or(1, |number| left.fold(number, u64::max).saturating_add(1))
}

/// Clears what interrupted runs left, before anything else: it may be on a hook that has room for one program.
pub(super) fn leftovers(observed: &Observed) -> impl Iterator<Item = Step> {
    observed.leftovers.iter().map(|leftover| {
        let leaves = |link: &&LinkInfo| link.is_attached && !runs_now(observed, link);
        let links: Vec<&LinkInfo> = leftover.links.iter().filter(leaves).collect();
        let taken = leftover.taken.iter().filter(|(link, _)| leaves(&link));
        let taken = taken.map(|(link, id)| format!("program id {id} on {}", link.hook));
        Step {
            because: Because::Interrupted { taken: taken.collect() },
            action: Action::ClearLeftover {
                path: leftover.path.clone(),
                record: leftover.record.clone().map(Box::new),
                kept: leftover.kept,
                links: links.len(),
            },
            span: None,
            traffic: if links.is_empty() { Traffic::None } else { Traffic::Stops },
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
        if let Some(problem) = self.observed.root.gone(&self.observed.leftovers, root) {
            return self.problems.push(problem);
        }
        let by = match self.observed.root {
            Root::Generation(_) if self.lacks_record() => {
                return self.problems.push(Problem::new(Kind::RecordLost { pin: root.join("record") }));
            }
            _ if !self.desired.makes_something() => return,
            _ if root == bpffs => "the bpffs itself: name a folder below it",
            Root::Missing | Root::Generation(_) => return,
            Root::Foreign if listed.is_some_and(Vec::is_empty) => {
                let action = Action::RemoveDirectory { path: root.clone() };
                return self.steps.push(removal(action, Because::PlanChanges(Vec::new())));
            }
            Root::Foreign => "a folder that is no deployment's: take away what is in it, or name another by `pin_root`",
        };
        self.problems.push(Problem::new(Kind::PinTaken { pin: root.clone(), by: by.to_owned() }));
    }

    fn decide_maps(&mut self) {
        for map in self.desired.maps.values() {
            let fate = match &map.source {
                MapSource::Defined(definition) => self.decide_map(map, definition),
                MapSource::Pinned(pin) if self.observed.unnamed.contains_key(pin) => {
                    let text = "it was this deployment's, and only its name in there is left: apply it once more as that, \
                                which pins it here again";
                    let problem = Problem::at(Kind::NoSuchPin { pin: pin.clone() }, map.span.clone(), text);
                    self.problems.push(problem);
                    None
                }
                MapSource::Pinned(pin) if let Some(ours) = self.own_map_at(pin) => {
                    let kind = Kind::ForeignPinIsOurs { pin: pin.clone(), ours: format!("map.{ours}") };
                    let text = "this deployment made it, and it goes with its folder: keep the table that defines it";
                    self.problems.push(Problem::at(kind, map.span.clone(), text));
                    None
                }
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

    /// Returns the name of the map that we made and that is pinned there, in the deployment's folder. As somebody else's it
    /// would outlive a destroy, in a folder that has the deployment's name.
    fn own_map_at(&self, pin: &PinPath) -> Option<&'a str> {
        let maps = &self.observed.record.as_ref()?.maps;
        let inode = self.observed.inode(pin).filter(|_| pin.is_below(&self.desired.pin_root))?;
        let is_it = |map: &RecordedMap| map.created && map.inode == inode && map.pin.as_deref() == Some(pin.as_str());
        maps.iter().find_map(|(name, map)| is_it(map).then_some(name.as_str()))
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
            let differences = differences(&found.spec, &user.spec, Compare::User, &self.observed.host);
            self.problems.0.extend(user.misfit(map, differences, "the map that is there"));
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
        // Nobody said whose it is: to use it as somebody else's would lose ours without a word.
        if !definition.adopt && self.lost_its_place(map, &definition.pin, id) {
            let by = format!("map id {id} `{}`, which took the place of ours", found.info.name);
            let kind = Kind::PinTaken { pin: definition.pin.clone(), by };
            self.problems.push(Problem::at(kind, map.span.clone(), format!("map.{} was there", map.name)));
            return None;
        }
        // A map has one owner: two would take it from each other.
        if let (true, Some(owner)) = (definition.adopt, self.owner_of(map)) {
            let by = format!("map id {id} `{}` of the deployment `{owner}`, which owns it", found.info.name);
            let kind = Kind::PinTaken { pin: definition.pin.clone(), by };
            self.problems.push(Problem::at(kind, map.span.clone(), format!("map.{} is to be ours", map.name)));
            return None;
        }
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
        // What variables start with matters only to new ones: the others keep what they hold.
        if differs.is_empty() && definition.on_change == OnChange::Migrate && definition.is_live() {
            return Some(Fate::Keep(id));
        }
        // A map that holds what the manifest says has nothing to be copied, nor has one that holds constants.
        if definition.on_change == OnChange::Migrate && !definition.is_exact() && holds_state(map) {
            self.check_unset(map, definition);
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
        let (name, pin) = (map.name.clone(), definition.pin.clone());
        let kind = Kind::MapChanged { map: name, pin, id, ours, differences: differs };
        self.problems.push(Problem::at(kind, map.span.clone(), "defined here"));
    }

    fn recorded(&self, map: &DesiredMap) -> Option<&'a RecordedMap> {
        self.observed.recorded_map(map)
    }

    /// Returns whether we made the map, as far as the record knows.
    fn is_ours(&self, map: &DesiredMap) -> bool {
        let recorded = self.recorded(map);
        let inode = map.pin().and_then(|pin| self.observed.inode(pin));
        recorded.is_some_and(|recorded| recorded.created && Some(recorded.inode) == inode)
    }

    /// Returns whether a program of ours uses a map: whoever pins that one anew puts no other in the place of ours.
    fn is_used(&self, map: u32) -> bool {
        let programs = self.observed.record.iter().flat_map(|record| record.programs.values());
        let mut pinned = programs.filter_map(|program| self.observed.pins.get(&as_pin(&program.pin)?));
        pinned.any(|pinned| matches!(pinned, Pinned::Program(found) if found.info.map_ids.contains(&map)))
    }

    /// Returns whether somebody put another map in the place of the one that we made.
    fn is_replaced(&self, map: &DesiredMap, pin: &PinPath) -> bool {
        let Some(now) = self.observed.inode(pin) else { return false };
        self.made_at(map, pin).is_some_and(|recorded| recorded.inode != now)
    }

    /// Returns whether the map with this id took the place of the one that we made, and is another one.
    fn lost_its_place(&self, map: &DesiredMap, pin: &PinPath, id: u32) -> bool {
        self.is_replaced(map, pin) && !self.is_used(id)
    }

    /// Returns whether the map that we made goes, with what it holds, as the one that took its place is taken over.
    fn gives_up(&self, map: &DesiredMap, id: u32) -> bool {
        let holds = holds_state(map) && !self.was_exact(map);
        // Outside of the deployment's folder it has a second name in there.
        let is_there = |pin: &PinPath| !pin.is_below(&self.desired.pin_root) || self.lives_on(map);
        map.pin().is_some_and(|pin| self.lost_its_place(map, pin, id) && is_there(pin)) && holds
    }

    /// Returns the other deployment that made the map.
    fn owner_of(&self, map: &DesiredMap) -> Option<&'a String> {
        self.observed.owners.get(map.pin()?)
    }

    /// Returns what the record says of a map that we made, and pinned there.
    fn made_at(&self, map: &DesiredMap, pin: &PinPath) -> Option<&'a RecordedMap> {
        let is_made = |recorded: &&RecordedMap| recorded.created && recorded.inode != 0;
        self.recorded(map).filter(is_made).filter(|recorded| recorded.pin.as_deref() == Some(pin.as_str()))
    }

    /// Returns whether the map that we made lost its pin, and lives on in programs of ours that run: what it holds goes
    /// when they are replaced. A record that was made anew knows nothing of it; then its name tells.
    fn lives_unpinned(&self, map: &DesiredMap) -> bool {
        let MapSource::Defined(definition) = &map.source else { return false };
        let is_unpinned = !self.observed.pins.contains_key(&definition.pin);
        let lives_on = match self.recorded(map) {
            Some(_) => self.made_at(map, &definition.pin).is_some() && self.lives_on(map),
            None => self.may_be(definition).next().is_some(),
        };
        is_unpinned && lives_on
    }

    /// Returns a map that lost its pin, as long as one alone of those that programs of ours run with can be it: the one that
    /// fits, or where none does, as its definition changed meanwhile, the one of its name.
    fn alive(&self, map: &DesiredMap) -> Option<Alive> {
        let MapSource::Defined(definition) = &map.source else { return None };
        let of_name = self.may_be(definition);
        let of_name: Vec<_> =
            of_name.map(|it| (it.info.id, self.differences(map, definition, it).is_empty())).collect();
        let some_fit = of_name.iter().any(|(_, fits)| *fits);
        let mut found = of_name.into_iter().filter(|(_, fits)| *fits == some_fit);
        let (id, fits) = found.next().filter(|_| found.next().is_none())?;
        let pin = definition.pin.clone();
        let folder = pin.parent().filter(|folder| !self.observed.directories.contains_key(folder));
        Some(Alive { id, pin, folder, fits })
    }

    /// Lists the maps without a pin that programs of ours run with under the name of this one.
    fn may_be(&self, definition: &MapDefinition) -> impl Iterator<Item = &'a ObservedMap> {
        let is_named = |found: &&ObservedMap| found.info.name == definition.kernel_name;
        self.observed.nameless.values().filter(is_named).filter(|found| self.is_used(found.info.id))
    }

    /// Returns whether programs of ours that are there run with the map that we made, whatever became of its pin.
    fn lives_on(&self, map: &DesiredMap) -> bool {
        let Some(record) = &self.observed.record else { return false };
        let is_pinned = |pin: &str, inode: u64| as_pin(pin).is_some_and(|pin| self.observed.inode(&pin) == Some(inode));
        let is_run = |name: &String| {
            let links = record.links.values().filter(|link| link.program.as_ref() == Some(name));
            links.into_iter().any(|link| is_pinned(&link.pin, link.inode))
        };
        let users =
            record.programs.iter().filter(|(_, program)| program.maps.iter().any(|used| **used == *map.name.as_str()));
        users.into_iter().any(|(name, program)| is_pinned(&program.pin, program.inode) || is_run(name))
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
            false if self.observed.directories.contains_key(&path) && !self.goes_first(&path) => return,
            false => Action::MakeDirectory { path },
        };
        let (because, traffic, state) = (Because::NeededBelow, Traffic::None, State::None);
        self.steps.push(Step { action, because, span: None, traffic, state, needs: None });
    }

    /// Returns whether a folder goes with what a killed run left: nothing else came into it since.
    fn goes_first(&self, folder: &PinPath) -> bool {
        let has = |record: &Record| record.directories.iter().any(|made| made == folder.as_str());
        if self.observed.record.as_ref().is_some_and(has) || !self.observed.begun().any(|(_, record)| has(record)) {
            return false;
        }
        let left = self.observed.begun().flat_map(|(_, record)| record.made_pins());
        let left: BTreeSet<_> = left.flat_map(|(pin, inode)| [(pin.passing(), inode), (pin, inode)]).collect();
        let goes = |entry: &Entry| {
            let path = folder.child(&entry.name);
            match entry.kind {
                EntryKind::Folder => self.goes_first(&path),
                EntryKind::Pin | EntryKind::Symlink => {
                    left.contains(&(path.clone(), entry.inode)) && !self.observed.displaced.contains(&path)
                }
            }
        };
        self.observed.directories.get(folder).is_none_or(|entries| entries.iter().all(goes))
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
                    MapSource::Defined(definition) if definition.adopt => {
                        (true, Because::TakenOver { instead: self.gives_up(&map, id) })
                    }
                    MapSource::Defined(_) | MapSource::Pinned(_) | MapSource::Id(_) => {
                        (false, Because::Foreign(self.owner_of(&map).cloned()))
                    }
                };
                let (state, needs) = match because {
                    Because::TakenOver { instead: true } => (State::Lost(None), Some(Consent::LoseState)),
                    _ => (State::Kept, None),
                };
                let action = Action::ReuseMap { map: Arc::clone(&map), id, ours };
                self.steps.push(Step { action, because, span: Some(span), traffic: Traffic::None, state, needs });
                self.release_step(&map, id);
                self.variables_step(&map, id);
            }
            Fate::New(Some(from), because) if self.copies.contains_key(&map.name) => self.migrate(map, from, because),
            Fate::New(replaces, because) => {
                let holds = holds_state(&map) && !self.was_exact(&map);
                let is_empty = holds && replaces.is_some() && self.counted(&map) == Some(0);
                let (state, needs) = match replaces {
                    Some(_) if holds && !is_empty && !self.holds_pinned(&map) => {
                        (State::Lost(self.counted(&map)), Some(Consent::LoseState))
                    }
                    None if holds && self.lives_unpinned(&map) => (State::Lost(None), Some(Consent::LoseState)),
                    Some(_) | None => (State::New, None),
                };
                let used_by = self.users_of(map.pin());
                let replaces = replaces.map(|id| Replaced { id, used_by, is_empty });
                let because = match self.alive(&map).filter(|_| state.is_loss() && replaces.is_none()) {
                    Some(alive) => Because::Unpinned { alive: Some(alive) },
                    None => because,
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
        live.is_some_and(|live| {
            let pinned = self.observed.pinned_maps();
            live.iter().all(|(_, id)| slot_id(id).is_some_and(|id| pinned.contains(&id)))
        })
    }

    /// Returns the other deployments that use our map at a pin.
    fn users_of(&self, pin: Option<&PinPath>) -> BTreeSet<String> {
        pin.and_then(|pin| self.observed.users.get(pin)).cloned().unwrap_or_default()
    }

    /// Makes a map anew and copies the entries; what changes meanwhile comes behind the switch.
    fn migrate(&mut self, map: Arc<DesiredMap>, from: u32, because: Because) {
        let copying = Arc::clone(&self.copies[&map.name]);
        let span = map.span.clone();
        let used_by = self.users_of(map.pin());
        let replaces = Some(Replaced { id: from, used_by, is_empty: false });
        let create = Action::CreateMap { map: Arc::clone(&map), replaces };
        self.push(span.clone(), create, because.clone(), Traffic::None, State::New);
        // Should the variables that are there not fit, these are what it has.
        if graph::is_filled(&map) {
            self.push(span.clone(), Action::FillMap { map: Arc::clone(&map) }, because, Traffic::None, State::None);
        }
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
        let (because, traffic, state) = (Because::Interrupted { taken: Vec::new() }, Traffic::None, State::None);
        Some(Step { action, because, span, traffic, state, needs: None })
    }

    /// Returns how many entries the map has that is there now, where they were counted.
    fn counted(&self, map: &DesiredMap) -> Option<u64> {
        match self.observed.pins.get(map.pin()?)? {
            Pinned::Map(found) => found.held(),
            Pinned::Program(_) | Pinned::Link(_) => None,
        }
    }

    /// A new map gets its contents for the reason for which it is new.
    fn contents_step(&mut self, name: &MapName, action: fn(Arc<DesiredMap>) -> Action) {
        let Some(Fate::New(_, because)) = self.maps.get(name).cloned() else { return };
        // Its first contents come before what is copied.
        if self.copies.contains_key(name) {
            return;
        }
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

fn as_pin(text: &str) -> Option<PinPath> {
    PinPath::new(text).ok()
}
