//! Hooks that several programs share: who is before whom, who is in the wrong place, and where a new link goes.
//!
//! Programs of others keep their order among themselves; only links of ours are put between them.

use crate::desired::{Hook, Neighbour, Order};
use crate::names::{LinkName, PinPath};
use crate::observed::{Occupant, Queue};
use std::collections::BTreeMap;

/// Where among those on its hook a new link goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Spot {
    /// Behind those that are there; nobody asks for more.
    #[default]
    Any,
    /// Before all.
    First,
    /// Behind all.
    Last,
    /// Right before this one.
    Before(Beside),
    /// Right behind this one.
    After(Beside),
}

/// Another one on the same hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// A link of this deployment, which is there by then.
    Ours(LinkName),
    /// Somebody else's.
    Other(Occupant),
}

/// What a plan knows of the hooks that several programs share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// What was on the hooks when the plan was made.
    pub seen: BTreeMap<Hook, Queue>,
    /// Who is around each link once the plan is applied.
    pub company: BTreeMap<LinkName, Company>,
}

/// The programs of others that share the hook of a link, in the order in which packets meet them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Company {
    /// Before it.
    pub before: Vec<Occupant>,
    /// Behind it.
    pub behind: Vec<Occupant>,
    /// At the same priority of netfilter, in some network namespace of the host: the kernel does not tell in which, and
    /// takes one in each.
    pub same: Vec<Occupant>,
}

impl Company {
    /// Says who is before the link and who is behind it; nothing where it is alone.
    pub fn words(&self) -> Vec<String> {
        let side = |words: &str, there: &[Occupant]| {
            let list: Vec<_> = there.iter().map(Occupant::to_string).collect();
            (!list.is_empty()).then(|| format!("{words} it {}", list.join(", ")))
        };
        let same = side("at the same priority as", &self.same).map(|words| {
            format!("{words}: refused when that is in this network namespace, which the kernel does not tell")
        });
        [side("before", &self.before), side("behind", &self.behind), same].into_iter().flatten().collect()
    }
}

/// Who has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// A link of ours that is wanted there, with the place that it wants.
    Ours(LinkName, Option<Order>),
    /// One of ours without a kernel link, beside which nothing can be put.
    Direct(LinkName),
    /// A link of ours that goes.
    Leaving,
    /// Somebody else.
    Other(Occupant),
}

/// The places on one hook, as they are when the steps so far are done.
#[derive(Debug, Clone)]
pub(super) struct Arrangement {
    places: Vec<Who>,
    /// Whether a link can be put beside a program without one, as of tcx.
    beside_programs: bool,
}

impl Arrangement {
    /// Takes what is there; `ours` tells which are of the deployment.
    pub(super) fn of(hook: &Hook, queue: &Queue, mut ours: impl FnMut(&Occupant) -> Option<Who>) -> Self {
        let place = |occupant: &Occupant| ours(occupant).unwrap_or_else(|| Who::Other(occupant.clone()));
        let beside_programs = matches!(hook, Hook::Tc { .. });
        Self { places: queue.there.iter().map(place).collect(), beside_programs }
    }

    /// Returns whether a link that is there has the place that it wants. One that it wants to be beside, and that is not
    /// there, is not in the way.
    pub(super) fn is_kept(&self, name: &LinkName, order: &Order, pins: &BTreeMap<PinPath, Occupant>) -> bool {
        let staying: Vec<&Who> = self.places.iter().filter(|who| **who != Who::Leaving).collect();
        let Some(at) = staying.iter().position(|who| is_link(who, name)) else { return true };
        let beside: Vec<usize> = match order.neighbour() {
            Some(wanted) => (0..staying.len()).filter(|at| is_neighbour(staying[*at], wanted, pins)).collect(),
            None => Vec::new(),
        };
        order.is_kept(at, staying.len(), &beside)
    }

    /// Puts a link to its place, which it may have elsewhere now, and returns how the kernel is told; the error has all
    /// that its neighbour may mean: none, or several.
    pub(super) fn put(
        &mut self,
        name: &LinkName,
        order: Option<&Order>,
        pins: &BTreeMap<PinPath, Occupant>,
    ) -> Result<Spot, Vec<Occupant>> {
        self.leave(name);
        let (index, spot) = match order {
            None => self.behind_all(),
            Some(Order::First) => (0, Spot::First),
            Some(Order::Last) => (self.places.len(), Spot::Last),
            Some(Order::Before(wanted)) => self.before(self.only(wanted, pins)?),
            Some(Order::After(wanted)) => self.after(self.only(wanted, pins)?),
        };
        self.places.insert(index, Who::Ours(name.clone(), order.cloned()));
        Ok(spot)
    }

    /// Puts one without a kernel link behind all: it has no place of its own.
    pub(super) fn add(&mut self, name: &LinkName) {
        self.leave(name);
        self.places.push(Who::Direct(name.clone()));
    }

    fn leave(&mut self, name: &LinkName) {
        for who in self.places.iter_mut().filter(|who| is_link(who, name)) {
            *who = Who::Leaving;
        }
    }

    /// Returns who is around a link.
    pub(super) fn company(&self, name: &LinkName) -> Option<Company> {
        let at = self.places.iter().position(|who| is_link(who, name))?;
        let others = |places: &[Who]| {
            let others = places.iter().filter_map(|who| if let Who::Other(other) = who { Some(other) } else { None });
            others.cloned().collect()
        };
        Some(Company { before: others(&self.places[..at]), behind: others(&self.places[at + 1..]), same: Vec::new() })
    }

    /// Returns the programs of others.
    pub(super) fn others(&self) -> impl Iterator<Item = &Occupant> {
        self.places.iter().filter_map(|who| if let Who::Other(other) = who { Some(other) } else { None })
    }

    /// Goes behind all, but for a link of ours that is to be the last one and is.
    fn behind_all(&self) -> (usize, Spot) {
        let last = self.places.iter().rposition(|who| *who != Who::Leaving);
        match last.map(|at| (at, &self.places[at])) {
            Some((at, Who::Ours(last, Some(Order::Last)))) => (at, Spot::Before(Beside::Ours(last.clone()))),
            Some(_) | None => (self.places.len(), Spot::Any),
        }
    }

    fn before(&self, at: usize) -> (usize, Spot) {
        if let Some(beside) = self.beside(at) {
            return (at, Spot::Before(beside));
        }
        // A cgroup knows links alone: the nearest one before it is as good, and so is the head.
        let near = (0..at).rev().find_map(|at| Some((at + 1, Spot::After(self.beside(at)?))));
        near.unwrap_or((0, Spot::First))
    }

    fn after(&self, at: usize) -> (usize, Spot) {
        if let Some(beside) = self.beside(at) {
            return (at + 1, Spot::After(beside));
        }
        let near = (at + 1..self.places.len()).find_map(|at| Some((at, Spot::Before(self.beside(at)?))));
        near.unwrap_or((self.places.len(), Spot::Last))
    }

    /// Returns how a new link is put beside the one there; `None` where it cannot.
    fn beside(&self, at: usize) -> Option<Beside> {
        match &self.places[at] {
            Who::Ours(name, _) => Some(Beside::Ours(name.clone())),
            Who::Other(other) if self.beside_programs || other.link_id.is_some() => Some(Beside::Other(other.clone())),
            Who::Other(_) | Who::Direct(_) | Who::Leaving => None,
        }
    }

    /// Finds the one that is meant.
    fn only(&self, wanted: &Neighbour, pins: &BTreeMap<PinPath, Occupant>) -> Result<usize, Vec<Occupant>> {
        let found: Vec<usize> =
            (0..self.places.len()).filter(|at| is_neighbour(&self.places[*at], wanted, pins)).collect();
        match found[..] {
            [only] => Ok(only),
            _ => {
                let others = found.iter().map(|at| &self.places[*at]);
                Err(others.filter_map(|who| if let Who::Other(it) = who { Some(it.clone()) } else { None }).collect())
            }
        }
    }
}

fn is_link(who: &Who, name: &LinkName) -> bool {
    matches!(who, Who::Ours(found, _) | Who::Direct(found) if found == name)
}

fn is_neighbour(who: &Who, wanted: &Neighbour, pins: &BTreeMap<PinPath, Occupant>) -> bool {
    match (who, wanted) {
        (who, Neighbour::Link(name)) => is_link(who, name),
        (Who::Other(other), wanted) => is_other(other, wanted, pins),
        (Who::Ours(..) | Who::Direct(_) | Who::Leaving, _) => false,
    }
}

/// Returns whether somebody else's program is the one that is meant; `pins` are what is pinned.
pub(crate) fn is_other(other: &Occupant, wanted: &Neighbour, pins: &BTreeMap<PinPath, Occupant>) -> bool {
    match wanted {
        Neighbour::Link(_) => false,
        Neighbour::Id(id) => other.program_id == *id,
        Neighbour::Name(_) => other.name.as_deref().is_some_and(|name| wanted.is_named(name)),
        Neighbour::Pin(pin) => pins.get(pin).is_some_and(|pinned| match (pinned.link_id, other.link_id) {
            (Some(pinned), Some(link)) => pinned == link,
            (Some(_) | None, _) => pinned.program_id == other.program_id,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Netns;
    use crate::direct::Wish;
    use crate::kinds::AttachType;

    fn name(text: &str) -> LinkName {
        LinkName::new(text).unwrap()
    }

    fn occupant(program_id: u32, link: bool) -> Occupant {
        Occupant { program_id, link_id: link.then_some(program_id), name: Some(format!("p{program_id}")) }
    }

    /// Ours are letters, others have numbers; `-` is one that goes. Those without a link have a point.
    fn arrangement(hook: &Hook, text: &str) -> Arrangement {
        let words: Vec<&str> = text.split_whitespace().collect();
        let id = |word: &str| word.trim_matches('.').parse().unwrap_or(0);
        let there = words.iter().map(|word| occupant(id(word), !word.ends_with('.'))).collect();
        let mut words = words.iter();
        Arrangement::of(hook, &Queue { revision: 1, there }, |_| match *words.next().unwrap() {
            "-" => Some(Who::Leaving),
            word if word.parse::<f32>().is_ok() => None,
            word => Some(Who::Ours(name(word), (word == "z").then_some(Order::Last))),
        })
    }

    #[test]
    fn links_find_their_places() {
        let (interface, netns, wish) = ("lo".to_owned(), Netns::OWN, Wish::default());
        let tc = Hook::Tc { interface, netns, attach_type: AttachType::TCX_INGRESS, via: None, wish };
        let cgroup = Hook::Cgroup { path: "a".to_owned(), attach_type: AttachType::CGROUP_INET_EGRESS, via: None };
        let (before, after) = (|it| Some(Order::Before(it)), |it| Some(Order::After(it)));
        let (id, link) = (Neighbour::Id, |text: &str| Neighbour::Link(name(text)));
        let named = |text: &str| Neighbour::Name(text.to_owned());
        let ours = |text: &str| Beside::Ours(name(text));
        let other = |id: u32, link: bool| Beside::Other(occupant(id, link));
        for (hook, there, order, spot, then) in [
            (&tc, "", None, Spot::Any, "x"),
            (&tc, "1 b", None, Spot::Any, "1 b x"),
            (&tc, "1 z", None, Spot::Before(ours("z")), "1 x z"),
            (&tc, "1 z 2", None, Spot::Any, "1 z 2 x"),
            (&tc, "1 b", Some(Order::First), Spot::First, "x 1 b"),
            (&tc, "1 x b", Some(Order::Last), Spot::Last, "1 - b x"),
            (&tc, "1 2 3", before(id(2)), Spot::Before(other(2, true)), "1 x 2 3"),
            (&tc, "1 2. 3", after(named("p2")), Spot::After(other(2, false)), "1 2. x 3"),
            (&tc, "b 1 x", before(link("b")), Spot::Before(ours("b")), "x b 1 -"),
            (&cgroup, "1 2. 3", before(id(2)), Spot::After(other(1, true)), "1 x 2. 3"),
            (&cgroup, "1 2. 3", after(id(2)), Spot::Before(other(3, true)), "1 2. x 3"),
            (&cgroup, "1. 2.", before(id(2)), Spot::First, "x 1. 2."),
            (&cgroup, "1. 2.", after(id(1)), Spot::Last, "1. 2. x"),
            (&cgroup, "1. 2.", after(link("b")), Spot::Last, "refused"),
            (&tc, "1", before(id(7)), Spot::Last, "refused"),
        ] {
            let mut places = arrangement(hook, there);
            let put = places.put(&name("x"), order.as_ref(), &BTreeMap::new());
            match then {
                "refused" => assert_eq!(put, Err(Vec::new()), "{there}"),
                then => {
                    assert_eq!(put, Ok(spot), "{there}");
                    let mut wanted = arrangement(hook, then).places;
                    wanted.iter_mut().filter(|who| is_link(who, &name("x"))).for_each(|who| {
                        *who = Who::Ours(name("x"), order.clone());
                    });
                    assert_eq!(places.places, wanted, "{there}");
                }
            }
        }
        let company = arrangement(&tc, "1 - b 2 c 3").company(&name("b"));
        let wanted = Company {
            before: vec![occupant(1, true)],
            behind: vec![occupant(2, true), occupant(3, true)],
            same: Vec::new(),
        };
        assert_eq!(company, Some(wanted));
        let first = |there: &str| arrangement(&tc, there).is_kept(&name("x"), &Order::First, &BTreeMap::new());
        assert!(first("- x 1") && !first("1 x") && !first("b x") && first("1"));
    }
}
