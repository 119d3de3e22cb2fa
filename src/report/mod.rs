//! Writes plans, outcomes and objects for people and programs.
