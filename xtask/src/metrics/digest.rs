//! SHA-256 in lower-case hex, and the short form of hashes and commits.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

/// The first 12 digits of a hash or commit, for people.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

pub fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
