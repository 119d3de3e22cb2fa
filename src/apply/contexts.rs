//! Arguments that are the context by their tag alone (`__arg_ctx`), on kernels that do not know the tag.
//!
//! A function that is not `static` is verified by itself, from its types. Since Linux 6.8 an argument with the tag
//! `arg:ctx` is the context, whatever it points to, so that programs of several types can call the function. Before,
//! only a pointer to the struct of the program's type was. So those kernels get one more type for each such function
//! and struct, behind all others, and the function records of the programs name it: the same arguments, with that
//! struct. Instructions and fingerprints stay what they are.
//!
//! The rules are those of `bpf_program_fixup_func_info` and `probe_kern_arg_ctx_tag` of libbpf.

use super::Applier;
use crate::btf::{Btf, Encoding, Linkage, Name, Param, Type, TypeId};
use crate::desired::{DesiredProgram, ObjectFacts};
use crate::insn::{CALL, EXIT, FuncRecord, Insn, PSEUDO_CALL, Registers};
use crate::kernel::{Kernel, ProgramRequest};
use crate::kinds::ProgramType;
use crate::plan::Action;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What `__arg_ctx` puts on an argument.
const TAG: &str = "arg:ctx";

/// `BPF_LDX | BPF_MEM | BPF_W`
const LOAD_WORD: u8 = 0x61;

/// The struct of registers that `bpf_user_pt_regs_t` is (asm/bpf_perf_event.h).
const REGISTERS: &str = if cfg!(any(target_arch = "x86", target_arch = "x86_64", target_arch = "arm")) {
    "pt_regs"
} else if cfg!(any(target_arch = "riscv32", target_arch = "riscv64")) {
    "user_regs_struct"
} else {
    "user_pt_regs"
};

/// A struct by which older kernels know a context.
struct Context {
    name: &'static str,
    program_types: &'static [ProgramType],
    /// The structs that newer kernels take in its place.
    also: &'static [&'static str],
    /// Whether they take any number of eight bytes.
    words: bool,
}

const fn context(name: &'static str, program_types: &'static [ProgramType]) -> Context {
    Context { name, program_types, also: &[], words: false }
}

/// What contexts are called (`bpf_ctx_convert`, kernel/bpf/btf.c); those of all other types have no name.
const CONTEXTS: &[Context] = &[
    context(
        "__sk_buff",
        &[
            ProgramType::SOCKET_FILTER,
            ProgramType::SCHED_CLS,
            ProgramType::SCHED_ACT,
            ProgramType::CGROUP_SKB,
            ProgramType::LWT_IN,
            ProgramType::LWT_OUT,
            ProgramType::LWT_XMIT,
            ProgramType::LWT_SEG6LOCAL,
            ProgramType::SK_SKB,
            ProgramType::FLOW_DISSECTOR,
        ],
    ),
    context("xdp_md", &[ProgramType::XDP]),
    context("bpf_sock", &[ProgramType::CGROUP_SOCK]),
    context("bpf_sock_addr", &[ProgramType::CGROUP_SOCK_ADDR]),
    context("bpf_sock_ops", &[ProgramType::SOCK_OPS]),
    context("bpf_sockopt", &[ProgramType::CGROUP_SOCKOPT]),
    context("bpf_sysctl", &[ProgramType::CGROUP_SYSCTL]),
    context("bpf_cgroup_dev_ctx", &[ProgramType::CGROUP_DEVICE]),
    context("bpf_sk_lookup", &[ProgramType::SK_LOOKUP]),
    context("sk_msg_md", &[ProgramType::SK_MSG]),
    context("sk_reuseport_md", &[ProgramType::SK_REUSEPORT]),
    context("bpf_nf_ctx", &[ProgramType::NETFILTER]),
    Context { also: &["pt_regs", REGISTERS], ..context("bpf_user_pt_regs_t", &[ProgramType::KPROBE]) },
    Context { also: &[REGISTERS], ..context("bpf_perf_event_data", &[ProgramType::PERF_EVENT]) },
    Context {
        words: true,
        ..context("bpf_raw_tracepoint_args", &[ProgramType::RAW_TRACEPOINT, ProgramType::RAW_TRACEPOINT_WRITABLE])
    },
];

impl Context {
    fn of(program_type: ProgramType) -> Option<&'static Self> {
        CONTEXTS.iter().find(|context| context.program_types.contains(&program_type))
    }

    /// Returns whether an argument with the tag has to become a pointer to this struct: it is none, and something that
    /// newer kernels take for one.
    fn replaces(&self, types: &Btf, argument: TypeId) -> bool {
        let Some(pointee) = types.pointee(argument) else { return false };
        let pointee = types.resolved(pointee);
        *pointee == Type::Void
            || matches!(pointee, Type::Struct { name, .. } if self.also.contains(&name.as_str()))
            || self.words && matches!(pointee, Type::Int { size: 8, .. })
    }
}

/// The types that stand in for functions of one object.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// Behind all others of the object.
    pub types: Vec<Type>,
    /// By function, and by the struct that its context is.
    functions: BTreeMap<(TypeId, &'static str), TypeId>,
}

impl StandIns {
    /// Makes those that the programs need; none when no argument has the tag.
    fn needed<'p>(object: &ObjectFacts, programs: impl Iterator<Item = &'p DesiredProgram>) -> Self {
        let tagged = tagged(&object.types);
        if tagged.is_empty() {
            return Self::default();
        }
        let mut maker = Maker { first: object.next_type(), made: Self::default(), pointers: BTreeMap::new() };
        for program in programs {
            let Some(context) = Context::of(program.kind.program_type) else { continue };
            // The kernel knows the context of a main function, which carries the fingerprint, by itself.
            for record in program.code.funcs.iter().skip(1) {
                if let Some(arguments) = tagged.get(&record.type_id) {
                    maker.stand_in(&object.types, record.type_id, arguments, context);
                }
            }
        }
        maker.made
    }

    /// Returns the function records of a program, with what stands in for its functions.
    pub fn records<'p>(&self, program: &'p DesiredProgram) -> Cow<'p, [FuncRecord]> {
        let own = &program.code.funcs[..];
        match Context::of(program.kind.program_type) {
            Some(context) if !self.functions.is_empty() => {
                let stand_in = |record: &FuncRecord| self.functions.get(&(record.type_id, context.name)).copied();
                let replaced = |record| FuncRecord { type_id: stand_in(record).unwrap_or(record.type_id), ..*record };
                own.iter().map(replaced).collect()
            }
            Some(_) | None => Cow::Borrowed(own),
        }
    }
}

/// Makes types, each once.
struct Maker {
    first: TypeId,
    made: StandIns,
    /// To each struct.
    pointers: BTreeMap<&'static str, TypeId>,
}

impl Maker {
    fn push(&mut self, ty: Type) -> TypeId {
        self.made.types.push(ty);
        self.first + (self.made.types.len() - 1) as TypeId
    }

    fn stand_in(&mut self, types: &Btf, function: TypeId, arguments: &[usize], context: &'static Context) {
        let Some((name, Type::FuncProto { ret, params })) = global(types, function) else { return };
        let key = (function, context.name);
        let is_replaced = |at: &&usize| params.get(**at).is_some_and(|param| context.replaces(types, param.ty));
        let replaced: Vec<usize> = arguments.iter().filter(is_replaced).copied().collect();
        if replaced.is_empty() || self.made.functions.contains_key(&key) {
            return;
        }
        let pointer = self.pointer(context.name);
        let mut params = params.clone();
        replaced.into_iter().for_each(|at| params[at].ty = pointer);
        let proto = self.push(Type::FuncProto { ret: *ret, params });
        let stand_in = self.push(Type::Func { name: name.clone(), proto, linkage: Linkage::Global });
        self.made.functions.insert(key, stand_in);
    }

    fn pointer(&mut self, name: &'static str) -> TypeId {
        if let Some(pointer) = self.pointers.get(name) {
            return *pointer;
        }
        // Only its name counts.
        let ty = self.push(Type::Struct { name: name.into(), size: 0, members: Vec::new() });
        let pointer = self.push(Type::Ptr { ty });
        self.pointers.insert(name, pointer);
        pointer
    }
}

/// Returns the name and the prototype of a function that is verified by itself.
fn global(types: &Btf, function: TypeId) -> Option<(&Name, &Type)> {
    let Type::Func { name, proto, linkage: Linkage::Global } = types.get(function)? else { return None };
    Some((name, types.get(*proto)?))
}

/// Returns the arguments that have the tag, by function.
fn tagged(types: &Btf) -> BTreeMap<TypeId, Vec<usize>> {
    let mut tagged: BTreeMap<TypeId, Vec<usize>> = BTreeMap::new();
    for (_, ty) in types.types() {
        if let Type::DeclTag { name, ty, component: Some(argument), .. } = ty
            && name == TAG
        {
            tagged.entry(*ty).or_default().push(*argument as usize);
        }
    }
    tagged
}

/// Returns whether the kernel takes an argument for the context by its tag: it lets a function read what is in it.
fn knows_tag<K: Kernel>(kernel: &mut K) -> bool {
    let mut types = Btf::default();
    let int = types.push(Type::Int { name: "int".into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Signed });
    let pointer = types.push(Type::Ptr { ty: 0 });
    let params = vec![Param { name: "context".into(), ty: pointer }];
    let proto = types.push(Type::FuncProto { ret: int, params });
    let function = types.push(Type::Func { name: "probe".into(), proto, linkage: Linkage::Global });
    types.push(Type::DeclTag { name: TAG.into(), ty: function, component: Some(0), attribute: false });
    let Ok(btf) = kernel.load_btf(&types.encode()) else { return false };
    let exit = Insn { code: EXIT, ..Insn::default() };
    let insns = [
        Insn { code: CALL, regs: Registers::new(0, PSEUDO_CALL), imm: 1, ..Insn::default() },
        exit,
        // The length of the packet.
        Insn { code: LOAD_WORD, regs: Registers::new(0, 1), ..Insn::default() },
        exit,
    ];
    let probe = ProgramRequest {
        btf: Some(&btf),
        funcs: &[FuncRecord { insn: 0, type_id: function }, FuncRecord { insn: 2, type_id: function }],
        ..ProgramRequest::plain("probe", ProgramType::SOCKET_FILTER, &insns)
    };
    kernel.load_program(&probe).is_ok()
}

impl<K: Kernel> Applier<'_, K> {
    /// Returns what stands in for functions of an object on this kernel: nothing where it knows the tag. It is asked
    /// once, and only when somebody needs to know.
    pub(super) fn stand_ins(&mut self, object: &ObjectFacts) -> StandIns {
        let programs = self.plan.steps.iter().filter_map(|step| {
            let (Action::LoadProgram { program, .. } | Action::ReuseProgram { program, .. }) = &step.action else {
                return None;
            };
            (program.object == object.name).then_some(&**program)
        });
        let needed = StandIns::needed(object, programs);
        if needed.types.is_empty() || *self.knows_tag.get_or_insert_with(|| knows_tag(self.kernel)) {
            return StandIns::default();
        }
        needed
    }
}
