//! Each kind of problem is explained: by `bpfapply explain`, and in `docs/errors.md`, which is made of the same texts.
//! Examples that are manifests give exactly the code that they are for. `UPDATE=1 cargo test --test errors` writes the
//! page anew: look at the difference.

mod common;

use bpfapply::diag::explain::{EXPLANATIONS, Example, Explanation, HEAD, Topic, find, topics};
use bpfapply::kernel::fake::Fake;
use bpfapply::report::meaning;
use common::stages::{plan_in, rendered, repository};
use common::tool::bpfapply;
use std::collections::BTreeSet;
use std::fs;

/// Codes whose examples are no manifests that can be tried without a host, by what they need.
const NOT_TRIED: &[(&str, &[&str])] = &[
    (
        "something on the host that is not ours, or is no more as it was",
        &[
            "host::cgroup_excludes",
            "host::changed",
            "host::hook_taken",
            "host::adopted_in_part",
            "host::kept_in_part",
            "host::many_maps",
            "host::no_deployment",
            "host::no_map",
            "host::no_neighbour",
            "host::no_way_back",
            "host::not_a_map",
            "host::not_confirmed",
            "host::not_mounted",
            "host::not_primary",
            "host::nothing_to_confirm",
            "host::pin_taken",
            "host::record",
            "host::record_lost",
            "host::root_gone",
            "host::route_taken",
            "host::symlink_in_the_way",
            "host::unconfirmed",
            "host::unlistable",
            "host::unverified",
            "host::was_rejected",
            "plan::consent",
            "plan::entries_of_others",
            "plan::map_changed",
            "plan::no_room",
            "plan::not_migratable",
            "plan::protected",
            "plan::variables_of_others",
        ],
    ),
    ("another process", &["host::checks_failed", "host::locked", "host::watchdog"]),
    (
        "a real kernel, or an older one",
        &[
            "host::no_event",
            "kernel::btf_refused",
            "kernel::no_order",
            "kernel::no_program_type",
            "kernel::no_such_link",
            "kernel::program_refused",
            "kernel::refused",
            "program::not_loadable",
            "test::failed",
            "test::missing",
            "test::not_testable",
        ],
    ),
    (
        "arguments, or files beside the manifest",
        &[
            "entries::bad_file",
            "manifest::unknown_override",
            "plan::not_saved",
            "plan::other",
            "plan::unreported",
            "plan::unwritable",
            "state::not_exported",
            "state::not_told",
            "usage",
        ],
    ),
    ("an object that no compiler here makes", &["object::many_variables"]),
    ("several links with places and slots between them", &["manifest::bad_order", "plan::cycle"]),
];

/// Reads the codes that the source has.
fn codes_of_the_source() -> BTreeSet<String> {
    let text = fs::read_to_string(repository().join("src/diag/kind.rs")).expect("the source is there");
    let start = text.find("pub fn code(&self)").expect("kinds have codes");
    let end = start + text[start..].find("pub fn log(&self)").expect("it is followed by the log");
    let words = text[start..end].split('"').skip(1).step_by(2);
    let codes: BTreeSet<_> = words.map(str::to_owned).collect();
    assert!(codes.len() > 100, "the codes were found");
    codes
}

#[test]
fn every_code_is_explained() {
    let known: Vec<_> = EXPLANATIONS.iter().map(|known| known.code).collect();
    let codes = codes_of_the_source();
    assert_eq!(known, codes.iter().map(String::as_str).collect::<Vec<_>>(), "one for each code, in their order");
    for Explanation { code, exits, means, way_out, .. } in EXPLANATIONS {
        assert!(!exits.is_empty(), "{code}");
        for text in [means, way_out] {
            assert!(text.ends_with('.') && text.len() > 10 && !text.contains("  "), "{code}: {text}");
        }
    }
}

/// Tries a manifest as `--dry-run` does, on a host with one interface; says what is not as it should be.
fn tried(known: &Explanation, text: &str) -> Option<String> {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    let Err(problems) = plan_in(&repository().join("tests/objects"), text, &fake) else {
        return Some(format!("{}: nothing is wrong with\n{text}", known.code));
    };
    let codes: BTreeSet<_> = problems.0.iter().map(|problem| problem.kind.code()).collect();
    let is_right = codes == BTreeSet::from([known.code]) && known.exits.contains(&problems.exit());
    (!is_right).then(|| format!("{}: {:?}, {codes:?}\n{}", known.code, problems.exit(), rendered(&problems, text)))
}

#[test]
fn examples_give_their_code() {
    let manifests = EXPLANATIONS.iter().filter_map(|known| match known.example {
        Example::Tables(tables) => Some((known, format!("{HEAD}{tables}\n"))),
        Example::Manifest(text) => Some((known, text.to_owned())),
        Example::Command(_) | Example::Host(_) => None,
    });
    let wrong: Vec<_> = manifests.clone().filter_map(|(known, text)| tried(known, &text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let tried: BTreeSet<_> = manifests.map(|(known, _)| known.code).collect();
    let not_tried = NOT_TRIED.iter().flat_map(|(_, codes)| codes.iter().copied());
    let all: BTreeSet<_> = tried.iter().copied().chain(not_tried.clone()).collect();
    assert_eq!(not_tried.clone().count(), not_tried.clone().collect::<BTreeSet<_>>().len(), "one reason is enough");
    assert_eq!(all, EXPLANATIONS.iter().map(|known| known.code).collect(), "each is tried, or has a reason why not");
    assert!(not_tried.clone().all(|code| !tried.contains(code)), "what is tried needs no reason");
}

#[test]
fn messages_say_what_is_next() {
    let cases = [
        ("link::wrong_program_type", "attach it by `xdp = { ... }`"),
        ("link::wrong_event", "attach it by `xdp = { ... }`"),
        ("manifest::nested_inner", "name a map of another type as `inner`"),
        ("object::kernel_variable", "take it out of `set`"),
        ("object::no_such_variable", "`bpfapply inspect`"),
        ("entries::none", "take `entries` out"),
        ("entries::twice", "keep one of the two"),
        ("share::incompatible", "compile both with one definition"),
    ];
    for (code, next) in cases {
        let Ok(Topic::Problem(Explanation { example: Example::Tables(tables), .. })) = find(code) else {
            panic!("{code} has an example");
        };
        let text = format!("{HEAD}{tables}\n");
        let problems = plan_in(&repository().join("tests/objects"), &text, &Fake::new()).expect_err(code);
        let said = rendered(&problems, &text);
        assert!(said.contains(next), "{code}: {said}");
    }
}

#[test]
fn the_page_is_what_the_tool_says() {
    let path = repository().join("docs/errors.md");
    let page = meaning::markdown();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).expect("it can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/errors.md is stale: `UPDATE=1 cargo test --test errors` writes it");
}

#[test]
fn codes_are_found() {
    let cases = [
        ("manifest::unknown_name", Ok("manifest::unknown_name")),
        ("unknown_name", Ok("manifest::unknown_name")),
        ("usage", Ok("usage")),
        ("verifier::null", Ok("verifier::null")),
        ("null", Ok("verifier::null")),
        ("unknown_nmae", Err(vec!["manifest::unknown_name"])),
        ("manifest::unknwon_name", Err(vec!["manifest::unknown_name"])),
        ("twice", Ok("entries::twice")),
        ("nothing-like-it", Err(vec![])),
        ("", Err(vec![])),
    ];
    for (code, wanted) in cases {
        assert_eq!(find(code).map(Topic::code), wanted, "{code}");
    }
}

#[test]
fn messages_say_where_there_is_more() {
    let cases = [
        ("version = 2\nname = \"edge\"\n", "more: `bpfapply explain manifest::unknown_version`\n"),
        ("version = 2\nnaem = \"edge\"\n", "more: `bpfapply explain CODE`, with a code in brackets\n"),
    ];
    for (text, more) in cases {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs::write(folder.path().join("plan.toml"), text).expect("it can be written");
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert!(said.code == 65 && said.stderr.ends_with(more), "{}", said.stderr);
    }
    let said = bpfapply(repository(), &["explain", "no-such-code"]);
    assert!(!said.stderr.contains("more:"), "{}", said.stderr);
}

#[test]
fn the_tool_explains() {
    let folder = repository();
    let said = bpfapply(folder, &["explain", "[manifest::xdp_twice]"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    for words in ["manifest::xdp_twice: exit code 65", "What it means", "[link.two]", "What to do"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    let said = bpfapply(folder, &["explain"]);
    assert!(topics().all(|topic| said.stdout.contains(topic.code())), "{}", said.stdout);
    let said = bpfapply(folder, &["explain", "null", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(json["code"], "verifier::null");
    let said = bpfapply(folder, &["explain", "unknown_nmae"]);
    assert_eq!(said.code, 64);
    assert!(said.stderr.contains("it may be manifest::unknown_name"), "{}", said.stderr);
}
