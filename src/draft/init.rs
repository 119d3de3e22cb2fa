//! A first manifest from objects: all that they say, guesses that say so, and the rest as comments.
//!
//! What is written is a valid manifest: a program that cannot be linked, or of which something is not known, is there
//! as a comment with the reason.

use super::attach::{self, Attach, attach};
use super::table::{self, Names, Table, inline, quoted};
use crate::btf::{Type, value};
use crate::desired::variables;
use crate::elf::{DataKind, Dialect, ExternKind, Map, Object, Pinning, Program, SlotTarget, Target};
use crate::kinds::{MapType, ProgramType};
use crate::manifest::SymbolRef;
use crate::names::Digest;
use crate::spec::{Compare, Host, MapSpec, differences, flags};
use std::collections::{BTreeMap, BTreeSet};

/// What a capacity is guessed to be that an object leaves open.
const SOME_ENTRIES: u32 = 1024;
/// The bytes of a value that an object leaves open: 127 frames of a stack.
const SOME_BYTES: u32 = 1016;
/// The most variables of an object that are listed.
const MOST_VARIABLES: usize = 12;

/// An object to start from.
#[derive(Debug)]
pub struct File<'a> {
    /// Its path as the manifest is to write it.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// What is in it.
    pub object: &'a Object,
}

/// Returns a name for a deployment by its first object, of which many have a version in their names.
pub fn name(path: &str) -> String {
    table::name(stem(path))
}

/// Writes the manifest of a deployment with all programs of some objects, which nothing is attached by. Definitions are
/// compared as `host` would have them.
pub fn init(name: &str, files: &[File<'_>], host: &Host) -> String {
    let mut names = Names::default();
    let objects: Vec<String> = files.iter().map(|file| names.take(stem(&file.path))).collect();
    let shares = shares(files, host);
    let mut names = Names::default();
    let maps: Vec<String> = shares.iter().map(|share| names.take(&share.symbol)).collect();
    let structs = structs(files, |symbol| names.take(symbol));
    let draft = Draft { files, objects, shares, maps, structs, host };
    let programs: Vec<Listed> = draft.programs();
    let attached = programs.iter().filter(|listed| listed.lack.is_none()).map(|listed| draft.attachment(listed));
    let links: Vec<Table> = attached.chain(draft.struct_ops_links()).collect();
    let mut tables = vec![head(name)];
    tables.extend(variables_of(&links));
    tables.extend((0..files.len()).map(|index| draft.object(index)));
    tables.extend(
        draft
            .shares
            .iter()
            .zip(&draft.maps)
            .filter(|(share, _)| share.reason.is_some())
            .map(|(share, name)| draft.map(share, name)),
    );
    tables.extend(draft.templates());
    tables.extend(draft.struct_ops_maps());
    tables.extend(programs.iter().map(|listed| draft.program(listed)));
    let asks = |table: &Table| !table.is_off && ["map.", "program."].iter().any(|kind| table.header.starts_with(kind));
    if !tables.iter().any(asks) {
        tables[0].comment(match programs.is_empty() {
            true => "As it is, it asks for nothing: no object has a program.",
            false => "As it is, it asks for nothing: each program waits behind a `#`, with the reason above it.",
        });
    }
    tables.extend(links);
    table::write(&tables)
}

/// Returns what an object is called by its file.
pub fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".o").unwrap_or(name);
    name.strip_suffix(".bpf").unwrap_or(name)
}

fn head(name: &str) -> Table {
    let mut head = Table::default();
    head.comment("Written by `bpfapply init` from what the objects say. What is a guess says so; what only you know waits behind a `#`.");
    head.comment("Check it:     bpfapply validate FILE");
    head.comment("Look at it:   bpfapply FILE --dry-run");
    head.set("version", "1", "");
    head.set("name", quoted(name), "");
    head
}

/// Returns the variables that the links want.
fn variables_of(links: &[Table]) -> Option<Table> {
    let mut table = Table { header: "var".to_owned(), ..Table::default() };
    let all = [
        (attach::INTERFACE, "lo", "another one: --var interface=eth0"),
        (attach::CGROUP, "/", "every process of the host"),
    ];
    for (name, value, comment) in all {
        let written = format!("${{{name}}}");
        if links.iter().any(|link| link.says(&written)) {
            table.set(name, quoted(value), comment);
        }
    }
    (!table.keys.is_empty()).then_some(table)
}

/// Maps of objects that are one map, as far as their definitions tell.
struct Share {
    symbol: String,
    /// Object and map, the one that defines it first.
    members: Vec<(usize, usize)>,
    /// Why the manifest has to have a table of it; `None` when it need not.
    reason: Option<Reason>,
}

/// Why a map needs a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// Several objects define it alike, and none says that they share it.
    Alike,
    /// Objects that share it by their own pins do not agree on it.
    Conflict,
    /// The object leaves something open, or says a pin that only iproute2 knows.
    Open,
    /// Links name it.
    Sockets,
}

/// Finds the maps that objects may share.
fn shares(files: &[File<'_>], host: &Host) -> Vec<Share> {
    let mut by_symbol: BTreeMap<String, Vec<Share>> = BTreeMap::new();
    for (file, File { object, .. }) in files.iter().enumerate() {
        for (index, map) in object.maps.iter().enumerate().filter(|(_, map)| is_plain(map)) {
            let named = by_symbol.entry(map.symbol.clone()).or_default();
            let fits = |share: &&mut Share| {
                let (file, index) = share.members[0];
                may_be_one(&files[file].object.maps[index], map, host)
            };
            match named.iter_mut().find(fits) {
                Some(share) => share.members.push((file, index)),
                None => named.push(Share { symbol: map.symbol.clone(), members: vec![(file, index)], reason: None }),
            }
        }
    }
    for named in by_symbol.values_mut() {
        let shared = |share: &Share| share.members.iter().any(|at| shares_by_pin(map_at(files, *at)));
        let is_conflict = named.iter().filter(|share| shared(share)).count() > 1;
        for share in named {
            share.reason = reason(files, share, is_conflict && shared(share), host);
        }
    }
    by_symbol.into_values().flatten().collect()
}

fn reason(files: &[File<'_>], share: &Share, is_conflict: bool, host: &Host) -> Option<Reason> {
    let mut maps = share.members.iter().map(|at| map_at(files, *at));
    let lacks = |map: &Map| open(map, host).next().is_some() || lacks_template(map);
    let is_open = maps.clone().any(|map| lacks(map) || matches!(map.pinning, Pinning::Custom(_)));
    if is_open {
        Some(Reason::Open)
    } else if is_conflict {
        Some(Reason::Conflict)
    } else if maps.clone().any(holds_sockets) {
        Some(Reason::Sockets)
    } else {
        (share.members.len() > 1 && !maps.all(shares_by_pin)).then_some(Reason::Alike)
    }
}

fn map_at<'a>(files: &'a [File<'_>], (file, map): (usize, usize)) -> &'a Map {
    &files[file].object.maps[map]
}

/// Returns whether a map is one that a manifest may give another meaning.
fn is_plain(map: &Map) -> bool {
    match map.dialect {
        Dialect::Btf | Dialect::BpfMapDef | Dialect::BpfElfMap => true,
        Dialect::StructOps | Dialect::Data(_) => false,
    }
}

fn holds_sockets(map: &Map) -> bool {
    [MapType::SOCKMAP, MapType::SOCKHASH].contains(&map.spec.map_type)
}

fn shares_by_pin(map: &Map) -> bool {
    matches!(map.pinning, Pinning::ByName | Pinning::GlobalNs)
}

/// Returns whether two maps of one name are likely to be meant as one. What is in their slots is of their objects.
fn may_be_one(one: &Map, other: &Map, host: &Host) -> bool {
    let is_own = |map: &Map| {
        map.symbol.is_empty() || map.pinning == Pinning::ObjectNs || map.data.is_some() || !map.slots.is_empty()
    };
    let is_tail_calls = one.spec.map_type == MapType::PROG_ARRAY && !(shares_by_pin(one) && shares_by_pin(other));
    let is_pinned_apart = shares_by_pin(one) && shares_by_pin(other) && one.pinning != other.pinning;
    let fit = || differences(&one.spec, &other.spec, Compare::Existing, host).is_empty();
    !is_own(one) && !is_own(other) && !is_tail_calls && !is_pinned_apart && fit()
}

/// Returns whether two maps of different names hold the same struct under the same keys.
fn look_alike(one: &Map, other: &Map, host: &Host) -> bool {
    let has_struct = |map: &Map| {
        let types = map.spec.types.as_ref();
        types.is_some_and(|types| matches!(types.btf.resolved(types.value), Type::Struct { .. }))
    };
    let is_pinned = |map: &Map| map.pinning != Pinning::None;
    !is_pinned(one) && !is_pinned(other) && has_struct(one) && has_struct(other) && may_be_one(one, other, host)
}

/// Returns the sizes that a definition leaves open, or too small for what it holds, with a guess.
fn open(map: &Map, host: &Host) -> impl Iterator<Item = (&'static str, u32)> {
    let MapSpec { map_type, max_entries, value_size, .. } = map.spec;
    let pages = map.data.as_ref().filter(|_| map_type == MapType::ARENA);
    let pages = pages.map_or(0, |data| data.len().div_ceil(host.page_size as usize));
    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
    let all = [
        ("value_size", SOME_BYTES, value_size == 0 && map_type.wants_a_value_size()),
        ("max_entries", pages.max(SOME_ENTRIES), max_entries == 0 && map_type.wants_a_size()),
        ("max_entries", pages, max_entries != 0 && max_entries < pages),
    ];
    all.into_iter().filter(|(.., open)| *open).map(|(key, guess, _)| (key, guess))
}

/// Returns whether nothing says what the maps inside of a map look like.
fn lacks_template(map: &Map) -> bool {
    map.spec.is_map_of_maps() && map.spec.inner.is_none()
}

fn template_name(name: &str) -> String {
    format!("{name}_inner")
}

/// A program of an object with its name in the manifest.
struct Listed {
    file: usize,
    program: usize,
    name: String,
    /// Why it is there only as a comment.
    lack: Option<Lack>,
}

/// Why a program is not loaded just so.
enum Lack {
    /// The section does not say its type.
    Type,
    /// Its section says so.
    Optional,
    /// Nothing says whose function it replaces.
    Function,
    /// Nothing says what of the kernel it is for.
    Target,
    /// It cannot be linked.
    Broken(String),
}

struct Draft<'a> {
    files: &'a [File<'a>],
    objects: Vec<String>,
    shares: Vec<Share>,
    /// The names of the shares.
    maps: Vec<String>,
    structs: Vec<Struct>,
    host: &'a Host,
}

impl Draft<'_> {
    fn object(&self, index: usize) -> Table {
        let File { path, sha256, object } = &self.files[index];
        let mut table = Table::new("object", &self.objects[index]);
        for comment in self.own_maps(index) {
            table.comment(comment);
        }
        table.set("path", quoted(path), "");
        let edges: Vec<_> = self.edges(index).collect();
        if !edges.is_empty() {
            table.set("maps", inline(&edges), "guesses: see the maps");
        }
        let variables = first_values(object);
        if !variables.is_empty() {
            table.suggest("set", inline(&variables), "its variables, as they start");
        }
        table.suggest("sha256", quoted(&sha256.to_string()), "refuses any other bytes");
        if object.license.is_none() {
            table.suggest("license", "\"GPL\"", "it says none: what is for GPL programs only is refused");
        }
        table
    }

    /// Says which maps an object has that need no table.
    fn own_maps(&self, index: usize) -> Vec<String> {
        let object = self.files[index].object;
        let without_table = |share: &&Share| share.reason.is_none();
        let mut own = Vec::new();
        let mut lines = Vec::new();
        for share in self.shares.iter().filter(without_table) {
            let Some((_, map)) = share.members.iter().find(|(file, _)| *file == index) else { continue };
            let map = &object.maps[*map];
            let pinned = match map.pinning {
                Pinning::None | Pinning::Custom(_) => "",
                Pinning::ByName => ", pinned by name",
                Pinning::GlobalNs => ", pinned in tc/globals",
                Pinning::ObjectNs => ", pinned by iproute2's name of the object",
            };
            own.push(format!("`{}` ({}{pinned})", map.symbol, words(&map.spec)));
            let others = share.members.iter().filter(|(file, _)| *file != index);
            let others: Vec<_> = others.map(|(file, _)| format!("object.{}", self.objects[*file])).collect();
            if !others.is_empty() {
                lines.push(format!("It shares `{}` with {}, as both say by its pin.", map.symbol, others.join(", ")));
            }
        }
        lines.extend(self.lookalikes(index));
        if !own.is_empty() {
            lines.insert(0, format!("Its maps: {}.", own.join(", ")));
        }
        let externs = object.externs.iter().filter(|known| matches!(known.kind, ExternKind::Setting(_)));
        let externs: Vec<_> = externs.map(|known| format!("`{}`", known.name)).collect();
        if !externs.is_empty() {
            lines.push(format!("The kernel says: {}.", externs.join(", ")));
        }
        lines
    }

    /// Says which maps of an object look like those of an earlier one that have another name.
    fn lookalikes(&self, index: usize) -> impl Iterator<Item = String> {
        let alone = |share: &&Share| share.reason.is_none() && share.members.len() == 1;
        let ours = self.shares.iter().filter(alone).filter(move |share| share.members[0].0 == index);
        ours.filter_map(move |share| {
            let map = map_at(self.files, share.members[0]);
            let mut earlier = self.shares.iter().filter(alone).filter(|other| other.members[0].0 < index);
            let other = earlier.find(|other| look_alike(map_at(self.files, other.members[0]), map, self.host))?;
            let (file, symbol) = (&self.objects[other.members[0].0], &other.symbol);
            Some(format!(
                "`{}` has the type, sizes and layout of `{symbol}` of object.{file}. If both are one map: \
                 `[map.{symbol}]` with `from = \"{file}:{symbol}\"`, and here `maps = {{ {} = \"{symbol}\" }}`.",
                share.symbol, share.symbol
            ))
        })
    }

    /// Returns which symbols of an object are maps that others define.
    fn edges(&self, index: usize) -> impl Iterator<Item = (String, String)> {
        let tables = self.shares.iter().zip(&self.maps).filter(|(share, _)| share.reason.is_some());
        tables.flat_map(move |(share, name)| {
            let users = share.members.iter().skip(1).filter(move |(file, _)| *file == index);
            users.map(move |at| (symbol(map_at(self.files, *at), at.1).to_string(), quoted(name)))
        })
    }

    fn map(&self, share: &Share, name: &str) -> Table {
        let (file, index) = share.members[0];
        let map = &self.files[file].object.maps[index];
        let mut table = Table::new("map", name);
        let of = |at: &(usize, usize)| format!("object.{}", self.objects[at.0]);
        let users = share.members.iter().skip(1).map(of).collect::<Vec<_>>().join(", ");
        table.comment(words(&map.spec));
        if share.members.len() > 1 {
            let have = if share.members.len() > 2 { "have" } else { "has" };
            table.comment(format!(
                "A guess: {users} {have} a map of the same name, type, sizes and layout. If it is another one, take its edge (`maps`) away."
            ));
        }
        if share.reason == Some(Reason::Conflict) {
            table.comment(format!("Another object pins another map as `{}`: so each gets a table.", share.symbol));
        }
        table.set("from", from(&self.objects[file], &symbol(map, index).to_string()), "");
        for (key, guess) in open(map, self.host) {
            table.set(key, guess.to_string(), "a guess: the object does not say it");
        }
        if lacks_template(map) {
            table.set("inner", quoted(&template_name(name)), "a guess: the object does not say what is inside");
        }
        if let Pinning::Custom(number) = map.pinning {
            let why =
                format!("a guess: pinning {number} is what its author means (iproute2: /etc/iproute2/bpf_pinning)");
            table.set("pin", quoted(&format!("maps/{name}")), why);
        }
        table
    }

    /// Guesses what the maps look like that are inside of others.
    fn templates(&self) -> impl Iterator<Item = Table> {
        let lacking = |(share, _): &(&Share, &String)| lacks_template(map_at(self.files, share.members[0]));
        self.shares.iter().zip(&self.maps).filter(lacking).map(|(_, name)| {
            let mut table = Table::new("map", &template_name(name));
            table.comment(format!("A guess of what is inside of map.{name}: the object does not say it."));
            let sizes = [("key_size", "4"), ("value_size", "8"), ("max_entries", "1")];
            table.set("type", "\"array\"", "");
            sizes.into_iter().for_each(|(key, size)| table.set(key, size, ""));
            table
        })
    }

    fn programs(&self) -> Vec<Listed> {
        let mut names = Names::default();
        let functions = self.files.iter().flat_map(|file| &file.object.programs).map(|program| &program.function);
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<_> = functions.filter(|function| !seen.insert(*function)).collect();
        let mut listed = Vec::new();
        for (file, File { object, .. }) in self.files.iter().enumerate() {
            let brought = brought(object);
            let is_listed = |(index, program): &(usize, &Program)| !program.is_static && !brought.contains(index);
            for (index, program) in object.programs.iter().enumerate().filter(is_listed) {
                let name = match twice.contains(&program.function) {
                    true => names.take(&format!("{}_{}", self.objects[file], program.function)),
                    false => names.take(&program.function),
                };
                listed.push(Listed { file, program: index, name, lack: lack(object, index) });
            }
        }
        listed
    }

    fn program(&self, listed: &Listed) -> Table {
        let program = &self.files[listed.file].object.programs[listed.program];
        let mut table = Table { is_off: listed.lack.is_some(), ..Table::new("program", &listed.name) };
        let optional = if program.autoload { "" } else { "?" };
        let kind = program.kind.as_ref().map(|kind| match kind.attach_type {
            Some(attach_type) if attach_type.to_string() != kind.program_type.to_string() => {
                format!(": {}, {attach_type}", kind.program_type)
            }
            Some(_) | None => format!(": {}", kind.program_type),
        });
        table.comment(format!("section `{optional}{}`{}", program.section, kind.unwrap_or_default()));
        table.set("from", from(&self.objects[listed.file], &program.function), "");
        match &listed.lack {
            None => {}
            Some(Lack::Type) => {
                table.comment("Its section does not say of which type it is:");
                table.set("type", "\"TYPE\"", "such as xdp, sched_cls, cgroup_skb");
            }
            Some(Lack::Optional) => table.comment("Its author says that it is loaded only when it is asked for:"),
            Some(Lack::Target) => {
                table.comment("Its section does not say what of the kernel it is for:");
                table.set("target", "\"NAME\"", "");
            }
            Some(Lack::Function) => {
                table.comment("Nothing says whose function it replaces:");
                table.set("target", "\"program.NAME:FUNCTION\"", "");
            }
            Some(Lack::Broken(why)) => table.comment(format!("It cannot be linked: {why}")),
        }
        table
    }

    /// Suggests a link.
    fn attachment(&self, listed: &Listed) -> Table {
        let object = self.files[listed.file].object;
        let program = &object.programs[listed.program];
        let mut table = Table { is_off: true, ..Table::new("link", &listed.name) };
        let Some(kind) = &program.kind else { return table };
        match attach(program, kind, self.sockmap()) {
            Attach::Hook { key, value, note } => {
                table.set("program", quoted(&listed.name), "");
                table.set(key, value, note);
            }
            Attach::Nothing(why) => {
                table.header = String::new();
                table.comment(format!("program.{} gets no link: {why}.", listed.name));
            }
        }
        table
    }

    /// Returns a map of sockets that a link can name.
    fn sockmap(&self) -> Option<&str> {
        let mut named = self.shares.iter().zip(&self.maps);
        let found = named.find(|(share, _)| holds_sockets(map_at(self.files, share.members[0])));
        found.map(|(_, name)| name.as_str())
    }

    fn struct_ops_maps(&self) -> impl Iterator<Item = Table> {
        self.structs.iter().map(|Struct { file, symbol, name, lack }| {
            let mut table = Table { is_off: lack.is_some(), ..Table::new("map", name) };
            table.comment("A struct of functions for the kernel, with its programs.");
            table.comments.extend(lack.clone());
            table.set("from", from(&self.objects[*file], symbol), "");
            table
        })
    }

    fn struct_ops_links(&self) -> impl Iterator<Item = Table> {
        self.structs.iter().filter(|known| known.lack.is_none()).map(|Struct { name, .. }| {
            let mut table = Table { is_off: true, ..Table::new("link", name) };
            table.set("struct_ops", inline(&[("map".to_owned(), quoted(name))]), "");
            table
        })
    }
}

/// A struct of functions for the kernel.
struct Struct {
    file: usize,
    symbol: String,
    name: String,
    /// Why it is there only as a comment.
    lack: Option<String>,
}

/// Lists the structs of functions of all objects.
fn structs(files: &[File<'_>], mut name: impl FnMut(&str) -> String) -> Vec<Struct> {
    let mut found = Vec::new();
    for (file, File { object, .. }) in files.iter().enumerate() {
        let is_struct = |(_, map): &(usize, &Map)| map.dialect == Dialect::StructOps;
        for (index, map) in object.maps.iter().enumerate().filter(is_struct) {
            let broken = object.operations(index, &Target::offline()).err();
            let lack = match broken {
                Some(errors) => {
                    let why = errors.first().map(ToString::to_string).unwrap_or_default();
                    Some(format!("It cannot be made: {why}"))
                }
                None if !has_link(map) => Some(AT_ONCE.to_owned()),
                None => None,
            };
            found.push(Struct { file, symbol: map.symbol.clone(), name: name(&map.symbol), lack });
        }
    }
    found
}

/// Returns whether a struct of functions becomes the kernel's by a link, and not as soon as it is filled.
fn has_link(map: &Map) -> bool {
    map.spec.flags & flags::LINK != 0
}

/// Why a struct of functions is not in the manifest that has no link.
const AT_ONCE: &str = "It is in `.struct_ops`, where the kernel takes it at once, without a link: in \
                       `.struct_ops.link` it could be here. Its programs are loaded without it.";

/// Lists the programs that come with others: those in the structs that the manifest has, and those that another program
/// of the manifest calls by the slots of a map. What only calls itself comes with nobody.
fn brought(object: &Object) -> BTreeSet<usize> {
    let slots = |map: &Map| {
        let programs = map.slots.iter().filter_map(|slot| match slot.target {
            SlotTarget::Program(program) => Some(program),
            SlotTarget::Map(_) => None,
        });
        programs.collect::<Vec<_>>()
    };
    let (structs, tables): (Vec<&Map>, Vec<&Map>) =
        object.maps.iter().partition(|map| map.dialect == Dialect::StructOps);
    let mut brought: BTreeSet<usize> = structs.into_iter().filter(|map| has_link(map)).flat_map(slots).collect();
    let called: BTreeSet<usize> = tables.into_iter().flat_map(slots).collect();
    if called.is_empty() {
        return brought;
    }
    let calls = |program: usize| {
        let code = object.link(program, &Target::offline()).ok();
        let maps = code.map(|code| object.maps_of(&code)).unwrap_or_default();
        maps.into_iter().flat_map(|map| slots(&object.maps[map])).collect::<Vec<_>>()
    };
    let (last, first): (Vec<usize>, Vec<usize>) =
        (0..object.programs.len()).partition(|program| called.contains(program));
    for program in first.into_iter().chain(last) {
        let is_listed =
            !object.programs[program].is_static && !brought.contains(&program) && lack(object, program).is_none();
        let mut callers = Vec::from_iter(is_listed.then_some(program));
        while let Some(caller) = callers.pop() {
            let new = calls(caller).into_iter().filter(|called| *called != program && brought.insert(*called));
            callers.extend(new);
        }
    }
    brought
}

/// Returns why a program cannot be loaded as it is.
fn lack(object: &Object, index: usize) -> Option<Lack> {
    let program = &object.programs[index];
    let Some(kind) = &program.kind else { return Some(Lack::Type) };
    if let Err(errors) = object.link(index, &Target::offline()) {
        return Some(Lack::Broken(errors.first().map(ToString::to_string).unwrap_or_default()));
    }
    match (kind.program_type, program.autoload) {
        (ProgramType::EXT, _) => Some(Lack::Function),
        (ProgramType::TRACING | ProgramType::LSM, _) if kind.target.is_none() => Some(Lack::Target),
        (_, false) => Some(Lack::Optional),
        (_, true) => None,
    }
}

/// Writes what variables of an object start with, as far as a manifest would set them.
fn first_values(object: &Object) -> Vec<(String, String)> {
    let Some(btf) = &object.btf else { return Vec::new() };
    let is_kept = |map: usize| {
        let map = &object.maps[map];
        matches!(map.dialect, Dialect::Data(DataKind::Rodata | DataKind::Data)) && map.symbol != ".kconfig"
    };
    let written =
        variables::all(object).into_iter().filter(|(_, place)| is_kept(place.map)).filter_map(|(name, place)| {
            let bytes = object.maps[place.map].data.as_ref()?.get(place.offset..place.offset + place.size)?;
            // What a function has, as `name.format`, is no setting.
            let first = (!name.contains('.')).then(|| value::decode(btf, place.ty, bytes).ok())??;
            let is_plain = matches!(first, value::Value::Int(_) | value::Value::Float(_) | value::Value::Bool(_));
            is_plain.then(|| (name, table::value(&first)))
        });
    written.take(MOST_VARIABLES).collect()
}

/// Returns how a manifest names a map of an object.
fn symbol(map: &Map, index: usize) -> SymbolRef {
    if map.symbol.is_empty() { SymbolRef::Index(index) } else { SymbolRef::Name(map.symbol.clone()) }
}

fn from(object: &str, symbol: &str) -> String {
    quoted(&format!("{object}:{symbol}"))
}

/// Says what a map is: `hash, 4 B to 8 B, 1024 entries`.
fn words(spec: &MapSpec) -> String {
    let MapSpec { map_type, key_size, value_size, max_entries, .. } = spec;
    match (map_type.has_keys(), map_type.has_values()) {
        (true, _) => format!("{map_type}, {key_size} B to {value_size} B, {max_entries} entries"),
        (false, true) => format!("{map_type}, {value_size} B, {max_entries} entries"),
        (false, false) => format!("{map_type}, {max_entries}"),
    }
}
