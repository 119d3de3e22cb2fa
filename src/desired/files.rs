//! Files of entries: TOML, JSON, CSV, and plain lists with one key on each line.

use super::contents::{EntryFile, Writer, Wrong};
use crate::btf::value::{Column, Value};
use crate::diag::Faults;
use crate::json;
use crate::manifest;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// What comes before the text of some editors, and belongs to nothing.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Where the entries of a file start, in the order of the file: byte offsets.
pub(super) struct Places<'a> {
    text: &'a str,
    starts: Vec<u32>,
    faults: Faults,
}

/// Reads a file into `writer`.
pub(super) fn read<'a>(file: &'a EntryFile, writer: &mut Writer) -> Result<Places<'a>, Faults> {
    let text = match std::str::from_utf8(&file.bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = std::str::from_utf8(&file.bytes[..error.valid_up_to()]).unwrap_or_default();
            let mut places = Places::new(valid);
            places.fault(valid.len(), "this is not UTF-8 text");
            return Err(places.faults);
        }
    };
    let mut places = Places::new(text);
    match file.path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "toml" => toml(&mut places, writer),
        "json" => json(&mut places, writer),
        "csv" => csv(&mut places, writer),
        _ => list(&mut places, writer),
    }
    if places.faults.is_empty() { Ok(places) } else { Err(places.faults) }
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, starts: Vec::new(), faults: Faults::default() }
    }

    /// Returns the line and the column of a byte, both from 1.
    fn line(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        (before.bytes().filter(|byte| *byte == b'\n').count() + 1, before[start..].chars().count() + 1)
    }

    fn fault(&mut self, at: usize, why: impl Into<String>) {
        let why = why.into();
        // Counting lines for each of a million faults would take its time.
        let (line, column) = if self.faults.is_full() { (0, 0) } else { self.line(at) };
        self.faults.push(line, column, why);
    }

    fn wrong(&mut self, at: usize, wrong: &Wrong) {
        let help = wrong.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
        self.fault(at, format!("{}: {}{help}", wrong.part, wrong.why));
    }

    /// Notes where an entry is, or what is wrong with it.
    fn note(&mut self, at: usize, written: Result<(), Vec<Wrong>>) {
        match written {
            Ok(()) => self.starts.push(u32::try_from(at).unwrap_or(u32::MAX)),
            Err(wrongs) => wrongs.iter().for_each(|wrong| self.wrong(at, wrong)),
        }
    }

    /// Reports a key that is there with two values.
    pub(super) fn twice(mut self, first: usize, second: usize) -> Faults {
        let start = |at: usize| self.starts.get(at).map_or(0, |start| *start as usize);
        let ((line, column), second) = (self.line(start(first)), start(second));
        self.fault(second, format!("key: it is at {line}:{column} already, with another value"));
        self.faults
    }
}

/// A table, or a list `entries`.
fn toml(places: &mut Places<'_>, writer: &mut Writer) {
    let given = match manifest::entry_file(places.text) {
        Ok(given) => given,
        Err(problems) => {
            for problem in problems.0 {
                let at = problem.labels.first().map_or(0, |label| label.span.start);
                // What the parser says can show a part of the text.
                let why = if writer.sensitive { "this is no entry".to_owned() } else { problem.kind.to_string() };
                places.fault(at, why);
            }
            return;
        }
    };
    for entry in given {
        let written = writer.add(
            |writer, out| writer.write_key(&entry.key.value, out),
            entry.value.as_ref().map(|value| |writer: &Writer, out: &mut [u8]| writer.write_value(&value.value, out)),
        );
        places.note(entry.key.span.start, written);
    }
}

/// One key on each line; behind white space or a comma its value, behind `#` a comment.
fn list(places: &mut Places<'_>, writer: &mut Writer) {
    let text = places.text;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let code = line.split('#').next().unwrap_or_default().trim_start_matches(BYTE_ORDER_MARK);
        let entry = code.trim();
        if entry.is_empty() {
            continue;
        }
        let end = entry.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(entry.len());
        let (key, rest) = entry.split_at(end);
        let rest = rest.trim_start();
        let value = rest.strip_prefix(',').unwrap_or(rest).trim();
        let value = (!value.is_empty()).then_some(value);
        let written = writer.add(
            |writer, out| writer.write_key_text(key, out),
            value.map(|value| |writer: &Writer, out: &mut [u8]| writer.write_value_text(value, out)),
        );
        places.note(
            at + (line.len() - line.trim_start_matches(|c: char| c == BYTE_ORDER_MARK || c.is_whitespace()).len()),
            written,
        );
    }
}

/// Which cells of a row make up the key and the value.
struct Row {
    key: Vec<(usize, Column)>,
    value: Vec<(usize, Column)>,
}

impl Row {
    /// The fields of the key, then those of the value.
    fn in_order(writer: &Writer) -> Self {
        let mut cells = 0..;
        let mut take = |columns: Vec<Column>| cells.by_ref().take(columns.len()).zip(columns).collect::<Vec<_>>();
        let key = take(writer.key.columns());
        Self { key, value: take(writer.value.columns()) }
    }

    /// Reads the first row where it names the cells: `key`, `value`, `key.FIELD`, `value.FIELD`.
    fn named(record: &csv::StringRecord, writer: &Writer) -> Result<Option<Self>, String> {
        let is_name =
            |cell: &str| matches!(cell, "key" | "value") || cell.starts_with("key.") || cell.starts_with("value.");
        if !record.iter().next().is_some_and(|cell| is_name(cell.trim_start_matches(BYTE_ORDER_MARK))) {
            return Ok(None);
        }
        let mut row = Self { key: Vec::new(), value: Vec::new() };
        for (at, cell) in record.iter().enumerate() {
            let cell = cell.trim_start_matches(BYTE_ORDER_MARK);
            let (part, path) = cell.split_once('.').map_or((cell, None), |(part, path)| (part, Some(path)));
            let (shape, columns) = match part {
                "key" => (&writer.key, &mut row.key),
                "value" => (&writer.value, &mut row.value),
                _ => {
                    return Err(format!(
                        "`{cell}` is no column: they are `key`, `value`, `key.FIELD` and `value.FIELD`"
                    ));
                }
            };
            let column = path.map_or_else(|| Ok(shape.whole()), |path| shape.column(path));
            let column = column.map_err(|error| error.to_string())?;
            if columns.iter().any(|(_, known): &(usize, Column)| known.path == column.path || known.path.is_empty()) {
                return Err(format!("the column `{cell}` is there twice"));
            }
            columns.push((at, column));
        }
        match row.key.is_empty() {
            true => Err("no column is the key".to_owned()),
            false => Ok(Some(row)),
        }
    }

    /// Returns how many cells there may be: with the value, and without.
    fn widths(&self) -> (usize, usize) {
        (self.key.len() + self.value.len(), self.key.len())
    }
}

fn write_cells(
    writer: &Writer,
    part: &'static str,
    columns: &[(usize, Column)],
    record: &csv::StringRecord,
    out: &mut [u8],
) -> Result<(), Vec<Wrong>> {
    let mut wrongs = Vec::new();
    for (at, column) in columns {
        let cell = record.get(*at).unwrap_or_default();
        if let Err(error) = column.encode(cell, out) {
            wrongs.push(writer.wrong(part, error));
        }
    }
    if wrongs.is_empty() { Ok(()) } else { Err(wrongs) }
}

/// Returns where the row starts that comes behind empty lines and comments.
fn row_start(text: &str, at: usize) -> usize {
    let mut rest = text.get(at..).unwrap_or_default();
    loop {
        rest = rest.trim_start_matches(['\r', '\n']);
        match (rest.starts_with('#'), rest.find('\n')) {
            (true, Some(end)) => rest = &rest[end..],
            (true, None) | (false, _) => return text.len() - rest.len(),
        }
    }
}

/// One entry on each line: the fields of the key, then those of the value, or as the first line names them.
fn csv(places: &mut Places<'_>, writer: &mut Writer) {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(places.text.trim_start_matches(BYTE_ORDER_MARK).as_bytes());
    let skipped = places.text.len() - places.text.trim_start_matches(BYTE_ORDER_MARK).len();
    let mut record = csv::StringRecord::new();
    let mut row: Option<Row> = None;
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return places.fault(0, error.to_string()),
        }
        let at = row_start(places.text, skipped + record.position().map_or(0, |position| position.byte() as usize));
        let row = match &mut row {
            Some(row) => row,
            empty => match Row::named(&record, writer) {
                Ok(Some(named)) => {
                    *empty = Some(named);
                    continue;
                }
                Ok(None) => empty.insert(Row::in_order(writer)),
                Err(why) => return places.fault(at, why),
            },
        };
        let (all, of_key) = row.widths();
        let has_value = match record.len() {
            cells if cells == all => !row.value.is_empty(),
            cells if cells == of_key => false,
            cells => {
                places.fault(
                    at,
                    format!(
                        "entry: {cells} cells are given, it has {of_key} for the key and {} for the value",
                        all - of_key
                    ),
                );
                continue;
            }
        };
        let written = writer.add(
            |writer, out| write_cells(writer, "key", &row.key, &record, out),
            has_value.then_some(|writer: &Writer, out: &mut [u8]| {
                write_cells(writer, "value", &row.value, &record, out)?;
                writer.repeat(out);
                Ok(())
            }),
        );
        places.note(at, written);
    }
}

/// An object of keys and values, or a list of `{ "key": ..., "value": ... }` and of keys.
fn json(places: &mut Places<'_>, writer: &mut Writer) {
    let text = places.text.trim_start_matches(BYTE_ORDER_MARK);
    let skipped = places.text.len() - text.len();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let visitor = Json { places, writer };
    let read = deserializer.deserialize_any(visitor).and_then(|()| deserializer.end());
    if let Err(error) = read {
        let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let at = skipped + lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
        places.fault(at, json::wrong_here(&error));
    }
}

/// Takes one entry after the other, so that a large file is never a tree.
struct Json<'p, 'a> {
    places: &'p mut Places<'a>,
    writer: &'p mut Writer,
}

impl Json<'_, '_> {
    fn place(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).saturating_sub(self.places.text.as_ptr() as usize)
    }

    fn add(&mut self, key: &RawValue, value: Option<&RawValue>) {
        let value = value.filter(|value| value.get() != "null");
        let at = self.place(key);
        let written = self.writer.add(
            |writer, out| match plain(key) {
                Some(key) => writer.write_key_text(key, out),
                None => writer.write_key(&value_of(key).map_err(|wrong| vec![wrong])?, out),
            },
            value.map(|value| {
                |writer: &Writer, out: &mut [u8]| match plain(value) {
                    Some(value) => writer.write_value_text(value, out),
                    None => writer.write_value(&value_of(value).map_err(|wrong| vec![wrong])?, out),
                }
            }),
        );
        self.places.note(at, written);
    }
}

/// Returns the text of a string without escapes.
fn plain(raw: &RawValue) -> Option<&str> {
    let text = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

/// Reads a value.
fn value_of(raw: &RawValue) -> Result<Value, Wrong> {
    let text = raw.get();
    if let Ok(number) = text.parse() {
        return Ok(Value::Int(number));
    }
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Wrong::entry(&json::wrong_here(&error)))?;
    Value::try_from(value).map_err(Wrong::entry)
}

/// The two parts of an entry in a list.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

impl<'de> Visitor<'de> for Json<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of keys and values, or a list of `{ \"key\": ..., \"value\": ... }`")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            self.add(key, Some(value));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<&RawValue>()? {
            if !item.get().starts_with('{') {
                self.add(item, None);
                continue;
            }
            match serde_json::from_str::<Pair<'_>>(item.get()) {
                Ok(pair) => self.add(pair.key, pair.value),
                Err(_) => {
                    let at = self.place(item);
                    self.places.fault(at, "entry: it is no `{ \"key\": ..., \"value\": ... }`");
                }
            }
        }
        Ok(())
    }
}
