//! From a test to what is run: a plan for a host that has nothing yet, the bytes of the packet, and those of everything that
//! is expected.

use super::alone::{alone, only};
use super::input::{Input, Way, input};
use super::{Case, Place};
use crate::desired::{self, Contents, Desired, DesiredMap, Files, MapSource};
use crate::diag::{Kind, Problem, Problems};
use crate::elf::Target;
use crate::entries::Entries;
use crate::kernel::{Kernel, observe};
use crate::kinds::ProgramType;
use crate::load;
use crate::manifest::{self, At, InterfaceText, Manifest, PacketSource, Test, TestMaps, VerdictText};
use crate::names::{MapName, PinPath};
use crate::observed::{MapInfo, Observed, Wanted};
use crate::packet;
use crate::plan::{self, Mode, Plan};
use crate::spec::Host;
use crate::verdict;
use crate::{cells, names::ProgramName};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What all tests of a manifest are made from.
pub struct Base<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The folder that its paths start from.
    pub folder: &'a Path,
    /// Its objects, and the entries of its maps.
    pub files: Files,
    /// The bpffs that has its pins.
    pub bpffs: PinPath,
    /// What decides the shape of maps.
    pub host: Host,
    /// What of the kernel decides the code of programs.
    pub target: Target,
    /// Maps of others, as far as they are on the host.
    pub shapes: BTreeMap<MapName, MapInfo>,
}

impl Base<'_> {
    /// Resolves the manifest as it is, which says what is wrong with it beside its tests; returns the types of its programs.
    pub fn check(&self) -> Result<BTreeMap<ProgramName, ProgramType>, Problems> {
        let desired = resolve(self, &TestMaps::new())?;
        Ok(desired.programs.iter().map(|(name, program)| (name.clone(), program.kind.program_type)).collect())
    }

    /// Checks the manifest, and that each program that a link runs has a test, of those that can have one.
    pub fn check_tested(&self, cases: &[Case<'_>]) -> Result<(), Problems> {
        let types = self.check()?;
        let mut untested = BTreeMap::new();
        for link in self.manifest.links.values() {
            let Some(program) = link.program.as_ref().map(|program| &program.value) else { continue };
            let can = types.get(program).is_some_and(|program_type| Way::of(*program_type).is_some());
            if can && !cases.iter().any(|case| case.program == program) {
                untested.entry(program).or_insert(link);
            }
        }
        let problem = |(program, link): (&ProgramName, &manifest::Link)| {
            let kind = Kind::Untested { program: program.clone() };
            let at = self.manifest.programs[program].span.clone();
            Problem::at(kind, at, "this program").and(link.span.clone(), "runs it")
        };
        Problems(untested.into_iter().map(problem).collect()).or(())
    }
}

/// A program with its maps, ready to be loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// How.
    pub plan: Arc<Plan>,
    /// What it is made from.
    pub desired: Arc<Desired>,
    /// Type of the program.
    pub program_type: ProgramType,
}

/// A test that can be run.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The test.
    pub case: Case<'a>,
    /// The program.
    pub loaded: Loaded,
    /// The packet as it is written, with Ethernet.
    pub frame: Vec<u8>,
    /// What the program gets.
    pub input: Input,
    /// What it has to return.
    pub verdict: Option<u32>,
    /// What maps have to hold.
    pub maps: Vec<(Arc<DesiredMap>, Arc<Entries>)>,
}

/// Prepares all tests, or says everything that is wrong with them, by the text that it is in.
pub fn prepare<'a, K: Kernel>(
    kernel: &K,
    base: &Base<'_>,
    cases: &[Case<'a>],
) -> Result<Vec<Prepared<'a>>, (Place, Problems)> {
    let mut loaded = BTreeMap::new();
    let (mut prepared, mut problems) = (Vec::new(), BTreeMap::<Place, Problems>::new());
    for case in cases {
        match one(kernel, base, *case, &mut loaded) {
            Ok(test) => prepared.push(test),
            Err(found) => problems.entry(case.place).or_default().0.extend(found.0),
        }
    }
    match problems.pop_first() {
        Some((place, problems)) => Err((place, problems.or(()).err().unwrap_or_default())),
        None => Ok(prepared),
    }
}

fn one<'a, K: Kernel>(
    kernel: &K,
    base: &Base<'_>,
    case: Case<'a>,
    known: &mut BTreeMap<ProgramName, Loaded>,
) -> Result<Prepared<'a>, Problems> {
    let Case { program, test, .. } = case;
    // Most tests leave the maps as the manifest fills them.
    let loaded = match known.get(program).filter(|_| test.maps.is_empty()) {
        Some(loaded) => loaded.clone(),
        None => {
            let loaded = ready(kernel, base, program, &test.maps)?;
            if test.maps.is_empty() {
                known.insert(program.clone(), loaded.clone());
            }
            loaded
        }
    };
    let program_type = loaded.program_type;
    let Some(way) = Way::of(program_type) else {
        let kind = Kind::NotTestable { program: program.clone(), program_type };
        return Err(Problem::at(kind, test.span.clone(), "this test").into());
    };
    let mut problems = Problems::default();
    let frame = frame(test, base.folder, &mut problems);
    let ifindex = interface(kernel, test, &mut problems);
    let verdict = test.verdict.as_ref().and_then(|verdict| expected(verdict, program_type, &mut problems));
    check_after(test, way, &mut problems);
    let at = At { value: frame.clone(), span: test.packet.span.clone() };
    let input = input((way, program_type), at, (&test.context, ifindex), test.repeat);
    let input = input.map_err(|wrong| problems.0.extend(wrong)).ok();
    let maps = expected_maps(base, case, &mut problems);
    let input = problems.or(input)?.expect("an input that is not there has a problem");
    Ok(Prepared { case, loaded, frame, input, verdict, maps })
}

/// Plans to load one program with these contents of its maps.
pub fn ready<K: Kernel>(
    kernel: &K,
    base: &Base<'_>,
    program: &ProgramName,
    contents: &TestMaps,
) -> Result<Loaded, Problems> {
    let mut desired = resolve(base, contents)?;
    only(&mut desired, program);
    // What maps refer to is the host's; of what it runs, nothing is looked at, and nothing is there.
    let Wanted { interfaces, cgroups, namespaces, .. } = Wanted::of(&desired);
    let wanted = Wanted { interfaces, cgroups, namespaces, ..Wanted::default() };
    let seen = observe::observe(kernel, &wanted)?;
    let observed = Observed {
        interfaces: seen.interfaces,
        cgroups: seen.cgroups,
        namespaces: seen.namespaces,
        ..Observed::nothing(seen.host)
    };
    let plan = plan::plan(&desired, &observed, Mode::Live)?;
    let program_type = desired.programs[program].kind.program_type;
    Ok(Loaded { plan: Arc::new(plan), desired: Arc::new(desired), program_type })
}

fn resolve(base: &Base<'_>, contents: &TestMaps) -> Result<Desired, Problems> {
    let manifest = alone(base.manifest, contents, &base.shapes, &base.files.objects);
    let entries = load::entries(&manifest, base.folder)?;
    let files = Files { objects: base.files.objects.clone(), entries };
    desired::resolve(&manifest, files, &base.bpffs, &base.host, &base.target)
}

/// Makes the packet, with Ethernet.
fn frame(test: &Test, folder: &Path, problems: &mut Problems) -> Vec<u8> {
    let At { value, span } = &test.packet;
    let (path, frame) = match value {
        PacketSource::Layers(layers) => return packet::build(layers),
        PacketSource::Bytes(bytes) => return bytes.clone(),
        PacketSource::Capture { path, frame } => (path, *frame),
    };
    let unreadable = |why: String| Kind::UnreadableFile { path: path.clone(), why };
    let kind = match load::capture(&folder.join(path)) {
        Ok(mut packets) => match packets.len() {
            len if len < frame as usize => unreadable(format!("it has {len} packets, and none of number {frame}")),
            _ => return packets.swap_remove(frame as usize - 1),
        },
        Err(why) => unreadable(why),
    };
    problems.push(Problem::at(kind, span.clone(), "this capture"));
    Vec::new()
}

/// Finds the index of the interface that a context names.
fn interface<K: Kernel>(kernel: &K, test: &Test, problems: &mut Problems) -> Option<u32> {
    let At { value, span } = test.context.interface.as_ref()?;
    let name = match value {
        InterfaceText::Index(index) => return Some(*index),
        InterfaceText::Name(name) => name,
    };
    let why = match kernel.interface(name) {
        Ok(Some(interface)) => return Some(interface.index),
        Ok(None) => "there is no such interface".to_owned(),
        Err(error) => error.to_string(),
    };
    problems.push(Problem::at(Kind::BadText { text: name.clone(), why }, span.clone(), "this interface"));
    None
}

fn expected(verdict: &At<VerdictText>, program_type: ProgramType, problems: &mut Problems) -> Option<u32> {
    let name = match &verdict.value {
        VerdictText::Number(number) => return Some(number.cast_unsigned()),
        VerdictText::Name(name) => name,
    };
    let allowed = match verdict::number(program_type, name) {
        Ok(number) => return Some(number),
        Err(allowed) => allowed,
    };
    let kind = match allowed.is_empty() {
        true => {
            let why = format!("programs of type `{program_type}` return mere numbers");
            Kind::BadText { text: name.clone(), why }
        }
        false => {
            let similar = crate::diag::similar(name, &allowed);
            Kind::UnknownValue { key: "verdict".to_owned(), value: name.clone(), allowed, similar }
        }
    };
    problems.push(Problem::at(kind, verdict.span.clone(), "this verdict"));
    None
}

/// Reports expectations of what does not come back.
fn check_after(test: &Test, way: Way, problems: &mut Problems) {
    let after = &test.after;
    let packet = after.packet.as_ref().map(|packet| ("packet", &packet.span)).filter(|_| !way.returns_packet());
    let skb = matches!(way, Way::Skb { .. });
    let said = [("mark", &after.mark), ("priority", &after.priority)];
    let context = said.into_iter().filter_map(|(what, said)| Some((what, &said.as_ref()?.span))).filter(|_| !skb);
    for (what, span) in packet.into_iter().chain(context) {
        let why = "the kernel does not tell it of a test of programs of this type".to_owned();
        problems.push(Problem::at(Kind::BadText { text: what.to_owned(), why }, span.clone(), "here"));
    }
}

/// Makes bytes of the entries that maps have to hold, as they are made of those that they hold before.
fn expected_maps(base: &Base<'_>, case: Case<'_>, problems: &mut Problems) -> Vec<(Arc<DesiredMap>, Arc<Entries>)> {
    let wanted = &case.test.after.maps;
    if wanted.is_empty() {
        return Vec::new();
    }
    let desired = match resolve(base, wanted) {
        Ok(desired) => desired,
        Err(found) => {
            problems.0.extend(found.0);
            return Vec::new();
        }
    };
    let mut maps = Vec::new();
    for (name, At { value: given, span }) in wanted {
        let is_it =
            |map: &&Arc<DesiredMap>| map.contents().is_some_and(|(_, contents)| contents.span == given.entries.span);
        let map = desired.maps.get(name).into_iter().chain(desired.maps.values()).find(is_it);
        let found = map.and_then(|map| Some((map, readable(map)?)));
        match found {
            Some((map, contents)) => maps.push((Arc::clone(map), Arc::clone(&contents.entries))),
            None => {
                let why = "what it holds afterwards cannot be compared".to_owned();
                let kind = Kind::BadText { text: format!("map.{name}"), why };
                problems.push(Problem::at(kind, span.clone(), "this map"));
            }
        }
    }
    maps
}

/// Returns the entries of a map that can be read and compared: data, by key.
fn readable(map: &DesiredMap) -> Option<&Contents> {
    let MapSource::Defined(definition) = &map.source else { return None };
    let contents = definition.contents.as_deref()?;
    let is_data = contents.references.given.is_empty() && definition.slots.is_empty();
    (is_data && cells::unreadable(definition.spec.map_type).is_none()).then_some(contents)
}

/// Looks at the maps of others that a manifest names, as far as they are there.
pub fn shapes<K: Kernel>(kernel: &K, manifest: &Manifest) -> BTreeMap<MapName, MapInfo> {
    let mut shapes = BTreeMap::new();
    for (name, map) in &manifest.maps {
        let fd = match &map.source {
            manifest::MapSource::Pinned(pin) => kernel.open_pin(&pin.value).ok().map(|(_, fd)| fd),
            manifest::MapSource::Id(id) => kernel.map_by_id(id.value).ok(),
            manifest::MapSource::From(_) | manifest::MapSource::Inline { .. } => None,
        };
        if let Some(info) = fd.and_then(|fd| kernel.map_info(&fd).ok()) {
            shapes.insert(name.clone(), info);
        }
    }
    shapes
}
