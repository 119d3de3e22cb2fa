//! Compares what runs with the record: whether a deployment is still what the last apply made.
//!
//! A pin has the same inode for as long as it lives, and stands for one map, program or link (`bpf_mkobj_ops`,
//! kernel/bpf/inode.c), whose maps never change. So a listed folder says of all pins in it whether they are ours, and
//! only links, which change and detach, are opened.

use super::observe::{READ, existing, refused};
use super::{HookInfo, Kernel, LinkInfo, ObjectKind, XdpMode};
use crate::diag::Problem;
use crate::names::PinPath;
use crate::record::{Record, RecordedLink};
use std::collections::HashMap;
use std::fmt;

/// A difference between the host and the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What it is about: `map.flows`.
    pub address: String,
    /// What is different.
    pub what: Difference,
}

/// What is different from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The pin is gone.
    Unpinned(PinPath),
    /// The pin is another one.
    Replaced(PinPath),
    /// The link is on no hook any more; this is the one that it was on.
    Detached(String),
    /// The link is on this hook, and not on that of the record.
    Moved(HookInfo),
    /// The link runs the program with the first id, and not that with the second one.
    Runs(u32, u32),
    /// The interface of this name is another one, or gone.
    Interface(String),
    /// The program does not run in this mode.
    Mode(XdpMode),
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.what {
            Difference::Unpinned(pin) => write!(f, "{address}: its pin {pin} is gone"),
            Difference::Replaced(pin) => write!(f, "{address}: {pin} is not the pin that was made"),
            Difference::Detached(hook) => write!(f, "{address}: it was detached from {hook}"),
            Difference::Moved(hook) => write!(f, "{address}: it is on {hook}"),
            Difference::Runs(now, made) => write!(f, "{address}: it runs program id {now}, not {made}"),
            Difference::Interface(name) => write!(f, "{address}: the interface {name} is gone or another one"),
            Difference::Mode(mode) => write!(f, "{address}: it does not run in {mode} mode"),
        }
    }
}

/// Returns the differences, by address: maps, programs, links.
pub fn drift<K: Kernel>(kernel: &K, record: &Record) -> Result<Vec<Drift>, Problem> {
    let mut checker = Checker { kernel, folders: HashMap::new() };
    let mut found = Vec::new();
    let mut note = |kind: &str, name: &str, what: Option<Difference>| {
        found.extend(what.map(|what| Drift { address: format!("{kind}.{name}"), what }));
    };
    for (name, map) in &record.maps {
        if let Some(pin) = &map.pin {
            note("map", name, checker.pin(pin, map.inode)?);
        }
    }
    for (name, program) in &record.programs {
        note("program", name, checker.pin(&program.pin, program.inode)?);
    }
    for (name, link) in &record.links {
        let what = checker.pin(&link.pin, link.inode)?;
        let what = if what.is_none() { checker.link(link)? } else { what };
        note("link", name, what);
    }
    Ok(found)
}

struct Checker<'a, K> {
    kernel: &'a K,
    /// The inodes in a folder by name.
    folders: HashMap<String, HashMap<String, u64>>,
}

impl<K: Kernel> Checker<'_, K> {
    fn pin(&mut self, pin: &str, inode: u64) -> Result<Option<Difference>, Problem> {
        let found = self.inode(pin)?;
        let path = || PinPath::new(pin).expect("it was listed by its folder");
        Ok(match found {
            Some(found) if found == inode => None,
            Some(_) => Some(Difference::Replaced(path())),
            None => PinPath::new(pin).ok().map(Difference::Unpinned),
        })
    }

    fn inode(&mut self, pin: &str) -> Result<Option<u64>, Problem> {
        let Some((folder, name)) = pin.rsplit_once('/') else { return Ok(None) };
        if let Some(inodes) = self.folders.get(folder) {
            return Ok(inodes.get(name).copied());
        }
        let Ok(path) = PinPath::new(folder) else { return Ok(None) };
        let listed = existing(self.kernel.list(&path));
        let listed = listed.map_err(|error| refused(format!("read the folder `{path}`"), &error, READ))?;
        let inodes = listed.into_iter().flatten().map(|entry| (entry.name, entry.inode));
        Ok(self.folders.entry(folder.to_owned()).or_insert(inodes.collect()).get(name).copied())
    }

    fn link(&self, link: &RecordedLink) -> Result<Option<Difference>, Problem> {
        let Ok(pin) = PinPath::new(&link.pin) else { return Ok(None) };
        let doing = |error| refused(format!("read the link at `{pin}`"), &error, READ);
        let (kind, fd) = self.kernel.open_pin(&pin).map_err(doing)?;
        if kind != ObjectKind::Link {
            return Ok(Some(Difference::Replaced(pin)));
        }
        let LinkInfo { program_id, hook, .. } = self.kernel.link_info(&fd).map_err(doing)?;
        if hook != link.at {
            let is_gone = !hook.is_attached();
            return Ok(Some(if is_gone {
                Difference::Detached(link.hook.to_string())
            } else {
                Difference::Moved(hook)
            }));
        }
        if program_id != link.program_id {
            return Ok(Some(Difference::Runs(program_id, link.program_id)));
        }
        let Some(name) = link.hook.interface() else { return Ok(None) };
        let found = self.kernel.interface(name);
        let found = found.map_err(|error| refused(format!("look the interface `{name}` up"), &error, READ))?;
        let Some(found) = found.filter(|found| hook.ifindex() == Some(found.index)) else {
            return Ok(Some(Difference::Interface(name.to_owned())));
        };
        let mode = link.hook.mode().filter(|mode| *mode != XdpMode::Auto);
        let other = mode.filter(|mode| !found.xdp.contains(&(*mode, program_id)));
        Ok(other.map(Difference::Mode))
    }
}
