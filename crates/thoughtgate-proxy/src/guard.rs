//! `Host` and `Origin` checks, which keep web pages from reaching the proxy by DNS rebinding.
//!
//! The proxy rewrites `Host` towards the upstream, which defeats the upstream's own check, so the check is
//! made here. It authenticates nobody.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header};

use crate::headers::sole;

/// The `Host` and `Origin` values that are accepted for the MCP endpoint.
#[derive(Debug, Clone)]
pub struct Guard {
    listen: IpAddr,
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Header for which a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// `Host` is missing, repeated or not accepted.
    #[error("Host header missing or not allowed (add the host to `allowed_hosts` to accept it)")]
    Host,
    /// `Origin` is repeated or not accepted.
    #[error("Origin header not allowed (add the origin to `allowed_origins` to accept it)")]
    Origin,
}

impl Guard {
    /// `hosts` are names without port, `origins` whole origins (`https://app.example`). Loopback names
    /// are always accepted, and `listen` as a host.
    #[must_use]
    pub fn new(listen: SocketAddr, hosts: Vec<String>, origins: Vec<String>) -> Guard {
        Guard {
            listen: listen.ip(),
            hosts,
            origins,
        }
    }

    /// Checks `Host` and `Origin` of one request.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Rejected> {
        let host = sole(headers, &header::HOST).ok_or(Rejected::Host)?;
        if !self.accepts_host(host) {
            return Err(Rejected::Host);
        }
        if !headers.contains_key(header::ORIGIN) {
            return Ok(());
        }
        let origin = sole(headers, &header::ORIGIN).ok_or(Rejected::Origin)?;
        if self.accepts_origin(origin) {
            Ok(())
        } else {
            Err(Rejected::Origin)
        }
    }

    fn accepts_host(&self, host: &str) -> bool {
        let Some(name) = host_name(host) else {
            return false;
        };
        if self
            .hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
        {
            return true;
        }
        if is_loopback_name(name) {
            return true;
        }
        match name.parse::<IpAddr>() {
            // When listening on all interfaces the proxy's own addresses are unknown. Rebinding takes a
            // name, so any address literal is safe to accept.
            Ok(address) => self.listen.is_unspecified() || address == self.listen,
            Err(_) => false,
        }
    }

    fn accepts_origin(&self, origin: &str) -> bool {
        if self
            .origins
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(origin))
        {
            return true;
        }
        let Some((scheme, host)) = origin.split_once("://") else {
            return false;
        };
        matches!(scheme, "http" | "https") && host_name(host).is_some_and(is_loopback_name)
    }
}

/// The name or address of `host[:port]`, without the brackets of an IPv6 literal.
fn host_name(host: &str) -> Option<&str> {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        (
            name,
            port.strip_prefix(':')
                .or_else(|| port.is_empty().then_some("0"))?,
        )
    } else {
        host.rsplit_once(':').unwrap_or((host, "0"))
    };
    let port_is_number = port.parse::<u16>().is_ok();
    (!name.is_empty() && port_is_number).then_some(name)
}

fn is_loopback_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, host: &str, origin: Option<&str>) -> Result<(), Rejected> {
        let guard = Guard::new(
            listen.parse().unwrap(),
            vec!["tools.internal".into()],
            vec!["https://app.example".into()],
        );
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        guard.check(&headers)
    }

    #[test]
    fn loopback_names_and_configured_ones_are_accepted() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "tools.internal",
        ] {
            assert_eq!(check("127.0.0.1:8080", host, None), Ok(()), "{host}");
        }
    }

    #[test]
    fn rebound_and_malformed_hosts_are_refused() {
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "localhost:x",
            "[::1",
        ] {
            assert_eq!(
                check("127.0.0.1:8080", host, None),
                Err(Rejected::Host),
                "{host}"
            );
        }
    }

    #[test]
    fn any_address_is_accepted_only_when_listening_everywhere() {
        assert_eq!(check("0.0.0.0:8080", "10.1.2.3:8080", None), Ok(()));
        assert_eq!(
            check("0.0.0.0:8080", "evil.example:8080", None),
            Err(Rejected::Host)
        );
        assert_eq!(check("10.1.2.3:8080", "10.1.2.3:8080", None), Ok(()));
        assert_eq!(
            check("10.1.2.3:8080", "10.1.2.4:8080", None),
            Err(Rejected::Host)
        );
    }

    #[test]
    fn origins_are_loopback_or_configured() {
        for origin in [
            "http://localhost:5173",
            "https://127.0.0.1",
            "http://[::1]:3",
            "https://app.example",
        ] {
            assert_eq!(
                check("127.0.0.1:8080", "localhost", Some(origin)),
                Ok(()),
                "{origin}"
            );
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "file://localhost",
            "http://app.example",
        ] {
            assert_eq!(
                check("127.0.0.1:8080", "localhost", Some(origin)),
                Err(Rejected::Origin),
                "{origin}"
            );
        }
    }

    #[test]
    fn repeated_headers_are_refused() {
        let guard = Guard::new("127.0.0.1:1".parse().unwrap(), vec![], vec![]);
        let mut headers = HeaderMap::new();
        assert_eq!(guard.check(&headers), Err(Rejected::Host));
        headers.append(header::HOST, "localhost".parse().unwrap());
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert_eq!(guard.check(&headers), Err(Rejected::Host));
    }
}
