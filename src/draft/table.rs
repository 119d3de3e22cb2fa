//! A manifest that is being written: tables with what is known, comments for what is not.

use super::format;
use crate::btf::value::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// How long a line of a comment gets.
const WIDTH: usize = 100;

/// The longest name that a manifest takes, in bytes.
const LONGEST_NAME: usize = 64;

/// A table of a manifest.
#[derive(Debug, Default)]
pub struct Table {
    /// As in `[object.filter]`; empty for the keys at the top.
    pub header: String,
    /// What stands above it.
    pub comments: Vec<String>,
    /// Its keys, in their order.
    pub keys: Vec<Key>,
    /// Whether it is there only as a comment, to be taken up by whoever wants it.
    pub is_off: bool,
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    key: String,
    value: String,
    comment: String,
    is_off: bool,
}

impl Table {
    /// Makes an empty table.
    pub fn new(kind: &str, name: &str) -> Self {
        Self { header: format!("{kind}.{name}"), ..Self::default() }
    }

    /// Adds a line above it.
    pub fn comment(&mut self, text: impl Into<String>) {
        self.comments.push(text.into());
    }

    /// Adds a key; the value is as TOML writes it.
    pub fn set(&mut self, key: &str, value: impl Into<String>, comment: impl Into<String>) {
        self.keys.push(Key { key: key.to_owned(), value: value.into(), comment: comment.into(), is_off: false });
    }

    /// Adds a key that is there only as a comment.
    pub fn suggest(&mut self, key: &str, value: impl Into<String>, comment: impl Into<String>) {
        self.set(key, value, comment);
        if let Some(key) = self.keys.last_mut() {
            key.is_off = true;
        }
    }

    /// Returns whether a value has this text.
    pub fn says(&self, text: &str) -> bool {
        self.keys.iter().any(|key| key.value.contains(text))
    }

    fn write(&self) -> String {
        let header = (!self.header.is_empty()).then(|| format!("[{}]", self.header));
        let keys = self.keys.iter().map(|Key { key, value, is_off, .. }| {
            let off = if *is_off { "# " } else { "" };
            format!("{off}{key} = {value}")
        });
        let code: Vec<String> = header.into_iter().chain(keys).collect();
        let code = code.join("\n");
        let code = format(&code).unwrap_or(code);
        let above = usize::from(!self.header.is_empty());
        let comments = std::iter::repeat_n("", above).chain(self.keys.iter().map(|key| key.comment.as_str()));
        let lines: Vec<(&str, &str)> = code.lines().zip(comments).collect();
        let widths = lines.iter().filter(|(code, comment)| !comment.is_empty() && !code.starts_with('#'));
        let widest = widths.map(|(code, _)| code.width()).max().unwrap_or(0);
        let mut text = String::new();
        for (code, comment) in lines {
            let space = " ".repeat(widest.saturating_sub(code.width()) + 2);
            let comment = if comment.is_empty() { String::new() } else { format!("{space}# {}", plain(comment)) };
            line(&mut text, &format!("{code}{comment}"));
        }
        text
    }
}

/// Writes a manifest.
pub fn write(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        for comment in &table.comments {
            wrap(&mut text, comment);
        }
        let off = if table.is_off { "# " } else { "" };
        table.write().lines().for_each(|it| line(&mut text, format!("{off}{it}").trim_end()));
        text.push('\n');
    }
    format(&text).unwrap_or(text)
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Writes a comment, on as many lines as it takes; a word longer than a line stays whole.
fn wrap(text: &mut String, comment: &str) {
    let mut current = String::from("#");
    for word in plain(comment).split(' ') {
        if current.len() > 1 && current.len() + 1 + word.len() > WIDTH {
            line(text, &current);
            current = String::from("#");
        }
        current.push(' ');
        current.push_str(word);
    }
    line(text, current.trim_end());
}

/// Returns a text without line breaks and all else that no comment may have.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Writes a string that means itself: nothing in it stands for a variable.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text.replace("${", "$${")).to_string()
}

/// Writes a key: bare where that can be.
pub fn key(text: &str) -> String {
    let is_bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { text.to_owned() } else { toml::Value::from(text).to_string() }
}

/// Writes an inline table of values that are written already.
pub fn inline(entries: &[(String, String)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

/// Writes a value of a variable or an entry.
pub fn value(of: &Value) -> String {
    match of {
        Value::Int(number) if i64::try_from(*number).is_ok() => number.to_string(),
        Value::Int(number) => quoted(&number.to_string()),
        Value::Float(number) => toml::Value::from(*number).to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Text(text) => quoted(text),
        Value::List(all) => format!("[{}]", all.iter().map(value).collect::<Vec<_>>().join(", ")),
        Value::Table(fields) => {
            inline(&fields.iter().map(|(name, field)| (name.clone(), value(field))).collect::<Vec<_>>())
        }
    }
}

/// Makes of a text a name that a manifest takes, with room for a number behind it.
pub fn name(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = text.chars().map(allowed).take(LONGEST_NAME - 4).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// Names that tables of one kind have.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// Starts with the names that tables have already.
    pub fn of<'a>(taken: impl Iterator<Item = &'a str>) -> Self {
        Self(taken.map(str::to_owned).collect())
    }

    /// Makes of a text a name that a manifest takes and that no other table has.
    pub fn take(&mut self, text: &str) -> String {
        let name = name(text);
        let numbered = (2_u32..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(name);
        self.0.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ObjectName;

    #[test]
    fn names() {
        let mut names = Names::default();
        let cases = [("a.b", "a_b"), ("a b", "a_b_2"), ("", "unnamed"), ("é", "_"), ("a_b", "a_b_3")];
        for (text, name) in cases {
            assert_eq!(names.take(text), name, "{text}");
        }
        let long = names.take(&"x".repeat(100));
        assert!(ObjectName::new(&long).is_ok() && names.take(&"x".repeat(100)) != long);
    }

    #[test]
    fn values() {
        let fields = [("a.b".to_owned(), Value::Bool(true)), ("c".to_owned(), Value::Int(1 << 70))];
        let cases = [
            (Value::Text("${x}\"".to_owned()), r#"'$${x}"'"#),
            (Value::Int(-1), "-1"),
            (Value::Float(1.0), "1.0"),
            (Value::List(vec![Value::Int(1), Value::Int(2)]), "[1, 2]"),
            (Value::Table(fields.into()), "{ \"a.b\" = true, c = \"1180591620717411303424\" }"),
        ];
        for (of, wanted) in cases {
            assert_eq!(value(&of), wanted);
        }
    }

    #[test]
    fn tables_that_are_off_are_comments() {
        let mut table = Table { is_off: true, ..Table::new("link", "a") };
        table.comment("why\nnot");
        table.set("program", "\"a\"", "");
        table.suggest("xdp", "{}", "so");
        assert_eq!(write(&[table]), "# why not\n# [link.a]\n# program = \"a\"\n# # xdp = {}  # so\n");
    }
}
