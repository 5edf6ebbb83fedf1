//! One call of Slack's Web API: one attempt, one deadline, a bounded answer, and an error that says
//! whether the call may have taken effect. Retries nothing; the callers know what may be repeated.

use std::sync::{Arc, Mutex};
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
use thoughtgate_panic::{lock, say};

use super::SlackSettings;
use super::answers::{Answer, Status, read};
use crate::counters::Counts;
use crate::error::OpenError;
use crate::settings::Secret;

/// A page of history with a hundred of the largest messages has some megabytes.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// How long to wait when a rate limit does not say.
const LIMITED_DEFAULT: Duration = Duration::from_secs(5);

/// Longest wait that a rate limit is believed.
const LIMITED_MAX: Duration = Duration::from_secs(10 * 60);

/// Answers with `ok: false` that say nothing about our request.
const TRANSIENT_ERRORS: &[&str] = &[
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
];

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// Come back later; nothing happened.
    #[error("Slack asks to wait {0:?}")]
    Limited(Duration),
    /// The connection was never made; nothing happened.
    #[error("Slack cannot be reached: {0}")]
    Unreachable(String),
    /// No answer, or a broken one: the call may or may not have taken effect.
    #[error("Slack did not answer properly: {0}")]
    Lost(String),
    /// Slack says no, and would say it again.
    #[error("Slack refused: {0}")]
    Refused(String),
}

pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base_url: String,
    authorization: HeaderValue,
    timeout: Duration,
    counts: Arc<Counts>,
    failure: Mutex<Option<String>>,
}

impl Client {
    pub(super) fn new(settings: &SlackSettings, counts: Arc<Counts>) -> Result<Self, OpenError> {
        let uri = address(settings)?;
        let connector = if uri.scheme_str() == Some("https") {
            connector(native_roots(&uri)?).https_only()
        } else {
            // Without roots nobody would be trusted, and nobody has to be.
            connector(RootCertStore::empty()).https_or_http()
        };
        let http = builder().build(connector.enable_http1().wrap_connector(tcp()));
        Ok(Self {
            http,
            authorization: bearer(&settings.token)?,
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            timeout: settings.call_timeout,
            counts,
            failure: Mutex::new(None),
        })
    }

    /// Why the latest call failed, if it did. A rate limit is no failure.
    pub(super) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// Calls a method that takes JSON.
    pub(super) async fn write(&self, method: &str, body: &Value) -> Result<Answer, CallError> {
        let request = Request::post(format!("{}/{method}", self.base_url))
            .header(CONTENT_TYPE, "application/json; charset=utf-8");
        self.call(method, request, Bytes::from(body.to_string()))
            .await
    }

    /// Calls a method that only reads; those take no JSON.
    pub(super) async fn read(
        &self,
        method: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let mut url = format!("{}/{method}", self.base_url);
        for (index, (name, value)) in parameters.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            percent_encode_into(value, &mut url);
        }
        self.call(method, Request::get(url), Bytes::new()).await
    }

    async fn call(
        &self,
        method: &str,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        self.counts.calls.add(1);
        let result = match tokio::time::timeout(self.timeout, self.attempt(request, body)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Lost(format!(
                "no answer within {:?}",
                self.timeout
            ))),
        };
        match &result {
            Ok(_) => self.note(None),
            Err(CallError::Limited(_)) => self.counts.call_limited.add(1),
            Err(error) => {
                self.counts.call_errors.add(1);
                self.note(Some(format!("{method}: {error}")));
            }
        }
        result
    }

    fn note(&self, failure: Option<String>) {
        let mut known = lock(&self.failure);
        match (&*known, &failure) {
            (None, Some(failure)) => {
                say!("warning: approvers cannot be asked: {failure}");
            }
            (Some(_), None) => say!("approvers can be asked again"),
            _ => {}
        }
        *known = failure;
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
            .map_err(|error| CallError::Refused(error.to_string()))?;
        let answer = self.http.request(request).await;
        read_answer(answer.map_err(|error| {
            let detail = chain(&error);
            if error.is_connect() {
                CallError::Unreachable(detail)
            } else {
                CallError::Lost(detail)
            }
        })?)
        .await
    }
}

async fn read_answer(answer: Response<Incoming>) -> Result<Answer, CallError> {
    let status = answer.status();
    let retry_after = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map_or(LIMITED_DEFAULT, Duration::from_secs)
        .min(LIMITED_MAX);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(CallError::Limited(retry_after));
    }
    if status.is_server_error() {
        return Err(CallError::Lost(format!("HTTP status {status}")));
    }
    if status != StatusCode::OK {
        return Err(CallError::Refused(format!("HTTP status {status}")));
    }
    let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| CallError::Lost(error.to_string()))?
        .to_bytes();
    judge(bytes, retry_after)
}

/// Slack answers 200 for its own errors too, and says `ok: false`.
fn judge(bytes: Bytes, retry_after: Duration) -> Result<Answer, CallError> {
    let status: Status<'_> = read(&bytes)?;
    if status.ok {
        return Ok(Answer(bytes));
    }
    let Some(error) = status.error else {
        let text = "the answer is neither ok nor an error";
        return Err(CallError::Lost(text.to_owned()));
    };
    match code(&error.0) {
        "ratelimited" | "rate_limited" => Err(CallError::Limited(retry_after)),
        error if TRANSIENT_ERRORS.contains(&error) => Err(CallError::Lost(error.to_owned())),
        error => {
            let needed = status.needed.filter(|scope| is_scope(&scope.0));
            let needed = needed.map_or(String::new(), |scope| format!(" (needs {})", scope.0));
            Err(CallError::Refused(format!("{error}{needed}")))
        }
    }
}

/// One of Slack's error codes. Anything else is not repeated: what answers in Slack's place may echo
/// the token.
fn code(text: &str) -> &str {
    let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.len() <= 64 && text.bytes().all(is_code) {
        text
    } else {
        "an error that is not one of Slack's codes"
    }
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
        // Whoever calls decides what may be repeated.
        .retry_canceled_requests(false);
    builder
}

/// Small requests that somebody waits for; whether they are encrypted is decided above this.
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

/// The certificates of this system.
/// Says what makes no sense in the address and the token.
pub(super) fn check(settings: &SlackSettings) -> Result<(), OpenError> {
    address(settings)?;
    bearer(&settings.token)?;
    Ok(())
}

/// The Web API's address. Errors leave it out: it may hold a password.
fn address(settings: &SlackSettings) -> Result<Uri, OpenError> {
    let wrong = |detail: &str| OpenError::Settings(format!("the Slack address {detail}"));
    let uri: Uri = settings
        .base_url
        .trim_end_matches('/')
        .parse()
        .map_err(|_| wrong("is not a valid URL; it looks like https://slack.com/api"))?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(wrong("must start with https:// or http://"));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.is_empty() || authority.contains('@') || uri.query().is_some() {
        return Err(wrong(
            "must be a host, perhaps with a path, without user, password or query",
        ));
    }
    Ok(uri)
}

fn native_roots(address: &Uri) -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(ToString::to_string);
        return Err(OpenError::Tls {
            host: address.host().unwrap_or_default().to_owned(),
            detail: why.unwrap_or_else(|| {
                "no CA certificates on this system (set SSL_CERT_FILE to a bundle)".to_owned()
            }),
        });
    }
    Ok(roots)
}

fn bearer(token: &Secret) -> Result<HeaderValue, OpenError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
        OpenError::Settings(
            "the Slack token holds a character that an HTTP header cannot".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error with its causes, since hyper's own text stops at "client error (Connect)".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn percent_encode_into(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&crate::ids::hex(&[byte]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Err(CallError::Refused(
                "missing_scope (needs chat:write)".to_owned()
            ))
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
            let Err(CallError::Lost(text)) = judge(lost) else {
                panic!("{lost}");
            };
            assert!(!text.contains("echoed"), "{text}");
        }
        let echoed = r#"{"ok":false,"error":"xoxb-echoed","needed":"xoxb-echoed"}"#;
        let unknown = "an error that is not one of Slack's codes".to_owned();
        assert_eq!(judge(echoed), Err(CallError::Refused(unknown)));
    }

    #[test]
    fn parameters_are_encoded() {
        let mut out = String::new();
        percent_encode_into("a b&c=é", &mut out);
        assert_eq!(out, "a%20b%26c%3d%c3%a9");
    }
}
