//! `docs/hooks.md` says of each kind of link what the code does: it is made of the code's own answers, and of a manifest
//! for each kind, which must parse. `UPDATE=1 cargo test --test docs` writes it anew: look at the difference.

use bpfapply::desired::{Counter, CounterSource, Event, Hook, Netns, Rate, Trace, Uprobe};
use bpfapply::direct::{Feature, Via, Wish};
use bpfapply::elf;
use bpfapply::kinds::{AttachType, Family, Netfilter, Point, XdpMode};
use bpfapply::manifest;
use bpfapply::names::MapName;
use bpfapply::route::{Lwt, RoutePlace, RouteWish};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A kind of link.
struct Kind {
    /// The key of its table in `[link.NAME]`.
    key: &'static str,
    /// The section names of its programs.
    sections: &'static [&'static str],
    /// An example of the table.
    example: &'static str,
    /// One of its hooks.
    hook: Hook,
    /// Whether a hook has room for one program.
    room: &'static str,
    /// How several programs on one hook are ordered.
    order: &'static str,
    /// What another program means where it is not put in place.
    gap: &'static str,
}

const NOT_ORDERED: &str = "—";
const BEHIND: &str = "the newest last";
const NEW_FIRST: &str = "new before old, both run meanwhile";

fn name(text: &str) -> MapName {
    MapName::new(text).expect("a good name")
}

fn event(event: Event) -> Hook {
    Hook::Trace(Trace { event, cookie: None })
}

fn target(attach_type: AttachType) -> Hook {
    event(Event::Target { attach_type, name: "f".to_owned() })
}

fn kinds() -> Vec<Kind> {
    let interface = || "eth0".to_owned();
    let kind = |key, sections, example, hook, room, order, gap| Kind { key, sections, example, hook, room, order, gap };
    let counter =
        Counter { source: CounterSource::Software, config: 0, rate: Rate::Frequency(99), cpu: Some(0), pid: None };
    let uprobe = Uprobe { binary: "/bin/bash".to_owned(), symbol: None, offset: 0, pid: None, returns: false };
    vec![
        kind(
            "xdp",
            &["xdp", "xdp.frags"],
            "xdp = { interface = \"eth*\", mode = \"native\" }",
            Hook::Xdp { interface: interface(), netns: Netns::OWN, mode: XdpMode::Auto, via: None },
            "one",
            NOT_ORDERED,
            "",
        ),
        kind(
            "tc",
            &["tc", "tcx/ingress", "tcx/egress", "classifier"],
            "tc = { interface = \"eth0\", direction = \"ingress\" }",
            Hook::Tc {
                interface: interface(),
                netns: Netns::OWN,
                attach_type: AttachType::TCX_INGRESS,
                via: None,
                wish: Wish::default(),
            },
            "many",
            "tcx: `order`; clsact: `priority`, then the newest first",
            "",
        ),
        kind(
            "netkit",
            &["netkit/primary", "netkit/peer", "tc"],
            "netkit = { interface = \"nk0\", peer = true }",
            Hook::Netkit { interface: interface(), netns: Netns::OWN, attach_type: AttachType::NETKIT_PEER },
            "many",
            BEHIND,
            "",
        ),
        kind(
            "cgroup",
            &[
                "cgroup_skb/ingress",
                "cgroup/connect4",
                "cgroup/sock_create",
                "cgroup/getsockopt",
                "cgroup/sysctl",
                "cgroup/dev",
                "sockops",
                "lsm_cgroup",
            ],
            "cgroup = { path = \"system.slice\" }",
            Hook::Cgroup { path: "system.slice".to_owned(), attach_type: AttachType::CGROUP_INET_INGRESS, via: None },
            "many",
            "`order`, from Linux 6.17",
            "",
        ),
        kind(
            "netfilter",
            &["netfilter"],
            "netfilter = { family = \"ipv4\", hook = \"input\", priority = -128 }",
            Hook::Netfilter {
                hook: Netfilter { family: Family::Ipv4, point: Point::Input, priority: -128, defrag: false },
                netns: Netns::OWN,
            },
            "one at a priority",
            "`priority`",
            "at another priority new before old; at the same one a gap (`--allow gap`)",
        ),
        kind(
            "lwt",
            &["lwt_in", "lwt_out", "lwt_xmit"],
            "lwt = { to = \"10.9.0.0/24\", interface = \"eth0\" }",
            Hook::Lwt {
                interface: interface(),
                netns: Netns::OWN,
                point: Lwt::In,
                route: RouteWish {
                    place: RoutePlace::new("10.9.0.0/24".parse().expect("a subnet"), None, None),
                    gateway: None,
                    headroom: 0,
                },
            },
            "one of a destination, table and metric",
            "`metric`",
            "",
        ),
        kind(
            "sk_lookup",
            &["sk_lookup"],
            "sk_lookup = { netns = \"blue\" }",
            Hook::Netns { netns: Netns::OWN, attach_type: AttachType::SK_LOOKUP },
            "many",
            BEHIND,
            "",
        ),
        kind(
            "flow_dissector",
            &["flow_dissector"],
            "flow_dissector = {}",
            Hook::Netns { netns: Netns::OWN, attach_type: AttachType::FLOW_DISSECTOR },
            "one",
            NOT_ORDERED,
            "",
        ),
        kind(
            "sockmap",
            &["sk_msg", "sk_skb/stream_parser", "sk_skb/stream_verdict", "sk_skb/verdict"],
            "sockmap = { map = \"socks\" }",
            Hook::Sockmap { map: name("socks"), attach_type: AttachType::SK_MSG_VERDICT },
            "one of each kind",
            NOT_ORDERED,
            "",
        ),
        kind(
            "struct_ops",
            &["struct_ops"],
            "struct_ops = { map = \"socks\" }",
            Hook::StructOps { map: name("socks") },
            "one of a name",
            NOT_ORDERED,
            "",
        ),
        kind(
            "tracepoint",
            &["tracepoint/sched/sched_switch", "tp/sched/sched_switch"],
            "tracepoint = { name = \"sched/sched_process_exec\" }",
            event(Event::Tracepoint { category: "sched".to_owned(), name: "sched_switch".to_owned() }),
            "many",
            NOT_ORDERED,
            NEW_FIRST,
        ),
        kind(
            "raw_tracepoint",
            &["raw_tp/sched_switch", "raw_tracepoint.w/sched_switch"],
            "raw_tracepoint = {}",
            event(Event::RawTracepoint { name: "sched_switch".to_owned() }),
            "many",
            NOT_ORDERED,
            NEW_FIRST,
        ),
        kind(
            "tracing",
            &["tp_btf/sched_switch", "fentry/tcp_connect", "fexit/tcp_connect", "fmod_ret/f"],
            "tracing = { cookie = 1 }",
            target(AttachType::TRACE_FENTRY),
            "many",
            NOT_ORDERED,
            NEW_FIRST,
        ),
        kind("lsm", &["lsm/file_open"], "lsm = {}", target(AttachType::LSM_MAC), "many", NOT_ORDERED, NEW_FIRST),
        kind("iter", &["iter/tcp"], "iter = {}", target(AttachType::TRACE_ITER), "many", NOT_ORDERED, ""),
        kind(
            "extension",
            &["freplace/f"],
            "extension = {}",
            event(Event::Extension { program: "p".to_owned(), function: "f".to_owned() }),
            "one",
            NOT_ORDERED,
            "a gap (`--allow gap`), unless its target is new, too",
        ),
        kind(
            "perf_event",
            &["perf_event"],
            "perf_event = { type = \"software\", config = \"cpu-clock\", frequency = 99, cpu = 0 }",
            event(Event::Counter(counter)),
            "many",
            NOT_ORDERED,
            NEW_FIRST,
        ),
        kind(
            "kprobe",
            &["kprobe/tcp_connect", "kretprobe/tcp_connect", "ksyscall/bpf"],
            "kprobe = { function = \"tcp_connect\" }",
            event(Event::Kprobe { function: "tcp_connect".to_owned(), offset: 0, returns: false }),
            "many",
            NOT_ORDERED,
            NEW_FIRST,
        ),
        kind(
            "kprobe_multi",
            &["kprobe.multi/tcp_connect", "kretprobe.multi/tcp_connect"],
            "kprobe_multi = { functions = [\"tcp_connect\", \"tcp_close\"] }",
            event(Event::KprobeMulti { functions: Vec::new(), returns: false }),
            "many",
            NOT_ORDERED,
            NEW_FIRST,
        ),
        kind(
            "uprobe",
            &["uprobe//bin/bash:readline", "uretprobe//bin/bash:readline"],
            "uprobe = { binary = \"/bin/bash\", symbol = \"readline\" }",
            event(Event::Uprobe(uprobe)),
            "many",
            NOT_ORDERED,
            NEW_FIRST,
        ),
    ]
}

const HEAD: &str = "# Hooks\n\n\
    Every kind of link that a manifest can have. A link that a kernel lacks is exit code 69, with the version that has it.\n\
    This page is tested against the code (`tests/docs.rs`).\n\n";

const TABLE: &str = "| `[link.NAME]` | sections | kernel | without a kernel link | another program | programs on one hook | their order |\n\
    |---|---|---|---|---|---|---|\n";

/// What there is where the kernel has no link of the kind, or the manifest does not want one.
const WAYS: &[(&str, &str)] = &[
    ("xdp", "`via = \"netlink\"`: the old program is expected (`IFLA_XDP_EXPECTED_FD`)"),
    ("tc", "`via = \"clsact\"`: a filter with direct action"),
    ("cgroup", "`via = \"attach\"`: `BPF_PROG_ATTACH` beside others"),
    ("lwt", "a route, never a link"),
];

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the first version of Linux that a text names.
fn version(text: &str) -> &str {
    let start = text.find("Linux ").map_or(0, |at| at + "Linux ".len());
    let end = text[start..].find(|c: char| c != '.' && !c.is_ascii_digit()).map_or(text.len(), |at| start + at);
    &text[start..end]
}

fn row(kind: &Kind) -> String {
    let sections: Vec<_> = kind.sections.iter().map(|section| format!("`{section}`")).collect();
    let since = kind.hook.needs().map_or_else(|| version(kind.hook.may_lack()), Feature::since);
    let way = WAYS.iter().find(|(key, _)| *key == kind.key).map_or("", |(_, way)| way);
    let change = if kind.hook.updates_in_place() {
        match kind.hook.is_for_new_sockets() {
            true => "in place, for new sockets",
            false => "in place, no gap",
        }
    } else {
        kind.gap
    };
    let Kind { key, room, order, .. } = kind;
    format!("| `{key}` | {} | {since} | {way} | {change} | {room} | {order} |\n", sections.join(", "))
}

fn page() -> String {
    let mut text = HEAD.to_owned() + TABLE;
    for kind in kinds() {
        text += &row(&kind);
    }
    text += "\nFor xdp, tc and cgroup \"no gap\" was measured under a flood of packets, also without a kernel link (`tests/flood.rs`). \
        Where a change needs a gap, the plan says so and waits for `--allow gap`.\n\n## Examples\n\n```toml\n";
    for kind in kinds() {
        let program = if kind.key == "struct_ops" { "" } else { "program = \"p\"\n" };
        writeln!(text, "[link.{}]\n{program}{}\n", kind.key, kind.example).expect("a string takes everything");
    }
    text.truncate(text.trim_end().len());
    text + "\n```\n"
}

#[test]
fn the_page_says_what_the_code_does() {
    let path: PathBuf = folder().join("docs/hooks.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(&path, page()).expect("it can be written");
    }
    let there = fs::read_to_string(&path).expect("the page is there");
    assert!(there == page(), "docs/hooks.md is not what the code says: `UPDATE=1 cargo test --test docs` writes it");
}

#[test]
fn every_kind_has_a_row() {
    let schema = fs::read_to_string(folder().join("schemas/manifest.schema.json")).expect("the schema is there");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let one_of = schema.pointer("/properties/link/additionalProperties/oneOf").expect("a link has one hook");
    let keys = one_of.as_array().expect("a list").iter().map(|one| one["required"][0].as_str().expect("a key"));
    let keys: BTreeSet<_> = keys.collect();
    assert_eq!(keys, kinds().iter().map(|kind| kind.key).collect());
}

#[test]
fn sections_and_examples_are_known() {
    for kind in kinds() {
        for section in kind.sections {
            assert!(elf::section_prefix(section).is_some(), "{section}");
        }
        let text = page();
        let toml = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the examples");
        let text = format!(
            "version = 1\nname = \"docs\"\n[object.o]\npath = \"o.o\"\n[map.socks]\nfrom = \"o:socks\"\n\
             [program.p]\nfrom = \"o:f\"\n{toml}"
        );
        manifest::parse(&text, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    }
    for via in [Via::Link, Via::Direct] {
        let ways: BTreeSet<_> =
            kinds().iter().filter(|kind| kind.hook.by(via).via() == Some(via)).map(|kind| kind.key).collect();
        let wanted: BTreeSet<_> = WAYS.iter().map(|(key, _)| *key).filter(|key| *key != "lwt").collect();
        assert_eq!(ways, wanted);
    }
}

/// Returns the targets of a page's links that are files here.
fn linked(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter_map(|target| target.split('#').next());
    files.filter(|path| !path.is_empty() && !path.contains("://"))
}

#[test]
fn links_lead_to_files() {
    let pages = fs::read_dir(folder().join("docs")).expect("the folder is there");
    let pages = pages.map(|page| page.expect("it can be read").path());
    let pages = pages.filter(|page| page.extension().is_some_and(|extension| extension == "md"));
    for page in pages.chain([folder().join("README.md")]) {
        let text = fs::read_to_string(&page).expect("a page is text");
        let from = page.parent().expect("a page is in a folder");
        for path in linked(&text) {
            assert!(from.join(path).exists(), "{} links to `{path}`, which is not there", page.display());
        }
    }
}
