//! OAuth-protected upstreams: a client that knows only the proxy's URL finds the way to log in.

use serde_json::json;
use thoughtgate_test::client;

use super::proxy;
use super::scripted::{self, Request, Scripted};
use crate::support::{ALL, Proxy, before, call, policy};

const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Knows itself only by the address of its own, whatever the request says.
async fn protected() -> Scripted {
    Scripted::start(|request: &Request| {
        let own = format!("http://{}", request.header("host"));
        match &*request.path {
            "/.well-known/oauth-protected-resource/v1/mcp" => scripted::json(
                200,
                &format!(r#"{{ "resource" : "{own}/v1/mcp", "authorization_servers":["https://as.test"], "n":1.0 }}"#),
            )
            .replacen("\r\n", "\r\netag: \"1\"\r\n", 1),
            "/.well-known/oauth-authorization-server" => scripted::json(200, r#"{ "issuer" : "https://as.test" }"#),
            "/.well-known/oauth-protected-resource/twice" => scripted::json(200, r#"{"resource":1,"resource":2}"#),
            "/.well-known/oauth-protected-resource/large" => {
                scripted::json(200, &json!({"x": "x".repeat(100_000)}).to_string())
            }
            "/v1/mcp" => {
                let status = if request.method == "GET" { 403 } else { 401 };
                scripted::json(status, "{}").replacen(
                    "\r\n",
                    &format!("\r\nwww-authenticate: Bearer realm=\"x\", resource_metadata=\"{own}{METADATA}/v1/mcp\", scope=\"a\"\r\n"),
                    1,
                )
            }
            _ => scripted::json(404, "{}"),
        }
    })
    .await
}

#[tokio::test]
async fn challenge_and_metadata_name_the_proxy() {
    let upstream = protected().await;
    let proxy = proxy(&upstream.url("/v1/mcp"));
    proxy.ready().await;
    let refused = proxy.post(&call("tool_0")).await;
    let expected = format!(
        "Bearer realm=\"x\", resource_metadata=\"{}{METADATA}/mcp\", scope=\"a\"",
        proxy.at("")
    );
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some(&*expected))
    );
    assert_eq!(refused.text(), "{}");
    let refused = proxy.get("/mcp").await;
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (403, Some(&*expected))
    );
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(
        proxy.post(list).await.header("www-authenticate"),
        Some(&*expected)
    );

    let headers = [("accept-encoding", "gzip"), ("if-none-match", "\"1\"")];
    let url = proxy.at(&format!("{METADATA}/mcp"));
    let document = client::get(&url, &headers).await.unwrap();
    let expected = format!(
        r#"{{ "resource" : "{}", "authorization_servers":["https://as.test"], "n":1.0 }}"#,
        proxy.url()
    );
    assert_eq!((document.status, document.text()), (200, expected));
    assert_eq!(document.header("etag"), None);
    let calls = upstream.calls();
    let asked = calls.last().unwrap();
    assert_eq!(asked.path, format!("{METADATA}/v1/mcp"));
    assert_eq!(
        (
            asked.header("accept-encoding"),
            asked.header("if-none-match")
        ),
        ("identity".to_owned(), String::new())
    );

    // All other documents are passed on as they came.
    let server = proxy.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(server.text(), r#"{ "issuer" : "https://as.test" }"#);
    assert_eq!(proxy.get(METADATA).await.status, 404);
}

#[tokio::test]
async fn metadata_that_cannot_be_changed_is_not_passed_on() {
    let upstream = protected().await;
    let proxy = proxy(&upstream.url("/v1/mcp"));
    for (path, part) in [
        ("twice", "unique keys"),
        ("large", "larger than 65536 bytes"),
    ] {
        let document = proxy.get(&format!("{METADATA}/{path}")).await;
        assert_eq!(document.status, 502, "{path}");
        assert!(document.text().contains(part), "{}", document.text());
    }
}

#[tokio::test]
async fn the_public_url_is_named_if_it_is_set() {
    let upstream = protected().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, "public_url: https://gate.test/tools/mcp\n").unwrap();
    let (url, file) = (upstream.url("/v1/mcp"), policy(ALL));
    let arguments = [
        &before(&url, file.path())[..],
        &["--config", path.to_str().unwrap()],
    ]
    .concat();
    let proxy = Proxy::with(&arguments, &[]);
    let refused = proxy.post(&call("tool_0")).await;
    let challenge = refused.header("www-authenticate").unwrap();
    let expected = format!("resource_metadata=\"https://gate.test{METADATA}/tools/mcp\"");
    assert!(challenge.contains(&expected), "{challenge}");
    for path in ["/mcp", "/tools/mcp"] {
        let document = proxy.get(&format!("{METADATA}{path}")).await;
        assert_eq!(
            document.json()["resource"],
            "https://gate.test/tools/mcp",
            "{path}"
        );
    }
    for request in upstream.calls() {
        assert_eq!(request.header("x-forwarded-host"), "gate.test");
        assert_eq!(request.header("x-forwarded-proto"), "https");
    }
}

#[tokio::test]
async fn metadata_elsewhere_are_at_the_usual_place_of_the_proxy() {
    for theirs in ["/oauth/prm.json", "/.well-known/mcp-resource"] {
        let upstream = Scripted::start(move |request: &Request| {
            let own = format!("http://{}", request.header("host"));
            if request.path == theirs {
                let document = json!({"resource": format!("{own}/v1/mcp"), "x": 1});
                return scripted::json(200, &document.to_string());
            }
            let place = format!("www-authenticate: Bearer resource_metadata=\"{own}{theirs}\"");
            match &*request.path {
                "/v1/mcp" => {
                    scripted::json(401, "{}").replacen("\r\n", &format!("\r\n{place}\r\n"), 1)
                }
                _ => scripted::json(404, "{}"),
            }
        })
        .await;
        let proxy = proxy(&upstream.url("/v1/mcp"));
        let usual = format!("{METADATA}/mcp");
        assert_eq!(proxy.get(&usual).await.status, 404);
        let refused = proxy.post(&call("tool_0")).await;
        let expected = format!("Bearer resource_metadata=\"{}\"", proxy.at(&usual));
        assert_eq!(refused.header("www-authenticate"), Some(&*expected));
        for path in [&*usual, METADATA] {
            let document = proxy.get(path).await;
            assert_eq!(
                document.json(),
                json!({"resource": proxy.url(), "x": 1}),
                "{path}"
            );
            assert_eq!(upstream.calls().pop().unwrap().path, theirs);
        }
        assert_eq!(proxy.get(&format!("{METADATA}/other")).await.status, 404);
        let direct = proxy.get(theirs).await;
        if theirs.starts_with("/.well-known/") {
            assert_eq!(direct.json()["resource"], proxy.url());
        } else {
            assert_eq!(direct.status, 404);
        }
    }
}
