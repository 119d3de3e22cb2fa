//! Attachments without a kernel link: filters of clsact, XDP by netlink, programs of cgroups beside others,
//! routes with programs.

use super::{OWN_NETNS, Site, State, errno, fits_cgroup, refuse};
use crate::direct::{Device, Direct, Filter, FilterInfo, Qdisc};
use crate::kinds::{AttachType, ProgramType, XdpMode};
use crate::route::{RouteInfo, RoutePlace};
use std::collections::BTreeMap;
use std::io;

/// What is attached without links.
#[derive(Debug, Default)]
pub struct Attachments {
    /// The places with their programs, in the order in which they came.
    there: Vec<(Direct, u32)>,
    /// The qdiscs clsact and ingress by their interface, and whether they have egress.
    qdiscs: BTreeMap<Site, bool>,
}

/// Returns whether it is that interface.
fn is_on(device: &Device, (netns, ifindex): Site) -> bool {
    let inode = if device.netns.is_own() { OWN_NETNS } else { device.inode };
    (inode, device.ifindex) == (netns, ifindex)
}

impl Attachments {
    /// Returns the programs, which attachments keep alive.
    pub fn programs(&self) -> impl Iterator<Item = u32> + '_ {
        self.there.iter().map(|(_, program)| *program)
    }

    /// Returns the XDP programs of an interface, with their modes.
    pub fn xdp(&self, site: Site) -> impl Iterator<Item = (XdpMode, u32)> + '_ {
        self.there.iter().filter_map(move |(at, program)| match at {
            Direct::Xdp { device, mode } if is_on(device, site) => Some((*mode, *program)),
            Direct::Xdp { .. } | Direct::Filter(_) | Direct::Cgroup { .. } | Direct::Route(_) => None,
        })
    }

    /// Returns the programs of a cgroup's hook.
    pub fn of_cgroup(&self, id: u64, hook: AttachType) -> impl Iterator<Item = u32> + '_ {
        self.there.iter().filter_map(move |(at, program)| match at {
            Direct::Cgroup { cgroup_id, attach_type, .. } if (*cgroup_id, *attach_type) == (id, hook) => Some(*program),
            Direct::Xdp { .. } | Direct::Filter(_) | Direct::Cgroup { .. } | Direct::Route(_) => None,
        })
    }

    /// Returns the routes at a place.
    pub fn routes(&self, device: &Device, place: &RoutePlace) -> Vec<RouteInfo> {
        let route = |(at, program): &(Direct, u32)| match at {
            Direct::Route(route) if route.device.inode == device.inode && route.wish.place == *place => {
                Some(RouteInfo { place: *place, words: "a route".to_owned(), program_id: Some(*program) })
            }
            Direct::Xdp { .. } | Direct::Filter(_) | Direct::Cgroup { .. } | Direct::Route(_) => None,
        };
        self.there.iter().filter_map(route).collect()
    }

    /// Forgets what is on an interface that goes.
    pub fn forget_interface(&mut self, site: Site) {
        self.there.retain(|(at, _)| !at.device().is_some_and(|device| is_on(device, site)));
        self.qdiscs.remove(&site);
    }

    /// Forgets what is on a cgroup that goes.
    pub fn forget_cgroup(&mut self, id: u64) {
        self.there.retain(|(at, _)| !matches!(at, Direct::Cgroup { cgroup_id, .. } if *cgroup_id == id));
    }

    /// Writes a line for each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.there.iter().map(|(at, program)| format!("program {program} at {at:?}")).collect();
        lines.sort();
        lines.extend(self.qdiscs.iter().map(|(site, has_egress)| format!("qdisc of {site:?}, {has_egress}")));
        lines
    }

    /// Makes clsact, unless there is one; both exclude each other.
    pub fn make_clsact(&mut self, site: Site) {
        self.qdiscs.entry(site).or_insert(true);
    }

    /// Removes clsact with its filters.
    pub fn remove_clsact(&mut self, site: Site) -> io::Result<()> {
        self.there.retain(|(at, _)| !matches!(at, Direct::Filter(filter) if is_on(&filter.device, site)));
        self.qdiscs.remove(&site).map(drop).ok_or_else(|| errno(libc::ENOENT))
    }

    /// Returns the filters of an interface.
    pub fn qdisc(&self, site: Site) -> Option<Qdisc> {
        let has_egress = *self.qdiscs.get(&site)?;
        let filter = |(at, program): &(Direct, u32)| match at {
            Direct::Filter(filter) if is_on(&filter.device, site) => Some(FilterInfo {
                attach_type: filter.attach_type,
                chain: filter.chain,
                priority: filter.priority,
                protocol: filter.protocol,
                handle: filter.handle,
                kind: "bpf".to_owned(),
                program_id: Some(*program),
                direct_action: true,
            }),
            Direct::Filter(_) | Direct::Xdp { .. } | Direct::Cgroup { .. } | Direct::Route(_) => None,
        };
        // Of one priority, the newest comes first (`cls_bpf_change`).
        let mut filters: Vec<_> = self.there.iter().rev().filter_map(filter).collect();
        filters.sort_by_key(|it| (it.attach_type, it.chain, it.priority));
        Some(Qdisc { has_egress, filters })
    }
}

impl State {
    /// Attaches a program, or puts it in the place of another one.
    pub fn attach(&mut self, program: u32, at: &Direct, replaces: Option<u32>) -> io::Result<()> {
        let at = self.direct_place(program, at)?;
        let there = self.direct.there.iter().position(|(other, program)| match at {
            Direct::Cgroup { .. } => other.is_at(&at) && Some(*program) == replaces,
            Direct::Filter(_) | Direct::Xdp { .. } | Direct::Route(_) => other.is_at(&at),
        });
        match (there, replaces) {
            (None, None) => self.direct.there.push((at.clone(), program)),
            (Some(place), Some(_)) if matches!(at, Direct::Filter(_)) => self.direct.there[place].1 = program,
            (Some(place), Some(old)) if self.direct.there[place].1 == old => self.direct.there[place].1 = program,
            (Some(_), None) if matches!(at, Direct::Xdp { .. }) => return refuse(libc::EBUSY),
            (None, Some(_)) if !matches!(at, Direct::Xdp { .. }) => return refuse(libc::ENOENT),
            (..) => return refuse(libc::EEXIST),
        }
        self.count_direct(&at);
        self.collect();
        Ok(())
    }

    /// Detaches a program; a filter goes whatever it runs.
    pub fn detach(&mut self, program: u32, at: &Direct) -> io::Result<()> {
        let is_it = |(other, there): &(Direct, u32)| match at {
            Direct::Filter(_) => other.is_at(at),
            Direct::Xdp { .. } | Direct::Cgroup { .. } | Direct::Route(_) => other.is_at(at) && *there == program,
        };
        let Some(place) = self.direct.there.iter().position(is_it) else {
            return refuse(if matches!(at, Direct::Xdp { .. }) { libc::EEXIST } else { libc::ENOENT });
        };
        self.direct.there.remove(place);
        self.count_direct(at);
        self.collect();
        Ok(())
    }

    /// Returns the programs that are attached there.
    pub fn programs_at(&self, at: &Direct) -> Vec<u32> {
        match at {
            Direct::Xdp { device, mode } => {
                let Ok(site) = self.site(device) else { return Vec::new() };
                let is_one = |found: XdpMode| found == *mode || *mode == XdpMode::Auto;
                self.xdp_of(site).into_iter().filter(|(mode, _)| is_one(*mode)).map(|(_, id)| id).collect()
            }
            Direct::Cgroup { cgroup_id, attach_type, .. } => self.cgroup_programs(*cgroup_id, *attach_type),
            Direct::Filter(_) | Direct::Route(_) => {
                self.direct.there.iter().filter(|(other, _)| other.is_at(at)).map(|(_, program)| *program).collect()
            }
        }
    }

    /// Checks a program and where it is to go; the mode of XDP is then the one that it runs in.
    fn direct_place(&self, program: u32, at: &Direct) -> io::Result<Direct> {
        let program = &self.programs[&program];
        match at {
            Direct::Filter(filter) => self.filter_place(program.info.program_type, filter)?,
            Direct::Xdp { device, mode } => {
                let site = self.site(device)?;
                self.device(site).ok_or_else(|| errno(libc::ENODEV))?;
                if program.info.program_type != ProgramType::XDP {
                    return refuse(libc::EINVAL);
                }
                let mode = self.xdp_mode(site, *mode)?;
                let other = self.direct.xdp(site).any(|(there, _)| there != mode);
                return if other { refuse(libc::EEXIST) } else { Ok(Direct::Xdp { device: device.clone(), mode }) };
            }
            Direct::Route(route) => {
                self.device(self.site(&route.device)?).ok_or_else(|| errno(libc::ENODEV))?;
                if program.info.program_type != route.point.program_type() {
                    return refuse(libc::EINVAL);
                }
            }
            Direct::Cgroup { path, attach_type, .. } => {
                if !self.cgroups.contains_key(path) {
                    return refuse(libc::ENOENT);
                }
                if !fits_cgroup(program, *attach_type) {
                    return refuse(libc::EINVAL);
                }
                let is_same = |(other, there): &(Direct, u32)| other.is_at(at) && *there == program.info.id;
                if self.direct.there.iter().any(is_same) {
                    return refuse(libc::EINVAL);
                }
            }
        }
        Ok(at.clone())
    }

    /// A filter needs the qdisc, and all of one priority are of one protocol (`tc_new_tfilter`).
    fn filter_place(&self, program_type: ProgramType, filter: &Filter) -> io::Result<()> {
        let site = self.site(&filter.device)?;
        self.device(site).ok_or_else(|| errno(libc::ENODEV))?;
        let Some(qdisc) = self.direct.qdisc(site) else { return refuse(libc::EINVAL) };
        match program_type == ProgramType::SCHED_CLS && !qdisc.filters.iter().any(|there| there.excludes(filter)) {
            true => Ok(()),
            false => refuse(libc::EINVAL),
        }
    }
}
