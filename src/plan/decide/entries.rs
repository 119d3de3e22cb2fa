//! Decides which entries of maps are written: those that the manifest names, as far as they are not there.
//!
//! What is ours of a map that others write as well, the record knows (`entries_mode = "merge"`): a key that we wrote and
//! that the manifest does not name any more goes. All entries of a map are ours with `exact`, and with `seed` none, once
//! the map is there. `exact-keys` and `merge-keys` mean keys by this, and write a value only with a key that is new.
//! Where the manifest gives a map no entries any more, those that others may have are left alone:
//! `merge` takes its own keys back, `exact` lets go of all, for it would empty the map.

use super::{Fate, Planner};
use crate::desired::{Contents, DesiredMap, EntriesMode, MapDefinition, MapSource};
use crate::diag::{Kind, Problem};
use crate::entries::{Changes, Entries};
use crate::names::{MapName, PinPath};
use crate::observed::{Live, Observed, ObservedMap, Pinned};
use crate::plan::{Action, Because, Consent, State, Step, Traffic, Writes};
use crate::record::{Record, RecordedEntries, RecordedMap};
use crate::spec::MapSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries that are ours.
struct Owned<'a> {
    mode: EntriesMode,
    sensitive: bool,
    /// Those that the record says; behind them those that a killed run came to write.
    entries: Vec<&'a Entries>,
}

impl Owned<'_> {
    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.iter().find_map(|entries| entries.get(key))
    }

    fn has(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().flat_map(|entries| entries.iter()).map(|(key, _)| key)
    }

    /// Joins those of the record and those of a killed run: what the record says of them counts.
    fn join(mut self, begun: Self) -> Self {
        self.sensitive |= begun.sensitive;
        self.entries.extend(begun.entries);
        self
    }
}

impl<'a> Planner<'a> {
    /// Refuses entries for a map that is somebody else's. Without the record nobody knows whose it is, which is said
    /// once.
    pub(super) fn check_contents(&mut self, map: &DesiredMap, definition: &MapDefinition, fate: &Fate) {
        let Some(contents) = &definition.contents else { return };
        if self.lacks_record() {
            return;
        }
        let is_ours = self.is_ours(map) || definition.adopt;
        let is_others = matches!(fate, Fate::Keep(_)) && !is_ours && contents.mode != EntriesMode::Seed;
        if is_others {
            let kind = Kind::EntriesOfOthers { map: map.name.clone(), pin: definition.pin.clone() };
            self.problems.push(Problem::at(kind, contents.span.clone(), "these"));
        }
    }

    /// Plans the entries of a map that the manifest gives some.
    pub(super) fn entries_step(&mut self, name: &MapName) {
        let map = Arc::clone(&self.desired.maps[name]);
        let MapSource::Defined(definition) = &map.source else { return };
        let Some(contents) = definition.contents.as_deref() else { return };
        match self.maps.get(name).cloned() {
            Some(Fate::New(..)) if self.copies.contains_key(name) && contents.mode == EntriesMode::Seed => {}
            Some(Fate::New(_, because)) => {
                if self.copies.contains_key(name) {
                    self.check_copied(&map, definition, contents);
                }
                let changes = self.first_changes(&map, contents);
                if !changes.is_empty() {
                    let writes = writes(&map.name, definition, definition.sensitive, changes, None);
                    self.push_writes(&map, writes, because, (State::New, None));
                }
            }
            Some(Fate::Keep(id)) if contents.mode != EntriesMode::Seed => {
                self.update_entries(&map, definition, contents, id);
            }
            Some(Fate::Keep(_)) | None => {}
        }
    }

    /// Returns what is written into a new map: all entries, or where their values are the programs', those that are not
    /// copied.
    fn first_changes(&self, map: &DesiredMap, contents: &Contents) -> Changes {
        let copied = || {
            let copying = self.copies.get(&map.name).filter(|_| !contents.mode.owns_values())?;
            let Pinned::Map(ObservedMap { live: Some(Live::Read(live)), .. }) = self.observed.pins.get(map.pin()?)?
            else {
                return None;
            };
            copying.migration.convert(live).ok().map(|converted| converted.entries)
        };
        match copied() {
            Some(copied) if copied.is_like(&contents.entries) => {
                Changes::between(&copied, &contents.entries, |_| false).of_keys(|_, _| false)
            }
            Some(_) | None => Changes::first(&contents.entries),
        }
    }

    /// Returns the entries of a map that are ours: by the record, and by that of a run that was killed.
    fn owned_now(&self, map: &MapName, recorded: Option<&'a RecordedMap>) -> Option<Owned<'a>> {
        let (observed, pin_root) = (self.observed, &self.desired.pin_root);
        let ran = recorded.and_then(|recorded| owned(observed, recorded, &PinPath::clone));
        let begun = observed.begun_map(map).filter_map(|(generation, recorded)| {
            owned(observed, recorded, &|pin| pin.in_generation(pin_root, generation))
        });
        ran.into_iter().chain(begun).reduce(Owned::join)
    }

    /// Returns whether all that the map holds came from the manifest, and comes again.
    pub(super) fn was_exact(&self, map: &DesiredMap) -> bool {
        let is_exact = matches!(&map.source, MapSource::Defined(definition) if definition.is_exact());
        let recorded = self.recorded(map).and_then(|recorded| recorded.entries.as_ref());
        is_exact && recorded.is_some_and(|recorded| recorded.mode == EntriesMode::Exact)
    }

    /// Refuses to copy entries of ours that are to go: in the new map nobody would know whose they are.
    fn check_copied(&mut self, map: &DesiredMap, definition: &MapDefinition, contents: &Contents) {
        let before = self.owned_now(&map.name, self.recorded(map));
        let gone = before.iter().flat_map(Owned::keys);
        if gone.filter(|key| contents.entries.get(key).is_none()).count() > 0 {
            let why = vec![
                "the manifest takes entries away at the same time: do that in an apply of its own, before".to_owned(),
            ];
            let kind = Kind::NotMigratable { map: map.name.clone(), pin: definition.pin.clone(), why };
            self.problems.push(Problem::at(kind, contents.span.clone(), "these"));
        }
    }

    fn update_entries(&mut self, map: &DesiredMap, definition: &MapDefinition, contents: &Contents, id: u32) {
        let Some(live) = self.observed.contents.get(&definition.pin) else { return };
        let before = self.owned_now(&map.name, self.recorded(map));
        let goes = |key: &[u8]| contents.mode.owns_all() || before.as_ref().is_some_and(|before| before.has(key));
        let Some(changes) = changes(live, &contents.entries, goes) else { return };
        let is_array = definition.spec.map_type.is_array();
        let changes = match contents.mode.owns_values() {
            true => changes,
            // Every index of an array has a value: it is new when it was not ours and says nothing.
            false => changes.of_keys(|key, value| {
                is_array && !is_data(value, is_array) && !before.as_ref().is_some_and(|before| before.has(key))
            }),
        };
        let loss = match loses(&changes, before.as_ref(), is_array) || empties(&changes, contents, is_array) {
            true => (State::Lost(None), Some(Consent::LoseState)),
            false => (State::Kept, None),
        };
        let changes = if is_array { changes.zeroing() } else { changes };
        if !changes.is_empty() && self.has_room(map, definition, contents, live, &changes) {
            let sensitive = definition.sensitive;
            let writes = Writes { id: Some(id), ..writes(&map.name, definition, sensitive, changes, Some(live)) };
            self.push_writes(map, writes, Because::EntriesChanged, loss);
        }
    }

    /// Checks that what others have in a map leaves room for ours.
    fn has_room(
        &mut self,
        map: &DesiredMap,
        definition: &MapDefinition,
        contents: &Contents,
        live: &Entries,
        changes: &Changes,
    ) -> bool {
        let (wanted, room) = (contents.entries.len(), definition.spec.max_entries as usize);
        let after = live.len() + changes.added.len() - changes.removed.len();
        let fits = !definition.spec.map_type.refuses_more() || after <= room;
        if !fits {
            let others = after.saturating_sub(wanted);
            let kind = Kind::NoRoom { map: map.name.clone(), wanted, others, room };
            self.problems.push(Problem::at(kind, contents.span.clone(), "these"));
        }
        fits
    }

    /// Returns whether the manifest gives a map no entries any more of which some were ours.
    pub(super) fn lets_go(&self, map: &DesiredMap) -> bool {
        let MapSource::Defined(definition) = &map.source else { return false };
        let recorded = self.recorded(map).and_then(|recorded| recorded.entries.as_ref());
        let keeps = definition.contents.as_deref().is_some_and(|contents| contents.mode != EntriesMode::Seed);
        !keeps && recorded.is_some_and(|recorded| recorded.mode != EntriesMode::Seed)
    }

    /// Takes the entries back that were ours in a map of which others have some, when the manifest gives it none any
    /// more.
    pub(super) fn release_step(&mut self, map: &DesiredMap, id: u32) {
        let MapSource::Defined(definition) = &map.source else { return };
        if definition.contents.is_some() || !self.is_ours(map) {
            return;
        }
        let before = self.owned_now(&map.name, self.recorded(map));
        let Some(before) = before.filter(|before| !before.mode.owns_all()) else { return };
        let Some(live) = self.observed.contents.get(&definition.pin) else { return };
        let nothing = Entries::new(live.key_size(), live.value_size());
        let Some(changes) = changes(live, &nothing, |key| before.has(key)) else { return };
        let changes = if definition.spec.map_type.is_array() { changes.zeroing() } else { changes };
        if !changes.is_empty() {
            let writes =
                Writes { id: Some(id), ..writes(&map.name, definition, before.sensitive, changes, Some(live)) };
            self.push_writes(map, writes, Because::EntriesNotWanted, (State::Kept, None));
        }
    }

    fn push_writes(&mut self, map: &DesiredMap, writes: Writes, because: Because, loss: (State, Option<Consent>)) {
        let span = map.contents().map_or(map.span.clone(), |(_, contents)| contents.span.clone());
        let (action, (state, needs)) = (Action::WriteEntries { writes: Box::new(writes) }, loss);
        self.steps.push(Step { action, because, span: Some(span), traffic: Traffic::None, state, needs });
    }

    /// Plans how the entries of a map that were ours in the generation before come back: as they were, and without those
    /// that became ours since. What others lost when all entries became ours is not known any more.
    ///
    /// `place` is where the map is pinned in the generation before, and `spec` what it is.
    pub(super) fn entries_back(&mut self, before: &Record, name: &MapName, place: &PinPath, id: u32, spec: &MapSpec) {
        let previous = |pin: &PinPath| pin.in_generation(&self.desired.pin_root, &self.desired.pin_root.previous());
        let Some(recorded) = before.maps.get(name.as_str()) else { return };
        let Some(pin) = recorded.pin.as_deref().and_then(|pin| PinPath::new(pin).ok()) else { return };
        let is_same = self.observed.inode(&pin).is_some() && self.observed.inode(&pin) == self.observed.inode(place);
        let there = self.observed.contents.get(place);
        let Some(live) = there.or_else(|| self.observed.contents.get(&pin).filter(|_| is_same)) else { return };
        let then = owned(self.observed, recorded, &previous);
        let recorded_now = self.observed.record.as_ref().and_then(|record| record.maps.get(name.as_str()));
        let now = self.owned_now(name, recorded_now).filter(|_| is_same);
        let seeds = seeds(self.observed, before, name, &previous);
        let seeded = seeds.zip(now.as_ref()).map(|(seeds, now)| overwritten(seeds, now, live));
        let nothing = Entries::new(live.key_size(), live.value_size());
        let wanted =
            then.as_ref().and_then(|then| then.entries.first().copied()).or(seeded.as_ref()).unwrap_or(&nothing);
        let is_seed = |key: &[u8]| seeds.is_some_and(|seeds| seeds.get(key).is_some());
        let goes = |key: &[u8]| match (&then, &now) {
            (Some(then), _) if then.mode.owns_all() => true,
            (_, Some(now)) => {
                let came_since = !now.mode.owns_all() && now.has(key) && !is_seed(key);
                came_since || then.as_ref().is_some_and(|it| it.has(key))
            }
            (_, None) => false,
        };
        let Some(changes) = changes(live, wanted, goes) else { return };
        let keeps_values = then.as_ref().is_some_and(|then| !then.mode.owns_values());
        let changes = if keeps_values { changes.of_keys(|_, _| false) } else { changes };
        let changes = if spec.map_type.is_array() { changes.zeroing() } else { changes };
        if changes.is_empty() {
            return;
        }
        let sensitive = [&then, &now].into_iter().flatten().any(|owned| owned.sensitive);
        let removes_first = is_tight(spec, live, &changes);
        let changes = Arc::new(changes);
        let (spec, formats, references) = (spec.clone(), recorded.formats.clone(), BTreeMap::new());
        let id = Some(id);
        let map = name.clone();
        let writes = Writes {
            map,
            pin,
            id,
            changes,
            removes_first,
            keys_only: keeps_values,
            spec,
            formats,
            references,
            sensitive,
        };
        let action = Action::WriteEntries { writes: Box::new(writes) };
        let because = Because::Rollback;
        let (traffic, state) = (Traffic::None, State::Kept);
        self.steps.push(Step { action, because, span: None, traffic, state, needs: None });
    }
}

/// Returns the entries of a map that a record says are ours; `place` tells where its pins are now.
fn owned<'a>(observed: &'a Observed, map: &'a RecordedMap, place: &dyn Fn(&PinPath) -> PinPath) -> Option<Owned<'a>> {
    let recorded = map.entries.as_ref().filter(|recorded| recorded.mode != EntriesMode::Seed)?;
    let entries = vec![kept(observed, recorded, place)?];
    Some(Owned { mode: recorded.mode, sensitive: map.sensitive, entries })
}

/// Returns the entries that a map started with, which are nobody's.
fn seeds<'a>(
    observed: &'a Observed,
    record: &Record,
    map: &MapName,
    place: &dyn Fn(&PinPath) -> PinPath,
) -> Option<&'a Entries> {
    let recorded = record.maps.get(map.as_str())?.entries.as_ref()?;
    kept(observed, recorded, place).filter(|_| recorded.mode == EntriesMode::Seed)
}

/// Returns entries that are kept beside a record.
fn kept<'a>(
    observed: &'a Observed,
    recorded: &RecordedEntries,
    place: &dyn Fn(&PinPath) -> PinPath,
) -> Option<&'a Entries> {
    let pin = place(&PinPath::new(&recorded.pin).ok()?);
    // Nobody asked for those of a run that was killed.
    let is_it = observed.inode(&pin).is_none_or(|inode| inode == recorded.inode);
    let entries = observed.kept.get(&pin).filter(|_| is_it)?;
    (entries.digest() == recorded.digest).then_some(entries)
}

/// Returns those of the first entries of a map that have the value which they got when they became ours: what they had
/// just before that nobody knows any more.
fn overwritten(seeds: &Entries, ours: &Owned<'_>, live: &Entries) -> Entries {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (key, value) in seeds.iter().filter(|(key, _)| ours.get(key).is_some() && ours.get(key) == live.get(key)) {
        keys.extend_from_slice(key);
        values.extend_from_slice(value);
    }
    Entries::latest(seeds.key_size(), seeds.value_size(), keys, values)
}

/// Compares entries of the same sizes; others are not of one map.
fn changes(live: &Entries, wanted: &Entries, goes: impl Fn(&[u8]) -> bool) -> Option<Changes> {
    live.is_like(wanted).then(|| Changes::between(live, wanted, goes))
}

/// Returns whether entries go that were never ours: what a map held before all of it became the manifest's is not thrown
/// away by the way.
fn loses(changes: &Changes, before: Option<&Owned<'_>>, is_array: bool) -> bool {
    let was_ours = |key: &[u8]| before.is_some_and(|before| before.mode.owns_all() || before.has(key));
    changes.removed.iter().any(|(key, value)| is_data(value, is_array) && !was_ours(key))
}

/// Returns whether nothing stays of what a map held: so does a file that somebody emptied by mistake.
fn empties(changes: &Changes, contents: &Contents, is_array: bool) -> bool {
    contents.entries.is_empty() && changes.removed.iter().any(|(_, value)| is_data(value, is_array))
}

/// Returns whether a value says something: every index of an array has one.
fn is_data(value: &[u8], is_array: bool) -> bool {
    !is_array || value.iter().any(|byte| *byte != 0)
}

/// Returns whether a map has no room for what comes before what goes is gone.
fn is_tight(spec: &MapSpec, live: &Entries, changes: &Changes) -> bool {
    spec.map_type.refuses_more() && live.len() + changes.added.len() > spec.max_entries as usize
}

fn writes(
    map: &MapName,
    definition: &MapDefinition,
    sensitive: bool,
    changes: Changes,
    live: Option<&Arc<Entries>>,
) -> Writes {
    let removes_first = live.is_some_and(|live| is_tight(&definition.spec, live, &changes));
    Writes {
        map: map.clone(),
        pin: definition.pin.clone(),
        id: None,
        changes: Arc::new(changes),
        removes_first,
        keys_only: definition.contents.as_ref().is_some_and(|contents| !contents.mode.owns_values()),
        spec: definition.spec.clone(),
        formats: definition.formats.clone(),
        references: definition.contents.as_ref().map(|it| it.references.by_key.clone()).unwrap_or_default(),
        sensitive,
    }
}

/// Records the entries that the manifest gives a map. Those that are kept as they should be stay kept; the inode of
/// others is 0 until apply knows it.
pub(super) fn recorded(map: &MapName, contents: &Contents, pin_root: &PinPath, observed: &Observed) -> RecordedEntries {
    let pin = pin_root.owned_entries(map);
    let before = observed.record.as_ref().and_then(|record| record.maps.get(map.as_str())?.entries.as_ref());
    let digest = contents.entries.digest();
    let is_kept = |before: &&RecordedEntries| before.digest == digest && observed.inode(&pin) == Some(before.inode);
    let inode = before.filter(is_kept).map_or(0, |before| before.inode);
    RecordedEntries { mode: contents.mode, digest, pin: pin.to_string(), inode }
}

/// Returns what has to be kept anew with a record that was made for `maps`.
pub(super) fn to_keep(record: &Record, maps: &BTreeMap<MapName, Arc<DesiredMap>>) -> BTreeMap<PinPath, Arc<Entries>> {
    let contents = maps.values().filter_map(|map| Some((map.name.as_str(), map.contents()?.1)));
    let new = contents.filter_map(|(name, contents)| {
        let recorded = record.maps.get(name)?.entries.as_ref().filter(|recorded| recorded.inode == 0)?;
        Some((PinPath::new(&recorded.pin).ok()?, Arc::clone(&contents.entries)))
    });
    new.collect()
}

/// Makes a record of the generation before one of the next: its entries are kept anew. Returns them.
pub(super) fn keep_anew(
    record: &mut Record,
    observed: &Observed,
    pin_root: &PinPath,
) -> BTreeMap<PinPath, Arc<Entries>> {
    let mut anew = BTreeMap::new();
    for map in record.maps.values_mut() {
        let kept = map.entries.as_ref().and_then(|entries| {
            let pin = PinPath::new(&entries.pin).ok()?;
            let kept = observed.kept.get(&pin.in_generation(pin_root, &pin_root.previous()))?;
            (kept.digest() == entries.digest).then(|| (pin, Arc::clone(kept)))
        });
        match (&mut map.entries, kept) {
            (Some(entries), Some(kept)) => {
                entries.inode = 0;
                anew.extend([kept]);
            }
            // Without them, nobody knows which entries those are.
            (entries, _) => *entries = None,
        }
    }
    anew
}
