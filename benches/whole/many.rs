//! The workload of many objects: 200 objects, 1,000 programs, 500 maps, of which each object uses one of its
//! neighbour's.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

const OBJECTS: usize = 200;
const PROGRAMS: [&str; 5] = ["on_xdp", "on_xdp_reverse", "on_ingress", "on_egress", "on_cgroup"];

/// Compiles the objects into `folder` and writes a manifest for them; returns its path.
pub fn make(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    thread::scope(|scope| {
        let workers =
            (0..2).map(|first| scope.spawn(move || (first..OBJECTS).step_by(2).try_for_each(|id| compile(id, folder))));
        workers.collect::<Vec<_>>().into_iter().try_for_each(|worker| worker.join().expect("a compiler never panics"))
    })?;
    let path = folder.join("plan.toml");
    fs::write(&path, manifest())?;
    Ok(path)
}

fn compile(id: usize, folder: &Path) -> io::Result<()> {
    let object = folder.join(format!("o{id}.bpf.o"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/whole/many.bpf.c");
    super::compile(&source, &object, &[&format!("-DID={id}")])
}

fn manifest() -> String {
    let mut text = "version = 1\nname = \"many\"\n".to_owned();
    for id in 0..OBJECTS {
        let next = (id + 1) % OBJECTS;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "[object.o{id}]\npath = \"o{id}.bpf.o\"\nmaps = {{ neighbour = \"flows{next}\" }}");
        let maps: &[&str] = if id % 2 == 1 { &["flows", "totals", "seen"] } else { &["flows", "totals"] };
        for map in maps {
            let _ = writeln!(text, "[map.{map}{id}]\nfrom = \"o{id}:{map}\"");
        }
        for program in PROGRAMS {
            let _ = writeln!(text, "[program.{program}{id}]\nfrom = \"o{id}:{program}\"");
        }
    }
    text
}
