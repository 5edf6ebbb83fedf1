//! Addresses (URLs and URIs) as text for the log, without the parts in which secrets are sent.
//!
//! Escapes and cuts nothing: whoever prints them does.

/// `address` without user, password, query and fragment.
#[must_use]
pub fn without_secrets(address: &str) -> String {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let address = &address[..end];
    let start = match address.find("//") {
        Some(at) => at + "//".len(),
        // Such as `mailto:x`.
        None => address.find(':').map_or(0, |at| at + 1),
    };
    let (before, rest) = address.split_at(start);
    let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{before}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_path_are_left() {
        for (address, expected) in [
            ("https://host:1/a/b?key=SECRET#SECRET", "https://host:1/a/b"),
            ("https://host#SECRET?x", "https://host"),
            ("http://user:SECRET@host/a@b", "http://host/a@b"),
            ("http://SECRET@SECRET@host", "http://host"),
            ("//SECRET@host", "//host"),
            ("db:user:SECRET@host/table", "db:host/table"),
            ("urn:isbn:1", "urn:isbn:1"),
            ("/a/b?SECRET", "/a/b"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(address), expected, "{address}");
        }
    }
}
