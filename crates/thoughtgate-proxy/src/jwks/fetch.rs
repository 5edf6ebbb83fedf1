//! One fetch of published keys, on a connection of its own, bounded in time and bytes.
//!
//! Follows no redirect: the keys of another address are not those that are configured.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::headers::{ask_for_identity, is_encoded};
use crate::identity::{BadKeySet, Published, read_keys};
use crate::upstream::{Target, UpstreamError, advice, open};

/// Time limit from connecting to the last byte.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// Limit of a document. Those of large issuers have 20 KiB, with certificates.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// The reason why a document is of no use in which no key is left.
pub const NO_KEY: &str =
    "the document has no key that can verify tokens (RSA, EC P-256 or P-384, or Ed25519)";

/// The keys of a document.
pub struct Fetched {
    pub keys: Vec<Published>,
    /// `max-age` of its `Cache-Control`.
    pub max_age: Option<Duration>,
}

/// Reason why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no complete answer within {FETCH_MAX:?}")]
    Timeout,
    #[error("the exchange failed")]
    Exchange(#[source] hyper::Error),
    #[error(transparent)]
    Other(UpstreamError),
    #[error(
        "status {}: redirects are not followed; set `agent.jwt.jwks_url` to the address of the keys themselves",
        .0.as_u16()
    )]
    Redirected(StatusCode),
    #[error("status {}; {}", .0.as_u16(), advice(*.0, "agent.jwt.jwks_url"))]
    Status(StatusCode),
    #[error("the document has a Content-Encoding, although none was asked for")]
    Encoded,
    #[error("the document is larger than {DOCUMENT_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    Document(#[from] BadKeySet),
}

impl From<UpstreamError> for FetchError {
    fn from(error: UpstreamError) -> FetchError {
        match error {
            UpstreamError::Connect(error) => FetchError::Connect(error),
            UpstreamError::ConnectTimeout(_) => FetchError::Timeout,
            UpstreamError::Exchange(error) => FetchError::Exchange(error),
            other => FetchError::Other(other),
        }
    }
}

/// Fetches the document at `target` and reads its keys.
pub async fn fetch(target: &Target) -> Result<Fetched, FetchError> {
    let fetching = tokio::time::timeout(FETCH_MAX, exchange(target));
    fetching.await.unwrap_or(Err(FetchError::Timeout))
}

async fn exchange(target: &Target) -> Result<Fetched, FetchError> {
    let mut sender = open(target, FETCH_MAX).await?;
    let response = sender.send_request(request(target)).await;
    let (parts, body) = response.map_err(FetchError::Exchange)?.into_parts();
    if parts.status.is_redirection() {
        return Err(FetchError::Redirected(parts.status));
    }
    if parts.status != StatusCode::OK {
        return Err(FetchError::Status(parts.status));
    }
    if is_encoded(&parts.headers) {
        return Err(FetchError::Encoded);
    }
    Ok(Fetched {
        keys: read_keys(&document(body).await?)?,
        max_age: max_age(&parts.headers),
    })
}

fn request(target: &Target) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::from(target.path(None));
    let headers = request.headers_mut();
    headers.insert(header::HOST, target.host_header());
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("application/jwk-set+json, application/json"),
    );
    ask_for_identity(headers);
    request
}

async fn document(mut body: Incoming) -> Result<Vec<u8>, FetchError> {
    let mut document = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(FetchError::Exchange)?.into_data() else {
            continue;
        };
        if document.len() + data.len() > DOCUMENT_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        document.extend_from_slice(&data);
    }
    Ok(document)
}

/// For how long a document may be kept: not at all if it must not be stored or has to be asked for again.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let mut found = None;
    for value in headers.get_all(header::CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or_default().split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            match directive.split_once('=') {
                Some(("max-age", age)) => found = age.trim_matches('"').parse().ok(),
                None if matches!(directive.as_str(), "no-cache" | "no-store") => {
                    return Some(Duration::ZERO);
                }
                _ => {}
            }
        }
    }
    found.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_down_fails_otherwise_than_one_that_does_not_answer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let target = Target::new(&url.parse().unwrap()).unwrap();
        let failed = fetch(&target).await.err();
        assert!(matches!(failed, Some(FetchError::Timeout)), "{failed:?}");
        drop(listener);
        tokio::time::resume();
        let failed = fetch(&target).await.err();
        assert!(matches!(failed, Some(FetchError::Connect(_))), "{failed:?}");
    }

    #[test]
    fn the_servers_max_age_is_read() {
        let found = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["public, Max-Age=60, s-maxage=9"]), Some(60));
        assert_eq!(found(&["private", "max-age=\"7\""]), Some(7));
        assert_eq!(found(&["max-age=60, no-cache"]), Some(0));
        assert_eq!(found(&["no-store"]), Some(0));
        assert_eq!(found(&["max-age=soon"]), None);
    }
}
