//! What should be: the manifest and its objects, resolved. Plain data here; `resolve` makes it.

mod attach;
mod contents;
mod events;
mod files;
mod hook;
mod identity;
mod order;
mod references;
mod resolve;
mod template;
pub(crate) mod variables;

pub use contents::EntryFile;
pub(crate) use hook::Within;
pub use hook::{Anchor, Counter, CounterSource, Event, Hook, Netns, Rate, Trace, Uprobe, of_system_call};
pub use identity::{TAG, kernel_name};
pub use order::{Neighbour, Order, sequences};
pub use references::{Reference, SlotKey, SlotSource, Word};
pub use resolve::{needs, resolve};
pub use template::{Absent, DesiredTemplate, Site, Sites, Template, is_pattern, matches};

use crate::access::{Access, AccountKind};
use crate::btf::value::format::Formats;
use crate::btf::{Btf, Type, TypeId};
use crate::diag::{Kind, Problem};
use crate::elf::{self, DataKind, ProgramKind, TypesFile};
use crate::entries::Entries;
use crate::insn::{Code, ModuleId};
use crate::kinds::MapType;
use crate::manifest::Manifest;
use crate::names::{Address, DeploymentName, Digest, LinkName, MapName, ObjectName, PinPath, ProgramName};
use crate::observed::Fingerprints;
use crate::plan::Consent;
use crate::spec::{Difference, MapSpec, flags};
use crate::variables::Variable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A place in the manifest's text, in bytes.
pub type Span = Range<usize>;

/// Everything that one manifest wants on the host.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Name of the deployment.
    pub name: DeploymentName,
    /// The folder of its pins.
    pub pin_root: PinPath,
    /// The bpffs that holds it.
    pub bpffs: PinPath,
    /// What the pieces were made from, for the record.
    pub objects: BTreeMap<ObjectName, Arc<ObjectFacts>>,
    /// Maps, with those that only an object knows.
    pub maps: BTreeMap<MapName, Arc<DesiredMap>>,
    /// Programs, with those that only a tail call needs.
    pub programs: BTreeMap<ProgramName, Arc<DesiredProgram>>,
    /// Links.
    pub links: BTreeMap<LinkName, Arc<DesiredLink>>,
    /// Tables of links of which the host decides; once it has ([`Desired::settle`]), they are among `links` as well.
    pub templates: BTreeMap<LinkName, DesiredTemplate>,
    /// Links of them that the host has no place for, which is allowed.
    pub absent: Vec<Absent>,
    /// What may be done to what is there.
    pub policy: Policy,
}

/// What the manifest says of what may be done, and by whom, to what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What an apply may do without being told so each time.
    pub allow: BTreeSet<Consent>,
    /// The maps, programs and links that must not go.
    pub protect: BTreeSet<Address>,
    /// Who may open the pins of maps, programs and links; only those of which something is said.
    pub access: BTreeMap<Address, Access>,
    /// Where the manifest names owners and groups.
    pub accounts: BTreeMap<(Address, AccountKind), Span>,
}

impl Policy {
    /// Takes it from the manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let maps = manifest.maps.iter().filter(|(_, map)| map.protect).map(|(name, _)| Address::Map(name.clone()));
        let programs = manifest.programs.iter().filter(|(_, program)| program.protect);
        let links = manifest.links.iter().filter(|(_, link)| link.protect);
        let protect = maps
            .chain(programs.map(|(name, _)| Address::Program(name.clone())))
            .chain(links.map(|(name, _)| Address::Link(name.clone())));
        let maps = manifest.maps.iter().map(|(name, map)| (Address::Map(name.clone()), &map.access));
        let programs = manifest.programs.iter();
        let programs = programs.map(|(name, program)| (Address::Program(name.clone()), &program.access));
        let links = manifest.links.iter().map(|(name, link)| (Address::Link(name.clone()), &link.access));
        let access = maps.chain(programs).chain(links).filter(|(_, access)| !access.is_empty());
        let access = access.map(|(address, access)| (address, access.clone())).collect();
        let accounts = accounts(manifest);
        Self { allow: manifest.allow.clone(), protect: protect.collect(), access, accounts }
    }
}

fn accounts(manifest: &Manifest) -> BTreeMap<(Address, AccountKind), Span> {
    let maps = manifest.maps.iter().map(|(name, map)| (Address::Map(name.clone()), &map.accounts));
    let programs = manifest.programs.iter();
    let programs = programs.map(|(name, program)| (Address::Program(name.clone()), &program.accounts));
    let links = manifest.links.iter().map(|(name, link)| (Address::Link(name.clone()), &link.accounts));
    let named = maps.chain(programs).chain(links);
    let each = named.flat_map(|(address, accounts)| {
        accounts.iter().map(move |(kind, span)| ((address.clone(), *kind), span.clone()))
    });
    each.collect()
}

impl Desired {
    /// Returns the pin of a map, a program or a link.
    pub fn pin(&self, address: &Address) -> Option<&PinPath> {
        match address {
            Address::Map(name) => self.maps.get(name)?.pin(),
            Address::Program(name) => self.programs.get(name).map(|program| &program.pin),
            Address::Link(name) => self.links.get(name).map(|link| &link.pin),
            Address::Directory(_) | Address::Object(_) | Address::Record => None,
        }
    }

    /// Returns whether anything is to be made, and so to be recorded: not when all that is named belongs to others.
    pub fn makes_something(&self) -> bool {
        let defined = |map: &Arc<DesiredMap>| matches!(map.source, MapSource::Defined(_));
        !self.programs.is_empty() || !self.links.is_empty() || self.maps.values().any(defined)
    }
}

/// Everything that a manifest names and that was read.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The objects.
    pub objects: BTreeMap<ObjectName, ObjectFile>,
    /// The files of entries, by their maps.
    pub entries: BTreeMap<MapName, EntryFile>,
}

/// An object file that was read and parsed.
#[derive(Debug, Clone)]
pub struct ObjectFile {
    /// Path as the manifest writes it.
    pub path: String,
    /// Digest of the bytes that everything else was made from.
    pub sha256: Digest,
    /// Their SHA-1, by which iproute2 names a folder, when a map of the object is to be pinned there
    /// ([`elf::Pinning::ObjectNs`]).
    pub sha1: Option<String>,
    /// What is in it.
    pub object: Arc<elf::Object>,
    /// The types by which its CO-RE relocations are resolved, where the manifest names a file with them.
    pub types: Option<TypesFile>,
}

/// What is known of an object file.
#[derive(Debug, Clone)]
pub struct ObjectFacts {
    /// Name in the manifest.
    pub name: ObjectName,
    /// Path as the manifest writes it.
    pub path: String,
    /// Digest of the file.
    pub sha256: Digest,
    /// Its types.
    pub types: Arc<Btf>,
    /// Types that go on where those end: of functions that have none.
    pub described: Vec<Type>,
    /// The wanted programs, with the types of their main functions.
    pub mains: Vec<(ProgramName, TypeId)>,
    /// What makes each of them unchanged.
    pub fingerprints: Arc<Fingerprints>,
}

/// A map.
#[derive(Debug, Clone)]
pub struct DesiredMap {
    /// Name.
    pub name: MapName,
    /// Where it comes from.
    pub source: MapSource,
    /// Every definition of an object that is this map without defining it.
    pub users: Vec<MapUse>,
    /// The table in the manifest, or the object's that defines the map.
    pub span: Span,
}

impl DesiredMap {
    /// Returns the entries that the manifest gives the map, with its pin.
    pub fn contents(&self) -> Option<(&PinPath, &Contents)> {
        match &self.source {
            MapSource::Defined(definition) => Some((&definition.pin, definition.contents.as_deref()?)),
            MapSource::Pinned(_) | MapSource::Id(_) => None,
        }
    }

    /// Returns the pin by which the map is found, if it is found by one.
    pub fn pin(&self) -> Option<&PinPath> {
        match &self.source {
            MapSource::Defined(definition) => Some(&definition.pin),
            MapSource::Pinned(pin) => Some(pin),
            MapSource::Id(_) => None,
        }
    }
}

/// An object's own definition of a map that somebody else defines.
#[derive(Debug, Clone)]
pub struct MapUse {
    /// The object.
    pub object: ObjectName,
    /// The symbol in it.
    pub symbol: String,
    /// What the object takes the map for.
    pub spec: MapSpec,
    /// The edge, or the object's table when its own pinning attribute says so.
    pub span: Span,
}

impl MapUse {
    /// Says how the definition differs from the map, of which `whose` says where its own is from; nothing when it fits.
    pub fn misfit(&self, map: &DesiredMap, differences: Vec<Difference>, whose: &str) -> Option<Problem> {
        let Self { object, symbol, span, .. } = self;
        let list = |side: fn(&Difference) -> &str| {
            let each = differences.iter().map(|one| format!("{} is {}", one.field, side(one)));
            each.collect::<Vec<_>>().join(", ")
        };
        let (has, wants) = (list(|one| &one.left), list(|one| &one.right));
        let (object, symbol) = (object.clone(), symbol.clone());
        let wants = format!("object.{object}'s `{symbol}`: {wants}");
        let is_one = !differences.is_empty();
        let kind = Kind::Incompatible { map: map.name.clone(), object, symbol, differences };
        is_one.then(|| Problem::at(kind, span.clone(), wants).and(map.span.clone(), format!("{whose}: {has}")))
    }
}

/// Where a map comes from.
#[expect(clippy::large_enum_variant, reason = "most maps are defined, and each is behind an `Arc`")]
#[derive(Debug, Clone)]
pub enum MapSource {
    /// We create it when it is not there.
    Defined(MapDefinition),
    /// Somebody else's, found by pin.
    Pinned(PinPath),
    /// Somebody else's, found by id.
    Id(u32),
}

/// A map that we create.
#[derive(Debug, Clone)]
pub struct MapDefinition {
    /// Its pin.
    pub pin: PinPath,
    /// The name that the kernel shows, at most 15 bytes.
    pub kernel_name: String,
    /// What is asked for.
    pub spec: MapSpec,
    /// The object and the symbol that define it, and whose BTF types `spec` speaks of; none for an inline map.
    pub defined_by: Option<(ObjectName, String)>,
    /// The contents of a data section, and its kind.
    pub data: Option<(DataKind, Arc<[u8]>)>,
    /// The variables in it that the manifest sets, by name; their values are in `data`.
    pub variables: BTreeMap<String, Variable>,
    /// The first value of a struct of functions, as the kernel lays it out.
    pub operations: Option<Arc<elf::Operations>>,
    /// The contents of a map of maps or of programs; the functions of a struct by their bytes in its value.
    pub slots: BTreeMap<SlotKey, SlotSource>,
    /// The entries that the manifest gives it.
    pub contents: Option<Box<Contents>>,
    /// Whether no output may show what it holds.
    pub sensitive: bool,
    /// How its keys and values are written.
    pub formats: Formats,
    /// Whether somebody else's map at the pin becomes ours when it fits.
    pub adopt: bool,
    /// What to do when the map that has the pin no longer fits.
    pub on_change: OnChange,
}

/// What to do when a pinned map no longer fits its definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnChange {
    /// Nothing: the manifest cannot be applied.
    #[default]
    Fail,
    /// Make it anew; its entries go.
    Recreate,
    /// Make it anew, and copy its entries.
    Migrate,
}

impl OnChange {
    /// Every choice there is.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Recreate, Self::Migrate];
}

impl fmt::Display for OnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fail => "fail",
            Self::Recreate => "recreate",
            Self::Migrate => "migrate",
        })
    }
}

/// The entries that the manifest gives a map.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Which of the map's entries they stand for.
    pub mode: EntriesMode,
    /// What should be there, with values as user space writes them.
    pub entries: Arc<Entries>,
    /// Entries that name what has its numbers from the host.
    pub references: References,
    /// The manifest's `entries`.
    pub span: Span,
}

/// The entries of a devmap or a cpumap. A plan makes bytes of them, as the kernel tells them: with the ids of programs.
#[derive(Debug, Clone, Default)]
pub struct References {
    /// As the manifest has them.
    pub given: Vec<Reference>,
    /// By the bytes of their keys, once the host has told these.
    pub by_key: BTreeMap<Vec<u8>, Reference>,
}

/// Which entries of a map the manifest's stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntriesMode {
    /// All: others are removed, and those of an array are zero.
    Exact,
    /// Their own keys: others are nobody's business.
    Merge,
    /// The first ones: they are written when the map is made, and never again.
    Seed,
    /// As `Exact` by their keys: values are written with a key that is new, and are the programs' from then on.
    ExactKeys,
    /// As `Merge` by their keys, in the same way.
    MergeKeys,
}

impl EntriesMode {
    /// Every mode there is.
    pub const ALL: [Self; 5] = [Self::Exact, Self::Merge, Self::Seed, Self::ExactKeys, Self::MergeKeys];

    /// Returns whether every key of the map is the manifest's.
    pub fn owns_all(self) -> bool {
        match self {
            Self::Exact | Self::ExactKeys => true,
            Self::Merge | Self::MergeKeys | Self::Seed => false,
        }
    }

    /// Returns whether the values of those keys are the manifest's as well.
    pub fn owns_values(self) -> bool {
        match self {
            Self::Exact | Self::Merge => true,
            Self::ExactKeys | Self::MergeKeys | Self::Seed => false,
        }
    }
}

impl fmt::Display for EntriesMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Merge => "merge",
            Self::Seed => "seed",
            Self::ExactKeys => "exact-keys",
            Self::MergeKeys => "merge-keys",
        })
    }
}

impl MapDefinition {
    /// Returns whether the map holds what the manifest says and nothing else.
    pub fn is_exact(&self) -> bool {
        self.contents.as_deref().is_some_and(|contents| contents.mode == EntriesMode::Exact)
    }

    /// Returns whether something is put into its slots that the kernel tells again: not so of cgroups, nor of functions.
    pub fn has_readable_slots(&self) -> bool {
        let tells = [MapType::PROG_ARRAY, MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS];
        !self.slots.is_empty() && tells.contains(&self.spec.map_type)
    }

    /// Returns whether variables can be set while programs run: those of a section that is neither read-only nor in an
    /// arena.
    pub fn is_live(&self) -> bool {
        let is_writable = matches!(self.data, Some((DataKind::Data | DataKind::Bss, _)));
        is_writable && self.spec.map_type == MapType::ARRAY && self.spec.flags & flags::RDONLY_PROG == 0
    }

    /// Returns whether the map may be made anew for what is in it, however well the one that is there fits.
    pub fn is_refilled(&self) -> bool {
        self.data.is_some() || self.operations.is_some() || !self.slots.is_empty() || self.spec.inner.is_some()
    }

    /// Returns what the object itself starts a data section with.
    pub fn first_contents(&self) -> Option<Vec<u8>> {
        let mut first = self.data.as_ref()?.1.to_vec();
        self.variables.values().for_each(|variable| variable.first().write(&mut first));
        Some(first)
    }

    /// Makes a definition without contents, which no object defines.
    pub fn empty(pin: PinPath, spec: MapSpec) -> Self {
        Self {
            pin,
            kernel_name: String::new(),
            spec,
            defined_by: None,
            data: None,
            variables: BTreeMap::new(),
            operations: None,
            slots: BTreeMap::new(),
            contents: None,
            sensitive: false,
            formats: Formats::default(),
            adopt: false,
            on_change: OnChange::Fail,
        }
    }
}

/// A program.
#[derive(Debug, Clone)]
pub struct DesiredProgram {
    /// Name.
    pub name: ProgramName,
    /// Its pin.
    pub pin: PinPath,
    /// The object that it comes from.
    pub object: ObjectName,
    /// The function that it is.
    pub function: String,
    /// Type, attach type, flags.
    pub kind: ProgramKind,
    /// License text; empty when the object has none.
    pub license: String,
    /// Kernel version of the object, for a kprobe without one the running kernel's; else 0.
    pub kernel_version: u32,
    /// The type in the kernel's BTF that a tracing or struct_ops program is for; 0 for none, and offline.
    pub attach_btf_id: u32,
    /// The module that has that type; `None` for the kernel itself.
    pub attach_module: Option<ModuleId>,
    /// The number of the member of that type that a struct_ops program is.
    pub attach_member: Option<u32>,
    /// The function that it replaces, when it is an extension.
    pub extends: Option<Extends>,
    /// True when instructions or settings depend on what of the kernel nobody knows, since none was asked: its types,
    /// configuration, symbols.
    pub unsettled: bool,
    /// Final instructions but for the maps.
    pub code: Code,
    /// The maps that the code uses, each once, with their numbers in its sites ([`crate::insn::Site::map`]); and those
    /// that it does not name, and holds all the same ([`elf::Object::maps_of`]).
    pub maps: Vec<(usize, MapName)>,
    /// What makes it unchanged (DESIGN: instructions, map identities, constants, type, license).
    pub fingerprint: Digest,
    /// The table in the manifest.
    pub span: Span,
}

impl DesiredProgram {
    /// Returns the map with that number in the code's sites.
    pub fn map(&self, number: usize) -> &MapName {
        let found = self.maps.iter().find(|(known, _)| *known == number);
        &found.expect("the maps are those of the sites").1
    }

    /// Returns the maps that the program holds and its code does not name.
    pub fn bound(&self) -> impl Iterator<Item = &MapName> {
        let named = self.code.maps();
        self.maps.iter().filter(move |(index, _)| !named.contains(index)).map(|(_, name)| name)
    }

    /// Returns the names of the maps that the program uses, each once, sorted.
    pub fn uses(&self) -> Vec<&MapName> {
        let mut names: Vec<_> = self.maps.iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A function of another program of the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extends {
    /// The other program.
    pub program: ProgramName,
    /// Its function.
    pub function: String,
}

/// A link.
#[derive(Debug, Clone)]
pub struct DesiredLink {
    /// Name.
    pub name: LinkName,
    /// Its pin.
    pub pin: PinPath,
    /// The program that it runs; none for a struct of functions, whose map is in the hook.
    pub program: Option<ProgramName>,
    /// Where it is attached.
    pub hook: Hook,
    /// Its place among those that share the hook, where the manifest says it.
    pub order: Option<Order>,
    /// The table in the manifest.
    pub span: Span,
}
