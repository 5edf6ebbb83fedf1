//! The path at which the upstream has its metadata as an OAuth protected resource, if it is not the usual one.
//!
//! Learnt from the upstream's challenges alone, since clients must not choose what is fetched from it. Forgotten
//! with the process: a client asks for the metadata after a challenge.

use std::sync::Mutex;

use thoughtgate_panic::lock;

/// The path, if there is one.
#[derive(Debug, Default)]
pub struct MetadataPath(Mutex<Option<String>>);

impl MetadataPath {
    /// Takes note of a challenge; `None` for the usual path.
    pub fn set(&self, path: Option<String>) {
        *lock(&self.0) = path;
    }

    pub fn get(&self) -> Option<String> {
        lock(&self.0).clone()
    }
}

/// Letters, digits and `._~-/` without `..` or `//`: no server reads such a path in two ways.
pub fn is_plain(path: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-/".contains(&byte);
    path.bytes().all(known) && !path.contains("..") && !path.contains("//") && !path.contains("/./")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_with_one_reading_pass() {
        assert!(is_plain("/.well-known/oauth-protected-resource/mcp"));
        for path in [
            "/.well-known/../mcp",
            "/.well-known/%2e%2e/mcp",
            "/.well-known//mcp",
            "/.well-known/./mcp",
            "/.well-known/a\\b",
            "/.well-known/a;b",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
