//! One call of Slack's Web API: one attempt, one deadline, a response of bounded size, and an error
//! that says whether the call may have taken effect. Retries nothing; the callers know what may be
//! repeated.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::answers::{Answer, Status, read};
use super::error::{CallError, Code, Loss, Refusal};
use super::faults::Faults;
use super::settings::SlackSettings;
use crate::cause::Cause;
use crate::counters::Counts;
use crate::error::OpenError;

/// Largest response: a page of history with a hundred of the largest messages has a few megabytes.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Wait after a rate limit without a valid `Retry-After`.
const LIMITED_DEFAULT: Duration = Duration::from_secs(5);

/// Shortest wait after a rate limit: with `Retry-After: 0` calls would be repeated without a pause.
const LIMITED_MIN: Duration = Duration::from_secs(1);

/// Longest wait that a `Retry-After` can cause.
const LIMITED_MAX: Duration = Duration::from_secs(10 * 60);

/// Header with the scopes of the token, on answers to calls with a valid one.
const OAUTH_SCOPES: &str = "x-oauth-scopes";

/// Error codes of a rate limit.
const LIMIT_ERRORS: &[&str] = &["ratelimited", "rate_limited"];

/// Error codes that are not about the request: it may have taken effect, and may be repeated.
const TRANSIENT_ERRORS: &[&str] = &[
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
];

pub(crate) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base_url: String,
    authorization: HeaderValue,
    timeout: Duration,
    counts: Arc<Counts>,
    pub(super) faults: Faults,
}

impl Client {
    /// Checks the address and the token, and sets up TLS if the address needs it; makes no call.
    /// `logs` says whether changes of its faults are logged.
    pub(crate) fn new(
        settings: &SlackSettings,
        counts: Arc<Counts>,
        logs: bool,
    ) -> Result<Self, OpenError> {
        let uri = settings.address()?;
        let connector = if uri.scheme_str() == Some("https") {
            connector(native_roots(&uri)?).https_only()
        } else {
            // Plain http needs no roots; without any, no TLS server would be trusted.
            connector(RootCertStore::empty()).https_or_http()
        };
        let http = builder().build(connector.enable_http1().wrap_connector(tcp()));
        Ok(Self {
            http,
            authorization: settings.bearer()?,
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            timeout: settings.call_timeout,
            counts,
            faults: Faults::new(&settings.channel, logs),
        })
    }

    /// Calls a method whose arguments are sent as JSON.
    pub(super) async fn write(
        &self,
        method: &'static str,
        body: &Value,
    ) -> Result<Answer, CallError> {
        let request = Request::post(format!("{}/{method}", self.base_url))
            .header(CONTENT_TYPE, "application/json; charset=utf-8");
        let channel = body["channel"].as_str();
        self.call((method, channel), request, Bytes::from(body.to_string()))
            .await
    }

    /// Calls a method that only reads: its parameters go into the URL, since those take no JSON.
    pub(super) async fn read(
        &self,
        method: &'static str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let channel = parameters.iter().find(|(name, _)| *name == "channel");
        let channel = channel.map(|(_, channel)| *channel);
        let url = format!("{}/{method}?{}", self.base_url, query(parameters));
        self.call((method, channel), Request::get(url), Bytes::new())
            .await
    }

    async fn call(
        &self,
        (method, channel): (&'static str, Option<&str>),
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        self.counts.calls.add(1);
        let result = match tokio::time::timeout(self.timeout, self.attempt(request, body)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Lost(Loss::Late(self.timeout))),
        };
        match &result {
            Ok(_) => {}
            Err(CallError::Limited(_)) => self.counts.call_limited.add(1),
            Err(_) => self.counts.call_errors.add(1),
        }
        self.faults.note(method, channel, result.as_ref().err());
        result
    }

    async fn attempt(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let request = request
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, "thoughtgate")
            .body(Full::new(body))
            .map_err(|error| CallError::Refused(Refusal::Request(Cause::new(error))))?;
        let answer = self.http.request(request).await;
        read_answer(answer.map_err(|error| {
            // Only a connection that was never made proves that Slack received nothing.
            if error.is_connect() {
                CallError::Unreachable(Cause::new(error))
            } else {
                CallError::Lost(Loss::Broken(Cause::new(error)))
            }
        })?)
        .await
    }
}

fn query(parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters).finish()
}

async fn read_answer(answer: Response<Incoming>) -> Result<Answer, CallError> {
    let status = answer.status();
    let retry_after = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map_or(LIMITED_DEFAULT, Duration::from_secs)
        .clamp(LIMITED_MIN, LIMITED_MAX);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(CallError::Limited(retry_after));
    }
    if status.is_server_error() {
        return Err(CallError::Lost(Loss::Status(status)));
    }
    // Redirects included: the token must not follow one to another host.
    if status != StatusCode::OK {
        return Err(CallError::Refused(Refusal::Status(status)));
    }
    let scopes = answer.headers().get(OAUTH_SCOPES).cloned();
    let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| CallError::Lost(Loss::Broken(Cause::new(error))))?
        .to_bytes();
    let body = judge(bytes, retry_after)?;
    Ok(Answer { body, scopes })
}

/// Slack reports its own errors with status 200 and `ok: false`.
fn judge(bytes: Bytes, retry_after: Duration) -> Result<Bytes, CallError> {
    let status: Status<'_> = read(&bytes)?;
    if status.ok {
        return Ok(bytes);
    }
    let Some(error) = status.error else {
        return Err(CallError::Lost(Loss::NoVerdict));
    };
    let code = Code::new(&error.0);
    Err(if code.is_one_of(LIMIT_ERRORS) {
        CallError::Limited(retry_after)
    } else if code.is_one_of(TRANSIENT_ERRORS) {
        CallError::Lost(Loss::Code(code))
    } else {
        // Agents see this text, so it is kept only in the form of scopes.
        let needed = status.needed.filter(|scopes| is_scope(&scopes.0));
        let needed = needed.map(|scopes| scopes.0.into_owned());
        CallError::Refused(Refusal::Code { code, needed })
    })
}

fn is_scope(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || b":.,_".contains(&byte);
    text.len() <= 200 && text.bytes().all(is_part)
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = HttpClient::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(2)
        // The callers decide what may be repeated.
        .retry_canceled_requests(false);
    builder
}

/// Sends without delay, since requests are small and somebody waits for them. Accepts any scheme:
/// whether the connection is encrypted is decided by the connector around this one.
fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

fn connector(roots: RootCertStore) -> HttpsConnectorBuilder<WantsSchemes> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    HttpsConnectorBuilder::new().with_tls_config(config)
}

/// CA certificates of this system.
fn native_roots(address: &Uri) -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    // A certificate that cannot be read does not matter while others were found.
    if roots.is_empty() {
        let why = found.errors.into_iter().next().map(Cause::new);
        return Err(OpenError::Tls {
            host: address.host().unwrap_or_default().to_owned(),
            source: why.unwrap_or_else(|| Cause::new(NoRoots)),
        });
    }
    Ok(roots)
}

#[derive(Debug, thiserror::Error)]
#[error("no CA certificates on this system; set SSL_CERT_FILE to a CA bundle")]
struct NoRoots;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::chain;

    #[test]
    fn answers_are_told_apart_by_what_may_have_happened() {
        let wait = Duration::from_secs(3);
        let judge = |text: &str| judge(Bytes::copy_from_slice(text.as_bytes()), wait).map(drop);
        assert!(judge(r#"{"ok":true}"#).is_ok());
        assert_eq!(
            judge(r#"{"ok":false,"error":"ratelimited"}"#),
            Err(CallError::Limited(wait))
        );
        assert_eq!(
            judge(r#"{"ok":false,"error":"missing_scope","needed":"chat:write"}"#),
            Err(CallError::Refused(Refusal::Code {
                code: Code::new("missing_scope"),
                needed: Some("chat:write".to_owned()),
            }))
        );
        for lost in [
            r#"{"ok":false,"error":"internal_error"}"#,
            "{}",
            "<html>",
            "",
            "[]",
            r#"{"ok":"xoxb-echoed"}"#,
            r#"{"ok":true,"ok":false}"#,
            r#"{"ok":false}"#,
        ] {
            let error = judge(lost).unwrap_err();
            assert!(matches!(error, CallError::Lost(_)), "{lost}: {error:?}");
            assert!(!format!("{error:?}").contains("echoed"), "{error:?}");
        }
        let echoed = r#"{"ok":false,"error":"xoxb-echoed","needed":"xoxb-echoed"}"#;
        let error = judge(echoed).unwrap_err();
        assert_eq!(
            chain(&error),
            "Slack refused: unknown error, not a Slack error code"
        );
        assert!(!format!("{error:?}").contains("echoed"), "{error:?}");
        let scope = r#"{"ok":false,"error":"missing_scope","needed":"chat:write"}"#;
        assert_eq!(
            chain(&judge(scope).unwrap_err()),
            "Slack refused: missing_scope (needs chat:write); add the scope to the Slack app under OAuth & Permissions, then reinstall the app"
        );
    }

    #[test]
    fn parameters_are_encoded() {
        let query = query(&[("channel", "C1"), ("cursor", "a b&c=é#")]);
        assert_eq!(query, "channel=C1&cursor=a+b%26c%3D%C3%A9%23");
    }
}
