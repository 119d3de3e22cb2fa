//! A hook as a manifest writes it: the key of a link's table, and what stands in the table behind it.

use super::table::quoted;
use crate::desired::{Counter, Event, Hook, Netns, Rate, Trace, Uprobe};
use crate::direct::Via;
use crate::kinds::{AttachType as A, XdpMode};
use crate::manifest::protocol_name;

/// The key and the entries of its inline table, values as TOML writes them.
pub type Written = (&'static str, Vec<(String, String)>);

/// Writes a hook; with `interfaces` one for each of these names and patterns.
pub fn written(hook: &Hook, interfaces: &[String]) -> Written {
    let mut entries = Entries::default();
    let interface = |name: &String| match interfaces {
        [] => quoted(name),
        all => format!("[{}]", all.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
    };
    let key = match hook {
        Hook::Xdp { interface: name, netns, mode, via } => {
            entries.add("interface", interface(name)).netns(netns);
            if *mode != XdpMode::Auto {
                entries.text("mode", mode);
            }
            entries.via(*via, "link", "netlink");
            "xdp"
        }
        Hook::Tc { interface: name, netns, attach_type, via, wish } => {
            entries.add("interface", interface(name)).netns(netns).text("direction", direction(*attach_type));
            entries.via(*via, "tcx", "clsact");
            entries.number("priority", wish.priority).number("handle", wish.handle);
            entries.some_text("protocol", wish.protocol.and_then(protocol_name)).number("chain", wish.chain);
            "tc"
        }
        Hook::Netkit { interface: name, netns, attach_type } => {
            entries.add("interface", interface(name)).netns(netns);
            entries.yes("peer", *attach_type == A::NETKIT_PEER);
            "netkit"
        }
        Hook::Lwt { interface: name, netns, point: _, route } => {
            let place = &route.place;
            entries.text("to", place.to).add("interface", interface(name)).netns(netns);
            entries.some_text("gateway", route.gateway).number("table", Some(place.table));
            entries.number("metric", Some(place.metric)).number("headroom", Some(route.headroom).filter(|it| *it != 0));
            "lwt"
        }
        Hook::Cgroup { path, attach_type: _, via } => {
            entries.text("path", path).via(*via, "link", "attach");
            "cgroup"
        }
        Hook::Netns { netns, attach_type } => {
            entries.netns(netns);
            if *attach_type == A::SK_LOOKUP { "sk_lookup" } else { "flow_dissector" }
        }
        Hook::Netfilter { hook, netns } => {
            entries.text("family", hook.family).text("hook", hook.point).number("priority", Some(hook.priority));
            entries.yes("defrag", hook.defrag).netns(netns);
            "netfilter"
        }
        Hook::Sockmap { map, attach_type: _ } => {
            entries.text("map", map);
            "sockmap"
        }
        Hook::StructOps { map } => {
            entries.text("map", map);
            "struct_ops"
        }
        Hook::Trace(Trace { event, cookie }) => {
            let key = event_entries(event, &mut entries);
            entries.number("cookie", *cookie);
            key
        }
    };
    (key, entries.0)
}

fn event_entries(event: &Event, entries: &mut Entries) -> &'static str {
    match event {
        Event::Tracepoint { category, name } => {
            entries.text("name", format_args!("{category}/{name}"));
            "tracepoint"
        }
        Event::RawTracepoint { name } => {
            entries.text("name", name);
            "raw_tracepoint"
        }
        Event::Target { attach_type: A::TRACE_ITER, name: _ } => "iter",
        Event::Target { attach_type: A::LSM_MAC, name: _ } => "lsm",
        Event::Target { attach_type: _, name: _ } => "tracing",
        Event::Extension { program: _, function: _ } => "extension",
        Event::Counter(Counter { source, config, rate, cpu, pid }) => {
            entries.text("type", source).number("config", Some(config));
            match rate {
                Rate::Period(period) => entries.number("period", Some(period)),
                Rate::Frequency(frequency) => entries.number("frequency", Some(frequency)),
            };
            entries.number("cpu", *cpu).number("pid", *pid);
            "perf_event"
        }
        Event::Kprobe { function, offset, returns } => {
            entries.text("function", function).number("offset", Some(offset).filter(|it| **it != 0));
            entries.yes("return", *returns);
            "kprobe"
        }
        Event::KprobeMulti { functions, returns } => {
            let functions: Vec<_> = functions.iter().map(|name| quoted(name)).collect();
            entries.add("functions", format!("[{}]", functions.join(", "))).yes("return", *returns);
            "kprobe_multi"
        }
        Event::Uprobe(Uprobe { binary, symbol, offset, pid, returns }) => {
            entries.text("binary", binary).some_text("symbol", symbol.as_ref());
            entries.number("offset", Some(offset).filter(|it| **it != 0)).number("pid", *pid).yes("return", *returns);
            "uprobe"
        }
    }
}

fn direction(attach_type: A) -> &'static str {
    if attach_type == A::TCX_EGRESS { "egress" } else { "ingress" }
}

/// What stands in the table so far.
#[derive(Default)]
struct Entries(Vec<(String, String)>);

impl Entries {
    fn add(&mut self, key: &str, value: String) -> &mut Self {
        self.0.push((key.to_owned(), value));
        self
    }

    fn text(&mut self, key: &str, text: impl ToString) -> &mut Self {
        self.add(key, quoted(&text.to_string()))
    }

    fn some_text(&mut self, key: &str, text: Option<impl ToString>) -> &mut Self {
        if let Some(text) = text {
            self.text(key, text);
        }
        self
    }

    fn number(&mut self, key: &str, number: Option<impl ToString>) -> &mut Self {
        if let Some(number) = number {
            self.add(key, number.to_string());
        }
        self
    }

    fn yes(&mut self, key: &str, yes: bool) -> &mut Self {
        if yes {
            self.add(key, "true".to_owned());
        }
        self
    }

    fn netns(&mut self, netns: &Netns) -> &mut Self {
        self.some_text("netns", netns.name())
    }

    fn via(&mut self, via: Option<Via>, link: &str, direct: &str) {
        match via {
            None => {}
            Some(Via::Link) => drop(self.text("via", link)),
            Some(Via::Direct) => drop(self.text("via", direct)),
        }
    }
}
