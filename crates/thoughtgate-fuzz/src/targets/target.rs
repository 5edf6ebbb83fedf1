//! The form of a target, and the helpers that several targets share.
//!
//! Knows no target: the table is in `targets.rs`.

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

/// Separator of the parts of an input that has several.
pub(super) const CUT: &str = "\n%%\n";

/// A number for a kind of outcome; inputs that have a new one are kept.
pub(super) fn kind(of: impl Hash) -> u64 {
    // Its keys are fixed, unlike those of a `RandomState`, so that a replay makes the same choices.
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Random choices that depend on the input alone, so that it can be replayed.
pub(super) fn choices(input: &[u8]) -> Random {
    Random::new(kind(input), 0)
}

/// The words of a message without its values: what is quoted differs with each input.
pub(super) fn wording(message: &str) -> String {
    message
        .split('`')
        .step_by(2)
        .flat_map(str::chars)
        .filter(|letter| !letter.is_ascii_digit())
        .take(80)
        .collect()
}
