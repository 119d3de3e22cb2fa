//! A manifest from what runs on a host: what was found of maps, programs and attachments becomes tables, with comments
//! that say what applying them would do.
//!
//! A program is known to come from an object when the kernel gives its code the same tag; which maps it uses then says
//! which symbol of the object is which map.

use super::hooks::written;
use super::init::stem;
use super::table::{self, Names, Table, inline, quoted};
use crate::access::{Access, octal};
use crate::btf::value;
use crate::desired::{EntriesMode, Hook, variables};
use crate::elf::{DataKind, Dialect, Map, Object, Pinning};
use crate::kinds::MapType;
use crate::names::{DeploymentName, PinPath, hex};
use crate::observed::{MapInfo, ProgramInfo};
use crate::record::{Record, RecordedLink, RecordedMap};
use crate::spec::{Host, MapSpec};
use std::collections::{BTreeMap, BTreeSet};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The maps that programs use or that are pinned, by id.
    pub maps: BTreeMap<u32, FoundMap>,
    /// Programs by id.
    pub programs: BTreeMap<u32, FoundProgram>,
    /// Where programs are attached.
    pub attached: Vec<Attached>,
    /// The deployment of ours that all of it is of, with its record where that is there.
    pub deployment: Option<(PinPath, Option<Record>)>,
}

/// A map that was found.
#[derive(Debug)]
pub struct FoundMap {
    /// What the kernel says of it; `None` for one that is not pinned: to open and close an array of programs that nobody
    /// keeps would empty it.
    pub info: Option<MapInfo>,
    /// Where it is pinned, as a manifest would say it.
    pub pin: Option<PinPath>,
    /// The value of a read-only data section.
    pub value: Option<Vec<u8>>,
}

/// A program that was found.
#[derive(Debug)]
pub struct FoundProgram {
    /// What the kernel says of it.
    pub info: ProgramInfo,
    /// Where it is pinned, as a manifest would say it.
    pub pin: Option<PinPath>,
    /// The object that it is from.
    pub origin: Option<Origin>,
}

/// Where a program comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Index of the object.
    pub file: usize,
    /// Index of the program in the object.
    pub program: usize,
    /// The maps of the object that it uses, by first use.
    pub maps: Vec<usize>,
    /// Whether it is the same code; else only its name is.
    pub is_same: bool,
}

/// Where a program is attached.
#[derive(Debug, Clone)]
pub struct Attached {
    /// What a table of it is called.
    pub name: String,
    /// The program.
    pub program_id: u32,
    /// The hook as a manifest says it, with the interfaces of which each has one; `None` where it cannot be said.
    pub hook: Option<(Hook, Vec<String>)>,
    /// What it is, in words.
    pub words: String,
    /// What applying the table would do.
    pub effect: Effect,
}

/// What applying a link would do about what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it is ours.
    None,
    /// Ours takes its place at once, which needs `--allow takeover`.
    TakesOver,
    /// Ours comes beside it, and both run.
    Beside,
    /// The hook has room for one, which has to go first.
    Blocked,
}

/// An object that programs may come from.
#[derive(Debug)]
pub struct Source<'a> {
    /// Its path as the manifest is to write it.
    pub path: String,
    /// What is in it.
    pub object: &'a Object,
}

/// Writes the manifest.
pub fn import(name: &DeploymentName, found: &Found, sources: &[Source<'_>], host: &Host) -> String {
    let draft = Draft::new(found, sources, host);
    let mut tables = vec![head(name, found)];
    tables.extend((0..draft.instances.len()).map(|index| draft.object(index)));
    tables.extend(draft.maps.iter().map(|(id, map)| draft.map(*id, map)));
    tables.extend(draft.foreign_maps());
    let programs = found.programs.iter().filter(|(_, program)| !draft.comes_with_slots(program));
    tables.extend(programs.map(|(id, program)| draft.program(*id, program)));
    tables.extend(draft.links());
    table::write(&tables)
}

fn head(name: &DeploymentName, found: &Found) -> Table {
    let mut head = Table::default();
    match &found.deployment {
        Some((pin_root, Some(record))) => {
            head.comment(format!("Written by `bpfapply import` from what is at {pin_root}."));
            head.comment(format!("It was made from `{}`.", record.manifest));
        }
        Some((pin_root, None)) => {
            head.comment(format!("Written by `bpfapply import` from what is at {pin_root}, whose record is lost."));
            head.comment("A new record comes first: bpfapply adopt FILE");
        }
        None => {
            head.comment("Written by `bpfapply import` from what runs on this host and is no deployment's.");
            head.comment(
                "Applying it loads programs of its own beside what is there; what it would do about each hook is said \
                 there. What is pinned by others stays theirs.",
            );
        }
    }
    head.comment("What is missing waits behind a `#`. What applying it would do: bpfapply FILE --dry-run");
    head.set("version", "1", "");
    head.set("name", quoted(name.as_str()), "");
    if let Some((pin_root, _)) = &found.deployment
        && pin_root.as_str() != format!("/sys/fs/bpf/{name}")
    {
        head.set("pin_root", quoted(pin_root.as_str()), "");
    }
    head
}

/// An object in use: its symbols are these maps.
struct Instance {
    file: usize,
    name: String,
    symbols: BTreeMap<usize, u32>,
}

/// A map that needs a table.
struct Shared {
    name: String,
    /// Instance and symbol; the first one defines it.
    members: Vec<(usize, usize)>,
}

/// What is known of a map that nobody pinned.
static UNPINNED: FoundMap = FoundMap { info: None, pin: None, value: None };

struct Draft<'a> {
    found: &'a Found,
    sources: &'a [Source<'a>],
    host: &'a Host,
    instances: Vec<Instance>,
    /// The instance of each program, by its id.
    of_program: BTreeMap<u32, usize>,
    /// The maps that need a table, by id.
    maps: BTreeMap<u32, Shared>,
    /// The names of programs by id.
    programs: BTreeMap<u32, String>,
}

impl<'a> Draft<'a> {
    fn new(found: &'a Found, sources: &'a [Source<'a>], host: &'a Host) -> Self {
        let mut draft = Self {
            found,
            sources,
            host,
            instances: Vec::new(),
            of_program: BTreeMap::new(),
            maps: BTreeMap::new(),
            programs: BTreeMap::new(),
        };
        draft.find_instances();
        draft.name_instances();
        draft.name_programs();
        draft.find_maps();
        draft
    }

    fn found_map(&self, id: u32) -> &'a FoundMap {
        self.found.maps.get(&id).unwrap_or(&UNPINNED)
    }

    fn pin_root(&self) -> Option<&PinPath> {
        self.found.deployment.as_ref().map(|(pin_root, _)| pin_root)
    }

    fn record(&self) -> Option<&Record> {
        self.found.deployment.as_ref()?.1.as_ref()
    }

    /// Returns whether a program of the deployment is there for a slot of its object, which needs no table.
    fn comes_with_slots(&self, program: &FoundProgram) -> bool {
        let objects = self.pin_root().map(|pin_root| pin_root.join("objects"));
        program.pin.as_ref().zip(objects).is_some_and(|(pin, objects)| pin.is_below(&objects))
    }

    /// Returns what a pin is called in a folder of the deployment.
    fn name_in(&self, folder: &str, pin: Option<&PinPath>) -> Option<String> {
        let folder = self.pin_root()?.join(folder);
        let name = pin?.as_str().strip_prefix(folder.as_str())?.strip_prefix('/')?;
        DeploymentName::new(name).ok().map(|name| name.to_string())
    }

    /// Puts programs of one file together whose symbols are the same maps.
    fn find_instances(&mut self) {
        for (id, program) in &self.found.programs {
            let Some(origin) = program.origin.as_ref().filter(|origin| origin.is_same) else { continue };
            let ids = &program.info.map_ids;
            // Without all of its maps nobody knows which is which.
            let symbols: BTreeMap<usize, u32> = match ids.len() == origin.maps.len() {
                true => origin.maps.iter().copied().zip(ids.iter().copied()).collect(),
                false => BTreeMap::new(),
            };
            let fits = |instance: &&mut Instance| {
                let same = |(symbol, id): (&usize, &u32)| instance.symbols.get(symbol).is_none_or(|other| other == id);
                instance.file == origin.file && symbols.iter().all(same)
            };
            let known = self.instances.iter_mut().find(fits).map(|instance| instance.symbols.extend(&symbols));
            if known.is_none() {
                self.instances.push(Instance { file: origin.file, name: String::new(), symbols: symbols.clone() });
            }
            let is_it = |instance: &Instance| {
                instance.file == origin.file
                    && symbols.iter().all(|(symbol, id)| instance.symbols.get(symbol) == Some(id))
            };
            if let Some(at) = self.instances.iter().position(is_it) {
                self.of_program.insert(*id, at);
            }
        }
    }

    /// Names each object as its deployment did, which is in the pins of its own maps; else as the record has its file.
    fn name_instances(&mut self) {
        let of_pins: Vec<Option<String>> = self.instances.iter().map(|instance| self.pinned_name(instance)).collect();
        let mut names = Names::default();
        let mut taken: BTreeSet<String> = of_pins.iter().flatten().cloned().collect();
        for (index, of_pin) in of_pins.into_iter().enumerate() {
            let name = of_pin.or_else(|| self.recorded_name(&self.instances[index], &taken));
            let name = name.unwrap_or_else(|| stem(&self.sources[self.instances[index].file].path).to_owned());
            taken.insert(name.clone());
            self.instances[index].name = names.take(&name);
        }
    }

    fn pinned_name(&self, instance: &Instance) -> Option<String> {
        let folder = format!("{}/objects/", self.pin_root()?);
        instance.symbols.values().find_map(|id| {
            let pin = self.found_map(*id).pin.as_ref()?;
            pin.as_str().strip_prefix(&folder)?.split_once("/maps/").map(|(name, _)| name.to_owned())
        })
    }

    fn recorded_name(&self, instance: &Instance, taken: &BTreeSet<String>) -> Option<String> {
        let file_name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let wanted = file_name(&self.sources[instance.file].path);
        let free = self.record()?.objects.iter().filter(|(name, _)| !taken.contains(*name));
        free.map(|(name, object)| (name, file_name(&object.path)))
            .find(|(_, path)| *path == wanted)
            .map(|(name, _)| name.clone())
    }

    fn name_programs(&mut self) {
        let mut names = Names::default();
        for (id, program) in &self.found.programs {
            let origin = program.origin.as_ref();
            let function = origin.map(|at| &self.sources[at.file].object.programs[at.program].function);
            let pinned = self.name_in("programs", program.pin.as_ref());
            let name = pinned.unwrap_or_else(|| function.unwrap_or(&program.info.name).clone());
            self.programs.insert(*id, names.take(&name));
        }
    }

    /// Finds the maps that need a table: those of others, those that several objects use, and those of which the
    /// deployment says more than the object.
    fn find_maps(&mut self) {
        let mut members: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        for (index, instance) in self.instances.iter().enumerate() {
            for (symbol, id) in &instance.symbols {
                members.entry(*id).or_default().push((index, *symbol));
            }
        }
        let mut names = Names::default();
        for (id, members) in members {
            let map = self.found_map(id);
            let (_, defined) = self.definition(members[0]);
            if matches!(defined.dialect, Dialect::Data(_)) || self.needs_no_table(map, &members) {
                continue;
            }
            let ours =
                self.name_in("maps", map.pin.as_ref()).or_else(|| self.recorded(map).map(|(name, _)| name.to_owned()));
            let pinned = map.pin.as_ref().map(|pin| pin.file_name().to_owned());
            let name = names.take(&ours.or(pinned).unwrap_or_else(|| defined.symbol.clone()));
            let mut members = members;
            // Who calls it so most likely defined it.
            members.sort_by_key(|member| self.definition(*member).1.symbol != name);
            self.maps.insert(id, Shared { name, members });
        }
    }

    fn definition(&self, (instance, symbol): (usize, usize)) -> (&Instance, &Map) {
        let instance = &self.instances[instance];
        (instance, &self.sources[instance.file].object.maps[symbol])
    }

    /// Returns whether a map is what its objects alone make it.
    fn needs_no_table(&self, map: &FoundMap, members: &[(usize, usize)]) -> bool {
        let fits = |member: &(usize, usize)| {
            let (instance, defined) = self.definition(*member);
            let place = match (defined.pinning, self.pin_root()) {
                (_, None) => None,
                (Pinning::ByName, Some(pin_root)) => Some(pin_root.join("maps").join(&defined.symbol)),
                (Pinning::GlobalNs, Some(pin_root)) => {
                    pin_root.parent().map(|bpffs| bpffs.join("tc").join("globals").join(&defined.symbol))
                }
                (Pinning::None | Pinning::ObjectNs | Pinning::Custom(_), Some(pin_root)) => {
                    let own = pin_root.join("objects").join(&instance.name).join("maps").join(&defined.symbol);
                    (members.len() == 1).then_some(own)
                }
            };
            let is_there = match (&place, self.pin_root()) {
                (Some(place), _) => map.pin.as_ref() == Some(place),
                (None, Some(_)) => false,
                // Of a foreign map with a pin the manifest says that.
                (None, None) => map.pin.is_none() && members.len() == 1,
            };
            is_there && self.sized(map, &defined.spec).is_none()
        };
        members.iter().all(fits) && self.recorded(map).is_none_or(|(_, recorded)| says_nothing(recorded))
    }

    /// Returns the capacity of a map where it is not the one that its object says.
    fn sized(&self, map: &FoundMap, defined: &MapSpec) -> Option<u32> {
        let max_entries = map.info.as_ref()?.max_entries;
        (defined.reported(self.host).max_entries != max_entries).then_some(max_entries)
    }

    /// Returns what the record says of a map.
    fn recorded(&self, map: &FoundMap) -> Option<(&str, &RecordedMap)> {
        let pin = map.pin.as_ref()?.as_str();
        let mut maps = self.record()?.maps.iter();
        maps.find(|(_, recorded)| recorded.pin.as_deref() == Some(pin))
            .map(|(name, recorded)| (name.as_str(), recorded))
    }

    fn object(&self, index: usize) -> Table {
        let instance = &self.instances[index];
        let Source { path, object } = &self.sources[instance.file];
        let mut table = Table::new("object", &instance.name);
        let unpinned = |(symbol, id): (&usize, &u32)| {
            let map = self.found_map(*id);
            let is_new = self.pin_root().is_none() && map.pin.is_none() && !self.maps.contains_key(id);
            let defined = &object.maps[*symbol];
            (is_new && !matches!(defined.dialect, Dialect::Data(_))).then(|| format!("`{}` (id {id})", defined.symbol))
        };
        let new: Vec<_> = instance.symbols.iter().filter_map(unpinned).collect();
        if !new.is_empty() {
            table.comment(format!(
                "Nobody pinned {}: applying makes such maps anew, without what they hold. `[map.NAME]` with `id = ...` \
                 would use one for as long as somebody keeps it.",
                new.join(", ")
            ));
        }
        table.set("path", quoted(path), "");
        let set = self.set(instance);
        if !set.is_empty() {
            table.set("set", inline(&set), "what its constants are, where the object has others");
        }
        let edges: Vec<_> = self.edges(index).collect();
        if !edges.is_empty() {
            table.set("maps", inline(&edges), "");
        }
        table
    }

    /// Returns the edges of an object: all but those of maps that it defines.
    fn edges(&self, index: usize) -> impl Iterator<Item = (String, String)> {
        self.maps.iter().flat_map(move |(id, shared)| {
            let is_defined = self.is_foreign(*id).is_none();
            let users = shared.members.iter().skip(usize::from(is_defined)).filter(move |(at, _)| *at == index);
            users.map(move |member| (self.definition(*member).1.symbol.clone(), quoted(&shared.name)))
        })
    }

    /// Returns the pin of a map that is somebody else's.
    fn is_foreign(&self, id: u32) -> Option<&PinPath> {
        let map = self.found.maps.get(&id)?;
        let is_recorded_as_foreign = self.recorded(map).is_some_and(|(_, recorded)| !recorded.created);
        let is_foreign = self.pin_root().is_none() || is_recorded_as_foreign;
        map.pin.as_ref().filter(|_| is_foreign)
    }

    /// Returns the constants that are not what the object says.
    fn set(&self, instance: &Instance) -> Vec<(String, String)> {
        let object = self.sources[instance.file].object;
        let Some(btf) = &object.btf else { return Vec::new() };
        let all = variables::all(object).into_iter().filter_map(|(name, place)| {
            let defined = &object.maps[place.map];
            let is_constant = defined.dialect == Dialect::Data(DataKind::Rodata) && defined.symbol != ".kconfig";
            let value =
                self.found.maps.get(instance.symbols.get(&place.map).filter(|_| is_constant)?)?.value.as_ref()?;
            let range = place.offset..place.offset.checked_add(place.size)?;
            let (now, first) = (value.get(range.clone())?, defined.data.as_ref()?.get(range)?);
            let differs = now != first;
            let decoded = differs.then(|| value::decode(btf, place.ty, now).ok()).flatten();
            decoded.map(|decoded| (name, table::value(&decoded)))
        });
        all.collect()
    }

    fn map(&self, id: u32, shared: &Shared) -> Table {
        let mut table = Table::new("map", &shared.name);
        let map = self.found_map(id);
        let (instance, defined) = self.definition(shared.members[0]);
        match (self.is_foreign(id), self.pin_root()) {
            (Some(pin), _) => {
                table.comment(format!("Somebody else's map, id {id}: used, and left to its owner."));
                table.set("pinned", quoted(pin.as_str()), "");
                return table;
            }
            (None, None) => table.comment(format!(
                "Several programs share map id {id}, which nobody pinned: applying makes a new one, without what it holds. \
                 `id = {id}` would use it for as long as somebody keeps it."
            )),
            (None, Some(_)) => {}
        }
        table.set("from", quoted(&format!("{}:{}", instance.name, defined.symbol)), "");
        let usual = self.pin_root().map(|pin_root| pin_root.join("maps").join(&shared.name));
        if let (Some(pin), Some(usual)) = (&map.pin, usual)
            && *pin != usual
        {
            table.set("pin", quoted(pin.as_str()), "");
        }
        if let Some(max_entries) = self.sized(map, &defined.spec) {
            table.set("max_entries", max_entries.to_string(), "");
        }
        if let Some((_, recorded)) = self.recorded(map) {
            recorded_keys(&mut table, recorded);
        }
        table
    }

    /// Lists pinned maps that no program here is known to use.
    fn foreign_maps(&self) -> impl Iterator<Item = Table> {
        let mut names = Names::of(self.maps.values().map(|shared| shared.name.as_str()));
        let used: BTreeSet<u32> =
            self.instances.iter().flat_map(|instance| instance.symbols.values().copied()).collect();
        let others = self.found.maps.iter().filter(move |(id, map)| !used.contains(id) && map.pin.is_some());
        others.filter_map(move |(id, map)| {
            let pin = map.pin.as_ref()?;
            let ours = self.name_in("maps", Some(pin));
            let MapInfo { map_type, key_size, value_size, max_entries, .. } = map.info.as_ref()?;
            let name = ours.clone().unwrap_or_else(|| names.take(pin.file_name()));
            let mut table = Table { is_off: true, ..Table::new("map", &name) };
            let users = self.users(*id);
            table.comment(format!("Map id {id}, which {users}: {map_type}, {key_size} B to {value_size} B."));
            match ours {
                None => table.set("pinned", quoted(pin.as_str()), ""),
                Some(_) if *map_type == MapType::PROG_ARRAY => return None,
                Some(_) => {
                    table.set("type", quoted(&map_type.to_string()), "");
                    let sizes = [("key_size", key_size), ("value_size", value_size), ("max_entries", max_entries)];
                    sizes.into_iter().for_each(|(key, size)| table.set(key, size.to_string(), ""));
                }
            }
            Some(table)
        })
    }

    /// Says which programs use a map, of which no object is known.
    fn users(&self, id: u32) -> String {
        let using = self.found.programs.iter().filter(|(_, program)| program.info.map_ids.contains(&id));
        let using: Vec<_> = using.map(|(id, program)| format!("`{}` (id {id})", program.info.name)).collect();
        match using.as_slice() {
            [] => "no program is known to use".to_owned(),
            [one] => format!("program {one} uses"),
            several => format!("programs {} use", several.join(", ")),
        }
    }

    fn program(&self, id: u32, program: &FoundProgram) -> Table {
        let FoundProgram { info, pin, origin } = program;
        let name = &self.programs[&id];
        let instance = self.of_program.get(&id).map(|at| &self.instances[*at]);
        let mut table = Table { is_off: instance.is_none(), ..Table::new("program", name) };
        let tag = hex(&info.tag);
        let place = pin.as_ref().map(|pin| format!(", pinned at {pin}")).unwrap_or_default();
        let Some((instance, origin)) = instance.zip(origin.as_ref()) else {
            table.comment(format!("Program id {id} `{}`: {}, tag {tag}{place}.", info.name, info.program_type));
            let why = match origin {
                Some(at) => format!("`{}` has a function of this name with other code.", self.sources[at.file].path),
                None => "No object that was given has it: --objects names more of them.".to_owned(),
            };
            table.comment(why);
            table.set("from", quoted(&format!("OBJECT:{}", info.name)), "");
            return table;
        };
        let known = &self.sources[origin.file].object.programs[origin.program];
        if self.pin_root().is_none() {
            table.comment(format!("The same code as program id {id}{place}; a new one of it."));
        }
        table.set("from", quoted(&format!("{}:{}", instance.name, known.function)), "");
        if known.kind.as_ref().is_none_or(|kind| kind.program_type != info.program_type) {
            table.set("type", quoted(&info.program_type.to_string()), "");
        }
        let usual = self.pin_root().map(|pin_root| pin_root.join("programs").join(name));
        if let (Some(pin), Some(usual)) = (pin, usual)
            && *pin != usual
        {
            table.set("pin", quoted(pin.as_str()), "");
        }
        let recorded = self.record().and_then(|record| record.programs.get(name));
        if let Some(recorded) = recorded {
            guard_keys(&mut table, recorded.protect.is_some(), &recorded.access);
        }
        table
    }

    fn links(&self) -> impl Iterator<Item = Table> {
        let mut names = Names::default();
        self.found.attached.iter().map(move |attached| {
            let program = self.programs.get(&attached.program_id);
            let is_known = attached.program_id == 0 || self.of_program.contains_key(&attached.program_id);
            let applies = match attached.effect {
                Effect::None | Effect::TakesOver => true,
                Effect::Beside | Effect::Blocked => false,
            };
            let is_off = !is_known || !applies || attached.hook.is_none();
            let mut table = Table { is_off, ..Table::new("link", &names.take(&attached.name)) };
            let is_ours = attached.effect == Effect::None;
            if !is_ours {
                table.comment(format!("{}: {}", attached.words, effect(attached.effect)));
            }
            if let Some(program) = program {
                table.set("program", quoted(program), "");
            }
            match &attached.hook {
                Some((hook, interfaces)) => {
                    let (key, entries) = written(hook, interfaces);
                    table.set(key, inline(&entries), "");
                }
                None if is_ours => table.comment(format!("{}: its hook is to be said by hand.", attached.words)),
                None => table.comment("Its hook is to be said by hand."),
            }
            if let Some(recorded) = self.record().and_then(|record| record.links.get(&attached.name)) {
                recorded_link(&mut table, recorded);
            }
            table
        })
    }
}

/// Says what applying a link would do.
fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::None => "ours",
        Effect::TakesOver => "ours takes its place at once, which needs `--allow takeover`.",
        Effect::Beside => "ours would come beside it, and both would run, until its owner detaches it.",
        Effect::Blocked => {
            "the hook has room for one, and nothing takes a link's place: its owner has to detach it first."
        }
    }
}

/// Returns whether a record says no more of a map than its pin.
fn says_nothing(recorded: &RecordedMap) -> bool {
    let plain = recorded.entries.is_none() && !recorded.sensitive && recorded.formats.is_empty();
    plain && recorded.created && recorded.protect.is_none() && recorded.access.is_empty()
}

/// Writes what a deployment said of a map, as far as its record tells.
fn recorded_keys(table: &mut Table, recorded: &RecordedMap) {
    guard_keys(table, recorded.protect.is_some(), &recorded.access);
    if recorded.sensitive {
        table.set("sensitive", "true", "");
    }
    if let Some(entries) = &recorded.entries {
        let mode = quoted(&entries.mode.to_string());
        let without = match entries.mode {
            EntriesMode::Exact | EntriesMode::ExactKeys => "without them the map keeps what it has",
            EntriesMode::Merge | EntriesMode::MergeKeys => "without them they are removed",
            EntriesMode::Seed => "they count when the map is made anew",
        };
        table.comment(format!("The manifest had entries for it, which are to be written here: {without}."));
        table.suggest("entries", "\"FILE\"", "`bpfapply show NAME map.X` shows what it holds");
        table.suggest("entries_mode", mode, "");
    }
    if !recorded.formats.is_empty() {
        table.comment("The manifest had formats for its keys or values (`key_format`, `value_format`).");
    }
}

fn recorded_link(table: &mut Table, recorded: &RecordedLink) {
    if recorded.order.is_some() {
        table.comment("The manifest said its place among others (`order`).");
    }
    guard_keys(table, recorded.protect.is_some(), &recorded.access);
}

fn guard_keys(table: &mut Table, is_protected: bool, access: &Access) {
    if is_protected {
        table.set("protect", "true", "");
    }
    if let Some(mode) = access.mode {
        table.set("mode", quoted(&octal(mode)), "");
    }
    for (key, account) in [("owner", &access.owner), ("group", &access.group)] {
        if let Some(account) = account {
            table.set(key, quoted(&account.to_string()), "");
        }
    }
}
