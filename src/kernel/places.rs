//! Where a pin is changed: its folder, opened so that nobody can lead us elsewhere.
//!
//! A bpffs may have a folder that others write into. A symbolic link that they put in the place of a folder would have
//! our pins made, or those of somebody else removed, wherever it leads. So the way from the bpffs to the folder is
//! walked part by part, of which none may be a symbolic link, and the last name is used in that folder and nowhere else;
//! all that comes above the bpffs is the host's own. Only reading follows symbolic links: a deployment's own name is one.

use super::{SymlinkInTheWay, sys};
use crate::names::PinPath;
use hashbrown::HashMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

/// `BPF_FS_MAGIC` of `linux/magic.h`.
const BPF_FS: u32 = 0xcafe_4a11;

/// So many folders are kept open: those of most deployments.
const MOST_FOLDERS: usize = 64;

/// Tells whether a path is on a bpffs.
pub(super) fn is_bpffs(path: &PinPath) -> io::Result<bool> {
    Ok(sys::file_system(&CString::new(path.as_str())?)? == BPF_FS)
}

/// Opens places, and keeps their folders open: many pins have the same.
#[derive(Debug, Default)]
pub(super) struct Places {
    folders: HashMap<PinPath, Arc<fs::File>>,
}

/// A name in an open folder.
#[derive(Debug)]
pub(super) struct Place<'a> {
    folder: Arc<fs::File>,
    name: &'a str,
}

impl Place<'_> {
    /// Returns the open folder.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Returns the name in that folder.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Returns a path that leads there whatever becomes of the names of folders.
    pub fn path(&self) -> String {
        format!("{}/{}", through(&self.folder), self.name)
    }

    /// Opens what is there, a symbolic link too, for [`through`].
    pub fn open(&self) -> io::Result<fs::File> {
        open(&self.path(), libc::O_NOFOLLOW)
    }
}

/// Returns a path that leads to what is open.
pub(super) fn through(file: &fs::File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

impl Places {
    /// Opens the folder of a path; `EPERM` when that is not below a bpffs, as the kernel says of such a pin.
    pub fn place<'a>(&mut self, path: &'a PinPath) -> io::Result<Place<'a>> {
        let folder = path.parent().ok_or_else(|| io::Error::from_raw_os_error(libc::EPERM))?;
        Ok(Place { folder: self.folder(&folder)?, name: path.file_name() })
    }

    /// Closes all folders: their names are about to mean others.
    pub fn close(&mut self) {
        self.folders.clear();
    }

    fn folder(&mut self, path: &PinPath) -> io::Result<Arc<fs::File>> {
        if let Some(known) = self.folders.get(path) {
            return Ok(Arc::clone(known));
        }
        let mut way: Vec<_> = std::iter::successors(Some(path.clone()), PinPath::parent).collect();
        let known = way.iter().position(|part| self.folders.contains_key(part));
        let mut reached = known.map(|known| Arc::clone(&self.folders[&way[known]]));
        way.truncate(known.unwrap_or(way.len()));
        while let Some(part) = way.pop() {
            let next = match reached {
                Some(folder) => Some(Arc::new(inside(&folder, &part)?)),
                None if is_bpffs(&part)? => Some(Arc::new(open(part.as_str(), libc::O_DIRECTORY)?)),
                None => None,
            };
            reached = next;
            if let Some(folder) = &reached {
                self.keep(part, folder);
            }
        }
        reached.ok_or_else(|| io::Error::from_raw_os_error(libc::EPERM))
    }

    fn keep(&mut self, path: PinPath, folder: &Arc<fs::File>) {
        if self.folders.len() >= MOST_FOLDERS {
            self.close();
        }
        self.folders.insert(path, Arc::clone(folder));
    }
}

/// Opens a folder in an open one, by its last name.
fn inside(folder: &Arc<fs::File>, path: &PinPath) -> io::Result<fs::File> {
    let place = Place { folder: Arc::clone(folder), name: path.file_name() };
    open(&place.path(), libc::O_DIRECTORY | libc::O_NOFOLLOW).map_err(|error| {
        let is_symlink = fs::symlink_metadata(place.path()).is_ok_and(|found| found.is_symlink());
        if is_symlink { SymlinkInTheWay(path.clone()).into() } else { error }
    })
}

/// Opens something as a mere place, whatever it is.
fn open(path: &str, flags: i32) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | flags).open(path)
}
