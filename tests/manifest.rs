//! The manifest: what is valid, what is not and how that reads, and the schema.
//!
//! `tests/manifests/valid/*.toml` and `examples/*/plan.toml` parse and fit the schema.
//! `tests/manifests/invalid/NAME.toml` does not parse, and `NAME.txt` is what the user then reads.
//! `UPDATE=1 cargo test --test manifest` writes the golden files and the schema anew: look at the difference.

use bpfapply::btf::value::Value;
use bpfapply::desired::{Counter, CounterSource, Neighbour, Netns, Order, Policy, Rate};
use bpfapply::diag::{self, Exit, Kind, Problems, Source};
use bpfapply::direct::{Via, Wish};
use bpfapply::kernel::XdpMode;
use bpfapply::kinds::{AttachType, Family, MapType, Netfilter, Point, ProgramType};
use bpfapply::manifest::{
    self, Attach, EventLink, EventText, Interfaces, Manifest, Map, MapSource, ProgramTarget, SymbolRef,
};
use bpfapply::names::{LinkName, MapName, ObjectName, PinPath, ProgramName};
use bpfapply::plan::Consent;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const UPDATE: &str = "`UPDATE=1 cargo test --test manifest` updates it";

fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// Lists the manifests of a folder, sorted.
fn manifests(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(path(folder)).expect("the folder is part of the project");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// Lists the manifests of the examples.
fn examples() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path("examples")) else {
        return Vec::new();
    };
    let plans = entries.map(|entry| entry.expect("readable").path().join("plan.toml"));
    let mut plans: Vec<_> = plans.filter(|plan| plan.is_file()).collect();
    plans.sort();
    plans
}

fn parse(text: &str) -> Result<Manifest, Problems> {
    manifest::parse(text, &BTreeMap::new())
}

fn drawn(name: &str, text: &str, problems: &Problems) -> String {
    diag::render(problems, Some(&Source::new(name, text)), false)
}

/// Compares with a golden file, or writes it when `UPDATE` is set.
#[track_caller]
fn golden(file: &Path, got: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file, got).expect("the project is writable");
    }
    let wanted = fs::read_to_string(file).unwrap_or_default();
    assert!(wanted == got, "{} is stale: {UPDATE}\n{got}", file.display());
}

/// Returns the text as the schema sees it.
fn as_json(text: &str) -> serde_json::Value {
    toml::from_str(text).expect("TOML")
}

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let text = serde_json::to_string_pretty(&manifest::schema()).expect("a schema is JSON") + "\n";
    golden(&path("schemas/manifest.schema.json"), &text);
    let text = serde_json::to_string_pretty(&manifest::tests_schema()).expect("a schema is JSON") + "\n";
    golden(&path("schemas/tests.schema.json"), &text);
}

/// Lists the files of tests beside manifests, of the examples and of the tests.
fn files_of_tests() -> Vec<PathBuf> {
    let folders = ["examples/quickstart", "examples/xdp-filter", "tests/packets"];
    let all = folders.into_iter().flat_map(manifests);
    all.filter(|file| file.to_string_lossy().ends_with(".test.toml")).collect()
}

#[test]
fn files_of_tests_fit_the_schema() {
    let schema = jsonschema::validator_for(&manifest::tests_schema()).expect("the schema is one");
    let files = files_of_tests();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let read = |path: &Path| fs::read_to_string(path).expect("readable");
        let (text, beside) = (read(&file), read(&file.with_extension("").with_extension("toml")));
        let manifest = parse(&beside).expect("a manifest is beside it");
        if let Err(problems) = manifest::parse_tests(&text, &manifest) {
            panic!("{}", drawn(&file.display().to_string(), &text, &problems));
        }
        let json = as_json(&text);
        let faults: Vec<_> = schema.iter_errors(&json).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{} against the schema: {faults:#?}", file.display());
    }
}

#[test]
fn valid_manifests_parse_and_fit_the_schema() {
    let schema = jsonschema::validator_for(&manifest::schema()).expect("the schema is one");
    for file in manifests("tests/manifests/valid").into_iter().chain(examples()) {
        let text = fs::read_to_string(&file).expect("readable");
        if let Err(problems) = parse(&text) {
            panic!("{}", drawn(&file.display().to_string(), &text, &problems));
        }
        let json = as_json(&text);
        let faults: Vec<_> = schema.iter_errors(&json).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{} against the schema: {faults:#?}", file.display());
    }
}

#[test]
fn invalid_manifests_say_what_is_wrong() {
    let files = manifests("tests/manifests/invalid");
    assert!(files.len() >= 25, "only {} manifests", files.len());
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let name = file.file_name().expect("it has one").to_string_lossy().into_owned();
        let problems = parse(&text).expect_err(&name);
        assert_eq!(problems.exit(), Exit::Data, "{name}");
        for label in problems.0.iter().flat_map(|problem| &problem.labels) {
            assert!(text.get(label.span.clone()).is_some(), "{name}: {label:?}");
        }
        let got = drawn(&name, &text, &problems);
        assert!(got.is_ascii() || !text.is_ascii(), "{name}: without colour it is ASCII\n{got}");
        assert!(!got.contains('\u{1b}'), "{name}: without colour there are no escape sequences\n{got:?}");
        golden(&file.with_extension("txt"), &got);
    }
}

/// Each line makes a manifest that the schema alone refuses, so that an editor shows it.
#[test]
fn the_schema_is_strict() {
    const GOOD: &str = "version = 1\nname = \"edge\"\n";
    let schema = jsonschema::validator_for(&manifest::schema()).expect("the schema is one");
    assert!(schema.is_valid(&as_json(GOOD)));
    let cases = [
        "naem = 1",
        "allow = \"gap\"",
        "allow = [\"gaps\"]",
        "map.a = { from = \"a:b\", protect = \"yes\" }",
        "object.a.pth = \"a.o\"",
        "object.a = { path = \"a.o\", sha256 = \"12\" }",
        "object.\"a b\".path = \"a.o\"",
        "map.a = { }",
        "map.a = { from = \"a:b\", pinned = \"/sys/fs/bpf/x\" }",
        "map.a = { type = \"hash\" }",
        "map.a = { type = \"hash\", max_entries = 1 }",
        "map.a = { type = \"queue\", max_entries = 1 }",
        "map.a = { type = \"hsh\", key_size = 4, value_size = 4, max_entries = 1 }",
        "map.a = { from = \"a\" }",
        "map.a = { from = \"a:b\", flags = [\"prealloc\"] }",
        "map.a = { from = \"a:b\", max_entries = -1 }",
        "map.a = { from = \"a:b\", max_entries = 4294967296 }",
        "map.a = { from = \"a:b\", on_change = \"sometimes\" }",
        "map.a = { pinned = \"relative\" }",
        "program.a = { }",
        "program.a = { from = \"a:b\", type = \"xpd\" }",
        "program.a = { from = \"a:b\", test = [{ name = \"x\", packet = \"hex:00\" }] }",
        "program.a = { from = \"a:b\", test = [{ name = \"x\", packet = \"00\", verdict = 1 }] }",
        "program.a = { from = \"a:b\", test = [{ name = \"x\", packet = [{ ipx = {} }], verdict = 1 }] }",
        "program.a = { from = \"a:b\", test = [{ name = \"x\", packet = [{ udp = { dport = 65536 } }], verdict = 1 }] }",
        "program.a = { from = \"a:b\", test = [{ name = \"x\", packet = [{ ipv4 = {}, udp = {} }], verdict = 1 }] }",
        "link.a = { program = \"a\" }",
        "link.a = { program = \"a\", xdp = { interface = [] } }",
        "link.a = { program = \"a\", xdp = { interface = [\"a/b\"] } }",
        "link.a = { program = \"a\", xdp = { interface = \"eth0\", mode = \"fast\" } }",
        "link.a = { program = \"a\", tc = { interface = \"eth0\" } }",
        "link.a = { program = \"a\", tc = { interface = \"eth0\", direction = \"in\" } }",
        "link.a = { program = \"a\", xdp = { interface = \"eth0\" }, cgroup = { path = \"/\" } }",
        "link.a = { program = \"a\", netfilter = { } }",
        "link.a = { program = \"a\", cgroup = { path = \"/\", order = \"middle\" } }",
        "link.a = { program = \"a\", cgroup = { path = \"/\", order = { } } }",
        "link.a = { program = \"a\", cgroup = { path = \"/\", order = { before = 1, after = 2 } } }",
        "link.a = { program = \"a\", cgroup = { path = \"/\", order = { behind = 1 } } }",
        "link.a = { program = \"a\", tracepoint = { name = \"sched\" } }",
        "link.a = { program = \"a\", tracing = { function = \"tcp_connect\" } }",
        "link.a = { program = \"a\", perf_event = { type = \"software\", config = \"cpu-clock\", period = 1 } }",
        "link.a = { program = \"a\", kprobe_multi = { functions = [] } }",
        "link.a = { program = \"a\", uprobe = { binary = \"bash\", symbol = \"readline\" } }",
        "link.a = { program = \"a\", netfilter = { family = \"ipv4\", hook = \"in\", priority = 0 } }",
        "link.a = { program = \"a\", netfilter = { family = \"ipv4\", hook = \"input\", priority = -2147483648 } }",
        "link.a = { program = \"a\", sockmap = {} }",
        "link.a = { xdp = { interface = \"eth0\" } }",
    ];
    for case in cases {
        let text = format!("{GOOD}{case}\n");
        assert!(!schema.is_valid(&as_json(&text)), "the schema takes {case}");
        assert!(parse(&text).is_err(), "parse takes {case}");
    }
}

/// Looks into the manifest that uses every key.
#[test]
fn every_key_arrives() {
    let text = fs::read_to_string(path("tests/manifests/valid/every-key.toml")).expect("part of the project");
    let manifest = parse(&text).expect("valid");
    assert_eq!((manifest.name.as_str(), manifest.pin_root.as_str()), ("edge", "/run/bpf/edge"));
    check_object(&manifest, &text);
    check_maps(&manifest);
    assert_eq!(manifest.allow, BTreeSet::from([Consent::Gap, Consent::LoseState, Consent::Prune]));
    let protected: Vec<_> = Policy::of(&manifest).protect.iter().map(ToString::to_string).collect();
    assert_eq!(protected, ["map.blocklist", "program.drop", "link.uplink"]);

    let drop = &manifest.programs[&ProgramName::new("drop").unwrap()];
    assert_eq!(drop.program_type.as_ref().unwrap().value, ProgramType::XDP);
    assert_eq!(drop.attach_type.as_ref().unwrap().value, AttachType::XDP);
    assert_eq!(drop.flags.as_ref().unwrap().value, 1 << 5 | 1 << 3);
    let target = |name: &str| manifest.programs[&ProgramName::new(name).unwrap()].target.clone().map(|at| at.value);
    let of_drop = |function: Option<&str>| {
        let program = ProgramName::new("drop").unwrap();
        Some(ProgramTarget::Function { program, function: function.map(str::to_owned) })
    };
    assert_eq!(target("police"), None);
    assert_eq!(target("connect"), Some(ProgramTarget::Kernel("tcp_connect".to_owned())));
    assert_eq!(target("strict"), of_drop(Some("classify")));
    assert_eq!(target("stricter"), of_drop(None));
    let spare = &manifest.objects[&ObjectName::new("spare").unwrap()];
    assert_eq!(spare.btf.as_ref().unwrap().value, "vmlinux-5.4.btf");
    assert_eq!(spare.license.as_ref().unwrap().value, "GPL");
    assert_eq!(drop.from.value.1, "xdp_drop");
    assert_eq!(drop.pin.as_ref().unwrap().value.as_str(), "/sys/fs/bpf/shared/drop");

    let attach = |name: &str| manifest.links[&LinkName::new(name).unwrap()].attach.value.clone();
    let xdp = |interface: &str, mode| {
        let (interface, netns) = (Interfaces::One(interface.to_owned()), Netns::OWN);
        Attach::Xdp { interface, netns, mode, via: None }
    };
    assert_eq!(attach("uplink"), xdp("eth0", XdpMode::Native));
    assert_eq!(attach("other"), xdp("${x}", XdpMode::Auto));
    let shape = Attach::Tc {
        interface: Interfaces::One("eth0".to_owned()),
        netns: Netns::OWN,
        attach_type: AttachType::TCX_EGRESS,
        via: Some(Via::Direct),
        wish: Wish { priority: Some(10), handle: Some(2), protocol: Some(0x800), chain: Some(0) },
    };
    assert_eq!(attach("shape"), shape);
    assert_eq!(
        attach("services"),
        Attach::Cgroup { path: "system.slice/web-1.service".to_owned(), via: Some(Via::Direct) }
    );
    let sockets = Attach::Netns { netns: Netns::named("1".to_owned()), attach_type: AttachType::SK_LOOKUP };
    assert_eq!(attach("sockets"), sockets);
    let hosts = Netfilter { family: Family::Ipv6, point: Point::Postrouting, priority: -399, defrag: true };
    assert_eq!(attach("hosts"), Attach::Netfilter { hook: hosts, netns: Netns::OWN });
    assert_eq!(attach("data"), Attach::Sockmap { map: MapName::new("blocklist").unwrap() });
    let event = |event: EventText, cookie: Option<u64>| Attach::Event(EventLink { event, cookie });
    let exec = ("sched".to_owned(), "sched_process_exec".to_owned());
    assert_eq!(attach("arguments"), event(EventText::RawTracepoint(Some(exec.1.clone())), Some(2)));
    assert_eq!(attach("starts"), event(EventText::Tracepoint(Some(exec)), Some(1)));
    assert_eq!(attach("calls"), event(EventText::Tracing, Some(3)));
    assert_eq!(attach("asks"), event(EventText::Lsm, None));
    assert_eq!(attach("lists"), event(EventText::Iter, None));
    assert_eq!(attach("replaces"), event(EventText::Extension, None));
    let (source, rate) = (CounterSource::Software, Rate::Frequency(99));
    let profile = Counter { source, config: 2, rate, cpu: Some(1), pid: Some(7) };
    assert_eq!(attach("profile"), event(EventText::Counter(profile), Some(4)));
    let (source, rate) = (CounterSource::Raw, Rate::Period(1_000_000));
    let cycles = Counter { source, config: 0x3c, rate, cpu: None, pid: Some(7) };
    assert_eq!(attach("cycles"), event(EventText::Counter(cycles), None));
    let function = Some("tcp_connect".to_owned());
    let connects = EventText::Kprobe { function, offset: Some(16), returns: Some(false) };
    assert_eq!(attach("connects"), event(connects, Some(5)));
    let functions = vec!["tcp_close".to_owned(), "tcp_connect".to_owned()];
    assert_eq!(attach("both"), event(EventText::KprobeMulti { functions, returns: Some(true) }, Some(6)));
    let reads = EventText::Uprobe {
        binary: Some("/bin/bash".to_owned()),
        symbol: Some("readline".to_owned()),
        offset: Some(4),
        pid: Some(8),
        returns: Some(false),
    };
    assert_eq!(attach("reads"), event(reads, Some(u64::MAX)));
    assert_eq!(attach("congestion"), Attach::StructOps { map: MapName::new("blocklist").unwrap() });
    let order = |name: &str| manifest.links[&LinkName::new(name).unwrap()].order.clone();
    assert_eq!(order("early"), Some(Order::First));
    assert_eq!(order("after"), Some(Order::After(Neighbour::Link(LinkName::new("early").unwrap()))));
    assert_eq!(order("beside"), Some(Order::Before(Neighbour::Pin(PinPath::new("/sys/fs/bpf/1/theirs").unwrap()))));
    assert_eq!(order("flows"), None);
    assert_eq!(attach("flows"), Attach::Netns { netns: Netns::OWN, attach_type: AttachType::FLOW_DISSECTOR });
}

fn check_object(manifest: &Manifest, text: &str) {
    let object = &manifest.objects[&ObjectName::new("account").unwrap()];
    assert_eq!(object.path.value, "account.bpf.o");
    assert_eq!(object.sha256.as_ref().unwrap().value.to_string(), "0123456789abcdef".repeat(4));
    assert_eq!(&text[object.span.clone()], "account");
    let edges: Vec<_> = object.edges.iter().map(|(symbol, map)| format!("{}={}", symbol.value, map.value)).collect();
    assert_eq!(edges, ["#1=scratch", "deny=blocklist"]);
    let names = Value::List(vec![Value::Int(1), Value::Text("eth0".to_owned())]);
    let limits = Value::Table(BTreeMap::from([("x".to_owned(), Value::Float(1.5)), ("y".to_owned(), Value::Int(-1))]));
    let wanted = [
        ("debug", Value::Bool(true)),
        ("limits", limits),
        ("mask", Value::Int(0xffff_ffff_ffff_ffff)),
        ("names", names),
    ];
    let set: Vec<_> = object.set.iter().map(|(name, (_, value))| (name.as_str(), value.value.clone())).collect();
    assert_eq!(set, wanted);
}

fn check_maps(manifest: &Manifest) {
    let map = |name: &str| -> &Map { &manifest.maps[&MapName::new(name).unwrap()] };
    let blocklist = map("blocklist");
    assert_eq!(blocklist.pin.as_ref().unwrap().value.as_str(), "/run/bpf/edge/lists/block");
    assert_eq!((blocklist.max_entries.as_ref().unwrap().value, blocklist.flags.as_ref().unwrap().value), (65536, 1025));
    assert_eq!(blocklist.numa_node.as_ref().unwrap().value, 0);
    assert!(matches!(&blocklist.source, MapSource::From(at) if at.value.1 == SymbolRef::Name("blocklist".to_owned())));
    assert!(matches!(&map("unnamed").source, MapSource::From(at) if at.value.1 == SymbolRef::Index(0)));
    assert!(matches!(&map("flows").source, MapSource::Pinned(pin) if pin.value.file_name() == "flows"));
    assert!(matches!(&map("theirs").source, MapSource::Id(id) if id.value == 1337));
    assert!(matches!(&map("scratch").source, MapSource::Inline { map_type, key_size: 4, value_size: 8 }
        if map_type.value == MapType::LRU_HASH));
    assert_eq!(map("per_port").inner.as_ref().unwrap().value.as_str(), "scratch");
    assert_eq!(map("per_port").flags.as_ref().unwrap().value, 0x1000);
}

/// What a string becomes, with the values from outside; or the code of the problem.
#[test]
fn variables() {
    #[track_caller]
    fn check(written: &str, outside: &[(&str, &str)], wanted: Result<&str, &str>) {
        let text = format!(
            "version = 1\nname = \"n\"\n[var]\na = \"A\"\nnumber = 0x10\nflag = true\nnested = \"${{a}}\"\n\
             [object.o]\npath = \"{written}\"\n"
        );
        let outside = outside.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match (manifest::parse(&text, &outside), wanted) {
            (Ok(manifest), Ok(wanted)) => {
                assert_eq!(manifest.objects[&ObjectName::new("o").unwrap()].path.value, wanted);
            }
            (Err(problems), Err(code)) => {
                let codes: Vec<_> = problems.0.iter().map(|problem| problem.kind.code()).collect();
                assert_eq!(codes, [code]);
            }
            (got, wanted) => panic!("{written}: {got:?}, not {wanted:?}"),
        }
    }
    check("x", &[], Ok("x"));
    check("${a}", &[], Ok("A"));
    check("-${a}${a}-", &[], Ok("-AA-"));
    check("${number}/${flag}", &[], Ok("0x10/true"));
    check("${nested}", &[], Ok("${a}"));
    check("$${a}", &[], Ok("${a}"));
    check("$$${a}", &[], Ok("$${a}"));
    check("$a $ {a} }", &[], Ok("$a $ {a} }"));
    check("${a}", &[("a", "B")], Ok("B"));
    check("${a}", &[("a", "${number}")], Ok("${number}"));
    check("\\u0024{a}", &[], Ok("A"));
    check("${b}", &[], Err("manifest::unknown_variable"));
    check("${}", &[], Err("manifest::unknown_variable"));
    check("${a", &[], Err("manifest::unclosed_variable"));
    check("${a}", &[("flg", "false")], Err("manifest::unknown_override"));
}

/// A value from outside that no variable takes is a wrong argument, and not the manifest's fault.
#[test]
fn an_override_without_a_variable_is_a_usage_error() {
    let text = "version = 1\nname = \"n\"\n[var]\nuplink = \"eth0\"\n";
    let outside = BTreeMap::from([("uplnk".to_owned(), "lo".to_owned())]);
    let problems = manifest::parse(text, &outside).expect_err("no such variable");
    assert_eq!(problems.exit(), Exit::Usage);
    assert!(matches!(&*problems.0[0].kind, Kind::UnknownOverride { similar: Some(name), .. } if name == "uplink"));
}

/// Nesting without an end is a problem of the text, not of the stack.
#[test]
fn deep_nesting_is_refused() {
    const DEPTH: usize = 50_000;
    let cases = [
        format!("a = {}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
        format!("a = {}1{}", "{ a = ".repeat(DEPTH), " }".repeat(DEPTH)),
        format!("[object.o.set]\n{}a = 1", "a.".repeat(DEPTH)),
        format!("[object.o.set{}]", ".a".repeat(DEPTH)),
    ];
    for text in cases {
        assert!(parse(&text).is_err());
    }
}

/// Texts to mutate: everything that the folders hold.
static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let files = manifests("tests/manifests/valid").into_iter().chain(manifests("tests/manifests/invalid"));
    files.map(|file| fs::read_to_string(file).expect("readable")).collect()
});

/// Replaces at most `len` bytes of `text` near a number by `piece`.
fn splice(text: &str, at: usize, len: usize, piece: &str) -> String {
    let from = text.floor_char_boundary(at % (text.len() + 1));
    let to = text.floor_char_boundary((from + len).min(text.len()));
    format!("{}{piece}{}", &text[..from], &text[to..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is cut out of a manifest and put in its place, parsing and drawing end without a panic, and
    /// places lie inside the text.
    #[test]
    fn parse_never_panics(
        which: prop::sample::Index,
        cuts in prop::collection::vec((any::<usize>(), 0_usize..40, prop_oneof![
            Just("\"".to_owned()), Just("[".to_owned()), Just("${".to_owned()), Just("=".to_owned()),
            Just("9e99".to_owned()), Just("-0xffffffffffffffffffffffffffffffffff".to_owned()),
            Just("{ a = [1, {}] }".to_owned()), Just("1979-05-27".to_owned()), Just("nan".to_owned()),
            "\\PC{0,8}", "[a-z_:#./]{0,8}",
        ]), 1..6),
    ) {
        let start = CORPUS[which.index(CORPUS.len())].clone();
        let text = cuts.iter().fold(start, |text, (at, len, piece)| splice(&text, *at, *len, piece));
        if let Err(problems) = parse(&text) {
            prop_assert!(!problems.0.is_empty());
            for label in problems.0.iter().flat_map(|problem| &problem.labels) {
                prop_assert!(text.get(label.span.clone()).is_some(), "{:?}", label);
            }
            prop_assert!(!drawn("plan.toml", &text, &problems).is_empty());
        }
    }
}
