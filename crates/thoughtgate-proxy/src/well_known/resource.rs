//! The upstream's metadata as an OAuth protected resource (RFC 9728), made to name this proxy.
//!
//! A client refuses metadata whose `resource` is not the URL that it called. Only that member is replaced;
//! the authorization servers stay those of the upstream.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use thoughtgate_mcp::{with_member, without};

use crate::body::Body;
use crate::budget::Reserved;
use crate::failed::{Failed, Unusable};
use crate::forward;
use crate::headers::{ask_for_identity, changed, is_encoded, strip_response};
use crate::message::Message;
use crate::public_url::PublicUrl;
use crate::relay::Relay;
use crate::settings::Rules;
use crate::worker::Worker;

/// Limit of a document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Signed metadata, in which the resource cannot be replaced, would have precedence (RFC 9728 §2.2).
const SIGNED: [&str; 1] = ["signed_metadata"];

/// Forwards the request for the document and answers it.
pub async fn send(worker: &Arc<Worker>, rules: &Rules, message: &mut Message) -> Response<Body> {
    let headers = &mut message.parts.headers;
    ask_for_identity(headers);
    // Parts of the document, or that it is unchanged, would be about the upstream's bytes.
    for name in [
        header::RANGE,
        header::IF_RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ] {
        headers.remove(name);
    }
    let answered = answer(worker, rules, message).await;
    answered.unwrap_or_else(|failed| forward::failure(worker, message, &failed))
}

async fn answer(
    worker: &Arc<Worker>,
    rules: &Rules,
    message: &mut Message,
) -> Result<Response<Body>, Failed> {
    let head = forward::exchange(worker, rules, message).await?;
    if head.0.status() != StatusCode::OK {
        return forward::pass_on(worker, rules, head, message).await;
    }
    let public = forward::public_url(rules, message).ok_or(Unusable::NoHost)?;
    let (response, lease) = head;
    let (mut parts, incoming) = response.into_parts();
    strip_response(&mut parts.headers);
    if is_encoded(&parts.headers) {
        return Err(Unusable::Encoded.into());
    }
    let relay = Relay::new(incoming, lease, message.on_disconnect);
    let gathering = gather(worker, relay);
    let gathered = tokio::time::timeout(rules.response_timeout, gathering).await;
    let (document, reserved) = gathered.unwrap_or(Err(Failed::Timeout))?;
    let document = naming(&document, &public).ok_or(Unusable::NotAnObject)?;
    changed(&mut parts.headers);
    parts
        .headers
        .insert(header::CONTENT_LENGTH, document.len().into());
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let body = Body::own(Bytes::from(document)).holding(reserved);
    Ok(Response::from_parts(parts, body))
}

/// Reads a document, whose bytes are counted in the budget.
async fn gather(worker: &Worker, mut relay: Relay) -> Result<(Vec<u8>, Reserved), Failed> {
    let mut reserved = worker.shared.budget.reserve(0)?;
    let mut document = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| relay.poll(context)).await {
        let Ok(data) = frame.map_err(|_| Unusable::Broken)?.into_data() else {
            continue;
        };
        if document.len() + data.len() > DOCUMENT_BYTES_MAX {
            return Err(Unusable::TooLarge(DOCUMENT_BYTES_MAX).into());
        }
        // Twice: for the document that came, and the one that is sent.
        reserved.grow(data.len() * 2)?;
        document.extend_from_slice(&data);
    }
    Ok((document, reserved))
}

/// The document with the URL of this proxy as its resource; `None` if it is no object with unique keys.
fn naming(document: &[u8], public: &PublicUrl) -> Option<Vec<u8>> {
    let resource = serde_json::Value::from(public.resource()).to_string();
    let named = with_member(document, "resource", &resource)?;
    Some(without(&named, &SIGNED).unwrap_or(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_resource_is_replaced() {
        let public = PublicUrl::new("https://gate.example").unwrap();
        let naming = |document: &str| {
            let named = naming(document.as_bytes(), &public)?;
            Some(String::from_utf8(named).unwrap())
        };
        for (document, expected) in [
            (
                r#"{"resource": "http://up/v1", "scopes_supported" : ["\u0061"]}"#,
                r#"{"resource": "https://gate.example/mcp", "scopes_supported" : ["\u0061"]}"#,
            ),
            (
                r#"{"signed_metadata":"x.y.z","resource":1}"#,
                r#"{"resource":"https://gate.example/mcp"}"#,
            ),
            ("{}", r#"{"resource":"https://gate.example/mcp"}"#),
        ] {
            assert_eq!(naming(document).as_deref(), Some(expected));
        }
        for other in ["", "<html>", "[]", r#"{"resource":1,"resource":2}"#] {
            assert_eq!(naming(other), None, "{other}");
        }
    }
}
