//! Tables of links of which the host decides how many links they are: one for each interface of a list, one for each that
//! a pattern matches, and none where what is optional is not there.
//!
//! What the host has is looked up elsewhere and comes as [`Sites`]. From [`Desired::settle`] on, each link is one link.

use super::{Desired, DesiredLink, Hook, order};
use crate::access::Access;
use crate::diag::{Kind, Problem, Problems};
use crate::names::{Address, LinkName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the links of one table are to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The hook; with no interface's name where there is a list of them.
    pub hook: Hook,
    /// Names and patterns of interfaces, each of which has a link of its own; none for the one link on the hook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
    /// Whether what is not there is left out, and no mistake.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// A table of links whose host was not looked at yet.
#[derive(Debug, Clone)]
pub struct DesiredTemplate {
    /// The name, the pin, the program and the place that its links have in common.
    pub link: DesiredLink,
    /// Where they are to be.
    pub template: Template,
}

/// An interface's name, or a pattern of names; `None` for a table that is one link.
pub type Site = Option<String>;

/// What of a template a host has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sites {
    /// The hooks that are there.
    pub there: BTreeMap<Site, Hook>,
    /// Those that are not, and patterns that match no interface.
    pub absent: BTreeMap<Site, Hook>,
}

impl Sites {
    /// Makes what a template for one hook has.
    pub fn one(is_there: bool, hook: &Hook) -> Self {
        let sites = BTreeMap::from([(None, hook.clone())]);
        match is_there {
            true => Self { there: sites, absent: BTreeMap::new() },
            false => Self { there: BTreeMap::new(), absent: sites },
        }
    }
}

/// A link that is optional and has nowhere to be.
#[derive(Debug, Clone)]
pub struct Absent {
    /// Its name.
    pub name: LinkName,
    /// The hook that is not there.
    pub hook: Hook,
    /// The table in the manifest.
    pub span: super::Span,
}

impl Template {
    /// Returns each name and pattern as if it were an interface that is there, for a plan without a host.
    pub fn unseen(&self) -> Sites {
        let mut sites = Sites::default();
        match self.interfaces.as_slice() {
            [] => drop(sites.there.insert(None, self.hook.clone())),
            interfaces => {
                sites.there.extend(interfaces.iter().map(|name| (Some(name.clone()), self.hook.on(name))));
            }
        }
        sites
    }

    /// Returns whether it is about interfaces that nobody named.
    pub fn has_pattern(&self) -> bool {
        self.interfaces.iter().any(|name| is_pattern(name))
    }
}

/// Returns whether a text stands for all interfaces whose names it matches: with a `*` or a `?`.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Returns whether a name is as a pattern says: `*` stands for any characters and none, `?` for one, all others for
/// themselves.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last `*` is, and the first character that it does not stand for.
    let mut star = None;
    while of < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[of] => (at, of) = (at + 1, of + 1),
            Some(_) | None => match &mut star {
                Some((place, first)) => {
                    *first += 1;
                    (at, of) = (*place + 1, *first);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

impl Desired {
    /// Makes of each template the links that it stands for on a host, which has these sites for them.
    ///
    /// # Errors
    /// Patterns that match nothing, unless that is allowed. What has a name and is not there is for the plan to say.
    pub fn settle(mut self, sites: &BTreeMap<LinkName, Sites>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let templates = std::mem::take(&mut self.templates);
        for (name, table) in &templates {
            let Some(sites) = sites.get(name) else { continue };
            for (site, hook) in &sites.there {
                self.add_link(table, site, hook);
            }
            for (site, hook) in &sites.absent {
                match site.as_deref().filter(|site| is_pattern(site)) {
                    _ if table.template.optional => self.absent.push(Absent {
                        name: name_of(table, site),
                        hook: hook.clone(),
                        span: table.link.span.clone(),
                    }),
                    Some(pattern) => {
                        let (pattern, netns) = (pattern.to_owned(), hook.netns().clone());
                        let kind = Kind::NoMatch { pattern, netns };
                        problems.push(Problem::at(kind, table.link.span.clone(), "this link goes there"));
                    }
                    None => self.add_link(table, site, hook),
                }
            }
            self.policy.spread(&table.link.name, &self.links);
        }
        if !templates.is_empty() {
            order::settle(&mut self.links);
            order::check(&self.links, &mut problems);
        }
        self.templates = templates;
        problems.or(self)
    }

    /// The same without a host.
    pub fn unseen(self) -> Result<Self, Problems> {
        let sites = self.templates.iter().map(|(name, table)| (name.clone(), table.template.unseen())).collect();
        self.settle(&sites)
    }

    fn add_link(&mut self, table: &DesiredTemplate, site: &Site, hook: &Hook) {
        let name = name_of(table, site);
        let pin = match site {
            Some(interface) => table.link.pin.join(interface),
            None => table.link.pin.clone(),
        };
        let link = DesiredLink { name: name.clone(), pin, hook: hook.clone(), ..table.link.clone() };
        self.links.insert(name, Arc::new(link));
    }
}

fn name_of(table: &DesiredTemplate, site: &Site) -> LinkName {
    site.as_deref().map_or_else(|| table.link.name.clone(), |interface| table.link.name.at(interface))
}

impl super::Policy {
    /// Lets what is said of a table count for each of its links, and for none that is not there.
    fn spread(&mut self, table: &LinkName, links: &BTreeMap<LinkName, Arc<DesiredLink>>) {
        let address = Address::Link(table.clone());
        let (protect, access): (bool, Option<Access>) = (self.protect.remove(&address), self.access.remove(&address));
        for name in links.keys().filter(|name| name.table() == table.as_str()) {
            let address = Address::Link(name.clone());
            self.access.extend(access.clone().map(|access| (address.clone(), access)));
            self.protect.extend(protect.then_some(address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, is_match) in [
            ("eth*", "eth0", true),
            ("eth*", "eth", true),
            ("eth*", "veth0", false),
            ("*", "lo", true),
            ("*", "", true),
            ("?", "", false),
            ("eth?", "eth0", true),
            ("eth?", "eth10", false),
            ("*.100", "eth0.100", true),
            ("*.100", "eth0.1000", false),
            ("e*h*0", "eth0.h10", true),
            ("e*h*0", "eth0.h1", false),
            ("**", "x", true),
            ("é?", "éa", true),
            ("a.b*", "axb", false),
        ] {
            assert_eq!(matches(pattern, name), is_match, "{pattern} {name}");
        }
    }
}
