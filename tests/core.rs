//! CO-RE on kernels that never were: with just the types of the object, without any, and with damaged ones. What becomes
//! of these objects on the running kernel is compared with libbpf in `against_libbpf.rs`.

use bpfapply::btf::kernel::KernelTypes;
use bpfapply::elf::{self, Target};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core")
}

/// Returns the objects of this folder, by name.
fn objects() -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let objects = files.filter(|path| path.extension().is_some_and(|extension| extension == "o"));
    let named = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(path).expect("an object"))
    };
    objects.map(named).collect()
}

/// Returns a kernel that has just the types of an object.
fn kernel_of(object: &elf::Object) -> Vec<u8> {
    object.btf.as_ref().expect("types").encode()
}

fn target_of(types: Vec<u8>) -> Option<Target> {
    let types = KernelTypes::parse(Box::new(types)).ok()?;
    Some(Target { types: Some(Arc::new(types)), ..Target::default() })
}

#[test]
fn an_objects_own_types_change_nothing() {
    // Not those whose types are of one name but for a flavour, and differ, and not bit-fields, of which compilers say
    // otherwise which word to load.
    let unlike = |name: &str| name == "flavours" || name.starts_with("bitfield");
    for (name, bytes) in objects().into_iter().filter(|(name, _)| !unlike(name)) {
        let object = elf::parse(&bytes).expect("an object");
        let target = target_of(kernel_of(&object)).expect("types");
        for (number, program) in object.programs.iter().enumerate() {
            assert!(object.needs_kernel_types(number), "{name}: {}", program.function);
            let [offline, linked] = [&Target::offline(), &target].map(|target| object.link(number, target));
            assert_eq!(linked, offline, "{name}: {}", program.function);
        }
    }
}

#[test]
fn without_types_nothing_links_but_an_offline_plan() {
    let object = elf::parse(&objects()["field_offset"]).expect("an object");
    let errors = object.link(0, &Target::default()).expect_err("nothing to relocate by");
    assert!(errors[0].what.contains("this kernel has no BTF"), "{}", errors[0]);
    assert!(errors[0].source.as_ref().is_some_and(|source| source.contains("field_offset.c:")), "{}", errors[0]);
    assert!(object.link(0, &Target::offline()).is_ok());
}

#[test]
fn no_types_of_a_kernel_panic() {
    for (_, bytes) in objects() {
        let object = elf::parse(&bytes).expect("an object");
        let types = kernel_of(&object);
        for at in (24..types.len()).step_by(7) {
            let mut damaged = types.clone();
            damaged[at] = damaged[at].wrapping_add(1 + (at % 200) as u8);
            let Some(target) = target_of(damaged) else { continue };
            for number in 0..object.programs.len() {
                let _ = object.link(number, &target);
            }
        }
    }
}
