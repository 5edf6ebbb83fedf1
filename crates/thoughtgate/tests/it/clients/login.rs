//! A real client logs in: the proxy's challenge and metadata lead it to the authorization server, whose token
//! the proxy then accepts.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use thoughtgate_test::mock_mcp;
use thoughtgate_test::process::Output;

use super::install::Program;
use super::{PATIENCE_SECONDS, start};
use crate::claims::Issuer;
use crate::support::{ALL, Proxy, before, policy};
use crate::upstream::scripted::{self, Request, Scripted};

/// Lets the Python SDK log in.
pub fn check(python: &Program) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python-2/login.py");
    let script = python.folder.join("login.py");
    std::fs::copy(source, &script).unwrap();
    let program = Program {
        folder: python.folder.clone(),
        interpreter: python.interpreter.clone(),
        script,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(logs_in(&program));
}

async fn logs_in(program: &Program) {
    let resource = Arc::new(Mutex::new(String::new()));
    let server = authorization_server(Arc::clone(&resource)).await;
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thoughtgate.yaml");
    let configure = |public: &str| {
        let issuer = server.url("");
        let text = format!(
            "public_url: {public}\nagent: {{jwt: {{jwks_url: '{issuer}/jwks', issuer: '{issuer}', \
             authorization_servers: ['{issuer}'], scopes: [mcp]}}}}\n"
        );
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &path).unwrap();
    };
    configure("https://gate.test/mcp");
    let (url, file) = (upstream.url(), policy(ALL));
    let config = ["--config", path.to_str().unwrap()];
    let proxy = Proxy::with(&[&before(&url, file.path())[..], &config].concat(), &[]);
    // Its port is known only now.
    configure(&proxy.url());
    proxy.metric_is("thoughtgate_policy_generation", 2.0).await;
    resource.lock().unwrap().clone_from(&proxy.url());

    let process = start(program, &proxy.url(), PATIENCE_SECONDS);
    let limit = Duration::from_secs(PATIENCE_SECONDS);
    let wait = move || process.wait_line(Output::Stdout, "{\"answer\"", limit);
    let line = tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
    let report: Value = serde_json::from_str(&line).unwrap();
    assert!(report["answer"].to_string().contains("hello"), "{line}");
    assert_eq!(report["resource"], proxy.url());
    assert_eq!(report["scope"], "mcp");
    let asked: Vec<_> = server.calls().into_iter().map(|call| call.path).collect();
    assert!(asked.contains(&"/token".to_owned()), "{asked:?}");
    assert_eq!(upstream.stats().tool_calls, 1);
}

/// Registers any client, and gives it a token for `resource`.
async fn authorization_server(resource: Arc<Mutex<String>>) -> Scripted {
    let keys = Issuer::new(tempfile::tempdir().unwrap().path());
    Scripted::start(move |request: &Request| {
        let own = format!("http://{}", request.header("host"));
        let answer = match &*request.path {
            "/.well-known/oauth-authorization-server" => json!({
                "issuer": own,
                "authorization_endpoint": format!("{own}/authorize"),
                "token_endpoint": format!("{own}/token"),
                "registration_endpoint": format!("{own}/register"),
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }),
            "/jwks" => json!({ "keys": [keys.jwk("a")] }),
            "/register" => {
                let mut client = request.json();
                client["client_id"] = json!("client");
                client
            }
            "/token" => {
                let audience = resource.lock().unwrap().clone();
                let head = json!({"alg": "EdDSA", "kid": "a"});
                let bearer = keys.signed(&head, json!({"iss": own, "aud": audience}));
                let token = bearer.strip_prefix("Bearer ").unwrap();
                json!({"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": "mcp"})
            }
            _ => return scripted::json(404, "{}"),
        };
        let status = if request.path == "/register" { 201 } else { 200 };
        scripted::json(status, &answer.to_string())
    })
    .await
}
