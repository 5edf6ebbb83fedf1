//! `Host` and `Origin` checks, which keep web pages from reaching the proxy by DNS rebinding.
//!
//! The proxy rewrites `Host` towards the upstream, which defeats the upstream's own check, so the check is
//! made here. It authenticates nobody.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header};

use crate::address::number;
use crate::headers::sole;

mod entry;

use entry::{HostEntry, Invalid, OriginEntry, split};

/// The `Host` and `Origin` values that are accepted.
#[derive(Debug, Clone)]
pub struct Guard {
    listen: IpAddr,
    hosts: Vec<HostEntry>,
    origins: Vec<OriginEntry>,
}

/// Header for which a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// `Host` is missing, repeated or not accepted.
    #[error(
        "Host header missing or not allowed (add the host to `allowed_hosts`, or THOUGHTGATE_ALLOWED_HOSTS, to accept it)"
    )]
    Host,
    /// `Origin` is repeated or not accepted.
    #[error(
        "Origin header not allowed (add the origin to `allowed_origins`, or THOUGHTGATE_ALLOWED_ORIGINS, to accept it)"
    )]
    Origin,
}

/// An entry of a list that is refused; it is named by its place, since its text may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}`: item {item} of {items} {why}")]
pub struct BadEntry {
    setting: &'static str,
    item: usize,
    items: usize,
    why: Invalid,
}

impl Guard {
    /// `hosts` are names, `origins` whole origins (`https://app.example`), each with a port and a wildcard
    /// (`*.example.com`) if need be. Loopback names are always accepted, and `listen` as a host.
    ///
    /// # Errors
    /// When an entry cannot match, or would match everything.
    pub fn new(
        listen: SocketAddr,
        hosts: &[String],
        origins: &[String],
    ) -> Result<Guard, BadEntry> {
        Ok(Guard {
            listen: listen.ip(),
            hosts: read("allowed_hosts", hosts, HostEntry::parse).collect::<Result<_, _>>()?,
            origins: read("allowed_origins", origins, OriginEntry::parse)
                .collect::<Result<_, _>>()?,
        })
    }

    /// All entries for which [`Guard::new`] fails.
    #[must_use]
    pub fn faults(hosts: &[String], origins: &[String]) -> Vec<BadEntry> {
        let hosts = read("allowed_hosts", hosts, HostEntry::parse).filter_map(Result::err);
        let origins = read("allowed_origins", origins, OriginEntry::parse).filter_map(Result::err);
        hosts.chain(origins).collect()
    }

    /// Checks `Host` and `Origin` of one request.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Rejected> {
        let host = sole(headers, &header::HOST).ok_or(Rejected::Host)?;
        if !self.accepts_host(host) {
            return Err(Rejected::Host);
        }
        self.check_origin(headers)
    }

    /// Checks `Host` and `Origin` of a request that only reads what the proxy says about itself.
    ///
    /// Probes and monitoring use addresses of their own, and some send no `Host`. Both are accepted: a web
    /// page that reads by DNS rebinding sends the name that it was loaded from.
    pub fn check_reader(&self, headers: &HeaderMap) -> Result<(), Rejected> {
        let is_address = |host: &str| {
            name_and_port(host).is_some_and(|(name, _)| name.parse::<IpAddr>().is_ok())
        };
        let accepts = |host: &str| is_address(host) || self.accepts_host(host);
        if headers.contains_key(header::HOST) && !sole(headers, &header::HOST).is_some_and(accepts)
        {
            return Err(Rejected::Host);
        }
        self.check_origin(headers)
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Rejected> {
        if !headers.contains_key(header::ORIGIN) || self.accepts_origin_of(headers) {
            return Ok(());
        }
        Err(Rejected::Origin)
    }

    /// Whether a request comes from a web page of an accepted origin.
    #[must_use]
    pub fn accepts_origin_of(&self, headers: &HeaderMap) -> bool {
        sole(headers, &header::ORIGIN).is_some_and(|origin| self.accepts_origin(origin))
    }

    fn accepts_host(&self, host: &str) -> bool {
        let Some((name, port)) = name_and_port(host) else {
            return false;
        };
        // With a dot at its end a name is the same, but not searched for in the resolver's domains.
        let accepts = |name| self.accepts_name(name, port);
        accepts(name) || name.strip_suffix('.').is_some_and(accepts)
    }

    fn accepts_name(&self, name: &str, port: Option<u16>) -> bool {
        if self.hosts.iter().any(|allowed| allowed.accepts(name, port)) {
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
        let Some((scheme, host)) = origin.split_once("://") else {
            return false;
        };
        let Some((name, port)) = name_and_port(host) else {
            return false;
        };
        let accepts = |allowed: &OriginEntry| allowed.accepts(scheme, name, port);
        self.origins.iter().any(accepts)
            || (matches!(scheme, "http" | "https") && is_loopback_name(name))
    }
}

fn read<T>(
    setting: &'static str,
    entries: &[String],
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> impl Iterator<Item = Result<T, BadEntry>> {
    entries.iter().enumerate().map(move |(index, entry)| {
        parse(entry).map_err(|why| BadEntry {
            setting,
            item: index + 1,
            items: entries.len(),
            why,
        })
    })
}

/// Name and port of a header's `host[:port]`; `None` if it is malformed.
fn name_and_port(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = split(host)?;
    match port {
        Some(port) => Some((name, Some(number(port)?))),
        None => Some((name, None)),
    }
}

pub fn is_loopback_name(name: &str) -> bool {
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
            &["tools.internal".into()],
            &["https://app.example".into()],
        )
        .unwrap();
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
            "tools.internal.:8080",
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
            "tools.internal..",
            "evil.tools.internal.",
            ".",
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
    fn readers_may_use_any_address_and_no_name_that_a_page_could_be_loaded_from() {
        let guard = Guard::new(
            "127.0.0.1:1".parse().unwrap(),
            &["metrics.internal".into()],
            &[],
        )
        .unwrap();
        let check = |hosts: &[&str], origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            guard.check_reader(&headers)
        };
        for hosts in [
            &[][..],
            &["10.1.2.3:9090"],
            &["[fd00::1]:9090"],
            &["localhost:8080"],
            &["metrics.internal:9090"],
        ] {
            assert_eq!(check(hosts, None), Ok(()), "{hosts:?}");
        }
        for hosts in [
            &["evil.example:8080"][..],
            &["10.1.2.3.evil.example"],
            &["10.1.2.3", "10.1.2.3"],
            &[""],
        ] {
            assert_eq!(check(hosts, None), Err(Rejected::Host), "{hosts:?}");
        }
        let origin = |origin| check(&["10.1.2.3"], Some(origin));
        assert_eq!(origin("http://localhost:5173"), Ok(()));
        assert_eq!(origin("https://evil.example"), Err(Rejected::Origin));
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
        let guard = Guard::new("127.0.0.1:1".parse().unwrap(), &[], &[]).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(guard.check(&headers), Err(Rejected::Host));
        headers.append(header::HOST, "localhost".parse().unwrap());
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert_eq!(guard.check(&headers), Err(Rejected::Host));
    }
}
