//! `inspect`: what an object file has and needs.

use super::console::Console;
use crate::diag::Exit;
use crate::load;
use crate::report::inspect;
use std::path::Path;

/// Shows an object file.
pub fn run(path: &Path, console: &Console) -> Result<Exit, Exit> {
    let (bytes, object) = load::object(path).map_err(|problems| console.fail(&problems, None))?;
    let inspection = inspect::inspect(&path.display().to_string(), &bytes, &object, |btf, id| btf.type_name(id));
    console.show(|style| inspect::text(&inspection, style), || inspect::json(&inspection));
    Ok(Exit::Success)
}
