//! From what people write to bytes: the entries of maps, in manifests and in files, and what is said of wrong ones.
//!
//! `tests/entries/maps.c` has the maps; each case is what the manifest says, and the exact bytes that come of it.

mod common;

use bpfapply::desired::{self, Contents, Desired, EntriesMode, MapDefinition, MapSource};
use bpfapply::diag::{self, Problems, Source};
use bpfapply::elf::Target;
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::observe;
use bpfapply::names::MapName;
use bpfapply::{load, manifest as reader};
use common::stages::{self, rendered, repository};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const OBJECT: &str = "tests/entries/maps.o";

/// Returns a manifest with one map of the object, and files beside it.
fn manifest(map: &str, lines: &str) -> String {
    let object = repository().join(OBJECT);
    format!(
        "version = 1\nname = \"edge\"\n[object.maps]\npath = {object:?}\n[map.m]\nfrom = \"maps:{map}\"\n{lines}\n\
         [program.filter]\nfrom = \"maps:filter\"\n"
    )
}

fn resolve(text: &str, folder: &Path) -> Result<Desired, String> {
    try_resolve(text, folder).map_err(|problems| rendered(&problems, text))
}

fn problems_of(text: &str) -> Problems {
    try_resolve(text, repository()).map(drop).expect_err("it is wrong")
}

fn try_resolve(text: &str, folder: &Path) -> Result<Desired, Problems> {
    let manifest = reader::parse(text, &BTreeMap::new())?;
    let (files, host) = (load::files(&manifest, folder)?, observe::host(&Fake::new())?);
    let target = Target { offline: false, ..Target::offline() };
    desired::resolve(&manifest, files, &stages::path("/sys/fs/bpf"), &host, &target)
}

fn definition_of(desired: &Desired) -> &MapDefinition {
    let map = &desired.maps[&MapName::new("m").expect("a name")];
    let MapSource::Defined(definition) = &map.source else { panic!("it is ours") };
    definition
}

fn contents_of(desired: &Desired) -> Contents {
    *definition_of(desired).contents.clone().expect("it has contents")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns each entry as `KEY=VALUE` in hexadecimal digits.
fn entries_of(desired: &Desired) -> Vec<String> {
    contents_of(desired).entries.iter().map(|(key, value)| format!("{}={}", hex(key), hex(value))).collect()
}

#[track_caller]
fn check(map: &str, lines: &str, wanted: &[&str]) {
    let desired = resolve(&manifest(map, lines), repository()).unwrap_or_else(|drawn| panic!("{lines}\n{drawn}"));
    assert_eq!(entries_of(&desired), wanted, "{map}: {lines}");
}

#[test]
#[rustfmt::skip]
fn keys_and_values_as_people_write_them() {
    for (map, lines, wanted) in [
        ("nets4", r#"entries = { "10.0.0.0/8" = 1, "192.0.2.1" = "0x10" }"#, &["080000000a000000=01000000", "20000000c0000201=10000000"][..]),
        ("nets4", r#"entries = { "0.0.0.0/0" = 1 }"#, &["0000000000000000=01000000"]),
        ("nets4", r#"entries = [{ key = { prefixlen = 8, addr = "10.0.0.0" }, value = 1 }]"#, &["080000000a000000=01000000"]),
        ("nets4", r#"entries = { "hex:080000000a000000" = "hex:00000001" }"#, &["080000000a000000=00000001"]),
        ("nets6", r#"entries = { "2001:db8::/32" = 1 }"#, &["2000000020010db8000000000000000000000000=01000000"]),
        ("nets6", r#"entries = ["::1"]
entries_value = "0b101""#, &["8000000000000000000000000000000000000001=05000000"]),
        ("tagged", r#"entries = [{ key = { prefixlen = 32, zone = 7, addr = [10, 1] }, value = 1 }]"#, &["2000000007000a0100000000=01000000"]),
        ("hosts", r#"entries = { "10.1.2.3" = 1, 16909060 = 2, "0xff" = 3 }"#, &["04030201=02", "0a010203=01", "ff000000=03"]),
        ("hosts", r#"entries = [{ key = { be32 = 0x0a010203 }, value = 255 }]"#, &["0a010203=ff"]),
        ("ports", r#"entries = { 443 = "DROP", 80 = "LATER", 53 = 7 }"#, &["0035=07000000", "0050=ffffffff", "01bb=01000000"]),
        ("macs", r#"entries = { "0a:1b:2c:3d:4e:5f" = true, "0A-1B-2C-3D-4E-60" = 0 }"#, &["0a1b2c3d4e5f=01", "0a1b2c3d4e60=00"]),
        ("macs", r#"entries = [{ key = [1, 2, 3, 4, 5, 6], value = "false" }]"#, &["010203040506=00"]),
        ("names", r#"entries = { "eth0" = -2 }"#, &["65746830000000000000000000000000=feffffff"]),
        ("sixes", r#"entries = { "10.0.0.1" = 1, "::2" = 2 }"#, &["00000000000000000000000000000002=02", "0a000001000000000000000000000000=01"]),
        ("flows", r#"entries = [{ key = { src = "10.0.0.1", dst = "10.0.0.2", port = 443, proto = 6 }, value = 1 }]"#, &["0a0000010a00000201bb0600=0100000000000000"]),
        ("settings", r#"entries = { 1 = { verdict = "DROP", log = true, name = "ab", low = 3, high = 2, mac = "01:02:03:04:05:06", via = "10.0.0.1", ports = [80, { be16 = 443 }], seen = { packets = 1 }, cookie = 2, share = 0.5 } }"#,
            &["01000000=\
               01000000\
               01\
               61620000000000\
               1300\
               010203040506\
               0a000001000000000000000000000000\
               500001bb\
               0100000000000000\
               0000000000000002\
               000000000000e03f"]),
        ("counts", r#"entries = { 1 = 7 }"#, &["01000000=07000000000000000700000000000000"]),
        ("counts", r#"entries = { 1 = [7, 8] }"#, &["01000000=07000000000000000800000000000000"]),
        ("parts", r#"entries = { 1 = [7, 8] }"#, &["01000000=07000800000000000700080000000000"]),
        ("parts", r#"entries = { 1 = [[7, 8], [9]] }"#, &["01000000=07000800000000000900000000000000"]),
        ("hosts", r#"entries = { "10.0.0.1" = 1 }
key_format = "be32"
value_format = "bool""#, &["0a000001=01"]),
        ("hosts", r#"entries = [{ key = { port = 443, flags = "0xff" }, value = 1 }]
key_format = ["port: be16", "bytes[1]", "flags: u8"]"#, &["01bb00ff=01"]),
    ] {
        check(map, lines, wanted);
    }
}

#[test]
fn every_fault_of_an_entry_is_said() {
    let wrong = r#"entries = [{ key = { src = "x", dst = "10.0.0.2", port = 70000, proto = 6 }, value = -1 }]"#;
    let faults = |lines: &str, map: &str| problems_of(&manifest(map, lines)).0.len();
    assert_eq!(faults(wrong, "flows"), 3, "two fields of the key, and the value");
    let drawn = resolve(&manifest("flows", wrong), repository()).map(drop).expect_err("it is wrong");
    for said in ["`src`", "`port`", "-1"] {
        assert!(drawn.contains(said), "{said} in {drawn}");
    }
    let nested =
        r#"entries = { 1 = { verdict = "DRIP", low = 99, seen = { packets = -1 }, ports = [80, 70000], lag = 1 } }"#;
    assert_eq!(faults(nested, "settings"), 5);
    assert_eq!(faults("entries = { 1 = 1 }\nentries_value = { a = 1 }", "hosts"), 1);
}

/// What the faults of a manifest's entries read like, without where they are drawn.
#[track_caller]
fn check_fault(map: &str, lines: &str, wanted: &[&str]) {
    let drawn = resolve(&manifest(map, lines), repository()).map(drop).expect_err(lines);
    for wanted in wanted {
        assert!(drawn.contains(wanted), "{map}: {lines}\nhas no `{wanted}`:\n{drawn}");
    }
}

#[test]
#[rustfmt::skip]
fn what_does_not_fit_is_said() {
    for (map, lines, wanted) in [
        ("nets4", r#"entries = { "10.1.0.0/8" = 1 }"#, &["this key does not fit map.m: 10.1.0.0/8 has bits behind its prefix, which is 10.0.0.0/8"][..]),
        ("nets4", r#"entries = [{ key = { prefixlen = 8, addr = "10.1.0.0" }, value = 1 }]"#, &["10.1.0.0/8 has bits behind its prefix, which is 10.0.0.0/8"]),
        ("nets4", r#"entries = { "10.0.0.0/33" = 1 }"#, &["a prefix of 33 bits is given, and the address has 32"]),
        ("nets4", r#"entries = { "::/0" = 1, "x/8" = 1 }"#, &["\"::/0\" is given, `struct prefix4` wants an IPv4 prefix, as in `10.0.0.0/8`", "\"x/8\" is given"]),
        ("nets6", r#"entries = { "10.0.0.0/8" = 1 }"#, &["wants an IPv6 prefix, as in `2001:db8::/32`"]),
        ("nets4", r#"entries = { "10.0.0.0/8" = 4294967296 }"#, &["this value does not fit map.m: 4294967296 is not in 0 to 4294967295, the range of `__u32`", "`-- this value"]),
        ("nets4", r#"entries = { "10.0.0.0/8" = 1, "hex:080000000a000000" = 2 }"#, &["two entries of map.m have the same key", "here again", "this key"]),
        ("nets4", r#"entries = ["10.0.0.0/8"]"#, &["it has no value, and the map no `entries_value` for such entries"]),
        ("hosts", r#"entries = { 1 = 1, 2 = 1, 3 = 1, 4 = 1, 5 = 1 }"#, &["map.m has room for 4 entries, and gets 5", "`max_entries = 5`"]),
        ("hosts", "entries = { 1 = 1 }\nkey_format = \"ipv6\"", &["`key_format` has 16 bytes, and a key of map.m has 4"]),
        ("ports", r#"entries = { 70000 = 1, 1 = "DORP" }"#, &["70000 is not in 0 to 65535, the range of `__be16`", "`enum verdict` has no value `DORP`", "did you mean `DROP`?"]),
        ("ports", r#"entries = [{ key = { be32 = 1 }, value = 1 }]"#, &["a number of 4 bytes is given, `__be16` wants one of 2"]),
        ("settings", "entries = { 2 = {} }", &["2 is not in 0 to 1, the entries of the map"]),
        ("settings", "entries = { 0 = { low = 8 } }", &["`low`: 8 is not in 0 to 7, the range of `unsigned int:3`"]),
        ("settings", "entries = { 0 = { via = { v5 = 1 } } }", &["`via`: `union address` has no field `v5`", "did you mean `v4`?"]),
        ("counts", "entries = { 1 = [1, 2, 3] }", &["a list of 3 values is given, and the host has 2 CPUs", "write one value for all CPUs"]),
        ("parts", "entries = { 1 = [[1], [70000]] }", &["`[1][0]`: 70000 is not in"]),
        ("names", r#"entries = { "a name that is too long" = 1 }"#, &["23 bytes of text are given, `char[16]` has 16"]),
        ("nets4", "entries = \"none.csv\"", &["none.csv"]),
    ] {
        check_fault(map, lines, wanted);
    }
}

/// A file beside the manifest, and what the map holds then.
#[track_caller]
fn check_file(map: &str, name: &str, text: &str, lines: &str) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(name), text).expect("a file");
    let manifest = manifest(map, &format!("entries = {name:?}\n{lines}"));
    resolve(&manifest, folder.path()).map(|desired| entries_of(&desired))
}

#[test]
#[rustfmt::skip]
fn files_of_entries() {
    let nets = ["080000000a000000=01000000", "20000000c0000201=02000000"];
    let flows = ["0a0000010a00000201bb0600=0100000000000000", "0a0000010a00000201bb1100=0900000000000000"];
    for (map, name, text, lines, wanted) in [
        ("nets4", "a.toml", "\"10.0.0.0/8\" = 1\n\"192.0.2.1\" = 2\n", "", &nets[..]),
        ("nets4", "a.toml", "[[entries]]\nkey = \"10.0.0.0/8\"\nvalue = 1\n[[entries]]\nkey = \"192.0.2.1\"\n", "entries_value = 2", &nets),
        ("nets4", "a.json", "{ \"10.0.0.0/8\": 1, \"192.0.2.1\": \"0x2\" }", "", &nets),
        ("nets4", "a.json", "[\"10.0.0.0/8\", { \"key\": \"\\u00319\\u0032.0.2.1\", \"value\": 2 }]", "entries_value = 1", &nets),
        ("nets4", "a.json", "{ \"10.0.0.0/8\": null, \"192.0.2.1\": 2 }", "entries_value = 1", &nets),
        ("nets4", "a.csv", "10.0.0.0/8,1\n192.0.2.1,2\n", "", &nets),
        ("nets4", "a.csv", "\u{feff}# ours\r\n\r\nvalue, key\r\n1, 10.0.0.0/8\r\n\"0x2\",\"192.0.2.1\"", "", &nets),
        ("nets4", "a.txt", "# ours\n\n10.0.0.0/8 # all\n\t192.0.2.1/32 \t 2\n", "entries_value = 1", &nets),
        ("nets4", "a.list", "\u{feff}10.0.0.0/8,1\r\n192.0.2.1 , 2", "", &nets),
        ("nets4", "a.list", "", "", &[]),
        ("nets4", "a.csv", "", "", &[]),
        ("nets4", "a.toml", "", "", &[]),
        ("nets4", "a.json", "{}", "", &[]),
        // Lists that are put together say things twice.
        ("nets4", "a.txt", "10.0.0.0/8\n1.2.3.4\n10.0.0.0/8 # again\n10.0.0.0/8 1\n", "entries_value = 1", &["080000000a000000=01000000", "2000000001020304=01000000"]),
        ("nets4", "a.csv", "10.0.0.0/8,7\n10.0.0.0/8,7\n", "", &["080000000a000000=07000000"]),
        ("flows", "a.csv", "10.0.0.1,10.0.0.2,443,6,1\n10.0.0.1,10.0.0.2,443,17,9\n", "", &flows),
        ("flows", "a.csv", "10.0.0.1,10.0.0.2,443,6\n10.0.0.1,10.0.0.2,443,17,9\n", "entries_value = 1", &flows),
        ("flows", "a.csv", "value,key.proto,key.port,key.src,key.dst\n1,6,443,10.0.0.1,10.0.0.2\n9,17,443,10.0.0.1,10.0.0.2\n", "", &flows),
        ("flows", "a.json", "[{ \"key\": { \"src\": \"10.0.0.1\", \"dst\": \"10.0.0.2\", \"port\": 443, \"proto\": 6 }, \"value\": 1 },
            { \"key\": { \"src\": 167772161, \"dst\": \"10.0.0.2\", \"port\": \"443\", \"proto\": 17 }, \"value\": 9 }]", "", &flows),
        ("counts", "a.csv", "1,7\n", "", &["01000000=07000000000000000700000000000000"]),
        ("counts", "a.json", "{ \"1\": [7, 8] }", "", &["01000000=07000000000000000800000000000000"]),
    ] {
        let got = check_file(map, name, text, lines).unwrap_or_else(|drawn| panic!("{text}\n{drawn}"));
        assert_eq!(got, wanted, "{name}: {text}");
    }
}

#[test]
#[rustfmt::skip]
fn faults_of_files_come_together() {
    let many = (0..20).map(|n| format!("10.0.0.{n}/8 1\n")).collect::<String>();
    for (map, name, text, wanted) in [
        ("nets4", "a.toml", "\"10.1.0.0/8\" = 1\n\"x\" = 2\n", &["`a.toml` does not fit map.m:", "a.toml:1:1: key: 10.1.0.0/8 has bits", "a.toml:2:1: key: \"x\" is given"][..]),
        ("nets4", "a.toml", "\"10.0.0.0/8\" = \n", &["a.toml:1:"]),
        ("nets4", "a.json", "{ \"10.0.0.0/8\": 1,\n  \"10.0.0.0/8\": 2 }", &["a.json:2:3: key: it is at 1:3 already, with another value"]),
        ("nets4", "a.json", "{ \"10.0.0.0/8\": 1,\n ]", &["a.json:2:2: from here on it is no JSON"]),
        ("nets4", "a.json", "[{ \"kex\": 1 },\n null, \"10.0.0.0/8\", { \"key\": \"10.0.0.0/9\", \"value\": [] }]",
            &["a.json:1:2: entry: it is no `{ \"key\": ..., \"value\": ... }`", "a.json:2:2: entry: it has `null`", "a.json:2:8: entry: it has no value", "a.json:2:31: value: [] is given"]),
        ("nets4", "a.json", "7", &["a.json:1:", "an object of keys and values"]),
        ("nets4", "a.csv", "10.0.0.0/8,1\n10.0.0.1/8,1\n\n1.2.3.4,4294967296\n1.2.3.4,1,2\n", &["a.csv:2:1: key: 10.0.0.1/8 has bits", "a.csv:4:1: value: 4294967296 is not in", "a.csv:5:1: entry: 3 cells are given, it has 1 for the key and 1 for the value"]),
        ("nets4", "a.csv", "10.0.0.0/8,1\n1.2.3.4,1\n10.0.0.0/8,1\n10.0.0.0/8,2\n", &["a.csv:4:1: key: it is at 1:1 already, with another value"]),
        ("flows", "a.csv", "key.src,key.prot\n", &["a.csv:1:1: `struct flow` has no field `prot`"]),
        ("flows", "a.csv", "10.0.0.1,10.0.0.2,x,6,1\n", &["a.csv:1:1: key: `port`: \"x\" is given, `__be16` wants an integer"]),
        ("nets4", "a.txt", &many, &["a.txt:2:1: key: 10.0.0.1/8", "a.txt:10:1", "and 9 more"]),
    ] {
        let drawn = check_file(map, name, text, "").expect_err(text);
        for wanted in wanted {
            assert!(drawn.contains(wanted), "{text}\nhas no `{wanted}`:\n{drawn}");
        }
        let secret = check_file(map, name, text, "sensitive = true").expect_err(text);
        assert!(secret.contains(&format!("{name}:")), "where it is may be said:\n{secret}");
        for hidden in ["10.1.", "10.0.0.1", "4294967296 ", "\"x\"", "`x`"] {
            assert!(!secret.contains(hidden), "{text}\nshows `{hidden}`:\n{secret}");
        }
    }
}

/// A map without types, and what its entries become.
#[track_caller]
fn check_plain(head: &str, lines: &str, wanted: Result<&[&str], &str>) {
    let text = format!("version = 1\nname = \"edge\"\n[map.m]\n{head}\n{lines}\n");
    match (resolve(&text, repository()), wanted) {
        (Ok(desired), Ok(wanted)) => assert_eq!(entries_of(&desired), wanted, "{text}"),
        (Err(drawn), Err(wanted)) => assert!(drawn.contains(wanted), "{text}\nhas no `{wanted}`:\n{drawn}"),
        (Ok(_), Err(wanted)) => panic!("{text}: no error `{wanted}`"),
        (Err(drawn), Ok(_)) => panic!("{text}\n{drawn}"),
    }
}

#[test]
#[rustfmt::skip]
fn maps_without_types() {
    let hash = "type = \"hash\"\nkey_size = 8\nvalue_size = 16\nmax_entries = 8";
    let lpm = |key: u32| format!("type = \"lpm_trie\"\nkey_size = {key}\nvalue_size = 1\nmax_entries = 8\nflags = [\"no_prealloc\"]");
    let of = |kind: &str| format!("type = \"{kind}\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 8");
    for (head, lines, wanted) in [
        (hash, r#"entries = { 258 = "2001:db8::1" }"#, Ok(&["0201000000000000=20010db8000000000000000000000001"][..])),
        (hash, r#"entries = { "0x102" = [1, 2] }"#, Ok(&["0201000000000000=01020000000000000000000000000000"])),
        (hash, "entries = [{ key = { src = \"10.0.0.1\", port = 443, proto = 6 }, value = { name = \"web\", on = true, rate = -1 } }]\n\
                key_format = [\"src: ipv4\", \"port: be16\", \"proto: u8\", \"bytes[1]\"]\n\
                value_format = [\"name: char[4]\", \"on: bool\", \"bytes[3]\", \"rate: s64\"]",
            Ok(&["0a00000101bb0600=7765620001000000ffffffffffffffff"])),
        (hash, "entries = {}\nvalue_format = [\"name: char[4]\"]", Err("`value_format` has 4 bytes, and a value of map.m has 16")),
        (&lpm(8), r#"entries = { "10.0.0.0/8" = 1 }"#, Ok(&["080000000a000000=01"])),
        (&lpm(20), r#"entries = { "2001:db8::/32" = 1 }"#, Ok(&["2000000020010db8000000000000000000000000=01"])),
        (&lpm(8), "entries = { \"10.0.0.0/8\" = 1 }\nkey_format = \"ipv4/prefix\"", Ok(&["080000000a000000=01"])),
        (&lpm(20), "entries = { \"10.0.0.0/8\" = 1 }\nkey_format = \"ipv4/prefix\"", Err("`key_format` has 8 bytes, and a key of map.m has 20")),
        (&lpm(8), "entries = [{ key = { len = 12, zone = 1, port = 0xf000 }, value = 1 }]\nkey_format = [\"len: u32\", \"zone: be16\", \"port: be16\"]", Err("has bits behind its prefix")),
        (&lpm(8), "entries = [{ key = { len = 20, zone = 1, port = 0xf000 }, value = 1 }]\nkey_format = [\"len: u32\", \"zone: be16\", \"port: be16\"]", Ok(&["140000000001f000=01"])),
        (&of("array"), "entries = { 8 = 1 }", Err("8 is not in 0 to 7, the entries of the map")),
        ("type = \"queue\"\nvalue_size = 4\nmax_entries = 8", "entries = { 0 = 1 }", Err("map.m cannot have entries: it is a queue map, and it has no keys: what is put in comes out once")),
        ("type = \"bloom_filter\"\nvalue_size = 4\nmax_entries = 8", "entries = { 0 = 1 }", Err("does not tell what it holds")),
        ("type = \"ringbuf\"\nmax_entries = 4096", "entries = { 0 = 1 }", Err("it passes events on")),
        (&format!("{hash}\nflags = [\"rdonly\"]"), "entries = { 0 = 1 }", Err("it is a hash map, and its flag `rdonly` leaves it to programs to write to it")),
    ] {
        check_plain(head, lines, wanted);
    }
}

/// The slots of a map of programs or of maps, or what is said of them.
#[track_caller]
fn check_slots(head: &str, entries: &str, wanted: Result<&[(&str, &str)], &str>) {
    let lines = format!(
        "[map.slots]\n{head}\n[map.slots.entries]\n{entries}\n[program.other]\nfrom = \"maps:other\"\n\
         [map.inner]\ntype = \"array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 1"
    );
    let text = manifest("hosts", &lines);
    let desired = match (resolve(&text, repository()), wanted) {
        (Ok(desired), _) => desired,
        (Err(drawn), Err(wanted)) => return assert!(drawn.contains(wanted), "{text}\nhas no `{wanted}`:\n{drawn}"),
        (Err(drawn), Ok(_)) => panic!("{text}\n{drawn}"),
    };
    let MapSource::Defined(definition) = &desired.maps[&MapName::new("slots").expect("a name")].source else {
        panic!("it is ours")
    };
    let slots: Vec<_> = definition.slots.iter().map(|(key, slot)| (key.to_string(), slot.to_string())).collect();
    let slots: Vec<_> = slots.iter().map(|(key, slot)| (key.as_str(), slot.as_str())).collect();
    assert_eq!(Ok(&slots[..]), wanted, "{text}");
}

#[test]
#[rustfmt::skip]
fn slots() {
    let progs = "type = \"prog_array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 4";
    let array = "type = \"array_of_maps\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 4\ninner = \"inner\"";
    let hash = "type = \"hash_of_maps\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 4\ninner = \"inner\"\nkey_format = \"ipv4\"";
    let wide = "type = \"hash_of_maps\"\nkey_size = 8\nvalue_size = 4\nmax_entries = 4\ninner = \"inner\"";
    let cgroups = "type = \"cgroup_array\"\nkey_size = 4\nvalue_size = 4\nmax_entries = 4";
    for (head, entries, wanted) in [
        (progs, "0 = \"program.other\"\n3 = \"program.filter\"", Ok(&[("0", "program.other"), ("3", "program.filter")][..])),
        (array, "2 = \"map.inner\"", Ok(&[("2", "map.inner")])),
        (hash, "\"10.0.0.1\" = \"map.inner\"", Ok(&[("10.0.0.1", "map.inner")])),
        (wide, "1 = \"map.inner\"\n0x10 = \"map.inner\"", Ok(&[("1", "map.inner"), ("0x10", "map.inner")])),
        (wide, "1 = \"map.inner\"\n0x1 = \"map.inner\"", Err("two entries of map.slots have the same key")),
        (cgroups, "1 = \"system.slice\"", Ok(&[("1", "cgroup system.slice")])),
        (cgroups, "1 = 5", Err("`5` is not the path of a cgroup")),
        (progs, "4 = \"program.other\"", Err("4 is not in 0 to 3, the slots of the map")),
        (progs, "0 = \"program.othr\"", Err("did you mean `other`?")),
        (progs, "0 = \"map.inner\"", Err("`map.inner` is not program.NAME")),
        (progs, "0 = 1", Err("`1` is not program.NAME")),
        (progs, "0 = \"program.other\"\n0x0 = \"program.filter\"", Err("two entries of map.slots have the same key")),
    ] {
        check_slots(head, entries, wanted);
    }
}

/// What is said of entries of a map that refers to interfaces, CPUs or what a process holds.
#[track_caller]
fn check_references(head: &str, entries: &str, wanted: Result<&[&str], &str>) {
    let lines = format!("[map.slots]\n{head}\n[map.slots.entries]\n{entries}");
    let text = manifest("hosts", &lines);
    let desired = match (resolve(&text, repository()), wanted) {
        (Ok(desired), _) => desired,
        (Err(drawn), Err(wanted)) => return assert!(drawn.contains(wanted), "{text}\nhas no `{wanted}`:\n{drawn}"),
        (Err(drawn), Ok(_)) => panic!("{text}\n{drawn}"),
    };
    let MapSource::Defined(definition) = &desired.maps[&MapName::new("slots").expect("a name")].source else {
        panic!("it is ours")
    };
    let given = &definition.contents.as_ref().expect("it has some").references.given;
    let given: Vec<_> = given.iter().map(|it| format!("{:?} = {it}", it.key)).collect();
    let given: Vec<_> = given.iter().map(String::as_str).collect();
    assert_eq!(Ok(&given[..]), wanted, "{text}");
}

#[test]
#[rustfmt::skip]
fn references() {
    let head = |name: &str, value: u32, lines: &str| {
        format!("type = \"{name}\"\nkey_size = 4\nvalue_size = {value}\nmax_entries = 2\n{lines}")
    };
    let (devmap, plain, hash) = (head("devmap", 8, ""), head("devmap", 4, ""), head("devmap_hash", 8, ""));
    let cpumap = head("cpumap", 8, "");
    for (head, entries, wanted) in [
        (&devmap, "0 = \"eth1\"\n1 = { interface = \"eth2\" }", Ok(&["Number(0) = eth1", "Number(1) = eth2"][..])),
        (&plain, "1 = \"eth1\"", Ok(&["Number(1) = eth1"])),
        (&hash, "70000 = \"eth1\"\neth2 = \"eth2\"", Ok(&["Number(70000) = eth1", "Interface(\"eth2\") = eth2"])),
        (&cpumap, "0 = 192\n1 = { queue = 64 }", Ok(&["Number(0) = queue of 192", "Number(1) = queue of 64"])),
        (&devmap, "2 = \"eth1\"", Err("2 is not in 0 to 1, the slots of the map")),
        (&devmap, "eth1 = \"eth1\"", Err("this key does not fit map.slots")),
        (&hash, "1 = \"a\"\n2 = \"b\"\n3 = \"c\"", Err("make room with `max_entries = 3` or more")),
        (&devmap, "0 = 3", Err("`3` is not the name of an interface")),
        (&devmap, "0 = { program = \"program.filter\" }", Err("it has no `interface`")),
        (&devmap, "0 = { interface = \"eth1\", queue = 2 }", Err("it has `interface` and `program`, and no `queue`")),
        (&devmap, "0 = { interface = \"eth1\", program = \"program.no\" }", Err("there is no program `no`")),
        (&devmap, "0 = { interface = \"eth1\", program = \"program.filter\" }", Err("put it into the section `xdp/devmap`")),
        (&plain, "0 = { interface = \"eth1\", program = \"program.filter\" }", Err("declare its values as `struct bpf_devmap_val`")),
        (&cpumap, "0 = 0", Err("`0` is not the length of a queue, 1 to 16384 packets")),
        (&cpumap, "0 = { queue = 20000 }", Err("`20000` is not the length of a queue")),
        (&cpumap, "0 = { queue = 9, program = \"program.filter\" }", Err("put it into the section `xdp/cpumap`")),
        (&head("xskmap", 4, ""), "0 = 1", Err("only the process that has them open")),
        (&head("sockmap", 4, ""), "0 = 1", Err("only the process that has them open")),
        (&head("sockhash", 4, ""), "0 = 1", Err("only the process that has them open")),
        (&head("reuseport_sockarray", 8, ""), "0 = 1", Err("only the process that has them open")),
        (&head("perf_event_array", 4, ""), "0 = 1", Err("opens its pin and puts one there for each CPU")),
        (&devmap, "0 = \"eth1\"\n0x0 = \"eth2\"", Err("two entries of map.slots have the same key")),
    ] {
        check_references(head, entries, wanted);
    }
}

#[test]
fn modes_and_secrets_arrive() {
    for (lines, mode, sensitive) in [
        ("", EntriesMode::Exact, false),
        ("entries_mode = \"merge\"", EntriesMode::Merge, false),
        ("entries_mode = \"exact-keys\"", EntriesMode::ExactKeys, false),
        ("entries_mode = \"merge-keys\"", EntriesMode::MergeKeys, false),
        ("entries_mode = \"seed\"\nsensitive = true", EntriesMode::Seed, true),
    ] {
        let text = manifest("hosts", &format!("entries = {{ 1 = 1 }}\n{lines}"));
        let desired = resolve(&text, repository()).expect("it is right");
        let contents = contents_of(&desired);
        assert_eq!(
            (contents.mode, definition_of(&desired).sensitive, &text[contents.span]),
            (mode, sensitive, "{ 1 = 1 }")
        );
    }
}

/// Variables take what entries take.
#[test]
fn variables_are_written_alike() {
    let text = manifest("hosts", "[object.maps.set]\nlimit = \"10.0.0.1\"\ngateway = \"2001:db8::1\"\nlisten = 443");
    let desired = resolve(&text, repository()).unwrap_or_else(|drawn| panic!("{drawn}"));
    let data = desired.maps.values().filter_map(|map| match &map.source {
        MapSource::Defined(definition) => definition.data.as_ref().map(|(_, data)| hex(data)),
        MapSource::Pinned(_) | MapSource::Id(_) => None,
    });
    let data = data.collect::<Vec<_>>().join(" ");
    for wanted in ["0a000001", "20010db8000000000000000000000001", "01bb"] {
        assert!(data.contains(wanted), "{wanted} in {data}");
    }
}

/// How long a million lines take, for who wants to know: `cargo test --release --test entries -- --ignored --nocapture`.
#[test]
#[ignore = "it measures"]
fn a_million_lines() {
    let nets = |line: fn(u32) -> String| (0..1_000_000).map(line).collect::<String>();
    type Line = fn(u32) -> String;
    let cases: [(&str, &str, Line); 4] = [
        ("nets4", "a.csv", |n| format!("{}/24,{n}\n", std::net::Ipv4Addr::from(n << 8))),
        ("nets4", "a.txt", |n| format!("{}/24\n", std::net::Ipv4Addr::from(n << 8))),
        ("flows", "a.csv", |n| format!("{},10.0.0.2,{},6,{n}\n", std::net::Ipv4Addr::from(n), n % 65536)),
        ("nets4", "a.json", |n| {
            let (start, end) = (if n == 0 { '{' } else { ',' }, if n == 999_999 { "}" } else { "" });
            format!("{start}\n\"{}/24\": {n}{end}", std::net::Ipv4Addr::from(n << 8))
        }),
    ];
    for (map, name, line) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(name), nets(line)).expect("a file");
        let manifest = manifest(map, &format!("entries = {name:?}\nentries_value = 1"));
        let start = std::time::Instant::now();
        let desired = resolve(&manifest, folder.path()).unwrap_or_else(|drawn| panic!("{drawn}"));
        println!("{map} {name}: {:?}", start.elapsed());
        assert_eq!(contents_of(&desired).entries.len(), 1_000_000);
    }
}

/// Nothing of a sensitive map is drawn, wherever the problem is.
#[test]
fn secrets_are_not_drawn() {
    for entries in [
        "entries = { \"10.1.2.3/8\" = 77 }\nsensitive = true",
        "sensitive = true\nentries = [{ key = \"10.1.2.3/8\", value = { x = 77 } }]",
        "sensitive = true\n[map.m.entries]\n\"10.1.2.3/8\" = 77\n\"10.1.2.4/8\" = { y = 77 }",
        "sensitive = true\nentries = [\"10.1.2.3/8\"]\nentries_value = 7777777777",
        "sensitive = true\nentries = { \"10.1.2.3/8\" = 77 }\nmax_entries = x",
    ] {
        let text = manifest("nets4", entries);
        let resolved = resolve(&text, repository()).map(drop);
        assert!(resolved.is_err(), "{text}");
        let shown = reader::redacted(&text);
        assert_eq!((shown.len(), shown.lines().count()), (text.len(), text.lines().count()));
        let problems = problems_of(&text);
        let drawn = diag::render(&problems, Some(&Source::new("plan.toml", &shown)), false);
        for secret in ["10.1.2", "77"] {
            assert!(!drawn.contains(secret), "{text}\nshows {secret}:\n{drawn}");
        }
    }
}
