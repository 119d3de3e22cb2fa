//! Does what a plan says: the one place that changes the kernel.
//!
//! Two passes over the same list. *Stage* makes maps and programs as mere descriptors: when something is refused
//! there, closing them leaves the host untouched. *Commit* pins, attaches and takes away; each of its changes is
//! noted with its way back, and a failure walks these back, newest first.

pub mod outcome;
mod stage;
mod types;
mod undo;

use crate::desired::{DesiredLink, DesiredMap, Hook, MapSource};
use crate::diag::{Kind, OPEN_FILES, PRIVILEGES, Problem};
use crate::elf::DataKind;
use crate::kernel::{HookRequest, Kernel, MapInfo, MapRequest, ObjectKind};
use crate::kinds::MapType;
use crate::names::{MapName, ObjectName, PinPath, ProgramName};
use crate::observed::{ObservedMap, ObservedProgram, Pinned};
use crate::plan::{Action, Marker, Plan, ResolvedHook};
use crate::record::Record;
use crate::spec::Host;
use outcome::{Outcome, Status, StepOutcome};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use undo::Undo;

/// What the record says of this run.
#[derive(Debug, Clone, Default)]
pub struct Stamp {
    /// Path of the manifest as it was given.
    pub manifest: String,
    /// Seconds since 1970.
    pub time: u64,
}

/// What a run did.
#[derive(Debug)]
pub struct Applied {
    /// How each step went.
    pub outcome: Outcome,
    /// What went wrong; there exactly when something failed.
    pub problem: Option<Problem>,
    /// The maps and programs that were made, as the kernel describes them, by their pins.
    pub made: BTreeMap<PinPath, Pinned>,
}

/// Applies a plan.
pub fn apply<K: Kernel>(kernel: &mut K, plan: &Plan, stamp: &Stamp) -> Applied {
    let mut applier = Applier {
        kernel,
        plan,
        stamp,
        host: None,
        btfs: BTreeMap::new(),
        modules: BTreeMap::new(),
        maps: BTreeMap::new(),
        programs: BTreeMap::new(),
        made: BTreeMap::new(),
        undo: Vec::new(),
        leaving: Vec::new(),
    };
    let mut steps: Vec<StepOutcome> =
        plan.steps.iter().map(|step| StepOutcome::of(&step.action, Status::NotReached)).collect();
    let problem = applier.run(&mut steps).err();
    let made = std::mem::take(&mut applier.made);
    Applied { outcome: Outcome { deployment: plan.deployment.clone(), steps }, problem, made }
}

struct Applier<'a, K: Kernel> {
    kernel: &'a mut K,
    plan: &'a Plan,
    stamp: &'a Stamp,
    /// What decides the shape of maps, once the first one asked.
    host: Option<Host>,
    btfs: BTreeMap<ObjectName, types::Loaded<K::Fd>>,
    /// The types of kernel modules, by the id of their BTF.
    modules: BTreeMap<u32, K::Fd>,
    maps: BTreeMap<MapName, K::Fd>,
    programs: BTreeMap<ProgramName, K::Fd>,
    /// What was pinned of them, as the kernel describes it.
    made: BTreeMap<PinPath, Pinned>,
    /// What was changed, by the number of its step, and the way back.
    undo: Vec<(usize, Undo<K::Fd>)>,
    /// Links that lost their pin and stay attached until everything else is done.
    leaving: Vec<(usize, K::Fd)>,
}

impl<K: Kernel> Applier<'_, K> {
    fn run(&mut self, steps: &mut [StepOutcome]) -> Result<(), Problem> {
        self.stage_all().map_err(|(number, problem)| fail(steps, number, problem))?;
        for (number, step) in self.plan.steps.iter().enumerate() {
            if let Err(problem) = self.commit(number, &step.action) {
                let problem = fail(steps, number, problem);
                self.undo_all(steps);
                return Err(problem);
            }
            steps[number].status = match step.action.marker() {
                Marker::Reuse => Status::Reused,
                Marker::Create
                | Marker::Change
                | Marker::DestroyThenCreate
                | Marker::CreateThenDestroy
                | Marker::Remove => Status::Done,
            };
        }
        self.detach_leaving(steps)
    }

    /// Detaches what was unpinned. Nothing can be undone from here on, and nothing but this is left to do.
    fn detach_leaving(&mut self, steps: &mut [StepOutcome]) -> Result<(), Problem> {
        let mut first = None;
        for (number, link) in std::mem::take(&mut self.leaving) {
            // Closing the last descriptor detaches as well, but only some time later.
            if let Err(error) = self.kernel.detach_link(&link)
                && error.raw_os_error() != Some(libc::ENOLINK)
            {
                let doing = format!("detach {}", steps[number].address);
                let problem = kernel_problem(doing, &error);
                steps[number].status = Status::CouldNotUndo(problem.kind.to_string());
                first.get_or_insert(problem);
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn commit(&mut self, number: usize, action: &Action) -> Result<(), Problem> {
        match action {
            Action::MountBpffs { at } => {
                self.kernel.mount_bpffs(at).map_err(|error| refused(format!("mount a bpffs on `{at}`"), &error))?;
                self.undo.push((number, Undo::Mounted(at.clone())));
            }
            Action::MakeDirectory { path } => {
                self.kernel.make_directory(path).map_err(|error| match error.raw_os_error() {
                    Some(libc::EEXIST) => stale(format!("`{path}` is there already")),
                    _ => refused(format!("make the folder `{path}`"), &error),
                })?;
                self.undo.push((number, Undo::MadeDirectory(path.clone())));
            }
            Action::CreateMap { map, replaces } => {
                let pin = map.pin().expect("only a map with a pin is created");
                let fd = self.maps.remove(&map.name).expect("the map was staged");
                let old = self.replaced(pin, ObjectKind::Map, *replaces)?;
                self.put_pin(number, &fd, pin, ObjectKind::Map, old)?;
                let info = self.kernel.map_info(&fd).map_err(|error| refused(format!("ask about `{pin}`"), &error))?;
                self.made.insert(pin.clone(), Pinned::Map(made_map(map, info)));
                self.maps.insert(map.name.clone(), fd);
            }
            Action::LoadProgram { program, replaces } => {
                let fd = self.programs.remove(&program.name).expect("the program was staged");
                let old = self.replaced(&program.pin, ObjectKind::Program, *replaces)?;
                self.put_pin(number, &fd, &program.pin, ObjectKind::Program, old)?;
                let info = self.kernel.program_info(&fd);
                let info = info.map_err(|error| refused(format!("ask about `{}`", program.pin), &error))?;
                let fingerprints = Arc::clone(&self.plan.objects[&program.object].fingerprints);
                self.made.insert(program.pin.clone(), Pinned::Program(ObservedProgram { info, fingerprints }));
                self.programs.insert(program.name.clone(), fd);
            }
            Action::Attach { link, hook } => self.attach(number, link, hook)?,
            Action::UpdateLink { link, id, old_program } => self.update_link(number, link, *id, *old_program)?,
            Action::Reattach { link, id, hook, overlap: true } => self.move_link(number, link, *id, hook)?,
            Action::Reattach { link, id, hook, overlap: false } => self.swap_link(number, link, *id, hook)?,
            Action::Detach { pin, id, .. } => {
                let fd = self.take_pin(number, pin, *id, ObjectKind::Link)?;
                self.leaving.push((number, fd));
            }
            Action::RemoveProgram { pin, id, .. } => {
                self.take_pin(number, pin, *id, ObjectKind::Program)?;
            }
            Action::RemoveMap { pin, id, .. } => {
                self.take_pin(number, pin, *id, ObjectKind::Map)?;
            }
            Action::RemoveDirectory { path } => {
                self.kernel.remove_directory(path).map_err(|error| match error.raw_os_error() {
                    Some(libc::ENOTEMPTY) => stale(format!("the folder `{path}` has something new in it")),
                    Some(libc::ENOENT) => stale(format!("the folder `{path}` is gone")),
                    _ => refused(format!("remove the folder `{path}`"), &error),
                })?;
                self.undo.push((number, Undo::RemovedDirectory(path.clone())));
            }
            Action::WriteRecord { pin, record, replaces } => self.write_record(number, pin, record, *replaces)?,
            Action::RemoveRecord { pin } => {
                let (_, fd) = self.open(pin)?;
                self.unpin(number, pin, fd)?;
            }
            // These were done when they were staged: nothing of them can be seen from outside.
            Action::ReuseMap { .. }
            | Action::FillMap { .. }
            | Action::FillSlots { .. }
            | Action::ReuseProgram { .. }
            | Action::ReuseLink { .. } => {}
        }
        Ok(())
    }

    /// Opens a pin that the plan saw.
    fn open(&self, pin: &PinPath) -> Result<(ObjectKind, K::Fd), Problem> {
        self.kernel.open_pin(pin).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => stale(format!("`{pin}` is gone")),
            _ => refused(format!("open the pin `{pin}`"), &error),
        })
    }

    /// Opens a pin and checks that it is still the object that the plan saw.
    fn open_expected(&self, pin: &PinPath, kind: ObjectKind, id: u32) -> Result<K::Fd, Problem> {
        let (found, fd) = self.open(pin)?;
        let now = match found {
            ObjectKind::Map => self.kernel.map_info(&fd).map(|info| info.id),
            ObjectKind::Program => self.kernel.program_info(&fd).map(|info| info.id),
            ObjectKind::Link => self.kernel.link_info(&fd).map(|info| info.id),
        };
        let now = now.map_err(|error| refused(format!("ask about the pin `{pin}`"), &error))?;
        if found != kind || now != id {
            return Err(stale(format!("`{pin}` was {kind} id {id}, and now is {found} id {now}")));
        }
        Ok(fd)
    }

    /// Opens what a new pin takes the place of.
    fn replaced(&self, pin: &PinPath, kind: ObjectKind, id: Option<u32>) -> Result<Option<K::Fd>, Problem> {
        id.map(|id| self.open_expected(pin, kind, id)).transpose()
    }

    /// Pins something new, in the place of `old` where there is one.
    fn put_pin(
        &mut self,
        number: usize,
        fd: &K::Fd,
        pin: &PinPath,
        kind: ObjectKind,
        old: Option<K::Fd>,
    ) -> Result<(), Problem> {
        let Some(old) = old else {
            self.kernel.pin(fd, pin).map_err(|error| match error.raw_os_error() {
                Some(libc::EEXIST) => stale(format!("`{pin}` is there already")),
                Some(libc::ENOENT) => stale(format!("the folder of `{pin}` is gone")),
                _ => refused(format!("pin the {kind} at `{pin}`"), &error),
            })?;
            self.undo.push((number, Undo::Pinned(pin.clone())));
            return Ok(());
        };
        let doing = || format!("replace the pin `{pin}`");
        let passing = undo::pin_passing(self.kernel, fd, pin).map_err(|error| refused(doing(), &error))?;
        self.undo.push((number, Undo::Pinned(passing.clone())));
        self.kernel.rename(&passing, pin).map_err(|error| refused(doing(), &error))?;
        self.undo.pop();
        self.undo.push((number, Undo::Replaced { pin: pin.clone(), old }));
        Ok(())
    }

    /// Pins a new link. From here on the way back detaches it: closing it does so, too, but only some time later.
    fn pin_link(&mut self, number: usize, link: K::Fd, pin: &PinPath, old: Option<K::Fd>) -> Result<(), Problem> {
        let pinned = self.put_pin(number, &link, pin, ObjectKind::Link, old);
        self.undo.push((number, Undo::Linked(link)));
        pinned
    }

    /// Takes a pin away, and returns what was pinned.
    fn take_pin(&mut self, number: usize, pin: &PinPath, id: u32, kind: ObjectKind) -> Result<K::Fd, Problem> {
        let fd = self.open_expected(pin, kind, id)?;
        let again = self.open_expected(pin, kind, id)?;
        self.unpin(number, pin, again)?;
        Ok(fd)
    }

    fn unpin(&mut self, number: usize, pin: &PinPath, fd: K::Fd) -> Result<(), Problem> {
        self.kernel.unpin(pin).map_err(|error| refused(format!("remove the pin `{pin}`"), &error))?;
        self.undo.push((number, Undo::Unpinned { pin: pin.clone(), fd }));
        Ok(())
    }

    /// Creates a link that is not pinned yet.
    fn create_link(&mut self, link: &DesiredLink, hook: &ResolvedHook) -> Result<K::Fd, Problem> {
        let program = self.programs.get(&link.program).expect("a link's program was staged before it");
        let doing = || format!("attach program.{} to {}", link.program, link.hook);
        let created = match (&link.hook, hook) {
            (Hook::Xdp { interface, mode }, ResolvedHook::Interface(Some(ifindex))) => {
                self.same_interface(interface, *ifindex)?;
                let request = HookRequest::Xdp { ifindex: *ifindex, mode: *mode };
                self.kernel.create_link(program, &request)
            }
            (Hook::Tc { interface, attach_type }, ResolvedHook::Interface(Some(ifindex))) => {
                self.same_interface(interface, *ifindex)?;
                let request = HookRequest::Tcx { ifindex: *ifindex, attach_type: *attach_type };
                self.kernel.create_link(program, &request)
            }
            (Hook::Cgroup { attach_type, .. }, ResolvedHook::Cgroup(Some((path, id)))) => {
                let (cgroup, now) = self.kernel.open_cgroup(path).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => stale(format!("the cgroup `{}` is gone", path.display())),
                    _ => refused(doing(), &error),
                })?;
                if now != *id {
                    return Err(stale(format!("the cgroup `{}` is another one now", path.display())));
                }
                let request = HookRequest::Cgroup { cgroup: &cgroup, attach_type: *attach_type };
                self.kernel.create_link(program, &request)
            }
            (Hook::Xdp { .. } | Hook::Tc { .. } | Hook::Cgroup { .. }, _) => {
                return Err(stale(format!("the plan of link.{} was made without the host", link.name)));
            }
        };
        created.map_err(|error| match (&link.hook, error.raw_os_error()) {
            // One XDP program fits on an interface, and the plan saw none.
            (Hook::Xdp { .. }, Some(libc::EBUSY | libc::EEXIST)) => {
                stale(format!("another program came to {}", link.hook))
            }
            _ => attach_refused(doing(), &link.hook, &error),
        })
    }

    /// Checks that the name still means the interface that the plan saw.
    fn same_interface(&self, name: &str, index: u32) -> Result<(), Problem> {
        let found = self.kernel.interface(name);
        match found.map_err(|error| refused(format!("look the interface `{name}` up"), &error))? {
            Some(found) if found.index == index => Ok(()),
            Some(_) => Err(stale(format!("the interface `{name}` is another one now"))),
            None => Err(stale(format!("the interface `{name}` is gone"))),
        }
    }

    fn attach(&mut self, number: usize, link: &DesiredLink, hook: &ResolvedHook) -> Result<(), Problem> {
        let fd = self.create_link(link, hook)?;
        self.pin_link(number, fd, &link.pin, None)
    }

    fn update_link(&mut self, number: usize, link: &DesiredLink, id: u32, old: u32) -> Result<(), Problem> {
        let fd = self.open_expected(&link.pin, ObjectKind::Link, id)?;
        let doing = || format!("replace program id {old} of link.{}", link.name);
        let old = self.kernel.program_by_id(old).map_err(|error| refused(doing(), &error))?;
        let new = self.programs.get(&link.program).expect("a link's program was staged before it");
        self.kernel.update_link(&fd, new, &old).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => stale(format!("link.{} runs another program than when the plan was made", link.name)),
            _ => refused(doing(), &error),
        })?;
        self.undo.push((number, Undo::Updated { link: fd, program: link.program.clone(), old }));
        Ok(())
    }

    /// Attaches at the new place, and lets the old link go when everything else is done.
    fn move_link(&mut self, number: usize, link: &DesiredLink, id: u32, hook: &ResolvedHook) -> Result<(), Problem> {
        let old = self.open_expected(&link.pin, ObjectKind::Link, id)?;
        let leaving = self.open_expected(&link.pin, ObjectKind::Link, id)?;
        let new = self.create_link(link, hook)?;
        self.pin_link(number, new, &link.pin, Some(old))?;
        self.leaving.push((number, leaving));
        Ok(())
    }

    /// Detaches, then attaches at the same hook: only one XDP program fits on an interface.
    fn swap_link(&mut self, number: usize, link: &DesiredLink, id: u32, hook: &ResolvedHook) -> Result<(), Problem> {
        let fd = self.open_expected(&link.pin, ObjectKind::Link, id)?;
        let doing = || format!("detach link.{}", link.name);
        let info = self.kernel.link_info(&fd).map_err(|error| refused(doing(), &error))?;
        let program = self.kernel.program_by_id(info.program_id).map_err(|error| refused(doing(), &error))?;
        let before = self.attached_before(link, info.program_id).map_err(|error| refused(doing(), &error))?;
        self.kernel.detach_link(&fd).map_err(|error| refused(doing(), &error))?;
        self.undo.push((number, Undo::Detached { pin: link.pin.clone(), program, before }));
        let new = self.create_link(link, hook)?;
        self.pin_link(number, new, &link.pin, Some(fd))
    }

    /// Returns the interface's index and the mode in which the program runs on it.
    fn attached_before(&self, link: &DesiredLink, program: u32) -> io::Result<Option<(u32, crate::kernel::XdpMode)>> {
        let Hook::Xdp { interface, .. } = &link.hook else { return Ok(None) };
        let found = self.kernel.interface(interface)?;
        Ok(found
            .and_then(|found| found.xdp.iter().find(|(_, id)| *id == program).map(|(mode, _)| (found.index, *mode))))
    }

    /// Writes the record with the ids as they are now, into a map of its own.
    fn write_record(&mut self, number: usize, pin: &PinPath, record: &Record, replaces: bool) -> Result<(), Problem> {
        let doing = || "write the record".to_owned();
        let record = self.finished(record).map_err(|error| refused(doing(), &error))?;
        let bytes = record.encode();
        let request = MapRequest {
            name: "bpfapply_record",
            map_type: MapType::ARRAY,
            key_size: 4,
            value_size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            max_entries: 1,
            flags: 0,
            numa_node: 0,
            map_extra: 0,
            inner: None,
            types: None,
            kernel_type: 0,
            module: None,
        };
        let map = self.kernel.create_map(&request).map_err(|error| refused(doing(), &error))?;
        self.kernel.update(&map, &0u32.to_ne_bytes(), &bytes).map_err(|error| refused(doing(), &error))?;
        let old = if replaces { Some(self.open(pin)?.1) } else { None };
        self.put_pin(number, &map, pin, ObjectKind::Map, old)
    }

    /// Fills in the ids of what this run made.
    fn finished(&self, record: &Record) -> io::Result<Record> {
        let mut record = record.clone();
        record.manifest.clone_from(&self.stamp.manifest);
        record.time = self.stamp.time;
        let made = |pin: &str| PinPath::new(pin).ok().and_then(|pin| self.made.get(&pin));
        for map in record.maps.values_mut().filter(|map| map.id == 0) {
            let Some(Pinned::Map(found)) = map.pin.as_deref().and_then(made) else { unreachable!("it was made") };
            map.id = found.info.id;
        }
        for program in record.programs.values_mut().filter(|program| program.id == 0) {
            let Some(Pinned::Program(found)) = made(&program.pin) else { unreachable!("it was made") };
            program.id = found.info.id;
        }
        for link in record.links.values_mut().filter(|link| link.id == 0) {
            let pin = PinPath::new(&link.pin).expect("a link's pin is a path");
            let (_, fd) = self.kernel.open_pin(&pin)?;
            link.id = self.kernel.link_info(&fd)?.id;
        }
        Ok(record)
    }

    /// Walks back what was committed, newest first, and notes how that went.
    fn undo_all(&mut self, steps: &mut [StepOutcome]) {
        self.leaving.clear();
        // What was only staged goes with its descriptors.
        for step in steps.iter_mut().filter(|step| step.status == Status::Done) {
            step.status = Status::Undone;
        }
        for (number, undo) in std::mem::take(&mut self.undo).into_iter().rev() {
            let status = match undo.run(self.kernel, &self.programs) {
                Ok(()) => Status::Undone,
                Err(error) => Status::CouldNotUndo(error.to_string()),
            };
            // One step may have several changes: the worst of them is what is said.
            match (&steps[number].status, &status) {
                (Status::CouldNotUndo(_), _) | (Status::Failed(_), Status::Undone) => {}
                (Status::Failed(why), Status::CouldNotUndo(and)) => {
                    steps[number].status = Status::CouldNotUndo(format!("{why}; {and}"));
                }
                _ => steps[number].status = status,
            }
        }
    }
}

/// Describes a map that was just made of its definition.
fn made_map(map: &DesiredMap, info: MapInfo) -> ObservedMap {
    let MapSource::Defined(definition) = &map.source else { unreachable!("only a map that we define is made") };
    let with_types = info.key_type_id != 0 || info.value_type_id != 0;
    let frozen_value = match &definition.data {
        Some((DataKind::Rodata, data)) => Some(data.to_vec()),
        Some((DataKind::Data | DataKind::Bss, _)) | None => None,
    };
    ObservedMap::new(info, definition.spec.types.clone().filter(|_| with_types), frozen_value)
}

fn fail(steps: &mut [StepOutcome], number: usize, problem: Problem) -> Problem {
    steps[number].status = Status::Failed(problem.kind.to_string());
    problem
}

fn refused(doing: String, error: &io::Error) -> Problem {
    kernel_problem(doing, error)
}

/// Makes a problem of a kernel's refusal.
fn kernel_problem(doing: String, error: &io::Error) -> Problem {
    let errno = error.raw_os_error().unwrap_or(0);
    let hint = match errno {
        libc::EPERM | libc::EACCES => Some(PRIVILEGES.to_owned()),
        libc::EMFILE => Some(OPEN_FILES.to_owned()),
        libc::ENOMEM => Some("the kernel has no memory for it: look at `max_entries` and value sizes".to_owned()),
        libc::E2BIG => Some("it is larger than this kernel allows: look at `max_entries` and sizes".to_owned()),
        _ => None,
    };
    Problem::new(Kind::Kernel { doing, errno, hint })
}

fn attach_refused(doing: String, hook: &Hook, error: &io::Error) -> Problem {
    let mut problem = kernel_problem(doing, error);
    if let Kind::Kernel { errno, hint, .. } = &mut *problem.kind {
        let since = match hook {
            Hook::Xdp { .. } => "XDP links came with Linux 5.9, and a driver must know the mode",
            Hook::Tc { .. } => "tcx came with Linux 6.6",
            Hook::Cgroup { .. } => "cgroup links came with Linux 5.7",
        };
        match *errno {
            libc::EINVAL | libc::EOPNOTSUPP => *hint = Some(since.to_owned()),
            libc::EBUSY | libc::EEXIST => *hint = Some("another program has the hook".to_owned()),
            _ => {}
        }
    }
    problem
}

/// The host is not as the plan saw it.
fn stale(what: String) -> Problem {
    Problem::new(Kind::Stale { what })
}

/// Returns the pin or the id by which a map that exists is found.
fn found_by(source: &MapSource) -> Result<&PinPath, u32> {
    match source {
        MapSource::Defined(definition) => Ok(&definition.pin),
        MapSource::Pinned(pin) => Ok(pin),
        MapSource::Id(id) => Err(*id),
    }
}
