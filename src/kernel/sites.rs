//! Looks up what a host has of links that it decides on: the interfaces that patterns match, and what is optional.

use super::observe::{ENTER, interface, open_cgroup, open_netns, refused};
use super::{Kernel, events};
use crate::desired::{Anchor, Desired, Hook, Netns, Sites, Template, is_pattern, matches};
use crate::diag::Problem;
use crate::names::LinkName;
use crate::record::Record;
use std::collections::BTreeMap;
use std::io;

/// Looks up what there is of every template that is wanted.
pub fn all<K: Kernel>(kernel: &K, desired: &Desired) -> Result<BTreeMap<LinkName, Sites>, Problem> {
    let look = |(name, table): (&LinkName, &_)| Ok((name.clone(), of_table(kernel, name.as_str(), table)?));
    desired.templates.iter().map(|(name, table)| (name, &table.template)).map(look).collect()
}

/// Returns the links of a record's templates that could be there and are not in the record: their names and hooks.
pub fn newcomers<K: Kernel>(kernel: &K, record: &Record) -> Result<Vec<(String, Hook)>, Problem> {
    let mut found = Vec::new();
    for (table, template) in &record.templates {
        let Ok(name) = LinkName::new(table) else { continue };
        for (site, hook) in of_table(kernel, table, template)?.there {
            let name = site.map_or_else(|| name.clone(), |interface| name.at(&interface));
            if !record.links.contains_key(name.as_str()) {
                found.push((name.to_string(), hook));
            }
        }
    }
    Ok(found)
}

fn of_table<K: Kernel>(kernel: &K, table: &str, template: &Template) -> Result<Sites, Problem> {
    let doing = |error: io::Error| refused(format!("look for what link.{table} goes to"), &error, ENTER);
    if let Anchor::Event(event) = template.hook.anchor() {
        return Ok(Sites::one(events::find(kernel, event)?.is_ok(), &template.hook));
    }
    of(kernel, template).map_err(doing)
}

/// Looks up what there is of one template.
fn of<K: Kernel>(kernel: &K, template: &Template) -> io::Result<Sites> {
    if template.interfaces.is_empty() {
        return Ok(Sites::one(is_there(kernel, &template.hook)?, &template.hook));
    }
    let mut sites = Sites::default();
    let mut put = |there: bool, site, hook| match there {
        true => sites.there.insert(site, hook),
        false => sites.absent.insert(site, hook),
    };
    let names = if template.has_pattern() { names(kernel, template.hook.netns())? } else { Vec::new() };
    for wanted in &template.interfaces {
        if !is_pattern(wanted) {
            let hook = template.hook.on(wanted);
            put(is_there(kernel, &hook)?, Some(wanted.clone()), hook);
            continue;
        }
        let mut matching = names.iter().filter(|name| matches(wanted, name)).peekable();
        if matching.peek().is_none() {
            put(false, Some(wanted.clone()), template.hook.on(wanted));
        }
        for name in matching {
            put(true, Some(name.clone()), template.hook.on(name));
        }
    }
    Ok(sites)
}

/// Lists the interfaces of a network namespace; none of one that is not there.
fn names<K: Kernel>(kernel: &K, netns: &Netns) -> io::Result<Vec<String>> {
    match open_netns(kernel, netns)? {
        Some((netns, _)) => kernel.interfaces_in(&netns),
        None => Ok(Vec::new()),
    }
}

/// Returns whether what a hook is of is there.
fn is_there<K: Kernel>(kernel: &K, hook: &Hook) -> io::Result<bool> {
    match hook.anchor() {
        Anchor::Interface(name, netns) => interface(kernel, name, netns).map(|found| found.is_some()),
        Anchor::Cgroup(path) => open_cgroup(kernel, path).map(|found| found.is_some()),
        Anchor::Netns(netns) => open_netns(kernel, netns).map(|found| found.is_some()),
        // A map is in the manifest, and events were looked up.
        Anchor::Map(_) | Anchor::Event(_) => Ok(true),
    }
}
