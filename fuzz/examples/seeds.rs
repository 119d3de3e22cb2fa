//! Writes what fuzzing starts from: `corpus/TARGET/NAME`.

use bpfapply_fuzz::{seeds, targets};
use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = seeds::Files::read(&package.join(".."))?;
    for target in targets::TARGETS {
        let folder = package.join("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in (target.seeds)(&files) {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
