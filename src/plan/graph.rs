//! The graph of a plan and its order: stable, and a cycle names its whole circle.
