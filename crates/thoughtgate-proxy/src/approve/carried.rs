//! The upstream's own request state, and the responses that belong to it, on their way through a call that
//! waits for an approval.
//!
//! A client carries one request state. While the call waits that is this proxy's, which has the upstream's
//! sealed in it: so nothing is put into a call but what its client once sent in it.

use bytes::Bytes;
use http::header;
use thoughtgate_approval::is_sealed;
use thoughtgate_mcp::{Params, with_members, without};

use crate::message::Message;

const PARAMS: &str = "params";
const STATE: &str = "requestState";
const RESPONSES: &str = "inputResponses";

/// The members of a call that answers an `input_required` of the upstream, as a JSON object; empty for any
/// other call.
pub fn of(params: &Params<'_>) -> Vec<u8> {
    let state = params.request_state.as_deref();
    if state.is_some_and(is_sealed) {
        return Vec::new();
    }
    let state = state.map(|state| (STATE, serde_json::Value::from(state).to_string()));
    let responses = params.input_responses;
    let responses = responses.map(|responses| (RESPONSES, responses.get().to_owned()));
    let members: Vec<String> = [state, responses]
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    if members.is_empty() {
        return Vec::new();
    }
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// Takes this proxy's request state out of a call, and puts back what the state `carried`: the call is then
/// as the upstream expects it.
pub fn give_back(message: &mut Message, carried: &[u8]) {
    // Cuts in the text: what remains is sent byte for byte as it came.
    let mut bytes = without(&message.bytes, &[PARAMS, STATE]);
    if !carried.is_empty() {
        let before = bytes.as_deref().unwrap_or(&message.bytes);
        let shorter = without(before, &[PARAMS, RESPONSES]);
        let before = shorter.as_deref().unwrap_or(before);
        bytes = with_members(before, PARAMS, carried).or(bytes);
    }
    if let Some(bytes) = bytes {
        // The client's Content-Length is that of another body; hyper sets the new one.
        message.parts.headers.remove(header::CONTENT_LENGTH);
        message.bytes = Bytes::from(bytes);
    }
}
