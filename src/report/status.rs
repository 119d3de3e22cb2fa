//! How deployments fare on this host, for people and for programs.

use super::json::{FORMAT, Format};
use super::layout::{Page, Paint, Style, Text};
use super::show::age;
use crate::diag::LockHolder;
use crate::names::PinPath;
use crate::plan::words::count;
use crate::record::Rejected;
use schemars::JsonSchema;
use serde::Serialize;

/// How deployments fare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deployments {
    /// Each of them, by the folders of their pins.
    #[serde(rename = "deployments")]
    pub found: Vec<Deployment>,
    /// The folder where a bpffs should be and none is, so that no deployment can be; null where all is well, or where
    /// one deployment was asked for.
    #[schemars(with = "Option<String>")]
    pub unmounted: Option<PinPath>,
}

impl Deployments {
    /// Returns whether all that should be there is, as the last applies made it.
    pub fn in_sync(&self) -> bool {
        self.unmounted.is_none() && self.found.iter().all(|one| one.state == State::InSync)
    }
}

/// How a deployment fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deployment {
    /// Its name.
    pub deployment: String,
    /// The folder of its pins.
    #[schemars(with = "String")]
    pub pin_root: PinPath,
    /// How it is as a whole: the worst of what is found.
    pub state: State,
    /// The number of the generation that runs; null when none does.
    pub generation: Option<u64>,
    /// What its record says; null when it says nothing.
    pub made: Option<Made>,
    /// Whether the generation before is there, for a rollback.
    pub previous: bool,
    /// What that is, when it was taken back without anybody asking for that.
    pub rejected: Option<Rejected>,
    /// For how many seconds the generation that runs still waits to be confirmed; null when it does not wait.
    pub unconfirmed: Option<u64>,
    /// Whether its watchdog lives, which goes back then; else the next run does.
    pub watched: bool,
    /// Who is at work, where that may be why something is different, left over or not confirmed.
    pub at_work: Option<LockHolder>,
    /// What is different from the record.
    pub drift: Vec<Drifted>,
    /// What interrupted runs left.
    #[schemars(with = "Vec<String>")]
    pub leftovers: Vec<PinPath>,
    /// Why the record says nothing, why nothing can be said, or that nothing leads to what ran any more; and the way out.
    pub problem: Option<Trouble>,
}

impl Deployment {
    /// Says of a deployment how it is, and nothing else.
    pub fn new(deployment: &str, pin_root: PinPath, state: State) -> Self {
        Self {
            deployment: deployment.to_owned(),
            pin_root,
            state,
            generation: None,
            made: None,
            previous: false,
            rejected: None,
            unconfirmed: None,
            watched: false,
            at_work: None,
            drift: Vec::new(),
            leftovers: Vec::new(),
            problem: None,
        }
    }
}

/// How a deployment is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is what the last apply made.
    InSync,
    /// It is, and waits to be confirmed.
    Unconfirmed,
    /// A run is at work: what looks different or left over now may be its own.
    Changing,
    /// A run was interrupted and what it left is there, or what ran is and nothing leads to it any more.
    LeftOver,
    /// Something is different from the record.
    Drifted,
    /// The record is gone or says nothing: only pins tell what is ours.
    NoRecord,
    /// It cannot be read: nobody knows.
    Unreadable,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Made {
    /// Seconds since 1970.
    pub time: u64,
    /// The manifest, as it was given then.
    pub manifest: String,
    /// The version that did it.
    pub version: String,
    /// Number of maps.
    pub maps: usize,
    /// Number of programs.
    pub programs: usize,
    /// Number of links.
    pub links: usize,
}

/// One difference from the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Drifted {
    /// What it is about: `map.flows`.
    pub address: String,
    /// What kind of difference it is.
    pub kind: DriftKind,
    /// The same in words.
    pub words: String,
}

/// What can be different from a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// The pin is gone.
    Unpinned,
    /// The pin is another one.
    Replaced,
    /// Others than asked for may open the pin, or enter a folder of pins.
    Access,
    /// The link is on no hook any more.
    Detached,
    /// The link is on another hook.
    Moved,
    /// The link runs another program.
    Runs,
    /// The interface is gone, or another one.
    Interface,
    /// The file of an event is gone, or another one.
    File,
    /// What a link waits for is there.
    Came,
    /// The network namespace is gone, or another one.
    Netns,
    /// The cgroup is gone, or another one.
    Cgroup,
    /// The program runs in another mode.
    Mode,
    /// The program does not use the map that is pinned.
    Edge,
    /// Programs of others came before it on its hook.
    Ahead,
    /// The link does not have its place among those on its hook.
    Order,
    /// Entries that are ours are other ones.
    Entries,
    /// Variables are other ones.
    Variables,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trouble {
    /// What.
    pub words: String,
    /// What to do.
    pub help: Option<String>,
}

impl State {
    fn words(self) -> Text {
        match self {
            Self::InSync => Text::from("in sync"),
            Self::Unconfirmed => Text::new(Paint::Alarm, "unconfirmed"),
            Self::Changing => Text::new(Paint::Alarm, "changing"),
            Self::LeftOver => Text::new(Paint::Alarm, "left over"),
            Self::Drifted => Text::new(Paint::Alarm, "drifted"),
            Self::NoRecord => Text::new(Paint::Alarm, "no record"),
            Self::Unreadable => Text::new(Paint::Alarm, "cannot be read"),
        }
    }
}

/// Writes how deployments fare; `now` is in seconds since 1970.
pub fn text(deployments: &Deployments, now: u64, style: Style) -> String {
    let mut page = Page::new(style);
    if let Some(bpffs) = &deployments.unmounted {
        let words = format!(": no bpffs is mounted on {bpffs}, where their pins would be");
        page.line(Text::new(Paint::Alarm, "no deployments").and(Paint::Plain, words), 2);
    } else if deployments.found.is_empty() {
        page.line("no deployments", 0);
    }
    for (number, deployment) in deployments.found.iter().enumerate() {
        if number > 0 {
            page.blank();
        }
        let head = Text::new(Paint::Heading, &deployment.deployment).and(Paint::Plain, ": ");
        page.line(head.join(deployment.state.words()), 2);
        details(&mut page, deployment, now);
    }
    page.finish()
}

fn details(page: &mut Page, deployment: &Deployment, now: u64) {
    const HANG: usize = 4;
    if let Some(made) = &deployment.made {
        let has = [(made.maps, "map"), (made.programs, "program"), (made.links, "link")];
        page.line(format!("  {}", has.map(|(number, noun)| count(number as u64, noun)).join(", ")), HANG);
        let number = deployment.generation.map_or(String::new(), |number| format!("generation {number}, "));
        let ago = age(now.saturating_sub(made.time).saturating_mul(1_000_000_000));
        page.line(format!("  {number}made {ago} ago from {}", made.manifest), HANG);
    }
    match deployment.rejected.filter(|_| deployment.previous) {
        Some(rejected) => page.line(format!("  it took the place of {rejected}; that one is kept"), HANG),
        None if deployment.previous => page.line("  the generation before is kept for a rollback", HANG),
        None => {}
    }
    if let Some(left) = deployment.unconfirmed {
        let commit = format!("`bpfapply commit {}`", deployment.deployment);
        // Who is at work may go back right now.
        let waits = match (left, deployment.watched, &deployment.at_work) {
            (0, _, Some(_)) => "waited in vain to be confirmed".to_owned(),
            (0, _, None) => "waited in vain to be confirmed: the next run goes back".to_owned(),
            (left, true, _) => format!("waits to be confirmed for {left} s: {commit}"),
            (_, false, Some(_)) => "waits to be confirmed, and nobody watches it".to_owned(),
            (_, false, None) => {
                format!("waits to be confirmed, and nobody watches it: the next run goes back, unless {commit}")
            }
        };
        page.line(Text::new(Paint::Alarm, "!").and(Paint::Plain, format!(" {waits}")), HANG);
    }
    if let Some(holder) = &deployment.at_work {
        let words = format!(" {holder} is at work: look again when that run has ended");
        return page.line(Text::new(Paint::Alarm, "!").and(Paint::Plain, words), HANG);
    }
    for drifted in &deployment.drift {
        page.line(
            Text::new(Paint::Alarm, "!").and(Paint::Plain, format!(" {}: {}", drifted.address, drifted.words)),
            HANG,
        );
    }
    // What ran is not cleared unasked.
    let is_root_gone = deployment.generation.is_none() && deployment.problem.is_some();
    let why = match is_root_gone {
        true => "nothing leads to it any more",
        false => "left by a run that was interrupted; the next apply or destroy clears it",
    };
    for leftover in &deployment.leftovers {
        page.line(Text::new(Paint::Alarm, "!").and(Paint::Plain, format!(" {leftover}: {why}")), HANG);
    }
    if let Some(problem) = &deployment.problem {
        page.line(Text::new(Paint::Alarm, "!").and(Paint::Plain, format!(" {}", problem.words)), HANG);
        if let Some(help) = &problem.help {
            page.line(format!("  help: {help}"), HANG);
        }
    }
}

/// How deployments fare, as `bpfapply status --output json` writes it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "bpfapply status")]
struct StatusJson<'a> {
    format: Format,
    /// Which document it is.
    #[schemars(extend("const" = "status"))]
    kind: &'static str,
    #[serde(flatten)]
    deployments: &'a Deployments,
}

/// Returns the JSON schema of that.
pub fn schema() -> serde_json::Value {
    super::json::schema::<StatusJson<'_>>()
}

/// Writes how deployments fare as JSON.
pub fn json(deployments: &Deployments) -> String {
    super::json::write(&StatusJson { format: FORMAT, kind: "status", deployments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Rejection;

    fn path(name: &str) -> PinPath {
        PinPath::new("/sys/fs/bpf").unwrap().child(name)
    }

    fn deployment(name: &str, state: State) -> Deployment {
        let manifest = format!("/etc/bpfapply/{name}.toml");
        let made = Made { time: 1000, manifest, version: "0.1.0".to_owned(), maps: 5, programs: 1, links: 0 };
        Deployment { generation: Some(7), made: Some(made), ..Deployment::new(name, path(name), state) }
    }

    fn samples() -> Deployments {
        let drifted =
            |address: &str, kind, words: &str| Drifted { address: address.to_owned(), kind, words: words.to_owned() };
        let trouble =
            |words: &str, help: Option<&str>| Some(Trouble { words: words.to_owned(), help: help.map(str::to_owned) });
        let holder = |command: &str| LockHolder { pid: 7, seconds: Some(3), command: command.to_owned() };
        let found = vec![
            Deployment { previous: true, ..deployment("core", State::InSync) },
            Deployment {
                drift: vec![
                    drifted("map.flows", DriftKind::Unpinned, "its pin /sys/fs/bpf/edge/maps/flows is gone"),
                    drifted("link.uplink", DriftKind::Detached, "it was detached from xdp of eth0"),
                ],
                leftovers: vec![path("edge~8")],
                ..deployment("edge", State::Drifted)
            },
            Deployment {
                made: None,
                problem: trouble("it is gone", Some("make a new one")),
                ..deployment("lost", State::NoRecord)
            },
            Deployment {
                made: None,
                generation: None,
                leftovers: vec![path("old~3"), path("old~previous")],
                ..deployment("old", State::LeftOver)
            },
            Deployment { unconfirmed: Some(7), ..deployment("unwatched", State::Unconfirmed) },
            Deployment { unconfirmed: Some(7), watched: true, ..deployment("young", State::Unconfirmed) },
            Deployment {
                previous: true,
                rejected: Some(Rejected { generation: 6, because: Rejection::Checks }),
                at_work: Some(holder("bpfapply plan.toml")),
                drift: vec![drifted("map.flows", DriftKind::Unpinned, "its pin is gone")],
                ..deployment("busy", State::Changing)
            },
            Deployment {
                made: None,
                problem: trouble("it may not be opened", None),
                ..deployment("shut", State::Unreadable)
            },
            Deployment {
                unconfirmed: Some(0),
                at_work: Some(holder("bpfapply watchdog /sys/fs/bpf/late")),
                ..deployment("late", State::Unconfirmed)
            },
        ];
        Deployments { found, unmounted: None }
    }

    #[test]
    fn every_state() {
        insta::assert_snapshot!(text(&samples(), 1184, Style::default()), @r"
        core: in sync
          5 maps, 1 program, 0 links
          generation 7, made 3 min 4 s ago from /etc/bpfapply/core.toml
          the generation before is kept for a rollback

        edge: drifted
          5 maps, 1 program, 0 links
          generation 7, made 3 min 4 s ago from /etc/bpfapply/edge.toml
        ! map.flows: its pin /sys/fs/bpf/edge/maps/flows is gone
        ! link.uplink: it was detached from xdp of eth0
        ! /sys/fs/bpf/edge~8: left by a run that was interrupted; the next apply or
            destroy clears it

        lost: no record
        ! it is gone
          help: make a new one

        old: left over
        ! /sys/fs/bpf/old~3: left by a run that was interrupted; the next apply or
            destroy clears it
        ! /sys/fs/bpf/old~previous: left by a run that was interrupted; the next apply
            or destroy clears it

        unwatched: unconfirmed
          5 maps, 1 program, 0 links
          generation 7, made 3 min 4 s ago from /etc/bpfapply/unwatched.toml
        ! waits to be confirmed, and nobody watches it: the next run goes back, unless
            `bpfapply commit unwatched`

        young: unconfirmed
          5 maps, 1 program, 0 links
          generation 7, made 3 min 4 s ago from /etc/bpfapply/young.toml
        ! waits to be confirmed for 7 s: `bpfapply commit young`

        busy: changing
          5 maps, 1 program, 0 links
          generation 7, made 3 min 4 s ago from /etc/bpfapply/busy.toml
          it took the place of generation 6, which failed its checks; that one is kept
        ! pid 7, started 3 s ago: `bpfapply plan.toml` is at work: look again when that
            run has ended

        shut: cannot be read
        ! it may not be opened

        late: unconfirmed
          5 maps, 1 program, 0 links
          generation 7, made 3 min 4 s ago from /etc/bpfapply/late.toml
        ! waited in vain to be confirmed
        ! pid 7, started 3 s ago: `bpfapply watchdog /sys/fs/bpf/late` is at work: look
            again when that run has ended
        ");
        let none = Deployments::default();
        insta::assert_snapshot!(text(&none, 0, Style::default()), @"no deployments");
        let unmounted = Deployments { unmounted: path("x").parent(), ..none };
        insta::assert_snapshot!(
            text(&unmounted, 0, Style::default()),
            @"no deployments: no bpffs is mounted on /sys/fs/bpf, where their pins would be"
        );
    }

    #[test]
    fn json_has_a_version_and_everything() {
        let value: serde_json::Value = serde_json::from_str(&json(&samples())).unwrap();
        assert_eq!(value["format"], serde_json::json!({ "major": 1, "minor": 7 }));
        assert_eq!(value["kind"], "status");
        let states: Vec<_> = value["deployments"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
        let expected = ["in-sync", "drifted", "no-record", "left-over", "unconfirmed", "unconfirmed"];
        assert_eq!(states, [&expected[..], &["changing", "unreadable", "unconfirmed"]].concat());
        let of = |field: &str| -> Vec<_> {
            value["deployments"].as_array().unwrap().iter().skip(4).take(3).map(|one| one[field].clone()).collect()
        };
        assert_eq!(of("watched"), [false, true, false]);
        let holder = serde_json::json!({ "pid": 7, "seconds": 3, "command": "bpfapply plan.toml" });
        assert_eq!(of("at_work"), [serde_json::Value::Null, serde_json::Value::Null, holder]);
        let rejected = serde_json::json!({ "generation": 6, "because": "checks" });
        assert_eq!(of("rejected"), [serde_json::Value::Null, serde_json::Value::Null, rejected]);
        let edge = &value["deployments"][1];
        assert_eq!(edge["made"]["maps"], 5);
        let drift = serde_json::json!({
            "address": "link.uplink", "kind": "detached", "words": "it was detached from xdp of eth0",
        });
        assert_eq!((&edge["drift"][1], &edge["leftovers"][0]), (&drift, &"/sys/fs/bpf/edge~8".into()));
        assert_eq!(value["deployments"][3]["generation"], serde_json::Value::Null);
        assert_eq!(value["unmounted"], serde_json::Value::Null);
    }
}
