//! What each kind of problem says.

use super::kind::{Kind, Size, named_holder};
use crate::desired::Within;
use crate::kinds::{MapType, ProgramType};
use crate::plan::Consent;
use crate::plan::words::{count, thousands};
use crate::record::RecordError;
use crate::spec::Difference;
use std::fmt;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) | Self::Usage(what) => f.write_str(what),
            Self::OtherBytes { path, is } => {
                write!(f, "`{path}` is not the file that is wanted: its sha256 is {is}")
            }
            Self::WrongType { key, wants } | Self::VariableOutsideText { key, wants } => {
                write!(f, "`{key}` must be {wants}")
            }
            Self::OutOfRange { key, value, .. } => write!(f, "`{key}` cannot be {value}"),
            Self::UnknownValue { key, value, .. } => write!(f, "`{key}` cannot be `{}`", value.escape_debug()),
            Self::UnknownVersion { found } => write!(f, "version {found} of the manifest language is not known"),
            Self::MissingKey { table, key, .. } if table.is_empty() => write!(f, "the manifest has no `{key}`"),
            Self::MissingKey { table, key, .. } => write!(f, "`{table}` has no `{key}`"),
            Self::NotTogether { table, first, second, .. } => {
                write!(f, "`{table}` cannot have both `{first}` and `{second}`")
            }
            Self::NoSource { map } => write!(f, "`{map}` does not say where the map comes from"),
            Self::NoHook { link } => write!(f, "`{link}` does not say where to attach"),
            Self::UnknownName { what, name, .. } => write!(f, "there is no {what} `{}`", name.escape_debug()),
            Self::BadReference { text, form, .. } if text.is_empty() => write!(f, "an empty string is not {form}"),
            Self::BadReference { text, form, .. } => write!(f, "`{}` is not {form}", text.escape_debug()),
            Self::BadPath { path, why } => write!(f, "`{}` cannot be a path here: {why}", path.escape_debug()),
            Self::BadDigest { text } => write!(f, "`{}` is not a SHA-256 digest", text.escape_debug()),
            Self::BadInterface { name, why } => {
                write!(f, "`{}` is not the name of an interface: {why}", name.escape_debug())
            }
            Self::UnknownVariable { name, .. } => write!(f, "there is no variable `{}`", name.escape_debug()),
            Self::UnclosedVariable => f.write_str("`${` has no closing `}`"),
            Self::UnknownOverride { name, .. } => {
                write!(f, "cannot set the variable `{}`: the manifest has none of that name", name.escape_debug())
            }
            Self::PinTakenTwice { pin } => write!(f, "the pin `{pin}` is wanted twice"),
            Self::PinIsFolder { pin, below } => {
                write!(f, "the pin `{pin}` cannot also be the folder of `{below}`")
            }
            Self::ForeignPinIsOurs { pin, ours } => {
                write!(f, "`{pin}` cannot be somebody else's pin: it is where `{ours}` is pinned")
            }
            Self::DefinedTwice { symbol } => write!(f, "`{symbol}` defines two maps"),
            Self::SymbolTwice { symbol, maps } => match maps.as_slice() {
                [map] => write!(f, "`{symbol}` is said to be `map.{map}` twice"),
                [first, second] => write!(f, "`{symbol}` cannot be both `map.{first}` and `map.{second}`"),
                maps => {
                    let maps: Vec<_> = maps.iter().map(|map| format!("map.{map}")).collect();
                    write!(f, "`{symbol}` cannot be all of {}", list(&maps))
                }
            },
            Self::NestedInner { outer, inner } => {
                write!(f, "`map.{inner}` holds maps itself, and cannot be what `map.{outer}` holds")
            }
            Self::XdpTwice { interface } => write!(f, "two links want XDP on `{}`", interface.escape_debug()),
            Self::HookTwice { hook } => write!(f, "two links want {}", hook.escape_debug()),
            Self::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Self::NotYet { what } => write!(f, "{what} is not supported yet"),
            Self::BadName { text, why } => write!(f, "`{}` is not a name: {why}", text.escape_debug()),
            Self::UnreadableFile { path, why } => write!(f, "cannot read `{path}`: {why}"),
            Self::Object { path, error } => write!(f, "`{path}`: {error}"),
            Self::NoSuchMap { object, symbol, .. } => write!(f, "object.{object} has no map `{symbol}`"),
            Self::NoSuchProgram { object, function, .. } => {
                write!(f, "object.{object} has no program `{function}`")
            }
            Self::NoEntries { map, map_type, why } => {
                write!(f, "map.{map} cannot have entries: it is {}, and {why}", map_of_type(*map_type))
            }
            Self::BadEntry { map, part, why, .. } => write!(f, "this {part} does not fit map.{map}: {why}"),
            Self::BadEntryFile { map, path, faults } => {
                write!(f, "`{path}` does not fit map.{map}:")?;
                for (line, column, why) in &faults.shown {
                    write!(f, "\n{path}:{line}:{column}: {why}")?;
                }
                if faults.more > 0 {
                    write!(f, "\nand {} more", faults.more)?;
                }
                Ok(())
            }
            Self::TestTwice { name } => write!(f, "two tests of the program have the name `{name}`"),
            Self::NotTestable { program, program_type } => {
                write!(f, "the kernel cannot run program.{program} for a test: it is of type `{program_type}`")
            }
            Self::Untested { program } => write!(f, "program.{program} has no test, and the manifest requires tests"),
            Self::TestFailed { test, why } => write!(f, "the test `{test}` failed: {}", why.join("; ")),
            Self::TestsFailed { failed, all } => {
                write!(f, "{failed} of {} failed, and the manifest requires them to pass", count(*all as u64, "test"))
            }
            Self::EntryTwice { map } => write!(f, "two entries of map.{map} have the same key"),
            Self::TooManyEntries { map, given, room } => {
                write!(f, "map.{map} has room for {room} entries, and gets {given}")
            }
            Self::FormatSize { map, part, format, size } => {
                write!(f, "`{part}_format` has {format} bytes, and a {part} of map.{map} has {size}")
            }
            Self::NoSuchVariable { object, variable, .. } => {
                write!(f, "object.{object} has no global variable `{variable}`")
            }
            Self::ManyVariables { object, variable, places } => {
                write!(f, "object.{object} has {} variables `{variable}`: at {}", places.len(), places.join(", "))
            }
            Self::KernelVariable { object, variable } => {
                write!(f, "`{variable}` of object.{object} gets its value from the kernel")
            }
            Self::BadValue { variable, why, .. } => write!(f, "`{variable}` cannot take this value: {why}"),
            Self::EdgeToData { symbol } => write!(f, "`{symbol}` is a data section, not a map to share"),
            Self::UnknownPinning { object, symbol, number } => {
                write!(f, "`{symbol}` of object.{object} asks for pinning {number}, which only its author knows")
            }
            Self::SplitShare { symbol, object, other, .. } => write!(
                f,
                "object.{object} and object.{other} share `{symbol}` by its pinning, and the manifest parts them"
            ),
            Self::Incompatible { map, object, symbol, differences } => {
                write!(f, "`{symbol}` of object.{object} does not fit map.{map}: {}", apart(differences))
            }
            Self::MixedProgArray { map, one: (one, is), other: (other, other_is) } => {
                write!(
                    f,
                    "the prog array map.{map} has programs of two types: program.{one} is {is}, program.{other} is {other_is}"
                )
            }
            Self::NoSize { map, size, defined_by: Some((object, symbol)), .. } => {
                let what = match size {
                    Size::Entries => format!("how many entries map.{map} has"),
                    Size::Value => format!("how large the values of map.{map} are"),
                };
                write!(f, "`{symbol}` of object.{object} leaves open {what}")
            }
            Self::NoSize { map, size: Size::Entries, defined_by: None, .. } => write!(f, "map.{map} has no entries"),
            Self::NoSize { map, size: Size::Value, defined_by: None, .. } => {
                write!(f, "the values of map.{map} have no bytes")
            }
            Self::LicenseSaid { object, is } => write!(f, "object.{object} says already that its license is `{is}`"),
            Self::ValueSizeSaid { map, defined_by: (object, symbol), size } => {
                write!(f, "`{symbol}` of object.{object} says already that values of map.{map} have {size} bytes")
            }
            Self::SlotTaken { map, slot, object, by: Some(by) } => {
                write!(f, "object.{object} fills slot {slot} of map.{map}, which {by} has")
            }
            Self::SlotTaken { map, slot, object, by: None } => {
                write!(f, "object.{object} fills slot {slot} of map.{map}, which is not ours")
            }
            Self::NotBpffs { pin, bpffs } => write!(f, "`{pin}` is not below the bpffs `{bpffs}`"),
            Self::UnknownSection { section } => {
                write!(f, "the section name `{section}` does not say what type the program has")
            }
            Self::WrongProgramType { hook, wants, is } => {
                write!(f, "{} takes programs of type {wants}, and this one is {is}", with_article(hook))
            }
            Self::WrongEvent { table, is, attach_type: Some(attach_type), .. } => {
                write!(f, "`{table}` does not take this program, which is {is} for {attach_type}")
            }
            Self::WrongEvent { table, is, attach_type: None, .. } => {
                write!(f, "`{table}` does not take this program, which is {is}")
            }
            Self::EventOpen { table, what, .. } => {
                write!(f, "neither `{table}` nor the program's section says which {what} it is")
            }
            Self::NoEvent { event, why, .. } => write!(f, "there is no {event}: {why}"),
            Self::WrongForMap { map, map_type, program, is, .. } => {
                let of_type = map_of_type(*map_type);
                write!(f, "map.{map} is {of_type}, and program.{program}, {is}, cannot run there")
            }
            Self::WithoutLinks { is, .. } => {
                let program = with_article(&format!("{is} program"));
                write!(f, "{program} is pinned for its user, and attached to nothing")
            }
            Self::WrongMapType { is, hook } => write!(f, "there is no {hook}, whose type is `{is}`"),
            Self::NoAttachType { is: is @ ProgramType::SK_SKB } => {
                write!(f, "nothing says for which of a map's hooks this {is} program is")
            }
            Self::NoAttachType { is } => {
                write!(f, "nothing says for which of a cgroup's hooks this {is} program is")
            }
            Self::NotLoadable { function, refusal } => write!(f, "`{function}` cannot be loaded: {}", refusal.why),
            Self::ArenaTooSmall { map, needs } => write!(f, "map.{map} has too few pages for {needs} B of variables"),
            Self::RegistersAtOnce { map } => write!(
                f,
                "map.{map} is of `.struct_ops`: the kernel registers it as soon as it is filled, which no link could take back"
            ),
            Self::NoTemplate { map, .. } => write!(f, "map.{map} is a map of maps without a template"),
            Self::ForeignTemplate { map } => write!(f, "map.{map} cannot be a template: it is not ours"),
            Self::Kernel { doing, errno, .. } => {
                write!(f, "cannot {doing}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::Cycle { circle } => {
                write!(f, "these wait for each other: {}", circle.join(" -> "))?;
                circle.first().map_or(Ok(()), |first| write!(f, " -> {first}"))
            }
            Self::NoMapOf { map, pin_root: Some(pin_root), .. } => {
                write!(f, "the deployment at `{pin_root}` has no map.{}", map.escape_debug())
            }
            Self::NoMapOf { map, pin_root: None, .. } => {
                write!(f, "no deployment on this host has a map.{}", map.escape_debug())
            }
            Self::ManyHaveMap { map, pin_roots } => {
                let folders: Vec<_> = pin_roots.iter().map(|pin_root| format!("`{pin_root}`")).collect();
                write!(f, "several deployments have a map.{map}: {}", folders.join(", "))
            }
            Self::Unlistable { map, map_type, why } => {
                write!(f, "the entries of map.{map} cannot be listed: of {map_type} maps, {why}")
            }
            Self::NoSuchPin { pin } => write!(f, "no map is pinned at `{pin}`"),
            Self::NotAMap { pin, is } => write!(f, "what is pinned at `{pin}` is no map: it is {is}"),
            Self::NoSuchMapId { id } => write!(f, "no map has the id {id}"),
            Self::MapChanged { map, pin, id, ours: false, differences } => {
                write!(f, "the map at `{pin}` (id {id}) does not fit map.{map}: {}", apart(differences))
            }
            Self::MapChanged { map, pin, id, ours: true, differences } => {
                write!(f, "map.{map} is pinned at `{pin}` (id {id}) and does not fit any more: {}", apart(differences))
            }
            Self::NoRoom { map, wanted, others, room } => write!(
                f,
                "map.{map} has room for {}: beside {} of others there is none for {}",
                count(*room as u64, "entry"),
                thousands(*others as u64),
                thousands(*wanted as u64)
            ),
            Self::VariablesOfOthers { map, pin, names } => {
                let names = names.join("`, `");
                write!(f, "the map at `{pin}` is not ours, so that `{names}` of map.{map} cannot be set")
            }
            Self::EntriesOfOthers { map, pin } => {
                write!(f, "the map at `{pin}` is not ours, so that no entries of map.{map} are written to it")
            }
            Self::NotMigratable { map, pin, why } => {
                write!(f, "the entries at `{pin}` cannot be copied to map.{map}: {}", why.join("; "))
            }
            Self::NoInterface { name, netns } => write!(f, "there is no interface `{name}`{}", Within(netns)),
            Self::NotPrimary { interface, is_peer: false } => write!(f, "`{interface}` is no netkit interface"),
            Self::NotPrimary { interface, is_peer: true } => write!(f, "`{interface}` is the peer of a netkit pair"),
            Self::NoMatch { pattern, netns } => write!(f, "no interface matches `{pattern}`{}", Within(netns)),
            Self::SymlinkInTheWay { doing, path } => {
                write!(f, "cannot {doing}: `{path}` is a symbolic link where a folder has to be")
            }
            Self::NoAccount { kind, name } => write!(f, "there is no {kind} `{name}`"),
            Self::NoCgroup { path } => write!(f, "there is no cgroup `{path}`"),
            Self::BadOrder { link, order, why } => write!(f, "link.{link} cannot be {order}: {why}"),
            Self::NoNeighbour { order, hook, found, .. } if found.is_empty() => {
                write!(f, "nothing can be {order}: it is not on {hook}")
            }
            Self::NoNeighbour { order, hook, found, .. } => {
                write!(f, "`{order}` on {hook} means more than one: {}", found.join(", "))
            }
            Self::NoOrder { hook } => write!(f, "this kernel has no places among the programs of {hook}"),
            Self::NoNetns { netns } => write!(f, "there is no {netns}"),
            Self::NoProgramType { program_type } => write!(f, "this kernel has no programs of type `{program_type}`"),
            Self::NoSuchLink { hook, .. } => write!(f, "this kernel attaches no program to {hook}"),
            Self::CgroupExcludes { hook, cgroup, below } => {
                let place = if *below { "be below it" } else { "be beside it" };
                write!(
                    f,
                    "cannot attach to {hook}: the cgroup `{}` has a program that lets no other {place}",
                    cgroup.display()
                )
            }
            Self::RouteTaken { to, by } => write!(f, "there is a route to {to} already: {by}"),
            Self::HookTaken { hook, by, pin, .. } => {
                write!(f, "the hook {hook} has a program already: {by}")?;
                pin.as_ref().map_or(Ok(()), |pin| write!(f, ", pinned at `{pin}`"))
            }
            Self::NotMounted { at } => write!(f, "there is no bpffs at `{at}`"),
            Self::Unverified { differs } => {
                write!(f, "everything was applied, and still the host differs: {}", differs.join("; "))
            }
            Self::AdoptedInPart { missing, .. } => write!(f, "not there to be adopted: {}", missing.join(", ")),
            Self::KeptInPart { generation, differs } => {
                write!(f, "generation {generation} is kept, but not as it was made: {}", differs.join("; "))
            }
            Self::ChecksFailed { failed, is_back, gone } => {
                f.write_str("what passed before the apply fails after it: ")?;
                for (i, (name, why)) in failed.iter().enumerate() {
                    write!(f, "{}{name} ({why})", if i == 0 { "" } else { "; " })?;
                }
                match (is_back, gone.is_empty()) {
                    (false, _) => f.write_str("; what ran before could NOT be put back"),
                    (true, true) => f.write_str("; what ran before is back"),
                    (true, false) => {
                        write!(f, "; what ran before is back, but NOT what was taken over: {}", gone.join(", "))
                    }
                }
            }
            Self::BadText { text, why } => write!(f, "`{}` is not right here: {why}", text.escape_debug()),
            Self::Watchdog { why } => write!(f, "the watchdog that returns to what ran before does not run: {why}"),
            Self::Unconfirmed { pin_root, left: 0 } => {
                write!(f, "the last apply of `{pin_root}` was not confirmed, and waits to be taken back")
            }
            Self::Unconfirmed { pin_root, left } => {
                write!(f, "the last apply of `{pin_root}` waits to be confirmed, {left} s more")
            }
            Self::NotConfirmed { pin_root } => {
                write!(f, "the last apply of `{pin_root}` was not confirmed in time, and was taken back now")
            }
            Self::NothingToConfirm { pin_root } => write!(f, "nothing of `{pin_root}` waits to be confirmed"),
            Self::NoWayBack { lacks } => write!(f, "there is no way back: `{lacks}` is not there"),
            Self::WasRejected { rejected, .. } => write!(f, "a rollback would return to {rejected}"),
            Self::NoDeployment { pin_root } | Self::MeantDeployment { pin_root, .. } => {
                write!(f, "there is no deployment at `{pin_root}`")
            }
            Self::Stale { what } => write!(f, "the host changed since the plan was made: {what}"),
            Self::Locked { folder, holder, .. } => {
                write!(f, "the lock of `{folder}` is held by {}", named_holder(holder.as_ref()))
            }
            Self::BtfRefused { object, errno, without, .. } => {
                let why = std::io::Error::from_raw_os_error(*errno);
                write!(f, "the kernel refuses the BTF of object.{object}: {why}")?;
                let mut more = without.iter();
                more.try_for_each(|(function, why)| write!(f, "; and without its types `{function}` is refused: {why}"))
            }
            Self::ProgramRefused { program, function, program_type, errno, telling, .. } => {
                write!(f, "the kernel refuses program.{program} ({program_type} `{function}`): ")?;
                match &telling.reason {
                    Some(reason) => f.write_str(reason)?,
                    None => write!(f, "{}", std::io::Error::from_raw_os_error(*errno))?,
                }
                telling.source.iter().try_for_each(|source| write!(f, ", at `{source}`"))
            }
            Self::PinTaken { pin, by } => write!(f, "the pin `{pin}` is taken by {by}"),
            Self::Record { pin, why: RecordError::Unreadable(why) } => {
                write!(f, "what is pinned at `{pin}` is no record: {why}")
            }
            Self::Record { pin, why: RecordError::Older(format) } => {
                write!(f, "the record at `{pin}` has the old format {format}")
            }
            Self::Record { pin, why: RecordError::Newer(format) } => {
                write!(f, "the record at `{pin}` has format {format}, which is newer than this version")
            }
            Self::RootGone { pin_root, generation } => {
                write!(f, "`{pin_root}` is gone, and the generation that it led to, `{generation}`, is still there")
            }
            Self::RecordLost { pin } => write!(f, "the record at `{pin}` is gone"),
            Self::ConsentNeeded { needs, sweep } => {
                let names: Vec<_> = needs.iter().map(Consent::to_string).collect();
                write!(f, "this plan needs consent to: {}", names.join(", "))?;
                sweep.iter().try_for_each(|sweep| write!(f, "; it removes {sweep}"))
            }
            Self::NoSavedPlan { path, why } => write!(f, "`{path}` is no saved plan: {why}"),
            Self::NoState { path, why } => write!(f, "`{path}` is no state of a host: {why}"),
            Self::NotInState { doing, what } => write!(f, "cannot {doing}: the exported state does not tell {what}"),
            Self::UnwritableFile { path, why } => write!(f, "cannot write `{path}`: {why}"),
            Self::Unreported { what } => write!(f, "it is done, but a report of it is lost: {what}"),
            Self::OtherPlan { expected, is } => {
                write!(
                    f,
                    "this is not the plan {expected}: the host or what is wanted changed, and the plan is {is} now"
                )
            }
            Self::Protected { address, since, what } => {
                write!(f, "{address} is protected")?;
                since.iter().try_for_each(|since| write!(f, " since {since}"))?;
                write!(f, ", and this plan would {what} it")
            }
        }
    }
}

/// Writes names in backticks with commas between them.
/// Says how two definitions of a map differ.
fn apart(differences: &[Difference]) -> String {
    let each =
        differences.iter().map(|Difference { field, left, right }| format!("{field} is {left} there and {right} here"));
    each.collect::<Vec<_>>().join("; ")
}

/// Lists names in a sentence.
pub(super) fn list(names: &[impl fmt::Display]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Beginnings of words that are said with a vowel first, some of them because they are spelled out.
const SAID_WITH_VOWEL: &[&str] =
    &["a", "e", "fentry", "fexit", "fmod_ret", "i", "lpm", "lru", "lsm", "lwt", "o", "sk_", "un", "xdp", "xsk"];

/// Puts the article before a word, as the word is said: `an xdp hook`, `a tcx hook`.
fn with_article(word: &str) -> String {
    let is_vowel = SAID_WITH_VOWEL.iter().any(|start| word.starts_with(start));
    format!("{} {word}", if is_vowel { "an" } else { "a" })
}

fn map_of_type(map_type: MapType) -> String {
    with_article(&format!("{map_type} map"))
}

#[cfg(test)]
mod tests {
    use super::with_article;

    #[test]
    fn articles_are_as_said() {
        let said = [
            "an xdp hook",
            "a tc hook",
            "a netkit hook",
            "an lwt hook",
            "a cgroup hook",
            "a netfilter hook",
            "a sockmap hook",
            "an sk_lookup hook",
            "a flow_dissector hook",
            "an array map",
            "a hash map",
            "an lru_hash map",
            "a user_ringbuf map",
            "an xskmap map",
            "an sk_reuseport program",
            "a struct_ops program",
        ];
        for text in said {
            let (_, word) = text.split_once(' ').expect("an article and words");
            assert_eq!(with_article(word), text);
        }
    }
}
