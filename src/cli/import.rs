//! `import`: a manifest from what runs on this host.

use super::console::Console;
use super::init::Written;
use super::usual_bpffs;
use crate::desired::kernel_name;
use crate::diag::{Exit, Problems};
use crate::draft::import::{self, Found, Origin, Source};
use crate::elf::{self, DataKind, Dialect, Object};
use crate::kernel::{Kernel, facts, found, linux::Linux, observe};
use crate::load;
use crate::names::DeploymentName;
use clap::Args;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is imported.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    output: Written,
    /// Object files, or folders with some below them, that programs may be from
    #[arg(long, num_args = 1.., value_name = "PATH")]
    objects: Vec<PathBuf>,
}

/// An object file that was read.
struct File {
    path: PathBuf,
    object: Object,
}

/// Writes the manifest of the deployment that is called so, or else of what runs here and is no deployment's.
pub fn run(asked: &Import, console: &Console) -> Result<Exit, Exit> {
    let text = imported(&Linux::new(), asked).map_err(|problems| console.fail(&problems, None))?;
    asked.output.write(&text, console)
}

fn imported<K: Kernel>(kernel: &K, asked: &Import) -> Result<String, Problems> {
    let bpffs = usual_bpffs();
    let name = asked.output.name.clone();
    let deployment = match &name {
        Some(name) => found::deployment(kernel, &bpffs.join(name.as_str()))?,
        None => None,
    };
    let mut found = match deployment {
        Some(found) => found,
        None => found::others(kernel, &bpffs)?,
    };
    let files = objects(&asked.objects);
    find_origins(kernel, &mut found, &files)?;
    let sections = constants(&found, &files);
    found::read_constants(kernel, &mut found, &sections);
    let sources = files.iter().map(|File { path, object }| Source { path: asked.output.relative(path), object });
    let name = name.unwrap_or_else(|| DeploymentName::new("imported").expect("it is a name"));
    Ok(import::import(&name, &found, &sources.collect::<Vec<_>>(), &observe::host(kernel)?))
}

/// Reads every object below some paths; what is none is left out.
fn objects(paths: &[PathBuf]) -> Vec<File> {
    let mut found = Vec::new();
    for path in paths {
        let mut below = Vec::new();
        if path.is_dir() {
            files_below(path, &mut below)
        } else {
            below.push(path.clone())
        }
        below.sort();
        found.extend(below.into_iter().filter_map(|path| {
            let (_, object) = load::object(&path).ok()?;
            Some(File { path, object })
        }));
    }
    found
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "o") {
            found.push(path);
        }
    }
}

/// Finds for each program the object whose code it is; else one that has a function of its name.
fn find_origins<K: Kernel>(kernel: &K, found: &mut Found, files: &[File]) -> Result<(), Problems> {
    let names: BTreeSet<String> = found.programs.values().map(|program| program.info.name.clone()).collect();
    let is_named = |program: &elf::Program| names.contains(&kernel_name(&program.function));
    let mut needs = elf::Needs::default();
    for object in files.iter().map(|file| &file.object) {
        for (index, _) in object.programs.iter().enumerate().filter(|(_, program)| is_named(program)) {
            needs.extend(object.needs(index));
        }
    }
    let target = facts::target(kernel, &needs)?;
    for (file, File { object, .. }) in files.iter().enumerate() {
        let mut linking = object.linking(&target);
        for (index, known) in object.programs.iter().enumerate().filter(|(_, program)| is_named(program)) {
            let Ok(code) = linking.link(index) else { continue };
            let tags = code.tags();
            for program in found.programs.values_mut().filter(|it| it.info.name == kernel_name(&known.function)) {
                let is_same = tags.contains(&program.info.tag);
                if program.origin.as_ref().is_none_or(|origin| is_same && !origin.is_same) {
                    program.origin = Some(Origin { file, program: index, maps: code.maps(), is_same });
                }
            }
        }
    }
    Ok(())
}

/// Lists the maps that are sections of constants, by what the programs' objects say.
fn constants(found: &Found, files: &[File]) -> BTreeSet<u32> {
    let origins = found.programs.values().filter_map(|program| {
        let origin = program.origin.as_ref().filter(|origin| origin.is_same)?;
        (origin.maps.len() == program.info.map_ids.len()).then_some((origin, &program.info.map_ids))
    });
    let maps =
        origins.flat_map(|(origin, ids)| origin.maps.iter().map(|map| (origin.file, *map)).zip(ids.iter().copied()));
    let is_constant = |file: usize, map: usize| files[file].object.maps[map].dialect == Dialect::Data(DataKind::Rodata);
    maps.filter(|((file, map), _)| is_constant(*file, *map)).map(|(_, id)| id).collect()
}
