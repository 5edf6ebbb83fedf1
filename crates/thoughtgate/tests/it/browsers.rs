//! Web pages as clients: preflights, and CORS headers on every answer to an accepted origin.

use http::Method;
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_mcp::{self, MockMcp};

use crate::support::{ALL, Proxy, before, call, policy, raw_upstream};

const PAGE: &str = "https://app.example";
const LOCAL: &str = "http://localhost:6274";
const CONFIGURED: [(&str, &str); 1] = [(
    "THOUGHTGATE_ALLOWED_ORIGINS",
    "https://app.example/,https://*.example.com:8443",
)];

fn start(policies: &str, more: &[(&str, &str)]) -> (MockMcp, Proxy) {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(policies);
    let environment = [&CONFIGURED[..], more].concat();
    let proxy = Proxy::with(&before(&upstream.url(), file.path()), &environment);
    (upstream, proxy)
}

async fn preflight(proxy: &Proxy, path: &str, origin: &str, asked: &str) -> Response {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
        ("access-control-request-private-network", "true"),
    ];
    client::request(Method::OPTIONS, &proxy.at(path), &headers, "")
        .await
        .unwrap()
}

/// Fails unless a page at `origin` may read this answer.
#[track_caller]
fn readable(answer: &Response, origin: &str) {
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(
        allowed,
        Some(origin),
        "{}: {}",
        answer.status,
        answer.text()
    );
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn preflights_of_accepted_origins_are_answered_here() {
    let (upstream, proxy) = start("", &[("THOUGHTGATE_AGENT_HEADER", "X-Agent")]);
    for origin in [PAGE, LOCAL, "https://a.example.com:8443"] {
        for path in ["/mcp", "/mcp/", "/.well-known/oauth-protected-resource/mcp"] {
            let asked = "content-type,mcp-session-id,mcp-param-region";
            let answer = preflight(&proxy, path, origin, asked).await;
            assert_eq!(answer.status, 204, "{origin} {path}: {}", answer.text());
            readable(&answer, origin);
            let header = |name: &str| answer.header(name).unwrap().to_owned();
            let methods = header("access-control-allow-methods");
            assert_eq!(methods, "GET, POST, DELETE");
            let sendable = header("access-control-allow-headers");
            let names: Vec<&str> = sendable.split(", ").collect();
            for name in [
                "content-type",
                "accept",
                "authorization",
                "mcp-protocol-version",
                "mcp-session-id",
                "mcp-method",
                "mcp-name",
                "mcp-param-region",
                "last-event-id",
                "x-agent",
            ] {
                assert!(names.contains(&name), "{name}: {sendable}");
            }
            assert_eq!(header("access-control-allow-private-network"), "true");
            header("access-control-max-age").parse::<u32>().unwrap();
        }
    }
    assert_eq!(upstream.stats().requests, 0, "no preflight is forwarded");
}

#[tokio::test]
async fn pages_of_other_origins_get_nothing() {
    let (upstream, proxy) = start(ALL, &[]);
    for origin in [
        "https://evil.example",
        "https://app.example:8443",
        "https://a.example.com",
        "null",
    ] {
        let answer = preflight(&proxy, "/mcp", origin, "content-type").await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.header("access-control-allow-origin").is_none());
        let answer = client::post_json(&proxy.url(), &[("origin", origin)], call("echo")).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    // Without an origin nothing is a preflight, and no answer has headers for one.
    let asks = [("access-control-request-method", "POST")];
    let answer = client::request(Method::OPTIONS, &proxy.url(), &asks, "").await;
    assert_eq!(answer.unwrap().status, 405);
    let answer = proxy.post(&call("echo")).await;
    assert!(answer.header("vary").is_none());
    assert_eq!(upstream.stats().requests, 1);
}

#[tokio::test]
async fn every_answer_to_an_accepted_origin_is_readable() {
    let (_upstream, proxy) = start(
        r#"permit (principal, action == Action::"tools/call", resource == Tool::"echo");"#,
        &[("THOUGHTGATE_AGENT_HEADER", "x-agent")],
    );
    for origin in [PAGE, LOCAL] {
        let agent = [("origin", origin), ("x-agent", "a")];
        let strange = [("origin", origin), ("host", "evil.example")];
        for (headers, body, path) in [
            (&agent, call("echo"), "/mcp"),
            (&agent, call("other"), "/mcp"),
            (&agent, "{".to_owned(), "/mcp"),
            (&agent, call("echo"), "/elsewhere"),
            (
                &[("origin", origin), ("x", "no agent")],
                call("echo"),
                "/mcp",
            ),
            (&strange, call("echo"), "/mcp"),
        ] {
            let answer = client::post_json(&proxy.at(path), headers, body).await;
            readable(&answer.unwrap(), origin);
        }
        let answer = client::request(Method::PUT, &proxy.url(), &agent, "").await;
        readable(&answer.unwrap(), origin);
    }
}

#[tokio::test]
async fn what_the_upstream_says_about_origins_is_replaced() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: s\r\ncontent-length: {}\r\n\
         access-control-allow-origin: *\r\naccess-control-allow-origin: https://evil.example\r\n\
         access-control-allow-credentials: true\r\naccess-control-expose-headers: x\r\n\r\n{body}",
        body.len()
    );
    let upstream = raw_upstream(answer, false).await;
    let file = policy(ALL);
    let proxy = Proxy::with(&before(&upstream, file.path()), &CONFIGURED);
    let headers = [("origin", PAGE)];
    let answer = client::post_json(&proxy.url(), &headers, call("echo")).await;
    let answer = answer.unwrap();
    readable(&answer, PAGE);
    assert_eq!(
        answer
            .headers
            .get_all("access-control-allow-origin")
            .iter()
            .count(),
        1
    );
    assert!(answer.header("access-control-allow-credentials").is_none());
    assert_eq!(answer.header("mcp-session-id"), Some("s"));
}
