//! What fuzzing starts from: the objects and manifests of this repository, cut and joined as the targets want them.

use bpfapply::access::{Access, Account};
use bpfapply::btf::value::format::{Format, Formats, Written};
use bpfapply::desired::{EntriesMode, Hook, Netns};
use bpfapply::elf::{self, Target as Kernel};
use bpfapply::insn::Insn;
use bpfapply::kinds::{MapType, XdpMode};
use bpfapply::names::{Digest, PinPath, PlanId};
use bpfapply::observed::{FilePlace, HookInfo};
use bpfapply::packet::protocols::IPV6;
use bpfapply::packet::{self, Layer};
use bpfapply::plan::Expects;
use bpfapply::record::{
    FORMAT, Record, RecordedEntries, RecordedInner, RecordedLink, RecordedMap, RecordedObject, RecordedProgram, Since,
};
use bpfapply::saved::{self, SavedHost, SavedManifest, SavedPlan, SavedStep};
use bpfapply::spec::MapSpec;
use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::FileHeader;
use std::fs;
use std::io;
use std::path::Path;

/// Inputs by name.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// The folders with objects, those with manifests, those with files of tests beside them, and one with verifiers' logs.
const OBJECTS: &[&str] = &["tests/core", "tests/objects", "examples/quickstart", "examples/iproute2-legacy"];
const MANIFESTS: &[&str] = &[
    "tests/manifests/invalid",
    "tests/manifests/valid",
    "examples/iproute2-legacy",
    "examples/quickstart",
    "examples/xdp-filter",
];
const TESTS: &[&str] = &["examples/quickstart", "examples/xdp-filter", "tests/packets"];
const LOGS: &[&str] = &["tests/refusals"];
/// A folder with a capture, and with tests in a manifest.
const PACKETS: &[&str] = &["tests/packets"];

/// The files that seeds are made of.
pub struct Files {
    objects: Seeds,
    manifests: Seeds,
    tests: Seeds,
    logs: Seeds,
    captures: Seeds,
    tested: Seeds,
}

impl Files {
    /// Reads the files below the folder of the repository.
    pub fn read(root: &Path) -> io::Result<Self> {
        Ok(Self {
            objects: files(root, OBJECTS, ".o")?,
            manifests: files(root, MANIFESTS, ".toml")?,
            tests: files(root, TESTS, ".test.toml")?,
            logs: files(root, LOGS, ".txt")?,
            captures: files(root, PACKETS, ".pcap")?,
            tested: files(root, PACKETS, "plan.toml")?,
        })
    }
}

fn files(root: &Path, folders: &[&str], ending: &str) -> io::Result<Seeds> {
    let mut found = Seeds::new();
    for folder in folders {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('/', "-");
            if name.ends_with(ending) {
                found.push((name, fs::read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Joins two parts into one input: the length of the first in 4 bytes, then both.
pub fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    [&(first.len() as u32).to_le_bytes(), first, second].concat()
}

/// Splits an input into its two parts; any bytes have some.
pub fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = input.split_first_chunk() else { return (input, &[]) };
    rest.split_at(rest.len().min(u32::from_le_bytes(*length) as usize))
}

/// Object files.
pub fn object(files: &Files) -> Seeds {
    files.objects.clone()
}

/// `.BTF` sections.
pub fn btf(files: &Files) -> Seeds {
    each(files, |object| section(object, ".BTF").map(<[u8]>::to_vec))
}

/// `.BTF.ext` sections with their `.BTF`.
pub fn btf_ext(files: &Files) -> Seeds {
    each(files, |object| Some(join(section(object, ".BTF.ext")?, section(object, ".BTF")?)))
}

/// Objects that depend on a kernel's types, with their own types for it.
pub fn core(files: &Files) -> Seeds {
    let mut seeds = each(files, |object| Some(join(object, section(object, ".BTF")?)));
    seeds.retain(|(name, _)| name.starts_with("tests-core"));
    seeds
}

/// Manifests, good and bad.
pub fn manifest(files: &Files) -> Seeds {
    files.manifests.clone()
}

/// A record with everything in it, and a record with nothing.
pub fn record(_: &Files) -> Seeds {
    let empty = Record { format: FORMAT, ..Record::default() };
    let mut full =
        Record { deployment: "edge".to_owned(), time: 1, directories: vec!["/a".to_owned()], ..empty.clone() };
    let (pin, digest) = ("/sys/fs/bpf/edge/a".to_owned(), Digest::of(b""));
    full.objects.insert("o".to_owned(), RecordedObject { path: "a.o".to_owned(), sha256: digest });
    let protect = Some(Since(1));
    let inner = Some(RecordedInner::of(&MapSpec::new(MapType::HASH, 4, 8, 16)));
    let entries = RecordedEntries { mode: EntriesMode::Exact, digest, pin: format!("{pin}~"), inode: 4 };
    let group = Some(Account::Name("metrics".to_owned()));
    let access = Access { mode: Some(0o640), owner: Some(Account::Id(7)), group };
    let map = RecordedMap {
        pin: Some(pin.as_str().into()),
        inode: 1,
        id: Some(7),
        created: true,
        taken_over: true,
        image: Some(digest),
        variables: std::collections::BTreeMap::new(),
        slots: Some(digest),
        ids: [("00000000".to_owned(), 3)].into(),
        cgroups: [("system.slice".to_owned(), 9)].into(),
        inner,
        entries: Some(entries),
        sensitive: true,
        formats: Formats { key: Format::try_from(Written::One("ipv4".to_owned())).ok(), value: None },
        protect,
        access: access.clone(),
    };
    full.maps.insert("m".to_owned(), map);
    full.programs.insert(
        "p".to_owned(),
        RecordedProgram { pin: pin.as_str().into(), inode: 2, maps: vec!["m".into()], protect, access: access.clone() },
    );
    let hook = Hook::Xdp { interface: "lo".to_owned(), netns: Netns::OWN, mode: XdpMode::Auto, via: None };
    let at = HookInfo::Xdp { ifindex: 1 };
    let link = RecordedLink {
        order: None,
        pin,
        inode: 3,
        program: Some("p".to_owned()),
        program_id: 5,
        hook,
        at,
        netns: Some(4_026_531_840),
        file: Some(FilePlace { device: 1, inode: 6, offset: 7 }),
        ahead: vec![4],
        protect,
        access,
    };
    full.links.insert("l".to_owned(), link);
    vec![("empty".to_owned(), empty.encode()), ("full".to_owned(), full.encode())]
}

/// Saved plans: one of each manifest.
pub fn saved(files: &Files) -> Seeds {
    let (id, digest) = (PlanId::of(b""), Digest::of(b""));
    let pin = PinPath::new("/sys/fs/bpf/edge/a").expect("a path");
    let expects = Expects { map_id: Some(7), ifindex: Some(1), absent: Some(pin.clone()), ..Expects::default() };
    let steps = vec![SavedStep { address: "map.a".to_owned(), expects }];
    let host = SavedHost {
        boot: "a".to_owned(),
        steps,
        pins: [(pin, 12)].into(),
        revisions: [("tcx_ingress of lo".to_owned(), 3)].into(),
    };
    let plan = |(name, text): &(String, Vec<u8>)| {
        let manifest = SavedManifest { path: name.clone(), text: String::from_utf8(text.clone()).ok()? };
        let (variables, objects) = ([("v".to_owned(), "w".to_owned())].into(), [("o".to_owned(), digest)].into());
        let entries = [("m".to_owned(), digest)].into();
        let plan = SavedPlan { format: saved::FORMAT, id, manifest, variables, objects, entries, host: host.clone() };
        Some((name.clone(), plan.encode().into_bytes()))
    };
    files.manifests.iter().filter_map(plan).collect()
}

/// A capture, and the packets of it.
pub fn capture(files: &Files) -> Seeds {
    let mut seeds = files.captures.clone();
    for (name, bytes) in &files.captures {
        let packets = packet::capture::packets(bytes).unwrap_or_default().into_iter().enumerate();
        seeds.extend(packets.map(|(number, packet)| (format!("{name}-{number}"), packet)));
    }
    seeds.push(("pcapng".to_owned(), pcapng()));
    seeds
}

/// A pcapng file: a section, an interface of Ethernet, and a packet.
fn pcapng() -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes(), &len, body, &len].concat()
    };
    let packet = packet::build(&[
        Layer::Header { protocol: &IPV6, said: [("next_header", 0)].into() },
        Layer::Payload(vec![6, 0, 0, 0, 0, 0, 0, 0, 0, 80]),
    ]);
    let len = (packet.len() as u32).to_le_bytes();
    let section = [&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat();
    let body = [&[0; 12][..], &len, &len, &packet].concat();
    [block(0x0a0d_0d0a, &section), block(1, &[1, 0, 0, 0, 0, 0, 4, 0]), block(6, &body)].concat()
}

/// Files of tests, good and bad.
pub fn tests(files: &Files) -> Seeds {
    let mut seeds = files.tests.clone();
    // A manifest's own tests are written alike.
    let own = |(name, text): &(String, Vec<u8>)| {
        let tests = str::from_utf8(text).ok()?.split("\n\n").filter(|part| part.starts_with("[[program."));
        Some((name.clone(), tests.collect::<Vec<_>>().join("\n\n").into_bytes()))
    };
    seeds.extend(files.tested.iter().filter_map(own));
    seeds
}

/// The logs of programs that the verifier refused.
pub fn verifier_log(files: &Files) -> Seeds {
    let log = |(name, text): &(String, Vec<u8>)| {
        let (_, log) = str::from_utf8(text).ok()?.split_once("the log ends (all of it with -v):\n")?;
        Some((name.clone(), log.lines().flat_map(|line| [line.trim_start(), "\n"]).collect::<String>().into_bytes()))
    };
    files.logs.iter().filter_map(log).collect()
}

/// The first program of each object, with its records and types.
pub fn code(files: &Files) -> Seeds {
    each(files, |bytes| {
        let object = elf::parse(bytes).ok()?;
        let code = object.link(0, &Kernel::offline()).ok()?;
        let insns: Vec<_> = code.patched(|_| 1).into_iter().map(Insn::encode).collect();
        let lines: Vec<_> = code.lines.iter().map(|line| [line.insn, line.file, line.text, line.place.0]).collect();
        let funcs: Vec<_> = code.funcs.iter().map(|func| [func.insn, func.type_id]).collect();
        let records = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let types = join(&records(funcs.as_flattened()), &object.btf?.encode());
        Some(join(insns.as_flattened(), &join(&records(lines.as_flattened()), &types)))
    })
}

fn each(files: &Files, make: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Seeds {
    let made = files.objects.iter().map(|(name, object)| Some((name.clone(), make(object)?)));
    made.flatten().collect()
}

/// Returns the bytes of a section, when the object has it.
fn section<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let header = FileHeader64::<LittleEndian>::parse(object).ok()?;
    let endian = header.endian().ok()?;
    let table = header.sections(endian, object).ok()?;
    let (_, section) = table.section_by_name(endian, name.as_bytes())?;
    object::read::elf::SectionHeader::data(section, endian, object).ok()
}

/// Files of entries, each for every map.
pub fn entries(_: &Files) -> Seeds {
    let files: &[(u8, &str)] = &[
        (0, "\"10.0.0.0/8\" = 1\n1 = true\n"),
        (
            0,
            "[[entries]]\nkey = { src = \"10.0.0.1\", name = \"a\", port = 443 }\nvalue = [\"01:02:03:04:05:06\", [1, 2]]\n",
        ),
        (1, "{ \"10.0.0.0/8\": 1, \"1\": [\"hex:010203040506\"], \"::1\": null }"),
        (1, "[{ \"key\": { \"src\": \"10.0.0.1\", \"port\": { \"be16\": 443 } }, \"value\": 7 }, 3, \"\\u0031\"]"),
        (2, "# ours\n10.0.0.0/8,1\n\"1\", \"0x2\"\n10.0.0.1,a,443,7\n"),
        (2, "key.src,key.port,value\n10.0.0.1,443,0b1\n"),
        (3, "10.0.0.0/8 1 # all\n\n::1\n0,01:02:03:04:05:06\n"),
    ];
    let each = files.iter().enumerate().flat_map(|(number, (kind, text))| {
        (0..4).map(move |map| (format!("{number}-{map}"), [&[map, *kind][..], text.as_bytes()].concat()))
    });
    each.collect()
}
