//! What strace saw of a run of the tool: each call that changed something, and the pin that it was about.

use std::collections::{BTreeSet, HashMap};

/// What is traced: the calls that change something, and those that open what others name by a descriptor.
pub const TRACED: &str = "bpf,openat,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,link,linkat,symlink,\
                          symlinkat,chmod,fchmod,fchmodat,chown,lchown,fchown,fchownat,mount,umount2,sendto,sendmsg";

/// What was done, and to which pin below the folder of the deployment, whatever its generation.
pub type Change = (&'static str, String);

/// Commands of bpf() that change nothing.
const READS: &[&str] = &["GET", "LOOKUP", "QUERY", "BPF_TASK_FD_QUERY"];

/// What a descriptor stands for.
#[derive(Debug, Clone)]
enum Thing {
    /// Something with this path.
    At(String),
    /// What the change of this number made.
    New(usize),
}

/// Lists what a trace changed: below the folder of a deployment by its pins, all else by its whole path or call. What is not
/// known to change nothing is in it.
pub fn changes(trace: &str, places: &Places) -> BTreeSet<Change> {
    let mut reader = Reader::default();
    trace.lines().for_each(|line| reader.line(line));
    reader.made.iter().map(|(verb, of)| places.change(verb, &reader.path(of))).collect()
}

/// Where a deployment has its pins.
#[derive(Debug)]
pub struct Places {
    /// The folder.
    pub root: String,
    /// The generation that is built.
    pub next: String,
}

impl Places {
    /// Names a change by what it is about. Those that switch to the next generation, or take older ones away, are one each.
    fn change(&self, verb: &'static str, path: &str) -> Change {
        let Some(below) = path.strip_prefix(&self.root) else { return (verb, path.to_owned()) };
        let in_next =
            path.strip_prefix(&self.next).and_then(|pin| pin.strip_prefix('/').or(pin.is_empty().then_some("")));
        match (verb, below, in_next) {
            ("symlink", "~", _) | ("rename", "", _) => ("switch", String::new()),
            ("rename" | "unlink" | "rmdir", old, None) if old.starts_with('~') => ("retire", String::new()),
            // The next generation is the only one in which anything is made.
            ("folder" | "keep" | "pin", _, None) => (verb, path.to_owned()),
            (verb, _, Some(pin)) => (verb, pin.to_owned()),
            (verb, pin, None) => (verb, pin.trim_start_matches('/').to_owned()),
        }
    }
}

#[derive(Default)]
struct Reader {
    files: HashMap<u32, Thing>,
    made: Vec<(&'static str, Thing)>,
}

impl Reader {
    /// Reads `PID name(arguments) = result`; a call that failed changed nothing.
    fn line(&mut self, line: &str) {
        let Some((_, call)) = line.split_once(' ') else { return };
        let Some((call, result)) = call.trim_start().rsplit_once(" = ") else { return };
        let Some((name, arguments)) = call.split_once('(') else { return };
        if result.starts_with('-') {
            return;
        }
        let strings: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        match (name, &strings[..]) {
            ("openat", _) => self.open(result, Thing::At(path_of(result))),
            ("bpf", _) => self.bpf(arguments, result),
            ("mkdir", [path]) => self.at("folder", path),
            ("linkat", [_, path]) => self.at("keep", path),
            ("symlink", [_, path]) | ("unlink" | "rmdir", [path]) => self.at(name_of(name), path),
            ("rename", [_, path]) => self.at("rename", path),
            ("sendto" | "sendmsg", _) if arguments.contains("nlmsg_type=RTM_GET") => {}
            _ => self.made.push(("do something unknown", Thing::At(line.to_owned()))),
        }
    }

    fn bpf(&mut self, arguments: &str, result: &str) {
        let command = arguments.split(',').next().unwrap_or("");
        let number = |field: &str| number_of(arguments.split_once(field)?.1);
        let thing = |reader: &Self, field| number(field).and_then(|fd| reader.files.get(&fd).cloned());
        let unknown = || Thing::At(arguments.to_owned());
        match command {
            "BPF_OBJ_GET" => {
                let path = arguments.split('"').nth(1).unwrap_or("");
                self.open(result, Thing::At(self.resolved(path)));
            }
            "BPF_MAP_CREATE" => self.create("create map", result),
            "BPF_PROG_LOAD" => self.create("load", result),
            "BPF_LINK_CREATE" => self.create("attach", result),
            "BPF_BTF_LOAD" => self.made.push(("load types", Thing::At(String::new()))),
            "BPF_MAP_UPDATE_ELEM" | "BPF_MAP_UPDATE_BATCH" => {
                self.made.push(("write", thing(self, "map_fd=").unwrap_or_else(unknown)));
            }
            "BPF_MAP_DELETE_ELEM" | "BPF_MAP_DELETE_BATCH" => {
                self.made.push(("delete", thing(self, "map_fd=").unwrap_or_else(unknown)));
            }
            "BPF_MAP_FREEZE" => self.made.push(("freeze", thing(self, "map_fd=").unwrap_or_else(unknown))),
            "BPF_LINK_UPDATE" => self.made.push(("update", thing(self, "link_fd=").unwrap_or_else(unknown))),
            // strace 6.1 does not tell which.
            "BPF_LINK_DETACH" => self.made.push(("detach", Thing::At(String::new()))),
            "BPF_OBJ_PIN" => {
                let path = self.pinned(arguments);
                if let Some(Thing::New(at)) = thing(self, "bpf_fd=") {
                    // From here on it has a name.
                    self.made[at].1 = Thing::At(path.clone());
                }
                self.made.push(("pin", Thing::At(path)));
            }
            command if READS.iter().any(|read| command.contains(read)) => {}
            _ => self.made.push(("do something unknown", unknown())),
        }
    }

    fn create(&mut self, verb: &'static str, result: &str) {
        let at = self.made.len();
        self.made.push((verb, Thing::New(at)));
        self.open(result, Thing::New(at));
    }

    fn open(&mut self, result: &str, thing: Thing) {
        self.files.extend(number_of(result).map(|fd| (fd, thing)));
    }

    fn at(&mut self, verb: &'static str, path: &str) {
        self.made.push((verb, Thing::At(self.resolved(path))));
    }

    /// Returns the path that is meant by one through a descriptor: `/proc/self/fd/7/maps`.
    fn resolved(&self, path: &str) -> String {
        let through = || {
            let rest = path.strip_prefix("/proc/self/fd/")?;
            match self.files.get(&number_of(rest)?)? {
                Thing::At(folder) => Some(format!("{folder}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))),
                Thing::New(_) => None,
            }
        };
        through().unwrap_or_else(|| path.to_owned())
    }

    /// Returns the path of a new pin: a whole one, or a name in an open folder, of which strace 6.1 has only the bytes:
    /// `pathname="flows", bpf_fd=5, file_flags=0x4000, extra_data="\x0e\x00\x00\x00..."`.
    fn pinned(&self, arguments: &str) -> String {
        let name = arguments.split('"').nth(1).unwrap_or("");
        let said = || number_of(arguments.split_once("path_fd=")?.1);
        let in_bytes = || {
            let bytes = arguments.split_once("extra_data=\"")?.1.split("\\x").skip(1).take(4);
            let bytes = bytes.map(|byte| u8::from_str_radix(byte.get(..2)?, 16).ok());
            Some(u32::from_le_bytes(bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()?))
        };
        match said().or_else(in_bytes).and_then(|fd| self.files.get(&fd)) {
            Some(Thing::At(folder)) if !name.starts_with('/') => format!("{folder}/{name}"),
            _ => self.resolved(name),
        }
    }

    /// Returns the path of something; of what was made the one where it was pinned, if it was.
    fn path(&self, thing: &Thing) -> String {
        match thing {
            Thing::At(path) => path.clone(),
            Thing::New(at) => match &self.made[*at].1 {
                Thing::At(path) => path.clone(),
                Thing::New(_) => "something that is not pinned".to_owned(),
            },
        }
    }
}

/// Returns the calls that only build and leave generations as one word each.
fn name_of(call: &str) -> &'static str {
    match call {
        "symlink" => "symlink",
        "unlink" => "unlink",
        _ => "rmdir",
    }
}

/// Returns the path that strace says of a descriptor: `7</sys/fs/bpf/edge~1>`.
fn path_of(result: &str) -> String {
    result.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>')).map_or("", |(path, _)| path).to_owned()
}

fn number_of(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
