//! What is in an object file, and what a manifest has to say about it, for people and for programs.

use super::json::{FORMAT, Format, MapJson};
use super::layout::{Page, Paint, Style, Table, Text};
use crate::btf::{Btf, Type, TypeId};
use crate::elf::{
    self, DataKind, Dialect, Error, Extern, ExternKind, Map, Object, Pinning, Probe, Program, Setting, SlotTarget,
    Target, ValueKind,
};
use crate::insn::{CALL, Code, PSEUDO_CALL, PSEUDO_FUNC};
use crate::kinds::{AttachType, ProgramType};
use crate::names::Digest;
use crate::plan::words::count;
use crate::spec::{MapSpec, flag_names};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;

/// What is in an object file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Inspection {
    /// Path as it was given.
    pub path: String,
    /// Size in bytes.
    pub size: usize,
    /// Digest of the file, as `sha256` of an `[object]` takes it.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Digest,
    /// How numbers are written in it.
    #[schemars(extend("enum" = ["little", "big", "unknown"]))]
    pub byte_order: &'static str,
    /// License; a program without one is not GPL for the kernel.
    pub license: Option<String>,
    /// Kernel version of the object.
    pub kernel_version: Option<u32>,
    /// Whether it has BTF.
    pub btf: bool,
    /// Maps, as `#0`, `#1` ... count them.
    pub maps: Vec<InspectedMap>,
    /// Programs.
    pub programs: Vec<InspectedProgram>,
    /// What it leaves to the kernel.
    pub externs: Vec<InspectedExtern>,
    /// What a manifest has to say, because the object does not.
    pub needs: Vec<Need>,
}

/// A symbol that the kernel defines.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InspectedExtern {
    /// The symbol.
    pub symbol: String,
    /// What it is.
    #[schemars(extend("enum" = ["setting", "address", "variable", "function", "unknown"]))]
    pub kind: &'static str,
    /// Its type, where it has one.
    pub r#type: Option<String>,
    /// Whether the object does without it.
    pub weak: bool,
}

/// A map of an object.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InspectedMap {
    /// What `#N` counts.
    pub index: usize,
    /// Symbol, or section of a data section.
    pub symbol: String,
    /// Section of the definition.
    pub section: String,
    /// How it is spelled.
    #[schemars(extend("enum" = DIALECTS))]
    pub dialect: &'static str,
    /// What it asks for.
    #[serde(flatten, serialize_with = "definition_json")]
    #[schemars(with = "MapJson")]
    pub spec: MapSpec,
    /// Where the object wants it pinned.
    pub pinning: Option<String>,
    /// Name of the key's type, where there is BTF for it.
    pub key_type: Option<String>,
    /// Name of the value's type, where there is BTF for it.
    pub value_type: Option<String>,
    /// What it starts with, by index: names of maps and programs.
    pub slots: BTreeMap<u32, String>,
    /// The programs of a struct of functions, by the member that they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, String>,
}

fn definition_json<S: Serializer>(spec: &MapSpec, serializer: S) -> Result<S::Ok, S::Error> {
    MapJson::of(spec).serialize(serializer)
}

/// A program of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InspectedProgram {
    /// Function.
    pub function: String,
    /// Its other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Section.
    pub section: String,
    /// Type, where the section name says it.
    #[schemars(with = "Option<String>")]
    pub r#type: Option<ProgramType>,
    /// Attach type, where the section name says it.
    #[schemars(with = "Option<String>")]
    pub attach_type: Option<AttachType>,
    /// Hook, function or tracepoint, where the section name says it.
    pub target: Option<String>,
    /// Where a tracing program runs, where the section name says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// False for one that is loaded only when a manifest names it.
    pub autoload: bool,
    /// Symbols of the maps that it uses.
    pub maps: Vec<String>,
    /// Number of other functions that come with it.
    pub subprograms: Option<usize>,
    /// Number of instructions with all subprograms; null when it cannot be linked.
    pub instructions: Option<usize>,
    /// Why it cannot be linked, or attached where its section says.
    pub problems: Vec<String>,
}

/// Something that the object leaves to the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Need {
    /// The table: `program` or `map`, or `link` for one that attaches the program.
    #[schemars(extend("enum" = ["program", "map", "link"]))]
    pub table: &'static str,
    /// The function or the symbol, as `from` takes it.
    pub symbol: String,
    /// The key.
    pub key: &'static str,
    /// Why.
    pub why: String,
}

/// Looks at an object. `type_name` writes a type as C does, for example `struct flow_key`.
pub fn inspect(path: &str, bytes: &[u8], object: &Object, type_name: impl Fn(&Btf, TypeId) -> String) -> Inspection {
    let programs = object.programs.iter().enumerate();
    let programs = programs.map(|(i, program)| inspect_program(object, program, object.link(i, &Target::offline())));
    describe(path, bytes, object, programs.collect(), type_name)
}

fn describe(
    path: &str,
    bytes: &[u8],
    object: &Object,
    programs: Vec<InspectedProgram>,
    type_name: impl Fn(&Btf, TypeId) -> String,
) -> Inspection {
    Inspection {
        path: path.to_owned(),
        size: bytes.len(),
        sha256: Digest::of(bytes),
        byte_order: byte_order(bytes),
        license: object.license.clone(),
        kernel_version: object.kernel_version,
        btf: object.btf.is_some(),
        maps: object.maps.iter().enumerate().map(|(i, map)| inspect_map(object, i, map, &type_name)).collect(),
        programs,
        externs: object.externs.iter().map(|known| inspect_extern(object, known, &type_name)).collect(),
        needs: needs(object),
    }
}

/// Reads `EI_DATA`, the sixth byte of an ELF file.
fn byte_order(bytes: &[u8]) -> &'static str {
    match bytes.get(5) {
        Some(1) => "little",
        Some(2) => "big",
        Some(_) | None => "unknown",
    }
}

fn inspect_map(object: &Object, index: usize, map: &Map, type_name: impl Fn(&Btf, TypeId) -> String) -> InspectedMap {
    let types = map.spec.types.as_ref();
    let name = |id: TypeId| types.filter(|_| id != 0).map(|types| type_name(&types.btf, id));
    let members = match (map.dialect, types.and_then(|types| types.btf.get(types.value))) {
        (Dialect::StructOps, Some(Type::Struct { members, .. })) => members.as_slice(),
        _ => &[],
    };
    let target = |target: &SlotTarget| match target {
        SlotTarget::Map(map) => object.maps.get(*map).map(|map| map.symbol.clone()),
        SlotTarget::Program(program) => object.programs.get(*program).map(|program| program.function.clone()),
    };
    let slots = map.slots.iter().filter_map(|slot| Some((slot.index, target(&slot.target)?)));
    let member = |index: u32| members.get(index as usize).map(|member| member.name.to_string());
    let functions: BTreeMap<_, _> =
        slots.clone().filter_map(|(index, function)| Some((member(index)?, function))).collect();
    InspectedMap {
        index,
        symbol: map.symbol.clone(),
        section: map.section.clone(),
        dialect: dialect(map.dialect),
        spec: map.spec.clone(),
        pinning: pinning(map.pinning),
        key_type: types.and_then(|types| name(types.key)),
        value_type: types.and_then(|types| name(types.value)),
        slots: if functions.is_empty() { slots.collect() } else { BTreeMap::new() },
        functions,
    }
}

fn inspect_extern(object: &Object, known: &Extern, type_name: &impl Fn(&Btf, TypeId) -> String) -> InspectedExtern {
    let name = |id: TypeId| object.btf.as_deref().map(|btf| type_name(btf, id));
    let (kind, r#type) = match &known.kind {
        ExternKind::Setting(Setting { value, size, .. }) => ("setting", Some(setting(*value, *size))),
        ExternKind::Address => ("address", None),
        ExternKind::Variable(ty) => ("variable", name(*ty)),
        ExternKind::Function(ty) => ("function", name(*ty)),
        ExternKind::Unknown(what) => ("unknown", Some(what.clone())),
    };
    InspectedExtern { symbol: known.name.clone(), kind, r#type, weak: known.weak }
}

fn setting(value: ValueKind, size: u32) -> String {
    let sign = |signed: bool| if signed { "signed" } else { "unsigned" };
    match value {
        ValueKind::Bool => "bool".to_owned(),
        ValueKind::Tristate => "tristate".to_owned(),
        ValueKind::Char { signed } | ValueKind::Int { signed } => format!("{} number of {size} B", sign(signed)),
        ValueKind::Text => format!("text of {size} B"),
    }
}

/// How maps are spelled.
const DIALECTS: [&str; 7] = ["BTF", "bpf_map_def", "bpf_elf_map", "functions", "constants", "variables", "zeroes"];

fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Btf => "BTF",
        Dialect::BpfMapDef => "bpf_map_def",
        Dialect::BpfElfMap => "bpf_elf_map",
        Dialect::StructOps => "functions",
        Dialect::Data(DataKind::Rodata) => "constants",
        Dialect::Data(DataKind::Data) => "variables",
        Dialect::Data(DataKind::Bss) => "zeroes",
    }
}

fn pinning(pinning: Pinning) -> Option<String> {
    match pinning {
        Pinning::None => None,
        Pinning::ByName => Some("by name".to_owned()),
        Pinning::GlobalNs => Some("global".to_owned()),
        Pinning::ObjectNs => Some("object".to_owned()),
        Pinning::Custom(number) => Some(format!("custom {number}")),
    }
}

fn inspect_program(object: &Object, program: &Program, linked: Result<Code, Vec<Error>>) -> InspectedProgram {
    let (code, errors) = match linked {
        Ok(code) => (Some(code), Vec::new()),
        Err(errors) => (None, errors),
    };
    let symbol = |map: usize| object.maps.get(map).map(|map| map.symbol.clone());
    let kind = program.kind.as_ref();
    let (probe, misplaced) = match elf::probe(&program.section) {
        Some(Ok(probe)) => (Some(probe), None),
        Some(Err(what)) => (None, Some(format!("section `{}`: {what}", program.section))),
        None => (None, None),
    };
    InspectedProgram {
        function: program.function.clone(),
        aliases: program.aliases.clone(),
        section: program.section.clone(),
        r#type: kind.map(|kind| kind.program_type),
        attach_type: kind.and_then(|kind| kind.attach_type),
        target: kind.and_then(|kind| kind.target.clone()),
        probe,
        autoload: program.autoload,
        maps: code.iter().flat_map(|code| object.maps_of(code)).filter_map(symbol).collect(),
        subprograms: code.as_ref().map(subprograms),
        instructions: code.as_ref().map(|code| code.insns.len()),
        problems: errors.iter().map(Error::to_string).chain(misplaced).collect(),
    }
}

/// Counts the functions behind the main one: everything that is called, or whose address is taken.
fn subprograms(code: &Code) -> usize {
    let targets = code.insns.iter().enumerate().filter_map(|(at, insn)| {
        let calls = insn.code == CALL && insn.regs.src() == PSEUDO_CALL;
        let takes = insn.is_ld_imm64() && insn.regs.src() == PSEUDO_FUNC;
        // The distance counts from the next instruction.
        (calls || takes).then(|| i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1 + i64::from(insn.imm)))
    });
    targets.filter(|&target| target != 0).collect::<BTreeSet<_>>().len()
}

fn needs(object: &Object) -> Vec<Need> {
    let untyped = object.programs.iter().filter(|program| program.kind.is_none());
    let types = untyped.map(|program| Need {
        table: "program",
        symbol: program.function.clone(),
        key: "type",
        why: format!("section `{}` does not say it", program.section),
    });
    let sizes = object.maps.iter().flat_map(|map| {
        let MapSpec { map_type, max_entries, value_size, .. } = map.spec;
        let open = [
            ("max_entries", max_entries == 0 && map_type.wants_a_size()),
            ("value_size", value_size == 0 && map_type.wants_a_value_size()),
        ];
        open.into_iter().filter(|(_, open)| *open).map(|(key, _)| Need {
            table: "map",
            symbol: map.symbol.clone(),
            key,
            why: "the object leaves it at 0".to_owned(),
        })
    });
    let custom = object.maps.iter().filter_map(|map| match map.pinning {
        Pinning::Custom(number) => Some(Need {
            table: "map",
            symbol: map.symbol.clone(),
            key: "pin",
            why: format!("pinning {number} is what its author means (iproute2: /etc/iproute2/bpf_pinning)"),
        }),
        Pinning::None | Pinning::ByName | Pinning::GlobalNs | Pinning::ObjectNs => None,
    });
    let places = object.programs.iter().filter_map(place_needed);
    types.chain(places).chain(sizes).chain(custom).collect()
}

/// The prefixes of sections whose programs are attached where a link says it, unless the section does; and the key of the
/// link.
const PLACES: &[(&str, &str)] = &[
    ("kprobe", "kprobe.function"),
    ("kretprobe", "kprobe.function"),
    ("kprobe.multi", "kprobe_multi.functions"),
    ("kretprobe.multi", "kprobe_multi.functions"),
    ("kprobe.session", "kprobe_multi.functions"),
    ("uprobe", "uprobe.binary"),
    ("uprobe.s", "uprobe.binary"),
    ("uretprobe", "uprobe.binary"),
    ("uretprobe.s", "uprobe.binary"),
    ("tp", "tracepoint.name"),
    ("tracepoint", "tracepoint.name"),
    ("raw_tp", "raw_tracepoint.name"),
    ("raw_tracepoint", "raw_tracepoint.name"),
    ("raw_tp.w", "raw_tracepoint.name"),
    ("raw_tracepoint.w", "raw_tracepoint.name"),
];

/// Returns what a manifest has to say of the place of a program, where the section's name leaves it open.
fn place_needed(program: &Program) -> Option<Need> {
    let kind = program.kind.as_ref()?;
    let why = format!("section `{}` does not say it", program.section);
    let need = |table, key, why| Some(Need { table, symbol: program.function.clone(), key, why });
    // They are loaded for one place.
    let has_target = [ProgramType::TRACING, ProgramType::LSM].contains(&kind.program_type);
    match PLACES.iter().find(|(prefix, _)| program.section.trim_end_matches('/') == *prefix) {
        Some((_, key)) => need("link", *key, why),
        None if has_target && kind.target.is_none() => need("program", "target", why),
        None if kind.program_type == ProgramType::EXT => {
            need("program", "target", "it is a program of the same manifest".to_owned())
        }
        None => None,
    }
}

/// Writes what is in an object, in tables.
pub fn text(inspection: &Inspection, style: Style) -> String {
    let mut page = Page::new(style);
    facts(&mut page, inspection);
    page.blank();
    page.line(Text::new(Paint::Heading, count(inspection.maps.len() as u64, "map")), 2);
    if !inspection.maps.is_empty() {
        page.table(&maps(inspection));
    }
    page.blank();
    page.line(Text::new(Paint::Heading, count(inspection.programs.len() as u64, "program")), 2);
    if !inspection.programs.is_empty() {
        page.table(&programs(inspection));
    }
    if inspection.programs.iter().any(|program| program.probe.is_some()) {
        page.blank();
        page.line(Text::new(Paint::Heading, "where sections say that they run"), 2);
        page.table(&probes(inspection));
    }
    if !inspection.externs.is_empty() {
        page.blank();
        page.line(Text::new(Paint::Heading, count(inspection.externs.len() as u64, "symbol") + " of the kernel"), 2);
        page.table(&externs(inspection));
    }
    problems(&mut page, inspection);
    needed(&mut page, inspection);
    page.finish()
}

fn facts(page: &mut Page, inspection: &Inspection) {
    let Inspection { path, size, byte_order, sha256, .. } = inspection;
    page.line(Text::new(Paint::Heading, path).and(Paint::Plain, format!(": {size} B, {byte_order}-endian")), 2);
    let license = match &inspection.license {
        Some(license) => format!("license {license}"),
        None => "no license (not GPL for the kernel)".to_owned(),
    };
    let btf = if inspection.btf { "BTF" } else { "no BTF" };
    let version = inspection.kernel_version.iter().map(|version| format!(", for kernel version {version}"));
    page.line(format!("{license}, {btf}{}", version.collect::<String>()), 2);
    page.line(format!("sha256 {sha256}"), 2);
}

fn maps(inspection: &Inspection) -> Table {
    let mut table = Table::new(&[
        "#",
        "MAP",
        "TYPE",
        "KEY",
        "VALUE",
        "ENTRIES",
        "SPELLED",
        "SECTION",
        "FLAGS",
        "PINNED",
        "KEY TYPE",
        "VALUE TYPE",
        "INNER",
        "STARTS WITH",
    ]);
    for map in &inspection.maps {
        let slots = map.slots.iter().map(|(index, target)| format!("{index} = {target}"));
        let functions = map.functions.iter().map(|(member, function)| format!("{member} = {function}"));
        let slots: Vec<_> = slots.chain(functions).collect();
        table.row([
            format!("#{}", map.index),
            map.symbol.clone(),
            map.spec.map_type.to_string(),
            format!("{} B", map.spec.key_size),
            format!("{} B", map.spec.value_size),
            map.spec.max_entries.to_string(),
            map.dialect.to_owned(),
            map.section.clone(),
            if map.spec.flags == 0 { String::new() } else { flag_names(map.spec.flags) },
            map.pinning.clone().unwrap_or_default(),
            map.key_type.clone().unwrap_or_default(),
            map.value_type.clone().unwrap_or_default(),
            map.spec.inner.as_ref().map_or(String::new(), |inner| inner.to_string()),
            slots.join(", "),
        ]);
    }
    table
}

fn programs(inspection: &Inspection) -> Table {
    let mut table =
        Table::new(&["PROGRAM", "SECTION", "TYPE", "ATTACH TYPE", "INSNS", "SUBPROGRAMS", "LOADED", "MAPS"]);
    for program in &inspection.programs {
        let number = |number: Option<usize>| number.map_or(String::new(), |number| number.to_string());
        table.row([
            names(program).into(),
            program.section.as_str().into(),
            program.r#type.map_or(Text::new(Paint::Change, "unknown"), |known| known.to_string().into()),
            program.attach_type.map_or(String::new(), |known| known.to_string()).into(),
            number(program.instructions).into(),
            number(program.subprograms.filter(|&subprograms| subprograms > 0)).into(),
            if program.autoload { "" } else { "only by name" }.into(),
            program.maps.join(", ").into(),
        ]);
    }
    table
}

fn names(program: &InspectedProgram) -> String {
    let names: Vec<_> = iter::once(&program.function).chain(&program.aliases).map(String::as_str).collect();
    names.join(", ")
}

fn probes(inspection: &Inspection) -> Table {
    let mut table = Table::new(&["PROGRAM", "RUNS AT"]);
    for program in &inspection.programs {
        if let Some(probe) = &program.probe {
            table.row([program.function.clone(), probe.to_string()]);
        }
    }
    table
}

fn externs(inspection: &Inspection) -> Table {
    let mut table = Table::new(&["SYMBOL", "WHAT", "TYPE", "WEAK"]);
    for known in &inspection.externs {
        table.row([
            known.symbol.as_str(),
            known.kind,
            known.r#type.as_deref().unwrap_or("-"),
            if known.weak { "weak" } else { "-" },
        ]);
    }
    table
}

fn problems(page: &mut Page, inspection: &Inspection) {
    let broken = || inspection.programs.iter().filter(|program| !program.problems.is_empty());
    if broken().next().is_none() {
        return;
    }
    page.blank();
    page.line(Text::new(Paint::Alarm, "cannot be used as they are"), 2);
    for program in broken() {
        for problem in &program.problems {
            page.line(format!("  {}: {problem}", program.function), 4);
        }
    }
}

fn needed(page: &mut Page, inspection: &Inspection) {
    page.blank();
    if inspection.needs.is_empty() {
        page.line("a manifest has to say nothing more than which programs and where", 2);
        return;
    }
    page.line(Text::new(Paint::Heading, "a manifest has to say"), 2);
    for Need { table, symbol, key, why } in &inspection.needs {
        let line = Text::from("  ").and(Paint::Change, format!("`{key}`"));
        let of = match *table {
            "link" => format!("a link of `{symbol}`"),
            table => format!("the {table} from `{symbol}`"),
        };
        page.line(line.and(Paint::Plain, format!(" of {of}: {why}")), 4);
    }
}

/// What is in an object file, as `bpfapply inspect FILE.o --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply inspect")]
struct InspectionJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "inspect"))]
    kind: &'static str,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

/// Returns the JSON schema of that.
pub fn schema() -> serde_json::Value {
    super::json::schema::<InspectionJson<'_>>()
}

/// Writes what is in an object as JSON.
pub fn json(inspection: &Inspection) -> String {
    super::json::write(&InspectionJson { format: FORMAT, kind: "inspect", inspection })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::{ProgramKind, Slot};
    use crate::insn::{Insn, LD_IMM64, Registers, Site, SiteKind};
    use crate::kinds::MapType;
    use crate::spec::flags;

    fn map(symbol: &str, section: &str, dialect: Dialect, spec: MapSpec) -> Map {
        let (symbol, section) = (symbol.to_owned(), section.to_owned());
        Map { symbol, section, dialect, spec, pinning: Pinning::None, data: None, slots: Vec::new() }
    }

    fn program(function: &str, section: &str, kind: Option<ProgramKind>) -> Program {
        let (function, section) = (function.to_owned(), section.to_owned());
        Program { function, aliases: Vec::new(), section, kind, autoload: true, is_static: false, type_id: None }
    }

    fn object() -> Object {
        let xdp =
            ProgramKind { program_type: ProgramType::XDP, attach_type: Some(AttachType::XDP), target: None, flags: 0 };
        let hash = MapSpec { flags: flags::NO_PREALLOC, ..MapSpec::new(MapType::HASH, 4, 8, 0) };
        // What cannot be made by hand comes from a real file.
        let mut object = crate::elf::parse(include_bytes!("../../tests/objects/pass.o")).expect("a good object");
        object.license = Some("GPL".to_owned());
        object.kernel_version = None;
        object.maps = vec![
            Map { pinning: Pinning::GlobalNs, ..map("flows", "maps", Dialect::BpfElfMap, hash) },
            Map {
                slots: vec![Slot { index: 3, target: SlotTarget::Program(1) }],
                ..map("calls", ".maps", Dialect::Btf, MapSpec::new(MapType::PROG_ARRAY, 4, 4, 8))
            },
            map(
                ".rodata",
                ".rodata",
                Dialect::Data(DataKind::Rodata),
                MapSpec { flags: flags::RDONLY_PROG, ..MapSpec::new(MapType::ARRAY, 4, 64, 1) },
            ),
        ];
        object.programs = vec![
            program("xdp_drop", "xdp", Some(xdp.clone())),
            Program { autoload: false, ..program("tail", "xdp", Some(xdp)) },
            program("handler", "ingress", None),
        ];
        object.btf = None;
        object
    }

    fn code() -> Code {
        let call = |src, imm| Insn { code: CALL, regs: Registers::new(0, src), imm, ..Insn::default() };
        let load = |src, imm| Insn { code: LD_IMM64, regs: Registers::new(0, src), imm, ..Insn::default() };
        // A helper's call, two calls of the function at 6, its address, and a map.
        let insns = vec![call(0, 6), call(PSEUDO_CALL, 4), call(PSEUDO_CALL, 3), load(PSEUDO_FUNC, 2), Insn::default()];
        let insns = [insns, vec![load(0, 0), Insn::default()]].concat();
        let sites = vec![Site { insn: 5, map: 0, kind: SiteKind::Map }];
        Code { insns, sites, ..Code::default() }
    }

    fn sample() -> Inspection {
        let object = object();
        let error = Error {
            section: Some("ingress".to_owned()),
            symbol: Some("helper".to_owned()),
            offset: Some(16),
            what: "a call of a function that is not there".to_owned(),
            ..Error::default()
        };
        let linked = [Ok(code()), Ok(Code::default()), Err(vec![error])];
        let programs = object.programs.iter().zip(linked);
        let programs = programs.map(|(program, linked)| inspect_program(&object, program, linked)).collect();
        let bytes = b"\x7fELF\x02\x01\x01";
        describe("filter.bpf.o", bytes, &object, programs, |_, _| unreachable!("the sample has no types"))
    }

    #[test]
    fn a_place_that_the_section_leaves_open_is_the_manifests_to_say() {
        let object = object();
        let program = |section: &str, program_type, target: Option<&str>| {
            let kind = ProgramKind { program_type, attach_type: None, target: target.map(str::to_owned), flags: 0 };
            Program {
                function: "f".to_owned(),
                section: section.to_owned(),
                kind: Some(kind),
                ..object.programs[0].clone()
            }
        };
        let bare = |section: &str| format!("section `{section}` does not say it");
        for (section, program_type, target, needed) in [
            ("kprobe", ProgramType::KPROBE, None, Some(("link", "kprobe.function", bare("kprobe")))),
            ("kretprobe", ProgramType::KPROBE, None, Some(("link", "kprobe.function", bare("kretprobe")))),
            ("kprobe/tcp_connect", ProgramType::KPROBE, Some("tcp_connect"), None),
            ("raw_tp", ProgramType::RAW_TRACEPOINT, None, Some(("link", "raw_tracepoint.name", bare("raw_tp")))),
            ("tp/sched/sched_switch", ProgramType::TRACEPOINT, Some("sched/sched_switch"), None),
            ("fentry", ProgramType::TRACING, None, Some(("program", "target", bare("fentry")))),
            ("fentry/tcp_connect", ProgramType::TRACING, Some("tcp_connect"), None),
            ("lsm", ProgramType::LSM, None, Some(("program", "target", bare("lsm")))),
            (
                "freplace/drop",
                ProgramType::EXT,
                Some("drop"),
                Some(("program", "target", "it is a program of the same manifest".to_owned())),
            ),
            ("xdp", ProgramType::XDP, None, None),
        ] {
            let need = place_needed(&program(section, program_type, target));
            assert_eq!(need.map(|need| (need.table, need.key, need.why)), needed, "{section}");
        }
    }

    #[test]
    fn tables() {
        insta::assert_snapshot!(text(&sample(), Style::default()), @r"
        filter.bpf.o: 7 B, little-endian
        license GPL, no BTF
        sha256 ced1af6d51438341a0335cc00e1c2867fb718a537c1173cf210070a6b1cdf40a

        3 maps
          #   MAP      TYPE        KEY  VALUE  ENTRIES  SPELLED      SECTION
            FLAGS        PINNED  STARTS WITH
          #0  flows    hash        4 B  8 B    0        bpf_elf_map  maps
            no_prealloc  global  -
          #1  calls    prog_array  4 B  4 B    8        BTF          .maps
            -            -       3 = tail
          #2  .rodata  array       4 B  64 B   1        constants    .rodata
            rdonly_prog  -       -

        3 programs
          PROGRAM   SECTION  TYPE     ATTACH TYPE  INSNS  SUBPROGRAMS  LOADED
            MAPS
          xdp_drop  xdp      xdp      xdp          7      1            -
            flows
          tail      xdp      xdp      xdp          0      -            only by name
          handler   ingress  unknown  -            -      -            -

        cannot be used as they are
          handler: a call of a function that is not there, in section `ingress`, symbol
            `helper`, at byte 0x10

        a manifest has to say
          `type` of the program from `handler`: section `ingress` does not say it
          `max_entries` of the map from `flows`: the object leaves it at 0
        ");
        insta::assert_snapshot!(text(&sample(), Style { width: 200, ..Style::default() }), @r"
        filter.bpf.o: 7 B, little-endian
        license GPL, no BTF
        sha256 ced1af6d51438341a0335cc00e1c2867fb718a537c1173cf210070a6b1cdf40a

        3 maps
          #   MAP      TYPE        KEY  VALUE  ENTRIES  SPELLED      SECTION  FLAGS        PINNED  STARTS WITH
          #0  flows    hash        4 B  8 B    0        bpf_elf_map  maps     no_prealloc  global  -
          #1  calls    prog_array  4 B  4 B    8        BTF          .maps    -            -       3 = tail
          #2  .rodata  array       4 B  64 B   1        constants    .rodata  rdonly_prog  -       -

        3 programs
          PROGRAM   SECTION  TYPE     ATTACH TYPE  INSNS  SUBPROGRAMS  LOADED        MAPS
          xdp_drop  xdp      xdp      xdp          7      1            -             flows
          tail      xdp      xdp      xdp          0      -            only by name  -
          handler   ingress  unknown  -            -      -            -             -

        cannot be used as they are
          handler: a call of a function that is not there, in section `ingress`, symbol `helper`, at byte 0x10

        a manifest has to say
          `type` of the program from `handler`: section `ingress` does not say it
          `max_entries` of the map from `flows`: the object leaves it at 0
        ");
    }

    #[test]
    fn functions_are_counted_once() {
        assert_eq!(subprograms(&code()), 1);
        assert_eq!(subprograms(&Code::default()), 0);
    }

    #[test]
    fn json_says_what_the_tables_say() {
        let value: serde_json::Value = serde_json::from_str(&json(&sample())).unwrap();
        assert_eq!((&value["kind"], &value["byte_order"]), (&"inspect".into(), &"little".into()));
        assert_eq!(value["maps"][0]["type"], "hash");
        assert_eq!(value["maps"][0]["flags"], serde_json::json!(["no_prealloc"]));
        assert_eq!(value["maps"][1]["slots"], serde_json::json!({ "3": "tail" }));
        assert_eq!(value["programs"][2]["problems"].as_array().unwrap().len(), 1);
        assert_eq!(value["needs"][0]["key"], "type");
    }
}
