//! Writes plans, outcomes and objects for people and programs.
//!
//! Pure: values in, text out. What is said about an action stands in [`crate::plan::words`]; here is how it looks.
//!
//! - `layout`: lines, columns, colour and wrapping, shared by everything that people read
//! - `folders`: one line for a tree of folders
//! - `place`: lines and columns of the manifest
//! - `written`: the first entries that are written into a map
//! - `risk`: the steps that nobody may overlook, and why
//! - [`text`], [`json`], [`markdown`] and [`github`]: a plan
//! - [`explain`]: what a plan means for one thing
//! - [`outcome`]: what an apply did
//! - [`events`]: what it does while it is at it
//! - [`graph`]: a plan as a picture
//! - [`inspect`]: an object file
//! - [`meaning`]: what a code of messages means
//! - [`show`]: what a deployment has
//! - [`entries`]: what a map holds, and how fast it changes
//! - [`problems`]: what is wrong with manifests, for programs
//! - [`packet_tests`]: how packet tests went
//! - [`status`]: how deployments fare
//! - `traffic`: what captured packets tell of a plan

pub mod entries;
pub mod events;
pub mod explain;
mod folders;
pub mod github;
pub mod graph;
pub mod inspect;
pub mod json;
mod layout;
pub mod markdown;
pub mod meaning;
pub mod outcome;
pub mod packet_tests;
mod place;
pub mod problems;
mod risk;
pub mod show;
pub mod status;
pub mod text;
mod traffic;
mod written;

pub use layout::Style;
pub use place::ManifestText;
pub use written::{Sampled, sample};
