//! The table of targets: what each generates, and the check that its inputs must pass.

mod arguments;
mod canonical;
mod configuration;
mod envelope;
mod lists;
mod press;
mod renumber;
mod seal;
mod target;

pub use target::Target;

pub const TARGETS: &[Target] = &[
    envelope::TARGET,
    lists::WHOLE,
    lists::STREAM,
    arguments::TARGET,
    canonical::TARGET,
    renumber::TARGET,
    seal::TARGET,
    press::TARGET,
    configuration::TARGET,
];
