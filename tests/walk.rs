//! The reviewer's walk: one change after the other to the manifests of examples. The plan of each reads right, and its
//! apply does exactly what the plan says: every call that changes something belongs to a step, and every step has its calls.

#[path = "walk/calls.rs"]
mod calls;
mod common;

use calls::{Change, Places, TRACED, changes};
use common::tool::{Site, succeed};
use common::{Room, first_cpu, in_namespace, output, run, skip};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A change of a manifest, and what the reviewer has to read.
struct Turn {
    /// What stands in the manifest, and what takes its place.
    edit: (&'static str, &'static str),
    /// What has to be allowed.
    allow: &'static str,
    /// Lines of the plan: how each begins, or what is in it.
    says: &'static [&'static str],
}

const QUICKSTART: &[Turn] = &[
    // A constant.
    Turn {
        edit: ("sample_rate = 1 }", "sample_rate = 3 }"),
        allow: "",
        says: &[
            "+/- map.xdp:.rodata",
            "because its first contents changed",
            "+/- program.xdp",
            "~   link.xdp",
            "traffic: no gap",
            "risk: none; no traffic gap, no contents lost",
        ],
    },
    // The size of a map.
    Turn {
        edit: ("from = \"xdp:traffic\" ", "from = \"xdp:traffic\"\nmax_entries = 8\non_change = \"migrate\" "),
        allow: "",
        says: &["+/- map.traffic", "max_entries: 3, wanted 8", "copy 2 entries of id", "~   link.egress"],
    },
    // An entry, and then its value.
    Turn {
        edit: ("max_entries = 8\n", "max_entries = 8\nentries_mode = \"merge\"\nentries = { 7 = { packets = 1 } }\n"),
        allow: "",
        says: &["~   map.traffic", "entries +1 ~0 -0", "0 to remove", "risk: none"],
    },
    Turn {
        edit: ("{ packets = 1 }", "{ packets = 2 }"),
        allow: "",
        says: &["~   map.traffic", "entries +0 ~1 -0", "packets"],
    },
    // A program.
    Turn {
        edit: ("from = \"xdp:count_xdp\" ", "from = \"xdp:count_xdp\"\nflags = [\"xdp_frags\"] "),
        allow: "",
        says: &["+/- program.xdp", "because its code changed", "~   link.xdp", "in place"],
    },
    // A hook.
    Turn {
        edit: ("direction = \"ingress\"", "direction = \"egress\""),
        allow: "prune",
        says: &["+/- link.ingress", "it is on tcx_ingress of lo", "STOPS where it was", "--allow prune"],
    },
    // A link goes, with its program.
    Turn {
        edit: ("[link.xdp]\nprogram = \"xdp\"\nxdp     = { interface = \"${interface}\", mode = \"auto\" }\n", ""),
        allow: "prune",
        says: &["-   link.xdp", "traffic: STOPS", "risk: 1 hook loses its filter"],
    },
];

/// These objects have no constants, and their maps are of a size that nobody needs to change.
const XDP_FILTER: &[Turn] = &[
    // The size of a map that two objects share by its name, and an entry in it.
    Turn {
        edit: (
            "[program.allow_ip]",
            "[map.filter_ipv4]\nfrom = \"allow_ip:filter_ipv4\"\nmax_entries = 64\non_change = \"migrate\"\n\
             [program.allow_ip]",
        ),
        allow: "",
        says: &["+/- map.filter_ipv4", "max_entries: 10000, wanted 64", "~   link.uplink"],
    },
    Turn {
        edit: (
            "max_entries = 64\n",
            "max_entries = 64\nkey_format = \"ipv4\"\nentries_mode = \"merge\"\nentries = { \"192.0.2.1\" = 1 }\n",
        ),
        allow: "",
        says: &["~   map.filter_ipv4", "entries +1 ~0 -0", "192.0.2.1"],
    },
    // A program.
    Turn {
        edit: ("program = \"allow_ip\"", "program = \"allow_ethernet\""),
        allow: "",
        says: &["~   link.uplink", "by program.allow_ethernet in place", "traffic: no gap", "risk: none"],
    },
    // A hook: another interface.
    Turn {
        edit: ("uplink  = \"lo\"", "uplink  = \"v0\""),
        allow: "prune",
        says: &["+/- link.uplink", "it is on xdp of lo", "STOPS where it was"],
    },
    // Its mode.
    Turn {
        edit: ("mode = \"auto\"", "mode = \"generic\""),
        allow: "gap",
        says: &["-/+ link.uplink", "mode generic is wanted", "GAP, UNFILTERED", "risk: 1 traffic gap"],
    },
];

/// Walks through the changes of an example, whose files are in a folder.
fn walk(example: &str, deployment: &str, room: &Room, turns: &[Turn], meanwhile: impl Fn()) {
    let site = Site::new(deployment);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    for file in fs::read_dir(from).expect("it is there").flatten() {
        fs::copy(file.path(), site.path().join(file.file_name())).expect("it can be copied");
    }
    let mut text = fs::read_to_string(site.path().join("plan.toml")).expect("it is there");
    if let Some(cgroup) = &room.cgroup {
        // Nobody else sends anything from there.
        text = text.replace("path = \"/\"", &format!("path = \"{}\"", cgroup.display()));
    }
    text = text.replace("cgroup  = { path", "cgroup = { path");
    site.write(&text);
    site.apply();
    meanwhile();
    for (turn, next) in turns.iter().zip(2..) {
        let (from, to) = turn.edit;
        assert!(text.contains(from), "{example}: {from}");
        text = text.replace(from, to);
        site.write(&text);
        let root = format!("/sys/fs/bpf/{deployment}");
        take(&site, &Places { next: format!("{root}~{next}"), root }, turn);
    }
    succeed(site.path(), &["destroy", deployment]);
}

/// Reads the plan of a change, applies exactly that under strace, and compares the calls.
#[track_caller]
fn take(site: &Site, places: &Places, turn: &Turn) {
    let read = site.succeed(&["plan.toml", "--dry-run", "-v"]);
    for words in turn.says {
        assert!(read.contains(words), "{:?} is not said:\n{read}", words);
    }
    let plan = site.succeed(&["plan.toml", "--dry-run", "--output", "json"]);
    let plan: Value = serde_json::from_str(&plan).expect("JSON is written");
    let (trace, said) = traced(site, &plan, turn.allow);
    let (made, planned) = (changes(&trace, places), expected(&plan, &places.root));
    let without = |these: &BTreeSet<Change>, those: &BTreeSet<Change>| -> Vec<String> {
        these.difference(those).map(|(verb, pin)| format!("{verb} {pin}")).collect()
    };
    let explained = &planned | &kept_entries(&plan);
    let (unexplained, undone) = (without(&made, &explained), without(&planned, &made));
    assert!(
        unexplained.is_empty() && undone.is_empty(),
        "no step says: {unexplained:#?}\nno call does: {undone:#?}\n{read}\n{said}"
    );
    site.is_settled();
}

/// Applies exactly this plan, on one CPU and so in one order, and returns the trace and what was said.
fn traced(site: &Site, plan: &Value, allow: &str) -> (String, String) {
    let trace = site.path().join("trace");
    let id = plan["id"].as_str().expect("a plan has an id");
    let mut command = Command::new("taskset");
    command.args([
        "--cpu-list",
        &first_cpu(),
        "strace",
        "-f",
        "-qq",
        "-y",
        "-v",
        "-s",
        "400",
        "-e",
        &format!("trace={TRACED}"),
        "-o",
    ]);
    command.arg(&trace).arg(env!("CARGO_BIN_EXE_bpfapply")).args(["plan.toml", "--expect", id]);
    if !allow.is_empty() {
        command.args(["--allow", allow]);
    }
    let ran = output(command.current_dir(site.path()), Duration::from_secs(60)).expect("it ends");
    let said = String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr[..]].concat()).into_owned();
    assert!(ran.status.success(), "{said}");
    (fs::read_to_string(&trace).expect("strace writes"), said)
}

/// Lists what the steps of a plan do.
fn expected(plan: &Value, root: &str) -> BTreeSet<Change> {
    let steps = plan["steps"].as_array().expect("a plan has steps");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let below = |pin: &str| pin.strip_prefix(root).map_or(pin, |pin| pin.trim_start_matches('/')).to_owned();
    // Some steps say only what they are about.
    let pins = steps.iter().map(|step| (text(&step["address"]), below(&text(&step["details"]["pin"]))));
    let pins: BTreeMap<String, String> = pins.filter(|(_, pin)| !pin.is_empty()).collect();
    let mut all = BTreeSet::new();
    for step in steps {
        let address = text(&step["address"]);
        let pin = match below(&text(&step["details"]["pin"])) {
            said if said.is_empty() => pins.get(&address).cloned().unwrap_or_default(),
            said => said,
        };
        all.extend(of_step(step, &pin));
        // Before the first change in place there is a record already, in the place of which the last one comes.
        if step["action"] == "write-entries" && step["marker"] == "~" {
            let record = || "record~".to_owned();
            all.extend([("create map", record()), ("write", record()), ("pin", record())]);
            all.insert(("rename", "record".to_owned()));
        }
    }
    // Nothing of the next generation is built without its folders.
    let folders = |pin: &str| -> Vec<Change> {
        let ends = pin.match_indices('/').map(|(at, _)| pin[..at].to_owned());
        ends.chain([String::new()]).map(|folder| ("folder", folder)).collect()
    };
    let placed: Vec<String> =
        all.iter().filter(|(verb, _)| ["pin", "keep"].contains(verb)).map(|(_, pin)| pin.clone()).collect();
    all.extend(placed.iter().flat_map(|pin| folders(pin)));
    all
}

/// Lists what keeps the entries of ours known, of the maps of which they stay as they are: a plan does not say which have any.
fn kept_entries(plan: &Value) -> BTreeSet<Change> {
    let steps = plan["steps"].as_array().expect("a plan has steps");
    let reused = steps.iter().filter(|step| step["action"] == "reuse-map").filter_map(|step| step["address"].as_str());
    let maps = reused.map(|address| address.trim_start_matches("map."));
    maps.map(|map| ("keep", format!("~entries/{map}"))).chain([("folder", "~entries".to_owned())]).collect()
}

/// Lists what one step does; `pin` is that of what it is about.
fn of_step(step: &Value, pin: &str) -> Vec<Change> {
    let details = &step["details"];
    let (action, address) = (step["action"].as_str().unwrap_or(""), step["address"].as_str().unwrap_or(""));
    let map = address.trim_start_matches("map.");
    let copied = || format!("~copied/{map}~{}", details["copies"]["from"]);
    let all = |verbs: &[&'static str], pin: &str| verbs.iter().map(|verb| (*verb, pin.to_owned())).collect::<Vec<_>>();
    const MADE: &[&str] = &["create map", "write", "pin"];
    match action {
        "reuse-map" | "reuse-program" | "reuse-link" => all(&["keep"], pin),
        "create-map" => all(&["create map", "pin"], pin),
        "fill-map" => all(&["write", "freeze"], pin),
        "load-program" => [all(&["load", "pin"], pin), all(&["load types"], "")].concat(),
        // What the old map held is kept until the new one caught up.
        "copy-entries" if step["entries"] == 0 => all(MADE, &copied()),
        "copy-entries" => [all(&["write"], pin), all(MADE, &copied())].concat(),
        "catch-up" => [all(&["unlink"], &copied()), all(&["rmdir"], "~copied")].concat(),
        // Which ones are ours is kept beside the record.
        "write-entries" => [all(&["write"], pin), all(MADE, &format!("~entries/{map}"))].concat(),
        "attach" => all(&["attach", "pin"], pin),
        "update-link" => all(&["update", "keep"], pin),
        "reattach" => [all(&["attach", "pin"], pin), all(&["detach"], "")].concat(),
        "detach" => all(&["detach"], ""),
        // They go with the last generation that has their pins.
        "remove-map" | "remove-program" => Vec::new(),
        "write-record" => [all(MADE, "record"), all(&["switch", "retire"], "")].concat(),
        other => panic!("nobody walked past a step like this: {other}"),
    }
}

/// Returns why there is no walk on this host.
fn lacking() -> Option<&'static str> {
    let has = |tool: &str| run(Command::new("sh").args(["-c", &format!("command -v {tool}")])).is_ok();
    ["strace", "taskset"].into_iter().find(|tool| !has(tool))
}

#[test]
fn on_the_quickstart() {
    in_namespace("walk_quickstart", |room| match lacking() {
        Some(tool) => skip("walk_quickstart", &format!("there is no {tool}")),
        None => walk("quickstart", "quickstart", room, QUICKSTART, || {
            // Two of the three hooks of `lo` see it.
            run(Command::new("ping").args(["-c", "1", "-W", "2", "127.0.0.1"])).expect("lo answers");
        }),
    });
}

#[test]
fn on_the_filters_of_xdp_tools() {
    in_namespace("walk_xdp_filter", |room| {
        let object = Path::new("/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_ip.o").exists();
        match lacking().or((!object).then_some("xdp-tools")) {
            Some(tool) => skip("walk_xdp_filter", &format!("there is no {tool}")),
            None => {
                run(Command::new("ip").args("link add v0 type veth peer name v1".split(' '))).expect("a cable");
                walk("xdp-filter", "edge-filter", room, XDP_FILTER, || ());
            }
        }
    });
}
