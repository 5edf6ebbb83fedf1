//! `/.well-known/*`: passed to the upstream, whose authorization metadata lives there.
//!
//! Only a GET without a body passes, and only a path that cannot mean another one, so that no
//! message can reach the upstream this way.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use serde_json::json;
use thoughtgate_mcp::Era;

use crate::answer;
use crate::body::Body;
use crate::endpoint::Worker;
use crate::forward::{self, Call};

/// Whether `path` belongs here.
pub fn owns(path: &str) -> bool {
    path.starts_with("/.well-known/")
}

/// Passes one request on.
pub async fn serve(worker: &Arc<Worker>, request: Request<Incoming>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let snapshot = worker.shared.snapshot();
    if snapshot.rules.guard.check(&parts.headers).is_err() {
        let (status, reason) = (StatusCode::FORBIDDEN, "this Host or Origin is not accepted");
        worker.shared.refused(status.as_u16(), reason, &[]);
        return refused(status, reason);
    }
    if parts.method != Method::GET {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "use GET");
    }
    if !http_body::Body::is_end_stream(&body) {
        return refused(StatusCode::BAD_REQUEST, "GET carries no body");
    }
    if !is_plain(parts.uri.path()) {
        return refused(StatusCode::NOT_FOUND, "no such path");
    }
    let path = upstream_path(
        parts.uri.path(),
        worker.shared.settings.upstream.path(None).path(),
    );
    let Ok(uri) = path.parse::<Uri>() else {
        return refused(StatusCode::NOT_FOUND, "no such path");
    };
    parts.uri = uri;
    let call = Call {
        era: Era::Modern,
        lists: false,
        listens: false,
        expects_answer: false,
        principal: String::new(),
    };
    forward::send(
        worker,
        &snapshot.rules,
        Box::new(parts),
        Bytes::new(),
        &call,
    )
    .await
}

/// Metadata of our `/mcp` is that of the upstream's endpoint, whose path may be another
/// (RFC 9728 §3.1 puts the endpoint's path behind the well-known one).
fn upstream_path(path: &str, endpoint: &str) -> String {
    match path.strip_suffix("/mcp") {
        Some(stem) => format!("{stem}{}", endpoint.trim_end_matches('/')),
        None => path.to_owned(),
    }
}

/// Letters, digits and `._~-/` without `..` or `//`: no server reads such a path in two ways.
fn is_plain(path: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-/".contains(&byte);
    path.bytes().all(known) && !path.contains("..") && !path.contains("//") && !path.contains("/./")
}

/// Refuses a request whose body, if it has one, is not read.
fn refused(status: StatusCode, why: &str) -> Response<Body> {
    let body = json!({ "error": why }).to_string().into_bytes();
    answer::closing(answer::json(status, body))
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

    #[test]
    fn the_endpoints_own_path_is_put_in() {
        assert_eq!(
            upstream_path("/.well-known/oauth-protected-resource/mcp", "/v1/mcp"),
            "/.well-known/oauth-protected-resource/v1/mcp"
        );
        assert_eq!(
            upstream_path("/.well-known/oauth-protected-resource/mcp", "/"),
            "/.well-known/oauth-protected-resource"
        );
        assert_eq!(
            upstream_path("/.well-known/oauth-authorization-server", "/v1/mcp"),
            "/.well-known/oauth-authorization-server"
        );
    }
}
