//! `--explain ADDRESS`: what a plan means for one thing, in full.

use super::arguments::names_nothing;
use super::console::{Console, Output};
use super::loaded::Loaded;
use super::planned::Planned;
use crate::desired::Desired;
use crate::diag::Problems;
use crate::explain::{self, Codes, Explained, Given};
use crate::kernel::{Kernel, codes};
use crate::names::Address;
use crate::observed::Observed;
use crate::plan::Plan;
use crate::report;
use clap::Args;
use std::collections::BTreeSet;

/// What is explained, and how much of it.
#[derive(Debug, Args)]
pub struct Explain {
    /// With --dry-run: explain a map, program or link of the plan (such as `program.drop`) in full; repeatable
    #[arg(long, requires = "dry_run", value_name = "ADDRESS")]
    pub explain: Vec<String>,
    /// With --explain: how many entries of a map are shown
    #[arg(long, requires = "explain", default_value_t = 20, value_name = "N")]
    pub limit: usize,
}

impl Explain {
    /// Returns the addresses that are asked for, as the plan has them.
    pub fn asked(&self, plan: &Plan) -> Result<BTreeSet<Address>, Problems> {
        let known = explain::addresses(plan);
        let find = |text: &String| {
            let found = known.iter().find(|address| address.to_string() == *text);
            let names = || known.iter().map(Address::to_string).collect::<Vec<_>>();
            found.cloned().ok_or_else(|| names_nothing("--explain: this plan has no", text, &names()))
        };
        let (mut asked, mut problems) = (BTreeSet::new(), Vec::new());
        for result in self.explain.iter().map(find) {
            match result {
                Ok(address) => drop(asked.insert(address)),
                Err(problem) => problems.push(problem),
            }
        }
        Problems(problems).or(asked)
    }

    /// Explains what is asked for of a plan, without asking the verifier.
    pub fn of<K: Kernel>(&self, kernel: &K, planned: &Planned) -> Result<Vec<Explained>, Problems> {
        let Planned { plan, desired, observed, .. } = planned;
        let asked = self.asked(plan)?;
        Ok(self.explained(&asked, (plan, desired, observed), &codes::running(kernel, plan, &asked)))
    }

    /// Explains what was found to be asked for.
    pub fn explained(
        &self,
        asked: &BTreeSet<Address>,
        (plan, desired, observed): (&Plan, &Desired, &Observed),
        codes: &Codes,
    ) -> Vec<Explained> {
        let given = Given { plan, desired, observed, codes, limit: self.limit };
        asked.iter().filter_map(|address| explain::explain(&given, address)).collect()
    }
}

/// Writes a plan, and explanations below it.
pub fn show(plan: &Plan, loaded: &Loaded, explained: &[Explained], console: &Console) {
    console.plan_explained(plan, loaded, explained);
    if console.output == Output::Text && !explained.is_empty() {
        let manifest = Some(loaded.text());
        let options = report::explain::Options { style: console.style(), manifest, verbose: console.verbose };
        console.print(&report::explain::text(explained, &options));
    }
}
