//! Policy decisions as a client and the upstream see them.

use serde_json::json;
use thoughtgate_test::client;

use crate::support::{
    ALL, Proxy, before, borrowed, call, is_permitted, modern_call, pair, policy, refusal,
};

const SOME: &str = r#"@id("echo-only") permit (principal, action == Action::"tools/call", resource == Tool::"echo");
    @id("no-rm") forbid (principal, action == Action::"tools/call", resource == Tool::"rm");"#;

#[tokio::test]
async fn permitted_calls_arrive_byte_for_byte() {
    let (upstream, proxy) = pair(SOME);
    let body = " {\"id\" : 7,\t\"jsonrpc\":\"2.0\", \"params\":{\"arguments\":{\"b\":1.0,\"a\":\"\\u0061\"}, \"name\":\"echo\"},\"method\":\"tools/call\", \"x\":[1]}\n";
    let headers = [
        ("authorization", "Bearer secret"),
        ("mcp-session-id", "s-1"),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-param-region", "eu"),
        ("traceparent", "00-1-2-01"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
    ];
    let response = client::post_json(&proxy.url(), &headers, body)
        .await
        .unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.json()["id"], 7);
    let received = &upstream.requests()[0];
    assert_eq!(received.body, body.as_bytes());
    for (name, value) in &headers[..5] {
        assert_eq!(received.header(name), Some(*value), "{name}");
    }
    assert_eq!(received.header("x-hop"), None);
    assert_eq!(
        received.header("host"),
        Some(upstream.address().to_string().as_str())
    );
}

#[tokio::test]
async fn refused_calls_say_why_and_never_arrive() {
    let (upstream, proxy) = pair(SOME);
    let forbidden = proxy.post(&call("rm")).await;
    assert_eq!(forbidden.status, 200);
    let answer = forbidden.json();
    assert_eq!(
        (&answer["id"], &refusal(&answer)["code"]),
        (&7.into(), &40301.into())
    );
    assert_eq!(refusal(&answer)["policies"], json!(["no-rm"]));
    let unpermitted = proxy
        .post(&call("other").replace(":7", r#":"seven""#))
        .await
        .json();
    assert_eq!(
        (&unpermitted["id"], &refusal(&unpermitted)["code"]),
        (&"seven".into(), &40301.into())
    );
    assert_eq!(upstream.stats().requests, 0);
    assert_eq!(
        proxy
            .metric("thoughtgate_decisions_total{outcome=\"reject\"}")
            .await,
        Some(2.0)
    );
}

#[tokio::test]
async fn a_file_that_a_forbid_names_is_not_read_by_another_spelling() {
    for forbid in [
        r#"resource == Resource::"file:///etc/passwd");"#,
        r#"resource) when { resource == Resource::"file:///etc/passwd" };"#,
        r#"resource) when { resource.uri like "file:///etc/*" };"#,
    ] {
        let (upstream, proxy) = pair(&format!(
            r#"permit (principal, action == Action::"resources/read", resource);
               forbid (principal, action == Action::"resources/read", {forbid}"#
        ));
        let plain = proxy.post(&read("file:///etc/passwd")).await.json();
        assert_eq!(plain["error"]["code"], 40301, "{forbid}: {plain}");
        for uri in [
            "file:///etc/./passwd",
            "file:///x/../etc/passwd",
            "file:///etc//passwd",
            "file:///etc/%70asswd",
            "FILE:///etc/passwd",
            "file:/etc/passwd",
            "file://localhost/etc/passwd",
            "/etc/passwd",
        ] {
            let answer = proxy.post(&read(uri)).await.json();
            assert_eq!(answer["error"]["code"], 40302, "{forbid} {uri}: {answer}");
        }
        assert_eq!(upstream.stats().requests, 0);
        for uri in ["file:///srv/a", "db://x//y"] {
            proxy.post(&read(uri)).await;
        }
        assert_eq!(upstream.stats().requests, 2);
    }
}

fn read(uri: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}})
        .to_string()
}

#[tokio::test]
async fn an_error_while_evaluating_is_a_refusal() {
    let (upstream, proxy) = pair(
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"tools/call", resource)
             when { context.arguments has n && context.arguments.n + 1 > 10 };"#,
    );
    let overflow = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"n":9223372036854775807}}}"#;
    for number in ["9223372036854775807", "1.5"] {
        let body = overflow.replace("9223372036854775807", number);
        let answer = proxy.post(&body).await.json();
        assert_eq!(refusal(&answer)["code"], 40302, "{number}");
    }
    assert_eq!(upstream.stats().requests, 0);
    assert_eq!(
        proxy
            .metric("thoughtgate_decisions_total{outcome=\"error\"}")
            .await,
        Some(2.0)
    );
}

#[tokio::test]
async fn lists_are_cut_by_the_same_decision() {
    let (_upstream, proxy) = pair(SOME);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let names = |answer: &serde_json::Value| -> Vec<String> {
        answer["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let legacy = proxy.post(list).await.json();
    assert_eq!(names(&legacy), ["echo"]);
    assert!(
        legacy["result"]
            .get("cacheScope")
            .is_none_or(|scope| scope != "private"),
        "{legacy}"
    );
    let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/list"),
    ];
    let modern = client::post_json(&proxy.url(), &headers, modern)
        .await
        .unwrap()
        .json();
    assert_eq!(names(&modern), ["echo"]);
    assert_eq!(modern["result"]["cacheScope"], "private");
}

#[tokio::test]
async fn a_list_in_an_event_stream_is_cut_too() {
    let (upstream, proxy) = pair(SOME);
    upstream.turn(|knobs| {
        knobs.sse = true;
        knobs.sse_events = 2;
    });
    let response = proxy
        .post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
        .await;
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let text = response.text();
    assert!(text.contains(r#""name":"echo""#), "{text}");
    assert!(!text.contains("tool_0"), "{text}");
    assert_eq!(text.matches("data:").count(), 3, "{text}");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_not_passed_on() {
    let (upstream, proxy) = pair(SOME);
    for (headers, body) in [
        (
            vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                ("content-encoding".to_owned(), "gzip".to_owned()),
            ],
            "{}",
        ),
        (
            vec![("content-type".to_owned(), "text/plain".to_owned())],
            r#"{"tools":[{"name":"rm"}]}"#,
        ),
        (
            vec![("content-type".to_owned(), "application/json".to_owned())],
            r#"{"result":{},"result":{"tools":[{"name":"rm"}]}}"#,
        ),
    ] {
        upstream.turn(|knobs| {
            knobs.canned = Some(thoughtgate_test::mock_mcp::Canned {
                status: 200,
                headers: headers.clone(),
                body: body.to_owned(),
            });
        });
        let response = proxy
            .post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
            .await;
        assert_eq!(response.status, 502, "{headers:?}");
        assert_eq!(response.json()["error"]["code"], 50202);
    }
}

#[tokio::test]
async fn without_a_policy_everything_is_refused() {
    let upstream =
        thoughtgate_test::mock_mcp::spawn(thoughtgate_test::mock_mcp::Config::default()).unwrap();
    let proxy = Proxy::with(&["--upstream", &upstream.url()], &[]);
    let answer = proxy.post(&call("echo")).await.json();
    let seven = json!(7);
    assert_eq!(
        (&answer["id"], &refusal(&answer)["code"]),
        (&seven, &json!(40302))
    );
    let initialize = r#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{}}"#;
    let answer = proxy.post(initialize).await.json();
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&seven, &json!(40302))
    );
    let checks = proxy.ready_is(503).await;
    assert_eq!(checks["checks"]["policies"]["ok"], false);
    assert_eq!(upstream.stats().requests, 0);
    assert!(
        proxy
            .process
            .output(thoughtgate_test::process::Output::Stderr)
            .iter()
            .any(|line| line.contains("no policy"))
    );
}

#[tokio::test]
async fn the_agent_is_told_by_a_header() {
    let upstream =
        thoughtgate_test::mock_mcp::spawn(thoughtgate_test::mock_mcp::Config::default()).unwrap();
    let file = policy(
        r#"permit (principal == Agent::"alice", action == Action::"tools/call", resource);"#,
    );
    let url = upstream.url();
    let arguments = before(&url, file.path());
    let proxy = Proxy::with(&arguments, &[("THOUGHTGATE_AGENT_HEADER", "x-agent")]);
    let ask = async |headers: &[(&str, &str)]| {
        client::post_json(&proxy.url(), headers, call("echo"))
            .await
            .unwrap()
    };
    assert!(is_permitted(&ask(&[("x-agent", "alice")]).await.json()));
    assert_eq!(
        refusal(&ask(&[("x-agent", "bob")]).await.json())["code"],
        40301
    );
    for headers in [
        &[][..],
        &[("x-agent", "")],
        &[("x-agent", "alice"), ("x-agent", "bob")],
    ] {
        let response = ask(headers).await;
        let answer = response.json();
        assert_eq!(
            (response.status, &answer["id"]),
            (403, &7.into()),
            "{headers:?}"
        );
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("`x-agent` header"), "{message}");
        // A challenge would make clients register with an authorization server that there is not.
        assert_eq!(response.header("www-authenticate"), None);
    }
    assert_eq!(upstream.stats().requests, 1);
    // The upstream gets the header that was decided on, once, and none that it could read instead.
    let hidden = [
        ("x-agent", "alice"),
        ("connection", "x-agent, authorization, x-hop"),
        ("authorization", "Bearer t"),
        ("x-hop", "1"),
        ("x_agent", "bob"),
        ("mcp_name", "other"),
    ];
    ask(&hidden).await;
    let received = &upstream.requests()[1];
    assert_eq!(received.header("x-agent"), Some("alice"));
    assert_eq!(received.header("authorization"), Some("Bearer t"));
    for name in ["x-hop", "x_agent", "mcp_name"] {
        assert_eq!(received.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn answers_of_the_upstream_pass_as_they_are() {
    let (upstream, proxy) = pair(ALL);
    let headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        (
            "www-authenticate".to_owned(),
            r#"Bearer resource_metadata="https://x/""#.to_owned(),
        ),
        ("mcp-session-id".to_owned(), "s".to_owned()),
        ("set-cookie".to_owned(), "a=1".to_owned()),
        ("set-cookie".to_owned(), "b=2".to_owned()),
    ];
    for status in [200, 401, 403, 404, 500] {
        upstream.turn(|knobs| {
            knobs.canned = Some(thoughtgate_test::mock_mcp::Canned {
                status,
                headers: headers.clone(),
                body: "{\"any\": 1}".to_owned(),
            });
        });
        let response = proxy.post(&call("echo")).await;
        assert_eq!(
            (response.status, response.text()),
            (status, "{\"any\": 1}".to_owned())
        );
        assert_eq!(
            response.header("www-authenticate"),
            Some(r#"Bearer resource_metadata="https://x/""#)
        );
        assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    }
}

#[tokio::test]
async fn notifications_and_sessions_of_a_legacy_client() {
    let (upstream, proxy) = pair("");
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let response = proxy.post(notification).await;
    assert_eq!((response.status, response.body.len()), (202, 0));
    let response = client::request(
        http::Method::DELETE,
        &proxy.url(),
        &[("mcp-session-id", "s")],
        "",
    )
    .await
    .unwrap();
    assert!(response.status < 500);
    assert_eq!(upstream.stats().requests, 2);
    let answer = r#"{"jsonrpc":"2.0","id":3,"result":{"action":"accept"}}"#;
    proxy.post(answer).await;
    assert_eq!(upstream.requests()[2].body, answer.as_bytes());
}

#[tokio::test]
async fn a_dead_upstream_is_an_error_with_the_id() {
    let (upstream, proxy) = pair(ALL);
    upstream.shutdown().await;
    let response = proxy.post(&call("echo")).await;
    assert_eq!((response.status, &response.json()["id"]), (502, &7.into()));
    assert_eq!(response.json()["error"]["code"], 50201);
    let checks = proxy.ready_is(503).await;
    assert_eq!(checks["checks"]["upstream"]["ok"], false);
    assert_eq!(checks["checks"]["policies"]["ok"], true);
    assert_eq!(proxy.get("/health").await.status, 200);
}

#[tokio::test]
async fn modern_calls_pass_with_their_headers() {
    let (upstream, proxy) = pair(SOME);
    let (body, headers) = modern_call("echo");
    let response = client::post_json(&proxy.url(), &borrowed(&headers), body.clone())
        .await
        .unwrap();
    assert_eq!(response.json()["id"], 7);
    let received = &upstream.requests()[0];
    assert_eq!(received.body, body.as_bytes());
    assert_eq!(received.header("mcp-name"), Some("echo"));
}
