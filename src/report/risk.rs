//! The steps of a plan that nobody who reviews it may overlook, and why.

use super::text::{FOLDER, who_allows};
use crate::names::Address;
use crate::plan::{Marker, Plan, Step, Traffic, Verdict};

/// A step that packets, contents, or somebody else may suffer from.
#[derive(Debug)]
pub struct Risk<'a> {
    /// The step.
    pub step: &'a Step,
    /// What it risks, in the words of the plan, which quote nothing; never empty.
    pub why: Vec<String>,
}

impl Risk<'_> {
    /// Writes what it is about; a folder stands behind what is done to it.
    pub fn address(&self) -> String {
        match self.step.action.address() {
            Address::Directory(_) => FOLDER.to_owned(),
            address @ (Address::Object(_)
            | Address::Map(_)
            | Address::Program(_)
            | Address::Link(_)
            | Address::Record) => address.to_string(),
        }
    }

    /// Writes what is done.
    pub fn what(&self) -> String {
        match self.step.action.address() {
            Address::Directory(path) => format!("{} {path}", self.step.action),
            Address::Object(_) | Address::Map(_) | Address::Program(_) | Address::Link(_) | Address::Record => {
                self.step.action.to_string()
            }
        }
    }
}

/// Returns the steps that risk something, in the order of doing.
pub fn risks(plan: &Plan) -> Vec<Risk<'_>> {
    let risk = |step| Risk { step, why: why(plan, step) };
    plan.steps.iter().map(risk).filter(|risk| !risk.why.is_empty()).collect()
}

fn why(plan: &Plan, step: &Step) -> Vec<String> {
    let mut why = Vec::new();
    match step.traffic {
        Traffic::GapUnfiltered | Traffic::Stops | Traffic::Moves => why.push(format!("traffic: {}", step.traffic)),
        Traffic::None | Traffic::NoGap | Traffic::BothRun | Traffic::Starts | Traffic::NewSockets => {}
    }
    if step.state.is_loss() {
        why.push(format!("state: {}", step.state));
    }
    if removes(step) {
        why.push("removed".to_owned());
    }
    if let Some(names) = step.action.used_by() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        why.push(format!("no longer shared with {}", names.join(", ")));
    }
    match plan.verdict(&step.action) {
        Some(Verdict::Failed) => why.push("verifier: FAILED".to_owned()),
        Some(Verdict::NotTried { .. }) => why.push("verifier: NOT RUN, what it needs was refused".to_owned()),
        Some(Verdict::Passed { .. }) | None => {}
    }
    why.extend(plan.drift(step).map(|what| format!("drifted since the last apply: {what}")));
    why.extend(step.needs.map(|consent| who_allows(plan, consent)));
    why
}

/// Returns whether a map, program or link goes; folders and the record only go with what was in them.
fn removes(step: &Step) -> bool {
    match step.action.address() {
        Address::Map(_) | Address::Program(_) | Address::Link(_) => step.action.marker() == Marker::Remove,
        Address::Directory(_) | Address::Object(_) | Address::Record => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;

    #[test]
    fn every_risk_is_found() {
        let plan = samples::every_step();
        let found: Vec<String> =
            risks(&plan).iter().map(|risk| format!("{}: {}", risk.address(), risk.why.join("; "))).collect();
        insta::assert_snapshot!(found.join("\n"), @r"
        map.zones: state: LOST; no longer shared with core; needs --allow lose-state
        map.zones: state: 7 entries copied, 2 LOST; needs --allow lose-state
        map.flows: state: LOST; needs --allow lose-state
        link.shape: needs --allow takeover
        link.uplink: traffic: GAP, UNFILTERED for a moment; needs --allow gap
        link.uplink: traffic: starts there, STOPS where it was; needs --allow prune
        link.old: traffic: STOPS; removed; needs --allow prune
        program.old: removed; needs --allow prune
        map.old: state: LOST; removed; no longer shared with core, watch; needs --allow prune
        directory: traffic: STOPS
        ");
        for step in plan.steps.iter().filter(|step| step.needs.is_some() || step.state.is_loss()) {
            assert!(risks(&plan).iter().any(|risk| std::ptr::eq(risk.step, step)), "{}", step.action);
        }
        assert!(risks(&samples::unchanged()).is_empty() && risks(&samples::offline()).is_empty());
    }
}
