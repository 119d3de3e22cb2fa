//! The objects that are compared: where they come from, and what a manifest says to load all of each.

use crate::shown::scratch;
use bpfapply::elf::{self, Dialect, Object, Program, Target};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a path of the repository.
pub fn repository(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inside)
}

/// Returns the files of a folder with this extension, sorted; none when there is no folder.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension() == Some(OsStr::new(extension))).collect();
    paths.sort();
    paths
}

/// Returns all folders of sources: those of this suite, of which some are to be linked, and those of compiled objects.
pub fn folders() -> Vec<PathBuf> {
    let below = |folder: PathBuf| {
        let entries = fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let mut folders = below(repository("tests/against_libbpf"));
    folders.extend(below(repository("tests/against_libbpf/linked")));
    folders.extend(["tests/objects", "tests/core", "examples/iproute2-legacy", "examples/quickstart"].map(repository));
    folders.sort();
    folders
}

/// Which end of a number comes first.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// `bpfel`
    Little,
    /// `bpfeb`
    Big,
}

/// Compiles C sources, and returns the objects; the error is the compiler's.
pub fn compile(sources: &[PathBuf], order: Order) -> Result<Vec<PathBuf>, String> {
    let target = match order {
        Order::Little => "bpfel",
        Order::Big => "bpfeb",
    };
    let compile = |source: &PathBuf| {
        let folder = scratch().join(target).join(source.parent().and_then(Path::file_name).expect("it is in a folder"));
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let object = folder.join(source.file_name().expect("a file")).with_extension("o");
        let mut clang = Command::new("clang");
        clang.args(["-O2", "-g", "-mcpu=v3", "-Wall", "-Werror", "-target", target]);
        // These are compiled several times.
        match Case::name(source).as_str() {
            "elf_map" | "map_def" => drop(clang.arg("-DWORDS=7")),
            "upgrade" => drop(clang.arg("-DVERSION=1")),
            _ => {}
        }
        clang.arg(format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH)).arg("-c").arg(source);
        crate::common::run(clang.arg("-o").arg(&object)).map_err(|error| format!("{}: {error}", source.display()))?;
        Ok(object)
    };
    sources.iter().map(compile).collect()
}

/// Links the objects of each folder of sources to one, with libbpf's linker; the error is why not.
pub fn link(folders: &Path) -> Result<Vec<PathBuf>, String> {
    let mut folders: Vec<_> = fs::read_dir(folders).expect("the folder").flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let link = |folder: &PathBuf| {
        let objects = compile(&files(folder, "c"), Order::Little)?;
        let linked = scratch().join("linked").join(folder.file_name().expect("a name")).with_extension("o");
        fs::create_dir_all(linked.parent().expect("a folder")).map_err(|error| error.to_string())?;
        let mut bpftool = Command::new("bpftool");
        crate::common::run(bpftool.args(["gen", "object"]).arg(&linked).args(objects))?;
        Ok(linked)
    };
    folders.iter().map(link).collect()
}

/// What an object leaves to its manifest, and how libbpf is told the same.
pub struct Said {
    object: &'static str,
    /// The table, `program` or `map`, and the symbol.
    of: (&'static str, &'static str),
    line: &'static str,
    /// For `reference.c`: type:PROGRAM=NUMBER or max:MAP=NUMBER.
    pub to_libbpf: &'static str,
}

const fn said(
    object: &'static str,
    of: (&'static str, &'static str),
    line: &'static str,
    to_libbpf: &'static str,
) -> Said {
    Said { object, of, line, to_libbpf }
}

const SAID: &[Said] = &[
    said("custom_sections", ("program", "filter"), "type = \"xdp\"", "type:filter=6"),
    said("custom_sections", ("program", "on_ingress"), "type = \"sched_cls\"", "type:on_ingress=3"),
    said("custom_sections", ("program", "on_egress"), "type = \"sched_cls\"", "type:on_egress=3"),
    said("no_size", ("map", "open"), "max_entries = 77", "max:open=77"),
    said("unsized", ("map", "flows"), "max_entries = 5", "max:flows=5"),
];

/// An object, and what to write in a manifest to load it.
#[derive(Debug)]
pub struct Case {
    /// Its file without extension, which is how libbpf calls it, too.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The programs that libbpf would load: not those behind `SEC("?...")`.
    pub functions: Vec<String>,
    /// Maps that the manifest names: those that no program uses, so that they are made, and those of [`SAID`].
    maps: Vec<String>,
    /// Why there is nothing of the above.
    pub refusal: Option<String>,
}

impl Case {
    /// Reads an object.
    pub fn read(path: &Path) -> Self {
        let mut case =
            Self { name: Self::name(path), path: path.to_owned(), functions: vec![], maps: vec![], refusal: None };
        match elf::parse(&fs::read(path).expect("a file that was listed")) {
            Ok(object) => {
                let is_said = |of: (&str, &str)| Self::said(path).any(|row| row.of == of);
                let is_program = |program: &&Program| program.autoload && !program.is_static;
                let has_type = |program: &&Program| program.kind.is_some() || is_said(("program", &program.function));
                let programs = object.programs.iter().filter(is_program).filter(has_type);
                let names = |program: &Program| iter::once(program.function.clone()).chain(program.aliases.clone());
                case.functions = programs.flat_map(names).collect();
                case.maps = unused(&object, &case.functions);
                let said = Self::said(path).filter(|row| row.of.0 == "map").map(|row| row.of.1.to_owned());
                case.maps.extend(said);
            }
            Err(errors) => {
                let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
                case.refusal = Some(texts.join("; "));
            }
        }
        case
    }

    /// Returns the name of a file without its extension.
    pub fn name(path: &Path) -> String {
        path.file_stem().expect("a file").to_string_lossy().into_owned()
    }

    /// Returns what the manifest has to say of an object.
    pub fn said(path: &Path) -> impl Iterator<Item = &'static Said> {
        let name = Self::name(path);
        SAID.iter().filter(move |row| name == row.object)
    }

    /// Writes the manifest of these programs, with the maps or without.
    pub fn manifest(&self, deployment: &str, functions: &[String], with_maps: bool) -> String {
        // The name of the object is part of the names of its data maps; `xsk_def_xdp_prog_5.3` is called without its end.
        let object: String = self.name.chars().take_while(|c| *c != '.').collect();
        let mut text = format!("version = 1\nname = {deployment:?}\n[object.{object}]\npath = {:?}\n", self.path);
        let maps = self.maps.iter().filter(|_| with_maps);
        let tables = maps.map(|map| ("map", map)).chain(functions.iter().map(|function| ("program", function)));
        for (table, symbol) in tables {
            write!(text, "[{table}.{symbol}]\nfrom = \"{object}:{symbol}\"\n").expect("a string takes everything");
            let lines = Self::said(&self.path).filter(|row| row.of == (table, symbol.as_str())).map(|row| row.line);
            lines.for_each(|line| text.extend([line, "\n"]));
        }
        text
    }
}

/// Returns the maps that the manifest has to name, so that they are made: none of these programs brings them.
fn unused(object: &Object, functions: &[String]) -> Vec<String> {
    let programs = object.programs.iter().enumerate().filter(|(_, program)| functions.contains(&program.function));
    let linked = programs.filter_map(|(number, _)| object.link(number, &Target::offline()).ok());
    let used: BTreeSet<usize> = linked.flat_map(|code| code.maps()).collect();
    let maps = object.maps.iter().enumerate().filter(|(number, map)| match map.dialect {
        Dialect::Btf | Dialect::BpfMapDef | Dialect::BpfElfMap => !used.contains(number),
        // The structs of `.struct_ops` are registered as soon as they are filled.
        Dialect::StructOps => map.section == ".struct_ops.link",
        Dialect::Data(_) => false,
    });
    maps.map(|(_, map)| map.symbol.clone()).collect()
}
