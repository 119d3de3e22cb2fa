//! A manifest as the command line names it, with what points into it.

use super::arguments::Variables;
use super::console::Console;
use crate::diag::{Exit, Source};
use crate::load;
use crate::manifest::{self, EntriesSource, Manifest};
use crate::report::ManifestText;
use crate::saved::{SavedManifest, SavedPlan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A manifest with what points into it.
pub struct Loaded {
    pub path: PathBuf,
    pub text: String,
    pub vars: BTreeMap<String, String>,
    pub manifest: Manifest,
    /// The saved plan that it comes from.
    pub saved: Option<SavedPlan>,
}

impl Loaded {
    /// The text that problems point into. To find its secrets takes as long as to parse it, and most runs have no problem.
    pub fn source(&self) -> Source {
        source(&self.path, &self.text)
    }

    /// The lines that a report quotes.
    pub fn text(&self) -> ManifestText<'_> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or("manifest");
        ManifestText { name, text: &self.text }
    }

    /// The folder that paths in the manifest start from.
    pub fn folder(&self) -> &Path {
        folder(&self.path)
    }

    /// The path for those who come later, from another folder.
    pub fn absolute_path(&self) -> String {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()).display().to_string()
    }
}

/// Loads a manifest with its variables.
pub fn load(path: &Path, variables: &Variables, console: &Console) -> Result<Loaded, Exit> {
    let vars =
        load::variables(&variables.var_file, &variables.vars).map_err(|problems| console.fail(&problems, None))?;
    let text = load::text(path).map_err(|problems| console.fail(&problems, None))?;
    parse(path, text, vars, console)
}

fn parse(path: &Path, text: String, vars: BTreeMap<String, String>, console: &Console) -> Result<Loaded, Exit> {
    let manifest = load::manifest(&text, &vars, folder(path))
        .map_err(|problems| console.fail(&problems, Some(&source(path, &text))))?;
    Ok(Loaded { path: path.to_owned(), text, vars, manifest, saved: None })
}

/// The folder that paths in a manifest start from.
pub fn folder(manifest: &Path) -> &Path {
    manifest.parent().unwrap_or(Path::new(""))
}

/// The text that problems of a manifest point into, without its secrets.
pub fn source(path: &Path, text: &str) -> Source {
    Source::new(&path.display().to_string(), &manifest::redacted(text))
}

/// Loads the manifest of a saved plan, whose objects must have the bytes that they had.
pub fn load_saved(path: &Path, console: &Console) -> Result<Loaded, Exit> {
    let saved = load::plan(path).map_err(|problems| console.fail(&problems, None))?;
    let SavedManifest { path, text } = saved.manifest.clone();
    let mut loaded = parse(Path::new(&path), text, saved.variables.clone(), console)?;
    for (name, object) in &mut loaded.manifest.objects {
        object.planned = saved.objects.get(name.as_str()).copied();
    }
    for (name, map) in &mut loaded.manifest.maps {
        if let Some(EntriesSource::File { sha256, .. }) = map.entries.as_mut().map(|entries| &mut entries.source) {
            *sha256 = saved.entries.get(name.as_str()).copied();
        }
    }
    Ok(Loaded { saved: Some(saved), ..loaded })
}
