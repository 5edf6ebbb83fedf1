//! Addresses (URLs and URIs): their ports, and their text for the log, without the parts in which secrets are
//! sent.
//!
//! Escapes and cuts nothing: whoever prints them does.

use http::uri::Authority;

/// A port that is not a number from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPort;

/// The port of an authority; `None` if it names none.
///
/// [`Authority::port_u16`] has none for a port that it cannot read either, and the scheme's default port is
/// another server then.
pub fn port(authority: &Authority) -> Result<Option<u16>, BadPort> {
    let host_and_port = authority.as_str().rsplit('@').next().unwrap_or_default();
    let rest = host_and_port.strip_prefix(authority.host());
    match rest.ok_or(BadPort)? {
        "" => Ok(None),
        rest => {
            let port = rest.strip_prefix(':').and_then(number);
            port.filter(|port| *port > 0).map(Some).ok_or(BadPort)
        }
    }
}

/// A port in decimal digits.
pub fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|_| digits)
}

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
    fn a_port_is_a_number_in_range_or_absent() {
        let port = |text: &str| port(&text.parse().unwrap());
        assert_eq!(port("host"), Ok(None));
        assert_eq!(port("[::1]"), Ok(None));
        assert_eq!(port("[::1]:8080"), Ok(Some(8080)));
        assert_eq!(port("user:1@host:65535"), Ok(Some(65535)));
        for bad in ["host:0", "host:65536", "host:", "host:+80", "host:x"] {
            // What cannot be parsed at all is refused, too.
            let found = bad.parse().map_or(Err(BadPort), |bad| super::port(&bad));
            assert_eq!(found, Err(BadPort), "{bad}");
        }
    }

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
