//! What a record says anew where nothing else changes: without that nobody knows why there is a new generation.

use super::guard;
use crate::record::Record;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Names everything in which both records differ, but for when and by whom they were made.
pub(super) fn changes(before: &Record, after: &Record) -> Vec<String> {
    let mut changes = guard::changes(before, after);
    changes.extend(of_table("object", &before.objects, &after.objects));
    changes.extend(of_table("map", &before.maps, &after.maps));
    changes.extend(of_table("program", &before.programs, &after.programs));
    changes.extend(of_table("link", &before.links, &after.links));
    changes.extend(names(&before.templates, &after.templates).into_iter().filter_map(|name| {
        match (before.templates.get(name), after.templates.get(name)) {
            (before, after) if before == after => None,
            (_, None) => Some(format!("link.{name} is NO LONGER for the host to decide")),
            (None, Some(_)) => Some(format!("link.{name} is for the host to decide")),
            (Some(_), Some(_)) => Some(format!("link.{name} is for the host to decide in another way")),
        }
    }));
    changes
}

fn of_table<T: Serialize>(kind: &str, before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Vec<String> {
    let change = |name: &String| match (before.get(name), after.get(name)) {
        (Some(before), Some(after)) => {
            let fields = differing(before, after);
            (!fields.is_empty()).then(|| format!("{kind}.{name} is recorded anew ({})", fields.join(", ")))
        }
        (None, Some(_)) => Some(format!("{kind}.{name} is recorded")),
        (Some(_), None) => Some(format!("{kind}.{name} is not recorded any more")),
        (None, None) => None,
    };
    names(before, after).into_iter().filter_map(change).collect()
}

fn names<'a, T>(before: &'a BTreeMap<String, T>, after: &'a BTreeMap<String, T>) -> BTreeSet<&'a String> {
    before.keys().chain(after.keys()).collect()
}

/// Names the fields that differ, as the record calls them; what is protected is said for itself.
fn differing<T: Serialize>(before: &T, after: &T) -> Vec<String> {
    let fields = |of: &T| match serde_json::to_value(of) {
        Ok(serde_json::Value::Object(fields)) => fields,
        Ok(_) | Err(_) => unreachable!("a record has only tables of plain fields"),
    };
    let (before, after) = (fields(before), fields(after));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).filter(|field| *field != "protect").collect();
    all.into_iter().filter(|field| before.get(*field) != after.get(*field)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Digest;
    use crate::record::{RecordedMap, RecordedObject, Since};

    fn record() -> Record {
        let object = RecordedObject { path: "a.o".to_owned(), sha256: Digest::of(b"a") };
        Record {
            objects: BTreeMap::from([("filter".to_owned(), object)]),
            maps: BTreeMap::from([("flows".to_owned(), RecordedMap::default())]),
            ..Record::default()
        }
    }

    #[test]
    fn what_changes_is_named() {
        type Change = fn(&mut Record);
        let rows: &[(Change, &[&str])] = &[
            (|_| (), &[]),
            (|it| it.time = 7, &[]),
            (|it| it.maps.get_mut("flows").unwrap().protect = Some(Since(1)), &["map.flows is protected"]),
            (|it| it.maps.get_mut("flows").unwrap().sensitive = true, &["map.flows is recorded anew (sensitive)"]),
            (
                |it| {
                    let object = it.objects.get_mut("filter").unwrap();
                    (object.path, object.sha256) = ("b.o".to_owned(), Digest::of(b"b"));
                },
                &["object.filter is recorded anew (path, sha256)"],
            ),
            (
                |it| {
                    let object = it.objects.remove("filter").unwrap();
                    it.objects.insert("other".to_owned(), object);
                },
                &["object.filter is not recorded any more", "object.other is recorded"],
            ),
        ];
        for (number, (change, wanted)) in rows.iter().enumerate() {
            let mut after = record();
            change(&mut after);
            assert_eq!(changes(&record(), &after), *wanted, "row {number}");
        }
    }
}
