//! One type for each kind of name. A name is checked where it is made and trusted afterwards.
//!
//! What names mean (which map a name stands for, whether it exists) is not decided here. A copy of a name shares its
//! text: the same one is in the manifest, in what is desired, in every step of the plan.

use serde::Serialize;
use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    Empty,
    /// The text is longer than `NAME_MAX` allows for a bpffs entry with room for our suffixes.
    TooLong(usize),
    /// The text holds a character that cannot stand in an address or a pin path.
    BadCharacter(char),
    /// A pin path that does not start with `/`.
    NotAbsolute,
    /// A pin path component that bpffs refuses or that leaves its folder: empty, or with a `.`.
    BadComponent(String),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name cannot be empty"),
            Self::TooLong(len) => write!(f, "{len} bytes are too long, {MAX_NAME} are allowed"),
            Self::BadCharacter(c) => {
                write!(f, "`{}` is not allowed: use letters, digits, `_` and `-`", c.escape_debug())
            }
            Self::NotAbsolute => f.write_str("the path must start with `/`"),
            Self::BadComponent(part) if part.is_empty() => f.write_str("the path has an empty part"),
            Self::BadComponent(part) => write!(f, "bpffs refuses names with a `.`, and `{part}` has one"),
        }
    }
}

impl std::error::Error for NameError {}

/// Longest name in bytes: `NAME_MAX` is 255, and private pins join and escape names.
const MAX_NAME: usize = 64;

/// Longest path in bytes that the kernel takes (`PATH_MAX` with its NUL is 4096).
const MAX_PATH: usize = 4095;

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong(text.len()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
        Some(c) => Err(NameError::BadCharacter(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text as the manifest writes it: letters, digits, `_` and `-`, at most 64 bytes.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the text for somebody who keeps it: it is not copied.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        /// Equal and ordered as its text, so that a map by names is also one by texts.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name!(
    /// A deployment: everything that one manifest manages.
    DeploymentName
);
name!(
    /// An object (an ELF file) as the manifest calls it.
    ObjectName
);
name!(
    /// A map: as the manifest calls it, or `OBJECT:SYMBOL` for a map that only its object knows.
    MapName
);
name!(
    /// A program: as the manifest calls it, or `OBJECT:FUNCTION` for one that only a tail call needs.
    ProgramName
);
name!(
    /// A link as the manifest calls it.
    LinkName
);

impl MapName {
    /// Names a map that no `[map]` of the manifest names, for example `filter:.rodata`.
    pub fn private(object: &ObjectName, symbol: &str) -> Self {
        Self(format!("{object}:{symbol}").into())
    }

    /// Reads a name back from a record; `None` when no map can be called so.
    pub fn recorded(text: &str) -> Option<Self> {
        recorded(text).then(|| Self(text.into()))
    }

    /// Returns whether only an object knows the map, and no `[map]` of the manifest.
    pub fn is_private(&self) -> bool {
        self.0.contains(':')
    }
}

impl LinkName {
    /// Names the link that a table has on one of its interfaces: `uplink["eth0"]`.
    pub fn at(&self, interface: &str) -> Self {
        Self(format!("{self}[{interface:?}]").into())
    }

    /// Returns the name of the table that it is of.
    pub fn table(&self) -> &str {
        self.0.split('[').next().unwrap_or_default()
    }

    /// Reads a name back from a record; `None` when no link can be called so.
    pub fn recorded(text: &str) -> Option<Self> {
        let name = Self(text.into());
        let rest = &text[name.table().len()..];
        let is_name = rest.is_empty() || rest.len() > 4 && rest.starts_with("[\"") && rest.ends_with("\"]");
        (check(name.table()).is_ok() && is_name).then_some(name)
    }
}

impl<'de> serde::Deserialize<'de> for LinkName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::recorded(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no name of a link")))
    }
}

impl ProgramName {
    /// Names a program that no `[program]` of the manifest names, for example `filter:tail_0`.
    pub fn private(object: &ObjectName, function: &str) -> Self {
        Self(format!("{object}:{function}").into())
    }

    /// Reads a name back from a record; `None` when no program can be called so.
    pub fn recorded(text: &str) -> Option<Self> {
        recorded(text).then(|| Self(text.into()))
    }
}

impl<'de> serde::Deserialize<'de> for MapName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::recorded(&text).ok_or_else(|| serde::de::Error::custom("no map can be called so"))
    }
}

/// Returns whether a text is a name, or a private one.
fn recorded(text: &str) -> bool {
    match text.split_once(':') {
        Some((object, rest)) => check(object).is_ok() && !rest.is_empty(),
        None => check(text).is_ok(),
    }
}

/// What a plan line or a message is about, written exactly as the table header in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A folder of bpffs, or the mount itself.
    Directory(PinPath),
    /// `object.NAME`
    Object(ObjectName),
    /// `map.NAME`
    Map(MapName),
    /// `program.NAME`
    Program(ProgramName),
    /// `link.NAME`
    Link(LinkName),
    /// The record of the deployment.
    Record,
}

impl Address {
    /// Returns what stands before the name, and the name.
    pub fn parts(&self) -> [&str; 2] {
        match self {
            Self::Directory(path) => ["directory ", path.as_str()],
            Self::Object(name) => ["object.", name.as_str()],
            Self::Map(name) => ["map.", name.as_str()],
            Self::Program(name) => ["program.", name.as_str()],
            Self::Link(name) => ["link.", name.as_str()],
            Self::Record => ["record", ""],
        }
    }
}

/// Takes a width, as `{:<20}`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, name] = self.parts();
        f.write_str(kind)?;
        f.write_str(name)?;
        let written = kind.len() + name.chars().count();
        (written..f.width().unwrap_or(0)).try_for_each(|_| f.write_char(' '))
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An absolute path that may be a pin or a folder of pins. Whether it is below a bpffs is for the host to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinPath(Arc<str>);

/// The folder of a generation for the second names of pins outside of the deployment's folder.
const OUTSIDE: &str = "~outside";

impl PinPath {
    /// Checks an absolute path: no empty parts, no `.` and no `..` (a trailing `/` is dropped).
    pub fn new(text: &str) -> Result<Self, NameError> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(NameError::NotAbsolute);
        };
        if text.len() > MAX_PATH {
            return Err(NameError::TooLong(text.len()));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        for part in rest.split('/') {
            if part.is_empty() || part == "." || part == ".." {
                return Err(NameError::BadComponent(part.to_owned()));
            }
            if part.len() > 255 {
                return Err(NameError::TooLong(part.len()));
            }
            if let Some(c) = part.chars().find(|c| c.is_control()) {
                return Err(NameError::BadCharacter(c));
            }
        }
        Ok(Self(text[..=rest.len()].into()))
    }

    /// Returns this path with one more part; every byte that bpffs or a path refuses is written as `%xx`.
    pub fn join(&self, part: &str) -> Self {
        let mut path = String::with_capacity(self.0.len() + 1 + part.len());
        path.push_str(&self.0);
        path.push('/');
        for c in part.chars() {
            match c {
                '.' | '/' | '%' | '\0'..='\x1f' | '\x7f' => {
                    path.push_str(&format!("%{:02x}", c as u32));
                }
                _ => path.push(c),
            }
        }
        Self(path.into())
    }

    /// Returns the path of an entry that is in this folder, by its name as the folder lists it.
    pub fn child(&self, name: &str) -> Self {
        Self([self.as_str(), "/", name].concat().into())
    }

    /// Returns the passing name under which something is made before it is renamed over this one.
    ///
    /// No name in a manifest has a `~`: what has one is ours, or the rest of a run that was killed.
    pub fn passing(&self) -> Self {
        Self(format!("{self}~").into())
    }

    /// Returns the folder of a generation of the deployment whose pins are below this path.
    pub fn generation(&self, number: u64) -> Self {
        Self(format!("{self}~{number}").into())
    }

    /// Returns the number of this folder when it is a generation of the deployment whose pins are below `pin_root`.
    pub fn generation_number(&self, pin_root: &Self) -> Option<u64> {
        let number = self.0.strip_prefix(&*pin_root.0)?.strip_prefix('~')?;
        // As we write it: `~+7` and `~07` are somebody else's.
        number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number)
    }

    /// Returns where the record is in a generation with this path that was begun and cleared, until the next run has ended.
    pub fn set_aside(&self) -> Self {
        self.child("~begun")
    }

    /// Returns the path with a number behind its name.
    pub fn numbered(&self, number: u32) -> Self {
        Self(format!("{self}_{number}").into())
    }

    /// Returns the folder of the generation before the one that runs.
    pub fn previous(&self) -> Self {
        Self(format!("{self}~previous").into())
    }

    /// Returns the name of the deployment that has this path in one of its generations, by how these are called.
    pub fn deployment(&self) -> Option<&str> {
        let mut parts = self.0.split('/').filter_map(|part| part.split_once('~'));
        let generation = parts.find(|(_, number)| number.parse::<u64>().is_ok());
        generation.map(|(name, _)| name).filter(|name| DeploymentName::new(name).is_ok())
    }

    /// Returns the name beside the generations that says that one of them waits to be confirmed.
    pub fn confirm(&self) -> Self {
        Self(format!("{self}~confirm").into())
    }

    /// Returns where a deployment whose pins are below this path keeps the entries of a map that are its own.
    pub fn owned_entries(&self, map: &MapName) -> Self {
        self.kept_entries().join(map.as_str())
    }

    /// Returns the folder of all of those.
    pub fn kept_entries(&self) -> Self {
        self.child("~entries")
    }

    /// Returns where a generation with this path keeps what a map held when its entries were copied, as long as it may have
    /// changed since: `id` is that map's, and `map` gets the entries.
    pub fn copied_entries(&self, map: &MapName, id: u32) -> Self {
        Self(format!("{}~{id}", self.kept_copies().join(map.as_str())).into())
    }

    /// Returns the folder of all of those.
    pub fn kept_copies(&self) -> Self {
        self.child("~copied")
    }

    /// Returns where this path is when what is below `from` is below `to`; `None` when it is not below `from`.
    pub fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&*from.0)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| Self([to.as_str(), rest].concat().into()))
    }

    /// Returns where this pin of the deployment at `pin_root` is in one of its generations: a pin outside of the
    /// deployment's folder is there below `~outside`.
    pub fn in_generation(&self, pin_root: &Self, generation: &Self) -> Self {
        let outside = || self.0[1..].split('/').fold(generation.child(OUTSIDE), |path, part| path.join(part));
        self.moved(pin_root, generation).unwrap_or_else(outside)
    }

    /// Returns where a manifest pins what is at this path in a generation of the deployment at `pin_root`; `None` for what
    /// no manifest names, as the entries that are kept.
    pub fn from_generation(&self, pin_root: &Self, generation: &Self) -> Option<Self> {
        let inside = self.0.strip_prefix(generation.as_str())?.strip_prefix('/')?;
        match inside.split_once('/') {
            Some((OUTSIDE, outside)) => Self::new(&format!("/{outside}")).ok(),
            _ if inside.starts_with('~') => None,
            _ => self.moved(generation, pin_root),
        }
    }

    /// Returns whether this is the second name that a pin outside of the deployment's folder has in a generation.
    pub fn is_outside(&self, generation: &Self) -> bool {
        self.is_below(&generation.child(OUTSIDE))
    }

    /// Reads `text` as the manifest writes a pin: absolute, or relative to this folder.
    pub fn resolve(&self, text: &str) -> Result<Self, NameError> {
        if text.starts_with('/') {
            return Self::new(text);
        }
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(part) = text.split('/').find(|part| part.contains('.')) {
            return Err(NameError::BadComponent(part.to_owned()));
        }
        if text.contains('~') {
            return Err(NameError::BadCharacter('~'));
        }
        Self::new(&format!("{self}/{text}"))
    }

    /// Returns the folder that holds this path, or `None` for a path directly below `/`.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/') {
            Some(0) | None => None,
            Some(at) => Some(Self(self.0[..at].into())),
        }
    }

    /// Returns the last part of the path.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// Returns whether this path is `folder` or lies below it.
    pub fn is_below(&self, folder: &Self) -> bool {
        folder.holds(&self.0)
    }

    /// Returns whether a path as it is written is this folder or lies below it.
    pub fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text for somebody who keeps it: it is not copied.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for PinPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PinPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for PinPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Writes bytes as hexadecimal digits, two for each.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("half a byte is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digests the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts([bytes])
    }

    /// Digests the parts as if they were one.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        use sha2::Digest as _;
        let mut state = sha2::Sha256::new();
        parts.into_iter().for_each(|part| state.update(part));
        Self(state.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Every program's fingerprint is written twice while it is made: not digit by digit.
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]];
        }
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest is 64 hexadecimal digits"))
    }
}

/// Which plan: the same for each host in the same state, and for no other plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanId([u8; 16]);

impl PlanId {
    /// Digests what the plan is made from; half a digest is short enough to be read aloud.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*Digest::of(bytes).0.first_chunk().expect("a digest has 32 bytes"))
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl std::str::FromStr for PlanId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or("a plan id is 32 hexadecimal digits, as a dry run prints it")
    }
}

impl Serialize for PlanId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PlanId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, good) in [("a", true), ("edge-1_b", true), ("", false), ("a.b", false), ("a/b", false), ("ä", false)]
        {
            assert_eq!(MapName::new(text).is_ok(), good, "{text:?}");
        }
        assert!(MapName::new(&"x".repeat(64)).is_ok());
        assert!(MapName::new(&"x".repeat(65)).is_err());
    }

    #[test]
    fn pin_paths() {
        let root = PinPath::new("/sys/fs/bpf/edge/").unwrap();
        assert_eq!(root.as_str(), "/sys/fs/bpf/edge");
        assert_eq!(root.join(".rodata.str/1%").as_str(), "/sys/fs/bpf/edge/%2erodata%2estr%2f1%25");
        assert_eq!(root.resolve("maps/a").unwrap().as_str(), "/sys/fs/bpf/edge/maps/a");
        assert_eq!(root.resolve("/sys/fs/bpf/x").unwrap().as_str(), "/sys/fs/bpf/x");
        for bad in ["", "../x", "maps/a.b", "maps//a", "/", "/a/../b"] {
            assert!(root.resolve(bad).is_err(), "{bad:?}");
        }
        assert!(root.join("maps").is_below(&root));
        assert!(!PinPath::new("/sys/fs/bpf/edge2").unwrap().is_below(&root));
        assert_eq!(root.parent().unwrap().as_str(), "/sys/fs/bpf");
    }

    #[test]
    fn whose_a_pin_is() {
        let cases = [
            ("/sys/fs/bpf/edge~12/programs/drop", Some("edge")),
            ("/sys/fs/bpf/edge/programs/drop", None),
            ("/sys/fs/bpf/edge~previous/programs/drop", None),
            ("/sys/fs/bpf/~1/drop", None),
        ];
        for (pin, deployment) in cases {
            assert_eq!(PinPath::new(pin).expect("a path").deployment(), deployment, "{pin}");
        }
    }

    #[test]
    fn plan_ids() {
        let id = PlanId::of(b"");
        assert_eq!(id.to_string(), "e3b0c44298fc1c149afbf4c8996fb924");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "+3b0c44298fc1c149afbf4c8996fb924", &"e".repeat(33), &"é".repeat(16)] {
            assert_eq!(PlanId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn digests() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("é"), None);
    }
}
