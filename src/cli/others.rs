//! Who else is at work while a dry run or an export looks at the host, which takes no lock.

use super::console::note;
use crate::kernel::{Kernel, status};
use crate::names::PinPath;

/// Says who is at work, of whom the plan may see what is half done: whose deployment that is, nobody can tell.
pub fn tell<K: Kernel>(kernel: &K, pin_root: &PinPath) {
    if let Some(holder) = status::at_work(kernel, pin_root) {
        let name = pin_root.file_name();
        note(&format!(
            "{name}: {holder} is at work: the plan may be another one when that run has ended, and what it calls left over \
             may be that run's"
        ));
    }
}

/// Says who is at work on a bpffs, of whom its state may have what is half done.
pub fn tell_of_state<K: Kernel>(kernel: &K, bpffs: &PinPath) {
    if let Some(holder) = status::at_work_on(kernel, bpffs) {
        note(&format!("{bpffs}: {holder} is at work: the state may have what that run has half done"));
    }
}
