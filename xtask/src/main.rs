//! `cargo xtask`: measures ThoughtGate, and runs what CI runs. `main` dispatches, nothing more.

mod interrupt;
mod metrics;
mod progress;
mod tools;

fn main() {}
