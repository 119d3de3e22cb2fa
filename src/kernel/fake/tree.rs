//! Folders, bpffs mounts, pins and symbolic links, with the errors of the file system.

use super::super::SymlinkInTheWay;
use super::{Entry, EntryKind, Object, errno, refuse};
use crate::access::Permissions;
use crate::names::PinPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// More symbolic links on one way than the kernel follows (`MAXSYMLINKS`).
const TOO_MANY_SYMLINKS: usize = 40;

/// What root's pins start with.
const NEW_PINS: Permissions = Permissions { mode: 0o600, owner: 0, group: 0 };

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A pin.
    Pin(Object),
    /// A symbolic link to a name in the same folder.
    Symlink(String),
}

impl Node {
    /// Returns what the node keeps alive.
    pub fn object(&self) -> Option<Object> {
        match self {
            Self::Folder | Self::Symlink(_) => None,
            Self::Pin(object) => Some(*object),
        }
    }
}

/// Everything below `/`.
#[derive(Debug)]
pub struct Tree {
    /// With the inodes: hard links share theirs.
    nodes: BTreeMap<String, (Node, u64)>,
    /// Who may open a pin, by its inode; others are those of new pins.
    permissions: BTreeMap<u64, Permissions>,
    mounts: BTreeSet<String>,
    last_inode: u64,
}

impl Default for Tree {
    fn default() -> Self {
        let folders = ["", "/sys", "/sys/fs", "/sys/fs/bpf"];
        let nodes = folders.iter().zip(1..).map(|(path, inode)| ((*path).to_owned(), (Node::Folder, inode)));
        Self {
            nodes: nodes.collect(),
            permissions: BTreeMap::new(),
            mounts: BTreeSet::new(),
            last_inode: folders.len() as u64,
        }
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
        self.nodes.iter().map(|(path, (node, _))| (path, node))
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

    /// Returns the path without symbolic links in its folders. bpffs looks no name with a dot up (`bpf_lookup`,
    /// kernel/bpf/inode.c).
    fn real(&self, path: &PinPath) -> io::Result<String> {
        let mut folder = String::new();
        let mut parts = path.as_str()[1..].split('/').peekable();
        while let Some(part) = parts.next() {
            if part.contains('.') && self.on_bpffs(&folder) {
                return refuse(libc::EPERM);
            }
            folder = format!("{folder}/{part}");
            if parts.peek().is_none() {
                break;
            }
            folder = self.followed(folder)?;
            match self.nodes.get(&folder) {
                Some((Node::Folder, _)) => {}
                Some(_) => return refuse(libc::ENOTDIR),
                None => return refuse(libc::ENOENT),
            }
        }
        Ok(folder)
    }

    /// Returns the path that it is without symbolic links in its folders.
    pub fn resolved(&self, path: &PinPath) -> io::Result<PinPath> {
        PinPath::new(&self.real(path)?).map_err(|_| errno(libc::EINVAL))
    }

    /// Returns the path for a change of it: with no symbolic link in the place of a folder.
    fn place(&self, path: &PinPath) -> io::Result<String> {
        let folders = std::iter::successors(path.parent(), PinPath::parent);
        let symlinks = folders.filter(|folder| matches!(self.nodes.get(folder.as_str()), Some((Node::Symlink(_), _))));
        match symlinks.last() {
            Some(symlink) => Err(SymlinkInTheWay(symlink).into()),
            None => self.real(path),
        }
    }

    /// Follows symbolic links from a path.
    fn followed(&self, mut path: String) -> io::Result<String> {
        for _ in 0..TOO_MANY_SYMLINKS {
            match self.nodes.get(&path) {
                Some((Node::Symlink(target), _)) => path = format!("{}/{target}", parent(&path)),
                Some(_) | None => return Ok(path),
            }
        }
        refuse(libc::ELOOP)
    }

    fn node(&self, path: &str) -> io::Result<(Node, u64)> {
        self.nodes.get(path).cloned().ok_or_else(|| errno(libc::ENOENT))
    }

    /// Returns what is there, at the end of symbolic links.
    pub fn get(&self, path: &PinPath) -> io::Result<Node> {
        Ok(self.node(&self.followed(self.real(path)?)?)?.0)
    }

    /// Returns where a symbolic link leads.
    pub fn read_symlink(&self, path: &PinPath) -> io::Result<String> {
        match self.node(&self.real(path)?)?.0 {
            Node::Symlink(target) => Ok(target),
            Node::Folder | Node::Pin(_) => refuse(libc::EINVAL),
        }
    }

    /// Returns what is in a folder.
    pub fn list(&self, path: &PinPath) -> io::Result<Vec<Entry>> {
        let folder = self.followed(self.real(path)?)?;
        match self.node(&folder)?.0 {
            Node::Pin(_) | Node::Symlink(_) => refuse(libc::ENOTDIR),
            Node::Folder => Ok(self
                .nodes
                .iter()
                .filter(|(name, _)| !name.is_empty() && parent(name) == folder)
                .map(|(name, (node, inode))| Entry {
                    name: name[folder.len() + 1..].to_owned(),
                    inode: *inode,
                    kind: match node {
                        Node::Folder => EntryKind::Folder,
                        Node::Pin(_) => EntryKind::Pin,
                        Node::Symlink(_) => EntryKind::Symlink,
                    },
                })
                .collect()),
        }
    }

    /// Adds what is not there, into a folder that is.
    pub fn add(&mut self, path: &PinPath, node: Node) -> io::Result<()> {
        let inode = self.last_inode + 1;
        self.insert(path, node, inode)?;
        self.last_inode = inode;
        Ok(())
    }

    fn insert(&mut self, path: &PinPath, node: Node, inode: u64) -> io::Result<()> {
        let path = self.place(path)?;
        match self.nodes.contains_key(&path) {
            true => refuse(libc::EEXIST),
            false => {
                self.nodes.insert(path, (node, inode));
                Ok(())
            }
        }
    }

    /// Adds a pin; only a bpffs takes it.
    pub fn pin(&mut self, path: &PinPath, object: Object) -> io::Result<()> {
        if !self.is_bpffs(path) && self.real(path).is_ok() {
            return refuse(libc::EPERM);
        }
        self.add(path, Node::Pin(object))
    }

    /// Gives a pin one more name.
    pub fn hard_link(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        let (node, inode) = self.node(&self.place(from)?)?;
        match node {
            Node::Folder => refuse(libc::EPERM),
            Node::Pin(_) | Node::Symlink(_) if self.is_bpffs(from) != self.is_bpffs(to) => refuse(libc::EXDEV),
            Node::Pin(_) | Node::Symlink(_) => self.insert(to, node, inode),
        }
    }

    /// Removes a pin or a symbolic link.
    pub fn remove_pin(&mut self, path: &PinPath) -> io::Result<()> {
        let path = self.place(path)?;
        match self.node(&path)?.0 {
            Node::Folder => refuse(libc::EISDIR),
            Node::Pin(_) | Node::Symlink(_) => {
                self.nodes.remove(&path);
                Ok(())
            }
        }
    }

    /// Tells who may open a pin.
    pub fn permissions(&self, path: &PinPath) -> io::Result<Permissions> {
        let (_, inode) = self.node(&self.real(path)?)?;
        Ok(self.permissions.get(&inode).copied().unwrap_or(NEW_PINS))
    }

    /// Changes who may open a pin, under all of its names.
    pub fn change(&mut self, path: &PinPath, change: impl FnOnce(&mut Permissions)) -> io::Result<()> {
        match self.node(&self.place(path)?)? {
            (Node::Symlink(_), _) => refuse(libc::EOPNOTSUPP),
            (Node::Folder | Node::Pin(_), inode) => {
                change(self.permissions.entry(inode).or_insert(NEW_PINS));
                Ok(())
            }
        }
    }

    /// Returns everything of which others may open it, by path.
    pub fn shared(&self) -> impl Iterator<Item = (&String, &Permissions)> {
        let shared = self.nodes.iter().filter_map(|(path, (_, inode))| Some((path, self.permissions.get(inode)?)));
        shared.filter(|(_, permissions)| **permissions != NEW_PINS)
    }

    /// Removes an empty folder.
    pub fn remove_folder(&mut self, path: &PinPath) -> io::Result<()> {
        let path = self.place(path)?;
        if self.mounts.contains(&path) {
            return refuse(libc::EBUSY);
        }
        if self.node(&path)?.0 != Node::Folder {
            return refuse(libc::ENOTDIR);
        }
        if self.nodes.keys().any(|name| !name.is_empty() && parent(name) == path) {
            return refuse(libc::ENOTEMPTY);
        }
        self.nodes.remove(&path);
        Ok(())
    }

    /// Moves a pin, a symbolic link or a folder with all that is in it, over one of its kind or an empty folder.
    pub fn rename(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        if self.is_bpffs(from) != self.is_bpffs(to) {
            return refuse(libc::EXDEV);
        }
        let (source, target) = (self.place(from)?, self.place(to)?);
        let moved = self.node(&source)?.0;
        if source != target && target.starts_with(&format!("{source}/")) {
            return refuse(libc::EINVAL);
        }
        match (&moved, self.nodes.get(&target).map(|(node, _)| node)) {
            _ if source == target => return Ok(()),
            (Node::Folder, Some(Node::Pin(_) | Node::Symlink(_))) => return refuse(libc::ENOTDIR),
            (Node::Pin(_) | Node::Symlink(_), Some(Node::Folder)) => return refuse(libc::EISDIR),
            (Node::Folder, Some(Node::Folder)) => self.remove_folder(to)?,
            (Node::Pin(_) | Node::Symlink(_), Some(Node::Pin(_) | Node::Symlink(_))) | (_, None) => {}
        }
        let below = |path: &str| {
            path.strip_prefix(&source).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned)
        };
        let moving: Vec<_> = self.nodes.keys().filter_map(|path| Some((path.clone(), below(path)?))).collect();
        for (old, rest) in moving {
            if let Some(node) = self.nodes.remove(&old) {
                self.nodes.insert(format!("{target}{rest}"), node);
            }
        }
        Ok(())
    }
}
