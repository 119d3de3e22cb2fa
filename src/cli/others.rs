//! Who else is at work while a dry run looks at the host, which takes no lock.

use super::console::note;
use crate::kernel::{Kernel, status};
use crate::names::PinPath;
use crate::plan::{Because, Plan};

/// Whether somebody else was at work when it was looked for.
pub struct Others {
    at_work: bool,
}

impl Others {
    /// Looks, and says who it is.
    pub fn look<K: Kernel>(kernel: &K, pin_root: &PinPath) -> Self {
        let holder = status::at_work(kernel, pin_root);
        if let Some(holder) = &holder {
            let name = pin_root.file_name();
            note(&format!("{name}: {holder} is at work: the plan may be another one when that run has ended"));
        }
        Self { at_work: holder.is_some() }
    }

    /// Looks once more, and leaves what others have built so far out of a plan that was made meanwhile: no run was
    /// interrupted, and nothing of that is a leftover.
    pub fn leave_out<K: Kernel>(self, kernel: &K, plan: &mut Plan) {
        if self.at_work || Self::look(kernel, &plan.pin_root).at_work {
            plan.steps.retain(|step| !matches!(step.because, Because::Interrupted { .. }));
        }
    }
}
