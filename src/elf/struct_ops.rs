//! Structs of functions that the kernel calls: variables of its own struct types in `.struct_ops` and `.struct_ops.link`.
//!
//! The object is read without a kernel; what is wrong with such a struct only concerns who wants it. Where its members
//! lie in a kernel, by name, is asked when a program or the map is wanted (`init_struct_ops_maps` and
//! `bpf_map__init_kern_struct_ops` of libbpf).

use super::core::Types;
use super::file::{File, Section};
use super::{Dialect, Error, Map, Object, Pinning, Refusal, Slot, SlotTarget, Target};
use crate::btf::kernel::{KernelTypes, essential};
use crate::btf::{Btf, Kind, Member, Type, TypeId};
use crate::insn::ModuleId;
use crate::kinds::MapType;
use crate::spec::{MapSpec, MapTypes, flags};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The section whose structs are registered when they are filled.
const SECTION: &str = ".struct_ops";
/// The section whose structs are registered by a link.
const LINKED: &str = ".struct_ops.link";
/// What stands before a struct's name in the type of the map's value.
const VALUE: &str = "bpf_struct_ops_";
/// The largest struct that is made, in bytes; the largest of Linux 6.18 has 400.
const MAX_BYTES: u32 = 1 << 20;

/// What the object says of one struct.
#[derive(Debug, Default)]
pub(super) struct Definition {
    /// Its type in the object's BTF; 0 when it has none.
    ty: TypeId,
    /// Its contents; functions are zero.
    bytes: Vec<u8>,
    /// Why it cannot be used.
    problems: Vec<Error>,
}

/// The member of a kernel's struct that a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The struct in the kernel's BTF: `attach_btf_id` of `BPF_PROG_LOAD`.
    pub type_id: TypeId,
    /// The member's number in it: `expected_attach_type` of `BPF_PROG_LOAD`.
    pub member: u32,
    /// Both by name: `tcp_congestion_ops/ssthresh`.
    pub name: String,
    /// The module that has the struct; `None` for the kernel itself.
    pub module: Option<ModuleId>,
}

/// The first value of a struct_ops map, as a kernel lays it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operations {
    /// The value's type in the kernel's BTF: `btf_vmlinux_value_type_id` of `BPF_MAP_CREATE`.
    pub value_type: TypeId,
    /// The module that has it; `None` for the kernel itself.
    pub module: Option<ModuleId>,
    /// The whole value, with zeroes for functions.
    pub bytes: Vec<u8>,
    /// The functions by their byte in it, as indices of [`Object::programs`]. A descriptor takes 8 bytes there.
    pub functions: BTreeMap<u32, usize>,
}

/// Reads every struct, with its map. `programs` finds a program by section number and byte.
pub(super) fn read(
    file: &File<'_>,
    btf: Option<&Arc<Btf>>,
    programs: &HashMap<(usize, u64), usize>,
) -> Vec<(Map, Definition)> {
    let Some(btf) = btf else { return Vec::new() };
    let mut found = Vec::new();
    for section in &file.sections {
        let name = section.name.strip_prefix('?').unwrap_or(section.name);
        if name != SECTION && name != LINKED {
            continue;
        }
        let Some((_, vars)) = btf.datasec(section.name) else { continue };
        let first = found.len();
        for var in vars {
            let Some(Type::Var { name: symbol, ty, .. }) = btf.get(var.ty) else { continue };
            let definition = read_definition(btf, section, btf.resolve(*ty), var.offset);
            let spec = MapSpec {
                flags: if name == LINKED { flags::LINK } else { 0 },
                types: Some(MapTypes { btf: Arc::clone(btf), key: 0, value: definition.ty }),
                ..MapSpec::new(MapType::STRUCT_OPS, 4, btf.size_of(*ty).unwrap_or(0), 1)
            };
            let map = Map {
                symbol: symbol.to_string(),
                section: name.to_owned(),
                dialect: Dialect::StructOps,
                spec,
                pinning: Pinning::None,
                data: None,
                slots: Vec::new(),
            };
            found.push((var.offset, map, definition));
        }
        fill(file, section, btf, &mut found[first..], programs);
    }
    found.into_iter().map(|(_, map, definition)| (map, definition)).collect()
}

fn read_definition(btf: &Btf, section: &Section<'_>, ty: TypeId, offset: u32) -> Definition {
    let failed = |what: String| Definition { problems: vec![Error::new(what)], ..Definition::default() };
    let Some(Type::Struct { name, size, .. }) = btf.get(ty).filter(|ty| ty.name() != Some("")) else {
        return failed(format!("`{}` is no struct of the kernel, and has no functions for it", btf.type_name(ty)));
    };
    let start = offset as usize;
    match start.checked_add(*size as usize).and_then(|end| section.data.get(start..end)) {
        Some(bytes) if *size <= MAX_BYTES => Definition { ty, bytes: bytes.to_vec(), problems: Vec::new() },
        Some(_) | None => failed(format!("the section does not hold the {size} bytes of `struct {name}`")),
    }
}

/// Takes the functions from the relocations of the section.
fn fill(
    file: &File<'_>,
    section: &Section<'_>,
    btf: &Btf,
    found: &mut [(u32, Map, Definition)],
    programs: &HashMap<(usize, u64), usize>,
) {
    found.sort_by_key(|(offset, ..)| *offset);
    for relocation in &section.relocations {
        let behind = found.partition_point(|(offset, ..)| u64::from(*offset) <= relocation.offset);
        let Some((offset, map, definition)) = behind.checked_sub(1).and_then(|number| found.get_mut(number)) else {
            continue;
        };
        let byte = relocation.offset - u64::from(*offset);
        let named = file.symbols.get(relocation.symbol).map_or("?", |symbol| symbol.name);
        let member = members(btf, definition.ty)
            .iter()
            .position(|member| member.bit_offset % 8 == 0 && u64::from(member.bit_offset / 8) == byte);
        let program = file.points_to(section, relocation).and_then(|place| programs.get(&place));
        match (member, program) {
            (Some(member), Some(program)) => {
                // Below the file's size.
                map.slots.push(Slot { index: member as u32, target: SlotTarget::Program(*program) });
                clear(&mut definition.bytes, byte);
            }
            (_, None) => {
                let what = format!("byte {byte:#x} of the struct refers to `{named}`, which is no program");
                definition.problems.push(Error::new(what));
            }
            (None, Some(_)) => {
                let what = format!("`{named}` is not in a member of the struct, but at byte {byte:#x}");
                definition.problems.push(Error::new(what));
            }
        }
    }
    for (offset, map, definition) in found {
        map.slots.sort_by_key(|slot| slot.index);
        for problem in &mut definition.problems {
            let problem_here = std::mem::take(problem).section(section.name).symbol(&map.symbol);
            *problem = problem_here.offset((*offset).into());
        }
    }
}

/// Takes away where in its section a static function stands.
fn clear(bytes: &mut [u8], byte: u64) {
    let start = usize::try_from(byte).unwrap_or(usize::MAX);
    if let Some(pointer) = start.checked_add(8).and_then(|end| bytes.get_mut(start..end)) {
        pointer.fill(0);
    }
}

fn members(btf: &Btf, ty: TypeId) -> &[Member] {
    match btf.get(ty) {
        Some(Type::Struct { members, .. }) => members,
        _ => &[],
    }
}

/// A struct of functions in a kernel, and the value of a map that holds it.
struct Layout<'a> {
    types: &'a KernelTypes,
    module: Option<&'a ModuleId>,
    name: &'a str,
    /// The struct.
    id: TypeId,
    ty: &'a Type,
    value_type: TypeId,
    value_size: u32,
    /// The byte of the value at which the struct begins.
    start: u32,
}

impl<'a> Layout<'a> {
    /// Finds the struct by the name that the object has for it, maybe with a version behind `___`.
    fn find(target: &'a Target, name: &'a str) -> Result<Self, Refusal> {
        let name = essential(name);
        let Some(kernel) = target.types.as_deref() else {
            let why = format!("this kernel has no BTF, by which `struct {name}` could be found");
            return Err(Refusal::of_kernel(why));
        };
        let Some(value) = target.find(Kind::Struct, &value_name(name)).map_err(unreadable)? else {
            let why = format!("this kernel takes no functions for `struct {name}`{}", target.modules.note());
            return Err(Refusal::of_kernel(why));
        };
        let (types, value_type) = (value.types, value.id);
        let of_kernel = kernel.find(Kind::Struct, name).map_err(unreadable)?;
        let id = of_kernel.map_or_else(|| types.find(Kind::Struct, name), |id| Ok(Some(id))).map_err(unreadable)?;
        let Some(id) = id else { return Err(Refusal::of_kernel(format!("this kernel has no `struct {name}`"))) };
        let ty = types.get(value_type).map_err(unreadable)?;
        let Type::Struct { size, members, .. } = ty else {
            return Err(format!("`{VALUE}{name}` of this kernel is no struct").into());
        };
        let start = members.iter().find(|member| member.ty == id).map(|member| member.bit_offset / 8);
        let Some(start) = start.filter(|_| *size <= MAX_BYTES) else {
            return Err(format!("`struct {VALUE}{name}` of this kernel does not hold `struct {name}`").into());
        };
        let ty = types.get(id).map_err(unreadable)?;
        Ok(Self { types, module: value.module, name, id, ty, value_type, value_size: *size, start })
    }

    fn member(&self, name: &str) -> Option<(u32, &Member)> {
        let Type::Struct { members, .. } = self.ty else { return None };
        let number = members.iter().position(|member| member.name == name)?;
        // BTF counts members in 16 bits.
        Some((number as u32, &members[number]))
    }

    fn lacks(&self, member: &str) -> Refusal {
        Refusal::of_kernel(format!("`struct {}` of this kernel has no member `{member}`", self.name))
    }

    /// Returns the number of the member that holds a function, and its byte in the value.
    fn function(&self, local: &Member) -> Result<(u32, u32), Refusal> {
        let name = &local.name;
        let (number, member) = self.member(name).ok_or_else(|| self.lacks(name))?;
        let pointee = match Types::resolved(self.types, member.ty)? {
            Type::Ptr { ty } => Some(Types::resolved(self.types, *ty)?),
            _ => None,
        };
        match pointee {
            Some(Type::FuncProto { .. }) => Ok((number, self.start.saturating_add(member.bit_offset / 8))),
            Some(_) | None => {
                Err(Refusal::of_kernel(format!("`{name}` of this kernel's `struct {}` is no function", self.name)))
            }
        }
    }

    /// Returns where the value has the data of a member; nowhere when the kernel lacks the member and it is zero.
    fn data(&self, btf: &Btf, local: &Member, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let name = &local.name;
        let is_zero = bytes.iter().all(|byte| *byte == 0);
        let Some((_, member)) = self.member(name) else {
            return if is_zero { Ok(None) } else { Err(self.lacks(name)) };
        };
        if local.bitfield_size != 0 || member.bitfield_size != 0 {
            return Err(format!("the bit-field `{name}` of `struct {}` is not supported", self.name).into());
        }
        let (ours, theirs) = (btf.resolved(local.ty).kind(), Types::resolved(self.types, member.ty)?.kind());
        let size = Types::size_of(self.types, member.ty)?;
        if ours != theirs || size as usize != bytes.len() {
            let what = btf.type_name(local.ty);
            let why = format!("`{name}` of this kernel's `struct {}` is no `{what}`", self.name);
            return Err(Refusal::of_kernel(why));
        }
        match ours {
            Kind::Ptr if is_zero => Ok(None),
            Kind::Ptr => Err(format!("the pointer `{name}` is neither null nor a program").into()),
            _ => Ok(Some(self.start as usize + member.bit_offset as usize / 8)),
        }
    }
}

/// Names the type of the value in which the kernel holds a struct.
fn value_name(name: &str) -> String {
    format!("{VALUE}{}", essential(name))
}

/// Lists what the values of the object's structs are called in the types of a kernel.
pub(super) fn value_names(object: &Object) -> impl Iterator<Item = String> {
    let btf = object.btf.as_deref();
    let definitions = object.image.struct_ops.values();
    definitions.filter_map(move |definition| Some(value_name(btf?.get(definition.ty)?.name()?)))
}

fn unreadable(error: crate::btf::Error) -> String {
    format!("the types of the kernel cannot be read: {error}")
}

/// Finds the member of the kernel's struct that a program is.
pub(super) fn operation(object: &Object, program: usize, target: &Target) -> Result<Operation, Refusal> {
    let mut answers = holders(object, program).map(|(btf, ty, member)| {
        let layout = Layout::find(target, btf.get(ty).and_then(Type::name).unwrap_or_default())?;
        let (number, _) = layout.function(member)?;
        let name = format!("{}/{}", layout.name, member.name);
        Ok(Operation { type_id: layout.id, member: number, name, module: layout.module.cloned() })
    });
    let Some(first) = answers.next() else {
        return Err(format!("no struct in `{SECTION}` or `{LINKED}` holds it").into());
    };
    // Of two versions of a struct this kernel may know one only.
    let mut known: Vec<Operation> = answers.filter_map(Result::ok).collect();
    let first = match (first, known.is_empty()) {
        (Err(why), true) => return Err(why),
        (Err(_), false) => known.swap_remove(0),
        (Ok(first), _) => first,
    };
    match known.into_iter().find(|other| *other != first) {
        Some(other) => {
            Err(format!("it is both `{}` and `{}`, and can only be one of them", first.name, other.name).into())
        }
        None => Ok(first),
    }
}

/// Lists the members that hold a program: the object's BTF, the struct in it, the member.
fn holders(object: &Object, program: usize) -> impl Iterator<Item = (&Btf, TypeId, &Member)> {
    object.btf.as_deref().into_iter().flat_map(move |btf| {
        object.image.struct_ops.iter().flat_map(move |(map, definition)| {
            let slots = object.maps[*map].slots.iter();
            let held = slots.filter(move |slot| slot.target == SlotTarget::Program(program));
            let member = |slot: &Slot| members(btf, definition.ty).get(slot.index as usize);
            held.filter_map(move |slot| Some((btf, definition.ty, member(slot)?)))
        })
    })
}

/// Lays a struct out as the kernel has it; as the object has it without a kernel.
pub(super) fn operations(object: &Object, map: usize, target: &Target) -> Result<Operations, Vec<Error>> {
    let known = object.maps.get(map).zip(object.image.struct_ops.get(&map)).zip(object.btf.as_deref());
    let Some(((map, definition), btf)) = known else {
        return Err(vec![Error::new("it is no struct of functions for the kernel")]);
    };
    if !definition.problems.is_empty() {
        return Err(definition.problems.clone());
    }
    let place = |refusal: Refusal| Error::new(refusal).section(&map.section).symbol(&map.symbol);
    let members = members(btf, definition.ty);
    let programs: BTreeMap<usize, usize> = (map.slots.iter())
        .filter_map(|slot| match slot.target {
            SlotTarget::Program(program) => Some((slot.index as usize, program)),
            SlotTarget::Map(_) => None,
        })
        .collect();
    if target.offline {
        let at = |(member, program): (usize, usize)| Some((members.get(member)?.bit_offset / 8, program));
        let functions = programs.into_iter().filter_map(at).collect();
        return Ok(Operations { value_type: 0, module: None, bytes: definition.bytes.clone(), functions });
    }
    let name = btf.get(definition.ty).and_then(Type::name).unwrap_or_default();
    let layout = Layout::find(target, name).map_err(|what| vec![place(what)])?;
    let (mut functions, mut errors) = (BTreeMap::new(), Vec::new());
    let mut bytes = vec![0; layout.value_size as usize];
    for (number, member) in members.iter().enumerate() {
        let outcome = match programs.get(&number) {
            Some(program) => layout.function(member).map(|(_, byte)| {
                functions.insert(byte, *program);
            }),
            None => copy(btf, member, &definition.bytes, &layout, &mut bytes),
        };
        errors.extend(outcome.err().map(place));
    }
    match errors.is_empty() {
        true => Ok(Operations { value_type: layout.value_type, module: layout.module.cloned(), bytes, functions }),
        false => Err(errors),
    }
}

/// Copies the data of one member to its place in the kernel's value.
fn copy(btf: &Btf, member: &Member, from: &[u8], layout: &Layout<'_>, to: &mut [u8]) -> Result<(), Refusal> {
    let wrong = || format!("the member `{}` does not fit into its struct", member.name);
    let size = btf.size_of(member.ty).ok_or_else(wrong)? as usize;
    let start = member.bit_offset as usize / 8;
    let data = start.checked_add(size).and_then(|end| from.get(start..end)).ok_or_else(wrong)?;
    if let Some(at) = layout.data(btf, member, data)? {
        let place = at.checked_add(size).and_then(|end| to.get_mut(at..end)).ok_or_else(wrong)?;
        place.copy_from_slice(data);
    }
    Ok(())
}
