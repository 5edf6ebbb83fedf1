//! `/.well-known/*`: forwarded to the upstream, which has its authorization metadata there, unless the proxy has
//! metadata of its own ([`crate::protected`]).
//!
//! Only a GET without a body is forwarded, and only if every server reads its path in the same way, so
//! that no message can reach the upstream by it.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

use crate::body::Body;
use crate::message::Message;
use crate::metadata_path::is_plain;
use crate::patience::Patience;
use crate::problem::{Elsewhere, Problem};
use crate::public_url::{RESOURCE_METADATA, WELL_KNOWN, upstream_path};
use crate::slots::Busy;
use crate::worker::Worker;
use crate::{answer, cors, forward};

mod resource;

/// Whether [`serve`] answers requests for `path`.
pub fn owns(path: &str) -> bool {
    path.starts_with(WELL_KNOWN)
}

/// Forwards one request, or refuses it.
pub async fn serve(
    worker: &Arc<Worker>,
    request: Request<Incoming>,
    busy: &Busy,
) -> Response<Body> {
    let shared = &worker.shared;
    let refused = |refusal| answer::problem(shared, &Problem::Elsewhere(refusal), None);
    let (mut parts, body) = request.into_parts();
    let snapshot = shared.snapshot();
    if snapshot.rules.guard.check(&parts.headers).is_err() {
        let problem = Problem::Elsewhere(Elsewhere::WellKnownGuard);
        return answer::turned_away(shared, &parts.headers, &problem, None);
    }
    let has_body = !http_body::Body::is_end_stream(&body);
    if let Some(response) = cors::preflight(&parts, has_body, &snapshot.rules.identity) {
        return response;
    }
    if parts.method != Method::GET {
        return refused(Elsewhere::WellKnownMethod);
    }
    if has_body {
        return refused(Elsewhere::WellKnownBody);
    }
    if !is_plain(parts.uri.path()) {
        return refused(Elsewhere::WellKnownPath);
    }
    let is_resource = is_resource(parts.uri.path());
    if is_resource && let Some(own) = &snapshot.rules.protected {
        // The upstream's are about other tokens than those that are accepted here.
        return match own.document(parts.uri.path()) {
            Some(document) => answer::json(StatusCode::OK, document),
            None => refused(Elsewhere::WellKnownPath),
        };
    }
    let endpoint = shared.settings.upstream.path(None);
    let path = upstream_path(
        parts.uri.path(),
        snapshot.rules.public_url.as_ref(),
        endpoint.path(),
    );
    let named = shared.metadata_path.get();
    let is_named = named.as_ref() == Some(&path);
    let path = named
        .filter(|_| is_of(&path, endpoint.path()))
        .unwrap_or(path);
    let Ok(uri) = path.parse::<Uri>() else {
        return refused(Elsewhere::WellKnownPath);
    };
    parts.uri = uri;
    let mut message = Message::bodiless(Box::new(parts), String::new(), false);
    busy.be_patient(Patience::Short);
    if is_resource || is_named {
        return resource::send(worker, &snapshot.rules, &mut message).await;
    }
    forward::send(worker, &snapshot.rules, &mut message).await
}

/// Whether the upstream's metadata as the resource `endpoint` are at `path`, unless its challenges name another.
fn is_of(path: &str, endpoint: &str) -> bool {
    let rest = path.strip_prefix(RESOURCE_METADATA);
    rest.is_some_and(|rest| rest.is_empty() || rest == endpoint.trim_end_matches('/'))
}

/// Whether the document at `path` names the resource, in which the upstream's name is replaced.
fn is_resource(path: &str) -> bool {
    path.strip_prefix(RESOURCE_METADATA)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
