//! Entries of a map that are ours, as the bytes that are kept beside the record: in an array map, chunk by chunk.
//!
//! A million entries are no text: the record only has their digest.

use crate::entries::Entries;

/// Most bytes of one element of the array. Larger ones are harder to find for a kernel that copies a whole element into
/// contiguous memory (`kmalloc` of up to 8 pages never gives up, `PAGE_ALLOC_COSTLY_ORDER`).
pub const CHUNK: usize = 32 << 10;

/// The format that this version writes. Any other is refused, never guessed.
const FORMAT: u64 = 1;

/// Format, bytes of a key, bytes of a value, entries: each 8 bytes, little endian. Then all keys, then all values.
const HEAD: usize = 4 * 8;

/// Writes entries as chunks of the same size, which comes with them.
pub fn encode(entries: &Entries) -> (Vec<u8>, usize) {
    let head = [FORMAT, entries.key_size() as u64, entries.value_size() as u64, entries.len() as u64];
    let size = HEAD + entries.keys().len() + entries.values().len();
    let chunk = size.min(CHUNK);
    let size = size.next_multiple_of(chunk);
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(head.map(u64::to_le_bytes).as_flattened());
    bytes.extend_from_slice(entries.keys());
    bytes.extend_from_slice(entries.values());
    bytes.resize(size, 0);
    (bytes, chunk)
}

/// Reads what [`encode`] wrote; `None` for anything else.
pub fn decode(bytes: &[u8]) -> Option<Entries> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u64::from_le_bytes(*head[8 * at..].first_chunk()?));
    let size = |at: usize| usize::try_from(number(at)?).ok();
    let (key_size, value_size, count) = (size(1)?, size(2)?, size(3)?);
    if number(0)? != FORMAT || key_size == 0 {
        return None;
    }
    let (keys, rest) = rest.split_at_checked(count.checked_mul(key_size)?)?;
    let values = rest.get(..count.checked_mul(value_size)?)?;
    Entries::of(key_size, value_size, keys.to_vec(), values.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u32) -> Entries {
        let keys = (0..count).flat_map(u32::to_be_bytes).collect();
        Entries::of(4, 8, keys, vec![7; 8 * count as usize]).expect("each key is there once")
    }

    #[test]
    fn entries_survive_their_map() {
        for count in [0, 1, 10_000] {
            let (bytes, chunk) = encode(&entries(count));
            assert!(!bytes.is_empty() && bytes.len().is_multiple_of(chunk) && chunk <= CHUNK, "{count}");
            assert_eq!(decode(&bytes), Some(entries(count)), "{count}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let (good, _) = encode(&entries(3));
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        let rows = [
            Vec::new(),
            good[..HEAD - 1].to_vec(),
            vec![0; CHUNK],
            vec![0xff; CHUNK],
            with(0, 2),
            with(8, 0),
            with(15, 0xff),
            with(23, 0xff),
            with(31, 0xff),
            // The second key is the first one.
            with(HEAD + 7, 0),
        ];
        for bytes in rows {
            assert_eq!(decode(&bytes), None, "{:?}", &bytes[..bytes.len().min(64)]);
        }
    }
}
