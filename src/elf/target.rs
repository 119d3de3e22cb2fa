//! What of a kernel decides the final instructions of a program, as plain data. Whoever links passes it in.

use crate::btf::kernel::KernelTypes;
use std::sync::Arc;

/// The kernel that a program is linked for.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The types of the kernel, by which CO-RE relocations are resolved; `None` when it has none or nobody asked.
    pub types: Option<Arc<KernelTypes>>,
    /// True when no kernel was asked: CO-RE relocations then stay as the compiler wrote them, and are no error.
    pub offline: bool,
}

impl Target {
    /// Returns the target of a plan that is made without a kernel.
    pub fn offline() -> Self {
        Self { types: None, offline: true }
    }
}
