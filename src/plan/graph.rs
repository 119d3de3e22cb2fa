//! The graph of a plan and its order: stable, and a cycle names its whole circle.
//!
//! [`Graph`] knows nothing of plans; [`of`] says what of a deployment must be ready before what (DESIGN §5).

use crate::desired::{Anchor, Desired, DesiredMap, DesiredProgram, Event, Hook, MapSource, SlotSource, sequences};
use crate::elf::DataKind;
use crate::kinds::MapType;
use crate::names::{LinkName, MapName, PinPath, ProgramName};
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::fmt;
use std::hash::Hash;

/// Nodes, and which of them come before which.
#[derive(Debug, Clone)]
pub struct Graph<N> {
    /// The number of each node: the position at which it was first named. Large graphs name nodes far more often than
    /// they are ordered, so they are found by hash, and sorted once.
    numbers: HashMap<N, usize>,
    /// Before and after, by number.
    edges: Vec<(usize, usize)>,
}

/// A circle: each node must come before the next one, and the last before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle<N> {
    /// The whole circle, each node once, the smallest first.
    pub nodes: Vec<N>,
}

impl<N: fmt::Display> fmt::Display for Cycle<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|node| write!(f, "{node} -> "))?;
        self.nodes.first().map_or(Ok(()), |first| first.fmt(f))
    }
}

impl<N: fmt::Debug + fmt::Display> std::error::Error for Cycle<N> {}

impl<N> Default for Graph<N> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), edges: Vec::new() }
    }
}

impl<N: Ord + Hash + Clone> Graph<N> {
    /// Makes a graph of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a graph with room for so many nodes.
    pub fn with_room(nodes: usize) -> Self {
        Self { numbers: HashMap::with_capacity(nodes), edges: Vec::with_capacity(2 * nodes) }
    }

    /// Adds a node; one that is there already stays.
    pub fn add(&mut self, node: N) {
        self.number(node);
    }

    /// Says that `before` comes before `after`; both are added when they are not there yet.
    pub fn edge(&mut self, before: N, after: N) {
        let edge = (self.number(before), self.number(after));
        self.edges.push(edge);
    }

    /// Returns whether the node is there.
    pub fn contains(&self, node: &N) -> bool {
        self.numbers.contains_key(node)
    }

    /// Returns what comes right before a node and right behind it, each once, in order.
    pub fn neighbours(&self, node: &N) -> (BTreeSet<N>, BTreeSet<N>) {
        let Some(&number) = self.numbers.get(node) else { return (BTreeSet::new(), BTreeSet::new()) };
        let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
        let around: HashMap<usize, &N> = self.numbers.iter().map(|(node, number)| (*number, node)).collect();
        for (first, second) in &self.edges {
            if *second == number {
                before.insert(around[first].clone());
            }
            if *first == number {
                after.insert(around[second].clone());
            }
        }
        (before, after)
    }

    /// Returns every node after all those that come before it, and the smallest of the possible ones first.
    ///
    /// The answer depends on the nodes and edges alone, not on the order in which they were added.
    ///
    /// # Errors
    /// A circle, when there is one.
    pub fn order(&self) -> Result<Vec<N>, Cycle<N>> {
        let ranked = self.ranked();
        let mut waits_for = ranked.before.counts();
        let mut ready: BinaryHeap<_> = (0..waits_for.len()).filter(|&node| waits_for[node] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(waits_for.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(ranked.nodes[node].clone());
            for &next in ranked.after.of(node) {
                waits_for[next] -= 1;
                if waits_for[next] == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
        if order.len() == ranked.nodes.len() {
            return Ok(order);
        }
        let stuck: Vec<bool> = waits_for.iter().map(|&count| count > 0).collect();
        Err(Cycle { nodes: ranked.circle(&stuck).into_iter().map(|node| ranked.nodes[node].clone()).collect() })
    }

    fn number(&mut self, node: N) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(node).or_insert(next)
    }

    fn ranked(&self) -> Ranked<'_, N> {
        let mut nodes: Vec<_> = self.numbers.iter().collect();
        nodes.sort_unstable();
        let mut ranks = vec![0; nodes.len()];
        for (rank, (_, number)) in nodes.iter().enumerate() {
            ranks[**number] = rank;
        }
        let edges = || self.edges.iter().map(|&(before, after)| (ranks[before], ranks[after]));
        Ranked {
            nodes: nodes.into_iter().map(|(node, _)| node).collect(),
            after: Neighbours::new(ranks.len(), edges()),
            before: Neighbours::new(ranks.len(), edges().map(|(before, after)| (after, before))),
        }
    }
}

/// The graph with nodes numbered by their own order, so that comparing two nodes is comparing two numbers.
struct Ranked<'a, N> {
    nodes: Vec<&'a N>,
    after: Neighbours,
    before: Neighbours,
}

impl<N> Ranked<'_, N> {
    /// Returns one circle among the nodes that no order reached; each of them waits for another of them.
    fn circle(&self, stuck: &[bool]) -> Vec<usize> {
        let start = self.on_a_circle(stuck);
        let mut circle = self.shortest_way_back(start, stuck);
        let smallest = (0..circle.len()).min_by_key(|&at| circle[at]).unwrap_or(0);
        circle.rotate_left(smallest);
        circle
    }

    /// Walks back from the smallest stuck node until a node comes up again: that one is on a circle.
    fn on_a_circle(&self, stuck: &[bool]) -> usize {
        let mut seen = vec![false; stuck.len()];
        let mut node = stuck.iter().position(|&stuck| stuck).expect("an order that is not whole leaves a node out");
        while !seen[node] {
            seen[node] = true;
            let back = self.before.of(node).iter().copied().filter(|&before| stuck[before]).min();
            node = back.expect("a stuck node waits for a stuck node");
        }
        node
    }

    /// Searches breadth first from `start` along stuck nodes until it comes back.
    fn shortest_way_back(&self, start: usize, stuck: &[bool]) -> Vec<usize> {
        let mut came_from = vec![None; stuck.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for &next in self.after.of(node) {
                if stuck[next] && came_from[next].is_none() {
                    came_from[next] = Some(node);
                    queue.push_back(next);
                }
            }
            if came_from[start].is_some() {
                break;
            }
        }
        let back = std::iter::successors(came_from[start], |&node| came_from[node].filter(|_| node != start));
        let mut circle: Vec<_> = back.collect();
        circle.reverse();
        circle
    }
}

/// The neighbours of every node, in one list.
struct Neighbours {
    /// Node `n` has the neighbours `list[starts[n]..starts[n + 1]]`.
    starts: Vec<usize>,
    list: Vec<usize>,
}

impl Neighbours {
    fn new(nodes: usize, edges: impl Iterator<Item = (usize, usize)> + Clone) -> Self {
        let mut starts = vec![0; nodes + 1];
        for (from, _) in edges.clone() {
            starts[from + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut list = vec![0; starts[nodes]];
        for (from, to) in edges {
            list[next[from]] = to;
            next[from] += 1;
        }
        // Neighbours in their own order: a search then meets them independently of how the graph was built.
        for node in 0..nodes {
            list[starts[node]..starts[node + 1]].sort_unstable();
        }
        Self { starts, list }
    }

    fn of(&self, node: usize) -> &[usize] {
        &self.list[self.starts[node]..self.starts[node + 1]]
    }

    fn counts(&self) -> Vec<usize> {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// A thing that must be ready at some moment. The order of the variants is the order of things that could go either way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A folder of pins, or the bpffs itself.
    Directory(PinPath),
    /// A map, empty.
    Map(MapName),
    /// The first contents of a data section.
    Fill(MapName),
    /// A loaded program.
    Program(ProgramName),
    /// The contents of a map of maps or of programs.
    Slots(MapName),
    /// The entries that the manifest gives a map.
    Entries(MapName),
    /// An attached program.
    Link(LinkName),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "directory {path}"),
            Self::Map(name) => write!(f, "map.{name}"),
            Self::Fill(name) => write!(f, "contents of map.{name}"),
            Self::Program(name) => write!(f, "program.{name}"),
            Self::Slots(name) => write!(f, "slots of map.{name}"),
            Self::Entries(name) => write!(f, "entries of map.{name}"),
            Self::Link(name) => write!(f, "link.{name}"),
        }
    }
}

/// Returns what of a deployment comes before what.
///
/// A map has a [`Node::Fill`] when its first contents differ from what a new map holds, and a [`Node::Slots`] when it
/// starts with maps or programs in it. It has a [`Node::Entries`] when the manifest gives it entries: the filters that read
/// them wait for them.
pub fn of(desired: &Desired) -> Graph<Node> {
    of_with(desired, &BTreeSet::new())
}

/// Returns the same where one link comes before another, of each pair. The first of a pair gets another program in place, for
/// which nobody needs to know who is beside it.
pub fn of_with(desired: &Desired, pairs: &BTreeSet<(LinkName, LinkName)>) -> Graph<Node> {
    // A map often has a second node, for what is in it.
    let mut graph = Graph::with_room(2 * desired.maps.len() + desired.programs.len() + desired.links.len());
    for map in desired.maps.values() {
        add_map(&mut graph, desired, map);
    }
    for program in desired.programs.values() {
        let node = Node::Program(program.name.clone());
        add_folders(&mut graph, desired, &program.pin, &node);
        add_program(&mut graph, desired, program, &node);
    }
    for link in desired.links.values() {
        let node = Node::Link(link.name.clone());
        add_folders(&mut graph, desired, &link.pin, &node);
        if let Some(program) = &link.program {
            graph.edge(Node::Program(program.clone()), node.clone());
            for contents in contents_behind(desired, program) {
                graph.edge(contents, node.clone());
            }
        }
        if let Anchor::Map(map) = link.hook.anchor() {
            graph.edge(Node::Map(map.clone()), node.clone());
        }
        if let Hook::StructOps { map } = &link.hook {
            add_functions(&mut graph, desired, map, &node);
        }
        // A function is replaced before its program runs.
        if let Some((program, _)) = link.hook.event().and_then(Event::extended) {
            let runs = desired
                .links
                .values()
                .filter(|other| other.program.as_ref().is_some_and(|other| other.as_str() == program));
            runs.for_each(|other| graph.edge(node.clone(), Node::Link(other.name.clone())));
        }
    }
    // Links of one hook find their places one behind the other.
    for mut names in sequences(&desired.links).into_values() {
        names.retain(|name| pairs.iter().all(|(first, _)| first != *name));
        for pair in names.windows(2) {
            graph.edge(Node::Link(pair[0].clone()), Node::Link(pair[1].clone()));
        }
    }
    for (first, second) in pairs {
        graph.edge(Node::Link(first.clone()), Node::Link(second.clone()));
    }
    if desired.makes_something() {
        // The record lies there, also where every pin lies elsewhere.
        let node = Node::Directory(desired.pin_root.clone());
        graph.add(node.clone());
        add_folders(&mut graph, desired, &desired.pin_root, &node);
    }
    graph
}

fn add_map(graph: &mut Graph<Node>, desired: &Desired, map: &DesiredMap) {
    let node = Node::Map(map.name.clone());
    graph.add(node.clone());
    let definition = match &map.source {
        MapSource::Defined(definition) => definition,
        MapSource::Pinned(..) | MapSource::Id(..) => return,
    };
    add_folders(graph, desired, &definition.pin, &node);
    if is_filled(map) {
        graph.edge(node.clone(), Node::Fill(map.name.clone()));
    }
    if definition.contents.is_some() {
        graph.edge(node.clone(), Node::Entries(map.name.clone()));
    }
    for target in definition.slots.values() {
        let slots = Node::Slots(map.name.clone());
        graph.edge(node.clone(), slots.clone());
        match target {
            SlotSource::Map(inner) => {
                graph.edge(Node::Map(inner.clone()), node.clone());
                graph.edge(Node::Map(inner.clone()), slots);
            }
            SlotSource::Program(program) => graph.edge(Node::Program(program.clone()), slots),
            SlotSource::Cgroup(_) => {}
        }
    }
    for program in referred(map) {
        graph.edge(Node::Program(program.clone()), Node::Entries(map.name.clone()));
    }
}

/// Puts the functions of a struct before its link, with what is behind them.
fn add_functions(graph: &mut Graph<Node>, desired: &Desired, map: &MapName, link: &Node) {
    let Some(MapSource::Defined(definition)) = desired.maps.get(map).map(|map| &map.source) else { return };
    for slot in definition.slots.values() {
        graph.edge(Node::Slots(map.clone()), link.clone());
        let SlotSource::Program(program) = slot else { continue };
        for contents in contents_behind(desired, program) {
            graph.edge(contents, link.clone());
        }
    }
}

fn add_program(graph: &mut Graph<Node>, desired: &Desired, program: &DesiredProgram, node: &Node) {
    graph.add(node.clone());
    if let Some(extends) = &program.extends {
        graph.edge(Node::Program(extends.program.clone()), node.clone());
    }
    for name in program.uses() {
        graph.edge(Node::Map(name.clone()), node.clone());
        if desired.maps.get(name).is_some_and(|map| is_filled(map)) {
            graph.edge(Node::Fill(name.clone()), node.clone());
        }
    }
}

/// A new map is all zeroes, so only a section with something else in it is written; a read-only one is also frozen. An
/// arena has its variables from the start.
pub(super) fn is_filled(map: &DesiredMap) -> bool {
    match &map.source {
        MapSource::Defined(definition) if definition.spec.map_type == MapType::ARENA => false,
        MapSource::Defined(definition) => match &definition.data {
            Some((DataKind::Rodata, _)) => true,
            Some((DataKind::Data | DataKind::Bss, bytes)) => bytes.iter().any(|&byte| byte != 0),
            None => false,
        },
        MapSource::Pinned(..) | MapSource::Id(..) => false,
    }
}

/// Puts the folders of a pin before what is pinned, each after the one that holds it, down from the bpffs.
fn add_folders(graph: &mut Graph<Node>, desired: &Desired, pin: &PinPath, node: &Node) {
    let mut below = node.clone();
    let mut folder = pin.parent();
    while let Some(path) = folder.filter(|path| path.is_below(&desired.bpffs)) {
        let above = Node::Directory(path.clone());
        let known = graph.contains(&above);
        graph.edge(above.clone(), below);
        if known {
            return; // with everything above it
        }
        below = above;
        folder = path.parent();
    }
}

/// What packets can reach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached<'a> {
    Map(&'a MapName),
    Program(&'a ProgramName),
}

/// Returns every fill and slots of the maps that packets can reach from a program, through its maps and its tail calls.
fn contents_behind(desired: &Desired, program: &ProgramName) -> BTreeSet<Node> {
    let mut contents = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut todo = vec![Reached::Program(program)];
    while let Some(reached) = todo.pop() {
        if !seen.insert(reached) {
            continue;
        }
        match reached {
            Reached::Program(name) => {
                let program = desired.programs.get(name);
                todo.extend(program.iter().flat_map(|program| program.uses()).map(Reached::Map));
            }
            Reached::Map(name) => {
                let Some(map) = desired.maps.get(name) else { continue };
                if is_filled(map) {
                    contents.insert(Node::Fill(name.clone()));
                }
                if map.contents().is_some() {
                    contents.insert(Node::Entries(name.clone()));
                }
                for target in slots(map) {
                    contents.insert(Node::Slots(name.clone()));
                    todo.extend(match target {
                        SlotSource::Map(inner) => Some(Reached::Map(inner)),
                        SlotSource::Program(program) => Some(Reached::Program(program)),
                        SlotSource::Cgroup(_) => None,
                    });
                }
                todo.extend(referred(map).map(Reached::Program));
            }
        }
    }
    contents
}

fn slots(map: &DesiredMap) -> impl Iterator<Item = &SlotSource> {
    let definition = match &map.source {
        MapSource::Defined(definition) => Some(definition),
        MapSource::Pinned(..) | MapSource::Id(..) => None,
    };
    definition.into_iter().flat_map(|definition| definition.slots.values())
}

/// Returns the programs that run for packets that a map sends elsewhere.
fn referred(map: &DesiredMap) -> impl Iterator<Item = &ProgramName> {
    let references = map.contents().into_iter().flat_map(|(_, contents)| &contents.references.given);
    references.filter_map(|reference| reference.program.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    fn graph(nodes: &[u32], edges: &[(u32, u32)]) -> Graph<u32> {
        let mut graph = Graph::new();
        nodes.iter().for_each(|&node| graph.add(node));
        edges.iter().for_each(|&(before, after)| graph.edge(before, after));
        graph
    }

    #[track_caller]
    fn check(nodes: &[u32], edges: &[(u32, u32)], expected: Result<&[u32], &[u32]>) {
        let got = graph(nodes, edges).order();
        assert_eq!(got, expected.map(<[_]>::to_vec).map_err(|nodes| Cycle { nodes: nodes.to_vec() }));
    }

    #[test]
    fn orders() {
        check(&[], &[], Ok(&[]));
        check(&[3, 1, 2, 1], &[], Ok(&[1, 2, 3]));
        check(&[], &[(3, 1), (3, 1), (3, 2)], Ok(&[3, 1, 2]));
        check(&[0], &[(9, 1), (1, 5), (9, 5)], Ok(&[0, 9, 1, 5]));
    }

    #[test]
    fn circles_are_whole() {
        check(&[], &[(1, 1)], Err(&[1]));
        check(&[], &[(2, 1), (1, 2)], Err(&[1, 2]));
        check(&[], &[(3, 2), (2, 7), (7, 3)], Err(&[2, 7, 3]));
        // What comes before and behind a circle, or between two, is not part of one.
        check(&[], &[(0, 5), (5, 6), (6, 5), (6, 1)], Err(&[5, 6]));
        check(&[], &[(8, 9), (9, 8), (9, 1), (1, 5), (5, 6), (6, 5)], Err(&[8, 9]));
        // A shorter way wins.
        check(&[], &[(1, 2), (2, 3), (3, 4), (4, 1), (2, 1)], Err(&[1, 2]));
        let cycle = Cycle { nodes: vec![1, 2] };
        assert_eq!(cycle.to_string(), "1 -> 2 -> 1");
    }

    /// Nodes and edges from smaller to larger, then renamed so that the names say nothing about the edges.
    fn dag() -> impl Strategy<Value = (Vec<u32>, Vec<(u32, u32)>)> {
        (1u32..40).prop_flat_map(|size| {
            let names = Just((0..size).collect::<Vec<_>>()).prop_shuffle();
            let edges = prop::collection::vec((0..size, 0..size), 0..120);
            (names, edges).prop_map(|(names, edges)| {
                let renamed = edges.into_iter().filter(|(a, b)| a != b);
                let renamed = renamed.map(|(a, b)| (names[a.min(b) as usize], names[a.max(b) as usize])).collect();
                (names, renamed)
            })
        })
    }

    proptest! {
        #[test]
        fn everything_comes_after_what_it_needs((nodes, edges) in dag()) {
            let order = graph(&nodes, &edges).order().unwrap();
            let place = |node| order.iter().position(|&other| other == node).unwrap();
            prop_assert_eq!(order.len(), nodes.len());
            for (before, after) in edges {
                prop_assert!(place(before) < place(after));
            }
        }

        #[test]
        fn the_order_of_adding_does_not_matter(
            ((nodes, edges), shuffled) in dag().prop_flat_map(|dag| {
                let shuffled = (Just(dag.0.clone()).prop_shuffle(), Just(dag.1.clone()).prop_shuffle());
                (Just(dag), shuffled)
            })
        ) {
            prop_assert_eq!(graph(&nodes, &edges).order(), graph(&shuffled.0, &shuffled.1).order());
        }

        #[test]
        fn a_circle_is_one_however_it_was_built(
            (edges, shuffled) in prop::collection::vec((0u32..12, 0u32..12), 1..40)
                .prop_flat_map(|edges| (Just(edges.clone()), Just(edges).prop_shuffle()))
        ) {
            let order = graph(&[], &edges).order();
            prop_assert_eq!(&order, &graph(&[], &shuffled).order());
            if let Err(Cycle { nodes }) = order {
                for (i, &node) in nodes.iter().enumerate() {
                    prop_assert!(edges.contains(&(node, nodes[(i + 1) % nodes.len()])));
                    prop_assert!(i == 0 || nodes[0] < node);
                }
                prop_assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), nodes.len());
            }
        }
    }

    /// 20,000 maps, each with contents, two programs and a link: 100,000 nodes, 400,000 edges.
    #[test]
    fn large_graphs_are_no_work() {
        let name = |i: usize| format!("name-{i}");
        let map = |i: usize| MapName::new(&name(i % 20_000)).unwrap();
        let program = |i: usize| ProgramName::new(&name(i % 40_000)).unwrap();
        let link = |i: usize| LinkName::new(&name(i)).unwrap();
        let mut edges = Vec::new();
        for i in 0..20_000 {
            edges.push((Node::Map(map(i)), Node::Fill(map(i))));
            edges.push((Node::Program(program(2 * i)), Node::Link(link(i))));
            for consumer in 0..9 {
                edges.push((Node::Map(map(i)), Node::Program(program(2 * i + consumer))));
                edges.push((Node::Fill(map(i)), Node::Program(program(2 * i + consumer))));
            }
        }
        let mut graph = Graph::new();
        let start = Instant::now();
        edges.into_iter().for_each(|(before, after)| graph.edge(before, after));
        let order = graph.order().unwrap();
        let took = start.elapsed();
        assert_eq!((order.len(), graph.edges.len()), (100_000, 400_000));
        eprintln!("built and ordered in {took:?}");
        // A tenth of a second when optimised; looking at every pair would take hours, a busy machine takes seconds.
        assert!(took < Duration::from_secs(20), "{took:?}");
    }

    #[test]
    fn deep_chains_do_not_use_the_stack() {
        let chain: Vec<_> = (0..100_000).map(|node| (node + 1, node)).collect();
        assert_eq!(graph(&[], &chain).order().unwrap().first(), Some(&100_000));
        let circle: Vec<_> = chain.iter().copied().chain([(0, 100_000)]).collect();
        let Cycle { nodes } = graph(&[], &circle).order().unwrap_err();
        assert_eq!((nodes.len(), nodes[0], nodes[1]), (100_001, 0, 100_000));
    }

    /// The order alone would not show a missing edge: most ties fall the right way by themselves.
    #[test]
    fn every_edge_of_a_deployment_is_there() {
        let graph = of(&samples::desired());
        let nodes: BTreeMap<_, _> = graph.numbers.iter().map(|(node, number)| (number, node)).collect();
        let edges = graph.edges.iter().map(|(before, after)| (nodes[before], nodes[after]));
        let edges: BTreeSet<_> = edges.filter(|(before, _)| !matches!(before, Node::Directory(_))).collect();
        let text: Vec<_> = edges.iter().map(|(before, after)| format!("{before} -> {after}")).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        map.calls -> program.drop
        map.calls -> program.next
        map.calls -> slots of map.calls
        map.deny -> program.next
        map.filter:.bss -> program.drop
        map.filter:.data -> contents of map.filter:.data
        map.filter:.data -> program.next
        map.filter:.rodata -> contents of map.filter:.rodata
        map.filter:.rodata -> program.drop
        map.flows -> program.drop
        map.tenants -> program.next
        map.tenants -> slots of map.tenants
        map.zones -> map.tenants
        map.zones -> slots of map.tenants
        contents of map.filter:.data -> program.next
        contents of map.filter:.data -> link.uplink
        contents of map.filter:.rodata -> program.drop
        contents of map.filter:.rodata -> link.uplink
        program.drop -> link.uplink
        program.next -> slots of map.calls
        slots of map.calls -> link.uplink
        slots of map.tenants -> link.uplink
        ");
    }

    #[test]
    fn a_deployment_is_ready_before_it_is_live() {
        let order = of(&samples::desired()).order().unwrap();
        let text: Vec<_> = order.iter().map(Node::to_string).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        directory /sys/fs/bpf
        directory /sys/fs/bpf/edge
        directory /sys/fs/bpf/edge/links
        directory /sys/fs/bpf/edge/maps
        directory /sys/fs/bpf/edge/private
        directory /sys/fs/bpf/edge/private/filter
        directory /sys/fs/bpf/edge/programs
        map.calls
        map.deny
        map.filter:.bss
        map.filter:.data
        map.filter:.rodata
        map.flows
        map.zones
        map.tenants
        contents of map.filter:.data
        contents of map.filter:.rodata
        program.drop
        program.next
        slots of map.calls
        slots of map.tenants
        link.uplink
        ");
    }
}
