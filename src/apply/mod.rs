//! Does what a plan says.

pub mod outcome;
