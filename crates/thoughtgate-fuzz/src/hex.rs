//! Bytes as hexadecimal digits, for names of files and for signatures.
//!
//! Parses none: `targets/press.rs` does, as an oracle.

use std::fmt::Write as _;

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
