//! `init`: a first manifest from objects.

use super::console::Console;
use super::planned::NO_HOST;
use crate::diag::{Exit, Problems};
use crate::names::{DeploymentName, Digest};
use crate::{draft, elf, load};
use clap::Args;
use std::path::{Component, Path, PathBuf};

/// What the manifest is made from.
#[derive(Debug, Args)]
pub struct Init {
    /// The object files
    #[arg(required = true, value_name = "FILE.o")]
    objects: Vec<PathBuf>,
    #[command(flatten)]
    output: Written,
}

/// How a manifest that is written is called, and where it goes.
#[derive(Debug, Args)]
pub struct Written {
    /// Name of the deployment
    #[arg(long, value_name = "NAME", value_parser = deployment_name)]
    pub name: Option<DeploymentName>,
    /// Write it there, and not to standard output; paths in it are relative to its folder
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file that is there
    #[arg(long, requires = "out")]
    pub force: bool,
}

impl Written {
    /// Returns a path as a manifest there writes it.
    pub fn relative(&self, path: &Path) -> String {
        match self.out.as_deref().and_then(Path::parent) {
            None => path.display().to_string(),
            Some(folder) => relative(path, folder).display().to_string(),
        }
    }

    /// Writes a manifest. A file that is there is left alone, unless that was said.
    pub fn write(&self, text: &str, console: &Console) -> Result<Exit, Exit> {
        match &self.out {
            None => console.print(text),
            Some(path) => {
                let written = if self.force { load::store_text(text, path) } else { load::create_text(text, path) };
                written.map_err(|problem| console.fail(&problem.into(), None))?;
            }
        }
        Ok(Exit::Success)
    }
}

fn deployment_name(text: &str) -> Result<DeploymentName, String> {
    DeploymentName::new(text).map_err(|why| why.to_string())
}

/// Writes the manifest.
pub fn run(asked: &Init, console: &Console) -> Result<Exit, Exit> {
    let mut problems = Problems::default();
    let mut files: Vec<(String, Digest, elf::Object)> = Vec::new();
    for path in &asked.objects {
        match load::object(path) {
            Ok((bytes, object)) => files.push((asked.output.relative(path), Digest::of(&bytes), object)),
            Err(found) => problems.0.extend(found.0),
        }
    }
    problems.or(()).map_err(|problems| console.fail(&problems, None))?;
    let path = asked.objects[0].display().to_string();
    let name = asked.output.name.as_ref().map_or_else(|| draft::name(&path), ToString::to_string);
    let files = files.iter().map(|(path, sha256, object)| draft::File { path: path.clone(), sha256: *sha256, object });
    let text = draft::init(&name, &files.collect::<Vec<_>>(), &NO_HOST);
    asked.output.write(&text, console)
}

/// Returns the way from a folder to a file, without looking at either.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (Ok(from), Ok(to)) = (std::path::absolute(folder.join(".")), std::path::absolute(path)) else {
        return path.to_owned();
    };
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let same = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    // With a `..` nobody knows without looking where it leads, and from the root on all is another tree.
    let is_plain = same > 1 && !from.iter().chain(&to).any(|part| matches!(part, Component::ParentDir));
    if !is_plain {
        return to.iter().collect();
    }
    let up = from[same..].iter().map(|_| Component::ParentDir);
    up.chain(to[same..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_files() {
        let cases = [
            ("/a/b/c.o", "/a/b", "c.o"),
            ("/a/b/c.o", "/a/d", "../b/c.o"),
            ("/a/c.o", "/a/b/d", "../../c.o"),
            ("/usr/lib/c.o", "/etc", "/usr/lib/c.o"),
            ("/a/../c.o", "/a", "/a/../c.o"),
        ];
        for (path, folder, wanted) in cases {
            assert_eq!(relative(Path::new(path), Path::new(folder)), Path::new(wanted), "{path} from {folder}");
        }
        assert_eq!(relative(Path::new("c.o"), Path::new("")), Path::new("c.o"));
        assert_eq!(relative(Path::new("./b/c.o"), Path::new("b")), Path::new("c.o"));
    }
}
