//! The files in which Linux describes the machine. One that cannot be read is none.
//!
//! Deliberately absent: errors, and what the texts mean.

use std::fs;

pub(super) fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

pub(super) fn trimmed(path: &str) -> Option<String> {
    read(path)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}
