//! What a plan means for one thing, in full: why, asked for by which lines, what it depends on, and what differs.
//!
//! Pure: a plan with what it was made from goes in, plain data comes out; `report::explain` writes it.
//!
//! - `sentences`: reasons and consequences in whole sentences
//! - `map`, `program`, `link`: what differs

mod link;
mod map;
mod program;
mod sentences;

use crate::desired::{Desired, MapSource, Span};
use crate::insn::listing::{Changed, Shown};
use crate::names::{Address, PinPath, ProgramName};
use crate::observed::{LoadedCode, Observed};
use crate::plan::graph::{self, Node};
use crate::plan::{Consent, Marker, Plan, Step};
use crate::report::Sampled;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub use program::listed;

/// What an explanation is made from.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What it leads to.
    pub desired: &'a Desired,
    /// What it starts from; nothing offline.
    pub observed: &'a Observed,
    /// The code of programs.
    pub codes: &'a Codes,
    /// The most entries of a map.
    pub limit: usize,
}

/// The code of programs that are loaded.
#[derive(Debug, Clone, Default)]
pub struct Codes {
    /// Those that a plan replaces, by id.
    pub running: BTreeMap<u32, LoadedCode>,
    /// Those of them that could not be read, with why.
    pub unread: BTreeMap<u32, String>,
    /// Those that the plan loads, as this kernel's verifier left them; empty when it was not asked.
    pub loaded: BTreeMap<ProgramName, LoadedCode>,
}

/// Everything about one address.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Explained {
    /// What it is about.
    #[schemars(with = "String")]
    pub address: Address,
    /// What is done with it, in order.
    pub steps: Vec<ExplainedStep>,
    /// The places in the manifest that ask for it.
    #[serde(skip)]
    pub spans: Vec<Span>,
    /// What must be ready before.
    #[schemars(with = "Vec<String>")]
    pub depends_on: Vec<Address>,
    /// What waits for it.
    #[schemars(with = "Vec<String>")]
    pub needed_by: Vec<Address>,
    /// What differs, a field each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Types of keys and values that differ, as C writes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeChange>,
    /// Variables and constants that get other values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Field>,
    /// Entries that come, change and go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<EntryChanges>,
    /// What differs of a program's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeChange>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A step in whole sentences.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExplainedStep {
    /// Column 0 of the plan.
    pub marker: Marker,
    /// What is done.
    pub what: String,
    /// Why.
    pub why: String,
    /// What it means for packets.
    pub traffic: String,
    /// What it means for the contents of maps; empty when it has nothing to do with them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// What the host must be when it is done.
    pub expects: Vec<String>,
    /// The consent without which it is not done.
    pub needs: Option<Consent>,
}

/// A property that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is; `None` where there is none.
    pub is: Option<String>,
    /// What it becomes.
    pub becomes: Option<String>,
}

impl Field {
    fn new(name: &str, is: impl Into<String>, becomes: impl Into<String>) -> Self {
        Self { name: name.to_owned(), is: Some(is.into()), becomes: Some(becomes.into()) }
    }
}

/// The type of a map's keys or values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TypeChange {
    /// `key` or `value`.
    #[schemars(extend("enum" = ["key", "value"]))]
    pub of: &'static str,
    /// What differs of it; all of it, where nothing is compared.
    pub lines: Vec<Shown>,
}

/// What changes of a map's entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EntryChanges {
    /// How many come.
    pub added: usize,
    /// How many get other values.
    pub changed: usize,
    /// How many go.
    pub removed: usize,
    /// How many stay as they are.
    pub same: usize,
    /// The first of them; none of what nobody may see.
    pub shown: Vec<Sampled>,
}

/// What was compared of two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Instructions of both, as this kernel's verifier left them.
    Instructions,
    /// Source lines that have code.
    Sources,
    /// Nothing: the instructions of the object.
    Nothing,
}

/// What differs of a program's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CodeChange {
    /// What was compared.
    pub compared: Basis,
    /// How many instructions run now, as the verifier left them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<usize>,
    /// How many come: as the verifier left them, or without it as the object has them.
    pub coming: usize,
    /// The functions that differ.
    pub functions: Vec<Changed>,
}

/// Returns everything about one address of the plan; `None` when the plan does not name it.
pub fn explain(given: &Given<'_>, address: &Address) -> Option<Explained> {
    let steps: Vec<&Step> = given.plan.steps.iter().filter(|step| step.action.address() == *address).collect();
    if steps.is_empty() {
        return None;
    }
    let (depends_on, needed_by) = neighbours(given.desired, address);
    let mut explained = Explained {
        address: address.clone(),
        steps: steps.iter().map(|step| sentences::step(step, given.plan.mode)).collect(),
        spans: spans(given.desired, address, &steps),
        depends_on,
        needed_by,
        fields: Vec::new(),
        types: Vec::new(),
        variables: Vec::new(),
        entries: None,
        code: None,
        notes: Vec::new(),
    };
    for step in steps {
        map::differences(given, step, &mut explained);
        program::differences(given, step, &mut explained);
        link::differences(given, step, &mut explained);
    }
    Some(explained)
}

/// Returns the addresses that a plan names and that can be explained, each once, in its order.
pub fn addresses(plan: &Plan) -> Vec<Address> {
    let mut seen = BTreeSet::new();
    let explained = |address: &Address| match address {
        Address::Map(_) | Address::Program(_) | Address::Link(_) => true,
        Address::Directory(_) | Address::Object(_) | Address::Record => false,
    };
    let all = plan.steps.iter().map(|step| step.action.address());
    all.filter(|address| explained(address) && seen.insert(address.clone())).collect()
}

/// Returns the places in the manifest that say something of an address, in their order.
fn spans(desired: &Desired, address: &Address, steps: &[&Step]) -> Vec<Span> {
    let mut spans: Vec<Span> = steps.iter().filter_map(|step| step.span.clone()).collect();
    match address {
        Address::Map(name) => {
            if let Some(map) = desired.maps.get(name) {
                spans.push(map.span.clone());
                spans.extend(map.users.iter().map(|user| user.span.clone()));
                spans.extend(map.contents().map(|(_, contents)| contents.span.clone()));
            }
        }
        Address::Program(name) => spans.extend(desired.programs.get(name).map(|program| program.span.clone())),
        Address::Link(name) => spans.extend(desired.links.get(name).map(|link| link.span.clone())),
        Address::Directory(_) | Address::Object(_) | Address::Record => {}
    }
    spans.sort_by_key(|span| (span.start, span.end));
    spans.dedup();
    spans
}

/// Returns what must be ready before it and what waits for it, without folders.
fn neighbours(desired: &Desired, address: &Address) -> (Vec<Address>, Vec<Address>) {
    let nodes = match address {
        Address::Map(name) => {
            let name = || name.clone();
            vec![Node::Map(name()), Node::Fill(name()), Node::Slots(name()), Node::Entries(name())]
        }
        Address::Program(name) => vec![Node::Program(name.clone())],
        Address::Link(name) => vec![Node::Link(name.clone())],
        Address::Directory(_) | Address::Object(_) | Address::Record => Vec::new(),
    };
    let graph = graph::of(desired);
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for node in &nodes {
        let (befores, afters) = graph.neighbours(node);
        before.extend(befores.into_iter().filter_map(address_of));
        after.extend(afters.into_iter().filter_map(address_of));
    }
    before.remove(address);
    after.remove(address);
    (before.into_iter().collect(), after.into_iter().collect())
}

fn address_of(node: Node) -> Option<Address> {
    match node {
        Node::Directory(_) => None,
        Node::Map(name) | Node::Fill(name) | Node::Slots(name) | Node::Entries(name) => Some(Address::Map(name)),
        Node::Program(name) => Some(Address::Program(name)),
        Node::Link(name) => Some(Address::Link(name)),
    }
}

/// Returns what the manifest or the record calls the maps that have pins, by id.
fn maps_by_id(given: &Given<'_>) -> BTreeMap<u32, String> {
    let record = given.observed.record.iter();
    let recorded = record.flat_map(|record| &record.maps).filter_map(|(name, map)| {
        Some((map.id.or_else(|| map_id(given, &PinPath::new(map.pin.as_deref()?).ok()?))?, format!("map.{name}")))
    });
    let wanted = given.desired.maps.values().filter_map(|map| {
        let id = match (&map.source, map.pin()) {
            (MapSource::Id(id), _) => *id,
            (MapSource::Defined(_) | MapSource::Pinned(_), pin) => map_id(given, pin?)?,
        };
        Some((id, format!("map.{}", map.name)))
    });
    recorded.chain(wanted).collect()
}

fn map_id(given: &Given<'_>, pin: &PinPath) -> Option<u32> {
    map::observed(given.observed, pin).map(|map| map.info.id)
}
