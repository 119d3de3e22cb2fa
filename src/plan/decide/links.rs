//! What becomes of links: each is attached, kept, given another program, or attached anew.

use super::takeover::Holder;
use super::ways::{device, once_cleared};
use super::{Fate, Planner, as_pin, back::restoring, runs_now, runs_ours};
use crate::access::Access;
use crate::desired::{Anchor, DesiredLink, DesiredMap, Event, Hook, MapSource, Trace, Within};
use crate::diag::{Kind, Problem};
use crate::direct::{Direct, Via};
use crate::kinds::{AttachType, XdpMode};
use crate::names::{LinkName, MapName};
use crate::observed::{
    At, EventInfo, EventLack, EventPlace, HookInfo, LinkInfo, Observed, ObservedMap, Occupant, Pinned,
};
use crate::plan::places::{Arrangement, Company, Shared, Spot, Who};
use crate::plan::{Action, Because, Consent, Mode, ResolvedHook, Restored, State, Step, Traffic};
use crate::record::{Record, RecordedLink};
use crate::route::Route;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl<'a> Planner<'a> {
    pub(super) fn link_step(&mut self, link: Arc<DesiredLink>) {
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
        if self.is_there_twice(&link, &hook) {
            return;
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
        let inode = self.observed.inode(&link.pin);
        let recorded = self.recorded_link(link);
        recorded.is_some_and(|recorded| Some(recorded.inode) == inode) || runs_ours(self.observed, found)
    }

    fn recorded_link(&self, link: &DesiredLink) -> Option<&'a RecordedLink> {
        self.observed.record.as_ref()?.links.get(link.name.as_str())
    }

    /// Finds what the hook is of; a missing one is a problem.
    pub(super) fn resolve_hook(&mut self, link: &DesiredLink) -> Option<ResolvedHook> {
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
    pub(super) fn foreign_maps_of_links(&mut self, record: &Record) {
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
    pub(super) fn skip_absent(&mut self) {
        for absent in &self.desired.absent {
            let action = Action::Skip { link: absent.name.clone(), hook: absent.hook.to_string() };
            self.push(absent.span.clone(), action, Because::Optional, Traffic::None, State::None);
        }
    }

    /// Refuses links that want one hook with room for one, by whatever names they came to it.
    pub(super) fn check_rooms(&mut self) {
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

    /// Pairs links of one hook that takes no program twice: the first has the program that the second wants, and gives it up
    /// for another one in place.
    pub(super) fn givers(&self) -> BTreeSet<(LinkName, LinkName)> {
        let links = self.desired.links.values();
        let links: Vec<_> = links.filter_map(|link| Some((link, link.hook.takes_once()?))).collect();
        let mut there: BTreeMap<(&Hook, u32), &LinkName> = BTreeMap::new();
        for (link, hook) in &links {
            if let Some(Pinned::Link(found)) = self.observed.pins.get(&link.pin)
                && found.is_attached
                && self.recorded_link(link).is_some_and(|recorded| recorded.hook == link.hook)
            {
                there.insert((hook, found.program_id), &link.name);
            }
        }
        let pairs = links.iter().filter_map(|(link, hook)| {
            let Some(Fate::Keep(id)) = self.fate_of_attached(link) else { return None };
            let giver = there.get(&(hook, id)).filter(|giver| **giver != &link.name)?;
            Some(((*giver).clone(), link.name.clone()))
        });
        pairs.collect()
    }

    /// Refuses a link to a hook that has its program by another link of ours and takes no program twice, as tcx and netkit
    /// do (`bpf_mprog_exists`): whether that link goes or moves, it does so when this one is there.
    fn is_there_twice(&mut self, link: &DesiredLink, hook: &ResolvedHook) -> bool {
        let there = self.at(&link.hook, hook);
        if !matches!(there.hook, HookInfo::Tcx { .. } | HookInfo::Netkit { .. }) {
            return false;
        }
        let is_twin = |other: &&Arc<DesiredLink>| {
            other.name != link.name
                && other.program == link.program
                && other.hook.takes_once() == link.hook.takes_once()
        };
        if let Some(twin) = self.desired.links.values().find(is_twin) {
            let problem = Problem::at(Kind::HookTwice { hook: link.hook.to_string() }, link.span.clone(), "this link");
            self.problems.push(problem.and(twin.span.clone(), "and this one, with the same program"));
            return true;
        }
        let Some(Fate::Keep(id)) = self.fate_of_attached(link) else { return false };
        let record = self.observed.record.iter().flat_map(|record| &record.links);
        let other = record.filter_map(|(name, recorded)| {
            let pin = as_pin(&recorded.pin).filter(|pin| *pin != link.pin)?;
            let Pinned::Link(found) = self.observed.pins.get(&pin)? else { return None };
            let is_it = found.is_attached && found.program_id == id && recorded.place().is_same(&there);
            is_it.then(|| LinkName::recorded(name)).flatten()
        });
        // One that gets another program does so in place, in the order of the plan.
        let has_it = |name: &LinkName| {
            let gives_up = |step: &Step| matches!(&step.action, Action::UpdateLink { link, .. } if link.name == *name);
            !self.steps.iter().any(gives_up)
        };
        let Some(other) = other.into_iter().find(has_it) else { return false };
        let kind = Kind::HookTaken {
            hook: link.hook.to_string(),
            by: format!("program id {id}, which it takes only once"),
            program_id: id,
            pin: None,
            ours: Some(other),
            way_out: None,
        };
        self.problems.push(Problem::at(kind, link.span.clone(), "this link wants it"));
        true
    }

    fn attach_step(&mut self, link: Arc<DesiredLink>, hook: ResolvedHook) {
        if self.is_there_twice(&link, &hook) {
            return;
        }
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
        let action = Action::Attach { link, hook: Box::new(hook), spot };
        self.steps.push(Step { action, because: Because::Missing, span, traffic, state: State::None, needs });
    }

    /// Returns who is where on a hook that several programs share; `None` for any other, and where nobody was asked.
    fn arrangement(&mut self, hook: &Hook) -> Option<&mut Arrangement> {
        let hook = &hook.shared()?;
        let queue = self.observed.queues.get(hook)?;
        if !self.arrangements.contains_key(hook) {
            let mut ours = self.links_on(hook);
            let arrangement = Arrangement::of(hook, queue, |occupant| {
                let is_it = |(link, _): &(&LinkInfo, Who)| match occupant.link_id {
                    Some(id) => link.id == id,
                    None => link.program_id == occupant.program_id,
                };
                ours.iter().position(is_it).map(|at| ours.remove(at).1)
            });
            self.arrangements.insert(hook.clone(), arrangement);
        }
        self.arrangements.get_mut(hook)
    }

    /// Returns the links of ours on a hook, with what they are for.
    fn links_on(&self, hook: &Hook) -> Vec<(&'a LinkInfo, Who)> {
        let pinned = self.observed.pins.iter().filter_map(|(pin, pinned)| match pinned {
            Pinned::Link(link) => Some((pin, link)),
            Pinned::Map(_) | Pinned::Program(_) => None,
        });
        let found = pinned.map(|(pin, link)| {
            let mut wanted = self.desired.links.values();
            let wanted = wanted.find(|wanted| wanted.pin == *pin && wanted.hook.shared().as_ref() == Some(hook));
            let who = wanted.map(|wanted| match link.id {
                0 => Who::Direct(wanted.name.clone()),
                _ => Who::Ours(wanted.name.clone(), wanted.order.clone()),
            });
            (link, who.unwrap_or(Who::Leaving))
        });
        let left = self.observed.leftovers.iter().flat_map(|leftover| &leftover.links);
        let left = left.filter(|link| !runs_now(self.observed, link)).map(|link| (link, Who::Leaving));
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
    pub(super) fn shared(&mut self) -> Shared {
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
            let recorded = self.recorded_link(link).filter(|recorded| recorded.at == found.hook);
            let detached = recorded.is_some_and(|recorded| recorded.place().is_same(&at(&link.hook, wanted)));
            return Some(Because::HookGone { detached });
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
        Some(match self.recorded_link(link) {
            Some(recorded) if let (true, Anchor::Map(map)) = (recorded.hook == link.hook, link.hook.anchor()) => {
                Because::MapNew(map.clone())
            }
            Some(recorded) if recorded.hook.to_string() == link.hook.to_string() => {
                Because::HookGone { detached: false }
            }
            Some(recorded) => Because::HookChanged(format!("it is on {}", recorded.hook)),
            None => Because::HookChanged(format!("it is on {}", found.hook)),
        })
    }

    /// Returns where a link is. The kernel tells an interface's index and not in which network namespace: that is what the
    /// record says, unless the interface that has the index there does not know of the link's program.
    fn where_it_is(&self, link: &DesiredLink, found: &LinkInfo) -> At {
        let recorded = self.recorded_link(link).filter(|recorded| recorded.at == found.hook);
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
        let Some(recorded) = self.recorded_link(link) else {
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
        let target = trace.event.extended();
        let other_target = target.and_then(|(program, _)| self.is_new_target(program, &found.hook));
        let other_file = || Because::HookChanged("its path means another file now, or another place in it".to_owned());
        other_target.or_else(|| (file != recorded.file).then(other_file))
    }

    /// Returns why an extension must go to another program than the one whose function it replaces.
    fn is_new_target(&self, program: &str, found: &HookInfo) -> Option<Because> {
        let (name, fate) = self.programs.get_key_value(program)?;
        match (fate, found) {
            (Fate::Keep(id), HookInfo::Event(EventInfo::Tracing { object, .. })) if id == object => None,
            (Fate::Keep(_) | Fate::New(..), _) => Some(Because::TargetNew(name.clone())),
        }
    }

    /// Returns where a link will be, as far as that tells whether there is room for another one.
    pub(super) fn at(&self, hook: &Hook, resolved: &ResolvedHook) -> At {
        let Some((program, _)) = hook.event().and_then(Event::extended) else { return at(hook, resolved) };
        let object = match self.programs.get(program) {
            Some(Fate::Keep(id)) => *id,
            // Nothing replaces a function of a program that is new.
            Some(Fate::New(..)) | None => 0,
        };
        let hook = HookInfo::Event(EventInfo::Tracing { attach_type: EventInfo::EXTENSION, object, type_id: 0 });
        At { hook, netns: None }
    }

    /// Returns whether a link meets what it meets now, wherever it is attached anew.
    fn meets_the_same(&self, link: &DesiredLink, there: &At, now: &At) -> bool {
        let Some(event) = link.hook.event() else { return there.meets_what(now) };
        self.recorded_link(link).is_none_or(|recorded| recorded.hook.event() == Some(event))
    }

    /// Returns whether the program runs in the mode that is asked for; any mode is good for `auto`.
    fn runs_in_mode(&self, link: &DesiredLink, mode: XdpMode, program: u32) -> bool {
        let Hook::Xdp { interface, netns, .. } = &link.hook else { return true };
        let Some(found) = self.observed.interface(interface, netns) else { return true };
        mode == XdpMode::Auto || found.xdp.iter().any(|(at, id)| *at == mode && *id == program)
    }

    fn reattach_step(&mut self, link: Arc<DesiredLink>, hook: ResolvedHook, found: &LinkInfo, because: Because) {
        if self.is_there_twice(&link, &hook) {
            return;
        }
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
            (false, true)
                if matches!(because, Because::HookGone { .. }) && matches!(link.hook, Hook::Cgroup { .. }) =>
            {
                (Traffic::Starts, None)
            }
            // The old map goes, and its sockets with it: that has a consent of its own.
            (false, true) if matches!(because, Because::MapNew(_)) => (Traffic::NewSockets, None),
            (false, true) => (Traffic::Moves, Some(Consent::Prune)),
            (_, false) => (traffic(&link.hook, Traffic::Starts), None),
        };
        let Some(spot) = self.spot(&link) else { return };
        let (span, id) = (link.span.clone(), found.id);
        let action = Action::Reattach { link, id, hook: Box::new(hook), spot, overlap: !here };
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
pub(super) fn at(hook: &Hook, resolved: &ResolvedHook) -> At {
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
            let device = place.map(|place| device(netns, &place)).unwrap_or_default();
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
        EventLack::Tracepoint
        | EventLack::Tracefs
        | EventLack::File
        | EventLack::Format
        | EventLack::Symbol
        | EventLack::Kprobes => Kind::NoEvent { event, why, hint, of_kernel: lack.is_of_kernel() },
    }
}

/// Records the link of a step; its inode and program are 0 where only apply knows them.
pub(super) fn record_link(record: &mut Record, action: &Action, observed: &Observed) {
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
        | Action::RestorePin { .. }
        | Action::RenameLink { .. }
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
