//! The road end to end, as users walk it: the built command on the running kernel, in a private room.
//!
//! Tests here run one after the other: some of them ask which of our objects were born meanwhile.

mod common;

use bpfapply::insn::{EXIT, Insn};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{Entry, Kernel, MapRequest, ObjectKind, ProgramRequest};
use bpfapply::kinds::{MapType, ProgramType};
use bpfapply::names::PinPath;
use common::Room;
use common::flood::Flood;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const BPFAPPLY: &str = env!("CARGO_BIN_EXE_bpfapply");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LIMIT: Duration = Duration::from_secs(60);
/// The names that the kernel has for what these tests make.
const OURS: &[&str] = &[
    "traffic",
    "count_xdp",
    "count_ingress",
    "count_egress",
    "drop",
    "drops",
    "unbounded",
    "unchecked",
    "harmless",
    "counts",
    "bpfapply_record",
    "bpfapply_owned",
    "blocklist",
    ".rodata",
    ".bss",
];

static ALONE: Mutex<()> = Mutex::new(());

/// Runs a body alone in a private room, whose cgroup is the root of what the command sees of cgroups.
fn road(name: &str, body: impl FnOnce(&Site) + Send + 'static) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    common::in_namespace(name, |room| body(&Site::new(room)));
}

/// What a test has: a folder for manifests, and its own cgroup in the place of the root.
struct Site {
    folder: tempfile::TempDir,
    cgroups: Option<PathBuf>,
}

impl Site {
    fn new(room: &Room) -> Self {
        let mount = Linux::new().cgroup_mount().expect("mounts can be read");
        let cgroups = room.cgroup.as_ref().zip(mount).map(|(own, mount)| {
            sh(&format!("mount --bind {} {}", own.display(), mount.display()));
            mount
        });
        Self { folder: tempfile::tempdir().expect("a folder can be made"), cgroups }
    }

    /// Writes a manifest; `OBJECTS` in it stands for the folder of objects.
    fn manifest(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text.replace("OBJECTS", &format!("{ROOT}/tests/objects"))).expect("it can be written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mount) = &self.cgroups {
            // Else the room cannot find its cgroup to remove it; the namespace goes anyway.
            let _ = common::run(Command::new("umount").arg("-l").arg(mount));
        }
    }
}

#[track_caller]
fn sh(script: &str) -> String {
    match common::run(Command::new("sh").args(["-c", script])) {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => panic!("{script}: {error}"),
    }
}

fn has(tool: &str) -> bool {
    common::run(Command::new("sh").args(["-c", &format!("command -v {tool}")])).is_ok()
}

/// How a command ended and what it wrote.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

#[track_caller]
fn end(command: &mut Command) -> Ran {
    command.env("COLUMNS", "100").env("LC_ALL", "C").env_remove("RUST_BACKTRACE");
    let output = common::output(command, LIMIT).expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("it was killed: {:?}", output.status));
    let ran = Ran { code, out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.err.contains("panicked"), "{ran:?}");
    ran
}

#[track_caller]
fn bpfapply(arguments: &[&str]) -> Ran {
    end(Command::new(BPFAPPLY).args(arguments))
}

/// Runs the command and expects its exit code, and each of the texts in what it writes.
#[track_caller]
fn check(arguments: &[&str], code: i32, says: &[&str]) -> Ran {
    let ran = bpfapply(arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.out, ran.err);
    for text in says {
        let all = format!("{}{}", ran.out, ran.err);
        assert!(all.contains(text), "{arguments:?} does not say {text:?}: {all}");
    }
    ran
}

fn path(text: &str) -> PinPath {
    PinPath::new(text).expect("a path")
}

/// Lists the bpffs: each folder, and each pin with what it is, its id and the program of a link; and XDP on lo.
fn host() -> Vec<String> {
    let mut lines = Vec::new();
    list(&path("/sys/fs/bpf"), &mut lines);
    let xdp = Linux::new().interface("lo").expect("lo can be asked about").expect("there is lo").xdp;
    lines.push(format!("lo {xdp:?}"));
    lines
}

/// The same without the ids of links: one that was detached can only come back as a new one.
fn effect() -> Vec<String> {
    let without_id = |line: String| match line.split_once("LinkInfo { id: ") {
        Some((before, behind)) => format!("{before}{}", behind.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => line,
    };
    host().into_iter().map(without_id).collect()
}

fn list(folder: &PinPath, lines: &mut Vec<String>) {
    let kernel = Linux::new();
    for Entry { name, .. } in kernel.list(folder).expect("a folder") {
        let path = folder.child(&name);
        // The bpffs of some kernels has files of its own, which are no pins.
        let Ok((kind, fd)) = kernel.open_pin(&path) else {
            lines.push(path.to_string());
            if kernel.list(&path).is_ok() {
                list(&path, lines);
            }
            continue;
        };
        let what = match kind {
            ObjectKind::Map => format!("{}", kernel.map_info(&fd).expect("a map").id),
            ObjectKind::Program => format!("{}", kernel.program_info(&fd).expect("a program").id),
            ObjectKind::Link => format!("{:?}", kernel.link_info(&fd).expect("a link")),
        };
        lines.push(format!("{path} {kind} {what}"));
    }
}

/// Ids are given in rising order: what was born after a mark has higher ones.
struct Mark {
    program: u32,
    map: u32,
}

impl Mark {
    fn new() -> Self {
        let mut kernel = Linux::new();
        let insns = [Insn { code: 0xb7, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }];
        let program = kernel.load_program(&ProgramRequest::plain("mark", ProgramType::XDP, &insns));
        let map = kernel.create_map(&MapRequest::plain("mark", MapType::ARRAY, (4, 4, 1)));
        Self {
            program: kernel.program_info(&program.expect("a program")).expect("its info").id,
            map: kernel.map_info(&map.expect("a map")).expect("its info").id,
        }
    }

    /// Returns the names and ids of our programs and maps that were born since and are alive.
    fn born(&self) -> Vec<String> {
        let (now, kernel) = (Self::new(), Linux::new());
        let programs = (self.program..now.program).filter_map(|id| kernel.program_by_id(id).ok());
        let programs = programs.map(|fd| kernel.program_info(&fd).expect("a program")).map(|info| (info.name, info.id));
        let maps = (self.map..now.map).filter_map(|id| kernel.map_by_id(id).ok());
        let maps = maps.map(|fd| kernel.map_info(&fd).expect("a map")).map(|info| (info.name, info.id));
        let all = programs.chain(maps).filter(|(name, _)| OURS.contains(&name.as_str()));
        all.map(|(name, id)| format!("{name} {id}")).collect()
    }

    /// Waits until nothing of ours is left that was born since: the kernel frees things some time after their end.
    #[track_caller]
    fn nothing_left(&self) {
        eventually(|| self.born().is_empty(), || format!("left: {:?}", self.born()));
    }
}

#[track_caller]
fn eventually(mut done: impl FnMut() -> bool, what: impl Fn() -> String) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "{}", what());
        thread::sleep(Duration::from_millis(5));
    }
}

fn quickstart() -> String {
    format!("{ROOT}/examples/quickstart/plan.toml")
}

/// Reads the packets that each of the quickstart's hooks counted.
fn packets() -> Vec<u64> {
    let kernel = Linux::new();
    let (_, map) = kernel.open_pin(&path("/sys/fs/bpf/quickstart/maps/traffic")).expect("the map is pinned");
    let packets = |hook: u32| kernel.lookup(&map, &hook.to_ne_bytes(), 16).expect("a lookup");
    let number = |value: Vec<u8>| u64::from_ne_bytes(value[..8].try_into().expect("8 bytes"));
    (0..3).map(|hook| packets(hook).map_or(0, number)).collect()
}

#[test]
fn a_new_user_walks_the_quickstart() {
    road("a_new_user_walks_the_quickstart", |site| {
        let Some(cgroups) = &site.cgroups else { return common::skip("quickstart", "there is no cgroup2") };
        let (plan, before, mark) = (quickstart(), host(), Mark::new());
        check(&[&plan, "--dry-run"], 0, &["live dry run", "verifier NOT RUN", "risk: 3 hooks get filters"]);
        check(&[&plan, "--dry-run", "--check"], 2, &[]);
        assert_eq!(host(), before, "a dry run changes nothing");
        assert!(mark.born().is_empty());
        check(&[&plan], 0, &["quickstart: applied: 10 created"]);
        let ping = format!("echo $$ > {}/cgroup.procs && exec ping -q -i 0.02 -c 5 127.0.0.1", cgroups.display());
        let before_ping = packets();
        sh(&ping);
        let after_ping = packets();
        for (hook, (before, after)) in before_ping.iter().zip(&after_ping).enumerate() {
            assert!(after >= &(before + 5), "hook {hook} counts: {before_ping:?}, {after_ping:?}");
        }
        let applied = host();
        check(&[&plan], 0, &["nothing to do: the host matches"]);
        check(&[&plan, "--dry-run", "--check"], 0, &["nothing to do: the host matches"]);
        assert_eq!(host(), applied);
        for target in [plan.as_str(), "quickstart", "/sys/fs/bpf/quickstart"] {
            check(&["show", target], 0, &["3 programs", "3 links", "xdp of lo", "of 3"]);
        }
        check(&["show", "quickstart", "--output", "json"], 0, &["\"kind\": \"show\""]);
        check(&["destroy", "quickstart", "--dry-run"], 0, &["3 hooks lose their filters"]);
        assert_eq!(host(), applied);
        check(&["destroy", "quickstart"], 0, &["9 removed"]);
        assert_eq!(host(), before, "everything is as it was");
        mark.nothing_left();
        check(&["destroy", "quickstart"], 1, &["there is no deployment at `/sys/fs/bpf/quickstart`"]);
    });
}

/// Calls that change something; `MAP_LOOKUP` and the like are not among them.
const CHANGING: &[&str] = &[
    "BPF_MAP_CREATE",
    "BPF_PROG_LOAD",
    "BPF_BTF_LOAD",
    "BPF_OBJ_PIN",
    "BPF_LINK_CREATE",
    "BPF_LINK_UPDATE",
    "BPF_MAP_UPDATE_ELEM",
    "BPF_MAP_UPDATE_BATCH",
    "BPF_MAP_DELETE_ELEM",
    "BPF_MAP_FREEZE",
    "BPF_LINK_DETACH",
    "BPF_PROG_ATTACH",
    "BPF_PROG_DETACH",
    "mkdir",
    "unlink",
    "rmdir",
    "rename",
    "mount(",
    "symlink",
];

/// Runs the command under strace, and returns how it ended and the calls that it made.
fn traced(site: &Site, options: &[&str], arguments: &[&str]) -> (Ran, String) {
    let file = site.folder.path().join("trace");
    let trace = "trace=bpf,mkdir,mkdirat,unlink,unlinkat,rmdir,rename,renameat,renameat2,mount,fsmount,move_mount,symlink,symlinkat";
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", trace, "-e", "signal=none", "-o"]).arg(&file).args(options);
    let ran = end(command.arg(BPFAPPLY).args(arguments));
    (ran, fs::read_to_string(&file).expect("strace writes"))
}

#[test]
fn what_only_reads_changes_nothing() {
    let name = "what_only_reads_changes_nothing";
    road(name, move |site| {
        if !has("strace") {
            return common::skip(name, "there is no strace");
        }
        let plan = quickstart();
        let (ran, calls) = traced(site, &[], &[&plan]);
        assert_eq!(ran.code, 0, "{ran:?}");
        for call in ["BPF_MAP_CREATE", "BPF_PROG_LOAD", "BPF_OBJ_PIN", "BPF_LINK_CREATE", "mkdir"] {
            assert!(calls.contains(call), "the trace shows {call}");
        }
        for arguments in [
            &[plan.as_str()][..],
            &[&plan, "--dry-run"],
            &[&plan, "--dry-run", "--check"],
            &[&plan, "--dry-run=offline"],
            &["show", "quickstart"],
            &["export", "--contents"],
            &["destroy", "quickstart", "--dry-run"],
        ] {
            let (ran, calls) = traced(site, &[], arguments);
            assert_eq!(ran.code, 0, "{ran:?}");
            let changing: Vec<_> =
                calls.lines().filter(|line| CHANGING.iter().any(|call| line.contains(call))).collect();
            assert!(changing.is_empty(), "{arguments:?}: {changing:#?}");
            if arguments.contains(&"--dry-run=offline") {
                assert!(!calls.contains("bpf("), "an offline plan asks no kernel: {calls}");
            }
        }
    });
}

#[test]
fn three_capabilities_are_enough_but_for_looking_at_types() {
    let name = "three_capabilities_are_enough_but_for_looking_at_types";
    road(name, move |site| {
        if !has("setpriv") {
            return common::skip(name, "there is no setpriv");
        }
        let before = host();
        let plan = site.manifest("plan.toml", &filter(1, "", ON_LO));
        let with_three = |arguments: &[&str]| {
            let mut command = Command::new("setpriv");
            let three = "-all,+bpf,+net_admin,+perfmon";
            command.args([&format!("--bounding-set={three}"), &format!("--inh-caps={three}"), "--", BPFAPPLY]);
            end(command.args(arguments))
        };
        let succeeds = |arguments: &[&str]| {
            let ran = with_three(arguments);
            assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        };
        succeeds(&[&plan]);
        succeeds(&[&plan]);
        succeeds(&["show", "edge"]);
        // The kernel gives the types of what runs by id, and ids to nobody else.
        site.manifest("plan.toml", &filter(2, "", ON_LO));
        let applied = host();
        let refused = with_three(&[&plan]);
        assert_eq!(refused.code, 77, "{refused:?}");
        assert!(refused.err.contains("needs CAP_SYS_ADMIN"), "{refused:?}");
        assert_eq!(host(), applied);
        succeeds(&["destroy", "edge"]);
        assert_eq!(host(), before);
    });
}

/// Something that happens to a host after an apply, and what the next one then says.
type Disturbance = (&'static str, fn(), &'static str);

const DISTURBANCES: &[Disturbance] = &[
    ("a map's pin goes", || unpin("maps/drops"), "+   done    map.drops"),
    ("a program's pin goes", || unpin("programs/drop"), "+   done    program.drop"),
    (
        "a link's pin goes",
        || {
            unpin("links/uplink");
            // The kernel detaches it some time after its last pin.
            let is_free = || Linux::new().interface("lo").is_ok_and(|lo| lo.is_some_and(|lo| lo.xdp.is_empty()));
            eventually(is_free, || "the link stays".to_owned());
        },
        "+   done    link.uplink",
    ),
    (
        "a link is detached",
        || {
            let (_, link) = Linux::new().open_pin(&path("/sys/fs/bpf/edge/links/uplink")).expect("it is pinned");
            Linux::new().detach_link(&link).expect("it is attached");
        },
        "link.uplink",
    ),
    (
        "a link runs another program",
        || {
            let mut kernel = Linux::new();
            let open = |pin: &str| Linux::new().open_pin(&path(pin)).expect("it is pinned").1;
            let (link, old) = (open("/sys/fs/bpf/edge/links/uplink"), open("/sys/fs/bpf/edge/programs/drop"));
            kernel.update_link(&link, &open("/sys/fs/bpf/edge/programs/other"), &old).expect("it can be updated");
        },
        "~   done    link.uplink",
    ),
];

fn unpin(pin: &str) {
    sh(&format!("rm /sys/fs/bpf/edge/{pin}"));
}

#[test]
fn a_host_that_changed_is_not_called_unchanged() {
    road("a_host_that_changed_is_not_called_unchanged", |site| {
        let before = host();
        let other = "[object.other]\npath = \"OBJECTS/upgrade_1.o\"\n[program.other]\nfrom = \"other:drop\"\n";
        let text = filter(1, "", &format!("{ON_LO}{other}"));
        let plan = site.manifest("plan.toml", &text);
        for (what, disturb, says) in DISTURBANCES {
            check(&[&plan], 0, &[]);
            check(&[&plan], 0, &["as the last apply made them"]);
            disturb();
            let ran = check(&[&plan, "--allow", "lose-state,prune,gap"], 0, &[says]);
            assert!(!ran.out.contains("as the last apply made them"), "{what}: {ran:?}");
            check(&[&plan], 0, &["as the last apply made them"]);
            check(&[&plan, "--dry-run", "--check"], 0, &["nothing to do"]);
        }
        // The same host with another manifest, other variables or another object is not the same.
        let with_var =
            format!("{}[var]\nname = \"lo\"\n", text.replace("interface = \"lo\"", "interface = \"${name}\""));
        site.manifest("plan.toml", &with_var);
        let ran = check(&[&plan], 0, &["nothing to do"]);
        assert!(!ran.out.contains("as the last apply made them"), "{ran:?}");
        sh("ip link add veth0 type veth peer name veth1");
        check(&[&plan, "--var", "name=veth0", "--allow", "prune"], 0, &["link.uplink"]);
        check(&[&plan, "--var", "name=veth0"], 0, &["as the last apply made them"]);
        sh("ip link del veth0; ip link add veth0 type veth peer name veth1");
        check(&[&plan, "--var", "name=veth0"], 0, &["link.uplink"]);
        check(&["destroy", "edge"], 0, &[]);
        assert_eq!(host(), before);
        // Who pins a map of ours anew has it from then on.
        site.manifest("plan.toml", &text);
        check(&[&plan], 0, &[]);
        let pin = path("/sys/fs/bpf/edge/maps/drops");
        let (_, map) = Linux::new().open_pin(&pin).expect("it is pinned");
        unpin("maps/drops");
        let there = fs::canonicalize("/sys/fs/bpf/edge/maps").expect("it is there").join("drops");
        Linux::new().pin(&map, &path(there.to_str().expect("UTF-8"))).expect("it can be pinned");
        check(&[&plan], 0, &["somebody else owns it"; 0]);
        check(&[&plan, "--dry-run", "--check"], 0, &["and somebody else owns it"]);
        check(&["destroy", "edge"], 0, &[]);
        assert!(Linux::new().open_pin(&pin).is_ok());
        unpin("maps/drops");
        sh("rmdir /sys/fs/bpf/edge/maps /sys/fs/bpf/edge");
        assert_eq!(host(), before);
    });
}

/// Returns mode, owner and group of the pins of a [`filter`], as `stat` tells them.
fn accesses() -> String {
    sh("cd /sys/fs/bpf/edge; stat -c '%a %u %g' maps/drops programs/drop links/uplink").replace('\n', ", ")
}

#[test]
fn pins_are_for_those_that_the_manifest_says() {
    road("pins_are_for_those_that_the_manifest_says", |site| {
        let (before, mark) = (host(), Mark::new());
        let text = filter(1, "", ON_LO);
        let shared = text
            .replace("[map.drops]\n", "[map.drops]\nmode = 0o640\ngroup = \"daemon\"\n")
            .replace("[program.drop]\n", "[program.drop]\nmode = \"0660\"\nowner = 12\n");
        let plan = site.manifest("plan.toml", &shared);
        let group = sh("getent group daemon | cut -d: -f3").trim().to_owned();
        check(&[&plan, "--dry-run=offline"], 0, &["pin mode 0640, group daemon", "pin mode 0660, owner 12"]);
        check(&[&plan], 0, &["pin mode 0640, group daemon"]);
        let asked = format!("640 0 {group}, 660 12 0, 600 0 0, ");
        assert_eq!(accesses(), asked);
        check(&[&plan], 0, &["as the last apply made them"]);
        check(&[&plan, "--dry-run", "--check"], 0, &["nothing to do"]);
        // By hand: what was asked for is put right.
        sh("chmod 0666 /sys/fs/bpf/edge/maps/drops");
        check(&["status", "edge", "--check"], 2, &["map.drops", "its pin has mode 0666, not 0640"]);
        check(&[&plan], 0, &["pin mode 0666 -> 0640"]);
        assert_eq!(accesses(), asked);
        // A kept pin changes in place, and what is not said any more goes back.
        site.manifest("plan.toml", &shared.replace("0o640", "0o644").replace("mode = \"0660\"\nowner = 12\n", ""));
        check(&[&plan], 0, &["pin mode 0640 -> 0644", "pin mode 0660 -> 0600, owner 12 -> 0"]);
        assert_eq!(accesses(), format!("644 0 {group}, 600 0 0, 600 0 0, "));
        check(&["rollback", "edge"], 0, &["pin mode 0644 -> 0640"]);
        assert_eq!(accesses(), asked);
        site.manifest("plan.toml", &text);
        check(&[&plan], 0, &["pin mode 0640 -> 0600"]);
        assert_eq!(accesses(), "600 0 0, 600 0 0, 600 0 0, ");
        check(&[&plan], 0, &["as the last apply made them"]);
        site.manifest("plan.toml", &shared.replace("daemon", "nobody-has-this-name"));
        check(&[&plan], 1, &["there is no group `nobody-has-this-name`"]);
        check(&["destroy", "edge"], 0, &[]);
        assert_eq!(host(), before);
        mark.nothing_left();
    });
}

/// What somebody who may write into the deployment's folder plants there, in a world-writable folder of bpffs, and
/// what is said of it.
const PLANTED: &[(&str, &[&str])] = &[
    ("ln -s victim edge~previous", &["`/sys/fs/bpf/shared/edge~previous` is a symbolic link where a folder has to be"]),
    ("ln -s victim edge~2", &["`/sys/fs/bpf/shared/edge~2` is a symbolic link where a folder has to be"]),
    ("mv edge old; ln -s victim edge", &["the pin `/sys/fs/bpf/shared/edge` is taken by"]),
    ("ln -s victim pins", &["`/sys/fs/bpf/shared/pins` is a symbolic link where a folder has to be"]),
];

#[test]
fn planted_symlinks_lead_nowhere() {
    let name = "planted_symlinks_lead_nowhere";
    road(name, move |site| {
        if !has("bpftool") || !has("setpriv") {
            return common::skip(name, "there is no bpftool or no setpriv");
        }
        let text = filter(1, "", ON_LO).replacen(
            "name = \"edge\"",
            "name = \"edge\"\npin_root = \"/sys/fs/bpf/shared/edge\"",
            1,
        );
        let changed = text.replace("[map.drops]\n", "[map.drops]\nprotect = true\n").replace(
            "[program.drop]\n",
            "[map.new]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n\
             pin = \"/sys/fs/bpf/shared/pins/fresh\"\n[program.drop]\n",
        );
        for (script, says) in PLANTED {
            sh("mkdir -m 0777 /sys/fs/bpf/shared; chmod 0755 /sys/fs/bpf; mkdir -m 0755 /sys/fs/bpf/shared/victim; \
                bpftool map create /sys/fs/bpf/shared/victim/new type array key 4 value 4 entries 1 name victim; \
                mkdir /sys/fs/bpf/shared/victim/maps");
            let plan = site.manifest("plan.toml", &text);
            check(&[&plan], 0, &[]);
            sh(&format!("setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'cd /sys/fs/bpf/shared; {script}'"));
            let before = host();
            site.manifest("plan.toml", &changed);
            check(&[&plan], 1, says);
            assert_eq!(host(), before, "{script}");
            sh(
                "cd /sys/fs/bpf/shared; test -e victim/new; test ! -e old || { rm edge; mv old edge; }; find . -type l ! -name edge -delete",
            );
            check(&["destroy", "/sys/fs/bpf/shared/edge"], 0, &[]);
            sh("rm -r /sys/fs/bpf/shared");
        }
    });
}

/// A blocklist of CIDR blocks from a file.
const BLOCKLIST: &str = r#"
version = 1
name = "edge"
[map.blocklist]
type = "lpm_trie"
key_size = 8
value_size = 4
max_entries = 100000
flags = ["no_prealloc"]
key_format = "ipv4/prefix"
entries = "blocklist.csv"
"#;

/// How many there are at first.
const BLOCKS: u32 = 20_000;

fn blocklist(count: u32) -> String {
    let line = |block: u32| format!("10.{}.{}.0/24,{}\n", block >> 8, block & 0xff, 1 + block % 3);
    (0..count).map(line).collect()
}

#[test]
fn one_line_more_in_a_blocklist_is_one_write() {
    let name = "one_line_more_in_a_blocklist_is_one_write";
    road(name, move |site| {
        let before = host();
        let plan = site.manifest("plan.toml", BLOCKLIST);
        site.manifest("blocklist.csv", &blocklist(BLOCKS));
        check(&[&plan], 0, &["map.blocklist  entries +20,000\n"]);
        check(&[&plan], 0, &["as the last apply made them"]);
        check(&[&plan, "--dry-run", "--check"], 0, &["nothing to do"]);
        site.manifest("blocklist.csv", &blocklist(BLOCKS + 1));
        let line = "~   map.blocklist  entries +1 ~0 -0 (20,000 the same)\n";
        check(&[&plan, "--dry-run", "--check"], 2, &[line, "no contents lost"]);
        let sampled = check(&[&plan, "--dry-run", "-v"], 0, &[line, " + "]);
        assert!(!sampled.out.contains(" more\n"), "{sampled:?}");
        if has("strace") {
            let (ran, calls) = traced(site, &[], &[&plan]);
            assert_eq!(ran.code, 0, "{ran:?}");
            // The entry, the record before and behind it, and what keeps the 20,001 as ours.
            let kept = (32 + (BLOCKS as usize + 1) * 12).div_ceil(32 << 10);
            assert_eq!(calls.matches("BPF_MAP_UPDATE").count(), 3 + kept);
            assert_eq!(calls.matches("BPF_MAP_DELETE").count(), 0);
        } else {
            check(&[&plan], 0, &[]);
            common::skip(name, "there is no strace, by which calls are counted");
        }
        // Somebody changes one of ours, and takes one away.
        let mut kernel = Linux::new();
        let (_, map) = kernel.open_pin(&path("/sys/fs/bpf/edge/maps/blocklist")).expect("it is pinned");
        let key = |block: u8| [&24u32.to_ne_bytes()[..], &[10, 0, block, 0]].concat();
        kernel.update(&map, &key(7), &[9; 4]).expect("it can be written");
        assert!(kernel.delete(&map, &key(8)).expect("it can be removed"));
        let says = "map.blocklist: owned entries changed: 2 of 20,001";
        check(&["status", "edge"], 0, &[says]);
        check(&["status", "edge", "--check"], 2, &[says]);
        check(&[&plan], 0, &["entries +1 ~1 -0 (19,999 the same)"]);
        check(&["status", "edge", "--check"], 0, &["in sync"]);
        check(&[&plan], 0, &["as the last apply made them"]);
        // Fewer of them, and back.
        site.manifest("blocklist.csv", &blocklist(3));
        check(&[&plan], 0, &["entries +0 ~0 -19,998 (3 the same)"]);
        check(&["rollback", "edge"], 0, &["entries +19,998 ~0 -0 (3 the same)"]);
        check(&["status", "edge", "--check"], 0, &["in sync"]);
        check(&["destroy", "edge"], 0, &[]);
        drop(map);
        assert_eq!(host(), before);
    });
}

#[test]
fn without_rights_there_is_an_offline_plan_and_a_clear_refusal() {
    let name = "without_rights_there_is_an_offline_plan_and_a_clear_refusal";
    road(name, move |site| {
        if !has("setpriv") {
            return common::skip(name, "there is no setpriv");
        }
        // Where anybody may read.
        let folder = site.folder.path();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
        // By another process: what this one starts meanwhile could keep the copy open for writing, and it would not run.
        sh(&format!("cp {BPFAPPLY} {}", folder.join("bpfapply").display()));
        for file in ["plan.toml", "xdp.bpf.o", "host.bpf.o"] {
            fs::copy(format!("{ROOT}/examples/quickstart/{file}"), folder.join(file)).expect("it can be copied");
        }
        let nobody = |arguments: &[&str]| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]);
            end(command.arg(folder.join("bpfapply")).arg(folder.join("plan.toml")).args(arguments))
        };
        let offline = nobody(&["--dry-run=offline"]);
        assert_eq!(offline.code, 0, "{offline:?}");
        assert!(offline.out.contains("no kernel was asked"), "{offline:?}");
        // There is nothing yet that must not be read.
        let dry = nobody(&["--dry-run"]);
        assert_eq!(dry.code, 0, "{dry:?}");
        let refuses = |arguments: &[&str]| {
            let before = host();
            let refused = nobody(arguments);
            assert_eq!(refused.code, 77, "{refused:?}");
            assert!(refused.err.contains("as root"), "{refused:?}");
            assert_eq!(host(), before);
        };
        refuses(&[]);
        check(&[&quickstart()], 0, &[]);
        refuses(&[]);
        refuses(&["--dry-run"]);
    });
}

/// A filter that drops everything, on an interface.
fn filter(version: u32, set: &str, link: &str) -> String {
    format!(
        r#"
version = 1
name = "edge"
[object.filter]
path = "OBJECTS/upgrade_{version}.o"
{set}
[map.drops]
from = "filter:drops"
[program.drop]
from = "filter:drop"
{link}
"#
    )
}

const ON_LO: &str = "[link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"lo\" }\n";

fn line<'a>(lines: &'a [String], start: &str) -> &'a str {
    lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {lines:#?}"))
}

#[test]
fn a_changed_object_replaces_its_program_in_place() {
    road("a_changed_object_replaces_its_program_in_place", |site| {
        let plan = site.manifest("plan.toml", &filter(1, "", ON_LO));
        check(&[&plan], 0, &[]);
        let before = host();
        let mut kernel = Linux::new();
        let (_, drops) = kernel.open_pin(&path("/sys/fs/bpf/edge/maps/drops")).expect("it is pinned");
        kernel.update(&drops, &[0; 4], &77u64.to_ne_bytes()).expect("it can be written");
        let (_, old) = kernel.open_pin(&path("/sys/fs/bpf/edge/programs/drop")).expect("it is pinned");
        let old_id = kernel.program_info(&old).expect("a program").id;
        drop(old);
        site.manifest("plan.toml", &filter(2, "", ON_LO));
        check(&[&plan, "--dry-run"], 0, &["~   link.uplink", "traffic: no gap", "because its code changed"]);
        check(&[&plan], 0, &[]);
        let after = host();
        for kept in ["/sys/fs/bpf/edge/maps/drops", "/sys/fs/bpf/edge/objects/filter/maps"] {
            assert_eq!(line(&after, kept), line(&before, kept));
        }
        let link = |lines| line(lines, "/sys/fs/bpf/edge/links/uplink").split(", program_id").next().map(str::to_owned);
        assert_eq!(link(&after), link(&before), "the link stays");
        assert_ne!(line(&after, "lo"), line(&before, "lo"), "another program runs");
        let value = kernel.lookup(&drops, &[0; 4], 8).expect("a lookup").expect("an array has it");
        assert!(u64::from_ne_bytes(value.try_into().expect("8 bytes")) >= 77, "contents stay");
        check(&[&plan], 0, &["nothing to do"]);
        let kept = line(&after, "/sys/fs/bpf/edge~previous/programs/drop");
        assert!(kept.ends_with(&format!("program {old_id}")), "it stays for a rollback: {kept}");
        site.manifest("plan.toml", &filter(2, "set = { step = 5 }", ON_LO));
        check(&[&plan], 0, &[]);
        eventually(|| kernel.program_by_id(old_id).is_err(), || format!("program {old_id} stays"));
    });
}

/// Returns whether packets pass the filter, once that is as expected or after a while.
fn passes(flood: &Flood, expected: bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        flood.passed();
        thread::sleep(Duration::from_millis(30));
        let passes = flood.passed() > 0;
        if passes == expected || Instant::now() > end {
            return passes;
        }
    }
}

/// Returns the pid of the watchdog of `edge`: who has the lock of the generation that waits.
fn watchdog() -> u32 {
    let target = Linux::new().read_symlink(&path("/sys/fs/bpf/edge")).expect("it is there");
    let holder = Linux::new().lock_holder(&path("/sys/fs/bpf").child(&target)).expect("it can be asked");
    holder.expect("somebody watches").pid
}

fn has_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn what_nobody_confirms_goes_back() {
    road("what_nobody_confirms_goes_back", |site| {
        let flood = Flood::start(1);
        let link = "[link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"veth0\" }\n";
        let (with, without) = (filter(1, "", link), filter(1, "", ""));
        let plan = site.manifest("plan.toml", &with);
        // A first apply goes back to nothing.
        let before = host();
        check(&[&plan, "--confirm", "4s"], 0, &["returns to what ran before in "]);
        assert!(!passes(&flood, false), "the filter works");
        assert!(passes(&flood, true), "it is gone again");
        eventually(|| host() == before, || format!("{:?}", host()));
        // Confirmed in time: it stays.
        check(&[&plan, "--confirm", "3600"], 0, &[]);
        let pid = watchdog();
        check(&[&plan], 75, &["waits to be confirmed", "bpfapply commit"]);
        check(&["status", "edge"], 0, &["waits to be confirmed for"]);
        check(&[&plan, "--dry-run", "--check"], 75, &["nothing to do", "waits to be confirmed"]);
        check(&["commit", "edge"], 0, &["generation 1 is kept"]);
        check(&["commit", "edge"], 1, &["nothing of `/sys/fs/bpf/edge` waits to be confirmed"]);
        check(&["rollback", "edge"], 1, &["there is no way back"]);
        for command in ["commit", "rollback", "destroy", "status"] {
            check(&[command, "egde"], 1, &["there is no deployment at `/sys/fs/bpf/egde`", "did you mean `edge`?"]);
        }
        eventually(|| has_ended(pid), || "the watchdog does not end".to_owned());
        assert!(!passes(&flood, false));
        let kept = effect();
        // Not confirmed: what ran before returns by itself, with its link.
        site.manifest("plan.toml", &without);
        check(&[&plan, "--allow", "prune", "--confirm", "4s"], 0, &[]);
        assert!(passes(&flood, true), "the filter is gone");
        assert!(!passes(&flood, false), "it is back");
        let rejected = "generation 2, which was not confirmed";
        // The watchdog may still be at work.
        eventually(|| bpfapply(&["status", "edge", "--check"]).code == 0, || "it is not in sync".to_owned());
        check(&["status", "edge"], 0, &[rejected]);
        check(&["rollback", "edge", "--dry-run"], 0, &["edge: rollback, live dry run", rejected, "--again"]);
        check(&["rollback", "edge"], 4, &[rejected, "`bpfapply rollback edge --again`"]);
        assert!(!passes(&flood, false), "it stays");
        site.manifest("plan.toml", &with);
        check(&[&plan], 0, &["nothing to do"]);
        // The watchdog is killed: the next run goes back, and does nothing else.
        site.manifest("plan.toml", &without);
        check(&[&plan, "--allow", "prune", "--confirm", "3600s"], 0, &[]);
        assert!(passes(&flood, true));
        sh(&format!("kill -KILL {}", watchdog()));
        eventually(
            || {
                let target = Linux::new().read_symlink(&path("/sys/fs/bpf/edge")).expect("it is there");
                Linux::new().lock_holder(&path("/sys/fs/bpf").child(&target)).expect("it can be asked").is_none()
            },
            || "it lives".to_owned(),
        );
        check(&["status", "edge"], 0, &["nobody watches it: the next run goes back"]);
        check(&[&plan, "--dry-run"], 75, &["was not confirmed, and waits to be taken back"]);
        check(&[&plan, "--allow", "prune"], 75, &["was not confirmed in time, and was taken back now"]);
        assert!(!passes(&flood, false), "the filter is back");
        // Taken back by hand, while the watchdog watches.
        check(&[&plan, "--allow", "prune", "--confirm", "3600s"], 0, &[]);
        let pid = watchdog();
        check(&["rollback", "edge"], 0, &["link.uplink"]);
        eventually(|| has_ended(pid), || "the watchdog does not end".to_owned());
        assert!(!passes(&flood, false));
        let same = |lines: &[String]| lines.iter().filter(|line| !line.contains('~')).count();
        assert_eq!(same(&effect()), same(&kept));
        check(&["destroy", "edge"], 0, &[]);
        assert_eq!(host(), before);
    });
}

#[test]
fn what_was_killed_behind_its_switch_goes_back_to_what_ran_before() {
    let name = "what_was_killed_behind_its_switch_goes_back_to_what_ran_before";
    road(name, move |site| {
        if !has("strace") {
            return common::skip(name, "there is no strace");
        }
        let flood = Flood::start(1);
        let link = "[link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"veth0\" }\n";
        let (with, without) = (filter(1, "", link), filter(1, "", ""));
        let plan = site.manifest("plan.toml", &with);
        let before = host();
        check(&[&plan], 0, &[]);
        assert!(!passes(&flood, false), "the filter works");
        // The first rename is the switch, the second one makes what ran before the previous generation.
        site.manifest("plan.toml", &without);
        let fault = "strace -qq -o /dev/null -e trace=rename -e inject=rename:signal=KILL:when=2";
        sh(&format!("{fault} {BPFAPPLY} {plan} --allow prune --confirm 4s > /dev/null 2>&1 || true"));
        assert!(passes(&flood, true), "the filter is gone");
        assert!(!passes(&flood, false), "it is back");
        site.manifest("plan.toml", &with);
        check(&[&plan], 0, &["nothing to do"]);
        check(&["destroy", "edge"], 0, &[]);
        assert_eq!(host(), before);
    });
}

#[test]
fn what_a_killed_upgrade_changed_in_place_goes_with_the_manifest_of_before() {
    let name = "what_a_killed_upgrade_changed_in_place_goes_with_the_manifest_of_before";
    road(name, move |site| {
        if !has("strace") {
            return common::skip(name, "there is no strace");
        }
        let manifest = |file: &str, set: &str, allow: &str, more: &str| {
            let text = format!(
                "version = 1\nname = \"edge\"\n\
                 [object.filter]\npath = \"OBJECTS/../variables/filter.o\"\n{set}\n\
                 [program.judge]\nfrom = \"filter:judge\"\n\
                 [map.allow]\ntype = \"hash\"\nkey_size = 1\nvalue_size = 1\nmax_entries = 9\n\
                 entries_mode = \"merge\"\n{allow}\n{more}"
            );
            site.manifest(file, &text)
        };
        let first = manifest("first.toml", "", "entries = { \"hex:01\" = \"hex:01\" }", "");
        let outside = "[map.out]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n\
                       pin = \"/sys/fs/bpf/shared/out\"\n";
        let entries = "mode = 0o666\nentries = { \"hex:01\" = \"hex:02\", \"hex:02\" = \"hex:02\" }";
        let second = manifest("second.toml", "set = { runs = 9 }", entries, outside);
        // The calls that make the folder outside, that put the last record in the place of the first one, and that switch.
        for (call, count) in [("mkdir", 2), ("rename", 1), ("rename", 2)] {
            let before = host();
            check(&[&first], 0, &[]);
            let fault = format!("strace -qq -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={count}");
            sh(&format!("{fault} {BPFAPPLY} {second} > /dev/null 2>&1 || true"));
            let back = ["set runs 9 -> 100", "entries +0 ~1 -1", "pin mode 0666 -> 0600"];
            check(&[&first], 0, if call == "mkdir" { &[] } else { &back });
            check(&[&first], 0, &["nothing to do"]);
            assert_eq!(sh("ls /sys/fs/bpf | grep -c shared || true").trim(), "0", "{call} {count}");
            check(&["destroy", "edge"], 0, &[]);
            assert_eq!(host(), before);
        }
        // What the killed run began, the same manifest finishes.
        let before = host();
        check(&[&first], 0, &[]);
        let fault = "strace -qq -o /dev/null -e trace=rename -e inject=rename:signal=KILL:when=2";
        sh(&format!("{fault} {BPFAPPLY} {second} > /dev/null 2>&1 || true"));
        let ran = check(&[&second], 0, &["map.out"]);
        assert!(!ran.out.contains("entries +"), "they are there: {ran:?}");
        check(&["status", "--check"], 0, &["in sync"]);
        check(&["destroy", "edge"], 0, &[]);
        assert_eq!(host(), before);
    });
}

#[test]
fn a_map_outside_that_a_killed_upgrade_made_anew_is_the_old_one_again() {
    let name = "a_map_outside_that_a_killed_upgrade_made_anew_is_the_old_one_again";
    road(name, move |site| {
        if !has("strace") {
            return common::skip(name, "there is no strace");
        }
        let manifest = |size: u32| {
            let map = format!("type = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = {size}\n");
            let text = format!(
                "version = 1\nname = \"edge\"\n[map.out]\non_change = \"recreate\"\n{map}pin = \"/sys/fs/bpf/shared/out\"\n"
            );
            site.manifest(&format!("{size}.toml"), &text)
        };
        let (first, second, before) = (manifest(1), manifest(2), host());
        let id = || {
            let (_, map) = Linux::new().open_pin(&path("/sys/fs/bpf/shared/out")).expect("it is pinned");
            Linux::new().map_info(&map).expect("a map").id
        };
        for again in [&first, &second] {
            check(&[&first], 0, &[]);
            let old = id();
            // The first rename gives the new map the name, the second one is the switch.
            let fault = "strace -qq -o /dev/null -e trace=rename -e inject=rename:signal=KILL:when=2";
            sh(&format!("{fault} {BPFAPPLY} {second} --allow lose-state > /dev/null 2>&1 || true"));
            assert_ne!(id(), old, "the new one has the name");
            let says = format!("id {old}");
            let what = if again == &first { "reuse" } else { "create array" };
            check(&[again, "--allow", "lose-state"], 0, &[what, &says]);
            assert_eq!(id() == old, again == &first);
            check(&[again], 0, &["nothing to do"]);
            check(&["destroy", "edge"], 0, &[]);
            assert_eq!(host(), before);
        }
    });
}

#[test]
fn a_map_that_gets_another_name_in_the_manifest_stays_ours() {
    road("a_map_that_gets_another_name_in_the_manifest_stays_ours", |site| {
        let manifest = |name: &str, entries: &str| {
            let text = format!(
                "version = 1\nname = \"edge\"\n[map.{name}]\ntype = \"hash\"\nkey_size = 1\nvalue_size = 1\n\
                 max_entries = 9\npin = \"/sys/fs/bpf/shared/allow\"\nentries_mode = \"merge\"\n\
                 entries = {{ \"hex:01\" = \"hex:01\"{entries} }}\n"
            );
            site.manifest(&format!("{name}.toml"), &text)
        };
        let (first, second) = (manifest("allow", ", \"hex:02\" = \"hex:01\""), manifest("guests", ""));
        let before = host();
        check(&[&first], 0, &[]);
        // It is ours, and so is the entry that is not wanted any more.
        check(&[&second], 0, &["map.guests  reuse id", "entries +0 ~0 -1"]);
        check(&["status", "edge", "--check"], 0, &["1 map"]);
        check(&[&second], 0, &["nothing to do"]);
        check(&["rollback", "edge"], 0, &["entries +1"]);
        check(&["destroy", "edge"], 0, &["unpin /sys/fs/bpf/shared/allow"]);
        assert_eq!(host(), before);
    });
}

#[test]
fn an_interface_that_went_does_not_keep_others_from_their_filter() {
    road("an_interface_that_went_does_not_keep_others_from_their_filter", |site| {
        let flood = Flood::start(1);
        sh("ip link add gone0 type veth peer name gone1");
        let links = "[link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"veth0\" }\n\
                     [link.side]\nprogram = \"drop\"\nxdp = { interface = \"gone0\" }\n";
        let before = host();
        let plan = site.manifest("plan.toml", &filter(1, "", links));
        check(&[&plan], 0, &[]);
        site.manifest("plan.toml", &filter(1, "", ""));
        check(&[&plan, "--allow", "prune", "--confirm", "4s"], 0, &[]);
        sh("ip link del gone0");
        assert!(passes(&flood, true), "the filter is gone");
        let ran = check(&["rollback", "edge"], 1, &["gone0"]);
        assert!(!ran.err.contains("plan.toml"), "no manifest says it: {ran:?}");
        assert!(!passes(&flood, false), "it is back");
        check(&["status", "edge", "--check"], 0, &["1 link"]);
        check(&["destroy", "edge"], 0, &[]);
        assert_eq!(host(), before);
    });
}

#[test]
fn an_apply_that_breaks_a_check_is_taken_back() {
    road("an_apply_that_breaks_a_check_is_taken_back", |site| {
        // What is to be dropped on lo is to the benefit of nobody who asks himself.
        let before = host();
        let checks = "[[check]]\nname = \"self\"\nping = \"127.0.0.1\"\ntimeout = \"2s\"\n\
                      [[check]]\nname = \"never\"\ncommand = [\"false\"]\ntimeout = \"1s\"\n";
        let harmless = filter(1, "", &format!("{ON_LO}{checks}"));
        let deadly = harmless.replace(ON_LO, &ON_LO.replace("\"lo\"", "\"lo\", mode = \"generic\""));
        let plan = site.manifest("plan.toml", &harmless);
        // The first filter drops everything on lo: the ping fails after it, and nothing stays.
        let ran = check(&[&plan], 1, &["fails after it: self (no reply came)", "what ran before is back"]);
        assert!(ran.err.contains("the check `never` fails already, and decides nothing"), "{ran:?}");
        eventually(|| host() == before, || format!("{:?}", host()));
        // Without the link it passes, with it the generation before returns.
        let without = harmless.replace(ON_LO, "");
        site.manifest("plan.toml", &without);
        check(&[&plan], 0, &[]);
        let kept = host();
        site.manifest("plan.toml", &deadly);
        check(&[&plan, "--confirm", "1h"], 1, &["edge: taken back: ", "what ran before is back"]);
        check(&["rollback", "edge"], 4, &["would return to generation 2, which failed its checks"]);
        sh("ping -q -c 1 127.0.0.1");
        let pins = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| !line.contains('~') && !line.contains("record")).cloned().collect()
        };
        assert_eq!(pins(&host()), pins(&kept));
        site.manifest("plan.toml", &without);
        check(&[&plan], 0, &["nothing to do"]);
        check(&["destroy", "edge"], 0, &[]);
        assert_eq!(host(), before);
        // A counter that moved has to go on moving: here the filter goes that counts.
        let flood = Flood::start(1);
        let link = "[link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"veth0\" }\n";
        let counts = "[[check]]\ncounter = \"drops\"\ntimeout = \"2s\"\n";
        site.manifest("plan.toml", &filter(1, "", &format!("{link}{counts}")));
        let ran = check(&[&plan], 0, &[]);
        assert!(ran.err.contains("the check `map.drops changes` fails already"), "{ran:?}");
        site.manifest("plan.toml", &filter(1, "", counts));
        check(&[&plan, "--allow", "prune"], 1, &["map.drops changes (its contents did not change)", "is back"]);
        assert!(!passes(&flood, false), "the filter is back");
        check(&["destroy", "edge"], 0, &[]);
    });
}

/// Starts an apply, ends it by a signal while its checks run, and says what it wrote.
fn killed_while_checking(plan: &str, signal: &str) -> String {
    let mut command = Command::new(BPFAPPLY);
    let mut run = command.arg(plan).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut said = BufReader::new(run.stderr.take().expect("it is piped")).lines();
    let first = said.next().expect("it says what it waits for").expect("UTF-8");
    sh(&format!("kill -{signal} {}", run.id()));
    assert!(!run.wait().expect("it ends").success());
    first
}

#[test]
fn an_apply_that_ends_before_its_checks_passed_is_taken_back() {
    road("an_apply_that_ends_before_its_checks_passed_is_taken_back", |site| {
        let before = host();
        // It passes before there is anything, and is at work for a while when there is.
        let at_work = |runs: &str| {
            let script = format!("test \"$(readlink /sys/fs/bpf/edge)\" != \"{runs}\" || sleep 5");
            format!("[[check]]\nname = \"slow\"\ncommand = [\"sh\", \"-c\", '{script}']\ntimeout = \"20s\"\n")
        };
        let plan = site.manifest("plan.toml", &filter(1, "", &format!("{ON_LO}{}", at_work("edge~1"))));
        for signal in ["HUP", "KILL"] {
            assert_eq!(killed_while_checking(&plan, signal), "waiting up to 20 s for 1 check to pass again");
            eventually(|| host() == before, || format!("{signal}: {:?}", host()));
        }
        // The same where something ran before.
        check(&[&site.manifest("old.toml", &filter(1, "", ON_LO))], 0, &[]);
        let kept = effect().iter().filter(|line| !line.contains('~')).count();
        let plan = site.manifest("plan.toml", &filter(2, "", &format!("{ON_LO}{}", at_work("edge~2"))));
        killed_while_checking(&plan, "TERM");
        let runs = || Linux::new().read_symlink(&path("/sys/fs/bpf/edge")).expect("it is there");
        eventually(|| runs() == "edge~3", runs);
        assert_eq!(effect().iter().filter(|line| !line.contains('~')).count(), kept);
        check(&["status", "--check"], 0, &["edge: in sync", "had not passed its checks when its run ended"]);
        // Those that pass leave nothing that waits, and no watchdog.
        let plan = site.manifest("plan.toml", &filter(2, "", &format!("{ON_LO}{}", at_work("edge~2"))));
        check(&[&plan], 0, &["waiting up to 20 s for 1 check"]);
        check(&["commit", "edge"], 1, &["nothing of `/sys/fs/bpf/edge` waits to be confirmed"]);
        check(&["destroy", "edge"], 0, &[]);
        eventually(|| host() == before, || format!("{:?}", host()));
    });
}

#[test]
fn a_failed_check_says_that_there_is_no_way_back() {
    road("a_failed_check_says_that_there_is_no_way_back", |site| {
        check(&[&site.manifest("plan.toml", &filter(1, "", ON_LO))], 0, &[]);
        // The check takes away what the way back leads to.
        let script =
            "test \"$(readlink /sys/fs/bpf/edge)\" = edge~1 || { rm /sys/fs/bpf/edge~previous/record; exit 1; }";
        let checks = format!("[[check]]\nname = \"c\"\ncommand = [\"sh\", \"-c\", '{script}']\ntimeout = \"1s\"\n");
        let plan = site.manifest("plan.toml", &filter(2, "", &format!("{ON_LO}{checks}")));
        let says = ["c (exit status: 1)", "what ran before could NOT be put back", "there is no way back"];
        check(&[&plan], 3, &says);
        check(&["status", "--check"], 2, &["to be confirmed"]);
        // It waits to be taken back, unless somebody says that it stays.
        check(&["commit", "edge"], 0, &["generation 2 is kept"]);
        check(&["destroy", "edge"], 0, &[]);
    });
}

/// A change of the manifest, and the consent without which nothing of it is done.
struct Change {
    what: &'static str,
    before: fn() -> String,
    after: fn() -> String,
    /// The flag, or nothing for what a bare apply does.
    flag: Option<&'static str>,
    says: &'static [&'static str],
}

const CHANGES: &[Change] = &[
    Change {
        what: "a variable is set",
        before: || filter(1, "", ON_LO),
        after: || filter(1, "set = { step = 10 }", ON_LO),
        flag: None,
        says: &["map.filter:.rodata", "then freeze", "replace program id"],
    },
    Change {
        what: "the layout of variables changes",
        before: || filter(2, "", ON_LO),
        after: || filter(3, "", ON_LO),
        flag: Some("lose-state"),
        says: &["state: LOST", ".bss.seen_bytes: absent"],
    },
    Change {
        what: "a link goes",
        before: || filter(1, "", ON_LO),
        after: || filter(1, "", ""),
        flag: Some("prune"),
        says: &["-   link.uplink", "traffic: STOPS"],
    },
    Change {
        what: "a program and its link go",
        before: || filter(1, "", ON_LO),
        after: || filter(1, "", "").replace("[program.drop]\nfrom = \"filter:drop\"\n", ""),
        flag: Some("prune"),
        says: &["-   program.drop"],
    },
    Change {
        what: "the hook changes",
        before: || filter(1, "", ON_LO),
        after: || filter(1, "", ON_LO).replace("\"lo\"", "\"veth0\""),
        flag: Some("prune"),
        says: &["starts there, STOPS where it was"],
    },
    Change {
        what: "the mode changes",
        before: || filter(1, "", ON_LO).replace("\"lo\"", "\"veth0\", mode = \"native\""),
        after: || filter(1, "", ON_LO).replace("\"lo\"", "\"veth0\", mode = \"generic\""),
        flag: Some("gap"),
        says: &["traffic: GAP, UNFILTERED for a moment"],
    },
];

#[test]
fn what_a_bare_apply_does_not_do_needs_its_flag() {
    road("what_a_bare_apply_does_not_do_needs_its_flag", |site| {
        sh("ip link add veth0 type veth peer name veth1");
        for Change { what, before, after, flag, says } in CHANGES {
            eprintln!("{what}");
            let (empty, mark) = (host(), Mark::new());
            let plan = site.manifest("plan.toml", &before());
            check(&[&plan], 0, &[]);
            let made = host();
            site.manifest("plan.toml", &after());
            check(&[&plan, "--dry-run"], 0, says);
            if let Some(flag) = flag {
                let flag = format!("--allow {flag}");
                check(&[&plan], 4, &[&format!("nothing is applied without {flag}"), &format!("`{flag}`")]);
                assert_eq!(host(), made, "{what}: nothing changed");
            }
            let allow = flag.map(|flag| ["--allow", flag]);
            let arguments: Vec<&str> = [plan.as_str()].into_iter().chain(allow.into_iter().flatten()).collect();
            check(&arguments, 0, &[]);
            check(&[&plan], 0, &["nothing to do"]);
            check(&["destroy", "edge"], 0, &[]);
            assert_eq!(host(), empty, "{what}");
            mark.nothing_left();
        }
    });
}

#[test]
fn the_verifier_s_refusal_is_shown_and_leaves_nothing() {
    road("the_verifier_s_refusal_is_shown_and_leaves_nothing", |site| {
        let cases = [
            ("bad_bounds", "unbounded", "return eth->h_proto", "invalid access to packet"),
            ("bad_null", "unchecked", "*n += 1;", "invalid mem access 'map_value_or_null'"),
        ];
        for (object, function, source, reason) in cases {
            let (before, mark) = (host(), Mark::new());
            let text = format!(
                "version = 1\nname = \"edge\"\n[object.bad]\npath = \"OBJECTS/{object}.o\"\n\
                 [program.filter]\nfrom = \"bad:{function}\"\n[map.kept]\ntype = \"array\"\nkey_size = 4\n\
                 value_size = 4\nmax_entries = 1\n"
            );
            let plan = site.manifest("plan.toml", &text);
            let says = ["plan.toml:6", "[program.filter]", function, source, reason, "host is as before", "-v"];
            let short = check(&[&plan], 1, &says);
            assert!(!short.err.contains("processed "), "{}", short.err);
            let long = check(&[&plan, "-v"], 1, &["the whole log:", "processed ", reason]);
            assert!(long.err.len() > short.err.len());
            assert_eq!(host(), before);
            mark.nothing_left();
        }
    });
}

#[test]
fn more_maps_than_open_files_are_held_when_the_limit_can_be_lifted() {
    road("more_maps_than_open_files_are_held_when_the_limit_can_be_lifted", |site| {
        let map =
            |number: u32| format!("[map.m{number}]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n");
        let maps: String = (0..80).map(map).collect();
        let plan = site.manifest("plan.toml", &format!("version = 1\nname = \"many\"\n{maps}"));
        let limited = |limit: &str| {
            let script = format!("ulimit {limit} 64; exec \"$@\"");
            end(Command::new("sh").args(["-c", &script, "sh", BPFAPPLY, &plan]))
        };
        let before = host();
        let ran = limited("-n");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("allow more open files") && ran.out.contains("host is as before"), "{ran:?}");
        assert_eq!(host(), before);
        let ran = limited("-Sn");
        assert_eq!(ran.code, 0, "{ran:?}");
    });
}

#[test]
fn a_missing_bpffs_is_mounted_or_asked_for() {
    road("a_missing_bpffs_is_mounted_or_asked_for", |site| {
        let plan = site.manifest("plan.toml", &filter(1, "", ON_LO));
        sh("umount /sys/fs/bpf");
        while common::run(Command::new("umount").arg("/sys/fs/bpf")).is_ok() {}
        let is_mounted = || Linux::new().is_bpffs(&path("/sys/fs/bpf")).expect("the folder is there");
        assert!(!is_mounted(), "this test starts without");
        check(&[&plan, "--dry-run"], 0, &["mount a bpffs"]);
        check(&[&plan, "--no-mount"], 1, &["there is no bpffs at `/sys/fs/bpf`", "mount -t bpf bpf /sys/fs/bpf"]);
        assert!(!is_mounted());
        check(&[&plan], 0, &["mount a bpffs"]);
        assert!(is_mounted());
        check(&[&plan, "--no-mount"], 0, &["nothing to do"]);
        check(&["destroy", "edge"], 0, &[]);
    });
}

/// Something in the way, as a shell script, and what the command says of it.
const IN_THE_WAY: &[(&str, &str, &[&str])] = &[
    (
        "bpftool net attach xdpgeneric pinned /sys/fs/bpf/foreign dev lo",
        "xdp = { interface = \"lo\", via = \"link\" }",
        &["the hook xdp of lo has a program already: generic program id", "left alone"],
    ),
    ("true", "xdp = { interface = \"eth77\" }", &["there is no interface `eth77`", "plan.toml:10"]),
    ("true", "cgroup = { path = \"no/such\" }", &["there is no cgroup `no/such`"]),
    (
        "mkdir -p /sys/fs/bpf/edge/maps && bpftool map create /sys/fs/bpf/edge/maps/drops type hash key 4 value 4 \
         entries 1 name foreign",
        "xdp = { interface = \"lo\" }",
        &["the map at `/sys/fs/bpf/edge/maps/drops`", "does not fit"],
    ),
    (
        "mkdir -p /sys/fs/bpf/edge/programs && bpftool map create /sys/fs/bpf/edge/programs/drop type hash key 4 \
         value 4 entries 1 name foreign",
        "xdp = { interface = \"lo\" }",
        &["the pin `/sys/fs/bpf/edge/programs/drop` is taken by map id"],
    ),
    (
        "mkdir -p /sys/fs/bpf/edge/programs && mv /sys/fs/bpf/foreign /sys/fs/bpf/edge/programs/drop",
        "xdp = { interface = \"lo\" }",
        &["the pin `/sys/fs/bpf/edge/programs/drop` is taken by program id", "which is not ours"],
    ),
    (
        "mkdir -p /sys/fs/bpf/edge/links/uplink",
        "xdp = { interface = \"lo\" }",
        &["the pin `/sys/fs/bpf/edge/links/uplink` is taken by a folder"],
    ),
];

#[test]
fn what_is_in_the_way_is_named_and_left_alone() {
    let name = "what_is_in_the_way_is_named_and_left_alone";
    road(name, move |site| {
        if !has("bpftool") {
            return common::skip(name, "there is no bpftool");
        }
        for (script, hook, says) in IN_THE_WAY {
            sh(&format!("bpftool prog load {ROOT}/tests/objects/stats_a.o /sys/fs/bpf/foreign type xdp"));
            sh(script);
            let before = host();
            let hooked = match hook.starts_with("cgroup") {
                true => filter(1, "", &format!("[link.uplink]\nprogram = \"egress\"\n{hook}\n"))
                    .replace("upgrade_1.o", "../../examples/quickstart/host.bpf.o")
                    .replace("[map.drops]\nfrom = \"filter:drops\"\n", "")
                    .replace(
                        "[program.drop]\nfrom = \"filter:drop\"",
                        "[program.egress]\nfrom = \"filter:count_egress\"",
                    ),
                false => filter(1, "", &format!("[link.uplink]\nprogram = \"drop\"\n{hook}\n")),
            };
            let plan = site.manifest("plan.toml", hooked.trim_start());
            check(&[&plan], 1, says);
            check(&[&plan, "--dry-run"], 1, says);
            assert_eq!(host(), before, "{script}");
            let _ = common::run(Command::new("bpftool").args(["net", "detach", "xdpgeneric", "dev", "lo"]));
            sh("rm -f /sys/fs/bpf/foreign; find /sys/fs/bpf -mindepth 1 -depth -type f -delete; \
                find /sys/fs/bpf -mindepth 1 -depth -type d -delete");
        }
    });
}

#[test]
fn wrong_use_and_bad_manifests_have_their_exit_codes() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let bad = folder.path().join("bad.toml");
    fs::File::create(&bad).and_then(|mut file| file.write_all(b"version = 1\nnme = \"x\"\n")).expect("a file");
    let bad = bad.to_str().expect("UTF-8");
    let plan = quickstart();
    let cases: &[(&[&str], i32, &str)] = &[
        (&[], 64, "Usage"),
        (&["--no-such-option"], 64, "unexpected argument"),
        (&[&plan, "--check"], 64, "--dry-run"),
        (&[&plan, "--allow", "everything"], 64, "possible values"),
        (&[&plan, "--var", "interface", "--dry-run=offline"], 64, "NAME=VALUE"),
        (&[&plan, "--var", "nosuch=1", "--dry-run=offline"], 64, "nosuch"),
        (&["/no/such/file.toml"], 65, "cannot read"),
        (&[bad], 65, "unknown key `nme`"),
        (&[bad, "--dry-run=offline"], 65, "did you mean `name`?"),
        (&["inspect", bad], 65, "bad.toml"),
        (&["--help"], 0, "Exit codes"),
        (&["--version"], 0, "bpfapply"),
        (&[&plan, "--dry-run=offline"], 0, "no kernel was asked"),
    ];
    for (arguments, code, says) in cases {
        check(arguments, *code, &[says]);
    }
}

#[test]
fn two_at_once_leave_one_deployment() {
    road("two_at_once_leave_one_deployment", |site| {
        let (before, mark) = (host(), Mark::new());
        let plan = site.manifest("plan.toml", &filter(1, "", ON_LO));
        let mut codes = BTreeSet::new();
        for _ in 0..20 {
            let start = || {
                let mut command = Command::new(BPFAPPLY);
                command.arg(&plan).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().expect("it starts")
            };
            for mut child in [start(), start()] {
                codes.insert(child.wait().expect("it ends").code());
            }
            check(&[&plan], 0, &[]);
            check(&[&plan], 0, &["nothing to do"]);
            check(&["destroy", "edge"], 0, &[]);
            assert_eq!(host(), before);
        }
        assert_eq!(codes, BTreeSet::from([Some(0)]), "one waits for the other");
        mark.nothing_left();
    });
}

/// A call that is to fail: strace's name of it, the error, and every how many of them. `FAULTS=all` takes every one.
const FAULTS: &[(&str, &str, usize)] = &[
    ("bpf", "EPERM", 3),
    ("bpf", "ENOMEM", 7),
    ("mkdir,mkdirat", "EIO", 1),
    ("rename,renameat,renameat2", "EIO", 1),
    ("unlink,unlinkat,rmdir", "EIO", 1),
];

/// Lets each call of a kind fail, one run for each, and checks what becomes of the host. Returns the exit codes.
fn fail_each(
    site: &Site,
    prepare: impl Fn(),
    arguments: &[&str],
    (calls, errno, every): (&str, &str, usize),
) -> BTreeMap<i32, usize> {
    let every = if std::env::var("FAULTS").is_ok_and(|value| value == "all") { 1 } else { every };
    let mut codes = BTreeMap::new();
    for n in (1..).step_by(every) {
        let what = format!("{calls} number {n} fails with {errno}");
        prepare();
        let (before, mark) = (effect(), Mark::new());
        let inject = format!("inject={calls}:error={errno}:when={n}");
        let (ran, trace) = traced(site, &["-e", &inject], arguments);
        let injected = trace.contains("(INJECTED)");
        let changed = effect() != before;
        match ran.code {
            0 => assert!(!injected || changed, "{what}: {ran:?}"),
            1 | 69 | 75 | 77 => {
                assert_eq!(effect(), before, "{what}: {ran:?}\n{trace}");
                mark.nothing_left();
            }
            3 => assert!(
                changed && (ran.out.contains("NOT as before:") || ran.out.contains("applied:")),
                "{what}: {ran:?}"
            ),
            code => panic!("{what}: exit {code}: {ran:?}"),
        }
        check(arguments, 0, &[]);
        check(arguments, 0, &["nothing to do"]);
        let top = |line: &&String| line.contains('~') && line.matches('/').count() == 4;
        let generations: Vec<_> = host().into_iter().filter(|line| top(&line)).collect();
        assert!(generations.len() <= 2, "{what}: the one that runs and the one before it: {generations:?}");
        check(&["destroy", arguments[0]], 0, &[]);
        *codes.entry(ran.code).or_default() += 1;
        if !injected {
            return codes;
        }
    }
    unreachable!("a program has an end")
}

#[test]
fn a_call_that_fails_leaves_the_host_as_it_was() {
    let name = "a_call_that_fails_leaves_the_host_as_it_was";
    road(name, move |site| {
        if !has("strace") || site.cgroups.is_none() {
            return common::skip(name, "there is no strace, or no cgroup2");
        }
        let (empty, mark) = (host(), Mark::new());
        let upgrade = site.manifest("plan.toml", &filter(1, "", ON_LO));
        let old = || {
            site.manifest("plan.toml", &filter(1, "", ON_LO));
            check(&[&upgrade], 0, &[]);
            site.manifest("plan.toml", &filter(2, "set = { step = 5 }", ON_LO));
        };
        // A link moves and another one changes its mode; then one goes with all that it needed.
        let links = |hook: &str| format!("[link.uplink]\nprogram = \"drop\"\nxdp = {{ interface = \"{hook} }}\n");
        let more = "[object.device]\npath = \"OBJECTS/stats_a.o\"\n[program.on_device]\nfrom = \"device:on_device\"\n\
                    [link.device]\nprogram = \"on_device\"\nxdp = { interface = \"veth1\", mode = \"native\" }\n";
        let native_on_lo = format!("{}{more}", links("lo\""));
        let other = native_on_lo.replace("\"lo\"", "\"veth0\"").replace("native", "generic");
        let moved = || {
            site.manifest("plan.toml", &filter(1, "", &native_on_lo));
            check(&[&upgrade], 0, &[]);
            site.manifest("plan.toml", &filter(1, "", &other));
        };
        let fewer = || {
            site.manifest("plan.toml", &filter(1, "", &native_on_lo));
            check(&[&upgrade], 0, &[]);
            site.manifest("plan.toml", &filter(1, "", ON_LO));
        };
        sh("ip link add veth0 type veth peer name veth1");
        for fault in FAULTS {
            let start = Instant::now();
            let codes = [
                fail_each(site, || (), &[&quickstart()], *fault),
                fail_each(site, old, &[&upgrade], *fault),
                fail_each(site, moved, &[&upgrade, "--allow", "prune,gap"], *fault),
                fail_each(site, fewer, &[&upgrade, "--allow", "prune"], *fault),
            ];
            eprintln!("{fault:?}: exit codes {codes:?}, {:.1?}", start.elapsed());
        }
        assert_eq!(host(), empty);
        mark.nothing_left();
    });
}

#[test]
fn maps_show_what_they_hold() {
    road("maps_show_what_they_hold", |site| {
        if site.cgroups.is_none() {
            return common::skip("maps_show_what_they_hold", "there is no cgroup2");
        }
        let plan = quickstart();
        check(&[&plan], 0, &["quickstart: applied"]);
        sh("ping -q -i 0.02 -c 5 127.0.0.1");
        for arguments in
            [&["show", "map.traffic"][..], &["show", "quickstart", "map.traffic"], &["show", &plan, "map.traffic"]]
        {
            check(arguments, 0, &["map.traffic: hash, id ", "HOOK_XDP", "packets = ", " entries\n"]);
        }
        check(&["show", "map.traffic", "--limit", "1"], 0, &[" entries shown, "]);
        let shown = check(&["show", "map.traffic", "--output", "json"], 0, &[]);
        let document: serde_json::Value = serde_json::from_str(&shown.out).expect("one document");
        let hook = document["entries"].as_array().expect("a list").iter().find(|entry| entry["key"] == "HOOK_XDP");
        assert!(hook.is_some_and(|entry| entry["value"]["packets"].as_u64() >= Some(10)), "{}", shown.out);
        let watched = check(&["show", "map.traffic", "--watch", "--count", "2"], 0, &["entries in 1."]);
        assert_eq!(watched.out.matches("map.traffic: ").count(), 2, "{}", watched.out);
        check(&["show", "quickstart", "map.xdp:.rodata"], 0, &["sample_rate = ", "1 entry"]);
        check(
            &["show", "map.trafic"],
            1,
            &["no deployment on this host has a map.trafic", "did you mean `map.traffic`?"],
        );
        check(&["show", "quickstart", "map.x"], 1, &["has no map.x"]);
        check(&["show", "quickstart", "program.xdp"], 64, &["`program.xdp` is no map.NAME"]);
        check(&["show", "quickstart", "--sum"], 64, &["are about the entries of a map.NAME"]);
        check(&["destroy", "quickstart"], 0, &[]);
    });
}
