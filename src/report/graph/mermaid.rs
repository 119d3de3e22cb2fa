//! A picture in the language of Mermaid, which forges draw in issues, pull requests and documents.

use super::model::{Change, Column, Edge, EdgeKind, Node, Picture, Sharing};
use super::{COLOURS, class};
use std::fmt::{self, Display, Write};

/// Writes a picture as a flowchart.
pub fn mermaid(picture: &Picture) -> String {
    let mut text =
        format!("---\ntitle: {}\n---\nflowchart LR\n", Yaml(&format!("{}: {}", picture.name, picture.about)));
    for (number, group) in picture.groups.iter().enumerate() {
        // Of a second line of a title boxes would cover a part.
        text += &format!("  subgraph g{number}[{}]\n", Lines(std::slice::from_ref(&group.title)));
        let boxes = picture.boxes.iter().enumerate().filter(|(_, node)| node.group == Some(number));
        boxes.for_each(|(number, node)| text += &format!("    {}", shape(number, node)));
        text += "  end\n";
    }
    let alone = picture.boxes.iter().enumerate().filter(|(_, node)| node.group.is_none());
    alone.for_each(|(number, node)| text += &format!("  {}", shape(number, node)));
    picture.edges.iter().for_each(|edge| text += &line(picture, edge));
    text + &classes(picture)
}

/// Draws a map as a cylinder, and everything else as a box with round corners.
fn shape(number: usize, node: &Node) -> String {
    let lines = Lines(&node.lines()).to_string();
    match node.column {
        Column::Maps => format!("b{number}[({lines})]\n"),
        Column::Links | Column::Programs => format!("b{number}({lines})\n"),
    }
}

fn line(picture: &Picture, edge: &Edge) -> String {
    let arrow = match (edge.kind, edge.change) {
        (_, Change::Goes) | (EdgeKind::Holds | EdgeKind::Extends | EdgeKind::Defines, _) => "-.->",
        (EdgeKind::Shares, Change::None | Change::Comes) => "==>",
        (EdgeKind::Runs | EdgeKind::Uses, Change::None | Change::Comes) => "-->",
    };
    let words = edge.words(picture);
    let words = if words.is_empty() { String::new() } else { format!("|{}|", Lines(&[words])) };
    format!("  b{} {arrow}{words} b{}\n", edge.from.node, edge.to.node)
}

/// Gives each box the colours of its marker, and a frame that says who has it.
fn classes(picture: &Picture) -> String {
    let mut text = String::new();
    let mut give = |name: &str, style: &str, holds: &dyn Fn(&Node) -> bool| {
        let boxes = picture.boxes.iter().enumerate().filter(|(_, node)| holds(node));
        let boxes: Vec<_> = boxes.map(|(number, _)| format!("b{number}")).collect();
        if !boxes.is_empty() {
            text += &format!("  classDef {name} {style}\n  class {} {name}\n", boxes.join(","));
        }
    };
    for colours in &COLOURS {
        let [fill, stroke, _] = colours.light;
        let style = format!("fill:{fill},stroke:{stroke},color:#1f2328");
        give(colours.class, &style, &|node| node.marker.map(class) == Some(colours.class));
    }
    give("shared", "stroke-width:4px", &|node| node.sharing == Sharing::Shared);
    give("foreign", "stroke-dasharray:6 3", &|node| node.sharing == Sharing::Foreign);
    text
}

/// A quoted string of lines. Mermaid has codes for characters that mean something to it, or to Markdown, which it reads in
/// strings too: `#34;`. A line that begins with `- ` or `1. ` would be a list, which it then refuses to draw.
struct Lines<'a>(&'a [String]);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CODED: &str = "\"#&<>`*_\\;|~";
        f.write_char('"')?;
        for (number, line) in self.0.iter().enumerate() {
            f.write_str(if number > 0 { "<br>" } else { "" })?;
            for (at, c) in line.chars().enumerate() {
                match CODED.contains(c) || at == 0 && c.is_ascii() && !c.is_ascii_alphabetic() {
                    true => write!(f, "#{};", u32::from(c))?,
                    false => f.write_char(c)?,
                }
            }
        }
        f.write_char('"')
    }
}

/// A quoted string of YAML: as in JSON.
struct Yaml<'a>(&'a str);

impl Display for Yaml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
