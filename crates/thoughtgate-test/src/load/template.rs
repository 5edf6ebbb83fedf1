//! The request that the driver repeats: head built once, body split at the id.
//!
//! Builds requests like those of MCP clients; opens no connection.

use bytes::{BufMut, Bytes, BytesMut};
use clap::ValueEnum;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::options::{LoadError, Options};
use crate::client;

const MODERN_VERSION: &str = "2026-07-28";
const LEGACY_VERSION: &str = "2025-11-25";

/// The protocol of a built-in request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Era {
    /// MCP 2025-11-25; the request has no session.
    Legacy,
    /// MCP 2026-07-28, stateless.
    Modern,
}

/// Body and headers of a `tools/call` of `tool`, as a client of `era` sends them.
#[must_use]
pub fn call_body(tool: &str, era: Era) -> (Vec<u8>, Vec<(String, String)>) {
    let mut params = json!({ "name": tool, "arguments": { "message": "hello" } });
    let mut headers = vec![("mcp-protocol-version", LEGACY_VERSION)];
    if era == Era::Modern {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        headers = vec![
            ("mcp-protocol-version", MODERN_VERSION),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
    }
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": params });
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (body.to_string().into_bytes(), headers)
}

/// A request to one URL that can be repeated with new ids.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) authority: String,
    uri: Uri,
    headers: HeaderMap,
    before_id: Bytes,
    /// `None`: the message has no id.
    after_id: Option<Bytes>,
}

#[derive(Deserialize)]
struct IdOnly<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

impl Template {
    pub(super) fn new(url: &str, options: &Options) -> Result<Self, LoadError> {
        let bad_url = || LoadError::Url {
            url: url.to_owned(),
        };
        let (authority, path) = client::parse(url).map_err(|_| bad_url())?;
        let uri = path.parse().map_err(|_| bad_url())?;
        let host = HeaderValue::try_from(&authority).map_err(|_| bad_url())?;
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        for (name, value) in &options.headers {
            let bad_header = || LoadError::Header {
                header: format!("{name}: {value}"),
            };
            let name = HeaderName::try_from(name).map_err(|_| bad_header())?;
            let value = HeaderValue::try_from(value).map_err(|_| bad_header())?;
            // Inserted, so that an option can replace one of the headers above.
            headers.insert(name, value);
        }
        let body = Bytes::copy_from_slice(&options.body);
        let parsed: IdOnly<'_> = serde_json::from_slice(&body).map_err(LoadError::Body)?;
        let (before_id, after_id) = match parsed.id {
            None => (body.clone(), None),
            Some(id) => {
                // The raw value borrows from the body, so their distance is its offset.
                let start = id.get().as_ptr() as usize - body.as_ptr() as usize;
                let end = start + id.get().len();
                (body.slice(..start), Some(body.slice(end..)))
            }
        };
        Ok(Self {
            authority,
            uri,
            headers,
            before_id,
            after_id,
        })
    }

    /// Whether the message has an id, so that an answer can be matched.
    pub(super) fn has_id(&self) -> bool {
        self.after_id.is_some()
    }

    /// The request with `id`, in decimal.
    pub(super) fn request(&self, id: &str) -> Request<Full<Bytes>> {
        let body = match &self.after_id {
            None => self.before_id.clone(),
            Some(after_id) => {
                let length = self.before_id.len() + id.len() + after_id.len();
                let mut body = BytesMut::with_capacity(length);
                body.put_slice(&self.before_id);
                body.put_slice(id.as_bytes());
                body.put_slice(after_id);
                body.freeze()
            }
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
