//! Makes a new record of a deployment that lost its own, from what is at the manifest's pins.
//!
//! The generation's folder has a name that only we give. What is pinned in it is ours, as far as the manifest names it
//! and nothing speaks against it: a program says itself by its fingerprint which one it is, a link is ours when it runs
//! such a program, and a map unless the very program that is to use it uses another one. Nothing is made, changed or
//! taken away: what is missing, or made from other objects, is for the next apply to put right.

use super::decide::{current, explicit, generations, leftovers, runs_ours, write_record};
use super::{Action, Because, Plan, State, Step, Traffic};
use crate::desired::{Desired, DesiredLink, DesiredMap, DesiredProgram, MapSource, Span};
use crate::diag::{Kind, Problem, Problems};
use crate::names::PinPath;
use crate::observed::{Observed, ObservedMap, ObservedProgram, Pinned};
use std::sync::Arc;

/// Plans the record of what is there.
pub fn adopt(desired: &Desired, observed: &Observed) -> Result<Plan, Problems> {
    let mut adopter =
        Adopter { desired, observed, steps: leftovers(observed).collect(), problems: Problems::default() };
    desired.maps.values().for_each(|map| adopter.map(map));
    desired.programs.values().for_each(|program| adopter.program(program));
    desired.links.values().for_each(|link| adopter.link(link));
    adopter.problems.or(())?;
    let mut steps = adopter.steps;
    let record = write_record(desired, observed, steps.iter());
    steps.extend(record);
    let (name, root) = (desired.name.clone(), &desired.pin_root);
    Ok(explicit(name, root, observed, None, generations(observed, root), steps))
}

struct Adopter<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    steps: Vec<Step>,
    problems: Problems,
}

impl<'a> Adopter<'a> {
    fn map(&mut self, map: &Arc<DesiredMap>) {
        let found = match &map.source {
            MapSource::Defined(definition) => self.observed_map(&definition.pin, map),
            MapSource::Pinned(pin) => self.observed_map(pin, map),
            MapSource::Id(id) => self.observed.maps_by_id.get(id),
        };
        let Some(found) = found else { return };
        let (id, ours) = (found.info.id, self.is_ours(map, found));
        let because = if ours { Because::Adopted } else { Because::Foreign(None) };
        self.push(&map.span, Action::ReuseMap { map: Arc::clone(map), id, ours }, because, State::Kept);
    }

    fn observed_map(&mut self, pin: &PinPath, map: &DesiredMap) -> Option<&'a ObservedMap> {
        let by = match self.observed.pins.get(pin)? {
            Pinned::Map(found) => return Some(found),
            Pinned::Program(found) => format!("program id {}", found.info.id),
            Pinned::Link(found) => format!("link id {}", found.id),
        };
        self.taken(pin, by, &map.span, format!("map.{} is to be there", map.name));
        None
    }

    /// Returns whether a map is one that we made: its pin is of the generation that runs, under its second name where
    /// the pin is outside of the folder, and no program of ours is there that was made to use it and uses another one.
    fn is_ours(&self, map: &DesiredMap, found: &ObservedMap) -> bool {
        let (MapSource::Defined(definition), Some(current)) = (&map.source, current(self.observed)) else {
            return false;
        };
        let place = definition.pin.in_generation(&self.desired.pin_root, current);
        let inode = self.observed.inode(&definition.pin);
        let mut programs = self.desired.programs.values().filter(|program| program.uses().contains(&&map.name));
        inode.is_some()
            && self.observed.inode(&place) == inode
            && !programs.any(|program| self.uses_another(program, found))
    }

    /// Returns whether a program that is the wanted one, map for map, does not use the map that is there.
    fn uses_another(&self, program: &DesiredProgram, map: &ObservedMap) -> bool {
        let Some(Pinned::Program(found)) = self.observed.pins.get(&program.pin) else { return false };
        let is_the_same = found.fingerprints.get(program.name.as_str()) == Some(&program.fingerprint);
        is_the_same && !found.info.map_ids.contains(&map.info.id)
    }

    fn program(&mut self, program: &Arc<DesiredProgram>) {
        let by = match self.observed.pins.get(&program.pin) {
            None => return,
            Some(Pinned::Program(found)) if found.fingerprints.contains_key(program.name.as_str()) => {
                let action = Action::ReuseProgram { program: Arc::clone(program), id: found.info.id };
                return self.push(&program.span, action, Because::Adopted, State::None);
            }
            Some(Pinned::Program(ObservedProgram { info, .. })) => {
                format!("program id {} `{}`, which has no fingerprint of it", info.id, info.name)
            }
            Some(Pinned::Map(found)) => format!("map id {}", found.info.id),
            Some(Pinned::Link(found)) => format!("link id {}", found.id),
        };
        self.taken(&program.pin, by, &program.span, format!("program.{} is to be there", program.name));
    }

    fn link(&mut self, link: &Arc<DesiredLink>) {
        let by = match self.observed.pins.get(&link.pin) {
            None => return,
            Some(Pinned::Link(found)) if runs_ours(self.observed, found) => {
                let action = Action::ReuseLink { link: Arc::clone(link), id: found.id };
                return self.push(&link.span, action, Because::Adopted, State::None);
            }
            Some(Pinned::Link(found)) => {
                format!("link id {} of program id {}, which is not ours", found.id, found.program_id)
            }
            Some(Pinned::Map(found)) => format!("map id {}", found.info.id),
            Some(Pinned::Program(found)) => format!("program id {}", found.info.id),
        };
        self.taken(&link.pin, by, &link.span, format!("link.{} is to be there", link.name));
    }

    fn push(&mut self, span: &Span, action: Action, because: Because, state: State) {
        let (traffic, needs) = (Traffic::None, None);
        self.steps.push(Step { action, because, span: Some(span.clone()), traffic, state, needs });
    }

    fn taken(&mut self, pin: &PinPath, by: String, span: &Span, text: String) {
        self.problems.push(Problem::at(Kind::PinTaken { pin: pin.clone(), by }, span.clone(), text));
    }
}
