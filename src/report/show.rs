//! What a deployment has on this host, for people and for programs.

use super::json::{FORMAT, Format};
use super::layout::{Page, Paint, Style, Table, Text};
use crate::kinds::{MapType, ProgramType};
use crate::names::{DeploymentName, PinPath};
use crate::plan::words::count;
use crate::record::Since;
use schemars::JsonSchema;
use serde::Serialize;

/// What a deployment has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Shown {
    /// The deployment.
    #[schemars(with = "String")]
    pub deployment: DeploymentName,
    /// The folder of its pins.
    #[schemars(with = "String")]
    pub pin_root: PinPath,
    /// The manifest that it was made from, as it was given then.
    pub manifest: Option<String>,
    /// Nanoseconds since boot, now; what load times are measured against.
    pub now: u64,
    /// Maps by name.
    pub maps: Vec<ShownMap>,
    /// Programs by name.
    pub programs: Vec<ShownProgram>,
    /// Links by name.
    pub links: Vec<ShownLink>,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownMap {
    /// Name in the manifest, or `OBJECT:SYMBOL`.
    pub name: String,
    /// Its id; null when it is gone.
    pub id: Option<u32>,
    /// Type.
    #[schemars(with = "String")]
    pub r#type: MapType,
    /// Key size in bytes.
    pub key_size: u32,
    /// Value size in bytes.
    pub value_size: u32,
    /// Capacity.
    pub max_entries: u32,
    /// Entries that it holds; null for a map that cannot be counted.
    pub entries: Option<u64>,
    /// Its pin; null for somebody else's map that was found by id.
    #[schemars(with = "Option<String>")]
    pub pin: Option<PinPath>,
    /// True when we created it.
    pub ours: bool,
    /// Since when it must not be removed or made anew; null when it may.
    #[schemars(with = "Option<u64>")]
    pub protected: Option<Since>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownProgram {
    /// Name in the manifest, or `OBJECT:FUNCTION`.
    pub name: String,
    /// Its id; null when it is gone.
    pub id: Option<u32>,
    /// The kernel's tag, as 16 hexadecimal digits; empty when it is gone.
    #[schemars(regex(pattern = "^([0-9a-f]{16})?$"))]
    pub tag: String,
    /// Type.
    #[schemars(with = "String")]
    pub r#type: ProgramType,
    /// Its pin.
    #[schemars(with = "String")]
    pub pin: PinPath,
    /// Nanoseconds since boot at which it was loaded.
    pub load_time: u64,
    /// Since when it must not be removed; null when it may.
    #[schemars(with = "Option<u64>")]
    pub protected: Option<Since>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownLink {
    /// Name in the manifest.
    pub name: String,
    /// Its id, 0 without a kernel link; null when it is gone.
    pub id: Option<u32>,
    /// The hook in words.
    pub hook: String,
    /// Its place among those that share the hook, where the manifest says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The programs of others around it on the hook: `before it program id 7`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<String>,
    /// The id of the program that it runs.
    pub program_id: Option<u32>,
    /// Its pin.
    #[schemars(with = "String")]
    pub pin: PinPath,
    /// Since when it must not be detached or moved; null when it may.
    #[schemars(with = "Option<u64>")]
    pub protected: Option<Since>,
}

/// Writes what a deployment has, in tables.
pub fn text(shown: &Shown, style: Style) -> String {
    let mut page = Page::new(style);
    let from = shown.manifest.iter().map(|manifest| format!(", from {manifest}")).collect::<String>();
    let head = Text::new(Paint::Heading, &shown.deployment);
    page.line(head.and(Paint::Plain, format!(": pins in {}{from}", shown.pin_root)), 2);
    section(&mut page, "map", &maps(shown));
    section(&mut page, "program", &programs(shown));
    section(&mut page, "link", &links(shown));
    page.finish()
}

fn section(page: &mut Page, noun: &str, table: &Table) {
    page.blank();
    page.line(Text::new(Paint::Heading, count(table.len() as u64, noun)), 2);
    if table.len() > 0 {
        page.table(table);
    }
}

fn maps(shown: &Shown) -> Table {
    let mut table = Table::new(&["MAP", "ID", "TYPE", "KEY", "VALUE", "ENTRIES", "OWNER", "PROTECTED", "PIN"]);
    for map in &shown.maps {
        table.row([
            map.name.as_str().into(),
            id(map.id),
            known(map.id, &map.r#type),
            known(map.id, &format_args!("{} B", map.key_size)),
            known(map.id, &format_args!("{} B", map.value_size)),
            known(map.id, &fill(map)),
            Text::from(if map.ours { "this deployment" } else { "somebody else" }),
            since(map.protected),
            map.pin.as_ref().map_or("", PinPath::as_str).into(),
        ]);
    }
    table
}

fn programs(shown: &Shown) -> Table {
    let mut table = Table::new(&["PROGRAM", "ID", "TYPE", "TAG", "LOADED", "PROTECTED", "PIN"]);
    for program in &shown.programs {
        table.row([
            program.name.as_str().into(),
            id(program.id),
            known(program.id, &program.r#type),
            program.tag.as_str().into(),
            known(program.id, &format_args!("{} ago", age(shown.now.saturating_sub(program.load_time)))),
            since(program.protected),
            program.pin.as_str().into(),
        ]);
    }
    table
}

fn links(shown: &Shown) -> Table {
    let mut table = Table::new(&["LINK", "ID", "HOOK", "PROGRAM ID", "PROTECTED", "PIN"]);
    for link in &shown.links {
        table.row([
            link.name.as_str().into(),
            match link.id {
                // Without a link there is no id of one.
                Some(0) => Text::from("-"),
                other => id(other),
            },
            hook(link),
            Text::from(link.program_id.map_or(String::new(), |id| id.to_string())),
            since(link.protected),
            link.pin.as_str().into(),
        ]);
    }
    table
}

/// Writes a hook, with the link's place and the programs of others there.
fn hook(link: &ShownLink) -> Text {
    let order = link.order.iter().map(|order| format!(", {order}"));
    let around = link.around.iter().map(|around| format!("; {around}"));
    Text::from(std::iter::once(link.hook.clone()).chain(order).chain(around).collect::<String>())
}

fn id(id: Option<u32>) -> Text {
    match id {
        Some(id) => Text::new(Paint::Plain, id),
        None => Text::new(Paint::Alarm, "GONE"),
    }
}

fn since(protected: Option<Since>) -> Text {
    protected.map_or(Text::from(""), |since| format!("since {since}").into())
}

/// Writes what is known of a thing that is there; nothing is known of one that is gone.
fn known(id: Option<u32>, what: &dyn std::fmt::Display) -> Text {
    id.map_or(Text::from(""), |_| what.to_string().into())
}

fn fill(map: &ShownMap) -> String {
    match map.entries {
        Some(entries) => format!("{entries} of {}", map.max_entries),
        None => map.max_entries.to_string(),
    }
}

/// Writes a time span in the two units that matter: `3 d 4 h`, `12 min 3 s`, `5 s`.
pub(crate) fn age(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// What a deployment has, as `bpfapply show DEPLOYMENT --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply show")]
struct ShownJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "show"))]
    kind: &'static str,
    #[serde(flatten)]
    shown: &'a Shown,
}

/// Returns the JSON schema of that.
pub fn schema() -> serde_json::Value {
    super::json::schema::<ShownJson<'_>>()
}

/// Writes what a deployment has as JSON.
pub fn json(shown: &Shown) -> String {
    super::json::write(&ShownJson { format: FORMAT, kind: "show", shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Shown {
        let pin = |below: &str| PinPath::new("/sys/fs/bpf/edge").unwrap().join(below);
        let map = |name: &str, id, entries, ours: bool| ShownMap {
            name: name.to_owned(),
            id,
            r#type: MapType::LRU_HASH,
            key_size: 4,
            value_size: 8,
            max_entries: 65536,
            entries,
            pin: ours.then(|| pin("maps")).map(|maps| maps.join(name)),
            ours,
            protected: None,
        };
        let hour = 3_600_000_000_000;
        Shown {
            deployment: DeploymentName::new("edge").unwrap(),
            pin_root: PinPath::new("/sys/fs/bpf/edge").unwrap(),
            manifest: Some("examples/edge/plan.toml".to_owned()),
            now: 30 * hour,
            maps: vec![map("flows", Some(27), Some(1200), true), map("deny", Some(1337), None, false)],
            programs: vec![ShownProgram {
                name: "drop".to_owned(),
                id: Some(17),
                tag: "3b185187f1855c4c".to_owned(),
                r#type: ProgramType::XDP,
                pin: pin("programs").join("drop"),
                load_time: 2 * hour,
                protected: Some(Since(1_772_366_400)),
            }],
            links: vec![ShownLink {
                order: None,
                around: Vec::new(),
                name: "uplink".to_owned(),
                id: None,
                hook: "xdp of lo".to_owned(),
                program_id: None,
                pin: pin("links").join("uplink"),
                protected: None,
            }],
        }
    }

    #[test]
    fn tables() {
        insta::assert_snapshot!(text(&sample(), Style::default()), @r"
        edge: pins in /sys/fs/bpf/edge, from examples/edge/plan.toml

        2 maps
          MAP    ID    TYPE      KEY  VALUE  ENTRIES        OWNER
            PIN
          flows  27    lru_hash  4 B  8 B    1200 of 65536  this deployment
            /sys/fs/bpf/edge/maps/flows
          deny   1337  lru_hash  4 B  8 B    65536          somebody else

        1 program
          PROGRAM  ID  TYPE  TAG               LOADED       PROTECTED
            PIN
          drop     17  xdp   3b185187f1855c4c  1 d 4 h ago  since 2026-03-01T12:00:00Z
            /sys/fs/bpf/edge/programs/drop

        1 link
          LINK    ID    HOOK       PIN
          uplink  GONE  xdp of lo  /sys/fs/bpf/edge/links/uplink
        ");
        insta::assert_snapshot!(text(&sample(), Style { width: 200, ..Style::default() }), @r"
        edge: pins in /sys/fs/bpf/edge, from examples/edge/plan.toml

        2 maps
          MAP    ID    TYPE      KEY  VALUE  ENTRIES        OWNER            PIN
          flows  27    lru_hash  4 B  8 B    1200 of 65536  this deployment  /sys/fs/bpf/edge/maps/flows
          deny   1337  lru_hash  4 B  8 B    65536          somebody else    -

        1 program
          PROGRAM  ID  TYPE  TAG               LOADED       PROTECTED                   PIN
          drop     17  xdp   3b185187f1855c4c  1 d 4 h ago  since 2026-03-01T12:00:00Z  /sys/fs/bpf/edge/programs/drop

        1 link
          LINK    ID    HOOK       PIN
          uplink  GONE  xdp of lo  /sys/fs/bpf/edge/links/uplink
        ");
        let nothing = Shown { maps: Vec::new(), programs: Vec::new(), links: Vec::new(), ..sample() };
        insta::assert_snapshot!(text(&nothing, Style::default()), @r"
        edge: pins in /sys/fs/bpf/edge, from examples/edge/plan.toml

        0 maps

        0 programs

        0 links
        ");
    }

    #[test]
    fn ages() {
        let cases = [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")];
        for (seconds, words) in cases {
            assert_eq!(age(seconds * 1_000_000_000), words);
        }
    }

    #[test]
    fn json_has_a_version_and_everything() {
        let value: serde_json::Value = serde_json::from_str(&json(&sample())).unwrap();
        assert_eq!(value["format"], serde_json::json!({ "major": 1, "minor": 7 }));
        assert_eq!((&value["kind"], &value["deployment"]), (&"show".into(), &"edge".into()));
        assert_eq!(value["maps"][0]["entries"], 1200);
        assert_eq!(value["programs"][0]["type"], "xdp");
        assert_eq!(value["programs"][0]["protected"], 1_772_366_400);
        assert_eq!(value["links"][0]["id"], serde_json::Value::Null);
    }
}
