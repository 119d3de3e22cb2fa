//! Reads a host's state into a file's worth of data: everything of it that is cheap, whoever's it is, since nobody knows
//! yet what a change may want. It only reads.

use super::observe::{BY_ID, OPEN_PIN, QUERY, READ, cgroups, existing, links, open_netns, refused, walk};
use super::{EntryKind, FilePlace, HookRequest, Kernel, LinkInfo, ObjectKind, contents};
use crate::access::AccountKind;
use crate::desired::{Event, Hook, Netns, Uprobe};
use crate::diag::Problem;
use crate::direct::{Device, Feature, Mark};
use crate::kinds::{AttachType, MapType};
use crate::names::{MapName, PinPath};
use crate::record::Record;
use crate::spec::{Host, flags};
use crate::state::{self, Hex, HookOwner, Hooks, HostState, SharedHook};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// More cgroups than these are not listed: each costs a question for each of its hooks.
const MOST_CGROUPS: usize = 20_000;

/// Maps whose entries are ids of programs and maps: how things hang together, and no contents.
const REFERENCES: &[MapType] = &[MapType::PROG_ARRAY, MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS];

/// What is to be in the file.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The bpffs that is read.
    pub bpffs: PinPath,
    /// Whether entries of maps are, but for those that are secret.
    pub contents: bool,
    /// Seconds since 1970.
    pub time: u64,
}

/// Reads the state of a host.
pub fn export<K: Kernel>(kernel: &K, asked: &Asked) -> Result<HostState, Problem> {
    let read = |error| refused("read the state of this host", &error, READ);
    let host = super::observe::host(kernel)?;
    let mount = kernel.cgroup_mount().map_err(read)?;
    let mut state = HostState {
        format: state::FORMAT,
        time: asked.time,
        uptime: kernel.uptime(),
        version: kernel.version().map_err(read)?,
        possible_cpus: host.possible_cpus,
        most_cpus: host.most_cpus,
        page_size: host.page_size,
        lacks: BTreeSet::new(),
        security_modules: existing(kernel.security_modules()).map_err(read)?,
        users: BTreeMap::new(),
        groups: BTreeMap::new(),
        bpffs: asked.bpffs.clone(),
        mounted: existing(kernel.is_bpffs(&asked.bpffs)).map_err(read)?.unwrap_or(false),
        files: BTreeMap::new(),
        maps: BTreeMap::new(),
        programs: BTreeMap::new(),
        links: BTreeMap::new(),
        types: BTreeMap::new(),
        namespaces: BTreeMap::new(),
        cgroup_mount: mount.as_ref().map(|mount| mount.display().to_string()),
        cgroups: BTreeMap::new(),
        all_cgroups: true,
        hooks: Hooks::default(),
        tracepoints: BTreeMap::new(),
        probes: Vec::new(),
        routes: Vec::new(),
    };
    for feature in [Feature::Tcx, Feature::XdpLinks, Feature::CgroupLinks] {
        let has = kernel.has(feature).map_err(|error| refused(format!("ask for {feature}"), &error, QUERY))?;
        state.lacks.extend((!has).then_some(feature));
    }
    let mut reader = Reader { kernel, host, contents: asked.contents, state };
    reader.programs_and_links().map_err(|error| refused("list the programs of this host", &error, BY_ID))?;
    if reader.state.mounted {
        reader.files().map_err(|error| refused(format!("read `{}`", asked.bpffs), &error, OPEN_PIN))?;
    }
    reader.of_records().map_err(read)?;
    let mut queues = Vec::new();
    reader.namespaces(&mut queues).map_err(|error| refused("look at the network interfaces", &error, QUERY))?;
    if let Some(mount) = mount {
        reader.cgroups(&mount, &mut queues).map_err(|error| refused("look at the cgroups", &error, QUERY))?;
    }
    reader.state.hooks = Hooks { lacks: reader.state.hooks.lacks, ..hooks(queues) };
    Ok(reader.state)
}

struct Reader<'a, K> {
    kernel: &'a K,
    host: Host,
    contents: bool,
    state: HostState,
}

impl<K: Kernel> Reader<'_, K> {
    fn programs_and_links(&mut self) -> io::Result<()> {
        let mut id = 0;
        while let Some(next) = existing(self.kernel.next_program(id))? {
            id = next;
            // It may be gone by now.
            if let Some(fd) = existing(self.kernel.program_by_id(id))? {
                self.program(&fd)?;
            }
        }
        for link in links(self.kernel) {
            self.link(link?);
        }
        Ok(())
    }

    fn program(&mut self, fd: &K::Fd) -> io::Result<u32> {
        let info = self.kernel.program_info(fd)?;
        let program = state::Program {
            r#type: info.program_type,
            tag: info.tag,
            name: info.name,
            map_ids: info.map_ids,
            btf_id: info.btf_id,
            load_time: info.load_time,
            verified_insns: info.verified_insns,
        };
        self.state.programs.insert(info.id, program);
        Ok(info.id)
    }

    fn link(&mut self, info: LinkInfo) -> u32 {
        let link = state::Link { program_id: info.program_id, hook: info.hook, is_attached: info.is_attached };
        self.state.links.insert(info.id, link);
        info.id
    }

    fn files(&mut self) -> io::Result<()> {
        let bpffs = self.state.bpffs.clone();
        for (path, entry) in walk(self.kernel, &bpffs)? {
            let inode = entry.inode;
            let file = match entry.kind {
                EntryKind::Folder => state::File::Folder { inode },
                EntryKind::Symlink => {
                    let target = self.kernel.read_symlink(&path)?;
                    let mark = Mark::parse(&target);
                    let programs = mark.map(|mark| self.kernel.programs_at(&mark.at)).transpose()?;
                    state::File::Symlink { inode, target, programs }
                }
                EntryKind::Pin => self.pin(&path, inode)?,
            };
            self.state.files.insert(path, file);
        }
        Ok(())
    }

    fn pin(&mut self, path: &PinPath, inode: u64) -> io::Result<state::File> {
        // The bpffs of some kernels has files of its own, which are no pins.
        let Ok((kind, fd)) = self.kernel.open_pin(path) else { return Ok(state::File::Other { inode }) };
        let (kind, id) = match kind {
            ObjectKind::Map => (state::PinKind::Map, self.map(&fd)?),
            ObjectKind::Program => {
                let id = self.program(&fd)?;
                self.types(self.state.programs[&id].btf_id)?;
                (state::PinKind::Program, id)
            }
            ObjectKind::Link => (state::PinKind::Link, self.link(self.kernel.link_info(&fd)?)),
        };
        let has = self.kernel.permissions(path)?;
        Ok(state::File::Pin { inode, kind, id, mode: has.mode, owner: has.owner, group: has.group })
    }

    fn types(&mut self, id: u32) -> io::Result<()> {
        if id != 0
            && !self.state.types.contains_key(&id)
            && let Some(bytes) = existing(self.kernel.btf(id))?
        {
            self.state.types.insert(id, Hex(bytes));
        }
        Ok(())
    }

    fn map(&mut self, fd: &K::Fd) -> io::Result<u32> {
        let info = self.kernel.map_info(fd)?;
        self.types(info.btf_id)?;
        let is_single = info.map_type == MapType::ARRAY && info.max_entries == 1;
        let is_section = is_single && info.flags & flags::RDONLY_PROG != 0;
        let frozen = is_section && self.kernel.is_frozen(fd)?;
        let value = match is_single {
            true => self.kernel.lookup(fd, &0u32.to_ne_bytes(), info.value_size as usize)?,
            false => None,
        };
        let record = value.as_deref().and_then(|bytes| Record::decode(bytes).ok()).map(without_secrets);
        let entries = match value {
            Some(value) if frozen => Some(vec![state::Entry { key: Hex(vec![0; 4]), value: Hex(value) }]),
            Some(_) if record.is_some() => None,
            _ if self.contents || REFERENCES.contains(&info.map_type) => self.entries(fd),
            _ => None,
        };
        let verdicts = self.verdicts(fd, info.map_type);
        let map = state::Map {
            r#type: info.map_type,
            key_size: info.key_size,
            value_size: info.value_size,
            max_entries: info.max_entries,
            flags: info.flags,
            map_extra: info.map_extra,
            name: info.name,
            btf_id: info.btf_id,
            key_type_id: info.key_type_id,
            value_type_id: info.value_type_id,
            frozen,
            verdicts,
            record,
            entries,
        };
        self.state.maps.insert(info.id, map);
        Ok(info.id)
    }

    /// Reads the entries of a map; `None` for one whose entries the kernel does not tell.
    fn entries(&self, fd: &K::Fd) -> Option<Vec<state::Entry>> {
        let entries = contents::live(self.kernel, fd, &self.host).ok()?;
        let entry = |(key, value): (&[u8], &[u8])| state::Entry { key: Hex(key.to_vec()), value: Hex(value.to_vec()) };
        Some(entries.iter().map(entry).collect())
    }

    fn verdicts(&self, fd: &K::Fd, map_type: MapType) -> Vec<state::Verdict> {
        if !matches!(map_type, MapType::SOCKMAP | MapType::SOCKHASH) {
            return Vec::new();
        }
        let of = |attach_type| {
            let programs = self.kernel.query(&HookRequest::Sockmap { map: fd, attach_type }).ok()?;
            Some(state::Verdict { attach_type, programs })
        };
        AttachType::OF_SOCKMAPS.into_iter().filter_map(of).collect()
    }

    /// Reads what records name beyond pins: maps by id, users and groups, and what links are on that nobody lists. Secret
    /// entries are taken out.
    fn of_records(&mut self) -> io::Result<()> {
        let records = self.state.maps.values().filter_map(|map| map.record.as_ref());
        let records: Vec<Record> = records.filter_map(|record| serde_json::from_value(record.clone()).ok()).collect();
        for record in &records {
            for id in record.maps.values().filter_map(|map| map.id) {
                if let Some(fd) = existing(self.kernel.map_by_id(id))? {
                    self.map(&fd)?;
                }
            }
            for link in record.links.values() {
                self.hook(&link.hook)?;
            }
            for (kind, name) in record.accesses().flat_map(|(_, _, access)| access.names()) {
                if let Some(number) = self.kernel.account(kind, name)? {
                    let known = match kind {
                        AccountKind::User => &mut self.state.users,
                        AccountKind::Group => &mut self.state.groups,
                    };
                    known.insert(name.to_owned(), number);
                }
            }
            // In whichever generation: rather one map too many than one too few.
            let names = secret_pins(record, &self.state.bpffs);
            // No name has a `~`: what is behind it says which copy that is.
            self.hide(|path| path.file_name().split('~').next().is_some_and(|name| names.contains(name)));
        }
        self.hide_unknown();
        Ok(())
    }

    /// Takes the entries of everything out that is pinned beside a record of another version: nobody knows what is secret.
    fn hide_unknown(&mut self) {
        let is_unread = |id: &u32| self.state.maps.get(id).is_some_and(|map| map.record.is_none());
        let folder = |(path, file): (&PinPath, &state::File)| {
            let state::File::Pin { kind: state::PinKind::Map, id, .. } = file else { return None };
            if path.file_name() == "record" && is_unread(id) { path.parent() } else { None }
        };
        let folders: BTreeSet<PinPath> = self.state.files.iter().filter_map(folder).collect();
        self.hide(|path| folders.iter().any(|folder| path.is_below(folder)));
    }

    /// Takes the entries of maps out by the paths of their pins.
    fn hide(&mut self, is_hidden: impl Fn(&PinPath) -> bool) {
        for (path, file) in &self.state.files {
            if let state::File::Pin { kind: state::PinKind::Map, id, .. } = file
                && is_hidden(path)
                && let Some(map) = self.state.maps.get_mut(id)
            {
                map.entries = None;
            }
        }
    }

    /// Reads what a hook of ours is on where that cannot be listed.
    fn hook(&mut self, hook: &Hook) -> io::Result<()> {
        if let Hook::Lwt { interface, netns, route, .. } = hook
            && let Some(found) = super::observe::interface(self.kernel, interface, netns)?
        {
            let device = Device { netns: netns.clone(), inode: found.netns, ifindex: found.index };
            let (place, routes) = (route.place, self.kernel.routes(&device, &route.place)?);
            self.state.routes.push(state::Routes { netns: found.netns, index: found.index, place, routes });
        }
        if let Some(Event::Tracepoint { category, name }) = hook.event()
            && let Ok(id) = self.kernel.tracepoint(category, name)
        {
            self.state.tracepoints.insert(format!("{category}/{name}"), id);
        }
        if let Some(Event::Uprobe(Uprobe { binary, symbol, .. })) = hook.event()
            && let Ok(FilePlace { device, inode, offset }) = self.kernel.place_in_file(binary, symbol.as_deref())
        {
            let (binary, symbol) = (binary.clone(), symbol.clone());
            self.state.probes.push(state::Probe { binary, symbol, device, inode, offset });
        }
        Ok(())
    }

    fn namespaces(&mut self, queues: &mut Vec<SharedHook>) -> io::Result<()> {
        let named = self.kernel.named_netns()?.into_iter().map(Netns::named);
        for netns in std::iter::once(Netns::OWN).chain(named) {
            let Some((fd, inode)) = open_netns(self.kernel, &netns)? else { continue };
            let mut found = state::Namespace { inode, ..state::Namespace::default() };
            let dissects = HookRequest::Netns { netns: &fd, attach_type: AttachType::FLOW_DISSECTOR };
            found.dissectors = match self.kernel.query(&dissects) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Vec::new(),
                there => there?,
            };
            for name in self.kernel.interfaces_in(&fd)? {
                let Some(there) = self.kernel.interface_in(&fd, &name)? else { continue };
                let device = Device { netns: netns.clone(), inode, ifindex: there.index };
                let xdp = there.xdp.iter().map(|(mode, id)| state::Xdp { mode: *mode, program_id: *id }).collect();
                let interface = state::Interface {
                    index: there.index,
                    peer: there.peer,
                    other_names: self.kernel.other_names(&fd, &name)?,
                    xdp,
                    qdisc: self.kernel.qdisc(&device)?,
                };
                found.interfaces.insert(name, interface);
                for attach_type in [AttachType::TCX_INGRESS, AttachType::TCX_EGRESS] {
                    let hook = HookRequest::Tcx { ifindex: there.index, attach_type };
                    let queue = match netns.is_own() {
                        true => self.kernel.queue(&hook),
                        false => self.kernel.queue(&HookRequest::Within { netns: &fd, hook: &hook }),
                    };
                    // A kernel without tcx says so to each.
                    let Ok(queue) = queue else { continue };
                    let of = HookOwner::Interface { netns: inode, index: there.index };
                    queues.push(shared(of, attach_type, queue));
                }
            }
            self.state.namespaces.insert(netns.path().display().to_string(), found);
        }
        Ok(())
    }

    fn cgroups(&mut self, mount: &Path, queues: &mut Vec<SharedHook>) -> io::Result<()> {
        let mut kinds: Vec<AttachType> = AttachType::of_cgroups().collect();
        for found in cgroups(self.kernel, mount) {
            if self.state.cgroups.len() >= MOST_CGROUPS {
                self.state.all_cgroups = false;
                break;
            }
            let (path, cgroup, id) = found?;
            for attach_type in std::mem::take(&mut kinds) {
                let queue = self.kernel.queue(&HookRequest::Cgroup { cgroup: &cgroup, attach_type });
                match queue {
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                        self.state.hooks.lacks.insert(attach_type);
                        continue;
                    }
                    // It may be gone by now.
                    queue => queues.extend(queue.ok().map(|it| shared(HookOwner::Cgroup { id }, attach_type, it))),
                }
                kinds.push(attach_type);
            }
            self.state.cgroups.insert(path.display().to_string(), id);
        }
        Ok(())
    }
}

/// Writes a record; of what is secret it says where that lies, and zeros for what it is.
fn without_secrets(mut record: Record) -> serde_json::Value {
    let secret = record.maps.values_mut().filter(|map| map.sensitive);
    for variable in secret.flat_map(|map| map.variables.values_mut()) {
        variable.set.value.fill(0);
        variable.first.fill(0);
    }
    serde_json::to_value(&record).expect("a record has only strings and numbers, which JSON always takes")
}

/// Returns the names of the pins of secret maps, and of those that keep what they hold or held.
fn secret_pins(record: &Record, bpffs: &PinPath) -> BTreeSet<String> {
    let secret = record.maps.iter().filter(|(_, map)| map.sensitive);
    let names = secret.flat_map(|(name, map)| {
        let pin = map.pin.as_ref().and_then(|pin| pin.rsplit('/').next()).map(str::to_owned);
        let kept = MapName::recorded(name).map(|name| bpffs.owned_entries(&name).file_name().to_owned());
        pin.into_iter().chain(kept)
    });
    names.collect()
}

fn shared(of: HookOwner, attach_type: AttachType, queue: super::Queue) -> SharedHook {
    let on_hook = |it: super::Occupant| state::OnHook { program_id: it.program_id, link_id: it.link_id };
    let programs = queue.there.into_iter().map(on_hook).collect();
    SharedHook { of, attach_type, revision: queue.revision, programs }
}

/// Leaves those out that have nothing to tell: without a program, and of the revision that most have.
fn hooks(all: Vec<SharedHook>) -> Hooks {
    let least = |is_tcx: bool| {
        let same = all.iter().filter(|hook| matches!(hook.of, HookOwner::Interface { .. }) == is_tcx);
        same.map(|hook| hook.revision).min().unwrap_or(0)
    };
    let (tcx_revision, cgroup_revision) = (least(true), least(false));
    let says_more = |hook: &SharedHook| {
        let usual = match hook.of {
            HookOwner::Interface { .. } => tcx_revision,
            HookOwner::Cgroup { .. } => cgroup_revision,
        };
        !hook.programs.is_empty() || hook.revision != usual
    };
    let shared = all.into_iter().filter(says_more).collect();
    Hooks { tcx_revision, cgroup_revision, lacks: BTreeSet::new(), shared }
}
