//! Manifests as people keep them: how they are laid out, and first ones to start from.
//!
//! Pure: objects, or what a host has, become text, with comments that say what is a guess and what is left open. What
//! the text means is the manifest's affair.

mod attach;
mod format;
mod hooks;
pub mod import;
mod init;
pub mod origins;
mod table;

pub use format::format;
pub use hooks::written;
pub use init::{File, init, name, stem};
