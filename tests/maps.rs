//! Every type of map, on the real kernel: it is made from a manifest, found again by its pin as what it is, and refused
//! by the name of the field in which it differs.

mod common;

use bpfapply::kinds::MapType;
use common::tool::{bpfapply, bpftool, has_bpftool, ids, refused, succeed};
use common::{in_namespace, skip};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A map of `every.c`, and what it must not be taken for.
struct Row {
    /// The symbol, whose name is the pin's, too.
    symbol: &'static str,
    /// Lines for its table, and the fields that do not fit then. They stand behind `from = "every:SYMBOL"` unless they
    /// say themselves where the map comes from; `other` has the same maps, laid out in another way. Of what holds
    /// descriptors the kernel keeps no types: it is known by its sizes.
    differs: &'static [(&'static str, &'static [&'static str])],
}

const SIZE: (&str, &[&str]) = ("max_entries = 12", &["max_entries"]);
/// A ring buffer's size in whole pages, a power of two of them.
const LARGER: (&str, &[&str]) = ("max_entries = 65536", &["max_entries"]);
const LAYOUT: &[&str] = &["value value.packets"];
const INNER: &[&str] = &["inner.max_entries"];

macro_rules! row {
    ($symbol:literal, other $fields:expr $(, $differs:expr)*) => {
        Row { symbol: $symbol, differs: &[(concat!("from = \"other:", $symbol, "\""), $fields) $(, $differs)*] }
    };
    ($symbol:literal $(, $differs:expr)*) => { Row { symbol: $symbol, differs: &[$($differs),*] } };
}

const ROWS: &[Row] = &[
    row!(
        "hash",
        other LAYOUT,
        SIZE,
        ("flags = [\"no_prealloc\"]", &["flags"]),
        ("type = \"hash\"\nkey_size = 8\nvalue_size = 8\nmax_entries = 10", &["key_size"]),
        ("type = \"hash\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 10", &["value_size"]),
        ("type = \"lru_hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 10", &["type"])
    ),
    row!("hash_rdonly", other LAYOUT, SIZE),
    row!("hash_wronly", other LAYOUT, SIZE, ("flags = [\"wronly\"]", &["flags"])),
    row!("hash_seed", other LAYOUT, SIZE, ("flags = 0", &["flags"])),
    row!("hash_numa", other LAYOUT, SIZE),
    row!("percpu_hash", other LAYOUT, SIZE),
    row!(
        "lru_hash",
        other LAYOUT,
        SIZE,
        ("type = \"hash\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 1001", &["type"])
    ),
    row!("lru_hash_each", other LAYOUT, SIZE, ("flags = 0", &["flags", "max_entries"])),
    row!("lru_percpu_hash", other LAYOUT, SIZE),
    row!("array", other LAYOUT, SIZE, ("flags = [\"mmapable\"]", &["flags"])),
    row!("array_mmapable", other LAYOUT, SIZE),
    row!("array_rdonly_prog", other LAYOUT, SIZE, ("flags = [\"wronly_prog\"]", &["flags"])),
    row!("percpu_array", other LAYOUT, SIZE),
    row!(
        "lpm_trie",
        other LAYOUT,
        SIZE,
        ("type = \"lpm_trie\"\nkey_size = 20\nvalue_size = 8\nmax_entries = 10\nflags = [\"no_prealloc\"]", &["key_size"])
    ),
    row!("cgroup_storage", other LAYOUT),
    row!("percpu_cgroup_storage", other LAYOUT),
    row!("sk_storage", other LAYOUT),
    row!("inode_storage", other LAYOUT),
    row!("task_storage", other LAYOUT),
    row!("cgrp_storage", other LAYOUT),
    row!("prog_array", SIZE, ("type = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 10", &["type"])),
    row!("perf_event_array", SIZE, ("flags = [\"preserve_elems\"]", &["flags"])),
    row!("cgroup_array", SIZE),
    row!(
        "stack_trace",
        SIZE,
        ("type = \"stack_trace\"\nkey_size = 4\nvalue_size = 512\nmax_entries = 10", &["value_size"])
    ),
    row!("devmap", SIZE, ("type = \"devmap\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 10", &["value_size"])),
    row!("devmap_hash", SIZE),
    row!("sockmap", SIZE),
    row!("sockhash", SIZE),
    row!("cpumap", ("max_entries = 1", &["max_entries"])),
    row!("xskmap", SIZE),
    row!("reuseport_sockarray", SIZE),
    row!("queue", SIZE, ("type = \"stack\"\nvalue_size = 8\nmax_entries = 10", &["type"])),
    row!("stack", SIZE, ("type = \"stack\"\nvalue_size = 4\nmax_entries = 10", &["value_size"])),
    row!("bloom_filter", other & ["map_extra", "value value.packets"], SIZE),
    row!("ringbuf", LARGER, ("type = \"user_ringbuf\"\nmax_entries = 8192", &["type"])),
    row!("user_ringbuf", LARGER),
    row!("arena", other & ["map_extra"], SIZE),
    row!(
        "array_of_maps",
        other INNER,
        SIZE
    ),
    row!("hash_of_maps", other INNER, SIZE),
];

/// Writes a manifest with one map.
fn manifest(folder: &TempDir, symbol: &str, lines: &str) {
    let has_source = ["from =", "type ="].iter().any(|start| lines.starts_with(start));
    let from = if has_source { String::new() } else { format!("from = \"every:{symbol}\"\n") };
    let every = if from.is_empty() { "" } else { "object.every.path = \"every.o\"\n" };
    let other = if lines.contains("other:") { "object.other.path = \"other.o\"\n" } else { "" };
    let text = format!("version = 1\nname = \"every\"\n{every}{other}[map.{symbol}]\n{from}{lines}\n");
    fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
}

/// Makes the map, finds it again, refuses what it is not, and takes it away.
fn check(row: &Row, folder: &TempDir) {
    let Row { symbol, differs } = row;
    let apply = || succeed(folder.path(), &["plan.toml"]);
    manifest(folder, symbol, "");
    apply();
    let made = ids(folder.path(), "every").maps;
    assert!(apply().contains("nothing to do"), "{symbol}: it fits its own pin");
    // Other bytes of the manifest mean that the map is compared, not only its inode.
    manifest(folder, symbol, "# again");
    assert!(apply().contains("nothing to do"), "{symbol}: it fits its own definition");
    for (lines, fields) in *differs {
        manifest(folder, symbol, lines);
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert_eq!(said.code, 1, "{symbol} with {lines}: {}{}", said.stdout, said.stderr);
        let named = said.stderr.lines().find_map(|line| line.split("any more: ").nth(1)).unwrap_or_default();
        let named: Vec<_> = named.split("; ").collect();
        assert_eq!(named.len(), fields.len(), "{symbol} with {lines}: {}", said.stderr);
        for (field, text) in fields.iter().zip(&named) {
            assert!(text.starts_with(&format!("{field} is ")), "{symbol} with {lines}: {text}");
        }
    }
    assert_eq!(ids(folder.path(), "every").maps, made, "{symbol}: it is still the same map");
    succeed(folder.path(), &["destroy", "every"]);
}

#[test]
fn every_type_has_a_row() {
    // A struct of functions is compared with its object's (`tests/struct_ops.rs`).
    let types = MapType::names().filter(|name| !["unspec", "struct_ops"].contains(&name.as_str()));
    let lacking: Vec<_> = types.filter(|name| !ROWS.iter().any(|row| row.symbol == name)).collect();
    assert_eq!(lacking, Vec::<String>::new());
}

#[test]
fn every_type_is_found_again_and_what_differs_is_named() {
    in_namespace("every_type_is_found_again_and_what_differs_is_named", |_| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        for object in ["every.o", "other.o"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maps").join(object);
            fs::copy(from, folder.path().join(object)).expect("the object is there");
        }
        ROWS.iter().for_each(|row| check(row, &folder));
    });
}

#[test]
fn a_map_that_lost_its_pin_gets_it_again() {
    in_namespace("a_map_that_lost_its_pin_gets_it_again", |_| {
        if !has_bpftool() {
            return skip("a_map_that_lost_its_pin_gets_it_again", "there is no bpftool");
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        let text = "version = 1\nname = \"lost\"\n[map.flows]\ntype = \"hash\"\nkey_size = 4\nvalue_size = 4\n\
                    max_entries = 8\npin = \"/sys/fs/bpf/shared/flows\"\n";
        fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
        let apply = |arguments: &[&str]| succeed(folder.path(), &[&["plan.toml"], arguments].concat());
        apply(&[]);
        let pin = Path::new("/sys/fs/bpf/shared/flows");
        bpftool("map update pinned /sys/fs/bpf/shared/flows key 1 0 0 0 value 7 0 0 0");
        let id = || bpftool("map show pinned /sys/fs/bpf/shared/flows")["id"].as_u64().expect("an id");
        let made = id();
        for with_folder in [false, true] {
            fs::remove_file(pin).expect("it is there");
            if with_folder {
                fs::remove_dir("/sys/fs/bpf/shared").expect("it is empty");
            }
            let plan = apply(&["--dry-run=verify"]);
            assert!(plan.contains("because only its pin is gone") && plan.contains("state: kept"), "{plan}");
            apply(&[]);
            assert_eq!(id(), made, "{plan}");
            assert!(apply(&[]).contains("nothing to do"), "{plan}");
        }
        let entries = bpftool("map dump pinned /sys/fs/bpf/shared/flows");
        assert_eq!(entries.as_array().map(Vec::len), Some(1), "it holds what it held: {entries}");
        // Another map there is not ours, and ours is not put into its place. To take it over is to lose ours.
        fs::remove_file(pin).expect("it is there");
        bpftool("map create /sys/fs/bpf/shared/flows type hash key 4 value 4 entries 8 name other");
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert!(said.stderr.contains("took the place of ours"), "{}", said.stderr);
        let other = id();
        fs::write(folder.path().join("plan.toml"), format!("{text}adopt = true\n")).expect("the folder is writable");
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert!(said.code == 4 && said.stderr.contains("consent to: lose-state"), "{}", said.stderr);
        apply(&["--allow", "lose-state"]);
        assert!(apply(&[]).contains("nothing to do"));
        assert_eq!(id(), other);
        succeed(folder.path(), &["rollback", "lost", "--allow", "lose-state"]);
        assert_eq!(id(), made, "ours is there for a rollback");
        succeed(folder.path(), &["destroy", "lost"]);
        assert!(!Path::new("/sys/fs/bpf/shared").exists(), "nothing of it is left");
    });
}

/// Somebody else's map, and what a manifest with `adopt` makes of it.
#[test]
fn a_map_that_is_taken_over_is_ours() {
    in_namespace("a_map_that_is_taken_over_is_ours", |_| {
        if !has_bpftool() {
            return skip("a_map_that_is_taken_over_is_ours", "there is no bpftool");
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        let pin = Path::new("/sys/fs/bpf/theirs");
        let write = |lines: &str| {
            let map = "type = \"hash\"\nkey_size = 4\nvalue_size = 8\npin = \"/sys/fs/bpf/theirs\"";
            let text = format!("version = 1\nname = \"adopts\"\n[map.flows]\n{map}\n{lines}\n");
            fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
        };
        let apply = |arguments: &[&str]| succeed(folder.path(), &[&["plan.toml"], arguments].concat());
        let make = || bpftool("map create /sys/fs/bpf/theirs type hash key 4 value 8 entries 16 name flows");
        let id = || bpftool("map show pinned /sys/fs/bpf/theirs")["id"].as_u64().expect("an id");
        make();
        let theirs = id();

        write("max_entries = 16");
        apply(&[]);
        succeed(folder.path(), &["destroy", "adopts"]);
        assert_eq!(id(), theirs, "without `adopt` it is left alone");

        write("max_entries = 32\nadopt = true");
        let said = bpfapply(folder.path(), &["plan.toml"]);
        assert_eq!(said.code, 1, "{}", said.stderr);
        assert!(said.stderr.contains("max_entries is 16 there and 32 here"), "{}", said.stderr);
        assert_eq!(id(), theirs, "what does not fit is not taken over");

        write("max_entries = 16");
        apply(&[]);
        write("max_entries = 16\nadopt = true");
        let plan = apply(&["--dry-run", "-v"]);
        assert!(plan.contains("= ") && plan.contains("ours from now on"), "{plan}");
        apply(&[]);
        assert!(apply(&[]).contains("nothing to do"));
        assert_eq!(id(), theirs);
        succeed(folder.path(), &["rollback", "adopts"]);
        succeed(folder.path(), &["destroy", "adopts"]);
        assert_eq!(id(), theirs, "rolled back it is its owner's again");

        apply(&[]);
        write("max_entries = 16");
        assert!(apply(&[]).contains("nothing to do"), "once it is ours it stays ours");
        let twin = Path::new("/sys/fs/bpf/adopts/~outside/sys/fs/bpf/theirs");
        assert!(twin.exists());
        fs::write(
            folder.path().join("plan.toml"),
            "version = 1\nname = \"adopts\"\n[map.flows]\npinned = \"/sys/fs/bpf/theirs\"\n[map.own]\ntype = \"array\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 1\n",
        )
        .expect("the folder is writable");
        apply(&[]);
        assert!(!twin.exists(), "given back it has no second name");
        succeed(folder.path(), &["destroy", "adopts"]);
        assert_eq!(id(), theirs, "given back it stays");

        // One of ours in our own folder is not given back: a destroy would leave it there, in the way of the name.
        let ours = |text: &str| {
            let array = "[map.own]\ntype = \"array\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 1\n";
            let text = format!("version = 1\nname = \"adopts\"\n{array}{text}");
            fs::write(folder.path().join("plan.toml"), text).expect("the folder is writable");
        };
        ours("[map.other]\ntype = \"array\"\nkey_size = 4\nvalue_size = 8\nmax_entries = 1\n");
        apply(&[]);
        ours("[map.other]\npinned = \"/sys/fs/bpf/adopts/maps/other\"\n");
        let said = refused(folder.path(), &["plan.toml"], 65);
        assert!(said.contains("where `map.other` is pinned"), "{said}");
        succeed(folder.path(), &["destroy", "adopts"]);
        assert!(!Path::new("/sys/fs/bpf/adopts").exists());

        write("max_entries = 16\nadopt = true");
        apply(&[]);
        succeed(folder.path(), &["destroy", "adopts"]);
        assert!(!pin.exists(), "taken over it goes with the deployment");
    });
}
