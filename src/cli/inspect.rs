//! `inspect`: what an object file has and needs.

use super::arguments::names_nothing;
use super::console::Console;
use crate::btf::Btf;
use crate::diag::{Exit, Problems};
use crate::elf::{Object, Target};
use crate::explain;
use crate::insn::listing::{self, Changed};
use crate::load;
use crate::report::{self, inspect};
use std::path::Path;

/// Shows an object file.
pub fn run(path: &Path, console: &Console) -> Result<Exit, Exit> {
    let (bytes, object) = load::object(path).map_err(|problems| console.fail(&problems, None))?;
    let inspection = inspect::inspect(&path.display().to_string(), &bytes, &object, |btf, id| btf.type_name(id));
    console.show(|style| inspect::text(&inspection, style), || inspect::json(&inspection));
    Ok(Exit::Success)
}

/// Lists the instructions of an object's programs, or of one of them.
pub fn code(path: &Path, function: Option<&str>, console: &Console) -> Result<Exit, Exit> {
    let listed = || -> Result<Vec<(String, Vec<Changed>)>, Problems> {
        let (_, object) = load::object(path)?;
        if let Some(function) = function.filter(|function| object.program_named(function).is_none()) {
            let known: Vec<String> = object.programs.iter().map(|program| program.function.clone()).collect();
            return Err(names_nothing("--code: this object has no program", function, &known).into());
        }
        Ok(list(&object, function))
    };
    let listed = listed().map_err(|problems| console.fail(&problems, None))?;
    let text = |style| -> String {
        listed.iter().map(|(program, functions)| report::explain::listing(program, functions, style)).collect()
    };
    console.show(text, || report::explain::listing_json(&path.display().to_string(), &listed));
    Ok(Exit::Success)
}

/// Returns the functions of each program; none of one that cannot be linked, of which `inspect` says why.
fn list(object: &Object, function: Option<&str>) -> Vec<(String, Vec<Changed>)> {
    let empty = Btf::default();
    let btf = object.btf.as_deref().unwrap_or(&empty);
    let wanted = object.programs.iter().enumerate();
    let wanted = wanted.filter(|(_, program)| function.is_none_or(|function| program.is_named(function)));
    let listed = wanted.map(|(number, program)| {
        let code = object.link(number, &Target::offline()).unwrap_or_default();
        let map = |number: usize| object.maps.get(number).map_or_else(String::new, |map| map.symbol.clone());
        (program.function.clone(), listing::list(&explain::listed((btf, &[]), &code, &map)))
    });
    listed.collect()
}
