//! All entries of a map at once.

use super::Kernel;
use crate::entries::Entries;
use std::collections::BTreeMap;
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
    match has_twice(&keys, key) {
        false => Ok(Entries::of(key, value, keys, values).expect("no key is there twice")),
        true => {
            let at = |at: usize| values.get(at * value..(at + 1) * value).unwrap_or_default();
            let latest: BTreeMap<&[u8], &[u8]> = keys.chunks(key).enumerate().map(|(n, key)| (key, at(n))).collect();
            let (keys, values): (Vec<_>, Vec<_>) = latest.into_iter().unzip();
            Ok(Entries::of(key, value, keys.concat(), values.concat()).expect("a map has each key once"))
        }
    }
}

fn has_twice(keys: &[u8], size: usize) -> bool {
    let mut sorted: Vec<&[u8]> = keys.chunks(size).collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}
