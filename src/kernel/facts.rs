//! What a program is linked for: the facts of the running kernel, each read only when a program needs it.

use super::observe::{READ, existing, refused, types};
use super::{Kernel, Symbols};
use crate::btf::kernel::KernelTypes;
use crate::diag::Problem;
use crate::elf::{Module, Modules, Needs, Target};
use crate::insn::ModuleId;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::sync::Arc;

/// Reads what programs need to know of the kernel that they are linked for.
pub fn target<K: Kernel>(kernel: &K, needs: &Needs) -> Result<Target, Problem> {
    let config = match needs.config {
        true => existing(kernel.config()).map_err(|error| refused("read the kernel's configuration", &error, READ))?,
        false => None,
    };
    let symbols = match needs.symbols.is_empty() {
        true => Symbols::new(),
        false => kernel
            .symbols(&needs.symbols)
            .map_err(|error| refused("read the kernel's table of symbols", &error, READ))?,
    };
    let version = match needs.version {
        true => kernel.version().map_err(|error| refused("read the kernel's version", &error, READ))?,
        false => 0,
    };
    let types = if needs.types || needs.core { types(kernel)? } else { None };
    let modules = match &types {
        Some(types) => modules_for(kernel, needs, types)?,
        None => Modules::Unread,
    };
    Ok(Target {
        types,
        modules,
        core: None,
        config: config.map(|text| parse_config(&text)),
        symbols,
        version,
        offline: false,
    })
}

/// What finding BTF by its id needs.
const BTF_BY_ID: &str = "the types of modules are found by id, which needs CAP_SYS_ADMIN: run it as root";

/// Reads the types of the modules, when a program wants something that the kernel itself does not have.
fn modules_for<K: Kernel>(kernel: &K, needs: &Needs, types: &Arc<KernelTypes>) -> Result<Modules, Problem> {
    let problem = |error: &io::Error| refused("read the types of the kernel's modules", error, BTF_BY_ID);
    match needs.wants_modules(types).map_err(|error| problem(&io::Error::other(error)))? {
        false => Ok(Modules::Unread),
        true => match modules(kernel, types) {
            Ok(modules) => Ok(Modules::Known(modules)),
            // Whoever may not look at them may still make a plan for what the kernel has (`load_module_btfs` of libbpf).
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(Modules::Refused),
            Err(error) => Err(problem(&error)),
        },
    }
}

/// Reads the types of all modules by rising id, which is the order in which they were loaded.
fn modules<K: Kernel>(kernel: &K, types: &Arc<KernelTypes>) -> io::Result<Vec<Module>> {
    let mut found = Vec::new();
    let mut id = 0;
    while let Some(next) = existing(kernel.next_btf(id))? {
        id = next;
        // A module, or a program with types of its own, may go away at any moment.
        let Some(btf) = existing(kernel.btf_by_id(id))? else { continue };
        let Some(name) = kernel.module_name(&btf)? else { continue };
        let Some(bytes) = existing(kernel.btf(id))? else { continue };
        let own = KernelTypes::parse_module(Box::new(bytes), Arc::clone(types)).map_err(io::Error::other)?;
        found.push(Module { id: ModuleId { name, btf_id: id }, types: Arc::new(own) });
    }
    Ok(found)
}

/// Reads `CONFIG_NAME=VALUE`, one a line; lines of comment say what is not set.
fn parse_config(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter(|line| line.starts_with("CONFIG_")).filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}

/// Finds symbols in `/proc/kallsyms`, whose lines are `ADDRESS KIND NAME [MODULE]`. Behind `.llvm.` stands what a
/// compiler adds to names that were local (`bpf_object__read_kallsyms_file` of libbpf).
pub(super) fn find_symbols(table: impl BufRead, wanted: &BTreeSet<String>) -> io::Result<Symbols> {
    let mut found = Symbols::new();
    for line in table.split(b'\n') {
        let line = line?;
        let mut words = line.split(|byte| *byte == b' ' || *byte == b'\t');
        let (Some(address), Some(name)) = (words.next(), words.nth(1)) else { continue };
        let (Ok(address), Ok(name)) = (std::str::from_utf8(address), std::str::from_utf8(name)) else { continue };
        let name = name.split_once(".llvm.").map_or(name, |(name, _)| name);
        if let (true, Ok(address)) = (wanted.contains(name), u64::from_str_radix(address, 16)) {
            found.entry(name.to_owned()).or_default().insert(address);
        }
    }
    Ok(found)
}

/// Finds the first symbol at each of the addresses in `/proc/kallsyms`.
pub(super) fn find_addresses(table: impl BufRead, wanted: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, String>> {
    let mut found = BTreeMap::new();
    for line in table.split(b'\n') {
        let line = line?;
        let mut words = line.split(|byte| *byte == b' ' || *byte == b'\t');
        let (Some(address), Some(name)) = (words.next(), words.nth(1)) else { continue };
        let address = std::str::from_utf8(address).ok().and_then(|address| u64::from_str_radix(address, 16).ok());
        if let (Some(address), Ok(name)) =
            (address.filter(|address| wanted.contains(address)), std::str::from_utf8(name))
        {
            found.entry(address).or_insert_with(|| name.to_owned());
        }
    }
    Ok(found)
}

/// Returns `LINUX_VERSION_CODE`: from Ubuntu's signature, from Debian's version, or from the release, in this order,
/// since the first two distributions put a number of their own into the release (`get_kernel_version` of libbpf).
pub(super) fn version_code(signature: Option<&str>, version: &str, release: &str) -> u32 {
    let ubuntu = signature.and_then(|text| text.split_whitespace().nth(2));
    let debian = version.split_once("Debian ").map(|(_, rest)| rest);
    let numbers = |text: &str| -> Vec<u32> {
        let parts = text.split(|c: char| !c.is_ascii_digit()).take(3);
        parts.map_while(|part| part.parse().ok()).collect()
    };
    let candidates = ubuntu.into_iter().chain(debian).chain([release]).map(numbers);
    match candidates.into_iter().find(|numbers| numbers.len() == 3).as_deref() {
        Some([major, minor, patch]) => (major & 0xff) << 16 | (minor & 0xff) << 8 | (*patch).min(255),
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let debian = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1 (2024-05-03)";
        assert_eq!(version_code(None, "#1 SMP", "6.18.44-fc"), 0x06_122c);
        assert_eq!(version_code(None, "#1 SMP", "4.19.300"), 0x04_13ff);
        assert_eq!(version_code(None, debian, "6.1.0-21-amd64"), 0x06_015a);
        assert_eq!(version_code(Some("Ubuntu 5.15.0-1.2-generic 5.15.39"), "#1", "5.15.0-1"), 0x05_0f27);
        assert_eq!(version_code(None, "", "6.18"), 0);
    }

    #[test]
    fn symbols_of_the_kernel() {
        let table = "0000000000000000 A fixed\nffffffff81000010 T wanted\nffffffff81000020 t wanted.llvm.123\n\
                     ffffffffc0000000 t other [module]\nbad line\n";
        let wanted = BTreeSet::from(["wanted".to_owned(), "other".to_owned(), "absent".to_owned()]);
        let found = find_symbols(table.as_bytes(), &wanted).expect("memory can be read");
        assert_eq!(found["wanted"], BTreeSet::from([0xffff_ffff_8100_0010, 0xffff_ffff_8100_0020]));
        assert_eq!(found["other"], BTreeSet::from([0xffff_ffff_c000_0000]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_configuration() {
        let config = parse_config("# CONFIG_OFF is not set\nCONFIG_HZ=250\nCONFIG_NAME=\"a=b\"\n\nEXTRA=1\n");
        assert_eq!(config.len(), 2);
        assert_eq!((&*config["CONFIG_HZ"], &*config["CONFIG_NAME"]), ("250", "\"a=b\""));
    }
}
