//! `tools/list` answers show what the caller may call: the same decision, asked ahead of the call.
//!
//! A list is the one answer whose content is looked at, in whatever message, stream or status it
//! comes. What cannot be read is refused rather than passed on unfiltered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::value::RawValue;
use thoughtgate_mcp::tools::{self, Filtered, Refused, Unreadable};
use thoughtgate_mcp::{Era, Limits, codes, parse, reply};

use crate::body::{Body, Relay};
use crate::budget::{Reserved, Spent};
use crate::forward::{Call, Failed};
use crate::headers::{is_encoded, is_media_type};
use crate::metrics::Failure;
use crate::settings::Rules;
use crate::state::Shared;

pub use events::EventFilter;

mod events;

/// Longest id that is kept for the error that ends a stream, in bytes.
const ID_BYTES_MAX: usize = 1024;

/// Whose list it is, and by which policies it is cut.
pub struct Filter {
    shared: Arc<Shared>,
    principal: String,
    era: Era,
    /// Of the request that is answered.
    id: Option<Box<RawValue>>,
}

/// Why an answer that may be a list is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfiltered {
    /// See the source.
    #[error(transparent)]
    Message(#[from] Unreadable),
    /// See the source.
    #[error(transparent)]
    Stream(#[from] Refused),
    /// It was asked for without one.
    #[error("it has a Content-Encoding, and was asked for without one")]
    Encoded,
    /// Another media type.
    #[error("its Content-Type is neither application/json nor text/event-stream, in UTF-8")]
    MediaType,
    /// More bytes than are held.
    #[error("it is larger than `limits.list_bytes` ({0})")]
    TooLarge(usize),
    /// It began and did not end in time.
    #[error("it took longer than `timeouts.response` ({0:?})")]
    Slow(Duration),
    /// The connection broke.
    #[error("the upstream broke off in the middle of it")]
    Broken,
}

impl Filter {
    /// A filter for the answer to `message`, or for a stream where it is empty.
    #[must_use]
    pub fn new(shared: Arc<Shared>, call: &Call, message: &[u8]) -> Filter {
        let envelope = parse(message, &Limits { depth: usize::MAX }).ok();
        let id = envelope.and_then(|envelope| envelope.id);
        Filter {
            shared,
            principal: call.principal.clone(),
            era: call.era,
            id: id
                .filter(|id| id.get().len() <= ID_BYTES_MAX)
                .map(ToOwned::to_owned),
        }
    }

    /// Runs `filter` with the decision about a tool. Asked anew for each piece of a stream, which may
    /// outlive many generations.
    fn with_decision<T>(&self, filter: impl FnOnce(&mut dyn FnMut(&str) -> bool) -> T) -> T {
        let snapshot = self.shared.snapshot();
        filter(&mut |tool| {
            snapshot
                .engine
                .as_ref()
                .is_some_and(|engine| engine.lists(&self.principal, tool))
        })
    }

    /// The error that takes the place of what is not passed on.
    fn error(&self, code: i64, text: &str) -> Vec<u8> {
        reply::error(self.id.as_deref(), code, text, None)
    }
}

/// The upstream's answer with the tools taken out that the caller may not call.
pub async fn pass_on(
    filter: Filter,
    rules: &Rules,
    mut parts: Parts,
    relay: Relay,
) -> Result<Response<Body>, Failed> {
    if relay.is_end() {
        return Ok(Response::from_parts(parts, Body::relay(relay)));
    }
    let filtered = if is_encoded(&parts.headers) {
        Err(Unfiltered::Encoded)
    } else if is_media_type(&parts.headers, "text/event-stream") {
        changed(&mut parts.headers);
        parts.headers.remove(header::CONTENT_LENGTH);
        let events = EventFilter::new(relay, filter, rules);
        return Ok(Response::from_parts(parts, Body::events(events)));
    } else {
        whole(&filter, rules, &mut parts, relay).await?
    };
    match filtered {
        Ok((body, reserved)) => {
            // Known by now, whatever the upstream announced.
            parts
                .headers
                .insert(header::CONTENT_LENGTH, body.len().into());
            let body = Body::own(body).holding(reserved);
            Ok(Response::from_parts(parts, body))
        }
        Err(why) if parts.status.is_success() => Err(Failed::List(why)),
        Err(why) => {
            // What the status and the headers say (a login, a rate limit) is worth more than the body.
            filter.shared.metrics.failure(Failure::Invalid);
            let text = Failed::List(why).to_string();
            let body = filter.error(codes::UPSTREAM_INVALID, &text);
            changed(&mut parts.headers);
            parts.headers.remove(header::CONTENT_ENCODING);
            let json = HeaderValue::from_static("application/json");
            parts.headers.insert(header::CONTENT_TYPE, json);
            parts
                .headers
                .insert(header::CONTENT_LENGTH, body.len().into());
            Ok(Response::from_parts(parts, Body::own(body)))
        }
    }
}

type Whole = Result<(Bytes, Reserved), Unfiltered>;

/// Gathers an answer that is no stream, and cuts it.
async fn whole(
    filter: &Filter,
    rules: &Rules,
    parts: &mut Parts,
    relay: Relay,
) -> Result<Whole, Failed> {
    let is_json = is_media_type(&parts.headers, "application/json");
    let deadline = rules.response_timeout;
    let gathering = gather(filter, relay, rules.limits.list_bytes);
    let gathered = match tokio::time::timeout(deadline, gathering).await {
        Ok(gathered) => gathered?,
        Err(_) => Err(Unfiltered::Slow(deadline)),
    };
    let (body, mut reserved) = match gathered {
        Ok(gathered) => gathered,
        Err(why) => return Ok(Err(why)),
    };
    let read = filter.with_decision(|keep| tools::filter(&body, filter.era, keep));
    Ok(match read {
        _ if !is_json && parts.status.is_success() && !body.is_empty() => {
            Err(Unfiltered::MediaType)
        }
        Ok(Filtered::Changed(cut)) => {
            changed(&mut parts.headers);
            reserved.shrink_to(cut.len());
            Ok((Bytes::from(cut), reserved))
        }
        Ok(Filtered::Unchanged) => Ok((body, reserved)),
        // A page that says why there is no list.
        Err(Unreadable::NotJson) if body.is_empty() || !(is_json || tools::may_list(&body)) => {
            Ok((body, reserved))
        }
        Err(why) => Err(why.into()),
    })
}

/// Reads a whole body; the budget holds what is held.
async fn gather(filter: &Filter, mut relay: Relay, bytes_max: usize) -> Result<Whole, Spent> {
    let mut reserved = filter.shared.budget.reserve(0)?;
    let mut body: Vec<u8> = Vec::new();
    loop {
        let frame = match std::future::poll_fn(|context| relay.poll(context)).await {
            None => return Ok(Ok((Bytes::from(body), reserved))),
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Ok(Err(Unfiltered::Broken)),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if body.len() + data.len() > bytes_max {
            return Ok(Err(Unfiltered::TooLarge(bytes_max)));
        }
        reserved.grow(data.len())?;
        body.extend_from_slice(&data);
    }
}

/// Takes out the headers that describe the exact bytes of a body that is not passed on as it came.
fn changed(headers: &mut HeaderMap) {
    for name in [
        "accept-ranges",
        "content-digest",
        "content-md5",
        "content-range",
        "digest",
        "etag",
        "repr-digest",
    ] {
        headers.remove(name);
    }
}
