//! What a map holds, and how fast it changes, for people and for programs.
//!
//! Entries are written block after block, so that a map of millions needs no more memory than a small one. As JSON it
//! is one document with an entry in each line, and for rates a document in each line.

use super::json::{FORMAT, Format};
use super::layout::{Page, Paint, Style, Text};
use crate::cells::{Cell, Layout, Names};
use crate::entries::{Changes, Entries};
use crate::kinds::MapType;
use crate::plan::words::count;
use schemars::JsonSchema;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How many entries are written at a time: so many are sorted by key, more come in the kernel's order.
const BLOCK: usize = 1000;
/// The most columns, of a hundred, that keys take from what stands behind them.
const MOST_FOR_KEYS: usize = 60;

/// The map.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Head {
    /// Its address: `map.flows`.
    pub address: String,
    /// Its id.
    pub id: u32,
    /// Type.
    #[schemars(with = "String")]
    pub r#type: MapType,
    /// Capacity.
    pub max_entries: u32,
    /// Whether its contents are secret, and nobody asked to see them all the same.
    pub masked: bool,
}

/// What of a map is written, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// For people; `None` for JSON.
    pub style: Option<Style>,
    /// The most entries; `None` for all.
    pub limit: Option<usize>,
    /// Whether the values of all CPUs are added up.
    pub sum: bool,
}

/// A list of entries under way.
pub struct Listing<'a> {
    head: &'a Head,
    layout: &'a Layout,
    names: &'a dyn Names,
    options: Options,
    /// Columns that keys have had so far.
    key_width: usize,
    rows: Vec<Row>,
    shown: usize,
    count: usize,
    blocks: usize,
}

/// An entry in words.
struct Row {
    order: Order,
    key: String,
    /// One, or one for each CPU; one document for JSON.
    values: Vec<String>,
}

/// By what entries are sorted: keys that are numbers by these, others by their bytes.
type Order = (i128, Vec<u8>);

fn order(key: &Cell<'_>, bytes: &[u8]) -> Order {
    match key.value() {
        crate::btf::value::Value::Int(number) => (number, Vec::new()),
        _ => (0, bytes.to_vec()),
    }
}

/// What `bpfapply show map.NAME --output json` writes.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply entries")]
struct DocumentJson<'a> {
    format: Format,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum What<'a> {
    /// What the map holds.
    Entries {
        #[serde(flatten)]
        head: &'a Head,
        /// Each entry, or as many as were asked for; none of a map whose contents are masked.
        #[schemars(with = "Vec<EntryJson>")]
        entries: [EntryJson; 0],
        /// How many the map has.
        count: usize,
        /// How many of them are here.
        shown: usize,
    },
    /// With `--watch`, on a line for each round: which entries changed since the round before, and how fast.
    Rates(RatesJson<'a>),
}

/// Of values there is one, or one for each CPU.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("oneOf" = [{ "required": ["value"] }, { "required": ["values"] }]))]
struct EntryJson {
    /// By its type, or bytes as `hex:0a0b`.
    key: serde_json::Value,
    /// The same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
    /// Of each CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<serde_json::Value>>,
}

/// Returns the JSON schema of both documents.
pub fn schema() -> serde_json::Value {
    super::json::schema::<DocumentJson<'_>>()
}

fn document(what: What<'_>) -> String {
    line(&DocumentJson { format: FORMAT, what })
}

/// Writes a value on one line.
fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("reports have only strings, numbers, lists and fields")
}

impl<'a> Listing<'a> {
    /// Starts a list.
    pub fn new(head: &'a Head, layout: &'a Layout, names: &'a dyn Names, options: Options) -> Self {
        let limit = if head.masked { Some(0) } else { options.limit };
        let options = Options { limit, ..options };
        Self { head, layout, names, options, key_width: 3, rows: Vec::new(), shown: 0, count: 0, blocks: 0 }
    }

    /// Writes what comes before the entries.
    pub fn start(&self) -> String {
        match self.options.style {
            Some(style) => {
                let mut page = Page::new(style);
                let Head { address, id, r#type, max_entries, .. } = self.head;
                let what = format!(": {type}, id {id}, room for {}", count(u64::from(*max_entries), "entry"));
                page.line(Text::new(Paint::Heading, address).and(Paint::Plain, what), 2);
                page.finish()
            }
            None => {
                let (start, _) = self.around();
                format!("{start}[\n")
            }
        }
    }

    /// Takes keys and as many values. Returns what is to be written now.
    pub fn take(&mut self, keys: &[u8], values: &[u8], sizes: (usize, usize)) -> String {
        let mut out = String::new();
        for (key, value) in keys.chunks(sizes.0.max(1)).zip(values.chunks(sizes.1.max(1))) {
            self.count += 1;
            if self.options.limit.is_none_or(|limit| self.shown < limit) {
                self.shown += 1;
                let row = self.row(key, value);
                self.rows.push(row);
                if self.rows.len() == BLOCK {
                    out.push_str(&self.block());
                }
            }
        }
        out
    }

    /// Writes the rest, and how many entries there are.
    pub fn end(mut self) -> String {
        let mut out = self.block();
        match self.options.style {
            Some(style) => {
                let mut page = Page::new(style);
                page.line(self.summary(), 2);
                out.push_str(&page.finish());
            }
            None => {
                let (_, end) = self.around();
                out.push_str(&format!("\n]{end}\n"));
            }
        }
        out
    }

    /// Returns what stands before the list of entries in the document, and what behind it.
    fn around(&self) -> (String, String) {
        let (head, count, shown) = (self.head, self.count, self.shown);
        let document = document(What::Entries { head, entries: [], count, shown });
        let (start, end) = document.rsplit_once("[]").expect("it has an empty list of entries");
        (start.to_owned(), end.to_owned())
    }

    fn summary(&self) -> String {
        let all = count(self.count as u64, "entry");
        match (self.head.masked, self.shown == self.count) {
            (true, _) if self.count > 0 => format!("{all}, not shown: the map is sensitive (--reveal shows them)"),
            (_, true) => all,
            (_, false) => {
                format!("{} of {all} shown, {} more (--limit 0 shows all)", self.shown, self.count - self.shown)
            }
        }
    }

    /// The cells of an entry: those of each CPU unless they are added up, or cannot be.
    fn cells<'b>(&'b self, value: &'b [u8]) -> (Vec<Cell<'b>>, bool) {
        let sum = if self.options.sum { self.layout.sum(value) } else { None };
        match sum {
            Some(sum) => (vec![sum], false),
            None => (self.layout.values(value, self.names), self.head.r#type.is_per_cpu()),
        }
    }

    fn row(&self, key: &[u8], value: &[u8]) -> Row {
        let (key_cell, (cells, each_cpu)) = (self.layout.key(key), self.cells(value));
        let order = order(&key_cell, key);
        if self.options.style.is_some() {
            let number = |(cpu, cell): (usize, &Cell<'_>)| match each_cpu {
                true => format!("cpu {cpu}: {}", cell.text()),
                false => cell.text(),
            };
            return Row { order, key: key_cell.text(), values: cells.iter().enumerate().map(number).collect() };
        }
        let mut values: Vec<serde_json::Value> = cells.iter().map(|cell| cell.value().into()).collect();
        let one = if each_cpu { None } else { values.pop() };
        let entry = EntryJson { key: key_cell.value().into(), value: one, values: each_cpu.then_some(values) };
        Row { order, key: String::new(), values: vec![line(&entry)] }
    }

    /// Writes the entries that were taken.
    fn block(&mut self) -> String {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by(|a, b| a.order.cmp(&b.order));
        self.blocks += usize::from(!rows.is_empty());
        let Some(style) = self.options.style else {
            let lines: Vec<String> = rows.into_iter().flat_map(|row| row.values).collect();
            let comma = if self.blocks > 1 && !lines.is_empty() { ",\n" } else { "" };
            return format!("{comma}{}", lines.join(",\n"));
        };
        let mut page = Page::new(style);
        let keys = rows.iter().map(|row| Text::from(row.key.as_str()).width(&style));
        self.key_width = keys.chain([self.key_width]).max().unwrap_or(0).min(style.width * MOST_FOR_KEYS / 100);
        if self.blocks == 1 && !rows.is_empty() {
            let summed = self.options.sum && self.head.r#type.is_per_cpu();
            let value = if summed { "VALUE OF ALL CPUS" } else { "VALUE" };
            columns(&mut page, Paint::Heading, &["KEY", value], &[self.key_width]);
        }
        for row in rows {
            for (at, value) in row.values.iter().enumerate() {
                let key = if at == 0 { row.key.as_str() } else { "" };
                columns(&mut page, Paint::Plain, &[key, value], &[self.key_width]);
            }
        }
        page.finish()
    }
}

/// Writes cells side by side, each but the last with at least its width.
fn columns(page: &mut Page, paint: Paint, cells: &[&str], widths: &[usize]) {
    let style = *page.style();
    let mut text = Text::from("  ");
    for (at, cell) in cells.iter().enumerate() {
        let cell = Text::new(paint, cell);
        let used = cell.width(&style);
        text = text.join(cell);
        if let Some(width) = widths.get(at) {
            text = text.and(Paint::Plain, " ".repeat(width.saturating_sub(used) + 2));
        }
    }
    page.line(text, 4);
}

/// Which entries of a map changed, and how fast.
#[derive(Serialize, JsonSchema)]
struct RatesJson<'a> {
    /// The address of the map.
    address: &'a str,
    /// Its id.
    id: u32,
    /// Since the round before.
    seconds: f64,
    /// How many entries there are.
    entries: usize,
    /// How many of them have another value.
    changed: usize,
    /// How many of them are new.
    new: usize,
    /// How many are not there any more.
    gone: usize,
    /// The fastest ones first.
    rows: Vec<RateJson>,
}

/// An entry that changed or is new.
#[derive(Serialize, JsonSchema)]
struct RateJson {
    /// By its type, or bytes as `hex:0a0b`.
    key: serde_json::Value,
    /// That of all CPUs added up, where that can be.
    value: serde_json::Value,
    /// By the path of the number; empty for the value itself.
    per_second: BTreeMap<String, f64>,
}

/// An entry that changed.
struct Changed<'a> {
    key: &'a [u8],
    value: &'a [u8],
    rates: BTreeMap<String, f64>,
}

impl Changed<'_> {
    /// Its fastest number, in thousandths per second.
    fn speed(&self) -> u128 {
        self.rates.values().map(|rate| (rate.abs() * 1000.0) as u128).max().unwrap_or(0)
    }
}

/// Writes which entries of a map changed between two looks at it, and how fast: those that did so fastest come first.
pub fn rates(
    head: &Head,
    layout: &Layout,
    (before, now): (&Entries, &Entries),
    seconds: f64,
    options: &Options,
) -> String {
    let changes = Changes::between(before, now, |_| true);
    let rate = |old, (key, value)| Changed { key, value, rates: layout.rates(old, value, seconds) };
    let changed = changes.changed.iter().map(|entry| rate(before.get(entry.0), entry));
    let mut rows: Vec<_> = changed.chain(changes.added.iter().map(|entry| rate(None, entry))).collect();
    rows.sort_by_cached_key(|row| (Reverse(row.speed()), order(&layout.key(row.key), row.key)));
    let all = rows.len();
    rows.truncate(options.limit.unwrap_or(usize::MAX));
    let Some(style) = options.style else {
        let rows = rows.iter().map(|row| RateJson {
            key: layout.key(row.key).value().into(),
            value: value(layout, row).value().into(),
            per_second: row.rates.clone(),
        });
        let (changed, new, gone) = (changes.changed.len(), changes.added.len(), changes.removed.len());
        let rows = rows.collect();
        let (address, id, entries) = (head.address.as_str(), head.id, now.len());
        return document(What::Rates(RatesJson { address, id, seconds, entries, changed, new, gone, rows }));
    };
    let mut page = Page::new(style);
    let counts = format!(
        ": {} in {seconds:.1} s, {} changed, {} new, {} gone",
        count(now.len() as u64, "entry"),
        changes.changed.len(),
        changes.added.len(),
        changes.removed.len()
    );
    page.line(Text::new(Paint::Heading, &head.address).and(Paint::Plain, counts), 2);
    let texts: Vec<[String; 3]> =
        rows.iter().map(|row| [layout.key(row.key).text(), value(layout, row).text(), rate_text(&row.rates)]).collect();
    let width = |at: usize| {
        let widest = texts.iter().map(|row| Text::from(row[at].as_str()).width(&style)).max().unwrap_or(0);
        widest.max(5).min(style.width * MOST_FOR_KEYS / 100)
    };
    let widths = [width(0), width(1)];
    if !texts.is_empty() {
        columns(&mut page, Paint::Heading, &["KEY", "VALUE", "PER SECOND"], &widths);
    }
    texts.iter().for_each(|[key, value, rate]| columns(&mut page, Paint::Plain, &[key, value, rate], &widths));
    if all > texts.len() {
        page.line(format!("{} more changed", all - texts.len()), 2);
    }
    page.finish()
}

/// The value of an entry, that of all CPUs added up where that can be.
fn value<'a>(layout: &'a Layout, row: &Changed<'a>) -> Cell<'a> {
    layout.sum(row.value).unwrap_or(Cell::Bytes(row.value))
}

/// Writes rates: `+12`, or with several numbers `bytes +840, packets +12`.
fn rate_text(rates: &BTreeMap<String, f64>) -> String {
    let number = |rate: f64| if rate.abs() < 10.0 { format!("{rate:+.1}") } else { format!("{rate:+.0}") };
    let one = |(path, rate): (&String, &f64)| match path.as_str() {
        "" => number(*rate),
        path => format!("{path} {}", number(*rate)),
    };
    rates.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::value::format::Formats;
    use crate::spec::MapSpec;

    struct Nobody;

    impl Names for Nobody {
        fn program(&self, _: u32) -> Option<String> {
            None
        }
        fn map(&self, _: u32) -> Option<String> {
            None
        }
        fn interface(&self, _: u32) -> Option<String> {
            None
        }
    }

    const TEXT: Options =
        Options { style: Some(Style { width: 80, ascii: false, color: false }), limit: None, sum: false };
    const JSON: Options = Options { style: None, limit: None, sum: false };

    fn map(map_type: MapType, masked: bool) -> (Head, Layout) {
        let head = Head { address: "map.m".to_owned(), id: 7, r#type: map_type, max_entries: 4, masked };
        let layout = Layout::new(&MapSpec::new(map_type, 4, 4, 4), &Formats::default());
        (head, layout)
    }

    /// Writes entries whose keys and values count from `first`, in descending order; values are of `cpus` words.
    fn listed(map_type: MapType, masked: bool, options: Options, numbers: std::ops::Range<u32>) -> String {
        let (head, layout) = map(map_type, masked);
        let mut listing = Listing::new(&head, &layout, &Nobody, options);
        let mut out = listing.start();
        let cpus = if map_type.is_per_cpu() { 2 } else { 1 };
        for number in numbers.rev() {
            let word = if cpus == 2 { [number, 0, number, 0].to_vec() } else { vec![number] };
            let value: Vec<u8> = word.iter().flat_map(|word| word.to_le_bytes()).collect();
            out.push_str(&listing.take(&number.to_le_bytes(), &value, (4, value.len())));
        }
        out + &listing.end()
    }

    #[test]
    fn entries_are_sorted_and_aligned() {
        insta::assert_snapshot!(listed(MapType::ARRAY, false, TEXT, 9..12), @r"
        map.m: array, id 7, room for 4 entries
          KEY  VALUE
          9    hex:09000000
          10   hex:0a000000
          11   hex:0b000000
        3 entries
        ");
        insta::assert_snapshot!(listed(MapType::HASH, false, TEXT, 0..0), @r"
        map.m: hash, id 7, room for 4 entries
        0 entries
        ");
    }

    #[test]
    fn what_is_left_out_is_said() {
        insta::assert_snapshot!(listed(MapType::HASH, false, Options { limit: Some(1), ..TEXT }, 0..3), @r"
        map.m: hash, id 7, room for 4 entries
          KEY           VALUE
          hex:02000000  hex:02000000
        1 of 3 entries shown, 2 more (--limit 0 shows all)
        ");
        insta::assert_snapshot!(listed(MapType::HASH, true, TEXT, 0..3), @r"
        map.m: hash, id 7, room for 4 entries
        3 entries, not shown: the map is sensitive (--reveal shows them)
        ");
    }

    #[test]
    fn cpus_are_shown_or_added_up() {
        insta::assert_snapshot!(listed(MapType::PERCPU_ARRAY, false, TEXT, 1..2), @r"
        map.m: percpu_array, id 7, room for 4 entries
          KEY  VALUE
          1    cpu 0: hex:01000000
               cpu 1: hex:01000000
        1 entry
        ");
        insta::assert_snapshot!(listed(MapType::PERCPU_ARRAY, false, Options { sum: true, ..TEXT }, 1..2), @r"
        map.m: percpu_array, id 7, room for 4 entries
          KEY  VALUE OF ALL CPUS
          1    2
        1 entry
        ");
    }

    #[test]
    fn json_is_one_document_of_any_length() {
        for (map_type, masked, entries, first) in [
            (MapType::ARRAY, false, 2500, Some(serde_json::json!({ "key": 1500, "value": "hex:dc050000" }))),
            (
                MapType::PERCPU_ARRAY,
                false,
                1,
                Some(serde_json::json!({ "key": 0, "values": ["hex:00000000", "hex:00000000"] })),
            ),
            (MapType::HASH, false, 0, None),
            (MapType::HASH, true, 3, None),
        ] {
            let text = listed(map_type, masked, JSON, 0..entries);
            let value: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let shown = if masked { 0 } else { entries as usize };
            assert_eq!((&value["count"], &value["shown"]), (&entries.into(), &shown.into()));
            assert_eq!(value["entries"].as_array().map(Vec::len), Some(shown));
            assert_eq!(value["entries"].get(0), first.as_ref());
            assert_eq!((&value["kind"], &value["masked"]), (&"entries".into(), &masked.into()));
        }
    }

    #[test]
    fn the_fastest_come_first() {
        let (head, layout) = map(MapType::HASH, false);
        let set = |pairs: &[(u32, u32)]| {
            let (keys, values): (Vec<_>, Vec<_>) =
                pairs.iter().map(|(k, v)| (k.to_le_bytes(), v.to_le_bytes())).unzip();
            Entries::of(4, 4, keys.concat(), values.concat()).unwrap()
        };
        let (before, now) = (set(&[(1, 10), (2, 10), (3, 10), (4, 10)]), set(&[(1, 11), (2, 110), (3, 10), (5, 30)]));
        let text = rates(&head, &layout, (&before, &now), 2.0, &Options { limit: Some(2), ..TEXT });
        insta::assert_snapshot!(text, @r"
        map.m: 4 entries in 2.0 s, 2 changed, 1 new, 1 gone
          KEY           VALUE         PER SECOND
          hex:02000000  hex:6e000000  +50
          hex:05000000  hex:1e000000  +15
        1 more changed
        ");
        let json: serde_json::Value =
            serde_json::from_str(&rates(&head, &layout, (&before, &now), 2.0, &JSON)).expect("one document");
        assert_eq!(json["rows"][0]["per_second"], serde_json::json!({ "": 50.0 }));
        assert_eq!((&json["changed"], &json["new"], &json["gone"]), (&2.into(), &1.into(), &1.into()));
    }
}
