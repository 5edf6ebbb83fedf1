//! The proxy as an OAuth protected resource (`agent.jwt.authorization_servers`): a client that knows only its
//! URL finds out where to log in.

use serde_json::{Value, json};
use thoughtgate_test::client::{self, Response};

use crate::claims::Issuer;
use crate::support::{ALL, Proxy, before, call, policy};
use crate::upstream::scripted::{self, Request, Scripted};

const METADATA: &str = "/.well-known/oauth-protected-resource";
const RESOURCE: &str = "https://gate.test/tools/mcp";

struct Scene {
    upstream: Scripted,
    issuer: Issuer,
    proxy: Proxy,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A proxy with these settings of `agent.jwt`, in front of a server that has metadata of its own.
    async fn start(jwt: &str) -> Scene {
        let upstream = protected().await;
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::new(folder.path());
        let key = issuer.key_file.display();
        let path = folder.path().join("c.yaml");
        let text = format!("public_url: {RESOURCE}\nagent: {{jwt: {{key_file: '{key}'{jwt}}}}}\n");
        std::fs::write(&path, text).unwrap();
        let (url, file) = (upstream.url("/v1/mcp"), policy(ALL));
        let arguments = [
            &before(&url, file.path())[..],
            &["--config", path.to_str().unwrap()],
        ];
        let proxy = Proxy::with(&arguments.concat(), &[]);
        Scene {
            upstream,
            issuer,
            proxy,
            _folder: folder,
        }
    }

    async fn post(&self, bearer: &str) -> Response {
        let (url, headers) = (self.proxy.url(), [("authorization", bearer)]);
        let sent = client::post_json(&url, &headers, call("echo"));
        sent.await.unwrap()
    }

    /// Whether a token with this audience is accepted.
    async fn accepts(&self, audience: Value) -> bool {
        let refused = self
            .post(&self.issuer.bearer(json!({ "aud": audience })))
            .await;
        // The server refuses all calls, in its own words.
        refused
            .header("www-authenticate")
            .unwrap()
            .contains("realm=")
    }
}

/// Has metadata of its own, and wants more than any token has.
async fn protected() -> Scripted {
    Scripted::start(|request: &Request| {
        let own = format!("http://{}", request.header("host"));
        let challenge = format!(
            "401 x\r\nwww-authenticate: Bearer realm=\"x\", resource_metadata=\"{own}{METADATA}/v1/mcp\""
        );
        match &*request.path {
            "/v1/mcp" => scripted::json(401, "{}").replacen("401 x", &challenge, 1),
            path => scripted::json(200, &json!({ "of": "the server", "path": path }).to_string()),
        }
    })
    .await
}

#[tokio::test]
async fn the_metadata_are_those_of_the_proxy() {
    let settings =
        ", authorization_servers: ['https://idp.test/a', 'https://b.test'], scopes: [mcp, 'x:y']";
    let scene = Scene::start(settings).await;
    for path in ["", "/mcp", "/tools/mcp", "/tools/mcp/"] {
        let document = scene.proxy.get(&format!("{METADATA}{path}")).await;
        assert_eq!(document.status, 200, "{path}");
        assert_eq!(document.header("content-type"), Some("application/json"));
        let expected = json!({
            "resource": RESOURCE,
            "authorization_servers": ["https://idp.test/a", "https://b.test"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp", "x:y"],
        });
        assert_eq!(document.json(), expected, "{path}");
    }
    // The server's would name servers whose tokens the proxy does not accept.
    let other = scene.proxy.get(&format!("{METADATA}/other")).await;
    assert_eq!(other.status, 404, "{}", other.text());
    let asked = scene.upstream.calls();
    assert!(asked.iter().all(|call| !call.path.starts_with(METADATA)));
    let server = scene
        .proxy
        .get("/.well-known/oauth-authorization-server")
        .await;
    assert_eq!(server.json()["of"], "the server");
}

#[tokio::test]
async fn challenges_lead_to_the_metadata() {
    let settings = ", authorization_servers: ['https://idp.test'], scopes: [mcp]";
    let scene = Scene::start(settings).await;
    let place = format!("resource_metadata=\"https://gate.test{METADATA}/tools/mcp\"");
    let missing = format!("Bearer {place}, scope=\"mcp\"");
    let invalid = format!("Bearer error=\"invalid_token\", {place}, scope=\"mcp\"");
    for refused in [
        scene.proxy.post(&call("echo")).await,
        scene.post("Basic YTpi").await,
        scene.proxy.get("/mcp").await,
    ] {
        assert_eq!(refused.status, 401, "{}", refused.text());
        assert_eq!(refused.header("www-authenticate"), Some(&*missing));
    }
    let elsewhere = scene.issuer.bearer(json!({"aud": "https://other.test"}));
    for bearer in ["Bearer x.y.z", &elsewhere] {
        let refused = scene.post(bearer).await;
        assert_eq!(refused.status, 401, "{}", refused.text());
        assert_eq!(refused.header("www-authenticate"), Some(&*invalid));
    }
    // A path that needs no token gets no challenge.
    let elsewhere = scene.proxy.get("/elsewhere").await;
    assert_eq!(elsewhere.header("www-authenticate"), None);
    assert_eq!(scene.upstream.calls().len(), 0);

    // The server's challenge of a token that the proxy has accepted leads to the same document.
    let refused = scene
        .post(&scene.issuer.bearer(json!({ "aud": RESOURCE })))
        .await;
    let expected = format!("Bearer realm=\"x\", {place}");
    assert_eq!(refused.header("www-authenticate"), Some(&*expected));
    assert_eq!(scene.upstream.calls().len(), 1);
}

#[tokio::test]
async fn tokens_are_for_the_public_url_unless_another_audience_is_set() {
    let servers = ", authorization_servers: ['https://idp.test']";
    let scene = Scene::start(servers).await;
    assert!(scene.accepts(json!(RESOURCE)).await);
    assert!(scene.accepts(json!(["x", RESOURCE])).await);
    for other in [
        json!("https://gate.test"),
        json!(format!("{RESOURCE}/")),
        Value::Null,
    ] {
        assert!(!scene.accepts(other.clone()).await, "{other}");
    }
    let scene = Scene::start(&format!("{servers}, audience: 'api://tools'")).await;
    assert!(scene.accepts(json!("api://tools")).await);
    assert!(!scene.accepts(json!(RESOURCE)).await);
}

#[tokio::test]
async fn without_servers_the_metadata_stay_those_of_the_server() {
    let scene = Scene::start("").await;
    let document = scene.proxy.get(&format!("{METADATA}/tools/mcp")).await;
    let expected = json!({
        "of": "the server", "path": format!("{METADATA}/v1/mcp"), "resource": RESOURCE,
    });
    assert_eq!(document.json(), expected);
    let refused = scene.post("Bearer x.y.z").await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert!(scene.accepts(json!("anything")).await);
}
