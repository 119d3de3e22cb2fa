//! What makes a program the same program: fingerprints, kernel names, and the BTF that carries them.

use super::{DesiredMap, DesiredProgram, MapSource, ObjectFacts};
use crate::btf::{Btf, Encoding, Linkage, Type, TypeId};
use crate::elf::DataKind;
use crate::insn::{self, Code, FuncRecord};
use crate::names::{Digest, MapName, ObjectName, ProgramName};
use crate::parallel;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

/// Longest name of a map or program that the kernel takes (`BPF_OBJ_NAME_LEN` with its NUL is 16).
const KERNEL_NAME: usize = 15;

/// What stands before a fingerprint in a program's BTF.
pub const TAG: &str = "bpfapply:v1:";

/// Makes a name that the kernel takes: at most 15 bytes of letters, digits, `_` and `.` (`bpf_obj_name_cpy`).
pub fn kernel_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '_' };
    let mut kernel = String::with_capacity(KERNEL_NAME);
    kernel.extend(name.chars().map(allowed).take(KERNEL_NAME));
    kernel
}

/// Names the map of a data section after its object, as libbpf does (`internal_map_name`), so that whoever looks maps
/// up by these names finds them: `filter.rodata`, but `.rodata.mine` for a section of the author's own.
///
/// The section has at least 7 bytes of the name, also when it is shorter.
pub fn data_name(object: &str, section: &str) -> String {
    let is_own = section.get(1..).is_some_and(|rest| rest.contains('.'));
    let room = if is_own { 0 } else { KERNEL_NAME.saturating_sub(section.len().max(7)) };
    let object: String = object.chars().take(room).collect();
    kernel_name(&format!("{object}{section}"))
}

/// How many types make it worth while to start one more thread that writes them.
const TYPES_PER_THREAD: usize = 1024;

/// Programs by name.
pub type Programs = BTreeMap<ProgramName, Arc<DesiredProgram>>;

/// What of an object file stays when its programs are linked.
pub struct Origin {
    /// Path as the manifest writes it.
    pub path: String,
    /// Digest of the file.
    pub sha256: Digest,
    /// Its types.
    pub btf: Option<Arc<Btf>>,
}

/// Gives each program its fingerprint, and each object the BTF that tells it to whoever reads the program back: one
/// object after the other on each core.
pub fn seal(
    origins: BTreeMap<ObjectName, Origin>,
    maps: &BTreeMap<MapName, DesiredMap>,
    programs: Programs,
) -> (BTreeMap<ObjectName, Arc<ObjectFacts>>, Programs) {
    let mut by_object: HashMap<ObjectName, Vec<Arc<DesiredProgram>>> = HashMap::new();
    for program in programs.into_values() {
        by_object.entry(program.object.clone()).or_default().push(program);
    }
    let types: usize = origins.values().filter_map(|origin| Some(origin.btf.as_ref()?.types().len())).sum();
    let objects: Vec<(ObjectName, Origin, Vec<Arc<DesiredProgram>>)> = origins
        .into_iter()
        .map(|(name, origin)| {
            let programs = by_object.remove(&name).unwrap_or_default();
            (name, origin, programs)
        })
        .collect();
    let sealed = parallel::map(objects, types / TYPES_PER_THREAD, |(name, origin, programs)| {
        Ok::<_, Infallible>(seal_object(name, origin, programs, maps))
    });
    let (objects, programs): (Vec<_>, Vec<_>) = sealed.unwrap_or_else(|(_, never)| match never {}).into_iter().unzip();
    let objects = objects.into_iter().map(|facts| (facts.name.clone(), facts));
    let programs = programs.into_iter().flatten().map(|program| (program.name.clone(), program));
    (objects.collect(), programs.collect())
}

fn seal_object(
    name: ObjectName,
    origin: Origin,
    mut programs: Vec<Arc<DesiredProgram>>,
    maps: &BTreeMap<MapName, DesiredMap>,
) -> (Arc<ObjectFacts>, Vec<Arc<DesiredProgram>>) {
    let mut types = MoreTypes::behind(origin.btf.unwrap_or_default());
    for program in &mut programs {
        let program = Arc::get_mut(program).expect("nobody else has it before it is sealed");
        describe_functions(&mut types, &program.function, &mut program.code);
        program.fingerprint = fingerprint(program, maps);
    }
    let mains = programs.iter().map(|program| (program.name.clone(), program.code.funcs[0].type_id)).collect();
    let fingerprints = programs.iter().map(|program| (program.name.as_str().to_owned(), program.fingerprint)).collect();
    let facts = ObjectFacts {
        name,
        path: origin.path,
        sha256: origin.sha256,
        types: types.own,
        described: types.more,
        mains,
        fingerprints: Arc::new(fingerprints),
    };
    (Arc::new(facts), programs)
}

impl ObjectFacts {
    /// Returns the BTF for the kernel: the types under their ids, and a tag with the fingerprint of each wanted program.
    ///
    /// It is as long as the types themselves, and wanted once if at all, so that nobody keeps it.
    pub fn btf(&self) -> Vec<u8> {
        self.btf_with(&[])
    }

    /// Returns the same with more types behind all others, from [`ObjectFacts::next_type`] on.
    pub fn btf_with(&self, last: &[Type]) -> Vec<u8> {
        let tag = |(program, main): &(ProgramName, TypeId)| Type::DeclTag {
            name: format!("{TAG}{program}:sha256={}", self.fingerprints[program.as_str()]).into(),
            ty: *main,
            component: None,
            attribute: false,
        };
        let described = self.described.iter().cloned();
        let more: Vec<Type> = described.chain(self.mains.iter().map(tag)).chain(last.iter().cloned()).collect();
        self.types.encode_with(&more)
    }

    /// Returns the id behind the last type of [`ObjectFacts::btf`].
    pub fn next_type(&self) -> TypeId {
        (self.types.types().len() + self.described.len() + self.mains.len()) as TypeId
    }
}

/// An object's types, and those that come behind them.
struct MoreTypes {
    own: Arc<Btf>,
    more: Vec<Type>,
}

impl MoreTypes {
    fn behind(own: Arc<Btf>) -> Self {
        Self { own, more: Vec::new() }
    }

    /// Adds a type and returns its id.
    fn push(&mut self, ty: Type) -> TypeId {
        let id = self.own.types().len() + self.more.len();
        self.more.push(ty);
        id as TypeId
    }
}

/// More bytes than most programs have to be digested beside their code.
const FINGERPRINT_TEXT: usize = 512;

/// Digests what makes a program unchanged: strict instructions, the identity of each map, constants, type,
/// attach type, flags, license and version (DESIGN §6).
fn fingerprint(program: &DesiredProgram, maps: &BTreeMap<MapName, DesiredMap>) -> Digest {
    let identity = |index: usize| match &maps[program.map(index)].source {
        MapSource::Defined(definition) => Cow::Borrowed(definition.pin.as_str()),
        MapSource::Pinned(pin) => Cow::Borrowed(pin.as_str()),
        MapSource::Id(id) => Cow::Owned(format!("id {id}")),
    };
    let mut text = String::with_capacity(FINGERPRINT_TEXT);
    let _ = writeln!(text, "code {}", program.code.digest(identity));
    let kind = &program.kind;
    let attach_type = kind.attach_type.map(|attach_type| attach_type.0);
    let _ = writeln!(text, "type {} attach {attach_type:?} flags {}", kind.program_type.0, kind.flags);
    let _ = writeln!(text, "license {:?} version {}", program.license, program.kernel_version);
    if program.attach_btf_id != 0 {
        let _ = writeln!(text, "for {:?}", kind.target);
    }
    if let Some(module) = &program.attach_module {
        let _ = writeln!(text, "of the module {:?}", module.name);
    }
    if let Some(extends) = &program.extends {
        let _ = writeln!(text, "replaces {:?} of program.{}", extends.function, extends.program);
    }
    for name in program.uses() {
        if let MapSource::Defined(definition) = &maps[name].source
            && let Some((DataKind::Rodata, data)) = &definition.data
        {
            let _ = writeln!(text, "{name} {}", Digest::of(data));
        }
    }
    Digest::of(text.as_bytes())
}

/// Makes function records for code that has none, so that its main function can carry a fingerprint.
///
/// The kernel wants one record for each function, in order (`check_btf_func`, kernel/bpf/verifier.c), and
/// counts as a function what is called or taken as a callback.
fn describe_functions(types: &mut MoreTypes, main: &str, code: &mut Code) {
    if !code.funcs.is_empty() {
        return;
    }
    let int = types.push(Type::Int { name: "int".into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Signed });
    let proto = types.push(Type::FuncProto { ret: int, params: Vec::new() });
    let mut function =
        |name: String| -> TypeId { types.push(Type::Func { name: name.into(), proto, linkage: Linkage::Static }) };
    for start in function_starts(code) {
        let name = if start == 0 { identifier(main) } else { format!("sub_{start}") };
        code.funcs.push(FuncRecord { insn: start, type_id: function(name) });
    }
}

/// Returns the index of each function's first instruction, by rising index.
fn function_starts(code: &Code) -> BTreeSet<u32> {
    let mut starts = BTreeSet::from([0]);
    for (at, insn) in code.insns.iter().enumerate() {
        let call = insn.code == insn::CALL && insn.regs.src() == insn::PSEUDO_CALL;
        let callback = insn.is_ld_imm64() && insn.regs.src() == insn::PSEUDO_FUNC;
        if (call || callback)
            && let Ok(start) = u32::try_from(at as i64 + 1 + i64::from(insn.imm))
        {
            starts.insert(start);
        }
    }
    starts
}

/// Makes a C identifier, which is what the kernel takes as a function's name (`btf_name_valid_identifier`).
fn identifier(name: &str) -> String {
    let mut text: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        text.insert(0, '_');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names() {
        for (name, kernel) in [("a", "a"), ("flow-table", "flow_table"), ("a_name_that_is_too_long", "a_name_that_is_")]
        {
            assert_eq!(kernel_name(name), kernel);
        }
        assert_eq!(data_name("filter", ".rodata"), "filter.rodata");
        assert_eq!(data_name("a-long-object-name", ".rodata"), "a_long_o.rodata");
        assert_eq!(data_name("a-long-object-name", ".bss"), "a_long_o.bss");
        assert_eq!(data_name("filter", ".rodata.str1.16"), ".rodata.str1.16");
        assert_eq!(data_name("filter", ".data.of-the-author"), ".data.of_the_au");
        assert_eq!(identifier("0day-x"), "_0day_x");
    }
}
