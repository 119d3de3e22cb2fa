//! By which way a program is attached, where the kernel has two: by a link, or without one.

use super::Planner;
use crate::desired::{DesiredLink, Hook, Netns};
use crate::diag::{Kind, Problem};
use crate::direct::{Device, Direct, Filter, Qdisc, Via, Wish};
use crate::kinds::{AttachType, XdpMode};
use crate::names::PinPath;
use crate::observed::{HookInfo, LinkInfo, Observed, Pinned, Place};
use crate::plan::{Mode, ResolvedHook, WithoutLink};
use crate::route::RouteWish;
use std::sync::Arc;

/// Where a filter goes.
struct Target<'a> {
    device: Device,
    attach_type: AttachType,
    wish: &'a Wish,
    qdisc: Option<&'a Qdisc>,
}

impl Planner<'_> {
    /// Finds what the hook is of and decides on the way: by a link where the kernel has such links, unless the manifest
    /// says it. Where the kernel lacks the way that the manifest says, that is a problem.
    pub(super) fn choose_way(&mut self, link: Arc<DesiredLink>) -> Option<(Arc<DesiredLink>, ResolvedHook)> {
        let hook = self.resolve_hook(&link)?;
        if let (Hook::Lwt { netns, route, .. }, ResolvedHook::Interface(Some(_))) = (&link.hook, &hook) {
            self.check_route(&link, netns, route)?;
            let HookInfo::Direct(at) = super::links::at(&link.hook, &hook).hook else { return Some((link, hook)) };
            return Some((link, ResolvedHook::Direct(at, None)));
        }
        let missing = link.hook.needs().filter(|feature| self.observed.missing.contains(feature));
        let why = match (link.hook.via(), missing) {
            (Some(Via::Direct), _) => None,
            (None, Some(_)) if link.order.is_some() && self.mode != Mode::Offline => {
                let kind = Kind::NoOrder { hook: link.hook.to_string() };
                self.problems.push(Problem::at(kind, link.span.clone(), "this link wants one"));
                return None;
            }
            (None, Some(missing)) => Some(WithoutLink::Lacks(missing)),
            // To a link there is no way without a gap.
            (None, None) if self.is_by_netlink(&link) => None,
            (Some(Via::Link), Some(_)) => {
                let kind = Kind::NoSuchLink { hook: link.hook.to_string(), since: link.hook.may_lack() };
                self.problems.push(Problem::at(kind, link.span.clone(), "this link goes there"));
                return None;
            }
            (Some(Via::Link) | None, None) => return Some((link, hook)),
        };
        if self.mode == Mode::Offline {
            return Some((link, hook));
        }
        let at = match (&link.hook, &hook) {
            (Hook::Xdp { mode, netns, .. }, ResolvedHook::Interface(Some(place))) => {
                let device = device(netns, place);
                let mode = self.mode_of_own(&link, &device).filter(|_| *mode == XdpMode::Auto).unwrap_or(*mode);
                Direct::Xdp { device, mode }
            }
            (Hook::Tc { attach_type, wish, interface, netns, .. }, ResolvedHook::Interface(Some(place))) => {
                let qdisc = self.observed.qdiscs.get(&(netns.clone(), interface.clone()));
                let device = device(netns, place);
                let target = Target { device, attach_type: *attach_type, wish, qdisc };
                Direct::Filter(self.choose_filter(&link, &target)?)
            }
            (Hook::Cgroup { attach_type, .. }, ResolvedHook::Cgroup(Some((path, id)))) => {
                Direct::Cgroup { path: path.clone(), cgroup_id: *id, attach_type: *attach_type }
            }
            _ => return Some((link, hook)),
        };
        let chosen = DesiredLink { hook: link.hook.by(Via::Direct), ..DesiredLink::clone(&link) };
        Some((Arc::new(chosen), ResolvedHook::Direct(at, why)))
    }

    /// Returns whether a link of XDP is attached by netlink.
    fn is_by_netlink(&self, link: &DesiredLink) -> bool {
        matches!(link.hook, Hook::Xdp { .. }) && self.own_xdp(link).is_some()
    }

    /// Returns the mode that was said when a program was attached there by netlink: a takeover says one for `auto`.
    fn mode_of_own(&self, link: &DesiredLink, device: &Device) -> Option<XdpMode> {
        self.own_xdp(link).filter(|(there, _)| there == device).map(|(_, mode)| mode)
    }

    /// Returns where a program is attached by netlink, as long as it is there.
    fn own_xdp(&self, link: &DesiredLink) -> Option<(Device, XdpMode)> {
        let Pinned::Link(found) = self.observed.pins.get(&link.pin)? else { return None };
        let found = once_cleared(self.observed, found);
        let HookInfo::Direct(Direct::Xdp { device, mode }) = found.hook else { return None };
        found.is_attached.then_some((device, mode))
    }

    /// Refuses a link whose route is there already, and none of ours.
    fn check_route(&mut self, link: &DesiredLink, netns: &Netns, route: &RouteWish) -> Option<()> {
        let there = self.observed.routes.get(&(netns.clone(), route.place)).into_iter().flatten();
        let Some(foreign) = there.into_iter().find(|there| there.program_id.is_none()) else { return Some(()) };
        let kind = Kind::RouteTaken { to: route.place.to.to_string(), by: foreign.words.clone() };
        self.problems.push(Problem::at(kind, link.span.clone(), "this link wants it"));
        None
    }

    /// Chooses the filter of a link: the one that it has, where that is still what is wanted, or else the first handle that
    /// is free. A manifest that names its handle gets it, or hears who has it.
    fn choose_filter(&mut self, link: &DesiredLink, target: &Target<'_>) -> Option<Filter> {
        let Target { device, attach_type, wish, qdisc } = target;
        if *attach_type == AttachType::TCX_EGRESS && qdisc.is_some_and(|qdisc| !qdisc.has_egress) {
            let by = "the qdisc `ingress`, which has no egress, and excludes clsact".to_owned();
            let hook = link.hook.by(Via::Direct).to_string();
            let kind = Kind::HookTaken { hook, by, program_id: 0, pin: None, ours: None, way_out: None };
            self.problems.push(Problem::at(kind, link.span.clone(), "this link wants it"));
            return None;
        }
        let own = marked(self.observed, &link.pin);
        let others = self.filters_beside(link);
        let left = filters_left(self.observed);
        let known = || others.iter().chain(own).chain(left.iter().copied());
        let is_owned = |other: &Filter| other.device == *device && other.owns_qdisc;
        // What an interrupted run made goes before, and its qdisc with it.
        let owns_qdisc = qdisc.is_none() || known().any(is_owned);
        let filter = |handle| wish.filter(device.clone(), *attach_type, handle, owns_qdisc);
        let stays = own.filter(|own| {
            let wanted = filter(own.handle);
            own.is_at(&wanted) && own.protocol == wanted.protocol
        });
        if let Some(own) = stays {
            let owns_qdisc = own.owns_qdisc || qdisc.is_none();
            return Some(Filter { owns_qdisc, ..own.clone() });
        }
        if let Some(handle) = wish.handle {
            return Some(filter(handle));
        }
        let is_free = |filter: &Filter| {
            let is_left = left.iter().any(|other| other.is_at(filter));
            let is_there = qdisc.is_some_and(|qdisc| qdisc.filters.iter().any(|there| there.is_at(filter)));
            !others.iter().any(|other| other.is_at(filter)) && (is_left || !is_there)
        };
        (1..=u32::MAX).map(filter).find(is_free)
    }

    /// Returns the filters that the other links have, or get.
    fn filters_beside(&self, link: &DesiredLink) -> Vec<Filter> {
        let others = self.desired.links.values().filter(|other| other.name != link.name);
        let others = others.filter_map(|other| marked(self.observed, &other.pin)).cloned();
        others.chain(self.filters.iter().cloned()).collect()
    }
}

pub(super) fn device(netns: &Netns, place: &Place) -> Device {
    Device { netns: netns.clone(), inode: place.netns, ifindex: place.ifindex }
}

/// Returns the filter that a pin stands for.
fn marked<'a>(observed: &'a Observed, pin: &PinPath) -> Option<&'a Filter> {
    match observed.pins.get(pin)? {
        Pinned::Link(found) => filter_of(&found.hook),
        Pinned::Map(_) | Pinned::Program(_) => None,
    }
}

fn filter_of(hook: &HookInfo) -> Option<&Filter> {
    let HookInfo::Direct(Direct::Filter(filter)) = hook else { return None };
    Some(filter)
}

/// Returns the filters that interrupted runs wanted to make.
fn filters_left(observed: &Observed) -> Vec<&Filter> {
    let links = observed.leftovers.iter().flat_map(|leftover| &leftover.links);
    links.filter_map(|link| filter_of(&link.hook)).collect()
}

/// Returns a link as it is once what interrupted runs left is cleared: what they replaced is put back then.
pub(super) fn once_cleared(observed: &Observed, found: &LinkInfo) -> LinkInfo {
    let HookInfo::Direct(at) = &found.hook else { return found.clone() };
    let mut left = observed.leftovers.iter().flat_map(|leftover| &leftover.links).filter(|link| link.is_attached);
    let is_replaced = left.any(|link| matches!(&link.hook, HookInfo::Direct(other) if other.replaces(at)));
    LinkInfo { is_attached: found.is_attached || is_replaced, ..found.clone() }
}
