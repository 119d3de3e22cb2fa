//! Consent that is typed at a terminal: the word of each risk, which nobody types by habit.

use crate::plan::Consent;
use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};

/// Asks for each consent and returns whether all were given. Where nobody can be asked, none is.
pub fn is_typed(lacks: &BTreeSet<Consent>) -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && lacks.iter().all(|consent| ask(*consent))
}

fn ask(consent: Consent) -> bool {
    let mut out = io::stdout().lock();
    // A question that cannot be shown is not answered with yes.
    let asked = write!(out, "{}: type `{consent}` to allow it: ", consent.risk()).and_then(|()| out.flush());
    let mut answer = String::new();
    asked.is_ok() && io::stdin().read_line(&mut answer).is_ok() && answer.trim() == consent.to_string()
}
