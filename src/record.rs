//! The record: what we made and from what. It lives in a pinned map beside the pins and dies with them.
//!
//! It is a hint for ownership and provenance; the truth is always read from the kernel.

use crate::access::Access;
use crate::btf::value::format::Formats;
use crate::desired::{EntriesMode, Hook, Order, Template};
use crate::json;
use crate::kinds::MapType;
use crate::names::{Address, Digest, LinkName, MapName, PinPath, ProgramName};
use crate::observed::{At, FilePlace, HookInfo, Place};
use crate::spec::MapSpec;
use crate::variables::Variable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The format that this version writes. Any other is refused, never guessed.
pub const FORMAT: u32 = 3;

/// Everything a deployment made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`]
    pub format: u32,
    /// Name of the deployment.
    pub deployment: String,
    /// Version of the tool that wrote it.
    pub version: String,
    /// Path of the manifest as it was given.
    pub manifest: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Digest of everything that the plan was made from, but for the host's state: the same again has nothing to plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Digest>,
    /// The generation that this one took the place of because that one had to go: the one that a rollback returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// Objects by name.
    pub objects: BTreeMap<String, RecordedObject>,
    /// Maps by name.
    pub maps: BTreeMap<String, RecordedMap>,
    /// Programs by name.
    pub programs: BTreeMap<String, RecordedProgram>,
    /// Links by name.
    pub links: BTreeMap<String, RecordedLink>,
    /// Tables of links of which the host decides, by name: what comes later is a change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, Template>,
    /// Folders outside the deployment's own that we made, outermost first.
    pub directories: Vec<String>,
}

/// A generation that was taken back without anybody asking for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// Its number.
    pub generation: u64,
    /// Why.
    pub because: Rejection,
}

/// Why a generation was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rejection {
    /// Health checks failed.
    Checks,
    /// Nobody confirmed it in time.
    Unconfirmed,
    /// Its run ended before its health checks passed.
    Interrupted,
}

/// As `generation 7, which failed its checks`.
impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = match self.because {
            Rejection::Checks => "failed its checks",
            Rejection::Unconfirmed => "was not confirmed",
            Rejection::Interrupted => "had not passed its checks when its run ended",
        };
        write!(f, "generation {}, which {because}", self.generation)
    }
}

/// An object that programs and maps were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedObject {
    /// Path as the manifest writes it.
    pub path: String,
    /// Digest of the file.
    pub sha256: Digest,
}

/// A map that the deployment uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMap {
    /// Where it is pinned; `None` for somebody else's map that was named by its id.
    pub pin: Option<Arc<str>>,
    /// Inode of the pin, which says which map it is for as long as the pin lives; 0 where there is no pin.
    pub inode: u64,
    /// Id of a map that was named by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// True when we created it or took it over; only then may we remove it.
    pub created: bool,
    /// True when somebody else made it and we took it over: it is theirs until the generation with this record runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
    /// Digest of what the object starts a data section with. Records that know no `variables` have it of the section with
    /// the manifest's values, which is as good: such a section starts as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Digest>,
    /// Digest of what fills the slots of a map of programs, maps or cgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<Digest>,
    /// The ids of what was put into the slots, by their keys in hexadecimal digits; none where the kernel does not tell them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ids: BTreeMap<String, u32>,
    /// The cgroups in its slots: their ids by the paths that the manifest says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cgroups: BTreeMap<String, u64>,
    /// The variables of a data section that the manifest sets, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    /// What the maps inside a map of maps were made to look like, which the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<RecordedInner>,
    /// The entries of it that are ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<RecordedEntries>,
    /// Whether what it holds is secret, and is shown only to those who ask for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// How its keys and values are written, where the manifest says it: the kernel does not tell.
    #[serde(default, skip_serializing_if = "Formats::is_empty")]
    pub formats: Formats,
    /// Since when it must never be removed or made anew; `None` when it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect: Option<Since>,
    /// Who may open the pin, as the manifest asked for it.
    #[serde(default, skip_serializing_if = "Access::is_empty")]
    pub access: Access,
}

/// The template of a map of maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the kernel's own names")]
pub struct RecordedInner {
    #[serde(rename = "type")]
    pub map_type: MapType,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub map_extra: u64,
}

impl RecordedInner {
    /// Takes it from a definition; its types are not kept.
    pub fn of(spec: &MapSpec) -> Self {
        let MapSpec { map_type, key_size, value_size, max_entries, flags, map_extra, .. } = *spec;
        Self { map_type, key_size, value_size, max_entries, flags, map_extra }
    }

    /// Returns it as a definition, without types.
    pub fn spec(&self) -> MapSpec {
        let Self { map_type, key_size, value_size, max_entries, flags, map_extra } = *self;
        MapSpec { flags, map_extra, ..MapSpec::new(map_type, key_size, value_size, max_entries) }
    }
}

/// The entries of a map that are the manifest's.
///
/// They are kept in a map of their own beside the record ([`crate::owned`]): an entry that somebody else changed is known
/// by them without the manifest, one that the manifest does not name any more is known as ours, and a rollback has what
/// to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEntries {
    /// Which entries of the map they stand for. Those of [`EntriesMode::Seed`] are nobody's once written, and only say what
    /// was there before something became ours.
    pub mode: EntriesMode,
    /// Digest of keys and values.
    pub digest: Digest,
    /// Where they are kept.
    pub pin: String,
    /// Inode of that pin.
    pub inode: u64,
}

/// A program that we loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedProgram {
    /// Where it is pinned.
    pub pin: Arc<str>,
    /// Inode of the pin.
    pub inode: u64,
    /// The maps that it uses, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<Arc<str>>,
    /// Since when it must never be removed; `None` when it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect: Option<Since>,
    /// Who may open the pin, as the manifest asked for it.
    #[serde(default, skip_serializing_if = "Access::is_empty")]
    pub access: Access,
}

/// A link that we made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLink {
    /// Where it is pinned.
    pub pin: String,
    /// Inode of the pin.
    pub inode: u64,
    /// The program that it runs; none for a struct of functions, whose map is in the hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Id of that program; 0 for none.
    pub program_id: u32,
    /// The hook as the manifest says it.
    pub hook: Hook,
    /// Its place among those that share the hook, where the manifest says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The hook as the kernel says it.
    pub at: HookInfo,
    /// Inode of the network namespace that the hook is in, which of most links the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u64>,
    /// For a place in a file: which file, and where in it. The kernel tells neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FilePlace>,
    /// Ids of the programs of others that packets met before ours on the same hook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<u32>,
    /// Since when it must never be detached or moved; `None` when it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect: Option<Since>,
    /// Who may open the pin, as the manifest asked for it.
    #[serde(default, skip_serializing_if = "Access::is_empty")]
    pub access: Access,
}

impl RecordedLink {
    /// Returns where it was made.
    pub fn place(&self) -> At {
        At { hook: self.at.clone(), netns: self.netns }
    }

    /// Returns whether both are the same link for those who look at what it does: its pin may be another one, as that of a
    /// link which an apply took off its hook, and put back when it failed.
    pub fn does_the_same(&self, other: &Self) -> bool {
        Self { inode: other.inode, ..self.clone() } == *other
    }

    /// Returns whether it was made on this interface.
    pub fn is_on(&self, place: &Place) -> bool {
        self.netns == Some(place.netns) && self.at.ifindex() == place.index_of(self.hook.attach_type())
    }
}

/// When something began: seconds since 1970, and 0 in a plan for the time of its apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Since(pub u64);

impl Since {
    /// The end of the year 9999, behind which RFC 3339 has no times.
    pub const LAST: Self = Self(253_402_300_799);
}

/// As `2026-03-01T12:30:00Z`.
impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_secs(self.0.min(Self::LAST.0));
        write!(f, "{}", humantime::format_rfc3339_seconds(time))
    }
}

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    /// The bytes are not a record.
    Unreadable(String),
    /// A newer version wrote it, in this format.
    Newer(u32),
    /// An older version wrote it, in this format.
    Older(u32),
}

impl Record {
    /// Writes the record as the bytes of its map.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has only strings and numbers, which JSON always takes")
    }

    /// Reads the bytes of a record's map; the NULs behind the text are not part of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let unreadable = |error: serde_json::Error| RecordError::Unreadable(json::wrong(&error));
        let head: Head = serde_json::from_slice(&bytes[..end]).map_err(unreadable)?;
        match head.format.cmp(&FORMAT) {
            Ordering::Greater => Err(RecordError::Newer(head.format)),
            Ordering::Less => Err(RecordError::Older(head.format)),
            Ordering::Equal => serde_json::from_slice(&bytes[..end]).map_err(unreadable),
        }
    }

    /// Returns since when something is protected: a map, a program or a link.
    pub fn protected(&self, address: &Address) -> Option<Since> {
        match address {
            Address::Map(name) => self.maps.get(name.as_str())?.protect,
            Address::Program(name) => self.programs.get(name.as_str())?.protect,
            Address::Link(name) => self.links.get(name.as_str())?.protect,
            Address::Directory(_) | Address::Object(_) | Address::Record => None,
        }
    }

    /// Returns who may open the pin of a map, a program or a link; `None` for one that is not there.
    pub fn access(&self, address: &Address) -> Option<&Access> {
        match address {
            Address::Map(name) => self.maps.get(name.as_str()).map(|map| &map.access),
            Address::Program(name) => self.programs.get(name.as_str()).map(|program| &program.access),
            Address::Link(name) => self.links.get(name.as_str()).map(|link| &link.access),
            Address::Directory(_) | Address::Object(_) | Address::Record => None,
        }
    }

    /// Returns the place of the same, to be written.
    pub fn access_mut(&mut self, address: &Address) -> Option<&mut Access> {
        match address {
            Address::Map(name) => self.maps.get_mut(name.as_str()).map(|map| &mut map.access),
            Address::Program(name) => self.programs.get_mut(name.as_str()).map(|program| &mut program.access),
            Address::Link(name) => self.links.get_mut(name.as_str()).map(|link| &mut link.access),
            Address::Directory(_) | Address::Object(_) | Address::Record => None,
        }
    }

    /// Returns each map, program and link of which the manifest said who may open its pin, with that pin.
    pub fn accesses(&self) -> impl Iterator<Item = (Address, &str, &Access)> {
        let maps = self
            .maps
            .iter()
            .filter_map(|(name, map)| Some((Address::Map(MapName::recorded(name)?), map.pin.as_deref()?, &map.access)));
        let programs = self.programs.iter().filter_map(|(name, program)| {
            Some((Address::Program(ProgramName::recorded(name)?), &*program.pin, &program.access))
        });
        let links = self.links.iter().filter_map(|(name, link)| {
            Some((Address::Link(LinkName::recorded(name)?), link.pin.as_str(), &link.access))
        });
        maps.chain(programs).chain(links).filter(|(_, _, access)| !access.is_empty())
    }

    /// Returns every guard.
    pub fn guards(&mut self) -> impl Iterator<Item = &mut Since> {
        let maps = self.maps.values_mut().filter_map(|map| map.protect.as_mut());
        let programs = self.programs.values_mut().filter_map(|program| program.protect.as_mut());
        maps.chain(programs).chain(self.links.values_mut().filter_map(|link| link.protect.as_mut()))
    }

    /// Returns the entries of maps that are ours, by the names of the maps.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &RecordedEntries)> {
        self.maps.iter().filter_map(|(name, map)| Some((name.as_str(), map.entries.as_ref()?)))
    }

    /// Returns every pin with its inode, somebody else's too.
    pub fn pins(&self) -> impl Iterator<Item = (PinPath, u64)> {
        self.written_pins().filter_map(as_path)
    }

    /// Returns the pins of what we made, with their inodes.
    pub fn own_pins(&self) -> impl Iterator<Item = (PinPath, u64)> {
        self.written_own_pins().filter_map(as_path)
    }

    /// Returns the folders that these are in. Many pins have few folders, so that no path is made of each pin.
    pub fn own_folders(&self) -> impl Iterator<Item = PinPath> {
        let folders: BTreeSet<&str> =
            self.written_own_pins().filter_map(|(pin, _)| Some(pin.rsplit_once('/')?.0)).collect();
        folders.into_iter().filter_map(|folder| PinPath::new(folder).ok())
    }

    /// Returns those of them that are there: what is only to be made has no inode.
    pub fn made_pins(&self) -> impl Iterator<Item = (PinPath, u64)> {
        self.written_own_pins().filter(|(_, inode)| *inode != 0).filter_map(as_path)
    }

    /// Returns the pins of somebody else's maps.
    pub fn foreign_pins(&self) -> impl Iterator<Item = &str> {
        self.maps.values().filter(|map| !map.created).filter_map(|map| map.pin.as_deref())
    }

    /// Returns the pins of maps that were somebody else's before.
    pub fn taken_pins(&self) -> impl Iterator<Item = &str> {
        self.maps.values().filter(|map| map.taken_over).filter_map(|map| map.pin.as_deref())
    }

    /// Returns what tells which pins in a generation with this record somebody else put there, by path and inode. No name in
    /// a manifest has a `~`: what has one is ours, but for a map in the place of one of ours that has a second name.
    ///
    /// Of programs and links the path says it: they carry what tells that they are ours, whoever pinned them anew.
    pub fn tells_foreign(&self, pin_root: &PinPath, generation: &PinPath) -> impl Fn(&PinPath, u64) -> bool + use<> {
        let place = |pin: PinPath| pin.in_generation(pin_root, generation);
        let own: BTreeSet<PinPath> = self.own_pins().map(|(pin, _)| place(pin)).collect();
        let maps = self.maps.values().filter(|map| map.inode != 0);
        let maps = maps.filter_map(|map| Some((place(PinPath::new(map.pin.as_deref()?).ok()?), map.inode)));
        let maps: BTreeMap<PinPath, u64> = maps.collect();
        let (record, folder) = (generation.join("record"), generation.clone());
        move |path, inode| {
            let below = path.as_str().strip_prefix(folder.as_str()).unwrap_or_default();
            let is_other_map = maps.get(path).is_some_and(|made| *made != inode);
            is_other_map || !own.contains(path) && *path != record && !below.contains('~')
        }
    }

    fn written_pins(&self) -> impl Iterator<Item = (&str, u64)> {
        let maps = self.maps.values().filter_map(|map| Some((map.pin.as_deref()?, map.inode)));
        let maps = maps.chain(self.entries().map(|(_, entries)| (entries.pin.as_str(), entries.inode)));
        let programs = self.programs.values().map(|program| (&*program.pin, program.inode));
        let links = self.links.values().map(|link| (link.pin.as_str(), link.inode));
        maps.chain(programs).chain(links)
    }

    fn written_own_pins(&self) -> impl Iterator<Item = (&str, u64)> {
        let foreign: BTreeSet<&str> = self.foreign_pins().collect();
        self.written_pins().filter(move |(pin, _)| !foreign.contains(pin))
    }
}

fn as_path((pin, inode): (&str, u64)) -> Option<(PinPath, u64)> {
    Some((PinPath::new(pin).ok()?, inode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Account;
    use crate::btf::value::format::{Format, Written};
    use crate::variables::Patch;

    #[test]
    fn a_record_survives_its_map() {
        let mut record = Record { format: FORMAT, deployment: "edge".to_owned(), ..Record::default() };
        record.maps.insert(
            "a".to_owned(),
            RecordedMap {
                pin: Some("/sys/fs/bpf/edge/maps/a".into()),
                inode: 7,
                id: None,
                created: true,
                taken_over: true,
                image: Some(Digest::of(b"x")),
                slots: Some(Digest::of(b"z")),
                ids: [("00000000".to_owned(), 3)].into(),
                cgroups: [("system.slice".to_owned(), 9)].into(),
                variables: BTreeMap::from([(
                    "config.limit".to_owned(),
                    Variable { set: Patch { offset: 4, value: vec![7], mask: vec![15] }, first: vec![0] },
                )]),
                inner: Some(RecordedInner::of(&MapSpec::new(MapType::HASH, 4, 8, 16))),
                entries: Some(RecordedEntries {
                    mode: EntriesMode::Merge,
                    digest: Digest::of(b"y"),
                    pin: "/sys/fs/bpf/edge/~entries/a".to_owned(),
                    inode: 8,
                }),
                sensitive: true,
                formats: Formats {
                    key: Format::try_from(Written::One("ipv4".to_owned())).ok(),
                    value: Format::try_from(Written::List(vec!["hits: u32".to_owned(), "bytes[4]".to_owned()])).ok(),
                },
                protect: Some(Since(7)),
                access: Access {
                    mode: Some(0o640),
                    owner: Some(Account::Id(7)),
                    group: Some(Account::Name("g".to_owned())),
                },
            },
        );
        let mut bytes = record.encode();
        bytes.extend([0; 9]);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }

    #[test]
    fn times_read_as_dates() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_772_366_400, "2026-03-01T12:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Since(time).to_string(), text);
        }
        // Whatever a record says, it is only shown.
        let _ = Since(u64::MAX).to_string();
    }

    #[test]
    fn a_record_that_is_not_ours_is_refused() {
        assert_eq!(Record::decode(br#"{"format":99,"later":true}"#), Err(RecordError::Newer(99)));
        assert_eq!(Record::decode(br#"{"format":1}"#), Err(RecordError::Older(1)));
        for bad in [&b""[..], b"\0\0\0", b"{}", b"[]", b"\xff\xfe"] {
            assert!(matches!(Record::decode(bad), Err(RecordError::Unreadable(_))), "{bad:?}");
        }
    }
}
