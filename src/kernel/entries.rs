//! Finds a map of a deployment by name, and reads what it holds.

use super::observe::{self, READ, refused};
use super::shown::recorded;
use super::status::deployments;
use super::{Kernel, ObjectKind, TakeEntries};
use crate::cells::{self, Layout, Names};
use crate::diag::{self, Kind, Problem, Problems};
use crate::entries::Entries;
use crate::names::PinPath;
use crate::observed::{ObservedMap, Pinned};
use crate::record::RecordedMap;
use crate::report::entries::Head;
use crate::spec::{MapSpec, user_value_size};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

/// What to do about a map of a deployment whose pin is gone.
const UNPINNED: &str = "`bpfapply status` says what else is gone; a dry run of the manifest says whether programs still \
                        run with the map, and how to keep what it holds";

/// A map that can be read.
pub struct Readable<Fd> {
    fd: Fd,
    /// What it is.
    pub head: Head,
    /// How its keys and values read.
    pub layout: Layout,
    /// Bytes of a key, and of a value as user space reads it.
    pub sizes: (usize, usize),
}

/// Finds the one deployment below a bpffs that has a map of this name, and returns the folder of its pins.
pub fn find<K: Kernel>(kernel: &K, bpffs: &PinPath, map: &str) -> Result<PinPath, Problems> {
    let (mut having, mut names, mut problems) = (Vec::new(), Vec::new(), Problems::default());
    for pin_root in deployments(kernel, bpffs)? {
        match recorded(kernel, &pin_root) {
            Ok((record, _)) if record.maps.contains_key(map) => having.push(pin_root),
            Ok((record, _)) => names.extend(record.maps.into_keys()),
            Err(unreadable) => problems.0.extend(unreadable.0),
        }
    }
    match having.len() {
        1 => Ok(having.remove(0)),
        0 => {
            let similar = diag::similar(map, &names);
            problems.push(Problem::new(Kind::NoMapOf { map: map.to_owned(), pin_root: None, similar }));
            Err(problems)
        }
        _ => Err(Problem::new(Kind::ManyHaveMap { map: map.to_owned(), pin_roots: having }).into()),
    }
}

/// Opens a map of a deployment; what a sensitive one holds is masked unless it is to be revealed.
pub fn open<K: Kernel>(kernel: &K, pin_root: &PinPath, map: &str, reveal: bool) -> Result<Readable<K::Fd>, Problems> {
    let (record, observed) = recorded(kernel, pin_root)?;
    let Some(known) = record.maps.get(map) else {
        let (pin_root, similar) = (Some(pin_root.clone()), diag::similar(map, record.maps.keys()));
        return Err(Problem::new(Kind::NoMapOf { map: map.to_owned(), pin_root, similar }).into());
    };
    let pin = known.pin.as_deref().and_then(|pin| PinPath::new(pin).ok());
    let seen = match (&pin, known.id) {
        (Some(pin), _) => observed.pins.get(pin).and_then(|pinned| match pinned {
            Pinned::Map(found) => Some(found),
            Pinned::Program(_) | Pinned::Link(_) => None,
        }),
        (None, Some(id)) => observed.maps_by_id.get(&id),
        (None, None) => None,
    };
    let fd = open_recorded(kernel, pin, known)?;
    let doing = || format!("look at map.{map}");
    let info = kernel.map_info(&fd).map_err(|error| refused(doing(), &error, READ))?;
    if let Some(why) = cells::unreadable(info.map_type) {
        return Err(Problem::new(Kind::Unlistable { map: map.to_owned(), map_type: info.map_type, why }).into());
    }
    let host = kernel.host().map_err(|error| refused("count the CPUs", &error, READ))?;
    // A map of another id has come to the pin since it was observed.
    let types = seen.filter(|seen: &&ObservedMap| seen.info == info).and_then(|seen| seen.spec.types.clone());
    let spec = MapSpec { types, ..MapSpec::new(info.map_type, info.key_size, info.value_size, info.max_entries) };
    Ok(Readable {
        fd,
        sizes: (info.key_size as usize, user_value_size(info.map_type, info.value_size, &host)),
        layout: Layout::new(&spec, &known.formats),
        head: Head {
            address: format!("map.{map}"),
            id: info.id,
            r#type: info.map_type,
            max_entries: info.max_entries,
            masked: known.sensitive && !reveal,
        },
    })
}

fn open_recorded<K: Kernel>(kernel: &K, pin: Option<PinPath>, known: &RecordedMap) -> Result<K::Fd, Problem> {
    let Some(pin) = pin else {
        let id = known.id.unwrap_or(0);
        return kernel.map_by_id(id).map_err(|error| refused(format!("open the map with id {id}"), &error, READ));
    };
    let opened = kernel.open_pin(&pin).map_err(|error| {
        let mut problem = refused(format!("open the pin `{pin}`"), &error, READ);
        if let (Kind::Kernel { hint, .. }, io::ErrorKind::NotFound) = (&mut *problem.kind, error.kind()) {
            *hint = Some(UNPINNED.to_owned());
        }
        problem
    });
    match opened? {
        (ObjectKind::Map, fd) => Ok(fd),
        (is @ (ObjectKind::Program | ObjectKind::Link), _) => {
            Err(Problem::new(Kind::NotAMap { pin, is: format!("a {is}") }))
        }
    }
}

impl<Fd> Readable<Fd> {
    /// Reads the entries in the kernel's order, until `each` has enough of keys and as many values.
    pub fn read<K: Kernel<Fd = Fd>>(&self, kernel: &K, each: TakeEntries<'_>) -> Result<(), Problem> {
        let doing = || format!("read the entries of {}", self.head.address);
        kernel.read_entries(&self.fd, self.sizes, each).map_err(|error| refused(doing(), &error, READ))
    }

    /// Reads at most so many entries into memory, sorted.
    pub fn snapshot<K: Kernel<Fd = Fd>>(&self, kernel: &K, most: usize) -> Result<Entries, Problem> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let (key, value) = self.sizes;
        self.read(kernel, &mut |some_keys, some_values| {
            let left = most - keys.len() / key;
            let taken = left.min(some_keys.len() / key);
            keys.extend_from_slice(&some_keys[..taken * key]);
            values.extend_from_slice(&some_values[..taken * value]);
            if taken == left { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(Entries::latest(key, value, keys, values))
    }
}

/// Names as the kernel has them, each asked for once.
pub struct KernelNames<'a, K> {
    kernel: &'a K,
    known: RefCell<BTreeMap<(Named, u32), Option<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Program,
    Map,
    Interface,
}

impl<'a, K: Kernel> KernelNames<'a, K> {
    /// Asks this kernel.
    pub fn new(kernel: &'a K) -> Self {
        Self { kernel, known: RefCell::default() }
    }

    fn name(&self, what: Named, id: u32) -> Option<String> {
        let ask = || match what {
            Named::Program => Some(observe::program(self.kernel, id)?.name),
            Named::Map => Some(self.kernel.map_info(&self.kernel.map_by_id(id).ok()?).ok()?.name),
            Named::Interface => self.kernel.interface_name(id).ok()?,
        };
        self.known.borrow_mut().entry((what, id)).or_insert_with(ask).clone()
    }
}

impl<K: Kernel> Names for KernelNames<'_, K> {
    fn program(&self, id: u32) -> Option<String> {
        self.name(Named::Program, id)
    }

    fn map(&self, id: u32) -> Option<String> {
        self.name(Named::Map, id)
    }

    fn interface(&self, index: u32) -> Option<String> {
        self.name(Named::Interface, index)
    }
}
