//! SHA-256, as everything here writes it.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

/// The beginning of a hash or of a commit's name, enough for people.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// The SHA-256 of some bytes in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
