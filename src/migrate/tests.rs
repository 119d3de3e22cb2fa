//! Tests of migrations: which maps can take the entries of which, and what becomes of those.

use super::*;
use crate::btf::{Btf, Encoding, Member, Type};
use std::sync::Arc;

const HOST: Host = Host { possible_cpus: 2, most_cpus: 64, page_size: 4096 };

/// A map with keys of four bytes; without fields it has no BTF.
fn spec(map_type: MapType, max_entries: u32, fields: &[(&str, u32)]) -> MapSpec {
    let mut btf = Btf::default();
    let mut int = |size: u32| {
        let (bits, encoding) = ((size * 8) as u8, Encoding::Unsigned);
        btf.push(Type::Int { name: format!("u{bits}").as_str().into(), size, bits, offset: 0, encoding })
    };
    let key = int(4);
    let types: Vec<_> = fields.iter().map(|(_, size)| int(*size)).collect();
    let (mut members, mut size) = (Vec::new(), 0);
    for ((name, bytes), ty) in fields.iter().zip(types) {
        members.push(Member { name: (*name).into(), ty, bit_offset: size * 8, bitfield_size: 0 });
        size += bytes;
    }
    let value = btf.push(Type::Struct { name: "value".into(), size, members });
    let types = MapTypes { btf: Arc::new(btf), key, value };
    MapSpec { types: Some(types), ..MapSpec::new(map_type, 4, size, max_entries) }
}

fn bare(map_type: MapType, key_size: u32, value_size: u32) -> MapSpec {
    MapSpec::new(map_type, key_size, value_size, 8)
}

/// Entries with keys of four bytes.
fn entries(pairs: &[(u32, &[u8])]) -> Entries {
    let size = pairs.first().map_or(0, |(_, value)| value.len());
    let keys = pairs.iter().flat_map(|(key, _)| key.to_ne_bytes()).collect();
    Entries::of(4, size, keys, pairs.iter().flat_map(|(_, value)| value.to_vec()).collect()).unwrap()
}

#[track_caller]
fn converted(old: &MapSpec, new: &MapSpec, pairs: &[(u32, &[u8])]) -> (Vec<(u32, Vec<u8>)>, String) {
    let migration = Migration::between(old, new, &HOST).unwrap();
    let Converted { entries, misfits } = migration.convert(&entries(pairs)).unwrap();
    let key = |key: &[u8]| u32::from_ne_bytes(key.try_into().unwrap());
    (entries.iter().map(|(k, value)| (key(k), value.to_vec())).collect(), format!("{}{misfits}", misfits.count))
}

#[test]
fn some_maps_cannot_take_the_entries_of_others() {
    use MapType as M;
    let fields = |map_type, names: &[(&str, u32)]| spec(map_type, 8, names);
    let wide = bare(M::HASH, 4, 16);
    let no_btf = |side| format!("its value has 8 bytes there and 16 here, and {side} has no BTF that tells its fields");
    let rows = [
        (bare(M::HASH, 4, 8), bare(M::LRU_HASH, 4, 8), None),
        (bare(M::LRU_HASH, 4, 8), bare(M::HASH, 4, 8), None),
        (bare(M::LRU_PERCPU_HASH, 4, 8), bare(M::PERCPU_HASH, 4, 8), None),
        (bare(M::ARRAY, 4, 8), bare(M::ARRAY, 4, 8), None),
        (bare(M::LPM_TRIE, 8, 8), bare(M::LPM_TRIE, 8, 8), None),
        (
            bare(M::PERCPU_HASH, 4, 8),
            bare(M::HASH, 4, 8),
            Some(
                "it is percpu_hash there and hash here: nobody can say how the values of all CPUs become one"
                    .to_owned(),
            ),
        ),
        (
            bare(M::ARRAY, 4, 8),
            bare(M::PERCPU_ARRAY, 4, 8),
            Some("it is array there and percpu_array here: nobody can say which CPU gets the value".to_owned()),
        ),
        (
            bare(M::HASH, 4, 8),
            bare(M::ARRAY, 4, 8),
            Some("it is hash there and array here, which hold their entries in different ways".to_owned()),
        ),
        (
            bare(M::QUEUE, 0, 8),
            bare(M::QUEUE, 0, 8),
            Some("entries of a map of the type queue cannot be copied".to_owned()),
        ),
        (bare(M::HASH, 4, 8), wide.clone(), Some(no_btf("the pinned map"))),
        (fields(M::HASH, &[("a", 8)]), wide, Some(no_btf("the definition"))),
        (
            bare(M::LPM_TRIE, 8, 8),
            bare(M::LPM_TRIE, 20, 8),
            Some(
                "its key has 8 bytes there and 20 here, and the pinned map has no BTF that tells its fields".to_owned(),
            ),
        ),
    ];
    for (old, new, why) in rows {
        let got = Migration::between(&old, &new, &HOST).map(drop);
        assert_eq!(got, why.map_or(Ok(()), |why| Err(vec![why])), "{old} to {new}");
    }
}

#[test]
fn values_follow_their_fields() {
    let old = spec(MapType::HASH, 8, &[("a", 2), ("b", 1)]);
    let new = spec(MapType::LRU_HASH, 16, &[("b", 1), ("c", 1), ("a", 1)]);
    let (got, misfits) = converted(&old, &new, &[(1, &[7, 0, 9]), (2, &[0, 1, 9]), (3, &[1, 1, 1])]);
    assert_eq!(got, [(1, vec![9, 0, 7])]);
    assert_eq!(misfits, "2 (key 2: a is 256, and from 0 to 255 fits; key 3: a is 257, and from 0 to 255 fits)");
    let migration = Migration::between(&old, &new, &HOST).unwrap();
    assert_eq!(migration.to_string(), "kept: key, value b; converted: value a (u16 to u8); new, zero: value c");
    assert!(!migration.drops());
    let same = Migration::between(&old, &spec(MapType::HASH, 9, &[("a", 2), ("b", 1)]), &HOST).unwrap();
    assert_eq!(same.to_string(), "keys and values kept");
}

#[test]
fn variables_keep_what_they_hold_and_new_ones_start() {
    let old = spec(MapType::ARRAY, 1, &[("a", 4), ("b", 2), ("c", 1)]);
    let new = spec(MapType::ARRAY, 1, &[("d", 1), ("b", 2), ("c", 1), ("a", 2)]);
    let set = Patch { offset: 3, value: vec![6], mask: Vec::new() };
    let migration = Migration::between(&old, &new, &HOST).unwrap();
    let migration = migration.of_section([9; 6].into(), [set].into_iter());
    assert_eq!(migration.to_string(), "kept: b, c; converted: a (u32 to u16); new: d");
    let convert = |value: &[u8]| migration.convert(&entries(&[(0, value)])).unwrap();
    let Converted { entries, misfits } = convert(&[1, 0, 0, 0, 2, 0, 3]);
    assert_eq!(entries.iter().map(|(_, value)| value.to_vec()).collect::<Vec<_>>(), [[9, 2, 0, 6, 1, 0]]);
    assert_eq!(misfits.count, 0);
    assert_eq!(convert(&[1, 0, 1, 0, 2, 0, 3]).misfits.count, 1);
}

#[test]
fn each_cpu_keeps_its_value() {
    let old = spec(MapType::PERCPU_HASH, 8, &[("a", 1)]);
    let new = spec(MapType::PERCPU_HASH, 8, &[("b", 8), ("a", 2)]);
    let value = [[7, 0, 0, 0, 0, 0, 0, 0], [8, 0, 0, 0, 0, 0, 0, 0]].concat();
    let (got, _) = converted(&old, &new, &[(1, &value)]);
    let cpu = |number: u8| [[0; 8], [number, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(got, [(1, [cpu(7), cpu(8)].concat())]);
}

#[test]
fn smaller_maps_say_what_they_have_no_room_for() {
    let old = spec(MapType::HASH, 8, &[("a", 1)]);
    let (got, misfits) =
        converted(&old, &spec(MapType::HASH, 2, &[("a", 1)]), &[(1, &[1]), (2, &[2]), (3, &[3]), (4, &[4])]);
    assert_eq!(got.len(), 2);
    assert_eq!(misfits, "2 (key 3: the new map has no room for it; key 4: the new map has no room for it)");
    let (old, new) = (spec(MapType::ARRAY, 4, &[("a", 1)]), spec(MapType::ARRAY, 2, &[("a", 1)]));
    let (got, misfits) = converted(&old, &new, &[(0, &[5]), (1, &[0]), (2, &[0]), (3, &[9])]);
    assert_eq!(got, [(0, vec![5]), (1, vec![0])]);
    assert_eq!(misfits, "1 (key 3: it is behind the new end and not zero)");
}

#[test]
fn keys_that_become_one_are_named() {
    let field = |names: &[(&str, u32)]| {
        let spec = spec(MapType::HASH, 8, names);
        let types = spec.types.clone().map(|types| MapTypes { key: types.value, ..types });
        MapSpec { key_size: spec.value_size, types, ..spec }
    };
    let (old, new) = (field(&[("a", 2), ("b", 2)]), field(&[("a", 2)]));
    let migration = Migration::between(&old, &new, &HOST).unwrap();
    assert!(migration.drops());
    let value = [0; 4];
    let twice = migration.convert(&entries(&[(0x0001_0007, &value), (0x0002_0007, &value), (9, &value)]));
    assert_eq!(twice.map(drop), Err(Collision("{ a = 7, b = 1 }".to_owned(), "{ a = 7, b = 2 }".to_owned())));
    let hidden = migration.hiding(true).convert(&entries(&[(0x0001_0007, &value), (0x0002_0007, &value)]));
    assert!(!format!("{hidden:?}").contains('7'), "sensitive keys are not shown: {hidden:?}");
}

#[test]
fn accounts_read_as_sentences() {
    let mut misfits = Misfits::default();
    (0..5).for_each(|key| misfits.add(|| format!("key {key}: why")));
    let tally = Tally { copied: 7, caught_up: 2, both: 1, misfits };
    assert_eq!(
        tally.to_string(),
        "7 copied, 2 caught up, 1 changed on both sides (the new one is kept), 5 did not fit \
         (key 0: why; key 1: why; key 2: why; and 2 more)"
    );
    assert_eq!(Tally::default().to_string(), "0 copied, 0 caught up, 0 changed on both sides, 0 did not fit");
}
