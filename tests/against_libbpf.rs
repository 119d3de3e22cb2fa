//! What we load is what libbpf loads: each object is loaded by both on this kernel, and all that the kernel then tells
//! of the programs and maps is compared: instructions behind the verifier, tags, BTF with functions and lines, what
//! maps are and hold, and what was asked for besides (attach types, flags).
//!
//! A case is a C file in a folder of `against_libbpf/`, compiled here, or an object of this repository or of xdp-tools.
//! What not both load stands in `uneven.rs`, and must be so. Needs root, clang, a C compiler and libbpf with its headers;
//! `BPFAPPLY_OBJECTS=FOLDER` compares further objects.

#[path = "against_libbpf/cases.rs"]
mod cases;
mod common;
#[path = "against_libbpf/questions.rs"]
mod questions;
#[path = "against_libbpf/shown.rs"]
mod shown;
#[path = "against_libbpf/uneven.rs"]
mod uneven;

use cases::{Case, Order, files, repository};
use common::{Room, in_namespace, skip};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use shown::{Loaded, Refusal, Tools};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use uneven::{Loads, Uneven};

/// The object of xdp-tools that not both load: it attaches to a program that must be there.
const INSTALLED: &str = "xdpdump_bpf";

/// Loads an object with the tool: together, or, when that fails, each program alone.
fn ours(tools: &Tools, case: &Case, room: &Room) -> Loaded {
    if let Some(refusal) = &case.refusal {
        return Loaded { refusal: Some(refusal.clone()), ..Loaded::default() };
    }
    match apply(tools, case, &case.functions, true, room) {
        Ok(loaded) => loaded,
        Err(refusal) => {
            let mut loaded = Loaded { refusal: Some(refusal.why), ..Loaded::default() };
            for function in &case.functions {
                let mut alone = apply(tools, case, std::slice::from_ref(function), false, room);
                let program = alone.as_mut().ok().and_then(|alone| alone.programs.remove(function));
                let program = program.unwrap_or_else(|| Err(alone.err().unwrap_or_default()));
                loaded.programs.insert(function.clone(), program);
            }
            loaded
        }
    }
}

/// Applies a manifest of some programs and looks at its pins; the error is what the tool says.
fn apply(tools: &Tools, case: &Case, functions: &[String], with_maps: bool, room: &Room) -> Result<Loaded, Refusal> {
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing is unpinned until the end, which takes the kernel some time, so that each one has a name of its own.
    let deployment = format!("{}-{}", case.name.replace('.', "_"), functions.concat());
    let deployment = &deployment[..deployment.len().min(60)];
    let manifest = case.manifest(deployment, functions, with_maps);
    fs::write(folder.path().join("plan.toml"), manifest).expect("a file in a folder of ours");
    let asked = folder.path().join("asked");
    let output = tools.apply(folder.path(), &asked);
    if !output.status.success() {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        let why = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
        return Err(Refusal { why, tried: shown::last_refused(&asked) });
    }
    let bpffs = Path::new(room.bpffs.as_str());
    // Where iproute2 pins: for all objects the same place.
    let shared = bpffs.join("tc");
    let loaded = tools.pinned(&[bpffs.join(deployment), shared.clone()], &asked);
    if shared.exists() {
        umount2(bpffs, MntFlags::MNT_DETACH).expect("it was mounted");
        mount(Some("bpf"), bpffs, Some("bpf"), MsFlags::empty(), None::<&str>).expect("it can be mounted again");
    }
    Ok(loaded)
}

/// What the comparison of many objects found.
#[derive(Debug, Default)]
struct Tally {
    objects: usize,
    /// Programs that both load, the same.
    same: usize,
    /// Programs that not both load, as `uneven.rs` says.
    uneven: usize,
    wrong: Vec<String>,
}

/// Loads objects with both and compares; panics with all that differs.
fn check(name: &'static str, objects: Vec<PathBuf>) {
    let tools = match Tools::get() {
        Ok(tools) => tools,
        Err(why) => return skip(name, why),
    };
    in_namespace(name, move |room| {
        let folder = tempfile::tempdir().expect("a folder");
        let theirs = tools.libbpf(&objects, &folder.path().join("asked"));
        let mut tally = Tally::default();
        for path in &objects {
            let case = Case::read(path);
            let ours = ours(tools, &case, room);
            compare(&case, &ours, &theirs[path], tools.libbpf, &mut tally);
        }
        let Tally { objects, same, uneven, wrong } = &tally;
        println!("{name}: {objects} objects, {same} programs are the same, {uneven} not loaded by both");
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
        assert!(*objects > 0, "there is nothing to compare");
    });
}

fn compare(case: &Case, ours: &Loaded, theirs: &Loaded, libbpf: (u32, u32), tally: &mut Tally) {
    let name = &case.name;
    tally.objects += 1;
    let functions: BTreeSet<&String> = ours.programs.keys().chain(theirs.programs.keys()).collect();
    for function in &functions {
        let not = |loaded: &Loaded| {
            let why = loaded.refusal.clone().unwrap_or_else(|| "there is no such program".to_owned());
            Err(Refusal { why, tried: None })
        };
        let get = |loaded: &Loaded| loaded.programs.get(*function).cloned().unwrap_or_else(|| not(loaded));
        let row = uneven::find(name, function);
        match (get(ours), get(theirs)) {
            (Ok(ours), Ok(theirs)) => match difference(&ours, &theirs) {
                Some(text) if row.is_some_and(|row| matches!(row.loads, Loads::Unlike { .. }) && row.fits(&text)) => {
                    tally.uneven += 1
                }
                Some(text) => tally.wrong.push(format!("{name}: {function}: {text}")),
                None if row.is_some_and(|row| !row.may_be_even(libbpf)) => {
                    tally
                        .wrong
                        .push(format!("{name}: {function}: both load it the same, and uneven.rs says otherwise"));
                }
                None => tally.same += 1,
            },
            (Err(_), Err(_)) if case.refusal.is_none() && !case.functions.contains(function) => {}
            (Err(Refusal { tried: Some(ours), .. }), Err(Refusal { tried: Some(theirs), .. })) if ours != theirs => {
                let text = format!("neither\n    we:     {ours}\n    libbpf: {theirs}");
                tally.wrong.push(format!("{name}: {function}: {text}"));
            }
            (ours, theirs) => {
                let why = |side: Result<_, Refusal>| side.err().map(|refusal| refusal.why);
                not_both(name, function, row, (why(ours), why(theirs)), tally);
            }
        }
    }
    if functions.is_empty() && (&ours.refusal, &theirs.refusal) != (&None, &None) {
        not_both(name, "", uneven::find(name, ""), (ours.refusal.clone(), theirs.refusal.clone()), tally);
    }
    let is_unlike = functions
        .iter()
        .any(|function| uneven::find(name, function).is_some_and(|row| matches!(row.loads, Loads::Unlike { .. })));
    if ours.refusal.is_none() && theirs.refusal.is_none() && !is_unlike {
        tally.wrong.extend(other_maps(ours, theirs).into_iter().map(|text| format!("{name}: {text}")));
    }
}

/// Notes a program that not both load; the refusals are ours and libbpf's.
fn not_both(
    object: &str,
    function: &str,
    row: Option<&Uneven>,
    refusals: (Option<String>, Option<String>),
    tally: &mut Tally,
) {
    let is = match &refusals {
        (None, Some(why)) => row.filter(|row| matches!(row.loads, Loads::OnlyWe { .. }) && row.fits(why)),
        (Some(_), Some(why)) => row.filter(|row| row.loads == Loads::Neither && row.fits(why)),
        (_, None) => None,
    };
    if is.is_some() {
        tally.uneven += 1;
        return;
    }
    let said = |side: &Option<String>| side.as_deref().unwrap_or("loads it").chars().take(250).collect::<String>();
    let row = row.map_or("nothing".to_owned(), |row| format!("{:?} `{}`", row.loads, row.says));
    tally.wrong.push(format!(
        "{object}: {function}: uneven.rs says {row}\n    we:     {}\n    libbpf: {}",
        said(&refusals.0),
        said(&refusals.1)
    ));
}

/// Compares what the kernel shows of a program; the text says where it differs first.
fn difference(ours: &[String], theirs: &[String]) -> Option<String> {
    let is_described = theirs.iter().any(|line| line.starts_with("func "));
    // Libbpf binds each program to the constants of its object; ours are bound to what they use.
    let bound = |line: &&String| !(line.starts_with("also ") && line.contains(".rodata"));
    // Where the object does not describe its functions we do, so that one of them can carry the fingerprint.
    let described =
        |line: &&String| is_described || !["func ", "line ", "type "].iter().any(|what| line.starts_with(what));
    let keep = |lines: &[String]| lines.iter().filter(bound).filter(described).cloned().collect::<Vec<_>>();
    let (ours, theirs) = (keep(ours), keep(theirs));
    let same = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
    let line = |lines: &[String]| lines.get(same).map_or("nothing more", String::as_str).to_owned();
    (ours != theirs).then(|| format!("line {same}\n    we:     {}\n    libbpf: {}", line(&ours), line(&theirs)))
}

/// Compares the maps of an object, used or not; libbpf makes all, we what is used or named.
fn other_maps(ours: &Loaded, theirs: &Loaded) -> Vec<String> {
    // Global variables that nobody uses, and structs of functions, which only a manifest that names them gets.
    let is_left =
        |map: &&String| map.split('=').next().is_some_and(|name| name.contains('.')) || !map.contains("kernel_type=0");
    let only = |these: &Loaded, those: &Loaded| {
        these.maps.iter().filter(|map| !those.maps.contains(map)).cloned().collect::<Vec<_>>()
    };
    let ours_only = only(ours, theirs).into_iter().map(|map| format!("only ours: map {map}"));
    let theirs_only =
        only(theirs, ours).into_iter().filter(|map| !is_left(&map)).map(|map| format!("only libbpf's: map {map}"));
    ours_only.chain(theirs_only).collect()
}

/// Compiles the sources of a folder and compares the objects.
#[track_caller]
fn check_sources(folder: &'static str) {
    let sources = files(&repository("tests/against_libbpf").join(folder), "c");
    if let Some(objects) = compiled(folder, &sources, Order::Little) {
        check(folder, objects);
    }
}

/// Compiles, or says that there is no compiler.
#[track_caller]
fn compiled(name: &str, sources: &[PathBuf], order: Order) -> Option<Vec<PathBuf>> {
    match cases::compile(sources, order) {
        Ok(objects) => Some(objects),
        Err(why) if why.contains("No such file or directory (os error") => {
            skip(name, "needs clang");
            None
        }
        Err(why) => panic!("{why}"),
    }
}

/// All sources compile for machines of the other byte order, too; this one says clearly that it is not for them.
#[test]
fn big_endian() {
    let sources = cases::folders().into_iter().flat_map(|folder| files(&folder, "c")).collect::<Vec<_>>();
    let objects = compiled("big_endian", &sources, Order::Big).unwrap_or_default();
    for object in &objects {
        let refusal = Case::read(object).refusal.unwrap_or_default();
        assert_eq!(refusal, "the object file is big-endian, and this host is little-endian", "{}", object.display());
    }
    if let Some(object) = objects.first() {
        let inspected = common::tool::bpfapply(Path::new("/"), &["inspect", &object.display().to_string()]);
        assert_eq!(inspected.code, 65, "{inspected:?}");
        assert!(inspected.stderr.contains("the object file is big-endian"), "{inspected:?}");
    }
}

/// The table of what not both load has no row for what is gone.
#[test]
fn rows_have_objects() {
    let of_folder = |folder: PathBuf| [files(&folder, "c"), files(&folder, "o"), vec![folder]].concat();
    let known: BTreeSet<String> =
        cases::folders().into_iter().flat_map(of_folder).map(|path| Case::name(&path)).collect();
    for row in uneven::TABLE {
        let is_known = known.iter().any(|name| row.is_of(name)) || row.is_of(INSTALLED);
        assert!(is_known, "there is no such object: {row:?}");
    }
}

#[test]
fn maps() {
    check_sources("maps");
}

#[test]
fn legacy() {
    check_sources("legacy");
}

#[test]
fn data() {
    check_sources("data");
}

#[test]
fn code() {
    check_sources("code");
}

#[test]
fn sections() {
    check_sources("sections");
}

#[test]
fn kernel() {
    check_sources("kernel");
}

#[test]
fn types() {
    check_sources("types");
}

#[test]
fn linked() {
    match cases::link(&repository("tests/against_libbpf/linked")) {
        Ok(objects) => check("linked", objects),
        Err(why) => skip("linked", &why),
    }
}

#[test]
fn operations() {
    check_sources("operations");
}

#[test]
fn objects() {
    check("objects", files(&repository("tests/objects"), "o"));
}

#[test]
fn core() {
    check("core", files(&repository("tests/core"), "o"));
}

#[test]
fn questions() {
    let (tools, types) = match (Tools::get(), fs::read("/sys/kernel/btf/vmlinux")) {
        (Ok(tools), Ok(types)) => (tools, types),
        (Err(why), _) => return skip("questions", why),
        (_, Err(why)) => return skip("questions", &format!("the kernel does not show its types: {why}")),
    };
    in_namespace("questions", move |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let (programs, refused) = questions::check(tools, folder.path(), types);
        assert!(programs > 750 && refused > 100, "{programs} programs, {refused} refused");
    });
}

#[test]
fn installed() {
    let installed = format!("/usr/lib/{}-linux-gnu/bpf", std::env::consts::ARCH);
    let mut objects = files(Path::new(&installed), "o");
    for folder in ["examples/quickstart", "examples/iproute2-legacy"] {
        objects.extend(files(&repository(folder), "o"));
    }
    if let Ok(folder) = std::env::var("BPFAPPLY_OBJECTS") {
        objects.extend(files(Path::new(&folder), "o"));
    }
    check("installed", objects);
}
