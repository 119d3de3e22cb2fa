//! Writes plans, outcomes and objects for people and programs.
//!
//! Pure: values in, text out. What is said about an action stands in [`crate::plan::words`]; here is how it looks.
//!
//! - `layout`: lines, columns, colour and wrapping, shared by everything that people read
//! - `folders`: one line for a tree of folders
//! - `place`: lines and columns of the manifest
//! - `written`: the first entries that are written into a map
//! - [`text`] and [`json`]: a plan
//! - [`outcome`]: what an apply did
//! - [`inspect`]: an object file
//! - [`show`]: what a deployment has
//! - [`entries`]: what a map holds, and how fast it changes
//! - [`packet_tests`]: how packet tests went
//! - [`status`]: how deployments fare
//! - `traffic`: what captured packets tell of a plan

pub mod entries;
mod folders;
pub mod inspect;
pub mod json;
mod layout;
pub mod outcome;
pub mod packet_tests;
mod place;
pub mod show;
pub mod status;
pub mod text;
mod traffic;
mod written;

pub use layout::Style;
pub use place::ManifestText;
