//! Each kind of problem at length: what it means, an example, what to do, and the exit code.
//!
//! `bpfapply explain CODE` shows one, `docs/errors.md` is made of all of them. `tests/errors.rs` demands one for each
//! code of [`Kind::code`](super::Kind::code), and that each example that is a manifest gives exactly its own code.

use super::{Exit, Problems, similar};
use crate::verifier::hints::{HINTS, Hint};
use std::collections::BTreeSet;

/// What there is to say of a kind of problem.
#[derive(Debug)]
pub struct Explanation {
    /// The code, as messages have it.
    pub code: &'static str,
    /// The exit codes that it can mean.
    pub exits: &'static [Exit],
    /// What is wrong.
    pub means: &'static str,
    /// How it comes about.
    pub example: Example,
    /// What to do.
    pub way_out: &'static str,
}

/// How a problem comes about.
#[derive(Debug, Clone, Copy)]
pub enum Example {
    /// The tables of a manifest behind [`HEAD`]. Objects are those of `tests/objects`.
    Tables(&'static str),
    /// A whole manifest.
    Manifest(&'static str),
    /// A command.
    Command(&'static str),
    /// It needs a host or a kernel that is so.
    Host(&'static str),
}

/// How a manifest starts.
pub const HEAD: &str = "version = 1\nname = \"edge\"\n\n";

/// What can be explained.
#[derive(Debug, Clone, Copy)]
pub enum Topic {
    /// A kind of problem.
    Problem(&'static Explanation),
    /// A refusal of the verifier.
    Refusal(&'static Hint),
}

impl Topic {
    /// Returns the code by which it is asked for.
    pub fn code(self) -> &'static str {
        match self {
            Self::Problem(problem) => problem.code,
            Self::Refusal(hint) => hint.code,
        }
    }
}

/// Lists everything that can be explained.
pub fn topics() -> impl Iterator<Item = Topic> {
    EXPLANATIONS.iter().map(Topic::Problem).chain(HINTS.iter().map(Topic::Refusal))
}

/// Finds what there is to say of a code, or of the end of one that only one code has: `unknown_name`.
///
/// # Errors
/// The codes that it may have meant: none, or several.
pub fn find(code: &str) -> Result<Topic, Vec<&'static str>> {
    if let Some(found) = topics().find(|topic| topic.code() == code) {
        return Ok(found);
    }
    let last = |topic: &Topic| topic.code().rsplit("::").next() == Some(code);
    let found: Vec<_> = topics().filter(last).collect();
    match found[..] {
        [found] => Ok(found),
        [] => {
            let parts = topics().flat_map(|topic| [topic.code(), topic.code().rsplit("::").next().unwrap_or_default()]);
            let meant = similar(code, parts);
            Err(topics().map(Topic::code).filter(|known| meant.iter().any(|meant| known.ends_with(meant))).collect())
        }
        _ => Err(found.iter().map(|topic| topic.code()).collect()),
    }
}

/// Says where there is more to read about problems: examples, for which their messages have no room.
pub fn more(problems: &Problems) -> Option<String> {
    let has_example = |code: &str| {
        EXPLANATIONS
            .iter()
            .any(|known| known.code == code && matches!(known.example, Example::Tables(_) | Example::Manifest(_)))
    };
    let codes: BTreeSet<_> =
        problems.0.iter().map(|problem| problem.kind.code()).filter(|code| has_example(code)).collect();
    match codes.len() {
        0 => None,
        1 => codes.first().map(|code| format!("more: `bpfapply explain {code}`")),
        _ => Some("more: `bpfapply explain CODE`, with a code in brackets".to_owned()),
    }
}

const DATA: &[Exit] = &[Exit::Data];
const FAILED: &[Exit] = &[Exit::Failed];
const RETRY: &[Exit] = &[Exit::Retry];
const LACKS: &[Exit] = &[Exit::Unavailable];
const USAGE: &[Exit] = &[Exit::Usage];

use Example::{Command, Host, Manifest, Tables};

/// One for each code, in their order.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: "entries::bad",
        exits: DATA,
        means: "A key or a value of `entries` does not fit the keys or values of its map: by its type, its size, or \
                the range of a number. Where the map has BTF, its types say what fits; else the sizes.",
        example: Tables(
            "[map.ports]\ntype = \"hash\"\nkey_size = 2\nvalue_size = 1\nmax_entries = 8\nentries = { 70000 = 1 }",
        ),
        way_out: "Write what the map holds. `bpfapply inspect OBJECT` shows the types; `key_format` and \
                  `value_format` give a map without BTF some.",
    },
    Explanation {
        code: "entries::bad_file",
        exits: DATA,
        means: "Lines of a file of entries do not fit the map, or are no CSV, JSON or list at all. The first ten are \
                shown, with line and column.",
        example: Host(
            "`entries = \"ports.csv\"` for a map with keys of 2 bytes, where line 7 of the file has `70000,1`",
        ),
        way_out: "Mend the lines that are shown, or the program that writes the file.",
    },
    Explanation {
        code: "entries::format_size",
        exits: DATA,
        means: "`key_format` or `value_format` describes another number of bytes than a key or value of the map has.",
        example: Tables(
            "[map.ports]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 1\nmax_entries = 8\nkey_format = \"u16\"\n\
             entries = { 80 = 1 }",
        ),
        way_out: "Name every byte; those that are only padding as `\"bytes[N]\"`.",
    },
    Explanation {
        code: "entries::none",
        exits: DATA,
        means: "Maps of this type cannot have entries from a manifest: the kernel or its programs fill them.",
        example: Tables("[map.events]\ntype = \"ringbuf\"\nmax_entries = 4096\nentries = { 0 = 1 }"),
        way_out: "Take `entries` out.",
    },
    Explanation {
        code: "entries::too_many",
        exits: DATA,
        means: "The manifest gives a map more entries than it has room for.",
        example: Tables(
            "[map.ports]\ntype = \"hash\"\nkey_size = 2\nvalue_size = 1\nmax_entries = 1\nentries = { 80 = 1, 443 = 1 }",
        ),
        way_out: "Raise `max_entries`, which makes another map where it is there already, or take entries out.",
    },
    Explanation {
        code: "entries::twice",
        exits: DATA,
        means: "Two entries have the same bytes as their key, perhaps written in two ways. One of them would be lost.",
        example: Tables(
            "[map.ports]\ntype = \"hash\"\nkey_size = 2\nvalue_size = 1\nmax_entries = 8\nentries = { 80 = 1, 0x50 = 2 }",
        ),
        way_out: "Keep one of them.",
    },
    Explanation {
        code: "entries::wrong_program",
        exits: DATA,
        means: "An entry of a devmap or a cpumap runs a program that was not made for such a map: the kernel takes \
                only XDP programs with the attach type of that map.",
        example: Tables(
            "[object.sections]\npath = \"sections.o\"\n\n[map.ports]\ntype = \"devmap\"\nkey_size = 4\nvalue_size = 8\n\
             max_entries = 4\nentries = { 0 = { interface = \"eth0\", program = \"program.plain\" } }\n\n\
             [program.plain]\nfrom = \"sections:xdp_plain\"",
        ),
        way_out: "Put the program into the section `xdp/devmap` or `xdp/cpumap`, or say `attach_type` in its table.",
    },
    Explanation {
        code: "host::adopted_in_part",
        exits: &[Exit::Pending],
        means: "`bpfapply adopt` made a new record of what is pinned, and the manifest wants more than that: something \
                went with the record, or was never made. The record knows nothing of it, and so `bpfapply status` says \
                that all is in sync.",
        example: Host("somebody removed `/sys/fs/bpf/edge/record` and `/sys/fs/bpf/edge/links/uplink`"),
        way_out: "Look whether it is the right manifest, and apply it: that makes the rest.",
    },
    Explanation {
        code: "host::cgroup_excludes",
        exits: FAILED,
        means: "A program on this cgroup, or on one above it, was attached so that no other may be there or below it.",
        example: Host(
            "somebody ran `bpftool cgroup attach PATH egress pinned P` without `multi`, and a link wants that hook",
        ),
        way_out: "`bpftool cgroup tree` names it. Whoever attached it has to do that with `multi` \
                  (BPF_F_ALLOW_MULTI), or with a link.",
    },
    Explanation {
        code: "host::changed",
        exits: RETRY,
        means: "Between the plan and its execution something else changed what the plan relies on: a map, a program, \
                a link or a pin is another one now. Each step compares before it changes anything, so nothing was \
                overwritten.",
        example: Host("another tool replaces the program on `eth0` while `bpfapply` waits for consent"),
        way_out: "Run it again and look at the new plan. If it comes back, find the other tool: two masters of one \
                  hook never settle.",
    },
    Explanation {
        code: "host::checks_failed",
        exits: &[Exit::Failed, Exit::Broken],
        means: "A `[[check]]` passed before the apply and fails after it, so what ran before was put back. With exit \
                code 3 that failed as well, or there was a program of somebody else whose hook was taken over: that \
                one is not put back.",
        example: Host("`[[check]] tcp = \"192.0.2.1:22\"`, and the new filter drops the answers"),
        way_out: "Look at what the check says and mend the filter. With exit code 3, going back is tried \
                  again every few seconds, or by `bpfapply rollback`; `bpfapply commit` keeps the new generation.",
    },
    Explanation {
        code: "host::hook_taken",
        exits: FAILED,
        means: "The hook has room for one program, and has one that is not this deployment's. It is left alone.",
        example: Command("ip link set dev eth0 xdp obj other.o sec xdp && bpfapply plan.toml"),
        way_out: "What can be replaced at once is planned as a takeover, which waits for `--allow takeover`; this \
                  one cannot be. Detach it with the tool that attached it, or do what the help says. Where a link of \
                  the same deployment has the hook, keep that link's name for it.",
    },
    Explanation {
        code: "host::kept_in_part",
        exits: &[Exit::Broken],
        means: "Nobody confirmed an apply in time, or its run ended too early, and going back to what ran before failed \
                half-way. `bpfapply commit` then kept the new generation, of which something is not as it was made any \
                more.",
        example: Host("the kernel has no memory while an apply that nobody confirmed is taken back"),
        way_out: "Apply the manifest again: it puts right what is ours. `bpfapply status` says what is different.",
    },
    Explanation {
        code: "host::locked",
        exits: RETRY,
        means: "Another run of bpfapply on the same bpffs has the lock. It frees it when it ends, however it ends.",
        example: Command("bpfapply a.toml & bpfapply b.toml --lock-timeout 0"),
        way_out: "Run it again when that one has ended, or wait longer with `--lock-timeout SECONDS`. Nothing has to \
                  be removed by hand: a process that died holds no lock.",
    },
    Explanation {
        code: "host::many_maps",
        exits: FAILED,
        means: "Several deployments have a map of this name, and the command names none of them.",
        example: Command("bpfapply show map.blocklist"),
        way_out: "Name the deployment: `bpfapply show edge map.blocklist`.",
    },
    Explanation {
        code: "host::no_account",
        exits: FAILED,
        means: "The manifest gives pins to a user or a group that this host does not have.",
        example: Tables(
            "[map.flows]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\nowner = \"no-such-user\"",
        ),
        way_out: "Make the account first, or write its number.",
    },
    Explanation {
        code: "host::no_cgroup",
        exits: FAILED,
        means: "There is no such cgroup below the cgroup2 mount. bpfapply makes none: whoever runs the service does.",
        example: Tables(
            "[object.hooks]\npath = \"sections.o\"\n\n[program.count]\nfrom = \"hooks:skb_in\"\n\n\
             [link.services]\nprogram = \"count\"\ncgroup = { path = \"no-such.slice\" }",
        ),
        way_out: "`systemd-cgls` shows those that are there. Start the service before, or attach to a cgroup above it.",
    },
    Explanation {
        code: "host::no_deployment",
        exits: FAILED,
        means: "Nothing on this host was made under this name.",
        example: Command("bpfapply show egde"),
        way_out: "`bpfapply status` lists the deployments. One can be named as in its manifest, by the manifest's \
                  path, or by the folder of its pins.",
    },
    Explanation {
        code: "host::no_event",
        exits: &[Exit::Failed, Exit::Unavailable],
        means: "The tracepoint, function, file or counter that a program is for is not there. Exit code 69 where the \
                kernel or the machine lacks it, 1 where a file or a process does.",
        example: Host("`tracepoint = { name = \"sched/no_such_event\" }`"),
        way_out: "Tracepoints are folders below `/sys/kernel/tracing/events`, functions are in \
                  `/sys/kernel/tracing/available_filter_functions`. They differ between kernels.",
    },
    Explanation {
        code: "host::no_interface",
        exits: FAILED,
        means: "The network namespace has no interface of this name, nor one with it as another name.",
        example: Tables(
            "[object.pass]\npath = \"pass.o\"\n\n[program.pass]\nfrom = \"pass:pass\"\n\n\
             [link.uplink]\nprogram = \"pass\"\nxdp = { interface = \"eth7\" }",
        ),
        way_out: "`ip link` lists them. Where an interface may be missing, say `optional = true` in the link's \
                  table; where its name differs by host, use a variable.",
    },
    Explanation {
        code: "host::no_map",
        exits: FAILED,
        means: "No deployment that was asked for has a map of this name.",
        example: Command("bpfapply show edge map.blokclist"),
        way_out: "`bpfapply show NAME` lists the maps of a deployment.",
    },
    Explanation {
        code: "host::no_match",
        exits: FAILED,
        means: "A pattern of interfaces matches none on this host. A filter that is nowhere protects nothing, so \
                that is a failure unless the manifest says otherwise.",
        example: Tables(
            "[object.pass]\npath = \"pass.o\"\n\n[program.pass]\nfrom = \"pass:pass\"\n\n\
             [link.uplinks]\nprogram = \"pass\"\nxdp = { interface = \"wan*\" }",
        ),
        way_out: "Mend the pattern, or say `optional = true` in the link's table.",
    },
    Explanation {
        code: "host::no_neighbour",
        exits: FAILED,
        means: "`order` wants a place beside a program that is not on the hook, or more than one program there is \
                meant.",
        example: Host("`order = { before = \"cilium_from_netdev\" }` on an interface without that program"),
        way_out: "The message lists what is on the hook. Name one of them by its id or its pin.",
    },
    Explanation {
        code: "host::no_netns",
        exits: FAILED,
        means: "There is no such network namespace on this host.",
        example: Tables(
            "[object.pass]\npath = \"pass.o\"\n\n[program.pass]\nfrom = \"pass:pass\"\n\n\
             [link.uplink]\nprogram = \"pass\"\nxdp = { interface = \"eth0\", netns = \"no-such-netns\" }",
        ),
        way_out: "`ip netns` lists those with a name. A path, or the id of a process in it, names others.",
    },
    Explanation {
        code: "host::no_such_map_id",
        exits: FAILED,
        means: "The manifest reuses a map by its id, and no map has that id now. Ids are given anew with each start \
                of the owner and of the host.",
        example: Tables("[map.flows]\nid = 4000000000"),
        way_out: "Let its owner pin the map, and name the pin: `pinned = \"/sys/fs/bpf/...\"`.",
    },
    Explanation {
        code: "host::no_such_pin",
        exits: FAILED,
        means: "The manifest reuses a map that somebody else owns, and nothing is pinned there.",
        example: Tables("[map.flows]\npinned = \"/sys/fs/bpf/flows-of-others\""),
        way_out: "Start its owner first. To make the map here, define it with `from` and a `pin`.",
    },
    Explanation {
        code: "host::no_way_back",
        exits: FAILED,
        means: "The generation before this one is not there, or not whole, so that `rollback` has nothing to return \
                to. It is kept one deep, by each apply that changes something.",
        example: Command("bpfapply rollback edge && bpfapply rollback edge"),
        way_out: "Apply the manifest of the version that is wanted.",
    },
    Explanation {
        code: "host::not_a_map",
        exits: FAILED,
        means: "The manifest reuses a map, and what is pinned there is a program or a link.",
        example: Host("`[map.flows] pinned = \"/sys/fs/bpf/filter\"`, where a program is pinned"),
        way_out: "`bpftool map show pinned PATH` shows a map. Name the right pin.",
    },
    Explanation {
        code: "host::not_bpffs",
        exits: DATA,
        means: "A pin lies outside of the bpffs. Only a bpffs can hold pins.",
        example: Tables(
            "[map.flows]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\npin = \"/run/flows\"",
        ),
        way_out: "Leave `pin` out, or give a path relative to `pin_root` or below the bpffs.",
    },
    Explanation {
        code: "host::not_confirmed",
        exits: RETRY,
        means: "An apply with `--confirm` was not confirmed in time, and the process that should have taken it back \
                was gone, so this run did.",
        example: Host(
            "`bpfapply plan.toml --confirm 60`, the host restarts its services, and nobody says `bpfapply commit`",
        ),
        way_out: "Run it again.",
    },
    Explanation {
        code: "host::not_mounted",
        exits: FAILED,
        means: "There is no bpffs where the pins are to be, and the run may not mount one.",
        example: Command("umount /sys/fs/bpf; bpfapply plan.toml --no-mount"),
        way_out: "`mount -t bpf bpf /sys/fs/bpf`, or run it without `--no-mount`.",
    },
    Explanation {
        code: "host::not_primary",
        exits: FAILED,
        means: "A netkit link names an interface that is not the primary end of a netkit pair.",
        example: Host("`netkit = { interface = \"eth0\" }`"),
        way_out: "Name the primary end, with `peer = true` for a program that runs at the other. For other \
                  interfaces use `xdp` or `tc`.",
    },
    Explanation {
        code: "host::nothing_to_confirm",
        exits: FAILED,
        means: "No apply of this deployment waits to be confirmed: it was confirmed before, or taken back when its \
                time was over.",
        example: Command("bpfapply commit edge"),
        way_out: "`bpfapply status edge` shows which generation runs, and what was taken back.",
    },
    Explanation {
        code: "host::pin_taken",
        exits: FAILED,
        means: "Something that is not this deployment's is at a path where a pin is to be. It is left alone.",
        example: Command("bpftool map create /sys/fs/bpf/edge/maps/flows type array key 4 value 4 entries 1 name f"),
        way_out: "Give ours another `pin`, or remove what is there if nobody needs it. A map that is to be taken \
                  over needs `adopt = true` in its table.",
    },
    Explanation {
        code: "host::record",
        exits: FAILED,
        means: "The record that is kept beside the pins cannot be read, or another version of bpfapply wrote it.",
        example: Host("the deployment was made by a newer bpfapply, and the package was downgraded"),
        way_out: "Use the version that wrote it or a newer one. Where it is broken, `bpfapply adopt MANIFEST` makes \
                  a new one from the pins; programs and maps run on meanwhile.",
    },
    Explanation {
        code: "host::record_lost",
        exits: FAILED,
        means: "The pins of a deployment are there and its record is gone, so that nobody can say what is ours.",
        example: Command("rm /sys/fs/bpf/edge/record && bpfapply status edge"),
        way_out: "`bpfapply adopt MANIFEST` makes a new record from the pins; nothing else changes.",
    },
    Explanation {
        code: "host::root_gone",
        exits: FAILED,
        means: "Somebody removed the symbolic link to a deployment's generation, or a destroy was interrupted. Links and maps \
                of the generation are there: to make them anew would leave a gap, and lose what the maps hold.",
        example: Command("rm /sys/fs/bpf/edge && bpfapply plan.toml"),
        way_out: "Make the link again, as the message says it, or `bpfapply destroy` the deployment.",
    },
    Explanation {
        code: "host::route_taken",
        exits: FAILED,
        means: "A link of kind `lwt` is a route, and a route that is not ours has its destination, table and metric.",
        example: Command("ip route add 10.9.0.0/24 dev eth0 && bpfapply plan.toml"),
        way_out: "Take another `metric` or `table`, or remove that route.",
    },
    Explanation {
        code: "host::symlink_in_the_way",
        exits: FAILED,
        means: "A symbolic link is where a folder of pins has to be. Whoever made it could lead pins elsewhere, so \
                nothing is changed through it.",
        example: Command("ln -s /sys/fs/bpf/other /sys/fs/bpf/shared && bpfapply plan.toml"),
        way_out: "`ls -l` says where it leads and whose it is. Remove it, or name the folder itself.",
    },
    Explanation {
        code: "host::unconfirmed",
        exits: RETRY,
        means: "The last apply was made with `--confirm` and still waits for its confirmation, or to be taken back. \
                Nothing else is done before, so a dry run shows a plan that cannot be applied yet.",
        example: Command("bpfapply plan.toml --confirm 60 && bpfapply plan.toml"),
        way_out: "`bpfapply commit NAME` keeps it, `bpfapply rollback NAME` takes it back; or wait until its time is \
                  over.",
    },
    Explanation {
        code: "host::unlistable",
        exits: FAILED,
        means: "The kernel does not list what is in maps of this type.",
        example: Host("`bpfapply show edge map.events`, which is a ring buffer"),
        way_out: "The programs or applications that use the map have to tell.",
    },
    Explanation {
        code: "host::unverified",
        exits: &[Exit::Broken],
        means: "Every step was done, and reading back shows something else than the plan wanted. Something else on \
                this host changes the same things at the same time.",
        example: Host("a daemon attaches its own program again whenever it sees another"),
        way_out: "Run it again with `--dry-run` to see what differs, and find the other tool.",
    },
    Explanation {
        code: "host::was_rejected",
        exits: &[Exit::Consent],
        means: "The last apply was taken back because its health checks failed, its run ended before they passed, or \
                nobody confirmed it. What runs is the generation before that one already, and a rollback would bring \
                the one that was taken back again.",
        example: Host(
            "`bpfapply plan.toml --confirm 60s` cuts the operator off, and afterwards `bpfapply rollback edge`",
        ),
        way_out: "Nothing needs to be done to be back. `bpfapply rollback NAME --again` returns to it all the same.",
    },
    Explanation {
        code: "host::watchdog",
        exits: FAILED,
        means: "With `--confirm` and with health checks, a process goes back when nobody confirms or the run ends \
                before the checks passed, and it could not be started. Without it the apply is not made.",
        example: Host("the limit of processes is reached (`ulimit -u`)"),
        way_out: "See why no process can be started. Where an apply was done all the same, the next run takes it back.",
    },
    Explanation {
        code: "kernel::btf_refused",
        exits: &[Exit::Failed, Exit::Permission],
        means: "The kernel does not take the types (BTF) of an object, and a program of it needs them. What the \
                running kernel is known not to understand was taken out before.",
        example: Host("an object made by a newer compiler, with a kind of type that came after this kernel"),
        way_out: "With `-v` the kernel's whole log is shown. Compile for this kernel, or without `-g` where no \
                  program needs types.",
    },
    Explanation {
        code: "kernel::no_order",
        exits: LACKS,
        means: "The kernel has no places among the programs of this hook, so that `order` cannot be kept.",
        example: Host("`cgroup = { path = \"a\", order = \"first\" }` before Linux 6.17"),
        way_out: "Leave `order` out: a link is then behind those that are there. tcx has places since Linux 6.6, \
                  cgroups since 6.17.",
    },
    Explanation {
        code: "kernel::no_program_type",
        exits: LACKS,
        means: "The running kernel has no programs of this type: it is older, or was built without.",
        example: Host("a netfilter program on Linux 6.1"),
        way_out: "The help of the message says which version brought it.",
    },
    Explanation {
        code: "kernel::no_such_link",
        exits: LACKS,
        means: "The running kernel attaches no program in this way.",
        example: Host("`netkit = { ... }` on Linux 6.1"),
        way_out: "The help of the message says which version brought it. For xdp, tc and cgroup there are older \
                  ways: `via`.",
    },
    Explanation {
        code: "kernel::program_refused",
        exits: &[Exit::Failed, Exit::Permission],
        means: "The kernel refused a program, in most cases its verifier. The message has the line with which the \
                verifier ends, the lines of the source that lead there, and the state of the registers that it is \
                about.",
        example: Host("a program that reads a packet without comparing with its end: see `verifier::packet_bounds`"),
        way_out: "Do what the message says of this refusal; the kinds of refusals that are known are `verifier::...` \
                  here. With `-v` the whole log is shown.",
    },
    Explanation {
        code: "kernel::refused",
        exits: &[Exit::Failed, Exit::Permission],
        means: "The kernel refused a command for a reason that has no kind of its own. The message says what was to \
                be done, and the kernel's error.",
        example: Command("setpriv --reuid nobody bpfapply plan.toml"),
        way_out: "With \"operation not permitted\": run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.",
    },
    Explanation {
        code: "link::event_open",
        exits: DATA,
        means: "Neither the link nor the section name of the program says which event it is for.",
        example: Tables(
            "[object.probes]\npath = \"extension.o\"\n\n[program.count]\nfrom = \"probes:probe\"\n\n\
             [link.calls]\nprogram = \"count\"\nkprobe = {}",
        ),
        way_out: "Say it in the table of the hook; the help has an example.",
    },
    Explanation {
        code: "link::no_attach_type",
        exits: DATA,
        means: "Programs of this type are for one of several hooks, and the section name does not say for which.",
        example: Tables(
            "[object.hooks]\npath = \"sections.o\"\n\n[program.any]\nfrom = \"hooks:skb_any\"\n\n\
             [link.any]\nprogram = \"any\"\ncgroup = { path = \"/\" }",
        ),
        way_out: "Say `attach_type` in the program's table.",
    },
    Explanation {
        code: "link::without_links",
        exits: DATA,
        means: "Programs of this type are not attached by an administrator: an application finds the pin and uses it.",
        example: Tables(
            "[object.hooks]\npath = \"sections.o\"\n\n[program.cut]\nfrom = \"hooks:socket_plain\"\n\n\
             [link.cut]\nprogram = \"cut\"\nxdp = { interface = \"eth0\" }",
        ),
        way_out: "Take the link away; the program is pinned all the same.",
    },
    Explanation {
        code: "link::wrong_event",
        exits: DATA,
        means: "The link is of another kind of event than the program was made for.",
        example: Tables(
            "[object.hooks]\npath = \"pass.o\"\n\n[program.pass]\nfrom = \"hooks:pass\"\n\n\
             [link.probe]\nprogram = \"pass\"\nkprobe = { function = \"tcp_connect\" }",
        ),
        way_out: "Attach it by the table that the help names.",
    },
    Explanation {
        code: "link::wrong_map_type",
        exits: DATA,
        means: "The link attaches to a map of a type that has no such hooks.",
        example: Tables(
            "[object.hooks]\npath = \"sections.o\"\n\n[program.message]\nfrom = \"hooks:on_message\"\n\n\
             [map.socks]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n\n\
             [link.message]\nprogram = \"message\"\nsockmap = { map = \"socks\" }",
        ),
        way_out: "Programs for sockets attach to a `sockmap` or a `sockhash`, `struct_ops` to the map of a struct.",
    },
    Explanation {
        code: "link::wrong_program_type",
        exits: DATA,
        means: "The hook takes programs of another type.",
        example: Tables(
            "[object.pass]\npath = \"pass.o\"\n\n[program.pass]\nfrom = \"pass:pass\"\n\n\
             [link.uplink]\nprogram = \"pass\"\ntc = { interface = \"eth0\", direction = \"ingress\" }",
        ),
        way_out: "Attach it to a hook of its type, or change its section. `docs/hooks.md` has the sections of each \
                  hook.",
    },
    Explanation {
        code: "manifest::bad_digest",
        exits: DATA,
        means: "`sha256` is not the text of a SHA-256 digest.",
        example: Tables("[object.filter]\npath = \"filter.bpf.o\"\nsha256 = \"12ab\""),
        way_out: "Write the 64 hexadecimal digits that `sha256sum FILE` prints.",
    },
    Explanation {
        code: "manifest::bad_interface",
        exits: DATA,
        means: "A text cannot be the name of an interface: the kernel allows 1 to 15 bytes without `/`, `:` and \
                spaces.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[program.drop]\nfrom = \"filter:drop\"\n\n\
             [link.uplink]\nprogram = \"drop\"\nxdp = { interface = \"a/b\" }",
        ),
        way_out: "Write a name as `ip link` shows it, or a pattern of such names.",
    },
    Explanation {
        code: "manifest::bad_name",
        exits: DATA,
        means: "A name of a table has letters that names do not have, or is too long or empty. Names become paths in \
                bpffs, where a dot is not allowed.",
        example: Tables("[object.\"my filter\"]\npath = \"filter.bpf.o\""),
        way_out: "Use letters, digits, `_` and `-`. What an object calls its symbols stays as it is: `from = \
                  \"OBJECT:SYMBOL\"`.",
    },
    Explanation {
        code: "manifest::bad_order",
        exits: DATA,
        means: "A place in `order` contradicts another, or the link that it names is on another hook.",
        example: Host(
            "`order = { before = \"link.b\" }` in `[link.a]` and `order = { before = \"link.a\" }` in `[link.b]`",
        ),
        way_out: "Say the place of one of the two. Only links of one hook have an order.",
    },
    Explanation {
        code: "manifest::bad_path",
        exits: DATA,
        means: "A path cannot be one there: it is empty, leads out of the folder of the pins, or has names that a \
                bpffs refuses.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.flows]\nfrom = \"filter:flows\"\n\
             pin = \"../flows\"",
        ),
        way_out: "Give a path below `pin_root`, or an absolute one below the bpffs; no name in it has a dot.",
    },
    Explanation {
        code: "manifest::bad_reference",
        exits: DATA,
        means: "A text that names a symbol or a table is not written as that is.",
        example: Tables("[object.filter]\npath = \"filter.bpf.o\"\n\n[program.drop]\nfrom = \"filter\""),
        way_out: "Write `OBJECT:SYMBOL`, as `from = \"filter:drop\"`.",
    },
    Explanation {
        code: "manifest::bad_text",
        exits: DATA,
        means: "A text is not what its key wants: a time, an address, a subnet, a format, a neighbour.",
        example: Tables("[[check]]\ntcp = \"192.0.2.1\""),
        way_out: "The message says what is missing; the schema in `schemas/` lists the keys with their forms.",
    },
    Explanation {
        code: "manifest::defined_twice",
        exits: DATA,
        means: "Two maps of the manifest are defined by the same symbol of the same object, which is one map.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.one]\nfrom = \"filter:flows\"\n\n[map.two]\n\
             from = \"filter:flows\"",
        ),
        way_out: "Keep one of them. For two maps of one definition load the file as two objects.",
    },
    Explanation {
        code: "manifest::foreign_pin_is_ours",
        exits: DATA,
        means: "A map is said to be somebody else's (`pinned`), and its path is where this deployment pins a map of \
                its own.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.flows]\nfrom = \"filter:flows\"\n\n[map.theirs]\n\
             pinned = \"/sys/fs/bpf/edge/maps/flows\"",
        ),
        way_out: "Use the map by its own name; an edge in `[object]` shares it with more objects.",
    },
    Explanation {
        code: "manifest::hook_twice",
        exits: DATA,
        means: "Two links want a hook that has room for one program.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[program.a]\nfrom = \"filter:a\"\n\n[link.one]\n\
             program = \"a\"\nflow_dissector = {}\n\n[link.two]\nprogram = \"a\"\nflow_dissector = {}",
        ),
        way_out: "Keep one of them.",
    },
    Explanation {
        code: "manifest::missing_key",
        exits: DATA,
        means: "A table lacks a key that it must have.",
        example: Tables(
            "[object.filter]\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        ),
        way_out: "Add it; the help has an example.",
    },
    Explanation {
        code: "manifest::nested_inner",
        exits: DATA,
        means: "What a map of maps holds is a map of maps itself. The kernel nests maps one level deep.",
        example: Tables(
            "[map.outer]\ntype = \"array_of_maps\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 4\n\
             inner = \"outer\"",
        ),
        way_out: "Name a map of another type as `inner`.",
    },
    Explanation {
        code: "manifest::no_hook",
        exits: DATA,
        means: "A link does not say where to attach.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[program.drop]\nfrom = \"filter:drop\"\n\n\
             [link.uplink]\nprogram = \"drop\"",
        ),
        way_out: "Add one hook: `xdp`, `tc`, `cgroup` and the others of `docs/hooks.md`.",
    },
    Explanation {
        code: "manifest::no_source",
        exits: DATA,
        means: "A map does not say where it comes from.",
        example: Tables("[map.flows]\nmax_entries = 8"),
        way_out: "`from` takes a definition of an object, `pinned` or `id` a map of somebody else; `type` and the \
                  sizes define one here.",
    },
    Explanation {
        code: "manifest::not_together",
        exits: DATA,
        means: "Two keys of a table exclude each other.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.flows]\nfrom = \"filter:flows\"\n\
             pinned = \"/sys/fs/bpf/flows\"",
        ),
        way_out: "Keep one of them; the help says what each would mean.",
    },
    Explanation {
        code: "manifest::not_yet",
        exits: DATA,
        means: "The language has the key or value, and this version of bpfapply does not do it yet. It is no error \
                to be ignored: what it asks for would not be there.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[program.drop]\nfrom = \"filter:drop\"\n\n\
             [link.probe]\nprogram = \"drop\"\nuprobe_multi = {}",
        ),
        way_out: "Take it out, or use a version that has it.",
    },
    Explanation {
        code: "manifest::out_of_range",
        exits: DATA,
        means: "A number is too small or too large for its key.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.flows]\nfrom = \"filter:flows\"\n\
             max_entries = 4294967296",
        ),
        way_out: "The help has the range.",
    },
    Explanation {
        code: "manifest::pin_is_folder",
        exits: DATA,
        means: "A pin lies where the folder of another pin has to be.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.a]\nfrom = \"filter:a\"\npin = \"maps/x\"\n\n\
             [map.b]\nfrom = \"filter:b\"\npin = \"maps/x/y\"",
        ),
        way_out: "Give one of them another path.",
    },
    Explanation {
        code: "manifest::pin_taken_twice",
        exits: DATA,
        means: "Two things want the same pin.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.a]\nfrom = \"filter:a\"\npin = \"maps/x\"\n\n\
             [map.b]\nfrom = \"filter:b\"\npin = \"maps/x\"",
        ),
        way_out: "Give one of them another `pin`, or share one map by an edge.",
    },
    Explanation {
        code: "manifest::symbol_twice",
        exits: DATA,
        means: "A symbol of an object is given to a map in two places.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\nmaps = { flows = \"a\" }\n\n[map.a]\n\
             from = \"filter:flows\"\n\n[map.b]\nfrom = \"filter:other\"",
        ),
        way_out: "Keep one of them: `from` is an edge as well. For two maps of one symbol load the file as two \
                  objects.",
    },
    Explanation {
        code: "manifest::syntax",
        exits: DATA,
        means: "The file is not TOML.",
        example: Manifest("version = 1\nname = edge\n"),
        way_out: "Texts stand in quotes, a table has one header, a key stands once in it. Where the file is a \
                  template, look at what the template engine made.",
    },
    Explanation {
        code: "manifest::unclosed_variable",
        exits: DATA,
        means: "A text has `${` without `}`.",
        example: Tables("[object.filter]\npath = \"${dir/filter.bpf.o\""),
        way_out: "Write `${NAME}` for a variable, `$${` for a plain `${`.",
    },
    Explanation {
        code: "manifest::unknown_key",
        exits: DATA,
        means: "The language has no such key in this table. None is ignored: a misspelt key would leave out what it \
                asks for.",
        example: Tables("[object.filter]\npaht = \"filter.bpf.o\"\npath = \"filter.bpf.o\""),
        way_out: "Spell it as the schema has it; an editor that knows `schemas/manifest.schema.json` completes keys.",
    },
    Explanation {
        code: "manifest::unknown_name",
        exits: DATA,
        means: "A table names an object, map, program or link that the manifest does not have.",
        example: Tables("[program.drop]\nfrom = \"filtr:drop\"\n\n[object.filter]\npath = \"filter.bpf.o\""),
        way_out: "Spell it as its table does, or add that table.",
    },
    Explanation {
        code: "manifest::unknown_override",
        exits: USAGE,
        means: "`--var` or `--var-file` sets a variable that the manifest does not declare, so that setting it would \
                do nothing.",
        example: Command("bpfapply plan.toml --var uplnk=ens3"),
        way_out: "Spell it as `[var]` does, or declare it there with its default.",
    },
    Explanation {
        code: "manifest::unknown_value",
        exits: DATA,
        means: "A key takes one of a list of words, and this is none of them.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[map.flows]\nfrom = \"filter:flows\"\n\
             on_change = \"sometimes\"",
        ),
        way_out: "The help has the list.",
    },
    Explanation {
        code: "manifest::unknown_variable",
        exits: DATA,
        means: "A text uses a variable that `[var]` does not declare.",
        example: Tables("[object.filter]\npath = \"${dir}/filter.bpf.o\""),
        way_out: "Declare it in `[var]` with its default.",
    },
    Explanation {
        code: "manifest::unknown_version",
        exits: DATA,
        means: "The manifest is written in another version of the language than this program knows.",
        example: Manifest("version = 2\nname = \"edge\"\n"),
        way_out: "Use a newer bpfapply, or write `version = 1` if the file is written in that.",
    },
    Explanation {
        code: "manifest::variable_outside_text",
        exits: DATA,
        means: "A text with a variable stands where a number or a truth value has to be. Variables fill texts only.",
        example: Tables(
            "[var]\nsize = 8\n\n[object.filter]\npath = \"filter.bpf.o\"\n\n[map.flows]\n\
             from = \"filter:flows\"\nmax_entries = \"${size}\"",
        ),
        way_out: "Write the value itself.",
    },
    Explanation {
        code: "manifest::wrong_type",
        exits: DATA,
        means: "A value has another type than its key wants.",
        example: Tables("[object.filter]\npath = 7"),
        way_out: "The message says which type it has to be.",
    },
    Explanation {
        code: "manifest::xdp_twice",
        exits: DATA,
        means: "Two links want XDP on one interface, which runs one XDP program.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[program.a]\nfrom = \"filter:a\"\n\n[link.one]\n\
             program = \"a\"\nxdp = { interface = \"eth0\" }\n\n[link.two]\nprogram = \"a\"\n\
             xdp = { interface = \"eth0\" }",
        ),
        way_out: "Keep one of the links, or let one program call the other by a tail call.",
    },
    Explanation {
        code: "map::arena_too_small",
        exits: DATA,
        means: "An arena has fewer pages than the variables in it need.",
        example: Tables("[object.far]\npath = \"arena_small.o\"\n\n[program.far]\nfrom = \"far:far\""),
        way_out: "Give it more pages: `max_entries` in its table.",
    },
    Explanation {
        code: "map::foreign_template",
        exits: DATA,
        means: "A map of maps wants a map that somebody else owns as the template of those inside. What that one is \
                may change.",
        example: Tables(
            "[map.theirs]\npinned = \"/sys/fs/bpf/theirs\"\n\n[map.outer]\ntype = \"array_of_maps\"\n\
             key_size = 4\nvalue_size = 4\nmax_entries = 4\ninner = \"theirs\"",
        ),
        way_out: "Declare a map of the same shape, and name that one.",
    },
    Explanation {
        code: "map::no_size",
        exits: DATA,
        means: "An object leaves the size of a map open: its author meant an application to set it.",
        example: Tables("[object.count]\npath = \"unsized.o\"\n\n[program.count]\nfrom = \"count:count\""),
        way_out: "Say it: `[map.flows]` with `from = \"count:flows\"` and `max_entries`.",
    },
    Explanation {
        code: "map::no_template",
        exits: DATA,
        means: "A map of maps does not say what the maps inside look like.",
        example: Tables("[object.look]\npath = \"no_template.o\"\n\n[program.look]\nfrom = \"look:look\""),
        way_out: "Say which map is the template: `inner = \"NAME\"`.",
    },
    Explanation {
        code: "map::registers_at_once",
        exits: DATA,
        means: "A struct of functions in the section `.struct_ops` is registered by the kernel as soon as it is \
                filled. No link could take that back, so a failed apply could not leave the host as it was.",
        example: Tables("[object.ops]\npath = \"struct_ops_at_once.o\"\n\n[map.ops]\nfrom = \"ops:at_once\""),
        way_out: "Put it into `.struct_ops.link`, or say `flags = [\"link\"]` in the map's table (Linux 6.4).",
    },
    Explanation {
        code: "map::value_size_said",
        exits: DATA,
        means: "The manifest gives a map a size of values, and its object says one already. What the programs do \
                with the values fits that size only.",
        example: Tables(
            "[object.device]\npath = \"stats_a.o\"\n\n[map.stats]\nfrom = \"device:stats\"\nvalue_size = 8",
        ),
        way_out: "Leave `value_size` out.",
    },
    Explanation {
        code: "object::bad_value",
        exits: DATA,
        means: "A value in `set` is not one that the variable can hold.",
        example: Tables(
            "[object.data]\npath = \"data.o\"\nset = { rw_step = \"text\" }\n\n[program.touch]\n\
             from = \"data:touch\"",
        ),
        way_out: "`bpfapply inspect OBJECT` shows the types of the variables.",
    },
    Explanation {
        code: "object::invalid",
        exits: &[Exit::Data, Exit::Unavailable],
        means: "An object file is broken, needs what the running kernel lacks (exit code 69), or uses what bpfapply \
                does not know. The message has the section, the symbol and the offset.",
        example: Tables("[object.lost]\npath = \"undefined.o\"\n\n[program.lost]\nfrom = \"lost:lost\""),
        way_out: "Compile and link it again: a function that is called has to be in an object of its own link step, \
                  or be one of the kernel. With exit code 69, run a kernel that has it.",
    },
    Explanation {
        code: "object::kernel_variable",
        exits: DATA,
        means: "`set` names an extern variable, to which the kernel gives its value: its version, or an option of \
                its configuration.",
        example: Tables(
            "[object.kconfig]\npath = \"kconfig.o\"\nset = { LINUX_KERNEL_VERSION = 1 }\n\n[program.settings]\n\
             from = \"kconfig:settings\"",
        ),
        way_out: "Take it out of `set`.",
    },
    Explanation {
        code: "object::license_said",
        exits: DATA,
        means: "The manifest says a license of an object that says another one itself.",
        example: Tables("[object.pass]\npath = \"pass.o\"\nlicense = \"GPL\"\n\n[program.pass]\nfrom = \"pass:pass\""),
        way_out: "Leave `license` out: what the author says holds.",
    },
    Explanation {
        code: "object::many_variables",
        exits: DATA,
        means: "`set` names a variable that an object has several of: static ones of files that were linked into one.",
        example: Host("`bpftool gen object all.o a.o b.o`, where both files have `static volatile int limit`"),
        way_out: "Give one of them another name, or make them one by declaring it `extern`.",
    },
    Explanation {
        code: "object::no_such_map",
        exits: DATA,
        means: "The object has no map of this name.",
        example: Tables("[object.device]\npath = \"stats_a.o\"\n\n[map.stats]\nfrom = \"device:stat\""),
        way_out: "The help lists its maps, as `bpfapply inspect OBJECT` does. One without a name is `#0`, `#1` ...",
    },
    Explanation {
        code: "object::no_such_program",
        exits: DATA,
        means: "The object has no program of this name. Programs are functions that are not `static`, in a section \
                of their own.",
        example: Tables("[object.pass]\npath = \"pass.o\"\n\n[program.pass]\nfrom = \"pass:drop\""),
        way_out: "The help lists its functions.",
    },
    Explanation {
        code: "object::no_such_variable",
        exits: DATA,
        means: "`set` names a global variable that the object does not have. One that the programs do not use may be \
                left out by the compiler.",
        example: Tables(
            "[object.data]\npath = \"data.o\"\nset = { no_such_variable = 1 }\n\n[program.touch]\n\
             from = \"data:touch\"",
        ),
        way_out: "`bpfapply inspect OBJECT` lists its variables. Declare it `const volatile` so that it stays.",
    },
    Explanation {
        code: "object::other_bytes",
        exits: DATA,
        means: "The file is not the one whose digest the manifest has. It may be another build, or somebody changed \
                it.",
        example: Tables(
            "[object.pass]\npath = \"pass.o\"\n\
             sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"",
        ),
        way_out: "If it is the right file, write its digest, which the message has. If not, find out where it comes \
                  from.",
    },
    Explanation {
        code: "object::unreadable",
        exits: DATA,
        means: "A file that the manifest names, or the manifest itself, cannot be read. Paths in a manifest are \
                relative to it.",
        example: Tables("[object.filter]\npath = \"no-such-file.o\""),
        way_out: "Look whether it is there, and whether this user may read it.",
    },
    Explanation {
        code: "plan::consent",
        exits: &[Exit::Consent],
        means: "The plan would let packets pass unfiltered for a moment, lose contents of maps, remove things, or \
                take over a hook, and nobody said that this is meant. Nothing was done.",
        example: Command("bpfapply plan.toml    # a program was taken out of it"),
        way_out: "Look at the plan. If it is meant, run it again with the `--allow` that the message has, or say \
                  `allow = [...]` in the manifest.",
    },
    Explanation {
        code: "plan::cycle",
        exits: DATA,
        means: "Things of the plan wait for each other, so that none can be first. The message shows the whole circle.",
        example: Host(
            "two programs with `order` and slots of a prog array, each of which has to be there before the other",
        ),
        way_out: "Break the circle at one of the lines that are shown.",
    },
    Explanation {
        code: "plan::entries_of_others",
        exits: FAILED,
        means: "The manifest gives entries to a map that was there before the deployment. Writing to it would change \
                what somebody else relies on.",
        example: Host(
            "`[map.flows] from = \"filter:flows\"`, `pin = \"/sys/fs/bpf/flows\"`, `entries = { 1 = 1 }`, where another tool made that pin",
        ),
        way_out: "`adopt = true` takes it over. Or give the map another pin, or take `entries` out.",
    },
    Explanation {
        code: "plan::map_changed",
        exits: FAILED,
        means: "The map at the pin does not fit its definition any more: the message names the field. Its contents \
                are not thrown away for that.",
        example: Host("`max_entries = 1024` becomes 2048 in the manifest, and the map is there with its entries"),
        way_out: "Keep the definition, or say what may be done in the map's table: `on_change = \"migrate\"` copies \
                  its entries, `\"recreate\"` loses them, with `--allow lose-state`.",
    },
    Explanation {
        code: "plan::no_room",
        exits: FAILED,
        means: "Programs or others have put so many entries into the map that those of the manifest have no room \
                beside them.",
        example: Host(
            "a map of 8 entries, 6 of them from programs, and 3 in the manifest with `entries_mode = \"merge\"`",
        ),
        way_out: "Take some out, or raise `max_entries`, which makes another map of it.",
    },
    Explanation {
        code: "plan::not_migratable",
        exits: FAILED,
        means: "`on_change = \"migrate\"` cannot copy the entries: a field is gone or has become another type, or \
                such maps cannot be read.",
        example: Host("`__u64 count` becomes `struct { ... } count` in the value of the map"),
        way_out: "Give the new map another pin, or let its entries go: `on_change = \"recreate\"`, with `--allow \
                  lose-state`.",
    },
    Explanation {
        code: "plan::not_saved",
        exits: DATA,
        means: "A file is no plan that `--out` has saved, or another version saved it.",
        example: Command("bpfapply --plan notes.txt"),
        way_out: "`bpfapply plan.toml --dry-run --out FILE` saves a plan.",
    },
    Explanation {
        code: "plan::other",
        exits: RETRY,
        means: "The plan is not the one that was asked for by its id: the host or what is wanted changed since the \
                review. Nothing was done.",
        example: Command("bpfapply plan.toml --expect 3f1c...    # and the host changed since"),
        way_out: "Look at the plan that is shown, and ask for it if it is meant.",
    },
    Explanation {
        code: "plan::protected",
        exits: FAILED,
        means: "The plan would remove or replace something that has `protect = true`. The guard is kept on the host, \
                so that taking the table out of the manifest does not take it away.",
        example: Command("bpfapply destroy edge    # map.flows has `protect = true`"),
        way_out: "To let it go, apply once with `protect = false` in its table, and no other change to it.",
    },
    Explanation {
        code: "plan::unreported",
        exits: &[Exit::Unwritten],
        means: "The host was changed as planned, but what was to be told of that could not be written: to a file of \
                `--output-file`, or to standard output. A file that was there has what it had before, so whoever \
                reads it must not take that for this run's.",
        example: Host("the disk that `--output-file json=PATH` names is full when the plan is applied"),
        way_out: "Nothing has to be undone. `bpfapply status` says how the host is now; the same apply again writes a \
                  report as well, in which it matches.",
    },
    Explanation {
        code: "plan::unwritable",
        exits: FAILED,
        means: "A file that was to be written cannot be.",
        example: Command("bpfapply plan.toml --dry-run --out /no/such/folder/plan"),
        way_out: "Look whether its folder is there, and whether this user may write to it.",
    },
    Explanation {
        code: "plan::variables_of_others",
        exits: FAILED,
        means: "The variables of an object are in a map that was there before the deployment, with other values. \
                Setting them would change what somebody else relies on.",
        example: Host(
            "two deployments give the section `.bss` of one object the same pin, and one of them sets a variable",
        ),
        way_out: "Give the section's map another pin, set nothing in it, or take it over with `adopt = true`.",
    },
    Explanation {
        code: "program::not_loadable",
        exits: &[Exit::Data, Exit::Unavailable],
        means: "A program cannot be loaded at all: what it is for is not there (exit code 69 where the kernel lacks \
                it), or its flags contradict its type.",
        example: Host("`SEC(\"fentry/no_such_function\")`"),
        way_out: "The message says what is missing. Functions of the kernel differ between versions and \
                  configurations.",
    },
    Explanation {
        code: "program::unknown_section",
        exits: DATA,
        means: "The name of a section does not say which type its programs have.",
        example: Tables("[object.filter]\npath = \"custom_sections.o\"\n\n[program.filter]\nfrom = \"filter:filter\""),
        way_out: "Say it in the program's table: `type = \"sched_cls\"`.",
    },
    Explanation {
        code: "share::edge_to_data",
        exits: DATA,
        means: "An edge names a section of variables. Those belong to their object.",
        example: Tables(
            "[object.data]\npath = \"data.o\"\nmaps = { \".bss\" = \"flows\" }\n\n[map.flows]\n\
             type = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1\n\n[program.touch]\n\
             from = \"data:touch\"",
        ),
        way_out: "Set variables with `set = { ... }`. What objects share is a map.",
    },
    Explanation {
        code: "share::incompatible",
        exits: DATA,
        means: "An object uses a map of another object, and its own definition means another layout. The message \
                names the field.",
        example: Tables(
            "[object.device]\npath = \"stats_a.o\"\n\n[object.stack]\npath = \"stats_b_key.o\"\n\
             maps = { stats = \"stats\" }\n\n[map.stats]\nfrom = \"device:stats\"\n\n[program.device]\n\
             from = \"device:on_device\"\n\n[program.stack]\nfrom = \"stack:on_stack\"",
        ),
        way_out: "Compile both with the same header. Only the size, `max_entries`, is the owner's alone.",
    },
    Explanation {
        code: "share::mixed_prog_array",
        exits: DATA,
        means: "Programs of two types are in one prog array, or use it. The kernel takes one type.",
        example: Tables(
            "[object.sections]\npath = \"sections.o\"\n\n[map.jumps]\ntype = \"prog_array\"\n\
             key_size = 4\nvalue_size = 4\nmax_entries = 4\nentries = { 0 = \"program.a\", 1 = \"program.b\" }\n\n[program.a]\n\
             from = \"sections:xdp_plain\"\n\n[program.b]\nfrom = \"sections:tc_plain\"",
        ),
        way_out: "Give each type a prog array of its own.",
    },
    Explanation {
        code: "share::slot_taken",
        exits: DATA,
        means: "Two objects that share a prog array fill the same slot of it, or an object fills a slot of a map \
                that somebody else owns.",
        example: Tables(
            "[object.one]\npath = \"prog_array.o\"\n\n[object.two]\npath = \"prog_array.o\"\n\
             maps = { jumps = \"jumps\" }\n\n[map.jumps]\nfrom = \"one:jumps\"\n\n[program.one]\n\
             from = \"one:entry\"\n\n[program.two]\nfrom = \"two:entry\"",
        ),
        way_out: "Let them fill different slots; let bpfapply define the map with `from`.",
    },
    Explanation {
        code: "share::split",
        exits: DATA,
        means: "Objects share a map by their own attribute (`LIBBPF_PIN_BY_NAME`), and the manifest takes only one \
                of them to another map. The other would be left behind without a word.",
        example: Tables(
            "[object.one]\npath = \"pin_by_name.o\"\nmaps = { shared_count = \"count\" }\n\n[object.two]\n\
             path = \"pin_by_name.o\"\n\n[map.count]\ntype = \"array\"\nkey_size = 4\nvalue_size = 8\n\
             max_entries = 1\n\n[program.one]\nfrom = \"one:count\"\n\n[program.two]\nfrom = \"two:count\"",
        ),
        way_out: "Share it with both by edges, or give the other a `[map]` of its own.",
    },
    Explanation {
        code: "share::unknown_pinning",
        exits: DATA,
        means: "A map asks for a pinning number that only its author knows: of an iproute2 object a file of that host \
                (`/etc/iproute2/bpf_pinning`) could explain it, of a gobpf object the program around it.",
        example: Tables("[object.app]\npath = \"gobpf_maps.o\"\n\n[program.both]\nfrom = \"app:uses_both\""),
        way_out: "Say the pin: a `[map]` with `from` and `pin`.",
    },
    Explanation {
        code: "state::not_exported",
        exits: DATA,
        means: "A file is no state of a host that `bpfapply export` has written, or another version wrote it.",
        example: Command("bpfapply plan.toml --dry-run=offline --against notes.txt"),
        way_out: "Write one on the host: `bpfapply export --out FILE`.",
    },
    Explanation {
        code: "state::not_told",
        exits: DATA,
        means: "The plan needs something of the host that its exported state does not tell, such as what a map holds, \
                or what has an id that nobody had asked for. Nothing is guessed in its place.",
        example: Command("bpfapply plan.toml --dry-run=offline --against state.json    # a map has `entries`"),
        way_out: "Export once more with `--contents` where it is what a map holds; else plan on the host.",
    },
    Explanation {
        code: "test::failed",
        exits: FAILED,
        means: "The manifest says `require_tests = true`, and programs do not make of packets what its tests say. They \
                ran on copies with maps of their own, before anything was changed.",
        example: Command("bpfapply plan.toml"),
        way_out: "`bpfapply test plan.toml` shows what differs: mend the program, or the test.",
    },
    Explanation {
        code: "test::missing",
        exits: DATA,
        means: "The manifest says `require_tests = true`, and a program that a link runs has no test, though the kernel \
                could run one.",
        example: Host("a `[program.drop]` without `[[program.drop.test]]`, and a link that runs it"),
        way_out: "Write a test: in the manifest, or in `plan.test.toml` beside `plan.toml`.",
    },
    Explanation {
        code: "test::named_twice",
        exits: DATA,
        means: "Two tests of one program have the same name, so that nobody could tell which of them failed.",
        example: Tables(
            "[object.filter]\npath = \"filter.bpf.o\"\n\n[program.drop]\nfrom = \"filter:drop\"\n\n\
             [[program.drop.test]]\nname = \"ARP\"\npacket = [{ arp = {} }]\nverdict = \"XDP_PASS\"\n\n\
             [[program.drop.test]]\nname = \"ARP\"\npacket = [{ arp = {} }]\nverdict = \"XDP_DROP\"",
        ),
        way_out: "Give one of them another name.",
    },
    Explanation {
        code: "test::not_testable",
        exits: DATA,
        means: "The kernel runs programs of some types alone with a packet that somebody made up \
                (`BPF_PROG_TEST_RUN`), and this is of another type.",
        example: Host("a `[[program.options.test]]` of a program in the section `sockops`"),
        way_out: "Take the test out; `require_tests` does not ask for one.",
    },
    Explanation {
        code: "usage",
        exits: USAGE,
        means: "The command line asks for something that cannot be.",
        example: Command("bpfapply plan.toml --var rate"),
        way_out: "`bpfapply --help`, and `--help` of each command, list the options.",
    },
];
