//! What tables that are right say against each other: pins, symbols and hooks that two of them want.

use super::{At, Attach, Manifest, Map, MapSource, SymbolRef};
use crate::desired::{Netns, Span, Within};
use crate::diag::{Kind, Problem, Problems};
use crate::direct::{Device, Filter, Wish, clsact};
use crate::kinds::{AttachType, Netfilter};
use crate::names::{Address, MapName, ObjectName, PinPath};
use std::collections::BTreeMap;

/// Reports every contradiction, each with all of its places.
pub(super) fn check(manifest: &Manifest, problems: &mut Problems) {
    check_pins(manifest, problems);
    check_symbols(manifest, problems);
    check_inner(manifest, problems);
    check_hooks(manifest, problems);
}

/// A pin that something of ours wants.
struct Claim {
    /// What wants it.
    by: Address,
    /// The line that says so: the pin, or the table whose default it is.
    span: Span,
    /// Whether it is the default.
    default: bool,
}

impl Claim {
    fn label(&self) -> String {
        match self.default {
            true => format!("the default pin of `{}`", self.by),
            false => format!("the pin of `{}`", self.by),
        }
    }
}

/// Returns every claim to a pin that the manifest names or implies: by pin, and those of one pin in the order of the text.
fn claims(manifest: &Manifest) -> Vec<(PinPath, Claim)> {
    let mut claims = Vec::new();
    let mut claim = |by: Address, pin: Option<&At<PinPath>>, folder: &PinPath, name: &str, header: &Span| {
        let default = pin.is_none();
        let (path, span) = match pin {
            Some(pin) => (pin.value.clone(), pin.span.clone()),
            None => (folder.join(name), header.clone()),
        };
        claims.push((path, Claim { by, span, default }));
    };
    let folder = manifest.pin_root.join("maps");
    for (name, map) in &manifest.maps {
        match map.source {
            MapSource::From(_) | MapSource::Inline { .. } => {
                claim(Address::Map(name.clone()), map.pin.as_ref(), &folder, name.as_str(), &map.span);
            }
            MapSource::Pinned(_) | MapSource::Id(_) => {}
        }
    }
    let folder = manifest.pin_root.join("programs");
    for (name, program) in &manifest.programs {
        claim(Address::Program(name.clone()), program.pin.as_ref(), &folder, name.as_str(), &program.span);
    }
    let folder = manifest.pin_root.join("links");
    for (name, link) in &manifest.links {
        claim(Address::Link(name.clone()), None, &folder, name.as_str(), &link.span);
    }
    claims.sort_by(|(one, first), (other, second)| one.cmp(other).then(first.span.start.cmp(&second.span.start)));
    claims
}

fn check_pins(manifest: &Manifest, problems: &mut Problems) {
    let claims = claims(manifest);
    let mut behind = &claims[..];
    for claimed in claims.chunk_by(|(one, _), (other, _)| one == other) {
        behind = &behind[claimed.len()..];
        let [(pin, first), rest @ ..] = claimed else {
            continue;
        };
        for (_, other) in rest {
            let problem = Problem::at(Kind::PinTakenTwice { pin: pin.clone() }, other.span.clone(), other.label());
            problems.push(problem.and(first.span.clone(), first.label()));
        }
        if let Some((below, place)) = below(behind, &manifest.pin_root, pin) {
            let kind = Kind::PinIsFolder { pin: pin.clone(), below };
            let problem = Problem::at(kind, first.span.clone(), first.label());
            problems.push(match place {
                Some(inner) => problem.and(inner.span.clone(), format!("{} is below", inner.label())),
                None => problem,
            });
        }
    }
    for map in manifest.maps.values() {
        let MapSource::Pinned(pinned) = &map.source else {
            continue;
        };
        let at = claims.partition_point(|(pin, _)| *pin < pinned.value);
        if let Some((_, owner)) = claims.get(at).filter(|(pin, _)| *pin == pinned.value) {
            let kind = Kind::ForeignPinIsOurs { pin: pinned.value.clone(), ours: owner.by.to_string() };
            let problem = Problem::at(kind, pinned.span.clone(), "somebody else's pin");
            problems.push(problem.and(owner.span.clone(), owner.label()));
        }
    }
}

/// Returns something that must lie below a pin: the deployment's own folder, or the first pin of another. Those that come
/// behind the pin in order are `behind`.
fn below<'a>(behind: &'a [(PinPath, Claim)], root: &PinPath, pin: &PinPath) -> Option<(PinPath, Option<&'a Claim>)> {
    if root.is_below(pin) {
        return Some((root.join("maps"), None));
    }
    // Everything below comes before the first one that does not begin as the pin does.
    let mut alike = behind.iter().take_while(|(inner, _)| inner.as_str().starts_with(pin.as_str()));
    let (inner, claimed) = alike.find(|(inner, _)| inner.is_below(pin))?;
    Some((inner.clone(), Some(claimed)))
}

/// A place that says which map a symbol is.
struct Said<'a> {
    map: &'a MapName,
    span: &'a Span,
    /// Said by `from`, else by an edge.
    defines: bool,
}

fn check_symbols(manifest: &Manifest, problems: &mut Problems) {
    let mut said = Vec::<((&ObjectName, &SymbolRef), Said<'_>)>::new();
    for (name, object) in &manifest.objects {
        for (symbol, map) in &object.edges {
            let edge = Said { map: &map.value, span: &symbol.span, defines: false };
            said.push(((name, &symbol.value), edge));
        }
    }
    for (name, map) in &manifest.maps {
        if let MapSource::From(from) = &map.source {
            let (object, symbol) = &from.value;
            said.push(((object, symbol), Said { map: name, span: &from.span, defines: true }));
        }
    }
    said.sort_by(|(one, first), (other, second)| one.cmp(other).then(first.span.start.cmp(&second.span.start)));
    for places in said.chunk_by(|(one, _), (other, _)| one == other) {
        if let [((object, symbol), _), _, ..] = places {
            let places: Vec<_> = places.iter().map(|(_, said)| said).collect();
            problems.push(symbol_problem(format!("{object}:{symbol}"), &places));
        }
    }
}

/// Makes the problem of a symbol with several places, the last of them first: that is the one to look at.
fn symbol_problem(symbol: String, places: &[&Said<'_>]) -> Problem {
    let kind = match places.iter().all(|place| place.defines) {
        true => Kind::DefinedTwice { symbol },
        false => {
            let mut maps: Vec<_> = places.iter().map(|place| place.map.clone()).collect();
            maps.sort();
            maps.dedup();
            Kind::SymbolTwice { symbol, maps }
        }
    };
    places.iter().rev().fold(Problem::new(kind), |problem, place| {
        let what = if place.defines { "`from` of" } else { "an edge to" };
        problem.and(place.span.clone(), format!("{what} `map.{}`", place.map))
    })
}

fn check_inner(manifest: &Manifest, problems: &mut Problems) {
    for (name, map) in &manifest.maps {
        let Some(inner) = &map.inner else {
            continue;
        };
        let template: Option<&Map> = manifest.maps.get(&inner.value);
        if let Some(nested) = template.and_then(|template| template.inner.as_ref()) {
            let kind = Kind::NestedInner { outer: name.clone(), inner: inner.value.clone() };
            let problem = Problem::at(kind, inner.span.clone(), "this template");
            problems.push(match nested.span == inner.span {
                true => problem,
                false => problem.and(nested.span.clone(), "has a template of its own"),
            });
        }
    }
}

/// A hook with room for one program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Only {
    /// XDP, by the name of the interface in a network namespace.
    Xdp(Netns),
    /// Any other, by its words.
    Other,
}

/// Looks for hooks with room for one program that two links want.
fn check_hooks(manifest: &Manifest, problems: &mut Problems) {
    let mut hooks = BTreeMap::<(Only, String), Vec<(&Span, String)>>::new();
    for (link_name, link) in &manifest.links {
        let hook = match &link.attach.value {
            Attach::Xdp { interface, netns, .. } => {
                for name in interface.names() {
                    let hook = (Only::Xdp(netns.clone()), name.clone());
                    hooks.entry(hook).or_default().push((&link.attach.span, format!("`link.{link_name}`")));
                }
                continue;
            }
            Attach::Netns { netns, attach_type: AttachType::FLOW_DISSECTOR } => {
                (Only::Other, format!("{} of {netns}", AttachType::FLOW_DISSECTOR))
            }
            // Fragments or not, the priority is the same.
            Attach::Netfilter { hook, netns } => {
                (Only::Other, format!("{}{}", Netfilter { defrag: false, ..*hook }, Within(netns)))
            }
            Attach::Tc { interface, netns, attach_type, wish: wish @ Wish { handle: Some(handle), .. }, .. } => {
                let Filter { chain, priority, .. } = wish.filter(Device::default(), *attach_type, *handle, false);
                for name in interface.names() {
                    let of = format!("{} of {name}{}", clsact(*attach_type), Within(netns));
                    let at = format!("{of} at chain {chain}, priority {priority}, handle {handle}");
                    let link = (&link.attach.span, format!("`link.{link_name}`"));
                    hooks.entry((Only::Other, at)).or_default().push(link);
                }
                continue;
            }
            Attach::StructOps { map } => (Only::Other, format!("struct_ops of map.{map}")),
            Attach::Lwt { interface, netns, route } => {
                for name in interface.names() {
                    let at = format!("the route {} by {name}{}", route.place, Within(netns));
                    let link = (&link.attach.span, format!("`link.{link_name}`"));
                    hooks.entry((Only::Other, at)).or_default().push(link);
                }
                continue;
            }
            // Which of a map's programs it is, and which function an extension replaces, only its program says.
            Attach::Tc { .. }
            | Attach::Netkit { .. }
            | Attach::Cgroup { .. }
            | Attach::Netns { .. }
            | Attach::Sockmap { .. }
            | Attach::Event(_) => continue,
        };
        hooks.entry(hook).or_default().push((&link.attach.span, format!("`link.{link_name}`")));
    }
    for ((only, hook), mut links) in hooks {
        links.sort_by_key(|(span, _)| span.start);
        let [(first, address), rest @ ..] = links.as_slice() else {
            continue;
        };
        for (other, label) in rest {
            let kind = match &only {
                Only::Xdp(netns) => Kind::XdpTwice { interface: format!("{hook}{}", Within(netns)) },
                Only::Other => Kind::HookTwice { hook: hook.clone() },
            };
            problems.push(Problem::at(kind, (*other).clone(), label.clone()).and((*first).clone(), address.clone()));
        }
    }
}
