//! The kernel's rules that we rely on, each as one body that runs against the fake kernel, and as root also against the
//! running one: what the fake knows is what the kernel does.

mod common;

use bpfapply::access::AccountKind;
use bpfapply::btf::{Btf, Encoding, Linkage, Type};
use bpfapply::direct::{Device, Direct, Feature, Filter, Qdisc, Wish};
use bpfapply::entries::Entries;
use bpfapply::insn::{CALL, EXIT, FuncRecord, Insn, LD_IMM64, PSEUDO_KFUNC_CALL, Registers};
use bpfapply::kernel::fake::Fake;
use bpfapply::kernel::linux::Linux;
use bpfapply::kernel::observe::observe;
use bpfapply::kernel::{
    Beside, EntryKind, EventInfo, EventRequest, Excludes, HookInfo, HookPlace, HookRequest, Interface, Kernel,
    LinkInfo, LoadError, MapRequest, ObjectKind, Position, ProgramRequest, Queue, SymlinkInTheWay, TraceRequest,
    XdpMode,
};
use bpfapply::kinds::{AttachType, Family, MapType, Netfilter, Point, ProgramType};
use bpfapply::names::{Digest, PinPath};
use bpfapply::observed::{PerfInfo, Pinned, Wanted};
use bpfapply::route::{Lwt, Route, RoutePlace, RouteWish};
use bpfapply::spec::user_value_size;
use common::Room;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NO_PREALLOC: u32 = 1 << 0;
const NO_COMMON_LRU: u32 = 1 << 1;
const RDONLY: u32 = 1 << 3;
const WRONLY: u32 = 1 << 4;
const RDONLY_PROG: u32 = 1 << 7;
const WRONLY_PROG: u32 = 1 << 8;
const MMAPABLE: u32 = 1 << 10;
const INNER_MAP: u32 = 1 << 12;
const ENOTSUPP: i32 = 524;

/// One rule: a body for every kernel.
struct Rule<K> {
    name: &'static str,
    body: fn(&mut K, &Room),
}

macro_rules! rules {
    ($($rule:ident,)*) => {
        fn rules<K: Kernel>() -> Vec<Rule<K>> {
            vec![$(Rule { name: stringify!($rule), body: $rule }),*]
        }
    };
}

rules! {
    maps_are_reported_in_normal_form,
    arrays_hold_every_index,
    hashes_hold_what_was_written,
    per_cpu_values_have_all_cpus,
    lengths_must_be_the_maps,
    frozen_maps_refuse_writes,
    access_flags_belong_to_the_descriptor,
    many_entries_come_back,
    many_entries_stop_where_the_map_is_full,
    many_entries_must_fit_the_map,
    many_entries_respect_access,
    many_entries_of_slots_are_ids,
    inner_maps_fit_their_template,
    inner_templates_have_limits,
    prog_arrays_belong_to_one_type,
    prog_arrays_without_a_holder_are_emptied,
    names_have_letters_digits_underscores_and_dots,
    ids_rise_and_die_with_their_objects,
    programs_tell_their_maps_by_first_use,
    programs_need_valid_maps,
    refusals_carry_a_log,
    pins_have_the_errors_of_files,
    folders_have_the_errors_of_files,
    renames_replace,
    hard_links_are_the_same_pin,
    symlinks_switch_folders,
    changes_go_through_no_symlink,
    permissions_belong_to_the_pin,
    accounts_have_numbers,
    locks_keep_out_who_asks,
    xdp_has_one_link,
    tcx_has_many_links,
    cgroups_have_many_links,
    shared_hooks_have_places_and_revisions,
    network_namespaces_have_lookups_and_one_dissector,
    netfilter_has_one_program_for_a_priority,
    maps_of_sockets_have_one_program_of_each_kind,
    events_have_many_links_that_stay_as_they_are,
    hooks_are_of_their_network_namespace,
    netkit_is_of_netkit_interfaces,
    filters_have_places,
    xdp_without_a_link_expects_what_it_replaces,
    cgroups_have_programs_without_links,
    routes_have_one_place,
    features_came_with_their_versions,
    hooks_tell_their_programs_in_order,
    links_fit_their_programs,
    updates_expect_the_old_program,
    detached_links_stay_without_a_hook,
    links_detach_when_nothing_holds_them,
    broken_btf_is_refused,
    btf_comes_back_through_maps_and_programs,
    functions_of_modules_need_their_btf,
}

#[test]
fn the_fake_kernel_follows_every_rule() {
    every_rule(|name, body: fn(&mut Fake, &Room)| {
        let mut fake = Fake::new();
        let cgroup = PathBuf::from("/sys/fs/cgroup/test");
        fake.add_cgroup(&cgroup);
        fake.add_netns(ELSEWHERE);
        let room = Room { bpffs: path("/sys/fs/bpf"), cgroup: Some(cgroup), version: (6, 18) };
        body(&mut fake, &room);
        for pin in fake.list(&room.bpffs).unwrap().iter().map(|entry| room.bpffs.join(&entry.name)) {
            // Folders go nowhere: they hold no object.
            let _ = fake.unpin(&pin);
        }
        assert!(fake.is_idle(), "{name} leaves nothing behind:\n{}", fake.dump());
    });
}

#[test]
fn the_running_kernel_follows_every_rule() {
    every_rule(|name, body: fn(&mut Linux, &Room)| {
        common::in_namespace(name, move |room| {
            add_elsewhere();
            body(&mut Linux::new(), room);
        });
    });
}

/// Runs each rule and tells all that fail.
fn every_rule<K: Kernel>(mut run: impl FnMut(&'static str, fn(&mut K, &Room))) {
    let mut failed = Vec::new();
    for rule in rules::<K>() {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(rule.name, rule.body)));
        if result.is_err() {
            failed.push(rule.name);
        }
    }
    assert_eq!(failed, [""; 0]);
}

#[test]
fn the_fake_kernel_fails_when_told_to() {
    let mut fake = Fake::new();
    fake.fail_nth(2, libc::ENOMEM);
    fake.refuse_program("rule", libc::EACCES, "R0 !read_ok\n");
    let map = map(&mut fake, MapType::ARRAY, (4, 4, 1), 0);
    let before = fake.dump();
    assert_eq!(errno(fake.update(&map, &[0; 4], &[1; 4])), libc::ENOMEM);
    assert_eq!(fake.dump(), before);
    fake.update(&map, &[0; 4], &[1; 4]).unwrap();
    assert_ne!(fake.dump(), before);
    let refused = load(&mut fake, ProgramType::XDP, &returns(2)).unwrap_err();
    assert_eq!((refused.error.raw_os_error(), refused.log.as_str()), (Some(libc::EACCES), "R0 !read_ok\n"));
    assert_eq!(fake.calls(), ["create_map", "update", "update", "load_program"]);
    drop(map);
    assert!(fake.is_idle());
}

#[test]
fn links_of_the_fake_kernel_lose_hooks_that_go() {
    let mut fake = Fake::new();
    let (program, _) = two(&mut fake, ProgramType::XDP);
    for (native, mode) in [(false, XdpMode::Generic), (true, XdpMode::Native)] {
        let ifindex = fake.add_interface("eth0", native);
        let link = fake.create_link(&program, &HookRequest::Xdp { ifindex, mode: XdpMode::Auto }).unwrap();
        assert_eq!(fake.interface("eth0").unwrap().unwrap().xdp[0].0, mode);
        fake.remove_interface("eth0");
        assert_eq!(fake.interface("eth0").unwrap(), None);
        assert_eq!(fake.link_info(&link).unwrap().hook, HookInfo::Xdp { ifindex: 0 });
    }
}

/// What stays is read, and read once where the kernel's cursor allows, whatever else comes and goes meanwhile.
#[test]
fn a_map_that_changes_is_read_to_its_end() {
    const STAY: u32 = 3_000;
    for (map_type, flags, key, is_exact) in
        [(MapType::HASH, 0, 4, true), (MapType::PERCPU_HASH, 0, 4, true), (MapType::LPM_TRIE, NO_PREALLOC, 8, false)]
    {
        common::in_namespace("a_map_that_changes", move |_| {
            let mut kernel = Linux::new();
            let map = map(&mut kernel, map_type, (key, 8, 2 * STAY), flags);
            let all = entries(&kernel, &map, 2 * STAY, 1);
            let coming = every(2, &all);
            kernel.write_entries(&map, &all).unwrap();
            kernel.delete_entries(&map, &coming).unwrap();
            let stays = read(&kernel, &map);
            assert_eq!(stays.len(), STAY as usize);
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut kernel = Linux::new();
                    while !is_over.load(Ordering::Relaxed) {
                        kernel.write_entries(&map, &coming).unwrap();
                        kernel.delete_entries(&map, &coming).unwrap();
                    }
                });
                let sizes = (all.key_size(), all.value_size());
                for _ in 0..50 {
                    let mut seen = BTreeMap::<Vec<u8>, u32>::new();
                    let mut take = |keys: &[u8], _: &[u8]| {
                        keys.chunks(sizes.0).for_each(|key| *seen.entry(key.to_vec()).or_default() += 1);
                        ControlFlow::Continue(())
                    };
                    let read = kernel.read_entries(&map, sizes, &mut take);
                    let right = |key: &[u8]| seen.get(key).is_some_and(|times| !is_exact || *times == 1);
                    let (missing, _): (Vec<_>, Vec<_>) = stays.iter().partition(|(key, _)| !right(key));
                    if read.is_err() || (is_exact && !missing.is_empty()) {
                        is_over.store(true, Ordering::Relaxed);
                        panic!("{map_type}: {read:?}, {} of {STAY} entries are not right", missing.len());
                    }
                }
                is_over.store(true, Ordering::Relaxed);
            });
        });
    }
}

/// Tries every combination of type, sizes and flag on both, so that no rule of the fake's maps is our invention.
#[test]
fn the_fake_kernel_refuses_the_maps_that_the_running_kernel_refuses() {
    const TYPES: [MapType; 21] = [
        MapType::HASH,
        MapType::ARRAY,
        MapType::PROG_ARRAY,
        MapType::PERF_EVENT_ARRAY,
        MapType::PERCPU_HASH,
        MapType::PERCPU_ARRAY,
        MapType::STACK_TRACE,
        MapType::LRU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::LPM_TRIE,
        MapType::DEVMAP,
        MapType::SOCKMAP,
        MapType::CPUMAP,
        MapType::XSKMAP,
        MapType::SOCKHASH,
        MapType::QUEUE,
        MapType::STACK,
        MapType::DEVMAP_HASH,
        MapType::RINGBUF,
        MapType::BLOOM_FILTER,
        MapType::HASH_OF_MAPS,
    ];
    common::in_namespace("every_map", |room| {
        if room.version < (6, 1) {
            return common::skip("every_map", "the fake kernel is a newer one, with other errors for large values");
        }
        let (mut fake, mut linux) = (Fake::new(), Linux::new());
        let host = linux.host().unwrap();
        if (host.possible_cpus, host.page_size) != (2, 4096) {
            return common::skip("every_map", "the fake kernel has 2 CPUs and pages of 4096 bytes");
        }
        let flags: Vec<u32> =
            (0..=11).map(|bit| 1 << bit).filter(|flag| *flag != 1 << 9).chain([0, INNER_MAP]).collect();
        let mut different = Vec::new();
        let mut count = 0;
        for map_type in TYPES {
            for key in [0, 4, 5, 8] {
                for value in [0, 4, 8, 12, 40_000] {
                    // How many CPUs a CPUMAP takes depends on how the kernel was built.
                    for max in [0, 1, 5, 4096, 5000].into_iter().filter(|max| map_type != MapType::CPUMAP || *max < 64)
                    {
                        for flag in &flags {
                            let asked = request("sweep", map_type, (key, value, max), *flag | low_flags(map_type));
                            let (a, b) = (answer(&mut fake, &asked), answer(&mut linux, &asked));
                            count += 1;
                            if a != b {
                                different.push(format!(
                                    "{map_type} {key} {value} {max} {:#x}: fake {a:?}, linux {b:?}",
                                    asked.flags
                                ));
                            }
                        }
                    }
                }
            }
        }
        assert!(
            different.is_empty(),
            "{} of {count} differ:\n{}",
            different.len(),
            different[..different.len().min(40)].join("\n")
        );
    });

    /// An LPM trie without this flag says nothing else.
    fn low_flags(map_type: MapType) -> u32 {
        if map_type == MapType::LPM_TRIE { NO_PREALLOC } else { 0 }
    }

    fn answer<K: Kernel>(kernel: &mut K, asked: &MapRequest<'_, ()>) -> Result<(u32, u32), Option<i32>> {
        let sizes = (asked.key_size, asked.value_size, asked.max_entries);
        let asked = MapRequest { flags: asked.flags, ..MapRequest::plain(asked.name, asked.map_type, sizes) };
        let map = kernel.create_map(&asked).map_err(|error| error.raw_os_error())?;
        let info = kernel.map_info(&map).unwrap();
        Ok((info.max_entries, info.flags))
    }
}

// Small words for the rules.

fn path(text: &str) -> PinPath {
    PinPath::new(text).unwrap()
}

fn request<Fd>(name: &str, map_type: MapType, sizes: (u32, u32, u32), flags: u32) -> MapRequest<'_, Fd> {
    MapRequest { flags, ..MapRequest::plain(name, map_type, sizes) }
}

fn map<K: Kernel>(kernel: &mut K, map_type: MapType, sizes: (u32, u32, u32), flags: u32) -> K::Fd {
    kernel.create_map(&request("rule", map_type, sizes, flags)).unwrap()
}

fn returns(value: i32) -> Vec<Insn> {
    vec![Insn { code: 0xb7, imm: value, ..Insn::default() }, Insn { code: EXIT, ..Insn::default() }]
}

/// A program that loads the address of each map and returns 2.
fn uses(maps: &[i32]) -> Vec<Insn> {
    let load =
        |fd: &i32| [Insn { code: LD_IMM64, regs: Registers::new(1, 1), imm: *fd, ..Insn::default() }, Insn::default()];
    maps.iter().flat_map(load).chain(returns(2)).collect()
}

fn load<K: Kernel>(kernel: &mut K, program_type: ProgramType, insns: &[Insn]) -> Result<K::Fd, LoadError> {
    load_for(kernel, program_type, AttachType(0), insns)
}

fn load_for<K: Kernel>(
    kernel: &mut K,
    program_type: ProgramType,
    expected_attach_type: AttachType,
    insns: &[Insn],
) -> Result<K::Fd, LoadError> {
    let request = ProgramRequest::plain("rule", program_type, insns);
    kernel.load_program(&ProgramRequest { expected_attach_type, ..request })
}

/// Loads two programs of a type that let packets pass.
fn two<K: Kernel>(kernel: &mut K, program_type: ProgramType) -> (K::Fd, K::Fd) {
    let verdict = match program_type {
        ProgramType::XDP => 2,
        ProgramType::CGROUP_SKB => 1,
        _ => 0,
    };
    let mut one = || load(kernel, program_type, &returns(verdict)).unwrap();
    (one(), one())
}

fn xdp<'a, Fd>() -> HookRequest<'a, Fd> {
    HookRequest::Xdp { ifindex: 1, mode: XdpMode::Generic }
}

fn tcx<'a, Fd>() -> HookRequest<'a, Fd> {
    HookRequest::Tcx { ifindex: 1, attach_type: AttachType::TCX_INGRESS }
}

#[track_caller]
fn errno<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("it should fail"),
        Err(error) => error.raw_os_error().expect("an error of the kernel"),
    }
}

#[track_caller]
fn load_errno<T>(result: Result<T, LoadError>) -> i32 {
    errno(result.map_err(|refused| refused.error))
}

/// Waits for what the kernel does in the background.
#[track_caller]
fn eventually(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "it does not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lists a folder, without the `maps.debug` and `progs.debug` that some kernels put into a new bpffs (`CONFIG_BPF_PRELOAD`).
fn pins<K: Kernel>(kernel: &K, folder: &PinPath) -> Vec<String> {
    names(kernel, folder).into_iter().filter(|name| !name.contains('.')).collect()
}

fn names<K: Kernel>(kernel: &K, folder: &PinPath) -> Vec<String> {
    kernel.list(folder).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn loopback<K: Kernel>(kernel: &K) -> Interface {
    kernel.interface("lo").unwrap().unwrap()
}

// Maps.

fn maps_are_reported_in_normal_form<K: Kernel>(kernel: &mut K, _: &Room) {
    let cpus = kernel.host().unwrap().possible_cpus;
    let rows = [
        (MapType::HASH, (4, 8, 10), RDONLY, Ok((10, 0))),
        (MapType::HASH, (4, 8, 10), WRONLY | NO_PREALLOC, Ok((10, NO_PREALLOC))),
        (MapType::HASH, (4, 8, 10), RDONLY | WRONLY, Err(libc::EINVAL)),
        (MapType::HASH, (4, 8, 0), 0, Err(libc::EINVAL)),
        (MapType::LRU_HASH, (4, 8, 1001), 0, Ok((1001, 0))),
        (MapType::LRU_HASH, (4, 8, 1001), NO_COMMON_LRU, Ok((1001u32.next_multiple_of(cpus), NO_COMMON_LRU))),
        (MapType::LRU_HASH, (4, 8, 10), NO_PREALLOC, Err(ENOTSUPP)),
        (MapType::HASH, (4, 8, 10), NO_COMMON_LRU, Err(libc::EINVAL)),
        (MapType::ARRAY, (4, 8, 1), RDONLY_PROG | MMAPABLE, Ok((1, RDONLY_PROG | MMAPABLE))),
        (MapType::ARRAY, (4, 8, 1), RDONLY_PROG | WRONLY_PROG, Err(libc::EINVAL)),
        (MapType::ARRAY, (8, 8, 1), 0, Err(libc::EINVAL)),
        (MapType::ARRAY, (4, 8, 1), INNER_MAP, Ok((1, INNER_MAP))),
        (MapType::DEVMAP, (4, 4, 8), 0, Ok((8, RDONLY_PROG))),
        (MapType::DEVMAP, (4, 4, 8), RDONLY_PROG, Err(libc::EINVAL)),
        (MapType::DEVMAP_HASH, (4, 8, 8), 0, Ok((8, RDONLY_PROG))),
        (MapType::RINGBUF, (0, 0, 4096), 0, Ok((4096, 0))),
        (MapType::RINGBUF, (0, 0, 5000), 0, Err(libc::EINVAL)),
        (MapType::RINGBUF, (0, 0, 12288), 0, Err(libc::EINVAL)),
        (MapType::PERF_EVENT_ARRAY, (4, 4, 0), 0, Err(libc::EINVAL)),
        (MapType::PERF_EVENT_ARRAY, (4, 4, 1024), 0, Ok((1024, 0))),
        (MapType::CPUMAP, (4, 4, 1 << 20), 0, Err(libc::E2BIG)),
        (MapType::LPM_TRIE, (8, 8, 8), 0, Err(libc::EINVAL)),
        (MapType::LPM_TRIE, (8, 8, 8), NO_PREALLOC, Ok((8, NO_PREALLOC))),
        (MapType(4000), (4, 4, 1), 0, Err(libc::EINVAL)),
    ];
    for (map_type, sizes, flags, expected) in rows {
        let answer = kernel
            .create_map(&request("rule", map_type, sizes, flags))
            .map(|map| kernel.map_info(&map).unwrap())
            .map(|info| (info.max_entries, info.flags))
            .map_err(|error| error.raw_os_error().unwrap());
        assert_eq!(answer, expected, "{map_type} {sizes:?} {flags:#x}");
    }
}

fn arrays_hold_every_index<K: Kernel>(kernel: &mut K, _: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 2, 2), 0);
    assert_eq!(kernel.lookup(&map, &1u32.to_ne_bytes(), 2).unwrap(), Some(vec![0, 0]));
    assert_eq!(kernel.lookup(&map, &2u32.to_ne_bytes(), 2).unwrap(), None);
    kernel.update(&map, &1u32.to_ne_bytes(), &[7, 8]).unwrap();
    assert_eq!(errno(kernel.update(&map, &2u32.to_ne_bytes(), &[7, 8])), libc::E2BIG);
    assert_eq!(kernel.lookup(&map, &1u32.to_ne_bytes(), 2).unwrap(), Some(vec![7, 8]));
    let next = |key: Option<u32>| kernel.next_key(&map, key.map(u32::to_ne_bytes).as_ref().map(|key| &key[..]), 4);
    assert_eq!(next(None).unwrap(), Some(vec![0; 4]));
    assert_eq!(next(Some(0)).unwrap(), Some(1u32.to_ne_bytes().to_vec()));
    assert_eq!(next(Some(1)).unwrap(), None);
    assert_eq!(next(Some(9)).unwrap(), Some(vec![0; 4]));
}

fn hashes_hold_what_was_written<K: Kernel>(kernel: &mut K, _: &Room) {
    let map = map(kernel, MapType::HASH, (3, 1, 2), 0);
    assert_eq!(kernel.next_key(&map, None, 3).unwrap(), None);
    assert_eq!(kernel.lookup(&map, b"abc", 1).unwrap(), None);
    kernel.update(&map, b"abc", &[1]).unwrap();
    kernel.update(&map, b"def", &[2]).unwrap();
    kernel.update(&map, b"abc", &[3]).unwrap();
    assert_eq!(errno(kernel.update(&map, b"ghi", &[4])), libc::E2BIG);
    assert_eq!(kernel.lookup(&map, b"abc", 1).unwrap(), Some(vec![3]));
    let first = kernel.next_key(&map, None, 3).unwrap().unwrap();
    let second = kernel.next_key(&map, Some(&first), 3).unwrap().unwrap();
    assert_eq!(BTreeSet::from([&first[..], &second[..]]), BTreeSet::from([&b"abc"[..], b"def"]));
    assert_eq!(kernel.next_key(&map, Some(&second), 3).unwrap(), None);
}

fn per_cpu_values_have_all_cpus<K: Kernel>(kernel: &mut K, _: &Room) {
    let map = map(kernel, MapType::PERCPU_ARRAY, (4, 4, 1), 0);
    let whole = 8 * kernel.host().unwrap().possible_cpus as usize;
    let value: Vec<u8> = (0..whole).map(|i| if i % 8 < 4 { i as u8 + 1 } else { 0 }).collect();
    kernel.update(&map, &[0; 4], &value).unwrap();
    assert_eq!(kernel.lookup(&map, &[0; 4], whole).unwrap(), Some(value));
    assert_eq!(errno(kernel.lookup(&map, &[0; 4], 4)), libc::EINVAL);
}

fn lengths_must_be_the_maps<K: Kernel>(kernel: &mut K, _: &Room) {
    let map = map(kernel, MapType::HASH, (4, 8, 2), 0);
    assert_eq!(errno(kernel.lookup(&map, &[0; 4], 7)), libc::EINVAL);
    assert_eq!(errno(kernel.lookup(&map, &[0; 3], 8)), libc::EINVAL);
    assert_eq!(errno(kernel.update(&map, &[0; 4], &[0; 9])), libc::EINVAL);
    assert_eq!(errno(kernel.update(&map, &[0; 5], &[0; 8])), libc::EINVAL);
    assert_eq!(errno(kernel.next_key(&map, None, 3)), libc::EINVAL);
    assert_eq!(errno(kernel.next_key(&map, Some(&[0; 3]), 4)), libc::EINVAL);
}

fn frozen_maps_refuse_writes<K: Kernel>(kernel: &mut K, room: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 4, 1), RDONLY_PROG);
    kernel.update(&map, &[0; 4], &[1; 4]).unwrap();
    assert!(!kernel.is_frozen(&map).unwrap());
    kernel.freeze(&map).unwrap();
    assert!(kernel.is_frozen(&map).unwrap());
    // EBUSY on 6.1, where it does not count as a write.
    let again = if room.version < (6, 12) { libc::EBUSY } else { libc::EPERM };
    assert_eq!(errno(kernel.freeze(&map)), again);
    assert_eq!(errno(kernel.update(&map, &[0; 4], &[2; 4])), libc::EPERM);
    let pin = room.bpffs.join("frozen");
    kernel.pin(&map, &pin).unwrap();
    let (_, again) = kernel.open_pin(&pin).unwrap();
    assert_eq!(errno(kernel.update(&again, &[0; 4], &[2; 4])), libc::EPERM);
    assert_eq!(kernel.lookup(&again, &[0; 4], 4).unwrap(), Some(vec![1; 4]));
}

fn access_flags_belong_to_the_descriptor<K: Kernel>(kernel: &mut K, room: &Room) {
    let reader = map(kernel, MapType::HASH, (4, 4, 1), RDONLY);
    assert_eq!(errno(kernel.update(&reader, &[0; 4], &[1; 4])), libc::EPERM);
    if room.version >= (6, 12) {
        assert_eq!(errno(kernel.freeze(&reader)), libc::EPERM);
    }
    let id = kernel.map_info(&reader).unwrap().id;
    let again = kernel.map_by_id(id).unwrap();
    kernel.update(&again, &[0; 4], &[1; 4]).unwrap();
    assert_eq!(kernel.lookup(&reader, &[0; 4], 4).unwrap(), Some(vec![1; 4]));
    let writer = map(kernel, MapType::HASH, (4, 4, 1), WRONLY);
    kernel.update(&writer, &[0; 4], &[1; 4]).unwrap();
    assert_eq!(errno(kernel.lookup(&writer, &[0; 4], 4)), libc::EPERM);
}

/// Makes `count` entries with different keys, which an LPM trie and an array take as well.
fn entries<K: Kernel>(kernel: &K, map: &K::Fd, count: u32, seed: u8) -> Entries {
    let info = kernel.map_info(map).unwrap();
    let host = kernel.host().unwrap();
    let (key_size, size) = (info.key_size as usize, info.value_size as usize);
    let value_size = user_value_size(info.map_type, info.value_size, &host);
    let key = |index: u32| match info.map_type {
        MapType::LPM_TRIE => [32u32.to_ne_bytes(), index.to_be_bytes()].concat(),
        _ => [&index.to_ne_bytes()[..], &vec![7; key_size - 4]].concat(),
    };
    let value = |index: u32| {
        let mut value = vec![index as u8 ^ seed; value_size];
        // What stands behind the value of a CPU up to a whole word is nobody's.
        if value_size != size {
            value.chunks_mut(size.next_multiple_of(8)).for_each(|chunk| chunk[size..].fill(0));
        }
        value
    };
    let (keys, values) = ((0..count).flat_map(key).collect(), (0..count).flat_map(value).collect());
    Entries::of(key_size, value_size, keys, values).unwrap()
}

/// Reads a map, in which no entry is there twice.
#[track_caller]
fn read<K: Kernel>(kernel: &K, map: &K::Fd) -> Entries {
    let info = kernel.map_info(map).unwrap();
    let sizes = (info.key_size as usize, user_value_size(info.map_type, info.value_size, &kernel.host().unwrap()));
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    let mut take = |some_keys: &[u8], some_values: &[u8]| {
        assert!(!some_keys.is_empty());
        keys.extend_from_slice(some_keys);
        values.extend_from_slice(some_values);
        ControlFlow::Continue(())
    };
    kernel.read_entries(map, sizes, &mut take).unwrap();
    Entries::of(sizes.0, sizes.1, keys, values).unwrap()
}

/// Returns the entries whose number by key divides by `by`.
fn every(by: usize, entries: &Entries) -> Entries {
    let some = || entries.iter().step_by(by);
    let keys = some().flat_map(|(key, _)| key.to_vec()).collect();
    let values = some().flat_map(|(_, value)| value.to_vec()).collect();
    Entries::of(entries.key_size(), entries.value_size(), keys, values).unwrap()
}

fn many_entries_come_back<K: Kernel>(kernel: &mut K, _: &Room) {
    // Two values fill what is read at once, so that a bucket of two has no room.
    const LARGE: u32 = 200_000;
    let rows = [
        (MapType::HASH, (4, 8, 20_000), 0, 20_000),
        (MapType::HASH, (4, 1, 5), 0, 1),
        (MapType::HASH, (5, 4096, 300), NO_PREALLOC, 300),
        (MapType::HASH, (4, LARGE, 16), NO_PREALLOC, 16),
        (MapType::HASH, (4, 8, 100), 0, 0),
        (MapType::PERCPU_HASH, (4, 12, 9_000), 0, 9_000),
        (MapType::PERCPU_HASH, (4, 1, 4), 0, 3),
        (MapType::LRU_HASH, (16, 8, 10_000), 0, 60),
        (MapType::LRU_PERCPU_HASH, (4, 5, 10_000), 0, 60),
        (MapType::LPM_TRIE, (8, 8, 9_000), NO_PREALLOC, 9_000),
        (MapType::LPM_TRIE, (8, 4096, 1), NO_PREALLOC, 1),
        (MapType::LPM_TRIE, (8, 1, 3), NO_PREALLOC, 0),
    ];
    for (map_type, sizes, flags, count) in rows {
        let map = map(kernel, map_type, sizes, flags);
        let (first, second) = (entries(kernel, &map, count, 1), entries(kernel, &map, count, 2));
        kernel.write_entries(&map, &first).unwrap();
        assert!(read(kernel, &map) == first, "{map_type} {sizes:?}");
        kernel.write_entries(&map, &second).unwrap();
        assert!(read(kernel, &map) == second, "{map_type} {sizes:?}");
        let (third, all) = (every(3, &second), second);
        kernel.delete_entries(&map, &third).unwrap();
        assert_eq!(read(kernel, &map).len(), all.len() - third.len(), "{map_type} {sizes:?}");
        assert!(read(kernel, &map).iter().all(|(key, value)| all.get(key) == Some(value)));
        // Those that are gone do not matter.
        kernel.delete_entries(&map, &all).unwrap();
        assert!(read(kernel, &map).is_empty(), "{map_type} {sizes:?}");
    }
    let arrays = [
        (MapType::ARRAY, (4, 8, 9_000), 0),
        (MapType::ARRAY, (4, 3, 9_000), MMAPABLE),
        (MapType::ARRAY, (4, 4096, 70), MMAPABLE),
        (MapType::ARRAY, (4, 1, 1), 0),
        (MapType::PERCPU_ARRAY, (4, 9, 700), 0),
    ];
    for (map_type, sizes, flags) in arrays {
        let map = map(kernel, map_type, sizes, flags);
        assert!(read(kernel, &map).values().iter().all(|byte| *byte == 0));
        let (all, few) = (entries(kernel, &map, sizes.2, 1), entries(kernel, &map, 1, 9));
        kernel.write_entries(&map, &all).unwrap();
        assert!(read(kernel, &map) == all, "{map_type} {sizes:?}");
        kernel.write_entries(&map, &few).unwrap();
        assert_eq!(read(kernel, &map).get(&[0; 4]), few.get(&[0; 4]), "{map_type} {sizes:?}");
        let (done, error) = kernel.delete_entries(&map, &all).unwrap_err();
        assert_eq!((done, error.raw_os_error()), (0, Some(libc::EINVAL)), "{map_type} {sizes:?}");
    }
}

fn many_entries_stop_where_the_map_is_full<K: Kernel>(kernel: &mut K, room: &Room) {
    let rows = [
        (MapType::HASH, (4, 8, 1), 0, 2, libc::E2BIG),
        (MapType::HASH, (4, 8, 90_000), 0, 120_000, libc::E2BIG),
        (MapType::PERCPU_HASH, (4, 8, 100), 0, 300, libc::E2BIG),
        (MapType::LPM_TRIE, (8, 4, 10_000), NO_PREALLOC, 10_001, libc::ENOSPC),
        (MapType::ARRAY, (4, 8, 50), 0, 60, libc::E2BIG),
        (MapType::ARRAY, (4, 8, 50), MMAPABLE, 60, libc::E2BIG),
        (MapType::PERCPU_ARRAY, (4, 8, 50), 0, 60, libc::E2BIG),
    ];
    for (map_type, sizes, flags, count, code) in rows {
        let map = map(kernel, map_type, sizes, flags);
        // In the order of their bytes, where the indexes of an array stay in order below 256.
        let all = entries(kernel, &map, count, 1);
        let (done, error) = kernel.write_entries(&map, &all).unwrap_err();
        assert_eq!((done, error.raw_os_error()), (sizes.2 as usize, Some(code)), "{map_type} {sizes:?}");
        let held = read(kernel, &map);
        assert_eq!(held.len(), done, "{map_type} {sizes:?}");
        assert!(held.iter().all(|(key, value)| all.get(key) == Some(value)), "{map_type} {sizes:?}");
    }
    if room.version >= (6, 1) {
        let map = map(kernel, MapType::LRU_HASH, (4, 8, 500), 0);
        let all = entries(kernel, &map, 2_000, 1);
        kernel.write_entries(&map, &all).unwrap();
        assert!((1..=500).contains(&read(kernel, &map).len()), "a full map drops what is old");
    }
}

fn many_entries_must_fit_the_map<K: Kernel>(kernel: &mut K, _: &Room) {
    let map = map(kernel, MapType::HASH, (4, 8, 4), 0);
    let nobody = &mut |_: &[u8], _: &[u8]| panic!("there is nothing to read");
    for (key, value) in [(4, 7), (4, 16), (3, 8)] {
        let wrong = Entries::of(key, value, vec![0; key], vec![0; value]).unwrap();
        let (done, error) = kernel.write_entries(&map, &wrong).unwrap_err();
        assert_eq!((done, error.raw_os_error()), (0, Some(libc::EINVAL)));
        if key != 4 {
            let (done, error) = kernel.delete_entries(&map, &wrong).unwrap_err();
            assert_eq!((done, error.raw_os_error()), (0, Some(libc::EINVAL)));
        }
    }
    kernel.read_entries(&map, (4, 8), nobody).unwrap();
    assert_eq!(errno(kernel.read_entries(&map, (3, 8), nobody)), libc::EINVAL);
    // A reader that has enough is not asked again.
    kernel.write_entries(&map, &entries(kernel, &map, 4, 1)).unwrap();
    let mut asked = 0;
    let mut once = |_: &[u8], _: &[u8]| {
        asked += 1;
        ControlFlow::Break(())
    };
    kernel.read_entries(&map, (4, 8), &mut once).unwrap();
    assert_eq!(asked, 1);
}

fn many_entries_respect_access<K: Kernel>(kernel: &mut K, _: &Room) {
    let reader = map(kernel, MapType::HASH, (4, 4, 3), RDONLY);
    let writer = map(kernel, MapType::HASH, (4, 4, 3), WRONLY);
    let frozen = map(kernel, MapType::ARRAY, (4, 4, 3), MMAPABLE);
    let all = entries(kernel, &frozen, 3, 1);
    kernel.write_entries(&frozen, &all).unwrap();
    kernel.freeze(&frozen).unwrap();
    for refusing in [&reader, &frozen] {
        let (done, error) = kernel.write_entries(refusing, &all).unwrap_err();
        assert_eq!((done, error.raw_os_error()), (0, Some(libc::EPERM)));
        let (done, error) = kernel.delete_entries(refusing, &all).unwrap_err();
        assert_eq!((done, error.raw_os_error()), (0, Some(libc::EPERM)));
    }
    assert!(read(kernel, &frozen) == all && read(kernel, &reader).is_empty());
    kernel.write_entries(&writer, &all).unwrap();
    kernel.delete_entries(&writer, &all).unwrap();
    let nobody = &mut |_: &[u8], _: &[u8]| panic!("nothing may be read");
    assert_eq!(errno(kernel.read_entries(&writer, (4, 4), nobody)), libc::EPERM);
}

fn many_entries_of_slots_are_ids<K: Kernel>(kernel: &mut K, _: &Room) {
    let (program, _) = two(kernel, ProgramType::XDP);
    let inner = map(kernel, MapType::HASH, (4, 4, 1), 0);
    let ids = (kernel.program_info(&program).unwrap().id, kernel.map_info(&inner).unwrap().id);
    let of_maps = |map_type| MapRequest { inner: Some(&inner), ..request("rule", map_type, (4, 4, 4), 0) };
    let maps = [
        (map(kernel, MapType::PROG_ARRAY, (4, 4, 4), 0), &program, ids.0),
        (kernel.create_map(&of_maps(MapType::ARRAY_OF_MAPS)).unwrap(), &inner, ids.1),
        (kernel.create_map(&of_maps(MapType::HASH_OF_MAPS)).unwrap(), &inner, ids.1),
    ];
    for (outer, target, id) in maps {
        assert!(read(kernel, &outer).is_empty());
        kernel.update_slot(&outer, &2u32.to_ne_bytes(), target).unwrap();
        let held = read(kernel, &outer);
        assert_eq!((held.keys(), held.values()), (&2u32.to_ne_bytes()[..], &id.to_ne_bytes()[..]));
    }
}

fn inner_maps_fit_their_template<K: Kernel>(kernel: &mut K, _: &Room) {
    let rows = [
        (MapType::HASH, (4, 8, 10), 0, MapType::HASH, (4, 8, 99), 0, true),
        (MapType::HASH, (4, 8, 10), 0, MapType::HASH, (4, 4, 10), 0, false),
        (MapType::HASH, (4, 8, 10), 0, MapType::LRU_HASH, (4, 8, 10), 0, false),
        (MapType::HASH, (4, 8, 10), 0, MapType::HASH, (4, 8, 10), NO_PREALLOC, false),
        (MapType::ARRAY, (4, 8, 10), 0, MapType::ARRAY, (4, 8, 10), 0, true),
        (MapType::ARRAY, (4, 8, 10), 0, MapType::ARRAY, (4, 8, 11), 0, false),
        (MapType::ARRAY, (4, 8, 10), INNER_MAP, MapType::ARRAY, (4, 8, 11), INNER_MAP, true),
        (MapType::ARRAY, (4, 8, 10), INNER_MAP, MapType::ARRAY, (4, 8, 10), 0, false),
    ];
    for (outer_type, key) in [(MapType::ARRAY_OF_MAPS, 4), (MapType::HASH_OF_MAPS, 4)] {
        for (left, left_sizes, left_flags, right, right_sizes, right_flags, fits) in rows {
            let template = map(kernel, left, left_sizes, left_flags);
            let asked = MapRequest { inner: Some(&template), ..request("rule", outer_type, (key, 4, 3), 0) };
            let outer = kernel.create_map(&asked).unwrap();
            let inner = map(kernel, right, right_sizes, right_flags);
            let result = kernel.update_slot(&outer, &2u32.to_ne_bytes(), &inner).map_err(|error| error.raw_os_error());
            let expected = if fits { Ok(()) } else { Err(Some(libc::EINVAL)) };
            assert_eq!(
                result, expected,
                "{left} {left_sizes:?} {left_flags:#x} and {right} {right_sizes:?} {right_flags:#x}"
            );
            let id = kernel.map_info(&inner).unwrap().id;
            let slot = kernel.lookup(&outer, &2u32.to_ne_bytes(), 4).unwrap();
            assert_eq!(slot, fits.then(|| id.to_ne_bytes().to_vec()));
        }
    }
}

fn inner_templates_have_limits<K: Kernel>(kernel: &mut K, _: &Room) {
    let array = map(kernel, MapType::ARRAY, (4, 8, 1), 0);
    let slots = map(kernel, MapType::PROG_ARRAY, (4, 4, 1), 0);
    let asked = MapRequest { inner: Some(&array), ..request("rule", MapType::ARRAY_OF_MAPS, (4, 4, 2), 0) };
    let outer = kernel.create_map(&asked).unwrap();
    for (inner, code) in [(&outer, libc::EINVAL), (&slots, ENOTSUPP)] {
        let asked = MapRequest { inner: Some(inner), ..request("rule", MapType::ARRAY_OF_MAPS, (4, 4, 2), 0) };
        assert_eq!(errno(kernel.create_map(&asked)), code);
    }
    assert_eq!(errno(kernel.update_slot(&outer, &2u32.to_ne_bytes(), &array)), libc::E2BIG);
}

fn prog_arrays_belong_to_one_type<K: Kernel>(kernel: &mut K, _: &Room) {
    let (first, _) = two(kernel, ProgramType::XDP);
    let (other, _) = two(kernel, ProgramType::SCHED_CLS);
    let slots = map(kernel, MapType::PROG_ARRAY, (4, 4, 2), 0);
    assert_eq!(kernel.lookup(&slots, &[0; 4], 4).unwrap(), None);
    kernel.update_slot(&slots, &0u32.to_ne_bytes(), &first).unwrap();
    let id = kernel.program_info(&first).unwrap().id;
    assert_eq!(kernel.lookup(&slots, &[0; 4], 4).unwrap(), Some(id.to_ne_bytes().to_vec()));
    assert_eq!(errno(kernel.update_slot(&slots, &1u32.to_ne_bytes(), &other)), libc::EINVAL);
    assert_eq!(errno(kernel.update_slot(&slots, &2u32.to_ne_bytes(), &first)), libc::E2BIG);
    let number = kernel.number(&slots);
    assert_eq!(load_errno(load(kernel, ProgramType::SCHED_CLS, &tail_call(number))), libc::EINVAL);
    load(kernel, ProgramType::XDP, &tail_call(number)).unwrap();
}

/// `bpf_tail_call(ctx, slots, 0)`, then 2.
fn tail_call(slots: i32) -> Vec<Insn> {
    let mut insns = uses(&[slots]);
    insns[0].regs = Registers::new(2, 1);
    let call = [
        Insn { code: 0xb7, regs: Registers::new(3, 0), ..Insn::default() },
        Insn { code: CALL, imm: 12, ..Insn::default() },
    ];
    insns.splice(2..2, call);
    insns
}

fn prog_arrays_without_a_holder_are_emptied<K: Kernel>(kernel: &mut K, _: &Room) {
    let (target, _) = two(kernel, ProgramType::XDP);
    let slots = map(kernel, MapType::PROG_ARRAY, (4, 4, 1), 0);
    kernel.update_slot(&slots, &0u32.to_ne_bytes(), &target).unwrap();
    let number = kernel.number(&slots);
    let caller = load(kernel, ProgramType::XDP, &tail_call(number)).unwrap();
    let id = kernel.map_info(&slots).unwrap().id;
    drop(slots);
    // Opened only once: a close while the last one is still being worked on leaks the map until the next boot
    // (`prog_array_map_clear` takes a reference for work that is queued already; seen on 6.18).
    let slots = kernel.map_by_id(id).expect("the program keeps the map");
    eventually(|| kernel.lookup(&slots, &[0; 4], 4).unwrap().is_none());
    drop(caller);
}

fn names_have_letters_digits_underscores_and_dots<K: Kernel>(kernel: &mut K, _: &Room) {
    let rows = [
        ("", true),
        ("a_B.9", true),
        ("fifteen_letters", true),
        ("sixteen_letters_", false),
        ("a-b", false),
        ("ä", false),
    ];
    for (name, fine) in rows {
        let map = kernel.create_map(&request(name, MapType::ARRAY, (4, 4, 1), 0));
        match fine {
            true => assert_eq!(kernel.map_info(&map.unwrap()).unwrap().name, name),
            false => assert_eq!(errno(map), libc::EINVAL, "{name}"),
        }
    }
}

fn ids_rise_and_die_with_their_objects<K: Kernel>(kernel: &mut K, room: &Room) {
    let first = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let second = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let ids = [&first, &second].map(|map| kernel.map_info(map).unwrap().id);
    assert!(0 < ids[0] && ids[0] < ids[1]);
    let pin = room.bpffs.join("map");
    kernel.pin(&first, &pin).unwrap();
    drop((first, second));
    eventually(|| kernel.map_by_id(ids[1]).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    let again = kernel.map_by_id(ids[0]).unwrap();
    assert_eq!(kernel.map_info(&again).unwrap().id, ids[0]);
    assert_eq!(errno(kernel.program_by_id(u32::MAX)), libc::ENOENT);
    assert_eq!(errno(kernel.btf(u32::MAX)), libc::ENOENT);
}

// Programs.

fn programs_tell_their_maps_by_first_use<K: Kernel>(kernel: &mut K, _: &Room) {
    let maps: Vec<_> = (0..20).map(|_| map(kernel, MapType::ARRAY, (4, 4, 1), 0)).collect();
    let order: Vec<usize> = (0..20).rev().chain(0..20).collect();
    let numbers: Vec<_> = order.iter().map(|i| kernel.number(&maps[*i])).collect();
    let program = load(kernel, ProgramType::XDP, &uses(&numbers)).unwrap();
    let ids: Vec<_> = maps.iter().rev().map(|map| kernel.map_info(map).unwrap().id).collect();
    let info = kernel.program_info(&program).unwrap();
    assert_eq!((info.program_type, info.name.as_str(), info.btf_id), (ProgramType::XDP, "rule", 0));
    assert_eq!(info.map_ids, ids);
    drop(maps);
    let kept = kernel.map_by_id(ids[0]).expect("the program keeps its maps");
    drop((kept, program));
    eventually(|| kernel.map_by_id(ids[0]).is_err());
}

fn programs_need_valid_maps<K: Kernel>(kernel: &mut K, _: &Room) {
    assert_eq!(load_errno(load(kernel, ProgramType::XDP, &uses(&[4000]))), libc::EBADF);
    let (program, _) = two(kernel, ProgramType::XDP);
    let number = kernel.number(&program);
    assert_eq!(load_errno(load(kernel, ProgramType::XDP, &uses(&[number]))), libc::EINVAL);
    // The address of a value: only an array of one entry has one.
    for (max, fine) in [(1, true), (2, false)] {
        let map = map(kernel, MapType::ARRAY, (4, 4, max), 0);
        let mut insns = uses(&[kernel.number(&map)]);
        insns[0].regs = Registers::new(1, 2);
        assert_eq!(load(kernel, ProgramType::XDP, &insns).is_ok(), fine, "{max}");
    }
}

fn refusals_carry_a_log<K: Kernel>(kernel: &mut K, _: &Room) {
    let insns = [returns(2), vec![Insn { code: 0xb7, ..Insn::default() }]].concat();
    let refused = load(kernel, ProgramType::XDP, &insns).err().unwrap();
    assert_eq!(refused.error.raw_os_error(), Some(libc::EINVAL));
    assert!(refused.log.contains("last insn is not an exit"), "{}", refused.log);
    assert_eq!(load_errno(load(kernel, ProgramType::XDP, &[])), libc::E2BIG);
    assert_eq!(load_errno(load(kernel, ProgramType(4000), &returns(0))), libc::EINVAL);
}

fn broken_btf_is_refused<K: Kernel>(kernel: &mut K, _: &Room) {
    for bytes in [&b""[..], b"hello", &[0; 24]] {
        assert_eq!(load_errno(kernel.load_btf(bytes)), libc::EINVAL, "{bytes:?}");
    }
}

/// BTF of a number and a tagged function: `unsigned int` is type 1, the function type 3.
fn tagged(tag: &str) -> Vec<u8> {
    let mut btf = Btf::default();
    btf.push(Type::Int { name: "int".into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Unsigned });
    let proto = btf.push(Type::FuncProto { ret: 1, params: vec![] });
    let ty = btf.push(Type::Func { name: "main".into(), proto, linkage: Linkage::Global });
    btf.push(Type::DeclTag { name: tag.into(), ty, component: None, attribute: false });
    btf.encode()
}

fn btf_comes_back_through_maps_and_programs<K: Kernel>(kernel: &mut K, room: &Room) {
    if room.version < (5, 16) {
        return common::skip("btf_comes_back_through_maps_and_programs", "this kernel has no BTF declaration tags");
    }
    let digest = Digest::of(b"code");
    let bytes = tagged(&format!("bpfapply:v1:drop:sha256={digest}"));
    let btf = kernel.load_btf(&bytes).unwrap();
    let types = Some((&btf, 1, 1));
    let asked = MapRequest { types, ..request("rule", MapType::ARRAY, (4, 4, 1), RDONLY_PROG) };
    let map = kernel.create_map(&asked).unwrap();
    let info = kernel.map_info(&map).unwrap();
    assert_eq!((info.key_type_id, info.value_type_id), (1, 1));
    assert_eq!(kernel.btf(info.btf_id).unwrap(), bytes);
    let asked = MapRequest { types, ..request("rule", MapType::DEVMAP, (4, 4, 1), 0) };
    assert_eq!(errno(kernel.create_map(&asked)), ENOTSUPP);

    let insns = uses(&[kernel.number(&map)]);
    let mut load = |funcs| {
        let request = ProgramRequest {
            expected_attach_type: AttachType::XDP,
            btf: Some(&btf),
            funcs,
            ..ProgramRequest::plain("rule", ProgramType::XDP, &insns)
        };
        kernel.load_program(&request).unwrap()
    };
    let (silent, program) = (load(&[]), load(&[FuncRecord { insn: 0, type_id: 3 }]));
    assert_eq!(kernel.program_info(&silent).unwrap().btf_id, 0, "nothing refers to it");
    assert_eq!(kernel.program_info(&program).unwrap().btf_id, info.btf_id);

    // The same through observe.
    kernel.update(&map, &[0; 4], b"data").unwrap();
    kernel.freeze(&map).unwrap();
    let pins = ["map", "program"].map(|name| room.bpffs.join(name));
    kernel.pin(&map, &pins[0]).unwrap();
    kernel.pin(&program, &pins[1]).unwrap();
    let wanted = Wanted { bpffs: Some(room.bpffs.clone()), pins: pins.clone().into(), ..Wanted::default() };
    let observed = observe(kernel, &wanted).unwrap();
    let (Pinned::Map(map), Pinned::Program(program)) = (&observed.pins[&pins[0]], &observed.pins[&pins[1]]) else {
        panic!("{:?}", observed.pins)
    };
    assert_eq!(map.frozen_value.as_deref(), Some(&b"data"[..]));
    assert_eq!(map.spec.types.as_ref().map(|types| (types.key, types.value)), Some((1, 1)));
    assert_eq!(program.fingerprints["drop"], digest);
    assert_eq!(program.info.map_ids, [map.info.id]);
}

/// BTF that a program brought stands for no module, and is found by its id, as any.
fn functions_of_modules_need_their_btf<K: Kernel>(kernel: &mut K, room: &Room) {
    if room.version < (5, 16) {
        return common::skip("functions_of_modules_need_their_btf", "this kernel has no functions of modules");
    }
    let btf = kernel.load_btf(&tagged("any")).unwrap();
    assert_eq!(kernel.module_name(&btf).unwrap(), None);
    let types = Some((&btf, 1, 1));
    let map = kernel.create_map(&MapRequest { types, ..request("rule", MapType::ARRAY, (4, 4, 1), 0) }).unwrap();
    let id = kernel.map_info(&map).unwrap().btf_id;
    assert_eq!(kernel.module_name(&kernel.btf_by_id(id).unwrap()).unwrap(), None);
    assert_eq!(kernel.next_btf(id - 1).unwrap(), id);
    assert_eq!(errno(kernel.next_btf(i32::MAX.cast_unsigned() - 1)), libc::ENOENT);
    assert_eq!(errno(kernel.btf_by_id(u32::MAX)), libc::ENOENT);

    let call = Insn { code: CALL, regs: Registers::new(0, PSEUDO_KFUNC_CALL), off: 1, imm: 1 };
    let insns = [&[call][..], &returns(2)].concat();
    let number = kernel.number(&btf);
    let mut refused = |fd_array: &[i32], log: &str, code| {
        let request = ProgramRequest {
            expected_attach_type: AttachType::XDP,
            fd_array,
            ..ProgramRequest::plain("rule", ProgramType::XDP, &insns)
        };
        let refusal = kernel.load_program(&request).unwrap_err();
        assert_eq!(refusal.error.raw_os_error(), Some(code), "{}", refusal.log);
        assert!(refusal.log.contains(log), "{}", refusal.log);
    };
    refused(&[], "kfunc offset > 0 without fd_array is invalid", libc::EPROTO);
    refused(&[0, number], "BTF fd for kfunc is not a module BTF", libc::EINVAL);
}

// bpffs.

fn pins_have_the_errors_of_files<K: Kernel>(kernel: &mut K, room: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let (program, _) = two(kernel, ProgramType::XDP);
    let (pin, folder) = (room.bpffs.join("pin"), room.bpffs.join("folder"));
    kernel.make_directory(&folder).unwrap();
    kernel.pin(&map, &pin).unwrap();
    let dotted = path("/sys/fs/bpf/a.b");
    let rows = [
        (&pin, libc::EEXIST),
        (&folder, libc::EEXIST),
        (&room.bpffs.join("no").join("folder"), libc::ENOENT),
        (&dotted, libc::EPERM),
        (&path("/sys/fs/elsewhere"), libc::EPERM),
    ];
    for (path, code) in rows {
        assert_eq!(errno(kernel.pin(&program, path)), code, "{path}");
    }
    let (kind, opened) = kernel.open_pin(&pin).unwrap();
    assert_eq!(kind, ObjectKind::Map);
    assert_eq!(kernel.map_info(&opened).unwrap(), kernel.map_info(&map).unwrap());
    let rows = [
        (&folder, libc::EACCES),
        (&room.bpffs.join("none"), libc::ENOENT),
        (&pin.join("below"), libc::ENOTDIR),
        (&dotted, libc::EPERM),
    ];
    for (path, code) in rows {
        assert_eq!(errno(kernel.open_pin(path)), code, "{path}");
    }
    kernel.pin(&program, &folder.join("program")).unwrap();
    assert_eq!(kernel.open_pin(&folder.join("program")).unwrap().0, ObjectKind::Program);
    assert_eq!(pins(kernel, &room.bpffs), ["folder", "pin"]);
    kernel.unpin(&folder.join("program")).unwrap();
    assert_eq!(errno(kernel.unpin(&folder)), libc::EISDIR);
    assert_eq!(errno(kernel.unpin(&room.bpffs.join("none"))), libc::ENOENT);
}

fn folders_have_the_errors_of_files<K: Kernel>(kernel: &mut K, room: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let (a, pin) = (room.bpffs.join("a"), room.bpffs.join("pin"));
    kernel.pin(&map, &pin).unwrap();
    assert!(kernel.is_bpffs(&room.bpffs).unwrap());
    assert!(!kernel.is_bpffs(&path("/sys/fs")).unwrap());
    assert_eq!(errno(kernel.is_bpffs(&a)), libc::ENOENT);
    assert_eq!(errno(kernel.make_directory(&a.join("b"))), libc::ENOENT);
    kernel.make_directory(&a).unwrap();
    assert_eq!(errno(kernel.make_directory(&a)), libc::EEXIST);
    assert_eq!(errno(kernel.make_directory(&pin)), libc::EEXIST);
    assert_eq!(errno(kernel.make_directory(&path("/sys/fs/bpf/a.b"))), libc::EPERM);
    kernel.make_directory(&a.join("b")).unwrap();
    assert!(kernel.is_bpffs(&a.join("b")).unwrap());
    assert_eq!(errno(kernel.remove_directory(&a)), libc::ENOTEMPTY);
    assert_eq!(errno(kernel.remove_directory(&pin)), libc::ENOTDIR);
    assert_eq!(errno(kernel.list(&pin)), libc::ENOTDIR);
    assert_eq!(errno(kernel.list(&room.bpffs.join("none"))), libc::ENOENT);
    kernel.remove_directory(&a.join("b")).unwrap();
    kernel.remove_directory(&a).unwrap();
    assert_eq!(errno(kernel.remove_directory(&a)), libc::ENOENT);
    // A second mount hides what is below, and is empty.
    kernel.make_directory(&a).unwrap();
    kernel.mount_bpffs(&a).unwrap();
    assert_eq!(pins(kernel, &a), [""; 0]);
    assert_eq!(errno(kernel.remove_directory(&a)), libc::EBUSY);
}

fn locks_keep_out_who_asks<K: Kernel>(kernel: &mut K, room: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let (a, pin) = (room.bpffs.join("a"), room.bpffs.join("pin"));
    kernel.pin(&map, &pin).unwrap();
    kernel.make_directory(&a).unwrap();
    let lock = kernel.lock(&a).unwrap().expect("nobody has it");
    assert!(kernel.lock(&a).unwrap().is_none());
    assert!(kernel.lock_holder(&a).unwrap().is_some());
    // Each folder has its own, and it keeps out only who asks.
    assert!(kernel.lock_holder(&room.bpffs).unwrap().is_none());
    assert!(kernel.lock(&room.bpffs).unwrap().is_some());
    kernel.make_directory(&a.join("b")).unwrap();
    kernel.remove_directory(&a.join("b")).unwrap();
    drop(lock);
    assert!(kernel.lock_holder(&a).unwrap().is_none());
    assert!(kernel.lock(&a).unwrap().is_some());
    assert_eq!(errno(kernel.lock(&a.join("b"))), libc::ENOENT);
    assert_eq!(errno(kernel.lock(&pin)), libc::ENOTDIR);
}

fn renames_replace<K: Kernel>(kernel: &mut K, room: &Room) {
    let maps = [1, 2].map(|max| map(kernel, MapType::ARRAY, (4, 4, max), 0));
    let [a, b, folder, other] = ["a", "b", "folder", "other"].map(|name| room.bpffs.join(name));
    kernel.pin(&maps[0], &a).unwrap();
    kernel.pin(&maps[1], &b).unwrap();
    kernel.rename(&a, &b).unwrap();
    let (_, there) = kernel.open_pin(&b).unwrap();
    assert_eq!(kernel.map_info(&there).unwrap().max_entries, 1);
    assert_eq!(errno(kernel.rename(&a, &b)), libc::ENOENT);
    kernel.make_directory(&folder).unwrap();
    assert_eq!(errno(kernel.rename(&b, &folder)), libc::EISDIR);
    assert_eq!(errno(kernel.rename(&folder, &b)), libc::ENOTDIR);
    kernel.rename(&b, &folder.join("b")).unwrap();
    kernel.make_directory(&other).unwrap();
    assert_eq!(errno(kernel.rename(&other, &folder)), libc::ENOTEMPTY);
    kernel.rename(&folder, &other).unwrap();
    assert_eq!(names(kernel, &other), ["b"]);
    assert_eq!(errno(kernel.rename(&other, &path("/sys/fs/bpf/a.b"))), libc::EPERM);
    kernel.unpin(&other.join("b")).unwrap();
}

fn hard_links_are_the_same_pin<K: Kernel>(kernel: &mut K, room: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let [folder, pin, other] = ["folder", "pin", "other"].map(|name| room.bpffs.join(name));
    kernel.make_directory(&folder).unwrap();
    kernel.pin(&map, &pin).unwrap();
    kernel.pin(&map, &other).unwrap();
    let inside = folder.join("pin");
    kernel.hard_link(&pin, &inside).unwrap();
    let entry = |kernel: &K, pin: &PinPath| {
        let entries = kernel.list(&pin.parent().unwrap()).unwrap();
        entries.into_iter().find(|entry| entry.name == pin.file_name()).unwrap()
    };
    let first = entry(kernel, &pin);
    assert_eq!(first.kind, EntryKind::Pin);
    assert_eq!(entry(kernel, &folder).kind, EntryKind::Folder);
    assert_eq!(entry(kernel, &inside).inode, first.inode, "one pin with two names");
    assert_ne!(entry(kernel, &other).inode, first.inode, "another pin of the same map");
    assert_eq!(errno(kernel.hard_link(&pin, &inside)), libc::EEXIST);
    assert_eq!(errno(kernel.hard_link(&pin, &room.bpffs.join("none").join("x"))), libc::ENOENT);
    assert_eq!(errno(kernel.hard_link(&room.bpffs.join("none"), &folder.join("x"))), libc::ENOENT);
    assert_eq!(errno(kernel.hard_link(&folder, &folder.join("x"))), libc::EPERM);
    kernel.unpin(&pin).unwrap();
    drop(map);
    assert_eq!(kernel.open_pin(&inside).unwrap().0, ObjectKind::Map, "the other name keeps the map");
    kernel.rename(&inside, &pin).unwrap();
    assert_eq!(entry(kernel, &pin).inode, first.inode, "a new name does not make it another pin");
}

fn symlinks_switch_folders<K: Kernel>(kernel: &mut K, room: &Room) {
    let maps = [1, 2].map(|max| map(kernel, MapType::ARRAY, (4, 4, max), 0));
    let [root, passing, first, second] = ["edge", "edge~", "edge~1", "edge~2"].map(|name| room.bpffs.join(name));
    assert_eq!(errno(kernel.read_symlink(&root)), libc::ENOENT);
    for (map, folder) in maps.iter().zip([&first, &second]) {
        kernel.make_directory(folder).unwrap();
        kernel.pin(map, &folder.join("map")).unwrap();
    }
    assert_eq!(errno(kernel.read_symlink(&first)), libc::EINVAL);
    kernel.symlink("edge~1", &passing).unwrap();
    kernel.rename_new(&passing, &root).unwrap();
    assert_eq!(errno(kernel.symlink("edge~2", &root)), libc::EEXIST);
    assert_eq!(kernel.read_symlink(&root).unwrap(), "edge~1");
    let found = |kernel: &K| {
        let (_, map) = kernel.open_pin(&root.join("map")).unwrap();
        (kernel.map_info(&map).unwrap().max_entries, names(kernel, &root))
    };
    assert_eq!(found(kernel), (1, vec!["map".to_owned()]));
    kernel.symlink("edge~2", &passing).unwrap();
    for taken in [&root, &first] {
        assert_eq!(errno(kernel.rename_new(&passing, taken)), libc::EEXIST);
    }
    kernel.rename(&passing, &root).unwrap();
    assert_eq!(found(kernel), (2, vec!["map".to_owned()]));
    assert_eq!(errno(kernel.rename(&first, &root)), libc::ENOTDIR);
    assert_eq!(errno(kernel.rename(&root, &first)), libc::EISDIR);
    assert_eq!(errno(kernel.remove_directory(&root)), libc::ENOTDIR);
    kernel.unpin(&second.join("map")).unwrap();
    kernel.unpin(&root).unwrap();
    assert_eq!(names(kernel, &second), [""; 0]);
    // Nobody minds a symbolic link that leads nowhere.
    kernel.symlink("edge~3", &root).unwrap();
    assert_eq!(errno(kernel.open_pin(&root.join("map"))), libc::ENOENT);
    assert_eq!(errno(kernel.list(&root)), libc::ENOENT);
    kernel.unpin(&root).unwrap();
    kernel.unpin(&first.join("map")).unwrap();
}

fn changes_go_through_no_symlink<K: Kernel>(kernel: &mut K, room: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let [other, planted, pin] = ["other", "planted", "pin"].map(|name| room.bpffs.join(name));
    let (there, through) = (other.join("map"), planted.join("map"));
    kernel.make_directory(&other).unwrap();
    kernel.make_directory(&other.join("folder")).unwrap();
    kernel.pin(&map, &there).unwrap();
    kernel.pin(&map, &pin).unwrap();
    kernel.symlink("other", &planted).unwrap();
    let before = [names(kernel, &other), names(kernel, &room.bpffs)];
    assert!(kernel.open_pin(&through).is_ok(), "reading follows it");
    let new = planted.join("new");
    let refused = [
        kernel.pin(&map, &new),
        kernel.unpin(&through),
        kernel.make_directory(&new),
        kernel.remove_directory(&planted.join("folder")),
        kernel.hard_link(&pin, &new),
        kernel.hard_link(&through, &room.bpffs.join("new")),
        kernel.symlink("map", &new),
        kernel.rename(&pin, &through),
        kernel.rename(&through, &room.bpffs.join("new")),
        kernel.change_mode(&through, 0o644),
        kernel.change_owner(&through, 1, 1),
        kernel.pin(&map, &planted.join("folder").join("deeper")),
    ];
    for (number, refused) in refused.into_iter().enumerate() {
        let error = refused.expect_err("there is a symbolic link in the way");
        assert_eq!(SymlinkInTheWay::of(&error), Some(&planted), "change {number}: {error}");
    }
    assert_eq!([names(kernel, &other), names(kernel, &room.bpffs)], before);
    // As the last name it is what is meant, and what it leads to is not.
    assert_eq!(errno(kernel.change_mode(&planted, 0o644)), libc::EOPNOTSUPP);
    kernel.unpin(&planted).unwrap();
    // What was a folder a moment ago may not be one any more.
    let moved = room.bpffs.join("moved");
    kernel.rename(&other, &moved).unwrap();
    kernel.symlink("moved", &other).unwrap();
    let error = kernel.unpin(&there).expect_err("there is a symbolic link in the way");
    assert_eq!(SymlinkInTheWay::of(&error), Some(&other));
    kernel.unpin(&moved.join("map")).unwrap();
    kernel.unpin(&other).unwrap();
}

fn permissions_belong_to_the_pin<K: Kernel>(kernel: &mut K, room: &Room) {
    let map = map(kernel, MapType::ARRAY, (4, 4, 1), 0);
    let [pin, linked, other] = ["pin", "linked", "other"].map(|name| room.bpffs.join(name));
    let read = |kernel: &K, pin| {
        let found = kernel.permissions(pin).unwrap();
        (found.mode, found.owner, found.group)
    };
    assert_eq!(errno(kernel.permissions(&pin)), libc::ENOENT);
    assert_eq!(errno(kernel.change_mode(&pin, 0o644)), libc::ENOENT);
    assert_eq!(errno(kernel.change_owner(&pin, 1, 2)), libc::ENOENT);
    kernel.pin(&map, &pin).unwrap();
    kernel.pin(&map, &other).unwrap();
    kernel.hard_link(&pin, &linked).unwrap();
    assert_eq!(read(kernel, &pin), (0o600, 0, 0));
    kernel.change_owner(&linked, 1, 2).unwrap();
    kernel.change_mode(&pin, 0o640).unwrap();
    assert_eq!([read(kernel, &pin), read(kernel, &linked)], [(0o640, 1, 2); 2], "it is one inode");
    assert_eq!(read(kernel, &other), (0o600, 0, 0), "the map itself has none");
    kernel.unpin(&linked).unwrap();
    assert_eq!(read(kernel, &pin), (0o640, 1, 2));
}

fn accounts_have_numbers<K: Kernel>(kernel: &mut K, _: &Room) {
    for kind in [AccountKind::User, AccountKind::Group] {
        assert_eq!(kernel.account(kind, "root").unwrap(), Some(0));
        assert_eq!(kernel.account(kind, "nobody-has-this-name").unwrap(), None);
    }
}

// Links.

fn xdp_has_one_link<K: Kernel>(kernel: &mut K, _: &Room) {
    let (first, second) = two(kernel, ProgramType::XDP);
    let lo = loopback(kernel);
    assert_eq!((lo.index, lo.xdp), (1, vec![]));
    let native = HookRequest::Xdp { ifindex: 1, mode: XdpMode::Native };
    assert_eq!(errno(kernel.create_link(&first, &native)), libc::EOPNOTSUPP, "lo has no driver mode");
    let auto = HookRequest::Xdp { ifindex: 1, mode: XdpMode::Auto };
    let link = kernel.create_link(&first, &auto).unwrap();
    let id = kernel.program_info(&first).unwrap().id;
    assert_eq!(loopback(kernel).xdp, [(XdpMode::Generic, id)]);
    let info = kernel.link_info(&link).unwrap();
    assert_eq!((info.program_id, info.hook), (id, HookInfo::Xdp { ifindex: 1 }));
    assert_eq!(errno(kernel.create_link(&second, &xdp())), libc::EBUSY);
    assert_eq!(errno(kernel.create_link(&first, &xdp())), libc::EBUSY);
    let nowhere = HookRequest::Xdp { ifindex: 4000, mode: XdpMode::Auto };
    assert_eq!(errno(kernel.create_link(&first, &nowhere)), libc::EINVAL);
    assert_eq!(kernel.interface("nosuch0").unwrap(), None);
}

/// tcx came with 6.6.
fn has_tcx(room: &Room, rule: &str) -> bool {
    if room.version < (6, 6) {
        common::skip(rule, "this kernel has no tcx");
    }
    room.version >= (6, 6)
}

fn tcx_has_many_links<K: Kernel>(kernel: &mut K, room: &Room) {
    if !has_tcx(room, "tcx_has_many_links") {
        return;
    }
    let (first, second) = two(kernel, ProgramType::SCHED_CLS);
    let one = kernel.create_link(&first, &tcx()).unwrap();
    let two = kernel.create_link(&second, &tcx()).unwrap();
    assert_ne!(kernel.link_info(&one).unwrap().id, kernel.link_info(&two).unwrap().id);
    assert_eq!(
        kernel.link_info(&two).unwrap().hook,
        HookInfo::Tcx { ifindex: 1, attach_type: AttachType::TCX_INGRESS }
    );
    let nowhere = HookRequest::Tcx { ifindex: 4000, attach_type: AttachType::TCX_EGRESS };
    assert_eq!(errno(kernel.create_link(&first, &nowhere)), libc::ENODEV);
}

fn cgroups_have_many_links<K: Kernel>(kernel: &mut K, room: &Room) {
    let Some(folder) = &room.cgroup else { return common::skip("cgroups_have_many_links", "no cgroup2") };
    let (cgroup, id) = kernel.open_cgroup(folder).unwrap();
    let attach_type = AttachType::CGROUP_INET_EGRESS;
    let (first, second) = two(kernel, ProgramType::CGROUP_SKB);
    let links = [&first, &second]
        .map(|program| kernel.create_link(program, &HookRequest::Cgroup { cgroup: &cgroup, attach_type }).unwrap());
    let info = kernel.link_info(&links[1]).unwrap();
    let program_id = kernel.program_info(&second).unwrap().id;
    assert_eq!(info, LinkInfo { program_id, hook: HookInfo::Cgroup { cgroup_id: id, attach_type }, ..info.clone() });
    let not_a_cgroup = HookRequest::Cgroup { cgroup: &first, attach_type };
    assert_eq!(errno(kernel.create_link(&first, &not_a_cgroup)), libc::EBADF);
    assert_eq!(errno(kernel.open_cgroup(&folder.join("none"))), libc::ENOENT);
    assert!(folder.starts_with(kernel.cgroup_mount().unwrap().unwrap()));
}

/// The file of the network namespace of the thread.
const OWN_NETNS: &str = "/proc/thread-self/ns/net";

fn network_namespaces_have_lookups_and_one_dissector<K: Kernel>(kernel: &mut K, _: &Room) {
    let (netns, inode) = kernel.open_netns(OWN_NETNS.as_ref()).unwrap();
    assert_eq!(errno(kernel.open_netns("/run/netns/no-such".as_ref())), libc::ENOENT);
    for (program_type, attach_type, second) in [
        (ProgramType::SK_LOOKUP, AttachType::SK_LOOKUP, Ok(())),
        (ProgramType::FLOW_DISSECTOR, AttachType::FLOW_DISSECTOR, Err(Some(libc::E2BIG))),
    ] {
        let programs = [0; 3].map(|verdict| load_for(kernel, program_type, attach_type, &returns(verdict)).unwrap());
        let [first, other, third] = &programs;
        let ids = programs.each_ref().map(|program| kernel.program_info(program).unwrap().id);
        let hook = HookRequest::Netns { netns: &netns, attach_type };
        assert_eq!(kernel.query(&hook).unwrap(), [0; 0], "{program_type}");
        let link = kernel.create_link(first, &hook).unwrap();
        let info = kernel.link_info(&link).unwrap();
        assert_eq!((info.program_id, &info.hook), (ids[0], &HookInfo::Netns { inode, attach_type }));
        let beside = kernel.create_link(other, &hook);
        assert_eq!(beside.as_ref().map(drop).map_err(io::Error::raw_os_error), second, "{program_type}");
        let there = if beside.is_ok() { vec![ids[0], ids[1]] } else { vec![ids[0]] };
        assert_eq!(kernel.query(&hook).unwrap(), there, "{program_type}: later ones are behind");

        assert_eq!(errno(kernel.update_link(&link, third, other)), libc::EPERM, "{program_type}");
        let (xdp, _) = two(kernel, ProgramType::XDP);
        assert_eq!(errno(kernel.update_link(&link, &xdp, first)), libc::EINVAL, "{program_type}");
        assert_eq!(errno(kernel.create_link(&xdp, &hook)), libc::EINVAL, "{program_type}");
        let nowhere = HookRequest::Netns { netns: first, attach_type };
        assert_eq!(errno(kernel.create_link(first, &nowhere)), libc::EINVAL, "{program_type}");
        kernel.update_link(&link, third, first).unwrap();
        assert_eq!(kernel.query(&hook).unwrap()[0], ids[2], "{program_type}: a link keeps its place");

        kernel.detach_link(&link).unwrap();
        let gone = HookInfo::Netns { inode: 0, attach_type };
        assert_eq!(
            kernel.link_info(&link).unwrap(),
            LinkInfo { program_id: ids[2], hook: gone, is_attached: false, ..info }
        );
        kernel.detach_link(&link).unwrap();
        assert_eq!(errno(kernel.update_link(&link, first, third)), libc::ENOLINK, "{program_type}");
    }
}

fn netfilter_has_one_program_for_a_priority<K: Kernel>(kernel: &mut K, room: &Room) {
    if room.version < (6, 4) {
        return common::skip("netfilter_has_one_program_for_a_priority", "this kernel has no such links");
    }
    let load = |kernel: &mut K| load_for(kernel, ProgramType::NETFILTER, AttachType::NETFILTER, &returns(1)).unwrap();
    let (first, second) = (load(kernel), load(kernel));
    let wanted = Netfilter { family: Family::Ipv4, point: Point::Output, priority: -7, defrag: false };
    let hook = HookRequest::Netfilter(wanted);
    assert_eq!(errno(kernel.query(&hook)), libc::EINVAL);
    let link = kernel.create_link(&first, &hook).unwrap();
    let info = kernel.link_info(&link).unwrap();
    let program_id = kernel.program_info(&first).unwrap().id;
    assert_eq!((info.program_id, &info.hook), (program_id, &HookInfo::Netfilter(wanted)));
    let next = kernel.next_link(info.id - 1).unwrap();
    assert_eq!(kernel.link_info(&kernel.link_by_id(next).unwrap()).unwrap(), info);

    assert_eq!(errno(kernel.create_link(&second, &hook)), libc::EBUSY);
    for beside in [
        Netfilter { priority: -6, ..wanted },
        Netfilter { point: Point::Input, ..wanted },
        Netfilter { family: Family::Ipv6, ..wanted },
    ] {
        let link = kernel.create_link(&second, &HookRequest::Netfilter(beside)).unwrap();
        assert_eq!(kernel.link_info(&link).unwrap().hook, HookInfo::Netfilter(beside));
    }
    for (priority, defrag) in [(i32::MIN, false), (i32::MAX, false), (-400, true)] {
        let refused = kernel.create_link(&second, &HookRequest::Netfilter(Netfilter { priority, defrag, ..wanted }));
        assert_eq!(errno(refused), libc::ERANGE, "{priority}");
    }
    let (xdp, _) = two(kernel, ProgramType::XDP);
    assert_eq!(errno(kernel.create_link(&xdp, &hook)), libc::EINVAL);
    for (new, old) in [(&second, &first), (&first, &second)] {
        assert_eq!(errno(kernel.update_link(&link, new, old)), libc::EOPNOTSUPP);
    }
    for _ in 0..2 {
        kernel.detach_link(&link).unwrap();
        assert_eq!(kernel.link_info(&link).unwrap(), info, "it does not say that it was detached");
    }
    kernel.create_link(&second, &hook).unwrap();
}

fn shared_hooks_have_places_and_revisions<K: Kernel>(kernel: &mut K, room: &Room) {
    let cgroup = room.cgroup.as_ref().map(|folder| kernel.open_cgroup(folder).unwrap().0);
    let attach_type = AttachType::CGROUP_INET_EGRESS;
    let skb = cgroup.as_ref().map(|cgroup| (ProgramType::CGROUP_SKB, HookRequest::Cgroup { cgroup, attach_type }));
    let skb = skb.filter(|_| room.version >= (6, 17));
    let tc = has_tcx(room, "places").then(|| (ProgramType::SCHED_CLS, tcx()));
    for (program_type, hook) in tc.into_iter().chain(skb) {
        let is_tcx = program_type == ProgramType::SCHED_CLS;
        let programs: Vec<_> = (0..7).map(|_| two(kernel, program_type).0).collect();
        let ids: Vec<_> = programs.iter().map(|program| kernel.program_info(program).unwrap().id).collect();
        assert_eq!(kernel.queue(&hook).unwrap(), Queue { revision: 1, there: Vec::new() }, "{program_type}");
        let revision = |kernel: &K| kernel.queue(&hook).unwrap().revision;
        let mut links = Vec::new();
        let mut put = |kernel: &mut K, at: usize, position: Position, order: &[usize]| {
            let now = revision(kernel);
            for wrong in [now + 1, now + 2] {
                let place = HookPlace { position, revision: wrong };
                let refused = kernel.create_link_at(&programs[at], &hook, place);
                assert_eq!(errno(refused), libc::ESTALE, "{program_type}");
            }
            let link = kernel.create_link_at(&programs[at], &hook, HookPlace { position, revision: now }).unwrap();
            assert_eq!(revision(kernel), now + 1, "{program_type}: one more for one change");
            let there: Vec<_> = order.iter().map(|at| ids[*at]).collect();
            assert_eq!(kernel.query(&hook).unwrap(), there, "{program_type} {position:?}");
            let id = kernel.link_info(&link).unwrap().id;
            links.push(link);
            Beside::Link(id)
        };
        let zero = put(kernel, 0, Position::Any, &[0]);
        put(kernel, 1, Position::First, &[1, 0]);
        let two = put(kernel, 2, Position::Last, &[1, 0, 2]);
        put(kernel, 3, Position::Before(zero), &[1, 3, 0, 2]);
        put(kernel, 4, Position::After(zero), &[1, 3, 0, 4, 2]);
        put(kernel, 5, Position::After(two), &[1, 3, 0, 4, 2, 5]);
        let links = links;

        let mut refused = |position: Position, with: i32| {
            let place = HookPlace { position, revision: 0 };
            assert_eq!(errno(kernel.create_link_at(&programs[6], &hook, place)), with, "{program_type} {position:?}");
        };
        refused(Position::Before(Beside::Link(u32::MAX)), libc::ENOENT);
        // In a cgroup a link is only beside links.
        let no_program = if is_tcx { libc::ENOENT } else { libc::EINVAL };
        refused(Position::Before(Beside::Program(u32::MAX)), no_program);
        refused(Position::After(Beside::Program(ids[6])), no_program);
        if !is_tcx {
            refused(Position::After(Beside::Program(ids[0])), libc::EINVAL);
        }
        let now = revision(kernel);
        let told: Vec<_> = kernel.queue(&hook).unwrap().there.into_iter().map(|it| it.link_id).collect();
        let known = |at: usize| Some(kernel.link_info(&links[at]).unwrap().id);
        let known = [1, 3, 0, 4, 2, 5].map(known);
        assert_eq!(told, if is_tcx { known } else { [None; 6] }, "{program_type}");

        // tcx has a program once, cgroups as often as it has links.
        let again = kernel.create_link(&programs[0], &hook);
        match is_tcx {
            true => assert_eq!(errno(again), libc::EEXIST),
            false => drop(again.unwrap()),
        }
        let now = if is_tcx { now } else { now + 2 };
        assert_eq!(revision(kernel), now, "{program_type}: a link that goes is a change");
        kernel.update_link(&links[0], &programs[6], &programs[0]).unwrap();
        assert_eq!(revision(kernel), now + 1, "{program_type}: so is another program");
        let doubled = kernel.update_link(&links[0], &programs[1], &programs[6]);
        assert_eq!(doubled.is_err(), is_tcx, "{program_type}");
        let now = revision(kernel);
        kernel.detach_link(&links[5]).unwrap();
        assert_eq!(revision(kernel), now + 1, "{program_type}");
        if is_tcx {
            let place = HookPlace { position: Position::Before(Beside::Program(ids[2])), revision: 0 };
            let link = kernel.create_link_at(&programs[5], &hook, place).unwrap();
            assert_eq!(kernel.query(&hook).unwrap(), [1, 3, 6, 4, 5, 2].map(|at| ids[at]));
            kernel.detach_link(&link).unwrap();
        }
        let now = revision(kernel);
        // The last of a kind of tcx takes the count with it, of a cgroup not (`tcx_entry_free`, include/net/tcx.h).
        for link in &links[..5] {
            kernel.detach_link(link).unwrap();
        }
        let there = Queue { revision: if is_tcx { 1 } else { now + 5 }, there: Vec::new() };
        assert_eq!(kernel.queue(&hook).unwrap(), there, "{program_type}");
    }
    // Hooks with room for one, and those that others order, know no places.
    let first = HookPlace { position: Position::First, revision: 0 };
    let (program, _) = two(kernel, ProgramType::XDP);
    assert_eq!(errno(kernel.create_link_at(&program, &xdp(), first)), libc::EINVAL);
}

fn maps_of_sockets_have_one_program_of_each_kind<K: Kernel>(kernel: &mut K, room: &Room) {
    if room.version < (6, 10) {
        return common::skip("maps_of_sockets_have_one_program_of_each_kind", "this kernel has no such links");
    }
    let (message, stream, data) =
        (AttachType::SK_MSG_VERDICT, AttachType::SK_SKB_STREAM_VERDICT, AttachType::SK_SKB_VERDICT);
    for map_type in [MapType::SOCKMAP, MapType::SOCKHASH] {
        let map = map(kernel, map_type, (4, 8, 2), 0);
        let map_id = kernel.map_info(&map).unwrap().id;
        let [first, second] = [0; 2].map(|_| load_for(kernel, ProgramType::SK_MSG, message, &returns(1)).unwrap());
        let ids = [&first, &second].map(|program| kernel.program_info(program).unwrap().id);
        let hook = HookRequest::Sockmap { map: &map, attach_type: message };
        assert_eq!(kernel.query(&hook).unwrap(), [0; 0]);
        let link = kernel.create_link(&first, &hook).unwrap();
        let info = kernel.link_info(&link).unwrap();
        assert_eq!((info.program_id, &info.hook), (ids[0], &HookInfo::Sockmap { map_id, attach_type: message }));
        assert_eq!(kernel.query(&hook).unwrap(), [ids[0]]);
        assert_eq!(errno(kernel.create_link(&second, &hook)), libc::EBUSY);

        let [stream_one, data_one] =
            [stream, data].map(|attach_type| load_for(kernel, ProgramType::SK_SKB, attach_type, &returns(1)).unwrap());
        assert_eq!(errno(kernel.create_link(&stream_one, &hook)), libc::EINVAL);
        let [stream_hook, data_hook] =
            [stream, data].map(|attach_type| HookRequest::Sockmap { map: &map, attach_type });
        let verdict = kernel.create_link(&stream_one, &stream_hook).unwrap();
        assert_eq!(errno(kernel.create_link(&data_one, &data_hook)), libc::EBUSY, "one of the two verdicts");
        assert_eq!(errno(kernel.query(&data_hook)), libc::EBUSY);
        assert_eq!(errno(kernel.update_link(&verdict, &data_one, &stream_one)), libc::EINVAL);

        assert_eq!(errno(kernel.update_link(&link, &second, &second)), libc::EPERM);
        kernel.update_link(&link, &second, &first).unwrap();
        assert_eq!(kernel.query(&hook).unwrap(), [ids[1]]);
        let gone = HookInfo::Sockmap { map_id: 0, attach_type: message };
        for _ in 0..2 {
            kernel.detach_link(&link).unwrap();
            let detached = LinkInfo { program_id: ids[1], hook: gone.clone(), is_attached: false, ..info };
            assert_eq!(kernel.link_info(&link).unwrap(), detached);
        }
        assert_eq!(kernel.query(&hook).unwrap(), [0; 0]);
        assert_eq!(errno(kernel.update_link(&link, &first, &second)), libc::ENOLINK);
        kernel.create_link(&first, &hook).unwrap();
    }
    let other = self::map(kernel, MapType::ARRAY, (4, 8, 2), 0);
    let program = load_for(kernel, ProgramType::SK_MSG, message, &returns(1)).unwrap();
    let hook = HookRequest::Sockmap { map: &other, attach_type: message };
    assert_eq!(errno(kernel.create_link(&program, &hook)), libc::EINVAL);
}

fn events_have_many_links_that_stay_as_they_are<K: Kernel>(kernel: &mut K, room: &Room) {
    let id = kernel.tracepoint("sched", "sched_process_exec").unwrap();
    for (category, name) in [("sched", "no_such_tracepoint"), ("nothing", "sched_process_exec")] {
        assert_eq!(errno(kernel.tracepoint(category, name)), libc::ENOENT);
    }
    let raw = |name| HookRequest::Trace(TraceRequest::Raw { name: Some(name), cookie: None });
    let perf = |id| HookRequest::Trace(TraceRequest::Perf { event: EventRequest::Tracepoint { id }, cookie: None });
    let told = (room.version >= (6, 6)).then(|| PerfInfo::Tracepoint { name: "sched_process_exec".to_owned() });
    let named = EventInfo::RawTracepoint { name: "sched_process_exec".to_owned() };
    check_event(
        kernel,
        ProgramType::RAW_TRACEPOINT,
        &raw("sched_process_exec"),
        (&raw("no_such"), libc::ENOENT),
        &named,
    );
    if room.version >= (5, 15) {
        check_event(kernel, ProgramType::TRACEPOINT, &perf(id), (&perf(1 << 30), libc::EINVAL), &EventInfo::Perf(told));
    }
}

/// Proves what links to an event have in common: many fit, none changes its program, and none is detached but by letting
/// go of it.
fn check_event<K: Kernel>(
    kernel: &mut K,
    program_type: ProgramType,
    hook: &HookRequest<'_, K::Fd>,
    (nothing, refusal): (&HookRequest<'_, K::Fd>, i32),
    says: &EventInfo,
) {
    let (first, second) = two(kernel, program_type);
    let first_id = kernel.program_info(&first).unwrap().id;
    assert_eq!(errno(kernel.query(hook)), libc::EINVAL);
    let link = kernel.create_link(&first, hook).unwrap();
    let info = kernel.link_info(&link).unwrap();
    assert_eq!((info.program_id, &info.hook), (first_id, &HookInfo::Event(says.clone())));
    let beside = kernel.create_link(&second, hook).unwrap();
    assert_eq!(kernel.link_info(&beside).unwrap().hook, info.hook);

    assert_eq!(errno(kernel.update_link(&link, &second, &first)), libc::EINVAL, "{program_type}");
    assert_eq!(errno(kernel.detach_link(&link)), libc::EOPNOTSUPP, "{program_type}");
    assert_eq!(kernel.link_info(&link).unwrap(), info);
    assert_eq!(errno(kernel.create_link(&first, nothing)), refusal, "{program_type}");
    let (xdp, _) = two(kernel, ProgramType::XDP);
    assert_eq!(errno(kernel.create_link(&xdp, hook)), libc::EINVAL, "{program_type}");
}

/// A second network namespace.
const ELSEWHERE: &str = "/run/netns/elsewhere";

/// Makes it on the running kernel, in a folder that only this room sees.
fn add_elsewhere() {
    const NONE: Option<&str> = None;
    mount(Some("none"), "/run", Some("tmpfs"), MsFlags::empty(), NONE).unwrap();
    std::fs::create_dir("/run/netns").unwrap();
    std::fs::write(ELSEWHERE, []).unwrap();
    let there = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        mount(Some("/proc/thread-self/ns/net"), ELSEWHERE, NONE, MsFlags::MS_BIND, NONE).unwrap();
    });
    there.join().unwrap();
}

fn hooks_are_of_their_network_namespace<K: Kernel>(kernel: &mut K, room: &Room) {
    if room.version < (6, 6) {
        return common::skip("hooks_are_of_their_network_namespace", "this kernel has no tcx");
    }
    let (netns, inode) = kernel.open_netns(Path::new(ELSEWHERE)).unwrap();
    let (own, own_inode) = kernel.open_netns(Path::new("/proc/thread-self/ns/net")).unwrap();
    assert_ne!(inode, own_inode);
    assert_eq!(kernel.interfaces_in(&netns).unwrap(), ["lo"]);
    assert_eq!(kernel.interface_in(&netns, "nosuch0").unwrap(), None);
    let found = kernel.interface_in(&netns, "lo").unwrap().unwrap();
    let here = loopback(kernel);
    assert_eq!((found.netns, found.index, found.xdp), (inode, 1, vec![]));
    assert_eq!((here.netns, here.index, here.xdp), (own_inode, 1, vec![]));
    assert_eq!(kernel.interface_in(&own, "lo").unwrap().unwrap().netns, own_inode);

    // The same index, and both have room: neither the one nor the other is the one of this thread alone.
    let (first, second) = two(kernel, ProgramType::XDP);
    let links = [
        kernel.create_link(&first, &xdp()).unwrap(),
        kernel.create_link(&second, &HookRequest::Within { netns: &netns, hook: &xdp() }).unwrap(),
    ];
    let infos = links.each_ref().map(|link| kernel.link_info(link).unwrap());
    assert_eq!(infos[0].hook, infos[1].hook, "the kernel does not tell of which namespace");
    let ids = [&first, &second].map(|program| kernel.program_info(program).unwrap().id);
    assert_eq!(loopback(kernel).xdp[0].1, ids[0]);
    assert_eq!(kernel.interface_in(&netns, "lo").unwrap().unwrap().xdp[0].1, ids[1]);
    let again = kernel.create_link(&first, &HookRequest::Within { netns: &netns, hook: &xdp() });
    assert_eq!(errno(again), libc::EBUSY);
    let nowhere = HookRequest::Xdp { ifindex: 4000, mode: XdpMode::Auto };
    let refused = kernel.create_link(&first, &HookRequest::Within { netns: &netns, hook: &nowhere });
    assert_eq!(errno(refused), libc::EINVAL);
    // An update needs no namespace.
    kernel.update_link(&links[1], &first, &second).unwrap();
    assert_eq!(kernel.interface_in(&netns, "lo").unwrap().unwrap().xdp[0].1, ids[0]);

    let (first, _) = two(kernel, ProgramType::SCHED_CLS);
    let id = kernel.program_info(&first).unwrap().id;
    let within = HookRequest::Within { netns: &netns, hook: &tcx() };
    let link = kernel.create_link(&first, &within).unwrap();
    assert_eq!((kernel.query(&tcx()).unwrap(), kernel.query(&within).unwrap()), (vec![], vec![id]));
    drop(link);

    let netfilter = load_for(kernel, ProgramType::NETFILTER, AttachType::NETFILTER, &returns(1)).unwrap();
    let wanted = Netfilter { family: Family::Ipv4, point: Point::Forward, priority: 3, defrag: false };
    let hook = HookRequest::Netfilter(wanted);
    let _here = kernel.create_link(&netfilter, &hook).unwrap();
    let within = HookRequest::Within { netns: &netns, hook: &hook };
    let there = kernel.create_link(&netfilter, &within).unwrap();
    assert_eq!(errno(kernel.create_link(&netfilter, &within)), libc::EBUSY);
    assert_eq!(kernel.link_info(&there).unwrap().hook, HookInfo::Netfilter(wanted));
    // Each went through a thread of its own: this one is where it was.
    assert_eq!(kernel.open_netns(Path::new("/proc/thread-self/ns/net")).unwrap().1, own_inode);
}

fn netkit_is_of_netkit_interfaces<K: Kernel>(kernel: &mut K, room: &Room) {
    let (program, _) = two(kernel, ProgramType::SCHED_CLS);
    let hook = HookRequest::Netkit { ifindex: 1, attach_type: AttachType::NETKIT_PRIMARY };
    let refused = errno(kernel.create_link(&program, &hook));
    // A kernel that is built with it says what else the interface is not.
    let expected = if room.version < (6, 7) { vec![libc::EINVAL] } else { vec![libc::EINVAL, libc::ENXIO] };
    assert!(expected.contains(&refused), "{refused}");
}

/// An interface of the network namespace in which we are, by its index: 1 is the loopback.
fn own_device(ifindex: u32) -> Device {
    Device { ifindex, ..Device::default() }
}

fn filters_have_places<K: Kernel>(kernel: &mut K, _: &Room) {
    let (first, second) = two(kernel, ProgramType::SCHED_CLS);
    let ids = [&first, &second].map(|program| kernel.program_info(program).unwrap().id);
    let filter = Wish::default().filter(own_device(1), AttachType::TCX_INGRESS, 1, true);
    let (one, none) = (own_device(1), own_device(4000));
    let at = Direct::Filter(filter.clone());
    assert_eq!(kernel.qdisc(&one).unwrap(), None);
    assert_eq!(kernel.programs_at(&at).unwrap(), [0; 0]);
    assert_eq!(errno(kernel.attach(&first, &at, None)), libc::EINVAL, "there is no qdisc");
    assert_eq!(errno(kernel.remove_clsact(&one)), libc::ENOENT);
    assert_eq!(errno(kernel.make_clsact(&none)), libc::ENODEV);
    for _ in 0..2 {
        kernel.make_clsact(&one).unwrap();
    }
    assert_eq!(kernel.qdisc(&one).unwrap(), Some(Qdisc { has_egress: true, filters: Vec::new() }));
    assert_eq!(errno(kernel.attach(&first, &at, Some(&second))), libc::ENOENT, "there is nothing to replace");
    assert_eq!(errno(kernel.detach(&first, &at)), libc::ENOENT);
    kernel.attach(&first, &at, None).unwrap();
    assert_eq!(errno(kernel.attach(&second, &at, None)), libc::EEXIST);
    let later = Direct::Filter(Filter { handle: 2, ..filter.clone() });
    let earlier = Direct::Filter(Filter { priority: 1, ..filter.clone() });
    let egress = Direct::Filter(Filter { attach_type: AttachType::TCX_EGRESS, ..filter.clone() });
    for place in [&later, &earlier, &egress] {
        kernel.attach(&second, place, None).unwrap();
    }
    let other = Direct::Filter(Filter { protocol: 0x800, handle: 3, ..filter.clone() });
    assert_eq!(errno(kernel.attach(&second, &other, None)), libc::EINVAL, "a priority has one protocol");
    let (xdp, _) = two(kernel, ProgramType::XDP);
    assert_eq!(errno(kernel.attach(&xdp, &Direct::Filter(Filter { handle: 4, ..filter.clone() }), None)), libc::EINVAL);
    let there = kernel.qdisc(&one).unwrap().unwrap().filters;
    let there: Vec<_> = there.iter().map(|it| (it.attach_type, it.priority, it.handle, it.program_id)).collect();
    let (inside, out) = (AttachType::TCX_INGRESS, AttachType::TCX_EGRESS);
    let expected = [
        (inside, 1, 1, Some(ids[1])),
        // Of one priority, the newest comes first.
        (inside, filter.priority, 2, Some(ids[1])),
        (inside, filter.priority, 1, Some(ids[0])),
        (out, filter.priority, 1, Some(ids[1])),
    ];
    assert_eq!(there, expected);

    kernel.attach(&second, &at, Some(&first)).unwrap();
    assert_eq!(kernel.programs_at(&at).unwrap(), [ids[1]]);
    kernel.detach(&second, &at).unwrap();
    assert_eq!(kernel.programs_at(&at).unwrap(), [0; 0]);
    // What is attached keeps its program.
    drop(second);
    assert_eq!(kernel.programs_at(&later).unwrap(), [ids[1]]);
    kernel.remove_clsact(&one).unwrap();
    assert_eq!(kernel.qdisc(&one).unwrap(), None);
    eventually(|| errno_or_zero(kernel.program_by_id(ids[1])) == libc::ENOENT);
}

fn routes_have_one_place<K: Kernel>(kernel: &mut K, _: &Room) {
    for (to, other) in [("10.9.0.0/24", "10.9.0.0/25"), ("2001:db8:9::/64", "2001:db8:9::/65")] {
        let (first, second) = two(kernel, ProgramType::LWT_OUT);
        let ids = [&first, &second].map(|program| kernel.program_info(program).unwrap().id);
        let place = RoutePlace::new(to.parse().unwrap(), None, None);
        let route = |device, place| {
            let wish = RouteWish { place, gateway: None, headroom: 0 };
            Direct::Route(Route { device, point: Lwt::Out, wish })
        };
        let at = route(own_device(1), place);
        assert_eq!(kernel.routes(&own_device(1), &place).unwrap(), []);
        assert_eq!(errno(kernel.attach(&first, &route(own_device(4000), place), None)), libc::ENODEV);
        assert_eq!(errno(kernel.attach(&first, &at, Some(&second))), libc::ENOENT, "there is nothing to replace");
        assert_eq!(errno(kernel.detach(&first, &at)), libc::ENOENT);
        let (xmit, _) = two(kernel, ProgramType::LWT_XMIT);
        assert_eq!(errno(kernel.attach(&xmit, &at, None)), libc::EINVAL);
        kernel.attach(&first, &at, None).unwrap();
        assert_eq!(errno(kernel.attach(&second, &at, None)), libc::EEXIST);
        assert_eq!(errno(kernel.attach(&second, &at, Some(&second))), libc::EEXIST);
        assert_eq!(errno(kernel.detach(&second, &at)), libc::ENOENT);
        assert_eq!(kernel.programs_at(&at).unwrap(), [ids[0]]);
        let beside = [
            route(own_device(1), RoutePlace { metric: 7, ..place }),
            route(own_device(1), RoutePlace { table: 1000, ..place }),
            route(own_device(1), RoutePlace { to: other.parse().unwrap(), ..place }),
        ];
        for at in &beside {
            kernel.attach(&second, at, None).unwrap();
            assert_eq!(kernel.programs_at(at).unwrap(), [ids[1]]);
        }
        kernel.attach(&second, &at, Some(&first)).unwrap();
        assert_eq!(kernel.programs_at(&at).unwrap(), [ids[1]]);
        let found = kernel.routes(&own_device(1), &place).unwrap();
        assert_eq!(found.iter().map(|it| (it.place, it.program_id)).collect::<Vec<_>>(), [(place, Some(ids[1]))]);
        for at in beside.iter().chain([&at]) {
            kernel.detach(&second, at).unwrap();
            assert_eq!(kernel.programs_at(at).unwrap(), [0; 0]);
        }
    }
}

/// Returns the number of an error; 0 without one.
fn errno_or_zero<T>(result: io::Result<T>) -> i32 {
    result.err().and_then(|error| error.raw_os_error()).unwrap_or(0)
}

fn xdp_without_a_link_expects_what_it_replaces<K: Kernel>(kernel: &mut K, _: &Room) {
    let (first, second) = two(kernel, ProgramType::XDP);
    let ids = [&first, &second].map(|program| kernel.program_info(program).unwrap().id);
    let device = || own_device(1);
    let at = Direct::Xdp { device: device(), mode: XdpMode::Generic };
    assert_eq!(
        errno(kernel.attach(&first, &Direct::Xdp { device: own_device(4000), mode: XdpMode::Auto }, None)),
        libc::ENODEV
    );
    assert_eq!(errno(kernel.attach(&first, &at, Some(&second))), libc::EEXIST);
    kernel.attach(&first, &at, None).unwrap();
    assert_eq!(loopback(kernel).xdp, [(XdpMode::Generic, ids[0])]);
    assert_eq!(errno(kernel.attach(&second, &at, None)), libc::EBUSY);
    assert_eq!(errno(kernel.create_link(&second, &xdp())), libc::EBUSY, "nor is there room for a link");
    assert_eq!(errno(kernel.attach(&second, &at, Some(&second))), libc::EEXIST);
    kernel.attach(&second, &at, Some(&first)).unwrap();
    for mode in [XdpMode::Generic, XdpMode::Auto] {
        assert_eq!(kernel.programs_at(&Direct::Xdp { device: device(), mode }).unwrap(), [ids[1]]);
    }
    assert_eq!(errno(kernel.detach(&first, &at)), libc::EEXIST);
    let (tc, _) = two(kernel, ProgramType::SCHED_CLS);
    assert_eq!(errno(kernel.attach(&tc, &at, Some(&second))), libc::EINVAL);
    kernel.detach(&second, &at).unwrap();
    assert_eq!(loopback(kernel).xdp, []);
    let _link = kernel.create_link(&first, &xdp()).unwrap();
    assert_eq!(errno(kernel.attach(&second, &at, None)), libc::EBUSY, "a link is there");
}

fn cgroups_have_programs_without_links<K: Kernel>(kernel: &mut K, room: &Room) {
    let Some(folder) = &room.cgroup else { return common::skip("programs of cgroups", "no cgroup2") };
    let (cgroup, cgroup_id) = kernel.open_cgroup(folder).unwrap();
    let attach_type = AttachType::CGROUP_INET_EGRESS;
    let (first, second) = two(kernel, ProgramType::CGROUP_SKB);
    let (third, _) = two(kernel, ProgramType::CGROUP_SKB);
    let ids = [&first, &second, &third].map(|program| kernel.program_info(program).unwrap().id);
    let at = Direct::Cgroup { path: folder.clone(), cgroup_id, attach_type };
    let gone = Direct::Cgroup { path: folder.join("none"), cgroup_id, attach_type };
    assert_eq!(errno(kernel.attach(&first, &gone, None)), libc::ENOENT);
    assert_eq!(kernel.programs_at(&gone).unwrap(), [0; 0]);
    kernel.attach(&first, &at, None).unwrap();
    assert_eq!(errno(kernel.attach(&first, &at, None)), libc::EINVAL, "once is enough");
    kernel.attach(&second, &at, None).unwrap();
    assert_eq!(kernel.programs_at(&at).unwrap(), [ids[0], ids[1]]);
    assert_eq!(errno(kernel.attach(&third, &at, Some(&third))), libc::ENOENT);
    kernel.attach(&third, &at, Some(&first)).unwrap();
    assert_eq!(kernel.programs_at(&at).unwrap(), [ids[2], ids[1]], "in its place");
    assert_eq!(kernel.excludes(&cgroup, attach_type).unwrap(), Excludes::Nothing);
    assert_eq!(errno(kernel.detach(&first, &at)), libc::ENOENT);
    // By a link, the same program is another attachment.
    let link = kernel.create_link(&second, &HookRequest::Cgroup { cgroup: &cgroup, attach_type }).unwrap();
    kernel.detach(&second, &at).unwrap();
    assert_eq!(errno(kernel.detach(&second, &at)), libc::ENOENT);
    kernel.detach(&third, &at).unwrap();
    assert_eq!(kernel.programs_at(&at).unwrap(), [ids[1]]);
    drop(link);
    let (xdp, _) = two(kernel, ProgramType::XDP);
    assert_eq!(errno(kernel.attach(&xdp, &at, None)), libc::EINVAL);
}

fn features_came_with_their_versions<K: Kernel>(kernel: &mut K, room: &Room) {
    for feature in [Feature::Tcx, Feature::XdpLinks, Feature::CgroupLinks] {
        let (major, minor) = feature.since().split_once('.').unwrap();
        let since: (u32, u32) = (major.parse().unwrap(), minor.parse().unwrap());
        assert_eq!(kernel.has(feature).unwrap(), room.version >= since, "{feature}");
    }
}

fn hooks_tell_their_programs_in_order<K: Kernel>(kernel: &mut K, room: &Room) {
    assert_eq!(errno(kernel.query(&xdp())), libc::EINVAL);
    let cgroup = room.cgroup.as_ref().map(|folder| kernel.open_cgroup(folder).unwrap().0);
    let attach_type = AttachType::CGROUP_INET_INGRESS;
    let skb = cgroup.as_ref().map(|cgroup| (ProgramType::CGROUP_SKB, HookRequest::Cgroup { cgroup, attach_type }));
    let tc = has_tcx(room, "tcx queries").then(|| (ProgramType::SCHED_CLS, tcx()));
    for (program_type, hook) in tc.into_iter().chain(skb) {
        assert_eq!(kernel.query(&hook).unwrap(), [0; 0], "{program_type}");
        let (first, second) = two(kernel, program_type);
        let (third, _) = two(kernel, program_type);
        let ids = [&first, &second, &third].map(|program| kernel.program_info(program).unwrap().id);
        let links = [&second, &first].map(|program| kernel.create_link(program, &hook).unwrap());
        assert_eq!(kernel.query(&hook).unwrap(), [ids[1], ids[0]], "{program_type}: later ones are behind");
        kernel.update_link(&links[0], &third, &second).unwrap();
        assert_eq!(kernel.query(&hook).unwrap(), [ids[2], ids[0]], "{program_type}: a link keeps its place");
        kernel.detach_link(&links[0]).unwrap();
        assert_eq!(kernel.query(&hook).unwrap(), [ids[0]], "{program_type}");
    }
    if let Some(cgroup) = &cgroup {
        let other = HookRequest::Cgroup { cgroup, attach_type: AttachType::CGROUP_INET_EGRESS };
        assert_eq!(kernel.query(&other).unwrap(), [0; 0], "each hook has its own");
        let (program, _) = two(kernel, ProgramType::XDP);
        assert_eq!(errno(kernel.query(&HookRequest::Cgroup { cgroup: &program, attach_type })), libc::EBADF);
    }
    if has_tcx(room, "tcx queries") {
        let nowhere = HookRequest::Tcx { ifindex: 4000, attach_type: AttachType::TCX_INGRESS };
        assert_eq!(errno(kernel.query(&nowhere)), libc::ENODEV);
    }
}

fn links_fit_their_programs<K: Kernel>(kernel: &mut K, room: &Room) {
    let (xdp_program, _) = two(kernel, ProgramType::XDP);
    let (tc_program, _) = two(kernel, ProgramType::SCHED_CLS);
    assert_eq!(errno(kernel.create_link(&tc_program, &xdp())), libc::EINVAL);
    // Where there is no tcx, the error is the same.
    assert_eq!(errno(kernel.create_link(&xdp_program, &tcx())), libc::EINVAL);
    let Some(folder) = &room.cgroup else { return };
    let (cgroup, _) = kernel.open_cgroup(folder).unwrap();
    let connect4 = AttachType::CGROUP_INET4_CONNECT;
    let address = load_for(kernel, ProgramType::CGROUP_SOCK_ADDR, connect4, &returns(1)).unwrap();
    for (attach_type, fits) in [(connect4, true), (AttachType::CGROUP_INET6_CONNECT, false)] {
        let result = kernel.create_link(&address, &HookRequest::Cgroup { cgroup: &cgroup, attach_type });
        assert_eq!(result.map(drop).map_err(|e| e.raw_os_error()), if fits { Ok(()) } else { Err(Some(libc::EINVAL)) });
    }
}

fn updates_expect_the_old_program<K: Kernel>(kernel: &mut K, room: &Room) {
    let cgroup = room.cgroup.as_ref().map(|folder| kernel.open_cgroup(folder).unwrap().0);
    let attach_type = AttachType::CGROUP_INET_INGRESS;
    let skb = cgroup.as_ref().map(|cgroup| (ProgramType::CGROUP_SKB, HookRequest::Cgroup { cgroup, attach_type }));
    let other = load(kernel, ProgramType::SOCKET_FILTER, &returns(0)).unwrap();
    let tc = has_tcx(room, "tcx updates").then(|| (ProgramType::SCHED_CLS, tcx()));
    for (program_type, hook) in [(ProgramType::XDP, xdp())].into_iter().chain(tc).chain(skb) {
        let (first, second) = two(kernel, program_type);
        let link = kernel.create_link(&first, &hook).unwrap();
        assert_eq!(errno(kernel.update_link(&link, &first, &second)), libc::EPERM, "{program_type}");
        assert_eq!(errno(kernel.update_link(&link, &other, &first)), libc::EINVAL, "{program_type}");
        kernel.update_link(&link, &second, &first).unwrap();
        let (info, program) = (kernel.link_info(&link).unwrap(), kernel.program_info(&second).unwrap());
        assert_eq!(info.program_id, program.id, "{program_type}");
        kernel.update_link(&link, &second, &second).unwrap();
    }
}

fn detached_links_stay_without_a_hook<K: Kernel>(kernel: &mut K, room: &Room) {
    let cgroup = room.cgroup.as_ref().map(|folder| kernel.open_cgroup(folder).unwrap().0);
    let attach_type = AttachType::CGROUP_INET_INGRESS;
    let skb = cgroup.as_ref().map(|cgroup| {
        let gone = HookInfo::Cgroup { cgroup_id: 0, attach_type };
        (ProgramType::CGROUP_SKB, HookRequest::Cgroup { cgroup, attach_type }, gone)
    });
    let tc = has_tcx(room, "tcx detach").then(|| {
        let gone = HookInfo::Tcx { ifindex: 0, attach_type: AttachType::TCX_INGRESS };
        (ProgramType::SCHED_CLS, tcx(), gone)
    });
    let xdp = (ProgramType::XDP, xdp(), HookInfo::Xdp { ifindex: 0 });
    for (program_type, hook, gone) in [xdp].into_iter().chain(tc).chain(skb) {
        let (first, second) = two(kernel, program_type);
        let link = kernel.create_link(&first, &hook).unwrap();
        let before = kernel.link_info(&link).unwrap();
        kernel.detach_link(&link).unwrap();
        assert_eq!(
            kernel.link_info(&link).unwrap(),
            LinkInfo { hook: gone, is_attached: false, ..before },
            "{program_type}"
        );
        kernel.detach_link(&link).unwrap();
        assert_eq!(errno(kernel.update_link(&link, &second, &first)), libc::ENOLINK, "{program_type}");
        kernel.create_link(&second, &hook).unwrap();
    }
}

fn links_detach_when_nothing_holds_them<K: Kernel>(kernel: &mut K, room: &Room) {
    let (program, _) = two(kernel, ProgramType::XDP);
    let id = kernel.program_info(&program).unwrap().id;
    let pin = room.bpffs.join("link");
    let link = kernel.create_link(&program, &xdp()).unwrap();
    kernel.pin(&link, &pin).unwrap();
    drop((link, program));
    assert_eq!(loopback(kernel).xdp, [(XdpMode::Generic, id)], "the pin holds the link, the link its program");
    let (kind, link) = kernel.open_pin(&pin).unwrap();
    assert_eq!(kind, ObjectKind::Link);
    kernel.unpin(&pin).unwrap();
    assert_eq!(loopback(kernel).xdp, [(XdpMode::Generic, id)], "the descriptor holds it");
    drop(link);
    eventually(|| loopback(kernel).xdp.is_empty());
}
