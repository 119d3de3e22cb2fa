//! Sets variables in a data section that programs use.
//!
//! Through memory nothing else of the section is written. Where the section cannot be reached so, all of it is read and
//! written back, which the plan says.

use super::{Applier, Undo, refused};
use crate::diag::Problem;
use crate::kernel::{Kernel, ObjectKind};
use crate::plan::Sets;
use crate::variables::Patch;
use std::io;

/// The one key of a data section.
const KEY: [u8; 4] = [0; 4];

impl<K: Kernel> Applier<'_, K> {
    /// Sets the variables. The way back is noted before each, as it changes nothing where nothing was done.
    pub(super) fn set_variables(&mut self, number: usize, sets: &Sets) -> Result<(), Problem> {
        self.foretell(number)?;
        let map = self.maps.get(&sets.map).expect("the map was staged before its variables");
        for change in &sets.changes {
            let back = Undo::Set { map: sets.map.clone(), before: change.before.clone(), alone: sets.alone };
            self.undo.push((number, back));
            write(self.kernel, map, &change.after, sets.alone)
                .map_err(|error| refused(format!("set `{}` of map.{}", change.name, sets.map), &error))?;
        }
        Ok(())
    }
}

/// Writes some bits of a section: `alone`, or with all that is around them.
pub(super) fn write<K: Kernel>(kernel: &mut K, map: &K::Fd, part: &Patch, alone: bool) -> io::Result<()> {
    if alone {
        return kernel.write_part(map, part);
    }
    let mut section = read(kernel, map)?;
    part.write(&mut section);
    kernel.update(map, &KEY, &section)
}

fn read<K: Kernel>(kernel: &K, map: &K::Fd) -> io::Result<Vec<u8>> {
    let size = kernel.map_info(map)?.value_size as usize;
    kernel.lookup(map, &KEY, size)?.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
}

/// Reads back what was set, and lists the variables that do not have it.
pub(super) fn unset<K: Kernel>(kernel: &K, sets: &Sets) -> Result<Vec<String>, Problem> {
    let section = match kernel.open_pin(&sets.pin) {
        Ok((ObjectKind::Map, map)) => read(kernel, &map),
        Ok((ObjectKind::Program | ObjectKind::Link, _)) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let section = section.map_err(|error| refused(format!("read the variables of map.{}", sets.map), &error))?;
    let others = sets.changes.iter().filter(|change| !change.after.is_in(&section));
    Ok(others
        .map(|change| format!("map.{}: `{}` is not as it was set: who writes it, too?", sets.map, change.name))
        .collect())
}
