//! What to do about each kind of problem, where we know the way out.

use super::kind::Kind;
use super::words::list;
use crate::access::AccountKind;
use crate::kinds::ProgramType;
use crate::names::{MapName, PinPath};
use crate::plan::Consent;
use crate::record::RecordError;

/// What to do when the kernel says that somebody may not.
pub const PRIVILEGES: &str = "run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";

/// Programs that change the kernel's code where they attach, which some kernels forbid everybody.
const TRAMPOLINES: &[ProgramType] = &[ProgramType::TRACING, ProgramType::LSM, ProgramType::EXT];

/// What to do when a process may not open more files.
pub const OPEN_FILES: &str = "each map and program is held open until all are there: allow more open files \
                              (`ulimit -Hn`, `LimitNOFILE=` of a systemd service)";

/// Returns the name that a table of the manifest for this symbol could have.
fn table_name(symbol: &str) -> &str {
    if MapName::new(symbol).is_ok() { symbol } else { "NAME" }
}

impl Kind {
    /// Returns what to do, where we know the way out.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Syntax(_)
            | Self::WrongType { .. }
            | Self::BadName { .. }
            | Self::BadPath { .. }
            | Self::BadInterface { .. }
            | Self::BadText { .. }
            | Self::BadOrder { .. }
            | Self::UnreadableFile { .. }
            | Self::TestTwice { .. }
            | Self::Usage(_) => None,
            Self::NotTestable { .. } => {
                let types = "XDP, tc, cgroup_skb, sockets, lwt, flow dissection, sk_lookup and netfilter";
                Some(format!("it runs programs of {types}"))
            }
            Self::Untested { program } => {
                Some(format!("write a `[[program.{program}.test]]`, there or in the file of tests beside the manifest"))
            }
            Self::TestFailed { .. } => None,
            Self::TestsFailed { .. } => Some("nothing was done: `bpfapply test` shows what they found".to_owned()),
            Self::VariableOutsideText { .. } => Some("variables fill strings only: write the value itself".to_owned()),
            Self::OutOfRange { min, max, .. } => Some(format!("it can be {min} to {max}")),
            Self::UnknownKey { similar: Some(name), .. } => Some(did_you_mean(name)),
            Self::UnknownKey { known, .. } => Some(format!("it can be {}", list(known))),
            Self::UnknownValue { value, allowed, similar, .. } => Some(match similar {
                Some(name) => did_you_mean(name),
                None => format!("it can be {}", list(&choices(value, allowed))),
            }),
            Self::UnknownVersion { .. } => Some("this program knows version 1".to_owned()),
            Self::MissingKey { key, example, .. } => Some(format!("for example `{key} = {example}`")),
            Self::NotTogether { why, .. } => Some((*why).to_owned()),
            Self::NoSource { .. } => Some(
                "add `from = \"OBJECT:SYMBOL\"` for a definition of an object,\n\
                 `pinned = \"/PATH\"` or `id = N` for a map that somebody else made,\n\
                 or `type`, `key_size`, `value_size` and `max_entries` to define it here"
                    .to_owned(),
            ),
            Self::NoHook { .. } => Some(
                "add `xdp = { interface = \"eth0\" }`,\n\
                 `tc = { interface = \"eth0\", direction = \"ingress\" }`\n\
                 or `cgroup = { path = \"system.slice\" }`"
                    .to_owned(),
            ),
            Self::UnknownName { what, name, similar } => Some(match (similar, MapName::new(name)) {
                (Some(name), _) => did_you_mean(name),
                (None, Ok(name)) => format!("declare it with `[{what}.{name}]`"),
                (None, Err(_)) => format!("declare it with `[{what}.NAME]`"),
            }),
            Self::BadReference { example, .. } => Some(format!("for example `{example}`")),
            Self::BadDigest { .. } => Some("it has 64 hexadecimal digits, as `sha256sum FILE` prints them".to_owned()),
            Self::UnknownVariable { similar, .. } => Some(match similar {
                Some(name) => did_you_mean(name),
                None => "declare it in `[var]`, or write `$${` for a plain `${`".to_owned(),
            }),
            Self::UnclosedVariable => Some("write `${NAME}` for a variable, `$${` for a plain `${`".to_owned()),
            Self::UnknownOverride { name, similar } => Some(match similar {
                Some(similar) => did_you_mean(similar),
                None => format!("declare it with its default: `[var]`, then `{name} = \"...\"`"),
            }),
            Self::PinTakenTwice { .. } => Some("give one of them another `pin`".to_owned()),
            Self::PinIsFolder { .. } => Some("give one of them another path".to_owned()),
            Self::ForeignPinIsOurs { ours, .. } => {
                Some(format!("use `{ours}` instead: an edge in `[object]` shares it with more objects"))
            }
            Self::DefinedTwice { .. } => {
                Some("keep one of them; for two maps of one definition, load the file as two objects".to_owned())
            }
            Self::SymbolTwice { maps, .. } if maps.len() == 1 => {
                Some("keep one of the two lines: `from` is an edge as well".to_owned())
            }
            Self::SymbolTwice { .. } => {
                Some("keep one of them; for two maps of one symbol, load the file as two objects".to_owned())
            }
            Self::NestedInner { .. } => {
                Some("the kernel nests maps one level deep: name a map of another type as `inner`".to_owned())
            }
            Self::XdpTwice { .. } => Some(
                "an interface runs one XDP program: keep one of the links\n(running several in a chain comes later)"
                    .to_owned(),
            ),
            Self::HookTwice { .. } => Some("it takes no second one: keep one of the links".to_owned()),
            Self::OtherBytes { is, .. } => Some(format!("if the file is the right one, write `sha256 = \"{is}\"`")),
            Self::NotYet { .. } => Some("take it out, or wait for a version that has it".to_owned()),
            Self::Object { error, .. } => error.help.clone(),
            Self::NoSuchMap { similar: Some(name), .. }
            | Self::NoSuchProgram { similar: Some(name), .. }
            | Self::NoSuchVariable { similar: Some(name), .. } => Some(did_you_mean(name)),
            Self::NoSuchMap { has, .. } => Some(listed("its maps are", has)),
            Self::NoSuchProgram { has, .. } => Some(listed("its functions are", has)),
            Self::ManyVariables { .. } => {
                Some("static variables of objects that were linked into one: give one of them another name".to_owned())
            }
            Self::KernelVariable { .. } => {
                Some("take it out of `set`: an extern is what the kernel or its configuration says".to_owned())
            }
            Self::NoSuchVariable { .. } => Some("`bpfapply inspect` of its file lists its variables".to_owned()),
            Self::NoEntries { .. } => Some("take `entries` out".to_owned()),
            Self::EntryTwice { .. } => Some("keep one of the two".to_owned()),
            Self::BadEntryFile { .. } => None,
            Self::BadEntry { help, .. } | Self::BadValue { help, .. } => help.clone(),
            Self::TooManyEntries { given, .. } => Some(format!("make room with `max_entries = {given}` or more")),
            Self::FormatSize { .. } => {
                Some("name every byte, those that are only padding as `\"bytes[N]\"`".to_owned())
            }
            Self::EdgeToData { .. } => {
                Some("global variables belong to their object; set them with `set = { ... }`".to_owned())
            }
            Self::UnknownPinning { object, symbol, .. } => {
                Some(format!("say the pin: `[map.{symbol}]` with `from = \"{object}:{symbol}\"` and `pin = ...`"))
            }
            Self::SplitShare { symbol, object, map, .. } => Some(format!(
                "share it: `maps = {{ {symbol} = \"{map}\" }}` in `[object.{object}]`; \
                 or give it a `[map]` of its own with `from = \"{object}:{symbol}\"`"
            )),
            Self::MixedProgArray { .. } => {
                Some("the kernel takes programs of one type: give each type an array of its own".to_owned())
            }
            Self::Incompatible { .. } => {
                let why = "only the owner's makes the map, and both must mean the same layout";
                Some(format!("compile both with one definition: {why}"))
            }
            Self::NoSize { map, map_type, size, defined_by: Some((object, symbol)) } if map.is_private() => {
                let (name, line) = (table_name(symbol), size.line(*map_type));
                Some(format!("say it: `[map.{name}]` with `from = \"{object}:{symbol}\"` and {line}"))
            }
            Self::NoSize { map, map_type, size, .. } => {
                Some(format!("say it in `[map.{map}]`: {}", size.line(*map_type)))
            }
            Self::LicenseSaid { .. } => Some("leave `license` out: what the author says of an object holds".to_owned()),
            Self::ValueSizeSaid { .. } => {
                Some("leave `value_size` out: what the programs do with the values fits that size only".to_owned())
            }
            Self::SlotTaken { by: Some(_), .. } => {
                Some("two objects that share a map must fill different slots".to_owned())
            }
            Self::SlotTaken { by: None, .. } => {
                Some("only its owner fills it: let bpfapply define the map with `from`".to_owned())
            }
            Self::NotBpffs { bpffs, .. } => Some(format!("pins live below `{bpffs}`")),
            Self::UnknownSection { .. } => {
                Some("say the program's type: `type = \"sched_cls\"`, `\"xdp\"` ...".to_owned())
            }
            Self::WrongForMap { section, .. } => Some(format!(
                "put it into the section `{section}` of its object, or say `attach_type = \"{}\"`",
                section.replace('/', "_")
            )),
            Self::NotLoadable { .. } => None,
            Self::WrongProgramType { is, .. } | Self::WrongEvent { is, instead: None, .. } => {
                is.table().map(|table| format!("attach it by `{table} = {{ ... }}`"))
            }
            Self::WithoutLinks { used, .. } => Some(format!("take the link away: {used}")),
            Self::WrongMapType { .. } => Some(
                "programs for sockets are attached to a `sockmap` or a `sockhash`, and only the map of a struct in\n\
                 `.struct_ops.link` is attached itself"
                    .to_owned(),
            ),
            Self::NoAttachType { is: ProgramType::SK_SKB } => {
                Some("say it in the program's table: `attach_type = \"sk_skb_stream_verdict\"` ...".to_owned())
            }
            Self::WrongEvent { instead: Some(table), .. } => Some(format!("attach it by `{table} = {{ ... }}`")),
            Self::EventOpen { example, .. } => Some(format!("say it: `{example}`")),
            Self::NoEvent { hint, .. } => hint.map(str::to_owned),
            Self::NoAttachType { .. } => {
                Some("say it in the program's table: `attach_type = \"cgroup_inet_egress\"` ...".to_owned())
            }
            Self::ArenaTooSmall { map, .. } => Some(format!("give `[map.{map}]` more pages: `max_entries = ...`")),
            Self::RegistersAtOnce { .. } => Some(
                "with `flags = [\"link\"]` in its table it waits for a link, as a struct in `.struct_ops.link` does (Linux 6.4);\n\
                 its programs can be loaded without the map"
                    .to_owned(),
            ),
            Self::NoTemplate { map, defined_by: Some((object, symbol)) } if map.is_private() => {
                let name = table_name(symbol);
                Some(format!("say it: `[map.{name}]` with `from = \"{object}:{symbol}\"` and `inner = \"NAME\"`"))
            }
            Self::NoTemplate { .. } => {
                Some("say which map is the template of those inside: `inner = \"NAME\"`".to_owned())
            }
            Self::ForeignTemplate { .. } => Some("declare a map of the same shape, and name that one".to_owned()),
            Self::Kernel { hint, .. } => hint.clone(),
            Self::Cycle { .. } => {
                Some("break the circle: take one of these lines out, or change whom it waits for".to_owned())
            }
            Self::NotMounted { at } => Some(format!("`mount -t bpf bpf {at}`, or run it without --no-mount")),
            Self::Unverified { .. } => {
                Some("something else changes the same things: run it again with --dry-run".to_owned())
            }
            Self::AdoptedInPart { is_done, .. } => {
                let rest = if *is_done { "what was there is adopted" } else { "what is there would be adopted" };
                Some(format!("the next apply of the manifest makes it; {rest} all the same"))
            }
            Self::KeptInPart { .. } => Some("the next apply of its manifest puts right what is ours".to_owned()),
            Self::Watchdog { .. } => Some("where an apply was done, the next run takes it back".to_owned()),
            Self::Unconfirmed { pin_root, left: 0 } => Some(format!(
                "the next apply takes it back and does nothing else, as `bpfapply rollback {pin_root}` does; where that is \
                 refused, `bpfapply commit {pin_root}` keeps it"
            )),
            Self::Unconfirmed { pin_root, .. } => Some(format!(
                "`bpfapply commit {pin_root}` keeps it, `bpfapply rollback {pin_root}` takes it back; or wait"
            )),
            Self::NotConfirmed { .. } => {
                Some("nothing else was done: run it again, with `--confirm` where it may fail".to_owned())
            }
            Self::NothingToConfirm { .. } => Some(
                "it was confirmed before, or its time was over and it was taken back: see `bpfapply status`".to_owned(),
            ),
            Self::ChecksFailed { is_back: true, gone, .. } if !gone.is_empty() => {
                Some("attach it again with the tool that it came from".to_owned())
            }
            Self::ChecksFailed { is_back, .. } => Some(match is_back {
                true => "look at what the checks say, and apply it again when that is mended".to_owned(),
                false => "it is tried again every few seconds, or by `bpfapply rollback NAME`; \
                          `bpfapply commit NAME` keeps the new generation"
                    .to_owned(),
            }),
            Self::NoWayBack { .. } => {
                Some("each apply that changes something keeps the generation before it, one deep".to_owned())
            }
            Self::WasRejected { deployment, .. } => Some(format!(
                "what runs is the generation before that one; `bpfapply rollback {deployment} --again` returns to it all \
                 the same, without checks"
            )),
            Self::MeantDeployment { similar, .. } => Some(did_you_mean(similar)),
            Self::NoDeployment { .. } => {
                Some("`bpfapply status` lists those below `/sys/fs/bpf`; one elsewhere (`pin_root`) is named by its manifest or the \
                 folder of its pins"
                    .to_owned(),)
            }
            Self::Stale { .. } => Some("nothing was done: run it again, and look at the new plan".to_owned()),
            Self::Locked { waited, .. } => Some(format!(
                "nothing was done: run it again when that one has ended, or wait longer than {waited} s with \
                 `--lock-timeout SECONDS`"
            )),
            Self::BtfRefused { errno: libc::EPERM, .. } => Some(PRIVILEGES.to_owned()),
            Self::BtfRefused { errno: libc::EMFILE, .. } | Self::ProgramRefused { errno: libc::EMFILE, .. } => {
                Some(OPEN_FILES.to_owned())
            }
            Self::BtfRefused { log, .. } => last_line(log).map(|line| format!("the kernel's log ends: {line}")),
            Self::ProgramRefused { errno: libc::EINVAL, program_type, flags, telling, .. }
                if telling.tail.is_empty() =>
            {
                program_type.may_lack(*flags)
            }
            Self::ProgramRefused { errno: libc::EPERM, program_type, telling, .. }
                if telling.tail.is_empty() && TRAMPOLINES.contains(program_type) =>
            {
                Some(format!("{PRIVILEGES}; to one that has them all, this kernel forbids such programs altogether"))
            }
            Self::ProgramRefused { errno: libc::EPERM | libc::EACCES, telling, .. } if telling.tail.is_empty() => {
                Some(PRIVILEGES.to_owned())
            }
            Self::ProgramRefused { telling, .. } => (!telling.tail.is_empty()).then(|| telling.to_string()),
            Self::NoSuchPin { .. } | Self::NoSuchMapId { .. } => {
                Some("bpfapply only reuses this map: whoever owns it must make it first".to_owned())
            }
            Self::NoMapOf { similar: Some(similar), .. } => Some(did_you_mean(&format!("map.{similar}"))),
            Self::NoMapOf { .. } => Some("`bpfapply show NAME` lists the maps of a deployment".to_owned()),
            Self::ManyHaveMap { map, .. } => Some(format!("name one of them, as in `bpfapply show NAME map.{map}`")),
            Self::Unlistable { .. } => None,
            Self::NotAMap { .. } => Some("name the pin of a map: `bpftool map show pinned PATH` shows one".to_owned()),
            Self::MapChanged { ours: false, .. } => Some(
                "it is not ours, and is left alone: make the definition fit, or give the new map another pin"
                    .to_owned(),
            ),
            Self::MapChanged { .. } => Some(
                "its contents are not thrown away for a new definition: keep the definition, give the new map another \
                 pin, or say in its table what may be done:\n\
                 `on_change = \"migrate\"` makes it anew and copies its entries, field by field; `\"recreate\"` makes it \
                 anew and loses them, with `--allow lose-state`"
                    .to_owned(),
            ),
            Self::NotMigratable { .. } => Some(
                "give the new map another pin, or let its entries go: `on_change = \"recreate\"`, with \
                 `--allow lose-state`"
                    .to_owned(),
            ),
            Self::NoRoom { .. } => Some(
                "take some of the others out, or give the map a larger `max_entries`, which makes another map of it"
                    .to_owned(),
            ),
            Self::VariablesOfOthers { .. } => Some(
                "it was there before this deployment, and is left alone: give the section's map another pin, set nothing \
                 in it, or take it over with `adopt = true`"
                    .to_owned(),
            ),
            Self::EntriesOfOthers { .. } => Some(
                "it was there before this deployment: take it over with `adopt = true`, or give the map another pin or no \
                 `entries`"
                    .to_owned(),
            ),
            Self::NotPrimary { is_peer: true, .. } => {
                Some("name the primary end and say `peer = true`: who has that end decides for both".to_owned())
            }
            Self::NotPrimary { is_peer: false, .. } => {
                Some("`xdp` and `tc` are for any kind of interface".to_owned())
            }
            Self::NoMatch { .. } => Some("`optional = true` in the table of the link allows that".to_owned()),
            Self::NoInterface { netns, .. } => Some(match netns.name() {
                None => "`ip link` lists the interfaces of this network namespace".to_owned(),
                Some(name) => format!("`ip -n {name} link` lists the interfaces there"),
            }),
            Self::SymlinkInTheWay { path, .. } => Some(format!(
                "whoever may write into its folder can lead pins elsewhere by it, so nothing is changed through it: \
                 `ls -l {path}` says where it leads and whose it is, `rm {path}` takes it away"
            )),
            Self::NoAccount { kind: AccountKind::User, .. } => {
                Some("`getent passwd` lists the users of this host; a number needs no name".to_owned())
            }
            Self::NoAccount { kind: AccountKind::Group, .. } => {
                Some("`getent group` lists the groups of this host; a number needs no name".to_owned())
            }
            Self::NoCgroup { .. } => {
                Some("the path is below the cgroup2 mount; the cgroup must exist before".to_owned())
            }
            Self::NoProgramType { program_type } => program_type.may_lack(0),
            Self::NoSuchLink { since, .. } => Some((*since).to_owned()),
            Self::NoNeighbour { there, .. } if there.is_empty() => Some("no program is on it".to_owned()),
            Self::NoNeighbour { found, .. } if !found.is_empty() => Some("name it by its id or its pin".to_owned()),
            Self::NoNeighbour { there, .. } => Some(format!("on it are {}", there.join(", "))),
            Self::NoOrder { .. } => Some(
                "links of cgroups have places since Linux 6.17, those of tcx since 6.6: without `order` a link is behind \
                 those that are there"
                    .to_owned(),
            ),
            Self::NoNetns { .. } => Some(
                "`ip netns` lists those with a name; a path and the id of a process in it name others".to_owned(),
            ),
            Self::CgroupExcludes { .. } => Some(
                "`bpftool cgroup tree` names it: whoever attached it has to do that with BPF_F_ALLOW_MULTI, as `multi` of\n\
                 bpftool, or with a link"
                    .to_owned(),
            ),
            Self::RouteTaken { .. } => Some(
                "it is not ours, and is left alone: take another `metric` or `table`, or remove it first".to_owned(),
            ),
            Self::HookTaken { ours: None, way_out, pin, .. } => Some(match (way_out, pin.as_ref().and_then(PinPath::deployment)) {
                (_, Some(deployment)) => format!(
                    "it is of the deployment `{deployment}`, which another manifest manages: `bpfapply show {deployment}` \
                     says what it has; take the link out of one of the two manifests, and apply that one first"
                ),
                (Some(way_out), None) => format!("it is not ours, and is left alone: {way_out}"),
                (None, None) => {
                    "it is not ours, and is left alone: detach it with the tool that attached it".to_owned()
                }
            }),
            Self::HookTaken { ours: Some(link), .. } => Some(format!(
                "it is of link.{link}, and one apply does not hand a hook from one link to another:\n\
                 keep the name link.{link} for this hook, or take that link away in an apply before this one"
            )),
            Self::PinTaken { pin, .. } => Some(format!("give ours another pin, or remove what is at `{pin}`")),
            Self::Record { why: RecordError::Newer(_), .. } => {
                Some("use the version that wrote it, or a newer one".to_owned())
            }
            Self::Record { why: RecordError::Older(_), .. } => {
                Some("destroy the deployment with the version that made it, then apply".to_owned())
            }
            Self::Record { why: RecordError::Unreadable(_), .. } | Self::RecordLost { .. } => Some(
                "what is pinned runs on: `bpfapply adopt MANIFEST` makes a new record of it".to_owned(),
            ),
            Self::RootGone { pin_root, generation } => Some(format!(
                "its programs and maps run on: `ln -s {} {pin_root}` leads there again, and `bpfapply destroy` takes it away",
                generation.file_name()
            )),
            Self::ConsentNeeded { needs, sweep } => {
                let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
                let again = format!("run it again with `--allow {}`", names.join(","));
                match sweep.is_some() && needs.contains(&Consent::Prune) {
                    true => {
                        Some(format!("if that is meant, {again}: for so much, `allow` in the manifest is not enough"))
                    }
                    false => Some(again),
                }
            }
            Self::NoSavedPlan { .. } => Some("`bpfapply plan.toml --dry-run --out FILE` saves a plan".to_owned()),
            Self::NoState { .. } => Some("`bpfapply export --out FILE`, on the host, writes one".to_owned()),
            Self::NotInState { .. } => Some("`--dry-run` on the host knows it".to_owned()),
            Self::UnwritableFile { .. } => None,
            Self::Unreported { .. } => {
                Some("nothing has to be undone: `bpfapply status` says how the host is now".to_owned())
            }
            Self::OtherPlan { .. } => {
                Some("nothing was done: look at the plan above, and ask for it if it is meant".to_owned())
            }
            Self::Protected { address, since: Some(_), .. } => Some(format!(
                "to let it go, first apply once with `protect = false` in `[{address}]`, and no other change to it"
            )),
            Self::Protected { address, since: None, .. } => {
                Some(format!("to let it go, say `protect = false` in `[{address}]`"))
            }
        }
    }
}

/// Asks about a name that was meant.
fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// Returns what to offer of a list: all of a short one, of a long one those that have the text in them.
fn choices(text: &str, allowed: &[String]) -> Vec<String> {
    let near: Vec<_> = allowed.iter().filter(|name| name.contains(text)).cloned().collect();
    if allowed.len() <= 12 || near.is_empty() { allowed.to_vec() } else { near }
}

/// Lists names in a sentence, not too many of them.
fn listed(words: &str, names: &[String]) -> String {
    const MOST: usize = 12;
    if names.is_empty() {
        return "it has none".to_owned();
    }
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    format!("{words} {}{more}", shown.join(", "))
}

fn last_line(log: &str) -> Option<String> {
    log.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}
