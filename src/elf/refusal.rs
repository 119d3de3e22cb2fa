//! Why something of an object cannot be used, and who is to blame: the object, or a kernel that lacks what it asks for.

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blame {
    /// The object, which is wrong for every kernel.
    #[default]
    Object,
    /// The kernel, which lacks what another one has.
    Kernel,
}

/// Why something cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, as a sentence without capital and full stop.
    pub why: String,
    /// Who is to blame.
    pub blame: Blame,
}

impl Refusal {
    /// Says what the kernel lacks.
    pub fn of_kernel(why: String) -> Self {
        Self { why, blame: Blame::Kernel }
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, blame: Blame::Object }
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}
