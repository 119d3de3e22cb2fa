//! What of a kernel decides the final instructions of a program, as plain data. Whoever links passes it in.

use crate::btf::kernel::KernelTypes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The kernel that a program is linked for.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The types of the kernel; `None` when it has none or nobody asked.
    pub types: Option<Arc<KernelTypes>>,
    /// The types by which CO-RE relocations are resolved, where these are not the kernel's own.
    pub core: Option<Arc<KernelTypes>>,
    /// The kernel's configuration, each value as it is written behind the `=`; `None` when it cannot be read or nobody
    /// asked.
    pub config: Option<BTreeMap<String, String>>,
    /// The addresses of those symbols of the kernel that somebody asked for.
    pub symbols: BTreeMap<String, BTreeSet<u64>>,
    /// `LINUX_VERSION_CODE`; 0 when nobody asked.
    pub version: u32,
    /// True when no kernel was asked: CO-RE relocations then stay as the compiler wrote them, unless there is
    /// [`Target::core`], and what the kernel defines is zero, and neither is an error.
    pub offline: bool,
}

impl Target {
    /// Returns the target of a plan that is made without a kernel.
    pub fn offline() -> Self {
        Self { offline: true, ..Self::default() }
    }

    /// Returns the types by which CO-RE relocations are resolved.
    pub fn core_types(&self) -> Option<&KernelTypes> {
        self.core.as_deref().or(self.types.as_deref())
    }
}

/// What somebody must find out about a kernel before a program can be linked for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// [`Target::types`]
    pub types: bool,
    /// [`Target::core`], or else [`Target::types`]
    pub core: bool,
    /// [`Target::config`]
    pub config: bool,
    /// [`Target::version`]
    pub version: bool,
    /// Which of [`Target::symbols`].
    pub symbols: BTreeSet<String>,
}
