//! The health checks around an apply: one that passed before and fails afterwards brings back what ran before.

use super::confirm::go_back;
use super::console::{Console, note};
use crate::checks;
use crate::desired::Desired;
use crate::diag::{Exit, Kind, Problem, Problems};
use crate::kernel::Kernel;
use crate::manifest::Check;
use crate::plan::{Plan, words::count};
use crate::record::Rejection;
use std::time::Duration;

/// Says of a plan that may be taken back what no way back puts back.
pub fn warn_of_takeovers(plan: &Plan) {
    let taken = plan.takeovers();
    if !taken.is_empty() {
        let (name, taken) = (&plan.deployment, taken.join(", "));
        note(&format!("{name}: if this is taken back, what it takes over does not return: {taken}"));
    }
}

/// The health checks that passed before an apply.
pub struct Health<'a> {
    passed: Vec<&'a Check>,
    desired: &'a Desired,
}

impl<'a> Health<'a> {
    /// Runs every check; those that fail already decide nothing later.
    pub fn before<K: Kernel>(kernel: &K, checks: &'a [Check], desired: &'a Desired) -> Self {
        let mut health = Self { passed: Vec::new(), desired };
        for check in checks {
            match health.run(kernel, check) {
                Ok(()) => health.passed.push(check),
                Err(why) => note(&format!("the check `{}` fails already, and decides nothing: {why}", check.name)),
            }
        }
        health
    }

    /// Returns how long they may take together; `None` when there are none.
    pub fn limit(&self) -> Option<Duration> {
        (!self.passed.is_empty())
            .then(|| self.passed.iter().fold(Duration::ZERO, |sum, check| sum.saturating_add(check.timeout)))
    }

    /// Says to people what is waited for.
    fn announce(&self, console: &Console) {
        if let Some(limit) = self.limit().filter(|_| console.is_for_people()) {
            let (checks, seconds) = (count(self.passed.len() as u64, "check"), limit.as_secs_f64().ceil());
            note(&format!("waiting up to {seconds} s for {checks} to pass again"));
        }
    }

    fn run<K: Kernel>(&self, kernel: &K, check: &Check) -> Result<(), String> {
        checks::run(check, kernel, |map| self.desired.maps.get(map).and_then(|map| map.pin().cloned()))
    }

    /// Runs those that passed once more. When one fails now, what ran before returns.
    pub fn after<K: Kernel>(&self, kernel: &mut K, plan: &Plan, console: &Console) -> Result<(), Problems> {
        self.announce(console);
        let failed = self.passed.iter().filter_map(|check| Some((check.name.clone(), self.run(kernel, check).err()?)));
        let failed: Vec<_> = failed.collect();
        if failed.is_empty() {
            return Ok(());
        }
        let back = go_back(kernel, &plan.pin_root, Rejection::Checks, console);
        let is_back = matches!(back, Ok(Exit::Success));
        // Why it is not was said where it was begun.
        let mut problems = back.err().unwrap_or_default();
        // They are about what is recorded, which is nowhere in the manifest.
        problems.0.iter_mut().for_each(|problem| problem.labels.clear());
        problems.0.insert(0, Problem::new(Kind::ChecksFailed { failed, is_back, gone: plan.takeovers() }));
        Err(problems)
    }
}
