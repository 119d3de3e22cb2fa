//! `show map.NAME`: what a map holds, and how fast it changes.

use super::arguments::whole;
use super::console::{Console, Output};
use crate::diag::{Exit, Problems};
use crate::kernel::Kernel;
use crate::kernel::entries::{KernelNames, Readable};
use crate::manifest;
use crate::report;
use clap::Args;
use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

/// How many entries people are shown unless they ask for more.
const FOR_PEOPLE: usize = 100;
/// How many rates people are shown: they should fit a screen.
const RATES_FOR_PEOPLE: usize = 20;
/// The most entries that are kept in memory to compare them.
const MOST_WATCHED: usize = 1 << 20;

/// What of a map is shown.
#[derive(Debug, Args)]
pub struct Options {
    /// At most so many entries of the map, 0 for all: 100 unless given, 20 with --watch, and all as JSON
    #[arg(long, value_parser = whole::<usize>, value_name = "N")]
    limit: Option<usize>,
    /// Add the values of all CPUs up, field by field
    #[arg(long)]
    sum: bool,
    /// Show which entries change, and how fast, every second or INTERVAL; CPUs are added up
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1s",
        value_parser = manifest::time,
        value_name = "INTERVAL"
    )]
    watch: Option<Duration>,
    /// With --watch: end after so many rounds
    #[arg(long, requires = "watch", value_parser = whole::<u64>, value_name = "N")]
    count: Option<u64>,
    /// Show what a sensitive map holds
    #[arg(long)]
    pub reveal: bool,
}

impl Options {
    /// Returns whether something is said of the entries.
    pub fn is_given(&self) -> bool {
        self.limit.is_some() || self.sum || self.watch.is_some() || self.reveal
    }

    fn of_report(&self, console: &Console, for_people: usize, masked: bool) -> report::entries::Options {
        let style = match console.output {
            Output::Text | Output::Markdown | Output::Github => Some(console.style()),
            Output::Json => None,
        };
        let limit = match self.limit {
            _ if masked => Some(0),
            Some(0) => None,
            Some(limit) => Some(limit),
            None => style.map(|_| for_people),
        };
        report::entries::Options { style, limit, sum: self.sum }
    }
}

/// Shows the entries of a map.
pub fn run<K: Kernel>(
    kernel: &K,
    map: &Readable<K::Fd>,
    options: &Options,
    console: &Console,
) -> Result<Exit, Problems> {
    match options.watch {
        Some(interval) => watch(kernel, map, (interval, options), console)?,
        None => list(kernel, map, options, console)?,
    }
    Ok(Exit::Success)
}

fn list<K: Kernel>(kernel: &K, map: &Readable<K::Fd>, options: &Options, console: &Console) -> Result<(), Problems> {
    let names = KernelNames::new(kernel);
    let options = options.of_report(console, FOR_PEOPLE, map.head.masked);
    let mut listing = report::entries::Listing::new(&map.head, &map.layout, &names, options);
    if console.write(&listing.start()).is_break() {
        return Ok(());
    }
    map.read(kernel, &mut |keys, values| console.write(&listing.take(keys, values, map.sizes)))?;
    let _ = console.write(&listing.end());
    Ok(())
}

/// Shows rates, until there were enough rounds, nobody reads on, or a signal comes.
fn watch<K: Kernel>(
    kernel: &K,
    map: &Readable<K::Fd>,
    (interval, options): (Duration, &Options),
    console: &Console,
) -> Result<(), Problems> {
    let rounds = options.count.unwrap_or(u64::MAX);
    let options = options.of_report(console, RATES_FOR_PEOPLE, map.head.masked);
    let clear = if options.style.is_some() && io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    let (mut before, mut since) = (map.snapshot(kernel, MOST_WATCHED)?, Instant::now());
    for _ in 0..rounds {
        thread::sleep(interval);
        let (now, at) = (map.snapshot(kernel, MOST_WATCHED)?, Instant::now());
        let seconds = (at - since).as_secs_f64();
        let text = report::entries::rates(&map.head, &map.layout, (&before, &now), seconds, &options);
        if console.write(&format!("{clear}{}\n", text.trim_end_matches('\n'))).is_break() {
            return Ok(());
        }
        (before, since) = (now, at);
    }
    Ok(())
}
