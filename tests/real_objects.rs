//! Objects that others wrote, compiled and ship: what a manifest loads of them, and that they share as they declare.
//!
//! Debian's xdp-tools as they are installed, and the examples of iproute2-doc compiled with clang. What is not on this
//! host is skipped, and said. `cargo test --test real_objects -- --nocapture` prints what was loaded and refused.

mod common;

use common::tool::{Ids, below, bpfapply, bpftool, has_bpftool, ids, maps_of_program, run_program, succeed, value_at};
use common::{Room, in_namespace, run, skip};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An object and what it declares. Its name in the manifest is `o`, and a program is called as its function.
struct Real {
    /// Path of the object, without `.o`.
    object: &'static str,
    /// Its programs: function, the type where no section name says it, and the maps in the order of their first use.
    programs: &'static [(&'static str, &'static str, &'static [&'static str])],
    /// Slots that must be filled: map, slot, and the map or program in it.
    slots: &'static [(&'static str, u32, &'static str)],
    /// Programs to run in order, and what they must return.
    runs: &'static [(&'static str, u64)],
    /// What arrays then hold, in the first bytes of the value: map, slot, number.
    holds: &'static [(&'static str, u32, u64)],
}

/// The examples of iproute2 6.1. A section `ingress` or `aaa` says no type: with `tc` the command line does.
const IPROUTE2: &[Real] = &[
    Real {
        object: "bpf_shared",
        programs: &[("emain", "sched_cls", &["map_sh"]), ("imain", "sched_cls", &["map_sh"])],
        slots: &[],
        runs: &[("emain", DEFAULT), ("emain", DEFAULT), ("imain", DEFAULT)],
        holds: &[("map_sh", 0, 2)],
    },
    Real {
        object: "bpf_map_in_map",
        programs: &[("emain", "sched_cls", &["map_outer"]), ("imain", "sched_cls", &["map_outer"])],
        slots: &[("map_outer", 0, "o:map_inner")],
        runs: &[("emain", DEFAULT), ("emain", DEFAULT), ("imain", DEFAULT)],
        holds: &[("o:map_inner", 0, 2)],
    },
    Real {
        object: "bpf_graft",
        programs: &[("cls_aaa", "sched_cls", &[]), ("cls_bbb", "sched_cls", &[]), ("cls_entry", "", &["jmp_tc"])],
        slots: &[],
        runs: &[("cls_entry", DEFAULT), ("cls_aaa", 42), ("cls_bbb", 43)],
        holds: &[],
    },
    Real {
        object: "legacy/bpf_shared",
        programs: &[("emain", "sched_cls", &["o:map_sh"]), ("imain", "sched_cls", &["o:map_sh"])],
        slots: &[],
        runs: &[("emain", DEFAULT), ("emain", DEFAULT), ("imain", DEFAULT)],
        holds: &[("o:map_sh", 0, 2)],
    },
    Real {
        object: "legacy/bpf_map_in_map",
        programs: &[("emain", "sched_cls", &["map_outer"]), ("imain", "sched_cls", &["map_outer"])],
        slots: &[("map_outer", 0, "map_inner")],
        runs: &[("emain", DEFAULT), ("emain", DEFAULT), ("imain", DEFAULT)],
        holds: &[("map_inner", 0, 2)],
    },
    Real {
        object: "legacy/bpf_graft",
        programs: &[("cls_aaa", "sched_cls", &[]), ("cls_bbb", "sched_cls", &[]), ("cls_entry", "", &["jmp_tc"])],
        slots: &[],
        runs: &[("cls_entry", DEFAULT), ("cls_aaa", 42), ("cls_bbb", 43)],
        holds: &[],
    },
    Real {
        object: "legacy/bpf_cyclic",
        programs: &[("cls_entry", "", &["o:jmp_tc"]), ("cls_loop", "", &["o:jmp_tc"])],
        slots: &[("o:jmp_tc", 0, "cls_loop")],
        // Without a tail call it shoots (2); at the kernel's limit of tail calls the loop says OK.
        runs: &[("cls_entry", 0)],
        holds: &[],
    },
    Real {
        object: "legacy/bpf_tailcall",
        programs: &[
            ("cls_entry", "", &["o:map_sh", "o:jmp_tc"]),
            ("cls_case1", "", &["o:map_sh", "o:jmp_ex"]),
            ("cls_case2", "", &["o:map_sh", "o:jmp_tc"]),
            ("cls_exit", "", &["o:map_sh"]),
        ],
        slots: &[("o:jmp_tc", 0, "cls_case1"), ("o:jmp_tc", 1, "cls_case2"), ("o:jmp_ex", 0, "cls_exit")],
        runs: &[("cls_entry", DEFAULT)],
        holds: &[("o:map_sh", 0, 1)],
    },
];

/// What iproute2 calls `BPF_H_DEFAULT`: -1, the class that tc was given.
const DEFAULT: u64 = 0xffff_ffff;

/// A table `[object.NAME]`.
struct Object {
    name: String,
    path: PathBuf,
}

/// A table `[program.NAME]`.
struct Program {
    name: String,
    from: String,
    /// Empty where the section says it.
    program_type: &'static str,
}

/// Writes a manifest of objects and programs.
fn manifest(objects: &[Object], programs: &[Program]) -> String {
    let mut text = "version = 1\nname = \"real\"\n".to_owned();
    for Object { name, path } in objects {
        write!(text, "[object.{name}]\npath = \"{}\"\n", path.display()).expect("a string takes everything");
    }
    for Program { name, from, program_type } in programs {
        let of_type = if program_type.is_empty() { String::new() } else { format!("type = \"{program_type}\"\n") };
        write!(text, "[program.{name}]\nfrom = \"{from}\"\n{of_type}").expect("a string takes everything");
    }
    text
}

/// Makes a folder with the manifest and a packet of 64 zero bytes.
fn folder_of(manifest: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("plan.toml"), manifest).expect("the folder is writable");
    fs::write(folder.path().join("packet"), [0; 64]).expect("the folder is writable");
    folder
}

/// Applies twice, which must change nothing the second time, looks, destroys, and finds nothing left.
///
/// The error is what the first apply said of the kernel's refusal.
fn with_applied(room: &Room, manifest: &str, look: impl FnOnce(&Ids, &Path)) -> Result<(), String> {
    let folder = folder_of(manifest);
    let bpffs = Path::new(room.bpffs.as_str());
    let before = below(bpffs);
    let said = bpfapply(folder.path(), &["plan.toml"]);
    if said.code != 0 {
        assert_eq!(below(bpffs), before, "a refused apply leaves nothing");
        return Err(said.stderr);
    }
    let found = ids(folder.path(), "real");
    look(&found, folder.path());
    let again = succeed(folder.path(), &["plan.toml"]);
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(ids(folder.path(), "real"), found, "a second apply changes nothing");
    succeed(folder.path(), &["destroy", "real"]);
    assert_eq!(below(bpffs), before, "nothing is left");
    Ok(())
}

/// Prints one row of the table: object, programs, and what the kernel says.
fn row(object: &str, programs: &[&str], result: &Result<(), String>) {
    let said = match result {
        Ok(()) => "loaded",
        Err(text) => text.lines().find(|line| line.contains("error: ")).unwrap_or("refused").trim(),
    };
    println!("{object:<24} {:<44} {said}", programs.join(" "));
}

/// Compiles the examples; the error says what is missing.
fn compile(out: &Path) -> Result<(), String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inside = "usr/share/doc/iproute2/examples/bpf";
    let places = [Path::new("/").join(inside), project.join("target/iproute2-doc").join(inside)];
    let sources = places.iter().find(|place| place.join("legacy").is_dir()).ok_or("no examples of iproute2-doc")?;
    let mut script = Command::new("sh");
    run(script.arg(project.join("tests/objects/iproute2.sh")).arg(sources).arg(out)).map(|_| ())
}

#[test]
fn examples_of_iproute2() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    if !has_bpftool() {
        return skip("examples_of_iproute2", "needs bpftool");
    }
    if let Err(why) = compile(folder.path()) {
        return skip("examples_of_iproute2", &why);
    }
    in_namespace("examples_of_iproute2", move |room| {
        for real in IPROUTE2 {
            check(room, folder.path(), real);
        }
    });
}

#[track_caller]
fn check(room: &Room, objects: &Path, real: &Real) {
    let object = Object { name: "o".to_owned(), path: objects.join(format!("{}.o", real.object)) };
    let programs: Vec<_> = (real.programs.iter())
        .map(|(function, program_type, _)| Program {
            name: (*function).to_owned(),
            from: format!("o:{function}"),
            program_type,
        })
        .collect();
    let result = with_applied(room, &manifest(&[object], &programs), |found, folder| {
        for (function, _, maps) in real.programs {
            let wanted: Vec<u64> = maps.iter().map(|map| found.maps[*map]).collect();
            let is = maps_of_program(found.programs[*function]);
            assert_eq!(is, wanted, "{}: {function}", real.object);
        }
        for (map, slot, inside) in real.slots {
            let wanted = found.maps.get(*inside).or_else(|| found.programs.get(*inside));
            let is = value_at(found.maps[*map], *slot);
            assert_eq!(Some(&is), wanted, "{}: slot {slot} of {map}", real.object);
        }
        for (function, returned) in real.runs {
            let is = run_program(found.programs[*function], &folder.join("packet"));
            assert_eq!(is, *returned, "{}: {function}", real.object);
        }
        for (map, slot, number) in real.holds {
            assert_eq!(value_at(found.maps[*map], *slot), *number, "{}: slot {slot} of {map}", real.object);
        }
        if let (Some(graft), Some(aaa)) = (found.maps.get("jmp_tc"), found.programs.get("cls_aaa")) {
            // As `tc exec bpf graft` does: the slot is the user's, and the next apply leaves it alone.
            bpftool(&format!("map update id {graft} key hex 00 00 00 00 value id {aaa}"));
            assert_eq!(run_program(found.programs["cls_entry"], &folder.join("packet")), 42);
        }
    });
    let functions: Vec<_> = real.programs.iter().map(|(function, ..)| *function).collect();
    row(real.object, &functions, &result);
    assert_eq!(result, Ok(()), "{}", real.object);
}

/// An object of xdp-tools, its programs, and which of their maps it pins by name.
type XdpTools = (&'static str, &'static [&'static str], &'static [&'static str]);

/// xdp-tools 1.3. The fifteenth, xdpdump_bpf, attaches to a program that must be there: it is not complete.
const XDP_TOOLS: &[XdpTools] = &[
    ("xdp-dispatcher", &["xdp_dispatcher", "xdp_pass"], &[]),
    ("xdpdump_xdp", &["xdpdump"], &[]),
    ("xdpfilt_alw_all", &["xdpfilt_alw_all"], ALL),
    ("xdpfilt_alw_eth", &["xdpfilt_alw_eth"], ETHERNET),
    ("xdpfilt_alw_ip", &["xdpfilt_alw_ip"], IP),
    ("xdpfilt_alw_tcp", &["xdpfilt_alw_tcp"], PORTS),
    ("xdpfilt_alw_udp", &["xdpfilt_alw_udp"], PORTS),
    ("xdpfilt_dny_all", &["xdpfilt_dny_all"], ALL),
    ("xdpfilt_dny_eth", &["xdpfilt_dny_eth"], ETHERNET),
    ("xdpfilt_dny_ip", &["xdpfilt_dny_ip"], IP),
    ("xdpfilt_dny_tcp", &["xdpfilt_dny_tcp"], PORTS),
    ("xdpfilt_dny_udp", &["xdpfilt_dny_udp"], PORTS),
    ("xsk_def_xdp_prog", &["xsk_def_prog"], &[]),
    ("xsk_def_xdp_prog_5.3", &["xsk_def_prog"], &[]),
];

const ALL: &[&str] = &["filter_ethernet", "filter_ipv4", "filter_ipv6", "filter_ports", "xdp_stats_map"];
const ETHERNET: &[&str] = &["filter_ethernet", "xdp_stats_map"];
const IP: &[&str] = &["filter_ipv4", "filter_ipv6", "xdp_stats_map"];
const PORTS: &[&str] = &["filter_ports", "xdp_stats_map"];

/// Names an object and its programs for a manifest, where a name has no dot.
fn of_xdp_tools((file, functions, _): &XdpTools) -> (Object, Vec<Program>) {
    let name = file.replace('.', "_");
    let program = |function: &&str| Program {
        name: format!("{name}-{function}"),
        from: format!("{name}:{function}"),
        program_type: "",
    };
    let programs = functions.iter().map(program).collect();
    (Object { name, path: folder_of_xdp_tools().join(format!("{file}.o")) }, programs)
}

fn folder_of_xdp_tools() -> PathBuf {
    format!("/usr/lib/{}-linux-gnu/bpf", std::env::consts::ARCH).into()
}

#[test]
fn objects_of_xdp_tools() {
    if !has_bpftool() {
        return skip("objects_of_xdp_tools", "needs bpftool");
    }
    let (here, away): (Vec<&XdpTools>, Vec<_>) = XDP_TOOLS.iter().partition(|real| of_xdp_tools(real).0.path.exists());
    for (file, ..) in &away {
        skip(file, "xdp-tools is not installed, or has no such object");
    }
    if here.is_empty() {
        return;
    }
    in_namespace("objects_of_xdp_tools", move |room| {
        let mut loaded = Vec::new();
        for real in here {
            let (object, programs) = of_xdp_tools(real);
            let result = with_applied(room, &manifest(&[object], &programs), |found, _| {
                assert_eq!(found.programs.len(), real.1.len(), "{}: {found:?}", real.0);
            });
            row(real.0, real.1, &result);
            match result {
                Ok(()) => loaded.push(real),
                // Old kernels lack what some of these want; the newest of them all is from 2022.
                Err(why) => assert!(room.version < (6, 1), "{}: {why}", real.0),
            }
        }
        all_together(room, &loaded);
        not_alone(room);
    });
}

/// What only works on a program that is there already: refused with nothing left, and listed.
fn not_alone(room: &Room) {
    let cases: [(&'static str, &[&str], &str); 2] = [
        // It traces another program, of which nothing is said here.
        ("xdpdump_bpf", &["trace_on_entry"], ""),
        // The dispatcher's way to run a filter is to replace one of its functions.
        ("xdpfilt_alw_ip", &["xdpfilt_alw_ip"], "ext"),
    ];
    for (file, functions, program_type) in cases {
        let object = Object { name: "o".to_owned(), path: folder_of_xdp_tools().join(format!("{file}.o")) };
        let program = Program { name: "p".to_owned(), from: format!("o:{}", functions[0]), program_type };
        let result = with_applied(room, &manifest(&[object], &[program]), |found, _| {
            panic!("{file} was loaded without a target: {found:?}");
        });
        row(file, functions, &result);
    }
}

/// Loads all objects by one manifest: who pins a map by name has the same one as all others that do.
fn all_together(room: &Room, reals: &[&XdpTools]) {
    let (mut objects, mut programs) = (Vec::new(), Vec::new());
    for real in reals {
        let (object, of_object) = of_xdp_tools(real);
        objects.push(object);
        programs.extend(of_object);
    }
    let result = with_applied(room, &manifest(&objects, &programs), |found, _| {
        assert_eq!(found.programs.len(), programs.len());
        let names: BTreeMap<u64, &str> = found.maps.iter().map(|(name, id)| (*id, name.as_str())).collect();
        for real in reals {
            let (_, of_object) = of_xdp_tools(real);
            for program in of_object {
                let maps = maps_of_program(found.programs[&program.name]);
                let mut shared: Vec<_> = maps.iter().map(|id| names[id]).filter(|name| !name.contains(':')).collect();
                shared.sort_unstable();
                assert_eq!(shared, real.2, "{}", program.name);
            }
        }
    });
    row("all of them", &[&format!("{} programs", programs.len())], &result);
    assert_eq!(result, Ok(()));
}
