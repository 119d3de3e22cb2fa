//! Folders, bpffs mounts and pins, with the errors of the file system.

use super::{Object, errno, refuse};
use crate::names::PinPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A pin.
    Pin(Object),
}

impl Node {
    /// Returns what the node keeps alive.
    pub fn object(&self) -> Option<Object> {
        match self {
            Self::Folder => None,
            Self::Pin(object) => Some(*object),
        }
    }
}

/// Everything below `/`.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    mounts: BTreeSet<String>,
}

impl Default for Tree {
    fn default() -> Self {
        let folders = ["", "/sys", "/sys/fs", "/sys/fs/bpf"];
        Self { nodes: folders.map(|path| (path.to_owned(), Node::Folder)).into(), mounts: BTreeSet::new() }
    }
}

/// Returns the path of the folder; `/` itself is "".
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Tree {
    /// Mounts a bpffs over a folder.
    pub fn mount(&mut self, at: &str) {
        self.mounts.insert(at.to_owned());
    }

    /// Returns where a bpffs is mounted.
    pub fn mounts(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().map(String::as_str)
    }

    /// Takes a mount away with everything in it; false when there is none.
    pub fn unmount(&mut self, at: &str) -> bool {
        let below = format!("{at}/");
        self.nodes.retain(|path, _| !path.starts_with(&below));
        self.mounts.remove(at)
    }

    /// Returns everything by path.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.nodes.iter()
    }

    /// Tells whether the path, which need not exist, is on a bpffs.
    pub fn is_bpffs(&self, path: &PinPath) -> bool {
        self.on_bpffs(path.as_str())
    }

    fn on_bpffs(&self, path: &str) -> bool {
        self.mounts
            .iter()
            .any(|mount| path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// Returns what is there. bpffs looks no name with a dot up (`bpf_lookup`, kernel/bpf/inode.c).
    pub fn get(&self, path: &PinPath) -> io::Result<Node> {
        let path = path.as_str();
        let mut folder = String::new();
        for part in path[1..].split('/') {
            match self.nodes.get(&folder) {
                Some(Node::Folder) if part.contains('.') && self.on_bpffs(&folder) => return refuse(libc::EPERM),
                Some(Node::Folder) => folder = format!("{folder}/{part}"),
                Some(Node::Pin(_)) => return refuse(libc::ENOTDIR),
                None => return refuse(libc::ENOENT),
            }
        }
        self.nodes.get(path).copied().ok_or_else(|| errno(libc::ENOENT))
    }

    /// Returns the names in a folder.
    pub fn list(&self, path: &PinPath) -> io::Result<Vec<String>> {
        match self.get(path)? {
            Node::Pin(_) => refuse(libc::ENOTDIR),
            Node::Folder => Ok(self
                .nodes
                .keys()
                .filter(|name| !name.is_empty() && parent(name) == path.as_str())
                .map(|name| name[path.as_str().len() + 1..].to_owned())
                .collect()),
        }
    }

    /// Adds what is not there, into a folder that is.
    pub fn add(&mut self, path: &PinPath, node: Node) -> io::Result<()> {
        match self.get(path) {
            Ok(_) => return refuse(libc::EEXIST),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if !self.nodes.contains_key(parent(path.as_str())) => return refuse(libc::ENOENT),
            Err(_) => {}
        }
        self.nodes.insert(path.as_str().to_owned(), node);
        Ok(())
    }

    /// Adds a pin; only a bpffs takes it.
    pub fn pin(&mut self, path: &PinPath, object: Object) -> io::Result<()> {
        if !self.is_bpffs(path) && self.nodes.contains_key(parent(path.as_str())) {
            return refuse(libc::EPERM);
        }
        self.add(path, Node::Pin(object))
    }

    /// Removes a pin.
    pub fn remove_pin(&mut self, path: &PinPath) -> io::Result<()> {
        match self.get(path)? {
            Node::Folder => refuse(libc::EISDIR),
            Node::Pin(_) => {
                self.nodes.remove(path.as_str());
                Ok(())
            }
        }
    }

    /// Removes an empty folder.
    pub fn remove_folder(&mut self, path: &PinPath) -> io::Result<()> {
        if self.mounts.contains(path.as_str()) {
            return refuse(libc::EBUSY);
        }
        if !self.list(path)?.is_empty() {
            return refuse(libc::ENOTEMPTY);
        }
        self.nodes.remove(path.as_str());
        Ok(())
    }

    /// Moves a pin or a folder with all that is in it, over a pin or an empty folder.
    pub fn rename(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        let moved = self.get(from)?;
        if self.is_bpffs(from) != self.is_bpffs(to) {
            return refuse(libc::EXDEV);
        }
        if from != to && to.is_below(from) {
            return refuse(libc::EINVAL);
        }
        match (moved, self.get(to)) {
            (Node::Folder, Ok(Node::Pin(_))) => return refuse(libc::ENOTDIR),
            (Node::Pin(_), Ok(Node::Folder)) => return refuse(libc::EISDIR),
            (Node::Folder, Ok(Node::Folder)) if from == to => return Ok(()),
            (Node::Folder, Ok(Node::Folder)) => self.remove_folder(to)?,
            (Node::Pin(_), Ok(Node::Pin(_))) => {}
            (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            (_, Err(_)) if !self.nodes.contains_key(parent(to.as_str())) => return refuse(libc::ENOENT),
            (_, Err(_)) => {}
        }
        let below = |path: &str| {
            path.strip_prefix(from.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned)
        };
        let moving: Vec<_> = self.nodes.keys().filter_map(|path| Some((path.clone(), below(path)?))).collect();
        for (old, rest) in moving {
            if let Some(node) = self.nodes.remove(&old) {
                self.nodes.insert(format!("{to}{rest}"), node);
            }
        }
        Ok(())
    }
}
