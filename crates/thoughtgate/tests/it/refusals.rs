//! Requests that must not reach the upstream: the status and error that each gets, and the upstream's
//! own counter, which must stay at zero.

use http::Method;
use thoughtgate_test::client::{self, RawConnection};

use crate::support::{
    ALL, Proxy, before, borrowed, call, is_permitted, modern_call, pair, refusal, told,
};

const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

async fn refused(
    proxy: &Proxy,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
    status: u16,
    code: i64,
) -> serde_json::Value {
    let response = client::post_json(&proxy.url(), headers, body)
        .await
        .unwrap();
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    let answer = response.json();
    assert_eq!(answer["jsonrpc"], "2.0");
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{answer}"
    );
    answer["id"].clone()
}

#[tokio::test]
async fn bodies_that_are_no_single_message() {
    let (upstream, proxy) = pair(ALL);
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"a":{}1{}}}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    for (body, code) in [
        (String::new(), -32700),
        ("{".to_owned(), -32700),
        (format!("{PING} x"), -32700),
        (format!("{PING}{PING}"), -32700),
        (format!("[{PING}]"), -32600),
        ("[]".to_owned(), -32600),
        (deep, -32600),
    ] {
        let id = refused(&proxy, &[], body.clone(), 400, code).await;
        assert!(id.is_null(), "{body}");
    }
    refused(
        &proxy,
        &[],
        &b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\"}"[..],
        400,
        -32700,
    )
    .await;
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn messages_with_two_readings() {
    let (upstream, proxy) = pair(ALL);
    for (body, id) in [
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}"#,
            serde_json::Value::Null,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            7.into(),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
            7.into(),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#,
            7.into(),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#,
            7.into(),
        ),
    ] {
        assert_eq!(refused(&proxy, &[], body, 400, -32600).await, id, "{body}");
    }
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn duplicate_arguments_only_where_policies_read_them() {
    let (upstream, proxy) = pair(
        r#"permit (principal, action == Action::"tools/call", resource == Tool::"plain");
           permit (principal, action == Action::"tools/call", resource == Tool::"reads")
             when { context.arguments has n && context.arguments.n < 5 };"#,
    );
    let twice = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"TOOL","arguments":{"n":1,"n":9}}}"#;
    let answer = proxy.post(&twice.replace("TOOL", "reads")).await.json();
    assert_eq!(refusal(&answer)["code"], 40302, "{answer}");
    assert!(told(&answer).contains("`n`"), "{answer}");
    assert_eq!(upstream.stats().requests, 0);
    assert!(is_permitted(
        &proxy.post(&twice.replace("TOOL", "plain")).await.json()
    ));
}

#[tokio::test]
async fn the_wrong_content() {
    let (upstream, proxy) = pair(ALL);
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json-rpc",
    ] {
        refused(&proxy, &[("content-type", media_type)], PING, 415, -32600).await;
    }
    for encoding in ["gzip", "br", "identity, gzip"] {
        refused(&proxy, &[("content-encoding", encoding)], PING, 415, -32600).await;
    }
    assert_eq!(upstream.stats().requests, 0);
    let charset = [("content-type", "Application/JSON; charset=UTF-8")];
    assert_eq!(
        client::post_json(&proxy.url(), &charset, PING)
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn bodies_over_the_limit() {
    let (upstream, proxy) = {
        let upstream =
            thoughtgate_test::mock_mcp::spawn(thoughtgate_test::mock_mcp::Config::default())
                .unwrap();
        let policy = crate::support::policy(ALL);
        let url = upstream.url();
        let arguments = before(&url, policy.path());
        let proxy = Proxy::with(&arguments, &[("THOUGHTGATE_LIMITS_BODY_BYTES", "2000")]);
        (upstream, proxy)
    };
    refused(
        &proxy,
        &[],
        format!("{PING}{}", " ".repeat(2001)),
        413,
        -32600,
    )
    .await;
    // Without a Content-Length, the bytes that arrive are counted.
    let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        proxy.address()
    );
    connection.send(head.as_bytes()).await.unwrap();
    for _ in 0..5 {
        connection
            .send(format!("{:x}\r\n{}\r\n", 500, " ".repeat(500)).as_bytes())
            .await
            .unwrap();
    }
    let response = connection.read_response().await.unwrap();
    assert_eq!(response.status, 413, "{}", response.text());
    assert_eq!(upstream.stats().requests, 0);
    assert_eq!(
        proxy
            .post(&format!("{PING}{}", " ".repeat(1900)))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn headers_that_differ_from_the_body() {
    let (upstream, proxy) = pair(ALL);
    let (body, headers) = modern_call("echo");
    assert_eq!(
        client::post_json(&proxy.url(), &borrowed(&headers), body.clone())
            .await
            .unwrap()
            .status,
        200
    );
    upstream.reset();
    for (name, value) in [
        ("mcp-name", Some("other")),
        ("mcp-method", Some("ping")),
        ("mcp-protocol-version", Some("2025-11-25")),
        ("mcp-name", None),
        ("mcp-method", None),
        ("mcp-protocol-version", None),
    ] {
        let mut changed = borrowed(&headers);
        changed.retain(|(found, _)| *found != name);
        changed.extend(value.map(|value| (name, value)));
        assert_eq!(
            refused(&proxy, &changed, body.clone(), 400, -32020).await,
            7,
            "{name} {value:?}"
        );
    }
    let mut twice = borrowed(&headers);
    twice.push(("mcp-name", "echo"));
    refused(&proxy, &twice, body, 400, -32020).await;
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn strangers_hosts_and_origins() {
    let (upstream, proxy) = pair(ALL);
    for headers in [
        [("host", "evil.example")],
        [("origin", "https://evil.example")],
        [("origin", "null")],
    ] {
        let response = client::post_json(&proxy.url(), &headers, PING)
            .await
            .unwrap();
        assert_eq!(response.status, 403, "{headers:?}");
        let response = client::get(&proxy.url(), &headers).await.unwrap();
        assert_eq!(response.status, 403, "{headers:?}");
    }
    assert_eq!(upstream.stats().requests, 0);
    let local = [("origin", "http://localhost:3000")];
    assert_eq!(
        client::post_json(&proxy.url(), &local, PING)
            .await
            .unwrap()
            .status,
        200
    );
}

/// No path, method or content type bypasses the decision.
#[tokio::test]
async fn no_way_around() {
    let (upstream, proxy) =
        pair(r#"forbid (principal, action == Action::"tools/call", resource);"#);
    let body = call("echo");
    let json = [("content-type", "application/json")];
    for path in [
        "/",
        "/mcp//",
        "/MCP",
        "/mcp/x",
        "//mcp",
        "/mcp%2f",
        "/x/../mcp",
        "/.well-known/../mcp",
        "/.well-known/x",
        "/.well-known/%2e%2e/mcp",
        "/health",
        "/ready",
        "/metrics",
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            let response = client::request(method.clone(), &proxy.at(path), &json, body.clone())
                .await
                .unwrap();
            assert!(
                (400..500).contains(&response.status),
                "{method} {path}: {}",
                response.status
            );
        }
    }
    for method in [
        Method::PUT,
        Method::PATCH,
        Method::OPTIONS,
        Method::HEAD,
        Method::TRACE,
    ] {
        let response = client::request(method.clone(), &proxy.url(), &json, body.clone())
            .await
            .unwrap();
        assert_eq!(response.status, 405, "{method}");
    }
    for method in [Method::GET, Method::DELETE] {
        let response = client::request(method.clone(), &proxy.url(), &json, body.clone())
            .await
            .unwrap();
        assert_eq!(response.status, 400, "{method} with a body");
        let response = client::request(
            method.clone(),
            &proxy.at("/.well-known/x"),
            &json,
            body.clone(),
        )
        .await
        .unwrap();
        assert!(
            (400..500).contains(&response.status),
            "{method} with a body"
        );
    }
    // A call without an id, which gets no answer, is still a call.
    let silent = body.replace(r#""id":7,"#, "");
    assert_eq!(proxy.post(&silent).await.status, 403);
    let answer = proxy.post(&body).await.json();
    assert_eq!(refusal(&answer)["code"], 40301);
    let query = client::request(Method::POST, &proxy.at("/mcp?x=1"), &json, body)
        .await
        .unwrap();
    assert_eq!(refusal(&query.json())["code"], 40301);
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn the_endpoint_is_also_found_with_a_slash_and_other_paths_lead_to_it() {
    let (upstream, proxy) =
        pair(r#"permit (principal, action == Action::"tools/call", resource == Tool::"echo");"#);
    let json = [("content-type", "application/json")];
    let post = |path: &str, body: String| {
        let url = proxy.at(path);
        async move { client::post_json(&url, &json, body).await.unwrap() }
    };
    let answer = post("/mcp/", call("echo")).await;
    assert!(answer.json()["result"].is_object(), "{}", answer.text());
    assert_eq!(upstream.stats().requests, 1);
    // It is the same endpoint, so that what is refused there is refused here.
    let refused = post("/mcp/", call("other")).await;
    assert!(refused.text().contains("policy"), "{}", refused.text());
    assert_eq!(upstream.stats().requests, 1);
    for path in ["/", "/sse", "/messages", "/mcp/x", "/healthz"] {
        let answer = post(path, call("echo")).await;
        assert_eq!(answer.status, 404, "{path}");
        let text = answer.json()["error"].as_str().unwrap().to_owned();
        for known in ["/mcp", "/health", "/ready", "/metrics"] {
            assert!(text.contains(known), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn requests_with_the_name_of_an_action_that_is_not_a_method() {
    let (upstream, proxy) =
        pair(r#"permit (principal, action == Action::"tools/call", resource == Tool::"safe");"#);
    let methods = [
        "response",
        "stream",
        "session/delete",
        "notifications",
        "notifications/run",
        "protocol",
        "other",
    ];
    for method in methods {
        let body = PING.replace("ping", method);
        let answer = proxy.post(&body).await.json();
        assert_eq!(answer["error"]["code"], 40301, "{method}: {answer}");
    }
    for method in ["Ping", "ping ", "\u{ff30}ing"] {
        let answer = proxy.post(&PING.replace("ping", method)).await.json();
        assert_eq!(answer["error"]["code"], 40302, "{method:?}: {answer}");
    }
    assert_eq!(upstream.stats().requests, 0);
    let counted = r#"thoughtgate_requests_total{method="other"}"#;
    assert_eq!(proxy.metric(counted).await, Some(10.0));
    // A notification is permitted by the baseline.
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(proxy.post(notification).await.status, 202);
}

#[tokio::test]
async fn pipelined_and_smuggled_requests_are_each_decided() {
    let (upstream, proxy) =
        pair(r#"forbid (principal, action == Action::"tools/call", resource);"#);
    let body = call("echo");
    let request = |extra: &str, body: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{extra}\r\n{body}",
            proxy.address()
        )
    };
    let length = format!("content-length: {}\r\n", body.len());
    let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
    connection
        .send(request(&length, &body).repeat(2).as_bytes())
        .await
        .unwrap();
    for _ in 0..2 {
        assert!(
            connection
                .read_response()
                .await
                .unwrap()
                .text()
                .contains("40301")
        );
    }
    // Content-Length with chunks, or two lengths: another server could see a different end.
    for extra in [
        format!("{length}transfer-encoding: chunked\r\n"),
        format!("{length}content-length: 5\r\n"),
        "transfer-encoding: chunked, gzip\r\n".to_owned(),
    ] {
        let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
        connection
            .send(request(&extra, &format!("0\r\n\r\n{}", request(&length, &body))).as_bytes())
            .await
            .unwrap();
        if let Ok(response) = connection.read_response().await {
            assert!(
                (400..500).contains(&response.status),
                "{extra}: {}",
                response.status
            );
        }
    }
    assert_eq!(upstream.stats().requests, 0);
}
