//! What happened on a host before a plan is made: the lines of a case's `story.txt`, from first to last.
//!
//! Without that file `before.toml` was applied, where there is one. Files are those of the case; pins are below
//! `/sys/fs/bpf`; keys and values are hexadecimal digits, values in as many pieces as they like.
//!
//! ```text
//! apply FILE                    a manifest was applied
//! killed FILE N                 so was this one, until it was killed when N calls were made
//! entry MAP KEY VALUE...        a program wrote an entry
//! slot MAP KEY PIN              somebody put this into a slot
//! runs LINK PROGRAM             somebody let the link run another program
//! first LINK                    somebody put the link before all others on its hook
//! unpin PIN                     somebody removed a pin
//! interface NAME                an interface with XDP in its driver came
//! interface-goes NAME           one went
//! netns NAME                    a network namespace came
//! lacks FEATURE                 the kernel is an older one: `tcx`, `xdp-links`, `cgroup-links`
//! unmounted                     nobody mounted the bpffs
//! refuses FUNCTION              the verifier refuses programs of this name
//! plan WAY                      how the plan is made: `verify`, `replay` (with captured packets), `offline`, `against`,
//!                               `adopt`, `rollback`, `destroy`
//! ```

use crate::common::stages::{good, path, plan_in, run};
use bpfapply::direct::Feature;
use bpfapply::kernel::Kernel;
use bpfapply::kernel::fake::{Fake, Fd};
use bpfapply::kinds::ProgramType;
use bpfapply::names::{PinPath, ProgramName};
use bpfapply::traffic::{Changed, Replay, Replayed, Verdicts};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Of `plan.toml`, against the host.
    Live,
    /// The same, with what the verifier says.
    Verify,
    /// The same, with [`replay`].
    Replay,
    /// Of `plan.toml`, against the exported state of the host.
    Against,
    /// Of `plan.toml`, without a host.
    Offline,
    /// As `adopt` does.
    Adopt,
    /// As `rollback` does.
    Rollback,
    /// As `destroy` does.
    Destroy,
}

/// Lets everything happen that a case says, and returns how its plan is made.
pub fn tell(folder: &Path, fake: &Fake) -> Way {
    let told = fs::read_to_string(folder.join("story.txt"));
    let usual = || if folder.join("before.toml").exists() { "apply before.toml" } else { "" }.to_owned();
    let mut way = Way::Live;
    for line in told.unwrap_or_else(|_| usual()).lines() {
        match line.strip_prefix("plan ") {
            Some(asked) => way = way_of(asked),
            None => happen(folder, line, &mut fake.clone()),
        }
    }
    way
}

fn way_of(word: &str) -> Way {
    match word {
        "verify" => Way::Verify,
        "replay" => Way::Replay,
        "against" => Way::Against,
        "offline" => Way::Offline,
        "adopt" => Way::Adopt,
        "rollback" => Way::Rollback,
        "destroy" => Way::Destroy,
        other => panic!("no way to make a plan: {other}"),
    }
}

fn happen(folder: &Path, line: &str, fake: &mut Fake) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["apply", file] => apply(folder, file, fake),
        ["killed", file, calls] => killed(folder, file, calls.parse().expect("a number of calls"), fake),
        ["entry", map, key, ref value @ ..] => {
            let map = open(map, fake);
            fake.update(&map, &bytes(key), &bytes(&value.concat())).expect("the entry fits");
        }
        ["slot", map, key, target] => {
            let (map, target) = (open(map, fake), open(target, fake));
            fake.update_slot(&map, &bytes(key), &target).expect("it fits");
        }
        ["runs", link, program] => {
            let (link, program) = (open(link, fake), open(program, fake));
            let before = fake.link_info(&link).expect("it is a link").program_id;
            let before = fake.program_by_id(before).expect("it runs");
            fake.update_link(&link, &program, &before).expect("it runs that one");
        }
        ["first", link] => fake.put_first(&open(link, fake)),
        ["unpin", at] => fake.unpin(&fake.real(&pin(at))).expect("it is there"),
        ["interface", name] => drop(fake.add_interface(name, true)),
        ["interface-goes", name] => fake.remove_interface(name),
        ["netns", name] => drop(fake.add_netns(Path::new("/run/netns").join(name))),
        ["lacks", feature] => fake.lack(self::feature(feature)),
        ["refuses", function] => fake.refuse_program(function, libc::EACCES, "R0 !read_ok"),
        ["unmounted"] => fake.unmount_bpffs(&path("/sys/fs/bpf")).expect("it is mounted"),
        _ => panic!("{}: nobody knows what this means: {line}", folder.display()),
    }
}

/// Returns what programs make of captured packets before a change and after it.
pub fn replay() -> Replay {
    let packet = |number: usize| (number, format!("ipv4 10.0.0.{number} > 10.9.9.9, udp 53 > 53, 42 bytes"));
    let changed = Changed { count: 37, first: [7, 8, 12].map(packet).into() };
    let replayed = Replayed {
        program_type: ProgramType::XDP,
        after: Verdicts::from([(Some(1), 102), (Some(2), 9_898)]),
        before: Some(Verdicts::from([(Some(1), 65), (Some(2), 9_935)])),
        changes: BTreeMap::from([((Some(2), Some(1)), changed)]),
    };
    let programs = BTreeMap::from([(ProgramName::new("drop").expect("a good name"), replayed)]);
    Replay { capture: "packets.pcap".to_owned(), packets: 10_000, before: Some("before.toml".to_owned()), programs }
}

fn feature(word: &str) -> Feature {
    match word {
        "tcx" => Feature::Tcx,
        "xdp-links" => Feature::XdpLinks,
        "cgroup-links" => Feature::CgroupLinks,
        other => panic!("no feature of kernels: {other}"),
    }
}

fn apply(folder: &Path, file: &str, fake: &Fake) {
    let text = fs::read_to_string(folder.join(file)).expect("the manifest is there");
    let plan = good(plan_in(folder, &text, fake), &text);
    let (_, problem) = run(&plan, fake);
    assert!(problem.is_none(), "{}: {problem:?}", folder.display());
}

fn killed(folder: &Path, file: &str, calls: usize, fake: &Fake) {
    let text = fs::read_to_string(folder.join(file)).expect("the manifest is there");
    let plan = good(plan_in(folder, &text, fake), &text);
    fake.fail_from(calls + 1, libc::EIO);
    let (_, problem) = run(&plan, fake);
    assert!(problem.is_some(), "{}: it was done by then", folder.display());
    fake.heal();
}

fn pin(text: &str) -> PinPath {
    path(&format!("/sys/fs/bpf/{text}"))
}

fn open(at: &str, fake: &Fake) -> Fd {
    fake.open_pin(&pin(at)).unwrap_or_else(|error| panic!("{at}: {error}")).1
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}
