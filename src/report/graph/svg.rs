//! A picture as SVG: one file without scripts, fonts or anything else from elsewhere, for light and for dark.
//!
//! The letters are those of the reader's own monospaced font, whose width is known well enough to keep them in their
//! boxes. What is shortened to fit is there as a whole in a `<title>`, which browsers show under the mouse.

use super::layout::{
    BADGE, Curve, HEAD, Layout, MARGIN, PADDING, Rect, TEXT_SIZE, layout, name_text, row_middle, small_text, text_width,
};
use super::model::{Change, Column, Edge, EdgeKind, Group, Node, Picture, Sharing};
use super::{COLOURS, MARKERS, class};
use crate::plan::Marker;
use crate::report::layout::Xml;
use std::collections::BTreeSet;
use std::fmt::{self, Display, Write};

/// Height of the letters of the picture's title.
const TITLE_SIZE: f64 = 20.0;

/// Height of a line of the legend.
const LEGEND_ROW: f64 = 26.0;

/// Width of a sample in the legend.
const SAMPLE: f64 = 36.0;

/// The legend and the title need this much.
const LEAST_WIDTH: f64 = 640.0;

/// Colours of everything that is no box: what it is, the property, in the light, and in the dark.
const INK: &[(&str, &str, &str, &str)] = &[
    (".ground", "fill", "#ffffff", "#0d1117"),
    (".ground", "stroke", "#d0d7de", "#30363d"),
    ("text", "fill", "#1f2328", "#e6edf3"),
    (".muted", "fill", "#59636e", "#9198a1"),
    (".group", "fill", "#f6f8fa", "#151b23"),
    (".group", "stroke", "#d0d7de", "#3d444d"),
    (".rule", "stroke", "#d0d7de", "#3d444d"),
    (".halo", "stroke", "#0969da", "#4493f8"),
    (".line", "stroke", "#59636e", "#9198a1"),
    (".tip", "fill", "#59636e", "#9198a1"),
    (".line.uses", "stroke", "#8c959f", "#6e7681"),
    (".tip.uses", "fill", "#8c959f", "#6e7681"),
    (".line.shares", "stroke", "#0969da", "#4493f8"),
    (".tip.shares", "fill", "#0969da", "#4493f8"),
    (".line.comes,.sign.comes", "stroke", "#1a7f37", "#3fb950"),
    (".tip.comes", "fill", "#1a7f37", "#3fb950"),
    (".line.goes,.sign.goes", "stroke", "#cf222e", "#f85149"),
    (".tip.goes", "fill", "#cf222e", "#f85149"),
    (".sign", "fill", "#ffffff", "#0d1117"),
];

/// What is the same in the light and in the dark.
const SHAPES: &str = "\
text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace}
.title{font-size:20px;font-weight:600}
.name,.mark{font-size:13px;font-weight:600}
.mark,.signed{text-anchor:middle}
.signed{font-size:13px;font-weight:600}
.frame{stroke-width:1.5}
.foreign .frame{stroke-dasharray:6 3}
.halo{fill:none;stroke-width:2.5}
.line{fill:none;stroke-width:1.6}
.tip{stroke:none}
.line.uses{stroke-width:1.3}
.line.shares{stroke-width:2.2}
.line.holds{stroke-dasharray:7 4}
.line.extends{stroke-dasharray:2 4;stroke-width:2}
.line.defines{stroke-dasharray:1 4;stroke-linecap:round}
.line.goes{stroke-dasharray:3 3}
.sign{stroke-width:1.3}
";

/// Writes a picture as a file of SVG 1.1.
pub fn svg(picture: &Picture) -> String {
    let layout = layout(picture);
    let titles = [(picture.name.as_str(), TITLE_SIZE), (picture.about.as_str(), TEXT_SIZE)];
    let titles = titles.map(|(text, size)| text_width(text, size) + 2.0 * MARGIN);
    let width = titles.into_iter().fold(layout.size.0.max(LEAST_WIDTH), f64::max).ceil();
    let (legend, legend_height) = legend(picture, layout.size.1, width);
    let height = (layout.size.1 + legend_height + MARGIN / 2.0).ceil();
    let mut page = Page(String::new());
    page.open(picture, width, height);
    page.headings(picture, &layout);
    for (group, rect) in picture.groups.iter().zip(&layout.groups) {
        page.group(group, rect);
    }
    // What everybody has lies below what stands out.
    let mut edges: Vec<_> = picture.edges.iter().zip(&layout.curves).collect();
    edges.sort_by_key(|(edge, _)| (edge.change != Change::None, edge.kind == EdgeKind::Shares));
    for (edge, curve) in edges {
        page.edge(picture, edge, curve);
    }
    for ((node, rect), rows) in picture.boxes.iter().zip(&layout.boxes).zip(&layout.rows) {
        page.node(node, rect, rows);
    }
    page.0 += &legend;
    page.0 += "</svg>\n";
    page.0
}

/// Text on its way into a file.
struct Page(String);

impl Page {
    fn add(&mut self, text: fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("writing to a String never fails");
    }

    fn open(&mut self, picture: &Picture, width: f64, height: f64) {
        let (name, about) = (Xml(&picture.name), Xml(&picture.about));
        self.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"bpfapply-title bpfapply-desc\">\n\
             <title id=\"bpfapply-title\">{name}: {about}</title>\n\
             <desc id=\"bpfapply-desc\">{}</desc>\n<style>\n{SHAPES}",
            Xml(&description(picture)),
        ));
        for (is_dark, open, close) in [(false, "", ""), (true, "@media (prefers-color-scheme:dark){\n", "}\n")] {
            self.0 += open;
            self.colours(is_dark);
            self.0 += close;
        }
        self.add(format_args!(
            "</style>\n<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n",
            width - 1.0,
            height - 1.0
        ));
    }

    fn colours(&mut self, is_dark: bool) {
        for (what, property, light, dark) in INK {
            self.add(format_args!("{what}{{{property}:{}}}\n", if is_dark { dark } else { light }));
        }
        for colours in &COLOURS {
            let (name, [fill, stroke, mark]) = (colours.class, if is_dark { colours.dark } else { colours.light });
            self.add(format_args!(
                ".{name} .frame{{fill:{fill};stroke:{stroke}}}.{name} .badge{{fill:{stroke};fill-opacity:.2}}\
                 .{name} .mark{{fill:{mark}}}\n"
            ));
        }
        let (fill, stroke) = if is_dark { ("#0d1117", "#6e7681") } else { ("#ffffff", "#8c959f") };
        self.add(format_args!(".thing .frame{{fill:{fill};stroke:{stroke}}}\n"));
    }

    fn headings(&mut self, picture: &Picture, layout: &Layout) {
        self.text("title", MARGIN, 40.0, &picture.name, None);
        self.text("muted", MARGIN, 61.0, &picture.about, None);
        for (column, (x, width)) in Column::ALL.iter().zip(layout.columns) {
            if width > 0.0 {
                self.text("muted", x, 88.0, column.heading(), None);
            }
        }
    }

    fn group(&mut self, group: &Group, rect: &Rect) {
        self.add(format_args!("<g class=\"holder\">\n"));
        self.rect("group", rect, 8.0);
        self.text("name", rect.x + PADDING, rect.y + 19.0, &name_text(&group.title), Some(&group.title));
        if !group.detail.is_empty() {
            self.text("muted", rect.x + PADDING, rect.y + 35.0, &small_text(&group.detail), Some(&group.detail));
        }
        self.0 += "</g>\n";
    }

    fn node(&mut self, node: &Node, rect: &Rect, rows: &[usize]) {
        let foreign = if node.sharing == Sharing::Foreign { " foreign" } else { "" };
        let class = node.marker.map_or("thing", class);
        self.add(format_args!("<g class=\"box {class}{foreign}\" data-address=\"{}\">\n", Xml(&node.address)));
        self.add(format_args!("<title>{}</title>\n", Xml(&story(node))));
        match node.sharing {
            Sharing::Shared => self.rect("halo", &grown(rect, 4.0), 9.0),
            Sharing::Own | Sharing::Foreign => {}
        }
        self.rect("frame", rect, 6.0);
        if let Some(marker) = node.marker {
            self.badge(marker, rect);
        }
        let x = rect.x + BADGE + PADDING;
        self.text("name", x, rect.y + 18.0, &name_text(&node.address), None);
        self.text("muted", x, rect.y + 33.5, &small_text(&node.kind), None);
        if !node.rows.is_empty() {
            let (left, right, y) = (rect.x + BADGE, rect.x + rect.width - 1.0, rect.y + HEAD - 0.5);
            self.add(format_args!("<path class=\"rule\" d=\"M{} {}H{}\"/>\n", Px(left), Px(y), Px(right)));
        }
        for (row, at) in node.rows.iter().zip(rows) {
            let whole = (small_text(row) != *row).then_some(row.as_str());
            self.text("row", x, rect.y + row_middle(*at) + 4.0, &small_text(row), whole);
        }
        self.0 += "</g>\n";
    }

    /// Draws the left part of a box, and the marker in it.
    fn badge(&mut self, marker: Marker, rect: &Rect) {
        let Rect { x, y, height, .. } = *rect;
        self.add(format_args!(
            "<path class=\"badge\" d=\"M{0} {1}h-{2}a6 6 0 0 0 -6 6v{3}a6 6 0 0 0 6 6h{2}z\"/>\n",
            Px(x + BADGE),
            Px(y),
            Px(BADGE - 6.0),
            Px(height - 12.0),
        ));
        self.text("mark", x + BADGE / 2.0, y + HEAD / 2.0 + 4.5, &marker.to_string(), None);
    }

    fn edge(&mut self, picture: &Picture, edge: &Edge, curve: &Curve) {
        let [from, to] = [edge.from, edge.to].map(|end| &picture.boxes[end.node].address);
        let class = edge_class(edge);
        self.add(format_args!("<g class=\"edge\" data-from=\"{}\" data-to=\"{}\">\n", Xml(from), Xml(to)));
        self.curve(&class, curve);
        if let (Some(sign), [start, _, _, end, ..]) = (change_sign(edge.change), &*curve.points) {
            self.sign(&class, sign, (start.0 + end.0) / 2.0, (start.1 + end.1) / 2.0);
        }
        self.0 += "</g>\n";
    }

    fn curve(&mut self, class: &str, curve: &Curve) {
        let [start, rest @ ..] = &*curve.points else { return };
        let mut path = format!("M{} {}", Px(start.0), Px(start.1));
        for piece in rest.chunks(3) {
            let points = piece.iter().map(|(x, y)| format!("{} {}", Px(*x), Px(*y)));
            path.push('C');
            path += &points.collect::<Vec<_>>().join(" ");
        }
        self.add(format_args!("<path class=\"line {class}\" d=\"{path}\"/>\n"));
        // Every line ends level, so its tip points left or right.
        let [.., (before, _), (x, y)] = rest else { return };
        let back = if before < x { -8.0 } else { 8.0 };
        let (upper, lower) = (y - 4.0, y + 4.0);
        self.add(format_args!(
            "<path class=\"tip {class}\" d=\"M{} {}L{} {}L{} {}z\"/>\n",
            Px(*x),
            Px(*y),
            Px(x + back),
            Px(upper),
            Px(x + back),
            Px(lower),
        ));
    }

    fn sign(&mut self, class: &str, sign: &str, x: f64, y: f64) {
        self.add(format_args!("<circle class=\"sign {class}\" cx=\"{}\" cy=\"{}\" r=\"8\"/>\n", Px(x), Px(y)));
        self.text("signed", x, y + 4.5, sign, None);
    }

    fn rect(&mut self, class: &str, rect: &Rect, radius: f64) {
        let Rect { x, y, width, height } = *rect;
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{radius}\"/>\n",
            Px(x),
            Px(y),
            Px(width),
            Px(height)
        ));
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str, whole: Option<&str>) {
        self.add(format_args!("<text class=\"{class}\" x=\"{}\" y=\"{}\">", Px(x), Px(y)));
        if let Some(whole) = whole {
            self.add(format_args!("<title>{}</title>", Xml(whole)));
        }
        self.add(format_args!("{}</text>\n", Xml(text)));
    }
}

/// What a line of the legend shows beside its words.
enum Sample {
    Marker(Marker),
    Sharing(Sharing),
    Line(EdgeKind, Change),
}

/// Draws what is in the picture with what it says, and returns how high that is.
fn legend(picture: &Picture, top: f64, width: f64) -> (String, f64) {
    let mut page = Page(String::new());
    let (mut x, mut y) = (MARGIN, top);
    page.add(format_args!("<g class=\"legend\">\n"));
    let rule = (MARGIN, width - MARGIN);
    page.add(format_args!("<path class=\"rule\" d=\"M{} {}H{}\"/>\n", Px(rule.0), Px(y - 8.5), Px(rule.1)));
    for (sample, words) in samples(picture) {
        let whole = SAMPLE + 8.0 + text_width(words, TEXT_SIZE);
        if x > MARGIN && x + whole > width - MARGIN {
            (x, y) = (MARGIN, y + LEGEND_ROW);
        }
        page.sample(&sample, x, y);
        page.text("muted", x + SAMPLE + 8.0, y + 14.0, words, None);
        x += whole + 24.0;
    }
    page.0 += "</g>\n";
    (page.0, y + LEGEND_ROW - top)
}

impl Page {
    fn sample(&mut self, sample: &Sample, x: f64, y: f64) {
        let rect = Rect { x, y, width: SAMPLE, height: 20.0 };
        match sample {
            Sample::Marker(marker) => {
                self.add(format_args!("<g class=\"{}\">\n", class(*marker)));
                self.rect("frame", &rect, 6.0);
                self.text("mark", x + SAMPLE / 2.0, y + 14.5, &marker.to_string(), None);
                self.0 += "</g>\n";
            }
            Sample::Sharing(sharing) => {
                let foreign = if *sharing == Sharing::Foreign { " foreign" } else { "" };
                let rect = grown(&rect, -4.0);
                self.add(format_args!("<g class=\"thing{foreign}\">\n"));
                if *sharing == Sharing::Shared {
                    self.rect("halo", &grown(&rect, 3.0), 7.0);
                }
                self.rect("frame", &rect, 4.0);
                self.0 += "</g>\n";
            }
            Sample::Line(kind, change) => {
                let (left, right, y) = (x, x + SAMPLE, y + 10.0);
                let points = vec![(left, y), (left + 12.0, y), (right - 12.0, y), (right, y)];
                let class = change_class(*change).unwrap_or(kind_class(*kind));
                self.curve(class, &Curve { points });
                let sign = change_sign(*change);
                sign.into_iter().for_each(|sign| self.sign(class, sign, x + SAMPLE / 2.0 - 3.0, y));
            }
        }
    }
}

fn samples(picture: &Picture) -> Vec<(Sample, &'static str)> {
    let markers: BTreeSet<_> = picture.boxes.iter().filter_map(|node| node.marker).collect();
    let markers = MARKERS.into_iter().filter(move |(marker, _)| markers.contains(marker));
    let markers = markers.map(|(marker, words)| (Sample::Marker(marker), words));
    let sharing = [(Sharing::Shared, "map of several objects"), (Sharing::Foreign, "somebody else's map")];
    let has = |sharing| picture.boxes.iter().any(|node| node.sharing == sharing);
    let sharing = sharing.into_iter().filter(|(sharing, _)| has(*sharing));
    let sharing = sharing.map(|(sharing, words)| (Sample::Sharing(sharing), words));
    let is_drawn = |kind| picture.edges.iter().any(|edge| edge.kind == kind && edge.change == Change::None);
    let lines = EdgeKind::ALL.into_iter().filter(|(kind, _)| is_drawn(*kind));
    let lines = lines.map(|(kind, words)| (Sample::Line(kind, Change::None), words));
    let changes = [(Change::Comes, "use that comes"), (Change::Goes, "use that goes")];
    let changes = changes.into_iter().filter(|(change, _)| picture.edges.iter().any(|edge| edge.change == *change));
    let changes = changes.map(|(change, words)| (Sample::Line(EdgeKind::Uses, change), words));
    markers.chain(sharing).chain(lines).chain(changes).collect()
}

fn kind_class(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Runs => "runs",
        EdgeKind::Uses => "uses",
        EdgeKind::Shares => "shares",
        EdgeKind::Holds => "holds",
        EdgeKind::Extends => "extends",
        EdgeKind::Defines => "defines",
    }
}

fn change_class(change: Change) -> Option<&'static str> {
    match change {
        Change::None => None,
        Change::Comes => Some("comes"),
        Change::Goes => Some("goes"),
    }
}

fn change_sign(change: Change) -> Option<&'static str> {
    match change {
        Change::None => None,
        Change::Comes => Some("+"),
        Change::Goes => Some("-"),
    }
}

fn edge_class(edge: &Edge) -> String {
    match change_class(edge.change) {
        None => kind_class(edge.kind).to_owned(),
        Some(change) => format!("{} {change}", kind_class(edge.kind)),
    }
}

/// Returns what a box says to those who point at it: its whole address, what it is, and each step of the plan.
fn story(node: &Node) -> String {
    let what = if node.kind.is_empty() { node.address.clone() } else { format!("{}: {}", node.address, node.kind) };
    [what].iter().chain(&node.story).cloned().collect::<Vec<_>>().join("\n")
}

/// Says in words what the picture shows, for those who do not see it: what changes, and which maps are shared.
fn description(picture: &Picture) -> String {
    let mut sentences = Vec::new();
    for (marker, words) in MARKERS {
        let boxes = picture.boxes.iter().filter(|node| node.marker == Some(marker));
        let names: Vec<_> = boxes.map(|node| node.address.as_str()).collect();
        if !names.is_empty() {
            sentences.push(format!("{words}: {}.", names.join(", ")));
        }
    }
    let shared = picture.boxes.iter().enumerate().filter(|(_, node)| node.sharing != Sharing::Own);
    for (number, map) in shared {
        let edges = picture.edges.iter().filter(|edge| edge.to.node == number && edge.kind == EdgeKind::Shares);
        let programs: BTreeSet<_> = edges.map(|edge| picture.boxes[edge.from.node].address.as_str()).collect();
        let programs: Vec<_> = programs.into_iter().collect();
        sentences.push(format!("{} is used by {}.", map.address, programs.join(", ")));
    }
    sentences.join(" ")
}

fn grown(rect: &Rect, by: f64) -> Rect {
    Rect { x: rect.x - by, y: rect.y - by, width: rect.width + 2.0 * by, height: rect.height + 2.0 * by }
}

/// A number of pixels, to a tenth.
struct Px(f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 10.0).round() / 10.0)
    }
}
