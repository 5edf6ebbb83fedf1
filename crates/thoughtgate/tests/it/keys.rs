//! Tokens that are verified with the keys that their issuer publishes (`agent.jwt.jwks_url`).

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_mcp::{self, MockMcp};
use thoughtgate_test::process::Output;

use crate::claims::Issuer;
use crate::support::{ALL, PATIENCE, Proxy, before, call, is_permitted, outcome, policy};
use crate::upstream::scripted::{self, Request, Scripted};

mod refused;
mod reloaded;

/// Path of the keys; no text may show it.
const PATH: &str = "/secret-path/jwks.json";

/// `iss` of the tokens.
pub const ISSUER: &str = "https://idp.test";

/// Publishes keys, and can fail.
pub struct KeyEndpoint {
    server: Scripted,
    answer: Arc<Mutex<String>>,
}

impl KeyEndpoint {
    pub async fn start(keys: &[Value]) -> KeyEndpoint {
        let answer = Arc::new(Mutex::new(published(keys)));
        let current = Arc::clone(&answer);
        let server = Scripted::start(move |_: &Request| current.lock().unwrap().clone()).await;
        KeyEndpoint { server, answer }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    fn url(&self) -> String {
        self.server.url(PATH)
    }

    /// Publishes these keys from now on.
    fn publish(&self, keys: &[Value]) {
        self.answer(published(keys));
    }

    /// Answers with this HTTP response from now on.
    fn answer(&self, response: String) {
        *self.answer.lock().unwrap() = response;
    }

    /// The number of requests that arrived.
    fn fetches(&self) -> usize {
        self.server.calls().len()
    }
}

fn published(keys: &[Value]) -> String {
    scripted::json(200, &json!({ "keys": keys }).to_string())
}

/// `Authorization` with a token of `issuer` whose `kid` is this.
pub fn bearer(issuer: &Issuer, id: &str) -> String {
    signed(issuer, &json!({"alg": "EdDSA", "kid": id}))
}

/// The same, with this head of the token.
fn signed(issuer: &Issuer, head: &Value) -> String {
    issuer.signed(head, json!({ "iss": ISSUER }))
}

pub async fn post(proxy: &Proxy, bearer: &str) -> Response {
    let (url, headers) = (proxy.url(), [("authorization", bearer)]);
    let sent = client::post_json(&url, &headers, call("echo"));
    sent.await.unwrap()
}

fn issuer() -> Issuer {
    Issuer::new(tempfile::tempdir().unwrap().path())
}

/// A proxy that verifies tokens with the keys of `endpoint`.
fn proxy(endpoint: &KeyEndpoint) -> (MockMcp, Proxy) {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let (url, file) = (upstream.url(), policy(ALL));
    let environment = [
        ("THOUGHTGATE_AGENT_JWT_JWKS_URL", &*endpoint.url()),
        ("THOUGHTGATE_AGENT_JWT_ISSUER", ISSUER),
    ];
    let proxy = Proxy::with(&before(&url, file.path()), &environment);
    (upstream, proxy)
}

/// The log, once it has `count` lines with this text: another thread writes it.
async fn log_with(proxy: &Proxy, text: &str, count: usize) -> String {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let log = proxy.process.output(Output::Stderr).join("\n");
        if log.matches(text).count() >= count {
            return log;
        }
        assert!(tokio::time::Instant::now() < until, "{text}: {log}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn reason(response: &Response) -> String {
    response.json()["error"]["message"].to_string()
}

#[tokio::test]
async fn a_new_key_serves_its_first_call_and_a_withdrawn_one_no_more() {
    let (old, new) = (issuer(), issuer());
    let endpoint = KeyEndpoint::start(&[old.jwk("old")]).await;
    let (upstream, proxy) = proxy(&endpoint);
    let ready = proxy.ready_is(200).await;
    assert_eq!(
        ready["checks"]["token_keys"],
        json!({"ok": true, "keys": 1})
    );
    let answer = post(&proxy, &bearer(&old, "old")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());

    endpoint.publish(&[new.jwk("new")]);
    // Known keys need no fetch.
    let answer = post(&proxy, &bearer(&old, "old")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    assert_eq!(endpoint.fetches(), 1);
    let answer = post(&proxy, &bearer(&new, "new")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    assert_eq!(endpoint.fetches(), 2);
    let refused = post(&proxy, &bearer(&old, "old")).await;
    assert_eq!(refused.status, 401);
    let text = reason(&refused);
    assert!(
        text.contains("names no key that the issuer publishes"),
        "{text}"
    );
    // The name of a key is no key.
    let refused = post(&proxy, &bearer(&old, "new")).await;
    assert!(reason(&refused).contains("its signature is invalid"));
    assert_eq!(upstream.stats().tool_calls, 3);
    let series = "thoughtgate_jwks_fetches_total{result=\"ok\"}";
    assert_eq!(proxy.metric(series).await, Some(2.0));
    let verified = format!("verified with 1 key of http://{}", endpoint.address());
    let log = log_with(&proxy, &verified, 2).await;
    assert!(!log.contains("secret-path"), "{log}");
}

#[tokio::test]
async fn a_stream_of_unknown_keys_causes_one_fetch() {
    let known = issuer();
    let endpoint = KeyEndpoint::start(&[known.jwk("a")]).await;
    let (upstream, proxy) = proxy(&endpoint);
    proxy.ready().await;
    let tokens: Vec<_> = (0..40)
        .map(|id| bearer(&known, &format!("x{id}")))
        .collect();
    // All at once: calls, and requests for streams.
    let sent = tokens.into_iter().enumerate().map(|(at, token)| {
        let url = proxy.url();
        tokio::spawn(async move {
            let headers = [("authorization", token.as_str())];
            let response = match at % 2 {
                0 => client::post_json(&url, &headers, call("echo")).await,
                _ => client::get(&url, &headers).await,
            };
            response.unwrap().status
        })
    });
    for sent in sent.collect::<Vec<_>>() {
        assert_eq!(sent.await.unwrap(), 401);
    }
    assert_eq!(endpoint.fetches(), 2);
    let answer = post(&proxy, &bearer(&known, "a")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    assert_eq!(upstream.stats().tool_calls, 1);
}

#[tokio::test]
async fn without_keys_nothing_is_served_and_the_last_ones_outlast_a_fault() {
    let known = issuer();
    let endpoint = KeyEndpoint::start(&[]).await;
    endpoint.answer(scripted::json(500, "{}"));
    let (upstream, proxy) = proxy(&endpoint);
    let refused = post(&proxy, &bearer(&known, "a")).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(refused.header("www-authenticate"), None);
    assert!(
        reason(&refused).contains("could not be fetched"),
        "{}",
        refused.text()
    );
    let ready = proxy.ready_is(503).await;
    let check = &ready["checks"]["token_keys"];
    assert_eq!(check["ok"], false);
    assert!(check["reason"].to_string().contains("no keys"), "{check}");
    let fault = format!(
        "the keys of bearer tokens cannot be fetched: http://{}: status 500; the server, or a proxy before it, fails",
        endpoint.address()
    );
    log_with(&proxy, &fault, 1).await;
    // Without a request that asks for it.
    endpoint.publish(&[known.jwk("a")]);
    proxy.ready().await;
    let answer = post(&proxy, &bearer(&known, "a")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());

    assert_eq!(upstream.stats().tool_calls, 1);

    let log = log_with(
        &proxy,
        "resolved: the keys of bearer tokens can be fetched again",
        1,
    )
    .await;
    assert_eq!(log.matches(&fault).count(), 1, "{log}");
    assert!(!log.contains("secret-path"), "{log}");
    assert!(
        !ready.to_string().contains(&endpoint.address().to_string()),
        "{ready}"
    );
}

#[tokio::test]
async fn the_last_keys_stay_in_force_while_fetches_fail() {
    let known = issuer();
    let endpoint = KeyEndpoint::start(&[known.jwk("a")]).await;
    let (_upstream, proxy) = proxy(&endpoint);
    proxy.ready().await;
    endpoint.answer(scripted::json(503, "{}"));
    assert_eq!(post(&proxy, &bearer(&known, "b")).await.status, 401);
    let answer = post(&proxy, &bearer(&known, "a")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    let ready = proxy.ready_is(200).await;
    let check = &ready["checks"]["token_keys"];
    assert!(check["last_fetch_error"].is_string(), "{ready}");
    let failed = proxy.metric("thoughtgate_jwks_fetches_total{result=\"failed\"}");
    assert!(failed.await >= Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_fetches_the_keys() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(ALL);
    let endpoint = KeyEndpoint::start(&[issuer().jwk("a"), issuer().jwk("b")]).await;
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
        command.args(before(&upstream.url(), file.path()));
        command.args(["--check", "--online"]);
        command.env("THOUGHTGATE_AGENT_JWT_ISSUER", ISSUER);
        outcome(command.env("THOUGHTGATE_AGENT_JWT_JWKS_URL", endpoint.url()))
    };
    let (code, out, _) = check();
    let expected = format!(
        "ok: http://{} has 2 keys of bearer tokens\n",
        endpoint.address()
    );
    assert!(code == Some(0) && out.ends_with(&expected), "{out}");
    let good = published(&[issuer().jwk("a")]);
    let large = json!({"keys": [issuer().jwk("a")], "x": "x".repeat(300_000)});
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"});
    for (answer, expected) in [
        (
            scripted::json(200, "{"),
            "not a JSON object with a list `keys`",
        ),
        (
            scripted::json(200, &large.to_string()),
            "larger than 262144 bytes",
        ),
        (published(&vec![issuer().jwk("a"); 65]), "more than 64 keys"),
        (published(&[secret]), "no key that can verify tokens"),
        (scripted::json(404, "{}"), "status 404; check the path"),
        (
            good.replacen("200 x", "302 x\r\nlocation: /elsewhere", 1),
            "status 302: redirects are not followed",
        ),
        (
            good.replacen("200 x", "200 x\r\ncontent-encoding: gzip", 1),
            "Content-Encoding",
        ),
    ] {
        endpoint.answer(answer);
        let (code, out, _) = check();
        let failed = format!(
            "\nfailed: the keys of bearer tokens: http://{}: ",
            endpoint.address()
        );
        assert!(
            code == Some(2) && out.contains(&failed),
            "{expected}: {out}"
        );
        assert!(out.contains(expected), "{expected}: {out}");
        assert!(!out.contains("secret-path"), "{out}");
    }
    assert!(endpoint.server.calls().iter().all(|call| call.path == PATH));
}
