//! Entries of `allowed_hosts` and `allowed_origins`: what each accepts, and why one is refused at load.
//!
//! An entry that could never match, or would match more than its author can mean, is refused. Reads no
//! request: [`super::Guard`] does.

use std::net::{IpAddr, Ipv6Addr};

use crate::address::number;

/// An accepted host: its name, and its port if the entry has one.
#[derive(Debug, Clone)]
pub struct HostEntry {
    name: Name,
    port: Port,
}

/// An accepted origin.
#[derive(Debug, Clone)]
pub struct OriginEntry {
    scheme: String,
    host: HostEntry,
}

#[derive(Debug, Clone)]
enum Name {
    Exact(String),
    /// `.example.com`, which the name has to end with.
    Below(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// The entry has none.
    Unstated,
    Number(u16),
    /// `:*`
    Any,
}

/// Reason why an entry is refused; reads on from "item 1 of 2". Never quotes the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error(
        "accepts every host, which lets web pages reach the proxy by DNS rebinding; list the hosts, such as tools.example or *.example.com"
    )]
    EveryHost,
    #[error(
        "accepts every origin, which lets any web page call tools; list the origins, such as https://app.example or https://*.example.com"
    )]
    EveryOrigin,
    #[error(
        "is the origin of every sandboxed page and local file, which cannot be told apart by it; serve the page from an origin of its own, such as http://localhost:3000"
    )]
    NullOrigin,
    #[error("has a scheme; write the host alone, such as tools.example or tools.example:8080")]
    Scheme,
    #[error(
        "has no scheme; an origin is scheme://host or scheme://host:port, such as https://app.example"
    )]
    NoScheme,
    #[error(
        "has a path, query or user; only scheme, host and port make an origin, such as https://app.example"
    )]
    MoreThanOrigin,
    #[error("has a path, query or user; write the host alone, such as tools.example")]
    MoreThanHost,
    #[error("has a `*` that is not the whole first label of a name; write it as in *.example.com")]
    Wildcard,
    #[error("has an invalid port; it is a number from 1 to 65535, or `*` for any")]
    Port,
    #[error(
        "is not a host name or IP address; write names in ASCII (xn--…), and IPv6 addresses in brackets"
    )]
    Host,
}

impl HostEntry {
    /// Reads an entry of `allowed_hosts`.
    pub fn parse(text: &str) -> Result<HostEntry, Invalid> {
        if text.contains("://") {
            return Err(Invalid::Scheme);
        }
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.contains(['/', '?', '#', '@']) {
            return Err(Invalid::MoreThanHost);
        }
        if matches!(text, "*" | "*:*") {
            return Err(Invalid::EveryHost);
        }
        // Unlike in a URL or a header, an IPv6 address without a port is clear without brackets.
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(HostEntry {
                name: Name::Exact(address.to_string()),
                port: Port::Unstated,
            });
        }
        HostEntry::of(text)
    }

    fn of(authority: &str) -> Result<HostEntry, Invalid> {
        let (name, port) = split(authority).ok_or(Invalid::Host)?;
        let port = match port {
            None => Port::Unstated,
            Some("*") => Port::Any,
            Some(port) => Port::Number(number(port).filter(|port| *port > 0).ok_or(Invalid::Port)?),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = if authority.starts_with('[') {
            let address = name.parse::<Ipv6Addr>().map_err(|_| Invalid::Host)?;
            Name::Exact(address.to_string())
        } else if let Some(parent) = name.strip_prefix("*.") {
            check_name(parent)?;
            Name::Below(format!(".{parent}"))
        } else {
            check_name(name)?;
            Name::Exact(name.to_owned())
        };
        Ok(HostEntry { name, port })
    }

    /// Whether it accepts the host `name` with this port in the header. Without a port it accepts all.
    pub fn accepts(&self, name: &str, port: Option<u16>) -> bool {
        self.name.accepts(name)
            && match self.port {
                Port::Unstated | Port::Any => true,
                // A client leaves out the default port, and only the proxy in front knows which that is.
                Port::Number(number) => {
                    port.map_or(matches!(number, 80 | 443), |port| port == number)
                }
            }
    }
}

impl OriginEntry {
    /// Reads an entry of `allowed_origins`.
    pub fn parse(text: &str) -> Result<OriginEntry, Invalid> {
        if text.eq_ignore_ascii_case("null") {
            return Err(Invalid::NullOrigin);
        }
        if text.chars().all(|char| "*:/".contains(char)) {
            return Err(Invalid::EveryOrigin);
        }
        let (scheme, rest) = text.split_once("://").ok_or(Invalid::NoScheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(Invalid::MoreThanOrigin);
        }
        if matches!(rest, "*" | "*:*") {
            return Err(Invalid::EveryOrigin);
        }
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return Err(Invalid::NoScheme);
        }
        Ok(OriginEntry {
            scheme: scheme.to_owned(),
            host: HostEntry::of(rest)?,
        })
    }

    /// Whether it accepts the origin of these parts. Without a port it accepts the scheme's default one.
    pub fn accepts(&self, scheme: &str, name: &str, port: Option<u16>) -> bool {
        let stated = |port: Option<u16>| port.or_else(|| default_port(&self.scheme));
        self.scheme.eq_ignore_ascii_case(scheme)
            && self.host.name.accepts(name)
            && match self.host.port {
                Port::Unstated => stated(port) == stated(None),
                Port::Number(number) => stated(port) == Some(number),
                Port::Any => true,
            }
    }
}

impl Name {
    fn accepts(&self, name: &str) -> bool {
        match self {
            Name::Exact(exact) => exact.eq_ignore_ascii_case(name),
            Name::Below(parent) => name
                .len()
                .checked_sub(parent.len())
                .and_then(|below| name.split_at_checked(below))
                .is_some_and(|(below, end)| {
                    let is_name = |byte: u8| is_of_label(byte) || byte == b'.';
                    let is_below = !below.is_empty() && below.bytes().all(is_name);
                    // Such as `evil.example/`, which a reader of the header takes for the host.
                    is_below && end.eq_ignore_ascii_case(parent)
                }),
        }
    }
}

/// Name and port of `name[:port]`, without the brackets of an IPv6 literal.
pub fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    let (name, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            port => Some(port?),
        };
        (name, port)
    } else {
        // Of bytes, which are few: the search for a pattern costs several times as much.
        match authority.bytes().rposition(|byte| byte == b':') {
            Some(colon) => (&authority[..colon], Some(&authority[colon + 1..])),
            None => (authority, None),
        }
    };
    (!name.is_empty()).then_some((name, port))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn check_name(name: &str) -> Result<(), Invalid> {
    if name.contains('*') {
        return Err(Invalid::Wildcard);
    }
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_of_label);
    if name.parse::<IpAddr>().is_ok() || name.split('.').all(is_label) {
        return Ok(());
    }
    Err(Invalid::Host)
}

fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_may_have_a_port_a_wildcard_or_a_slash() {
        let accepts = |entry: &str, host: &str| {
            let (name, port) = split(host).unwrap();
            HostEntry::parse(entry)
                .unwrap()
                .accepts(name, port.and_then(number))
        };
        for (entry, host) in [
            ("tools.example", "Tools.Example:8080"),
            ("tools.example/", "tools.example"),
            ("tools.example.:8080", "tools.example:8080"),
            ("tools.example:8080", "tools.example:8080"),
            ("tools.example:443", "tools.example"),
            ("tools.example:*", "tools.example:1"),
            ("*.example.com", "a.b.example.com:1"),
            ("my_service", "my_service:8080"),
            ("10.0.0.1", "10.0.0.1:8080"),
            ("2001:DB8::1", "[2001:db8::1]:8080"),
            ("[2001:db8:0::1]:8080", "[2001:db8::1]:8080"),
        ] {
            assert!(accepts(entry, host), "{entry} {host}");
        }
        for (entry, host) in [
            ("tools.example:8080", "tools.example"),
            ("tools.example:8080", "tools.example:8081"),
            ("*.example.com", "example.com"),
            ("*.example.com", ".example.com"),
            ("*.example.com", "evilexample.com"),
            ("*.example.com", "a.example.com.evil"),
            ("*.example.com", "evil/.example.com"),
            ("*.example.com", "evil#a.example.com"),
            ("*.example.com", "user@a.example.com"),
        ] {
            assert!(!accepts(entry, host), "{entry} {host}");
        }
    }

    #[test]
    fn origins_may_have_a_port_a_wildcard_or_a_slash() {
        let accepts = |entry: &str, origin: &str| {
            let (scheme, host) = origin.split_once("://").unwrap();
            let (name, port) = split(host).unwrap();
            let entry = OriginEntry::parse(entry).unwrap();
            entry.accepts(scheme, name, port.and_then(number))
        };
        for (entry, origin) in [
            ("HTTPS://App.Example/", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:8080/", "http://app.example:8080"),
            ("http://app.example:*", "http://app.example:3000"),
            ("https://*.example.com", "https://a.b.example.com"),
            ("http://[2001:DB8::1]:80", "http://[2001:db8::1]"),
            ("vscode-webview://0a1b", "vscode-webview://0a1b"),
        ] {
            assert!(accepts(entry, origin), "{entry} {origin}");
        }
        for (entry, origin) in [
            ("https://app.example", "http://app.example"),
            ("https://app.example", "https://app.example:8443"),
            ("https://app.example:8443", "https://app.example"),
            ("https://*.example.com", "https://example.com"),
            ("https://*.example.com", "https://a.example.com:444"),
            ("https://*.example.com", "https://evilexample.com"),
        ] {
            assert!(!accepts(entry, origin), "{entry} {origin}");
        }
    }

    #[test]
    fn entries_that_cannot_be_meant_are_refused_with_the_reason() {
        for (entry, why) in [
            ("*", Invalid::EveryHost),
            ("*:*", Invalid::EveryHost),
            ("https://tools.example", Invalid::Scheme),
            ("tools.example/mcp", Invalid::MoreThanHost),
            ("user@tools.example", Invalid::MoreThanHost),
            ("tools.*", Invalid::Wildcard),
            ("*.*.example", Invalid::Wildcard),
            ("*tools.example", Invalid::Wildcard),
            ("tools.example:http", Invalid::Port),
            ("tools.example:0", Invalid::Port),
            ("tools.example:+80", Invalid::Port),
            ("tools.example:", Invalid::Port),
            ("tools example", Invalid::Host),
            ("a,b", Invalid::Host),
            ("tools..example", Invalid::Host),
            ("werkzeüge.example", Invalid::Host),
            ("[::1", Invalid::Host),
            (":8080", Invalid::Host),
        ] {
            assert_eq!(HostEntry::parse(entry).unwrap_err(), why, "{entry}");
        }
        for (entry, why) in [
            ("*", Invalid::EveryOrigin),
            ("*://*", Invalid::EveryOrigin),
            ("https://*", Invalid::EveryOrigin),
            ("http://*:*", Invalid::EveryOrigin),
            ("null", Invalid::NullOrigin),
            ("app.example", Invalid::NoScheme),
            ("app.example:3000", Invalid::NoScheme),
            ("*://app.example", Invalid::NoScheme),
            ("https://app.example/x", Invalid::MoreThanOrigin),
            ("https://u@app.example", Invalid::MoreThanOrigin),
            ("https://app.*", Invalid::Wildcard),
            ("https://app.example:x", Invalid::Port),
            ("https://", Invalid::Host),
            ("file:///", Invalid::Host),
            ("https://app example", Invalid::Host),
        ] {
            assert_eq!(OriginEntry::parse(entry).unwrap_err(), why, "{entry}");
        }
    }
}
