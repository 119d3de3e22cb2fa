//! Structs of functions for the kernel, and arenas, on the running kernel: what libbpf loads is loaded with the same code
//! and filled as the object says, and what is refused says why and stops nobody else.

mod common;

use common::tool::{bpftool, has_bpftool, ids, maps_of_program, run_program};
use common::{in_namespace, output, skip};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// What a test names of its object `o`: `[map]` tables and `[program]` tables, by symbol.
struct Wanted {
    object: &'static str,
    maps: &'static [&'static str],
    programs: &'static [&'static str],
}

/// Runs the tool on a manifest that names these.
fn tool(folder: &Path, wanted: &Wanted, arguments: &[&str]) -> Output {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects");
    let path = objects.join(wanted.object);
    let mut text = format!("version = 1\nname = \"ops\"\n[object.o]\npath = {path:?}\n");
    for (table, symbols) in [("map", wanted.maps), ("program", wanted.programs)] {
        for symbol in symbols {
            text += &format!("[{table}.{symbol}]\nfrom = \"o:{symbol}\"\n");
        }
    }
    std::fs::write(folder.join("plan.toml"), text).expect("a file in a folder of ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
    command.arg(folder.join("plan.toml")).args(arguments).env("COLUMNS", "400").env("NO_COLOR", "1");
    output(&mut command, Duration::from_secs(60)).expect("the tool runs")
}

fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Applies twice on kernels from `since`, the second time with nothing to do, and looks.
#[track_caller]
fn loads(wanted: Wanted, since: (u32, u32), look: impl FnOnce(&Path) + Send + 'static) {
    let name = wanted.programs[0];
    in_namespace(name, move |room| {
        if room.version < since {
            return skip(name, "the kernel is too old");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let first = tool(folder.path(), &wanted, &[]);
        assert!(first.status.success(), "{name}: {}", text(&first));
        look(folder.path());
        let again = tool(folder.path(), &wanted, &[]);
        assert!(text(&again).contains("nothing to do: the host matches"), "{name}: {}", text(&again));
    });
}

/// Applies, and finds these words in the refusal.
#[track_caller]
fn is_refused(
    object: &'static str,
    maps: &'static [&'static str],
    programs: &'static [&'static str],
    words: &'static [&'static str],
) {
    let wanted = Wanted { object, maps, programs };
    let name = maps.first().or(programs.first()).expect("something is wanted");
    in_namespace(name, move |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = tool(folder.path(), &wanted, &[]);
        let text = text(&refused);
        assert!(!refused.status.success(), "{object}: {text}");
        for word in words {
            assert!(text.contains(word), "{object}: `{word}` is not in: {text}");
        }
        assert!(!Path::new("/sys/fs/bpf/ops").exists(), "{object}: nothing stays");
    });
}

#[test]
fn programs_are_loaded_without_their_map() {
    let wanted = Wanted { object: "struct_ops_at_once.o", maps: &[], programs: &["threshold", "avoid", "undo"] };
    loads(wanted, (5, 10), |_| {});
}

#[test]
fn a_map_brings_its_programs() {
    // `.struct_ops.link` came with Linux 6.4.
    let wanted = Wanted { object: "struct_ops.o", maps: &["steady", "newer"], programs: &["undo", "apart"] };
    loads(wanted, (6, 4), |folder| {
        if !has_bpftool() {
            return skip("a_map_brings_its_programs", "needs bpftool to look into it");
        }
        let found = ids(folder, "ops");
        assert_eq!(found.programs.len(), 5, "{found:?}");
        let shown = bpftool(&format!("map dump id {}", found.maps["steady"]));
        let data = &shown[0]["formatted"]["value"]["data"];
        assert_eq!(data["name"], "bpf_steady", "{shown}");
        let members =
            [("ssthresh", "o:threshold"), ("cong_avoid", "o:avoid"), ("undo_cwnd", "undo"), ("init", "o:start")];
        for (member, program) in members {
            assert_eq!(data[member], found.programs[program], "{member}: {shown}");
        }
        let available = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
        assert!(!available.unwrap_or_default().contains("bpf_"), "nothing is registered without a link");
    });
}

#[test]
fn others_are_loaded_beside_what_is_wrong() {
    let wanted = Wanted { object: "struct_ops_refused.o", maps: &[], programs: &["apart", "threshold"] };
    loads(wanted, (5, 10), |_| {});
}

#[test]
fn an_optional_struct_with_a_static_function() {
    let wanted = Wanted { object: "struct_ops_refused.o", maps: &["good"], programs: &[] };
    let words = ["kernel", "map.good"];
    in_namespace("an_optional_struct", move |room| {
        let folder = tempfile::tempdir().expect("a folder");
        let said = text(&tool(folder.path(), &wanted, &["--dry-run"]));
        assert!(said.contains("map.good") && said.contains("program.o:threshold"), "{said}");
        if room.version >= (6, 4) {
            // The kernel's own check: a congestion control has three functions that it cannot do without.
            let said = text(&tool(folder.path(), &wanted, &[]));
            words.iter().for_each(|word| assert!(said.contains(word), "{said}"));
        }
    });
}

#[test]
fn what_a_kernel_does_not_take() {
    const OBJECT: &str = "struct_ops_refused.o";
    is_refused(OBJECT, &["function_too_many"], &[], &["has no member `no_such_function`", ".struct_ops.link"]);
    is_refused(OBJECT, &["number_too_many"], &[], &["has no member `no_such_number`"]);
    is_refused(OBJECT, &["data_as_pointer"], &[], &["`number_too_many`, which is no program"]);
    is_refused(OBJECT, &["number_as_pointer"], &[], &["the pointer `owner` is neither null nor a program"]);
    is_refused(OBJECT, &["other_size"], &[], &["`name` of this kernel's `struct tcp_congestion_ops` is no `char[8]`"]);
    is_refused(OBJECT, &["other_struct"], &[], &["takes no functions for `struct no_such_ops`"]);
    is_refused(OBJECT, &["bits"], &[], &["the bit-field `flags`", "`key`", "is no function"]);
    is_refused(OBJECT, &["no_struct"], &[], &["`int` is no struct of the kernel"]);
    is_refused(OBJECT, &[], &["missing"], &["`missing` cannot be loaded", "no member `no_such_function`"]);
    is_refused(OBJECT, &[], &["twice"], &["both `tcp_congestion_ops/ssthresh` and `tcp_congestion_ops/undo_cwnd`"]);
    is_refused(OBJECT, &[], &["unused"], &["no struct in `.struct_ops` or `.struct_ops.link` holds it"]);
    is_refused(OBJECT, &[], &["unknown"], &["takes no functions for `struct no_such_ops`"]);
    is_refused(
        "struct_ops_at_once.o",
        &["at_once"],
        &[],
        &["registers it as soon as it is filled", "`flags = [\"link\"]` in its table"],
    );
}

#[test]
fn offline_a_struct_is_as_the_object_has_it() {
    in_namespace("offline", |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let wanted = Wanted { object: "struct_ops.o", maps: &["steady"], programs: &["apart"] };
        let planned = tool(folder.path(), &wanted, &["--dry-run=offline"]);
        assert!(planned.status.success(), "{}", text(&planned));
    });
}

#[test]
fn an_arena_has_its_variables() {
    let wanted = Wanted { object: "arena.o", maps: &["arena"], programs: &["counts", "allocates", "alone"] };
    // Arenas came with Linux 6.9.
    loads(wanted, (6, 9), |folder| {
        if !has_bpftool() {
            return skip("an_arena_has_its_variables", "needs bpftool to run a program");
        }
        let found = ids(folder, "ops");
        assert_eq!(maps_of_program(found.programs["counts"]), [found.maps["arena"]]);
        let packet = folder.join("packet");
        std::fs::write(&packet, [0; 64]).expect("a file in a folder of ours");
        let runs = [0; 2].map(|_| run_program(found.programs["counts"], &packet));
        assert_eq!(runs, [41, 42], "the variable began with 40");
    });
}

#[test]
fn an_arena_has_its_address() {
    loads(Wanted { object: "arena_at.o", maps: &["first"], programs: &["fixed"] }, (6, 9), |_| {});
    is_refused("arena_at.o", &[], &["stray"], &["`number` lies in an arena, and the object has not just one"]);
    is_refused("arena_small.o", &[], &["far"], &["map.o:arena has too few pages for 5000 B of variables"]);
}

#[test]
fn an_old_kernel_loads_what_is_beside_an_arena() {
    loads(Wanted { object: "arena.o", maps: &[], programs: &["alone"] }, (5, 10), |_| {});
}
