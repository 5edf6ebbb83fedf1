//! The members of a JSON-RPC message that the double's answer depends on, borrowed from the body.
//!
//! Validates nothing but JSON.

use std::borrow::Cow;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

/// First version of the stateless protocol; versions compare as text.
pub(super) const MODERN_VERSION: &str = "2026-07-28";

#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    /// The id in its original spelling.
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) params: Params<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Params<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Debug, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<Cow<'a, str>>,
}

impl Envelope<'_> {
    /// Whether header or `_meta` select the stateless protocol.
    pub(super) fn is_modern(&self, headers: &HeaderMap) -> bool {
        let header = headers.get("mcp-protocol-version");
        let meta = self.params.meta.as_ref();
        header.is_some_and(|version| version.as_bytes() >= MODERN_VERSION.as_bytes())
            || meta
                .and_then(|meta| meta.protocol_version.as_deref())
                .is_some_and(|version| version >= MODERN_VERSION)
    }
}
