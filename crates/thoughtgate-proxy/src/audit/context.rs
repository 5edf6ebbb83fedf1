//! Facts that all lines of one audit have in common. Only data.

use super::chosen::Chosen;
use super::room::LINE_BYTES;

/// Facts and choices that hold for every line.
#[derive(Debug, Default)]
pub struct Context {
    /// Authority of the upstream's URL, without user information and path.
    pub upstream: String,
    /// The arguments that lines show.
    pub chosen: Chosen,
}

impl Context {
    /// Bytes that one line counts until its text is known.
    pub fn line_bytes(&self) -> usize {
        LINE_BYTES + self.chosen.bytes_max()
    }
}
