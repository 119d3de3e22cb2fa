//! What differs of a link: its hook, its program, its place among others.

use super::{Explained, Field, Given};
use crate::desired::{DesiredLink, Hook};
use crate::names::LinkName;
use crate::plan::{Action, Company, Plan, Step};
use crate::record::RecordedLink;

/// Adds what a step changes of a link.
pub fn differences(given: &Given<'_>, step: &Step, explained: &mut Explained) {
    let (link, runs) = match &step.action {
        Action::Attach { link, .. } | Action::Reattach { link, .. } => (link, None),
        Action::UpdateLink { link, old, .. } => (link, Some(*old)),
        Action::ReuseLink { link, .. } => return around(given, &link.name, explained),
        Action::Detach { link, hook, .. } => {
            explained.fields.push(Field { name: "hook".to_owned(), is: Some(hook.clone()), becomes: None });
            return around(given, link, explained);
        }
        _ => return,
    };
    let recorded = given.plan.recorded_link(&link.name);
    explained.fields.extend(fields(given.plan, link, recorded, runs));
    around(given, &link.name, explained);
}

fn fields(plan: &Plan, link: &DesiredLink, recorded: Option<&RecordedLink>, runs: Option<u32>) -> Vec<Field> {
    let order = |order: Option<String>| order.unwrap_or_else(|| "anywhere".to_owned());
    let becomes = |name: &str, becomes: String, is: Option<String>| {
        let is_same = is.as_ref() == Some(&becomes);
        (!is_same).then(|| Field { name: name.to_owned(), is, becomes: Some(becomes) })
    };
    let mode = |hook: &Hook| hook.mode().map(|mode| mode.to_string());
    let hook = becomes("hook", link.hook.to_string(), recorded.map(|was| was.hook.to_string()));
    let mode = mode(&link.hook)
        .and_then(|is| becomes("mode", is, recorded.and_then(|was| mode(&was.hook))))
        .filter(|_| recorded.is_some());
    let place = becomes(
        "place",
        order(link.order.as_ref().map(ToString::to_string)),
        Some(order(recorded.and_then(|was| was.order.as_ref()).map(ToString::to_string))),
    );
    let old = runs.or_else(|| recorded.map(|was| was.program_id).filter(|id| *id != 0));
    let name = recorded.and_then(|was| was.program.as_deref());
    let old = old.map(|id| match name {
        Some(name) => format!("program.{name} (id {id})"),
        None => format!("program id {id}"),
    });
    let new = link.program.as_ref().map(|program| match kept(plan, program.as_str()) {
        Some(id) => format!("program.{program} (id {id})"),
        None => format!("program.{program} (new id)"),
    });
    let program = new.and_then(|new| becomes("program", new, old));
    [hook, mode, place, program].into_iter().flatten().collect()
}

/// Returns the id of a program that stays.
fn kept(plan: &Plan, name: &str) -> Option<u32> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::ReuseProgram { program, id } if program.name.as_str() == name => Some(*id),
        _ => None,
    })
}

fn around(given: &Given<'_>, link: &LinkName, explained: &mut Explained) {
    let words = given.plan.shared.company.get(link).map(Company::words).unwrap_or_default();
    explained.notes.extend(words.into_iter().map(|words| format!("on the same hook: {words}")));
}
