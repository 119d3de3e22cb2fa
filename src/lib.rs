//! Makes a Linux host's eBPF packet filters match a TOML manifest.
pub mod btf;
