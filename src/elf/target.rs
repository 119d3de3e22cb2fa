//! What of a kernel decides the final instructions of a program, as plain data. Whoever links passes it in.

use super::core::same_kind;
use crate::btf::kernel::KernelTypes;
use crate::btf::{self, Kind, Type, TypeId};
use crate::insn::ModuleId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The kernel that a program is linked for.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The types of the kernel; `None` when it has none or nobody asked.
    pub types: Option<Arc<KernelTypes>>,
    /// What its modules add to them.
    pub modules: Modules,
    /// The types by which CO-RE relocations are resolved, where these are not the kernel's own.
    pub core: Option<TypesFile>,
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

/// Types from a file, instead of those of the running kernel.
#[derive(Debug, Clone)]
pub struct TypesFile {
    /// The file, as messages call it.
    pub name: String,
    /// What it holds.
    pub types: Arc<KernelTypes>,
}

/// What of a kernel's modules is known.
#[derive(Debug, Clone, Default)]
pub enum Modules {
    /// Nobody asked, since the kernel itself has all that is needed.
    #[default]
    Unread,
    /// They may not be read, as by somebody without privilege.
    Refused,
    /// Those that are loaded and have types, in the order in which they were loaded.
    Known(Vec<Module>),
}

/// A module of the kernel that is loaded.
#[derive(Debug, Clone)]
pub struct Module {
    /// Its name and its types' id.
    pub id: ModuleId,
    /// Its types.
    pub types: Arc<KernelTypes>,
}

/// Where the kernel has a type.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The types of the kernel or of a module.
    pub types: &'a KernelTypes,
    /// The id in these.
    pub id: TypeId,
    /// The module; `None` for the kernel itself.
    pub module: Option<&'a ModuleId>,
}

impl Modules {
    /// Returns those that are known.
    pub fn known(&self) -> &[Module] {
        match self {
            Self::Unread | Self::Refused => &[],
            Self::Known(modules) => modules,
        }
    }

    /// Returns what there is to say where even they do not have something.
    pub fn note(&self) -> &'static str {
        match self {
            Self::Unread => "",
            Self::Refused => ", and the types of its modules cannot be read without CAP_SYS_ADMIN",
            Self::Known(modules) if modules.is_empty() => ", and no module with types is loaded",
            Self::Known(_) => ", nor has a module that is loaded",
        }
    }
}

impl Target {
    /// Returns the target of a plan that is made without a kernel.
    pub fn offline() -> Self {
        Self { offline: true, ..Self::default() }
    }

    /// Returns the types by which CO-RE relocations are resolved.
    pub fn core_types(&self) -> Option<&KernelTypes> {
        self.core.as_ref().map(|file| &*file.types).or(self.types.as_deref())
    }

    /// Returns what messages call the owner of [`Target::core_types`].
    pub fn core_name(&self) -> String {
        self.core.as_ref().map_or("this kernel".to_owned(), |file| format!("`{}`", file.name))
    }

    /// Finds a type by kind and name: in the kernel, else in the first module that has it (`find_ksym_btf_id` of libbpf).
    ///
    /// # Errors
    /// When types that stand before it are damaged.
    pub fn find(&self, kind: Kind, name: &str) -> Result<Option<Found<'_>>, btf::Error> {
        if let Some(types) = self.types.as_deref()
            && let Some(id) = types.find(kind, name)?
        {
            return Ok(Some(Found { types, id, module: None }));
        }
        self.find_in_modules(kind, name, |_| true)
    }

    /// Finds a type that one module has.
    ///
    /// # Errors
    /// As for [`Target::find`].
    pub fn find_in_module(&self, kind: Kind, name: &str, module: &str) -> Result<Option<Found<'_>>, btf::Error> {
        self.find_in_modules(kind, name, |known| known.name == module)
    }

    fn find_in_modules(
        &self,
        kind: Kind,
        name: &str,
        wanted: impl Fn(&ModuleId) -> bool,
    ) -> Result<Option<Found<'_>>, btf::Error> {
        for module in self.modules.known().iter().filter(|module| wanted(&module.id)) {
            if let Some(id) = module.types.find(kind, name)? {
                return Ok(Some(Found { types: &module.types, id, module: Some(&module.id) }));
            }
        }
        Ok(None)
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
    /// What is looked up by its name in the types of the kernel, and else of its modules.
    pub names: BTreeSet<(Kind, String)>,
    /// What CO-RE relocations look for, there too: types of any flavour.
    pub candidates: BTreeSet<(Kind, String)>,
    /// Whether a program is for a module that it names.
    pub modules: bool,
}

impl Needs {
    /// Adds what somebody else needs.
    pub fn extend(&mut self, other: Self) {
        let Self { types, core, config, version, symbols, names, candidates, modules } = other;
        self.types |= types;
        self.core |= core;
        self.config |= config;
        self.version |= version;
        self.modules |= modules;
        self.symbols.extend(symbols);
        self.names.extend(names);
        self.candidates.extend(candidates);
    }

    /// Tells whether something is wanted that the kernel itself does not have, and a module may.
    ///
    /// # Errors
    /// When the types of the kernel are damaged.
    pub fn wants_modules(&self, kernel: &KernelTypes) -> Result<bool, btf::Error> {
        if self.modules {
            return Ok(true);
        }
        for (kind, name) in &self.names {
            if kernel.find(*kind, name)?.is_none() {
                return Ok(true);
            }
        }
        for (kind, name) in &self.candidates {
            if candidates(kernel, *kind, name)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Lists the types of a kernel or module with that essential name and that kind, in rising order.
pub(super) fn candidates(types: &KernelTypes, kind: Kind, name: &str) -> Result<Vec<TypeId>, btf::Error> {
    let mut found = Vec::new();
    for id in types.named(kind, name)? {
        if same_kind(kind, Type::kind(types.get(id)?)) {
            found.push(id);
        }
    }
    Ok(found)
}
