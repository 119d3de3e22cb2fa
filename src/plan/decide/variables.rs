//! Decides which variables get other values while programs run: those of which the section does not hold what the
//! manifest says, and those that it set before and says nothing of any more, which start again.
//!
//! What nobody sets is the programs' own, and stays.

use super::Planner;
use crate::desired::{DesiredMap, MapDefinition, MapSource};
use crate::diag::{Kind, Problem};
use crate::names::{Address, MapName, PinPath};
use crate::observed::{Observed, ObservedMap};
use crate::plan::{Action, Because, Sets, State, Step, Traffic};
use crate::record::{Record, RecordedMap};
use crate::spec::{MapSpec, flags};
use crate::variables::{self, Change, Variable, Variables};
use std::collections::BTreeSet;

impl Planner<'_> {
    /// Puts the variables before the links: they are set when everything else is ready, and before a filter is live that
    /// reads them.
    pub(super) fn set_variables(&mut self) {
        let is_link = |step: &Step| matches!(step.action.address(), Address::Link(_));
        let at = self.steps.iter().position(is_link).unwrap_or(self.steps.len());
        self.steps.splice(at..at, std::mem::take(&mut self.variables));
    }

    /// Plans the variables of a section that stays.
    pub(super) fn variables_step(&mut self, map: &DesiredMap, id: u32) {
        let MapSource::Defined(definition) = &map.source else { return };
        let Some(section) = section(self.observed, &definition.pin).filter(|_| definition.is_live()) else { return };
        let is_ours = self.is_ours(map);
        let were = self.recorded(map).filter(|_| is_ours);
        let were = variables_of(self.observed, &map.name, were);
        let are = definition.variables.iter().map(|(name, variable)| (name.as_str(), variable)).collect();
        let changes = variables::changes(section, &were, &are, definition.spec.types.as_ref());
        if changes.is_empty() {
            return;
        }
        if !is_ours && !definition.adopt {
            let names = changes.into_iter().map(|change| change.name).collect();
            let kind = Kind::VariablesOfOthers { map: map.name.clone(), pin: definition.pin.clone(), names };
            return self.problems.push(Problem::at(kind, map.span.clone(), "this map"));
        }
        let sets = sets((&map.name, &definition.pin, id), &definition.spec, changes, definition.sensitive);
        let mut step = step(sets, Because::VariablesDiffer);
        step.span = Some(map.span.clone());
        self.variables.push(step);
    }

    /// Refuses to copy variables that are still there and that the manifest sets no more: they would keep what it set
    /// them to.
    pub(super) fn check_unset(&mut self, map: &DesiredMap, definition: &MapDefinition) {
        let were = variables_of(self.observed, &map.name, self.recorded(map).filter(|_| self.is_ours(map)));
        let fields = definition.spec.types.as_ref().and_then(|types| types.btf.fields(types.value));
        let is_there = |name: &str| {
            let variable = name.split_once('.').map_or(name, |(variable, _)| variable);
            fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field.name == variable))
        };
        let gone = were.into_iter().map(|(name, _)| name);
        let gone = gone.filter(|name| !definition.variables.contains_key(*name) && is_there(name));
        let gone: BTreeSet<&str> = gone.collect();
        if gone.is_empty() {
            return;
        }
        let names = gone.into_iter().collect::<Vec<_>>().join("`, `");
        let why =
            vec![format!("the manifest does not set `{names}` any more: take that out in an apply of its own, before")];
        let kind = Kind::NotMigratable { map: map.name.clone(), pin: definition.pin.clone(), why };
        self.problems.push(Problem::at(kind, map.span.clone(), "defined here"));
    }

    /// Plans how variables get the values back that they had in the generation before; `place` is where the map is
    /// pinned in it.
    pub(super) fn variables_back(&mut self, before: &Record, name: &MapName, place: &PinPath, found: &ObservedMap) {
        let Some(then) = before.maps.get(name.as_str()) else { return };
        let Some(pin) = then.pin.as_deref().and_then(|pin| PinPath::new(pin).ok()) else { return };
        let is_same = self.observed.inode(&pin).is_some() && self.observed.inode(&pin) == self.observed.inode(place);
        let live = section(self.observed, place).or_else(|| section(self.observed, &pin).filter(|_| is_same));
        let Some(live) = live else { return };
        let now = self.observed.record.as_ref().and_then(|record| record.maps.get(name.as_str()));
        let now = now.filter(|_| is_same);
        let were = if is_same { variables_of(self.observed, name, now) } else { Variables::default() };
        let changes = variables::changes(live, &were, &set_in(then).collect(), found.spec.types.as_ref());
        if !changes.is_empty() {
            let sensitive = then.sensitive || now.is_some_and(|now| now.sensitive);
            let sets = sets((name, &pin, found.info.id), &found.spec, changes, sensitive);
            self.variables.push(step(sets, Because::Rollback));
        }
    }
}

/// Returns what a data section holds.
fn section<'a>(observed: &'a Observed, pin: &PinPath) -> Option<&'a [u8]> {
    observed.contents.get(pin)?.get(&0u32.to_ne_bytes())
}

/// Returns the variables of a map that are set: those of the record, and those that a killed run came to set.
fn variables_of<'a>(observed: &'a Observed, map: &MapName, recorded: Option<&'a RecordedMap>) -> Variables<'a> {
    let begun = observed.begun_map(map).map(|(_, begun)| begun);
    // Of two of a name the last one counts.
    begun.chain(recorded).flat_map(set_in).collect()
}

fn set_in(recorded: &RecordedMap) -> impl Iterator<Item = (&str, &Variable)> {
    recorded.variables.iter().map(|(name, variable)| (name.as_str(), variable))
}

fn sets((map, pin, id): (&MapName, &PinPath, u32), spec: &MapSpec, changes: Vec<Change>, sensitive: bool) -> Sets {
    let alone = spec.flags & flags::MMAPABLE != 0;
    Sets { map: map.clone(), pin: pin.clone(), id, changes, alone, sensitive }
}

fn step(sets: Sets, because: Because) -> Step {
    let action = Action::SetVariables { sets: Box::new(sets) };
    Step { action, because, span: None, traffic: Traffic::None, state: State::Kept, needs: None }
}
