//! Whether ours can take the place of somebody else's program at once, and what else can be done.

use super::Planner;
use super::ways::device;
use crate::desired::{DesiredLink, Hook};
use crate::diag::{Kind, Problem};
use crate::direct::{Direct, Filter, Via};
use crate::kinds::XdpMode;
use crate::names::{LinkName, PinPath};
use crate::observed::{Interface, Pinned, Stranger, is_dispatcher};
use crate::plan::{ResolvedHook, Taken, WithoutLink};
use std::sync::Arc;

/// The program on a hook with room for one: its mode, where it is XDP, and its id, which is 0 for what is no program.
pub(super) type Holder = (Option<XdpMode>, u32);

impl Planner<'_> {
    /// Lets a link take the place of the program that is on its hook, by the way that does so at once; or says who that is,
    /// and what can be done.
    pub(super) fn take_over(
        &mut self,
        link: Arc<DesiredLink>,
        hook: ResolvedHook,
        there: Holder,
    ) -> Option<(Arc<DesiredLink>, ResolvedHook)> {
        let (_, id) = there;
        let known = self.observed.strangers.get(&id).filter(|_| self.may_take_over && self.owner(id).is_none());
        let at = match known {
            Some(stranger) => self
                .place_of(&link, &hook, stranger)
                .map(|at| (at, Taken { id, name: stranger.name.clone(), tag: stranger.tag })),
            None => Err(None),
        };
        match at {
            Ok((at, taken)) => {
                let chosen = DesiredLink { hook: link.hook.by(Via::Direct), ..DesiredLink::clone(&link) };
                let why = WithoutLink::TakesOver(taken);
                Some((Arc::new(chosen), ResolvedHook::Direct(at, Some(why))))
            }
            Err(way_out) => {
                self.hook_taken(&link, there, way_out);
                None
            }
        }
    }

    /// Returns the place where a program can be replaced by ours, or what its owner can do.
    fn place_of(&self, link: &DesiredLink, hook: &ResolvedHook, there: &Stranger) -> Result<Direct, Option<String>> {
        match (&link.hook, hook) {
            (Hook::Xdp { interface, netns, mode, via }, _) => {
                let found = self.observed.interface(interface, netns).ok_or(None)?;
                let mode = replaceable(found, there, interface, *mode, *via).map_err(Some)?;
                Ok(Direct::Xdp { device: device(netns, &found.place()), mode })
            }
            (Hook::Tc { interface, netns, .. }, ResolvedHook::Direct(Direct::Filter(filter), _)) => {
                let qdisc = self.observed.qdiscs.get(&(netns.clone(), interface.clone())).ok_or(None)?;
                let mut in_the_way = qdisc.filters.iter().filter(|it| it.is_at(filter) || it.excludes(filter));
                match in_the_way.all(|it| it.can_be_replaced_by(filter)) {
                    true => Ok(Direct::Filter(Filter { owns_qdisc: false, ..filter.clone() })),
                    false => Err(Some("give ours a `priority` that no other filter has".to_owned())),
                }
            }
            (
                Hook::Tc { .. }
                | Hook::Netkit { .. }
                | Hook::Cgroup { .. }
                | Hook::Netns { .. }
                | Hook::Netfilter { .. }
                | Hook::Sockmap { .. }
                | Hook::Trace(_)
                | Hook::Lwt { .. }
                | Hook::StructOps { .. },
                _,
            ) => Err(None),
        }
    }

    /// Returns the link of this deployment that put a program where it is.
    fn owner(&self, id: u32) -> Option<LinkName> {
        let records = self.observed.record.iter().flat_map(|record| &record.links);
        let mut ours = records.filter(|(_, recorded)| {
            let pin = PinPath::new(&recorded.pin).ok();
            let pinned = pin.and_then(|pin| self.observed.pins.get(&pin));
            matches!(pinned, Some(Pinned::Link(found)) if found.program_id == id)
        });
        ours.find_map(|(name, _)| LinkName::recorded(name))
    }

    /// Says who has the hook: somebody else, or a link of this deployment by another name.
    pub(super) fn hook_taken(&mut self, link: &DesiredLink, (mode, id): Holder, way_out: Option<String>) {
        let mode = mode.map(|mode| format!("{mode} ")).unwrap_or_default();
        let who = self.observed.strangers.get(&id).map(Stranger::to_string).unwrap_or_default();
        let by = match id {
            0 => "a filter that is no program of BPF".to_owned(),
            id => format!("{mode}program id {id}{who}"),
        };
        let ours = self.owner(id);
        let kind = Kind::HookTaken { hook: link.hook.to_string(), by, program_id: id, pin: None, ours, way_out };
        self.problems.push(Problem::at(kind, link.span.clone(), "this link wants it"));
    }
}

/// Returns the mode in which the only XDP program of an interface can be replaced, or what its owner can do
/// (`dev_xdp_attach`, net/core/dev.c).
fn replaceable(
    found: &Interface,
    there: &Stranger,
    interface: &str,
    wanted: XdpMode,
    via: Option<Via>,
) -> Result<XdpMode, String> {
    if let Some(id) = there.link {
        return Err(format!(
            "the kernel lets nothing take the place of a link: its owner has to end, or to detach it\n\
             (`bpftool link detach id {id}`)"
        ));
    }
    let unload = match is_dispatcher(&there.name) {
        true => format!("`xdp-loader unload {interface} --all` takes it away, with the programs that it runs"),
        false => "its owner has to detach it".to_owned(),
    };
    match *found.xdp {
        _ if via == Some(Via::Link) => {
            Err(format!("a link takes nobody's place: leave `via` out for a takeover by netlink, or\n{unload}"))
        }
        [(mode, _)] if wanted == XdpMode::Auto || wanted == mode => Ok(mode),
        [(mode, _)] => Err(format!("only a program of its mode can take its place: `mode = \"{mode}\"`, or\n{unload}")),
        _ => Err(format!("it is not alone there, and one takes the place of one:\n{unload}")),
    }
}
