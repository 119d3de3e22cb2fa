//! What there is of the tested deployment on this host: pins, hooks, and what lives in the kernel; read without the
//! tool.

use crate::common;
use bpfapply::direct::{Device, Direct, Mark};
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::{Entry, HookInfo, Kernel, ObjectKind};
use bpfapply::kinds::AttachType;
use bpfapply::names::PinPath;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Where pins are.
pub const BPFFS: &str = "/sys/fs/bpf";

/// The interfaces of the room.
pub const INTERFACES: [&str; 2] = ["veth0", "veth1"];

/// A pin or a folder of pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Another one means that the path was taken away and made again; 0 of folders, which mean no object.
    inode: u64,
    /// Mode, user and group; 0 of folders, which are for nobody.
    access: [u32; 3],
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Folder,
    /// A symbolic link to the folder of this name.
    Switch(String),
    /// An attachment without a link: its program by id, and where it is.
    Mark {
        program: u32,
        at: String,
    },
    /// A map or program.
    Object {
        kind: ObjectKind,
        id: u32,
        name: String,
        /// What a run may write into a map that stays, of which programs write nothing.
        holds: Vec<u64>,
    },
    /// A link: its program by id, and the hook in words, without one when it is detached.
    Link {
        id: u32,
        program: u32,
        hook: String,
    },
}

/// All of it. Two are equal when nothing was made, removed or made anew in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    is_mounted: bool,
    pins: BTreeMap<String, Pin>,
    /// Names of living programs, maps and links by what they are and their id; only those that are of the deployment.
    alive: BTreeMap<(&'static str, u64), String>,
    /// The programs on the XDP hook of each interface, by mode.
    xdp: BTreeMap<&'static str, Vec<(String, u32)>>,
    /// The programs that need no link, by the words for their hook; qdiscs are there without.
    direct: BTreeMap<String, Vec<u32>>,
}

impl Host {
    /// Reads all of it. Programs and maps are of the deployment when their names start with `prefix`, links when their
    /// programs are.
    pub fn read(prefix: &str, cgroup: &Path) -> Self {
        let kernel = Linux::new();
        let bpffs = PinPath::new(BPFFS).expect("a path");
        let is_mounted = kernel.is_bpffs(&bpffs).expect("the folder is there");
        let mut pins = BTreeMap::new();
        if is_mounted {
            walk(&kernel, &bpffs, &mut pins);
        }
        let mut alive = BTreeMap::new();
        for (kind, line) in [("program", "prog show"), ("map", "map show")] {
            for item in listed(line) {
                let named = item["name"].as_str().filter(|name| name.starts_with(prefix));
                if let (Some(name), Some(id)) = (named, item["id"].as_u64()) {
                    alive.insert((kind, id), name.to_owned());
                }
            }
        }
        for item in listed("link show") {
            if let (Some(id), Some(program)) = (item["id"].as_u64(), item["prog_id"].as_u64())
                && let Some(name) = alive.get(&("program", program)).cloned()
            {
                alive.insert(("link", id), name);
            }
        }
        let on = |interface: &'static str| {
            let found = kernel.interface(interface).expect("interfaces can be asked about").expect("it is there");
            (interface, found.xdp.iter().map(|(mode, id)| (format!("{mode:?}"), *id)).collect())
        };
        let direct = direct(&kernel, cgroup);
        Self { is_mounted, pins, alive, xdp: INTERFACES.map(on).into(), direct }
    }

    /// Returns what others see of it: what is only alive while a run is at work is left out.
    pub fn visible(self) -> Self {
        Self { alive: BTreeMap::new(), ..self }
    }

    /// Returns whether nothing of the deployment is left, and nothing at all in the bpffs.
    pub fn is_empty(&self) -> bool {
        self.pins.is_empty() && self.alive.is_empty() && self.xdp.values().all(Vec::is_empty) && self.direct.is_empty()
    }

    /// Writes it without what differs between two runs that do the same: ids and inodes.
    pub fn shape(&self) -> Vec<String> {
        let name = |id: u32| self.alive.get(&("program", u64::from(id))).map_or("another program", String::as_str);
        let (now, before) = self.generations();
        let of_now: BTreeSet<_> = self.ids_in(now).collect();
        let only_before: BTreeSet<_> = self.ids_in(Some(before)).filter(|id| !of_now.contains(id)).collect();
        let is_generation = |path: &str| path[BPFFS.len()..].contains('~');
        let leftovers = self.pins.keys().filter(|path| is_generation(path) && path.matches('/').count() == 4);
        let leftovers = leftovers.filter(|path| now != Some(path.as_str()) && *path != before);
        let mut lines: Vec<_> = self
            .pins
            .iter()
            .filter(|(path, _)| !is_generation(path))
            .map(|(path, pin)| match &pin.what {
                What::Folder | What::Switch(_) => format!("{path}/"),
                What::Mark { program, at } => format!("{path} stands for {} {at}", name(*program)),
                What::Object { kind, name, holds, .. } => format!("{path} {kind} {name} {holds:?}, {}", pin.access()),
                What::Link { program, hook, .. } => {
                    format!("{path} link of {} {hook}, {}", name(*program), pin.access())
                }
            })
            .chain(leftovers.map(|path| format!("{path} is left")))
            .chain(
                self.alive
                    .iter()
                    .filter(|((kind, id), _)| !only_before.contains(&(*kind, *id)))
                    .map(|((kind, _), name)| format!("a living {kind} {name}")),
            )
            .chain(self.xdp.iter().flat_map(|(interface, programs)| {
                programs.iter().map(move |(mode, id)| format!("{mode} xdp of {interface}: {}", name(*id)))
            }))
            .chain(
                self.direct.iter().map(|(at, programs)| {
                    format!("{at}: {:?}", programs.iter().map(|id| name(*id)).collect::<Vec<_>>())
                }),
            )
            .collect();
        lines.sort();
        lines
    }

    /// Returns the folder of the generation that runs, and that of the one before it.
    fn generations(&self) -> (Option<&str>, &str) {
        let find = |is: &dyn Fn(&str, &Pin) -> bool| {
            self.pins.iter().find(|(path, pin)| is(path, pin)).map(|(path, _)| path.as_str())
        };
        let target = self.pins.values().find_map(|pin| match &pin.what {
            What::Switch(target) => Some(target.as_str()),
            What::Folder | What::Mark { .. } | What::Object { .. } | What::Link { .. } => None,
        });
        let now = target.and_then(|target| find(&|path, _| path.ends_with(target) && path.matches('/').count() == 4));
        let before = find(&|path, _| path.ends_with("~previous"));
        (now, before.unwrap_or("/"))
    }

    /// Returns what is pinned below a folder.
    fn ids_in<'a>(&'a self, folder: Option<&'a str>) -> impl Iterator<Item = (&'static str, u64)> + 'a {
        let below = self.pins.iter().filter(move |(path, _)| folder.is_some_and(|folder| path.starts_with(folder)));
        below.filter_map(|(_, pin)| match &pin.what {
            What::Object { kind: ObjectKind::Map, id, .. } => Some(("map", u64::from(*id))),
            What::Object { id, .. } => Some(("program", u64::from(*id))),
            What::Folder | What::Switch(_) | What::Mark { .. } | What::Link { .. } => None,
        })
    }

    /// Returns the paths at which something else is pinned, or attached by the link that is pinned there. Folders go
    /// without saying, and how the generations of pins are called is nobody's business.
    pub fn changed_paths<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let what = |host: &'a Self, path: &str| host.pins.get(path).map(|pin| &pin.what);
        let access = |host: &'a Self, path: &str| host.pins.get(path).map(|pin| pin.access);
        let all: BTreeSet<&String> = self.pins.keys().chain(other.pins.keys()).collect();
        let all = all.into_iter().filter(|path| !path.contains('~'));
        all.filter(|path| !matches!(what(self, path).or(what(other, path)), Some(What::Folder | What::Switch(_))))
            .filter(|path| (what(self, path), access(self, path)) != (what(other, path), access(other, path)))
            .map(String::as_str)
            .collect()
    }

    /// Returns whether both differ in nothing but the inodes of pins.
    pub fn is_same_but_for_inodes(&self, other: &Self) -> bool {
        let without = |host: &Self| {
            let mut host = host.clone();
            host.pins.values_mut().for_each(|pin| pin.inode = 0);
            host
        };
        without(self) == without(other)
    }

    /// Writes what is only in one of the two.
    pub fn differences(&self, other: &Self) -> String {
        unlike(&self.lines(), &other.lines())
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.pins.iter().map(|(path, pin)| format!("{path} {pin}")).collect();
        lines.extend(self.alive.iter().map(|((kind, id), name)| format!("{kind} {id} {name} lives")));
        lines.extend(self.xdp.iter().map(|(interface, programs)| format!("xdp of {interface}: {programs:?}")));
        lines.extend(self.direct.iter().map(|(at, programs)| format!("{at}: {programs:?}")));
        lines
    }
}

/// Writes the lines that only one of two lists has.
pub fn unlike(expected: &[String], found: &[String]) -> String {
    let only = |these: &[String], those: &[String], sign: char| -> String {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("\n      {sign} {line}")).collect()
    };
    only(expected, found, '-') + &only(found, expected, '+')
}

impl Pin {
    /// Writes who may open it.
    fn access(&self) -> String {
        let [mode, owner, group] = self.access;
        format!("mode {mode:04o} of {owner}:{group}")
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Folder => f.write_str("folder"),
            What::Switch(target) => write!(f, "leads to {target}"),
            What::Mark { program, at } => write!(f, "stands for {program} {at}, inode {}", self.inode),
            What::Object { kind, id, name, holds } => {
                write!(f, "{kind} {id} {name} {holds:?}, {}, inode {}", self.access(), self.inode)
            }
            What::Link { id, program, hook } => {
                write!(f, "link {id} of program {program} {hook}, {}, inode {}", self.access(), self.inode)
            }
        }
    }
}

/// Asks bpftool for a list of everything on the host.
fn listed(line: &str) -> Vec<Value> {
    for _ in 0..200 {
        if let Ok(output) = common::run(Command::new("bpftool").arg("-j").args(line.split(' '))) {
            return serde_json::from_slice(&output.stdout).unwrap_or_default();
        }
        // It gives up when somebody else's link goes just then.
        thread::sleep(Duration::from_millis(5));
    }
    panic!("bpftool {line} fails");
}

/// Returns the hook of a cgroup that has a program without a link.
fn hook_of(kernel: &Linux, cgroup: &Path) -> Option<Direct> {
    let (_, cgroup_id) = kernel.open_cgroup(cgroup).ok()?;
    Some(Direct::Cgroup { path: cgroup.to_owned(), cgroup_id, attach_type: AttachType::CGROUP_INET_INGRESS })
}

/// Detaches what needs no link from a cgroup.
pub fn detach_all(cgroup: &Path) {
    let mut kernel = Linux::new();
    let Some(at) = hook_of(&kernel, cgroup) else { return };
    for id in kernel.programs_at(&at).expect("it can be asked") {
        if let Ok(program) = kernel.program_by_id(id) {
            kernel.detach(&program, &at).expect("it is there");
        }
    }
}

fn direct(kernel: &Linux, cgroup: &Path) -> BTreeMap<String, Vec<u32>> {
    let mut found = BTreeMap::new();
    for interface in INTERFACES {
        let index = kernel.interface(interface).expect("interfaces can be asked about").expect("it is there").index;
        if let Some(qdisc) = kernel.qdisc(&Device { ifindex: index, ..Device::default() }).expect("it can be asked") {
            found.insert(format!("clsact of {interface}"), Vec::new());
            for filter in qdisc.filters {
                let at = format!("{} {} {}", filter.attach_type, filter.priority, filter.handle);
                found.insert(format!("{at} of {interface}"), filter.program_id.into_iter().collect());
            }
        }
    }
    let there = hook_of(kernel, cgroup).map(|at| kernel.programs_at(&at).expect("it can be asked"));
    if let Some(programs) = there.filter(|programs| !programs.is_empty()) {
        found.insert("the cgroup".to_owned(), programs);
    }
    found
}

fn walk(kernel: &Linux, folder: &PinPath, pins: &mut BTreeMap<String, Pin>) {
    for Entry { name, .. } in kernel.list(folder).expect("a folder can be listed") {
        let path = folder.child(&name);
        let metadata = fs::symlink_metadata(path.as_str()).expect("it is there");
        if let Some(Mark { program_id, at, .. }) = kernel.read_symlink(&path).ok().as_deref().and_then(Mark::parse) {
            let what = What::Mark { program: program_id, at: at.to_string() };
            pins.insert(path.to_string(), Pin { inode: metadata.ino(), access: [0; 3], what });
            continue;
        }
        if let Ok(target) = kernel.read_symlink(&path) {
            pins.insert(path.to_string(), Pin { inode: 0, access: [0; 3], what: What::Switch(target) });
            walk(kernel, &path, pins);
            continue;
        }
        let pin = match (metadata.is_dir(), kernel.open_pin(&path)) {
            (true, _) => Pin { inode: 0, access: [0; 3], what: What::Folder },
            (false, Ok((kind, fd))) => Pin {
                inode: metadata.ino(),
                access: [metadata.mode() & 0o7777, metadata.uid(), metadata.gid()],
                what: what(kernel, kind, &fd),
            },
            // The bpffs of some kernels has files of its own, which are no pins.
            (false, Err(error)) if error.kind() == io::ErrorKind::NotFound => continue,
            (false, Err(error)) => panic!("open {path}: {error}"),
        };
        pins.insert(path.to_string(), pin);
        if metadata.is_dir() {
            walk(kernel, &path, pins);
        }
    }
}

/// Reads the variables of a section, or the entries of the manifests that are there.
fn holds(kernel: &Linux, map: &<Linux as Kernel>::Fd, name: &str) -> Vec<u64> {
    let keys = match name {
        name if name.ends_with("_seen") => 100u32..103,
        name if name.contains("data") && !name.contains("rodata") => 0..1,
        _ => 0..0,
    };
    let values = keys.filter_map(|key| kernel.lookup(map, &key.to_ne_bytes(), 8).expect("it can be read"));
    values.map(|value| u64::from_ne_bytes(value.try_into().expect("8 bytes"))).collect()
}

fn what(kernel: &Linux, kind: ObjectKind, fd: &<Linux as Kernel>::Fd) -> What {
    match kind {
        ObjectKind::Map => {
            let info = kernel.map_info(fd).expect("a map has information");
            let holds = holds(kernel, fd, &info.name);
            What::Object { kind, id: info.id, name: info.name, holds }
        }
        ObjectKind::Program => {
            let info = kernel.program_info(fd).expect("a program has information");
            What::Object { kind, id: info.id, name: info.name, holds: Vec::new() }
        }
        ObjectKind::Link => {
            let info = kernel.link_info(fd).expect("a link has information");
            let hook = match info.hook {
                HookInfo::Xdp { ifindex: 0 } | HookInfo::Tcx { ifindex: 0, .. } => "detached".to_owned(),
                HookInfo::Cgroup { cgroup_id: 0, .. } => "detached".to_owned(),
                hook => format!("at {hook:?}"),
            };
            What::Link { id: info.id, program: info.program_id, hook }
        }
    }
}
