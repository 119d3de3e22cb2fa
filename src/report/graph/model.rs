//! What is in a picture: boxes, what holds them, and the lines between. Where they are is not said here.
//!
//! Everything comes from a plan: what stays and what comes from its steps, what goes from the record of the last apply.

use super::harmless;
use crate::desired::{Anchor, DesiredLink, DesiredMap, DesiredProgram, Hook, MapDefinition, MapSource, SlotSource};
use crate::names::{Address, LinkName, MapName, ObjectName, ProgramName};
use crate::plan::{Action, Marker, Mode, Plan, Step};
use crate::record::Record;
use crate::spec::MapSpec;
use std::collections::{BTreeMap, BTreeSet};

/// More rows of contents than these are counted, not named.
const CONTENTS_NAMED: usize = 8;

/// Before the symbol that defines a map.
const DEFINED: &str = "defined: ";

/// Between a symbol and the name of its object.
const OF: &str = " of object.";

/// A plan as boxes and lines. No text in it has a line break or anything else that cannot be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// The deployment.
    pub name: String,
    /// What it is a picture of, in words.
    pub about: String,
    /// What holds boxes: places that links are attached to, and objects.
    pub groups: Vec<Group>,
    /// Links, programs, maps, and objects that have no program; by column, then by address.
    pub boxes: Vec<Node>,
    /// Lines between boxes.
    pub edges: Vec<Edge>,
}

/// Which part of the picture something is in, from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Links, at the places that they are attached to.
    Links,
    /// Programs, in their objects.
    Programs,
    /// Maps.
    Maps,
}

impl Column {
    /// Every column, from left to right.
    pub const ALL: [Self; 3] = [Self::Links, Self::Programs, Self::Maps];

    /// Says what is in it.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Links => "links, by where they are attached",
            Self::Programs => "programs, by object",
            Self::Maps => "maps",
        }
    }
}

/// What holds boxes of one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The column.
    pub column: Column,
    /// `interface eth0`, `object.filter`
    pub title: String,
    /// The path of an object; empty for a place.
    pub detail: String,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its address.
    pub address: String,
    /// What happens to it; `None` for an object.
    pub marker: Option<Marker>,
    /// Its column.
    pub column: Column,
    /// What holds it, by its place in [`Picture::groups`].
    pub group: Option<usize>,
    /// What it is, in a few words.
    pub kind: String,
    /// What it consists of; lines may end at each.
    pub rows: Vec<String>,
    /// How many of the rows, from the first, say what an object calls the map: their order is nobody's.
    pub symbols: usize,
    /// For a map: how it stands out.
    pub sharing: Sharing,
    /// What the plan does to it, a step each.
    pub story: Vec<String>,
}

/// Who has a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// One object; or it is no map.
    Own,
    /// Several objects.
    Shared,
    /// Somebody else owns it.
    Foreign,
}

impl Node {
    /// Returns what stands in a box, where its marker has no place of its own.
    pub fn lines(&self) -> Vec<String> {
        let head = match self.marker {
            Some(marker) => format!("{marker} {}", self.address),
            None => self.address.clone(),
        };
        let lines = [&head, &self.kind].into_iter().chain(&self.rows).filter(|line| !line.is_empty());
        lines.cloned().collect()
    }
}

impl Edge {
    /// Returns what a line says, where it does not end at the row that says it.
    pub fn words(&self, picture: &Picture) -> String {
        let row = |end: End| end.row.and_then(|row| picture.boxes[end.node].rows.get(row)).map(String::as_str);
        let words = match self.kind {
            EdgeKind::Runs => None,
            EdgeKind::Uses | EdgeKind::Shares | EdgeKind::Defines => {
                let symbol = row(self.to).and_then(|row| row.split(OF).next());
                symbol.map(|symbol| symbol.strip_prefix(DEFINED).unwrap_or(symbol))
            }
            EdgeKind::Holds => row(self.from).map(|row| row.split(": ").next().unwrap_or(row)),
            EdgeKind::Extends => Some("replaces"),
        };
        let sign = match self.change {
            Change::None => None,
            Change::Comes => Some("+ comes"),
            Change::Goes => Some("- goes"),
        };
        sign.into_iter().chain(words).collect::<Vec<_>>().join(": ")
    }
}

/// A line from one box to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Where it starts.
    pub from: End,
    /// Where it ends, with an arrow.
    pub to: End,
    /// What it says.
    pub kind: EdgeKind,
    /// Whether it comes or goes while both of its boxes stay.
    pub change: Change,
}

/// The end of a line: a box, by its place in [`Picture::boxes`], or a row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The box.
    pub node: usize,
    /// The row; `None` for the head of the box.
    pub row: Option<usize>,
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// A link runs a program, or is of a map.
    Runs,
    /// A program uses a map that is its object's alone.
    Uses,
    /// A program uses a map that others use as well.
    Shares,
    /// A slot or an entry of a map holds a program or a map.
    Holds,
    /// An extension takes the place of a program's function.
    Extends,
    /// An object without programs has the map.
    Defines,
}

impl EdgeKind {
    /// Every kind with what it says, in the order of a legend.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Runs, "link runs program, or is of map"),
        (Self::Uses, "program uses map"),
        (Self::Shares, "program uses shared map"),
        (Self::Holds, "slot or entry of a map"),
        (Self::Extends, "extension of a program"),
        (Self::Defines, "object has map"),
    ];
}

/// What becomes of a line whose boxes stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing, or what becomes of its boxes.
    None,
    /// It comes.
    Comes,
    /// It goes.
    Goes,
}

/// Draws up what is in the picture of a plan.
pub fn picture(plan: &Plan) -> Picture {
    let mut sketch = Sketch::of(plan);
    let links = sketch.links.keys().cloned().collect::<Vec<_>>();
    let objects: BTreeSet<_> = sketch.programs.values().filter_map(|known| known.object.clone()).collect();
    for name in links {
        sketch.add_link(&name);
    }
    for name in sketch.programs.keys().cloned().collect::<Vec<_>>() {
        sketch.add_program(plan, &name);
    }
    for name in plan.objects.keys().filter(|name| !objects.contains(*name)) {
        sketch.add_object(plan, name);
    }
    for name in sketch.maps.keys().cloned().collect::<Vec<_>>() {
        sketch.add_map(&name);
    }
    let mut edges = sketch.edges();
    edges.sort_unstable();
    edges.dedup();
    let Sketch { groups, boxes, .. } = sketch;
    Picture { name: plan.deployment.to_string(), about: about(plan), groups, boxes, edges }
}

fn about(plan: &Plan) -> String {
    match (plan.mode, plan.is_empty()) {
        (Mode::Live, true) => "the host matches".to_owned(),
        (Mode::Live, false) => format!("what an apply would change on this host; plan {}", plan.id),
        (Mode::Against { .. }, true) => "the host matched".to_owned(),
        (Mode::Against { .. }, false) => format!("what an apply would change on the host; plan {}", plan.id),
        (Mode::Offline, true | false) => "no kernel was asked, an empty host is assumed".to_owned(),
    }
}

/// What is known of a program from its step, or from a record.
#[derive(Default)]
struct KnownProgram<'a> {
    desired: Option<&'a DesiredProgram>,
    object: Option<ObjectName>,
    uses: BTreeSet<MapName>,
    /// What it used when the last apply was done; `None` when it was not there.
    used: Option<BTreeSet<MapName>>,
}

/// What is known of a link.
#[derive(Default)]
struct KnownLink<'a> {
    program: Option<ProgramName>,
    hook: Option<&'a Hook>,
    /// Where nothing but words is known.
    words: Option<&'a str>,
}

/// A picture that is being drawn up.
struct Sketch<'a> {
    mode: Mode,
    maps: BTreeMap<MapName, Option<&'a DesiredMap>>,
    programs: BTreeMap<ProgramName, KnownProgram<'a>>,
    links: BTreeMap<LinkName, KnownLink<'a>>,
    steps: BTreeMap<Address, Vec<&'a Step>>,
    /// The objects that have each map, with what they call it.
    symbols: BTreeMap<MapName, Vec<(ObjectName, &'a str)>>,
    groups: Vec<Group>,
    boxes: Vec<Node>,
    places: BTreeMap<Address, usize>,
    /// Lines that only their rows know: from a row of a map to what it holds.
    holds: Vec<(End, SlotSource)>,
}

impl<'a> Sketch<'a> {
    fn of(plan: &'a Plan) -> Self {
        let mut sketch = Self {
            mode: plan.mode,
            maps: BTreeMap::new(),
            programs: BTreeMap::new(),
            links: BTreeMap::new(),
            steps: BTreeMap::new(),
            symbols: BTreeMap::new(),
            groups: Vec::new(),
            boxes: Vec::new(),
            places: BTreeMap::new(),
            holds: Vec::new(),
        };
        for step in &plan.steps {
            sketch.note(step);
        }
        for step in &plan.steps {
            if let Action::WriteRecord { record, .. } = &step.action {
                sketch.recall(record);
            }
        }
        plan.generations.record.iter().for_each(|record| sketch.recall_before(record));
        sketch
    }

    fn note(&mut self, step: &'a Step) {
        let address = step.action.address();
        match &address {
            Address::Map(name) => drop(self.maps.entry(name.clone()).or_default()),
            Address::Program(name) => drop(self.programs.entry(name.clone()).or_default()),
            Address::Link(name) => drop(self.links.entry(name.clone()).or_default()),
            Address::Directory(_) | Address::Object(_) | Address::Record => return,
        }
        self.steps.entry(address).or_default().push(step);
        match &step.action {
            Action::ReuseMap { map, .. } | Action::CreateMap { map, .. } => self.note_map(map),
            Action::ReuseProgram { program, .. } | Action::LoadProgram { program, .. } => self.note_program(program),
            Action::RenameLink { link, .. }
            | Action::ReuseLink { link, .. }
            | Action::Attach { link, .. }
            | Action::UpdateLink { link, .. }
            | Action::Reattach { link, .. } => self.note_link(link),
            Action::Skip { link, hook } | Action::Detach { link, hook, .. } => {
                self.links.entry(link.clone()).or_default().words = Some(hook);
            }
            Action::ClearLeftover { .. }
            | Action::MountBpffs { .. }
            | Action::MakeDirectory { .. }
            | Action::CopyEntries { .. }
            | Action::CatchUp { .. }
            | Action::FinishCopy { .. }
            | Action::FillMap { .. }
            | Action::FillSlots { .. }
            | Action::WriteEntries { .. }
            | Action::SetVariables { .. }
            | Action::RestoreMap { .. }
            | Action::RestoreProgram { .. }
            | Action::RestorePin { .. }
            | Action::SetAccess { .. }
            | Action::RemoveProgram { .. }
            | Action::RemoveMap { .. }
            | Action::RemoveDirectory { .. }
            | Action::WriteRecord { .. }
            | Action::RemoveRecord { .. } => {}
        }
    }

    fn note_map(&mut self, map: &'a DesiredMap) {
        self.maps.insert(map.name.clone(), Some(map));
        let defined = definition(map).and_then(|definition| definition.defined_by.as_ref());
        let defined = defined.map(|(object, symbol)| (object.clone(), symbol.as_str()));
        let users = map.users.iter().map(|user| (user.object.clone(), user.symbol.as_str()));
        let mut symbols: Vec<_> = defined.into_iter().chain(users).collect();
        symbols.dedup();
        self.symbols.insert(map.name.clone(), symbols);
    }

    fn note_program(&mut self, program: &'a DesiredProgram) {
        let uses = program.uses().into_iter().cloned().collect();
        let known = KnownProgram { desired: Some(program), object: Some(program.object.clone()), uses, used: None };
        self.programs.insert(program.name.clone(), known);
    }

    fn note_link(&mut self, link: &'a DesiredLink) {
        let known = KnownLink { program: link.program.clone(), hook: Some(&link.hook), words: None };
        self.links.insert(link.name.clone(), known);
    }

    /// Takes from a record what the steps of what it names do not say.
    fn recall(&mut self, record: &'a Record) {
        for (name, known) in self.programs.iter_mut().filter(|(_, known)| known.desired.is_none()) {
            if let Some(recorded) = record.programs.get(name.as_str()) {
                known.uses = recorded.maps.iter().filter_map(|map| MapName::recorded(map)).collect();
            }
        }
        for (name, known) in self.links.iter_mut().filter(|(_, known)| known.hook.is_none()) {
            if let Some(recorded) = record.links.get(name.as_str()) {
                known.hook = Some(&recorded.hook);
                known.program = recorded.program.as_deref().and_then(ProgramName::recorded);
            }
        }
    }

    /// Takes from the record of the last apply what programs used then.
    fn recall_before(&mut self, record: &'a Record) {
        self.recall(record);
        for (name, known) in &mut self.programs {
            let maps = record.programs.get(name.as_str()).map(|recorded| &recorded.maps);
            known.used = maps.map(|maps| maps.iter().filter_map(|map| MapName::recorded(map)).collect());
        }
    }

    fn add_link(&mut self, name: &LinkName) {
        let known = &self.links[name];
        let (place, kind) = match (known.hook, known.words) {
            (Some(hook), _) => (place(hook.anchor()), without_place(hook)),
            (None, words) => ("elsewhere".to_owned(), words.unwrap_or_default().to_owned()),
        };
        let group = self.group(Group { column: Column::Links, title: harmless(&place), detail: String::new() });
        self.add(Address::Link(name.clone()), Column::Links, Some(group), &kind, Vec::new());
    }

    fn add_program(&mut self, plan: &Plan, name: &ProgramName) {
        let known = &self.programs[name];
        let kind = known.desired.map_or_else(String::new, |program| format!("{}, {}", program.kind, program.function));
        let extends = known.desired.and_then(|program| program.extends.as_ref());
        let rows = extends.map(|extends| format!("replaces {} of program.{}", extends.function, extends.program));
        let rows = rows.into_iter().collect();
        let object = known.object.clone().map(|object| Group {
            column: Column::Programs,
            title: format!("object.{object}"),
            detail: plan.objects.get(&object).map_or_else(String::new, |facts| harmless(&facts.path)),
        });
        let group = object.map(|group| self.group(group));
        self.add(Address::Program(name.clone()), Column::Programs, group, &kind, rows);
    }

    fn add_object(&mut self, plan: &Plan, name: &ObjectName) {
        let kind = plan.objects[name].path.clone();
        self.add(Address::Object(name.clone()), Column::Programs, None, &kind, Vec::new());
    }

    fn add_map(&mut self, name: &MapName) {
        let map = self.maps[name];
        let symbols = self.symbols.get(name).map_or(&[][..], Vec::as_slice);
        let definer = map.and_then(definition).and_then(|definition| definition.defined_by.as_ref());
        let told = symbols.iter().map(|(object, symbol)| {
            let word = if definer.is_some_and(|(known, name)| (known, name.as_str()) == (object, *symbol)) {
                DEFINED
            } else {
                ""
            };
            format!("{word}{symbol}{OF}{object}")
        });
        let mut rows: Vec<_> = if self.tells_symbols(name) { told.collect() } else { Vec::new() };
        let told = rows.len();
        let contents = map.map_or_else(Vec::new, contents);
        let node = self.boxes.len();
        for (at, (key, source)) in contents.iter().enumerate() {
            if at < CONTENTS_NAMED {
                rows.push(format!("{key}: {source}"));
            } else if at == CONTENTS_NAMED {
                rows.push(format!("and {} more", contents.len() - CONTENTS_NAMED));
            }
            self.holds.push((End { node, row: Some(rows.len() - 1) }, source.clone()));
        }
        let (sharing, kind) = (self.sharing(name), map.map_or_else(String::new, map_kind));
        let kind = match sharing {
            Sharing::Shared => format!("shared {kind}"),
            Sharing::Own | Sharing::Foreign => kind,
        };
        self.add(Address::Map(name.clone()), Column::Maps, None, &kind, rows);
        (self.boxes[node].sharing, self.boxes[node].symbols) = (sharing, told);
    }

    fn sharing(&self, name: &MapName) -> Sharing {
        let symbols = self.symbols.get(name).into_iter().flatten().map(|(object, _)| object);
        let users = self.programs.values().filter(|known| known.uses.contains(name));
        let objects: BTreeSet<_> = symbols.chain(users.filter_map(|known| known.object.as_ref())).collect();
        match self.maps[name].map(|map| &map.source) {
            Some(MapSource::Pinned(_) | MapSource::Id(_)) => Sharing::Foreign,
            Some(MapSource::Defined(_)) | None if objects.len() > 1 => Sharing::Shared,
            Some(MapSource::Defined(_)) | None => Sharing::Own,
        }
    }

    fn group(&mut self, group: Group) -> usize {
        self.groups.iter().position(|known| *known == group).unwrap_or_else(|| {
            self.groups.push(group);
            self.groups.len() - 1
        })
    }

    fn add(&mut self, address: Address, column: Column, group: Option<usize>, kind: &str, rows: Vec<String>) {
        let steps = self.steps.get(&address).map_or(&[][..], Vec::as_slice);
        let markers = steps.iter().map(|step| step.action.marker());
        let story = steps.iter().map(|step| {
            let (marker, because) = (step.action.marker(), step.because_words(self.mode));
            harmless(&format!("{marker} {}, because {because}", step.action))
        });
        // Of what goes only its name is known, and why it goes.
        let why = steps.first().map_or_else(String::new, |step| step.because.words(self.mode));
        let kind = if kind.is_empty() { &why } else { kind };
        let node = Node {
            address: harmless(&address.to_string()),
            marker: markers.reduce(both),
            column,
            group,
            kind: harmless(kind),
            rows: rows.iter().map(|row| harmless(row)).collect(),
            symbols: 0,
            sharing: Sharing::Own,
            story: story.collect(),
        };
        self.places.insert(address, self.boxes.len());
        self.boxes.push(node);
    }

    fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        self.links.iter().for_each(|(name, known)| self.edges_of_link(name, known, &mut edges));
        self.programs.iter().for_each(|(name, known)| self.edges_of_program(name, known, &mut edges));
        for (from, source) in &self.holds {
            let to = match source {
                SlotSource::Map(map) => self.head(&Address::Map(map.clone())),
                SlotSource::Program(program) => self.head(&Address::Program(program.clone())),
                SlotSource::Cgroup(_) => None,
            };
            edges.extend(to.map(|to| Edge { from: *from, to, kind: EdgeKind::Holds, change: Change::None }));
        }
        for (map, symbols) in &self.symbols {
            for (object, _) in symbols {
                let from = self.head(&Address::Object(object.clone()));
                let edge = from.zip(self.port(map, Some(object)));
                edges.extend(edge.map(|(from, to)| Edge { from, to, kind: EdgeKind::Defines, change: Change::None }));
            }
        }
        edges
    }

    fn edges_of_link(&self, name: &LinkName, known: &KnownLink<'_>, edges: &mut Vec<Edge>) {
        let Some(from) = self.head(&Address::Link(name.clone())) else { return };
        let program = known.program.as_ref().and_then(|program| self.head(&Address::Program(program.clone())));
        let map = known.hook.and_then(|hook| match hook.anchor() {
            Anchor::Map(map) => self.head(&Address::Map(map.clone())),
            Anchor::Interface(..) | Anchor::Cgroup(_) | Anchor::Netns(_) | Anchor::Event(_) => None,
        });
        let ends = program.into_iter().chain(map);
        edges.extend(ends.map(|to| Edge { from, to, kind: EdgeKind::Runs, change: Change::None }));
    }

    fn edges_of_program(&self, name: &ProgramName, known: &KnownProgram<'_>, edges: &mut Vec<Edge>) {
        let Some(from) = self.head(&Address::Program(name.clone())) else { return };
        let gone = known.used.iter().flatten().filter(|map| !known.uses.contains(*map));
        for map in known.uses.iter().chain(gone) {
            let Some(to) = self.port(map, known.object.as_ref()) else { continue };
            let kind = match self.boxes[to.node].sharing {
                Sharing::Own => EdgeKind::Uses,
                Sharing::Shared | Sharing::Foreign => EdgeKind::Shares,
            };
            edges.push(Edge { from, to, kind, change: self.change(known, map, to.node) });
        }
        let extends = known.desired.and_then(|program| program.extends.as_ref());
        let target = extends.and_then(|extends| self.head(&Address::Program(extends.program.clone())));
        let from = End { row: Some(0), ..from };
        edges.extend(target.map(|to| Edge { from, to, kind: EdgeKind::Extends, change: Change::None }));
    }

    /// Says whether a program comes to a map, or leaves it, where both were there and stay.
    fn change(&self, known: &KnownProgram<'_>, map: &MapName, node: usize) -> Change {
        let stays = !matches!(self.boxes[node].marker, Some(Marker::Create | Marker::Remove));
        match (&known.used, known.uses.contains(map)) {
            (Some(_), false) => Change::Goes,
            (Some(used), true) if stays && !used.contains(map) => Change::Comes,
            (Some(_) | None, true) | (None, false) => Change::None,
        }
    }

    fn head(&self, address: &Address) -> Option<End> {
        self.places.get(address).map(|&node| End { node, row: None })
    }

    /// Returns where the lines from an object's programs end at a map: at the row with the object's name for it.
    fn port(&self, map: &MapName, object: Option<&ObjectName>) -> Option<End> {
        let head = self.head(&Address::Map(map.clone()))?;
        let symbols = self.symbols.get(map).map_or(&[][..], Vec::as_slice);
        let row = symbols.iter().position(|(known, _)| Some(known) == object);
        Some(End { row: row.filter(|_| self.tells_symbols(map)), ..head })
    }

    /// Returns whether a map has a row for each object with the object's name for it: not when its own says as much.
    fn tells_symbols(&self, name: &MapName) -> bool {
        let symbols = self.symbols.get(name).map_or(&[][..], Vec::as_slice);
        !name.is_private() && !matches!(symbols, [(_, symbol)] if *symbol == name.as_str())
    }
}

/// Returns the marker of something that has several steps: the first says what becomes of it, and what is kept and yet
/// written to changes.
fn both(first: Marker, later: Marker) -> Marker {
    match (first, later) {
        (Marker::Reuse, Marker::Reuse) => Marker::Reuse,
        (
            Marker::Reuse,
            Marker::Create | Marker::Change | Marker::DestroyThenCreate | Marker::CreateThenDestroy | Marker::Remove,
        ) => Marker::Change,
        (Marker::Remove, Marker::Create) => Marker::DestroyThenCreate,
        (Marker::Create, Marker::Remove) => Marker::CreateThenDestroy,
        (
            Marker::Create | Marker::Change | Marker::DestroyThenCreate | Marker::CreateThenDestroy | Marker::Remove,
            _,
        ) => first,
    }
}

fn definition(map: &DesiredMap) -> Option<&MapDefinition> {
    match &map.source {
        MapSource::Defined(definition) => Some(definition),
        MapSource::Pinned(_) | MapSource::Id(_) => None,
    }
}

fn map_kind(map: &DesiredMap) -> String {
    match &map.source {
        MapSource::Defined(definition) => {
            let MapSpec { map_type, key_size, value_size, max_entries, .. } = definition.spec;
            MapSpec::new(map_type, key_size, value_size, max_entries).to_string()
        }
        MapSource::Pinned(pin) => format!("somebody else's, at {pin}"),
        MapSource::Id(id) => format!("somebody else's, id {id}"),
    }
}

/// Returns what of a map's contents is a box of its own: slots, and programs behind the entries of a devmap or a cpumap.
fn contents(map: &DesiredMap) -> Vec<(String, SlotSource)> {
    let Some(definition) = definition(map) else { return Vec::new() };
    let slots = definition.slots.iter().map(|(key, source)| (key.to_string(), source.clone()));
    let given = definition.contents.iter().flat_map(|contents| &contents.references.given);
    let entries = given.filter_map(|reference| {
        let program = reference.program.clone()?;
        Some((reference.value.to_string(), SlotSource::Program(program)))
    });
    slots.chain(entries).collect()
}

/// Writes what a hook is of, as a title.
fn place(anchor: Anchor<'_>) -> String {
    match anchor {
        Anchor::Interface(name, netns) if netns.is_own() => format!("interface {name}"),
        Anchor::Interface(name, netns) => format!("interface {name} in {netns}"),
        Anchor::Cgroup(path) => format!("cgroup {path}"),
        Anchor::Netns(netns) => netns.to_string(),
        Anchor::Map(map) => format!("map.{map}"),
        Anchor::Event(_) => "events".to_owned(),
    }
}

/// Writes a hook below the title that says what it is of.
fn without_place(hook: &Hook) -> String {
    let (words, place) = (hook.to_string(), place(hook.anchor()));
    let name = place.strip_prefix("interface ").unwrap_or(&place);
    let kind = words.strip_suffix(&format!(" of {name}")).unwrap_or(&words);
    match hook.mode() {
        Some(mode) => format!("{kind}, mode {mode}"),
        None => kind.to_owned(),
    }
}
