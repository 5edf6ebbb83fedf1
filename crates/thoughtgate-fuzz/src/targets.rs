//! The table of targets: what each generates, and the check that its inputs must pass.

mod arguments;
mod canonical;
mod configuration;
mod envelope;
mod lists;
mod press;
mod seal;

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::random::Random;

/// Checks one input: the kind of outcome that it had, or what is wrong, its kind before a colon.
pub type Check = Box<dyn FnMut(&[u8]) -> Result<u64, String>>;

/// Something that is fuzzed.
pub struct Target {
    pub name: &'static str,
    pub generate: fn(&mut Random) -> Vec<u8>,
    /// Makes the check, with what it needs for all inputs.
    pub check: fn() -> anyhow::Result<Check>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    envelope::TARGET,
    lists::WHOLE,
    lists::STREAM,
    arguments::TARGET,
    canonical::TARGET,
    seal::TARGET,
    press::TARGET,
    configuration::TARGET,
];

/// What separates the parts of an input that has several.
const CUT: &str = "\n%%\n";

/// A number for a kind of outcome; inputs that have a new one are kept.
fn kind(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Random choices that depend on the input alone, so that it can be replayed.
fn choices(input: &[u8]) -> Random {
    Random::new(kind(input), 0)
}

/// The words of a message without its values: what is quoted differs with each input.
fn wording(message: &str) -> String {
    message
        .split('`')
        .step_by(2)
        .flat_map(str::chars)
        .filter(|letter| !letter.is_ascii_digit())
        .take(80)
        .collect()
}
