//! Filters `tools/list` answers down to the tools that the caller may call, by the same policies.
//!
//! A list is filtered in whatever message, stream or status it arrives. An answer that cannot be read is
//! refused rather than passed on unfiltered.

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderValue, Response, header};
use thoughtgate_mcp::tools::{self, Filtered, Unreadable};

use crate::body::Body;
use crate::budget::{Reserved, Spent};
use crate::failed::Failed;
use crate::headers::{changed, is_encoded, is_media_type};
use crate::problem::Problem;
use crate::relay::Relay;
use crate::settings::Rules;

pub use events::EventFilter;
pub use filter::{Filter, Unfiltered};

mod changes;
mod events;
mod filter;

/// The upstream's answer without the tools that the caller may not call.
pub async fn pass_on(
    filter: Filter,
    rules: &Rules,
    mut parts: Parts,
    relay: Relay,
) -> Result<Response<Body>, Failed> {
    // An empty body holds no list, whatever its type says.
    if relay.is_end() {
        return Ok(Response::from_parts(parts, Body::relay(relay)));
    }
    let filtered = if is_encoded(&parts.headers) {
        Err(Unfiltered::Encoded)
    } else if is_media_type(&parts.headers, "text/event-stream") {
        changed(&mut parts.headers);
        // Tools may be left out and events added, so that the length is known only at the end.
        parts.headers.remove(header::CONTENT_LENGTH);
        let events = EventFilter::new(relay, filter, rules);
        return Ok(Response::from_parts(parts, Body::events(events)));
    } else {
        whole(&filter, rules, &mut parts, relay).await?
    };
    match filtered {
        Ok((body, reserved)) => {
            // The length is known now, whatever the upstream announced.
            parts
                .headers
                .insert(header::CONTENT_LENGTH, body.len().into());
            let body = Body::own(body).holding(reserved);
            Ok(Response::from_parts(parts, body))
        }
        Err(why) if parts.status.is_success() => Err(Failed::List(why)),
        Err(why) => {
            // Only the body is replaced: status and headers (a login, a rate limit) matter to the client.
            let failed = Failed::List(why);
            let problem = Problem::Failed(&failed);
            problem.count(&filter.shared);
            let body = problem.body(filter.id());
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

/// Gathers an answer that is not a stream, and filters it.
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
    // Whatever the type and the status say: a client may take any JSON for its list.
    let read = filter.with_decision(|choose| tools::filter(&body, filter.era, choose));
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
        // A page that explains why there is no list.
        Err(Unreadable::NotJson) if body.is_empty() || !(is_json || tools::may_list(&body)) => {
            Ok((body, reserved))
        }
        Err(why) => Err(why.into()),
    })
}

/// Reads a whole body, whose bytes are counted in the budget.
async fn gather(filter: &Filter, mut relay: Relay, bytes_max: usize) -> Result<Whole, Spent> {
    let mut reserved = filter.shared.budget.reserve(0)?;
    let mut body: Vec<u8> = Vec::new();
    loop {
        let frame = match std::future::poll_fn(|context| relay.poll(context)).await {
            None => return Ok(Ok((Bytes::from(body), reserved))),
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Ok(Err(Unfiltered::Broken)),
        };
        // Trailers are dropped: HTTP/1.1 has no place for them in an answer with a Content-Length.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        // Before room is taken, so that a list over its limit is never reported as a full budget.
        if body.len() + data.len() > bytes_max {
            return Ok(Err(Unfiltered::TooLarge(bytes_max)));
        }
        reserved.grow(data.len())?;
        body.extend_from_slice(&data);
    }
}
