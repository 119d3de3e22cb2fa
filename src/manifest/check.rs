//! From the file as written to the file as meant: what the keys of one table say together, and whether the names
//! that it uses are there.
//!
//! A table that is wrong is left out and its problems noted, so that the rest is checked as well. What tables that
//! are right say against each other is for `conflicts`.

use super::events;
use super::raw::{
    RawCgroup, RawCheck, RawLink, RawLwt, RawManifest, RawMap, RawNetfilter, RawNetkit, RawNetns, RawObject,
    RawProgram, RawSockmap, RawStructOps, RawTc, RawTests, RawXdp,
};
use super::read::{Entries, Field, Header, Named, Read as _};
use super::values::{
    AccountText, Direction, EntriesText, Mode, NeighbourText, NetnsText, OrderText, PinText, Priority, ProgramText,
    SymbolPath, TargetText, TcVia, symbol_ref,
};
use super::{
    At, Attach, Check, EntriesSource, Link, Manifest, Map, MapEntries, MapSource, Object, Probe, Program,
    ProgramTarget, SymbolRef, Tests,
};
use crate::access::{Access, AccountKind};
use crate::btf::value::Value;
use crate::desired::{EntriesMode, Neighbour, Netns, Order, Span};
use crate::diag::{Kind, Problem, Problems, similar};
use crate::direct::{Via, Wish};
use crate::kinds::{AttachType, MapType, Netfilter, XdpMode};
use crate::names::{DeploymentName, LinkName, MapName, NameError, ObjectName, PinPath, ProgramName};
use crate::route::{RoutePlace, RouteWish};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Makes the manifest as meant. It is complete only when there are no problems.
pub(super) fn check(raw: RawManifest, problems: &mut Problems) -> Manifest {
    let name = raw.name.0.map_or_else(unnamed, |name| name.value);
    let pin_root = raw.pin_root.0.map_or_else(|| default_root(&name), |root| root.value);
    let declared = Declared {
        objects: names(&raw.object),
        maps: names(&raw.map),
        programs: names(&raw.program),
        links: names(&raw.link),
    };
    let mut checker = Checker { declared, root: &pin_root, problems };
    let objects = tables(raw.object, ObjectName::new, |raw| checker.object(raw));
    let maps = tables(raw.map, MapName::new, |raw| checker.map(raw));
    let programs = tables(raw.program, ProgramName::new, |raw| checker.program(raw));
    let links = tables(raw.link, LinkName::new, |raw| checker.link(raw));
    let checks = raw.check.0.into_iter().flat_map(|checks| checks.value.0);
    let checks = checks.filter_map(|raw| checker.check(raw?)).collect();
    let allow = raw.allow.0.map_or_else(BTreeSet::new, |allow| allow.value.0);
    let require_tests = is_true(&raw.require_tests);
    let variables = BTreeMap::new();
    Manifest { name, pin_root, allow, objects, maps, programs, links, checks, require_tests, variables }
}

/// Makes the tests of a file of its own; they are about the programs of the manifest beside it.
pub(super) fn check_tests(raw: RawTests, manifest: &Manifest, problems: &mut Problems) -> Tests {
    fn all<N: std::fmt::Display, T>(tables: &BTreeMap<N, T>) -> Vec<String> {
        tables.keys().map(N::to_string).collect()
    }
    let declared = Declared {
        objects: all(&manifest.objects),
        maps: all(&manifest.maps),
        programs: all(&manifest.programs),
        links: all(&manifest.links),
    };
    let mut checker = Checker { declared, root: &manifest.pin_root, problems };
    let mut tests = Tests::new();
    for (name, tested) in raw.program.0.into_iter().flat_map(|tables| tables.value.0.0) {
        let Some(program) = checker.program_name(name) else { continue };
        let Some(tested) = tested else { continue };
        tests.insert(program.value, checker.tests(tested.value.test));
    }
    tests
}

/// Stands in for a name that is missing or wrong, which has been said.
fn unnamed() -> DeploymentName {
    DeploymentName::new("unnamed").expect("these letters are a name")
}

/// Returns the folder of a deployment's pins where the manifest names none.
fn default_root(name: &DeploymentName) -> PinPath {
    PinPath::new("/sys/fs/bpf").expect("this is an absolute path").join(name.as_str())
}

/// Lists the names of tables, also of those that are wrong, in order.
fn names<T>(tables: &Field<Named<T>>) -> Vec<String> {
    let names = tables.0.iter().flat_map(|tables| &tables.value.0.0);
    let mut names: Vec<_> = names.map(|(name, _)| name.value.clone()).collect();
    names.sort_unstable();
    names
}

/// Checks each table of one kind.
fn tables<T, N: Ord, U>(
    tables: Field<Named<T>>,
    name: impl Fn(&str) -> Result<N, NameError>,
    mut check: impl FnMut(T) -> Option<U>,
) -> BTreeMap<N, U> {
    let tables = tables.0.into_iter().flat_map(|tables| tables.value.0.0);
    let checked = tables.filter_map(|(key, table)| {
        let value = check(table?.value)?;
        Some((name(&key.value).ok()?, value))
    });
    checked.collect()
}

/// The names that the manifest declares, each list in order.
struct Declared {
    objects: Vec<String>,
    maps: Vec<String>,
    programs: Vec<String>,
    links: Vec<String>,
}

/// What checking a table needs.
pub(super) struct Checker<'a> {
    declared: Declared,
    root: &'a PinPath,
    pub(super) problems: &'a mut Problems,
}

/// Keys of a map that cannot stand together: any of the first with any of the second, and why.
const APART: &[(&[&str], &[&str], &str)] = &[
    (&["from"], &["pinned", "id", "type"], ONE_SOURCE),
    (&["pinned"], &["id", "type"], ONE_SOURCE),
    (&["id"], &["type"], ONE_SOURCE),
    (
        &["pinned", "id"],
        &[
            "pin",
            "max_entries",
            "flags",
            "numa_node",
            "inner",
            "on_change",
            "protect",
            "adopt",
            "mode",
            "owner",
            "group",
        ],
        "a map that somebody else made is used as it is: only its owner pins it, sizes it and removes it",
    ),
    (&["pinned", "id"], &["entries"], "a map that somebody else made is used as it is: only its owner fills it"),
    (&["from"], &["key_size"], "the map's definition says its sizes already"),
    (&["pinned", "id"], &["key_size", "value_size"], "the map's definition says its sizes already"),
];
/// How long a health check may take where the manifest does not say.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

const ONE_SOURCE: &str = "a map comes from one place: keep one of the two";

impl Checker<'_> {
    fn object(&mut self, raw: RawObject) -> Option<Object> {
        let edges = raw.maps.0.map_or_else(Vec::new, |maps| self.edges(maps.value));
        let set = raw.set.0.map_or_else(BTreeMap::new, |set| variables(set.value));
        let btf = raw.btf.0.map(|btf| btf.map(|path| path.0));
        let path = raw.path.0?.map(|path| path.0);
        let license = raw.license.0.map(|license| license.map(|license| license.0));
        Some(Object { span: raw.header.span, path, sha256: raw.sha256.0, planned: None, edges, set, btf, license })
    }

    fn edges(&mut self, maps: Entries<String>) -> Vec<(At<SymbolRef>, At<MapName>)> {
        let mut edges = Vec::new();
        for (key, map) in maps.0 {
            let symbol = symbol_ref(&key.value);
            if symbol.is_none() {
                let kind =
                    Kind::BadReference { text: key.value, form: "a map symbol", example: "deny = \"blocklist\"" };
                self.problems.push(Problem::at(kind, key.span.clone(), "this key"));
            }
            let map = map.and_then(|map| self.map_name(map));
            if let (Some(value), Some(map)) = (symbol, map) {
                edges.push((At { value, span: key.span }, map));
            }
        }
        edges
    }

    fn map(&mut self, raw: RawMap) -> Option<Map> {
        self.check_map_keys(&raw);
        let inner = raw.inner.0.and_then(|inner| self.map_name(inner));
        let pin = raw.pin.0.and_then(|pin| self.pin(pin));
        let mut value_size = raw.value_size.0;
        let source = match (raw.from.0, raw.pinned.0, raw.id.0, raw.r#type.0) {
            (Some(from), ..) => MapSource::From(self.symbol(from)?),
            (None, Some(pinned), ..) => MapSource::Pinned(pinned),
            (None, None, Some(id), _) => MapSource::Id(id),
            (None, None, None, Some(map_type)) => {
                // One that is missing was reported, unless such maps have none.
                let [key_size, value_size] =
                    [raw.key_size.0, value_size.take()].map(|size| size.map_or(0, |at| at.value));
                MapSource::Inline { map_type, key_size, value_size }
            }
            (None, None, None, None) => return None,
        };
        let max_entries = raw.max_entries.0.map(|it| it.map(|it| it.0));
        let flags = raw.flags.0.map(|flags| flags.map(|flags| flags.0));
        let (span, numa_node) = (raw.header.span, raw.numa_node.0);
        let (protect, adopt, sensitive) = (is_true(&raw.protect), is_true(&raw.adopt), is_true(&raw.sensitive));
        let accounts = accounts(&raw.owner, &raw.group);
        let access = access(raw.mode, raw.owner, raw.group);
        let on_change = raw.on_change.0.map(|at| at.value).unwrap_or_default();
        let [key_format, value_format] =
            [raw.key_format.0, raw.value_format.0].map(|format| format.map(|format| format.map(|format| format.0)));
        let mode = raw.entries_mode.0.map_or(EntriesMode::Exact, |mode| mode.value);
        let entries = raw.entries.0.map(|entries| map_entries(entries, raw.entries_value, mode));
        Some(Map {
            span,
            source,
            pin,
            value_size,
            max_entries,
            flags,
            numa_node,
            inner,
            on_change,
            protect,
            adopt,
            access,
            accounts,
            entries,
            sensitive,
            key_format,
            value_format,
        })
    }

    /// Reports keys that do not go together, and keys that the others need.
    fn check_map_keys(&mut self, raw: &RawMap) {
        let keys = [
            ("from", raw.from.span()),
            ("pinned", raw.pinned.span()),
            ("id", raw.id.span()),
            ("type", raw.r#type.span()),
            ("key_size", raw.key_size.span()),
            ("value_size", raw.value_size.span()),
            ("max_entries", raw.max_entries.span()),
            ("pin", raw.pin.span()),
            ("flags", raw.flags.span()),
            ("numa_node", raw.numa_node.span()),
            ("inner", raw.inner.span()),
            ("on_change", raw.on_change.span()),
            ("protect", raw.protect.span()),
            ("adopt", raw.adopt.span()),
            ("mode", raw.mode.span()),
            ("owner", raw.owner.span()),
            ("group", raw.group.span()),
            ("entries", raw.entries.span()),
            ("entries_value", raw.entries_value.span()),
            ("entries_mode", raw.entries_mode.span()),
        ];
        let place = |key: &str| keys.iter().find(|(known, _)| *known == key)?.1.as_ref();
        // Most maps have one key, which nothing can contradict.
        let several = keys.iter().filter(|(_, span)| span.is_some()).count() > 1;
        for (firsts, seconds, why) in APART.iter().filter(|_| several) {
            let pairs = firsts.iter().flat_map(|first| seconds.iter().map(move |second| (*first, *second)));
            for (first, second) in pairs {
                if let (Some(one), Some(other)) = (place(first), place(second)) {
                    self.apart(&raw.header, (first, one), (second, other), why);
                }
            }
        }
        if raw.header.unclear {
            return;
        }
        let has = |key: &str| place(key).is_some();
        if !has("entries") && (has("entries_value") || has("entries_mode")) {
            self.missing(&raw.header, "entries", EntriesText::EXAMPLE);
        }
        if has("type") {
            let map_type = raw.r#type.0.as_ref().map(|map_type| map_type.value);
            let refers = map_type.is_some_and(|map_type| {
                map_type.refers() || [MapType::PROG_ARRAY, MapType::PERF_EVENT_ARRAY].contains(&map_type)
            });
            for (key, example, needed) in [
                ("key_size", "4", map_type.is_none_or(MapType::has_keys)),
                ("value_size", if refers { "4" } else { "8" }, map_type.is_none_or(MapType::has_values)),
                ("max_entries", "1024", true),
            ] {
                if needed && !has(key) {
                    self.missing(&raw.header, key, example);
                }
            }
        } else if !(has("from") || has("pinned") || has("id")) {
            match has("key_size") || has("value_size") {
                true => self.missing(&raw.header, "type", "\"hash\""),
                false => {
                    let kind = Kind::NoSource { map: raw.header.address.clone() };
                    self.problems.push(Problem::at(kind, raw.header.span.clone(), "this map"));
                }
            }
        }
        self.check_inner(raw);
    }

    /// Reports an inline map of maps without a template, and another map with one.
    fn check_inner(&mut self, raw: &RawMap) {
        let Some(map_type) = &raw.r#type.0 else {
            return;
        };
        let of_maps = matches!(map_type.value, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS);
        match (&raw.inner.0, of_maps) {
            (None, true) => self.missing(&raw.header, "inner", "\"template\""),
            (Some(inner), false) => {
                let why = "only `array_of_maps` and `hash_of_maps` hold other maps";
                self.apart(&raw.header, ("inner", &inner.span), ("type", &map_type.span), why);
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn program(&mut self, raw: RawProgram) -> Option<Program> {
        let pin = raw.pin.0.and_then(|pin| self.pin(pin));
        let target = raw.target.0.and_then(|target| self.target(target));
        let tests = self.tests(raw.test);
        let from = raw.from.0?;
        let object = self.object_name(&from.value.object, &from.span)?;
        Some(Program {
            span: raw.header.span,
            from: from.map(|from| (object, from.function)),
            pin,
            program_type: raw.r#type.0,
            attach_type: raw.attach_type.0,
            target,
            flags: raw.flags.0.map(|flags| flags.map(|flags| flags.0)),
            protect: is_true(&raw.protect),
            accounts: accounts(&raw.owner, &raw.group),
            access: access(raw.mode, raw.owner, raw.group),
            tests,
        })
    }

    fn target(&mut self, target: At<TargetText>) -> Option<At<ProgramTarget>> {
        let span = target.span;
        let value = match target.value {
            TargetText::Kernel(name) => ProgramTarget::Kernel(name),
            TargetText::Program { program, function } => {
                let program = self.program_name(At { value: program, span: span.clone() })?.value;
                ProgramTarget::Function { program, function }
            }
        };
        Some(At { value, span })
    }

    fn link(&mut self, mut raw: RawLink) -> Option<Link> {
        match (raw.program.span(), raw.struct_ops.span()) {
            (None, None) if !raw.header.unclear => self.missing(&raw.header, "program", ProgramText::EXAMPLE),
            (Some(program), Some(map)) => {
                let why = "a struct of functions has its programs in its map";
                self.apart(&raw.header, ("program", &program), ("struct_ops", &map), why);
            }
            (None, _) | (Some(_), None) => {}
        }
        let order = self.place(&mut raw);
        self.unpinned(&raw);
        let needs_program = raw.struct_ops.span().is_none();
        let program = raw.program.0.and_then(|program| self.program_name(program.map(|program| program.0)));
        let hooks = [
            ("xdp", raw.xdp.span()),
            ("tc", raw.tc.span()),
            ("cgroup", raw.cgroup.span()),
            ("netkit", raw.netkit.span()),
            ("lwt", raw.lwt.span()),
            ("netfilter", raw.netfilter.span()),
            ("sk_lookup", raw.sk_lookup.span()),
            ("flow_dissector", raw.flow_dissector.span()),
            ("sockmap", raw.sockmap.span()),
            ("tracepoint", raw.tracepoint.span()),
            ("raw_tracepoint", raw.raw_tracepoint.span()),
            ("tracing", raw.tracing.span()),
            ("lsm", raw.lsm.span()),
            ("iter", raw.iter.span()),
            ("extension", raw.extension.span()),
            ("perf_event", raw.perf_event.span()),
            ("kprobe", raw.kprobe.span()),
            ("kprobe_multi", raw.kprobe_multi.span()),
            ("uprobe", raw.uprobe.span()),
            ("struct_ops", raw.struct_ops.span()),
        ];
        let hooks: Vec<_> = hooks.into_iter().filter_map(|(key, span)| Some((key, span?))).collect();
        match hooks.as_slice() {
            [] if !raw.header.unclear => {
                let kind = Kind::NoHook { link: raw.header.address.clone() };
                self.problems.push(Problem::at(kind, raw.header.span.clone(), "this link"));
            }
            [] | [_] => {}
            [first, rest @ ..] => {
                for other in rest {
                    let why = "one link has one hook: make a second `[link]` for the other";
                    self.apart(&raw.header, (first.0, &first.1), (other.0, &other.1), why);
                }
            }
        }
        let (optional, protect) = (is_true(&raw.optional), is_true(&raw.protect));
        let accounts = accounts(&raw.owner, &raw.group);
        let access = access(raw.mode, raw.owner, raw.group);
        let attach = (raw.xdp.0.map(xdp))
            .or_else(|| raw.tc.0.map(|raw| self.tc(raw)))
            .or_else(|| raw.netkit.0.map(netkit))
            .or_else(|| raw.lwt.0.map(|raw| self.lwt(raw)))
            .or_else(|| raw.cgroup.0.map(cgroup))
            .or_else(|| raw.netfilter.0.map(|raw| self.netfilter(raw)))
            .or_else(|| raw.sk_lookup.0.map(|raw| Some(of_netns(raw, AttachType::SK_LOOKUP))))
            .or_else(|| raw.flow_dissector.0.map(|raw| Some(of_netns(raw, AttachType::FLOW_DISSECTOR))))
            .or_else(|| raw.sockmap.0.map(|raw| self.sockmap(raw)))
            .or_else(|| raw.struct_ops.0.map(|raw| self.struct_ops(raw)))
            .or_else(|| {
                self.event(events::Tables {
                    tracepoint: raw.tracepoint,
                    raw_tracepoint: raw.raw_tracepoint,
                    tracing: raw.tracing,
                    lsm: raw.lsm,
                    iter: raw.iter,
                    extension: raw.extension,
                    perf_event: raw.perf_event,
                    kprobe: raw.kprobe,
                    kprobe_multi: raw.kprobe_multi,
                    uprobe: raw.uprobe,
                })
            })??;
        if needs_program && program.is_none() {
            return None;
        }
        Some(Link { span: raw.header.span, program, attach, order, optional, protect, access, accounts })
    }

    /// Reports who may open the pin of a link that says itself that it has none, as it is no kernel link.
    fn unpinned(&mut self, raw: &RawLink) {
        let via = way(raw).filter(|(via, _)| *via == Via::Direct).map(|(_, span)| ("via", span));
        let Some((key, span)) = via.or_else(|| Some(("lwt", raw.lwt.span()?))) else { return };
        let asked = [("mode", raw.mode.span()), ("owner", raw.owner.span()), ("group", raw.group.span())];
        for (asked, place) in asked {
            let Some(place) = place else { continue };
            let why =
                "without a kernel link there is no pin that somebody could open: take `mode`, `owner` and `group` out";
            self.apart(&raw.header, (key, &span), (asked, &place), why);
        }
    }

    /// Takes the place that a link wants among those on its hook, which only kernel links have.
    fn place(&mut self, raw: &mut RawLink) -> Option<Order> {
        let via = way(raw);
        let tc = raw.tc.0.as_mut().map(|tc| (tc.value.order.0.take(), &tc.value.header));
        let cgroup = raw.cgroup.0.as_mut().map(|cgroup| (cgroup.value.order.0.take(), &cgroup.value.header));
        let (order, header) = tc.or(cgroup)?;
        let order = order?;
        if let Some((Via::Direct, span)) = via {
            let why = "only links can be ordered on their hook: take one of the two out";
            self.apart(header, ("via", &span), ("order", &order.span), why);
            return None;
        }
        self.order(order, &raw.header)
    }

    fn order(&mut self, order: At<OrderText>, link: &Header) -> Option<Order> {
        let beside = match order.value {
            OrderText::First => return Some(Order::First),
            OrderText::Last => return Some(Order::Last),
            OrderText::Beside(beside) => beside,
        };
        let (before, after) = (beside.before.0, beside.after.0);
        match (before, after) {
            (Some(before), None) => self.neighbour(before, link).map(Order::Before),
            (None, Some(after)) => self.neighbour(after, link).map(Order::After),
            (Some(before), Some(after)) => {
                let why = "a link is placed beside one other: keep one of the two";
                self.apart(&beside.header, ("before", &before.span), ("after", &after.span), why);
                None
            }
            (None, None) => {
                if !beside.header.unclear {
                    let why = "it says neither `before` nor `after`";
                    self.says_nothing(&beside.header, why);
                }
                None
            }
        }
    }

    fn neighbour(&mut self, text: At<NeighbourText>, link: &Header) -> Option<Neighbour> {
        let At { value, span } = text;
        Some(match value {
            NeighbourText::Id(id) => Neighbour::Id(id),
            NeighbourText::Pin(pin) => Neighbour::Pin(pin),
            NeighbourText::Name(name) => Neighbour::Name(name),
            NeighbourText::Link(name) => {
                reference("link", &name, &span, &self.declared.links, self.problems)?;
                if link.address == format!("link.{name}") {
                    let kind = Kind::BadText { text: format!("link.{name}"), why: "it is this link itself".to_owned() };
                    self.problems.push(Problem::at(kind, span, "its neighbour"));
                    return None;
                }
                Neighbour::Link(LinkName::new(&name).ok()?)
            }
        })
    }

    fn struct_ops(&mut self, raw: At<RawStructOps>) -> Option<At<Attach>> {
        let map = self.map_name(raw.value.map.0?)?;
        Some(At { value: Attach::StructOps { map: map.value }, span: raw.span })
    }

    fn sockmap(&mut self, raw: At<RawSockmap>) -> Option<At<Attach>> {
        let map = self.map_name(raw.value.map.0?)?;
        Some(At { value: Attach::Sockmap { map: map.value }, span: raw.span })
    }

    fn tc(&mut self, raw: At<RawTc>) -> Option<At<Attach>> {
        let raw = raw.value;
        let of_filters = [
            ("priority", raw.priority.span()),
            ("handle", raw.handle.span()),
            ("protocol", raw.protocol.span()),
            ("chain", raw.chain.span()),
        ];
        if let Some(At { value: TcVia(Via::Link), .. }) = &raw.via.0 {
            let span = raw.via.span().expect("it is said");
            for (key, place) in of_filters {
                let Some(place) = place else { continue };
                self.apart(
                    &raw.header,
                    ("via", &span),
                    (key, &place),
                    "only a filter of clsact has it: write `via = \"clsact\"`, or take it out",
                );
            }
        }
        let wish = Wish {
            priority: raw.priority.0.map(|it| it.value.0),
            handle: raw.handle.0.map(|it| it.value.0),
            protocol: raw.protocol.0.map(|it| it.value.0),
            chain: raw.chain.0.map(|it| it.value),
        };
        let (netns, via) = (netns(raw.netns), raw.via.0.map(|via| via.value.0));
        let attach_type = match raw.direction.0?.value {
            Direction::Ingress => AttachType::TCX_INGRESS,
            Direction::Egress => AttachType::TCX_EGRESS,
        };
        Some(raw.interface.0?.map(|interface| Attach::Tc { interface: interface.0, netns, attach_type, via, wish }))
    }

    fn lwt(&mut self, raw: At<RawLwt>) -> Option<At<Attach>> {
        let raw = raw.value;
        let (to_span, gateway_span) = (raw.to.span(), raw.gateway.span());
        let (to, gateway) = (raw.to.0?.value.0, raw.gateway.0.map(|it| it.value.0));
        if let (Some(to_span), Some(gateway_span), Some(gateway)) = (&to_span, &gateway_span, gateway)
            && gateway.is_ipv4() != to.address().is_ipv4()
        {
            let why = "both are of IPv4, or both of IPv6";
            self.apart(&raw.header, ("to", to_span), ("gateway", gateway_span), why);
        }
        let (table, metric) = (raw.table.0.map(|it| it.value.0), raw.metric.0.map(|it| it.value.0));
        let headroom = raw.headroom.0.map_or(0, |it| it.value.0);
        let route = RouteWish { place: RoutePlace::new(to, table, metric), gateway, headroom };
        let netns = netns(raw.netns);
        Some(raw.interface.0?.map(|interface| Attach::Lwt { interface: interface.0, netns, route }))
    }

    fn netfilter(&mut self, raw: At<RawNetfilter>) -> Option<At<Attach>> {
        let At { value: raw, span } = raw;
        let (family, point) = (raw.family.0?.value, raw.hook.0?.value);
        let At { value: Priority(priority), span: place } = raw.priority.0?;
        let defrag = is_true(&raw.defrag);
        if defrag && priority <= Netfilter::DEFRAG_PRIORITY {
            let (key, value) = (format!("{}.priority", raw.header.address), priority.to_string());
            let (min, max) = (i128::from(Netfilter::DEFRAG_PRIORITY) + 1, i128::from(i32::MAX) - 1);
            let kind = Kind::OutOfRange { key, value, min, max };
            self.problems.push(Problem::at(kind, place, "whole packets are behind -400"));
            return None;
        }
        let hook = Netfilter { family, point, priority, defrag };
        Some(At { value: Attach::Netfilter { hook, netns: netns(raw.netns) }, span })
    }

    fn check(&mut self, raw: RawCheck) -> Option<Check> {
        let keys = [
            ("tcp", raw.tcp.span()),
            ("http", raw.http.span()),
            ("ping", raw.ping.span()),
            ("command", raw.command.span()),
            ("counter", raw.counter.span()),
        ];
        let keys: Vec<_> = keys.into_iter().filter_map(|(key, span)| Some((key, span?))).collect();
        match keys.as_slice() {
            [] if !raw.header.unclear => {
                let why = "it says none of `tcp`, `http`, `ping`, `command` and `counter`, so there is nothing to try";
                self.says_nothing(&raw.header, why);
            }
            [] | [_] => {}
            [first, rest @ ..] => {
                for other in rest {
                    let why = "one check does one thing: make a second `[[check]]` for the other";
                    self.apart(&raw.header, (first.0, &first.1), (other.0, &other.1), why);
                }
            }
        }
        let counter = raw.counter.0.and_then(|map| self.map_name(map));
        let probe = None
            .or(raw.tcp.0.map(|tcp| Probe::Tcp(tcp.value.0)))
            .or(raw.http.0.map(|http| Probe::Http(http.value.0)))
            .or(raw.ping.0.map(|ping| Probe::Ping(ping.value.0)))
            .or(raw.command.0.map(|command| Probe::Command(command.value.0)))
            .or(counter.map(|map| Probe::Counter(map.value)))?;
        let name = raw.name.0.map_or_else(|| probe.to_string(), |name| name.value);
        let timeout = raw.timeout.0.map_or(CHECK_TIMEOUT, |time| time.value.0);
        Some(Check { name, probe, timeout })
    }

    fn symbol(&mut self, path: At<SymbolPath>) -> Option<At<(ObjectName, SymbolRef)>> {
        let object = self.object_name(&path.value.object, &path.span)?;
        Some(path.map(|path| (object, path.symbol)))
    }

    pub(super) fn object_name(&mut self, name: &str, span: &Span) -> Option<ObjectName> {
        reference("object", name, span, &self.declared.objects, self.problems)?;
        ObjectName::new(name).ok()
    }

    pub(super) fn map_name(&mut self, name: At<String>) -> Option<At<MapName>> {
        reference("map", &name.value, &name.span, &self.declared.maps, self.problems)?;
        Some(At { value: MapName::new(&name.value).ok()?, span: name.span })
    }

    fn program_name(&mut self, name: At<String>) -> Option<At<ProgramName>> {
        reference("program", &name.value, &name.span, &self.declared.programs, self.problems)?;
        Some(At { value: ProgramName::new(&name.value).ok()?, span: name.span })
    }

    fn pin(&mut self, pin: At<PinText>) -> Option<At<PinPath>> {
        match self.root.resolve(&pin.value.0) {
            Ok(value) => Some(At { value, span: pin.span }),
            Err(why) => {
                let kind = Kind::BadPath { path: pin.value.0, why: why.to_string() };
                self.problems.push(Problem::at(kind, pin.span, "this pin"));
                None
            }
        }
    }

    pub(super) fn missing(&mut self, header: &Header, key: &str, example: &'static str) {
        let kind = Kind::MissingKey { table: header.address.clone(), key: key.to_owned(), example };
        self.problems.push(Problem::at(kind, header.span.clone(), format!("`{key}` is missing here")));
    }

    /// Reports a table that has to have one of several keys.
    fn says_nothing(&mut self, header: &Header, why: &str) {
        let kind = Kind::BadText { text: header.address.clone(), why: why.to_owned() };
        self.problems.push(Problem::at(kind, header.span.clone(), "this table"));
    }

    pub(super) fn apart(&mut self, header: &Header, one: (&str, &Span), other: (&str, &Span), why: &'static str) {
        let (first, second) = if one.1.start <= other.1.start { (one, other) } else { (other, one) };
        let table = header.address.clone();
        let kind = Kind::NotTogether { table, first: first.0.to_owned(), second: second.0.to_owned(), why };
        let problem = Problem::at(kind, second.1.clone(), format!("`{}` here", second.0));
        self.problems.push(problem.and(first.1.clone(), format!("`{}` here", first.0)));
    }
}

/// Returns the way to its hook that a link names, where there are two.
fn way(raw: &RawLink) -> Option<(Via, Span)> {
    let xdp = raw.xdp.0.as_ref().and_then(|xdp| xdp.value.via.0.as_ref());
    let tc = raw.tc.0.as_ref().and_then(|tc| tc.value.via.0.as_ref());
    let cgroup = raw.cgroup.0.as_ref().and_then(|cgroup| cgroup.value.via.0.as_ref());
    let xdp = xdp.map(|via| (via.value.0, via.span.clone()));
    let tc = tc.map(|via| (via.value.0, via.span.clone()));
    xdp.or(tc).or_else(|| cgroup.map(|via| (via.value.0, via.span.clone())))
}

/// Reports a name that the manifest does not declare.
fn reference(what: &'static str, name: &str, span: &Span, declared: &[String], problems: &mut Problems) -> Option<()> {
    if declared.binary_search_by(|known| known.as_str().cmp(name)).is_ok() {
        return Some(());
    }
    let similar = similar(name.strip_prefix(&format!("{what}.")).unwrap_or(name), declared);
    let kind = Kind::UnknownName { what, name: name.to_owned(), similar };
    problems.push(Problem::at(kind, span.clone(), format!("no such {what}")));
    None
}

/// Makes the entries of a map.
pub(super) fn map_entries(entries: At<EntriesText>, value: Field<Value>, mode: EntriesMode) -> MapEntries {
    let source = match entries.value {
        EntriesText::File(path) => EntriesSource::File { path, sha256: None },
        EntriesText::Given(given) => EntriesSource::Given(given),
    };
    MapEntries { span: entries.span, source, value: value.0, mode }
}

/// Returns the value of a switch that is off where nothing is said.
fn is_true(field: &Field<bool>) -> bool {
    field.0.as_ref().is_some_and(|at| at.value)
}

/// Takes what a table says of who may open its pin.
/// Returns where a table names accounts.
fn accounts(owner: &Field<AccountText>, group: &Field<AccountText>) -> BTreeMap<AccountKind, Span> {
    let spans = [(AccountKind::User, owner.span()), (AccountKind::Group, group.span())];
    spans.into_iter().filter_map(|(kind, span)| Some((kind, span?))).collect()
}

fn access(mode: Field<Mode>, owner: Field<AccountText>, group: Field<AccountText>) -> Access {
    let account = |field: Field<AccountText>| field.0.map(|at| at.value.0);
    Access { mode: mode.0.map(|at| at.value.0), owner: account(owner), group: account(group) }
}

/// Takes the values of global variables.
fn variables(set: Entries<Value>) -> BTreeMap<String, (Span, At<Value>)> {
    let values = set.0.into_iter();
    values.filter_map(|(key, value)| Some((key.value, (key.span, value?)))).collect()
}

fn xdp(raw: At<RawXdp>) -> Option<At<Attach>> {
    let mode = raw.value.mode.0.map_or(XdpMode::Auto, |mode| mode.value);
    let (netns, via) = (netns(raw.value.netns), raw.value.via.0.map(|via| via.value.0));
    Some(raw.value.interface.0?.map(|interface| Attach::Xdp { interface: interface.0, netns, mode, via }))
}

fn netkit(raw: At<RawNetkit>) -> Option<At<Attach>> {
    let attach_type = if is_true(&raw.value.peer) { AttachType::NETKIT_PEER } else { AttachType::NETKIT_PRIMARY };
    let netns = netns(raw.value.netns);
    Some(raw.value.interface.0?.map(|interface| Attach::Netkit { interface: interface.0, netns, attach_type }))
}

fn cgroup(raw: At<RawCgroup>) -> Option<At<Attach>> {
    let via = raw.value.via.0.map(|via| via.value.0);
    Some(raw.value.path.0?.map(|path| Attach::Cgroup { path: path.0, via }))
}

fn of_netns(raw: At<RawNetns>, attach_type: AttachType) -> At<Attach> {
    At { value: Attach::Netns { netns: netns(raw.value.netns), attach_type }, span: raw.span }
}

fn netns(named: Field<NetnsText>) -> Netns {
    named.0.map_or(Netns::OWN, |netns| Netns::named(netns.value.0))
}
