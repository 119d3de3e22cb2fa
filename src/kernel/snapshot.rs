//! All entries of a map at once.

use super::Kernel;
use crate::entries::Entries;
use std::io;
use std::ops::ControlFlow;

/// Reads all entries of a map; `sizes` are those of a key and of a value as user space reads it. Of an entry that shows
/// itself twice, since the map changes meanwhile, the later value counts.
pub fn snapshot<K: Kernel>(kernel: &K, map: &K::Fd, sizes: (usize, usize)) -> io::Result<Entries> {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    kernel.read_entries(map, sizes, &mut |more, with| {
        keys.extend_from_slice(more);
        values.extend_from_slice(with);
        ControlFlow::Continue(())
    })?;
    let (key, value) = sizes;
    if key == 0 || keys.len() / key * value != values.len() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(Entries::latest(key, value, keys, values))
}
