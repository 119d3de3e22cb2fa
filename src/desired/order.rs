//! The place of a link among those that share its hook, as the manifest says it.

use super::{DesiredLink, Hook};
use crate::diag::{Kind, Problem, Problems};
use crate::names::{LinkName, PinPath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a link has its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
    /// Somewhere before this one; a new link right before it.
    Before(Neighbour),
    /// Somewhere behind this one; a new link right behind it.
    After(Neighbour),
}

/// What has a place on the hook, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neighbour {
    /// A link of the same deployment.
    Link(LinkName),
    /// Somebody else's program with this id.
    Id(u32),
    /// Somebody else's program or link that is pinned there.
    Pin(PinPath),
    /// Somebody else's program with this name, of which the kernel knows 15 bytes.
    Name(String),
}

impl Order {
    /// Returns beside what it is.
    pub fn neighbour(&self) -> Option<&Neighbour> {
        match self {
            Self::First | Self::Last => None,
            Self::Before(neighbour) | Self::After(neighbour) => Some(neighbour),
        }
    }

    /// Returns the link of the same deployment that it is beside.
    pub fn link(&self) -> Option<&LinkName> {
        match self.neighbour()? {
            Neighbour::Link(name) => Some(name),
            Neighbour::Id(_) | Neighbour::Pin(_) | Neighbour::Name(_) => None,
        }
    }

    /// Returns somebody else's program that it is beside.
    pub fn other(&self) -> Option<&Neighbour> {
        self.neighbour().filter(|_| self.link().is_none())
    }

    /// Returns whether the one at `at`, of so many, has its place. `beside` is where its neighbours are; one that is not
    /// there is not in the way.
    pub fn is_kept(&self, at: usize, all: usize, beside: &[usize]) -> bool {
        match self {
            Self::First => at == 0,
            Self::Last => at + 1 == all,
            Self::Before(_) => beside.iter().all(|other| at < *other),
            Self::After(_) => beside.iter().all(|other| at > *other),
        }
    }
}

impl Neighbour {
    /// Returns whether a name as the kernel keeps it is of this one.
    pub fn is_named(&self, kept: &str) -> bool {
        /// `BPF_OBJ_NAME_LEN`, but for its NUL.
        const LONGEST: usize = 15;
        match self {
            Self::Name(name) => name.get(..LONGEST).unwrap_or(name) == kept,
            Self::Link(_) | Self::Id(_) | Self::Pin(_) => false,
        }
    }
}

/// As `first`, `before link.other`.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::Last => f.write_str("last"),
            Self::Before(neighbour) => write!(f, "before {neighbour}"),
            Self::After(neighbour) => write!(f, "after {neighbour}"),
        }
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "link.{name}"),
            Self::Id(id) => write!(f, "program id {id}"),
            Self::Pin(pin) => write!(f, "the program at {pin}"),
            Self::Name(name) => write!(f, "the program `{name}`"),
        }
    }
}

type Links = BTreeMap<LinkName, Arc<DesiredLink>>;

/// Lets what is beside the links of a table be beside the one of them on the same hook: `link.uplink["eth0"]` for
/// `link.uplink`.
pub(super) fn settle(links: &mut Links) {
    let beside_tables = |links: &Links, link: &DesiredLink| {
        let wanted = link.order.as_ref()?.link().filter(|name| !links.contains_key(*name))?;
        let mut others = links.values().filter(|other| other.name.table() == wanted.as_str());
        let other = others.find(|other| share(other, link))?.name.clone();
        let order = match link.order.as_ref()? {
            Order::Before(_) => Order::Before(Neighbour::Link(other)),
            Order::After(_) => Order::After(Neighbour::Link(other)),
            end @ (Order::First | Order::Last) => end.clone(),
        };
        Some(DesiredLink { order: Some(order), ..link.clone() })
    };
    let settled: Vec<_> = links.values().filter_map(|link| beside_tables(links, link)).collect();
    links.extend(settled.into_iter().map(|link| (link.name.clone(), Arc::new(link))));
}

/// Looks for places that no arrangement gives: beside a link of another hook, in a circle, twice the first one.
pub(super) fn check(links: &Links, problems: &mut Problems) {
    for (name, link) in links {
        let Some(order) = &link.order else { continue };
        for (other, why) in conflicts(links, link, order) {
            let kind = Kind::BadOrder { link: name.clone(), order: order.to_string(), why };
            let problem = Problem::at(kind, link.span.clone(), format!("`link.{name}`"));
            problems.push(match other.filter(|other| other.name != *name) {
                Some(other) => problem.and(other.span.clone(), format!("`link.{}`", other.name)),
                None => problem,
            });
        }
    }
}

/// Says why a link cannot have its place, and which other one is the reason.
fn conflicts<'a>(links: &'a Links, link: &DesiredLink, order: &Order) -> Vec<(Option<&'a DesiredLink>, String)> {
    let Some(other) = order.link() else {
        // Of two that want the same end, the later one says so.
        let same = |other: &&Arc<DesiredLink>| {
            share(other, link) && other.name < link.name && other.order.as_ref() == Some(order)
        };
        let is_end = matches!(order, Order::First | Order::Last);
        let found = links.values().filter(same).filter(|_| is_end);
        return found
            .map(|other| (Some(&**other), format!("link.{} is to be {order} there, too", other.name)))
            .collect();
    };
    // One that could not be resolved was reported there.
    let Some(other) = links.get(other) else { return Vec::new() };
    if !share(other, link) {
        return vec![(Some(other), format!("link.{} is on {}, and it on {}", other.name, other.hook, link.hook))];
    }
    match (order, &other.order) {
        (Order::Before(_), Some(end @ Order::First)) | (Order::After(_), Some(end @ Order::Last)) => {
            return vec![(Some(other), format!("link.{} is to be {end}", other.name))];
        }
        _ => {}
    }
    let circle = circle(links, link);
    // The smallest name on a circle says so.
    match circle.iter().min() == Some(&&link.name) {
        true => {
            let names: Vec<_> = circle.iter().map(|name| format!("link.{name}")).collect();
            vec![(Some(other), format!("each names the next one: {} -> link.{}", names.join(" -> "), link.name))]
        }
        false => Vec::new(),
    }
}

/// Returns whether two links share a hook, on which one has a place before the other.
fn share(one: &DesiredLink, other: &DesiredLink) -> bool {
    one.hook.shared().is_some_and(|hook| other.hook.shared() == Some(hook))
}

/// Follows the neighbours of a link until it comes up again; nothing when it does not.
fn circle<'a>(links: &'a Links, start: &'a DesiredLink) -> Vec<&'a LinkName> {
    let mut names = vec![&start.name];
    let mut link = start;
    while let Some(next) = link.order.as_ref().and_then(Order::link).and_then(|next| links.get(next)) {
        if next.name == start.name {
            return names;
        }
        // A circle that it only leads to.
        if names.contains(&&next.name) {
            break;
        }
        names.push(&next.name);
        link = next;
    }
    Vec::new()
}

/// Returns the links of each hook on which one has a place, in the order in which they find theirs: each behind the one
/// that it is beside.
pub fn sequences(links: &Links) -> BTreeMap<Hook, Vec<&LinkName>> {
    let mut found: BTreeMap<Hook, Vec<&LinkName>> = BTreeMap::new();
    for link in links.values().filter(|link| link.order.is_some()) {
        found.extend(link.hook.shared().map(|hook| (hook, Vec::new())));
    }
    for link in links.values() {
        let names = link.hook.shared().and_then(|hook| found.get_mut(&hook));
        names.into_iter().for_each(|names| names.push(&link.name));
    }
    let key = |name: &LinkName| {
        let behind = |name: &LinkName| links.get(name)?.order.as_ref()?.link().cloned();
        // As many steps as there are links are enough, even for a circle.
        let steps = std::iter::successors(behind(name), |name| behind(name)).take(links.len()).count();
        let has_place = links.get(name).is_some_and(|link| link.order.is_some());
        (has_place, steps)
    };
    found.values_mut().for_each(|names| names.sort_by_cached_key(|name| (key(name), (*name).clone())));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Netns;
    use crate::direct::Wish;
    use crate::kinds::AttachType;
    use crate::names::ProgramName;

    #[test]
    fn places_are_kept_or_not() {
        let beside = || Neighbour::Id(7);
        for (order, at, others, kept) in [
            (Order::First, 0, &[][..], true),
            (Order::First, 1, &[], false),
            (Order::Last, 3, &[], true),
            (Order::Last, 2, &[], false),
            (Order::Before(beside()), 1, &[2, 3], true),
            (Order::Before(beside()), 1, &[0, 3], false),
            (Order::After(beside()), 1, &[0], true),
            (Order::After(beside()), 1, &[2], false),
            (Order::After(beside()), 1, &[], true),
        ] {
            assert_eq!(order.is_kept(at, 4, others), kept, "{order} at {at} with {others:?}");
        }
    }

    #[test]
    fn names_are_cut_as_the_kernel_cuts_them() {
        let long = Neighbour::Name("a_very_long_name_of_a_program".to_owned());
        assert!(long.is_named("a_very_long_nam") && !long.is_named("a_very_long"));
        assert!(Neighbour::Name("drop".to_owned()).is_named("drop") && !Neighbour::Id(7).is_named("7"));
    }

    /// Links of these names, on a hook of an interface, each with its order.
    fn links(rows: &[(&str, &str, Option<Order>)]) -> Links {
        let link = |(name, interface, order): &(&str, &str, Option<Order>)| {
            let (interface, attach_type) = ((*interface).to_owned(), AttachType::TCX_INGRESS);
            let hook = Hook::Tc { interface, netns: Netns::OWN, attach_type, via: None, wish: Wish::default() };
            let link = DesiredLink {
                name: LinkName::new(name).unwrap(),
                pin: PinPath::new("/sys/fs/bpf/edge/links").unwrap().join(name),
                program: Some(ProgramName::new("p").unwrap()),
                hook,
                order: order.clone(),
                span: 0..0,
            };
            (link.name.clone(), Arc::new(link))
        };
        rows.iter().map(link).collect()
    }

    #[test]
    fn places_that_nothing_gives_are_refused() {
        let beside = |name: &str| Neighbour::Link(LinkName::new(name).unwrap());
        let (before, after) =
            (|name: &str| Some(Order::Before(beside(name))), |name: &str| Some(Order::After(beside(name))));
        let cases: [(&[_], &[&str]); 7] = [
            (&[("a", "lo", Some(Order::First)), ("b", "lo", Some(Order::Last)), ("c", "lo", before("b"))], &[]),
            (&[("a", "lo", Some(Order::First)), ("b", "eth0", Some(Order::First))], &[]),
            (
                &[("a", "lo", Some(Order::First)), ("b", "lo", Some(Order::First))],
                &["link.b cannot be first: link.a is to be first there, too"],
            ),
            (
                &[("a", "lo", before("b")), ("b", "eth0", None)],
                &["link.a cannot be before link.b: link.b is on tcx_ingress of eth0, and it on tcx_ingress of lo"],
            ),
            (
                &[("a", "lo", Some(Order::First)), ("b", "lo", before("a")), ("c", "lo", after("a"))],
                &["link.b cannot be before link.a: link.a is to be first"],
            ),
            (
                &[
                    ("a", "lo", before("b")),
                    ("b", "lo", after("c")),
                    ("c", "lo", before("a")),
                    ("d", "lo", before("a")),
                ],
                &["link.a cannot be before link.b: each names the next one: link.a -> link.b -> link.c -> link.a"],
            ),
            (
                &[("b", "lo", after("a")), ("a", "lo", before("b"))],
                &["link.a cannot be before link.b: each names the next one: link.a -> link.b -> link.a"],
            ),
        ];
        for (rows, expected) in cases {
            let mut problems = Problems::default();
            check(&links(rows), &mut problems);
            let said: Vec<_> = problems.0.iter().map(|problem| problem.kind.to_string()).collect();
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn links_find_places_behind_those_that_they_name() {
        let beside = |name: &str| Neighbour::Link(LinkName::new(name).unwrap());
        let rows = [
            ("a", "lo", Some(Order::Before(beside("b")))),
            ("b", "lo", Some(Order::After(beside("d")))),
            ("c", "lo", Some(Order::First)),
            ("d", "lo", None),
            ("e", "eth0", None),
        ];
        let links = links(&rows);
        let found: Vec<Vec<&str>> =
            sequences(&links).into_values().map(|names| names.into_iter().map(LinkName::as_str).collect()).collect();
        assert_eq!(found, [["d", "c", "b", "a"]]);
    }
}
