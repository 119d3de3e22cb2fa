//! What a fault at any moment leaves of a host, on the running kernel and from outside: nothing here knows which calls
//! the tool makes, or in which order.
//!
//! A run is made once for each of its system calls and each fault: the call fails with one of five errors, or the
//! process is killed instead of making it. Then must be true:
//! - A run that failed says so, and the host is exactly as before: the same ids, the same pins, the same programs on
//!   the same hooks. Or it ends with exit code 3 and names everything that is different.
//! - The same run without a fault makes the host match, and finds nothing to do the second time. After an upgrade that was
//!   killed, so does that of the manifest of before.
//! - What came of it is what comes of a run without any fault, with nothing else beside it.
//! - `destroy` leaves nothing.
//!
//! Then somebody else changes something between plan and commit, which must end with exit code 75 and nothing done, and
//! two appliers run at once, of which one waits for the other.
//!
//! `cargo test --test faults` takes a fixed sample; `FAULTS=all cargo test --test faults -- --nocapture` takes every
//! case and writes how many there were, and a number in its place about so many. Needs root, strace, taskset and bpftool.

mod common;
#[path = "faults/host.rs"]
mod host;
#[path = "faults/site.rs"]
mod site;
#[path = "faults/strace.rs"]
mod strace;
#[path = "faults/tally.rs"]
mod tally;

use common::in_namespace_within;
use host::{BPFFS, Host, unlike};
use site::{Site, lacking, sh, unmount_all};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;
use strace::{Call, FAULTS, Fault, Ran};
use tally::{Breach, Broken, Cause, Tally};

/// Longest time for the whole of one test.
const LIMIT: Duration = Duration::from_secs(3 * 60 * 60);

/// How many cases a sample has.
const SAMPLE: usize = 75;

/// A run that meets faults.
struct Scenario {
    name: &'static str,
    /// What makes the host as it is before.
    before: fn(&Site),
    /// The run; `NAME` is the deployment's.
    arguments: &'static [&'static str],
    /// What is run instead of the same after it was killed, and brings back what was before.
    given_up: Option<&'static [&'static str]>,
    /// What lives in the kernel after the run, at least, by kind.
    living: &'static [(&'static str, usize)],
    /// Whether every call is worth a fault, or only those of other scenarios not.
    takes: fn(&Call) -> bool,
}

/// What an apply makes.
const ALL: &[(&str, usize)] = &[("program", 4), ("map", 6), ("link", 3)];

fn apply_first(site: &Site) {
    site.succeed(&["first.toml"]).expect("nothing is wrong");
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "first apply",
        before: |_| (),
        arguments: &["first.toml"],
        given_up: None,
        living: ALL,
        takes: |_| true,
    },
    Scenario {
        name: "first apply without a bpffs",
        before: |_| unmount_all(),
        arguments: &["first.toml"],
        given_up: None,
        living: ALL,
        takes: |call| !["bpf", "mkdir", "mkdirat", "sendto"].contains(&call.name.as_str()),
    },
    Scenario {
        name: "upgrade",
        before: apply_first,
        arguments: &["second.toml", "--allow", "prune"],
        given_up: None,
        living: ALL,
        takes: |_| true,
    },
    Scenario {
        name: "upgrade that is given up",
        before: apply_first,
        arguments: &["second.toml", "--allow", "prune"],
        given_up: Some(&["first.toml", "--allow", "prune,lose-state"]),
        living: ALL,
        takes: |_| true,
    },
    Scenario {
        name: "destroy",
        before: apply_first,
        arguments: &["destroy", "NAME"],
        given_up: None,
        living: &[],
        takes: |_| true,
    },
];

/// A run with what comes of it without a fault.
struct Clean<'a> {
    site: &'a Site,
    scenario: &'a Scenario,
    arguments: Vec<&'a str>,
    calls: Vec<Call>,
    shape: Vec<String>,
}

impl<'a> Clean<'a> {
    #[track_caller]
    fn run(site: &'a Site, scenario: &'a Scenario) -> Self {
        (scenario.before)(site);
        let name = |word: &'a &'static str| if *word == "NAME" { site.name.as_str() } else { *word };
        let arguments: Vec<&str> = scenario.arguments.iter().map(name).collect();
        let ran = strace::run(site.folder.path(), &arguments, None);
        assert_eq!(ran.code, Some(0), "{}: {}", scenario.name, ran.said);
        let shape = site.host_when(|host| host.is_empty() == scenario.living.is_empty()).shape();
        for (kind, least) in scenario.living {
            let living = shape.iter().filter(|line| line.starts_with(&format!("a living {kind} "))).count();
            assert!(living >= *least, "{}: every {kind} is found: {shape:#?}", scenario.name);
        }
        assert!(shape.is_empty() == scenario.living.is_empty(), "{}: {shape:#?}", scenario.name);
        site.clear();
        Self { site, scenario, arguments, calls: ran.calls(), shape }
    }

    /// Lists each call with each fault.
    fn cases(&self) -> impl Iterator<Item = Case<'_>> {
        let calls = self.calls.iter().filter(|call| (self.scenario.takes)(call));
        let is_asked = |fault: &Fault| *fault == Fault::Kill || self.scenario.given_up.is_none();
        calls.flat_map(move |call| FAULTS.into_iter().filter(is_asked).map(|fault| Case { clean: self, call, fault }))
    }
}

/// A run with one fault.
struct Case<'a> {
    clean: &'a Clean<'a>,
    call: &'a Call,
    fault: Fault,
}

/// Takes about as many cases as are wanted, at least one of each scenario and call, always the same ones.
fn sample<'a>(all: &'a [Case<'a>], wanted: usize) -> impl Iterator<Item = &'a Case<'a>> {
    // Steps of such a length meet every fault.
    let step = (all.len() / wanted..).find(|step| step % FAULTS.len() == 1).expect("every sixth number is one");
    let groups = all.chunk_by(|one, next| one.group() == next.group()).enumerate();
    groups.flat_map(move |(number, group)| group.iter().skip(number * 7 % group.len().min(step)).step_by(step))
}

impl Case<'_> {
    fn group(&self) -> (&str, &str) {
        (self.clean.scenario.name, &self.call.name)
    }

    fn cause(&self) -> Cause {
        Cause { scenario: self.clean.scenario.name, call: self.call.clone(), fault: self.fault }
    }

    /// Runs the case. Returns the exit code of the run with the fault, none when it was killed.
    fn run(&self) -> Result<Option<i32>, Breach> {
        let Clean { site, scenario, arguments, .. } = self.clean;
        (scenario.before)(site);
        let before = site.host();
        let ran = strace::run(site.folder.path(), arguments, Some((self.call, self.fault)));
        self.check_end(&ran, &before)?;
        match scenario.given_up {
            Some(arguments) => self.converge(arguments, &before.shape())?,
            None if scenario.living.is_empty() => {}
            None => self.converge(arguments, &self.clean.shape)?,
        }
        self.destroy()?;
        Ok(ran.code)
    }

    /// Makes the host have a shape, in one run without a fault.
    fn converge(&self, arguments: &[&str], shape: &[String]) -> Result<(), Breach> {
        let site = self.clean.site;
        site.succeed(arguments).map_err(|what| (Broken::NoWayOn, what))?;
        let again: Vec<&str> = arguments.iter().copied().chain(["--dry-run", "--check"]).collect();
        site.succeed(&again).map_err(|what| (Broken::NotConverged, what))?;
        let host = site.host_when(|host| host.shape() == shape);
        match host.shape() == shape {
            true => Ok(()),
            false => Err((Broken::OtherShape, unlike(shape, &host.shape()))),
        }
    }

    /// Checks what the run says, and whether that is true.
    fn check_end(&self, ran: &Ran, before: &Host) -> Result<(), Breach> {
        let Clean { site, shape, .. } = self.clean;
        match ran.code {
            None if self.fault == Fault::Kill => Ok(()),
            Some(0) => {
                let host = site.host_when(|host| host.shape() == *shape);
                match host.shape() == *shape {
                    true => Ok(()),
                    false => Err((Broken::HalfDone, unlike(shape, &host.shape()))),
                }
            }
            Some(1 | 4 | 65 | 69 | 75 | 77) => {
                let host = site.host_when(|host| host == before);
                let broken = match host.is_same_but_for_inodes(before) {
                    true => Broken::PinsMadeAnew,
                    false => Broken::NotAsBefore,
                };
                match host == *before {
                    true => Ok(()),
                    false => Err((broken, format!("{}\n{}", before.differences(&host), ran.said))),
                }
            }
            Some(3) => {
                let host = site.host_when(|host| untruth(&ran.said, before, host, shape).is_none());
                untruth(&ran.said, before, &host, shape).map_or(Ok(()), |what| Err((Broken::Untruthful, what)))
            }
            Some(_) | None => Err((Broken::ExitCode, format!("exit {:?}: {}", ran.code, ran.said))),
        }
    }

    /// Takes everything away.
    fn destroy(&self) -> Result<(), Breach> {
        let Clean { site, scenario, .. } = self.clean;
        let ended = site.succeed(&["destroy", &site.name]);
        let host = site.host_when(Host::is_empty);
        match (ended, host.is_empty()) {
            (Ok(()), true) => Ok(()),
            // The run itself was a `destroy`, and got there.
            (Err(_), true) if scenario.living.is_empty() => Ok(()),
            (Err(what), _) => Err((Broken::NoWayBack, what)),
            (Ok(()), false) => Err((Broken::Leftover, Host::default().differences(&host))),
        }
    }
}

/// Returns what is wrong with the text of a run that ended with exit code 3.
fn untruth(said: &str, before: &Host, now: &Host, after: &[String]) -> Option<String> {
    if now == before {
        return Some(format!("the host is as before: {said}"));
    }
    let Some((_, list)) = said.split_once("NOT as before:") else {
        // Only reading back failed.
        let is_all_done = said.contains("applied") && now.shape() == after;
        return (!is_all_done).then(|| format!("it has no list: {}\n{said}", before.differences(now)));
    };
    let missing: Vec<_> = before.changed_paths(now).into_iter().filter(|path| !is_named(list, path)).collect();
    (!missing.is_empty()).then(|| format!("it does not name {missing:?}: {}\n{said}", before.differences(now)))
}

/// Returns whether a text names what is pinned at a path: by the path, or as the manifest calls it.
fn is_named(text: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.trim_start_matches(BPFFS).split('/').skip(2).collect();
    let address = match parts.as_slice() {
        ["programs", name] => format!("program.{name}"),
        ["maps", name] => format!("map.{name}"),
        ["links", name] => format!("link.{name}"),
        ["objects", object, "maps", name] => format!("map.{object}:{}", name.replace("%2e", ".")),
        ["record"] => "record".to_owned(),
        _ => path.to_owned(),
    };
    text.contains(path) || text.contains(&address)
}

/// How many cases of all are taken.
fn wanted(all: usize) -> usize {
    let said = std::env::var("FAULTS").ok().and_then(|value| value.parse().ok());
    if takes_all() { all } else { said.unwrap_or(SAMPLE).clamp(1, all) }
}

fn takes_all() -> bool {
    std::env::var("FAULTS").is_ok_and(|value| value == "all")
}

#[test]
fn a_fault_at_any_call_breaks_no_promise() {
    let name = "a_fault_at_any_call_breaks_no_promise";
    in_namespace_within(LIMIT, name, move |room| {
        if let Some(lacking) = lacking(room) {
            return common::skip(name, &format!("there is no {lacking}"));
        }
        let site = Site::new(room, 'f');
        let cleans: Vec<_> = SCENARIOS.iter().map(|scenario| Clean::run(&site, scenario)).collect();
        let all: Vec<_> = cleans.iter().flat_map(Clean::cases).collect();
        let mut tally = Tally::default();
        for case in sample(&all, wanted(all.len())) {
            tally.add(&case.cause(), case.run());
            // Also after a breach the next case starts from nothing.
            site.clear();
        }
        eprintln!("{} cases in all", all.len());
        tally.print();
        tally.check();
    });
}

/// What somebody else does after the plan was made and before it is applied.
struct Meanwhile {
    what: &'static str,
    before: fn(&Site),
    arguments: &'static [&'static str],
    /// As a shell script in the folder of the deployment's bpffs, where `NAME` has its pins.
    happens: &'static str,
}

const MEANWHILE: &[Meanwhile] = &[
    Meanwhile {
        what: "an XDP hook is taken",
        before: |_| (),
        arguments: &["first.toml"],
        happens: "bpftool prog load OBJECTS/stats_a.o foreign type xdp; \
                  bpftool net attach xdpgeneric pinned foreign dev veth1",
    },
    Meanwhile {
        what: "the folder of pins is made",
        before: |_| (),
        arguments: &["first.toml"],
        happens: "mkdir NAME NAME/maps; \
                  bpftool map create NAME/maps/NAME_seen type hash key 4 value 8 entries 16 name other",
    },
    Meanwhile {
        what: "a link is taken away",
        before: apply_first,
        arguments: &["second.toml", "--allow", "prune"],
        happens: "rm NAME/links/drop",
    },
    Meanwhile {
        what: "a link is taken away that should be kept",
        before: apply_first,
        arguments: &["second.toml", "--allow", "prune"],
        happens: "rm NAME/links/in",
    },
    Meanwhile {
        what: "a program is pinned in the place of another one",
        before: apply_first,
        arguments: &["second.toml", "--allow", "prune"],
        happens: "rm NAME/programs/in; bpftool prog pin pinned NAME/programs/out NAME/programs/in",
    },
    Meanwhile {
        what: "a map is pinned in the place of another one",
        before: apply_first,
        arguments: &["second.toml", "--allow", "prune"],
        happens: "rm NAME/maps/NAME_seen; \
                  bpftool map create NAME/maps/NAME_seen type hash key 4 value 8 entries 16 name other",
    },
];

#[test]
fn a_host_that_changes_before_the_commit_is_left_alone() {
    let name = "a_host_that_changes_before_the_commit_is_left_alone";
    in_namespace_within(LIMIT, name, move |room| {
        if let Some(lacking) = lacking(room) {
            return common::skip(name, &format!("there is no {lacking}"));
        }
        let site = Site::new(room, 'h');
        let mut broken = Vec::new();
        for Meanwhile { what, before, arguments, happens } in MEANWHILE {
            before(&site);
            let objects = format!("{}/tests/objects", env!("CARGO_MANIFEST_DIR"));
            let script = happens.replace("NAME", &site.name).replace("OBJECTS", &objects);
            let mut changed = Host::default();
            let ran = strace::run_late(site.folder.path(), arguments, || {
                sh(&format!("cd {BPFFS}; {script}"));
                changed = site.host().visible();
            });
            let after = site.host_when(|host| host.clone().visible() == changed).visible();
            if ran.code != Some(75) || after != changed {
                broken.push(format!("{what}: exit {:?}{}\n{}", ran.code, changed.differences(&after), ran.said));
            }
            let _ = common::run(Command::new("bpftool").args(["net", "detach", "xdpgeneric", "dev", "veth1"]));
            site.clear();
        }
        assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    });
}

/// How often two appliers run at once.
fn rounds() -> usize {
    if takes_all() { 200 } else { 10 }
}

#[test]
fn two_appliers_at_once_come_one_after_the_other() {
    let name = "two_appliers_at_once_come_one_after_the_other";
    in_namespace_within(LIMIT, name, move |room| {
        if let Some(lacking) = lacking(room) {
            return common::skip(name, &format!("there is no {lacking}"));
        }
        let site = Site::new(room, 'g');
        let manifests = ["first.toml", "second.toml"];
        let shapes = manifests.map(|manifest| {
            site.succeed(&[manifest]).expect("nothing is wrong");
            let shape = site.host().shape();
            site.clear();
            shape
        });
        let mut codes: BTreeMap<Option<i32>, usize> = BTreeMap::new();
        for round in 0..rounds() {
            let start = |manifest: &str| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
                command.args([manifest, "--allow", "prune"]).current_dir(site.folder.path()).stdin(Stdio::null());
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
            };
            for child in manifests.map(start) {
                let ended = child.wait_with_output().expect("it ends");
                let (code, said) = (ended.status.code(), String::from_utf8_lossy(&ended.stderr));
                assert!(matches!(code, Some(0 | 75)), "round {round}: {code:?}: {said}");
                *codes.entry(code).or_default() += 1;
            }
            let host = site.host_when(|host| shapes.contains(&host.shape()));
            let found = shapes.iter().position(|shape| *shape == host.shape());
            let last = found.unwrap_or_else(|| panic!("round {round}: {}", unlike(&shapes[0], &host.shape())));
            site.succeed(&[manifests[last], "--dry-run", "--check"]).expect("it is what the last one wanted");
            // Every third round starts from nothing.
            if round % 3 == 2 {
                site.succeed(&["destroy", &site.name]).expect("it is there");
                assert!(site.host_when(Host::is_empty).is_empty(), "round {round}");
            }
        }
        eprintln!("{} rounds of two at once: exit codes {codes:?}", rounds());
        site.clear();
    });
}
