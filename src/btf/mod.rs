//! The BPF Type Format: parse, encode, compare and fill by type.
