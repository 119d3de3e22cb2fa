//! A picture in the language of Graphviz, for those who lay it out themselves: `dot -Tpdf plan.dot`.

use super::model::{Change, Edge, EdgeKind, Node, Picture, Sharing};
use super::{COLOURS, class};
use std::fmt::{self, Display, Write};

/// Writes a picture as a directed graph.
pub fn dot(picture: &Picture) -> String {
    let mut text = format!(
        "digraph {} {{\n  label={};\n  labelloc=t; rankdir=LR; fontname=monospace;\n  \
         node [shape=box, style=\"rounded,filled\", fontname=monospace];\n  edge [fontname=monospace];\n",
        Quoted(&picture.name),
        Quoted(&format!("{}: {}", picture.name, picture.about)),
    );
    for (number, group) in picture.groups.iter().enumerate() {
        let title = [&group.title, &group.detail].into_iter().filter(|part| !part.is_empty());
        let title = title.map(String::as_str).collect::<Vec<_>>();
        text += &format!("  subgraph cluster_{number} {{\n    label={}; style=rounded;\n", Lines(&title));
        let boxes = picture.boxes.iter().filter(|node| node.group == Some(number));
        boxes.for_each(|node| text += &format!("    {}", BoxLine(node)));
        text += "  }\n";
    }
    let alone = picture.boxes.iter().filter(|node| node.group.is_none());
    alone.for_each(|node| text += &format!("  {}", BoxLine(node)));
    picture.edges.iter().for_each(|edge| text += &line(picture, edge));
    text + "}\n"
}

/// A line for a box: its address, what it is, what it consists of.
struct BoxLine<'a>(&'a Node);

impl Display for BoxLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.0;
        let lines = node.lines();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let class = node.marker.map(class);
        let colours = COLOURS.iter().find(|colours| Some(colours.class) == class).map(|colours| colours.light);
        let [fill, stroke, _] = colours.unwrap_or(["#ffffff", "#8c959f", ""]);
        let more = match node.sharing {
            Sharing::Own => "",
            Sharing::Shared => ", penwidth=3, peripheries=2",
            Sharing::Foreign => ", style=\"rounded,filled,dashed\"",
        };
        let (address, label) = (Quoted(&node.address), Lines(&lines));
        writeln!(f, "{address} [label={label}, fillcolor=\"{fill}\", color=\"{stroke}\"{more}];")
    }
}

fn line(picture: &Picture, edge: &Edge) -> String {
    let [from, to] = [edge.from, edge.to].map(|end| Quoted(&picture.boxes[end.node].address));
    let style = match edge.kind {
        EdgeKind::Runs | EdgeKind::Uses => "style=solid",
        EdgeKind::Shares => "style=bold, color=\"#0969da\"",
        EdgeKind::Holds => "style=dashed",
        EdgeKind::Extends | EdgeKind::Defines => "style=dotted",
    };
    let words = edge.words(picture);
    let words = if words.is_empty() { String::new() } else { format!(", label={}", Quoted(&words)) };
    let colour = match edge.change {
        Change::None => "",
        Change::Comes => ", fontcolor=\"#1a7f37\"",
        Change::Goes => ", fontcolor=\"#cf222e\"",
    };
    format!("  {from} -> {to} [{style}{words}{colour}];\n")
}

/// A quoted string; a backslash begins an escape in labels.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Lines(&[self.0]).fmt(f)
    }
}

/// A quoted string of lines.
struct Lines<'a>(&'a [&'a str]);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for (at, line) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "\\n" } else { "" })?;
            for c in line.chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    // Labels know the entities of HTML.
                    '&' => f.write_str("&amp;")?,
                    _ => f.write_char(c)?,
                }
            }
        }
        f.write_char('"')
    }
}
