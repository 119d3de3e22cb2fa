//! `explain`: what a code of messages means, and what to do.

use super::console::Console;
use crate::diag::explain::{find, topics};
use crate::diag::{Exit, Kind, Problem};
use crate::report::meaning;
use clap::Args;

/// What to explain.
#[derive(Debug, Args)]
pub struct Explain {
    /// A code as messages have it, or its last part where only one has it; without it, all codes are listed
    pub code: Option<String>,
}

/// Shows what a code means.
pub fn run(asked: &Explain, console: &Console) -> Result<Exit, Exit> {
    let Some(code) = &asked.code else {
        let all = || serde_json::Value::from_iter(topics().map(meaning::json));
        console.show(meaning::list, || all().to_string());
        return Ok(Exit::Success);
    };
    // As it stands in a message.
    let code = code.trim_matches(['[', ']', '`']);
    let topic = find(code).map_err(|meant| console.fail(&unknown(code, &meant).into(), None))?;
    console.show(|style| meaning::text(topic, style), || meaning::json(topic).to_string());
    Ok(Exit::Success)
}

fn unknown(code: &str, meant: &[&str]) -> Problem {
    let what = format!("there is no code `{}`", code.escape_debug());
    Problem::new(Kind::Usage(match meant {
        [] => format!("{what}: `bpfapply explain` lists all"),
        codes => format!("{what}: it may be {}", codes.join(", ")),
    }))
}
