//! Plans as pictures: what is in them as goldens in DOT and Mermaid (`tests/graphs`, and `UPDATE=1 cargo test --test graph`
//! writes them anew), and how they look as what can be measured of an SVG: nothing overlaps, nothing hangs out, every line
//! ends at its boxes.

mod common;

use bpfapply::kernel::fake::Fake;
use bpfapply::plan::Marker;
use bpfapply::report::graph::model::{Change, Column, Edge, EdgeKind, End, Group, Node, Picture, Sharing};
use bpfapply::report::graph::{dot::dot, mermaid::mermaid, picture, svg::svg};
use common::stages::{good, plan_in, repository, run};
use proptest::prelude::*;
use roxmltree::Document;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cases of `tests/plans` whose pictures differ in kind.
const CASES: [&str; 9] = [
    "edge-changed",
    "extension",
    "foreign-map",
    "hook-moved",
    "lose-state",
    "prune",
    "redirect",
    "tail-calls",
    "variables-set",
];

fn host() -> Fake {
    let fake = Fake::new();
    fake.add_interface("eth0", true);
    fake.add_interface("eth1", true);
    fake.add_interface("lo", false);
    fake.add_cgroup("/sys/fs/cgroup/system.slice");
    fake
}

/// Draws the plan of a manifest in a folder; `before.toml` in the same folder is applied first.
fn draw(folder: &Path) -> Picture {
    let fake = host();
    if let Ok(before) = fs::read_to_string(folder.join("before.toml")) {
        let plan = good(plan_in(folder, &before, &fake), &before);
        let (_, problem) = run(&plan, &fake);
        assert!(problem.is_none(), "{}: {problem:?}", folder.display());
    }
    let manifest = fs::read_to_string(folder.join("plan.toml")).expect("a case has a manifest");
    picture(&good(plan_in(folder, &manifest, &fake), &manifest))
}

/// A link that is of a map, and a map of maps.
const MIXED: &str = "\
version = 1
name = \"edge\"

[object.sockets]
path = \"tests/sockets/sockets_1.o\"

[object.nested]
path = \"tests/objects/map_in_map.o\"

[map.socks]
from = \"sockets:socks\"

[program.messages]
from = \"sockets:message\"

[program.count]
from = \"nested:count\"

[link.messages]
program = \"messages\"
sockmap = { map = \"socks\" }

[link.uplink]
program = \"count\"
xdp = { interface = \"lo\", mode = \"generic\" }
";

fn mixed() -> (String, Picture) {
    ("mixed".to_owned(), picture(&good(plan_in(repository(), MIXED, &host()), MIXED)))
}

fn cases() -> Vec<(String, Picture)> {
    let plans = CASES.map(|name| (name.to_owned(), draw(&repository().join("tests/plans").join(name))));
    let examples = ["quickstart", "iproute2-legacy"];
    let examples = examples.map(|name| (format!("example-{name}"), draw(&repository().join("examples").join(name))));
    plans.into_iter().chain(examples).chain([mixed()]).collect()
}

/// Compares a file with what it should hold, or writes it.
fn differs(path: &Path, text: &str) -> bool {
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }
    fs::read_to_string(path).ok().as_deref() != Some(text)
}

#[test]
fn pictures_are_as_they_should_be() {
    let folder = repository().join("tests/graphs");
    let mut differ = Vec::new();
    for (name, picture) in cases() {
        for (extension, text) in [("dot", dot(&picture)), ("mmd", mermaid(&picture))] {
            let path = folder.join(&name).with_extension(extension);
            if differs(&path, &text) {
                differ.push(format!("{}:\n{text}", path.display()));
            }
        }
        look(&name, &picture);
    }
    assert!(differ.is_empty(), "these pictures are others (UPDATE=1 accepts them):\n{}", differ.join("\n"));
}

/// What the documents show is what the tool draws.
#[test]
fn the_pictures_of_the_documents_are_true() {
    let quickstart = tool(&["graph", "examples/quickstart/plan.toml", "--dry-run=offline"]);
    let changed = svg(&draw(&repository().join("tests/plans/edge-changed")));
    for (name, drawn) in [("quickstart", quickstart), ("edge-changed", changed)] {
        let path = repository().join(format!("docs/images/{name}-graph.svg"));
        assert!(!differs(&path, &drawn), "{name}: run `UPDATE=1 cargo test --test graph`");
    }
}

#[test]
fn a_file_gets_the_format_of_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, arguments, start) in [
        ("plan.svg", &[][..], "<svg "),
        ("plan.gv", &[], "digraph "),
        ("plan.mmd", &[], "---\ntitle: "),
        ("plan", &[], "<svg "),
        ("plan.svg", &["--format", "dot"], "digraph "),
    ] {
        let path = folder.path().join(name);
        let out = path.to_str().expect("UTF-8");
        let asked = ["graph", "examples/quickstart/plan.toml", "--dry-run=offline", "--out", out];
        let printed = tool(&[&asked[..], arguments].concat());
        assert_eq!(printed, "");
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.starts_with(start), "{name} {arguments:?}: {text:.40}");
    }
}

#[track_caller]
fn tool(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
    let output = command.args(arguments).current_dir(repository()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A rectangle, by its sides.
#[derive(Debug, Clone, Copy)]
struct Sides {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Sides {
    fn of(rect: roxmltree::Node<'_, '_>) -> Self {
        let number = |name| rect.attribute(name).expect("a rectangle has it").parse::<f64>().expect("a number");
        let (left, top) = (number("x"), number("y"));
        Self { left, top, right: left + number("width"), bottom: top + number("height") }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn holds(&self, other: &Self) -> bool {
        self.left <= other.left && self.top <= other.top && other.right <= self.right && other.bottom <= self.bottom
    }

    /// Returns whether a point is on the left or the right side.
    fn has_at_a_side(&self, (x, y): (f64, f64)) -> bool {
        let is_side = [self.left, self.right].iter().any(|side| (side - x).abs() < 0.2);
        is_side && self.top <= y && y <= self.bottom
    }
}

fn has_class(node: &roxmltree::Node<'_, '_>, class: &str) -> bool {
    node.attribute("class").is_some_and(|classes| classes.split(' ').any(|known| known == class))
}

/// Returns the rectangle of a class in each group of another one, with the address.
fn rects(document: &Document<'_>, holder: &str, class: &str) -> Vec<(String, Sides)> {
    let holders = document.descendants().filter(|node| node.has_tag_name("g") && has_class(node, holder));
    let rects = holders.map(|holder| {
        let rect = holder.children().find(|child| child.has_tag_name("rect") && has_class(child, class));
        (holder.attribute("data-address").unwrap_or_default().to_owned(), Sides::of(rect.expect("it has one")))
    });
    rects.collect()
}

/// Returns the first and the last point of a path, and all between.
fn points(path: &str) -> Vec<(f64, f64)> {
    let numbers = path.split(['M', 'C', ' ']).filter(|part| !part.is_empty());
    let numbers: Vec<f64> = numbers.map(|part| part.parse().expect("a number")).collect();
    numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Checks everything about the looks of a picture that can be measured.
#[track_caller]
fn look(name: &str, picture: &Picture) {
    let text = svg(picture);
    let document = Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    let root = document.root_element();
    assert_eq!(root.attribute("role"), Some("img"));
    for id in root.attribute("aria-labelledby").expect("it is named").split(' ') {
        assert!(document.descendants().any(|node| node.attribute("id") == Some(id)), "{name}: {id}");
    }
    let view: Vec<f64> = root.attribute("viewBox").unwrap().split(' ').map(|part| part.parse().unwrap()).collect();
    let view = Sides { left: view[0], top: view[1], right: view[2], bottom: view[3] };

    let boxes = rects(&document, "box", "frame");
    let groups = rects(&document, "holder", "group");
    assert_eq!((boxes.len(), groups.len()), (picture.boxes.len(), picture.groups.len()), "{name}");
    for list in [&boxes, &groups] {
        for (at, (address, sides)) in list.iter().enumerate() {
            assert!(view.holds(sides), "{name}: {address} hangs out");
            for (other, others) in &list[..at] {
                assert!(!sides.overlaps(others), "{name}: {address} and {other} overlap");
            }
        }
    }
    for (node, (address, sides)) in picture.boxes.iter().zip(&boxes) {
        for (number, (_, group)) in groups.iter().enumerate() {
            let is_in = node.group == Some(number);
            assert!(if is_in { group.holds(sides) } else { !group.overlaps(sides) }, "{name}: {address}");
        }
    }
    lines_end_at_boxes(name, &document, &boxes);
    text_has_room(name, &document, view);
}

fn lines_end_at_boxes(name: &str, document: &Document<'_>, boxes: &[(String, Sides)]) {
    let by_address: BTreeMap<_, _> = boxes.iter().map(|(address, sides)| (address.as_str(), sides)).collect();
    for edge in document.descendants().filter(|node| has_class(node, "edge")) {
        let line = edge.children().find(|child| has_class(child, "line")).expect("an edge has a line");
        let points = points(line.attribute("d").expect("a line has a way"));
        for (end, point) in [("data-from", points[0]), ("data-to", points[points.len() - 1])] {
            let address = edge.attribute(end).expect("an edge has ends");
            assert!(by_address[address].has_at_a_side(point), "{name}: {address} {point:?}");
        }
        // A curve stays among its points, which are in gaps and lanes: so none is inside a box.
        for piece in points.windows(4).step_by(3) {
            for step in 1..20 {
                let point = on_curve(piece, f64::from(step) / 20.0);
                let inside = boxes.iter().find(|(_, sides)| {
                    sides.left + 1.0 < point.0
                        && point.0 < sides.right - 1.0
                        && sides.top < point.1
                        && point.1 < sides.bottom
                });
                assert!(inside.is_none(), "{name}: a line runs through {:?}", inside.unwrap().0);
            }
        }
    }
}

fn on_curve(piece: &[(f64, f64)], t: f64) -> (f64, f64) {
    let weights = [(1.0 - t).powi(3), 3.0 * t * (1.0 - t).powi(2), 3.0 * t * t * (1.0 - t), t.powi(3)];
    let sum =
        |pick: fn(&(f64, f64)) -> f64| piece.iter().zip(weights).map(|(point, weight)| pick(point) * weight).sum();
    (sum(|point| point.0), sum(|point| point.1))
}

/// Every text ends inside what it is in: its box, its group, the picture.
fn text_has_room(name: &str, document: &Document<'_>, view: Sides) {
    for text in document.descendants().filter(|node| node.has_tag_name("text")) {
        let size = match text.attribute("class") {
            Some("title") => 20.0,
            Some("name" | "mark" | "signed") => 13.0,
            Some(_) | None => 11.0,
        };
        let is_room = |rect: &roxmltree::Node<'_, '_>| has_class(rect, "frame") || has_class(rect, "group");
        let holder = text.parent().and_then(|parent| parent.children().find(is_room));
        let room = holder.filter(|_| text.parent().is_some_and(|parent| !has_class(&parent, "legend")));
        let room = room.map_or(view, Sides::of);
        let words = text.children().find(|child| child.is_text()).and_then(|child| child.text()).unwrap_or_default();
        let width = unicode_width::UnicodeWidthStr::width(words) as f64 * size * 0.61;
        let x: f64 = text.attribute("x").unwrap().parse().unwrap();
        let y: f64 = text.attribute("y").unwrap().parse().unwrap();
        let left = if matches!(text.attribute("class"), Some("mark" | "signed")) { x - width / 2.0 } else { x };
        assert!(left >= room.left && left + width <= room.right, "{name}: `{words}` is wider than its place");
        assert!(y - size * 0.75 >= room.top && y + size * 0.25 <= room.bottom, "{name}: `{words}` is higher");
    }
}

/// A picture of so many boxes, wired as pseudo-random numbers say it.
fn large(number: usize, seed: u64) -> Picture {
    let mut state = seed;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let third = number.div_ceil(3);
    let title = |column, at: usize, word: &str| Group { column, title: format!("{word}{at}"), detail: String::new() };
    let mut groups: Vec<_> = (0..third.div_ceil(3)).map(|at| title(Column::Links, at, "interface eth")).collect();
    let objects = groups.len();
    groups.extend(
        (0..third.div_ceil(2))
            .map(|at| Group { detail: "filter.bpf.o".to_owned(), ..title(Column::Programs, at, "object.o") }),
    );
    let mut boxes = Vec::new();
    for at in 0..number {
        let (column, word, group) = match at / third {
            0 => (Column::Links, "link", Some(below(objects))),
            1 => (Column::Programs, "program", Some(objects + at % (groups.len() - objects))),
            _ => (Column::Maps, "map", None),
        };
        let long = if at % 17 == 0 { "_with_a_name_that_nobody_would_want_to_read_twice" } else { "" };
        let rows = if column == Column::Maps { below(5) } else { 0 };
        let rows: Vec<_> = (0..rows).map(|row| format!("{row}: what a row says")).collect();
        let sharing = if rows.len() > 2 { Sharing::Shared } else { Sharing::Own };
        let (address, kind) = (format!("{word}.n{at}{long}"), "hash, 4 B key, 8 B value, 100 entries".to_owned());
        let marker = Some(if at % 3 == 0 { Marker::Change } else { Marker::Create });
        boxes.push(Node {
            address,
            marker,
            column,
            group,
            kind,
            symbols: rows.len() / 2,
            rows,
            sharing,
            story: Vec::new(),
        });
    }
    // As pictures of plans have them: a group is there because a box is in it.
    let used: Vec<_> = (0..groups.len()).filter(|group| boxes.iter().any(|node| node.group == Some(*group))).collect();
    boxes
        .iter_mut()
        .for_each(|node| node.group = node.group.and_then(|group| used.iter().position(|known| *known == group)));
    let groups = used.into_iter().map(|group| groups[group].clone()).collect();
    let mut edges: Vec<_> = (0..number + number / 2)
        .map(|_| {
            let [from, to] = [below(number), below(number)].map(|node| {
                let rows = boxes[node].rows.len();
                End { node, row: (rows > 0).then(|| below(rows)) }
            });
            Edge { from, to, kind: EdgeKind::ALL[below(6)].0, change: [Change::None, Change::Comes][below(20) / 19] }
        })
        // Two links are never joined.
        .filter(|edge| edge.from.node != edge.to.node && (edge.from.node >= third || edge.to.node >= third))
        .collect();
    edges.sort_unstable();
    edges.dedup();
    Picture { name: "edge".to_owned(), about: "a picture".to_owned(), groups, boxes, edges }
}

#[test]
fn large_pictures_have_room_for_everything() {
    for (number, seed) in [(3, 1), (5, 2), (12, 3), (30, 4), (100, 5)] {
        look(&format!("{number} boxes"), &large(number, seed));
    }
}

/// Thousands of boxes are nobody's picture, and yet they are drawn.
#[test]
fn huge_pictures_are_drawn() {
    let start = std::time::Instant::now();
    let text = svg(&large(2_000, 6));
    assert!(text.ends_with("</svg>\n"));
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn an_empty_picture_is_one() {
    look("nothing", &Picture { name: "edge".to_owned(), ..Picture::default() });
}

/// A picture of one link, one program, one map, all of which are called like this.
fn called(text: &str) -> Picture {
    let mut picture = large(3, 1);
    picture.name = text.to_owned();
    picture.about = text.to_owned();
    for (number, node) in picture.boxes.iter_mut().enumerate() {
        node.address = format!("{number}{text}");
        node.kind = text.to_owned();
        node.rows = vec![text.to_owned()];
        node.story = vec![text.to_owned()];
    }
    picture.groups.iter_mut().for_each(|group| group.title = text.to_owned());
    let end = |node| End { node, row: Some(0) };
    let edge = Edge { from: end(1), to: end(2), kind: EdgeKind::Shares, change: Change::Goes };
    picture.edges = vec![edge];
    picture
}

/// Everything that means something in one of the formats.
const ODD: &str = r##"a"b'c\d&amp;<e>{f}|g|[h](i)`j`#35;*k*_l_~m~;%% -->--- : # $n\n\l 漢字 ]]>"##;

#[test]
fn odd_names_are_only_names() {
    let picture = called(ODD);
    look("odd", &picture);
    let document = svg(&picture);
    let document = Document::parse(&document).expect("XML");
    assert!(document.descendants().any(|node| node.text().is_some_and(|text| text.starts_with(&format!("0{ODD}")))));
    let text = mermaid(&picture);
    for line in text.lines().filter(|line| line.contains('"') && !line.starts_with("title")) {
        let [_, inside, behind] = *line.splitn(3, '"').collect::<Vec<_>>() else { panic!("{line}") };
        let is_code = |part: &str| part.split_once(';').is_some_and(|(code, _)| code.parse::<u32>().is_ok());
        assert!(inside.split('#').skip(1).all(is_code), "{line}");
        assert!(!inside.replace("<br>", "").contains(['<', '>', '`', '*', '|']), "{line}");
        assert!(!behind.contains('"'), "{line}");
    }
    match graphviz(&dot(&picture), "plain") {
        Some(plain) => assert_eq!(plain.lines().filter(|line| line.starts_with("node ")).count(), 3, "{plain}"),
        None => eprintln!("skipped: there is no `dot` here"),
    }
}

/// Has Graphviz read a graph; `None` where it is not installed.
#[track_caller]
fn graphviz(text: &str, format: &str) -> Option<String> {
    let mut command = Command::new("dot");
    let dot = command.arg(format!("-T{format}")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut dot = dot.spawn().ok()?;
    dot.stdin.take().expect("it reads").write_all(text.as_bytes()).expect("it reads all");
    let output = dot.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    // It may say that there are no fonts.
    assert!(output.status.success() && !said.contains("syntax error"), "{said}\n{text}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn graphviz_reads_every_picture() {
    for (name, picture) in cases() {
        if graphviz(&dot(&picture), "canon").is_none() {
            return eprintln!("skipped: there is no `dot` here");
        }
        eprintln!("{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_picture_has_room_for_everything(number in 3usize..40, seed in any::<u64>()) {
        look("any", &large(number, seed));
    }

    /// Pictures of plans have no characters in them that cannot be seen.
    #[test]
    fn any_name_is_only_a_name(text in "\\PC{0,80}") {
        let picture = called(&text);
        look("any name", &picture);
        let dot = dot(&picture);
        let quotes = dot.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        prop_assert_eq!(quotes % 2, 0);
    }
}

#[test]
fn the_folder_has_no_other_goldens() {
    let known: Vec<PathBuf> = cases().iter().map(|(name, _)| PathBuf::from(name)).collect();
    for entry in fs::read_dir(repository().join("tests/graphs")).expect("it is there") {
        let path = PathBuf::from(entry.expect("an entry").file_name()).with_extension("");
        assert!(known.contains(&path), "{} belongs to no case", path.display());
    }
}
