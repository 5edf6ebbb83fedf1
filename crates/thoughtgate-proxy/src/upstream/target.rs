//! The address of the MCP server: its URL, taken apart once, and connections to it.
//!
//! Sends no request and keeps no connection: [`crate::upstream::Pool`] does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connect::connect;
use super::error::UpstreamError;
use super::query;
use crate::address;
use crate::guard::is_loopback_name;
use crate::sockets::notice_dead_peers;

/// The address of an MCP endpoint, parsed once.
#[derive(Clone)]
pub struct Target {
    host: String,
    port: u16,
    host_header: HeaderValue,
    path: PathAndQuery,
    tls: Option<TlsConnector>,
}

/// Reason why an upstream URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// Not `http` or `https`.
    #[error("the URL must start with http:// or https://")]
    Scheme,
    /// No host, or user info in it.
    #[error("the URL must name a host, without user or password")]
    Host,
    /// A port that is out of range, or empty.
    #[error("the port of the URL must be a number from 1 to 65535, or left out with its colon")]
    Port,
    /// The system's certificates could not be loaded.
    #[error("no usable CA certificates on this system (set SSL_CERT_FILE to a CA bundle)")]
    Certificates,
    /// The TLS library refused its own configuration.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
}

impl Target {
    /// Parses `url`; the system's CA certificates are loaded only for `https`.
    pub fn new(url: &Uri) -> Result<Target, BadTarget> {
        let https = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(BadTarget::Scheme),
        };
        let authority = url.authority().ok_or(BadTarget::Host)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(BadTarget::Host);
        }
        let port = address::port(authority).map_err(|_| BadTarget::Port)?;
        let tls = if https { Some(tls_connector()?) } else { None };
        Ok(Target {
            host: bare_host(authority).to_owned(),
            port: port.unwrap_or(default_port(tls.as_ref())),
            host_header: host_header(authority),
            path: url
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
            tls,
        })
    }

    /// The value of `Host` towards the upstream.
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// The endpoint's path and query, and the client's query if it sent one.
    #[must_use]
    pub fn path(&self, query: Option<&str>) -> PathAndQuery {
        let Some(query) = query else {
            return self.path.clone();
        };
        let joined = match self.path.query() {
            None => format!("{}?{query}", self.path.path()),
            Some(own) => format!("{}{}", self.path, query::added(own, query)),
        };
        joined.parse().unwrap_or_else(|_| self.path.clone())
    }

    /// The scheme of its URL.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.tls.is_some() {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        }
    }

    /// Whether `scheme` and `authority` are those of its URL.
    #[must_use]
    pub fn is_origin(&self, scheme: &str, authority: &str) -> bool {
        // An empty port is the default one (RFC 3986 §6.2.3).
        let authority = authority.strip_suffix(':').unwrap_or(authority);
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        let Ok(port) = address::port(&authority) else {
            return false;
        };
        let port = port.unwrap_or(default_port(self.tls.as_ref()));
        !authority.as_str().contains('@')
            && scheme.eq_ignore_ascii_case(self.scheme().as_str())
            && bare_host(&authority).eq_ignore_ascii_case(&self.host)
            && port == self.port
    }

    /// Whether its URL leads to a server of this machine that listens on `address`. Resolves no name but
    /// `localhost`.
    #[must_use]
    pub fn is_at(&self, address: SocketAddr) -> bool {
        let own = address.ip();
        let is_local = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
        let is_host = match self.host.parse::<IpAddr>() {
            Ok(host) => {
                // `[::]` accepts connections to IPv4 addresses, too; `0.0.0.0` none to IPv6 ones.
                let is_heard = own.is_ipv6() || host.is_ipv4();
                host == own
                    || host.is_unspecified() && is_local(own)
                    || own.is_unspecified() && host.is_loopback() && is_heard
            }
            Err(_) => is_loopback_name(&self.host) && is_local(own),
        };
        is_host && self.port == address.port()
    }

    /// Opens a TCP connection within `at_most`.
    pub async fn connect(&self, at_most: Duration) -> Result<TcpStream, UpstreamError> {
        let stream = tokio::time::timeout(at_most, connect(&self.host, self.port))
            .await
            .map_err(|_| UpstreamError::ConnectTimeout(at_most))?
            .map_err(UpstreamError::Connect)?;
        stream
            .set_nodelay(true)
            .and_then(|()| notice_dead_peers(&SockRef::from(&stream)))
            .map_err(UpstreamError::Connect)?;
        Ok(stream)
    }

    /// Connector and server name for TLS on such a connection; `None` for `http`.
    pub(super) fn tls(&self) -> Option<(&TlsConnector, &str)> {
        self.tls.as_ref().map(|tls| (tls, self.host.as_str()))
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The path is left out: hosted servers put tokens into it.
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}:{}", self.host, self.port)
    }
}

fn bare_host(authority: &Authority) -> &str {
    authority.host().trim_matches(['[', ']'])
}

fn default_port(tls: Option<&TlsConnector>) -> u16 {
    if tls.is_some() { 443 } else { 80 }
}

fn host_header(authority: &Authority) -> HeaderValue {
    HeaderValue::from_str(authority.as_str()).expect("an authority is visible ASCII")
}

fn tls_connector() -> Result<TlsConnector, BadTarget> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(BadTarget::Certificates);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BadTarget::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, String> {
        Target::new(&url.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_are_taken_apart() {
        let plain = target("http://[::1]:3000/v1/mcp").unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("::1", 3000));
        assert_eq!(plain.host_header(), "[::1]:3000");
        assert_eq!(plain.path(None), "/v1/mcp");
        assert_eq!(plain.path(Some("a=1")), "/v1/mcp?a=1");
        assert_eq!(target("http://tools.internal").unwrap().port, 80);
    }

    #[test]
    fn the_query_of_the_url_is_joined_with_that_of_a_client() {
        let target = target("http://x/mcp?token=1").unwrap();
        assert_eq!(target.path(None), "/mcp?token=1");
        let path = target.path(Some("a=%20;b&TOKEN=2"));
        assert_eq!(path, "/mcp?token=1&a=%20;b");
    }

    #[test]
    fn a_server_of_this_machine_is_known_by_its_address() {
        for (url, address, expected) in [
            ("http://127.0.0.1:8080/mcp", "127.0.0.1:8080", true),
            ("http://localhost:8080/mcp", "127.0.0.1:8080", true),
            ("http://localhost/mcp", "0.0.0.0:80", true),
            ("http://127.0.0.1:8080/mcp", "0.0.0.0:8080", true),
            ("http://127.0.0.1:8080/mcp", "[::]:8080", true),
            ("http://0.0.0.0:8080/mcp", "127.0.0.1:8080", true),
            ("http://10.0.0.1:8080/mcp", "10.0.0.1:8080", true),
            ("http://127.0.0.1:3000/mcp", "127.0.0.1:8080", false),
            ("http://127.0.0.2:8080/mcp", "127.0.0.1:8080", false),
            ("http://[::1]:8080/mcp", "0.0.0.0:8080", false),
            ("http://localhost:8080/mcp", "10.0.0.1:8080", false),
            ("http://10.0.0.1:8080/mcp", "0.0.0.0:8080", false),
            ("http://tools:8080/mcp", "0.0.0.0:8080", false),
        ] {
            let target = target(url).unwrap();
            assert_eq!(target.is_at(address.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn unusable_urls_say_why() {
        assert!(target("ftp://x/").unwrap_err().contains("http://"));
        assert!(target("/mcp").unwrap_err().contains("http://"));
        for port in ["0", "65536", "99999", ""] {
            let said = target(&format!("http://x:{port}/mcp")).unwrap_err();
            assert!(said.contains("from 1 to 65535"), "{port}: {said}");
        }
        assert!(
            target("http://user:secret@x/")
                .unwrap_err()
                .contains("without user")
        );
    }
}
