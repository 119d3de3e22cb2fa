//! An object's BTF in the kernel, when the kernel does not take all of it.
//!
//! Types only describe, but for what some programs build on them: locks and timers in maps, arguments of global
//! functions, kernel objects. Who builds on them is known to the verifier alone, so nothing is guessed here: what the
//! kernel lacks is probed and replaced; what it then still refuses is left out but for the functions and our
//! fingerprints, and a program that needs more is refused with both reasons. libbpf goes on without BTF there.

use super::contexts::StandIns;
use super::{Kind, Problem};
use crate::btf::Btf;
use crate::btf::sanitise::Feature;
use crate::desired::{DesiredProgram, ObjectFacts, TAG};
use crate::insn::FuncRecord;
use crate::kernel::{Kernel, LoadError};
use crate::verifier::telling;
use std::borrow::Cow;

/// BTF that the kernel took.
#[derive(Debug)]
pub(super) struct Loaded<Fd> {
    fd: Fd,
    /// Why it has only functions.
    refusal: Option<LoadError>,
    stand_ins: StandIns,
}

impl<Fd> Loaded<Fd> {
    /// Returns what programs are loaded with.
    pub fn fd(&self) -> &Fd {
        &self.fd
    }

    /// Returns what maps are made with: none when the types of keys and values are not in it.
    pub fn whole(&self) -> Option<&Fd> {
        self.refusal.is_none().then_some(&self.fd)
    }

    /// Returns the function records that a program of the object is loaded with.
    pub fn records<'p>(&self, program: &'p DesiredProgram) -> Cow<'p, [FuncRecord]> {
        self.stand_ins.records(program)
    }

    /// Returns why the kernel refuses the types, when it does.
    pub fn refusal(&self) -> Option<&LoadError> {
        self.refusal.as_ref()
    }
}

/// Loads an object's BTF with what stands in for its functions, or as much as the kernel takes of it; the error is that
/// of the whole.
pub(super) fn load<K: Kernel>(
    kernel: &mut K,
    object: &ObjectFacts,
    stand_ins: StandIns,
) -> Result<Loaded<K::Fd>, LoadError> {
    let (fd, refusal) = load_bytes(kernel, &object.btf_with(&stand_ins.types))?;
    Ok(Loaded { fd, refusal, stand_ins })
}

/// Returns what was loaded, and why it has only functions when it does.
fn load_bytes<K: Kernel>(kernel: &mut K, bytes: &[u8]) -> Result<(K::Fd, Option<LoadError>), LoadError> {
    let refusal = match kernel.load_btf(bytes) {
        Ok(fd) => return Ok((fd, None)),
        Err(refusal) => refusal,
    };
    // Other errors are not about the types.
    let is_content = matches!(refusal.error.raw_os_error(), Some(libc::EINVAL | libc::E2BIG | libc::EEXIST));
    let Some(btf) = Btf::parse(bytes).ok().filter(|_| is_content) else { return Err(refusal) };
    let mut lacking = btf.features();
    lacking.retain(|feature| kernel.load_btf(&feature.probe().encode()).is_err());
    if let Ok(fd) = kernel.load_btf(&btf.without(&lacking).encode()) {
        return Ok((fd, None));
    }
    // A tag needs its kind, or stands as the name of an integer; no other feature is left in a skeleton.
    lacking.retain(|feature| matches!(feature, Feature::DeclTag | Feature::Attribute));
    let skeleton = btf.skeleton(|tag| tag.starts_with(TAG)).without(&lacking);
    match kernel.load_btf(&skeleton.encode()) {
        Ok(fd) => Ok((fd, Some(refusal))),
        Err(_) => Err(refusal),
    }
}

/// Makes a problem of a program that the kernel refuses without the types that it refused before.
pub(super) fn problem(program: &DesiredProgram, types: &LoadError, refusal: &LoadError) -> Problem {
    let reason = telling(&refusal.log, &program.code.unresolved).reason;
    let kind = Kind::BtfRefused {
        object: program.object.clone(),
        errno: types.error.raw_os_error().unwrap_or(0),
        without: Some((program.function.clone(), reason.unwrap_or_else(|| refusal.error.to_string()))),
        log: types.log.clone(),
    };
    Problem::at(kind, program.span.clone(), "this program needs it")
}
