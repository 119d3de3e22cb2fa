//! Makes a Linux host's eBPF packet filters match a TOML manifest.
//!
//! One road, one direction; each stage reads the one before it and returns a new value:
//!
//! ```text
//! plan.toml ─parse▶ Manifest ┐
//! *.o ──────parse▶ Objects ──┴resolve▶ Desired ┐
//! kernel, bpffs ─────observe▶ Observed ────────┴plan▶ Plan ─▶ report        (--dry-run ends here)
//!                                                     └apply▶ Outcome ─verify▶ report
//! ```
//!
//! parse, resolve and plan are pure. `observe` only reads. `apply` is the one place that changes the kernel.

pub mod access;
pub mod apply;
pub mod btf;
pub mod cells;
pub mod checks;
pub mod cli;
pub mod confirm;
mod consent;
pub mod desired;
pub mod diag;
pub mod direct;
pub mod draft;
pub mod elf;
pub mod entries;
pub mod explain;
pub mod insn;
mod json;
pub mod kernel;
pub mod kinds;
pub mod load;
pub mod manifest;
pub mod migrate;
pub mod names;
pub mod observed;
pub mod owned;
pub mod packet;
pub mod packet_tests;
mod parallel;
pub mod plan;
pub mod record;
pub mod recorded;
pub mod report;
pub mod route;
pub mod saved;
pub mod spec;
pub mod state;
pub mod traffic;
pub mod variables;
pub mod verdict;
pub mod verifier;
