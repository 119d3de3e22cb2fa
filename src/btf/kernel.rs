//! The types of a kernel: vmlinux BTF, looked at in place.
//!
//! It holds far more types than any program asks for (126,610 in 5.5 MB on Linux 6.18), so nothing of it is copied as a
//! whole: one index tells where types begin, another one of their names is built when a name is first looked up, and
//! only the types that somebody asks for are decoded, once each. Wrong bytes are an error where they are met.

use super::wire::{self, Decoder, Layouts, Parts, Reader, number};
use super::{Error, Kind, MAX_DEPTH, Place, Type, TypeId};
use std::fmt;
use std::iter;
use std::sync::{Arc, OnceLock};

/// Bytes that somebody owns: a mapped file or a buffer.
pub type Bytes = Box<dyn AsRef<[u8]> + Send + Sync>;

/// The types of a kernel, or those that a module adds to them.
pub struct KernelTypes {
    /// The types that these ones build on: ids and strings count from where those end.
    base: Option<Arc<KernelTypes>>,
    bytes: Bytes,
    parts: Parts,
    starts: OnceLock<Result<Vec<u32>, Error>>,
    /// Of functions and variables, which are half of all types.
    symbols: OnceLock<Result<Names, Error>>,
    /// Of all other types: CO-RE asks for none but these.
    names: OnceLock<Result<Names, Error>>,
    decoded: OnceLock<Decoded>,
}

/// The own types that somebody asked for, by number, in pages that are made when one of them is asked for: many threads
/// link for one kernel, and none of them waits for another to find a type that is there.
struct Decoded(Slots<Slots<Type>>);

/// Values that are made when somebody asks for them.
type Slots<T> = Box<[OnceLock<T>]>;

impl Decoded {
    const PAGE: usize = 32;

    fn new(types: usize) -> Self {
        Self(Self::empty(types.div_ceil(Self::PAGE)))
    }

    fn empty<T>(len: usize) -> Slots<T> {
        iter::repeat_with(OnceLock::new).take(len).collect()
    }

    /// Returns the place of a type that is there.
    fn place(&self, number: usize) -> &OnceLock<Type> {
        let page = self.0[number / Self::PAGE].get_or_init(|| Self::empty(Self::PAGE));
        &page[number % Self::PAGE]
    }
}

/// Ids by the hash of their essential name: the first of each bucket, and for each own type the next one. 0 ends a
/// bucket.
struct Names {
    first: Vec<TypeId>,
    next: Vec<TypeId>,
}

impl fmt::Debug for KernelTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelTypes of {} bytes", self.bytes().len())
    }
}

/// Returns a name without its flavour: what follows the last `___` between other characters than `_`, as in
/// `task_struct___old` (`bpf_core_essential_name_len` of libbpf).
pub fn essential(name: &str) -> &str {
    essential_bytes(name.as_bytes()).and_then(|len| name.get(..len)).unwrap_or(name)
}

/// Returns the length of the name without its flavour, if it has one.
fn essential_bytes(name: &[u8]) -> Option<usize> {
    // Every third byte meets every `___`: most of a kernel's names are done after a few of them.
    let beside = |at: &usize| name[at - 1] == b'_' || name.get(at + 1) == Some(&b'_');
    if !(2..name.len()).step_by(3).any(|at| name[at] == b'_' && beside(&at)) {
        return None;
    }
    let separates = |window: &[u8]| window[0] != b'_' && window[1..4] == *b"___" && window[4] != b'_';
    name.windows(5).rposition(separates).map(|at| at + 1)
}

/// Mixes length, start and end of a name: long names of a kernel that begin alike end differently, and nobody gains by
/// a collision in their own kernel's types.
fn hash(name: &[u8]) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |bytes: Option<&[u8; 8]>| bytes.copied().map(u64::from_le_bytes);
    let short = || name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let start = word(name.first_chunk()).unwrap_or_else(short);
    let end = word(name.last_chunk()).unwrap_or(0);
    let mixed = (start.wrapping_mul(MIX) ^ end).wrapping_mul(MIX) ^ name.len() as u64;
    (mixed.wrapping_mul(MIX) >> 32) as usize
}

impl KernelTypes {
    /// Takes the bytes of a kernel's BTF (`/sys/kernel/btf/vmlinux`).
    ///
    /// # Errors
    /// When the header is not one of little-endian BTF, or its parts lie outside the bytes.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let parts = wire::parts((*bytes).as_ref())?;
        wire::string_table((*bytes).as_ref(), parts.strings.clone())?;
        Ok(Self::new(None, bytes, parts))
    }

    /// Takes the bytes of a module's BTF (`/sys/kernel/btf/MODULE`), which goes on where that of its kernel ends.
    ///
    /// # Errors
    /// As for [`KernelTypes::parse`]; also when the types of the kernel cannot be counted.
    pub fn parse_module(bytes: Bytes, kernel: Arc<Self>) -> Result<Self, Error> {
        let parts = wire::parts((*bytes).as_ref())?;
        wire::added_strings((*bytes).as_ref(), parts.strings.clone())?;
        kernel.count()?;
        Ok(Self::new(Some(kernel), bytes, parts))
    }

    fn new(base: Option<Arc<Self>>, bytes: Bytes, parts: Parts) -> Self {
        let (starts, symbols, names) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { base, bytes, parts, starts, symbols, names, decoded: OnceLock::new() }
    }

    /// Returns how many types there are, with `void` and those that these build on.
    ///
    /// # Errors
    /// When a type is of an unknown kind or cut off, here and below.
    pub fn count(&self) -> Result<usize, Error> {
        Ok(self.first()? as usize + self.starts()?.len())
    }

    /// Returns the first id of its own: 0 for a kernel, whose first type is `void`.
    fn first(&self) -> Result<TypeId, Error> {
        // Four bytes hold the ids.
        self.base.as_ref().map_or(Ok(0), |base| base.count().map(|count| count as TypeId))
    }

    /// Returns the types that these build on, when the id is one of theirs.
    fn base_of(&self, id: TypeId) -> Result<Option<&Self>, Error> {
        let first = self.first()?;
        Ok(self.base.as_deref().filter(|_| id < first))
    }

    /// Returns the type `id`, decoded. Ids that it holds may be wrong.
    pub fn get(&self, id: TypeId) -> Result<&Type, Error> {
        if let Some(base) = self.base_of(id)? {
            return base.get(id);
        }
        let (start, starts, number) = (self.start(id)?, self.starts()?, id - self.first()?);
        let decoded = self.decoded.get_or_init(|| Decoded::new(starts.len()));
        let place = decoded.place(number as usize);
        if let Some(known) = place.get() {
            return Ok(known);
        }
        let ty = match id {
            0 => Type::Void,
            _ => {
                let mut reader = Reader::new(self.bytes(), start..self.parts.types.end, Place::Byte);
                self.decoder().read_type(&mut reader)?
            }
        };
        Ok(place.get_or_init(|| ty))
    }

    /// Returns what stands behind typedefs, qualifiers and type tags.
    ///
    /// # Errors
    /// Also when they nest deeper than [`MAX_DEPTH`], or in a circle.
    pub fn resolve(&self, id: TypeId) -> Result<TypeId, Error> {
        let mut id = id;
        for _ in 0..=MAX_DEPTH {
            match self.head(id)? {
                Head { kind: number::TYPEDEF | number::VOLATILE | number::CONST, word, .. }
                | Head { kind: number::RESTRICT | number::TYPE_TAG, word, .. } => id = word,
                Head { .. } => return Ok(id),
            }
        }
        Err(Error { place: Place::Type(id), what: "its typedefs and qualifiers do not end".to_owned() })
    }

    /// Returns the ids of its own types with this essential name, in rising order: functions and variables when `kind`
    /// is one of both, else types of any other kind.
    pub fn named(&self, kind: Kind, name: &str) -> Result<Vec<TypeId>, Error> {
        let symbols = matches!(kind, Kind::Func | Kind::Var);
        let index = if symbols { &self.symbols } else { &self.names };
        let names = index.get_or_init(|| self.index_names(symbols)).as_ref().map_err(Clone::clone)?;
        let wanted = essential(name).as_bytes();
        let (mut found, first) = (Vec::new(), self.first()?);
        let mut id = names.first[hash(wanted) & (names.first.len() - 1)];
        while id != 0 {
            let name = self.name(self.head(id)?.name);
            if name.get(..wanted.len()) == Some(wanted) && essential_bytes(name).unwrap_or(name.len()) == wanted.len() {
                found.push(id);
            }
            id = names.next[(id - first) as usize];
        }
        Ok(found)
    }

    /// Returns the first one of its own types of that kind and full name.
    pub fn find(&self, kind: Kind, name: &str) -> Result<Option<TypeId>, Error> {
        for id in self.named(kind, name)? {
            let ty = self.get(id)?;
            if ty.kind() == kind && ty.name() == Some(name) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Returns the names of its own tags, and of its integers: before Linux 5.16 there are no tags, and an integer stands
    /// for one. Nothing else is decoded.
    pub fn tags(&self) -> Result<Vec<&str>, Error> {
        let mut tags = Vec::new();
        let heads = self.heads();
        for start in self.starts()?.iter().skip(usize::from(self.base.is_none())) {
            let head = heads.at(*start as usize)?;
            if matches!(head.kind, number::DECL_TAG | number::INT) {
                tags.extend(std::str::from_utf8(self.name(head.name)));
            }
        }
        Ok(tags)
    }

    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// Returns the strings; `parse` has checked the range.
    fn strings(&self) -> &[u8] {
        self.bytes().get(self.parts.strings.clone()).unwrap_or_default()
    }

    fn decoder(&self) -> Decoder<'_> {
        let base = self.base.as_ref().map_or(&[][..], |base| base.strings());
        Decoder { base, own: self.strings(), shared: None, layouts: self.layouts() }
    }

    /// Returns how long types are; a module's are as those of its kernel, which it need not say.
    fn layouts(&self) -> Layouts<'_> {
        match (self.bytes().get(self.parts.layouts.clone()), &self.base) {
            (None | Some([]), Some(base)) => base.layouts(),
            (bytes, _) => Layouts::new(bytes.unwrap_or_default()),
        }
    }

    fn name(&self, offset: u32) -> &[u8] {
        self.decoder().string(offset).unwrap_or_default()
    }

    /// Returns where each of its own types begins in the bytes; that of `void` means nothing.
    fn starts(&self) -> Result<&[u32], Error> {
        match self.starts.get_or_init(|| self.index_types()) {
            Ok(starts) => Ok(starts),
            Err(error) => Err(error.clone()),
        }
    }

    fn start(&self, id: TypeId) -> Result<usize, Error> {
        let (starts, first) = (self.starts()?, self.first()?);
        let last = first as usize + starts.len() - 1;
        let missing = || Error { place: Place::Type(id), what: format!("the last type is {last}") };
        let own = id.checked_sub(first).and_then(|number| starts.get(number as usize));
        own.map(|start| *start as usize).ok_or_else(missing)
    }

    fn head(&self, id: TypeId) -> Result<Head, Error> {
        match self.base_of(id)? {
            Some(base) => base.head(id),
            None if id == 0 => Ok(Head::default()),
            None => self.heads().at(self.start(id)?),
        }
    }

    /// Returns the heads of its own types. Whoever reads many of them asks for it once.
    fn heads(&self) -> Heads<'_> {
        Heads { bytes: self.bytes(), end: self.parts.types.end, layouts: self.layouts() }
    }

    fn index_types(&self) -> Result<Vec<u32>, Error> {
        // Most types have no tail or a short one.
        let mut starts = Vec::with_capacity(1 + self.parts.types.len() / 24);
        if self.base.is_none() {
            starts.push(0);
        }
        let heads = self.heads();
        let mut at = self.parts.types.start;
        while at < self.parts.types.end {
            let start = u32::try_from(at)
                .map_err(|_| Error { place: Place::Byte(at), what: "more than 4 GiB of types".to_owned() })?;
            let head = heads.at(at)?;
            starts.push(start);
            at += HEAD + head.tail;
        }
        Ok(starts)
    }

    fn index_names(&self, symbols: bool) -> Result<Names, Error> {
        let (starts, first) = (self.starts()?, self.first()?);
        let (heads, decoder) = (self.heads(), self.decoder());
        // About half of the types have such a name.
        let buckets = starts.len().next_power_of_two().div_ceil(2);
        let mut names = Names { first: vec![0; buckets], next: vec![0; starts.len()] };
        // Backwards, since each new one goes first into its bucket. Without `void`.
        let own = usize::from(self.base.is_none());
        for (number, start) in starts.iter().enumerate().skip(own).rev() {
            let head = heads.at(*start as usize)?;
            if matches!(head.kind, number::FUNC | number::VAR) != symbols || head.name == 0 {
                continue;
            }
            let name = decoder.string(head.name).unwrap_or_default();
            if !name.is_empty() {
                let name = &name[..essential_bytes(name).unwrap_or(name.len())];
                let bucket = hash(name) & (buckets - 1);
                names.next[number] = std::mem::replace(&mut names.first[bucket], first + number as TypeId);
            }
        }
        Ok(names)
    }
}

/// Three words begin every type.
const HEAD: usize = 12;

/// What every type begins with.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// Offset of the name.
    name: u32,
    /// One of [`number`]; 0 for `void`.
    kind: u32,
    /// Its size, or the type that it refers to.
    word: u32,
    /// How many bytes follow.
    tail: usize,
}

/// Where the heads of types are.
struct Heads<'a> {
    bytes: &'a [u8],
    /// Where the last type ends.
    end: usize,
    layouts: Layouts<'a>,
}

impl Heads<'_> {
    /// Reads the head of the type at a byte.
    fn at(&self, at: usize) -> Result<Head, Error> {
        let error = |what: &str| Error { place: Place::Byte(at), what: what.to_owned() };
        let words = self.bytes.get(at..self.end).and_then(|rest| rest.first_chunk::<HEAD>());
        let words = words.ok_or_else(|| error("a type is cut off"))?;
        let word = |at: usize| u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
        let (vlen, kind, _) = wire::info(word(4));
        let tail = wire::tail_len(kind, vlen, self.layouts);
        let tail = tail.ok_or_else(|| error("a type is of a kind that is not known"))?;
        if self.end - at - HEAD < tail {
            return Err(error("a type is cut off"));
        }
        Ok(Head { name: word(0), kind, word: word(8), tail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Btf, Encoding, Linkage};

    fn int(name: &str) -> Type {
        Type::Int { name: name.into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Signed }
    }

    fn structure(name: &str) -> Type {
        Type::Struct { name: name.into(), size: 0, members: Vec::new() }
    }

    fn sample() -> Btf {
        let mut btf = Btf::default();
        btf.push(int("int"));
        btf.push(structure("task"));
        btf.push(Type::Typedef { name: "task".into(), ty: 4 });
        btf.push(Type::Const { ty: 2 });
        btf.push(structure("task___old"));
        btf.push(Type::FuncProto { ret: 1, params: Vec::new() });
        btf.push(Type::Func { name: "task_____x".into(), proto: 6, linkage: Linkage::Static });
        btf
    }

    fn types(bytes: Vec<u8>) -> Result<KernelTypes, Error> {
        KernelTypes::parse(Box::new(bytes))
    }

    #[test]
    fn flavours_are_cut_off() {
        let rows = [
            ("task_struct___old", "task_struct"),
            ("task_struct", "task_struct"),
            ("a___b___c", "a___b"),
            ("a____b", "a____b"),
            ("___b", "___b"),
            ("a___", "a___"),
            ("", ""),
            ("ä___b", "ä"),
        ];
        for (name, expected) in rows {
            assert_eq!(essential(name), expected, "{name}");
        }
    }

    #[test]
    fn types_are_found_by_name_and_id() {
        let btf = sample();
        let types = types(btf.encode()).unwrap();
        assert_eq!(types.count(), Ok(8));
        for (id, ty) in btf.types() {
            assert_eq!(types.get(id), Ok(ty), "{id}");
        }
        for (name, ids) in
            [("task", vec![2, 3, 5]), ("task___new", vec![2, 3, 5]), ("int", vec![1]), ("long", vec![]), ("", vec![])]
        {
            assert_eq!(types.named(Kind::Struct, name), Ok(ids), "{name}");
        }
        assert_eq!(types.named(Kind::Var, "task_____x"), Ok(vec![7]));
        assert_eq!(types.named(Kind::Struct, "task_____x"), Ok(vec![]));
        assert_eq!(types.find(Kind::Struct, "task___old"), Ok(Some(5)));
        assert_eq!(types.find(Kind::Typedef, "task"), Ok(Some(3)));
        assert_eq!(types.find(Kind::Int, "task"), Ok(None));
        assert_eq!(types.resolve(3), Ok(2));
        assert!(types.get(8).is_err() && types.resolve(8).is_err());
    }

    /// A module's types go on where those of its kernel end: ids, and places in the strings.
    #[test]
    fn a_module_builds_on_its_kernel() {
        let kernel = Arc::new(types(sample().encode()).unwrap());
        let strings = kernel.strings().len() as u32;
        // `struct own { int task; }` and a typedef of it with a name of the kernel's.
        let name =
            |text: &str| kernel.strings().windows(text.len()).position(|at| at == text.as_bytes()).unwrap() as u32;
        let words = [strings, 4 << 24 | 1, 4, name("task\0"), 1, 0, name("int\0"), 8 << 24, 8];
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, 36, 36, 4].into_iter().chain(words) {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"own\0");
        let module = KernelTypes::parse_module(Box::new(bytes.clone()), Arc::clone(&kernel)).unwrap();
        assert_eq!(module.count(), Ok(10));
        let members = vec![crate::btf::Member { name: "task".into(), ty: 1, bit_offset: 0, bitfield_size: 0 }];
        assert_eq!(*module.get(8).unwrap(), Type::Struct { name: "own".into(), size: 4, members });
        assert_eq!(*module.get(9).unwrap(), Type::Typedef { name: "int".into(), ty: 8 });
        assert_eq!(module.get(2), kernel.get(2));
        assert_eq!((module.resolve(9), module.resolve(4)), (Ok(8), Ok(2)));
        let named = |name| module.named(Kind::Struct, name);
        assert_eq!((named("own"), named("int"), named("task")), (Ok(vec![8]), Ok(vec![9]), Ok(vec![])));
        assert_eq!(module.find(Kind::Struct, "own"), Ok(Some(8)));
        assert!(module.get(10).is_err());
        for len in 0..bytes.len() {
            let cut = KernelTypes::parse_module(Box::new(bytes[..len].to_vec()), Arc::clone(&kernel));
            assert!(cut.is_err(), "{len}");
        }
    }

    #[test]
    fn circles_end() {
        let mut btf = Btf::default();
        btf.push(Type::Const { ty: 1 });
        assert!(types(btf.encode()).unwrap().resolve(1).is_err());
    }

    #[test]
    fn no_bytes_panic() {
        let good = sample().encode();
        let ask = |bytes: Vec<u8>| {
            let Ok(types) = types(bytes) else { return };
            let _ = (types.named(Kind::Struct, "task"), types.named(Kind::Func, "task"));
            for id in 0..10 {
                let _ = (types.get(id), types.resolve(id));
            }
        };
        for len in 0..good.len() {
            ask(good[..len].to_vec());
        }
        for at in 0..good.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                ask(bytes);
            }
        }
    }
}
