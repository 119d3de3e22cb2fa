//! A plan as a picture: what is attached where, which programs that runs, and which maps these share.
//!
//! - [`model`]: what is in the picture, without a place for it
//! - [`layout`]: places for all of it, in three columns
//! - [`svg`], [`dot`], [`mermaid`]: the picture as text
//!
//! Packets go from left to right: from the place where a link is attached to the program that it runs, and from there to
//! the maps. Colours say again what a marker says, and never more.

pub mod dot;
pub mod layout;
pub mod mermaid;
pub mod model;
pub mod svg;

pub use model::{Picture, picture};

use super::layout::{Style, clean};
use crate::plan::Marker;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Every marker with what it says, in the order of a legend.
const MARKERS: [(Marker, &str); 6] = [
    (Marker::Create, "create"),
    (Marker::Change, "change in place"),
    (Marker::CreateThenDestroy, "replace: create, then destroy"),
    (Marker::DestroyThenCreate, "replace: destroy, then create"),
    (Marker::Remove, "remove"),
    (Marker::Reuse, "keep as it is"),
];

/// Returns the word that stands for a marker where it is no name: in a class of SVG or Mermaid.
fn class(marker: Marker) -> &'static str {
    match marker {
        Marker::Create => "create",
        Marker::Change => "change",
        Marker::CreateThenDestroy | Marker::DestroyThenCreate => "replace",
        Marker::Remove => "remove",
        Marker::Reuse => "keep",
    }
}

/// The colours of a class: of a box, its frame, and its marker.
struct Colours {
    class: &'static str,
    light: [&'static str; 3],
    dark: [&'static str; 3],
}

/// Greens, ambers, violets and reds that differ in lightness as well, for those who do not see the hues.
const COLOURS: [Colours; 5] = [
    Colours { class: "create", light: ["#ebf8ef", "#1a7f37", "#116329"], dark: ["#12261a", "#3fb950", "#7ee2a8"] },
    Colours { class: "change", light: ["#fff8e1", "#b08800", "#7a5200"], dark: ["#2b2310", "#d2991f", "#f2cc60"] },
    Colours { class: "replace", light: ["#f6effe", "#8250df", "#6033b0"], dark: ["#231a38", "#a371f7", "#d2b3ff"] },
    Colours { class: "remove", light: ["#fff0ef", "#cf222e", "#a0111f"], dark: ["#331618", "#f85149", "#ffa198"] },
    Colours { class: "keep", light: ["#f6f8fa", "#8c959f", "#57606a"], dark: ["#1c2128", "#6e7681", "#9ea7b3"] },
];

/// Replaces whatever is no letter to see, a line break too, by an escape: no format shows it, and XML refuses some of it.
fn harmless(text: &str) -> String {
    clean(text, &Style::default()).into_owned()
}

/// Takes a text's middle out when it has more columns than that: names differ at both ends.
fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let half = columns.saturating_sub(1);
    let head = fitting(text.chars(), half - half / 2);
    let tail: String = fitting(text.chars().rev(), half / 2).chars().rev().collect();
    format!("{head}…{tail}")
}

/// Returns the first characters that have at most so many columns.
fn fitting(text: impl Iterator<Item = char>, columns: usize) -> String {
    let mut width = 0;
    text.take_while(|c| {
        width += c.width().unwrap_or(0);
        width <= columns
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_names_lose_their_middle() {
        for (text, columns, expected) in [
            ("blocklist", 9, "blocklist"),
            ("blocklist", 8, "bloc…ist"),
            ("blocklist", 1, "…"),
            ("blocklist", 0, "…"),
            ("漢字漢字漢字", 8, "漢字…字"),
        ] {
            assert_eq!(shortened(text, columns), expected, "{text} in {columns}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shortened_fits(text in any::<String>(), columns in 1usize..40) {
            prop_assert!(shortened(&harmless(&text), columns).width() <= columns);
        }

        #[test]
        fn what_is_harmless_is_in_xml(text in any::<String>()) {
            let is_xml = |c: char| matches!(c, ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            prop_assert!(harmless(&text).chars().all(is_xml));
        }
    }
}
