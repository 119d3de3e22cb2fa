//! From the manifest and its parsed objects to [`Desired`]: which kernel map stands behind each symbol, which
//! programs are needed, and whether everybody who shares a map agrees on it. Pure; all problems together.

use super::attach::{self, Aim};
use super::contents::{self, Takes};
use super::events;
use super::identity;
use super::variables::{self, NotFound};
use super::{
    Anchor, Desired, DesiredLink, DesiredMap, DesiredProgram, DesiredTemplate, EntryFile, Files, Hook, MapDefinition,
    MapSource, MapUse, ObjectFile, Policy, SlotKey, SlotSource, Span, Template,
};
use crate::btf::value::Value;
use crate::btf::value::format::Formats;
use crate::diag::{Kind, Problem, Problems, Size, similar};
use crate::elf::{self, DataKind, Dialect, Pinning, ProgramKind, Refusal, SlotTarget};
use crate::insn::Code;
use crate::kinds::{AttachType, MapType, ProgramType};
use crate::manifest::{self, Attach, Manifest, SymbolRef};
use crate::names::{Digest, LinkName, MapName, ObjectName, PinPath, ProgramName};
use crate::parallel;
use crate::route::Lwt;
use crate::spec::{Compare, Host, differences, flags};
use crate::variables::Variable;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

/// Tells what must be known of the kernel: by the programs that the manifest names, those that slots may hold, and the
/// structs of functions.
pub fn needs(manifest: &Manifest, Files { objects: files, .. }: &Files) -> elf::Needs {
    let mut needs = elf::Needs::default();
    for program in manifest.programs.values() {
        let (name, function) = &program.from.value;
        let Some(ObjectFile { object, .. }) = files.get(name) else { continue };
        let named = object.programs.iter().find(|known| known.is_named(function));
        needs.extend(attach::needs(object, &said_kind(program, named.and_then(|known| known.kind.as_ref()))));
    }
    for (_, object, map) in defining(manifest, files) {
        if map.dialect == Dialect::StructOps {
            needs.extend(object.struct_ops_needs());
        }
    }
    for (name, programs) in wanted(manifest, files) {
        let (file, object) = (&files[&name], &files[&name].object);
        for index in programs.into_keys() {
            needs.extend(beyond(file, index));
            if let Some(kind) = &object.programs[index].kind {
                needs.extend(attach::needs(object, kind));
                // A kprobe without a version of its own gets the kernel's.
                needs.version |= kind.program_type == ProgramType::KPROBE;
            }
        }
    }
    needs
}
/// Lists the maps of objects that the manifest names as the definitions of its own.
fn defining<'a>(
    manifest: &'a Manifest,
    files: &'a BTreeMap<ObjectName, ObjectFile>,
) -> impl Iterator<Item = (&'a ObjectName, &'a elf::Object, &'a elf::Map)> {
    manifest.maps.values().filter_map(|map| {
        let manifest::MapSource::From(from) = &map.source else { return None };
        let (name, symbol) = &from.value;
        let object = &*files.get(name)?.object;
        Some((name, object, &object.maps[symbol.find(&object.maps)?]))
    })
}

/// How many tables of the manifest name a program, by its index in its object.
type Tables = BTreeMap<usize, usize>;

/// Lists the programs that the manifest names, and those that slots may hold, for which no table has to be there.
fn wanted(manifest: &Manifest, files: &BTreeMap<ObjectName, ObjectFile>) -> BTreeMap<ObjectName, Tables> {
    let mut wanted: BTreeMap<ObjectName, Tables> = BTreeMap::new();
    for program in manifest.programs.values() {
        let (name, function) = &program.from.value;
        let Some(ObjectFile { object, .. }) = files.get(name) else { continue };
        let of_object = wanted.entry(name.clone()).or_insert_with(|| called(object));
        if let Some(index) = object.program_named(function) {
            *of_object.entry(index).or_default() += 1;
        }
    }
    // What is in a slot may lead to any other one of the object.
    for (name, object, map) in defining(manifest, files).filter(|(_, _, map)| !map.slots.is_empty()) {
        let of_object = wanted.entry(name.clone()).or_insert_with(|| called(object));
        for program in programs_in(map) {
            of_object.entry(program).or_default();
        }
    }
    wanted
}

/// Lists what the slots of an object's maps hold, but for structs of functions, which only the manifest asks for.
fn called(object: &elf::Object) -> Tables {
    let maps = object.maps.iter().filter(|map| map.dialect != Dialect::StructOps);
    maps.flat_map(programs_in).map(|program| (program, 0)).collect()
}

/// Returns what a program is for as far as the manifest and its section's name say it.
fn said_kind(program: &manifest::Program, of_section: Option<&ProgramKind>) -> ProgramKind {
    let mut kind = match (&program.program_type, of_section) {
        (Some(said), Some(kind)) if kind.program_type != said.value => ProgramKind::of(said.value),
        (Some(said), None) => ProgramKind::of(said.value),
        (_, Some(kind)) => kind.clone(),
        (None, None) => ProgramKind::of(ProgramType::UNSPEC),
    };
    if let Some(said) = &program.attach_type {
        kind.attach_type = Some(said.value);
    }
    if let Some(manifest::ProgramTarget::Kernel(name)) = program.target.as_ref().map(|target| &target.value) {
        kind.target = Some(name.clone());
    }
    kind
}

/// Tells what a program needs to know of the kernel beyond what comes with its object.
fn beyond(file: &ObjectFile, program: usize) -> elf::Needs {
    let needs = file.object.needs(program);
    match file.types {
        Some(_) => elf::Needs { core: false, candidates: BTreeSet::new(), ..needs },
        None => needs,
    }
}

/// Lists the programs in a map's slots, as indices.
fn programs_in(map: &elf::Map) -> impl Iterator<Item = usize> {
    map.slots.iter().filter_map(|slot| match slot.target {
        SlotTarget::Program(index) => Some(index),
        SlotTarget::Map(_) => None,
    })
}

/// Resolves a manifest. `files` has every object and every file of entries that the manifest names; the code of an object
/// is given back as soon as it is linked. `bpffs` is the mount that holds the pin root; programs are linked for `target`.
pub fn resolve(
    manifest: &Manifest,
    mut files: Files,
    bpffs: &PinPath,
    host: &Host,
    target: &elf::Target,
) -> Result<Desired, Problems> {
    let (maps, programs, (links, templates)) = resolved(manifest, &mut files, bpffs, host, target)?;
    // What comes next takes the room of the parsed files.
    let origin = |(name, file): (ObjectName, ObjectFile)| {
        let ObjectFile { path, sha256, object, .. } = file;
        (name, identity::Origin { path, sha256, btf: object.btf.clone() })
    };
    let origins = files.objects.into_iter().map(origin).collect();
    let (objects, programs) = identity::seal(origins, &maps, programs);
    Ok(Desired {
        name: manifest.name.clone(),
        pin_root: manifest.pin_root.clone(),
        bpffs: bpffs.clone(),
        objects,
        maps: maps.into_iter().map(|(name, map)| (name, Arc::new(map))).collect(),
        programs,
        links,
        templates,
        absent: Vec::new(),
        policy: Policy::of(manifest),
    })
}

/// What a manifest means, but for the fingerprints of its programs.
type Resolved = (BTreeMap<MapName, DesiredMap>, identity::Programs, Links);

/// Links, and tables of them of which the host decides.
type Links = (BTreeMap<LinkName, Arc<DesiredLink>>, BTreeMap<LinkName, DesiredTemplate>);

fn resolved(
    manifest: &Manifest,
    Files { objects: files, entries }: &mut Files,
    bpffs: &PinPath,
    host: &Host,
    target: &elf::Target,
) -> Result<Resolved, Problems> {
    let own_targets = own_targets(files, target);
    let target_of = |name: &ObjectName| own_targets.get(name).unwrap_or(target);
    let linked = link_wanted(manifest, files, target_of);
    let files = &*files;
    let mut resolver = Resolver {
        manifest,
        files,
        entries,
        bpffs,
        host,
        target,
        linked,
        problems: Problems::default(),
        assigned: BTreeMap::new(),
        data: BTreeMap::new(),
        variables: BTreeMap::new(),
        maps: BTreeMap::new(),
        behind: HashMap::new(),
        pins: HashMap::new(),
        programs: BTreeMap::new(),
        queue: VecDeque::new(),
    };
    resolver.assign_symbols();
    resolver.licenses();
    resolver.set_variables();
    resolver.declared_maps();
    resolver.declared_programs();
    resolver.needed_programs();
    resolver.extensions();
    resolver.inner_templates();
    let links = resolver.links();
    resolver.agree();
    resolver.problems.or((resolver.maps, resolver.programs, links))
}

/// A map symbol: the object and the index in its list of maps.
type MapKey = (ObjectName, usize);

struct Resolver<'a> {
    manifest: &'a Manifest,
    files: &'a BTreeMap<ObjectName, ObjectFile>,
    entries: &'a BTreeMap<MapName, EntryFile>,
    bpffs: &'a PinPath,
    host: &'a Host,
    target: &'a elf::Target,
    linked: BTreeMap<ObjectName, Vec<Linked>>,
    problems: Problems,
    /// What the manifest says a symbol is, and where it says so.
    assigned: BTreeMap<MapKey, (MapName, Span)>,
    /// The first contents of data sections, with the manifest's variables set.
    data: BTreeMap<MapKey, Vec<u8>>,
    /// The variables in each that the manifest sets.
    variables: BTreeMap<MapKey, BTreeMap<String, Variable>>,
    maps: BTreeMap<MapName, DesiredMap>,
    /// The maps behind the symbols that somebody asked for.
    behind: HashMap<MapKey, MapName>,
    /// The first map that has each pin.
    pins: HashMap<PinPath, MapName>,
    programs: identity::Programs,
    /// Programs that slots need and that are not resolved yet: object, index, the map that has the slot.
    queue: VecDeque<(ObjectName, usize, MapName)>,
}

/// A program that is linked, or cannot be.
struct Linked {
    /// Its index in the object.
    index: usize,
    /// How many tables of the manifest have not taken it yet.
    tables: usize,
    /// Whether it depends on what nobody knows, since no kernel was asked.
    unsettled: bool,
    code: Result<Code, Vec<elf::Error>>,
}

impl Linked {
    /// Takes the code; the last table that does so gets it as it is. What is wrong with it is told once to each.
    fn take(&mut self) -> Result<Code, Vec<elf::Error>> {
        if self.tables > 1 {
            self.tables -= 1;
            return self.code.clone();
        }
        std::mem::replace(&mut self.code, Err(Vec::new()))
    }
}

/// How much code makes it worth while to start one more thread that links it, by [`elf::Object::weight`].
const LINKED_PER_THREAD: usize = 8192;

/// Links every program that is wanted, one object after the other on each core, and gives back the code that they are
/// made from: all objects of a manifest have twice as much of it as its programs.
fn link_wanted<'a>(
    manifest: &Manifest,
    files: &mut BTreeMap<ObjectName, ObjectFile>,
    target_of: impl Fn(&ObjectName) -> &'a elf::Target + Sync,
) -> BTreeMap<ObjectName, Vec<Linked>> {
    let wanted = wanted(manifest, files);
    let weight: usize = wanted.keys().map(|name| files[name].object.weight()).sum();
    let linked = parallel::map(files, weight / LINKED_PER_THREAD, |(name, file)| {
        let linked = wanted.get(name).map(|programs| link(file, programs, target_of(name)));
        // Whoever else has the object may want to link it, too.
        if let Some(object) = Arc::get_mut(&mut file.object) {
            object.drop_code();
        }
        Ok::<_, Infallible>((name.clone(), linked.unwrap_or_default()))
    });
    linked.unwrap_or_else(|(_, never)| match never {}).into_iter().collect()
}

fn link(file: &ObjectFile, programs: &Tables, target: &elf::Target) -> Vec<Linked> {
    let mut linking = file.object.linking(target);
    let linked = programs.iter().map(|(index, tables)| Linked {
        index: *index,
        tables: *tables,
        unsettled: target.offline && beyond(file, *index) != elf::Needs::default(),
        code: linking.link(*index),
    });
    linked.collect()
}

/// Makes the targets of the objects that the manifest gives types.
fn own_targets(files: &BTreeMap<ObjectName, ObjectFile>, target: &elf::Target) -> BTreeMap<ObjectName, elf::Target> {
    let with_types = files.iter().filter_map(|(name, file)| Some((name.clone(), file.types.clone()?)));
    with_types.map(|(name, types)| (name, elf::Target { core: Some(types), ..target.clone() })).collect()
}

impl<'a> Resolver<'a> {
    /// Finds what became of a program that is wanted.
    fn linked(&mut self, object: &ObjectName, program: usize) -> &mut Linked {
        let linked = self.linked.get_mut(object).and_then(|all| all.iter_mut().find(|it| it.index == program));
        linked.expect("whatever a table or a slot names was linked")
    }

    fn object(&self, name: &ObjectName) -> &'a elf::Object {
        &self.files[name].object
    }

    /// Reads every `from` and every edge: which symbol is which map of the manifest.
    fn assign_symbols(&mut self) {
        for (name, map) in &self.manifest.maps {
            if let manifest::MapSource::From(from) = &map.source {
                let (object, symbol) = &from.value;
                self.assign(object, symbol, name, from.span.clone());
            }
        }
        for (name, object) in &self.manifest.objects {
            for (symbol, map) in &object.edges {
                let Some(index) = self.find_symbol(name, &symbol.value, symbol.span.clone()) else { continue };
                if let Dialect::Data(_) = self.object(name).maps[index].dialect {
                    let kind = Kind::EdgeToData { symbol: self.object(name).maps[index].symbol.clone() };
                    self.problems.push(Problem::at(kind, symbol.span.clone(), "a data section"));
                    continue;
                }
                self.assign_index(name, index, &map.value, symbol.span.clone());
            }
        }
    }

    fn assign(&mut self, object: &ObjectName, symbol: &SymbolRef, map: &MapName, span: Span) {
        if let Some(index) = self.find_symbol(object, symbol, span.clone()) {
            self.assign_index(object, index, map, span);
        }
    }

    fn assign_index(&mut self, object: &ObjectName, index: usize, map: &MapName, span: Span) {
        let key = (object.clone(), index);
        let Some((other, first)) = self.assigned.get(&key) else {
            self.assigned.insert(key, (map.clone(), span));
            return;
        };
        let symbol = format!("{object}:{}", self.object(object).maps[index].symbol);
        // In the order in which they are read.
        let mut both = [(first.clone(), other.clone()), (span, map.clone())];
        both.sort_by_key(|(span, _)| span.start);
        let [(first, one), (second, two)] = both;
        let (here, there) = (format!("here it is map.{one}"), format!("and here map.{two}"));
        let kind = Kind::SymbolTwice { symbol, maps: vec![one, two] };
        let problem = Problem::at(kind, first, here).and(second, there);
        self.problems.push(problem);
    }

    fn find_symbol(&mut self, object: &ObjectName, symbol: &SymbolRef, span: Span) -> Option<usize> {
        let maps = &self.object(object).maps;
        let found = symbol.find(maps);
        if found.is_none() {
            let kind = Kind::NoSuchMap {
                object: object.clone(),
                symbol: symbol.to_string(),
                similar: match symbol {
                    SymbolRef::Name(name) => similar(name, maps.iter().map(|map| map.symbol.as_str())),
                    SymbolRef::Index(_) => None,
                },
                has: maps.iter().map(|map| map.symbol.clone()).collect(),
            };
            self.problems.push(Problem::at(kind, span, "no map of the object has this name"));
        }
        found
    }

    /// Puts the manifest's values into the objects' variables.
    fn set_variables(&mut self) {
        for (name, table) in &self.manifest.objects {
            let Some(file) = self.files.get(name) else { continue };
            for (index, map) in file.object.maps.iter().enumerate() {
                if let Some(data) = &map.data {
                    self.data.insert((name.clone(), index), data.clone());
                }
            }
            if let Some((index, data)) = file.object.settings(self.target) {
                self.data.insert((name.clone(), index), data);
            }
            for (variable, (span, value)) in &table.set {
                self.set_variable(name, file, variable, (span, value));
            }
        }
    }

    /// Puts one value into its variable, or into a field of it.
    fn set_variable(
        &mut self,
        name: &ObjectName,
        file: &ObjectFile,
        variable: &str,
        (span, value): (&Span, &manifest::At<Value>),
    ) {
        let (place, field) = match variables::locate(&file.object, variable) {
            Ok(found) => found,
            Err(why) => {
                let (object, variable) = (name.clone(), variable.to_owned());
                let (kind, label) = match why {
                    NotFound::Unknown(similar) => {
                        (Kind::NoSuchVariable { object, variable, similar }, "no variable has this name")
                    }
                    NotFound::Several(places) => {
                        (Kind::ManyVariables { object, variable, places }, "several variables have this name")
                    }
                    NotFound::Kernels => (Kind::KernelVariable { object, variable }, "no variable of the object"),
                };
                return self.problems.push(Problem::at(kind, span.clone(), label));
            }
        };
        let key = (name.clone(), place.map);
        let btf = file.object.btf.as_ref().expect("a variable was found in BTF");
        // What it starts with, whatever was set of it before.
        let first = file.object.maps[place.map].data.as_deref().unwrap_or_default();
        let bad = |why: String, help| {
            Problem::at(Kind::BadValue { variable: variable.to_owned(), why, help }, value.span.clone(), "this value")
        };
        match variables::set(btf, (&place, variable, field), &value.value, first) {
            Ok(set) => {
                let data = self.data.get_mut(&key).expect("a variable's map has data");
                let known = self.variables.entry(key).or_default();
                for (path, variable) in set {
                    variable.set.write(data);
                    if known.insert(path.clone(), variable).is_some() {
                        self.problems.push(bad(format!("`{path}` is set twice"), None));
                    }
                }
            }
            Err(error) => self.problems.push(bad(error.to_string(), error.help())),
        }
    }

    /// Makes every map that the manifest declares. All are there before the first one's contents are looked at,
    /// since these may name any other.
    fn declared_maps(&mut self) {
        let mut contents = Vec::new();
        for (name, map) in &self.manifest.maps {
            let source = match &map.source {
                manifest::MapSource::Pinned(pin) => MapSource::Pinned(pin.value.clone()),
                manifest::MapSource::Id(id) => MapSource::Id(id.value),
                manifest::MapSource::Inline { map_type, key_size, value_size } => {
                    let spec = crate::spec::MapSpec::new(map_type.value, *key_size, *value_size, 0);
                    MapSource::Defined(self.definition(name, map, spec))
                }
                manifest::MapSource::From(from) => {
                    let (object, symbol) = &from.value;
                    // A symbol that is not there was reported when symbols were assigned.
                    let Some(index) = symbol.find(&self.object(object).maps) else { continue };
                    let defined = &self.object(object).maps[index];
                    let mut definition = self.definition(name, map, defined.spec.clone());
                    let defined_by = (object.clone(), defined.symbol.clone());
                    if let (Some(value_size), size) = (&map.value_size, &mut definition.spec.value_size) {
                        match *size {
                            0 => *size = value_size.value,
                            size => {
                                let kind =
                                    Kind::ValueSizeSaid { map: name.clone(), defined_by: defined_by.clone(), size };
                                self.problems.push(Problem::at(kind, value_size.span.clone(), "another size"));
                            }
                        }
                    }
                    definition.defined_by = Some(defined_by);
                    contents.push((name.clone(), object.clone(), index));
                    MapSource::Defined(definition)
                }
            };
            self.add_map(DesiredMap { name: name.clone(), source, users: Vec::new(), span: map.span.clone() });
        }
        for (name, object, index) in contents {
            self.take_contents(&name, &object, index);
        }
        for (name, map) in &self.manifest.maps {
            if let Some(entries) = &map.entries {
                self.take_entries(name, map, entries);
            }
        }
    }

    /// Gives a map the entries of the manifest.
    fn take_entries(&mut self, name: &MapName, table: &manifest::Map, entries: &manifest::MapEntries) {
        let Some(MapSource::Defined(definition)) = self.maps.get(name).map(|map| &map.source) else { return };
        let (spec, map_type) = (&definition.spec, definition.spec.map_type);
        let target = contents::Target { name, spec, table, host: self.host, offline: self.target.offline };
        let at = |kind| vec![Problem::at(kind, entries.span.clone(), "these entries")];
        let refuse = |why| at(Kind::NoEntries { map: name.clone(), map_type, why });
        let made = match contents::takes(map_type) {
            _ if spec.flags & flags::RDONLY != 0 => {
                Err(refuse("its flag `rdonly` leaves it to programs to write to it, and to nobody else"))
            }
            Takes::Data if definition.data.is_some() => {
                Err(refuse("it holds the variables of an object, which `set` gives values"))
            }
            Takes::Data => target.contents(entries, self.entries.get(name)).map(|made| (Some(made), Vec::new())),
            Takes::Slots => target.slots(self.manifest, entries).map(|slots| (None, slots)),
            Takes::References => {
                let given = target.references(self.manifest, entries);
                given.and_then(|given| Ok((Some(target.referring(entries, given)?), Vec::new())))
            }
            Takes::Nothing(why) => Err(refuse(why)),
        };
        let (contents, slots) = match made {
            Ok(made) => made,
            Err(problems) => return self.problems.0.extend(problems),
        };
        if let Some(MapSource::Defined(definition)) = self.maps.get_mut(name).map(|map| &mut map.source) {
            definition.contents = contents.map(Box::new);
            definition.slots.extend(slots);
        }
    }

    /// Makes the definition of a declared map; the manifest's overrides outrank the object.
    fn definition(&self, name: &MapName, map: &manifest::Map, mut spec: crate::spec::MapSpec) -> MapDefinition {
        if let Some(max_entries) = &map.max_entries {
            spec.max_entries = max_entries.value;
        }
        if let Some(flags) = &map.flags {
            spec.flags = flags.value;
        }
        if let Some(node) = &map.numa_node {
            spec.numa_node = Some(node.value);
        }
        let pin = match &map.pin {
            Some(pin) => pin.value.clone(),
            None => self.manifest.pin_root.join("maps").join(name.as_str()),
        };
        let kernel_name = identity::kernel_name(name.as_str());
        let (sensitive, adopt, on_change) = (map.sensitive, map.adopt, map.on_change);
        let [key, value] = [&map.key_format, &map.value_format].map(|at| at.as_ref().map(|at| at.value.clone()));
        let formats = Formats { key, value };
        MapDefinition { kernel_name, sensitive, formats, adopt, on_change, ..MapDefinition::empty(pin, spec) }
    }

    /// Gives a map that we define what its object says of the contents: data and slots.
    fn take_contents(&mut self, name: &MapName, object: &ObjectName, index: usize) {
        let dialect = self.object(object).maps[index].dialect;
        if dialect == Dialect::StructOps {
            return self.take_operations(name, object, index);
        }
        let slots = self.slots_of(name, object, index);
        let data = match (dialect, self.data.get(&(object.clone(), index))) {
            (Dialect::Data(kind), Some(data)) => Some((kind, data.clone().into())),
            // The variables of an arena.
            (Dialect::Btf, Some(data)) => Some((DataKind::Data, data.clone().into())),
            (Dialect::Data(_) | Dialect::Btf | Dialect::BpfMapDef | Dialect::BpfElfMap | Dialect::StructOps, _) => None,
        };
        if let Some(MapSource::Defined(definition)) = self.maps.get_mut(name).map(|map| &mut map.source) {
            (definition.data, definition.slots) = (data, slots);
            definition.variables = self.variables.get(&(object.clone(), index)).cloned().unwrap_or_default();
        }
    }

    /// Gives a struct of functions the kernel's layout, and its programs.
    fn take_operations(&mut self, name: &MapName, object: &ObjectName, index: usize) {
        let span = self.maps[name].span.clone();
        let parsed = self.object(object);
        let operations = match parsed.operations(index, self.target) {
            Ok(operations) => operations,
            Err(errors) => {
                for error in errors {
                    let kind = Kind::Object { path: self.files[object].path.clone(), error };
                    self.problems.push(Problem::at(kind, span.clone(), "this map needs it"));
                }
                return;
            }
        };
        let functions = operations.functions.iter();
        let slots = functions.map(|(byte, program)| {
            (SlotKey::index(*byte), SlotSource::Program(self.program_of(object, *program, name)))
        });
        let slots = slots.collect();
        let Some(MapSource::Defined(definition)) = self.maps.get_mut(name).map(|map| &mut map.source) else { return };
        definition.spec.value_size = u32::try_from(operations.bytes.len()).unwrap_or(u32::MAX);
        if operations.module.is_some() {
            definition.spec.flags |= flags::VTYPE_BTF_OBJ_FD;
        }
        (definition.operations, definition.slots) = (Some(operations.into()), slots);
        if definition.spec.flags & flags::LINK == 0 {
            let kind = Kind::RegistersAtOnce { map: name.clone() };
            self.problems.push(Problem::at(kind, span, "this map"));
        }
    }

    /// Resolves what an object says of a map's slots.
    fn slots_of(&mut self, name: &MapName, object: &ObjectName, index: usize) -> BTreeMap<SlotKey, SlotSource> {
        let slots = self.object(object).maps[index].slots.clone();
        let source = |resolver: &mut Self, target: SlotTarget| match target {
            SlotTarget::Map(target) => SlotSource::Map(resolver.map_of(object, target)),
            SlotTarget::Program(target) => SlotSource::Program(resolver.program_of(object, target, name)),
        };
        slots.into_iter().map(|slot| (SlotKey::index(slot.index), source(self, slot.target))).collect()
    }

    /// Adds the slots that a user of the map fills to those of its owner. Only one of them can fill a slot, and
    /// nobody fills those of a map that is somebody else's.
    fn add_slots(&mut self, name: &MapName, object: &ObjectName, index: usize, span: &Span) {
        for (slot, source) in self.slots_of(name, object, index) {
            let map = self.maps.get_mut(name).expect("a map that is used is there");
            let taken = match &mut map.source {
                MapSource::Defined(definition) => match definition.slots.get(&slot) {
                    None => {
                        definition.slots.insert(slot, source);
                        continue;
                    }
                    Some(other) if *other == source => continue,
                    Some(other) => Some(other.to_string()),
                },
                MapSource::Pinned(_) | MapSource::Id(_) => None,
            };
            let slot = slot.to_string();
            let kind = Kind::SlotTaken { map: name.clone(), slot, object: object.clone(), by: taken };
            let problem = Problem::at(kind, span.clone(), "this object fills it").and(map.span.clone(), "the map");
            self.problems.push(problem);
        }
    }

    /// Returns the map behind a symbol. Every program of an object asks for the same ones.
    fn map_of(&mut self, object: &ObjectName, index: usize) -> MapName {
        let key = (object.clone(), index);
        if let Some(known) = self.behind.get(&key) {
            return known.clone();
        }
        let name = self.find_map(object, index);
        self.behind.insert(key, name.clone());
        name
    }

    /// Finds the map behind a symbol: by the manifest, by the object's own pinning attribute, or a private one.
    fn find_map(&mut self, object: &ObjectName, index: usize) -> MapName {
        if let Some((name, span)) = self.assigned.get(&(object.clone(), index)).cloned() {
            self.note_use(&name, object, index, span);
            return name;
        }
        let map = &self.object(object).maps[index];
        let (symbol, pinning, spec) = (map.symbol.clone(), map.pinning, map.spec.clone());
        let span = self.manifest.objects[object].span.clone();
        let private = MapName::private(object, &symbol);
        let (name, pin) = match pinning {
            Pinning::None => (private, self.private_pin(object, "maps", &symbol)),
            Pinning::ByName => (private, self.manifest.pin_root.join("maps").join(&symbol)),
            Pinning::GlobalNs => (private, self.bpffs.join("tc").join("globals").join(&symbol)),
            Pinning::ObjectNs => {
                let folder = self.files[object].sha1.as_deref().expect("the object has such a map");
                (private, self.bpffs.join("tc").join(folder).join(&symbol))
            }
            Pinning::Custom(number) => {
                let kind = Kind::UnknownPinning { object: object.clone(), symbol: symbol.clone(), number };
                self.problems.push(Problem::at(kind, span.clone(), "of this object"));
                (private, self.private_pin(object, "maps", &symbol))
            }
        };
        // Two objects that say the same pin mean the same map: the first, by name, owns it.
        if let Some(owner) = self.pins.get(&pin).cloned() {
            self.note_use(&owner, object, index, span);
            return owner;
        }
        self.split_share(pinning, object, &symbol, &span);
        // By name, the map is called as all its users call it, unless the manifest uses that name for another one.
        let name = match (pinning, MapName::new(&symbol)) {
            (Pinning::ByName | Pinning::GlobalNs, Ok(short))
                if !self.maps.contains_key(&short) && !self.manifest.maps.contains_key(&short) =>
            {
                short
            }
            _ => name,
        };
        let kernel_name = match map_is_data(self.object(object), index) {
            true => identity::data_name(object.as_str(), &symbol),
            false => identity::kernel_name(&symbol),
        };
        let defined_by = Some((object.clone(), symbol));
        let definition = MapDefinition { kernel_name, defined_by, ..MapDefinition::empty(pin, spec) };
        let source = MapSource::Defined(definition);
        self.add_map(DesiredMap { name: name.clone(), source, users: Vec::new(), span });
        self.take_contents(&name, object, index);
        name
    }

    fn add_map(&mut self, map: DesiredMap) {
        if let Some(pin) = map.pin() {
            self.pins.entry(pin.clone()).or_insert_with(|| map.name.clone());
        }
        self.maps.insert(map.name.clone(), map);
    }

    /// Returns the pin of what only its object knows.
    fn private_pin(&self, object: &ObjectName, what: &str, name: &str) -> PinPath {
        self.manifest.pin_root.join("objects").join(object.as_str()).join(what).join(name)
    }

    /// Refuses a map that objects share by a pinning attribute when the manifest takes one of them elsewhere:
    /// the other would silently get a map of its own.
    fn split_share(&mut self, pinning: Pinning, object: &ObjectName, symbol: &str, span: &Span) {
        if pinning != Pinning::ByName && pinning != Pinning::GlobalNs {
            return;
        }
        let split = self.assigned.iter().find(|((other, index), _)| {
            let map = &self.object(other).maps[*index];
            other != object && map.symbol == symbol && map.pinning == pinning
        });
        if let Some(((other, _), (map, place))) = split {
            let kind = Kind::SplitShare {
                symbol: symbol.to_owned(),
                object: object.clone(),
                other: other.clone(),
                map: map.clone(),
            };
            let problem = Problem::at(kind, place.clone(), format!("here object.{other} gets map.{map}"))
                .and(span.clone(), "this object would get a map of its own");
            self.problems.push(problem);
        }
    }

    /// Remembers that an object takes `name` for what its own definition says, unless that defines the map.
    fn note_use(&mut self, name: &MapName, object: &ObjectName, index: usize, span: Span) {
        let map = &self.object(object).maps[index];
        let Some(desired) = self.maps.get_mut(name) else { return };
        let defines = match &desired.source {
            MapSource::Defined(definition) => {
                definition.defined_by.as_ref().is_some_and(|(owner, of)| owner == object && *of == map.symbol)
            }
            MapSource::Pinned(_) | MapSource::Id(_) => false,
        };
        let known = desired.users.iter().any(|user| user.object == *object && user.symbol == map.symbol);
        if !defines && !known {
            let (symbol, spec) = (map.symbol.clone(), map.spec.clone());
            desired.users.push(MapUse { object: object.clone(), symbol, spec, span: span.clone() });
            self.add_slots(name, object, index, &span);
        }
    }

    /// Resolves every program that the manifest declares.
    fn declared_programs(&mut self) {
        for (name, program) in &self.manifest.programs {
            let (object, function) = &program.from.value;
            let parsed = self.object(object);
            let Some(index) = parsed.program_named(function) else {
                let programs = &parsed.programs;
                let kind = Kind::NoSuchProgram {
                    object: object.clone(),
                    function: function.clone(),
                    similar: similar(function, programs.iter().map(|known| known.function.as_str())),
                    has: programs.iter().map(|known| known.function.clone()).collect(),
                };
                self.problems.push(Problem::at(kind, program.from.span.clone(), "no function has this name"));
                continue;
            };
            let Some(kind) = self.declared_kind(object, index, program) else { continue };
            let target = program.target.as_ref();
            let place = target.map_or(&program.from.span, |target| &target.span).clone();
            let Some(aim) = self.aim(function, kind, target.map(|target| &target.value), place) else { continue };
            let pin = match &program.pin {
                Some(pin) => pin.value.clone(),
                None => self.manifest.pin_root.join("programs").join(name.as_str()),
            };
            self.program(name.clone(), pin, object, index, aim, program.from.span.clone());
        }
    }

    /// Returns what a program is for, or says why that cannot be.
    fn aim(
        &mut self,
        function: &str,
        kind: ProgramKind,
        said: Option<&manifest::ProgramTarget>,
        span: Span,
    ) -> Option<Aim> {
        match attach::aim(kind, said) {
            Ok(aim) => Some(aim),
            Err(why) => {
                self.not_loadable(function, why.into(), span);
                None
            }
        }
    }

    fn not_loadable(&mut self, function: &str, refusal: Refusal, span: Span) {
        let kind = Kind::NotLoadable { function: function.to_owned(), refusal };
        self.problems.push(Problem::at(kind, span, "this program"));
    }

    /// Returns the program's kind: by the manifest, or by the section's name, or why there is none.
    fn declared_kind(&mut self, object: &ObjectName, index: usize, table: &manifest::Program) -> Option<ProgramKind> {
        let program = &self.object(object).programs[index];
        let of_section = program.kind.clone();
        let section = program.section.clone();
        let known = match (&table.program_type, of_section) {
            (Some(said), Some(kind)) if kind.program_type == said.value => Some(kind),
            (Some(said), _) => Some(ProgramKind::of(said.value)),
            (None, Some(kind)) => Some(kind),
            (None, None) => self.slot_kind(object, index),
        };
        let mut kind = match known {
            Some(kind) => kind,
            None => {
                let kind = Kind::UnknownSection { section };
                self.problems.push(Problem::at(kind, table.from.span.clone(), "this function stands in it"));
                return None;
            }
        };
        if let Some(said) = &table.attach_type {
            kind.attach_type = Some(said.value);
        }
        if let Some(said) = &table.flags {
            kind.flags = said.value;
        }
        Some(kind)
    }

    /// A program in a slot of its own object's prog array has the type of the programs that call it by that array:
    /// sections named `ID/INDEX` say no type, and the kernel allows only one type in an array.
    fn slot_kind(&mut self, object: &ObjectName, index: usize) -> Option<ProgramKind> {
        let parsed = self.object(object);
        let holds = |map: &elf::Map| map.slots.iter().any(|slot| slot.target == SlotTarget::Program(index));
        let arrays: Vec<usize> = (0..parsed.maps.len()).filter(|at| holds(&parsed.maps[*at])).collect();
        if arrays.is_empty() {
            // Linking all its neighbours, to learn who calls it, is not for nothing.
            return None;
        }
        let manifest = self.manifest;
        let callers = manifest.programs.iter().filter_map(|(name, program)| {
            let (from, function) = &program.from.value;
            if from != object {
                return None;
            }
            let at = parsed.program_named(function)?;
            let calls = match self.programs.get(name) {
                Some(resolved) => resolved.maps.iter().any(|(map, _)| arrays.contains(map)),
                None => {
                    let code = self.linked(object, at).code.as_ref();
                    code.is_ok_and(|code| code.maps().iter().any(|map| arrays.contains(map)))
                }
            };
            if !calls {
                return None;
            }
            match &program.program_type {
                Some(said) => Some(ProgramKind::of(said.value)),
                None => parsed.programs[at].kind.clone(),
            }
        });
        let kinds: Vec<ProgramKind> = callers.collect();
        let first = kinds.first()?;
        kinds.iter().all(|kind| kind.program_type == first.program_type).then(|| first.clone())
    }

    /// Resolves the programs that only slots need, and the ones that these need.
    fn needed_programs(&mut self) {
        while let Some((object, index, map)) = self.queue.pop_front() {
            let program = &self.object(&object).programs[index];
            let (function, section) = (program.function.clone(), program.section.clone());
            let name = ProgramName::private(&object, &function);
            if self.programs.contains_key(&name) {
                continue;
            }
            let span = self.manifest.objects[&object].span.clone();
            let kind = program.kind.clone().or_else(|| self.slot_kind(&object, index));
            let Some(kind) = kind else {
                let kind = Kind::UnknownSection { section };
                self.problems.push(Problem::at(kind, span, format!("map.{map} calls `{function}` of this object")));
                continue;
            };
            let Some(aim) = self.aim(&function, kind, None, span.clone()) else { continue };
            let pin = self.private_pin(&object, "programs", &function);
            self.program(name, pin, &object, index, aim, span);
        }
    }

    /// Checks that what an extension replaces is there. The kernel finds it by the target's own BTF.
    fn extensions(&mut self) {
        let mut missing = Vec::new();
        for (name, program) in &self.programs {
            let Some(extends) = &program.extends else { continue };
            // A program that could not be resolved was reported there.
            let Some(target) = self.programs.get(&extends.program) else { continue };
            let functions = self.functions(target);
            if functions.contains(&extends.function.as_str()) {
                continue;
            }
            let why = match functions.is_empty() {
                true => format!("program.{} has no BTF that tells its functions", extends.program),
                false => format!(
                    "program.{} has no function `{}`, only `{}`",
                    extends.program,
                    extends.function,
                    functions.join("`, `")
                ),
            };
            let said = self.manifest.programs.get(name).and_then(|table| table.target.as_ref());
            let span = said.map_or(&program.span, |target| &target.span).clone();
            missing.push((program.function.clone(), why, span));
        }
        for (function, why, span) in missing {
            self.not_loadable(&function, why.into(), span);
        }
    }

    /// Returns the names of a program's functions, the program itself first, as its BTF tells them.
    fn functions(&self, program: &DesiredProgram) -> Vec<&str> {
        let Some(btf) = self.object(&program.object).btf.as_deref() else { return Vec::new() };
        program.code.funcs.iter().filter_map(|func| btf.get(func.type_id)?.name()).collect()
    }

    /// Returns the program behind a function that a slot of `map` holds.
    fn program_of(&mut self, object: &ObjectName, index: usize, map: &MapName) -> ProgramName {
        let known = &self.object(object).programs[index];
        let function = known.function.clone();
        let declared = self.manifest.programs.iter().find(|(_, program)| {
            let (from, of) = &program.from.value;
            from == object && known.is_named(of)
        });
        match declared {
            Some((name, _)) => name.clone(),
            None => {
                self.queue.push_back((object.clone(), index, map.clone()));
                ProgramName::private(object, &function)
            }
        }
    }

    /// Links one program and finds its maps.
    fn program(
        &mut self,
        name: ProgramName,
        pin: PinPath,
        object: &ObjectName,
        index: usize,
        Aim { kind, extends }: Aim,
        span: Span,
    ) {
        let parsed = self.object(object);
        let names_kernel_type = self.target.offline && attach::names_kernel_type(kind.program_type);
        let linked = self.linked(object, index);
        let unsettled = linked.unsettled || names_kernel_type;
        let code = match linked.take() {
            Ok(code) => code,
            Err(errors) => {
                for error in errors {
                    self.refuse_object(object, error, &span);
                }
                return;
            }
        };
        let place = match attach::place(parsed, index, &kind, self.target) {
            Ok(place) => place,
            Err(refusal) => {
                self.not_loadable(&parsed.programs[index].function, refusal, span);
                return;
            }
        };
        let kind = ProgramKind { target: place.name.or(kind.target), ..kind };
        // Kernels before 5.0 want the right number from a kprobe; libbpf gives it always.
        let kernel_version = match kind.program_type {
            ProgramType::KPROBE => parsed.kernel_version.unwrap_or(self.target.version),
            _ => parsed.kernel_version.unwrap_or(0),
        };
        let maps = parsed.maps_of(&code).into_iter().map(|used| (used, self.map_of(object, used))).collect();
        let program = DesiredProgram {
            name: name.clone(),
            pin,
            object: object.clone(),
            function: parsed.programs[index].function.clone(),
            kind,
            license: self.license(object).to_owned(),
            kernel_version,
            attach_btf_id: place.type_id,
            attach_module: place.module,
            attach_member: place.member,
            extends,
            unsettled,
            code,
            maps,
            fingerprint: Digest::of(b""),
            span,
        };
        self.programs.insert(name, Arc::new(program));
    }

    /// Reports what is wrong in an object: once, whatever number of programs needs it.
    fn refuse_object(&mut self, object: &ObjectName, error: elf::Error, span: &Span) {
        let path = &self.files[object].path;
        let same = |problem: &&mut Problem| matches!(&*problem.kind, Kind::Object { path: known, error: other } if known == path && *other == error);
        match self.problems.0.iter_mut().find(same) {
            Some(problem) if problem.labels.iter().any(|label| label.span == *span) => {}
            Some(problem) => *problem = problem.clone().and(span.clone(), "and this one"),
            None => {
                let kind = Kind::Object { path: path.clone(), error };
                self.problems.push(Problem::at(kind, span.clone(), "this program needs it"));
            }
        }
    }

    /// Returns the license of an object: its own, or where it says none the manifest's.
    fn license(&self, object: &ObjectName) -> &str {
        let said = self.manifest.objects.get(object).and_then(|table| table.license.as_ref());
        match &self.object(object).license {
            Some(license) => license,
            None => said.map_or("", |license| license.value),
        }
    }

    /// Refuses a license in the manifest for an object that says another one.
    fn licenses(&mut self) {
        for (name, table) in &self.manifest.objects {
            let (Some(said), Some(file)) = (&table.license, self.files.get(name)) else { continue };
            if let Some(is) = file.object.license.as_ref().filter(|is| *is != said.value) {
                let kind = Kind::LicenseSaid { object: name.clone(), is: is.clone() };
                self.problems.push(Problem::at(kind, said.span.clone(), "another license"));
            }
        }
    }

    /// Gives declared maps of maps the template that the manifest names.
    fn inner_templates(&mut self) {
        for (name, map) in &self.manifest.maps {
            let template = match &map.inner {
                Some(inner) => match self.maps.get(&inner.value).map(|inner| &inner.source) {
                    Some(MapSource::Defined(definition)) => Some(Box::new(definition.spec.clone())),
                    Some(MapSource::Pinned(_) | MapSource::Id(_)) => {
                        let kind = Kind::ForeignTemplate { map: inner.value.clone() };
                        self.problems.push(Problem::at(kind, inner.span.clone(), "somebody else's map"));
                        continue;
                    }
                    None => continue,
                },
                None => None,
            };
            let Some(MapSource::Defined(definition)) = self.maps.get_mut(name).map(|map| &mut map.source) else {
                continue;
            };
            if template.is_some() {
                definition.spec.inner = template;
            }
        }
    }

    /// Returns the name of the section that a program stands in.
    fn section(&self, program: &DesiredProgram) -> &str {
        let object = self.files.get(&program.object).map(|file| &file.object);
        let known = object.and_then(|object| object.programs.iter().find(|known| known.function == program.function));
        known.map_or("", |known| &known.section)
    }

    fn links(&mut self) -> Links {
        let (mut links, mut templates) = (BTreeMap::new(), BTreeMap::new());
        for (name, link) in &self.manifest.links {
            // A program that could not be resolved was reported there.
            let Some(hook) = self.hook_of(link) else { continue };
            self.map_of_hook(&hook, &link.attach.span);
            let pin = self.manifest.pin_root.join("links").join(name.as_str());
            let (interfaces, optional) = (link.attach.value.interfaces().to_vec(), link.optional);
            let desired = DesiredLink {
                name: name.clone(),
                pin,
                program: link.program.as_ref().map(|program| program.value.clone()),
                hook: hook.clone(),
                order: link.order.clone(),
                span: link.span.clone(),
            };
            if interfaces.is_empty() && !optional {
                links.insert(name.clone(), Arc::new(desired));
            } else {
                let template = Template { hook, interfaces, optional };
                templates.insert(name.clone(), DesiredTemplate { link: desired, template });
            }
        }
        self.one_program_in_sockmaps(&links);
        super::order::check(&links, &mut self.problems);
        (links, templates)
    }

    /// Makes the hook of a link; `None` when it does not fit its program, or the program could not be resolved.
    fn hook_of(&mut self, link: &manifest::Link) -> Option<Hook> {
        let Some(program) = &link.program else {
            let Attach::StructOps { map } = &link.attach.value else { return None };
            return Some(Hook::StructOps { map: map.clone() });
        };
        // A program that could not be resolved was reported there.
        let program = self.programs.get(&program.value)?;
        match hook(&link.attach.value, program, self.section(program)) {
            Ok(hook) => Some(hook),
            Err(kind) => {
                let problem = Problem::at(*kind, link.attach.span.clone(), "this hook");
                self.problems.push(problem.and(program.span.clone(), "this program"));
                None
            }
        }
    }

    /// Refuses a hook of a map of another type. What somebody else's map is, only the host knows.
    fn map_of_hook(&mut self, hook: &Hook, span: &Span) {
        let Anchor::Map(name) = hook.anchor() else { return };
        let Some(map) = self.maps.get(name) else { return };
        let MapSource::Defined(definition) = &map.source else { return };
        let is = definition.spec.map_type;
        if !hook.takes_map(is) {
            let kind = Kind::WrongMapType { is, hook: hook.to_string() };
            let problem = Problem::at(kind, span.clone(), "this hook").and(map.span.clone(), "this map");
            self.problems.push(problem);
        }
    }

    /// Refuses links to the same program of one map of sockets.
    fn one_program_in_sockmaps(&mut self, links: &BTreeMap<crate::names::LinkName, Arc<DesiredLink>>) {
        let hooks: Vec<_> = links
            .values()
            .filter_map(|link| {
                let Hook::Sockmap { map, attach_type } = &link.hook else { return None };
                Some((link, map, *attach_type))
            })
            .collect();
        for (at, (link, map, attach_type)) in hooks.iter().enumerate() {
            let mut before = hooks[..at].iter();
            let first = before.find(|(_, other, there)| other == map && attach_type.is_instead_of(*there));
            if let Some((first, ..)) = first {
                let kind = Kind::HookTwice { hook: link.hook.to_string() };
                let problem = Problem::at(kind, link.span.clone(), format!("`link.{}`", link.name));
                self.problems.push(problem.and(first.span.clone(), format!("`link.{}`", first.name)));
            }
        }
    }

    /// Compares every user's definition with the owner's, and every pin with every other.
    fn agree(&mut self) {
        for map in self.maps.values() {
            let MapSource::Defined(definition) = &map.source else { continue };
            let spec = &definition.spec;
            // What is wrong with a template that the manifest names was said at its name.
            let is_named = self.manifest.maps.get(&map.name).is_some_and(|map| map.inner.is_some());
            if spec.is_map_of_maps() && spec.inner.is_none() && !is_named {
                let kind = Kind::NoTemplate { map: map.name.clone(), defined_by: definition.defined_by.clone() };
                self.problems.push(Problem::at(kind, map.span.clone(), "it needs a template"));
            }
            let open = [
                (Size::Entries, spec.max_entries == 0 && spec.map_type.wants_a_size()),
                (Size::Value, spec.value_size == 0 && spec.map_type.wants_a_value_size()),
            ];
            // What the manifest says in the object's place is not the object's fault.
            let is_said = self.manifest.maps.get(&map.name).is_some_and(|map| map.max_entries.is_some());
            for (size, _) in open.into_iter().filter(|(_, open)| *open) {
                let kind = Kind::NoSize {
                    map: map.name.clone(),
                    map_type: spec.map_type,
                    size,
                    defined_by: definition.defined_by.clone().filter(|_| size == Size::Value || !is_said),
                };
                self.problems.push(Problem::at(kind, map.span.clone(), "it needs a size"));
            }
        }
        for map in self.maps.values() {
            let MapSource::Defined(definition) = &map.source else { continue };
            for user in &map.users {
                let mut wanted = user.spec.clone();
                if self.manifest.maps.get(&map.name).is_some_and(|map| map.flags.is_some()) {
                    // The manifest chose the flags for everybody.
                    wanted.flags = definition.spec.flags;
                }
                let differences = differences(&definition.spec, &wanted, Compare::User, self.host);
                self.problems.0.extend(user.misfit(map, differences, "the owner's"));
            }
        }
        self.room_in_arenas();
        self.one_type_in_prog_arrays();
        self.programs_of_references();
        self.unique_pins();
    }

    /// Refuses arenas that are too small for their variables.
    fn room_in_arenas(&mut self) {
        for map in self.maps.values() {
            let MapSource::Defined(definition) = &map.source else { continue };
            let Some((_, data)) = definition.data.as_ref().filter(|_| definition.spec.map_type == MapType::ARENA)
            else {
                continue;
            };
            if definition.spec.arena_size(self.host) < data.len() as u64 {
                let kind = Kind::ArenaTooSmall { map: map.name.clone(), needs: data.len() };
                self.problems.push(Problem::at(kind, map.span.clone(), "this arena"));
            }
        }
    }

    /// Refuses programs of two types that call by one prog array or stand in it, as the kernel does without a word of
    /// why (`bpf_prog_map_compatible`, kernel/bpf/core.c).
    fn one_type_in_prog_arrays(&mut self) {
        for map in self.maps.values() {
            let MapSource::Defined(definition) = &map.source else { continue };
            if definition.spec.map_type != MapType::PROG_ARRAY {
                continue;
            }
            let in_slot = |name: &ProgramName| {
                definition.slots.values().any(|slot| matches!(slot, SlotSource::Program(program) if program == name))
            };
            let mut programs = self
                .programs
                .values()
                .filter(|program| program.maps.iter().any(|(_, used)| *used == map.name) || in_slot(&program.name));
            let Some(one) = programs.next() else { continue };
            if let Some(other) = programs.find(|other| other.kind.program_type != one.kind.program_type) {
                let kind = Kind::MixedProgArray {
                    map: map.name.clone(),
                    one: (one.name.clone(), one.kind.program_type),
                    other: (other.name.clone(), other.kind.program_type),
                };
                let label =
                    |program: &DesiredProgram| format!("program.{} is {}", program.name, program.kind.program_type);
                let problem = Problem::at(kind, one.span.clone(), label(one)).and(other.span.clone(), label(other));
                self.problems.push(problem);
            }
        }
    }

    /// Refuses programs in a devmap or a cpumap that were not made for it, as the kernel does with a mere `EINVAL`
    /// (`__dev_map_alloc_node`, `__cpu_map_load_bpf_program`).
    fn programs_of_references(&mut self) {
        for map in self.maps.values() {
            let (MapSource::Defined(definition), Some((_, contents))) = (&map.source, map.contents()) else { continue };
            let (section, attach_type) = match definition.spec.map_type {
                MapType::CPUMAP => ("xdp/cpumap", AttachType::XDP_CPUMAP),
                _ => ("xdp/devmap", AttachType::XDP_DEVMAP),
            };
            for reference in &contents.references.given {
                let program = reference.program.as_ref().and_then(|name| self.programs.get(name));
                let Some(program) = program.filter(|program| {
                    (program.kind.program_type, program.kind.attach_type) != (ProgramType::XDP, Some(attach_type))
                }) else {
                    continue;
                };
                let (map, program_name) = (map.name.clone(), program.name.clone());
                let is = program.kind.to_string();
                let kind =
                    Kind::WrongForMap { map, map_type: definition.spec.map_type, program: program_name, is, section };
                let problem = Problem::at(kind, reference.span.clone(), "this entry");
                self.problems.push(problem.and(program.span.clone(), "the program"));
            }
        }
    }

    fn unique_pins(&mut self) {
        let mut pins: HashMap<&PinPath, (&str, &str, &Span)> = HashMap::new();
        let maps = self.maps.values().filter_map(|map| Some((map.pin()?, ("map", map.name.as_str(), &map.span))));
        let programs = self.programs.values();
        let programs = programs.map(|program| (&program.pin, ("program", program.name.as_str(), &program.span)));
        let mut twice = Vec::new();
        for (pin, wants) in maps.chain(programs) {
            let (what, name, span) = *pins.entry(pin).or_insert(wants);
            if (what, name) != (wants.0, wants.1) {
                let kind = Kind::PinTakenTwice { pin: pin.clone() };
                let problem = Problem::at(kind, span.clone(), format!("{what}.{name} has it"));
                twice.push(problem.and(wants.2.clone(), format!("{}.{} wants it, too", wants.0, wants.1)));
            }
        }
        let root = &self.manifest.pin_root;
        // What is wrong with all below it is said of the root.
        let is_root = !root.is_below(self.bpffs);
        if is_root {
            twice.push(Problem::new(Kind::NotBpffs { pin: root.clone(), bpffs: self.bpffs.clone() }));
        }
        let is_outside = |pin: &PinPath| !(pin.is_below(self.bpffs) || is_root && pin.is_below(root));
        let mut outside: Vec<_> = pins.into_iter().filter(|(pin, _)| is_outside(pin)).collect();
        outside.sort_unstable_by_key(|(pin, _)| *pin);
        let outside = outside.into_iter().map(|(pin, (_, _, span))| {
            let kind = Kind::NotBpffs { pin: pin.clone(), bpffs: self.bpffs.clone() };
            Problem::at(kind, span.clone(), "its pin")
        });
        twice.extend(outside);
        self.problems.0.extend(twice);
    }
}

fn map_is_data(object: &elf::Object, index: usize) -> bool {
    matches!(object.maps[index].dialect, Dialect::Data(_))
}

/// Checks that a program of this kind can be attached there, and makes the hook.
fn hook(attach: &Attach, program: &DesiredProgram, section: &str) -> Result<Hook, Box<Kind>> {
    let kind = &program.kind;
    let wants = |program_type: ProgramType, hook: &'static str| match kind.program_type == program_type {
        true => Ok(()),
        false => {
            let wants = program_type.to_string();
            Err(Box::new(Kind::WrongProgramType { hook, wants, is: kind.program_type }))
        }
    };
    if let Some((is, used)) = WITHOUT_LINKS.iter().find(|(program_type, _)| *program_type == kind.program_type) {
        return Err(Box::new(Kind::WithoutLinks { is: *is, used }));
    }
    match attach {
        Attach::Xdp { interface, netns, mode, via } => {
            wants(ProgramType::XDP, "xdp hook")?;
            Ok(Hook::Xdp { interface: interface.name(), netns: netns.clone(), mode: *mode, via: *via })
        }
        Attach::Tc { interface, netns, attach_type, via, wish } => {
            wants(ProgramType::SCHED_CLS, "tc hook")?;
            let (interface, netns) = (interface.name(), netns.clone());
            Ok(Hook::Tc { interface, netns, attach_type: *attach_type, via: *via, wish: *wish })
        }
        Attach::Netkit { interface, netns, attach_type } => {
            wants(ProgramType::SCHED_CLS, "netkit hook")?;
            Ok(Hook::Netkit { interface: interface.name(), netns: netns.clone(), attach_type: *attach_type })
        }
        Attach::Lwt { interface, netns, route } => {
            let wrong = |hook, wants: &str| {
                Box::new(Kind::WrongProgramType { hook, wants: wants.to_owned(), is: kind.program_type })
            };
            let point = Lwt::of(kind.program_type).ok_or_else(|| wrong("lwt hook", "lwt_in, lwt_out, lwt_xmit"))?;
            if route.headroom != 0 && point != Lwt::Xmit {
                return Err(wrong("lwt hook with `headroom`", "lwt_xmit"));
            }
            Ok(Hook::Lwt { interface: interface.name(), netns: netns.clone(), point, route: *route })
        }
        Attach::Cgroup { path, via } => {
            let is_lsm = (kind.program_type, kind.attach_type) == (ProgramType::LSM, Some(AttachType::LSM_CGROUP));
            if !is_lsm && !ProgramType::OF_CGROUPS.contains(&kind.program_type) {
                let wants = "cgroup_*, sock_ops, lsm_cgroup".to_owned();
                return Err(Box::new(Kind::WrongProgramType { hook: "cgroup hook", wants, is: kind.program_type }));
            }
            let attach_type = match (kind.attach_type, kind.program_type) {
                (Some(attach_type), _) => attach_type,
                (None, ProgramType::SOCK_OPS) => AttachType::CGROUP_SOCK_OPS,
                (None, ProgramType::CGROUP_DEVICE) => AttachType::CGROUP_DEVICE,
                (None, ProgramType::CGROUP_SYSCTL) => AttachType::CGROUP_SYSCTL,
                (None, _) => return Err(Box::new(Kind::NoAttachType { is: kind.program_type })),
            };
            Ok(Hook::Cgroup { path: path.clone(), attach_type, via: *via })
        }
        Attach::Netfilter { hook, netns } => {
            wants(ProgramType::NETFILTER, "netfilter hook")?;
            Ok(Hook::Netfilter { hook: *hook, netns: netns.clone() })
        }
        // What the manifest says together with a program is refused there.
        Attach::StructOps { map } => Ok(Hook::StructOps { map: map.clone() }),
        Attach::Sockmap { map } => {
            let attach_type = match (kind.program_type, kind.attach_type) {
                (ProgramType::SK_MSG, _) => AttachType::SK_MSG_VERDICT,
                (ProgramType::SK_SKB, Some(attach_type)) => attach_type,
                (is @ ProgramType::SK_SKB, None) => return Err(Box::new(Kind::NoAttachType { is })),
                (is, _) => {
                    let wants = "sk_msg, sk_skb".to_owned();
                    return Err(Box::new(Kind::WrongProgramType { hook: "sockmap hook", wants, is }));
                }
            };
            Ok(Hook::Sockmap { map: map.clone(), attach_type })
        }
        Attach::Event(link) => events::event(link, program, section).map(Hook::Trace),
        Attach::Netns { netns, attach_type } => {
            match *attach_type {
                AttachType::SK_LOOKUP => wants(ProgramType::SK_LOOKUP, "sk_lookup hook")?,
                _ => wants(ProgramType::FLOW_DISSECTOR, "flow_dissector hook")?,
            }
            Ok(Hook::Netns { netns: netns.clone(), attach_type: *attach_type })
        }
    }
}

/// Program types of which there are no links, and who uses them.
const WITHOUT_LINKS: &[(ProgramType, &str)] = &[
    (
        ProgramType::SOCKET_FILTER,
        "its application opens its pin, and gives it to a socket: `setsockopt` of `SO_ATTACH_BPF`",
    ),
    (
        ProgramType::SK_REUSEPORT,
        "its application opens its pin, and gives it to a socket: `setsockopt` of `SO_ATTACH_REUSEPORT_EBPF`",
    ),
    (ProgramType::SCHED_ACT, "`tc ... action bpf object-pinned PIN` takes it from its pin"),
    (ProgramType::STRUCT_OPS, "the map of its struct is linked, without a program: `struct_ops = { map = ... }`"),
    (ProgramType::SYSCALL, "whoever runs it (`BPF_PROG_RUN`) opens its pin"),
];
