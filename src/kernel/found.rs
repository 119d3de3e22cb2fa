//! Finds what runs on this host, for `import`: a deployment of ours, or all that is nobody's. It only reads.

use super::observe::{self, BY_ID, READ, Rest, existing, marked, refused, rest, walk};
use super::status::deployments;
use super::{EntryKind, HookRequest, Kernel, ObjectKind};
use crate::desired::{Hook, Netns};
use crate::diag::Problems;
use crate::direct::{ALL_PROTOCOLS, Device, Direct, Filter, Via, Wish};
use crate::draft::import::{Attached, Effect, Found, FoundMap, FoundProgram};
use crate::kinds::{AttachType, XdpMode};
use crate::manifest::protocol_name;
use crate::names::PinPath;
use crate::observed::{HookInfo, Interface, LinkInfo, Root};
use crate::record::Record;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Finds what a deployment has; `None` when there is none of that folder of pins.
pub fn deployment<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Result<Option<Found>, Problems> {
    let Rest { root, record, .. } = rest(kernel, pin_root)?;
    let Root::Generation(generation) = root else { return Ok(None) };
    // One that cannot be read says nothing: then the pins have to.
    let record = record.ok().flatten();
    let doing = |error: io::Error| refused(format!("read the pins below `{pin_root}`"), &error, READ);
    let mut finder = Finder::new(kernel);
    for (path, entry) in walk(kernel, &generation).map_err(doing)? {
        let Some(place) = path.from_generation(pin_root, &generation) else { continue };
        if entry.kind == EntryKind::Folder || place == pin_root.join("record") {
            continue;
        }
        finder.look(&path, &place, pin_root.join("links").as_str()).map_err(doing)?;
    }
    if let Some(record) = &record {
        finder.foreign_maps(record).map_err(doing)?;
        finder.found.attached = recorded_links(record);
    }
    finder.found.deployment = Some((pin_root.clone(), record));
    Ok(Some(finder.found))
}

/// Returns the links of a deployment as its manifest said them: of a table with several interfaces one.
fn recorded_links(record: &Record) -> Vec<Attached> {
    let mut seen = BTreeSet::new();
    let links = record.links.iter().filter_map(|(name, link)| {
        let table = name.split('[').next().unwrap_or(name);
        let template = record.templates.get(table);
        let hook = template.map_or(&link.hook, |template| &template.hook);
        let interfaces = template.map(|template| template.interfaces.clone()).unwrap_or_default();
        seen.insert(table).then(|| Attached {
            name: table.to_owned(),
            program_id: link.program_id,
            hook: Some((hook.clone(), interfaces)),
            words: hook.to_string(),
            effect: Effect::None,
        })
    });
    links.collect()
}

/// Finds what no deployment has: pins below a bpffs, links, and programs that are attached without one.
pub fn others<K: Kernel>(kernel: &K, bpffs: &PinPath) -> Result<Found, Problems> {
    let roots = deployments(kernel, bpffs)?;
    let doing = |error: io::Error| refused(format!("read the pins below `{bpffs}`"), &error, READ);
    let mut ours = Finder::new(kernel);
    let mut finder = Finder::new(kernel);
    for (path, entry) in walk(kernel, bpffs).map_err(doing)? {
        let is_ours = roots.iter().any(|root| {
            let rest = path.as_str().strip_prefix(root.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '~']))
        });
        if entry.kind == EntryKind::Pin {
            let finder = if is_ours { &mut ours } else { &mut finder };
            finder.look(&path, &path, "").map_err(doing)?;
        }
    }
    finder.ours = ours.found.programs.into_keys().collect();
    finder.links().map_err(|error| refused("list the links of this host", &error, BY_ID))?;
    finder.interfaces().map_err(|error| refused("look at the interfaces", &error, READ))?;
    finder.cgroups().map_err(|error| refused("look at the cgroups", &error, READ))?;
    finder.attached_programs();
    Ok(finder.found)
}

/// Reads the values of read-only data sections by the ids of their maps. Only such may be opened by id.
pub fn read_constants<K: Kernel>(kernel: &K, found: &mut Found, sections: &BTreeSet<u32>) {
    for id in sections {
        let map = found.maps.entry(*id).or_insert(FoundMap { info: None, pin: None, value: None });
        map.value = constants(kernel, *id).ok().flatten();
    }
}

fn constants<K: Kernel>(kernel: &K, id: u32) -> io::Result<Option<Vec<u8>>> {
    let fd = kernel.map_by_id(id)?;
    let info = kernel.map_info(&fd)?;
    kernel.lookup(&fd, &0_u32.to_ne_bytes(), info.value_size as usize)
}

struct Finder<'a, K> {
    kernel: &'a K,
    found: Found,
    /// Programs of deployments.
    ours: BTreeSet<u32>,
    /// All cgroups by their ids, once somebody asked.
    cgroups: OnceCell<BTreeMap<u64, PathBuf>>,
}

impl<'a, K: Kernel> Finder<'a, K> {
    fn new(kernel: &'a K) -> Self {
        Self { kernel, found: Found::default(), ours: BTreeSet::new(), cgroups: OnceCell::new() }
    }

    /// Takes what is pinned at a path; a manifest would say `place`. Links count below one folder only.
    fn look(&mut self, path: &PinPath, place: &PinPath, links: &str) -> io::Result<()> {
        let opened = match marked(self.kernel, path)? {
            Some(link) => return self.own_link(&link, place, links),
            None => existing(self.kernel.open_pin(path))?,
        };
        match opened {
            Some((ObjectKind::Map, fd)) => {
                let info = self.kernel.map_info(&fd)?;
                let known = FoundMap { info: Some(info.clone()), pin: Some(place.clone()), value: None };
                self.found.maps.entry(info.id).or_insert(known);
            }
            Some((ObjectKind::Program, fd)) => {
                let info = self.kernel.program_info(&fd)?;
                let known = FoundProgram { info, pin: Some(place.clone()), origin: None };
                self.found.programs.entry(known.info.id).or_insert(known);
            }
            Some((ObjectKind::Link, fd)) => {
                let link = self.kernel.link_info(&fd)?;
                self.own_link(&link, place, links)?;
            }
            None => {}
        }
        Ok(())
    }

    /// Takes a link of a deployment that has no record.
    fn own_link(&mut self, link: &LinkInfo, place: &PinPath, links: &str) -> io::Result<()> {
        let Some(name) = place.as_str().strip_prefix(links).filter(|_| !links.is_empty()) else { return Ok(()) };
        let name = name.trim_start_matches('/').to_owned();
        self.attach(name, link, Effect::None)
    }

    fn attach(&mut self, name: String, link: &LinkInfo, effect: Effect) -> io::Result<()> {
        let is_here = self.is_here(link)?;
        let hook = if is_here { self.hook(&link.hook)? } else { None };
        let hook = hook.map(|hook| (hook, Vec::new()));
        let by = if link.id == 0 { String::new() } else { format!(", link id {}", link.id) };
        let elsewhere = if is_here { "" } else { " of another network namespace" };
        let words = format!("{}{elsewhere}, program id {}{by}", link.hook, link.program_id);
        self.found.attached.push(Attached { name, program_id: link.program_id, hook, words, effect });
        Ok(())
    }

    /// Returns whether a link is in this network namespace, as far as that can be known: its interface has an index there,
    /// which one of another namespace may have as well.
    fn is_here(&self, link: &LinkInfo) -> io::Result<bool> {
        match &link.hook {
            HookInfo::Xdp { ifindex } => {
                let Some(name) = self.kernel.interface_name(*ifindex)? else { return Ok(false) };
                let found = self.kernel.interface(&name)?;
                Ok(found.is_some_and(|found| found.xdp.iter().any(|(_, id)| *id == link.program_id)))
            }
            HookInfo::Tcx { ifindex, attach_type } => {
                let there = self.kernel.queue(&HookRequest::Tcx { ifindex: *ifindex, attach_type: *attach_type });
                Ok(there.is_ok_and(|queue| queue.there.iter().any(|it| it.link_id == Some(link.id))))
            }
            HookInfo::Netns { inode, .. } => {
                let own = observe::open_netns(self.kernel, &Netns::OWN)?;
                Ok(own.is_some_and(|(_, own)| own == *inode))
            }
            HookInfo::Netkit { .. }
            | HookInfo::Cgroup { .. }
            | HookInfo::Netfilter(_)
            | HookInfo::Sockmap { .. }
            | HookInfo::Event(_)
            | HookInfo::StructOps { .. }
            | HookInfo::Direct(_)
            | HookInfo::Other(_) => Ok(true),
        }
    }

    /// Takes the maps of others that a deployment uses.
    fn foreign_maps(&mut self, record: &Record) -> io::Result<()> {
        let foreign = record.maps.values().filter(|map| !map.created).filter_map(|map| map.pin.as_deref());
        for pin in foreign.filter_map(|pin| PinPath::new(pin).ok()) {
            self.look(&pin, &pin, "")?;
        }
        Ok(())
    }

    /// Takes every link that runs no program of ours.
    fn links(&mut self) -> io::Result<()> {
        for link in observe::links(self.kernel) {
            let link = link?;
            let is_ours = self.ours.contains(&link.program_id) || matches!(link.hook, HookInfo::StructOps { .. });
            if link.is_attached && !is_ours {
                let has_room_for_one = match &link.hook {
                    HookInfo::Xdp { .. } | HookInfo::Netfilter(_) => true,
                    HookInfo::Netns { attach_type, .. } => *attach_type == AttachType::FLOW_DISSECTOR,
                    HookInfo::Tcx { .. }
                    | HookInfo::Netkit { .. }
                    | HookInfo::Cgroup { .. }
                    | HookInfo::Sockmap { .. }
                    | HookInfo::Event(_)
                    | HookInfo::StructOps { .. }
                    | HookInfo::Direct(_)
                    | HookInfo::Other(_) => false,
                };
                let effect = if has_room_for_one { Effect::Blocked } else { Effect::Beside };
                self.attach(format!("link_{}", link.id), &link, effect)?;
            }
        }
        Ok(())
    }

    /// Takes what netlink attached to the interfaces of this network namespace.
    fn interfaces(&mut self) -> io::Result<()> {
        let Some((netns, _)) = observe::open_netns(self.kernel, &Netns::OWN)? else { return Ok(()) };
        for name in self.kernel.interfaces_in(&netns)? {
            let Some(interface) = self.kernel.interface(&name)? else { continue };
            self.xdp(&name, &interface)?;
            self.filters(&name, &interface)?;
        }
        Ok(())
    }

    fn xdp(&mut self, name: &str, Interface { netns, index, xdp, .. }: &Interface) -> io::Result<()> {
        let device = Device { netns: Netns::OWN, inode: *netns, ifindex: *index };
        for (mode, program_id) in xdp {
            let by_link = |attached: &Attached| {
                let is_there = matches!(&attached.hook, Some((Hook::Xdp { interface, .. }, _)) if interface == name);
                is_there && attached.program_id == *program_id
            };
            if !self.ours.contains(program_id) && !self.found.attached.iter().any(by_link) {
                let at = Direct::Xdp { device: device.clone(), mode: *mode };
                self.attach_direct(format!("{name}_xdp"), *program_id, at, Effect::TakesOver)?;
            }
        }
        Ok(())
    }

    fn filters(&mut self, name: &str, Interface { netns, index, .. }: &Interface) -> io::Result<()> {
        let device = Device { netns: Netns::OWN, inode: *netns, ifindex: *index };
        let Some(qdisc) = self.kernel.qdisc(&device)? else { return Ok(()) };
        for filter in qdisc.filters {
            let Some(program_id) = filter.program_id.filter(|id| !self.ours.contains(id)) else { continue };
            let wish = Wish {
                priority: Some(filter.priority),
                handle: Some(filter.handle),
                protocol: Some(filter.protocol),
                chain: Some(filter.chain),
            };
            let at = Direct::Filter(wish.filter(device.clone(), filter.attach_type, filter.handle, false));
            let effect = if filter.direct_action { Effect::TakesOver } else { Effect::Blocked };
            let way = if filter.attach_type == AttachType::TCX_EGRESS { "egress" } else { "ingress" };
            self.attach_direct(format!("{name}_{way}"), program_id, at, effect)?;
        }
        Ok(())
    }

    /// Takes programs of cgroups that no link runs.
    fn cgroups(&mut self) -> io::Result<()> {
        let Some(mount) = self.kernel.cgroup_mount()? else { return Ok(()) };
        for found in observe::cgroups(self.kernel, &mount) {
            let (path, cgroup, cgroup_id) = found?;
            for attach_type in AttachType::of_cgroups() {
                let request = HookRequest::Cgroup { cgroup: &cgroup, attach_type };
                // This kernel may not have the hook.
                let there = self.kernel.query(&request).unwrap_or_default();
                let shown = below(&mount, &path);
                for program_id in there {
                    let by_link = |attached: &Attached| {
                        attached.program_id == program_id
                            && matches!(&attached.hook, Some((Hook::Cgroup { path, attach_type: of, via: None }, _))
                                if *path == shown && *of == attach_type)
                    };
                    if !self.ours.contains(&program_id) && !self.found.attached.iter().any(by_link) {
                        let at = Direct::Cgroup { path: path.clone(), cgroup_id, attach_type };
                        let name = path.file_name().map_or_else(|| "root".into(), |name| name.to_string_lossy());
                        self.attach_direct(format!("{name}_{attach_type}"), program_id, at, Effect::Beside)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn attach_direct(&mut self, name: String, program_id: u32, at: Direct, effect: Effect) -> io::Result<()> {
        let link = LinkInfo { id: 0, program_id, hook: HookInfo::Direct(at), is_attached: true };
        self.attach(name, &link, effect)
    }

    /// Takes the programs that are attached and not pinned.
    fn attached_programs(&mut self) {
        for attached in &self.found.attached {
            let id = attached.program_id;
            if self.found.programs.contains_key(&id) {
                continue;
            }
            if let Some(info) = observe::program(self.kernel, id) {
                self.found.programs.insert(id, FoundProgram { info, pin: None, origin: None });
            }
        }
    }

    /// Returns a hook as a manifest says it; `None` where nobody knows it by the name that a manifest has.
    fn hook(&self, hook: &HookInfo) -> io::Result<Option<Hook>> {
        let name = |index: u32| self.kernel.interface_name(index);
        Ok(match hook {
            HookInfo::Xdp { ifindex } => {
                let of = |interface| Hook::Xdp { interface, netns: Netns::OWN, mode: XdpMode::Auto, via: None };
                name(*ifindex)?.map(of)
            }
            HookInfo::Tcx { ifindex, attach_type } => name(*ifindex)?.map(|interface| Hook::Tc {
                interface,
                netns: Netns::OWN,
                attach_type: *attach_type,
                via: None,
                wish: Wish::default(),
            }),
            HookInfo::Cgroup { cgroup_id, attach_type } => {
                self.cgroup_path(*cgroup_id)?.map(|path| Hook::Cgroup { path, attach_type: *attach_type, via: None })
            }
            HookInfo::Netns { attach_type, .. } => Some(Hook::Netns { netns: Netns::OWN, attach_type: *attach_type }),
            HookInfo::Netfilter(hook) => Some(Hook::Netfilter { hook: *hook, netns: Netns::OWN }),
            HookInfo::Direct(direct) => self.direct_hook(direct)?,
            // Of these the kernel does not say all that a manifest does.
            HookInfo::Netkit { .. }
            | HookInfo::Sockmap { .. }
            | HookInfo::Event(_)
            | HookInfo::StructOps { .. }
            | HookInfo::Other(_) => None,
        })
    }

    fn direct_hook(&self, direct: &Direct) -> io::Result<Option<Hook>> {
        let via = Some(Via::Direct);
        let name = |device: &Device| self.kernel.interface_name(device.ifindex);
        Ok(match direct {
            Direct::Xdp { device, mode } => {
                name(device)?.map(|interface| Hook::Xdp { interface, netns: Netns::OWN, mode: *mode, via })
            }
            Direct::Filter(filter) if protocol_name(filter.protocol).is_none() => None,
            Direct::Filter(filter) => {
                let Filter { device, attach_type, chain, priority, protocol, handle, owns_qdisc: _ } = filter;
                let wish = Wish {
                    priority: Some(*priority),
                    handle: Some(*handle),
                    protocol: Some(*protocol).filter(|protocol| *protocol != ALL_PROTOCOLS),
                    chain: Some(*chain).filter(|chain| *chain != 0),
                };
                let of = |interface| Hook::Tc { interface, netns: Netns::OWN, attach_type: *attach_type, via, wish };
                name(device)?.map(of)
            }
            Direct::Cgroup { path, attach_type, .. } => {
                let Some(mount) = self.kernel.cgroup_mount()? else { return Ok(None) };
                Some(Hook::Cgroup { path: below(&mount, path), attach_type: *attach_type, via })
            }
            Direct::Route(_) => None,
        })
    }

    /// Finds a cgroup by its id.
    fn cgroup_path(&self, id: u64) -> io::Result<Option<String>> {
        let Some(mount) = self.kernel.cgroup_mount()? else { return Ok(None) };
        let known = match self.cgroups.get() {
            Some(known) => known,
            None => {
                let all = observe::cgroups(self.kernel, &mount).map(|found| found.map(|(path, _, id)| (id, path)));
                let all = all.collect::<io::Result<_>>()?;
                self.cgroups.get_or_init(|| all)
            }
        };
        Ok(known.get(&id).map(|path| below(&mount, path)))
    }
}

/// Returns a cgroup as a manifest names it, below the mount: `system.slice`, and `/` for the mount itself.
fn below(mount: &Path, path: &Path) -> String {
    match path.strip_prefix(mount) {
        Ok(rest) if rest.as_os_str().is_empty() => "/".to_owned(),
        Ok(rest) => rest.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}
