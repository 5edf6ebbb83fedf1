//! The exit that follows from a verdict, the same for all kinds of comparison.

use super::judge::verdict::Verdict;
use crate::exit::Exit;

/// A BLOCK fails the build; INCONCLUSIVE does so only under `strict`.
pub fn of(overall: Verdict, strict: bool) -> Exit {
    let word = overall.word().to_owned();
    match overall {
        Verdict::Block => Exit::Blocked(word),
        Verdict::Inconclusive if strict => Exit::Unusable(word),
        _ => Exit::Fine(word),
    }
}
