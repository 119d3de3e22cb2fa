//! Reads one TOML table after the other and goes on after a problem, so that all of them come together.
//!
//! serde stops at the first problem. Here a table is a struct made by `table!`: the list of its fields says
//! which keys there are, the comments on them are the hover texts of the schema. How a single value is
//! written is said by its type, through [`Read`] (`values` has them). What several keys mean together is not decided here.

use super::At;
use crate::desired::Span;
use crate::diag::{Kind, Problem, Problems, similar};
use crate::names::{NameError, ObjectName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// What reading needs to know and what it finds.
pub(super) struct Reader<'a> {
    /// The whole text, for places inside of strings.
    text: &'a str,
    /// Values for `[var]` from outside.
    overrides: &'a BTreeMap<String, String>,
    /// Variables by name; none for one whose value is wrong, which has been said.
    variables: BTreeMap<String, Option<String>>,
    /// Everything wrong so far.
    pub(super) problems: Problems,
}

/// A value, its key, and the places of both.
pub(super) struct Entry<'i> {
    /// The key with all tables around it: `map.flows.max_entries`.
    pub(super) address: String,
    /// Place of the key.
    pub(super) key: Span,
    /// The value.
    pub(super) value: DeValue<'i>,
    /// Place of the value.
    pub(super) span: Span,
}

/// How a value is written, in the text and in the schema.
pub(super) trait Read: Sized {
    /// A good value, as TOML, for help and hover.
    const EXAMPLE: &'static str;

    /// Reads the value. None means that a problem has been reported.
    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// Returns the JSON schema of the value.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

impl<'a> Reader<'a> {
    /// Starts with nothing read.
    pub(super) fn new(text: &'a str, overrides: &'a BTreeMap<String, String>) -> Self {
        Self { text, overrides, variables: BTreeMap::new(), problems: Problems::default() }
    }

    /// Reports that a value has another type than its key wants.
    pub(super) fn wrong_type<T>(&mut self, entry: &Entry<'_>, wants: &str) -> Option<T> {
        let (key, wants) = (entry.address.clone(), wants.to_owned());
        let kind = match entry.value.as_str() {
            Some(text) if text.contains("${") => Kind::VariableOutsideText { key, wants },
            Some(_) | None => Kind::WrongType { key, wants },
        };
        self.report(kind, entry.span.clone(), format!("this is {}", type_name(&entry.value)))
    }

    /// Reports a problem at one place, and returns nothing.
    pub(super) fn report<T>(&mut self, kind: Kind, span: Span, label: impl Into<String>) -> Option<T> {
        self.problems.push(Problem::at(kind, span, label));
        None
    }

    /// Reads a string and fills in its variables.
    pub(super) fn text(&mut self, entry: Entry<'_>) -> Option<At<String>> {
        match entry.value.as_str() {
            Some(text) => Some(At { value: self.expand(text, &entry.span)?, span: entry.span }),
            None => self.wrong_type(&entry, "a string"),
        }
    }

    /// Replaces each `${name}` by the variable and each `$${` by `${`. What a variable holds is taken as it is.
    pub(super) fn expand(&mut self, text: &str, span: &Span) -> Option<String> {
        if !text.contains('$') {
            return Some(text.to_owned());
        }
        let mut out = String::new();
        let mut rest = text;
        let mut complete = true;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return self.report(Kind::UnclosedVariable, self.inside(span, "${"), "here it starts");
            };
            match self.variables.get(name) {
                Some(Some(value)) => out.push_str(value),
                Some(None) => complete = false,
                None => {
                    let place = self.inside(span, &format!("${{{name}}}"));
                    let similar = similar(name, self.variables.keys());
                    let kind = Kind::UnknownVariable { name: name.to_owned(), similar };
                    self.problems.push(Problem::at(kind, place, "no such variable"));
                    complete = false;
                }
            }
            rest = after;
        }
        out.push_str(rest);
        complete.then_some(out)
    }

    /// Returns the place of `part` inside the value at `span`, or `span` when it is written with escapes.
    fn inside(&self, span: &Span, part: &str) -> Span {
        let found = self.text.get(span.clone()).and_then(|written| written.find(part));
        found.map_or(span.clone(), |at| span.start + at..span.start + at + part.len())
    }

    /// Returns the variables, for a text that belongs to this one.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let known = self.variables.iter();
        known.filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
    }

    /// Takes the variables of another text.
    pub(super) fn inherit(&mut self, variables: &BTreeMap<String, String>) {
        self.variables = variables.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
    }

    /// Takes every name of `[var]`; values from outside win.
    fn declare(&mut self, variables: Entries<Variable>) {
        for (name, value) in variables.0 {
            let written = value.map(|value| value.value.0);
            let value = self.overrides.get(&name.value).cloned().or(written);
            self.variables.insert(name.value, value);
        }
    }

    /// Reports values from outside for variables that the manifest does not have.
    pub(super) fn check_overrides(&mut self) {
        for name in self.overrides.keys().filter(|name| !self.variables.contains_key(*name)) {
            let similar = similar(name, self.variables.keys());
            self.problems.push(Problem::new(Kind::UnknownOverride { name: name.clone(), similar }));
        }
    }
}

/// Says what a value is, with its article.
fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A table that is being read, key by key.
pub(super) struct Table<'i> {
    address: String,
    key: Span,
    entries: DeTable<'i>,
    missing: Vec<(&'static str, &'static str)>,
    unclear: bool,
}

/// What is known of a table beside its keys.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// The table as messages call it: `map.flows`.
    pub(super) address: String,
    /// Place of its name.
    pub(super) span: Span,
    /// Some of it was not understood, so that nothing can be said of what it lacks.
    pub(super) unclear: bool,
}

impl<'i> Table<'i> {
    /// Opens a table.
    pub(super) fn open(entry: Entry<'i>, reader: &mut Reader<'_>) -> Option<Self> {
        match entry.value {
            DeValue::Table(entries) => {
                let (address, key) = (entry.address, entry.key);
                Some(Self { address, key, entries, missing: Vec::new(), unclear: false })
            }
            _ => reader.wrong_type(&entry, "a table"),
        }
    }

    /// Takes a key with what it says, where it is there.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry<'i>> {
        let (key, item) = self.entries.remove_entry(key)?;
        let (address, span) = (join(&self.address, key.get_ref()), item.span());
        Some(Entry { address, key: key.span(), value: item.into_inner(), span })
    }

    /// Takes a key that may be missing.
    pub(super) fn may<T: Read>(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Field<T> {
        let Some(entry) = self.take(key) else { return Field(None) };
        let span = entry.span.clone();
        let value = T::read(entry, reader);
        self.unclear |= value.is_none();
        Field(value.map(|value| At { value, span }))
    }

    /// Takes a key that must be there.
    pub(super) fn must<T: Read>(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Field<T> {
        if !self.entries.contains_key(key) {
            self.missing.push((key, T::EXAMPLE));
        }
        self.may(key, reader)
    }

    /// Reports the keys that are left, and those that are missing and that no misspelt key was meant to be.
    pub(super) fn close(mut self, known: &[&'static str], later: &[&str], reader: &mut Reader<'_>) -> Header {
        let mut meant = Vec::new();
        for (key, _) in &self.entries {
            self.unclear = true;
            let name = key.get_ref().to_string();
            if later.contains(&&*name) {
                reader.problems.push(Problem::at(Kind::NotYet { what: format!("`{name}`") }, key.span(), "this key"));
                continue;
            }
            let similar = similar(&name, known);
            meant.extend(similar.clone());
            let label = match self.address.is_empty() {
                true => "not a key of a manifest".to_owned(),
                false => format!("not a key of `{}`", self.address),
            };
            reader.problems.push(Problem::at(
                Kind::UnknownKey { key: name, similar, known: known.to_vec() },
                key.span(),
                label,
            ));
        }
        for (key, example) in &self.missing {
            if !meant.iter().any(|name| name == key) {
                let table = self.address.clone();
                let kind = Kind::MissingKey { table, key: (*key).to_owned(), example };
                reader.problems.push(Problem::at(kind, self.key.clone(), format!("`{key}` is missing here")));
            }
        }
        Header { address: self.address, span: self.key, unclear: self.unclear }
    }
}

/// Returns the address of a key in a table.
fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { [table, ".", key].concat() }
}

/// A key's value, when it is there and right.
#[derive(Debug)]
pub(super) struct Field<T>(pub(super) Option<At<T>>);

impl<T> Field<T> {
    /// Returns the place of the value.
    pub(super) fn span(&self) -> Option<Span> {
        self.0.as_ref().map(|at| at.span.clone())
    }
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Read> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// Makes a struct of a table: `must` fields have to be there, `may` fields need not, `later` names the keys that
/// the language has and this version does not do.
macro_rules! table {
    (
        $(#[$meta:meta])* $name:ident {
            $($(#[$about:meta])* $(may $may:ident)? $(must $must:ident)?: $type:ty,)*
        }
        later $later:expr
    ) => {
        #[derive(Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        #[allow(dead_code, reason = "all keys are read, some only to be right")]
        $(#[$meta])*
        pub(super) struct $name {
            $(
                $(#[$about])*
                $(#[schemars(default)] pub(super) $may: $crate::manifest::read::Field<$type>,)?
                $(pub(super) $must: $crate::manifest::read::Field<$type>,)?
            )*
            #[schemars(skip)]
            pub(super) header: $crate::manifest::read::Header,
        }

        impl $crate::manifest::read::Read for $name {
            const EXAMPLE: &'static str = "{ }";

            fn read(
                entry: $crate::manifest::read::Entry<'_>,
                reader: &mut $crate::manifest::read::Reader<'_>,
            ) -> Option<Self> {
                #[allow(unused_mut, reason = "a table may have no keys")]
                let mut table = $crate::manifest::read::Table::open(entry, reader)?;
                const KNOWN: &[&str] = &[$(
                    $($crate::manifest::read::plain(stringify!($may)),)?
                    $($crate::manifest::read::plain(stringify!($must)),)?
                )*];
                Some(Self {
                    $(
                        $($may: table.may($crate::manifest::read::plain(stringify!($may)), reader),)?
                        $($must: table.must($crate::manifest::read::plain(stringify!($must)), reader),)?
                    )*
                    header: table.close(KNOWN, $later, reader),
                })
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }
    };
}
pub(super) use table;

/// Returns a field's name without Rust's mark for keywords.
pub(super) const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// A table with free keys, for example the symbols of an object. None for a value that was wrong.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(At<String>, Option<At<T>>)>);

impl<T: Read> Read for Entries<T> {
    const EXAMPLE: &'static str = "{ }";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Table { address, entries: table, .. } = Table::open(entry, reader)?;
        let mut entries = Vec::new();
        for (key, item) in table {
            let (span, name) = (item.span(), At { span: key.span(), value: key.into_inner().into_owned() });
            let (address, key) = (join(&address, &name.value), name.span.clone());
            let value = T::read(Entry { address, key, value: item.into_inner(), span: span.clone() }, reader);
            entries.push((name, value.map(|value| At { value, span })));
        }
        Some(Self(entries))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let values = T::schema(generator);
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}

/// The tables of one kind by name: `[map.NAME]`.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Entries<T>);

impl<T: Read> Read for Named<T> {
    const EXAMPLE: &'static str = "{ }";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if !entry.value.is_table() {
            let wants = format!("tables of the form `[{}.NAME]`", entry.address);
            return reader.wrong_type(&entry, &wants);
        }
        let entries = Entries::read(entry, reader)?;
        for (name, _) in &entries.0 {
            // All kinds of names follow the same rule.
            if let Err(why) = ObjectName::new(&name.value) {
                let kind = Kind::BadName { text: name.value.clone(), why };
                reader.problems.push(Problem::at(kind, name.span.clone(), "this name"));
            }
        }
        Some(Self(entries))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Entries::<T>::schema(generator);
        schema.insert("propertyNames".to_owned(), serde_json::json!({ "pattern": NAME_PATTERN }));
        schema
    }
}

/// The tables of one kind in their order: `[[check]]`. None for one that was wrong.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<Option<T>>);

impl<T: Read> Read for List<T> {
    const EXAMPLE: &'static str = "[{ }]";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(items) = entry.value else {
            let wants = format!("tables of the form `[[{}]]`", entry.address);
            return reader.wrong_type(&entry, &wants);
        };
        let tables = items.into_iter().map(|item| {
            let (address, key, span) = (entry.address.clone(), item.span(), item.span());
            T::read(Entry { address, key, value: item.into_inner(), span }, reader)
        });
        Some(Self(tables.collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({ "type": "array", "items": items })
    }
}

/// What `names::check` allows, for the schema.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9_-]{1,64}$";

/// `[var]`: every string that is read after it may use these.
#[derive(Debug)]
pub(super) struct Variables;

impl Read for Variables {
    const EXAMPLE: &'static str = "{ uplink = \"eth0\" }";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Named(variables) = Named::read(entry, reader)?;
        reader.declare(variables);
        Some(Self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Named::<Variable>::schema(generator)
    }
}

/// The text of a variable.
#[derive(Debug)]
struct Variable(String);

impl Read for Variable {
    const EXAMPLE: &'static str = "\"eth0\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &entry.value {
            DeValue::String(text) => Some(Self(text.to_string())),
            // As written: `0x10` and `1_000` stay what they are.
            DeValue::Integer(_) | DeValue::Float(_) => reader.text.get(entry.span.clone()).map(|t| Self(t.to_owned())),
            DeValue::Boolean(value) => Some(Self(value.to_string())),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => reader.wrong_type(&entry, "a string"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "number", "boolean"] })
    }
}

impl Read for String {
    const EXAMPLE: &'static str = "\"...\"";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(entry).map(|text| text.value)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Reads a whole number; one that its type does not hold is a problem, and `min` to `max` are offered instead.
pub(super) fn whole<T: TryFrom<i128>>(entry: Entry<'_>, reader: &mut Reader<'_>, min: i128, max: i128) -> Option<T> {
    let DeValue::Integer(number) = &entry.value else { return reader.wrong_type(&entry, "a whole number") };
    let value = i128::from_str_radix(number.as_str(), number.radix()).ok();
    match value.and_then(|value| T::try_from(value).ok()) {
        Some(value) => Some(value),
        None => {
            let kind = Kind::OutOfRange { key: entry.address, value: number.to_string(), min, max };
            reader.report(kind, entry.span, "this number")
        }
    }
}

/// Whole numbers that a type of Rust holds.
macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Read for $type {
            const EXAMPLE: &'static str = "1024";

            fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                whole(entry, reader, 0, Self::MAX.into())
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "minimum": 0, "maximum": <$type>::MAX })
            }
        }
    )*};
}
numbers!(u32, u64);

impl Read for bool {
    const EXAMPLE: &'static str = "true";

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &entry.value {
            DeValue::Boolean(value) => Some(*value),
            _ => reader.wrong_type(&entry, "true or false"),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// A value of a fixed list.
pub(super) trait Choice: Sized {
    /// A good value, as TOML.
    const EXAMPLE: &'static str;

    /// Every value as the manifest writes it.
    fn names() -> Vec<String>;

    /// Finds a value by its name.
    fn from_name(name: &str) -> Option<Self>;
}

impl<T: Choice> Read for T {
    const EXAMPLE: &'static str = <T as Choice>::EXAMPLE;

    fn read(entry: Entry<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let key = entry.address.clone();
        let text = reader.text(entry)?;
        choose(&key, text, reader)
    }

    /// A variable may hold the value, so that a string with one is right as well.
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": T::names() }, { "type": "string", "pattern": "\\$\\{.+\\}" }] })
    }
}

/// Finds a value by its name, or says which there are.
pub(super) fn choose<T: Choice>(key: &str, text: At<String>, reader: &mut Reader<'_>) -> Option<T> {
    let found = T::from_name(&text.value);
    if found.is_none() {
        let allowed = T::names();
        let similar = similar(&text.value, &allowed);
        let kind = Kind::UnknownValue { key: key.to_owned(), value: text.value, allowed, similar };
        return reader.report(kind, text.span, "this value");
    }
    found
}

/// Reports a text that is not a name or a path.
pub(super) fn bad_path<T>(text: At<String>, why: &NameError, reader: &mut Reader<'_>) -> Option<T> {
    let kind = Kind::BadPath { path: text.value, why: why.to_string() };
    reader.report(kind, text.span, "this path")
}
