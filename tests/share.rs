//! Sharing of maps, on the real kernel: which programs use one map, and that what one of them writes the other reads.
//!
//! What is refused is in `tests/share/NAME.toml`, and `NAME.txt` is what the user then reads;
//! `UPDATE=1 cargo test --test share` writes these anew: look at the difference.

mod common;

use common::tool::{Said, below, bpfapply, bpftool, has_bpftool, ids, maps_of_program, run_program, succeed, value_at};
use common::{Room, in_namespace, run, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn path(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inside)
}

/// A manifest that must work, and what is then true.
#[derive(Default)]
struct Case {
    name: &'static str,
    /// Shell lines before anything else: the maps that somebody else made.
    before: &'static [&'static str],
    /// The manifest behind version and name. Objects lie in `objects/`; `ID` is the id of the map at `/sys/fs/bpf/theirs`.
    manifest: &'static str,
    /// For each program the maps that it uses, in the order of their first use, by their names in `show`.
    uses: &'static [(&'static str, &'static [&'static str])],
    /// Pins that must be there.
    pins: &'static [&'static str],
    /// Maps of somebody else: the name in `show`, and their pin.
    theirs: &'static [(&'static str, &'static str)],
    /// First contents: a map, and key and value as bpftool takes them.
    entries: &'static [(&'static str, &'static str)],
    /// Programs to run, in order, and what they must return.
    runs: &'static [(&'static str, u64)],
    /// What the maps then hold: map, a key of four bytes, the first eight bytes of the value.
    holds: &'static [(&'static str, u32, u64)],
}

/// Makes the folder of a case: the manifest, the objects, and a packet of 64 zero bytes.
fn folder_of(manifest: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let objects = path("tests/objects");
    std::os::unix::fs::symlink(objects, folder.path().join("objects")).expect("a link can be made");
    let id = if manifest.contains("ID") {
        bpftool("map show pinned /sys/fs/bpf/theirs")["id"].as_u64().expect("an id").to_string()
    } else {
        String::new()
    };
    let text = format!("version = 1\nname = \"share\"\n{}", manifest.replace("ID", &id));
    fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
    fs::write(folder.path().join("packet"), [0; 64]).expect("the folder is writable");
    folder
}

/// Plans, applies, looks, runs the programs, applies again and destroys.
#[track_caller]
fn check(case: Case) {
    if !has_bpftool() {
        return skip(case.name, "needs bpftool");
    }
    in_namespace(case.name, move |room| check_here(&case, room));
}

fn check_here(case: &Case, room: &Room) {
    let bpffs = Path::new(room.bpffs.as_str());
    for line in case.before {
        shell(line, Path::new("/"));
    }
    let folder = folder_of(case.manifest);
    let (folder, packet) = (folder.path(), folder.path().join("packet"));
    let others = below(bpffs);
    let offline = succeed(folder, &["plan.toml", "--dry-run=offline"]);
    assert!(!offline.contains("id 0"), "an id that nobody knows: {offline}");
    succeed(folder, &["plan.toml", "--dry-run"]);
    assert_eq!(below(bpffs), others, "a dry run changes nothing");
    succeed(folder, &["plan.toml"]);

    let ids_of = ids(folder, "share");
    for (program, maps) in case.uses {
        let wanted: Vec<u64> = maps.iter().map(|map| ids_of.maps[*map]).collect();
        assert_eq!(maps_of_program(ids_of.programs[*program]), wanted, "program.{program}: {maps:?} of {ids_of:?}");
    }
    for (map, pin) in case.theirs {
        assert_eq!(bpftool(&format!("map show pinned {pin}"))["id"], ids_of.maps[*map], "map.{map} at {pin}");
    }
    for pin in case.pins {
        assert!(fs::exists(pin).expect("bpffs is readable"), "{pin} in {:?}", below(bpffs));
    }
    for (map, entry) in case.entries {
        bpftool(&format!("map update id {} {entry}", ids_of.maps[*map]));
    }
    for (program, returned) in case.runs {
        assert_eq!(run_program(ids_of.programs[*program], &packet), *returned, "program.{program}");
    }
    let said = succeed(folder, &["plan.toml"]);
    assert!(said.contains("nothing to do"), "{said}");
    assert_eq!(ids(folder, "share"), ids_of, "a second apply changes nothing");
    for (map, key, value) in case.holds {
        assert_eq!(value_at(ids_of.maps[*map], *key), *value, "map.{map} at {key}");
    }
    succeed(folder, &["destroy", "share"]);
    assert_eq!(below(bpffs), others, "only what we made goes");
    for (map, pin) in case.theirs {
        assert_eq!(bpftool(&format!("map show pinned {pin}"))["id"], ids_of.maps[*map], "map.{map} at {pin}");
    }
}

/// Runs a line of the shell in a folder; it must succeed.
#[track_caller]
fn shell(line: &str, folder: &Path) {
    run(Command::new("sh").args(["-ec", line]).current_dir(folder)).unwrap_or_else(|error| panic!("{line}: {error}"));
}

#[test]
fn an_edge_makes_two_symbols_one_map() {
    check(Case {
        name: "an_edge_makes_two_symbols_one_map",
        manifest: r#"
            object.device = { path = "objects/pass.o" }
            object.stack  = { path = "objects/reader.o", maps = { counts = "counts" } }
            map.counts    = { from = "device:counts" }
            program.write = { from = "device:pass" }
            program.read  = { from = "stack:read" }
        "#,
        uses: &[("write", &["counts"]), ("read", &["counts"])],
        pins: &["/sys/fs/bpf/share/maps/counts"],
        runs: &[("read", 0), ("write", 2), ("write", 2), ("read", 2)],
        holds: &[("counts", 0, 2)],
        ..Case::default()
    });
}

/// The control of the test above: no edge, nothing shared.
#[test]
fn without_an_edge_the_same_symbol_is_two_maps() {
    check(Case {
        name: "without_an_edge_the_same_symbol_is_two_maps",
        manifest: r#"
            object.device = { path = "objects/pass.o" }
            object.stack  = { path = "objects/reader.o" }
            program.write = { from = "device:pass" }
            program.read  = { from = "stack:read" }
        "#,
        uses: &[("write", &["device:counts"]), ("read", &["stack:counts"])],
        runs: &[("write", 2), ("write", 2), ("read", 0)],
        holds: &[("device:counts", 0, 2), ("stack:counts", 0, 0)],
        ..Case::default()
    });
}

#[test]
fn one_file_as_two_objects_is_two_instances() {
    check(Case {
        name: "one_file_as_two_objects_is_two_instances",
        manifest: r#"
            object.a   = { path = "objects/pass.o" }
            object.b   = { path = "objects/pass.o" }
            program.a  = { from = "a:pass" }
            program.a2 = { from = "a:pass" }
            program.b  = { from = "b:pass" }
        "#,
        uses: &[("a", &["a:counts"]), ("a2", &["a:counts"]), ("b", &["b:counts"])],
        runs: &[("a", 2), ("a2", 2), ("b", 2)],
        holds: &[("a:counts", 0, 2), ("b:counts", 0, 1)],
        ..Case::default()
    });
}

#[test]
fn both_of_two_types_write_into_a_struct() {
    check(Case {
        name: "both_of_two_types_write_into_a_struct",
        manifest: r#"
            object.device    = { path = "objects/stats_a.o", maps = { stats = "all" } }
            object.stack     = { path = "objects/stats_b.o" }
            map.all          = { from = "stack:stats", pin = "deep/er/stats", max_entries = 8 }
            program.device   = { from = "device:on_device" }
            program.stack    = { from = "stack:on_stack" }
        "#,
        uses: &[("device", &["all"]), ("stack", &["all"])],
        pins: &["/sys/fs/bpf/share/deep/er/stats"],
        entries: &[("all", "key hex 00 00 00 00 value hex 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00")],
        runs: &[("device", 2), ("stack", 0xffff_ffff)],
        holds: &[("all", 0, 7)],
        ..Case::default()
    });
}

/// What objects leave open, the kernel knows of two maps, and the manifest says of the others.
#[test]
fn sizes_that_the_object_leaves_open() {
    check(Case {
        name: "sizes_that_the_object_leaves_open",
        manifest: r#"
            object.open    = { path = "objects/left_open.o" }
            object.outer   = { path = "objects/no_template.o" }
            map.stacks     = { from = "open:stacks", max_entries = 64, value_size = 1016 }
            map.inner      = { type = "array", key_size = 4, value_size = 8, max_entries = 1 }
            map.outer      = { from = "outer:outer", inner = "inner" }
            program.spread = { from = "open:spread" }
            program.sample = { from = "open:sample" }
            program.look   = { from = "outer:look" }
        "#,
        uses: &[("spread", &["open:events", "open:cpus"]), ("sample", &["stacks"]), ("look", &["outer"])],
        pins: &["/sys/fs/bpf/share/maps/stacks"],
        ..Case::default()
    });
}

/// Two programs of an object as aya makes them, which only loads with the license that the manifest adds.
#[test]
fn a_license_for_an_object_that_says_none() {
    check(Case {
        name: "a_license_for_an_object_that_says_none",
        manifest: r#"
            object.aya    = { path = "objects/aya_maps.o", license = "Dual MIT/GPL" }
            program.count = { from = "aya:count" }
            program.tell  = { from = "aya:tell" }
        "#,
        uses: &[("count", &["hits"]), ("tell", &["aya:.rodata"])],
        pins: &["/sys/fs/bpf/share/maps/hits"],
        runs: &[("count", 2), ("tell", 0xffff_ffff)],
        ..Case::default()
    });
}

#[test]
fn pinned_by_name_is_shared_by_all_who_say_so() {
    check(Case {
        name: "pinned_by_name_is_shared_by_all_who_say_so",
        manifest: r#"
            object.device = { path = "objects/pin_by_name.o" }
            object.stack  = { path = "objects/pin_by_name_reader.o" }
            program.write = { from = "device:count" }
            program.read  = { from = "stack:read" }
        "#,
        uses: &[
            ("write", &["shared_count", "shared_hosts", "device:own_count"]),
            ("read", &["shared_count", "stack:own_count"]),
        ],
        pins: &["/sys/fs/bpf/share/maps/shared_count", "/sys/fs/bpf/share/maps/shared_hosts"],
        runs: &[("write", 2), ("write", 2), ("write", 2), ("read", 3)],
        holds: &[("shared_count", 0, 3), ("device:own_count", 0, 3), ("stack:own_count", 0, 0)],
        ..Case::default()
    });
}

/// The manifest outranks the object, for everybody who says the same name.
#[test]
fn pinned_by_name_and_declared_is_the_declared_map() {
    check(Case {
        name: "pinned_by_name_and_declared_is_the_declared_map",
        manifest: r#"
            object.device  = { path = "objects/pin_by_name.o" }
            object.stack   = { path = "objects/pin_by_name_reader.o", maps = { shared_count = "total" } }
            map.total      = { from = "device:shared_count" }
            program.write  = { from = "device:count" }
            program.read   = { from = "stack:read" }
        "#,
        uses: &[("write", &["total", "shared_hosts", "device:own_count"]), ("read", &["total", "stack:own_count"])],
        pins: &["/sys/fs/bpf/share/maps/total"],
        runs: &[("write", 2), ("read", 1)],
        ..Case::default()
    });
}

/// `counts` is in the name space of the object: by its bytes, so the two instances share it, another object does not.
#[test]
fn name_spaces_of_iproute2() {
    check(Case {
        name: "name_spaces_of_iproute2",
        manifest: r#"
            object.one    = { path = "objects/elf_map_36.o" }
            object.same   = { path = "objects/elf_map_36.o" }
            object.other  = { path = "objects/elf_map_28.o" }
            program.one   = { from = "one:count" }
            program.same  = { from = "same:count" }
            program.other = { from = "other:count" }
        "#,
        uses: &[
            ("one", &["one:counts", "flows"]),
            ("same", &["one:counts", "flows"]),
            ("other", &["other:counts", "flows"]),
        ],
        pins: &["/sys/fs/bpf/tc/globals/flows"],
        entries: &[("flows", "key hex 00 00 00 00 00 00 value hex 00 00 00 00 00 00 00 00")],
        runs: &[("one", 0xffff_ffff), ("same", 0xffff_ffff), ("other", 0xffff_ffff)],
        holds: &[("one:counts", 0, 2), ("other:counts", 0, 1)],
        ..Case::default()
    });
}

#[test]
fn a_global_map_of_somebody_else_is_used_and_stays() {
    check(Case {
        name: "a_global_map_of_somebody_else_is_used_and_stays",
        before: &[
            "mkdir -p /sys/fs/bpf/tc/globals",
            "bpftool map create /sys/fs/bpf/tc/globals/flows type hash key 6 value 8 entries 300 name flows flags 1",
            "bpftool map update pinned /sys/fs/bpf/tc/globals/flows key hex 0 0 0 0 0 0 value hex 0 0 0 0 0 0 0 0",
        ],
        manifest: r#"
            object.one    = { path = "objects/elf_map_36.o" }
            program.one   = { from = "one:count" }
        "#,
        uses: &[("one", &["one:counts", "flows"])],
        theirs: &[("flows", "/sys/fs/bpf/tc/globals/flows")],
        runs: &[("one", 0xffff_ffff)],
        holds: &[("one:counts", 0, 1)],
        ..Case::default()
    });
}

#[test]
fn an_existing_map_by_its_pin() {
    check(Case {
        name: "an_existing_map_by_its_pin",
        before: &["bpftool map create /sys/fs/bpf/theirs type array key 4 value 8 entries 2 name theirs"],
        manifest: r#"
            object.device = { path = "objects/pass.o", maps = { counts = "theirs" } }
            object.stack  = { path = "objects/reader.o", maps = { counts = "theirs" } }
            map.theirs    = { pinned = "/sys/fs/bpf/theirs" }
            program.write = { from = "device:pass" }
            program.read  = { from = "stack:read" }
        "#,
        uses: &[("write", &["theirs"]), ("read", &["theirs"])],
        theirs: &[("theirs", "/sys/fs/bpf/theirs")],
        runs: &[("write", 2), ("read", 1)],
        holds: &[("theirs", 0, 1)],
        ..Case::default()
    });
}

#[test]
fn an_existing_map_by_its_id() {
    check(Case {
        name: "an_existing_map_by_its_id",
        before: &["bpftool map create /sys/fs/bpf/theirs type array key 4 value 8 entries 2 name theirs"],
        manifest: r#"
            object.device = { path = "objects/pass.o", maps = { counts = "theirs" } }
            object.stack  = { path = "objects/reader.o", maps = { counts = "theirs" } }
            map.theirs    = { id = ID }
            program.write = { from = "device:pass" }
            program.read  = { from = "stack:read" }
        "#,
        uses: &[("write", &["theirs"]), ("read", &["theirs"])],
        theirs: &[("theirs", "/sys/fs/bpf/theirs")],
        runs: &[("write", 2), ("read", 1)],
        holds: &[("theirs", 0, 1)],
        ..Case::default()
    });
}

#[test]
fn a_symbol_by_its_index() {
    check(Case {
        name: "a_symbol_by_its_index",
        manifest: r##"
            object.device = { path = "objects/static_map.o" }
            object.stack  = { path = "objects/reader.o", maps = { "#0" = "second" } }
            map.second    = { from = "device:#1" }
            program.write = { from = "device:count" }
            program.read  = { from = "stack:read" }
        "##,
        uses: &[("write", &["device:first", "second"]), ("read", &["second"])],
        runs: &[("write", 2), ("write", 2), ("read", 3)],
        holds: &[("second", 0, 3)],
        ..Case::default()
    });
}

/// `struct bpf_map_def` without BTF, by index, owned by an object with BTF.
#[test]
fn an_object_without_btf_by_its_index() {
    check(Case {
        name: "an_object_without_btf_by_its_index",
        manifest: r##"
            object.device = { path = "objects/map_def_20_no_btf.o", maps = { "#0" = "counts" } }
            object.stack  = { path = "objects/reader.o" }
            map.counts    = { from = "stack:#0", max_entries = 2 }
            program.write = { from = "device:count" }
            program.read  = { from = "stack:read" }
        "##,
        uses: &[("write", &["counts", "device:hosts"]), ("read", &["counts"])],
        runs: &[("write", 2), ("write", 2), ("read", 2)],
        holds: &[("counts", 1, 2)],
        ..Case::default()
    });
}

/// gobpf's pins are what its own programs make of them; the manifest says them, where a program needs such a map.
#[test]
fn maps_of_gobpf() {
    check(Case {
        name: "maps_of_gobpf",
        manifest: r#"
            object.typed  = { path = "objects/gobpf_maps.o" }
            object.bare   = { path = "objects/gobpf_maps_no_btf.o", maps = { shared = "shared", placed = "placed" } }
            map.shared    = { from = "typed:shared", pin = "/sys/fs/bpf/app/globals/shared" }
            map.placed    = { from = "typed:placed" }
            program.typed = { from = "typed:uses_both" }
            program.bare  = { from = "bare:uses_both" }
            program.own   = { from = "bare:uses_own" }
        "#,
        uses: &[("typed", &["shared", "placed"]), ("bare", &["shared", "placed"]), ("own", &["bare:own"])],
        pins: &["/sys/fs/bpf/app/globals/shared"],
        runs: &[("typed", 0), ("bare", 0), ("own", 0)],
        ..Case::default()
    });
}

/// A function with two names gives programs by both.
#[test]
fn a_function_with_two_names() {
    check(Case {
        name: "a_function_with_two_names",
        manifest: r#"
            object.one   = { path = "objects/aliases.o" }
            program.name = { from = "one:pass" }
            program.also = { from = "one:accept" }
        "#,
        uses: &[("name", &[]), ("also", &[])],
        runs: &[("name", 2), ("also", 2)],
        ..Case::default()
    });
}

/// Constants that tell about an object are held by each of its programs, though no code names them.
#[test]
fn constants_for_who_looks_at_programs() {
    check(Case {
        name: "constants_for_who_looks_at_programs",
        manifest: r#"
            object.told   = { path = "objects/metadata.o" }
            program.pass  = { from = "told:pass" }
            program.count = { from = "told:count" }
        "#,
        uses: &[("pass", &["told:.rodata"]), ("count", &["told:.bss", "told:.rodata"])],
        runs: &[("pass", 2), ("count", 2)],
        holds: &[("told:.bss", 0, 1)],
        ..Case::default()
    });
}

#[test]
fn a_map_that_no_object_defines() {
    check(Case {
        name: "a_map_that_no_object_defines",
        manifest: r#"
            object.device = { path = "objects/pass.o", maps = { counts = "both" } }
            object.stack  = { path = "objects/reader.o", maps = { counts = "both" } }
            program.write = { from = "device:pass" }
            program.read  = { from = "stack:read" }
            [map.both]
            type = "array"
            key_size = 4
            value_size = 8
            max_entries = 3
        "#,
        uses: &[("write", &["both"]), ("read", &["both"])],
        runs: &[("write", 2), ("read", 1)],
        holds: &[("both", 0, 1), ("both", 2, 0)],
        ..Case::default()
    });
}

/// Maps of types that have no keys, or neither keys nor values, are defined without their sizes.
#[test]
fn maps_without_keys() {
    check(Case {
        name: "maps_without_keys",
        manifest: r#"
            map.events  = { type = "ringbuf", max_entries = 5000 }
            map.waiting = { type = "queue", value_size = 8, max_entries = 4 }
            map.seen    = { type = "bloom_filter", value_size = 8, max_entries = 4 }
        "#,
        pins: &["/sys/fs/bpf/share/maps/events", "/sys/fs/bpf/share/maps/seen", "/sys/fs/bpf/share/maps/waiting"],
        ..Case::default()
    });
}

#[test]
fn old_layouts_share_with_btf() {
    check(Case {
        name: "old_layouts_share_with_btf",
        manifest: r#"
            object.def    = { path = "objects/map_def_20.o" }
            object.elf    = { path = "objects/elf_map_36.o", maps = { counts = "counts" } }
            object.btf    = { path = "objects/reader.o", maps = { counts = "counts" } }
            map.counts    = { from = "def:counts" }
            program.def   = { from = "def:count" }
            program.elf   = { from = "elf:count" }
            program.btf   = { from = "btf:read" }
        "#,
        uses: &[("def", &["counts", "def:hosts"]), ("elf", &["counts", "flows"]), ("btf", &["counts"])],
        entries: &[("flows", "key hex 00 00 00 00 00 00 value hex 00 00 00 00 00 00 00 00")],
        runs: &[("def", 2), ("elf", 0xffff_ffff), ("btf", 2)],
        holds: &[("counts", 0, 1), ("counts", 1, 1)],
        ..Case::default()
    });
}

#[test]
fn maps_in_maps_are_filled_as_declared() {
    check(Case {
        name: "maps_in_maps_are_filled_as_declared",
        manifest: r#"
            object.inside = { path = "objects/map_in_map.o" }
            program.count = { from = "inside:count" }
        "#,
        uses: &[("count", &["inside:filled", "inside:empty"])],
        runs: &[("count", 2)],
        holds: &[("inside:odd", 0, 1)],
        ..Case::default()
    });
}

#[test]
fn inner_maps_of_iproute2_are_filled_as_declared() {
    check(Case {
        name: "inner_maps_of_iproute2_are_filled_as_declared",
        manifest: r#"
            object.legacy = { path = "objects/elf_map_inner.o" }
            object.stack  = { path = "objects/reader.o", maps = { counts = "inner" } }
            map.inner     = { from = "legacy:inner" }
            program.count = { from = "legacy:count" }
            program.read  = { from = "stack:read" }
        "#,
        uses: &[("count", &["outer"]), ("read", &["inner"])],
        pins: &["/sys/fs/bpf/tc/globals/outer"],
        runs: &[("count", 0xffff_ffff), ("count", 0xffff_ffff), ("read", 2)],
        ..Case::default()
    });
}

/// `entry` passes where no tail call is taken; `third`, at the end of two of them, drops.
#[test]
fn tail_calls_are_taken() {
    check(Case {
        name: "tail_calls_are_taken",
        manifest: r#"
            object.jumps  = { path = "objects/prog_array.o" }
            program.entry = { from = "jumps:entry" }
        "#,
        uses: &[("entry", &["jumps:jumps"]), ("jumps:first", &["jumps:jumps"]), ("jumps:third", &[])],
        runs: &[("entry", 1)],
        ..Case::default()
    });
}

/// Sections named `ID/INDEX` fill the slots; the last of three programs returns 0, each of the others -1.
#[test]
fn tail_calls_of_iproute2_are_taken() {
    check(Case {
        name: "tail_calls_of_iproute2_are_taken",
        manifest: r#"
            object.legacy = { path = "objects/elf_map_tail.o" }
            program.entry = { from = "legacy:entry" }
        "#,
        uses: &[("entry", &["legacy:by_ten"]), ("legacy:second", &["legacy:by_sixteen"]), ("legacy:last", &[])],
        runs: &[("entry", 0)],
        ..Case::default()
    });
}

/// A map that is named by its id is compared with its users as one that is named by its pin.
#[test]
fn a_map_by_its_id_must_fit() {
    const NAME: &str = "a_map_by_its_id_must_fit";
    if !has_bpftool() {
        return skip(NAME, "needs bpftool");
    }
    in_namespace(NAME, |room| {
        shell("bpftool map create /sys/fs/bpf/theirs type array key 4 value 4 entries 2 name theirs", Path::new("/"));
        let folder = folder_of(
            r#"
                object.device = { path = "objects/pass.o", maps = { counts = "theirs" } }
                map.theirs    = { id = ID }
                program.write = { from = "device:pass" }
            "#,
        );
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert_eq!((said.code, said.stdout.as_str()), (65, ""), "{}", said.stderr);
        let what = "`counts` of object.device does not fit map.theirs: value_size is 4 there and 8 here";
        assert!(said.stderr.contains(what), "{}", said.stderr);
        assert_eq!(said.stderr.matches("error:").count(), 1, "{}", said.stderr);
        assert_eq!(below(Path::new(room.bpffs.as_str())).iter().filter(|path| path.contains("share")).count(), 0);
    });
}

/// Compares with a golden file, or writes it when `UPDATE` is set.
#[track_caller]
fn golden(file: &Path, got: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file, got).expect("the project is writable");
    }
    let wanted = fs::read_to_string(file).unwrap_or_default();
    assert!(wanted == got, "{} is stale: `UPDATE=1 cargo test --test share` updates it\n{got}", file.display());
}

/// Returns the text with `ID` in the place of each id of the kernel, which are others in each run.
fn without_ids(text: &str) -> String {
    let mut parts = text.split("id ");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        clean.push_str(if rest.len() < part.len() { "id ID" } else { "id " });
        clean.push_str(rest);
    }
    clean
}

/// Every manifest of `tests/share` is refused, by `--dry-run` as by an apply, and nothing is left of it.
///
/// A line `#$ COMMAND` in a manifest is run before, on the host: without one, no host is needed to refuse it.
#[test]
fn what_does_not_fit_is_refused() {
    let folder = path("tests/share");
    let mut manifests: Vec<_> = (fs::read_dir(&folder).expect("a folder of the project"))
        .map(|entry| entry.expect("readable").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    manifests.sort();
    assert!(manifests.len() > 10, "the manifests are there");
    for file in manifests {
        let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        let text = fs::read_to_string(&file).expect("readable");
        let before: Vec<String> = text.lines().filter_map(|line| Some(line.strip_prefix("#$ ")?.to_owned())).collect();
        if before.is_empty() {
            refused(&folder, &name, "--dry-run=offline");
        } else if !has_bpftool() {
            skip(&name, "needs bpftool");
            continue;
        }
        let folder = folder.clone();
        in_namespace(&name.clone(), move |room| {
            for line in &before {
                shell(line, &folder);
            }
            let others = below(Path::new(room.bpffs.as_str()));
            // The second of them applies.
            for mode in ["--dry-run", "--no-mount"] {
                refused(&folder, &name, mode);
                assert_eq!(below(Path::new(room.bpffs.as_str())), others, "{name} {mode} changes nothing");
            }
        });
    }
}

/// Runs one manifest and compares what it says.
#[track_caller]
fn refused(folder: &Path, name: &str, mode: &str) {
    let Said { code, stdout, stderr } = bpfapply(folder, &[name, mode]);
    assert_eq!(stdout, "", "{name} {mode}");
    // 65: the files are wrong; 1: they do not fit this host, which stays as it was.
    assert!(code == 65 || code == 1, "{name} {mode}: exit code {code}");
    golden(&folder.join(name).with_extension("txt"), &format!("exit code {code}\n{}", without_ids(&stderr)));
}
