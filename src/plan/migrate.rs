//! What copying the entries of a map that no longer fits comes to.

use crate::desired::{DesiredMap, EntriesMode, MapDefinition};
use crate::diag::{Kind, Problem};
use crate::entries::Entries;
use crate::migrate::{Converted, Migration, Misfits};
use crate::observed::{Live, ObservedMap};
use crate::spec::Host;
use std::sync::Arc;

/// A copy of entries as it was when the plan was made: the map changes meanwhile.
#[derive(Debug, Clone)]
pub struct Copying {
    /// How entries go over.
    pub migration: Migration,
    /// How many fit.
    pub fits: u64,
    /// What does not.
    pub misfits: Misfits,
    /// Programs of others that go on with the old map, by id and name.
    pub others: Vec<(u32, String)>,
}

impl Copying {
    /// Returns whether contents go: fields, or whole entries.
    pub fn loses(&self) -> bool {
        self.drops_fields() || self.misfits.count > 0
    }

    /// Returns whether fields of entries go.
    fn drops_fields(&self) -> bool {
        self.fits > 0 && self.migration.drops()
    }

    /// Returns whether entries that came since would lose what nobody has consented to lose.
    pub fn loses_more(&self, entries: usize, misfits: u64) -> bool {
        let drops = entries > 0 && self.migration.drops() && !self.drops_fields();
        drops || misfits > 0 && self.misfits.count == 0
    }
}

/// Plans how the entries of a map that is there go over into the one that takes its place.
pub(super) fn copying(
    map: &DesiredMap,
    definition: &MapDefinition,
    found: &ObservedMap,
    host: &Host,
) -> Result<Copying, Problem> {
    let refuse = |why: Vec<String>| {
        let kind = Kind::NotMigratable { map: map.name.clone(), pin: definition.pin.clone(), why };
        Problem::at(kind, map.span.clone(), "defined here")
    };
    let is_sensitive = definition.sensitive;
    let migration = Migration::between(&found.spec, &definition.spec, host).map_err(refuse)?.hiding(is_sensitive);
    let migration = match &definition.data {
        Some((_, first)) => {
            let set = definition.variables.values().map(|variable| variable.set.clone());
            migration.of_section(Arc::clone(first), set)
        }
        None => migration,
    };
    let Some(Live::Read(entries)) = &found.live else {
        let what = format!("`{}` was replaced while it was read", definition.pin);
        return Err(Problem::new(Kind::Stale { what }));
    };
    let Converted { entries, misfits } =
        migration.convert(entries).map_err(|twice| refuse(vec![format!("two of its keys would be one: {twice}")]))?;
    has_room(map, definition, &entries)?;
    Ok(Copying { migration, fits: entries.len() as u64, misfits, others: found.others.clone() })
}

/// Checks that what is copied leaves room for the entries that the manifest gives the map.
fn has_room(map: &DesiredMap, definition: &MapDefinition, copied: &Entries) -> Result<(), Problem> {
    let contents = definition.contents.as_deref().filter(|contents| contents.mode != EntriesMode::Seed);
    let Some(contents) = contents.filter(|_| definition.spec.map_type.refuses_more()) else { return Ok(()) };
    let (wanted, room) = (contents.entries.len(), definition.spec.max_entries as usize);
    let others = copied.iter().filter(|(key, _)| contents.entries.get(key).is_none()).count();
    if wanted + others <= room {
        return Ok(());
    }
    let kind = Kind::NoRoom { map: map.name.clone(), wanted, others, room };
    Err(Problem::at(kind, contents.span.clone(), "these"))
}
